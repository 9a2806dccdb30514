"""`payment`: where money comes in, what the bank says of it, and whether our books and the outside agree."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import get_args
from zoneinfo import ZoneInfo

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from numberdesk.base import clock, http_client
from numberdesk.base.errors import InvalidFields
from numberdesk.base.limits import Limiter
from numberdesk.base.money import PAISE_PER_RUPEE, format_rupees
from numberdesk.cli._place import HOME, CommandFailed, console, opened_database, run, secret
from numberdesk.main import secrets_of
from numberdesk.payments import service as payments
from numberdesk.payments.methods import tron_address
from numberdesk.payments.methods.rate_sources import PLACES, RATE_MAX, NoRate
from numberdesk.payments.model import Asset, ReconciledSource, Statement
from numberdesk.payments.service import Comparison, Till
from numberdesk.settings import BadSettings, load
from numberdesk.till import open_till

SOURCES: tuple[ReconciledSource, ...] = get_args(ReconciledSource)
ASSETS: tuple[Asset, ...] = get_args(Asset)
INDIA = ZoneInfo("Asia/Kolkata")
PAUSE = 0.2
"""Seconds between two looks at a file that another process is just reading."""
QUEUE_MAX = 200
"""As many of each kind are read of the queue; where there are as many, there may be more."""
ADDRESS = typer.Argument(help="A UPI address, such as name@bank.")
FROM = typer.Option([], "--source", help=f"Of: {', '.join(SOURCES)}; again for another. Default: all that are set up.")
ASSET = typer.Argument(help=f"One of: {', '.join(ASSETS)}")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Money in: addresses, statements, rates, comparisons.", no_args_is_help=True)
    group.command("import")(import_statement)
    group.command("reconcile")(reconcile)
    group.command("report")(report)
    vpa = typer.Typer(help="UPI addresses that customers pay to.", no_args_is_help=True)
    vpa.command("add")(add_vpa)
    vpa.command("close")(close_vpa)
    vpa.command("list")(list_vpas)
    group.add_typer(vpa, name="vpa")
    tron = typer.Typer(help="The wallet that TRX comes in at.", no_args_is_help=True)
    tron.command("check")(check_wallet)
    group.add_typer(tron, name="tron")
    rate = typer.Typer(help="Prices of TRX and USDT.", no_args_is_help=True)
    rate.command("show")(show_rates)
    rate.command("set")(set_rate)
    rate.command("clear")(clear_rate)
    group.add_typer(rate, name="rate")
    app.add_typer(group, name="payment")


@asynccontextmanager
async def opened_till(home: Path | None) -> AsyncIterator[Till]:
    """Open what the verbs of payments work with, as the settings say.

    Raises:
        BadSettings: a gateway, the wallet or the tax is set up by halves, or wrong.
    """
    async with opened_database(home) as (place, db), http_client.session() as session:
        limiter = Limiter(db, numbers=place.settings.limits)
        vault = secrets_of(place.settings).vault
        yield await open_till(db, place.settings, vault=vault, limiter=limiter, session=session)


def add_vpa(
    address: str = ADDRESS,
    name: str = typer.Option(..., "--name", help="The payee's name, as apps show it to the payer."),
    merchant: bool = typer.Option(
        False, "--merchant", help="A merchant's address: apps open its links. Others are paid by their QR code."
    ),
    home: Path = HOME,
) -> None:
    """Take payments at a UPI address from now on; a known one is opened again."""
    run(_add_vpa(home, address=address, name=name, is_merchant=merchant))


async def _add_vpa(home: Path | None, *, address: str, name: str, is_merchant: bool) -> None:
    async with opened_database(home) as (_, db):
        vpa = await payments.open_vpa(
            db, address=address, payee_name=name, kind="merchant" if is_merchant else "personal"
        )
    console.print(f"[green]Open:[/] {escape(vpa.vpa)} ({vpa.kind}), paid to {escape(vpa.payee_name)}.")


def close_vpa(address: str = ADDRESS, home: Path = HOME) -> None:
    """Give an address out no more. What still comes in there is credited all the same."""
    run(_close_vpa(home, address))


async def _close_vpa(home: Path | None, address: str) -> None:
    async with opened_database(home) as (_, db):
        await payments.close_vpa(db, address)
    console.print(f"{escape(address.strip().lower())} is closed.")


def list_vpas(home: Path = HOME) -> None:
    """List the UPI addresses."""
    run(_list_vpas(home))


async def _list_vpas(home: Path | None) -> None:
    async with opened_database(home) as (_, db):
        found = await payments.list_vpas(db)
    table = Table("address", "payee", "kind", "open")
    for vpa in found:
        table.add_row(escape(vpa.vpa), escape(vpa.payee_name), vpa.kind, "yes" if vpa.is_open else "no")
    console.print(table)


def import_statement(
    file: Path = typer.Argument(help="A statement of the bank or merchant app, as CSV.", exists=True, dir_okay=False),
    vpa: str = typer.Option(None, "--vpa", help="Which address it is of; not needed where there is only one."),
    profile: str = typer.Option(None, "--profile", help="How its columns are named; found out if left out."),
    home: Path = HOME,
) -> None:
    """Read a bank statement: what came in is written down, and what customers claimed of it is credited."""
    if file.stat().st_size > payments.STATEMENT_MAX:
        raise CommandFailed(f"{file} is larger than {payments.STATEMENT_MAX // 1024 // 1024} MB: divide it.")
    statement = run(_import(home, file=file, raw=file.read_bytes(), vpa=vpa, profile=profile))
    console.print(
        f"{statement.rows_read:,} rows: {statement.credits:,} payments new, {statement.known:,} known before,"
        f" {statement.skipped:,} without money that came in, {statement.bad:,} bad."
        f" {statement.settled:,} credited to customers.",
        soft_wrap=True,
    )
    problems = json.loads(statement.problems)
    for problem in problems:
        console.print(f"  [red]line {problem['line']}[/] {escape(problem['problem'])}", soft_wrap=True)
    if statement.bad > len(problems):
        console.print(f"  and {statement.bad - len(problems):,} more bad rows")


async def _import(
    home: Path | None, *, file: Path, raw: bytes, vpa: str | None, profile: str | None
) -> Statement:  # fmt: skip
    async with opened_till(home) as till:
        found = await payments.find_vpa(till, vpa)
        try:
            statement, is_new = await payments.take_statement(
                till, vpa=found, raw=raw, name=file.name, profile=profile, by=None
            )
        except InvalidFields as problem:
            if "body" not in problem.fields:
                raise
            raise CommandFailed(f"{file} {problem.fields['body']}.") from None
        if not is_new:
            console.print(f"{escape(file.name)} was imported before, on {statement.created_at:%Y-%m-%d %H:%M} UTC.")
        columns = (TextColumn("Rows"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=console, disable=statement.state != "waiting") as progress:
            task = progress.add_task("", total=statement.rows_total)
            while statement.state == "waiting":
                # None are read when a worker was faster; it brings the file to its end.
                if not await payments.read_statements(till):
                    await asyncio.sleep(PAUSE)
                statement = await payments.read_statement(till, statement.id)
                progress.update(task, completed=statement.rows_read)
    if statement.state == "failed":
        raise CommandFailed(f"{file} could not be read to its end: {statement.problems}.")
    return statement


def check_wallet(
    count: int = typer.Option(3, "--count", min=1, max=1000, help="How many addresses to show."),
    home: Path = HOME,
) -> None:
    """Show the first addresses of TRON_XPUB, to be compared with your own wallet. No home is touched."""
    settings = load()
    try:
        xpub = tron_address.read_xpub(secret(settings.tron_xpub, "TRON_XPUB"))
    except tron_address.BadXpub as problem:
        raise BadSettings(f"TRON_XPUB: {problem}") from None
    for index in range(count):
        try:
            address = xpub.address(index)
        except tron_address.IndexUnusable:
            address = "none: this index is left out"
        console.print(f"{index:>4}  {address}")
    console.print(f"Wallets show the account as fingerprint {xpub.account_fingerprint}.")
    first = settings.tron_first_address
    if first is None:
        console.print("Compare address 0 with the first one that your own wallet shows.")
        console.print(f"Only if they are the same: set TRON_FIRST_ADDRESS={xpub.address(0)}", soft_wrap=True)
    elif first.strip() == xpub.address(0):
        console.print(
            "[green]TRON_FIRST_ADDRESS is address 0.[/] It must be what your own wallet shows first, too.",
            soft_wrap=True,
        )
    else:
        console.print(f"[red]TRON_FIRST_ADDRESS is {escape(first)}, and not address 0.[/]", soft_wrap=True)
        console.print(
            "Compare both with your own wallet: the xpub may be another account's. Nothing is taken till then."
        )


def show_rates(home: Path = HOME) -> None:
    """Show what a TRX and a USDT cost at this moment, before the spread, and who says so."""
    run(_show_rates(home))


async def _show_rates(home: Path | None) -> None:
    async with opened_database(home) as (place, db):
        found = await payments.rates(db)
    table = Table("asset", "rupees for one", "from", "said by")
    for asset, rate in found:
        if isinstance(rate, NoRate):
            table.add_row(asset, "none", "-", rate.reason)
            continue
        said = [f"{item.source} {item.observed_at:%H:%M:%S}" for item in rate.samples]
        said += [f"until {item.valid_until:%Y-%m-%d %H:%M} UTC" for item in rate.samples if item.valid_until]
        table.add_row(asset, f"{rate.paise_per_unit / PAISE_PER_RUPEE:f}", rate.basis, escape(", ".join(said)))
    console.print(table)
    console.print(f"Customers get {place.settings.crypto_spread} hundredths of a percent less (CRYPTO_SPREAD).")


def set_rate(
    asset: str = ASSET,
    rupees: str = typer.Argument(help="What one costs, such as 27.35."),
    hours: int = typer.Option(..., "--hours", min=1, max=168, help="How long it is good for."),
    home: Path = HOME,
) -> None:
    """Fix a price for the time when sources have none; one that they agree on goes before it."""
    try:
        price = Decimal(rupees)
    except InvalidOperation:
        raise CommandFailed("The price must be a number.") from None
    if not price.is_finite() or not PLACES <= price * PAISE_PER_RUPEE <= RATE_MAX:
        raise CommandFailed("The price is out of range.")
    lasting = timedelta(hours=hours)
    run(_fix_rate(home, _known(asset), (price * PAISE_PER_RUPEE).quantize(PLACES), lasting))
    console.print(f"One {asset} is {price:f} rupees for {hours} h where sources agree on no price.")


def clear_rate(asset: str = ASSET, home: Path = HOME) -> None:
    """Take a fixed price back."""
    run(_fix_rate(home, _known(asset), None, timedelta()))
    console.print(f"No price of {asset} is fixed.")


def _known(asset: str) -> Asset:
    for known in ASSETS:
        if known == asset:
            return known
    raise CommandFailed(f"The asset must be one of: {', '.join(ASSETS)}.")


async def _fix_rate(home: Path | None, asset: Asset, paise_per_unit: Decimal | None, lasting: timedelta) -> None:
    async with opened_till(home) as till:
        await payments.fix_rate(till, asset, paise_per_unit=paise_per_unit, lasting=lasting)


def reconcile(
    days: int = typer.Option(4, "--days", min=1, max=366, help="How far back to compare."),
    source: list[str] = FROM,
    home: Path = HOME,
) -> None:
    """Compare our books with gateways, bank and chain; exit 0 only if they agree and nothing was unclear."""
    if unknown := [word for word in source if word not in SOURCES]:
        raise CommandFailed(f"--source must be one of: {', '.join(SOURCES)}; {unknown[0]} is none.")
    found = run(_reconcile(home, days=days, wanted=[known for known in SOURCES if known in source]))
    for comparison in found:
        different = len(comparison.differences)
        mark = "[green]ok[/]  " if not different and not comparison.unclear else "[red]WRONG[/]"
        console.print(
            f"{mark} {comparison.source:<8} {comparison.checked:,} compared, {different:,} differences,"
            f" {comparison.unclear:,} unclear",
            soft_wrap=True,
        )
        for difference in comparison.differences:
            console.print(f"       [red]{escape(difference)}[/]", soft_wrap=True)
        if comparison.has_more:
            console.print(f"       [red]{payments.MORE}[/]")
    differences = sum(len(comparison.differences) for comparison in found)
    unclear = sum(comparison.unclear for comparison in found)
    if differences or unclear:
        raise CommandFailed(f"{differences:,} differences and {unclear:,} unclear: they are named above.")


async def _reconcile(home: Path | None, *, days: int, wanted: list[ReconciledSource]) -> list[Comparison]:
    async with opened_till(home) as till:
        lacking = {source for source, is_there in
                   (("gateway", bool(till.gateways)), ("chain", till.chain is not None)) if not is_there}  # fmt: skip
        if refused := sorted(lacking & set(wanted)):
            raise CommandFailed(f"No {refused[0]} is set up, so there is nothing to compare with.")
        sources = wanted or [source for source in SOURCES if source not in lacking]
        with console.status("Comparing"):
            return await payments.reconcile(till, since=clock.now() - timedelta(days=days), sources=sources)


def report(
    days: int = typer.Option(7, "--days", min=1, max=366, help="Today and the days before it, in India's time."),
    home: Path = HOME,
) -> None:
    """Show what came in by day, rail and state, and what waits for a person."""
    run(_report(home, days=days))


async def _report(home: Path | None, *, days: int) -> None:
    now = clock.now()
    async with opened_till(home) as till:
        found = await payments.totals(till.db, since=_midnight(now) - timedelta(days=days - 1), until=now)
        queue = await payments.queue(till)
    table = Table("day", "rail", "state", "payments", "rupees", "sent back", "units")
    for column in table.columns[3:]:
        column.justify = "right"
    for item in found:
        table.add_row(
            f"{item.day}", item.rail, item.state, f"{item.payments:,}", format_rupees(item.amount_paise),
            format_rupees(item.refunded_paise), f"{item.units:,}" if item.units else "",
        )  # fmt: skip
    console.print(table)
    for words, count in (
        ("claims that wait for a person", len(queue.waiting)),
        ("payments in suspense", len(queue.suspense)),
        ("credits of the bank that nobody claimed", len(queue.unclaimed)),
    ):
        console.print(f"{count:>5}{'+' if count >= QUEUE_MAX else ' '} {words}")


def _midnight(moment: datetime) -> datetime:
    """Return when the day of a moment began in India."""
    return moment.astimezone(INDIA).replace(hour=0, minute=0, second=0, microsecond=0)
