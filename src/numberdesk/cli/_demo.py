"""`demo`: everything in one command: embedded database, simulated providers, web and worker, and the main job once."""

import asyncio
import json
import random
import shlex
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import structlog
import typer
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from numberdesk import worker as background
from numberdesk.accounts import service as accounts
from numberdesk.base import clock, ids
from numberdesk.base.db import Database, open_database
from numberdesk.base.errors import AppError
from numberdesk.base.migrate import folder, migrate
from numberdesk.base.money import Paise, format_rupees
from numberdesk.catalogue import reference
from numberdesk.catalogue import service as catalogue
from numberdesk.cli._place import HOME, Place, console, opened, run, write_private
from numberdesk.cli._providers import sync_provider
from numberdesk.cli._serve import free_port, mailer_of, serving, stopped
from numberdesk.conduct import service as conduct
from numberdesk.main import Site, open_people, open_site, secrets_of
from numberdesk.monitoring import service as monitoring
from numberdesk.notifications.service import ConsoleMailer
from numberdesk.orders import service as orders
from numberdesk.orders.model import Card
from numberdesk.payments import service as payments
from numberdesk.providers import service as providers
from numberdesk.providers.simulator import Simulator
from numberdesk.providers.simulator import start as start_simulator
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import AccountId, Credit

log = structlog.get_logger()

CUSTOMER, ADMIN = "customer@demo.example", "admin@demo.example"
"""No mail can reach them, and clients of 5sim take them for addresses, unlike those below `.test`."""
STARTING_PAISE = Paise(1_000_00)
TRAFFIC_CUSTOMERS = 5
TRAFFIC_PAISE = Paise(5_000_00)
TRAFFIC_PAUSE = 6.0
"""Mean seconds between two purchases of the demo's own customers."""
VPA, PAYEE = "numberdesk.demo@okdemo", "Numberdesk Demo"
"""Where customers of the demo would pay: nobody's address."""
WAIT_FOR_CODE = 25.0
POLL_MS = 500


@dataclass(frozen=True, slots=True)
class Demo:
    """A provider of the demo: how its simulator behaves and what it asks."""

    name: str
    profile: str
    price_factor: Fraction


PROVIDERS = (
    Demo("swift", "prompt", Fraction(1)),
    Demo("steady", "realistic", Fraction(11, 10)),
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a first caller needs; kept in the home, since a key is shown once only."""

    api_key: str
    simulator_key: str
    traffic: list[int]
    password: str = ""
    admin_password: str = ""
    totp_secret: str = ""
    test_api_key: str = ""
    email: str = "customer@demo.test"
    admin_email: str = "admin@demo.test"
    """The usual ones are of homes that were made before."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    home: Path = HOME,
    port: int = typer.Option(None, "--port", help="Default: PORT, or 3000"),
    credentials: Path = typer.Option(None, "--credentials", help="Also write address and keys to this file (0600)."),
    traffic: bool = typer.Option(True, " /--no-traffic", help="No purchases of the demo's own."),
) -> None:
    """Start a working service with demo data on this machine."""
    run(_demo(home, port=port, credentials=credentials, traffic=traffic))


async def _demo(home: Path | None, *, port: int | None, credentials: Path | None, traffic: bool) -> None:
    started = clock.seconds()
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(opened(home, port=port, app_env="demo"))
        number = free_port(place.settings.host, place.settings.port)
        address = f"http://{place.settings.host}:{number}"
        console.print(f"Home [bold]{place.home}[/]: PostgreSQL runs.")
        await migrate(place.owner_url, folder=folder())
        known = await _prepare(place)
        known = await _make_people(place, known)
        known = await _make_test_key(place, known)
        await _open_vpa(place)
        simulators = await _start_simulators(stack, place, known)
        site = await stack.enter_async_context(open_site(place.settings))
        await _sync(site)
        await stack.enter_async_context(serving(site, place.settings.host, number))
        console.print(f"The first request was answered {clock.seconds() - started:.1f} s after the start.")
        await stack.enter_async_context(
            background.running(site, mailer_of(place.settings) or ConsoleMailer(_show_mail))
        )
        _write_credentials(place.home / "credentials.json", address, known, simulators[0])
        if credentials is not None:
            _write_credentials(credentials, address, known, simulators[0])
        if traffic:
            first = _first_order(site, AccountId(known.traffic[0]))
            await stack.enter_async_context(_until_stopped(first, _traffic(site, known), address, known))
        else:
            _panel(address, known)
        await stopped()
        console.print("Stopping.")


@asynccontextmanager
async def _until_stopped(first: Any, traffic: Any, address: str, known: Credentials) -> AsyncIterator[None]:
    async def work() -> None:
        try:
            await first
        except AppError as problem:
            console.print(f"  It could not be shown to its end: {problem}")
        _panel(address, known)
        await traffic

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        first.close()
        traffic.close()


