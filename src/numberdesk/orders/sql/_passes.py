"""Statements of the background passes: taking due rows, and what providers say we own.

Due rows are chosen in an ARRAY, which is made once: `IN (SELECT … LIMIT …)` may be run anew for each row, and then
takes more than its limit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from numberdesk.base.db import Tx, many, one, rows, run, value
from numberdesk.orders.model import Order, OrderId
from numberdesk.providers.model import ProviderId


@dataclass(frozen=True, slots=True)
class Live:
    """A doubtful order as the watch of its provider sees it."""

    id: OrderId
    state: str
    upstream_id: str | None
    service: str
    country: int
    attempt: int
    cost_paise: int
    codes_received: int
    codes_wanted: int
    sent_at: datetime
    next_try_at: datetime | None
    tries: int
    is_due: bool
    """True when a single look is due, should a list not name it."""
    is_settled: bool
    """True when no process can still be working on the upstream call that made it."""
    hours: int | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """What a watch finds when its turn comes: orders that wait, purchases in doubt, the database's time, and pushes.

    Rentals that have their number are not among those that wait, since no list brings their messages.
    """

    waiting: int
    in_doubt: int
    rentals: int
    rentals_in_doubt: int
    now: datetime
    is_pushing: bool
    """True when a message that the provider posted reached its order lately."""


async def read_turn(tx: Tx, provider_id: ProviderId, *, lately: timedelta) -> Turn:
    """Return what waits at a provider, and whether it has posted a message for an order lately."""
    return await one(
        tx,
        Turn,
        """
        SELECT count(*) FILTER (WHERE hours IS NULL OR upstream_id IS NULL) AS waiting,
               count(*) FILTER (WHERE state IN ('requested', 'unknown')) AS in_doubt,
               count(*) FILTER (WHERE hours IS NOT NULL AND upstream_id IS NOT NULL) AS rentals,
               count(*) FILTER (WHERE hours IS NOT NULL AND state IN ('requested', 'unknown')) AS rentals_in_doubt,
               clock_timestamp() AS now,
               EXISTS (SELECT FROM inbound_messages
                       WHERE provider_id = $1 AND state = 'delivered'
                         AND settled_at > (SELECT clock_timestamp() - $2::interval))
               AS is_pushing
        FROM orders
        WHERE provider_id = $1 AND ended_at IS NULL
          AND (state <> 'received' OR codes_wanted > codes_received OR hours IS NOT NULL)
        """,
        provider_id,
        lately,
    )


async def list_doubtful(tx: Tx, provider_id: ProviderId, settle_after: timedelta) -> list[Live]:
    """Return the orders of a provider whose purchase is on its way or unknown."""
    return await many(
        tx,
        Live,
        """
        SELECT *, coalesce(next_try_at <= now, true) AS is_due, sent_at + $2::interval < now AS is_settled
        FROM orders, clock_timestamp() AS now
        WHERE provider_id = $1 AND ended_at IS NULL AND state IN ('requested', 'unknown') ORDER BY id
        """,
        provider_id,
        settle_after,
    )


async def list_unlisted(
    tx: Tx, provider_id: ProviderId, listed: Sequence[str], *, before: datetime, limit: int
) -> list[Order]:
    """Return waiting orders, sold before a list was asked for, that it does not name and that are due for a look.

    The comparison is the database's: what a list names, which is nearly all, never leaves it.
    """
    return await many(
        tx,
        Order,
        """
        SELECT * FROM orders
        WHERE provider_id = $1 AND ended_at IS NULL AND activated_at < $3 AND hours IS NULL
          AND (state = 'active' OR state = 'received' AND codes_wanted > codes_received)
          AND coalesce(next_try_at <= clock_timestamp(), true)
          AND NOT EXISTS (SELECT FROM unnest($2::text[]) AS listed (upstream_id)
                          WHERE listed.upstream_id = orders.upstream_id)
        ORDER BY id LIMIT $4
        """,
        provider_id,
        listed,
        before,
        limit,
    )


async def list_strangers(tx: Tx, provider_id: ProviderId, upstream_ids: Sequence[str]) -> list[str]:
    """Return which of a provider's activations belong to no order of ours."""
    return [
        row[0]
        for row in await rows(
            tx,
            """
            SELECT upstream_id FROM unnest($2::text[]) AS listed (upstream_id)
            WHERE NOT EXISTS (SELECT FROM activations
                              WHERE provider_id = $1 AND activations.upstream_id = listed.upstream_id)
            ORDER BY upstream_id
            """,
            provider_id,
            upstream_ids,
        )
    ]


