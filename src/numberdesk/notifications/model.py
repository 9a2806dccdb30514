"""Nouns of the notifications slice: what is told to whom, the mail it becomes, and how sending it went."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Channel = Literal["email", "telegram", "apprise"]
StaffChannel = Literal["telegram", "apprise"]
TargetState = Literal["on", "off"]
OutboxState = Literal["waiting", "sent", "failed", "dropped"]
StaffKind = Literal["registration", "recharge", "service", "system", "error", "work"]
"""What the staff's chat can be told of."""
Template = Literal[
    "verify_email",
    "already_registered",
    "reset_password",
    "password_changed",
    "new_sign_in",
    "second_factor_on",
    "second_factor_off",
    "recovery_code_used",
    "api_key_made",
    "sessions_ended",
    "mail_test",
    "recharge_credited",
    "recharge_rejected",
    "recharge_question",
    "recharge_refunded",
    "provider_alerts",
    "maintenance_news",
    "webhook_disabled",
    "ticket_answered",
    "ticket_news",
    "staff_news",
    "webhook_made",
    "channel_off",
    "low_balance",
    "order_refunded",
    "order_code",
    "telegram_linked",
    "telegram_unlinked",
]
Value = str | int | None

FIELDS: Mapping[Template, frozenset[str]] = {
    "verify_email": frozenset({"name", "link", "code", "hours", "minutes"}),
    "already_registered": frozenset({"name", "link"}),
    "reset_password": frozenset({"name", "link", "minutes", "ip"}),
    "password_changed": frozenset({"name", "at", "ip"}),
    "new_sign_in": frozenset({"name", "at", "ip", "device"}),
    "second_factor_on": frozenset({"name", "at", "ip"}),
    "second_factor_off": frozenset({"name", "at", "ip"}),
    "recovery_code_used": frozenset({"name", "at", "ip", "left"}),
    "api_key_made": frozenset({"name", "key_name", "prefix", "at", "ip"}),
    "sessions_ended": frozenset({"name", "at"}),
    "mail_test": frozenset({"name", "at"}),
    "recharge_credited": frozenset({"name", "amount", "receipt", "method", "reference", "at", "note"}),
    "recharge_rejected": frozenset({"name", "amount", "transaction", "reason"}),
    "recharge_question": frozenset({"name", "amount", "transaction", "question"}),
    "recharge_refunded": frozenset({"name", "amount", "receipt", "method", "at"}),
    "order_refunded": frozenset({"name", "order", "amount"}),
    "provider_alerts": frozenset({"name", "count", "begun", "over"}),
    "maintenance_news": frozenset({"name", "begun", "over"}),
    "webhook_disabled": frozenset({"name", "endpoint", "host", "reason", "at"}),
    "ticket_answered": frozenset({"name", "ticket", "order", "recharge", "is_asked"}),
    "ticket_news": frozenset({"name", "ticket", "news", "priority", "order", "recharge"}),
    "staff_news": frozenset({"name", "title", "facts", "path", "note"}),
    "webhook_made": frozenset({"name", "endpoint", "host", "is_new", "at", "ip"}),
    "channel_off": frozenset({"name", "channel", "problem", "at"}),
    "low_balance": frozenset({"name", "balance", "threshold"}),
    "order_code": frozenset({"name", "order", "number", "code"}),
    "telegram_linked": frozenset({"name", "at"}),
    "telegram_unlinked": frozenset({"name", "at", "ip"}),
}
"""What each template is told, no more and no less: `at` is a time already written for its reader; `name` may be
empty, `ip`, `device` and `note` may be None; `begun`, `over` and `facts` are sentences with ` • ` between them, or
empty. No password and no whole API key has a field."""

NoticeEvent = Literal[
    "security", "sign_in", "recharge", "low_balance", "order_refund", "webhook_disabled", "ticket", "code"
]
"""What customers switch on and off, for each channel."""
EVENTS: Mapping[Template, NoticeEvent] = {
    "password_changed": "security",
    "second_factor_on": "security",
    "second_factor_off": "security",
    "recovery_code_used": "security",
    "api_key_made": "security",
    "sessions_ended": "security",
    "webhook_made": "security",
    "telegram_linked": "security",
    "telegram_unlinked": "security",
    "new_sign_in": "sign_in",
    "recharge_credited": "recharge",
    "recharge_rejected": "recharge",
    "recharge_question": "recharge",
    "recharge_refunded": "recharge",
    "low_balance": "low_balance",
    "order_refunded": "order_refund",
    "order_code": "code",
    "webhook_disabled": "webhook_disabled",
    "ticket_answered": "ticket",
}
"""Which switch a template is under. Others go by mail only, always: links, and what staff are told."""
ALWAYS_MAILED: frozenset[NoticeEvent] = frozenset({"security", "sign_in"})
"""What nobody can switch off by mail, or whoever got into an account would do that first."""
NEVER_MAILED: frozenset[NoticeEvent] = frozenset({"code"})
USUALLY_OFF: frozenset[NoticeEvent] = frozenset({"code"})

EPHEMERAL: frozenset[str] = frozenset({"verify_email", "reset_password", "order_code"})
"""Templates with a link or a code that works: when their mail is given up its words go at once, and whoever wants
another asks for it."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to tell a person. The same `dedupe_key` is told once."""

    template: Template
    to: str = field(repr=False)
    data: Mapping[str, Value] = field(repr=False)
    dedupe_key: str
    account_id: int | None


