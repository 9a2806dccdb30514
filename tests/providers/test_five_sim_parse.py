"""The parsers of the 5sim family: what is sure, and that everything else is unknown."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numberdesk.base.money import Paise
from numberdesk.providers.adapters import five_sim_parse as parse
from numberdesk.providers.model import (
    CodeWon,
    Done,
    Ended,
    Received,
    Refused,
    RentAnswer,
    Rented,
    TooEarly,
    Unknown,
    Waiting,
)

RECORDED = Path(__file__).parents[1] / "contracts" / "five_sim"
ID = "11631253"
PAGE = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
CODE = Received("09363", "VK: 09363 - use this code to reclaim your suspended profile.")


def recorded(name: str) -> bytes:
    return (RECORDED / f"{name}.json").read_bytes()


def order(**changes: Any) -> bytes:
    """Return the recorded order of a sale with some fields changed; None as a value is JSON's null."""
    return msgspec.json.encode(msgspec.json.decode(recorded("buy")) | changes)


def sms(number: int | None, code: str | None, text: str | None = "") -> dict[str, Any]:
    return {"id": number, "created_at": "2018-10-13T08:20:38Z", "sender": "VK", "text": text, "code": code}


def rent(body: bytes, status: int = 200, *, ceiling: int = 2100, per_unit: int = 100) -> RentAnswer:
    return parse.rent(body, status, ceiling_paise=Paise(ceiling), paise_per_unit=per_unit)


REFUSALS = [
    ("no free phones", "no_numbers"),
    ("not enough user balance", "no_balance"),
    ("not enough rating", "account_blocked"),
    ("no product", "bad_service"),
    ("product is incorrect", "bad_service"),
    ("select country", "bad_country"),
    ("bad country", "bad_country"),
    ("country is incorrect", "bad_country"),
    ("select operator", "bad_operator"),
    ("bad operator", "bad_operator"),
]


# A purchase.


@pytest.mark.parametrize(("text", "reason"), REFUSALS)
@pytest.mark.parametrize("status", [200, 400, 403, 404])
def test_a_listed_text_is_a_refusal(text: str, reason: Any, status: int) -> None:
    assert rent(text.encode(), status) == Refused(reason, text)
    assert rent(b" " + text.capitalize().encode() + b"\n", status) == Refused(reason, text)


@pytest.mark.parametrize(("text", "reason"), REFUSALS)
@pytest.mark.parametrize("status", [100, 201, 302, 429, 500, 502, 503])
def test_a_listed_text_beside_another_status_is_unknown(text: str, reason: str, status: int) -> None:
    assert isinstance(rent(text.encode(), status), Unknown)


@pytest.mark.parametrize("body", [b"", b"unauthorized", PAGE, b'{"message":"token expired"}'])
def test_a_401_is_a_wrong_key_whatever_it_says(body: bytes) -> None:
    assert rent(body, 401) == Refused("bad_key", "HTTP 401")


def test_an_order_beside_a_401_is_unknown() -> None:
    assert isinstance(rent(recorded("buy"), 401), Unknown)


def test_the_two_documented_limits_are_sure_and_no_other_is() -> None:
    by_key, by_address = b"api limit is 100 requests per second", b"ip address limit is 100 requests per second"
    assert rent(by_key, 429) == Refused("busy", by_key.decode())
    assert rent(by_address, 503) == Refused("busy", by_address.decode())
    for body, status in [(by_key, 503), (by_address, 429), (by_key, 200), (by_key, 500), (b"", 429), (PAGE, 503)]:
        assert isinstance(rent(body, status), Unknown), (body, status)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        PAGE,
        b"null",
        b"[]",
        b"{}",
        b"server offline",
        b"internal error",
        b"no free phones today",
        b'"no free phones"',
        b'{"message":"no free phones"}',
        b"order not found",
        b"you need to wait time",
        b"maintenance",
        b"\xff\xfe",
        recorded("orders"),
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_any_other_answer_to_a_purchase_is_unknown(body: bytes, status: int) -> None:
    assert isinstance(rent(body, status), Unknown)


