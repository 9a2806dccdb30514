"""Statements that say what is to be counted again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from numberdesk.base.db import Tx, many, one, run, value
from numberdesk.reports.model import Freshness, Span

__all__ = [
    "Due", "Look", "add_days_due", "add_everything_due", "add_touched_due", "begin_look", "claim", "delete_due",
    "get_freshness", "list_due", "lock_mark", "set_looked",
]  # fmt: skip

LOOK_BACK = timedelta(seconds=60)
"""Beside the exact rule: a moment may be read a little before its transaction is known as one that writes."""


@dataclass(frozen=True, slots=True)
class Due:
    """Something to count again."""

    starts_at: datetime
    is_forced: bool


@dataclass(frozen=True, slots=True)
class Look:
    """One look for changes: after `since`, which is None at the first one, and until `until`."""

    since: datetime | None
    until: datetime
    counted_until: datetime | None
    xid: int
    is_settled: bool
    """Whether all has ended that was under way when the mark's `read_until` was read."""


async def claim(tx: Tx) -> bool:
    """Be the only one who counts, until the transaction ends; False if somebody else does just now."""
    await run(tx, "INSERT INTO report_mark DEFAULT VALUES ON CONFLICT (one) DO NOTHING")
    found = await value(tx, "SELECT one FROM report_mark FOR UPDATE SKIP LOCKED")
    return found is not None


async def lock_mark(tx: Tx) -> None:
    """Wait until nobody else counts."""
    await run(tx, "INSERT INTO report_mark DEFAULT VALUES ON CONFLICT (one) DO NOTHING")
    await run(tx, "SELECT one FROM report_mark FOR UPDATE")


async def begin_look(tx: Tx) -> Look:
    """Return what to look for.

    `until` is the begin of this transaction, and its number came later: one with a higher number writes later moments.
    """
    return await one(
        tx,
        Look,
        """
        SELECT counted_until - $1::interval AS since, now() AS until, counted_until,
               pg_current_xact_id()::text::bigint AS xid,
               coalesce(pg_snapshot_xmin(pg_current_snapshot()) >= read_xid, true) AS is_settled
        FROM report_mark
        """,
        LOOK_BACK,
    )


async def set_looked(tx: Tx, look: Look) -> None:
    """Say that all of a look was seen and marked.

    What an earlier look read up to is safe when this one read it again after everything of that time had ended. Until
    then that moment stays the one that is waited for.
    """
    await run(
        tx,
        """
        UPDATE report_mark SET
            looked_at = $2,
            counted_until = CASE WHEN $4 THEN coalesce(read_until, $2::timestamptz - interval '1 hour')
                                 ELSE counted_until END,
            read_until = CASE WHEN $4 THEN $2 ELSE read_until END,
            read_xid = CASE WHEN $4 THEN $3::bigint::text::xid8 ELSE read_xid END
        WHERE counted_until IS NOT DISTINCT FROM $1
        """,
        look.counted_until,
        look.until,
        look.xid,
        look.is_settled,
    )


async def add_touched_due(tx: Tx, since: datetime, until: datetime) -> int:
    """Mark the half hours that orders, postings and receipts of this time belong to; returns how many are new.

    An order that changed touches the half hour it was made in, and each in which its money moved.
    """
    return await run(
        tx,
        """
        WITH changed AS MATERIALIZED (
            SELECT id, created_at FROM orders WHERE changed_at > $1 AND changed_at <= $2
        ), moved AS (
            SELECT posting.at
            FROM changed
            JOIN holds ON holds.order_id = changed.id
            JOIN postings AS posting
                 ON posting.kind IN ('capture', 'void', 'refund') AND posting.cause_type = 'order'
                AND posting.cause_id = holds.order_id || ':' || holds.purpose
        )
        INSERT INTO report_due (span, starts_at)
        SELECT DISTINCT 'slot', date_bin('30 minutes', at, '2000-01-01Z')
        FROM (
            SELECT created_at AS at FROM changed
            UNION ALL SELECT at FROM moved
            UNION ALL SELECT at FROM postings WHERE at > $1 AND at <= $2
            UNION ALL SELECT issued_at FROM receipts WHERE issued_at > $1 AND issued_at <= $2
        ) AS touched
        ON CONFLICT DO NOTHING
        """,
        since,
        until,
    )


async def add_everything_due(tx: Tx) -> int:
    """Mark every half hour since the first order, posting, receipt or count; returns how many are new."""
    return await run(
        tx,
        """
        INSERT INTO report_due (span, starts_at, is_forced)
        SELECT 'slot', starts_at, true
        FROM (
            SELECT least((SELECT min(created_at) FROM (SELECT created_at FROM orders ORDER BY id LIMIT 1000) AS old),
                         (SELECT min(at) FROM (SELECT at FROM postings ORDER BY id LIMIT 1000) AS old),
                         (SELECT min(issued_at) FROM receipts),
                         (SELECT min(starts_at) FROM report_orders), (SELECT min(starts_at) FROM report_money),
                         (SELECT min(starts_at) FROM report_taxes)) AS first,
                   greatest(clock_timestamp(), (SELECT max(starts_at) FROM report_orders),
                            (SELECT max(starts_at) FROM report_money),
                            (SELECT max(starts_at) FROM report_taxes)) AS last
        ) AS ends,
        generate_series(date_bin('30 minutes', first, '2000-01-01Z'), last, '30 minutes') AS starts_at
        WHERE first IS NOT NULL
        ON CONFLICT (span, starts_at) DO UPDATE SET is_forced = true
        """,
    )


async def list_due(tx: Tx, span: Span, limit: int) -> list[Due]:
    """Return what is to be counted again, newest first."""
    return await many(
        tx,
        Due,
        "SELECT starts_at, is_forced FROM report_due WHERE span = $1 ORDER BY starts_at DESC LIMIT $2",
        span,
        limit,
    )


async def add_days_due(tx: Tx, slots: Sequence[datetime]) -> None:
    """Mark the days, of both time zones, in which these half hours are."""
    await run(
        tx,
        """
        INSERT INTO report_due (span, starts_at)
        SELECT DISTINCT span, date_bin('1 day', slot, origin)
        FROM unnest($1::timestamptz[]) AS slot,
             (VALUES ('utc', timestamptz '2000-01-01 00:00Z'), ('ist', timestamptz '2000-01-01 00:00+05:30'))
             AS zone (span, origin)
        ON CONFLICT DO NOTHING
        """,
        slots,
    )


async def delete_due(tx: Tx, span: Span, first: datetime, last: datetime) -> None:
    """Say that these are counted."""
    await run(tx, "DELETE FROM report_due WHERE span = $1 AND starts_at >= $2 AND starts_at <= $3", span, first, last)


async def get_freshness(tx: Tx) -> Freshness:
    """Return how new the rollups are."""
    return await one(
        tx,
        Freshness,
        """
        SELECT (SELECT looked_at FROM report_mark) AS counted_at, (SELECT count(*) FROM report_due) AS waiting
        """,
    )
