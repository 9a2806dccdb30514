"""PostgreSQL: the pool, transactions and four ways to run a statement.

`Database` opens transactions, `Tx` is one. A function whose first parameter is `db` owns its transactions; one that
takes `tx` runs in its caller's. The driver is named in this file only.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, fields
from operator import attrgetter, itemgetter
from typing import Any, LiteralString, TypeVar

import asyncpg
import structlog
from prometheus_client import Counter

from numberdesk.base.errors import AppError, Unavailable

log = structlog.get_logger()
T = TypeVar("T")

APP_ROLE = "numberdesk_app"
"""The role that web and worker act as: it cannot update or delete postings and entries."""

ACQUIRE_TIMEOUT = 2.0
LOCK_TIMEOUT = "2s"
STATEMENT_TIMEOUT = "5s"
IDLE_IN_TRANSACTION_TIMEOUT = "10s"
SNAPSHOT_SECONDS = 3600
SNAPSHOT_SETTINGS = (
    f"SET LOCAL statement_timeout = '{SNAPSHOT_SECONDS}s'; SET LOCAL idle_in_transaction_session_timeout = '10min'; "
    "SET LOCAL work_mem = '64MB'; SET LOCAL max_parallel_workers_per_gather = 0"
)

LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.TooManyConnectionsError,
    ConnectionError,
    OSError,
)
"""The server cannot be reached, or went away in the middle."""

NO_CONNECTION = Counter(
    "numberdesk_database_no_connection", "Times that no connection to the database was to be had in time."
)

REFUSED = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidParameterValueError,
    asyncpg.InsufficientPrivilegeError,
)
"""The server does not let us in as we are."""

UNDONE = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
)
"""The server undid the transaction: deadlock, lock or statement time-out."""


class Undone(Unavailable):
    """The server undid the transaction; the same work may simply run again."""


class Duplicate(RuntimeError):
    """A unique constraint refused a row; `constraint` is its name."""

    def __init__(self, constraint: str) -> None:
        super().__init__(constraint)
        self.constraint = constraint


class CommitUnknown(Unavailable):
    """The connection was lost while the transaction ended: it may or may not be committed.

    The exception is the same in both cases, so the caller must read by its business key, never guess.
    """


class DatabaseRefused(RuntimeError):
    """The server answers and does not let us in: wrong password, database or role. `str()` says which."""


class UnsafeDatabase(RuntimeError):
    """The server would forget acknowledged money; the sentence says which setting is off."""


class Tx:
    """One open transaction, or one statement that is its own transaction (`Database.statement`)."""

    __slots__ = ("_connection", "_timeout")

    def __init__(self, connection: Any, *, timeout: float | None = None) -> None:
        self._connection = connection
        self._timeout = timeout
        """Seconds for one statement; None: the pool's."""


