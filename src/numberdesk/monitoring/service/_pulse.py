"""What a process tells of itself every few seconds: that it lives, how late its loop is, and what it counted."""

import asyncio
import resource
import secrets
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from numberdesk import __version__
from numberdesk.base import clock, metrics
from numberdesk.base.db import CommitUnknown, Database
from numberdesk.base.errors import Unavailable
from numberdesk.monitoring import sql
from numberdesk.monitoring.model import Count, Pulse

log = structlog.get_logger()

PULSE_EVERY: Final = 5.0
ALIVE_SECONDS: Final = 30.0
"""A process that was not heard of for so long does not run any more."""
LAG_EVERY: Final = 0.25
TOTAL_DAYS: Final = 90

_told: dict[tuple[str, str], float] = {}
"""What this process has added to the totals so far. Counters are of the process, so this is too."""


@dataclass(slots=True)
class Heart:
    """One process. What it does becomes known as it starts."""

    db: Database
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    has_web: bool = False
    has_worker: bool = False
    lag: float = 0.0
    """The largest delay of the loop since the last pulse. Unit: seconds."""


async def watch_loop(heart: Heart) -> None:
    """Measure for ever how much later than wanted the event loop wakes."""
    while True:
        began = clock.seconds()
        await asyncio.sleep(LAG_EVERY)
        heart.lag = max(heart.lag, clock.seconds() - began - LAG_EVERY)


async def beat(heart: Heart) -> None:
    """Tell that the process lives, and add what it counted since the last time.

    When the database does not take it, it is added later; when that is not known, it is not added twice.
    """
    # Taken before anything is waited for: whoever else tells meanwhile, and the end of the process, find them taken.
    counts = _news()
    _note(counts)
    open_now, busy, allowed = heart.db.occupancy()
    pulse = Pulse(
        heart.id, heart.has_web, heart.has_worker, __version__, round(heart.lag * 1000), open_now, busy, allowed,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )  # fmt: skip
    heart.lag = 0.0
    try:
        async with heart.db.transaction() as tx:
            await sql.set_process(tx, pulse)
            await sql.add_totals(tx, counts)
    except CommitUnknown:
        log.warning("counts_in_doubt", count=len(counts))
    except Unavailable:
        _note([replace(count, value=-count.value) for count in counts])
        raise


async def stop_beating(heart: Heart) -> None:
    """Add the last counts and forget the process, as far as the database takes it."""
    try:
        await beat(heart)
        async with heart.db.statement() as tx:
            await sql.delete_process(tx, heart.id)
    except Unavailable:
        log.warning("last_counts_lost")


async def forget_totals(db: Database) -> int:
    """Delete totals that nobody added to for `TOTAL_DAYS`; returns how many."""
    async with db.statement() as tx:
        return await sql.delete_old_totals(tx, days=TOTAL_DAYS)


def _news() -> list[Count]:
    """Return by how much each counter grew; one that is new is told even with 0, so that it can be seen."""
    news = []
    for family in metrics.families():
        for sample in family.samples:
            if sample.name.endswith("_created"):
                continue
            key = sample.name, metrics.labels_of(sample.labels)
            before = _told.get(key)
            if before is None or sample.value != before:
                news.append(Count(*key, sample.value - (before or 0.0)))
    return news


def _note(counts: list[Count]) -> None:
    for count in counts:
        key = count.sample, count.labels
        _told[key] = _told.get(key, 0.0) + count.value
