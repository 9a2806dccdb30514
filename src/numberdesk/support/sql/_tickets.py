"""Statements on tickets. Whoever acts for a customer names the account: what is another's is not there."""

from dataclasses import dataclass
from datetime import datetime

from numberdesk.base.db import Tx, many, maybe, one, run, value
from numberdesk.support.model import EndedBy, Listed, Priority, Ticket, TicketId, TicketState
from numberdesk.wallet.model import AccountId


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which tickets a list is of; None: whatever it is."""

    account_id: AccountId | None = None
    state: TicketState | None = None
    assignee_id: AccountId | None = None
    is_unassigned: bool = False
    order_id: int | None = None
    recharge_ref: str | None = None
    ticket_id: TicketId | None = None


async def lock_account(tx: Tx, account_id: AccountId) -> None:
    """Let one opening or message of a customer's wait for the other, until the end of the transaction."""
    await value(tx, "SELECT pg_advisory_xact_lock(hashtextextended('tickets', $1))", account_id)


async def get_clock(tx: Tx) -> datetime:
    """Return the database's clock."""
    now: datetime = await value(tx, "SELECT clock_timestamp()")
    return now


async def has_order(tx: Tx, account_id: AccountId, order_id: int) -> bool:
    """Tell whether an order is this account's."""
    query = "SELECT EXISTS (SELECT FROM orders WHERE id = $1 AND account_id = $2)"
    return bool(await value(tx, query, order_id, account_id))


async def find_recharge(tx: Tx, account_id: AccountId, ref: str) -> int | None:
    """Return the id of a recharge of this account."""
    found: int | None = await value(tx, "SELECT id FROM recharges WHERE ref = $1 AND account_id = $2", ref, account_id)
    return found


async def find_live(tx: Tx, *, order_id: int | None, recharge_id: int | None) -> TicketId | None:
    """Return the ticket about an order or a recharge that is neither solved nor closed."""
    found: int | None = await value(
        tx,
        """
        SELECT id FROM tickets
        WHERE ended_at IS NULL AND (order_id = $1::bigint OR recharge_id = $2::bigint)
        """,
        order_id,
        recharge_id,
    )
    return None if found is None else TicketId(found)


async def count_live(tx: Tx, account_id: AccountId) -> int:
    """Return how many tickets of an account are neither solved nor closed."""
    return int(await value(tx, "SELECT count(*) FROM tickets WHERE account_id = $1 AND ended_at IS NULL", account_id))


async def next_ticket_id(tx: Tx) -> TicketId:
    """Take the id of a new ticket: its words are sealed to it."""
    return TicketId(await value(tx, "SELECT nextval(pg_get_serial_sequence('tickets', 'id'))"))


async def insert_ticket(
    tx: Tx, ticket_id: TicketId, account_id: AccountId, *, order_id: int | None, recharge_id: int | None, subject: bytes
) -> Ticket:
    """Write an open ticket without messages."""
    return await one(
        tx,
        Ticket,
        """
        INSERT INTO tickets (id, account_id, order_id, recharge_id, subject) OVERRIDING SYSTEM VALUE
        VALUES ($1, $2, $3, $4, $5) RETURNING *
        """,
        ticket_id,
        account_id,
        order_id,
        recharge_id,
        subject,
    )


async def lock_ticket(tx: Tx, ticket_id: TicketId, account_id: AccountId | None) -> Ticket | None:
    """Return a ticket of this account, or of anybody for staff, locked until the end of the transaction."""
    query = "SELECT * FROM tickets WHERE id = $1 AND ($2::bigint IS NULL OR account_id = $2) FOR UPDATE"
    return await maybe(tx, Ticket, query, ticket_id, account_id)


async def find_ticket(tx: Tx, ticket_id: TicketId, account_id: AccountId | None) -> Listed | None:
    """Return a ticket of this account, or of anybody for staff."""
    query = "SELECT * FROM listed_tickets WHERE id = $1 AND ($2::bigint IS NULL OR account_id = $2)"
    return await maybe(tx, Listed, query, ticket_id, account_id)


