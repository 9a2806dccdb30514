"""The parsers of the SMS-Activate family: what is sure, and that everything else is unknown."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from numberdesk.base.money import Paise
from numberdesk.providers.adapters import reading
from numberdesk.providers.adapters import sms_activate_parse as parse
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

RECORDED = Path(__file__).parents[1] / "contracts" / "sms_activate"
SALE = b'{"activationId":635468024,"phoneNumber":"79584000000","activationCost":12.50,"canGetAnotherSms":"1"}'
PAGE = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


def recorded(name: str) -> bytes:
    return (RECORDED / f"{name}.json").read_bytes()


def rent(body: bytes, status: int = 200, *, ceiling: int = 1250, per_unit: int = 100) -> RentAnswer:
    return parse.rent(body, status, ceiling_paise=Paise(ceiling), paise_per_unit=per_unit)


REFUSALS = [
    (b"NO_NUMBERS", "no_numbers", "NO_NUMBERS"),
    (b"NUMBER_NOT_AVAILABLE", "no_numbers", "NUMBER_NOT_AVAILABLE"),
    (b"NO_BALANCE", "no_balance", "NO_BALANCE"),
    (b"NO_BALANCE_FORWARD", "no_balance", "NO_BALANCE_FORWARD"),
    (b"NO_MONEY", "no_balance", "NO_MONEY"),
    (b"WRONG_MAX_PRICE:0.25", "price_changed", "WRONG_MAX_PRICE:0.25"),
    (b"WRONG_MAX_PRICE", "price_changed", "WRONG_MAX_PRICE"),
    (b"MAX_PRICE_EXCEEDED", "price_changed", "MAX_PRICE_EXCEEDED"),
    (b"BAD_SERVICE", "bad_service", "BAD_SERVICE"),
    (b"WRONG_SERVICE", "bad_service", "WRONG_SERVICE"),
    (b"BAD_COUNTRY", "bad_country", "BAD_COUNTRY"),
    (b"WRONG_COUNTRY", "bad_country", "WRONG_COUNTRY"),
    (b"SERVICE_UNAVAILABLE_REGION", "bad_country", "SERVICE_UNAVAILABLE_REGION"),
    (b"WRONG_OPERATOR", "bad_operator", "WRONG_OPERATOR"),
    (b"OPERATORS_NOT_FOUND", "bad_operator", "OPERATORS_NOT_FOUND"),
    (b"BAD_KEY", "bad_key", "BAD_KEY"),
    (b"NO_KEY", "bad_key", "NO_KEY"),
    (b"API_KEY_NOT_VALID", "bad_key", "API_KEY_NOT_VALID"),
    (b"BANNED:'2030-01-01 00-00-00'", "account_blocked", "BANNED:'2030-01-01 00-00-00'"),
    (b"BANNED:for ever, key abcdef", "account_blocked", "BANNED"),
    (b"ACCOUNT_INACTIVE", "account_blocked", "ACCOUNT_INACTIVE"),
    (b"CHANNELS_LIMIT", "account_blocked", "CHANNELS_LIMIT"),
    (b"TOO_MANY_ACTIVE_RENTALS", "account_blocked", "TOO_MANY_ACTIVE_RENTALS"),
    (b"BAD_ACTION", "not_allowed", "BAD_ACTION"),
    (b" NO_NUMBERS\n", "no_numbers", "NO_NUMBERS"),
    (b"\xef\xbb\xbfNO_NUMBERS", "no_numbers", "NO_NUMBERS"),
    (b'{"status":"error","message":"BAD_KEY","error":"BAD_KEY"}', "bad_key", "BAD_KEY"),
    (b'{"status":false,"message":null,"error":"NO_NUMBERS","info":{}}', "no_numbers", "NO_NUMBERS"),
]


@pytest.mark.parametrize(("body", "reason", "detail"), REFUSALS)
@pytest.mark.parametrize("status", [200, 404])
def test_a_listed_word_is_a_refusal(body: bytes, reason: Any, detail: str, status: int) -> None:
    assert rent(body, status) == Refused(reason, detail)


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b'{"title":"WRONG_MAX_PRICE","details":"too low","info":{"min":0.25}}', 400, "price_changed"),
        (b'{"title":"BAD_KEY","details":"","info":{}}', 401, "bad_key"),
        (b'{"title":"NO_BALANCE","details":"","info":[]}', 402, "no_balance"),
        (b'{"title":"BANNED","info":{"scope":"global"}}', 403, "account_blocked"),
        (b'{"title":"CHANNELS_LIMIT","info":{"current_threads":5}}', 403, "account_blocked"),
        (b'{"title":"SERVICE_NOT_AVAILABLE"}', 403, "bad_service"),
        (b'{"title":"NO_NUMBERS"}', 404, "no_numbers"),
    ],
)
def test_the_json_of_an_error_is_a_refusal(body: bytes, status: int, reason: Any) -> None:
    answer = rent(body, status)
    assert isinstance(answer, Refused)
    assert answer.reason == reason


@pytest.mark.parametrize(("body", "reason", "detail"), REFUSALS)
@pytest.mark.parametrize("status", [100, 201, 302, 500, 502, 503])
def test_a_listed_word_beside_another_status_is_unknown(body: bytes, reason: str, detail: str, status: int) -> None:
    assert isinstance(rent(body, status), Unknown)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        PAGE,
        b"ERROR_SQL",
        b"no_numbers",
        b"ORDER_ALREADY_EXISTS",
        b"MAINTENANCE_IN_PROGRESS",
        b"TEMPORARY_ERROR:17",
        b"Too many connections",
        b"NO_NUMBERS:but why",
        b"NO_NUMBERS\n<b>Warning</b>",
        b"WRONG_MAX_PRICE:\n<b>Warning</b>",
        b"NO_NUMBERS ACCESS_NUMBER:1:79584000000",
        b'"NO_NUMBERS"',
        b'["NO_NUMBERS"]',
        b'{"status":"success","message":"NO_NUMBERS"}',
        b'{"status":true,"message":"NO_NUMBERS"}',
        b'{"activationId":635468024,"message":"NO_NUMBERS"}',
        b'{"status":"false","msg":"service is incorrect"}',
        b'{"title":{"a":"NO_NUMBERS"}}',
        b"ACCESS_NUMBER",
        b"ACCESS_NUMBER:635468024",
        b"ACCESS_NUMBER::79584000000",
        b"ACCESS_NUMBER:0:79584000000",
        b"ACCESS_NUMBER:-5:79584000000",
        b"ACCESS_NUMBER:12.5:79584000000",
        b"ACCESS_NUMBER:abc:79584000000",
        b"ACCESS_NUMBER:635468024:1234",
        b"ACCESS_NUMBER:635468024:1234567890123456",
        b"ACCESS_NUMBER:635468024:++79584000000",
        b"ACCESS_NUMBER:635468024:79584 000000",
        b"ACCESS_NUMBER:635468024:79584000000:12.50",
        "ACCESS_NUMBER:635468024:٧٩٥٨٤٠٠٠".encode(),
        b"ACCESS_NUMBER:99999999999999999999:79584000000",
        b"{}",
        b'{"activationId":635468024}',
        b'{"activationId":635468024,"phoneNumber":null}',
        b'{"activationId":null,"phoneNumber":"79584000000"}',
        b'{"activationId":0,"phoneNumber":"79584000000"}',
        b'{"activationId":-1,"phoneNumber":"79584000000"}',
        b'{"activationId":true,"phoneNumber":"79584000000"}',
        b'{"activationId":"","phoneNumber":"79584000000"}',
        b'{"activationId":{"$oid":"1"},"phoneNumber":"79584000000"}',
        b'{"activationId":635468024,"phoneNumber":"unknown"}',
        b'{"activationId":635468024,"phoneNumber":"79584000000","activationCost":"free"}',
        b'{"activationId":635468024,"phoneNumber":"79584000000","activationCost":-1}',
        b'{"activationId":635468024,"phoneNumber":"79584000000","activationCost":"NaN"}',
        b'{"activationId":635468024,"phoneNumber":"79584000000","activationCost":1e999999}',
        b'{"status":"error","activationId":635468024,"phoneNumber":"79584000000"}',
        b'[{"activationId":635468024,"phoneNumber":"79584000000"}]',
        SALE[:-1],
        SALE + b"x",
        b'{"activationId":' + b"9" * 60_000 + b',"phoneNumber":"79584000000"}',
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b'{"title":' + b"[" * 10_000,
        bytes(range(256)),
    ],
    ids=lambda body: repr(body[:60]),
)
def test_anything_else_is_unknown_and_says_a_little(body: bytes) -> None:
    answer = rent(body)
    assert isinstance(answer, Unknown)
    assert answer.detail.isprintable()
    assert 0 < len(answer.detail) <= reading.EXCERPT_MAX


@pytest.mark.parametrize("status", [201, 204, 302, 404, 500])
@pytest.mark.parametrize("body", [SALE, b"ACCESS_NUMBER:635468024:79584000000"])
def test_a_sale_beside_another_status_is_unknown(body: bytes, status: int) -> None:
    assert isinstance(rent(body, status), Unknown)


def test_a_sale_above_the_ceiling_is_unknown() -> None:
    assert rent(SALE, ceiling=1249) == Unknown("price above the ceiling")
    assert isinstance(rent(SALE, ceiling=1250), Rented)


@pytest.mark.parametrize("name", ["getNumberV2-classic", "getNumberV2-hero"])
def test_the_json_of_a_sale_is_rented(name: str) -> None:
    assert rent(recorded(name)) == Rented("635468024", "79584000000", Paise(1250), can_get_next=True)


@pytest.mark.parametrize("phone", [b"79584000000", b"+79584000000"])
def test_the_text_of_a_sale_is_rented(phone: bytes) -> None:
    assert rent(b"ACCESS_NUMBER:635468024:" + phone) == Rented("635468024", "79584000000", None, can_get_next=True)


@pytest.mark.parametrize(
    ("flag", "can"), [(b'"0"', False), (b"0", False), (b"false", False), (b"1", True), (b"null", True)]
)
def test_a_sale_says_whether_another_code_may_come(flag: bytes, can: bool) -> None:
    answer = rent(SALE.replace(b'"1"', flag))
    assert isinstance(answer, Rented)
    assert answer.can_get_next is can


def test_a_cost_is_rounded_up_to_whole_paise() -> None:
    body = SALE.replace(b"12.50", b"0.2215")
    assert rent(body, per_unit=8350, ceiling=1849) == Unknown("price above the ceiling")
    answer = rent(body, per_unit=8350, ceiling=1850)
    assert isinstance(answer, Rented)
    assert answer.cost_paise == 1850


def test_an_absent_cost_is_no_cost() -> None:
    answer = rent(SALE.replace(b"12.50", b"null"), ceiling=1)
    assert isinstance(answer, Rented)
    assert answer.cost_paise is None


@pytest.mark.parametrize(
    "body",
    [
        b"key 3f9a77c2e1d04b5c is wrong",
        b"your api_key=abcdefabcdefabcdefabcdef",
        b"ACCESS_NUMBER:635468024:79584000000:",
        b"STATUS_OKAY:482913",
        b"<p>code 482-913 for +7 958 400 00 00</p>",
    ],
)
def test_an_excerpt_holds_no_key_number_or_code(body: bytes) -> None:
    shown = reading.excerpt(body)
    assert not any(letter.isdigit() for letter in shown)
    assert "abcdefabcdef" not in shown


def test_an_excerpt_lets_the_reason_be_recognised() -> None:
    assert reading.unknown(b"ERROR_SQL", 200) == Unknown("ERROR_SQL")
    assert reading.unknown(PAGE, 502).detail.startswith("HTTP 502: <html><head><title>* Bad Gateway")
    assert reading.unknown(b"", 500) == Unknown("HTTP 500: empty body")


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        (b"STATUS_WAIT_CODE", 200, Waiting()),
        (b"STATUS_WAIT_RESEND", 200, Waiting()),
        (b"STATUS_WAIT_RETRY:4821", 200, Waiting()),
        (b"STATUS_WAIT_RETRY", 200, Waiting()),
        (b"STATUS_OK:482913", 200, (Received("482913", ""),)),
        (b"STATUS_OK: 'AB-12'", 200, (Received("AB-12", ""),)),
        (b"STATUS_OK:Your code: 4821", 200, (Received("Your code: 4821", ""),)),
        (b"STATUS_OK:4821\x00\x1b[2J", 200, (Received("4821[2J", ""),)),
        (b"STATUS_CANCEL", 200, Ended("STATUS_CANCEL")),
        (b"ACCESS_CANCEL", 200, Ended("ACCESS_CANCEL")),
        (b"NO_ACTIVATION", 200, Ended("NO_ACTIVATION")),
        (b"NO_ACTIVATION", 404, Ended("NO_ACTIVATION")),
        (b'{"title":"ACTIVATION_NOT_ACTIVE"}', 409, Ended("ACTIVATION_NOT_ACTIVE")),
        (b"STATUS_OK:", 200, Unknown("STATUS_OK without a code")),
        (b"STATUS_OK:" + b"x" * 201, 200, Unknown("STATUS_OK without a code")),
        (b"STATUS_OK", 200, Unknown("STATUS_OK")),
        (b"STATUS_OK:4821", 404, Unknown("HTTP 404: STATUS_OK:*")),
        (b"STATUS_OK:4821", 500, Unknown("HTTP 500: STATUS_OK:*")),
        (b"STATUS_WAIT_CODE", 502, Unknown("HTTP 502: STATUS_WAIT_CODE")),
        (b"STATUS_CANCEL", 500, Unknown("HTTP 500: STATUS_CANCEL")),
        (b"STATUS_CANCEL", 404, Unknown("HTTP 404: STATUS_CANCEL")),
        (b"NO_ACTIVATION", 500, Unknown("HTTP 500: NO_ACTIVATION")),
        (b"BAD_KEY", 200, Unknown("BAD_KEY")),
        (b"ERROR_SQL", 200, Unknown("ERROR_SQL")),
        (b'{"error":"NOT_FOUND"}', 404, Unknown('HTTP 404: {"error":"NOT_FOUND"}')),
    ],
)
def test_a_look_reads_the_documented_words(body: bytes, status: int, expected: Any) -> None:
    assert parse.look(body, status) == expected


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        (b"ACCESS_CANCEL", 200, Done()),
        (b"EARLY_CANCEL_DENIED", 200, TooEarly()),
        (b"EARLY_CANCEL_DENIED", 403, TooEarly()),
        (b'{"title":"EARLY_CANCEL_DENIED","info":{"minActivationTime":120}}', 409, TooEarly()),
        (b"BAD_STATUS", 200, parse.LookAgain()),
        (b'{"title":"BAD_STATUS"}', 400, parse.LookAgain()),
        (b'{"title":"OTP_RECEIVED","data":[]}', 409, parse.LookAgain()),
        (b"NO_ACTIVATION", 200, Ended("NO_ACTIVATION")),
        (b"STATUS_CANCEL", 200, Ended("STATUS_CANCEL")),
        (b"ACCESS_CANCEL", 500, Unknown("HTTP 500: ACCESS_CANCEL")),
        (b"ACCESS_CANCEL", 404, Unknown("HTTP 404: ACCESS_CANCEL")),
        (b"ACCESS_ACTIVATION", 200, Unknown("ACCESS_ACTIVATION")),
        (b"", 204, Unknown("HTTP 204: empty body")),
        (b'{"title":"FREE_CANCELLATION_EXPIRED"}', 409, Unknown('HTTP 409: {"title":"FREE_CANCELLATION_EXPIRED"}')),
    ],
)
def test_a_cancel_reads_the_documented_words(body: bytes, status: int, expected: Any) -> None:
    assert parse.cancel(body, status) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"STATUS_OK:4821", CodeWon()),
        (b"STATUS_WAIT_RETRY:4821", CodeWon()),
        (b"STATUS_WAIT_RETRY:", Unknown("cancel refused, and it still waits")),
        (b"STATUS_WAIT_CODE", Unknown("cancel refused, and it still waits")),
        (b"STATUS_CANCEL", Ended("STATUS_CANCEL")),
        (b"NO_ACTIVATION", Ended("NO_ACTIVATION")),
        (b"ERROR_SQL", Unknown("ERROR_SQL")),
    ],
)
def test_after_a_refused_cancel_only_a_code_wins(body: bytes, expected: Any) -> None:
    assert parse.after_refused_cancel(body, 200) == expected


@pytest.mark.parametrize(
    ("step", "word"), [(parse.finish, b"ACCESS_ACTIVATION"), (parse.another_code, b"ACCESS_RETRY_GET")]
)
def test_finish_and_another_code_read_the_documented_words(step: Any, word: bytes) -> None:
    assert step(word, 200) == Done()
    assert step(b"BAD_STATUS", 200) == Refused("not_allowed", "BAD_STATUS")
    assert step(b"BAD_KEY", 200) == Refused("bad_key", "BAD_KEY")
    assert step(b"NO_ACTIVATION", 404) == Ended("NO_ACTIVATION")
    assert step(b"STATUS_CANCEL", 200) == Ended("STATUS_CANCEL")
    assert [step(word, status) for status in (404, 500)] == [reading.unknown(word, status) for status in (404, 500)]
    assert step(b"ACCESS_READY", 200) == Unknown("ACCESS_READY")
    assert step(PAGE, 200) == reading.unknown(PAGE, 200)


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        (b"ACCESS_BALANCE:12.50", 200, 1250),
        (b"ACCESS_BALANCE:100", 200, 10000),
        (b"ACCESS_BALANCE:0.019", 200, 1),
        (b"ACCESS_BALANCE:-0.5", 200, -50),
        (b"ACCESS_BALANCE:12.50", 500, Unknown("HTTP 500: ACCESS_BALANCE:*.*")),
        (b"ACCESS_BALANCE:", 200, Unknown("ACCESS_BALANCE:")),
        (b"ACCESS_BALANCE:999999999999", 200, Unknown("ACCESS_BALANCE:*")),
        (b"BAD_KEY", 200, Unknown("BAD_KEY")),
    ],
)
def test_a_balance_is_read_in_paise(body: bytes, status: int, expected: Any) -> None:
    assert parse.balance(body, status, paise_per_unit=100) == expected


STATUSES = st.sampled_from([200, 204, 302, 400, 404, 429, 500, 503])


@given(st.binary(max_size=400), STATUSES)
def test_random_bytes_are_never_sure(body: bytes, status: int) -> None:
    assume(not parse.word_of(body, status))
    assert isinstance(rent(body, status), Unknown)
    assert isinstance(parse.look(body, status), Unknown)
    assert isinstance(parse.cancel(body, status), Unknown)
    assert isinstance(parse.finish(body, status), Unknown)
    assert isinstance(parse.another_code(body, status), Unknown)
    assert isinstance(parse.balance(body, status, paise_per_unit=100), Unknown)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["activationId", "phoneNumber", "activationCost", "smsCode", "smsText", "countryCode", "data", "status",
             "activeActivations", "message", "22", "tg", "cost", "count", "12.5", "num_rows", "rows", "orderId"]
        ) | st.text(max_size=5),
        inner,
        max_size=6,
    ),
    max_leaves=30,
)  # fmt: skip


@given(JSON, STATUSES)
def test_no_json_makes_a_parser_raise(value: Any, status: int) -> None:
    body = msgspec.json.encode(value)
    for answer in (
        rent(body, status),
        parse.look(body, status),
        parse.cancel(body, status),
        parse.finish(body, status),
    ):
        if isinstance(answer, Unknown):
            assert len(answer.detail) <= reading.EXCERPT_MAX
            assert answer.detail.isprintable()


@given(st.integers(0, len(SALE) - 1))
def test_a_cut_sale_is_unknown(length: int) -> None:
    assert isinstance(rent(SALE[:length]), Unknown)


@given(st.integers(0, len(SALE) - 1), st.binary(max_size=3))
def test_a_damaged_sale_is_a_well_formed_sale_or_unknown(place: int, damage: bytes) -> None:
    answer = rent(SALE[:place] + damage + SALE[place + 1 :])
    if isinstance(answer, Rented):
        assert answer.upstream_id.isascii()
        assert answer.upstream_id.isdigit()
        assert int(answer.upstream_id) > 0
        assert answer.number.isascii()
        assert answer.number.isdigit()
        assert 5 <= len(answer.number) <= 15
        assert answer.cost_paise is None or 0 <= answer.cost_paise <= 1250
    else:
        assert isinstance(answer, Unknown)


@pytest.mark.parametrize("name", ["activationId", "activation_id", "phoneNumber"])
@pytest.mark.parametrize("status", [200, 400, 409])
def test_a_refusal_that_names_an_activation_is_none(name: str, status: int) -> None:
    said = msgspec.json.encode({"title": "NO_NUMBERS", name: 919812345678})
    assert isinstance(rent(said, status), Unknown)
