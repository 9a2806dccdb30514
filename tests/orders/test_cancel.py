"""Cancelling: who may, when, what the provider says to it, and one refund however often it is wished."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from numberdesk.base.errors import NotFound
from numberdesk.orders import jobs, sql
from numberdesk.orders import service as orders
from numberdesk.orders.model import CancelWanted, Card, Delivery, OrderId, OrderRules
from numberdesk.orders.service import CancelTooEarly, NotCancellable
from numberdesk.providers.model import Received
from numberdesk.providers.simulator import PROFILES, Profile
from tests.orders.world import (
    DEADLINE_MS,
    MONEY,
    PRICE,
    Play,
    World,
    another_process,
    listing,
    outcomes,
    row,
    scripted,
    until,
)

pytestmark = pytest.mark.anyio

PATIENT = OrderRules(cancel_after=timedelta(minutes=2), lifetime=timedelta(minutes=15))
DROPPED = PROFILES["status-then-dropped"]
BROKEN = replace(PROFILES["http-500"], fault_on="status-changes")
SLOW = replace(PROFILES["slow"], fault_on="status-changes", answer_delay=2 * DEADLINE_MS / 1000)
HELD = (MONEY - PRICE, PRICE)
BACK = (MONEY, 0)


async def voids(world: World) -> int:
    """Count how often money was given back."""
    return int(await world.backstage.fetchval("SELECT count(*) FROM postings WHERE kind = 'void'"))


# Refused.


async def test_an_order_that_is_not_there_or_somebody_elses_is_not_found(world: World) -> None:
    card = await world.buy()
    for account, order_id in ((world.bob, card.order.id), (world.alice, OrderId(999))):
        with pytest.raises(NotFound):
            await orders.cancel(world.desk, account_id=account, order_id=order_id)
    assert await world.read(card) == card.order
    assert world.alpha.facts("cancelled", "refused") == []
    assert await world.money() == HELD


async def test_too_early_says_when_and_asks_nobody(play: Play) -> None:
    world = await play(rules=PATIENT)
    card = await world.buy()
    with pytest.raises(CancelTooEarly) as refused:
        await world.cancel(card)
    assert refused.value.allowed_at == card.order.cancel_allowed_at
    assert 115 <= refused.value.wait_seconds <= 120
    assert str(refused.value).startswith("This number can be cancelled in 1")
    assert world.alpha.facts("cancelled", "refused") == []
    assert await world.read(card) == card.order
    assert await world.money() == HELD
    await world.age(timedelta(minutes=2))
    assert (await world.cancel(card)).order.state == "cancelled"
    assert await world.money() == BACK


async def test_the_providers_own_limit_counts_when_it_is_longer(play: Play) -> None:
    world = await play(options={"cancel_after_ms": 60_000})
    card = await world.buy()
    with pytest.raises(CancelTooEarly) as refused:
        await world.cancel(card)
    assert 55 <= refused.value.wait_seconds <= 60
    assert await world.money() == HELD


async def test_after_a_code_there_is_no_cancel(world: World) -> None:
    card = await world.buy()
    world.deliver(card, "12345")
    await world.watch()
    with pytest.raises(NotCancellable) as refused:
        await world.cancel(card)
    assert refused.value.order_status == "received"
    assert (await world.check(card)).order.state == "received"
    assert world.alpha.facts("cancelled", "refused") == []
    assert await world.money() == (MONEY - PRICE, 0)


async def test_a_provider_that_says_too_early_leaves_the_order_open(play: Play) -> None:
    world = await play(min_cancel_age=timedelta(seconds=60))
    card = await world.buy()
    with pytest.raises(CancelTooEarly) as refused:
        await world.cancel(card)
    order = await world.read(card)
    assert (order.state, order.ended_at) == ("active", None)
    assert refused.value.allowed_at == order.cancel_allowed_at
    assert [fact.reason for fact in world.alpha.refused] == ["EARLY_CANCEL_DENIED"]
    with pytest.raises(CancelTooEarly):
        await world.cancel(card)
    assert len(world.alpha.refused) == 1, "the provider is not asked again before that"
    assert await world.money() == HELD
    world.deliver(card, "12345")
    await world.watch()
    assert (await world.check(card)).messages[0].code == "12345"
    assert await world.money() == (MONEY - PRICE, 0)


# Done.


async def test_a_cancel_gives_the_money_back_once_the_provider_agrees(world: World) -> None:
    card = await world.buy()
    cancelled = await world.cancel(card)
    order = cancelled.order
    assert (order.state, order.failure, order.ended_at) == ("cancelled", None, order.changed_at)
    assert cancelled.refund is not None
    assert (cancelled.refund.amount_paise, cancelled.refund.at) == (PRICE, order.ended_at)
    assert [str(fact.activation_id) for fact in world.alpha.cancelled] == [order.upstream_id]
    assert await world.read(card) == order
    assert await world.check(card) == cancelled
    assert await world.money() == BACK


async def test_a_repeat_gives_the_equal_answer_and_moves_no_money(world: World) -> None:
    card = await world.buy()
    first = await world.cancel(card)
    async with another_process(world) as second:
        for process in (world, second, world):
            assert await process.cancel(card) == first
    assert len(world.alpha.cancelled) == await voids(world) == 1
    assert await world.money() == BACK


async def test_fifty_parallel_cancels_are_one_refund(world: World) -> None:
    card = await world.buy()
    found = await asyncio.gather(*(world.cancel(card) for _ in range(50)))
    assert set(found) == {await world.check(card)}
    assert len(world.alpha.cancelled) == await voids(world) == 1
    assert await world.money() == BACK


async def test_parallel_cancels_in_two_processes_are_one_refund(world: World) -> None:
    card = await world.buy()
    async with another_process(world) as second:
        found = await asyncio.gather(*(process.cancel(card) for _ in range(10) for process in (world, second)))
    assert {item.order.state for item in found} == {"cancelled"}
    assert {item.refund for item in found} == {(await world.check(card)).refund}
    assert len(world.alpha.cancelled) == await voids(world) == 1
    assert await world.money() == BACK


async def test_a_cancel_that_another_process_carried_out_is_seen_here_with_its_answer(world: World) -> None:
    card = await world.buy()
    async with another_process(world) as second:
        cancelled = await second.cancel(card)
    assert (await world.check(card)).order.state == "active", "no message has come"
    assert await world.cancel(card) == await world.check(card) == cancelled
    assert await world.money() == BACK


async def test_many_customers_cancel_at_once_and_each_gets_the_own_money(world: World) -> None:
    await world.give(world.bob, 4 * PRICE)
    mine = [await world.buy() for _ in range(4)]
    theirs = [await world.buy(account=world.bob) for _ in range(4)]
    calls = [world.cancel(card) for card in mine] + [world.cancel(card, account=world.bob) for card in theirs]
    found = await outcomes([*calls, *(world.cancel(card) for card in theirs)])
    assert [item.order.state for item in found[:8]] == ["cancelled"] * 8
    assert [type(item) for item in found[8:]] == [NotFound] * 4
    assert await world.money() == BACK
    assert await world.money(world.bob) == (4 * PRICE, 0)


async def test_a_number_that_the_provider_had_cancelled_before_gives_the_money_back(play: Play) -> None:
    world = await play(profile=replace(PROFILES["self-cancel"], self_cancel_after=(0.0, 0.0)))
    card = await world.buy()
    await until(lambda: len(world.alpha.self_cancelled) == 1)
    assert (await world.cancel(card)).order.state == "cancelled"
    assert await world.money() == BACK


async def test_a_number_that_the_provider_does_not_know_any_more_gives_the_money_back(world: World) -> None:
    async with scripted(world, **{"setStatus 8": b"NO_ACTIVATION"}):
        card = await world.buy()
        assert (await world.cancel(card)).order.state == "cancelled"
    assert await world.money() == BACK


# A provider that gives no clear answer.


@pytest.mark.parametrize("profile", [DROPPED, SLOW, BROKEN], ids=lambda profile: profile.name)
async def test_without_an_answer_the_order_stays_open_until_there_is_one(world: World, profile: Profile) -> None:
    card = await world.buy()
    world.alpha.set_profile(profile)
    begun = await world.cancel(card)
    assert (begun.order.state, begun.refund) == ("cancelling", None)
    assert await world.money() == HELD
    assert await jobs.settle_ending(world.desk) == 0, "whoever asked may still be at it"
    await world.age(timedelta(seconds=20))
    assert await jobs.settle_ending(world.desk) == 1
    assert (await world.read(card)).state == "cancelling"
    assert await world.money() == HELD
    world.alpha.set_profile("never")
    assert await jobs.settle_ending(world.desk) == 0, "its next turn comes later"
    await world.age(timedelta(seconds=jobs.LEASE_SECONDS))
    assert await jobs.settle_ending(world.desk) == 1
    cancelled = await world.check(card)
    assert cancelled.order.state == "cancelled"
    assert await world.cancel(card) == cancelled
    assert len(world.alpha.cancelled) == await voids(world) == 1
    assert await world.money() == BACK


async def test_a_repeat_while_the_provider_is_silent_waits_for_the_answer(world: World) -> None:
    card = await world.buy()
    world.alpha.set_profile(DROPPED)
    await world.cancel(card)
    repeat = asyncio.ensure_future(world.cancel(card))
    await until(lambda: bool(world.desk.board._waiters))
    world.alpha.set_profile("never")
    await world.age(timedelta(seconds=20))
    await jobs.settle_ending(world.desk)
    assert await asyncio.wait_for(repeat, 1) == await world.check(card)
    assert (await repeat).order.state == "cancelled"
    assert await world.money() == BACK


async def test_a_repeat_whose_answer_was_faster_than_itself_does_not_wait(world: World) -> None:
    """Its own look at the order came first, the end of the order was put up before it went on."""
    card = await world.buy()
    world.alpha.set_profile(DROPPED)
    begun = await world.cancel(card)
    later = replace(begun.order, state="active", changed_at=begun.order.changed_at + timedelta(seconds=1))
    world.desk.board.put(Card(later))
    with pytest.raises(CancelTooEarly):
        await asyncio.wait_for(world.cancel(card), 2)
    assert await world.money() == HELD


async def test_a_cancel_whose_process_died_is_taken_over(world: World) -> None:
    card = await world.buy()
    async with another_process(world) as second:
        begun = await second.desk.begin_cancel.call(CancelWanted(world.alice, card.order.id))
        assert begun.order.state == "cancelling"
    assert await jobs.settle_ending(world.desk) == 0
    await world.age(timedelta(seconds=20))
    assert await jobs.settle_ending(world.desk) == 1
    assert (await world.check(card)).order.state == "cancelled"
    assert await world.money() == BACK


async def test_a_cancel_in_two_places_at_once_is_one_refund(world: World) -> None:
    """The worker takes over although the first process is still at it: both ask, one gives back."""
    card = await world.buy()
    world.alpha.set_profile(replace(SLOW, answer_delay=0.15))
    async with another_process(world) as second:
        first = asyncio.ensure_future(world.cancel(card))
        await until(lambda: bool(world.alpha.cancelled))
        await world.age(timedelta(seconds=20))
        assert await jobs.settle_ending(second.desk) == 1
    assert (await first).order.state == "cancelled"
    assert len(world.alpha.cancelled) == await voids(world) == 1
    assert await world.money() == BACK


async def test_a_too_early_of_the_provider_comes_too_late_when_a_code_came(world: World) -> None:
    card = await world.buy()
    async with scripted(world, **{"setStatus 8": None}):
        begun = await world.cancel(card)
    assert begun.order.state == "cancelling"
    assert card.order.upstream_id is not None
    received = (Received("12345", ""),)
    await world.desk.receive.call(Delivery(card.order.provider_id, card.order.upstream_id, received))
    async with world.db.transaction() as tx:
        assert await sql.set_cancel_refused(tx, card.order.id, wait_seconds=15) is None
    assert (await world.read(card)).state == "received"
    assert await world.money() == (MONEY - PRICE, 0)


# A provider that cancels by itself.


async def test_a_cancel_of_the_providers_own_gives_the_money_back(play: Play) -> None:
    world = await play(profile=replace(PROFILES["self-cancel"], self_cancel_after=(0.0, 0.0)))
    card = await world.buy()
    await until(lambda: len(world.alpha.self_cancelled) == 1)
    await world.watch()
    found = await world.check(card)
    assert (found.order.state, found.order.failure) == ("cancelled", "provider_cancelled")
    assert found.refund is not None
    assert found.refund.amount_paise == PRICE
    assert await world.money() == BACK


async def test_a_cancel_of_the_providers_own_is_noticed_when_the_list_goes_on_naming_it(world: World) -> None:
    async with scripted(world, getActiveActivations=listing(row(activationStatus="10")), getStatus=b"STATUS_CANCEL"):
        card = await world.buy()
        await world.watch()
        found = await world.check(card)
    assert (found.order.state, found.order.failure) == ("cancelled", "provider_cancelled")
    assert await world.money() == BACK


@pytest.mark.parametrize("answer", [b"<html>", b"", b"STATUS_WAIT_CODE", b"ERROR_SQL"])
async def test_a_number_that_is_only_missing_from_the_list_is_kept(world: World, answer: bytes) -> None:
    async with scripted(world, getStatus=answer) as script:
        card = await world.buy()
        await world.watch()
        assert script.count("getStatus") == 1
    assert await world.read(card) == card.order
    assert await world.money() == HELD


async def test_a_paid_order_stays_paid_when_its_number_ends_at_the_provider(world: World) -> None:
    steps = {"setStatus 3": b"ACCESS_RETRY_GET"}
    async with scripted(world, getStatus=b"STATUS_OK:111", **steps) as script:
        card = await world.buy()
        await world.watch()
        await orders.next_code(world.desk, account_id=world.alice, order_id=card.order.id)
        script.answers["getStatus"] = b"STATUS_CANCEL"
        await world.watch()
        assert (await world.check(card)).order.state == "received"
    assert await world.money() == (MONEY - PRICE, 0)
