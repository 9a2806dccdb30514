"""Many customers at once through two server processes: money, cancels, repeats and codes have one winner each."""

import asyncio
import random
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog

from numberdesk.base.db import Database, rows, value
from numberdesk.base.money import Paise
from numberdesk.cli._seed import make_customers
from numberdesk.providers.simulator import Profile, Simulator
from tests import books, last_byte, processes, stand
from tests.last_byte import Shot
from tests.stand import Answer

pytestmark = pytest.mark.anyio
log = structlog.get_logger()

AT_ONCE = 50
ROUNDS = 5
AFFORDABLE = 7
PAIRS = 200
ORDERS_A_CALL = 10
JITTER_SECONDS = 0.03
PAIR_EVERY = 0.015
TELEGRAM_IN_INDIA = {"service": "tg", "country": 22}


@dataclass
class _Scene:
    ports: tuple[int, int]
    db: Database
    upstream: Simulator
    keys: list[str]

    async def fire(
        self, path: str, bodies: list[dict[str, object]], *, key: str, once: str | None = None
    ) -> list[Answer]:
        """Send requests of one customer at once, every other one through the other process."""
        shots = [Shot(self.ports[place % 2], path, body, key, once) for place, body in enumerate(bodies)]
        return await asyncio.to_thread(last_byte.fire, shots)

    async def buy(self, *, key: str) -> int:
        """Buy one number and return its order."""
        return int((await self.fire("/auth/get-number", [TELEGRAM_IN_INDIA], key=key))[0].data["orderId"])

    async def settled(self) -> None:
        """Wait until nothing is open that settles by itself, and compare the provider's record with the ledger."""
        await stand.until(self._is_settled, patience=20)
        await books.compare(self.db, self.upstream.facts())

    async def _is_settled(self) -> bool:
        return await books.unsettled(self.db) == 0


@pytest.fixture
async def scene(run_folder: Path, database_url: str) -> AsyncIterator[_Scene]:
    async with _scene(run_folder / f"races-{uuid.uuid4().hex[:8]}", database_url) as scene:
        yield scene


@asynccontextmanager
async def _scene(home: Path, database_url: str) -> AsyncIterator[_Scene]:
    environment = stand.ENVIRONMENT | {"DATABASE_URL": database_url}
    async with (
        await stand.simulator("never") as upstream,
        processes.commands(home, **environment) as commands,
        stand.database(database_url) as db,
    ):
        keys = await stand.furnish(db, upstream, customers=2, poll_ms=100, deadline_ms=4000)
        servers = await asyncio.gather(commands.serve(), commands.serve("--no-worker"))
        yield _Scene((servers[0].port, servers[1].port), db, upstream, keys)
        for server in servers:
            assert (await server.stop())[0] == 0, server.log
            assert "Traceback" not in server.log, server.log


async def test_money_for_seven_buys_exactly_seven(scene: _Scene) -> None:
    first = (await scene.fire("/auth/get-number", [TELEGRAM_IN_INDIA], key=scene.keys[0]))[0]
    price = int(first.data["price"].replace(".", ""))
    keys = await make_customers(scene.db, count=ROUNDS, paise=Paise(AFFORDABLE * price + price - 1), pepper=stand.SALT)
    for key in keys:
        answers = await scene.fire("/auth/get-number", [TELEGRAM_IN_INDIA] * AT_ONCE, key=key)
        found = Counter((answer.status, answer.code) for answer in answers)
        assert found == {(200, ""): AFFORDABLE, (400, "insufficient_balance"): AT_ONCE - AFFORDABLE}
    await scene.settled()


async def test_fifty_cancels_of_one_order_give_one_refund_and_fifty_good_answers(scene: _Scene) -> None:
    for _ in range(ROUNDS):
        order_id = await scene.buy(key=scene.keys[0])
        answers = await scene.fire("/auth/cancel-number", [{"orderId": order_id}] * AT_ONCE, key=scene.keys[0])
        assert Counter(answer.status for answer in answers) == {200: AT_ONCE}
        assert {answer.data["status"] for answer in answers} == {"cancelled"}
        assert len({str(answer.data) for answer in answers}) == 1, "the answers differ"
    async with scene.db.statement() as tx:
        voids = await value(tx, "SELECT count(*) FROM postings WHERE kind = 'void'")
    assert voids == ROUNDS
    await scene.settled()


