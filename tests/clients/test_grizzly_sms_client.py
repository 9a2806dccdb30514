"""grizzly-sms-client, unmodified, on the address of its dialect: JSON by its content type, bare lists."""

import pytest

from tests.clients.acceptance import proves
from tests.clients.stage import Seen, play
from tests.http.stand import Stand

CLIENT = "grizzly-sms-client 0.1.1"


@pytest.fixture(scope="module")
def seen(stand: Stand) -> Seen:
    return play(stand, "grizzly_sms_client_0_1_1")


@proves(1, 7, 9)
def test_money_is_read_and_moves_once(seen: Seen) -> None:
    assert (seen["balance"], seen["balance after"]) == (1000.0, 978.70)


@proves(2, 3, 10)
@pytest.mark.parametrize(
    ("name", "word"),
    [("wrong key", "BAD_KEY"), ("poor", "NO_BALANCE"), ("no service", "BAD_SERVICE"), ("no numbers", "NO_NUMBERS"),
     ("foreign", "NO_ACTIVATION")],
)  # fmt: skip
def test_refusals_are_known_by_their_words(seen: Seen, name: str, word: str) -> None:
    assert seen[name].startswith("GrizzlySmsError")
    assert seen[name].endswith(f" {word}")


@proves(7)
def test_a_cancel_that_comes_too_early_is_told_although_the_client_has_no_word_for_it(seen: Seen) -> None:
    assert seen["early"] == "GrizzlySmsError: EARLY_CANCEL_DENIED UNEXPECTED_RESPONSE"


@proves(11)
def test_a_ceiling_that_is_too_low_is_told_with_the_lowest_price(seen: Seen) -> None:
    assert seen["too low"] == "GrizzlySmsError: WRONG_MAX_PRICE:21.30 WRONG_MAX_PRICE"


@proves(4, 5)
def test_both_purchases_give_a_number(seen: Seen) -> None:
    number, digits = seen["number"]
    assert number.isdigit()
    assert digits.isdigit()
    phone, cost, country, can_get_another, cancel_at, end_at = seen["number v2"]
    assert phone.isdigit()
    assert (cost, country, can_get_another) == (21.30, "22", True)
    assert cancel_at < end_at


@proves(6, 9, 15)
def test_codes_and_ends_are_what_the_client_expects(seen: Seen) -> None:
    assert seen["waiting"] == {"verificationType": 0, "sms": None, "call": None}
    assert (seen["ready"], seen["code"]) == ("ACCESS_READY", "12345")
    assert (seen["one more"], seen["retry"], seen["second code"]) == ("ACCESS_RETRY_GET", "12345", "67890")
    assert seen["message"]["text"] == "Telegram code 67890"
    assert seen["finish"] == ["ACCESS_ACTIVATION"] * 2
    assert seen["over"] == "STATUS_CANCEL"
    assert seen["cancel"] == ["ACCESS_CANCEL"] * 2


@proves(14)
def test_the_list_of_what_goes_on_is_bare(seen: Seen) -> None:
    assert seen["none active"] == []
    assert seen["active"] == [[seen["other"], "India", 21.30]]


@proves(13)
def test_the_catalogue_is_read_in_all_its_forms(seen: Seen) -> None:
    assert (seen["countries"], seen["services"]) == (["India"], ["Telegram"])
    plain, by_price, by_server = seen["prices"]
    assert plain["cost"] == 21.30
    assert by_price == {"21.30": plain["count"]}
    assert [row["price"] for row in by_server.values()] == [21.30]
    assert seen["cheapest"] == [["22", 21.30]]
