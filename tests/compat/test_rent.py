"""Numbers for hours or days in the words of the protocol: rented, read, given back, prolonged, in every dialect."""

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from numberdesk.base import clock
from tests.compat.bot import DIALECTS, Bot, money
from tests.compat.test_handover import hang_up, notes_of, orders_of, provider_is, slow
from tests.http.stand import Client, Stand
from tests.http.test_rentals import wait_for_rentals

TELEGRAM: dict[str, Any] = {"service": "tg", "country": "22", "rent_time": "4"}
PRICE = Decimal("42.60")
PAID, PAID_TWICE = str(1000 - PRICE), str(1000 - 2 * PRICE)
HELD = (PAID, str(PRICE))
NONE = ("1000.00", "0.00")


@pytest.fixture(autouse=True)
def _read(stand: Stand) -> None:
    wait_for_rentals(stand)


def rent(bot: Bot, **more: Any) -> int:
    sold = bot.json("getRentNumber", **(TELEGRAM | more))
    assert sold["status"] == "success", sold
    return int(sold["phone"]["id"])


def keep(stand: Stand, order_id: int) -> None:
    """Let the time be over in which an order can be cancelled, and wait until it is paid."""
    stand.change("UPDATE orders SET sent_at = sent_at - interval '20 minutes' WHERE id = $1", order_id)
    until(stand, "SELECT state = 'received' FROM orders WHERE id = $1", order_id)


def until(stand: Stand, query: Any, *args: object) -> None:
    ends = time.monotonic() + 15
    while not stand.ask(query, *args):
        assert time.monotonic() < ends
        time.sleep(0.1)


def word(shown: dict[str, Any]) -> str:
    """Return the word of a refusal, once its form is that of these actions."""
    assert shown.keys() == {"status", "message", "error", "info"}, shown
    assert (shown["status"], shown["message"]) == ("error", shown["error"])
    return str(shown["message"])


def messages(bot: Bot, order_id: int, *, count: int, **asked: Any) -> dict[str, Any]:
    """Wait for so many messages."""
    ends = time.monotonic() + 20
    while True:
        shown: dict[str, Any] = bot.json("getRentStatus", id=order_id, **asked)
        if shown.get("quantity") == str(count):
            return shown
        assert time.monotonic() < ends, shown
        time.sleep(0.2)


def test_a_paid_rental_that_its_provider_takes_back_is_told_so_and_refunded(stand: Stand, alice: Bot) -> None:
    with provider_is(stand, "never", self_cancel_after=(5.0, 5.0)):
        order_id = rent(alice)
    keep(stand, order_id)
    assert money(alice) == (PAID, "0.00")
    until(stand, "SELECT revoked_at IS NOT NULL FROM orders WHERE id = $1", order_id)
    stand.change("UPDATE orders SET revoked_at = revoked_at - interval '5 minutes', next_try_at = NULL")
    until(stand, "SELECT refunded_at IS NOT NULL FROM orders WHERE id = $1", order_id)
    assert word(alice.json("getRentStatus", id=order_id)) == "STATUS_REVOKE"
    assert alice.speaking("hero").refused("getRentStatus", id=order_id) == (404, "NOT_FOUND")
    shown = alice.client.get(f"/orders/{order_id}").data["order"]
    assert (shown["status"], shown["refund"]["amount"]) == ("completed", str(PRICE))
    assert "back in your wallet" in shown["notice"]
    assert money(alice) == NONE


# What there is.


