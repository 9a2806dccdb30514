"""Accounts that share a network or a payer buy together as much as one: exact, and nobody reads what others bought."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from numberdesk.conduct.model import PurchaseRules
from numberdesk.conduct.service import PurchaseLimited
from numberdesk.orders import service as orders
from numberdesk.wallet.model import AccountId
from numberdesk.wallet.service import InsufficientBalance
from tests.conduct.test_limits import NONE, allow
from tests.conduct.test_retention import age_all
from tests.orders.conftest import play, world
from tests.orders.world import NOT_SOLD, PRICE, Play, World, another_process

pytestmark = pytest.mark.anyio
__all__ = ["play", "world"]

HOME, NEXT_DOOR, ELSEWHERE = "2a02:810d:1:7::1", "2a02:810d:1:7:ffff::9", "2a02:810d:1:8::1"


async def opened(play: Play, **limits: Any) -> World:
    """Open a world in which Alice and Bob are rich and Dora is new, with these limits of one account."""
    world = await play(limits=replace(NONE, **limits))
    for account in (world.alice, world.bob):
        await world.give(account, 1_000_000, cause=f"rich {account}")
    return world


async def tried(world: World, account: AccountId, ip: str | None = HOME) -> PurchaseLimited | None:
    try:
        await world.buy(account=account, ip=ip)
    except PurchaseLimited as refusal:
        return refusal
    return None


async def pay_for(world: World, payer: bytes, *accounts: AccountId) -> None:
    for account in accounts:
        await world.run("INSERT INTO account_payers (payer_hash, account_id) VALUES ($1, $2)", payer, account)


@pytest.mark.parametrize("limit", ["per_hour", "per_day"])
@pytest.mark.parametrize("shared", ["network", "payer"])
async def test_of_many_parallel_purchases_of_two_accounts_exactly_as_many_as_one_may_are_made(
    play: Play, shared: str, limit: str
) -> None:
    world = await opened(play, **{limit: 7})
    if shared == "payer":
        await pay_for(world, b"one payer", world.alice, world.bob)
    ips = (HOME, NEXT_DOOR) if shared == "network" else (HOME, ELSEWHERE)
    async with another_process(world, limits=replace(NONE, **{limit: 7})) as second:  # type: ignore[arg-type]
        results = await asyncio.gather(
            *(
                tried(place, account, ip)
                for place in (world, second)
                for account, ip in ((world.alice, ips[0]), (world.bob, ips[1]))
                for _ in range(6)
            )
        )
    assert sum(result is None for result in results) == 7
    words = {result.limit for result in results if result is not None}
    assert words <= {limit.removeprefix("per_"), f"{shared}_{limit.removeprefix('per_')}"}
    assert await world.backstage.fetchval("SELECT count(*) FROM orders") == 7
    counts = await world.backstage.fetchrow("SELECT in_hour, in_day FROM shared_counts WHERE kind = $1", shared)
    assert tuple(counts) == (7, 7)


async def test_a_refusal_tells_the_limit_and_not_what_others_bought(play: Play) -> None:
    world = await opened(play, per_hour=3)
    for _ in range(3):
        assert await tried(world, world.alice) is None
    refusal = await tried(world, world.bob)
    assert refusal is not None
    assert (refusal.status, refusal.limit, refusal.allowed, refusal.used) == (429, "network_hour", 3, 3)
    assert refusal.until is not None
    assert 0 < refusal.retry_seconds() <= 3600
    assert "one network together may buy 3 numbers an hour" in refusal.sentence()
    assert f"{refusal.until:%H:%M:%S} UTC" in refusal.sentence()
    assert (await world.money(world.bob))[1] == 0


async def test_another_64_another_payer_and_private_networks_are_not_counted_together(play: Play) -> None:
    world = await opened(play, per_hour=1)
    await pay_for(world, b"of alice", world.alice)
    await pay_for(world, b"of bob", world.bob)
    for alice_at, bob_at in ((HOME, ELSEWHERE), ("10.0.0.9", "10.0.0.9"), ("127.0.0.1", "127.0.0.1"), (None, None)):
        await world.run("DELETE FROM shared_counts")
        await world.run("DELETE FROM purchase_counts")
        await world.run("UPDATE orders SET created_at = created_at - interval '2 days'")
        assert await tried(world, world.alice, alice_at) is None
        assert await tried(world, world.bob, bob_at) is None
    assert await world.backstage.fetchval("SELECT count(*) FROM shared_counts") == 0


async def test_what_failed_and_what_could_not_be_paid_does_not_count(play: Play) -> None:
    world = await opened(play, per_hour=2)
    await pay_for(world, b"one payer", world.alice, world.bob)
    world.alpha.set_profile("no-stock")
    for _ in range(5):
        with pytest.raises(Exception, match="No number"):
            await world.buy(account=world.alice, ip=HOME)
    await world.run("UPDATE wallets SET available_paise = 1 WHERE account_id = $1", world.bob)
    for _ in range(5):
        with pytest.raises(InsufficientBalance):
            await world.buy(account=world.bob, ip=HOME)
    await world.run(
        "UPDATE wallets SET available_paise = (SELECT sum(amount_paise) FROM entries WHERE account_id = $1"
        " AND bucket = 'available') WHERE account_id = $1",
        world.bob,
    )
    world.alpha.set_profile("never")
    results = [await tried(world, account) is None for account in (world.bob, world.alice, world.alice)]
    assert results == [True, True, False]


async def test_what_turns_out_never_to_have_been_sold_does_not_count(play: Play) -> None:
    world = await opened(play, per_hour=2)
    world.alpha.set_profile(NOT_SOLD["dropped-not-sold"])
    assert await tried(world, world.alice) is None
    counts = "SELECT in_hour, in_day FROM shared_counts"
    assert tuple(await world.backstage.fetchrow(counts)) == (1, 1)
    # Time is about to pass for the order, not for the count: it must not end up in the hour before.
    await world.run("UPDATE shared_counts SET hour = hour - interval '1 hour', day = day - interval '1 day'")
    await world.resolve()
    assert [order.state for order in await world.all_orders()] == ["failed"]
    assert tuple(await world.backstage.fetchrow(counts)) == (0, 0)


async def test_refusals_use_nothing_up_and_a_new_hour_and_day_begin_with_nothing(play: Play) -> None:
    world = await opened(play, per_hour=1, per_day=2)
    assert await tried(world, world.alice) is None
    for _ in range(3):
        refusal = await tried(world, world.bob)
        assert refusal is not None
        assert refusal.limit == "network_hour"
    await world.run("UPDATE shared_counts SET hour = hour - interval '1 hour'")
    await world.run("UPDATE shared_counts SET day = least(day, hour)")
    assert await tried(world, world.bob) is None
    await world.run("DELETE FROM purchase_counts")
    await world.run("UPDATE orders SET created_at = created_at - interval '2 days'")
    await world.run("UPDATE shared_counts SET hour = hour - interval '1 day', day = day - interval '1 day'")
    assert await tried(world, world.alice) is None


async def test_new_accounts_that_belong_together_buy_as_much_as_one_in_its_first_week(play: Play) -> None:
    world = await opened(play, first_day=2, first_week=3, per_day=20)
    await world.run("UPDATE accounts SET terms_version = 1, created_at = clock_timestamp()")
    results = [await tried(world, account) for account in (world.alice, world.alice, world.bob, world.bob)]
    assert [result if result is None else result.limit for result in results] == [None, None, None, "network_new"]
    # One that is older is not held up by what the new ones did.
    await world.run("UPDATE accounts SET created_at = created_at - interval '8 days' WHERE id = $1", world.bob)
    assert await tried(world, world.bob) is None


async def test_who_has_a_speed_of_his_own_from_staff_is_not_held_up_and_holds_nobody_up(play: Play) -> None:
    world = await opened(play, per_hour=2)
    await allow(world.db, world.alice, per_hour=9)
    for _ in range(4):
        assert await tried(world, world.alice) is None
    assert [await tried(world, world.bob) is None for _ in range(3)] == [True, True, False]


async def test_an_order_keeps_from_where_it_was_bought_as_long_as_its_number(world: World) -> None:
    world.alpha.set_profile("no-stock")
    with pytest.raises(Exception, match="No number"):
        await world.buy(ip=HOME)
    world.alpha.set_profile("never")
    card = await world.buy(ip=HOME)
    assert str(card.order.ip) == HOME
    assert str((await world.read(card)).ip) == HOME
    await world.cancel(card)
    await age_all(world, timedelta(days=200))
    assert await orders.forget_numbers(world.db, keep=timedelta(days=180)) == 2
    assert await orders.forget_numbers(world.db, keep=timedelta(days=180)) == 0
    # One that got no number keeps nothing either.
    assert [(order.ip, order.number) for order in await world.all_orders()] == [(None, None), (None, "00000")]


async def test_without_limits_nothing_is_counted(play: Play) -> None:
    world = await play()
    await world.buy(ip=HOME)
    assert await world.backstage.fetchval("SELECT count(*) FROM shared_counts") == 0
    assert (await world.money())[1] == PRICE
    assert PurchaseRules().per_hour is None
