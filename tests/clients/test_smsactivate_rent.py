"""Numbers for hours through smsactivate 1.5, unmodified."""

import pytest

from tests.clients.acceptance import proves
from tests.clients.stage import Seen, play
from tests.http.stand import Stand
from tests.http.test_rentals import wait_for_rentals

CLIENT = "smsactivate 1.5"
PRICE = 42.60


@pytest.fixture(scope="module")
def official(stand: Stand) -> Seen:
    wait_for_rentals(stand)
    return play(stand, "smsactivate_rent")


@proves(16)
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


@proves(3, 9, 10)
def test_the_official_client_knows_the_words_and_pays_once(official: Seen) -> None:
    said = {name: official[name]["message"] for name in ("poor", "no service", "cancel again", "foreign")}
    assert said == {
        "poor": "NO_BALANCE", "no service": "BAD_SERVICE", "cancel again": "ALREADY_CANCEL", "foreign": "INVALID_PHONE",
    }  # fmt: skip
    assert official["cancel"] == {"status": "success"}
    assert official["balance after"] == {"balance": f"{1000 - 2 * PRICE:.2f}"}
