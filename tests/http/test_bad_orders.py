"""Bad input of every call about orders: refused with the field or the reason, and nothing is bought or moved."""

import json
from typing import Any

import pytest

from numberdesk.orders import routes
from tests.http.stand import PRICE, TELEGRAM, Answer, Client, Stand
from tests.http.wrong_bodies import name_missing_and_unknown, refuse_wrong_types

BUY = "/auth/get-number"
CHECK = "/auth/check-otp"
BY_ID = (CHECK, "/auth/cancel-number", "/auth/next-otp", "/auth/finish-number", "/auth/extend-number")
LARGEST_ID = 2**63 - 1


@pytest.fixture
def poor(stand: Stand) -> Client:
    """A customer with an empty wallet."""
    return stand.customer("0")


def refused(alice: Client, wish: object) -> Answer:
    """Try to buy; make sure that no money moved and no order was made."""
    answer = alice.post(BUY, wish)
    assert answer.status in (400, 403, 409), answer
    assert alice.get("/user/balance").data == {"available": "1000.00", "held": "0.00", "currency": "INR"}
    assert alice.get("/orders").data["items"] == []
    return answer


def base_of(path: str) -> dict[str, Any]:
    """Return a good body for a call."""
    if path == BUY:
        return dict(TELEGRAM)
    return {"orderId": 987654321} | ({"minutes": 5} if path == "/auth/extend-number" else {})


def test_the_table_of_calls_is_the_one_tested_here(stand: Stand) -> None:
    elsewhere = {"/auth/extend-price"}  # test_rentals.py
    assert {call.path for call in routes.calls(stand.site.desk)} == {BUY, *BY_ID, *elsewhere}


@pytest.mark.parametrize(
    ("wish", "code", "shown"),
    [
        ({"service": "nope"}, "unknown_service", {"service": "nope"}),
        ({"service": "TG"}, "unknown_service", {"service": "TG"}),
        ({"service": "telegram"}, "unknown_service", {"service": "telegram"}),
        ({"service": "' OR 1=1"}, "unknown_service", {"service": "' OR 1=1"}),
        ({"service": "{__class__}"}, "unknown_service", {"service": "{__class__}"}),
        ({"country": "ZZ"}, "unknown_country", {"country": "ZZ"}),
        ({"country": 9999}, "unknown_country", {"country": "9999"}),
        ({"country": -1}, "unknown_country", {"country": "-1"}),
        ({"country": 10**30}, "unknown_country", {"country": str(10**30)}),
        ({"server": "nope"}, "unknown_server", {"server": "nope"}),
        ({"server": 99}, "unknown_server", {"server": "99"}),
        ({"server": 10**30}, "unknown_server", {"server": str(10**30)}),
        ({"operator": "nope"}, "unknown_operator", {"operator": "nope", "known": ["any"]}),
        ({"service": "go", "country": 1}, "not_offered", {}),
    ],
)
def test_what_nobody_sells_is_refused_by_name(
    alice: Client, wish: dict[str, Any], code: str, shown: dict[str, Any]
) -> None:
    answer = refused(alice, TELEGRAM | wish)
    assert answer.refusal == (400, code)
    assert answer.details["category"] == "validation"
    assert {name: answer.details[name] for name in shown} == shown


@pytest.mark.parametrize("service", ["ts", "hw"])
def test_a_blocked_service_is_refused_with_the_reason(alice: Client, service: str) -> None:
    answer = refused(alice, TELEGRAM | {"service": service})
    assert answer.refusal == (403, "service_blocked")
    assert answer.details["reason"] in answer.json["error"]


@pytest.mark.parametrize("ceiling", ["0.01", 0.01, 1, "21.29", 21.29])
def test_a_ceiling_below_the_cheapest_price_is_told_the_price(alice: Client, ceiling: object) -> None:
    answer = refused(alice, TELEGRAM | {"maxPrice": ceiling})
    assert answer.refusal == (400, "price_too_low")
    assert answer.details["minimum"] == PRICE
    assert PRICE in answer.json["error"]


