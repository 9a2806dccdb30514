"""Who is told of what, in the transaction of what it tells. No mail holds words of a customer, nor any of ours to him:
they are read where both have signed in."""

from collections.abc import Sequence
from typing import Literal

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import Recipient, Role
from numberdesk.base.db import Tx
from numberdesk.notifications import service as notifications
from numberdesk.notifications.model import Notice, StaffEvent, Value
from numberdesk.support.model import Listed
from numberdesk.support.service._desk import HelpDesk

STAFF: tuple[Role, ...] = ("support", "finance", "ops", "owner")
"""Who may be given a ticket."""
NEWS = Literal["a new ticket", "a new message", "reopened"]


async def tell_staff(tx: Tx, desk: HelpDesk, ticket: Listed, news: NEWS, *, key: str) -> None:
    """Mail whoever has the ticket, or all of support, or the owners where there is nobody; and tell the staff's chat.

    Args:
        key: names what happened, so that it is told once.
    """
    notices = [
        Notice(
            "ticket_news", person.email,
            {
                "name": person.name, "ticket": ticket.id, "news": news, "priority": ticket.priority,
                "order": ticket.order_id, "recharge": ticket.recharge_ref,
            },
            f"ticket_news:{ticket.id}:{key}:{person.id}", person.id,
        )
        for person in await _those_to_tell(tx, ticket)
    ]  # fmt: skip
    await notifications.enqueue(tx, desk.vault, notices)
    facts: dict[str, Value] = {
        "Ticket": ticket.id, "Account": ticket.account_id, "Order": ticket.order_id, "Recharge": ticket.recharge_ref,
        "Priority": ticket.priority, "See": f"/admin/tickets/{ticket.id}",
    }  # fmt: skip
    event = StaffEvent("work", f"Ticket: {news}", facts, f"ticket_news:{ticket.id}:{key}")
    await notifications.tell(tx, desk.vault, [event])


async def _those_to_tell(tx: Tx, ticket: Listed) -> Sequence[Recipient]:
    if ticket.assignee_id is not None:
        mine = [person for person in await accounts.staff(tx, STAFF) if person.id == ticket.assignee_id]
        if mine:
            return mine
    return await accounts.staff(tx, ["support"]) or await accounts.staff(tx, ["owner"])


async def tell_customer(tx: Tx, desk: HelpDesk, ticket: Listed, *, key: str) -> None:
    """Tell a customer that there is an answer.

    Args:
        key: names the answer, so that it is told once.
    """
    person = (await accounts.recipients(tx, [ticket.account_id])).get(ticket.account_id)
    if person is None:
        return
    data: dict[str, Value] = {
        "name": person.name, "ticket": ticket.id, "order": ticket.order_id, "recharge": ticket.recharge_ref,
        "is_asked": int(ticket.state == "waiting"),
    }  # fmt: skip
    notice = Notice("ticket_answered", person.email, data, f"ticket_answered:{ticket.id}:{key}", person.id)
    await notifications.enqueue(tx, desk.vault, [notice])
