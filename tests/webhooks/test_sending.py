"""From the event log to the receiver: each event once taken, signed, in order, and nobody slowed by anybody else."""

import asyncio
import json
from datetime import timedelta

import pytest
from standardwebhooks import WebhookVerificationError

from numberdesk.base import clock
from numberdesk.base.db import open_database
from numberdesk.notifications.channels import webhook
from numberdesk.notifications.service import Poster
from numberdesk.orders import service as orders
from numberdesk.orders.model import event_id
from numberdesk.webhooks import jobs, service, sql
from numberdesk.webhooks.service import _send
from tests.orders.world import TELEGRAM
from tests.webhooks import receivers
from tests.webhooks.office import VISIT, Office, caller, office_in, taken, verified
from tests.webhooks.receivers import receiving

pytestmark = pytest.mark.anyio


async def test_a_code_is_posted_with_all_that_proves_it(office: Office) -> None:
    world = office.world
    async with receiving(receivers.answering(204, body=b"")) as receiver:
        endpoint = await office.hook(receiver.url)
        card = await world.buy()
        world.deliver(card, "48213")
        await world.watch()
        await office.turn()
    active, code = receiver.by_sequence
    assert active.headers["webhook-id"] == event_id(card.order.id, "active")
    assert code.headers["webhook-id"] == event_id(card.order.id, "code")
    told = verified(office.secrets[endpoint.id], code)
    assert (told["id"], told["type"]) == (code.headers["webhook-id"], "order.code")
    assert told["data"]["message"]["code"] == "48213"
    assert told["data"]["orderId"] == card.order.id
    (event,) = [
        item
        for item in await orders.read_events(world.db, account_id=world.alice, after=0, limit=10)
        if item.event.type == "code"
    ]
    assert code.body == orders.tell(event), "the same bytes as on every other path"
    assert code.headers["content-type"] == "application/json"
    assert (code.headers["numberdesk-attempt"], code.headers["numberdesk-sequence"]) == ("1", "2")
    for row in await office.rows(endpoint):
        assert (row["state"], row["attempts"], row["last_status"], row["problem"]) == ("delivered", 1, 204, None)
        assert row["took_ms"] >= 0
    with pytest.raises(WebhookVerificationError):
        verified(service._bodies.new_secret(), code)


async def test_an_endpoint_starts_at_now_and_gets_the_events_it_wants(office: Office) -> None:
    order = (await office.world.buy()).order
    async with receiving(receivers.answering()) as receiver:
        await office.hook(receiver.url, events=["code", "completed"])
        await office.happen(order.id, "code", 1, 2)
        await office.happen(order.id, "extended")
        await office.happen(order.id, "completed")
        await office.turn()
    assert sorted(receiver.ids) == [
        event_id(order.id, "code", 1), event_id(order.id, "code", 2), event_id(order.id, "completed"),
    ]  # fmt: skip


async def test_nothing_happened_costs_one_query(office: Office) -> None:
    async with receiving(receivers.answering()) as receiver:
        await office.hook(receiver.url)
        order = (await office.world.buy()).order
        await office.turn()
        async with office.world.db.statement() as tx:
            assert await sql.look(tx) == (False, False)
        assert await jobs.deliver(office.courier) == 0
        await office.happen(order.id, "code")
        async with office.world.db.statement() as tx:
            assert await sql.look(tx) == (True, False)


async def test_events_of_many_transactions_at_once_are_each_posted_once(office: Office) -> None:
    order = (await office.world.buy()).order
    async with receiving(receivers.answering()) as receiver:
        endpoint = await office.hook(receiver.url, events=["code"])
        async with office.working():
            await asyncio.gather(*(office.happen(order.id, "code", ordinal) for ordinal in range(1, 101)))
            await taken(receiver, 100)
        await office.turn()
    assert sorted(receiver.ids) == sorted(event_id(order.id, "code", ordinal) for ordinal in range(1, 101))
    assert receiver.most_open <= _send.PER_ACCOUNT
    assert {row["state"] for row in await office.rows(endpoint)} == {"delivered"}


