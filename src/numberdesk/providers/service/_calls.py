"""The verbs that reach a provider: each bounded, timed, counted, logged without secrets, and never raising."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from functools import cache
from typing import Final, TypeVar

import structlog
from prometheus_client import Counter, Histogram

from numberdesk.base import clock
from numberdesk.base.log import about
from numberdesk.base.money import Paise
from numberdesk.providers.adapters import ADAPTERS, Adapter, capabilities, rentals_of
from numberdesk.providers.line import HEARD, Heard, Line
from numberdesk.providers.model import (
    ActiveList,
    CancelAnswer,
    CodeWon,
    Done,
    DoneAnswer,
    Ended,
    Listing,
    LookAnswer,
    ProlongAnswer,
    Prolonged,
    ProviderId,
    Refused,
    RentalListing,
    RentAnswer,
    Rented,
    TooEarly,
    TooLate,
    Unknown,
    Waiting,
    Wanted,
)
from numberdesk.providers.service._lines import Lines
from numberdesk.providers.service._rows import refuse_key
from numberdesk.providers.service._spending import begin_purchase, end_purchase, take_back
from numberdesk.providers.service._verdicts import NOTHING, Finding, judge

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

LISTING_SECONDS: Final = 60.0
"""A catalogue may be megabytes, or a hundred calls."""
NO_LINE = Unknown("this process has no line to the provider yet")


async def rent(lines: Lines, provider_id: ProviderId, wanted: Wanted) -> RentAnswer:
    """Buy one number. One request at most leaves, and an answer always comes: `Unknown` when it cannot be known.

    A provider that is switched off, fails, or has had its day's money refuses here, and goes on answering everything
    else.
    """
    found = lines.by_id.get(provider_id)
    if found is None or not found.provider.is_on:
        return Refused("switched_off", "")
    if wanted.hours is not None and not capabilities(found.provider).has_rentals:
        return Refused("not_allowed", "this provider has no rentals")
    if found.provider.kind == "sandbox":
        return await _adapter(found).rent(found, wanted, until=_until(found))
    if lines.gate.breaker(provider_id).is_shut():
        return _refused_here(lines, found, Refused("breaker_open", ""))
    refusal = begin_purchase(lines.spending, found.provider, wanted.reference, wanted.ceiling_paise)
    if refusal is not None:
        return _refused_here(lines, found, refusal)
    ticket, answer = lines.stalls.begin(provider_id), None
    try:
        # Nothing waits between this look at the breaker and the call that counts on it.
        answer = await _watched(lines, found, "rent", _adapter(found).rent(found, wanted, until=_until(found)))
    finally:
        lines.stalls.end(provider_id, ticket, answer)
    end_purchase(lines.spending, found.provider, wanted, answer)
    return answer


async def look(lines: Lines, provider_id: ProviderId, upstream_id: str) -> LookAnswer:
    """Read the state of one activation."""
    found = lines.by_id.get(provider_id)
    if found is None:
        return NO_LINE
    return await _watched(lines, found, "look", _adapter(found).look(found, upstream_id, until=_until(found)))


async def active(lines: Lines, provider_id: ProviderId, *, with_rentals: bool = False) -> ActiveList | Unknown:
    """Read all activations that the provider lists for us, with their messages.

    Args:
        with_rentals: also ask for the list of rentals, which costs a call more. If only that list cannot be read, the
            answer is as good as without it.
    """
    found = lines.by_id.get(provider_id)
    if found is None:
        return NO_LINE
    listed = await _watched(lines, found, "active", _adapter(found).active(found, until=_until(found)))
    if not with_rentals or isinstance(listed, Unknown) or not capabilities(found.provider).has_rentals:
        return listed
    rentals = await _watched(lines, found, "rentals", rentals_of(found).active_rentals(found, until=_until(found)))
    if isinstance(rentals, Unknown):
        return listed
    return ActiveList(listed.activations + rentals.activations, listed.is_whole, has_rentals=rentals.is_whole)


async def prolong(
    lines: Lines, provider_id: ProviderId, upstream_id: str, hours: int, *, cost_paise: Paise, reference: str
) -> ProlongAnswer:
    """Pay for so many hours more of a rental. One request at most leaves; it is refused here as in `rent`.

    The id may be another one afterwards: see `Prolonged`.

    Args:
        cost_paise: as `prolong_cost` told it; no protocol lets it be bounded.
        reference: our own name of it, by which it counts once towards the day's cap.
    """
    found = lines.by_id.get(provider_id)
    if found is None or not found.provider.is_on:
        return Refused("switched_off", "")
    if not capabilities(found.provider).has_rentals:
        return Refused("not_allowed", "this provider has no rentals")
    if found.provider.kind != "sandbox" and lines.gate.breaker(provider_id).is_shut():
        return Refused("breaker_open", "")
    refusal = begin_purchase(lines.spending, found.provider, reference, cost_paise)
    if refusal is not None:
        return refusal
    step = rentals_of(found).prolong(found, upstream_id, hours, until=_until(found))
    answer = await _watched(lines, found, "prolong", step)
    if isinstance(answer, Refused | Ended):
        take_back(lines.spending, found.provider, reference)
    return answer


async def prolong_cost(
    lines: Lines, provider_id: ProviderId, upstream_id: str, hours: int
) -> Paise | Refused | Ended | Unknown:
    """Ask what so many hours more of a rental cost now; nothing is bought."""
    found = lines.by_id.get(provider_id)
    if found is None:
        return NO_LINE
    if not capabilities(found.provider).has_rentals:
        return Refused("not_allowed", "this provider has no rentals")
    step = rentals_of(found).prolong_cost(found, upstream_id, hours, until=_until(found))
    return await _watched(lines, found, "prolong_cost", step)


async def rental_listing(
    lines: Lines, provider_id: ProviderId, *, country: str | None, hours: int
) -> RentalListing | Unknown:
    """Read what the provider rents for so many hours in a country, by its own word; None leaves the country to it."""
    found = lines.by_id.get(provider_id)
    if found is None:
        return NO_LINE
    step = rentals_of(found).rental_listing(found, country=country, hours=hours, until=_until(found))
    return await _watched(lines, found, "rental_listing", step)


async def cancel(lines: Lines, provider_id: ProviderId, upstream_id: str) -> CancelAnswer:
    """Cancel an activation; `CodeWon` only when a code surely came first."""
    found = lines.by_id.get(provider_id)
    if found is None:
        return NO_LINE
    return await _watched(lines, found, "cancel", _adapter(found).cancel(found, upstream_id, until=_until(found)))


async def finish(lines: Lines, provider_id: ProviderId, upstream_id: str) -> DoneAnswer:
    """Tell the provider that the activation is over."""
    found = lines.by_id.get(provider_id)
    if found is None:
        return NO_LINE
    return await _watched(lines, found, "finish", _adapter(found).finish(found, upstream_id, until=_until(found)))


async def another_code(lines: Lines, provider_id: ProviderId, upstream_id: str) -> DoneAnswer:
    """Ask for one more code on the same number."""
    found = lines.by_id.get(provider_id)
    if found is None:
        return NO_LINE
    step = _adapter(found).another_code(found, upstream_id, until=_until(found))
    return await _watched(lines, found, "another_code", step)


async def listing(lines: Lines, provider_id: ProviderId) -> Listing | Unknown:
    """Read the provider's whole catalogue, in its own words. It may take longer than an order: nobody waits for it."""
    found = lines.by_id.get(provider_id)
    if found is None:
        return NO_LINE
    until = max(_until(found), asyncio.get_running_loop().time() + LISTING_SECONDS)
    return await _watched(lines, found, "listing", _adapter(found).listing(found, until=until))


