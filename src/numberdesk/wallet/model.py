"""Nouns of the ledger."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NewType

from numberdesk.base.money import Paise

AccountId = NewType("AccountId", int)

PostingKind = Literal["recharge", "admin_credit", "hold", "capture", "void", "refund"]
CauseType = Literal["order", "recharge", "credit"]
Bucket = Literal["available", "held", "revenue", "clearing", "adjustments", "suspense", "fx"]
HoldState = Literal["held", "captured", "voided"]
TransactionType = Literal["recharge", "service_purchase", "refund", "admin_credit"]
TransactionState = Literal["pending", "completed", "failed", "refunded"]


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
class Credit:
    """Money that comes in from a system account. `cause` names the outside event, once for ever."""

    account_id: AccountId
    amount_paise: Paise
    kind: Literal["recharge", "admin_credit"]
    cause: str


@dataclass(frozen=True, slots=True)
class Transaction:
    """One line of a customer's statement; `version` orders them and is the cursor of a list."""

    version: int
    type: TransactionType
    state: TransactionState
    amount_paise: Paise
    balance_after_paise: Paise
    order_id: int | None
    at: datetime
