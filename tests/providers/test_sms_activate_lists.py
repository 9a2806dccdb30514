"""The lists of the SMS-Activate family: what is live at the provider, and what it sells at which price."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from numberdesk.base.money import Paise
from numberdesk.providers.adapters import sms_activate_lists as lists
from numberdesk.providers.model import Activation, ActiveList, Received, Unknown, UpstreamOffer

RECORDED = Path(__file__).parents[1] / "contracts" / "sms_activate"
PAGE = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


def recorded(name: str) -> bytes:
    return (RECORDED / f"{name}.json").read_bytes()


def active(body: bytes, status: int = 200) -> ActiveList | Unknown:
    return lists.active(body, status, paise_per_unit=100)


def prices(body: bytes, status: int = 200, *, per_unit: int = 100) -> tuple[UpstreamOffer, ...] | Unknown:
    return lists.prices(body, status, paise_per_unit=per_unit)


def one(upstream_id: str = "635468021", **changes: Any) -> Activation:
    known: dict[str, Any] = {
        "upstream_id": upstream_id,
        "service": "vk",
        "country": 2,
        "number": "79585859333",
        "messages": (Received("4821", "VK: 4821 - your code"),),
        "cost_paise": Paise(1250),
    }
    return Activation(**(known | changes))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 200),
        (PAGE, 200),
        (b"ERROR_SQL", 200),
        (b"BAD_KEY", 200),
        (b"{}", 200),
        (b'{"status":"success"}', 200),
        (b'{"status":"error","activeActivations":[]}', 200),
        (b'{"status":"success","activeActivations":null}', 200),
        (b'{"status":"success","activeActivations":{"num_rows":3,"rows":[]}}', 200),
        (b'{"status":"success","activeActivations":{"num_rows":0,"rows":[{"activationId":1}]}}', 200),
        (b"[]", 500),
        (b"[]", 404),
        (b"NO_ACTIVATIONS", 500),
        (b'{"status":"success","activeActivations":[', 200),
        (b"[" * 60_000, 200),
    ],
)
def test_a_list_that_is_none_is_unknown(body: bytes, status: int) -> None:
    assert isinstance(active(body, status), Unknown)


def test_an_item_that_cannot_be_read_is_left_out_and_the_list_is_not_whole() -> None:
    good = recorded("getActiveActivations-grizzly").strip()[1:-1]
    for bad in (b"null", b"{}", b'"x"', b'{"activationId":0,"phoneNumber":"79585859333"}', b'{"activationId":7}'):
        answer = active(b"[" + bad + b"," + good + b"]")
        assert isinstance(answer, ActiveList)
        assert [item.upstream_id for item in answer.activations] == ["635468021"]
        assert not answer.is_whole


@pytest.mark.parametrize(("count", "is_whole"), [(99, True), (100, False), (101, True)])
def test_a_list_as_long_as_a_page_is_not_whole(count: int, is_whole: bool) -> None:
    items = [
        {"activationId": number, "phoneNumber": "79585859333", "serviceCode": "vk"} for number in range(1, count + 1)
    ]
    answer = active(msgspec.json.encode({"status": "success", "activeActivations": items}))
    assert isinstance(answer, ActiveList)
    assert (len(answer.activations), answer.is_whole) == (count, is_whole)


@pytest.mark.parametrize(
    "body",
    [
        b"NO_ACTIVATIONS",
        b"[]",
        b'{"status":"success","activeActivations":[]}',
        b'{"status":"success","data":[]}',
        b'{"status":"error","message":"NO_ACTIVATIONS"}',
        recorded("getActiveActivations-hero-empty"),
    ],
)
def test_an_empty_list_is_whole(body: bytes) -> None:
    assert active(body) == ActiveList((), is_whole=True)


def test_the_classic_list_is_read() -> None:
    waiting = one("635468022", service="tg", number="79585859334", messages=(), cost_paise=Paise(700))
    assert active(recorded("getActiveActivations-classic")) == ActiveList((one(), waiting), is_whole=True)


def test_the_lists_of_hero_and_grizzly_are_read() -> None:
    assert active(recorded("getActiveActivations-hero")) == ActiveList((one(),), is_whole=True)
    bare = one(country=None, messages=(Received("4821", ""),))
    assert active(recorded("getActiveActivations-grizzly")) == ActiveList((bare,), is_whole=True)


@pytest.mark.parametrize(
    ("codes", "texts", "expected"),
    [
        (None, None, []),
        ([], [], []),
        ("", "", []),
        ([None], None, []),
        (["1"], None, [("1", "")]),
        (4821, None, [("4821", "")]),
        (["1", "2"], "two", [("1", ""), ("2", "two")]),
        (["1", "2"], ["one", "two"], [("1", "one"), ("2", "two")]),
        (["1", "2"], ["one"], [("1", "one"), ("2", "")]),
        (["1"], ["one", "two"], [("1", "one"), ("", "two")]),
        (None, "no code in it", [("", "no code in it")]),
        ([], "no code in it", [("", "no code in it")]),
        (["", "2"], ["", "two"], [("2", "two")]),
        (["1"], "a\x00b\nc\u2028", [("1", "ab\nc")]),
    ],
)
def test_codes_and_texts_are_paired(codes: Any, texts: Any, expected: list[tuple[str, str]]) -> None:
    item = {"activationId": 7, "phoneNumber": "79585859333", "smsCode": codes, "smsText": texts}
    answer = active(msgspec.json.encode([item]))
    assert isinstance(answer, ActiveList)
    assert [(message.code, message.text) for message in answer.activations[0].messages] == expected


def test_an_item_tells_our_reference_and_its_end() -> None:
    item = {"activationId": 7, "phoneNumber": "79585859333", "orderId": "55-1", "activationStatus": "8"}
    answer = active(msgspec.json.encode([item, item | {"activationStatus": 4, "orderId": None}]))
    assert isinstance(answer, ActiveList)
    assert [(item.reference, item.is_live) for item in answer.activations] == [("55-1", False), (None, True)]


OFFERS = {
    UpstreamOffer("tg", "22", "any", Paise(1250), 100),
    UpstreamOffer("wa", "22", "any", Paise(11), 7),
    UpstreamOffer("tg", "187", "any", Paise(3000), 0),
}


@pytest.mark.parametrize("name", ["getPrices-classic", "getPrices-service-first", "getPrices-v2"])
def test_prices_are_read_in_every_nesting(name: str) -> None:
    answer = prices(recorded(name))
    assert isinstance(answer, tuple)
    assert set(answer) == OFFERS
    assert len(answer) == len(OFFERS)


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"22":{}}', b'{"22":[]}'])
def test_an_empty_price_list_is_empty(body: bytes) -> None:
    assert prices(body) == ()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"status":"false","msg":"service is incorrect"}', 200),
        (b"BAD_KEY", 200),
        (PAGE, 200),
        (b"{}", 500),
        (b'{"22":{"tg":"gone"}}', 200),
        (b'{"22":{"tg":{"cost":0,"count":1}}}', 200),
        (b'{"india":{"telegram and more":{"cost":1,"count":1}}}', 200),
        (b'{"22":{"tg":{"a":{"price":1}}}}', 200),
        (b'{"a":' * 10_000, 200),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_a_price_list_that_is_none_is_unknown(body: bytes, status: int) -> None:
    assert isinstance(prices(body, status), Unknown)


def test_a_price_that_cannot_be_read_is_left_out() -> None:
    body = b'{"22":{"tg":{"cost":12.5,"count":100},"wa":{"cost":"NaN","count":1},"go":{"cost":-1,"count":1},"vi":null}}'
    assert prices(body) == (UpstreamOffer("tg", "22", "any", Paise(1250), 100),)


def test_a_price_in_another_currency_is_rounded_up() -> None:
    body = b'{"22":{"tg":{"cost":0.2215,"count":99999999999}}}'
    assert prices(body, per_unit=8350) == (UpstreamOffer("tg", "22", "any", Paise(1850), 2**31 - 1),)


STATUSES = st.sampled_from([200, 404, 500])
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
@example([{"activationId": 7, "phoneNumber": "79585859333", "activationCost": "sNaN"}], 200)
@example({"22": {"tg": {"sNaN": 1, "-0": 2, "1e400": 3}}}, 200)
def test_no_json_makes_a_list_parser_raise(value: Any, status: int) -> None:
    body = msgspec.json.encode(value)
    assert isinstance(active(body, status), ActiveList | Unknown)
    assert isinstance(prices(body, status), tuple | Unknown)


@given(st.binary(max_size=400), STATUSES)
@example(b"\xff\xfe[]", 200)
def test_random_bytes_are_no_list(body: bytes, status: int) -> None:
    assume(not body.strip().startswith((b"[", b"{")))
    assert isinstance(active(body, status), Unknown)
    assert isinstance(prices(body, status), Unknown)


@given(st.integers(0, 400))
def test_a_cut_list_is_unknown(length: int) -> None:
    assert isinstance(active(recorded("getActiveActivations-classic")[:length]), Unknown)
