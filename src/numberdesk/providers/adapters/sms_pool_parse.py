"""What an SMSPool server answers about one order, from bytes to outcomes: pure functions that never raise.

An error is an object with `success` 0, with status 200 or any 4xx, and only its `type` or the parameter that it names
is listed. A look has no `success`: its `status` is a number. Whatever else a server sends is `Unknown`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from types import MappingProxyType
from typing import Final

import msgspec

from numberdesk.base.money import Paise
from numberdesk.providers.adapters.reading import (
    ABOVE_CEILING,
    CODE_MAX,
    TEXT_MAX,
    Phone,
    clean,
    excerpt,
    phone_of,
    price_of,
    read,
    text_of,
    to_paise,
)
from numberdesk.providers.adapters.reading import unknown as unreadable
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

REFUSALS: Final[Mapping[str, RefusalReason]] = MappingProxyType(
    {"OUT_OF_STOCK": "no_numbers", "BALANCE_ERROR": "no_balance", "PRICE_NOT_FOUND": "price_changed"}
)
"""Types of an error that say for sure that nothing was bought."""

PARAMETERS: Final[Mapping[str, RefusalReason]] = MappingProxyType(
    {"key": "bad_key", "service": "bad_service", "country": "bad_country", "pool": "bad_operator"}
)
"""Parameters that an error names as missing or wrong: they are looked at before anything is bought."""

NOTHING: Final = frozenset({"", "0"})
"""How a code that has not come is written."""

_PENDING, _EXPIRED, _COMPLETED, _RESEND, _CANCELLED, _REFUNDED, _PROCESSING, _ACTIVATING = range(1, 9)
_WAITS: Final = frozenset({_PENDING, _RESEND, _PROCESSING, _ACTIVATING})
_OVER: Final = MappingProxyType({_EXPIRED: "expired", _CANCELLED: "cancelled", _REFUNDED: "refunded"})
_TOO_EARLY: Final = frozenset(
    {
        "your order cannot be cancelled yet, please try again later",
        "this phone number cannot be cancelled yet, please try again later",
    }
)
_GONE: Final = frozenset({"this order could not be found", "we could not find this order"})
_LISTED: Final = _TOO_EARLY | _GONE

_ID = re.compile(r"[A-Za-z0-9]{4,32}")
_TYPE = re.compile(r"[A-Z][A-Z_]{2,39}")
_SENTENCE = re.compile(r"[A-Za-z][A-Za-z ,.!'-]{2,199}")
_TAG = re.compile(r"<[^<>]{0,40}>")

Flag = int | bool | str | None


class _Problem(msgspec.Struct):
    param: str | None = None
    message: str | None = None


class _Said(msgspec.Struct):
    success: Flag = None
    type: str | None = None
    message: str | None = None
    errors: list[msgspec.Raw] | None = None
    order_id: str | int | None = None
    orderid: str | int | None = None
    order_code: str | int | None = None
    number: str | int | None = None
    resend_cost: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="resendCost")


class _Sale(msgspec.Struct):
    success: Flag
    order_id: str | int
    number: Phone = ""
    cost: msgspec.Raw = msgspec.Raw()


class _Check(msgspec.Struct):
    status: int | str
    sms: str | int | None = None
    full_sms: str | None = None


class _Balance(msgspec.Struct):
    balance: Decimal


_SAID = msgspec.json.Decoder(_Said)
_PROBLEM = msgspec.json.Decoder(_Problem)
_SALE = msgspec.json.Decoder(_Sale)
_CHECK = msgspec.json.Decoder(_Check)
_BALANCE = msgspec.json.Decoder(_Balance)
_NUMBER = msgspec.json.Decoder(Decimal)


@dataclass(frozen=True, slots=True)
class LookAgain:
    """The provider does not cancel, in words that nobody lists; a look says what became of the order."""


def rent(body: bytes, status: int, *, ceiling_paise: Paise, paise_per_unit: int) -> RentAnswer:
    """Read the answer to a purchase; `number` is the whole one, its `phonenumber` lacks the calling code."""
    sale = read(_SALE, text_of(body).encode()) if status == 200 else None
    if sale is None:
        return refusal(body, status) or unknown(body, status)
    if not is_success(sale.success):
        return unknown(body, status)
    upstream_id, number = id_of(sale.order_id), phone_of(sale.number)
    if upstream_id is None or number is None:
        return Unknown("an order without a usable id or number")
    cost = price_of(sale.cost, paise_per_unit)
    if isinstance(cost, Unknown):
        return cost
    if cost is not None and cost > ceiling_paise:
        return Unknown(ABOVE_CEILING)
    return Rented(upstream_id, number, cost, can_get_next=True)


def look(body: bytes, status: int) -> LookAnswer:
    """Read the answer to sms/check, which tells the last message only."""
    check = _check(body, status)
    if check is None:
        return Ended("not found") if _says(body, status) in _GONE else unknown(body, status)
    state = _state(check)
    if state == _COMPLETED:
        message = message_of(check.sms, check.full_sms)
        return Unknown("a completed order without a message") if message is None else (message,)
    if state in _WAITS:
        return Waiting()
    return Ended(_OVER[state]) if state in _OVER else Unknown("a status that is not listed", str(state or ""))


def cancel(body: bytes, status: int) -> CancelAnswer | LookAgain:
    """Read the answer to sms/cancel. What it says of an order that has ended is not known, so a look decides."""
    said = _said(body, status)
    if said is None:
        return unknown(body, status)
    if is_success(said.success):
        return Done() if status == 200 else unknown(body, status)
    if not is_failure(said.success) or _refused_by(said, status) is not None:
        return unknown(body, status)
    return TooEarly() if _plain(said.message) in _TOO_EARLY else LookAgain()


def after_refused_cancel(body: bytes, status: int) -> CancelAnswer:
    """Read the answer to the sms/check that follows `LookAgain`. Money that is back is as good as a cancel."""
    check = _check(body, status)
    if check is not None and _state(check) in (_CANCELLED, _REFUNDED):
        return Done()
    if check is not None and _state(check) == _RESEND:
        # Only a number that has received a message can be asked for another.
        return CodeWon()
    answer = look(body, status)
    if isinstance(answer, tuple):
        return CodeWon()
    return Unknown("not cancelled, and it still waits") if isinstance(answer, Waiting) else answer


def may_resend(body: bytes, status: int) -> DoneAnswer:
    """Read the answer to sms/check_resend: `Done` says that one more message can be asked for and costs nothing."""
    said = _said(body, status)
    if said is None:
        return unknown(body, status)
    if is_failure(said.success):
        return _not_resent(said, status)
    cost = read(_NUMBER, said.resend_cost)
    if not is_success(said.success) or status != 200 or cost is None:
        return unknown(body, status)
    return Done() if cost == 0 else Refused("not_allowed", "one more message would cost extra")


def another_code(body: bytes, status: int, *, upstream_id: str) -> DoneAnswer:
    """Read the answer to sms/resend. Under another id the message would come where no order of ours looks."""
    said = _said(body, status)
    if said is None:
        return unknown(body, status)
    if is_failure(said.success):
        return _not_resent(said, status)
    if not is_success(said.success) or status != 200:
        return unknown(body, status)
    goes_on = said.order_id is None or str(said.order_id) == upstream_id
    return Done() if goes_on else Unknown("it goes on under another id")


def balance(body: bytes, status: int, *, paise_per_unit: int) -> Paise | Unknown:
    """Read the answer to request/balance, rounded down."""
    found = read(_BALANCE, text_of(body).encode()) if status == 200 else None
    if found is None or not found.balance.is_finite():
        return unknown(body, status)
    amount = to_paise(found.balance, paise_per_unit, rounding=ROUND_FLOOR)
    return unknown(body, status) if amount is None else amount


def refusal(body: bytes, status: int) -> Refused | None:
    """Return the listed refusal that the body is, or None."""
    said = _said(body, status)
    if said is None or not is_failure(said.success):
        return None
    # What has an id or a number was sold, whatever else it says.
    ids = (said.order_id, said.orderid, said.order_code)
    return None if said.number or any(part is not None for part in ids) else _refused_by(said, status)


def unknown(body: bytes, status: int) -> Unknown:
    """Return `Unknown`, with the error's type or message as the word that nobody has listed."""
    said = _said(body, status)
    if said is None or not is_failure(said.success):
        return unreadable(body, status)
    message = said.message or ""
    if said.type is not None and _TYPE.fullmatch(said.type):
        word = "" if said.type in REFUSALS else said.type
    else:
        word = message if _SENTENCE.fullmatch(message) and _plain(message) not in _LISTED else ""
    return Unknown(unreadable(body, status).detail, word)


