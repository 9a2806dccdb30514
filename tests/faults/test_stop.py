"""Stopping under load: hanging polls are answered, purchases on their way are found out after the next start."""

import asyncio
import signal
import uuid
from collections import Counter
from functools import partial
from pathlib import Path

import aiohttp
import pytest
import structlog

from numberdesk.base import postgres, postgres_process
from numberdesk.base.db import Database, value
from numberdesk.base.migrate import folder, migrate
from numberdesk.providers.model import ProviderId
from numberdesk.providers.simulator import Profile, Simulator
from tests import books, processes, stand
from tests.breakers import force_breaker
from tests.processes import Running
from tests.stand import Answer

pytestmark = pytest.mark.anyio
log = structlog.get_logger()

STOP_SECONDS = 5.0
POLLS = 50
PURCHASES = 20
WAITING = Profile("no codes", code_after=None)
SLOW = Profile("slow", fault_on="purchases", answer_delay=8.0)
DEADLINE_MS = 9000


async def test_a_stop_under_load_takes_seconds_leaves_nothing_and_loses_nothing(run_folder: Path) -> None:
    home = run_folder / f"stop-{uuid.uuid4().hex[:8]}"
    async with (
        await stand.simulator(WAITING) as upstream,
        processes.commands(home, **stand.ENVIRONMENT) as commands,
        stand.callers() as web,
    ):
        async with postgres.running(home) as cluster:
            await migrate(cluster.owner_url, folder=folder())
            async with stand.database(cluster.app_url) as db:
                key = (await stand.furnish(db, upstream, customers=1, deadline_ms=DEADLINE_MS))[0]
                # The purchases that the first stop interrupts would make the second server wary.
                await force_breaker(db, ProviderId(1), "closed", "the provider hangs on purpose")
        for number in (signal.SIGTERM, signal.SIGINT):
            upstream.set_profile(WAITING)
            server = await commands.serve()
            order_id = (await stand.buy(web, server.url, key)).data["orderId"]
            upstream.set_profile(SLOW)
            sold = len(upstream.sold)
            polls, purchases = _polls(web, server, key, order_id), _purchases(web, server, key)
            await stand.until(partial(_has_sold, upstream, sold + PURCHASES), patience=10)
            await asyncio.sleep(0.2)
            members = server.members()
            assert members

            code, took = await server.stop(number)

            polled, bought = await asyncio.gather(*polls), await asyncio.gather(*purchases)
            log.info("stopped", seconds=round(took, 2), polls=_counted(polled), purchases=_counted(bought))
            assert (code, took < STOP_SECONDS) == (0, True), f"code {code} after {took:.1f} s: {server.log}"
            assert "Traceback" not in server.log, server.log
            assert server.members() == []
            assert processes.is_free(server.port)
            assert postgres_process.live_postmaster(home / "pg" / "data") is None, "the database goes on"
            assert {answer.data["status"] for answer in polled} == {"active"}
            assert {(answer.status, answer.code) for answer in bought} == {(503, "unavailable")}

        upstream.set_profile("fast")
        server = await commands.serve()
        async with stand.database(cluster.app_url) as db:
            assert await _on_their_way(db) >= PURCHASES
            await stand.set_deadline(db, 500)
            took = await stand.until(lambda: _is_settled(db), patience=40)
            tally = await books.compare(db, upstream.facts())
        log.info("settled", seconds=round(took, 1), orders=tally.by_state)
        assert tally.by_state["received"] == 2 * PURCHASES
        assert "The ledger is right" in await commands.run("ledger", "verify")


def _polls(web: aiohttp.ClientSession, server: Running, key: str, order_id: int) -> "list[asyncio.Task[Answer]]":
    body = {"orderId": order_id, "wait": 25}
    return [asyncio.create_task(stand.call(web, server.url, "/auth/check-otp", body, key=key)) for _ in range(POLLS)]


def _purchases(web: aiohttp.ClientSession, server: Running, key: str) -> "list[asyncio.Task[Answer]]":
    return [asyncio.create_task(stand.buy(web, server.url, key, once=uuid.uuid4().hex)) for _ in range(PURCHASES)]


async def _has_sold(upstream: Simulator, count: int) -> bool:
    return len(upstream.sold) == count


async def _on_their_way(db: Database) -> int:
    async with db.statement() as tx:
        return int(await value(tx, "SELECT count(*) FROM orders WHERE state IN ('requested', 'unknown')"))


async def _is_settled(db: Database) -> bool:
    """Say whether all orders are found out; two wait for codes that never come."""
    return await books.waiting(db) == 2


def _counted(found: list[Answer]) -> dict[tuple[int, str], int]:
    return dict(Counter((answer.status, answer.code) for answer in found))
