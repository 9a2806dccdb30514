"""HTTP face of support: a customer's own tickets.

Answers to POST hold no words of a ticket: they are kept for repeats in plain text, where words are sealed.
"""

from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter
from msgspec import Meta, Struct

from numberdesk.base import web
from numberdesk.base.calls import ID_MAX, Asked, Call, number_in_path
from numberdesk.base.compress import AS_IT_IS
from numberdesk.base.described import QueryId, document
from numberdesk.base.web import ACCESS, Items, NoFields, Ok, encode, rfc3339, saved
from numberdesk.support import service
from numberdesk.support.model import (
    Attachment,
    AttachmentId,
    ImageType,
    Listed,
    Said,
    Shown,
    TicketId,
    TicketState,
)
from numberdesk.support.service import HelpDesk, NewTicket
from numberdesk.wallet.model import AccountId

BODY_MAX = web.BODY_MAX + service.IMAGES_MAX * service.IMAGE_MAX * 4 // 3
"""Text and pictures, which are a third longer in base64."""
ALREADY = "There is an open ticket about this already, so your text was not added. Write it to that ticket."
TAKEN = "Your ticket was opened."

Text = Annotated[str, Meta(min_length=1, max_length=service.TEXT_MAX)]
Pictures = Annotated[list[bytes], Meta(max_length=service.IMAGES_MAX, description="PNG, JPEG or WebP, in base64.")]


