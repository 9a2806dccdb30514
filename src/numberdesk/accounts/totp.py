"""Codes of authenticator apps and recovery codes: how they are made and recognised."""

import base64
import re
import secrets as random
from datetime import datetime, timedelta

import pyotp

STEP = timedelta(seconds=30)
RECOVERY_CODES = 10
RECOVERY_BYTES = 15
GROUP = 6
_SHAPE = re.compile(r"[0-9]{6}", re.ASCII)


def new_secret() -> str:
    """Return a new secret: 160 bits in base32. Source: RFC 4226, 4."""
    return pyotp.random_base32()


def otpauth_uri(secret: str, *, account: str, issuer: str = "Numberdesk") -> str:
    """Return the address that authenticator apps read, mostly as a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name=issuer)


def is_totp_shape(text: str) -> bool:
    """Tell whether this could be a code of an app."""
    return _SHAPE.fullmatch(text.replace(" ", "")) is not None


def matching_step(secret: str, code: str, *, at: datetime, window: int = 1) -> int | None:
    """Return the 30-second step whose code this is, within some steps of a time; None when it is none of theirs.

    Source: RFC 6238, 5.2.
    """
    plain, generator, found = code.replace(" ", ""), pyotp.TOTP(secret), None
    if not _SHAPE.fullmatch(plain):
        return None
    now = int(at.timestamp()) // int(STEP.total_seconds())
    for step in range(now - window, now + window + 1):
        # All are compared, so that the time does not tell which one fits.
        if pyotp.utils.strings_equal(plain, generator.generate_otp(step)):
            found = step
    return found


def new_recovery_codes() -> list[str]:
    """Return codes for whoever loses the app, each of 120 bits."""
    return [_grouped(random.token_bytes(RECOVERY_BYTES)) for _ in range(RECOVERY_CODES)]


def normal_recovery_code(text: str) -> str | None:
    """Return a recovery code in the one form that is hashed; None when it cannot be one."""
    plain = re.sub(r"[\s-]", "", text).casefold()
    return plain if re.fullmatch(r"[a-z2-7]{24}", plain, re.ASCII) else None


def _grouped(raw: bytes) -> str:
    text = base64.b32encode(raw).decode().lower()
    return "-".join(text[start : start + GROUP] for start in range(0, len(text), GROUP))
