"""The database is shot under purchases and polls: all get an answer, the server starts it again, nothing is lost."""

import asyncio
import fcntl
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest
import structlog

from numberdesk.base import postgres
from numberdesk.base.db import Database
from numberdesk.base.migrate import folder, migrate
from numberdesk.providers.simulator import PROFILES, Mixture, Profile
from tests import books, processes, stand
from tests.stand import Answer

pytestmark = pytest.mark.anyio
log = structlog.get_logger()

CUSTOMERS = 10
DOWN_SECONDS = 3.0
MIXTURE = Mixture("some slow", (PROFILES["fast"], Profile("slow", fault_on="purchases", answer_delay=0.3)), (1, 2))


async def test_a_shot_database_is_started_again_and_every_request_is_answered(run_folder: Path) -> None:
    home = run_folder / f"database-{uuid.uuid4().hex[:8]}"
    async with (
        await stand.simulator(MIXTURE) as upstream,
        processes.commands(home, **stand.ENVIRONMENT) as commands,
        stand.callers() as web,
    ):
        async with postgres.running(home) as cluster:
            await migrate(cluster.owner_url, folder=folder())
            async with stand.database(cluster.app_url) as db:
                keys = await stand.furnish(db, upstream, customers=CUSTOMERS, deadline_ms=500)
        server = await commands.serve()
        crowd = _Crowd(web, server.url, keys)
        async with asyncio.TaskGroup() as tasks:
            crowd.start(tasks)
            await asyncio.sleep(1.0)
            processes.shoot_database(home)
            await asyncio.sleep(0.2)
            short = await crowd.works_again()
            await asyncio.sleep(1.0)
            with _nobody_starts(home):
                processes.shoot_database(home)
                await asyncio.sleep(DOWN_SECONDS)
            long = await crowd.works_again()
            await asyncio.sleep(1.0)
            crowd.stop()
        found = Counter((answer.status, answer.code) for answer in crowd.answers)
        log.info("shot twice", out_seconds=(round(short, 2), round(DOWN_SECONDS + long, 2)), answers=dict(found))
        assert not [answer for answer in crowd.answers if answer.status not in (200, 503)], found
        assert {code for status, code in found if status == 503} == {"unavailable"}
        assert found[503, "unavailable"] >= 20, "the shots met nobody"
        assert server.log.count("purchase_not_settled") >= 3, "the shots met no sales that were not yet written"
        assert max(answer.seconds for answer in crowd.answers) < 10
        assert server.log.count("PostgreSQL runs again") == 2, server.log
        assert "Traceback" not in server.log, server.log
        async with stand.database(cluster.app_url) as db:
            took = await stand.until(lambda: _is_settled(db), patience=40)
            tally = await books.compare(db, upstream.facts())
        log.info("settled", seconds=round(took, 1), orders=tally.by_state)
        assert tally.by_state["received"] >= 20
        assert "The ledger is right" in await commands.run("ledger", "verify")
        code, _ = await server.stop()
        assert code == 0, server.log


class _Crowd:
    """Customers who buy, poll and look at their balance until they are stopped; each answer is kept."""

    def __init__(self, web: aiohttp.ClientSession, url: str, keys: list[str]) -> None:
        self.answers: list[Answer] = []
        self._web, self._url, self._keys = web, url, keys
        self._goes_on = True
        self._bought_at = 0.0

    def start(self, tasks: asyncio.TaskGroup) -> None:
        for key in self._keys:
            tasks.create_task(self._shop(key))
            tasks.create_task(self._shop(key))
            tasks.create_task(self._look(key))

    def stop(self) -> None:
        self._goes_on = False

    async def works_again(self) -> float:
        """Wait for the next purchase; returns the seconds until then."""
        began = time.monotonic()
        while self._bought_at < began:
            assert time.monotonic() < began + 10, "nobody can buy"
            await asyncio.sleep(0.01)
        return time.monotonic() - began

    async def _shop(self, key: str) -> None:
        while self._goes_on:
            bought = await stand.buy(self._web, self._url, key, once=uuid.uuid4().hex)
            self.answers.append(bought)
            if bought.status == 200:
                self._bought_at = time.monotonic()
                for wait in (0, 0.3):
                    body = {"orderId": bought.data["orderId"], "wait": wait}
                    self.answers.append(await stand.call(self._web, self._url, "/auth/check-otp", body, key=key))
            await asyncio.sleep(0.05)

    async def _look(self, key: str) -> None:
        while self._goes_on:
            for path in ("/user/balance", "/orders?limit=5", "/user/transactions?limit=5", "/services?limit=5"):
                self.answers.append(await stand.call(self._web, self._url, path, key=key))
            await asyncio.sleep(0.1)


@contextmanager
def _nobody_starts(home: Path) -> Iterator[None]:
    """Keep everybody from starting the database, as a slow recovery would."""
    with (home / "pg" / "start.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


async def _is_settled(db: Database) -> bool:
    return await books.waiting(db) == 0
