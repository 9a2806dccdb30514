"""A revoked key and a frozen account stop at every server process within a second, whoever changed them."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import structlog

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import KeyId
from numberdesk.base.db import Database, rows
from numberdesk.wallet.model import AccountId
from tests import processes, stand
from tests.stand import Answer

pytestmark = pytest.mark.anyio
log = structlog.get_logger()

BEFORE_SECONDS = 0.4
BOUND_SECONDS = 1.0
AFTER_SECONDS = 1.6
ASK_EVERY = 0.03
ENOUGH = 5
"""Answers of each process before the change, however busy the machine is."""

Ask = Callable[[str], Awaitable[Answer]]


@dataclass
class _Scene:
    urls: list[str]
    web: aiohttp.ClientSession
    db: Database
    key: str
    key_id: KeyId
    account_id: AccountId

    async def latest(self, ask: Ask, change: Callable[[], Awaitable[None]], *, refusal: tuple[int, str]) -> list[float]:
        """Ask every process again and again, change something meanwhile; check that all refuse within the bound.

        Returns:
            For each process when the last request began that was not refused, in seconds after the change.
        """
        changed_at = float("inf")
        asked: dict[str, asyncio.Event] = {url: asyncio.Event() for url in self.urls}

        async def look(url: str) -> list[tuple[float, Answer]]:
            found: list[tuple[float, Answer]] = []
            while time.monotonic() < changed_at + AFTER_SECONDS:
                began = time.monotonic()
                found.append((began, await ask(url)))
                if len(found) >= ENOUGH:
                    asked[url].set()
                await asyncio.sleep(ASK_EVERY)
            return found

        looks = [asyncio.create_task(look(url)) for url in self.urls]
        await asyncio.sleep(BEFORE_SECONDS)
        async with asyncio.timeout(30):
            await asyncio.gather(*(event.wait() for event in asked.values()))
        await change()
        changed_at = time.monotonic()
        latest = []
        for found in await asyncio.gather(*looks):
            refused = [(answer.status, answer.code) == refusal for _, answer in found]
            allowed = [
                began - changed_at for (began, _), was_refused in zip(found, refused, strict=True) if not was_refused
            ]
            assert len(allowed) >= ENOUGH, "nothing was allowed before the change"
            assert max(allowed) < BOUND_SECONDS, f"{max(allowed):.2f} s after the change it was still allowed"
            assert sum(refused) >= 1, "nothing was refused after the change"
            assert {answer.status for _, answer in found} <= {200, 404, refusal[0]}
            latest.append(round(max(allowed), 2))
        return latest


@pytest.fixture
async def scene(run_folder: Path, database_url: str) -> AsyncIterator[_Scene]:
    environment = stand.ENVIRONMENT | {"DATABASE_URL": database_url}
    async with (
        await stand.simulator("never") as upstream,
        processes.commands(run_folder / f"revoked-{uuid.uuid4().hex[:8]}", **environment) as commands,
        stand.database(database_url) as db,
        stand.callers() as web,
    ):
        key = (await stand.furnish(db, upstream, customers=1, deadline_ms=4000))[0]
        async with db.statement() as tx:
            key_id, account_id = (await rows(tx, "SELECT id, account_id FROM api_keys"))[0]
        servers = await asyncio.gather(commands.serve(), commands.serve("--no-worker"))
        yield _Scene([server.url for server in servers], web, db, key, KeyId(key_id), AccountId(account_id))


async def test_a_revoked_key_is_refused_everywhere_within_a_second(scene: _Scene) -> None:
    async def ask(url: str) -> Answer:
        return await stand.call(scene.web, url, "/auth/check-otp", {"orderId": 1}, key=scene.key)

    async def revoke() -> None:
        await accounts.revoke_key(scene.db, scene.key_id)

    log.info("revoked", latest=await scene.latest(ask, revoke, refusal=(401, "bad_api_key")))


async def test_a_frozen_account_buys_nowhere_after_a_second_and_still_reads(scene: _Scene) -> None:
    async def ask(url: str) -> Answer:
        return await stand.buy(scene.web, url, scene.key)

    async def freeze() -> None:
        await accounts.set_state(scene.db, scene.account_id, "frozen")

    log.info("frozen", latest=await scene.latest(ask, freeze, refusal=(403, "account_frozen")))
    async with scene.db.statement() as tx:
        late = await rows(
            tx,
            "SELECT orders.id FROM orders JOIN accounts ON accounts.id = account_id"
            " WHERE orders.created_at > accounts.changed_at + interval '1 second'",
        )
    assert late == []
    for url in scene.urls:
        assert (await stand.call(scene.web, url, "/user/balance", key=scene.key)).status == 200
