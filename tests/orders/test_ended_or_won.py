"""A provider that no longer knows a number may have sold its code: then the code is its buyer's, and is paid for."""

import pytest

from numberdesk.orders.service import NotCancellable
from numberdesk.providers import service as providers
from tests.orders.world import MONEY, PRICE, World, scripted

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("dialect", ["classic", "hero"])
@pytest.mark.parametrize("word", [b"NO_ACTIVATION", b"ACTIVATION_NOT_ACTIVE"])
async def test_a_cancel_that_came_after_the_code_and_its_end_takes_the_code(
    world: World, word: bytes, dialect: str
) -> None:
    await providers.set_options(world.db, world.provider().id, dialect=dialect)
    script = {"getStatus": b"STATUS_OK:48213", "setStatus 8": word, "cancelActivation": word}
    async with scripted(world, **script):
        card = await world.buy()
        with pytest.raises(NotCancellable):
            await world.cancel(card)
        card = await world.check(card)
        assert (card.order.state, [message.code for message in card.messages]) == ("received", ["48213"])
        assert (await world.money(), await world.revenue()) == ((MONEY - PRICE, 0), PRICE)


@pytest.mark.parametrize("word", [b"STATUS_CANCEL", b"NO_ACTIVATION", b"STATUS_WAIT_CODE", b"<html>"])
async def test_a_cancel_of_a_number_that_is_gone_without_a_code_gives_the_money_back(world: World, word: bytes) -> None:
    async with scripted(world, getStatus=word):
        card = await world.cancel(await world.buy())
        assert (card.order.state, card.order.upstream_refund) == ("cancelled", "assumed")
        assert await world.money() == (MONEY, 0)


async def test_whether_a_code_came_is_asked_again_when_that_answer_was_lost(world: World) -> None:
    async with scripted(world, getStatus=None):
        card = await world.cancel(await world.buy())
        assert (card.order.state, await world.money()) == ("cancelling", (MONEY - PRICE, PRICE))
