"""Words on their way in and out: cleaned, sealed, and put together to threads."""

from collections.abc import Sequence

import structlog

from numberdesk.base.crypto import WrongKey
from numberdesk.base.errors import InvalidFields
from numberdesk.base.web import has_control_characters
from numberdesk.support.images import NotAnImage, read_image
from numberdesk.support.model import Attachment, Image, Listed, Message, Said, Shown
from numberdesk.support.service._desk import HelpDesk, body_place, subject_place

log = structlog.get_logger()

SUBJECT_MAX = 120
TEXT_MAX = 5000
IMAGES_MAX = 3
IMAGE_MAX = 2 * 1024 * 1024
UNREADABLE = "(This cannot be read at the moment.)"
"""What stands for words that were sealed with a key that this process lacks, as while keys are changed."""


def clean_text(text: str, *, field: str = "text") -> str:
    """Return text without spaces around it.

    Raises:
        InvalidFields: nothing of it can be seen, it is too long, or it holds characters that are not text.
    """
    cleaned = text.replace("\r\n", "\n").strip()
    if not any(character.isprintable() and not character.isspace() for character in cleaned):
        raise InvalidFields({field: "must not be blank"})
    if len(cleaned) > TEXT_MAX:
        raise InvalidFields({field: f"must be at most {TEXT_MAX} characters"})
    if has_control_characters(cleaned):
        raise InvalidFields({field: "contains characters that are not text"})
    return cleaned


def clean_subject(text: str) -> str:
    """Return a subject on one line.

    Raises:
        InvalidFields: as in `clean_text`.
    """
    line = " ".join(clean_text(text, field="subject").split())
    if len(line) > SUBJECT_MAX:
        raise InvalidFields({"subject": f"must be at most {SUBJECT_MAX} characters"})
    return line


def read_images(raw: Sequence[bytes]) -> list[Image]:
    """Return pictures as they are by their own bytes.

    Raises:
        InvalidFields: too many, or one of them is too large or no picture; it is named by its place.
    """
    if len(raw) > IMAGES_MAX:
        raise InvalidFields({"attachments": f"must be at most {IMAGES_MAX}"})
    images, bad = [], {}
    for place, content in enumerate(raw):
        try:
            if len(content) > IMAGE_MAX:
                raise NotAnImage(f"must be at most {IMAGE_MAX // 1024 // 1024} MB")
            images.append(read_image(content))
        except NotAnImage as problem:
            bad[f"attachments[{place}]"] = str(problem)
    if bad:
        raise InvalidFields(bad)
    return images


def shown(
    desk: HelpDesk, ticket: Listed, messages: Sequence[Message] = (), attachments: Sequence[Attachment] = ()
) -> Shown:
    """Return a ticket in words."""
    thread = tuple(
        Said(item, _body(desk, item), tuple(found for found in attachments if found.ordinal == item.ordinal))
        for item in messages
    )
    return Shown(ticket, _open(desk, ticket.subject, subject_place(ticket.id)), thread)


def _body(desk: HelpDesk, item: Message) -> str | None:
    return _open(desk, item.body, body_place(item.ticket_id, item.ordinal))


def _open(desk: HelpDesk, sealed: bytes | None, about: str) -> str | None:
    if sealed is None:
        return None
    try:
        return desk.vault.open(sealed, about=about)
    except WrongKey:
        log.error("ticket_unreadable", place=about)
        return UNREADABLE


def says(desk: HelpDesk, item: Message, text: str) -> bool:
    """Tell whether a message says this."""
    return _body(desk, item) == text
