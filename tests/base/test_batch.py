"""Calls that travel in lists: who shares a transaction, who fails alone, and what a lost COMMIT does."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import pytest

from numberdesk.base.batch import LIST_MAX, Batch
from numberdesk.base.clock import seconds
from numberdesk.base.db import CommitUnknown, Database, Duplicate, Tx, Undone, open_database, rows, run, value
from numberdesk.base.errors import AppError, NotFound, Unavailable
from tests.base.proxy import Proxy, proxied

pytestmark = pytest.mark.anyio

ADD = "INSERT INTO accounts (email) SELECT * FROM unnest($1::text[]) ON CONFLICT DO NOTHING"


@dataclass
class Registry:
    """A verb that is repeatable by business key: it writes names down and returns the id of each.

    An item `refused…` is answered with a refusal, `bad…` raises, `long…` is waited for until `go` is set.
    """

    lists: list[list[str]] = field(default_factory=list)
    transactions: set[int] = field(default_factory=set)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def register(self, tx: Tx, names: Sequence[str]) -> list[int | AppError]:
        self.lists.append(list(names))
        if any(name.startswith("bad") for name in names):
            raise RuntimeError("a bad name")
        if any(name.startswith("long") for name in names):
            await self.go.wait()
        await run(tx, ADD, [name for name in names if not name.startswith("refused")])
        self.transactions.add(await value(tx, "SELECT pg_current_xact_id()::text::bigint"))
        ids = dict(await found(tx, names))
        return [ids[name] if name in ids else NotFound(what="name") for name in names]


async def found(tx: Tx, names: Sequence[str]) -> list[tuple[str, int]]:
    known = await rows(tx, "SELECT email, id FROM accounts WHERE email = ANY($1)", names)
    return [(name, account_id) for name, account_id in known]


async def registered(db: Database) -> list[str]:
    async with db.statement() as tx:
        return [name for (name,) in await rows(tx, "SELECT email FROM accounts ORDER BY email")]


@pytest.fixture
async def proxy(database_url: str, run_folder: Path) -> AsyncIterator[Proxy]:
    folder = run_folder / "proxy"
    folder.mkdir(exist_ok=True)
    async with proxied(database_url, folder) as proxy:
        yield proxy


@pytest.fixture
async def shaky(proxy: Proxy) -> AsyncIterator[Database]:
    """A pool whose answers to COMMIT may be lost."""
    db = await open_database(proxy.url, size=1, name="shaky")
    yield db
    await db.close()


async def test_a_database_out_of_reach_is_told_to_all_at_once(database_url: str) -> None:
    db = await open_database(database_url, size=1)
    await db.close()
    batch = Batch(db, Registry().register)
    started = seconds()
    results = await asyncio.gather(*(batch.call(f"{place}") for place in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [Unavailable] * 3
    assert seconds() - started < 1


async def test_a_refusal_is_of_one_item_and_its_neighbours_are_committed_together(db: Database) -> None:
    registry = Registry()
    batch = Batch(db, registry.register)
    results = await asyncio.gather(*map(batch.call, ["a", "refused", "b"]), return_exceptions=True)
    assert [type(result) for result in results] == [int, NotFound, int]
    assert registry.lists == [["a", "refused", "b"]]
    assert await registered(db) == ["a", "b"]


async def test_one_bad_item_fails_alone(db: Database) -> None:
    registry = Registry()
    batch = Batch(db, registry.register)
    results = await asyncio.gather(*map(batch.call, ["a", "bad", "b"]), return_exceptions=True)
    assert [type(result) for result in results] == [int, RuntimeError, int]
    assert registry.lists == [["a", "bad", "b"], ["a"], ["bad"], ["b"]]
    assert await registered(db) == ["a", "b"]


async def test_an_item_the_driver_cannot_send_fails_alone(db: Database) -> None:
    async def double(tx: Tx, numbers: Sequence[int]) -> list[int | AppError]:
        return [row[0] for row in await rows(tx, "SELECT n * 2 FROM unnest($1::bigint[]) AS n", numbers)]

    batch = Batch(db, double)
    results = await asyncio.gather(*map(batch.call, [1, 2**70, 3]), return_exceptions=True)
    assert results[::2] == [2, 6]
    assert isinstance(results[1], asyncpg.DataError)


async def test_an_item_that_waits_for_somebody_elses_lock_fails_alone(db: Database) -> None:
    async with db.transaction() as tx:
        await run(tx, ADD, ["a", "locked", "b"])

    async def rename(tx: Tx, names: Sequence[str]) -> list[str | AppError]:
        await run(tx, "SET LOCAL lock_timeout = '20ms'")
        await run(tx, "UPDATE accounts SET name = 'renamed' WHERE email = ANY($1)", names)
        return list(names)

    batch = Batch(db, rename)
    async with db.transaction() as tx:
        await run(tx, "UPDATE accounts SET name = 'mine' WHERE email = 'locked'")
        results = await asyncio.gather(*map(batch.call, ["a", "locked", "b"]), return_exceptions=True)
    assert results[::2] == ["a", "b"]
    assert isinstance(results[1], Undone)


async def test_a_list_with_too_few_results_fails_and_leaves_nobody_waiting(db: Database) -> None:
    async def forget(tx: Tx, names: Sequence[str]) -> list[int | AppError]:
        await run(tx, ADD, names)
        return []

    batch = Batch(db, forget)
    async with asyncio.timeout(5):
        results = await asyncio.gather(*map(batch.call, ["a", "b"]), return_exceptions=True)
    assert [type(result) for result in results] == [AssertionError] * 2
    assert await registered(db) == []


async def test_every_call_gets_its_own_result_however_many_there_are(db: Database) -> None:
    registry = Registry()
    batch = Batch(db, registry.register)
    names = [f"name{place}" for place in range(2 * LIST_MAX + 10)]
    results = await asyncio.gather(*map(batch.call, names))
    async with db.statement() as tx:
        assert dict(zip(names, results, strict=True)) == dict(await found(tx, names))
    assert [len(names) for names in registry.lists] == [LIST_MAX, LIST_MAX, 10]
    assert len(registry.transactions) == 3


async def test_a_call_leaves_at_once_and_the_next_ones_gather_until_it_is_back(db: Database) -> None:
    registry = Registry()
    batch = Batch(db, registry.register)
    calls = [asyncio.create_task(batch.call("long"))]
    await until(lambda: registry.lists == [["long"]])
    for name in ("a", "b", "c"):
        calls.append(asyncio.create_task(batch.call(name)))
        await asyncio.sleep(0.01)
    registry.go.set()
    await asyncio.gather(*calls)
    assert registry.lists == [["long"], ["a", "b", "c"]]
    assert len(registry.transactions) == 2


async def test_a_second_lane_does_not_wait_for_the_first(db: Database) -> None:
    registry = Registry()
    batch = Batch(db, registry.register, lanes=2)
    slow = asyncio.create_task(batch.call("long"))
    await until(lambda: bool(registry.lists))
    await asyncio.wait_for(batch.call("a"), timeout=5)
    assert not slow.done()
    registry.go.set()
    await slow


async def test_a_cancelled_caller_does_not_recall_its_item(db: Database) -> None:
    registry = Registry()
    batch = Batch(db, registry.register)
    on_its_way = asyncio.create_task(batch.call("long"))
    await until(lambda: bool(registry.lists))
    waiting = asyncio.create_task(batch.call("waiting"))
    neighbour = asyncio.create_task(batch.call("neighbour"))
    await asyncio.sleep(0.01)
    on_its_way.cancel()
    waiting.cancel()
    registry.go.set()
    assert await neighbour > 0
    assert await registered(db) == ["long", "neighbour", "waiting"]


async def test_draining_waits_for_what_is_on_its_way_and_what_waits(db: Database) -> None:
    registry = Registry()
    batch = Batch(db, registry.register)
    first = batch.send("long")
    await until(lambda: bool(registry.lists))
    second = batch.send("b")
    asyncio.get_running_loop().call_later(0.05, registry.go.set)
    await batch.drain()
    assert first.done()
    assert second.done()
    await batch.drain()


async def test_a_list_whose_commit_was_lost_is_repeated_and_gives_the_first_results(
    shaky: Database, proxy: Proxy
) -> None:
    registry = Registry()
    batch = Batch(shaky, registry.register)
    proxy.lose = 1
    results = await asyncio.gather(*map(batch.call, ["a", "refused", "b"]), return_exceptions=True)
    assert proxy.lost == 1
    assert registry.lists == [["a", "refused", "b"]] * 2
    assert [type(result) for result in results] == [int, NotFound, int]
    async with shaky.statement() as tx:
        assert dict(await found(tx, ["a", "b"])) == {"a": results[0], "b": results[2]}


async def test_a_lost_commit_is_repeated_while_the_server_comes_back(shaky: Database, proxy: Proxy) -> None:
    registry = Registry()
    batch = Batch(shaky, registry.register)
    proxy.lose, proxy.refuse_next = 1, 2
    assert await batch.call("a") > 0
    assert (proxy.lost, proxy.refuse_next) == (1, 0)
    assert registry.lists == [["a"]] * 2


async def test_a_commit_that_is_lost_again_and_again_stays_unknown_and_has_its_effect_once(
    shaky: Database, proxy: Proxy, db: Database
) -> None:
    registry = Registry()
    batch = Batch(shaky, registry.register)
    proxy.lose = 4
    with pytest.raises(CommitUnknown):
        await batch.call("a")
    assert (proxy.lost, len(registry.lists)) == (4, 4)
    assert await registered(db) == ["a"]


async def test_what_may_be_committed_is_not_called_undone_when_the_server_stays_away(
    shaky: Database, proxy: Proxy
) -> None:
    batch = Batch(shaky, Registry().register)
    proxy.lose, proxy.refuse_next = 1, 100
    with pytest.raises(CommitUnknown):
        await batch.call("a")


async def test_an_item_that_another_process_was_faster_with_is_repeated_once(db: Database) -> None:
    tries = 0

    async def register(tx: Tx, names: Sequence[str]) -> list[int | AppError]:
        nonlocal tries
        tries += 1
        known = dict(await found(tx, names))
        if not known:
            async with db.transaction() as other:
                await run(other, ADD, names)
            await run(tx, "INSERT INTO accounts (email) SELECT * FROM unnest($1::text[])", names)
        return [known[name] for name in names]

    assert await Batch(db, register).call("a") > 0
    assert tries == 2


async def test_an_item_that_is_always_a_duplicate_is_told_so(db: Database) -> None:
    async with db.transaction() as tx:
        await run(tx, ADD, ["a"])

    async def insert(tx: Tx, names: Sequence[str]) -> list[str | AppError]:
        await run(tx, "INSERT INTO accounts (email) SELECT * FROM unnest($1::text[])", names)
        return list(names)

    results = await asyncio.gather(*map(Batch(db, insert).call, ["a", "b"]), return_exceptions=True)
    assert isinstance(results[0], Duplicate)
    assert results[1] == "b"


async def until(is_true: Callable[[], bool]) -> None:
    for _ in range(5000):
        if is_true():
            return
        await asyncio.sleep(0.001)
    pytest.fail("it did not come true within five seconds")
