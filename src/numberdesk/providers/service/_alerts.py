"""Alerts: troubles with a provider that staff should see. Each is open once, until whoever opened it closes it."""

from typing import Final

from numberdesk.base.db import Database, Tx
from numberdesk.providers import sql
from numberdesk.providers.model import Alert, AlertKind, ProviderId

DETAIL_MAX: Final = 500
ALERTS_MAX: Final = 200


async def open_alert(tx: Tx, *, provider_id: ProviderId, kind: AlertKind, detail: str) -> bool:
    """Open an alert; while it is open, a repeat only refreshes its detail and moment. Staff are told by a pass.

    Args:
        detail: one sentence for staff, mailed to them: never a secret, and nothing of a customer.

    Returns:
        True when it is new.
    """
    return await sql.open_alert(tx, provider_id=provider_id, kind=kind, detail=detail[:DETAIL_MAX])


async def close_alert(tx: Tx, *, provider_id: ProviderId, kind: AlertKind) -> bool:
    """Close the open alert of that kind; False when none is open."""
    return await sql.close_alert(tx, provider_id=provider_id, kind=kind)


async def list_alerts(db: Database, *, provider_id: ProviderId | None = None, open_only: bool = True) -> list[Alert]:
    """Return alerts of one or all providers, the newest first, at most `ALERTS_MAX`."""
    async with db.statement() as tx:
        return await sql.list_alerts(tx, provider_id=provider_id, open_only=open_only, limit=ALERTS_MAX)


async def lease_news(tx: Tx, *, limit: int) -> list[Alert]:
    """Return alerts that staff do not know of yet, or not that they are over; nobody else gets them meanwhile."""
    return await sql.lease_news(tx, limit=limit)


async def set_told(tx: Tx, alerts: list[Alert]) -> None:
    """Write down, in the transaction that tells them, that staff know of these alerts as they stand."""
    await sql.set_told(tx, alert_ids=[alert.id for alert in alerts])
