"""Receivers that fail: when an event is tried again, when an endpoint is disabled, and how its owner learns of it."""

from datetime import timedelta

import pytest

from numberdesk.base.errors import NotFound
from numberdesk.orders.model import event_id
from numberdesk.webhooks import jobs, service
from numberdesk.webhooks.service import PAUSES, Wanted, WebhookOff, _send
from tests.orders.world import TELEGRAM
from tests.webhooks import receivers
from tests.webhooks.office import VISIT, Office, caller, verified
from tests.webhooks.receivers import receiving

pytestmark = pytest.mark.anyio
DAY = timedelta(days=1)


@pytest.mark.parametrize("conduct", [receivers.answering(500), receivers.answering(302), receivers.close])
async def test_an_event_that_is_not_taken_is_tried_again_at_growing_intervals(
    office: Office, conduct: receivers.Conduct
) -> None:
    order = (await office.world.buy()).order
    async with receiving(conduct) as receiver:
        endpoint = await office.hook(receiver.url, events=["code"])
        await office.happen(order.id, "code")
        for number, pause in enumerate(PAUSES, 1):
            await office.turn()
            row = await office.row(endpoint)
            assert (row["state"], row["attempts"], row["problem"] is None) == ("waiting", number, False)
            assert pause * 0.79 < row["next_try_at"] - row["tried_at"] < pause * 1.21
            await office.turn()
            assert len(receiver.got) == number, "not before its time"
            await office.world.run("UPDATE webhook_deliveries SET next_try_at = clock_timestamp()")
        await office.turn()
        assert (await office.row(endpoint))["state"] == "failed"
        await office.age(5 * DAY)
        await office.turn()
        assert receiver.ids == [event_id(order.id, "code")] * (len(PAUSES) + 1)
    times = [int(got.headers["webhook-timestamp"]) for got in receiver.got]
    assert times == sorted(times)
    assert [int(got.headers["numberdesk-attempt"]) for got in receiver.got] == list(range(1, len(PAUSES) + 2))
    assert timedelta(days=2.5) < sum(PAUSES, timedelta()) < 3 * DAY


async def test_pauses_have_jitter() -> None:
    assert len({service.pause(3) for _ in range(20)}) > 10


async def test_a_success_ends_the_failing(office: Office) -> None:
    order = (await office.world.buy()).order
    async with receiving(receivers.saying([500, 200])) as receiver:
        endpoint = await office.hook(receiver.url, events=["code"])
        await office.happen(order.id, "code")
        await office.turn()
        assert (await office.state(endpoint))["failing_since"] is not None
        await office.age(timedelta(seconds=10))
        await office.turn()
    assert (await office.state(endpoint))["failing_since"] is None
    row = await office.row(endpoint)
    assert (row["state"], row["attempts"], row["last_status"], row["problem"]) == ("delivered", 2, 200, None)


async def fail_for(office: Office, time: timedelta, *, tries: int) -> None:
    """Let so much time pass, and the next try be one after so many."""
    await office.age(time)
    await office.world.run("UPDATE webhook_deliveries SET tries = $1 WHERE state = 'waiting'", tries)
    await office.turn()


async def test_days_of_failing_disable_an_endpoint_and_tell_its_owner_once(office: Office) -> None:
    alice = office.world.alice
    order = (await office.world.buy()).order
    async with receiving(receivers.answering(500)) as receiver:
        endpoint = await office.hook(receiver.url, events=["code"])
        await office.happen(order.id, "code", 1, 2, 3)
        await office.turn()
        await fail_for(office, 2.9 * DAY, tries=8)
        assert (await office.state(endpoint))["state"] == "on"
        await fail_for(office, 1.2 * DAY, tries=9)
        found = await office.state(endpoint)
        assert (found["state"], found["disabled_at"] is None) == ("disabled", False)
        count = len(receiver.got)
        await office.happen(order.id, "code", 4)
        await office.age(2 * DAY)
        await office.turn()
        assert len(receiver.got) == count, "nothing is sent any more"
    assert {row["state"] for row in await office.rows(endpoint)} == {"failed"}
    assert await office.letters() == [("webhook_disabled", alice)]


