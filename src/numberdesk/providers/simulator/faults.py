"""Send an answer over HTTP, or spoil it in the way that a profile asks for."""

import asyncio
import gzip
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Final, Literal

from aiohttp import web

from numberdesk.providers.simulator.answers import Answer, word
from numberdesk.providers.simulator.profiles import Fault, Profile
from numberdesk.providers.simulator.wire import Intent

Rubbish = Literal["html", "binary", "empty", "truncated", "cut"]

MOVED: Final = "/moved"
BIG_BODY_BYTES: Final = 10_000_000
BOMB_MEGABYTES: Final = 1024

_RUBBISH: Final[tuple[Rubbish, ...]] = ("html", "binary", "empty", "truncated", "cut")
# Rubbish made out of the true answer: the request took effect.
_SPOILED: Final = frozenset({"truncated", "cut"})
_TEXT: Final = MappingProxyType({"Content-Type": "text/plain; charset=utf-8"})
_JSON: Final = MappingProxyType({"Content-Type": "application/json"})
_HTML: Final = MappingProxyType({"Content-Type": "text/html; charset=utf-8"})
_PAGE: Final = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>Please wait</body></html>"
_FAILURE: Final = b"<html><head><title>500 Internal Server Error</title></head><body>nginx</body></html>"
_NOT_TEXT: Final = bytes(range(256)) * 2


@dataclass(frozen=True, slots=True)
class Strike:
    """Say how one request goes wrong; `reason` is what the record says when it did not take effect."""

    fault: Fault
    rubbish: Rubbish | None
    error: Answer
    acts: Literal["at-once", "late", "never"]
    delay: float
    drip_interval: float

    @property
    def reason(self) -> str:
        """Name the fault for the record."""
        match self.fault:
            case "garbage":
                return f"garbage: {self.rubbish}"
            case "error-word":
                return self.error.body.decode()
            case _:
                return self.fault


_HARMLESS: Final = Strike("none", None, word(""), "at-once", 0.0, 0.0)


def strike_of(profile: Profile, *, intent: Intent, draw: tuple[float, ...], error_words: tuple[Answer, ...]) -> Strike:
    """Choose how this request goes wrong; the eighth draw picks among the kinds of a fault."""
    if not profile.strikes(intent):
        return _HARMLESS
    rubbish = _RUBBISH[int(draw[7] * len(_RUBBISH))] if profile.fault == "garbage" else None
    acts = profile.acts
    if rubbish is not None:
        acts = "at-once" if rubbish in _SPOILED else "never"
    error = error_words[int(draw[7] * len(error_words))]
    return Strike(profile.fault, rubbish, error, acts, profile.answer_delay, profile.drip_interval)


def plain(answer: Answer) -> web.Response:
    """Send an answer as it is."""
    return web.Response(body=answer.body, status=answer.status, headers=_headers(answer))


async def spoiled(request: web.BaseRequest, strike: Strike, answer: Answer) -> web.StreamResponse:
    """Send an answer as the strike has it; an answer that the fault does not need is ignored."""
    match strike.fault:
        case "none":
            return plain(answer)
        case "drop":
            return _dropped(request)
        case "http-500":
            return web.Response(status=500, body=_FAILURE, headers=_HTML)
        case "garbage":
            return await _garbage(request, strike, answer)
        case "error-word":
            return plain(strike.error)
        case "big-body":
            return web.Response(body=_big_body(), headers=_TEXT)
        case "drip":
            return await _drip(request, answer, strike.drip_interval)
        case "gzip-bomb":
            return web.Response(body=_bomb(), headers={"Content-Encoding": "gzip"} | _TEXT)
        case "redirect":
            return web.Response(status=302, headers={"Location": MOVED + request.path_qs} | _TEXT)


def _headers(answer: Answer) -> Mapping[str, str]:
    return {"Content-Type": answer.kind} if answer.kind else _JSON if answer.is_json else _TEXT


def _dropped(request: web.BaseRequest) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _garbage(request: web.BaseRequest, strike: Strike, answer: Answer) -> web.StreamResponse:
    half = answer.body[: len(answer.body) // 2]
    headers = _headers(answer)
    match strike.rubbish:
        case "cut":
            return await _cut(request, half, promised=len(answer.body), headers=headers)
        case "truncated":
            return web.Response(body=half, headers=headers)
        case "binary":
            return web.Response(body=_NOT_TEXT, headers=_TEXT)
        case "empty":
            return web.Response(body=b"", headers=_TEXT)
        case _:
            return web.Response(body=_PAGE, headers=_HTML)


async def _cut(
    request: web.BaseRequest, half: bytes, *, promised: int, headers: Mapping[str, str]
) -> web.StreamResponse:
    """Promise the whole length, send half, and hang up."""
    response = web.StreamResponse(headers=headers)
    response.content_length = promised
    await response.prepare(request)
    await response.write(half)
    if request.transport is not None:
        request.transport.close()
    return response


async def _drip(request: web.BaseRequest, answer: Answer, interval: float) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=_headers(answer))
    response.content_length = len(answer.body)
    await response.prepare(request)
    for place in range(len(answer.body)):
        await asyncio.sleep(interval)
        await response.write(answer.body[place : place + 1])
    return response


@cache
def _big_body() -> bytes:
    """Begin like a sale, so that a client which reads a part and is content takes a wrong number."""
    return b"ACCESS_NUMBER:999999999:91".ljust(BIG_BODY_BYTES, b"9")


@cache
def _bomb() -> bytes:
    """Build one gzip member that unpacks to a gigabyte; its check sum is wrong, but nobody should get that far.

    A full flush makes each block independent of those before it, so one block can be repeated.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = packer.compress(bytes(1_000_000)) + packer.flush(zlib.Z_FULL_FLUSH)
    header = gzip.compress(b"")[:10]
    return header + block * BOMB_MEGABYTES + packer.flush(zlib.Z_FINISH) + bytes(8)
