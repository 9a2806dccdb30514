"""Every statement of the guard on what is spent with a provider in a day."""

from dataclasses import dataclass
from datetime import datetime

from numberdesk.base.db import Tx, many, rows, run
from numberdesk.providers.model import ProviderId


@dataclass(frozen=True, slots=True)
class Today:
    """What was bought at a provider since midnight of UTC, and its open orders."""

    provider_id: ProviderId
    spent_paise: int
    open_orders: int


async def list_today(tx: Tx) -> list[Today]:
    """Return what was bought today and what is open, for every provider; what is on its way counts as bought."""
    return await many(
        tx,
        Today,
        """
        WITH counted AS (
            SELECT provider_id, coalesce(charged_paise, cost_paise) AS paise, activated_at, state, ended_at
            FROM orders
            WHERE ended_at IS NULL OR changed_at >= (SELECT date_trunc('day', clock_timestamp(), 'UTC'))
        )
        SELECT providers.id AS provider_id,
               coalesce(sum(paise) FILTER (WHERE activated_at >= (SELECT date_trunc('day', clock_timestamp(), 'UTC'))
                                                 OR state IN ('requested', 'unknown')), 0)::bigint AS spent_paise,
               count(*) FILTER (WHERE provider_id IS NOT NULL AND ended_at IS NULL) AS open_orders
        FROM providers LEFT JOIN counted ON provider_id = providers.id
        GROUP BY providers.id ORDER BY providers.id
        """,
    )


async def find_day(tx: Tx) -> tuple[datetime, datetime]:
    """Return the moment, and when its day of UTC began, by the database's clock."""
    query = "SELECT at, date_trunc('day', at, 'UTC') FROM (SELECT clock_timestamp() AS at) AS moment"
    moment, midnight = (await rows(tx, query))[0]
    return moment, midnight


async def sum_day(tx: Tx, *, midnight: datetime, since: datetime, until: datetime) -> list[tuple[ProviderId, int, int]]:
    """Return what was sold after `since` and not before `midnight`, by provider: all of it, and until `until`."""
    found = await rows(
        tx,
        """
        SELECT provider_id, sum(paise)::bigint, coalesce(sum(paise) FILTER (WHERE at <= $3), 0)::bigint
        FROM (
            SELECT provider_id, coalesce(charged_paise, cost_paise) AS paise, activated_at AS at
            FROM orders WHERE changed_at > $1 AND activated_at > $1 AND activated_at >= $2
            UNION ALL
            SELECT provider_id, cost_paise, settled_at
            FROM prolongations WHERE state = 'done' AND settled_at > $1 AND settled_at >= $2
        ) AS sold
        GROUP BY provider_id
        """,
        since,
        midnight,
        until,
    )
    return [(ProviderId(row[0]), row[1], row[2]) for row in found]


async def list_on_their_way(tx: Tx) -> list[tuple[ProviderId, str, int]]:
    """Return purchases at capped providers whose outcome is not known: provider, our reference, cost."""
    found = await rows(
        tx,
        """
        SELECT provider_id, orders.id || '-' || attempt, cost_paise
        FROM orders JOIN providers ON providers.id = provider_id
        WHERE ended_at IS NULL AND state IN ('requested', 'unknown') AND spend_max_paise IS NOT NULL
        UNION ALL
        SELECT provider_id, 'prolong:' || bought.id, cost_paise
        FROM prolongations AS bought JOIN providers ON providers.id = provider_id
        WHERE state IN ('requested', 'unknown') AND spend_max_paise IS NOT NULL
        """,
    )
    return [(ProviderId(row[0]), row[1], row[2]) for row in found]


async def close_day_alerts(tx: Tx) -> int:
    """Close alerts on spending of another day, and of providers that have no cap any more."""
    return await run(
        tx,
        """
        UPDATE provider_alerts AS alert SET closed_at = clock_timestamp()
        FROM providers
        WHERE providers.id = alert.provider_id AND alert.kind = 'spend_limit' AND alert.closed_at IS NULL
          AND (alert.seen_at < date_trunc('day', clock_timestamp(), 'UTC') OR spend_max_paise IS NULL)
        """,
    )
