"""What the SMS-Activate family answers about one order, from bytes to outcomes: pure functions that never raise.

A sure answer is given for listed words and well-formed shapes only; whatever else a server sends is `Unknown`.
Classic servers answer words with status 200, some send the same words with 4xx, HeroSMS wraps them in JSON with 4xx.
A 5xx says nothing at all.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from types import MappingProxyType
from typing import Annotated, Any, Final, TypeVar

import msgspec

from numberdesk.base.money import AMOUNT_MAX, Paise
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

T = TypeVar("T")

REFUSALS: Final[Mapping[str, RefusalReason]] = MappingProxyType(
    {
        "NO_NUMBERS": "no_numbers",
        "NOT_AVAILABLE": "no_numbers",
        "NUMBER_NOT_AVAILABLE": "no_numbers",
        "NO_BALANCE": "no_balance",
        "NO_BALANCE_FORWARD": "no_balance",
        "NO_MONEY": "no_balance",
        "WRONG_MAX_PRICE": "price_changed",
        "MAX_PRICE_EXCEEDED": "price_changed",
        "BAD_SERVICE": "bad_service",
        "WRONG_SERVICE": "bad_service",
        "SERVICE_NOT_AVAILABLE": "bad_service",
        "BAD_COUNTRY": "bad_country",
        "WRONG_COUNTRY": "bad_country",
        "SERVICE_UNAVAILABLE_REGION": "bad_country",
        "WRONG_OPERATOR": "bad_operator",
        "OPERATORS_NOT_FOUND": "bad_operator",
        "BAD_KEY": "bad_key",
        "NO_KEY": "bad_key",
        "API_KEY_NOT_VALID": "bad_key",
        "BANNED": "account_blocked",
        "ACCOUNT_INACTIVE": "account_blocked",
        "CHANNELS_LIMIT": "account_blocked",
        "TOO_MANY_ACTIVE_RENTALS": "account_blocked",
        "BAD_ACTION": "not_allowed",
        "NO_ACTION": "not_allowed",
    }
)
"""Words that say for sure that nothing was done. A word that is not here is never a refusal."""

EXCERPT_MAX: Final = 80
CODE_MAX: Final = 200
TEXT_MAX: Final = 2000

Id = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)] | str
Phone = Annotated[int, msgspec.Meta(ge=10_000, lt=10**15)] | str

_WORD = re.compile(r"[A-Z][A-Z_]{2,39}")
_ID = re.compile(r"[1-9][0-9]{0,18}")
_PHONE = re.compile(r"\+?([0-9]{5,15})")
_TEXT_SALE = re.compile(r"ACCESS_NUMBER:([1-9][0-9]{0,18}):\+?([0-9]{5,15})")
_BALANCE = re.compile(r"ACCESS_BALANCE:\s*(-?[0-9]{1,12}(?:\.[0-9]{1,10})?)")
_DETAIL: Final = MappingProxyType(
    {
        "WRONG_MAX_PRICE": re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?"),
        "BANNED": re.compile(r"[-0-9:' ]{1,30}"),
    }
)
"""The two refusals that carry a detail, and the form in which it may be repeated."""

_PARTS = re.compile(r"[\w-]+")
_PART_MAX = 15


class _Sale(msgspec.Struct, rename="camel"):
    activation_id: Id
    phone_number: Phone
    activation_cost: msgspec.Raw = msgspec.Raw()
    can_get_another_sms: bool | int | str | None = True
    status: Any = None


class _Problem(msgspec.Struct, rename="camel"):
    activation_id: Any = None
    status: Any = None
    title: Any = None
    message: Any = None
    error: Any = None
    msg: Any = None


_SALE = msgspec.json.Decoder(_Sale)
_PROBLEM = msgspec.json.Decoder(_Problem)
_DECIMAL = msgspec.json.Decoder(Decimal)


@dataclass(frozen=True, slots=True)
class LookAgain:
    """The provider does not cancel in this state; only a look can say whether because a code came."""


def rent(body: bytes, status: int, *, ceiling_paise: Paise, paise_per_unit: int) -> RentAnswer:
    """Read the answer to a purchase: the JSON of getNumberV2, or ACCESS_NUMBER:id:phone."""
    sale = _sale(body, paise_per_unit) if status == 200 else None
    if sale is not None:
        if sale.cost_paise is not None and sale.cost_paise > ceiling_paise:
            return Unknown("price above the ceiling")
        return sale
    return refusal(body, status) or unknown(body, status)


def look(body: bytes, status: int) -> LookAnswer:
    """Read the answer to getStatus."""
    text = text_of(body) if status == 200 else ""
    if text in ("STATUS_WAIT_CODE", "STATUS_WAIT_RESEND", "STATUS_WAIT_RETRY") or text.startswith("STATUS_WAIT_RETRY:"):
        return Waiting()
    if text.startswith("STATUS_OK:"):
        code = clean(text.removeprefix("STATUS_OK:").strip().strip("'"), TEXT_MAX)
        return (Received(code, ""),) if 0 < len(code) <= CODE_MAX else Unknown("STATUS_OK without a code")
    return _ended(body, status) or unknown(body, status)


def cancel(body: bytes, status: int) -> CancelAnswer | LookAgain:
    """Read the answer to setStatus 8."""
    match word_of(body, status):
        case "ACCESS_CANCEL" if status == 200:
            return Done()
        case "EARLY_CANCEL_DENIED":
            return TooEarly()
        case "BAD_STATUS" | "OTP_RECEIVED" | "NEW_OTP_RECEIVED":
            return LookAgain()
    return _ended(body, status) or unknown(body, status)


def after_refused_cancel(body: bytes, status: int) -> CancelAnswer:
    """Read the answer to the getStatus that follows `LookAgain`."""
    answer = look(body, status)
    if isinstance(answer, tuple):
        return CodeWon()
    if not isinstance(answer, Waiting):
        return answer
    # STATUS_WAIT_RETRY carries the last code: one came, and another was asked for.
    last = text_of(body).partition("STATUS_WAIT_RETRY:")[2]
    return CodeWon() if last.strip() else Unknown("cancel refused, and it still waits")


def finish(body: bytes, status: int) -> DoneAnswer:
    """Read the answer to setStatus 6."""
    return _step(body, status, done="ACCESS_ACTIVATION")


def another_code(body: bytes, status: int) -> DoneAnswer:
    """Read the answer to setStatus 3."""
    return _step(body, status, done="ACCESS_RETRY_GET")


def balance(body: bytes, status: int, *, paise_per_unit: int) -> Paise | Unknown:
    """Read the answer to getBalance, rounded down."""
    found = _BALANCE.fullmatch(text_of(body)) if status == 200 else None
    amount = to_paise(Decimal(found[1]), paise_per_unit, rounding=ROUND_FLOOR) if found else None
    return unknown(body, status) if amount is None else amount


def refusal(body: bytes, status: int) -> Refused | None:
    """Return the listed refusal that the body is, or None."""
    word, _, detail = word_of(body, status).partition(":")
    reason = REFUSALS.get(word)
    if reason is None or (detail and word not in _DETAIL):
        return None
    may_repeat = bool(detail) and _DETAIL[word].fullmatch(detail.strip()) is not None
    return Refused(reason, f"{word}:{detail.strip()}" if may_repeat else word)


def unknown(body: bytes, status: int) -> Unknown:
    """Return `Unknown` with what a person needs to recognise the body."""
    return Unknown(excerpt(body) if status == 200 else f"HTTP {status}: {excerpt(body)}"[:EXCERPT_MAX])


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


def text_of(body: bytes) -> str:
    """Return the body as text without a byte order mark and outer blanks; empty when it is not UTF-8."""
    try:
        return body.removeprefix(b"\xef\xbb\xbf").strip().decode()
    except UnicodeDecodeError:
        return ""


def excerpt(body: bytes) -> str:
    """Return a short, printable piece of a body in which nothing that could be a key, number or code is left."""
    text = _PARTS.sub(_hide, body[:400].decode(errors="replace"))
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(shown.split())[:EXCERPT_MAX] or "empty body"


def clean(text: str, length_max: int) -> str:
    """Return text, cut to a length, without the characters that a database or a terminal trips over."""
    if not text.isprintable():
        text = "".join(letter for letter in text if letter.isprintable() or letter in "\n\t")
    return text.strip()[:length_max]


def id_of(value: int | str) -> str | None:
    """Return an activation's id as text, or None when it is not a positive decimal."""
    text = str(value)
    return text if _ID.fullmatch(text) else None


