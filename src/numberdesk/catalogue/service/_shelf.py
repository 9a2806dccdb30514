"""The shelf: everything that a purchase needs to know of the catalogue, in the memory of each process."""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from itertools import product

from numberdesk.base.db import Database, Tx
from numberdesk.base.money import Paise
from numberdesk.base.rendered import Renderings
from numberdesk.catalogue import sql
from numberdesk.catalogue.model import (
    BlockedCategory,
    Country,
    CountryCode,
    Delivery,
    DeliveryKey,
    Mark,
    Offer,
    OfferId,
    PricedOffer,
    PriceRule,
    PriceTable,
    Route,
    Server,
    Service,
    ServiceCode,
)
from numberdesk.catalogue.service._prices import PriceBook
from numberdesk.catalogue.service._rental_offers import Rentals, read_rentals
from numberdesk.catalogue.sql import Observation
from numberdesk.providers import service as providers
from numberdesk.providers.model import ANY_OPERATOR, ProviderId
from numberdesk.wallet.model import is_sandbox

Pair = tuple[ServiceCode, CountryCode]
PAGE = 2_000
"""Offers read at once: between two pages the process answers its callers, so a long list stops nobody."""
SANDBOX_STOCK = 1_000
_AT_COST = PriceBook.of([PriceRule(None, None, None, None, margin_basis_points=0, floor_paise=Paise(1))])
"""What a sandbox pays is the same everywhere, whatever the operator's rules."""

Sold = tuple[Service, Country, str]


@dataclass(frozen=True, eq=False)
class Contents:
    """What was true at one moment, indexed for look-ups; prices worked out from it are remembered in it.

    Equal is only what is the same.
    """

    mark: Mark
    services: Mapping[str, Service]
    scripted: Collection[Service]
    """What only sandboxes buy; they are not among `services`, nor is their server among `servers`."""
    sandbox: Server | None
    unmapped: frozenset[str]
    countries: Mapping[CountryCode, Country]
    countries_by_name: Mapping[str | int, Country]
    blocked: Mapping[str, str]
    servers: Mapping[ProviderId, Server]
    servers_by_name: Mapping[str | int, Server]
    offers: Mapping[Pair, Sequence[Offer]]
    book: PriceBook
    priced: dict[tuple[int | None, ServiceCode, CountryCode], tuple[PricedOffer, ...]] = field(default_factory=dict)
    tables: dict[int | None, PriceTable] = field(default_factory=dict)
    rented: dict[int, tuple[Mapping[Pair, object], Sequence[Sold]]] = field(default_factory=dict)
    """By hours: what was listed for rent, and what of it may be sold, in order."""
    rented_at: dict[tuple[int | None, int, Pair], tuple[object, tuple[PricedOffer, ...]]] = field(default_factory=dict)
    """Prices of rentals by payer, hours and pair, each with what it was worked out from."""

    def index(self) -> None:
        """Put everything in the orders that lists need; for a thread, since a long catalogue takes a while."""
        _ = self.sold_in, self.sold_at, self.pairs_of_operators, self.pair_of

    def payer(self, account_id: int | None) -> int | None:
        """Return whose prices an account pays: its own if a rule names it, else everybody's, which is None."""
        return account_id if account_id in self.book.accounts else None

    @cached_property
    def pair_of(self) -> Mapping[OfferId, Pair]:
        """The service and country of each offer."""
        return {offer.id: pair for pair, offers in self.offers.items() for offer in offers}

    @cached_property
    def sold_in(self) -> Mapping[ServiceCode, Sequence[CountryCode]]:
        """The countries of `on_sale` by service, in order of their numbers."""
        found: dict[ServiceCode, list[CountryCode]] = {}
        for service, country, _ in self.on_sale:
            found.setdefault(service.code, []).append(country.code)
        return {service: sorted(countries) for service, countries in found.items()}

    @cached_property
    def sold_at(self) -> Mapping[CountryCode, Sequence[ServiceCode]]:
        """The services of `on_sale` by country, both in order."""
        found: dict[CountryCode, list[ServiceCode]] = {}
        for service, country, _ in self.on_sale:
            found.setdefault(country.code, []).append(service.code)
        return {country: sorted(found[country]) for country in sorted(found)}

    @cached_property
    def pairs_of_operators(self) -> Mapping[str, Collection[tuple[CountryCode, ServiceCode]]]:
        """Country and service of what is on sale, by the operators of its offers in small letters."""
        found: dict[str, set[tuple[CountryCode, ServiceCode]]] = {}
        for service, country, _ in self.on_sale:
            for offer in self.offers[service.code, country.code]:
                found.setdefault(offer.operator.casefold(), set()).add((country.code, service.code))
        return found

    @cached_property
    def on_sale(self) -> list[Sold]:
        """Each service and country that may be sold and somebody offers, by name, with its text for searching."""
        return self.sellable(self.offers)

    def sellable(self, pairs: Iterable[Pair]) -> list[Sold]:
        """Return those pairs that may be sold, by name, each with its text for searching."""
        sold = []
        for code, number in pairs:
            service, country = self.services.get(code), self.countries.get(number)
            if service is None or country is None or not service.is_on or not country.is_on:
                continue
            if service.category not in self.blocked:
                sold.append((service, country))
        sold.sort(key=lambda pair: (pair[0].name.casefold(), pair[0].code, pair[1].name, pair[1].code))
        return [
            (service, country, f"{service.name} {service.code} {country.name} {country.iso}".casefold())
            for service, country in sold
        ]


