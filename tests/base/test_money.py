"""Reading and writing rupees."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numberdesk.base.money import AMOUNT_MAX, NotAnAmount, format_rupees, parse_rupees

TWO_DECIMALS = 'must be rupees with at most two decimals, such as "12.50"'


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (True, "is not an amount"),
        (False, "is not an amount"),
        ("-1", "must not be negative"),
        (-1, "must not be negative"),
        (-0.01, "must not be negative"),
        ("-", "must not be negative"),
        (Decimal("-Infinity"), TWO_DECIMALS),
        ("0", "must be more than zero"),
        ("0.00", "must be more than zero"),
        (0, "must be more than zero"),
        (0.0, "must be more than zero"),
        ("", TWO_DECIMALS),
        ("   ", TWO_DECIMALS),
        ("12.345", TWO_DECIMALS),
        ("0.001", TWO_DECIMALS),
        (0.001, TWO_DECIMALS),
        (0.1 + 0.2, TWO_DECIMALS),
        (1e-7, TWO_DECIMALS),
        ("12.", TWO_DECIMALS),
        (".50", TWO_DECIMALS),
        ("12,50", TWO_DECIMALS),
        ("1,000", TWO_DECIMALS),
        ("1e3", TWO_DECIMALS),
        ("+5", TWO_DECIMALS),
        ("0x10", TWO_DECIMALS),
        ("1_000", TWO_DECIMALS),
        ("₹5", TWO_DECIMALS),
        ("१२", TWO_DECIMALS),
        ("12\n13", TWO_DECIMALS),
        ("NaN", TWO_DECIMALS),
        ("Infinity", TWO_DECIMALS),
        (float("nan"), TWO_DECIMALS),
        (float("inf"), TWO_DECIMALS),
        (Decimal("sNaN"), TWO_DECIMALS),
        (Decimal("1e-400"), TWO_DECIMALS),
        (1e300, TWO_DECIMALS),
        (10**60, TWO_DECIMALS),
        ("9" * 60, TWO_DECIMALS),
        ("100000000.01", "is too large"),
        ("999999999", "is too large"),
        ("1000000000", "is too large"),
        (10**15, "is too large"),
        (1e15, "is too large"),
    ],
)
def test_what_is_no_amount_is_refused_with_its_reason(value: str | float | Decimal, problem: str) -> None:
    with pytest.raises(NotAnAmount) as refusal:
        parse_rupees(value)
    assert str(refusal.value) == problem


def test_a_number_too_long_to_be_written_is_no_amount() -> None:
    with pytest.raises(NotAnAmount):
        parse_rupees(10**5000)


@pytest.mark.parametrize(
    ("value", "paise"),
    [
        ("12.50", 1250),
        ("12.5", 1250),
        ("12", 1200),
        (" 12.50 ", 1250),
        ("0.01", 1),
        ("007.00", 700),
        (12, 1200),
        (12.5, 1250),
        (0.1, 10),
        (0.29, 29),
        (1.1, 110),
        (1e3, 100_000),
        (99_999_999.99, 9_999_999_999),
        (Decimal("12.50"), 1250),
        (Decimal("12.5000"), 1250),
        (Decimal("1E+2"), 10_000),
        ("100000000", AMOUNT_MAX),
    ],
)
def test_an_amount_is_read_to_the_paisa(value: str | float | Decimal, paise: int) -> None:
    assert parse_rupees(value) == paise


@pytest.mark.parametrize(
    ("paise", "text"),
    [(0, "0.00"), (5, "0.05"), (-5, "-0.05"), (1250, "12.50"), (-1250, "-12.50"), (AMOUNT_MAX, "100000000.00")],
)
def test_paise_are_written_as_rupees(paise: int, text: str) -> None:
    assert format_rupees(paise) == text


@settings(deadline=None, database=None, derandomize=True)
@given(st.integers(1, AMOUNT_MAX))
def test_what_is_written_is_read_again_as_text_and_as_a_json_number(paise: int) -> None:
    text = format_rupees(paise)
    assert parse_rupees(text) == parse_rupees(float(text)) == parse_rupees(Decimal(text)) == paise
