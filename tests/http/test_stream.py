"""Live delivery over HTTP: streams and waiting calls tell of each event once, in order, to its owner alone."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import timedelta
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.accounts import service as accounts
from numberdesk.base.postgres import Cluster
from numberdesk.orders import service as orders
from numberdesk.orders.service import EVENTS_MAX, START
from numberdesk.orders.service._events import KEPT
from numberdesk.orders.service._feed import QUEUE_MAX, STREAMS_MAX
from tests.http import stand as stands
from tests.http.stand import HOST, SECURITY, Client, Stand

PATIENCE = 10.0


@dataclass
class Told:
    """One block of a stream."""

    id: str | None = None
    event: str | None = None
    data: str | None = None
    retry: str | None = None
    is_sign_of_life: bool = False

    @property
    def json(self) -> Any:
        assert self.data is not None
        return json.loads(self.data)


@dataclass
class Stream:
    """A stream as a browser reads it."""

    connection: HTTPConnection
    answer: HTTPResponse
    last_id: str | None = None
    ids: list[str] = field(default_factory=list)

    def block(self) -> Told | None:
        """Return the next block; None when the stream has ended."""
        told = Told()
        while True:
            line = self.answer.readline()
            if not line:
                return None
            text = line.decode().removesuffix("\n")
            if text == "":
                break
            name, _, rest = text.partition(":")
            if name == "":
                told.is_sign_of_life = True
            else:
                assert name in ("id", "event", "data", "retry"), text
                assert getattr(told, name) is None, text
                setattr(told, name, rest.removeprefix(" "))
        if told.id is not None:
            self.last_id = told.id
        return told

    def next(self) -> Told:
        """Return the next event, past signs of life."""
        while (told := self.block()) is not None:
            if told.event is not None:
                return told
        raise AssertionError("the stream has ended")

    def rest(self) -> list[str]:
        """Read to the end; returns the names of the events."""
        names = []
        while (told := self.block()) is not None:
            if told.event is not None:
                names.append(told.event)
        return names


@dataclass
class Reader:
    """Opens streams for a customer, and closes them in the end."""

    stack: ExitStack

    def open(self, client: Client, query: str = "", **headers: str) -> Stream:
        """Open a stream and wait until it is there."""
        stream = self.ask(client, query, **headers)
        assert stream.answer.status == 200, stream.answer.read()
        first = stream.block()
        assert first is not None
        assert first.retry is not None
        assert 1000 <= int(first.retry) <= 4000
        return stream

    def ask(self, client: Client, query: str = "", **headers: str) -> Stream:
        connection = self.stack.enter_context(closing(HTTPConnection(HOST, client.port, timeout=PATIENCE)))
        credentials = {"X-API-Key": client.key} if client.key else {"Authorization": f"Bearer {client.token}"}
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        connection.request("GET", f"{client.prefix}/orders/stream{query}", headers=credentials | named)
        return Stream(connection, connection.getresponse())


@pytest.fixture
def reader() -> Iterator[Reader]:
    with ExitStack() as stack:
        yield Reader(stack)


def names(items: list[Any]) -> list[str]:
    return [item["type"] for item in items]


def until(happened: Any) -> None:
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


def open_streams(stand: Stand, client: Client) -> int:
    return stand.site.desk.feed._streams[client.account_id]


# Who may not.


def test_a_stream_needs_a_key_that_may_read(stand: Stand, reader: Reader) -> None:
    assert stand.nobody.get("/orders/stream").refusal == (401, "credentials_missing")
    assert stand.nobody.get("/orders/events").refusal == (401, "credentials_missing")


def test_the_streams_of_an_account_are_counted_and_those_that_left_are_not(
    stand: Stand, alice: Client, bob: Client, reader: Reader
) -> None:
    streams = [reader.open(alice) for _ in range(STREAMS_MAX)]
    refused = alice.get("/orders/stream")
    assert refused.refusal == (429, "too_many_streams")
    assert refused.headers["retry-after"]
    reader.open(bob)
    assert alice.get("/orders/events").status == 200
    streams[0].connection.close()
    streams[0].answer.close()
    until(lambda: open_streams(stand, alice) == STREAMS_MAX - 1)
    reader.open(alice)
    reader.stack.close()
    until(lambda: not open_streams(stand, alice) and not open_streams(stand, bob))
    assert stand.site.desk.feed._listeners == {}


@pytest.mark.parametrize("query", ["?wait=26", "?wait=-1", "?wait=x", "?limit=0", f"?limit={EVENTS_MAX + 1}", "?after=",
                                   f"?after={'x' * 65}"])  # fmt: skip
def test_bad_questions_are_refused(alice: Client, query: str) -> None:
    assert alice.get(f"/orders/events{query}").refusal == (400, "invalid_request")


# What a stream is.


def test_a_stream_is_neither_kept_back_nor_compressed_nor_stored(alice: Client, reader: Reader) -> None:
    answer = reader.open(alice, Accept_Encoding="gzip, br, zstd").answer
    headers = {name.lower(): text for name, text in answer.getheaders()}
    assert headers["content-type"].startswith("text/event-stream")
    assert headers["cache-control"] == "no-store, no-transform"
    assert headers["x-accel-buffering"] == "no"
    assert "content-encoding" not in headers
    assert "content-length" not in headers
    assert headers.keys() >= {"x-request-id", *SECURITY}


def test_a_stream_shows_that_it_lives(stand: Stand, alice: Client, reader: Reader) -> None:
    feed = stand.site.desk.feed
    assert feed.heartbeat == 15
    feed.heartbeat = 0.05
    try:
        stream = reader.open(alice)
        stream.block()
        assert [stream.block() == Told(is_sign_of_life=True) for _ in range(3)] == [True] * 3
    finally:
        feed.heartbeat = 15.0


def test_one_event_has_one_id_and_one_body_on_every_path(stand: Stand, alice: Client, reader: Reader) -> None:
    stream, under = reader.open(alice), reader.open(alice.under("/api/v1"))
    order_id = stand.received(alice, "55555")
    alice.post("/auth/finish-number", {"orderId": order_id})
    polled = alice.get(f"/orders/events?after={START}")
    assert names(polled.data["items"]) == ["order.active", "order.code", "order.completed"]
    for item in polled.data["items"]:
        for told in (stream.next(), under.next()):
            assert (told.id, told.event, told.json) == (item["id"], item["type"], item)
            assert told.data is not None
            assert told.data.encode() in polled.body
    (message,) = alice.post("/auth/check-otp", {"orderId": order_id}).data["messages"]
    assert message["eventId"] == polled.data["items"][1]["id"] == f"evt_{order_id}_code_1"
    assert message["code"] == polled.data["items"][1]["data"]["message"]["code"] == "55555"
    assert alice.get(f"/orders/{order_id}").data["order"]["messages"] == [message]


def test_nobody_hears_of_others(stand: Stand, alice: Client, bob: Client, reader: Reader) -> None:
    mine, theirs = reader.open(alice), reader.open(bob)
    stand.received(alice, "11111")
    order_id = stand.received(bob, "22222")
    assert [theirs.next().id for _ in range(2)] == [f"evt_{order_id}_active_1", f"evt_{order_id}_code_1"]
    assert [item["data"]["orderId"] for item in bob.get("/orders/events").data["items"]] == [order_id] * 2
    assert mine.next().json["data"]["orderId"] != order_id
    event = f"evt_{order_id}_code_1"
    assert alice.get(f"/orders/events?after={event}").data["reset"] is True
    assert event not in alice.get("/orders/events").body.decode()


# Going on from a place.


def test_without_a_place_a_stream_begins_now_and_says_where_that_is(
    stand: Stand, alice: Client, reader: Reader
) -> None:
    new = reader.open(alice)
    assert new.block() == Told(id=START)
    first = stand.received(alice, "11111")
    later = reader.open(alice)
    assert later.block() == Told(id=f"evt_{first}_code_1")
    second = stand.received(alice, "22222")
    assert later.next().json["data"]["orderId"] == second
    assert [new.next().json["data"]["orderId"] for _ in range(4)] == [first, first, second, second]


@pytest.mark.parametrize("way", ["header", "query", "both"])
def test_a_stream_goes_on_after_the_last_event_without_a_gap(
    stand: Stand, alice: Client, reader: Reader, way: str
) -> None:
    order_ids = [stand.received(alice, f"1000{number}") for number in range(3)]
    expected = [f"evt_{order_id}_{rest}" for order_id in order_ids for rest in ("active_1", "code_1")]
    last = expected[1]
    query = "" if way == "header" else f"?lastEventId={last if way == 'query' else expected[3]}"
    stream = reader.open(alice, query, **({} if way == "query" else {"Last_Event_ID": last}))
    expected += [f"evt_{stand.received(alice, '99999')}_{rest}" for rest in ("active_1",)]
    expected.append(expected[-1].replace("active", "code"))
    assert [stream.next().id for _ in range(6)] == expected[2:]


@pytest.mark.parametrize("kind", ["unknown", "forgotten", "nonsense"])
def test_a_place_that_is_not_known_is_told_and_what_is_kept_follows(
    stand: Stand, alice: Client, reader: Reader, kind: str
) -> None:
    old, kept = stand.received(alice, "11111"), stand.received(alice, "22222")
    stand.change(
        "UPDATE order_events SET at = at - $1::interval WHERE order_id = $2",
        KEPT + timedelta(minutes=1), old, as_admin=True,
    )  # fmt: skip
    until(lambda: stand.portal.call(forget, stand) == 0)
    last = {"unknown": f"evt_{kept}_expired_1", "forgotten": f"evt_{old}_code_1", "nonsense": "%0Aevent: order.code"}
    stream = reader.ask(alice, Last_Event_ID=last[kind])
    first = stream.block()
    assert first is not None
    reset = stream.next()
    assert (reset.event, reset.id) == ("reset", START)
    assert [stream.next().id for _ in range(2)] == [f"evt_{kept}_active_1", f"evt_{kept}_code_1"]
    page = alice.get(f"/orders/events?after={last['forgotten']}").data
    assert (page["reset"], names(page["items"])) == (True, ["order.active", "order.code"])
    again = reader.open(alice, Last_Event_ID=START)
    assert again.next().id == f"evt_{kept}_active_1"


async def forget(stand: Stand) -> int:
    return await orders.forget_events(stand.site.db)


# Waiting calls.


def test_a_waiting_call_is_answered_by_the_next_event_and_pages_miss_nothing(stand: Stand, alice: Client) -> None:
    assert alice.get("/orders/events").data == {"items": [], "nextCursor": START, "reset": False}
    began = time.monotonic()
    assert alice.get("/orders/events?wait=0.3").data["items"] == []
    assert time.monotonic() - began >= 0.3
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(alice.get, f"/orders/events?after={START}&wait=20") for _ in range(3)]
        until(lambda: len(stand.site.desk.feed._listeners.get(alice.account_id, ())) == 3)
        began = time.monotonic()
        order_id = alice.buy()
        pages = [call.result(timeout=PATIENCE).data for call in waiting]
    assert time.monotonic() - began < PATIENCE
    assert [(names(page["items"]), page["nextCursor"]) for page in pages] == [
        (["order.active"], f"evt_{order_id}_active_1")
    ] * 3
    for number in range(3):
        stand.received(alice, f"1000{number}")
    seen, cursor = [], START
    while page := alice.get(f"/orders/events?after={cursor}&limit=2").data["items"]:
        assert len(page) <= 2
        seen += [item["id"] for item in page]
        cursor = seen[-1]
    assert len(seen) == len(set(seen)) == 7
    latest = alice.get("/orders/events?after=latest").data
    assert (latest["items"], latest["nextCursor"]) == ([], cursor)


# Ends.


@pytest.mark.parametrize("why", ["revoked", "banned"])
def test_a_stream_ends_soon_after_its_key_or_its_account(stand: Stand, reader: Reader, why: str) -> None:
    mallory = stand.customer()
    stream, others = reader.open(mallory), reader.open(stand.customer())
    began = time.monotonic()
    if why == "revoked":
        stand.change(
            "UPDATE api_keys SET revoked_at = clock_timestamp(), changed_at = clock_timestamp() WHERE account_id = $1",
            mallory.account_id,
        )
    else:
        stand.portal.call(accounts.set_state, stand.site.db, mallory.account_id, "banned")
    end = stream.next()
    assert end.event == "end"
    assert end.json == {"code": "bad_api_key" if why == "revoked" else "account_banned"}
    assert stream.block() is None
    assert time.monotonic() - began < PATIENCE / 2
    assert mallory.get("/orders/stream").status in (401, 403)
    assert open_streams(stand, mallory) == 0
    assert len(stand.site.desk.feed._listeners) == 1
    others.connection.close()


def test_a_stream_ends_with_its_session(stand: Stand, reader: Reader) -> None:
    asha = stand.signed_in("asha-stream@example.com")
    stream = reader.open(asha.client)
    asha.client.post("/auth/logout", {"refreshToken": asha.refresh})
    assert stream.next().event == "end"
    assert stream.block() is None


def test_a_reader_that_takes_nothing_slows_nobody_and_takes_no_room(
    stand: Stand, alice: Client, reader: Reader
) -> None:
    order_id, feed = alice.buy(), stand.site.desk.feed
    assert feed.patience == 20
    feed.patience = 5.0
    lazy = socket.create_connection((HOST, stand.port))
    with closing(lazy):
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.sendall(f"GET /orders/stream HTTP/1.1\r\nHost: x\r\nX-API-Key: {alice.key}\r\n\r\n".encode())
        until(lambda: open_streams(stand, alice) == 1)
        quick = reader.open(alice)
        count = 40 * QUEUE_MAX
        heard: list[str] = []

        def read() -> None:
            while len(heard) < count:
                told = quick.next()
                assert told.id is not None
                heard.append(told.id)

        thread = threading.Thread(target=read)
        thread.start()
        write_events(stand, alice, order_id, count)
        thread.join(60)
        assert len(heard) == len(set(heard)) == count
        queues = [len(listener._queue) for listener in feed._listeners[alice.account_id]]
        assert max(queues) <= QUEUE_MAX
        assert open_streams(stand, alice) == 2
        until(lambda: open_streams(stand, alice) == 1)  # its time is over
        stand.deliver(order_id, "12345")
        assert quick.next().event == "order.code"
    feed.patience = 20.0


def blocked(stand: Stand) -> socket.socket:
    """Open a stream of which nothing is read, and wait until the server cannot write to it any more."""
    client = stand.customer()
    order_id = client.buy()
    lazy = socket.create_connection((HOST, stand.port))
    lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    head = f"GET /orders/stream HTTP/1.1\r\nHost: x\r\nLast-Event-ID: {START}\r\nX-API-Key: {client.key}\r\n\r\n"
    write_events(stand, client, order_id, 30_000)
    lazy.sendall(head.encode())
    until(lambda: len(stand.site.desk.feed._listeners[client.account_id]) == 1)
    (listener,) = stand.site.desk.feed._listeners[client.account_id]

    def stands_still() -> bool:
        before = listener.seq
        time.sleep(1)
        return 1 < before == listener.seq < 30_001

    until(stands_still)
    return lazy


def write_events(stand: Stand, client: Client, order_id: int, count: int) -> None:
    """Let that many things happen to an account at once, without the rest that belongs to them."""
    stand.change(
        """
        WITH counter AS (
            UPDATE event_counters SET last_seq = last_seq + $3 WHERE account_id = $1 RETURNING last_seq - $3 AS begun
        )
        INSERT INTO order_events (account_id, seq, order_id, type, ordinal, at)
        SELECT $1, begun + n, $2, 'extended', n, clock_timestamp() FROM counter, generate_series(1, $3) AS n
        """,
        client.account_id,
        order_id,
        count,
        as_admin=True,
    )


def test_the_floor_finds_what_nobody_told_of(stand: Stand, alice: Client, reader: Reader) -> None:
    order_id = alice.buy()
    stream = reader.open(alice)
    write_events(stand, alice, order_id, 3)
    assert [stream.next().id for _ in range(3)] == [f"evt_{order_id}_extended_{number}" for number in (1, 2, 3)]


def test_streams_and_waiting_calls_end_when_the_server_stops(portal: BlockingPortal, cluster: Cluster) -> None:
    with ExitStack() as stack, ThreadPoolExecutor(10) as pool:
        reader = Reader(stack)
        with stands.opened(portal, cluster) as stand:
            people = [stand.customer() for _ in range(5)]
            streams = [reader.open(client) for client in people for _ in range(10)]
            calls = [pool.submit(client.get, "/orders/events?wait=25") for client in people]
            until(lambda: sum(map(len, stand.site.desk.feed._listeners.values())) == 55)
            stack.enter_context(closing(blocked(stand)))
            began = time.monotonic()
        assert time.monotonic() - began < 5 + 2  # with the end of the database and the provider
        assert all(stream.rest() == [] for stream in streams)
        assert all(call.result(timeout=PATIENCE).data["items"] == [] for call in calls)
