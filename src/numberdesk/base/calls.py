"""POST calls with a JSON body, answered without the framework: one table, one way to read, check, repeat and refuse.

Measured, a bare handler takes a third to a half of the time of one behind the framework's stack. The framework
documents these calls; what answers them is here, so that hot and cold ones behave alike.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import unquote

import msgspec

from numberdesk.base import ids, web
from numberdesk.base.errors import AppError, InvalidFields

Body = TypeVar("Body", bound=msgspec.Struct)
IDEMPOTENCY_KEY_MAX = 255
PREFIX = "/api/v1"
NO_CONTENT = 204
"""The framework's answer to OPTIONS; the contract's is 200."""


@dataclass(eq=False)
class InvalidJson(AppError):
    """The body is not JSON."""

    code = "invalid_json"
    message = "The body is not valid JSON."


@dataclass(eq=False)
class BodyCut(AppError):
    """The connection ended before the body did: a part of a request is no request."""

    code = "body_cut"
    message = "The body ended before it was complete. Nothing was done."


@dataclass(frozen=True)
class Call(Generic[Body]):
    """One POST call. `run` takes the caller, the body and the Idempotency-Key, and returns the encoded answer."""

    path: str
    body: type[Body]
    scope: str
    run: Callable[[Any, Body, str | None], Awaitable[bytes]]
    is_repeatable: bool = True
    """Whether an Idempotency-Key is kept for it."""
    decoder: msgspec.json.Decoder[Body] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "decoder", msgspec.json.Decoder(self.body))


class Gate(Protocol):
    """Who may call, and which answers are given again; made by the program's top from the slices below."""

    def known(self, secret: str) -> Any | None:
        """Return a caller met before, without waiting."""

    async def authenticate(self, secret: str | None) -> Any:
        """Return the caller, or raise."""

    def require(self, caller: Any, scope: str) -> None:
        """Raise when the caller lacks a scope."""

    async def claim(self, caller: Any, key: str, operation: str, body: bytes) -> tuple[int, bytes] | None:
        """Return the first answer to a key, or None when this request has to make it."""

    async def keep(self, caller: Any, key: str, status: int, body: bytes) -> None:
        """Store the first answer."""

    async def release(self, caller: Any, key: str) -> None:
        """Forget a claim that changed nothing."""


@dataclass(frozen=True, slots=True)
class _Request:
    id: str
    secret: str | None
    is_json: bool
    length: int
    key: str | None


