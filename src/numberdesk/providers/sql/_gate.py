"""Every statement on the health of providers, on what came of calls to them, and on what was said."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from numberdesk.base.db import Tx, many, maybe, rows, run, value
from numberdesk.providers.model import BreakerState, Forced, ProviderId

UNKNOWN_WORDS_MAX = 1000
"""Unknown words that are kept of one provider."""


@dataclass(frozen=True, slots=True)
class Health:
    """A row of `provider_health`: while `forced` is set, it counts in place of `state`.

    `openings` says how many times in a row it opened. `is_rested`: closed for so long that they count no more.
    """

    provider_id: ProviderId
    provider: str
    state: BreakerState
    forced: Forced | None
    forced_reason: str
    reason: str
    openings: int
    opened_at: datetime | None
    open_until: datetime | None
    changed_at: datetime
    generation: int
    is_rested: bool


@dataclass(frozen=True, slots=True)
class Calls:
    """What came of calls within an hour; a row of `provider_calls`."""

    provider_id: ProviderId
    hour: datetime
    action: str
    outcome: str
    calls: int
    took_ms: int


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said on the wire, without keys and codes. `status` is None when no whole answer came."""

    provider_id: ProviderId
    action: str
    subject: str
    asked: str
    status: int | None
    answer: str
    took_ms: int
    at: datetime


class Said(NamedTuple):
    """A transcript to be stored; `at` is a moment on this process's count of seconds."""

    provider_id: ProviderId
    action: str
    subject: str
    asked: str
    status: int | None
    answer: str
    took_ms: int
    at: float


# Health.


async def insert_health(tx: Tx, *, provider_id: ProviderId) -> None:
    """Insert a closed breaker where there is none."""
    statement = "INSERT INTO provider_health (provider_id) VALUES ($1) ON CONFLICT DO NOTHING"
    await run(tx, statement, provider_id)


async def list_health(tx: Tx, *, rested_seconds: float) -> list[Health]:
    """Return the health of every provider."""
    query = """
        SELECT health.*, name AS provider,
               state = 'closed' AND changed_at <= clock_timestamp() - make_interval(secs => $1) AS is_rested
        FROM provider_health AS health JOIN (SELECT id, name FROM providers) AS named ON id = provider_id
        ORDER BY provider_id
        """
    return await many(tx, Health, query, rested_seconds)


async def lock_health(tx: Tx, *, provider_id: ProviderId, rested_seconds: float) -> Health | None:
    """Return the health of a provider, which nobody else changes until the transaction ends."""
    query = """
        SELECT health.*, name AS provider,
               state = 'closed' AND changed_at <= clock_timestamp() - make_interval(secs => $2) AS is_rested
        FROM provider_health AS health JOIN (SELECT id, name FROM providers) AS named ON id = provider_id
        WHERE provider_id = $1 FOR NO KEY UPDATE OF health
        """
    return await maybe(tx, Health, query, provider_id, rested_seconds)


async def set_health(
    tx: Tx,
    *,
    provider_id: ProviderId,
    generation: int,
    state: BreakerState,
    openings: int,
    reason: str,
    seconds: float,
    rested_seconds: float,
) -> Health | None:
    """Move the breaker to a state that is probed after `seconds`; None if another generation stands there."""
    moved = """
        UPDATE provider_health
        SET state = $3, openings = $4, reason = $5, changed_at = clock_timestamp(), generation = generation + 1,
            opened_at = CASE WHEN state = 'closed' THEN clock_timestamp() ELSE opened_at END,
            open_until = CASE WHEN $3 = 'open' THEN clock_timestamp() + make_interval(secs => $6) END,
            probe_at = clock_timestamp() + make_interval(secs => $6)
        WHERE provider_id = $1 AND generation = $2
        """
    if not await run(tx, moved, provider_id, generation, state, openings, reason, seconds):
        return None
    return await lock_health(tx, provider_id=provider_id, rested_seconds=rested_seconds)


async def set_forced(tx: Tx, *, provider_id: ProviderId, forced: Forced | None, reason: str) -> None:
    """Write down what staff decided; forced to be closed, it is closed when they take it back."""
    await run(
        tx,
        """
        UPDATE provider_health
        SET forced = $2, forced_reason = $3, generation = generation + 1, changed_at = clock_timestamp(),
            state = CASE WHEN $2 = 'closed' THEN 'closed' ELSE state END,
            openings = CASE WHEN $2 = 'closed' THEN 0 ELSE openings END,
            reason = CASE WHEN $2 = 'closed' THEN '' ELSE reason END,
            open_until = CASE WHEN $2 = 'closed' THEN NULL ELSE open_until END
        WHERE provider_id = $1
        """,
        provider_id,
        forced,
        reason,
    )


async def lease_probes(tx: Tx, *, margin_seconds: float) -> list[tuple[ProviderId, int]]:
    """Take the probes that are due, each for as long as a call to its provider may last: (provider, generation)."""
    found = await rows(
        tx,
        """
        UPDATE provider_health
        SET probe_at = clock_timestamp() + make_interval(secs => $1 + deadline_ms / 1000.0)
        FROM providers
        WHERE id = provider_id AND state <> 'closed' AND forced IS NULL AND probe_at <= clock_timestamp()
        RETURNING provider_id, generation
        """,
        margin_seconds,
    )
    return [(ProviderId(row[0]), row[1]) for row in found]


# Counts.


