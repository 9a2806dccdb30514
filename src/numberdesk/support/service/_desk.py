"""The help desk: what the verbs of this slice work with in one process, and when it is closed."""

from dataclasses import dataclass, field

from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database, Tx
from numberdesk.base.limits import Limiter
from numberdesk.maintenance import service as maintenance
from numberdesk.maintenance.model import Intent
from numberdesk.maintenance.service import Switches
from numberdesk.support.model import SupportRules
from numberdesk.wallet.model import AccountId


@dataclass(frozen=True, eq=False)
class HelpDesk:
    """Everything that support needs in one process."""

    db: Database
    vault: Vault
    limiter: Limiter
    rules: SupportRules
    switches: Switches = field(default_factory=Switches)


async def refuse_closed(tx: Tx, desk: HelpDesk, account_id: AccountId) -> None:
    """Refuse a customer who opens a ticket, writes to one or reopens one while support is closed.

    Every such verb asks in the transaction that writes, before it writes. Reading, closing and all that staff do go on,
    so they do not ask.

    Raises:
        Closed: it is under maintenance.
    """
    await maintenance.refuse_in(tx, desk.switches, Intent("ask", account_id))


def subject_place(ticket_id: int) -> str:
    """Return what a subject is sealed to."""
    return f"tickets.subject:{ticket_id}"


def body_place(ticket_id: int, ordinal: int) -> str:
    """Return what a body is sealed to."""
    return f"ticket_messages.body:{ticket_id}:{ordinal}"


def content_place(attachment_id: int) -> str:
    """Return what a picture is sealed to."""
    return f"ticket_attachments.content:{attachment_id}"
