"""The event log: each change is written once, numbered without gaps, and told with the same bytes for ever."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from numberdesk.orders import jobs
from numberdesk.orders import service as orders
from numberdesk.orders.model import Card, Delivery
from numberdesk.orders.service import START, Told, _feed, tell
from numberdesk.orders.service._events import KEPT
from numberdesk.orders.service._feed import QUEUE_MAX
from numberdesk.providers.model import Received
from numberdesk.wallet.model import AccountId
from tests.orders.world import Play, World, another_process

pytestmark = pytest.mark.anyio

MANY = 1000


async def receive(world: World, card: Card, code: str) -> Card | None:
    assert card.order.upstream_id is not None
    message = Received(code, f"Telegram code {code}")
    return await world.desk.receive.call(Delivery(card.order.provider_id, card.order.upstream_id, (message,)))


async def told(world: World, account: AccountId | None = None, *, after: int = 0) -> list[Told]:
    return await orders.read_events(world.db, account_id=account or world.alice, after=after, limit=MANY)


def names(found: list[Told]) -> list[str]:
    """Return what happened, without the order."""
    return [item.event.id.partition("_")[2].partition("_")[2] for item in found]


def shown(item: Told) -> Any:
    return json.loads(tell(item))


# What makes no event.


async def test_a_code_that_comes_after_the_money_went_back_makes_no_event(world: World) -> None:
    card = await world.buy()
    await world.cancel(card)
    assert await receive(world, card, "12345") is not None
    assert await world.sealed(card) == [("12345", True)]
    found = await told(world)
    assert names(found) == ["active_1", "cancelled_1"]
    assert b"12345" not in b"".join(map(tell, found))


async def test_repeats_make_no_event(world: World) -> None:
    card = await world.buy()
    for _ in range(3):
        await asyncio.gather(*(receive(world, card, "12345") for _ in range(4)))
    for _ in range(3):
        await orders.finish(world.desk, account_id=world.alice, order_id=card.order.id)
    assert names(await told(world)) == ["active_1", "code_1", "completed_1"]


async def test_what_is_undone_leaves_no_event_and_no_gap(world: World) -> None:
    card = await world.buy()
    await world.run("ALTER TABLE order_events ADD CONSTRAINT refused CHECK (type <> 'code')")
    with pytest.raises(Exception, match="refused"):
        await receive(world, card, "12345")
    assert (await world.read(card)).state == "active"
    await world.run("ALTER TABLE order_events DROP CONSTRAINT refused")
    await receive(world, card, "12345")
    found = await told(world)
    assert [(item.event.seq, item.event.type) for item in found] == [(1, "active"), (2, "code")]


async def test_an_unclear_purchase_makes_one_when_it_is_clear(play: Play) -> None:
    world = await play(profile="dropped-not-sold")
    card = await world.buy_unclearly("dropped-not-sold")
    assert await told(world) == []
    await world.resolve()
    assert (await world.read(card)).state == "failed"
    (failed,) = await told(world)
    at, ended_at = shown(failed)["timestamp"], shown(failed)["data"]["refund"]["at"]
    assert shown(failed) == {
        "id": f"evt_{card.order.id}_failed_1",
        "type": "order.failed",
        "timestamp": at,
        "data": {
            "orderId": card.order.id, "status": "failed", "service": "tg", "country": 22,
            "server": card.order.provider_id, "operator": "any", "number": None, "price": "21.30", "message": None,
            "refund": {"amount": "21.30", "at": ended_at},
        },
    }  # fmt: skip


# What does, and how it is told.


async def test_each_step_is_one_event_and_keeps_its_bytes_whatever_comes_later(play: Play) -> None:
    world = await play(options={"extend_paise_per_minute": 10, "lifetime_ms": 1_800_000})
    card = await world.buy()
    by: dict[str, Any] = {"account_id": world.alice, "order_id": card.order.id}
    kept: dict[str, bytes] = {}
    steps: list[Callable[[], Awaitable[Card | None]]] = [
        lambda: orders.extend(world.desk, minutes=1, **by),
        lambda: receive(world, card, "11111"),
        lambda: orders.extend(world.desk, minutes=2, **by),
        lambda: receive(world, card, "22222"),
        lambda: orders.finish(world.desk, **by),
        lambda: receive(world, card, "33333"),
    ]
    for step in steps:
        before = kept
        await step()
        kept = {item.event.id: tell(item) for item in await told(world)}
        assert {name: kept[name] for name in before} == before
    assert list(kept) == [
        f"evt_{card.order.id}_{rest}"
        for rest in ("active_1", "extended_1", "code_1", "extended_2", "code_2", "completed_1", "code_3")
    ]
    bodies = [json.loads(body) for body in kept.values()]
    assert [body["id"] for body in bodies] == list(kept)
    assert [body["data"]["status"] for body in bodies] == [
        "active", "active", "received", "received", "received", "completed", "received",
    ]  # fmt: skip
    assert [(body["data"]["message"] or {}).get("code") for body in bodies] == [
        None, None, "11111", None, "22222", None, "33333",
    ]  # fmt: skip
    assert {(body["data"]["number"], body["data"]["price"]) for body in bodies} == {
        (f"+{card.order.number}", "21.30"),
    }  # fmt: skip
    assert all(b"\n" not in body and b"\r" not in body for body in kept.values())


@pytest.mark.parametrize("end", ["cancelled", "expired"])
async def test_an_end_without_a_code_tells_what_went_back(world: World, end: str) -> None:
    card = await world.buy()
    if end == "cancelled":
        await world.cancel(card)
    else:
        await world.age(timedelta(minutes=20))
        await jobs.end_due(world.desk)
        await jobs.settle_ending(world.desk)
    active, ended = await told(world)
    assert shown(active)["data"]["refund"] is None
    assert (shown(ended)["type"], shown(ended)["data"]["status"]) == (f"order.{end}", end)
    assert shown(ended)["data"]["refund"]["amount"] == "21.30"


async def test_an_order_whose_time_ends_after_its_code_is_told_as_completed_once(world: World) -> None:
    card = await world.buy()
    await receive(world, card, "12345")
    await world.age(timedelta(minutes=20))
    await asyncio.gather(jobs.end_due(world.desk), jobs.end_due(world.desk))
    assert names(await told(world)) == ["active_1", "code_1", "completed_1"]


# Numbers.


async def test_numbers_have_no_gaps_and_become_visible_in_their_order_while_two_processes_write(world: World) -> None:
    people = [world.alice, world.bob]
    for person in people:
        await world.give(person, 100_000, cause=f"races-{person}")
    seen: dict[AccountId, list[int]] = {person: [] for person in people}
    is_over = asyncio.Event()

    async def follow() -> None:
        """Read on from the last number seen, as streams do; what becomes visible late is missed for ever."""
        while True:
            was_over = is_over.is_set()
            newer = await orders.list_newer(world.db, {person: (seen[person] or [0])[-1] for person in people}, 7)
            for person, found in newer.items():
                seen[person].extend(item.event.seq for item in found)
            if was_over and not any(newer.values()):
                return

    async def live(process: World, number: int) -> None:
        person = people[number % 2]
        card = await process.buy(account=person)
        await asyncio.gather(*(receive(chosen, card, f"1000{number}") for chosen in (process, world)))
        if number % 3:
            await orders.finish(process.desk, account_id=person, order_id=card.order.id)

    async with another_process(world) as second:
        follower = asyncio.create_task(follow())
        try:
            await asyncio.gather(*(live((world, second)[number % 2], number) for number in range(40)))
            await asyncio.gather(*(live((second, world)[number % 2], number) for number in range(40)))
        finally:
            is_over.set()
            await follower
    for person in people:
        logged = await told(world, person)
        assert [item.event.seq for item in logged] == list(range(1, len(logged) + 1)) == seen[person]
        assert all(item.order.account_id == person for item in logged)
        happened = Counter(item.event.type for item in logged)
        assert happened["active"] == happened["code"] == 40
        assert Counter(item.event.id for item in logged).most_common(1)[0][1] == 1
        assert all(before.event.at <= after.event.at for before, after in pairwise(logged))
    assert await world.backstage.fetchval("SELECT count(*) FROM order_events") == sum(map(len, seen.values()))


# Finding a place, and forgetting.


async def test_an_id_is_found_by_its_owner_only(world: World) -> None:
    await world.give(world.bob, 10_000, cause="for-bob")
    await world.buy()
    theirs = await world.buy(account=world.bob)
    (event,) = (item.event for item in await told(world, world.bob))
    assert event.id == f"evt_{theirs.order.id}_active_1"
    assert await orders.find_seq(world.db, world.bob, event.id) == event.seq == 1
    assert await orders.find_seq(world.db, world.alice, event.id) is None
    assert await orders.find_seq(world.db, world.alice, START) == 0


@pytest.mark.parametrize(
    "wrong",
    ["", "evt", "evt_1", "evt_1_active", "evt_1_active_0", "evt_1_active_99999", "evt_0_active_1", "evt_01_active_1",
     "evt_99999999999999999999_active_1", "evt_9223372036854775808_active_1", "evt_1_nothing_1", "evt_1_active_1 ",
     "evt_1_active_1\n", "evt_\u0661_active_1", "'; DROP TABLE order_events; --", "x" * 5000],
)  # fmt: skip
async def test_what_is_no_id_is_not_found(world: World, wrong: str) -> None:
    await world.buy()
    assert await orders.find_seq(world.db, world.alice, wrong) is None
    place = await orders.find_place(world.db, world.alice, wrong)
    assert (place.seq, place.id, place.is_reset) == (0, START, True)


async def test_old_events_are_forgotten_in_batches_and_their_numbers_never_given_again(world: World) -> None:
    for number in range(3):
        await receive(world, await world.buy(), f"1234{number}")
    first = (await told(world))[0].event
    await world.run("UPDATE order_events SET at = at - $1::interval WHERE seq <= 5", KEPT + timedelta(minutes=1))
    assert [await orders.forget_events(world.db, limit=2) for _ in range(4)] == [2, 2, 1, 0]
    assert [item.event.seq for item in await told(world)] == [6]
    assert (await orders.find_place(world.db, world.alice, first.id)).is_reset
    assert (await orders.find_place(world.db, world.alice, None)).seq == 6
    await world.run("UPDATE order_events SET at = at - $1::interval", KEPT + timedelta(minutes=1))
    assert await orders.forget_events(world.db) == 1
    end = await orders.find_place(world.db, world.alice, None)
    assert (end.seq, end.id) == (6, START)
    await world.buy()
    assert [item.event.seq for item in await told(world)] == [7]


async def test_forgetting_goes_by_the_index_of_times(world: World) -> None:
    await world.run(
        "INSERT INTO order_events SELECT $1, 1000 + n, $2, 'code', n, clock_timestamp() - n * interval '1 hour' "
        "FROM generate_series(1, 5000) AS n",
        world.alice,
        (await world.buy()).order.id,
    )
    await world.run("ANALYZE order_events")
    plan = await world.backstage.fetch(
        "EXPLAIN DELETE FROM order_events USING (SELECT account_id, seq FROM order_events "
        "WHERE at < (SELECT clock_timestamp() - interval '30 days') ORDER BY at LIMIT 100) AS old "
        "WHERE order_events.account_id = old.account_id AND order_events.seq = old.seq"
    )
    text = "\n".join(row[0] for row in plan)
    assert "order_events_at" in text, text
    await world.run("DELETE FROM order_events WHERE seq > 1000")


# Listening in one process.


async def test_nobody_who_does_not_listen_costs_a_query(world: World) -> None:
    feed = world.desk.feed
    await world.cancel(await world.buy())
    await feed.sweep()
    assert feed._reader is None
    await world.give(world.bob, 10_000, cause="for-bob")
    async with feed.listening(world.bob, after=0) as listener:
        assert await listener.take(limit=5, timeout=0) == []
        await world.buy()
        assert feed._reader is None
        card = await world.buy(account=world.bob)
        (heard,) = await listener.take(limit=5, timeout=5)
        assert heard.id == f"evt_{card.order.id}_active_1"
    assert (feed._listeners, feed._heads, feed._news) == ({}, {}, set())


async def test_listeners_that_come_and_go_while_two_processes_write_hear_each_event_once_in_its_order(
    world: World,
) -> None:
    await world.give(world.alice, 200_000, cause="a-lot")
    is_over = asyncio.Event()

    async def listen(process: World, start: int, pause: float) -> list[int]:
        """Listen again and again, each time after what was heard the last time."""
        await asyncio.sleep(pause)
        seen: list[int] = []
        while True:
            was_over = is_over.is_set()
            async with process.desk.feed.listening(world.alice, after=(seen or [start])[-1]) as listener:
                for _ in range(4):
                    heard = await listener.take(limit=3, timeout=0.2)
                    seen.extend(item.seq for item in heard)
            if was_over and not heard:
                return seen

    async def live(process: World, number: int) -> None:
        card = await process.buy()
        found = await receive(process, card, f"1000{number}")
        assert found is not None
        process.desk.show([found])

    async with another_process(world) as second:
        processes = (world, second)
        listeners = [asyncio.create_task(listen(processes[number % 2], number, number / 50)) for number in range(20)]
        floors = [asyncio.create_task(sweep(process)) for process in processes]
        for _ in range(3):
            await asyncio.gather(*(live(processes[number % 2], number) for number in range(20)))
        is_over.set()
        found = await asyncio.gather(*listeners)
        for floor in floors:
            floor.cancel()
    assert [seen == list(range(start + 1, 121)) for start, seen in enumerate(found)] == [True] * 20


@pytest.mark.parametrize("count", [1, QUEUE_MAX + 1])
async def test_what_is_written_while_a_listener_reads_the_log_is_heard_too(
    world: World, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Its read is held up between the database and it; few events wait in its queue meanwhile, many do not fit."""
    card = await world.buy()
    has_read, may_go_on = asyncio.Event(), asyncio.Event()

    async def read_slowly(*args: Any, **named: Any) -> list[Told]:
        found = await orders.read_events(*args, **named)
        has_read.set()
        await may_go_on.wait()
        return found

    monkeypatch.setattr(_feed, "read_events", read_slowly)
    feed = world.desk.feed
    async with feed.listening(world.alice, after=1) as quick, feed.listening(world.alice, after=1) as slow:
        may_go_on.set()
        if count > 1:
            assert await quick.take(limit=5, timeout=0) == []  # so that the feed reads for it
        may_go_on.clear()
        has_read.clear()
        taking = asyncio.create_task(slow.take(limit=count + 5, timeout=5))
        await has_read.wait()
        await write_many(world, card, count)
        feed.notice(card)
        await feed.drain()
        may_go_on.set()
        heard = await taking
        while len(heard) < count and (more := await slow.take(limit=count, timeout=5)):
            heard += more
    assert [item.seq for item in heard] == list(range(2, count + 2))


async def write_many(world: World, card: Card, count: int) -> None:
    """Let that many things happen to an order, without the rest that belongs to them."""
    await world.run("UPDATE event_counters SET last_seq = last_seq + $1", count)
    await world.run(
        "INSERT INTO order_events SELECT $1, 1 + n, $2, 'extended', n, clock_timestamp() FROM generate_series(1, $3) n",
        card.order.account_id,
        card.order.id,
        count,
    )


async def sweep(process: World) -> None:
    """Do what a process does every few seconds, more often."""
    while True:
        await process.desk.feed.sweep()
        await asyncio.sleep(0.02)
