"""What the SMS-Activate family answers about rentals, from bytes to outcomes: pure functions that never raise.

Errors are the words of the protocol inside JSON. As with activations, only listed words and well-formed shapes are
sure answers; the rest is `Unknown`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

import msgspec

from numberdesk.base.money import Paise
from numberdesk.providers.adapters.agent_parse import code_in
from numberdesk.providers.adapters.reading import TEXT_MAX, Id, Phone, clean, cost_of, id_of, phone_of, read, text_of
from numberdesk.providers.adapters.sms_activate_dialects import Dialect
from numberdesk.providers.adapters.sms_activate_parse import says_error, unknown, word_of
from numberdesk.providers.model import (
    RENTAL,
    Activation,
    CancelAnswer,
    Done,
    DoneAnswer,
    Ended,
    ProlongAnswer,
    Prolonged,
    Received,
    RefusalReason,
    Refused,
    RentalListing,
    RentAnswer,
    Rented,
    TooEarly,
    Unknown,
    UpstreamOffer,
    Waiting,
)

STOCK_MAX: Final = 2**31 - 1
NAME_MAX: Final = 64
REFUSALS: Final[Mapping[str, RefusalReason]] = MappingProxyType(
    {"OUT_OF_STOCK": "no_numbers", "INVALID_TIME": "not_allowed", "MAX_HOURS_EXCEED": "not_allowed"}
)
"""Words of rentals alone that say for sure that nothing was sold or prolonged."""
GONE: Final = frozenset(
    {
        "STATUS_FINISH", "STATUS_CANCEL", "STATUS_REVOKE", "ALREADY_FINISH", "ALREADY_CANCEL", "RENT_DIE",
        "INVALID_PHONE", "NO_ID_RENT", "NO_ACTIVATION",
    }
)  # fmt: skip
"""Words for a rental that is over or not ours."""
_NOT_NOW: Final = frozenset({"INCORECT_STATUS", "BAD_STATUS", "CANT_CANCEL"})

_SERVICE = re.compile(r"[A-Za-z0-9_-]{1,40}")
_COUNTRY = re.compile(r"0|[1-9][0-9]{0,5}")


class _Phone(msgspec.Struct, rename="camel"):
    id: Id
    number: Phone
    end_date: Any = None


class _Deal(msgspec.Struct, rename="camel"):
    """The answer to a purchase in both shapes: its own, and that of getNumberV2."""

    status: Any = None
    phone: msgspec.Raw = msgspec.Raw()
    activation_id: Id | None = None
    phone_number: Phone | None = None
    activation_cost: msgspec.Raw = msgspec.Raw()
    activation_end_time: Any = None


class _Sms(msgspec.Struct):
    text: str
    date: str | int | None = None


class _Status(msgspec.Struct):
    status: Any
    values: msgspec.Raw
    quantity: int | str | None = None


class _Row(msgspec.Struct, rename="camel"):
    id: Id
    phone: Phone
    service: str = ""
    country: int | str | None = None
    cost: msgspec.Raw = msgspec.Raw()
    end_date: Any = None
    order_id: str | int | None = None


class _Rows(msgspec.Struct):
    status: Any
    values: msgspec.Raw


class _Price(msgspec.Struct):
    status: Any
    price: msgspec.Raw


class _Cost(msgspec.Struct):
    cost: msgspec.Raw
    quant: int | str


class _Services(msgspec.Struct):
    services: msgspec.Raw
    status: Any = None
    countries: msgspec.Raw = msgspec.Raw()


class _Info(msgspec.Struct):
    info: dict[str, Any]


_PHONE = msgspec.json.Decoder(_Phone)
_DEAL = msgspec.json.Decoder(_Deal)
_SMS = msgspec.json.Decoder(_Sms)
_STATUS = msgspec.json.Decoder(_Status)
_ROW = msgspec.json.Decoder(_Row)
_ROWS = msgspec.json.Decoder(_Rows)
_PRICE = msgspec.json.Decoder(_Price)
_COST = msgspec.json.Decoder(_Cost)
_SERVICES = msgspec.json.Decoder(_Services)
_INFO = msgspec.json.Decoder(_Info)
_KEYS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_WORD = msgspec.json.Decoder(int | str)


@dataclass(frozen=True, slots=True)
class LookAgain:
    """The provider does not cancel; a look says whether because a message came. `is_late` when its time is over."""

    is_late: bool


@dataclass(frozen=True, slots=True)
class Messages:
    """One answer with messages, each with its date as it was written; `quantity` is how many there are in all."""

    found: tuple[tuple[str, Received], ...]
    quantity: int


@dataclass(frozen=True, slots=True)
class Rows:
    """One answer of the list of rentals; `count` are its rows, those that could not be read included."""

    rentals: tuple[Activation, ...]
    count: int


def rent(body: bytes, status: int, *, ceiling_paise: Paise, paise_per_unit: int, dialect: Dialect) -> RentAnswer:
    """Read the answer to getRentNumber, in its own shape or in that of getNumberV2."""
    sale = _sale(body, status, paise_per_unit)
    if sale is None:
        return _refusal(body, status, dialect) or unknown(body, status)
    if sale.cost_paise is not None and sale.cost_paise > ceiling_paise:
        return Unknown("price above the ceiling")
    return sale


def prolong(body: bytes, status: int, *, dialect: Dialect) -> ProlongAnswer:
    """Read the answer to continueRentNumber, which is written like that to a purchase."""
    sale = _sale(body, status, paise_per_unit=100)
    if sale is not None:
        return Prolonged(sale.upstream_id, sale.number, sale.ends_at)
    return _gone(body, status) or _refusal(body, status, dialect) or unknown(body, status)


def prolong_cost(
    body: bytes, status: int, *, paise_per_unit: int, dialect: Dialect
) -> Paise | Refused | Ended | Unknown:
    """Read the answer to continueRentInfo, or to the older getContinueRentPriceNumber."""
    found = read(_PRICE, text_of(body).encode()) if status == 200 else None
    if found is not None and not says_error(found.status):
        cost = cost_of(found.price, paise_per_unit)
        return cost or unknown(body, status)
    return _gone(body, status) or _refusal(body, status, dialect) or unknown(body, status)


def look(body: bytes, status: int) -> Messages | Waiting | Ended | Unknown:
    """Read one answer to getRentStatus; a row that is no message is left out."""
    if word_of(body, status) == "STATUS_WAIT_CODE":
        return Waiting()
    found = read(_STATUS, text_of(body).encode()) if status == 200 else None
    rows = None if found is None or says_error(found.status) else _values(found.values)
    if found is None or rows is None:
        return _gone(body, status) or unknown(body, status)
    read_ = [sms for row in rows if (sms := read(_SMS, row)) is not None and clean(sms.text, TEXT_MAX)]
    if rows and not read_:
        return unknown(body, status)
    messages = tuple((str(sms.date or ""), message_of(sms.text)) for sms in read_)
    quantity = str(found.quantity)
    is_count = quantity.isascii() and quantity.isdecimal() and len(quantity) < 10
    return Messages(messages, int(quantity) if is_count else len(rows)) if messages else Waiting()


def message_of(text: str) -> Received:
    """Return a rental's message, whose code is looked for in its text."""
    text = clean(text, TEXT_MAX)
    return Received(code_in(text), text)


