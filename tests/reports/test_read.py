"""Reading: periods, groups and pages say what the days sum to; CSV has all of it and runs nothing."""

import csv
import io
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, get_args

import pytest

from numberdesk.base import clock
from numberdesk.base.errors import InvalidFields
from numberdesk.base.money import format_rupees
from numberdesk.reports import service as reports
from numberdesk.reports.model import Group, Kind, Period, Question, Zone
from tests.reports.books import ZONES, Books, Rows, naive
from tests.reports.test_count import fill, times

pytestmark = pytest.mark.anyio

DAYS = 9


@pytest.fixture
async def sold(books: Books) -> Books:
    """Nine days of sales, counted."""
    await fill(books, times(books, 15, days=DAYS))
    await books.refund(books.paid_ids[0])
    await books.suspend("cashfree", 77, "nobody")
    await reports.count(books.db)
    return books


def asked(kind: Kind, zone: Zone = "ist", period: Period = "day", by: tuple[Group, ...] = (), **other: Any) -> Question:
    last = reports.today(zone)
    return Question(kind, last - timedelta(days=DAYS + 4), last, zone, period, by, **other)


async def everything(books: Books, question: Question, *, limit: int = 7) -> list[dict[str, Any]]:
    """Return all lines, page by page."""
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = await reports.read(books.db, question, cursor=cursor, limit=limit)
        assert len(page.lines) <= limit
        found += page.lines
        if page.following is None:
            return found
        assert page.following != cursor
        cursor = page.following


def summed(rows: Rows, name: str) -> int:
    return sum(row.get(name, 0) for row in rows.values())


def paise(lines: list[dict[str, Any]], name: str) -> int:
    return sum(round(float(line[name]) * 100) for line in lines)


BY: tuple[tuple[Group, ...], ...] = ((), ("provider",), ("service", "country"), ("service", "country", "provider"))


async def test_lines_sum_to_what_was_sold(sold: Books) -> None:
    for zone in get_args(Zone):
        plain, _ = await naive(sold.backstage, zone)
        for period in get_args(Period):
            for by in BY:
                await _sums_are_right(sold, plain, asked("revenue", zone, period, by))


async def _sums_are_right(sold: Books, plain: Rows, question: Question) -> None:
    found = await everything(sold, question)
    keys = [tuple(line[name] for name in ("period", *question.by)) for line in found]
    assert len(set(keys)) == len(keys)
    assert [key[0] for key in keys] == sorted(key[0] for key in keys)
    assert sum(line["paid"] for line in found) == summed(plain, "paid")
    for name, column in (
        ("revenue", "revenue_paise"), ("cost", "cost_paise"), ("refundedAmount", "refunded_paise"),
        ("releasedAmount", "released_paise"), ("upstreamRefusedAmount", "refused_paise"),
    ):  # fmt: skip
        assert paise(found, name) == summed(plain, column)
    margin = [summed(plain, f"{name}_paise") for name in ("revenue", "refunded", "cost", "refused")]
    assert paise(found, "margin") == margin[0] - sum(margin[1:])
    delivery = await everything(sold, replace(question, kind="delivery"))
    assert sum(line["sold"] for line in delivery) == summed(plain, "sold")
    assert sum(line["delivered"] for line in delivery) == summed(plain, "delivered")


async def test_days_outside_and_other_numbers_are_left_out(sold: Books) -> None:
    plain, _ = await naive(sold.backstage, "ist")
    day = sorted({key[0] for key in plain})[3]
    inside = {key: row for key, row in plain.items() if key[0] == day and key[1:] == ("tg", 22, sold.market.alpha)}
    question = Question("delivery", day, day, by=("service",), service="tg", country=22, provider_id=sold.market.alpha)
    found = (await reports.read(sold.db, question)).lines
    assert sum(line["orders"] for line in found) == summed(inside, "made")  # type: ignore[misc]
    for group in (("service",), ()):
        alone = Question("delivery", day, day, by=group, service="tg")
        of_it = {key: row for key, row in plain.items() if key[:2] == (day, "tg")}
        assert sum(line["orders"] for line in (await reports.read(sold.db, alone)).lines) == summed(of_it, "made")  # type: ignore[misc]
    nobody = Question("revenue", day, day, provider_id=-1)
    assert (await reports.read(sold.db, nobody)).lines == []


