"""Passes of the catalogue: syncing the providers whose turn it is."""

import asyncio

import structlog

from numberdesk.base.db import Database
from numberdesk.catalogue import service
from numberdesk.catalogue.model import Turn
from numberdesk.catalogue.service import SyncFailed
from numberdesk.providers.service import Lines

log = structlog.get_logger()

AT_ONCE = 4
"""Syncs begun by one process together: each holds one list in memory."""


async def sync_due(db: Database, lines: Lines, *, limit: int = AT_ONCE) -> int:
    """Sync the providers that are on and due, and those that staff ask for; returns how many.

    Due is who was last synced `sync_every_ms` ago; after failures a try comes later each time. Several workers may
    run this: a provider is synced by one of them.
    """
    turns = await service.take_turns(db, lines, limit=limit)
    found = await asyncio.gather(*(_carry_out(db, lines, turn) for turn in turns), return_exceptions=True)
    for problem in found:
        if isinstance(problem, BaseException):
            raise problem
    return len(turns)


async def _carry_out(db: Database, lines: Lines, turn: Turn) -> None:
    try:
        await service.carry_out(db, lines, turn)
    except SyncFailed as problem:
        # It is written down, and staff are told when it lasts.
        log.warning("sync_failed", provider=problem.provider, reason=problem.reason)
