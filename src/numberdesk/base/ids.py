"""Names that we make: request ids, references of recharges, API key secrets and their parts."""

import itertools
import secrets
import string
import zlib
from datetime import datetime

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_PROCESS = secrets.token_hex(7)
_requests = itertools.count(secrets.randbits(36))


def request_id() -> str:
    """Return a name for one request, unlike every other: 24 hexadecimal characters. It is no secret.

    One random part for the process and a counter: asking the system's generator each time cost a call of it a request.
    """
    return f"{_PROCESS}{next(_requests) & 0xFFFFFFFFFF:010x}"


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


_CROCKFORD = string.digits + "ABCDEFGHJKMNPQRSTVWXYZ"


def ulid(moment: datetime) -> str:
    """Return 26 characters of [0-9A-Z] that sort by time and that nobody can guess: 48 bits of time, 80 random ones."""
    rest = int(moment.timestamp() * 1000) << 80 | secrets.randbits(80)
    return "".join(_CROCKFORD[rest >> 5 * place & 31] for place in range(25, -1, -1))
