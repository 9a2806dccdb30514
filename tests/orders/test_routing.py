"""Where a purchase goes: past providers that are shut, paused or full, and past stock that is not there."""

import asyncio
from dataclasses import replace

import msgspec
import pytest

from numberdesk.base.db import value
from numberdesk.base.money import Paise
from numberdesk.catalogue import service as catalogue
from numberdesk.catalogue.model import Delivery
from numberdesk.catalogue.service import NoStock, PriceTooLow
from numberdesk.maintenance import service as maintenance
from numberdesk.maintenance.model import NewWindow
from numberdesk.orders import service as orders
from numberdesk.orders.model import Card
from numberdesk.orders.service import NoNumbers, ProviderUnavailable, Wish
from numberdesk.providers import service as providers
from numberdesk.wallet.service import InsufficientBalance
from tests.breakers import force_breaker
from tests.orders.world import DEAR_COST, INDIA, MONEY, PRICE, TELEGRAM, Play, World, another_process, outcomes

pytestmark = pytest.mark.anyio

BEST = replace(TELEGRAM, route="best")
CHEAP, DEAR = 1, 2


async def told(world: World, card: Card) -> dict[str, object]:
    async with world.db.statement() as tx:
        route = await value(tx, "SELECT route FROM orders WHERE id = $1", card.order.id)
    found: dict[str, object] = msgspec.json.decode(route)
    return found


async def sentence(world: World, card: Card) -> str:
    route = (await orders.history(world.desk, card))[1]
    assert route is not None
    return orders.told_route(route)


def counted(world: World, **found: tuple[int, int]) -> None:
    """Let the shelf know what each provider delivered, as (delivered, n)."""
    world.shelf.deliveries = {
        (offer.service, offer.country, offer.provider_id, offer.operator): Delivery(n, delivered, 168, 0, 1, 9, 20)
        for offer in world.offers()
        for delivered, n in [found[offer.provider_name]]
    }


async def set_options(world: World, name: str, **options: int | None) -> None:
    await providers.set_options(world.db, world.provider(name).id, **options)  # type: ignore[arg-type]
    await providers.refresh(world.lines)


async def test_the_cheapest_is_first_and_the_time_line_says_so(play: Play) -> None:
    world = await play(beta="never")
    card = await world.buy()
    assert card.order.provider_id == CHEAP
    assert await sentence(world, card) == "cheapest: server 1, then 2"
    assert (await told(world, card))["offers"] == [
        {"server": 1, "operator": "any", "price": "21.30", "n": 0, "delivered": 0},
        {"server": 2, "operator": "any", "price": "23.44", "n": 0, "delivered": 0},
    ]


async def test_best_goes_to_the_one_that_delivers(play: Play) -> None:
    world = await play(beta="never")
    counted(world, alpha=(30, 100), beta=(95, 100))
    card = await world.buy(BEST)
    assert (card.order.provider_id, await sentence(world, card)) == (DEAR, "best: server 2, then 1")
    assert (await world.buy()).order.provider_id == CHEAP


async def test_the_sites_own_route_is_taken_when_a_purchase_names_none(play: Play) -> None:
    world = await play(beta="never")
    counted(world, alpha=(30, 100), beta=(95, 100))
    world = replace(world, desk=replace(world.desk, rules=replace(world.desk.rules, route="best")))
    assert (await world.buy()).order.provider_id == DEAR
    assert (await world.buy(replace(TELEGRAM, route="cheapest"))).order.provider_id == CHEAP


async def test_a_server_that_is_named_is_taken_whatever_delivers_better(play: Play) -> None:
    world = await play(beta="never")
    counted(world, alpha=(30, 100), beta=(95, 100))
    card = await world.buy(replace(BEST, server="alpha"))
    assert (card.order.provider_id, await sentence(world, card)) == (CHEAP, "pinned: server 1")


async def test_a_provider_whose_breaker_is_open_is_passed_over_without_an_attempt(play: Play) -> None:
    world = await play(beta="never")
    await force_breaker(world.db, world.provider().id, "open", "it loses numbers")
    await providers.refresh(world.lines)
    card = await world.buy()
    assert (card.order.provider_id, card.order.attempt) == (DEAR, 1)
    assert await sentence(world, card) == "cheapest: server 2; not 1 (not answering)"
    assert (await told(world, card))["passedOver"] == [{"server": 1, "why": "breaker_open"}]


