"""Rentals as somebody sees them who looks for money that is taken twice, for nothing, or held for ever."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from numberdesk.accounts.service import KeyInFlight
from numberdesk.base import clock, crash_points
from numberdesk.base.errors import Unavailable
from numberdesk.base.money import Paise
from numberdesk.orders import jobs
from numberdesk.orders import service as orders
from numberdesk.orders.model import Card
from numberdesk.orders.service._prolong import settle_prolongation
from numberdesk.providers import service as providers
from numberdesk.providers.model import Prolonged, Rented, Wanted
from numberdesk.providers.simulator import PROFILES, Profile
from tests.orders import renting
from tests.orders.renting import COST, HOURS, PRICE, RENTAL, let_window_end, prolong, prolonged
from tests.orders.test_prolonging import SOLD, doubt_ends, sale
from tests.orders.world import INDIA, MONEY, PATIENCE, Play, World, another_process, scripted

pytestmark = pytest.mark.anyio

PRICED = b'{"status":"success","price":35.5}'
WAITING = b'{"status":"error","message":"STATUS_WAIT_CODE"}'
NUMBER = "919812345678"


@pytest.fixture
async def named(play: Play) -> World:
    return await renting.opened(play)


def rentals(*ids: int, number: str = NUMBER) -> bytes:
    """Return a provider's list of rentals of one number, as most write it: id and number."""
    values = {str(place): {"id": str(name), "phone": number} for place, name in enumerate(ids)}
    return msgspec.json.encode({"status": "success", "values": values})


# One number that is rented for two services.


async def test_the_same_number_for_another_service_is_not_the_rental_under_a_new_id(named: World) -> None:
    await named.give(named.alice, 10 * PRICE)
    async with scripted(
        named, getRentNumber=sale(NUMBER, 1), getRentStatus=WAITING, continueRentInfo=PRICED, continueRentNumber=None,
    ) as script:  # fmt: skip
        one = await named.buy(RENTAL)
        script.answers["getRentNumber"] = sale(NUMBER, 2)
        await named.buy(replace(RENTAL, service="wa"))
        await let_window_end(named)
        script.answers["getRentList"] = rentals(1, 2)
        await prolong(named, one)
        await doubt_ends(named)
        assert await prolonged(named, one) == ["unknown"]
        script.answers["getRentList"] = rentals(2, 3)
        await doubt_ends(named, times=1)
    assert await prolonged(named, one) == ["done"]
    assert (await named.read(one)).upstream_id == "rent:3"


async def test_an_id_of_somebody_else_leaves_a_rental_its_own(named: World) -> None:
    await named.give(named.alice, 10 * PRICE)
    async with scripted(named, getRentNumber=sale(NUMBER, 1), continueRentInfo=PRICED) as script:
        one = await named.buy(RENTAL)
        script.answers |= {"getRentNumber": sale(NUMBER, 2), "continueRentNumber": sale(NUMBER, 2)}
        await named.buy(replace(RENTAL, service="wa"))
        with pytest.raises(orders.CannotProlong):
            await prolong(named, one)
    assert await prolonged(named, one) == ["refused"]
    rows = await named.backstage.fetch("SELECT upstream_id, order_id, is_former FROM activations ORDER BY order_id")
    assert [(row[0], row[2]) for row in rows] == [("rent:1", False), ("rent:2", False)]


async def test_a_purchase_in_doubt_is_found_though_another_rental_has_its_number(named: World) -> None:
    await named.give(named.alice, 10 * PRICE)
    async with scripted(named, getRentNumber=sale(NUMBER, 1), getRentStatus=WAITING) as script:
        await named.buy(RENTAL)
        script.answers |= {"getRentNumber": None, "getRentList": rentals(1, 2)}
        other = await named.buy(replace(RENTAL, service="wa"))
        assert other.order.state == "unknown"
        await named.resolve()
    assert (await named.read(other)).upstream_id == "rent:2"


# Ends that a provider tells wrong.


def sold_until(rental_id: int, ends_at: datetime) -> bytes:
    phone = {"id": rental_id, "number": NUMBER, "endDate": ends_at.isoformat()}
    return msgspec.json.encode({"status": "success", "phone": phone})


