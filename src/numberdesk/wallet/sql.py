"""Every statement on the ledger's tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from numberdesk.base.db import Tx, columns, many, maybe, rows, run, value
from numberdesk.wallet.model import (
    PROLONGING,
    AccountId,
    Hold,
    HoldState,
    HoldWanted,
    PostingKind,
    Transaction,
    TransactionState,
    Wallet,
)


@dataclass(frozen=True, slots=True)
class Line:
    """One entry to be written, with the cause that finds its posting."""

    kind: str
    cause_type: str
    cause_id: str
    account_id: int | None
    bucket: str
    amount_paise: int
    balance_after_paise: int | None
    version: int | None


@dataclass(frozen=True, slots=True)
class Change:
    """What a transaction adds to one wallet."""

    account_id: int
    available_paise: int
    held_paise: int
    entries: int


async def insert_wallets(tx: Tx, account_ids: Sequence[int]) -> None:
    """Give accounts their empty wallets."""
    await run(tx, "INSERT INTO wallets (account_id) SELECT unnest($1::bigint[])", account_ids)


async def lock_wallets(tx: Tx, account_ids: Sequence[int]) -> list[Wallet]:
    """Lock wallets in ascending order of their ids."""
    return await many(
        tx, Wallet, "SELECT * FROM wallets WHERE account_id = ANY($1::bigint[]) ORDER BY account_id FOR UPDATE",
        account_ids,
    )  # fmt: skip


async def find_wallet(tx: Tx, account_id: AccountId) -> Wallet | None:
    """Return a wallet, unlocked."""
    return await maybe(tx, Wallet, "SELECT * FROM wallets WHERE account_id = $1", account_id)


async def insert_lines(
    tx: Tx, lines: Sequence[Line], changes: Sequence[Change], system: Sequence[tuple[str, int]]
) -> None:
    """Write postings, their entries, the wallets' new balances and the system accounts' changes in one statement."""
    postings = list(dict.fromkeys((line.kind, line.cause_type, line.cause_id) for line in lines))
    await run(
        tx,
        """
        WITH posting AS (
            INSERT INTO postings (kind, cause_type, cause_id)
            SELECT * FROM unnest($1::text[], $2::text[], $3::text[])
            RETURNING id, kind, cause_type, cause_id, at
        ), entry AS (
            INSERT INTO entries (posting_id, at, account_id, bucket, amount_paise, balance_after_paise, version)
            SELECT posting.id, posting.at, line.account_id, line.bucket, line.amount, line.after, line.version
            FROM unnest($4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[], $9::bigint[], $10::bigint[],
                        $11::bigint[])
                 AS line (kind, cause_type, cause_id, account_id, bucket, amount, after, version)
            JOIN posting USING (kind, cause_type, cause_id)
        ), wallet AS (
            UPDATE wallets SET available_paise = wallets.available_paise + change.available,
                               held_paise = wallets.held_paise + change.held,
                               version = wallets.version + change.entries
            FROM unnest($12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[])
                 AS change (account_id, available, held, entries)
            WHERE wallets.account_id = change.account_id
        )
        INSERT INTO system_changes (bucket, amount_paise) SELECT * FROM unnest($16::text[], $17::bigint[])
        """,
        *([list(column) for column in zip(*postings, strict=True)]),
        *columns(
            lines, "kind", "cause_type", "cause_id", "account_id", "bucket", "amount_paise", "balance_after_paise",
            "version",
        ),
        *columns(changes, "account_id", "available_paise", "held_paise", "entries"),
        [bucket for bucket, _ in system],
        [amount for _, amount in system],
    )  # fmt: skip


async def insert_holds(tx: Tx, holds: Sequence[HoldWanted]) -> None:
    """Write new holds; a second one for the same order and purpose breaks the primary key."""
    await run(
        tx,
        """
        INSERT INTO holds (order_id, purpose, account_id, amount_paise)
        SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[])
        """,
        *columns(holds, "order_id", "purpose", "account_id", "amount_paise"),
    )


async def lock_live_holds(tx: Tx, order_ids: Sequence[int], *, purpose: str | None = None) -> list[Hold]:
    """Lock the live holds of orders in ascending order: that of a purpose, or all but those that end by themselves."""
    return await many(
        tx,
        Hold,
        """
        SELECT * FROM holds
        WHERE order_id = ANY($1::bigint[]) AND state = 'held'
          AND CASE WHEN $2::text IS NULL THEN NOT starts_with(purpose, $3) ELSE purpose = $2 END
        ORDER BY order_id, purpose FOR UPDATE
        """,
        order_ids,
        purpose,
        PROLONGING,
    )


async def set_holds_ended(tx: Tx, holds: Sequence[Hold], state: HoldState) -> int:
    """held -> captured or voided; returns how many moved."""
    return await run(
        tx,
        """
        UPDATE holds SET state = $3, ended_at = clock_timestamp()
        FROM unnest($1::bigint[], $2::text[]) AS ending (order_id, purpose)
        WHERE holds.order_id = ending.order_id AND holds.purpose = ending.purpose AND holds.state = 'held'
        """,
        *columns(holds, "order_id", "purpose"),
        state,
    )


async def lock_hold(tx: Tx, order_id: int, purpose: str) -> Hold | None:
    """Lock one hold, whatever its state."""
    return await maybe(
        tx, Hold, "SELECT * FROM holds WHERE order_id = $1 AND purpose = $2 FOR UPDATE", order_id, purpose
    )


async def list_holds(tx: Tx, order_ids: Sequence[int]) -> list[Hold]:
    """Return all holds of some orders."""
    return await many(tx, Hold, "SELECT * FROM holds WHERE order_id = ANY($1::bigint[])", order_ids)


async def list_known_causes(tx: Tx, kinds: Sequence[str], cause_ids: Sequence[str]) -> set[tuple[str, str]]:
    """Return the (kind, cause) pairs among these that already had their effect."""
    return {
        (kind, cause)
        for kind, cause in await rows(
            tx,
            "SELECT kind, cause_id FROM postings WHERE kind = ANY($1::text[]) AND cause_id = ANY($2::text[])",
            kinds,
            cause_ids,
        )
    }


async def list_order_postings(tx: Tx, causes: Sequence[str]) -> list[tuple[str, PostingKind, int, datetime]]:
    """Return (cause, kind, id, time) of what happened to holds, in its order."""
    return [
        (cause, kind, posting_id, at)
        for cause, kind, posting_id, at in await rows(
            tx,
            """
            SELECT cause_id, kind, id, at FROM postings
            WHERE kind IN ('hold', 'capture', 'void', 'refund') AND cause_type = 'order'
              AND cause_id = ANY($1::text[]) ORDER BY id
            """,
            causes,
        )
    ]


async def list_transactions(
    tx: Tx,
    *,
    account_id: AccountId,
    before: int | None,
    kinds: Sequence[str] | None,
    state: TransactionState | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    offset: int,
) -> list[Transaction]:
    """Return a customer's statement, newest first: the lines of `available` with the state of what they paid for."""
    # Only causes of type `order` begin with a number, and a join may evaluate its terms in any order: hence the CASE.
    return await many(
        tx,
        Transaction,
        """
        SELECT * FROM (
            SELECT entry.version, entry.amount_paise, entry.balance_after_paise, entry.at, cause.order_id,
                   CASE WHEN posting.cause_type = 'recharge' THEN posting.cause_id END AS cause,
                   CASE posting.kind WHEN 'hold' THEN 'service_purchase' WHEN 'void' THEN 'refund'
                        WHEN 'assign' THEN 'recharge' WHEN 'pay_back' THEN 'recharge'
                        WHEN 'pay_back_failed' THEN 'recharge' WHEN 'play_money' THEN 'admin_credit'
                        ELSE posting.kind END AS type,
                   CASE WHEN posting.kind = 'pay_back' THEN 'refunded'
                        WHEN posting.kind <> 'hold' THEN 'completed'
                        WHEN hold.state = 'held' THEN 'pending'
                        WHEN hold.state = 'captured' AND refund.id IS NULL THEN 'completed' ELSE 'refunded' END AS state
            FROM entries AS entry
            JOIN postings AS posting ON posting.id = entry.posting_id
            CROSS JOIN LATERAL (
                SELECT CASE WHEN posting.cause_type = 'order' THEN split_part(posting.cause_id, ':', 1)::bigint END
                           AS order_id,
                       substr(posting.cause_id, strpos(posting.cause_id, ':') + 1) AS purpose
            ) AS cause
            LEFT JOIN holds AS hold
                 ON posting.kind = 'hold' AND hold.order_id = cause.order_id AND hold.purpose = cause.purpose
            LEFT JOIN postings AS refund
                 ON posting.kind = 'hold' AND refund.kind = 'refund' AND refund.cause_type = 'order'
                AND refund.cause_id = posting.cause_id
            WHERE entry.account_id = $1 AND entry.bucket = 'available'
              AND ($2::bigint IS NULL OR entry.version < $2)
              AND ($3::text[] IS NULL OR posting.kind = ANY($3))
              AND ($5::timestamptz IS NULL OR entry.at >= $5)
              AND ($6::timestamptz IS NULL OR entry.at < $6)
        ) AS line
        WHERE $4::text IS NULL OR state = $4
        ORDER BY version DESC
        LIMIT $7 OFFSET $8
        """,
        account_id,
        before,
        kinds,
        state,
        since,
        until,
        limit,
        offset,
    )


