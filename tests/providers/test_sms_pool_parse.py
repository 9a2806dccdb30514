"""The parsers of the SMSPool family: what is sure, and that everything else is unknown."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numberdesk.base.money import Paise
from numberdesk.providers.adapters import sms_pool_lists as lists
from numberdesk.providers.adapters import sms_pool_parse as parse
from numberdesk.providers.model import (
    ActiveList,
    CodeWon,
    Done,
    Ended,
    Received,
    Refused,
    RentAnswer,
    Rented,
    TooEarly,
    Unknown,
    UpstreamName,
    UpstreamOffer,
    Waiting,
)
from tests.providers.sms_pool_desk import WORDS

RECORDED = Path(__file__).parents[1] / "contracts" / "sms_pool"
ID = "ABCDEFGH"
SOLD = Rented(ID, "1234567890", Paise(2004), can_get_next=True)
PAGE = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
SILENT_STATUSES = [201, 204, 302, 429, 500, 502, 503]


def recorded(name: str) -> bytes:
    return (RECORDED / f"{name}.json").read_bytes()


def changed(name: str, **changes: Any) -> bytes:
    """Return a recorded object with some fields changed; None as a value is JSON's null."""
    return msgspec.json.encode(msgspec.json.decode(recorded(name)) | changes)


def failure(**fields: Any) -> bytes:
    return msgspec.json.encode({"success": 0, **fields})


def rent(body: bytes, status: int = 200, *, ceiling: int = 2500, per_unit: int = 8350) -> RentAnswer:
    return parse.rent(body, status, ceiling_paise=Paise(ceiling), paise_per_unit=per_unit)


# A purchase.


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (recorded("purchase-out-of-stock"), "no_numbers"),
        (recorded("purchase-no-balance"), "no_balance"),
        (recorded("purchase-no-price"), "price_changed"),
        (recorded("invalid-key"), "bad_key"),
        (recorded("missing-country"), "bad_country"),
        (failure(errors=[{"param": "service", "message": "Invalid service"}]), "bad_service"),
        (failure(errors=[{"param": "pool", "message": "Invalid pool"}]), "bad_operator"),
        (failure(type="OUT_OF_STOCK", message="gone"), "no_numbers"),
        (b'{"success":false,"type":"OUT_OF_STOCK"}', "no_numbers"),
        (b'{"success":"0","type":"OUT_OF_STOCK"}', "no_numbers"),
    ],
)
def test_a_listed_error_is_a_refusal_whether_its_status_says_so_or_not(body: bytes, reason: str) -> None:
    for status in (200, 400, 403, 404, 422):
        answer = rent(body, status)
        assert isinstance(answer, Refused), answer
        assert answer.reason == reason
        assert "Foxtrot" not in answer.detail
    for status in SILENT_STATUSES:
        assert isinstance(rent(body, status), Unknown), status


@pytest.mark.parametrize(
    "body",
    [
        b"",
        PAGE,
        b"null",
        b"[]",
        b"{}",
        b'{"success":0}',
        b'{"success":1}',
        b'{"type":"OUT_OF_STOCK"}',
        b'{"success":1,"type":"OUT_OF_STOCK"}',
        b'{"success":null,"type":"OUT_OF_STOCK"}',
        failure(message="Insufficient balance"),
        failure(type="POOL_ERROR"),
        failure(errors=[{"param": "areacode"}]),
        failure(type="OUT_OF_STOCK", order_id=ID),
        changed("purchase", success=0),
        recorded("purchase-token"),
        recorded("order-not-found"),
        b"OUT_OF_STOCK",
        b"\xff\xfe",
    ],
)
def test_any_other_answer_to_a_purchase_is_unknown(body: bytes) -> None:
    for status in (200, 400, 403, 422):
        assert isinstance(rent(body, status), Unknown), status


