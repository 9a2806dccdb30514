"""A number in a provider's list that no order has: whose it may be, and whose it cannot be."""

import pytest

from numberdesk.providers import service as providers
from numberdesk.providers.sql import Word
from tests.orders.world import MONEY, PATIENCE, World, listing, row, scripted

pytestmark = pytest.mark.anyio


async def test_a_number_of_a_country_that_we_have_no_word_for_is_no_orders(world: World) -> None:
    """Our 22 is the provider's 99, so its own 22 is a country that nobody here can have bought in."""
    provider_id = world.provider().id
    async with world.db.transaction() as tx:
        await providers.set_words(tx, [Word(provider_id, "country", "99", "22", "staff")], provider_id=provider_id)
    async with scripted(world, getNumberV2=None) as script:
        card = await world.buy()
        assert card.order.state == "unknown"
        script.answers["getActiveActivations"] = listing(row())
        for _ in range(4):
            await world.age(PATIENCE)
            await world.watch()
        order = await world.read(card)
        assert (order.state, order.failure, order.number) == ("failed", "never_sold", None)
        assert await world.money() == (MONEY, 0)


@pytest.mark.parametrize("dialect", ["smsbower", "grizzly", "text-status"])
async def test_an_order_id_of_the_providers_own_is_not_taken_for_ours(world: World, dialect: str) -> None:
    await providers.set_options(world.db, world.provider().id, dialect=dialect)
    async with scripted(world, getNumberV2=None) as script:
        card = await world.buy()
        assert card.order.state == "unknown"
        script.answers["getActiveActivations"] = listing(row(orderId="8840172"))
        await world.age(PATIENCE)
        await world.watch()
        assert (await world.read(card)).state == "active"


@pytest.mark.parametrize(
    "said",
    [
        b'{"status":"ERROR","data":[]}',
        b'{"status":0,"data":[]}',
        b'{"success":false,"data":[]}',
        b'{"error":"Too many requests","activeActivations":[]}',
        b'{"message":"Unauthenticated.","data":[]}',
    ],
)
async def test_an_error_beside_an_empty_list_does_not_say_that_nothing_was_sold(world: World, said: bytes) -> None:
    async with scripted(world, getNumberV2=None, getActiveActivations=said):
        card = await world.buy()
        for _ in range(4):
            await world.age(PATIENCE)
            await world.watch()
        assert (await world.read(card)).state == "unknown"


@pytest.mark.parametrize(
    "said",
    [b'{"status":"success","data":[]}', b'{"activeActivations":[]}', b'{"status":true,"message":"","data":[]}', b"[]"],
)
async def test_an_empty_list_says_that_nothing_was_sold(world: World, said: bytes) -> None:
    async with scripted(world, getNumberV2=None, getActiveActivations=said):
        card = await world.buy()
        for _ in range(4):
            await world.age(PATIENCE)
            await world.watch()
        assert (await world.read(card)).failure == "never_sold"
