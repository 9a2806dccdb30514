"""Reports over HTTP: finance and above read them, everything is bounded, and CSV is a file that runs nothing."""

import csv
import io
from typing import Any

import pytest

from numberdesk.reports import service as reports
from tests.http.staff import Member
from tests.http.stand import PRICE, Client, Stand

KINDS = ("revenue", "delivery", "topups", "taxes", "liabilities")


@pytest.fixture(scope="module")
def finance(stand: Stand) -> Client:
    """Somebody who may read reports."""
    return Member(stand, "finance").client


@pytest.fixture(scope="module")
def sold(stand: Stand) -> Client:
    """A customer who paid for two codes and cancelled a third number; all of it is counted."""
    client = stand.customer()
    for code in ("123401", "123402"):
        stand.received(client, code)
    order_id = client.buy()
    stand.ripen(order_id)
    assert client.post("/auth/cancel-number", {"orderId": order_id}).data["status"] == "cancelled"
    stand.portal.call(reports.count, stand.site.db)
    return client


def items(client: Client, path: str) -> list[dict[str, Any]]:
    return list(client.get(f"/admin/reports/{path}").data["items"])


def test_revenue_with_cost_and_refunds_of_both_sides(finance: Client, sold: Client) -> None:
    (line,) = items(finance, "revenue?service=tg")
    assert (line["service"], line["country"], line["provider"]) == ("tg", 22, "alpha")
    assert (line["paid"], line["revenue"], line["cost"], line["margin"]) == (2, "42.60", "35.50", "7.10")
    assert (line["released"], line["releasedAmount"]) == (1, PRICE)
    assert (line["upstreamConfirmed"], line["upstreamConfirmedAmount"]) == (1, "17.75")


def test_delivery_and_what_is_owed(stand: Stand, finance: Client, sold: Client) -> None:
    (line,) = items(finance, "delivery?by=provider&period=total")
    assert (line["orders"], line["sold"], line["delivered"], line["cancelled"]) == (3, 3, 2, 1)
    owed = finance.get("/admin/liabilities").data
    assert owed["total"] == f"{1000 - 42.60:.2f}"
    assert items(finance, "liabilities")[-1]["total"] == owed["total"]
    today = stand.ask("SELECT (clock_timestamp() AT TIME ZONE 'Asia/Kolkata')::date::text")
    assert finance.get(f"/admin/liabilities?day={today}").data["total"] == owed["total"]
    assert finance.get("/admin/liabilities?day=2020-01-01&zone=utc").data["total"] == "0.00"


def test_a_page_says_what_it_is_and_how_new(finance: Client, sold: Client) -> None:
    page = finance.get("/admin/reports/topups?from=2026-01-01&to=2027-12-31&zone=utc&period=month").data
    assert (page["kind"], page["zone"], page["period"]) == ("topups", "utc", "month")
    assert (page["first"], page["last"], page["waiting"]) == ("2026-01-01", "2027-12-31", 0)
    assert page["countedAt"] is not None
    assert [line["method"] for line in page["items"]] == ["staff"]


def test_pages_follow_each_other(finance: Client, sold: Client) -> None:
    first = finance.get("/admin/reports/liabilities?limit=20").data
    second = finance.get(f"/admin/reports/liabilities?limit=20&cursor={first['nextCursor']}").data
    assert (len(first["items"]), len(second["items"]), second["nextCursor"]) == (20, 10, None)
    assert first["items"] + second["items"] == items(finance, "liabilities")


@pytest.mark.parametrize("kind", KINDS)
def test_csv_is_a_file_with_the_same_lines(finance: Client, sold: Client, kind: str) -> None:
    answer = finance.get(f"/admin/reports/{kind}.csv")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"].startswith(f'attachment; filename="{kind}-')
    rows = [*csv.DictReader(io.StringIO(answer.body.decode(), newline=""))]
    assert rows == [
        {name: "" if cell is None else str(cell) for name, cell in line.items()}
        for line in items(finance, f"{kind}?limit=500")
    ]


def test_a_name_like_a_formula_is_text_in_csv(stand: Stand, finance: Client, sold: Client) -> None:
    name = stand.ask("SELECT name FROM services WHERE code = 'tg'")
    try:
        stand.change("UPDATE services SET name = '=cmd()' WHERE code = 'tg'")
        assert b",'=cmd()," in finance.get("/admin/reports/revenue.csv").body
    finally:
        stand.change("UPDATE services SET name = $1 WHERE code = 'tg'", name)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("period=year", "period"), ("zone=est", "zone"), ("by=customer", "by"), ("by=service,", "by"),
        ("limit=501", "limit"), ("limit=0", "limit"), ("from=yesterday", "from"), ("to=2026-02-30", "to"),
        ("from=2026-02-02&to=2026-02-01", "to"), ("from=2020-01-01&to=2026-01-01", "to"), ("from=0001-01-01", "from"),
        ("to=9999-12-31", "to"), ("cursor=%3D", "cursor"), ("cursor=2026-99-99|a|1|1", "cursor"),
        ("country=-1", "country"), ("country=XX", "country"), ("provider=nobody", "provider"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["revenue", "revenue.csv"])
def test_bad_questions_are_refused_by_name(finance: Client, kind: str, query: str, field: str) -> None:
    if field == "cursor":
        kind = "revenue"  # a file has no pages
    answer = finance.get(f"/admin/reports/{kind}?{query}")
    assert answer.refusal == (400, "invalid_request")
    assert list(answer.details["fields"]) == [field]


@pytest.mark.parametrize("kind", ["profit", "revenue.xls", ".csv", "Revenue", "revenue.csv.csv"])
def test_a_report_that_does_not_exist_is_not_found(finance: Client, kind: str) -> None:
    assert finance.get(f"/admin/reports/{kind}").refusal == (404, "not_found")


def test_lines_are_chosen_by_names_and_by_numbers(finance: Client, sold: Client) -> None:
    for query in ("provider=alpha", "provider=1", "country=IN", "country=22"):
        assert len(items(finance, f"revenue?{query}")) == 1, query
    assert items(finance, "revenue?country=US") == []


def test_reports_are_for_finance_and_above(stand: Stand, alice: Client) -> None:
    paths = [f"/admin/reports/{kind}" for kind in KINDS] + ["/admin/reports/revenue.csv", "/admin/liabilities"]
    for path in paths:
        assert Member(stand, "support").client.get(path).refusal == (403, "scope_too_small")
        assert alice.get(path).status == 403
        assert stand.nobody.get(path).status == 401
    assert Member(stand, "ops").client.get("/admin/reports/revenue").refusal == (403, "scope_too_small")
    assert Member(stand, "finance").client.get("/admin/reports/revenue").status == 200
    assert Member(stand, "owner").client.get("/admin/reports/revenue").status == 200
