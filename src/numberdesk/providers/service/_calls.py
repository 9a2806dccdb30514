"""The verbs that reach a provider: each bounded, timed, counted, logged without secrets, and never raising."""

import asyncio
from collections.abc import Awaitable
from functools import cache
from typing import Final, TypeVar

import structlog
from prometheus_client import Counter, Histogram

from numberdesk.base import clock
from numberdesk.base.money import Paise
from numberdesk.providers.adapters import ADAPTERS, Adapter
from numberdesk.providers.line import Line
from numberdesk.providers.model import (
    ActiveList,
    CancelAnswer,
    CodeWon,
    Done,
    DoneAnswer,
    Ended,
    LookAnswer,
    ProviderId,
    Received,
    Refused,
    RentAnswer,
    Rented,
    TooEarly,
    Unknown,
    UpstreamOffer,
    Waiting,
    Wanted,
)
from numberdesk.providers.service._lines import Lines

log = structlog.get_logger()
A = TypeVar("A")

CALLS = Counter(
    "numberdesk_provider_calls", "Calls to providers by what came of them.", ("provider", "action", "outcome")
)
SECONDS = Histogram(
    "numberdesk_provider_call_seconds",
    "How long providers take, with the wait for a free place.",
    ("provider", "action"),
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)

NO_LINE = Unknown("this process has no line to the provider yet")


async def rent(lines: Lines, provider_id: ProviderId, wanted: Wanted) -> RentAnswer:
    """Buy one number. One request at most leaves, and an answer always comes: `Unknown` when it cannot be known.

    A provider that is switched off refuses here, and goes on answering everything else.
    """
    found = lines.by_id.get(provider_id)
    if found is None or not found.provider.is_on:
        return Refused("switched_off", "")
    return await _watched(found, "rent", _adapter(found).rent(found, wanted, until=_until(found)))


async def look(lines: Lines, provider_id: ProviderId, upstream_id: str) -> LookAnswer:
    """Read the state of one activation."""
    found = lines.by_id.get(provider_id)
    if found is None:
        return NO_LINE
    return await _watched(found, "look", _adapter(found).look(found, upstream_id, until=_until(found)))


async def active(lines: Lines, provider_id: ProviderId) -> ActiveList | Unknown:
    """Read all activations that the provider lists for us, with their messages."""
    found = lines.by_id.get(provider_id)
    if found is None:
        return NO_LINE
    return await _watched(found, "active", _adapter(found).active(found, until=_until(found)))


async def cancel(lines: Lines, provider_id: ProviderId, upstream_id: str) -> CancelAnswer:
    """Cancel an activation; `CodeWon` only when a code surely came first."""
    found = lines.by_id.get(provider_id)
    if found is None:
        return NO_LINE
    return await _watched(found, "cancel", _adapter(found).cancel(found, upstream_id, until=_until(found)))


async def finish(lines: Lines, provider_id: ProviderId, upstream_id: str) -> DoneAnswer:
    """Tell the provider that the activation is over."""
    found = lines.by_id.get(provider_id)
    if found is None:
        return NO_LINE
    return await _watched(found, "finish", _adapter(found).finish(found, upstream_id, until=_until(found)))


async def another_code(lines: Lines, provider_id: ProviderId, upstream_id: str) -> DoneAnswer:
    """Ask for one more code on the same number."""
    found = lines.by_id.get(provider_id)
    if found is None:
        return NO_LINE
    step = _adapter(found).another_code(found, upstream_id, until=_until(found))
    return await _watched(found, "another_code", step)


async def offers(lines: Lines, provider_id: ProviderId) -> tuple[UpstreamOffer, ...] | Unknown:
    """Read the provider's whole price list with its stock."""
    found = lines.by_id.get(provider_id)
    if found is None:
        return NO_LINE
    return await _watched(found, "offers", _adapter(found).offers(found, until=_until(found)))


async def balance(lines: Lines, provider_id: ProviderId) -> Paise | Unknown:
    """Read what is left of our money at the provider."""
    found = lines.by_id.get(provider_id)
    if found is None:
        return NO_LINE
    return await _watched(found, "balance", _adapter(found).balance(found, until=_until(found)))


def _adapter(line: Line) -> Adapter:
    return ADAPTERS[line.provider.kind]


def _until(line: Line) -> float:
    return asyncio.get_running_loop().time() + line.provider.deadline_ms / 1000


async def _watched(line: Line, action: str, call: Awaitable[A]) -> A | Unknown:
    """Time, count and log one call; a bug of ours becomes `Unknown`, since the request may have left."""
    began = clock.seconds()
    name, answer, outcome = line.provider.name, None, "interrupted"
    try:
        answer = await call
        outcome = _outcome(answer)
        return answer
    except Exception:
        outcome = "failed"
        log.exception("provider_call_failed", provider=name, action=action)
        return Unknown("the answer could not be read here")
    finally:
        took = clock.seconds() - began
        _counter(name, action, outcome).inc()
        _histogram(name, action).observe(took)
        log.debug(
            "provider_call",
            provider=name,
            action=action,
            outcome=outcome,
            detail=getattr(answer, "detail", ""),
            took_ms=round(took * 1000),
        )


# Looking up a metric by its labels costs more than counting; there are few of them.
@cache
def _counter(name: str, action: str, outcome: str) -> Counter:
    return CALLS.labels(name, action, outcome)


@cache
def _histogram(name: str, action: str) -> Histogram:
    return SECONDS.labels(name, action)


def _outcome(answer: object) -> str:
    match answer:
        case Refused(reason):
            return f"refused_{reason}"
        case tuple():
            return "received" if answer and isinstance(answer[0], Received) else "listed"
        case _:
            return _OUTCOMES.get(type(answer), "told")


_OUTCOMES: Final[dict[type, str]] = {
    Rented: "rented",
    Unknown: "unknown",
    Waiting: "waiting",
    Ended: "ended",
    Done: "done",
    TooEarly: "too_early",
    CodeWon: "code_won",
    ActiveList: "listed",
}
