"""Bodies as strangers send them: too large, cut, of the wrong type, broken, deep, doubled, and in other encodings."""

import json
import socket
from collections.abc import Iterator

import pytest

from numberdesk.base.web import BODY_MAX
from tests.http.stand import HOST, TELEGRAM, Client, Stand

CHECK = "/auth/check-otp"
BUY = "/auth/get-number"
MISSING = b'{"orderId":987654321}'
POSTS = (BUY, CHECK, "/auth/cancel-number", "/auth/next-otp", "/auth/finish-number", "/auth/extend-number")


def padded(size: int) -> bytes:
    """Return a good body of so many bytes."""
    return MISSING + b" " * (size - len(MISSING))


def in_chunks(body: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


def exchange(stand: Stand, request: bytes) -> bytes:
    """Send raw bytes, say that no more will come, and return all that comes back."""
    with socket.create_connection((HOST, stand.port), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def head(client: Client, path: str, *lines: str) -> bytes:
    fixed = (f"POST {path} HTTP/1.1", "Host: x", f"X-API-Key: {client.key}", "Content-Type: application/json")
    return "\r\n".join([*fixed, *lines, "", ""]).encode()


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("size", [BODY_MAX + 1, 1_000_000])
def test_a_body_over_64_kb_is_refused_by_its_length(alice: Client, path: str, size: int) -> None:
    assert alice.post(path, padded(size)).refusal == (413, "body_too_large")


@pytest.mark.parametrize("path", POSTS)
def test_a_body_over_64_kb_in_chunks_is_refused(alice: Client, path: str) -> None:
    headers = {"Content-Type": "application/json"}
    for size in (BODY_MAX + 1, 200_000):
        answer = alice.send("POST", path, body=in_chunks(padded(size), 16_000), headers=headers)
        assert answer.refusal == (413, "body_too_large")


def test_a_body_is_refused_by_its_length_before_it_comes(stand: Stand, alice: Client) -> None:
    answer = exchange(stand, head(alice, CHECK, "Content-Length: 99999999"))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"body_too_large"' in answer


@pytest.mark.parametrize("size", [len(MISSING), 10_000, BODY_MAX])
def test_a_body_of_at_most_64_kb_is_read_however_it_travels(alice: Client, size: int) -> None:
    body = padded(size)
    assert alice.post(CHECK, body).refusal == (404, "not_found")
    headers = {"Content-Type": "application/json"}
    for chunk in (7 if size < 100 else 5_000, BODY_MAX):
        answer = alice.send("POST", CHECK, body=in_chunks(body, chunk), headers=headers)
        assert answer.refusal == (404, "not_found")


def test_a_request_whose_body_is_cut_is_not_carried_out(stand: Stand, alice: Client) -> None:
    body = json.dumps(TELEGRAM).encode()
    cut = [
        head(alice, BUY, f"Content-Length: {len(body) + 10}") + body,
        head(alice, BUY, "Transfer-Encoding: chunked") + f"{len(body):x}\r\n".encode() + body + b"\r\n",
    ]
    for request in cut:
        answer = exchange(stand, request)
        assert answer == b"" or b'"code":"body_cut"' in answer, answer
    assert alice.get("/orders").data["items"] == []
    assert alice.get("/user/balance").data["held"] == "0.00"


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx", "json",
     "application/vnd.api+json", "application/xml", "", "*/*"],
)  # fmt: skip
def test_another_type_of_body_is_refused(alice: Client, kind: str) -> None:
    for path in POSTS:
        assert alice.post(path, MISSING, Content_Type=kind).refusal == (415, "unsupported_media_type")


def test_a_body_without_a_type_is_refused(alice: Client) -> None:
    assert alice.send("POST", CHECK, body=MISSING).refusal == (415, "unsupported_media_type")


@pytest.mark.parametrize("kind", ["application/json", "APPLICATION/JSON", "application/json; charset=utf-8"])
def test_json_is_taken_however_its_type_is_written(alice: Client, kind: str) -> None:
    assert alice.post(CHECK, MISSING, Content_Type=kind).refusal == (404, "not_found")


@pytest.mark.parametrize(
    "body",
    [
        b"{", b'{"service":"tg","country":"IN"', b'{"service":"tg","country":"IN",}',
        b'{"service":"tg","country":"IN"}x', b'{"service":"tg","country":"IN"}{}', b"{'service':'tg'}", b"service=tg",
        b"<a/>", b"\0", b'{"service":"\xff","country":"IN"}',
        b'{"service":"\\ud800","country":"IN"}', b'{"service":"t\ng","country":"IN"}',
        b'\xef\xbb\xbf{"service":"tg","country":"IN"}', '{"service":"tg","country":"IN"}'.encode("utf-16"),
        b"\x1f\x8b\x08\x00rubbish",
    ],
)  # fmt: skip
def test_a_body_that_is_no_json_is_refused(alice: Client, body: bytes) -> None:
    assert alice.post(BUY, body).refusal == (400, "invalid_json")


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"[]", "a list"), (b"null", "null"), (b"true", "true or false"), (b'"x"', "text"), (b"5", "a whole number"),
     (b"1.5", "a number"), (b"[[[[]]]]", "a list")],
)  # fmt: skip
def test_json_that_is_no_object_is_refused(alice: Client, body: bytes, kind: str) -> None:
    for path in POSTS:
        assert alice.post(path, body).details["fields"] == {"body": f"must be an object, is {kind}"}


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
@pytest.mark.parametrize("field", [b"service", b"country", b"maxPrice", b"bogus"])
def test_deep_nesting_is_refused_like_any_wrong_type(alice: Client, opening: bytes, field: bytes) -> None:
    count = 60_000 // len(opening)
    body = b'{"' + field + b'":' + opening * count
    assert list(alice.post(BUY, body).details["fields"]) == [field.decode()]


def test_a_doubled_field_means_its_last_value(alice: Client) -> None:
    answer = alice.post(BUY, b'{"service":"tg","service":"nope","country":"IN"}')
    assert answer.details["service"] == "nope"
    assert alice.post(BUY, b'{"service":"nope","service":"tg","country":"IN"}').data["service"] == "tg"


def test_a_name_that_looks_like_a_place_confuses_nobody(alice: Client) -> None:
    for name in ("a - at `$.b`", "`", "``", "field `x`", " - at ", "$", "$.service", "%s", "{0}"):
        answer = alice.post(BUY, TELEGRAM | {name: 1})
        assert answer.refusal == (400, "invalid_request"), name
        assert len(answer.details["fields"]) == 1


def test_what_http_itself_forbids_ends_at_the_server(stand: Stand, alice: Client) -> None:
    for request, status in (
        (b"garbage\r\n\r\n", 400),
        (head(alice, CHECK, "Content-Length: 5", "Content-Length: 6") + MISSING, 400),
        (head(alice, CHECK, "Content-Length: -1") + MISSING, 400),
        (head(alice, CHECK, *(f"X-{number}: a" for number in range(300))), 431),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    ):
        assert exchange(stand, request).startswith(f"HTTP/1.1 {status} ".encode())
