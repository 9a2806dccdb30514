"""PanjSim, unmodified: whatever is no object with status 200 is an error to it."""

import pytest

from tests.clients.acceptance import proves
from tests.clients.stage import Seen, play
from tests.http.stand import Stand

CLIENT = "panjsim 1.0.4"


@pytest.fixture(scope="module")
def seen(stand: Stand) -> Seen:
    return play(stand, "panjsim_1_0_4")


@proves(1, 7, 9, 21)
def test_money_is_read_and_moves_once(seen: Seen) -> None:
    before, after = seen["profile"], seen["balance after"]
    assert (before["balance"], before["frozen_balance"]) == (1000.0, 0.0)
    assert (after["balance"], after["frozen_balance"]) == (978.70, 0.0)
    assert seen["payments"] > 0


@proves(2, 3, 7, 10, 21)
@pytest.mark.parametrize(
    ("name", "told"),
    [("wrong key", "ServerError: unauthorized"), ("poor", "ServerError: not enough user balance"),
     ("no phones", "ErrorJSONDecode: no free phones"), ("early", "ServerError: you need to wait time"),
     ("no cancel", "ServerError: order has sms"), ("foreign", "ServerError: order not found"),
     ("hosting", "ErrorJSONDecode: no free phones"), ("reuse", "ServerError: reuse not possible")],
)  # fmt: skip
def test_refusals_are_shown_by_their_texts(seen: Seen, name: str, told: str) -> None:
    assert seen[name].strip() == told


@proves(13, 21)
def test_the_catalogue_is_read_in_all_its_forms(seen: Seen) -> None:
    assert list(seen["countries"]) == ["iso", "prefix", "text_en", "text_ru", "any"]
    assert seen["notice"] == {"text": ""}
    assert (seen["products"]["Category"], seen["products"]["Price"]) == ("activation", 21.30)
    assert seen["prices"]["india"]["telegram"]["any"]["cost"] == 21.30
    assert seen["cheapest"]["cost"] <= 21.30


@proves(21)
def test_an_order_is_bought_checked_and_finished(seen: Seen) -> None:
    assert seen["order"]["status"] == "PENDING"
    assert seen["message"]["sms"][0]["code"] == "12345"
    assert (seen["finish"], seen["cancel"]) == (["FINISHED"] * 2, ["CANCELED"] * 2)
    assert [item["code"] for item in seen["inbox"]["Data"]] == ["12345"]


@proves(14, 21)
def test_orders_are_listed_newest_first(seen: Seen) -> None:
    assert seen["orders"] == list(reversed(seen["bought"]))