async def balance(lines: Lines, provider_id: ProviderId) -> Paise | Unknown:
    """Read what is left of our money at the provider."""
    found = lines.by_id.get(provider_id)
    if found is None:
        return NO_LINE
    return await _watched(lines, found, "balance", _adapter(found).balance(found, until=_until(found)))


async def try_key(lines: Lines, provider_id: ProviderId, *, api_key: str) -> Unknown | None:
    """Ask a provider with another key than the stored one, as a probe does; None if it answers.

    Raises:
        InvalidFields: this cannot be a key.
    """
    refuse_key(api_key)
    found = lines.by_id.get(provider_id)
    if found is None:
        return NO_LINE
    answer, _ = await _asked(lines, replace(found, api_key=api_key))
    return answer if isinstance(answer, Unknown) else None


def _adapter(line: Line) -> Adapter:
    return ADAPTERS[line.provider.kind]


def _until(line: Line) -> float:
    return asyncio.get_running_loop().time() + line.provider.deadline_ms / 1000


async def probe(lines: Lines, provider_id: ProviderId) -> Finding:
    """Ask a provider something that changes nothing, and return what the answer says of its health."""
    found = lines.by_id.get(provider_id)
    if found is None:
        return NOTHING
    return (await _asked(lines, found))[1]


async def _asked(lines: Lines, line: Line) -> tuple[Paise | Listing | Unknown, Finding]:
    """Ask what changes nothing: the balance, or the offers of who holds no money of ours."""
    if capabilities(line.provider).has_balance:
        return await _listened(lines, line, "balance", _adapter(line).balance(line, until=_until(line)))
    return await _listened(lines, line, "listing", _adapter(line).listing(line, until=_until(line)))


