"""What anybody may read: countries, products and prices, as everybody pays them.

Whole tables are made once for each change, and everything is made in a thread: whoever asks need not even have a key.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from numberdesk.catalogue import service as catalogue
from numberdesk.catalogue.model import PricedOffer
from numberdesk.catalogue.service import Assortment, DeliveriesByService, Shelf
from numberdesk.compat._wire import Reply
from numberdesk.compat.five_sim._wire import amount
from numberdesk.compat.five_sim._words import Names
from numberdesk.providers.model import ANY_OPERATOR

RATE_MIN = 20.0
"""Below it no rate is told, as at 5sim."""


@dataclass(frozen=True, slots=True)
class _Market:
    """What everybody sees at one moment. Two that are equal show the same."""

    seen: Assortment
    counted: DeliveriesByService


async def countries(shelf: Shelf, names: Names) -> Reply:
    """List the countries in which something is on sale, with their operators."""
    return await _whole(shelf, "countries", lambda market: _countries(market, names))


async def products(shelf: Shelf, names: Names, country: str, operator: str) -> Reply:
    """List what is on sale in a country at an operator; `any` leaves either open."""
    if (country, operator) == (ANY_OPERATOR, ANY_OPERATOR):
        return await _whole(shelf, "products", lambda market: _products(market, names, country, operator))
    return await _part(shelf, lambda market: _products(market, names, country, operator))


async def prices(shelf: Shelf, names: Names, country: str, product: str) -> Reply:
    """List prices by country, product and operator; a product asked for alone comes first. Nothing is `null`."""
    if not product and country in ("", ANY_OPERATOR):
        return await _whole(shelf, "prices", lambda market: _prices(market, names, "", ""))
    return await _part(shelf, lambda market: _prices(market, names, country, product))


def json_body(value: Any) -> bytes:
    """Encode a table; amounts in it are written already."""
    return msgspec.json.encode(value)


def _market(shelf: Shelf) -> _Market:
    return _Market(catalogue.assortment(shelf, None), catalogue.deliveries_by_service(shelf))


async def _whole(shelf: Shelf, what: str, make: Callable[[_Market], Any]) -> Reply:
    market = _market(shelf)
    return Reply(await shelf.renderings.get(("five-sim", what), market, lambda: json_body(make(market))), is_json=True)


async def _part(shelf: Shelf, make: Callable[[_Market], Any]) -> Reply:
    market = _market(shelf)
    return Reply(await asyncio.to_thread(lambda: json_body(make(market))), is_json=True)


def _countries(market: _Market, names: Names) -> Any:
    """Make the table. Clients take the first four fields as they are, and all after them for operators."""
    operators: dict[int, dict[str, dict[str, int]]] = defaultdict(dict)
    for offer in _offers(market, names, country="", product="", operator=ANY_OPERATOR):
        operators[offer.country][offer.operator] = {"activation": 1}
    listed = {}
    for code, known in names.contents.countries.items():
        if code in operators:
            listed[names.places[code]] = {
                "iso": {known.iso.lower(): 1},
                "prefix": {f"+{known.calling_code}": 1},
                "text_en": known.name,
                "text_ru": known.name,
                **operators[code],
            }
    return listed


def _products(market: _Market, names: Names, country: str, operator: str) -> Any:
    listed: dict[str, dict[str, Any]] = {}
    for offer in _offers(market, names, country=country, product="", operator=operator):
        word = names.products[offer.service]
        known = listed.setdefault(word, {"Category": "activation", "Qty": 0, "Price": offer.price_paise})
        if _is_better(offer, known["Price"], known["Qty"]):
            known["Price"] = offer.price_paise
        known["Qty"] += offer.stock
    for row in listed.values():
        row["Price"] = amount(row["Price"])
    return listed


def _prices(market: _Market, names: Names, country: str, product: str) -> Any:
    listed: dict[str, dict[str, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
    for offer in _offers(market, names, country=country, product=product, operator=ANY_OPERATOR):
        place, word = names.places[offer.country], names.products[offer.service]
        outer, inner = (word, place) if product and not country else (place, word)
        known = listed[outer][inner].get(offer.operator)
        if known is None or _is_better(offer, known["cost"], known["count"]):
            listed[outer][inner][offer.operator] = _row(market, offer, (known or {}).get("count", 0))
        else:
            known["count"] += offer.stock
    for inner_rows in listed.values():
        for rows in inner_rows.values():
            for row in rows.values():
                row["cost"] = amount(row["cost"])
    return listed or None


def _is_better(offer: PricedOffer, paise: int, count: int) -> bool:
    """Tell whether an offer comes before what is known: what is in stock before what is not, then the cheaper one."""
    return (not offer.stock, offer.price_paise) < (not count, paise)


def _row(market: _Market, offer: PricedOffer, counted: int) -> dict[str, Any]:
    row: dict[str, Any] = {"cost": offer.price_paise, "count": counted + offer.stock}
    delivery = market.counted.source.get((offer.service, offer.country, offer.provider_id, offer.operator))
    if delivery is not None and delivery.n >= catalogue.SHOWN_MIN:
        rate = round(100 * catalogue.shown_rates(delivery)[0], 2)
        if rate >= RATE_MIN:
            row["rate"] = rate
    return row


def _offers(market: _Market, names: Names, *, country: str, product: str, operator: str) -> Iterable[PricedOffer]:
    """Return the offers that fit, without stock that is not believed; what is blocked or switched off is none.

    Raises:
        UnknownService, UnknownCountry: by the words given.
    """
    seen = market.seen
    try:
        service = seen.service(names.service(product)) if product else None
        place = seen.country(names.country(country)) if country.casefold() not in ("", ANY_OPERATOR) else None
    except (catalogue.ServiceBlocked, catalogue.ServiceOff, catalogue.CountryOff):
        return ()
    stocks, wanted = seen.stocks(service=service, country=place), operator.casefold()
    return (offer for stock in stocks for offer in stock.offers if wanted in (ANY_OPERATOR, offer.operator.casefold()))
