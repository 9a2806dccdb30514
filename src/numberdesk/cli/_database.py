"""`migrate` and `db`: the database's schema and address."""

from pathlib import Path

import typer
from rich.table import Table

from numberdesk.base import dump
from numberdesk.base.db import open_database
from numberdesk.base.migrate import Applied, Delayed, Pending, folder, migrate, status
from numberdesk.cli._place import HOME, Place, console, opened, run
from numberdesk.payments import service as payments

IDS_SKIPPED = 1_000_000
ADDRESSES_SKIPPED = 100
"""Few, since the operator's own wallet looks for money only so far behind the last address that was used."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("migrate")(migrate_command)
    group = typer.Typer(help="The database.", no_args_is_help=True)
    group.command("uri")(uri)
    group.command("skip")(skip)
    app.add_typer(group, name="db")


def migrate_command(
    dry_run: bool = typer.Option(False, "--dry-run", help="Show what would be applied, and write nothing."),
    show_status: bool = typer.Option(False, "--status", help="Show every migration and its state."),
    home: Path = HOME,
) -> None:
    """Bring the database to the schema of this version."""
    run(_status(home) if show_status else _migrate(home, dry_run=dry_run))


def uri(
    owner: bool = typer.Option(False, "--owner", help="The address that may change the schema."), home: Path = HOME
) -> None:
    """Print the address that psql and other tools connect with. It holds the password."""
    run(_uri(home, owner=owner))


async def _migrate(home: Path | None, *, dry_run: bool) -> None:
    async with opened(home) as place:
        done = await migrate(place.owner_url, folder=folder(), dry_run=dry_run, on_step=show_step)
    if not done:
        console.print("The database is up to date.")
    elif dry_run:
        console.print(f"{len(done)} would be applied: {', '.join(item.file for item in done)}. Nothing was written.")
    else:
        console.print(f"{len(done)} applied.")


async def _status(home: Path | None) -> None:
    async with opened(home) as place:
        db = await open_database(place.owner_url, size=2, role=None)
        try:
            async with db.statement() as tx:
                found = await status(tx, folder=folder())
        finally:
            await db.close()
    table = Table("migration", "state")
    for item in found:
        table.add_row(item.file, item.state)
    console.print(table)


def skip(home: Path = HOME) -> None:
    """Leave out the next ids and TRON addresses, after a restore of the database's files to an earlier moment."""
    run(_skip(home))


async def _skip(home: Path | None) -> None:
    async with opened(home) as place:
        await skip_numbers(place)


async def skip_numbers(place: Place) -> None:
    """Skip ids and addresses that customers may have got after the moment that a database is of.

    Somebody else would get them now: a token of a session that is gone would be a stranger's, and a payment to an
    address would credit a stranger.
    """
    db = await open_database(place.owner_url, size=2, role=None, name="numberdesk command")
    try:
        async with db.transaction() as tx:
            await dump.skip_ids(tx, IDS_SKIPPED)
            wallets = await payments.skip_addresses(tx, ADDRESSES_SKIPPED)
    finally:
        await db.close()
    addresses = f", and {ADDRESSES_SKIPPED} addresses of each TRON wallet" if wallets else ""
    console.print(f"{IDS_SKIPPED:,} ids are left out{addresses}: customers may know them from after the backup.")


async def _uri(home: Path | None, *, owner: bool) -> None:
    async with opened(home) as place:
        print(place.owner_url if owner else place.app_url)  # noqa: T201 - for other programs, without decoration


def show_step(step: Pending | Applied | Delayed) -> None:
    """Show one step of a migration."""
    match step:
        case Applied():
            console.print(f"  {step.file} applied in {step.took_ms} ms")
        case Delayed():
            console.print(f"  {step.what} waits: {step.holder} (try {step.attempt})")
        case Pending():
            pass
