"""Delivery and refunds over HTTP: what customers see of an offer, and what staff see of everything."""

from typing import Any

import pytest

from numberdesk.catalogue import service as catalogue
from tests.http.staff import Member
from tests.http.stand import Client, Stand


def count(stand: Stand) -> None:
    """Count, and let the site read the counts, as its passes do every half minute."""
    stand.portal.call(catalogue.count_deliveries, stand.site.db)
    stand.portal.call(catalogue.refresh_statistics, stand.site.db, stand.site.shelf)


def offer(client: Client) -> dict[str, Any]:
    (found,) = client.get("/services?service=tg&country=22").data["items"]
    return dict(found)


def cancelled(stand: Stand, client: Client) -> None:
    order_id = client.buy()
    stand.ripen(order_id)
    assert client.post("/auth/cancel-number", {"orderId": order_id}).data["status"] == "cancelled"


@pytest.fixture(scope="module")
def support(stand: Stand) -> Client:
    """Somebody of the staff who may look."""
    return Member(stand, "support").client


def lines(client: Client, query: str = "") -> list[dict[str, Any]]:
    return list(client.get(f"/admin/statistics{query}").data["items"])


@pytest.fixture(scope="module")
def sold(stand: Stand) -> list[dict[str, Any]]:
    """Five numbers are sold, of which three get a code; the offer as it was seen before each."""
    seen = []
    client = stand.customer()
    for number in range(5):
        count(stand)
        seen.append(offer(client))
        if number < 3:
            stand.received(client, f"1234{number}")
        else:
            cancelled(stand, client)
    client.buy()  # still waits, and counts nowhere
    count(stand)
    return seen


def test_too_few_numbers_are_not_shown(sold: list[dict[str, Any]]) -> None:
    assert len(sold) == 5
    for seen in sold:
        assert (seen["delivery"], seen["medianSeconds"], seen["p90Seconds"]) == (None, None, None)


def test_an_offer_shows_its_rate_with_how_sure_it_is(stand: Stand, alice: Client, sold: object) -> None:
    found = offer(alice)
    assert found["delivery"] == {"rate": 0.6, "low": 0.23, "high": 0.883, "n": 5, "windowHours": 168}
    assert 1 <= found["medianSeconds"] <= found["p90Seconds"] <= 20
    others = [item for item in alice.get("/services?limit=500").data["items"] if item["service"] != "tg"]
    assert others
    assert {item["delivery"] for item in others} == {None}


def test_staff_see_counts_and_refunds_of_both_sides(stand: Stand, support: Client, sold: object) -> None:
    (line,) = lines(support, "?service=tg&provider=alpha")
    price, cost = (stand.ask(f"SELECT sum({name}) FROM orders WHERE state = 'cancelled'") for name in
                   ("price_paise", "cost_paise"))  # fmt: skip
    rupees = {"customers": f"{price // 100}.{price % 100:02}", "confirmed": f"{cost // 100}.{cost % 100:02}"}
    assert line["refunds"] == {
        "customers": {"count": 2, "amount": rupees["customers"]},
        "confirmed": {"count": 2, "amount": rupees["confirmed"]},
        "assumed": {"count": 0, "amount": "0.00"},
        "refused": {"count": 0, "amount": "0.00"},
        "due": {"count": 0, "amount": "0.00"},
        "gap": {"count": 0, "amount": "0.00"},
    }
    seen = {name: line[name] for name in ("provider", "service", "country", "operator", "windowHours")}
    assert seen == {"provider": "alpha", "service": "tg", "country": 22, "operator": "any", "windowHours": 168}
    assert (line["n"], line["delivered"], line["cancelled"]) == (5, 3, 2)
    assert (line["rate"], line["low"], line["high"]) == (0.6, 0.23, 0.883)


@pytest.mark.parametrize(
    ("by", "named"),
    [("provider", (None, None, None)), ("service", ("tg", 22, None)), ("operator", ("tg", 22, "any"))],
)
def test_lines_can_be_added_up(support: Client, sold: object, by: str, named: tuple[object, ...]) -> None:
    (line,) = lines(support, f"?by={by}")
    assert line["n"] == 5
    assert (line["service"], line["country"], line["operator"]) == named


def test_what_nobody_sold_has_no_line(support: Client, sold: object) -> None:
    for query in ("?service=wa", "?country=0", "?country=RU"):
        assert lines(support, query) == []
    assert len(lines(support, "?windowHours=1")) == 1
    assert len(lines(support, "?provider=1&country=22")) == len(lines(support, "?provider=alpha&country=IN")) == 1


@pytest.mark.parametrize(
    "query",
    ["windowHours=0", "windowHours=721", "by=customer", "limit=501", "country=x", "provider=nobody", "provider=999"],
)
def test_bad_questions_are_refused_by_name(support: Client, query: str) -> None:
    answer = support.get(f"/admin/statistics?{query}")
    assert answer.refusal == (400, "invalid_request")
    assert list(answer.details["fields"]) == [query.partition("=")[0]]


def test_customers_do_not_see_what_staff_see(alice: Client) -> None:
    assert alice.get("/admin/statistics").status == 403