def in_order(found: Iterable[tuple[str, Received]]) -> tuple[Received, ...]:
    """Return messages by their dates, each once: servers differ in which comes first."""
    return tuple(message for _, message in sorted(dict.fromkeys(found), key=lambda item: (item[0], item[1].text)))


def cancel(body: bytes, status: int) -> CancelAnswer | LookAgain:
    """Read the answer to a cancel."""
    word = word_of(body, status)
    if _is_done(body, status) or word == "ALREADY_CANCEL":
        return Done()
    if word in ("EARLY_CANCEL_DENIED", "TOO_EARLY"):
        return TooEarly()
    if word in _NOT_NOW:
        return LookAgain(is_late=word == "CANT_CANCEL")
    return _gone(body, status) or unknown(body, status)


def finish(body: bytes, status: int, *, dialect: Dialect) -> DoneAnswer:
    """Read the answer to a finish."""
    word = word_of(body, status)
    if _is_done(body, status) or word in ("ALREADY_FINISH", "STATUS_FINISH"):
        return Done()
    if word in _NOT_NOW:
        return Refused("not_allowed", word)
    return _gone(body, status) or _refusal(body, status, dialect) or unknown(body, status)


def rows(body: bytes, status: int, *, paise_per_unit: int) -> Rows | Unknown:
    """Read one answer of getRentList; a row that cannot be read is left out."""
    if word_of(body, status) == "NO_NUMBERS":
        return Rows((), 0)
    found = read(_ROWS, text_of(body).encode()) if status == 200 else None
    listed = None if found is None or says_error(found.status) else _values(found.values)
    if listed is None:
        return unknown(body, status)
    rentals = (_rental(row, paise_per_unit) for row in listed)
    return Rows(tuple(rental for rental in rentals if rental is not None), len(listed))