@dataclass(frozen=True, eq=False, slots=True)
class DeliveriesByService:
    """Numbers sold and delivered, by service and country, and what they were counted from. Equal is only the same."""

    source: Mapping[DeliveryKey, Delivery]
    counts: Mapping[ServiceCode, Mapping[CountryCode, tuple[int, int]]]


class Shelf:
    """Holds the newest contents. A reader takes `contents` once and so sees one moment.

    What was delivered lately stands apart in `deliveries`: it changes all the time, and no price depends on it. So do
    `phantoms`, the offers whose stock is not believed now, and `observed`, what purchases met and nobody wrote yet.
    """

    __slots__ = (
        "_sandbox",
        "by_service",
        "contents",
        "counted",
        "deliveries",
        "observed",
        "phantoms",
        "ranked",
        "ranked_by",
        "renderings",
        "rentals",
        "tables",
    )

    def __init__(self, contents: Contents, rentals: Rentals) -> None:
        self.contents = contents
        """What everybody is sold but sandboxes."""
        self.rentals = rentals
        """Numbers for hours or days, read by themselves; of another moment than `contents`, and of no price table."""
        self._sandbox: tuple[Contents, Contents] | None = None
        self.deliveries: Mapping[DeliveryKey, Delivery] = {}
        self.counted: tuple[int, datetime] | None = None
        """The version and the hour that `deliveries` are of."""
        self.phantoms: frozenset[OfferId] = frozenset()
        self.observed: dict[OfferId, Observation] = {}
        self.tables: dict[int | None, tuple[PriceTable, frozenset[OfferId], PriceTable]] = {}
        """Price tables without phantoms, each with the table and the phantoms that it was worked out from."""
        self.ranked: dict[tuple[int | None, ServiceCode, CountryCode, Route], tuple[PricedOffer, ...]] = {}
        self.ranked_by: tuple[Contents, Mapping[DeliveryKey, Delivery]] = contents, self.deliveries
        """What `ranked` was worked out from; with anything else it is void."""
        self.renderings = Renderings()
        """The large answers that were made from this shelf."""
        self.by_service: DeliveriesByService | None = None
        """`deliveries` in another order, once somebody asked; void with any other `deliveries`."""

    def contents_of(self, account_id: int | None) -> Contents:
        """Return what an account may see and buy: scripted services for a sandbox, and all others for anybody else."""
        if not is_sandbox(account_id):
            return self.contents
        known = self._sandbox
        if known is None or known[0] is not self.contents:
            known = self._sandbox = self.contents, _sandbox(self.contents)
        return known[1]