async def _prepare(place: Place) -> Credentials:
    """Fill an empty home: reference data, customers and their keys. A later start finds them as they are."""
    path = place.home / "demo.json"
    if path.exists():
        return Credentials(**json.loads(path.read_text()))
    pepper = secrets_of(place.settings).peppers[0]
    db = await open_database(place.app_url, size=2)
    try:
        await reference.load(db)
        known = await _make_customers(db, pepper)
    finally:
        await db.close()
    write_private(path, json.dumps(asdict(known)))
    return known


async def _make_people(place: Place, known: Credentials) -> Credentials:
    """Give the customer a password, and make a member of the staff with a second factor; once for each home."""
    if known.password:
        return known
    db = await open_database(place.app_url, size=2)
    try:
        people = open_people(db, place.settings, secrets_of(place.settings))
        made = replace(
            known, password=ids.base62(16), admin_password=ids.base62(16), totp_secret=accounts.new_totp_secret()
        )
        await accounts.set_password_from_shell(people, AccountId(known.traffic[0]), made.password)
        admin = await accounts.find_by_email(db, known.admin_email)
        if admin is None:
            admin = await accounts.create_staff(
                people, email=known.admin_email, name="Demo admin", role="owner", password=made.admin_password
            )
        else:
            await accounts.set_password_from_shell(people, admin, made.admin_password)
        await accounts.enrol(people, admin, made.totp_secret)
    finally:
        await db.close()
    write_private(place.home / "demo.json", json.dumps(asdict(made)))
    return made


async def _make_test_key(place: Place, known: Credentials) -> Credentials:
    """Give the customer a key of its sandbox; once for each home."""
    if known.test_api_key:
        return known
    pepper = secrets_of(place.settings).peppers[0]
    db = await open_database(place.app_url, size=2)
    try:
        async with db.transaction() as tx:
            sandboxes = await accounts.open_sandboxes(tx, [AccountId(known.traffic[0])])
            (key,) = await accounts.issue_keys(tx, account_ids=sandboxes, name="demo", pepper=pepper)
    finally:
        await db.close()
    made = replace(known, test_api_key=key.secret)
    write_private(place.home / "demo.json", json.dumps(asdict(made)))
    return made


async def _open_vpa(place: Place) -> None:
    """Take recharges by UPI from the first moment, as long as the operator has opened no address of his own."""
    db = await open_database(place.app_url, size=2)
    try:
        if not await payments.list_vpas(db):
            await payments.open_vpa(db, address=VPA, payee_name=PAYEE, kind="personal")
    finally:
        await db.close()


def _show_mail(to: str, subject: str, text: str) -> None:
    """Show a mail, since the demo has no mail server."""
    console.rule(f"Mail to {escape(to)}: {escape(subject)}", style="cyan")
    console.print(text.rstrip(), soft_wrap=True, markup=False)
    console.rule("shown here, since no mail server is set (SMTP_HOST)", style="cyan")


async def _make_customers(db: Database, pepper: str) -> Credentials:
    run_id = ids.base62(6)
    emails = [CUSTOMER] + [f"guest-{number}@demo.example" for number in range(1, TRAFFIC_CUSTOMERS + 1)]
    if await accounts.find_by_email(db, CUSTOMER) is not None:
        # The home lost its notes: the old customer's key cannot be read back, so a new one takes its place.
        emails = [email.replace("@", f"-{run_id}@") for email in emails]
    async with db.transaction() as tx:
        account_ids = await accounts.create(tx, emails=emails, names=["Demo customer"] * len(emails))
        await accounts.lift_limit(tx, account_ids[1:])
        await conduct.let_free(tx, account_ids, reason="demonstration")
        money = [STARTING_PAISE] + [TRAFFIC_PAISE] * TRAFFIC_CUSTOMERS
        await wallet.credit(
            tx,
            [
                Credit(account_id, paise, "admin_credit", f"demo-{run_id}-{account_id}")
                for account_id, paise in zip(account_ids, money, strict=True)
            ],
        )
        key = (await accounts.issue_keys(tx, account_ids=account_ids[:1], name="demo", pepper=pepper))[0]
    return Credentials(
        key.secret, ids.base62(24), [int(account_id) for account_id in account_ids], email=emails[0], admin_email=ADMIN
    )


async def _start_simulators(stack: AsyncExitStack, place: Place, known: Credentials) -> list[Simulator]:
    """Start the demo's providers and write their addresses down; each goes on from its record."""
    settings = place.settings
    vault = secrets_of(settings).vault
    lifetime = settings.order_lifetime * 2
    running = []
    db = await open_database(place.app_url, size=2)
    try:
        for seed, provider in enumerate(PROVIDERS):
            simulator = await start_simulator(
                api_key=known.simulator_key,
                record_path=place.home / f"simulator-{provider.name}.jsonl",
                profile=provider.profile,
                seed=seed,
                name=provider.name,
                price_factor=provider.price_factor,
                min_cancel_age=settings.cancel_after,
                lifetime=lifetime,
            )
            stack.push_async_callback(simulator.stop)
            running.append(simulator)
            row = await providers.find_by_name(db, provider.name)
            if row is None:
                row = await providers.add(
                    db, vault, name=provider.name, kind="sms-activate", url=simulator.url, api_key=known.simulator_key
                )
            await providers.set_options(
                db, row.id, url=simulator.url, poll_ms=POLL_MS, calls_per_second=10_000, parallel_max=500,
                cancel_after_ms=settings.cancel_timeout, lifetime_ms=lifetime // timedelta(milliseconds=1),
                extend_paise_per_minute=20,
            )  # fmt: skip
    finally:
        await db.close()
    return running


