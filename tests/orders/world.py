"""The cast of the orders tests: Alice with 100 rupees, Bob without, frozen Carol, providers that behave as told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, LiteralString

import asyncpg
import msgspec
from aiohttp import web

from numberdesk.accounts import service as accounts
from numberdesk.base.crypto import Vault, new_key
from numberdesk.base.db import Database, open_database
from numberdesk.base.money import Paise
from numberdesk.catalogue import reference
from numberdesk.catalogue import service as catalogue
from numberdesk.catalogue.model import PricedOffer
from numberdesk.catalogue.service import Shelf
from numberdesk.conduct.model import PurchaseRules
from numberdesk.monitoring import service as monitoring
from numberdesk.orders import jobs, sql
from numberdesk.orders import service as orders
from numberdesk.orders.model import Card, Order, OrderRules, Reservation, Settlement
from numberdesk.orders.service import Desk, Wish
from numberdesk.providers import service as providers
from numberdesk.providers import simulator
from numberdesk.providers.model import Provider, RentAnswer, Rented, UpstreamOffer, Wanted
from numberdesk.providers.service import Lines
from numberdesk.providers.simulator import PROFILES, Profile, Simulator
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import AccountId, Credit
from tests.breakers import force_breaker
from tests.catalogue.market import take_over
from tests.providers.line_desk import serving

KEY = "simulator-key-3f9a77"
INDIA = 22
TELEGRAM = Wish("tg", INDIA)
MONEY = 10_000
"""What Alice has: 100 rupees."""
COST, PRICE = 1775, 2130
"""A Telegram number of India at the first provider, and with our 20 percent."""
DEAR_COST, DEAR_PRICE = 1953, 2344
"""The same at the second one, which costs a tenth more."""
RULES = OrderRules(cancel_after=timedelta(0), lifetime=timedelta(minutes=15))
DEADLINE_MS = 300
PATIENCE = timedelta(milliseconds=DEADLINE_MS) + jobs.SETTLE_MARGIN
"""After it nobody can be asking that provider for a number any more."""
SLOW = 2 * DEADLINE_MS / 1000
"""Seconds in which no answer is waited for any more."""
SOLD = {
    "sold-then-dropped": replace(PROFILES["sold-then-dropped"], code_after=None),
    "sold-then-500": replace(PROFILES["sold-then-500"], code_after=None),
    "late-sale": replace(PROFILES["late-sale"], answer_delay=SLOW, code_after=None),
    "slow": replace(PROFILES["slow"], answer_delay=SLOW, fault_on="purchases", code_after=None),
}
NOT_SOLD = {
    "dropped-not-sold": PROFILES["dropped-not-sold"],
    "http-500": replace(PROFILES["http-500"], fault_on="purchases"),
    "big-body": replace(PROFILES["big-body"], fault_on="purchases"),
    "redirect": replace(PROFILES["redirect"], fault_on="purchases"),
}
"""Purchases with an unclear answer, by what the provider did."""

_MOMENTS = {
    "orders": (
        "created_at", "sent_at", "activated_at", "cancel_allowed_at", "expires_at", "last_expiry_at", "next_try_at",
    ),
    "orphans": ("first_seen_at", "next_try_at"),
    "prolongations": ("sent_at", "ended_before", "next_try_at"),
}  # fmt: skip


@dataclass
class World:
    """One process with its desk, the providers it reaches, and a door behind the scenes."""

    db: Database
    backstage: Any
    """A superuser's connection, to move clocks and to hold locks."""
    vault: Vault
    lines: Lines
    shelf: Shelf
    desk: Desk
    upstreams: dict[str, Simulator]
    alice: AccountId
    bob: AccountId
    carol: AccountId

    @property
    def alpha(self) -> Simulator:
        """The cheaper provider."""
        return self.upstreams["alpha"]

    @property
    def beta(self) -> Simulator:
        """The dearer provider."""
        return self.upstreams["beta"]

    def provider(self, name: str = "alpha") -> Provider:
        return next(line.provider for line in self.lines.by_id.values() if line.provider.name == name)

    async def buy(
        self, wish: Wish = TELEGRAM, *, account: AccountId | None = None, key: str | None = None, ip: str | None = None
    ) -> Card:
        """Buy one number, for Alice unless somebody else is named."""
        return (await orders.buy(self.desk, account_id=account or self.alice, wish=wish, request_key=key, ip=ip))[0]

    async def buy_unclearly(self, profile: str | Profile) -> Card:
        """Buy with an unclear answer: nothing is known, and the money stays held."""
        self.alpha.set_profile(profile)
        card = await self.buy()
        assert (card.order.state, card.order.number, card.order.upstream_id) == ("unknown", None, None)
        assert await self.read(card) == card.order
        self.alpha.set_profile("never")
        return card

    async def rent(self, reference: str, service: str = "tg") -> Rented:
        """Rent a number at the first provider, past all orders."""
        wanted = Wanted(service, INDIA, "any", Paise(9_999), reference)
        answer = await providers.rent(self.lines, self.provider().id, wanted)
        assert isinstance(answer, Rented)
        return answer

    async def settle(self, card: Card, answer: RentAnswer, *, next_offer: PricedOffer | None = None) -> Card:
        """Settle an answer as the process that asked would."""
        order = card.order
        return await self.desk.settle.call(
            Settlement(order.id, order.attempt, order.provider_id, 0, 1_200_000, answer, next_offer)
        )

    async def keep_buying(self, name: str = "alpha") -> None:
        """Hold the breaker of a provider closed, for what needs more failures than it bears."""
        await force_breaker(self.db, self.provider(name).id, "closed", "the test needs every failure")
        await providers.refresh(self.lines)

    async def reserve(self, wish: Wish = TELEGRAM, *, key: str) -> Card:
        """Begin to buy, and die before the provider is asked."""
        return await self.desk.reserve.call(Reservation(self.alice, key, 0, 1, self.offers(wish)[0]))

    def offers(self, wish: Wish = TELEGRAM) -> list[PricedOffer]:
        return orders.list_offers(self.desk, account_id=self.alice, wish=wish)

    async def watch(self, name: str = "alpha") -> int:
        """Let the watch of a provider run once."""
        return await jobs.watch(self.desk, self.provider(name), is_idle_turn=True)

    async def resolve(self, name: str = "alpha") -> None:
        """Watch a provider for so long that every purchase at it is over and every doubt is settled."""
        await self.watch(name)
        for _ in range(3):
            await self.age(PATIENCE * 2)
            await jobs.doubt_stale(self.desk)
            await self.watch(name)
        await jobs.cancel_orphans(self.desk)

    async def cancel(self, card: Card, *, account: AccountId | None = None) -> Card:
        return await orders.cancel(self.desk, account_id=account or self.alice, order_id=card.order.id)

    async def check(self, card: Card, *, wait: float = 0) -> Card:
        return await orders.check(self.desk, account_id=self.alice, order_id=card.order.id, wait=wait)

    async def read(self, card: Card) -> Order:
        """Read an order from the database, past the board."""
        async with self.db.statement() as tx:
            order = await sql.find_order(tx, card.order.id)
        assert order is not None
        return order

    async def all_orders(self) -> list[Order]:
        async with self.db.statement() as tx:
            found = await sql.list_account_orders(tx, account_id=self.alice, states=None, before=None, limit=1000)
        return found[::-1]

    async def money(self, account: AccountId | None = None) -> tuple[int, int]:
        """Return what is available and what is held."""
        found = await wallet.balance(self.db, account or self.alice)
        return found.available_paise, found.held_paise

    async def revenue(self) -> int:
        return int(
            await self.backstage.fetchval("SELECT coalesce(sum(amount_paise), 0) FROM entries WHERE bucket = 'revenue'")
        )

    async def give(self, account: AccountId, paise: int, *, cause: str = "more") -> None:
        async with self.db.transaction() as tx:
            await wallet.credit(tx, [Credit(account, Paise(paise), "recharge", cause)])

    async def age(self, time: timedelta) -> None:
        """Let time pass by the database's clock: everything about orders moves into the past."""
        for table, names in _MOMENTS.items():
            moved = ", ".join(f"{name} = {name} - $1::interval" for name in names)
            await self.backstage.execute(f"UPDATE {table} SET {moved}", time)

    async def sealed(self, card: Card) -> list[tuple[str, bool]]:
        """Return (code, sealed) of every message that was stored, readable or not."""
        found = await self.backstage.fetch(
            "SELECT code, is_sealed FROM messages WHERE order_id = $1 ORDER BY ordinal, received_at", card.order.id
        )
        return [(row["code"], row["is_sealed"]) for row in found]

    async def orphans(self) -> dict[str, str]:
        """Return the state of each activation without an order."""
        return {row[0]: row[1] for row in await self.backstage.fetch("SELECT upstream_id, state FROM orphans")}

    async def run(self, query: LiteralString, *args: object) -> None:
        await self.backstage.execute(query, *args)

    def deliver(self, card: Card, code: str, *, name: str = "alpha") -> None:
        """Let an SMS arrive at the provider."""
        assert card.order.upstream_id is not None
        self.upstreams[name].deliver(int(card.order.upstream_id), f"Telegram code {code}", code=code)

    def sold_ids(self, name: str = "alpha") -> list[str]:
        """Return what the provider says it sold, in its order."""
        return [str(fact.activation_id) for fact in self.upstreams[name].sold]


