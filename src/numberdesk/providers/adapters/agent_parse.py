"""What agents answer and post: bytes in, outcomes out; pure, never raising.

Agents are written by many hands: numbers come as numbers or as text, and an error is a sentence in anybody's words.
"""

import re
from collections.abc import Mapping
from hashlib import blake2b
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from numberdesk.base.money import Paise
from numberdesk.providers.adapters.reading import (
    TEXT_MAX,
    Id,
    Phone,
    clean,
    excerpt,
    id_of,
    phone_of,
    read,
    text_of,
    unknown,
)
from numberdesk.providers.model import (
    Done,
    Ended,
    Pushed,
    Received,
    RefusalReason,
    Refused,
    RentAnswer,
    Rented,
    Unknown,
    UpstreamOffer,
)

SENDER_MAX: Final = 100
EVENT_PART_MAX: Final = 64
OK: Final = 200
CALLER_FAILS: Final = 400
SERVER_FAILS: Final = 500
STOCK_MAX: Final = 10**9

_WORD = re.compile(r"[A-Z][A-Z_]{1,39}")
_CODE = re.compile(r"(?<!\d)(?:\d{3}[- ]\d{3}|\d{4,8})(?!\d)", re.ASCII)
_PART_BEFORE = re.compile(r"\d[- .,:/]$|(?:rs\.?|inr|[₹$€])\s*$", re.I)
_PART_AFTER = re.compile(r"[- .,:/]\d|\s*(?:rs\b|inr\b|rupees|[₹$€%])", re.I)
"""Around digits that belong to something longer (a telephone number, a date, a time) or to a price."""
_NAMED_BEFORE = re.compile(r"(?:code|otp|pin|passcode|password|код|пароль)\b[^\d]{0,25}$", re.I)
_NAMED_AFTER = re.compile(r"\W{0,3}(?:is|as) (?:your|the)\b", re.I)
_REFUSED: Final[Mapping[str, RefusalReason]] = MappingProxyType(
    {"invalid api key": "bad_key", "invalid key": "bad_key"}
)
"""Whole sentences of an ERROR that say for sure that no number was given. Servers answer ERROR from their catch-alls
too, after a number was set aside."""
_GONE: Final = ("activation not found", "no active activation", "unknown activation", "no such activation")
"""Sentences by which agents say that they do not have an activation, or no longer."""


class _Said(msgspec.Struct):
    status: str
    error: str | None = None


class _Sale(msgspec.Struct, rename="camel"):
    status: Literal["SUCCESS"]
    number: Phone
    activation_id: Id


class _Country(msgspec.Struct, rename="camel"):
    country: str
    operator_map: dict[str, dict[str, int | str]]


class _Services(msgspec.Struct, rename="camel"):
    status: Literal["SUCCESS"]
    country_list: list[_Country]


class _Push(msgspec.Struct, rename="camel"):
    action: Literal["PUSH_SMS"]
    key: str
    sms_id: int | str
    phone: Phone
    phone_from: str | int = ""
    text: str = ""


_SAID = msgspec.json.Decoder(_Said)
_SALE = msgspec.json.Decoder(_Sale)
_SERVICES = msgspec.json.Decoder(_Services)
_PUSH = msgspec.json.Decoder(_Push)


def rent(body: bytes, status: int) -> RentAnswer:
    """Read the answer to GET_NUMBER."""
    sale = read(_SALE, text_of(body).encode()) if status == OK else None
    if sale is not None:
        upstream_id, number = id_of(sale.activation_id), phone_of(sale.number)
        if upstream_id is not None and number is not None:
            return Rented(upstream_id, number, None, can_get_next=True)
        return unknown(body, status)
    said = _said(body, status)
    if said is None or said.status == "SUCCESS":
        return unknown(body, status)
    if said.status == "NO_NUMBERS":
        return Refused("no_numbers", "")
    if said.status != "ERROR":
        return _strange(said, body, status)
    reason = _REFUSED.get((said.error or "").strip(" .!").casefold())
    return unknown(body, status) if reason is None else Refused(reason, excerpt(body))


def ended(body: bytes, status: int) -> Done | Ended | Unknown:
    """Read the answer to FINISH_ACTIVATION, which answers a repeat like the first time."""
    said = _said(body, status)
    if said is None:
        return unknown(body, status)
    if said.status == "SUCCESS":
        return Done() if status == OK else unknown(body, status)
    if said.status != "ERROR":
        return _strange(said, body, status)
    sentence = (said.error or "").casefold()
    if not _is_about_key(said) and any(words in sentence for words in _GONE):
        return Ended("the agent does not know it")
    return unknown(body, status)


def listing(body: bytes, status: int, *, pay_paise: Paise) -> tuple[UpstreamOffer, ...] | Unknown:
    """Read the answer to GET_SERVICES, by country, operator and service.

    Args:
        pay_paise: what we pay for each: agents name no prices.
    """
    found = read(_SERVICES, text_of(body).encode()) if status == OK else None
    if found is None:
        return unknown(body, status)
    offers: dict[tuple[str, str, str], UpstreamOffer] = {}
    for item in found.country_list:
        for operator, services in item.operator_map.items():
            for service, stock in services.items():
                count = _count(stock)
                if count is not None:
                    offers[service, item.country, operator] = UpstreamOffer(
                        service, item.country, operator, pay_paise, count
                    )
    return tuple(offers.values())


def pushed(body: bytes) -> tuple[Pushed, ...] | None:
    """Read a PUSH_SMS; None when it is none. It names the number only, and the code is looked for in the text."""
    found = read(_PUSH, text_of(body).encode())
    number = None if found is None else phone_of(found.phone)
    if found is None or number is None:
        return None
    text = clean(found.text, TEXT_MAX)
    if not text:
        return ()
    # An agent that begins to count anew after a restart must not make a new message look like an old one.
    digest = blake2b(msgspec.json.encode((number, found.text)), digest_size=8).hexdigest()
    event_id = f"{clean(str(found.sms_id), EVENT_PART_MAX)}-{digest}"
    sender = clean(str(found.phone_from), SENDER_MAX)
    return (Pushed(event_id, None, number, Received(code_in(text), text), sender, found.key),)


def code_in(text: str) -> str:
    """Return the digits of a message's code, or an empty text when there is none, or nobody can say which it is.

    Digits that are named a code count before others; those of a price, a date, a time or a telephone number do not.
    """
    named: list[str] = []
    others: list[str] = []
    for found in _CODE.finditer(text):
        before, after = text[: found.start()], text[found.end() :]
        if _PART_BEFORE.search(before[-8:]) or _PART_AFTER.match(after):
            continue
        is_named = _NAMED_BEFORE.search(before[-40:]) or _NAMED_AFTER.match(after)
        (named if is_named else others).append(re.sub(r"\D", "", found[0]))
    if named:
        return named[0]
    return others[0] if len(set(others)) == 1 else ""


def _said(body: bytes, status: int) -> _Said | None:
    is_said = status == OK or CALLER_FAILS <= status < SERVER_FAILS
    return read(_SAID, text_of(body).encode()) if is_said else None


def _is_about_key(said: _Said) -> bool:
    return "key" in (said.error or "").casefold()


def _strange(said: _Said, body: bytes, status: int) -> Unknown:
    told = unknown(body, status)
    return Unknown(told.detail, word=said.status) if _WORD.fullmatch(said.status) else told


def _count(stock: int | str) -> int | None:
    if isinstance(stock, str):
        stock = int(stock) if stock.isascii() and stock.isdecimal() and len(stock) <= 9 else -1
    return min(stock, STOCK_MAX) if stock >= 0 else None
