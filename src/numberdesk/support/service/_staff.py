"""What staff do with everybody's tickets. A decision holds only for the version that was looked at; all is recorded.

Records hold no words of a ticket: everybody on the staff may read them, and they are kept for ever.
"""

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import Caller
from numberdesk.audit import service as audit
from numberdesk.base.db import Tx
from numberdesk.base.errors import InvalidFields, NotFound
from numberdesk.base.visit import Visit
from numberdesk.support import sql
from numberdesk.support.model import (
    EndedBy,
    Listed,
    Message,
    Priority,
    Shown,
    Ticket,
    TicketId,
    TicketState,
)
from numberdesk.support.service._customers import LIST_MAX, THREAD_MAX, find_repeat, get, refuse_second, write
from numberdesk.support.service._desk import HelpDesk
from numberdesk.support.service._errors import TicketChanged, TicketFull, TicketOver, TicketPurged
from numberdesk.support.service._notices import STAFF, tell_customer
from numberdesk.support.service._words import clean_text, shown
from numberdesk.support.sql import Wanted
from numberdesk.wallet.model import AccountId

ENDS: dict[TicketState, EndedBy] = {"solved": "staff", "closed": "staff"}


async def list_all(desk: HelpDesk, wanted: Wanted, *, cursor: int | None, limit: int) -> list[Shown]:
    """Return tickets of everybody without their threads, newest first, before the id `cursor`."""
    async with desk.db.statement() as tx:
        found = await sql.list_tickets(tx, wanted, before=cursor, limit=min(limit, LIST_MAX))
    return [shown(desk, item) for item in found]


async def read_any(desk: HelpDesk, ticket_id: TicketId) -> Shown:
    """Return anybody's ticket with its thread and notes. What is read counts as seen by all of the staff.

    Raises:
        NotFound: no such ticket.
    """
    async with desk.db.statement() as tx:
        ticket = await get(tx, ticket_id, None)
        messages = await sql.list_messages(tx, ticket_id, with_notes=True, limit=THREAD_MAX)
        attachments = await sql.list_attachments(tx, ticket_id)
        if messages:
            await sql.set_seen_by_staff(tx, ticket_id, messages[-1].ordinal)
    return shown(desk, ticket, messages, attachments)


async def answer(
    desk: HelpDesk, caller: Caller, visit: Visit, ticket_id: TicketId, text: str, *, then: TicketState,
    version: int | None, request_key: str | None,
) -> tuple[Listed, Message]:  # fmt: skip
    """Answer a customer, who is told by mail that there is an answer.

    Args:
        then: `answered`, `waiting` for the customer's answer, or `solved`.
        version: what was looked at; None: whatever it is.

    Raises:
        NotFound: no such ticket.
        OwnAccount: it is the caller's own.
        TicketChanged: it is not of this version any more.
        TicketOver: it is closed.
        TicketExists: it was solved, and another one about the same thing is open.
        TicketFull: it has as many messages as one may have.
        KeyReused: the key came with something else before.
        InvalidFields: words that are not taken.
    """
    text = clean_text(text)
    async with desk.db.transaction() as tx:
        known = await find_repeat(tx, desk, caller.account_id, request_key, text, ticket_id=ticket_id, kind="staff")
        if known is not None:
            return await get(tx, ticket_id, None), known
        ticket = await _locked(tx, caller, ticket_id, version, with_account=True)
        if ticket.state == "closed":
            raise TicketOver
        if then not in ENDS and not ticket.is_live:
            await refuse_second(tx, ticket)
        _refuse_full(ticket)
        ordinal = await sql.set_spoken(tx, ticket_id, then, is_staff=True)
        message = await write(tx, desk, ticket_id, ordinal, "staff", caller.account_id, text, request_key)
        await _record(tx, caller, visit, "ticket_answered", ticket, state=then)
        after = await get(tx, ticket_id, None)
        await tell_customer(tx, desk, after, key=str(ordinal))
    return after, message


