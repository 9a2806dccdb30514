"""Start, share and stop the embedded PostgreSQL of one home folder.

`running` is the door. Any number of processes may use one home: the first one starts the server, the last one stops it.
They agree through file locks, which the kernel releases when a process dies, so nobody has to tidy up after a crash.
"""

import asyncio
import fcntl
import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from urllib.parse import quote

import asyncpg
import structlog

from numberdesk.base import postgres_place as place
from numberdesk.base import postgres_process as process
from numberdesk.base.postgres_place import PostgresUnavailable, RunAs, find_binaries

__all__ = ["DATABASE", "Cluster", "PostgresUnavailable", "find_binaries", "running"]

log = structlog.get_logger()
P = ParamSpec("P")
T = TypeVar("T")

DATABASE = "numberdesk"
ADMIN, OWNER, WEB, APP = "postgres", "numberdesk_owner", "numberdesk_web", "numberdesk_app"

PATIENCE = 300.0
"""Seconds for a start, which may include recovery after a crash, and for another process that starts or stops."""
PROGRESS_INTERVAL = 2.0
KEEP_INTERVAL = 0.2
KEEP_PAUSE = 2.0
"""Seconds between two looks at a server that must not die, and after a start that failed."""
FREE_SPACE = 200 * 1024 * 1024

_NOT_YET = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # starting, stopping, crashing
    asyncpg.TooManyConnectionsError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what a rollback on a lost connection raises
)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running PostgreSQL. The addresses hold passwords and are left out of its text."""

    folder: Path
    """Holds `data`, `log` and the passwords."""
    binaries: Path
    """Holds `pg_dump`, `psql` and the others, of the version that runs."""
    version: str
    pid: int
    admin_url: str = field(repr=False)
    """The superuser: for tests, backups and repairs."""
    owner_url: str = field(repr=False)
    """Owns the database: for migrations."""
    app_url: str = field(repr=False)
    """What web and worker use."""


@dataclass(frozen=True, slots=True)
class _Site:
    folder: Path
    run_as: RunAs
    binaries: Path
    version: str

    @property
    def data(self) -> Path:
        return self.folder / "data"


# The locks of this process. A forked child (a web worker) has them too and would keep the server running after us.
_locks: set[int] = set()


def _drop_locks_of_parent() -> None:
    for descriptor in _locks:
        os.close(descriptor)
    _locks.clear()


os.register_at_fork(after_in_child=_drop_locks_of_parent)


@asynccontextmanager
async def running(
    home: Path,
    *,
    pg_bin: Path | None = None,
    durable: bool = True,
    settings: Mapping[str, str] | None = None,
    is_kept: bool = False,
) -> AsyncIterator[Cluster]:
    """Keep the PostgreSQL of `home` running for as long as the block lasts, with its roles and its database.

    `settings` and `durable` count for the process that starts the server; `durable=False` is for tests. `is_kept` is
    for processes that serve: they start it again when it was killed.

    Raises:
        PostgresUnavailable: it cannot be had; the sentence says why and what to do.
    """
    with _as_sentences(home):
        site = await _to_the_end(_find_site, home, pg_bin)
        users = _open_lock(site.folder / "users.lock")
    server = keeper = None
    ensure = partial(_ensure_server, site, durable=durable, settings=settings or {})
    try:
        with _as_sentences(home):
            async with _turn_to_start(site.folder):
                alone = _try_lock(users, fcntl.LOCK_EX)
                passwords = _passwords(site.folder, is_new=not _has_data(site))
                server = await ensure(passwords, alone=alone)
                fcntl.flock(users, fcntl.LOCK_SH)
        if is_kept:
            keeper = asyncio.create_task(_keep(site, partial(ensure, passwords, alone=False)))
        yield Cluster(
            folder=site.folder,
            binaries=site.binaries,
            version=site.version,
            pid=server.pid,
            admin_url=_url(ADMIN, passwords, server),
            owner_url=_url(OWNER, passwords, server),
            app_url=_url(WEB, passwords, server),
        )
    finally:
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait({keeper})
        await _to_the_end(_leave, site.folder, users, server)


@contextmanager
def _as_sentences(home: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError as problem:
        raise PostgresUnavailable(f"{problem.filename} is a file, but the database needs a folder there.") from problem
    except OSError as problem:
        where = "" if problem.filename is None else f" ({problem.filename})"
        raise PostgresUnavailable(
            f"The folder {home} cannot be used for the database: {problem.strerror or problem}{where}. "
            "Correct that, or name another home folder."
        ) from problem


async def _to_the_end(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run blocking work in a thread, and wait for its end even when cancelled: it must not go on without its lock."""
    task = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


