"""Rentals that are paid, and that their provider ends before their time.

One answer is no proof. A rental of which its provider says for a while that it took it back is over: what received
nothing is given back in full, and of what received something staff decide. So they do of one that its provider only
does not know any more, which goes on until its end, for a message that may still come.
"""

from collections.abc import Sequence
from datetime import timedelta

import structlog

from numberdesk.accounts import service as accounts
from numberdesk.base.db import Tx
from numberdesk.base.money import Paise, format_rupees
from numberdesk.notifications import service as notifications
from numberdesk.notifications.model import Notice
from numberdesk.orders import sql
from numberdesk.orders.model import Card, Order
from numberdesk.orders.service._board import read_cards
from numberdesk.orders.service._desk import Desk
from numberdesk.providers.model import Ended
from numberdesk.wallet import service as wallet

log = structlog.get_logger()

SURE_AFTER = timedelta(minutes=5)
"""So long apart a provider must say twice that it took a rental back."""
REVOKED = frozenset({"STATUS_REVOKE", "STATUS_CANCEL", "ALREADY_CANCEL", "REFUNDED"})
"""Words by which a provider says that it took a rental back; others may only mean that it does not know it."""


async def note_ended(desk: Desk, ended: Sequence[tuple[Order, Ended]]) -> None:
    """Note that a provider says of paid rentals that they are over, and end those that it has taken back for sure."""
    order_ids = [order.id for order, _ in ended]
    async with desk.db.transaction() as tx:
        await sql.set_revoked(tx, order_ids)
        sure = await sql.list_sure_revoked(tx, order_ids, after=SURE_AFTER)
    for order, answer in ended:
        log.warning("rental_ended_upstream", order_id=order.id, provider_id=order.provider_id, detail=answer.detail)
        if order.id in sure and answer.detail.upper() in REVOKED:
            desk.show([await desk.db.to_the_end(_end(desk, order))])


async def note_going_on(desk: Desk, orders: Sequence[Order]) -> None:
    """Note that these rentals go on at their provider, whatever it said before."""
    async with desk.db.statement() as tx:
        await sql.clear_revoked(tx, [order.id for order in orders])


async def _end(desk: Desk, order: Order) -> Card:
    async with desk.db.transaction() as tx:
        locked = (await sql.lock_orders(tx, [order.id]))[0]
        ended = await sql.set_revoked_ended(tx, order.id)
        if ended is None:
            return (await read_cards(tx, [locked]))[0]
        news = [sql.NewEvent(ended.account_id, ended.id, "completed")]
        if ended.codes_received == 0:
            amount = await wallet.refund_order(tx, ended.id)
            ended = await sql.set_refunded(tx, ended.id)
            news.append(sql.NewEvent(ended.account_id, ended.id, "refunded"))
            await _tell(desk, tx, ended, amount)
        await sql.insert_events(tx, news)
        return (await read_cards(tx, [ended]))[0]


async def _tell(desk: Desk, tx: Tx, order: Order, amount: Paise) -> None:
    person = (await accounts.recipients(tx, [order.account_id])).get(order.account_id)
    if person is None or desk.vault is None:
        return
    data: dict[str, str | int | None] = {
        "name": person.name, "order": int(order.id), "amount": format_rupees(amount)
    }  # fmt: skip
    notice = Notice("order_refunded", person.email, data, f"order_refunded:{order.id}", order.account_id)
    await notifications.enqueue(tx, desk.vault, [notice])
