"""Statements that count purchases. The row of an account is locked from the count to the end of the transaction."""

from collections.abc import Sequence
from datetime import timedelta

from numberdesk.base.db import Tx, columns, many, maybe, rows, run
from numberdesk.conduct.model import Counted, Lately, OwnLimits, Purchase
from numberdesk.wallet.model import AccountId


async def count_purchases(tx: Tx, items: Sequence[Purchase]) -> list[Counted]:
    """Count purchases to their accounts' hour and day, ascending; accounts that staff let free are left out."""
    return await many(
        tx,
        Counted,
        """
        WITH wanted AS (
            SELECT account_id, count(*)::int AS items, array_agg(DISTINCT item.country) AS countries,
                   own.per_hour, own.per_day, own.countries AS own_countries, own.open_orders,
                   coalesce(own.may_cancel, false) AS may_cancel
            FROM unnest($1::bigint[], $2::int[]) AS item (account_id, country)
            LEFT JOIN purchase_limits AS own USING (account_id)
            WHERE own.is_free IS NOT TRUE
            GROUP BY account_id, own.account_id
            ORDER BY account_id
        ), counted AS (
            INSERT INTO purchase_counts AS old (account_id, hour, in_hour, day, in_day, countries)
            SELECT account_id, date_trunc('hour', now, 'UTC'), items, date_trunc('day', now, 'UTC'), items, countries
            FROM wanted, clock_timestamp() AS now
            ON CONFLICT (account_id) DO UPDATE SET
                hour = greatest(old.hour, excluded.hour),
                in_hour = excluded.in_hour + CASE WHEN old.hour < excluded.hour THEN 0 ELSE old.in_hour END,
                day = greatest(old.day, excluded.day),
                in_day = excluded.in_day + CASE WHEN old.day < excluded.day THEN 0 ELSE old.in_day END,
                countries = CASE WHEN old.day < excluded.day OR old.countries @> excluded.countries
                                 THEN CASE WHEN old.day < excluded.day THEN excluded.countries ELSE old.countries END
                                 ELSE ARRAY(SELECT DISTINCT unnest(old.countries || excluded.countries)) END
            RETURNING *
        )
        SELECT counted.account_id, in_hour, in_day, counted.countries, counted.hour + interval '1 hour' AS hour_ends_at,
               counted.day + interval '1 day' AS day_ends_at,
               CASE WHEN account.terms_version IS NOT NULL
                    THEN extract(epoch FROM clock_timestamp() - account.created_at)::float8 / 86400 END AS age_days,
               per_hour, per_day, own_countries, open_orders, may_cancel,
               ARRAY(SELECT encode(payer_hash, 'hex') FROM account_payers AS mine
                     WHERE mine.account_id = counted.account_id
                       AND EXISTS (SELECT FROM account_payers AS other WHERE other.payer_hash = mine.payer_hash
                                   AND other.account_id <> mine.account_id)) AS payers
        FROM counted JOIN wanted USING (account_id) JOIN accounts AS account ON account.id = counted.account_id
        ORDER BY account_id
        """,
        *columns(items, "account_id", "country"),
    )


async def list_lately(
    tx: Tx, account_ids: Sequence[int], *, open_max: int, cancel_of: int, cool_down: timedelta
) -> list[Lately]:
    """Return how accounts stand. A statement of its own, after their counts are locked: it sees all that came before.

    Args:
        open_max: as many open orders are counted.
    """
    return await many(
        tx,
        Lately,
        """
        SELECT asked.account_id, now_open.orders AS open_orders, next_end_at, ended, cancelled,
               CASE WHEN newest + $4::interval > clock_timestamp() THEN newest + $4::interval END AS cools_until
        FROM unnest($1::bigint[]) AS asked (account_id),
        LATERAL (
            SELECT count(*)::int AS orders, min(expires_at) AS next_end_at
            FROM (SELECT expires_at FROM orders
                  WHERE orders.account_id = asked.account_id AND ended_at IS NULL LIMIT $2) AS its
        ) AS now_open,
        LATERAL (
            SELECT count(*)::int AS ended, (count(*) FILTER (WHERE is_cancelled))::int AS cancelled,
                   max(coalesce(ended_at, changed_at)) FILTER (WHERE is_cancelled) AS newest
            FROM (SELECT state IN ('cancelled', 'cancelling') AND failure IS NULL AS is_cancelled, changed_at, ended_at
                  FROM orders
                  WHERE orders.account_id = asked.account_id
                    AND state IN ('received', 'completed', 'cancelled', 'cancelling', 'expired')
                  ORDER BY id DESC LIMIT $3) AS its
        ) AS last_ones
        """,
        account_ids,
        open_max,
        cancel_of,
        cool_down,
    )


