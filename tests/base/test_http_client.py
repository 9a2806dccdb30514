"""The HTTP client: what it does when the other side is absent, slow, broken, huge or hostile."""

import asyncio
import gzip
import socket
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import ClientSession
from structlog.testing import capture_logs

from numberdesk.base import clock, http_client
from numberdesk.base.http_client import Answer, NoAnswer

pytestmark = pytest.mark.anyio

SECRET = "k-3f9a77c2e1"
Reply = Callable[[int, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Peer:
    """A server that speaks raw bytes; `requests` holds every head that arrived, over all connections."""

    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0


@asynccontextmanager
async def peer(reply: Reply) -> AsyncIterator[Peer]:
    """Run a server that lets `reply` answer each request; it is told how many came on this connection before."""
    found = Peer()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.connections += 1
        before = 0
        try:
            while not writer.is_closing():
                found.requests.append(await reader.readuntil(b"\r\n\r\n"))
                await reply(before, writer)
                before += 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/stubs/handler_api.php"
    try:
        yield found
    finally:
        server.close()


@pytest.fixture
async def session() -> AsyncIterator[ClientSession]:
    opened = http_client.session()
    yield opened
    await opened.close()


async def get(session: ClientSession, url: str, *, deadline: float = 2.0, body_max: int = 65536) -> Answer | NoAnswer:
    return await http_client.get(
        session, url, params={"api_key": SECRET, "action": "x"}, deadline=deadline, body_max=body_max
    )


def whole(body: bytes, *, headers: str = "", status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def says(raw: bytes, *, and_hangs_up: bool = False) -> Reply:
    async def reply(_before: int, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()
        if and_hangs_up:
            writer.close()

    return reply


async def silent(_before: int, _writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def test_a_refused_connection_was_surely_not_sent(session: ClientSession) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        answer = await get(session, f"http://127.0.0.1:{unused.getsockname()[1]}/")
    assert answer == NoAnswer("it cannot be reached (ClientConnectorError)", sent=False)


async def test_an_unknown_name_was_surely_not_sent(session: ClientSession, outside: list[str]) -> None:
    answer = await get(session, "http://nobody.invalid/")
    assert outside == ["nobody.invalid"]
    outside.clear()
    assert answer == NoAnswer("it cannot be reached (ClientConnectorDNSError)", sent=False)


async def test_a_connection_that_never_stands_was_surely_not_sent(session: ClientSession) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        waiting = [socket.socket() for _ in range(8)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(deaf.getsockname())
        try:
            answer = await get(session, f"http://127.0.0.1:{deaf.getsockname()[1]}/", deadline=0.4)
        finally:
            for one in waiting:
                one.close()
    assert answer == NoAnswer("it cannot be reached (ConnectionTimeoutError)", sent=False)


async def test_without_time_left_nothing_is_sent(session: ClientSession) -> None:
    async with peer(says(whole(b"hello"))) as server:
        assert await get(session, server.url, deadline=0) == http_client.NO_TIME
        assert server.connections == 0


async def test_a_closed_session_sends_nothing() -> None:
    closed = http_client.session()
    await closed.close()
    assert await get(closed, "http://127.0.0.1:1/") == http_client.CLOSED


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "http://", "http://[::1", "nothing"])
async def test_an_address_that_is_none_is_no_answer(session: ClientSession, url: str) -> None:
    answer = await get(session, url)
    assert isinstance(answer, NoAnswer)
    assert not answer.sent


async def test_a_request_dropped_on_a_fresh_connection_arrives_once(session: ClientSession) -> None:
    async with peer(says(b"", and_hangs_up=True)) as server:
        answer = await get(session, server.url)
        await asyncio.sleep(0.05)
        assert answer == NoAnswer("ServerDisconnectedError", sent=True)
        assert len(server.requests) == 1


async def test_a_request_dropped_on_a_reused_connection_arrives_once(session: ClientSession) -> None:
    async def reply(before: int, writer: asyncio.StreamWriter) -> None:
        if before:
            writer.close()
        else:
            writer.write(whole(b"hello"))

    async with peer(reply) as server:
        assert isinstance(await get(session, server.url), Answer)
        answer = await get(session, server.url)
        await asyncio.sleep(0.05)
        assert answer == NoAnswer("ServerDisconnectedError", sent=True)
        assert (server.connections, len(server.requests)) == (1, 2)


async def test_a_request_reset_on_a_reused_connection_arrives_once(session: ClientSession) -> None:
    async def reply(before: int, writer: asyncio.StreamWriter) -> None:
        if before:
            writer.transport.abort()
        else:
            writer.write(whole(b"hello"))

    async with peer(reply) as server:
        assert isinstance(await get(session, server.url), Answer)
        answer = await get(session, server.url)
        await asyncio.sleep(0.05)
        assert isinstance(answer, NoAnswer)
        assert answer.sent
        assert (server.connections, len(server.requests)) == (1, 2)


async def test_a_silent_server_ends_with_the_deadline(session: ClientSession) -> None:
    async with peer(silent) as server:
        began = clock.seconds()
        assert await get(session, server.url, deadline=0.2) == http_client.TOO_LATE
        assert clock.seconds() - began < 0.6


async def test_a_dripping_server_ends_with_the_deadline(session: ClientSession) -> None:
    async def drip(_before: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(100):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with peer(drip) as server:
        began = clock.seconds()
        assert await get(session, server.url, deadline=0.3) == http_client.TOO_LATE
        assert clock.seconds() - began < 0.7


async def test_reading_stops_at_the_cap(session: ClientSession) -> None:
    written = 0

    async def endless(_before: int, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x" * 65536)
            await writer.drain()
            written += 65536

    async with peer(endless) as server:
        assert await get(session, server.url, body_max=100_000) == http_client.TOO_LARGE
        await asyncio.sleep(0.05)
        assert written < 20_000_000


async def test_a_gzip_bomb_stops_at_the_cap(session: ClientSession) -> None:
    bomb = gzip.compress(bytes(200_000_000), 9)
    async with peer(says(whole(bomb, headers="Content-Encoding: gzip\r\n"))) as server:
        tracemalloc.start()
        try:
            answer = await get(session, server.url, body_max=100_000)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert answer == http_client.TOO_LARGE
        assert peak < 5_000_000


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\xff\xfe not http\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nno\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Encoding: gzip\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
        b"HTTP/1.1 99999 OK\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: ://\r\nContent-Length: 9\r\n\r\n",
    ],
    ids=lambda raw: repr(raw[:60]),
)
async def test_broken_http_is_no_answer_and_tells_no_secret(session: ClientSession, raw: bytes) -> None:
    async with peer(says(raw, and_hangs_up=True)) as server:
        with capture_logs() as logged:
            answer = await get(session, server.url)
    assert isinstance(answer, NoAnswer)
    assert answer.sent
    assert SECRET not in f"{answer} {logged}"


async def test_a_redirect_is_an_answer_and_is_not_followed(session: ClientSession) -> None:
    async with peer(says(whole(b"", status="302 Found", headers="Location: /elsewhere\r\n"))) as server:
        answer = await get(session, server.url)
        assert isinstance(answer, Answer)
        assert answer.status == 302
        assert len(server.requests) == 1


async def test_cookies_are_not_sent_back(session: ClientSession) -> None:
    async with peer(says(whole(b"hello", headers="Set-Cookie: a=b; Path=/\r\n"))) as server:
        # aiohttp keeps no cookies of bare addresses anyhow, so the server is called by name.
        url = server.url.replace("127.0.0.1", "localhost")
        await get(session, url)
        await get(session, url)
        assert len(server.requests) == 2
        assert b"cookie" not in server.requests[1].lower()


async def test_a_proxy_in_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with peer(says(whole(b"hello"))) as server, http_client.session() as session:
        assert isinstance(await get(session, server.url), Answer)


async def test_a_body_of_exactly_the_cap_is_read_whole(session: ClientSession) -> None:
    async with peer(says(whole(b"x" * 1000))) as server:
        answer = await get(session, server.url, body_max=1000)
        assert isinstance(answer, Answer)
        assert len(answer.body) == 1000
        assert await get(session, server.url, body_max=999) == http_client.TOO_LARGE


async def test_a_packed_body_arrives_unpacked_with_its_status_and_type(session: ClientSession) -> None:
    raw = whole(
        gzip.compress(b"hello"),
        status="404 Not Found",
        headers="Content-Encoding: gzip\r\nContent-Type: text/plain\r\n",
    )
    async with peer(says(raw)) as server:
        assert await get(session, server.url) == Answer(404, "text/plain", b"hello")
        assert f"api_key={SECRET}&action=x".encode() in server.requests[0]


async def test_a_connection_is_kept_for_the_next_request(session: ClientSession) -> None:
    async with peer(says(whole(b"hello"))) as server:
        for _ in range(3):
            assert isinstance(await get(session, server.url), Answer)
        assert server.connections == 1


async def test_a_post_carries_its_headers_and_its_body_once(session: ClientSession) -> None:
    async with peer(says(whole(b"{}"), and_hangs_up=True)) as there:
        answer = await http_client.send(
            session, "POST", there.url, headers={"X-Key": "one", "Content-Type": "application/json"},
            body=b'{"a":1}', deadline=2.0, body_max=100,
        )  # fmt: skip
    assert isinstance(answer, Answer)
    (head,) = there.requests
    assert head.startswith(b"POST /stubs/handler_api.php HTTP/1.1\r\n")
    assert b"X-Key: one\r\n" in head
    assert b"Content-Type: application/json\r\n" in head
    assert b"Content-Length: 7\r\n" in head