async def insert_orphans(tx: Tx, provider_id: ProviderId, upstream_ids: Sequence[str]) -> None:
    """Remember when an activation without an order was first seen."""
    await run(
        tx,
        """
        INSERT INTO orphans (provider_id, upstream_id) SELECT $1, unnest($2::text[]) ON CONFLICT DO NOTHING
        """,
        provider_id,
        upstream_ids,
    )


async def list_seen_orphans(tx: Tx, provider_id: ProviderId, upstream_ids: Sequence[str]) -> dict[str, datetime]:
    """Return when each was first seen, of those that nothing was done about yet."""
    found = await rows(
        tx,
        """
        SELECT upstream_id, first_seen_at FROM orphans
        WHERE provider_id = $1 AND upstream_id = ANY($2::text[]) AND state = 'seen'
        """,
        provider_id,
        upstream_ids,
    )
    return {upstream_id: first_seen_at for upstream_id, first_seen_at in found}  # noqa: C416 - names say what it is


async def list_ripe_orphans(
    tx: Tx, provider_id: ProviderId, upstream_ids: Sequence[str], settle_after: timedelta
) -> list[str]:
    """Return those that no running purchase can be about any more, oldest first."""
    return [
        row[0]
        for row in await rows(
            tx,
            """
            SELECT upstream_id FROM orphans
            WHERE provider_id = $1 AND upstream_id = ANY($2::text[]) AND state = 'seen'
              AND first_seen_at + $3::interval < clock_timestamp()
            ORDER BY first_seen_at, upstream_id
            """,
            provider_id,
            upstream_ids,
            settle_after,
        )
    ]


async def set_orphans_cancelling(tx: Tx, provider_id: ProviderId, upstream_ids: Sequence[str]) -> int:
    """seen -> cancelling, or new as cancelling; one that belongs to an order is left alone."""
    return await run(
        tx,
        """
        INSERT INTO orphans AS known (provider_id, upstream_id, state, next_try_at)
        SELECT $1, orphan.upstream_id, 'cancelling', clock_timestamp()
        FROM unnest($2::text[]) AS orphan (upstream_id)
        WHERE NOT EXISTS (SELECT FROM activations AS owned
                          WHERE owned.provider_id = $1 AND owned.upstream_id = orphan.upstream_id)
        ON CONFLICT (provider_id, upstream_id) DO UPDATE SET state = 'cancelling', next_try_at = clock_timestamp()
        WHERE known.state = 'seen'
        """,
        provider_id,
        upstream_ids,
    )


async def set_orphan(tx: Tx, provider_id: ProviderId, upstream_id: str, state: str) -> None:
    """Any state -> linked, cancelled or lost."""
    await run(
        tx,
        "UPDATE orphans SET state = $3, next_try_at = NULL WHERE provider_id = $1 AND upstream_id = $2",
        provider_id,
        upstream_id,
        state,
    )


async def lease_orphans(tx: Tx, *, lease_seconds: int, limit: int) -> list[tuple[ProviderId, str, int]]:
    """Take due orphans that no order has; returns (provider, activation, tries so far)."""
    return [
        (provider_id, upstream_id, tries)
        for provider_id, upstream_id, tries in await rows(
            tx,
            """
            UPDATE orphans SET next_try_at = clock_timestamp() + make_interval(secs => $1), tries = tries + 1
            WHERE (provider_id, upstream_id) IN (
                SELECT provider_id, upstream_id FROM orphans AS due
                WHERE next_try_at <= clock_timestamp()
                  AND NOT EXISTS (SELECT FROM activations AS owned
                                  WHERE (owned.provider_id, owned.upstream_id) = (due.provider_id, due.upstream_id))
                ORDER BY next_try_at LIMIT $2 FOR UPDATE SKIP LOCKED)
            RETURNING provider_id, upstream_id, tries
            """,
            lease_seconds,
            limit,
        )
    ]


async def delete_old_orphans(tx: Tx, *, keep: timedelta, limit: int) -> int:
    """Forget settled sightings; what is being cancelled, or was lost, stays."""
    return await run(
        tx,
        """
        DELETE FROM orphans WHERE (provider_id, upstream_id) IN (
            SELECT provider_id, upstream_id FROM orphans
            WHERE state IN ('seen', 'linked', 'cancelled') AND first_seen_at + $1::interval < clock_timestamp()
            LIMIT $2)
        """,
        keep,
        limit,
    )


