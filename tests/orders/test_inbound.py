"""Messages that providers post: each reaches its own order once, whenever it comes and however often."""

import asyncio
import itertools
import random
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from numberdesk.base import crash_points
from numberdesk.base.errors import InvalidFields, NotFound
from numberdesk.orders import jobs
from numberdesk.orders import service as orders
from numberdesk.orders.model import Card
from numberdesk.orders.service import Taken, Wish
from numberdesk.providers import service as providers
from tests.orders.world import INDIA, KEY, MONEY, PRICE, TELEGRAM, Play, World, another_process
from tests.providers.line_desk import words_listed

pytestmark = pytest.mark.anyio

WHATSAPP = Wish("wa", INDIA)
_sms_ids = itertools.count(1)


async def token(world: World, name: str = "alpha") -> str:
    path = await providers.hook_path(world.db, world.vault, world.provider(name))
    assert path.startswith(f"/webhooks/provider/{name}/")
    return path.rpartition("/")[2]


def classic(upstream_id: str | None, code: str = "48213", **more: Any) -> bytes:
    """Write what SMS-Activate posts."""
    body = {"activationId": int(upstream_id or 0), "service": "tg", "text": f"Telegram code {code}", "code": code}
    return msgspec.json.encode(body | {"country": 22, "receivedAt": "2026-01-01 12:00:00"} | more)


def sms(number: str | None, text: str = "Telegram code 48213", *, key: str = KEY, **more: Any) -> bytes:
    """Write what an agent posts."""
    body = {"action": "PUSH_SMS", "key": key, "smsId": next(_sms_ids), "phone": int(number or 0), "phoneFrom": "22000"}
    return msgspec.json.encode(body | {"text": text} | more)


async def post(world: World, body: bytes, *, name: str = "alpha") -> Taken:
    """Post as a provider does, and take the message in as its request goes on to."""
    taken = await orders.take_push(world.desk, name=name, token=await token(world, name), body=body)
    await orders.deliver_inbound(world.desk, taken.fresh)
    return taken


async def states(world: World) -> list[str]:
    return [row[0] for row in await world.backstage.fetch("SELECT state FROM inbound_messages ORDER BY id")]


async def pass_again(world: World, *, after: timedelta = timedelta(minutes=1)) -> None:
    """Let time pass, and the pass that tries parked messages run."""
    await world.run(
        """
        UPDATE inbound_messages SET next_try_at = next_try_at - $1::interval, received_at = received_at - $1::interval,
                                    settled_at = settled_at - $1::interval
        """,
        after,
    )
    await orders.deliver_parked(world.desk)


async def codes(world: World, card: Card) -> list[str]:
    return [message.code for message in (await world.check(card)).messages]


@pytest.fixture
async def agent(play: Play) -> World:
    """A world whose provider is an agent, with the words that come with the program."""
    world = await play(family="agent", options={"kind": "agent"})
    async with world.db.transaction() as tx:
        await providers.set_words(tx, words_listed("agent", world.provider().id), provider_id=world.provider().id)
    await providers.refresh(world.lines)
    return world


# Whose message it is.


async def test_a_message_is_delivered_and_paid_for(world: World) -> None:
    card = await world.buy()
    taken = await post(world, classic(card.order.upstream_id))
    assert taken.answer == b""
    assert await codes(world, card) == ["48213"]
    assert await world.money() == (MONEY - PRICE, 0)
    assert await states(world) == ["delivered"]
    assert await world.backstage.fetchrow("SELECT code, text FROM inbound_messages") == ("", "")


async def test_a_message_that_comes_before_the_commit_is_parked_and_then_delivered(world: World) -> None:
    card = await world.reserve(key="slow")
    sold = await world.rent(f"{card.order.id}-1")
    await post(world, classic(sold.upstream_id))
    assert await states(world) == ["parked"]
    await pass_again(world)
    assert await states(world) == ["parked"]
    card = await world.settle(card, sold)
    assert card.order.state == "active"
    await pass_again(world)
    assert await states(world) == ["delivered"]
    assert await codes(world, card) == ["48213"]
    assert await world.money() == (MONEY - PRICE, 0)


async def test_messages_posted_three_times_and_shuffled_are_one_each(world: World) -> None:
    cards = [await world.buy() for _ in range(3)]
    bodies = [classic(card.order.upstream_id, f"4821{place}") for place, card in enumerate(cards)] * 3
    random.Random(7).shuffle(bodies)
    answers = await asyncio.gather(*(post(world, body) for body in bodies))
    assert {taken.answer for taken in answers} == {b""}
    assert sum(len(taken.fresh) for taken in answers) == 3
    for place, card in enumerate(cards):
        assert await codes(world, card) == [f"4821{place}"]
    assert await world.money() == (MONEY - 3 * PRICE, 0)
    assert await states(world) == ["delivered"] * 3


async def test_a_message_that_the_list_told_before_is_the_same_one(world: World) -> None:
    card = await world.buy()
    world.deliver(card, "48213")
    await world.watch()
    await post(world, classic(card.order.upstream_id))
    assert await codes(world, card) == ["48213"]
    assert await states(world) == ["delivered"]


