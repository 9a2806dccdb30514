"""Whose a number is: one buyer's, or nobody's, and then it is cancelled at the provider."""

import asyncio
import time
from dataclasses import replace
from datetime import timedelta

import pytest

from numberdesk.base.money import Paise
from numberdesk.orders import jobs
from numberdesk.orders import service as orders
from numberdesk.orders.service import Wish
from numberdesk.providers import service as providers
from numberdesk.providers.model import Rented
from numberdesk.providers.simulator import PROFILES
from tests.orders.world import (
    COST,
    INDIA,
    MONEY,
    PATIENCE,
    PRICE,
    SLOW,
    SOLD,
    Play,
    World,
    another_process,
    until,
)

pytestmark = pytest.mark.anyio


# Orphans.


async def test_a_number_nobody_knows_is_cancelled_at_the_provider(world: World) -> None:
    answer = await world.rent("nobody-1")
    await world.watch()
    assert await world.orphans() == {answer.upstream_id: "seen"}
    assert await jobs.cancel_orphans(world.desk) == 0
    await world.age(PATIENCE)
    await world.watch()
    assert await jobs.cancel_orphans(world.desk) == 1
    assert [str(fact.activation_id) for fact in world.alpha.cancelled] == [answer.upstream_id]
    assert await world.orphans() == {answer.upstream_id: "cancelled"}
    await world.age(PATIENCE)
    await world.watch()
    assert await jobs.cancel_orphans(world.desk) == 0
    assert await world.money() == (MONEY, 0)


async def test_an_orphan_that_may_not_be_cancelled_yet_is_tried_again(play: Play) -> None:
    world = await play(min_cancel_age=timedelta(seconds=0.4))
    await world.rent("nobody-1")
    await world.watch()
    await world.age(PATIENCE)
    await world.watch()
    await jobs.cancel_orphans(world.desk)
    assert list((await world.orphans()).values()) == ["cancelling"]
    assert await jobs.cancel_orphans(world.desk) == 0, "its turn comes later"
    await asyncio.sleep(0.4)
    await world.age(timedelta(seconds=jobs.LEASE_SECONDS))
    assert await jobs.cancel_orphans(world.desk) == 1
    assert list((await world.orphans()).values()) == ["cancelled"]
    assert len(world.alpha.cancelled) == 1


async def test_a_silent_provider_holds_up_one_orphan_no_longer_than_another(play: Play) -> None:
    world = await play(beta="never")
    for number in range(6):
        await world.rent(f"nobody-{number}")
    await world.watch()
    await world.age(PATIENCE)
    await world.watch()
    world.alpha.set_profile(replace(PROFILES["slow"], fault_on="status-changes", answer_delay=SLOW))
    started = time.monotonic()
    assert await jobs.cancel_orphans(world.desk) == 6
    assert time.monotonic() - started < 3 * SLOW
    assert set((await world.orphans()).values()) == {"cancelling"}
    world.alpha.set_profile("never")
    await world.age(timedelta(seconds=jobs.LEASE_SECONDS))
    assert await jobs.cancel_orphans(world.desk) == 6
    assert set((await world.orphans()).values()) == {"cancelled"}
    assert len(world.alpha.cancelled) == 6
    assert await world.money() == (MONEY, 0)


async def test_an_orphan_with_a_code_is_written_off_for_a_person_to_see(world: World) -> None:
    answer = await world.rent("nobody-1")
    world.alpha.deliver(int(answer.upstream_id), "Telegram code 12345")
    await world.resolve()
    assert await world.orphans() == {answer.upstream_id: "lost"}
    assert await world.backstage.fetchval("SELECT count(*) FROM messages") == 0
    assert await world.money() == (MONEY, 0)


async def test_a_number_that_has_ended_at_the_provider_is_linked_to_nobody(world: World) -> None:
    """Some lists go on naming what has ended, so that a late message is seen: it is no purchase of ours."""
    answer = await world.rent("nobody-1")
    await providers.cancel(world.lines, world.provider().id, answer.upstream_id)
    world.alpha.deliver(int(answer.upstream_id), "Telegram code 12345")
    card = await world.buy_unclearly("dropped-not-sold")
    await world.resolve()
    assert (await world.read(card)).failure == "never_sold"
    assert await world.money() == (MONEY, 0)
    assert await world.orphans() == {}


