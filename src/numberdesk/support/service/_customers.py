"""What customers do with tickets of their own. What is another's is not there."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import Caller
from numberdesk.base.db import Tx
from numberdesk.base.errors import InvalidFields, NotFound
from numberdesk.support import sql
from numberdesk.support.model import (
    Attachment,
    AttachmentId,
    Image,
    Listed,
    Message,
    MessageKind,
    Opened,
    Shown,
    Ticket,
    TicketId,
    TicketState,
)
from numberdesk.support.service._desk import HelpDesk, body_place, content_place, refuse_closed, subject_place
from numberdesk.support.service._errors import (
    NoSupportForSandbox,
    TicketClosed,
    TicketExists,
    TicketFull,
    TooManyTickets,
)
from numberdesk.support.service._notices import tell_staff
from numberdesk.support.service._words import clean_subject, clean_text, read_images, says, shown
from numberdesk.wallet.model import AccountId, is_sandbox

LIST_MAX = 100
TICKETS_MAX = 10
"""Open tickets of one account."""
MESSAGES_MAX = 200
"""Messages in a ticket after which its customer opens another one; staff may still answer."""
THREAD_MAX = 500
"""Messages in a ticket, notes and answers included."""
TICKET_BYTES = 8 * 1024 * 1024
ACCOUNT_BYTES = 24 * 1024 * 1024
"""Pictures that one account keeps here, in tickets that were not purged yet."""


@dataclass(frozen=True, slots=True)
class NewTicket:
    """What a customer asks, and what about: an order, a recharge, or neither."""

    subject: str = field(repr=False)
    text: str = field(repr=False)
    attachments: Sequence[bytes] = field(default=(), repr=False)
    order_id: int | None = None
    recharge_ref: str | None = None


async def open_ticket(desk: HelpDesk, caller: Caller, wanted: NewTicket, *, request_key: str | None) -> Opened:
    """Open a ticket, unless there is an open one about the same order or recharge: then that one is returned.

    Args:
        request_key: a repeat with it returns the ticket of the first time.

    Raises:
        InvalidFields: words or pictures that are not taken, or an order and a recharge at once.
        NotFound: the order or recharge is not the caller's.
        TooManyTickets: there are as many open ones as one account may have.
        TooMany: the limit `ticket` is reached.
        KeyReused: the key came with something else before.
        NoSupportForSandbox: the caller is a sandbox.
    """
    account_id = _customer(caller)
    subject, text, images = clean_subject(wanted.subject), clean_text(wanted.text), read_images(wanted.attachments)
    if wanted.order_id is not None and wanted.recharge_ref is not None:
        raise InvalidFields({"orderId": "and transactionId must not be given both"})
    await desk.limiter.admit("ticket", str(account_id))
    async with desk.db.transaction() as tx:
        await sql.lock_account(tx, account_id)
        known = await find_repeat(tx, desk, account_id, request_key, text, is_opening=True)
        if known is not None:
            return Opened(await get(tx, known.ticket_id, account_id), is_new=True)
        await refuse_closed(tx, desk, account_id)
        recharge_id = await _own_subject(tx, account_id, wanted)
        live = await sql.find_live(tx, order_id=wanted.order_id, recharge_id=recharge_id)
        if live is not None:
            return Opened(await get(tx, live, account_id), is_new=False)
        await _refuse_many(tx, account_id)
        ticket_id = await sql.next_ticket_id(tx)
        sealed = desk.vault.seal(subject, about=subject_place(ticket_id))
        await sql.insert_ticket(
            tx, ticket_id, account_id, order_id=wanted.order_id, recharge_id=recharge_id, subject=sealed
        )
        await _say(tx, desk, ticket_id, account_id, text, images, request_key)
        ticket = await get(tx, ticket_id, account_id)
        await tell_staff(tx, desk, ticket, "a new ticket", key="1")
    return Opened(ticket, is_new=True)


async def reply(
    desk: HelpDesk, caller: Caller, ticket_id: TicketId, text: str, attachments: Sequence[bytes] = (), *,
    request_key: str | None,
) -> tuple[Listed, Message]:  # fmt: skip
    """Write to a ticket; one that was solved opens again. Staff are told once until they have looked.

    Raises:
        NotFound: no such ticket of the caller's.
        TicketClosed: it is closed.
        TicketFull: it has as many messages as one may have.
        TicketExists, TooManyTickets: it was solved, and cannot open again beside others.
        InvalidFields, TooMany, KeyReused, NoSupportForSandbox: as in `open_ticket`; the limit is `ticket_message`.
    """
    account_id = _customer(caller)
    text, images = clean_text(text), read_images(attachments)
    await desk.limiter.admit("ticket_message", str(account_id))
    async with desk.db.transaction() as tx:
        await sql.lock_account(tx, account_id)
        known = await find_repeat(tx, desk, account_id, request_key, text, ticket_id=ticket_id)
        if known is not None:
            return await get(tx, ticket_id, account_id), known
        ticket = await _locked(tx, ticket_id, account_id)
        await refuse_closed(tx, desk, account_id)
        if ticket.state == "closed":
            raise TicketClosed(reopen_until=await _reopen_until(tx, desk, ticket))
        if ticket.last_ordinal >= MESSAGES_MAX:
            raise TicketFull(most=MESSAGES_MAX)
        if not ticket.is_live:
            await _refuse_many(tx, account_id)
            await refuse_second(tx, ticket)
        before = await get(tx, ticket_id, account_id)
        message = await _say(tx, desk, ticket_id, account_id, text, images, request_key)
        after = await get(tx, ticket_id, account_id)
        if before.unread_by_staff == 0:
            await tell_staff(tx, desk, after, "a new message", key=str(message.ordinal))
    return after, message


async def close(desk: HelpDesk, caller: Caller, ticket_id: TicketId) -> Listed:
    """Close a ticket; a repeat changes nothing.

    Raises:
        NotFound: no such ticket of the caller's.
    """
    async with desk.db.transaction() as tx:
        ticket = await _locked(tx, ticket_id, caller.account_id)
        if ticket.state != "closed":
            await sql.set_state(tx, ticket_id, "closed", by="customer")
        return await get(tx, ticket_id, caller.account_id)


async def reopen(desk: HelpDesk, caller: Caller, ticket_id: TicketId) -> Listed:
    """Open a ticket again that was solved or closed not long ago; one that is open stays as it is.

    Raises:
        NotFound: no such ticket of the caller's.
        TicketClosed: it ended too long ago.
        TicketExists, TooManyTickets: as in `reply`.
        NoSupportForSandbox: the caller is a sandbox.
    """
    account_id = _customer(caller)
    async with desk.db.transaction() as tx:
        await sql.lock_account(tx, account_id)
        ticket = await _locked(tx, ticket_id, account_id)
        if not ticket.is_live:
            await refuse_closed(tx, desk, account_id)
            if await _reopen_until(tx, desk, ticket) is None:
                raise TicketClosed(reopen_until=None)
            await _refuse_many(tx, account_id)
            await refuse_second(tx, ticket)
            await sql.set_state(tx, ticket_id, "open", by=None)
            after = await get(tx, ticket_id, account_id)
            await tell_staff(tx, desk, after, "reopened", key=f"reopened:{after.version}")
        return await get(tx, ticket_id, account_id)


async def list_tickets(
    desk: HelpDesk, account_id: AccountId, *, state: TicketState | None, cursor: int | None, limit: int
) -> list[Shown]:
    """Return an account's tickets without their threads, newest first, before the id `cursor`."""
    wanted = sql.Wanted(account_id=account_id, state=state)
    async with desk.db.statement() as tx:
        found = await sql.list_tickets(tx, wanted, before=cursor, limit=min(limit, LIST_MAX))
    return [shown(desk, item) for item in found]


