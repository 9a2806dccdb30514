"""Statements on purchases whose client was not told the outcome, and on those under the caller's own word."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from numberdesk.base.db import Tx, columns, maybe, run, value
from numberdesk.orders.model import HandoverNote
from numberdesk.wallet.model import AccountId


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A purchase whose client was not told the outcome."""

    request_key: str
    wants_object: bool
    waited_ms: int
    noted_at: datetime


@dataclass(frozen=True, slots=True)
class Reference:
    """What a purchase under the caller's own word is about, and which of its tries counts."""

    fingerprint: bytes
    tries: int


async def insert_reference(tx: Tx, account_id: AccountId, reference: str, fingerprint: bytes) -> None:
    """Write what a word is used for, unless it was used before."""
    query = """
        INSERT INTO purchase_references (account_id, reference, fingerprint) VALUES ($1, $2, $3)
        ON CONFLICT (account_id, reference) DO NOTHING
        """
    await run(tx, query, account_id, reference, fingerprint)


async def find_reference(tx: Tx, account_id: AccountId, reference: str) -> Reference | None:
    """Return what a word is used for."""
    query = "SELECT fingerprint, tries FROM purchase_references WHERE account_id = $1 AND reference = $2"
    return await maybe(tx, Reference, query, account_id, reference)


async def set_next_try(tx: Tx, account_id: AccountId, reference: str, *, tries: int, fingerprint: bytes) -> None:
    """One try -> the next one, unless somebody else was faster."""
    query = """
        UPDATE purchase_references SET tries = tries + 1, fingerprint = $4
        WHERE account_id = $1 AND reference = $2 AND tries = $3
        """
    await run(tx, query, account_id, reference, tries, fingerprint)


async def delete_unused_reference(
    tx: Tx, account_id: AccountId, reference: str, request_key: str, fingerprint: bytes
) -> None:
    """Free a word whose request made no order."""
    query = """
        DELETE FROM purchase_references
        WHERE account_id = $1 AND reference = $2 AND fingerprint = $4
          AND NOT EXISTS (SELECT FROM orders WHERE account_id = $1 AND request_key = $3)
        """
    await run(tx, query, account_id, reference, request_key, fingerprint)


async def insert_held(tx: Tx, items: Sequence[tuple[AccountId, str, HandoverNote]], *, held_for: timedelta) -> None:
    """Note purchases, by account and request, that are begun; those noted before stay as they are."""
    keys = [(account_id, request_key) for account_id, request_key, _ in items]
    notes = [note for _, _, note in items]
    await run(
        tx,
        """
        INSERT INTO undelivered_purchases (account_id, request_key, fingerprint, wants_object, holder, waited_ms,
                                           noted_at, held_until)
        SELECT item.*, 0, now, now + $6::interval
        FROM unnest($1::bigint[], $2::text[], $3::bytea[], $4::boolean[], $5::text[]) AS item,
             clock_timestamp() AS now
        ON CONFLICT (account_id, request_key) DO NOTHING
        """,
        [account_id for account_id, _ in keys],
        [request_key for _, request_key in keys],
        *columns(notes, "fingerprint", "wants_object", "holder"),
        held_for,
    )


async def take_undelivered(
    tx: Tx, account_id: AccountId, fingerprint: bytes, *, within: timedelta, holder: str, held_for: timedelta
) -> Undelivered | None:
    """Take the oldest purchase of a kind that nobody waits for: from now on it is the holder's.

    One that another process holds is taken when that process is dead, or its time to answer is over: who lives holds
    the lock of its name, as `wake.listen` has it.
    """
    return await maybe(
        tx,
        Undelivered,
        """
        UPDATE undelivered_purchases SET holder = $4, held_until = clock_timestamp() + $5::interval
        WHERE account_id = $1 AND request_key = (
            SELECT request_key FROM undelivered_purchases
            WHERE account_id = $1 AND fingerprint = $2 AND noted_at > (SELECT clock_timestamp() - $3::interval)
              AND (holder IS NULL OR held_until < clock_timestamp()
                   OR (holder <> $4 AND pg_try_advisory_xact_lock_shared(hashtextextended(holder, 0))))
            ORDER BY noted_at LIMIT 1 FOR UPDATE SKIP LOCKED
        ) RETURNING request_key, wants_object, waited_ms, noted_at
        """,
        account_id,
        fingerprint,
        within,
        holder,
        held_for,
    )


async def upsert_undelivered(
    tx: Tx, account_id: AccountId, request_key: str, *, fingerprint: bytes, wants_object: bool, waited_ms: int,
    at: datetime | None,
) -> None:  # fmt: skip
    """Note a purchase as undelivered since then, for anybody to take; None is now."""
    await run(
        tx,
        """
        INSERT INTO undelivered_purchases (account_id, request_key, fingerprint, wants_object, waited_ms, noted_at)
        VALUES ($1, $2, $3, $4, $5, coalesce($6::timestamptz, clock_timestamp()))
        ON CONFLICT (account_id, request_key) DO UPDATE
        SET noted_at = excluded.noted_at, waited_ms = excluded.waited_ms, holder = NULL, held_until = NULL
        """,
        account_id,
        request_key,
        fingerprint,
        wants_object,
        waited_ms,
        at,
    )


async def delete_delivered(tx: Tx, items: Sequence[tuple[AccountId, str]]) -> None:
    """Forget purchases, by account and request, whose clients were told."""
    query = """
        DELETE FROM undelivered_purchases
        USING unnest($1::bigint[], $2::text[]) AS told (account, key)
        WHERE account_id = told.account AND request_key = told.key
        """
    await run(tx, query, [account_id for account_id, _ in items], [request_key for _, request_key in items])


async def delete_old_undelivered(tx: Tx, *, older_than: timedelta, limit: int) -> int:
    """Forget purchases that nobody came back for."""
    return await run(
        tx,
        """
        DELETE FROM undelivered_purchases WHERE (account_id, request_key) IN (
            SELECT account_id, request_key FROM undelivered_purchases
            WHERE noted_at < (SELECT clock_timestamp() - $1::interval) LIMIT $2
        )
        """,
        older_than,
        limit,
    )


async def is_buying_now(tx: Tx, account_id: AccountId, service: str, *, lately: timedelta, rows_max: int) -> bool:
    """Tell whether one of an account's newest orders is of a service and on its way, or was a moment ago."""
    found: bool = await value(
        tx,
        """
        SELECT EXISTS (
            SELECT FROM (
                SELECT service, state, changed_at FROM orders WHERE account_id = $1 ORDER BY id DESC LIMIT $3
            ) AS newest
            WHERE service = $4 AND (state = 'requested' OR changed_at > clock_timestamp() - $2::interval)
        )
        """,
        account_id,
        lately,
        rows_max,
        service,
    )
    return found
