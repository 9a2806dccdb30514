"""A small business for tests with real processes: a simulated provider, its offers, customers with money, and calls."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp

from numberdesk.base import crypto
from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database, open_database
from numberdesk.base.money import Paise
from numberdesk.catalogue import reference
from numberdesk.cli._providers import sync_provider
from numberdesk.cli._seed import make_customers
from numberdesk.providers import service as providers
from numberdesk.providers import simulator as simulators
from numberdesk.providers.model import ProviderId
from numberdesk.providers.simulator import Mixture, Profile, Simulator
from tests import processes
from tests.processes import Running

SALT = "the-pepper-of-these-tests"
ENCRYPTION_KEY = crypto.new_key()
PROVIDER_KEY = "key-at-the-simulator"
JWT_SECRET = "signs the tokens of these tests: 0123456789abcdef"
ENVIRONMENT = {
    "API_KEY_SALT": SALT, "ENCRYPTION_KEYS": ENCRYPTION_KEY, "JWT_SECRET": JWT_SECRET,
    "CANCEL_TIMEOUT": "0", "RATE_LIMIT_API": "off",
}  # fmt: skip
RUPEES = 10_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; status 0 when the connection broke before the answer was whole."""

    status: int
    body: dict[str, Any]
    seconds: float

    @property
    def code(self) -> str:
        """The code of a refusal, or an empty text."""
        return str(self.body.get("details", {}).get("code", ""))

    @property
    def data(self) -> dict[str, Any]:
        """What a success holds."""
        assert self.status == 200, self
        found: dict[str, Any] = self.body["data"]
        return found


def simulator(
    profile: str | Profile | Mixture = "fast", *, lifetime: float = 1200.0, **options: Any
) -> Awaitable[Simulator]:
    """Start a provider in this process, so that it survives whatever is shot; it cancels at any age."""
    return simulators.start(
        api_key=PROVIDER_KEY,
        record_path=None,
        profile=profile,
        min_cancel_age=timedelta(0),
        lifetime=timedelta(seconds=lifetime),
        **options,
    )


@asynccontextmanager
async def database(url: str) -> AsyncIterator[Database]:
    """Lend a small pool of the test's own."""
    db = await open_database(url, size=4, name="test")
    try:
        yield db
    finally:
        await db.close()


async def furnish(
    db: Database, upstream: Simulator, *, customers: int, rupees: int = RUPEES, poll_ms: int = 200, deadline_ms: int
) -> list[str]:
    """Add the provider with its offers, and customers; returns their API keys."""
    await reference.load(db)
    vault = Vault([ENCRYPTION_KEY])
    provider = await providers.add(
        db, vault, name="simulator", kind="sms-activate", url=upstream.url, api_key=PROVIDER_KEY, poll_ms=poll_ms,
        deadline_ms=deadline_ms, cancel_after_ms=0, calls_per_second=10_000, parallel_max=500,
    )  # fmt: skip
    lines = await providers.open_lines(db, vault)
    try:
        await sync_provider(db, lines, provider)
    finally:
        await providers.close(lines)
    return await make_customers(db, count=customers, paise=Paise(rupees * 100), pepper=SALT)


async def set_deadline(db: Database, milliseconds: int) -> None:
    """Change how long the provider may take; servers follow within a second."""
    await providers.set_options(db, ProviderId(1), deadline_ms=milliseconds)


@asynccontextmanager
async def callers() -> AsyncIterator[aiohttp.ClientSession]:
    """Lend a client with any number of connections."""
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=40)) as session:
        yield session


async def call(
    session: aiohttp.ClientSession,
    url: str,
    path: str,
    body: dict[str, Any] | None = None,
    *,
    key: str,
    once: str | None = None,
) -> Answer:
    """Send one request, POST if it has a body; `once` is its Idempotency-Key."""
    headers = {"X-API-Key": key} | ({"Idempotency-Key": once} if once else {})
    began = time.monotonic()
    try:
        async with session.request("GET" if body is None else "POST", url + path, json=body, headers=headers) as answer:
            raw = await answer.read()
            return Answer(answer.status, json.loads(raw), time.monotonic() - began)
    except (aiohttp.ClientError, TimeoutError, OSError):
        return Answer(0, {}, time.monotonic() - began)


async def buy(session: aiohttp.ClientSession, url: str, key: str, *, once: str | None = None) -> Answer:
    """Buy a number for Telegram in India."""
    return await call(session, url, "/auth/get-number", {"service": "tg", "country": 22}, key=key, once=once)


async def until(condition: Callable[[], Awaitable[object]], *, patience: float) -> float:
    """Wait until a condition is true, and fail with its last answer after so many seconds; returns how long it took."""
    began = time.monotonic()
    while not (found := await condition()):
        assert time.monotonic() < began + patience, f"not within {patience} s: {found!r}"
        await asyncio.sleep(0.05)
    return time.monotonic() - began


@dataclass
class WebProcesses:
    """One server of several web processes, and a customer's key."""

    server: Running
    web: aiohttp.ClientSession
    key: str
    count: int

    def children(self) -> list[int]:
        """Return the web processes but the first one."""
        return [pid for pid in self.server.members() if pid != self.server.popen.pid]

    async def buys(self, count: int) -> Counter[int]:
        """Buy so many numbers at once, each over a connection of its own; returns the statuses."""
        answers = await asyncio.gather(*(buy(self.web, self.server.url, self.key) for _ in range(count)))
        return Counter(answer.status for answer in answers)

    async def all_listen(self, *, patience: float = 10) -> float:
        """Wait until so many processes as wanted listen at the port; returns how long it took."""

        async def do_all() -> bool:
            return processes.listeners(self.server.port) == self.count

        return await until(do_all, patience=patience)


@asynccontextmanager
async def web_processes(home: Path, database_url: str, count: int, **environment: str) -> AsyncIterator[WebProcesses]:
    """Start a server of so many web processes, with a provider and one customer.

    Args:
        environment: settings in capitals, added to `ENVIRONMENT`.
    """
    async with (
        await simulator("never") as upstream,
        processes.commands(home, **ENVIRONMENT, DATABASE_URL=database_url, **environment) as commands,
        callers() as web,
    ):
        async with database(database_url) as db:
            key = (await furnish(db, upstream, customers=1, deadline_ms=4000))[0]
        yield WebProcesses(await commands.serve("--workers", str(count)), web, key, count)