async def count_transactions(tx: Tx, *, account_id: AccountId) -> int:
    """Return how many lines a customer's statement has."""
    found: int = await value(
        tx, "SELECT count(*) FROM entries WHERE account_id = $1 AND bucket = 'available'", account_id
    )
    return found


async def roll_up(tx: Tx, *, limit: int) -> int:
    """Take committed changes away and add them to the system balances; returns how many were taken."""
    taken: int = await value(
        tx,
        """
        WITH taken AS (
            DELETE FROM system_changes
            WHERE ctid = ANY(ARRAY(SELECT ctid FROM system_changes LIMIT $1 FOR UPDATE SKIP LOCKED))
            RETURNING bucket, amount_paise
        ), added AS (
            INSERT INTO system_balances (bucket, balance_paise)
            SELECT bucket, sum(amount_paise) FROM taken GROUP BY bucket
            ON CONFLICT (bucket) DO UPDATE
            SET balance_paise = system_balances.balance_paise + excluded.balance_paise, rolled_up_at = clock_timestamp()
        )
        SELECT count(*) FROM taken
        """,
        limit,
    )
    return taken


async def list_system_balances(tx: Tx) -> list[tuple[str, int]]:
    """Return (bucket, paise) of every system account, what is not yet rolled up included."""
    return [
        (bucket, paise)
        for bucket, paise in await rows(
            tx,
            """
            SELECT bucket, sum(paise)::bigint FROM (
                SELECT bucket, balance_paise AS paise FROM system_balances
                UNION ALL SELECT bucket, amount_paise FROM system_changes
            ) AS parts GROUP BY bucket ORDER BY bucket
            """,
        )
    ]