async def test_a_rental_lives_for_what_was_bought_whatever_less_its_provider_says(named: World) -> None:
    begun = clock.now()
    async with scripted(named, getRentNumber=sold_until(1, begun + timedelta(hours=1))) as script:
        card = await named.buy(RENTAL)
        assert card.order.expires_at == card.order.last_expiry_at == card.order.sent_at + timedelta(hours=HOURS)
        await named.cancel(card)
        later = begun + timedelta(hours=HOURS, minutes=1)
        script.answers["getRentNumber"] = sold_until(2, later)
        assert (await named.buy(RENTAL)).order.expires_at == later


async def test_the_former_end_told_again_is_not_the_end_of_a_prolonged_rental(named: World) -> None:
    ends = clock.now() + timedelta(hours=HOURS)
    async with scripted(
        named, getRentNumber=sold_until(1, ends), continueRentInfo=PRICED,
        continueRentNumber=sold_until(1, ends + timedelta(seconds=3)),
    ):  # fmt: skip
        card = await prolong(named, await named.buy(RENTAL))
    assert card.order.expires_at == ends + timedelta(hours=HOURS)


# Rentals that nobody knows.


async def rented_elsewhere(world: World) -> None:
    """Let a rental be there that no order knows, as after a sale that came too late."""
    wanted = Wanted("tg", INDIA, "any", Paise(9_999), "elsewhere", HOURS)
    assert isinstance(await providers.rent(world.lines, world.provider().id, wanted), Rented)
    await world.watch()


async def test_a_rental_that_was_seen_before_a_purchase_is_not_what_was_bought(play: Play) -> None:
    world = await renting.opened(play, dialect="classic")
    await rented_elsewhere(world)
    world.alpha.set_profile("dropped-not-sold")
    card = await world.buy(RENTAL)
    world.alpha.set_profile("never")
    await world.resolve()
    assert (await world.read(card)).failure == "never_sold"
    assert set((await world.orphans()).values()) == {"cancelled"}
    assert await world.money() == (MONEY, 0)


async def test_a_rental_that_nobody_knows_is_cancelled_though_none_is_in_doubt(named: World) -> None:
    await rented_elsewhere(named)
    await named.age(PATIENCE * 2)
    await named.watch()
    await jobs.cancel_orphans(named.desk)
    assert set((await named.orphans()).values()) == {"cancelled"}
    assert len(named.alpha.facts("cancelled")) == 1


async def test_a_rental_in_doubt_that_no_list_tells_of_does_not_hold_up_other_purchases(named: World) -> None:
    async with scripted(named, getRentNumber=None, getNumberV2=None, getRentList=b"ERROR_SQL"):
        rented, bought = await named.buy(RENTAL), await named.buy()
        await named.resolve()
        assert [(await named.read(card)).state for card in (rented, bought)] == ["unknown", "failed"]


# Money that is held while nothing is known.


async def test_money_is_held_for_a_day_at_most_for_a_long_rental_that_no_list_tells_of(play: Play) -> None:
    world = await renting.opened(play)
    await renting.rent_out(world, hours=720)
    async with scripted(world, getRentNumber=None, getRentList=b"ERROR_SQL"):
        card = await world.buy(replace(RENTAL, hours=720))
        await world.age(timedelta(hours=23))
        await world.watch()
        assert (await world.read(card)).state == "unknown"
        await world.age(timedelta(hours=1, minutes=10))
        await world.watch()
    order = await world.read(card)
    assert (order.state, order.upstream_refund) == ("failed", "refused")
    assert await world.money() == (MONEY, 0)


async def test_a_rental_in_doubt_is_not_paid_for_when_a_part_of_it_is_over(named: World) -> None:
    async with scripted(named, getRentNumber=None, getRentList=b"ERROR_SQL") as script:
        card = await named.buy(RENTAL)
        await named.age(timedelta(minutes=55))
        await named.watch()
        assert (await named.read(card)).state == "unknown"
        await named.age(timedelta(minutes=11))
        await named.watch()
        assert (await named.read(card)).state == "failed"
        script.answers["getRentList"] = rentals(1)
        await named.resolve()
        assert set((await named.orphans()).values()) == {"cancelled"}
    assert await named.money() == (MONEY, 0)