async def test_weeks_begin_on_monday_and_months_on_the_first(sold: Books) -> None:
    weeks = await everything(sold, asked("revenue", period="week"))
    assert {date.fromisoformat(line["period"]).weekday() for line in weeks} == {0}
    months = await everything(sold, asked("liabilities", period="month"))
    assert {line["period"][-2:] for line in months} == {"01"}


async def test_liabilities_at_the_end_of_each_day_are_what_the_ledger_held(sold: Books) -> None:
    entries = await sold.backstage.fetch("SELECT at, bucket, amount_paise, account_id FROM entries")
    for zone in get_args(Zone):
        await _closings_are_right(sold, entries, zone)


async def _closings_are_right(sold: Books, entries: Any, zone: Zone) -> None:
    question = asked("liabilities", zone)
    found = await everything(sold, question)
    assert len(found) == DAYS + 5
    for line in found:
        day = date.fromisoformat(line["period"])
        end = datetime(day.year, day.month, day.day, tzinfo=ZONES[zone]) + timedelta(days=1)
        held = {
            bucket: sum(
                row["amount_paise"]
                for row in entries
                if row["bucket"] == bucket and row["at"] < end and (row["account_id"] or 0) < 10**12
            )
            for bucket in ("available", "held", "suspense")
        }
        assert {name: line[name] for name in held} == {name: format_rupees(amount) for name, amount in held.items()}
        told = await reports.liabilities(sold.db, until=day, zone=zone)
        assert format_rupees(told.total_paise) == line["total"]


async def test_what_is_owed_now_is_what_wallets_hold(sold: Books) -> None:
    found = await reports.liabilities(sold.db)
    wallets = await sold.backstage.fetchrow(
        "SELECT sum(available_paise) AS available, sum(held_paise) AS held FROM wallets"
        " WHERE NOT is_sandbox(account_id)"
    )
    assert (found.available_paise, found.held_paise) == (wallets["available"], wallets["held"])
    assert found.suspense_paise == 77
    assert found.total_paise == (await reports.liabilities(sold.db, until=reports.today("ist"))).total_paise


async def test_top_ups_are_told_by_method_and_gateway(sold: Books) -> None:
    _, money = await naive(sold.backstage, "ist")
    found = {line["gateway"]: line for line in await everything(sold, asked("topups", period="total"))}
    assert {rail: line["method"] for rail, line in found.items()} == {
        "": "staff", "razorpay": "upi", "trx": "trx", "cashfree": "upi",
    }  # fmt: skip
    for rail in ("razorpay", "trx"):
        plain = [row for key, row in money.items() if key[1:] == ("recharge", "available", rail)]
        assert found[rail]["credited"] == sum(row["lines"] for row in plain)
        assert paise([found[rail]], "creditedAmount") == sum(row["amount_paise"] for row in plain)
    assert (found["cashfree"]["suspended"], found["cashfree"]["suspendedAmount"]) == (1, "0.77")


