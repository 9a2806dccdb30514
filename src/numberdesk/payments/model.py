"""Nouns of payments: what customers ask for, what came in from outside, what proves it, and what people decide."""

import re
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal, NewType

from numberdesk.base.money import Paise
from numberdesk.wallet.model import AccountId, TransactionState, TransactionType

RechargeId = NewType("RechargeId", int)
PaymentId = NewType("PaymentId", int)
VpaId = NewType("VpaId", int)
AddressId = NewType("AddressId", int)
BankCreditId = NewType("BankCreditId", int)
RefundId = NewType("RefundId", int)

Method = Literal["upi", "trx", "usdt"]
Asset = Literal["trx", "usdt"]
Rail = Literal["upi_manual", "razorpay", "cashfree", "phonepe", "trx", "usdt"]
UpiRail = Literal["upi_manual", "razorpay", "cashfree", "phonepe"]
VpaKind = Literal["personal", "merchant"]
RechargeStatus = Literal[
    "created", "awaiting_payment", "submitted", "detected", "completed", "expired", "rejected", "failed", "refunded"
]
ShownStatus = Literal["pending", "completed", "failed", "refunded"]
RechargeEvent = Literal[
    "created", "page_made", "page_failed", "claimed", "detected", "vanished", "credited", "expired", "rejected",
    "asked", "answered", "approved_once", "in_review", "refund_begun", "refunded", "refund_failed", "taken_back",
]  # fmt: skip
ProofKind = Literal["gateway", "statement", "alert", "chain", "staff"]
PaymentState = Literal["waiting", "credited", "suspense", "returned", "ignored"]
Why = Literal["dust", "no_rate", "unknown_reference", "unclaimed", "above_cap", "doubled", "staff", "own_move"]
StatementState = Literal["waiting", "done", "failed"]
BankCreditSource = Literal["statement", "alert"]
BankCreditState = Literal["open", "settled", "suspense", "ignored"]
ClaimState = Literal["waiting", "credited", "refused"]
Subject = Literal["recharge", "payment"]
WebhookState = Literal["waiting", "done", "foreign", "failed"]
RefundState = Literal["requested", "pending", "processed", "failed"]
BegunBy = Literal["staff", "gateway"]
ReceiptKind = Literal["receipt", "refund_note"]
ReconciledSource = Literal["gateway", "bank", "chain"]
Basis = Literal["market", "last_good", "staff"]

NO_PAISE = Paise(0)
REF = re.compile("RC[0-9A-Z]{26}")
"""What a reference of ours looks like."""
OPEN: tuple[RechargeStatus, ...] = ("created", "awaiting_payment", "submitted", "detected")
SHOWN: dict[RechargeStatus, ShownStatus] = {
    "created": "pending", "awaiting_payment": "pending", "submitted": "pending", "detected": "pending",
    "completed": "completed", "expired": "failed", "rejected": "failed", "failed": "failed", "refunded": "refunded",
}  # fmt: skip
"""The source design's states."""


@dataclass(frozen=True, slots=True)
class Vpa:
    """A UPI address of the operator."""

    id: VpaId
    vpa: str
    payee_name: str
    kind: VpaKind
    is_open: bool


@dataclass(frozen=True, slots=True)
class Quote:
    """A price that is promised until it expires, with every sample that it was made of."""

    id: int
    asset: Asset
    paise_per_unit: Decimal
    spread_bps: int
    basis: Basis
    units: int
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Recharge:
    """What a customer asked for, and what came of it."""

    id: RechargeId
    ref: str
    account_id: AccountId
    method: Method
    rail: Rail
    requested_paise: Paise
    payable_paise: Paise
    credited_paise: Paise
    refunded_paise: Paise
    status: RechargeStatus
    version: int
    vpa_id: VpaId | None
    address_id: AddressId | None
    quote_id: int | None
    asked_at: datetime | None
    gateway_id: str | None
    checkout_url: str | None
    checkout_session: str | None
    created_at: datetime
    changed_at: datetime
    expires_at: datetime
    looked_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewRecharge:
    """A recharge to be written."""

    ref: str
    account_id: AccountId
    request_key: str | None
    method: Method
    rail: Rail
    requested_paise: Paise
    payable_paise: Paise
    status: RechargeStatus
    lifetime: timedelta
    vpa_id: VpaId | None = None
    address_id: AddressId | None = None
    quote_id: int | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One step of a recharge."""

    at: datetime
    event: RechargeEvent
    amount_paise: Paise | None
    detail: str


@dataclass(frozen=True, slots=True)
class Proof:
    """A payment that surely came in: whoever saw it, `settle` decides what it becomes.

    `amount_paise` is what arrived in rupees; assets of a chain have `units` instead and are priced by `settle`.
    """

    rail: Rail
    external_id: str
    kind: ProofKind
    paid_at: datetime | None
    ref: str | None = None
    """Our reference as the outside names it, whether or not we know it."""
    amount_paise: Paise = NO_PAISE
    units: int | None = None
    recharge_id: RechargeId | None = None
    """The recharge that it names."""
    account_id: AccountId | None = None
    """Whose it is, when it names no recharge."""
    vpa_id: VpaId | None = None
    address_id: AddressId | None = None
    rrn: str | None = None
    bank_credit_id: BankCreditId | None = None
    why: Why | None = None
    """Nobody's: why."""
    version: int | None = None
    """Of the recharge, for a person's word: good only as long as nothing else happened to it."""
    raw: str = field(default="", repr=False)
    payer: str | None = field(default=None, repr=False)
    """Who paid, as the outside names it: a UPI address or an address of the chain."""


