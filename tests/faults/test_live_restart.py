"""The server is shot while hundreds listen: every event reaches each listener of its owner once, and nobody else."""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import structlog

from numberdesk.base.db import Database, rows
from numberdesk.orders.service import START
from numberdesk.providers.simulator import Simulator
from tests import processes, stand
from tests.processes import Running

pytestmark = pytest.mark.anyio
log = structlog.get_logger()

CUSTOMERS = 5
STREAMS, EVENT_POLLS, OTP_POLLS = 50, 250, 250
ORDERS = 50
STOP_SECONDS = 5.0
PATIENCE = 90.0
_GONE = (aiohttp.ClientError, TimeoutError, OSError)


class _Page(msgspec.Struct, rename="camel"):
    items: list[msgspec.Raw]
    next_cursor: str
    reset: bool


class _Answer(msgspec.Struct):
    data: _Page


class _Id(msgspec.Struct):
    id: str


@dataclass
class _Listener:
    """One customer's program: what it was told, in its order."""

    key: str
    ids: list[str] = field(default_factory=list)
    bodies: dict[str, bytes] = field(default_factory=dict)
    last: str | None = None
    connections: int = 0

    def hear(self, event_id: str, body: bytes) -> None:
        self.ids.append(event_id)
        self.bodies[event_id] = body


