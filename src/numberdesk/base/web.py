"""The wire's envelope: how every answer and every refusal looks, and the headers each carries."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, Protocol, TypeVar

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from numberdesk.base import troubles
from numberdesk.base.errors import AppError, Category, InvalidFields
from numberdesk.base.metrics import REFUSALS
from numberdesk.base.money import NotAnAmount, Paise, format_rupees, parse_rupees

log = structlog.get_logger()
T = TypeVar("T")
Row = TypeVar("Row", bound="_HasId")

BODY_MAX = 64 * 1024
INTERNAL_ERROR = 500
SHOWN_MAX = 40
"""Of a name that we do not know, no more than this many characters go back to the caller."""
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
"""Characters no name, note or code of ours contains: controls, and those that turn the direction of text."""

HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
    (b"cache-control", b"no-store"),
)
"""Every answer carries these unless its handler says otherwise."""

_SAID = re.compile(r"(?s)(?P<text>.*?)(?: - at `\$\.?(?P<path>[^`]*)`)?")
"""What the decoder says: a sentence, and where in the body."""

Access = str
"""Who may use an address: one of the words below, or a scope that the caller must have."""
PUBLIC, UNCOUNTED = "public", "uncounted"
"""Anybody, counted by network; and anybody, without a limit: for machines that watch us, and for pages."""
ACCESS = "access"
"""The option by which every handler of the framework declares its `Access`; without one the start is refused."""
NO_KEY: list[dict[str, list[str]]] = [{}]
"""OpenAPI's word for an address that needs no key."""
Headers = Sequence[tuple[bytes, bytes]]

JSON_TYPE = (b"content-type", b"application/json")


