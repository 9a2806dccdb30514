"""`provider` and `price`: who sells to us, and what we ask for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from numberdesk.accounts import service as accounts
from numberdesk.audit import service as audit
from numberdesk.audit.model import Event
from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database
from numberdesk.base.errors import InvalidFields
from numberdesk.base.money import NotAnAmount, format_rupees, parse_rupees
from numberdesk.catalogue import reference
from numberdesk.catalogue import service as catalogue
from numberdesk.catalogue.model import Progress, SyncReport
from numberdesk.cli import _hooks, _provider_key, _statistics, _upstream, _words
from numberdesk.cli._named import NAME, named
from numberdesk.cli._place import HOME, CommandFailed, Place, console, opened_database, run
from numberdesk.main import secrets_of
from numberdesk.providers import service as providers
from numberdesk.providers.model import Provider, Unknown

MARGIN_DIGITS = 6
"""More than any margin has; a larger number is not even compared with the bounds."""
UNPACED: providers.Options = {"calls_per_second": 100_000, "parallel_max": 1000, "poll_ms": 500}
"""For a provider on this machine; others get the careful defaults of the table `providers`."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Upstream providers.", no_args_is_help=True)
    group.command("add")(add)
    group.command("set")(set_options)
    _provider_key.register(group)
    group.command("list")(list_all)
    group.command("test")(test)
    group.command("sync")(sync)
    _statistics.register(group)
    _upstream.register(group)
    _hooks.register(group)
    _words.register(group)
    app.add_typer(group, name="provider")
    prices = typer.Typer(help="Price rules.", no_args_is_help=True)
    prices.command("set")(set_price)
    app.add_typer(prices, name="price")


def add(
    name: str = NAME,
    kind: str = typer.Option("sms-activate", "--kind"),
    url: str = typer.Option(..., "--url"),
    api_key: str = typer.Option(..., "--api-key", envvar="PROVIDER_API_KEY"),
    paise_per_unit: int = typer.Option(100, "--paise-per-unit", help="What one unit of its currency costs us."),
    dialect: str = typer.Option(None, "--dialect", help="Which servers of its kind it is like."),
    home: Path = HOME,
) -> None:
    """Add a provider. Its key is stored encrypted. One on this machine is asked as fast as it answers."""
    run(_add(home, name=name, kind=kind, url=url, api_key=api_key, paise_per_unit=paise_per_unit, dialect=dialect))
    console.print(f"{name} was added. Next: numberdesk provider test {name}, then numberdesk provider sync {name}")


def set_options(
    name: str = NAME,
    is_on: bool = typer.Option(None, "--on/--off", help="Off: nothing new is rented; open orders go on."),
    url: str = typer.Option(None, "--url"),
    paise_per_unit: int = typer.Option(None, "--paise-per-unit"),
    parallel_max: int = typer.Option(None, "--parallel-max", help="Calls in flight."),
    calls_per_second: int = typer.Option(None, "--calls-per-second"),
    deadline_ms: int = typer.Option(None, "--deadline-ms", help="Of one call."),
    poll_ms: int = typer.Option(None, "--poll-ms", help="Between two looks at its list of live numbers."),
    cancel_after_ms: int = typer.Option(None, "--cancel-after-ms", help="The age before which it refuses to cancel."),
    lifetime_ms: int = typer.Option(None, "--lifetime-ms", help="How long its numbers live."),
    extend_paise_per_minute: int = typer.Option(None, "--extend-paise-per-minute", help="Price of more time."),
    dialect: str = typer.Option(None, "--dialect", help="Which servers of its kind it is like."),
    weight_percent: int = typer.Option(None, "--weight-percent", help="100 is as its price and success say."),
    open_max: int = typer.Option(None, "--open-max", help="Open orders at most; 0 takes the cap away."),
    spend_max: str = typer.Option(None, "--spend-max", help="Rupees a day of UTC at most, or none."),
    balance_alert: str = typer.Option(None, "--balance-alert", help="Rupees below which staff are told, or none."),
    sync_every_ms: int = typer.Option(None, "--sync-every", help="Milliseconds between two readings of its prices."),
    agent_pay: str = typer.Option(None, "--agent-pay", help="Rupees an agent gets for each code, or none."),
    home: Path = HOME,
) -> None:
    """Change a provider; every process follows within a second or two."""
    wanted = {
        "is_on": is_on, "url": url, "paise_per_unit": paise_per_unit, "parallel_max": parallel_max,
        "calls_per_second": calls_per_second, "deadline_ms": deadline_ms, "poll_ms": poll_ms,
        "cancel_after_ms": cancel_after_ms, "lifetime_ms": lifetime_ms,
        "extend_paise_per_minute": extend_paise_per_minute, "dialect": dialect, "weight_percent": weight_percent,
        "sync_every_ms": sync_every_ms,
    }  # fmt: skip
    given = {option: value for option, value in wanted.items() if value is not None}
    changes = cast("providers.Changes", given | _caps(open_max, spend_max, balance_alert, agent_pay))

    async def work() -> None:
        async with opened_database(home) as (_, db):
            provider_id = (await named(db, name)).id
            async with db.transaction() as tx:
                before, after = await providers.change_options(tx, provider_id, **changes)
                details = {"provider": name} | {
                    option: f"{getattr(before, option)} -> {getattr(after, option)}" for option in changes
                }
                await audit.record(tx, Event("provider_changed", actor_kind="shell", details=details))

    run(work())
    console.print(f"{name}: {', '.join(changes) or 'nothing'} changed.")


