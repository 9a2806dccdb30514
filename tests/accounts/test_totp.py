"""Codes of authenticator apps and recovery codes."""

import base64
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit

import pyotp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numberdesk.accounts import totp

NOW = datetime(2026, 1, 31, 12, 0, 10, tzinfo=UTC)
RFC_SECRET = base64.b32encode(b"12345678901234567890").decode()


@pytest.mark.parametrize(
    "code",
    ["", "0", "12345", "1234567", "abcdef", "12345a", "-12345", "12.345", "0x1234", "123456\n", "\t123456", "123-456",
     "\uff11\uff12\uff13\uff14\uff15\uff16", "\u0661\u0662\u0663\u0664\u0665\u0666", "12345\u00b2", "1" * 100_000],
)  # fmt: skip
def test_what_is_not_six_plain_digits_is_no_code(code: str) -> None:
    assert not totp.is_totp_shape(code)
    assert totp.matching_step(RFC_SECRET, code, at=NOW) is None


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
    ],
)
def test_the_codes_of_the_standard_fit_at_their_time(at: int, code: str) -> None:
    """Source: RFC 6238, appendix B, the last six of eight digits."""
    moment = datetime.fromtimestamp(at, UTC)
    assert totp.matching_step(RFC_SECRET, code, at=moment) == at // 30
    assert totp.matching_step(RFC_SECRET, f" {code[:3]} {code[3:]} ", at=moment) == at // 30
    assert totp.matching_step(totp.new_secret(), code, at=moment) is None


@pytest.mark.parametrize("window", [0, 1, 2])
def test_a_code_fits_within_the_window_and_tells_its_own_step(window: int) -> None:
    step = int(NOW.timestamp()) // 30
    for away in range(-4, 5):
        code = pyotp.TOTP(RFC_SECRET).at(NOW + timedelta(seconds=30 * away))
        expected = step + away if abs(away) <= window else None
        assert totp.matching_step(RFC_SECRET, code, at=NOW, window=window) == expected


def test_a_secret_has_160_bits_and_is_never_the_same() -> None:
    made = {totp.new_secret() for _ in range(50)}
    assert len(made) == 50
    assert {len(base64.b32decode(secret)) for secret in made} == {20}


@pytest.mark.parametrize("account", ["asha@example.com", "a:b&issuer=Evil?c=d/e#f@example.com", "é ü@example.com"])
def test_an_app_reads_issuer_account_and_secret(account: str) -> None:
    uri = urlsplit(totp.otpauth_uri(RFC_SECRET, account=account))
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert parse_qs(uri.query) == {"secret": [RFC_SECRET], "issuer": ["Numberdesk"]}
    assert unquote(uri.path.partition(":")[2]) == account
    assert uri.path.startswith("/Numberdesk:")


def test_recovery_codes_have_120_bits_each_in_groups_that_can_be_typed() -> None:
    codes = [code for _ in range(20) for code in totp.new_recovery_codes()]
    assert len(set(codes)) == len(codes) == 200
    for code in codes:
        groups = code.split("-")
        assert [len(group) for group in groups] == [6] * 4
        assert len(base64.b32decode("".join(groups).upper())) == 15
        assert not totp.is_totp_shape(code)
    # Every letter stands in every place: none of them is fixed.
    assert all(len({code[place] for code in codes}) > 10 for place in range(27) if (place + 1) % 7)


@pytest.mark.parametrize(
    "text", ["", "-", "abcdef", "a" * 23, "a" * 25, "a" * 23 + "1", "a" * 23 + "8", "é" * 24, "123456"]
)
def test_what_is_no_recovery_code_is_none(text: str) -> None:
    assert totp.normal_recovery_code(text) is None


@given(st.binary(min_size=15, max_size=15), st.data())
@settings(deadline=None, max_examples=100)
def test_a_recovery_code_is_read_however_it_is_typed(raw: bytes, data: st.DataObject) -> None:
    plain = base64.b32encode(raw).decode().lower()
    typed = "".join(
        data.draw(st.sampled_from([letter, letter.upper(), f" {letter}", f"-{letter}", f"{letter} - "]))
        for letter in plain
    )
    assert totp.normal_recovery_code(typed) == totp.normal_recovery_code(plain) == plain
