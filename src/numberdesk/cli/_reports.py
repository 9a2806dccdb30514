"""`reports show` and `reports rebuild`: what finance reads, from the shell."""

import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import get_args

import typer
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from numberdesk.base.money import format_rupees
from numberdesk.cli._named import named
from numberdesk.cli._place import HOME, CommandFailed, console, opened_database, run
from numberdesk.reports import service as reports
from numberdesk.reports.model import Cell, Freshness, Group, Kind, Period, Question, Zone

SHOWN_MAX = 1000
"""Lines of a table; CSV has all."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Revenue, delivery, top-ups, taxes and what is owed.", no_args_is_help=True)
    group.command("show")(show)
    group.command("rebuild")(rebuild)
    app.add_typer(group, name="reports")


def show(
    kind: Kind = typer.Argument(help="What to show."),
    first: str = typer.Option("", "--from", help="The first day, such as 2026-01-31. Default: 29 days before."),
    last: str = typer.Option("", "--to", help="The last day. Default: today."),
    zone: Zone = typer.Option("ist", "--zone", help="Whose days."),
    period: Period = typer.Option("day", "--period", help="What days are added up to."),
    by: str = typer.Option("service,country,provider", "--by", help="What lines are of, or none."),
    service: str = typer.Option("", "--service", help="Only this service."),
    country: int = typer.Option(-1, "--country", help="Only this country."),
    provider: str = typer.Option("", "--provider", help="Only this provider."),
    csv: bool = typer.Option(False, "--csv", help="Write all lines as CSV to the standard output."),
    home: Path = HOME,
) -> None:
    """Show a report, from what the worker has counted."""
    end = _day("--to", last) if last else reports.today(zone)
    begin = _day("--from", first) if first else end - timedelta(days=29)
    only = None if country < 0 else country
    question = Question(kind, begin, end, zone, period, _groups(by), service or None, only)
    run(_show(home, question, provider, csv))


def rebuild(home: Path = HOME) -> None:
    """Count everything again, from the orders, the ledger and the receipts. Reports are answered meanwhile."""
    done = run(_rebuild(home))
    console.print(f"[green]Counted again:[/] {done:,} half hours and days.")


async def _show(home: Path | None, question: Question, provider: str, csv: bool) -> None:
    async with opened_database(home) as (_, db):
        if provider:
            found = await named(db, provider)
            question = replace(question, provider_id=int(found.id))
        if csv:
            async for text in reports.csv_lines(db, question):
                sys.stdout.write(text)
            return
        page = await reports.read(db, question, limit=SHOWN_MAX)
        fresh = await reports.freshness(db)
        owed = await reports.liabilities(db) if question.kind == "liabilities" else None
    _table(page.lines)
    if page.following is not None:
        console.print(f"These are the first {SHOWN_MAX:,} lines; --csv writes all.")
    if owed is not None:
        console.print(f"Now: {format_rupees(owed.total_paise)}, of which held: {format_rupees(owed.held_paise)}.")
    console.print(_age(fresh))


def _table(lines: list[dict[str, Cell]]) -> None:
    if not lines:
        console.print("Nothing was counted in these days.")
        return
    table = Table(*lines[0])
    for line in lines:
        table.add_row(*("-" if cell is None else escape(str(cell)) for cell in line.values()))
    console.print(table)


def _age(fresh: Freshness) -> str:
    if fresh.counted_at is None:
        return "Nothing was counted yet: start a worker, or run `numberdesk reports rebuild`."
    behind = f"; {fresh.waiting:,} half hours and days are still to be counted" if fresh.waiting else ""
    return f"Counted until {fresh.counted_at:%Y-%m-%d %H:%M:%S} UTC{behind}."


async def _rebuild(home: Path | None) -> int:
    async with opened_database(home) as (_, db):
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task("counting", total=None)

            def told(left: int) -> None:
                total = progress.tasks[0].total or left + 1
                progress.update(task, total=total, completed=total - left)

            return await reports.rebuild(db, on_step=told)


def _day(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CommandFailed(f"{name}: {text!r} is no day; write it like 2026-01-31.") from None


def _groups(text: str) -> tuple[Group, ...]:
    wanted = set() if text == "none" else set(text.split(","))
    if unknown := wanted - set(get_args(Group)):
        raise CommandFailed(f"--by: {sorted(unknown)[0]!r} is none of {', '.join(get_args(Group))}.")
    return tuple(item for item in get_args(Group) if item in wanted)
