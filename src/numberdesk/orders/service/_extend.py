"""Selling more time on a number."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from numberdesk.base.db import Tx
from numberdesk.base.errors import AppError, InvalidFields, NotFound
from numberdesk.base.money import Paise
from numberdesk.maintenance import service as maintenance
from numberdesk.maintenance.model import Intent
from numberdesk.orders import sql
from numberdesk.orders.model import Card, Order, OrderId
from numberdesk.orders.service._board import read_cards
from numberdesk.orders.service._close import NotPossibleNow, told_status
from numberdesk.orders.service._desk import Desk
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import AccountId, HoldWanted

MINUTES_MAX = 60 * 24


@dataclass(eq=False)
class CannotExtend(AppError):
    """The provider does not sell more time on this number, or not that much."""

    latest: datetime | None

    status = 409
    code = "cannot_extend"
    category = "transaction"

    def sentence(self) -> str:
        if self.latest is None:
            return "The time of this number cannot be extended."
        return f"This number can be extended until {self.latest:%H:%M:%S} UTC at the latest."


async def extend(
    desk: Desk, *, account_id: AccountId, order_id: OrderId, minutes: int, request_key: str | None = None
) -> Card:
    """Lengthen an order at the price its server states; the fee shares the order's fate: no code, no fee.

    Args:
        request_key: the caller's Idempotency-Key; a repeat with it takes no fee twice.

    Raises:
        NotFound: no such order, or somebody else's.
        NotPossibleNow: the order is neither waiting nor received.
        Closed: it is under maintenance.
        CannotExtend: not offered, beyond the provider's own limit, or over already.
        InsufficientBalance: the fee is not there.
    """
    if not 1 <= minutes <= MINUTES_MAX:
        raise InvalidFields({"minutes": f"must be a whole number from 1 to {MINUTES_MAX}"})
    card = await desk.db.to_the_end(_extend(desk, account_id, order_id, minutes, request_key))
    desk.show([card])
    return card


async def _extend(desk: Desk, account_id: AccountId, order_id: OrderId, minutes: int, request_key: str | None) -> Card:
    async with desk.db.transaction() as tx:
        locked = await sql.lock_orders(tx, [order_id])
        if not locked or locked[0].account_id != account_id:
            raise NotFound(what="order")
        order = locked[0]
        purpose = _purpose(order, request_key)
        if not await wallet.has_hold(tx, order_id=order.id, purpose=purpose):
            intent = Intent("extend", account_id, order.provider_id, order.service, order.country)
            await maintenance.refuse_in(tx, desk.switches, intent)
            until, fee = await _terms(tx, desk, order, minutes)
            if fee:
                refusal = (await wallet.hold(tx, [HoldWanted(account_id, order.id, purpose, fee)]))[0]
                if refusal is not None:
                    raise refusal
                if order.state == "received":
                    await wallet.capture(tx, [order.id])
            order = await sql.set_extended(tx, order.id, until=until)
            await sql.insert_events(tx, [sql.NewEvent(account_id, order.id, "extended", order.extensions)])
        return (await read_cards(tx, [order]))[0]


def _purpose(order: Order, request_key: str | None) -> str:
    if request_key is None:
        return f"extend:{order.extensions + 1}"
    return f"extend:{hashlib.sha256(request_key.encode()).hexdigest()[:24]}"


async def _terms(tx: Tx, desk: Desk, order: Order, minutes: int) -> tuple[datetime, Paise]:
    """Return until when the order would live, and the fee for it."""
    if order.state not in ("active", "received") or order.expires_at is None or order.last_expiry_at is None:
        raise NotPossibleNow(order_status=told_status(order.state), wanted="extended")
    server = desk.shelf.contents_of(order.account_id).servers.get(order.provider_id)
    if server is None or server.extend_paise_per_minute is None:
        raise CannotExtend(latest=None)
    until = order.expires_at + timedelta(minutes=minutes)
    if until > order.last_expiry_at:
        raise CannotExtend(latest=order.last_expiry_at if order.last_expiry_at > order.expires_at else None)
    if await sql.is_past(tx, until, timedelta(0)):
        raise CannotExtend(latest=None)
    return until, Paise(server.extend_paise_per_minute * minutes)
