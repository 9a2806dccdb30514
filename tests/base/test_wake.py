"""Telling other processes which rows changed: who hears what, and what a broken connection costs."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field

import asyncpg
import pytest

from numberdesk.base import wake
from numberdesk.base.clock import seconds
from numberdesk.base.db import Database, open_database, value
from numberdesk.base.errors import Unavailable
from numberdesk.base.wake import PAYLOAD_IDS_MAX, Publisher

pytestmark = pytest.mark.anyio

CHANNEL = "things"


@dataclass
class Ear:
    """A listener that writes down what it hears, and how often it was connected."""

    heard: list[list[int]] = field(default_factory=list)
    connected: int = 0
    fails: int = 0
    """How many times reading everything again is still to fail."""

    async def connect(self) -> None:
        if self.fails:
            self.fails -= 1
            raise Unavailable
        self.connected += 1

    def ids(self) -> list[int]:
        return sorted(itertools.chain(*self.heard))

    async def until(self, *, ids: int = 0, connected: int = 1) -> None:
        for _ in range(1000):
            if len(self.ids()) >= ids and self.connected >= connected:
                return
            await asyncio.sleep(0.005)
        pytest.fail(f"heard {len(self.ids())} ids and connected {self.connected} times within five seconds")


@pytest.fixture
async def ear(db: Database) -> AsyncIterator[Ear]:
    """A listener named `here`."""
    ear = Ear()
    task = asyncio.create_task(wake.listen(db, CHANNEL, sender="here", on_ids=ear.heard.append, on_connect=ear.connect))
    await ear.until(connected=1)
    yield ear
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def cut_listeners(admin_url: str) -> None:
    admin = await asyncpg.connect(admin_url)
    cut = await admin.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND (query LIKE 'LISTEN%' OR query = 'SELECT 1')"
    )
    await admin.close()
    assert cut


async def test_a_message_that_cannot_be_sent_is_lost_without_harm(database_url: str) -> None:
    db = await open_database(database_url, size=1)
    await db.close()
    publisher = Publisher(db, CHANNEL, sender="there")
    publisher.publish([1])
    await publisher.drain()
    publisher.publish([])
    await publisher.drain()


async def test_what_a_process_publishes_is_heard_by_others_and_not_by_itself(db: Database, ear: Ear) -> None:
    here, there = Publisher(db, CHANNEL, sender="here"), Publisher(db, CHANNEL, sender="there")
    here.publish([1, 2])
    await here.drain()
    there.publish([3])
    there.publish([4, 3])
    await there.drain()
    await ear.until(ids=2)
    assert ear.ids() == [3, 4]


async def test_nobody_hears_what_is_published_elsewhere(db: Database, ear: Ear) -> None:
    elsewhere, there = Publisher(db, "others", sender="there"), Publisher(db, CHANNEL, sender="there")
    elsewhere.publish([1])
    await elsewhere.drain()
    there.publish([2])
    await ear.until(ids=1)
    assert ear.ids() == [2]


async def test_ids_travel_together_up_to_the_longest_payload(db: Database, ear: Ear) -> None:
    longest = [2**63 - 1 - place for place in range(3 * PAYLOAD_IDS_MAX)]
    publisher = Publisher(db, CHANNEL, sender="a" * 24)
    for one in longest:
        publisher.publish([one])
    await publisher.drain()
    await ear.until(ids=len(longest))
    assert ear.ids() == sorted(longest)
    assert [len(ids) for ids in ear.heard] == [PAYLOAD_IDS_MAX] * 3


async def test_a_cut_listener_is_soon_back_and_reads_everything_again(db: Database, ear: Ear, admin_url: str) -> None:
    started = seconds()
    await cut_listeners(admin_url)
    await ear.until(connected=2)
    assert seconds() - started < 3
    publisher = Publisher(db, CHANNEL, sender="there")
    publisher.publish([5])
    await ear.until(connected=2, ids=1)


async def test_a_listener_that_cannot_read_everything_again_tries_until_it_can(
    db: Database, ear: Ear, admin_url: str
) -> None:
    ear.fails = 2
    await cut_listeners(admin_url)
    await ear.until(connected=2)
    assert ear.fails == 0
    Publisher(db, CHANNEL, sender="there").publish([6])
    await ear.until(connected=2, ids=1)


async def test_others_can_tell_whether_a_listener_lives(db: Database, admin_url: str) -> None:
    async def is_dead() -> bool:
        async with db.statement() as tx:
            query = "SELECT pg_try_advisory_xact_lock_shared(hashtextextended('lives', 0))"
            return bool(await value(tx, query))

    async def until_dead(wanted: bool) -> None:
        for _ in range(1000):
            if await is_dead() is wanted:
                return
            await asyncio.sleep(0.005)
        pytest.fail(f"not {'dead' if wanted else 'alive'} within five seconds")

    assert await is_dead()
    ear = Ear()
    work = asyncio.create_task(
        wake.listen(db, CHANNEL, sender="lives", on_ids=ear.heard.append, on_connect=ear.connect)
    )
    await ear.until(connected=1)
    assert not await is_dead()
    await cut_listeners(admin_url)
    await ear.until(connected=2)
    await until_dead(False)
    work.cancel()
    await asyncio.wait([work])
    await until_dead(True)
