"""Five hundred random steps of two processes with rentals: whatever happens, each rupee is where it belongs.

Purchases, prolongations and cancels are answered, refused, lost before or lost after they took effect; messages come,
time passes, and all passes of the worker run in any order and at once. Afterwards our money is compared with what the
provider says it did.
"""

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from numberdesk.base.errors import AppError
from numberdesk.monitoring import service as monitoring
from numberdesk.orders import jobs
from numberdesk.orders import service as orders
from numberdesk.orders.model import Card, Order, OrderState
from numberdesk.providers.simulator import PROFILES, Profile
from tests.orders import renting
from tests.orders.renting import RENTAL
from tests.orders.world import Play, World, another_process, outcomes

pytestmark = pytest.mark.anyio

STEPS = 500
HOURS = 72
"""So long that nothing of what passes here is taken for a prolongation, or the end of one."""
COST = 8 * 1775
MONEY = 1_00_00_000_00
FINAL: tuple[OrderState, ...] = ("completed", "cancelled", "failed")


def _on(name: str, fault_on: Any) -> Profile:
    return replace(PROFILES[name], code_after=None, fault_on=fault_on)


WEATHER: list[str | Profile] = [
    "never", "never", "never", "no-stock",
    _on("sold-then-dropped", "purchases"), _on("sold-then-500", "purchases"), _on("dropped-not-sold", "purchases"),
    _on("http-500", "purchases"), _on("http-500", "status-changes"),
]  # fmt: skip


@dataclass
class Walk:
    """A random walk: what there is, and what chance says."""

    worlds: list[World]
    chance: random.Random
    cards: list[Card] = field(default_factory=list)
    texts: int = 0

    @property
    def world(self) -> World:
        return self.chance.choice(self.worlds)

    async def buy(self) -> None:
        wish = replace(RENTAL, hours=HOURS, service=self.chance.choice(["tg", "tg", "wa"]))
        self.cards.append(await self.world.buy(wish))

    async def any_card(self) -> Card:
        """Choose an order as it is now, mostly one of the last."""
        if not self.cards:
            await self.buy()
        return Card(await self.worlds[0].read(self.chance.choice(self.cards[-8:])))

    async def cancel(self) -> None:
        await self.world.cancel(await self.any_card())

    async def prolong(self) -> None:
        key = self.chance.choice([None, "first", "second"])
        await renting.prolong(self.world, await self.any_card(), hours=HOURS, key=key)

    async def finish(self) -> None:
        world = self.world
        await orders.finish(world.desk, account_id=world.alice, order_id=(await self.any_card()).order.id)

    async def next_code(self) -> None:
        world = self.world
        await orders.next_code(world.desk, account_id=world.alice, order_id=(await self.any_card()).order.id)

    async def message(self) -> None:
        """Let a message arrive at the provider; sometimes the one before comes again."""
        card = await self.any_card()
        self.texts += self.chance.random() < 0.8
        if card.order.upstream_id is not None:
            renting.deliver(self.worlds[0], card, str(10_000 + self.texts))

    async def look(self) -> None:
        await self.world.watch()

    async def pass_time(self) -> None:
        """Let some time pass, or a look at everything be due."""
        world = self.worlds[0]
        if self.chance.random() < 0.3:
            await world.age(timedelta(seconds=self.chance.choice([1, 5, 30, 60, 300, 1260])))
        if self.chance.random() < 0.3:
            # Of all of them it would be the looks alone that take the time.
            newest = [card.order.id for card in self.cards[-6:]]
            await world.run(
                "UPDATE orders SET next_try_at = NULL WHERE state IN ('active', 'received') AND id = ANY($1::bigint[])",
                newest,
            )

    async def upkeep(self) -> None:
        await self.chance.choice(_PASSES)(self.world.desk)

    async def step(self) -> None:
        """Do one thing, or several at once; a refusal is an outcome like any other."""
        await self.pass_time()
        self.worlds[0].alpha.set_profile(self.chance.choice(WEATHER))
        verbs: list[Callable[[], Awaitable[None]]] = [
            self.buy, self.buy, self.cancel, self.prolong, self.prolong, self.finish, self.next_code, self.message,
            self.message, self.look, self.look, self.upkeep, self.upkeep,
        ]  # fmt: skip
        chosen = self.chance.choices(verbs, k=self.chance.choice([1, 1, 2, 3]))
        for result in await outcomes(verb() for verb in chosen):
            if isinstance(result, BaseException) and not isinstance(result, AppError):
                raise result

    async def walk(self, steps: int) -> None:
        """Take so many steps, and let all come to its end."""
        for place in range(steps):
            await self.step()
            if place % 100 == 0:
                await check(self.worlds[0])
        for world in self.worlds:
            await world.db.drain(timeout=3)
        await self.rest()

    async def rest(self) -> None:
        """Let every doubt be settled, and the time of all that is left be over."""
        world = self.worlds[0]
        world.alpha.set_profile("never")
        for _ in range(6):
            await world.resolve()
            await orders.follow_prolongations(world.desk)
            await world.run("UPDATE orders SET next_try_at = clock_timestamp() WHERE state = 'cancelling'")
            await jobs.settle_ending(world.desk)
        await world.run("UPDATE orders SET next_try_at = NULL")
        await self.look()
        await world.age(timedelta(hours=HOURS * 40))
        for done in (jobs.keep_rentals, jobs.end_due, jobs.release_finished):
            while await done(world.desk):
                pass