async def test_two_workers_send_each_event_once_and_keep_to_the_bounds_of_one(office: Office) -> None:
    world = office.world
    order = (await world.buy()).order
    db = await open_database(world.db.url, size=5, name="second")
    second = service.open_courier(db, world.vault, poster=Poster(allows_loopback=True))
    async with receiving(receivers.answering(after=0.02)) as receiver:
        await office.hook(receiver.url, events=["code"])
        await office.happen(order.id, "code", *range(1, 61))
        async with office.working(), Office(world, second).working():
            await taken(receiver, 60)
        await office.turn()
        await service.drain(second)
    assert sorted(receiver.ids) == sorted(event_id(order.id, "code", ordinal) for ordinal in range(1, 61))
    assert receiver.most_open <= _send.PER_ACCOUNT
    await service.close(second)
    await db.close()


async def test_nobody_gets_what_is_anothers(office: Office) -> None:
    world = office.world
    await world.give(world.bob, 10_000)
    async with receiving(receivers.answering()) as to_alice, receiving(receivers.answering()) as to_bob:
        mine, his = await office.hook(to_alice.url), await office.hook(to_bob.url, account=world.bob)
        cards = [await world.buy(), await world.buy(TELEGRAM, account=world.bob)]
        for card, code in zip(cards, ("11111", "22222"), strict=True):
            world.deliver(card, code)
        await world.watch()
        await office.turn()
    for receiver, endpoint, card, code in ((to_alice, mine, cards[0], "11111"), (to_bob, his, cards[1], "22222")):
        assert len(receiver.got) == 2
        for got in receiver.got:
            assert verified(office.secrets[endpoint.id], got)["data"]["orderId"] == card.order.id
        assert code in receiver.by_sequence[1].body.decode()
        assert [(row["account_id"], row["event_id"]) for row in await office.rows(endpoint)] == [
            (card.order.account_id, event_id(card.order.id, "active")),
            (card.order.account_id, event_id(card.order.id, "code")),
        ]


async def test_slow_receivers_delay_no_quick_one(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "DEADLINE", 2.0)
    world = office.world
    mine = (await world.buy()).order
    await world.give(world.bob, 10_000)
    his = (await world.buy(TELEGRAM, account=world.bob)).order
    async with receiving(receivers.hang) as slow, receiving(receivers.answering()) as quick:
        for _ in range(3):
            await office.hook(slow.url, account=world.bob, events=["code"])
        await office.hook(quick.url, events=["code"])
        async with office.working():
            await office.happen(his.id, "code", *range(1, 11), account=world.bob)
            await taken(slow, 2)
            for ordinal in range(1, 6):
                began = clock.seconds()
                await office.happen(mine.id, "code", ordinal)
                await taken(quick, ordinal)
                assert clock.seconds() - began < 1.5, "less than the slow ones take"
            assert slow.most_open <= _send.PER_ACCOUNT


async def test_an_accounts_dead_receiver_leaves_a_place_to_its_other_one(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "DEADLINE", 1.5)
    order = (await office.world.buy()).order
    async with receiving(receivers.hang) as dead, receiving(receivers.answering()) as alive:
        endpoint = await office.hook(dead.url, events=["code"])
        await office.hook(alive.url, events=["completed"])
        async with office.working():
            await office.happen(order.id, "code", *range(1, 21))
            await taken(dead, 2)
            while (await office.state(endpoint))["failing_since"] is None:  # noqa: ASYNC110 - a table says it
                await asyncio.sleep(0.02)
            await taken(dead, 3)
            began = clock.seconds()
            await office.happen(order.id, "completed")
            await taken(alive, 1)
            assert clock.seconds() - began < 1.0


