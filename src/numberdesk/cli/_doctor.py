"""`doctor`: looks at everything an installation needs, and says at once what is wrong and what to do about it."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import typer

from numberdesk.audit import service as audit
from numberdesk.base import clock
from numberdesk.base.crypto import WrongKey
from numberdesk.base.db import Database, DatabaseRefused, UnsafeDatabase, open_database
from numberdesk.base.dump import find_programs
from numberdesk.base.errors import AppError
from numberdesk.base.migrate import folder
from numberdesk.base.postgres import PostgresUnavailable
from numberdesk.cli import _config, _doctor_outside, _doctor_services
from numberdesk.cli._backup import MADE
from numberdesk.cli._findings import Finding, conclude, ok, show, warning, wrong
from numberdesk.cli._place import HOME, CommandFailed, Place, console, opened, run, sentence_of
from numberdesk.main import Secrets, secrets_of
from numberdesk.monitoring import service as monitoring
from numberdesk.monitoring.model import Server
from numberdesk.monitoring.routes import OVERDUE_MAX
from numberdesk.settings import BadSettings

SKEW_MAX = 2.0
"""Seconds between two clocks from which on codes of second factors and deadlines are refused for no visible reason."""
VERSION_MIN = 150_000
FREE_LOW, FREE_MIN = 2 * 1024**3, 300 * 1024**2
BACKUP_AGE = timedelta(hours=26)
"""A day, and time for a backup that takes long."""
ARCHIVE_AGE = timedelta(hours=1)

Note = Callable[[Awaitable[list[Finding]]], Awaitable[None]]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(
    url: str = typer.Option(None, "--url", help="Also ask this public address, through every proxy on the way."),
    home: Path = HOME,
) -> None:
    """Check everything that a working installation needs; exit 0 only if nothing is wrong."""
    findings, is_usable = _config.examine(home)
    for finding in findings:
        show(finding)
    if is_usable:
        findings += run(_look(home, url))
    else:
        console.print("The rest cannot be looked at with these settings.")
    conclude(findings)


async def _look(home: Path | None, url: str | None) -> list[Finding]:
    findings: list[Finding] = []

    async def note(work: Awaitable[list[Finding]]) -> None:
        found = await work
        findings.extend(found)
        for finding in found:
            show(finding)

    try:
        async with opened(home) as place:
            secrets = secrets_of(place.settings)
            await note(_disk(place))
            async with _database(place, note) as db:
                if db is not None:
                    await note(_stored(db, secrets))
                    await note(_inside(db, place, secrets))
            await note(_reachable(place))
            if url is not None:
                public_url = place.settings.public_base_url
                await note(_doctor_outside.look(url, secrets.tokens, public_url=public_url))
    except (PostgresUnavailable, BadSettings, CommandFailed) as problem:
        await note(_told(wrong("database", str(problem).rstrip("."))))
    return findings


async def _told(*findings: Finding) -> list[Finding]:
    return list(findings)


@asynccontextmanager
async def _database(place: Place, note: Note) -> AsyncIterator[Database | None]:
    """Open the database as the server does; None when it cannot be used, which is told."""
    fix = "See DATABASE_URL; does the server run, and does its pg_hba.conf let us in?"
    try:
        db = await open_database(place.app_url, size=4, name="numberdesk doctor")
    except (DatabaseRefused, UnsafeDatabase, AppError) as problem:
        await note(_told(wrong("database", sentence_of(problem).rstrip("."), fix)))
        yield None
        return
    try:
        is_ready = True
        for part in (_server(db, place), _schema(db)):
            found = await part
            await note(_told(*found))
            is_ready = is_ready and not any(item.level == "wrong" and item.what == "migrations" for item in found)
        yield db if is_ready else None
    finally:
        await db.close()


async def _server(db: Database, place: Place) -> list[Finding]:
    """Check the server's version, clock, encoding, room for connections, and our rights there."""
    before = clock.now()
    server = await monitoring.server(db)
    middle = before + (clock.now() - before) / 2
    found = [
        ok("database", f"PostgreSQL {server.version}, {server.bytes // 2**20:,} MB, durable"),
        _skew(abs((server.now - middle).total_seconds())),
    ]
    if server.version_number < VERSION_MIN:
        found.append(wrong("database", f"PostgreSQL {server.version} is too old", "Take version 15 or newer."))
    if server.encoding != "UTF8":
        fix = "Make a database with ENCODING 'UTF8', and restore a backup into it."
        found.append(wrong("encoding", f"the database is in {server.encoding}", fix))
    wanted = place.settings.database_pool
    free = server.connections_max - server.connections
    if free < wanted:
        words = f"{free} of {server.connections_max} connections are free, and each process wants {wanted}"
        found.append(warning("connections", words, "Raise max_connections, lower DATABASE_POOL, or use PgBouncer."))
    return [*found, *_rights(server)]


def _skew(seconds: float) -> Finding:
    if seconds > SKEW_MAX:
        return wrong("clocks", f"ours and the database's differ by {seconds:.1f} s", "Run NTP on both machines.")
    return ok("clocks", f"ours and the database's agree within {seconds:.1f} s")


