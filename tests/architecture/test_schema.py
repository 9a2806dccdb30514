"""What the schema itself promises, whatever the code does, on the newest and on the oldest supported PostgreSQL."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.base import clock
from numberdesk.base.db import APP_ROLE, Database, open_database
from numberdesk.base.migrate import ensure_partitions, folder, migrate, refuse_unready
from numberdesk.base.postgres import Cluster, running
from tests import postgres

pytestmark = pytest.mark.anyio

OLDEST = Path("/usr/lib/postgresql/15/bin")
LEDGER = ("postings", "entries")
CHANGES = ("UPDATE {} SET at = now()", "DELETE FROM {}", "TRUNCATE {}")
POSTING = "INSERT INTO postings (kind, cause_type, cause_id) VALUES ('hold', 'order', $1) RETURNING id"
ENTRY = (
    "INSERT INTO entries (posting_id, at, bucket, amount_paise) VALUES ($1, $2, 'revenue', 1)"
    " RETURNING tableoid::regclass::text"
)


@pytest.fixture(scope="module", params=["newest", "15"])
def server(
    request: pytest.FixtureRequest, cluster: Cluster, portal: BlockingPortal, run_folder: Path
) -> Iterator[Cluster]:
    """Servers whose own database is migrated."""
    if request.param == "15" and not OLDEST.is_dir():
        pytest.skip(f"PostgreSQL 15 is not installed in {OLDEST}")
    if request.param == "newest":
        opened: Any = nullcontext(cluster)
    else:
        opened = portal.wrap_async_context_manager(running(run_folder / "oldest", pg_bin=OLDEST))
    with opened as server:
        portal.call(postgres.migrate_template, server)
        yield server


@pytest.fixture
def database(server: Cluster, portal: BlockingPortal) -> Iterator[str]:
    """A copy of the migrated database for one test."""
    name = f"numberdesk_{os.getpid()}_schema"
    portal.call(lambda: postgres.make_database(server, name, template=postgres.TEMPLATE))
    yield name
    portal.call(postgres.drop_database, server, name)


@pytest.fixture
async def owner(server: Cluster, database: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(postgres.in_database(server.owner_url, database))
    yield connection
    await connection.close()


@pytest.fixture
async def app(server: Cluster, database: str) -> AsyncIterator[Any]:
    url = postgres.in_database(server.app_url, database)
    connection = await asyncpg.connect(url, server_settings={"role": APP_ROLE})
    yield connection
    await connection.close()


async def test_the_application_can_neither_change_nor_remove_ledger_rows(app: Any) -> None:
    for table, change in product(LEDGER, CHANGES):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match=f"permission denied for table {table}"):
            await app.execute(change.format(table))


async def test_the_owner_is_refused_by_trigger(owner: Any) -> None:
    await owner.execute(ENTRY, await owner.fetchval(POSTING, "1"), clock.now())
    for table, change in product(LEDGER, CHANGES):
        with pytest.raises(asyncpg.RaiseError, match=f"{table}.* is append-only: correct it with a new posting"):
            await owner.execute(change.format(table))
        assert await owner.fetchval(f"SELECT count(*) FROM {table}") == 1


async def test_the_application_reaches_no_partition_and_makes_no_table(app: Any) -> None:
    for statement in (*CHANGES, "DROP TABLE {}", "SELECT FROM {}", "CREATE TABLE mine ()"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute(statement.format("entries_default"))


async def test_the_application_adds_rows_that_land_in_the_partition_of_their_month(app: Any) -> None:
    posting = await app.fetchval(POSTING, "1")
    months = [datetime(2020, 1, 1, tzinfo=UTC), *await months_ahead(app)]
    assert [await app.fetchval(ENTRY, posting, month) for month in months] == [
        "entries_default", *(f"entries_{month:%Y_%m}" for month in months[1:]),
    ]  # fmt: skip


async def test_partitions_begin_with_the_month_in_utc(app: Any) -> None:
    posting, second = await app.fetchval(POSTING, "1"), (await months_ahead(app))[1]
    await app.execute("SET timezone = 'Asia/Kolkata'")
    assert await app.fetchval(ENTRY, posting, second) == f"entries_{second:%Y_%m}"
    before = second - timedelta(microseconds=1)
    assert await app.fetchval(ENTRY, posting, before) == f"entries_{before:%Y_%m}"


async def test_every_table_partitioned_by_time_has_this_month_and_two_more(owner: Any) -> None:
    parents, months = ("entries", "messages", "exchanges", "audit_log", "transcripts"), await months_ahead(owner)
    found = {row["tablename"] for row in await owner.fetch("SELECT tablename FROM pg_tables")}
    assert {f"{parent}_{month:%Y_%m}" for parent in parents for month in months} <= found


async def test_the_application_makes_partitions_ahead_and_two_at_once_do_not_collide(
    server: Cluster, database: str, owner: Any
) -> None:
    made_before = await partitions(owner)
    db = await open_database(postgres.in_database(server.app_url, database), size=4)
    try:
        made = await asyncio.gather(*(make_ahead(db) for _ in range(4)))
    finally:
        await db.close()
    assert sum(made) == 10
    assert await partitions(owner) - made_before == 10


async def test_not_even_the_owner_truncates_a_partition_of_the_entries(owner: Any) -> None:
    names = await owner.fetch(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'entries'::regclass"
    )
    assert len(names) >= 4
    for (name,) in names:
        with pytest.raises(asyncpg.RaiseError, match="append-only"):
            await owner.execute(f"TRUNCATE {name}")


async def test_rows_in_the_default_partition_do_not_hold_up_the_other_months(owner: Any) -> None:
    last = (await months_ahead(owner))[-1]
    lost, next_one = last + timedelta(days=32), last + timedelta(days=64)
    assert await owner.fetchval(ENTRY, await owner.fetchval(POSTING, "1"), lost) == "entries_default"
    assert await owner.fetchval("SELECT create_month_partitions('entries', 4)") == 1
    assert await owner.fetchval("SELECT to_regclass($1)::text", f"entries_{lost:%Y_%m}") is None
    assert await owner.fetchval("SELECT to_regclass($1) IS NOT NULL", f"entries_{next_one:%Y_%m}")


async def test_the_application_starts_on_it(server: Cluster, database: str) -> None:
    assert await migrate(postgres.in_database(server.owner_url, database), folder=folder()) == []
    db = await open_database(postgres.in_database(server.app_url, database), size=1)
    try:
        await refuse_unready(db, folder=folder())
    finally:
        await db.close()


async def make_ahead(db: Database) -> int:
    async with db.statement() as tx:
        return await ensure_partitions(tx, months_ahead=4)


async def partitions(connection: Any) -> int:
    count: int = await connection.fetchval("SELECT count(*) FROM pg_class WHERE relispartition AND relkind = 'r'")
    return count


async def months_ahead(connection: Any) -> list[datetime]:
    """Return the first instant of this month and of the two after it, by the server's clock."""
    now: datetime = await connection.fetchval("SELECT now()")
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    second = (first + timedelta(days=32)).replace(day=1)
    return [first, second, (second + timedelta(days=32)).replace(day=1)]
