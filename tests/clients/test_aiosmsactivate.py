"""aiosmsactivate, unmodified: it sends POST with an empty body, and uses statuses 1 and 3 without being told to."""

import pytest

from tests.clients.acceptance import proves
from tests.clients.stage import Seen, play
from tests.http.stand import Stand

CLIENT = "aiosmsactivate 1.5.1"


@pytest.fixture(scope="module")
def seen(stand: Stand) -> Seen:
    return play(stand, "aiosmsactivate_1_5_1")


@proves(1, 7)
def test_money_is_read_to_the_paisa_and_comes_back_whole_after_a_cancel(seen: Seen) -> None:
    assert seen["balance"] == 1000.0
    # The first number is paid, and of the second nothing is.
    assert (seen["held"], seen["given back"]) == (957.40, 978.70)
    assert seen["balance after"] == 957.40


@proves(2, 3, 7, 10, 12)
@pytest.mark.parametrize(
    ("name", "word"),
    [("wrong key", "BAD_KEY"), ("poor", "NO_BALANCE"), ("no service", "BAD_SERVICE"), ("no numbers", "NO_NUMBERS"),
     ("early", "EARLY_CANCEL_DENIED"), ("none active", "NO_ACTIVATIONS"), ("foreign", "NO_ACTIVATION"),
     ("foreign cancel", "NO_ACTIVATION"), ("order id of another", "ORDER_ALREADY_EXISTS")],
)  # fmt: skip
def test_refusals_are_known_by_their_words(seen: Seen, name: str, word: str) -> None:
    assert seen[name].startswith("SmsActivateException")
    assert seen[name].endswith(f" {word}")


@proves(11)
def test_a_ceiling_that_is_too_low_is_told_with_the_lowest_price(seen: Seen) -> None:
    assert "WRONG_MAX_PRICE:21.30" in seen["too low"]


@proves(5)
def test_a_purchase_has_every_field_that_the_client_insists_on(seen: Seen) -> None:
    number = seen["number"]
    assert number["phone_number"].isdigit()
    assert (number["activation_cost"], number["country_code"], number["operator"]) == (21.30, "22", "any")
    assert number["can_get_another_sms"] is True


@proves(6, 9, 15)
def test_codes_come_while_the_client_sets_statuses_by_itself(seen: Seen) -> None:
    assert seen["waiting"]["sms"] is None
    assert (seen["code"], seen["second code"]) == ("12345", "67890")
    assert seen["retry"][1] == "12345"
    assert seen["message"]["sms"]["text"] == "Telegram code 67890"
    assert seen["finish"] == ["ACCESS_ACTIVATION"] * 2
    assert seen["over"] == [4, None]
    assert seen["cancel"] == ["ACCESS_CANCEL"] * 2


@proves(12)
def test_one_order_id_is_one_activation(seen: Seen) -> None:
    first, again = seen["one order id"]
    assert first == again


@proves(14)
def test_lists_hold_what_goes_on_and_what_was(seen: Seen) -> None:
    first, cancelled, open_one = map(str, seen["bought"])
    assert seen["active"] == [open_one]
    assert seen["history"] == [open_one, cancelled, first]


@proves(13)
def test_the_catalogue_fits_together(seen: Seen) -> None:
    service = seen["service"]
    assert (service["name"], service["price"], service["retail_price"]) == ("Telegram", 21.30, 21.30)
    assert service["free_price_map"] == {"21.30": service["count"]}
    assert seen["countries"]["eng"] == "India"
    assert seen["operators"]["countryOperators"] == {"22": ["any"]}
    assert seen["prices"]["22"]["tg"]["cost"] == 21.30
    assert seen["verification"]["tg"]["22"]["price"] == "21.30"
    assert seen["stock"]["tg"] == service["count"]
    assert seen["top"]["status"] == "success"


@proves(17)
def test_a_parameter_with_a_blank_in_its_name_is_read(seen: Seen) -> None:
    # One hour is too short: whoever did not read it could not say so.
    assert seen["blank"].endswith(" INVALID_TIME")