async def test_one_failure_after_quiet_days_disables_nothing(office: Office) -> None:
    order = (await office.world.buy()).order
    async with receiving(receivers.answering(500)) as receiver:
        endpoint = await office.hook(receiver.url, events=["code"])
        await office.happen(order.id, "code", 1)
        await office.turn()
        await office.age(10 * DAY)
        await office.happen(order.id, "code", 2)
        await office.turn()
    assert (await office.state(endpoint))["state"] == "on"
    assert await office.letters() == []


async def test_a_disabled_endpoint_goes_on_from_now_when_its_owner_switches_it_on(office: Office) -> None:
    order = (await office.world.buy()).order
    who = caller(office.world.alice)
    async with receiving(receivers.saying([410, 200])) as receiver:
        endpoint = await office.hook(receiver.url, events=["code"])
        await office.happen(order.id, "code", 1)
        await office.turn()
        await office.happen(order.id, "code", 2)
        (missed,) = await office.rows(endpoint)
        with pytest.raises(WebhookOff):
            await office.resend(missed["id"])
        changed = await service.change(office.courier, who, VISIT, endpoint.id, Wanted(state="on"))
        assert (changed.state, changed.disabled_at, changed.failing_since) == ("on", None, None)
        await office.happen(order.id, "code", 3)
        await office.turn()
        await office.resend(missed["id"])
        await office.turn()
    assert receiver.ids == [event_id(order.id, "code", ordinal) for ordinal in (1, 3, 1)]


async def test_a_receiver_that_says_gone_is_believed_at_once(office: Office) -> None:
    order = (await office.world.buy()).order
    async with receiving(receivers.answering(410)) as receiver:
        endpoint = await office.hook(receiver.url, events=["code"])
        await office.happen(order.id, "code", *range(1, 11))
        await office.turn()
        assert 1 <= len(receiver.got) <= _send.PER_ACCOUNT
    assert (await office.state(endpoint))["state"] == "disabled"
    assert {row["state"] for row in await office.rows(endpoint)} == {"failed"}
    assert await office.letters() == [("webhook_disabled", office.world.alice)]


async def test_a_failure_at_an_address_of_before_is_not_held_against_the_new_one(office: Office) -> None:
    order = (await office.world.buy()).order
    who = caller(office.world.alice)
    async with receiving(receivers.answering(410, after=0.3)) as old, receiving(receivers.answering()) as new:
        endpoint = await office.hook(old.url, events=["code"])
        await office.happen(order.id, "code")
        await service.fan_out(office.courier)
        await service.send_due(office.courier)
        await service.change(office.courier, who, VISIT, endpoint.id, Wanted(url=new.url))
        await office.turn()
        found = await office.state(endpoint)
        assert (found["state"], found["failing_since"]) == ("on", None)
        await office.age(timedelta(seconds=10))
        await office.turn()
        assert (len(old.got), len(new.got)) == (1, 1)


async def test_an_event_is_sent_again_by_hand(office: Office) -> None:
    world = office.world
    order = (await world.buy()).order
    async with receiving(receivers.saying([200, 500, 200])) as receiver:
        endpoint = await office.hook(receiver.url, events=["code"])
        await office.happen(order.id, "code")
        await office.turn()
        row = await office.row(endpoint)
        with pytest.raises(NotFound):
            await office.resend(row["id"], account=world.bob)
        await office.resend(row["id"])
        await office.turn()
        again = await office.row(endpoint)
        assert (again["state"], again["attempts"], again["tries"]) == ("waiting", 2, 1), "it has its tries anew"
        await office.resend(row["id"])
        await office.turn()
        assert (await office.row(endpoint))["state"] == "delivered"
    assert receiver.ids == [event_id(order.id, "code")] * 3
    assert len({got.body for got in receiver.got}) == 1


