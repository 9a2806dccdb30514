"""Numbers for hours through unmodified clients: the official one, and herosms."""

import pytest

from tests.clients.stage import Seen, play
from tests.http.stand import Stand
from tests.http.test_rentals import wait_for_rentals

PRICE = 42.60


@pytest.fixture(scope="module")
def official(stand: Stand) -> Seen:
    wait_for_rentals(stand)
    return play(stand, "smsactivate_rent")


@pytest.fixture(scope="module")
def hero(stand: Stand) -> Seen:
    wait_for_rentals(stand)
    return play(stand, "herosms_rent")


def test_the_official_client_rents_reads_prolongs_and_finishes(official: Seen) -> None:
    assert official["offers"]["services"]["tg"]["cost"] == PRICE
    assert official["rented"]["status"] == "success"
    assert official["rented"]["phone"]["number"].isdigit()
    assert official["waiting"]["message"] == "STATUS_WAIT_CODE"
    assert official["list"]["values"]["0"]["id"] == str(official["rented"]["phone"]["id"])
    assert official["messages"]["quantity"] == "2"
    assert official["price"]["price"] == PRICE
    assert official["prolonged"]["phone"]["id"] == official["rented"]["phone"]["id"]
    assert official["too late"]["message"] == "CANT_CANCEL"
    assert official["finish"] == {"status": "success"}
    assert official["over"]["message"] == "STATUS_FINISH"


def test_the_official_client_knows_the_words_and_pays_once(official: Seen) -> None:
    said = {name: official[name]["message"] for name in ("poor", "no service", "cancel again", "foreign")}
    assert said == {
        "poor": "NO_BALANCE", "no service": "BAD_SERVICE", "cancel again": "ALREADY_CANCEL", "foreign": "INVALID_PHONE",
    }  # fmt: skip
    assert official["cancel"] == {"status": "success"}
    assert official["balance after"] == {"balance": f"{1000 - 2 * PRICE:.2f}"}


def test_herosms_rents_and_treats_it_as_any_number(hero: Seen) -> None:
    assert hero["offers"]["22"]["4"]["price"] == PRICE
    assert "NO_BALANCE" in hero["poor"]
    assert hero["rented"][2] == PRICE
    assert (hero["code"], hero["all"]) == ("12345", ["12345"])
    assert "OTP_RECEIVED" in hero["cancel when paid"]
    assert float(hero["balance after"]) == round(1000 - PRICE, 2)
