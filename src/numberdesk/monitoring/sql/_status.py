"""How the parts of the service are, and how they were in each minute of the last weeks."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from numberdesk.base.db import Tx, many, rows, run
from numberdesk.monitoring.model import Day, Part, PartState

__all__ = [
    "add_minutes", "delete_old_days", "list_days", "list_delivery_trend", "list_parts", "list_provider_names",
    "list_request_totals", "move_status_mark", "set_parts",
]  # fmt: skip


async def move_status_mark(tx: Tx) -> tuple[datetime, datetime] | None:
    """Take the minutes that nobody counted yet, as from and to; None when there are none."""
    await run(
        tx,
        "INSERT INTO status_mark (counted_until) VALUES (date_trunc('minute', clock_timestamp()))"
        " ON CONFLICT DO NOTHING",
    )
    found = await rows(
        tx,
        """
        UPDATE status_mark SET counted_until = date_trunc('minute', clock_timestamp())
        FROM (SELECT counted_until AS before FROM status_mark FOR UPDATE) AS mark
        WHERE before < date_trunc('minute', clock_timestamp())
        RETURNING greatest(before, counted_until - interval '31 days'), counted_until
        """,
    )
    return (found[0][0], found[0][1]) if found else None


async def add_minutes(
    tx: Tx, states: Sequence[tuple[str, PartState]], *, since: datetime, until: datetime, patience: timedelta
) -> None:
    """Count the minutes of a span for every part, by its state.

    Args:
        patience: minutes longer ago than this were seen by nobody: they count as down, for parts known by then.
    """
    await run(
        tx,
        """
        INSERT INTO status_days AS day (part, day, ok, degraded, down)
        SELECT part, (minute AT TIME ZONE 'UTC')::date, count(*) FILTER (WHERE was = 'ok'),
               count(*) FILTER (WHERE was = 'degraded'), count(*) FILTER (WHERE was = 'down')
        FROM unnest($1::text[], $2::text[]) AS now (part, state)
        CROSS JOIN generate_series($3::timestamptz, $4::timestamptz - interval '1 minute', interval '1 minute')
             AS minutes (minute)
        CROSS JOIN LATERAL (SELECT CASE WHEN minute < $4::timestamptz - $5::interval THEN 'down' ELSE state END AS was)
             AS seen
        WHERE minute >= $4::timestamptz - $5::interval
              OR EXISTS (SELECT FROM status_parts WHERE status_parts.part = now.part)
        GROUP BY 1, 2
        ON CONFLICT (part, day) DO UPDATE SET
            ok = least(day.ok + excluded.ok, 1440), degraded = least(day.degraded + excluded.degraded, 1440),
            down = least(day.down + excluded.down, 1440)
        """,
        [part for part, _ in states],
        [state for _, state in states],
        since,
        until,
        patience,
    )


async def set_parts(tx: Tx, states: Sequence[tuple[str, PartState]]) -> None:
    """Say how every part is; parts that are not named are no more."""
    names = [part for part, _ in states]
    await run(
        tx,
        """
        INSERT INTO status_parts AS part (part, state, since, looked_at)
        SELECT name, state, now, now
        FROM unnest($1::text[], $2::text[]) AS new (name, state), clock_timestamp() AS now
        ORDER BY name
        ON CONFLICT (part) DO UPDATE SET
            since = CASE WHEN part.state = excluded.state THEN part.since ELSE excluded.since END,
            state = excluded.state, looked_at = excluded.looked_at
        """,
        names,
        [state for _, state in states],
    )
    await run(tx, "DELETE FROM status_parts WHERE part <> ALL ($1::text[])", names)


async def list_parts(tx: Tx) -> list[Part]:
    """Return every part as it is."""
    return await many(tx, Part, "SELECT part, state, since, looked_at FROM status_parts ORDER BY part")


async def list_days(tx: Tx, *, days: int) -> list[Day]:
    """Return the days of parts that there are, oldest first."""
    return await many(
        tx,
        Day,
        """
        SELECT part, day, ok, degraded, down FROM status_days JOIN status_parts USING (part)
        WHERE day > ((SELECT clock_timestamp()) AT TIME ZONE 'UTC')::date - $1::int
        ORDER BY part, day
        """,
        days,
    )


async def delete_old_days(tx: Tx, *, days: int) -> int:
    """Delete days that are not shown any more."""
    return await run(
        tx, "DELETE FROM status_days WHERE day < ((SELECT clock_timestamp()) AT TIME ZONE 'UTC')::date - $1::int", days
    )


async def list_provider_names(tx: Tx) -> dict[int, str]:
    """Return the names of providers by their ids; the sandbox is none."""
    return dict(await rows(tx, "SELECT id, name FROM providers WHERE kind <> 'sandbox'"))


async def list_request_totals(tx: Tx) -> tuple[float, float]:
    """Return how many requests were ever answered, and how many of them failed on our side."""
    found = await rows(
        tx,
        """
        SELECT coalesce(sum(value), 0)::float8, coalesce(sum(value) FILTER (WHERE labels LIKE '%status="5%'), 0)::float8
        FROM metric_totals WHERE sample = 'numberdesk_requests_total'
        """,
    )
    return found[0][0], found[0][1]


async def list_delivery_trend(tx: Tx) -> tuple[int, int, int, int]:
    """Return numbers settled and delivered in the last two hours, and in the day before."""
    found: list[tuple[Any, ...]] = await rows(
        tx,
        """
        SELECT coalesce(sum(sold) FILTER (WHERE is_now), 0)::bigint,
               coalesce(sum(delivered) FILTER (WHERE is_now), 0)::bigint,
               coalesce(sum(sold) FILTER (WHERE NOT is_now), 0)::bigint,
               coalesce(sum(delivered) FILTER (WHERE NOT is_now), 0)::bigint
        FROM (SELECT sold, delivered, hour > (SELECT clock_timestamp() - interval '2 hours') AS is_now
              FROM delivery_stats JOIN providers ON providers.id = provider_id
              WHERE hour > (SELECT clock_timestamp() - interval '26 hours') AND kind <> 'sandbox') AS line
        """,
    )
    return found[0][0], found[0][1], found[0][2], found[0][3]