def phone_of(value: int | str) -> str | None:
    """Return the digits of a phone number, or None when there are not 5 to 15 of them."""
    found = _PHONE.fullmatch(str(value))
    return found[1] if found else None


def read(decoder: "msgspec.json.Decoder[T]", body: bytes | msgspec.Raw) -> T | None:
    """Decode, or return None."""
    try:
        return decoder.decode(body)
    except (ValueError, ArithmeticError, RecursionError):
        return None


def cost_of(raw: msgspec.Raw, paise_per_unit: int) -> Paise | None:
    """Return a price that is written as a JSON number or as text, rounded up, or None when it is no price."""
    number = read(_DECIMAL, raw)
    if number is None or not number.is_finite() or number < 0:
        return None
    return to_paise(number, paise_per_unit, rounding=ROUND_CEILING)


def to_paise(number: Decimal, paise_per_unit: int, *, rounding: str) -> Paise | None:
    """Return a finite amount of the provider's currency in paise, or None when it is beyond any real amount."""
    if number == 0:
        return Paise(0)
    # The size is looked at first: all the digits of 1E+999999 would be written out.
    if not -20 <= number.adjusted() <= 12:
        return None
    amount = int((number * paise_per_unit).to_integral_value(rounding=rounding))
    return Paise(amount) if abs(amount) <= AMOUNT_MAX else None