def test_an_error_that_nobody_listed_is_named() -> None:
    def word(body: bytes, status: int = 422) -> str:
        answer = rent(body, status)
        assert isinstance(answer, Unknown)
        return answer.word

    assert word(failure(type="POOL_ERROR", message="Pool 7 is broken")) == "POOL_ERROR"
    assert word(failure(message="Something went wrong.")) == "Something went wrong."
    assert word(failure(message="Your code is 12345")) == ""
    assert word(failure(type="OUT_OF_STOCK", order_id=ID)) == ""
    assert word(failure(type="POOL_ERROR"), 503) == ""
    assert word(PAGE) == ""


def test_a_sale_is_read_with_its_whole_number_and_its_cost_rounded_up() -> None:
    assert rent(recorded("purchase")) == SOLD
    assert rent(changed("purchase", number="1234567890", cost=0.24)) == SOLD
    assert rent(changed("purchase", cost="0.24001")) == Rented(ID, "1234567890", Paise(2005), can_get_next=True)
    assert rent(changed("purchase", cost=None)) == Rented(ID, "1234567890", None, can_get_next=True)
    for status in SILENT_STATUSES:
        assert isinstance(rent(recorded("purchase"), status), Unknown)


@pytest.mark.parametrize(
    "changes",
    [
        {"order_id": None},
        {"order_id": ""},
        {"order_id": "A B"},
        {"order_id": "../../x"},
        {"number": None},
        {"number": ""},
        {"number": 12},
        {"success": 2},
        {"success": None},
        {"cost": "free"},
        {"cost": "-1"},
        {"cost": "0.30"},
    ],
)
def test_a_sale_that_is_not_well_formed_or_too_dear_is_unknown(changes: dict[str, Any]) -> None:
    assert isinstance(rent(changed("purchase", **changes)), Unknown)


def test_half_a_sale_is_unknown() -> None:
    whole = recorded("purchase").rstrip()
    for length in range(len(whole)):
        assert isinstance(rent(whole[:length]), Unknown)


# A look.


def check(status: Any, **fields: Any) -> bytes:
    return msgspec.json.encode({"status": status, "expiration": 1704562249, **fields})


def test_an_order_waits_by_any_of_four_numbers() -> None:
    assert parse.look(recorded("check-pending"), 200) == Waiting()
    for number in (1, 4, 7, 8, "1"):
        assert parse.look(check(number), 200) == Waiting()
    assert parse.look(check(1, message="An SMS is on its way"), 200) == Waiting()


def test_a_completed_order_has_its_message() -> None:
    assert parse.look(recorded("check-completed"), 200) == (Received("12345", "Full code: 12345"),)
    assert parse.look(check(3, sms=12345), 200) == (Received("12345", ""),)
    assert parse.look(check("3", sms="0", full_sms="no code in it"), 200) == (Received("", "no code in it"),)
    assert parse.look(check(3, sms="", full_sms="код 12345"), 200) == (Received("", "код 12345"),)
    for body in (check(3), check(3, sms="0", full_sms=""), check(3, sms="", full_sms=None)):
        assert parse.look(body, 200) == Unknown("a completed order without a message")


def test_an_order_has_ended_by_any_of_three_numbers() -> None:
    assert parse.look(recorded("check-refunded"), 200) == Ended("refunded")
    assert [parse.look(check(number), 200) for number in (2, 5, 6)] == [
        Ended("expired"),
        Ended("cancelled"),
        Ended("refunded"),
    ]
    assert parse.look(check(6, sms="12345", full_sms="12345"), 200) == Ended("refunded")


