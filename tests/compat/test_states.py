"""The table of states: what every poll and every change of an activation answers, and what it does to the money."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from tests.compat.bot import DIALECTS, Bot, money, received, wait_for_code
from tests.http.stand import PRICE, Stand

START, HELD, PAID = "1000.00", str(Decimal(1000) - Decimal(PRICE)), str(Decimal(1000) - Decimal(PRICE))
EARLY = "EARLY_CANCEL_DENIED"
NO_SMS = {"verificationType": 0, "sms": None, "call": None}


def waiting(stand: Stand, bot: Bot) -> int:
    """Buy a number too young to be given back."""
    order_id = bot.buy()
    stand.change(
        "UPDATE orders SET cancel_allowed_at = clock_timestamp() + interval '2 minutes',"
        " changed_at = clock_timestamp() WHERE id = $1",
        order_id,
    )
    return order_id


def ripe(stand: Stand, bot: Bot) -> int:
    order_id = bot.buy()
    stand.ripen(order_id)
    return order_id


def asked_again(stand: Stand, bot: Bot) -> int:
    order_id = received(stand, bot)
    assert bot.text("setStatus", id=order_id, status=3) == "ACCESS_RETRY_GET"
    return order_id


def finished(stand: Stand, bot: Bot) -> int:
    order_id = received(stand, bot)
    assert bot.text("setStatus", id=order_id, status=6) == "ACCESS_ACTIVATION"
    return order_id


def cancelled(stand: Stand, bot: Bot) -> int:
    order_id = ripe(stand, bot)
    assert bot.text("setStatus", id=order_id, status=8) == "ACCESS_CANCEL"
    return order_id


def expired(stand: Stand, bot: Bot) -> int:
    order_id = bot.buy()
    stand.change(
        "UPDATE orders SET expires_at = clock_timestamp(), changed_at = clock_timestamp() WHERE id = $1", order_id
    )
    seen = bot.client.post("/auth/check-otp", {"orderId": order_id, "wait": 20}).data
    assert seen["status"] == "expired"
    return order_id


Row = tuple[Callable[[Stand, Bot], int], str, dict[str, str], tuple[str, str]]
TABLE: dict[str, Row] = {
    "too young": (
        waiting, "STATUS_WAIT_CODE",
        {"1": "ACCESS_READY", "3": "BAD_STATUS", "6": "BAD_STATUS", "8": EARLY, "-1": EARLY},
        (HELD, PRICE),
    ),
    "waiting": (
        ripe, "STATUS_WAIT_CODE",
        {"1": "ACCESS_READY", "3": "BAD_STATUS", "6": "BAD_STATUS", "8": "ACCESS_CANCEL", "-1": "ACCESS_CANCEL"},
        (START, "0.00"),
    ),
    "received": (
        received, "STATUS_OK:12345",
        {"1": "ACCESS_READY", "8": "BAD_STATUS", "-1": "BAD_STATUS", "3": "ACCESS_RETRY_GET", "6": "ACCESS_ACTIVATION"},
        (PAID, "0.00"),
    ),
    "asked again": (
        asked_again, "STATUS_WAIT_RETRY:12345",
        {"1": "ACCESS_READY", "8": "BAD_STATUS", "-1": "BAD_STATUS", "3": "ACCESS_RETRY_GET", "6": "ACCESS_ACTIVATION"},
        (PAID, "0.00"),
    ),
    "finished": (
        finished, "STATUS_CANCEL",
        {"1": "BAD_STATUS", "3": "BAD_STATUS", "6": "ACCESS_ACTIVATION", "8": "BAD_STATUS", "-1": "BAD_STATUS"},
        (PAID, "0.00"),
    ),
    "cancelled": (
        cancelled, "STATUS_CANCEL",
        {"1": "BAD_STATUS", "3": "BAD_STATUS", "6": "BAD_STATUS", "8": "ACCESS_CANCEL", "-1": "ACCESS_CANCEL"},
        (START, "0.00"),
    ),
    "expired": (
        expired, "STATUS_CANCEL",
        {"1": "BAD_STATUS", "3": "BAD_STATUS", "6": "BAD_STATUS", "8": "ACCESS_CANCEL", "-1": "ACCESS_CANCEL"},
        (START, "0.00"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("state", TABLE)
def test_every_change_answers_as_the_table_of_states_says(stand: Stand, alice: Bot, state: str) -> None:
    make, polled, changes, left = TABLE[state]
    order_id = make(stand, alice)
    assert alice.text("getStatus", id=order_id) == polled
    for status, answer in changes.items():
        assert alice.text("setStatus", id=order_id, status=status) == answer, status
    assert money(alice) == left


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("state", TABLE)
def test_the_second_poll_shows_the_message_or_the_end(stand: Stand, alice: Bot, state: str, dialect: str) -> None:
    make, polled, _, _ = TABLE[state]
    order_id = make(stand, alice)
    bot = alice.speaking(dialect)
    assert bot.text("getStatus", id=order_id) == polled
    if polled == "STATUS_WAIT_CODE":
        assert bot.json("getStatusV2", id=order_id) == NO_SMS
    elif polled == "STATUS_CANCEL":
        gone = (404, "NOT_FOUND") if dialect == "hero" else (200, "STATUS_CANCEL")
        assert bot.refused("getStatusV2", id=order_id) == gone
    else:
        shown = bot.json("getStatusV2", id=order_id)
        assert shown.keys() == NO_SMS.keys()
        assert shown["sms"]["code"] == "12345"
        assert shown["sms"]["text"] == "Telegram code 12345"
        assert len(shown["sms"]["dateTime"]) == len("2026-01-31 17:30:57")


def test_a_second_code_takes_the_place_of_the_first(stand: Stand, alice: Bot) -> None:
    order_id = asked_again(stand, alice)
    stand.deliver(order_id, "67890")
    wait_for_code(alice, order_id, "67890")
    assert alice.text("getStatus", id=order_id) == "STATUS_OK:67890"
    assert alice.text("getFullSms", id=order_id) == "FULL_SMS:Telegram code 67890"
    listed = alice.speaking("hero").json("getAllSms", id=order_id)
    assert [item["code"] for item in listed["data"]] == ["12345", "67890"]
    assert money(alice) == (PAID, "0.00")


def test_a_message_without_a_code_is_told_by_its_text_where_a_code_must_be(stand: Stand, alice: Bot) -> None:
    order_id = alice.buy()
    upstream_id = int(stand.ask("SELECT upstream_id FROM orders WHERE id = $1", order_id))
    stand.portal.call(lambda: stand.provider.deliver(upstream_id, "Welcome: NO_NUMBERS", code=""))
    alice.client.post("/auth/check-otp", {"orderId": order_id, "wait": 10})
    assert alice.text("getStatus", id=order_id) == "STATUS_OK:Welcome NO NUMBERS"
    for bot in (alice, alice.speaking("hero")):
        sms = bot.json("getStatusV2", id=order_id)["sms"]
        assert (sms["code"], sms["text"]) == ("", "Welcome: NO_NUMBERS")
    (listed,) = alice.speaking("hero").json("getAllSms", id=order_id)["data"]
    assert (listed["code"], listed["text"]) == ("", "Welcome: NO_NUMBERS")


@pytest.mark.parametrize("times", [2, 3])
def test_repeats_of_finish_and_cancel_answer_alike_and_move_no_money(stand: Stand, alice: Bot, times: int) -> None:
    paid, free = received(stand, alice), ripe(stand, alice)
    for _ in range(times):
        assert alice.text("setStatus", id=paid, status=6) == "ACCESS_ACTIVATION"
        assert alice.text("setStatus", id=free, status=8) == "ACCESS_CANCEL"
    assert money(alice) == (PAID, "0.00")


def test_somebody_elses_activation_is_none(stand: Stand, alice: Bot, bob: Bot) -> None:
    for order_id in (ripe(stand, alice), received(stand, alice), 999_999_999, 2**63 - 1):
        for action in ("getStatus", "getStatusV2", "getFullSms", "getAllSms", "finishActivation", "cancelActivation"):
            assert bob.text(action, id=order_id) == "NO_ACTIVATION", action
        for status in (1, 3, 6, 8, -1, 5):
            assert bob.text("setStatus", id=order_id, status=status) == "NO_ACTIVATION"
        assert bob.speaking("hero").refused("setStatus", id=order_id, status=8) == (404, "NOT_FOUND")
    assert money(bob) == (START, "0.00")


def test_hero_finishes_and_cancels_with_nothing_in_the_answer(stand: Stand, alice: Bot) -> None:
    hero = alice.speaking("hero")
    paid, free = received(stand, alice), ripe(stand, alice)
    for action, order_id in (("finishActivation", paid), ("cancelActivation", free)):
        for _ in range(2):
            answer = hero.send(action, id=order_id)
            assert (answer.status, answer.body) == (204, b"")
    assert hero.refused("getAllSms", id=paid) == (409, "ACTIVATION_NOT_ACTIVE")
    assert money(alice) == (PAID, "0.00")


def test_hero_tells_why_a_cancel_is_refused(stand: Stand, alice: Bot) -> None:
    hero = alice.speaking("hero")
    assert hero.refused("setStatus", id=received(stand, alice), status=8) == (409, "OTP_RECEIVED")
    early = hero.send("cancelActivation", id=waiting(stand, alice))
    assert (early.status, early.json["title"]) == (409, "EARLY_CANCEL_DENIED")
    assert early.json["info"] == {"minActivationTime": 120}


def test_a_code_wins_against_the_cancel(stand: Stand, alice: Bot) -> None:
    order_id = ripe(stand, alice)
    upstream_id = int(stand.ask("SELECT upstream_id FROM orders WHERE id = $1", order_id))
    stand.portal.call(lambda: stand.provider.deliver(upstream_id, "Telegram code 11111", code="11111"))
    assert alice.text("setStatus", id=order_id, status=8) == "BAD_STATUS"
    assert alice.text("getStatus", id=order_id) == "STATUS_OK:11111"
    assert money(alice) == (PAID, "0.00")
