"""herosms 0.1.1, unmodified: it buys up to six times on a 5xx, a cut connection or its own time-out."""

from dataclasses import replace

import pytest

from numberdesk.providers.simulator import PROFILES
from tests.clients.acceptance import proves
from tests.clients.stage import Seen, play
from tests.http.stand import Stand

CLIENT = "herosms 0.1.1"
CALLS, AT_ONCE = 200, 20
ALIKE_CALLS, ALIKE_AT_ONCE = 40, 10
PRICE_PAISE = 21_30
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


@proves(19)
@pytest.mark.parametrize("profile", ["sold-then-500", "http-500"])
def test_a_5xx_of_the_provider_never_comes_through_and_buys_nothing_twice(stand: Stand, profile: str) -> None:
    sold = len(stand.provider.sold)
    try:
        seen = play(stand, "herosms_behind_a_broken_provider", PROFILE=profile)
    finally:
        stand.portal.call(stand.provider.set_profile, "never")
    assert seen["statuses"]
    assert all(status < 500 for status in seen["statuses"]), seen["statuses"]
    assert [f"+{number}" for number in seen["open"]] == [seen["number"]]
    assert seen["balance after"] == pytest.approx(1000 - 21.30)
    assert len(stand.provider.sold) == sold + 1


@proves(18)
def test_an_impatient_client_with_a_slow_provider_pays_for_each_number_once(stand: Stand) -> None:
    seen = impatient(stand, CALLS, AT_ONCE, alike="")
    numbers = [phone for order_id, phone in seen["bought"] if order_id is not None]
    assert len(numbers) == CALLS, [told for order_id, told in seen["bought"] if order_id is None][:5]
    assert len(set(numbers)) == CALLS, "one number was handed over twice"
    bought, orders, holds, held = charges(stand, seen)
    assert len(bought) == orders == holds == CALLS, "there is a charge that nobody has a number for"
    assert held == CALLS * PRICE_PAISE
    assert seen["balance after"] == pytest.approx(10_000 - CALLS * PRICE_PAISE / 100)


@proves(18)
def test_calls_that_are_all_alike_are_charged_once_each_too(stand: Stand) -> None:
    seen = impatient(stand, ALIKE_CALLS, ALIKE_AT_ONCE, alike="1")
    bought, orders, holds, held = charges(stand, seen)
    # Of wishes alike the next to come takes over: a call may so get none, but none is charged for and forgotten.
    assert orders == holds <= ALIKE_CALLS
    assert held == orders * PRICE_PAISE
    assert 0 < len(bought) <= orders
    assert len({phone for order_id, phone in seen["bought"] if order_id is not None}) == len(bought)


def impatient(stand: Stand, calls: int, at_once: int, *, alike: str) -> Seen:
    """Have the client buy from a provider that takes longer than the client waits."""
    sold = len(stand.provider.sold)
    slow = replace(PROFILES["slow"], answer_delay=PROVIDER_TAKES, fault_on="purchases", code_after=None)
    stand.portal.call(stand.provider.set_profile, slow)
    try:
        seen = play(
            stand, "herosms_impatient", CALLS=str(calls), AT_ONCE=str(at_once), ALIKE=alike, DESK_RUPEES="10000"
        )
    finally:
        stand.portal.call(stand.provider.set_profile, "never")
    assert charges(stand, seen)[1] == len(stand.provider.sold) - sold, "the provider sold what is no order here"
    return seen


def charges(stand: Stand, seen: Seen) -> tuple[set[int], int, int, int]:
    """Return the orders the client knows, and how many there are, with how many holds, of how much in all."""
    assert seen.alice is not None
    account_id = seen.alice.account_id
    bought = {order_id for order_id, _ in seen["bought"] if order_id is not None}
    theirs = stand.ask("SELECT coalesce(array_agg(id), '{}') FROM orders WHERE account_id = $1", account_id)
    assert bought <= set(theirs)
    holds = stand.ask("SELECT count(*) FROM holds WHERE account_id = $1 AND state = 'held'", account_id)
    held = stand.ask("SELECT held_paise FROM wallets WHERE account_id = $1", account_id)
    return bought, len(theirs), holds, held