@dataclass
class _Scene:
    server: Running
    web: aiohttp.ClientSession
    db: Database
    upstream: Simulator
    keys: list[str]
    owners: dict[int, str] = field(default_factory=dict)
    """The key that bought each order."""
    codes: dict[int, str] = field(default_factory=dict)
    told: dict[int, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    """What check-otp said of each order: (event, code), from each caller."""

    async def buy(self, key: str) -> None:
        """Buy a number, and have its code arrive at the provider a little later."""
        answer = await stand.buy(self.web, self.server.url, key)
        if answer.status == 200:
            order_id = int(answer.data["orderId"])
            self.owners[order_id] = key

    async def deliver(self, order_id: int) -> None:
        """Let the code of an order arrive at the provider."""
        async with self.db.statement() as tx:
            ((upstream_id,),) = await rows(tx, "SELECT upstream_id FROM orders WHERE id = $1", order_id)
        code = f"{100_000 + order_id}"
        self.codes[order_id] = code
        self.upstream.deliver(int(upstream_id), f"Telegram code {code}", code=code)

    async def expected(self) -> dict[str, list[str]]:
        """Return the names of all events by the key of their owner, in their order."""
        found: dict[str, list[str]] = defaultdict(list)
        async with self.db.statement() as tx:
            for order_id, type_, ordinal in await rows(
                tx, "SELECT order_id, type, ordinal FROM order_events ORDER BY account_id, seq"
            ):
                found[self.owners[order_id]].append(f"evt_{order_id}_{type_}_{ordinal}")
        return found


async def stream(scene: _Scene, listener: _Listener) -> None:
    """Follow a stream for ever, as a browser does: after a cut it goes on from the last id."""
    timeout = aiohttp.ClientTimeout(total=None, sock_read=40)
    while True:
        headers = {"X-API-Key": listener.key} | ({"Last-Event-ID": listener.last} if listener.last else {})
        try:
            async with scene.web.get(scene.server.url + "/orders/stream", headers=headers, timeout=timeout) as answer:
                assert answer.status in (200, 503), await answer.text()
                listener.connections += answer.status == 200
                block: dict[str, bytes] = {}
                async for line in answer.content:
                    name, _, rest = line.rstrip(b"\n").partition(b": ")
                    if name:
                        block[name.decode()] = rest
                        continue
                    if "id" in block:
                        listener.last = block["id"].decode()
                    if "data" in block:
                        assert block["event"].startswith(b"order."), block
                        listener.hear(block["id"].decode(), block["data"])
                    block = {}
        except _GONE:
            pass
        await asyncio.sleep(0.2)


async def poll(scene: _Scene, listener: _Listener) -> None:
    """Ask for what is new for ever."""
    listener.last = START
    while True:
        query = {"after": listener.last, "wait": "20"}
        try:
            async with scene.web.get(
                scene.server.url + "/orders/events", params=query, headers={"X-API-Key": listener.key}
            ) as answer:
                raw = await answer.read()
                assert answer.status in (200, 503), raw
        except _GONE:
            await asyncio.sleep(0.2)
            continue
        if answer.status == 200:
            page = msgspec.json.decode(raw, type=_Answer).data
            assert page.reset is False
            for item in page.items:
                listener.hear(msgspec.json.decode(item, type=_Id).id, bytes(item))
            listener.last = page.next_cursor


async def check(scene: _Scene, order_id: int) -> None:
    """Wait for the code of an order until it is there."""
    key = scene.owners[order_id]
    while True:
        answer = await stand.call(
            scene.web, scene.server.url, "/auth/check-otp", {"orderId": order_id, "wait": 20}, key=key
        )
        if answer.status == 200 and answer.data["messages"]:
            scene.told[order_id].extend((item["eventId"], item["code"]) for item in answer.data["messages"])
            return
        assert answer.status in (0, 200, 503), answer
        await asyncio.sleep(0 if answer.status == 200 else 0.2)


@contextlib.asynccontextmanager
async def running(*works: Awaitable[Any]) -> AsyncIterator[list["asyncio.Task[Any]"]]:
    """Run clients for as long as the block lasts; one that failed fails the test."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.result()


async def test_listeners_miss_nothing_when_the_server_is_shot(run_folder: Path, database_url: str) -> None:
    environment = stand.ENVIRONMENT | {"DATABASE_URL": database_url}
    async with (
        await stand.simulator("never") as upstream,
        processes.commands(run_folder / "live", **environment) as commands,
        stand.callers() as web,
        stand.database(database_url) as db,
    ):
        keys = await stand.furnish(db, upstream, customers=CUSTOMERS, deadline_ms=2000)
        scene = _Scene(await commands.serve(), web, db, upstream, keys)
        streams = [_Listener(keys[number % CUSTOMERS]) for number in range(STREAMS)]
        polls = [_Listener(keys[number % CUSTOMERS]) for number in range(EVENT_POLLS)]
        async with running(*(stream(scene, item) for item in streams), *(poll(scene, item) for item in polls)) as all_:

            async def are_there() -> bool:
                assert not any(task.done() for task in all_)
                return all(item.last == START for item in streams)

            await stand.until(are_there, patience=PATIENCE)
            await asyncio.gather(*(scene.buy(keys[number % CUSTOMERS]) for number in range(ORDERS)))
            order_ids = sorted(scene.owners)
            assert len(order_ids) == ORDERS
            async with running(*(check(scene, order_ids[number % ORDERS]) for number in range(OTP_POLLS))) as checks:
                await _deliver_and_shoot(scene, commands, order_ids)
                await asyncio.wait(checks, timeout=PATIENCE)
                assert all(task.done() for task in checks)
            await _finish(scene)
            expected = await scene.expected()

            async def is_whole() -> bool:
                return all(item.ids == expected[item.key] for item in streams + polls)

            took = await stand.until(is_whole, patience=PATIENCE)
            await asyncio.sleep(1.0)  # whatever would come twice has come
            _compare(scene, expected, streams, polls)
            log.info("caught_up", seconds=round(took, 1), connections=sum(item.connections for item in streams))
            code, seconds = await scene.server.stop()
            assert code == 0, scene.server.log
            assert seconds < STOP_SECONDS
        assert all(item.connections >= 2 for item in streams)
        assert "Traceback" not in scene.server.log, scene.server.log


async def _deliver_and_shoot(scene: _Scene, commands: processes.Commands, order_ids: list[int]) -> None:
    """Let codes arrive one by one; amid them the server is shot, and some arrive while there is none."""
    third = len(order_ids) // 3
    for order_id in order_ids[:third]:
        await scene.deliver(order_id)
        await asyncio.sleep(0.05)
    scene.server.kill()
    for order_id in order_ids[third : 2 * third]:
        await scene.deliver(order_id)
    scene.server = await commands.serve()
    for order_id in order_ids[2 * third :]:
        await scene.deliver(order_id)
        await asyncio.sleep(0.05)


async def _finish(scene: _Scene) -> None:
    """Let more happen to each order than its code."""
    for order_id, key in scene.owners.items():
        answer = await stand.call(scene.web, scene.server.url, "/auth/finish-number", {"orderId": order_id}, key=key)
        assert answer.status == 200, answer


def _compare(scene: _Scene, expected: dict[str, list[str]], streams: list[_Listener], polls: list[_Listener]) -> None:
    assert sum(map(len, expected.values())) == 3 * ORDERS
    bodies: dict[str, bytes] = {}
    for listener in streams + polls:
        assert listener.ids == expected[listener.key]
        for event_id, body in listener.bodies.items():
            assert bodies.setdefault(event_id, body) == body
    for order_id, code in scene.codes.items():
        name = f"evt_{order_id}_code_1"
        body = msgspec.json.decode(bodies[name])
        assert (body["id"], body["data"]["orderId"], body["data"]["message"]["code"]) == (name, order_id, code)
        assert scene.told[order_id] == [(name, code)] * (OTP_POLLS // ORDERS)


async def test_what_one_server_does_is_heard_at_the_other(run_folder: Path, database_url: str) -> None:
    environment = stand.ENVIRONMENT | {"DATABASE_URL": database_url}
    async with (
        await stand.simulator("never") as upstream,
        processes.commands(run_folder / "two", **environment) as commands,
        stand.callers() as web,
        stand.database(database_url) as db,
    ):
        (key,) = await stand.furnish(db, upstream, customers=1, deadline_ms=2000)
        servers = [await commands.serve(), await commands.serve("--no-worker")]
        scenes = [_Scene(server, web, db, upstream, [key]) for server in servers]
        listeners = [_Listener(key) for _ in scenes]
        async with running(*(stream(scene, item) for scene, item in zip(scenes, listeners, strict=True))):

            async def are_there() -> bool:
                return all(item.last == START for item in listeners)

            await stand.until(are_there, patience=PATIENCE)
            began = time.monotonic()
            for turn in range(3):
                for number, scene in enumerate(scenes):
                    await scene.buy(key)
                    await stand.until(_heard(listeners, 3 * (2 * turn + number) + 1), patience=PATIENCE)
                    order_id = max(scene.owners)
                    await scene.deliver(order_id)
                    await stand.until(_heard(listeners, 3 * (2 * turn + number) + 2), patience=PATIENCE)
                    scenes[1 - number].owners[order_id] = key
                    done = await stand.call(
                        web, scenes[1 - number].server.url, "/auth/finish-number", {"orderId": order_id}, key=key
                    )
                    assert done.status == 200, done
                    await stand.until(_heard(listeners, 3 * (2 * turn + number) + 3), patience=PATIENCE)
            seconds = time.monotonic() - began
            expected = (await scenes[0].expected())[key]
            assert [item.ids for item in listeners] == [expected] * 2
            assert listeners[0].bodies == listeners[1].bodies
            log.info("heard_at_both", events=len(expected), seconds=round(seconds, 1))
            # By the floor alone each would take seconds.
            assert seconds < 1.5 * len(expected)


def _heard(listeners: list[_Listener], count: int) -> Callable[[], Awaitable[bool]]:
    async def have() -> bool:
        return all(len(item.ids) == count for item in listeners)

    return have
