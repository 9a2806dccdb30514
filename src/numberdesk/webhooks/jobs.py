"""Passes of the webhooks slice: sending what happened, and forgetting what is over."""

from datetime import timedelta

from numberdesk.base.db import Database
from numberdesk.webhooks import sql
from numberdesk.webhooks.service import Courier, fan_out, send_due, wait

EVERY = 0.3
"""Seconds between two looks, and the longest that the pass waits for a place that becomes free."""
KEPT = timedelta(days=30)


async def deliver(courier: Courier) -> int:
    """Make deliveries of what happened and begin to post what is due; no POST is waited for.

    While something is under way it comes back as soon as one of them ends, since its account may have the next.

    Returns:
        More than 0 when it should run again at once.
    """
    courier.freed.clear()
    async with courier.db.statement() as tx:
        is_behind, is_due = await sql.look(tx)
    moved = await fan_out(courier) if is_behind else 0
    if moved or is_due:
        await send_due(courier)
    if courier.under_way:
        await wait(courier, seconds=EVERY)
        return 1
    return moved


async def forget(db: Database, *, limit: int = 1000) -> int:
    """Delete deliveries that ended a month ago, and endpoints that their owners deleted; returns how many went."""
    async with db.transaction() as tx:
        removed = await sql.delete_endpoints(tx, limit=limit)
        return max(removed, await sql.delete_old_deliveries(tx, keep=KEPT, limit=limit))