async def test_no_message_reaches_another_providers_order(play: Play) -> None:
    world = await play(beta="never")
    card = await world.buy()
    await post(world, classic(card.order.upstream_id), name="beta")
    await pass_again(world)
    assert await states(world) == ["parked"]
    assert await codes(world, card) == []
    await pass_again(world, after=timedelta(hours=1))
    assert await states(world) == ["unowned"]
    assert await world.money() == (MONEY - PRICE, PRICE)


async def test_a_wrong_name_and_a_wrong_token_are_refused_alike(play: Play) -> None:
    world = await play(beta="never")
    card = await world.buy()
    mine, others = await token(world), await token(world, "beta")
    for name, given in (("alpha", others), ("alpha", mine[:-1]), ("alpha", ""), ("nobody", mine), ("beta", mine)):
        with pytest.raises(NotFound) as refusal:
            await orders.take_push(world.desk, name=name, token=given, body=classic(card.order.upstream_id))
        assert refusal.value.what == "page"
    assert await states(world) == []


async def test_a_new_token_ends_the_one_before(world: World) -> None:
    before = await token(world)
    assert await token(world) == before
    await providers.hook_path(world.db, world.vault, world.provider(), is_new=True)
    assert await token(world) != before
    with pytest.raises(NotFound):
        await orders.take_push(world.desk, name="alpha", token=before, body=classic("7001"))


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"\xff", b'{"activationId": 1}', b'{"activationId": "x", "code": "1"}', b"[" * 60_000]
)
async def test_a_body_that_is_no_message_is_refused_and_leaves_nothing(world: World, body: bytes) -> None:
    with pytest.raises(InvalidFields):
        await orders.take_push(world.desk, name="alpha", token=await token(world), body=body)
    assert await states(world) == []


# When it comes too late, or to nobody.


async def test_a_message_after_the_money_went_back_is_sealed(world: World) -> None:
    card = await world.cancel(await world.buy())
    await post(world, classic(card.order.upstream_id))
    assert await states(world) == ["refused"]
    assert await world.sealed(card) == [("48213", True)]
    assert await codes(world, card) == []
    assert await world.money() == (MONEY, 0)


async def test_a_message_wins_against_an_expiry_that_is_being_settled(world: World) -> None:
    card = await world.buy()
    await world.age(timedelta(minutes=16))
    await jobs.end_due(world.desk)
    await post(world, classic(card.order.upstream_id))
    await jobs.settle_ending(world.desk)
    assert (await world.read(card)).state == "received"
    assert await codes(world, card) == ["48213"]


async def test_a_message_of_nobody_is_told_until_a_day_has_passed(world: World) -> None:
    await post(world, classic("123456789"))
    await pass_again(world, after=timedelta(minutes=24))
    assert await states(world) == ["parked"]
    await pass_again(world, after=timedelta(minutes=2))
    assert await states(world) == ["unowned"]
    (stray,) = await orders.list_strays(world.db, world.provider().id)
    assert (stray.upstream_id, stray.code, stray.state) == ("123456789", "48213", "unowned")
    assert await orders.tell_unowned(world.desk) == 1
    assert await orders.tell_unowned(world.desk) == 0
    alerts = "SELECT kind FROM provider_alerts WHERE closed_at IS NULL"
    assert await world.backstage.fetchval(alerts) == "unowned_message"
    await pass_again(world, after=timedelta(days=2))
    await orders.tell_unowned(world.desk)
    assert await world.backstage.fetchval(alerts) is None
    assert await orders.forget_inbound(world.desk) == 0
    await pass_again(world, after=timedelta(days=13))
    assert await orders.forget_inbound(world.desk) == 1


async def test_the_pauses_between_tries_grow(world: World) -> None:
    await post(world, classic("123456789"))
    pauses = []
    for _ in range(9):
        await world.run("UPDATE inbound_messages SET next_try_at = clock_timestamp()")
        await orders.deliver_parked(world.desk)
        pauses.append(
            await world.backstage.fetchval(
                "SELECT round(extract(epoch FROM next_try_at - clock_timestamp())) FROM inbound_messages"
            )
        )
    assert pauses == [1, 2, 3, 5, 8, 13, 20, 30, 30]


@pytest.mark.parametrize("dies_at", ["before", "after"])
async def test_a_death_around_the_delivery_is_made_good_by_the_pass(
    world: World, monkeypatch: pytest.MonkeyPatch, dies_at: str
) -> None:
    card = await world.buy()
    given = await token(world)

    class Killed(BaseException):
        """The process is gone."""

    def die(name: str) -> None:
        if name == {"before": "push_written", "after": "push_received"}[dies_at]:
            raise Killed

    monkeypatch.setattr(crash_points, "reached", die)
    with pytest.raises(Killed):
        await post(world, classic(card.order.upstream_id))
    monkeypatch.undo()
    assert await states(world) == ["parked"]
    async with another_process(world) as other:
        again = await orders.take_push(other.desk, name="alpha", token=given, body=classic(card.order.upstream_id))
        assert (again.answer, again.fresh) == (b"", ())
        await pass_again(other)
        assert await states(world) == ["delivered"]
        assert await codes(other, card) == ["48213"]
    assert await world.money() == (MONEY - PRICE, 0)