@dataclass(frozen=True, slots=True)
class Switch:
    """What a customer is told of an event, by mail and by Telegram; `is_locked`: its mails cannot be switched."""

    event: NoticeEvent
    email: bool
    telegram: bool
    is_locked: bool


@dataclass(frozen=True, slots=True)
class Choices:
    """What an account is told, and where."""

    account_id: int
    notify_by_email: bool
    notify_by_telegram: bool
    switched_on: list[str]
    switched_off: list[str]
    is_linked: bool
    low_balance_paise: int | None

    def wants(self, channel: Literal["email", "telegram"], event: NoticeEvent) -> bool:
        """Tell whether the switch of an event is on; security is always mailed."""
        if channel == "email":
            if event in ALWAYS_MAILED:
                return True
            if event in NEVER_MAILED or not self.notify_by_email:
                return False
        elif not self.notify_by_telegram:
            return False
        word = f"{channel}:{event}"
        if event in USUALLY_OFF:
            return word in self.switched_on
        return word not in self.switched_off


@dataclass(frozen=True, slots=True)
class CodeReader:
    """An account that wants its codes by Telegram: it was told of its events up to `seq`, of `last_seq` there are."""

    account_id: int
    seq: int
    last_seq: int


@dataclass(frozen=True, slots=True)
class Low:
    """An account whose balance fell below what it set."""

    account_id: int
    low_balance_paise: int
    available_paise: int
    low_count: int


@dataclass(frozen=True, slots=True)
class LinkState:
    """What an account reads of its chat: whether it has one, whether it is reached, and how the bot is called."""

    bot_name: str | None
    state: TargetState | None
    problem: str | None
    linked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Start:
    """Somebody sent the bot a code, from a chat of his own."""

    chat_id: int
    code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class StaffEvent:
    """Something that the staff's chat is told: no code, no message, no key, and addresses masked.

    `title` and the names of facts are ours; values are anybody's, and are shortened and escaped when it is sent.
    """

    kind: StaffKind
    title: str
    facts: Mapping[str, Value] = field(repr=False)
    dedupe_key: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """A way to the staff that works no more, which they learn by another."""

    channel: str
    problem: str
    at: datetime


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A row of `outbox` as staff see it: what became of it, and nothing of what it says."""

    id: int
    channel: Channel
    template: str
    account_id: int | None
    state: OutboxState
    attempts: int
    created_at: datetime
    due_at: datetime
    ended_at: datetime | None
    last_problem: str | None
    can_retry: bool


@dataclass(frozen=True, slots=True)
class Mail:
    """A notice in words, for one address."""

    to: str = field(repr=False)
    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)
    dedupe_key: str


@dataclass(frozen=True, slots=True)
class Sent:
    """The server took the mail."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The mail was not taken. `reason` goes to the table and the log: it holds no address and no secret."""

    permanent: bool
    reason: str


Outcome = Sent | Failed


@dataclass(frozen=True, slots=True)
class Message:
    """What a chat of Telegram is sent; `plain` is for when `html` is not understood."""

    chat_id: int
    html: str = field(repr=False)
    plain: str = field(repr=False)
    thread_id: int | None = None
    is_silent: bool = False


@dataclass(frozen=True, slots=True)
class Later:
    """Telegram wants no message for so many seconds, in this chat at least."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Moved:
    """The chat is another one now."""

    chat_id: int


@dataclass(frozen=True, slots=True)
class Gone:
    """Nothing reaches this chat any more until somebody there changes that."""

    reason: str


@dataclass(frozen=True, slots=True)
class BadToken:
    """Telegram does not know the bot."""


@dataclass(frozen=True, slots=True)
class Doubtful:
    """The message left and no answer came: it may have arrived."""

    reason: str


TelegramOutcome = Sent | Failed | Later | Moved | Gone | BadToken | Doubtful


class BadTelegram(ValueError):
    """What is set of Telegram cannot be used; the sentence says what."""


@dataclass(frozen=True, slots=True)
class TelegramSettings:
    """How to reach Telegram; without a token there is no channel."""

    token: str | None = field(default=None, repr=False)
    chat_id: int | None = None
    thread_id: int | None = None
    url: str = "https://api.telegram.org"
    kinds: tuple[StaffKind, ...] = ()
    is_for_customers: bool = True
    timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class Posted:
    """A receiver of webhooks answered. Nothing of its answer is kept but the status."""

    status: int
    took_ms: int


@dataclass(frozen=True, slots=True)
class NotPosted:
    """No status came. `reason` is in our words and is shown to the owner of the address."""

    reason: str
    took_ms: int


class BadWebhookAddress(ValueError):
    """Nothing is posted to this address; the sentence goes on after its name."""


class BadSender(ValueError):
    """The address that mails are sent from is none; the sentence says so."""


@dataclass(frozen=True, slots=True)
class MailSettings:
    """How to reach the mail server; `host` None: there is none, and mails wait."""

    host: str | None
    sender: str
    """One address, also as `Numberdesk <no-reply@example.com>`."""
    port: int = 587
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    security: Literal["starttls", "tls", "none"] = "starttls"
    timeout: float = 20.0
    """Seconds for one mail as a whole. Below 30, so that it ends before the lease of its row."""
