"""Give the tests of the SMSPool family words, a line to a simulator, and a small server that answers as told."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from numberdesk.providers import simulator
from numberdesk.providers.adapters import sms_pool
from numberdesk.providers.line import Line
from numberdesk.providers.service import Word, words_of
from numberdesk.providers.simulator import Simulator
from numberdesk.providers.simulator.catalogue import COUNTRIES
from tests.providers.line_desk import KEY, PROVIDER, line_to, serving, words_listed

COUNTRY_WORDS = [Word(PROVIDER.id, "country", item.iso, str(number), "iso") for number, item in COUNTRIES.items()]
"""The simulator's countries by their two letters: no list has them."""
WORDS = words_of([*words_listed("sms-pool"), *COUNTRY_WORDS], means_itself=False)


@asynccontextmanager
async def sms_pool_line(url: str, **options: Any) -> AsyncIterator[Line]:
    """Open a line of this family to an address."""
    async with line_to(url, kind="sms-pool", dialect="sms-pool", **options) as line:
        yield replace(line, endpoint=sms_pool.endpoint(url), words=WORDS)


@asynccontextmanager
async def simulated(profile: Any = "never", **options: Any) -> AsyncIterator[tuple[Simulator, Line]]:
    """Run a simulator of this family and a line to it."""
    async with (
        await simulator.start(family="sms-pool", profile=profile, api_key=KEY, record_path=None, **options) as upstream,
        sms_pool_line(upstream.url) as line,
    ):
        yield upstream, line


@dataclass(frozen=True)
class Came:
    """One request as it came, with its form."""

    method: str
    target: str
    authorization: str | None
    form: dict[str, str]


@dataclass
class Told:
    """A server that answers as told and remembers what was asked."""

    url: str = ""
    came: list[Came] = field(default_factory=list)


Answerer = Callable[[Came], bytes]


@asynccontextmanager
async def told(*answers: bytes | tuple[int, bytes] | Answerer | None) -> AsyncIterator[Told]:
    """Run a server that answers the first request by the first answer, and so on; the last one goes on for ever.

    A pair is a status and a body, None hangs up, a function is asked with the request.
    """
    found = Told()

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        answer = answers[min(len(found.came), len(answers) - 1)]
        form = dict(parse_qsl((await request.read()).decode()))
        came = Came(request.method, request.path_qs, request.headers.get("Authorization"), form)
        found.came.append(came)
        if answer is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if isinstance(answer, tuple):
            return web.Response(status=answer[0], body=answer[1])
        return web.Response(body=answer if isinstance(answer, bytes) else answer(came))

    async with serving(serve) as found.url:
        yield found