class Ok(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A success on the wire."""

    success: bool = True
    data: T


class Items(msgspec.Struct, Generic[T], frozen=True, rename="camel"):
    """One page of a list; `next_cursor` is None on the last one."""

    items: list[T]
    next_cursor: str | None = None


class NoFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An empty body, `{}`: the address says it all."""


class Done(msgspec.Struct, frozen=True):
    """It was done."""

    done: bool = True


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal on the wire."""

    success: bool = False
    error: str
    details: dict[str, Any]


class _HasId(Protocol):
    @property
    def id(self) -> int: ...


encoder = msgspec.json.Encoder()

_FRAMEWORK: dict[int, tuple[str, Category, str]] = {
    400: ("bad_request", "validation", "The request is not valid."),
    401: ("credentials_missing", "authentication", "Say who you are."),
    403: ("forbidden", "authentication", "You may not do this."),
    404: ("not_found", "validation", "There is nothing at this address."),
    405: ("method_not_allowed", "validation", "This address does not take this method."),
    413: ("body_too_large", "validation", "The body is larger than this call takes."),
    415: ("unsupported_media_type", "validation", "Send the body as application/json."),
}


@dataclass(eq=False)
class BodyCut(AppError):
    """The connection ended before the body did: a part of a request is no request."""

    code = "body_cut"
    message = "The body ended before it was complete. Nothing was done."


async def raw_body(request: Request[Any, Any, Any]) -> bytes:
    """Return the bytes of a body that is of somebody else's form.

    Raises:
        BodyCut: the caller went away before the end.
    """
    try:
        return await request.body()
    except HTTPException as problem:
        if problem.status_code == INTERNAL_ERROR:  # the framework's word for a connection that ended
            raise BodyCut from None
        raise


def encode(data: object) -> bytes:
    """Encode a success."""
    return encoder.encode(Ok(data=data))


def page(found: Sequence[Row], view: Callable[[Row], T], *, limit: int) -> Ok[Items[T]]:
    """Return one page of a list; after a full one the next goes on behind the id of its last row."""
    return Ok(data=Items([view(item) for item in found], str(found[-1].id) if len(found) == limit else None))


def refusal(status: int, request_id: str) -> bytes:
    """Encode one of the framework's own refusals."""
    code, category, sentence = _FRAMEWORK[status]
    count_refusal(category, code)
    return encoder.encode(
        Failure(error=sentence, details={"code": code, "category": category, "requestId": request_id})
    )


def render(problem: AppError, request_id: str) -> bytes:
    """Encode an expected error: money fields become rupees, names become camelCase."""
    count_refusal(problem.category, problem.code)
    details: dict[str, Any] = {"code": problem.code, "category": problem.category, "requestId": request_id}
    for name, value in problem.details().items():
        if name.endswith("_paise"):
            details[_camel(name.removesuffix("_paise"))] = None if value is None else format_rupees(value)  # type: ignore[arg-type]
        else:
            details[_camel(name)] = rfc3339(value) if isinstance(value, datetime) else value
    return encoder.encode(Failure(error=problem.sentence(), details=details))


def count_refusal(category: Category, code: str) -> None:
    """Count a refusal that somebody is told; codes are words of the program, so there are few."""
    REFUSALS.labels(category, code).inc()


def headers_of(problem: AppError) -> dict[str, str]:
    """Return the headers that a refusal carries besides those of every answer."""
    wait = problem.retry_seconds()
    return ({} if wait is None else {"retry-after": str(wait)}) | problem.headers()


def crash(problem: BaseException, request_id: str) -> bytes:
    """Log a bug of ours and encode the one sentence that callers see of it."""
    troubles.note("request_crashed", problem)
    log.error(
        "request_crashed",
        request_id=request_id,
        exc_info=problem,
    )
    count_refusal("system", "internal_error")
    details = {"code": "internal_error", "category": "system", "requestId": request_id}
    return encoder.encode(
        Failure(error="Something went wrong on our side. The request id helps us to find it.", details=details)
    )


def invalid_fields(problem: msgspec.ValidationError) -> InvalidFields:
    """Turn the decoder's sentence into the field it is about and what is wrong with it."""
    said = _SAID.fullmatch(str(problem))
    assert said is not None, "the pattern takes every text"
    text, path = said["text"], said["path"] or ""
    named = re.search(r"field `([^`]*)`", text)
    if "missing required field" in text and named:
        return InvalidFields({_join(path, named[1]): "is required"})
    if "unknown field" in text and named:
        return InvalidFields({_join(path, _harmless(named[1])): "is not a known field"})
    return InvalidFields({path or "body": _plain(text)})


def refuse_unusable(data: msgspec.Struct) -> None:
    """Refuse text with control characters, and times that are none in UTC, in any field; the one place where input is
    sanitised.

    Raises:
        InvalidFields: names each such field.
    """
    bad = {}
    for name, wire_name in zip(data.__struct_fields__, data.__struct_encode_fields__, strict=True):
        value = getattr(data, name)
        if isinstance(value, str) and _CONTROL.search(value):
            bad[wire_name] = "contains characters that are not text"
        elif isinstance(value, datetime) and not _is_in_utc(value):
            bad[wire_name] = _OTHERS["out of range"]
    if bad:
        raise InvalidFields(bad)


def moment_in(request: Request[Any, Any, Any], name: str, moment: datetime | None) -> datetime | None:
    """Return a time of the query, once it is one: the framework takes a number for seconds since 1970.

    Raises:
        InvalidFields: it is a number, or there is no such time in UTC.
    """
    if moment is not None and not all(":" in given for given in request.query_params.getall(name)):
        raise InvalidFields({name: _OTHERS["RFC3339"]})
    if moment is not None and not _is_in_utc(moment):
        raise InvalidFields({name: _OTHERS["out of range"]})
    return moment


def _is_in_utc(moment: datetime) -> bool:
    """Tell whether a time is one in UTC: at both ends of the calendar an offset leads out of it."""
    try:
        moment.astimezone(UTC)
    except OverflowError:
        return False
    return True


def amount_in(value: str | float, *, field: str = "amount") -> Paise:
    """Return the rupees that a field of a body holds.

    Raises:
        InvalidFields: it is no amount.
    """
    try:
        return parse_rupees(value)
    except NotAnAmount as problem:
        raise InvalidFields({field: str(problem)}) from None


def has_control_characters(text: str) -> bool:
    """Tell whether text contains what `refuse_unusable` refuses."""
    return _CONTROL.search(text) is not None


def translate(request: Request[Any, Any, Any], problem: Exception) -> Response[bytes]:
    """Turn any exception of a handler into the envelope; the framework's hook."""
    request_id: str = request.scope["state"].get("request_id", "")
    headers: dict[str, str] = {}
    if isinstance(problem, AppError):
        status, body = problem.status, render(problem, request_id)
        headers = headers_of(problem)
    elif isinstance(problem, ValidationException) and problem.extra:
        status, body = 400, render(_framework_fields(request, problem), request_id)
    elif isinstance(problem, HTTPException) and problem.status_code in _FRAMEWORK:
        status, body = problem.status_code, refusal(problem.status_code, request_id)
        headers.update({name: value for name, value in (problem.headers or {}).items() if name.lower() == "allow"})
    else:
        status, body = 500, crash(problem, request_id)
    return Response(body, status_code=status, headers=headers, media_type="application/json")


def _framework_fields(request: Request[Any, Any, Any], problem: ValidationException) -> InvalidFields:
    extra = problem.extra if isinstance(problem.extra, list) else [problem.extra]
    found = {}
    for item in extra:
        if isinstance(item, dict):
            name = _wire_name(request, str(item.get("key", "query")))
            found[name] = _plain(str(item.get("message", "")).split(" - at ")[0])
    return InvalidFields(found or {"query": "is not valid"})


def _wire_name(request: Request[Any, Any, Any], name: str) -> str:
    """Return what callers call a parameter of the handler."""
    parameter = request.route_handler.parsed_fn_signature.parameters.get(name)
    return getattr(parameter.kwarg_definition, "name", None) or name if parameter else name


FILE_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'; base-uri 'none'"


def saved(content: bytes, *, media_type: str, name: str) -> Response[bytes]:
    """Answer with a file of a stranger's, to be saved: no browser shows it as a page, or runs anything in it.

    Args:
        name: ours, of plain ASCII.
    """
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Content-Security-Policy": FILE_POLICY}
    return Response(content, media_type=media_type, headers=headers)


def rfc3339(moment: datetime | None) -> datetime | None:
    """Return a moment cut to milliseconds, which is what callers compare and store."""
    return None if moment is None else moment.replace(microsecond=moment.microsecond // 1000 * 1000)


_KINDS = {
    "int": "a whole number", "str": "text", "float": "a number", "bool": "true or false", "array": "a list",
    "object": "an object", "null": "null",
}  # fmt: skip
_OTHERS = {
    "out of range": "is out of range",
    "enum value": "is not one of the known values",
    "RFC3339": 'must be a time such as "2026-01-31T12:00:00Z"',
}


def _plain(sentence: str) -> str:
    """Say what the decoder says in words that name no types of ours."""
    if not sentence.startswith("Expected "):
        return next((words for sign, words in _OTHERS.items() if sign in sentence), "is not valid")
    words = re.sub(
        r"`([a-z |]+)`", lambda kinds: " or ".join(_KINDS.get(kind, kind) for kind in kinds[1].split(" | ")), sentence
    )
    return words.replace("Expected", "must be", 1).replace(" got ", " is ", 1)


def _harmless(name: str) -> str:
    """Return the start of a name that the caller made up, to be shown to the caller."""
    return "".join(character for character in name[:SHOWN_MAX] if character.isprintable()) or "body"


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
