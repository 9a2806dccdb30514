"""The pool and its transactions: what a caller is told when something breaks, and that what broke is not lent again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Any, LiteralString

import asyncpg
import pytest

from numberdesk.base.clock import seconds
from numberdesk.base.db import (
    CommitUnknown,
    Database,
    DatabaseRefused,
    Duplicate,
    Tx,
    Undone,
    UnsafeDatabase,
    columns,
    many,
    maybe,
    one,
    open_database,
    rows,
    run,
    value,
)
from numberdesk.base.errors import NotFound, Unavailable

pytestmark = pytest.mark.anyio

ADD = "INSERT INTO accounts (email) VALUES ($1)"
COUNT = "SELECT count(*) FROM accounts"
NARROW = "FROM pg_stat_activity WHERE application_name = 'narrow' AND datname = current_database()"


@pytest.fixture
async def admin(admin_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(admin_url)
    yield connection
    await connection.close()


@pytest.fixture
async def narrow(database_url: str) -> AsyncIterator[Database]:
    """A pool of one connection: whoever does not give it back is found out."""
    db = await open_database(database_url, size=1, name="narrow")
    yield db
    await db.close()


async def count(db: Database) -> int:
    async with db.statement() as tx:
        return int(await value(tx, COUNT))


async def kill(admin: Any) -> None:
    await admin.execute(f"SELECT pg_terminate_backend(pid) {NARROW}")


async def lose(opened: AbstractAsyncContextManager[Tx], admin: Any, pause: float, work: LiteralString | None) -> None:
    """Lose the connection in an open block, then go on with `work`, or end the block if there is none."""
    async with opened as tx:
        await run(tx, ADD, "a@example.com")
        await kill(admin)
        await asyncio.sleep(pause)
        if work == "raise":
            raise NotFound(what="thing")
        if work is not None:
            await run(tx, work)


async def test_a_server_that_is_not_there_is_unavailable(database_url: str) -> None:
    with pytest.raises(Unavailable):
        await open_database("postgresql://nobody@127.0.0.1:1/nothing", size=1)


async def test_a_database_that_may_forget_commits_is_refused_and_its_connections_are_closed(
    new_owner_url: str, admin: Any
) -> None:
    owner = await asyncpg.connect(new_owner_url)
    name = await owner.fetchval("SELECT current_database()")
    await owner.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    await owner.close()
    with pytest.raises(UnsafeDatabase, match="synchronous_commit off"):
        await open_database(new_owner_url, size=2, role=None, name="unsafe")
    for _ in range(50):
        if await admin.fetchval("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'unsafe'") == 0:
            break
        await asyncio.sleep(0.01)
    else:
        pytest.fail("the refused database still has connections")


async def test_a_pool_without_a_free_connection_is_unavailable_after_two_seconds(narrow: Database) -> None:
    async with narrow.statement():
        started = seconds()
        with pytest.raises(Unavailable):
            await count(narrow)
        assert 1.5 < seconds() - started < 5
    assert await count(narrow) == 0


@pytest.mark.parametrize("pause", [0.0, 0.02])
async def test_a_connection_lost_in_a_transaction_is_unavailable(narrow: Database, admin: Any, pause: float) -> None:
    for _ in range(5):
        with pytest.raises(Unavailable) as lost:
            await lose(narrow.transaction(), admin, pause, COUNT)
        assert type(lost.value) is Unavailable
        await asyncio.sleep(0.02)
        assert await count(narrow) == 0


@pytest.mark.parametrize("pause", [0.0, 0.02])
async def test_a_connection_lost_at_the_commit_leaves_it_unknown(narrow: Database, admin: Any, pause: float) -> None:
    for _ in range(5):
        with pytest.raises(CommitUnknown):
            await lose(narrow.transaction(), admin, pause, None)
        await asyncio.sleep(0.02)
        assert await count(narrow) == 0


@pytest.mark.parametrize("pause", [0.0, 0.02])
async def test_the_error_of_the_block_is_told_even_if_the_connection_is_lost(
    narrow: Database, admin: Any, pause: float
) -> None:
    with pytest.raises(NotFound):
        await lose(narrow.transaction(), admin, pause, "raise")
    await asyncio.sleep(0.02)
    assert await count(narrow) == 0
    with pytest.raises(NotFound):
        await lose(narrow.statement(), admin, pause, "raise")
    await asyncio.sleep(0.02)
    assert await count(narrow) == 1


async def test_connections_killed_while_idle_cost_at_most_one_try_each(database_url: str, admin: Any) -> None:
    db = await open_database(database_url, size=4, name="narrow")
    for _ in range(10):
        await asyncio.gather(*(count(db) for _ in range(4)))
        await kill(admin)
        results = await asyncio.gather(*(count(db) for _ in range(4)), return_exceptions=True)
        assert {type(result) for result in results} <= {int, Unavailable}
        await asyncio.sleep(0.02)
        assert await asyncio.gather(*(count(db) for _ in range(4))) == [0] * 4
    await db.close()


@pytest.mark.parametrize("arguments", [(2**70,), ("a",), (1, 2), ()])
async def test_arguments_that_do_not_fit_are_a_bug_and_no_lost_server(narrow: Database, arguments: Any) -> None:
    async def ask(opened: AbstractAsyncContextManager[Tx]) -> None:
        async with opened as tx:
            await value(tx, "SELECT $1::bigint", *arguments)

    for opened in (narrow.transaction(), narrow.statement()):
        with pytest.raises((asyncpg.DataError, asyncpg.InterfaceError)):
            await ask(opened)
    assert await count(narrow) == 0


async def test_two_tasks_in_one_transaction_are_a_bug_and_no_lost_server(narrow: Database) -> None:
    with pytest.raises(asyncpg.InterfaceError, match="another operation"):
        async with narrow.transaction() as tx:
            await asyncio.gather(value(tx, COUNT), value(tx, COUNT))
    assert await count(narrow) == 0


async def test_what_a_block_raises_undoes_it(narrow: Database) -> None:
    async def add_and_refuse() -> None:
        async with narrow.transaction() as tx:
            await run(tx, ADD, "a@example.com")
            raise NotFound(what="thing")

    with pytest.raises(NotFound):
        await add_and_refuse()
    assert await count(narrow) == 0


async def test_a_unique_constraint_is_told_by_its_name(narrow: Database) -> None:
    async with narrow.transaction() as tx:
        await run(tx, ADD, "a@example.com")
    for opened in (narrow.transaction, narrow.statement):
        with pytest.raises(Duplicate, match="accounts_email_key"):
            async with opened() as tx:
                await run(tx, ADD, "A@example.com")
    assert await count(narrow) == 1


@pytest.mark.parametrize(
    ("limit", "statement"),
    [("lock_timeout", "UPDATE accounts SET name = 'b'"), ("statement_timeout", "SELECT pg_sleep(5)")],
)
async def test_a_time_out_of_the_server_undoes_the_transaction(
    narrow: Database, admin: Any, limit: str, statement: LiteralString
) -> None:
    async with narrow.transaction() as tx:
        await run(tx, ADD, "a@example.com")

    async def add_and_wait() -> None:
        async with narrow.transaction() as tx:
            await value(tx, "SELECT set_config($1, '30ms', true)", limit)
            await run(tx, ADD, "b@example.com")
            await run(tx, statement)

    async with admin.transaction():
        await admin.execute("UPDATE accounts SET name = 'a'")
        with pytest.raises(Undone):
            await add_and_wait()
    assert await count(narrow) == 1


async def test_of_a_deadlock_one_is_undone_and_the_other_goes_on(db: Database) -> None:
    async with db.transaction() as tx:
        for email in ("a", "b"):
            await run(tx, ADD, email)
    has_both = asyncio.Barrier(2)

    async def swap(*emails: str) -> None:
        async with db.transaction() as tx:
            await run(tx, "UPDATE accounts SET name = '1' WHERE email = $1", emails[0])
            await has_both.wait()
            await run(tx, "UPDATE accounts SET name = '2' WHERE email = $1", emails[1])

    results = await asyncio.gather(swap("a", "b"), swap("b", "a"), return_exceptions=True)
    assert [type(result) for result in results if result is not None] == [Undone]


async def test_a_cancelled_transaction_is_undone_and_its_connection_is_clean(narrow: Database, admin: Any) -> None:
    for pause in (0.0, 0.001, 0.005, 0.02):
        task = asyncio.create_task(add_and_sleep(narrow))
        await asyncio.sleep(pause)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await count(narrow) == 0
    state = f"SELECT count(*) {NARROW} AND state <> 'idle'"
    assert await admin.fetchval(state) == 0


async def test_a_connection_left_inside_a_transaction_is_not_lent_again(narrow: Database) -> None:
    async with narrow.statement() as tx:
        backend = await value(tx, "SELECT pg_backend_pid()")
        await run(tx, "BEGIN")
        await run(tx, ADD, "a@example.com")
    async with narrow.statement() as tx:
        assert await value(tx, "SELECT pg_backend_pid()") != backend
    assert await count(narrow) == 0


async def add_and_sleep(db: Database) -> None:
    async with db.transaction() as tx:
        await run(tx, ADD, "a@example.com")
        await run(tx, "SELECT pg_sleep(5)")


async def test_work_done_to_the_end_outlives_its_caller(narrow: Database) -> None:
    async def work() -> None:
        async with narrow.transaction() as tx:
            await run(tx, "SELECT pg_sleep(0.1)")
            await run(tx, ADD, "a@example.com")

    task = asyncio.create_task(narrow.to_the_end(work()))
    await asyncio.sleep(0.02)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await narrow.drain(timeout=5)
    assert await count(narrow) == 1


async def test_a_snapshot_sees_one_moment_and_writes_nothing(db: Database) -> None:
    async with db.snapshot() as tx:
        assert await value(tx, COUNT) == 0
        async with db.transaction() as other:
            await run(other, ADD, "a@example.com")
        assert await value(tx, COUNT) == 0
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await run(tx, ADD, "b@example.com")
    assert await count(db) == 1


async def test_the_long_limits_of_a_snapshot_end_with_it(narrow: Database) -> None:
    limits = "SELECT current_setting('statement_timeout'), current_setting('transaction_isolation')"
    async with narrow.snapshot() as tx:
        assert await rows(tx, limits) == [("1h", "repeatable read")]
    async with narrow.transaction() as tx:
        assert await rows(tx, limits) == [("5s", "read committed")]


async def test_a_session_has_bounded_waits_and_acts_as_the_application(narrow: Database) -> None:
    settings = ("role", "timezone", "lock_timeout", "idle_in_transaction_session_timeout", "jit", "application_name")
    async with narrow.statement() as tx:
        found = [await value(tx, "SELECT current_setting($1)", name) for name in settings]
    assert found == ["numberdesk_app", "UTC", "2s", "10s", "off", "narrow"]


async def test_closing_does_not_wait_for_ever_for_a_connection_in_use(database_url: str) -> None:
    db = await open_database(database_url, size=2)
    async with db.statement() as tx:
        sleeping = asyncio.create_task(value(tx, "SELECT pg_sleep(30)"))
        await asyncio.sleep(0.05)
        started = seconds()
        await db.close()
        assert seconds() - started < 4
        with pytest.raises(asyncpg.PostgresConnectionError):
            await sleeping
    with pytest.raises(Unavailable):
        await count(db)


@dataclass(frozen=True)
class Word:
    id: int
    word: str


@dataclass(frozen=True)
class Name:
    word: str


WORDS = "SELECT 'unused' AS extra, word, id FROM unnest($1::text[]) WITH ORDINALITY AS item (word, id) ORDER BY id"


async def test_rows_become_nouns_by_the_names_of_their_fields(narrow: Database) -> None:
    async with narrow.statement() as tx:
        assert await many(tx, Word, WORDS, ["a", "b"]) == [Word(1, "a"), Word(2, "b")]
        assert await many(tx, Name, WORDS, ["a"]) == [Name("a")]
        assert await maybe(tx, Word, WORDS, []) is None
        assert await maybe(tx, Word, WORDS, ["a", "b"]) == Word(1, "a")
        assert await one(tx, Word, WORDS, ["a"]) == Word(1, "a")
        with pytest.raises(AssertionError, match="Word"):
            await one(tx, Word, WORDS, [])
        assert await value(tx, WORDS, []) is None
        assert await rows(tx, WORDS, ["a"]) == [("unused", "a", 1)]
        assert await run(tx, "INSERT INTO accounts (email) VALUES ('a'), ('b')") == 2
        assert await run(tx, "UPDATE accounts SET name = 'x' WHERE email = 'c'") == 0
        assert await run(tx, "SET lock_timeout = '1s'") == 0


def test_items_become_columns_also_by_names_of_names() -> None:
    items = [Word(1, "a"), Word(2, "b")]
    assert columns(items, "id", "word", "word.__class__") == [[1, 2], ["a", "b"], [str, str]]
    assert columns([], "id", "word") == [[], []]


async def test_a_server_that_does_not_let_us_in_is_told_from_one_out_of_reach(database_url: str) -> None:
    scheme, _, rest = database_url.partition("://")
    login, _, place = rest.partition("@")
    wrong_password = f"{scheme}://{login.partition(':')[0]}:not-the-password@{place}"
    with pytest.raises(DatabaseRefused, match="password"):
        await open_database(wrong_password, size=2)
    path, _, query = place.partition("?")
    with pytest.raises(DatabaseRefused, match="does not exist"):
        await open_database(f"{scheme}://{login}@{path}_gone?{query}", size=2)
    with pytest.raises(DatabaseRefused, match="nobody_here"):
        await open_database(database_url, size=2, role="nobody_here")


async def test_a_statement_given_up_between_its_halves_leaves_nothing_open(narrow: Database) -> None:
    with pytest.raises(asyncpg.DataError):
        async with narrow.statement() as tx:
            await value(tx, "SELECT count(*) + $1::int FROM accounts", "no number")
    await asyncio.sleep(0.2)
    async with narrow.statement() as tx:
        assert await value(tx, "SELECT clock_timestamp() - now() < interval '100 ms'")
    async with narrow.snapshot() as tx:
        assert await value(tx, "SELECT 1") == 1
