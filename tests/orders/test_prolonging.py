"""More hours for a rental: asked for once, paid when they are there, and read off the provider's list when in doubt."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from numberdesk.accounts.service import KeyInFlight
from numberdesk.base import crash_points
from numberdesk.base.errors import InvalidFields, NotFound
from numberdesk.base.money import Paise
from numberdesk.catalogue.service import PriceTooLow
from numberdesk.orders import jobs
from numberdesk.orders import service as orders
from numberdesk.orders.model import Card
from numberdesk.orders.service import BeingProlonged, CannotProlong, NotPossibleNow
from numberdesk.providers import service as providers
from numberdesk.providers.simulator import PROFILES
from numberdesk.wallet.service import InsufficientBalance
from tests.orders import renting
from tests.orders.renting import HOURS, PRICE, RENTAL, deliver, let_window_end, look, prolong, prolonged
from tests.orders.world import MONEY, PATIENCE, Play, World, another_process, outcomes, scripted

pytestmark = pytest.mark.anyio

SOLD = {
    name: replace(PROFILES[name], code_after=None, fault_on="purchases")
    for name in ("sold-then-dropped", "sold-then-500")
}
NOT_SOLD = replace(PROFILES["dropped-not-sold"], fault_on="purchases")
MORE = timedelta(hours=HOURS)


@pytest.fixture(params=["classic", "numberdesk"])
async def world(play: Play, request: pytest.FixtureRequest) -> World:
    """A world whose provider rents numbers out; only the one of our own dialect tells when they end."""
    return await renting.opened(play, dialect=request.param)


@pytest.fixture
async def named(play: Play) -> World:
    return await renting.opened(play)


@pytest.fixture
async def rented(named: World) -> Card:
    """A rental whose time for cancelling is over."""
    card = await named.buy(RENTAL)
    await let_window_end(named)
    return Card(await named.read(card))


async def doubt_ends(world: World, times: int = 3) -> None:
    """Let the pass follow prolongations for as long as it takes to be sure."""
    for _ in range(times):
        await world.age(PATIENCE * 2)
        await orders.follow_prolongations(world.desk)


async def asked(world: World) -> int:
    """Return how many times the provider was asked to prolong, whatever it did."""
    refused = [fact for fact in world.alpha.facts("refused") if fact.action == "continueRentNumber"]
    return len(world.alpha.facts("prolonged")) + len(refused)


# Prolonged.


async def test_a_rental_is_prolonged_at_the_price_that_was_told(world: World) -> None:
    card = await world.buy(RENTAL)
    await let_window_end(world)
    before = (await world.read(card)).expires_at
    told = await orders.prolong_price(world.desk, account_id=world.alice, order_id=card.order.id, hours=HOURS)
    assert told == PRICE
    assert world.alpha.facts("prolonged") == []
    card = await prolong(world, card)
    order = card.order
    assert (order.state, order.extensions, order.is_prolonging, order.hours) == ("received", 1, False, HOURS)
    assert before is not None
    assert order.expires_at is not None
    assert abs(order.expires_at - before - MORE) < timedelta(minutes=21)
    assert await world.money() == (MONEY - 2 * PRICE, 0)
    assert await world.revenue() == 2 * PRICE
    assert await prolonged(world, card) == ["done"]
    assert await renting.events(world, card) == ["active", "extended"]
    assert len(world.alpha.facts("prolonged")) == 1


async def test_who_prolongs_within_the_window_keeps_the_rental(named: World) -> None:
    card = await prolong(named, await named.buy(RENTAL))
    assert (card.order.state, card.order.codes_received) == ("received", 0)
    assert await named.money() == (MONEY - 2 * PRICE, 0)
    with pytest.raises(orders.RentalKept):
        await named.cancel(card)
    deliver(named, card, "11111")
    assert [message.code for message in (await look(named, card)).messages] == ["11111"]
    assert await named.revenue() == 2 * PRICE


async def test_a_repeat_with_its_key_prolongs_once(named: World, rented: Card) -> None:
    first = await prolong(named, rented, key="once")
    assert (await prolong(named, rented, key="once")).order == first.order
    assert await asked(named) == 1
    assert await named.money() == (MONEY - 2 * PRICE, 0)


async def test_of_several_at_once_one_prolongs(named: World, rented: Card) -> None:
    await named.give(named.alice, 10 * PRICE)
    found = await outcomes([prolong(named, rented) for _ in range(5)])
    done = [item for item in found if isinstance(item, Card)]
    assert all(isinstance(item, Card | BeingProlonged) for item in found), found
    assert await asked(named) == len(done) >= 1
    assert await prolonged(named, rented) == ["done"] * len(done)
    same = await outcomes([prolong(named, rented, key="same") for _ in range(5)])
    assert all(isinstance(item, Card | KeyInFlight) for item in same), same
    assert await asked(named) == len(done) + 1


async def test_a_caller_who_leaves_does_not_stop_it(named: World, rented: Card) -> None:
    named.alpha.set_profile(replace(PROFILES["never"], answer_delay=0.15, fault_on="purchases"))
    task = asyncio.create_task(prolong(named, rented, key="once"))
    while await prolonged(named, rented) != ["requested"]:  # noqa: ASYNC110 - there is nothing to wait on
        await asyncio.sleep(0.01)
    task.cancel()
    await outcomes([task])
    await named.db.drain(timeout=3)
    assert await prolonged(named, rented) == ["done"]
    assert await named.money() == (MONEY - 2 * PRICE, 0)


# Not prolonged.


async def test_what_cannot_be_prolonged_is_refused_before_anything_is_held(named: World, rented: Card) -> None:
    money = await named.money()
    with pytest.raises(CannotProlong) as refused:
        await prolong(named, rented, hours=2000)
    assert refused.value.reason == "hours"
    for hours in (0, 8761):
        with pytest.raises(InvalidFields):
            await prolong(named, rented, hours=hours)
    with pytest.raises(NotFound):
        await orders.prolong(named.desk, account_id=named.bob, order_id=rented.order.id, hours=HOURS)
    with pytest.raises(PriceTooLow):
        await orders.prolong(
            named.desk, account_id=named.alice, order_id=rented.order.id, hours=HOURS, max_price_paise=Paise(PRICE - 1)
        )  # fmt: skip
    activation = await named.buy()
    with pytest.raises(InvalidFields):
        await prolong(named, activation)
    await named.cancel(activation)
    with pytest.raises(InsufficientBalance):
        await prolong(named, rented, hours=48)
    assert await named.money() == money
    assert await prolonged(named, rented) == []
    assert not (await named.read(rented)).is_prolonging
    assert named.alpha.facts("prolonged") == []


async def test_a_rental_that_is_over_is_not_prolonged(named: World, rented: Card) -> None:
    await named.age(timedelta(hours=HOURS))
    with pytest.raises(CannotProlong) as refused:
        await prolong(named, rented)
    assert refused.value.reason == "over"
    await jobs.end_due(named.desk)
    with pytest.raises(NotPossibleNow):
        await prolong(named, rented)
    assert named.alpha.facts("prolonged") == []


async def test_a_refusal_of_the_provider_gives_the_money_back_and_stays_one(named: World, rented: Card) -> None:
    async with scripted(
        named, continueRentInfo=b'{"status":"success","price":35.5}',
        continueRentNumber=b'{"status":"error","message":"MAX_HOURS_EXCEED"}',
    ) as script:  # fmt: skip
        for _ in range(2):
            with pytest.raises(CannotProlong) as refused:
                await prolong(named, rented, key="once")
            assert refused.value.reason == "hours"
        assert script.count("continueRentNumber") == 1
    assert await prolonged(named, rented) == ["refused"]
    assert await named.money() == (MONEY - PRICE, 0)
    order = await named.read(rented)
    assert (order.is_prolonging, order.extensions, order.expires_at) == (False, 0, rented.order.expires_at)


async def test_a_refused_prolongation_leaves_a_young_rental_to_be_cancelled(named: World) -> None:
    card = await named.buy(RENTAL)
    async with scripted(
        named, continueRentInfo=b'{"status":"success","price":35.5}',
        continueRentNumber=b'{"status":"error","message":"OUT_OF_STOCK"}',
        **{"setRentStatus 2": b'{"status":"success"}'},
    ):  # fmt: skip
        with pytest.raises(CannotProlong):
            await prolong(named, card)
        assert (await named.read(card)).state == "active"
        assert (await named.cancel(card)).order.state == "cancelled"
    assert await named.money() == (MONEY, 0)


async def test_a_price_that_is_not_told_is_that_of_a_new_rental(named: World, rented: Card) -> None:
    answer = b'{"status":"error","message":"BAD_ACTION"}'
    async with scripted(named, continueRentInfo=answer, getContinueRentPriceNumber=answer):
        told = await orders.prolong_price(named.desk, account_id=named.alice, order_id=rented.order.id, hours=HOURS)
        assert told == PRICE
        with pytest.raises(CannotProlong):
            await orders.prolong_price(named.desk, account_id=named.alice, order_id=rented.order.id, hours=HOURS + 1)
    async with scripted(named, continueRentInfo=None):
        with pytest.raises(orders.ProviderSilent):
            await orders.prolong_price(named.desk, account_id=named.alice, order_id=rented.order.id, hours=HOURS + 1)


# Under another id.


def sale(number: str | None, rental_id: int) -> bytes:
    return msgspec.json.encode({"status": "success", "phone": {"id": rental_id, "number": number, "endDate": None}})


async def test_a_rental_that_goes_on_under_a_new_id_keeps_its_messages_and_gets_those_of_both(
    named: World, rented: Card
) -> None:
    deliver(named, rented, "11111")
    await look(named, rented)
    async with scripted(
        named, continueRentInfo=b'{"status":"success","price":35.5}',
        continueRentNumber=sale(rented.order.number, 9999),
        getRentStatus=b'{"status":"success","quantity":"1","values":{"0":{"phoneFrom":"","text":"Your code 22222"}}}',
    ):  # fmt: skip
        card = await prolong(named, rented)
        assert card.order.upstream_id == "rent:9999"
        card = await look(named, card)
    assert [message.code for message in card.messages] == ["11111", "22222"]
    rows = await named.backstage.fetch("SELECT upstream_id, is_former FROM activations ORDER BY is_former")
    assert [tuple(row) for row in rows] == [("rent:9999", False), (rented.order.upstream_id, True)]


async def test_another_number_is_not_the_same_rental(named: World, rented: Card) -> None:
    async with scripted(
        named, continueRentInfo=b'{"status":"success","price":35.5}', continueRentNumber=sale("919800000009", 9999),
        **{"setRentStatus 2": b'{"status":"success"}'},
    ) as script:  # fmt: skip
        with pytest.raises(CannotProlong) as refused:
            await prolong(named, rented)
        assert refused.value.reason == "number"
        await jobs.cancel_orphans(named.desk)
        assert script.count("setRentStatus 2") == 1
    assert await named.orphans() == {"rent:9999": "cancelled"}
    assert (await named.read(rented)).upstream_id == rented.order.upstream_id
    assert await named.money() == (MONEY - PRICE, 0)


# In doubt.


@pytest.mark.parametrize("profile", SOLD.values(), ids=lambda profile: profile.name)
async def test_hours_sold_without_an_answer_are_found_by_the_later_end(
    named: World, rented: Card, profile: object
) -> None:
    named.alpha.set_profile(profile)  # type: ignore[arg-type]
    card = await prolong(named, rented, key="once")
    assert (card.order.state, card.order.is_prolonging) == ("received", True)
    assert await named.money() == (MONEY - 2 * PRICE, PRICE)
    named.alpha.set_profile("never")
    assert (await prolong(named, rented, key="once")).order.is_prolonging
    with pytest.raises(BeingProlonged):
        await prolong(named, rented)
    with pytest.raises(BeingProlonged):
        await orders.finish(named.desk, account_id=named.alice, order_id=rented.order.id)
    await doubt_ends(named)
    order = await named.read(rented)
    assert (order.is_prolonging, order.extensions) == (False, 1)
    assert await prolonged(named, rented) == ["done"]
    assert await named.money() == (MONEY - 2 * PRICE, 0)
    assert await asked(named) == 1


async def test_hours_that_were_not_sold_give_their_money_back(named: World, rented: Card) -> None:
    named.alpha.set_profile(NOT_SOLD)
    await prolong(named, rented, key="once")
    named.alpha.set_profile("never")
    await doubt_ends(named, times=1)
    assert await prolonged(named, rented) == ["unknown"]
    await doubt_ends(named)
    assert await prolonged(named, rented) == ["refused"]
    assert await named.money() == (MONEY - PRICE, 0)
    with pytest.raises(CannotProlong):
        await prolong(named, rented, key="once")
    assert (await prolong(named, rented)).order.extensions == 1


async def test_where_no_end_is_told_the_doubt_lasts_until_it(play: Play) -> None:
    world = await renting.opened(play, dialect="classic")
    card = await world.buy(RENTAL)
    await let_window_end(world)
    world.alpha.set_profile(SOLD["sold-then-dropped"])
    await prolong(world, card)
    world.alpha.set_profile("never")
    await doubt_ends(world)
    assert await prolonged(world, card) == ["unknown"]
    await world.age(MORE)
    # Its own time is over, and it must not end while it may have more.
    assert await jobs.end_due(world.desk) == 0
    await doubt_ends(world)
    assert await prolonged(world, card) == ["unknown"]
    await world.age(timedelta(hours=1))
    await doubt_ends(world)
    order = await world.read(card)
    assert (order.state, order.extensions) == ("received", 1)
    assert await prolonged(world, card) == ["done"]
    assert await world.money() == (MONEY - 2 * PRICE, 0)


async def test_a_rental_that_is_gone_after_its_time_was_not_prolonged(play: Play) -> None:
    world = await renting.opened(play, dialect="classic")
    card = await world.buy(RENTAL)
    await let_window_end(world)
    async with scripted(
        world, continueRentInfo=b'{"status":"success","price":35.5}', continueRentNumber=None,
        getRentList=b'{"status":"error","message":"NO_NUMBERS"}',
        getRentStatus=b'{"status":"error","message":"STATUS_FINISH"}',
    ):  # fmt: skip
        await prolong(world, card)
        await doubt_ends(world)
        assert await prolonged(world, card) == ["unknown"]
        await world.age(MORE)
        await doubt_ends(world)
    assert await prolonged(world, card) == ["refused"]
    assert await world.money() == (MONEY - PRICE, 0)
    assert await jobs.end_due(world.desk) == 1
    assert (await world.read(card)).state == "completed"


async def test_in_doubt_a_new_id_of_the_same_number_is_the_rental_and_no_stranger(named: World, rented: Card) -> None:
    listed = msgspec.json.encode({"status": "success", "values": {"0": {"id": "9999", "phone": rented.order.number}}})
    async with scripted(
        named, continueRentInfo=b'{"status":"success","price":35.5}', continueRentNumber=None, getRentList=listed,
        getRentStatus=b'{"status":"error","message":"STATUS_FINISH"}', getRentNumber=None,
    ) as script:  # fmt: skip
        await prolong(named, rented)
        # The purchase of another one is in doubt, so the watch reads the list of rentals too.
        await named.give(named.alice, 10 * PRICE)
        other = await named.buy(RENTAL)
        assert other.order.state == "unknown"
        await named.resolve()
        assert await named.orphans() == {}
        await look(named, rented)
        assert (await named.read(rented)).state == "received"
        await doubt_ends(named)
        assert script.count("continueRentNumber") == 1
    order = await named.read(rented)
    assert (order.upstream_id, order.extensions) == ("rent:9999", 1)
    assert (await named.read(other)).state == "failed"


async def test_a_doubt_that_stays_is_told_to_staff(play: Play) -> None:
    world = await renting.opened(play, dialect="classic")
    card = await world.buy(RENTAL)
    await let_window_end(world)
    world.alpha.set_profile(SOLD["sold-then-dropped"])
    await prolong(world, card)
    world.alpha.set_profile("never")
    assert await orders.raise_alarms(world.desk) == 0
    await world.age(timedelta(minutes=3))
    await doubt_ends(world, times=1)
    assert await orders.raise_alarms(world.desk) == 1
    assert [alert.kind for alert in await providers.list_alerts(world.db)] == ["unknown_stale"]


async def test_our_books_with_the_provider_know_of_hours_bought_later(named: World, rented: Card) -> None:
    async def gap() -> int:
        await named.run("UPDATE provider_money SET check_due_at = '-infinity'")
        assert await providers.check_money(named.lines) == 1
        check = await providers.last_check(named.db, named.provider().id)
        return 0 if check is None else check.gap_paise

    await gap()
    await prolong(named, rented)
    assert await gap() == 0
    named.alpha.set_profile(SOLD["sold-then-dropped"])
    await named.give(named.alice, PRICE)
    await prolong(named, rented)
    named.alpha.set_profile("never")
    assert await gap() == 0
    await doubt_ends(named)
    assert await gap() == 0
    assert await prolonged(named, rented) == ["done", "done"]


class Killed(BaseException):
    """Whoever bought is gone."""


@pytest.fixture
def killed_after_holding() -> Iterator[None]:
    def die(name: str) -> None:
        if name == "prolongation_held":
            raise Killed

    crash_points.reached = die
    yield
    crash_points.reached = crash_points._go_on


@pytest.mark.usefixtures("killed_after_holding")
async def test_a_process_that_dies_between_hold_and_question_loses_no_money(named: World, rented: Card) -> None:
    (found,) = await outcomes([prolong(named, rented, key="once")])
    assert isinstance(found, Killed)
    assert await prolonged(named, rented) == ["requested"]
    assert await named.money() == (MONEY - 2 * PRICE, PRICE)
    with pytest.raises(KeyInFlight):
        await prolong(named, rented, key="once")
    async with another_process(named) as second:
        await orders.follow_prolongations(second.desk)
        assert await prolonged(named, rented) == ["requested"]
        await doubt_ends(second)
    assert await prolonged(named, rented) == ["refused"]
    assert await named.money() == (MONEY - PRICE, 0)
    assert await asked(named) == 0
