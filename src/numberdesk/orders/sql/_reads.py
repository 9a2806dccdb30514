"""Statements that read or lock orders."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from numberdesk.base.db import Tx, columns, many, maybe, rows, value
from numberdesk.orders.model import CancelWanted, Delivery, Exchange, Message, Order, OrderId, Reservation
from numberdesk.wallet.model import AccountId


async def next_order_ids(tx: Tx, count: int) -> list[int]:
    """Take ids for new orders."""
    return [
        row[0]
        for row in await rows(
            tx, "SELECT nextval(pg_get_serial_sequence('orders', 'id')) FROM generate_series(1, $1)", count
        )
    ]


async def list_requested(tx: Tx, items: Sequence[Reservation]) -> list[Order]:
    """Return the orders that these requests made before."""
    return await many(
        tx,
        Order,
        """
        SELECT orders.* FROM orders
        JOIN unnest($1::bigint[], $2::text[], $3::smallint[]) AS item (account_id, request_key, request_item)
             USING (account_id, request_key, request_item)
        """,
        *columns(items, "account_id", "request_key", "request_item"),
    )


async def list_orders_of_request(tx: Tx, account_id: AccountId, request_key: str) -> list[Order]:
    """Return the orders that a request made before, by its items."""
    query = "SELECT * FROM orders WHERE account_id = $1 AND request_key = $2 ORDER BY request_item"
    return await many(tx, Order, query, account_id, request_key)


async def lock_orders(tx: Tx, order_ids: Sequence[int]) -> list[Order]:
    """Lock orders in ascending order."""
    return await many(tx, Order, "SELECT * FROM orders WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE", order_ids)


async def lock_cancellable(
    tx: Tx, wanted: Sequence[CancelWanted], *, window: timedelta
) -> list[tuple[Order, float, bool]]:
    """Lock orders in ascending order; returns each with the seconds until its cancel is allowed (0: now).

    Args:
        window: since it was asked for, in which a rental may be cancelled; the last value says that it is over.
    """
    order_ids = sorted({item.order_id for item in wanted})
    orders = await lock_orders(tx, order_ids)
    waits = {
        row[0]: (float(row[1]), bool(row[2]))
        for row in await rows(
            tx,
            """
            SELECT id, greatest(0, extract(epoch FROM cancel_allowed_at - clock_timestamp()))::float8,
                   hours IS NOT NULL AND sent_at + $2::interval <= clock_timestamp()
            FROM orders WHERE id = ANY($1::bigint[])
            """,
            order_ids,
            window,
        )
    }
    return [(order, *waits[order.id]) for order in orders]


async def list_live_numbers(tx: Tx, numbers: Sequence[str]) -> set[tuple[str, str]]:
    """Return the (number, service) pairs that open orders have now."""
    return {
        (number, service)
        for number, service in await rows(
            tx,
            "SELECT number, service FROM orders WHERE number = ANY($1::text[]) AND ended_at IS NULL",
            numbers,
        )
    }


async def list_activation_orders(tx: Tx, deliveries: Sequence[Delivery]) -> dict[tuple[int, str], OrderId]:
    """Return the order of each (provider, activation) that is ours."""
    return {
        (provider_id, upstream_id): order_id
        for provider_id, upstream_id, order_id in await rows(
            tx,
            """
            SELECT provider_id, upstream_id, order_id FROM activations
            JOIN unnest($1::smallint[], $2::text[]) AS item (provider_id, upstream_id) USING (provider_id, upstream_id)
            """,
            *columns(deliveries, "provider_id", "upstream_id"),
        )
    }


async def list_messages(tx: Tx, order_ids: Sequence[int], since: datetime) -> list[Message]:
    """Return the readable messages of orders that were made since then, oldest first."""
    return await many(
        tx,
        Message,
        """
        SELECT * FROM messages
        WHERE order_id = ANY($1::bigint[]) AND received_at >= $2 AND NOT is_sealed ORDER BY order_id, ordinal
        """,
        order_ids,
        since,
    )


async def list_message_codes(tx: Tx, order_ids: Sequence[int], since: datetime) -> list[tuple[OrderId, str, str, bool]]:
    """Return (order, code, text, is purged) of every message of orders made since then, sealed ones included."""
    return [
        (order_id, code, text, is_purged)
        for order_id, code, text, is_purged in await rows(
            tx,
            """
            SELECT order_id, code, text, purged_at IS NOT NULL FROM messages
            WHERE order_id = ANY($1::bigint[]) AND received_at >= $2
            """,
            order_ids,
            since,
        )
    ]


async def find_order(tx: Tx, order_id: OrderId) -> Order | None:
    """Return an order, whoever it belongs to."""
    return await maybe(tx, Order, "SELECT * FROM orders WHERE id = $1", order_id)


async def list_orders_by_id(tx: Tx, order_ids: Sequence[int]) -> list[Order]:
    """Return orders, unlocked."""
    return await many(tx, Order, "SELECT * FROM orders WHERE id = ANY($1::bigint[])", order_ids)


async def list_open_orders(tx: Tx) -> list[Order]:
    """Return all orders without an end."""
    return await many(tx, Order, "SELECT * FROM orders WHERE ended_at IS NULL")


async def get_clock(tx: Tx) -> datetime:
    """Return the database's clock."""
    now: datetime = await value(tx, "SELECT clock_timestamp()")
    return now


