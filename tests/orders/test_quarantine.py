"""A bank's message on an order for something else is never shown, its money goes back, and a person decides."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from numberdesk.audit.model import Event
from numberdesk.base.errors import NotFound
from numberdesk.orders import service as orders
from numberdesk.orders.model import Card, Delivery, Withheld
from numberdesk.orders.service import AlreadyDecided, BuyerCannotPay, MessagePurged
from numberdesk.orders.service._receive import receive
from numberdesk.orders.service._withhold import guard_by
from numberdesk.providers.model import Received
from numberdesk.wallet.service import InsufficientBalance
from tests.orders.world import MONEY, PRICE, Play, World

pytestmark = pytest.mark.anyio

BANK = Received("482913", "482913 is OTP for txn of INR 499.00 on HDFC Bank card ending 4431. Do not share.")
OURS = Received("48291", "Telegram code 48291")
EVENT = Event("withheld_decided", 1)


async def deliver(world: World, card: Card, *messages: Received) -> Card:
    order = card.order
    assert order.upstream_id is not None
    got = await world.desk.receive.call(Delivery(order.provider_id, order.upstream_id, messages))
    assert got is not None
    world.desk.show([got])
    return got


async def withheld(world: World) -> Sequence[Withheld]:
    return await orders.list_withheld(world.db, state="held")


async def told(world: World) -> list[str]:
    found = await orders.read_events(world.db, account_id=world.alice, after=0, limit=50)
    return [item.event.type for item in found]


async def release(world: World, card: Card, ordinal: int = 1) -> Card:
    _, after = await orders.release(
        world.desk, order_id=card.order.id, ordinal=ordinal, by=world.bob, reason="a mistake", event=EVENT
    )
    return after


async def test_it_is_sealed_the_money_goes_back_and_staff_see_it_without_its_code(play: Play) -> None:
    world = await play()
    card = await deliver(world, await world.buy(), BANK)
    assert (card.order.state, card.order.failure, card.messages) == ("cancelled", "withheld", ())
    assert card.refund is not None
    assert card.refund.amount_paise == PRICE
    assert card.order.upstream_refund == "refused", "its provider did what it was paid for"
    assert await world.money() == (MONEY, 0)
    assert await world.sealed(card) == [("482913", True)]
    assert (await world.check(card)).messages == ()
    assert await told(world) == ["active", "cancelled"]
    (item,) = await withheld(world)
    assert (item.order_id, item.account_id, item.kind, item.signs) == (card.order.id, world.alice, "bank", "hdfc bank")
    assert "482913" not in item.text
    assert "HDFC" in item.text


async def test_its_provider_is_told_that_the_order_is_over(play: Play) -> None:
    world = await play()
    card = await deliver(world, await world.buy(), BANK)
    assert await world.backstage.fetchval("SELECT release_due FROM orders WHERE id = $1", card.order.id)


async def test_a_repeat_changes_nothing(play: Play) -> None:
    world = await play()
    card = await world.buy()
    await deliver(world, card, BANK, BANK)
    await deliver(world, card, BANK)
    assert await world.sealed(card) == [("482913", True)]
    assert len(await withheld(world)) == 1
    assert await world.money() == (MONEY, 0)


async def test_the_code_of_the_service_is_given_and_paid_though_a_banks_came_with_it(play: Play) -> None:
    world = await play()
    card = await deliver(world, await world.buy(), BANK, OURS)
    assert card.order.state == "completed"
    assert [message.code for message in card.messages] == ["48291"]
    assert await world.money() == (MONEY - PRICE, 0)
    assert await told(world) == ["active", "code", "completed"]


async def test_a_banks_message_after_the_code_is_withheld_and_ends_the_order(play: Play) -> None:
    world = await play()
    card = await deliver(world, await world.buy(), OURS)
    card = await deliver(world, card, BANK)
    assert card.order.state == "completed"
    assert [message.code for message in card.messages] == ["48291"]
    assert await world.money() == (MONEY - PRICE, 0)


async def test_while_a_cancel_is_under_way_it_is_withheld_too(play: Play) -> None:
    world = await play()
    card = await world.buy()
    await world.run("UPDATE orders SET state = 'cancelling' WHERE id = $1", card.order.id)
    card = await deliver(world, card, BANK)
    assert (card.order.state, card.order.failure) == ("cancelled", "withheld")
    assert await world.money() == (MONEY, 0)


async def test_released_it_is_given_and_paid_once_at_the_orders_price(play: Play) -> None:
    world = await play()
    card = await deliver(world, await world.buy(), BANK)
    card = await release(world, card)
    assert (card.order.state, card.order.upstream_refund) == ("completed", "none")
    assert [message.code for message in card.messages] == ["482913"]
    assert [message.code for message in (await world.check(card)).messages] == ["482913"]
    assert await world.money() == (MONEY - PRICE, 0)
    assert await told(world) == ["active", "cancelled", "code", "completed"]
    with pytest.raises(AlreadyDecided):
        await release(world, card)
    assert await world.money() == (MONEY - PRICE, 0)
    assert await withheld(world) == []


async def test_released_a_day_later_the_event_of_it_still_has_its_text(play: Play) -> None:
    world = await play()
    card = await deliver(world, await world.buy(), BANK)
    day = timedelta(days=1)
    await world.age(day)
    for table, moment in (("messages", "received_at"), ("orders", "ended_at"), ("order_events", "at")):
        await world.backstage.execute(f"UPDATE {table} SET {moment} = {moment} - $1::interval", day)
    await world.backstage.execute("UPDATE holds SET created_at = created_at - $1::interval,"
                                  " ended_at = ended_at - $1::interval", day)  # fmt: skip
    await release(world, card)
    found = await orders.read_events(world.db, account_id=world.alice, after=0, limit=50)
    assert [told.message.text for told in found if told.event.type == "code" and told.message] == [BANK.text]


async def test_released_on_a_paid_order_it_costs_nothing_more(play: Play) -> None:
    world = await play()
    card = await deliver(world, await world.buy(), OURS, BANK)
    card = await release(world, card, ordinal=2)
    assert [message.code for message in card.messages] == ["48291", "482913"]
    assert await world.money() == (MONEY - PRICE, 0)


async def test_nobody_gets_it_who_cannot_pay(play: Play) -> None:
    world = await play()
    card = await deliver(world, await world.buy(), BANK)
    for _ in range(MONEY // PRICE):
        await world.buy()
    with pytest.raises(InsufficientBalance):
        await release(world, card)
    assert await world.sealed(card) == [("482913", True)]
    assert len(await withheld(world)) == 1


@pytest.mark.parametrize("state", ["frozen", "banned", "closed"])
async def test_money_of_an_account_that_is_not_open_is_not_taken(play: Play, state: str) -> None:
    world = await play()
    card = await deliver(world, await world.buy(), BANK)
    await world.run("UPDATE accounts SET state = $2 WHERE id = $1", world.alice, state)
    with pytest.raises(BuyerCannotPay, match=state):
        await release(world, card)
    assert await world.money() == (MONEY, 0)
    await world.run("UPDATE accounts SET state = 'active' WHERE id = $1", world.alice)
    assert (await release(world, card)).order.state == "completed"


async def test_confirmed_it_stays_sealed_for_ever(play: Play) -> None:
    world = await play()
    card = await deliver(world, await world.buy(), BANK)
    done = await orders.confirm(
        world.db, order_id=card.order.id, ordinal=1, by=world.bob, reason="a bank's", event=EVENT
    )
    assert (done.state, done.decided_by, done.reason) == ("confirmed", world.bob, "a bank's")
    with pytest.raises(AlreadyDecided):
        await release(world, card)
    assert await world.sealed(card) == [("482913", True)]
    assert [item.order_id for item in await orders.list_withheld(world.db, state="confirmed")] == [card.order.id]


async def test_what_was_not_withheld_cannot_be_decided(play: Play) -> None:
    world = await play()
    card = await deliver(world, await world.buy(), OURS)
    with pytest.raises(NotFound):
        await release(world, card)


async def test_the_purge_takes_bodies_of_ended_orders_only_and_the_money_stays_right(play: Play) -> None:
    world = await play()
    paid, open_ = await deliver(world, await world.buy(), OURS), await deliver(world, await world.buy(), OURS)
    paid = await orders.finish(world.desk, account_id=world.alice, order_id=paid.order.id)
    kept = await deliver(world, await world.buy(), BANK)
    day = timedelta(hours=24)
    assert await orders.purge_messages(world.desk, keep=day) == 0
    await world.age(timedelta(hours=25))
    await world.run("UPDATE messages SET received_at = received_at - interval '25 hours'")
    await world.run("UPDATE orders SET ended_at = ended_at - interval '25 hours' WHERE ended_at IS NOT NULL")
    await world.run(
        "UPDATE holds SET ended_at = ended_at - interval '25 hours', created_at = created_at - interval '25 h'"
    )
    assert await orders.purge_messages(world.desk, keep=day * 2) == 0
    assert await orders.purge_messages(world.desk, keep=day, limit=1) == 1
    assert await orders.purge_messages(world.desk, keep=day) == 1
    assert await orders.purge_messages(world.desk, keep=day) == 0
    left = await world.backstage.fetch("SELECT code, text FROM messages WHERE order_id <> $1", open_.order.id)
    assert [tuple(row) for row in left] == [("", "[purged]")] * 2
    # What customers read says so, in this process's memory too; the order that goes on has its code.
    await world.desk.board.sweep()
    shown = await orders.list_orders(world.desk, account_id=world.alice, states=None, cursor=None, limit=10)
    texts = {card.order.id: [(message.code, message.text) for message in card.messages] for card in shown}
    assert texts == {paid.order.id: [("", "[purged]")], open_.order.id: [("48291", OURS.text)], kept.order.id: []}
    # A provider that tells it once more gets it into the books no second time.
    await deliver(world, paid, OURS)
    assert len(await world.sealed(paid)) == 1
    with pytest.raises(MessagePurged):
        await release(world, kept)
    assert await world.money() == (MONEY - 2 * PRICE, 0)


async def test_switched_off_nothing_is_withheld(play: Play) -> None:
    world = await play()
    card = await world.buy()
    assert card.order.upstream_id is not None
    async with world.db.transaction() as tx:
        (got,) = await receive(tx, [Delivery(card.order.provider_id, card.order.upstream_id, (BANK,))])
    assert isinstance(got, Card)
    assert [message.code for message in got.messages] == ["482913"]
    assert got.order.state == "received"


async def test_an_order_for_a_bank_gets_a_banks_message_and_one_for_no_named_service_does_not(play: Play) -> None:
    world = await play()
    order = (await world.buy()).order
    judge = guard_by(world.shelf)
    by_category = {service.category: code for code, service in world.shelf.contents.services.items()}
    for category, is_withheld in {"bank": False, "payment": False, "any_other": True, "social": True}.items():
        sign = judge(replace(order, service=by_category[category]), BANK)
        assert (sign is not None) == is_withheld, category
    assert judge(order, OURS) is None
    assert judge(order, Received("48291", "Your code is 48291")) is None
