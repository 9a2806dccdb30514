"""Every statement on `error_alerts`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from numberdesk.base.db import Tx, columns, many, run


@dataclass(frozen=True, slots=True)
class Seen:
    """An error that happened some times."""

    fingerprint: str
    happened: str
    place: str
    count: int


@dataclass(frozen=True, slots=True)
class Untold(Seen):
    """An error of which the staff do not know all; `fresh` is how often it happened since they were told."""

    fresh: int


async def upsert_errors(tx: Tx, seen: Sequence[Seen]) -> int:
    """Count errors, in the order of fingerprints so that two processes cannot lock each other out."""
    return await run(
        tx,
        """
        INSERT INTO error_alerts AS known (fingerprint, happened, place, count)
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) ORDER BY 1
        ON CONFLICT (fingerprint) DO UPDATE SET count = known.count + excluded.count, last_at = clock_timestamp()
        """,
        *columns(seen, "fingerprint", "happened", "place", "count"),
    )


async def lease_untold(tx: Tx, *, quiet: timedelta, limit: int) -> list[Untold]:
    """Take what happened and was not told within `quiet`; noted as told with this transaction."""
    return await many(
        tx,
        Untold,
        """
        WITH due AS (
            SELECT fingerprint, count - told_count AS fresh FROM error_alerts
            WHERE count > told_count AND (told_at IS NULL OR told_at < clock_timestamp() - $1::interval)
            ORDER BY last_at LIMIT $2 FOR UPDATE SKIP LOCKED
        )
        UPDATE error_alerts AS known SET told_count = known.count, told_at = clock_timestamp()
        FROM due WHERE known.fingerprint = due.fingerprint
        RETURNING known.fingerprint, known.happened, known.place, known.count, due.fresh
        """,
        quiet,
        limit,
    )


async def delete_old_errors(tx: Tx, *, keep: timedelta, limit: int) -> int:
    """Forget errors that did not happen for long."""
    return await run(
        tx,
        """
        DELETE FROM error_alerts WHERE fingerprint IN (
            SELECT fingerprint FROM error_alerts WHERE last_at < clock_timestamp() - $1::interval LIMIT $2)
        """,
        keep,
        limit,
    )
