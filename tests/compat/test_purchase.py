"""Buying in the words of the protocol: its two forms, its refusals, and the caller's own word for a purchase."""

from decimal import Decimal
from typing import Any

import pytest

from numberdesk.catalogue import service as catalogue
from numberdesk.orders import service as orders
from numberdesk.orders.model import OrderId
from tests.compat.bot import DIALECTS, Bot, money, received
from tests.http.stand import PRICE, Stand

HELD = str(Decimal(1000) - Decimal(PRICE))
WANTED: dict[str, Any] = {"service": "tg", "country": "22"}

UNSOLD = "qz"
"""A service that is known, and offered by nobody."""


def test_a_number_is_an_id_and_digits(stand: Stand, alice: Bot) -> None:
    answer = alice.text("getNumber", **WANTED)
    word, number, digits = answer.split(":")
    assert (word, number.isdigit(), digits.isdigit()) == ("ACCESS_NUMBER", True, True)
    assert digits == stand.ask("SELECT number FROM orders WHERE id = $1", int(number))
    assert money(alice) == (HELD, PRICE)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_second_form_has_what_every_reader_minds(alice: Bot, dialect: str) -> None:
    answer = alice.speaking(dialect).send("getNumberV2", **WANTED)
    shown = answer.json
    assert answer.headers["content-type"] == "application/json"
    assert isinstance(shown["activationId"], int)
    assert shown["phoneNumber"].isdigit()
    assert b'"activationCost":' + PRICE.encode() in answer.body
    assert (shown["currency"], shown["countryCode"], shown["canGetAnotherSms"]) == (356, "22", "1")
    assert len(shown["activationTime"]) == len("2026-01-31 17:30:57")
    assert shown["activationOperator"] == "any"
    assert shown["serviceCode"] == "tg"


def test_a_post_works_as_a_get_does(alice: Bot) -> None:
    assert alice.text("getNumber", method="POST", form={}, **WANTED).startswith("ACCESS_NUMBER:")
    assert alice.text("getNumber", method="POST", form=WANTED).startswith("ACCESS_NUMBER:")
    assert alice.text("getNumber", method="POST", **{"service": "tg", "country ": " 22 "}).startswith("ACCESS_NUMBER:")


def test_any_country_is_the_one_where_a_number_costs_least(stand: Stand, alice: Bot) -> None:
    lowest = stand.ask("SELECT min(cost_paise) FROM offers WHERE service = 'tg' AND stock > 0")
    for country in (None, "any"):
        order_id = alice.json("getNumberV2", service="tg", country=country)["activationId"]
        assert stand.ask("SELECT cost_paise FROM orders WHERE id = $1", order_id) == lowest


def test_a_ceiling_below_the_price_names_the_lowest_price(alice: Bot) -> None:
    for ceiling in ("1", "0", "-5", "21.29", "abc", "1e99", "nan", "9" * 40):
        assert alice.text("getNumber", maxPrice=ceiling, **WANTED) == f"WRONG_MAX_PRICE:{PRICE}"
    answer = alice.speaking("hero").send("getNumber", maxPrice="1", **WANTED)
    assert (answer.status, answer.json["title"]) == (400, "WRONG_MAX_PRICE")
    assert b'"min":' + PRICE.encode() in answer.body
    assert money(alice) == ("1000.00", "0.00")
    for name in ("maxPrice", "max_price"):
        assert alice.text("getNumber", **{name: PRICE}, **WANTED).startswith("ACCESS_NUMBER:")
    assert alice.text("getNumber", maxPrice="21.309", **WANTED).startswith("ACCESS_NUMBER:")


