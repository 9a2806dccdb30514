"""The database connection breaks at COMMIT, before or after it took effect: nobody pays twice, no order is lost."""

import asyncio
import random
import re
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
import structlog

from numberdesk.base.db import Database, rows
from tests import books, processes, stand
from tests.stand import Answer

pytestmark = pytest.mark.anyio
log = structlog.get_logger()

ORDERS = 40
CUSTOMERS = 8
SPREAD_SECONDS = 2.5
"""The requests are spread, or they would share a few commits."""
TRIES = 10
CUT_MANY, CUT_SOME = 0.5, 0.15
"""Parts of the commits that are cut. With many some purchases fail for their customers, who repeat them; a cancel that
fails like that waits twenty seconds for the worker, so there are fewer."""


class _Cutter:
    """A stand between server and database that hangs up at some COMMITs: at the question, or at its answer."""

    def __init__(self, socket_path: str) -> None:
        self.share = 0.0
        self.cuts: Counter[str] = Counter()
        self._socket_path = socket_path
        self._chance = random.Random(11)
        self._connections: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one connection of the server's."""
        task = asyncio.create_task(self._connect(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def close(self) -> None:
        """Hang up everywhere."""
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_database, to_database = await asyncio.open_unix_connection(self._socket_path)
        pumps = [
            asyncio.create_task(self._pump(reader, to_database, b"COMMIT;\0", "question")),
            asyncio.create_task(self._pump(from_database, writer, b"COMMIT\0", "answer")),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.wait(pumps)
            for end in (writer, to_database):
                end.transport.abort()
                with suppress(OSError):
                    await end.wait_closed()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, word: bytes, name: str) -> None:
        with suppress(OSError):
            while part := await reader.read(65536):
                if word in part and self._chance.random() < self.share / 2:
                    self.cuts[name] += 1
                    return
                writer.write(part)
                await writer.drain()


async def test_purchases_and_cancels_survive_commits_whose_answer_is_lost(run_folder: Path, database_url: str) -> None:
    async with (
        await stand.simulator("never") as upstream,
        _cutter(database_url) as (cutter, cut_url),
        processes.commands(
            run_folder / f"commit-{uuid.uuid4().hex[:8]}", **stand.ENVIRONMENT, DATABASE_URL=cut_url
        ) as commands,
        stand.callers() as web,
        stand.database(database_url) as db,
    ):
        keys = await stand.furnish(db, upstream, customers=CUSTOMERS, deadline_ms=500)
        server = await commands.serve()
        buyers = [_Buyer(web, server.url, keys[number % CUSTOMERS]) for number in range(ORDERS)]
        cutter.share = CUT_MANY
        await _spread([buyer.buy() for buyer in buyers])
        cutter.share = 0.0
        log.info("bought", cuts=dict(cutter.cuts), answers=_counted(buyers))
        assert min(cutter.cuts["question"], cutter.cuts["answer"]) >= 5, "too few commits were cut"
        took = await stand.until(lambda: _is_settled(db), patience=40)
        owners = await _repeat_all(db, buyers)
        log.info("settled", seconds=round(took, 1), alive=len(owners))
        assert len(owners) == len(upstream.sold), "something was bought twice"
        assert len(owners) >= ORDERS // 4, "too few are left for a test"
        assert server.log.count("batch_repeated") >= 5, "what was cut was not repeated"
        await books.compare(db, upstream.facts())
        assert server.popen.poll() is None, "the server ended"

        cutter.share, cutter.cuts = CUT_SOME, Counter()
        await _spread([buyer.cancel(order_id) for order_id, buyer in owners.items()])
        cutter.share = 0.0
        log.info("cancelled", cuts=dict(cutter.cuts), answers=_counted(owners.values()))
        assert cutter.cuts.total() >= 5, "too few commits were cut"
        await stand.until(lambda: _is_settled(db), patience=40)
        for buyer in owners.values():
            refund = buyer.answers[-1].data["refund"]
            assert refund["amount"] == buyer.answers[-1].data["price"]
        tally = await books.compare(db, upstream.facts())
        assert tally.by_state.keys() <= {"cancelled", "failed"}
        assert len(upstream.cancelled) == len(owners)
        for key in keys:
            balance = (await stand.call(web, server.url, "/user/balance", key=key)).data
            assert (balance["available"], balance["held"]) == (f"{stand.RUPEES}.00", "0.00")


@dataclass
class _Buyer:
    """A customer who wants one number, and repeats each request until it is answered well."""

    web: aiohttp.ClientSession
    url: str
    key: str
    once: str = field(default_factory=lambda: uuid.uuid4().hex)
    answers: list[Answer] = field(default_factory=list)

    async def buy(self) -> None:
        """Buy, with the same Idempotency-Key every time."""
        await self._repeat(lambda: stand.buy(self.web, self.url, self.key, once=self.once), wanted="active")

    async def cancel(self, order_id: int) -> None:
        """Cancel."""
        self.answers.clear()
        body = {"orderId": order_id}
        path = "/auth/cancel-number"
        await self._repeat(lambda: stand.call(self.web, self.url, path, body, key=self.key), wanted="cancelled")

    async def _repeat(self, ask: Callable[[], Awaitable[Answer]], *, wanted: str) -> None:
        for _ in range(TRIES):
            answer = await ask()
            self.answers.append(answer)
            # 0: the server closed a connection just as it was used again, which its 503 with an unread body does.
            known = (0, ""), (200, ""), (503, "unavailable"), (409, "idempotency_key_in_flight")
            assert (answer.status, answer.code) in known, answer
            if answer.status == 200 and answer.data["status"] == wanted:
                return
            await asyncio.sleep(0.3)


async def _repeat_all(db: Database, buyers: Sequence[_Buyer]) -> dict[int, _Buyer]:
    """Repeat every purchase when all is settled: each buyer has one order, alive or refunded, and no other than told.

    Returns:
        The buyers by their orders, of those that are alive.
    """
    async with db.statement() as tx:
        states = dict(await rows(tx, "SELECT id, state FROM orders"))
    found: dict[int, _Buyer] = {}
    for buyer in buyers:
        told = {answer.data["orderId"] for answer in buyer.answers if answer.status == 200}
        answer = await stand.buy(buyer.web, buyer.url, buyer.key, once=buyer.once)
        order_id = answer.data["orderId"] if answer.status == 200 else answer.body["details"]["orderId"]
        assert told <= {order_id}, "a customer was told of two orders for one purchase"
        if states[order_id] == "active":
            assert answer.data["status"] in ("active", "pending")
        else:
            # Nobody asked the provider before its reservation was found out, or another order took its number.
            assert states[order_id] == "failed"
            assert (answer.status, answer.code) in ((503, "provider_unavailable"), (200, "")), answer
        found[order_id] = buyer
    assert found.keys() == states.keys(), "an order that nobody was told of, or a buyer without one"
    return {order_id: buyer for order_id, buyer in found.items() if states[order_id] == "active"}


@asynccontextmanager
async def _cutter(database_url: str) -> AsyncIterator[tuple[_Cutter, str]]:
    """Lend a cutter, and the address of the same database behind it."""
    parts = urlsplit(database_url)
    where = parse_qs(parts.query)
    cutter = _Cutter(f"{where['host'][0]}/.s.PGSQL.{where['port'][0]}")
    server = await asyncio.start_server(cutter.accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    address = parts._replace(netloc=f"{parts.netloc.rstrip('@')}@127.0.0.1:{port}", query="sslmode=disable").geturl()
    try:
        yield cutter, re.sub("@+", "@", address)
    finally:
        server.close()
        await cutter.close()


async def _spread(calls: Sequence[Coroutine[None, None, None]]) -> None:
    async def later(place: int) -> None:
        await asyncio.sleep(place * SPREAD_SECONDS / len(calls))
        await calls[place]

    await asyncio.gather(*(later(place) for place in range(len(calls))))


def _counted(buyers: Iterable[_Buyer]) -> dict[tuple[int, str], int]:
    return dict(Counter((answer.status, answer.code) for buyer in buyers for answer in buyer.answers))


async def _is_settled(db: Database) -> bool:
    return await books.unsettled(db) == 0
