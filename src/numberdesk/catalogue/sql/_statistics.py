"""Statements that count orders by the hour they were made in, and read those counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from numberdesk.base.db import Tx, many, one, rows, run, value
from numberdesk.catalogue.model import DeliveryTotal

_RECOUNT = """
WITH settled AS MATERIALIZED (
    SELECT provider_id, service, country, operator, coalesce(charged_paise, cost_paise) AS cost_paise,
           upstream_refund AS proof,
           activated_at IS NOT NULL AS is_sold, received_at IS NOT NULL AS is_delivered,
           activated_at IS NOT NULL AND received_at IS NULL AND state = 'cancelled'
               AND failure IS NULL AS is_cancelled,
           received_at IS NULL AND (activated_at IS NOT NULL OR upstream_refund <> 'none') AS is_refund,
           price_paise + CASE WHEN extensions = 0 THEN 0 ELSE
               (SELECT coalesce(sum(amount_paise), 0) FROM holds
                WHERE order_id = orders.id AND starts_with(purpose, 'extend:') AND holds.state = 'voided')
               END AS given_back,
           CASE WHEN received_at IS NOT NULL THEN
               width_bucket(greatest(0, extract(epoch FROM received_at - activated_at) * 1000)::bigint,
                            $2::bigint[]) END AS place
    FROM orders
    WHERE created_at >= $1 AND created_at < $1 + interval '1 hour' AND NOT is_sandbox(account_id)
      AND hours IS NULL
      AND (received_at IS NOT NULL OR ended_at IS NOT NULL)
), counted AS MATERIALIZED (
    SELECT provider_id, service, country, operator,
           count(*) FILTER (WHERE is_sold) AS sold,
           count(*) FILTER (WHERE is_delivered) AS delivered,
           count(*) FILTER (WHERE is_cancelled) AS cancelled,
           count(*) FILTER (WHERE is_refund) AS refunds,
           coalesce(sum(given_back) FILTER (WHERE is_refund), 0) AS refunds_paise,
           count(*) FILTER (WHERE is_refund AND proof = 'confirmed') AS confirmed,
           coalesce(sum(cost_paise) FILTER (WHERE is_refund AND proof = 'confirmed'), 0) AS confirmed_paise,
           count(*) FILTER (WHERE is_refund AND proof = 'assumed') AS assumed,
           coalesce(sum(cost_paise) FILTER (WHERE is_refund AND proof = 'assumed'), 0) AS assumed_paise,
           count(*) FILTER (WHERE is_refund AND proof = 'refused') AS refused,
           coalesce(sum(cost_paise) FILTER (WHERE is_refund AND proof = 'refused'), 0) AS refused_paise,
           count(*) FILTER (WHERE is_refund AND proof IN ('none', 'due')) AS due,
           coalesce(sum(cost_paise) FILTER (WHERE is_refund AND proof IN ('none', 'due')), 0) AS due_paise,
           coalesce(sum(given_back) FILTER (WHERE is_refund AND proof <> 'confirmed'), 0) AS gap_paise,
           array_agg(place) FILTER (WHERE place IS NOT NULL) AS places
    FROM settled GROUP BY provider_id, service, country, operator
    HAVING bool_or(is_sold OR is_refund)
), gone AS (
    DELETE FROM delivery_stats AS old
    WHERE hour = $1
      AND NOT EXISTS (SELECT FROM counted AS new
                      WHERE (new.provider_id, new.service, new.country, new.operator)
                            = (old.provider_id, old.service, old.country, old.operator))
    RETURNING 1
), written AS (
    INSERT INTO delivery_stats AS old (
        hour, provider_id, service, country, operator, sold, delivered, cancelled, refunds, refunds_paise,
        confirmed, confirmed_paise, assumed, assumed_paise, refused, refused_paise, due, due_paise, gap_paise,
        waits)
    SELECT $1, provider_id, service, country, operator, sold, delivered, cancelled, refunds, refunds_paise,
           confirmed, confirmed_paise, assumed, assumed_paise, refused, refused_paise, due, due_paise,
           gap_paise,
           ARRAY(SELECT count(found)::int
                 FROM generate_series(0, (SELECT max(last) FROM unnest(places) AS last)) AS place
                 LEFT JOIN unnest(places) AS found ON found = place
                 GROUP BY place ORDER BY place)
    FROM counted
    ON CONFLICT (hour, provider_id, service, country, operator) DO UPDATE SET
        sold = excluded.sold, delivered = excluded.delivered, cancelled = excluded.cancelled,
        refunds = excluded.refunds, refunds_paise = excluded.refunds_paise,
        confirmed = excluded.confirmed, confirmed_paise = excluded.confirmed_paise,
        assumed = excluded.assumed, assumed_paise = excluded.assumed_paise,
        refused = excluded.refused, refused_paise = excluded.refused_paise,
        due = excluded.due, due_paise = excluded.due_paise, gap_paise = excluded.gap_paise,
        waits = excluded.waits
    WHERE (old.*) IS DISTINCT FROM (excluded.*)
    RETURNING 1
)
SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM written)
"""


@dataclass(frozen=True, slots=True)
class StatisticsMark:
    """How far orders were read, and by what moment of the database; `version` grows when a count has changed."""

    version: int
    counted_until: datetime | None
    now: datetime


async def get_statistics_version(tx: Tx) -> tuple[int, datetime]:
    """Return the number that grows when a count has changed, 0 before the first one, and the running hour."""
    found = await rows(
        tx,
        """
        SELECT coalesce((SELECT version FROM delivery_stats_mark), 0), date_trunc('hour', clock_timestamp(), 'UTC')
        """,
    )
    version, hour = found[0]
    return version, hour


async def get_statistics_mark(tx: Tx) -> StatisticsMark:
    """Return how far orders were read. The clock is read before the orders are."""
    return await one(
        tx,
        StatisticsMark,
        """
        SELECT coalesce(version, 0) AS version, counted_until, now
        FROM clock_timestamp() AS now LEFT JOIN delivery_stats_mark ON true
        """,
    )


async def list_touched_hours(tx: Tx, since: datetime, keep: timedelta) -> list[datetime]:
    """Return the hours, oldest first, in which orders were made that are settled and have changed since then."""
    return [
        row[0]
        for row in await rows(
            tx,
            """
            SELECT DISTINCT date_trunc('hour', created_at, 'UTC') AS hour FROM orders
            WHERE changed_at > $1 AND (received_at IS NOT NULL OR ended_at IS NOT NULL)
              AND created_at >= date_trunc('hour', clock_timestamp() - $2::interval, 'UTC')
            ORDER BY hour
            """,
            since,
            keep,
        )
    ]


async def list_hours(tx: Tx, keep: timedelta) -> list[datetime]:
    """Return all hours since the first orders that are kept, oldest first; ids are nearly in the order of time."""
    query = """
        WITH oldest AS (SELECT created_at FROM orders ORDER BY id LIMIT 1000)
        SELECT hour
        FROM (SELECT min(created_at) AS first, clock_timestamp() AS now FROM oldest) AS ends,
             generate_series(date_trunc('hour', greatest(first, now - $1::interval), 'UTC'), now, interval '1 hour')
             AS hour
        WHERE first IS NOT NULL
        """
    return [row[0] for row in await rows(tx, query, keep)]


async def lock_statistics(tx: Tx) -> None:
    """Wait until nobody else counts: who counts later has seen more."""
    await run(
        tx,
        """
        INSERT INTO delivery_stats_mark AS mark DEFAULT VALUES
        ON CONFLICT (one) DO UPDATE SET version = mark.version
        """,
    )


async def recount_hour(tx: Tx, hour: datetime, bounds_ms: Sequence[int]) -> int:
    """Make the counts of an hour what its orders say now; returns how many rows are new, different or gone.

    Args:
        bounds_ms: a wait belongs to the place whose number is how many of these it has reached.
    """
    changed: int = await value(tx, _RECOUNT, hour, bounds_ms)
    return changed


async def set_statistics_version(tx: Tx) -> None:
    """Say that a count has changed."""
    await run(tx, "UPDATE delivery_stats_mark SET version = version + 1")


async def set_counted_until(tx: Tx, moment: datetime) -> None:
    """Say that what changed before this moment is counted; never goes back."""
    await run(tx, "UPDATE delivery_stats_mark SET counted_until = greatest(counted_until, $1)", moment)


async def delete_old_statistics(tx: Tx, keep: timedelta) -> int:
    """Forget hours that are older than they are kept."""
    return await run(
        tx,
        "DELETE FROM delivery_stats WHERE hour < date_trunc('hour', clock_timestamp() - $1::interval, 'UTC')",
        keep,
    )


async def list_delivery_totals(
    tx: Tx,
    *,
    window_hours: int,
    service: str | None = None,
    country: int | None = None,
    provider_id: int | None = None,
) -> list[DeliveryTotal]:
    """Return the sums of the last hours, the running one included, for what is named; most sold first."""
    return await many(
        tx,
        DeliveryTotal,
        """
        WITH counted AS MATERIALIZED (
            SELECT * FROM delivery_stats
            WHERE hour >= date_trunc('hour', clock_timestamp(), 'UTC') - make_interval(hours => $1)
              AND ($2::text IS NULL OR service = $2) AND ($3::int IS NULL OR country = $3)
              AND ($4::smallint IS NULL OR provider_id = $4)
        ), sums AS (
            SELECT service, country, provider_id, operator,
                   sum(sold) AS sold, sum(delivered) AS delivered, sum(cancelled) AS cancelled,
                   sum(refunds) AS refunds, sum(refunds_paise)::bigint AS refunds_paise,
                   sum(confirmed) AS confirmed, sum(confirmed_paise)::bigint AS confirmed_paise,
                   sum(assumed) AS assumed, sum(assumed_paise)::bigint AS assumed_paise,
                   sum(refused) AS refused, sum(refused_paise)::bigint AS refused_paise,
                   sum(due) AS due, sum(due_paise)::bigint AS due_paise, sum(gap_paise)::bigint AS gap_paise
            FROM counted GROUP BY service, country, provider_id, operator
        ), places AS (
            SELECT service, country, provider_id, operator, place, sum(count)::bigint AS count
            FROM counted, unnest(waits) WITH ORDINALITY AS wait (count, place)
            GROUP BY service, country, provider_id, operator, place
        ), histograms AS (
            SELECT service, country, provider_id, operator, array_agg(count ORDER BY place) AS waits
            FROM places GROUP BY service, country, provider_id, operator
        )
        SELECT sums.*, coalesce(waits, '{}') AS waits
        FROM sums LEFT JOIN histograms USING (service, country, provider_id, operator)
        ORDER BY sold DESC, service, country, provider_id, operator
        """,
        window_hours,
        service,
        country,
        provider_id,
    )
