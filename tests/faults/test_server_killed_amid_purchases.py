"""The whole server is shot while customers buy, without and with its database: nothing is lost, nothing is free."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import structlog

from numberdesk.base import postgres
from numberdesk.base.db import Database, rows, value
from numberdesk.base.migrate import folder, migrate
from numberdesk.providers.simulator import PROFILES, Mixture, Profile, Simulator
from tests import books, processes, stand
from tests.processes import Commands, Running
from tests.stand import Answer

pytestmark = pytest.mark.anyio
log = structlog.get_logger()

DEADLINE_MS = 1000
PURCHASES = 50
CUSTOMERS = 10
TRIES = 3
STRANGERS = 2
BUSY = 4
ANSWERED = 8
"""The shot comes when so many have their answer, so that it meets orders in every state."""
SLOW = Profile("sold, then slow", fault_on="purchases", answer_delay=0.6)
MIXTURE = Mixture(
    "sales in flight",
    (
        PROFILES["fast"],
        SLOW,
        Profile("slow, then sold", fault_on="purchases", acts="late", answer_delay=0.6),
        PROFILES["sold-then-dropped"],
        PROFILES["dropped-not-sold"],
        PROFILES["no-stock"],
    ),
    (4, 4, 2, 1, 1, 1),
)


@dataclass
class _Scene:
    commands: Commands
    upstream: Simulator
    keys: list[str]
    database_url: str
    is_embedded: bool


async def test_a_server_shot_amid_purchases_loses_none(run_folder: Path, database_url: str) -> None:
    """Two servers at once, since most of the time is waiting: one is shot alone, the other with its database."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_shoot(run_folder, database_url, is_embedded=False))
        tasks.create_task(_shoot(run_folder, database_url, is_embedded=True))


async def _shoot(run_folder: Path, database_url: str, *, is_embedded: bool) -> None:
    async with _scene(run_folder, database_url, is_embedded=is_embedded) as scene, stand.callers() as web:
        await _sell_to_nobody(web, scene.upstream)
        server = await scene.commands.serve()
        for _ in range(TRIES):
            answers = await _buy_and_shoot(web, server, scene)
            server = await scene.commands.serve()
            async with stand.database(scene.database_url) as db:
                on_their_way, sold = await _in_flight(db, scene.upstream)
            if on_their_way >= 10 and sold >= 5:
                break
        log.info("shot", with_database=is_embedded, answered=len(answers), on_their_way=on_their_way, sold=sold)
        assert on_their_way >= 10, "the shot met no purchases on their way"
        assert sold >= 5, "the shot met no sales that were not committed"

        async with stand.database(scene.database_url) as db:
            took = await _settle(web, server, scene, db)
            tally = await books.compare(db, scene.upstream.facts())
            await _compare_answers(db, answers)
        log.info("settled", with_database=is_embedded, seconds=round(took, 1), orders=tally.by_state, sold=tally.sold)
        assert {"received", "failed"} <= tally.by_state.keys()
        assert len(scene.upstream.cancelled) == STRANGERS
        assert "number_sold_twice" not in server.log, server.log
        assert "The ledger is right" in await scene.commands.run("ledger", "verify")
        code, _ = await server.stop()
        assert code == 0, server.log


@asynccontextmanager
async def _scene(run_folder: Path, database_url: str, *, is_embedded: bool) -> AsyncIterator[_Scene]:
    """Lend a home with a provider and customers: its database is its own, or the one of the test run."""
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(await stand.simulator(MIXTURE))
        home = run_folder / f"shot-{uuid.uuid4().hex[:8]}"
        environment = stand.ENVIRONMENT if is_embedded else stand.ENVIRONMENT | {"DATABASE_URL": database_url}
        commands = await stack.enter_async_context(processes.commands(home, **environment))
        if not is_embedded:
            async with stand.database(database_url) as db:
                keys = await stand.furnish(db, upstream, customers=CUSTOMERS, deadline_ms=DEADLINE_MS)
            yield _Scene(commands, upstream, keys, database_url, is_embedded=False)
            return
        async with postgres.running(home) as cluster:
            await migrate(cluster.owner_url, folder=folder())
            async with stand.database(cluster.app_url) as db:
                keys = await stand.furnish(db, upstream, customers=CUSTOMERS, deadline_ms=DEADLINE_MS)
        yield _Scene(commands, upstream, keys, cluster.app_url, is_embedded=True)


async def _sell_to_nobody(web: aiohttp.ClientSession, upstream: Simulator) -> None:
    """Sell numbers that no order knows, as after a database that was restored from a backup."""
    upstream.set_profile("never")
    for _ in range(STRANGERS):
        query = {"api_key": stand.PROVIDER_KEY, "action": "getNumberV2", "service": "wa", "country": "6"}
        async with web.get(upstream.url, params=query) as answer:
            assert "activationId" in await answer.text()
    upstream.set_profile(MIXTURE)


async def _buy_and_shoot(web: aiohttp.ClientSession, server: Running, scene: _Scene) -> list[Answer]:
    """Start all purchases, shoot when some were answered; returns the answers that came before."""
    tasks = [
        asyncio.create_task(stand.buy(web, server.url, scene.keys[number % CUSTOMERS], once=uuid.uuid4().hex))
        for number in range(PURCHASES)
    ]
    for _, first in zip(range(ANSWERED), asyncio.as_completed(tasks), strict=False):
        await first
    if scene.is_embedded:
        processes.shoot_database(scene.commands.home)
    server.kill()
    return [answer for answer in await asyncio.gather(*tasks) if answer.status]


async def _in_flight(db: Database, upstream: Simulator) -> tuple[int, int]:
    """Return how many orders the shot left on their way, and how many sales it left without an order."""
    entries = await books.entries_of(db)
    linked = {entry.linked for entry in entries}
    return (
        sum(entry.state == "requested" for entry in entries),
        sum(name not in linked for name in books.sales_of(upstream.facts())),
    )


async def _settle(web: aiohttp.ClientSession, server: Running, scene: _Scene, db: Database) -> float:
    """Wait until nothing is open, while others go on buying the same: their numbers must not be mistaken."""
    async with db.statement() as tx:
        last = await value(tx, "SELECT max(id) FROM orders")

    async def buy_on() -> None:
        while True:
            await stand.buy(web, server.url, scene.keys[0])

    async def left() -> bool:
        return not [
            entry for entry in await books.entries_of(db)
            if entry.order_id <= last and entry.state in ("requested", "unknown")
        ]  # fmt: skip

    async def is_settled() -> bool:
        return await books.waiting(db) == 0

    scene.upstream.set_profile(SLOW)
    others = [asyncio.create_task(buy_on()) for _ in range(BUSY)]
    try:
        took = await stand.until(left, patience=40)
    finally:
        for other in others:
            other.cancel()
        await asyncio.wait(others)
    return took + await stand.until(is_settled, patience=40)


async def _compare_answers(db: Database, answers: list[Answer]) -> None:
    """Compare what customers were told with what is: a number told is theirs, a refusal cost nothing."""
    async with db.statement() as tx:
        orders = {
            order_id: (f"+{number}", state)
            for order_id, number, state in await rows(tx, "SELECT id, number, state FROM orders")
        }
    for answer in answers:
        if answer.status == 200 and answer.data["number"] is not None:
            assert orders[answer.data["orderId"]][0] == answer.data["number"]
        elif answer.status == 200:
            assert answer.data["status"] == "pending"
            assert answer.data["orderId"] in orders
        else:
            assert (answer.status, answer.code) == (409, "no_numbers"), answer
            assert orders[answer.body["details"]["orderId"]][1] == "failed"
