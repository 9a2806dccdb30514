"""async-sms-activate, unmodified: it knows two error words, and polls once a second."""

import pytest

from tests.clients.acceptance import proves
from tests.clients.stage import Seen, play
from tests.http.stand import Stand

CLIENT = "async-sms-activate 0.1.2"


@pytest.fixture(scope="module")
def seen(stand: Stand) -> Seen:
    return play(stand, "async_sms_activate_0_1_2")


@proves(1, 7, 9)
def test_money_is_read_and_moves_once(seen: Seen) -> None:
    assert (seen["balance"], seen["balance after"]) == (1000.0, 978.70)


@proves(3)
def test_the_two_refusals_it_knows_become_its_own_errors(seen: Seen) -> None:
    assert seen["poor"].startswith("NoBalance")
    assert seen["no numbers"].startswith("NoNumbers")


@proves(5)
def test_a_purchase_has_every_field(seen: Seen) -> None:
    assert seen["number"]["activationCost"] == 21.30
    assert seen["number"]["phoneNumber"].isdigit()
    # A purchase without a country took the one that the list of countries begins with.
    assert seen["cheapest"] == seen["top"][0]


@proves(6, 7, 9, 10)
def test_codes_and_ends_are_what_the_client_expects(seen: Seen) -> None:
    assert (seen["waiting"], seen["early"]) == ("STATUS_WAIT_CODE", "EARLY_CANCEL_DENIED")
    assert (seen["ready"], seen["code"]) == ("ACCESS_READY", "12345")
    assert (seen["one more"], seen["retry"]) == ("ACCESS_RETRY_GET", "STATUS_WAIT_RETRY:12345")
    assert seen["second code"] == "STATUS_OK:67890"
    assert seen["finish"] == ["ACCESS_ACTIVATION"] * 2
    assert (seen["over"], seen["foreign"]) == ("STATUS_CANCEL", "NO_ACTIVATION")
    assert seen["cancel"] == ["ACCESS_CANCEL"] * 2


@proves(13)
def test_countries_are_found_by_their_numbers(seen: Seen) -> None:
    assert seen["country"] == "India"
    assert "22" in seen["top"]
    assert seen["codes"] == [int(code) for code in seen["top"]]


@proves(20)
def test_a_poll_a_second_is_never_throttled(strict: Stand) -> None:
    seen = play(strict, "async_sms_activate_polls")
    assert seen["polls"] >= 10
    assert seen["code"] == "12345"
    # What is no poll was counted all the while, and is refused now.
    assert seen["over the limit"] == "RATE_LIMIT"
