"""Statements on rentals: keeping them, and buying more hours for them."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from numberdesk.base.db import Tx, many, maybe, one, rows, run, value
from numberdesk.orders.model import Order, OrderId, Prolongation
from numberdesk.providers.model import ProviderId


async def list_rentals_due(tx: Tx, provider_id: ProviderId, *, limit: int) -> list[Order]:
    """Return rentals that have their number and are due for a look, those first that have waited longest for one."""
    return await many(
        tx,
        Order,
        """
        SELECT * FROM orders
        WHERE provider_id = $1 AND hours IS NOT NULL AND ended_at IS NULL AND activated_at IS NOT NULL
          AND state IN ('active', 'received') AND coalesce(next_try_at <= clock_timestamp(), true)
        ORDER BY next_try_at NULLS FIRST LIMIT $2
        """,
        provider_id,
        limit,
    )


async def list_prolonging_numbers(tx: Tx, provider_id: ProviderId, numbers: Sequence[str]) -> set[str]:
    """Return which of these numbers have rentals of a provider for which more hours are being bought."""
    found = await rows(
        tx,
        """
        SELECT number FROM orders
        WHERE provider_id = $1 AND is_prolonging AND ended_at IS NULL AND number = ANY($2::text[])
        """,
        provider_id,
        numbers,
    )
    return {row[0] for row in found}


async def set_due_kept(tx: Tx, *, window: timedelta, limit: int) -> list[Order]:
    """active -> received where the time in which a rental may be cancelled is over; it is paid, with no message yet."""
    return await many(
        tx,
        Order,
        """
        UPDATE orders SET state = 'received', upstream_refund = 'none',
                          changed_at = greatest(now, orders.changed_at + interval '1 microsecond')
        FROM clock_timestamp() AS now
        WHERE id = ANY(ARRAY(SELECT id FROM orders
                     WHERE state = 'active' AND hours IS NOT NULL
                       AND sent_at <= (SELECT clock_timestamp() - $1::interval)
                     ORDER BY sent_at LIMIT $2 FOR UPDATE SKIP LOCKED))
        RETURNING orders.*
        """,
        window,
        limit,
    )


async def set_kept(tx: Tx, order_id: OrderId) -> Order | None:
    """active or cancelling -> received, for a rental that is locked."""
    return await maybe(
        tx,
        Order,
        """
        UPDATE orders SET state = 'received', upstream_refund = 'none', next_try_at = NULL, tries = 0,
                          changed_at = greatest(now, orders.changed_at + interval '1 microsecond')
        FROM clock_timestamp() AS now
        WHERE id = $1 AND hours IS NOT NULL AND state IN ('active', 'cancelling') RETURNING orders.*
        """,
        order_id,
    )


async def set_revoked(tx: Tx, order_ids: Sequence[OrderId]) -> None:
    """Note of paid rentals that go on that their provider says that they are over, if it did not before."""
    await run(
        tx,
        """
        UPDATE orders SET revoked_at = clock_timestamp()
        WHERE id = ANY($1::bigint[]) AND state = 'received' AND hours IS NOT NULL AND revoked_at IS NULL
        """,
        order_ids,
    )


async def clear_revoked(tx: Tx, order_ids: Sequence[OrderId]) -> None:
    """Forget of rentals that go on that their provider said otherwise."""
    query = "UPDATE orders SET revoked_at = NULL WHERE id = ANY($1::bigint[]) AND ended_at IS NULL"
    await run(tx, query, order_ids)


async def list_sure_revoked(tx: Tx, order_ids: Sequence[OrderId], *, after: timedelta) -> set[OrderId]:
    """Return those of which their provider has said for so long that they are over."""
    query = "SELECT id FROM orders WHERE id = ANY($1::bigint[]) AND revoked_at <= clock_timestamp() - $2::interval"
    return {row[0] for row in await rows(tx, query, order_ids, after)}


async def set_revoked_ended(tx: Tx, order_id: OrderId) -> Order | None:
    """received -> completed for a locked rental that its provider took back; there is nothing to tell it."""
    return await maybe(
        tx,
        Order,
        """
        UPDATE orders SET state = 'completed', failure = 'provider_cancelled', upstream_refund = 'assumed',
                          ended_at = now, next_try_at = NULL,
                          changed_at = greatest(now, orders.changed_at + interval '1 microsecond')
        FROM clock_timestamp() AS now
        WHERE id = $1 AND state = 'received' AND hours IS NOT NULL AND revoked_at IS NOT NULL AND NOT is_prolonging
        RETURNING orders.*
        """,
        order_id,
    )


async def insert_prolongation(
    tx: Tx, order: Order, *, request_key: str, hours: int, price_paise: int, cost_paise: int
) -> Prolongation:
    """Write that more hours are asked for; the order is locked, and no others are being bought for it."""
    return await one(
        tx,
        Prolongation,
        """
        INSERT INTO prolongations (order_id, request_key, hours, price_paise, cost_paise, provider_id, upstream_id,
                                   ended_before, sent_at)
        SELECT id, $2, $3, $4, $5, provider_id, upstream_id, expires_at, clock_timestamp() FROM orders WHERE id = $1
        RETURNING *
        """,
        order.id,
        request_key,
        hours,
        price_paise,
        cost_paise,
    )


async def set_prolonging(tx: Tx, order_id: OrderId) -> Order:
    """An order that is locked, for which more hours are being bought from now on."""
    return await one(
        tx,
        Order,
        """
        UPDATE orders SET is_prolonging = true, changed_at = greatest(now, orders.changed_at + interval '1 microsecond')
        FROM clock_timestamp() AS now WHERE id = $1 RETURNING orders.*
        """,
        order_id,
    )


async def find_prolongation(tx: Tx, order_id: OrderId, request_key: str) -> Prolongation | None:
    """Return what a request bought, or is buying, for an order."""
    query = "SELECT * FROM prolongations WHERE order_id = $1 AND request_key = $2"
    return await maybe(tx, Prolongation, query, order_id, request_key)


async def lock_prolongation(tx: Tx, prolongation_id: int) -> Prolongation:
    """Lock a prolongation; its order is locked before."""
    return await one(tx, Prolongation, "SELECT * FROM prolongations WHERE id = $1 FOR UPDATE", prolongation_id)


async def list_prolongations(tx: Tx, order_id: OrderId) -> list[Prolongation]:
    """Return what was bought for an order after it was rented, oldest first."""
    return await many(tx, Prolongation, "SELECT * FROM prolongations WHERE order_id = $1 ORDER BY id", order_id)


async def set_prolongation_unknown(tx: Tx, prolongation_id: int) -> Prolongation | None:
    """requested -> unknown; a pass takes it from here."""
    return await maybe(
        tx,
        Prolongation,
        """
        UPDATE prolongations SET state = 'unknown', next_try_at = clock_timestamp()
        WHERE id = $1 AND state = 'requested' RETURNING *
        """,
        prolongation_id,
    )


async def set_prolongation_settled(tx: Tx, prolongation_id: int, *, state: str, refusal: str) -> None:
    """requested or unknown -> done or refused."""
    await run(
        tx,
        """
        UPDATE prolongations SET state = $2, refusal = $3, settled_at = clock_timestamp(), next_try_at = NULL
        WHERE id = $1 AND state IN ('requested', 'unknown')
        """,
        prolongation_id,
        state,
        refusal,
    )


async def set_prolonged(tx: Tx, order_id: OrderId, *, upstream_id: str, ends_at: datetime | None, hours: int) -> Order:
    """A later end of a rental that is locked, under the id that its provider knows it by now; it never ends earlier.

    Args:
        ends_at: as the provider says it; without one, or with one that is not later by at least half an hour, as when
            the former end is told again in other seconds than ours, the hours are added to the end.
    """
    return await one(
        tx,
        Order,
        """
        UPDATE orders SET
            expires_at = until, last_expiry_at = until,
            upstream_id = $2, extensions = extensions + 1, is_prolonging = false,
            changed_at = greatest(now, orders.changed_at + interval '1 microsecond')
        FROM clock_timestamp() AS now, (
            SELECT CASE WHEN $3 > expires_at + interval '30 minutes' THEN $3
                        ELSE expires_at + make_interval(hours => $4) END AS until
            FROM orders AS known WHERE known.id = $1
        ) AS ends
        WHERE id = $1 RETURNING orders.*
        """,
        order_id,
        upstream_id,
        ends_at,
        hours,
    )


async def set_not_prolonging(tx: Tx, order_id: OrderId) -> Order:
    """An order that is locked, for which no more hours are being bought."""
    return await one(
        tx,
        Order,
        """
        UPDATE orders SET is_prolonging = false,
                          changed_at = greatest(now, orders.changed_at + interval '1 microsecond')
        FROM clock_timestamp() AS now WHERE id = $1 RETURNING orders.*
        """,
        order_id,
    )


async def add_activation(tx: Tx, order: Order, upstream_id: str) -> bool:
    """Write a new id of a rental down and keep the old ones as its former; False if somebody else has it."""
    added = await run(
        tx,
        """
        INSERT INTO activations AS known (provider_id, upstream_id, order_id, is_former) VALUES ($1, $2, $3, true)
        ON CONFLICT (provider_id, upstream_id) DO UPDATE SET is_former = true WHERE known.order_id = $3
        """,
        order.provider_id,
        upstream_id,
        order.id,
    )
    if added != 1:
        return False
    # One after the other: at no moment an order has two that are not former.
    await run(tx, "UPDATE activations SET is_former = true WHERE order_id = $1", order.id)
    query = "UPDATE activations SET is_former = false WHERE order_id = $1 AND upstream_id = $2"
    await run(tx, query, order.id, upstream_id)
    return True


async def is_prolonged_lately(tx: Tx, order_id: OrderId, *, lately: timedelta) -> bool:
    """Tell whether more hours were bought for an order a moment ago."""
    query = """
        SELECT EXISTS (SELECT FROM prolongations
                       WHERE order_id = $1 AND settled_at > (SELECT clock_timestamp() - $2::interval))
        """
    found: bool = await value(tx, query, order_id, lately)
    return found


async def list_prolonging_providers(tx: Tx) -> set[ProviderId]:
    """Return the providers at which a prolongation is not settled."""
    query = "SELECT DISTINCT provider_id FROM prolongations WHERE state IN ('requested', 'unknown')"
    return {ProviderId(row[0]) for row in await rows(tx, query)}


async def list_stale_prolongations(
    tx: Tx, provider_id: ProviderId, settle_after: timedelta, *, limit: int
) -> list[Prolongation]:
    """Return those whose process is gone, unlocked."""
    return await many(
        tx,
        Prolongation,
        """
        SELECT * FROM prolongations
        WHERE provider_id = $1 AND state = 'requested' AND sent_at < (SELECT clock_timestamp() - $2::interval)
        ORDER BY sent_at LIMIT $3
        """,
        provider_id,
        settle_after,
        limit,
    )


async def lease_prolongations(
    tx: Tx, provider_id: ProviderId, settle_after: timedelta, *, lease_seconds: int, limit: int
) -> list[Prolongation]:
    """Take doubtful ones that are due and that nobody can be asking for any more; each waits longer every time."""
    return await many(
        tx,
        Prolongation,
        """
        UPDATE prolongations SET tries = least(tries + 1, 1000),
            next_try_at = clock_timestamp() + make_interval(secs => $3 * (array[1, 2, 4, 8, 16])[least(tries, 4) + 1])
        WHERE id = ANY(ARRAY(SELECT id FROM prolongations
                     WHERE provider_id = $1 AND state = 'unknown' AND next_try_at <= clock_timestamp()
                       AND sent_at < (SELECT clock_timestamp() - $2::interval)
                     ORDER BY next_try_at LIMIT $4 FOR UPDATE SKIP LOCKED))
        RETURNING *
        """,
        provider_id,
        settle_after,
        lease_seconds,
        limit,
    )
