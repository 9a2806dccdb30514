"""More hours over a wire without an idempotency key: as with purchases, who hung up gets them with the next try."""

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from numberdesk.accounts.service import KeyInFlight
from numberdesk.base import clock, ids
from numberdesk.base.errors import AppError, Unavailable
from numberdesk.orders import sql
from numberdesk.orders.model import Card, OrderId
from numberdesk.orders.service._close import BeingProlonged
from numberdesk.orders.service._desk import Desk
from numberdesk.orders.service._handover import (
    ANSWER_SECONDS,
    LATELY,
    NOTE_PAUSES,
    Bought,
    ClientGone,
    OutcomeUnknown,
)
from numberdesk.orders.service._handover_notes import delivered, new_note, take, write_note
from numberdesk.orders.service._prolong import prolong
from numberdesk.wallet.model import AccountId

PAUSE = 0.1
"""Seconds between two tries while the same, or another, request is still buying hours for the rental."""


@dataclass(frozen=True, slots=True)
class HoursTrade:
    """More hours for a rental over a wire that may break. `fingerprint` is what makes two of them alike."""

    account_id: AccountId
    order_id: OrderId
    hours: int
    fingerprint: bytes


@dataclass(slots=True)
class _Course:
    """Which request a trade stands for."""

    request_key: str = field(default_factory=ids.request_id)
    is_replayed: bool = False
    is_left: bool = False
    """Nobody waits for it any more: nothing new is begun for it."""


async def trade_hours(
    desk: Desk, trade: HoursTrade, *, gone: "asyncio.Future[None]", seconds: float = ANSWER_SECONDS
) -> Bought:
    """Prolong a rental, or take over what the client was not told about, and answer in time; see `trade`.

    Raises:
        ClientGone: there is nobody to answer; what is bought is handed over later.
        OutcomeUnknown: nothing is known in time.
        and those of `prolong`.
    """
    began, course = clock.seconds(), _Course()
    work = asyncio.ensure_future(_carry_out(desk, trade, course, began + seconds))
    desk.trades.add(work)
    work.add_done_callback(desk.trades.discard)
    either: set[asyncio.Future[Any]] = {work, gone}
    try:
        await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if work.done() and not gone.done():
            card = work.result()
            if not card.order.is_prolonging:
                return Bought(card, course.request_key, False, course.is_replayed, began)
        course.is_left = True
        await note_hours_undelivered(desk, trade, course.request_key)
    except asyncio.CancelledError:
        course.is_left = True
        await desk.db.to_the_end(note_hours_undelivered(desk, trade, course.request_key))
        raise
    except Exception as problem:
        if _is_unclear(problem, course):
            await note_hours_undelivered(desk, trade, course.request_key)
        else:
            note_hours_delivered(desk, trade, course.request_key)
        raise
    finally:
        work.add_done_callback(_read_problem)
    raise ClientGone(trade.account_id) if gone.done() else OutcomeUnknown()


def note_hours_delivered(desk: Desk, trade: HoursTrade, request_key: str) -> None:
    """Note that the client was told what came of it."""
    delivered(desk, trade.account_id, request_key)


async def note_hours_undelivered(desk: Desk, trade: HoursTrade, request_key: str) -> None:
    """Note that the client was not told what came of it; later, while the database is away."""
    note = partial(
        sql.upsert_undelivered, account_id=trade.account_id, request_key=request_key, fingerprint=trade.fingerprint,
        wants_object=False, waited_ms=0, at=None,
    )  # fmt: skip
    await write_note(desk, trade.account_id, note)


def _is_unclear(problem: Exception, course: _Course) -> bool:
    """Tell whether hours may have been bought, or still may be, for a request that ended like this.

    So it is when the process stops, the database is away, or a request that is taken over is still at it. Another one
    that is at it is no reason: this one has not begun.
    """
    if isinstance(problem, KeyInFlight | BeingProlonged):
        return course.is_replayed
    return isinstance(problem, Unavailable) or not isinstance(problem, AppError)


async def _carry_out(desk: Desk, trade: HoursTrade, course: _Course, until: float) -> Card:
    while True:
        for pause in (*NOTE_PAUSES, None):
            if course.is_replayed or await _take(desk, trade, course) or pause is None:
                break
            async with desk.db.statement() as tx:
                if not await sql.is_prolonged_lately(tx, trade.order_id, lately=LATELY):
                    break
            await asyncio.sleep(pause)
        try:
            return await prolong(
                desk, account_id=trade.account_id, order_id=trade.order_id, hours=trade.hours,
                request_key=course.request_key, note=new_note(desk, trade.fingerprint, wants_object=False),
            )  # fmt: skip
        except (KeyInFlight, BeingProlonged):
            if course.is_left or clock.seconds() + PAUSE >= until:
                raise
            await asyncio.sleep(PAUSE)


async def _take(desk: Desk, trade: HoursTrade, course: _Course) -> bool:
    """Take over what the client was not told about, if there is anything."""
    async with desk.db.statement() as tx:
        found = await take(desk, tx, trade.account_id, trade.fingerprint)
    if found is not None:
        course.request_key, course.is_replayed = found.request_key, True
    return course.is_replayed


def _read_problem(work: "asyncio.Future[Card]") -> None:
    """Take notice of how work ended that nobody may wait for any more; its prolongation tells the rest."""
    if not work.cancelled():
        work.exception()
