"""Passes of monitoring: what a process tells of itself, checks of the ledger, how the parts are, and forgetting."""

from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Final

from numberdesk.base import log
from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database
from numberdesk.base.errors import Unavailable
from numberdesk.base.passes import Pass
from numberdesk.monitoring import service
from numberdesk.monitoring.service import Judge, Watch

FOR_EVER: Final = 366 * 86_400.0
WHOLE_PATIENCE: Final = 2 * 3600.0


def steps(watch: Watch) -> list[Pass]:
    """Return what every process does about itself, whatever else it does."""
    return [
        Pass("loop", 1.0, lambda: service.watch_loop(watch.heart), patience=FOR_EVER),
        Pass("pulse", service.PULSE_EVERY, lambda: service.beat(watch.heart)),
        Pass("status", service.READ_EVERY, watch.board.refresh),
        Pass("access", 0.25, log.ACCESS.write),
    ]


def worker_steps(watch: Watch, vault: Vault, *, whole_every: timedelta | None) -> list[Pass]:
    """Return what a worker does for all processes.

    Args:
        whole_every: how often the whole ledger and the audit log are checked; None: never.
    """
    db = watch.heart.db
    return [
        Pass("check_recent", 15.0, partial(check_recent, db, vault)),
        Pass("check_whole", 60.0, partial(check_whole, db, vault, whole_every), patience=WHOLE_PATIENCE),
        Pass("check_audit", 60.0, partial(check_audit, db, vault, whole_every), patience=WHOLE_PATIENCE),
        Pass("judge_parts", 20.0, partial(judge_parts, service.Judge(db), watch)),
        Pass("forget_observed", 3600.0, partial(forget, db)),
    ]


async def begin_work(watch: Watch) -> None:
    """Say that this process is a worker, at once if the database takes it."""
    watch.heart.has_worker = True
    with suppress(Unavailable):
        await service.beat(watch.heart)


async def end(watch: Watch) -> None:
    """Tell and write what is left, at the end of a process."""
    await service.stop_beating(watch.heart)
    log.ACCESS.write_rest()


async def check_recent(db: Database, vault: Vault) -> int:
    """Check what was posted since the last look; returns how many postings there were."""
    return await service.check_recent(db, vault)


async def check_whole(db: Database, vault: Vault, every: timedelta | None) -> bool:
    """Check the whole ledger when that is due; returns whether it was. Without an interval it never is."""
    return every is not None and await service.check_whole(db, vault, every_seconds=every.total_seconds())


async def check_audit(db: Database, vault: Vault, every: timedelta | None) -> bool:
    """Check the audit log when that is due; returns whether it was. Without an interval it never is."""
    return every is not None and await service.check_audit(db, vault, every_seconds=every.total_seconds())


async def judge_parts(judge: Judge, watch: Watch) -> int:
    """Judge the parts, and show it at once where this process answers; returns how many there are."""
    found = await judge.look()
    await watch.board.refresh()
    return found


async def forget(db: Database) -> int:
    """Delete totals of what is gone, and old days of the status; returns how many rows."""
    return await service.forget_totals(db) + await service.forget_days(db)
