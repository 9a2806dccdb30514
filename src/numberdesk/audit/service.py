"""Verbs of the audit slice: write down what happened, and read it."""

from numberdesk.audit import sql
from numberdesk.audit.model import Event, Recorded
from numberdesk.base.db import Database, Tx

LIST_MAX = 200


async def record(tx: Tx, *events: Event) -> None:
    """Write events in the transaction of what they tell: both are committed, or neither."""
    await sql.insert_events(tx, events)


async def list_events(
    db: Database,
    *,
    account_id: int | None = None,
    action: str | None = None,
    cursor: int | None = None,
    limit: int = 50,
) -> list[Recorded]:
    """Return the newest events, before the id `cursor`; with an account, those it caused or that concern it."""
    async with db.statement() as tx:
        return await sql.list_events(tx, account_id=account_id, action=action, before=cursor, limit=limit)
