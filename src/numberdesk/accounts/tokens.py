"""Access tokens, refresh tokens, and the links and codes in mails: how they are made and what is refused."""

import base64
import binascii
import hashlib
import hmac
import json
import re
import secrets as random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from numberdesk.base.errors import AppError

ALGORITHM = "HS256"
TYPE = "at+jwt"
AUDIENCE = "numberdesk-api"
ISSUER = "numberdesk"
TOKEN_MAX = 2048
LEEWAY = timedelta(seconds=10)
SECRET_BYTES_MIN = 32
LETTERS_MIN = 10
ID_MAX = 2**63 - 1
GENERATION_MAX = 2**31 - 1
TIME_MAX = 253_402_300_799
"""The last second of the year 9999, which is as far as a `datetime` goes."""
CLAIMS = ("exp", "iat", "nbf", "sub", "aud", "iss", "jti", "sid")
_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_PART = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_REFRESH = re.compile(r"nd_rt_([1-9][0-9]{0,18})_([1-9][0-9]{0,9})_([A-Za-z0-9_-]{43})", re.ASCII)
_DEFAULTS = (
    "your-secret",
    "yoursecret",
    "your-salt",
    "secret",
    "changeme",
    "change-me",
    "password",
    "jwt_secret",
    "jwt-secret",
)


@dataclass(eq=False)
class BadToken(AppError):
    """The access token is not one of ours: the answer is the same for every reason."""

    status = 401
    code = "bad_token"
    category = "authentication"
    message = "This token is not valid. Log in again."


@dataclass(eq=False)
class TokenExpired(BadToken):
    """The access token was ours, and its time is over."""

    code = "token_expired"
    message = "This token has expired. Exchange your refresh token for a new one."


@dataclass(frozen=True, slots=True)
class Access:
    """What an access token says, once all of it was checked."""

    account_id: int
    session_id: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class RefreshClaim:
    """What a refresh token claims; only `is_genuine` tells whether it is true."""

    session_id: int
    generation: int
    mac: bytes


class TokenKeys:
    """The keys of one installation, newest first: the newest signs, all of them verify."""

    def __init__(self, secrets: Sequence[str]) -> None:
        assert secrets, "the start refuses to go on without a secret"
        self.kid = _kid(secrets[0])
        self.signing: Mapping[str, bytes] = {_kid(secret): _derived(secret, "access") for secret in secrets}
        self.refreshing = [_derived(secret, "refresh") for secret in secrets]

    def __repr__(self) -> str:
        return f"TokenKeys({self.kid})"


def _kid(secret: str) -> str:
    return hashlib.sha256(b"kid:" + secret.encode()).hexdigest()[:16]


def _derived(secret: str, purpose: str) -> bytes:
    return hmac.digest(secret.encode(), f"numberdesk {purpose}".encode(), hashlib.sha256)