def says_error(status: object) -> bool:
    """Say whether the `status` of a JSON answer means failure."""
    return status is False or status in ("error", "false", "fail")


def _sale(body: bytes, paise_per_unit: int) -> Rented | None:
    text = text_of(body)
    if found := _TEXT_SALE.fullmatch(text):
        return Rented(found[1], found[2], None, can_get_next=True)
    sale = read(_SALE, text.encode()) if text.startswith("{") else None
    if sale is None or says_error(sale.status):
        return None
    upstream_id, number = id_of(sale.activation_id), phone_of(sale.phone_number)
    cost = None
    if bytes(sale.activation_cost) not in (b"", b"null"):
        cost = cost_of(sale.activation_cost, paise_per_unit)
        if cost is None:
            return None
    if upstream_id is None or number is None:
        return None
    return Rented(upstream_id, number, cost, can_get_next=sale.can_get_another_sms not in (False, "0", "false"))


def _step(body: bytes, status: int, *, done: str) -> DoneAnswer:
    word = word_of(body, status)
    if word == done and status == 200:
        return Done()
    if word == "BAD_STATUS":
        return Refused("not_allowed", word)
    return _ended(body, status) or refusal(body, status) or unknown(body, status)


def _ended(body: bytes, status: int) -> Ended | None:
    word = word_of(body, status)
    if word in ("NO_ACTIVATION", "ACTIVATION_NOT_ACTIVE") or (
        status == 200 and word in ("STATUS_CANCEL", "ACCESS_CANCEL")
    ):
        return Ended(word)
    return None


def _json_word(body: bytes) -> str:
    problem = read(_PROBLEM, text_of(body).encode())
    # Something with an id was sold, whatever else it says.
    if problem is None or problem.activation_id is not None or problem.status is True:
        return ""
    if isinstance(problem.status, str) and not says_error(problem.status):
        return ""
    named = (problem.title, problem.message, problem.error, problem.msg)
    return next((text.strip() for text in named if isinstance(text, str) and text), "")


def _hide(part: "re.Match[str]") -> str:
    text = part[0]
    has_digit = any(letter.isnumeric() for letter in text)
    is_word = _WORD.fullmatch(text) is not None or len(text) <= _PART_MAX
    return text if is_word and not has_digit else "*"
