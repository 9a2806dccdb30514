"""The line to one provider: what an adapter asks through, within the provider's places, pace and deadline."""

import asyncio
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final, Literal, NamedTuple, TypeVar

from aiohttp import ClientSession
from aiolimiter import AsyncLimiter
from yarl import URL

from numberdesk.base import http_client
from numberdesk.base.http_client import Answer, NoAnswer
from numberdesk.base.money import Paise
from numberdesk.providers.model import Provider, Refused, Unknown, Words

T = TypeVar("T")

BUSY = NoAnswer("no free place before the deadline", sent=False)
ORDER_BODY_MAX: Final = 64 * 1024
LIST_BODY_MAX: Final = 16 * 1024 * 1024
IN_THREAD_ABOVE: Final = 256 * 1024
"""Bytes of a body above which it is read in a thread, so that the other work of the process goes on meanwhile."""
PAUSE: Final = 0.1

_CENT: Final = Decimal("0.01")
_HUNDREDTH_OF_A_CENT: Final = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Line:
    """A provider as this process reaches it.

    `places` bounds the calls in flight, so that a slow provider holds up nobody but itself. `pace` is None for a
    provider that takes any number of calls a second.
    """

    provider: Provider
    api_key: str = field(repr=False)
    endpoint: URL
    session: ClientSession = field(repr=False)
    places: asyncio.Semaphore = field(repr=False)
    pace: AsyncLimiter | None = field(repr=False)
    words: Words = field(default_factory=Words, repr=False)


@dataclass(frozen=True, slots=True)
class Question:
    """One request to a provider. `subject` is what it is about: our reference of a purchase, or an activation's id."""

    action: str
    url: URL = field(repr=False)
    subject: str = ""
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    method: Literal["GET", "POST"] = "GET"
    body: bytes | None = field(default=None, repr=False)


class Heard(NamedTuple):
    """A question and what came of it, after so many seconds on the wire."""

    question: Question
    answer: Answer | NoAnswer
    seconds: float


HEARD: ContextVar[list[Heard] | None] = ContextVar("heard", default=None)
"""Everything that is asked within one call to a provider, where somebody listens.

A call has more than one question at times, and what it answers no longer shows what was on the wire. Of lists, which
are long and may have hundreds of pages, only the last answer stays.
"""


async def ask(line: Line, question: Question, *, until: float, body_max: int = ORDER_BODY_MAX) -> Answer | NoAnswer:
    """Send one request when there is a place for it; the wait counts against the deadline.

    Args:
        until: the deadline on the event loop's clock.
        body_max: bytes of the body after decompression.

    Returns:
        `BUSY` when no place or turn came in time; nothing was sent then.
    """
    answer, seconds = await _ask(line, question, until, body_max)
    heard = HEARD.get()
    if heard is not None:
        if heard and _is_long(heard[-1]):
            heard.pop()
        heard.append(Heard(question, answer, seconds))
    return answer


async def _ask(line: Line, question: Question, until: float, body_max: int) -> tuple[Answer | NoAnswer, float]:
    loop = asyncio.get_running_loop()
    if not await _in_time(line.places, until):
        return BUSY, 0.0
    try:
        if line.pace is not None and not await _in_time(line.pace, until):
            return BUSY, 0.0
        began = loop.time()
        answer = await http_client.send(
            line.session,
            question.method,
            question.url,
            params=question.params,
            headers=question.headers,
            body=question.body,
            deadline=until - began,
            body_max=body_max,
        )
        return answer, loop.time() - began
    finally:
        line.places.release()


async def ask_twice(
    line: Line, question: Question, *, until: float, body_max: int = ORDER_BODY_MAX
) -> Answer | NoAnswer:
    """Ask, and once more after a lost answer or a 5xx: for reads only."""
    answer = await ask(line, question, until=until, body_max=body_max)
    if isinstance(answer, NoAnswer):
        is_worth_it = answer not in (BUSY, http_client.TOO_LATE, http_client.TOO_LARGE, http_client.CLOSED)
    else:
        is_worth_it = answer.status >= 500
    if not is_worth_it or asyncio.get_running_loop().time() + PAUSE >= until:
        return answer
    await asyncio.sleep(PAUSE)
    return await ask(line, question, until=until, body_max=body_max)


async def parsed(parser: Callable[..., T], answer: Answer, **options: Any) -> T:
    """Read an answer, one that is long in a thread."""
    if len(answer.body) <= IN_THREAD_ABOVE:
        return parser(answer.body, answer.status, **options)
    return await asyncio.to_thread(parser, answer.body, answer.status, **options)


def not_sold(answer: NoAnswer) -> Refused | Unknown:
    """Return what a purchase without an answer means: a refusal only when the request surely never left."""
    if answer.sent:
        return Unknown(answer.reason)
    return Refused("busy" if answer is BUSY else "unreachable", answer.reason)


def ceiling_text(ceiling_paise: Paise, paise_per_unit: int) -> str:
    """Write a ceiling in the provider's currency, rounded down; empty when nothing is left of it.

    A unit of more than a rupee is divided finer, or a price of 0.0035 dollars could not be met. Zero is never sent:
    some servers read it as no ceiling.
    """
    if paise_per_unit == 100:
        return f"{ceiling_paise // 100}.{ceiling_paise % 100:02}" if ceiling_paise > 0 else ""
    step = _CENT if paise_per_unit < 100 else _HUNDREDTH_OF_A_CENT
    ceiling = (Decimal(ceiling_paise) / paise_per_unit).quantize(step, rounding=ROUND_DOWN)
    return format(ceiling, "f") if ceiling > 0 else ""


def _is_long(heard: Heard) -> bool:
    return isinstance(heard.answer, Answer) and len(heard.answer.body) > ORDER_BODY_MAX


async def _in_time(gate: asyncio.Semaphore | AsyncLimiter, until: float) -> bool:
    if not gate.locked() if isinstance(gate, asyncio.Semaphore) else gate.has_capacity():
        await gate.acquire()
        return True
    try:
        async with asyncio.timeout_at(until):
            await gate.acquire()
    except TimeoutError:
        return False
    return True
