"""Passes of the support slice: closing after silence, and forgetting what was said."""

from numberdesk.support import sql
from numberdesk.support.service import HelpDesk


async def close_silent(desk: HelpDesk, *, limit: int = 200) -> int:
    """Close tickets whose customers wrote nothing for long after staff did; returns how many."""
    async with desk.db.statement() as tx:
        return await sql.set_silent_closed(tx, after=desk.rules.close_after, limit=limit)


async def purge(desk: HelpDesk, *, limit: int = 100) -> int:
    """Forget subjects, texts and pictures of tickets closed long ago; returns of how many.

    What stays is that there was a ticket, about what, and when.
    """
    async with desk.db.transaction() as tx:
        ticket_ids = await sql.lock_old(tx, after=desk.rules.keep_for, limit=limit)
        if ticket_ids:
            await sql.set_purged(tx, ticket_ids)
    return len(ticket_ids)
