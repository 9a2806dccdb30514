"""Counting: whatever happens, in whatever order, and wherever a pass dies, the rollups are what a plain count says."""

import asyncio
import random
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import zip_longest
from typing import Any

import pytest

from numberdesk.base import clock
from numberdesk.base.db import Database, Undone, run, value
from numberdesk.catalogue import service as catalogue
from numberdesk.reports import service as reports
from numberdesk.reports import sql
from numberdesk.reports.service import _count
from numberdesk.wallet.model import SANDBOX_OFFSET
from tests.reports.books import PROOFS, ZONES, Books, Rows, day_of, edges, naive, same, stored

pytestmark = pytest.mark.anyio

BEHIND = "SELECT clock_timestamp() - counted_until FROM report_mark"


async def right(books: Books) -> bool:
    """Tell whether the days of both zones are what a plain count of everything says."""
    for zone in ZONES:
        ours, plain = await stored(books.backstage, zone), await naive(books.backstage, zone)
        same(ours[0], plain[0])
        same(ours[1], plain[1])
        sums, _ = await stored(books.backstage, f"{zone}_sums")
        same(sums, summed(plain[0]))
    return True


def summed(rows: Rows) -> Rows:
    """Add days up by service, by country, by provider and to all."""
    found: Rows = {}
    for (day, service, country, provider), row in rows.items():
        for key in ((service, -1, -1), ("", country, -1), ("", -1, provider), ("", -1, -1)):
            total = found.setdefault((day, *key), {"waits": []})
            waits = [*zip_longest(total["waits"], row.get("waits", []), fillvalue=0)]
            numbers = {name: total.get(name, 0) + row[name] for name in row if name != "waits"}
            total |= numbers | {"waits": [sum(pair) for pair in waits]}
    return found


def times(books: Books, count: int, *, days: int) -> list[datetime]:
    """Draw times of the last days, many of them at midnights."""
    now = clock.now()
    today = now.date()
    drawn = [now - timedelta(seconds=books.draw.uniform(60, days * 86_400)) for _ in range(count)]
    some = [edge for number in range(1, days) for edge in edges(today - timedelta(days=number))]
    return [*drawn, *books.draw.sample(some, min(len(some), count))]


async def fill(books: Books, moments: Sequence[datetime]) -> None:
    """Sell at these times; codes and ends come within hours, some at midnights, some not yet."""
    for number, made in enumerate(moments):
        order_id = await books.order(made, sandbox=number % 11 == 10)
        later = min(made + timedelta(minutes=books.draw.choice((0, 1, 29, 31, 300))), clock.now())
        if number % 3 == 0:
            await books.deliver(order_id, later)
        elif number % 3 == 1:
            await books.end(order_id, books.draw.choice(PROOFS), later)
        if number % 4 == 0:
            await books.top_up(books.draw.choice(("razorpay", "trx")), 5000 + number, f"past-{number}", made)


async def test_the_days_are_what_a_plain_count_says(books: Books) -> None:
    await fill(books, times(books, 20, days=9))
    assert await reports.count(books.db) > 0
    assert await right(books)
    assert await value_of(books, "SELECT count(*) FROM report_due") == 0
    # What is far away from now is not even looked at again.
    before = await books.backstage.fetch("SELECT ctid, * FROM report_orders")
    await reports.count(books.db)
    assert sorted(await books.backstage.fetch("SELECT ctid, * FROM report_orders")) == sorted(before)


@pytest.mark.parametrize("seed", range(3))
async def test_after_random_operations_they_still_are(books: Books, seed: int) -> None:
    books.draw = random.Random(seed)
    await fill(books, times(books, 6, days=4))
    for _ in range(6):
        await reports.count(books.db)
        for _ in range(10):
            await books.something()
        await books.suspend("cashfree", 77, str(books.draw.random()))
    await reports.count(books.db)
    assert await right(books)


async def test_midnight_belongs_to_the_day_that_begins_in_each_zone(books: Books) -> None:
    day = clock.now().date() - timedelta(days=3)
    for moment in edges(day):
        await books.deliver(await books.order(moment), moment)
    await reports.count(books.db)
    assert await right(books)
    for zone in ZONES:
        rows, _ = await stored(books.backstage, zone)
        made: dict[date, int] = {}
        for key, row in rows.items():
            made[key[0]] = made.get(key[0], 0) + row["made"]
        assert made == {
            found: sum(day_of(moment, zone) == found for moment in edges(day))
            for found in {day_of(moment, zone) for moment in edges(day)}
        }


