"""Orders at a provider that speaks words and repeats no reference: the desk works over it as over any other."""

import asyncio
from datetime import timedelta

import pytest

from numberdesk.orders import jobs
from numberdesk.providers import service as providers
from numberdesk.providers.model import Done
from tests.orders.world import MONEY, NOT_SOLD, PRICE, SOLD, Play, World
from tests.providers.line_desk import words_listed

pytestmark = pytest.mark.anyio


@pytest.fixture
async def five(play: Play) -> World:
    """A world whose provider is of the 5sim family, with the words that come with the program."""
    world = await play(family="five-sim", options={"kind": "five-sim"})
    provider = world.provider()
    async with world.db.transaction() as tx:
        await providers.set_words(tx, words_listed("five-sim", provider.id), provider_id=provider.id)
    await providers.refresh(world.lines)
    return world


async def test_an_order_is_bought_delivered_twice_and_finished(five: World) -> None:
    card = await five.buy()
    assert (card.order.state, card.order.upstream_id) == ("active", five.sold_ids()[0])
    await five.watch()
    assert (await five.check(card)).order.state == "active"
    five.deliver(card, "48213")
    await five.watch()
    card = await five.check(card)
    assert (card.order.state, [message.code for message in card.messages]) == ("received", ["48213"])
    assert await five.money() == (MONEY - PRICE, 0)
    five.deliver(card, "99001")
    await five.watch()
    assert [message.code for message in (await five.check(card)).messages] == ["48213", "99001"]
    assert await five.money() == (MONEY - PRICE, 0)


async def test_a_cancelled_order_gives_its_money_back(five: World) -> None:
    card = await five.buy()
    card = await five.cancel(card)
    assert card.order.state == "cancelled"
    assert await five.money() == (MONEY, 0)
    assert [str(fact.activation_id) for fact in five.alpha.cancelled] == five.sold_ids()


@pytest.mark.parametrize("name", sorted(SOLD))
async def test_a_lost_sale_is_found_by_its_service_and_country(five: World, name: str) -> None:
    card = await five.buy_unclearly(SOLD[name])
    for _ in range(300):
        await asyncio.sleep(0 if five.alpha.sold else 0.01)
    await five.resolve()
    order = await five.read(card)
    assert (order.state, order.upstream_id) == ("active", five.sold_ids()[0])
    assert await five.money() == (MONEY - PRICE, PRICE)
    assert len(five.alpha.sold) == 1


@pytest.mark.parametrize("name", sorted(NOT_SOLD))
async def test_what_was_never_sold_gives_its_money_back(five: World, name: str) -> None:
    card = await five.buy_unclearly(NOT_SOLD[name])
    await five.resolve()
    assert (await five.read(card)).state == "failed"
    assert await five.money() == (MONEY, 0)


async def test_a_code_that_came_just_before_the_end_is_not_lost(five: World) -> None:
    card = await five.buy()
    five.deliver(card, "48213")
    finished = await providers.finish(five.lines, five.provider().id, str(card.order.upstream_id))
    assert finished == Done()
    assert len(five.alpha.finished) == 1
    await five.watch()
    card = await five.check(card)
    assert [message.code for message in card.messages] == ["48213"]
    assert await five.money() == (MONEY - PRICE, 0)


async def test_a_number_the_provider_took_back_ends_the_order(five: World) -> None:
    card = await five.buy()
    assert card.order.upstream_id is not None
    await providers.cancel(five.lines, five.provider().id, card.order.upstream_id)
    for _ in range(2):
        await five.age(timedelta(seconds=30))
        await five.watch()
    assert (await five.read(card)).state == "cancelled"
    assert await five.money() == (MONEY, 0)
    await jobs.cancel_orphans(five.desk)