@pytest.mark.parametrize("time_name", ["rent_time", "time", "time ", "duration"])
def test_what_is_rented_is_listed_for_a_country_and_for_all(alice: Bot, time_name: str) -> None:
    shown = alice.json("getRentServicesAndCountries", **{time_name: "4", "country": "22"})
    assert shown["services"]["tg"]["cost"] == float(PRICE)
    assert shown["services"]["tg"]["quant"] > 0
    assert (shown["operators"]["0"], shown["currency"]) == ("any", 356)
    assert {22, 6} <= set(shown["countries"].values())
    everywhere = alice.json("getRentServicesAndCountries", **{time_name: "4"})
    assert everywhere["services"]["tg"]["cost"] <= shown["services"]["tg"]["cost"]
    dearer = alice.json("getRentServicesAndCountries", **{time_name: "24", "country": "22"})
    assert dearer["services"]["tg"]["cost"] > shown["services"]["tg"]["cost"]


def test_nothing_of_the_kind_is_out_of_stock(alice: Bot) -> None:
    assert word(alice.json("getRentServicesAndCountries", rent_time="5")) == "OUT_OF_STOCK"
    assert word(alice.json("getRentServicesAndCountries", rent_time="4", country="73")) == "OUT_OF_STOCK"
    assert word(alice.json("getRentServicesAndCountries", rent_time="4", operator="nobody")) == "OUT_OF_STOCK"
    assert word(alice.json("getRentServicesAndCountries", rent_time="4", country="9999")) == "BAD_COUNTRY"
    assert alice.speaking("hero").refused("getRentServicesAndCountries", rent_time="5") == (404, "NO_NUMBERS")


def test_hero_counts_a_service_by_country_and_hours(alice: Bot) -> None:
    shown = alice.speaking("hero").json("serviceCountRent", service="tg")
    assert shown["22"]["4"]["price"] == float(PRICE)
    assert shown["22"].keys() == {"4", "24", "72", "168", "720"}
    only = alice.speaking("hero").json("serviceCountRent", service="tg", country="22")
    assert only == {"22": shown["22"]}
    assert alice.speaking("hero").refused("serviceCountRent", service="zz zz") == (400, "BAD_SERVICE")


def test_countries_say_where_numbers_are_rented(alice: Bot) -> None:
    found = alice.json("getCountries")
    assert (found["22"]["rent"], found["73"]["rent"]) == (1, 0)


