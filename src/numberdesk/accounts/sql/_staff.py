"""Statements on what staff do with money by hand, and on their notes."""

from datetime import timedelta

from numberdesk.accounts.model import MoneyRequest, MoneyWanted, Note, RequestId, Role
from numberdesk.base.db import Tx, many, maybe, one, rows, value
from numberdesk.base.money import Paise
from numberdesk.wallet.model import AccountId


async def lock_member(tx: Tx, account_id: AccountId) -> tuple[Role, str] | None:
    """Return role and state of one of the staff, and let nobody change them, nor count another amount of his."""
    found = await rows(tx, "SELECT role, state FROM accounts WHERE id = $1 FOR NO KEY UPDATE", account_id)
    return (found[0][0], found[0][1]) if found else None


async def find_member(tx: Tx, account_id: AccountId) -> tuple[Role, str] | None:
    """Return role and state of one of the staff."""
    found = await rows(tx, "SELECT role, state FROM accounts WHERE id = $1", account_id)
    return (found[0][0], found[0][1]) if found else None


async def sum_moved(tx: Tx, account_id: AccountId, *, within: timedelta) -> Paise:
    """Return what a person asked for lately and nobody refused, and what he agreed to."""
    found: int = await value(
        tx,
        """
        SELECT (SELECT coalesce(sum(amount_paise), 0) FROM money_requests
                WHERE asked_by = $1 AND asked_at > (SELECT clock_timestamp() - $2::interval) AND state <> 'refused')
             + (SELECT coalesce(sum(amount_paise), 0) FROM money_requests
                WHERE decided_by = $1 AND decided_at > (SELECT clock_timestamp() - $2::interval) AND state = 'done')
        """,
        account_id,
        within,
    )
    return Paise(int(found))


async def insert_money_request(
    tx: Tx, wanted: MoneyWanted, *, asked_by: AccountId, key: str, state: str
) -> MoneyRequest:
    """Write down what is to be done with money, or is done with this transaction."""
    return await one(
        tx,
        MoneyRequest,
        """
        INSERT INTO money_requests
            (action, account_id, subject_id, subject_version, amount_paise, reason, asked_by, request_key, state)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        RETURNING *, false AS is_over
        """,
        wanted.action,
        wanted.account_id,
        wanted.subject_id,
        wanted.subject_version,
        wanted.amount_paise,
        wanted.reason,
        asked_by,
        key,
        state,
    )


async def find_money_request_by_key(
    tx: Tx, asked_by: AccountId, key: str, *, open_for: timedelta
) -> MoneyRequest | None:
    """Return what a person asked for under a key."""
    return await maybe(
        tx,
        MoneyRequest,
        """
        SELECT *, state = 'waiting' AND asked_at <= clock_timestamp() - $3::interval AS is_over
        FROM money_requests WHERE asked_by = $1 AND request_key = $2
        """,
        asked_by,
        key,
        open_for,
    )


async def find_twin(tx: Tx, wanted: MoneyWanted, *, asked_by: AccountId, within: timedelta) -> RequestId | None:
    """Return what the same person asked for a moment ago in the same words."""
    found: RequestId | None = await value(
        tx,
        """
        SELECT id FROM money_requests
        WHERE asked_by = $1 AND asked_at > (SELECT clock_timestamp() - $2::interval) AND state <> 'refused'
          AND (action, amount_paise, reason) = ($3, $4, $5) AND account_id IS NOT DISTINCT FROM $6
          AND subject_id IS NOT DISTINCT FROM $7
        ORDER BY id DESC LIMIT 1
        """,
        asked_by,
        within,
        wanted.action,
        wanted.amount_paise,
        wanted.reason,
        wanted.account_id,
        wanted.subject_id,
    )
    return found


async def lock_money_request(tx: Tx, request_id: RequestId, *, open_for: timedelta) -> MoneyRequest | None:
    """Return a request, and let nobody else decide about it."""
    return await maybe(
        tx,
        MoneyRequest,
        """
        SELECT *, state = 'waiting' AND asked_at <= clock_timestamp() - $2::interval AS is_over
        FROM money_requests WHERE id = $1 FOR NO KEY UPDATE
        """,
        request_id,
        open_for,
    )


async def set_money_request_decided(tx: Tx, request_id: RequestId, *, state: str, by: AccountId) -> MoneyRequest | None:
    """waiting -> done or refused; None when it was decided before."""
    return await maybe(
        tx,
        MoneyRequest,
        """
        UPDATE money_requests SET state = $2, decided_by = $3, decided_at = clock_timestamp()
        WHERE id = $1 AND state = 'waiting' RETURNING *, false AS is_over
        """,
        request_id,
        state,
        by,
    )


async def list_money_requests(
    tx: Tx, *, is_waiting: bool, account_id: AccountId | None, open_for: timedelta, before: int | None, limit: int
) -> list[MoneyRequest]:
    """Return requests, newest first: those that still can be agreed to, or all."""
    return await many(
        tx,
        MoneyRequest,
        """
        SELECT *, state = 'waiting' AND asked_at <= clock_timestamp() - $3::interval AS is_over
        FROM money_requests
        WHERE (NOT $1 OR (state = 'waiting' AND asked_at > (SELECT clock_timestamp() - $3::interval)))
          AND ($2::bigint IS NULL OR account_id = $2) AND ($4::bigint IS NULL OR id < $4)
        ORDER BY id DESC LIMIT $5
        """,
        is_waiting,
        account_id,
        open_for,
        before,
        limit,
    )


async def insert_note(tx: Tx, account_id: AccountId, *, author_id: AccountId, text: str) -> Note:
    """Append a note to an account."""
    return await one(
        tx,
        Note,
        "INSERT INTO account_notes (account_id, author_id, text) VALUES ($1, $2, $3) RETURNING *",
        account_id,
        author_id,
        text,
    )


async def list_notes(tx: Tx, account_id: AccountId, *, limit: int) -> list[Note]:
    """Return the notes on an account, newest first."""
    return await many(
        tx, Note, "SELECT * FROM account_notes WHERE account_id = $1 ORDER BY id DESC LIMIT $2", account_id, limit
    )


async def list_accounts_by_prefix(tx: Tx, prefix: str, *, limit: int) -> list[tuple[AccountId, str, str]]:
    """Return (account, name, prefix) of keys with this prefix, revoked ones too."""
    return [
        (AccountId(account_id), name, found)
        for account_id, name, found in await rows(
            tx,
            "SELECT account_id, name, prefix FROM api_keys WHERE prefix = $1 ORDER BY id DESC LIMIT $2",
            prefix,
            limit,
        )
    ]


async def get_api_limit(tx: Tx, account_id: AccountId) -> int | None:
    """Return the request limit that an account has of its own."""
    found: int | None = await value(tx, "SELECT api_per_minute FROM accounts WHERE id = $1", account_id)
    return found