async def _sync(site: Site) -> None:
    for line in list(site.lines.by_id.values()):
        if line.provider.synced_at is None:
            await sync_provider(site.db, site.lines, line.provider)
    await catalogue.refresh(site.db, site.shelf)


def _write_credentials(path: Path, address: str, known: Credentials, simulator: Simulator) -> None:
    found = {
        "url": address,
        "customer": {
            "email": known.email, "password": known.password, "api_key": known.api_key,
            "test_api_key": known.test_api_key,
        },
        "admin": {"email": known.admin_email, "password": known.admin_password, "totp_secret": known.totp_secret},
        "simulator": {"url": simulator.url, "api_key": known.simulator_key},
    }  # fmt: skip
    write_private(path, json.dumps(found, indent=2) + "\n")


async def _first_order(site: Site, account_id: AccountId) -> None:
    """Do the main job once before the reader's eyes."""
    before = await wallet.balance(site.db, account_id)
    console.print("\nThe main job, once: a number for Telegram in India.")
    try:
        card = (await orders.buy(site.desk, account_id=account_id, wish=orders.Wish("tg", "IN")))[0]
    except AppError as problem:
        console.print(f"  It could not be bought: {problem}")
        return
    price = format_rupees(card.order.price_paise)
    console.print(f"  rented   +{card.order.number}   {price} rupees held")
    card = await _wait_for_code(site, account_id, card)
    if not card.messages:
        console.print("  No code yet; the money stays held until it comes or the order's time is over.")
        return
    after = await wallet.balance(site.db, account_id)
    paid = before.available_paise + before.held_paise - after.available_paise - after.held_paise
    console.print(f"  received [bold green]{card.messages[-1].code}[/]   “{card.messages[-1].text}”")
    console.print(f"  paid     {format_rupees(paid)} rupees, {format_rupees(after.available_paise)} left")
    checks = await monitoring.verify(site.db)
    right = all(check.ok for check in checks)
    console.print(f"  ledger   {len(checks)} checks, {'all hold' if right else '[red]NOT all hold[/]'}\n")


async def _wait_for_code(site: Site, account_id: AccountId, card: Card) -> Card:
    until = clock.seconds() + WAIT_FOR_CODE
    columns = (TextColumn("  waiting "), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=WAIT_FOR_CODE)
        while orders.is_waiting(card) and clock.seconds() < until:
            card = await orders.check(site.desk, account_id=account_id, order_id=card.order.id, wait=0.5)
            progress.update(task, completed=WAIT_FOR_CODE - (until - clock.seconds()))
    return card


async def _traffic(site: Site, known: Credentials) -> None:
    """Have the demo's own customers buy now and then, so that there is something to see."""
    chance = random.Random()  # noqa: S311 - demo data, no secret
    while True:
        await asyncio.sleep(chance.expovariate(1 / TRAFFIC_PAUSE))
        offers = [offer for offers in site.shelf.contents.offers.values() for offer in offers]
        if not offers or len(known.traffic) < 2:
            continue
        offer, account_id = chance.choice(offers), AccountId(chance.choice(known.traffic[1:]))
        try:
            await orders.buy(site.desk, account_id=account_id, wish=orders.Wish(offer.service, offer.country))
        except AppError as problem:
            log.debug("demo_purchase_refused", problem=problem.code)


def _panel(address: str, known: Credentials) -> None:
    key = f"-H 'X-API-Key: {known.api_key}'"
    json_type = "-H 'Content-Type: application/json'"
    buy, check = '{"service":"tg","country":"IN"}', '{"orderId":ORDER_ID,"wait":25}'
    lines = [
        f"API      {address}",
        f"Page     {address}/docs",
        f"API key  {known.api_key}",
        f"Test key {known.test_api_key}",
        f"Customer {known.email}  {known.password}",
        f"Staff    {known.admin_email}: see credentials.json in the home folder",
    ]
    console.print(Panel("\n".join(lines), title="Numberdesk demo", border_style="green", expand=False))
    console.print("Three lines to copy: balance, rent a number, wait for its code (put its orderId in).\n")
    commands = (
        f"curl -s {key} {address}/user/balance",
        f"curl -s {key} {json_type} -d {shlex.quote(buy)} {address}/auth/get-number",
        f"curl -s {key} {json_type} -d {shlex.quote(check)} {address}/auth/check-otp",
    )
    for command in commands:
        console.print(command, soft_wrap=True, markup=False)
    console.print("\nCtrl-C stops everything.", style="dim")
