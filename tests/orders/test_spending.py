"""What is spent with a provider in a day: the cap holds to the paisa in one process, and almost across several."""

from datetime import timedelta

import pytest

from numberdesk.base.db import value
from numberdesk.orders.service import NoNumbers, ProviderUnavailable
from numberdesk.providers import service as providers
from tests.orders.world import COST, PATIENCE, Play, World, another_process, outcomes

pytestmark = pytest.mark.anyio


async def cap(world: World, paise: int | None) -> None:
    await providers.set_options(world.db, world.provider().id, spend_max_paise=paise)
    await providers.refresh(world.lines)
    await providers.watch_spending(world.lines)


def spent(world: World) -> int:
    return providers.spent_today(world.lines.spending, world.provider().id)


async def open_kinds(world: World) -> list[str]:
    return [alert.kind for alert in await providers.list_alerts(world.db)]


@pytest.mark.parametrize(("limit", "bought"), [(3 * COST - 1, 2), (3 * COST, 3), (3 * COST + 1, 3)])
async def test_the_cap_is_kept_to_the_paisa_without_a_request(world: World, limit: int, bought: int) -> None:
    await cap(world, limit)
    for _ in range(bought):
        await world.buy()
    asked = len(world.alpha.facts())
    with pytest.raises(ProviderUnavailable):
        await world.buy()
    assert (len(world.alpha.sold), len(world.alpha.facts())) == (bought, asked)
    assert (await world.money())[0] == 10_000 - 2130 * bought


async def test_purchases_at_once_do_not_pass_the_cap_together(world: World) -> None:
    await cap(world, 2 * COST)
    await world.give(world.alice, 50_000)
    results = await outcomes(world.buy() for _ in range(12))
    assert sum(isinstance(result, ProviderUnavailable) for result in results) == 10
    assert len(world.alpha.sold) == 2


async def test_a_refused_purchase_spends_nothing(world: World) -> None:
    await cap(world, COST)
    world.alpha.set_profile("no-stock")
    with pytest.raises(NoNumbers):
        await world.buy()
    world.alpha.set_profile("never")
    await world.buy()


async def test_an_unknown_purchase_counts_as_spent_until_it_is_known(world: World) -> None:
    await cap(world, COST)
    await world.buy_unclearly("dropped-not-sold")
    for _ in range(2):
        with pytest.raises(ProviderUnavailable):
            await world.buy()
        await providers.watch_spending(world.lines)
    assert spent(world) == COST
    await world.resolve()
    await providers.watch_spending(world.lines)
    assert spent(world) == 0
    await world.buy()


async def test_what_another_process_bought_counts_after_one_look(world: World) -> None:
    await cap(world, 2 * COST)
    async with another_process(world) as second:
        await providers.watch_spending(second.lines)
        await second.buy()
        await world.buy()
        await providers.watch_spending(world.lines)
        await providers.watch_spending(second.lines)
        assert (spent(world), spent(second)) == (2 * COST, 2 * COST)
        for process in (world, second):
            with pytest.raises(ProviderUnavailable):
                await process.buy()


async def test_a_new_process_knows_what_was_spent_before_it(world: World) -> None:
    await world.buy()
    await cap(world, COST)
    async with another_process(world) as second:
        with pytest.raises(ProviderUnavailable):
            await second.buy()


async def test_sales_of_yesterday_do_not_count_and_settled_ones_are_not_counted_twice(world: World) -> None:
    await cap(world, 5 * COST)
    await world.buy()
    await world.run("UPDATE orders SET activated_at = activated_at - interval '1 day'")
    await world.buy()
    await providers.watch_spending(world.lines)
    assert spent(world) == COST
    await world.run(
        "UPDATE orders SET activated_at = greatest(activated_at - interval '31 s', date_trunc('day', now(), 'UTC'))"
        " WHERE activated_at > now() - interval '1 h'"
    )
    async with another_process(world) as second:
        for _ in range(3):
            await providers.watch_spending(second.lines)
            assert spent(second) == COST


