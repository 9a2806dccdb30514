"""Our money with providers: balances, how long they last, and whether the books of our orders explain them."""

import asyncio
from dataclasses import replace

import pytest

from numberdesk.base.db import rows
from numberdesk.base.errors import InvalidFields, NotFound
from numberdesk.providers import service as providers
from numberdesk.providers.model import MoneyCheck
from numberdesk.providers.service import minutes_left
from numberdesk.providers.simulator import PROFILES
from tests.orders.world import COST, World, until

pytestmark = pytest.mark.anyio


async def open_kinds(world: World) -> list[str]:
    return [alert.kind for alert in await providers.list_alerts(world.db)]


async def ask(world: World) -> int:
    """Let the balance be asked for now."""
    await world.run("UPDATE provider_money SET balance_due_at = '-infinity'")
    return await providers.watch_balances(world.lines)


async def compare(world: World) -> MoneyCheck | None:
    """Let the books be compared now."""
    await world.run("UPDATE provider_money SET check_due_at = '-infinity'")
    assert await providers.check_money(world.lines) == 1
    return await providers.last_check(world.db, world.provider().id)


async def gap(world: World) -> int:
    check = await compare(world)
    assert check is not None
    return check.gap_paise


async def shift(world: World, *, minutes: int) -> None:
    """Let all that was booked be so much older; what ended must be put back before the world is checked."""
    await world.run(
        "UPDATE orders SET activated_at = activated_at - make_interval(mins => $1),"
        " ended_at = ended_at - make_interval(mins => $1)",
        minutes,
    )


def move(world: World, paise: int) -> None:
    """Change our balance at the provider by something that it tells nobody of."""
    world.alpha._shop.shelf.balance_paise += paise


async def test_a_balance_is_asked_for_once_a_minute_whoever_asks(world: World) -> None:
    assert await providers.watch_balances(world.lines) == 1
    assert await providers.watch_balances(world.lines) == 0
    found = (await providers.list_money(world.db))[world.provider().id]
    assert found.balance_paise == world.alpha.balance_paise
    await world.run("UPDATE provider_money SET balance_due_at = balance_due_at - interval '1 minute'")
    assert await providers.watch_balances(world.lines) == 1
    async with world.db.statement() as tx:
        assert len(await rows(tx, "SELECT FROM provider_balances")) == 2


async def test_a_provider_that_does_not_answer_changes_nothing(world: World) -> None:
    await ask(world)
    before = await providers.list_money(world.db)
    world.alpha.set_profile("http-500")
    assert await ask(world) == 0
    assert (await providers.list_money(world.db))[world.provider().id] == before[world.provider().id]


async def test_a_balance_that_is_not_told_for_long_is_an_alert_until_it_is_told(world: World) -> None:
    await ask(world)
    world.alpha.set_profile("http-500")
    assert await ask(world) == 0
    assert await open_kinds(world) == []
    await world.run("UPDATE provider_money SET balance_at = balance_at - interval '10 minutes'")
    assert await ask(world) == 0
    (alert,) = await providers.list_alerts(world.db)
    assert alert.kind == "balance_silent"
    assert "500" in alert.detail
    world.alpha.set_profile("never")
    assert await ask(world) == 1
    assert await open_kinds(world) == []


@pytest.mark.parametrize(("left", "is_open"), [(4999, True), (5000, False), (5001, False)])
async def test_a_balance_below_its_limit_raises_an_alert(world: World, left: int, is_open: bool) -> None:
    await providers.set_options(world.db, world.provider().id, balance_alert_paise=5000)
    await providers.refresh(world.lines)
    move(world, left - world.alpha.balance_paise)
    await ask(world)
    assert await open_kinds(world) == (["balance"] if is_open else [])


async def test_it_closes_only_when_there_is_clearly_more(world: World) -> None:
    await providers.set_options(world.db, world.provider().id, balance_alert_paise=5000)
    await providers.refresh(world.lines)
    for left, expected in ((4999, ["balance"]), (5499, ["balance"]), (5500, []), (5000, [])):
        move(world, left - world.alpha.balance_paise)
        await ask(world)
        assert await open_kinds(world) == expected


@pytest.mark.parametrize(
    ("left", "spent", "minutes"),
    [
        (24_000, 0, None),
        (24_000, -5, None),
        (24_000, 24_000, 1440),
        (6000, 24_000, 360),
        (5999, 24_000, 359),
        (0, 1, 0),
        (-500, 24_000, 0),
    ],
)
def test_a_balance_lasts_by_what_the_last_day_spent(left: int, spent: int, minutes: int | None) -> None:
    assert minutes_left(left, spent) == minutes


