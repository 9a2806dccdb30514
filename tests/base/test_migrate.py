"""The runner of migrations: what it refuses, what a failure leaves, and two processes at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from numberdesk.base.db import Database, open_database
from numberdesk.base.errors import Unavailable
from numberdesk.base.migrate import (
    Applied,
    Delayed,
    MigrationFailed,
    MigrationRefused,
    Pending,
    SchemaUnready,
    folder,
    migrate,
    refuse_unready,
    status,
)

pytestmark = pytest.mark.anyio

WORDS = "CREATE TABLE words (id int PRIMARY KEY, word text);\n"
INDEX = "-- no transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS words_word ON words (word);\n"


def write(place: Path, *files: str) -> Path:
    """Write files numbered from 1, named after their number."""
    for old in place.iterdir():
        old.unlink()
    for number, sql in enumerate(files, start=1):
        (place / f"{number:04}_step{number}.sql").write_text(sql, encoding="utf-8")
    return place


@asynccontextmanager
async def connected(url: str, **settings: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url, timeout=10, server_settings=settings)
    try:
        yield connection
    finally:
        await connection.close()


async def tables(url: str) -> list[str]:
    async with connected(url) as connection:
        found = await connection.fetch("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        return [row["tablename"] for row in found]


@pytest.fixture
async def owner_db(new_owner_url: str) -> AsyncIterator[Database]:
    db = await open_database(new_owner_url, size=2, role=None)
    yield db
    await db.close()


# What is refused


async def test_a_changed_file_is_refused_and_nothing_after_it_is_run(new_owner_url: str, tmp_path: Path) -> None:
    await migrate(new_owner_url, folder=write(tmp_path, WORDS))
    write(tmp_path, WORDS + "-- a harmless remark\n", "CREATE TABLE more ();")
    with pytest.raises(MigrationRefused, match=r"0001_step1\.sql was applied to this database and changed"):
        await migrate(new_owner_url, folder=tmp_path)
    assert "more" not in await tables(new_owner_url)


async def test_a_renamed_file_is_refused(new_owner_url: str, tmp_path: Path) -> None:
    await migrate(new_owner_url, folder=write(tmp_path, WORDS))
    (tmp_path / "0001_step1.sql").rename(tmp_path / "0001_words.sql")
    with pytest.raises(MigrationRefused, match=r"0001_words\.sql was applied to this database and changed"):
        await migrate(new_owner_url, folder=tmp_path)


@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_missing_file_is_refused_as_a_newer_database(
    new_owner_url: str, owner_db: Database, tmp_path: Path, dry_run: bool
) -> None:
    await migrate(new_owner_url, folder=write(tmp_path, WORDS, "CREATE TABLE newer ();"))
    write(tmp_path, WORDS)
    with pytest.raises(MigrationRefused, match=r"0002_step2\.sql was applied .* newer than this version"):
        await migrate(new_owner_url, folder=tmp_path, dry_run=dry_run)
    with pytest.raises(SchemaUnready, match=r"newer than this version .* does not know 0002_step2\.sql"):
        await refuse_unready(owner_db, folder=tmp_path)


async def test_a_hole_in_what_was_applied_is_refused(new_owner_url: str, tmp_path: Path) -> None:
    await migrate(new_owner_url, folder=write(tmp_path, WORDS, "CREATE TABLE more ();", "CREATE TABLE most ();"))
    async with connected(new_owner_url) as connection:
        await connection.execute("DELETE FROM schema_migrations WHERE number = 2")
    with pytest.raises(MigrationRefused, match=r"0002_step2\.sql was never applied"):
        await migrate(new_owner_url, folder=tmp_path)


async def test_work_on_an_older_schema_is_refused(new_owner_url: str, owner_db: Database, tmp_path: Path) -> None:
    with pytest.raises(SchemaUnready, match=r"lacks 0001_step1\.sql: run `numberdesk migrate` first"):
        await refuse_unready(owner_db, folder=write(tmp_path, WORDS))
    await migrate(new_owner_url, folder=tmp_path)
    await refuse_unready(owner_db, folder=tmp_path)
    with pytest.raises(SchemaUnready, match=r"lacks 0002_step2\.sql"):
        await refuse_unready(owner_db, folder=write(tmp_path, WORDS, "CREATE TABLE more ();"))


async def test_work_on_a_schema_of_other_files_is_refused(
    new_owner_url: str, owner_db: Database, tmp_path: Path
) -> None:
    await migrate(new_owner_url, folder=write(tmp_path, WORDS))
    with pytest.raises(SchemaUnready, match=r"another 0001_step1\.sql"):
        await refuse_unready(owner_db, folder=write(tmp_path, "CREATE TABLE words ();"))


async def test_a_process_that_waits_too_long_is_told_who_migrates(new_owner_url: str, tmp_path: Path) -> None:
    write(tmp_path, "SELECT pg_sleep(1.5);")
    began = asyncio.Event()
    first = asyncio.create_task(migrate(new_owner_url, folder=tmp_path, on_step=lambda _step: began.set()))
    await began.wait()
    with pytest.raises(MigrationRefused, match=r"for 0\.3 seconds: process \d+ \(numberdesk migrate, active\)"):
        await migrate(new_owner_url, folder=tmp_path, wait=0.3)
    assert len(await first) == 1


async def test_a_server_that_does_not_answer_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        await migrate("postgresql://nobody@127.0.0.1:1/nothing", folder=write(tmp_path, WORDS))


# What a failure leaves


async def test_a_failing_file_leaves_nothing_of_itself_and_all_before_it(new_owner_url: str, tmp_path: Path) -> None:
    failing = "CREATE TABLE half ();\nINSERT INTO words\nSELECT 1, missing;\n"
    write(tmp_path, WORDS, failing, "CREATE TABLE more ();")
    sentence = r'0002_step2\.sql, line 3: column "missing" does not exist \(nothing of it was kept\)\.'
    with pytest.raises(MigrationFailed, match=sentence):
        await migrate(new_owner_url, folder=tmp_path)
    assert await tables(new_owner_url) == ["schema_migrations", "words"]
    write(tmp_path, WORDS, "CREATE TABLE whole ();")
    assert [item.number for item in await migrate(new_owner_url, folder=tmp_path)] == [2]


async def test_a_file_and_its_record_are_kept_or_lost_together(new_owner_url: str, tmp_path: Path) -> None:
    write(tmp_path, "CREATE TABLE half (); ALTER TABLE schema_migrations ADD CONSTRAINT none CHECK (number < 1);")
    with pytest.raises(MigrationFailed, match=r'0001_step1\.sql: .* violates check constraint "none"'):
        await migrate(new_owner_url, folder=tmp_path)
    assert await tables(new_owner_url) == ["schema_migrations"]


async def test_a_file_runs_within_short_limits(new_owner_url: str, tmp_path: Path) -> None:
    limit = "current_setting('lock_timeout') || ' ' || current_setting('statement_timeout')"
    await migrate(new_owner_url, folder=write(tmp_path, f"CREATE TABLE limits AS SELECT {limit} AS limits"))
    async with connected(new_owner_url) as connection:
        assert await connection.fetchval("SELECT limits FROM limits") == "4s 1min"


async def test_an_interrupted_file_leaves_nothing_and_the_next_try_runs_it(new_owner_url: str, tmp_path: Path) -> None:
    began = asyncio.Event()
    write(tmp_path, "CREATE TABLE half (); SELECT pg_sleep(30);")
    task = asyncio.create_task(migrate(new_owner_url, folder=tmp_path, on_step=lambda _step: began.set()))
    await began.wait()
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(await migrate(new_owner_url, folder=write(tmp_path, "CREATE TABLE half ();"), wait=5)) == 1


async def test_a_dry_run_writes_nothing(new_owner_url: str, tmp_path: Path) -> None:
    found = await migrate(new_owner_url, folder=write(tmp_path, WORDS, INDEX), dry_run=True)
    assert found == [Pending(1, "step1"), Pending(2, "step2")]
    assert await tables(new_owner_url) == []


async def test_what_a_file_sets_ends_with_it(new_owner_url: str, tmp_path: Path) -> None:
    write(tmp_path, "CREATE SCHEMA other; SET search_path = other; CREATE TABLE there ();", WORDS)
    await migrate(new_owner_url, folder=tmp_path)
    assert "words" in await tables(new_owner_url)


async def test_a_lock_that_is_not_given_up_is_reported_with_its_holder(new_owner_url: str, tmp_path: Path) -> None:
    await migrate(new_owner_url, folder=write(tmp_path, WORDS))
    write(tmp_path, WORDS, "SET LOCAL lock_timeout = '600ms'; ALTER TABLE words ADD COLUMN more text;")
    steps: list[Any] = []
    async with connected(new_owner_url, application_name="month end report") as report, report.transaction():
        await report.execute("SELECT count(*) FROM words")
        holder = f"process {report.get_server_pid()} (month end report, idle in transaction)"
        with pytest.raises(MigrationFailed) as failure:
            await migrate(new_owner_url, folder=tmp_path, on_step=steps.append)
    assert str(failure.value).startswith(f"0002_step2.sql did not get a lock in 4 tries: it is held by {holder}.")
    assert steps == [Pending(2, "step2"), *(Delayed("0002_step2.sql", holder, attempt) for attempt in (1, 2, 3))]


async def test_a_lock_that_is_given_up_in_time_only_delays(new_owner_url: str, tmp_path: Path) -> None:
    await migrate(new_owner_url, folder=write(tmp_path, WORDS))
    write(tmp_path, WORDS, "SET LOCAL lock_timeout = '300ms'; ALTER TABLE words ADD COLUMN more text;")
    delayed = asyncio.Event()

    def note(step: object) -> None:
        if isinstance(step, Delayed):
            delayed.set()

    async with connected(new_owner_url) as report:
        transaction = report.transaction()
        await transaction.start()
        await report.execute("SELECT count(*) FROM words")
        task = asyncio.create_task(migrate(new_owner_url, folder=tmp_path, on_step=note))
        await delayed.wait()
        await transaction.rollback()
        assert [item.number for item in await task] == [2]


# Without a transaction


async def test_an_index_is_built_without_a_transaction(new_owner_url: str, tmp_path: Path) -> None:
    done = await migrate(new_owner_url, folder=write(tmp_path, WORDS, INDEX))
    assert [item.file for item in done] == ["0001_step1.sql", "0002_step2.sql"]
    async with connected(new_owner_url) as connection:
        assert await connection.fetchval("SELECT indisvalid FROM pg_index WHERE indexrelid = 'words_word'::regclass")


async def test_two_statements_without_a_transaction_are_not_run(new_owner_url: str, tmp_path: Path) -> None:
    with pytest.raises(MigrationFailed, match=r"0001_step1\.sql: cannot insert multiple commands"):
        await migrate(new_owner_url, folder=write(tmp_path, f"-- no transaction\n{WORDS}SELECT 1;"))
    assert await tables(new_owner_url) == ["schema_migrations"]


async def test_an_index_left_invalid_is_built_again(new_owner_url: str, tmp_path: Path) -> None:
    unique = "-- no transaction\nCREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS words_word ON words (word);\n"
    write(tmp_path, f"{WORDS}INSERT INTO words VALUES (1, 'same'), (2, 'same');", unique)
    with pytest.raises(MigrationFailed, match=r"0002_step2\.sql: could not create unique .*without a transaction"):
        await migrate(new_owner_url, folder=tmp_path)
    async with connected(new_owner_url) as connection:
        valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'words_word'::regclass"
        assert await connection.fetchval(valid) is False
        await connection.execute("DELETE FROM words WHERE id = 2")
        await migrate(new_owner_url, folder=tmp_path)
        assert await connection.fetchval(valid) is True


# Two processes at once, and what is told


async def test_two_processes_at_once_apply_every_file_once(new_owner_url: str) -> None:
    first, second = await asyncio.gather(*(migrate(new_owner_url, folder=folder()) for _ in range(2)))
    numbers = sorted(item.number for item in [*first, *second])
    assert numbers == list(range(1, len(list(folder().iterdir())) + 1))
    assert not first or not second


async def test_a_waiting_process_does_not_stop_an_index_from_being_built(new_owner_url: str, tmp_path: Path) -> None:
    rows = f"{WORDS}INSERT INTO words SELECT n, n::text FROM generate_series(1, 20000) n; SELECT pg_sleep(0.3);"
    write(tmp_path, rows, INDEX)
    done = await asyncio.gather(*(migrate(new_owner_url, folder=tmp_path) for _ in range(3)))
    assert sorted(len(items) for items in done) == [0, 0, 2]


async def test_progress_and_status_are_told(new_owner_url: str, owner_db: Database, tmp_path: Path) -> None:
    steps: list[Any] = []
    await migrate(new_owner_url, folder=write(tmp_path, WORDS, "CREATE TABLE more ();"), on_step=steps.append)
    assert [type(step) for step in steps] == [Pending, Applied, Pending, Applied]
    write(tmp_path, "CREATE TABLE words ();", "CREATE TABLE more ();", "CREATE TABLE most ();")
    async with owner_db.statement() as tx:
        assert [(item.number, item.name, item.state) for item in await status(tx, folder=tmp_path)] == [
            (1, "step1", "changed"),
            (2, "step2", "applied"),
            (3, "step3", "pending"),
        ]
    write(tmp_path, WORDS)
    async with owner_db.statement() as tx:
        assert [item.state for item in await status(tx, folder=tmp_path)] == ["applied", "unknown"]
