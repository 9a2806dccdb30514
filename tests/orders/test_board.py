"""The board: what one process commits another one shows, whatever is lost on the way, and waits end in time."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from numberdesk.base.errors import NotFound
from numberdesk.base.wake import listen
from numberdesk.orders import jobs
from numberdesk.orders import service as orders
from numberdesk.orders.model import Card, OrderId
from numberdesk.orders.service import Desk
from numberdesk.orders.service._board import ENDED_MAX
from tests.orders.world import MONEY, PRICE, Play, World, another_process, blocked, until

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def listening(world: World) -> AsyncIterator[None]:
    """Let a process hear what others commit."""
    desk = world.desk
    connected = asyncio.Event()

    async def load() -> None:
        await desk.board.load()
        connected.set()

    task = asyncio.create_task(
        listen(world.db, orders.CHANNEL, sender=desk.sender, on_ids=desk.board.read_soon, on_connect=load)
    )
    try:
        await connected.wait()
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def shown(desk: Desk, card: Card) -> str | None:
    found = desk.board.find(card.order.id)
    return None if found is None else found.order.state


# Waits.


async def test_an_order_of_somebody_else_is_not_found_on_the_board_or_off_it(world: World) -> None:
    card = await world.buy()
    async with another_process(world) as second:
        for process in (world, second):
            for order_id in (card.order.id, type(card.order.id)(999)):
                with pytest.raises(NotFound):
                    await orders.check(process.desk, account_id=world.bob, order_id=order_id, wait=5)
        assert second.desk.board.find(card.order.id) is None
    assert await world.money() == (MONEY - PRICE, PRICE)


async def test_a_wait_without_a_code_ends_at_its_end(world: World) -> None:
    card = await world.buy()
    started = time.monotonic()
    assert await world.check(card, wait=0.2) == card
    assert 0.2 <= time.monotonic() - started < 1
    assert world.desk.board._waiters == {}
    assert await world.money() == (MONEY - PRICE, PRICE)


async def test_a_wait_is_cut_short_by_the_end_of_the_process(world: World) -> None:
    card = await world.buy()
    waits = [asyncio.ensure_future(world.check(card, wait=20)) for _ in range(5)]
    await until(lambda: len(world.desk.board._waiters.get(card.order.id, ())) == 5)
    world.desk.board.close()
    assert await asyncio.wait_for(asyncio.gather(*waits), 1) == [card] * 5
    assert await world.check(card, wait=20) == card
    assert await world.money() == (MONEY - PRICE, PRICE)


async def test_a_caller_who_goes_away_leaves_nothing_behind(world: World) -> None:
    card = await world.buy()
    waiting = asyncio.ensure_future(world.check(card, wait=20))
    await until(lambda: bool(world.desk.board._waiters))
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert world.desk.board._waiters == {}


async def test_nothing_is_waited_for_when_nothing_can_come(world: World) -> None:
    received, cancelled = await world.buy(), await world.buy()
    world.deliver(received, "12345")
    await world.watch()
    await world.cancel(cancelled)
    started = time.monotonic()
    assert (await world.check(received, wait=20)).messages[0].code == "12345"
    assert (await world.check(cancelled, wait=20)).refund is not None
    assert time.monotonic() - started < 1
    assert await world.money() == (MONEY - PRICE, 0)


@pytest.mark.parametrize("end", ["code", "cancel", "expiry"])
async def test_all_waits_end_as_soon_as_the_code_or_the_end_comes(world: World, end: str) -> None:
    card = await world.buy()
    waits = [asyncio.ensure_future(world.check(card, wait=20)) for _ in range(20)]
    await until(lambda: len(world.desk.board._waiters.get(card.order.id, ())) == 20)
    started = time.monotonic()
    match end:
        case "code":
            world.deliver(card, "12345")
            await world.watch()
        case "cancel":
            await world.cancel(card)
        case _:
            await world.age(timedelta(minutes=16))
            await jobs.end_due(world.desk)
            await jobs.settle_ending(world.desk)
    found = await asyncio.wait_for(asyncio.gather(*waits), 2)
    assert time.monotonic() - started < 1
    assert {item.order.state for item in found} == {{"code": "received", "cancel": "cancelled"}.get(end, "expired")}
    assert await world.money() == (MONEY - (PRICE if end == "code" else 0), 0)


async def test_a_wait_does_not_sleep_through_what_came_while_it_was_reading(world: World) -> None:
    """The order is read from the database, slowly; meanwhile a newer card is put up, and nothing follows it."""
    card = await world.buy()
    world.deliver(card, "111")
    await world.watch()
    asked = await orders.next_code(world.desk, account_id=world.alice, order_id=card.order.id)
    async with another_process(world) as second:
        async with world.backstage.transaction():
            await world.backstage.execute("LOCK TABLE messages IN ACCESS EXCLUSIVE MODE")
            waiting = asyncio.ensure_future(second.check(card, wait=20))
            await blocked(world, 1)
            newer = replace(asked.order, state="completed", ended_at=asked.order.changed_at + timedelta(seconds=1),
                            changed_at=asked.order.changed_at + timedelta(seconds=1))  # fmt: skip
            second.desk.board.put(replace(asked, order=newer))
        found = await asyncio.wait_for(waiting, 3)
    assert found.order.state == "completed"
    assert await world.money() == (MONEY - PRICE, 0)


# Other processes.


async def test_another_process_sees_every_change_by_a_message(world: World) -> None:
    async with another_process(world) as second, listening(second), listening(world):
        card = await world.buy()
        await until(lambda: shown(second.desk, card) == "active")
        waiting = asyncio.ensure_future(second.check(card, wait=20))
        world.deliver(card, "12345")
        await world.watch()
        assert [message.code for message in (await asyncio.wait_for(waiting, 2)).messages] == ["12345"]
        finished = await orders.finish(second.desk, account_id=world.alice, order_id=card.order.id)
        cancelled = await second.cancel(await second.buy())
        await until(lambda: shown(world.desk, cancelled) == "cancelled")
        await until(lambda: shown(world.desk, finished) == "completed")
        assert [await world.check(finished), await world.check(cancelled)] == [finished, cancelled]
    assert await world.money() == (MONEY - PRICE, 0)


async def test_orders_that_were_open_before_are_loaded_at_the_start(world: World) -> None:
    card, ended = await world.buy(), await world.cancel(await world.buy())
    async with another_process(world) as second, listening(second):
        assert second.desk.board.open_count() == 1
        assert second.desk.board.find(card.order.id) == card
        assert second.desk.board.find(ended.order.id) is None
        assert await second.check(ended) == ended
    assert await world.money() == (MONEY - PRICE, PRICE)


async def test_what_was_missed_while_the_listener_was_away_is_read_again(world: World) -> None:
    cards = [await world.buy() for _ in range(3)]
    async with another_process(world) as second, listening(second):
        listener = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"
        assert await world.backstage.fetchval(f"SELECT count(pg_terminate_backend(pid)) FROM ({listener}) AS it") == 1
        world.deliver(cards[0], "12345")
        await world.watch()
        await world.cancel(cards[1])
        fresh = await world.buy()
        await orders.drain(world.desk)
        assert shown(second.desk, cards[0]) == "active", "the message has found nobody"
        await until(lambda: shown(second.desk, cards[0]) == "received")
        await until(lambda: shown(second.desk, cards[1]) == "cancelled")
        await until(lambda: shown(second.desk, fresh) == "active")
        for card in (*cards, fresh):
            assert second.desk.board.find(card.order.id) == await world.check(card)
    assert await world.money() == (MONEY - 3 * PRICE, 2 * PRICE)


async def test_a_sweep_alone_is_enough(world: World) -> None:
    async with another_process(world) as second:
        await second.desk.board.sweep()
        card, other = await world.buy(), await world.buy()
        await swept(second)
        assert second.desk.board.find(card.order.id) == card
        world.deliver(card, "12345")
        await world.watch()
        await world.cancel(other)
        await swept(second)
        for item in (card, other):
            assert second.desk.board.find(item.order.id) == await world.check(item)
        assert second.desk.board.open_count() == 1
    assert await world.money() == (MONEY - PRICE, 0)


async def swept(world: World) -> None:
    await world.desk.board.sweep()
    await until(lambda: world.desk.board._reader is None or world.desk.board._reader.done())


async def test_a_sweep_does_not_read_orders_that_ended_long_ago(world: World) -> None:
    """A process that starts must not read its whole history every time."""
    old, open_ = await world.cancel(await world.buy()), await world.buy()
    await world.run("UPDATE orders SET changed_at = changed_at - interval '1 day'")
    for is_loaded in (True, False):
        async with another_process(world) as second:
            if is_loaded:
                await second.desk.board.load()
            await swept(second)
            await swept(second)
            assert shown(second.desk, open_) == "active"
            assert second.desk.board.find(old.order.id) is None
    assert await world.money() == (MONEY - PRICE, PRICE)


# Newer and older cards.


async def test_an_older_card_never_covers_a_newer_one(world: World) -> None:
    card = await world.buy()
    newer = await world.cancel(card)
    world.desk.board.put(card)
    assert await world.check(card) == newer
    assert await world.money() == (MONEY, 0)


async def test_a_change_that_waited_for_another_is_the_newer_one(play: Play) -> None:
    """The finish begins before the extension ends and is done after it; nobody may go on seeing the extension."""
    world = await play(options={"extend_paise_per_minute": 10, "lifetime_ms": 3_600_000})
    card = await world.buy()
    world.deliver(card, "12345")
    await world.watch()
    who: Any = {"account_id": world.alice, "order_id": card.order.id}
    async with world.backstage.transaction():
        await world.backstage.execute("SELECT FROM wallets WHERE account_id = $1 FOR UPDATE", world.alice)
        extending = asyncio.ensure_future(orders.extend(world.desk, **who, minutes=10))
        await blocked(world, 1)
        finishing = asyncio.ensure_future(orders.finish(world.desk, **who))
        await blocked(world, 2)
        await asyncio.sleep(0.05)
    extended, finished = await extending, await finishing
    assert (extended.order.state, finished.order.state) == ("received", "completed")
    assert finished.order.changed_at > extended.order.changed_at
    assert await world.check(card) == finished
    assert await world.money() == (MONEY - PRICE - 100, 0)


async def test_ended_orders_beyond_the_bound_are_forgotten_oldest_first_and_read_again(world: World) -> None:
    first, second = await world.cancel(await world.buy()), await world.cancel(await world.buy())
    board = world.desk.board
    for number in range(ENDED_MAX - 1):
        board.put(replace(first, order=replace(first.order, id=OrderId(1_000_000 + number))))
    assert board.find(first.order.id) is None
    assert board.find(second.order.id) == second
    assert await world.check(first) == first
    assert await world.money() == (MONEY, 0)
