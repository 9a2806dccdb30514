"""A server shot amid purchases of old clients: each next try gets the number that was on its way, and pays once."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from numberdesk.base.db import Database, run, value
from numberdesk.providers.simulator import Profile, Simulator
from tests import books, processes, stand
from tests.processes import Commands, Running

pytestmark = pytest.mark.anyio

SLOW = Profile("sold, then slow", fault_on="purchases", answer_delay=5.0, code_after=None)
ALIKE = 2
TRIES = 5
HANDLER = "/stubs/handler_api.php"
FIVE_SIM = "/v1/user/buy/activation/india/any/telegram"


@dataclass
class _Scene:
    commands: Commands
    server: Running
    upstream: Simulator
    web: aiohttp.ClientSession
    db: Database
    keys: list[str]

    async def buy(self, key: str, path: str = HANDLER) -> tuple[str, bool] | None:
        """Ask for a number; returns it with whether it is an older purchase, or nothing while none is known."""
        query = {"api_key": key, "action": "getNumberV2", "service": "tg", "country": "22"} if path == HANDLER else {}
        headers = {} if path == HANDLER else {"Authorization": f"Bearer {key}"}
        try:
            async with self.web.get(self.server.url + path, params=query, headers=headers) as answer:
                told = await answer.text()
                if told in ("ERROR_SQL", "internal error"):
                    return None
                shown: dict[str, Any] = json.loads(told)
                return (shown.get("phoneNumber") or shown["phone"]), "idempotent-replayed" in answer.headers
        except aiohttp.ClientError:
            return None

    async def get(self, key: str, path: str = HANDLER) -> tuple[str, bool]:
        """Ask until a number is told."""
        for _ in range(TRIES):
            if (got := await self.buy(key, path)) is not None:
                return got
        raise AssertionError(f"no number in {TRIES} tries")

    async def sold(self, count: int) -> None:
        """Wait until the provider has sold so many numbers."""

        async def are_sold() -> bool:
            return len(books.sales_of(self.upstream.facts())) == count

        await stand.until(are_sold, patience=10)

    async def shoot(self) -> None:
        """Kill the server and start another one."""
        self.server.kill()
        self.server = await self.commands.serve()

    async def ripen(self) -> None:
        """Let the time be over after which nobody can be at a purchase any more."""
        async with self.db.statement() as tx:
            await run(tx, "UPDATE orders SET sent_at = sent_at - interval '20 seconds' WHERE state = 'requested'")

    async def holder(self) -> str:
        """Return the name of the process that is at the only purchase."""
        async with self.db.statement() as tx:
            return str(await value(tx, "SELECT holder FROM undelivered_purchases"))

    async def orders(self) -> int:
        async with self.db.statement() as tx:
            return int(await value(tx, "SELECT count(*) FROM orders"))


@pytest.fixture
async def scene(run_folder: Path, database_url: str) -> AsyncIterator[_Scene]:
    environment = stand.ENVIRONMENT | {"DATABASE_URL": database_url}
    async with (
        await stand.simulator(SLOW) as upstream,
        processes.commands(run_folder / f"legacy-{uuid.uuid4().hex[:8]}", **environment) as commands,
        stand.callers() as web,
        stand.database(database_url) as db,
    ):
        keys = await stand.furnish(db, upstream, customers=2, deadline_ms=6000)
        yield _Scene(commands, await commands.serve(), upstream, web, db, keys)


async def test_what_was_bought_when_the_server_was_shot_goes_to_the_next_tries(scene: _Scene) -> None:
    wanted = [(scene.keys[0], HANDLER)] * ALIKE + [(scene.keys[1], FIVE_SIM)]
    first = [asyncio.create_task(scene.buy(*each)) for each in wanted]
    await scene.sold(len(wanted))
    await scene.shoot()
    assert await asyncio.gather(*first) == [None] * len(wanted)
    await scene.ripen()
    scene.upstream.set_profile("never")
    got = await asyncio.gather(*(scene.get(*each) for each in wanted))
    assert all(is_older for _, is_older in got)
    numbers = {number.removeprefix("+") for number, _ in got}
    assert len(numbers) == await scene.orders() == len(books.sales_of(scene.upstream.facts())) == len(wanted)
    another, is_older = await scene.get(*wanted[0])
    assert not is_older
    assert another not in numbers
    assert "The ledger is right" in await scene.commands.run("ledger", "verify")


async def test_a_server_shot_while_it_hands_a_number_over_hands_it_over_again(scene: _Scene) -> None:
    key = scene.keys[0]
    lost = asyncio.create_task(scene.buy(key))
    await scene.sold(1)
    holder = await scene.holder()
    await scene.shoot()
    assert await lost is None
    lost = asyncio.create_task(scene.buy(key))

    async def is_taken() -> bool:
        return await scene.holder() != holder

    await stand.until(is_taken, patience=5)
    await scene.shoot()
    assert await lost is None
    await scene.ripen()
    assert (await scene.get(key))[1]
    assert await scene.orders() == len(books.sales_of(scene.upstream.facts())) == 1