async def test_what_another_order_has_is_never_cancelled_as_sold_too_late(world: World) -> None:
    """A provider that hands one activation out twice, the second time to an order that was given up."""
    owner = await world.buy()
    given_up = await world.reserve(key="slow")
    await world.resolve()
    assert (await world.read(given_up)).failure == "never_sold"
    assert owner.order.upstream_id is not None
    assert owner.order.number is not None
    await world.settle(given_up, Rented(owner.order.upstream_id, owner.order.number, Paise(COST), can_get_next=True))
    await jobs.cancel_orphans(world.desk)
    assert world.alpha.cancelled == []
    assert (await world.read(owner)).state == "active"
    assert await world.money() == (MONEY - PRICE, PRICE)


# Activations that belong to somebody.


async def test_settled_sightings_are_forgotten_and_lost_numbers_are_not(world: World) -> None:
    await world.backstage.execute(
        "INSERT INTO orphans (provider_id, upstream_id, state, first_seen_at)"
        " SELECT min(id), state, state, clock_timestamp() - interval '3 days'"
        " FROM providers, unnest(ARRAY['seen', 'linked', 'cancelling', 'cancelled', 'lost']) AS state GROUP BY state"
    )
    young = await world.rent("nobody-2")
    await world.watch()
    assert await jobs.forget_orphans(world.desk) == 3
    assert await world.orphans() == {"cancelling": "cancelling", "lost": "lost", young.upstream_id: "seen"}
    assert await jobs.forget_orphans(world.desk) == 0


async def test_the_number_of_a_running_purchase_is_not_stolen_by_an_older_doubt(world: World) -> None:
    doubted = await world.buy_unclearly("dropped-not-sold")
    world.alpha.set_profile(replace(PROFILES["never"], fault_on="purchases", answer_delay=SLOW / 3))
    buying = asyncio.ensure_future(world.buy())
    await until(lambda: len(world.alpha.sold) == 1)
    await world.watch()
    assert (await world.read(doubted)).state == "unknown"
    assert list((await world.orphans()).values()) == ["seen"]
    bought = await buying
    assert (bought.order.state, world.sold_ids()) == ("active", [bought.order.upstream_id])
    await world.resolve()
    assert (await world.read(doubted)).state == "failed"
    assert (await world.read(bought)).state == "active"
    assert world.alpha.cancelled == []
    assert await world.money() == (MONEY - PRICE, PRICE)


async def test_a_doubt_is_not_given_up_while_a_number_may_still_be_its_own(world: World) -> None:
    doubted = await world.buy_unclearly(SOLD["sold-then-dropped"])
    await world.age(PATIENCE)
    running = await world.reserve(key="running")
    for _ in range(3):
        await world.watch()
        await world.age(timedelta(seconds=3.5))
    assert (await world.read(doubted)).state == "unknown"
    assert await world.money() == (MONEY - 2 * PRICE, 2 * PRICE)
    await world.resolve()
    assert [(await world.read(card)).state for card in (doubted, running)] == ["active", "failed"]
    assert world.alpha.cancelled == []
    assert await world.money() == (MONEY - PRICE, PRICE)


async def test_a_purchase_of_another_kind_does_not_hold_up_a_doubt(world: World) -> None:
    doubted = await world.buy_unclearly(SOLD["sold-then-dropped"])
    await world.reserve(Wish("wa", INDIA), key="running")
    await world.watch()
    assert (await world.read(doubted)).state == "active"
    assert await world.money() == (MONEY - PRICE - 5_400, PRICE + 5_400)


async def test_a_number_of_another_kind_is_not_linked(world: World) -> None:
    doubted = await world.buy_unclearly("dropped-not-sold")
    await world.rent("other-1", "wa")
    await world.resolve()
    assert (await world.read(doubted)).failure == "never_sold"
    assert len(world.alpha.cancelled) == 1
    assert await world.money() == (MONEY, 0)


async def test_of_two_doubts_with_one_number_the_older_gets_it_and_the_other_its_money(world: World) -> None:
    first = await world.buy_unclearly("dropped-not-sold")
    second = await world.buy_unclearly(SOLD["sold-then-dropped"])
    await world.resolve()
    assert [(await world.read(card)).state for card in (first, second)] == ["active", "failed"]
    assert [(await world.read(first)).upstream_id] == world.sold_ids()
    assert world.alpha.cancelled == []
    assert await world.money() == (MONEY - PRICE, PRICE)


