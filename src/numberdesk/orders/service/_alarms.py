"""Alarms about what should have been settled by now. They tell; the work itself is done by the passes in `jobs`."""

from datetime import timedelta

import structlog

from numberdesk.base.db import Tx
from numberdesk.orders import sql
from numberdesk.orders.service._desk import Desk
from numberdesk.orders.service._revoked import SURE_AFTER
from numberdesk.orders.sql import Stale
from numberdesk.providers import service as providers
from numberdesk.providers.model import ProviderId

log = structlog.get_logger()

T_UNKNOWN = timedelta(minutes=2)
"""Beyond a provider's deadline: what settling its answer may take, and the turns in which its list resolves a doubt."""
T_ENDING = timedelta(minutes=5)
"""A few leases of the pass that settles endings; it gives up twice as late."""
T_REVOKED = timedelta(days=3)
"""So long staff are told of a rental that its provider ended; then what was paid stays paid."""
T_ORPHAN = timedelta(minutes=10)


async def raise_alarms(desk: Desk) -> int:
    """Open alerts where something waits for too long, close those that are settled; returns how many were opened."""
    opened = 0
    async with desk.db.transaction() as tx:
        found = await sql.count_stale(tx, unknown_after=T_UNKNOWN, ending_after=T_ENDING, orphan_after=T_ORPHAN)
        for stale in found:
            opened += await _tell(tx, stale)
        for provider_id, count in await sql.count_revoked(tx, sure_after=SURE_AFTER, told_for=T_REVOKED):
            opened += await _tell_revoked(tx, provider_id, count)
    return opened


async def _tell_revoked(tx: Tx, provider_id: ProviderId, count: int) -> int:
    if not count:
        await providers.close_alert(tx, provider_id=provider_id, kind="rental_revoked")
        return 0
    detail = f"Paid rentals that it ended before their time, of whose money nobody has decided: {count}."
    return int(await providers.open_alert(tx, provider_id=provider_id, kind="rental_revoked", detail=detail))


async def _tell(tx: Tx, stale: Stale) -> int:
    opened = 0
    if stale.orders:
        detail = f"Orders that should be settled: {stale.orders}, the oldest for {stale.order_seconds // 60} minutes."
        if await providers.open_alert(tx, provider_id=stale.provider_id, kind="unknown_stale", detail=detail):
            log.error("orders_stale", provider_id=stale.provider_id, count=stale.orders)
            opened += 1
    else:
        await providers.close_alert(tx, provider_id=stale.provider_id, kind="unknown_stale")
    if stale.orphans:
        detail = (
            f"Numbers that no order knows and that cannot be cancelled: {stale.orphans}, "
            f"the oldest for {stale.orphan_seconds // 60} minutes."
        )
        if await providers.open_alert(tx, provider_id=stale.provider_id, kind="orphan_stale", detail=detail):
            log.error("orphans_stale", provider_id=stale.provider_id, count=stale.orphans)
            opened += 1
    else:
        await providers.close_alert(tx, provider_id=stale.provider_id, kind="orphan_stale")
    return opened
