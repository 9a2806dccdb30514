"""The guard on what is spent with a provider in a day of UTC, in each process that buys.

Every second or two a process reads what all of them spent. In between it adds its own purchases from the moment they
begin. So the cap is overshot by at most what the other processes bought since this one's last look, and by nothing
when one process buys. A purchase whose outcome is unknown counts as spent.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from numberdesk.base.db import Database
from numberdesk.base.money import Paise, format_rupees
from numberdesk.providers import sql
from numberdesk.providers.adapters.reading import ABOVE_CEILING
from numberdesk.providers.model import Provider, ProviderId, Refused, RentAnswer, Unknown, Wanted

SETTLED_AFTER: Final = timedelta(seconds=30)
"""Longer than a transaction may take: no sale older than this is still to be committed."""
KEPT_MAX: Final = 1000


@dataclass(slots=True)
class _Begun:
    paise: int
    at: float
    """On the loop's clock."""


@dataclass(slots=True)
class Spending:
    """What this process knows of a day's spending, and what it has to tell of it."""

    midnight: datetime | None = None
    settled_until: datetime | None = None
    settled: dict[ProviderId, int] = field(default_factory=dict)
    sold: dict[ProviderId, int] = field(default_factory=dict)
    open: dict[ProviderId, dict[str, _Begun]] = field(default_factory=dict)
    refused: set[ProviderId] = field(default_factory=set)
    overruns: list[tuple[ProviderId, str]] = field(default_factory=list)
    reading: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)


def begin_purchase(spending: Spending, provider: Provider, reference: str, ceiling_paise: Paise) -> Refused | None:
    """Count a purchase before its request leaves; a refusal when the day's cap does not allow it."""
    if provider.spend_max_paise is None:
        return None
    begun = spending.open.setdefault(provider.id, {})
    others = sum(item.paise for name, item in begun.items() if name != reference)
    if spending.sold.get(provider.id, 0) + others + ceiling_paise > provider.spend_max_paise:
        spending.refused.add(provider.id)
        return Refused("spend_limit", "")
    begun[reference] = _Begun(ceiling_paise, asyncio.get_running_loop().time())
    return None


def end_purchase(spending: Spending, provider: Provider, wanted: Wanted, answer: RentAnswer) -> None:
    """Take a refused purchase out again, and remember a sale above its ceiling."""
    if isinstance(answer, Refused):
        take_back(spending, provider, wanted.reference)
    elif isinstance(answer, Unknown) and answer.detail == ABOVE_CEILING and len(spending.overruns) < KEPT_MAX:
        spending.overruns.append((provider.id, wanted.reference))


def take_back(spending: Spending, provider: Provider, reference: str) -> None:
    """Take out again what was begun and not sold."""
    spending.open.get(provider.id, {}).pop(reference, None)


async def refresh_spending(db: Database, spending: Spending, *, capped: dict[ProviderId, Provider]) -> None:
    """Read what all processes spent today, and write down what this one noticed since the last time.

    Args:
        capped: the providers that have a cap.
    """
    # Two readings at once would both add what was settled since the last one.
    async with spending.reading:
        await _refresh(db, spending, capped)


async def _refresh(db: Database, spending: Spending, capped: dict[ProviderId, Provider]) -> None:
    await _tell(db, spending, capped)
    if not capped:
        spending.midnight = None
        spending.open.clear()
        return
    asked = asyncio.get_running_loop().time()
    async with db.snapshot() as tx:
        moment, midnight = await sql.find_day(tx)
        if midnight != spending.midnight:
            spending.midnight, spending.settled_until, spending.settled = midnight, None, {}
        since = spending.settled_until or midnight - timedelta(microseconds=1)
        until = max(moment - SETTLED_AFTER, since)
        found = await sql.sum_day(tx, midnight=midnight, since=since, until=until)
        on_their_way = await sql.list_on_their_way(tx)
    sold = dict(spending.settled)
    for provider_id, all_of_it, settled in found:
        sold[provider_id] = sold.get(provider_id, 0) + all_of_it
        spending.settled[provider_id] = spending.settled.get(provider_id, 0) + settled
    spending.settled_until, spending.sold = until, sold
    # A purchase that began before the reading has its row: it is in one of the two numbers, or was refused.
    begun = {
        provider_id: {reference: item for reference, item in items.items() if item.at >= asked}
        for provider_id, items in spending.open.items()
    }
    for provider_id, reference, paise in on_their_way:
        begun.setdefault(provider_id, {}).setdefault(reference, _Begun(paise, asked))
    spending.open = begun


def spent_today(spending: Spending, provider_id: ProviderId) -> int:
    """Return what this process counts as spent today, what is on its way included."""
    return spending.sold.get(provider_id, 0) + sum(item.paise for item in spending.open.get(provider_id, {}).values())


async def _tell(db: Database, spending: Spending, capped: dict[ProviderId, Provider]) -> None:
    if not spending.refused and not spending.overruns:
        return
    refused, overruns = set(spending.refused), list(spending.overruns)
    async with db.transaction() as tx:
        for provider_id in sorted(refused & capped.keys()):
            limit = format_rupees(capped[provider_id].spend_max_paise or 0)
            detail = f"Purchases are refused: the day's {limit} rupees are spent. It goes on at midnight UTC."
            await sql.open_alert(tx, provider_id=provider_id, kind="spend_limit", detail=detail)
        for provider_id, reference in overruns:
            await sql.insert_overrun(tx, provider_id=provider_id, reference=reference)
    spending.refused -= refused
    del spending.overruns[: len(overruns)]
