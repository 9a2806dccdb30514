"""Finding out what came of prolongations with an unclear answer, also after a crash before it was settled."""

from datetime import datetime, timedelta

import structlog

from numberdesk.base.db import Tx
from numberdesk.orders import sql
from numberdesk.orders.model import Order, Prolongation
from numberdesk.orders.service._desk import Desk
from numberdesk.orders.service._prolong import doubt_prolongation, settle_prolongation
from numberdesk.orders.service._reconcile import DOUBT_MAX, settle_after
from numberdesk.providers import service as providers
from numberdesk.providers.model import (
    Activation,
    ActiveList,
    Ended,
    ProlongAnswer,
    Prolonged,
    Provider,
    Refused,
    Unknown,
    Waiting,
    is_rental,
)

log = structlog.get_logger()

LOOKS_BEFORE_REFUSED = 2
GRACE = timedelta(minutes=5)
"""After its time a rental that was not prolonged is gone at its provider too, whose clock is not ours."""
OUTLIVED = timedelta(hours=1)
"""A provider may give some minutes more, or leave what is over on its list for a while. That it is still there proves
something only later."""
FOLLOW_SECONDS = 15
"""Before the second look; the pause doubles up to some minutes."""


async def follow_prolongations(desk: Desk, *, limit: int = 50) -> int:
    """Settle prolongations in doubt by what their providers list now; returns how many were looked at."""
    count = 0
    async with desk.db.statement() as tx:
        asked = await sql.list_prolonging_providers(tx)
    for provider in [line.provider for line in desk.lines.by_id.values() if line.provider.id in asked]:
        async with desk.db.transaction() as tx:
            stale = await sql.list_stale_prolongations(tx, provider.id, settle_after(provider), limit=limit)
        for bought in stale:
            await doubt_prolongation(desk, bought)
        async with desk.db.transaction() as tx:
            due = await sql.lease_prolongations(
                tx, provider.id, settle_after(provider), lease_seconds=FOLLOW_SECONDS, limit=limit
            )
        if due:
            count += len(due)
            await _follow(desk, provider, due)
    return count


async def _follow(desk: Desk, provider: Provider, due: list[Prolongation]) -> None:
    listed: ActiveList | Unknown = Unknown("it has no list")
    if providers.capabilities(provider).has_list:
        listed = await providers.active(desk.lines, provider.id, with_rentals=True)
    for bought in due:
        async with desk.db.statement() as tx:
            order = (await sql.list_orders_by_id(tx, [bought.order_id]))[0]
            strangers = await _strangers(tx, order, listed)
            now = await sql.get_clock(tx)
        answer = None if isinstance(listed, Unknown) else _listed(order, bought, listed, strangers, now)
        if answer is None and now > bought.ended_before + GRACE:
            answer = await _after_its_time(desk, order, bought, now)
        if answer is not None:
            log.info("prolongation_resolved", order_id=order.id, is_done=isinstance(answer, Prolonged))
            await settle_prolongation(desk, bought, answer)


async def _strangers(tx: Tx, order: Order, listed: ActiveList | Unknown) -> list[Activation]:
    """Return what a list tells of an order's number that is nobody's: one number is rented for several services."""
    if isinstance(listed, Unknown):
        return []
    alike = {
        item.upstream_id: item
        for item in listed.activations
        if item.is_live and is_rental(item.upstream_id) and item.number == order.number
        and item.service in ("", order.service)
    }  # fmt: skip
    return [alike[name] for name in await sql.list_strangers(tx, order.provider_id, list(alike))]


def _listed(
    order: Order, bought: Prolongation, listed: ActiveList, strangers: list[Activation], now: datetime
) -> ProlongAnswer | None:
    """Return what a list proves, None for nothing.

    Args:
        strangers: what may be the rental under a new id.
    """
    assert order.number is not None
    if strangers:
        return Prolonged(strangers[0].upstream_id, strangers[0].number, strangers[0].ends_at)
    live = [item for item in listed.activations if item.is_live and is_rental(item.upstream_id)]
    own = next((item for item in live if item.upstream_id == bought.upstream_id), None)
    is_over = now > bought.ended_before + GRACE
    is_sure = listed.has_rentals and bought.tries >= LOOKS_BEFORE_REFUSED
    if own is None:
        # Before its time a rental that is not listed may be missing for any reason.
        return Refused("unreachable", "it is over") if is_over and is_sure else None
    if own.ends_at is not None:
        if own.ends_at > bought.ended_before + timedelta(hours=bought.hours) / 2:
            return Prolonged(bought.upstream_id, order.number, own.ends_at)
        return Refused("unreachable", "it ends when it did") if is_sure else None
    return Prolonged(bought.upstream_id, order.number, None) if _outlived(bought, now) else None


def _outlived(bought: Prolongation, now: datetime) -> bool:
    """Tell whether a rental that is still there has lived for longer than one would that was not prolonged."""
    return now > bought.ended_before + max(GRACE, min(timedelta(hours=bought.hours) / 2, OUTLIVED))


async def _after_its_time(desk: Desk, order: Order, bought: Prolongation, now: datetime) -> ProlongAnswer | None:
    """Ask for one rental of which no list told: it is over, or it goes on. A message alone proves neither."""
    assert order.number is not None
    seen = await providers.look(desk.lines, bought.provider_id, bought.upstream_id)
    if isinstance(seen, Ended):
        return seen
    if isinstance(seen, Waiting) and _outlived(bought, now):
        return Prolonged(bought.upstream_id, order.number, None)
    if now > bought.ended_before + min(timedelta(hours=bought.hours), DOUBT_MAX) + GRACE:
        log.error("prolongation_given_up", order_id=order.id, provider_id=bought.provider_id)
        return Refused("unreachable", "nothing is known after all its time")
    return None
