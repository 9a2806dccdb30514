"""Statements of the passes, and of a change of keys."""

from dataclasses import dataclass, field
from datetime import timedelta

from numberdesk.base.db import Tx, many, rows, run
from numberdesk.support.model import TicketId


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed column, with what its place is made of; `ordinal` is 0 where there is none."""

    id: int
    ticket_id: int
    ordinal: int
    sealed: bytes = field(repr=False)


async def set_silent_closed(tx: Tx, *, after: timedelta, limit: int) -> int:
    """answered, waiting or solved -> closed, where nobody wrote for so long; returns how many."""
    return await run(
        tx,
        """
        UPDATE tickets
        SET state = 'closed', version = version + 1, ended_at = clock_timestamp(), ended_by = 'silence'
        WHERE id = ANY(ARRAY(
            SELECT id FROM tickets
            WHERE state IN ('answered', 'waiting', 'solved')
              AND active_at <= (SELECT clock_timestamp() - $1::interval)
            ORDER BY active_at LIMIT $2 FOR UPDATE SKIP LOCKED))
        """,
        after,
        limit,
    )


async def lock_old(tx: Tx, *, after: timedelta, limit: int) -> list[TicketId]:
    """Lock tickets that were closed so long ago and still have their words."""
    return [
        TicketId(found)
        for (found,) in await rows(
            tx,
            """
            SELECT id FROM tickets
            WHERE state = 'closed' AND purged_at IS NULL AND ended_at <= (SELECT clock_timestamp() - $1::interval)
            ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED
            """,
            after,
            limit,
        )
    ]


async def set_purged(tx: Tx, ticket_ids: list[TicketId]) -> None:
    """Forget the words and pictures of tickets that are locked."""
    await run(tx, "DELETE FROM ticket_attachments WHERE ticket_id = ANY($1::bigint[])", ticket_ids)
    await run(
        tx,
        "UPDATE ticket_messages SET body = NULL, request_key = NULL WHERE ticket_id = ANY($1::bigint[])",
        ticket_ids,
    )
    await run(
        tx, "UPDATE tickets SET subject = NULL, purged_at = clock_timestamp() WHERE id = ANY($1::bigint[])", ticket_ids
    )


async def list_sealed_subjects(tx: Tx, *, after: int, limit: int) -> list[Sealed]:
    """Return sealed subjects by id, locked."""
    return await many(
        tx,
        Sealed,
        """
        SELECT id, id AS ticket_id, 0 AS ordinal, subject AS sealed FROM tickets
        WHERE id > $1 AND subject IS NOT NULL ORDER BY id LIMIT $2 FOR UPDATE
        """,
        after,
        limit,
    )


async def set_subject(tx: Tx, ticket_id: int, sealed: bytes) -> None:
    """Write a subject that was sealed anew."""
    await run(tx, "UPDATE tickets SET subject = $2 WHERE id = $1", ticket_id, sealed)


async def list_sealed_bodies(tx: Tx, *, after: int, limit: int) -> list[Sealed]:
    """Return sealed bodies by id, locked."""
    return await many(
        tx,
        Sealed,
        """
        SELECT id, ticket_id, ordinal, body AS sealed FROM ticket_messages
        WHERE id > $1 AND body IS NOT NULL ORDER BY id LIMIT $2 FOR UPDATE
        """,
        after,
        limit,
    )


async def set_body(tx: Tx, message_id: int, sealed: bytes) -> None:
    """Write a body that was sealed anew."""
    await run(tx, "UPDATE ticket_messages SET body = $2 WHERE id = $1", message_id, sealed)


async def list_sealed_attachments(tx: Tx, *, after: int, limit: int) -> list[Sealed]:
    """Return sealed pictures by id, locked."""
    return await many(
        tx,
        Sealed,
        """
        SELECT id, ticket_id, ordinal, content AS sealed FROM ticket_attachments
        WHERE id > $1 ORDER BY id LIMIT $2 FOR UPDATE
        """,
        after,
        limit,
    )


async def set_content(tx: Tx, attachment_id: int, sealed: bytes) -> None:
    """Write a picture that was sealed anew."""
    await run(tx, "UPDATE ticket_attachments SET content = $2 WHERE id = $1", attachment_id, sealed)
