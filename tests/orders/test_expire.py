"""The end of an order's time, and paying for more of it."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from numberdesk.base.errors import InvalidFields, NotFound
from numberdesk.orders import jobs
from numberdesk.orders import service as orders
from numberdesk.orders.model import Card, OrderRules
from numberdesk.orders.service import CannotExtend, NotCancellable, NotPossibleNow
from numberdesk.providers.simulator import PROFILES
from numberdesk.wallet.service import InsufficientBalance
from tests.orders.world import MONEY, PRICE, Play, World, another_process, blocked, outcomes, scripted

pytestmark = pytest.mark.anyio

BROKEN = replace(PROFILES["http-500"], fault_on="status-changes")
LATE = timedelta(minutes=16)
"""More than an order's time."""
HELD = (MONEY - PRICE, PRICE)
BACK = (MONEY, 0)
FEE = 50
"""A minute more."""


@pytest.fixture
async def lasting(play: Play) -> World:
    """A world whose provider keeps a number for half an hour, of which an order has the first 15 minutes."""
    return await play(options={"extend_paise_per_minute": FEE, "lifetime_ms": 1_800_000})


async def end(world: World) -> None:
    """Let the passes about ends run once."""
    await jobs.end_due(world.desk)
    await jobs.settle_ending(world.desk)


async def extended(
    world: World, card: Card, minutes: int, *, account: int | None = None, key: str | None = None
) -> Card:
    owner = type(world.alice)(account or world.alice)
    return await orders.extend(world.desk, account_id=owner, order_id=card.order.id, minutes=minutes, request_key=key)


async def holds(world: World) -> dict[str, tuple[int, str]]:
    found = await world.backstage.fetch("SELECT purpose, amount_paise, state FROM holds")
    return {hold["purpose"]: (hold["amount_paise"], hold["state"]) for hold in found}


async def test_a_repeat_with_the_same_key_sells_no_time_twice(lasting: World) -> None:
    card = await lasting.buy()
    first = await extended(lasting, card, 5, key="tap")
    again = await extended(lasting, card, 5, key="tap")
    assert again.order == first.order
    assert len(await holds(lasting)) == 2
    other = await extended(lasting, card, 5, key="another tap")
    assert other.order.expires_at is not None
    assert first.order.expires_at is not None
    assert other.order.expires_at - first.order.expires_at == timedelta(minutes=5)


# The end.


async def test_before_its_time_nothing_ends(world: World) -> None:
    card = await world.buy()
    await world.age(timedelta(minutes=14, seconds=50))
    assert await jobs.end_due(world.desk) == 0
    assert await jobs.settle_ending(world.desk) == 0
    assert (await world.read(card)).state == "active"
    assert await world.money() == HELD


async def test_without_a_code_the_money_comes_back(world: World) -> None:
    card = await world.buy()
    await world.age(LATE)
    assert await jobs.end_due(world.desk) == 1
    assert (await world.read(card)).state == "expiring"
    assert await world.money() == HELD
    assert await jobs.settle_ending(world.desk) == 1
    expired = await world.check(card)
    assert (expired.order.state, expired.order.failure) == ("expired", None)
    assert expired.refund is not None
    assert (expired.refund.amount_paise, expired.refund.at) == (PRICE, expired.order.ended_at)
    assert [str(fact.activation_id) for fact in world.alpha.cancelled] == [expired.order.upstream_id]
    await end(world)
    assert await world.check(card) == expired
    assert await world.money() == BACK


async def test_a_short_life_ends_by_the_databases_clock(play: Play) -> None:
    world = await play(rules=OrderRules(cancel_after=timedelta(0), lifetime=timedelta(milliseconds=1)))
    card = await world.buy()
    await asyncio.sleep(0.01)
    await end(world)
    assert (await world.check(card)).order.state == "expired"
    assert await world.money() == BACK


async def test_a_paid_order_is_completed_and_its_provider_told(world: World) -> None:
    card = await world.buy()
    world.deliver(card, "12345")
    await world.watch()
    await world.age(LATE)
    assert await jobs.end_due(world.desk) == 1
    order = await world.read(card)
    assert (order.state, order.ended_at is not None) == ("completed", True)
    assert await jobs.settle_ending(world.desk) == 0
    assert await jobs.release_finished(world.desk) == 1
    assert await jobs.release_finished(world.desk) == 0
    assert [str(fact.activation_id) for fact in world.alpha.finished] == [order.upstream_id]
    assert await world.money() == (MONEY - PRICE, 0)
    assert await world.revenue() == PRICE


