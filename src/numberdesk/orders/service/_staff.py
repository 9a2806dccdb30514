"""What staff do with anybody's order: find it, see all of it, ask its provider now, give its money back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from numberdesk.base.db import Database, Tx
from numberdesk.base.errors import AppError, NotFound
from numberdesk.base.money import Paise
from numberdesk.orders import sql
from numberdesk.orders.model import LISTENING, Card, Closing, Delivery, Event, Exchange, Order, OrderId
from numberdesk.orders.service._board import read_cards
from numberdesk.orders.service._close import BeingProlonged, proof_of
from numberdesk.orders.service._desk import Desk
from numberdesk.orders.service._revoked import note_ended
from numberdesk.orders.service._verbs import ProviderSilent, settle_cancel
from numberdesk.orders.sql import Sms, Wanted
from numberdesk.providers import service as providers
from numberdesk.providers.model import Ended, Unknown
from numberdesk.providers.service import Transcript
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import HoldTrace

FOUND_MAX: Final = 200
SAID_MAX: Final = 100


@dataclass(eq=False)
class NothingToAsk(AppError):
    """The provider of an order knows no number of it, or none that can still change."""

    order_state: str

    status = 409
    code = "nothing_to_ask"
    category = "transaction"
    message = "This order is {order_state}: there is nothing to ask its provider about."


@dataclass(frozen=True, slots=True)
class OrderFile:
    """Everything about an order: what its buyer was told, what was said with providers, and where its money went."""

    order: Order
    messages: Sequence[Sms]
    events: Sequence[Event]
    exchanges: Sequence[Exchange]
    said: Sequence[Transcript]
    holds: Sequence[HoldTrace]
    route: str | None


async def find_orders(db: Database, wanted: Wanted, *, cursor: int | None = None, limit: int = 50) -> list[Order]:
    """Return orders of anybody, newest first, before the id `cursor`."""
    async with db.transaction() as tx:
        await sql.plan_for_values(tx)
        return await sql.list_wanted(tx, wanted, before=cursor, limit=min(limit, FOUND_MAX + 1))


async def get_any(db: Database, order_id: OrderId) -> Order:
    """Return an order, whoever it belongs to.

    Raises:
        NotFound: there is none.
    """
    async with db.statement() as tx:
        order = await sql.find_order(tx, order_id)
    if order is None:
        raise NotFound(what="order")
    return order


async def read_file(db: Database, order_id: OrderId) -> OrderFile:
    """Return everything that is known about an order. Who may read its messages is the caller's business.

    Raises:
        NotFound: there is no such order.
    """
    order = await get_any(db, order_id)
    async with db.statement() as tx:
        messages = await sql.list_all_messages(tx, order_id, order.created_at)
        events = await sql.list_order_events(tx, order)
        exchanges = await sql.list_exchanges(tx, order_id, order.created_at)
        route = await sql.read_route(tx, order_id)
        holds = await wallet.trace(tx, order_id)
    said: list[Transcript] = []
    for provider_id, attempt in dict.fromkeys((item.provider_id, item.attempt) for item in exchanges):
        said += await providers.list_transcripts(db, provider_id, f"{order_id}-{attempt}", SAID_MAX)
    if order.upstream_id is not None:
        said += await providers.list_transcripts(db, order.provider_id, order.upstream_id, SAID_MAX)
    said.sort(key=lambda item: item.at)
    return OrderFile(order, messages, events, exchanges, said, holds, route)


async def ask_provider(desk: Desk, order_id: OrderId) -> Order:
    """Ask the provider of an order now, and do what it answers, as the watch would a little later.

    Raises:
        NotFound: there is no such order.
        NothingToAsk: it is over, or no number of it is known.
        ProviderSilent: no clear answer.
    """
    order = await get_any(desk.db, order_id)
    if order.upstream_id is None or (order.state not in LISTENING and order.state != "received"):
        raise NothingToAsk(order_state=order.state)
    if order.state in ("cancelling", "expiring"):
        return (await desk.db.to_the_end(settle_cancel(desk, order))).order
    seen = await providers.look(desk.lines, order.provider_id, order.upstream_id)
    match seen:
        case tuple() if seen:
            card = await desk.receive.call(Delivery(order.provider_id, order.upstream_id, seen))
        case Ended() if order.state == "active":
            closing = Closing(order.id, frozenset({"active"}), "cancelled", "provider_cancelled", proof_of(seen))
            card = await desk.close.call(closing)
        case Ended() if order.hours is not None and not order.is_prolonging:
            await note_ended(desk, [(order, seen)])
            return await get_any(desk.db, order_id)
        case Unknown():
            raise ProviderSilent
        case _:
            return order
    if card is not None:
        desk.show([card])
    return order if card is None else card.order


async def refundable(db: Database, order_id: OrderId) -> tuple[Order, Paise]:
    """Return an order with the whole of what was paid for it; a refund is of that, and nothing else.

    Raises:
        NotFound: there is no such order.
        NothingToRefund: nothing was paid for it, or it was refunded before.
        BeingProlonged: more hours are being bought for it, and it is not known what that will have cost.
    """
    order = await get_any(db, order_id)
    if order.is_prolonging:
        raise BeingProlonged
    async with db.statement() as tx:
        paid = (await wallet.captured(tx, [order_id])).get(order_id, {})
    if not paid or order.refunded_at is not None:
        raise wallet.NothingToRefund(order_id=order_id)
    return order, Paise(sum(paid.values()))


async def refund(tx: Tx, order_id: OrderId) -> tuple[Card, Paise]:
    """Give back all that was paid for an order, once. One that waits for more codes is finished with it.

    The caller shows the card when the transaction is committed.

    Raises:
        NotFound: there is no such order.
        NothingToRefund: nothing was paid for it, or it was refunded before.
        BeingProlonged: more hours are being bought for it: they would be paid for, and the rental over.
    """
    locked = await sql.lock_orders(tx, [order_id])
    if not locked:
        raise NotFound(what="order")
    order = locked[0]
    if order.state not in ("received", "completed") or order.refunded_at is not None:
        raise wallet.NothingToRefund(order_id=order_id)
    if order.is_prolonging:
        raise BeingProlonged
    amount = await wallet.refund_order(tx, order_id)
    completed = await sql.set_completed(tx, [order_id])
    order = await sql.set_refunded(tx, order_id)
    (card,) = await read_cards(tx, [order])
    news = [sql.NewEvent(order.account_id, order.id, "completed")] if completed else []
    await sql.insert_events(tx, [*news, sql.NewEvent(order.account_id, order.id, "refunded")])
    return card, amount
