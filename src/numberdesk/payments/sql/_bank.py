"""Statements on what the operator's bank says: files, their rows, alerts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from numberdesk.base.db import Tx, columns, many, maybe, run
from numberdesk.base.money import Paise
from numberdesk.payments.model import (
    BankCredit,
    BankCreditId,
    BankCreditSource,
    NewBankCredit,
    Recharge,
    RechargeId,
    Statement,
    VpaId,
)
from numberdesk.wallet.model import AccountId


@dataclass(frozen=True, slots=True)
class Content:
    """A file that waits to be read, and how far it was."""

    id: int
    vpa_id: VpaId
    profile: str
    sha256: bytes
    content: bytes
    """Sealed."""
    rows_read: int


async def insert_statement(
    tx: Tx, *, vpa_id: VpaId, profile: str, name: str, sha256: bytes, content: bytes, rows: int,
    by_account: AccountId | None,
) -> Statement | None:  # fmt: skip
    """Store a file; None when the same one was stored before. One that failed is taken again from its beginning."""
    return await maybe(
        tx,
        Statement,
        """
        INSERT INTO statements (vpa_id, profile, name, sha256, content, rows_total, by_account)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (vpa_id, sha256) DO UPDATE
        SET profile = excluded.profile, name = excluded.name, content = excluded.content, state = 'waiting',
            rows_total = excluded.rows_total, rows_read = 0, credits = 0, known = 0, settled = 0, skipped = 0,
            problems = '[]', bad = 0, by_account = excluded.by_account, ended_at = NULL, due_at = clock_timestamp()
        WHERE statements.state = 'failed'
        RETURNING *
        """,
        vpa_id,
        profile,
        name,
        sha256,
        content,
        rows,
        by_account,
    )


async def find_statement(
    tx: Tx, *, statement_id: int | None, vpa_id: VpaId | None, sha256: bytes | None
) -> Statement | None:
    """Return a file by its id, or by what it holds."""
    return await maybe(
        tx,
        Statement,
        "SELECT * FROM statements WHERE id = $1 OR ($1::bigint IS NULL AND vpa_id = $2 AND sha256 = $3)",
        statement_id,
        vpa_id,
        sha256,
    )


async def lease_statement(tx: Tx, *, lease: timedelta) -> Content | None:
    """Take one file that waits to be read on."""
    return await maybe(
        tx,
        Content,
        """
        UPDATE statements SET due_at = clock_timestamp() + $1::interval
        WHERE id = ANY(ARRAY(
            SELECT id FROM statements WHERE state = 'waiting' AND due_at <= clock_timestamp()
            ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED))
        RETURNING *
        """,
        lease,
    )


async def add_progress(
    tx: Tx, statement: Content, *, rows: int, new: int, known: int, settled: int, skipped: int, bad: int,
    problems: str, is_over: bool,
) -> bool:  # fmt: skip
    """Write how far a file was read; False when somebody else has read it on. Its content goes at the end."""
    return (
        await run(
            tx,
            """
            UPDATE statements
            SET rows_read = rows_read + $3, credits = credits + $4, known = known + $5, settled = settled + $6,
                skipped = skipped + $7, bad = bad + $8,
                problems = (SELECT COALESCE(jsonb_agg(problem), '[]') FROM (
                    SELECT problem FROM jsonb_array_elements(problems || $9::jsonb) AS problem LIMIT 100) AS first),
                state = CASE WHEN $10 THEN 'done' ELSE state END,
                ended_at = CASE WHEN $10 THEN clock_timestamp() END,
                content = CASE WHEN $10 THEN NULL ELSE content END, due_at = clock_timestamp()
            WHERE id = $1 AND rows_read = $2 AND state = 'waiting'
            """,
            statement.id,
            statement.rows_read,
            rows,
            new,
            known,
            settled,
            skipped,
            bad,
            problems,
            is_over,
        )
        == 1
    )


async def set_statement_failed(tx: Tx, statement_id: int, *, problem: str) -> None:
    """waiting -> failed."""
    await run(
        tx,
        """
        UPDATE statements SET state = 'failed', ended_at = clock_timestamp(), content = NULL,
                              problems = problems ||
                              jsonb_build_array(jsonb_build_object('line', 0, 'problem', $2::text))
        WHERE id = $1 AND state = 'waiting'
        """,
        statement_id,
        problem,
    )


async def insert_bank_credits(
    tx: Tx, *, vpa_id: VpaId, source: BankCreditSource, statement_id: int | None, items: Sequence[NewBankCredit]
) -> list[BankCredit]:
    """Write what the bank says came in; returns what is new, and what an alert had said and a statement now proves."""
    return await many(
        tx,
        BankCredit,
        """
        INSERT INTO bank_credits
            (vpa_id, source, statement_id, reference, rrn, amount_paise, paid_at, is_exact, details, payer_hash)
        SELECT $1, $2, $3, new.*
        FROM unnest($4::text[], $5::text[], $6::bigint[], $7::timestamptz[], $8::boolean[], $9::bytea[], $10::bytea[])
             AS new (reference, rrn, paise, paid_at, is_exact, details, payer_hash)
        ON CONFLICT (vpa_id, reference) DO UPDATE
            SET source = 'statement', statement_id = excluded.statement_id, paid_at = excluded.paid_at,
                is_exact = excluded.is_exact, details = excluded.details, payer_hash = excluded.payer_hash,
                amount_paise = excluded.amount_paise,
                version = bank_credits.version + 1
            WHERE bank_credits.source = 'alert' AND excluded.source = 'statement'
        RETURNING *
        """,
        vpa_id,
        source,
        statement_id,
        *columns(items, "reference", "rrn", "amount_paise", "paid_at", "is_exact", "details", "payer_hash"),
    )


async def list_bank_credits(tx: Tx, *, vpa_id: VpaId, references: Sequence[str]) -> list[BankCredit]:
    """Return what is known of some references at an address."""
    return await many(
        tx, BankCredit, "SELECT * FROM bank_credits WHERE vpa_id = $1 AND reference = ANY($2::text[])",
        vpa_id, references,
    )  # fmt: skip


async def find_bank_credit(tx: Tx, credit_id: BankCreditId) -> BankCredit | None:
    """Return what the bank said, by its id."""
    return await maybe(tx, BankCredit, "SELECT * FROM bank_credits WHERE id = $1", credit_id)


async def list_unclaimed_since(tx: Tx, *, older_than: timedelta, limit: int) -> list[BankCredit]:
    """Return what statements show and nobody has claimed for so long, oldest first."""
    return await many(
        tx,
        BankCredit,
        """
        SELECT * FROM bank_credits
        WHERE state = 'open' AND source = 'statement' AND created_at < clock_timestamp() - $1::interval
        ORDER BY created_at, id LIMIT $2
        """,
        older_than,
        limit,
    )


async def set_ignored(tx: Tx, credit: BankCredit) -> bool:
    """open -> ignored, of the version that was read: it is no money of this service."""
    return (
        await run(
            tx,
            """
            UPDATE bank_credits SET state = 'ignored', version = version + 1
            WHERE id = $1 AND version = $2 AND state = 'open'
            """,
            credit.id,
            credit.version,
        )
        == 1
    )


async def list_slots(tx: Tx, *, vpa_id: VpaId, amounts: Sequence[int]) -> list[Recharge]:
    """Return the recharges that some amounts at an address are kept for."""
    return await many(
        tx,
        Recharge,
        "SELECT * FROM recharges WHERE vpa_id = $1 AND holds_slot AND payable_paise = ANY($2::bigint[])",
        vpa_id,
        amounts,
    )


@dataclass(frozen=True, slots=True)
class Match:
    """A credit of the bank, and the one recharge whose customer named its UTR, for its amount and in its time."""

    credit_id: BankCreditId
    vpa_id: VpaId
    reference: str
    rrn: str | None
    amount_paise: Paise
    paid_at: datetime
    source: BankCreditSource
    recharge_id: RechargeId


async def list_matches(
    tx: Tx, *, with_alerts: bool, vpa_id: VpaId | None, rrn: str | None, before: timedelta, after: timedelta,
    one_person_up_to: Paise, limit: int,
) -> list[Match]:  # fmt: skip
    """Return what the bank says came in and exactly one open claim fits: UTR, amount and time.

    A UTR that two recharges of one amount claim is for a person: it is left out. So is a row of a file that a member
    of the staff brought, when it is for himself, or for more than one person may approve.

    Args:
        before: how long before its recharge a payment may have been made, by another clock.
        after: how long after its end.
    """
    return await many(
        tx,
        Match,
        """
        SELECT credit.id AS credit_id, credit.vpa_id, credit.reference, credit.rrn, credit.amount_paise,
               credit.paid_at, credit.source, min(recharge.id) AS recharge_id
        FROM bank_credits AS credit
        JOIN utr_claims AS claim ON claim.vpa_id = credit.vpa_id AND claim.rrn = credit.rrn AND claim.state = 'waiting'
        JOIN recharges AS recharge ON recharge.id = claim.recharge_id AND recharge.payable_paise = credit.amount_paise
        LEFT JOIN statements AS statement ON statement.id = credit.statement_id
        WHERE credit.paid_at > recharge.created_at - $4::interval
                               - CASE WHEN credit.is_exact THEN interval '0' ELSE interval '12 hours' END
          AND credit.paid_at < recharge.expires_at + $5::interval
                               + CASE WHEN credit.is_exact THEN interval '0' ELSE interval '12 hours' END
          AND (statement.by_account IS NULL
               OR (statement.by_account <> recharge.account_id AND credit.amount_paise <= $7))
          AND NOT EXISTS (SELECT FROM external_payments AS payment
                          WHERE payment.rail = 'upi_manual' AND payment.rrn = credit.rrn)
          AND credit.state = 'open' AND ($1 OR credit.source = 'statement')
          AND ($2::bigint IS NULL OR credit.vpa_id = $2) AND ($3::text IS NULL OR credit.rrn = $3)
        GROUP BY credit.id HAVING count(DISTINCT recharge.id) = 1
        ORDER BY credit.id LIMIT $6
        """,
        with_alerts,
        vpa_id,
        rrn,
        before,
        after,
        limit,
        one_person_up_to,
    )