async def read_day(tx: Tx, account_id: AccountId, *, most: int) -> list[tuple[bool, int]]:
    """Return (is of this hour, country) of an account's purchases of today that did not fail.

    Args:
        most: how many it began today, at most.
    """
    found = await rows(
        tx,
        """
        SELECT created_at >= hour, country
        FROM (SELECT created_at, country, state FROM orders WHERE account_id = $1 ORDER BY id DESC LIMIT $2) AS newest,
             purchase_counts
        WHERE purchase_counts.account_id = $1 AND created_at >= day AND state <> 'failed'
        """,
        account_id,
        most,
    )
    return [(is_now, country) for is_now, country in found]


async def set_counts(tx: Tx, account_id: AccountId, *, in_hour: int, in_day: int, countries: Sequence[int]) -> None:
    """Set the counts of an account, whose row is locked, to what it really has."""
    await run(
        tx,
        "UPDATE purchase_counts SET in_hour = $2, in_day = $3, countries = $4::int[] WHERE account_id = $1",
        account_id,
        in_hour,
        in_day,
        list(countries),
    )


async def recount(tx: Tx, account_id: AccountId, *, most: int) -> None:
    """Count what an account bought in this hour and day anew: while it was free, nothing was counted.

    Args:
        most: how many of its newest orders are looked at.
    """
    await run(
        tx,
        """
        INSERT INTO purchase_counts (account_id, hour, in_hour, day, in_day, countries)
        SELECT $1, hour, count(*) FILTER (WHERE created_at >= hour), day, count(country),
               coalesce(array_agg(DISTINCT country) FILTER (WHERE country IS NOT NULL), '{}')
        FROM (SELECT date_trunc('hour', now, 'UTC') AS hour, date_trunc('day', now, 'UTC') AS day
              FROM clock_timestamp() AS now) AS today
        LEFT JOIN (SELECT created_at, country FROM orders WHERE account_id = $1 AND state <> 'failed'
                   ORDER BY id DESC LIMIT $2) AS newest ON created_at >= day
        GROUP BY hour, day
        ON CONFLICT (account_id) DO UPDATE SET
            hour = excluded.hour, in_hour = excluded.in_hour, day = excluded.day, in_day = excluded.in_day,
            countries = excluded.countries
        """,
        account_id,
        most,
    )


async def find_own_limits(tx: Tx, account_id: AccountId) -> OwnLimits | None:
    """Return what staff allow an account."""
    return await maybe(tx, OwnLimits, "SELECT * FROM purchase_limits WHERE account_id = $1", account_id)


async def upsert_own_limits(tx: Tx, items: Sequence[OwnLimits]) -> None:
    """Allow accounts something of their own."""
    await run(
        tx,
        """
        INSERT INTO purchase_limits (account_id, is_free, per_hour, per_day, countries, open_orders, may_cancel, reason)
        SELECT * FROM unnest($1::bigint[], $2::boolean[], $3::int[], $4::int[], $5::int[], $6::int[], $7::boolean[],
                             $8::text[])
        ON CONFLICT (account_id) DO UPDATE SET
            is_free = excluded.is_free, per_hour = excluded.per_hour, per_day = excluded.per_day,
            countries = excluded.countries, open_orders = excluded.open_orders, may_cancel = excluded.may_cancel,
            reason = excluded.reason, set_at = clock_timestamp()
        """,
        *columns(
            items, "account_id", "is_free", "per_hour", "per_day", "countries", "open_orders", "may_cancel", "reason"
        ),
    )


async def delete_own_limits(tx: Tx, account_id: AccountId) -> bool:
    """Let the settings hold for an account again; False if they did."""
    return await run(tx, "DELETE FROM purchase_limits WHERE account_id = $1", account_id) > 0


async def delete_old_counts(tx: Tx, *, limit: int) -> int:
    """Forget counts of days that are over."""
    return await run(
        tx,
        """
        DELETE FROM purchase_counts WHERE account_id = ANY(ARRAY(
            SELECT account_id FROM purchase_counts WHERE day < (SELECT clock_timestamp() - interval '2 days')
            LIMIT $1 FOR UPDATE SKIP LOCKED))
        """,
        limit,
    )