class OpenTicket(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """A question, and the order or recharge that it is about, if it is about one."""

    subject: Annotated[str, Meta(min_length=1, max_length=service.SUBJECT_MAX)]
    text: Text
    order_id: Annotated[int, Meta(ge=1, le=ID_MAX)] | None = None
    transaction_id: Annotated[str, Meta(pattern="^RC[0-9A-Z]{26}$")] | None = None
    attachments: Pictures = []


class WriteMessage(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """A message to a ticket."""

    text: Text
    attachments: Pictures = []


class TicketStanding(Struct, rename="camel", frozen=True):
    """Where a ticket stands, without its words."""

    id: int
    state: TicketState
    order_id: int | None
    transaction_id: str | None
    created_at: datetime | None
    updated_at: datetime | None
    ended_at: datetime | None


class TicketView(TicketStanding, rename="camel", frozen=True):
    """A ticket. The subject is null once its words were forgotten; `unread` counts answers that were not read yet."""

    subject: str | None
    unread: int


class AttachmentView(Struct, rename="camel", frozen=True):
    """A picture, to be fetched by its id."""

    id: int
    type: ImageType
    bytes: int
    width: int
    height: int


class MessageView(Struct, rename="camel", frozen=True):
    """A message; its text is null once it was forgotten."""

    id: int
    author: Literal["you", "support"]
    text: str | None
    attachments: list[AttachmentView]
    at: datetime | None


class TicketDetail(Struct, rename="camel", frozen=True):
    """A ticket with its thread, oldest message first."""

    ticket: TicketView
    messages: list[MessageView]


class OpenedView(Struct, rename="camel", frozen=True):
    """The ticket that is open now. `isNew` is false when there was one about the same thing; `told` says so."""

    ticket: TicketStanding
    is_new: bool
    told: str


class WrittenView(Struct, rename="camel", frozen=True):
    """The ticket after a message."""

    ticket: TicketStanding
    message_id: int


def calls(desk: Any) -> list[Call[Any]]:
    """Return the calls of this slice; without a help desk they can only be described."""
    return [
        Call(
            path="/support/tickets", body=OpenTicket, access="order", is_repeatable=True, body_max=BODY_MAX,
            run=partial(_open, desk), answer=OpenedView, summary="Open a ticket",
            description="Ask about an order, a recharge or anything else. There is one open ticket about a thing: "
            "a second opening returns the first, and says so.",
        ),
        Call(
            path="/support/tickets/{id}/messages", body=WriteMessage, access="order", is_repeatable=True,
            body_max=BODY_MAX, run=partial(_write, desk), answer=WrittenView, summary="Write to a ticket",
            description="Write to a ticket that is not closed; one that was solved opens again.",
        ),
        Call(
            path="/support/tickets/{id}/close", body=NoFields, access="order", is_repeatable=True,
            run=partial(_close, desk), answer=TicketStanding, summary="Close a ticket",
            description="Say that a ticket is over.",
        ),
        Call(
            path="/support/tickets/{id}/reopen", body=NoFields, access="order", is_repeatable=True,
            run=partial(_reopen, desk), answer=TicketStanding, summary="Reopen a ticket",
            description="Go on with a ticket that was solved or closed not long ago.",
        ),
    ]  # fmt: skip


async def _open(desk: HelpDesk, asked: Asked, data: OpenTicket) -> bytes:
    wanted = NewTicket(data.subject, data.text, data.attachments, data.order_id, data.transaction_id)
    opened = await service.open_ticket(desk, asked.caller, wanted, request_key=asked.once)
    return encode(OpenedView(_standing(opened.ticket), opened.is_new, TAKEN if opened.is_new else ALREADY))


async def _write(desk: HelpDesk, asked: Asked, data: WriteMessage) -> bytes:
    ticket, message = await service.reply(
        desk, asked.caller, TicketId(asked.id), data.text, data.attachments, request_key=asked.once
    )
    return encode(WrittenView(_standing(ticket), message.id))


async def _close(desk: HelpDesk, asked: Asked, _data: NoFields) -> bytes:
    return encode(_standing(await service.close(desk, asked.caller, TicketId(asked.id))))


async def _reopen(desk: HelpDesk, asked: Asked, _data: NoFields) -> bytes:
    return encode(_standing(await service.reopen(desk, asked.caller, TicketId(asked.id))))


def _standing(item: Listed) -> TicketStanding:
    return TicketStanding(
        item.id, item.state, item.order_id, item.recharge_ref, rfc3339(item.created_at), rfc3339(item.active_at),
        rfc3339(item.ended_at),
    )  # fmt: skip


def _ticket(item: Shown) -> TicketView:
    ticket = item.ticket
    return TicketView(
        ticket.id, ticket.state, ticket.order_id, ticket.recharge_ref, rfc3339(ticket.created_at),
        rfc3339(ticket.active_at), rfc3339(ticket.ended_at), item.subject, ticket.unread_by_customer,
    )  # fmt: skip


def _message(item: Said) -> MessageView:
    return MessageView(
        item.message.id, "you" if item.message.kind == "customer" else "support", item.text,
        [_attachment(found) for found in item.attachments], rfc3339(item.message.created_at),
    )  # fmt: skip


def _attachment(item: Attachment) -> AttachmentView:
    return AttachmentView(item.id, item.type, item.bytes, item.width, item.height)


PICTURE = {200: ResponseSpec(bytes, media_type="image/*", generate_examples=False, description="The picture")}


@get("/support/tickets", summary="List tickets, newest first", opt={ACCESS: "read"})
async def list_tickets(
    reader: NamedDependency[AccountId],
    help_desk: NamedDependency[HelpDesk],
    in_state: Annotated[TicketState | None, QueryParameter(name="state")] = None,
    cursor: QueryId = None,
    limit: Annotated[int, QueryParameter(ge=1, le=service.LIST_MAX)] = 50,
) -> Ok[Items[TicketView]]:
    """List the caller's tickets, newest first; `cursor` is `nextCursor` of the page before."""
    found = await service.list_tickets(help_desk, reader, state=in_state, cursor=cursor, limit=limit)
    following = str(found[-1].ticket.id) if len(found) == limit else None
    return Ok(data=Items([_ticket(item) for item in found], following))


@get("/support/tickets/{id:str}", summary="Read a ticket", opt={ACCESS: "read"})
async def read_ticket(
    id: FromPath[str],  # noqa: A002 - the name in the path
    reader: NamedDependency[AccountId],
    help_desk: NamedDependency[HelpDesk],
) -> Ok[TicketDetail]:
    """Read one of the caller's tickets with its thread. Answers in it count as read from then on."""
    found = await service.read(help_desk, reader, TicketId(number_in_path(id, what="ticket")))
    return Ok(data=TicketDetail(_ticket(found), [_message(item) for item in found.thread]))


@get(
    "/support/tickets/{id:str}/attachments/{attachment_id:str}",
    summary="Fetch a picture", opt={ACCESS: "read", AS_IT_IS: True}, responses=PICTURE,
)  # fmt: skip
async def read_attachment(
    id: FromPath[str],  # noqa: A002 - the name in the path
    attachment_id: FromPath[str],
    reader: NamedDependency[AccountId],
    help_desk: NamedDependency[HelpDesk],
) -> Response[bytes]:
    """Fetch a picture of one of the caller's tickets, as a file to be saved."""
    ticket_id = TicketId(number_in_path(id, what="attachment"))
    found = AttachmentId(number_in_path(attachment_id, what="attachment"))
    item, content = await service.read_attachment(help_desk, ticket_id, found, account_id=reader)
    return saved(content, media_type=item.media_type, name=item.file_name)


router = Router(
    "/", route_handlers=[*document(calls(None)), list_tickets, read_ticket, read_attachment], tags=["support"]
)
