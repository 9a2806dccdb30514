"""Pictures by their own bytes: what is taken, and what only looks like one."""

import pytest

from numberdesk.support.images import PIXELS_MAX, NotAnImage, read_image
from tests.support.counter import JPEG, PNG, WEBP, chunk, png

PICTURES = {"png": PNG, "jpeg": JPEG, "webp": WEBP}


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_is_known_with_its_size(kind: str) -> None:
    image = read_image(PICTURES[kind])
    assert (image.type, image.width, image.height, image.content) == (kind, 5, 3, PICTURES[kind])


@pytest.mark.parametrize("kind", PICTURES)
def test_no_part_of_a_picture_is_one(kind: str) -> None:
    whole = PICTURES[kind]
    for size in range(len(whole)):
        with pytest.raises(NotAnImage):
            read_image(whole[:size])


@pytest.mark.parametrize("kind", PICTURES)
def test_what_is_appended_to_a_picture_is_left_out(kind: str) -> None:
    assert read_image(PICTURES[kind] + b"<script>alert(1)</script>PK\x03\x04").content == PICTURES[kind]


@pytest.mark.parametrize(
    "raw",
    [b"", b"x", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"GIF89a" + bytes(40), b"%PDF-1.7", b"BM" + bytes(60),
     b"<html>", b"\x89PNG", b"\xff\xd8\xff", b"\xff\xd8\xff\xd9", b"RIFF\x04\0\0\0WEBP", b"RIFF" + bytes(30),
     bytes(200), b"PK\x03\x04" + PNG, b" " + PNG, b"\xff\xd8" + b"\xff" * 500],
)  # fmt: skip
def test_what_is_no_picture_is_refused(raw: bytes) -> None:
    with pytest.raises(NotAnImage):
        read_image(raw)


@pytest.mark.parametrize(
    ("width", "height"), [(0, 3), (5, 0), (20_001, 1), (1, 2**31), (20_000, PIXELS_MAX // 20_000 + 1)]
)
def test_a_size_that_would_fill_a_memory_is_refused(width: int, height: int) -> None:
    with pytest.raises(NotAnImage, match="size"):
        read_image(png(width=width, height=height))


def test_a_changed_byte_in_a_png_is_found() -> None:
    for place in range(8, len(PNG)):
        with pytest.raises(NotAnImage):
            read_image(PNG[:place] + bytes([PNG[place] ^ 1]) + PNG[place + 1 :])


def test_a_png_without_pixels_or_without_its_head_is_broken() -> None:
    start, end = PNG[:8], chunk(b"IEND", b"")
    head = PNG[8:33]
    for raw in (start + end, start + head + end, start + chunk(b"IDAT", b"") + head + end):
        with pytest.raises(NotAnImage, match="broken"):
            read_image(raw)