def _rights(server: Server) -> list[Finding]:
    fix = "Let web and worker log in as a role of their own: GRANT numberdesk_app TO it, and DATABASE_OWNER_URL for us."
    if not server.is_member:
        return [
            wrong("rights", f"{server.login} may not act as numberdesk_app", f"GRANT numberdesk_app TO {server.login}.")
        ]
    if server.is_superuser:
        return [warning("rights", f"{server.login} is a superuser, who may rewrite the ledger", fix)]
    if server.owns_ledger:
        return [warning("rights", f"{server.login} owns the tables, and so may rewrite the ledger", fix)]
    return [ok("rights", f"{server.login} may add to the ledger, and change nothing there")]


async def _schema(db: Database) -> list[Finding]:
    """Check the migrations, and whether a worker does its work."""
    found = await monitoring.readiness(db, folder=folder())
    if found.migrations != "ok":
        return [wrong("migrations", found.migrations.rstrip("."), "Run `numberdesk migrate`, if it is older.")]
    connections, _ = await monitoring.servers(db)
    answer = [ok("migrations", "the schema is the one of this version")]
    if found.overdue_seconds > OVERDUE_MAX:
        words = f"work has been waiting for {found.overdue_seconds:,} s"
        fix = "Start `numberdesk worker`, or `serve` without --no-worker."
        return [*answer, wrong("worker", words, fix)]
    if not connections:
        return [*answer, warning("worker", "no server and no worker is connected", "Start `numberdesk serve`.")]
    return [*answer, ok("worker", "no work is overdue")]


async def _stored(db: Database, secrets: Secrets) -> list[Finding]:
    """Open what is sealed, and ask every provider."""
    try:
        return await _doctor_services.each_provider(db, secrets)
    except WrongKey as problem:
        return [wrong("encryption", str(problem).rstrip("."), "Put the key that it was sealed with behind the newest.")]


async def _inside(db: Database, place: Place, secrets: Secrets) -> list[Finding]:
    mail, telegram, redis, money, backups = await asyncio.gather(
        _doctor_services.mail(place.settings),
        _doctor_services.telegram(place.settings),
        _doctor_services.redis(place.settings),
        _doctor_services.money_in(db, place.settings, secrets),
        _backups(db, place),
    )
    return [mail, *filter(None, (telegram, redis)), *money, *backups]


async def _backups(db: Database, place: Place) -> list[Finding]:
    """Check the age of the last backup, and of the WAL where it is archived."""
    found = []
    made = await audit.list_events(db, action=MADE, limit=1)
    try:
        find_programs(place.settings.pg_bin)
    except PostgresUnavailable as problem:
        found.append(wrong("backup", str(problem).rstrip(".")))
    server = await monitoring.server(db)
    if server.is_archiving:
        failed, done = server.archive_failed_at, server.archived_at
        if failed is not None and (done is None or failed > done):
            fix = "See the server's log: archive_command."
            found.append(wrong("archive", f"the WAL could not be archived at {failed:%Y-%m-%d %H:%M} UTC", fix))
        elif done is None or server.now - done > ARCHIVE_AGE:
            found.append(warning("archive", "no WAL was archived within the hour", "Set archive_timeout = 60."))
        else:
            found.append(ok("archive", f"the WAL is archived, last at {done:%H:%M} UTC"))
    if not made:
        fix = "`numberdesk backup`, and let a timer repeat it: docs/backup.md."
        return [*found, warning("backup", "none was ever made with `backup`", fix)]
    age, details = server.now - made[0].at, json.loads(made[0].details)
    words = f"the last is {age.total_seconds() / 3600:.0f} h old ({details.get('file', '?')})"
    if age > BACKUP_AGE:
        return [*found, warning("backup", words, "Does its timer run? docs/backup.md")]
    return [*found, ok("backup", words)]


async def _disk(place: Place) -> list[Finding]:
    """Check the room where the home is; an outer database has its own."""
    return [await asyncio.to_thread(_room, place.home)]


def _room(home: Path) -> Finding:
    folder = next(path for path in (home / "pg", home, *home.parents) if path.exists())
    usage = shutil.disk_usage(folder)
    words = f"{usage.free // 2**20:,} MB of {usage.total // 2**20:,} are free where the home is"
    if usage.free < FREE_MIN or not os.access(folder, os.W_OK):
        return wrong("disk", words, "Make room: without it PostgreSQL stops.")
    if usage.free < FREE_LOW and usage.free < usage.total // 10:
        return warning("disk", words, "Make room soon.")
    return ok("disk", words)


async def _reachable(place: Place) -> list[Finding]:
    """Check what says how the world reaches us."""
    settings, found = place.settings, []
    if settings.app_env == "production" and not settings.public_base_url.startswith("https://"):
        shown = settings.public_base_url or "not set"
        fix = "Set it to the public address, with https://."
        found.append(warning("links", f"PUBLIC_BASE_URL is {shown}: links in mails lead to {settings.base_url}", fix))
    is_behind = settings.public_base_url.startswith("https://")
    if is_behind and not settings.trusted_proxies:
        fix = "Set TRUSTED_PROXIES to the proxy's address; `doctor --url` says which it is."
        found.append(warning("proxies", "none is trusted, so all customers behind one count as one", fix))
    elif settings.trusted_proxies:
        found.append(ok("proxies", f"trusted: {settings.trusted_proxies}"))
    return found
