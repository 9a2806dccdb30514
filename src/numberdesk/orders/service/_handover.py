"""Purchases over a wire without an idempotency key: what a client was not told, its next try gets.

A client that has waited long enough hangs up and asks again, and its first purchase may have been carried out. Only
the wire knows that: two purchases of connections that both live are two, however alike they are. So a purchase whose
client is gone, or could not be told what came of it, is noted; the next one of the same kind takes it over. The note is
made with the order, so that the death of a process loses nothing: as long as it lives, nobody else may take it.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from numberdesk.accounts.service import KeyInFlight
from numberdesk.base import clock, ids
from numberdesk.base.db import Database
from numberdesk.base.errors import AppError, Unavailable
from numberdesk.orders import sql
from numberdesk.orders.model import Card, Order, OrderState, Wish
from numberdesk.orders.service._board import read_cards
from numberdesk.orders.service._buy import NoNumbers, buy
from numberdesk.orders.service._desk import Desk
from numberdesk.orders.service._handover_notes import NOTE_AGAIN_SECONDS, delivered, new_note, take, write_note
from numberdesk.wallet.model import AccountId

log = structlog.get_logger()

ANSWER_SECONDS = 20.0
"""After so long a purchase is answered, whatever is known."""
DOUBT_SECONDS = 5.0
"""How much of that an unclear answer of the provider is waited for: mostly its list clears it up."""
NOTE_PAUSES = (0.025, 0.075)
"""A client that hangs up and asks again at once may be faster than the note; so who was buying just now is asked twice
more, at these distances. Measured on loopback: a note is there within 10 ms of the end of the connection."""
NEWEST_MAX = 20
EDGE_BEFORE, EDGE_AFTER = 0.1, 0.25
"""Seconds around the moment at which a client will probably hang up."""
PATIENCE_MAX = 100_000
LATELY = timedelta(milliseconds=200)
SHORTEST_WAIT, LONGEST_WAIT = 0.02, 0.5
"""Seconds between two looks at an order that another request is buying."""
_ENDING: frozenset[OrderState] = frozenset({"cancelling", "expiring"})
_REFERENCE = re.compile(r"ref:[0-9]+:(.+)", re.DOTALL)
"""How request keys look that are the caller's own word for one purchase, with the number of its try."""
REFERENCE_MAX = 64


@dataclass(eq=False)
class ReferenceTaken(AppError):
    """The caller's own word for a purchase was used for another one before."""

    status = 409
    code = "reference_taken"
    category = "transaction"
    message = "This orderId belongs to another purchase."


@dataclass(eq=False)
class OutcomeUnknown(AppError):
    """It is not known in time whether the provider sold; the money is held until it is, and nothing is lost."""

    status = 503
    code = "outcome_unknown"
    category = "provider"
    message = "It is not known yet whether the provider sold a number. Its price is held until it is."
    retry_after = 2


@dataclass(eq=False)
class ClientGone(Exception):
    """The client left before it could be told; the purchase goes on, and its next try gets it."""

    account_id: AccountId


@dataclass(frozen=True, slots=True)
class Trade:
    """One purchase over a wire that may break.

    Attributes:
        service: the code of the service that is wanted.
        choose: returns the wish, or raises why there is nothing to wish for; called when a purchase is begun, so a
            purchase that was made before is found whatever is on sale now.
        fingerprint: what makes two purchases alike: who asks, and for what.
        wants_object: in which of its two forms the answer is wanted; who takes a purchase over gets it as it was asked
            for at first.
        reference: the caller's own word for this purchase: a repeat gives the same order for ever.
        ip: where the caller is.
    """

    account_id: AccountId
    service: str
    choose: Callable[[], Wish]
    fingerprint: bytes
    wants_object: bool = False
    reference: str | None = None
    ip: str | None = None


@dataclass(slots=True)
class Bought:
    """What a trade became."""

    card: Card
    request_key: str
    wants_object: bool
    is_replayed: bool
    """Whether another request made it before."""
    began: float = 0.0
    """When its client began to wait, on the process' clock."""


@dataclass(slots=True)
class _Course:
    """Which request a trade stands for at the moment, and since when its client is not told."""

    request_key: str
    wants_object: bool
    is_known: bool = False
    noted_at: datetime | None = None
    is_replayed: bool = False
    began: float = field(default_factory=clock.seconds)
    patience: float | None = None
    """How many seconds its client will probably wait, where that was seen before."""
    is_left: bool = False
    """Nobody waits for it any more: nothing new is begun for it."""
    is_begun: bool = False
    """Something may have been bought for it."""


