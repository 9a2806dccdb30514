"""Tokens: forged, bent and expired ones of many kinds are refused, and only what we made is taken."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numberdesk.accounts import tokens
from numberdesk.accounts.tokens import BadToken, TokenExpired, TokenKeys

SECRET, OLD = "signs the tokens of these tests: 0123456789", "signed them before: 9876543210 abcdefghij"
KEYS = TokenKeys([SECRET, OLD])
NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
LIFETIME = timedelta(minutes=15)
AT = int(NOW.timestamp())
CLAIMS: dict[str, Any] = {
    "exp": AT + 900, "iat": AT, "nbf": AT, "sub": "7", "aud": tokens.AUDIENCE, "iss": tokens.ISSUER,
    "jti": "j", "sid": "9",
}  # fmt: skip
HEADER: dict[str, Any] = {"alg": "HS256", "typ": tokens.TYPE, "kid": KEYS.kid}


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(header: str, payload: str, *, key: bytes | None = None, digest: str = "sha256") -> str:
    """Sign two encoded parts with the right key, unless told otherwise."""
    body = f"{header}.{payload}"
    secret = KEYS.signing[KEYS.kid] if key is None else key
    return f"{body}.{encoded(hmac.digest(secret, body.encode(), digest))}"


def token(header: Any = HEADER, claims: Any = CLAIMS, **options: Any) -> str:
    parts = [item if isinstance(item, str) else json.dumps(item) for item in (header, claims)]
    return signed(*(encoded(part.encode()) for part in parts), **options)


GOOD = token()
FIRST, SECOND, THIRD = GOOD.split(".")


def header(**changes: Any) -> str:
    return token({name: item for name, item in (HEADER | changes).items() if item is not None})


def claims(**changes: Any) -> str:
    return token(claims={name: item for name, item in (CLAIMS | changes).items() if item is not None})


def unsigned(alg: str) -> str:
    return f"{encoded(json.dumps(HEADER | {'alg': alg}).encode())}.{SECOND}."


FORGED: dict[str, str] = {
    "nothing": "",
    "garbage": "garbage",
    "dots": "..",
    "one part": FIRST,
    "two parts": f"{FIRST}.{SECOND}",
    "four parts": f"{GOOD}.{THIRD}",
    "alg none": unsigned("none"),
    "alg None": unsigned("None"),
    "alg NONE": unsigned("NONE"),
    "alg empty": unsigned(""),
    "alg none, signed": header(alg="none"),
    "alg HS384": token(HEADER | {"alg": "HS384"}, digest="sha384"),
    "alg HS512": token(HEADER | {"alg": "HS512"}, digest="sha512"),
    "alg RS256": header(alg="RS256"),
    "alg ES256": header(alg="ES256"),
    "alg EdDSA": header(alg="EdDSA"),
    "alg missing": header(alg=None),
    "alg a list": header(alg=["HS256"]),
    "empty signature": f"{FIRST}.{SECOND}.",
    "cut signature": GOOD[:-1],
    "long signature": GOOD + "A",
    "signature of another token": f"{FIRST}.{token(claims=CLAIMS | {'sub': '8'}).split('.')[1]}.{THIRD}",
    "another key": token(key=b"x" * 32),
    "the secret itself as key": token(key=SECRET.encode()),
    "an empty key": token(key=b""),
    "kid missing": header(kid=None),
    "kid empty": header(kid=""),
    "kid a path": header(kid="../../../../dev/null"),
    "kid of SQL": header(kid="' UNION SELECT 'x"),
    "kid a list": header(kid=[KEYS.kid]),
    "kid null": token('{"alg":"HS256","typ":"at+jwt","kid":null}'),
    "kid of another key": header(kid="0" * 16),
    "jku": header(jku="https://evil.test/keys"),
    "jwk": header(jwk={"kty": "oct", "k": "eA"}),
    "x5u": header(x5u="https://evil.test/cert"),
    "crit": header(crit=["exp"]),
    "b64 false": header(b64=False),
    "typ JWT": header(typ="JWT"),
    "typ missing": header(typ=None),
    "typ of a refresh token": header(typ="rt+jwt"),
    "typ in capitals": header(typ="AT+JWT"),
    "aud of another": claims(aud="another-api"),
    "aud a list": claims(aud=[tokens.AUDIENCE]),
    "aud a list of two": claims(aud=[tokens.AUDIENCE, "another"]),
    "iss of another": claims(iss="somebody"),
    "iss a list": claims(iss=[tokens.ISSUER]),
    "not yet": claims(nbf=AT + 60),
    "from the future": claims(iat=AT + 60),
    "exp a text": claims(exp=str(AT + 900)),
    "exp a fraction": claims(exp=AT + 900.5),
    "exp true": claims(exp=True),
    "exp negative": claims(exp=-1),
    "exp far away": claims(exp=2**60),
    "exp after the year 9999": claims(exp=253_402_300_800),
    "all times negative": claims(iat=-9, nbf=-9, exp=-1),
    "exp before iat": claims(iat=AT, exp=AT - 1),
    "sub a number": claims(sub=7),
    "sub letters": claims(sub="seven"),
    "sub zero": claims(sub="0"),
    "sub negative": claims(sub="-7"),
    "sub with a zero before": claims(sub="07"),
    "sub with a blank": claims(sub=" 7"),
    "sub too big": claims(sub=str(2**63)),
    "sub in other digits": claims(sub="\u0667"),
    "sid a number": claims(sid=9),
    "sid empty": claims(sid=""),
    "a claim too many": claims(role="owner"),
    "payload a list": token(claims=[1]),
    "payload null": token(claims="null"),
    "payload no JSON": token(claims="{"),
    "header a list": token(header=[1]),
    "claim twice": token(claims=json.dumps(CLAIMS)[:-1] + ',"sub":"8"}'),
    "header field twice": token(header=json.dumps(HEADER)[:-1] + ',"alg":"none"}'),
    "padding": f"{FIRST}=.{SECOND}.{THIRD}",
    "padded signature": GOOD + "=",
    "blank at the end": GOOD + " ",
    "line end": GOOD + "\n",
    "NUL": GOOD + "\x00",
    "not ASCII": GOOD + "é",
    "plus and slash": f"{FIRST}.{SECOND}.{'+' + THIRD[1:]}",
    "other spare bits": GOOD[:-1] + chr(ord(GOOD[-1]) + 1),
    "huge": claims(jti="x" * 3000),
    "deep": token(claims="[" * 400 + "]" * 400),
    "a refresh token": tokens.refresh_token(KEYS, session_id=9, generation=1, seed=b"s" * 32),
    "a link of a mail": tokens.new_link_token(),
} | {f"{name} missing": claims(**{name: None}) for name in CLAIMS}


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_token_is_refused_and_no_reason_is_told(kind: str) -> None:
    with pytest.raises(BadToken) as told:
        tokens.read_access(KEYS, FORGED[kind], now=NOW)
    assert told.value.code == "bad_token"
    assert told.value.details() == {}


def test_there_are_many_kinds_and_they_differ() -> None:
    assert len(set(FORGED.values())) == len(FORGED) > 80


def test_what_we_issue_is_read() -> None:
    issued = tokens.issue_access(KEYS, account_id=7, session_id=9, now=NOW, lifetime=LIFETIME)
    for text in (issued, GOOD):
        found = tokens.read_access(KEYS, text, now=NOW + timedelta(minutes=14, seconds=59))
        assert (found.account_id, found.session_id, found.expires_at) == (7, 9, NOW + LIFETIME)


def test_an_expired_token_is_told_from_a_forged_one() -> None:
    for late in (LIFETIME, timedelta(days=400)):
        with pytest.raises(TokenExpired):
            tokens.read_access(KEYS, GOOD, now=NOW + late)
    with pytest.raises(BadToken) as told:
        tokens.read_access(KEYS, token(key=b"x" * 32), now=NOW + LIFETIME)
    assert not isinstance(told.value, TokenExpired)


def test_an_older_key_verifies_until_it_is_taken_away() -> None:
    issued = tokens.issue_access(TokenKeys([OLD]), account_id=7, session_id=9, now=NOW, lifetime=LIFETIME)
    assert tokens.read_access(KEYS, issued, now=NOW).account_id == 7
    with pytest.raises(BadToken):
        tokens.read_access(TokenKeys([SECRET]), issued, now=NOW)


@given(place=st.integers(min_value=0, max_value=len(GOOD) - 1), letter=st.sampled_from("Aa0_-.=+ \u00e9"))
@settings(deadline=None, max_examples=200)
def test_a_token_with_one_other_letter_is_refused(place: int, letter: str) -> None:
    bent = GOOD[:place] + letter + GOOD[place + 1 :]
    if bent != GOOD:
        with pytest.raises(BadToken):
            tokens.read_access(KEYS, bent, now=NOW)


def test_a_refresh_token_is_genuine_for_its_session_generation_and_seed_only() -> None:
    seed = b"s" * 32
    text = tokens.refresh_token(KEYS, session_id=9, generation=3, seed=seed)
    claim = tokens.read_refresh(text)
    assert claim is not None
    assert (claim.session_id, claim.generation) == (9, 3)
    assert tokens.is_genuine(KEYS, claim, seed)
    assert not tokens.is_genuine(KEYS, claim, b"t" * 32)
    assert not tokens.is_genuine(TokenKeys([OLD]), claim, seed)
    for other in (text.replace("_9_", "_8_", 1), text.replace("_3_", "_4_", 1)):
        bent = tokens.read_refresh(other)
        assert bent is None or not tokens.is_genuine(KEYS, bent, seed)
    older = tokens.read_refresh(tokens.refresh_token(TokenKeys([OLD]), session_id=9, generation=3, seed=seed))
    assert older is not None
    assert tokens.is_genuine(KEYS, older, seed), "a token of the older key goes on"


@pytest.mark.parametrize(
    "text",
    ["", "nd_rt_", "nd_rt_0_1_" + "A" * 43, "nd_rt_1_0_" + "A" * 43, "nd_rt_01_1_" + "A" * 43, "nd_rt_1_1_" + "A" * 42,
     "nd_rt_9999999999999999999_1_" + "A" * 43, "nd_rt_1_9999999999_" + "A" * 43, "nd_rt_1_1_" + "A" * 43 + "\n",
     "nd_rt_-1_1_" + "A" * 43, "nd_rt_\u0661_1_" + "A" * 43, GOOD],
)  # fmt: skip
def test_what_has_not_the_form_of_a_refresh_token_is_none(text: str) -> None:
    assert tokens.read_refresh(text) is None


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("", "everybody knows"), ("short", "at least 32 bytes"), ("your-secret", "everybody knows"),
        ("your-secret-your-secret-your-secret-your-secret", "everybody knows"), ("secret123456", "everybody knows"),
        ("changeme" * 10, "everybody knows"), ("a" * 64, "different characters"), ("abcabcabc" * 6, "different"),
        ("k7qzm2pxw9" * 4 + "k7q", "repeats"),
    ],
)  # fmt: skip
def test_a_weak_secret_is_refused_with_its_reason(secret: str, reason: str) -> None:
    assert reason in (tokens.weak_secret(secret) or "")


def test_a_secret_from_a_generator_is_taken() -> None:
    assert tokens.weak_secret(base64.b64encode(hashlib.sha256(b"x").digest()).decode()) is None


def test_codes_have_six_digits_and_links_are_all_different() -> None:
    assert all(len(code) == 6 and code.isdigit() for code in (tokens.new_code() for _ in range(200)))
    assert len({tokens.new_link_token() for _ in range(200)}) == 200
