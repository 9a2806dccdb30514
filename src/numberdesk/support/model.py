"""Nouns of the support slice: tickets, their messages and pictures."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, NewType

from numberdesk.wallet.model import AccountId

TicketId = NewType("TicketId", int)
AttachmentId = NewType("AttachmentId", int)

TicketState = Literal["open", "answered", "waiting", "solved", "closed"]
"""open: waits for staff. answered and waiting: staff wrote last; `waiting` is for an answer of the customer. solved:
staff think that it is done, and a message opens it again. closed: it takes no messages until somebody reopens it."""
Priority = Literal["low", "normal", "high", "urgent"]
EndedBy = Literal["customer", "staff", "silence"]
MessageKind = Literal["customer", "staff", "note"]
"""note: staff to staff, which no customer ever sees."""
ImageType = Literal["png", "jpeg", "webp"]


@dataclass(frozen=True, slots=True)
class SupportRules:
    """What the operator decides about tickets."""

    close_after: timedelta
    """How long a ticket that waits for its customer stays open without a word."""
    reopen_within: timedelta
    """How long after its end a customer may reopen one."""
    keep_for: timedelta
    """How long after its end texts and pictures are kept."""

    @classmethod
    def in_days(cls, close_after: int, reopen_within: int, keep_for: int) -> "SupportRules":
        """Return rules of so many days each."""
        return cls(timedelta(days=close_after), timedelta(days=reopen_within), timedelta(days=keep_for))


@dataclass(frozen=True, slots=True)
class Ticket:
    """A row of `tickets`."""

    id: TicketId
    account_id: AccountId
    order_id: int | None
    recharge_id: int | None
    subject: bytes | None = field(repr=False)
    """Sealed; None once it was purged."""
    state: TicketState
    priority: Priority
    assignee_id: AccountId | None
    version: int
    last_ordinal: int
    created_at: datetime
    active_at: datetime
    ended_at: datetime | None
    ended_by: EndedBy | None
    purged_at: datetime | None

    @property
    def is_live(self) -> bool:
        """Whether it is neither solved nor closed."""
        return self.ended_at is None


@dataclass(frozen=True, slots=True)
class Listed(Ticket):
    """A ticket with what lists show of its messages."""

    recharge_ref: str | None
    """What customers call the recharge."""
    unread_by_customer: int
    unread_by_staff: int


@dataclass(frozen=True, slots=True)
class Message:
    """A row of `ticket_messages`."""

    id: int
    ticket_id: TicketId
    ordinal: int
    kind: MessageKind
    author_id: AccountId
    body: bytes | None = field(repr=False)
    """Sealed; None once it was purged."""
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Attachment:
    """A row of `ticket_attachments` without its content."""

    id: AttachmentId
    ticket_id: TicketId
    ordinal: int
    """Of the message that it belongs to."""
    type: ImageType
    bytes: int
    width: int
    height: int

    @property
    def media_type(self) -> str:
        """What it is on the wire."""
        return f"image/{self.type}"

    @property
    def file_name(self) -> str:
        """What it is saved as: nothing of what its sender called it."""
        return f"ticket-{self.ticket_id}-{self.id}.{'jpg' if self.type == 'jpeg' else self.type}"


@dataclass(frozen=True, slots=True)
class Image:
    """A picture that was looked at: what it is by its own bytes."""

    type: ImageType
    width: int
    height: int
    content: bytes = field(repr=False)
    """From its first to its last byte, without what was appended."""


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a thread in words; `text` is None once it was purged."""

    message: Message
    text: str | None = field(repr=False)
    attachments: tuple[Attachment, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """A ticket in words. In lists there is no thread."""

    ticket: Listed
    subject: str | None = field(repr=False)
    thread: tuple[Said, ...] = ()


@dataclass(frozen=True, slots=True)
class Opened:
    """What became of opening a ticket."""

    ticket: Listed
    is_new: bool
    """False: there was an open one about the same thing, and the text was not taken."""
