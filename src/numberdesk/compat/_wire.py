"""How a door of a foreign protocol reads parameters and writes answers; nothing here knows what they mean.

Parameters come from the address and, on a POST, from a form of either kind. Blanks around names and values do not
count, and of several with one name the first that is not empty counts, those of the address before those of the form.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from numberdesk.base import web
from numberdesk.base.calls import read_body
from numberdesk.base.rendered import Rendered
from numberdesk.base.web import BodyCut
from numberdesk.compat._multipart import boundary_of, fields

QUERY_MAX = 8 * 1024
FORM_MAX = web.BODY_MAX
FIELDS_MAX = 200
VALUE_MAX = 512
"""Of one value no protocol needs more; what is longer means nothing."""
TEXT = (b"content-type", b"text/plain; charset=utf-8")
NO_CONTENT = 204

Send = Any
Receive = Any


class Unreadable(Exception):
    """The address or the form is larger than any request of a protocol, or the form is cut."""


class Gone(Exception):
    """The client went away before its request was complete: a part of a request is no request."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it goes out."""

    body: bytes | Rendered
    status: int = 200
    is_json: bool = False
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """Besides those of every answer; names in small letters."""


def text_reply(text: str, status: int = 200) -> Reply:
    """Answer with a text: no byte before or after it."""
    return Reply(text.encode(), status)


def json_reply(value: Any, status: int = 200) -> Reply:
    """Answer with JSON; amounts must be `msgspec.Raw`, so that none passes through a float."""
    return Reply(msgspec.json.encode(value), status, is_json=True)


@dataclass(frozen=True, slots=True)
class Parameters(Mapping[str, str]):
    """What a request asks with: names and values without blanks around them."""

    values_by_name: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        return self.values_by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)

    def word(self, *names: str) -> str | None:
        """Return the first of these parameters that says something."""
        return next((text for name in names if (text := self.values_by_name.get(name))), None)

    def whole(self, *names: str) -> int | None:
        """Return a parameter that is a whole number not below 0, however many zeros it begins with; else None."""
        text = self.word(*names)
        if text is None or not (text.isascii() and text.isdigit()) or len(text) > 30:
            return None
        return int(text)


async def read_parameters(scope: Any, receive: Receive, *, length: int) -> Parameters:
    """Read what a request asks with.

    A value with characters that are not text, or one that is too long, is kept as a single question mark: no word of
    any protocol is one, so whoever needs the parameter refuses it.

    Args:
        length: of the body as announced; -1 when it is not.

    Raises:
        Unreadable: the address or the form is too large, or the form is cut.
        Gone: the form is not all there.
    """
    query: bytes = scope["query_string"]
    if len(query) > QUERY_MAX:
        raise Unreadable
    found: dict[str, str] = {}
    try:
        _gather(_pairs(query), found)
        if scope["method"] == "POST":
            form = await _read_form(receive, length)
            told = header(scope, b"content-type")
            kind = told.partition(";")[0].strip().lower()
            if form and kind in ("", "application/x-www-form-urlencoded"):
                _gather(_pairs(form), found)
            elif form and kind == "multipart/form-data":
                _gather(fields(form, boundary_of(told), fields_max=FIELDS_MAX), found)
    except ValueError:
        raise Unreadable from None
    return Parameters(found)


def _pairs(raw: bytes) -> list[tuple[str, str]]:
    return parse_qsl(raw.decode("latin-1"), keep_blank_values=True, max_num_fields=FIELDS_MAX)


def _gather(pairs: Iterable[tuple[str, str]], found: dict[str, str]) -> None:
    for name, value in pairs:
        text = value.strip()
        if len(text) > VALUE_MAX or web.has_control_characters(text) or "\n" in text or "\r" in text or "\t" in text:
            text = "?"
        # An empty one must not hide what a later one says: it may be the ceiling of a price.
        if not found.get(name.strip()):
            found[name.strip()] = text


async def _read_form(receive: Receive, length: int) -> bytes:
    try:
        raw = await read_body(length, receive, most=FORM_MAX)
    except BodyCut:
        raise Gone from None
    if raw is None:
        raise Unreadable
    return raw


def header(scope: Any, name: bytes) -> str:
    """Return a header of the request; of several the first, and an empty text without one."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name), "")


async def write(reply: Reply, scope: Any, send: Send, *, request_id: str, told: list[tuple[bytes, bytes]]) -> None:
    """Send an answer with the headers of all our answers; a large rendered one is packed and has an ETag.

    Args:
        told: headers about limits.
    """
    status, body, extra = reply.status, reply.body, list(reply.headers)
    if isinstance(body, Rendered):
        sent = await body.answer(
            accept_encoding=header(scope, b"accept-encoding"), if_none_match=header(scope, b"if-none-match")
        )
        status, body = sent.status, sent.body
        extra.extend(sent.headers)
    headers = [] if status == NO_CONTENT else [web.JSON_TYPE if reply.is_json else TEXT]
    if status != NO_CONTENT:
        headers.append((b"content-length", str(len(body)).encode()))
    present = {name for name, _ in extra}
    headers += [(b"x-request-id", request_id.encode()), *extra, *told]
    headers += [pair for pair in web.HEADERS if pair[0] not in present]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
