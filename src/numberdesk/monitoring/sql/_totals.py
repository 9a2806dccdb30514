"""Counters of all processes added up, and the processes themselves."""

from collections.abc import Sequence

from numberdesk.base.db import Tx, columns, rows, run
from numberdesk.monitoring.model import Count, Pulse

__all__ = ["add_totals", "delete_old_totals", "delete_process", "list_totals", "set_process"]


async def add_totals(tx: Tx, counts: Sequence[Count]) -> None:
    """Add what one process counted; rows are taken in one order, so that two processes never wait for each other."""
    await run(
        tx,
        """
        INSERT INTO metric_totals AS total (sample, labels, value)
        SELECT * FROM unnest($1::text[], $2::text[], $3::float8[]) AS new (sample, labels, value)
        ORDER BY sample, labels
        ON CONFLICT (sample, labels)
        DO UPDATE SET value = total.value + excluded.value, changed_at = clock_timestamp()
        """,
        *columns(counts, "sample", "labels", "value"),
    )


async def list_totals(tx: Tx) -> list[tuple[str, str, float]]:
    """Return every total as (sample, labels, value)."""
    found = await rows(tx, "SELECT sample, labels, value FROM metric_totals")
    return [(sample, labels, value) for sample, labels, value in found]


async def delete_old_totals(tx: Tx, *, days: int) -> int:
    """Delete totals that nobody added to for so long, such as those of a provider that is gone."""
    return await run(
        tx, "DELETE FROM metric_totals WHERE changed_at < (SELECT clock_timestamp() - make_interval(days => $1))", days
    )


async def set_process(tx: Tx, pulse: Pulse) -> None:
    """Say that a process lives, and how it is; processes of which nothing was heard for a day are forgotten."""
    await run(
        tx,
        """
        INSERT INTO processes (id, has_web, has_worker, version, lag_ms, pool_open, pool_busy, pool_max, memory_bytes)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT (id) DO UPDATE SET
            has_web = excluded.has_web, has_worker = excluded.has_worker, lag_ms = excluded.lag_ms,
            pool_open = excluded.pool_open, pool_busy = excluded.pool_busy, memory_bytes = excluded.memory_bytes,
            seen_at = clock_timestamp()
        """,
        pulse.id, pulse.has_web, pulse.has_worker, pulse.version, pulse.lag_ms, pulse.pool_open, pulse.pool_busy,
        pulse.pool_max, pulse.memory_bytes,
    )  # fmt: skip
    await run(tx, "DELETE FROM processes WHERE seen_at < clock_timestamp() - interval '1 day'")


async def delete_process(tx: Tx, process: str) -> None:
    """Forget a process that ends."""
    await run(tx, "DELETE FROM processes WHERE id = $1", process)
