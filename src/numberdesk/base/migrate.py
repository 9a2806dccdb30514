"""Numbered plain-SQL migrations: every file runs once, in order, by one process at a time.

Migrations need a direct connection: the lock that keeps two processes apart belongs to a session, and PgBouncer in
transaction mode hands one session to many clients.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import asyncpg
import structlog

from numberdesk.base.clock import seconds
from numberdesk.base.db import LOST, Database, Tx, rows, value
from numberdesk.base.errors import Unavailable
from numberdesk.base.migrate_files import BUILT_CONCURRENTLY, Migration, MigrationRefused, Numbered, folder, read_folder

__all__ = [
    "Applied", "Delayed", "MigrationFailed", "MigrationRefused", "MigrationStatus", "Pending", "SchemaUnready",
    "ensure_partitions", "folder", "migrate", "read_folder", "refuse_unready", "status",
]  # fmt: skip

log = structlog.get_logger()

State = Literal["applied", "pending", "changed", "unknown"]
"""`changed`: applied, but the file is another one now. `unknown`: applied, and there is no such file."""

LOCK = int.from_bytes(b"ndmigrat")
"""The advisory lock of whoever migrates."""
WAITING_PAUSE = 0.1

# A statement that waits for a table makes all later statements on that table wait behind it: it gives up early and
# tries again. A statement that runs long holds its lock meanwhile: what needs more than a minute must be cut in
# batches or run without a transaction. A file may set its own limits with SET LOCAL.
LIMITS = "SET LOCAL lock_timeout = '4s'; SET LOCAL statement_timeout = '60s'"
RETRIES = 3
RETRY_PAUSE = 0.25
WATCH_EVERY = 0.2

# An index built concurrently stops neither readers nor writers. It takes its time and waits for every older
# transaction, a backup for example, and after a time-out all its work would be lost.
LONG_LIMITS = "SET lock_timeout = '30min'; SET statement_timeout = 0"

_TABLE = """
CREATE TABLE IF NOT EXISTS public.schema_migrations (
    number      int PRIMARY KEY,
    name        text NOT NULL,
    checksum    text NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    took_ms     int NOT NULL
)
"""
_HOLDERS = """
SELECT pid, coalesce(nullif(application_name, ''), backend_type, 'another user''s program') AS name, state
  FROM pg_stat_activity WHERE pid = ANY (pg_blocking_pids($1))
"""
_MIGRATING = """
SELECT a.pid, coalesce(nullif(a.application_name, ''), 'another user''s program') AS name, a.state
  FROM pg_locks l JOIN pg_stat_activity a USING (pid)
 WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND (l.classid::bigint << 32) | l.objid::bigint = $1
