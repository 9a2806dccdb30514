"""A load generator: keep-alive connections that send prepared requests one after the other, and count."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

READ_AHEAD = 4 * 1024 * 1024
"""Bytes a connection may hold, so that a price table is read in few turns."""


@dataclass
class Tally:
    """What was done, and how long each took, in seconds."""

    done: int = 0
    failed: int = 0
    seconds: float = 0.0
    took: list[float] = field(default_factory=list)

    def rate(self) -> float:
        """Return how many were done a second."""
        return self.done / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """Return the time in milliseconds below which this share lies."""
        if not self.took:
            return 0.0
        ordered = sorted(self.took)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


class Connection:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def post(self, path: str, key: str, body: bytes) -> tuple[int, bytes]:
        """Send one POST and return its status and body."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        status, _, answer = await self._exchange(head.encode() + body)
        return status, answer

    async def get(self, path: str, key: str, *more: str) -> tuple[int, bytes, bytes]:
        """Send one GET with some lines of headers more; return its status, its headers in small letters and body."""
        lines = "".join(f"{line}\r\n" for line in more)
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {key}\r\n{lines}\r\n"
        return await self._exchange(head.encode())

    async def _exchange(self, request: bytes) -> tuple[int, bytes, bytes]:
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=READ_AHEAD)
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
        return int(head[9:12]), head, await self._reader.readexactly(int(length or 0))

    def close(self) -> None:
        """Close the connection."""
        if self._writer is not None:
            self._writer.close()


async def repeat(
    port: int, connections: int, seconds: float, step: Callable[[Connection, int], Awaitable[bool]]
) -> Tally:
    """Run `step` over and over on each connection; a step returns whether it succeeded."""
    tally = Tally()
    until = time.perf_counter() + seconds

    async def work(place: int) -> None:
        connection = Connection(port)
        try:
            while (started := time.perf_counter()) < until:
                if await step(connection, place):
                    tally.done += 1
                    tally.took.append(time.perf_counter() - started)
                else:
                    tally.failed += 1
        finally:
            connection.close()

    started = time.perf_counter()
    await asyncio.gather(*(work(place) for place in range(connections)))
    tally.seconds = time.perf_counter() - started
    return tally


def data_of(body: bytes) -> Any:
    """Return the data of a success."""
    return json.loads(body)["data"]