_PASSES: list[Callable[[Any], Awaitable[int]]] = [
    jobs.keep_rentals, jobs.end_due, jobs.settle_ending, jobs.doubt_stale, jobs.cancel_orphans, jobs.release_finished,
    orders.follow_prolongations,
]  # fmt: skip


async def check(world: World) -> None:
    """Compare all money of ours with the orders, and those with what the provider did."""
    wrong = [(check.name, check.wrong) for check in await monitoring.verify(world.db) if not check.ok]
    assert not wrong, wrong


async def taken(world: World, order: Order) -> tuple[int, int]:
    """Return what was captured of an order: for it, and for more hours."""
    query = """
        SELECT coalesce(sum(amount_paise) FILTER (WHERE NOT starts_with(purpose, 'prolong:')), 0)::bigint,
               coalesce(sum(amount_paise) FILTER (WHERE starts_with(purpose, 'prolong:')), 0)::bigint
        FROM holds WHERE order_id = $1 AND state = 'captured'
        """
    row = await world.backstage.fetchrow(query, order.id)
    return row[0], row[1]


async def compare(world: World) -> None:
    """Compare what each order was charged with what the provider did for it."""
    facts = world.alpha.facts()
    sold = {f"rent:{fact.rental_id}" for fact in facts if fact.fact == "rented"}
    back = {f"rent:{fact.rental_id}" for fact in facts if fact.fact == "cancelled"}
    longer = Counter(f"rent:{fact.rental_id}" for fact in facts if fact.fact == "prolonged")
    found = await world.all_orders()
    for order in found:
        assert order.state in FINAL, order
        price, more = await taken(world, order)
        assert price == (order.price_paise if order.state == "completed" else 0), order
        assert (order.upstream_id in sold and order.upstream_id not in back) >= (order.state == "completed"), order
        count = longer[order.upstream_id or ""]
        assert order.extensions == count, order
        assert more == count * order.price_paise, order
    linked = [order.upstream_id for order in found if order.upstream_id is not None]
    assert len(linked) == len(set(linked))
    orphans = await world.orphans()
    assert sold - set(linked) <= orphans.keys()
    texts = Counter((fact.rental_id, fact.text) for fact in facts if fact.fact == "delivered")
    seen = await world.backstage.fetchval("SELECT count(*) FROM messages")
    assert seen <= len(texts)
    held = await world.backstage.fetchval("SELECT coalesce(sum(held_paise), 0) FROM wallets")
    assert held == 0
    assert (await world.money())[0] + await world.revenue() == MONEY + 10_000


async def rich(play: Play) -> World:
    """Open a world that rents numbers out, and whose customer has money for all steps."""
    world = await renting.opened(play, balance="10000000.00")
    await renting.rent_out(world, hours=HOURS, cost=COST)
    await world.keep_buying()
    await world.give(world.alice, MONEY)
    return world


@pytest.mark.parametrize("seed", [7])
async def test_after_five_hundred_random_steps_every_rupee_is_where_it_belongs(play: Play, seed: int) -> None:
    world = await rich(play)
    async with another_process(world) as second:
        await Walk([world, second], random.Random(seed)).walk(STEPS)
    await check(world)
    await compare(world)
    states = Counter(order.state for order in await world.all_orders())
    assert all(states[state] >= 5 for state in FINAL), states
    assert len(world.alpha.facts("prolonged")) >= 10
