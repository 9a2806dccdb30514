"""Numbers for hours: paid with the first message or when the time for cancelling is over, then theirs to the end."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from numberdesk.base.money import Paise
from numberdesk.catalogue import service as catalogue
from numberdesk.orders import jobs
from numberdesk.orders import service as orders
from numberdesk.orders.service import (
    RENTAL_WINDOW,
    NoNumbers,
    NotCancellable,
    NotPossibleNow,
    RentalKept,
)
from numberdesk.orders.service._reconcile import Seen, reconcile
from numberdesk.providers.simulator import PROFILES
from numberdesk.wallet.service import InsufficientBalance
from tests.orders import renting
from tests.orders.renting import COST, HOURS, PRICE, RENTAL, WINDOW, deliver, let_window_end, look
from tests.orders.test_inbound import post
from tests.orders.world import MONEY, PATIENCE, RULES, SLOW, Play, World, another_process, blocked, outcomes

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["classic", "numberdesk"])
async def world(play: Play, request: pytest.FixtureRequest) -> World:
    """A world whose provider rents numbers out; only the one that speaks our own dialect tells when they end."""
    return await renting.opened(play, dialect=request.param)


@pytest.fixture
async def named(play: Play) -> World:
    return await renting.opened(play)


# Buying.


async def test_a_rental_is_bought_with_its_money_held_for_its_hours(world: World) -> None:
    card = await world.buy(RENTAL)
    order, (fact,) = card.order, world.alpha.rented
    assert (order.state, order.hours, order.price_paise, order.cost_paise) == ("active", HOURS, PRICE, COST)
    assert order.upstream_id == f"rent:{fact.rental_id}"
    assert order.number == fact.phone
    assert await world.money() == (MONEY - PRICE, PRICE)
    assert order.expires_at is not None
    assert abs(order.expires_at - order.sent_at - timedelta(hours=HOURS)) < timedelta(seconds=3)
    assert order.cancel_allowed_at == order.activated_at
    assert await renting.events(world, card) == ["active"]
    assert world.alpha.sold == []


async def test_what_cannot_be_rented_is_refused_and_leaves_no_trace(named: World) -> None:
    with pytest.raises(catalogue.UnknownHours) as refused:
        await named.buy(replace(RENTAL, hours=5))
    assert refused.value.known == [HOURS]
    with pytest.raises(catalogue.NotOffered):
        await named.buy(replace(RENTAL, service="go", country=0))
    with pytest.raises(catalogue.PriceTooLow):
        await named.buy(replace(RENTAL, max_price_paise=Paise(PRICE - 1)))
    with pytest.raises(InsufficientBalance):
        await named.buy(RENTAL, account=named.bob)
    assert await named.all_orders() == []
    named.alpha.set_profile("no-stock")
    with pytest.raises(NoNumbers):
        await named.buy(RENTAL)
    assert await named.money() == (MONEY, 0)
    assert named.alpha.rented == []


async def test_a_repeat_with_its_key_is_the_same_rental(named: World) -> None:
    first = await named.buy(RENTAL, key="once")
    assert (await named.buy(RENTAL, key="once")).order.id == first.order.id
    assert len(named.alpha.rented) == 1
    assert await named.money() == (MONEY - PRICE, PRICE)


async def test_a_rental_goes_to_the_next_provider_when_the_first_has_none(play: Play) -> None:
    world = await renting.opened(play, beta="never", profile="no-stock")
    await renting.rent_out(world, name="beta", cost=COST + 100)
    card = await world.buy(RENTAL)
    assert (card.order.attempt, card.order.hours, card.order.cost_paise) == (2, HOURS, COST + 100)
    assert [len(upstream.rented) for upstream in (world.alpha, world.beta)] == [0, 1]


# Messages.


async def test_the_first_message_takes_the_money_and_more_come_until_the_end(world: World) -> None:
    card = await world.buy(RENTAL)
    deliver(world, card, "11111")
    card = await look(world, card)
    assert (card.order.state, [message.code for message in card.messages]) == ("received", ["11111"])
    assert await world.money() == (MONEY - PRICE, 0)
    assert await world.revenue() == PRICE
    for code in ("22222", "33333"):
        deliver(world, card, code)
        card = await look(world, card)
    await look(world, card)
    assert [message.code for message in card.messages] == ["11111", "22222", "33333"]
    assert await renting.events(world, card) == ["active", "code", "code", "code"]
    assert await world.revenue() == PRICE


async def test_the_same_code_in_another_text_is_another_message(named: World) -> None:
    card = await named.buy(RENTAL)
    for text in ("Your code is 11111", "Again: 11111", "Your code is 11111"):
        deliver(named, card, "11111", text)
        card = await look(named, card)
    assert [message.text for message in card.messages] == ["Your code is 11111", "Again: 11111"]


async def test_a_rental_is_looked_at_seldom_until_its_buyer_waits_for_a_code(named: World) -> None:
    card = await named.buy(RENTAL)
    deliver(named, card, "11111")
    card = await look(named, card)
    await named.run("UPDATE orders SET tries = 40, next_try_at = clock_timestamp() + interval '30 s'")
    deliver(named, card, "22222")
    await named.watch()
    assert len((await named.check(card)).messages) == 1
    assert orders.is_waiting(await orders.next_code(named.desk, account_id=named.alice, order_id=card.order.id))
    await named.watch()
    assert [message.code for message in (await named.check(card)).messages] == ["11111", "22222"]
    assert await named.backstage.fetchval("SELECT tries FROM orders WHERE id = $1", card.order.id) == 0


async def test_a_message_that_is_posted_is_the_one_that_is_read_later(named: World) -> None:
    card = await named.buy(RENTAL)
    assert card.order.upstream_id is not None
    sms = {"phoneFrom": "Telegram", "text": "Telegram code 11111", "date": "2026-01-01 12:00:00"}
    body = msgspec.json.encode({"rentId": card.order.upstream_id.removeprefix("rent:"), "sms": sms})
    await post(named, body)
    assert (await named.check(card)).order.state == "received"
    deliver(named, card, "11111")
    await post(named, body)
    card = await look(named, card)
    assert [message.code for message in card.messages] == ["11111"]


async def test_rentals_cost_a_provider_no_list(named: World) -> None:
    await named.buy(RENTAL)
    before = len(named.alpha.facts())
    assert await jobs.watch(named.desk, named.provider(), is_idle_turn=False) == 1
    assert len(named.alpha.facts()) == before
    assert named.desk.listed_at == {}


# The time in which it can be cancelled.


async def test_a_rental_is_given_back_before_its_first_message(world: World) -> None:
    card = await world.buy(RENTAL)
    await world.age(WINDOW - timedelta(seconds=30))
    assert await jobs.keep_rentals(world.desk) == 0
    card = await world.cancel(card)
    assert (card.order.state, card.order.upstream_refund) == ("cancelled", "confirmed")
    assert card.refund is not None
    assert card.refund.amount_paise == PRICE
    assert await world.money() == (MONEY, 0)
    assert [fact.fact for fact in world.alpha.facts("cancelled")] == ["cancelled"]
    assert (await world.cancel(card)).order.state == "cancelled"


async def test_after_its_window_a_rental_is_kept_and_paid_without_a_message(world: World) -> None:
    card = await world.buy(RENTAL)
    await let_window_end(world)
    order = await world.read(card)
    assert (order.state, order.codes_received, order.received_at) == ("received", 0, None)
    assert orders.shown_status(order.state, has_code=False) == "active"
    assert await world.money() == (MONEY - PRICE, 0)
    assert await world.revenue() == PRICE
    with pytest.raises(RentalKept):
        await world.cancel(card)
    assert world.alpha.facts("cancelled") == []
    shown = await orders.list_orders(world.desk, account_id=world.alice, states=["active"], cursor=None, limit=5)
    assert [item.order.id for item in shown] == [card.order.id]
    assert await orders.list_orders(world.desk, account_id=world.alice, states=["received"], cursor=None, limit=5) == []
    deliver(world, card, "11111")
    card = await look(world, card)
    assert [message.code for message in card.messages] == ["11111"]
    assert card.order.received_at is not None
    assert await world.revenue() == PRICE
    with pytest.raises(NotCancellable):
        await world.cancel(card)


async def test_the_window_is_over_before_the_pass_has_come_by(named: World) -> None:
    card = await named.buy(RENTAL)
    await named.age(RENTAL_WINDOW)
    with pytest.raises(RentalKept):
        await named.cancel(card)
    assert (await named.read(card)).state == "active"
    assert named.alpha.facts("cancelled") == []


async def test_a_provider_that_takes_no_rental_back_keeps_it_paid(play: Play) -> None:
    world = await renting.opened(play, time_scale=0.001)
    card = await world.buy(RENTAL)
    await asyncio.sleep(1.3)
    with pytest.raises(RentalKept):
        await world.cancel(card)
    assert (await world.read(card)).state == "received"
    assert await world.money() == (MONEY - PRICE, 0)


async def test_a_message_that_the_provider_has_already_wins_against_a_cancel(named: World) -> None:
    card = await named.buy(RENTAL)
    deliver(named, card, "11111")
    with pytest.raises(NotCancellable):
        await named.cancel(card)
    card = await named.check(card)
    assert (card.order.state, [message.code for message in card.messages]) == ("received", ["11111"])
    assert await named.money() == (MONEY - PRICE, 0)


async def test_a_cancel_without_an_answer_is_asked_again_and_given_up_soon_after_the_window(named: World) -> None:
    card = await named.buy(RENTAL)
    named.alpha.set_profile(replace(PROFILES["http-500"], fault_on="status-changes"))
    assert (await named.cancel(card)).order.state == "cancelling"
    await named.age(timedelta(minutes=25))
    await jobs.keep_rentals(named.desk)
    await jobs.end_due(named.desk)
    await jobs.settle_ending(named.desk)
    assert (await named.read(card)).state == "cancelling"
    assert await named.money() == (MONEY - PRICE, PRICE)
    await named.age(timedelta(minutes=6))
    await jobs.settle_ending(named.desk)
    order = await named.read(card)
    assert (order.state, order.upstream_refund) == ("cancelled", "refused")
    assert await named.money() == (MONEY, 0)
    named.alpha.set_profile("never")


async def test_a_message_racing_the_end_of_the_window_pays_once(named: World) -> None:
    for _ in range(2):
        card = await named.buy(RENTAL)
        await named.age(RENTAL_WINDOW)
        deliver(named, card, "11111")
        assert not [
            item
            for item in await outcomes([jobs.keep_rentals(named.desk), look(named, card)])
            if isinstance(item, BaseException)
        ]
        await jobs.keep_rentals(named.desk)
        card = await look(named, card)
        assert (card.order.state, len(card.messages)) == ("received", 1)
    assert await named.money() == (MONEY - 2 * PRICE, 0)
    assert await named.revenue() == 2 * PRICE


async def test_a_cancel_racing_the_end_of_the_window_gives_back_or_keeps(named: World) -> None:
    card = await named.buy(RENTAL)
    async with named.backstage.transaction():
        await named.backstage.execute("SELECT FROM orders WHERE id = $1 FOR UPDATE", card.order.id)
        cancel = asyncio.create_task(named.cancel(card))
        await blocked(named, 1)
        await named.backstage.execute("UPDATE orders SET sent_at = sent_at - $1::interval", RENTAL_WINDOW)
    with pytest.raises(RentalKept):
        await cancel
    assert await jobs.keep_rentals(named.desk) == 1
    assert await named.money() == (MONEY - PRICE, 0)


async def test_a_rental_that_its_provider_takes_back_early_gives_the_money_back(play: Play) -> None:
    world = await renting.opened(
        play, profile=replace(PROFILES["never"], name="revoking", self_cancel_after=(0.2, 0.2))
    )
    card = await world.buy(RENTAL)
    await asyncio.sleep(0.4)
    card = await look(world, card)
    assert (card.order.state, card.order.failure) == ("cancelled", "provider_cancelled")
    assert await world.money() == (MONEY, 0)


async def test_rentals_are_in_no_count_of_how_codes_come(named: World) -> None:
    rented, bought = await named.buy(RENTAL), await named.buy()
    deliver(named, rented, "11111")
    await look(named, rented)
    named.deliver(bought, "22222")
    await named.watch()
    await catalogue.count_deliveries(named.db)
    (total,) = await catalogue.list_delivery_totals(named.db, window_hours=1)
    assert (total.sold, total.delivered) == (1, 1)


# Its end.


async def test_a_rental_ends_as_completed_at_its_end_and_never_expires(world: World) -> None:
    card = await world.buy(RENTAL)
    await world.age(timedelta(hours=HOURS, seconds=5))
    assert await jobs.end_due(world.desk) == 0
    assert (await world.read(card)).state == "active"
    await jobs.keep_rentals(world.desk)
    assert await jobs.end_due(world.desk) == 1
    order = await world.read(card)
    assert (order.state, order.upstream_refund) == ("completed", "none")
    assert await world.money() == (MONEY - PRICE, 0)
    assert await renting.events(world, card) == ["active", "completed"]


async def test_a_kept_rental_can_be_finished_and_its_provider_hears_of_it(named: World) -> None:
    card = await named.buy(RENTAL)
    with pytest.raises(NotPossibleNow):
        await orders.finish(named.desk, account_id=named.alice, order_id=card.order.id)
    await let_window_end(named)
    card = await orders.finish(named.desk, account_id=named.alice, order_id=card.order.id)
    assert card.order.state == "completed"
    await jobs.release_finished(named.desk)
    assert len(named.alpha.facts("finished")) == 1
    assert await named.money() == (MONEY - PRICE, 0)


async def test_minutes_are_not_sold_for_rentals(named: World) -> None:
    card = await named.buy(RENTAL)
    with pytest.raises(orders.CannotExtend):
        await orders.extend(named.desk, account_id=named.alice, order_id=card.order.id, minutes=5)


# Doubt.


@pytest.mark.parametrize("profile", ["sold-then-dropped", "sold-then-500"])
async def test_a_rental_sold_without_an_answer_is_found_on_the_list(world: World, profile: str) -> None:
    world.alpha.set_profile(replace(PROFILES[profile], code_after=None))
    card = await world.buy(RENTAL)
    assert card.order.state == "unknown"
    world.alpha.set_profile("never")
    assert len(world.alpha.rented) == 1
    await world.resolve()
    order = await world.read(card)
    assert (order.state, order.upstream_id) == ("active", f"rent:{world.alpha.rented[0].rental_id}")
    assert await world.money() == (MONEY - PRICE, PRICE)


async def test_a_rental_that_was_not_sold_gives_its_money_back(world: World) -> None:
    world.alpha.set_profile("dropped-not-sold")
    card = await world.buy(RENTAL)
    world.alpha.set_profile("never")
    await world.resolve()
    order = await world.read(card)
    assert (order.state, order.failure) == ("failed", "never_sold")
    assert await world.money() == (MONEY, 0)


async def test_a_list_without_rentals_says_nothing_about_them(named: World) -> None:
    named.alpha.set_profile(replace(PROFILES["sold-then-dropped"], code_after=None))
    card = await named.buy(RENTAL)
    # The watch saw no doubtful rental when it began, so it did not ask for them.
    listed = Seen({}, is_whole=True)
    for _ in range(4):
        await named.age(PATIENCE * 2)
        await reconcile(named.desk, named.provider(), listed, PATIENCE)
    assert (await named.read(card)).state == "unknown"
    named.alpha.set_profile("never")
    await named.resolve()
    assert (await named.read(card)).state == "active"


async def test_an_activation_is_never_taken_for_a_rental_nor_a_rental_for_an_activation(world: World) -> None:
    world.alpha.set_profile(replace(PROFILES["sold-then-dropped"], code_after=None))
    rented, bought = await world.buy(RENTAL), await world.buy()
    world.alpha.set_profile("never")
    await world.resolve()
    assert (await world.read(rented)).upstream_id == f"rent:{world.alpha.rented[0].rental_id}"
    assert (await world.read(bought)).upstream_id == str(world.alpha.sold[0].activation_id)


@pytest.mark.parametrize("more", [{"service": "wa"}, {"hours": 24}], ids=["service", "hours"])
async def test_rentals_of_two_kinds_that_a_list_does_not_name_are_cancelled_not_guessed(
    play: Play, more: dict[str, Any]
) -> None:
    world = await renting.opened(play, dialect="classic")
    await renting.rent_out(world, hours=24, cost=COST)
    world.alpha.set_profile(replace(PROFILES["sold-then-dropped"], code_after=None))
    one, other = await world.buy(RENTAL), await world.buy(replace(RENTAL, **more))
    world.alpha.set_profile("never")
    await world.resolve()
    await world.resolve()
    assert [(await world.read(card)).state for card in (one, other)] == ["failed", "failed"]
    assert set((await world.orphans()).values()) == {"cancelled"}
    assert await world.money() == (MONEY, 0)


async def test_a_rental_bought_by_a_process_that_died_is_found_by_another(named: World) -> None:
    card = await named.reserve(RENTAL, key="once")
    async with another_process(named) as second:
        await second.resolve()
        order = await second.read(card)
        assert (order.state, order.failure, order.hours) == ("failed", "never_sold", HOURS)
    assert await named.money() == (MONEY, 0)


async def test_a_slow_sale_of_a_rental_is_linked_once(named: World) -> None:
    named.alpha.set_profile(replace(PROFILES["late-sale"], answer_delay=SLOW, code_after=None))
    card = await named.buy(RENTAL)
    assert card.order.state == "unknown"
    await asyncio.sleep(SLOW)
    named.alpha.set_profile("never")
    await named.resolve()
    assert (await named.read(card)).state == "active"
    assert RULES.lifetime < timedelta(hours=HOURS)