def _caps(
    open_max: int | None, spend_max: str | None, balance_alert: str | None, agent_pay: str | None
) -> dict[str, int | None]:
    """Return the options that may also be taken away."""
    found: dict[str, int | None] = {}
    if open_max is not None:
        found["open_max"] = open_max or None
    if spend_max is not None:
        found["spend_max_paise"] = _upstream.amount_option(spend_max, "spend-max")
    if balance_alert is not None:
        found["balance_alert_paise"] = _upstream.amount_option(balance_alert, "balance-alert")
    if agent_pay is not None:
        found["agent_pay_paise"] = _upstream.amount_option(agent_pay, "agent-pay")
    return found


def list_all(home: Path = HOME) -> None:
    """List providers."""
    run(_list(home))


def test(name: str = NAME, home: Path = HOME) -> None:
    """Ask a provider for its balance and its offers; buys nothing."""
    run(_test(home, name))


def sync(
    name: str = NAME,
    force: bool = typer.Option(False, "--force", help="Believe the list, however much shorter it has become."),
    home: Path = HOME,
) -> None:
    """Read a provider's services, countries and prices."""
    report = run(_sync_command(home, name, force=force))
    console.print(f"{report.added} offers new, {report.changed} changed, {report.gone} gone.")
    if report.unmapped_services:
        unmapped = escape(", ".join(report.unmapped_services[:20]))
        console.print(f"Not sold, since nobody has classified them: {unmapped}")
    if report.unmapped_countries:
        console.print(f"Unknown countries: {escape(', '.join(report.unmapped_countries[:20]))}")
    if report.unmapped_services or report.unmapped_countries:
        console.print(f"What they are called: numberdesk provider words {name}")


def set_price(
    margin_percent: str = typer.Option(..., "--margin-percent", help="20 sells at 1.2 times the cost."),
    floor: str = typer.Option("1", "--floor", help="The lowest price, in rupees."),
    service: str = typer.Option(None, "--service"),
    country: str = typer.Option(None, "--country"),
    provider: str = typer.Option(None, "--provider"),
    customer: str = typer.Option(None, "--customer", help="A customer's address: a price of their own."),
    home: Path = HOME,
) -> None:
    """Set the price rule for what is named; without names, for everything."""
    try:
        margin = Decimal(margin_percent)
    except InvalidOperation:
        raise InvalidFields({"margin-percent": "must be a number"}) from None
    if not margin.is_finite() or margin.adjusted() > MARGIN_DIGITS:
        raise InvalidFields({"margin-percent": "is out of range"})
    try:
        floor_paise = parse_rupees(floor)
    except NotAnAmount as problem:
        raise InvalidFields({"floor": str(problem)}) from None

    async def work() -> None:
        async with opened_database(home) as (_, db):
            account_id = None if customer is None else await accounts.find_by_email(db, customer)
            if customer is not None and account_id is None:
                raise InvalidFields({"customer": "is not the address of an account"})
            await catalogue.set_price_rule(
                db,
                service=service,
                country=country,
                provider=provider,
                account_id=account_id,
                margin_percent=margin,
                floor_paise=floor_paise,
            )

    run(work())
    console.print(f"Margin {margin} %, not below {format_rupees(floor_paise)}.")