@pytest.mark.parametrize("ceiling", [PRICE, float(PRICE), 21.3, "100", 100, " 50 ", None])
def test_a_ceiling_that_is_high_enough_buys(alice: Client, ceiling: object) -> None:
    bought = alice.post(BUY, TELEGRAM | {"maxPrice": ceiling}).data
    assert (bought["status"], bought["price"]) == ("active", PRICE)


@pytest.mark.parametrize(
    ("ceiling", "problem"),
    [
        ("1e3", "two decimals"),
        (12.345, "two decimals"),
        ("12.345", "two decimals"),
        (10**30, "two decimals"),
        (1e300, "two decimals"),
        ("9" * 70, "two decimals"),
        ("9" * 20, "too large"),
        (10_000_000_001, "too large"),
        ("\uff11\uff12", "two decimals"),
        ("NaN", "two decimals"),
        ("Infinity", "two decimals"),
        ("", "two decimals"),
        ("12,50", "two decimals"),
        ("1_0", "two decimals"),
        ("+5", "two decimals"),
        (".5", "two decimals"),
        ("5.", "two decimals"),
        ("0x10", "two decimals"),
        ("₹12", "two decimals"),
        ("-1", "negative"),
        (-1, "negative"),
        (-0.5, "negative"),
        (0, "more than zero"),
        ("0.00", "more than zero"),
        (True, "is true or false"),
        ([], "is a list"),
        ({}, "is an object"),
        (["12"], "is a list"),
    ],
)
def test_what_is_no_amount_is_refused(alice: Client, ceiling: object, problem: str) -> None:
    answer = refused(alice, TELEGRAM | {"maxPrice": ceiling})
    assert answer.refusal == (400, "invalid_request")
    assert problem in answer.details["fields"]["maxPrice"]
    assert answer.json["error"] == f"maxPrice {answer.details['fields']['maxPrice']}."


@pytest.mark.parametrize("literal", ["1e400", "9" * 5000, "-1e999"])
def test_a_number_beyond_all_bounds_is_refused(alice: Client, literal: str) -> None:
    answer = refused(alice, b'{"service":"tg","country":"IN","maxPrice":%s}' % literal.encode())
    assert answer.details["fields"] == {"maxPrice": "is out of range"}


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1.", "01", "+1", "0x1", "1e"])
def test_a_number_that_json_does_not_know_is_refused(alice: Client, literal: str) -> None:
    answer = refused(alice, b'{"service":"tg","country":"IN","maxPrice":%s}' % literal.encode())
    assert answer.refusal == (400, "invalid_json")


@pytest.mark.parametrize(
    ("field", "given", "problem"),
    [
        ("quantity", 0, ">= 1"),
        ("quantity", -1, ">= 1"),
        ("quantity", 11, "<= 10"),
        ("quantity", 2**64, "<= 10"),
        ("quantity", "2", "is text"),
        ("quantity", 1.5, "whole number"),
        ("service", "", "length >= 1"),
        ("service", "t" * 41, "length <= 40"),
        ("service", 5, "must be text"),
        ("country", "", "length >= 1"),
        ("country", 22.5, "must be a whole number or text"),
        ("server", "", "length >= 1"),
        ("operator", "a" * 41, "length <= 40"),
        ("operator", 5, "must be text or null"),
    ],
)
def test_a_field_out_of_its_bounds_is_named(alice: Client, field: str, given: object, problem: str) -> None:
    answer = refused(alice, TELEGRAM | {field: given})
    assert answer.refusal == (400, "invalid_request")
    assert list(answer.details["fields"]) == [field]
    assert problem in answer.details["fields"][field]


def test_every_field_of_every_call_refuses_wrong_types_in_plain_words(stand: Stand, alice: Client) -> None:
    refuse_wrong_types(alice, routes.calls(stand.site.desk), base_of)


def test_every_call_names_a_missing_and_an_unknown_field(stand: Stand, alice: Client) -> None:
    unknown = ("bogus", "order_id", "ORDERID", "accountId", "price", "__proto__")
    name_missing_and_unknown(alice, routes.calls(stand.site.desk), base_of, unknown=unknown)
    for call in routes.calls(stand.site.desk):
        assert alice.post(call.path, b"").details["fields"] == alice.post(call.path, {}).details["fields"]


