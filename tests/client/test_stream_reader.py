"""The client's stream against servers that are cut off, stand behind a proxy, or carry any text."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
import pytest

from numberdesk.client import ApiError
from tests.http.stand import HOST

Opens = Callable[..., Any]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def event_of(number: int, text: str = "your code") -> bytes:
    """Return an event as the server writes it."""
    body = {
        "id": f"evt_{number}_code_1", "type": "order.code", "timestamp": "2026-11-26T09:30:01Z",
        "data": {"orderId": number, "status": "received", "service": "tg", "country": 22,
                 "message": {"code": "1", "text": text}},
    }  # fmt: skip
    return b"id: evt_%d_code_1\nevent: order.code\ndata: %s\n\n" % (number, msgspec.json.encode(body))


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body)


@contextmanager
def answering(*answers: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Give these bytes to one connection after the other and close it; yields the address and what was asked."""
    asked: list[bytes] = []
    with socket.create_server((HOST, 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                for answer in answers:
                    with listener.accept()[0] as near:
                        asked.append(near.recv(65536))
                        near.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://{HOST}:{listener.getsockname()[1]}", asked


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numberdesk.client._calls.PAUSES", (0.0, 0.0, 0.0))


def test_an_event_that_was_cut_off_is_told_once_and_whole(opens: Opens) -> None:
    first, second = event_of(1), event_of(2)
    cut = HEAD + chunk(b"retry: 1000\n\n" + first + second[:-1])  # all of it but the blank line that ends it
    with answering(cut, HEAD + chunk(b"retry: 1000\n\nid: evt_1_code_1\n\n" + second + event_of(3))) as (url, asked):
        events = opens(url, "nd_live_x").stream()
        assert [next(events).data.order_id for _ in range(3)] == [1, 2, 3]
        events.close()
    assert b"last-event-id: evt_1_code_1" in asked[1].lower()


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\v\f", "\x1c\x1d\x1e", "\r\n"], ids=ascii)
def test_a_message_may_hold_what_some_take_for_the_end_of_a_line(opens: Opens, mark: str) -> None:
    with answering(HEAD + chunk(event_of(1, f"your{mark}code"))) as (url, _):
        events = opens(url, "nd_live_x").stream()
        assert next(events).data.message.text == f"your{mark}code"
        events.close()


def test_a_proxy_that_has_no_server_for_a_moment_ends_no_stream(opens: Opens) -> None:
    lost = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with answering(lost, lost.replace(b"502", b"504"), HEAD + chunk(event_of(1))) as (url, _):
        events = opens(url, "nd_live_x").stream()
        assert next(events).data.order_id == 1
        events.close()


def test_a_stream_that_is_limited_comes_back_when_it_was_told_to(opens: Opens) -> None:
    limited = b"HTTP/1.1 429 Too Many\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
    with answering(limited, HEAD + chunk(event_of(1))) as (url, _):
        events = opens(url, "nd_live_x").stream()
        began = time.monotonic()
        assert next(events).data.order_id == 1
        assert time.monotonic() - began >= 1
        events.close()


def test_a_purchase_is_repeated_with_its_key_when_a_proxy_lost_the_answer(opens: Opens) -> None:
    lost = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    refused = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    with answering(lost, refused) as (url, asked), pytest.raises(ApiError):
        opens(url, "nd_live_x").get_number("tg", "IN")
    keys = [line for request in asked for line in request.split(b"\r\n") if line.lower().startswith(b"idempotency-key")]
    assert len(keys) == 2
    assert keys[0] == keys[1]


@pytest.mark.parametrize("told", ["3600", "²", "-1", "Fri, 27 Nov 2026 10:00:00 GMT"])
def test_a_server_that_asks_for_a_long_wait_is_not_waited_for(opens: Opens, told: str) -> None:
    head = f"HTTP/1.1 429 Too Many\r\nContent-Length: 0\r\nRetry-After: {told}\r\nConnection: close\r\n\r\n"
    with answering(*[head.encode("latin-1")] * 4) as (url, asked), pytest.raises(ApiError) as refused:
        opens(url, "nd_live_x").balance()
    assert refused.value.status == 429
    assert len(asked) == (1 if told == "3600" else 4)


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("desk.example", "nd_live_x"), ("ftp://desk.example", "nd_live_x"), ("http://desk.example", "nd_live_x\n"),
        ("http://desk.example", "nd_live_x\u00e9"), ("http://desk.example", " nd_live_x"),
    ],
)  # fmt: skip
def test_what_could_never_be_sent_is_told_at_once_and_without_the_key(opens: Opens, url: str, key: str) -> None:
    with pytest.raises(ValueError, match=r"address of the server|characters that no key has") as told:
        opens(url, key)
    assert "nd_live_x" not in repr(told.value)
