"""Nouns of the accounts slice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NewType

from numberdesk.base.money import Paise
from numberdesk.notifications.model import StaffKind, Value
from numberdesk.wallet.model import AccountId, is_sandbox

KeyId = NewType("KeyId", int)
SessionId = NewType("SessionId", int)
RequestId = NewType("RequestId", int)

SettableState = Literal["active", "limited", "frozen", "banned"]
"""What staff put an account into, and take it out of again."""
AccountState = Literal[SettableState, "closed"]
"""closed: for good. Nothing is left in it, and what it was is forgotten after a time."""
SHUT: frozenset[AccountState] = frozenset({"banned", "closed"})
"""Nobody gets in."""
Role = Literal["customer", "support", "finance", "ops", "owner"]
EndedWhy = Literal[
    "logout", "all_devices", "revoked", "password", "reuse", "registered_again", "second_factor", "staff"
]
TokenPurpose = Literal["verify", "reset"]
RequestPurpose = Literal["register", "verify", "reset"]
Verdict = Literal["allow", "deny"]
Mode = Literal["live", "test"]
"""Whose money a key moves: its account's, or the play money of that account's sandbox."""
Dialect = Literal["classic", "hero", "grizzly"]
"""How the protocol of SMS-Activate is spoken to a key: as it was written down, or as one of its larger servers does."""

MoneyAction = Literal["credit", "debit", "order_refund", "payment_refund", "review"]
"""What staff do with money by hand. `review` is a payment from outside that they approved or assigned."""
MoneyState = Literal["waiting", "done", "refused"]
"""waiting: a second person must agree. refused: somebody did not, or whoever asked took it back."""

TWO_PEOPLE_ABOVE = Paise(5_000_00)
DAILY_CAP = Paise(100_000_00)

Scope = Literal[
    "read", "order", "recharge", "webhook", "admin:support", "admin:finance", "admin:ops", "admin:owner",
    "account", "enrol",
]  # fmt: skip
CUSTOMER_SCOPES: tuple[Scope, ...] = ("read", "order", "recharge", "webhook")
"""What an API key of anybody may have."""
SESSION_SCOPES: tuple[Scope, ...] = ("account", "enrol")
"""What only a person who signed in may do, never a key. `enrol` is what staff may do before their second factor."""
STAFF_SCOPES: dict[Role, tuple[Scope, ...]] = {
    "customer": (),
    "support": ("admin:support",),
    "finance": ("admin:support", "admin:finance"),
    "ops": ("admin:support", "admin:ops"),
    "owner": ("admin:support", "admin:finance", "admin:ops", "admin:owner"),
}
"""What each role may do; every role of the staff may look where support may."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: an account, by one of its keys or by one of its sessions."""

    account_id: AccountId
    key_id: KeyId | None
    session_id: SessionId | None
    scopes: tuple[Scope, ...]
    state: AccountState
    role: Role
    expires_at: datetime | None
    is_verified: bool
    """The e-mail address was proven."""
    owes_terms: bool
    """Newer terms were published than the account accepted."""
    api_per_minute: int | None
    """Requests a minute instead of the setting's; 0 is no limit."""
    networks: tuple[str, ...] = ()
    """Where a key may be used from; empty is everywhere."""
    dialect: Dialect | None = None
    """What the key speaks where its address leaves it open."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key as it is shown once; only its hash is stored."""

    id: KeyId
    account_id: AccountId
    secret: str


@dataclass(frozen=True, slots=True)
class Key:
    """A key as its owner sees it later."""

    id: KeyId
    name: str
    prefix: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None
    allowed_ips: tuple[str, ...]
    last_used_at: datetime | None
    last_used_ip: str | None
    replaced_by: KeyId | None
    account_id: AccountId
    """Its owner's, or of a test key the owner's sandbox."""
    dialect: Dialect | None = None

    @property
    def mode(self) -> Mode:
        """What `create_key` was asked for."""
        return "test" if is_sandbox(self.account_id) else "live"