@dataclass(frozen=True)
class Database:
    """A pool of connections to one database."""

    pool: Any
    url: str
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    _waits: set[asyncio.Future[Any]] = field(default_factory=set)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        """Open a transaction; it commits when the block ends, and rolls back when it raises.

        Raises:
            Unavailable: no connection within `ACQUIRE_TIMEOUT`, or lost before the end; nothing was done.
            CommitUnknown: lost while committing.
            Undone: deadlock, lock or statement time-out.
            Duplicate: a unique constraint refused a row.
        """
        async with self._borrowed() as connection, _transaction(connection):
            yield Tx(connection)

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[Tx]:
        """Borrow a connection for single statements, each its own transaction: reads and one-row changes.

        Raises:
            Unavailable: as in `transaction`, but a change that was under way may be done.
            Undone, Duplicate: as in `transaction`.
        """
        async with self._borrowed() as connection:
            try:
                yield Tx(connection)
            except (AppError, *UNDONE, asyncpg.UniqueViolationError):
                raise
            except BaseException:
                await _sync(connection)
                raise

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Tx]:
        """Read for long from one moment of the database: what commits meanwhile is not seen, nothing can be written.

        Raises:
            Unavailable, Undone: as in `transaction`; a statement may take `SNAPSHOT_SECONDS`.
        """
        options = {"isolation": "repeatable_read", "readonly": True}
        async with self._borrowed() as connection, _transaction(connection, **options):
            await connection.execute(SNAPSHOT_SETTINGS)
            # The server's time-out comes first and says what happened.
            yield Tx(connection, timeout=SNAPSHOT_SECONDS + 10.0)

    async def to_the_end(self, work: Coroutine[Any, Any, T]) -> T:
        """Run work that a cancelled caller must not interrupt, such as a reservation and its upstream call.

        A cancelled transaction may have committed all the same (measured: 57 of 100), so the work goes on in its own
        task and only the waiting ends.
        """
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        wait = asyncio.shield(task)
        self._waits.add(wait)
        wait.add_done_callback(self._waits.discard)
        return await wait

    def let_go(self) -> None:
        """End all waiting for work started by `to_the_end`, because the process stops: callers get `Unavailable`."""
        for wait in list(self._waits):
            if not wait.done():
                wait.set_exception(Unavailable())

    async def drain(self, *, timeout: float) -> None:
        """Wait for the work started by `to_the_end`."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=timeout)

    def occupancy(self) -> tuple[int, int, int]:
        """Return how many connections the pool holds, how many of them are at work, and how many it may hold."""
        size = self.pool.get_size()
        return size, size - self.pool.get_idle_size(), self.pool.get_max_size()

    async def close(self) -> None:
        """Close the pool, at once for connections that do not come back within two seconds."""
        try:
            await asyncio.wait_for(self.pool.close(), timeout=2)
        except TimeoutError:
            self.pool.terminate()

    @asynccontextmanager
    async def _borrowed(self) -> AsyncIterator[Any]:
        connection = await self._acquire()
        try:
            yield connection
        except LOST as lost:
            # The driver has the same error for wrong use, such as two tasks in one transaction: no server was lost.
            if isinstance(lost, asyncpg.InterfaceError) and not _is_gone(connection):
                raise
            raise Unavailable from lost
        except UNDONE as undone:
            raise Undone from undone
        except asyncpg.UniqueViolationError as refusal:
            raise Duplicate(refusal.constraint_name or "") from refusal
        finally:
            await self._release(connection)

    async def _acquire(self) -> Any:
        try:
            connection = await self.pool.acquire(timeout=ACQUIRE_TIMEOUT)
        except (TimeoutError, *LOST) as problem:
            NO_CONNECTION.inc()
            raise Unavailable from problem
        if _is_gone(connection) or connection.is_in_transaction():
            await self._release(connection)
            raise Unavailable
        return connection

    async def _release(self, connection: Any) -> None:
        # Interrupted inside a transaction: the next caller would write into one that is not its own.
        if not _is_gone(connection) and connection.is_in_transaction():
            connection.terminate()
        try:
            await self.pool.release(connection)
        except LOST as problem:
            log.warning("connection_not_returned", problem=type(problem).__name__)


def _is_gone(connection: Any) -> bool:
    """Tell whether a connection was lost; the pool has taken a lost one back, and then it answers no question."""
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        return True


async def _sync(connection: Any) -> None:
    """End what a statement left open that was stopped between its halves, for the driver prepares without a sync.

    Nobody knows of the transaction that has begun then: the next caller would have its old snapshot and old `now()`.
    """
    is_clean = False
    try:
        with suppress(*LOST, *UNDONE):
            await connection.execute("SELECT")
            is_clean = True
    finally:
        if not is_clean and not _is_gone(connection):
            connection.terminate()


@asynccontextmanager
async def _transaction(connection: Any, **options: Any) -> AsyncIterator[None]:
    transaction = connection.transaction(**options)
    try:
        await transaction.start()
    except BaseException:
        # Whether it began is not known, so nobody else may get this connection.
        if not _is_gone(connection):
            connection.terminate()
        raise
    try:
        yield
    except BaseException:
        if not _is_gone(connection):
            with suppress(*LOST):  # lost is rolled back as well, and the block's own error says more
                await transaction.rollback()
        raise
    try:
        await transaction.commit()
    except LOST as lost:
        raise CommitUnknown from lost


async def open_database(url: str, *, size: int, role: str | None = APP_ROLE, name: str = "numberdesk") -> Database:
    """Open a pool; every connection acts as `role` in UTC with bounded waits.

    Raises:
        Unavailable: the server does not answer.
        DatabaseRefused: wrong password, database or role.
        UnsafeDatabase: a durability setting is off.
    """
    settings = {
        "application_name": name,
        "timezone": "UTC",
        "lock_timeout": LOCK_TIMEOUT,
        "statement_timeout": STATEMENT_TIMEOUT,
        "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_TIMEOUT,
        "jit": "off",
    }
    if role is not None:
        settings["role"] = role
    try:
        pool = await asyncpg.create_pool(
            url,
            min_size=min(2, size),
            max_size=size,
            server_settings=settings,
            timeout=10,
            command_timeout=15,
            reset=_leave_as_it_is,
        )
    except REFUSED as problem:
        raise DatabaseRefused(f"The database refused the connection: {problem}.") from problem
    except LOST as problem:
        raise Unavailable from problem
    db = Database(pool=pool, url=url)
    try:
        async with db.statement() as tx:
            await refuse_unsafe(tx)
    except BaseException:
        await db.close()
        raise
    return db


async def _leave_as_it_is(_connection: Any) -> None:
    """Skip the driver's clean-up on return, a round trip each time: we change nothing that outlives a transaction."""