def id_of(value: str | int) -> str | None:
    """Return an order's id, which is letters and digits, or None."""
    text = str(value)
    return text if _ID.fullmatch(text) else None


def message_of(code: str | int | None, text: str | None) -> Received | None:
    """Return a message, or None when neither a code nor a text came."""
    found = Received(clean("" if code is None else str(code), CODE_MAX), clean(text or "", TEXT_MAX))
    if found.code in NOTHING:
        found = Received("", found.text)
    return found if found.code or found.text not in NOTHING else None


def is_success(flag: Flag) -> bool:
    """Say whether `success` says yes."""
    return flag in (1, "1")


def is_failure(flag: Flag) -> bool:
    """Say whether `success` says no; one that is missing says nothing."""
    return flag is not None and flag in (0, "0")


def _said(body: bytes, status: int) -> _Said | None:
    """Return the object of an answer that may be a sure one: one that came from the program, not from before it."""
    if status != 200 and (not 400 <= status < 500 or status == 429):
        return None
    text = text_of(body)
    return read(_SAID, text.encode()) if text.startswith("{") else None


def _says(body: bytes, status: int) -> str:
    said = _said(body, status)
    return _plain(said.message) if said is not None and is_failure(said.success) else ""


def _refused_by(said: _Said, status: int) -> Refused | None:
    reason = REFUSALS.get(said.type or "")
    if reason is not None:
        return Refused(reason, said.type or "")
    for raw in said.errors or ():
        problem = read(_PROBLEM, raw)
        reason = PARAMETERS.get(problem.param or "") if problem is not None else None
        if problem is not None and reason is not None:
            return Refused(reason, excerpt(f"{problem.param}: {problem.message or ''}".encode()))
    return None


def _not_resent(said: _Said, status: int) -> DoneAnswer:
    message = _plain(said.message)
    if message in _GONE:
        return Ended("not found")
    refused = _refused_by(said, status)
    if refused is not None and refused.reason == "bad_key":
        return refused
    return Refused("not_allowed", excerpt(message.encode()))


def _check(body: bytes, status: int) -> _Check | None:
    text = text_of(body) if status == 200 else ""
    return read(_CHECK, text.encode()) if text.startswith("{") else None


def _state(check: _Check) -> int:
    text = str(check.status)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 4 else 0


def _plain(message: str | None) -> str:
    """Return a message in small letters, without markup and without the mark at its end."""
    return " ".join(_TAG.sub("", message or "").casefold().split()).rstrip(".! ")
