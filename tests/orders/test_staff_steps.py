"""Seven hundred random steps with codes, rentals, withheld messages, and staff who release and give money back.

Whatever comes in whatever order, and several at once in two processes: no message is read for nothing, nothing is given
back twice, and every rupee is where it belongs.
"""

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from numberdesk.base.errors import AppError
from numberdesk.orders import jobs
from numberdesk.orders import service as orders
from numberdesk.orders.model import Delivery, OrderId
from numberdesk.orders.service import NoNumbers
from numberdesk.providers.model import Received
from numberdesk.reports import service as reports
from tests.orders.test_quarantine import BANK, EVENT
from tests.orders.test_rental_steps import MONEY, WEATHER, Walk, check, rich
from tests.orders.world import Play, World, another_process, outcomes

pytestmark = pytest.mark.anyio

STEPS = 700


@dataclass
class StaffWalk(Walk):
    """A walk on which staff decide, too, and most orders are for codes."""

    refused: Counter[str] = field(default_factory=Counter)

    async def buy_code(self) -> None:
        self.cards.append(await self.world.buy())

    async def come(self) -> None:
        """Let messages come: the code, a bank's, or both at once; sometimes again, and however late."""
        order = (await self.any_card()).order
        if order.upstream_id is None:
            return
        self.texts += self.chance.random() < 0.7
        code = Received(str(10_000 + self.texts), f"Telegram code {10_000 + self.texts}")
        bank = Received(str(50_000 + self.texts), BANK.text.replace(BANK.code, str(50_000 + self.texts)))
        messages = self.chance.choice([(code,), (code,), (bank,), (code, bank)])
        world = self.world
        card = await world.desk.receive.call(Delivery(order.provider_id, order.upstream_id, messages))
        assert card is not None
        world.desk.show([card])

    async def decide(self) -> None:
        """Release a withheld message, mostly the newest, or confirm the suspicion."""
        waiting = await orders.list_withheld(self.worlds[0].db, state="held", limit=5)
        if not waiting:
            return
        item, world = self.chance.choice(waiting), self.world
        told = {"order_id": item.order_id, "ordinal": item.ordinal, "by": world.bob, "reason": "seen", "event": EVENT}
        if self.chance.random() < 0.8:
            await orders.release(world.desk, **told)  # type: ignore[arg-type]
        else:
            await orders.confirm(world.db, **told)  # type: ignore[arg-type]

    async def give_back(self) -> None:
        world, order_id = self.world, (await self.any_card()).order.id
        async with world.db.transaction() as tx:
            card, _ = await orders.refund(tx, order_id)
        world.desk.show([card])

    async def upkeep(self) -> None:
        await self.chance.choice([jobs.keep_rentals, jobs.end_due, jobs.settle_ending, jobs.release_finished])(
            self.world.desk
        )

    async def step(self) -> None:
        await self.pass_time()
        self.worlds[0].alpha.set_profile(self.chance.choice(WEATHER[:4]))
        verbs = [
            self.buy_code, self.buy_code, self.buy, self.buy, self.cancel, self.cancel, self.prolong, self.finish,
            self.come, self.come, self.come, self.decide, self.decide, self.give_back, self.give_back, self.upkeep,
            self.next_code,
        ]  # fmt: skip
        chosen = self.chance.choices(verbs, k=self.chance.choice([1, 1, 2, 3]))
        for verb, result in zip(chosen, await outcomes(verb() for verb in chosen), strict=True):
            if isinstance(result, AppError):
                self.refused[f"{verb.__name__} {result.code}"] += not isinstance(result, NoNumbers)
            elif isinstance(result, BaseException):
                raise result


async def compare(world: World) -> Counter[str]:
    """Compare what was taken and given back with what can be read; returns how often each story came."""
    stories: Counter[str] = Counter()
    net = 0
    for order in await world.all_orders():
        messages = await world.backstage.fetch("SELECT * FROM messages WHERE order_id = $1", order.id)
        readable = [row for row in messages if not row["is_sealed"]]
        taken, back = await moved(world, order.id)
        net += taken - back
        assert back == (taken if order.refunded_at is not None else 0), order
        assert (taken > 0) == (order.state in ("received", "completed")), order
        assert len(readable) == order.codes_received, order
        assert not readable or taken, order
        if order.refunded_at is not None:
            assert all(row["received_at"] <= order.refunded_at for row in readable), order
        stories[f"{'code' if order.hours is None else 'rental'} {order.state}"] += 1
        stories["refunded"] += order.refunded_at is not None
        stories["sealed after a refund"] += order.refunded_at is not None and any(
            row["is_sealed"] and row["received_at"] > order.refunded_at for row in messages
        )
    for row in await world.backstage.fetch(
        "SELECT withheld.state, is_sealed FROM withheld_messages AS withheld JOIN messages USING (order_id, ordinal)"
    ):
        assert row["is_sealed"] == (row["state"] != "released")
        stories[f"withheld {row['state']}"] += 1
    assert await world.money() == (MONEY + 10_000 - net, 0)
    assert await world.revenue() == net
    return stories


async def moved(world: World, order_id: OrderId) -> tuple[int, int]:
    """Return what an order's holds took, and what was given back of that."""
    query = """
        SELECT coalesce(sum(amount_paise) FILTER (WHERE kind = 'capture'), 0)::bigint,
               coalesce(sum(amount_paise) FILTER (WHERE kind = 'refund'), 0)::bigint
        FROM postings JOIN entries ON posting_id = id AND amount_paise > 0
        WHERE cause_type = 'order' AND starts_with(cause_id, $1 || ':')
        """
    row = await world.backstage.fetchrow(query, str(order_id))
    return row[0], row[1]


async def reported(world: World) -> None:
    """Count the reports, and compare them with the ledger and with what providers took."""
    await reports.count(world.db)
    row = await world.backstage.fetchrow(
        "SELECT sum(revenue_paise)::bigint, sum(refunded_paise)::bigint, sum(cost_paise)::bigint, sum(due)::bigint"
        " FROM report_orders WHERE span = 'utc'"
    )
    cost = await world.backstage.fetchval(
        """
        SELECT (SELECT sum(coalesce(charged_paise, cost_paise)) FROM orders WHERE state = 'completed')
             + (SELECT sum(cost_paise) FROM prolongations WHERE state = 'done')
        """
    )
    assert (row[0] - row[1], row[2], row[3]) == (await world.revenue(), cost, 0)


@pytest.mark.parametrize("seed", [1])
async def test_after_seven_hundred_steps_nothing_was_read_for_nothing(play: Play, seed: int) -> None:
    world = await rich(play)
    async with another_process(world) as second:
        walk = StaffWalk([world, second], random.Random(seed))
        await walk.walk(STEPS)
        await world.age(timedelta(hours=1))
        for _ in range(2):
            await jobs.end_due(world.desk)
            await world.run(
                "UPDATE orders SET next_try_at = clock_timestamp() WHERE state IN ('cancelling', 'expiring')"
            )
            await jobs.settle_ending(world.desk)
    await check(world)
    stories = await compare(world)
    await reported(world)
    wanted = [
        "code completed", "code cancelled", "rental completed", "rental cancelled", "refunded",
        "sealed after a refund", "withheld released", "withheld confirmed",
    ]  # fmt: skip
    assert all(stories[name] >= 2 for name in wanted), stories
    assert walk.refused["give_back nothing_to_refund"] >= 5, walk.refused
    assert walk.refused["decide money_went_back"] >= 1, walk.refused
