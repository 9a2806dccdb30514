"""Facts that are told as gauges. Each returns rows of texts that tell them apart, followed by numbers.

They are read while Prometheus waits, so each is bounded by an index or by the size of a small table. What belongs to
sandboxes is left out.
"""

from datetime import timedelta
from typing import Any

from numberdesk.base.db import Tx, rows

__all__ = [
    "list_alerts", "list_audit", "list_database", "list_decisions", "list_deliveries", "list_endpoints", "list_ledger",
    "list_ledger_runs", "list_open_orders", "list_outbox", "list_payments", "list_processes", "list_providers",
    "list_queues", "list_rates", "list_recent_events", "list_reconciliations", "list_reports", "list_tickets",
]  # fmt: skip

Rows = list[tuple[Any, ...]]


async def list_open_orders(tx: Tx) -> Rows:
    """Return (state, open orders, age of the oldest)."""
    return await rows(
        tx,
        """
        SELECT state, count(sent_at), coalesce(extract(epoch FROM clock_timestamp() - min(sent_at)), 0)::float8
        FROM unnest(ARRAY['requested', 'unknown', 'active', 'received', 'cancelling', 'expiring']) AS known (state)
        LEFT JOIN (
            SELECT state, sent_at FROM orders WHERE ended_at IS NULL AND NOT is_sandbox(account_id)
        ) AS open USING (state)
        GROUP BY state
        """,
    )


async def list_recent_events(tx: Tx) -> Rows:
    """Return (type, events of orders in the last ten minutes)."""
    return await rows(
        tx,
        """
        SELECT type, count(at)
        FROM unnest(ARRAY['active', 'code', 'extended', 'completed', 'cancelled', 'expired', 'failed']) AS known (type)
        LEFT JOIN (
            SELECT type, at FROM order_events
            WHERE at > (SELECT clock_timestamp() - interval '10 minutes') AND NOT is_sandbox(account_id)
        ) AS recent USING (type)
        GROUP BY type
        """,
    )


async def list_deliveries(tx: Tx, *, hours: int, wait_hours: int) -> Rows:
    """Return (provider, numbers settled, of them with a code, of them given up by the customer, waits of codes).

    Args:
        wait_hours: how far back waits are read; they are sixty numbers a line.
    """
    return await rows(
        tx,
        """
        WITH place AS (
            SELECT provider_id, place, sum(wait)::bigint AS total
            FROM delivery_stats, unnest(waits) WITH ORDINALITY AS item (wait, place)
            WHERE hour > (SELECT clock_timestamp() - make_interval(hours => $2))
            GROUP BY provider_id, place
        )
        SELECT name, sum(sold)::bigint, sum(delivered)::bigint, sum(cancelled)::bigint,
               (SELECT array_agg(total ORDER BY place) FROM place WHERE place.provider_id = providers.id)
        FROM delivery_stats JOIN providers ON providers.id = provider_id
        WHERE hour > (SELECT clock_timestamp() - make_interval(hours => $1)) AND kind <> 'sandbox'
        GROUP BY providers.id, name
        """,
        hours,
        wait_hours,
    )


async def list_providers(tx: Tx) -> Rows:
    """Return (provider, on, shut, held by staff, balance in paise, its age, age of the catalogue, open orders).

    `shut` is 1 while no purchase may leave, whether by the breaker or by staff; numbers that are not known are null.
    """
    return await rows(
        tx,
        """
        SELECT name, is_on::int, (coalesce(forced, state, 'closed') = 'open')::int, (forced IS NOT NULL)::int,
               balance_paise, extract(epoch FROM clock_timestamp() - balance_at)::float8,
               extract(epoch FROM clock_timestamp() - synced_at)::float8,
               (SELECT count(*) FROM orders WHERE provider_id = providers.id AND ended_at IS NULL)
        FROM providers
        LEFT JOIN provider_health ON provider_health.provider_id = id
        LEFT JOIN provider_money ON provider_money.provider_id = id
        WHERE kind <> 'sandbox'
        """,
    )


async def list_alerts(tx: Tx) -> Rows:
    """Return (provider, kind, 1) of each alert that is open."""
    return await rows(
        tx,
        """
        SELECT name, provider_alerts.kind, 1 FROM provider_alerts JOIN providers ON providers.id = provider_id
        WHERE closed_at IS NULL
        """,
    )