class Edge:
    """The outermost application: request ids, headers, size limit and the calls; the rest goes to the framework.

    Every path is served twice, as written and under `/api/v1`.
    """

    def __init__(self, app: Any, *, calls: Sequence[Call[Any]], gate: Gate) -> None:
        self._app = app
        self._calls = {call.path: call for call in calls}
        self._gate = gate

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if path.startswith(PREFIX + "/"):
            scope["path"] = path = path[len(PREFIX) :]
            scope["raw_path"] = path.encode()
        request = _read_headers(scope["headers"])
        call = self._calls.get(path.rstrip("/")) if scope["method"] == "POST" else None
        if call is None:
            await self._framework(request, scope, receive, send)
            return
        status, body, extra = await self._answer(call, request, receive)
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [
                    web.JSON_TYPE, (b"content-length", str(len(body)).encode()),
                    (b"x-request-id", request.id.encode()), *web.HEADERS, *extra,
                ],
            }
        )  # fmt: skip
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _answer(
        self, call: Call[Any], request: _Request, receive: Any
    ) -> tuple[int, bytes, Sequence[tuple[bytes, bytes]]]:
        try:
            caller = None if request.secret is None else self._gate.known(request.secret)
            if caller is None:
                caller = await self._gate.authenticate(request.secret)
            self._gate.require(caller, call.scope)
            if not request.is_json:
                return 415, web.refusal(415, request.id), ()
            raw = await _read_body(request.length, receive)
            if raw is None:
                return 413, web.refusal(413, request.id), ()
            data = _decode(call, raw)
            if request.key is None or not call.is_repeatable:
                return 200, await call.run(caller, data, None), ()
            return await self._answer_once(call, request, caller, data, raw)
        except AppError as problem:
            return problem.status, web.render(problem, request.id), _retry_after(problem)
        except Exception as problem:
            return 500, web.crash(problem, request.id), ()

    async def _answer_once(
        self, call: Call[Any], request: _Request, caller: Any, data: Any, raw: bytes
    ) -> tuple[int, bytes, Sequence[tuple[bytes, bytes]]]:
        """Answer under an Idempotency-Key: the first answer is stored and given again.

        A refusal that changed nothing is not stored, so the key can be used again when its reason is gone.
        """
        key = _checked_key(request.key)
        first = await self._gate.claim(caller, key, call.path, raw)
        if first is not None:
            return first[0], first[1], ((b"idempotent-replayed", b"true"),)
        try:
            body = await call.run(caller, data, key)
        except AppError as problem:
            body = web.render(problem, request.id)
            if problem.category == "provider" and problem.status < 500:
                await self._gate.keep(caller, key, problem.status, body)
            else:
                await self._gate.release(caller, key)
            return problem.status, body, _retry_after(problem)
        try:
            await self._gate.keep(caller, key, 200, body)
        except AppError as problem:
            # It was done, so it is answered as done; a repeat finds what was done by the key itself.
            web.log.warning("answer_not_kept", request_id=request.id, problem=problem.code)
        return 200, body, ()

    async def _framework(self, request: _Request, scope: Any, receive: Any, send: Any) -> None:
        scope.setdefault("state", {})["request_id"] = request.id

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = list(message["headers"])
                present = {name.lower() for name, _ in headers}
                headers.append((b"x-request-id", request.id.encode()))
                headers.extend(header for header in web.HEADERS if header[0] not in present)
                message["headers"] = headers
                if message["status"] == NO_CONTENT:
                    message["status"] = 200
            await send(message)

        if web.has_control_characters(_unquoted(scope["query_string"])):
            problem = InvalidFields({"query": "contains characters that are not text"})
            body = web.render(problem, request.id)
            await send_with_headers({"type": "http.response.start", "status": 400, "headers": [web.JSON_TYPE]})
            await send({"type": "http.response.body", "body": body, "more_body": False})
            return
        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as problem:
            # The answer had begun, so it can only be cut short; the server would drop the reason.
            web.crash(problem, request.id)
            raise


def _read_headers(headers: Any) -> _Request:
    request_id = secret = key = None
    is_json, length = False, -1
    for raw_name, value in headers:
        name = raw_name.lower()
        if name == b"x-api-key":
            secret = value.decode("latin-1")
        elif name == b"content-type":
            is_json = value.partition(b";")[0].strip().lower() == b"application/json"
        elif name == b"content-length":
            length = int(value) if value.isdigit() else -1
        elif name == b"idempotency-key":
            key = value.decode("latin-1")
        elif name == b"x-request-id":
            text = value.decode("latin-1")
            request_id = text if web.REQUEST_ID.fullmatch(text) else None
    return _Request(request_id or ids.request_id(), secret, is_json, length, key)


async def _read_body(length: int, receive: Any) -> bytes | None:
    """Read a body of at most `web.BODY_MAX` bytes; None when it is larger, however it is sent.

    Raises:
        BodyCut: the caller went away before the end.
    """
    if length > web.BODY_MAX:
        return None
    parts: list[bytes] = []
    size, is_more = 0, True
    while is_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BodyCut
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > web.BODY_MAX:
            return None
        is_more = message.get("more_body", False)
    return b"".join(parts) if len(parts) > 1 else parts[0]


def _decode(call: Call[Any], raw: bytes) -> Any:
    try:
        data = call.decoder.decode(raw or b"{}")
    except msgspec.ValidationError as problem:
        raise web.invalid_fields(problem) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise InvalidJson from None
    web.refuse_control_characters(data)
    return data


def _checked_key(key: str | None) -> str:
    if not key or len(key) > IDEMPOTENCY_KEY_MAX or not key.isascii() or not key.isprintable():
        raise InvalidFields({"Idempotency-Key": "must be 1 to 255 visible ASCII characters"})
    return key


def _retry_after(problem: AppError) -> Sequence[tuple[bytes, bytes]]:
    return () if problem.retry_after is None else ((b"retry-after", str(problem.retry_after).encode()),)


def _unquoted(query: bytes) -> str:
    return unquote(query.decode("latin-1")) if b"%" in query else query.decode("latin-1")
