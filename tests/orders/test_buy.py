"""Buying a number: what refuses it, what the next provider does about it, and that money and numbers always match."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import pytest

from numberdesk.accounts.service import KeyInFlight
from numberdesk.base.errors import AppError
from numberdesk.base.money import Paise
from numberdesk.catalogue import service as catalogue
from numberdesk.orders import service as orders
from numberdesk.orders.model import Card
from numberdesk.orders.service import NoNumbers, ProviderUnavailable, Wish
from numberdesk.providers import service as providers
from numberdesk.wallet.service import InsufficientBalance
from tests.orders.world import (
    COST,
    DEAR_COST,
    DEAR_PRICE,
    INDIA,
    MONEY,
    PRICE,
    TELEGRAM,
    Play,
    World,
    another_process,
    blocked,
    outcomes,
)
from tests.providers.line_desk import told

pytestmark = pytest.mark.anyio


# Refused before anybody is asked.


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        (Wish("nosuch", INDIA), "unknown_service"),
        (Wish("tg", "XX"), "unknown_country"),
        (Wish("tg", 9999), "unknown_country"),
        (replace(TELEGRAM, server="nosuch"), "unknown_server"),
        (replace(TELEGRAM, operator="nosuch"), "unknown_operator"),
        (Wish("tg", 0), "not_offered"),
    ],
)
async def test_a_wish_that_names_nothing_on_sale_leaves_no_trace(world: World, wish: Wish, code: str) -> None:
    with pytest.raises(AppError) as refused:
        await world.buy(wish)
    assert refused.value.code == code
    await no_trace(world)


async def no_trace(world: World) -> None:
    """Check that nobody was asked, nothing was written and no money moved."""
    assert await world.all_orders() == []
    assert world.alpha.facts() == []
    assert await world.money() == (MONEY, 0)


async def test_a_blocked_service_is_not_sold_and_says_why(world: World) -> None:
    contents = world.shelf.contents
    blocked_service = next(item for item in contents.services.values() if item.category in contents.blocked)
    with pytest.raises(catalogue.ServiceBlocked) as refused:
        await world.buy(Wish(blocked_service.code, INDIA))
    assert refused.value.reason
    await no_trace(world)


async def test_a_ceiling_that_is_too_low_says_the_minimum(world: World) -> None:
    with pytest.raises(catalogue.PriceTooLow) as refused:
        await world.buy(replace(TELEGRAM, max_price_paise=Paise(PRICE - 1)))
    assert refused.value.minimum_paise == PRICE
    assert "21.30" in str(refused.value)
    await no_trace(world)


async def test_an_empty_wallet_leaves_no_order(world: World) -> None:
    with pytest.raises(InsufficientBalance) as refused:
        await world.buy(account=world.bob)
    assert (refused.value.needed_paise, refused.value.available_paise) == (PRICE, 0)
    assert await world.backstage.fetchval("SELECT count(*) FROM orders") == 0
    assert world.alpha.facts() == []
    assert await world.money(world.bob) == (0, 0)


# Refused by the provider.


async def test_no_stock_gives_the_money_back(play: Play) -> None:
    world = await play(profile="no-stock")
    with pytest.raises(NoNumbers) as refused:
        await world.buy()
    (order,) = await world.all_orders()
    assert (order.id, order.state, order.failure) == (refused.value.order_id, "failed", "no_numbers")
    assert await world.money() == (MONEY, 0)
    assert world.alpha.sold == []


STOCK = (NoNumbers, "no_numbers")
PROVIDER = (ProviderUnavailable, "provider_refused")


@pytest.mark.parametrize(
    ("answer", "reason", "outcome"),
    [
        (b"NO_NUMBERS", "no_numbers", STOCK),
        (b"WRONG_MAX_PRICE:99.00", "price_changed", STOCK),
        (b"NO_BALANCE", "no_balance", PROVIDER),
        (b"BAD_SERVICE", "bad_service", PROVIDER),
        (b"BAD_COUNTRY", "bad_country", PROVIDER),
        (b"WRONG_OPERATOR", "bad_operator", PROVIDER),
        (b"BAD_KEY", "bad_key", PROVIDER),
        (b"BANNED:'2030-01-01 00:00:00'", "account_blocked", PROVIDER),
        (b"BAD_ACTION", "not_allowed", PROVIDER),
    ],
)
async def test_every_refusal_of_a_provider_ends_the_order_and_gives_the_money_back(
    world: World, answer: bytes, reason: str, outcome: tuple[type[AppError], str]
) -> None:
    async with told(answer) as server:
        await providers.set_options(world.db, world.provider().id, url=server.url)
        await providers.refresh(world.lines)
        await refused_as(world, reason, outcome)
        assert len(server.queries) == 1


async def test_a_provider_that_is_switched_off_meanwhile_is_not_asked(world: World) -> None:
    await providers.set_options(world.db, world.provider().id, is_on=False)
    await providers.refresh(world.lines)
    await refused_as(world, "switched_off", PROVIDER)
    assert world.alpha.facts() == []


async def test_a_provider_that_nobody_can_reach_sells_nothing(world: World) -> None:
    await world.alpha.stop()
    await refused_as(world, "unreachable", PROVIDER)


async def test_a_provider_without_a_free_place_is_not_asked(play: Play) -> None:
    world = await play(options={"parallel_max": 1, "deadline_ms": 100})
    line = providers.line(world.lines, world.provider().id)
    async with line.places:
        await refused_as(world, "busy", PROVIDER)
    assert world.alpha.facts() == []


async def refused_as(world: World, reason: str, outcome: tuple[type[AppError], str]) -> None:
    """Buy, be refused, and see the money back and the reason in the order's history."""
    error, failure = outcome
    with pytest.raises(error) as refused:
        await world.buy()
    (order,) = await world.all_orders()
    assert (order.state, order.failure, order.number) == ("failed", failure, None)
    assert order.id == refused.value.details()["order_id"]
    card = await world.check(Card(order))
    assert [item.outcome for item in (await orders.history(world.desk, card))[0]] == [reason]
    assert card.refund is not None
    assert card.refund.amount_paise == PRICE
    assert await world.money() == (MONEY, 0)


