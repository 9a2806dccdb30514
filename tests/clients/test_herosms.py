"""herosms 0.1.1, unmodified: it buys up to six times on a 5xx, a cut connection or its own time-out."""

from dataclasses import replace

import pytest

from numberdesk.providers.simulator import PROFILES
from tests.clients.acceptance import proves
from tests.clients.stage import Seen, play
from tests.http.stand import Stand

CLIENT = "herosms 0.1.1"
CALLS, AT_ONCE = 200, 20
PROVIDER_TAKES = 2.2
"""Seconds, when the client gives each try one."""


@pytest.fixture(scope="module")
def seen(stand: Stand) -> Seen:
    return play(stand, "herosms_0_1_1")


@proves(1, 7, 9)
def test_money_is_read_and_moves_once(seen: Seen) -> None:
    assert seen["balance"] == 1000.0
    assert seen["balance after"] == pytest.approx(1000 - 2 * 21.30)


@proves(2, 3)
@pytest.mark.parametrize(
    ("name", "class_"),
    [
        ("wrong key", "AuthenticationError"),
        ("poor", "InsufficientFundsError"),
        ("no numbers", "NoNumbersAvailableError"),
    ],
)
def test_refusals_become_the_clients_own_errors(seen: Seen, name: str, class_: str) -> None:
    assert seen[name].startswith(class_), seen[name]


@proves(7, 10)
def test_refusals_name_their_word(seen: Seen) -> None:
    assert "EARLY_CANCEL_DENIED" in seen["early"]
    assert "BAD_SERVICE" in seen["no service"]
    assert not seen["cancel when paid"].startswith("nothing raised")
    assert not seen["foreign"].startswith("nothing raised")


@proves(5, 6, 9, 13, 14, 15)
def test_a_number_its_codes_and_lists_are_what_the_client_expects(seen: Seen) -> None:
    number, phone, cost, can_resend = seen["number"]
    assert (phone[0], cost, can_resend) == ("+", 21.30, True)
    assert (seen["code"], seen["second code"], seen["all"]) == ("12345", "67890", ["12345", "67890"])
    assert seen["active"] == [number]
    assert sorted(map(int, seen["history"])) == sorted(seen["bought"])
    assert (seen["countries"], seen["services"]) == (["India"], ["Telegram"])
    assert "21.3" in seen["prices"]


def test_an_impatient_client_with_a_slow_provider_pays_for_each_number_once(stand: Stand) -> None:
    stand.portal.call(
        stand.provider.set_profile,
        replace(PROFILES["slow"], answer_delay=PROVIDER_TAKES, fault_on="purchases", code_after=None),
    )
    try:
        seen = play(stand, "herosms_impatient", CALLS=str(CALLS), AT_ONCE=str(AT_ONCE), DESK_RUPEES="10000")
    finally:
        stand.portal.call(stand.provider.set_profile, "never")
    assert seen.alice is not None
    orders = stand.ask("SELECT count(*) FROM orders WHERE account_id = $1 AND state = 'active'", seen.alice.account_id)
    numbers = [phone for order_id, phone in seen["bought"] if order_id is not None]
    assert orders <= CALLS, "more numbers were bought than were asked for"
    assert len(set(numbers)) == len(numbers), "one number was handed over twice"
    assert len(numbers) == CALLS, [told for order_id, told in seen["bought"] if order_id is None][:5]
    assert orders == CALLS