async def add_calls(tx: Tx, counts: Sequence[tuple[ProviderId, str, str, int, int]]) -> None:
    """Add to the counts of this hour: (provider, action, outcome, calls, took_ms)."""
    await run(
        tx,
        """
        INSERT INTO provider_calls AS old (provider_id, hour, action, outcome, calls, took_ms)
        SELECT provider_id, date_trunc('hour', clock_timestamp(), 'UTC'), action, outcome, calls, took_ms
        FROM unnest($1::smallint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
             AS new (provider_id, action, outcome, calls, took_ms)
        WHERE EXISTS (SELECT FROM providers WHERE id = provider_id)
        ORDER BY provider_id, action, outcome
        ON CONFLICT (provider_id, hour, action, outcome)
        DO UPDATE SET calls = old.calls + excluded.calls, took_ms = old.took_ms + excluded.took_ms
        """,
        *([row[place] for row in counts] for place in range(5)),
    )


async def list_calls(tx: Tx, *, provider_id: ProviderId | None, back: timedelta) -> list[Calls]:
    """Return the counts of all hours since some time ago, the newest first."""
    query = """
        SELECT * FROM provider_calls
        WHERE ($1::smallint IS NULL OR provider_id = $1)
          AND hour >= date_trunc('hour', clock_timestamp() - $2::interval, 'UTC')
        ORDER BY hour DESC, provider_id, action, outcome
        """
    return await many(tx, Calls, query, provider_id, back)


async def note_word(tx: Tx, *, provider_id: ProviderId, word: str, action: str, times: int) -> bool:
    """Write down an unknown word; True if nobody was told of it in the last day. It counts as told then.

    What is new beyond `UNKNOWN_WORDS_MAX` of a provider is left out: a server that makes words up fills no table.
    """
    statement = """
        INSERT INTO provider_unknown_words AS old (provider_id, word, action, times, first_at, seen_at, told_at)
        SELECT $1, $2, $3, $4, now, now, now FROM clock_timestamp() AS now
        WHERE EXISTS (SELECT FROM provider_unknown_words WHERE provider_id = $1 AND word = $2)
              OR (SELECT count(*) FROM provider_unknown_words WHERE provider_id = $1) < $5
        ON CONFLICT (provider_id, word) DO UPDATE
        SET times = old.times + excluded.times, action = excluded.action, seen_at = excluded.seen_at,
            told_at = CASE WHEN old.told_at <= excluded.seen_at - interval '1 day' THEN excluded.seen_at
                           ELSE old.told_at END
        RETURNING told_at = seen_at
        """
    return bool(await value(tx, statement, provider_id, word, action, times, UNKNOWN_WORDS_MAX))


async def list_unheard(tx: Tx) -> list[ProviderId]:
    """Return the providers with an open alert on an unknown word that said none for a day."""
    found = await rows(
        tx,
        """
        SELECT provider_id FROM provider_alerts AS alert
        WHERE kind = 'unknown_word' AND closed_at IS NULL AND NOT EXISTS (
            SELECT FROM provider_unknown_words AS word
            WHERE word.provider_id = alert.provider_id AND seen_at > clock_timestamp() - interval '1 day')
        ORDER BY provider_id
        """,
    )
    return [ProviderId(row[0]) for row in found]


# Transcripts.


async def insert_transcripts(tx: Tx, said: Sequence[Said], *, now: float) -> None:
    """Insert what was said until `now`."""
    await run(
        tx,
        """
        INSERT INTO transcripts (provider_id, action, subject, asked, status, answer, took_ms, at)
        SELECT provider_id, action, subject, asked, status, answer, took_ms,
               clock_timestamp() - make_interval(secs => $9::float8 - said_at)
        FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[], $5::smallint[], $6::text[], $7::int[],
                    $8::float8[]) AS new (provider_id, action, subject, asked, status, answer, took_ms, said_at)
        """,
        *map(list, zip(*said, strict=True)),
        now,
    )


async def list_transcripts(tx: Tx, *, provider_id: ProviderId, subject: str | None, limit: int) -> list[Transcript]:
    """Return what was said with a provider, or about one subject only; the newest first."""
    if subject is None:
        query = "SELECT * FROM transcripts WHERE provider_id = $1 ORDER BY at DESC LIMIT $2"
        return await many(tx, Transcript, query, provider_id, limit)
    return await many(
        tx,
        Transcript,
        "SELECT * FROM transcripts WHERE provider_id = $1 AND subject = $2 ORDER BY at DESC LIMIT $3",
        provider_id,
        subject,
        limit,
    )


async def delete_old_transcripts(tx: Tx, *, days: int, limit: int) -> int:
    """Delete what is older than so many days, the oldest first and about `limit` of each provider.

    The moment is read once: the index does not find what is older than a clock that goes on.
    """
    return await run(
        tx,
        """
        DELETE FROM transcripts USING (
            SELECT id, (SELECT max(at) FROM (
                SELECT at FROM transcripts
                WHERE provider_id = id AND at < (SELECT clock_timestamp() - make_interval(days => $1))
                ORDER BY at LIMIT $2) AS oldest) AS until
            FROM providers) AS due
        WHERE provider_id = due.id AND at <= due.until
        """,
        days,
        limit,
    )


async def delete_old_calls(tx: Tx, *, days: int, limit: int) -> int:
    """Delete counts, and unknown words nobody said any more, older than so many days."""
    counts = await run(
        tx,
        """
        DELETE FROM provider_calls WHERE (provider_id, hour, action, outcome) IN (
            SELECT provider_id, hour, action, outcome FROM provider_calls
            WHERE hour < clock_timestamp() - make_interval(days => $1) LIMIT $2)
        """,
        days,
        limit,
    )
    words = "DELETE FROM provider_unknown_words WHERE seen_at < clock_timestamp() - make_interval(days => $1)"
    return counts + await run(tx, words, days)
