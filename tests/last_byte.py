"""Requests that arrive at once: all but the last byte of each is sent ahead, then the last bytes leave in one loop."""

import json
import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from tests.stand import Answer

AHEAD_SECONDS = 0.05
PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Shot:
    """One POST request, and when its last byte leaves: so many seconds after the common start."""

    port: int
    path: str
    body: dict[str, Any]
    key: str
    once: str | None = None
    at: float = 0.0


def fire(shots: Sequence[Shot], *, start: float | None = None) -> list[Answer]:
    """Send the requests and return their answers in the same order. Blocks: run it in a thread.

    Args:
        start: the common start on the monotonic clock; as soon as all are ready if left out.
    """
    sockets = [socket.create_connection(("127.0.0.1", shot.port), timeout=PATIENCE) for shot in shots]
    try:
        for connection, shot in zip(sockets, shots, strict=True):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(_request(shot)[:-1])
        time.sleep(AHEAD_SECONDS)
        begin = time.monotonic() if start is None else start
        sent = [begin] * len(shots)
        with ThreadPoolExecutor(max_workers=min(len(shots), 64)) as readers:
            for place in sorted(range(len(shots)), key=lambda place: shots[place].at):
                time.sleep(max(0.0, begin + shots[place].at - time.monotonic()))
                sockets[place].sendall(b"}")
                sent[place] = time.monotonic()
            return list(readers.map(_read, sockets, sent))
    finally:
        for connection in sockets:
            connection.close()


def _request(shot: Shot) -> bytes:
    body = json.dumps(shot.body).encode()
    lines = [
        f"POST {shot.path} HTTP/1.1", "Host: 127.0.0.1", f"X-API-Key: {shot.key}", "Content-Type: application/json",
        f"Content-Length: {len(body)}", "Connection: close", *([f"Idempotency-Key: {shot.once}"] if shot.once else []),
    ]  # fmt: skip
    return "\r\n".join([*lines, "", ""]).encode() + body


def _read(connection: socket.socket, sent: float) -> Answer:
    received = bytearray()
    try:
        while part := connection.recv(65536):
            received += part
        head, _, body = bytes(received).partition(b"\r\n\r\n")
        return Answer(int(head.split(b" ", 2)[1]), json.loads(body), time.monotonic() - sent)
    except (OSError, ValueError, IndexError):
        return Answer(0, {}, time.monotonic() - sent)
