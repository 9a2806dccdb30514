"""The notes of purchases whose client may never hear of them: written with the intent, deleted when it was told.

A note has a holder while a process is at its purchase, and none once the client has left. When the holder dies, the
next purchase of the same kind finds it all the same.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial

import structlog

from numberdesk.base import clock
from numberdesk.base.db import Database, Tx
from numberdesk.base.errors import Unavailable
from numberdesk.orders import sql
from numberdesk.orders.model import HELD_FOR, HandoverNote
from numberdesk.orders.service._desk import Desk
from numberdesk.wallet.model import AccountId

log = structlog.get_logger()

HANDOVER_WINDOW = timedelta(seconds=60)
"""How long a purchase waits for its client to ask again."""
NOTE_AGAIN_SECONDS = 0.25
"""Between two tries of a note while the database is away."""
KEPT = timedelta(hours=1)


def new_note(desk: Desk, fingerprint: bytes, *, wants_object: bool) -> HandoverNote:
    """Return the note of a purchase that this process begins."""
    return HandoverNote(fingerprint, wants_object, desk.sender)


async def take(desk: Desk, tx: Tx, account_id: AccountId, fingerprint: bytes) -> sql.Undelivered | None:
    """Take the oldest purchase of a kind that nobody waits for."""
    return await sql.take_undelivered(
        tx, account_id, fingerprint, within=HANDOVER_WINDOW, holder=desk.sender, held_for=HELD_FOR
    )


def delivered(desk: Desk, account_id: AccountId, request_key: str) -> None:
    """Forget a purchase whose client was told; soon, and nobody waits for it."""
    item = account_id, request_key

    def read(sent: "asyncio.Future[None]") -> None:
        if not sent.cancelled() and isinstance(sent.exception(), Unavailable):
            _keep_trying(desk, partial(sql.delete_delivered, items=[item]))

    desk.delivered.send(item).add_done_callback(read)


async def forget_undelivered(db: Database, *, limit: int = 1000) -> int:
    """Delete notes that nobody came back for; a pass."""
    async with db.statement() as tx:
        return await sql.delete_old_undelivered(tx, older_than=KEPT, limit=limit)


async def write_note(desk: Desk, account_id: AccountId, note: Callable[[Tx], Awaitable[None]]) -> None:
    """Write a note now, or as soon as the database is back."""
    try:
        async with desk.db.statement() as tx:
            await note(tx)
    except Unavailable:
        log.warning("undelivered_not_noted", account_id=account_id)
        _keep_trying(desk, note)


def _keep_trying(desk: Desk, note: Callable[[Tx], Awaitable[None]]) -> None:
    work = asyncio.ensure_future(_note_later(desk, note))
    desk.late_notes.add(work)
    work.add_done_callback(desk.late_notes.discard)


async def _note_later(desk: Desk, note: Callable[[Tx], Awaitable[None]]) -> None:
    until = clock.seconds() + HANDOVER_WINDOW.total_seconds()
    while clock.seconds() < until:
        await asyncio.sleep(NOTE_AGAIN_SECONDS)
        with suppress(Unavailable):
            async with desk.db.statement() as tx:
                await note(tx)
            return
