"""Statements on what an account may do, and why."""

from datetime import timedelta

from numberdesk.accounts.model import Remains, Standing
from numberdesk.base.db import Tx, maybe, one, run
from numberdesk.wallet.model import AccountId


async def set_account_state(tx: Tx, account_id: AccountId, state: str, *, by: str, reason: str) -> bool:
    """Any state but closed -> `state`, of its sandbox too; False when there is no such account.

    Args:
        by: whoever decided it, in words that its owner may read.
    """
    return bool(
        await run(
            tx,
            """
            UPDATE accounts SET state = $2, changed_at = clock_timestamp(), state_at = clock_timestamp(), state_by = $3,
                                state_reason = nullif($4, '')
            WHERE id IN ($1, $1 + 1000000000000) AND state <> 'closed'
            """,
            account_id,
            state,
            by,
            reason,
        )
    )


async def set_account_closed(tx: Tx, account_id: AccountId, *, by: str, reason: str) -> None:
    """active, limited -> closed, its sandbox too; nothing is left by which anybody gets in."""
    await run(
        tx,
        """
        UPDATE accounts SET state = 'closed', changed_at = clock_timestamp(), state_at = clock_timestamp(),
                            state_by = $2, state_reason = $3, password_hash = NULL, phone = NULL
        WHERE id IN ($1, $1 + 1000000000000) AND state IN ('active', 'limited')
        """,
        account_id,
        by,
        reason,
    )


async def find_remains(tx: Tx, account_id: AccountId) -> Remains:
    """Return what is still in an account. Its wallet is locked: nothing can be bought meanwhile."""
    return await one(
        tx,
        Remains,
        """
        SELECT available_paise, held_paise,
               (SELECT count(*)::int FROM orders WHERE account_id = $1 AND ended_at IS NULL) AS open_orders,
               (SELECT count(*)::int FROM recharges WHERE account_id = $1
                AND status IN ('created', 'awaiting_payment', 'submitted', 'detected')) AS open_recharges,
               (SELECT count(*)::int FROM money_requests WHERE account_id = $1 AND state = 'waiting')
                   AS waiting_requests
        FROM wallets WHERE account_id = $1
        """,
        account_id,
    )


async def forget_closed(tx: Tx, *, keep: timedelta, limit: int) -> int:
    """Take mail address and name out of accounts that were closed long ago; returns of how many."""
    return await run(
        tx,
        """
        UPDATE accounts SET email = format('closed-%s@closed.invalid', id), email_key = 'closed:' || id, name = '',
                            telegram_chat_id = NULL, changed_at = clock_timestamp()
        WHERE id = ANY(ARRAY(
            SELECT id FROM accounts
            WHERE state = 'closed' AND state_at < (SELECT clock_timestamp() - $1::interval)
              AND email_key <> 'closed:' || id
            ORDER BY state_at LIMIT $2 FOR UPDATE SKIP LOCKED))
        """,
        keep,
        limit,
    )


async def find_standing(tx: Tx, account_id: AccountId) -> Standing | None:
    """Return why an account is in its state; of a sandbox, why its owner's is."""
    return await maybe(
        tx,
        Standing,
        """
        SELECT state, state_reason AS reason, state_by AS decided_by, state_at AS decided_at
        FROM accounts WHERE id = $1 - CASE WHEN is_sandbox($1) THEN 1000000000000 ELSE 0 END
        """,
        account_id,
    )


async def set_account_frozen(tx: Tx, account_id: AccountId, *, reason: str) -> bool:
    """active, limited -> frozen, its sandbox too; False when it was neither."""
    return bool(
        await run(
            tx,
            """
            UPDATE accounts SET state = 'frozen', changed_at = clock_timestamp(), state_at = clock_timestamp(),
                                state_by = 'the system', state_reason = nullif($2, '')
            WHERE id IN ($1, $1 + 1000000000000) AND state IN ('active', 'limited')
            """,
            account_id,
            reason,
        )
    )


async def delete_old_ips(tx: Tx, *, keep: timedelta, limit: int) -> int:
    """Forget addresses that accounts were not used from for long; returns how many went."""
    return await run(
        tx,
        """
        DELETE FROM account_ips USING (
            SELECT account_id, ip FROM account_ips
            WHERE last_seen_at < (SELECT clock_timestamp() - $1::interval) ORDER BY last_seen_at LIMIT $2
        ) AS old
        WHERE account_ips.account_id = old.account_id AND account_ips.ip = old.ip
        """,
        keep,
        limit,
    )
