"""Cancelling and ending without payment: the state moves first, the money follows in the same transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from numberdesk.base.db import Tx
from numberdesk.base.errors import AppError, NotFound
from numberdesk.orders import sql
from numberdesk.orders.model import CancelWanted, Card, Closing, Order, OrderId, OrderState, Refund, UpstreamRefund
from numberdesk.orders.service._board import read_cards
from numberdesk.orders.service._reserve import uncount
from numberdesk.providers.model import Done, Ended
from numberdesk.wallet import service as wallet

PATIENCE_SECONDS = 20
"""After it the worker takes a cancel over whose process died between asking the provider and settling."""
RENTAL_WINDOW = timedelta(minutes=20)
"""Since a rental was asked for: the time in which it can be cancelled, as long as it received nothing. The provider's
own begins later, so it is open for as long as ours."""
KEPT = frozenset({"FINISHED", "COMPLETED", "STATUS_FINISH", "ALREADY_FINISH"})
"""Words for an activation or a rental that is over and paid: its provider gives nothing back, code or no code."""
GIVEN_BACK = frozenset({"REFUNDED"})
"""Words by which a provider says that the money is back."""


@dataclass(eq=False)
class CancelTooEarly(AppError):
    """The number is younger than the shortest age at which it may be cancelled."""

    allowed_at: datetime
    wait_seconds: int

    status = 409
    code = "cancel_too_early"
    category = "transaction"

    def sentence(self) -> str:
        return f"This number can be cancelled in {self.wait_seconds} second{'' if self.wait_seconds == 1 else 's'}."


@dataclass(eq=False)
class NotCancellable(AppError):
    """A code came, or the order is over."""

    order_status: str

    status = 409
    code = "not_cancellable"
    category = "transaction"

    def sentence(self) -> str:
        if self.order_status == "received":
            return "A code was received: this order is paid and cannot be cancelled."
        return f"This order is {self.order_status} and cannot be cancelled."


@dataclass(eq=False)
class RentalKept(AppError):
    """The time in which a rental can be cancelled is over, or its provider does not take it back."""

    status = 409
    code = "rental_kept"
    category = "transaction"
    message = "A rental can be cancelled in its first 20 minutes only. This one is paid, and yours until its end."


@dataclass(eq=False)
class BeingProlonged(AppError):
    """More hours are being bought for the rental, and it is not known yet what came of that."""

    status = 409
    code = "being_prolonged"
    category = "transaction"
    message = "More hours are being bought for this rental. Try again when that is settled."


@dataclass(eq=False)
class NotPossibleNow(AppError):
    """The order is not in a state that allows this."""

    order_status: str
    wanted: str

    status = 409
    code = "not_possible_now"
    category = "transaction"
    message = "This order is {order_status}: it cannot be {wanted}."


def told_status(state: OrderState) -> str:
    """Return the word for a refusal: an order that is being ended is told as ended."""
    words: dict[OrderState, str] = {
        "requested": "pending", "unknown": "pending", "cancelling": "cancelled", "expiring": "expired",
    }  # fmt: skip
    return words.get(state, state)


async def begin_cancel(tx: Tx, items: Sequence[CancelWanted]) -> list[Card | AppError]:
    """active -> cancelling for each order that may be cancelled now.

    An order that is being cancelled, or was, is answered as it is: a repeat moves no money.
    """
    locked = {
        order.id: (order, wait, is_late)
        for order, wait, is_late in await sql.lock_cancellable(tx, items, window=RENTAL_WINDOW)
    }
    moving = {
        item.order_id
        for item in items
        if item.order_id in locked and _refusal(item, *locked[item.order_id]) is None
        and locked[item.order_id][0].state == "active"
    }  # fmt: skip
    moved = {
        order.id: order for order in await sql.set_cancelling(tx, sorted(moving), patience_seconds=PATIENCE_SECONDS)
    }
    cards = {
        card.order.id: card
        for card in await read_cards(tx, [moved.get(order_id, order) for order_id, (order, *_) in locked.items()])
    }
    answers: list[Card | AppError] = []
    for item in items:
        if item.order_id not in locked:
            answers.append(NotFound(what="order"))
            continue
        answers.append(_refusal(item, *locked[item.order_id]) or cards[item.order_id])
    return answers


def _refusal(item: CancelWanted, order: Order, wait: float, is_late: bool) -> AppError | None:
    if order.account_id != item.account_id:
        return NotFound(what="order")
    if order.state in ("cancelling", "cancelled"):
        return None
    if order.state != "active":
        return not_cancellable(order)
    if order.is_prolonging:
        return BeingProlonged()
    if is_late:
        return RentalKept()
    if wait > 0:
        assert order.cancel_allowed_at is not None
        return CancelTooEarly(allowed_at=order.cancel_allowed_at, wait_seconds=int(wait) + 1)
    return None


def not_cancellable(order: Order) -> AppError:
    """Say why an order that is paid, or over, is not cancelled."""
    if order.state == "received" and order.hours is not None and order.codes_received == 0:
        return RentalKept()
    return NotCancellable(order_status=told_status(order.state))


async def keep(tx: Tx, order_id: OrderId) -> Card:
    """active or cancelling -> received for a rental: it is paid, though no message came. Others stay as they are."""
    order = (await sql.lock_orders(tx, [order_id]))[0]
    kept = await sql.set_kept(tx, order_id)
    if kept is not None:
        captured = await wallet.capture(tx, [order_id])
        assert captured.keys() == {order_id}, "a rental that is not paid has no live hold"
    return (await read_cards(tx, [kept or order]))[0]


async def complete(tx: Tx, order_ids: Sequence[OrderId]) -> list[Card | AppError]:
    """received -> completed; an order in another state stays and is returned as it is."""
    orders = {order.id: order for order in await sql.lock_orders(tx, sorted(set(order_ids)))}
    completed = await sql.set_completed(tx, list(orders))
    orders.update((order.id, order) for order in completed)
    cards = {card.order.id: card for card in await read_cards(tx, list(orders.values()))}
    await sql.insert_events(tx, [sql.NewEvent(order.account_id, order.id, "completed") for order in completed])
    return [cards[order_id] for order_id in order_ids]


def proof_of(answer: Done | Ended) -> UpstreamRefund:
    """Return what a provider's answer about a number without a code says of our money."""
    if isinstance(answer, Done) or answer.detail.upper() in GIVEN_BACK:
        return "confirmed"
    return "refused" if answer.detail.upper() in KEPT else "assumed"


