"""`rentals`: for how many hours numbers are rented."""

from pathlib import Path

import typer

from numberdesk.audit import service as audit
from numberdesk.audit.model import Event
from numberdesk.base.errors import InvalidFields
from numberdesk.catalogue import service as catalogue
from numberdesk.cli._place import HOME, console, opened_database, run


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Numbers for hours or days.", no_args_is_help=True)
    group.command("hours")(hours)
    app.add_typer(group, name="rentals")


def hours(
    wanted: str = typer.Argument(None, metavar="HOURS", help='Such as 4,24,168; "none" rents nothing.'),
    home: Path = HOME,
) -> None:
    """Show for how many hours numbers are rented, or change it; what others ask for them is read within minutes."""
    found = run(_show(home) if wanted is None else _change(home, _read(wanted)))
    console.print(f"Rented for hours: {', '.join(map(str, found))}." if found else "No numbers are rented by the hour.")


def _read(wanted: str) -> list[int]:
    if wanted == "none":
        return []
    parts = [part.strip() for part in wanted.split(",")]
    if not all(part.isascii() and part.isdecimal() and len(part) < 10 for part in parts):
        raise InvalidFields({"hours": 'must be whole numbers with commas between them, or "none"'})
    return [int(part) for part in parts]


async def _show(home: Path | None) -> list[int]:
    async with opened_database(home) as (_, db):
        return await catalogue.allowed_hours(db)


async def _change(home: Path | None, wanted: list[int]) -> list[int]:
    async with opened_database(home) as (_, db):
        done = await catalogue.set_rental_hours(db, wanted)
        async with db.transaction() as tx:
            details = {"hours": ",".join(map(str, done))}
            await audit.record(tx, Event("rental_hours_set", actor_kind="shell", details=details))
        return done