async def list_tickets(tx: Tx, wanted: Wanted, *, before: int | None, limit: int) -> list[Listed]:
    """Return tickets, newest first."""
    return await many(
        tx,
        Listed,
        """
        SELECT * FROM listed_tickets
        WHERE ($1::bigint IS NULL OR account_id = $1) AND ($2::text IS NULL OR state = $2)
          AND ($3::bigint IS NULL OR assignee_id = $3) AND (NOT $4 OR assignee_id IS NULL)
          AND ($5::bigint IS NULL OR order_id = $5)
          AND ($6::text IS NULL OR recharge_id = (SELECT id FROM recharges WHERE ref = $6))
          AND ($7::bigint IS NULL OR id < $7) AND ($9::bigint IS NULL OR id = $9)
        ORDER BY id DESC LIMIT $8
        """,
        wanted.account_id,
        wanted.state,
        wanted.assignee_id,
        wanted.is_unassigned,
        wanted.order_id,
        wanted.recharge_ref,
        before,
        limit,
        wanted.ticket_id,
    )


async def set_state(tx: Tx, ticket_id: TicketId, state: TicketState, *, by: EndedBy | None) -> None:
    """anything -> another state, on a row that is locked.

    Args:
        by: who ended it; None for states that are no end.
    """
    await run(
        tx,
        """
        UPDATE tickets
        SET state = $2, version = version + 1, active_at = clock_timestamp(),
            ended_at = CASE WHEN $3::text IS NOT NULL THEN clock_timestamp() END, ended_by = $3
        WHERE id = $1
        """,
        ticket_id,
        state,
        by,
    )


async def set_spoken(tx: Tx, ticket_id: TicketId, state: TicketState, *, is_staff: bool) -> int:
    """Make room for a message, on a row that is locked; returns its ordinal. Staff who answer have seen all."""
    ordinal: int = await value(
        tx,
        """
        UPDATE tickets
        SET last_ordinal = last_ordinal + 1, active_at = clock_timestamp(), state = $2,
            version = version + (state <> $2)::int,
            staff_seen = CASE WHEN $3 THEN last_ordinal + 1 ELSE staff_seen END,
            ended_at = CASE WHEN $2 = 'solved' THEN clock_timestamp() END,
            ended_by = CASE WHEN $2 = 'solved' THEN 'staff' END
        WHERE id = $1 RETURNING last_ordinal
        """,
        ticket_id,
        state,
        is_staff,
    )
    return ordinal


async def set_noted(tx: Tx, ticket_id: TicketId) -> int:
    """Make room for a note, on a row that is locked; returns its ordinal. Nothing that a customer sees changes."""
    query = "UPDATE tickets SET last_ordinal = last_ordinal + 1 WHERE id = $1 RETURNING last_ordinal"
    ordinal: int = await value(tx, query, ticket_id)
    return ordinal


async def set_assigned(tx: Tx, ticket_id: TicketId, assignee_id: AccountId | None) -> None:
    """Give a ticket, whose row is locked, to somebody of the staff, or to nobody."""
    query = "UPDATE tickets SET assignee_id = $2, version = version + 1 WHERE id = $1"
    await run(tx, query, ticket_id, assignee_id)


async def set_priority(tx: Tx, ticket_id: TicketId, priority: Priority) -> None:
    """Change how soon a ticket, whose row is locked, should be looked at."""
    await run(tx, "UPDATE tickets SET priority = $2, version = version + 1 WHERE id = $1", ticket_id, priority)


async def set_seen_by_customer(tx: Tx, ticket_id: TicketId, ordinal: int) -> None:
    """Note that its customer has seen a ticket's messages up to one."""
    query = "UPDATE tickets SET customer_seen = $2 WHERE id = $1 AND customer_seen < $2"
    await run(tx, query, ticket_id, ordinal)


async def set_seen_by_staff(tx: Tx, ticket_id: TicketId, ordinal: int) -> None:
    """Note that staff have seen a ticket's messages up to one."""
    query = "UPDATE tickets SET staff_seen = $2 WHERE id = $1 AND staff_seen < $2"
    await run(tx, query, ticket_id, ordinal)