async def test_failing_receivers_never_take_all_places(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_send, "FAILING_PLACES", 1)
    world = office.world
    mine = (await world.buy()).order
    await world.give(world.bob, 10_000)
    his = (await world.buy(TELEGRAM, account=world.bob)).order
    async with receiving(receivers.hang) as dead:
        for account in (world.alice, world.bob):
            await office.hook(dead.url, account=account, events=["code"])
        await world.run("UPDATE webhook_endpoints SET failing_since = clock_timestamp()")
        await office.happen(mine.id, "code")
        await office.happen(his.id, "code", account=world.bob)
        await service.fan_out(office.courier)
        assert [await service.send_due(office.courier) for _ in range(2)] == [1, 0]
        for task in list(office.courier.under_way):
            task.cancel()


async def test_a_crash_between_the_post_and_its_mark_sends_it_again_under_the_same_id(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = office.world
    order = (await world.buy()).order
    async with receiving(receivers.answering()) as receiver:
        endpoint = await office.hook(receiver.url, events=["code"])
        await office.happen(order.id, "code")
        async with office_in(world) as first:

            async def die(*_: object) -> None:
                raise asyncio.CancelledError

            with monkeypatch.context() as patch:
                patch.setattr(_send, "_settle", die)
                await first.turn()
        assert len(receiver.got) == 1
        assert (await office.row(endpoint))["state"] == "waiting"
        await office.turn()
        assert len(receiver.got) == 1, "the lease is not over"
        await office.age(_send.LEASE)
        await office.turn()
    assert receiver.ids == [event_id(order.id, "code")] * 2
    assert [got.headers["numberdesk-attempt"] for got in receiver.got] == ["1", "2"]
    assert receiver.got[0].body == receiver.got[1].body
    assert (await office.row(endpoint))["state"] == "delivered"


async def test_what_is_under_way_at_the_end_of_a_process_is_given_back(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service._courier, "STOP_SECONDS", 0.1)
    order = (await office.world.buy()).order
    async with receiving(receivers.hang) as receiver:
        endpoint = await office.hook(receiver.url, events=["code"])
        await office.happen(order.id, "code")
        await service.fan_out(office.courier)
        await service.send_due(office.courier)
        await taken(receiver, 1)
        await service.stop(office.courier)
    row = await office.row(endpoint)
    assert (row["state"], row["attempts"], row["tries"], row["leased_until"]) == ("waiting", 0, 0, None)


async def test_a_full_backlog_drops_the_oldest(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_send, "BACKLOG_MAX", 5)
    order = (await office.world.buy()).order
    async with receiving(receivers.answering()) as receiver:
        endpoint = await office.hook(receiver.url, events=["code"])
        await office.happen(order.id, "code", *range(1, 9))
        await office.turn()
        assert len(receiver.got) == 5
    rows = await office.rows(endpoint)
    assert [row["state"] for row in rows] == ["failed"] * 3 + ["delivered"] * 5
    assert {row["problem"] for row in rows[:3]} == {_send.NO_ROOM}
    assert {row["attempts"] for row in rows[:3]} == {0}


async def test_a_long_log_is_walked_through_in_steps(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_send, "EVENTS_A_TURN", 7)
    order = (await office.world.buy()).order
    async with receiving(receivers.answering()) as receiver:
        endpoint = await office.hook(receiver.url, events=["code"])
        await office.happen(order.id, "code", *range(1, 31))
        await service.fan_out(office.courier)
        assert len(await office.rows(endpoint)) == 7
        await office.turn()
        assert len(receiver.got) == 30


async def test_what_is_older_than_three_days_is_passed_over(office: Office) -> None:
    order = (await office.world.buy()).order
    async with receiving(receivers.answering()) as receiver:
        endpoint = await office.hook(receiver.url, events=["code"])
        await service.change(
            office.courier, caller(office.world.alice), VISIT, endpoint.id, service.Wanted(state="off")
        )
        await office.happen(order.id, "code", 1)
        await office.age(timedelta(days=4), log=True)
        await office.happen(order.id, "code", 2)
        await office.turn()
        assert receiver.got == [], "it is off"
        await service.change(office.courier, caller(office.world.alice), VISIT, endpoint.id, service.Wanted(state="on"))
        await office.turn()
    assert receiver.ids == [event_id(order.id, "code", 2)], "and then it goes on where it stopped"


async def test_an_event_that_the_log_has_forgotten_is_not_made_up(office: Office) -> None:
    order = (await office.world.buy()).order
    async with receiving(receivers.answering()) as receiver:
        endpoint = await office.hook(receiver.url, events=["code"])
        await office.happen(order.id, "code", 1, 2)
        await service.fan_out(office.courier)
        await office.world.run("DELETE FROM order_events WHERE ordinal = 1 AND type = 'code'")
        await office.turn()
        assert receiver.ids == [event_id(order.id, "code", 2)]
    assert [(row["state"], row["problem"]) for row in await office.rows(endpoint)] == [
        ("failed", _send.NOT_KEPT), ("delivered", None),
    ]  # fmt: skip
    assert (await office.state(endpoint))["failing_since"] is None


async def test_a_banned_account_gets_nothing(office: Office) -> None:
    order = (await office.world.buy()).order
    async with receiving(receivers.answering()) as receiver:
        await office.hook(receiver.url, events=["code"])
        await office.happen(order.id, "code")
        await office.world.run("UPDATE accounts SET state = 'banned' WHERE id = $1", office.world.alice)
        await office.turn()
        assert receiver.got == []


async def test_the_sender_refuses_an_address_that_was_allowed_before(office: Office, outside: list[str]) -> None:
    order = (await office.world.buy()).order
    async with receiving(receivers.answering()) as receiver:
        endpoint = await office.hook(receiver.url, events=["code"])
        async with office_in(office.world, poster=Poster()) as strict:
            await office.happen(order.id, "code")
            await strict.turn()
        assert (receiver.got, outside) == ([], [])
    row = await office.row(endpoint)
    assert (row["state"], row["last_status"]) == ("waiting", None)
    assert row["problem"].startswith("the address must")


async def test_bodies_hold_what_the_log_says_and_no_secret(office: Office) -> None:
    async with receiving(receivers.answering()) as receiver:
        endpoint = await office.hook(receiver.url)
        card = await office.world.buy()
        await office.turn()
        (got,) = receiver.got
        told = json.loads(got.body)
        assert told.keys() == {"id", "type", "timestamp", "data"}
        assert office.secrets[endpoint.id] not in str(got)
        assert card.order.upstream_id is not None
        assert card.order.upstream_id not in got.body.decode()


async def test_while_one_worker_leases_no_other_does(office: Office) -> None:
    world = office.world
    order = (await world.buy()).order
    async with receiving(receivers.answering()) as receiver:
        await office.hook(receiver.url, events=["code"])
        await office.happen(order.id, "code", *range(1, 7))
        await service.fan_out(office.courier)
        bounds = {"limit": 9, "failing": 9, "per_account": 2, "per_failing": 1}
        async with world.db.transaction() as tx:
            assert await sql.try_lease_lock(tx)
            assert len(await sql.lease_due(tx, lease=_send.LEASE, **bounds)) == 2
            assert await service.send_due(office.courier) == 0
        assert await service.send_due(office.courier) == 0, "and then it sees what the first one took"
        assert receiver.got == []


async def test_a_receiver_that_hangs_does_not_keep_the_pass_busy(office: Office) -> None:
    order = (await office.world.buy()).order
    async with receiving(receivers.hang) as receiver:
        await office.hook(receiver.url, events=["code"])
        await office.happen(order.id, "code")
        office.courier.freed.set()
        began = clock.seconds()
        assert await jobs.deliver(office.courier) == 1
        assert clock.seconds() - began > 0.8 * jobs.EVERY
        for task in list(office.courier.under_way):
            task.cancel()