async def list_outbox(tx: Tx) -> Rows:
    """Return (channel, waiting notices, how long the oldest is overdue, given up in the last day)."""
    return await rows(
        tx,
        """
        SELECT channel, count(*) FILTER (WHERE state = 'waiting'),
               coalesce(extract(epoch FROM clock_timestamp() - min(due_at)
                        FILTER (WHERE state = 'waiting' AND due_at < clock_timestamp())), 0)::float8,
               count(*) FILTER (WHERE state = 'failed')
        FROM outbox
        WHERE state = 'waiting' OR ended_at > (SELECT clock_timestamp() - interval '1 day')
        GROUP BY channel
        """,
    )


async def list_queues(tx: Tx) -> Rows:
    """Return (queue, waiting, how long the oldest is overdue)."""
    return await rows(
        tx,
        """
        SELECT queue, count(due_at),
               coalesce(extract(epoch FROM clock_timestamp() - min(due_at)
                        FILTER (WHERE due_at < clock_timestamp())), 0)::float8
        FROM unnest(ARRAY['customer_webhooks', 'gateway_webhooks', 'provider_messages', 'statements', 'orphans',
                          'gateway_refunds']) AS known (queue)
        LEFT JOIN (
            SELECT 'customer_webhooks' AS queue, next_try_at AS due_at FROM webhook_deliveries WHERE state = 'waiting'
            UNION ALL SELECT 'gateway_webhooks', due_at FROM webhook_events WHERE state = 'waiting'
            UNION ALL SELECT 'provider_messages', next_try_at FROM inbound_messages WHERE next_try_at IS NOT NULL
            UNION ALL SELECT 'statements', due_at FROM statements WHERE state = 'waiting'
            UNION ALL SELECT 'orphans', next_try_at FROM orphans WHERE next_try_at IS NOT NULL
            UNION ALL SELECT 'gateway_refunds', due_at FROM gateway_refunds WHERE due_at IS NOT NULL
        ) AS work USING (queue)
        GROUP BY queue
        """,
    )


async def list_payments(tx: Tx) -> Rows:
    """Return (what waits, how many, paise, age of the oldest)."""
    return await rows(
        tx,
        """
        SELECT what, count(at), coalesce(sum(paise), 0)::bigint,
               coalesce(extract(epoch FROM clock_timestamp() - min(at)), 0)::float8
        FROM unnest(ARRAY['claimed', 'waiting', 'suspense', 'unmatched']) AS known (what)
        LEFT JOIN (
            SELECT 'claimed' AS what, changed_at AS at, payable_paise AS paise FROM recharges
            WHERE status = 'submitted'
            UNION ALL SELECT state, created_at, amount_paise FROM external_payments
            WHERE state IN ('waiting', 'suspense')
            UNION ALL SELECT 'unmatched', created_at, amount_paise FROM bank_credits WHERE state = 'open'
        ) AS open USING (what)
        GROUP BY what
        """,
    )


async def list_rates(tx: Tx) -> Rows:
    """Return (asset, age of the newest price)."""
    return await rows(
        tx,
        """
        SELECT asset, extract(epoch FROM clock_timestamp() - (
                   SELECT max(observed_at) FROM rate_samples WHERE rate_samples.asset = known.asset))::float8
        FROM unnest(ARRAY['trx', 'usdt']) AS known (asset)
        WHERE EXISTS (SELECT FROM rate_samples WHERE rate_samples.asset = known.asset)
        """,
    )


async def list_reconciliations(tx: Tx) -> Rows:
    """Return (source, age of the last reconciliation, differences it found)."""
    return await rows(
        tx,
        """
        SELECT source, extract(epoch FROM clock_timestamp() - ended_at)::float8, jsonb_array_length(differences)
        FROM (SELECT DISTINCT ON (source) source, ended_at, differences FROM reconciliations ORDER BY source, id DESC)
             AS newest
        """,
    )


async def list_ledger(tx: Tx) -> Rows:
    """Return (scope, invariant, check, wrong rows)."""
    return await rows(tx, "SELECT scope, invariant, name, wrong FROM ledger_results WHERE scope <> 'audit'")


