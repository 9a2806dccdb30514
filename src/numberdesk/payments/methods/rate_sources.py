"""What one TRX or USDT costs in rupees: three public sources, and how they agree on a price. No float anywhere."""

import asyncio
import json
import math
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from fractions import Fraction
from statistics import median
from typing import Any, Literal

from aiohttp import ClientSession

from numberdesk.base import http_client
from numberdesk.base.http_client import NOTHING, Answer, NoAnswer
from numberdesk.base.money import Paise
from numberdesk.payments.methods.gateway import Trouble

Asset = Literal["trx", "usdt"]
ASSETS: tuple[Asset, ...] = ("trx", "usdt")
UNITS = 1_000_000
"""Sun in a TRX, millionths in a USDT."""
PLACES = Decimal("0.00000001")
RATE_MAX = Decimal(1_000_000_000)
FRESH = timedelta(seconds=180)
LAST_GOOD = timedelta(minutes=10)
APART_PERCENT = 3
CLOCKS = timedelta(seconds=60)
"""How far a source's clock may be ahead of ours."""
STAFF = "staff"
BPS = 10_000

OK = 200
DEADLINE = 10.0
BODY_MAX = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sources:
    """Where prices are asked for."""

    session: ClientSession = field(repr=False)
    coingecko: str
    coindcx: str
    wazirx: str
    coingecko_key: str | None = field(default=None, repr=False)
    deadline: float = DEADLINE
    """Seconds for each."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one source said: paise for one whole unit."""

    source: str
    asset: Asset
    paise_per_unit: Decimal
    observed_at: datetime
    valid_until: datetime | None = None
    """Only for a rate that staff fixed."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A price that sources agree on."""

    paise_per_unit: Decimal
    samples: tuple[Sample, ...]
    basis: Literal["market", "last_good", "staff"]


@dataclass(frozen=True, slots=True)
class NoRate:
    """There is none; `reason` may be told to customers."""

    reason: str


async def fetch(sources: Sources, *, now: datetime) -> list[Sample | Trouble]:
    """Ask every source once for every asset, all at once, so that one that hangs does not let the others grow old."""

    def ask(url: str, *, headers: Mapping[str, str] = NOTHING, **params: str) -> Coroutine[Any, Any, Answer | NoAnswer]:
        return http_client.send(
            sources.session, "GET", url, params=params, headers=headers, deadline=sources.deadline, body_max=BODY_MAX
        )

    key = {} if sources.coingecko_key is None else {"x-cg-demo-api-key": sources.coingecko_key}
    gecko, dcx, *wazirx = await asyncio.gather(
        ask(
            f"{sources.coingecko}/api/v3/simple/price", headers=key, ids="tron,tether", vs_currencies="inr",
            include_last_updated_at="true", precision="full",
        ),
        ask(f"{sources.coindcx}/exchange/ticker"),
        *(ask(f"{sources.wazirx}/sapi/v1/ticker/24hr", symbol=f"{asset}inr") for asset in ASSETS),
    )  # fmt: skip
    found = read_each(gecko, read_coingecko, now=now) + read_each(dcx, read_coindcx, now=now)
    return [*found, *(sample for answer in wazirx for sample in read_each(answer, read_wazirx, now=now))]


def read_each(
    answer: Answer | NoAnswer, read: Callable[[Any], list[Sample]], *, now: datetime
) -> list[Sample | Trouble]:
    """Read an answer of a source; whatever is not just as expected is trouble and no price."""
    source = read.__name__.removeprefix("read_")
    if isinstance(answer, NoAnswer):
        return [Trouble(f"{source}: {answer.reason}")]
    if answer.status != OK:
        return [Trouble(f"{source}: status {answer.status}")]
    try:
        samples = read(json.loads(answer.body, parse_float=Decimal, parse_int=Decimal))
    except (
        ValueError, KeyError, TypeError, AttributeError, IndexError, ArithmeticError, RecursionError, OSError,
    ):  # fmt: skip
        return [Trouble(f"{source}: the answer is not readable")]
    return [
        sample if sample.observed_at <= now + CLOCKS else Trouble(f"{source}: it is from the future")
        for sample in samples
    ] or [Trouble(f"{source}: it names no price")]


def read_coingecko(body: Any) -> list[Sample]:
    """Read prices by CoinGecko."""
    names: dict[Asset, str] = {"trx": "tron", "usdt": "tether"}
    return [
        Sample("coingecko", asset, _paise(body[name]["inr"]), _moment(body[name]["last_updated_at"]))
        for asset, name in names.items()
        if name in body
    ]


