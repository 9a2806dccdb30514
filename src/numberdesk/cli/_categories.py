"""`category`: categories of services that are not sold."""

from pathlib import Path

import typer
from rich.markup import escape
from rich.table import Table

from numberdesk.audit import service as audit
from numberdesk.audit.model import Detail, Event
from numberdesk.base.errors import InvalidFields
from numberdesk.catalogue import service as catalogue
from numberdesk.catalogue.model import Category
from numberdesk.cli._place import HOME, console, opened_database, run

REASON_MIN, REASON_MAX = 3, 200
WORD = typer.Argument(help="As `numberdesk category list` shows it.")
REASON = typer.Option(..., "--reason", help="Why: for the audit log, not for customers.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Categories of services: blocked, or sold.", no_args_is_help=True)
    group.command("list")(list_all)
    group.command("block")(block)
    group.command("unblock")(unblock)
    app.add_typer(group, name="category")


def list_all(home: Path = HOME) -> None:
    """List categories, how many services are of them, and what customers read of those that are blocked."""
    table = Table("category", "blocked", "services", "what customers read")
    for item in run(_list(home)):
        shown = escape(item.reason) if item.is_blocked else ""
        table.add_row(escape(item.word), "yes" if item.is_blocked else "no", str(item.services), shown)
    console.print(table)


def block(word: str = WORD, reason: str = REASON, home: Path = HOME) -> None:
    """Sell nothing of a category any more; orders that are open go on."""
    services = run(_change(home, word, reason, is_blocked=True)).services
    console.print(f"{escape(word)} is blocked: its {services} services are not sold. Open orders go on.")


def unblock(word: str = WORD, reason: str = REASON, home: Path = HOME) -> None:
    """Sell the services of a category that was blocked."""
    services = run(_change(home, word, reason, is_blocked=False)).services
    console.print(f"{escape(word)} is not blocked: those of its {services} services that are on sale are sold.")


async def _list(home: Path | None) -> list[Category]:
    async with opened_database(home) as (_, db):
        return await catalogue.list_categories(db)


async def _change(home: Path | None, word: str, reason: str, *, is_blocked: bool) -> Category:
    if not REASON_MIN <= len(reason.strip()) <= REASON_MAX:
        raise InvalidFields({"reason": f"must be {REASON_MIN} to {REASON_MAX} characters"})
    async with opened_database(home) as (_, db), db.transaction() as tx:
        before, after = await catalogue.change_category(tx, word, is_blocked=is_blocked)
        details: dict[str, Detail] = {
            "category": word, "is_blocked": after.is_blocked, "is_blocked_before": before.is_blocked,
            "reason": reason.strip(),
        }  # fmt: skip
        await audit.record(tx, Event("category_changed", actor_kind="shell", details=details))
    return after
