"""Give the tests of the SMSPool family words, a line to a simulator, and a small server that answers as told."""

import csv
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from numberdesk.providers import simulator
from numberdesk.providers.adapters import sms_pool
from numberdesk.providers.line import Line
from numberdesk.providers.model import Words
from numberdesk.providers.simulator import Simulator
from numberdesk.providers.simulator.catalogue import COUNTRIES
from tests.providers.line_desk import KEY, line_to


def rows() -> list[dict[str, str]]:
    """Read the list that comes with the program."""
    text = resources.files("numberdesk.catalogue").joinpath("data", "words_sms_pool.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def words() -> Words:
    """Return the services of the list and the simulator's countries by their two letters, both ways."""
    services = {row["word"]: row["code"] for row in rows()}
    countries = {country.iso: number for number, country in COUNTRIES.items()}
    return Words(
        means_itself=False,
        services=services,
        countries=countries,
        service_words={code: word for word, code in services.items()},
        country_words={code: word for word, code in countries.items()},
    )


WORDS = words()


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

    runner = web.ServerRunner(web.Server(serve, access_log=None), shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield found
    finally:
        await runner.cleanup()