async def test_an_expiring_order_cannot_be_cancelled_or_extended(lasting: World) -> None:
    card = await lasting.buy()
    await lasting.age(LATE)
    await jobs.end_due(lasting.desk)
    with pytest.raises(NotCancellable):
        await lasting.cancel(card)
    with pytest.raises(NotPossibleNow):
        await extended(lasting, card, 5)
    assert await lasting.money() == HELD


async def test_two_workers_end_each_order_once(world: World) -> None:
    cards = [await world.buy() for _ in range(4)]
    await world.age(LATE)
    async with another_process(world) as second:
        assert sum(await asyncio.gather(jobs.end_due(world.desk), jobs.end_due(second.desk))) == 4
        ended = await asyncio.gather(jobs.settle_ending(world.desk), jobs.settle_ending(second.desk))
    assert sum(ended) == len(world.alpha.cancelled) == 4
    assert {(await world.read(card)).state for card in cards} == {"expired"}
    assert await world.money() == BACK


async def test_the_end_of_many_comes_in_bounded_steps(world: World) -> None:
    for _ in range(4):
        await world.buy()
    await world.age(LATE)
    assert [await jobs.end_due(world.desk, limit=3) for _ in range(3)] == [3, 1, 0]
    assert [await jobs.settle_ending(world.desk, limit=3) for _ in range(3)] == [3, 1, 0]
    assert await world.money() == BACK


async def test_a_provider_that_says_too_early_at_the_end_is_asked_again(play: Play) -> None:
    world = await play(min_cancel_age=timedelta(seconds=0.3))
    card = await world.buy()
    await world.age(LATE)
    await end(world)
    assert (await world.read(card)).state == "expiring"
    assert await world.money() == HELD
    await asyncio.sleep(0.3)
    await world.age(timedelta(seconds=jobs.LEASE_SECONDS))
    await end(world)
    assert (await world.read(card)).state == "expired"
    assert await world.money() == BACK


@pytest.mark.parametrize("state", ["expiring", "cancelling"])
async def test_a_provider_that_is_silent_for_too_long_does_not_keep_the_money(world: World, state: str) -> None:
    card = await world.buy()
    world.alpha.set_profile(BROKEN)
    if state == "cancelling":
        await world.cancel(card)
    await world.age(LATE)
    await end(world)
    assert (await world.read(card)).state == state
    await world.age(jobs.GIVE_UP_AFTER - timedelta(minutes=2))
    await end(world)
    assert (await world.read(card)).state == state
    assert await world.money() == HELD
    await world.age(timedelta(minutes=2))
    await end(world)
    given_up = await world.check(card)
    assert given_up.order.state == {"expiring": "expired", "cancelling": "cancelled"}[state]
    assert given_up.refund is not None
    assert await world.money() == BACK
    world.alpha.set_profile("never")
    world.deliver(card, "12345")
    await world.watch()
    assert await world.sealed(card) == [("12345", True)]
    assert await world.check(card) == given_up
    assert await world.money() == BACK
    assert await world.revenue() == 0


async def test_a_number_that_died_at_its_provider_first_gives_the_money_back(play: Play) -> None:
    world = await play(lifetime=timedelta(milliseconds=50))
    card = await world.buy()
    await asyncio.sleep(0.1)
    await world.watch()
    assert len(world.alpha.expired) == 1
    assert (await world.check(card)).order.failure == "provider_cancelled"
    assert await world.money() == BACK


# More time: refused.


async def test_more_time_is_not_sold_where_the_provider_does_not_sell_it(world: World) -> None:
    card = await world.buy()
    with pytest.raises(CannotExtend) as refused:
        await extended(world, card, 1)
    assert refused.value.latest is None
    assert await world.read(card) == card.order
    assert await world.money() == HELD


async def test_nothing_goes_beyond_the_providers_lifetime(lasting: World) -> None:
    card = await lasting.buy()
    with pytest.raises(CannotExtend) as refused:
        await extended(lasting, card, 16)
    assert refused.value.latest == card.order.last_expiry_at
    assert await lasting.money() == HELD
    await extended(lasting, card, 14)
    with pytest.raises(CannotExtend):
        await extended(lasting, card, 1)
    assert await lasting.money() == (MONEY - PRICE - 14 * FEE, PRICE + 14 * FEE)


@pytest.mark.parametrize("minutes", [0, -1, 1441])
async def test_more_time_is_a_sensible_number_of_minutes(lasting: World, minutes: int) -> None:
    card = await lasting.buy()
    with pytest.raises(InvalidFields) as refused:
        await extended(lasting, card, minutes)
    assert list(refused.value.fields) == ["minutes"]
    assert await lasting.money() == HELD