async def refuse_unsafe(tx: Tx) -> None:
    """Refuse a server that can lose an acknowledged commit.

    Source: measured, 8 of 8 kills lost commits with `synchronous_commit=off`.

    Raises:
        UnsafeDatabase: `fsync`, `synchronous_commit` or `full_page_writes` is off.
    """
    off = [
        name
        for name in ("fsync", "synchronous_commit", "full_page_writes")
        if await value(tx, "SELECT current_setting($1)", name) == "off"
    ]
    if off:
        raise UnsafeDatabase(f"PostgreSQL runs with {', '.join(off)} off and could forget paid money: switch it on.")


_builders: dict[Any, Callable[[Any], Any]] = {}


def _builder(kind: Any) -> Callable[[Any], Any]:
    known = _builders.get(kind)
    if known is not None:
        return known
    names = tuple(item.name for item in fields(kind))
    pick = itemgetter(*names)
    single = len(names) == 1
    _builders[kind] = (lambda record: kind(pick(record))) if single else (lambda record: kind(*pick(record)))
    return _builders[kind]


async def many(tx: Tx, kind: type[T], query: LiteralString, *args: object) -> list[T]:
    """Return one `kind` per row, built from the columns named like its fields; other columns are ignored."""
    build = _builder(kind)
    return [build(record) for record in await tx._connection.fetch(query, *args, timeout=tx._timeout)]


async def maybe(tx: Tx, kind: type[T], query: LiteralString, *args: object) -> T | None:
    """Return the first row as `kind`, or None."""
    record = await tx._connection.fetchrow(query, *args, timeout=tx._timeout)
    if record is None:
        return None
    found: T = _builder(kind)(record)
    return found


async def one(tx: Tx, kind: type[T], query: LiteralString, *args: object) -> T:
    """Return the row as `kind`; its absence is a bug of ours."""
    found = await maybe(tx, kind, query, *args)
    assert found is not None, f"no row for {kind.__name__}"
    return found


async def rows(tx: Tx, query: LiteralString, *args: object) -> list[tuple[Any, ...]]:
    """Return the rows as tuples, for results that are no noun of their own."""
    return [tuple(record) for record in await tx._connection.fetch(query, *args, timeout=tx._timeout)]


async def value(tx: Tx, query: LiteralString, *args: object) -> Any:
    """Return the first column of the first row, or None."""
    return await tx._connection.fetchval(query, *args, timeout=tx._timeout)


async def run(tx: Tx, query: LiteralString, *args: object) -> int:
    """Run a statement and return how many rows it touched."""
    status: str = await tx._connection.execute(query, *args, timeout=tx._timeout)
    count = status.rpartition(" ")[2]
    return int(count) if count.isdigit() else 0


def columns(items: Sequence[Any], *names: str) -> list[list[Any]]:
    """Turn a list of items into one list per named attribute, for `unnest($1, $2, …)`."""
    picks = [attrgetter(name) for name in names]
    return [[pick(item) for item in items] for pick in picks]
