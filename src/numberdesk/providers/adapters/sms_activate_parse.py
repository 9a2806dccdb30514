"""What the SMS-Activate family answers about one order, from bytes to outcomes: pure functions that never raise.

A sure answer is given for listed words and well-formed shapes only; whatever else a server sends is `Unknown`.
Classic servers answer words with status 200, some send the same words with 4xx, HeroSMS wraps them in JSON with 4xx.
A 5xx says nothing at all.
"""

import re
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from types import MappingProxyType
from typing import Any, Final

import msgspec

from numberdesk.base.money import Paise
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
from numberdesk.providers.adapters.reading import unknown as unreadable
from numberdesk.providers.adapters.sms_activate_dialects import CLASSIC, KNOWN_WORDS, Change, Dialect
from numberdesk.providers.model import (
    CancelAnswer,
    CodeWon,
    Done,
    DoneAnswer,
    Ended,
    LookAnswer,
    Received,
    Refused,
    RentAnswer,
    Rented,
    TooEarly,
    Unknown,
    Waiting,
)

_WORD = re.compile(r"[A-Z][A-Z_]{2,39}")
_TEXT_SALE = re.compile(r"ACCESS_NUMBER:([1-9][0-9]{0,18}):\+?([0-9]{5,15})")
_BALANCE = re.compile(r"ACCESS_BALANCE:\s*(-?[0-9]{1,12}(?:\.[0-9]{1,10})?)")
_REFUSED_BY_STATE: Final = frozenset({"BAD_STATUS", "OTP_RECEIVED", "NEW_OTP_RECEIVED"})
_DETAIL: Final = MappingProxyType(
    {
        "WRONG_MAX_PRICE": re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?"),
        "BANNED": re.compile(r"[-0-9:' ]{1,30}"),
    }
)
"""The two refusals that carry a detail, and the form in which it may be repeated."""


class _Sale(msgspec.Struct, rename="camel"):
    activation_id: Id
    phone_number: Phone
    activation_cost: msgspec.Raw = msgspec.Raw()
    can_get_another_sms: bool | int | str | None = True
    status: Any = None


class _Problem(msgspec.Struct, rename="camel"):
    activation_id: Any = None
    activation_id_of_others: Any = msgspec.field(default=None, name="activation_id")
    phone_number: Any = None
    status: Any = None
    title: Any = None
    message: Any = None
    error: Any = None
    msg: Any = None


_SALE = msgspec.json.Decoder(_Sale)
_PROBLEM = msgspec.json.Decoder(_Problem)


@dataclass(frozen=True, slots=True)
class LookAgain:
    """The provider does not cancel in this state; only a look can say whether because a code came."""


def rent(
    body: bytes, status: int, *, ceiling_paise: Paise, paise_per_unit: int, dialect: Dialect = CLASSIC
) -> RentAnswer:
    """Read the answer to a purchase: the JSON of getNumberV2, or ACCESS_NUMBER:id:phone."""
    sale = _sale(body, paise_per_unit, dialect) if status == 200 else None
    if sale is not None:
        if sale.cost_paise is not None and sale.cost_paise > ceiling_paise:
            return Unknown(ABOVE_CEILING)
        return sale
    return refusal(body, status, dialect) or unknown(body, status)


def look(body: bytes, status: int, dialect: Dialect = CLASSIC) -> LookAnswer:
    """Read the answer to getStatus."""
    text = text_of(body) if status == 200 else ""
    if text in ("STATUS_WAIT_CODE", "STATUS_WAIT_RESEND", "STATUS_WAIT_RETRY") or text.startswith("STATUS_WAIT_RETRY:"):
        return Waiting()
    if text.startswith("STATUS_OK:"):
        code = clean(text.removeprefix("STATUS_OK:").strip().strip("'"), TEXT_MAX)
        return (Received(code, ""),) if 0 < len(code) <= CODE_MAX else Unknown("STATUS_OK without a code")
    return _ended(body, status, dialect) or unknown(body, status)


def cancel(body: bytes, status: int, dialect: Dialect = CLASSIC) -> CancelAnswer | LookAgain:
    """Read the answer to a cancel."""
    word = word_of(body, status)
    if _is_silently_done(dialect.cancel, body, status) or (word == "ACCESS_CANCEL" and status == 200):
        return Done()
    if word in ("EARLY_CANCEL_DENIED", "TOO_EARLY"):
        return TooEarly()
    if word in _REFUSED_BY_STATE or word in dialect.look_again:
        return LookAgain()
    return _ended(body, status, dialect) or unknown(body, status)


def after_refused_cancel(body: bytes, status: int, dialect: Dialect = CLASSIC) -> CancelAnswer:
    """Read the answer to the getStatus that follows `LookAgain`."""
    answer = look(body, status, dialect)
    if isinstance(answer, tuple):
        return CodeWon()
    if not isinstance(answer, Waiting):
        return answer
    # STATUS_WAIT_RETRY carries the last code: one came, and another was asked for.
    last = text_of(body).partition("STATUS_WAIT_RETRY:")[2]
    return CodeWon() if last.strip() else Unknown("cancel refused, and it still waits")


