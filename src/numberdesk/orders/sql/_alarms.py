"""Statements that find what should have been settled by now."""

from dataclasses import dataclass
from datetime import timedelta

from numberdesk.base.db import Tx, many, rows
from numberdesk.providers.model import ProviderId


@dataclass(frozen=True, slots=True)
class Stale:
    """What waits for too long at one provider."""

    provider_id: ProviderId
    orders: int
    order_seconds: int
    """Age of the oldest one since it should have been settled; 0 without any."""
    orphans: int
    orphan_seconds: int
    """Age of the oldest one since it was first seen; 0 without any."""


async def count_revoked(tx: Tx, *, sure_after: timedelta, told_for: timedelta) -> list[tuple[ProviderId, int]]:
    """Return for every provider how many paid rentals it ended before their time, of which staff may decide.

    Args:
        sure_after: for those that still go on here, since their provider said first that they are over.
        told_for: for those that were ended, since then.
    """
    found = await rows(
        tx,
        """
        SELECT providers.id,
               (SELECT count(*) FROM orders
                WHERE provider_id = providers.id AND revoked_at IS NOT NULL AND refunded_at IS NULL
                  AND CASE WHEN ended_at IS NULL THEN revoked_at < (SELECT clock_timestamp() - $1::interval)
                      ELSE failure = 'provider_cancelled' AND ended_at > (SELECT clock_timestamp() - $2::interval) END)
        FROM providers WHERE kind <> 'sandbox' ORDER BY providers.id
        """,
        sure_after,
        told_for,
    )
    return [(ProviderId(row[0]), row[1]) for row in found]


async def count_stale(
    tx: Tx, *, unknown_after: timedelta, ending_after: timedelta, orphan_after: timedelta
) -> list[Stale]:
    """Return for every provider but the sandbox what is older than its limit. An orphan that an order owns is none.

    Args:
        unknown_after: beyond the provider's deadline, for purchases, of more hours too, that are on their way or
            unknown.
        ending_after: for orders being cancelled or expiring, since they began to be.
        orphan_after: for activations being cancelled that no order knows.
    """
    return await many(
        tx,
        Stale,
        """
        WITH late AS (
            SELECT provider_id, now - CASE WHEN state IN ('requested', 'unknown') THEN sent_at ELSE orders.changed_at
                                      END AS age
            FROM orders JOIN providers ON providers.id = provider_id, clock_timestamp() AS now
            WHERE ended_at IS NULL
              AND (state IN ('requested', 'unknown')
                       AND sent_at + deadline_ms * interval '1 millisecond' + $1::interval < now
                   OR state IN ('cancelling', 'expiring') AND orders.changed_at + $2::interval < now)
            UNION ALL
            SELECT provider_id, now - sent_at
            FROM prolongations JOIN providers ON providers.id = provider_id, clock_timestamp() AS now
            WHERE state IN ('requested', 'unknown')
              AND sent_at + deadline_ms * interval '1 millisecond' + $1::interval < now
        ), nobodys AS (
            SELECT provider_id, now - first_seen_at AS age FROM orphans, clock_timestamp() AS now
            WHERE next_try_at IS NOT NULL AND state = 'cancelling' AND first_seen_at + $3::interval < now
              AND NOT EXISTS (SELECT FROM activations AS owned
                              WHERE (owned.provider_id, owned.upstream_id)
                                    = (orphans.provider_id, orphans.upstream_id))
        )
        SELECT providers.id AS provider_id, coalesce(late.count, 0) AS orders,
               coalesce(extract(epoch FROM late.age), 0)::int AS order_seconds,
               coalesce(orphan.count, 0) AS orphans,
               coalesce(extract(epoch FROM orphan.age), 0)::int AS orphan_seconds
        FROM providers
        LEFT JOIN (SELECT provider_id, count(*), max(age) AS age FROM late GROUP BY provider_id) AS late
             ON late.provider_id = providers.id
        LEFT JOIN (SELECT provider_id, count(*), max(age) AS age FROM nobodys GROUP BY provider_id) AS orphan
             ON orphan.provider_id = providers.id
        WHERE kind <> 'sandbox'
        ORDER BY providers.id
        """,
        unknown_after,
        ending_after,
        orphan_after,
    )
