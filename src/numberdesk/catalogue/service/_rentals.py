"""Asking the shelf for rentals: numbers for hours or days. They meet neither offers of one code nor their statistics.

Only the times that are listed can be had: between two of them nobody names a price, and who pays for 72 hours has not
asked for 50.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import msgspec

from numberdesk.base.db import Database
from numberdesk.base.errors import InvalidFields
from numberdesk.base.money import Paise
from numberdesk.catalogue import sql
from numberdesk.catalogue.model import CountryCode, Offer, PricedOffer, Route, ServiceCode
from numberdesk.catalogue.service._offers import (
    SHOWN_MAX,
    country_on_sale,
    known_country,
    narrowed,
    priced_offer,
    server_on_sale,
    service_on_sale,
)
from numberdesk.catalogue.service._prices import price
from numberdesk.catalogue.service._refusals import NotOffered, UnknownHours, UnknownService
from numberdesk.catalogue.service._routing import rank
from numberdesk.catalogue.service._shelf import Contents, Pair, Shelf, Sold
from numberdesk.providers import service as providers
from numberdesk.providers.model import ProviderId
from numberdesk.wallet.model import is_sandbox

HOUR_MS = 3_600_000
HOURS_MAX = 8760
HOURS_COUNT_MAX = 20
"""Times that staff may name: each is asked for in each country of each provider."""


def rental_hours(
    shelf: Shelf,
    *,
    account_id: int | None,
    service: ServiceCode | None = None,
    country: CountryCode | None = None,
) -> list[int]:
    """Return for how many hours numbers are rented, in order; of one service or in one country if given."""
    contents = shelf.contents_of(account_id)
    return [hours for hours in shelf.rentals.hours if _is_rented(shelf, contents, account_id, hours, service, country)]


def list_rentals(
    shelf: Shelf,
    *,
    account_id: int | None,
    hours: int,
    country: str | int | None = None,
    service: str | None = None,
    q: str | None = None,
) -> list[PricedOffer]:
    """Return all that is rented for so many hours, sold out or not, by names of service and country, then by price.

    What is blocked or switched off is left out, not refused. The other arguments are as in `list_offers`.

    Raises:
        UnknownService, UnknownCountry: by the words given.
        UnknownHours: nobody rents anything for so long.
    """
    contents = shelf.contents_of(account_id)
    if service is not None and service not in contents.services:
        raise UnknownService(service=service[:SHOWN_MAX])
    only_country = None if country is None else known_country(contents, country)
    order = _order(shelf, contents, account_id, hours)
    if not order:
        raise UnknownHours(hours=hours, known=rental_hours(shelf, account_id=account_id))
    words, payer = (q or "").casefold().split(), contents.payer(account_id)
    return [
        offer
        for sold, where, text in order
        if (service is None or sold.code == service)
        and (only_country is None or where is only_country)
        and all(word in text for word in words)
        for offer in _priced(shelf, contents, account_id, payer, hours, (sold.code, where.code))
    ]


def rentals_for(
    shelf: Shelf,
    *,
    account_id: int | None,
    service: str,
    country: str | int,
    hours: int,
    server: str | int | None = None,
    operator: str | None = None,
    max_price_paise: Paise | None = None,
    route: Route = "cheapest",
) -> list[PricedOffer]:
    """Return what the account may rent now, at its prices, in the order in which it should be tried.

    The arguments are those of `offers_for`. For `best` only the staff's weights count: what is known of how codes come
    is known of numbers for one code.

    Raises:
        UnknownHours: the service is rented in the country, and not for so long; `known` says for how long.
        and those of `offers_for`.
    """
    contents = shelf.contents_of(account_id)
    pair = service_on_sale(contents, service).code, country_on_sale(contents, country).code
    wanted_server = None if server is None else server_on_sale(contents, server)
    offers = _priced(shelf, contents, account_id, contents.payer(account_id), hours, pair)
    if not offers:
        known = rental_hours(shelf, account_id=account_id, service=pair[0], country=pair[1])
        if known:
            raise UnknownHours(hours=hours, known=known)
        raise NotOffered(service=pair[0], country=pair[1], server=None)
    ranked = rank(offers, route=route, servers=contents.servers, deliveries={})
    return narrowed(ranked, *pair, server=wanted_server, operator=operator, max_price_paise=max_price_paise)


def price_of_cost(
    shelf: Shelf,
    *,
    account_id: int | None,
    service: ServiceCode,
    country: CountryCode,
    provider_id: ProviderId,
    cost_paise: Paise,
) -> Paise:
    """Return what an account pays for something that costs us so much there, as for a rental that is prolonged."""
    contents = shelf.contents_of(account_id)
    rule = contents.book.rule_for(
        account_id=contents.payer(account_id), service=service, country=country, provider_id=provider_id
    )
    return price(cost_paise, rule)


async def allowed_hours(db: Database) -> list[int]:
    """Return for how many hours staff let numbers be rented, whether anybody does or not."""
    async with db.statement() as tx:
        return await sql.list_rental_hours(tx)


async def set_rental_hours(db: Database, hours: Iterable[int]) -> list[int]:
    """Let numbers be rented for these hours and no others; what is known of the others is no longer sold.

    Raises:
        InvalidFields: there are too many, or one of them is no time.
    """
    wanted = sorted(set(hours))
    if len(wanted) > HOURS_COUNT_MAX or not all(0 < time <= HOURS_MAX for time in wanted):
        raise InvalidFields({"hours": f"must be at most {HOURS_COUNT_MAX} whole numbers from 1 to {HOURS_MAX}"})
    async with db.transaction() as tx:
        await sql.set_rental_hours(tx, wanted)
        await sql.forget_rental_countries(tx)
    return wanted


def _listed(shelf: Shelf, contents: Contents, account_id: int | None, hours: int) -> Mapping[Pair, object]:
    """Return what somebody rented for so long, by service and country, whether it may be sold or not."""
    if hours not in shelf.rentals.hours:
        return {}
    return contents.offers if is_sandbox(account_id) else shelf.rentals.offers.get(hours, {})


def _order(shelf: Shelf, contents: Contents, account_id: int | None, hours: int) -> Sequence[Sold]:
    """Return what may be sold of it, in order; worked out again only when something is rented for the first time."""
    listed = _listed(shelf, contents, account_id, hours)
    known = contents.rented.get(hours)
    if known is None or known[0] is not listed:
        is_same = known is not None and known[0].keys() == listed.keys()
        order = known[1] if known is not None and is_same else contents.sellable(listed)
        known = contents.rented[hours] = listed, order
    return known[1]


def _is_rented(
    shelf: Shelf,
    contents: Contents,
    account_id: int | None,
    hours: int,
    service: ServiceCode | None,
    country: CountryCode | None,
) -> bool:
    payer, listed = contents.payer(account_id), _listed(shelf, contents, account_id, hours)
    # A purchase that is refused must not cost a walk through all that is rented.
    asked: Iterable[Pair] = listed
    if service is not None and country is not None:
        asked = [(service, country)] if (service, country) in listed else []
    return any(
        contents.sellable([pair]) and _priced(shelf, contents, account_id, payer, hours, pair)
        for pair in asked
        if (service is None or pair[0] == service) and (country is None or pair[1] == country)
    )


def _priced(
    shelf: Shelf, contents: Contents, account_id: int | None, payer: int | None, hours: int, pair: Pair
) -> tuple[PricedOffer, ...]:
    """Return what servers that are on ask for one service in one country, from the cheapest up; worked out once."""
    source = _listed(shelf, contents, account_id, hours).get(pair)
    if source is None:
        return ()
    known = contents.rented_at.get((payer, hours, pair))
    if known is None or known[0] is not source:
        priced = [
            msgspec.structs.replace(
                priced_offer(contents, payer, offer),
                hours=hours,
                lifetime_ms=hours * HOUR_MS,
                # A rental may be given back at once; it is how late that counts.
                cancel_after_ms=0,
                extend_paise_per_minute=None,
            )
            for offer in _offers(shelf, contents, account_id, hours, pair)
        ]
        priced.sort(key=lambda offer: (offer.price_paise, offer.provider_id, offer.operator))
        known = contents.rented_at[payer, hours, pair] = source, tuple(priced)
    return known[1]


def _offers(shelf: Shelf, contents: Contents, account_id: int | None, hours: int, pair: Pair) -> Iterator[Offer]:
    if is_sandbox(account_id):
        for offer in contents.offers.get(pair, ()):
            yield replace(offer, cost_paise=providers.sandbox_rental_cost(offer.cost_paise))
        return
    for rental in shelf.rentals.offers.get(hours, {}).get(pair, {}).values():
        server = contents.servers.get(rental.provider_id)
        if server is not None and server.is_on and providers.capabilities(server).has_rentals:
            yield Offer(rental.id, *pair, server.id, rental.operator, rental.cost_paise, rental.stock)
