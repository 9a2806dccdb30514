"""What the SMS-Activate family answers about everything at once, the active list and prices: pure, never raising."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice, repeat, zip_longest
from typing import Any, Final

import msgspec

from numberdesk.base.money import Paise
from numberdesk.providers.adapters.reading import (
    CODE_MAX,
    TEXT_MAX,
    Id,
    Phone,
    clean,
    cost_of,
    id_of,
    phone_of,
    read,
    text_of,
)
from numberdesk.providers.adapters.sms_activate_parse import says_error, unknown, word_of
from numberdesk.providers.model import ANY_OPERATOR, Activation, ActiveList, Received, Unknown, UpstreamOffer

PAGE_SIZE: Final = 100
"""HeroSMS cuts its list there and does not say so, so a list of exactly this length may go on."""
MESSAGES_MAX: Final = 50
STOCK_MAX: Final = 2**31 - 1
NAME_MAX: Final = 64
ROWS_KEPT: Final = 20_000
ROW_KEPT_MAX: Final = 2000
"""Rows remembered from list to list, and the most bytes of each: a server may send rows of any length."""

_COUNTRY = re.compile(r"0|[1-9][0-9]{0,5}")
_SERVICE = re.compile(r"[A-Za-z0-9_-]{1,40}")

_OVER = frozenset({"6", "8", "10"})
"""activationStatus of what is finished, cancelled and refunded."""


class _Item(msgspec.Struct, rename="camel"):
    activation_id: Id
    phone_number: Phone
    service_code: str = ""
    country_code: int | str | None = None
    activation_cost: msgspec.Raw = msgspec.Raw()
    activation_status: int | str | None = None
    sms_code: list[str | int | None] | str | int | None = None
    sms_text: list[str | None] | str | None = None
    order_id: str | int | None = None


class _ShortItem(msgspec.Struct):
    """The same row with the names of the older list."""

    id: Id
    phone: Phone
    service: str = ""
    country: int | str | None = None
    cost: msgspec.Raw = msgspec.Raw()
    status: int | str | None = None
    code: list[str | int | None] | str | int | None = None
    text: list[str | None] | str | None = None


class _Envelope(msgspec.Struct, rename="camel"):
    status: Any = None
    success: Any = None
    title: Any = None
    message: Any = None
    error: Any = None
    msg: Any = None
    active_activations: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()
    array: msgspec.Raw = msgspec.Raw()


class _Nothing(msgspec.Struct):
    num_rows: int | str
    row: Any = None
    rows: Any = None


class _Price(msgspec.Struct):
    count: int
    cost: msgspec.Raw = msgspec.Raw()
    price: msgspec.Raw = msgspec.Raw()
    providers: dict[str, msgspec.Raw] = msgspec.field(default_factory=dict)


_ITEM = msgspec.json.Decoder(_Item)
_SHORT_ITEM = msgspec.json.Decoder(_ShortItem)
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_ENVELOPE = msgspec.json.Decoder(_Envelope)
_NOTHING = msgspec.json.Decoder(_Nothing)
_MAP = msgspec.json.Decoder(dict[str, msgspec.Raw])
_PRICE = msgspec.json.Decoder(_Price, strict=False)
_STOCK = msgspec.json.Decoder(int, strict=False)


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of a list; `count` are its rows, those that could not be read included."""

    activations: tuple[Activation, ...]
    count: int


def page(body: bytes, status: int, *, paise_per_unit: int) -> Page | Unknown:
    """Read one answer of the list of what lives; a row that cannot be read is left out."""
    items = _items(body, status)
    if items is None:
        return unknown(body, status)
    found = (_row(bytes(item), paise_per_unit) for item in items)
    return Page(tuple(activation for activation in found if activation is not None), len(items))


def active(body: bytes, status: int, *, paise_per_unit: int) -> ActiveList | Unknown:
    """Read a list that comes in one piece; it is not whole when a row was left out or when a server may have cut it."""
    found = page(body, status, paise_per_unit=paise_per_unit)
    if isinstance(found, Unknown):
        return found
    return ActiveList(found.activations, is_whole=len(found.activations) == found.count != PAGE_SIZE)


