"""`backup` and `restore`: everything of an installation in one file, and back into a new one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from numberdesk.audit import service as audit
from numberdesk.audit.model import Event
from numberdesk.base import dump
from numberdesk.base.backup_file import OnBytes, Reader, Writer, open_backup
from numberdesk.base.db import Database, open_database
from numberdesk.base.migrate import folder, migrate, read_folder, refuse_unready, status
from numberdesk.cli._backup_parts import (
    DATABASE,
    MANIFEST,
    Manifest,
    fingerprints,
    manifest_part,
    name_of_now,
    open_secrets,
    read_manifest,
    read_passphrase,
    secrets_for,
    secrets_part,
)
from numberdesk.cli._database import show_step, skip_numbers
from numberdesk.cli._ledger import show_check
from numberdesk.cli._place import (
    HOME,
    UNFINISHED,
    CommandFailed,
    Place,
    console,
    opened,
    run,
    write_private,
    write_secrets,
)
from numberdesk.main import secrets_of
from numberdesk.monitoring import service as monitoring
from numberdesk.providers import service as providers
from numberdesk.settings import client_environment, load

MADE, RESTORED = "backup_made", "backup_restored"
"""What the audit log calls them."""

PASSPHRASE = typer.Option(
    None, "--passphrase-file", help="A file whose text seals the secrets in the backup; at least 12 characters."
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(backup)
    app.command()(restore)


def backup(
    file: Path = typer.Argument(help="A new file, or a folder that gets one named by the time."),
    passphrase_file: Path = PASSPHRASE,
    home: Path = HOME,
) -> None:
    """Write the database and its secrets, as they are at one moment, into one new file."""
    path = file / name_of_now() if file.is_dir() else file
    run(_backup(home, path.absolute(), read_passphrase(passphrase_file)))


def restore(
    file: Path = typer.Argument(help="A file that `backup` made."),
    passphrase_file: Path = PASSPHRASE,
    exact: bool = typer.Option(
        False, "--exact", help="Nothing happened after the backup: go on with the next ids and addresses, skip none."
    ),
    check: bool = typer.Option(False, "--check", help="Only check the file; nothing is restored."),
    home: Path = HOME,
) -> None:
    """Put a backup into a new home, or an empty database and a new home, and check the ledger."""
    passphrase = read_passphrase(passphrase_file)
    where = None if check else _new_home(home)
    source = open_backup(file)
    manifest = read_manifest(source, read_folder(folder()))
    with _progress("Checking the file", source.size) as on_bytes:
        source.check(on_bytes=on_bytes)
    secrets = open_secrets(source, manifest, passphrase)
    if where is None:
        console.print(f"[green]{escape(str(file))} is whole[/]: {_described(manifest)}.")
        return
    wrong = run(_restore(source, manifest, secrets, where, is_exact=exact))
    if wrong:
        raise CommandFailed(f"The backup was restored, but {wrong} checks failed: what is wrong is named above.")


async def _backup(home: Path | None, path: Path, passphrase: str | None) -> None:
    async with opened(home) as place:
        known = secrets_for(place.settings)
        secrets_of(place.settings)  # refuses what could not be used after a restore
        programs = dump.find_programs(place.settings.pg_bin)
        writer = Writer(path)
        try:
            db = await open_database(place.owner_url, size=2, role=None, name="numberdesk backup")
            try:
                size, is_migrated = await _write(db, place, writer, programs, known, passphrase)
            finally:
                await db.close()
        finally:
            writer.give_up()
        if is_migrated:
            await _note(place, MADE, file=path.name, bytes=size)
    sealed = "sealed with the passphrase" if passphrase else "[yellow]readable by whoever has the file[/]"
    console.print(f"It holds all data of all customers, and the secrets of this installation, {sealed}.")
    console.print(f"[green]The backup is whole:[/] {escape(str(path))}, {size:,} bytes.")


async def _write(
    db: Database, place: Place, writer: Writer, programs: Path, known: dict[str, str], passphrase: str | None
) -> tuple[int, bool]:
    """Write all parts; returns the size of the file, and whether the database has the schema of this version."""
    async with db.snapshot() as tx:
        found = await status(tx, folder=folder())
        if strange := [item.file for item in found if item.state in ("unknown", "changed")]:
            raise CommandFailed(
                f"The database was migrated by another version, as {strange[0]} shows: back it up with that one."
            )
        applied = {item.number for item in found if item.state == "applied"}
        # What is not migrated yet may lack tables that are counted.
        is_migrated = len(applied) == len(found)
        rows = await monitoring.count_rows(tx) if is_migrated else {}
        _, postgres = await dump.server_version(tx)
        made_at = await dump.begun_at(tx)
        snapshot = await dump.export_snapshot(tx)
        with _progress("Dumping the database", None) as on_bytes:
            chunks = dump.dump(programs, place.owner_url, snapshot=snapshot, environment=client_environment())
            part = await writer.stream(DATABASE, chunks, on_bytes=on_bytes)
    name, content, salt = secrets_part(known, part, passphrase)
    writer.add(name, content)
    migrations = [item for item in read_folder(folder()) if item.number in applied]
    writer.add(
        MANIFEST,
        manifest_part(
            made_at=made_at, postgres=postgres, migrations=migrations, rows=rows, parts=writer.parts, known=known,
            salt=salt,
        ),
    )  # fmt: skip
    return writer.finish(), is_migrated


def _new_home(home: Path | None) -> Path:
    where = home or load().numberdesk_home
    if where is None:
        raise CommandFailed("Name a new home with --home: a backup is never restored into one that is in use.")
    where = where.absolute()
    if where.exists() and not where.is_dir():
        raise CommandFailed(f"{where} is a file: name a folder that does not exist yet.")
    if where.exists() and any(where.iterdir()):
        raise CommandFailed(f"{where} is not empty: a backup is restored only into a home that does not exist yet.")
    return where


async def _restore(source: Reader, manifest: Manifest, secrets: dict[str, str], home: Path, *, is_exact: bool) -> int:
    _refuse_other_secrets(secrets, manifest)
    await _refuse_tables()
    write_secrets(home, secrets)
    write_private(home / UNFINISHED, f"{source.path}\n")
    console.print(f"Restoring {_described(manifest)} into {escape(str(home))}.")
    try:
        async with opened(home, is_restoring=True) as place:
            await _fill(source, place)
            done = await migrate(place.owner_url, folder=folder(), on_step=show_step)
            console.print(f"Migrated: {len(done)} files." if done else "Its schema is the one of this version.")
            if not is_exact:
                await skip_numbers(place)
            wrong = await _verify(place, manifest)
            await _note(place, RESTORED, file=source.path.name, made_at=manifest.made_at)
        (home / UNFINISHED).unlink()
    except BaseException:
        console.print(f"The new home {escape(str(home))} is not usable: remove it before the next try.", style="yellow")
        raise
    if not wrong:
        console.print("Start it with `serve --home`, then run `payment reconcile`: it finds what was paid since.")
        console.print(f"[green]The backup is restored:[/] {escape(str(home))}, and the ledger is right.")
    return wrong


def _refuse_other_secrets(secrets: dict[str, str], manifest: Manifest) -> None:
    """Refuse an environment whose secrets are others than those of the backup: they would win over its own."""
    settings = load()
    wanted = fingerprints(secrets)
    if wanted != manifest.fingerprints:
        raise CommandFailed("The backup is damaged: its secrets are not those that its manifest names.")
    for name, values in wanted.items():
        given = getattr(settings, name, None)
        if given is not None and not set(values) <= set(fingerprints({name: given.get_secret_value()})[name]):
            raise CommandFailed(
                f"{name.upper()} is set to another value than the backup's: unset it, the new home has the right one."
            )


async def _refuse_tables() -> None:
    """Refuse a given database that is in use, before anything is made."""
    settings = load()
    url = settings.database_owner_url or settings.database_url
    if url is None:
        return
    db = await open_database(url.get_secret_value(), size=2, role=None, name="numberdesk restore")
    try:
        async with db.statement() as tx:
            if not await dump.is_empty(tx):
                raise CommandFailed("The database that DATABASE_URL names is not empty: name one without tables.")
    finally:
        await db.close()


async def _fill(source: Reader, place: Place) -> None:
    programs = dump.find_programs(place.settings.pg_bin)
    db = await open_database(place.owner_url, size=2, role=None, name="numberdesk restore")
    try:
        async with db.statement() as tx:
            server, _ = await dump.server_version(tx)
            await dump.prepare_role(tx)
    finally:
        await db.close()
    with _progress("Restoring the database", source.parts[DATABASE].size) as on_bytes:
        await dump.restore(
            programs, place.owner_url, _counted(source, on_bytes), server=server, environment=client_environment()
        )


def _counted(source: Reader, on_bytes: OnBytes) -> Iterator[bytes]:
    for chunk in source.chunks(DATABASE):
        on_bytes(len(chunk))
        yield chunk


async def _verify(place: Place, manifest: Manifest) -> int:
    """Check what was restored; returns how many checks failed."""
    wrong = 0
    db = await open_database(place.app_url, size=4, name="numberdesk restore")
    try:
        await refuse_unready(db, folder=folder())
        async with db.snapshot() as tx:
            rows = await monitoring.count_rows(tx)
        for name, count in manifest.rows.items():
            if name in rows and rows[name] != count:
                console.print(f"[red]WRONG[/] {name}: {rows[name]:,} rows, but the backup had {count:,}")
                wrong += 1
        lines = await providers.open_lines(db, secrets_of(place.settings).vault)  # opens what the keys have sealed
        await providers.close(lines)
        wrong += sum(not item.ok for item in await monitoring.verify(db, on_check=show_check))
        wrong += await _verify_audit(db)
    finally:
        await db.close()
    return wrong


async def _verify_audit(db: Database) -> int:
    while await audit.seal(db):  # what was written in the last second before the backup
        pass
    found = await audit.check(db)
    for sentence in found.breaks:
        console.print(f"[red]WRONG[/] audit log: {escape(sentence)}", soft_wrap=True)
    if not found.breaks:
        console.print(f"[green]ok[/]   the audit log's chain is whole ({found.counted:,})", soft_wrap=True)
    return len(found.breaks)


async def _note(place: Place, action: str, **details: str | int) -> None:
    db = await open_database(place.app_url, size=2, name="numberdesk backup")
    try:
        async with db.transaction() as tx:
            await audit.record(tx, Event(action, actor_kind="shell", details=details))
    finally:
        await db.close()


def _described(manifest: Manifest) -> str:
    newest = max(manifest.migrations, default="no migration")
    rows = f"{manifest.rows.get('postings', 0):,} postings, {manifest.rows.get('orders', 0):,} orders"
    return f"the state of {manifest.made_at} (version {manifest.numberdesk}, {newest}, {rows})"


@contextmanager
def _progress(words: str, total: int | None) -> Iterator[OnBytes]:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(words, total=total)
        yield lambda count: progress.advance(task, count)
        progress.update(task, total=progress.tasks[0].completed or 1, completed=progress.tasks[0].completed or 1)
