"""How long due work has been waiting."""

from numberdesk.base.db import Tx, value

__all__ = ["get_overdue_seconds"]


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