async def test_taxes_are_what_receipts_and_notes_say(books: Books) -> None:
    now = clock.now()
    for number, (kind, taxable) in enumerate([("receipt", 8475), ("receipt", None), ("refund_note", 100)]):
        await books.backstage.execute(
            "INSERT INTO receipts (number, series, year, serial, account_id, payment_id, kind, refund_id, amount_paise,"
            " taxable_paise, cgst_paise, sgst_paise, igst_paise, details, issued_at)"
            " VALUES ($1, 'S', '26', $2, $3, $2, $4, $5, 10000, $6, $7, $8, 0, '{}', $9)",
            f"S{number}", number, books.account_id, kind, number if kind == "refund_note" else None, taxable,
            None if taxable is None else 762, None if taxable is None else 763, now,
        )  # fmt: skip
    await reports.count(books.db)
    found = await everything(books, asked("taxes", period="total"))
    assert [(line["kind"], line["receipts"], line["amount"], line["untaxed"]) for line in found] == [
        ("receipt", 2, "200.00", "100.00"), ("refund_note", 1, "100.00", "0.00"),
    ]  # fmt: skip
    assert [found[0][name] for name in ("taxable", "cgst", "sgst", "igst")] == ["84.75", "7.62", "7.63", "0.00"]


async def test_times_to_code_are_those_of_the_orders(books: Books) -> None:
    made = clock.now() - timedelta(hours=2)
    for seconds in (5, 9, 60):
        await books.deliver(await books.order(made), made + timedelta(seconds=2 + seconds))
    await reports.count(books.db)
    (line,) = await everything(books, asked("delivery", period="total"))
    assert (line["sold"], line["delivered"], line["rate"]) == (3, 3, 1.0)
    assert 9 <= line["medianSeconds"] <= 12
    assert 60 <= line["p90Seconds"] <= 73


async def test_csv_has_every_line(sold: Books) -> None:
    for kind in get_args(Kind):
        question = asked(kind, by=("service", "country", "provider"))
        rows = [*csv.DictReader(io.StringIO("".join([text async for text in reports.csv_lines(sold.db, question)])))]
        lines = await everything(sold, question, limit=500)
        assert bool(rows) == (kind != "taxes")
        assert rows == [{name: "" if cell is None else str(cell) for name, cell in line.items()} for line in lines]


async def test_csv_leaves_in_parts_and_reads_in_pages(sold: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numberdesk.reports.service._csv.CHUNK", 2)
    monkeypatch.setattr("numberdesk.reports.service._read.CSV_PAGE", 3)
    question = asked("revenue", by=("service", "country", "provider"))
    parts = [text async for text in reports.csv_lines(sold.db, question)]
    assert len(parts) > 5
    assert max(text.count("\r\n") for text in parts) <= 3
    monkeypatch.undo()
    assert "".join(parts) == "".join([text async for text in reports.csv_lines(sold.db, question)])


async def test_a_name_like_a_formula_is_text(sold: Books) -> None:
    question = asked("revenue", by=("service",), service="tg")
    for name in ("=cmd()|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\uff1d1"):
        await sold.backstage.execute("UPDATE services SET name = $1 WHERE code = 'tg'", name)
        text = "".join([part async for part in reports.csv_lines(sold.db, question)])
        rows = [*csv.DictReader(io.StringIO(text, newline=""))]
        assert {row["serviceName"] for row in rows} == {f"'{name}"}


async def test_a_cursor_of_somebody_elses_is_refused(books: Books) -> None:
    wrong: list[tuple[str, Kind]] = [
        ("2026-13-01|tg|22|1", "revenue"), ("2026-01-01", "revenue"), ("2026-01-01|tg|x|1", "delivery"),
        ("2026-01-01|tg|99999999999|1", "revenue"), ("2026-01-01|a|b", "topups"), ("2026-01-01|a", "liabilities"),
        ("2026-01-01|\x00|1|1", "revenue"), ("", "taxes"),
    ]  # fmt: skip
    for cursor, kind in wrong:
        with pytest.raises(InvalidFields, match="cursor"):
            await reports.read(books.db, asked(kind), cursor=cursor)


async def test_days_in_the_wrong_order_or_too_many_are_refused(books: Books) -> None:
    day = clock.now().date()
    with pytest.raises(InvalidFields, match="to"):
        await reports.read(books.db, Question("revenue", day, day - timedelta(days=1)))
    with pytest.raises(InvalidFields, match="to"):
        await reports.read(books.db, Question("revenue", day - timedelta(days=reports.DAYS_MAX), day))