async def test_a_price_that_rose_at_the_provider_is_never_paid(play: Play) -> None:
    world = await play(price_factor=Fraction(3, 2))
    with pytest.raises(NoNumbers):
        await world.buy()
    assert [fact.reason for fact in world.alpha.refused] == ["WRONG_MAX_PRICE:26.63"]
    assert await world.money() == (MONEY, 0)


# The next provider.


@pytest.mark.parametrize("profile", ["no-stock", "closed"])
async def test_after_a_sure_refusal_the_next_provider_sells_at_its_own_price(play: Play, profile: str) -> None:
    world = await play(profile="no-stock", beta="never", price_factor=Fraction(11, 10))
    if profile == "closed":
        await world.alpha.stop()
    card = await world.buy()
    assert (card.order.state, card.order.provider_id) == ("active", world.provider("beta").id)
    assert (card.order.attempt, card.order.price_paise, card.order.cost_paise) == (2, DEAR_PRICE, DEAR_COST)
    assert world.sold_ids("beta") == [card.order.upstream_id]
    assert await world.money() == (MONEY - DEAR_PRICE, DEAR_PRICE)
    holds = await world.backstage.fetch("SELECT purpose, amount_paise, state FROM holds ORDER BY purpose")
    assert [tuple(hold) for hold in holds] == [("number:1", PRICE, "voided"), ("number:2", DEAR_PRICE, "held")]


async def test_what_was_given_back_on_the_way_is_not_part_of_the_refund(play: Play) -> None:
    world = await play(profile="no-stock", beta="never", price_factor=Fraction(11, 10))
    card = await world.buy()
    first = await world.cancel(card)
    assert first.refund is not None
    assert first.refund.amount_paise == DEAR_PRICE
    assert await world.cancel(card) == first
    async with another_process(world) as second:
        assert await second.check(card) == first
    assert await world.money() == (MONEY, 0)


async def test_when_all_providers_refuse_the_refund_is_what_was_held_last(play: Play) -> None:
    world = await play(profile="no-stock", beta="no-stock", price_factor=Fraction(11, 10))
    with pytest.raises(NoNumbers) as refused:
        await world.buy()
    (order,) = await world.all_orders()
    assert (order.id, order.attempt, order.failure) == (refused.value.order_id, 2, "no_numbers")
    async with another_process(world) as second:
        for process in (world, second):
            card = await process.check(Card(order))
            assert card.refund is not None
            assert card.refund.amount_paise == DEAR_PRICE
    assert await world.money() == (MONEY, 0)


async def test_a_pinned_server_does_not_fall_back(play: Play) -> None:
    world = await play(profile="no-stock", beta="never")
    with pytest.raises(NoNumbers):
        await world.buy(replace(TELEGRAM, server="alpha"))
    assert world.beta.facts() == []
    assert await world.money() == (MONEY, 0)


