"""What anybody may read: countries, products and prices, as everybody pays them."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from numberdesk.catalogue import service as catalogue
from numberdesk.catalogue.model import PricedOffer
from numberdesk.catalogue.service import Shelf
from numberdesk.compat._wire import Reply, json_reply
from numberdesk.compat.five_sim._wire import amount
from numberdesk.compat.five_sim._words import Names
from numberdesk.providers.model import ANY_OPERATOR

RATE_MIN = 20.0
"""Below it no rate is told, as at 5sim."""


def countries(shelf: Shelf, names: Names) -> Reply:
    """List the countries in which something is on sale, with their operators.

    Clients take the first four fields as they are, and all after them for operators.
    """
    operators: dict[int, dict[str, dict[str, int]]] = defaultdict(dict)
    for offer in catalogue.list_offers(shelf, account_id=None):
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
    return json_reply(listed)


def products(shelf: Shelf, names: Names, country: str, operator: str) -> Reply:
    """List what is on sale in a country at an operator; `any` leaves either open."""
    listed: dict[str, dict[str, Any]] = {}
    for offer in _offers(shelf, names, country=country, product="", operator=operator):
        word = names.products[offer.service]
        stock, lowest = _stock(shelf, offer), offer.price_paise
        known = listed.get(word)
        if known is None:
            listed[word] = {"Category": "activation", "Qty": stock, "Price": lowest}
        else:
            known["Qty"] += stock
            known["Price"] = min(known["Price"], lowest)
    for row in listed.values():
        row["Price"] = amount(row["Price"])
    return json_reply(listed)


def prices(shelf: Shelf, names: Names, country: str, product: str) -> Reply:
    """List prices by country, product and operator; a product asked for alone comes first. Nothing is `null`."""
    listed: dict[str, dict[str, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
    for offer in _offers(shelf, names, country=country, product=product, operator=ANY_OPERATOR):
        place, word = names.places[offer.country], names.products[offer.service]
        outer, inner = (word, place) if product and not country else (place, word)
        known = listed[outer][inner].get(offer.operator)
        if known is None or known["cost"] > offer.price_paise:
            listed[outer][inner][offer.operator] = _row(shelf, offer, (known or {}).get("count", 0))
        else:
            known["count"] += _stock(shelf, offer)
    for inner_rows in listed.values():
        for rows in inner_rows.values():
            for row in rows.values():
                row["cost"] = amount(row["cost"])
    return json_reply(listed or None)


def _row(shelf: Shelf, offer: PricedOffer, counted: int) -> dict[str, Any]:
    row: dict[str, Any] = {"cost": offer.price_paise, "count": counted + _stock(shelf, offer)}
    delivery = shelf.deliveries.get((offer.service, offer.country, offer.provider_id, offer.operator))
    if delivery is not None and delivery.n >= catalogue.SHOWN_MIN:
        rate = round(100 * catalogue.shown_rates(delivery)[0], 2)
        if rate >= RATE_MIN:
            row["rate"] = rate
    return row


def _offers(shelf: Shelf, names: Names, *, country: str, product: str, operator: str) -> Iterable[PricedOffer]:
    """Return the offers that fit; an unknown word fits none."""
    found = catalogue.list_offers(
        shelf,
        account_id=None,
        service=names.service(product) if product else None,
        country=names.country(country) if country and country != ANY_OPERATOR else None,
    )
    return (offer for offer in found if operator in (ANY_OPERATOR, offer.operator))


def _stock(shelf: Shelf, offer: PricedOffer) -> int:
    return 0 if offer.offer_id in shelf.phantoms else offer.stock
