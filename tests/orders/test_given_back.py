"""Where ways of money cross: what staff gave back, what was withheld and then released, what comes after either."""

from dataclasses import replace

import pytest

from numberdesk.orders import service as orders
from numberdesk.orders.model import Card, Delivery
from numberdesk.orders.service import BeingProlonged, MoneyWentBack
from numberdesk.providers.model import Received
from numberdesk.providers.simulator import PROFILES
from numberdesk.wallet.service import NothingToRefund
from tests.orders import renting
from tests.orders.renting import let_window_end, prolong, prolonged
from tests.orders.test_prolonging import SOLD, doubt_ends
from tests.orders.test_quarantine import BANK, OURS, deliver, release, withheld
from tests.orders.world import MONEY, PRICE, Play, World, outcomes

pytestmark = pytest.mark.anyio

LATE = Received("70001", "Telegram code 70001")


async def refund(world: World, card: Card) -> Card:
    """Give back what was paid for an order, as staff do."""
    async with world.db.transaction() as tx:
        after, _ = await orders.refund(tx, card.order.id)
    world.desk.show([after])
    return after


async def told(world: World, card: Card) -> list[str]:
    return await renting.events(world, card)


async def test_what_comes_after_staff_gave_the_money_back_is_sealed(world: World) -> None:
    card = await refund(world, await deliver(world, await world.buy(), OURS))
    assert await world.money() == (MONEY, 0)
    card = await deliver(world, card, LATE)
    assert [message.code for message in card.messages] == ["48291"]
    assert await world.sealed(card) == [("48291", False), ("70001", True)]
    assert (card.order.codes_received, card.order.state) == (1, "completed")
    assert await told(world, card) == ["active", "code", "completed", "refunded"]
    assert (await deliver(world, card, BANK)).messages == card.messages
    assert await withheld(world) == [], "it is sealed anyway"
    assert await world.money() == (MONEY, 0)


async def test_a_refund_and_a_late_code_at_once_leave_no_free_code(world: World) -> None:
    card = await deliver(world, await world.buy(), OURS)
    assert card.order.upstream_id is not None
    late = world.desk.receive.call(Delivery(card.order.provider_id, card.order.upstream_id, (LATE,)))
    assert not [item for item in await outcomes([refund(world, card), late]) if isinstance(item, BaseException)]
    order = await world.read(card)
    assert (order.state, order.refunded_at is not None) == ("completed", True)
    query = "SELECT count(*) FROM messages WHERE NOT is_sealed AND received_at > $1"
    assert await world.backstage.fetchval(query, order.refunded_at) == 0


async def test_a_withheld_message_is_not_given_for_nothing_once_the_order_was_refunded(world: World) -> None:
    card = await refund(world, await deliver(world, await world.buy(), OURS, BANK))
    with pytest.raises(MoneyWentBack):
        await release(world, card, ordinal=2)
    assert await world.sealed(card) == [("48291", False), ("482913", True)]
    assert await world.money() == (MONEY, 0)


async def test_withheld_then_released_then_refunded_gives_the_price_back_once_each_time(world: World) -> None:
    card = await deliver(world, await world.buy(), BANK)
    assert await world.money() == (MONEY, 0)
    with pytest.raises(NothingToRefund):
        await refund(world, card)
    card = await release(world, card)
    assert (await world.money(), await world.revenue()) == ((MONEY - PRICE, 0), PRICE)
    card = await refund(world, card)
    assert card.refund is not None
    assert (card.refund.amount_paise, await world.money(), await world.revenue()) == (PRICE, (MONEY, 0), 0)
    with pytest.raises(NothingToRefund):
        await refund(world, card)
    card = await deliver(world, card, LATE)
    assert [message.code for message in card.messages] == ["482913"]
    assert (await world.money(), await world.revenue()) == ((MONEY, 0), 0)


async def test_two_who_release_and_one_who_refunds_at_once_take_and_give_once(world: World) -> None:
    card = await deliver(world, await world.buy(), BANK)
    found = await outcomes([release(world, card), release(world, card), refund(world, card)])
    assert len([item for item in found[:2] if isinstance(item, Card)]) == 1
    order = await world.read(card)
    available, held = await world.money()
    assert held == 0
    assert available == (MONEY if order.refunded_at is not None else MONEY - PRICE)


async def test_a_rental_is_not_refunded_while_more_hours_are_being_bought(play: Play) -> None:
    world = await renting.opened(play)
    await world.give(world.alice, MONEY)
    rental = await world.buy(renting.RENTAL)
    await let_window_end(world)
    world.alpha.set_profile(SOLD["sold-then-dropped"])
    await prolong(world, rental)
    assert await prolonged(world, rental) == ["unknown"]
    before = await world.money()
    with pytest.raises(BeingProlonged):
        await orders.refundable(world.db, rental.order.id)
    with pytest.raises(BeingProlonged):
        await refund(world, rental)
    assert await world.money() == before
    world.alpha.set_profile("never")
    await doubt_ends(world)
    assert await prolonged(world, rental) == ["done"]
    _, paid = await orders.refundable(world.db, rental.order.id)
    assert paid == 2 * renting.PRICE
    after = await refund(world, rental)
    assert (after.order.state, await world.money(), await world.revenue()) == ("completed", (2 * MONEY, 0), 0)
    with pytest.raises(orders.NotPossibleNow):
        await prolong(world, rental)


async def test_a_message_of_a_rental_that_can_still_be_cancelled_is_released_and_paid(play: Play) -> None:
    world = await renting.opened(play)
    rental = await deliver(world, await world.buy(renting.RENTAL), BANK)
    assert (rental.order.state, rental.messages) == ("active", ())
    assert await world.money() == (MONEY - renting.PRICE, renting.PRICE)
    rental = await release(world, rental)
    assert (rental.order.state, rental.order.codes_received) == ("received", 1)
    assert [message.code for message in rental.messages] == ["482913"]
    assert await world.money() == (MONEY - renting.PRICE, 0)
    assert await told(world, rental) == ["active", "code"]


async def test_a_message_of_a_rental_that_is_being_cancelled_is_released_or_the_money_goes_back(play: Play) -> None:
    world = await renting.opened(play)
    rental = await deliver(world, await world.buy(renting.RENTAL), BANK)
    world.alpha.set_profile(replace(PROFILES["http-500"], fault_on="status-changes", code_after=None))
    await world.cancel(rental)
    assert (await world.read(rental)).state == "cancelling"
    world.alpha.set_profile("never")
    ask = orders.ask_provider(world.desk, rental.order.id)
    found = await outcomes([release(world, rental), world.cancel(rental), ask])
    order = await world.read(rental)
    if isinstance(found[0], Card):
        assert (order.state, await world.money()) == ("received", (MONEY - renting.PRICE, 0))
    else:
        assert (order.state, await world.money()) == ("cancelled", (MONEY, 0))
        assert await world.sealed(rental) == [("482913", True)]