async def set_stale_unknown(tx: Tx, provider_id: ProviderId, settle_after: timedelta, *, limit: int) -> list[Order]:
    """requested -> unknown where the process that asked this provider is gone."""
    return await many(
        tx,
        Order,
        """
        UPDATE orders SET state = 'unknown', next_try_at = now,
                          changed_at = greatest(now, orders.changed_at + interval '1 microsecond')
        FROM clock_timestamp() AS now
        WHERE id = ANY(ARRAY(SELECT id FROM orders
                     WHERE provider_id = $1 AND ended_at IS NULL AND state = 'requested'
                       AND sent_at + $2::interval < clock_timestamp()
                     ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED))
        RETURNING orders.*
        """,
        provider_id,
        settle_after,
        limit,
    )


async def set_due_expiring(tx: Tx, *, limit: int) -> list[Order]:
    """active -> expiring where the time is over; a rental does not expire, it is kept when its window is over."""
    return await many(
        tx,
        Order,
        """
        UPDATE orders SET state = 'expiring', next_try_at = now, tries = 0,
                          changed_at = greatest(now, orders.changed_at + interval '1 microsecond')
        FROM clock_timestamp() AS now
        WHERE id = ANY(ARRAY(SELECT id FROM orders
                     WHERE state = 'active' AND hours IS NULL AND expires_at <= clock_timestamp()
                     ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED))
        RETURNING orders.*
        """,
        limit,
    )


async def set_due_completed(tx: Tx, *, limit: int) -> list[Order]:
    """received -> completed where the time is over."""
    return await many(
        tx,
        Order,
        """
        UPDATE orders SET state = 'completed', ended_at = now, next_try_at = NULL, release_due = true,
                          changed_at = greatest(now, orders.changed_at + interval '1 microsecond')
        FROM clock_timestamp() AS now
        WHERE id = ANY(ARRAY(SELECT id FROM orders
                     WHERE state = 'received' AND NOT is_prolonging AND expires_at <= clock_timestamp()
                     ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED))
        RETURNING orders.*
        """,
        limit,
    )


async def lease_ending(tx: Tx, *, lease_seconds: int, limit: int) -> list[Order]:
    """Take orders that are cancelling or expiring and due."""
    return await many(
        tx,
        Order,
        """
        UPDATE orders SET next_try_at = clock_timestamp() + make_interval(secs => $1), tries = tries + 1
        WHERE id = ANY(ARRAY(SELECT id FROM orders
                     WHERE next_try_at <= clock_timestamp() AND state IN ('cancelling', 'expiring')
                     ORDER BY next_try_at LIMIT $2 FOR UPDATE SKIP LOCKED))
        RETURNING *
        """,
        lease_seconds,
        limit,
    )


async def is_past(tx: Tx, moment: datetime, grace: timedelta) -> bool:
    """Tell by the database's clock whether a moment plus a grace time is over."""
    past: bool = await value(tx, "SELECT $1::timestamptz + $2::interval < clock_timestamp()", moment, grace)
    return past


async def set_looked(tx: Tx, order_ids: Sequence[int], *, wait_seconds: int) -> None:
    """Push the next single look at some orders into the future, later each time; who is locked is looked at sooner.

    Rentals live long and may receive something at any time: they are looked at often for longer, and then now and then.
    """
    await run(
        tx,
        """
        UPDATE orders SET tries = least(tries + 1, CASE WHEN hours IS NULL THEN 6 ELSE 40 END),
            next_try_at = clock_timestamp() + make_interval(secs => $2 * CASE
                WHEN hours IS NULL OR state = 'unknown'
                THEN (array[1, 1.5, 2.5, 4, 6.5, 10, 10])[least(tries, 6) + 1]
                ELSE (array[1.5, 2.5, 5, 10, 15])[least(tries / 10, 4) + 1] END)
        WHERE id = ANY(ARRAY(SELECT id FROM orders
                     WHERE id = ANY($1::bigint[]) AND state IN ('unknown', 'active', 'received')
                     ORDER BY id FOR UPDATE SKIP LOCKED))
        """,
        order_ids,
        wait_seconds,
    )
