"""What an SMSPool server answers about many things at once: orders, prices, names. Pure, never raising."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from numberdesk.base.money import Paise
from numberdesk.providers.adapters import sms_pool_parse as parse
from numberdesk.providers.adapters.reading import clean, cost_of, phone_of, price_of, read, text_of
from numberdesk.providers.model import ANY_OPERATOR, Activation, ActiveList, Unknown, UpstreamName, UpstreamOffer, Words

NAME_MAX: Final = 64
STOCK_UNTOLD: Final = 1
"""The price list has no stock, and lists what is sold out too: that a number is left is the least one may try for."""
LIVE: Final = frozenset({"pending", "completed", "complete", "resend", "processing", "activating"})
"""A completed order has its message and may get another. It is told until its time is over."""
OVER: Final = frozenset({"expired", "cancelled", "canceled", "refunded"})

_ISO = re.compile(r"[A-Z]{2}")
_PLACE = re.compile(r"[A-Z][A-Z0-9_-]{1,15}")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


class Row(msgspec.Struct):
    """One order of request/active. It names the service by its name, and the country by its short name."""

    order_code: str | int
    phonenumber: str | int
    status: str
    service: str
    short_name: str
    cost: msgspec.Raw = msgspec.Raw()
    code: str | int | None = None
    full_code: str | None = None


class _Country(msgspec.Struct):
    id: str | int = msgspec.field(name="ID")
    name: str
    short_name: str


class _Service(msgspec.Struct):
    id: str | int = msgspec.field(name="ID")
    name: str


class _Price(msgspec.Struct):
    service: str | int
    pool: str | int
    price: msgspec.Raw
    short_name: str
    service_name: str = ""


@dataclass(frozen=True, slots=True)
class Rows:
    """The list of orders before its names are looked up. `is_readable` is false when a row was left out."""

    rows: tuple[Row, ...]
    is_readable: bool


@dataclass(frozen=True, slots=True)
class Place:
    """A country: the number that prices are asked for by, and what it is called."""

    number: str
    name: UpstreamName


_ROW = msgspec.json.Decoder(Row)
_COUNTRY = msgspec.json.Decoder(_Country)
_SERVICE = msgspec.json.Decoder(_Service)
_PRICE = msgspec.json.Decoder(_Price)
_LIST = msgspec.json.Decoder(list[msgspec.Raw])


def orders(body: bytes, status: int) -> Rows | Unknown:
    """Read the answer to request/active."""
    items = _items(body, status)
    if items is None:
        return parse.unknown(body, status)
    rows = tuple(row for item in items if (row := read(_ROW, item)) is not None)
    return Rows(rows, len(rows) == len(items))


def active(found: Rows, *, ids: Mapping[str, tuple[str, ...]], words: Words, paise_per_unit: int) -> ActiveList:
    """Put the orders in our codes. The list is not whole when a row cannot be read or its service's name is not known.

    Args:
        ids: the numbers of services by what `name_key` makes of their names.
    """
    activations: list[Activation] = []
    is_whole = found.is_readable
    for row in found.rows:
        state = row.status.strip().casefold()
        message = parse.message_of(row.code, row.full_code)
        if state not in LIVE and not (state in OVER and message is not None):
            is_whole &= state in OVER
            continue
        upstream_id, number = parse.id_of(row.order_code), phone_of(row.phonenumber)
        cost = price_of(row.cost, paise_per_unit)
        if upstream_id is None or number is None or isinstance(cost, Unknown):
            is_whole = False
            continue
        numbers = ids.get(name_key(row.service), ())
        codes = {code for word in numbers if (code := words.service(word)) is not None}
        is_whole &= bool(numbers) and len(codes) < 2
        country = words.country(row.short_name.strip())
        activations.append(
            Activation(
                upstream_id=upstream_id,
                # What we have no word for we cannot have bought: it must fit no order of ours.
                service=codes.pop() if len(codes) == 1 and country is not None else "",
                country=country,
                number=number,
                messages=() if message is None else (message,),
                cost_paise=cost,
                is_live=state in LIVE,
            )
        )
    return ActiveList(tuple(activations), is_whole)


def service_ids(body: bytes, status: int) -> Mapping[str, tuple[str, ...]] | Unknown:
    """Read the answer to service/retrieve_all: the numbers of services by their names."""
    found: dict[str, list[str]] = defaultdict(list)
    for item in _items(body, status) or ():
        service = read(_SERVICE, item)
        if service is not None and _NUMBER.fullmatch(str(service.id)):
            found[name_key(service.name)].append(str(service.id))
    return {name: tuple(numbers) for name, numbers in found.items()} if found else parse.unknown(body, status)


def name_key(name: str) -> str:
    """Return what two spellings of a service's name have in common."""
    return " ".join(name.casefold().split())


def places(body: bytes, status: int) -> tuple[Place, ...] | Unknown:
    """Read the answer to country/retrieve_all. A country's word is its short name, as orders tell it."""
    found: dict[str, Place] = {}
    for item in _items(body, status) or ():
        country = read(_COUNTRY, item)
        word = country.short_name.strip() if country is not None else ""
        if country is not None and _PLACE.fullmatch(word) and _NUMBER.fullmatch(str(country.id)):
            iso = word if _ISO.fullmatch(word) else ""
            name = UpstreamName(word, clean(country.name, NAME_MAX) or word, iso)
            found[str(country.id)] = Place(str(country.id), name)
    return tuple(found.values()) if found else parse.unknown(body, status)


def prices(
    body: bytes, status: int, *, paise_per_unit: int
) -> tuple[tuple[UpstreamOffer, ...], tuple[UpstreamName, ...]] | Unknown:
    """Read the answer to request/pricing: offers, one for each pool and one of any, and the services' names.

    A pool is an operator here. The offer of any has the lowest price: a ceiling at that price reaches no other.
    """
    items = _items(body, status)
    if items is None:
        return parse.unknown(body, status)
    by_pair: dict[tuple[str, str], dict[str, Paise]] = defaultdict(dict)
    names: dict[str, str] = {}
    for item in items:
        price = read(_PRICE, item)
        cost = cost_of(price.price, paise_per_unit) if price is not None else None
        if price is None or not cost:
            continue
        service, pool, place = str(price.service), str(price.pool), price.short_name.strip()
        if _NUMBER.fullmatch(service) and _NUMBER.fullmatch(pool) and _PLACE.fullmatch(place):
            pools = by_pair[service, place]
            pools[pool] = min(cost, pools.get(pool, cost))
            names[service] = clean(price.service_name, NAME_MAX) or service
    if items and not by_pair:
        return parse.unknown(body, status)
    offers = [
        UpstreamOffer(service, place, pool, cost, STOCK_UNTOLD)
        for (service, place), pools in by_pair.items()
        for pool, cost in {ANY_OPERATOR: min(pools.values()), **pools}.items()
    ]
    return tuple(offers), tuple(UpstreamName(word, name) for word, name in names.items())


def is_pool(word: str) -> bool:
    """Say whether an operator can be a pool's number."""
    return _NUMBER.fullmatch(word) is not None


def _items(body: bytes, status: int) -> Sequence[msgspec.Raw] | None:
    text = text_of(body) if status == 200 else ""
    return read(_LIST, text.encode()) if text.startswith("[") else None
