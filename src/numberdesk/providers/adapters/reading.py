"""Reading what any provider sends: bodies, ids, numbers and prices, by functions that never raise."""

import re
from decimal import ROUND_CEILING, Decimal
from typing import Annotated, Final, TypeVar

import msgspec

from numberdesk.base.money import AMOUNT_MAX, Paise
from numberdesk.providers.model import Unknown

T = TypeVar("T")

EXCERPT_MAX: Final = 80
CODE_MAX: Final = 200
TEXT_MAX: Final = 2000
ABOVE_CEILING: Final = "price above the ceiling"
"""What is said of a sale above the ceiling that was sent; the guard on spending looks for it."""

Id = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)] | str
Phone = Annotated[int, msgspec.Meta(ge=10_000, lt=10**15)] | str

_WORD = re.compile(r"[A-Z][A-Z_]{2,39}")
_ID = re.compile(r"[1-9][0-9]{0,18}")
_PHONE = re.compile(r"\+?([0-9]{5,15})")
_PARTS = re.compile(r"[\w-]+")
_PART_MAX = 15
_DECIMAL = msgspec.json.Decoder(Decimal)


def unknown(body: bytes, status: int) -> Unknown:
    """Return `Unknown` with what a person needs to recognise the body."""
    return Unknown(excerpt(body) if status == 200 else f"HTTP {status}: {excerpt(body)}"[:EXCERPT_MAX])


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


def price_of(raw: msgspec.Raw, paise_per_unit: int) -> Paise | Unknown | None:
    """Return what an order costs, None when it is not told."""
    if bytes(raw) in (b"", b"null"):
        return None
    cost = cost_of(raw, paise_per_unit)
    return Unknown("an order whose price cannot be read") if cost is None else cost


def to_paise(number: Decimal, paise_per_unit: int, *, rounding: str) -> Paise | None:
    """Return a finite amount of the provider's currency in paise, or None when it is beyond any real amount."""
    if number == 0:
        return Paise(0)
    # The size is looked at first: all the digits of 1E+999999 would be written out.
    if not -20 <= number.adjusted() <= 12:
        return None
    amount = int((number * paise_per_unit).to_integral_value(rounding=rounding))
    return Paise(amount) if abs(amount) <= AMOUNT_MAX else None


def _hide(part: "re.Match[str]") -> str:
    text = part[0]
    has_digit = any(letter.isnumeric() for letter in text)
    is_word = _WORD.fullmatch(text) is not None or len(text) <= _PART_MAX
    return text if is_word and not has_digit else "*"
