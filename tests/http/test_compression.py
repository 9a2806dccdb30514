"""Compression: what is chosen by Accept-Encoding, that it decodes, and what is never compressed."""

import gzip
from collections.abc import Callable

import brotli
import pytest
import zstandard

from numberdesk.base.compress import MINIMUM_BYTES, preferred
from tests.http.stand import TELEGRAM, Answer, Client, Stand

EVERYTHING = "zstd, br, gzip"


def _unzstd(body: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(body)


DECODERS: dict[str, Callable[[bytes], bytes]] = {"zstd": _unzstd, "br": brotli.decompress, "gzip": gzip.decompress}


def plain(answer: Answer) -> bytes:
    """Return the body as it was before compression."""
    encoding = answer.headers.get("content-encoding")
    if encoding is None:
        return answer.body
    assert "accept-encoding" in answer.headers["vary"].lower()
    return DECODERS[encoding](answer.body)


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        ("", None),
        ("identity", None),
        ("deflate", None),
        ("x-gzip", None),
        ("gzip;q=0", None),
        ("gzip;q=0.000", None),
        ("*;q=0", None),
        ("gzip;q=abc", None),
        ("zstd;q=nan", None),
        ("gzip;q=-1", None),
        ("identity;q=1, gzip;q=0.5", None),
        (",,;;==,", None),
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("br", "br"),
        ("zstd", "zstd"),
        (EVERYTHING, "zstd"),
        ("gzip, deflate, br", "br"),
        ("*", "zstd"),
        ("zstd;q=0, *", "br"),
        ("gzip;q=1, br;q=0.5, zstd;q=0.1", "gzip"),
        ("gzip ; q=0.4 , br ; q=0.3", "gzip"),
        ("identity;q=0.5, gzip;q=1", "gzip"),
        ("identity, gzip", "gzip"),
        ("a" * 5000, None),
    ],
)
def test_the_header_decides(alice: Client, header: str, chosen: str | None) -> None:
    assert preferred(header) == chosen
    answer = alice.get("/services?limit=500", Accept_Encoding=header)
    assert answer.headers.get("content-encoding") == chosen
    assert plain(answer) == alice.get("/services?limit=500").body
    assert int(answer.headers["content-length"]) == len(answer.body)


@pytest.mark.parametrize("encoding", DECODERS)
@pytest.mark.parametrize(
    "path", ["/services?limit=500", "/services/prices", "/openapi.json", "/docs/swagger-ui-5.35.0/swagger-ui.css"]
)
def test_a_large_answer_shrinks_and_decodes(alice: Client, encoding: str, path: str) -> None:
    whole, packed = alice.get(path), alice.get(path, Accept_Encoding=encoding)
    assert packed.headers["content-encoding"] == encoding
    assert plain(packed) == whole.body
    assert len(packed.body) < len(whole.body) / 2


@pytest.mark.parametrize("encoding", DECODERS)
def test_a_stream_decodes(stand: Stand, alice: Client, encoding: str) -> None:
    stand.credit(alice, *range(1, 301))
    whole = alice.get("/user/transactions", Accept="text/csv")
    packed = alice.get("/user/transactions", Accept="text/csv", Accept_Encoding=encoding)
    assert packed.headers["content-encoding"] == encoding
    assert plain(packed) == whole.body
    assert whole.body.count(b"\r\n") == 302


@pytest.mark.parametrize("path", ["/user/balance", "/healthz", "/orders", "/nothing", "/orders/1", "/services?limit=2"])
def test_a_small_answer_is_never_compressed(alice: Client, path: str) -> None:
    answer = alice.get(path, Accept_Encoding=EVERYTHING)
    assert "content-encoding" not in answer.headers
    assert len(answer.body) < MINIMUM_BYTES


def test_the_calls_are_never_compressed_however_large_the_answer(stand: Stand, alice: Client) -> None:
    bought = alice.post("/auth/get-number", TELEGRAM | {"quantity": 5}, Accept_Encoding=EVERYTHING)
    order_id = bought.data["orders"][0]["orderId"]
    upstream_id = stand.ask("SELECT upstream_id FROM orders WHERE id = $1", order_id)
    stand.portal.call(lambda: stand.provider.deliver(int(upstream_id), "a long message " * 100 + "12345", code="12345"))
    seen = alice.post("/auth/check-otp", {"orderId": order_id, "wait": 10}, Accept_Encoding=EVERYTHING)
    assert seen.data["otp"] == "12345"
    for answer in (bought, seen):
        assert len(answer.body) > MINIMUM_BYTES
        assert "content-encoding" not in answer.headers