Play = Callable[..., Awaitable[World]]


@asynccontextmanager
async def opened(
    db: Database,
    admin_url: str,
    *,
    profile: str | Profile = "never",
    beta: str | Profile | None = None,
    rules: OrderRules = RULES,
    options: dict[str, Any] | None = None,
    limits: PurchaseRules | None = None,
    **upstream: Any,
) -> AsyncIterator[World]:
    """Open a market of one or two simulated providers; at the end every invariant of the money must hold.

    Args:
        profile: how the first provider, `alpha`, behaves.
        beta: how the second one does; without it there is none.
        options: of the providers' rows.
        limits: how fast an account may buy.
        upstream: of the simulators.
    """
    vault = Vault([new_key()])
    await reference.load(db)
    upstreams: dict[str, Simulator] = {}
    backstage = await asyncpg.connect(admin_url)
    try:
        for name, chosen in (("alpha", profile), ("beta", beta)):
            if chosen is not None:
                given: dict[str, Any] = {"min_cancel_age": timedelta(0), "name": name} | upstream
                upstreams[name] = await simulator.start(api_key=KEY, record_path=None, profile=chosen, **given)
                await add_provider(db, vault, name, upstreams[name].base_url, **options or {})
        async with process(db, vault, rules=rules, limits=limits) as (lines, shelf, desk):
            alice, bob, carol = await _people(db)
            world = World(db, backstage, vault, lines, shelf, desk, upstreams, alice, bob, carol)
            yield world
            await orders.drain(desk)
            wrong = [(check.name, check.wrong) for check in await monitoring.verify(db) if not check.ok]
            assert not wrong, wrong
    finally:
        await asyncio.gather(*(running.stop() for running in upstreams.values()))
        await backstage.close()


