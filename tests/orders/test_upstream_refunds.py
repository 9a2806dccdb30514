"""Refunds on both sides: what the customer got back, and what proves that the provider gives its cost back."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from numberdesk.catalogue import service as catalogue
from numberdesk.catalogue.model import DeliveryTotal
from numberdesk.orders import jobs
from numberdesk.orders import service as orders
from numberdesk.orders.model import Card
from numberdesk.orders.service import NotCancellable
from numberdesk.orders.service._close import proof_of
from numberdesk.providers.model import Done, Ended
from numberdesk.providers.simulator import PROFILES
from tests.orders.world import (
    COST,
    DEAR_PRICE,
    MONEY,
    NOT_SOLD,
    PRICE,
    SOLD,
    TELEGRAM,
    Play,
    World,
    scripted,
    until,
)

pytestmark = pytest.mark.anyio

BROKEN = replace(PROFILES["http-500"], fault_on="status-changes")
GONE_SOON = replace(PROFILES["self-cancel"], self_cancel_after=(0.0, 0.0))
LATE = timedelta(minutes=16)
"""More than an order's time."""


async def proof(world: World, card: Card) -> tuple[str, str]:
    """Return how an order stands here, and what is known of its refund there."""
    order = await world.read(card)
    return order.state, order.upstream_refund


async def end(world: World) -> None:
    """Let the time of every order pass, and the passes about ends run."""
    await world.age(LATE)
    await jobs.end_due(world.desk)
    await jobs.settle_ending(world.desk)


async def counted(world: World) -> DeliveryTotal:
    """Count, and return the total of the first provider's Telegram."""
    await catalogue.count_deliveries(world.db)
    totals = await catalogue.list_delivery_totals(world.db, service="tg", provider_id=world.provider().id)
    assert len(totals) == 1
    return totals[0]


async def test_while_an_order_waits_its_refund_is_due_and_with_the_code_there_is_none(world: World) -> None:
    card = await world.buy()
    assert await proof(world, card) == ("active", "due")
    world.deliver(card, "12345")
    await world.watch()
    assert await proof(world, card) == ("received", "none")
    await end(world)
    assert await proof(world, card) == ("completed", "none")
    total = await counted(world)
    assert (total.sold, total.delivered, total.refunds, total.refunds_paise) == (1, 1, 0, 0)
    assert sum(total.waits) == 1


async def test_a_cancel_that_the_provider_acknowledges_is_confirmed(world: World) -> None:
    card = await world.buy()
    await world.cancel(card)
    assert await proof(world, card) == ("cancelled", "confirmed")
    total = await counted(world)
    assert (total.sold, total.cancelled, total.refunds, total.refunds_paise) == (1, 1, 1, PRICE)
    assert (total.confirmed, total.confirmed_paise, total.gap_paise) == (1, COST, 0)


async def test_an_end_that_the_provider_acknowledges_is_confirmed(world: World) -> None:
    card = await world.buy()
    await end(world)
    assert await proof(world, card) == ("expired", "confirmed")
    total = await counted(world)
    assert (total.sold, total.cancelled, total.confirmed, total.refunds_paise) == (1, 0, 1, PRICE)


async def test_a_number_that_the_provider_took_away_is_assumed_to_come_back(play: Play) -> None:
    world = await play(profile=GONE_SOON)
    card = await world.buy()
    await until(lambda: len(world.alpha.self_cancelled) == 1)
    await world.watch()
    assert await proof(world, card) == ("cancelled", "assumed")
    total = await counted(world)
    assert (total.sold, total.cancelled, total.assumed, total.assumed_paise) == (1, 0, 1, COST)
    assert total.gap_paise == PRICE


async def test_a_number_that_had_ended_before_is_confirmed_where_our_cancel_is_acknowledged(play: Play) -> None:
    world = await play(profile=GONE_SOON)
    card = await world.buy()
    await until(lambda: len(world.alpha.self_cancelled) == 1)
    await end(world)
    assert await proof(world, card) == ("expired", "confirmed")


@pytest.mark.parametrize("by", ["cancel", "time"])
@pytest.mark.parametrize("word", [b"NO_ACTIVATION", b"ACTIVATION_NOT_ACTIVE", b"STATUS_CANCEL"])
async def test_a_number_that_is_over_for_the_provider_is_assumed_to_come_back(
    world: World, by: str, word: bytes
) -> None:
    async with scripted(world, **{"setStatus 8": word}):
        card = await world.buy()
        if by == "cancel":
            await world.cancel(card)
        else:
            await end(world)
    assert await proof(world, card) == ("cancelled" if by == "cancel" else "expired", "assumed")


async def test_an_unanswered_cancel_is_due_until_a_repeat_is_answered(play: Play) -> None:
    world = await play(profile=replace(PROFILES["status-then-dropped"], code_after=None))
    card = await world.buy()
    await world.cancel(card)
    assert len(world.alpha.cancelled) == 1
    assert await proof(world, card) == ("cancelling", "due")
    assert (await world.money())[1] == PRICE
    world.alpha.set_profile("never")
    await world.run("UPDATE orders SET next_try_at = clock_timestamp()")
    await jobs.settle_ending(world.desk)
    assert await proof(world, card) == ("cancelled", "confirmed")
    assert await world.money() == (MONEY, 0)


