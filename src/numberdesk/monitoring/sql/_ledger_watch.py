"""Checking the ledger in the background: which check is due, what was posted lately, and the last results."""

from collections.abc import Sequence
from datetime import date

from numberdesk.base.db import Tx, many, maybe, run, value
from numberdesk.monitoring.model import Check, LedgerRun, LedgerScope
from numberdesk.monitoring.sql._found import Found, find

__all__ = [
    "find_new_bad_chains", "find_new_bad_wallets", "find_new_unbalanced", "find_new_wrong_held", "get_day",
    "get_new_end", "lease_ledger_run", "list_wrong", "set_ledger_results", "set_ledger_run_ended",
]  # fmt: skip


async def lease_ledger_run(
    tx: Tx, scope: LedgerScope, *, first_seconds: float, lease_seconds: float
) -> LedgerRun | None:
    """Take a check that is due, or return None; if it does not end, it is due again after the lease.

    Args:
        first_seconds: when it is due for the first time; what was posted before that moment is not new to it.
    """
    await run(
        tx,
        """
        INSERT INTO ledger_runs (scope, due_at, checked_to)
        SELECT $1, clock_timestamp() + make_interval(secs => $2),
               CASE $1 WHEN 'recent' THEN (SELECT coalesce(max(id), 0) FROM postings) ELSE 0 END
        WHERE NOT EXISTS (SELECT FROM ledger_runs WHERE scope = $1)
        ON CONFLICT DO NOTHING
        """,
        scope,
        first_seconds,
    )
    return await maybe(
        tx,
        LedgerRun,
        """
        UPDATE ledger_runs SET due_at = clock_timestamp() + make_interval(secs => $2)
        WHERE scope = $1 AND due_at <= clock_timestamp() RETURNING scope, checked_to
        """,
        scope,
        lease_seconds,
    )


async def set_ledger_run_ended(
    tx: Tx, scope: LedgerScope, *, checked_to: int, took_ms: int, next_seconds: float
) -> None:
    """Say that a check is complete, how far it came, and when it is due again."""
    await run(
        tx,
        """
        UPDATE ledger_runs SET checked_to = greatest(checked_to, $2), took_ms = $3, ended_at = clock_timestamp(),
                               due_at = clock_timestamp() + make_interval(secs => $4)
        WHERE scope = $1
        """,
        scope,
        checked_to,
        took_ms,
        next_seconds,
    )


async def get_day(tx: Tx) -> date:
    """Return the day of the database's clock in UTC."""
    day: date = await value(tx, "SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date")
    return day


async def set_ledger_results(tx: Tx, scope: LedgerScope, checks: Sequence[Check]) -> None:
    """Replace the results of a scope by new ones."""
    await run(tx, "DELETE FROM ledger_results WHERE scope = $1", scope)
    for check in checks:
        await run(
            tx,
            "INSERT INTO ledger_results (scope, invariant, name, wrong, examples, checked_at)"
            " VALUES ($1, $2, $3, $4, $5, clock_timestamp())",
            scope, check.invariant, check.name, check.wrong_count, check.wrong,
        )  # fmt: skip


async def list_wrong(tx: Tx, scope: LedgerScope) -> list[Check]:
    """Return the checks of a scope that found something wrong."""
    return await many(
        tx,
        Check,
        """
        SELECT invariant, name, false AS ok, 0 AS counted, examples AS wrong, wrong AS wrong_count FROM ledger_results
        WHERE scope = $1 AND wrong > 0
        """,
        scope,
    )


async def get_new_end(tx: Tx, *, after: int, limit: int) -> int:
    """Return up to which posting a look at new ones is final: younger ones may have neighbours that still commit."""
    end: int | None = await value(
        tx,
        """
        SELECT max(id) FROM postings
        WHERE id > $1 AND id <= $1 + $2 AND at < (SELECT clock_timestamp() - interval '60 seconds')
        """,
        after,
        limit,
    )
    return after if end is None else end


