"""Every statement on the table of the notifications slice."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from numberdesk.base.db import Tx, columns, many, run, value
from numberdesk.notifications.model import Template


@dataclass(frozen=True, slots=True)
class Letter:
    """A row of `outbox` that waits; `attempts` counts the one it was leased for."""

    id: int
    template: Template
    dedupe_key: str
    payload: bytes = field(repr=False)
    attempts: int


@dataclass(frozen=True, slots=True)
class NewLetter:
    """A row of `outbox` to be written."""

    template: Template
    dedupe_key: str
    account_id: int | None
    payload: bytes = field(repr=False)


async def insert_letters(tx: Tx, letters: Sequence[NewLetter]) -> int:
    """Write letters whose key is new, in the order of keys so that two writers cannot lock each other out."""
    return await run(
        tx,
        """
        INSERT INTO outbox (channel, template, dedupe_key, account_id, payload)
        SELECT 'email', template, dedupe_key, account_id, payload
        FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bytea[])
             AS new (template, dedupe_key, account_id, payload)
        ORDER BY dedupe_key
        ON CONFLICT (dedupe_key) DO NOTHING
        """,
        *columns(letters, "template", "dedupe_key", "account_id", "payload"),
    )


async def lease_due(tx: Tx, *, lease: timedelta, limit: int) -> list[Letter]:
    """Take letters that are due, and push them on so that nobody else takes them before the lease ends."""
    return await many(
        tx,
        Letter,
        """
        WITH leased AS (
            UPDATE outbox SET due_at = clock_timestamp() + $1::interval, attempts = attempts + 1
            WHERE id = ANY(ARRAY(
                SELECT id FROM outbox WHERE state = 'waiting' AND due_at <= clock_timestamp()
                ORDER BY due_at, id LIMIT $2 FOR UPDATE SKIP LOCKED))
            RETURNING *
        )
        SELECT * FROM leased ORDER BY id
        """,
        lease,
        limit,
    )


async def set_sent(tx: Tx, letter_id: int) -> bool:
    """waiting -> sent; False when it was settled before. What was sent is sent, whoever has the lease by now."""
    return bool(
        await run(
            tx,
            """
            UPDATE outbox SET state = 'sent', payload = NULL, last_problem = NULL, ended_at = clock_timestamp()
            WHERE id = $1 AND state = 'waiting'
            """,
            letter_id,
        )
    )


async def set_retry(tx: Tx, letter: Letter, *, after: timedelta, problem: str) -> bool:
    """waiting -> waiting, due later; False when somebody else has the lease by now."""
    return bool(
        await run(
            tx,
            """
            UPDATE outbox SET due_at = clock_timestamp() + $3::interval, last_problem = $4
            WHERE id = $1 AND state = 'waiting' AND attempts = $2
            """,
            letter.id,
            letter.attempts,
            after,
            problem,
        )
    )


async def set_failed(tx: Tx, letter: Letter, *, problem: str) -> bool:
    """waiting -> failed; False when somebody else has the lease by now."""
    return bool(
        await run(
            tx,
            """
            UPDATE outbox SET state = 'failed', payload = NULL, last_problem = $3, ended_at = clock_timestamp()
            WHERE id = $1 AND state = 'waiting' AND attempts = $2
            """,
            letter.id,
            letter.attempts,
            problem,
        )
    )


async def set_returned(tx: Tx, letters: Sequence[Letter]) -> int:
    """waiting -> waiting, due at once and as if never leased: what there was no time to try."""
    return await run(
        tx,
        """
        UPDATE outbox AS letter SET due_at = clock_timestamp(), attempts = letter.attempts - 1
        FROM unnest($1::bigint[], $2::int[]) AS left_over (id, attempts)
        WHERE letter.id = left_over.id AND letter.state = 'waiting' AND letter.attempts = left_over.attempts
        """,
        *columns(letters, "id", "attempts"),
    )


async def list_waiting(tx: Tx, *, after_id: int, limit: int) -> list[Letter]:
    """Return letters that wait, by id."""
    return await many(
        tx,
        Letter,
        "SELECT * FROM outbox WHERE state = 'waiting' AND id > $1 ORDER BY id LIMIT $2",
        after_id,
        limit,
    )


async def set_payloads(tx: Tx, letters: Sequence[Letter], payloads: Sequence[bytes]) -> int:
    """waiting -> waiting, sealed anew; letters that were sent meanwhile stay empty."""
    return await run(
        tx,
        """
        UPDATE outbox AS letter SET payload = resealed.payload
        FROM unnest($1::bigint[], $2::bytea[]) AS resealed (id, payload)
        WHERE letter.id = resealed.id AND letter.state = 'waiting'
        """,
        *columns(letters, "id"),
        payloads,
    )


async def find_oldest_waiting(tx: Tx) -> timedelta | None:
    """Return the age of the oldest letter that waits."""
    found: timedelta | None = await value(
        tx, "SELECT clock_timestamp() - min(created_at) FROM outbox WHERE state = 'waiting'"
    )
    return found


async def delete_ended(tx: Tx, *, keep: timedelta, limit: int) -> int:
    """Forget letters that were sent, or given up, long ago; returns how many went."""
    return await run(
        tx,
        """
        DELETE FROM outbox WHERE id IN (
            SELECT id FROM outbox WHERE state <> 'waiting' AND ended_at < clock_timestamp() - $1::interval
            ORDER BY ended_at LIMIT $2)
        """,
        keep,
        limit,
    )
