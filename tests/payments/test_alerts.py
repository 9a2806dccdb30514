"""Messages of the bank: who may send them, and that only a payment to us is read as one."""

import hashlib
import hmac
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numberdesk.payments.methods.alerts import CLOCKS, TEXT_MAX, Alert, BadAlert, check_signature, read_alert

SECRET = "secret-of-the-phone"
NOW = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)
RAW = b'{"text": "Rs.5 credited"}'
UTR = "633112345678"


def sign(*, secret: str = SECRET, timestamp: str, raw: bytes = RAW) -> str:
    return hmac.new(secret.encode(), timestamp.encode() + b"." + raw, hashlib.sha256).hexdigest()


def stamp(age: timedelta = timedelta(0)) -> str:
    return str(int((NOW - age).timestamp()))


@pytest.mark.parametrize("signature", ["", "0" * 64, "ü" * 64, "\ud800", sign(timestamp=stamp())[:-1], "x" * 10_000])
def test_a_wrong_signature_is_refused(signature: str) -> None:
    with pytest.raises(BadAlert, match="signature"):
        check_signature(SECRET, timestamp=stamp(), raw=RAW, signature=signature, now=NOW)


def test_an_empty_secret_fits_nothing_even_when_signed_with_it() -> None:
    signature = sign(secret="", timestamp=stamp())
    with pytest.raises(BadAlert):
        check_signature("", timestamp=stamp(), raw=RAW, signature=signature, now=NOW)


@pytest.mark.parametrize("timestamp", ["", "now", "-1", "1.5", "١٢٣", " 1", "9" * 13, "1_0"])
def test_a_timestamp_that_is_none_is_refused_though_signed(timestamp: str) -> None:
    with pytest.raises(BadAlert, match="timestamp"):
        check_signature(SECRET, timestamp=timestamp, raw=RAW, signature=sign(timestamp=timestamp), now=NOW)


@pytest.mark.parametrize("age", [CLOCKS + timedelta(seconds=1), -CLOCKS - timedelta(seconds=1), timedelta(days=365)])
def test_a_message_of_another_time_is_refused(age: timedelta) -> None:
    timestamp = stamp(age)
    with pytest.raises(BadAlert, match="too far"):
        check_signature(SECRET, timestamp=timestamp, raw=RAW, signature=sign(timestamp=timestamp), now=NOW)


def test_another_text_or_another_time_than_was_signed_is_refused() -> None:
    signature = sign(timestamp=stamp())
    for timestamp, raw in ((stamp(timedelta(seconds=1)), RAW), (stamp(), RAW + b" "), (stamp() + ".", RAW[1:])):
        with pytest.raises(BadAlert):
            check_signature(SECRET, timestamp=timestamp, raw=raw, signature=signature, now=NOW)


@pytest.mark.parametrize("age", [timedelta(0), CLOCKS, -CLOCKS])
def test_a_signed_message_of_now_passes(age: timedelta) -> None:
    timestamp = stamp(age)
    check_signature(SECRET, timestamp=timestamp, raw=RAW, signature=sign(timestamp=timestamp), now=NOW)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hello",
        f"Rs.250.37 debited from A/c XX1234 to shop@ybl. UPI Ref {UTR}. Bal Rs.900",
        f"Sent Rs.250.37 from Kotak Bank AC X1234 to asha@ybl on 26-11-26.UPI Ref {UTR}.",
        f"Acct XX123 debited for Rs 250.37 on 26-Nov-26; ASHA credited. UPI:{UTR}",
        "123456 is your OTP for Rs.250.00 to be credited",
        "Asha has requested Rs.250 from you. Once approved Rs.250 credited to asha@ybl",
        "Rs.250 will be credited to your A/c XX1234 by tomorrow",
        "Get Rs.500 credited! Pre-approved loan, apply now",
        "Cashback of Rs.50 credited to your wallet",
        "Your A/c XX1234 balance is Rs.9,000.00",
        f"Refund of Rs.250 credited to A/c XX1234. UPI Ref {UTR}",
        "Payment of Rs.250 received towards your credit card XX12",
        f"Rs.250 credited to A/c XX1234. Rs.300 credited to A/c XX1234. UPI Ref {UTR}",
        f"Rs.250 credited to A/c XX1234. UPI Ref {UTR}. UPI Ref 699999999999",
        f"Rs.250.375 credited to A/c XX1234. UPI Ref {UTR}",
        f"Rs.0.00 credited to A/c XX1234. UPI Ref {UTR}",
        f"Rs.99999999999 credited to A/c XX1234. UPI Ref {UTR}",
        f"Rs.1,50 credited to A/c XX1234. UPI Ref {UTR}",
        f"USD 250 credited to A/c XX1234. UPI Ref {UTR}",
        f"Rs.250 not credited to A/c XX1234. UPI Ref {UTR}",
        f"Rs.250 failed: credited Rs.250 back. UPI Ref {UTR}",
    ],
)
def test_what_is_no_payment_to_us_or_could_be_read_in_two_ways_is_left(text: str) -> None:
    assert read_alert(text) is None


