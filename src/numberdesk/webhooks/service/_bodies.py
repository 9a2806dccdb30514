"""What is posted: bodies in each format, and the headers that prove where they come from."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from numberdesk.base.web import rfc3339
from numberdesk.orders import service as orders
from numberdesk.orders.model import Message, Order
from numberdesk.orders.service import Told
from numberdesk.webhooks.model import TEST, Format, Leased

SECRET_BYTES = 32
_PREFIX = "whsec_"
_SAMPLE = {
    "orderId": 0, "status": "received", "service": "tg", "country": 22, "server": 1, "operator": "any",
    "number": "+910000000000", "price": "0.00", "message": None, "refund": None,
}  # fmt: skip
"""The order in a test: none has this id."""
_SAMPLE_CODE, _SAMPLE_TEXT = "12345", "This is a test: your code is 12345"


def new_secret() -> str:
    """Return a fresh secret in the form of Standard Webhooks: 256 bits."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signature(secret: str, *, event_id: str, at: int, body: bytes) -> str:
    """Return a signature of version 1 over id, time and the bytes of the body.

    Source: the Standard Webhooks specification 1.0.0, "Signature scheme". Its library signs text only.
    """
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    return (
        "v1," + base64.b64encode(hmac.digest(key, b"%s.%d.%s" % (event_id.encode(), at, body), hashlib.sha256)).decode()
    )


def headers_of(leased: Leased, body: bytes, *, secrets_in_force: Sequence[str], at: int) -> dict[str, str]:
    """Return the headers of one attempt.

    Args:
        secrets_in_force: all of them sign, the newest first.
        at: seconds since 1970, of this attempt: receivers refuse old ones.
    """
    signatures = [signature(item, event_id=leased.event_id, at=at, body=body) for item in secrets_in_force]
    headers = {
        "Content-Type": "application/json",
        "webhook-id": leased.event_id,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(signatures),
        "numberdesk-attempt": str(leased.attempts),
    }
    if leased.seq is not None:
        headers["numberdesk-sequence"] = str(leased.seq)
    return headers


def body_of(told: Told, form: Format) -> bytes:
    """Return the body that tells of an event; the same bytes for the same event and format."""
    if form == "standard" or told.message is None:
        return orders.tell(told)
    order, message = told.order, told.message
    if order.hours is not None:
        return _rental_body(order, message)
    if form == "classic":
        return _classic(order.id, order.service, message.text, message.code, order.country, message.received_at)
    return _hero(told.event.id, order.id, order.service, message.text, message.code, order.country, message.received_at)


def test_body(leased: Leased) -> bytes:
    """Return the body of a test, which looks like that of a code."""
    at = leased.created_at
    if leased.format == "classic":
        return _classic(0, "tg", _SAMPLE_TEXT, _SAMPLE_CODE, 22, at)
    if leased.format == "hero":
        return _hero(leased.event_id, 0, "tg", _SAMPLE_TEXT, _SAMPLE_CODE, 22, at)
    message = {"code": _SAMPLE_CODE, "text": _SAMPLE_TEXT, "receivedAt": rfc3339(at)}
    return msgspec.json.encode(
        {"id": leased.event_id, "type": TEST, "timestamp": rfc3339(at), "data": {**_SAMPLE, "message": message}}
    )


def _classic(order_id: int, service: str, text: str, code: str, country: int, at: datetime) -> bytes:
    """Return SMS-Activate's body, byte for byte: its names, its order, no blanks, the id a number."""
    return msgspec.json.encode(
        {
            "activationId": order_id, "service": service, "text": text, "code": code, "country": country,
            "receivedAt": _plain_time(at),
        }
    )  # fmt: skip


def _hero(event_id: str, order_id: int, service: str, text: str, code: str, country: int, at: datetime) -> bytes:
    """Return HeroSMS's body: the id a text, as its public client reads it; what is not known is null."""
    return msgspec.json.encode(
        {
            "id": event_id, "activationId": str(order_id), "service": service, "text": text or None,
            "code": code or None, "country": country, "receivedAt": rfc3339(at), "phoneFrom": None,
        }
    )  # fmt: skip


def _rental_body(order: Order, message: Message) -> bytes:
    """Return the body that both have for a number that is rented for hours; who sent the message is not known."""
    sms = {"phoneFrom": "", "text": message.text, "date": _plain_time(message.received_at)}
    return msgspec.json.encode({"rentId": str(order.id), "sms": sms})


def _plain_time(at: datetime) -> str:
    """Return a time in UTC as the old protocol writes it."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
