"""Asking the shelf: what a purchase may choose from, and the lists that customers see. No SQL here."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from hashlib import sha256

import msgspec

from numberdesk.base.money import Paise, format_rupees
from numberdesk.catalogue.model import (
    Country,
    CountryCode,
    Offer,
    OfferId,
    PricedOffer,
    PriceTable,
    Route,
    Server,
    Service,
    ServiceCode,
)
from numberdesk.catalogue.service._prices import price
from numberdesk.catalogue.service._refusals import (
    CountryOff,
    NoStock,
    NotOffered,
    PriceTooLow,
    ServerOff,
    ServiceBlocked,
    ServiceOff,
    UnknownCountry,
    UnknownOperator,
    UnknownServer,
    UnknownService,
)
from numberdesk.catalogue.service._routing import rank
from numberdesk.catalogue.service._shelf import Contents, Shelf
from numberdesk.providers.model import ANY_OPERATOR, ProviderId
from numberdesk.wallet.model import is_sandbox

SHOWN_MAX = 40
"""Of a word that we do not know, no more than this many characters go back to the caller."""


def offers_for(
    shelf: Shelf,
    *,
    account_id: int | None,
    service: str,
    country: str | int,
    server: str | int | None = None,
    operator: str | None = None,
    max_price_paise: Paise | None = None,
    route: Route = "cheapest",
) -> list[PricedOffer]:
    """Return what the account may buy now, at its prices, in the order in which it should be tried.

    Offers whose stock was not there when others bought come last.

    Args:
        country: SMS-Activate's number, as int or text, or two letters in any case.
        server: a provider's name or number; None for all that are on.
        operator: one or several with commas between; None or "any" for all.

    Raises:
        UnknownService, ServiceBlocked, ServiceOff, UnknownCountry, CountryOff, UnknownServer, ServerOff: by the words
            given, in this order.
        NotOffered: nobody, or not the server, offers the service in the country.
        UnknownOperator: none of the offers is of the operator.
        NoStock: all that fits is sold out.
        PriceTooLow: what is in stock costs more.
    """
    contents = shelf.contents_of(account_id)
    service_code = service_on_sale(contents, service).code
    country_code = country_on_sale(contents, country).code
    wanted_server = None if server is None else server_on_sale(contents, server)

    if (service_code, country_code) not in contents.offers:
        raise NotOffered(service=service_code, country=country_code, server=None)
    offers: Sequence[PricedOffer] = _ranked(shelf, contents, account_id, service_code, country_code, route)
    fitting = narrowed(
        offers, service_code, country_code, server=wanted_server, operator=operator, max_price_paise=max_price_paise
    )
    if shelf.phantoms:
        fitting.sort(key=lambda offer: offer.offer_id in shelf.phantoms)
    return fitting


def narrowed(
    offers: Sequence[PricedOffer],
    service: ServiceCode,
    country: CountryCode,
    *,
    server: Server | None,
    operator: str | None,
    max_price_paise: Paise | None,
) -> list[PricedOffer]:
    """Return those offers of a service and country that fit a wish and are in stock, or refuse as `offers_for` does."""
    if server is not None:
        offers = [offer for offer in offers if offer.provider_id == server.id]
        if not offers:
            raise NotOffered(service=service, country=country, server=server.name)
    if operator is not None:
        offers = _of_operator(offers, operator)
    offers = [offer for offer in offers if offer.stock > 0]
    if not offers:
        raise NoStock(service=service, country=country)
    if max_price_paise is not None:
        minimum = min(offer.price_paise for offer in offers)
        if minimum > max_price_paise:
            raise PriceTooLow(max_price_paise=max_price_paise, minimum_paise=minimum)
        offers = [offer for offer in offers if offer.price_paise <= max_price_paise]
    return list(offers)


def list_offers(
    shelf: Shelf,
    *,
    account_id: int | None,
    service: str | None = None,
    country: str | int | None = None,
    q: str | None = None,
) -> list[PricedOffer]:
    """Return all that is on sale, sold out or not, by names of service and country, then by price.

    What is blocked or switched off is left out, not refused.

    Args:
        account_id: None shows the prices that everybody pays.
        q: words that must all stand in the name or code of the service or country.

    Raises:
        UnknownService, UnknownCountry: by the words given.
    """
    contents = shelf.contents_of(account_id)
    if service is not None and service not in contents.services:
        raise UnknownService(service=service[:SHOWN_MAX])
    only_country = None if country is None else known_country(contents, country)
    words = (q or "").casefold().split()
    payer = contents.payer(account_id)
    return [
        offer
        for sold, where, text in contents.on_sale
        if (service is None or sold.code == service)
        and (only_country is None or where is only_country)
        and all(word in text for word in words)
        for offer in priced_offers(contents, payer, sold.code, where.code)
    ]


def price_table(shelf: Shelf, account_id: int | None) -> PriceTable:
    """Return the lowest price and the stock of everything on sale; the work is done once per change and payer.

    Stock that was not there when others bought does not count.

    The ETag is taken from the content, so it is the same in every process and changes only when the content does. The
    price is the lowest that is in stock, or the lowest of all when nothing is.
    """
    contents = shelf.contents_of(account_id)
    payer = contents.payer(account_id)
    table = contents.tables.get(payer)
    if table is None:
        table = contents.tables[payer] = _price_table(contents, payer)
    phantoms = shelf.phantoms
    if not phantoms or is_sandbox(account_id):
        return table
    known = shelf.tables.get(payer)
    if known is None or known[0] is not table or known[1] != phantoms:
        known = shelf.tables[payer] = table, phantoms, _without(contents, payer, table, phantoms)
    return known[2]


def service_on_sale(contents: Contents, code: str) -> Service:
    """Return a service that may be sold, or refuse its word."""
    service = contents.services.get(code)
    if service is None:
        if code in contents.unmapped:
            raise ServiceOff(service=code)
        raise UnknownService(service=code[:SHOWN_MAX])
    reason = contents.blocked.get(service.category)
    if reason is not None:
        raise ServiceBlocked(service=service.code, reason=reason)
    if not service.is_on:
        raise ServiceOff(service=service.code)
    return service


def known_country(contents: Contents, name: str | int) -> Country:
    """Return the country of a number or two letters, also one that is off, or refuse its word."""
    country = contents.countries_by_name.get(name)
    if country is None and isinstance(name, str):
        country = contents.countries_by_name.get(name.upper())
    if country is None:
        raise UnknownCountry(country=str(name)[:SHOWN_MAX])
    return country


def find_target(shelf: Shelf, kind: str, name: str | int) -> str | None:
    """Return what stands for ever for a `server`, `service` or `country` that people call so: id, code or number."""
    contents = shelf.contents
    if kind == "service":
        return name if isinstance(name, str) and name in contents.services else None
    if kind == "country":
        try:
            return str(known_country(contents, name).code)
        except UnknownCountry:
            return None
    server = contents.servers_by_name.get(name)
    return None if server is None else str(server.id)


def country_on_sale(contents: Contents, name: str | int) -> Country:
    """Return a country in which numbers may be sold, or refuse its word."""
    country = known_country(contents, name)
    if not country.is_on:
        raise CountryOff(country=country.code)
    return country


def server_on_sale(contents: Contents, name: str | int) -> Server:
    """Return a server that is on, or refuse its word."""
    server = contents.servers_by_name.get(name)
    if server is None:
        raise UnknownServer(server=str(name)[:SHOWN_MAX])
    if not server.is_on:
        raise ServerOff(server=server.name)
    return server


def _of_operator(offers: Sequence[PricedOffer], operator: str) -> Sequence[PricedOffer]:
    wanted = {word.strip().casefold() for word in operator.split(",")}
    if ANY_OPERATOR in wanted:
        return offers
    fitting = [offer for offer in offers if offer.operator.casefold() in wanted]
    if offers and not fitting:
        known = sorted({offer.operator for offer in offers}, key=lambda word: (word != ANY_OPERATOR, word))
        raise UnknownOperator(operator=operator[:SHOWN_MAX], known=known)
    return fitting


def _ranked(
    shelf: Shelf,
    contents: Contents,
    account_id: int | None,
    service: ServiceCode,
    country: CountryCode,
    route: Route,
) -> tuple[PricedOffer, ...]:
    deliveries = shelf.deliveries
    if shelf.ranked_by[0] is not shelf.contents or shelf.ranked_by[1] is not deliveries:
        shelf.ranked, shelf.ranked_by = {}, (shelf.contents, deliveries)
    # A sandbox pays everybody's prices too, but no service of it is anybody else's.
    key = contents.payer(account_id), service, country, route
    found = shelf.ranked.get(key)
    if found is None:
        priced = priced_offers(contents, key[0], service, country)
        found = shelf.ranked[key] = rank(priced, route=route, servers=contents.servers, deliveries=deliveries)
    return found


def priced_offers(
    contents: Contents, payer: int | None, service: ServiceCode, country: CountryCode
) -> tuple[PricedOffer, ...]:
    """Return what servers that are on ask for one service in one country, from the cheapest up; worked out once."""
    key = (payer, service, country)
    found = contents.priced.get(key)
    if found is None:
        offers = [priced_offer(contents, payer, offer) for offer in _of_servers_on(contents, service, country)]
        offers.sort(
            key=lambda offer: (offer.price_paise, offer.provider_id, offer.operator != ANY_OPERATOR, offer.operator)
        )
        found = contents.priced[key] = tuple(offers)
    return found


def _of_servers_on(contents: Contents, service: ServiceCode, country: CountryCode) -> list[Offer]:
    return [offer for offer in contents.offers[service, country] if contents.servers[offer.provider_id].is_on]


def priced_offer(contents: Contents, payer: int | None, offer: Offer) -> PricedOffer:
    """Return an offer at the price of a payer."""
    server = contents.servers[offer.provider_id]
    return PricedOffer(
        offer_id=offer.id,
        service=offer.service,
        country=offer.country,
        provider_id=server.id,
        provider_name=server.name,
        server=server.id,
        operator=offer.operator,
        cost_paise=offer.cost_paise,
        price_paise=_price(contents, payer, offer),
        stock=offer.stock,
        lifetime_ms=server.lifetime_ms,
        cancel_after_ms=server.cancel_after_ms,
        extend_paise_per_minute=server.extend_paise_per_minute,
    )


def _price(contents: Contents, payer: int | None, offer: Offer) -> Paise:
    rule = contents.book.rule_for(
        account_id=payer, service=offer.service, country=offer.country, provider_id=offer.provider_id
    )
    return price(offer.cost_paise, rule)


def _price_table(contents: Contents, payer: int | None) -> PriceTable:
    prices: dict[CountryCode, dict[ServiceCode, tuple[str, int]]] = {
        country: {} for country in sorted({country.code for _, country, _ in contents.on_sale})
    }
    for service, country, _ in contents.on_sale:
        offers = _of_servers_on(contents, service.code, country.code)
        if offers:
            prices[country.code][service.code] = _lowest(contents, payer, offers)
    return _tagged({country: services for country, services in prices.items() if services})


def _without(contents: Contents, payer: int | None, table: PriceTable, phantoms: Collection[OfferId]) -> PriceTable:
    """Return a price table with nothing in stock of some offers; only their pairs are worked out again."""
    prices = dict(table.prices)
    for service, country in {contents.pair_of[offer] for offer in phantoms if offer in contents.pair_of}:
        if service in prices.get(country, {}):
            offers = [
                replace(offer, stock=0) if offer.id in phantoms else offer
                for offer in _of_servers_on(contents, service, country)
            ]
            prices[country] = prices[country] | {service: _lowest(contents, payer, offers)}
    return _tagged(prices)


def _tagged(prices: dict[CountryCode, dict[ServiceCode, tuple[str, int]]]) -> PriceTable:
    return PriceTable(prices=prices, etag=f'"{sha256(msgspec.json.encode(prices)).hexdigest()[:32]}"')


def _lowest(contents: Contents, payer: int | None, offers: Sequence[Offer]) -> tuple[str, int]:
    lowest = min((offer.stock == 0, _price(contents, payer, offer)) for offer in offers)[1]
    return format_rupees(lowest), available(offers)


def available(offers: Sequence[Offer | PricedOffer]) -> int:
    """Return how many numbers there are in all."""
    # A provider's offer of any operator holds the numbers of its operators too: they must not count twice.
    of_any: dict[ProviderId, int] = {}
    of_operators: dict[ProviderId, int] = {}
    for offer in offers:
        counts = of_any if offer.operator == ANY_OPERATOR else of_operators
        counts[offer.provider_id] = counts.get(offer.provider_id, 0) + offer.stock
    return sum(max(of_any.get(server, 0), of_operators.get(server, 0)) for server in of_any | of_operators)