def test_a_sentence_that_is_not_documented_is_told_to_staff() -> None:
    for text in ("maintenance until further notice", "maintenance"):
        answer = rent(text.encode(), 400)
        assert isinstance(answer, Unknown)
        assert answer.word == text
    for body, status in [
        (b"server offline", 400),
        (b"order not found", 404),
        (b"too many requests", 429),
        (b"maintenance", 502),
        (b"token abcdefghijklmnop", 400),
        (b"call 12345", 400),
        (PAGE, 200),
        (b"null", 200),
        (b"", 200),
    ]:
        answer = rent(body, status)
        assert isinstance(answer, Unknown)
        assert not answer.word, body


def test_a_sale_is_read_with_its_number_and_cost() -> None:
    assert rent(recorded("buy")) == Rented(ID, "79000381454", Paise(2100), can_get_next=True)
    assert rent(order(price=0.2514), per_unit=8350) == Rented(ID, "79000381454", Paise(2100), can_get_next=True)
    assert rent(order(price="21", id=ID, phone="79000381454")) == Rented(
        ID, "79000381454", Paise(2100), can_get_next=True
    )
    assert rent(order(price=None)) == Rented(ID, "79000381454", None, can_get_next=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": 0},
        {"id": "x1"},
        {"id": None},
        {"phone": ""},
        {"phone": "+7900 038"},
        {"status": "CANCELED"},
        {"status": "TIMEOUT"},
        {"status": "HIDDEN"},
        {"status": None},
        {"price": -1},
        {"price": "free"},
        {"price": 21.01},
    ],
)
def test_a_sale_that_is_not_well_formed_or_too_dear_is_unknown(changes: dict[str, Any]) -> None:
    assert isinstance(rent(order(**changes)), Unknown)


def test_half_an_order_is_unknown() -> None:
    whole = recorded("buy").rstrip()
    for length in range(1, len(whole)):
        assert isinstance(rent(whole[:length]), Unknown)


# A look.


def look(body: bytes, status: int = 200) -> Any:
    return parse.look(body, status, upstream_id=ID)


def test_received_without_a_message_is_no_code() -> None:
    assert look(recorded("check-waiting")) == Waiting()
    assert look(order(status="RECEIVED", sms=None)) == Waiting()
    assert look(recorded("buy")) == Waiting()
    assert look(order(status="RECEIVED", sms=[sms(1, "", "")])) == Waiting()


def test_messages_are_read_oldest_first() -> None:
    assert look(recorded("check-received")) == (CODE,)
    two = [sms(8, "222", "second"), sms(7, "111", "first")]
    assert look(order(status="RECEIVED", sms=two)) == (Received("111", "first"), Received("222", "second"))
    unnumbered = [sms(None, "222"), sms(7, "111")]
    assert look(order(status="PENDING", sms=unnumbered)) == (Received("222", ""), Received("111", ""))
    assert look(order(status="RECEIVED", sms=[sms(1, None, "no code in it")])) == (Received("", "no code in it"),)


def test_a_finished_order_was_charged_for_and_keeps_its_messages() -> None:
    assert look(recorded("finish")) == (CODE,)
    assert look(order(status="FINISHED")) == Ended("FINISHED")


@pytest.mark.parametrize("state", ["CANCELED", "TIMEOUT", "BANNED"])
def test_an_order_that_costs_nothing_has_ended(state: str) -> None:
    assert look(order(status=state)) == Ended(state)
    assert look(order(status=state, sms=[sms(1, "111")])) == Ended(state)


@pytest.mark.parametrize("text", ["order not found", "order expired", "record not found"])
@pytest.mark.parametrize("status", [200, 400, 404])
def test_an_order_that_is_not_known_has_ended(text: str, status: int) -> None:
    assert look(text.encode(), status) == Ended(text)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 200),
        (PAGE, 200),
        (PAGE, 404),
        (b"internal error", 500),
        (b"order not found", 500),
        (b"unauthorized", 401),
        (b"hosting order", 400),
        (order(status="WHATEVER"), 200),
        (order(id=11631254, status="RECEIVED", sms=[sms(1, "111")]), 200),
    ],
)
def test_any_other_look_is_unknown(body: bytes, status: int) -> None:
    assert isinstance(look(body, status), Unknown)


# The end.