async def test_where_the_provider_repeats_our_reference_it_decides(play: Play) -> None:
    world = await play(echo_order_id=True)
    first = await world.buy_unclearly("dropped-not-sold")
    second = await world.buy_unclearly(SOLD["sold-then-dropped"])
    await world.reserve(key="running")
    await world.watch()
    assert [(await world.read(card)).state for card in (first, second)] == ["unknown", "active"]
    await world.resolve()
    assert (await world.read(first)).state == "failed"
    assert await world.money() == (MONEY - PRICE, PRICE)


async def test_two_watches_at_once_link_each_number_once(world: World) -> None:
    cards = [await world.buy_unclearly(SOLD["sold-then-500"]) for _ in range(4)]
    async with another_process(world) as second:
        await asyncio.gather(world.watch(), second.watch(), world.watch(), second.watch())
    linked = [await world.read(card) for card in cards]
    assert sorted(str(order.upstream_id) for order in linked) == sorted(world.sold_ids())
    await world.resolve()
    assert world.alpha.cancelled == []
    assert await world.money() == (MONEY - 4 * PRICE, 4 * PRICE)


async def test_a_number_dearer_than_the_ceiling_is_never_paid(world: World) -> None:
    card = await world.buy_unclearly("over-price")
    (sale,) = world.alpha.sold
    assert sale.cost_paise is not None
    assert sale.cost_paise > COST
    await world.resolve()
    assert (await world.read(card)).failure == "never_sold"
    assert [fact.activation_id for fact in world.alpha.cancelled] == [sale.activation_id]
    assert await world.money() == (MONEY, 0)


@pytest.mark.parametrize("profile", ["duplicate-number", "reused-number"])
async def test_a_number_sold_twice_is_never_shown_to_the_second_buyer(world: World, profile: str) -> None:
    world.alpha.set_profile(replace(PROFILES[profile], code_after=None))
    await world.give(world.bob, PRICE)
    owner = await world.buy()
    other = await world.buy(account=world.bob)
    assert (other.order.state, other.order.number, other.order.upstream_id) == ("unknown", None, None)
    world.deliver(owner, "12345")
    await world.resolve()
    assert [message.code for message in (await world.check(owner)).messages] == ["12345"]
    given_up = await orders.get(world.desk, account_id=world.bob, order_id=other.order.id)
    assert (given_up.order.state, given_up.order.number, given_up.messages) == ("failed", None, ())
    assert await world.money() == (MONEY - PRICE, 0)
    assert await world.money(world.bob) == (PRICE, 0)
    second = set(world.sold_ids()) - {owner.order.upstream_id}
    assert {str(fact.activation_id) for fact in world.alpha.cancelled} == second


async def test_an_activation_of_an_order_that_is_over_is_never_a_second_buyers(world: World) -> None:
    """Its old messages are the first buyer's, whatever number the provider names this time."""
    over = await world.cancel(await world.buy())
    assert over.order.upstream_id is not None
    again = Rented(over.order.upstream_id, "919800000001", Paise(COST), can_get_next=True)
    card = await world.settle(await world.reserve(key="second"), again)
    assert (card.order.state, card.order.number) == ("unknown", None)
    world.deliver(over, "12345")
    await world.resolve()
    found = await world.check(card)
    assert (found.order.failure, found.messages) == ("never_sold", ())
    assert await world.sealed(over) == [("12345", True)]
    assert await world.money() == (MONEY, 0)


async def test_parallel_purchases_of_one_number_show_it_once(world: World) -> None:
    await world.give(world.alice, 10 * PRICE)
    world.alpha.set_profile(replace(PROFILES["duplicate-number"], code_after=None))
    async with another_process(world) as second:
        cards = await asyncio.gather(*(process.buy() for _ in range(5) for process in (world, second)))
    numbers = [card.order.number for card in cards if card.order.number]
    assert len(numbers) == len(set(numbers)) == len(set(world.sold_ids())) == 5
    await world.resolve()
    assert world.alpha.cancelled == []
    assert await world.money() == (MONEY + 5 * PRICE, 5 * PRICE)
