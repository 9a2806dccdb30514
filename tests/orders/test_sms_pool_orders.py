"""Orders at a provider whose ids are letters, that lists services by name and repeats no reference."""

import asyncio

import pytest

from numberdesk.orders.model import Card
from numberdesk.providers import service as providers
from numberdesk.providers.service import Word
from numberdesk.providers.simulator.sms_pool import number_of, order_code
from tests.orders.world import MONEY, NOT_SOLD, PRICE, SOLD, Play, World
from tests.providers.sms_pool_desk import WORDS

pytestmark = pytest.mark.anyio


@pytest.fixture
async def pool(play: Play) -> World:
    """A world whose provider is of the SMSPool family, with words for services and countries."""
    world = await play(family="sms-pool", options={"kind": "sms-pool"})
    provider = world.provider()
    words = [
        *(Word(provider.id, "service", word, code, "list") for word, code in WORDS.services.items()),
        *(Word(provider.id, "country", word, str(number), "iso") for word, number in WORDS.countries.items()),
    ]
    async with world.db.transaction() as tx:
        await providers.set_words(tx, words, provider_id=provider.id)
    await providers.refresh(world.lines)
    return world


def sold_ids(world: World) -> list[str]:
    return [order_code(fact.activation_id or 0) for fact in world.alpha.sold]


def deliver(world: World, card: Card, code: str) -> None:
    assert card.order.upstream_id is not None
    world.alpha.deliver(number_of(card.order.upstream_id), f"Telegram code {code}", code=code)


async def test_an_order_is_bought_and_delivered(pool: World) -> None:
    card = await pool.buy()
    assert (card.order.state, card.order.upstream_id) == ("active", sold_ids(pool)[0])
    await pool.watch()
    assert (await pool.check(card)).order.state == "active"
    deliver(pool, card, "48213")
    await pool.watch()
    card = await pool.check(card)
    assert (card.order.state, [message.code for message in card.messages]) == ("received", ["48213"])
    assert await pool.money() == (MONEY - PRICE, 0)


async def test_a_cancelled_order_gives_its_money_back(pool: World) -> None:
    card = await pool.cancel(await pool.buy())
    assert card.order.state == "cancelled"
    assert await pool.money() == (MONEY, 0)
    assert [order_code(fact.activation_id or 0) for fact in pool.alpha.cancelled] == sold_ids(pool)


@pytest.mark.parametrize("name", sorted(SOLD))
async def test_a_lost_sale_is_found_by_its_service_and_country(pool: World, name: str) -> None:
    card = await pool.buy_unclearly(SOLD[name])
    for _ in range(300):
        await asyncio.sleep(0 if pool.alpha.sold else 0.01)
    await pool.resolve()
    order = await pool.read(card)
    assert (order.state, order.upstream_id) == ("active", sold_ids(pool)[0])
    assert await pool.money() == (MONEY - PRICE, PRICE)
    assert len(pool.alpha.sold) == 1


@pytest.mark.parametrize("name", sorted(NOT_SOLD))
async def test_what_was_never_sold_gives_its_money_back(pool: World, name: str) -> None:
    card = await pool.buy_unclearly(NOT_SOLD[name])
    await pool.resolve()
    assert (await pool.read(card)).state == "failed"
    assert await pool.money() == (MONEY, 0)
