"""`GET /services?hours=`: numbers that are rented for hours or days, at the caller's price."""

import time
from typing import Any
from urllib.parse import urlencode

import pytest

from numberdesk.base.money import Paise, format_rupees
from numberdesk.providers.simulator import catalogue as theirs
from numberdesk.providers.simulator import rentals
from tests.http.stand import Client, Stand
from tests.http.test_lists import walk

TELEGRAM = "/services?service=tg&country=in&hours="
COST = rentals.cost_of(theirs.offers()["tg", 22], 24)
PATIENCE = 60.0


@pytest.fixture(autouse=True)
def _read(stand: Stand) -> None:
    """Wait until the worker has read the rentals of India; the first test does."""
    client, ends = stand.customer(), time.monotonic() + PATIENCE
    while any(not _found(client, f"{TELEGRAM}{hours}") for hours in (4, 24, 72, 168, 720)):
        assert time.monotonic() < ends, "The pass has read nothing."
        time.sleep(0.5)


def _found(client: Client, path: str) -> Any:
    answer = client.get(path)
    return answer.data["items"] if answer.status == 200 else None


def test_a_rental_is_listed_with_its_hours_and_our_price(alice: Client) -> None:
    (offer,) = alice.get(f"{TELEGRAM}24").data["items"]
    assert (offer["service"], offer["country"], offer["hours"]) == ("tg", 22, 24)
    assert offer["price"] == format_rupees(Paise(-(-COST * 12 // 10)))
    assert offer["stock"] == rentals.stock_of(theirs.offers()["tg", 22])
    assert (offer["canGetNext"], offer["extendPerMinute"], offer["delivery"]) == (True, None, None)
    (dearer,) = alice.get(f"{TELEGRAM}720").data["items"]
    assert float(dearer["price"]) > float(offer["price"])


def test_without_hours_the_offers_are_those_for_one_code(alice: Client) -> None:
    (offer,) = alice.get("/services?service=tg&country=in").data["items"]
    assert offer["hours"] is None
    assert {item["hours"] for item in alice.get("/services?limit=500").data["items"]} == {None}


@pytest.mark.parametrize("hours", [1, 5, 25, 8760])
def test_a_time_that_nobody_rents_for_is_refused_and_those_there_are_are_named(alice: Client, hours: int) -> None:
    answer = alice.get(f"/services?hours={hours}")
    assert answer.refusal == (400, "unknown_hours")
    assert answer.details["hours"] == hours
    assert answer.details["known"] == [4, 24, 72, 168, 720]


@pytest.mark.parametrize("hours", ["0", "-1", "8761", "9" * 30, "x", "1.5", "", "٢٤", "24 h"])
def test_hours_that_are_no_time_are_named(alice: Client, hours: str) -> None:
    answer = alice.get(f"/services?{urlencode({'hours': hours})}")
    assert answer.status == 400
    assert list(answer.details["fields"]) == ["hours"]


def test_other_words_are_refused_as_for_one_code(alice: Client) -> None:
    assert alice.get("/services?hours=24&service=nope").refusal == (400, "unknown_service")
    assert alice.get("/services?hours=24&country=ZZ").refusal == (400, "unknown_country")
    assert alice.get("/services?hours=24&country=BR&service=tg").data["items"] == []
    assert list(alice.get("/services?hours=24&q=" + "a" * 81).details["fields"]) == ["q"]


def test_a_cursor_walks_all_rentals_of_a_country_once(alice: Client) -> None:
    path = "/services?hours=24&country=IN"
    whole = alice.get(f"{path}&limit=500").data["items"]
    assert len(whole) > 15
    for limit in (1, 7, len(whole)):
        assert walk(alice, path, limit) == whole