async def test_when_all_are_shut_the_order_fails_and_nothing_is_held(play: Play) -> None:
    world = await play()
    await force_breaker(world.db, world.provider().id, "open", "it loses numbers")
    await providers.refresh(world.lines)
    before = await world.money()
    with pytest.raises(ProviderUnavailable):
        await world.buy()
    assert (await world.money(), world.alpha.asked) == (before, 0)


async def test_a_provider_whose_money_for_the_day_is_spent_is_passed_over(play: Play) -> None:
    world = await play(beta="never")
    await set_options(world, "alpha", spend_max_paise=2_000)
    await providers.watch_spending(world.lines)
    assert [(await world.buy()).order.provider_id for _ in range(2)] == [CHEAP, DEAR]


async def test_a_provider_holds_no_more_open_orders_than_staff_allow(play: Play) -> None:
    world = await play(beta="never")
    await world.give(world.alice, 100_000)
    await set_options(world, "alpha", open_max=3)
    cards = [await world.buy() for _ in range(5)]
    assert [card.order.provider_id for card in cards] == [CHEAP] * 3 + [DEAR] * 2
    assert await sentence(world, cards[3]) == "cheapest: server 2; not 1 (full)"
    await world.cancel(cards[0])
    assert (await world.buy()).order.provider_id == CHEAP


async def test_a_full_provider_is_not_asked_even_if_it_is_the_only_one(play: Play) -> None:
    world = await play()
    await set_options(world, "alpha", open_max=1)
    await world.buy()
    before = await world.money()
    with pytest.raises(NoStock):
        await world.buy()
    assert (await world.money(), len(world.alpha.sold)) == (before, 1)


async def test_another_processes_orders_count_towards_the_cap(play: Play) -> None:
    world = await play(beta="never")
    await set_options(world, "alpha", open_max=2)
    async with another_process(world) as other:
        for _ in range(2):
            assert (await other.buy()).order.provider_id == CHEAP
        await world.desk.board.sweep()
        assert (await world.buy()).order.provider_id == DEAR


async def test_many_at_once_do_not_pass_the_cap(play: Play) -> None:
    world = await play(beta="never")
    await world.give(world.alice, 1_000_000)
    await set_options(world, "alpha", open_max=5)
    cards = await asyncio.gather(*(world.buy() for _ in range(20)))
    assert sorted(card.order.provider_id for card in cards) == [CHEAP] * 5 + [DEAR] * 15
    assert (len(world.alpha.sold), world.desk.board.open_at(world.provider().id)) == (5, 5)


async def test_two_desks_at_once_pass_the_cap_by_no_more_than_one_of_them_did_not_hear_of(play: Play) -> None:
    world = await play(beta="never")
    await world.give(world.alice, 1_000_000)
    await set_options(world, "alpha", open_max=5)
    async with another_process(world) as other:
        await asyncio.gather(*(desk.buy() for desk in (world, other) for _ in range(10)))
        assert 5 <= len(world.alpha.sold) <= 10
        for desk in (world, other):
            await desk.desk.board.sweep()
            assert (await desk.buy()).order.provider_id == DEAR


async def test_several_numbers_of_one_request_fill_a_provider_and_go_on_to_the_next(play: Play) -> None:
    world = await play(beta="never")
    await world.give(world.alice, 1_000_000)
    await set_options(world, "alpha", open_max=2)
    cards = await orders.buy(world.desk, account_id=world.alice, wish=TELEGRAM, quantity=5)
    assert [card.order.provider_id for card in cards] == [CHEAP] * 2 + [DEAR] * 3


async def test_what_does_not_fit_any_more_is_left_out_and_a_repeat_gives_the_same(play: Play) -> None:
    world = await play()
    await world.give(world.alice, 1_000_000)
    await set_options(world, "alpha", open_max=2)
    asked = {"account_id": world.alice, "wish": TELEGRAM, "quantity": 3, "request_key": "again"}
    cards = await orders.buy(world.desk, **asked)  # type: ignore[arg-type]
    before = await world.money()
    repeated = await orders.buy(world.desk, **asked)  # type: ignore[arg-type]
    assert [card.order.id for card in repeated] == [card.order.id for card in cards]
    assert (len(cards), await world.money(), len(world.alpha.sold)) == (2, before, 2)
    with pytest.raises(NoStock):
        await orders.buy(world.desk, **(asked | {"request_key": "another"}))  # type: ignore[arg-type]


