"""A bank's message on a rental is withheld, the rental goes on, and what staff decide later moves its price once."""

import asyncio
from datetime import timedelta

import pytest

from numberdesk.orders import jobs
from numberdesk.orders import service as orders
from numberdesk.orders.model import Card, Closing
from numberdesk.orders.service import AlreadyDecided, MoneyWentBack, RentalKept
from tests.orders import renting
from tests.orders.renting import HOURS, PRICE, RENTAL, deliver, let_window_end, look
from tests.orders.test_quarantine import BANK, EVENT, release
from tests.orders.world import MONEY, Play, World

pytestmark = pytest.mark.anyio

OTHER = "551177 is OTP for txn of INR 80.00 on ICICI Bank card ending 1234. Do not share."


@pytest.fixture
async def world(play: Play) -> World:
    return await renting.opened(play)


async def with_banks_message(world: World) -> Card:
    """Rent a number for hours, on which a bank's message comes before anything else."""
    card = await world.buy(RENTAL)
    deliver(world, card, BANK.code, BANK.text)
    for _ in range(20):  # on a busy machine the provider may be silent at first
        card = await look(world, card)
        if await sealed(world, card):
            return card
    raise AssertionError("the message never came")


def texts(card: Card) -> list[str]:
    return [message.text for message in card.messages]


async def sealed(world: World, card: Card) -> list[str]:
    query = "SELECT text FROM messages WHERE order_id = $1 AND is_sealed ORDER BY ordinal"
    return [row[0] for row in await world.backstage.fetch(query, card.order.id)]


async def test_the_rental_goes_on_with_its_money_held_and_shows_nothing(world: World) -> None:
    card = await with_banks_message(world)
    assert (card.order.state, card.order.failure, card.messages) == ("active", None, ())
    assert await sealed(world, card) == [BANK.text]
    assert await world.money() == (MONEY - PRICE, PRICE)
    assert await renting.events(world, card) == ["active"]


async def test_released_the_first_message_pays_the_rental_as_any_first_one_does(world: World) -> None:
    card = await release(world, await with_banks_message(world))
    assert (card.order.state, card.order.codes_received) == ("received", 1)
    assert texts(card) == [BANK.text]
    assert await world.money() == (MONEY - PRICE, 0)
    assert await renting.events(world, card) == ["active", "code"]
    with pytest.raises(AlreadyDecided):
        await release(world, card)
    deliver(world, card, "48291")
    card = await look(world, card)
    assert texts(card) == [BANK.text, "Telegram code 48291"]
    assert await world.money() == (MONEY - PRICE, 0)


async def test_of_several_messages_only_the_first_released_one_pays(world: World) -> None:
    card = await with_banks_message(world)
    deliver(world, card, "551177", OTHER)
    card = await look(world, card)
    assert await sealed(world, card) == [BANK.text, OTHER]
    results = await asyncio.gather(release(world, card, 1), release(world, card, 2))
    assert {result.order.state for result in results} == {"received"}
    assert len((await world.check(card)).messages) == 2
    assert await world.money() == (MONEY - PRICE, 0)


async def test_after_the_time_for_cancelling_it_is_paid_and_a_release_costs_nothing_more(world: World) -> None:
    card = await with_banks_message(world)
    await let_window_end(world)
    assert await world.money() == (MONEY - PRICE, 0)
    card = await release(world, card)
    assert texts(card) == [BANK.text]
    await world.age(timedelta(hours=HOURS))
    await jobs.end_due(world.desk)
    assert (await world.read(card)).state == "completed"
    assert await world.money() == (MONEY - PRICE, 0)


async def test_a_rental_that_was_given_back_is_not_paid_by_a_release(world: World) -> None:
    card = await with_banks_message(world)
    await world.desk.close.call(Closing(card.order.id, frozenset({"active"}), "cancelled", "provider_cancelled"))
    assert await world.money() == (MONEY, 0)
    with pytest.raises(MoneyWentBack):
        await release(world, card)
    assert await sealed(world, card) == [BANK.text]
    assert await world.money() == (MONEY, 0)
    await orders.confirm(world.db, order_id=card.order.id, ordinal=1, by=world.bob, reason="over", event=EVENT)


async def test_its_provider_does_not_take_it_back_so_it_is_kept_and_paid(world: World) -> None:
    card = await with_banks_message(world)
    with pytest.raises(RentalKept):
        await world.cancel(card)
    assert (await world.read(card)).state == "received"
    assert await world.money() == (MONEY - PRICE, 0)
    assert await sealed(world, card) == [BANK.text]
    card = await release(world, card)
    assert texts(card) == [BANK.text]
    assert await world.money() == (MONEY - PRICE, 0)


async def test_a_release_and_a_cancel_at_once_move_the_price_one_way(world: World) -> None:
    await world.give(world.alice, 3 * PRICE)
    for _ in range(3):
        card = await with_banks_message(world)
        available, held = await world.money()
        released, _ = await asyncio.gather(release(world, card), world.cancel(card), return_exceptions=True)
        assert isinstance(released, Card), released
        assert texts(await world.check(card)) == [BANK.text]
        assert await world.money() == (available, held - PRICE)
