"""What happens to orders, as it happens: a stream of server-sent events, and the same log as a waiting call."""

import asyncio
import random
from contextlib import suppress
from typing import Annotated, Any, Final

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, QueryParameter
from litestar.response.base import ASGIResponse
from msgspec import Raw, Struct

from numberdesk.accounts.model import Caller
from numberdesk.accounts.service import People
from numberdesk.base import web
from numberdesk.base.compress import AS_IT_IS
from numberdesk.base.errors import AppError, Unavailable
from numberdesk.base.visit import Visit
from numberdesk.base.web import ACCESS, Ok
from numberdesk.orders import service
from numberdesk.orders.service import Desk, EventBody, Feed, Place

ID_LENGTH: Final = 64
STREAM_PAGE: Final = 100
LOOK_SECONDS: Final = 1.0
"""Between two looks whether the owner of a stream may still read."""
STOP_PATIENCE: Final = 0.5
"""Seconds that a reader has to take the last of a stream, when the process stops or the end is to be told."""
RETRY_MS: Final = (1000, 4000)
"""What browsers wait before they connect again: differing, so that they do not all come back at once."""
RESET: Final = b'event: reset\nid: %s\ndata: {"reason":"the last event is unknown or no longer kept"}\n\n'

EventId = Annotated[str, QueryParameter(min_length=1, max_length=ID_LENGTH)]


class EventsView(Struct, rename="camel", frozen=True):
    """Events in their order. `next_cursor` is what to ask with next; `reset` says that `after` is not known any more,
    and that the items begin with the oldest event kept.
    """

    items: list[EventBody]
    next_cursor: str
    reset: bool


class _EncodedEvents(Struct, rename="camel", frozen=True):
    """What `EventsView` describes, of bodies that are encoded."""

    items: list[Raw]
    next_cursor: str
    reset: bool


@get("/orders/events", summary="Read or await events", opt={ACCESS: "read"})
async def list_events(
    caller: NamedDependency[Caller],
    desk: NamedDependency[Desk],
    after: EventId = service.START,
    wait: Annotated[float, QueryParameter(ge=0, le=service.WAIT_MAX)] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=service.EVENTS_MAX)] = 50,
) -> Ok[EventsView]:
    """Read what happened after an event, oldest first; with `wait`, answered when something does. `after=latest` stands
    after everything there is, and gives the cursor to go on from.
    """
    page = await service.poll(desk.feed, account_id=caller.account_id, after=after, wait=wait, limit=limit)
    answer: Any = Ok(data=_EncodedEvents([Raw(item.body) for item in page.items], page.next_id, page.is_reset))
    return answer  # type: ignore[no-any-return]


@get("/orders/stream", summary="Follow events as they happen", opt={ACCESS: "read", AS_IT_IS: True}, responses={
    200: ResponseSpec(str, media_type="text/event-stream", description="Server-sent events", generate_examples=False)
})  # fmt: skip
async def stream_events(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    desk: NamedDependency[Desk],
    people: NamedDependency[People],
    last: Annotated[str | None, HeaderParameter(name="Last-Event-ID", max_length=ID_LENGTH)] = None,
    last_of_query: Annotated[str | None, QueryParameter(name="lastEventId", max_length=ID_LENGTH)] = None,
) -> ASGIResponse:
    """Follow the events of the caller's orders as server-sent events, from the one named on or from now on."""
    account_id = caller.account_id
    place = await service.find_place(desk.feed.db, account_id, last or last_of_query or None)
    desk.feed.begin_stream(account_id)
    return _Stream(desk.feed, people, request.scope["state"]["visit"], caller, place)


class _Stream(ASGIResponse):
    """The answer that goes on until its reader leaves, may not read any more, or takes nothing."""

    _should_set_content_length = False

    def __init__(self, feed: Feed, people: People, visit: Visit, caller: Caller, place: Place) -> None:
        super().__init__(
            media_type="text/event-stream",
            # For proxies: neither to keep it back until it is whole, nor to compress it.
            headers={"x-accel-buffering": "no", "cache-control": "no-store, no-transform"},
        )
        self.feed, self.people, self.visit, self.caller, self.place = feed, people, visit, caller, place

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer, and count the stream no more, however it ends."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.feed.end_stream(self.caller.account_id)

    async def send_body(self, send: Any, receive: Any) -> None:
        """Send events until one of the ends comes."""
        works = (self._write(send), _left(receive), self._shut_out(), self._stopped())
        tasks = [asyncio.create_task(work) for work in works]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()
        if tasks[1] not in done:
            why = tasks[2].result() if tasks[2] in done else None
            end = b"" if why is None else b"event: end\ndata: " + web.encoder.encode({"code": why}) + b"\n\n"
            with suppress(TimeoutError):
                await _send(send, end, patience=STOP_PATIENCE, is_last=True)

    async def _write(self, send: Any) -> None:
        """Write events until the process stops or the reader takes nothing."""
        place = self.place
        retry = random.randint(*RETRY_MS)  # noqa: S311 - jitter, no secret
        # An id without data is a place to resume from, also for those whose first event is still to come.
        start = RESET % place.id.encode() if place.is_reset else b"id: %s\n\n" % place.id.encode()
        try:
            await _send(send, b"retry: %d\n\n" % retry + start, patience=self.feed.patience)
            async with self.feed.listening(self.caller.account_id, after=place.seq) as listener:
                while not listener.is_over:
                    heard = await listener.take(limit=STREAM_PAGE, timeout=self.feed.heartbeat)
                    frames = (
                        b"id: %s\nevent: %s\ndata: %s\n\n" % (item.id.encode(), item.type.encode(), item.body)
                        for item in heard
                    )
                    await _send(send, b"".join(frames) if heard else b":\n\n", patience=self.feed.patience)
        except TimeoutError:
            web.log.info("stream_cut_off", account_id=self.caller.account_id)
        except Unavailable:
            pass  # it resumes where it was, as soon as the database is back

    async def _stopped(self) -> None:
        """Wait until the process stops and the writer had its time to end."""
        await self.feed.closed.wait()
        await asyncio.sleep(STOP_PATIENCE)

    async def _shut_out(self) -> str:
        """Wait until the caller may not read any more, and say why."""
        ring = self.people.ring
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            caller = ring.known(self.visit)
            if caller is None:
                try:
                    async with self.feed.looks:
                        caller = await ring.authenticate(self.visit)
                except Unavailable:
                    continue
                except AppError as problem:
                    return problem.code
            if "read" not in caller.scopes:
                return "scope_too_small"


async def _send(send: Any, body: bytes, *, patience: float, is_last: bool = False) -> None:
    """Send a part.

    Raises:
        TimeoutError: its reader does not take it.
    """
    async with asyncio.timeout(patience):
        await send({"type": "http.response.body", "body": body, "more_body": not is_last})


async def _left(receive: Any) -> None:
    """Wait until the reader goes away."""
    while (await receive())["type"] != "http.disconnect":
        pass
