"""Resolving unknown purchases against a provider's list, also after a crash between its sale and our commit.

Where the provider repeats our reference, that decides. Else a number of the same service and country is as good as
another, so an activation that nobody knows goes to the oldest unknown order of its kind that was sent before it was
seen. It must be certain that no purchase still on its way is about it: either none of the kind is, or the activation
has been seen for longer than any purchase may take.

Rentals are matched among themselves. Many protocols list them by number only. One of those is taken for an order's only
where all rentals in doubt are of one kind; else it is cancelled, within the time in which its provider takes it back,
and the orders are given up.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from numberdesk.base.db import Tx
from numberdesk.orders import sql
from numberdesk.orders.model import Card, Closing, Order, Settlement, UpstreamRefund
from numberdesk.orders.service._desk import Desk
from numberdesk.orders.sql import Live
from numberdesk.providers import service as providers
from numberdesk.providers.model import Activation, Provider, Rented, is_rental

log = structlog.get_logger()

SETTLE_MARGIN = timedelta(seconds=12)
"""Added to a provider's deadline: what settling its answer may take."""
LOOKS_BEFORE_NEVER_SOLD = 2
GRACE = timedelta(minutes=5)
LOOK_EVERY_SECONDS = 3
END_MARGIN = timedelta(minutes=30)
"""How far from its hours a rental may end that is taken for the one which was bought."""
DOUBT_PART, DOUBT_MAX = 4, timedelta(days=1)
"""After that part of its hours, or that time, money is not held any longer for a rental that no list tells of."""
STALE_MAX = 10_000


def settle_after(provider: Provider) -> timedelta:
    """Return the time after which no process can still be working on an upstream call of this provider."""
    return timedelta(milliseconds=provider.deadline_ms) + SETTLE_MARGIN


@dataclass(frozen=True, slots=True)
class Seen:
    """A provider's list; `is_whole` is false when an activation may be missing from it, `has_rentals` when a rental."""

    activations: Mapping[str, Activation]
    is_whole: bool
    has_rentals: bool = False


Kind = tuple[str, int | None, int | None]
"""Service, country, and for how many hours it is rented; None for a number for a code."""


@dataclass(frozen=True, slots=True)
class _Facts:
    unknown: list[Live]
    on_their_way: set[Kind]
    strangers: Mapping[str, datetime]
    """When each was first seen."""
    ripe: list[str]


async def reconcile(desk: Desk, provider: Provider, seen: Seen | None, patience: timedelta) -> None:
    """Link activations nobody knows to unknown orders, cancel the rest, and end orders that were never sold.

    Args:
        seen: the provider's list, read before this call; None when it could not be read.
        patience: how long a purchase may be on its way.
    """
    facts = await _facts(desk, provider, seen, patience)
    linked: set[str] = set()
    if seen is not None and facts.strangers:
        linked = await _link(desk, provider, seen, facts)
        leftover = [upstream_id for upstream_id in facts.ripe if upstream_id not in linked]
        if leftover:
            log.warning("orphans_found", provider=provider.name, count=len(leftover))
            async with desk.db.statement() as tx:
                await sql.set_orphans_cancelling(tx, provider.id, leftover)
    if facts.unknown and providers.capabilities(provider).sells_at_finish:
        await _end_unsold(desk, provider, facts)
    elif facts.unknown:
        unowned = [
            (seen.activations[name], at)
            for name, at in facts.strangers.items()
            if seen is not None and name not in linked
        ]
        await _end_never_sold(desk, provider, facts, unowned, seen)


