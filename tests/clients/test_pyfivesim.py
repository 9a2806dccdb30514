"""PyFiveSim, unmodified, both of its clients: it insists on fields that nobody documents."""

import pytest

from tests.clients.acceptance import proves
from tests.clients.stage import Seen, play
from tests.http.stand import Stand

CLIENT = "pyfivesim 1.0.4"


@pytest.fixture(scope="module")
def seen(stand: Stand) -> Seen:
    return play(stand, "pyfivesim_1_0_4")


@proves(1, 7, 9, 21)
def test_money_is_read_and_moves_once(seen: Seen) -> None:
    assert (seen["balance"], seen["frozen"]) == ([1000.0, 0.0], 21.30)
    assert (seen["balance after"], seen["balance again"]) == ([978.70, 0.0], 978.70)
    assert seen["payments"][-1] == [1000.0, 1000.0]
    assert sum(amount for amount, _ in seen["payments"]) == pytest.approx(978.70)


@proves(2, 3, 10, 21)
@pytest.mark.parametrize(
    ("name", "class_"),
    [("wrong key", "FiveSimInvalidAPIKey"), ("wrong key again", "FiveSimInvalidAPIKey"),
     ("poor", "FiveSimNotEnoughBalance"), ("no phones", "FiveSimNoFreePhones"), ("no product", "FiveSimInvalidProduct"),
     ("no country", "FiveSimInvalidCountry"), ("no operator", "FiveSimInvalidOperator"),
     ("foreign", "FiveSimOrderNotFound")],
)  # fmt: skip
def test_refusals_become_the_clients_own_errors(seen: Seen, name: str, class_: str) -> None:
    assert seen[name].startswith(f"{class_}:"), seen[name]


@proves(13, 21)
def test_the_catalogue_is_read_in_all_its_forms(seen: Seen) -> None:
    (india,), (telegram,) = seen["countries"], seen["products"]
    assert (india["iso"], india["prefix"], india["available_operators"]) == ("in", "+91", ["any"])
    assert (telegram["category"], telegram["price"]) == ("activation", 21.30)
    (price,) = seen["prices of both"]
    assert price["operator_info"]["price"] == 21.30
    assert "telegram" in seen["prices of the country"]
    assert "india" in seen["prices of the product"]
    assert "india" in seen["prices"]
    assert seen["limits"] == []


@proves(21)
def test_an_order_is_bought_checked_and_finished(seen: Seen) -> None:
    order = seen["order"]
    assert order["phone"].startswith("+")
    assert (order["country"], order["product"], order["operator"]) == ("india", "telegram", "any")
    assert (order["status"], order["price"], order["sms"]) == ("PENDING", 21.30, None)
    assert seen["message"]["sms"]["code"] == "12345"
    assert seen["message"]["status"] == "RECEIVED"
    assert seen["finish"] == ["FINISHED"] * 2
    assert seen["last"] == [["24680"], "FINISHED"]


@proves(7, 9, 21)
def test_a_cancel_is_too_early_then_possible_and_after_the_code_refused(seen: Seen) -> None:
    assert "you need to wait time" in seen["early"].lower()
    assert "order has sms" in seen["no cancel"].lower()
    assert (seen["cancel"], seen["ban"]) == (["CANCELED"] * 2, "BANNED")


@proves(14, 21)
def test_orders_are_listed_newest_first(seen: Seen) -> None:
    finished, cancelled, banned = seen["bought"]
    assert seen["orders"] == [[banned, "CANCELED"], [cancelled, "CANCELED"], [finished, "FINISHED"]]


@proves(21)
def test_what_is_not_to_be_had_is_said(seen: Seen) -> None:
    assert (seen["reuse"], seen["no limit"]) == (False, False)
