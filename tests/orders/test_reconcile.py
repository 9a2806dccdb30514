"""Unknown purchases: nothing is bought twice, what was sold is found again, what was not gives its money back."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from numberdesk.accounts.service import KeyInFlight
from numberdesk.base.money import Paise
from numberdesk.catalogue.model import PricedOffer
from numberdesk.orders import jobs
from numberdesk.orders import service as orders
from numberdesk.orders.model import Card, Settlement
from numberdesk.orders.service import NotCancellable, Wish
from numberdesk.providers import service as providers
from numberdesk.providers.model import Refused, RentAnswer, Rented, Wanted
from numberdesk.providers.simulator import PROFILES
from tests.orders.world import (
    COST,
    DEADLINE_MS,
    DEAR_PRICE,
    INDIA,
    LONG_SILENT,
    MONEY,
    PATIENCE,
    PRICE,
    Play,
    World,
    another_process,
    until,
)

pytestmark = pytest.mark.anyio

SLOW = 2 * DEADLINE_MS / 1000
CUT = replace(PROFILES["garbage"], fault_on="purchases", code_after=None)
SOLD = {
    "sold-then-dropped": replace(PROFILES["sold-then-dropped"], code_after=None),
    "sold-then-500": replace(PROFILES["sold-then-500"], code_after=None),
    "late-sale": replace(PROFILES["late-sale"], answer_delay=SLOW, code_after=None),
    "slow": replace(PROFILES["slow"], answer_delay=SLOW, fault_on="purchases", code_after=None),
}
NOT_SOLD = {
    "dropped-not-sold": PROFILES["dropped-not-sold"],
    "http-500": replace(PROFILES["http-500"], fault_on="purchases"),
    "big-body": replace(PROFILES["big-body"], fault_on="purchases"),
    "redirect": replace(PROFILES["redirect"], fault_on="purchases"),
}


async def bought_unclearly(world: World, profile: Any = None) -> Card:
    """Buy with an unclear answer; the money stays held and nobody is asked a second time."""
    if profile is not None:
        world.alpha.set_profile(profile)
    card = await world.buy()
    assert (card.order.state, card.order.number, card.order.upstream_id) == ("unknown", None, None)
    assert await world.read(card) == card.order
    world.alpha.set_profile("never")
    return card


# Doubt.


@pytest.mark.parametrize("profile", [*SOLD.values(), *NOT_SOLD.values()], ids=lambda profile: profile.name)
async def test_an_unclear_answer_holds_the_money_and_buys_nothing_again(play: Play, profile: Any) -> None:
    world = await play(beta="never")
    card = await bought_unclearly(world, profile)
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
    card = await bought_unclearly(world, profile)
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
    world.alpha.set_profile(CUT)
    await world.give(world.alice, 10 * PRICE)
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


# Never sold.


@pytest.mark.parametrize("profile", NOT_SOLD.values(), ids=lambda profile: profile.name)
async def test_what_was_not_sold_gives_the_money_back(world: World, profile: Any) -> None:
    card = await bought_unclearly(world, profile)
    await world.resolve()
    card = await world.check(card)
    assert (card.order.state, card.order.failure) == ("failed", "never_sold")
    assert card.refund is not None
    assert card.refund.amount_paise == PRICE
    assert await world.money() == (MONEY, 0)
    assert world.alpha.sold == []


async def test_one_list_or_one_early_list_is_not_enough_to_give_up(world: World) -> None:
    card = await bought_unclearly(world, "dropped-not-sold")
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
    card = await bought_unclearly(world, "dropped-not-sold")
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
    answer = await providers.rent(world.lines, world.provider().id, wanted("late-1"))
    assert isinstance(answer, Rented)
    late = await settle(world, card, answer)
    assert (late.order.state, late.order.number) == ("failed", None)
    assert await world.orphans() == {answer.upstream_id: "cancelling"}
    await jobs.cancel_orphans(world.desk)
    assert [str(fact.activation_id) for fact in world.alpha.cancelled] == [answer.upstream_id]
    assert await world.money() == (MONEY, 0)


def wanted(reference: str) -> Wanted:
    return Wanted("tg", INDIA, "any", Paise(COST), reference)


async def settle(world: World, card: Card, answer: RentAnswer, *, next_offer: PricedOffer | None = None) -> Card:
    """Settle an answer as the process that asked would."""
    order = card.order
    return await world.desk.settle.call(
        Settlement(order.id, order.attempt, order.provider_id, 0, 1_200_000, answer, next_offer)
    )


# Orphans.


async def test_a_number_nobody_knows_is_cancelled_at_the_provider(world: World) -> None:
    answer = await providers.rent(world.lines, world.provider().id, wanted("nobody-1"))
    assert isinstance(answer, Rented)
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
    await providers.rent(world.lines, world.provider().id, wanted("nobody-1"))
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


async def test_an_orphan_with_a_code_is_written_off_for_a_person_to_see(world: World) -> None:
    answer = await providers.rent(world.lines, world.provider().id, wanted("nobody-1"))
    assert isinstance(answer, Rented)
    world.alpha.deliver(int(answer.upstream_id), "Telegram code 12345")
    await world.resolve()
    assert await world.orphans() == {answer.upstream_id: "lost"}
    assert await world.backstage.fetchval("SELECT count(*) FROM messages") == 0
    assert await world.money() == (MONEY, 0)


async def test_a_number_that_has_ended_at_the_provider_is_linked_to_nobody(world: World) -> None:
    """Some lists go on naming what has ended, so that a late message is seen: it is no purchase of ours."""
    answer = await providers.rent(world.lines, world.provider().id, wanted("nobody-1"))
    assert isinstance(answer, Rented)
    await providers.cancel(world.lines, world.provider().id, answer.upstream_id)
    world.alpha.deliver(int(answer.upstream_id), "Telegram code 12345")
    card = await bought_unclearly(world, "dropped-not-sold")
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
    await settle(world, given_up, Rented(owner.order.upstream_id, owner.order.number, Paise(COST), can_get_next=True))
    await jobs.cancel_orphans(world.desk)
    assert world.alpha.cancelled == []
    assert (await world.read(owner)).state == "active"
    assert await world.money() == (MONEY - PRICE, PRICE)


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
    answer = await providers.rent(world.lines, world.provider().id, wanted(f"{card.order.id}-1"))
    assert isinstance(answer, Rented)
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
    answer = await providers.rent(world.lines, world.provider().id, wanted(f"{card.order.id}-1"))
    await world.age(PATIENCE)
    await jobs.doubt_stale(world.desk)
    settled = await settle(world, card, answer)
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
    answer = await providers.rent(world.lines, world.provider().id, wanted(f"{card.order.id}-1"))
    await world.age(PATIENCE)
    async with another_process(world) as second:
        await jobs.doubt_stale(second.desk)
        await second.watch()
        world.deliver(Card(await world.read(card)), "12345")
        await second.watch()
        settled = await settle(world, card, answer)
        assert [message.code for message in settled.messages] == ["12345"]
        assert settled == await second.check(card)
    assert await world.money() == (MONEY - PRICE, 0)


async def test_an_orphan_that_turns_out_to_be_an_orders_is_not_cancelled(world: World) -> None:
    card = await world.reserve(key="slow")
    answer = await providers.rent(world.lines, world.provider().id, wanted(f"{card.order.id}-1"))
    await world.watch()
    await world.age(PATIENCE)
    await world.watch()
    assert list((await world.orphans()).values()) == ["cancelling"]
    assert (await settle(world, card, answer)).order.state == "active"
    await jobs.cancel_orphans(world.desk)
    assert world.alpha.cancelled == []
    assert await world.money() == (MONEY - PRICE, PRICE)


async def test_a_doubted_purchase_that_was_refused_goes_on_to_the_next_offer_with_its_hold(play: Play) -> None:
    world = await play(profile="no-stock", beta="never")
    card = await world.reserve(key="slow")
    await world.age(PATIENCE)
    await jobs.doubt_stale(world.desk)
    going_on = await settle(world, card, Refused("no_numbers", ""), next_offer=world.offers()[1])
    assert (going_on.order.state, going_on.order.attempt, going_on.order.price_paise) == ("requested", 2, DEAR_PRICE)
    holds = await world.backstage.fetch("SELECT purpose, amount_paise FROM holds WHERE state = 'held'")
    assert [tuple(hold) for hold in holds] == [("number:2", DEAR_PRICE)]
    assert await world.money() == (MONEY - DEAR_PRICE, DEAR_PRICE)
    assert going_on.order.provider_id == world.provider("beta").id


# Activations that belong to somebody.


async def test_the_number_of_a_running_purchase_is_not_stolen_by_an_older_doubt(world: World) -> None:
    doubted = await bought_unclearly(world, "dropped-not-sold")
    world.alpha.set_profile(replace(LONG_SILENT, fault_on="purchases", answer_delay=SLOW / 3))
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


async def test_a_purchase_of_another_kind_does_not_hold_up_a_doubt(world: World) -> None:
    doubted = await bought_unclearly(world, SOLD["sold-then-dropped"])
    await world.reserve(Wish("wa", INDIA), key="running")
    await world.watch()
    assert (await world.read(doubted)).state == "active"
    assert await world.money() == (MONEY - PRICE - 5_400, PRICE + 5_400)


async def test_a_number_of_another_kind_is_not_linked(world: World) -> None:
    doubted = await bought_unclearly(world, "dropped-not-sold")
    await providers.rent(world.lines, world.provider().id, Wanted("wa", INDIA, "any", Paise(9_999), "other-1"))
    await world.resolve()
    assert (await world.read(doubted)).failure == "never_sold"
    assert len(world.alpha.cancelled) == 1
    assert await world.money() == (MONEY, 0)


async def test_of_two_doubts_with_one_number_the_older_gets_it_and_the_other_its_money(world: World) -> None:
    first = await bought_unclearly(world, "dropped-not-sold")
    second = await bought_unclearly(world, SOLD["sold-then-dropped"])
    await world.resolve()
    assert [(await world.read(card)).state for card in (first, second)] == ["active", "failed"]
    assert [(await world.read(first)).upstream_id] == world.sold_ids()
    assert world.alpha.cancelled == []
    assert await world.money() == (MONEY - PRICE, PRICE)


async def test_where_the_provider_repeats_our_reference_it_decides(play: Play) -> None:
    world = await play(echo_order_id=True)
    first = await bought_unclearly(world, "dropped-not-sold")
    second = await bought_unclearly(world, SOLD["sold-then-dropped"])
    await world.reserve(key="running")
    await world.watch()
    assert [(await world.read(card)).state for card in (first, second)] == ["unknown", "active"]
    await world.resolve()
    assert (await world.read(first)).state == "failed"
    assert await world.money() == (MONEY - PRICE, PRICE)


async def test_two_watches_at_once_link_each_number_once(world: World) -> None:
    cards = [await bought_unclearly(world, SOLD["sold-then-500"]) for _ in range(4)]
    async with another_process(world) as second:
        await asyncio.gather(world.watch(), second.watch(), world.watch(), second.watch())
    linked = [await world.read(card) for card in cards]
    assert sorted(str(order.upstream_id) for order in linked) == sorted(world.sold_ids())
    await world.resolve()
    assert world.alpha.cancelled == []
    assert await world.money() == (MONEY - 4 * PRICE, 4 * PRICE)


async def test_a_number_dearer_than_the_ceiling_is_never_paid(world: World) -> None:
    card = await bought_unclearly(world, "over-price")
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
