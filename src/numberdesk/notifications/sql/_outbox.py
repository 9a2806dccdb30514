"""Every statement on `outbox`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from numberdesk.base.db import Tx, columns, many, maybe, run, value
from numberdesk.notifications.model import Channel, DeadLetter, OutboxState


@dataclass(frozen=True, slots=True)
class Letter:
    """A row of `outbox` that waits; `attempts` counts the one it was leased for."""

    id: int
    template: str
    dedupe_key: str
    payload: bytes = field(repr=False)
    attempts: int
    account_id: int | None
    under_way: bool
    """It was handed over before and nobody knows whether it arrived."""


@dataclass(frozen=True, slots=True)
class NewLetter:
    """A row of `outbox` to be written."""

    template: str
    dedupe_key: str
    account_id: int | None
    payload: bytes = field(repr=False)
    channel: Channel = "email"


async def insert_letters(tx: Tx, letters: Sequence[NewLetter]) -> int:
    """Write letters whose key is new, in the order of keys so that two writers cannot lock each other out."""
    return await run(
        tx,
        """
        INSERT INTO outbox (channel, template, dedupe_key, account_id, payload)
        SELECT channel, template, dedupe_key, account_id, payload
        FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bytea[])
             AS new (channel, template, dedupe_key, account_id, payload)
        ORDER BY dedupe_key
        ON CONFLICT (dedupe_key) DO NOTHING
        """,
        *columns(letters, "channel", "template", "dedupe_key", "account_id", "payload"),
    )


async def lease_due(
    tx: Tx, channel: Channel, *, lease: timedelta, limit: int, is_for_staff: bool | None = None
) -> list[Letter]:
    """Take letters that are due, and push them on so that nobody else takes them before the lease ends.

    Args:
        is_for_staff: only those for a chat of the staff, or only those of accounts; all if left out.
    """
    return await many(
        tx,
        Letter,
        """
        WITH due AS (
            SELECT id, under_way FROM outbox
            WHERE state = 'waiting' AND channel = $1 AND due_at <= clock_timestamp()
                AND ($4::boolean IS NULL OR (account_id IS NULL) = $4)
            ORDER BY due_at, id LIMIT $3 FOR UPDATE SKIP LOCKED
        ), leased AS (
            UPDATE outbox SET due_at = clock_timestamp() + $2::interval, attempts = attempts + 1, under_way = true
            WHERE id = ANY(ARRAY(SELECT id FROM due))
            RETURNING id, template, dedupe_key, payload, attempts, account_id
        )
        SELECT leased.*, due.under_way FROM leased JOIN due USING (id) ORDER BY id
        """,
        channel,
        lease,
        limit,
        is_for_staff,
    )


async def is_due(tx: Tx, channel: Channel) -> bool:
    """Tell whether a channel has a letter that is due."""
    found: bool = await value(
        tx,
        """
        SELECT EXISTS (SELECT FROM outbox WHERE state = 'waiting' AND channel = $1 AND due_at <= clock_timestamp())
        """,
        channel,
    )
    return found


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


async def set_retry(tx: Tx, letter: Letter, *, after: timedelta, problem: str, in_doubt: bool = False) -> bool:
    """waiting -> waiting, due later; False when somebody else has the lease by now.

    Args:
        in_doubt: it may have arrived all the same.
    """
    return bool(
        await run(
            tx,
            """
            UPDATE outbox SET due_at = clock_timestamp() + $3::interval, last_problem = $4, under_way = $5
            WHERE id = $1 AND state = 'waiting' AND attempts = $2
            """,
            letter.id,
            letter.attempts,
            after,
            problem,
            in_doubt,
        )
    )


async def set_failed(tx: Tx, letter: Letter, *, problem: str, keeps_payload: bool, in_doubt: bool = False) -> bool:
    """waiting -> failed; False when somebody else has the lease by now."""
    return bool(
        await run(
            tx,
            """
            UPDATE outbox SET state = 'failed', last_problem = $3, ended_at = clock_timestamp(), under_way = $5,
                payload = CASE WHEN $4 THEN payload END
            WHERE id = $1 AND state = 'waiting' AND attempts = $2
            """,
            letter.id,
            letter.attempts,
            problem,
            keeps_payload,
            in_doubt,
        )
    )


async def set_returned(tx: Tx, letters: Sequence[Letter], *, after: timedelta = timedelta(0)) -> int:
    """waiting -> waiting, due as if never leased: what there was no time to try, or no place."""
    return await run(
        tx,
        """
        UPDATE outbox AS letter
        SET due_at = clock_timestamp() + $3::interval, attempts = letter.attempts - 1, under_way = left_over.under_way
        FROM unnest($1::bigint[], $2::int[], $4::boolean[]) AS left_over (id, attempts, under_way)
        WHERE letter.id = left_over.id AND letter.state = 'waiting' AND letter.attempts = left_over.attempts
        """,
        *columns(letters, "id", "attempts"),
        after,
        *columns(letters, "under_way"),
    )


async def set_all_sent(tx: Tx, letters: Sequence[Letter]) -> int:
    """waiting -> sent, all that one message told of."""
    return await run(
        tx,
        """
        UPDATE outbox SET state = 'sent', payload = NULL, last_problem = NULL, ended_at = clock_timestamp()
        WHERE id = ANY($1::bigint[]) AND state = 'waiting'
        """,
        [letter.id for letter in letters],
    )


async def list_sealed(tx: Tx, *, after_id: int, limit: int) -> list[Letter]:
    """Return letters that have a payload, by id."""
    return await many(
        tx, Letter, "SELECT * FROM outbox WHERE payload IS NOT NULL AND id > $1 ORDER BY id LIMIT $2", after_id, limit
    )


async def set_payloads(tx: Tx, letters: Sequence[Letter], payloads: Sequence[bytes]) -> int:
    """Seal letters anew; those that were sent meanwhile stay empty."""
    return await run(
        tx,
        """
        UPDATE outbox AS letter SET payload = resealed.payload
        FROM unnest($1::bigint[], $2::bytea[]) AS resealed (id, payload)
        WHERE letter.id = resealed.id AND letter.payload IS NOT NULL
        """,
        *columns(letters, "id"),
        payloads,
    )


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


async def list_letters(
    tx: Tx, *, state: OutboxState, channel: Channel | None, before: int | None, limit: int
) -> list[DeadLetter]:
    """Return letters in a state, newest first, without what they say."""
    return await many(
        tx,
        DeadLetter,
        """
        SELECT *, payload IS NOT NULL AS can_retry FROM outbox
        WHERE state = $1 AND ($2::text IS NULL OR channel = $2) AND ($3::bigint IS NULL OR id < $3)
        ORDER BY id DESC LIMIT $4
        """,
        state,
        channel,
        before,
        limit,
    )


async def find_letter(tx: Tx, letter_id: int) -> DeadLetter | None:
    """Return one letter, without what it says, and lock it."""
    return await maybe(
        tx,
        DeadLetter,
        "SELECT *, payload IS NOT NULL AS can_retry FROM outbox WHERE id = $1 FOR UPDATE",
        letter_id,
    )


async def set_again(tx: Tx, letter_id: int) -> bool:
    """failed -> waiting, due at once and with all attempts; False when it was not failed, or has nothing to say."""
    return bool(
        await run(
            tx,
            """
            UPDATE outbox SET state = 'waiting', due_at = clock_timestamp(), attempts = 0, ended_at = NULL
            WHERE id = $1 AND state = 'failed' AND payload IS NOT NULL
            """,
            letter_id,
        )
    )


async def set_all_again(tx: Tx, channel: Channel | None) -> int:
    """failed -> waiting, all that have something to say."""
    return await run(
        tx,
        """
        UPDATE outbox SET state = 'waiting', due_at = clock_timestamp(), attempts = 0, ended_at = NULL
        WHERE state = 'failed' AND payload IS NOT NULL AND ($1::text IS NULL OR channel = $1)
        """,
        channel,
    )


async def set_dropped(tx: Tx, letter_id: int) -> bool:
    """failed or waiting -> dropped; False when it had ended otherwise."""
    return bool(
        await run(
            tx,
            """
            UPDATE outbox SET state = 'dropped', payload = NULL, ended_at = clock_timestamp()
            WHERE id = $1 AND state IN ('failed', 'waiting')
            """,
            letter_id,
        )
    )
