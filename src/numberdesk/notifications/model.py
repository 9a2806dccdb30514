"""Nouns of the notifications slice: what is told to whom, the mail it becomes, and how sending it went."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Channel = Literal["email"]
OutboxState = Literal["waiting", "sent", "failed"]
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
    "provider_alerts": frozenset({"name", "count", "begun", "over"}),
    "maintenance_news": frozenset({"name", "begun", "over"}),
    "webhook_disabled": frozenset({"name", "endpoint", "host", "reason", "at"}),
    "ticket_answered": frozenset({"name", "ticket", "order", "recharge", "is_asked"}),
    "ticket_news": frozenset({"name", "ticket", "news", "priority", "order", "recharge"}),
}
"""What each template is told, no more and no less: `at` is a time already written for its reader; `name` may be
empty, `ip`, `device` and `note` may be None; `begun` and `over` are sentences with ` • ` between them, or empty. No
password and no whole API key has a field."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to tell a person. The same `dedupe_key` is told once."""

    template: Template
    to: str = field(repr=False)
    data: Mapping[str, Value] = field(repr=False)
    dedupe_key: str
    account_id: int | None


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
