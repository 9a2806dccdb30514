"""Prices of TRX and USDT: what no source may make us believe, when sources agree, and sums that are exact."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from aiohttp import ClientSession
from hypothesis import given
from hypothesis import strategies as st

from numberdesk.base import clock, http_client
from numberdesk.base.http_client import Answer, NoAnswer
from numberdesk.payments.methods import rate_sources
from numberdesk.payments.methods.gateway import Trouble
from numberdesk.payments.methods.rate_sources import NoRate, Rate, Sample, agree
from tests.payments.fakes.rates import SOURCES, Fault, Rates, Source, rates

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
READERS = {
    "coingecko": rate_sources.read_coingecko,
    "coindcx": rate_sources.read_coindcx,
    "wazirx": rate_sources.read_wazirx,
}
SECRET = "CG-3f9a77c2e1"


@pytest.fixture
async def session() -> AsyncIterator[ClientSession]:
    opened = http_client.session()
    yield opened
    await opened.close()


@pytest.fixture
async def fake() -> AsyncIterator[Rates]:
    async with rates() as running:
        yield running


async def fetched(
    fake: Rates, session: ClientSession, *, deadline: float = 2.0
) -> tuple[dict[str, Decimal], list[str]]:
    """Return prices by source and asset, and the reasons of trouble."""
    found = await rate_sources.fetch(fake.sources(session, deadline=deadline, key=SECRET), now=clock.now())
    prices = {f"{item.source} {item.asset}": item.paise_per_unit for item in found if isinstance(item, Sample)}
    return prices, [item.reason for item in found if isinstance(item, Trouble)]


def read(source: str, body: bytes, *, status: int = 200) -> list[Sample | Trouble]:
    answer = Answer(status, "application/json", body)
    return rate_sources.read_each(answer, READERS[source], now=NOW)


def gecko(inr: str, at: str = str(int(NOW.timestamp()))) -> bytes:
    return f'{{"tron":{{"inr":{inr},"last_updated_at":{at}}}}}'.encode()


def sample(source: str, price: str, *, age: float = 10, valid_for: float | None = None) -> Sample:
    valid_until = None if valid_for is None else NOW + timedelta(seconds=valid_for)
    return Sample(source, "trx", Decimal(price), NOW - timedelta(seconds=age), valid_until)


def agreed(*samples: Sample) -> tuple[str, str] | None:
    """Return the price and its basis, or None without one."""
    found = agree(samples, now=NOW)
    return (str(found.paise_per_unit.normalize()), found.basis) if isinstance(found, Rate) else None


@pytest.mark.anyio
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    "fault", ["html", "error", "busy", "drop", "future", "absurd", "zero", "shape", "empty", "huge", "hang"]
)
async def test_a_source_that_fails_gives_no_price_and_the_others_count(
    fake: Rates, session: ClientSession, source: Source, fault: Fault
) -> None:
    fake.faults[source] = fault
    prices, problems = await fetched(fake, session, deadline=0.5 if fault == "hang" else 2.0)
    assert {name.split()[0] for name in prices} == set(SOURCES) - {source}
    assert problems
    assert all(problem.startswith(f"{source}: ") for problem in problems)


@pytest.mark.anyio
async def test_sources_that_hang_are_waited_for_together(fake: Rates, session: ClientSession) -> None:
    fake.faults |= dict.fromkeys(SOURCES, "hang")
    begun = clock.seconds()
    prices, problems = await fetched(fake, session, deadline=0.4)
    assert clock.seconds() - begun < 1.2
    assert prices == {}
    assert problems == [
        "coingecko: no answer before the deadline", "coindcx: no answer before the deadline",
        "wazirx: no answer before the deadline", "wazirx: no answer before the deadline",
    ]  # fmt: skip


@pytest.mark.anyio
async def test_a_stale_price_is_no_part_of_an_agreement(fake: Rates, session: ClientSession) -> None:
    fake.faults |= {"coingecko": "stale", "wazirx": "stale"}
    found = await rate_sources.fetch(fake.sources(session), now=clock.now())
    samples = [item for item in found if isinstance(item, Sample) and item.asset == "trx"]
    assert isinstance(agree(samples, now=clock.now()), NoRate)


@pytest.mark.anyio
async def test_a_key_is_told_to_its_source_only_and_to_no_log(fake: Rates, session: ClientSession) -> None:
    fake.faults["coingecko"] = "busy"
    _, problems = await fetched(fake, session)
    assert {item.source for item in fake.asked if item.key == SECRET} == {"coingecko"}
    assert problems == ["coingecko: status 429"]
    assert SECRET not in repr(fake.sources(session, key=SECRET))


@pytest.mark.anyio
async def test_three_sources_tell_both_prices_and_coingecko_is_asked_once(fake: Rates, session: ClientSession) -> None:
    fake.prices["coingecko", "trx"] = "28.412345678912345"
    prices, problems = await fetched(fake, session)
    assert problems == []
    assert prices == {
        "coingecko trx": Decimal("2841.23456789"), "coingecko usdt": Decimal(8890),
        "coindcx trx": Decimal(2841), "coindcx usdt": Decimal(8890),
        "wazirx trx": Decimal(2841), "wazirx usdt": Decimal(8890),
    }  # fmt: skip
    assert [item.source for item in fake.asked].count("coingecko") == 1


@pytest.mark.parametrize(
    "price",
    [
        "null", "true", "[]", "{}", "NaN", "Infinity", "-Infinity", "0", "0.0", "-28.41", "-0", "1000000000", "1e10",
        "1e999999999", "1e-999999999", "0.000000000001", '"NaN"', '"Infinity"', '"-1"', '""', '"28,41"', '"0x10"',
        '"28.41 INR"', f'"{"9" * 5000}"', "9" * 5000, "1e99999999999999999999",
    ],
)  # fmt: skip
def test_what_is_no_price_is_trouble(price: str) -> None:
    for body, source in (
        (gecko(price), "coingecko"),
        (f'[{{"market":"TRXINR","last_price":{price},"timestamp":1795694400}}]'.encode(), "coindcx"),
        (f'{{"symbol":"trxinr","lastPrice":{price},"at":1795694400000}}'.encode(), "wazirx"),
    ):
        assert [type(item) for item in read(source, body)] == [Trouble]


@pytest.mark.parametrize("at", ["null", "0", "-1", '"now"', "1e400", "NaN", "9" * 30, "99999999999999"])
def test_a_price_without_a_time_that_can_be_is_trouble(at: str) -> None:
    assert [type(item) for item in read("coingecko", gecko("28.41", at))] == [Trouble]


@pytest.mark.parametrize(("ahead", "kind"), [(61, Trouble), (60, Sample), (-10_000, Sample)])
def test_a_clock_may_be_a_minute_ahead(ahead: int, kind: type) -> None:
    at = str(int(NOW.timestamp()) + ahead)
    assert [type(item) for item in read("coingecko", gecko("28.41", at))] == [kind]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    "body", [b"", b"null", b"1", b'"tron"', b"[[]]", b"[1]", b"\xff\xfe", b"[" * 100_000, b"<html>"]
)
def test_a_body_of_another_shape_is_trouble(source: str, body: bytes) -> None:
    assert [type(item) for item in read(source, body)] == [Trouble]


def test_a_price_below_an_error_status_is_trouble_and_no_answer_keeps_its_reason() -> None:
    assert read("coingecko", gecko("28.41"), status=502) == [Trouble("coingecko: status 502")]
    silent = NoAnswer("it cannot be reached (X)", sent=False)
    found = rate_sources.read_each(silent, rate_sources.read_wazirx, now=NOW)
    assert found == [Trouble("wazirx: it cannot be reached (X)")]


@given(st.sampled_from(SOURCES), st.binary(max_size=200))
def test_no_bytes_raise(source: str, body: bytes) -> None:
    assert read(source, body)


_LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
_NAMES = st.sampled_from(
    ["tron", "tether", "inr", "last_updated_at", "market", "last_price", "timestamp", "symbol", "at"]
)


@given(
    st.sampled_from(SOURCES),
    st.recursive(_LEAF, lambda part: st.lists(part, max_size=3) | st.dictionaries(_NAMES, part, max_size=4)),
)
def test_no_json_raises(source: str, body: object) -> None:
    for item in read(source, json.dumps(body).encode()):
        assert isinstance(item, Trouble) or item.paise_per_unit > 0


def test_one_source_alone_is_no_market() -> None:
    assert agreed(sample("coingecko", "2841")) is None
    assert agreed(sample("coingecko", "2841"), sample("coingecko", "2841", age=20)) is None


def test_two_sources_that_lie_apart_have_no_price() -> None:
    assert agreed(sample("coingecko", "100"), sample("coindcx", "103.00000001")) is None


def test_two_against_two_have_no_price() -> None:
    pairs = [sample("a", "100"), sample("b", "100"), sample("c", "110"), sample("d", "110")]
    assert agreed(*pairs) is None


def test_samples_of_three_minutes_ago_are_too_old() -> None:
    old = agree([sample("coingecko", "100", age=180), sample("coindcx", "100", age=700)], now=NOW)
    assert isinstance(old, NoRate)
    assert agreed(sample("coingecko", "100", age=179), sample("coindcx", "100", age=180)) == ("1E+2", "last_good")


def test_prices_from_the_future_are_not_used() -> None:
    assert agreed(sample("coingecko", "100", age=-61), sample("coindcx", "100", age=-61)) is None


def test_an_agreement_of_more_than_ten_minutes_ago_is_over() -> None:
    assert agreed(sample("coingecko", "100", age=601), sample("coindcx", "100", age=601)) is None


@pytest.mark.parametrize("valid_for", [0, -1, None])
def test_a_fixed_rate_ends(valid_for: float | None) -> None:
    assert agreed(sample("staff", "90", valid_for=valid_for)) is None


def test_a_fixed_rate_is_no_source_of_the_market() -> None:
    assert agreed(sample("coingecko", "100"), sample("staff", "100", valid_for=60)) == ("1E+2", "staff")


def test_customers_are_told_why_there_is_no_price() -> None:
    assert isinstance(agree([], now=NOW), NoRate)
    for samples in ([], [sample("a", "100"), sample("b", "110")]):
        found = agree(samples, now=NOW)
        assert isinstance(found, NoRate)
        assert found.reason


@pytest.mark.parametrize(
    ("prices", "agreement"),
    [
        (("100", "101"), "100.5"),
        (("100", "103"), "101.5"),
        (("100", "101", "102"), "101"),
        (("100", "101", "150"), "100.5"),
        (("0.01", "100", "101"), "100.5"),
        (("97", "100", "103"), "1E+2"),
        (("96.99999999", "100", "103"), "101.5"),
        (("100", "100", "103", "120"), "1E+2"),
        (("0.00000001", "0.00000001"), "1E-8"),
    ],
)
def test_the_price_is_the_median_of_those_that_lie_near_it(prices: tuple[str, ...], agreement: str) -> None:
    samples = [sample(f"source {place}", price) for place, price in enumerate(prices)]
    assert agreed(*samples) == (agreement, "market")
    assert agreed(*reversed(samples)) == (agreement, "market")


def test_the_newest_word_of_a_source_counts() -> None:
    older = [sample("coingecko", "50", age=100), sample("coindcx", "50", age=100)]
    found = agree([*older, sample("coingecko", "100"), sample("coindcx", "100")], now=NOW)
    assert isinstance(found, Rate)
    assert found.paise_per_unit == 100
    assert [item.source for item in found.samples] == ["coindcx", "coingecko"]
    assert all(item.paise_per_unit == 100 for item in found.samples)


def test_the_last_agreement_counts_for_ten_minutes_and_stands_above_a_fixed_rate() -> None:
    last = [sample("coingecko", "100", age=600), sample("coindcx", "102", age=595)]
    alone = sample("coingecko", "150", age=5)
    assert agreed(*last, alone, sample("staff", "90", valid_for=60)) == ("101", "last_good")


def test_the_market_stands_above_the_last_agreement_and_a_fixed_rate_comes_last() -> None:
    last = [sample("coingecko", "100", age=300), sample("coindcx", "100", age=300)]
    fresh = [sample("coingecko", "110"), sample("coindcx", "110")]
    staff = [sample("staff", "90", age=9000, valid_for=60), sample("staff", "95", age=8000, valid_for=60)]
    assert agreed(*last, *fresh, *staff) == ("1.1E+2", "market")
    assert agreed(*staff) == ("95", "staff")


_PRICES = st.decimals(Decimal("0.00000001"), Decimal(10) ** 11, places=8)


@given(st.lists(st.tuples(st.sampled_from("abcd"), _PRICES, st.integers(-100, 900)), max_size=10))
def test_an_agreement_is_never_outside_what_two_sources_said(told: list[tuple[str, Decimal, int]]) -> None:
    samples = [sample(source, str(price), age=age) for source, price, age in told]
    found = agree(samples, now=NOW)
    if isinstance(found, NoRate):
        return
    prices = [item.paise_per_unit for item in found.samples]
    assert len({item.source for item in found.samples}) == len(prices) >= 2
    assert min(prices) <= found.paise_per_unit <= max(prices)
    assert set(found.samples) <= set(samples)


@pytest.mark.parametrize(
    ("bps", "rate"), [(0, "2841.00000001"), (100, "2812.59000000"), (1, "2840.71590000"), (10_000, "0E-8")]
)
def test_a_spread_is_taken_off_and_rounded_down(bps: int, rate: str) -> None:
    assert str(rate_sources.with_spread(Decimal("2841.00000001"), bps)) == rate


def test_an_amount_takes_units_rounded_up_and_units_give_paise_rounded_down() -> None:
    rate = Decimal("2841")
    assert rate_sources.units_for(250_37, rate) == 8_812_742
    assert rate_sources.paise_for(8_812_742, rate) == 250_37
    assert rate_sources.paise_for(8_812_741, rate) == 250_36
    assert rate_sources.paise_for(0, rate) == 0
    assert rate_sources.paise_for(1, rate) == 0


@given(st.integers(1, 10**10), _PRICES)
def test_whoever_sends_what_was_asked_for_gets_at_least_the_amount_and_not_a_unit_is_asked_too_much(
    amount: int, rate: Decimal
) -> None:
    units = rate_sources.units_for(amount, rate)
    assert rate_sources.paise_for(units, rate) >= amount
    assert Fraction(units - 1) * Fraction(rate) < amount * 1_000_000


@given(st.integers(0, 10**17), _PRICES)
def test_no_part_of_a_paisa_is_made_or_lost(units: int, rate: Decimal) -> None:
    exact = units * Fraction(rate) / 1_000_000
    assert 0 <= exact - rate_sources.paise_for(units, rate) < 1