async def open_shelf(db: Database) -> Shelf:
    """Read the catalogue into memory."""
    return Shelf(await _read(db), await read_rentals(db, Rentals()))


async def refresh(db: Database, shelf: Shelf) -> bool:
    """Read again if anything has changed, and say so; two short queries if nothing has.

    Meant for every second. Readers have the old contents until the new ones are complete.
    """
    async with db.statement() as tx:
        mark = await sql.get_mark(tx)
    known = shelf.rentals
    shelf.rentals = await read_rentals(db, known)
    if mark == shelf.contents.mark:
        return shelf.rentals is not known
    shelf.contents = await _read(db)
    return True


async def _read(db: Database) -> Contents:
    async with db.transaction() as tx:
        await sql.set_snapshot(tx)
        contents = await _contents(tx)
    await asyncio.to_thread(contents.index)
    return contents


async def _contents(tx: Tx) -> Contents:
    services = await sql.list_services(tx)
    countries = await sql.list_countries(tx)
    known_servers = await sql.list_servers(tx)
    servers = [server for server in known_servers if server.kind != "sandbox"]
    return Contents(
        mark=await sql.get_mark(tx),
        services={service.code: service for service in services},
        scripted=await sql.list_scripted(tx),
        sandbox=next((server for server in known_servers if server.kind == "sandbox"), None),
        unmapped=frozenset(await sql.list_unmapped_codes(tx)),
        countries={country.code: country for country in countries},
        countries_by_name=_countries_by_name(countries),
        blocked=_blocked(await sql.list_blocked_categories(tx)),
        servers={server.id: server for server in servers},
        servers_by_name=_servers_by_name(servers),
        offers=await _offers(tx),
        book=PriceBook.of(await sql.list_price_rules(tx)),
    )


def _sandbox(contents: Contents) -> Contents:
    """Return what sandboxes are sold: every script in every country, from one server. No offer of it is a row."""
    server, costs = contents.sandbox, providers.sandbox_costs()
    scripted: dict[str, Service] = {item.code: item for item in contents.scripted if item.code in costs}
    servers = [] if server is None else [server]
    pairs: dict[Pair, list[Offer]] = {}
    for server in servers:
        for number, (country, service) in enumerate(product(contents.countries, map(ServiceCode, scripted)), 1):
            cost = costs[service]
            pairs[service, country] = [
                Offer(OfferId(-number), service, country, server.id, ANY_OPERATOR, cost, SANDBOX_STOCK)
            ]
    return replace(
        contents,
        services=scripted,
        unmapped=frozenset(),
        blocked={},
        servers={server.id: server for server in servers},
        servers_by_name=_servers_by_name(servers),
        offers=pairs,
        book=_AT_COST,
        priced={},
        tables={},
        rented={},
        rented_at={},
    )


def _countries_by_name(countries: Iterable[Country]) -> dict[str | int, Country]:
    names: dict[str | int, Country] = {}
    for country in countries:
        names[country.code] = names[str(country.code)] = country
        if country.iso_default:
            names[country.iso] = country
    return names


def _servers_by_name(servers: Sequence[Server]) -> dict[str | int, Server]:
    names: dict[str | int, Server] = {server.name: server for server in servers}
    # A provider may be named "2": numbers come later and win, since they are what "Server 2" means.
    for server in servers:
        names[server.id] = names[str(server.id)] = server
    return names


def _blocked(categories: Iterable[BlockedCategory]) -> dict[str, str]:
    return {blocked.category: blocked.reason for blocked in categories if blocked.is_on}


async def _offers(tx: Tx) -> dict[Pair, list[Offer]]:
    pairs: dict[Pair, list[Offer]] = {}
    last = 0
    while page := await sql.list_offers(tx, after=last, limit=PAGE):
        for offer in page:
            pairs.setdefault((offer.service, offer.country), []).append(offer)
        last = page[-1].id
    return pairs