async def test_nobody_extends_the_order_of_somebody_else(lasting: World) -> None:
    card = await lasting.buy()
    with pytest.raises(NotFound):
        await extended(lasting, card, 5, account=lasting.bob)
    assert await lasting.read(card) == card.order
    assert await lasting.money() == HELD


async def test_without_the_money_there_is_no_more_time(lasting: World) -> None:
    await lasting.give(lasting.bob, PRICE + 5 * FEE - 1)
    card = await lasting.buy(account=lasting.bob)
    with pytest.raises(InsufficientBalance) as refused:
        await extended(lasting, card, 5, account=lasting.bob)
    assert (refused.value.needed_paise, refused.value.available_paise) == (5 * FEE, 5 * FEE - 1)
    assert await lasting.read(card) == card.order
    assert await lasting.money(lasting.bob) == (5 * FEE - 1, PRICE)


async def test_time_that_is_over_is_not_sold(lasting: World) -> None:
    """Nobody has completed the order yet, and five minutes from its end would be over as well."""
    card = await lasting.buy()
    lasting.deliver(card, "12345")
    await lasting.watch()
    await lasting.age(timedelta(minutes=21))
    with pytest.raises(CannotExtend):
        await extended(lasting, card, 5)
    assert await lasting.money() == (MONEY - PRICE, 0)
    assert (await extended(lasting, card, 8)).order.extensions == 1
    assert await lasting.money() == (MONEY - PRICE - 8 * FEE, 0)


# More time: sold.


async def test_the_fee_is_held_and_paid_with_the_code(lasting: World) -> None:
    card = await lasting.buy()
    longer = await extended(lasting, card, 5)
    assert card.order.expires_at is not None
    assert longer.order.expires_at == card.order.expires_at + timedelta(minutes=5)
    assert (longer.order.extensions, await lasting.read(card)) == (1, longer.order)
    assert await holds(lasting) == {"number:1": (PRICE, "held"), "extend:1": (5 * FEE, "held")}
    assert await lasting.money() == (MONEY - PRICE - 5 * FEE, PRICE + 5 * FEE)
    lasting.deliver(card, "12345")
    await lasting.watch()
    assert {state for _, state in (await holds(lasting)).values()} == {"captured"}
    assert await lasting.money() == (MONEY - PRICE - 5 * FEE, 0)
    assert await lasting.revenue() == PRICE + 5 * FEE


async def test_the_order_lives_for_as_long_as_was_paid_for(lasting: World) -> None:
    card = await lasting.buy()
    await extended(lasting, card, 5)
    await lasting.age(LATE)
    assert await jobs.end_due(lasting.desk) == 0
    await lasting.age(timedelta(minutes=5))
    assert await jobs.end_due(lasting.desk) == 1


@pytest.mark.parametrize("way", ["expired", "cancelled"])
async def test_without_a_code_the_fees_come_back_with_the_price(lasting: World, way: str) -> None:
    card = await lasting.buy()
    await extended(lasting, card, 5)
    await extended(lasting, card, 4)
    if way == "cancelled":
        await lasting.cancel(card)
    else:
        await lasting.age(timedelta(minutes=25))
        await end(lasting)
    ended = await lasting.check(card)
    assert ended.order.state == way
    assert ended.refund is not None
    assert ended.refund.amount_paise == PRICE + 9 * FEE
    assert {state for _, state in (await holds(lasting)).values()} == {"voided"}
    async with another_process(lasting) as second:
        assert await second.check(card) == ended
    assert await lasting.money() == BACK


async def test_more_time_after_the_code_is_paid_at_once(lasting: World) -> None:
    card = await lasting.buy()
    lasting.deliver(card, "12345")
    await lasting.watch()
    longer = await extended(lasting, card, 5)
    assert [message.code for message in longer.messages] == ["12345"]
    assert await holds(lasting) == {"number:1": (PRICE, "captured"), "extend:1": (5 * FEE, "captured")}
    assert await lasting.money() == (MONEY - PRICE - 5 * FEE, 0)
    await lasting.age(LATE)
    assert await jobs.end_due(lasting.desk) == 0


async def test_where_more_time_is_free_nothing_is_held(play: Play) -> None:
    world = await play(options={"extend_paise_per_minute": 0, "lifetime_ms": 1_800_000})
    card = await world.buy()
    assert (await extended(world, card, 5)).order.extensions == 1
    assert await holds(world) == {"number:1": (PRICE, "held")}
    assert await world.money() == HELD


