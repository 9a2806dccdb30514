"""What the SMS-Activate family posts to us: one message for each request, unsigned; pure, never raising."""

from hashlib import blake2b
from typing import Final

import msgspec

from numberdesk.providers.adapters.reading import CODE_MAX, TEXT_MAX, Id, clean, id_of, read, text_of
from numberdesk.providers.adapters.sms_activate_rentals_parse import message_of
from numberdesk.providers.model import RENTAL, Pushed, Received

PUSH_TAKEN: Final = b""
"""What is answered to a message that was taken: the status 200 is what counts."""


class _RentalSms(msgspec.Struct):
    text: str
    date: str | int | None = None


class _RentalPush(msgspec.Struct, rename="camel"):
    rent_id: Id
    sms: _RentalSms


class _Push(msgspec.Struct, rename="camel"):
    activation_id: Id
    id: str | int | None = None
    text: str | None = None
    code: str | int | None = None
    received_at: str | int | None = None


_PUSH = msgspec.json.Decoder(_Push)
_RENTAL_PUSH = msgspec.json.Decoder(_RentalPush)


def pushed(body: bytes) -> tuple[Pushed, ...] | None:
    """Read what was posted; None when it names no activation or rental, or neither a code nor a text."""
    if (rental := _of_rental(body)) is not None:
        return (rental,)
    found = read(_PUSH, text_of(body).encode())
    upstream_id = None if found is None else id_of(found.activation_id)
    if found is None or upstream_id is None:
        return None
    message = Received(clean(_text(found.code), CODE_MAX), clean(_text(found.text), TEXT_MAX))
    if not message.code and not message.text:
        return None
    # HeroSMS gives each message an id, of which nobody says whether it is unique beyond an activation. What is posted
    # again has the same words again.
    told = _text(found.id) or _text(found.received_at)
    parts = (upstream_id, _text(found.code), _text(found.text), told)
    event_id = blake2b(msgspec.json.encode(parts), digest_size=16).hexdigest()
    return (Pushed(event_id, upstream_id, None, message),)


def _of_rental(body: bytes) -> Pushed | None:
    """Read a message of a rental, which comes without its code."""
    found = read(_RENTAL_PUSH, text_of(body).encode())
    rental_id = None if found is None else id_of(found.rent_id)
    if found is None or rental_id is None:
        return None
    message = message_of(found.sms.text)
    if not message.text:
        return None
    parts = (RENTAL, rental_id, found.sms.text, _text(found.sms.date))
    return Pushed(blake2b(msgspec.json.encode(parts), digest_size=16).hexdigest(), RENTAL + rental_id, None, message)


def _text(value: str | int | None) -> str:
    return "" if value is None else str(value)
