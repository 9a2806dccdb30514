"""Numbers for hours through herosms 0.1.1, unmodified."""

import pytest

from tests.clients.acceptance import proves
from tests.clients.stage import Seen, play
from tests.http.stand import Stand
from tests.http.test_rentals import wait_for_rentals

CLIENT = "herosms 0.1.1"
PRICE = 42.60


@pytest.fixture(scope="module")
def hero(stand: Stand) -> Seen:
    wait_for_rentals(stand)
    return play(stand, "herosms_rent")


@proves(3)
def test_herosms_rents_and_treats_it_as_any_number(hero: Seen) -> None:
    assert hero["offers"]["22"]["4"]["price"] == PRICE
    assert "NO_BALANCE" in hero["poor"]
    assert hero["rented"][2] == PRICE
    assert (hero["code"], hero["all"]) == ("12345", ["12345"])
    assert "OTP_RECEIVED" in hero["cancel when paid"]
    assert float(hero["balance after"]) == round(1000 - PRICE, 2)
