"""Reading, finishing, asking for one more code, and listing: what a customer does besides buying and cancelling."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from numberdesk.base.errors import AppError, NotFound
from numberdesk.orders import jobs
from numberdesk.orders import service as orders
from numberdesk.orders.model import Card, OrderId, OrderState
from numberdesk.orders.service import NoMoreCodes, NoNumbers, NotPossibleNow, ProviderSilent
from numberdesk.providers.simulator import PROFILES
from tests.orders.world import MONEY, PRICE, SALE, World, another_process, outcomes, scripted

pytestmark = pytest.mark.anyio

PAID = (MONEY - PRICE, 0)
HELD = (MONEY - PRICE, PRICE)


async def received(world: World, *codes: str) -> Card:
    """Buy a number and receive codes on it."""
    card = await world.buy()
    for code in codes or ("111",):
        world.deliver(card, code)
    await world.watch()
    return await world.check(card)


async def finish(world: World, card: Card) -> Card:
    return await orders.finish(world.desk, account_id=world.alice, order_id=card.order.id)


async def next_code(world: World, card: Card) -> Card:
    return await orders.next_code(world.desk, account_id=world.alice, order_id=card.order.id)


# Finishing.


async def test_nobody_touches_the_order_of_somebody_else(world: World) -> None:
    card = await received(world)
    for verb in (orders.get, orders.finish, orders.next_code):
        for account, order_id in ((world.bob, card.order.id), (world.alice, OrderId(999))):
            with pytest.raises(NotFound):
                await verb(world.desk, account_id=account, order_id=order_id)
    assert await world.read(card) == card.order
    assert await world.money() == PAID


async def test_an_order_without_a_code_cannot_be_finished(world: World) -> None:
    card = await world.buy()
    with pytest.raises(NotPossibleNow) as refused:
        await finish(world, card)
    assert str(refused.value) == "This order is active: it cannot be finished."
    assert await world.read(card) == card.order
    assert await world.money() == HELD


async def test_a_repeat_of_a_finish_gives_the_equal_answer(world: World) -> None:
    card = await received(world)
    first = await finish(world, card)
    assert (first.order.state, first.messages, first.refund) == ("completed", card.messages, None)
    async with another_process(world) as second:
        for process in (world, second, world):
            assert await finish(process, card) == first
    assert await jobs.release_finished(world.desk) == 1
    assert await jobs.release_finished(world.desk) == 0
    assert len(world.alpha.finished) == 1
    assert await world.money() == PAID
    assert await world.revenue() == PRICE


async def test_parallel_finishes_are_one(world: World) -> None:
    card = await received(world)
    async with another_process(world) as second:
        found = await asyncio.gather(*(finish(process, card) for _ in range(10) for process in (world, second)))
    assert set(found) == {await world.check(card)}
    assert await world.money() == PAID


async def test_a_finish_against_the_end_of_its_time_is_one_end(world: World) -> None:
    card = await received(world)
    await world.age(timedelta(minutes=16))
    finished, _ = await asyncio.gather(finish(world, card), jobs.end_due(world.desk))
    assert finished.order.state == "completed"
    assert (await world.read(card)).ended_at == finished.order.ended_at
    assert await world.money() == PAID


# One more code.


async def test_before_the_first_code_there_is_no_second(world: World) -> None:
    card = await world.buy()
    with pytest.raises(NotPossibleNow):
        await next_code(world, card)
    assert world.alpha.retries == []
    assert await world.money() == HELD


async def test_a_provider_that_gives_one_code_only_is_not_asked_for_another(world: World) -> None:
    sale = SALE.replace(b"}", b', "canGetAnotherSms": false}')
    async with scripted(world, getNumberV2=sale, getStatus=b"STATUS_OK:111") as script:
        card = await world.buy()
        await world.watch()
        with pytest.raises(NoMoreCodes):
            await next_code(world, card)
        assert script.count("setStatus 3") == 0
    assert (await world.read(card)).codes_wanted == 1
    assert await world.money() == PAID


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"BAD_STATUS", NoMoreCodes),
        (b"NO_ACTIVATION", NoMoreCodes),
        (b"<html>", ProviderSilent),
        (b"ERROR_SQL", ProviderSilent),
        (None, ProviderSilent),
    ],
)
async def test_a_provider_that_does_not_agree_leaves_the_order_as_it_was(
    world: World, answer: bytes | None, error: type[AppError]
) -> None:
    async with scripted(world, getStatus=b"STATUS_OK:111", **{"setStatus 3": answer}):
        card = await world.buy()
        await world.watch()
        before = await world.read(card)
        with pytest.raises(error):
            await next_code(world, card)
        assert await world.read(card) == before
    assert await world.money() == PAID


async def test_a_repeat_while_a_code_is_awaited_asks_once(world: World) -> None:
    card = await received(world)
    first = await next_code(world, card)
    assert (first.order.state, first.order.codes_wanted) == ("received", 2)
    assert await next_code(world, card) == first
    assert len(world.alpha.retries) == 1
    assert await world.money() == PAID


async def test_three_codes_on_one_number_cost_one(world: World) -> None:
    card = await received(world)
    for code in ("222", "333"):
        await next_code(world, card)
        world.deliver(card, code)
        await world.watch()
    found = await world.check(card)
    assert [message.code for message in found.messages] == ["111", "222", "333"]
    assert (found.order.codes_wanted, found.order.codes_received) == (3, 3)
    assert await world.money() == PAID
    assert await world.revenue() == PRICE


async def test_an_order_finished_meanwhile_wants_no_more_codes(world: World) -> None:
    card = await received(world)
    world.alpha.set_profile(replace(PROFILES["slow"], fault_on="status-changes", answer_delay=0.15))
    async with another_process(world) as second:
        found = await outcomes([next_code(second, card), finish(world, card)])
    assert [type(item) for item in found] == [NotPossibleNow, Card]
    assert (await world.read(card)).state == "completed"
    assert await world.money() == PAID


async def test_an_order_that_waits_for_a_further_code_is_completed_at_its_time(world: World) -> None:
    card = await received(world)
    await next_code(world, card)
    await world.age(timedelta(minutes=16))
    await jobs.end_due(world.desk)
    found = await world.check(card)
    assert (await world.read(card)).state == "completed"
    assert found.order.codes_wanted == 2
    assert not orders.is_waiting(replace(found, order=await world.read(card)))
    assert await world.money() == PAID


# Reading.


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        ("requested", "pending"), ("unknown", "pending"), ("active", "active"), ("cancelling", "active"),
        ("expiring", "active"), ("received", "received"), ("completed", "completed"), ("cancelled", "cancelled"),
        ("expired", "expired"), ("failed", "failed"),
    ],
)  # fmt: skip
def test_what_is_still_being_settled_is_shown_as_what_it_was(state: OrderState, shown: str) -> None:
    assert orders.shown_status(state) == shown


async def test_orders_are_listed_newest_first_page_by_page_and_only_the_own_ones(world: World) -> None:
    await world.give(world.bob, PRICE)
    await world.buy(account=world.bob)
    active, paid, ended = await world.buy(), await received(world), await world.cancel(await world.buy())

    async def ids(states: list[OrderState] | None = None, cursor: int | None = None, limit: int = 10) -> list[int]:
        found = await orders.list_orders(world.desk, account_id=world.alice, states=states, cursor=cursor, limit=limit)
        return [card.order.id for card in found]

    newest_first = [ended.order.id, paid.order.id, active.order.id]
    assert await ids() == newest_first
    assert await ids(limit=2) == newest_first[:2]
    assert await ids(limit=2, cursor=newest_first[1]) == newest_first[2:]
    assert await ids(states=["active", "cancelled"]) == [ended.order.id, active.order.id]
    assert await ids(states=["failed"]) == []
    found = await orders.list_orders(world.desk, account_id=world.alice, states=None, cursor=None, limit=10)
    assert found == [ended, paid, active]
    assert await world.money() == (MONEY - 2 * PRICE, PRICE)


async def test_what_was_asked_of_providers_can_be_read_without_secrets(world: World) -> None:
    world.alpha.set_profile("no-stock")
    with pytest.raises(NoNumbers) as refused:
        await world.buy()
    order_id = OrderId(refused.value.order_id)
    card = await orders.get(world.desk, account_id=world.alice, order_id=order_id)
    (asked,), _ = await orders.history(world.desk, card)
    assert (asked.action, asked.outcome, asked.detail, asked.attempt) == ("rent", "no_numbers", "NO_NUMBERS", 1)
    assert await world.money() == (MONEY, 0)