async def test_the_forecast_counts_sales_without_what_came_back_and_warns_of_six_hours(world: World) -> None:
    kept, given_back = await world.buy(), await world.buy()
    await world.cancel(given_back)
    assert kept.order.state == "active"
    await shift(world, minutes=60)
    for left, is_open in ((COST // 4 + 1, False), (COST // 4, True), (COST * 3 // 8, True), (COST * 3 // 8 + 1, False)):
        move(world, left - world.alpha.balance_paise)
        await ask(world)
        found = (await providers.list_money(world.db))[world.provider().id]
        assert found.minutes_left == left * 1440 // COST
        assert await open_kinds(world) == (["forecast"] if is_open else []), left
    await shift(world, minutes=-60)


async def test_books_begin_with_a_balance_and_explain_all_that_orders_do(world: World) -> None:
    await world.give(world.alice, 50_000)
    before = await world.buy()
    assert await compare(world) is None
    cards = [await world.buy() for _ in range(4)]
    assert await gap(world) == 0
    await world.cancel(cards[0])
    await world.cancel(before)
    world.deliver(cards[1], "48213")
    await world.watch()
    assert await gap(world) == 0
    check = await compare(world)
    assert check is not None
    assert (check.expected_low, check.expected_high) == (world.alpha.balance_paise, world.alpha.balance_paise)
    assert await open_kinds(world) == []


async def test_what_is_in_flight_raises_no_alarm_and_what_becomes_of_it_adds_up(world: World) -> None:
    await compare(world)
    await world.buy_unclearly("sold-then-dropped")
    await world.buy_unclearly("dropped-not-sold")
    for _ in range(2):
        check = await compare(world)
        assert check is not None
        assert check.gap_paise == 0
        assert check.expected_low == check.expected_high - 2 * COST
    await world.resolve()
    assert await gap(world) == 0
    assert await open_kinds(world) == []


async def test_books_that_begin_with_a_purchase_in_flight_end_up_right(world: World) -> None:
    await world.buy_unclearly("sold-then-dropped")
    await compare(world)
    await world.resolve()
    for _ in range(3):
        assert await gap(world) == 0
    move(world, -COST - 1)
    assert await gap(world) < 0


async def test_a_charge_above_the_list_is_told_at_the_second_look(world: World) -> None:
    await compare(world)
    await world.buy()
    move(world, -225)
    assert await gap(world) == -225
    assert await open_kinds(world) == []
    assert await gap(world) == -225
    alerts = await providers.list_alerts(world.db)
    assert [alert.kind for alert in alerts] == ["money_gap"]
    assert "2.25 rupees less" in alerts[0].detail
    async with world.db.transaction() as tx:
        assert await providers.settle_gap(tx, world.provider().id, note="they raised it") == -225
    assert await open_kinds(world) == []
    assert await gap(world) == 0
    await world.buy()
    assert await gap(world) == 0


async def test_a_cancel_that_is_not_given_back_is_found(world: World) -> None:
    await compare(world)
    await world.cancel(await world.buy())
    move(world, -COST)
    for _ in range(2):
        assert await gap(world) == -COST
    assert await open_kinds(world) == ["money_gap"]


async def test_a_top_up_is_asked_about_and_confirmed(world: World) -> None:
    await compare(world)
    await world.buy()
    move(world, 500_000)
    for _ in range(2):
        assert await gap(world) == 500_000
    assert "If it was a top-up, confirm it." in (await providers.list_alerts(world.db))[0].detail
    async with world.db.transaction() as tx:
        await providers.record_top_up(tx, world.provider().id, paise=500_000, note="by bank")
    assert await gap(world) == 0
    assert await open_kinds(world) == []


async def test_what_explains_itself_a_moment_later_is_never_told(world: World) -> None:
    await compare(world)
    move(world, -100)
    assert await gap(world) == -100
    move(world, 100)
    assert await gap(world) == 0
    move(world, 100)
    assert await gap(world) == 100
    move(world, -200)
    assert await gap(world) == -100
    assert await open_kinds(world) == []


async def test_old_bookings_are_carried_into_the_books_once(world: World) -> None:
    await compare(world)
    await world.buy()
    await world.cancel(await world.buy())
    for minutes in (3, 3, 3, 3):
        await shift(world, minutes=minutes)
        await world.backstage.execute(
            "UPDATE provider_money SET booked_until = booked_until - make_interval(mins => $1)", minutes
        )
        assert await gap(world) == 0
    found = (await providers.list_money(world.db))[world.provider().id]
    assert found.booked_low == found.booked_high == world.alpha.balance_paise
    assert found.booked_count == 3
    await shift(world, minutes=-12)


async def test_another_rate_begins_new_books(world: World) -> None:
    await compare(world)
    await providers.set_options(world.db, world.provider().id, paise_per_unit=8512)
    await providers.refresh(world.lines)
    assert await compare(world) is None
    assert await gap(world) == 0


async def test_nobody_settles_what_is_not_there_or_without_a_word(world: World) -> None:
    await compare(world)
    async with world.db.transaction() as tx:
        with pytest.raises(NotFound):
            await providers.settle_gap(tx, world.provider().id, note="nothing")
        for paise, note, field in ((0, "by bank", "amount"), (10**15, "by bank", "amount"), (500, "x", "note")):
            with pytest.raises(InvalidFields) as refusal:
                await providers.record_top_up(tx, world.provider().id, paise=paise, note=note)
            assert list(refusal.value.fields) == [field]


async def test_no_order_is_changed_by_looking(world: World) -> None:
    await compare(world)
    card = await world.buy()
    move(world, -777)
    for _ in range(3):
        await gap(world)
    assert await world.read(card) == card.order


async def test_lines_older_than_a_month_are_forgotten(world: World) -> None:
    for _ in range(2):
        await ask(world)
        await compare(world)
    assert await providers.forget_lines(world.db) == 0
    await world.run("UPDATE provider_balances SET at = at - interval '31 days'")
    await world.run("UPDATE provider_money_checks SET at = at - interval '31 days'")
    assert await providers.forget_lines(world.db) == 2
    assert await providers.last_check(world.db, world.provider().id) is None


async def test_where_a_unit_is_no_rupee_rounding_is_no_gap(world: World) -> None:
    """A cent of the balance and a paisa of each booking are lost by rounding, and nothing more."""
    await providers.set_options(world.db, world.provider().id, paise_per_unit=8500)
    await providers.refresh(world.lines)
    await compare(world)
    move(world, -1)
    assert await gap(world) == 0
    move(world, -1)
    assert await gap(world) == -2 * 85 + 86


async def test_comparing_amid_purchases_and_cancels_finds_no_gap(world: World) -> None:
    await world.give(world.alice, 1_000_000)
    for card in [await world.buy() for _ in range(3)]:
        await world.cancel(card)
    is_over = False
    widths = []

    async def keep_comparing() -> None:
        await compare(world)
        while not is_over:
            check = await compare(world)
            assert check is not None
            assert check.gap_paise == 0, check
            widths.append(check.expected_high - check.expected_low)

    async def trade(number: int) -> None:
        card = await world.buy()
        if number % 3:
            await world.cancel(card)

    comparing = asyncio.create_task(keep_comparing())
    for turn in range(12):
        await asyncio.gather(*(trade(turn * 10 + item) for item in range(10)))
    is_over = True
    await comparing
    assert len(widths) > 5
    assert max(widths) > 0, "no comparison met anything in flight"
    assert await gap(world) == 0
    assert await open_kinds(world) == []


async def test_a_number_without_an_order_is_no_gap_while_it_is_being_cancelled(world: World) -> None:
    await compare(world)
    await world.rent("a-stray-1")
    await world.watch()
    check = await compare(world)
    assert check is not None
    assert check.gap_paise == 0
    assert "Without an order, and being cancelled: 1." in check.explained
    await world.resolve()
    assert await gap(world) == 0
    check = await compare(world)
    assert check is not None
    assert check.expected_low == check.expected_high == world.alpha.balance_paise


async def test_what_a_provider_cancels_by_itself_counts_as_given_back(world: World) -> None:
    await compare(world)
    world.alpha.set_profile(replace(PROFILES["self-cancel"], self_cancel_after=(0.05, 0.1)))
    await world.buy()
    await until(lambda: bool(world.alpha.self_cancelled))
    await world.watch()
    assert await gap(world) == 0


@pytest.mark.parametrize("profile", ["sold-then-dropped", "dropped-not-sold"])
async def test_what_was_in_flight_when_books_began_hides_no_loss_for_ever(world: World, profile: str) -> None:
    await world.buy_unclearly(profile)
    await compare(world)
    await world.resolve()
    assert await gap(world) == 0
    move(world, -1)
    assert await gap(world) == -1
    move(world, 2)
    assert await gap(world) == 1


async def test_what_rounding_may_have_moved_long_ago_hides_no_loss(world: World) -> None:
    await world.give(world.alice, 500_000)
    await providers.set_options(world.db, world.provider().id, paise_per_unit=8500)
    await providers.refresh(world.lines)
    await compare(world)
    await world.run("UPDATE provider_money SET booked_count = 1000000")
    assert await gap(world) == 0
    move(world, -10)
    assert await gap(world) < 0


async def test_numbers_that_a_provider_ends_again_and_again_are_no_top_up(world: World) -> None:
    await compare(world)
    world.alpha.set_profile(replace(PROFILES["self-cancel"], self_cancel_after=(0.02, 0.03)))
    for turn in range(1, 4):
        await world.buy()
        await until(lambda turn=turn: len(world.alpha.self_cancelled) == turn)  # type: ignore[misc]
        assert await gap(world) == COST
        assert await open_kinds(world) == []
        await world.watch()
    assert await gap(world) == 0
    move(world, COST)
    for _ in range(2):
        assert await gap(world) == COST
    assert await open_kinds(world) == ["money_gap"]