def _find_site(home: Path, pg_bin: Path | None) -> _Site:
    binaries = find_binaries(pg_bin)
    version = place.server_version(binaries)
    folder, run_as = place.place_cluster(home.expanduser().resolve())
    return _Site(folder, run_as, place.reachable_binaries(binaries, version=version, run_as=run_as), version)


def _has_data(site: _Site) -> bool:
    if not site.data.exists() or not any(site.data.iterdir()):
        return False
    try:
        made_by = (site.data / "PG_VERSION").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise PostgresUnavailable(
            f"{site.data} is not empty, but it holds no database: move its contents away, or name another home folder."
        ) from None
    if made_by != site.version.partition(".")[0]:
        raise PostgresUnavailable(
            f"The database in {site.data} was made by PostgreSQL {made_by}, but {site.binaries} holds version "
            f"{site.version}: name programs of version {made_by} with PG_BIN, or restore a backup into a new home."
        )
    return True


def _passwords(folder: Path, *, is_new: bool) -> dict[str, str]:
    file = folder / "passwords.json"
    if not file.exists() and is_new:
        draft = folder / "passwords.new"
        with open(place.open_private(draft, os.O_WRONLY | os.O_TRUNC), "w", encoding="utf-8") as output:
            json.dump({role: secrets.token_urlsafe(24) for role in (ADMIN, OWNER, WEB)}, output)
            output.flush()
            os.fsync(output.fileno())
        draft.replace(file)
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
        return {role: str(known[role]) for role in (ADMIN, OWNER, WEB)}
    except (FileNotFoundError, ValueError, KeyError, TypeError) as problem:
        raise PostgresUnavailable(
            f"The passwords of the database in {folder} cannot be read from {file}: bring the file back from a backup."
        ) from problem


def _url(role: str, passwords: Mapping[str, str], server: process.Postmaster, database: str = DATABASE) -> str:
    # The port is named because a PGPORT in somebody's environment would otherwise count.
    where = f"host={quote(str(server.socket_folder))}&port={place.PORT}"
    return f"postgresql://{role}:{passwords[role]}@/{database}?{where}"


async def _ensure_server(
    site: _Site, passwords: Mapping[str, str], *, alone: bool, durable: bool, settings: Mapping[str, str]
) -> process.Postmaster:
    server = process.live_postmaster(site.data)
    if server and (server.state == "stopping" or (durable and not process.is_durable(site.data))):
        if not alone and server.state != "stopping":
            raise PostgresUnavailable(
                f"The database in {site.folder} is in use by a process that runs it without durability, as tests do: "
                "end that process first."
            )
        await _to_the_end(process.stop, site.folder)
        server = None
    if server:
        return await _when_ready(site, passwords, child=None, log_begin=0)
    free = shutil.disk_usage(site.folder).free
    if free < FREE_SPACE:
        raise PostgresUnavailable(
            f"The database in {site.folder} needs {FREE_SPACE // 2**20} MB, but only {free // 2**20} MB are free: "
            "make room, or name a home folder on another disk."
        )
    sockets = place.prepare_socket_folder(site.folder, run_as=site.run_as)
    await _to_the_end(process.clear_remnants, site.folder, sockets=sockets)
    if not _has_data(site):
        log.info("Making a new database.", folder=str(site.folder), version=site.version)
        await _to_the_end(
            process.initialise,
            site.folder,
            site.binaries,
            major=int(site.version.partition(".")[0]),
            run_as=site.run_as,
            password=passwords[ADMIN],
            durable=durable,
        )
    child, log_begin = process.start(
        site.folder, site.binaries, run_as=site.run_as, sockets=sockets, durable=durable, settings=settings
    )
    return await _when_ready(site, passwords, child=child, log_begin=log_begin)


async def _keep(site: _Site, ensure: Callable[[], Awaitable[process.Postmaster]]) -> None:
    while True:
        await asyncio.sleep(KEEP_INTERVAL)
        if process.live_postmaster(site.data) is not None:
            continue
        log.error("PostgreSQL is gone and is started again.", folder=str(site.folder))
        try:
            async with _turn_to_start(site.folder):
                if not _has_data(site):
                    raise PostgresUnavailable(f"The database in {site.data} has been removed.")
                server = await ensure()
        except (PostgresUnavailable, OSError) as problem:
            log.error("PostgreSQL could not be started again.", problem=str(problem), next_try_seconds=KEEP_PAUSE)
            await asyncio.sleep(KEEP_PAUSE)
        else:
            log.warning("PostgreSQL runs again.", pid=server.pid)


