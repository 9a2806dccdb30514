"""What staff call about support tickets: look for them, answer, note, assign, decide."""

from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter
from msgspec import Meta, Struct

from numberdesk.accounts.model import Caller
from numberdesk.admin.routes._reads import note_read
from numberdesk.base.calls import ID_MAX, Asked, Call, number_in_path
from numberdesk.base.compress import AS_IT_IS
from numberdesk.base.described import QueryId
from numberdesk.base.errors import InvalidFields
from numberdesk.base.web import ACCESS, Items, Ok, encode, rfc3339, saved
from numberdesk.support import service
from numberdesk.support.model import (
    AttachmentId,
    EndedBy,
    ImageType,
    Listed,
    MessageKind,
    Priority,
    Said,
    Shown,
    TicketId,
    TicketState,
)
from numberdesk.support.service import HelpDesk, Wanted
from numberdesk.wallet.model import AccountId

Text = Annotated[str, Meta(min_length=1, max_length=service.TEXT_MAX)]
Version = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class AnswerTicket(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """An answer, and what the ticket is after it. With `version` it holds only for what was looked at."""

    text: Text
    state: Literal["answered", "waiting", "solved"] = "answered"
    version: Version | None = None


class NoteTicket(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """A note that only staff see."""

    text: Text


class AssignTicket(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """Who has the ticket from now on; null gives it back."""

    assignee_id: Annotated[int, Meta(ge=1, le=ID_MAX)] | None
    version: Version


class DecideTicket(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """Another state, another priority, or both."""

    version: Version
    state: TicketState | None = None
    priority: Priority | None = None


class StaffTicketStanding(Struct, rename="camel", frozen=True):
    """A ticket without its words. `unread` counts messages that nobody of the staff has read yet."""

    id: int
    account_id: int
    state: TicketState
    priority: Priority
    assignee_id: int | None
    version: int
    order_id: int | None
    transaction_id: str | None
    unread: int
    created_at: datetime | None
    updated_at: datetime | None
    ended_at: datetime | None
    ended_by: EndedBy | None


class StaffTicketView(Struct, rename="camel", frozen=True):
    """A ticket with its subject, which is null once its words were forgotten."""

    ticket: StaffTicketStanding
    subject: str | None


class StaffAttachmentView(Struct, rename="camel", frozen=True):
    """A picture that a customer sent, to be fetched by its id."""

    id: int
    type: ImageType
    bytes: int
    width: int
    height: int


class StaffMessageView(Struct, rename="camel", frozen=True):
    """A message or a note; its text is null once it was forgotten."""

    id: int
    kind: MessageKind
    author_id: int
    text: str | None
    attachments: list[StaffAttachmentView]
    at: datetime | None


class StaffTicketDetail(Struct, rename="camel", frozen=True):
    """A ticket with its thread and notes, oldest first."""

    ticket: StaffTicketStanding
    subject: str | None
    messages: list[StaffMessageView]


class StaffWrittenView(Struct, rename="camel", frozen=True):
    """The ticket after an answer or a note."""

    ticket: StaffTicketStanding
    message_id: int


def calls(desk: Any) -> list[Call[Any]]:
    """Return the calls about tickets; without a help desk they can only be described."""
    return [
        Call(
            path="/admin/tickets/{id}/reply", body=AnswerTicket, access="admin:support", is_repeatable=True,
            run=partial(_answer, desk), answer=StaffWrittenView, summary="Answer a ticket",
            description="Answer a customer, who is told by mail that there is an answer.",
        ),
        Call(
            path="/admin/tickets/{id}/note", body=NoteTicket, access="admin:support", is_repeatable=True,
            run=partial(_note, desk), answer=StaffWrittenView, summary="Write a note to a ticket",
            description="Write a note that only staff see.",
        ),
        Call(
            path="/admin/tickets/{id}/assign", body=AssignTicket, access="admin:support", run=partial(_assign, desk),
            answer=StaffTicketStanding, summary="Assign a ticket",
            description="Give a ticket to somebody of the staff, or to nobody.",
        ),
        Call(
            path="/admin/tickets/{id}/state", body=DecideTicket, access="admin:support", run=partial(_decide, desk),
            answer=StaffTicketStanding, summary="Change a ticket's state or priority",
            description="Solve, close or open a ticket, or say how soon it should be looked at.",
        ),
    ]  # fmt: skip


async def _answer(desk: HelpDesk, asked: Asked, data: AnswerTicket) -> bytes:
    ticket, message = await service.answer(
        desk, asked.caller, asked.visit, TicketId(asked.id), data.text, then=data.state, version=data.version,
        request_key=asked.once,
    )  # fmt: skip
    return encode(StaffWrittenView(_standing(ticket), message.id))


async def _note(desk: HelpDesk, asked: Asked, data: NoteTicket) -> bytes:
    ticket, message = await service.note(
        desk, asked.caller, asked.visit, TicketId(asked.id), data.text, request_key=asked.once
    )
    return encode(StaffWrittenView(_standing(ticket), message.id))


async def _assign(desk: HelpDesk, asked: Asked, data: AssignTicket) -> bytes:
    assignee = None if data.assignee_id is None else AccountId(data.assignee_id)
    ticket = await service.assign(
        desk, asked.caller, asked.visit, TicketId(asked.id), assignee_id=assignee, version=data.version
    )
    return encode(_standing(ticket))


async def _decide(desk: HelpDesk, asked: Asked, data: DecideTicket) -> bytes:
    if data.state is None and data.priority is None:
        raise InvalidFields({"body": "must have at least one of state and priority"})
    ticket = await service.decide(
        desk, asked.caller, asked.visit, TicketId(asked.id), state=data.state, priority=data.priority,
        version=data.version,
    )  # fmt: skip
    return encode(_standing(ticket))


def _standing(item: Listed) -> StaffTicketStanding:
    return StaffTicketStanding(
        item.id, item.account_id, item.state, item.priority, item.assignee_id, item.version, item.order_id,
        item.recharge_ref, item.unread_by_staff, rfc3339(item.created_at), rfc3339(item.active_at),
        rfc3339(item.ended_at), item.ended_by,
    )  # fmt: skip


def _message(item: Said) -> StaffMessageView:
    return StaffMessageView(
        item.message.id, item.message.kind, item.message.author_id, item.text,
        [StaffAttachmentView(found.id, found.type, found.bytes, found.width, found.height)
         for found in item.attachments],
        rfc3339(item.message.created_at),
    )  # fmt: skip


def _detail(item: Shown) -> StaffTicketDetail:
    return StaffTicketDetail(_standing(item.ticket), item.subject, [_message(said) for said in item.thread])


PICTURE = {200: ResponseSpec(bytes, media_type="image/*", generate_examples=False, description="The picture")}


@get("/admin/tickets", summary="List tickets, newest first", opt={ACCESS: "admin:support"})
async def list_tickets(
    help_desk: NamedDependency[HelpDesk],
    in_state: Annotated[TicketState | None, QueryParameter(name="state")] = None,
    assignee: QueryId = None,
    is_unassigned: Annotated[bool, QueryParameter(name="unassigned")] = False,
    account: QueryId = None,
    order: QueryId = None,
    transaction_id: Annotated[str | None, QueryParameter(name="transactionId", max_length=40)] = None,
    cursor: QueryId = None,
    limit: Annotated[int, QueryParameter(ge=1, le=service.LIST_MAX)] = 50,
) -> Ok[Items[StaffTicketView]]:
    """List everybody's tickets, or those in a state, of an account, about a thing, or in somebody's hands."""
    wanted = Wanted(
        None if account is None else AccountId(account), in_state, None if assignee is None else AccountId(assignee),
        is_unassigned, order, transaction_id,
    )  # fmt: skip
    found = await service.list_all(help_desk, wanted, cursor=cursor, limit=limit)
    following = str(found[-1].ticket.id) if len(found) == limit else None
    return Ok(data=Items([StaffTicketView(_standing(item.ticket), item.subject) for item in found], following))


@get("/admin/tickets/{id:str}", summary="Read a ticket with its notes", opt={ACCESS: "admin:support"})
async def read_ticket(
    id: FromPath[str],  # noqa: A002 - the name in the path
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    help_desk: NamedDependency[HelpDesk],
) -> Ok[StaffTicketDetail]:
    """Read anybody's ticket with its thread. Messages in it count as read by the staff from then on. It is recorded."""
    found = await service.read_any(help_desk, TicketId(number_in_path(id, what="ticket")))
    await note_read(help_desk.db, caller, request, "ticket", found.ticket.account_id, ticket=int(found.ticket.id))
    return Ok(data=_detail(found))


@get(
    "/admin/tickets/{id:str}/attachments/{attachment_id:str}",
    summary="Fetch a picture of a ticket", opt={ACCESS: "admin:support", AS_IT_IS: True}, responses=PICTURE,
)  # fmt: skip
async def read_attachment(
    id: FromPath[str],  # noqa: A002 - the name in the path
    attachment_id: FromPath[str],
    help_desk: NamedDependency[HelpDesk],
) -> Response[bytes]:
    """Fetch a picture of anybody's ticket, as a file to be saved."""
    ticket_id = TicketId(number_in_path(id, what="attachment"))
    found = AttachmentId(number_in_path(attachment_id, what="attachment"))
    item, content = await service.read_attachment(help_desk, ticket_id, found, account_id=None)
    return saved(content, media_type=item.media_type, name=item.file_name)


HANDLERS = [list_tickets, read_ticket, read_attachment]