def read_coindcx(body: Any) -> list[Sample]:
    """Read the last prices by CoinDCX, out of the list of all its markets."""
    markets: dict[str, Asset] = {"TRXINR": "trx", "USDTINR": "usdt"}
    return [
        Sample("coindcx", markets[item["market"]], _paise(item["last_price"]), _moment(item["timestamp"]))
        for item in body
        if item.get("market") in markets
    ]


def read_wazirx(body: Any) -> list[Sample]:
    """Read the last price of one market by WazirX."""
    symbols: dict[str, Asset] = {"trxinr": "trx", "usdtinr": "usdt"}
    return [Sample("wazirx", symbols[body["symbol"]], _paise(body["lastPrice"]), _moment(body["at"]))]


def _paise(rupees: object) -> Decimal:
    if not isinstance(rupees, str | Decimal) or len(str(rupees)) > 40:
        raise ValueError("not a price")
    try:
        value = Decimal(rupees)
    except InvalidOperation:
        raise ValueError("not a price") from None
    if not value.is_finite() or not 0 < value < RATE_MAX:
        raise ValueError("not a price")
    paise = (value * 100).quantize(PLACES, ROUND_DOWN)
    if paise <= 0:
        raise ValueError("not a price")
    return paise


def _moment(stamp: object) -> datetime:
    if not isinstance(stamp, Decimal) or not stamp.is_finite() or not 0 < stamp < Decimal(10) ** 14:
        raise ValueError("not a time")
    seconds = int(stamp) // 1000 if stamp > Decimal(10) ** 11 else int(stamp)
    return datetime.fromtimestamp(seconds, UTC)


def agree(samples: Sequence[Sample], *, now: datetime) -> Rate | NoRate:
    """Return the price of one asset that sources agree on.

    The median of at least two fresh sources that lie within three percent of it; else the last such agreement of the
    past ten minutes; else the rate that staff fixed.

    Args:
        samples: of one asset, from the past ten minutes and a freshness at least, in any order.
    """
    market = [sample for sample in samples if sample.source != STAFF]
    if (rate := _agreed(market, now)) is not None:
        return rate
    moments = sorted({sample.observed_at for sample in market if now - LAST_GOOD <= sample.observed_at <= now})
    for moment in reversed(moments):
        if (rate := _agreed(market, moment)) is not None:
            return Rate(rate.paise_per_unit, rate.samples, "last_good")
    fixed = [
        sample for sample in samples
        if sample.source == STAFF and sample.valid_until is not None and sample.valid_until > now
    ]  # fmt: skip
    if fixed:
        newest = max(fixed, key=lambda sample: sample.observed_at)
        return Rate(newest.paise_per_unit, (newest,), "staff")
    return NoRate("no price is fresh enough" if not _newest(market, now) else "sources disagree about the price")


def _newest(samples: Sequence[Sample], moment: datetime) -> list[Sample]:
    """Return the newest fresh sample of each source, as it was known at a moment."""
    by_source: dict[str, Sample] = {}
    for sample in samples:
        is_fresh = moment - FRESH < sample.observed_at <= moment + CLOCKS
        known = by_source.get(sample.source)
        if is_fresh and (known is None or known.observed_at < sample.observed_at):
            by_source[sample.source] = sample
    return list(by_source.values())


def _agreed(samples: Sequence[Sample], moment: datetime) -> Rate | None:
    fresh = _newest(samples, moment)
    if len(fresh) < 2:
        return None
    middle = median(sample.paise_per_unit for sample in fresh)
    near = [
        sample for sample in fresh if abs(sample.paise_per_unit - middle) * 100 <= middle * APART_PERCENT
    ]  # fmt: skip
    prices = sorted(sample.paise_per_unit for sample in near)
    # Two that differ by six percent are each within three of their middle: that is no agreement.
    if len(prices) < 2 or (len(prices) == 2 and prices[1] * 100 > prices[0] * (100 + APART_PERCENT)):
        return None
    price = median(prices).quantize(PLACES, ROUND_DOWN)
    return Rate(price, tuple(sorted(near, key=lambda sample: sample.source)), "market")


def with_spread(paise_per_unit: Decimal, bps: int) -> Decimal:
    """Return what is paid for a unit when the operator keeps some hundredths of a percent, rounded down."""
    return (paise_per_unit * (BPS - bps) / BPS).quantize(PLACES, ROUND_DOWN)


def units_for(amount_paise: int, paise_per_unit: Decimal) -> int:
    """Return how many millionths of a unit an amount takes, rounded up."""
    return math.ceil(Fraction(amount_paise * UNITS) / Fraction(paise_per_unit))


def paise_for(units: int, paise_per_unit: Decimal) -> Paise:
    """Return what millionths of a unit are worth, rounded down; the rest stays with the operator."""
    return Paise(math.floor(units * Fraction(paise_per_unit) / UNITS))
