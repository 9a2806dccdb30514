"""Give the tests of adapters a line to a server of their choice, and small servers that answer as told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web
from aiolimiter import AsyncLimiter

from numberdesk.base import http_client
from numberdesk.base.money import Paise
from numberdesk.catalogue.service._mapping import listed_words
from numberdesk.providers import simulator
from numberdesk.providers.adapters import sms_activate
from numberdesk.providers.line import Line
from numberdesk.providers.model import Kind, Provider, ProviderId, Wanted
from numberdesk.providers.service import Word
from numberdesk.providers.simulator import Simulator

KEY = "simulator-key-3f9a77"
COST = 1775
"""What a Telegram number from India costs at the simulator."""
FAULTS = [
    ("sold-then-dropped", 1), ("sold-then-500", 1), ("dropped-not-sold", 0), ("http-500", 0), ("over-price", 1),
    ("big-body", 0), ("gzip-bomb", 0), ("redirect", 0),
]  # fmt: skip
"""Profiles of the simulator that leave a purchase unknown, and how many numbers it sold all the same."""
PROVIDER = Provider(
    id=ProviderId(1),
    name="upstream",
    kind="sms-activate",
    url="",
    is_on=True,
    paise_per_unit=100,
    parallel_max=50,
    calls_per_second=1000,
    deadline_ms=2000,
    poll_ms=1000,
    cancel_after_ms=0,
    lifetime_ms=1_200_000,
    extend_paise_per_minute=None,
    dialect="classic",
    weight_percent=100,
    open_max=None,
    spend_max_paise=None,
    balance_alert_paise=None,
    sync_every_ms=900_000,
    agent_pay_paise=None,
    synced_at=None,
)


@asynccontextmanager
async def line_to(
    url: str, *, places: int = 50, pace: AsyncLimiter | None = None, **options: Any
) -> AsyncIterator[Line]:
    """Open a line to an address; options change the provider."""
    async with http_client.session() as session:
        provider = replace(PROVIDER, url=url, **options)
        yield Line(provider, KEY, sms_activate.endpoint(url), session, asyncio.Semaphore(places), pace)


@asynccontextmanager
async def simulated(profile: Any = "never", **options: Any) -> AsyncIterator[tuple[Simulator, Line]]:
    """Run a simulator and a line to it."""
    async with (
        await simulator.start(profile=profile, api_key=KEY, record_path=None, **options) as upstream,
        line_to(upstream.base_url) as line,
    ):
        yield upstream, line


Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """Run a small server, and give its address."""
    runner = web.ServerRunner(web.Server(handler, access_log=None), shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def words_listed(kind: Kind, provider_id: ProviderId = PROVIDER.id) -> list[Word]:
    """Return the list that comes with the program for a kind, as the words of a provider."""
    return [
        Word(provider_id, what, word, code, "list")
        for what, codes in listed_words(kind).items()
        for word, code in codes.items()
    ]


@dataclass
class Told:
    """A server that answers as told and remembers the queries and headers that arrived."""

    url: str = ""
    queries: list[dict[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@asynccontextmanager
async def told(*bodies: bytes | int | Callable[[], Awaitable[web.Response]] | None) -> AsyncIterator[Told]:
    """Run a server that answers the first request by the first body, and so on; the last one goes on for ever.

    A number is an HTTP status with a listed word as its body, None hangs up.
    """
    found = Told()

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        body = bodies[min(len(found.queries), len(bodies) - 1)]
        found.queries.append(dict(request.query))
        found.headers.append(dict(request.headers))
        if body is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if isinstance(body, int):
            return web.Response(status=body, body=b"NO_NUMBERS")
        return web.Response(body=body) if isinstance(body, bytes) else await body()

    async with serving(serve) as found.url:
        yield found


def soon(seconds: float = 2.0) -> float:
    """Return a deadline on the loop's clock."""
    return asyncio.get_running_loop().time() + seconds


def wanted(*, ceiling: int = COST, operator: str = "any", reference: str = "55-1", country: int = 22) -> Wanted:
    """Want a Telegram number from India."""
    return Wanted("tg", country, operator, Paise(ceiling), reference)