"""


class MigrationFailed(RuntimeError):
    """A file was run and did not succeed; the files before it stay applied. `str()` names it and the cause."""


class SchemaUnready(RuntimeError):
    """The database does not have the schema this code was written for; `str()` says what to do."""


@dataclass(frozen=True, slots=True)
class Pending(Numbered):
    """A file that is not applied yet."""


@dataclass(frozen=True, slots=True)
class Applied(Numbered):
    """A file that was applied just now."""

    took_ms: int


@dataclass(frozen=True, slots=True)
class Delayed:
    """A try that did not get its lock; another one follows."""

    what: str
    holder: str
    attempt: int


@dataclass(frozen=True, slots=True)
class MigrationStatus(Numbered):
    """How a number stands in the database."""

    state: State


OnStep = Callable[[Pending | Applied | Delayed], None]
"""Told of `Pending` before a file is run, `Applied` after it, `Delayed` before another try."""


async def migrate(
    url: str, *, folder: Path, dry_run: bool = False, on_step: OnStep | None = None, wait: float = 30
) -> list[Applied | Pending]:
    """Apply what is pending, in order, then make the partitions of the coming months.

    Each file is a transaction that also records it, so a failure leaves the files before it and nothing of itself.
    A file whose first line is `-- no transaction` holds one statement that may run twice. With `dry_run` nothing is
    written and what would be applied is returned.

    Args:
        wait: seconds to wait for another process that migrates now.

    Raises:
        MigrationRefused: as in `read_folder`; an applied file changed or is not there; somebody else migrates.
        MigrationFailed: a file failed, or did not get its lock in four tries.
        Unavailable: the server cannot be reached, or went away.
    """
    files = read_folder(folder)
    tell = on_step or _say_nothing
    try:
        async with _connected(url) as connection:
            if dry_run:
                return [Pending(item.number, item.name) for item in await _list_pending(connection, files)]
            await _wait_for_turn(connection, wait, tell)
            await connection.execute(_TABLE)
            done: list[Applied | Pending] = []
            for migration in await _list_pending(connection, files):
                tell(Pending(migration.number, migration.name))
                done.append(await _apply(connection, url, migration, tell))
                tell(done[-1])
            await _retry(connection, url, "Making partitions", lambda: _ensure_partitions(connection), tell)
            return done
    except LOST as lost:
        raise Unavailable from lost


async def status(tx: Tx, *, folder: Path) -> list[MigrationStatus]:
    """Return how every number stands, of the files and of the database, in order.

    A database that was never migrated, or whose record the role may not read, counts as empty.

    Raises:
        MigrationRefused: as in `read_folder`.
    """
    return await _compare(tx, read_folder(folder))


async def refuse_unready(db: Database, *, folder: Path) -> None:
    """Refuse to work on a schema that is older, newer or other than the one of the files.

    Raises:
        SchemaUnready: the sentence says which, and what to do.
        MigrationRefused: as in `read_folder`.
    """
    async with db.statement() as tx:
        found = await status(tx, folder=folder)
    if newer := _name(found, "unknown"):
        raise SchemaUnready(
            f"The database is newer than this version of Numberdesk, which does not know {newer}: "
            "start the version that migrated it, or a later one."
        )
    if changed := _name(found, "changed"):
        raise SchemaUnready(
            f"The database was made by another {changed} than the one of this version: "
            "start the version that migrated it."
        )
    if pending := _name(found, "pending"):
        raise SchemaUnready(f"The database lacks {pending}: run `numberdesk migrate` first.")


async def ensure_partitions(tx: Tx, *, months_ahead: int = 2) -> int:
    """Make the missing partitions of this month and the coming ones for every table partitioned by time.

    Returns how many were made. Months of which rows already stand in the default partition are left out.
    """
    if await value(tx, "SELECT to_regprocedure('public.create_month_partitions(regclass, integer)')") is None:
        return 0
    made = 0
    for (parent,) in await rows(
        tx,
        "SELECT partrelid FROM pg_partitioned_table JOIN pg_class ON oid = partrelid"
        " WHERE partstrat = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname",
    ):
        made += await value(tx, "SELECT public.create_month_partitions($1::oid::regclass, $2)", parent, months_ahead)
    return made


def _say_nothing(_step: Pending | Applied | Delayed) -> None:
    pass


def _name(found: Sequence[MigrationStatus], state: State) -> str:
    return ", ".join(item.file for item in found if item.state == state)


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Any]:
    # The application's database settings, such as a search path, must not decide where tables are made.
    settings = {"application_name": "numberdesk migrate", "timezone": "UTC", "search_path": "public"}
    connection = await asyncpg.connect(url, timeout=10, server_settings=settings)
    try:
        yield connection
        await connection.close(timeout=5)
    finally:
        connection.terminate()


async def _compare(tx: Tx, files: Sequence[Migration]) -> list[MigrationStatus]:
    recorded: dict[int, tuple[str, str]] = {}
    if await value(tx, "SELECT has_table_privilege(to_regclass('public.schema_migrations'), 'SELECT')"):
        for number, name, checksum in await rows(tx, "SELECT number, name, checksum FROM public.schema_migrations"):
            recorded[number] = (name, checksum)
    found: list[MigrationStatus] = []
    for item in files:
        known = recorded.pop(item.number, None)
        state: State = "pending" if known is None else "applied" if known == (item.name, item.checksum) else "changed"
        found.append(MigrationStatus(item.number, item.name, state))
    found += [MigrationStatus(number, name, "unknown") for number, (name, _) in sorted(recorded.items())]
    return found


async def _list_pending(connection: Any, files: list[Migration]) -> list[Migration]:
    found = await _compare(Tx(connection), files)
    if changed := _name(found, "changed"):
        raise MigrationRefused(
            f"{changed} was applied to this database and changed since: "
            "restore the file, and put the change into a new one."
        )
    if unknown := _name(found, "unknown"):
        raise MigrationRefused(
            f"{unknown} was applied to this database and is not among the files: "
            "the database is newer than this version of Numberdesk, or the file was lost."
        )
    pending = [item for item in found if item.state == "pending"]
    if pending and pending[0].number <= len(found) - len(pending):
        raise MigrationRefused(f"{pending[0].file} was never applied to this database, though later files were.")
    return files[len(files) - len(pending) :]


async def _wait_for_turn(connection: Any, wait: float, tell: OnStep) -> None:
    # Asking again and again instead of waiting inside the server: a session that waits holds a snapshot, and an index
    # that is built concurrently waits for that in turn. Closing the connection gives the lock back.
    end, told = seconds() + wait, False
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
        holder = _describe(await connection.fetch(_MIGRATING, LOCK)) or "one that has just ended"
        if seconds() >= end:
            raise MigrationRefused(
                f"Another process has been migrating this database for {wait:g} seconds: {holder}. "
                "Let it finish and try again."
            )
        if not told:
            told = True
            tell(Delayed("Migrating", holder, attempt=1))
        await asyncio.sleep(WAITING_PAUSE)


async def _apply(connection: Any, url: str, migration: Migration, tell: OnStep) -> Applied:
    run, retries = (_run_transaction, RETRIES) if migration.is_transaction else (_run_alone, 0)
    try:
        took_ms = await _retry(connection, url, migration.file, lambda: run(connection, migration), tell, retries)
    except LOST:
        raise
    except asyncpg.PostgresError as problem:
        position = getattr(problem, "position", None)
        line = f", line {migration.sql[: int(position)].count(chr(10)) + 1}" if position else ""
        left = "nothing of it was kept" if migration.is_transaction else "it ran without a transaction"
        raise MigrationFailed(f"{migration.file}{line}: {problem.args[0]} ({left}).") from problem
    finally:
        if not connection.is_closed():
            await connection.execute("RESET ALL")  # what a file SETs ends with it
    log.info("migration_applied", file=migration.file, took_ms=took_ms)
    return Applied(migration.number, migration.name, took_ms)


async def _run_transaction(connection: Any, migration: Migration) -> int:
    began = seconds()
    async with connection.transaction():
        await connection.execute(LIMITS)
        await connection.execute(migration.sql)
        return await _record(connection, migration, began)


async def _run_alone(connection: Any, migration: Migration) -> int:
    began = seconds()
    await connection.execute(LONG_LIMITS)
    # A build that was interrupted leaves an index that is never used and that IF NOT EXISTS would take for done.
    for found in BUILT_CONCURRENTLY.finditer(migration.sql):
        invalid = "SELECT indexrelid::regclass FROM pg_index WHERE indexrelid = to_regclass($1) AND NOT indisvalid"
        if await connection.fetchval(invalid, found["index"]) is not None:
            await connection.execute(f"DROP INDEX CONCURRENTLY {found['index']}")
    await connection.fetch(migration.sql)  # unlike `execute`, this takes one statement only
    return await _record(connection, migration, began)


async def _record(connection: Any, migration: Migration, began: float) -> int:
    took_ms = round((seconds() - began) * 1000)
    await connection.execute(
        "INSERT INTO public.schema_migrations (number, name, checksum, took_ms) VALUES ($1, $2, $3, $4)",
        migration.number,
        migration.name,
        migration.checksum,
        took_ms,
    )
    return took_ms


async def _ensure_partitions(connection: Any) -> int:
    async with connection.transaction():
        await connection.execute(LIMITS)
        return await ensure_partitions(Tx(connection))


async def _retry(
    connection: Any, url: str, what: str, work: Callable[[], Awaitable[int]], tell: OnStep, retries: int = RETRIES
) -> int:
    for attempt in range(1, retries + 2):
        async with _watched(url, connection.get_server_pid()) as holders:
            try:
                return await work()
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
                holder = " and ".join(holders) or "a process that ended meanwhile"
        if attempt <= retries:
            log.warning("migration_delayed", what=what, holder=holder, attempt=attempt)
            tell(Delayed(what, holder, attempt))
            await asyncio.sleep(RETRY_PAUSE * attempt)
    raise MigrationFailed(
        f"{what} did not get a lock in {retries + 1} tries: it is held by {holder}. "
        "Let that finish, or end it, and try again."
    )


@asynccontextmanager
async def _watched(url: str, pid: int) -> AsyncIterator[list[str]]:
    # Who holds a lock can only be asked while we wait for it, so a second connection asks.
    holders: list[str] = []
    task = asyncio.create_task(_note_holders(url, pid, holders))
    try:
        yield holders
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _note_holders(url: str, pid: int, holders: list[str]) -> None:
    await asyncio.sleep(WATCH_EVERY)
    async with _connected(url) as connection:
        while True:
            if found := await connection.fetch(_HOLDERS, pid):
                holders[:] = [_describe([row]) for row in found]
            await asyncio.sleep(WATCH_EVERY)


def _describe(sessions: Sequence[Any]) -> str:
    return " and ".join(f"process {row['pid']} ({row['name']}, {row['state'] or 'busy'})" for row in sessions)
