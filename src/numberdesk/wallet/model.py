"""Nouns of the ledger."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NewType

from numberdesk.base.money import Paise

AccountId = NewType("AccountId", int)

PostingKind = Literal[
    "recharge", "admin_credit", "admin_debit", "hold", "capture", "void", "refund", "suspend", "assign", "pay_back",
    "pay_back_failed", "play_money",
]  # fmt: skip
CauseType = Literal["order", "recharge", "credit"]
Bucket = Literal["available", "held", "revenue", "clearing", "adjustments", "suspense", "fx", "sandbox"]
HoldState = Literal["held", "captured", "voided"]
TransactionType = Literal["recharge", "service_purchase", "refund", "admin_credit", "admin_debit"]
TransactionState = Literal["pending", "completed", "failed", "refunded"]

SANDBOX_OFFSET = 1_000_000_000_000
"""What the id of an account and that of its sandbox differ by; migration 0020 says the same."""


PROLONGING = "prolong:"
"""Before the purposes of holds that end by themselves, not with the others of their order: more hours may be refused
for a rental that goes on."""


def is_sandbox(account_id: int | None) -> bool:
    """Tell whether an account is a sandbox: its wallet holds play money, which never meets any other money."""
    return account_id is not None and account_id >= SANDBOX_OFFSET


@dataclass(frozen=True, slots=True)
class Wallet:
    """A customer's money: what can be spent and what is held for open orders."""

    account_id: AccountId
    available_paise: Paise
    held_paise: Paise
    version: int


@dataclass(frozen=True, slots=True)
class HoldWanted:
    """Money to set aside for one purpose of one order."""

    account_id: AccountId
    order_id: int
    purpose: str
    amount_paise: Paise


@dataclass(frozen=True, slots=True)
class Hold:
    """Money set aside; it ends once, as captured or voided."""

    order_id: int
    purpose: str
    account_id: AccountId
    amount_paise: Paise
    state: HoldState


@dataclass(frozen=True, slots=True)
class HoldTrace:
    """A hold with the posting of each thing that happened to it."""

    purpose: str
    amount_paise: Paise
    state: HoldState
    postings: tuple[tuple[PostingKind, int, datetime], ...]
    """(kind, id, time), in their order."""


@dataclass(frozen=True, slots=True)
class Credit:
    """Money that comes in from a system account. `cause` names the outside event, once for ever.

    A recharge comes through `clearing`, or through `fx` when it was paid in another asset; `assign` takes it out of
    suspense; `pay_back_failed` is money that was on its way back to its payer. `play_money` is what a sandbox has, and
    all that it has.
    """

    account_id: AccountId
    amount_paise: Paise
    kind: Literal["recharge", "admin_credit", "assign", "pay_back_failed", "play_money"]
    cause: str
    through: Literal["clearing", "fx"] = "clearing"


@dataclass(frozen=True, slots=True)
class Unowned:
    """Money that surely came in and belongs to nobody yet."""

    amount_paise: Paise
    cause: str
    through: Literal["clearing", "fx"] = "clearing"


@dataclass(frozen=True, slots=True)
class Transaction:
    """One line of a customer's statement; `version` orders them and is the cursor of a list."""

    version: int
    type: TransactionType
    state: TransactionState
    amount_paise: Paise
    balance_after_paise: Paise
    order_id: int | None
    cause: str | None
    """What a recharge's line came from, as the ledger knows it."""
    at: datetime