@pytest.mark.parametrize("path", BY_ID)
@pytest.mark.parametrize("given", [0, -1, 2**63, 2**64, 10**30, "1", "", 1.5, 1e3])
def test_what_is_no_order_id_is_refused(alice: Client, path: str, given: object) -> None:
    answer = alice.post(path, base_of(path) | {"orderId": given})
    assert answer.refusal == (400, "invalid_request")
    assert list(answer.details["fields"]) == ["orderId"]


@pytest.mark.parametrize("path", BY_ID)
@pytest.mark.parametrize("given", [987654321, LARGEST_ID])
def test_an_order_that_does_not_exist_is_not_found(alice: Client, path: str, given: int) -> None:
    assert alice.post(path, base_of(path) | {"orderId": given}).refusal == (404, "not_found")


@pytest.mark.parametrize("folder", ["/orders", "/auth/number-status"])
@pytest.mark.parametrize(
    "given",
    ["0", "-1", "987654321", str(2**63), str(2**64), "1.0", "1e3", "abc", "%EF%BC%91", "%201", "1%0A", "%00", "+1",
     "0" * 19 + "1" + "9" * 25, "0" * 19 + "1" + "9" * 5000, "1'--"],
)  # fmt: skip
def test_an_address_that_names_no_order_is_not_found(alice: Client, folder: str, given: str) -> None:
    answer = alice.get(f"{folder}/{given}")
    assert answer.refusal == (404, "not_found")
    assert answer.details["what"] == "order"


def test_text_with_control_or_direction_characters_is_refused(stand: Stand, alice: Client) -> None:
    for character in "\0\x01\x08\x0b\x1b\x7f\u202a\u202e\u2066\u2069":
        for name in ("service", "country", "server", "operator", "maxPrice"):
            answer = refused(alice, TELEGRAM | {name: f"1{character}0"})
            assert answer.details["fields"] == {name: "contains characters that are not text"}, (name, character)
        answer = refused(alice, TELEGRAM | {f"x{character}y": 1})
        assert answer.details["fields"] == {"xy": "is not a known field"}
        assert alice.get(f"/services?q={_escaped(character)}").details["fields"] == {
            "query": "contains characters that are not text"
        }


