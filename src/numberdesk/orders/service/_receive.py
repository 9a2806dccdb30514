"""Receiving: message row, state and captured hold in one transaction, which is what makes a code readable."""

from collections import defaultdict
from collections.abc import Sequence

import structlog

from numberdesk.base.db import Tx
from numberdesk.base.errors import AppError
from numberdesk.orders import sql
from numberdesk.orders.model import LISTENING, Card, Delivery, Order, OrderId
from numberdesk.orders.service._board import read_cards
from numberdesk.orders.service._withhold import Guard, sort_out, withhold
from numberdesk.providers.model import Received
from numberdesk.wallet import service as wallet

log = structlog.get_logger()

MESSAGES_MAX = 50
"""Per order: above it a provider is repeating itself."""
RENTAL_MESSAGES_MAX = 1000


async def receive(tx: Tx, items: Sequence[Delivery], *, guard: Guard | None = None) -> list[Card | AppError | None]:
    """Take messages in. The first one captures the order's holds; one after the money went back is sealed.

    A message known by its code (or by its text, when it has none) is a repeat, whichever way it came. One of a rental
    is known by both: in weeks a short code may well come twice. What `guard` takes for a bank's is withheld.

    Returns:
        For each item the order's card, or None when the activation is not ours.
    """
    owners = await sql.list_activation_orders(tx, items)
    orders = {order.id: order for order in await sql.lock_orders(tx, sorted(set(owners.values())))}
    if not orders:
        return [None] * len(items)
    fresh = await _fresh_messages(tx, items, owners, orders)
    held = sort_out(guard, fresh, orders)
    if held.messages:
        await wallet.lock(tx, {orders[order_id].account_id for order_id in (*fresh, *held.messages)})
    paying = [order_id for order_id in fresh if orders[order_id].state in LISTENING]
    captured = await wallet.capture(tx, paying)
    assert captured.keys() == set(paying), "an order that listens has no live hold"
    rows: list[sql.NewMessage] = []
    for order_id, messages in fresh.items():
        order = orders[order_id]
        is_sealed = order.is_given_back
        if is_sealed:
            log.info("late_code_sealed", order_id=order_id, count=len(messages))
        rows.extend(
            sql.NewMessage(order_id, ordinal, message.code, message.text, is_sealed) for ordinal, message in messages
        )
    events: list[sql.NewEvent] = []
    if rows:
        await sql.insert_messages(tx, rows)
        changed = await sql.set_received(tx, [(order_id, len(messages)) for order_id, messages in fresh.items()])
        orders.update((order.id, order) for order in changed)
        events = [
            sql.NewEvent(orders[OrderId(row.order_id)].account_id, OrderId(row.order_id), "code", row.ordinal)
            for row in rows
            if not row.is_sealed
        ]
    events += await withhold(tx, held, orders, is_paid=fresh.__contains__)
    await sql.insert_events(tx, events)
    cards = {card.order.id: card for card in await read_cards(tx, list(orders.values()))}
    return [
        cards.get(owners[item.provider_id, item.upstream_id])
        if (item.provider_id, item.upstream_id) in owners
        else None
        for item in items
    ]


async def _fresh_messages(
    tx: Tx,
    items: Sequence[Delivery],
    owners: dict[tuple[int, str], OrderId],
    orders: dict[OrderId, Order],
) -> dict[OrderId, list[tuple[int, Received]]]:
    """Return the messages not yet written with their ordinals, by order, in ascending order of ids."""
    since = min(order.created_at for order in orders.values())
    known: dict[OrderId, set[str]] = defaultdict(set)
    purged: set[OrderId] = set()
    for order_id, code, text, is_purged in await sql.list_message_codes(tx, list(orders), since):
        known[order_id].add(_name(orders[order_id], code, text))
        if is_purged:
            purged.add(order_id)
    fresh: dict[OrderId, list[tuple[int, Received]]] = {}
    for item in items:
        owner = owners.get((item.provider_id, item.upstream_id))
        if owner is None or owner in purged:  # over for days: what it still tells cannot be told from a repeat
            continue
        most = MESSAGES_MAX if orders[owner].hours is None else RENTAL_MESSAGES_MAX
        for message in item.messages:
            name = _name(orders[owner], message.code, message.text)
            if name not in known[owner] and len(known[owner]) < most:
                known[owner].add(name)
                fresh.setdefault(owner, []).append((len(known[owner]), message))
    return dict(sorted(fresh.items()))


def _name(order: Order, code: str, text: str) -> str:
    return code or text if order.hours is None else f"{code}\n{text}"
