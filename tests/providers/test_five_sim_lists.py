"""The lists of the 5sim family: orders, prices in both nestings, countries."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numberdesk.base.money import Paise
from numberdesk.providers.adapters import five_sim_lists as lists
from numberdesk.providers.model import Received, Unknown, UpstreamName, UpstreamOffer, Words
from tests.providers.five_sim_desk import WORDS
from tests.providers.test_five_sim_parse import PAGE, recorded

KNOWN = frozenset({"england", "russia", "usa"})
TELEGRAM = [
    UpstreamOffer("telegram", "england", "virtual4", Paise(1250), 1260),
    UpstreamOffer("telegram", "england", "virtual8", Paise(1250), 40),
    UpstreamOffer("telegram", "england", "virtual21", Paise(900), 0),
    UpstreamOffer("telegram", "england", "virtual34", Paise(3001), 7),
    UpstreamOffer("telegram", "england", "any", Paise(1250), 1300),
    UpstreamOffer("telegram", "russia", "beeline", Paise(400), 0),
    UpstreamOffer("telegram", "russia", "any", Paise(400), 0),
]


def orders(body: bytes, status: int = 200, *, words: Words = WORDS) -> lists.Page | Unknown:
    return lists.orders(body, status, words=words, paise_per_unit=100)


def prices(body: bytes, status: int = 200, *, countries: frozenset[str] = KNOWN) -> Any:
    return lists.prices(body, status, countries=countries, paise_per_unit=100)


def page(*rows: dict[str, Any], total: int | None = None) -> bytes:
    return msgspec.json.encode({"Data": list(rows) or None, "Total": len(rows) if total is None else total})


def row(number: int, **changes: Any) -> dict[str, Any]:
    listed: dict[str, Any] = msgspec.json.decode(recorded("orders"))["Data"][0]
    return listed | {"id": number} | changes


def test_live_orders_and_ended_ones_with_a_message_are_listed_in_our_codes() -> None:
    found = orders(recorded("orders"))
    assert isinstance(found, lists.Page)
    assert (found.rows, found.total, found.is_readable, found.is_newest_first) == (4, 4, True, True)
    assert found.newest_start is not None
    assert found.oldest_end is not None
    assert found.oldest_end < found.newest_start
    first, second, third = found.activations
    assert (first.upstream_id, first.service, first.country, first.number) == ("53533935", "tg", 16, "447400000001")
    assert (first.cost_paise, first.messages, first.is_live, first.reference) == (1250, (), True, None)
    assert (second.service, second.country, second.is_live) == ("fb", 0, True)
    assert second.messages == (Received("415127", "Use 415127 as your login code"),)
    assert (third.upstream_id, third.is_live, third.messages[0].code) == ("53533933", False, "2001")


def test_what_we_have_no_word_for_fits_no_order_of_ours() -> None:
    found = orders(page(row(2, product="unheard"), row(1, country="atlantis")))
    assert isinstance(found, lists.Page)
    assert [item.service for item in found.activations] == ["", ""]
    assert [item.country for item in found.activations] == [16, None]


def test_an_order_that_cannot_be_read_makes_the_page_partial() -> None:
    for broken in (row(1, id=None), row(1, phone=""), row(1, price="x"), row(1, status="NEW"), {}):
        found = orders(page(row(2), broken))
        assert isinstance(found, lists.Page)
        assert not found.is_readable
        assert [item.upstream_id for item in found.activations] == ["2"]


def test_the_order_of_a_page_is_noticed() -> None:
    found = orders(page(row(1, created_at="2020-01-01T00:00:00Z"), row(2), row(3)))
    assert isinstance(found, lists.Page)
    assert not found.is_newest_first
    assert found.newest_start is not None
    assert found.newest_start.year == 2020
    assert found.newest_start.month == 6


@pytest.mark.parametrize("when", [None, "", "yesterday", "2020-06-28T16:32:43"])
def test_times_without_a_zone_or_sense_are_not_told(when: str | None) -> None:
    found = orders(page(row(1, created_at=when, expires=when)))
    assert isinstance(found, lists.Page)
    assert (found.newest_start, found.oldest_end) == (None, None)


def test_no_orders_are_an_empty_page() -> None:
    for body in (page(), b'{"Data":[],"ProductNames":[],"Statuses":[],"Total":0}'):
        assert orders(body) == lists.Page((), 0, 0, True, True, None, None)


@pytest.mark.parametrize(
    "body", [b"", PAGE, b"null", b"[]", b"{}", b'{"Data":[]}', b'{"Data":{},"Total":1}', b'{"Data":[],"Total":-1}']
)
def test_what_is_no_page_is_unknown(body: bytes) -> None:
    assert isinstance(orders(body), Unknown)
    assert isinstance(orders(recorded("orders"), 500), Unknown)


def test_prices_are_read_in_both_nestings() -> None:
    assert list(prices(recorded("prices"))) == TELEGRAM
    assert list(prices(recorded("prices-of-product"))) == TELEGRAM


def test_without_known_countries_the_documented_nesting_is_taken() -> None:
    assert list(prices(recorded("prices"), countries=frozenset())) == TELEGRAM


def test_any_operator_is_the_cheapest_in_stock() -> None:
    body = b'{"usa":{"telegram":{"a":{"cost":3,"count":0},"b":{"cost":5,"count":2},"c":{"cost":"5.00","count":3}}}}'
    assert prices(body)[-1] == UpstreamOffer("telegram", "usa", "any", Paise(500), 5)


def test_nothing_found_is_an_empty_list() -> None:
    assert prices(b"null") == ()
    assert prices(b"{}") == ()
    assert prices(b'{"usa":{}}') == ()


@pytest.mark.parametrize(
    "body",
    [b"", PAGE, b"[]", b'"null"', b'{"usa":{"telegram":{"a":{"cost":-1,"count":1}}}}', b'{"usa":{"telegram":7}}'],
)
def test_what_is_no_price_list_is_unknown(body: bytes) -> None:
    assert isinstance(prices(body), Unknown)
    assert isinstance(prices(recorded("prices"), 500), Unknown)


def test_entries_that_cannot_be_read_are_left_out() -> None:
    body = (
        b'{"usa":{"telegram":{"any":{"cost":1,"count":1},"a":{"cost":2},"b":{"cost":2,"count":1},"c d":{"cost":2,'
        b'"count":1},"e":{"cost":1e99,"count":1}},"bad/word":{"a":{"cost":1,"count":1}}},"no":null}'
    )
    assert [(offer.operator, offer.cost_paise) for offer in prices(body)] == [("b", 200), ("any", 200)]


def test_countries_tell_their_name_and_two_letters() -> None:
    assert lists.countries(recorded("countries"), 200) == (
        UpstreamName("england", "England", "GB"),
        UpstreamName("russia", "Russia", "RU"),
        UpstreamName("usa", "USA", ""),
    )
    assert lists.countries(PAGE, 200) == ()
    assert lists.countries(recorded("countries"), 500) == ()


TREE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(TREE)
def test_no_json_makes_a_parser_raise(tree: Any) -> None:
    body = msgspec.json.encode(tree)
    orders(body)
    lists.countries(body, 200)
    found = prices(body)
    assert isinstance(found, Unknown) or all(offer.cost_paise > 0 for offer in found)
