"""Nouns of responsible use."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NewType

from numberdesk.wallet.model import AccountId

Kind = Literal["bank", "payment", "government"]
"""Whose message it looks like."""
LimitWord = Literal[
    "new_account", "hour", "day", "countries", "open_orders", "cancel_ratio", "network_new", "network_hour",
    "network_day", "payer_new", "payer_hour", "payer_day",
]  # fmt: skip
SharedKind = Literal["network", "payer"]
"""What accounts have in common that are counted together: the address or /64 they buy from, who pays for them."""
LawfulId = NewType("LawfulId", int)
LawfulState = Literal["asked", "approved", "refused"]
LinkKind = Literal["payer", "network", "mail"]


@dataclass(frozen=True, slots=True)
class Sign:
    """What a message looks like, and the words that say so: never a code or a number."""

    kind: Kind
    words: str


@dataclass(frozen=True, slots=True)
class PurchaseRules:
    """How fast an account may buy. A limit of None is none.

    `first_day` and `first_week` narrow `per_day` for accounts that registered themselves so short a time ago.
    """

    first_day: int | None = None
    first_week: int | None = None
    per_hour: int | None = None
    per_day: int | None = None
    countries: int | None = None
    """Different countries a day."""
    open_orders: int | None = None
    cancel_percent: int | None = None
    """Above it, of the last `cancel_of` numbers that came, an account waits."""
    cancel_of: int = 30
    cool_down: timedelta = timedelta(minutes=10)
    """So long after its newest cancelled one."""


@dataclass(frozen=True, slots=True)
class Purchase:
    """A number that somebody wants to buy."""

    account_id: AccountId
    country: int
    ip: str | None = None
    """Where it is asked for; None where nobody calls."""


@dataclass(frozen=True, slots=True)
class Spent:
    """A purchase that was counted and came to nothing: of whom, from where, and when; None is just now."""

    account_id: AccountId
    ip: str | None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """Purchases of accounts that have something in common; `new_items` are those of new accounts."""

    kind: SharedKind
    key: str
    items: int
    new_items: int


@dataclass(frozen=True, slots=True)
class Shared:
    """What was bought from a network, or for accounts of one payer, in this hour and day."""

    kind: SharedKind
    key: str
    in_hour: int
    in_day: int
    new_in_day: int
    hour_ends_at: datetime
    day_ends_at: datetime


@dataclass(frozen=True, slots=True)
class Counted:
    """What an account began in this hour and day, the purchases at hand included, and what is its own."""

    account_id: AccountId
    in_hour: int
    in_day: int
    countries: list[int]
    hour_ends_at: datetime
    day_ends_at: datetime
    age_days: float | None
    """None for an account that the operator made: it is not new."""
    per_hour: int | None
    per_day: int | None
    own_countries: int | None
    open_orders: int | None
    may_cancel: bool
    payers: list[str]
    """Who paid for it and for another account, too."""


@dataclass(frozen=True, slots=True)
class Lately:
    """How an account stands: what is open, and of its last numbers how many it gave back without a code."""

    account_id: AccountId
    open_orders: int
    next_end_at: datetime | None
    ended: int
    cancelled: int
    cools_until: datetime | None


@dataclass(frozen=True, slots=True)
class OwnLimits:
    """What staff allow one account; None is the setting's."""

    account_id: AccountId
    is_free: bool
    per_hour: int | None
    per_day: int | None
    countries: int | None
    open_orders: int | None
    may_cancel: bool
    reason: str


@dataclass(frozen=True, slots=True)
class LawfulRequest:
    """A lawful request: who had a number in a time."""

    id: LawfulId
    case_number: str
    authority: str
    number: str
    starts_at: datetime
    ends_at: datetime
    reason: str
    state: LawfulState
    asked_by: AccountId
    asked_at: datetime
    decided_by: AccountId | None
    decided_at: datetime | None
    decision: str | None
    exports: int


@dataclass(frozen=True, slots=True)
class Holder:
    """Who had a number, for what, and when: from `held_from` on and before `held_until`."""

    order_id: int
    account_id: AccountId
    email: str
    number: str
    service: str
    country: int
    state: str
    held_from: datetime
    held_until: datetime | None
    messages: int
    ip: str | None
    """Where it was bought from; None where that was not written down, or is forgotten."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address that an account was used from."""

    account_id: AccountId
    ip: str
    first_seen_at: datetime
    last_seen_at: datetime
    last_login_at: datetime | None


@dataclass(frozen=True, slots=True)
class Link:
    """Another account that shares something with one: its payer, its network, the pattern of its mail address."""

    kind: LinkKind
    account_id: AccountId
    state: str
    shared: int
    """How many payers, networks or patterns."""
    others: int
    """How many accounts share the most common of them; a crowd says little."""
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class MonthCounts:
    """What happened in a month (UTC), for a report to the public."""

    month: datetime
    withheld: int
    released: int
    confirmed: int
    frozen: int
    banned: int
    lawful_asked: int
    lawful_approved: int
    lawful_refused: int
    lawful_exports: int
