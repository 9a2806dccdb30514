"""A process dies at every place of what it does with an order's money: nothing is lost or doubled or given for free."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from numberdesk.base.db import open_database
from numberdesk.catalogue import service as catalogue
from numberdesk.orders import jobs
from numberdesk.orders import service as orders
from numberdesk.orders.model import Card, Delivery
from numberdesk.orders.service import AlreadyDecided, CannotProlong
from numberdesk.providers import service as providers
from tests.deaths import PLACES_MAX, VICTIM, survived
from tests.orders import renting
from tests.orders.renting import PRICE, RENTAL, let_window_end, prolong, prolonged
from tests.orders.test_prolonging import doubt_ends
from tests.orders.test_quarantine import BANK, EVENT, OURS, deliver, withheld
from tests.orders.world import MONEY, RULES, Play, World
from tests.orders.world import PRICE as CODE_PRICE

pytestmark = pytest.mark.anyio

Verb = Callable[[World], Awaitable[Any]]


@asynccontextmanager
async def victim(world: World) -> AsyncIterator[World]:
    """Open a process that will be killed: nothing of it is ended in good order."""
    db = await open_database(world.db.url, size=5, name=VICTIM)
    lines = await providers.open_lines(db, world.vault)
    try:
        shelf = await catalogue.open_shelf(db)
        desk = orders.open_desk(db, lines=lines, shelf=shelf, rules=RULES)
        yield replace(world, db=db, lines=lines, shelf=shelf, desk=desk)
    finally:
        for task in list(db._tasks):
            task.cancel()
        await providers.close(lines)
        db.pool.terminate()


async def dies(world: World, verb: Verb, place: int) -> bool:
    """Carry a verb out in a process that dies at a place; False when it came to its end before."""
    async with victim(world) as second:
        return not await survived(lambda: verb(second), place)


async def at_every_place(once: Callable[[int], Awaitable[bool]]) -> int:
    """Let a process die at each place in turn until one lives; returns how many died."""
    for place in range(PLACES_MAX):
        if not await once(place):
            return place
    raise AssertionError("it never came to its end")


async def test_while_more_hours_are_bought(play: Play) -> None:
    world = await renting.opened(play)
    await world.give(world.alice, 100 * PRICE)
    rental = await world.buy(RENTAL)
    await let_window_end(world)

    async def is_right() -> None:
        done = (await prolonged(world, rental)).count("done")
        assert set(await prolonged(world, rental)) <= {"done", "refused"}
        assert len(world.alpha.facts("prolonged")) == done
        assert (await world.read(rental)).extensions == done
        assert await world.money() == (MONEY + 99 * PRICE - done * PRICE, 0)

    async def once(place: int) -> bool:
        key = f"place-{place}"
        has_died = await dies(world, lambda second: prolong(second, rental, key=key), place)
        await doubt_ends(world, 4)
        await is_right()
        asked = len(await prolonged(world, rental))
        query = "SELECT count(*) FROM prolongations WHERE request_key = $1"
        was_begun = await world.backstage.fetchval(query, key)
        try:
            await prolong(world, rental, key=key)
        except CannotProlong:
            assert was_begun
        assert len(await prolonged(world, rental)) == asked + (not was_begun), "a repeat buys what was not begun only"
        await is_right()
        return has_died

    assert await at_every_place(once) >= 20
    assert {"done", "refused"} == set(await prolonged(world, rental))


async def test_while_a_rental_is_cancelled(play: Play) -> None:
    world = await renting.opened(play)
    await world.give(world.alice, 100 * PRICE)
    before = (await world.money())[0]

    async def once(place: int) -> bool:
        rental = await world.buy(RENTAL)
        has_died = await dies(world, lambda second: second.cancel(rental), place)
        await world.run("UPDATE orders SET next_try_at = clock_timestamp() WHERE state = 'cancelling'")
        await jobs.settle_ending(world.desk)
        order = await world.read(rental)
        assert order.upstream_id is not None
        assert order.state in ("active", "cancelled")
        back = [f"rent:{fact.rental_id}" for fact in world.alpha.facts("cancelled")]
        assert back.count(order.upstream_id) == (order.state == "cancelled")
        assert await world.money() == ((before, 0) if order.state == "cancelled" else (before - PRICE, PRICE))
        await world.cancel(rental)
        assert await world.money() == (before, 0)
        return has_died

    assert await at_every_place(once) >= 10


async def test_while_a_message_is_withheld(world: World) -> None:
    async def once(place: int) -> bool:
        order = (await world.buy()).order
        assert order.upstream_id is not None
        delivery = Delivery(order.provider_id, order.upstream_id, (BANK,))
        has_died = await dies(world, lambda second: second.desk.receive.call(delivery), place)
        card = await deliver(world, Card(order), BANK)
        assert (card.order.state, card.order.failure, card.messages) == ("cancelled", "withheld", ())
        assert await world.sealed(card) == [("482913", True)]
        assert await world.money() == (MONEY, 0)
        return has_died

    places = await at_every_place(once)
    assert places >= 10
    assert len(await withheld(world)) == places + 1


async def test_while_a_withheld_message_is_released(world: World) -> None:
    await world.give(world.alice, 100 * CODE_PRICE)

    async def once(place: int) -> bool:
        before = (await world.money())[0]
        card = await deliver(world, await world.buy(), BANK)

        async def release(second: World) -> None:
            await orders.release(
                second.desk, order_id=card.order.id, ordinal=1, by=world.bob, reason="a mistake", event=EVENT
            )

        has_died = await dies(world, release, place)
        is_given = await world.sealed(card) == [("482913", False)]
        order = await world.read(card)
        assert (order.state, await world.money()) == (
            ("completed", (before - CODE_PRICE, 0)) if is_given else ("cancelled", (before, 0))
        )
        if is_given:
            with pytest.raises(AlreadyDecided):
                await release(world)
        else:
            await release(world)
        assert await world.money() == (before - CODE_PRICE, 0)
        return has_died

    assert await at_every_place(once) >= 20


async def test_while_staff_give_the_money_back(world: World) -> None:
    async def once(place: int) -> bool:
        card = await deliver(world, await world.buy(), OURS)

        async def refund(second: World) -> None:
            async with second.db.transaction() as tx:
                await orders.refund(tx, card.order.id)

        has_died = await dies(world, refund, place)
        order = await world.read(card)
        is_back = order.refunded_at is not None
        assert (order.state, await world.money()) == (
            ("completed", (MONEY, 0)) if is_back else ("received", (MONEY - CODE_PRICE, 0))
        )
        if not is_back:
            await refund(world)
        assert await world.money() == (MONEY, 0)
        return has_died

    assert await at_every_place(once) >= 10


async def test_while_a_rental_is_bought(play: Play) -> None:
    world = await renting.opened(play)
    await world.give(world.alice, 100 * PRICE)

    async def once(place: int) -> bool:
        has_died = await dies(world, lambda second: second.buy(RENTAL, key=f"place-{place}"), place)
        await world.resolve()
        found = await world.all_orders()
        assert {order.state for order in found} <= {"active", "failed"}
        linked = {order.upstream_id for order in found if order.state == "active"}
        sold = {f"rent:{fact.rental_id}" for fact in world.alpha.facts("rented")}
        back = {f"rent:{fact.rental_id}" for fact in world.alpha.facts("cancelled")}
        assert sold - back == linked
        assert await world.money() == (MONEY + (100 - len(linked)) * PRICE, len(linked) * PRICE)
        return has_died

    assert await at_every_place(once) >= 10
