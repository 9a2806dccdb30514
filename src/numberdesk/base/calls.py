"""Calls with a JSON body, answered without the framework: one table, one way to read, check, repeat and refuse.

Measured, a bare handler takes a third to a half of the time of one behind the framework's stack. The framework
documents these calls; what answers them is here, so that hot and cold ones behave alike.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, TypeVar
from urllib.parse import unquote

import msgspec

from numberdesk.base import clock, ids, log, web
from numberdesk.base.client_ip import TrustedProxies, client_ip
from numberdesk.base.errors import AppError, InvalidFields, NotFound
from numberdesk.base.metrics import GONE
from numberdesk.base.observed import ROUTE, Observed, answered, note_caller
from numberdesk.base.visit import Visit
from numberdesk.base.web import Access, BodyCut

Body = TypeVar("Body", bound=msgspec.Struct)
IDEMPOTENCY_KEY_MAX = 255
ID_MAX = 2**63 - 1
PREFIX = "/api/v1"
UNAUTHORIZED = 401
NO_CONTENT = 204
"""The framework's answer to OPTIONS; the contract's is 200."""
WORD = "/{word}"
_NUMBER = re.compile(r"/([1-9]\d{0,18})(?=/|$)", re.ASCII)


@dataclass(eq=False)
class InvalidJson(AppError):
    """The body is not JSON."""

    code = "invalid_json"
    message = "The body is not valid JSON."


@dataclass(frozen=True, slots=True)
class Asked:
    """Who sends a call, and what its address and headers say besides the body."""

    visit: Visit
    caller: Any = None
    """What the gate returned; None for public calls."""
    id: int = 0
    """The number in the address, where the call's path has `{id}`."""
    word: str = ""
    """The last part of the address, where the call's path ends with `{word}`."""

    @property
    def once(self) -> str | None:
        """The Idempotency-Key, once it is known to be well formed."""
        return self.visit.once


@dataclass(frozen=True, kw_only=True)
class Call(Generic[Body]):
    """One call with a JSON body. `run` takes what was asked and the body, and returns the encoded answer."""

    path: str
    """May hold `{id}` once, a positive number, or end with `{word}`; not if it is repeatable."""
    body: type[Body]
    access: Access
    run: Callable[[Asked, Body], Awaitable[bytes]]
    answer: Any
    """The type of `data` in the answer, for the description."""
    summary: str
    description: str
    method: Literal["POST", "PUT"] = "POST"
    is_repeatable: bool = False
    """Whether an Idempotency-Key is kept for it."""
    body_max: int = web.BODY_MAX
    """The largest body in bytes; more than usual is for those who showed who they are."""
    decoder: msgspec.json.Decoder[Body] = field(init=False)
    is_about_order: bool = field(init=False)

    def __post_init__(self) -> None:
        assert not (self.is_repeatable and self.path.endswith(WORD)), self.path
        assert self.body_max <= web.BODY_MAX or self.access not in (web.PUBLIC, web.UNCOUNTED), self.path
        object.__setattr__(self, "is_about_order", "order_id" in self.body.__struct_fields__)
        object.__setattr__(self, "decoder", msgspec.json.Decoder(self.body))