async def test_parallel_extensions_never_pass_the_limit(lasting: World) -> None:
    card = await lasting.buy()
    async with another_process(lasting) as second:
        found = await outcomes(extended(process, card, 5) for _ in range(4) for process in (lasting, second))
    assert sum(isinstance(item, Card) for item in found) == 2, "15 minutes are left, less the time of the purchase"
    assert sum(isinstance(item, CannotExtend) for item in found) == 6
    order = await lasting.read(card)
    assert order.extensions == 2
    assert order.expires_at is not None
    assert card.order.expires_at is not None
    assert order.expires_at == card.order.expires_at + timedelta(minutes=10)
    assert await lasting.money() == (MONEY - PRICE - 10 * FEE, PRICE + 10 * FEE)


# More time against the end.


async def test_an_extension_that_came_first_keeps_the_order_alive(lasting: World) -> None:
    """The extension has the order and waits for the wallet; the end passes the locked order by."""
    card = await lasting.buy()
    await lasting.age(timedelta(minutes=15))
    async with lasting.backstage.transaction():
        await lasting.backstage.execute("SELECT FROM wallets WHERE account_id = $1 FOR UPDATE", lasting.alice)
        extending = asyncio.ensure_future(extended(lasting, card, 5))
        await blocked(lasting, 1)
        assert await jobs.end_due(lasting.desk) == 0
    assert (await extending).order.state == "active"
    assert await jobs.end_due(lasting.desk) == 0
    assert (await lasting.read(card)).state == "active"
    assert await lasting.money() == (MONEY - PRICE - 5 * FEE, PRICE + 5 * FEE)


async def test_an_end_that_came_first_takes_no_fee(lasting: World) -> None:
    """The extension waits for the order, which is ending under its hands."""
    card = await lasting.buy()
    await lasting.age(timedelta(minutes=15))
    async with lasting.backstage.transaction():
        await lasting.backstage.execute("UPDATE orders SET state = 'expiring', next_try_at = now(), tries = 0")
        extending = asyncio.ensure_future(extended(lasting, card, 5))
        await blocked(lasting, 1)
    with pytest.raises(NotPossibleNow):
        await extending
    assert await lasting.money() == HELD
    await end(lasting)
    assert (await lasting.read(card)).state == "expired"
    assert await lasting.money() == BACK


async def test_extensions_and_ends_all_at_once_give_one_consistent_result(lasting: World) -> None:
    cards = [await lasting.buy() for _ in range(4)]
    await lasting.age(timedelta(minutes=15))
    async with another_process(lasting) as second:
        extending = [extended(process, card, 5) for card in cards for process in (lasting, second)]
        found = await outcomes([*extending, end(lasting), end(second)])
    await end(lasting)
    kept, fees = 0, 0
    for place, card in enumerate(cards):
        pair = found[2 * place : 2 * place + 2]
        assert all(isinstance(item, Card | NotPossibleNow | CannotExtend) for item in pair), pair
        order = await lasting.read(card)
        paid = sum(isinstance(item, Card) for item in pair)
        assert (order.state, order.extensions) == (("active", paid) if paid else ("expired", 0))
        kept += paid > 0
        fees += paid * 5 * FEE
    assert await lasting.money() == (MONEY - kept * PRICE - fees, kept * PRICE + fees)


async def test_a_cancel_that_waits_for_an_extension_gives_its_fee_back_too(lasting: World) -> None:
    card = await lasting.buy()
    async with lasting.backstage.transaction():
        await lasting.backstage.execute("SELECT FROM wallets WHERE account_id = $1 FOR UPDATE", lasting.alice)
        extending = asyncio.ensure_future(extended(lasting, card, 5))
        await blocked(lasting, 1)
        cancelling = asyncio.ensure_future(lasting.cancel(card))
        await blocked(lasting, 2)
    assert (await extending).order.state == "active"
    cancelled = await cancelling
    assert cancelled.refund is not None
    assert cancelled.refund.amount_paise == PRICE + 5 * FEE
    assert await lasting.money() == BACK


async def test_a_lost_notice_that_an_order_is_finished_is_no_loss(world: World) -> None:
    async with scripted(world, getStatus=b"STATUS_OK:111", **{"setStatus 6": None}) as script:
        card = await world.buy()
        await world.watch()
        await orders.finish(world.desk, account_id=world.alice, order_id=card.order.id)
        assert await jobs.release_finished(world.desk) == 1
        assert await jobs.release_finished(world.desk) == 0
        assert script.count("setStatus 6") == 1
    assert (await world.read(card)).state == "completed"
    assert await world.money() == (MONEY - PRICE, 0)