async def close(tx: Tx, items: Sequence[Closing]) -> list[Card | AppError]:
    """End orders without payment and void their holds; an order that has left the expected states stays as it is."""
    orders = {order.id: order for order in await sql.lock_orders(tx, sorted({item.order_id for item in items}))}
    moving = {
        item.order_id: item
        for item in items
        if orders[item.order_id].state in item.expected and not orders[item.order_id].is_prolonging
    }
    await uncount(tx, [orders[order_id] for order_id, item in moving.items() if item.state == "failed"])
    voided = await wallet.void(tx, moving)
    assert voided.keys() == moving.keys(), "an open order has no live hold"
    if moving:
        changed = await sql.set_ended(
            tx,
            list(moving),
            [item.state for item in moving.values()],
            [item.failure for item in moving.values()],
            [item.proof for item in moving.values()],
        )
        orders.update((order.id, order) for order in changed)
        await sql.insert_events(
            tx, [sql.NewEvent(order.account_id, order.id, moving[order.id].state) for order in changed]
        )
    cards: dict[int, Card] = {}
    for order_id, amount in voided.items():
        order = orders[OrderId(order_id)]
        cards[order_id] = Card(order, (), None if order.ended_at is None else Refund(amount, order.ended_at))
    others = [order for order_id, order in orders.items() if order_id not in cards]
    cards.update((card.order.id, card) for card in (await read_cards(tx, others) if others else []))
    return [cards[item.order_id] for item in items]
