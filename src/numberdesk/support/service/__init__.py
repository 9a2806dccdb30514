"""Verbs of the support slice: the door for other slices."""

from numberdesk.support.service._customers import (
    LIST_MAX,
    NewTicket,
    close,
    list_tickets,
    open_ticket,
    read,
    read_attachment,
    reopen,
    reply,
)
from numberdesk.support.service._desk import HelpDesk, refuse_closed
from numberdesk.support.service._errors import (
    NoSupportForSandbox,
    TicketChanged,
    TicketClosed,
    TicketExists,
    TicketFull,
    TicketOver,
    TicketPurged,
    TooManyTickets,
)
from numberdesk.support.service._reseal import reseal
from numberdesk.support.service._staff import answer, assign, decide, list_all, note, read_any
from numberdesk.support.service._words import IMAGE_MAX, IMAGES_MAX, SUBJECT_MAX, TEXT_MAX
from numberdesk.support.sql import Wanted

__all__ = [
    "IMAGES_MAX",
    "IMAGE_MAX",
    "LIST_MAX",
    "SUBJECT_MAX",
    "TEXT_MAX",
    "HelpDesk",
    "NewTicket",
    "NoSupportForSandbox",
    "TicketChanged",
    "TicketClosed",
    "TicketExists",
    "TicketFull",
    "TicketOver",
    "TicketPurged",
    "TooManyTickets",
    "Wanted",
    "answer",
    "assign",
    "close",
    "decide",
    "list_all",
    "list_tickets",
    "note",
    "open_ticket",
    "read",
    "read_any",
    "read_attachment",
    "refuse_closed",
    "reopen",
    "reply",
    "reseal",
]
