"""Rules about people that ask nobody: passwords, addresses, phone numbers, codes of the second factor."""

from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numberdesk.accounts import addresses, phones, totp
from numberdesk.accounts.passwords import Hasher, PasswordRules, refuse_weak
from numberdesk.base.errors import InvalidFields

RULES = PasswordRules()
CONTEXT = ["ravi.kumar@example.com", "Ravi Kumar"]


def problem(password: str, rules: PasswordRules = RULES) -> str:
    try:
        refuse_weak(password, rules=rules, context=CONTEXT)
    except InvalidFields as refusal:
        return refusal.fields["password"]
    return ""


@pytest.mark.parametrize(
    "password", ["short", "", "aaaaaaaaaaaa", "abababababab", "1234567890", "password123", "qwertyuiop", "Password123!",
                 "ravi.kumar", "ravikumar1", "numberdesk", "numberdesk1", "p" * 1025, "é" * 513],
)  # fmt: skip
def test_a_weak_password_is_refused(password: str) -> None:
    assert problem(password)


@pytest.mark.parametrize(
    "password", ["monsoon mango lassi", "Tr0ub4dor&3xyz", "पासवर्ड बहुत लंबा है", "x" * 3 + "yz-k" * 250, "no digits here"]
)
def test_a_long_password_of_any_characters_is_taken(password: str) -> None:
    assert problem(password) == ""


def test_kinds_of_characters_are_asked_for_when_the_operator_wants_it() -> None:
    strict = PasswordRules(min_length=8, complexity=True)
    assert problem("monsoon mango", strict)
    assert problem("Mons00n-mango", strict) == ""
    assert problem("Monsoon-mango", strict)


@pytest.mark.anyio
async def test_a_password_is_hashed_with_argon2id_and_verified() -> None:
    hasher = Hasher()
    stored = await hasher.hash("monsoon mango lassi")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert (await hasher.verify(stored, "monsoon mango lassi")).is_right
    assert not (await hasher.verify(stored, "monsoon mango lassi ")).is_right
    assert not (await hasher.verify(None, "monsoon mango lassi")).is_right
    assert not (await hasher.verify("rubbish", "monsoon mango lassi")).is_right
    assert not (await hasher.verify(stored, "x" * 5000)).is_right


@pytest.mark.anyio
async def test_a_hash_of_older_parameters_is_to_be_renewed() -> None:
    stored = await Hasher(memory_kib=64, time_cost=1).hash("monsoon mango lassi")
    assert (await Hasher(memory_kib=128, time_cost=1).verify(stored, "monsoon mango lassi")).needs_rehash
    assert not (await Hasher(memory_kib=64, time_cost=1).verify(stored, "monsoon mango lassi")).needs_rehash


@pytest.mark.parametrize(
    "text",
    [
        "", "nobody", "@example.com", "a@", "a@b", "a b@example.com", "a@exam ple.com", "a@example..com",
        ".a@example.com", "a..b@example.com", "a@-example.com", "a@example.com\n", "a\x00@example.com",
        "a@example.com\u200b", "a@[127.0.0.1]", "a@127.0.0.1", '"a b"@example.com', "a@ex\u0430mple.com",
        "\u0430@example.com", "a\uff20example.com", "a@localhost", "a" * 65 + "@example.com",
        "a@" + "b" * 250 + ".com", "a@example.com,b@example.com", "A <a@example.com>",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidFields) as told:
        addresses.parse(text)
    assert list(told.value.fields) == ["email"]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Asha@Example.COM", "asha@example.com"),
        ("a.s.h.a+shop@GMail.com", "asha@gmail.com"),
        ("asha@googlemail.com", "asha@gmail.com"),
        ("a.b+c@example.com", "a.b+c@example.com"),
        ("asha@b\u00fccher.example.org", "asha@xn--bcher-kva.example.org"),
    ],
)
def test_spellings_of_one_mailbox_have_one_key(text: str, key: str) -> None:
    assert addresses.parse(text).key == addresses.key_of(text) == key


@given(st.text(max_size=40))
@settings(deadline=None, max_examples=200)
def test_looking_somebody_up_never_fails(text: str) -> None:
    found = addresses.key_of(text)
    assert found is None or "@" in found


def test_test_addresses_are_for_demonstrations() -> None:
    assert addresses.parse("a@demo.test", allow_test=True).domain == "demo.test"
    with pytest.raises(InvalidFields):
        addresses.parse("a@demo.test")


def test_the_nearest_word_of_the_operator_counts() -> None:
    assert addresses.is_disposable("mailinator.com", allowed=(), denied=())
    assert addresses.is_disposable("a.b.mailinator.com", allowed=(), denied=())
    assert not addresses.is_disposable("example.org", allowed=(), denied=())
    assert not addresses.is_disposable("a.mailinator.com", allowed={"a.mailinator.com"}, denied=())
    assert addresses.is_disposable("b.corp.example.org", allowed={"example.org"}, denied={"corp.example.org"})
    assert not addresses.is_disposable("c.b.example.org", allowed={"b.example.org"}, denied={"example.org"})


@pytest.mark.parametrize(
    ("text", "number"),
    [("98765 43210", "+919876543210"), ("+91 98765-43210", "+919876543210"), ("+1 202 555 0123", "+12025550123")],
)
def test_a_phone_number_is_kept_in_one_form(text: str, number: str) -> None:
    assert phones.parse_phone(text) == number


@pytest.mark.parametrize("text", ["", "12", "+91", "not a number", "+919876543210123456", "0" * 100, "+999 12345678"])
def test_what_is_no_phone_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidFields):
        phones.parse_phone(text)


def test_a_code_fits_its_half_minute_and_its_neighbours_only() -> None:
    secret, now = totp.new_secret(), datetime(2026, 1, 31, 12, 0, 10, tzinfo=UTC)
    step = int(now.timestamp()) // 30
    for away in range(-3, 4):
        code = pyotp.TOTP(secret).at(now + timedelta(seconds=30 * away))
        found = totp.matching_step(secret, code, at=now)
        assert found == (step + away if abs(away) <= 1 else None)
    for wrong in ("", "12345", "1234567", "abcdef", "\uff11\uff12\uff13\uff14\uff15\uff16"):
        assert totp.matching_step(secret, wrong, at=now) is None


def test_recovery_codes_are_long_different_and_read_however_they_are_typed() -> None:
    codes = totp.new_recovery_codes()
    assert len(set(codes)) == 10
    for code in codes:
        plain = totp.normal_recovery_code(code)
        assert plain is not None
        assert len(plain) == 24, "120 bits"
        assert totp.normal_recovery_code(code.upper().replace("-", " ")) == plain
    assert totp.normal_recovery_code("123456") is None
    assert not totp.is_totp_shape(codes[0])
    assert "issuer=Numberdesk" in totp.otpauth_uri(totp.new_secret(), account="asha@example.com")