async def add_provider(db: Database, vault: Vault, name: str, url: str, **options: Any) -> Provider:
    """Add a provider that sells Telegram and WhatsApp of India, and Google of Russia."""
    given: dict[str, Any] = {
        "kind": "sms-activate",
        "deadline_ms": DEADLINE_MS, "cancel_after_ms": 0, "calls_per_second": 1000, "parallel_max": 100,
    }  # fmt: skip
    cost = COST if name == "alpha" else DEAR_COST
    provider = await providers.add(db, vault, name=name, url=url, api_key=KEY, **given | options)
    offers = [_offer("tg", INDIA, cost), _offer("wa", INDIA, 4_500), _offer("go", 0, 4_500)]
    await take_over(db, provider.id, offers)
    return provider


def _offer(service: str, country: int, cost: int) -> UpstreamOffer:
    return UpstreamOffer(service=service, country=str(country), operator="any", cost_paise=Paise(cost), stock=100)


@asynccontextmanager
async def process(
    db: Database, vault: Vault, *, rules: OrderRules = RULES, limits: PurchaseRules | None = None
) -> AsyncIterator[tuple[Lines, Shelf, Desk]]:
    """Open what one process works with."""
    lines = await providers.open_lines(db, vault)
    try:
        shelf = await catalogue.open_shelf(db)
        desk = orders.open_desk(db, lines=lines, shelf=shelf, rules=rules, limits=limits)
        yield lines, shelf, desk
        desk.end_waits()
        await db.drain(timeout=3)
        await orders.drain(desk)
    finally:
        await providers.close(lines)