async def test_money_for_more_hours_is_held_for_a_day_after_the_former_end_at_most(named: World) -> None:
    card = await named.buy(RENTAL)
    await let_window_end(named)
    await named.give(named.alice, 1_000_000)
    before = await named.money()
    async with scripted(named, continueRentInfo=PRICED, continueRentNumber=None, getRentStatus=None, getRentList=None):
        await prolong(named, card, hours=720)
        await named.age(timedelta(hours=HOURS + 23))
        await doubt_ends(named, times=1)
        assert await prolonged(named, card) == ["unknown"]
        await named.age(timedelta(hours=1, minutes=10))
        await doubt_ends(named, times=1)
    assert await prolonged(named, card) == ["refused"]
    assert await named.money() == before


@pytest.mark.parametrize(("word", "proof"), [("STATUS_FINISH", "refused"), ("STATUS_REVOKE", "assumed")])
async def test_of_a_rental_that_was_finished_at_its_provider_nothing_comes_back(
    named: World, word: str, proof: str
) -> None:
    card = await named.buy(RENTAL)
    async with scripted(named, getRentStatus=msgspec.json.encode({"status": "error", "message": word})):
        await renting.look(named, card)
    order = await named.read(card)
    assert (order.state, order.upstream_refund) == ("cancelled", proof)
    assert await named.money() == (MONEY, 0)


# The day's cap of a provider.


@pytest.mark.parametrize("profile", ["never", SOLD["sold-then-dropped"]], ids=["sold", "in doubt"])
async def test_more_hours_count_towards_what_may_be_spent_in_a_day(named: World, profile: str | Profile) -> None:
    await named.give(named.alice, 10 * PRICE)
    provider = named.provider()
    await providers.set_options(named.db, provider.id, spend_max_paise=3 * COST)
    await providers.refresh(named.lines)
    await providers.watch_spending(named.lines)
    card, other = await named.buy(RENTAL), await named.buy(RENTAL)
    named.alpha.set_profile(profile)
    await prolong(named, card)
    named.alpha.set_profile("never")
    for _ in range(2):
        assert providers.spent_today(named.lines.spending, provider.id) == 3 * COST
        with pytest.raises(orders.CannotProlong):
            await prolong(named, other)
        await providers.watch_spending(named.lines)
    assert len(named.alpha.facts("prolonged")) == 1
    assert await prolonged(named, other) == ["refused", "refused"]
    assert (await named.money())[0] == MONEY + 10 * PRICE - 3 * PRICE


# More hours over a wire that may break.


def trade(world: World, card: Card, gone: "asyncio.Future[None] | None" = None, *, seconds: float = 5.0) -> Any:
    """Ask for more hours as a client without an idempotency key."""
    wanted = orders.HoursTrade(world.alice, card.order.id, HOURS, b"the-same-request")
    nobody: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    return orders.trade_hours(world.desk, wanted, gone=gone or nobody, seconds=seconds)


async def begun(world: World, card: Card) -> None:
    """Wait until the provider is being asked for more hours."""
    while await prolonged(world, card) != ["requested"]:  # noqa: ASYNC110 - there is nothing to wait on
        await asyncio.sleep(0.01)


SLOWLY = replace(PROFILES["never"], answer_delay=0.2, fault_on="purchases")


async def test_who_was_asked_to_come_again_by_a_process_that_stops_gets_the_same_hours(named: World) -> None:
    card = await named.buy(RENTAL)
    named.alpha.set_profile(SLOWLY)
    asked = asyncio.create_task(trade(named, card))
    await begun(named, card)
    named.db.let_go()
    with pytest.raises(Unavailable):
        await asked
    await named.db.drain(timeout=3)
    again = await trade(named, card)
    assert again.is_replayed
    assert await prolonged(named, card) == ["done"]
    assert await named.money() == (MONEY - 2 * PRICE, 0)


