"""Statements on what several accounts have in common: who pays for them, and from where they buy."""

from collections.abc import Sequence
from datetime import timedelta

from numberdesk.base.db import Tx, columns, many, run
from numberdesk.conduct.model import Added, Shared, Spent


async def upsert_payers(tx: Tx, payment_ids: Sequence[int]) -> None:
    """Write down who paid for which account, as payments and what the bank says of them tell."""
    await run(
        tx,
        """
        INSERT INTO account_payers (payer_hash, account_id)
        SELECT payer_hash, account_id FROM (
            SELECT payer_hash, account_id FROM external_payments WHERE id = ANY($1::bigint[])
            UNION
            SELECT credit.payer_hash, payment.account_id
            FROM external_payments AS payment JOIN bank_credits AS credit ON credit.payment_id = payment.id
            WHERE payment.id = ANY($1::bigint[])
        ) AS paid
        WHERE payer_hash IS NOT NULL AND account_id IS NOT NULL
        ORDER BY payer_hash, account_id
        ON CONFLICT (payer_hash, account_id) DO UPDATE SET last_at = clock_timestamp()
        """,
        payment_ids,
    )


async def add_shared(tx: Tx, items: Sequence[Added]) -> list[Shared]:
    """Count purchases to networks and payers, ascending, and return the counts with them."""
    return await many(
        tx,
        Shared,
        """
        INSERT INTO shared_counts AS old (kind, key, hour, in_hour, day, in_day, new_in_day)
        SELECT kind, key, date_trunc('hour', now, 'UTC'), items, date_trunc('day', now, 'UTC'), items, new_items
        FROM unnest($1::text[], $2::text[], $3::int[], $4::int[]) AS item (kind, key, items, new_items),
             clock_timestamp() AS now
        ORDER BY kind, key
        ON CONFLICT (kind, key) DO UPDATE SET
            hour = greatest(old.hour, excluded.hour),
            in_hour = excluded.in_hour + CASE WHEN old.hour < excluded.hour THEN 0 ELSE old.in_hour END,
            day = greatest(old.day, excluded.day),
            in_day = excluded.in_day + CASE WHEN old.day < excluded.day THEN 0 ELSE old.in_day END,
            new_in_day = excluded.new_in_day + CASE WHEN old.day < excluded.day THEN 0 ELSE old.new_in_day END
        RETURNING kind, key, in_hour, in_day, new_in_day, hour + interval '1 hour' AS hour_ends_at,
                  day + interval '1 day' AS day_ends_at
        """,
        *columns(items, "kind", "key", "items", "new_items"),
    )


async def take_back(tx: Tx, items: Sequence[Spent], *, networks: Sequence[str | None], new_for: timedelta) -> None:
    """Take purchases that came to nothing out of the counts of their networks and payers, as far as they are in them.

    Args:
        networks: of each item.
        new_for: so long after it registered an account is new.
    """
    await run(
        tx,
        """
        WITH spent AS (
            SELECT item.account_id, network, coalesce(at, 'infinity') AS at,
                   account.terms_version IS NOT NULL
                   AND account.created_at > clock_timestamp() - $4::interval AS is_new
            FROM unnest($1::bigint[], $2::text[], $3::timestamptz[]) AS item (account_id, network, at)
            JOIN accounts AS account ON account.id = item.account_id
            LEFT JOIN purchase_limits AS own ON own.account_id = item.account_id
            WHERE own.account_id IS NULL
               OR (NOT own.is_free AND own.per_hour IS NULL AND own.per_day IS NULL)
        ), subject AS (
            SELECT 'network' AS kind, network AS key, at, is_new FROM spent WHERE network IS NOT NULL
            UNION ALL
            SELECT 'payer', encode(payer_hash, 'hex'), at, is_new FROM spent JOIN account_payers USING (account_id)
        ), known AS (
            SELECT kind, key, hour, day FROM shared_counts
            WHERE (kind, key) IN (SELECT kind, key FROM subject) ORDER BY kind, key FOR UPDATE
        ), less AS (
            SELECT kind, key, count(*) FILTER (WHERE at >= hour) AS in_hour,
                   count(*) FILTER (WHERE at >= day) AS in_day,
                   count(*) FILTER (WHERE at >= day AND is_new) AS new_in_day
            FROM subject JOIN known USING (kind, key) GROUP BY kind, key
        )
        UPDATE shared_counts AS old SET in_hour = greatest(old.in_hour - less.in_hour, 0),
                                        in_day = greatest(old.in_day - less.in_day, 0),
                                        new_in_day = greatest(old.new_in_day - less.new_in_day, 0)
        FROM less WHERE old.kind = less.kind AND old.key = less.key
        """,
        [item.account_id for item in items],
        networks,
        [item.at for item in items],
        new_for,
    )


async def delete_old_shared(tx: Tx, *, limit: int) -> int:
    """Forget counts of days that are over."""
    return await run(
        tx,
        """
        DELETE FROM shared_counts WHERE ctid = ANY(ARRAY(
            SELECT ctid FROM shared_counts WHERE day < (SELECT clock_timestamp() - interval '2 days')
            LIMIT $1 FOR UPDATE SKIP LOCKED))
        """,
        limit,
    )
