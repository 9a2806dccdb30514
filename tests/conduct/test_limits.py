"""How fast an account may buy: exact under parallel requests and processes, and refused in words."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any, LiteralString

import pytest

from numberdesk.base.db import Database
from numberdesk.conduct import service as conduct
from numberdesk.conduct.model import OwnLimits, PurchaseRules
from numberdesk.conduct.service import PurchaseLimited
from numberdesk.orders.service import Wish
from numberdesk.wallet.model import AccountId
from tests.orders.conftest import play, world
from tests.orders.world import Play, World, another_process

pytestmark = pytest.mark.anyio
__all__ = ["play", "world"]

NONE = PurchaseRules()
LONGER_AGO: LiteralString = (
    "UPDATE holds SET created_at = created_at - interval '10 minutes', ended_at = ended_at - interval '10 minutes'"
)
RUSSIA = Wish("go", 0)


async def tried(world: World, wish: Wish | None = None, *, account: AccountId | None = None) -> PurchaseLimited | None:
    try:
        await world.buy(*([] if wish is None else [wish]), account=account)
    except PurchaseLimited as refusal:
        return refusal
    return None


async def allow(db: Database, account_id: AccountId, **more: Any) -> None:
    own = {"is_free": False, "per_hour": None, "per_day": None, "countries": None, "open_orders": None}
    async with db.transaction() as tx:
        await conduct.set_own_limits(
            tx, OwnLimits(account_id, **{**own, "may_cancel": False, "reason": "a test"} | more)
        )


def rules_of(limit: str) -> PurchaseRules:
    return replace(NONE, **{limit: 7})  # type: ignore[arg-type]


async def rich(play: Play, **limits: Any) -> World:
    world = await play(limits=PurchaseRules(**limits))
    await world.give(world.alice, 1_000_000)
    return world


@pytest.mark.parametrize("limit", ["per_hour", "per_day", "open_orders"])
async def test_of_many_parallel_purchases_exactly_as_many_as_allowed_are_made(play: Play, limit: str) -> None:
    world = await rich(play, **{limit: 7})
    async with another_process(world, limits=rules_of(limit)) as second:
        results = await asyncio.gather(*(tried(place) for place in (world, second) for _ in range(15)))
    assert sum(result is None for result in results) == 7
    words = {result.limit for result in results if result is not None}
    assert words == {{"per_hour": "hour", "per_day": "day", "open_orders": "open_orders"}[limit]}
    assert len(await world.all_orders()) == 7


async def test_a_refusal_says_which_limit_how_much_and_until_when(play: Play) -> None:
    world = await rich(play, per_hour=1)
    assert await tried(world) is None
    refusal = await tried(world)
    assert refusal is not None
    assert (refusal.status, refusal.allowed, refusal.used) == (429, 1, 1)
    assert refusal.until is not None
    assert (refusal.until.minute, refusal.until.second) == (0, 0)
    assert 0 < refusal.retry_seconds() <= 3600
    assert "1 numbers an hour" in refusal.sentence()
    assert f"{refusal.until:%H:%M:%S} UTC" in refusal.sentence()
    assert (await world.money())[1] == (await world.all_orders())[0].price_paise


async def test_others_are_not_held_up_by_an_account_at_its_limit(play: Play) -> None:
    world = await rich(play, per_hour=1)
    await world.give(world.bob, 100_000, cause="bob")
    results = await asyncio.gather(*(tried(world, account=who) for who in (world.alice, world.bob) for _ in range(5)))
    assert sum(result is None for result in results) == 2


async def test_purchases_that_failed_do_not_count(play: Play) -> None:
    world = await rich(play, per_day=2)
    world.alpha.set_profile("no-stock")
    for _ in range(5):
        with pytest.raises(Exception, match="No number"):
            await world.buy()
    world.alpha.set_profile("never")
    assert [await tried(world) is None for _ in range(3)] == [True, True, False]


async def test_a_new_hour_and_a_new_day_begin_with_nothing(play: Play) -> None:
    world = await rich(play, per_hour=1, per_day=2)
    assert await tried(world) is None
    assert (await tried(world)).limit == "hour"  # type: ignore[union-attr]
    await world.run("UPDATE purchase_counts SET hour = hour - interval '1 hour'")
    await world.run("UPDATE orders SET created_at = created_at - interval '1 hour'")
    await world.run(
        "UPDATE purchase_counts SET day = least(day, date_trunc('day', clock_timestamp() - interval '1 h', 'UTC'))"
    )
    assert await tried(world) is None
    await world.run("UPDATE purchase_counts SET hour = hour - interval '1 day', day = day - interval '1 day'")
    assert await tried(world) is None


async def test_countries_are_counted_once_each(play: Play) -> None:
    world = await rich(play, countries=1)
    assert [await tried(world) for _ in range(3)] == [None] * 3
    refusal = await tried(world, RUSSIA)
    assert refusal is not None
    assert (refusal.limit, refusal.allowed, refusal.used) == ("countries", 1, 1)
    assert await tried(world) is None


async def test_a_new_account_grows_into_its_limit_and_one_of_the_operators_has_it_at_once(play: Play) -> None:
    world = await rich(play, first_day=1, first_week=2, per_day=3)
    ages = {"0 days": 1, "2 days": 2, "8 days": 3}
    for age, allowed in ages.items():
        await world.run("DELETE FROM purchase_counts")
        await world.run("UPDATE orders SET created_at = created_at - interval '2 days'")
        await world.run(
            "UPDATE accounts SET terms_version = 1, created_at = clock_timestamp() - $2::text::interval WHERE id = $1",
            world.alice,
            age,
        )
        results = [await tried(world) for _ in range(4)]
        assert sum(result is None for result in results) == allowed, age
        assert results[-1] is not None
        assert results[-1].limit == ("day" if age == "8 days" else "new_account")
    await world.run("UPDATE accounts SET terms_version = NULL, created_at = clock_timestamp()")
    await world.run("DELETE FROM purchase_counts")
    await world.run("UPDATE orders SET created_at = created_at - interval '2 days'")
    assert [await tried(world) is None for _ in range(4)] == [True, True, True, False]


async def test_who_cancels_nearly_all_pauses_and_goes_on_after_it(play: Play) -> None:
    world = await rich(play, cancel_percent=70, cancel_of=10, cool_down=timedelta(minutes=10))
    for card in [await world.buy() for _ in range(3)]:
        world.deliver(card, "48291")
    await world.watch()
    for _ in range(8):
        await world.cancel(await world.buy())  # after the seventh it is 70 %, and not above
    refusal = await tried(world)
    assert refusal is not None
    assert (refusal.limit, refusal.allowed) == ("cancel_ratio", 70)
    assert 0 < refusal.retry_seconds() <= 600
    await world.run("UPDATE orders SET ended_at = ended_at - interval '10 minutes' WHERE state = 'cancelled'")
    await world.run(
        "UPDATE holds SET created_at = created_at - interval '10 minutes', ended_at = ended_at - interval '10 minutes'"
    )
    assert await tried(world) is None


async def test_numbers_that_expired_or_that_the_provider_ended_are_no_cancels(play: Play) -> None:
    world = await rich(play, cancel_percent=50, cancel_of=4)
    for _ in range(4):
        await world.cancel(await world.buy())
    assert await tried(world) is not None
    await world.run("UPDATE orders SET failure = 'provider_cancelled' WHERE state = 'cancelled'")
    assert await tried(world) is None


async def test_staff_allow_one_account_more_or_everything(play: Play) -> None:
    world = await rich(play, per_hour=1, countries=1, open_orders=1, cancel_percent=1, cancel_of=1)
    await allow(world.db, world.alice, per_hour=3, open_orders=3)
    assert [await tried(world) is None for _ in range(4)] == [True, True, True, False]
    async with world.db.transaction() as tx:
        await conduct.let_free(tx, [world.alice], reason="a load test")
    results = await asyncio.gather(*(tried(world) for _ in range(20)))
    assert Counter(results) == {None: 20}
    async with world.db.transaction() as tx:
        assert await conduct.clear_own_limits(tx, world.alice)
        assert not await conduct.clear_own_limits(tx, world.alice)
    assert await tried(world) is not None


async def test_counts_of_days_that_are_over_are_forgotten(play: Play) -> None:
    world = await rich(play, per_hour=5)
    await tried(world)
    assert await conduct.forget_counts(world.db) == 0
    await world.run("UPDATE purchase_counts SET day = day - interval '3 days'")
    assert await conduct.forget_counts(world.db) == 1
