"""Statements for what the operator compares: our books against gateway, bank and chain."""

from dataclasses import dataclass
from datetime import datetime

from numberdesk.base.db import Tx, many, maybe, run
from numberdesk.base.money import Paise
from numberdesk.payments.model import BankCredit, RailTotal, ReconciledSource, Reconciliation, VpaId


@dataclass(frozen=True, slots=True)
class Covered:
    """What the statements of an address cover: how many credits, and from when to when."""

    vpa_id: VpaId
    credits: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Unproven:
    """A payment in our books, and what the bank says of it, if anything."""

    external_id: str
    amount_paise: Paise
    bank_paise: Paise | None


async def list_totals(tx: Tx, *, since: datetime, until: datetime) -> list[RailTotal]:
    """Return what came in by day, rail and state."""
    return await many(
        tx,
        RailTotal,
        """
        SELECT (created_at AT TIME ZONE 'Asia/Kolkata')::date AS day, rail, state, count(*)::int AS payments,
               sum(amount_paise)::bigint AS amount_paise, sum(refunded_paise)::bigint AS refunded_paise,
               COALESCE(sum(units), 0)::bigint AS units
        FROM external_payments WHERE created_at >= $1 AND created_at < $2
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        """,
        since,
        until,
    )


async def insert_reconciliation(
    tx: Tx, *, source: ReconciledSource, checked: int, unclear: int, differences: str, started_at: datetime
) -> None:
    """Write a comparison."""
    await run(
        tx,
        """
        INSERT INTO reconciliations (source, checked, unclear, differences, started_at) VALUES ($1, $2, $3, $4, $5)
        """,
        source,
        checked,
        unclear,
        differences,
        started_at,
    )


async def find_reconciliation(tx: Tx, source: ReconciledSource) -> Reconciliation | None:
    """Return the newest comparison with a source."""
    return await maybe(
        tx, Reconciliation, "SELECT * FROM reconciliations WHERE source = $1 ORDER BY id DESC LIMIT 1", source
    )


async def list_reconciliations(tx: Tx, *, limit: int) -> list[Reconciliation]:
    """Return comparisons, newest first."""
    return await many(tx, Reconciliation, "SELECT * FROM reconciliations ORDER BY id DESC LIMIT $1", limit)


async def list_unproven(tx: Tx, *, vpa_id: VpaId, since: datetime, until: datetime, limit: int) -> list[Unproven]:
    """Return payments to an address that no statement shows as they are booked, in a time that statements cover."""
    return await many(
        tx,
        Unproven,
        """
        SELECT payment.external_id, payment.amount_paise, credit.amount_paise AS bank_paise
        FROM external_payments AS payment
        LEFT JOIN bank_credits AS credit ON credit.payment_id = payment.id AND credit.source = 'statement'
        WHERE payment.rail = 'upi_manual' AND payment.vpa_id = $1
          AND (COALESCE(payment.paid_at, payment.created_at) BETWEEN $2 AND $3 OR credit.paid_at BETWEEN $2 AND $3)
          AND credit.amount_paise IS DISTINCT FROM payment.amount_paise
        ORDER BY payment.id LIMIT $4
        """,
        vpa_id,
        since,
        until,
        limit,
    )


async def list_bank_without_payment(
    tx: Tx, *, vpa_id: VpaId, since: datetime, until: datetime, limit: int
) -> list[BankCredit]:
    """Return what statements of an address show and our books have nothing of."""
    return await many(
        tx,
        BankCredit,
        """
        SELECT * FROM bank_credits
        WHERE source = 'statement' AND state = 'open' AND vpa_id = $1 AND paid_at BETWEEN $2 AND $3
        ORDER BY id LIMIT $4
        """,
        vpa_id,
        since,
        until,
        limit,
    )


async def list_covered(tx: Tx, *, since: datetime) -> list[Covered]:
    """Return what statements cover since a moment, by address."""
    return await many(
        tx,
        Covered,
        """
        SELECT vpa_id, count(*)::int AS credits, min(paid_at) AS first, max(paid_at) AS last FROM bank_credits
        WHERE source = 'statement' AND paid_at >= $1
        GROUP BY vpa_id ORDER BY vpa_id
        """,
        since,
    )