def test_an_order_that_is_not_known_has_ended() -> None:
    for status in (200, 400, 404):
        assert parse.look(recorded("order-not-found"), status) == Ended("not found")
        assert parse.look(failure(message="We could not find this order!"), status) == Ended("not found")
    assert isinstance(parse.look(recorded("order-not-found"), 503), Unknown)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 200),
        (PAGE, 200),
        (b"[]", 200),
        (b'{"status":null}', 200),
        (check(0), 200),
        (check(9), 200),
        (check(True), 200),
        (check("pending"), 200),
        (check(3, sms="12345"), 404),
        (recorded("check-refunded"), 500),
        (recorded("invalid-key"), 403),
        (failure(message="not found"), 404),
    ],
)
def test_any_other_look_is_unknown(body: bytes, status: int) -> None:
    assert isinstance(parse.look(body, status), Unknown)


# The end, and one more code.


def test_a_cancel_is_done_too_early_or_looked_after() -> None:
    assert parse.cancel(recorded("cancel"), 200) == Done()
    assert parse.cancel(recorded("cancel-too-early"), 400) == TooEarly()
    other = "This phone number cannot be cancelled yet, please try again later!"
    assert parse.cancel(failure(message=other), 200) == TooEarly()
    assert parse.cancel(failure(message="This order was already completed."), 400) == parse.LookAgain()
    assert parse.cancel(recorded("order-not-found"), 404) == parse.LookAgain()
    for body, status in [
        (recorded("cancel"), 400),
        (recorded("cancel-too-early"), 503),
        (recorded("invalid-key"), 403),
        (recorded("purchase-out-of-stock"), 422),
        (b'{"success":null}', 200),
        (b"", 200),
        (PAGE, 404),
    ]:
        assert isinstance(parse.cancel(body, status), Unknown), (body, status)


def test_the_look_after_a_refused_cancel_says_what_became_of_the_order() -> None:
    assert parse.after_refused_cancel(recorded("check-completed"), 200) == CodeWon()
    assert parse.after_refused_cancel(check(4), 200) == CodeWon()
    assert parse.after_refused_cancel(recorded("check-refunded"), 200) == Done()
    assert parse.after_refused_cancel(check(5), 200) == Done()
    assert parse.after_refused_cancel(check(2), 200) == Ended("expired")
    assert parse.after_refused_cancel(recorded("order-not-found"), 404) == Ended("not found")
    for body in (recorded("check-pending"), check(3), check(9), b""):
        assert isinstance(parse.after_refused_cancel(body, 200), Unknown)


def test_one_more_code_is_asked_for_only_when_it_costs_nothing() -> None:
    assert parse.may_resend(recorded("check_resend"), 200) == Done()
    assert parse.may_resend(changed("check_resend", resendCost="0.00"), 200) == Done()
    for cost in (0.05, "0.05"):
        answer = parse.may_resend(changed("check_resend", resendCost=cost), 200)
        assert answer == Refused("not_allowed", "one more message would cost extra")
    assert isinstance(parse.may_resend(recorded("check_resend-not-available"), 400), Refused)
    assert parse.may_resend(recorded("order-not-found"), 404) == Ended("not found")
    answer = parse.may_resend(recorded("invalid-key"), 403)
    assert isinstance(answer, Refused)
    assert answer.reason == "bad_key"
    for body, status in [
        (changed("check_resend", resendCost=None), 200),
        (changed("check_resend", resendCost="?"), 200),
        (recorded("check_resend"), 400),
        (recorded("check_resend-not-available"), 500),
        (b"", 200),
    ]:
        assert isinstance(parse.may_resend(body, status), Unknown), (body, status)


def test_one_more_code_is_on_its_way_only_under_the_same_id() -> None:
    assert parse.another_code(recorded("resend"), 200, upstream_id="QRXWQWZK") == Done()
    assert parse.another_code(b'{"success":1}', 200, upstream_id=ID) == Done()
    answer = parse.another_code(recorded("resend"), 200, upstream_id=ID)
    assert answer == Unknown("it goes on under another id")
    assert isinstance(parse.another_code(recorded("resend-no-sms"), 400, upstream_id=ID), Refused)
    assert parse.another_code(recorded("order-not-found"), 404, upstream_id=ID) == Ended("not found")
    for body, status in [(recorded("resend-no-sms"), 502), (recorded("resend"), 500), (b"", 200), (PAGE, 200)]:
        assert isinstance(parse.another_code(body, status, upstream_id=ID), Unknown)


