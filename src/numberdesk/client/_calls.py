"""The calls as values: what is sent, and how its answer is read. Both clients send the same ones."""

import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Generic, Literal, TypeVar

import msgspec

from numberdesk.client._errors import ApiError, Unreachable
from numberdesk.client.model import Balance, Events, Offer, Order, Orders, Page

T = TypeVar("T")
PREFIX = "/api/v1"
OK, CONFLICT = 200, 409
WAIT_MAX = 25
"""Seconds that the server keeps one waiting call open at most."""
TRIES = 4
PAUSES = (0.5, 1.0, 2.0)
REPEATED = frozenset({429, 502, 503, 504})
"""Answers after which the same request may succeed a little later. 502 and 504 are those of a proxy whose server starts
anew, or was lost on the way."""
ONCE = "Idempotency-Key"
RETRY_AFTER_MAX = 60.0
"""Seconds that a server may ask to wait before a repeat. Of a longer wait the caller is told instead of sleeping it."""
IN_FLIGHT = "key_in_flight"
"""The same purchase is still on its way: asking again with its key gives its answer."""


@dataclass(frozen=True, slots=True)
class Ask(Generic[T]):
    """One request. `wait` is how long the server may take on purpose."""

    method: Literal["GET", "POST"]
    path: str
    answer: type[T]
    params: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: float = 0.0


def base_of(url: str) -> str:
    """Return what all addresses begin with.

    Raises:
        ValueError: the address of the server is none: nothing could ever be sent.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError("the address of the server must begin with http:// or https://")
    return url.rstrip("/") + PREFIX


def headers_of(key: str) -> dict[str, str]:
    """Return the headers of every request.

    Raises:
        ValueError: what no header can hold, such as a key with the end of its line. It is not repeated: it may be one.
    """
    if not (key.isascii() and key.isprintable()) or key != key.strip():
        raise ValueError("the API key holds characters that no key has; is there a blank or a line end around it?")
    return {"X-API-Key": key}


def balance() -> Ask[Balance]:
    """Read the wallet."""
    return Ask("GET", "/user/balance", Balance)


def services(**filters: str | int | None) -> Ask[Page[Offer]]:
    """List what is on sale."""
    return Ask("GET", "/services", Page[Offer], _present(filters))


def get_number(once: str | None, wish: Mapping[str, Any]) -> Ask[Order]:
    """Buy one number."""
    return Ask("POST", "/auth/get-number", Order, body=_known(wish), headers=_once(once))


def get_numbers(once: str | None, quantity: int, wish: Mapping[str, Any]) -> Ask[Orders]:
    """Buy several numbers; at least two, since one is answered in another form."""
    if quantity < 2:
        raise ValueError("get_numbers buys at least two; get_number buys one")
    return Ask("POST", "/auth/get-number", Orders, body=_known({**wish, "quantity": quantity}), headers=_once(once))


def check(order_id: int, wait: float) -> Ask[Order]:
    """Read an order, or wait for its code."""
    return Ask("POST", "/auth/check-otp", Order, body={"orderId": order_id, "wait": wait}, wait=wait)


def change(verb: str, order_id: int, once: str | None, **more: Any) -> Ask[Order]:
    """Cancel, finish, lengthen, or wait for one more code."""
    return Ask("POST", f"/auth/{verb}", Order, body=_known({"orderId": order_id, **more}), headers=_once(once))


def orders(status: str | None, cursor: str | None, limit: int) -> Ask[Page[Order]]:
    """List orders, newest first."""
    return Ask("GET", "/orders", Page[Order], _present({"status": status, "cursor": cursor, "limit": limit}))


def events(after: str | None, wait: float, limit: int) -> Ask[Events]:
    """Read the log of events, or wait for the next one."""
    return Ask("GET", "/orders/events", Events, _present({"after": after, "wait": wait, "limit": limit}), wait=wait)


class _Success(msgspec.Struct, Generic[T]):
    data: T


class _Failure(msgspec.Struct):
    error: str = "The server answered with something else than Numberdesk's form."
    details: dict[str, Any] = {}


def read(ask: Ask[T], status: int, body: bytes) -> T:
    """Return what an answer holds.

    Raises:
        ApiError: a refusal, or something that is no answer of Numberdesk.
    """
    if status == OK:
        with suppress(msgspec.MsgspecError, UnicodeDecodeError):
            found: T = msgspec.json.decode(body, type=_Success[ask.answer]).data  # type: ignore[name-defined]
            return found
    raise refusal(status, body, ask.headers.get(ONCE))


def unreachable(ask: Ask[Any], tries: int, problem: Exception | None) -> Unreachable:
    """Return what to raise when no answer came."""
    return Unreachable(f"no answer after {tries} tries ({type(problem).__name__})", ask.headers.get(ONCE))


def refusal(status: int, body: bytes, once: str | None = None) -> ApiError:
    """Return what a refusal says, whoever wrote it."""
    try:
        failure = msgspec.json.decode(body, type=_Failure)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        failure = _Failure()
    return ApiError(status, failure.error, failure.details, once)


def pause_after(ask: Ask[Any], tries: int, status: int | None, headers: Mapping[str, str], body: bytes) -> float | None:
    """Return after how many seconds to repeat; None when the answer is final.

    What buys or moves money travels with a key, so repeating it is always safe.
    """
    if tries >= TRIES:
        return None
    may_repeat = status is None or status in REPEATED or (status == CONFLICT and IN_FLIGHT.encode() in body)
    if not may_repeat:
        return None
    seconds = asked_for(headers)
    return max(PAUSES[tries - 1], seconds) if seconds <= RETRY_AFTER_MAX else None


def asked_for(headers: Mapping[str, str]) -> float:
    """Return how many seconds the server asks to wait before a repeat."""
    told = headers.get("retry-after", "")
    return float(told) if told.isascii() and told.isdigit() else 0.0


def amount(value: Decimal | str | int | None) -> str | None:
    """Return rupees as they travel."""
    return None if value is None else str(value)


def _once(key: str | None) -> dict[str, str]:
    return {ONCE: key or secrets.token_urlsafe(18)}


def _present(filters: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in filters.items() if value is not None}


def _known(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
