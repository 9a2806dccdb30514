"""smsactivate 1.5, unmodified."""

import pytest

from tests.clients.acceptance import proves
from tests.clients.stage import Seen, play
from tests.http.stand import Stand

CLIENT = "smsactivate 1.5"


@pytest.fixture(scope="module")
def seen(stand: Stand) -> Seen:
    return play(stand, "smsactivate_1_5")


@proves(1, 7, 9)
def test_money_is_read_to_the_paisa_and_moves_once(seen: Seen) -> None:
    assert seen["balance"] == {"balance": "1000.00"}
    # One number with its codes is paid, one was cancelled, and the price of one is held.
    assert seen["balance after"] == {"balance": f"{1000 - 2 * 21.30:.2f}"}


@proves(2, 3, 10)
@pytest.mark.parametrize(
    ("name", "word"),
    [("wrong key", "BAD_KEY"), ("no key", "NO_KEY"), ("poor", "NO_BALANCE"), ("no service", "BAD_SERVICE"),
     ("no numbers", "NO_NUMBERS"), ("foreign", "NO_ACTIVATION")],
)  # fmt: skip
def test_refusals_are_known_by_their_words(seen: Seen, name: str, word: str) -> None:
    assert seen[name]["error"] == word


@proves(4, 6, 7, 9)
def test_a_number_its_codes_and_its_end_are_what_the_client_expects(seen: Seen) -> None:
    assert seen["number"].keys() == {"activation_id", "phone"}
    told = [seen[name] for name in ("waiting", "early", "ready", "code", "full", "one more", "retry", "second code")]
    assert told == [
        "STATUS_WAIT_CODE", "EARLY_CANCEL_DENIED", "ACCESS_READY", "STATUS_OK:12345", "FULL_SMS:Telegram code 12345",
        "ACCESS_RETRY_GET", "STATUS_WAIT_RETRY:12345", "STATUS_OK:67890",
    ]  # fmt: skip
    assert (seen["finish"], seen["finish again"]) == ("ACCESS_ACTIVATION", "ACCESS_ACTIVATION")
    assert seen["over"]["error"] == "STATUS_CANCEL"
    assert (seen["cancel"], seen["cancel again"]) == ("ACCESS_CANCEL", "ACCESS_CANCEL")


@proves(5)
def test_the_richer_purchase_has_every_field(seen: Seen) -> None:
    bought = seen["number v2"]
    assert bought["activationCost"] == 21.30
    assert (bought["countryCode"], bought["canGetAnotherSms"]) == ("22", "1")
    assert bought["phoneNumber"].isdigit()


@proves(13, 14)
def test_lists_hold_what_is_sold(seen: Seen) -> None:
    assert seen["prices"]["22"]["tg"]["cost"] == 21.30
    assert (seen["countries"]["id"], seen["countries"]["eng"]) == (22, "India")
    assert seen["operators"]["status"] == "success"
    assert seen["stock"]["tg"] > 0
    assert seen["top"]["22"]["price"] == 21.30
    (active,) = seen["active"]["activeActivations"]
    assert active["activationId"] == str(seen["third"]["activation_id"])
