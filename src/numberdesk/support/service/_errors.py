"""What support refuses."""

from dataclasses import dataclass
from datetime import datetime

from numberdesk.base.errors import AppError


@dataclass(eq=False)
class NoSupportForSandbox(AppError):
    """A sandbox has no orders that anybody could help with."""

    status = 403
    code = "not_in_sandbox"
    message = "A test key has no support tickets. Use a live key, or sign in."


@dataclass(eq=False)
class TooManyTickets(AppError):
    """The account has as many open tickets as one may have."""

    most: int

    status = 409
    code = "too_many_tickets"
    category = "transaction"
    message = "You have {most} open tickets, as many as one account may have. Close one first, or write to one of them."


@dataclass(eq=False)
class TicketFull(AppError):
    """The ticket has as many messages as one may have."""

    most: int

    status = 409
    code = "ticket_full"
    category = "transaction"
    message = "This ticket has {most} messages, as many as one may have. Open another one."


@dataclass(eq=False)
class TicketClosed(AppError):
    """A closed ticket takes no messages."""

    reopen_until: datetime | None
    """Until when its customer may reopen it; None: not any more."""

    status = 409
    code = "ticket_closed"
    category = "transaction"
    message = "This ticket is closed."

    def sentence(self) -> str:
        what = "Open another one" if self.reopen_until is None else "Reopen it first, or open another one"
        return f"{self.message} {what}."


@dataclass(eq=False)
class TicketOver(AppError):
    """Staff write to a closed ticket."""

    status = 409
    code = "ticket_closed"
    category = "transaction"
    message = "This ticket is closed. Set its state to open first."


@dataclass(eq=False)
class TicketPurged(AppError):
    """The words of a ticket are gone, so that nothing can go on in it."""

    status = 409
    code = "ticket_purged"
    category = "transaction"
    message = "This ticket was closed so long ago that its words are gone."


@dataclass(eq=False)
class TicketExists(AppError):
    """Another ticket about the same order or recharge is open."""

    ticket_id: int

    status = 409
    code = "ticket_exists"
    category = "transaction"
    message = "Ticket {ticket_id} about the same thing is open. Write to that one."


@dataclass(eq=False)
class TicketChanged(AppError):
    """Somebody else decided since this version was read."""

    version: int
    """The version of now."""

    status = 409
    code = "changed_meanwhile"
    category = "transaction"
    message = "This was changed by somebody else meanwhile. Read it again."
