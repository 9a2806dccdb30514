"""Thousands of purchases whose answer never comes: each is linked to what was sold or given back, none made twice.

The provider sells and hangs up, or hangs up without selling, and does not repeat our reference. `make proof-unknown`
does it with 10,000 purchases, `make test` with 300.
"""

import asyncio
import time
import uuid
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from numberdesk.base.db import Database, rows
from numberdesk.providers.model import ProviderId
from numberdesk.providers.simulator import Simulator
from tests import books, processes, stand
from tests.breakers import force_breaker
from tests.stand import Answer

pytestmark = pytest.mark.anyio

CUSTOMERS = 50
AT_ONCE = 30
NUMBERS_A_CALL = 10
UNCLEAR = "mix:sold-then-dropped=1,dropped-not-sold=1"
PATIENCE = 900.0
"""Seconds until all must be settled; a few hundred take half a minute, most of it the time a purchase may take."""


@pytest.fixture
def purchases(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--unknown"))


async def test_every_unknown_outcome_is_resolved_without_an_orphan_or_a_second_purchase(
    run_folder: Path, database_url: str, purchases: int
) -> None:
    environment = stand.ENVIRONMENT | {"DATABASE_URL": database_url}
    async with (
        await stand.simulator(UNCLEAR, balance="10000000.00") as upstream,
        processes.commands(run_folder / f"unknown-{uuid.uuid4().hex[:8]}", **environment) as commands,
        stand.database(database_url) as db,
    ):
        keys = await stand.furnish(db, upstream, customers=CUSTOMERS, rupees=100_000, deadline_ms=4000)
        # All purchases fail here, so a breaker would rightly stop them.
        await force_breaker(db, ProviderId(1), "closed", "the proof wants failures")
        servers = await asyncio.gather(commands.serve(), commands.serve("--no-worker"))
        answers = await _buy([server.url for server in servers], keys, purchases)
        assert Counter((answer.status, answer.code) for answer in answers) == {(200, ""): len(answers)}
        upstream.set_profile("never")
        began = time.monotonic()

        async def is_settled() -> bool:
            return await books.unsettled(db) == 0

        await stand.until(is_settled, patience=PATIENCE)
        took = time.monotonic() - began
        await _compare(db, upstream, purchases)
        for server in servers:
            assert (await server.stop())[0] == 0, server.log
            assert "Traceback" not in server.log, server.log
    print(f"{purchases} unknown outcomes, all settled {took:.0f} s after the last")  # noqa: T201


async def _buy(urls: list[str], keys: list[str], count: int) -> list[Answer]:
    """Buy so many numbers, ten a call, through both processes."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def call(session: aiohttp.ClientSession, place: int) -> Answer:
        body = {"service": "tg", "country": 22, "quantity": NUMBERS_A_CALL}
        async with gate:
            return await stand.call(
                session, urls[place % len(urls)], "/auth/get-number", body, key=keys[place % len(keys)]
            )

    async with stand.callers() as session:
        return await asyncio.gather(*(call(session, place) for place in range(count // NUMBERS_A_CALL)))


async def _compare(db: Database, upstream: Simulator, purchases: int) -> None:
    """Compare what the provider wrote down with our orders: everything it sold has one order or was cancelled."""
    tally = await books.compare(db, upstream.facts())
    assert sum(tally.by_state.values()) == purchases
    sold = upstream.sold
    asked = Counter(fact.order_ref for fact in [*sold, *upstream.refused])
    assert max(asked.values()) == 1, "an attempt was sent twice"
    assert len(asked) == purchases
    async with db.statement() as tx:
        linked = dict(await rows(tx, "SELECT upstream_id, order_id FROM activations"))
    assert len(linked) == purchases - tally.by_state["failed"]
    assert {str(live) for live in upstream.live_ids} <= linked.keys(), "orphans live at the provider"
    assert 0 < len(sold) < purchases