def listing(body: bytes, status: int, *, country: str | None, paise_per_unit: int) -> RentalListing | Unknown:
    """Read the answer to getRentServicesAndCountries for one country; without one only the countries are read.

    An old form has a plain number for each service, of which nobody says what it counts: it offers nothing.
    """
    if word_of(body, status) in ("OUT_OF_STOCK", "NO_NUMBERS"):
        return RentalListing(())
    found = read(_SERVICES, text_of(body).encode()) if status == 200 else None
    services = None if found is None or says_error(found.status) else _map(found.services)
    if found is None or services is None:
        return unknown(body, status)
    countries = None
    if (told := _values(found.countries)) is not None:
        words = (str(read(_WORD, raw)) for raw in told)
        countries = tuple(dict.fromkeys(word for word in words if _COUNTRY.fullmatch(word)))
    if country is None:
        return RentalListing((), countries)
    offers = []
    for service, raw in services.items():
        cost = read(_COST, raw)
        paise = None if cost is None else cost_of(cost.cost, paise_per_unit)
        stock = None if cost is None else _stock(cost.quant)
        if paise and stock is not None and _SERVICE.fullmatch(service):
            offers.append(UpstreamOffer(service, country, "any", paise, stock))
    return RentalListing(tuple(offers), countries) if offers or not services else unknown(body, status)


def moment(written: object) -> datetime | None:
    """Return a moment that is written with its zone; one without is nobody's to guess."""
    if not isinstance(written, str) or not 19 <= len(written) <= 40:
        return None
    try:
        found = datetime.fromisoformat(written.strip())
        return None if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _sale(body: bytes, status: int, paise_per_unit: int) -> Rented | None:
    deal = read(_DEAL, text_of(body).encode()) if status == 200 else None
    if deal is None or says_error(deal.status):
        return None
    phone = read(_PHONE, deal.phone)
    if bytes(deal.phone) not in (b"", b"null") and phone is None:
        return None
    if phone is not None:
        rental_id, number = phone.id, phone.number
        if deal.activation_id is not None and str(deal.activation_id) != str(rental_id):
            return None
    elif deal.activation_id is not None and deal.phone_number is not None:
        rental_id, number = deal.activation_id, deal.phone_number
    else:
        return None
    upstream_id, digits, cost = id_of(rental_id), phone_of(number), None
    if bytes(deal.activation_cost) not in (b"", b"null"):
        cost = cost_of(deal.activation_cost, paise_per_unit)
        if cost is None:
            return None
    if upstream_id is None or digits is None:
        return None
    # Of the two ends the one with a zone counts.
    ends_at = (moment(phone.end_date) if phone is not None else None) or moment(deal.activation_end_time)
    return Rented(RENTAL + upstream_id, digits, cost, can_get_next=True, ends_at=ends_at)


def _refusal(body: bytes, status: int, dialect: Dialect) -> Refused | None:
    word, _, detail = word_of(body, status).partition(":")
    reason = None if detail else dialect.refusals.get(word) or REFUSALS.get(word)
    # Something with an id or a number was sold, whatever else it says.
    if reason is None or any(name in (_map(text_of(body).encode()) or {}) for name in ("phone", "id", "number")):
        return None
    most = (_info(body)).get("max")
    return Refused(reason, f"{word}:{most}" if isinstance(most, int) and 0 < most < 100_000 else word)


def _info(body: bytes) -> Mapping[str, Any]:
    found = read(_INFO, text_of(body).encode())
    return {} if found is None else found.info


def _gone(body: bytes, status: int) -> Ended | None:
    word = word_of(body, status)
    return Ended(word) if word in GONE else None


def _is_done(body: bytes, status: int) -> bool:
    answer = _map(text_of(body).encode()) if status == 200 else None
    return answer is not None and bytes(answer.get("status", msgspec.Raw())) == b'"success"'


def _rental(raw: msgspec.Raw, paise_per_unit: int) -> Activation | None:
    row = read(_ROW, raw)
    if row is None:
        return None
    upstream_id, number, country = id_of(row.id), phone_of(row.phone), str(row.country)
    if upstream_id is None or number is None:
        return None
    return Activation(
        upstream_id=RENTAL + upstream_id,
        service=clean(row.service, NAME_MAX),
        country=int(country) if _COUNTRY.fullmatch(country) else None,
        number=number,
        messages=(),
        cost_paise=cost_of(row.cost, paise_per_unit) or None if bytes(row.cost) else None,
        reference=None if row.order_id is None else clean(str(row.order_id), NAME_MAX),
        ends_at=moment(row.end_date),
    )


def _map(raw: bytes | msgspec.Raw) -> Mapping[str, msgspec.Raw] | None:
    # PHP writes an empty map as an empty list.
    return {} if bytes(raw) == b"[]" else read(_KEYS, raw)


def _values(raw: msgspec.Raw) -> list[msgspec.Raw] | None:
    """Return what stands in a list, or in a map with numbers as its keys."""
    whole = bytes(raw)
    if whole.startswith(b"["):
        return read(_LIST, whole)
    found = read(_KEYS, whole)
    return None if found is None else list(found.values())


def _stock(written: int | str) -> int | None:
    text = str(written)
    return min(int(text), STOCK_MAX) if text.isascii() and text.isdecimal() and len(text) <= 12 else None
