"""Statements that only read: who shares something with an account, and what happened by month."""

from datetime import datetime, timedelta

from numberdesk.base.db import Tx, many
from numberdesk.conduct.model import Link, MonthCounts
from numberdesk.wallet.model import AccountId


async def list_payer_links(tx: Tx, account_id: AccountId, *, limit: int) -> list[Link]:
    """Return accounts that were paid for by a payer of this one."""
    return await many(
        tx,
        Link,
        """
        WITH others AS (
            SELECT payer_hash, account_id, last_at
            FROM account_payers JOIN (SELECT payer_hash FROM account_payers WHERE account_id = $1) AS mine
                 USING (payer_hash)
        )
        SELECT 'payer' AS kind, account_id, account.state, count(*)::int AS shared,
               max(crowd)::int AS others, max(last_at) AS last_at
        FROM others JOIN (SELECT payer_hash, count(*) AS crowd FROM others GROUP BY 1) AS known USING (payer_hash)
        JOIN accounts AS account ON account.id = account_id
        WHERE account_id <> $1 GROUP BY account_id, account.state ORDER BY shared DESC, account_id LIMIT $2
        """,
        account_id,
        limit,
    )


async def list_network_links(tx: Tx, account_id: AccountId, *, within: timedelta, limit: int) -> list[Link]:
    """Return accounts that were used from a network of this one lately: the address, or the /64 of an IPv6."""
    return await many(
        tx,
        Link,
        """
        WITH mine AS (
            SELECT DISTINCT network FROM account_ips
            WHERE account_id = $1 AND last_seen_at > (SELECT clock_timestamp() - $2::interval)
        ), others AS (
            SELECT network, account_id, max(last_seen_at) AS last_at
            FROM account_ips JOIN mine USING (network)
            WHERE last_seen_at > (SELECT clock_timestamp() - $2::interval) GROUP BY 1, 2
        )
        SELECT 'network' AS kind, account_id, account.state, count(*)::int AS shared,
               max(crowd)::int AS others, max(last_at) AS last_at
        FROM others JOIN (SELECT network, count(*) AS crowd FROM others GROUP BY 1) AS known USING (network)
        JOIN accounts AS account ON account.id = account_id
        WHERE account_id <> $1 AND account.sandbox_of IS NULL
        GROUP BY account_id, account.state ORDER BY shared DESC, account_id LIMIT $3
        """,
        account_id,
        within,
        limit,
    )


async def list_mail_links(tx: Tx, account_id: AccountId, *, limit: int) -> list[Link]:
    """Return accounts whose mail address is the same without its figures."""
    return await many(
        tx,
        Link,
        """
        WITH other AS MATERIALIZED (
            SELECT id, state, created_at FROM accounts
            WHERE regexp_replace(split_part(email_key, '@', 1), '[0-9]+', '', 'g')
                  || '@' || split_part(email_key, '@', 2)
                = (SELECT regexp_replace(split_part(email_key, '@', 1), '[0-9]+', '', 'g')
                          || '@' || split_part(email_key, '@', 2) FROM accounts WHERE id = $1)
              AND sandbox_of IS NULL
        )
        SELECT 'mail' AS kind, id AS account_id, state, 1 AS shared, (SELECT count(*)::int FROM other) AS others,
               created_at AS last_at
        FROM other WHERE id <> $1 ORDER BY id DESC LIMIT $2
        """,
        account_id,
        limit,
    )


async def count_months(tx: Tx, *, since: datetime) -> list[MonthCounts]:
    """Return what happened in each month (UTC) from one on, the latest first."""
    return await many(
        tx,
        MonthCounts,
        """
        SELECT date_trunc('month', at, 'UTC') AS month,
               (count(*) FILTER (WHERE what = 'withheld'))::int AS withheld,
               (count(*) FILTER (WHERE what = 'released'))::int AS released,
               (count(*) FILTER (WHERE what = 'confirmed'))::int AS confirmed,
               (count(*) FILTER (WHERE what = 'frozen'))::int AS frozen,
               (count(*) FILTER (WHERE what = 'banned'))::int AS banned,
               (count(*) FILTER (WHERE what = 'lawful_asked'))::int AS lawful_asked,
               (count(*) FILTER (WHERE what = 'lawful_approved'))::int AS lawful_approved,
               (count(*) FILTER (WHERE what = 'lawful_refused'))::int AS lawful_refused,
               (count(*) FILTER (WHERE what = 'lawful_exported'))::int AS lawful_exports
        FROM (
            SELECT withheld_at AS at, 'withheld' AS what FROM withheld_messages WHERE withheld_at >= $1
            UNION ALL SELECT decided_at, state FROM withheld_messages WHERE state <> 'held' AND decided_at >= $1
            UNION ALL SELECT at, details ->> 'state' FROM audit_log
                      WHERE at >= $1 AND action = 'account_state' AND details ->> 'state' IN ('frozen', 'banned')
            UNION ALL SELECT asked_at, 'lawful_asked' FROM lawful_requests WHERE asked_at >= $1
            UNION ALL SELECT decided_at, 'lawful_' || state FROM lawful_requests
                      WHERE state <> 'asked' AND decided_at >= $1
            UNION ALL SELECT at, 'lawful_exported' FROM audit_log WHERE at >= $1 AND action = 'lawful_exported'
        ) AS happened
        GROUP BY 1 ORDER BY 1 DESC
        """,
        since,
    )
