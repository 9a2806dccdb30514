"""Receiving codes: each once, readable with its payment, whichever way and however often it comes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from numberdesk.orders import jobs
from numberdesk.orders import service as orders
from numberdesk.orders.model import Card, Delivery
from numberdesk.orders.service import NotCancellable
from numberdesk.providers import service as providers
from numberdesk.providers.model import Received
from numberdesk.providers.simulator import PROFILES
from tests.orders.world import MONEY, PRICE, SALE, TELEGRAM, Play, World, another_process, listing, row, scripted, until

pytestmark = pytest.mark.anyio

PAID = (MONEY - PRICE, 0)
BROKEN = replace(PROFILES["http-500"], fault_on="status-changes")


def codes(card: Card) -> list[str]:
    return [message.code for message in card.messages]


async def handed_in(world: World, card: Card, *messages: Received) -> Card | None:
    """Deliver as the watch does."""
    assert card.order.upstream_id is not None
    found = await world.desk.receive.call(Delivery(card.order.provider_id, card.order.upstream_id, messages))
    world.desk.show([] if found is None else [found])
    return found


# What is not taken in.


async def test_a_message_of_an_activation_that_is_not_ours_is_ignored(world: World) -> None:
    card = await world.buy()
    foreign = Delivery(card.order.provider_id, "1", (Received("12345", ""),))
    elsewhere = Delivery(type(card.order.provider_id)(99), card.order.upstream_id or "", (Received("12345", ""),))
    assert await world.desk.receive.call(foreign) is None
    assert await world.desk.receive.call(elsewhere) is None
    assert await world.backstage.fetchval("SELECT count(*) FROM messages") == 0
    assert await world.read(card) == card.order
    assert await world.money() == (MONEY - PRICE, PRICE)


async def test_a_delivery_without_messages_changes_nothing(world: World) -> None:
    card = await world.buy()
    assert await handed_in(world, card) == card
    assert await world.read(card) == card.order
    assert await world.money() == (MONEY - PRICE, PRICE)


@pytest.mark.parametrize("end", ["cancelled", "expired"])
async def test_a_code_after_the_money_went_back_is_stored_sealed_and_never_charged(world: World, end: str) -> None:
    card = await world.buy()
    if end == "cancelled":
        await world.cancel(card)
    else:
        await world.age(timedelta(minutes=16))
        await jobs.end_due(world.desk)
        await jobs.settle_ending(world.desk)
    ended = await world.check(card)
    assert ended.order.state == end
    world.deliver(card, "12345")
    await world.watch()
    await world.watch()
    assert await world.sealed(card) == [("12345", True)]
    async with another_process(world) as second:
        assert await second.check(card) == await world.check(card) == ended
    assert codes(ended) == []
    assert await world.read(card) == ended.order
    assert await world.money() == (MONEY, 0)
    assert await world.revenue() == 0


async def test_a_repeat_of_a_sealed_code_is_stored_once_and_another_one_too(world: World) -> None:
    card = await world.buy()
    await world.cancel(card)
    for code in ("111", "111", "222", "111"):
        await handed_in(world, card, Received(code, ""))
    assert await world.sealed(card) == [("111", True), ("222", True)]
    assert await world.money() == (MONEY, 0)


# Taken in.


async def test_a_code_on_the_list_is_readable_and_paid(world: World) -> None:
    card = await world.buy()
    world.deliver(card, "12345")
    await world.watch()
    found = await world.check(card)
    assert (found.order.state, found.order.codes_received, codes(found)) == ("received", 1, ["12345"])
    assert found.messages[0].text == "Telegram code 12345"
    assert found.order == await world.read(card)
    assert found.refund is None
    assert await world.money() == PAID
    assert await world.revenue() == PRICE


async def test_one_list_serves_all_open_orders(world: World) -> None:
    cards = [await world.buy() for _ in range(4)]
    for number, card in enumerate(cards[:3]):
        world.deliver(card, f"1000{number}")
    assert await world.watch() == 4
    assert [codes(await world.check(card)) for card in cards] == [["10000"], ["10001"], ["10002"], []]
    assert await world.money() == (MONEY - 4 * PRICE, PRICE)


async def test_a_code_is_found_by_a_look_when_the_list_does_not_name_its_order(world: World) -> None:
    async with scripted(world) as script:
        card = await world.buy()
        await world.watch()
        assert (await world.check(card)).order.state == "active"
        assert script.count("getStatus") == 1
        script.answers["getStatus"] = b"STATUS_OK:12345"
        await world.watch()
        assert script.count("getStatus") == 1, "the next look comes later"
        await world.age(timedelta(seconds=2))
        await world.watch()
        assert codes(await world.check(card)) == ["12345"]
    assert await world.money() == PAID


async def test_a_code_is_found_by_a_look_when_the_list_cannot_be_read(world: World) -> None:
    async with scripted(world, getStatus=b"STATUS_OK:12345", getActiveActivations=b"<html>") as script:
        card = await world.buy()
        await world.watch()
        assert codes(await world.check(card)) == ["12345"]
        assert script.count("getStatus") == 1
    assert await world.money() == PAID


async def test_an_order_that_is_locked_does_not_hold_up_the_looks_at_others(world: World) -> None:
    sale = SALE.replace(b"7001", b"7002").replace(b"5678", b"5679")
    async with scripted(world) as script:
        locked = await world.buy()
        script.answers["getNumberV2"] = sale
        other = await world.buy()
        async with world.backstage.transaction():
            await world.backstage.execute("SELECT FROM orders WHERE id = $1 FOR UPDATE", locked.order.id)
            await asyncio.wait_for(world.watch(), 1)
        assert script.count("getStatus") == 2
        script.answers["getStatus"] = b"STATUS_OK:12345"
        await world.watch()
        assert codes(await world.check(locked)) == ["12345"]
        assert codes(await world.check(other)) == [], "its next look comes later"
    assert await world.money() == (MONEY - 2 * PRICE, PRICE)


async def test_single_looks_come_at_growing_intervals(world: World) -> None:
    async with scripted(world) as script:
        card = await world.buy()
        waits = []
        for _ in range(7):
            await world.watch()
            seconds = await world.backstage.fetchval("SELECT extract(epoch FROM next_try_at - now()) FROM orders")
            waits.append(round(float(seconds)))
            await world.age(timedelta(seconds=waits[-1]))
        assert waits == [2, 3, 5, 8, 13, 20, 20]
        assert script.count("getStatus") == 7
        assert (await world.read(card)).state == "active"
    assert await world.money() == (MONEY - PRICE, PRICE)


async def test_the_same_code_three_times_by_two_ways_counts_once(world: World) -> None:
    card = await world.buy()
    world.deliver(card, "12345")
    await world.watch()
    await world.watch()
    await handed_in(world, card, Received("12345", ""))
    await asyncio.gather(*(handed_in(world, card, Received("12345", "other words")) for _ in range(3)))
    async with another_process(world) as second:
        await second.watch()
        found = await second.check(card)
    assert codes(found) == ["12345"]
    assert found == await world.check(card)
    assert await world.money() == PAID
    assert await world.revenue() == PRICE


async def test_several_messages_in_one_list_are_numbered_and_paid_once(world: World) -> None:
    card = await world.buy()
    for code in ("111", "222", "333"):
        world.deliver(card, code)
    await world.watch()
    found = await world.check(card)
    assert [(message.ordinal, message.code) for message in found.messages] == [(1, "111"), (2, "222"), (3, "333")]
    assert found.order.codes_received == 3
    assert await world.money() == PAID


async def test_a_message_without_a_code_is_known_by_its_words(world: World) -> None:
    card = await world.buy()
    for words in ("Welcome!", "Welcome!", "How are you?"):
        await handed_in(world, card, Received("", words))
    found = await world.check(card)
    assert [message.text for message in found.messages] == ["Welcome!", "How are you?"]
    assert await world.money() == PAID


async def test_a_provider_that_repeats_itself_for_ever_is_cut_off(world: World) -> None:
    card = await world.buy()
    await handed_in(world, card, *(Received(str(number), "") for number in range(200)))
    assert len((await world.check(card)).messages) == 50
    assert await world.money() == PAID


async def test_a_code_that_came_before_the_sale_was_written_is_delivered_after_it(play: Play) -> None:
    world = await play(profile=replace(PROFILES["instant"], fault_on="purchases", answer_delay=0.15))
    buying = asyncio.ensure_future(world.buy())
    await until(lambda: bool(world.alpha.delivered))
    await world.watch()
    assert await world.backstage.fetchval("SELECT count(*) FROM messages") == 0
    assert await world.money() == (MONEY - PRICE, PRICE)
    card = await buying
    assert (card.order.state, codes(card)) == ("active", [])
    await world.watch()
    assert codes(await world.check(card)) == [world.alpha.delivered[0].code]
    assert await world.money() == PAID


async def test_a_provider_that_was_switched_off_goes_on_delivering_and_cancelling(world: World) -> None:
    cards = [await world.buy(), await world.buy()]
    await providers.set_options(world.db, world.provider().id, is_on=False)
    await providers.refresh(world.lines)
    world.deliver(cards[0], "12345")
    await world.watch()
    assert codes(await world.check(cards[0])) == ["12345"]
    assert (await world.cancel(cards[1])).order.state == "cancelled"
    assert await world.money() == PAID


async def test_a_frozen_customer_still_gets_the_code_of_an_order_from_before(world: World) -> None:
    card = await world.buy(account=world.carol)
    world.deliver(card, "12345")
    await world.watch()
    found = await orders.get(world.desk, account_id=world.carol, order_id=card.order.id)
    assert codes(found) == ["12345"]
    assert await world.money(world.carol) == PAID


# Further codes.


async def test_a_second_code_comes_after_it_was_asked_for(world: World) -> None:
    card = await world.buy()
    world.deliver(card, "111")
    await world.watch()
    asked = await orders.next_code(world.desk, account_id=world.alice, order_id=card.order.id)
    assert (asked.order.state, asked.order.codes_wanted, codes(asked)) == ("received", 2, ["111"])
    waiting = asyncio.ensure_future(world.check(card, wait=5))
    world.deliver(card, "222")
    await world.watch()
    assert codes(await waiting) == ["111", "222"]
    assert len(world.alpha.retries) == 1
    assert await world.money() == PAID
    assert await world.revenue() == PRICE


async def test_a_second_code_is_found_by_a_look(world: World) -> None:
    async with scripted(world, getStatus=b"STATUS_OK:111", **{"setStatus 3": b"ACCESS_RETRY_GET"}) as script:
        card = await world.buy()
        await world.watch()
        await orders.next_code(world.desk, account_id=world.alice, order_id=card.order.id)
        script.answers["getStatus"] = b"STATUS_WAIT_RETRY:111"
        await world.watch()
        assert codes(await world.check(card)) == ["111"]
        script.answers["getStatus"] = b"STATUS_OK:222"
        await world.age(timedelta(seconds=2))
        await world.watch()
        assert codes(await world.check(card)) == ["111", "222"]
    assert await world.money() == PAID


async def test_a_second_code_that_nobody_asked_for_is_shown_too(play: Play) -> None:
    world = await play(profile=replace(PROFILES["second-code"], code_after=(0, 0), unasked_code_after=(0.05, 0.05)))
    card = await world.buy()
    await world.watch()
    assert len(codes(await world.check(card))) == 1
    await asyncio.sleep(0.1)
    await world.watch()
    assert len(codes(await world.check(card))) == 2
    assert await world.money() == PAID


async def test_a_provider_that_lists_only_the_newest_code_has_both_taken_in(world: World) -> None:
    async with scripted(world, getActiveActivations=listing(row(smsCode="111"))) as script:
        card = await world.buy()
        await world.watch()
        script.answers["getActiveActivations"] = listing(row(smsCode="222"))
        await world.watch()
        assert codes(await world.check(card)) == ["111", "222"]
    assert await world.money() == PAID


async def test_a_code_after_the_order_was_finished_is_shown_for_nothing(world: World) -> None:
    card = await world.buy()
    world.deliver(card, "111")
    await world.watch()
    await orders.finish(world.desk, account_id=world.alice, order_id=card.order.id)
    world.deliver(card, "222")
    await world.watch()
    found = await world.check(card)
    assert (found.order.state, codes(found)) == ("completed", ["111", "222"])
    assert await world.money() == PAID
    assert await world.revenue() == PRICE


# A code against an end.


async def test_a_code_that_waits_at_the_provider_wins_against_the_cancel(world: World) -> None:
    card = await world.buy()
    world.deliver(card, "12345")
    with pytest.raises(NotCancellable) as refused:
        await world.cancel(card)
    assert refused.value.order_status == "received"
    found = await world.check(card)
    assert (found.order.state, codes(found)) == ("received", ["12345"])
    assert world.alpha.cancelled == []
    assert await world.money() == PAID


async def test_a_code_on_the_list_wins_while_the_provider_does_not_answer_the_cancel(world: World) -> None:
    card = await world.buy()
    world.alpha.set_profile(BROKEN)
    await world.cancel(card)
    assert (await world.read(card)).state == "cancelling"
    assert await world.money() == (MONEY - PRICE, PRICE)
    world.deliver(card, "12345")
    await world.watch()
    found = await world.check(card)
    assert (found.order.state, codes(found)) == ("received", ["12345"])
    await world.age(timedelta(seconds=30))
    assert await jobs.settle_ending(world.desk) == 0
    assert await world.money() == PAID


@pytest.mark.parametrize("way", ["list", "cancel"])
async def test_a_code_wins_against_the_expiry(world: World, way: str) -> None:
    card = await world.buy()
    await world.age(timedelta(minutes=16))
    await jobs.end_due(world.desk)
    assert (await world.read(card)).state == "expiring"
    world.deliver(card, "12345")
    if way == "list":
        await world.watch()
    assert await jobs.settle_ending(world.desk) == (way == "cancel")
    found = await world.check(card)
    assert (found.order.state, codes(found)) == ("received", ["12345"])
    assert world.alpha.cancelled == []
    assert await world.money() == PAID
    await jobs.end_due(world.desk)
    assert (await world.read(card)).state == "completed"
    assert await world.money() == PAID


# Trouble.


@asynccontextmanager
async def refusing(world: World, code: str) -> AsyncIterator[None]:
    """Let the database refuse one code."""
    assert code.isdigit()
    await world.backstage.execute(f"ALTER TABLE messages ADD CONSTRAINT refused CHECK (code <> '{code}')")
    try:
        yield
    finally:
        await world.backstage.execute("ALTER TABLE messages DROP CONSTRAINT refused")


async def test_a_code_that_could_not_be_written_is_delivered_again(world: World) -> None:
    card, other = await world.buy(), await world.buy()
    world.deliver(card, "111")
    await world.watch()
    async with refusing(world, "222"):
        world.deliver(card, "222")
        world.deliver(other, "333")
        await world.watch()
        assert codes(await world.check(card)) == ["111"]
        assert codes(await world.check(other)) == ["333"], "its neighbour does not suffer"
    await world.watch()
    assert codes(await world.check(card)) == ["111", "222"]
    assert await world.money() == (MONEY - 2 * PRICE, 0)


async def test_two_hundred_deliveries_at_once_are_judged_one_by_one(world: World) -> None:
    """150 codes, 10 repeats of them, 10 codes that come late, 10 that cannot be stored, 20 of numbers nobody knows."""
    await world.give(world.alice, 40 * PRICE)
    cards = [card for _ in range(4) for card in await bought(world, 10)]
    late, spoiled, good = cards[:5], cards[5:10], cards[10:]
    for card in late:
        await world.cancel(card)
    sent = [(card, Received(f"{place}{card.order.id:04}", "")) for place in range(5) for card in good]
    sent += [*sent[:10], *((card, Received(code, "")) for card in late for code in ("111", "222"))]
    sent += [(card, Received(code, "\x00")) for card in spoiled for code in ("111", "222")]
    strangers = [Delivery(world.provider().id, str(number), (Received("1", ""),)) for number in range(20)]
    calls = [handed_in(world, card, message) for card, message in sent]
    with capture_logs():  # writing out ten tracebacks would take seconds
        results = await asyncio.gather(*calls, *map(world.desk.receive.call, strangers), return_exceptions=True)
    kinds = ["card" if isinstance(result, Card) else "none" if result is None else "error" for result in results]
    assert kinds == ["card"] * 170 + ["error"] * 10 + ["none"] * 20
    stored = await world.backstage.fetch("SELECT is_sealed FROM messages")
    assert sorted(item["is_sealed"] for item in stored) == [False] * 150 + [True] * 10
    assert await world.money() == (MONEY + 5 * PRICE, 5 * PRICE)
    assert await world.revenue() == 30 * PRICE
    assert {(await world.read(card)).state for card in spoiled} == {"active"}
    assert {len(codes(await world.check(card))) for card in good} == {5}


async def bought(world: World, quantity: int) -> list[Card]:
    return await orders.buy(world.desk, account_id=world.alice, wish=TELEGRAM, quantity=quantity)