def test_a_balance_is_rounded_down() -> None:
    assert parse.balance(recorded("balance"), 200, paise_per_unit=8350) == 41750
    assert parse.balance(b'{"balance":-0.001}', 200, paise_per_unit=100) == -1
    for body in (
        b"",
        b"[]",
        b'{"balance":null}',
        b'{"balance":"NaN"}',
        b'{"balance":"1e999"}',
        recorded("invalid-key"),
    ):
        assert isinstance(parse.balance(body, 200, paise_per_unit=100), Unknown), body
    assert isinstance(parse.balance(recorded("balance"), 500, paise_per_unit=100), Unknown)


# Lists.

IDS = {"telegram": ("907",), "nordstrom": ("644",), "twins": ("907", "1012"), "half": ("907", "644")}


def row(**changes: Any) -> dict[str, Any]:
    listed: dict[str, Any] = msgspec.json.decode(recorded("active"))[0]
    return listed | {"service": "Telegram"} | changes


def active(*rows: dict[str, Any]) -> ActiveList:
    found = lists.orders(msgspec.json.encode(list(rows)), 200)
    assert isinstance(found, lists.Rows)
    return lists.active(found, ids=IDS, words=WORDS, paise_per_unit=8350)


def test_orders_are_listed_in_our_codes() -> None:
    found = active(row(), row(order_code="B2345678", status="completed", code="48213", full_code="Code 48213"))
    assert found.is_whole
    first, second = found.activations
    assert (first.upstream_id, first.service, first.country, first.number) == (ID, "tg", 187, "1234567890")
    assert (first.cost_paise, first.messages, first.is_live, first.reference) == (2004, (), True, None)
    assert (second.is_live, second.messages) == (True, (Received("48213", "Code 48213"),))


def test_what_has_ended_is_listed_for_its_message_only() -> None:
    found = active(row(status="refunded"), row(status="expired", code="48213"), row(status="Cancelled", full_code="x"))
    assert found.is_whole
    assert [item.is_live for item in found.activations] == [False, False]


def test_what_we_have_no_word_for_fits_no_order_of_ours() -> None:
    found = active(row(service="Nordstrom "), row(short_name="ZZ"), row(service="HALF"))
    assert found.is_whole
    assert [(item.service, item.country) for item in found.activations] == [("", 187), ("", None), ("tg", 187)]


@pytest.mark.parametrize(
    "changes",
    [
        {"service": "Unheard of"},
        {"service": "twins"},
        {"status": "archived"},
        {"order_code": "?"},
        {"phonenumber": "hidden"},
        {"cost": "free"},
        {"service": None},
    ],
)
def test_a_list_with_something_that_cannot_be_told_is_not_whole(changes: dict[str, Any]) -> None:
    found = active(row(order_code="B2345678"), row(**changes))
    assert not found.is_whole
    assert found.activations[0].service == "tg"
    assert all(item.service == "" for item in found.activations[1:])


def test_no_list_is_unknown_and_an_empty_one_is_whole() -> None:
    assert active() == ActiveList((), is_whole=True)
    for body, status in [(b"", 200), (b"{}", 200), (PAGE, 200), (recorded("active"), 500), (b"[", 200)]:
        assert isinstance(lists.orders(body, status), Unknown), (body, status)
    assert isinstance(lists.orders(recorded("invalid-key"), 403), Unknown)


