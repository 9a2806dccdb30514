"""Counting how often numbers get their codes: from the orders themselves, hour by hour, and always over again.

What counts. A number is `sold` when the provider gave it and it is settled: its first code came (`delivered`), or it
ended without one, whoever ended it. A number that its customer gave up counts as not delivered, however early that
was, and is told apart as `cancelled`. Orders that still wait count nowhere, nor does what a provider refused to sell.
The hour is the one in which the order was made, so a number that ends late changes an hour that is over.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import timedelta
from itertools import accumulate, zip_longest
from typing import Any, Literal

from numberdesk.base.db import Database, Tx
from numberdesk.catalogue import sql
from numberdesk.catalogue.model import Delivery, DeliveryKey, DeliveryTotal
from numberdesk.catalogue.service._shelf import Shelf

WINDOW_HOURS = 168
"""Seven days: what customers see and routing goes by."""
WINDOW_MAX = 720
KEEP = timedelta(days=31)
OVERLAP = timedelta(seconds=60)
"""How far back each pass reaches: longer than any transaction may take between its change and its commit."""
SHOWN_MIN = 5
"""Fewer numbers than this say nothing, and are not shown to customers."""
NORMAL = 1.959963984540054
"""95 percent of a normal distribution lie within so many deviations."""
WAIT_BOUNDS_MS = tuple(round(1000 * 2 ** (step / 4)) for step in range(63))
"""Ends of the places of a histogram: four to a doubling, from 1 second to 13 hours, so a time is at most 19 % off."""
Grouping = Literal["provider", "service", "operator"]
"""By provider; by its services and countries; by the operators in these, too."""
_COUNTS = [
    item.name
    for item in fields(DeliveryTotal)
    if item.name not in ("service", "country", "provider_id", "operator", "waits")
]


def rate(delivered: int, n: int) -> float | None:
    """Return the share that was delivered; None, which is not 0, when nothing was sold."""
    return delivered / n if n else None


def wilson(delivered: int, n: int) -> tuple[float, float] | None:
    """Return the 95 % interval in which the true rate lies, by Wilson's score; None when nothing was sold.

    Source: Wilson 1927; unlike the normal approximation it stays within 0 and 1 and is honest for few numbers.
    """
    if n == 0:
        return None
    share, square = delivered / n, NORMAL * NORMAL
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = NORMAL / (1 + square / n) * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    # At the ends of the scale the sum of rounded numbers may pass the rate by a hair.
    return max(0.0, min(middle - half, share)), min(1.0, max(middle + half, share))


def seconds_within(waits: Sequence[int], percent: int) -> int | None:
    """Return the seconds within which so many percent of the codes came, rounded up; None without any code.

    What took longer than the last bound is told as that bound.
    """
    total = sum(waits)
    if total == 0:
        return None
    wanted = -(-total * percent // 100)
    place = next(place for place, count in enumerate(accumulate(waits)) if count >= wanted)
    return -(-WAIT_BOUNDS_MS[min(place, len(WAIT_BOUNDS_MS) - 1)] // 1000)


def delivery_of(total: DeliveryTotal, window_hours: int) -> Delivery | None:
    """Return what a total says about delivery; None when nothing was sold."""
    interval = wilson(total.delivered, total.sold)
    if interval is None:
        return None
    return Delivery(
        n=total.sold,
        delivered=total.delivered,
        window_hours=window_hours,
        low=interval[0],
        high=interval[1],
        median_seconds=seconds_within(total.waits, 50),
        p90_seconds=seconds_within(total.waits, 90),
    )


def shown_rates(delivery: Delivery) -> tuple[float, float, float]:
    """Return rate, low and high with three digits; the interval is rounded outwards, never narrower than it is."""
    return (
        round(delivery.delivered / delivery.n, 3),
        math.floor(delivery.low * 1000) / 1000,
        math.ceil(delivery.high * 1000) / 1000,
    )


def grouped(totals: Iterable[DeliveryTotal], by: Grouping) -> list[DeliveryTotal]:
    """Return the totals added up; what they are not grouped by is an arbitrary one of the group."""
    groups: dict[tuple[object, ...], list[DeliveryTotal]] = {}
    for total in totals:
        key: tuple[object, ...] = (total.provider_id,)
        if by != "provider":
            key += (total.service, total.country)
        if by == "operator":
            key += (total.operator,)
        groups.setdefault(key, []).append(total)
    return sorted((_added(group) for group in groups.values()), key=lambda total: -total.sold)


def _added(totals: Sequence[DeliveryTotal]) -> DeliveryTotal:
    sums: dict[str, Any] = {name: sum(getattr(total, name) for total in totals) for name in _COUNTS}
    waits = tuple(sum(counts) for counts in zip_longest(*(total.waits for total in totals), fillvalue=0))
    return replace(totals[0], waits=waits, **sums)


async def read_statistics(tx: Tx, *, window_hours: int = WINDOW_HOURS) -> Mapping[DeliveryKey, Delivery]:
    """Return the delivery of everything that was sold in the last hours, by service, country, provider and operator.

    What is missing was not sold: nothing is known of it.
    """
    totals = await sql.list_delivery_totals(tx, window_hours=window_hours)
    return {
        (total.service, total.country, total.provider_id, total.operator): delivery
        for total in totals
        if (delivery := delivery_of(total, window_hours)) is not None
    }


async def refresh_statistics(db: Database, shelf: Shelf) -> bool:
    """Put what was delivered in the last seven days on the shelf, if it has changed or an hour has passed.

    Meant for every 30 seconds; one short query if nothing has changed. Prices and offers stay as they are.
    """
    async with db.statement() as tx:
        counted = await sql.get_statistics_version(tx)
        if counted == shelf.counted:
            return False
        shelf.deliveries = await read_statistics(tx)
    shelf.counted = counted
    return True


async def list_delivery_totals(
    db: Database,
    *,
    window_hours: int = WINDOW_HOURS,
    service: str | None = None,
    country: int | None = None,
    provider_id: int | None = None,
) -> list[DeliveryTotal]:
    """Return what was counted in the last hours, the running one included, most sold first."""
    async with db.statement() as tx:
        return await sql.list_delivery_totals(
            tx, window_hours=window_hours, service=service, country=country, provider_id=provider_id
        )


async def count_deliveries(db: Database) -> int:
    """Count the hours again whose orders have changed since the last turn; returns how many counts are different.

    Each hour is one transaction and gives the same rows however often it is counted. The mark moves last, so what a
    killed process left is counted by the next.
    """
    async with db.statement() as tx:
        mark = await sql.get_statistics_mark(tx)
        if mark.counted_until is None:
            # Of what changed in a month no list is made: that would read every order.
            hours = await sql.list_hours(tx, KEEP)
        else:
            hours = await sql.list_touched_hours(tx, mark.counted_until - OVERLAP, KEEP)
    changed = 0
    for hour in hours:
        async with db.transaction() as tx:
            await sql.lock_statistics(tx)
            different = await sql.recount_hour(tx, hour, WAIT_BOUNDS_MS)
            if different:
                await sql.set_statistics_version(tx)
        changed += different
    async with db.transaction() as tx:
        await sql.lock_statistics(tx)
        gone = await sql.delete_old_statistics(tx, KEEP)
        if gone:
            await sql.set_statistics_version(tx)
        await sql.set_counted_until(tx, mark.now)
    return changed + gone
