"""How payments look to staff."""

from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from numberdesk.base.money import format_rupees
from numberdesk.base.web import rfc3339
from numberdesk.payments.model import (
    SHOWN,
    BankCredit,
    Event,
    Payment,
    RailTotal,
    Recharge,
    Reconciliation,
    Statement,
)
from numberdesk.payments.service import Queue, RefundAsked, Waiting


class PaymentView(Struct, rename="camel", frozen=True):
    """A payment from outside."""

    id: int
    version: int
    rail: str
    external_id: str
    utr: str | None
    state: str
    why: str | None
    proof: str
    amount: str
    refunded: str
    units: int | None
    account_id: int | None
    transaction_id: str | None
    paid_at: datetime | None
    created_at: datetime | None


class BankCreditView(Struct, rename="camel", frozen=True):
    """Money that the bank says came in."""

    id: int
    version: int
    reference: str
    utr: str | None
    amount: str
    source: str
    paid_at: datetime | None
    suggestion: str | None
    """The recharge that this amount is kept for."""


class WaitingView(Struct, rename="camel", frozen=True):
    """A recharge whose customer says that it is paid."""

    transaction_id: str
    version: int
    account_id: int
    payable: str
    utrs: list[str]
    claims_of_others: int
    plausibility: str
    is_asked: bool
    waiting_seconds: int
    created_at: datetime | None


class QueueView(Struct, rename="camel", frozen=True):
    """Everything that waits for a person."""

    waiting: list[WaitingView]
    suspense: list[PaymentView]
    unclaimed: list[BankCreditView]
    oldest_seconds: int


class StepView(Struct, rename="camel", frozen=True):
    """One step of a recharge."""

    at: datetime | None
    event: str
    amount: str | None
    detail: str


class RechargeSummary(Struct, rename="camel", frozen=True):
    """What was asked for, and what came."""

    transaction_id: str
    status: str
    stage: str
    method: str
    amount: str
    payable: str
    credited: str
    refunded: str
    created_at: datetime | None
    expires_at: datetime | None


class RechargeDetail(Struct, rename="camel", frozen=True):
    """A recharge with its time line and its payments."""

    recharge: RechargeSummary
    version: int
    account_id: int
    rail: str
    gateway_id: str | None
    timeline: list[StepView]
    payments: list[PaymentView]


class RefundView(Struct, rename="camel", frozen=True):
    """Money on its way back; `one_more_person` has no id yet, and waits until somebody else agrees to its request."""

    id: int | None
    request_id: int
    payment_id: int
    state: str
    amount: str
    reason: str


class StatementView(Struct, rename="camel", frozen=True):
    """A statement and how far it was read."""

    id: int
    state: str
    profile: str
    rows_total: int
    rows_read: int
    credits: int
    known: int
    settled: int
    skipped: int
    bad: int
    problems: list[dict[str, Any]]
    created_at: datetime | None
    ended_at: datetime | None


class TotalView(Struct, rename="camel", frozen=True):
    """What came in by one rail on one day of India's time."""

    day: str
    rail: str
    state: str
    payments: int
    amount: str
    refunded: str
    units: int


class ComparisonView(Struct, rename="camel", frozen=True):
    """A comparison with the outside."""

    source: str
    checked: int
    unclear: int
    differences: list[str]
    ended_at: datetime | None


def payment_view(item: Payment) -> PaymentView:
    """Shape a payment."""
    return PaymentView(
        item.id, item.version, item.rail, item.external_id, item.rrn, item.state, item.why, item.proof,
        format_rupees(item.amount_paise), format_rupees(item.refunded_paise), item.units, item.account_id, item.ref,
        rfc3339(item.paid_at), rfc3339(item.created_at),
    )  # fmt: skip


def bank_credit_view(item: BankCredit, suggestion: Recharge | None) -> BankCreditView:
    """Shape what the bank says came in."""
    return BankCreditView(
        item.id, item.version, item.reference, item.rrn, format_rupees(item.amount_paise), item.source,
        rfc3339(item.paid_at), None if suggestion is None else suggestion.ref,
    )  # fmt: skip


def queue_view(queue: Queue, *, now: datetime) -> QueueView:
    """Shape the queue."""
    waiting = [_waiting_view(item, now) for item in queue.waiting]
    return QueueView(
        waiting,
        [payment_view(item) for item in queue.suspense],
        [bank_credit_view(item, suggestion) for item, suggestion in queue.unclaimed],
        max((item.waiting_seconds for item in waiting if not item.is_asked), default=0),
    )


def _waiting_view(item: Waiting, now: datetime) -> WaitingView:
    recharge = item.recharge
    return WaitingView(
        recharge.ref, recharge.version, recharge.account_id, format_rupees(recharge.payable_paise),
        [claim.rrn for claim in item.claims], item.others, item.plausibility, recharge.asked_at is not None,
        int((now - recharge.changed_at).total_seconds()), rfc3339(recharge.created_at),
    )  # fmt: skip


def recharge_detail(recharge: Recharge, events: list[Event], payments: list[Payment]) -> RechargeDetail:
    """Shape a recharge for staff."""
    return RechargeDetail(
        _summary(recharge), recharge.version, recharge.account_id, recharge.rail, recharge.gateway_id,
        [
            StepView(rfc3339(item.at), item.event,
                     None if item.amount_paise is None else format_rupees(item.amount_paise), item.detail)
            for item in events
        ],
        [payment_view(item) for item in payments],
    )  # fmt: skip


def _summary(item: Recharge) -> RechargeSummary:
    return RechargeSummary(
        item.ref, SHOWN[item.status], item.status, item.method, format_rupees(item.requested_paise),
        format_rupees(item.payable_paise), format_rupees(item.credited_paise), format_rupees(item.refunded_paise),
        rfc3339(item.created_at), rfc3339(item.expires_at),
    )  # fmt: skip


def refund_view(asked: RefundAsked) -> RefundView:
    """Shape a refund."""
    request, row = asked.request, asked.row
    if row is None:
        state = "one_more_person" if request.state == "waiting" else request.state
        amount = format_rupees(request.amount_paise)
        return RefundView(None, request.id, request.subject_id or 0, state, amount, request.reason)
    return RefundView(row.id, request.id, row.payment_id, row.state, format_rupees(row.amount_paise), row.reason)


def statement_view(item: Statement) -> StatementView:
    """Shape a statement."""
    return StatementView(
        item.id, item.state, item.profile, item.rows_total, item.rows_read, item.credits, item.known, item.settled,
        item.skipped, item.bad, msgspec.json.decode(item.problems), rfc3339(item.created_at), rfc3339(item.ended_at),
    )  # fmt: skip


def total_view(item: RailTotal) -> TotalView:
    """Shape one line of what came in."""
    return TotalView(
        item.day.isoformat(), item.rail, item.state, item.payments, format_rupees(item.amount_paise),
        format_rupees(item.refunded_paise), item.units,
    )  # fmt: skip


def comparison_view(item: Reconciliation) -> ComparisonView:
    """Shape a comparison."""
    return ComparisonView(
        item.source, item.checked, item.unclear, msgspec.json.decode(item.differences), rfc3339(item.ended_at)
    )
