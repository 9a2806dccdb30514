"""Passes of the ledger."""

from numberdesk.base.db import Database
from numberdesk.wallet import sql


async def roll_up(db: Database, *, limit: int = 50_000) -> int:
    """Add the committed changes of system accounts to their balances; returns how many were taken.

    Deleting sees committed rows only, so a change that commits late is taken by a later run and never missed.
    """
    async with db.transaction() as tx:
        return await sql.roll_up(tx, limit=limit)