async def list_changed_ids(tx: Tx, since: datetime) -> list[tuple[int, datetime]]:
    """Return (order, changed_at) of orders that changed since then."""
    return [
        (order_id, changed_at)
        for order_id, changed_at in await rows(tx, "SELECT id, changed_at FROM orders WHERE changed_at > $1", since)
    ]


async def list_account_orders(
    tx: Tx, *, account_id: AccountId, states: Sequence[str] | None, before: int | None, limit: int
) -> list[Order]:
    """Return an account's orders, newest first.

    Args:
        states: a rental that is paid and has received nothing yet counts as active.
    """
    return await many(
        tx,
        Order,
        """
        SELECT * FROM orders
        WHERE account_id = $1 AND ($3::bigint IS NULL OR id < $3)
          AND ($2::text[] IS NULL OR CASE WHEN state = 'received' AND codes_received = 0 THEN 'active' ELSE state END
                                     = ANY($2))
        ORDER BY id DESC LIMIT $4
        """,
        account_id,
        states,
        before,
        limit,
    )


async def list_account_page(
    tx: Tx,
    *,
    account_id: AccountId,
    since: datetime | None,
    until: datetime | None,
    is_oldest_first: bool,
    offset: int,
    limit: int,
) -> list[Order]:
    """Return a part of an account's orders by its place in the list, which long lists should not be read by."""
    # Two statements, since an order by an expression could not walk along the index.
    if is_oldest_first:
        return await many(
            tx,
            Order,
            """
            SELECT * FROM orders
            WHERE account_id = $1 AND ($2::timestamptz IS NULL OR created_at >= $2)
              AND ($3::timestamptz IS NULL OR created_at <= $3)
            ORDER BY id LIMIT $4 OFFSET $5
            """,
            account_id,
            since,
            until,
            limit,
            offset,
        )
    return await many(
        tx,
        Order,
        """
        SELECT * FROM orders
        WHERE account_id = $1 AND ($2::timestamptz IS NULL OR created_at >= $2)
          AND ($3::timestamptz IS NULL OR created_at <= $3)
        ORDER BY id DESC LIMIT $4 OFFSET $5
        """,
        account_id,
        since,
        until,
        limit,
        offset,
    )


async def count_orders(tx: Tx, account_id: AccountId, *, is_open: bool, most: int) -> int:
    """Count an account's orders, or those that are open, up to `most`."""
    found: int = await value(
        tx,
        """
        SELECT count(*)
        FROM (SELECT FROM orders WHERE account_id = $1 AND (NOT $2 OR ended_at IS NULL) LIMIT $3) AS known
        """,
        account_id,
        is_open,
        most,
    )
    return found


async def list_exchanges(tx: Tx, order_id: OrderId, since: datetime) -> list[Exchange]:
    """Return what was asked of providers for one order, oldest first."""
    return await many(
        tx, Exchange, "SELECT * FROM exchanges WHERE order_id = $1 AND at >= $2 ORDER BY at", order_id, since
    )


async def read_route(tx: Tx, order_id: OrderId) -> str | None:
    """Return how the offers of an order were ranked, as JSON; None for orders from before that was kept."""
    found: str | None = await value(tx, "SELECT route FROM orders WHERE id = $1", order_id)
    return found
