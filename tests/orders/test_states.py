"""Every verb on an order in every state: what it becomes, or why not; and that an end is an end."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import get_args

import pytest

from numberdesk.base.errors import AppError
from numberdesk.base.money import Paise
from numberdesk.orders import jobs
from numberdesk.orders import service as orders
from numberdesk.orders.model import CancelWanted, Card, Closing, Delivery, OrderState, Settlement
from numberdesk.orders.service import NoNumbers
from numberdesk.providers.model import Received, Refused, RentAnswer, Rented, Unknown
from tests.orders.world import MONEY, PRICE, Play, World, another_process

pytestmark = pytest.mark.anyio

ENDED: tuple[OrderState, ...] = ("completed", "cancelled", "expired", "failed")
HELD: tuple[OrderState, ...] = ("requested", "unknown", "active", "cancelling", "expiring")
PAID: tuple[OrderState, ...] = ("received", "completed")
FEE = 50

Verb = Callable[[World, Card], Awaitable[object]]


async def one_in_each_state(world: World) -> dict[OrderState, Card]:
    """Bring ten orders as far as their states are."""
    await world.give(world.alice, 10 * PRICE)
    expired = await world.buy()
    await world.age(timedelta(minutes=16))
    await jobs.end_due(world.desk)
    await jobs.settle_ending(world.desk)
    expiring = await world.buy()
    await world.age(timedelta(minutes=16))
    await jobs.end_due(world.desk)
    world.alpha.set_profile("dropped-not-sold")
    unknown = await world.buy()
    world.alpha.set_profile("no-stock")
    with pytest.raises(NoNumbers) as refused:
        await world.buy()
    world.alpha.set_profile("never")
    failed = replace(unknown, order=replace(unknown.order, id=type(unknown.order.id)(refused.value.order_id)))
    received, completed = await world.buy(), await world.buy()
    for card in (received, completed):
        world.deliver(card, "111")
    await world.watch()
    await orders.finish(world.desk, account_id=world.alice, order_id=completed.order.id)
    cancelled = await world.cancel(await world.buy())
    cancelling = await world.buy()
    await world.desk.begin_cancel.call(CancelWanted(world.alice, cancelling.order.id))
    found: dict[OrderState, Card] = {
        "requested": await world.reserve(key="requested"), "unknown": unknown, "active": await world.buy(),
        "received": received, "cancelling": cancelling, "expiring": expiring, "completed": completed,
        "cancelled": cancelled, "expired": expired, "failed": failed,
    }  # fmt: skip
    assert set(found) == set(get_args(OrderState))
    for state, card in found.items():
        assert (await world.read(card)).state == state
    return found


# The verbs.


async def cancel(world: World, card: Card) -> object:
    return await world.cancel(card)


async def finish(world: World, card: Card) -> object:
    return await orders.finish(world.desk, account_id=world.alice, order_id=card.order.id)


async def next_code(world: World, card: Card) -> object:
    return await orders.next_code(world.desk, account_id=world.alice, order_id=card.order.id)


async def extend(world: World, card: Card) -> object:
    return await orders.extend(world.desk, account_id=world.alice, order_id=card.order.id, minutes=1)


async def receive(world: World, card: Card) -> object:
    order = await world.read(card)
    messages = (Received("222", ""),)
    return await world.desk.receive.call(Delivery(order.provider_id, order.upstream_id or "none", messages))


async def give_up_unknown(world: World, card: Card) -> object:
    return await world.desk.close.call(Closing(card.order.id, frozenset({"unknown"}), "failed", "never_sold"))


async def end_active(world: World, card: Card) -> object:
    closing = Closing(card.order.id, frozenset({"active"}), "cancelled", "provider_cancelled")
    return await world.desk.close.call(closing)


async def settle_end(world: World, card: Card) -> object:
    return await world.desk.close.call(Closing(card.order.id, frozenset({"cancelling", "expiring"}), "expired"))


async def settle(world: World, card: Card, answer: RentAnswer) -> object:
    order = await world.read(card)
    return await world.desk.settle.call(Settlement(order.id, order.attempt, order.provider_id, 0, 1_200_000, answer))


async def settle_sold(world: World, card: Card) -> object:
    number = f"9198000{card.order.id:05}"
    return await settle(world, card, Rented(f"77{card.order.id}", number, Paise(1), can_get_next=True))


async def settle_refused(world: World, card: Card) -> object:
    return await settle(world, card, Refused("no_numbers", ""))


async def settle_unclear(world: World, card: Card) -> object:
    return await settle(world, card, Unknown("rubbish"))


@dataclass(frozen=True)
class Row:
    """What a verb makes of each state; states that are not named stay, or are refused with the error."""

    verb: Verb
    becomes: dict[OrderState, OrderState]
    otherwise: str | None = None


TABLE = (
    Row(cancel, {"active": "cancelled", "cancelling": "cancelled", "cancelled": "cancelled"}, "not_cancellable"),
    Row(finish, {"received": "completed", "completed": "completed"}, "not_possible_now"),
    Row(next_code, {"received": "received"}, "not_possible_now"),
    Row(extend, {"active": "active", "received": "received"}, "not_possible_now"),
    Row(receive, {"active": "received", "cancelling": "received", "expiring": "received"}),
    Row(give_up_unknown, {"unknown": "failed"}),
    Row(end_active, {"active": "cancelled"}),
    Row(settle_end, {"cancelling": "expired", "expiring": "expired"}),
    Row(settle_sold, {"requested": "active", "unknown": "active"}),
    Row(settle_refused, {"requested": "failed", "unknown": "failed"}),
    Row(settle_unclear, {"requested": "unknown"}),
)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.verb.__name__)
async def test_a_verb_does_what_the_table_says_in_every_state(play: Play, row: Row) -> None:
    world = await play(options={"extend_paise_per_minute": FEE, "lifetime_ms": 1_800_000})
    cards = await one_in_each_state(world)
    fees = {"extend": {"active": (FEE, FEE), "received": (FEE, 0)}}.get(row.verb.__name__, {})
    async with another_process(world) as second:
        for state, card in cards.items():
            before, money = await world.read(card), await world.money()
            wanted = row.becomes.get(state)
            if wanted is None and row.otherwise is not None:
                with pytest.raises(AppError) as refused:
                    await row.verb(second, card)
                assert refused.value.code == row.otherwise, state
            else:
                await row.verb(second, card)
            after = await world.read(card)
            assert after.state == (wanted or state), state
            if wanted is None and (row.verb, state) not in COUNTED:
                assert after == before, state
            fee, held_fee = fees.get(state, (0, 0))
            assert await world.money() == moved(money, state, after.state, fee, held_fee), state


COUNTED = {(receive, "received"), (receive, "completed")}
"""A further code is counted on a paid order and changes nothing else."""


def moved(money: tuple[int, int], before: OrderState, after: OrderState, fee: int, held_fee: int) -> tuple[int, int]:
    """Return the wallet after an order has gone from one state to another."""
    available, held = money[0] - fee, money[1] + held_fee
    if before in HELD and after not in HELD:
        held -= PRICE
        available += 0 if after in PAID else PRICE
    return available, held


async def test_a_refusal_by_state_tells_an_order_that_is_being_ended_as_ended(play: Play) -> None:
    world = await play(options={"extend_paise_per_minute": FEE, "lifetime_ms": 1_800_000})
    cards = await one_in_each_state(world)
    told = {"requested": "pending", "unknown": "pending", "cancelling": "cancelled", "expiring": "expired"}
    money = await world.money()
    for state, card in cards.items():
        if state not in ("received", "completed"):
            with pytest.raises(AppError) as refused:
                await finish(world, card)
            assert refused.value.details()["order_status"] == told.get(state, state)
    assert await world.money() == money


async def test_an_end_is_never_left(play: Play) -> None:
    """Whatever is tried and however much time passes, ended orders and their money stay as they are."""
    world = await play(options={"extend_paise_per_minute": FEE, "lifetime_ms": 1_800_000})
    cards = {state: card for state, card in (await one_in_each_state(world)).items() if state in ENDED}
    rest = await world.money()
    for state, card in cards.items():
        before = await world.read(card)
        for row in TABLE:
            if row.becomes.get(state) is None and row.otherwise is not None:
                with pytest.raises(AppError):
                    await row.verb(world, card)
            else:
                await row.verb(world, card)
        after = await world.read(card)
        if state == "completed":
            before = replace(before, codes_received=2, changed_at=after.changed_at)
        assert after == before
    assert await world.money() == rest
    await world.resolve()
    await world.age(timedelta(hours=1))
    for _ in range(2):
        await jobs.end_due(world.desk)
        await jobs.settle_ending(world.desk)
        await jobs.release_finished(world.desk)
        await world.watch()
    assert {state: (await world.read(card)).state for state, card in cards.items()} == {state: state for state in ENDED}
    assert {order.state for order in await world.all_orders()} <= set(ENDED)
    assert await world.money() == (MONEY + 8 * PRICE, 0), "two of the orders had a code"


@pytest.mark.parametrize("state", ENDED)
async def test_the_database_itself_keeps_an_end_together_with_its_time(world: World, state: OrderState) -> None:
    card = await world.buy()
    with pytest.raises(Exception, match="check constraint"):
        await world.run("UPDATE orders SET state = $1", state)
    assert (await world.read(card)).state == "active"
    assert await world.money() == (MONEY - PRICE, PRICE)
