"""A provider dies in mid-day: purchases go on through the other, staff are told, and it comes back by itself."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import pytest

from numberdesk.accounts import service as accounts
from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database, rows, value
from numberdesk.cli._providers import sync_provider
from numberdesk.providers import service as providers
from numberdesk.providers.model import ProviderId
from numberdesk.providers.simulator import Profile, Simulator
from tests import books, processes, stand

pytestmark = pytest.mark.anyio

CHEAP, DEAR = 1, 2
BUY_EVERY = 0.05
WITHIN_SECONDS = 1.0
"""After the death, until which a purchase may still meet the dead one."""
DEADLINE_SECONDS = 4
HANGS = Profile("hangs", answer_delay=30.0, acts="never", fault="drop")


@dataclass
class Bought:
    """One purchase as its customer saw it."""

    at: float
    status: int
    state: str
    server: int
    seconds: float


@dataclass
class _Day:
    db: Database
    cheap: Simulator
    dear: Simulator
    log: Callable[[], str]
    bought: list[Bought] = field(default_factory=list)

    def since(self, moment: float) -> list[Bought]:
        return [item for item in self.bought if item.at >= moment]

    async def breaker(self) -> str:
        async with self.db.statement() as tx:
            return str(await value(tx, "SELECT state FROM provider_health WHERE provider_id = $1", CHEAP))

    async def until_breaker(self, state: str, *, patience: float) -> float:
        async def is_there() -> bool:
            return await self.breaker() == state

        return await stand.until(is_there, patience=patience)


async def _customer(day: _Day, url: str, key: str) -> None:
    """Buy a number twenty times a second, whatever becomes of the ones before."""
    calls: set[asyncio.Task[None]] = set()

    async def once() -> None:
        at = time.monotonic()
        answer = await stand.buy(session, url, key)
        data = answer.body.get("data", {})
        day.bought.append(
            Bought(at, answer.status, data.get("status", answer.code), data.get("server", 0), answer.seconds)
        )

    async with stand.callers() as session:
        try:
            while True:
                calls.add(asyncio.create_task(once()))
                await asyncio.sleep(BUY_EVERY)
        finally:
            await asyncio.gather(*calls, return_exceptions=True)


@pytest.fixture
async def day(run_folder: Path, database_url: str) -> AsyncIterator[_Day]:
    async with _opened(run_folder / f"dies-{uuid.uuid4().hex[:8]}", database_url) as found:
        yield found


@asynccontextmanager
async def _opened(home: Path, database_url: str) -> AsyncIterator[_Day]:
    environment = stand.ENVIRONMENT | {"DATABASE_URL": database_url}
    async with (
        await stand.simulator("never", name="cheap") as cheap,
        await stand.simulator("never", name="dear", price_factor=Fraction(11, 10)) as dear,
        processes.commands(home, **environment) as commands,
        stand.database(database_url) as db,
    ):
        keys = await stand.furnish(db, cheap, customers=1, rupees=1_000_000, deadline_ms=DEADLINE_SECONDS * 1000)
        await _add(db, dear)
        await _hire(db)
        server = await commands.serve()
        day = _Day(db, cheap, dear, lambda: server.log)
        customer = asyncio.create_task(_customer(day, server.url, keys[0]))
        try:
            yield day
        finally:
            customer.cancel()
            await asyncio.gather(customer, return_exceptions=True)
        assert (await server.stop())[0] == 0, server.log
        assert "Traceback" not in server.log, server.log


async def _add(db: Database, upstream: Simulator) -> None:
    vault = Vault([stand.ENCRYPTION_KEY])
    provider = await providers.add(
        db, vault, name="dear", kind="sms-activate", url=upstream.url, api_key=stand.PROVIDER_KEY, poll_ms=200,
        deadline_ms=DEADLINE_SECONDS * 1000, cancel_after_ms=0, calls_per_second=10_000, parallel_max=500,
    )  # fmt: skip
    lines = await providers.open_lines(db, vault)
    try:
        await sync_provider(db, lines, provider)
    finally:
        await providers.close(lines)


async def _hire(db: Database) -> None:
    async with db.transaction() as tx:
        (person,) = await accounts.create(tx, emails=["ops@staff.example.com"], names=["Ops"])
    await accounts.set_role(db, person, "ops")


async def _alerts(db: Database) -> list[tuple[str, bool, bool]]:
    """Return the alerts about the cheap provider's breaker: kind, whether it was told, whether it is over."""
    async with db.statement() as tx:
        return [
            tuple(row)
            for row in await rows(
                tx,
                "SELECT kind, told_at IS NOT NULL, closed_at IS NOT NULL FROM provider_alerts"
                " WHERE provider_id = $1 AND kind = 'breaker' ORDER BY id",
                CHEAP,
            )
        ]