async def test_a_ceiling_keeps_the_dearer_provider_out(play: Play) -> None:
    world = await play(profile="no-stock", beta="never", price_factor=Fraction(11, 10))
    with pytest.raises(NoNumbers):
        await world.buy(replace(TELEGRAM, max_price_paise=Paise(DEAR_PRICE - 1)))
    assert world.beta.facts() == []
    assert await world.money() == (MONEY, 0)


async def test_an_unclear_answer_does_not_fall_back(play: Play) -> None:
    world = await play(profile="dropped-not-sold", beta="never")
    card = await world.buy()
    assert card.order.state == "unknown"
    assert world.beta.facts() == []
    assert await world.money() == (MONEY - PRICE, PRICE)


async def test_without_the_money_for_the_dearer_offer_everything_comes_back(play: Play) -> None:
    world = await play(profile="no-stock", beta="never", price_factor=Fraction(11, 10))
    await world.give(world.bob, DEAR_PRICE - 1)
    with pytest.raises(NoNumbers) as refused:
        await world.buy(account=world.bob)
    card = await orders.get(world.desk, account_id=world.bob, order_id=refused.value.order_id)  # type: ignore[arg-type]
    assert (card.order.state, card.order.failure, card.order.attempt) == ("failed", "no_numbers", 1)
    assert world.beta.facts() == []
    assert await world.money(world.bob) == (DEAR_PRICE - 1, 0)


# Bought.


async def test_a_number_is_held_for_and_not_yet_paid(world: World) -> None:
    card = await world.buy()
    (sale,) = world.alpha.sold
    order = await world.read(card)
    assert card.order == order
    assert (order.state, order.number, order.upstream_id) == ("active", sale.phone, str(sale.activation_id))
    assert (order.price_paise, order.cost_paise, sale.cost_paise) == (PRICE, COST, COST)
    assert sale.order_ref == f"{order.id}-1"
    assert order.expires_at is not None
    assert order.activated_at is not None
    assert order.expires_at - order.activated_at == timedelta(minutes=15)
    assert await world.money() == (MONEY - PRICE, PRICE)
    assert await world.revenue() == 0


async def test_an_order_never_outlives_the_number_at_its_provider(play: Play) -> None:
    world = await play(options={"lifetime_ms": 60_000, "cancel_after_ms": 30_000})
    order = (await world.buy()).order
    assert order.expires_at == order.last_expiry_at == order.sent_at + timedelta(minutes=1)
    assert order.activated_at is not None
    assert order.cancel_allowed_at == order.activated_at + timedelta(seconds=30)


async def test_three_numbers_with_money_for_two_are_two(world: World) -> None:
    await world.give(world.bob, 2 * PRICE + 1)
    cards = await orders.buy(world.desk, account_id=world.bob, wish=TELEGRAM, quantity=3)
    assert [card.order.state for card in cards] == ["active", "active"]
    assert len({card.order.number for card in cards}) == len(world.alpha.sold) == 2
    assert await world.money(world.bob) == (1, 2 * PRICE)


async def test_three_numbers_without_any_money_are_refused(world: World) -> None:
    with pytest.raises(InsufficientBalance):
        await orders.buy(world.desk, account_id=world.bob, wish=TELEGRAM, quantity=3)
    assert world.alpha.facts() == []
    assert await world.money(world.bob) == (0, 0)


# Repeats.


async def test_a_key_that_was_refused_for_money_can_be_used_again(world: World) -> None:
    with pytest.raises(InsufficientBalance):
        await world.buy(account=world.bob, key="again")
    await world.give(world.bob, PRICE)
    assert (await world.buy(account=world.bob, key="again")).order.state == "active"
    assert await world.money(world.bob) == (0, PRICE)


async def test_a_repeat_of_a_refused_purchase_is_refused_again_and_asks_nobody(play: Play) -> None:
    world = await play(profile="no-stock")
    with pytest.raises(NoNumbers) as first:
        await world.buy(key="once")
    world.alpha.set_profile("never")
    with pytest.raises(NoNumbers) as second:
        await world.buy(key="once")
    assert first.value.details() == second.value.details()
    assert world.alpha.sold == []
    assert await world.money() == (MONEY, 0)