def joined(pages: Sequence[Page], page_size: int) -> ActiveList:
    """Join the pages of a list, each of which begins with the last rows of the one before.

    What ends or begins between two questions moves the rows. As long as two pages share a row, nothing slipped through
    between them. A last page that is full means that the list goes on.
    """
    is_whole = all(len(read_.activations) == read_.count for read_ in pages) and pages[-1].count != page_size
    found: dict[str, Activation] = {}
    for read_ in pages:
        ids = {activation.upstream_id for activation in read_.activations}
        is_whole = is_whole and (not found or not ids.isdisjoint(found))
        found |= {activation.upstream_id: activation for activation in read_.activations}
    return ActiveList(tuple(found.values()), is_whole)


def prices(body: bytes, status: int, *, paise_per_unit: int) -> tuple[UpstreamOffer, ...] | Unknown:
    """Read a price list: by country, then service; some servers nest them the other way round.

    Where a server lists several prices with their stock, the offer is the cheapest one in stock: a ceiling at that
    price reaches no other.
    """
    table = _table(text_of(body).encode()) if status == 200 else None
    if table is None:
        return unknown(body, status)
    found, entries = [], 0
    for country, service, raw in _by_country(table):
        entries += 1
        price = _price(raw, paise_per_unit=paise_per_unit)
        if price is not None and _is_country(country) and _SERVICE.fullmatch(service):
            found.append(UpstreamOffer(service, country, ANY_OPERATOR, *price))
    return tuple(found) if found or not entries else unknown(body, status)


def _items(body: bytes, status: int) -> list[msgspec.Raw] | None:
    """Return the rows in whichever form they came, or None when the body is no such list."""
    if word_of(body, status) == "NO_ACTIVATIONS":
        return []
    if status != 200:
        return None
    whole = text_of(body).encode()
    if whole.startswith(b"["):
        return read(_LIST, whole)
    envelope = read(_ENVELOPE, whole)
    if envelope is None or says_error(envelope.status):
        return None
    readable = [
        rows for raw in (envelope.active_activations, envelope.data, envelope.array) if (rows := _rows(raw)) is not None
    ]
    full = next((rows for rows in readable if rows), None)
    return full if full is not None or not readable or _may_be_failure(envelope) else readable[0]


def _may_be_failure(envelope: _Envelope) -> bool:
    """Say whether an empty list may be the frame of an error. Taken at its word, it would void what was sold."""
    if envelope.error or envelope.success in (False, "false") or envelope.status in (False, "false"):
        return True
    is_plain = envelope.status is None or envelope.status in (True, "success", "true", "ok", "OK")
    return not is_plain or (envelope.status is None and any((envelope.title, envelope.message, envelope.msg)))


def _rows(raw: msgspec.Raw) -> list[msgspec.Raw] | None:
    whole = bytes(raw)
    if whole.startswith(b"["):
        return read(_LIST, whole)
    # HeroSMS describes an empty result instead of sending one.
    nothing = read(_NOTHING, whole)
    return [] if nothing is not None and str(nothing.num_rows) == "0" and not nothing.row and not nothing.rows else None


def _row(raw: bytes, paise_per_unit: int) -> Activation | None:
    read_ = _known_row if len(raw) <= ROW_KEPT_MAX else _activation
    return read_(raw, paise_per_unit)


@lru_cache(maxsize=ROWS_KEPT)
def _known_row(raw: bytes, paise_per_unit: int) -> Activation | None:
    """Read a row. Most rows are the same in every list until a code comes, and are read once."""
    return _activation(raw, paise_per_unit)