def _escaped(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def test_a_long_unknown_name_is_not_thrown_back(alice: Client) -> None:
    answer = refused(alice, {"x" * 60_000: 1})
    assert answer.details["fields"] == {"x" * 40: "is not a known field"}
    assert len(answer.body) < 500


def test_an_empty_wallet_is_told_what_is_needed(poor: Client) -> None:
    answer = poor.post(BUY, TELEGRAM)
    assert answer.refusal == (400, "insufficient_balance")
    assert (answer.details["needed"], answer.details["available"]) == (PRICE, "0.00")
    assert answer.details["category"] == "transaction"
    assert poor.get("/orders").data["items"] == []


def test_a_wallet_that_has_enough_for_some_buys_some(stand: Stand) -> None:
    client = stand.customer("50")
    bought = client.post(BUY, TELEGRAM | {"quantity": 5}).data
    assert bought["requested"] == 5
    assert [order["status"] for order in bought["orders"]] == ["active", "active"]
    assert client.get("/user/balance").data == {"available": "7.40", "held": "42.60", "currency": "INR"}


@pytest.mark.parametrize("wait", [-1, 25.5, 26, 1e9, "5", None, True, []])
def test_a_wait_out_of_its_bounds_is_refused_at_once(alice: Client, wait: object) -> None:
    order_id = alice.buy()
    answer = alice.post(CHECK, {"orderId": order_id, "wait": wait})
    assert answer.refusal == (400, "invalid_request")
    assert list(answer.details["fields"]) == ["wait"]


@pytest.mark.parametrize("minutes", [0, -5, 1441, 2**63, 1.5, "5", None, True])
def test_minutes_out_of_their_bounds_are_refused(alice: Client, minutes: object) -> None:
    order_id = alice.buy()
    answer = alice.post("/auth/extend-number", {"orderId": order_id, "minutes": minutes})
    assert answer.refusal == (400, "invalid_request")
    assert list(answer.details["fields"]) == ["minutes"]


def test_an_extension_beyond_the_provider_s_end_is_told_the_latest(alice: Client) -> None:
    answer = alice.post("/auth/extend-number", {"orderId": alice.buy(), "minutes": 1440})
    assert answer.refusal == (409, "cannot_extend")
    assert answer.details["latest"] > "20"
    assert alice.get("/user/balance").data["held"] == PRICE


def test_a_cancel_that_comes_too_early_is_told_when(alice: Client) -> None:
    order_id = alice.buy()
    order = alice.post(CHECK, {"orderId": order_id}).data
    answer = alice.post("/auth/cancel-number", {"orderId": order_id})
    assert answer.refusal == (409, "cancel_too_early")
    assert answer.details["allowedAt"] == order["cancelAllowedAt"]
    assert 100 < answer.details["waitSeconds"] <= 120
    assert str(answer.details["waitSeconds"]) in answer.json["error"]
    assert alice.get("/user/balance").data["held"] == PRICE


def test_after_a_code_an_order_cannot_be_cancelled(stand: Stand, alice: Client) -> None:
    order_id = stand.received(alice)
    stand.ripen(order_id)
    for _ in range(2):
        answer = alice.post("/auth/cancel-number", {"orderId": order_id})
        assert answer.refusal == (409, "not_cancellable")
    assert alice.get("/user/balance").data == {"available": "978.70", "held": "0.00", "currency": "INR"}


def test_an_order_without_its_code_can_neither_be_finished_nor_asked_for_another(alice: Client) -> None:
    order_id = alice.buy()
    for path in ("/auth/finish-number", "/auth/next-otp"):
        answer = alice.post(path, {"orderId": order_id})
        assert answer.refusal == (409, "not_possible_now")
        assert answer.details["orderStatus"] == "active"


def test_a_cancelled_order_stays_cancelled(stand: Stand, alice: Client) -> None:
    order_id = alice.buy()
    stand.ripen(order_id)
    first = alice.post("/auth/cancel-number", {"orderId": order_id})
    assert first.data["refund"]["amount"] == PRICE
    assert alice.post("/auth/cancel-number", {"orderId": order_id}).body == first.body
    for path in ("/auth/finish-number", "/auth/next-otp", "/auth/extend-number"):
        assert alice.post(path, base_of(path) | {"orderId": order_id}).refusal == (409, "not_possible_now")
    assert alice.get("/user/balance").data == {"available": "1000.00", "held": "0.00", "currency": "INR"}


def test_the_whole_life_of_an_order_on_the_wire(stand: Stand, alice: Client) -> None:
    bought = alice.post(BUY, {"service": "tg", "country": 22, "server": "alpha", "quantity": 1}).data
    order_id = bought["orderId"]
    assert (bought["number"][:3], bought["otp"], bought["messages"], bought["refund"]) == ("+91", None, [], None)
    extended = alice.post("/auth/extend-number", {"orderId": order_id, "minutes": 2}).data
    assert extended["expiresAt"] > bought["expiresAt"]
    stand.deliver(order_id, "11111")
    seen = alice.post(CHECK, {"orderId": order_id, "wait": 10}).data
    assert (seen["status"], seen["otp"], seen["messages"][0]["text"]) == ("received", "11111", "Telegram code 11111")
    assert alice.post("/auth/next-otp", {"orderId": order_id}).data["status"] == "received"
    stand.deliver(order_id, "22222")
    seen = alice.post(CHECK, {"orderId": order_id, "wait": 10}).data
    assert [message["code"] for message in seen["messages"]] == ["11111", "22222"]
    done = alice.post("/auth/finish-number", {"orderId": order_id}).data
    assert done["status"] == "completed"
    assert alice.get(f"/auth/number-status/{order_id}").data == done
    detail = alice.get(f"/orders/{order_id}").data
    assert detail["order"] == done
    assert [step["event"] for step in detail["timeline"]] == [
        "requested", "routed", "active", "code received", "code received", "completed",
    ]  # fmt: skip
    assert alice.get("/user/balance").data == {"available": "978.30", "held": "0.00", "currency": "INR"}


def test_an_answer_is_json_in_utf_8(alice: Client) -> None:
    answer = refused(alice, TELEGRAM | {"service": "日本語"})
    assert "日本語".encode() in answer.body
    assert json.loads(answer.body)["details"]["service"] == "日本語"