async def test_a_repeat_while_the_first_is_under_way_says_so(world: World) -> None:
    await world.reserve(key="once")
    with pytest.raises(KeyInFlight):
        await world.buy(key="once")
    assert world.alpha.facts() == []
    assert await world.money() == (MONEY - PRICE, PRICE)


async def test_a_repeat_with_the_same_key_gives_the_same_order_and_buys_once(world: World) -> None:
    first = await world.buy(key="once")
    assert await world.buy(key="once") == first
    async with another_process(world) as second:
        assert await second.buy(key="once") == first
    assert len(world.alpha.sold) == 1
    assert await world.money() == (MONEY - PRICE, PRICE)


async def test_a_repeat_of_three_numbers_gives_the_same_three(world: World) -> None:
    wish = {"account_id": world.alice, "wish": TELEGRAM, "quantity": 3, "request_key": "three"}
    first = await orders.buy(world.desk, **wish)  # type: ignore[arg-type]
    assert await orders.buy(world.desk, **wish) == first  # type: ignore[arg-type]
    assert len({card.order.id for card in first}) == len(world.alpha.sold) == 3
    assert await world.money() == (MONEY - 3 * PRICE, 3 * PRICE)


async def test_a_repeat_after_the_code_shows_the_code(world: World) -> None:
    card = await world.buy(key="once")
    world.deliver(card, "12345")
    await world.watch()
    again = await world.buy(key="once")
    assert [message.code for message in again.messages] == ["12345"]
    assert again == await world.check(card)
    assert await world.money() == (MONEY - PRICE, 0)


async def test_a_repeat_after_the_cancel_shows_the_refund(world: World) -> None:
    cancelled = await world.cancel(await world.buy(key="once"))
    again = await world.buy(key="once")
    assert again == cancelled
    assert again.refund is not None
    assert await world.money() == (MONEY, 0)


async def test_the_same_key_of_another_customer_is_another_purchase(world: World) -> None:
    mine = await world.buy(key="once")
    await world.give(world.bob, PRICE)
    theirs = await world.buy(account=world.bob, key="once")
    assert mine.order.id != theirs.order.id
    assert theirs.order.account_id == world.bob
    assert len(world.alpha.sold) == 2


async def test_fifty_parallel_purchases_with_money_for_seven_are_seven(world: World) -> None:
    await world.give(world.bob, 7 * PRICE + PRICE - 1)
    found = await outcomes(world.buy(account=world.bob) for _ in range(50))
    cards = [item for item in found if isinstance(item, Card)]
    refusals = [item for item in found if isinstance(item, InsufficientBalance)]
    assert (len(cards), len(refusals)) == (7, 43)
    assert len({card.order.number for card in cards}) == len(world.alpha.sold) == 7
    assert await world.money(world.bob) == (PRICE - 1, 7 * PRICE)


async def test_parallel_purchases_in_two_processes_never_spend_more_than_there_is(world: World) -> None:
    await world.give(world.bob, 7 * PRICE)
    async with another_process(world) as second:
        found = await outcomes(process.buy(account=world.bob) for _ in range(15) for process in (world, second))
    assert sum(isinstance(item, Card) for item in found) == len(world.alpha.sold) == 7
    assert await world.money(world.bob) == (0, 7 * PRICE)


async def test_parallel_purchases_with_one_key_buy_once(world: World) -> None:
    async with another_process(world) as second:
        found = await outcomes(process.buy(key="once") for _ in range(20) for process in (world, second))
    cards = [item for item in found if isinstance(item, Card)]
    assert cards
    assert len({card.order.id for card in cards}) == len(world.alpha.sold) == 1
    assert all(isinstance(item, Card | KeyInFlight) for item in found)
    assert await world.money() == (MONEY - PRICE, PRICE)


async def test_a_repeat_that_arrives_with_the_first_is_not_told_that_money_is_missing(world: World) -> None:
    """The first takes all the money while the repeat waits for the wallet: that money bought the repeat's order."""
    await world.give(world.bob, PRICE)
    async with another_process(world) as second:
        async with world.backstage.transaction():
            await world.backstage.execute("SELECT FROM wallets WHERE account_id = $1 FOR UPDATE", world.bob)
            both = asyncio.ensure_future(
                outcomes(process.buy(account=world.bob, key="once") for process in (world, second))
            )
            await blocked(world, 2)
        found = await both
    assert sorted(type(item).__name__ for item in found) == ["Card", "KeyInFlight"]
    assert len(world.alpha.sold) == 1
    assert await world.money(world.bob) == (0, PRICE)
