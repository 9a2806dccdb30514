"""Push each SMS to the buyer: bounded in number, and tried again as the family does."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

import aiohttp
import structlog

_log = structlog.get_logger()

_SENDERS: Final = 8
_MOST_WAITING: Final = 10_000
_DEADLINE: Final = aiohttp.ClientTimeout(total=3.0)
_ANSWER_MAX: Final = 1000


class Manner(NamedTuple):
    """How a family posts: after which pauses it tries again, and which answer it takes as success."""

    pauses: Callable[[], Iterable[float]]
    is_taken: Callable[[int, bytes], bool]


USUAL: Final = Manner(lambda: (0.5, 1.0, 2.0), lambda status, _: status == 200)
"""SMS-Activate's, made impatient."""


class Webhooks:
    """Send bodies to one address; what does not fit in the queue is counted and dropped, as the poll brings it too."""

    def __init__(self, url: str, *, manner: Manner = USUAL) -> None:
        self.sent = 0
        self.failed = 0
        self.dropped = 0
        self._url = url
        self._manner = manner
        self._waiting: asyncio.Queue[tuple[bytes, Iterator[float]]] = asyncio.Queue(_MOST_WAITING)
        self._later: set[asyncio.TimerHandle] = set()
        self._session = aiohttp.ClientSession(timeout=_DEADLINE, connector=aiohttp.TCPConnector(limit=_SENDERS))
        self._senders = [asyncio.create_task(self._send_all()) for _ in range(_SENDERS)]

    def push(self, body: bytes) -> None:
        """Queue a body."""
        self._put(body, iter(self._manner.pauses()))

    async def stop(self) -> None:
        """Give up what is still waiting."""
        for timer in self._later:
            timer.cancel()
        for sender in self._senders:
            sender.cancel()
        await asyncio.gather(*self._senders, return_exceptions=True)
        await self._session.close()

    def _put(self, body: bytes, pauses: Iterator[float]) -> None:
        try:
            self._waiting.put_nowait((body, pauses))
        except asyncio.QueueFull:
            self.dropped += 1

    async def _send_all(self) -> None:
        while True:
            body, pauses = await self._waiting.get()
            if await self._is_taken(body):
                self.sent += 1
            elif (pause := next(pauses, None)) is not None:
                self._put_later(body, pauses, pause)
            else:
                self.failed += 1
                _log.warning("simulator_webhook_given_up", failed=self.failed)

    def _put_later(self, body: bytes, pauses: Iterator[float], pause: float) -> None:
        """Wait without holding up a sender."""

        def again() -> None:
            self._later.discard(timer)
            self._put(body, pauses)

        timer = asyncio.get_running_loop().call_later(pause, again)
        self._later.add(timer)

    async def _is_taken(self, body: bytes) -> bool:
        try:
            headers = {"Content-Type": "application/json"}
            async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as answer:
                return self._manner.is_taken(answer.status, await answer.content.read(_ANSWER_MAX))
        except (aiohttp.ClientError, TimeoutError):
            return False
