"""`provider statistics` and `provider refunds`: what a provider delivers, and what it gives back."""

from pathlib import Path

import typer
from rich.markup import escape
from rich.table import Table

from numberdesk.base.money import format_rupees
from numberdesk.catalogue import service as catalogue
from numberdesk.catalogue.model import DeliveryTotal
from numberdesk.catalogue.service import Grouping
from numberdesk.cli._named import NAME, named
from numberdesk.cli._place import HOME, console, opened_database, run

WINDOW = typer.Option(
    catalogue.WINDOW_HOURS, "--window", min=1, max=catalogue.WINDOW_MAX, help="Hours back from now; 720 are kept."
)


def register(group: typer.Typer) -> None:
    """Add the commands to those of providers."""
    group.command("statistics")(statistics)
    group.command("refunds")(refunds)


def statistics(name: str = NAME, window: int = WINDOW, home: Path = HOME) -> None:
    """Show how many numbers got their codes, how sure that is, and how fast."""
    totals = run(_totals(home, name, window, "operator"))
    if not totals:
        console.print(f"{escape(name)} has sold nothing that is settled in the last {window} hours.")
        return
    table = Table("service", "country", "operator", "numbers", "delivered", "cancelled", "rate", "95 %", "half", "90 %")
    for total in totals:
        delivery = catalogue.delivery_of(total, window)
        rate, between, half, most = "-", "-", "-", "-"
        if delivery is not None:
            shown, low, high = catalogue.shown_rates(delivery)
            rate, between = f"{shown:.3f}", f"{low:.3f}-{high:.3f}"
            half, most = _within(delivery.median_seconds), _within(delivery.p90_seconds)
        counts = (str(total.sold), str(total.delivered), str(total.cancelled))
        table.add_row(total.service, str(total.country), escape(total.operator), *counts, rate, between, half, most)
    console.print(table)
    console.print(f"Of the last {window} hours. Numbers that a customer cancelled count as not delivered.")


def refunds(name: str = NAME, window: int = WINDOW, home: Path = HOME) -> None:
    """Show what customers got back, and what of its cost the provider gives back."""
    totals = run(_totals(home, name, window, "service"))
    table = Table("service", "country", "customers", "confirmed", "assumed", "refused", "due", "not confirmed")
    for total in totals:
        if total.refunds:
            table.add_row(total.service, str(total.country), *_sides(total))
    whole = catalogue.grouped(totals, "provider")
    if not whole or not whole[0].refunds:
        console.print(f"{escape(name)}: nothing went back in the last {window} hours.")
        return
    table.add_row("all", "", *_sides(whole[0]))
    console.print(table)
    console.print("Customers and the last column: what customers got back. The others: what the provider charged.")


def _sides(total: DeliveryTotal) -> list[str]:
    sides = (
        (total.refunds, total.refunds_paise), (total.confirmed, total.confirmed_paise),
        (total.assumed, total.assumed_paise), (total.refused, total.refused_paise), (total.due, total.due_paise),
        (total.refunds - total.confirmed, total.gap_paise),
    )  # fmt: skip
    return [f"{count}: {format_rupees(paise)}" for count, paise in sides]


def _within(seconds: int | None) -> str:
    return "-" if seconds is None else f"{seconds} s"


async def _totals(home: Path | None, name: str, window: int, by: Grouping) -> list[DeliveryTotal]:
    async with opened_database(home) as (_, db):
        provider = await named(db, name)
        totals = await catalogue.list_delivery_totals(db, window_hours=window, provider_id=provider.id)
    return catalogue.grouped(totals, by)