def _refused_here(lines: Lines, line: Line, refusal: Refused) -> Refused:
    outcome = f"refused_{refusal.reason}"
    _counter(line.provider.name, "rent", outcome).inc()
    lines.gate.count(line.provider.id, "rent", outcome, 0)
    return refusal


async def _watched(lines: Lines, line: Line, action: str, call: Awaitable[A]) -> A | Unknown:
    return (await _listened(lines, line, action, call))[0]


async def _listened(lines: Lines, line: Line, action: str, call: Awaitable[A]) -> tuple[A | Unknown, Finding]:
    """Time, count, judge and log one call; a bug of ours becomes `Unknown`, since the request may have left.

    What a sandbox answers says nothing of anybody, and is not counted.
    """
    if line.provider.kind == "sandbox":
        return await call, NOTHING
    began = clock.seconds()
    gate, provider_id, name = lines.gate, line.provider.id, line.provider.name
    breaker = gate.breaker(provider_id)
    begun = breaker.begin(is_purchase=action == "rent")
    heard: list[Heard] = []
    listening = HEARD.set(heard)
    answer: A | Unknown | None = None
    outcome, finding = "interrupted", NOTHING
    try:
        with about(provider=name, action=action):
            answer = await call
        outcome = _outcome(answer)
    except Exception:
        outcome = "failed"
        log.exception("provider_call_failed", provider=name, action=action)
        answer = Unknown("the answer could not be read here")
    finally:
        HEARD.reset(listening)
        ended = clock.seconds()
        took_ms = round((ended - began) * 1000)
        finding = judge(answer, heard)
        breaker.end(begun, finding.verdict, at=ended, what=finding.what)
        _counter(name, action, outcome).inc()
        _histogram(name, action).observe(ended - began)
        is_known = outcome != "unknown" or not finding.kind
        gate.count(provider_id, action, outcome if is_known else f"unknown_{finding.kind}", took_ms)
        gate.keep(line, action, answer, heard, finding)
        log.debug(
            "provider_call",
            provider=name,
            action=action,
            outcome=outcome,
            detail=getattr(answer, "detail", ""),
            took_ms=took_ms,
        )
    return answer, finding


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
            return "received"
        case _:
            return _OUTCOMES.get(type(answer), "told")


_OUTCOMES: Final[dict[type, str]] = {
    Rented: "rented",
    Prolonged: "prolonged",
    Unknown: "unknown",
    Waiting: "waiting",
    Ended: "ended",
    Done: "done",
    TooEarly: "too_early",
    TooLate: "too_late",
    CodeWon: "code_won",
    ActiveList: "listed",
    Listing: "listed",
    RentalListing: "listed",
}
