"""GST: numbers of taxpayers, taxes that sum to the price, years that begin in April, numbers that the law allows."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numberdesk.payments.methods.gst import (
    RECEIPT_NUMBER_MAX,
    NoReceiptNumber,
    NotAGstin,
    check_gstin,
    fiscal_year,
    receipt_number,
    split_inclusive,
)
from numberdesk.payments.methods.upi import IST

VALID = ["27AAPFU0939F1ZV", "29AAGCB7383J1Z4", "09AAACR5055K1Z5"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("06AABCU9605R1ZR", "wrong last sign"),
        ("27AAPFU0939F1ZW", "wrong last sign"),
        ("27AAPFU0938F1ZV", "wrong last sign"),
        ("", "is not a GSTIN"),
        ("27AAPFU0939F1Z", "is not a GSTIN"),
        ("27AAPFU0939F1ZVV", "is not a GSTIN"),
        ("27AAPFU0939F0ZV", "is not a GSTIN"),
        ("27AAPFU0939F1YV", "is not a GSTIN"),
        ("\u0662\u0667AAPFU0939F1ZV", "is not a GSTIN"),
        ("27AAPFU0939F1ZV\nX", "is not a GSTIN"),
    ],
)
def test_a_gstin_with_a_wrong_form_or_check_digit_is_refused(text: str, says: str) -> None:
    with pytest.raises(NotAGstin, match=says):
        check_gstin(text)


@given(
    gstin=st.sampled_from(VALID), place=st.integers(0, 13), sign=st.sampled_from("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
)
def test_one_mistyped_sign_is_always_found(gstin: str, place: int, sign: str) -> None:
    changed = gstin[:place] + sign + gstin[place + 1 :]
    if changed == gstin:
        assert check_gstin(changed) == gstin
        return
    with pytest.raises(NotAGstin):
        check_gstin(changed)


@given(st.text(max_size=20))
def test_any_text_is_a_gstin_or_refused_by_name(text: str) -> None:
    try:
        assert check_gstin(text) in text.upper()
    except NotAGstin as refused:
        assert str(refused).startswith(("is ", "has "))  # noqa: PT017 - what is refused is the point


@pytest.mark.parametrize("gstin", VALID)
def test_a_gstin_is_returned_in_capitals_without_spaces(gstin: str) -> None:
    assert check_gstin(f" {gstin.lower()}\n") == gstin


def test_a_split_of_less_than_nothing_is_our_own_bug() -> None:
    with pytest.raises(AssertionError):
        split_inclusive(-1, rate_bps=1800, same_state=True)
    with pytest.raises(AssertionError):
        split_inclusive(1, rate_bps=-1, same_state=True)


@pytest.mark.parametrize(
    ("total", "rate", "same_state", "taxes"),
    [
        (118_00, 1800, True, (100_00, 9_00, 9_00, 0)),
        (118_00, 1800, False, (100_00, 0, 0, 18_00)),
        (250_37, 1800, True, (212_18, 19_09, 19_10, 0)),
        (100_00, 1800, False, (84_75, 0, 0, 15_25)),
        (3, 2000, False, (2, 0, 0, 1)),  # a tax of exactly half a paisa goes up
        (1, 1800, True, (1, 0, 0, 0)),
        (0, 1800, True, (0, 0, 0, 0)),
        (100_00, 0, True, (100_00, 0, 0, 0)),
    ],
)
def test_the_tax_inside_a_price_is_rounded_half_up_and_shared(
    total: int, rate: int, same_state: bool, taxes: tuple[int, int, int, int]
) -> None:
    found = split_inclusive(total, rate_bps=rate, same_state=same_state)
    assert (found.taxable_paise, found.cgst_paise, found.sgst_paise, found.igst_paise) == taxes


@given(total=st.integers(0, 10**12), rate=st.integers(0, 10_000), same_state=st.booleans())
def test_the_parts_always_sum_to_the_price(total: int, rate: int, same_state: bool) -> None:
    found = split_inclusive(total, rate_bps=rate, same_state=same_state)
    tax = found.cgst_paise + found.sgst_paise + found.igst_paise
    assert found.taxable_paise + tax == total
    assert min(found.taxable_paise, found.cgst_paise, found.sgst_paise, found.igst_paise) >= 0
    assert abs(2 * (tax * (10_000 + rate) - total * rate)) <= 10_000 + rate
    assert 0 <= found.sgst_paise - found.cgst_paise <= 1
    assert (found.igst_paise == 0) if same_state else (found.cgst_paise == found.sgst_paise == 0)


def test_a_financial_year_begins_at_midnight_in_india_on_the_first_of_april() -> None:
    first = datetime(2026, 4, 1, tzinfo=IST)
    assert first.astimezone(UTC) == datetime(2026, 3, 31, 18, 30, tzinfo=UTC)
    assert fiscal_year(first - timedelta(microseconds=1)) == "25-26"
    assert fiscal_year(first) == "26-27"
    assert fiscal_year(datetime(2026, 3, 31, 18, 29, 59, tzinfo=UTC)) == "25-26"
    assert fiscal_year(datetime(2026, 3, 31, 18, 30, tzinfo=UTC)) == "26-27"
    assert fiscal_year(datetime(2026, 12, 31, 23, 0, tzinfo=UTC)) == "26-27"


@pytest.mark.parametrize(("year", "words"), [(2099, "99-00"), (2100, "00-01"), (2009, "09-10")])
def test_a_financial_year_has_two_digits_on_both_sides(year: int, words: str) -> None:
    assert fiscal_year(datetime(year, 6, 1, tzinfo=UTC)) == words


@pytest.mark.parametrize(
    ("series", "serial"),
    [("", 1), ("R", 0), ("R", -1), ("R R", 1), ("R_", 1), ("É", 1), ("ABCD", 1), ("R", 10**9), ("R\n", 1)],
)
def test_a_receipt_number_that_the_law_does_not_allow_is_refused(series: str, serial: int) -> None:
    with pytest.raises(NoReceiptNumber):
        receipt_number(series, fiscal_year="26-27", serial=serial)


def test_a_receipt_number_has_series_year_and_serial() -> None:
    assert receipt_number("R", fiscal_year="26-27", serial=123) == "R/26-27/000123"
    longest = receipt_number("RV/", fiscal_year="26-27", serial=999_999)
    assert len(longest) == RECEIPT_NUMBER_MAX
    assert receipt_number("R", fiscal_year="26-27", serial=10_000_000) == "R/26-27/10000000"