async def _mails(db: Database) -> int:
    async with db.statement() as tx:
        return int(await value(tx, "SELECT count(*) FROM outbox WHERE template = 'provider_alerts'"))


async def _lives(day: _Day) -> None:
    """Wait until the day is on its way, all of it at the cheap provider."""

    async def has_bought() -> bool:
        return len(day.bought) >= 10

    await stand.until(has_bought, patience=20)
    assert {(item.status, item.state, item.server) for item in day.bought} == {(200, "active", CHEAP)}


async def _is_told_and_over(day: _Day, *, mails: int) -> None:
    async def is_over() -> bool:
        return await _alerts(day.db) != [] and all(told and over for _, told, over in await _alerts(day.db))

    await stand.until(is_over, patience=30)

    async def is_mailed() -> bool:
        return await _mails(day.db) >= mails

    await stand.until(is_mailed, patience=20)


async def test_one_that_is_gone_is_passed_over_at_once_and_taken_again_when_it_is_back(day: _Day) -> None:
    await _lives(day)
    port, died = day.cheap.port, time.monotonic()
    await day.cheap.stop()
    opened = await day.until_breaker("open", patience=10)
    await asyncio.sleep(1.5)
    after = day.since(died + WITHIN_SECONDS)
    assert after
    assert {(item.status, item.state, item.server) for item in after} == {(200, "active", DEAR)}
    assert max(item.seconds for item in after) < 1.0
    assert [kind for kind, _, _ in await _alerts(day.db)] == ["breaker"]
    print(f"open {opened:.1f} s after the death")  # noqa: T201
    async with await stand.simulator("never", name="cheap", port=port) as back:
        await day.until_breaker("closed", patience=60)
        again = time.monotonic()
        await asyncio.sleep(3.0)
        assert {item.server for item in day.since(again + 2.0)} == {CHEAP}
        assert back.sold
        await _is_told_and_over(day, mails=2)


async def test_one_that_hangs_holds_up_those_that_are_with_it_and_nobody_after_them(day: _Day) -> None:
    await _lives(day)
    died = time.monotonic()
    day.cheap.set_profile(HANGS)
    await day.until_breaker("open", patience=20)
    await asyncio.sleep(DEADLINE_SECONDS + 1.0)  # until what hangs is over too
    after = day.since(died + 2 * WITHIN_SECONDS)
    assert after
    assert {(item.status, item.state, item.server) for item in after} == {(200, "active", DEAR)}
    assert max(item.seconds for item in after) < 1.0
    stuck = [item for item in day.since(died) if item.state == "pending"]
    assert len(stuck) < 2 * WITHIN_SECONDS / BUY_EVERY, "only those that were sent before anybody could know"
    day.cheap.set_profile("never")
    await day.until_breaker("closed", patience=60)

    async def is_settled() -> bool:
        return await books.unsettled(day.db) == 0

    await _is_told_and_over(day, mails=2)
    assert ProviderId(CHEAP) in {item.server for item in day.since(time.monotonic() - 2.0)}
    await stand.until(is_settled, patience=60)