async def trade(desk: Desk, trade: Trade, *, gone: "asyncio.Future[None]", seconds: float = ANSWER_SECONDS) -> Bought:
    """Buy one number, or take over what the client was not told about, and answer in time.

    The answer must still be written: whoever does that calls `note_delivered` then, and `note_undelivered` when it
    finds the client gone.

    Args:
        gone: is done when the client has left.
        seconds: in which an answer is needed.

    Raises:
        ClientGone: there is nobody to answer; what is bought is handed over later.
        OutcomeUnknown: nothing is known in time; what comes of it is handed over later.
        ReferenceTaken: the reference was used for something else.
        and those of `buy`.
    """
    until = clock.seconds() + seconds
    course = await _course(desk, trade)
    course.began = until - seconds
    # What must not be interrupted in it is `buy`, which sees to that itself.
    work = asyncio.ensure_future(_carry_out(desk, trade, course, until))
    desk.trades.add(work)
    work.add_done_callback(desk.trades.discard)
    try:
        either: set[asyncio.Future[Any]] = {work, gone}
        await asyncio.wait(either, timeout=until - clock.seconds(), return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            course.is_left = True
            await _note(desk, trade, course, is_old=not gone.done())
            raise ClientGone(trade.account_id) if gone.done() else OutcomeUnknown()
        card = work.result()
    except (ClientGone, OutcomeUnknown):
        raise
    except Exception as problem:
        await _settle_failure(desk, trade, course, problem)
        raise
    except asyncio.CancelledError:
        course.is_left = True
        await desk.db.to_the_end(_note(desk, trade, course, is_old=True))
        raise
    finally:
        if not work.done():
            work.add_done_callback(_read_problem)
    if card is None or card.order.state in ("requested", "unknown"):
        await _note(desk, trade, course, is_old=not gone.done())
        raise OutcomeUnknown
    if card.order.state == "failed":
        _forget(desk, trade, course.request_key)
        raise NoNumbers(order_id=card.order.id)
    await _await_edge(course, gone)
    if gone.done():
        await _note(desk, trade, course, is_old=False)
        raise ClientGone(trade.account_id)
    return Bought(card, course.request_key, course.wants_object, course.is_replayed, course.began)


async def _settle_failure(desk: Desk, trade: Trade, course: _Course, problem: Exception) -> None:
    """Free the caller's word when nothing was bought; note the purchase when nobody knows whether something was."""
    # When the process stops or the database is away, the order may be there all the same, and so after a bug of ours.
    # What else is no refusal of ours is one of `choose`, in the words of a protocol.
    if isinstance(problem, Unavailable) or (course.is_begun and not isinstance(problem, AppError)):
        await _note(desk, trade, course, is_old=True)
    else:
        _forget(desk, trade, course.request_key)
        await _free_reference(desk.db, trade, course)


def note_delivered(desk: Desk, trade: Trade, bought: Bought) -> None:
    """Note that the answer was written: nobody needs to take it over."""
    _forget(desk, trade, bought.request_key)


def _forget(desk: Desk, trade: Trade, request_key: str) -> None:
    if trade.reference is None:  # what has a word of the caller's own is found by that
        delivered(desk, trade.account_id, request_key)


async def note_undelivered(desk: Desk, trade: Trade, bought: Bought) -> None:
    """Note that the client left before the answer was written."""
    await _note(desk, trade, _Course(bought.request_key, bought.wants_object, began=bought.began), is_old=False)


def reference_of(order: Order) -> str | None:
    """Return the caller's own word for the purchase of an order, if it has one."""
    found = _REFERENCE.fullmatch(order.request_key)
    return None if found is None else found[1]


async def _course(desk: Desk, trade: Trade) -> _Course:
    if trade.reference is not None:
        return await _course_of_reference(desk.db, trade, trade.reference)
    if desk.late_notes:  # if the database is back, they are about to be written
        await asyncio.wait(set(desk.late_notes), timeout=2 * NOTE_AGAIN_SECONDS)
    for pause in (*NOTE_PAUSES, None):
        async with desk.db.statement() as tx:
            found = await take(desk, tx, trade.account_id, trade.fingerprint)
            if found is not None:
                log.info("purchase_taken_over", account_id=trade.account_id)
                return _Course(
                    found.request_key, found.wants_object, is_known=True, noted_at=found.noted_at,
                    patience=found.waited_ms / 1000 if found.waited_ms else None,
                )  # fmt: skip
            if pause is None or not await sql.is_buying_now(
                tx, trade.account_id, trade.service, lately=LATELY, rows_max=NEWEST_MAX
            ):
                break
        await asyncio.sleep(pause)
    return _Course(ids.request_id(), trade.wants_object, patience=desk.patience.get(trade.fingerprint))


async def _course_of_reference(db: Database, trade: Trade, reference: str) -> _Course:
    while True:
        async with db.statement() as tx:
            await sql.insert_reference(tx, trade.account_id, reference, trade.fingerprint)
            known = await sql.find_reference(tx, trade.account_id, reference)
            if known is None:
                continue  # it was freed meanwhile
            key = f"ref:{known.tries}:{reference}"
            orders = await sql.list_orders_of_request(tx, trade.account_id, key)
            if orders and orders[0].state == "failed":
                await sql.set_next_try(
                    tx, trade.account_id, reference, tries=known.tries, fingerprint=trade.fingerprint
                )
                continue
            if known.fingerprint != trade.fingerprint:
                raise ReferenceTaken
        return _Course(key, trade.wants_object, is_known=bool(orders))


async def _carry_out(desk: Desk, trade: Trade, course: _Course, until: float) -> Card | None:
    """Buy, or wait for what another request of the same key is doing; None when nothing is known in time."""
    while not course.is_left and clock.seconds() < until:
        card = await _find(desk, trade, course) if course.is_known else None
        course.is_replayed = card is not None
        if card is None:
            wish = trade.choose()
            course.is_begun = True
            made = None
            if trade.reference is None:
                made = new_note(desk, trade.fingerprint, wants_object=course.wants_object)
            try:
                (card,) = await buy(
                    desk, account_id=trade.account_id, wish=wish, request_key=course.request_key, ip=trade.ip, note=made
                )
            except KeyInFlight:
                course.is_known = True
                await asyncio.sleep(SHORTEST_WAIT)  # its row is there in a moment
                continue
        if card.order.state in ("requested", "unknown"):
            card = await _settled(desk, card, until)
        # A number that is being given back is nobody's any more, whether its end is settled or not.
        is_over = card is not None and (card.order.ended_at is not None or card.order.state in _ENDING)
        if not is_over or not course.is_known or trade.reference is not None or course.is_left:
            return card
        # Nothing came of it, or its client ended it by another way: this one buys for itself.
        _forget(desk, trade, course.request_key)
        course.request_key, course.is_known, course.noted_at = ids.request_id(), False, None
    return None


async def _find(desk: Desk, trade: Trade, course: _Course) -> Card | None:
    async with desk.db.statement() as tx:
        orders = await sql.list_orders_of_request(tx, trade.account_id, course.request_key)
        cards = await read_cards(tx, orders[:1])
    if not cards:
        return None
    if trade.reference is not None and cards[0].order.state == "failed":
        return None  # `buy` says why, as it did the first time
    return cards[0]


async def _free_reference(db: Database, trade: Trade, course: _Course) -> None:
    """Free the caller's word when nothing was ordered by it."""
    if trade.reference is not None:
        async with db.statement() as tx:
            await sql.delete_unused_reference(
                tx, trade.account_id, trade.reference, course.request_key, trade.fingerprint
            )


async def _settled(desk: Desk, card: Card, until: float) -> Card | None:
    """Wait until it is known whether the provider sold; None when it is not in time."""
    end = until
    while card.order.state in ("requested", "unknown"):
        now = clock.seconds()
        if card.order.state == "unknown":
            end = min(end, now + DOUBT_SECONDS)
        if now >= end:
            return None
        if not await desk.board.changed(card.order.id, timeout=min(end - now, LONGEST_WAIT)) and desk.board.is_closing:
            return None  # the process stops: there is still time to note it for the next try
        async with desk.db.statement() as tx:
            order = await sql.find_order(tx, card.order.id)
            assert order is not None, "orders are never deleted"
            (card,) = await read_cards(tx, [order])
    return card


async def _await_edge(course: _Course, gone: "asyncio.Future[None]") -> None:
    """Hold an answer back that comes just when its client is about to hang up, until it has or has not.

    Nobody can tell whether an answer that crosses with the end of its connection was read. Clients of one kind wait
    alike, so the moment is known once one has hung up. Measured with 20 of them that wait a second, for a provider
    that takes three: without this a fifth of the numbers was lost.
    """
    if course.patience is None:
        return
    left = course.began + course.patience - clock.seconds()
    if -EDGE_AFTER < left < EDGE_BEFORE:
        await asyncio.wait({gone}, timeout=left + EDGE_AFTER)


async def _note(desk: Desk, trade: Trade, course: _Course, *, is_old: bool) -> None:
    """Note a purchase as undelivered. One under the caller's own word is found by that word, and by nothing else.

    While the database is away the note is kept here, and written as soon as it is back.

    Args:
        is_old: keep the time of the first note. A client that left is waited for anew; one that was told to wait is
            not, so that a doubt which stays does not stand in the way of its purchases for longer than the window.
    """
    if trade.reference is not None:
        return
    waited = 0.0 if is_old else clock.seconds() - course.began
    if waited:
        if len(desk.patience) >= PATIENCE_MAX:
            desk.patience.clear()
        desk.patience[trade.fingerprint] = waited
    note = partial(
        sql.upsert_undelivered, account_id=trade.account_id, request_key=course.request_key,
        fingerprint=trade.fingerprint, wants_object=course.wants_object, waited_ms=int(waited * 1000),
        at=course.noted_at if is_old else None,
    )  # fmt: skip
    await write_note(desk, trade.account_id, note)


def _read_problem(work: "asyncio.Future[Card | None]") -> None:
    """Take notice of how work ended that nobody waits for any more; its order tells the rest."""
    if not work.cancelled() and (problem := work.exception()) is not None and not isinstance(problem, AppError):
        log.error("purchase_failed", exc_info=problem)
