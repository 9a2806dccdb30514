"""What a 5sim v1 server answers about one order, from bytes to outcomes: pure functions that never raise.

A success is the JSON of an order, an error is a bare text. `no free phones` comes with status 200, the others with
4xx. A text that is not listed, and any 5xx but the documented limit, is `Unknown`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from types import MappingProxyType
from typing import Final

import msgspec

from numberdesk.base.money import Paise
from numberdesk.providers.adapters import reading
from numberdesk.providers.adapters.reading import (
    ABOVE_CEILING,
    CODE_MAX,
    TEXT_MAX,
    Id,
    Phone,
    clean,
    id_of,
    phone_of,
    price_of,
    read,
    text_of,
    to_paise,
)
from numberdesk.providers.model import (
    CancelAnswer,
    CodeWon,
    Done,
    DoneAnswer,
    Ended,
    LookAnswer,
    Received,
    RefusalReason,
    Refused,
    RentAnswer,
    Rented,
    TooEarly,
    Unknown,
    Waiting,
)

LIVE: Final = frozenset({"PENDING", "RECEIVED"})
"""RECEIVED means that the number is there, with or without a message: only `sms` proves one."""
OVER: Final = frozenset({"CANCELED", "TIMEOUT", "FINISHED", "BANNED"})
MESSAGES_MAX: Final = 50

REFUSALS: Final[Mapping[str, RefusalReason]] = MappingProxyType(
    {
        "no free phones": "no_numbers",
        "not enough user balance": "no_balance",
        "not enough rating": "account_blocked",
        "no product": "bad_service",
        "product is incorrect": "bad_service",
        "select country": "bad_country",
        "bad country": "bad_country",
        "country is incorrect": "bad_country",
        "select operator": "bad_operator",
        "bad operator": "bad_operator",
    }
)
"""Texts that say for sure that nothing was bought. `server offline` and `internal error` do not say it."""

LIMITS: Final = frozenset(
    {
        (429, "api limit is 100 requests per second"),
        (503, "ip address limit is 100 requests per second"),
    }
)
"""The two documented limits, each by its own status. They count requests before one is carried out, and their texts
are said nowhere else, so they are sure. A 429 or 503 with any other body may come from behind the purchase."""

_GONE = frozenset({"order not found", "order expired", "record not found"})
_KNOWN: Final = frozenset(
    {
        *REFUSALS,
        *_GONE,
        "order has sms",
        "order no sms",
        "hosting order",
        "you need to wait time",
        "server offline",
        "internal error",
    }
)
"""Documented texts; another one is news, and staff are told of it."""
_SENTENCE = re.compile(r"[a-z]{2,15}(?: [a-z]{1,15}){0,7}")


class Sms(msgspec.Struct):
    """One message of an order."""

    id: int | str | None = None
    text: str | None = None
    code: str | int | None = None


class Order(msgspec.Struct):
    """An order as the server tells it; the times are RFC 3339 with up to nine digits of a second."""

    id: Id
    status: str
    phone: Phone = ""
    product: str = ""
    country: str = ""
    price: msgspec.Raw = msgspec.Raw()
    sms: list[Sms] | None = None
    created_at: str | None = None
    expires: str | None = None


class _Profile(msgspec.Struct):
    balance: Decimal


_ORDER = msgspec.json.Decoder(Order)
_PROFILE = msgspec.json.Decoder(_Profile)


@dataclass(frozen=True, slots=True)
class LookAgain:
    """The provider does not know the order as one that can be cancelled; a look says what became of it."""


def rent(body: bytes, status: int, *, ceiling_paise: Paise, paise_per_unit: int) -> RentAnswer:
    """Read the answer to a purchase. A named operator is bought without a ceiling, so the price is looked at here."""
    order = _order(body, status)
    if order is None:
        return refusal(body, status) or unknown(body, status)
    upstream_id, number = id_of(order.id), phone_of(order.phone)
    if upstream_id is None or number is None:
        return Unknown("an order without a usable id or number")
    if order.status not in LIVE:
        return Unknown("an order that is not live")
    cost = price_of(order.price, paise_per_unit)
    if isinstance(cost, Unknown):
        return cost
    if cost is not None and cost > ceiling_paise:
        return Unknown(ABOVE_CEILING)
    return Rented(upstream_id, number, cost, can_get_next=True)


def look(body: bytes, status: int, *, upstream_id: str) -> LookAnswer:
    """Read the answer to user/check. A finished order has been charged for, so its messages still count."""
    order = _own(body, status, upstream_id)
    if order is None:
        text = said(body, status)
        return Ended(text) if text in _GONE else unknown(body, status)
    messages = messages_of(order)
    if messages and (order.status in LIVE or order.status == "FINISHED"):
        return messages
    if order.status in LIVE:
        return Waiting()
    return Ended(order.status) if order.status in OVER else Unknown("a status that is not listed")


def cancel(body: bytes, status: int, *, upstream_id: str) -> CancelAnswer | LookAgain:
    """Read the answer to user/cancel."""
    order = _own(body, status, upstream_id)
    if order is not None:
        return _after_cancel(order)
    match said(body, status):
        case "order has sms":
            return CodeWon()
        case "you need to wait time":
            return TooEarly()
        case text if text in _GONE:
            return LookAgain()
    return unknown(body, status)


def after_refused_cancel(body: bytes, status: int, *, upstream_id: str) -> CancelAnswer:
    """Read the answer to the user/check that follows `LookAgain`."""
    order = _own(body, status, upstream_id)
    if order is not None:
        return _after_cancel(order)
    text = said(body, status)
    return Ended(text) if text in _GONE else unknown(body, status)


def finish(body: bytes, status: int, *, upstream_id: str) -> DoneAnswer:
    """Read the answer to user/finish."""
    order = _own(body, status, upstream_id)
    if order is not None:
        if order.status == "FINISHED":
            return Done()
        return Ended(order.status) if order.status in OVER else Unknown("not finished")
    text = said(body, status)
    if text == "order no sms":
        return Refused("not_allowed", text)
    if text in _GONE:
        return Ended(text)
    return _at_the_door(body, status) or unknown(body, status)


def balance(body: bytes, status: int, *, paise_per_unit: int) -> Paise | Unknown:
    """Read the answer to user/profile, rounded down. Money frozen for live orders is told apart from the balance."""
    profile = read(_PROFILE, text_of(body).encode()) if status == 200 else None
    if profile is None or not profile.balance.is_finite():
        return unknown(body, status)
    amount = to_paise(profile.balance, paise_per_unit, rounding=ROUND_FLOOR)
    return unknown(body, status) if amount is None else amount


def unknown(body: bytes, status: int) -> Unknown:
    """Return `Unknown`, with its text when that is a plain sentence that is not documented."""
    text = text_of(body) if said(body, status) else ""
    is_news = _SENTENCE.fullmatch(text) is not None and text not in _KNOWN and text != "null"
    return Unknown(reading.unknown(body, status).detail, text if is_news else "")


def refusal(body: bytes, status: int) -> Refused | None:
    """Return the listed refusal that the body is, or None."""
    text = said(body, status)
    reason = REFUSALS.get(text)
    return Refused(reason, text) if reason is not None else _at_the_door(body, status)


def said(body: bytes, status: int) -> str:
    """Return the bare text of an answer that may be a sure one; empty for any other."""
    if status != 200 and (not 400 <= status < 500 or status == 429):
        return ""
    return text_of(body).casefold()


def messages_of(order: Order) -> tuple[Received, ...]:
    """Return the messages of an order, oldest first."""
    listed = [(sms, sms.id) for sms in order.sms or ()][:MESSAGES_MAX]
    numbered = [(number, sms) for sms, number in listed if isinstance(number, int)]
    ordered = (
        [sms for _, sms in sorted(numbered, key=lambda entry: entry[0])]
        if len(numbered) == len(listed)
        else [sms for sms, _ in listed]
    )
    read_out = (
        Received(clean(str(sms.code if sms.code is not None else ""), CODE_MAX), clean(sms.text or "", TEXT_MAX))
        for sms in ordered
    )
    return tuple(message for message in read_out if message.code or message.text)


def _order(body: bytes, status: int) -> Order | None:
    text = text_of(body) if status == 200 else ""
    return read(_ORDER, text.encode()) if text.startswith("{") else None


def _own(body: bytes, status: int, upstream_id: str) -> Order | None:
    """Return the order if it is the one that was asked for: a mixed-up answer would show somebody else's code."""
    order = _order(body, status)
    return order if order is not None and id_of(order.id) == upstream_id else None


def _after_cancel(order: Order) -> CancelAnswer:
    if order.status == "CANCELED":
        return Done()
    if order.status in LIVE or order.status == "FINISHED":
        if messages_of(order):
            return CodeWon()
        return Ended(order.status) if order.status == "FINISHED" else Unknown("not cancelled, and it still waits")
    return Ended(order.status) if order.status in OVER else Unknown("a status that is not listed")


def _at_the_door(body: bytes, status: int) -> Refused | None:
    """Return the refusal of a request that was turned away before anybody read what it asks for."""
    text = text_of(body).casefold()
    if status == 401 and read(_ORDER, text_of(body).encode()) is None:
        return Refused("bad_key", "HTTP 401")
    return Refused("busy", text) if (status, text) in LIMITS else None
