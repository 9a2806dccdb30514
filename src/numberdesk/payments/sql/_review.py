"""Statements on what people decide: the queue, and first approvals of two."""

from dataclasses import dataclass

from numberdesk.base.db import Tx, many, run
from numberdesk.base.money import Paise
from numberdesk.payments.model import BankCredit, Payment, Recharge, Subject
from numberdesk.wallet.model import AccountId


@dataclass(frozen=True, slots=True)
class Approval:
    """What the first of two people approved."""

    approver_id: AccountId
    account_id: AccountId
    amount_paise: Paise
    rrn: str | None


async def list_submitted(tx: Tx, *, limit: int) -> list[Recharge]:
    """Return recharges whose customers say that they paid, longest waiting first."""
    return await many(
        tx, Recharge, "SELECT * FROM recharges WHERE status = 'submitted' ORDER BY changed_at, id LIMIT $1", limit
    )


async def list_suspense(tx: Tx, *, limit: int) -> list[Payment]:
    """Return money of nobody's, oldest first."""
    return await many(
        tx, Payment, "SELECT * FROM external_payments WHERE state = 'suspense' ORDER BY id LIMIT $1", limit
    )


async def list_unclaimed(tx: Tx, *, limit: int) -> list[BankCredit]:
    """Return what the bank says came in and nobody has claimed, oldest first."""
    return await many(
        tx, BankCredit, "SELECT * FROM bank_credits WHERE state = 'open' ORDER BY created_at, id LIMIT $1", limit
    )


async def insert_approval(
    tx: Tx, *, subject: Subject, subject_id: int, version: int, approver_id: AccountId, account_id: AccountId,
    amount_paise: Paise, rrn: str | None,
) -> None:  # fmt: skip
    """Write a first approval; the same person's newer one replaces the older."""
    await run(
        tx,
        """
        INSERT INTO approvals (subject, subject_id, version, approver_id, account_id, amount_paise, rrn)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (subject, subject_id, version, approver_id) DO UPDATE
        SET account_id = excluded.account_id, amount_paise = excluded.amount_paise, rrn = excluded.rrn,
            created_at = clock_timestamp()
        """,
        subject,
        subject_id,
        version,
        approver_id,
        account_id,
        amount_paise,
        rrn,
    )


async def list_approvals(tx: Tx, *, subject: Subject, subject_id: int, version: int) -> list[Approval]:
    """Return the approvals of this version."""
    return await many(
        tx,
        Approval,
        "SELECT * FROM approvals WHERE subject = $1 AND subject_id = $2 AND version = $3 ORDER BY created_at",
        subject,
        subject_id,
        version,
    )
