"""Names that we make: request ids, API key secrets and their parts."""

import secrets
import string
import zlib

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_REQUEST_ID_BYTES = 12


def request_id() -> str:
    """Return a new id of one request, 24 hexadecimal characters."""
    return secrets.token_hex(_REQUEST_ID_BYTES)


def request_key() -> str:
    """Return a key for a request whose caller gave none, unlike every other."""
    return secrets.token_hex(_REQUEST_ID_BYTES)


def base62(length: int) -> str:
    """Return random characters of [0-9A-Za-z], 5.95 bits each, from one call of the system's generator."""
    rest, digits = int.from_bytes(secrets.token_bytes(length + 16)), []
    for _ in range(length):
        rest, digit = divmod(rest, 62)
        digits.append(_ALPHABET[digit])
    return "".join(digits)


def checksum(text: str) -> str:
    """Return six characters of [0-9A-Za-z] that change with the text: tells a typing error from a wrong key."""
    rest, digits = zlib.crc32(text.encode()), []
    for _ in range(6):
        rest, digit = divmod(rest, 62)
        digits.append(_ALPHABET[digit])
    return "".join(digits)