def _activation(raw: bytes, paise_per_unit: int) -> Activation | None:
    item = read(_ITEM, raw) or _long(read(_SHORT_ITEM, raw))
    if item is None:
        return None
    upstream_id, number = id_of(item.activation_id), phone_of(item.phone_number)
    if upstream_id is None or number is None:
        return None
    country = str(item.country_code)
    return Activation(
        upstream_id=upstream_id,
        service=clean(item.service_code, NAME_MAX),
        country=int(country) if _is_country(country) else None,
        number=number,
        messages=_messages(item),
        cost_paise=cost_of(item.activation_cost, paise_per_unit),
        reference=None if item.order_id is None else clean(str(item.order_id), NAME_MAX),
        is_live=str(item.activation_status) not in _OVER,
    )


def _long(item: _ShortItem | None) -> _Item | None:
    if item is None:
        return None
    return _Item(
        item.id, item.phone, item.service, item.country, item.cost, item.status, sms_code=item.code, sms_text=item.text
    )


def _messages(item: _Item) -> tuple[Received, ...]:
    if not item.sms_code and not item.sms_text:
        return ()
    codes: list[str | int | None] = item.sms_code if isinstance(item.sms_code, list) else [item.sms_code]
    # One text beside many codes is that of the last message.
    texts = item.sms_text if isinstance(item.sms_text, list) else [*repeat(None, len(codes) - 1), item.sms_text]
    paired = (
        Received(clean(str(code or ""), CODE_MAX), clean(text or "", TEXT_MAX))
        for code, text in islice(zip_longest(codes, texts), MESSAGES_MAX)
    )
    return tuple(message for message in paired if message.code or message.text)


def _table(body: bytes) -> Mapping[str, Mapping[str, msgspec.Raw]] | None:
    # PHP writes an empty map as an empty list.
    outer = read(_MAP, b"{}" if body == b"[]" else body)
    if outer is None:
        return None
    inner = {name: {} if bytes(raw) == b"[]" else read(_MAP, raw) for name, raw in outer.items()}
    table = {name: entries for name, entries in inner.items() if entries is not None}
    return table if table or not outer else None


def _by_country(table: Mapping[str, Mapping[str, msgspec.Raw]]) -> Iterator[tuple[str, str, msgspec.Raw]]:
    # A service may be named by digits too, a country only by digits.
    is_service_first = not all(map(_is_country, table)) and all(map(_is_country, chain.from_iterable(table.values())))
    for outer, entries in table.items():
        for inner, raw in entries.items():
            yield (inner, outer, raw) if is_service_first else (outer, inner, raw)


def _price(raw: msgspec.Raw, *, paise_per_unit: int) -> tuple[Paise, int] | None:
    """Return the cost and the stock at that cost."""
    plain = read(_PRICE, raw)
    parts = read(_MAP, raw) or {} if plain is None else plain.providers
    known = [found for name, part in parts.items() if (found := _part(name, part, paise_per_unit)) is not None]
    if plain is not None and not known:
        return _stocked(plain, paise_per_unit)
    in_stock = [entry for entry in known if entry[1]]
    return min(in_stock or known, default=None)


def _part(name: str, raw: msgspec.Raw, paise_per_unit: int) -> tuple[Paise, int] | None:
    """Read a price with its stock, or the price and stock of one of the server's own providers."""
    stock = read(_STOCK, raw)
    if stock is None:
        plain = read(_PRICE, raw)
        return None if plain is None else _stocked(plain, paise_per_unit)
    cost = cost_of(msgspec.Raw(msgspec.json.encode(name)), paise_per_unit)
    return (cost, min(stock, STOCK_MAX)) if cost and stock >= 0 else None


def _stocked(price: _Price, paise_per_unit: int) -> tuple[Paise, int] | None:
    written = price.cost if bytes(price.cost) else price.price
    many = read(_LIST, written) or [written]
    costs = [cost for one in many if (cost := cost_of(one, paise_per_unit))]
    return (min(costs), min(max(price.count, 0), STOCK_MAX)) if costs else None


def _is_country(text: str) -> bool:
    return _COUNTRY.fullmatch(text) is not None