async def test_the_alert_opens_with_the_first_refusal_and_closes_with_its_day(world: World) -> None:
    await cap(world, COST)
    await world.buy()
    await providers.watch_spending(world.lines)
    assert await open_kinds(world) == []
    for _ in range(2):
        with pytest.raises(ProviderUnavailable):
            await world.buy()
        await providers.watch_spending(world.lines)
    await providers.watch_prices(world.db)
    assert await open_kinds(world) == ["spend_limit"]
    await world.run("UPDATE provider_alerts SET seen_at = seen_at - interval '1 day'")
    await providers.watch_prices(world.db)
    assert await open_kinds(world) == []


async def test_a_cap_that_is_lifted_lets_purchases_pass_and_closes_the_alert(world: World) -> None:
    await cap(world, COST)
    await world.buy()
    with pytest.raises(ProviderUnavailable):
        await world.buy()
    await providers.watch_spending(world.lines)
    await cap(world, None)
    await world.buy()
    await providers.watch_prices(world.db)
    assert await open_kinds(world) == []


async def test_the_next_provider_takes_over_when_one_has_had_its_money(play: Play) -> None:
    world = await play(beta="never")
    await cap(world, COST)
    await world.buy()
    card = await world.buy()
    assert card.order.provider_id == world.provider("beta").id


async def test_what_a_provider_says_it_charged_stands_in_the_order(world: World) -> None:
    card = await world.buy()
    linked = await world.buy_unclearly("sold-then-dropped")
    await world.age(PATIENCE)
    await world.watch()
    async with world.db.statement() as tx:
        for order in (card.order, linked.order):
            assert await value(tx, "SELECT charged_paise FROM orders WHERE id = $1", order.id) == COST


async def test_five_charges_above_the_list_raise_an_alert_that_ends_a_day_later(world: World) -> None:
    await world.give(world.alice, 50_000)
    for _ in range(5):
        await world.buy()
    await world.run("UPDATE orders SET charged_paise = cost_paise * 101 / 100")
    assert await providers.watch_prices(world.db) == 0
    await world.run("UPDATE orders SET charged_paise = cost_paise * 102 / 100 WHERE id > (SELECT min(id) FROM orders)")
    assert await providers.watch_prices(world.db) == 0
    await world.run("UPDATE orders SET charged_paise = cost_paise * 102 / 100")
    assert await providers.watch_prices(world.db) == 1
    drift = await providers.read_drift(world.db, world.provider().id)
    assert (drift.sales, drift.told, drift.above, drift.listed_paise) == (5, 5, 5, 5 * COST)
    assert drift.charged_paise == 5 * (COST * 102 // 100)
    assert await open_kinds(world) == ["price_drift"]
    await world.age(timedelta(days=1))
    assert await providers.watch_prices(world.db) == 0
    assert await open_kinds(world) == []


async def test_two_sales_above_the_ceiling_raise_it_too(world: World) -> None:
    for expected in (0, 1):
        await world.buy_unclearly("over-price")
        await providers.watch_spending(world.lines)
        assert await providers.watch_prices(world.db) == expected
    await world.resolve()


async def test_a_cap_counts_what_was_spent_before_it_from_the_moment_it_is_known(world: World) -> None:
    await world.buy()
    await providers.set_options(world.db, world.provider().id, spend_max_paise=COST)
    await providers.refresh(world.lines)
    with pytest.raises(ProviderUnavailable):
        await world.buy()
    assert len(world.alpha.sold) == 1


async def test_two_readings_at_once_count_what_is_settled_once(world: World) -> None:
    await cap(world, 5 * COST)
    await world.buy()
    await world.run(
        "UPDATE orders SET activated_at = greatest(activated_at - interval '31 s', date_trunc('day', now(), 'UTC'))"
    )
    async with another_process(world) as second:
        second.lines.spending.settled_until, second.lines.spending.settled = None, {}
        assert await outcomes(providers.watch_spending(second.lines) for _ in range(5)) == [None] * 5
        assert spent(second) == COST
