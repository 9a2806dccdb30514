"""What a 5sim v1 server answers about many things at once: orders, prices, countries. Pure, never raising."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

import msgspec

from numberdesk.base.money import Paise
from numberdesk.providers.adapters import five_sim_parse as parse
from numberdesk.providers.adapters.reading import clean, cost_of, id_of, phone_of, price_of, read, text_of
from numberdesk.providers.model import ANY_OPERATOR, Activation, Unknown, UpstreamName, UpstreamOffer, Words

STOCK_MAX: Final = 2**31 - 1
NAME_MAX: Final = 64

_WORD = re.compile(r"[\w.+&-]{1,64}", re.ASCII)
_ISO = re.compile(r"[A-Za-z]{2}")


@dataclass(frozen=True, slots=True)
class Page:
    """A page of orders. `oldest_end` and `newest_start` are by the server's clock, None when it does not tell them."""

    activations: tuple[Activation, ...]
    rows: int
    total: int
    is_readable: bool
    is_newest_first: bool
    oldest_end: datetime | None
    newest_start: datetime | None


class _Orders(msgspec.Struct, rename="pascal"):
    total: int
    data: list[msgspec.Raw] | None = None


class _Price(msgspec.Struct):
    cost: msgspec.Raw
    count: int


class _Country(msgspec.Struct):
    iso: dict[str, msgspec.Raw] | None = None
    text_en: str | None = None


_ORDERS = msgspec.json.Decoder(_Orders)
_ORDER = msgspec.json.Decoder(parse.Order)
_MAP = msgspec.json.Decoder(dict[str, msgspec.Raw])
_PRICE = msgspec.json.Decoder(_Price, strict=False)
_COUNTRY = msgspec.json.Decoder(_Country)


def orders(body: bytes, status: int, *, words: Words, paise_per_unit: int) -> Page | Unknown:
    """Read a page of user/orders: live orders, and ended ones that have a message."""
    page = read(_ORDERS, text_of(body).encode()) if status == 200 else None
    if page is None or page.total < 0:
        return parse.unknown(body, status)
    raw = page.data or []
    rows = [order for item in raw if (order := read(_ORDER, item)) is not None]
    activations: list[Activation] = []
    is_readable = len(rows) == len(raw)
    for order in rows:
        if order.status not in parse.LIVE and not (order.status in parse.OVER and parse.messages_of(order)):
            is_readable &= order.status in parse.OVER
            continue
        activation = _activation(order, words, paise_per_unit)
        if activation is None:
            is_readable = False
        else:
            activations.append(activation)
    ids = [int(found) for order in rows if (found := id_of(order.id))]
    is_newest_first = all(newer > older for newer, older in pairwise(ids))
    by_age = rows if is_newest_first else rows[::-1]
    return Page(
        activations=tuple(activations),
        rows=len(raw),
        total=page.total,
        is_readable=is_readable,
        is_newest_first=is_newest_first,
        oldest_end=_time(by_age[-1].expires) if by_age else None,
        newest_start=_time(by_age[0].created_at) if by_age else None,
    )


def prices(
    body: bytes, status: int, *, countries: Collection[str], paise_per_unit: int
) -> tuple[UpstreamOffer, ...] | Unknown:
    """Read the answer to guest/prices: by country, product and operator, or by product, country and operator.

    Beside the operators' own offers each pair of product and country has one of any operator, at the lowest price that
    is in stock and with the stock at that price: a ceiling at that price reaches no other.

    Args:
        countries: the provider's words for countries, by which the nesting is recognised.
    """
    text = text_of(body) if status == 200 else ""
    if text == "null":
        return ()
    outer = read(_MAP, text.encode())
    if outer is None:
        return parse.unknown(body, status)
    table = [(name, read(_MAP, entries) or {}) for name, entries in outer.items()]
    inner_hits = sum(name in countries for _, entries in table for name in entries)
    is_product_first = inner_hits > sum(name in countries for name in outer)
    found: list[UpstreamOffer] = []
    entries_seen = 0
    for first, entries in table:
        for second, raw in entries.items():
            entries_seen += 1
            product, country = (first, second) if is_product_first else (second, first)
            if _WORD.fullmatch(product) and _WORD.fullmatch(country):
                found.extend(_of_operators(product, country, raw, paise_per_unit))
    return tuple(found) if found or not entries_seen else parse.unknown(body, status)


def countries(body: bytes, status: int) -> tuple[UpstreamName, ...]:
    """Read the answer to guest/countries; nothing when it cannot be read, since names are a help only."""
    listed = read(_MAP, text_of(body).encode()) if status == 200 else None
    return tuple(
        UpstreamName(word, clean(country.text_en or word, NAME_MAX), _iso(country))
        for word, raw in (listed or {}).items()
        if _WORD.fullmatch(word) and (country := read(_COUNTRY, raw)) is not None
    )


def products(offers: Sequence[UpstreamOffer]) -> tuple[UpstreamName, ...]:
    """Name the products that are offered; the word of a product is its name in small letters without blanks."""
    return tuple(UpstreamName(word, word) for word in sorted({offer.service for offer in offers}))


def _activation(order: parse.Order, words: Words, paise_per_unit: int) -> Activation | None:
    upstream_id, number = id_of(order.id), phone_of(order.phone)
    cost = price_of(order.price, paise_per_unit)
    if upstream_id is None or number is None or isinstance(cost, Unknown):
        return None
    service, country = words.service(order.product), words.country(order.country)
    return Activation(
        upstream_id=upstream_id,
        # What we have no word for we cannot have bought: it must fit no order of ours.
        service=service if service is not None and country is not None else "",
        country=country,
        number=number,
        messages=parse.messages_of(order),
        cost_paise=cost,
        is_live=order.status in parse.LIVE,
    )


def _of_operators(product: str, country: str, raw: msgspec.Raw, paise_per_unit: int) -> Iterator[UpstreamOffer]:
    by_cost: dict[Paise, int] = defaultdict(int)
    for operator, entry in (read(_MAP, raw) or {}).items():
        price = read(_PRICE, entry)
        cost = cost_of(price.cost, paise_per_unit) if price is not None else None
        if price is None or not cost or operator == ANY_OPERATOR or not _WORD.fullmatch(operator):
            continue
        stock = min(max(price.count, 0), STOCK_MAX)
        by_cost[cost] += stock
        yield UpstreamOffer(product, country, operator, cost, stock)
    if by_cost:
        cheapest = min((cost for cost, stock in by_cost.items() if stock), default=min(by_cost))
        yield UpstreamOffer(product, country, ANY_OPERATOR, cheapest, min(by_cost[cheapest], STOCK_MAX))


def _iso(country: _Country) -> str:
    names = list(country.iso or {})
    return names[0].upper() if len(names) == 1 and _ISO.fullmatch(names[0]) else ""


def _time(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