async def _facts(desk: Desk, provider: Provider, seen: Seen | None, patience: timedelta) -> _Facts:
    """Read our side after the provider's: a purchase settled in between shows as linked, never as a stranger."""
    doubted: list[Order] = []
    async with desk.db.statement() as tx:
        live = await sql.list_doubtful(tx, provider.id, patience)
        on_their_way = {_kind(order) for order in live if order.state == "requested"}
        strangers: dict[str, datetime] = {}
        ripe: list[str] = []
        if seen is not None and seen.activations:
            upstream_ids = [item.upstream_id for item in seen.activations.values() if item.is_live]
            unlinked = await sql.list_strangers(tx, provider.id, upstream_ids)
            unlinked = await _not_going_on(tx, provider, seen, unlinked)
            if unlinked:
                await sql.insert_orphans(tx, provider.id, unlinked)
                ripe = await sql.list_ripe_orphans(tx, provider.id, unlinked, patience)
                strangers = await sql.list_seen_orphans(tx, provider.id, unlinked)
        if ripe:
            # A purchase is sent before its number can be seen. So the order of a ripe one is stale by now, and must be
            # among the unknown before the number is taken for nobody's.
            doubted = await sql.set_stale_unknown(tx, provider.id, patience, limit=STALE_MAX)
            live = await sql.list_doubtful(tx, provider.id, patience)
    desk.show([Card(order) for order in doubted])
    unknown = [order for order in live if order.state == "unknown"]
    return _Facts(unknown, on_their_way, strangers, ripe)


async def _not_going_on(tx: Tx, provider: Provider, seen: Seen, unlinked: list[str]) -> list[str]:
    """Leave out what may be a rental of ours that goes on under a new id: whoever prolongs it takes that over."""
    rented = {name: seen.activations[name].number for name in unlinked if is_rental(name)}
    if not rented:
        return unlinked
    known = await sql.list_prolonging_numbers(tx, provider.id, list(rented.values()))
    return [name for name in unlinked if rented.get(name) not in known]


async def _link(desk: Desk, provider: Provider, seen: Seen, facts: _Facts) -> set[str]:
    free: dict[tuple[str, int | None, bool], list[Activation]] = defaultdict(list)
    in_doubt = facts.on_their_way | {_kind(order) for order in facts.unknown}
    named: dict[str, Activation] = {}
    ripe = set(facts.ripe)
    for upstream_id in sorted(facts.strangers):
        activation = seen.activations[upstream_id]
        if activation.reference:
            named[activation.reference] = activation
            continue
        is_certain = upstream_id in ripe or not any(_may_be(activation, kind) for kind in facts.on_their_way)
        if is_certain and not _may_be_several(activation, in_doubt):
            free[activation.service, activation.country, is_rental(upstream_id)].append(activation)
    linked: set[str] = set()
    for order in facts.unknown:
        own = named.get(f"{order.id}-{order.attempt}")
        candidates = [own] if own else _candidates(free, order)
        fitting = next(
            (
                item
                for item in candidates
                if _fits(item, order) and (item is own or facts.strangers[item.upstream_id] >= order.sent_at)
            ),
            None,
        )
        if fitting is None:
            continue
        candidates.remove(fitting)
        can_get_next = providers.capabilities(provider).has_next_code
        card = await desk.settle.call(
            Settlement(
                order.id, order.attempt, provider.id, provider.cancel_after_ms, provider.lifetime_ms,
                Rented(fitting.upstream_id, fitting.number, fitting.cost_paise, can_get_next, fitting.ends_at),
            )
        )  # fmt: skip
        desk.show([card])
        if card.order.upstream_id == fitting.upstream_id:
            linked.add(fitting.upstream_id)
            async with desk.db.statement() as tx:
                await sql.set_orphan(tx, provider.id, fitting.upstream_id, "linked")
            log.info("unknown_linked", order_id=order.id, provider=provider.name)
    return linked


async def _end_unsold(desk: Desk, provider: Provider, facts: _Facts) -> None:
    """Void purchases that nobody can be working on: without our notice that a code came they are no sale."""
    for order in facts.unknown:
        if order.is_settled:
            await _end(desk, provider, order, "none")


