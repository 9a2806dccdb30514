"""The shelf: everything that a purchase needs to know of the catalogue, in the memory of each process."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from numberdesk.base.db import Database, Tx
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
    PriceTable,
    Route,
    Server,
    Service,
    ServiceCode,
)
from numberdesk.catalogue.service._prices import PriceBook
from numberdesk.catalogue.sql import Observation
from numberdesk.providers.model import ProviderId

Pair = tuple[ServiceCode, CountryCode]
PAGE = 2_000
"""Offers read at once: between two pages the process answers its callers, so a long list stops nobody."""


@dataclass(frozen=True)
class Contents:
    """What was true at one moment, indexed for look-ups; prices worked out from it are remembered in it."""

    mark: Mark
    services: Mapping[str, Service]
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

    def payer(self, account_id: int | None) -> int | None:
        """Return whose prices an account pays: its own if a rule names it, else everybody's, which is None."""
        return account_id if account_id in self.book.accounts else None

    @cached_property
    def pair_of(self) -> Mapping[OfferId, Pair]:
        """The service and country of each offer."""
        return {offer.id: pair for pair, offers in self.offers.items() for offer in offers}

    @cached_property
    def on_sale(self) -> list[tuple[Service, Country, str]]:
        """Each service and country that may be sold and somebody offers, by name, with its text for searching."""
        sold = [
            (self.services[service], self.countries[country])
            for service, country in self.offers
            if self.services[service].is_on
            and self.services[service].category not in self.blocked
            and self.countries[country].is_on
        ]
        sold.sort(key=lambda pair: (pair[0].name.casefold(), pair[0].code, pair[1].name, pair[1].code))
        return [
            (service, country, f"{service.name} {service.code} {country.name} {country.iso}".casefold())
            for service, country in sold
        ]


class Shelf:
    """Holds the newest contents. A reader takes `contents` once and so sees one moment.

    What was delivered lately stands apart in `deliveries`: it changes all the time, and no price depends on it. So do
    `phantoms`, the offers whose stock is not believed now, and `observed`, what purchases met and nobody wrote yet.
    """

    __slots__ = (
        "contents",
        "counted",
        "deliveries",
        "observed",
        "phantoms",
        "ranked",
        "ranked_by",
        "tables",
    )

    def __init__(self, contents: Contents) -> None:
        self.contents = contents
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


async def open_shelf(db: Database) -> Shelf:
    """Read the catalogue into memory."""
    return Shelf(await _read(db))


async def refresh(db: Database, shelf: Shelf) -> bool:
    """Read again if anything has changed, and say so; one short query if nothing has.

    Meant for every second. Readers have the old contents until the new ones are complete.
    """
    async with db.statement() as tx:
        mark = await sql.get_mark(tx)
    if mark == shelf.contents.mark:
        return False
    shelf.contents = await _read(db)
    return True


async def _read(db: Database) -> Contents:
    async with db.transaction() as tx:
        await sql.set_snapshot(tx)
        return await _contents(tx)


async def _contents(tx: Tx) -> Contents:
    services = await sql.list_services(tx)
    countries = await sql.list_countries(tx)
    servers = await sql.list_servers(tx)
    return Contents(
        mark=await sql.get_mark(tx),
        services={service.code: service for service in services},
        unmapped=frozenset(await sql.list_unmapped_codes(tx)),
        countries={country.code: country for country in countries},
        countries_by_name=_countries_by_name(countries),
        blocked=_blocked(await sql.list_blocked_categories(tx)),
        servers={server.id: server for server in servers},
        servers_by_name=_servers_by_name(servers),
        offers=await _offers(tx),
        book=PriceBook.of(await sql.list_price_rules(tx)),
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