async def list_ledger_runs(tx: Tx) -> Rows:
    """Return (scope, age of the last complete check, seconds it took)."""
    return await rows(
        tx,
        """
        SELECT scope, extract(epoch FROM clock_timestamp() - ended_at)::float8, took_ms / 1000.0::float8
        FROM ledger_runs WHERE ended_at IS NOT NULL AND scope <> 'audit'
        """,
    )


async def list_audit(tx: Tx) -> Rows:
    """Return (breaks of the audit log's chain, age of its last check, rows that were sealed then)."""
    return await rows(
        tx,
        """
        SELECT (SELECT coalesce(sum(wrong), 0)::bigint FROM ledger_results WHERE scope = 'audit'),
               extract(epoch FROM clock_timestamp() - ended_at)::float8, checked_to
        FROM ledger_runs WHERE ended_at IS NOT NULL AND scope = 'audit'
        """,
    )


async def list_decisions(tx: Tx, *, money_open_for: timedelta) -> Rows:
    """Return (what waits for a person's decision, how many, age of the oldest).

    Args:
        money_open_for: after so long nobody can agree to a request about money any more.
    """
    return await rows(
        tx,
        """
        SELECT what, count(at), coalesce(extract(epoch FROM clock_timestamp() - min(at)), 0)::float8
        FROM unnest(ARRAY['money', 'lawful', 'withheld']) AS known (what)
        LEFT JOIN (
            SELECT 'money' AS what, asked_at AS at FROM money_requests
            WHERE state = 'waiting' AND asked_at > (SELECT clock_timestamp() - $1::interval)
            UNION ALL SELECT 'lawful', asked_at FROM lawful_requests WHERE state = 'asked'
            UNION ALL SELECT 'withheld', withheld_at FROM withheld_messages WHERE state = 'held'
        ) AS work USING (what)
        GROUP BY what
        """,
        money_open_for,
    )


async def list_tickets(tx: Tx) -> Rows:
    """Return (state, tickets that have not ended, how long the one waits of which least was heard)."""
    return await rows(
        tx,
        """
        SELECT state, count(active_at), coalesce(extract(epoch FROM clock_timestamp() - min(active_at)), 0)::float8
        FROM unnest(ARRAY['open', 'answered', 'waiting']) AS known (state)
        LEFT JOIN (
            SELECT state, active_at FROM tickets WHERE state IN ('open', 'answered', 'waiting')
        ) AS live USING (state)
        GROUP BY state
        """,
    )


async def list_reports(tx: Tx) -> Rows:
    """Return (age of the moment up to which reports are counted, half hours and days that are to be counted again)."""
    return await rows(
        tx,
        """
        SELECT extract(epoch FROM clock_timestamp() - counted_until)::float8, (SELECT count(*) FROM report_due)
        FROM report_mark
        """,
    )


async def list_endpoints(tx: Tx) -> Rows:
    """Return (events for customers' webhooks given up in the last day, endpoints that we switched off)."""
    return await rows(
        tx,
        """
        SELECT (SELECT count(*) FROM webhook_deliveries
                WHERE state = 'failed' AND ended_at > (SELECT clock_timestamp() - interval '1 day')),
               (SELECT count(*) FROM webhook_endpoints WHERE state = 'disabled')
        """,
    )


async def list_processes(tx: Tx, *, seconds: float) -> Rows:
    """Return (kind, processes heard of lately, largest lag, connections open, busy, allowed, largest memory)."""
    return await rows(
        tx,
        """
        SELECT kind, count(id), coalesce(max(lag_ms), 0) / 1000.0::float8, coalesce(sum(pool_open), 0)::int,
               coalesce(sum(pool_busy), 0)::int, coalesce(sum(pool_max), 0)::int, coalesce(max(memory_bytes), 0)
        FROM unnest(ARRAY['web', 'worker']) AS known (kind)
        LEFT JOIN processes ON seen_at > clock_timestamp() - make_interval(secs => $1)
                               AND CASE kind WHEN 'web' THEN has_web ELSE has_worker END
        GROUP BY kind
        """,
        seconds,
    )


async def list_database(tx: Tx) -> Rows:
    """Return (bytes, connections in use, connections allowed, the database's clock in seconds since 1970)."""
    return await rows(
        tx,
        """
        SELECT pg_database_size(current_database()), (SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL),
               current_setting('max_connections')::int, extract(epoch FROM clock_timestamp())::float8
        """,
    )