async def test_one_idempotency_key_buys_once(scene: _Scene) -> None:
    scene.upstream.set_profile(Profile("slow", fault_on="purchases", answer_delay=0.2, code_after=None))
    repeated = 0
    for _ in range(ROUNDS):
        once = uuid.uuid4().hex
        bodies: list[dict[str, object]] = [TELEGRAM_IN_INDIA] * AT_ONCE
        found = await scene.fire("/auth/get-number", bodies, key=scene.keys[0], once=once)
        found += await scene.fire("/auth/get-number", bodies[:4], key=scene.keys[0], once=once)
        good = [answer for answer in found if answer.status == 200]
        repeated += len(good) - 1
        assert {answer.code for answer in found if answer.status != 200} <= {"idempotency_key_in_flight"}
        assert {answer.status for answer in found} <= {200, 409}
        assert len(good) >= 5
        assert len({answer.data["orderId"] for answer in good}) == 1
    assert len(scene.upstream.sold) == ROUNDS
    assert len(await books.entries_of(scene.db)) == ROUNDS
    log.info("repeated", good_answers_again=repeated)
    await scene.settled()


async def test_a_code_is_visible_exactly_when_its_order_is_paid(scene: _Scene) -> None:
    """Let codes arrive while their orders are cancelled: each pair has one winner, and everybody sees the same one."""
    await scene.fire(
        "/auth/get-number",
        [TELEGRAM_IN_INDIA | {"quantity": ORDERS_A_CALL}] * (PAIRS // ORDERS_A_CALL),
        key=scene.keys[0],
    )
    async with scene.db.statement() as tx:
        orders = {
            int(order_id): int(upstream_id)
            for order_id, upstream_id in await rows(tx, "SELECT id, upstream_id FROM orders WHERE state = 'active'")
        }
    assert len(orders) == PAIRS
    chance = random.Random(7)
    start = time.monotonic() + 1.0
    shots = []
    loop = asyncio.get_running_loop()
    for place, (order_id, upstream_id) in enumerate(orders.items()):
        arrives = place * PAIR_EVERY + 0.1
        loop.call_at(
            loop.time() - time.monotonic() + start + arrives, scene.upstream.deliver, upstream_id, f"Code {order_id:05}"
        )
        at = arrives - 0.01 + chance.uniform(-JITTER_SECONDS, JITTER_SECONDS)
        shots.append(Shot(scene.ports[place % 2], "/auth/cancel-number", {"orderId": order_id}, scene.keys[0], at=at))
    seen: dict[int, str] = {}
    watching = asyncio.create_task(_watch(scene, list(orders), seen))
    answers = await asyncio.to_thread(last_byte.fire, shots, start=start)
    await scene.settled()
    await asyncio.sleep(0.5)
    watching.cancel()
    await asyncio.wait([watching])

    entries = {entry.order_id: entry for entry in await books.entries_of(scene.db)}
    won: Counter[str] = Counter()
    for (order_id, _), answer in zip(orders.items(), answers, strict=True):
        entry = entries[order_id]
        if entry.captured_paise:
            assert (answer.status, answer.code) == (409, "not_cancellable"), answer
            assert seen.get(order_id) == f"{order_id:05}", "a paid code was not shown"
            won["code"] += 1
        else:
            assert answer.status == 200, answer
            assert answer.data["refund"]["amount"] == answer.data["price"]
            assert order_id not in seen, "a code was shown and given back"
            won["cancel"] += 1
    log.info("pairs", won=dict(won), late=sum(fact.late for fact in scene.upstream.delivered))
    assert min(won["code"], won["cancel"]) >= PAIRS // 5, won


async def _watch(scene: _Scene, orders: list[int], seen: dict[int, str]) -> None:
    """Poll all orders through both processes, and note every code that is shown."""
    async with stand.callers() as web:
        while True:
            for place, order_id in enumerate(orders):
                url = f"http://127.0.0.1:{scene.ports[place % 2]}"
                answer = await stand.call(web, url, "/auth/check-otp", {"orderId": order_id}, key=scene.keys[0])
                if answer.data["otp"]:
                    seen[order_id] = answer.data["otp"]
