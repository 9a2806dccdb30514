"""Passes of the accounts slice."""

from numberdesk.accounts import sql
from numberdesk.base.db import Database

KEPT_HOURS = 48


async def forget_old_answers(db: Database, *, limit: int = 1000) -> int:
    """Delete answers to Idempotency-Keys after 48 hours; returns how many went."""
    async with db.statement() as tx:
        return await sql.delete_old_key_uses(tx, hours=KEPT_HOURS, limit=limit)
