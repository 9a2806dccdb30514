"""What staff decide about withheld messages, and what is taken out of old ones."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from numberdesk.audit import service as audit
from numberdesk.audit.model import Event
from numberdesk.base.db import Database, Tx
from numberdesk.base.errors import AppError, NotFound
from numberdesk.orders import sql
from numberdesk.orders.model import LISTENING, Card, OrderId, Withheld, WithheldNews, WithheldState
from numberdesk.orders.service._board import read_cards
from numberdesk.orders.service._close import NotPossibleNow
from numberdesk.orders.service._desk import Desk
from numberdesk.orders.service._reserve import purpose
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import AccountId, HoldWanted

LIST_MAX = 100
_CODE = re.compile(r"\d")


@dataclass(eq=False)
class AlreadyDecided(AppError):
    """Somebody decided about this message before."""

    decision: str

    status = 409
    code = "already_decided"
    category = "transaction"
    message = "This message was {decision} before."


@dataclass(eq=False)
class MoneyWentBack(AppError):
    """Its order was paid back, or ended unpaid in another way: nobody gets the message for nothing."""

    status = 409
    code = "money_went_back"
    category = "transaction"
    message = "The money of this order went back: its messages stay sealed. This one can only be confirmed."


@dataclass(eq=False)
class MessagePurged(AppError):
    """The text is gone: it cannot be given to anybody any more."""

    status = 409
    code = "message_purged"
    category = "transaction"
    message = "The text of this message was purged; it can only be confirmed."


@dataclass(eq=False)
class BuyerCannotPay(AppError):
    """The money of a frozen, banned or closed account is not touched."""

    account_state: str

    status = 409
    code = "buyer_cannot_pay"
    category = "transaction"
    message = "The account of the buyer is {account_state}: it pays for nothing. Decide again when it is open."


async def list_withheld(
    db: Database,
    *,
    state: WithheldState | None,
    account_id: int | None = None,
    before: datetime | None = None,
    limit: int = 50,
) -> list[Withheld]:
    """Return withheld messages, newest first, with a dot for every digit of their texts: staff never read a code."""
    async with db.statement() as tx:
        found = await sql.list_withheld(
            tx, state=state, account_id=account_id, before=before, limit=min(limit, LIST_MAX)
        )
    return [_masked(item) for item in found]


async def take_withheld_news(tx: Tx, *, limit: int) -> list[WithheldNews]:
    """Return messages that the staff are to be told of; they count as told once the transaction is committed."""
    return await sql.take_withheld_news(tx, limit=limit)


def _masked(item: Withheld) -> Withheld:
    return item if item.purged_at is not None else replace(item, text=_CODE.sub("•", item.text))


async def release(
    desk: Desk, *, order_id: OrderId, ordinal: int, by: AccountId, reason: str, event: Event
) -> tuple[Withheld, Card]:
    """Give a withheld message to its buyer after all, who pays for it as for any other.

    An order that ended for it is paid now, at its price; one that was paid before costs nothing more. A rental that
    goes on and received nothing else is paid by the money that is held for it.

    Raises:
        NotFound: nothing was withheld there.
        AlreadyDecided, MessagePurged, MoneyWentBack: too late.
        NotPossibleNow: the order is just ending.
        InsufficientBalance, BuyerCannotPay: the buyer cannot pay; nothing changed.
    """
    return await desk.db.to_the_end(_release(desk, order_id, ordinal, by, reason, event))


async def _release(
    desk: Desk, order_id: OrderId, ordinal: int, by: AccountId, reason: str, event: Event
) -> tuple[Withheld, Card]:
    async with desk.db.transaction() as tx:
        locked = await sql.lock_orders(tx, [order_id])
        item = await _undecided(tx, order_id, ordinal)
        order = locked[0]
        if item.purged_at is not None:
            raise MessagePurged
        if order.state not in ("received", "completed"):
            await _refuse_shut(tx, order.account_id)
        events = [sql.NewEvent(order.account_id, order_id, "code", ordinal)]
        if order.state == "cancelled" and order.failure == "withheld":
            wanted = HoldWanted(order.account_id, order_id, purpose(order.attempt + 1), order.price_paise)
            refusal = (await wallet.hold(tx, [wanted]))[0]
            if refusal is not None:
                raise refusal
            await wallet.capture(tx, [order_id])
            paid = await sql.set_released_after_all(tx, order_id)
            assert paid is not None, "a locked order changed"
            order = paid
            events.append(sql.NewEvent(order.account_id, order_id, "completed"))
        elif order.is_given_back:
            raise MoneyWentBack
        elif order.state in LISTENING or order.state in ("received", "completed"):
            if order.state in LISTENING:
                captured = await wallet.capture(tx, [order_id])
                assert captured.keys() == {order_id}, "an order that listens has no live hold"
            order = (await sql.set_received(tx, [(order_id, 1)]))[0]
        else:
            raise NotPossibleNow(order_status=order.state, wanted="paid")
        await sql.set_unsealed(tx, order_id, ordinal)
        await sql.set_decided(tx, order_id, ordinal, state="released", by=by, reason=reason)
        item = await sql.find_withheld(tx, order_id, ordinal) or item
        card = (await read_cards(tx, [order]))[0]
        await audit.record(tx, event)
        await sql.insert_events(tx, events)
    desk.show([card])
    return _masked(item), card


async def _refuse_shut(tx: Tx, account_id: AccountId) -> None:
    state = await sql.get_account_state(tx, account_id)
    if state not in ("active", "limited"):
        raise BuyerCannotPay(account_state=state)


async def confirm(
    db: Database, *, order_id: OrderId, ordinal: int, by: AccountId, reason: str, event: Event
) -> Withheld:
    """Confirm that a message was rightly withheld: it is never shown, and its account is flagged by it.

    Raises:
        NotFound: nothing was withheld there.
        AlreadyDecided: too late.
    """
    async with db.transaction() as tx:
        item = await _undecided(tx, order_id, ordinal)
        await sql.set_decided(tx, order_id, ordinal, state="confirmed", by=by, reason=reason)
        item = await sql.find_withheld(tx, order_id, ordinal) or item
        await audit.record(tx, event)
    return _masked(item)


async def find_owner(db: Database, *, order_id: OrderId, ordinal: int) -> AccountId:
    """Return whose a withheld message is.

    Raises:
        NotFound: nothing was withheld there.
    """
    async with db.transaction() as tx:
        item = await sql.find_withheld(tx, order_id, ordinal)
    if item is None:
        raise NotFound(what="withheld message")
    return item.account_id


async def _undecided(tx: Tx, order_id: OrderId, ordinal: int) -> Withheld:
    item = await sql.find_withheld(tx, order_id, ordinal)
    if item is None:
        raise NotFound(what="withheld message")
    if item.state != "held":
        raise AlreadyDecided(decision=item.state)
    return item


async def purge_messages(desk: Desk, *, keep: timedelta, limit: int = 500) -> int:
    """Take texts and codes out of old messages of orders that are over, withheld ones too; a pass.

    The rows stay, and with them what pays for them. Every process reads those orders again, so that no memory keeps
    what the database forgot.
    """
    async with desk.db.transaction() as tx:
        due = await sql.lease_unpurged(tx, keep=keep, limit=limit)
        if not due:
            return 0
        await sql.set_purged(tx, due)
        await sql.set_changed(tx, sorted({order_id for order_id, _ in due}))
    _read_again(desk, [order_id for order_id, _ in due])
    return len(due)


def _read_again(desk: Desk, order_ids: Sequence[OrderId]) -> None:
    held = [order_id for order_id in dict.fromkeys(order_ids) if desk.board.find(order_id) is not None]
    desk.board.read_soon(held)


async def purge_inbound(desk: Desk, *, keep: timedelta, limit: int = 500) -> int:
    """Take texts and codes out of messages that were posted to us and are settled; a pass."""
    async with desk.db.statement() as tx:
        return await sql.purge_inbound(tx, keep=keep, limit=limit)


async def forget_numbers(db: Database, *, keep: timedelta, limit: int = 500) -> int:
    """Take the phone numbers out of orders that ended long ago, and forget what was withheld then; a pass.

    `00000` stands in their place.
    """
    async with db.transaction() as tx:
        withheld = await sql.delete_old_withheld(tx, keep=keep, limit=limit)
        return max(withheld, await sql.forget_numbers(tx, keep=keep, limit=limit))
