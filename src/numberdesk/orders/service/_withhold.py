"""Withholding: a message that looks like a bank's on an order for something else is sealed, and the money goes back."""

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field

import structlog

from numberdesk.base.db import Tx
from numberdesk.catalogue.service import Shelf
from numberdesk.conduct import service as conduct
from numberdesk.conduct.model import Sign
from numberdesk.orders import sql
from numberdesk.orders.model import LISTENING, Order, OrderId
from numberdesk.providers.model import Received
from numberdesk.wallet import service as wallet

log = structlog.get_logger()

Guard = Callable[[Order, Received], Sign | None]
"""Says what a message looks like that is not of its order's service; None lets it through."""
Fresh = MutableMapping[OrderId, list[tuple[int, Received]]]
"""New messages with their ordinals, by order."""


def guard_by(shelf: Shelf) -> Guard:
    """Judge messages by the names that the catalogue knows of their services.

    An order for a bank, where the operator sells that at all, may get a bank's message; so may an order for a payment
    service or an authority.
    """

    def judge(order: Order, message: Received) -> Sign | None:
        service = shelf.contents_of(order.account_id).services.get(order.service)
        if service is not None and service.category in conduct.PROTECTED:
            return None
        names = () if service is None or service.category == "any_other" else conduct.names_of(service.name)
        return conduct.looks_protected(message.text, sender=message.sender, names=names)

    return judge


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept back of a delivery."""

    messages: dict[OrderId, list[tuple[int, Received, Sign]]] = field(default_factory=dict)


def sort_out(guard: Guard | None, fresh: Fresh, orders: Mapping[OrderId, Order]) -> Kept:
    """Move what is to be withheld out of the new messages. What came too late for its order is sealed anyway."""
    found = Kept()
    if guard is None:
        return found
    for order_id in list(fresh):
        order = orders[order_id]
        if order.is_given_back:
            continue
        judged = [(ordinal, message, guard(order, message)) for ordinal, message in fresh[order_id]]
        held = [(ordinal, message, sign) for ordinal, message, sign in judged if sign is not None]
        if held:
            found.messages[order_id] = held
            fresh[order_id] = [(ordinal, message) for ordinal, message, sign in judged if sign is None]
            if not fresh[order_id]:
                del fresh[order_id]
    return found


async def withhold(
    tx: Tx, held: Kept, orders: MutableMapping[OrderId, Order], *, is_paid: Callable[[OrderId], bool]
) -> list[sql.NewEvent]:
    """Seal messages, and end their orders: unpaid ones with their money back, paid ones as they are; rentals go on.

    The orders are locked by the caller, and changed in its mapping.

    Args:
        is_paid: whether the same delivery has a message that the customer gets and pays for.

    Returns:
        The events of it, to be written last.
    """
    if not held.messages:
        return []
    rows = [(order_id, *item) for order_id, items in held.messages.items() for item in items]
    await sql.insert_messages(
        tx, [sql.NewMessage(order_id, at, message.code, message.text, True) for order_id, at, message, _ in rows]
    )
    await sql.insert_withheld(
        tx, [(order_id, at, orders[order_id].account_id, sign.kind, sign.words) for order_id, at, _, sign in rows]
    )
    numbers = [order_id for order_id in held.messages if orders[order_id].hours is None]
    ending = [order_id for order_id in numbers if orders[order_id].state in LISTENING and not is_paid(order_id)]
    voided = await wallet.void(tx, ending)
    assert voided.keys() == set(ending), "an order that listens has no live hold"
    ended = await sql.set_withheld(tx, ending) if ending else []
    over = await sql.set_completed(tx, [order_id for order_id in numbers if order_id not in ending])
    orders.update((order.id, order) for order in (*ended, *over))
    for order_id, _, _, sign in rows:
        log.warning("message_withheld", order_id=order_id, kind=sign.kind, signs=sign.words)
    return [
        *(sql.NewEvent(order.account_id, order.id, "cancelled") for order in ended),
        *(sql.NewEvent(order.account_id, order.id, "completed") for order in over),
    ]
