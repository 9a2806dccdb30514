"""What the verbs of this slice work with in one process, and the words that they have in common."""

from dataclasses import dataclass, field
from datetime import timedelta

from numberdesk.accounts.model import Caller, StaffRules
from numberdesk.accounts.passwords import Hasher, PasswordRules
from numberdesk.accounts.service._ring import Ring
from numberdesk.accounts.tokens import TokenKeys
from numberdesk.audit.model import Detail, Event
from numberdesk.base import clock, ids
from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database
from numberdesk.base.limits import Limiter
from numberdesk.base.visit import Visit
from numberdesk.maintenance.service import Switches
from numberdesk.notifications.model import Notice, Template
from numberdesk.wallet.model import AccountId


@dataclass(frozen=True, slots=True)
class PeopleRules:
    """What the operator decides about people."""

    passwords: PasswordRules
    access_lifetime: timedelta
    session_idle: timedelta
    session_lifetime: timedelta
    public_url: str
    """Where links in mails lead; never taken from a request."""
    allows_test_addresses: bool = False
    """Whether addresses below `.test` may register; for demonstrations."""
    staff: StaffRules = field(default_factory=StaffRules)


@dataclass(frozen=True, eq=False)
class People:
    """Everything the verbs of people need in one process."""

    db: Database
    vault: Vault
    hasher: Hasher
    tokens: TokenKeys
    limiter: Limiter
    ring: Ring
    rules: PeopleRules
    switches: Switches = field(default_factory=Switches)


def told(template: Template, *, to: str, account_id: AccountId, **data: str | int | None) -> Notice:
    """Return a mail to a person that is sent once for each call."""
    return Notice(template, to, data, f"{template}:{ids.base62(16)}", account_id)


def now_text() -> str:
    """Return the time as it stands in mails."""
    return clock.now().isoformat(timespec="seconds")


def done_by(caller: Caller, visit: Visit, action: str, *, to: AccountId | None = None, **details: Detail) -> Event:
    """Return the record of what a caller did, to its own account or to another one."""
    kind, actor = ("person", int(caller.account_id)) if caller.key_id is None else ("key", int(caller.key_id))
    return Event(action, to or caller.account_id, kind, actor, visit.ip, visit.id, details)  # type: ignore[arg-type]


def happened(visit: Visit, action: str, account_id: AccountId | None, **details: Detail) -> Event:
    """Return the record of what somebody did who had not proven yet who he is, or who proved it just now."""
    return Event(action, account_id, "person", account_id, visit.ip, visit.id, details)