# Agents: a message names the number only.


async def test_an_agents_message_goes_to_the_only_order_with_the_number(agent: World) -> None:
    card, other = await agent.buy(), await agent.buy()
    taken = await post(agent, sms(card.order.number))
    assert taken.answer == b'{"status":"SUCCESS"}'
    assert await codes(agent, card) == ["48213"]
    assert await codes(agent, other) == []
    await post(agent, sms(card.order.number, "Telegram code 99001"))
    assert await codes(agent, card) == ["48213", "99001"]
    assert await agent.money() == (MONEY - 2 * PRICE, PRICE)


async def test_an_agents_message_without_a_code_takes_nobodys_money(agent: World) -> None:
    card = await agent.buy()
    welcome = "Welcome to the network! Recharge with Rs. 4999 or call 1800 123 4567."
    assert (await post(agent, sms(card.order.number, welcome))).answer == b'{"status":"SUCCESS"}'
    assert await codes(agent, card) == []
    assert await agent.money() == (MONEY - PRICE, PRICE)
    await post(agent, sms(card.order.number))
    assert await codes(agent, card) == ["48213"]
    assert await agent.money() == (MONEY - PRICE, 0)
    assert sorted(await states(agent)) == ["delivered", "parked"]


async def test_an_agents_message_with_a_wrong_key_is_refused(agent: World) -> None:
    card = await agent.buy()
    with pytest.raises(InvalidFields):
        await post(agent, sms(card.order.number, key="another-key-0000"))
    assert await states(agent) == []


@pytest.mark.parametrize(
    ("text", "sender", "owner"),
    [
        ("Telegram code 48213", "22000", "tg"),
        ("Your WhatsApp code: 482-130", "22000", "wa"),
        ("48213 is your code", "WhatsApp", "wa"),
        ("48213 is your code", "TG", "tg"),
        ("48213 is your code (tg)", "22000", None),
        ("48213 is your code", "22000", None),
        ("Telegram and WhatsApp 48213", "22000", None),
    ],
)
async def test_of_two_orders_with_a_number_the_one_that_the_message_names_gets_it(
    agent: World, text: str, sender: str, owner: str | None
) -> None:
    cards = {"tg": await agent.buy(TELEGRAM), "wa": await agent.buy(WHATSAPP)}
    number = cards["tg"].order.number
    # An agent hands a number out for another service while it is live for one.
    await agent.run("UPDATE orders SET number = $2 WHERE id = $1", cards["wa"].order.id, number)
    await post(agent, sms(number, text, phoneFrom=sender))
    found = {service: await codes(agent, card) for service, card in cards.items()}
    assert [service for service, got in found.items() if got] == ([] if owner is None else [owner])
    assert await states(agent) == ["parked" if owner is None else "delivered"]
    if owner is None:
        await pass_again(agent, after=timedelta(hours=1))
        assert await states(agent) == ["unowned"]


async def test_an_agents_message_that_comes_before_the_commit_is_parked_and_then_delivered(agent: World) -> None:
    card = await agent.reserve(key="slow")
    sold = await agent.rent(f"{card.order.id}-1")
    await post(agent, sms(sold.number))
    assert await states(agent) == ["parked"]
    card = await agent.settle(card, sold)
    await agent.run("UPDATE inbound_messages SET next_try_at = clock_timestamp()")
    await orders.deliver_parked(agent.desk)
    assert await states(agent) == ["delivered"]
    assert await codes(agent, card) == ["48213"]


async def test_a_message_from_before_the_purchase_is_not_the_buyers(agent: World) -> None:
    card = await agent.reserve(key="slow")
    sold = await agent.rent(f"{card.order.id}-1")
    await post(agent, sms(sold.number))
    await agent.run("UPDATE inbound_messages SET received_at = received_at - interval '1 minute'")
    card = await agent.settle(card, sold)
    await pass_again(agent, after=timedelta(seconds=10))
    assert await codes(agent, card) == []
    assert await states(agent) == ["parked"]
    await agent.cancel(card)
    await pass_again(agent, after=timedelta(hours=1))
    assert await states(agent) == ["unowned"]
    assert await agent.sealed(card) == []


async def test_a_late_message_for_a_number_that_expired_is_sealed_at_last(agent: World) -> None:
    card = await agent.buy()
    await agent.age(timedelta(minutes=16))
    await jobs.end_due(agent.desk)
    await jobs.settle_ending(agent.desk)
    assert (await agent.read(card)).state == "expired"
    await post(agent, sms(card.order.number))
    assert await states(agent) == ["parked"]
    await agent.age(timedelta(hours=1))
    await pass_again(agent, after=timedelta(hours=1))
    assert await states(agent) == ["refused"]
    assert await agent.sealed(card) == [("48213", True)]
    assert await agent.money() == (MONEY, 0)
