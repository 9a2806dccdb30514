"""How long due work has been waiting."""

from datetime import datetime

from numberdesk.base.db import Tx, rows, value

__all__ = ["get_overdue_seconds", "get_sessions", "get_worker_signs"]


async def get_overdue_seconds(tx: Tx) -> int:
    """Return the age of the oldest due work that only a worker does: ends, orphans, watches, webhooks, statements."""
    # An open order makes its provider's watch due. `next_try_at` of other states is no sign: it stays in the past
    # when a provider's list names the order again.
    seconds: int = await value(
        tx,
        """
        SELECT coalesce(extract(epoch FROM now - min(due_at)), 0)::int FROM clock_timestamp() AS now, (
            SELECT min(next_try_at) FROM orders WHERE next_try_at IS NOT NULL AND state IN ('cancelling', 'expiring')
            UNION ALL SELECT min(expires_at) FROM orders WHERE state IN ('active', 'received')
            UNION ALL SELECT min(next_try_at) FROM orphans WHERE next_try_at IS NOT NULL
            UNION ALL SELECT greatest(watched_until, (SELECT sent_at FROM orders
                                                      WHERE provider_id = providers.id AND ended_at IS NULL
                                                      ORDER BY id LIMIT 1))
                      FROM providers
                      WHERE EXISTS (SELECT FROM orders WHERE provider_id = providers.id AND ended_at IS NULL)
            UNION ALL SELECT min(expires_at) FROM recharges WHERE status IN ('created', 'awaiting_payment')
            UNION ALL SELECT min(due_at) FROM webhook_events WHERE state = 'waiting'
            UNION ALL SELECT min(due_at) FROM statements WHERE state = 'waiting'
        ) AS work (due_at)
        WHERE due_at <= now GROUP BY now
        """,
    )
    return seconds or 0


async def get_worker_signs(tx: Tx, *, seconds: float) -> tuple[int, int, int]:
    """Return how many workers were heard of lately, and for how long the oldest notice and webhook are overdue."""
    found = await rows(
        tx,
        """
        SELECT (SELECT count(*) FROM processes WHERE has_worker AND seen_at > now - make_interval(secs => $1)),
               greatest(coalesce(extract(epoch FROM now - (
                   SELECT min(due_at) FROM outbox WHERE state = 'waiting')), 0), 0)::int,
               greatest(coalesce(extract(epoch FROM now - least(
                   (SELECT min(next_try_at) FROM webhook_deliveries WHERE state = 'waiting'),
                   (SELECT min(due_at) FROM webhook_events WHERE state = 'waiting'))), 0), 0)::int
        FROM clock_timestamp() AS now
        """,
        seconds,
    )
    return found[0][0], found[0][1], found[0][2]


async def get_sessions(tx: Tx, name: str, *, seconds: float) -> tuple[int, datetime | None]:
    """Return how many connections to this database go by a name, and since when the oldest process runs.

    A process renews connections that were idle, so what it said of itself within these seconds counts as well.
    """
    ((count, since),) = await rows(
        tx,
        """
        SELECT count(*), least(min(backend_start), (
            SELECT min(started_at) FROM processes WHERE seen_at > clock_timestamp() - make_interval(secs => $2)
        )) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = $1
        """,
        name, seconds,
    )  # fmt: skip
    return count, since if count else None
