"""`maintenance`: closing a part of the service for a while, and opening it again."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import typer
from rich.markup import escape
from rich.table import Table

from numberdesk.accounts import service as accounts
from numberdesk.audit import service as audit
from numberdesk.audit.model import Event
from numberdesk.base import clock
from numberdesk.base.db import Database
from numberdesk.base.errors import NotFound
from numberdesk.catalogue import service as catalogue
from numberdesk.cli._place import HOME, CommandFailed, console, opened_database, run
from numberdesk.maintenance import service as maintenance
from numberdesk.maintenance.model import TARGETED, Area, NewWindow, Window

AREAS = get_args(Area)
PLACE = typer.Argument(help=f"One of {', '.join(AREAS)}; {', '.join(TARGETED)} with a name: server:NAME.")
USUAL = "We are working on this. Numbers that you have go on."


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Close a part of the service for a while.", no_args_is_help=True)
    group.command("on")(close)
    group.command("off")(reopen)
    group.command("list")(show)
    app.add_typer(group, name="maintenance")


def close(
    place: str = PLACE,
    message: str = typer.Option(USUAL, "--message", help="What customers read."),
    start: str = typer.Option("", "--from", help="When it begins, in UTC: 2030-01-31T22:00. Without it: now."),
    end: str = typer.Option("", "--until", help="When it ends, in UTC, or after how long: 90m, 2h. Without it: off."),
    allow: list[str] = typer.Option([], "--allow", help="Address of an account for which it stays open; repeatable."),
    home: Path = HOME,
) -> None:
    """Close a part of the service, now or at a time. Codes, cancels, refunds and payments that come in go on."""
    area, target = _read_place(place)
    starts_at = _moment("--from", start) if start else None
    ends_at = _end(end, starts_at) if end else None
    window = run(_close(home, area, target, message, starts_at, ends_at, allow))
    when = "now" if start == "" else f"from {_told(window.starts_at)}"
    until = "until you open it again" if window.ends_at is None else f"until {_told(window.ends_at)}"
    console.print(f"Window {window.id}: {escape(place)} is closed {when}, {until}.")


def reopen(place: str = PLACE, home: Path = HOME) -> None:
    """Open a part of the service again; what was planned for it is called off as well."""
    area, target = _read_place(place)
    ended = run(_reopen(home, area, target))
    if not ended:
        raise CommandFailed(f"{place} is not closed, and nothing is planned for it.")
    for window in ended:
        what = "is open again" if window.cancelled_at is None else "is called off"
        console.print(f"Window {window.id}: {escape(place)} {what}.")


def show(home: Path = HOME) -> None:
    """List what is closed, and what will be."""
    windows = run(_list(home))
    if not windows:
        console.print("Nothing is closed, and nothing is planned.")
        return
    table = Table("window", "area", "kind", "from", "until", "let in", "message")
    for window in windows:
        area = window.area if window.target is None else f"{window.area}:{window.target}"
        end = "" if window.ends_at is None else _told(window.ends_at)
        let_in = str(len(window.allowed)) if window.allowed else ""
        row = str(window.id), area, window.kind, _told(window.starts_at), end, let_in, escape(window.message)
        table.add_row(*row)
    console.print(table)


def _read_place(place: str) -> tuple[Area, str | None]:
    area, _, target = place.partition(":")
    for known in AREAS:
        if area == known:
            if (known in TARGETED) != bool(target):
                must = f"{known}:NAME" if known in TARGETED else known
                raise CommandFailed(f"Write it as {must}.")
            return known, target or None
    raise CommandFailed(f"{place}: no such area. There are: {', '.join(AREAS)}.")


def _moment(option: str, text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise CommandFailed(f"{option}: write the time as 2030-01-31T22:00, in UTC.") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def _end(text: str, starts_at: datetime | None) -> datetime:
    number, unit = text[:-1], text[-1]
    if number.isascii() and number.isdecimal() and len(number) < 6 and unit in "mhd":
        lasting = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}[unit] * int(number)
        return (starts_at or clock.now()) + lasting
    return _moment("--until", text)


def _told(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


async def _close(
    home: Path | None,
    area: Area,
    target: str | None,
    message: str,
    starts_at: datetime | None,
    ends_at: datetime | None,
    allow: list[str],
) -> Window:
    async with opened_database(home) as (_, db):
        allowed = [await _account(db, email) for email in allow]
        new = NewWindow(
            area, message, await _target(db, area, target), "emergency" if starts_at is None else "scheduled",
            starts_at, ends_at, tuple(allowed),
        )  # fmt: skip
        async with db.transaction() as tx:
            window = await maintenance.open_window(tx, new)
            await audit.record(tx, _event("maintenance_opened", window))
        return window


async def _account(db: Database, email: str) -> int:
    account_id = await accounts.find_by_email(db, email)
    if account_id is None:
        raise NotFound(what=f"account '{email}'")
    return account_id


async def _target(db: Database, area: Area, name: str | None) -> str | None:
    if name is None or area not in TARGETED:
        return None
    word = int(name) if name.isascii() and name.isdecimal() and area != "service" else name
    found = catalogue.find_target(await catalogue.open_shelf(db), area, word)
    if found is None:
        raise CommandFailed(f"There is no {area} '{name}'.")
    return found


async def _reopen(home: Path | None, area: Area, name: str | None) -> list[Window]:
    async with opened_database(home) as (_, db):
        target = await _target(db, area, name)
        ended = []
        for window in await maintenance.list_current(db):
            if (window.area, window.target) != (area, target):
                continue
            async with db.transaction() as tx:
                _, after = await maintenance.end_window(tx, window.id, version=window.version)
                await audit.record(tx, _event("maintenance_ended", after))
            ended.append(after)
        return ended


async def _list(home: Path | None) -> list[Window]:
    async with opened_database(home) as (_, db):
        return await maintenance.list_current(db)


def _event(action: str, window: Window) -> Event:
    details = {"window": window.id, "area": window.area, "target": window.target, "message": window.message}
    return Event(action, actor_kind="shell", details=details)
