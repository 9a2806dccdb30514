"""Give the tests of the 5sim family words, a line to a simulator, and a small server that answers as told."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web

from numberdesk.providers import simulator
from numberdesk.providers.adapters import five_sim
from numberdesk.providers.line import Line
from numberdesk.providers.service import words_of
from numberdesk.providers.simulator import Simulator
from tests.providers.line_desk import KEY, line_to, serving, words_listed

WORDS = words_of(words_listed("five-sim"), means_itself=False)


@asynccontextmanager
async def five_sim_line(url: str, **options: Any) -> AsyncIterator[Line]:
    """Open a line of this family to an address."""
    async with line_to(url, kind="five-sim", dialect="five-sim", **options) as line:
        yield replace(line, endpoint=five_sim.endpoint(url), words=WORDS)


@asynccontextmanager
async def simulated(profile: Any = "never", **options: Any) -> AsyncIterator[tuple[Simulator, Line]]:
    """Run a simulator of this family and a line to it."""
    async with (
        await simulator.start(family="five-sim", profile=profile, api_key=KEY, record_path=None, **options) as upstream,
        five_sim_line(upstream.url) as line,
    ):
        yield upstream, line


@dataclass(frozen=True)
class Came:
    """One request as it came."""

    method: str
    target: str
    authorization: str | None


@dataclass
class Told:
    """A server that answers as told and remembers what was asked."""

    url: str = ""
    came: list[Came] = field(default_factory=list)


Answerer = Callable[[web.BaseRequest], web.Response | None]


@asynccontextmanager
async def told(*answers: bytes | tuple[int, bytes] | Answerer | None) -> AsyncIterator[Told]:
    """Run a server that answers the first request by the first answer, and so on; the last one goes on for ever.

    A pair is a status and a body, None hangs up, a function is asked with the request.
    """
    found = Told()

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        answer = answers[min(len(found.came), len(answers) - 1)]
        found.came.append(Came(request.method, request.path_qs, request.headers.get("Authorization")))
        if isinstance(answer, bytes):
            return web.Response(body=answer)
        if isinstance(answer, tuple):
            return web.Response(status=answer[0], body=answer[1])
        made = answer(request) if answer is not None else None
        if made is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return made

    async with serving(serve) as found.url:
        yield found
