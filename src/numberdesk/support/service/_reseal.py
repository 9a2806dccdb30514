"""A change of keys: everything that is sealed here, sealed anew."""

from collections.abc import Awaitable, Callable

import structlog

from numberdesk.base.crypto import Vault, WrongKey
from numberdesk.base.db import Database, Tx
from numberdesk.support import sql
from numberdesk.support.service._desk import body_place, content_place, subject_place
from numberdesk.support.sql import Sealed

log = structlog.get_logger()

PICTURES_AT_ONCE = 10
"""They are large."""


async def reseal(db: Database, vault: Vault, *, limit: int = 500) -> int:
    """Seal again, with the newest key, what was sealed with another; returns how many columns.

    What cannot be read is left as it is, and logged. It may be repeated.
    """
    subjects = await _reseal(
        db, vault, sql.list_sealed_subjects, sql.set_subject, lambda row: subject_place(row.ticket_id), limit
    )
    bodies = await _reseal(
        db, vault, sql.list_sealed_bodies, sql.set_body, lambda row: body_place(row.ticket_id, row.ordinal), limit
    )
    pictures = await _reseal(
        db, vault, sql.list_sealed_attachments, sql.set_content, lambda row: content_place(row.id), PICTURES_AT_ONCE
    )
    return subjects + bodies + pictures


async def _reseal(
    db: Database, vault: Vault, read: Callable[..., Awaitable[list[Sealed]]],
    write: Callable[[Tx, int, bytes], Awaitable[None]], place: Callable[[Sealed], str], limit: int,
) -> int:  # fmt: skip
    resealed, after = 0, 0
    while True:
        async with db.transaction() as tx:
            page = await read(tx, after=after, limit=limit)
            for row in page:
                if vault.is_newest(row.sealed):
                    continue
                try:
                    renewed = vault.renewed(row.sealed, about=place(row))
                except WrongKey:
                    log.error("ticket_unreadable", place=place(row))
                    continue
                await write(tx, row.id, renewed)
                resealed += 1
        if len(page) < limit:
            return resealed
        after = page[-1].id