@asynccontextmanager
async def another_process(
    world: World, *, rules: OrderRules = RULES, limits: PurchaseRules | None = None
) -> AsyncIterator[World]:
    """Open a second process on the same database: a pool, lines, a shelf and a desk of its own."""
    db = await open_database(world.db.url, size=5, name="second")
    try:
        async with process(db, world.vault, rules=rules, limits=limits) as (lines, shelf, desk):
            yield replace(world, db=db, lines=lines, shelf=shelf, desk=desk)
    finally:
        await db.close()


async def _people(db: Database) -> Sequence[AccountId]:
    names = ("alice", "bob", "carol")
    async with db.transaction() as tx:
        people = await accounts.create(tx, emails=[f"{name}@example.com" for name in names], names=list(names))
        await wallet.credit(
            tx, [Credit(person, Paise(MONEY), "recharge", f"RC{person}") for person in (people[0], people[2])]
        )
    await accounts.set_state(db, people[2], "frozen")
    return people


@dataclass
class Script:
    """A provider that answers each action as told, for what the simulator never does."""

    answers: dict[str, bytes | None] = field(default_factory=dict)
    """By action; a change of status is `setStatus 8`. None hangs up."""
    asked: list[str] = field(default_factory=list)

    def count(self, action: str) -> int:
        return self.asked.count(action)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        action = f"{request.query['action']} {request.query.get('status', '')}".strip()
        self.asked.append(action)
        body = self.answers.get(action, b"NO_ACTIVATION")
        if body is None:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(body=body or b"")


SALE = b'{"activationId": 7001, "phoneNumber": "919812345678", "activationCost": 17.75}'


@asynccontextmanager
async def scripted(world: World, **listed: bytes | None) -> AsyncIterator[Script]:
    """Let the first provider be a script that sells one number and lists nothing."""
    script = Script({"getNumberV2": SALE, "getActiveActivations": b"NO_ACTIVATIONS", "getStatus": b"STATUS_WAIT_CODE"})
    script.answers |= listed
    async with serving(script.serve) as url:
        await providers.set_options(world.db, world.provider().id, url=url)
        await providers.refresh(world.lines)
        yield script


def row(**changed: Any) -> dict[str, Any]:
    """Return the scripted number as a row of the list."""
    return {
        "activationId": "7001", "serviceCode": "tg", "phoneNumber": "919812345678", "activationCost": 17.75,
        "activationStatus": "4", "smsCode": None, "smsText": None, "countryCode": "22",
    } | changed  # fmt: skip


def listing(*rows: dict[str, Any]) -> bytes:
    """Return an active list."""
    return msgspec.json.encode({"status": "success", "activeActivations": rows})


async def until(happened: Callable[[], bool], *, seconds: float = 5.0) -> None:
    """Wait until something has happened."""
    async with asyncio.timeout(seconds):
        while not happened():  # noqa: ASYNC110 - there is nothing to wait on
            await asyncio.sleep(0.005)


async def blocked(world: World, count: int) -> None:
    """Wait until so many sessions wait for a lock that is held."""
    async with asyncio.timeout(5):
        while True:
            waiting = await world.backstage.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            if waiting >= count:
                return
            await asyncio.sleep(0.005)


async def outcomes(calls: Iterable[Awaitable[Any]]) -> list[Any]:
    """Run calls together; a refusal is an outcome too."""
    return list(await asyncio.gather(*calls, return_exceptions=True))