async def read(desk: HelpDesk, account_id: AccountId, ticket_id: TicketId) -> Shown:
    """Return a ticket with its thread, without notes of the staff. What is read counts as seen from then on.

    Raises:
        NotFound: no such ticket of the account.
    """
    async with desk.db.statement() as tx:
        ticket = await get(tx, ticket_id, account_id)
        messages = await sql.list_messages(tx, ticket_id, with_notes=False, limit=THREAD_MAX)
        attachments = await sql.list_attachments(tx, ticket_id)
        if messages:
            await sql.set_seen_by_customer(tx, ticket_id, messages[-1].ordinal)
    return shown(desk, ticket, messages, attachments)


async def read_attachment(
    desk: HelpDesk, ticket_id: TicketId, attachment_id: AttachmentId, *, account_id: AccountId | None
) -> tuple[Attachment, bytes]:
    """Return a picture of an account's ticket, or of anybody's for staff.

    Raises:
        NotFound: no such picture in a ticket of the account.
        WrongKey: it was sealed with a key that is not at hand.
    """
    async with desk.db.statement() as tx:
        found = await sql.find_attachment(tx, ticket_id, attachment_id, account_id)
    if found is None:
        raise NotFound(what="attachment")
    return found[0], desk.vault.open_bytes(found[1], about=content_place(attachment_id))


