"""Unknown purchases: nothing is bought twice, what was sold is found again, what was not gives its money back."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from numberdesk.accounts.service import KeyInFlight
from numberdesk.orders import jobs
from numberdesk.orders.model import Card
from numberdesk.orders.service import NotCancellable
from numberdesk.providers.model import Refused
from numberdesk.providers.simulator import PROFILES
from tests.orders.world import (
    DEAR_PRICE,
    MONEY,
    NOT_SOLD,
    PATIENCE,
    PRICE,
    SLOW,
    SOLD,
    Play,
    World,
    another_process,
)

pytestmark = pytest.mark.anyio

# Doubt.


@pytest.mark.parametrize("profile", [*SOLD.values(), *NOT_SOLD.values()], ids=lambda profile: profile.name)
async def test_an_unclear_answer_holds_the_money_and_buys_nothing_again(play: Play, profile: Any) -> None:
    world = await play(beta="never")
    card = await world.buy_unclearly(profile)
    assert await world.money() == (MONEY - PRICE, PRICE)
    assert len([fact for fact in world.alpha.facts("sold", "refused") if fact.action != "setStatus"]) <= 1
    assert world.beta.facts() == []
    with pytest.raises(NotCancellable) as refused:
        await world.cancel(card)
    assert refused.value.order_status == "pending"
    assert await world.money() == (MONEY - PRICE, PRICE)


async def test_a_repeat_of_an_unclear_purchase_is_the_same_order(world: World) -> None:
    world.alpha.set_profile("dropped-not-sold")
    first = await world.buy(key="once")
    world.alpha.set_profile("never")
    assert await world.buy(key="once") == first
    assert world.alpha.sold == []
    assert await world.money() == (MONEY - PRICE, PRICE)


# Sold after all.


@pytest.mark.parametrize("profile", SOLD.values(), ids=lambda profile: profile.name)
async def test_what_was_sold_is_linked_and_its_code_arrives(world: World, profile: Any) -> None:
    card = await world.buy_unclearly(profile)
    await asyncio.sleep(SLOW if profile.name == "late-sale" else 0)
    (sale,) = world.alpha.sold
    await world.watch()
    order = await world.read(card)
    assert (order.state, order.number, order.upstream_id) == ("active", sale.phone, str(sale.activation_id))
    assert await world.money() == (MONEY - PRICE, PRICE)
    assert (await world.check(card)).order == order
    world.deliver(Card(order), "12345")
    await world.watch()
    assert [message.code for message in (await world.check(card)).messages] == ["12345"]
    assert await world.money() == (MONEY - PRICE, 0)
    assert await world.revenue() == PRICE
    assert world.alpha.cancelled == []


async def test_rubbish_is_resolved_whether_it_hid_a_sale_or_not(world: World) -> None:
    world.alpha.set_profile(replace(PROFILES["garbage"], fault_on="purchases", code_after=None))
    await world.give(world.alice, 10 * PRICE)
    await world.keep_buying()
    for _ in range(10):
        assert (await world.buy()).order.state == "unknown"
    sold = world.sold_ids()
    assert 0 < len(sold) < 10, "the draws of chance make both"
    world.alpha.set_profile("never")
    await world.resolve()
    found = await world.all_orders()
    assert sorted(order.upstream_id for order in found if order.upstream_id) == sorted(sold)
    assert {order.state for order in found if order.upstream_id} == {"active"}
    assert {(order.state, order.failure) for order in found if not order.upstream_id} == {("failed", "never_sold")}
    assert await world.money() == (MONEY + (10 - len(sold)) * PRICE, len(sold) * PRICE)
    assert world.alpha.cancelled == []


async def test_after_a_fall_back_the_doubt_is_about_the_second_provider(play: Play) -> None:
    world = await play(profile="no-stock", beta=SOLD["sold-then-dropped"])
    card = await world.buy()
    assert (card.order.state, card.order.attempt) == ("unknown", 2)
    world.beta.set_profile("never")
    await world.resolve("alpha")
    assert (await world.read(card)).state == "unknown"
    await world.watch("beta")
    order = await world.read(card)
    assert [order.upstream_id] == world.sold_ids("beta")
    world.deliver(Card(order), "12345", name="beta")
    await world.watch("beta")
    assert await world.money() == (MONEY - DEAR_PRICE, 0)
    assert await world.revenue() == DEAR_PRICE


# Never sold.


@pytest.mark.parametrize("profile", NOT_SOLD.values(), ids=lambda profile: profile.name)
async def test_what_was_not_sold_gives_the_money_back(world: World, profile: Any) -> None:
    card = await world.buy_unclearly(profile)
    await world.resolve()
    card = await world.check(card)
    assert (card.order.state, card.order.failure) == ("failed", "never_sold")
    assert card.refund is not None
    assert card.refund.amount_paise == PRICE
    assert await world.money() == (MONEY, 0)
    assert world.alpha.sold == []


async def test_one_list_or_one_early_list_is_not_enough_to_give_up(world: World) -> None:
    card = await world.buy_unclearly("dropped-not-sold")
    for _ in range(3):
        await world.watch()
    assert (await world.read(card)).state == "unknown", "the purchase might still be on its way"
    await world.age(PATIENCE)
    await world.watch()
    await world.watch()
    assert (await world.read(card)).state == "unknown", "the second look comes later"
    assert await world.money() == (MONEY - PRICE, PRICE)
    await world.age(timedelta(seconds=10))
    await world.watch()
    assert (await world.read(card)).state == "failed"
    assert await world.money() == (MONEY, 0)


async def test_a_list_that_cannot_be_read_resolves_nothing_until_the_number_has_died(world: World) -> None:
    card = await world.buy_unclearly("dropped-not-sold")
    world.alpha.set_profile("http-500")
    for _ in range(4):
        await world.age(timedelta(minutes=1))
        await world.watch()
    assert (await world.read(card)).state == "unknown"
    assert await world.money() == (MONEY - PRICE, PRICE)
    await world.age(timedelta(minutes=22))
    await world.watch()
    assert (await world.read(card)).state == "failed"
    assert await world.money() == (MONEY, 0)


async def test_an_answer_that_comes_after_the_money_went_back_has_its_number_cancelled(world: World) -> None:
    card = await world.reserve(key="slow")
    await world.resolve()
    assert (await world.read(card)).failure == "never_sold"
    answer = await world.rent("late-1")
    late = await world.settle(card, answer)
    assert (late.order.state, late.order.number) == ("failed", None)
    assert await world.orphans() == {answer.upstream_id: "cancelling"}
    await jobs.cancel_orphans(world.desk)
    assert [str(fact.activation_id) for fact in world.alpha.cancelled] == [answer.upstream_id]
    assert await world.money() == (MONEY, 0)


# A process that died, and one that is only slow.


async def test_a_purchase_whose_process_died_before_asking_gives_the_money_back(world: World) -> None:
    card = await world.reserve(key="died")
    await jobs.doubt_stale(world.desk)
    assert (await world.read(card)).state == "requested", "its process may be alive"
    await world.age(PATIENCE)
    assert await jobs.doubt_stale(world.desk) == 1
    assert (await world.check(card)).order.state == "unknown"
    assert await world.money() == (MONEY - PRICE, PRICE)
    await world.resolve()
    assert (await world.check(card)).order.failure == "never_sold"
    assert await world.money() == (MONEY, 0)


async def test_a_purchase_whose_process_died_after_the_sale_gets_its_number(world: World) -> None:
    card = await world.reserve(key="died")
    answer = await world.rent(f"{card.order.id}-1")
    with pytest.raises(KeyInFlight):
        await world.buy(key="died")
    await world.age(PATIENCE)
    await jobs.doubt_stale(world.desk)
    await world.watch()
    order = await world.read(card)
    assert (order.state, order.upstream_id, order.number) == ("active", answer.upstream_id, answer.number)
    assert (await world.buy(key="died")).order == order
    assert await world.money() == (MONEY - PRICE, PRICE)


async def test_a_doubted_purchase_whose_answer_comes_keeps_its_number(world: World) -> None:
    card = await world.reserve(key="slow")
    answer = await world.rent(f"{card.order.id}-1")
    await world.age(PATIENCE)
    await jobs.doubt_stale(world.desk)
    settled = await world.settle(card, answer)
    assert settled.order.state == "active"
    await world.resolve()
    assert await world.read(card) == replace(settled.order, **times(await world.read(card)))
    assert world.alpha.cancelled == []
    assert await world.money() == (MONEY - PRICE, PRICE)


def times(order: Any) -> dict[str, Any]:
    """Return what `World.age` changes."""
    names = ("created_at", "sent_at", "activated_at", "cancel_allowed_at", "expires_at", "last_expiry_at")
    return {name: getattr(order, name) for name in names}


async def test_an_answer_that_comes_after_the_code_gives_the_order_with_its_code(world: World) -> None:
    card = await world.reserve(key="slow")
    answer = await world.rent(f"{card.order.id}-1")
    await world.age(PATIENCE)
    async with another_process(world) as second:
        await jobs.doubt_stale(second.desk)
        await second.watch()
        world.deliver(Card(await world.read(card)), "12345")
        await second.watch()
        settled = await world.settle(card, answer)
        assert [message.code for message in settled.messages] == ["12345"]
        assert settled == await second.check(card)
    assert await world.money() == (MONEY - PRICE, 0)


async def test_an_orphan_that_turns_out_to_be_an_orders_is_not_cancelled(world: World) -> None:
    answer = await world.rent("late-1")
    await world.watch()
    await world.age(PATIENCE)
    await world.watch()
    assert list((await world.orphans()).values()) == ["cancelling"]
    assert (await world.settle(await world.reserve(key="late"), answer)).order.state == "active"
    await jobs.cancel_orphans(world.desk)
    assert world.alpha.cancelled == []
    assert await world.money() == (MONEY - PRICE, PRICE)


async def test_a_dead_purchase_is_doubted_before_its_number_is_taken_for_nobodys(world: World) -> None:
    card = await world.reserve(key="died")
    answer = await world.rent(f"{card.order.id}-1")
    await world.watch()
    await world.age(PATIENCE)
    await world.watch()
    assert (await world.check(card)).order.upstream_id == answer.upstream_id
    await world.resolve()
    assert world.alpha.cancelled == []
    assert await world.money() == (MONEY - PRICE, PRICE)


async def test_a_doubted_purchase_that_was_refused_goes_on_to_the_next_offer_with_its_hold(play: Play) -> None:
    world = await play(profile="no-stock", beta="never")
    card = await world.reserve(key="slow")
    await world.age(PATIENCE)
    await jobs.doubt_stale(world.desk)
    going_on = await world.settle(card, Refused("no_numbers", ""), next_offer=world.offers()[1])
    assert (going_on.order.state, going_on.order.attempt, going_on.order.price_paise) == ("requested", 2, DEAR_PRICE)
    holds = await world.backstage.fetch("SELECT purpose, amount_paise FROM holds WHERE state = 'held'")
    assert [tuple(hold) for hold in holds] == [("number:2", DEAR_PRICE)]
    assert await world.money() == (MONEY - DEAR_PRICE, DEAR_PRICE)
    assert going_on.order.provider_id == world.provider("beta").id
