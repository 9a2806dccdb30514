"""Telling the staff of errors that nobody foresaw: each once in ten minutes, with how often it happened."""

from datetime import timedelta

from numberdesk.base import ids, troubles
from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database
from numberdesk.notifications import sql
from numberdesk.notifications.model import StaffEvent, Value
from numberdesk.notifications.service import tell

QUIET = timedelta(minutes=10)
KEPT = timedelta(days=30)
AT_ONCE = 20


async def tell_errors(db: Database, vault: Vault) -> int:
    """Write down what this process met, and tell of what was not told for ten minutes; returns how many were told."""
    seen = troubles.take()
    try:
        async with db.transaction() as tx:
            if seen:
                await sql.upsert_errors(
                    tx, [sql.Seen(item.fingerprint, item.happened, item.place, item.count) for item in seen]
                )
            untold = await sql.lease_untold(tx, quiet=QUIET, limit=AT_ONCE)
            await tell(tx, vault, [_event(item) for item in untold])
    except Exception:
        troubles.put_back(seen)
        raise
    return len(untold)


def _event(item: sql.Untold) -> StaffEvent:
    facts: dict[str, Value] = {
        "What": item.happened, "Where": item.place, "Times": item.fresh, "In all": item.count,
        "Fingerprint": item.fingerprint,
    }  # fmt: skip
    return StaffEvent("error", "Unexpected error", facts, f"error:{item.fingerprint}:{ids.base62(8)}")


async def forget_errors(db: Database, *, limit: int = 1000) -> int:
    """Forget errors that did not happen for a month."""
    async with db.statement() as tx:
        return await sql.delete_old_errors(tx, keep=KEPT, limit=limit)
