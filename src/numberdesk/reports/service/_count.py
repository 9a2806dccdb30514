"""Counting: what has changed is found, its half hours are counted again, and the days they are in are added up again.

Each step is one transaction that holds the mark, so a killed process loses nothing and two never count at once. Found
and noted are one transaction; counted and crossed off are another. A change is found by its time, and read again until
every transaction that was under way at that time has ended, however long that takes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from numberdesk.base.db import Database, Tx, Undone
from numberdesk.catalogue.service import WAIT_BOUNDS_MS
from numberdesk.reports import sql
from numberdesk.reports.model import OrderSpan, Span
from numberdesk.reports.sql import Due, Look

SLOT = timedelta(minutes=30)
DAY = timedelta(days=1)
WINDOW = timedelta(hours=1)
"""After a long pause, changes are looked for in steps of so much."""
DAYS: dict[Span, OrderSpan] = {"utc": "utc_sums", "ist": "ist_sums"}
"""The spans that are days, and their sums."""
RUN_MAX = 48
"""Half hours that are counted in one transaction; fewer where that takes too long."""
PAUSE = 0.5


async def count(db: Database, *, on_step: Callable[[int], None] | None = None) -> int:
    """Bring the rollups up to date; returns how many half hours and days were counted again.

    Returns at once if somebody else counts.

    Args:
        on_step: told after each step how many half hours and days are left.
    """
    if not await _find(db):
        return 0
    done = 0
    for step in (_count_slots, _add_up_days):
        while counted := await step(db):
            done += counted
            if on_step is not None:
                async with db.statement() as tx:
                    on_step((await sql.get_freshness(tx)).waiting)
    return done


async def rebuild(db: Database, *, on_step: Callable[[int], None] | None = None) -> int:
    """Count everything again, whatever the rollups say; returns how many half hours and days that were.

    Meanwhile reports are answered as before, half hour after half hour from the new count. A worker may count along.
    """
    async with db.transaction() as tx:
        await sql.lock_mark(tx)
        await sql.add_everything_due(tx)
    done = 0
    while True:
        done += await count(db, on_step=on_step)
        async with db.statement() as tx:
            if not (await sql.get_freshness(tx)).waiting:
                return done
        await asyncio.sleep(PAUSE)  # a worker counts just now


async def _find(db: Database) -> bool:
    async with db.transaction() as tx:
        if not await sql.claim(tx):
            return False
        look = await sql.begin_look(tx)
        is_long = look.since is not None and look.until - look.since > WINDOW
        if look.since is None:
            await sql.add_everything_due(tx)
        elif not is_long:
            await sql.add_touched_due(tx, look.since, look.until)
        if not is_long:
            await sql.set_looked(tx, look)
    return not is_long or await _find_in_steps(db, look)


async def _find_in_steps(db: Database, look: Look) -> bool:
    """Look for what changed in a long time. The mark moves last: what a killed process found is found again."""
    since = look.since
    assert since is not None
    while since < look.until:
        until = min(since + WINDOW, look.until)
        async with db.transaction() as tx:
            if not await sql.claim(tx):
                return False
            await sql.add_touched_due(tx, since, until)
            if until == look.until:
                await sql.set_looked(tx, look)
        since = until
    return True


async def _count_slots(db: Database) -> int:
    return await _shrinking(lambda most: _count_run(db, most))


async def _count_run(db: Database, most: int) -> int:
    async with db.transaction() as tx:
        if not await sql.claim(tx):
            return 0
        due = _run_of(await sql.list_due(tx, "slot", most))
        if due:
            await _recount(tx, due)
    return len(due)


def _run_of(due: Sequence[Due]) -> list[Due]:
    """Return the first ones that lie side by side, newest first."""
    found = list(due[:1])
    for item in due[1:]:
        if item.starts_at != found[-1].starts_at - SLOT:
            break
        found.append(item)
    return found


async def _recount(tx: Tx, due: Sequence[Due]) -> None:
    first, last = due[-1].starts_at, due[0].starts_at
    changed = await _count_all(tx, "slot", first, last + SLOT)
    changed |= {item.starts_at for item in due if item.is_forced}
    if changed:
        await sql.add_days_due(tx, sorted(changed))
    await sql.delete_due(tx, "slot", first, last)


async def _add_up_days(db: Database) -> int:
    async with db.transaction() as tx:
        if not await sql.claim(tx):
            return 0
        for span, sums in DAYS.items():
            for day in await sql.list_due(tx, span, 1):
                await _count_all(tx, span, day.starts_at, day.starts_at + DAY)
                await sql.count_orders(tx, sums, day.starts_at, day.starts_at + DAY, WAIT_BOUNDS_MS)
                await sql.delete_due(tx, span, day.starts_at, day.starts_at)
                return 1
    return 0


async def _count_all(tx: Tx, span: Span, first: datetime, end: datetime) -> set[datetime]:
    changed = await sql.count_orders(tx, span, first, end, WAIT_BOUNDS_MS)
    changed |= await sql.count_money(tx, span, first, end)
    return changed | await sql.count_taxes(tx, span, first, end)


async def _shrinking(work: Callable[[int], Awaitable[int]]) -> int:
    """Do a run of half hours; where the server undoes it as too long, a shorter one."""
    for most in (RUN_MAX, 6):
        try:
            return await work(most)
        except Undone:
            continue
    return await work(1)