def test_a_text_longer_than_any_message_is_left() -> None:
    text = f"Rs.250 credited to A/c XX1234. UPI Ref {UTR} "
    assert read_alert(text.ljust(TEXT_MAX)) is not None
    assert read_alert(text.ljust(TEXT_MAX + 1)) is None


@pytest.mark.parametrize(
    ("text", "paise", "payer"),
    [
        (f"Credit Alert!\nRs.250.37 credited to HDFC Bank A/c XX1234 on 26-11-26 from VPA asha@ybl (UPI {UTR})",
         250_37, "asha@ybl"),
        (f"Rs.1,250.00 credited to HDFC Bank A/C **1234 on 26-11-26 by A/C linked to UPI VPA asha@ybl "
         f"(UPI Ref No {UTR}).", 1250_00, "asha@ybl"),
        (f"Dear Customer, Acct XX123 is credited with Rs 1250.00 on 26-Nov-26 from ASHA DEVI. UPI:{UTR}-ICICI Bank.",
         1250_00, None),
        (f"Dear SBI User, your A/c X1234-credited by Rs.250.37 on 26Nov26 transfer from ASHA DEVI Ref No {UTR} -SBI",
         250_37, None),
        (f"INR 250.00 credited A/c no. XX1234 26-11-26, 10:00:30 UPI/P2A/{UTR}/ ASHA DEVI Axis Bank", 250_00, None),
        (f"INR 1,00,000.00 credited to your A/c no. XX1234. UPI/P2A/{UTR}/ASHA", 100_000_00, None),
        (f"Received Rs.250.00 in your Kotak Bank AC X1234 from asha@ybl on 26-11-26.UPI Ref:{UTR}.", 250_00,
         "asha@ybl"),
        (f"Received Rs.250 from Asha asha@ptyes in your Paytm Bank a/c. UPI Ref: {UTR}", 250_00, "asha@ptyes"),
        (f"Dear Customer, Rs.250.37 credited to A/c XX1234 by UPI asha@ybl. UPI Ref {UTR}. Bal Rs.9,000.00 -Bank",
         250_37, "asha@ybl"),
        (f"₹5 received. RRN {UTR}. Avl Bal INR 9,000", 5_00, None),
        (f"Your a/c XX12 is credited by INR 250.5 via UPI. Refno {UTR}", 250_50, None),
    ],
)  # fmt: skip
def test_the_wording_of_every_bank_is_read(text: str, paise: int, payer: str | None) -> None:
    assert read_alert(text) == Alert(amount_paise=paise, rrn=UTR, payer=payer)  # type: ignore[arg-type]


def test_numbers_that_are_no_utr_are_not_taken_for_one() -> None:
    for tail in (
        "by UPI 919876543210@ybl",
        "Call 919876543210",
        "Ref 1234567890123",
        "Ref 63311234567",
        "Ref AB6331123456",
    ):
        found = read_alert(f"Rs.250 credited to A/c XX1234. {tail}")
        assert found is not None
        assert found.rrn is None


WORDS = st.sampled_from([
    "Rs.", "INR", "₹", "250", "1,00,000.00", ".37", "credited", "received", "to A/c", "XX1234", "UPI", "Ref", UTR, "@",
    "asha@ybl", " ", "\n", "X" * 30, "9" * 40, "in your Kotak Bank", "by", "with", "\0", "\ud800",
])  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(st.lists(WORDS | st.text(max_size=5), max_size=30))
def test_any_text_is_read_or_left(words: list[str]) -> None:
    found = read_alert(" ".join(words))
    if found is not None:
        assert found.amount_paise > 0
        assert found.rrn is None or (len(found.rrn) == 12 and found.rrn.isdigit())


@pytest.mark.parametrize(
    "part", ["Rs.1,", "1,11", "UPI Ref ", "a.", "A/c XX", "Rs.1 is was ", "a@", "credited ", "UPI- "]
)
def test_no_text_takes_long(part: str) -> None:
    text = (part * TEXT_MAX)[:TEXT_MAX]
    began = time.perf_counter()
    read_alert(text)
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    "payer", ["633112345678-1@ybl", "633112345678.a@ybl", "633112345678@ybl", "633112345678_x.y@ybl"]
)
def test_a_payer_cannot_choose_the_utr_by_the_name_of_an_address(payer: str) -> None:
    alert = read_alert(f"Rs.50.00 credited to A/c XX1234 by UPI from {payer}")
    assert alert is None or alert.rrn is None
