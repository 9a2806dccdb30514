"""What the SMS-Activate family posts to us: one message for each request, unsigned; pure, never raising."""

from hashlib import blake2b
from typing import Final

import msgspec

from numberdesk.providers.adapters.reading import CODE_MAX, TEXT_MAX, Id, clean, id_of, read, text_of
from numberdesk.providers.model import Pushed, Received

PUSH_TAKEN: Final = b""
"""What is answered to a message that was taken: the status 200 is what counts."""


class _Push(msgspec.Struct, rename="camel"):
    activation_id: Id
    id: str | int | None = None
    text: str | None = None
    code: str | int | None = None
    received_at: str | int | None = None


_PUSH = msgspec.json.Decoder(_Push)


def pushed(body: bytes) -> tuple[Pushed, ...] | None:
    """Read what was posted; None when it names no activation, or neither a code nor a text."""
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


def _text(value: str | int | None) -> str:
    return "" if value is None else str(value)
