"""The event log as it is told: one body for each event, the same bytes on every path and for ever.

Whatever may change later is left out: the status is the one that the event made, by its type.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec

from numberdesk.base.calls import ID_MAX
from numberdesk.base.db import Database, Tx
from numberdesk.base.money import format_rupees
from numberdesk.base.web import rfc3339
from numberdesk.orders import sql
from numberdesk.orders.model import Event, EventType, Message, Order, OrderId, Refund
from numberdesk.orders.service._board import read_cards
from numberdesk.wallet.model import AccountId

KEPT: Final = timedelta(days=30)
"""How long an event can be read."""
START: Final = "evt_0"
"""Stands before every event: whoever has read nothing yet is there."""
ORDINAL_MAX = 2**15 - 1
_MARGIN = timedelta(hours=1)
"""A message is written seconds before its event; the rest is for a clock that was set meanwhile."""
_ID = re.compile(r"evt_([1-9]\d{0,18})_([a-z]+)_([1-9]\d{0,4})", re.ASCII)
_ENDS: Final = frozenset[EventType]({"cancelled", "expired", "failed", "refunded"})
"""Events that give money back."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event with what belongs to it: its order as it is now, its message if it is a code, what it gave back."""

    event: Event
    order: Order
    message: Message | None = None
    refund: Refund | None = None


class EventMessage(msgspec.Struct, rename="camel", frozen=True):
    """The message that a code came in."""

    code: str
    text: str
    received_at: datetime | None


class EventRefund(msgspec.Struct, frozen=True):
    """What went back to the wallet with the event."""

    amount: str
    at: datetime | None


class EventData(msgspec.Struct, rename="camel", frozen=True):
    """The order of an event: what cannot change any more, and the status that the event made."""

    order_id: int
    status: str
    service: str
    country: int
    server: int
    operator: str
    number: str | None
    price: str
    message: EventMessage | None
    refund: EventRefund | None


class EventBody(msgspec.Struct, frozen=True):
    """An event on the wire. `id` is its name on every path; a repeat has the same one."""

    id: str
    type: str
    timestamp: datetime | None
    data: EventData


def body_of(told: Told) -> EventBody:
    """Shape an event for its owner."""
    event, order, message, refund = told.event, told.order, told.message, told.refund
    return EventBody(
        id=event.id,
        type=f"order.{event.type}",
        timestamp=rfc3339(event.at),
        data=EventData(
            order_id=order.id,
            status=_status(event, order),
            service=order.service,
            country=order.country,
            server=order.provider_id,
            operator=order.operator,
            number=f"+{order.number}" if order.number else None,
            price=format_rupees(order.price_paise),
            message=EventMessage(message.code, message.text, rfc3339(message.received_at)) if message else None,
            refund=EventRefund(format_rupees(refund.amount_paise), rfc3339(refund.at)) if refund else None,
        ),
    )


def _status(event: Event, order: Order) -> str:
    match event.type:
        case "code":
            return "received"
        case "extended":
            # The first code came before it or after it, for ever.
            return "received" if order.received_at is not None and order.received_at <= event.at else "active"
        case _:
            return event.type


def tell(told: Told) -> bytes:
    """Return the body of an event: JSON without line breaks, the same bytes whenever it is asked for."""
    return msgspec.json.encode(body_of(told))


async def read_events(db: Database, *, account_id: AccountId, after: int, limit: int) -> list[Told]:
    """Return what follows a number of an account's log, in its order, at most `limit`."""
    return (await list_newer(db, {account_id: after}, limit))[account_id]


async def list_newer(db: Database, cursors: Mapping[AccountId, int], limit: int) -> dict[AccountId, list[Told]]:
    """Return what follows a number of each account's log, in its order, at most `limit` of each account.

    However many accounts are asked for, it takes the same few queries.
    """
    found: dict[AccountId, list[Told]] = {account_id: [] for account_id in cursors}
    async with db.statement() as tx:
        events = await sql.list_events(tx, cursors, limit=limit)
        if not events:
            return found
        orders = {
            order.id: order for order in await sql.list_orders_by_id(tx, list({item.order_id for item in events}))
        }
        codes = [event for event in events if event.type == "code"]
        messages = await _messages_of(tx, codes, orders) if codes else []
        ended = {event.order_id for event in events if event.type in _ENDS}
        cards = await read_cards(tx, [orders[order_id] for order_id in ended]) if ended else []
    by_place = {(message.order_id, message.ordinal): message for message in messages}
    refunds: dict[OrderId, Refund | None] = defaultdict(lambda: None, {card.order.id: card.refund for card in cards})
    for event in events:
        message = by_place.get((event.order_id, event.ordinal)) if event.type == "code" else None
        refund = refunds[event.order_id] if event.type in _ENDS else None
        found[event.account_id].append(Told(event, orders[event.order_id], message, refund))
    return found


async def _messages_of(tx: Tx, codes: Sequence[Event], orders: Mapping[OrderId, Order]) -> list[Message]:
    since = min(orders[event.order_id].created_at for event in codes)
    return await sql.list_event_messages(tx, codes, since=since, margin=_MARGIN)


async def find_seq(db: Database, account_id: AccountId, event_id: str) -> int | None:
    """Return the number of an event in its account's log; None for one that is unknown, forgotten or of others.

    `START` has the number 0, after which everything kept follows.
    """
    if event_id == START:
        return 0
    found = _ID.fullmatch(event_id)
    if found is None or int(found[1]) > ID_MAX or int(found[3]) > ORDINAL_MAX:
        return None
    async with db.statement() as tx:
        return await sql.find_event_seq(tx, account_id, order_id=int(found[1]), type=found[2], ordinal=int(found[3]))


async def find_end(db: Database, account_id: AccountId) -> tuple[int, str]:
    """Return the number and the name of the last event of an account: who goes on from there reads what is new."""
    async with db.statement() as tx:
        last = await sql.find_last_seq(tx, account_id)
        events = await sql.list_events(tx, {account_id: last - 1}, limit=1) if last else []
    return last or 0, events[0].id if events else START


async def forget_events(db: Database, *, limit: int = 1000) -> int:
    """Delete events that are older than `KEPT`; returns how many."""
    async with db.statement() as tx:
        return await sql.delete_old_events(tx, keep=KEPT, limit=limit)