async def test_a_second_try_that_is_too_early_leaves_the_hours_to_the_third(named: World) -> None:
    card = await named.buy(RENTAL)
    named.alpha.set_profile(SLOWLY)
    gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    asked = asyncio.create_task(trade(named, card, gone))
    await begun(named, card)
    gone.set_result(None)
    with pytest.raises(orders.ClientGone):
        await asked
    with pytest.raises((KeyInFlight, orders.OutcomeUnknown)):
        await trade(named, card, seconds=0.05)
    await named.db.drain(timeout=3)
    assert (await trade(named, card)).is_replayed
    assert await prolonged(named, card) == ["done"]


async def test_nothing_is_begun_for_a_client_that_left_while_others_were_at_it(named: World) -> None:
    await named.give(named.alice, 10 * PRICE)
    card = await named.buy(RENTAL)
    named.alpha.set_profile(SLOWLY)
    first = asyncio.create_task(trade(named, card))
    await begun(named, card)
    gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    second = asyncio.create_task(trade(named, card, gone))
    await asyncio.sleep(0.05)
    gone.set_result(None)
    with pytest.raises(orders.ClientGone):
        await second
    assert not (await first).is_replayed
    await asyncio.sleep(0.3)
    assert await prolonged(named, card) == ["done"]


async def test_an_answer_is_written_down_though_the_order_is_locked_for_a_while(named: World) -> None:
    card = await named.buy(RENTAL)
    named.alpha.set_profile(SLOWLY)
    asked = asyncio.create_task(prolong(named, card))
    await begun(named, card)
    async with named.backstage.transaction():
        await named.backstage.execute("SELECT FROM orders WHERE id = $1 FOR UPDATE", card.order.id)
        await asyncio.sleep(2.4)
    assert (await asked).order.extensions == 1
    assert await prolonged(named, card) == ["done"]


async def test_hours_are_not_paid_for_when_a_provider_only_gives_some_minutes_more(play: Play) -> None:
    world = await renting.opened(play, dialect="classic")
    async with scripted(
        world, getRentNumber=sale(NUMBER, 1), getRentStatus=WAITING, continueRentInfo=PRICED, continueRentNumber=None,
        getRentList=rentals(1),
    ) as script:  # fmt: skip
        card = await world.buy(RENTAL)
        await let_window_end(world)
        await prolong(world, card)
        await world.age(timedelta(hours=HOURS))
        await doubt_ends(world)
        assert await prolonged(world, card) == ["unknown"]
        script.answers |= {"getRentList": rentals(), "getRentStatus": b'{"status":"error","message":"STATUS_FINISH"}'}
        await doubt_ends(world)
    assert await prolonged(world, card) == ["refused"]
    assert await world.money() == (MONEY - PRICE, 0)


async def test_a_note_that_is_written_just_after_the_next_try_began_is_found(named: World) -> None:
    await named.give(named.alice, 10 * PRICE)
    card = await named.buy(RENTAL)
    first = await trade(named, card)
    again = asyncio.create_task(trade(named, card))
    await asyncio.sleep(0.03)
    wanted = orders.HoursTrade(named.alice, card.order.id, HOURS, b"the-same-request")
    await orders.note_hours_undelivered(named.desk, wanted, first.request_key)
    assert (await again).is_replayed
    assert await prolonged(named, card) == ["done"]
    assert not (await trade(named, card)).is_replayed
    assert await prolonged(named, card) == ["done", "done"]


class Killed(BaseException):
    """Whoever bought is gone."""


async def test_hours_that_were_on_their_way_when_the_process_died_go_to_the_next_try(
    named: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_name: str) -> None:
        raise Killed

    card = await named.buy(RENTAL)
    monkeypatch.setattr(crash_points, "reached", die)
    with pytest.raises(Killed):
        await trade(named, card)
    monkeypatch.undo()
    (bought,) = await orders.list_prolongations(named.desk, card)
    told = Prolonged(card.order.upstream_id or "", card.order.number or "", None)
    await settle_prolongation(named.desk, bought, told)  # as the provider's list would show later
    assert await prolonged(named, card) == ["done"]
    async with another_process(named) as second:
        assert (await trade(second, card)).is_replayed
    assert await prolonged(named, card) == ["done"]
    assert await named.money() == (MONEY - 2 * PRICE, 0)