@dataclass(frozen=True, slots=True)
class Person:
    """An account as its verbs see it."""

    id: AccountId
    email: str
    email_key: str
    name: str
    state: AccountState
    role: Role
    password_hash: str | None
    verified_at: datetime | None
    terms_version: int | None
    phone: bytes | None
    """Sealed."""
    timezone: str
    language: str
    telegram_chat_id: str | None
    notify_by_email: bool
    notify_by_telegram: bool
    has_second_factor: bool
    created_at: datetime

    @property
    def is_staff(self) -> bool:
        """Staff act only with a second factor."""
        return self.role != "customer"

    @property
    def is_shut(self) -> bool:
        """Nobody gets in, and no mail goes out."""
        return self.state in SHUT


@dataclass(frozen=True, slots=True)
class Standing:
    """Why an account is in its state: its owner reads it."""

    state: AccountState
    reason: str | None
    decided_by: str | None
    decided_at: datetime | None


@dataclass(frozen=True, slots=True)
class Remains:
    """What is still in an account."""

    available_paise: Paise
    held_paise: Paise
    open_orders: int
    open_recharges: int
    waiting_requests: int
    """Of the staff about its money."""

    def __bool__(self) -> bool:
        return any(
            (self.available_paise, self.held_paise, self.open_orders, self.open_recharges, self.waiting_requests)
        )


@dataclass(frozen=True, slots=True)
class Recipient:
    """Where mails to an account go, and how it is called there."""

    id: AccountId
    email: str
    name: str
    timezone: str


@dataclass(frozen=True, slots=True)
class Session:
    """A device that is signed in, as its owner sees it."""

    id: SessionId
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    ip: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a client keeps after signing in. Both are secrets."""

    access: str
    refresh: str
    expires_in: int
    """Seconds that the access token is good for."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms that a customer agrees to."""

    version: int
    text: str
    published_at: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """The first answer to an Idempotency-Key, to be given again."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class StaffRules:
    """What the operator decided about money by hand."""

    two_people_above: Paise = TWO_PEOPLE_ABOVE
    daily_cap: Paise = DAILY_CAP
    """What one person may move in any 24 hours, asked for or agreed to."""


@dataclass(frozen=True, slots=True)
class MoneyWanted:
    """Something that one of the staff wants to be done with money.

    `account_id` is whose money it is; None is nobody's. `subject_id` and `subject_version` name the order or payment.
    """

    action: MoneyAction
    account_id: AccountId | None
    amount_paise: Paise
    reason: str
    subject_id: int | None = None
    subject_version: int | None = None


BY_STAFF = "staff:"
"""How the causes of what staff decide begin. With one that somebody else used, a request could not be carried out."""


@dataclass(frozen=True, slots=True)
class MoneyRequest:
    """The same as a row: done at once, or waiting for a second person."""

    id: RequestId
    action: MoneyAction
    account_id: AccountId | None
    subject_id: int | None
    subject_version: int | None
    amount_paise: Paise
    reason: str
    state: MoneyState
    asked_by: AccountId
    asked_at: datetime
    decided_by: AccountId | None
    decided_at: datetime | None
    is_over: bool
    """It waited for too long: nobody can agree to it any more."""

    @property
    def cause(self) -> str:
        """What its posting is caused by, once for ever."""
        return f"{BY_STAFF}{self.id}"


@dataclass(frozen=True, slots=True)
class Note:
    """What one of the staff wrote down about an account."""

    id: int
    author_id: AccountId
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class StaffNews:
    """Something that waits for one of the staff, or needs a look: no code, no message, no number, no whole address."""

    title: str
    facts: Mapping[str, Value] = field(repr=False)
    path: str
    """Where it can be read and decided, such as `/admin/requests`."""
    roles: Sequence[Role]
    """Who can do something about it, and is told by mail."""
    key: str
    """Names what happened, so that it is told once."""
    kind: StaffKind = "work"
    but_not: frozenset[AccountId | None] = frozenset()
    """Who is not told by mail: whoever asked for it, or whom it is about."""
    mail_key: str | None = None
    """Of news with the same one only the first goes by mail; the chat puts a flood into one message by itself."""
    note: str = ""