async def test_a_code_that_wins_against_a_cancel_leaves_nothing_to_give_back(world: World) -> None:
    card = await world.buy()
    world.deliver(card, "12345")
    with pytest.raises(NotCancellable):
        await world.cancel(card)
    assert await proof(world, card) == ("received", "none")


async def test_a_code_after_the_refund_changes_neither_side(play: Play) -> None:
    late = replace(PROFILES["late-code"], late_code_after=(0.0, 0.05))
    world = await play(profile=late)
    card = await world.buy()
    await world.cancel(card)
    for _ in range(100):
        await world.watch()
        if await world.sealed(card):
            break
        await asyncio.sleep(0.02)
    assert [is_sealed for _, is_sealed in await world.sealed(card)] == [True]
    assert await proof(world, card) == ("cancelled", "confirmed")
    total = await counted(world)
    assert (total.sold, total.delivered, total.confirmed) == (1, 0, 1)


async def test_a_provider_that_stays_silent_for_good_kept_the_money(play: Play) -> None:
    world = await play(profile=BROKEN)
    card = await world.buy()
    await end(world)
    assert await proof(world, card) == ("expiring", "due")
    await world.age(jobs.GIVE_UP_AFTER)
    await jobs.settle_ending(world.desk)
    assert await proof(world, card) == ("expired", "refused")
    assert await world.money() == (MONEY, 0)
    total = await counted(world)
    assert (total.refunds_paise, total.refused, total.refused_paise, total.gap_paise) == (PRICE, 1, COST, PRICE)


def test_the_word_of_an_end_says_whether_the_money_is_back() -> None:
    assert proof_of(Done()) == "confirmed"
    assert proof_of(Ended("REFUNDED")) == "confirmed"
    assert proof_of(Ended("STATUS_CANCEL")) == "assumed"
    assert proof_of(Ended("FINISHED")) == "refused"
    assert proof_of(Ended("finished")) == "refused"


async def test_what_comes_back_is_what_the_provider_charged(world: World) -> None:
    card = await world.buy()
    await world.cancel(card)
    await world.run("UPDATE orders SET charged_paise = cost_paise - 75")
    total = await counted(world)
    assert (total.confirmed_paise, total.refunds_paise) == (COST - 75, PRICE)


# What was never sold.


async def test_of_a_refused_purchase_nothing_is_due(play: Play) -> None:
    world = await play(profile="no-stock")
    with pytest.raises(orders.NoNumbers):
        await world.buy()
    (order,) = await world.all_orders()
    assert (order.state, order.upstream_refund) == ("failed", "none")
    await catalogue.count_deliveries(world.db)
    assert await catalogue.list_delivery_totals(world.db) == []


async def test_after_a_refusal_the_next_provider_is_the_one_that_counts(play: Play) -> None:
    world = await play(profile="no-stock", beta="never")
    card = await world.buy()
    await world.cancel(card)
    assert await proof(world, card) == ("cancelled", "confirmed")
    await catalogue.count_deliveries(world.db)
    (total,) = await catalogue.list_delivery_totals(world.db)
    assert total.provider_id == world.provider("beta").id
    # It listed a higher cost than it charged.
    assert (total.sold, total.refunds_paise, total.confirmed_paise) == (1, DEAR_PRICE, COST)


async def test_of_a_purchase_that_was_never_sold_nothing_is_due(world: World) -> None:
    card = await world.buy_unclearly(NOT_SOLD["dropped-not-sold"])
    assert await proof(world, card) == ("unknown", "due")
    await world.resolve()
    assert await proof(world, card) == ("failed", "none")


async def test_of_a_purchase_that_died_unseen_nobody_knows(world: World) -> None:
    card = await world.buy_unclearly(SOLD["sold-then-dropped"])
    world.alpha.set_profile("http-500")
    await world.age(timedelta(milliseconds=world.provider().lifetime_ms) + timedelta(minutes=6))
    await world.watch()
    assert await proof(world, card) == ("failed", "assumed")
    total = await counted(world)
    assert (total.sold, total.refunds, total.refunds_paise, total.assumed_paise) == (0, 1, PRICE, COST)


# Both sides add up.


async def test_what_customers_got_back_is_what_the_wallet_gave_them(play: Play) -> None:
    world = await play(options={"extend_paise_per_minute": 50, "lifetime_ms": 1_800_000})
    extended = await world.buy()
    await orders.extend(world.desk, account_id=world.alice, order_id=extended.order.id, minutes=5)
    cancelled = await world.buy()
    paid = await world.buy(TELEGRAM)
    world.deliver(paid, "12345")
    await world.watch()
    for card in (extended, cancelled):
        await world.cancel(card)
    total = await counted(world)
    voided = await world.backstage.fetchval("SELECT sum(amount_paise) FROM holds WHERE state = 'voided'")
    assert total.refunds_paise == voided == 2 * PRICE + 250
    assert (total.sold, total.delivered, total.cancelled, total.confirmed, total.confirmed_paise) == (
        3,
        1,
        2,
        2,
        2 * COST,
    )
