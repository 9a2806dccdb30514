"""Every statement on the tables of the maintenance slice."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from numberdesk.base.db import Tx, many, maybe, one, run
from numberdesk.maintenance.model import Change, NewWindow, Window, WindowId


@dataclass(frozen=True, slots=True)
class Stand:
    """How many changes there were, and what time the database has."""

    version: int
    now: datetime


async def get_stand(tx: Tx) -> Stand:
    """Return the number of the last change and the time."""
    return await one(tx, Stand, "SELECT version, clock_timestamp() AS now FROM maintenance_version")


async def share_stand(tx: Tx) -> Stand:
    """The same, and let no change be committed before this transaction."""
    return await one(tx, Stand, "SELECT version, clock_timestamp() AS now FROM maintenance_version FOR SHARE")


async def take_stand(tx: Tx) -> Stand:
    """Count a change. Until the end of the transaction nobody else changes or relies on the windows."""
    return await one(
        tx, Stand, "UPDATE maintenance_version SET version = version + 1 RETURNING version, clock_timestamp() AS now"
    )


async def list_current(tx: Tx) -> list[Window]:
    """Return the windows that run or are still to come, those that begin first before others."""
    return await many(
        tx,
        Window,
        """
        SELECT * FROM maintenance_windows
        WHERE end_told_at IS NULL AND cancelled_at IS NULL AND (ends_at IS NULL OR ends_at > clock_timestamp())
        ORDER BY starts_at, id
        """,
    )


async def list_windows(tx: Tx, *, before: int | None, limit: int) -> list[Window]:
    """Return the newest windows, before an id."""
    query = "SELECT * FROM maintenance_windows WHERE $1::bigint IS NULL OR id < $1 ORDER BY id DESC LIMIT $2"
    return await many(tx, Window, query, before, limit)


async def lock_window(tx: Tx, window_id: WindowId) -> Window | None:
    """Return a window, locked."""
    return await maybe(tx, Window, "SELECT * FROM maintenance_windows WHERE id = $1 FOR UPDATE", window_id)


async def find_overlapping(
    tx: Tx, like: NewWindow | Window, *, starts_at: datetime, ends_at: datetime | None, other_than: WindowId | None
) -> Window | None:
    """Return another window of the same kind and place that shares a moment with a time, or None."""
    return await maybe(
        tx,
        Window,
        """
        SELECT * FROM maintenance_windows
        WHERE area = $1 AND target IS NOT DISTINCT FROM $2 AND kind = $3 AND cancelled_at IS NULL
          AND id IS DISTINCT FROM $6
          AND tstzrange(starts_at, ends_at) && tstzrange($4, $5)
        ORDER BY id LIMIT 1
        """,
        like.area,
        like.target,
        like.kind,
        starts_at,
        ends_at,
        other_than,
    )


async def insert_window(tx: Tx, new: NewWindow, *, starts_at: datetime) -> Window:
    """Write a window."""
    return await one(
        tx,
        Window,
        """
        INSERT INTO maintenance_windows (area, target, kind, starts_at, ends_at, allowed, message)
        VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING *
        """,
        new.area,
        new.target,
        new.kind,
        starts_at,
        new.ends_at,
        list(new.allowed),
        new.message,
    )


async def set_changed(tx: Tx, window_id: WindowId, change: Change) -> Window:
    """Change a window that is locked."""
    return await one(
        tx,
        Window,
        """
        UPDATE maintenance_windows SET message = $2, ends_at = $3, allowed = $4, version = version + 1
        WHERE id = $1 RETURNING *
        """,
        window_id,
        change.message,
        change.ends_at,
        list(change.allowed),
    )


async def set_ended(tx: Tx, window_id: WindowId, *, at: datetime) -> Window:
    """End a window that is locked: one that has not begun is called off."""
    return await one(
        tx,
        Window,
        """
        UPDATE maintenance_windows
        SET ends_at = CASE WHEN starts_at < $2 THEN $2 ELSE ends_at END,
            cancelled_at = CASE WHEN starts_at < $2 THEN NULL ELSE $2 END,
            version = version + 1
        WHERE id = $1 RETURNING *
        """,
        window_id,
        at,
    )


async def lease_begun(tx: Tx, *, limit: int) -> list[Window]:
    """Lock windows that have begun, also those that are over meanwhile, of whose start nobody was told."""
    return await many(
        tx,
        Window,
        """
        SELECT * FROM maintenance_windows
        WHERE end_told_at IS NULL AND cancelled_at IS NULL AND start_told_at IS NULL
          AND starts_at <= (SELECT clock_timestamp())
        ORDER BY starts_at LIMIT $1 FOR UPDATE SKIP LOCKED
        """,
        limit,
    )


async def lease_over(tx: Tx, *, limit: int) -> list[Window]:
    """Lock windows that are over, whose start was told and whose end was not."""
    return await many(
        tx,
        Window,
        """
        SELECT * FROM maintenance_windows
        WHERE end_told_at IS NULL AND cancelled_at IS NULL AND start_told_at IS NOT NULL
          AND ends_at <= (SELECT clock_timestamp())
        ORDER BY ends_at LIMIT $1 FOR UPDATE SKIP LOCKED
        """,
        limit,
    )


async def set_start_told(tx: Tx, window_ids: Sequence[WindowId]) -> None:
    """Note that the start of windows is told."""
    query = "UPDATE maintenance_windows SET start_told_at = clock_timestamp() WHERE id = ANY($1::bigint[])"
    await run(tx, query, list(window_ids))


async def set_end_told(tx: Tx, window_ids: Sequence[WindowId]) -> None:
    """Note that the end of windows is told."""
    query = "UPDATE maintenance_windows SET end_told_at = clock_timestamp() WHERE id = ANY($1::bigint[])"
    await run(tx, query, list(window_ids))