async def test_a_refund_counts_today_and_a_late_proof_on_the_day_of_the_end(books: Books) -> None:
    old = clock.now() - timedelta(days=5)
    paid, given_back = await books.order(old), await books.order(old)
    await books.deliver(paid, old + timedelta(minutes=1))
    await books.end(given_back, "due", old + timedelta(minutes=2))
    await reports.count(books.db)
    before, _ = await stored(books.backstage, "utc")
    await books.refund(paid)
    await books.prove(given_back, "refused")
    await reports.count(books.db)
    after, _ = await stored(books.backstage, "utc")
    assert await right(books)
    then, now = day_of(old, "utc"), clock.now().date()
    assert sum(row["due"] for key, row in before.items() if key[0] == then) == 1
    assert sum(row["due"] for key, row in after.items() if key[0] == then) == 0
    assert sum(row["refused"] for key, row in after.items() if key[0] == then) == 1
    assert sum(row["refunded"] for key, row in after.items() if key[0] == then) == 0
    assert sum(row["refunded"] for key, row in after.items() if key[0] == now) == 1


async def test_more_hours_for_a_rental_cost_what_their_provider_took(books: Books) -> None:
    rented = await books.order(clock.now() - timedelta(days=5))
    await books.deliver(rented, clock.now() - timedelta(days=5))
    await reports.count(books.db)
    await books.prolong(rented)
    await books.prolong(rented, state="refused")
    await reports.count(books.db)
    assert await right(books)
    rows, _ = await stored(books.backstage, "utc")
    (today,) = [row for key, row in rows.items() if key[0] == clock.now().date()]
    assert today["revenue_paise"] - today["cost_paise"] == 60
    assert (today["paid"], today["released"]) == (0, 0)


async def test_a_late_capture_is_revenue_of_today_of_an_order_of_then(books: Books) -> None:
    old = clock.now() - timedelta(days=5)
    order_id = await books.order(old)
    await reports.count(books.db)
    await books.deliver(order_id)
    await reports.count(books.db)
    rows, _ = await stored(books.backstage, "utc")
    assert await right(books)
    assert [row["delivered"] for key, row in rows.items() if key[0] == day_of(old, "utc")] == [1]
    assert [row["paid"] for key, row in rows.items() if key[0] == clock.now().date()] == [1]