async def test_both_secrets_sign_for_a_day_after_a_rotation(office: Office) -> None:
    order = (await office.world.buy()).order
    who = caller(office.world.alice)
    async with receiving(receivers.answering()) as receiver:
        endpoint = await office.hook(receiver.url, events=["code"])
        old = office.secrets[endpoint.id]
        _, new = await service.rotate(office.courier, who, VISIT, endpoint.id)
        assert new != old
        await office.happen(order.id, "code", 1)
        await office.turn()
        await office.age(timedelta(hours=24, seconds=1))
        await office.happen(order.id, "code", 2)
        await office.turn()
    first, second = receiver.got
    assert len(first.headers["webhook-signature"].split(" ")) == 2
    for secret in (old, new):
        assert verified(secret, first)["type"] == "order.code"
    assert len(second.headers["webhook-signature"].split(" ")) == 1
    assert verified(new, second)["type"] == "order.code"
    with pytest.raises(Exception, match="No matching signature"):
        verified(old, second)


async def test_a_test_event_is_tried_once_and_changes_nothing_else(office: Office) -> None:
    world = office.world
    who = caller(world.alice)
    async with receiving(receivers.saying([200, 500])) as receiver:
        endpoint = await office.hook(receiver.url, events=["code"])
        await service.change(office.courier, who, VISIT, endpoint.id, Wanted(state="off"))
        for _ in range(2):
            await service.test(office.courier, world.alice, endpoint.id)
        await office.turn()
        with pytest.raises(NotFound):
            await service.test(office.courier, world.bob, endpoint.id)
    assert len(receiver.got) == 2, "also to an endpoint that is off"
    for got in receiver.got:
        told = verified(office.secrets[endpoint.id], got)
        assert (told["type"], told["id"].startswith("evt_test_")) == ("test", True)
        assert "numberdesk-sequence" not in got.headers
    assert sorted(row["state"] for row in await office.rows(endpoint)) == ["delivered", "failed"]
    found = await office.state(endpoint)
    assert (found["state"], found["failing_since"]) == ("off", None)


async def test_deleted_endpoints_get_nothing_and_are_removed_with_their_deliveries(office: Office) -> None:
    world = office.world
    order = (await world.buy()).order
    async with receiving(receivers.answering()) as receiver:
        endpoint = await office.hook(receiver.url, events=["code"])
        kept = await office.hook(receiver.url, events=["completed"])
        await office.happen(order.id, "code")
        await service.fan_out(office.courier)
        with pytest.raises(NotFound):
            await service.remove(office.courier, caller(world.bob), VISIT, endpoint.id)
        await service.remove(office.courier, caller(world.alice), VISIT, endpoint.id)
        await office.happen(order.id, "code", 2)
        await office.turn()
        assert receiver.got == []
    assert [item.id for item in await service.list_endpoints(world.db, world.alice)] == [kept.id]
    assert await jobs.forget(world.db) > 0
    assert await office.rows(endpoint) == []
    assert await world.backstage.fetchval("SELECT count(*) FROM webhook_endpoints") == 1


async def test_deliveries_are_forgotten_a_month_after_their_end(office: Office) -> None:
    order = (await office.world.buy()).order
    async with receiving(receivers.answering()) as receiver:
        endpoint = await office.hook(receiver.url, events=["code"])
        await office.happen(order.id, "code")
        await office.turn()
    assert await jobs.forget(office.world.db) == 0
    await office.age(31 * DAY)
    assert await jobs.forget(office.world.db) == 1
    assert await office.rows(endpoint) == []


async def test_bobs_failures_are_not_alices(office: Office) -> None:
    world = office.world
    await world.give(world.bob, 10_000)
    order = (await world.buy(TELEGRAM, account=world.bob)).order
    async with receiving(receivers.answering(410)) as receiver:
        his = await office.hook(receiver.url, account=world.bob, events=["code"])
        mine = await office.hook(receiver.url, events=["code"])
        await office.happen(order.id, "code", account=world.bob)
        await office.turn()
    assert (await office.state(his))["state"] == "disabled"
    assert (await office.state(mine))["state"] == "on"
    assert await office.letters() == [("webhook_disabled", world.bob)]