def test_a_cancel_is_done_when_the_order_says_so() -> None:
    assert parse.cancel(recorded("cancel"), 200, upstream_id=ID) == Done()
    assert parse.cancel(b"you need to wait time", 400, upstream_id=ID) == TooEarly()
    assert parse.cancel(b"order has sms", 400, upstream_id=ID) == CodeWon()
    assert parse.cancel(recorded("check-received"), 200, upstream_id=ID) == CodeWon()
    assert parse.cancel(recorded("finish"), 200, upstream_id=ID) == CodeWon()
    assert parse.cancel(order(status="TIMEOUT"), 200, upstream_id=ID) == Ended("TIMEOUT")
    for body, status in [(recorded("check-waiting"), 200), (order(id=5), 200), (b"", 200), (b"unauthorized", 401)]:
        assert isinstance(parse.cancel(body, status, upstream_id=ID), Unknown)


@pytest.mark.parametrize("text", [b"order not found", b"order expired", b"record not found"])
def test_a_cancel_of_what_is_not_live_asks_what_became_of_it(text: bytes) -> None:
    assert parse.cancel(text, 400, upstream_id=ID) == parse.LookAgain()
    assert parse.after_refused_cancel(text, 404, upstream_id=ID) == Ended(text.decode())
    assert parse.after_refused_cancel(recorded("finish"), 200, upstream_id=ID) == CodeWon()
    assert parse.after_refused_cancel(recorded("cancel"), 200, upstream_id=ID) == Done()
    assert parse.after_refused_cancel(order(status="FINISHED"), 200, upstream_id=ID) == Ended("FINISHED")
    assert isinstance(parse.after_refused_cancel(recorded("check-waiting"), 200, upstream_id=ID), Unknown)
    assert isinstance(parse.after_refused_cancel(b"", 500, upstream_id=ID), Unknown)


def test_a_finish_is_done_when_the_order_says_so() -> None:
    assert parse.finish(recorded("finish"), 200, upstream_id=ID) == Done()
    assert parse.finish(recorded("cancel"), 200, upstream_id=ID) == Ended("CANCELED")
    assert parse.finish(b"order no sms", 400, upstream_id=ID) == Refused("not_allowed", "order no sms")
    assert parse.finish(b"order not found", 404, upstream_id=ID) == Ended("order not found")
    assert parse.finish(b"unauthorized", 401, upstream_id=ID) == Refused("bad_key", "HTTP 401")
    for body, status in [(recorded("check-received"), 200), (b"no free phones", 200), (b"", 500), (order(id=5), 200)]:
        assert isinstance(parse.finish(body, status, upstream_id=ID), Unknown)


def test_a_balance_is_rounded_down_and_leaves_out_what_is_frozen() -> None:
    assert parse.balance(recorded("profile"), 200, paise_per_unit=100) == 10025
    assert parse.balance(b'{"balance":-0.001}', 200, paise_per_unit=100) == -1
    assert parse.balance(b'{"balance":"7"}', 200, paise_per_unit=8350) == 58450
    for body in (b"", b"null", b"[]", b'{"balance":null}', b'{"balance":"NaN"}', b'{"balance":1e999}', b"unauthorized"):
        assert isinstance(parse.balance(body, 200, paise_per_unit=100), Unknown), body
    assert isinstance(parse.balance(recorded("profile"), 500, paise_per_unit=100), Unknown)


# Anything.

LITTLE = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.lists(st.integers()))
FIELDS = st.sampled_from(["id", "phone", "status", "price", "sms", "product", "country", "expires", "created_at"])


@given(st.dictionaries(FIELDS, LITTLE), st.sampled_from([200, 400, 401, 404, 429, 500, 503]))
def test_no_order_makes_a_parser_raise(changes: dict[str, Any], status: int) -> None:
    body = order(**changes)
    answer = rent(body, status)
    if isinstance(answer, Rented):
        assert status == 200
        assert answer.number.isdecimal()
        assert answer.cost_paise is None or 0 <= answer.cost_paise <= 2100
    look(body, status)
    parse.cancel(body, status, upstream_id=ID)
    parse.after_refused_cancel(body, status, upstream_id=ID)
    parse.finish(body, status, upstream_id=ID)
    parse.balance(body, status, paise_per_unit=100)


@given(st.binary(max_size=200), st.sampled_from([200, 400, 404, 429, 500, 503]))
def test_no_bytes_are_a_sale_or_an_end(body: bytes, status: int) -> None:
    assert not isinstance(rent(body, status), Rented)
    assert not isinstance(parse.cancel(body, status, upstream_id=ID), Done | CodeWon)
