"""sms-verifier, unmodified: two programs with a ledger of their own, which they compare with the server's."""

import pytest

from tests.clients.acceptance import proves
from tests.clients.stage import Seen, play
from tests.http.stand import Stand

CLIENT = "sms-verifier 0.1.0"
DONE, TOO_DEAR, REFUSED = 0, 3, 4
"""How the programs end."""


@pytest.fixture(scope="module")
def seen(stand: Stand) -> Seen:
    return play(stand, "sms_verifier_0_1_0")


@proves(1)
def test_money_is_read_to_the_paisa(seen: Seen) -> None:
    assert (seen["balance"], seen["balance after"]) == ("1000.00", "978.70")


@proves(2, 3, 10)
def test_refusals_are_shown_by_their_words(seen: Seen) -> None:
    assert (seen["wrong key"], seen["no numbers"], seen["foreign"]) == ("BAD_KEY", "NO_NUMBERS", "NO_ACTIVATION")
    status, told = seen["poor"]
    assert status == REFUSED
    assert "getNumber failed: NO_BALANCE" in told


@proves(13)
def test_prices_guard_what_it_spends(seen: Seen) -> None:
    status, price = seen["price"]
    assert (status, price["cost"]) == (DONE, 21.30)
    assert seen["too dear"][0] == TOO_DEAR
    assert seen["countries"] == "India"


@proves(4, 6)
def test_a_number_its_codes_and_its_end_are_what_the_client_expects(seen: Seen) -> None:
    assert seen["number"]["phone"].isdigit()
    status, told = seen["code"]
    assert (status, told["code"]) == (DONE, "12345")
    assert (seen["one more"], seen["retry"]) == ("ACCESS_RETRY_GET", "STATUS_WAIT_RETRY:12345")
    assert seen["second code"] == "STATUS_OK:67890"


@proves(7, 9)
def test_a_cancel_is_too_early_and_then_gives_the_whole_amount_back(seen: Seen) -> None:
    status, told = seen["early"]
    assert (status, told["response"]) == (REFUSED, "EARLY_CANCEL_DENIED")
    assert [[status, told["provider_resp"]] for status, told in seen["cancel"]] == [[DONE, "ACCESS_CANCEL"]] * 2
    assert seen["given back"] == "978.70"
    for name in ("finish", "finish again"):
        status, told = seen[name]
        assert (status, told["provider_resp"]) == (DONE, "ACCESS_ACTIVATION")


@proves(8)
def test_an_expiry_gives_the_money_back_and_its_ledger_agrees(seen: Seen) -> None:
    assert (seen["held"], seen["over"]) == ("957.40", "STATUS_CANCEL")
    status, told = seen["reconcile"]
    assert status == DONE
    assert "was waiting -> now cancelled" in told
    assert "needs attention 0" in told
    assert seen["balance after"] == "978.70"
