"""`provider` and `price`: who sells to us, and what we ask for it."""

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import typer
from rich.markup import escape
from rich.table import Table

from numberdesk.accounts import service as accounts
from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database
from numberdesk.base.errors import InvalidFields, NotFound
from numberdesk.base.money import NotAnAmount, format_rupees, parse_rupees
from numberdesk.catalogue import reference
from numberdesk.catalogue import service as catalogue
from numberdesk.catalogue.model import SyncReport
from numberdesk.cli._place import HOME, CommandFailed, Place, console, opened_database, run
from numberdesk.main import secrets_of
from numberdesk.providers import service as providers
from numberdesk.providers.model import Provider, Unknown

MARGIN_DIGITS = 6
"""More than any margin has; a larger number is not even compared with the bounds."""
UNPACED: providers.Options = {"calls_per_second": 100_000, "parallel_max": 1000, "poll_ms": 500}
"""For a provider on this machine; others get the careful defaults of the table `providers`."""
NAME = typer.Argument(help="The provider's name.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Upstream providers.", no_args_is_help=True)
    group.command("add")(add)
    group.command("set")(set_options)
    group.command("list")(list_all)
    group.command("test")(test)
    group.command("sync")(sync)
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
    home: Path = HOME,
) -> None:
    """Add a provider. Its key is stored encrypted. One on this machine is asked as fast as it answers."""
    run(_add(home, name=name, kind=kind, url=url, api_key=api_key, paise_per_unit=paise_per_unit))
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
    home: Path = HOME,
) -> None:
    """Change a provider; every process follows within a second or two."""
    wanted = {
        "is_on": is_on, "url": url, "paise_per_unit": paise_per_unit, "parallel_max": parallel_max,
        "calls_per_second": calls_per_second, "deadline_ms": deadline_ms, "poll_ms": poll_ms,
        "cancel_after_ms": cancel_after_ms, "lifetime_ms": lifetime_ms,
        "extend_paise_per_minute": extend_paise_per_minute,
    }  # fmt: skip
    changes = cast("providers.Changes", {option: value for option, value in wanted.items() if value is not None})

    async def work() -> None:
        async with opened_database(home) as (_, db):
            await providers.set_options(db, (await _named(db, name)).id, **changes)

    run(work())
    console.print(f"{name}: {', '.join(changes) or 'nothing'} changed.")


def list_all(home: Path = HOME) -> None:
    """List providers."""
    run(_list(home))


def test(name: str = NAME, home: Path = HOME) -> None:
    """Ask a provider for its balance and its offers; buys nothing."""
    run(_test(home, name))


def sync(name: str = NAME, home: Path = HOME) -> None:
    """Read a provider's services, countries and prices."""
    report = run(_sync_command(home, name))
    console.print(f"{report.added} offers new, {report.changed} changed, {report.gone} gone.")
    if report.unmapped_services:
        unmapped = escape(", ".join(report.unmapped_services[:20]))
        console.print(f"Not sold, since nobody has classified them: {unmapped}")
    if report.unmapped_countries:
        console.print(f"Unknown countries: {', '.join(map(str, report.unmapped_countries[:20]))}")


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


async def _add(home: Path | None, *, name: str, kind: str, url: str, api_key: str, paise_per_unit: int) -> None:
    async with opened_database(home) as (place, db):
        await reference.load(db)
        options = providers.Options(paise_per_unit=paise_per_unit)
        if _is_here(url):
            options |= UNPACED
        await providers.add(db, _vault(place), name=name, kind=kind, url=url, api_key=api_key, **options)


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


async def _named(db: Database, name: str) -> Provider:
    provider = await providers.find_by_name(db, name)
    if provider is None:
        raise NotFound(what=f"provider '{name}'")
    return provider


async def _test(home: Path | None, name: str) -> None:
    async with opened_database(home) as (place, db):
        provider = await _named(db, name)
        lines = await providers.open_lines(db, _vault(place))
        try:
            balance = await providers.balance(lines, provider.id)
            if isinstance(balance, Unknown):
                raise CommandFailed(f"{name} does not tell its balance: {balance.detail}.")
            offers = await providers.offers(lines, provider.id)
            if isinstance(offers, Unknown):
                raise CommandFailed(f"{name} does not tell its prices: {offers.detail}.")
        finally:
            await providers.close(lines)
    console.print(f"{name} answers: balance {format_rupees(balance)}, {len(offers)} offers.")


async def _sync_command(home: Path | None, name: str) -> SyncReport:
    async with opened_database(home) as (place, db):
        provider = await _named(db, name)
        lines = await providers.open_lines(db, _vault(place))
        try:
            with console.status(f"Reading the offers of {name}"):
                return await sync_provider(db, lines, provider)
        finally:
            await providers.close(lines)


async def sync_provider(db: Database, lines: providers.Lines, provider: Provider) -> SyncReport:
    """Read a provider's offers and make the catalogue say the same.

    Raises:
        CommandFailed: the provider gave no readable answer; nothing was changed.
    """
    offers = await providers.offers(lines, provider.id)
    if isinstance(offers, Unknown):
        raise CommandFailed(f"{provider.name} does not tell its prices: {offers.detail}. Nothing was changed.")
    report = await catalogue.sync_offers(db, provider_id=provider.id, offers=offers)
    async with db.statement() as tx:
        await providers.set_synced(tx, provider_id=provider.id)
    return report
