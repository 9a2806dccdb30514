"""Reading what gateways say, from bytes to plain values: pure, and raising nothing but the refusal of a webhook."""

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from numberdesk.base.http_client import Answer, NoAnswer
from numberdesk.base.money import AMOUNT_MAX, NotAnAmount, Paise, parse_rupees
from numberdesk.payments.methods.gateway import BadWebhook, Trouble

DEADLINE: Final = 10.0
BODY_MAX: Final = 256 * 1024
"""Bytes of an answer or a webhook: the largest that gateways document is a few kilobytes."""
SLOW_DOWN: Final = 30.0
"""Seconds to leave a gateway alone that says it is asked too often; their limits count by the minute."""
KEYS_REFUSED: Final = 60.0
TEXT_MAX: Final = 255
URL_MAX: Final = 2000

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_RRN = re.compile(r"[0-9]{12}")
_CURRENCY = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True, slots=True)
class Told:
    """What a gateway said readably: JSON with a 2xx, or with a 4xx that is about the request."""

    status: int
    body: Any
    raw: bytes = field(repr=False)

    @property
    def is_yes(self) -> bool:
        """Whether it did or found what was asked."""
        return self.status < 300


def told(answer: Answer | NoAnswer) -> Told | Trouble:
    """Sort an answer: readable, or trouble.

    A 401 is no refusal: keys are exchanged while the program runs, and a refund must not be given up for that.
    """
    if isinstance(answer, NoAnswer):
        return Trouble(f"no answer: {answer.reason}")
    if answer.status == 429:
        return Trouble("it is asked too often (429)", retry_after=SLOW_DOWN)
    if answer.status in (401, 403):
        return Trouble(f"it refuses our keys ({answer.status})", retry_after=KEYS_REFUSED)
    if not 200 <= answer.status < 300 and not 400 <= answer.status < 500:
        return Trouble(f"it answers with status {answer.status}")
    try:
        body = parsed(answer.body)
    except ValueError:
        return Trouble(f"its answer cannot be read (status {answer.status})")
    if not isinstance(body, dict | list):
        return Trouble(f"its answer is no object (status {answer.status})")
    return Told(answer.status, body, answer.body)


def refused(said: Told) -> Trouble:
    """Return the trouble of a readable 4xx. A conflict, or a request that came too slowly, may pass."""
    is_final = said.status not in (408, 409, 425) and isinstance(said.body, dict)
    return Trouble(f"it refuses with status {said.status}", is_refusal=is_final)


def parsed(raw: bytes) -> Any:
    """Read JSON with exact numbers.

    Raises:
        ValueError: it is not JSON, or nothing that a sane sender writes.
    """
    try:
        return json.loads(raw, parse_float=Decimal, parse_constant=_no_constant)
    except (RecursionError, ArithmeticError) as problem:
        raise ValueError("not readable") from problem


def webhook_body(raw: bytes) -> dict[str, Any]:
    """Read the body of a webhook, whose signature was checked before.

    Raises:
        BadWebhook: it is no JSON object.
    """
    try:
        body = parsed(raw)
    except ValueError:
        raise BadWebhook("the body is not JSON") from None
    if not isinstance(body, dict):
        raise BadWebhook("the body is no object")
    return body


def check_size(raw: bytes) -> None:
    """Refuse a body that no gateway sends, before anything is computed over it.

    Raises:
        BadWebhook: it is too large.
    """
    if len(raw) > BODY_MAX:
        raise BadWebhook("the body is too large")


def event_id(header: str | None, raw: bytes) -> str:
    """Return the gateway's name of an event, or one made of its bytes."""
    return identifier(header) or hashlib.sha256(raw).hexdigest()


def is_one_of(given: str, expected: Iterable[str]) -> bool:
    """Compare a signature with every one that would be right, each in constant time."""
    shown = given.encode("utf-8", "replace")
    return any(hmac.compare_digest(shown, one.encode()) for one in expected)


def at(value: Any, *path: str) -> Any:
    """Return what stands at a path of objects, None where one of them is missing or of another type."""
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def identifier(value: Any) -> str | None:
    """Return an id as text, whether it came as text or as a number; None when it could not stand in an address."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**30:
        return str(value)
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def text(value: Any, *, longest: int = TEXT_MAX) -> str | None:
    """Return text that may be stored and shown: not empty, not too long, no control characters."""
    return value if isinstance(value, str) and 0 < len(value) <= longest and value.isprintable() else None


def web_address(value: Any) -> str | None:
    """Return the address of a page that a customer may be sent to."""
    found = text(value, longest=URL_MAX)
    return found if found is not None and found.startswith("https://") else None


def rrn(value: Any) -> str | None:
    """Return the bank's number of a UPI payment; other rails put other things in the same field."""
    found = identifier(value)
    return found if found is not None and _RRN.fullmatch(found) else None


def currency(value: Any) -> str | None:
    """Return the three letters of a currency."""
    return value if isinstance(value, str) and _CURRENCY.fullmatch(value) else None


def paise(value: Any) -> Paise | None:
    """Return an amount that is told in paise: a whole number, or None."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return Paise(value) if is_whole and 0 <= value <= AMOUNT_MAX else None


def rupees(value: Any) -> Paise | None:
    """Return an amount above zero that is told in rupees with at most two decimals, or None."""
    if not isinstance(value, int | Decimal | str):
        return None
    try:
        return parse_rupees(value)
    except NotAnAmount:
        return None


def unix_time(value: Any, *, per_second: int = 1) -> datetime | None:
    """Return the instant of a count of seconds, or of parts of seconds, since 1970; None for none, zero included."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value // per_second < 2**32:
        return None
    return datetime.fromtimestamp(value // per_second, UTC)


def iso_time(value: Any) -> datetime | None:
    """Return the instant of an ISO 8601 text that says its offset."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        found = datetime.fromisoformat(value)
        return found.astimezone(UTC) if found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")
