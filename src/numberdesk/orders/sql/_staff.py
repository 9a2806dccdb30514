"""Statements behind what staff see and do with anybody's orders."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from numberdesk.base.db import Tx, many, one, run
from numberdesk.orders.model import Event, Order, OrderId


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which orders staff look for; None is any."""

    states: Sequence[str] | None = None
    account_id: int | None = None
    service: str | None = None
    country: int | None = None
    provider_id: int | None = None
    number: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    is_revoked: bool | None = None
    """Paid rentals that their provider ended before their time, and whose money was not given back."""


@dataclass(frozen=True, slots=True)
class Sms:
    """A message of an order, readable for its buyer or not."""

    ordinal: int
    code: str
    text: str
    received_at: datetime
    is_sealed: bool


async def plan_for_values(tx: Tx) -> None:
    """Have statements of this transaction planned for the values they get, so that a filter can use its index."""
    await run(tx, "SET LOCAL plan_cache_mode = force_custom_plan")


async def list_wanted(tx: Tx, wanted: Wanted, *, before: int | None, limit: int) -> list[Order]:
    """Return orders of anybody, newest first."""
    return await many(
        tx,
        Order,
        """
        SELECT * FROM orders
        WHERE ($1::text[] IS NULL OR state = ANY($1)) AND ($2::bigint IS NULL OR account_id = $2)
          AND ($3::text IS NULL OR service = $3) AND ($4::int IS NULL OR country = $4)
          AND ($5::smallint IS NULL OR provider_id = $5) AND ($6::text IS NULL OR number = $6)
          AND ($7::timestamptz IS NULL OR created_at >= $7) AND ($8::timestamptz IS NULL OR created_at < $8)
          AND ($9::bigint IS NULL OR id < $9)
          AND ($10::boolean IS NULL OR (revoked_at IS NOT NULL AND refunded_at IS NULL) = $10)
        ORDER BY id DESC LIMIT $11
        """,
        wanted.states,
        wanted.account_id,
        wanted.service,
        wanted.country,
        wanted.provider_id,
        wanted.number,
        wanted.since,
        wanted.until,
        before,
        wanted.is_revoked,
        limit,
    )


async def list_all_messages(tx: Tx, order_id: OrderId, since: datetime) -> list[Sms]:
    """Return every message of an order that was made then, sealed ones too."""
    return await many(
        tx, Sms, "SELECT * FROM messages WHERE order_id = $1 AND received_at >= $2 ORDER BY ordinal", order_id, since
    )


async def list_order_events(tx: Tx, order: Order) -> list[Event]:
    """Return what the buyer of an order was told, as long as it is kept."""
    return await many(
        tx,
        Event,
        "SELECT * FROM order_events WHERE order_id = $1 AND account_id = $2 ORDER BY seq",
        order.id,
        order.account_id,
    )


async def set_refunded(tx: Tx, order_id: OrderId) -> Order:
    """Note that the money of a locked order went back."""
    return await one(
        tx,
        Order,
        """
        UPDATE orders SET refunded_at = now, changed_at = greatest(now, orders.changed_at + interval '1 microsecond')
        FROM clock_timestamp() AS now WHERE id = $1 RETURNING orders.*
        """,
        order_id,
    )