async def get(tx: Tx, ticket_id: TicketId, account_id: AccountId | None) -> Listed:
    """Return a ticket of an account, or of anybody for staff.

    Raises:
        NotFound: no such ticket.
    """
    found = await sql.find_ticket(tx, ticket_id, account_id)
    if found is None:
        raise NotFound(what="ticket")
    return found


async def find_repeat(
    tx: Tx, desk: HelpDesk, author_id: AccountId, request_key: str | None, text: str, *,
    ticket_id: TicketId | None = None, kind: MessageKind = "customer", is_opening: bool = False,
) -> Message | None:  # fmt: skip
    """Return the message that this very request wrote before; None when it is the first time.

    Raises:
        KeyReused: the key came with another ticket or another text.
    """
    known = None if request_key is None else await sql.find_request(tx, author_id, request_key)
    if known is None:
        return None
    is_same = known.ticket_id == (ticket_id or known.ticket_id) and known.kind == kind
    if not is_same or is_opening != (known.ordinal == 1) or not says(desk, known, text):
        raise accounts.KeyReused
    return known


async def write(
    tx: Tx, desk: HelpDesk, ticket_id: TicketId, ordinal: int, kind: MessageKind, author_id: AccountId, text: str,
    request_key: str | None,
) -> Message:  # fmt: skip
    """Append a message to a ticket that has made room for it."""
    body = desk.vault.seal(text, about=body_place(ticket_id, ordinal))
    return await sql.insert_message(tx, ticket_id, ordinal, kind, author_id, body=body, request_key=request_key)


async def refuse_second(tx: Tx, ticket: Ticket) -> None:
    """Refuse to open a ticket again beside another one about the same thing.

    Raises:
        TicketExists: there is one.
    """
    live = await sql.find_live(tx, order_id=ticket.order_id, recharge_id=ticket.recharge_id)
    if live is not None and live != ticket.id:
        raise TicketExists(ticket_id=live)


def _customer(caller: Caller) -> AccountId:
    if is_sandbox(caller.account_id):
        raise NoSupportForSandbox
    return caller.account_id


async def _own_subject(tx: Tx, account_id: AccountId, wanted: NewTicket) -> int | None:
    """Return the id of the recharge that a ticket is about, once what it is about is the account's own."""
    if wanted.order_id is not None and not await sql.has_order(tx, account_id, wanted.order_id):
        raise NotFound(what="order")
    if wanted.recharge_ref is None:
        return None
    recharge_id = await sql.find_recharge(tx, account_id, wanted.recharge_ref)
    if recharge_id is None:
        raise NotFound(what="recharge")
    return recharge_id


async def _refuse_many(tx: Tx, account_id: AccountId) -> None:
    if await sql.count_live(tx, account_id) >= TICKETS_MAX:
        raise TooManyTickets(most=TICKETS_MAX)


async def _locked(tx: Tx, ticket_id: TicketId, account_id: AccountId) -> Ticket:
    ticket = await sql.lock_ticket(tx, ticket_id, account_id)
    if ticket is None:
        raise NotFound(what="ticket")
    return ticket


async def _reopen_until(tx: Tx, desk: HelpDesk, ticket: Ticket) -> datetime | None:
    """Return until when its customer may reopen a ticket; None: not any more."""
    if ticket.ended_at is None or ticket.purged_at is not None:
        return None
    until = ticket.ended_at + desk.rules.reopen_within
    return until if await sql.get_clock(tx) < until else None


async def _say(
    tx: Tx, desk: HelpDesk, ticket_id: TicketId, account_id: AccountId, text: str, images: Sequence[Image],
    request_key: str | None,
) -> Message:  # fmt: skip
    if images:
        await _refuse_bytes(tx, ticket_id, account_id, sum(len(image.content) for image in images))
    ordinal = await sql.set_spoken(tx, ticket_id, "open", is_staff=False)
    message = await write(tx, desk, ticket_id, ordinal, "customer", account_id, text, request_key)
    for image in images:
        attachment_id = await sql.next_attachment_id(tx)
        sealed = desk.vault.seal_bytes(image.content, about=content_place(attachment_id))
        await sql.insert_attachment(tx, attachment_id, message, image, sealed=sealed)
    return message


async def _refuse_bytes(tx: Tx, ticket_id: TicketId, account_id: AccountId, more: int) -> None:
    of_account, of_ticket = await sql.sum_bytes(tx, account_id=account_id, ticket_id=ticket_id)
    for what, used, most in (("ticket", of_ticket, TICKET_BYTES), ("account", of_account, ACCOUNT_BYTES)):
        if used + more > most:
            limit = most // 1024 // 1024
            raise InvalidFields({"attachments": f"would be more than the {limit} MB that one {what} may have"})
