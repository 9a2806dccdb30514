"""Counting deliveries: over again it is the same, and the same as counting by hand; intervals and times from counts."""

import asyncio
import math
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from numberdesk.base import clock
from numberdesk.base.db import Undone, run
from numberdesk.catalogue import service as catalogue
from numberdesk.catalogue.service import WAIT_BOUNDS_MS
from numberdesk.catalogue.service._statistics import rate, seconds_within, wilson
from numberdesk.providers.model import ProviderId
from tests.catalogue.counted import Past, counted, drawn, histogram, open_account, settled, stored, totals, write
from tests.catalogue.market import INDIA, Market

pytestmark = pytest.mark.anyio

COUNTS = st.integers(0, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
WAITS = st.lists(st.floats(0, 60_000), min_size=1, max_size=60)


# Pure: intervals and times.


@pytest.mark.parametrize(
    ("delivered", "n", "low", "high"),
    [
        (8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (1, 1, 0.2065, 1.0),
        (50, 100, 0.4038, 0.5962), (81, 263, 0.2553, 0.3662), (999, 1000, 0.9943, 0.9998),
    ],
)  # fmt: skip
def test_the_interval_is_wilsons(delivered: int, n: int, low: float, high: float) -> None:
    found = wilson(delivered, n)
    assert found is not None
    assert found == pytest.approx((low, high), abs=0.0001)


def test_without_numbers_there_is_no_rate_rather_than_zero() -> None:
    assert rate(0, 0) is None
    assert wilson(0, 0) is None
    assert seconds_within([], 50) is None
    assert seconds_within([0, 0], 50) is None


@given(COUNTS)
@example((0, 1))
@example((10**6, 10**6))
def test_the_rate_lies_in_its_interval(count: tuple[int, int]) -> None:
    delivered, n = count
    share, interval = rate(delivered, n), wilson(delivered, n)
    if n == 0:
        assert (share, interval) == (None, None)
        return
    assert share is not None
    assert interval is not None
    assert 0 <= interval[0] <= share <= interval[1] <= 1
    mirrored = wilson(n - delivered, n)
    assert mirrored is not None
    assert interval[0] == pytest.approx(1 - mirrored[1], abs=1e-9)


@given(COUNTS, st.integers(2, 50))
def test_more_numbers_make_it_surer(count: tuple[int, int], times: int) -> None:
    few, many = wilson(*count), wilson(count[0] * times, count[1] * times)
    if few is not None and many is not None:
        assert many[1] - many[0] < few[1] - few[0]


@given(WAITS, st.sampled_from((50, 90)))
def test_so_many_percent_came_within_the_seconds_told(waits: list[float], percent: int) -> None:
    told = seconds_within(histogram(waits), percent)
    assert told is not None
    exact = sorted(waits)[math.ceil(len(waits) * percent / 100) - 1]
    last = WAIT_BOUNDS_MS[-1] / 1000
    assert told >= min(exact, last)
    # Not much later either: one place of the histogram, and up to the next second.
    assert told <= max(1, math.ceil(min(exact, last) * 2**0.25 + 0.01)) + 1


def test_the_places_of_a_histogram_grow_by_a_quarter_of_a_doubling() -> None:
    assert list(WAIT_BOUNDS_MS) == sorted(set(WAIT_BOUNDS_MS))
    assert (WAIT_BOUNDS_MS[0], WAIT_BOUNDS_MS[4], WAIT_BOUNDS_MS[40]) == (1000, 2000, 1_024_000)
    assert seconds_within([0, 0, 0, 0, 0, 4], 50) == 3
    assert seconds_within([9, 0, 0, 0, 0, 1], 90) == 1
    assert seconds_within([8, 0, 0, 0, 0, 2], 90) == 3
    assert seconds_within([0] * 63 + [1], 50) == math.ceil(WAIT_BOUNDS_MS[-1] / 1000)


# Counting, with PostgreSQL.


@pytest.fixture
async def backstage(admin_url: str) -> AsyncIterator[Any]:
    """A superuser's connection."""
    connection = await asyncpg.connect(admin_url)
    yield connection
    await connection.close()


def now() -> datetime:
    return clock.now()


@pytest.mark.parametrize("seed", range(4))
async def test_counts_are_those_of_the_orders(market: Market, backstage: Any, seed: int) -> None:
    orders = drawn(seed, 300, now(), (market.alpha, market.beta), days=4 if seed else 0.1)
    account_id = await open_account(market.db)
    await write(backstage, account_id, orders)
    assert await catalogue.count_deliveries(market.db) == len(counted(orders))
    assert await stored(backstage) == counted(orders)
    # Again it is the same, and the rows are not even written.
    before = await backstage.fetch("SELECT ctid, * FROM delivery_stats ORDER BY hour, service")
    assert await catalogue.count_deliveries(market.db) == 0
    assert sorted(await backstage.fetch("SELECT ctid, * FROM delivery_stats ORDER BY hour, service")) == sorted(before)
    # Some change later, in hours that are over, and new ones come.
    late = [
        settled(order, *(("completed", "none") if number % 2 else ("expired", "assumed")))
        for number, order in enumerate(orders)
        if order.end in ("active", "requested")
    ]
    fresh = drawn(seed + 100, 50, now(), (market.beta,), days=2, first=1000)
    await write(backstage, account_id, [*late, *fresh])
    changed = {order.id: order for order in [*orders, *late, *fresh]}.values()
    assert await catalogue.count_deliveries(market.db) > 0
    assert await stored(backstage) == counted(changed)


async def test_a_late_end_moves_the_hour_in_which_the_order_was_made(market: Market, backstage: Any) -> None:
    made = now() - timedelta(hours=5)
    waiting = Past(1, made, market.alpha, "tg", INDIA, "any", "active", 0, "due", 900, 700)
    account_id = await open_account(market.db)
    await write(backstage, account_id, [waiting])
    assert await catalogue.count_deliveries(market.db) == 0
    assert await stored(backstage) == {}
    done = settled(waiting, "completed", "none", wait=61)
    await write(backstage, account_id, [done])
    assert await catalogue.count_deliveries(market.db) == 1
    found = await stored(backstage)
    assert [key[0] for key in found] == [waiting.hour]
    assert found == counted([done])


async def test_what_commits_later_than_it_changed_is_counted(market: Market, backstage: Any, admin_url: str) -> None:
    account_id = await open_account(market.db)
    order = Past(1, now(), market.alpha, "tg", INDIA, "any", "expired", 0, "assumed", 900, 700)
    async with backstage.transaction():
        await write(backstage, account_id, [order])
        await asyncio.sleep(0.1)
        assert await catalogue.count_deliveries(market.db) == 0
    assert await catalogue.count_deliveries(market.db) == 1
    assert await stored(backstage) == counted([order])


async def test_a_pass_cut_off_between_two_hours_is_made_good(market: Market, backstage: Any) -> None:
    orders = drawn(7, 120, now(), (market.alpha,), days=2)
    await write(backstage, await open_account(market.db), orders)
    wanted = counted(orders)
    middle = sorted(wanted)[len(wanted) // 2]
    async with market.db.transaction() as tx:
        # Somebody else's row for an hour in the middle, which is not committed yet, stops the pass there.
        await run(
            tx,
            "INSERT INTO delivery_stats SELECT $1, $2, $3, $4, $5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '{}'",
            *middle,
        )
        with pytest.raises(Undone):
            await catalogue.count_deliveries(market.db)
    part = await stored(backstage)
    assert {key for key in part if key != middle} == {key for key in wanted if key[0] < middle[0]}
    await catalogue.count_deliveries(market.db)
    assert await stored(backstage) == wanted


async def test_two_workers_at_once_count_the_same(market: Market, backstage: Any) -> None:
    orders = drawn(8, 200, now(), (market.alpha, market.beta), days=1)
    await write(backstage, await open_account(market.db), orders)
    await asyncio.gather(*(catalogue.count_deliveries(market.db) for _ in range(4)))
    assert await stored(backstage) == counted(orders)


async def test_old_hours_are_forgotten_and_stay_so(market: Market, backstage: Any) -> None:
    old = Past(1, now() - timedelta(days=32), market.alpha, "tg", INDIA, "any", "expired", 0, "assumed", 900, 700)
    young = settled(Past(**{**old.__dict__, "id": 2, "created_at": now() - timedelta(days=30)}), "completed", "none")
    account_id = await open_account(market.db)
    await write(backstage, account_id, [old, young])
    await catalogue.count_deliveries(market.db)
    assert await stored(backstage) == counted([young])
    await backstage.execute("UPDATE delivery_stats SET hour = hour - interval '2 days'")
    await catalogue.count_deliveries(market.db)
    assert await stored(backstage) == counted([young])


async def test_a_row_that_no_order_stands_for_goes(market: Market, backstage: Any) -> None:
    order = Past(1, now(), market.alpha, "tg", INDIA, "any", "expired", 0, "assumed", 900, 700)
    await write(backstage, await open_account(market.db), [order])
    await catalogue.count_deliveries(market.db)
    await backstage.execute("UPDATE delivery_stats SET operator = 'nobody', sold = 99")
    await catalogue.count_deliveries(market.db)
    assert await stored(backstage) == counted([order])


async def test_a_window_holds_its_hours_and_no_others(market: Market, backstage: Any) -> None:
    orders = drawn(9, 400, now(), (market.alpha, market.beta), days=20)
    await write(backstage, await open_account(market.db), orders)
    await catalogue.count_deliveries(market.db)
    hour = now().replace(minute=0, second=0, microsecond=0)
    for window in (24, 168, 720):
        inside = [order for order in orders if order.hour >= hour - timedelta(hours=window)]
        found = await catalogue.list_delivery_totals(market.db, window_hours=window)
        wanted = {key[1:] for key in counted(inside)}
        assert {(item.provider_id, item.service, item.country, item.operator) for item in found} == wanted
        for item in found:
            of_it = [
                order
                for order in inside
                if (order.provider_id, order.service, order.country, order.operator)
                == (item.provider_id, item.service, item.country, item.operator)
            ]
            numbers = totals(of_it)
            assert {name: getattr(item, name) for name in numbers} == numbers
        for by, size in (("provider", 2), ("service", 8), ("operator", 16)):
            groups = catalogue.grouped(found, by)  # type: ignore[arg-type]
            assert len(groups) <= size
            assert sum(group.sold for group in groups) == sum(order.is_sold for order in inside)
            assert sum(sum(group.waits) for group in groups) == sum(order.is_delivered for order in inside)


async def test_filters_leave_what_is_named(market: Market, backstage: Any) -> None:
    await write(backstage, await open_account(market.db), drawn(10, 300, now(), (market.alpha, market.beta), days=1))
    await catalogue.count_deliveries(market.db)
    found = await catalogue.list_delivery_totals(market.db, service="tg", country=22, provider_id=market.alpha)
    assert {(item.service, item.country, item.provider_id) for item in found} == {("tg", 22, market.alpha)}
    assert {item.operator for item in found} == {"any", "airtel"}
    assert await catalogue.list_delivery_totals(market.db, provider_id=ProviderId(999)) == []


async def test_the_shelf_learns_of_deliveries_without_new_prices(market: Market, backstage: Any) -> None:
    contents = market.shelf.contents
    account_id = await open_account(market.db)
    orders = [
        Past(number, now(), market.alpha, "tg", INDIA, "any", "completed" if number < 9 else "expired", 9, "none", 9, 9)
        for number in range(1, 11)
    ]
    await write(backstage, account_id, orders)
    assert await catalogue.refresh_statistics(market.db, market.shelf) is True
    assert market.shelf.deliveries == {}
    assert await catalogue.refresh_statistics(market.db, market.shelf) is False
    await catalogue.count_deliveries(market.db)
    assert await catalogue.refresh_statistics(market.db, market.shelf) is True
    delivery = market.shelf.deliveries["tg", INDIA, market.alpha, "any"]  # type: ignore[index]
    assert (delivery.n, delivery.delivered, delivery.window_hours) == (10, 8, 168)
    assert (delivery.low, delivery.high) == pytest.approx((0.4902, 0.9433), abs=0.0001)
    assert (delivery.median_seconds, delivery.p90_seconds) == (10, 10)
    assert await catalogue.refresh(market.db, market.shelf) is False
    assert market.shelf.contents is contents
    await catalogue.count_deliveries(market.db)
    assert await catalogue.refresh_statistics(market.db, market.shelf) is False
