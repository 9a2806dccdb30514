"""fivesim, unmodified: it knows countries, operators, products and errors by lists of its own."""

import pytest

from tests.clients.acceptance import proves
from tests.clients.stage import Seen, play
from tests.http.stand import Stand

CLIENT = "fivesim 1.2.0"


@pytest.fixture(scope="module")
def seen(stand: Stand) -> Seen:
    return play(stand, "fivesim_1_2_0")


@proves(1, 7, 9, 21)
def test_money_is_read_and_moves_once(seen: Seen) -> None:
    assert (seen["balance"], seen["balance after"]) == ([1000.0, 0.0], 978.70)
    assert seen["payments"][-1] == [1000.0, 1000.0]
    assert sum(amount for amount, _ in seen["payments"]) == pytest.approx(978.70)


@proves(2, 3, 7, 10, 21)
@pytest.mark.parametrize(
    ("name", "told"),
    [("wrong key", "Unauthorized - Invalid API Key"), ("poor", "not enough user balance"),
     ("no phones", "no free phones"), ("no operator", "bad operator"), ("early", "you need to wait time"),
     ("nothing yet", "order no sms"), ("no cancel", "order has sms"), ("foreign", "order not found"),
     ("reuse", "400Bad Requestreuse not possible")],
)  # fmt: skip
def test_refusals_become_the_clients_own_errors(seen: Seen, name: str, told: str) -> None:
    assert seen[name].strip() == f"FiveSimError: {told}"


@proves(13, 21)
def test_the_catalogue_is_read_in_all_its_forms(seen: Seen) -> None:
    assert (seen["countries"]["iso"], seen["countries"]["prefix"], seen["countries"]["en"]) == ("in", "+91", "India")
    assert (seen["products"]["category"], seen["products"]["price"]) == ("activation", 21.30)
    assert seen["prices"] == [21.30] * 3
    assert seen["notice"] == ""


@proves(21)
def test_an_order_is_bought_checked_and_finished(seen: Seen) -> None:
    assert (seen["order"]["country"], seen["order"]["product"]) == ("india", "telegram")
    assert seen["message"] == [["12345", "Telegram code 12345"]]
    assert (seen["finish"], seen["inbox"]) == (["FINISHED"] * 2, ["12345"])
    assert (seen["cancel"], seen["ban"]) == (["CANCELED"] * 2, "BANNED")


@proves(14, 21)
def test_orders_are_listed_newest_first(seen: Seen) -> None:
    assert seen["orders"] == list(reversed(seen["bought"]))