async def test_a_fall_back_skips_a_provider_that_is_full_and_frees_its_place_when_refused(play: Play) -> None:
    world = await play(profile="no-stock", beta="never")
    await world.give(world.alice, 1_000_000)
    await set_options(world, "beta", open_max=1)
    found = await outcomes(world.buy() for _ in range(4))
    assert [isinstance(item, NoNumbers) for item in found].count(True) == 3
    assert (len(world.beta.sold), world.desk.board.open_at(world.provider().id)) == (1, 0)
    assert world.desk.board.open_at(world.provider("beta").id) == 1


async def test_a_purchase_that_cannot_be_paid_takes_no_place(play: Play) -> None:
    world = await play()
    await set_options(world, "alpha", open_max=3)
    with pytest.raises(InsufficientBalance):
        await world.buy(account=world.bob)
    assert world.desk.board.open_at(world.provider().id) == 0


async def test_stock_that_is_not_there_is_tried_last_after_three_refusals(play: Play) -> None:
    world = await play(profile="no-stock", beta="never")
    await world.give(world.alice, 100_000)
    for _ in range(3):
        card = await world.buy()
        assert (card.order.provider_id, card.order.attempt) == (DEAR, 2)
    await catalogue.flush_observations(world.db, world.shelf)
    card = await world.buy()
    assert (card.order.provider_id, card.order.attempt) == (DEAR, 1)
    assert await sentence(world, card) == "cheapest: server 2, then 1"


async def test_a_sale_makes_phantom_stock_real_again(play: Play) -> None:
    world = await play(profile="no-stock")
    for _ in range(3):
        with pytest.raises(NoNumbers):
            await world.buy()
    await catalogue.flush_observations(world.db, world.shelf)
    assert world.shelf.phantoms
    world.alpha.set_profile("never")
    assert (await world.buy()).order.provider_id == CHEAP
    await catalogue.flush_observations(world.db, world.shelf)
    assert not world.shelf.phantoms


async def test_an_unknown_answer_says_nothing_about_stock(play: Play) -> None:
    world = await play(profile="dropped-not-sold", options={"deadline_ms": 300})
    for _ in range(3):
        assert (await world.buy()).order.state == "unknown"
    assert not world.shelf.observed


async def test_a_fall_back_never_leaves_the_customers_ceiling(play: Play) -> None:
    world = await play(profile="no-stock", beta="never")
    with pytest.raises(NoNumbers):
        await world.buy(replace(TELEGRAM, max_price_paise=Paise(PRICE)))
    assert not world.beta.sold
    with pytest.raises(PriceTooLow):
        await world.buy(replace(BEST, max_price_paise=Paise(PRICE - 1)))


async def test_best_falls_back_to_the_next_best_and_pays_its_price(play: Play) -> None:
    world = await play(beta="no-stock")
    counted(world, alpha=(30, 100), beta=(95, 100))
    card = await world.buy(BEST)
    assert (card.order.provider_id, card.order.attempt, card.order.price_paise) == (CHEAP, 2, PRICE)
    assert card.order.cost_paise < DEAR_COST


async def test_a_route_does_not_slow_many_purchases_at_once(play: Play) -> None:
    world = await play(beta="never")
    await world.give(world.alice, 1_000_000)
    cards = await asyncio.gather(*(world.buy(Wish("tg", INDIA, route="best")) for _ in range(30)))
    assert {card.order.state for card in cards} == {"active"}
    assert len(world.shelf.ranked) == 1, "ranked once for all of them"


async def test_the_next_provider_is_not_asked_when_it_was_closed_a_moment_ago(play: Play) -> None:
    world = await play(profile="no-stock", beta="never")
    async with world.db.transaction() as tx:
        await maintenance.open_window(tx, NewWindow("server", "We work on it.", target=str(DEAR)))
    with pytest.raises(NoNumbers):  # no process has heard of the window
        await world.buy()
    (order,) = await world.all_orders()
    assert (order.state, order.provider_id, order.attempt) == ("failed", CHEAP, 1)
    assert await world.money() == (MONEY, 0)
    assert world.sold_ids("beta") == []
