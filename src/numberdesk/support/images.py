"""Pictures as they come from strangers: what one is, by its own bytes, and whether all of it is there.

Nothing is decoded and nothing in them is followed: they are walked from part to part, and cut where the picture ends,
since phones, and people with other plans, append things.

Source: PNG third edition (W3C, 2025), 5; ITU-T T.81, annex B; RFC 9649, 2 (WebP).
"""

import struct
import zlib

from numberdesk.support.model import Image

SIDE_MAX = 20_000
PIXELS_MAX = 200_000_000
"""Cameras of phones make pictures of 200 million pixels. Beyond, a small file fills the memory of who opens it."""

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_IHDR_BYTES = 13
_SIZES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""Markers of JPEG that tell width and height."""
_BARE = frozenset({0x01, *range(0xD0, 0xD8)})
"""Markers of JPEG that have no length."""
_EOI, _SOS, _FILL = 0xD9, 0xDA, 0xFF


class NotAnImage(ValueError):
    """The bytes are no picture that is taken; the sentence goes on after the name of the field."""


def read_image(raw: bytes) -> Image:
    """Return what a picture is, without what comes after its end.

    Raises:
        NotAnImage: of another type, cut off, broken, or too large to be looked at.
    """
    try:
        image = _read(raw)
    except (struct.error, IndexError):
        raise NotAnImage("is cut off before the picture ends") from None
    if not (0 < image.width <= SIDE_MAX and 0 < image.height <= SIDE_MAX and image.width * image.height <= PIXELS_MAX):
        raise NotAnImage("has no size, or is larger than pictures are")
    return image


def _read(raw: bytes) -> Image:
    if raw.startswith(_PNG):
        return _png(raw)
    if raw.startswith(_JPEG):
        return _jpeg(raw)
    if raw[:4] == b"RIFF" and raw[8:12] == b"WEBP":
        return _webp(raw)
    raise NotAnImage("must be a picture: PNG, JPEG or WebP")


def _png(raw: bytes) -> Image:
    at, size, has_data = len(_PNG), (0, 0), False
    while True:
        length, kind = struct.unpack_from(">I4s", raw, at)
        (check,) = struct.unpack_from(">I", raw, at + 8 + length)
        if zlib.crc32(raw[at + 4 : at + 8 + length]) != check:
            raise NotAnImage("is broken")
        if at == len(_PNG):
            if kind != b"IHDR" or length != _IHDR_BYTES:
                raise NotAnImage("is broken")
            size = struct.unpack_from(">II", raw, at + 8)
        has_data = has_data or kind == b"IDAT"
        at += 12 + length
        if kind == b"IEND":
            if not has_data:
                raise NotAnImage("is broken")
            return Image("png", *size, raw[:at])


def _jpeg(raw: bytes) -> Image:
    at, size, has_scan = 2, (0, 0), False
    while True:
        if raw[at] != _FILL:
            raise NotAnImage("is broken")
        marker = raw[at + 1]
        if marker == _FILL:  # any number of them may stand before a marker
            at += 1
            continue
        if marker == _EOI:
            if not has_scan:
                raise NotAnImage("is broken")
            return Image("jpeg", *size, raw[: at + 2])
        if marker in _BARE:
            at += 2
            continue
        (length,) = struct.unpack_from(">H", raw, at + 2)
        if length < 2:
            raise NotAnImage("is broken")
        if marker in _SIZES:
            height, width = struct.unpack_from(">HH", raw, at + 5)
            size = (width, height)
        at += 2 + length
        if marker == _SOS:
            has_scan, at = True, _after_scan(raw, at)


def _after_scan(raw: bytes, at: int) -> int:
    """Return where the next marker stands: in a scan every other 0xFF is followed by 0, or restarts it."""
    while True:
        at = raw.find(b"\xff", at)
        if at < 0:
            raise IndexError
        if raw[at + 1] != 0 and raw[at + 1] not in _BARE:
            return at
        at += 2


def _webp(raw: bytes) -> Image:
    (length,) = struct.unpack_from("<I", raw, 4)
    ends = 8 + length
    if ends > len(raw):
        raise IndexError
    kind = raw[12:16]
    (first,) = struct.unpack_from("<I", raw, 16)
    if 20 + first > ends:
        raise IndexError
    if kind == b"VP8X":
        width, height = (int.from_bytes(raw[at : at + 3], "little") + 1 for at in (24, 27))
    elif kind == b"VP8L" and raw[20] == 0x2F:
        bits = int.from_bytes(raw[21:25], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 " and raw[23:26] == b"\x9d\x01\x2a":
        width, height = (number & 0x3FFF for number in struct.unpack_from("<HH", raw, 26))
    else:
        raise NotAnImage("is broken")
    return Image("webp", width, height, raw[:ends])