# One rental.


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_rental_is_bought_read_and_finished(stand: Stand, alice: Bot, dialect: str) -> None:
    bot = alice.speaking(dialect)
    sold = bot.json("getRentNumber", **TELEGRAM)
    order_id, phone = int(sold["phone"]["id"]), sold["phone"]["number"]
    assert (sold["status"], sold["activationId"], sold["phoneNumber"]) == ("success", order_id, phone)
    assert phone.isdigit()
    ends = datetime.strptime(sold["phone"]["endDate"], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    assert abs(ends - clock.now() - timedelta(hours=4)) < timedelta(seconds=30)
    assert sold["activationCost"] == float(PRICE)
    assert money(alice) == HELD
    assert word(bot.json("getRentStatus", id=order_id)) == "STATUS_WAIT_CODE"
    (row,) = bot.json("getRentList")["values"].values()
    assert (row["id"], row["phone"]) == (str(order_id), phone)
    for code in ("11111", "22222"):
        stand.deliver(order_id, code)
        shown = messages(bot, order_id, count=1 if code == "11111" else 2)
        assert shown["values"]["0"]["text"] == f"Telegram code {code}"
        assert shown["values"]["0"].keys() >= {"phoneFrom", "text", "service", "date"}
    assert money(alice) == (PAID, "0.00")
    second = bot.json("getRentStatus", id=order_id, page="2", size="1")["values"]
    assert [item["code"] for item in second.values()] == ["11111"]
    assert bot.json("setRentStatus", id=order_id, status="1") == {"status": "success"}
    if dialect == "hero":
        assert bot.refused("getRentStatus", id=order_id) == (404, "NOT_FOUND")
        assert bot.refused("setRentStatus", id=order_id, status="1") == (409, "ACTIVATION_NOT_ACTIVE")
        assert bot.refused("getRentList") == (404, "NO_NUMBERS")
    else:
        assert word(bot.json("getRentStatus", id=order_id)) == "STATUS_FINISH"
        assert word(bot.json("setRentStatus", id=order_id, status="1")) == "ALREADY_FINISH"
        assert word(bot.json("getRentList")) == "NO_NUMBERS"


def test_a_rental_reads_like_a_number_too_and_stands_in_no_list_of_them(stand: Stand, alice: Bot) -> None:
    order_id = rent(alice)
    assert alice.text("getActiveActivations") == "NO_ACTIVATIONS"
    assert alice.text("getStatus", id=order_id) == "STATUS_WAIT_CODE"
    stand.deliver(order_id, "11111")
    messages(alice, order_id, count=1)
    assert alice.text("getStatus", id=order_id) == "STATUS_OK:11111"
    assert alice.text("setStatus", id=order_id, status="3") == "ACCESS_RETRY_GET"
    assert alice.text("setStatus", id=order_id, status="8") == "BAD_STATUS"


def test_without_a_country_the_cheapest_one_is_taken(stand: Stand, alice: Bot) -> None:
    lowest = alice.json("getRentServicesAndCountries", rent_time="4")["services"]["tg"]["cost"]
    order_id = rent(alice, country="any")
    assert stand.ask("SELECT price_paise FROM orders WHERE id = $1", order_id) == round(lowest * 100)


# Giving it back.


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_rental_is_given_back_before_its_first_message(alice: Bot, dialect: str) -> None:
    bot = alice.speaking(dialect)
    order_id = rent(bot)
    assert bot.json("setRentStatus", id=order_id, status="2") == {"status": "success"}
    assert money(alice) == NONE
    if dialect == "hero":
        assert bot.refused("setRentStatus", id=order_id, status="2") == (409, "ACTIVATION_NOT_ACTIVE")
    else:
        assert word(bot.json("setRentStatus", id=order_id, status="2")) == "ALREADY_CANCEL"
        assert word(bot.json("getRentStatus", id=order_id)) == "STATUS_CANCEL"
    assert money(alice) == NONE


def test_after_a_message_or_its_window_a_rental_is_not_given_back(stand: Stand, alice: Bot) -> None:
    first, second = rent(alice), rent(alice)
    stand.deliver(first, "11111")
    messages(alice, first, count=1)
    keep(stand, second)
    for order_id, hero in ((first, "OTP_RECEIVED"), (second, "FREE_CANCELLATION_EXPIRED")):
        assert word(alice.json("setRentStatus", id=order_id, status="2")) == "CANT_CANCEL"
        assert alice.speaking("hero").refused("setRentStatus", id=order_id, status="2") == (409, hero)
    assert word(alice.json("getRentStatus", id=second)) == "STATUS_WAIT_CODE"
    assert money(alice) == (PAID_TWICE, "0.00")
    assert alice.json("setRentStatus", id=second, status="1") == {"status": "success"}


def test_a_young_rental_without_a_message_is_not_thrown_away(alice: Bot) -> None:
    order_id = rent(alice)
    for status in ("1", "3", "", "x"):
        assert word(alice.json("setRentStatus", id=order_id, status=status)) == "INCORECT_STATUS"
    assert money(alice) == HELD


# More hours.


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_rental_is_prolonged_at_the_price_that_was_told(stand: Stand, alice: Bot, dialect: str) -> None:
    bot = alice.speaking(dialect)
    order_id = rent(bot)
    before = stand.ask("SELECT expires_at FROM orders WHERE id = $1", order_id)
    told = bot.json("continueRentInfo", id=order_id, hours="4", needHistory="true")
    assert told == {"status": "success", "price": float(PRICE), "currency": 356, "hours": 4, "history": {}}
    assert bot.json("getContinueRentPriceNumber", id=order_id)["price"] == float(PRICE)
    more = bot.json("continueRentNumber", id=order_id, rent_time="4")
    assert (more["status"], more["phone"]["id"]) == ("success", order_id)
    after = stand.ask("SELECT expires_at FROM orders WHERE id = $1", order_id)
    assert after - before == timedelta(hours=4)
    assert money(alice) == (PAID_TWICE, "0.00")
    history = bot.json("continueRentInfo", id=order_id, hours="4", needHistory="true")["history"]
    assert [(item["hours"], item["price"]) for item in history.values()] == [(4, float(PRICE))]


def test_what_cannot_be_prolonged_says_why(alice: Bot) -> None:
    order_id = rent(alice)
    for action in ("continueRentNumber", "continueRentInfo"):
        shown = alice.json(action, id=order_id, rent_time="1344")
        assert word(shown) == "MAX_HOURS_EXCEED"
        assert 1300 < shown["info"]["max"] < 1344
        assert alice.speaking("hero").refused(action, id=order_id, rent_time="1344") == (400, "BAD_DURATION")
    assert word(alice.json("continueRentNumber", id=order_id, rent_time="720")) == "NO_BALANCE"
    assert money(alice) == HELD
    assert alice.json("setRentStatus", id=order_id, status="2") == {"status": "success"}
    assert word(alice.json("continueRentNumber", id=order_id, rent_time="4")) == "RENT_DIE"
    assert word(alice.json("continueRentInfo", id=order_id, hours="4")) == "RENT_DIE"
    assert money(alice) == NONE


# Clients that hang up.


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_next_try_gets_the_rental_of_the_one_that_hung_up(stand: Stand, alice: Bot, dialect: str) -> None:
    bot = alice.speaking(dialect)
    with slow(stand):
        hang_up(bot, "getRentNumber", **TELEGRAM)
        assert bot.json("getRentNumber", **(TELEGRAM | {"rent_time": "24"}))["status"] == "success"
        answer = bot.send("getRentNumber", **TELEGRAM)
    assert answer.headers["idempotent-replayed"] == "true"
    assert answer.json["phone"]["number"].isdigit()
    assert (orders_of(stand, alice), notes_of(stand, alice)) == (2, 0)
    assert rent(bot) != answer.json["phone"]["id"]


def test_an_order_id_makes_one_rental(stand: Stand, alice: Bot) -> None:
    first = rent(alice, orderId="mine")
    assert rent(alice, orderId="mine") == first
    assert word(alice.json("getRentNumber", **TELEGRAM | {"orderId": "mine", "rent_time": "24"})) == (
        "ORDER_ALREADY_EXISTS"
    )
    assert alice.json("getRentList")["values"]["0"]["orderId"] == "mine"
    assert (orders_of(stand, alice), money(alice)) == (1, HELD)


def test_the_next_try_gets_the_hours_of_the_one_that_hung_up(stand: Stand, alice: Bot) -> None:
    order_id = rent(alice)
    asked: dict[str, Any] = {"id": str(order_id), "rent_time": "4"}
    with slow(stand):
        hang_up(alice, "continueRentNumber", **asked)
        answer = alice.send("continueRentNumber", **asked)
    assert answer.headers["idempotent-replayed"] == "true"
    assert answer.json["status"] == "success"
    assert stand.ask("SELECT count(*) FROM prolongations WHERE order_id = $1", order_id) == 1
    assert (notes_of(stand, alice), money(alice)) == (0, (PAID_TWICE, "0.00"))
    assert "idempotent-replayed" not in alice.send("continueRentNumber", **asked).headers
    assert stand.ask("SELECT count(*) FROM prolongations WHERE order_id = $1", order_id) == 2


def test_hours_that_came_after_their_client_left_wait_for_it(stand: Stand, alice: Bot) -> None:
    order_id = rent(alice)
    asked: dict[str, Any] = {"id": str(order_id), "rent_time": "4"}
    with slow(stand):
        hang_up(alice, "continueRentNumber", **asked)
    until(stand, "SELECT state = 'done' FROM prolongations WHERE order_id = $1", order_id)
    assert alice.send("continueRentNumber", **asked).headers["idempotent-replayed"] == "true"
    assert stand.ask("SELECT count(*) FROM prolongations WHERE order_id = $1", order_id) == 1


# Refusals.

REFUSED: dict[str, tuple[dict[str, Any], str, tuple[int, str]]] = {
    "getRentNumber": ({"service": "go", "country": "73", "rent_time": "24"}, "NO_NUMBERS", (404, "NO_NUMBERS")),
    "getRentList": ({}, "NO_NUMBERS", (404, "NO_NUMBERS")),
    "getRentStatus": ({"id": "987654321"}, "INVALID_PHONE", (404, "NOT_FOUND")),
    "setRentStatus": ({"id": "abc", "status": "2"}, "NO_ID_RENT", (404, "NOT_FOUND")),
    "continueRentNumber": ({"rent_time": "4"}, "NO_ID_RENT", (404, "NOT_FOUND")),
    "continueRentInfo": ({"id": "9" * 30, "hours": "4"}, "INVALID_PHONE", (404, "NOT_FOUND")),
    "getContinueRentPriceNumber": ({"id": "0"}, "INVALID_PHONE", (404, "NOT_FOUND")),
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("action", REFUSED)
def test_what_is_not_rented_out_is_refused_by_its_word(alice: Bot, action: str, dialect: str) -> None:
    asked, said, hero = REFUSED[action]
    bot = alice.speaking(dialect)
    if dialect == "hero":
        assert bot.refused(action, **asked) == hero
    else:
        assert bot.json(action, **asked) == {"status": "error", "message": said, "error": said, "info": {}}


def test_times_that_cannot_be_rented_have_words_of_their_own(alice: Bot) -> None:
    for hours in ("1", "0", "-4", "abc", "1.5", "", "  "):
        assert word(alice.json("getRentNumber", service="tg", rent_time=hours)) == "INVALID_TIME"
    assert word(alice.json("getRentNumber", service="tg", rent_time="", time="1345")) == "MAX_HOURS_EXCEED"
    shown = alice.json("getRentNumber", service="tg", time="1345")
    assert (word(shown), shown["info"]) == ("MAX_HOURS_EXCEED", {"max": 1344})
    shown = alice.json("getRentNumber", service="tg", country="22", rent_time="5")
    assert (word(shown), shown["info"]) == ("INVALID_TIME", {"hours": [4, 24, 72, 168, 720]})
    assert word(alice.json("getRentNumber", rent_time="4")) == "BAD_SERVICE"
    assert word(alice.json("getRentNumber", **TELEGRAM, incomingCall="true")) == "NO_NUMBERS"
    assert word(alice.json("getRentNumber", **TELEGRAM | {"maxPrice": "1"})) == "WRONG_MAX_PRICE"
    assert money(alice) == NONE


def test_what_is_not_one_s_own_rental_is_nobody_s(alice: Bot, bob: Bot) -> None:
    foreign, plain = rent(bob), alice.buy()
    for order_id in (foreign, plain):
        for action in ("getRentStatus", "setRentStatus", "continueRentNumber", "continueRentInfo"):
            assert word(alice.json(action, id=order_id, status="2", rent_time="4")) == "INVALID_PHONE"
    assert money(bob) == HELD


def test_a_key_that_may_only_read_rents_nothing(stand: Stand, alice: Bot) -> None:
    order_id = rent(alice)
    reader = Bot(stand.another_key(alice.client, "read"))
    for action in ("getRentNumber", "setRentStatus", "continueRentNumber"):
        assert word(reader.json(action, **TELEGRAM, id=order_id, status="2")) == "BAD_KEY"
    assert word(reader.json("getRentStatus", id=order_id)) == "STATUS_WAIT_CODE"


def test_a_wrong_key_is_told_in_the_form_of_these_actions(stand: Stand) -> None:
    assert word(Bot(Client(stand.port, "wrong")).json("getRentList")) == "BAD_KEY"