def test_names_are_told_with_the_numbers_and_letters_that_go_with_them() -> None:
    assert lists.service_ids(recorded("services"), 200) == {
        "1688": ("1",),
        "nordstrom": ("644",),
        "snapchat": ("846",),
        "telegram": ("907",),
    }
    places = lists.places(recorded("countries"), 200)
    assert isinstance(places, tuple)
    assert lists.Place("20", UpstreamName("MY", "Malaysia", "MY")) in places
    virtual = b'[{"ID":22,"name":"United States (Virtual)","short_name":"US_V"},{"ID":"x","name":"","short_name":"A"}]'
    assert lists.places(virtual, 200) == (lists.Place("22", UpstreamName("US_V", "United States (Virtual)")),)
    for body, status in [(b"[]", 200), (b"{}", 200), (recorded("countries"), 500), (b"[1,2]", 200)]:
        assert isinstance(lists.places(body, status), Unknown)
        assert isinstance(lists.service_ids(body, status), Unknown)


def prices(body: bytes, status: int = 200) -> Any:
    return lists.prices(body, status, paise_per_unit=8350)


def test_prices_are_told_by_pool_and_for_any() -> None:
    assert prices(recorded("pricing")) == (
        (
            UpstreamOffer("846", "MY", "any", Paise(167), lists.STOCK_UNTOLD),
            UpstreamOffer("846", "MY", "3", Paise(167), lists.STOCK_UNTOLD),
        ),
        (UpstreamName("846", "Snapchat"),),
    )
    entry = msgspec.json.decode(recorded("pricing"))[0]
    two = [entry | {"pool": 7, "price": "0.01"}, entry, entry | {"price": "0"}, entry | {"pool": None}, 5]
    offers, _ = prices(msgspec.json.encode(two))
    assert {(offer.operator, offer.cost_paise) for offer in offers} == {("any", 84), ("7", 84), ("3", 167)}


def test_prices_that_cannot_be_read_are_unknown_and_none_are_none() -> None:
    assert prices(b"[]") == ((), ())
    for body, status in [(b"", 200), (b"[5]", 200), (recorded("pricing"), 503), (recorded("missing-country"), 400)]:
        assert isinstance(prices(body, status), Unknown)


# Anything.

LITTLE = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.lists(st.integers()))
FIELDS = st.sampled_from(["success", "order_id", "number", "cost", "type", "errors", "message", "status", "sms"])


@given(st.dictionaries(FIELDS, LITTLE), st.sampled_from([200, 400, 401, 404, 422, 429, 500, 503]))
def test_no_object_makes_a_parser_raise_or_sell_what_was_refused(changes: dict[str, Any], status: int) -> None:
    body = changed("purchase", **changes)
    answer = rent(body, status)
    if isinstance(answer, Rented):
        assert status == 200
        assert changes.get("success", 1) in (1, "1")
        assert answer.cost_paise is None or 0 <= answer.cost_paise <= 2500
    if isinstance(answer, Refused):
        assert changes["success"] in (0, "0")
    parse.look(body, status)
    parse.cancel(body, status)
    parse.after_refused_cancel(body, status)
    parse.may_resend(body, status)
    parse.another_code(body, status, upstream_id=ID)
    parse.balance(body, status, paise_per_unit=100)


@given(st.binary(max_size=200), st.sampled_from([200, 400, 404, 422, 500]))
def test_no_bytes_are_a_sale_or_an_end(body: bytes, status: int) -> None:
    assert not isinstance(rent(body, status), Rented | Refused)
    assert not isinstance(parse.cancel(body, status), Done | CodeWon)


@pytest.mark.parametrize("name", ["order_id", "orderid", "order_code", "number"])
@pytest.mark.parametrize("status", [200, 400, 409])
def test_a_refusal_that_names_an_order_is_none(name: str, status: int) -> None:
    refusal = {"success": 0, "type": "OUT_OF_STOCK"}
    assert isinstance(
        parse.rent(msgspec.json.encode(refusal), status, ceiling_paise=Paise(1), paise_per_unit=1), Refused
    )
    said = msgspec.json.encode(refusal | {name: "12345678"})
    assert isinstance(parse.rent(said, status, ceiling_paise=Paise(1), paise_per_unit=1), Unknown)