REFUSED: dict[str, tuple[dict[str, Any], str, tuple[int, str]]] = {
    "no such service": ({"service": "nosuch"}, "BAD_SERVICE", (400, "BAD_SERVICE")),
    "no service": ({"service": None}, "BAD_SERVICE", (400, "BAD_SERVICE")),
    "no such country": ({"country": "9999"}, "BAD_COUNTRY", (400, "BAD_COUNTRY")),
    "an operator that is not to be had": ({"operator": "nobody"}, "NO_NUMBERS", (404, "NO_NUMBERS")),
    "a server that is not there": ({"providerIds": "77"}, "NO_NUMBERS", (404, "NO_NUMBERS")),
    "any server but the one that sells": ({"exceptProviderIds": "1, 77"}, "NO_NUMBERS", (404, "NO_NUMBERS")),
    "a server and not it": ({"providerIds": "1", "exceptProviderIds": "1"}, "NO_NUMBERS", (404, "NO_NUMBERS")),
    "many servers, and the one that sells": (
        {"exceptProviderIds": ",".join(map(str, [*range(70, 100), 1]))},
        "NO_NUMBERS",
        (404, "NO_NUMBERS"),
    ),
    "more servers than can be read": ({"exceptProviderIds": "7," * 300}, "BAD_DATA", (422, "UNPROCESSABLE_ENTITY")),
    "a number of one's choice": ({"number": "919812345678"}, "NO_NUMBERS", (404, "NO_NUMBERS")),
    "an area": ({"areas": "503,202"}, "NO_NUMBERS", (404, "NO_NUMBERS")),
    "a rental": ({"duration": "1D"}, "NO_NUMBERS", (404, "NO_NUMBERS")),
    "not these prefixes": ({"phoneException": "7918"}, "WRONG_EXCEPTION_PHONE", (400, "WRONG_EXCEPTION_PHONE")),
    "call forwarding": ({"forward": "1"}, "NO_NUMBERS", (404, "NO_NUMBERS")),
    "a call": ({"activationType": "2"}, "NO_NUMBERS", (404, "NO_NUMBERS")),
    "an orderId of nothing": ({"orderId": "x" * 65}, "BAD_DATA", (422, "UNPROCESSABLE_ENTITY")),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_met_is_refused_by_its_word_and_costs_nothing(alice: Bot, what: str) -> None:
    asked, word, hero = REFUSED[what]
    wanted = {name: value for name, value in (WANTED | asked).items() if value is not None}
    for action in ("getNumber", "getNumberV2"):
        assert alice.text(action, **wanted) == word
        assert alice.speaking("grizzly").text(action, **wanted) == word
        assert alice.speaking("hero").refused(action, **wanted) == hero
    assert money(alice) == ("1000.00", "0.00")


def test_servers_that_are_left_out_leave_the_others(alice: Bot) -> None:
    assert alice.text("getNumber", exceptProviderIds="77,78", **WANTED).startswith("ACCESS_NUMBER:")


def test_many_words_at_once_hold_up_nobody(stand: Stand, alice: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = 0
    offers_for = catalogue.offers_for

    def counting(*args: Any, **named: Any) -> Any:
        nonlocal looked
        looked += 1
        return offers_for(*args, **named)

    monkeypatch.setattr(catalogue, "offers_for", counting)
    many = ",".join(f"word{number}" for number in range(40))
    assert alice.text("getNumber", service="tg", operator=many, providerIds=many) == "NO_NUMBERS"
    assert looked <= 400


def test_no_money_no_number(stand: Stand) -> None:
    poor = Bot(stand.customer("0"))
    assert poor.text("getNumber", **WANTED) == "NO_BALANCE"
    assert poor.speaking("hero").refused("getNumberV2", **WANTED) == (402, "NO_BALANCE")


def test_an_account_that_may_not_spend_is_inactive(stand: Stand, alice: Bot) -> None:
    order_id = alice.buy()
    stand.change(
        "UPDATE accounts SET state = 'frozen', changed_at = clock_timestamp() WHERE id = $1", alice.client.account_id
    )
    for _ in range(40):
        if alice.text("getNumber", **WANTED) == "ACCOUNT_INACTIVE":
            break
    assert alice.text("getNumber", **WANTED) == "ACCOUNT_INACTIVE"
    assert alice.speaking("hero").refused("getNumber", **WANTED) == (403, "ACCOUNT_INACTIVE")
    assert alice.text("getStatus", id=order_id) == "STATUS_WAIT_CODE"


def test_several_services_on_one_number_are_not_to_be_had(alice: Bot) -> None:
    assert alice.text("getMultiServiceNumber", multiService="tg,wa", country="22") == "NOT_AVAILABLE"
    assert alice.text("getMultiServiceNumber", multiService="tg,nosuch", country="22") == "BAD_SERVICE"
    assert alice.text("getMultiServiceNumber") == "BAD_SERVICE"


def test_the_same_order_id_is_the_same_activation_for_ever(stand: Stand, alice: Bot, bob: Bot) -> None:
    first = alice.send("getNumberV2", orderId="mine-1", **WANTED)
    assert "idempotent-replayed" not in first.headers
    again = alice.send("getNumberV2", orderId="mine-1", **WANTED)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json == first.json
    text = alice.send("getNumber", orderId="mine-1", **WANTED)
    assert text.headers["idempotent-replayed"] == "true"
    assert text.body.decode() == f"ACCESS_NUMBER:{first.json['activationId']}:{first.json['phoneNumber']}"
    assert money(alice) == (HELD, PRICE)
    stand.ripen(first.json["activationId"])
    assert alice.text("setStatus", id=first.json["activationId"], status=8) == "ACCESS_CANCEL"
    assert alice.json("getNumberV2", orderId="mine-1", **WANTED)["activationId"] == first.json["activationId"]
    assert money(alice) == ("1000.00", "0.00")
    assert bob.json("getNumberV2", orderId="mine-1", **WANTED)["activationId"] != first.json["activationId"]


def test_an_order_id_of_another_purchase_is_refused(alice: Bot) -> None:
    alice.json("getNumberV2", orderId="mine-2", **WANTED)
    for other in ({"service": "wa"}, {"country": "0"}, {"maxPrice": "100"}, {"operator": "airtel"}):
        assert alice.text("getNumberV2", orderId="mine-2", **(WANTED | other)) == "ORDER_ALREADY_EXISTS"
    assert alice.speaking("hero").refused("getNumber", orderId="mine-2", service="wa") == (409, "ORDER_ALREADY_EXISTS")
    assert money(alice) == (HELD, PRICE)


def test_active_activations_name_the_order_id(alice: Bot) -> None:
    assert alice.text("getActiveActivations") == "NO_ACTIVATIONS"
    assert alice.speaking("grizzly").json("getActiveActivations") == []
    assert alice.speaking("hero").json("getActiveActivations") == {"status": "success", "data": []}
    named = alice.json("getNumberV2", orderId="mine-3", **WANTED)["activationId"]
    other = alice.buy()
    listed = alice.json("getActiveActivations")
    assert listed["data"] == listed["activeActivations"]
    first, second = listed["data"]
    assert (first["activationId"], first["orderId"]) == (str(named), "mine-3")
    assert second["activationId"] == str(other)
    assert "orderId" not in second
    assert first["activationStatus"] == "4"
    assert first["countryName"] == "India"
    assert len(alice.json("getActiveActivations", start=1, limit=5)["data"]) == 1
    assert alice.json("getActiveActivations", start=1)["data"] == listed["data"][1:]


def test_each_dialect_lists_codes_in_its_own_form(stand: Stand, alice: Bot) -> None:
    order_id = received(stand, alice)
    (classic,) = alice.json("getActiveActivations")["activeActivations"]
    (hero,) = alice.speaking("hero").json("getActiveActivations")["data"]
    (grizzly,) = alice.speaking("grizzly").json("getActiveActivations")
    assert (classic["smsCode"], hero["smsCode"], grizzly["smsCode"]) == (["12345"], "12345", ["12345"])
    assert {item["activationStatus"] for item in (classic, hero, grizzly)} == {"2"}
    assert hero["activationId"] == str(order_id)


def test_history_tells_what_was_paid(stand: Stand, alice: Bot) -> None:
    paid, free = received(stand, alice), alice.buy()
    shown = alice.json("getHistory")
    assert shown["status"] == "success"
    assert [(item["id"], item["status"]) for item in shown["data"]] == [(str(free), "4"), (str(paid), "2")]
    assert [str(item["cost"]) for item in shown["data"]] == ["0.0", "21.3"]
    assert alice.speaking("grizzly").json("getHistory", limit=1) == shown["data"][:1]
    assert alice.speaking("hero").json("getHistory", size=1, offset=1)["data"] == shown["data"][1:]
    assert alice.json("getHistory", start=0, end=86_400)["data"] == []
    for wrong in ({"start": "yesterday"}, {"start": "0"}, {"start": "5", "end": "1"}, {"end": "0001-01-01"}):
        assert alice.text("getHistory", **wrong) == "WRONG_DATE"


def test_what_staff_refunded_is_told_as_refunded(stand: Stand, alice: Bot) -> None:
    order_id = received(stand, alice)

    async def refund() -> None:
        async with stand.site.db.transaction() as tx:
            card, _ = await orders.refund(tx, OrderId(order_id))
        stand.site.desk.show([card])

    stand.portal.call(refund)
    (item,) = alice.json("getHistory")["data"]
    assert (item["id"], item["status"], item["cost"], item["code"]) == (str(order_id), "10", 0.0, "12345")
    assert money(alice) == ("1000.00", "0.00")


def test_an_order_id_is_not_used_up_by_a_purchase_that_bought_nothing(stand: Stand, alice: Bot) -> None:
    assert alice.text("getNumberV2", orderId="mine-4", **(WANTED | {"service": "nosuch"})) == "BAD_SERVICE"
    assert alice.text("getNumberV2", orderId="mine-4", maxPrice="1", **WANTED) == f"WRONG_MAX_PRICE:{PRICE}"
    assert alice.text("getNumberV2", orderId="mine-4", service=UNSOLD, country="any") == "NO_NUMBERS"
    stand.portal.call(lambda: stand.provider.set_profile("no-stock"))
    try:
        assert alice.text("getNumberV2", orderId="mine-4", maxPrice="99", **WANTED) == "NO_NUMBERS"
        assert alice.text("getNumberV2", orderId="mine-4", maxPrice="99", **WANTED) == "NO_NUMBERS"
    finally:
        stand.portal.call(lambda: stand.provider.set_profile("never"))
    bought = alice.json("getNumberV2", orderId="mine-4", **WANTED)
    assert bought["orderId"] == "mine-4"
    assert alice.json("getNumberV2", orderId="mine-4", **WANTED)["activationId"] == bought["activationId"]
    assert money(alice) == (HELD, PRICE)


def test_an_order_id_gives_its_activation_when_nothing_is_on_sale_any_more(stand: Stand, alice: Bot) -> None:
    bought = alice.json("getNumberV2", orderId="mine-5", **WANTED)
    stand.portal.call(lambda: stand.provider.set_profile("no-stock"))
    try:
        assert alice.json("getNumberV2", orderId="mine-5", **WANTED) == bought
    finally:
        stand.portal.call(lambda: stand.provider.set_profile("never"))