class Door(Protocol):
    """A protocol of somebody else's, answered without the framework and outside of our envelope."""

    @property
    def starts(self) -> tuple[str, ...]:
        """How the paths begin that it answers."""

    async def answer(self, visit: Visit, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request, whatever comes."""


class Gate(Protocol):
    """Who may call, how often, and which answers are given again; made by the program's top from the slices below."""

    def known(self, visit: Visit) -> Any | None:
        """Return a caller met before, without waiting."""

    async def authenticate(self, visit: Visit) -> Any:
        """Return the caller, or raise."""

    def require(self, caller: Any, access: Access) -> None:
        """Raise when the caller lacks a scope."""

    async def admit(self, visit: Visit, caller: Any | None) -> web.Headers:
        """Count a request and return what to tell of the limit, or raise; without a caller the network counts."""

    async def claim(self, caller: Any, key: str, operation: str, body: bytes) -> tuple[int, bytes] | None:
        """Return the first answer to a key, or None when this request has to make it."""

    async def keep(self, caller: Any, key: str, status: int, body: bytes) -> None:
        """Store the first answer."""

    async def release(self, caller: Any, key: str) -> None:
        """Forget a claim that changed nothing."""


def number_in_path(text: str, *, what: str) -> int:
    """Return the id that stands in a path.

    Raises:
        NotFound: it is none that anything could have.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 20 and 0 < int(text) <= ID_MAX):
        raise NotFound(what=what)
    return int(text)


async def pass_gate(gate: Gate, visit: Visit, access: Access, told: list[tuple[bytes, bytes]]) -> Any:
    """Find out who calls, count the request and refuse what the caller may not do; returns the caller, if any.

    Args:
        told: gets the headers about the limit, also when the request is refused.
    """
    if access == web.UNCOUNTED:
        return None
    if access == web.PUBLIC:
        told.extend(await gate.admit(visit, None))
        return None
    caller = gate.known(visit)
    if caller is None:
        try:
            caller = await gate.authenticate(visit)
        except AppError as problem:
            if problem.status == UNAUTHORIZED:  # guesses are counted by where they come from
                await gate.admit(visit, None)
            raise
    note_caller(caller)
    told.extend(await gate.admit(visit, caller))
    gate.require(caller, access)
    return caller


class Edge:
    """The outermost application: request ids, headers, size limit and the calls; the rest goes to the framework.

    Every path is served twice, as written and under `/api/v1`.
    """

    def __init__(
        self,
        app: Any,
        *,
        calls: Sequence[Call[Any]],
        gate: Gate,
        proxies: TrustedProxies,
        doors: Sequence[Door] = (),
    ) -> None:
        self._app = app
        self._doors = [(door.starts, door) for door in doors]
        self._calls: dict[tuple[str, str], Call[Any]] = {(call.method, call.path): call for call in calls}
        self._gate = gate
        self._proxies = proxies

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = clock.seconds()
        visit = self._read_headers(scope)
        about: log.About = {"request_id": visit.id}
        token = log.begin(about)
        try:
            await self._serve(began, about, visit, scope, receive, send)
        finally:
            log.end(token)

    async def _serve(self, began: float, about: log.About, visit: Visit, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        for starts, door in self._doors:
            if path.startswith(starts):
                seen = Observed(about, scope, send, began)
                try:
                    await door.answer(visit, scope, receive, seen.send)
                finally:
                    seen.ends()
                return
        if path.startswith(PREFIX + "/"):
            scope["path"] = path = path[len(PREFIX) :]
            scope["raw_path"] = path.encode()
        call, named = self._find(scope["method"], path.rstrip("/"))
        if call is None:
            seen = Observed(about, scope, send, began)
            try:
                await self._framework(visit, scope, receive, seen.send)
            finally:
                seen.ends()
            return
        scope[ROUTE] = call.path
        told: list[tuple[bytes, bytes]] = []
        status = GONE
        try:
            status, body = await self._answer(call, named, visit, receive, told)
        finally:
            answered(about, call.method, call.path, status, began)
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [
                    web.JSON_TYPE, (b"content-length", str(len(body)).encode()),
                    (b"x-request-id", visit.id.encode()), *web.HEADERS, *told,
                ],
            }
        )  # fmt: skip
        await send({"type": "http.response.body", "body": body, "more_body": False})

    def _find(self, method: str, path: str) -> tuple[Call[Any] | None, tuple[int, str]]:
        """Return the call of a path, and the number and the word that the path names."""
        call = self._calls.get((method, path))
        if call is not None or method not in ("POST", "PUT"):
            return call, (0, "")
        if (found := _NUMBER.search(path)) is not None and int(found[1]) <= ID_MAX:
            call = self._calls.get((method, f"{path[: found.start(1)]}{{id}}{path[found.end(1) :]}"))
        if call is not None and found is not None:
            return call, (int(found[1]), "")
        before, _, word = path.rpartition("/")
        return (self._calls.get((method, before + WORD)) if word.isprintable() else None), (0, word)

    async def _answer(
        self, call: Call[Any], named: tuple[int, str], visit: Visit, receive: Any, told: list[tuple[bytes, bytes]]
    ) -> tuple[int, bytes]:
        try:
            caller = await pass_gate(self._gate, visit, call.access, told)
            if not visit.is_json:
                return 415, web.refusal(415, visit.id)
            raw = await read_body(visit.length, receive, most=call.body_max)
            if raw is None:
                return 413, web.refusal(413, visit.id)
            data = _decode(call, raw)
            if call.is_about_order:
                log.note_one("order_id", data.order_id)
            asked = Asked(visit, caller, *named)
            if visit.once is None or not call.is_repeatable:
                return 200, await call.run(asked, data)
            return await self._answer_once(call, asked, data, raw, told)
        except AppError as problem:
            told.extend(_headers(problem))
            return problem.status, web.render(problem, visit.id)
        except Exception as problem:
            return 500, web.crash(problem, visit.id)

    async def _answer_once(
        self, call: Call[Any], asked: Asked, data: Any, raw: bytes, told: list[tuple[bytes, bytes]]
    ) -> tuple[int, bytes]:
        """Answer under an Idempotency-Key: the first answer is stored and given again.

        A refusal that changed nothing is not stored, so the key can be used again when its reason is gone.
        """
        key, caller, request_id = _checked_key(asked.once), asked.caller, asked.visit.id
        operation = call.path if asked.id == 0 else f"{call.path}:{asked.id}"
        first = await self._gate.claim(caller, key, operation, raw)
        if first is not None:
            told.append((b"idempotent-replayed", b"true"))
            return first
        try:
            body = await call.run(asked, data)
        except AppError as problem:
            body = web.render(problem, request_id)
            if problem.category == "provider" and problem.status < 500:
                await self._gate.keep(caller, key, problem.status, body)
            else:
                await self._gate.release(caller, key)
            told.extend(_headers(problem))
            return problem.status, body
        try:
            await self._gate.keep(caller, key, 200, body)
        except AppError as problem:
            # It was done, so it is answered as done; a repeat finds what was done by the key itself.
            web.log.warning("answer_not_kept", request_id=request_id, problem=problem.code)
        return 200, body

    async def _framework(self, visit: Visit, scope: Any, receive: Any, send: Any) -> None:
        told: list[tuple[bytes, bytes]] = []
        scope.setdefault("state", {}).update(request_id=visit.id, visit=visit, told=told)

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = list(message["headers"])
                present = {name.lower() for name, _ in headers}
                headers.append((b"x-request-id", visit.id.encode()))
                headers.extend(header for header in (*web.HEADERS, *told) if header[0] not in present)
                message["headers"] = headers
                if message["status"] == NO_CONTENT:
                    message["status"] = 200
            await send(message)

        if web.has_control_characters(_unquoted(scope["query_string"])):
            problem = InvalidFields({"query": "contains characters that are not text"})
            body = web.render(problem, visit.id)
            await send_with_headers({"type": "http.response.start", "status": 400, "headers": [web.JSON_TYPE]})
            await send({"type": "http.response.body", "body": body, "more_body": False})
            return
        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as problem:
            # The answer had begun, so it can only be cut short; the server would drop the reason.
            web.crash(problem, visit.id)
            raise

    def _read_headers(self, scope: Any) -> Visit:
        request_id = key = token = once = None
        agent, is_json, length, forwarded = "", False, -1, []
        for raw_name, value in scope["headers"]:
            name = raw_name.lower()
            if name == b"x-api-key":
                key = value.decode("latin-1")
            elif name == b"authorization":
                kind, _, rest = value.decode("latin-1").partition(" ")
                if kind.lower() == "bearer":  # others are for proxies in front of us
                    token = rest.strip()
            elif name == b"content-type":
                is_json = value.partition(b";")[0].strip().lower() == b"application/json"
            elif name == b"content-length":
                length = int(value) if value.isdigit() else -1
            elif name == b"idempotency-key":
                once = value.decode("latin-1")
            elif name == b"user-agent":
                agent = value.decode("latin-1")
            elif name == b"x-forwarded-for":
                forwarded.append(value)
            elif name == b"x-request-id":
                text = value.decode("latin-1")
                request_id = text if web.REQUEST_ID.fullmatch(text) else None
        ip = client_ip((scope.get("client") or ("",))[0], forwarded, self._proxies)
        return Visit(request_id or ids.request_id(), ip, agent, key, token, is_json, length, once)


async def read_body(length: int, receive: Any, *, most: int) -> bytes | None:
    """Read a body of at most so many bytes; None when it is larger, however it is sent.

    Raises:
        BodyCut: the caller went away before the end.
    """
    if length > most:
        return None
    parts: list[bytes] = []
    size, is_more = 0, True
    while is_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BodyCut
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
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
    web.refuse_unusable(data)
    return data


def _checked_key(key: str | None) -> str:
    if not key or len(key) > IDEMPOTENCY_KEY_MAX or not key.isascii() or not key.isprintable():
        raise InvalidFields({"Idempotency-Key": "must be 1 to 255 visible ASCII characters"})
    return key


def _headers(problem: AppError) -> Iterable[tuple[bytes, bytes]]:
    return [(name.encode(), text.encode()) for name, text in web.headers_of(problem).items()]


def _unquoted(query: bytes) -> str:
    return unquote(query.decode("latin-1")) if b"%" in query else query.decode("latin-1")
