"""The client's stream against servers that are cut off, stand behind a proxy, or carry any text."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
import pytest

from numberdesk.client import ApiError, Unreachable
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