Outcome = Literal["credited", "known", "suspense", "waiting", "ignored", "stale", "failed"]


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a proof. `known`: it had its effect before."""

    outcome: Outcome
    payment_id: PaymentId | None
    account_id: AccountId | None
    amount_paise: Paise


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment from outside as it stands in the books."""

    id: PaymentId
    rail: Rail
    external_id: str
    ref: str | None
    proof: ProofKind
    state: PaymentState
    why: Why | None
    amount_paise: Paise
    refunded_paise: Paise
    units: int | None
    paise_per_unit: Decimal | None
    quote_id: int | None
    vpa_id: VpaId | None
    address_id: AddressId | None
    rrn: str | None
    recharge_id: RechargeId | None
    account_id: AccountId | None
    paid_at: datetime | None
    version: int
    created_at: datetime

    @property
    def cause(self) -> str:
        """What the ledger knows it by."""
        return f"{self.rail}:{self.external_id}"


@dataclass(frozen=True, slots=True)
class BankCredit:
    """Money that the bank says came in."""

    id: BankCreditId
    vpa_id: VpaId
    reference: str
    rrn: str | None
    amount_paise: Paise
    paid_at: datetime
    source: BankCreditSource
    state: BankCreditState
    details: bytes = field(repr=False)
    version: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewBankCredit:
    """Money of a statement or an alert, to be written."""

    reference: str
    rrn: str | None
    amount_paise: Paise
    paid_at: datetime
    is_exact: bool
    """False when the bank tells the day only; `paid_at` is its noon then."""
    details: bytes = field(repr=False)
    payer_hash: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Claim:
    """A UTR that a customer says is of the payment for a recharge."""

    id: int
    recharge_id: RechargeId
    account_id: AccountId
    vpa_id: VpaId
    rrn: str
    state: ClaimState
    created_at: datetime


@dataclass(frozen=True, slots=True)
class TronAddress:
    """An address that one customer pays to, for ever."""

    id: AddressId
    address: str
    account_id: AccountId
    index: int
    fingerprint: str
    read_to: datetime
    hot_until: datetime
    failing_since: datetime | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt as it was issued; nothing of it changes."""

    id: int
    number: str
    account_id: AccountId
    recharge_id: RechargeId | None
    payment_id: PaymentId
    kind: ReceiptKind
    amount_paise: Paise
    taxable_paise: Paise | None
    cgst_paise: Paise | None
    sgst_paise: Paise | None
    igst_paise: Paise | None
    details: str
    """JSON."""
    issued_at: datetime


@dataclass(frozen=True, slots=True)
class Statement:
    """A file of the operator's bank, and how far it was read."""

    id: int
    vpa_id: VpaId
    profile: str
    name: str
    state: StatementState
    rows_total: int
    rows_read: int
    credits: int
    known: int
    settled: int
    skipped: int
    bad: int
    problems: str
    """JSON: [{line, problem}], the first hundred."""
    created_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class GatewayRefundRow:
    """Money on its way back to who paid it."""

    id: RefundId
    payment_id: PaymentId
    key: str
    gateway_id: str | None
    amount_paise: Paise
    state: RefundState
    begun_by: BegunBy
    short_paise: Paise
    tries: int
    reason: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a customer's statement."""

    id: str
    type: TransactionType
    state: TransactionState
    amount_paise: Paise
    balance_after_paise: Paise | None
    order_id: int | None
    ref: str | None
    """The recharge that it is of."""
    method: Method | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a statement, and where the next one begins."""

    lines: list[Line]
    following: str | None


@dataclass(frozen=True, slots=True)
class RailTotal:
    """What came in by one rail on one day of India's time."""

    day: date
    rail: Rail
    state: PaymentState
    payments: int
    amount_paise: Paise
    refunded_paise: Paise
    units: int


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """A comparison that was made."""

    id: int
    source: ReconciledSource
    checked: int
    unclear: int
    differences: str
    """JSON: a list of sentences."""
    started_at: datetime
    ended_at: datetime