async def _when_ready(
    site: _Site, passwords: Mapping[str, str], *, child: subprocess.Popen[bytes] | None, log_begin: int
) -> process.Postmaster:
    """Wait until the server, ours (`child`) or another's, has answered and has its roles and its database."""
    began = told = time.monotonic()
    while (now := time.monotonic()) < began + PATIENCE:
        # Our own child is asked first: what the file says may still be about the server before it.
        server = process.read_postmaster(site.data) if child else process.live_postmaster(site.data)
        has_stopped = child.poll() is not None if child else server is None
        if has_stopped:
            words = process.last_lines(site.folder, begin=log_begin)
            raise PostgresUnavailable(f"PostgreSQL stopped while it started in {site.folder}. Its last words: {words}")
        is_ready = server and server.state == "ready" and (child is None or child.pid == server.pid)
        if server and is_ready and await _prepare(server, passwords, site):
            return server
        if now > told + PROGRESS_INTERVAL:
            told = now
            log.info("PostgreSQL is still starting, perhaps recovering from a crash.", seconds=round(now - began))
        await asyncio.sleep(0.01)
    raise PostgresUnavailable(
        f"PostgreSQL in {site.folder} was not ready after {PATIENCE:.0f} s: see {site.folder / 'log'}, then try again."
    )


async def _prepare(server: process.Postmaster, passwords: Mapping[str, str], site: _Site) -> bool:
    """Create what is missing of roles and database; False if the server does not answer yet."""
    try:
        connection = await asyncpg.connect(
            _url(ADMIN, passwords, server, database="postgres"),
            timeout=10,
            command_timeout=60,
            server_settings={"log_min_error_statement": "panic"},  # a refused statement would show its password
        )
        try:
            await _create_missing(connection, passwords)
        finally:
            await connection.close(timeout=5)
    except PermissionError:
        raise
    except _NOT_YET:
        return False
    except asyncpg.PostgresError as problem:
        raise PostgresUnavailable(
            f"PostgreSQL started in {site.folder}, but refuses to be prepared with its passwords.json: {problem}."
        ) from problem
    return True


async def _create_missing(connection: Any, passwords: Mapping[str, str]) -> None:
    known = await connection.fetchval("SELECT array_agg(rolname::text) FROM pg_roles WHERE rolname LIKE 'numberdesk%'")
    async with connection.transaction():
        if APP not in (known or ()):
            await connection.execute("CREATE ROLE numberdesk_app NOLOGIN")
        for role, kind in ((OWNER, "CREATEROLE"), (WEB, "NOCREATEROLE")):
            if role not in (known or ()):
                # Only the server can quote for itself, and the password stays out of the text that it may log.
                create = "SELECT format('CREATE ROLE %I LOGIN %s PASSWORD %L', $1::text, $2::text, $3::text)"
                await connection.execute(await connection.fetchval(create, role, kind, passwords[role]))
                option = " WITH ADMIN OPTION" if role == OWNER else ""  # so that a migration may grant it as well
                grant = "SELECT format('GRANT %I TO %I', $1::text, $2::text) || $3::text"
                await connection.execute(await connection.fetchval(grant, APP, role, option))
    if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE):
        await connection.execute("CREATE DATABASE numberdesk OWNER numberdesk_owner")


def _open_lock(path: Path) -> int:
    descriptor = place.open_private(path, os.O_RDWR)
    _locks.add(descriptor)
    return descriptor


def _close_lock(descriptor: int) -> None:
    _locks.discard(descriptor)
    os.close(descriptor)


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@asynccontextmanager
async def _turn_to_start(folder: Path) -> AsyncIterator[None]:
    turn = _open_lock(folder / "start.lock")
    began = told = time.monotonic()
    try:
        while not _try_lock(turn, fcntl.LOCK_EX):
            now = time.monotonic()
            if now > began + PATIENCE:
                raise PostgresUnavailable(
                    f"Another process has been starting or stopping the database in {folder} for {PATIENCE:.0f} s: "
                    "end it, then try again."
                )
            if now > told + PROGRESS_INTERVAL:
                told = now
                log.info("Waiting for another process that starts or stops the database.", seconds=round(now - began))
            await asyncio.sleep(0.02)
        yield
    finally:
        _close_lock(turn)


def _leave(folder: Path, users: int, server: process.Postmaster | None) -> None:
    """Give up our share of the server, and stop it if nobody else has one."""
    turn = None
    try:
        # If the home was deleted under us there is nobody to agree with, and nothing that names the server but us.
        with suppress(FileNotFoundError):
            turn = _open_lock(folder / "start.lock")
        end = time.monotonic() + 30
        while turn is not None and not _try_lock(turn, fcntl.LOCK_EX):
            if time.monotonic() > end:
                return  # somebody is starting with great patience, and will be the last to leave
            time.sleep(0.02)
        if _try_lock(users, fcntl.LOCK_EX):
            process.stop(folder, pid=server.pid if server and turn is None else None)
    finally:
        _close_lock(users)
        if turn is not None:
            _close_lock(turn)