async def _end(desk: Desk, provider: Provider, order: Live, proof: UpstreamRefund) -> None:
    closing = Closing(order.id, frozenset({"unknown"}), "failed", "never_sold", proof)
    card: Card = await desk.close.call(closing)
    desk.show([card])
    log.info("never_sold", order_id=order.id, provider=provider.name)


async def _end_never_sold(
    desk: Desk, provider: Provider, facts: _Facts, unowned: Sequence[tuple[Activation, datetime]], seen: Seen | None
) -> None:
    """Void orders that a whole list did not name twice after their purchase was over, or whose number has died.

    A rental counts as dead after a part of its hours: its buyer has another number by then, would pay for hours that
    are over, and our loss is the smaller one.

    An order waits longer while a number that was there at the first look, and so may be its own, has no owner yet.
    """
    looked: list[int] = []
    for order in facts.unknown:
        known = desk.board.find(order.id)
        if known is not None and known.order.state != "unknown":
            continue
        lifetime = timedelta(milliseconds=provider.lifetime_ms)
        if order.hours:
            lifetime = min(timedelta(hours=order.hours) / DOUBT_PART, DOUBT_MAX)
        async with desk.db.statement() as tx:
            has_died = await sql.is_past(tx, order.sent_at, lifetime + GRACE)
        is_whole = seen is not None and (seen.has_rentals if order.hours else seen.is_whole)
        if not has_died and not (is_whole and order.is_settled and order.is_due):
            continue
        if has_died or order.tries + 1 >= LOOKS_BEFORE_NEVER_SOLD:
            if not has_died and any(_may_own(order, activation, at) for activation, at in unowned):
                continue
            # Of a number that has died unseen nobody knows whether it was sold; its provider should give it back then.
            # That of a rental it keeps.
            proof: UpstreamRefund = "refused" if order.hours else "assumed"
            await _end(desk, provider, order, proof if has_died else "none")
        else:
            looked.append(order.id)
    if looked:
        async with desk.db.statement() as tx:
            await sql.set_looked(tx, looked, wait_seconds=LOOK_EVERY_SECONDS)


def _may_own(order: Live, activation: Activation, first_seen_at: datetime) -> bool:
    if order.next_try_at is None or first_seen_at > order.next_try_at - timedelta(seconds=LOOK_EVERY_SECONDS):
        return False
    if activation.reference:
        return activation.reference == f"{order.id}-{order.attempt}"
    return _may_be(activation, _kind(order)) and _fits(activation, order)


def _kind(order: Live) -> Kind:
    return order.service, order.country, order.hours


def _may_be(activation: Activation, kind: Kind) -> bool:
    service, country, hours = kind
    if is_rental(activation.upstream_id) != (hours is not None):
        return False
    is_named = activation.service == service or (hours is not None and not activation.service)
    return is_named and activation.country in (None, country)


def _may_be_several(activation: Activation, kinds: Iterable[Kind]) -> bool:
    """Tell whether a rental may be of more than one kind in doubt; where its end is told, that tells its hours."""
    if not is_rental(activation.upstream_id):
        return False
    possible = [kind for kind in kinds if _may_be(activation, kind)]
    return len({kind[:2] if activation.ends_at is not None else kind for kind in possible}) > 1


def _candidates(free: Mapping[tuple[str, int | None, bool], list[Activation]], order: Live) -> list[Activation]:
    """Return what nobody knows of the order's kind, the most surely named first."""
    service, country, is_rented = order.service, order.country, order.hours is not None
    names = [(service, country), (service, None)] + ([("", country), ("", None)] if is_rented else [])
    return next((found for name, place in names if (found := free.get((name, place, is_rented)))), [])


def _fits(activation: Activation, order: Live) -> bool:
    if activation.cost_paise is not None and activation.cost_paise > order.cost_paise:
        return False
    if order.hours is None or activation.ends_at is None:
        return True
    return abs(activation.ends_at - order.sent_at - timedelta(hours=order.hours)) < END_MARGIN