async def note(
    desk: HelpDesk, caller: Caller, visit: Visit, ticket_id: TicketId, text: str, *, request_key: str | None
) -> tuple[Listed, Message]:
    """Write a note that only staff see, also to a closed ticket. For the customer nothing changes.

    Raises:
        NotFound, OwnAccount, TicketFull, KeyReused, InvalidFields: as in `answer`.
        TicketPurged: its words are gone, and new ones would stay for ever.
    """
    text = clean_text(text)
    async with desk.db.transaction() as tx:
        known = await find_repeat(tx, desk, caller.account_id, request_key, text, ticket_id=ticket_id, kind="note")
        if known is not None:
            return await get(tx, ticket_id, None), known
        ticket = await _locked(tx, caller, ticket_id, None)
        if ticket.purged_at is not None:
            raise TicketPurged
        _refuse_full(ticket)
        ordinal = await sql.set_noted(tx, ticket_id)
        message = await write(tx, desk, ticket_id, ordinal, "note", caller.account_id, text, request_key)
        await _record(tx, caller, visit, "ticket_noted", ticket)
        return await get(tx, ticket_id, None), message


async def assign(
    desk: HelpDesk, caller: Caller, visit: Visit, ticket_id: TicketId, *, assignee_id: AccountId | None, version: int
) -> Listed:
    """Give a ticket to somebody of the staff, or to nobody.

    Raises:
        NotFound, OwnAccount, TicketChanged: as in `answer`.
        InvalidFields: the account is of nobody who is active on the staff.
    """
    async with desk.db.transaction() as tx:
        ticket = await _locked(tx, caller, ticket_id, version)
        if assignee_id is not None and assignee_id not in {person.id for person in await accounts.staff(tx, STAFF)}:
            raise InvalidFields({"assigneeId": "is nobody who is active on the staff"})
        if assignee_id != ticket.assignee_id:
            await sql.set_assigned(tx, ticket_id, assignee_id)
            await _record(tx, caller, visit, "ticket_assigned", ticket, before=ticket.assignee_id, after=assignee_id)
        return await get(tx, ticket_id, None)


async def decide(
    desk: HelpDesk, caller: Caller, visit: Visit, ticket_id: TicketId, *, state: TicketState | None,
    priority: Priority | None, version: int,
) -> Listed:  # fmt: skip
    """Change the state or the priority of a ticket; None leaves it as it is.

    Raises:
        NotFound, OwnAccount, TicketChanged: as in `answer`.
        TicketExists: it would be open beside another one about the same thing.
        TicketPurged: its words are gone, so that it stays closed.
    """
    async with desk.db.transaction() as tx:
        ticket = await _locked(tx, caller, ticket_id, version, with_account=True)
        if state is not None and state != ticket.state:
            if ticket.purged_at is not None:
                raise TicketPurged
            if state not in ENDS and not ticket.is_live:
                await refuse_second(tx, ticket)
            await sql.set_state(tx, ticket_id, state, by=ENDS.get(state))
            await _record(tx, caller, visit, "ticket_state", ticket, before=ticket.state, after=state)
        if priority is not None and priority != ticket.priority:
            await sql.set_priority(tx, ticket_id, priority)
            await _record(tx, caller, visit, "ticket_priority", ticket, before=ticket.priority, after=priority)
        return await get(tx, ticket_id, None)


async def _locked(
    tx: Tx, caller: Caller, ticket_id: TicketId, version: int | None, *, with_account: bool = False
) -> Ticket:
    """Lock a ticket, and its customer's list before it where another ticket of his matters."""
    if with_account:
        await sql.lock_account(tx, (await get(tx, ticket_id, None)).account_id)
    ticket = await sql.lock_ticket(tx, ticket_id, None)
    if ticket is None:
        raise NotFound(what="ticket")
    if ticket.account_id == caller.account_id:
        raise accounts.OwnAccount
    if version is not None and ticket.version != version:
        raise TicketChanged(version=ticket.version)
    return ticket


def _refuse_full(ticket: Ticket) -> None:
    if ticket.last_ordinal >= THREAD_MAX:
        raise TicketFull(most=THREAD_MAX)


async def _record(
    tx: Tx, caller: Caller, visit: Visit, action: str, ticket: Ticket, **details: str | int | None
) -> None:
    event = accounts.done_by(caller, visit, action, to=ticket.account_id, ticket=int(ticket.id), **details)
    await audit.record(tx, event)
