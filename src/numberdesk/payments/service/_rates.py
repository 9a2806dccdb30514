"""Prices of TRX and USDT: fetched in the background, promised in quotes, and known at the moment when money came."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import structlog

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import Caller
from numberdesk.audit import service as audit
from numberdesk.audit.model import Event
from numberdesk.base import clock
from numberdesk.base.db import Database, Tx
from numberdesk.base.money import Paise
from numberdesk.base.visit import Visit
from numberdesk.payments import sql
from numberdesk.payments.methods import rate_sources
from numberdesk.payments.methods.gateway import Trouble
from numberdesk.payments.methods.rate_sources import FRESH, LAST_GOOD, STAFF, NoRate, Rate, Sample
from numberdesk.payments.model import Asset, Quote
from numberdesk.payments.service._errors import RateUnknown
from numberdesk.payments.service._till import Till

log = structlog.get_logger()

SAMPLES_KEPT = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Price:
    """What a unit is credited as; `quote_id` when it was promised."""

    paise_per_unit: Decimal
    quote_id: int | None = None

    def credit(self, units: int) -> Paise:
        """Return what millionths of a unit are credited as, rounded down."""
        return rate_sources.paise_for(units, self.paise_per_unit)


async def fetch_rates(till: Till) -> int:
    """Ask all sources once and write down what they say; trouble of one is logged, and the others count.

    Returns:
        How many samples were written.
    """
    if till.sources is None:
        return 0
    answers = await rate_sources.fetch(till.sources, now=clock.now())
    for answer in answers:
        if isinstance(answer, Trouble):
            log.warning("rate_source_failed", problem=answer.reason)
    samples = [answer for answer in answers if isinstance(answer, Sample)]
    if samples:
        async with till.db.statement() as tx:
            await sql.insert_samples(tx, samples)
    return len(samples)


async def rate_now(tx: Tx, asset: Asset) -> Rate | NoRate:
    """Return the price that sources agree on at this moment, without the operator's spread."""
    return rate_sources.agree(await sql.list_samples(tx, asset, since=FRESH + LAST_GOOD), now=clock.now())


async def rates(db: Database) -> list[tuple[Asset, Rate | NoRate]]:
    """Return the price of every asset at this moment, without the operator's spread, or why there is none."""
    async with db.statement() as tx:
        return [(asset, await rate_now(tx, asset)) for asset in rate_sources.ASSETS]


async def spot(till: Till, tx: Tx, asset: Asset) -> Price | None:
    """Return what a unit is credited as at this moment; None when no price is fresh enough."""
    rate = await rate_now(tx, asset)
    if isinstance(rate, NoRate):
        return None
    return Price(rate_sources.with_spread(rate.paise_per_unit, till.rules.spread_bps))


async def closed_reason(till: Till, asset: Asset) -> str | None:
    """Return why nothing can be quoted for an asset, or None."""
    async with till.db.statement() as tx:
        rate = await rate_now(tx, asset)
    return rate.reason if isinstance(rate, NoRate) else None


async def make_quote(till: Till, tx: Tx, asset: Asset, amount_paise: Paise) -> Quote:
    """Promise a price for a while, and keep every sample that it was made of.

    Raises:
        RateUnknown: no price is fresh enough.
    """
    rate = await rate_now(tx, asset)
    if isinstance(rate, NoRate):
        raise RateUnknown(reason=rate.reason)
    price = rate_sources.with_spread(rate.paise_per_unit, till.rules.spread_bps)
    return await sql.insert_quote(
        tx, asset=asset, paise_per_unit=price, spread_bps=till.rules.spread_bps, basis=rate.basis,
        samples=_told(rate.samples), units=rate_sources.units_for(amount_paise, price),
        lifetime=till.rules.quote_lifetime,
    )  # fmt: skip


def _told(samples: Sequence[Sample]) -> str:
    return json.dumps(
        [
            {"source": item.source, "paisePerUnit": str(item.paise_per_unit), "at": item.observed_at.isoformat()}
            for item in samples
        ]
    )


async def fix_rate(
    till: Till, asset: Asset, *, paise_per_unit: Decimal | None, lasting: timedelta, caller: Caller | None = None,
    visit: Visit | None = None,
) -> None:  # fmt: skip
    """Fix a rate that holds when sources have none, or take the fixed one back."""
    now = clock.now()
    details: dict[str, Any] = {
        "asset": asset,
        "paise_per_unit": None if paise_per_unit is None else str(paise_per_unit),
    }
    async with till.db.transaction() as tx:
        before = await sql.end_staff_rates(tx, asset)
        details["paise_per_unit_before"] = str(before[0]) if before else None
        if paise_per_unit is not None:
            await sql.insert_samples(tx, [Sample(STAFF, asset, paise_per_unit, now, now + lasting)])
        if caller is None or visit is None:
            event = Event("rate_fixed", None, "shell", details=details)
        else:
            event = accounts.done_by(caller, visit, "rate_fixed", **details)
        await audit.record(tx, event)


async def forget_samples(till: Till, *, limit: int = 1000) -> int:
    """Delete samples of long ago; quotes keep their own."""
    async with till.db.statement() as tx:
        return await sql.delete_samples(tx, keep=SAMPLES_KEPT, limit=limit)
