"""More of `provider`: how providers do, what is wrong with them, and our money there."""

from pathlib import Path
from typing import cast

import typer
from rich.markup import escape
from rich.table import Table

from numberdesk.audit import service as audit
from numberdesk.audit.model import Detail, Event
from numberdesk.base.errors import InvalidFields
from numberdesk.base.money import NotAnAmount, Paise, format_rupees, parse_rupees
from numberdesk.cli._named import NAME, named
from numberdesk.cli._place import HOME, console, opened_database, run
from numberdesk.providers import service as providers
from numberdesk.providers.model import Forced

NOTE = typer.Option(..., "--note", help="For whoever reads the books later.")


def register(group: typer.Typer) -> None:
    """Add the commands to `provider`."""
    group.command("health")(health)
    group.command("breaker")(breaker)
    group.command("transcripts")(transcripts)
    group.command("alerts")(alerts)
    group.command("top-up")(top_up)
    group.command("settle-gap")(settle_gap)


def amount_option(text: str | None, option: str) -> Paise | None:
    """Return the rupees of an option; `none` and an absent one are None.

    Raises:
        InvalidFields: it is no amount.
    """
    if text is None or text == "none":
        return None
    try:
        return parse_rupees(text)
    except NotAnAmount as problem:
        raise InvalidFields({option: str(problem)}) from None


def health(name: str = typer.Argument(None, help="One provider; without it, all."), home: Path = HOME) -> None:
    """Show balances, how long they last, what was spent today, open orders and alerts."""
    run(_health(home, name))


def breaker(
    name: str = NAME,
    state: str = typer.Argument(help="open: buy nothing; closed: buy whatever happens; auto: by how it does."),
    reason: str = typer.Option(..., "--reason", help="For whoever wonders later."),
    home: Path = HOME,
) -> None:
    """Hold a provider's breaker open or closed, or give it back to the rules."""
    if state not in ("open", "closed", "auto"):
        raise InvalidFields({"state": "must be open, closed or auto"})
    forced = None if state == "auto" else cast("Forced", state)

    async def work() -> None:
        async with opened_database(home) as (_, db):
            provider = await named(db, name)
            async with db.transaction() as tx:
                before, after = await providers.change_forced(tx, provider.id, forced, reason)
                details: dict[str, Detail] = {
                    "provider": provider.name, "reason": reason, "before": before.forced or "auto",
                    "after": after.forced or "auto",
                }  # fmt: skip
                await audit.record(tx, Event("provider_breaker", actor_kind="shell", details=details))

    run(work())
    console.print(f"{name}: its breaker is {state} now; every process follows within a second or two.")


def transcripts(
    name: str = NAME,
    subject: str = typer.Option(None, "--subject", help="A purchase such as 55-1, or the provider's id of a number."),
    limit: int = typer.Option(20, "--limit", min=1, max=500),
    home: Path = HOME,
) -> None:
    """Show what was said with a provider, newest first, without keys and codes."""

    async def work() -> list[providers.Transcript]:
        async with opened_database(home) as (_, db):
            return await providers.list_transcripts(db, (await named(db, name)).id, subject, limit)

    found = run(work())
    for item in found:
        status = "no answer" if item.status is None else str(item.status)
        head = f"{item.at:%Y-%m-%d %H:%M:%S} UTC  {item.action} {item.subject}  {status}, {item.took_ms} ms"
        console.print(escape(f"{head}\n  > {item.asked}\n  < {item.answer}"), soft_wrap=True)
    if not found:
        console.print("Nothing was kept.")


def alerts(every: bool = typer.Option(False, "--all", help="Also those that are over."), home: Path = HOME) -> None:
    """List what is wrong with providers, newest first."""
    run(_alerts(home, open_only=not every))


def top_up(
    name: str = NAME,
    amount: str = typer.Argument(help="Rupees that were paid in at the provider."),
    note: str = NOTE,
    home: Path = HOME,
) -> None:
    """Say that our balance at a provider grew, so that it is explained."""
    try:
        paise = parse_rupees(amount)
    except NotAnAmount as problem:
        raise InvalidFields({"amount": str(problem)}) from None

    async def work() -> None:
        async with opened_database(home) as (_, db):
            provider = await named(db, name)
            async with db.transaction() as tx:
                await providers.record_top_up(tx, provider.id, paise=paise, note=note)
                details: dict[str, Detail] = {"provider": provider.name, "paise": int(paise), "note": note}
                await audit.record(tx, Event("provider_top_up", actor_kind="shell", details=details))

    run(work())
    console.print(f"{name}: {format_rupees(paise)} rupees were added to its books.")


def settle_gap(name: str = NAME, note: str = NOTE, home: Path = HOME) -> None:
    """Accept what the newest comparison of a provider's balance with our orders could not explain."""

    async def work() -> int:
        async with opened_database(home) as (_, db):
            provider = await named(db, name)
            async with db.transaction() as tx:
                paise = await providers.settle_gap(tx, provider.id, note=note)
                details: dict[str, Detail] = {"provider": provider.name, "paise": paise, "note": note}
                await audit.record(tx, Event("provider_gap_settled", actor_kind="shell", details=details))
            return paise

    paise = run(work())
    console.print(f"{name}: its books were moved by {format_rupees(paise)} rupees.")


async def _health(home: Path | None, name: str | None) -> None:
    async with opened_database(home) as (_, db):
        found = await providers.list_all(db) if name is None else [await named(db, name)]
        money, today = await providers.list_money(db), await providers.list_today(db)
        opened = await providers.list_alerts(db)
        breakers = {row.provider_id: row for row in await providers.list_health(db)}
    table = Table("name", "on", "breaker", "balance", "lasts", "spent today", "open orders", "alerts")
    for item in found:
        known, day = money.get(item.id), today.get(item.id)
        left = None if known is None else known.balance_paise
        minutes = None if known is None else known.minutes_left
        table.add_row(
            item.name,
            "yes" if item.is_on else "no",
            _state_of(breakers.get(item.id)),
            "?" if left is None else format_rupees(left),
            "-" if minutes is None else f"{minutes // 60} h {minutes % 60} min",
            format_rupees(0 if day is None else day.spent_paise),
            str(0 if day is None else day.open_orders),
            ", ".join(alert.kind for alert in opened if alert.provider_id == item.id) or "-",
        )
    console.print(table)


def _state_of(health: providers.Health | None) -> str:
    if health is None:
        return "closed"
    return health.state if health.forced is None else f"{health.forced} (held)"


async def _alerts(home: Path | None, *, open_only: bool) -> None:
    async with opened_database(home) as (_, db):
        found = await providers.list_alerts(db, open_only=open_only)
    for item in found:
        over = "" if item.closed_at is None else f", over at {item.closed_at:%H:%M} UTC"
        line = f"{item.opened_at:%Y-%m-%d %H:%M} UTC{over}  {item.provider}, {item.kind}: {item.detail}"
        console.print(escape(line), soft_wrap=True)
    if not found:
        console.print("Nothing is wrong with providers.")