async def test_a_change_that_commits_after_many_turns_is_counted(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numberdesk.reports.sql._due.LOOK_BACK", timedelta(0))
    order_id = await books.order(clock.now() - timedelta(days=2))
    await reports.count(books.db)
    async with books.backstage.transaction():
        await books.backstage.execute(
            "UPDATE orders SET state = 'expired', ended_at = clock_timestamp(), upstream_refund = 'refused',"
            " changed_at = clock_timestamp() WHERE id = $1",
            order_id,
        )
        for _ in range(4):
            await asyncio.sleep(0.01)
            await reports.count(books.db)
    await reports.count(books.db)
    assert await right(books)
    rows, _ = await stored(books.backstage, "utc")
    assert sum(row["sold"] for row in rows.values()) == 1
    # Once that transaction has ended, the mark moves on. Transactions of other databases of the server hold it, too.
    async with asyncio.timeout(60):
        while await value_of(books, BEHIND) > timedelta(seconds=60):
            await asyncio.sleep(0.05)
            await reports.count(books.db)


async def test_a_pass_that_dies_anywhere_is_made_good(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(books, times(books, 8, days=4))

    class Killed(BaseException):
        pass

    for place in range(1, 200):
        left = iter(range(place))

        def dies(step: Any, left: Any = left) -> Any:
            async def wrapped(*args: Any) -> Any:
                found = await step(*args)
                if next(left, None) is None:
                    raise Killed
                return found

            return wrapped

        with monkeypatch.context() as patch:
            for name in (
                "add_touched_due", "set_looked", "count_orders", "count_money", "count_taxes", "add_days_due",
                "delete_due",
            ):  # fmt: skip
                patch.setattr(sql, name, dies(getattr(sql, name)))
            try:
                await reports.count(books.db)
            except Killed:
                await books.something()
                continue
        break
    else:
        pytest.fail("it dies for ever")
    await reports.count(books.db)
    assert place > 10
    assert await right(books)


async def test_two_workers_at_once_count_the_same(books: Books) -> None:
    await fill(books, times(books, 10, days=5))
    for _ in range(3):
        await asyncio.gather(*(reports.count(books.db) for _ in range(4)), *(books.something() for _ in range(1)))
    await reports.count(books.db)
    assert await right(books)
    assert await value_of(books, "SELECT count(*) FROM report_due") == 0


async def test_rebuilding_makes_good_whatever_was_written(books: Books) -> None:
    await fill(books, times(books, 10, days=4))
    await reports.count(books.db)
    await books.backstage.execute("UPDATE report_orders SET revenue_paise = revenue_paise + 1 WHERE span <> 'slot'")
    await books.backstage.execute("UPDATE report_money SET lines = 7 WHERE span = 'slot'")
    await books.backstage.execute("DELETE FROM report_money WHERE span = 'ist' AND kind = 'hold'")
    await books.backstage.execute(
        "INSERT INTO report_taxes VALUES ('utc', date_trunc('day', clock_timestamp(), 'UTC') - interval '40 days',"
        " 'receipt', 1, 2, 3, 4, 5, 6, 7)"
    )
    left: list[int] = []
    assert await reports.rebuild(books.db, on_step=left.append) > 48
    assert left[-1] == 0
    assert await right(books)
    assert await value_of(books, "SELECT count(*) FROM report_taxes") == 0


async def test_rebuilding_waits_for_who_counts_just_now(books: Books) -> None:
    await reports.count(books.db)
    await books.order(clock.now())
    async with books.db.transaction() as tx:
        await sql.lock_mark(tx)
        assert await reports.count(books.db) == 0
        rebuilding = asyncio.create_task(reports.rebuild(books.db))
        await asyncio.sleep(0.05)
    assert await rebuilding > 0
    assert await right(books)


async def test_play_money_is_nowhere(books: Books) -> None:
    order_id = await books.order(clock.now() - timedelta(hours=1), sandbox=True)
    await books.deliver(order_id)
    await reports.count(books.db)
    rows, money = await stored(books.backstage, "utc")
    assert rows == {}
    assert {key[1] for key in money} == {"admin_credit"}
    assert await value_of(books, f"SELECT count(*) FROM entries WHERE account_id >= {SANDBOX_OFFSET}") > 0


async def test_a_run_that_takes_too_long_is_made_shorter(books: Books) -> None:
    await fill(books, times(books, 4, days=2))
    asked: list[int] = []

    async def slow(most: int) -> int:
        asked.append(most)
        if most > 1:
            raise Undone
        return await _count._count_run(books.db, most)

    await _count._find(books.db)
    assert await _count._shrinking(slow) == 1
    assert asked == [48, 6, 1]


async def test_after_a_long_pause_changes_are_found_in_steps(books: Books) -> None:
    await reports.count(books.db)
    await fill(books, times(books, 8, days=2))
    await books.backstage.execute(
        "UPDATE report_mark SET counted_until = clock_timestamp() - interval '50 hours',"
        " read_until = clock_timestamp() - interval '50 hours'"
    )
    await books.backstage.execute("UPDATE orders SET changed_at = clock_timestamp() - random() * interval '49 hours'")
    await reports.count(books.db)
    assert await right(books)


async def test_numbers_are_those_of_the_statistics_of_delivery(books: Books) -> None:
    await fill(books, times(books, 20, days=5))
    await reports.count(books.db)
    await catalogue.count_deliveries(books.db)
    totals = await catalogue.list_delivery_totals(books.db, window_hours=720)
    rows, _ = await stored(books.backstage, "utc")
    for name in ("sold", "delivered", "cancelled", "confirmed_paise", "assumed_paise", "refused_paise"):
        assert sum(getattr(total, name) for total in totals) == sum(row[name] for row in rows.values()), name
    assert sum(total.refunds for total in totals) == sum(row["released"] for row in rows.values())
    assert sum(total.refunds_paise for total in totals) == sum(row["released_paise"] for row in rows.values())


async def test_revenue_is_what_the_ledger_says(books: Books) -> None:
    await fill(books, times(books, 20, days=5))
    await books.refund(books.paid_ids[0])
    await reports.count(books.db)
    for zone in ZONES:
        rows, money = await stored(books.backstage, zone)
        earned = sum(row["revenue_paise"] - row["refunded_paise"] for row in rows.values())
        assert earned == sum(row["amount_paise"] for key, row in money.items() if key[2] == "revenue")


async def value_of(books: Books, query: str) -> Any:
    return await books.backstage.fetchval(query)


async def test_nothing_at_all_is_counted_as_nothing(db: Database) -> None:
    assert await reports.count(db) == 0
    assert await reports.rebuild(db) == 0
    async with db.transaction() as tx:
        assert await run(tx, "SELECT FROM report_orders") == 0
        assert await value(tx, "SELECT count(*) FROM report_due") == 0