def finish(body: bytes, status: int, dialect: Dialect = CLASSIC) -> DoneAnswer:
    """Read the answer to a finish."""
    return _step(body, status, dialect, dialect.finish, done="ACCESS_ACTIVATION")


def another_code(body: bytes, status: int, dialect: Dialect = CLASSIC) -> DoneAnswer:
    """Read the answer to the wish for one more code."""
    return _step(body, status, dialect, dialect.next_code, done="ACCESS_RETRY_GET")


def balance(body: bytes, status: int, *, paise_per_unit: int) -> Paise | Unknown:
    """Read the answer to getBalance, rounded down."""
    found = _BALANCE.fullmatch(text_of(body)) if status == 200 else None
    amount = to_paise(Decimal(found[1]), paise_per_unit, rounding=ROUND_FLOOR) if found else None
    return unknown(body, status) if amount is None else amount


def unknown(body: bytes, status: int) -> Unknown:
    """Return `Unknown` with what a person needs to recognise the body, and its word when nobody knows it."""
    word = word_of(body, status).partition(":")[0]
    found = unreadable(body, status)
    return found if not word or word in KNOWN_WORDS else Unknown(found.detail, word)


def refusal(body: bytes, status: int, dialect: Dialect = CLASSIC) -> Refused | None:
    """Return the listed refusal that the body is, or None."""
    word, _, detail = word_of(body, status).partition(":")
    reason = dialect.refusals.get(word)
    if reason is None or (detail and word not in _DETAIL):
        return None
    may_repeat = bool(detail) and _DETAIL[word].fullmatch(detail.strip()) is not None
    return Refused(reason, f"{word}:{detail.strip()}" if may_repeat else word)


def word_of(body: bytes, status: int) -> str:
    """Return the protocol's word in a body, with its `:detail` if it has one, or an empty text.

    The word is the whole body, or stands in the JSON of an error: `title` at HeroSMS, `message` or `error` elsewhere.
    """
    if status != 200 and not 400 <= status < 500:
        return ""
    text = text_of(body)
    if text.startswith("{"):
        text = _json_word(body)
    word, _, detail = text.partition(":")
    return text if _WORD.fullmatch(word) and "\n" not in detail else ""


def says_error(status: object) -> bool:
    """Say whether the `status` of a JSON answer means failure."""
    return status is False or (isinstance(status, str) and status.casefold() in ("error", "false", "fail", "failed"))


def _sale(body: bytes, paise_per_unit: int, dialect: Dialect) -> Rented | None:
    text = text_of(body)
    if found := _TEXT_SALE.fullmatch(text):
        return Rented(found[1], found[2], None, can_get_next=dialect.can.has_next_code)
    sale = read(_SALE, text.encode()) if text.startswith("{") else None
    if sale is None or says_error(sale.status):
        return None
    upstream_id, number = id_of(sale.activation_id), phone_of(sale.phone_number)
    cost = price_of(sale.activation_cost, paise_per_unit)
    if upstream_id is None or number is None or isinstance(cost, Unknown):
        return None
    return Rented(upstream_id, number, cost, can_get_next=sale.can_get_another_sms not in (False, "0", "false"))


def _step(body: bytes, status: int, dialect: Dialect, change: Change, *, done: str) -> DoneAnswer:
    word = word_of(body, status)
    if _is_silently_done(change, body, status) or (word == done and status == 200):
        return Done()
    if word in _REFUSED_BY_STATE:
        return Refused("not_allowed", word)
    return _ended(body, status, dialect) or refusal(body, status, dialect) or unknown(body, status)


def _is_silently_done(change: Change, body: bytes, status: int) -> bool:
    return change.is_silent and status == 204 and not body


def _ended(body: bytes, status: int, dialect: Dialect) -> Ended | None:
    word = word_of(body, status)
    if word in ("NO_ACTIVATION", "ACTIVATION_NOT_ACTIVE") or word in dialect.ended:
        return Ended(word)
    return Ended(word) if status == 200 and word in ("STATUS_CANCEL", "ACCESS_CANCEL") else None


def _json_word(body: bytes) -> str:
    problem = read(_PROBLEM, text_of(body).encode())
    if problem is None or problem.status is True:
        return ""
    # Something with an id or a number was sold, whatever else it says.
    ids = (problem.activation_id, problem.activation_id_of_others)
    if problem.phone_number or any(part is not None for part in ids):
        return ""
    if isinstance(problem.status, str) and not says_error(problem.status):
        return ""
    named = (problem.title, problem.message, problem.error, problem.msg)
    return next((text.strip() for text in named if isinstance(text, str) and text), "")