def _vault(place: Place) -> Vault:
    return secrets_of(place.settings).vault


async def _add(
    home: Path | None, *, name: str, kind: str, url: str, api_key: str, paise_per_unit: int, dialect: str | None
) -> None:
    async with opened_database(home) as (place, db):
        await reference.load(db)
        options = providers.Options(paise_per_unit=paise_per_unit)
        if _is_here(url):
            options |= UNPACED
        if dialect is not None:
            options["dialect"] = dialect
        await providers.add(db, _vault(place), name=name, kind=kind, url=url, api_key=api_key, **options)
        async with db.transaction() as tx:
            details = {"provider": name, "kind": kind, "url": url}
            await audit.record(tx, Event("provider_added", actor_kind="shell", details=details))


def _is_here(url: str) -> bool:
    """Tell whether a provider runs on this machine: a simulator, or another installation of ours."""
    try:
        return urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost")
    except ValueError:
        return False


async def _list(home: Path | None) -> None:
    async with opened_database(home) as (_, db):
        found = await providers.list_all(db)
    table = Table("server", "name", "kind", "address", "on", "last sync")
    for item in found:
        synced = f"{item.synced_at:%Y-%m-%d %H:%M} UTC" if item.synced_at else "never"
        table.add_row(str(item.id), item.name, item.kind, escape(item.url), "yes" if item.is_on else "no", synced)
    console.print(table)


async def _test(home: Path | None, name: str) -> None:
    async with opened_database(home) as (place, db):
        provider = await named(db, name)
        lines = await providers.open_lines(db, _vault(place))
        try:
            balance = await providers.balance(lines, provider.id)
            if isinstance(balance, Unknown):
                raise CommandFailed(f"{name} does not tell its balance: {balance.detail}.")
            listing = await providers.listing(lines, provider.id)
            if isinstance(listing, Unknown):
                raise CommandFailed(f"{name} does not tell its prices: {listing.detail}.")
        finally:
            await providers.close(lines)
    console.print(f"{name} answers: balance {format_rupees(balance)}, {len(listing.offers)} offers.")


async def _sync_command(home: Path | None, name: str, *, force: bool) -> SyncReport:
    async with opened_database(home) as (place, db):
        provider = await named(db, name)
        lines = await providers.open_lines(db, _vault(place))
        try:
            with _shown(name) as show:
                return await sync_provider(db, lines, provider, force=force, on_progress=show)
        finally:
            await providers.close(lines)


async def sync_provider(
    db: Database,
    lines: providers.Lines,
    provider: Provider,
    *,
    force: bool = False,
    on_progress: catalogue.OnProgress | None = None,
) -> SyncReport:
    """Read a provider's offers and make the catalogue say the same.

    Raises:
        CommandFailed: the provider gave no list that can be believed, or another process reads it just now; nothing
            was changed.
    """
    try:
        return await catalogue.sync(db, lines, provider.id, force=force, on_progress=on_progress)
    except (catalogue.SyncFailed, catalogue.SyncRunning) as problem:
        raise CommandFailed(str(problem)) from None


@contextmanager
def _shown(name: str) -> Iterator[catalogue.OnProgress]:
    """Show how far a sync is: a bar on a terminal, else a line for each step."""
    said = {"reading": f"Reading the offers of {name}", "comparing": "Comparing offers", "writing": "Writing changes"}
    last = ""

    def tell(progress: Progress) -> None:
        nonlocal last
        if progress.step != last and progress.total and progress.step in said:
            console.print(f"{said[progress.step]} ({progress.total})")
        last = progress.step

    if not console.is_terminal:
        yield tell
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, console=console, transient=True) as bars:
        bar = bars.add_task(said["reading"], total=None)

        def move(progress: Progress) -> None:
            if progress.step in said:
                bars.update(bar, description=said[progress.step], completed=progress.done, total=progress.total or None)

        yield move