def weak_secret(secret: str) -> str | None:
    """Return why a secret is refused, or None."""
    plain = secret.casefold()
    for default in _DEFAULTS:
        if not plain.replace(default, "").strip("-_ 0123456789!."):
            return "is one that everybody knows"
    if len(secret.encode()) < SECRET_BYTES_MIN:
        return f"must have at least {SECRET_BYTES_MIN} bytes"
    if len(set(secret)) < LETTERS_MIN:
        return f"must have at least {LETTERS_MIN} different characters"
    if any(secret[period:] == secret[:-period] for period in range(1, len(secret) // 2 + 1)):
        return "repeats a shorter text"
    return None


def issue_access(keys: TokenKeys, *, account_id: int, session_id: int, now: datetime, lifetime: timedelta) -> str:
    """Return a signed access token."""
    at = int(now.timestamp())
    claims = {
        "exp": at + int(lifetime.total_seconds()), "iat": at, "nbf": at, "sub": str(account_id), "aud": AUDIENCE,
        "iss": ISSUER, "jti": random.token_urlsafe(12), "sid": str(session_id),
    }  # fmt: skip
    return jwt.encode(claims, keys.signing[keys.kid], ALGORITHM, headers={"typ": TYPE, "kid": keys.kid})


def read_access(keys: TokenKeys, token: str, *, now: datetime) -> Access:
    """Check an access token in every respect but its session.

    Raises:
        BadToken: it is not one of ours as we made it.
        TokenExpired: it was, and its time is over.
    """
    if len(token) > TOKEN_MAX or not token.isascii():
        raise BadToken
    parts = token.split(".")
    if len(parts) != 3:
        raise BadToken
    header, _ = _object(parts[0]), _object(parts[1])
    kid = header.get("kid")
    if set(header) != {"alg", "typ", "kid"} or header["alg"] != ALGORITHM or header["typ"] != TYPE:
        raise BadToken
    key = keys.signing.get(kid) if isinstance(kid, str) else None
    if key is None or _decoded(parts[2]) is None:
        raise BadToken
    try:
        claims: dict[str, Any] = jwt.decode(
            token, key, algorithms=[ALGORITHM], audience=AUDIENCE, issuer=ISSUER,
            options={
                "require": list(CLAIMS), "strict_aud": True, "verify_exp": False, "verify_nbf": False,
                "verify_iat": False, "enforce_minimum_key_length": True,
            },
        )  # fmt: skip
    except jwt.PyJWTError:
        raise BadToken from None
    return _access(claims, now)


def _access(claims: dict[str, Any], now: datetime) -> Access:
    if set(claims) != set(CLAIMS) or any(type(claims[name]) is not int for name in ("exp", "iat", "nbf")):
        raise BadToken
    ids = [claims["sub"], claims["sid"]]
    if any(not isinstance(text, str) or not _ID.fullmatch(text) or int(text) > ID_MAX for text in ids):
        raise BadToken
    latest, at = (now + LEEWAY).timestamp(), now.timestamp()
    if claims["nbf"] > latest or claims["iat"] > latest or not 0 <= claims["iat"] <= claims["exp"] <= TIME_MAX:
        raise BadToken
    if claims["exp"] <= at:
        raise TokenExpired
    return Access(int(ids[0]), int(ids[1]), datetime.fromtimestamp(claims["exp"], UTC))


def _object(part: str) -> dict[str, Any]:
    raw = _decoded(part)
    try:
        found = json.loads(raw or b"", object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError):
        raise BadToken from None
    if not isinstance(found, dict):
        raise BadToken
    return found


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _decoded(part: str) -> bytes | None:
    """Return the bytes of a part, or None when they are not written in the one right way."""
    if not _PART.fullmatch(part):
        return None
    try:
        raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        return None
    return raw if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == part else None


def refresh_token(keys: TokenKeys, *, session_id: int, generation: int, seed: bytes) -> str:
    """Return the refresh token of a session's generation: always the same one."""
    mac = _mac(keys.refreshing[0], session_id, generation, seed)
    return f"nd_rt_{session_id}_{generation}_{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def read_refresh(text: str) -> RefreshClaim | None:
    """Return what a refresh token claims; None when it has not the form of one."""
    found = _REFRESH.fullmatch(text)
    if found is None or int(found[1]) > ID_MAX or int(found[2]) > GENERATION_MAX:
        return None
    mac = _decoded(found[3])
    return None if mac is None else RefreshClaim(int(found[1]), int(found[2]), mac)


def is_genuine(keys: TokenKeys, claim: RefreshClaim, seed: bytes) -> bool:
    """Tell whether we made this refresh token, with any of the keys."""
    known = [_mac(key, claim.session_id, claim.generation, seed) for key in keys.refreshing]
    return any(hmac.compare_digest(mac, claim.mac) for mac in known)


def _mac(key: bytes, session_id: int, generation: int, seed: bytes) -> bytes:
    return hmac.digest(key, f"{session_id}.{generation}.".encode() + seed, hashlib.sha256)


def new_link_token() -> str:
    """Return what a link in a mail carries: 256 bits."""
    return random.token_urlsafe(32)


def new_code() -> str:
    """Return six digits, each number as likely as any other."""
    return f"{random.randbelow(1_000_000):06d}"
