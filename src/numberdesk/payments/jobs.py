"""Passes of the payments slice; each takes due rows, asks outside of any transaction, and settles."""

from datetime import timedelta

from numberdesk.payments import sql
from numberdesk.payments.service._till import Till

SLOTS_KEPT = timedelta(hours=2)
"""How long after its end an amount stays reserved: late payers are known by it."""


async def expire_due(till: Till, *, limit: int = 200) -> int:
    """End recharges whose time is over. Money that comes for them later is credited all the same."""
    async with till.db.transaction() as tx:
        ended = await sql.expire(tx, limit=limit)
        await sql.insert_events(tx, "expired", [(recharge_id, None, "") for recharge_id in ended])
    return len(ended)


async def free_slots(till: Till, *, limit: int = 500) -> int:
    """Let amounts be given out again that nobody is likely to pay late any more."""
    async with till.db.statement() as tx:
        return await sql.free_slots(tx, keep=SLOTS_KEPT, limit=limit)