async def find_new_unbalanced(tx: Tx, *, after: int, to: int) -> Found:
    """New postings without entries, or whose entries do not sum to zero."""
    return await find(
        tx,
        """
        SELECT format('posting %s (%s of %s %s) ', id, kind, cause_type, cause_id) ||
               coalesce('sums to ' || total, 'has no entries'), count(*) OVER ()
        FROM postings
        CROSS JOIN LATERAL (SELECT sum(amount_paise) AS total FROM entries WHERE posting_id = id) AS line
        WHERE id > $2 AND id <= $3 AND total IS DISTINCT FROM 0
        ORDER BY id LIMIT $1
        """,
        after,
        to,
    )


async def find_new_bad_wallets(tx: Tx, *, after: int, to: int) -> Found:
    """Wallets with new entries whose balances or version are not those of their last entries."""
    return await find(
        tx,
        """
        SELECT format('wallet %s: available %s, held %s, version %s, but its last entries say %s, %s, %s', account_id,
                      available_paise, held_paise, version, available, held, last_version), count(*) OVER ()
        FROM (SELECT DISTINCT account_id FROM entries
              WHERE posting_id > $2 AND posting_id <= $3 AND account_id IS NOT NULL) AS touched
        LEFT JOIN wallets USING (account_id)
        CROSS JOIN LATERAL (
            SELECT coalesce((SELECT balance_after_paise FROM entries
                             WHERE account_id = touched.account_id AND bucket = 'available'
                             ORDER BY version DESC LIMIT 1), 0) AS available,
                   coalesce((SELECT balance_after_paise FROM entries
                             WHERE account_id = touched.account_id AND bucket = 'held'
                             ORDER BY version DESC LIMIT 1), 0) AS held,
                   (SELECT max(version) FROM entries WHERE account_id = touched.account_id) AS last_version
        ) AS last
        WHERE (available_paise, held_paise, version) IS DISTINCT FROM (available, held, last_version)
        ORDER BY account_id LIMIT $1
        """,
        after,
        to,
    )


async def find_new_bad_chains(tx: Tx, *, after: int, to: int) -> Found:
    """New entries of wallets whose balance is not the one before in the same bucket plus their amount."""
    return await find(
        tx,
        """
        SELECT format('wallet %s, entry %s (posting %s): %s after it, %s before it and an amount of %s',
                      new.account_id, new.version, posting_id, balance_after_paise, before, amount_paise),
               count(*) OVER ()
        FROM entries AS new
        CROSS JOIN LATERAL (
            SELECT coalesce((SELECT balance_after_paise FROM entries AS old
                             WHERE old.account_id = new.account_id AND old.version < new.version
                                   AND old.bucket = new.bucket
                             ORDER BY old.version DESC LIMIT 1), 0) AS before
        ) AS one
        WHERE posting_id > $2 AND posting_id <= $3 AND new.account_id IS NOT NULL
              AND balance_after_paise <> before + amount_paise
        ORDER BY new.account_id, new.version LIMIT $1
        """,
        after,
        to,
    )


async def find_new_wrong_held(tx: Tx, *, after: int, to: int) -> Found:
    """Wallets with new entries in which not as much is held as their live holds sum to."""
    return await find(
        tx,
        """
        SELECT format('wallet %s holds %s, its live holds sum to %s', account_id, held_paise, live), count(*) OVER ()
        FROM (SELECT DISTINCT account_id FROM entries
              WHERE posting_id > $2 AND posting_id <= $3 AND account_id IS NOT NULL) AS touched
        JOIN wallets USING (account_id)
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(amount_paise), 0) AS live FROM holds
            WHERE holds.account_id = touched.account_id AND state = 'held'
        ) AS held
        WHERE held_paise <> live
        ORDER BY account_id LIMIT $1
        """,
        after,
        to,
    )
