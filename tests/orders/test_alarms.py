"""Alarms about what should have been settled: they open at the limit, close when it is settled, and change nothing."""

from dataclasses import replace
from datetime import timedelta

import pytest

from numberdesk.orders import jobs
from numberdesk.orders import service as orders
from numberdesk.orders.service._alarms import T_ENDING, T_ORPHAN, T_UNKNOWN
from numberdesk.providers.simulator import PROFILES
from tests.orders.world import DEADLINE_MS, SOLD, Play, World

pytestmark = pytest.mark.anyio

BROKEN = replace(PROFILES["http-500"], fault_on="status-changes")
SECOND = timedelta(seconds=1)
LIMIT = timedelta(milliseconds=DEADLINE_MS) + T_UNKNOWN


async def alerts(world: World) -> dict[tuple[int, str], str]:
    """Run the pass; return the open alerts with their details."""
    await orders.raise_alarms(world.desk)
    found = await world.backstage.fetch("SELECT * FROM provider_alerts WHERE closed_at IS NULL")
    return {(row["provider_id"], row["kind"]): row["detail"] for row in found}


async def test_with_nothing_waiting_there_is_no_alarm(world: World) -> None:
    await world.buy()
    assert await alerts(world) == {}


@pytest.mark.parametrize("is_asked", [True, False])
async def test_a_purchase_that_stays_unknown_alarms_until_it_is_settled(play: Play, *, is_asked: bool) -> None:
    world = await play(beta="never")
    card = await world.buy_unclearly(SOLD["sold-then-dropped"]) if is_asked else await world.reserve(key="died")
    await world.age(LIMIT - SECOND * 5)
    assert await alerts(world) == {}
    await world.age(SECOND * 6)
    before = await world.read(card)
    key = (world.provider().id, "unknown_stale")
    assert await alerts(world) == {key: "Orders that should be settled: 1, the oldest for 2 minutes."}
    assert await alerts(world) == {key: "Orders that should be settled: 1, the oldest for 2 minutes."}
    assert await world.read(card) == before
    assert await world.backstage.fetchval("SELECT count(*) FROM provider_alerts") == 1
    await world.resolve()
    assert (await world.read(card)).state == ("active" if is_asked else "failed")
    assert await alerts(world) == {}


@pytest.mark.parametrize("by", ["cancel", "time"])
async def test_an_end_that_a_silent_provider_holds_up_alarms(play: Play, by: str) -> None:
    world = await play(profile=BROKEN)
    card = await world.buy()
    if by == "cancel":
        await world.cancel(card)
    else:
        await world.age(timedelta(minutes=16))
        await jobs.end_due(world.desk)
    assert await alerts(world) == {}
    await world.run("UPDATE orders SET changed_at = changed_at - $1::interval", T_ENDING + SECOND)
    told = "Orders that should be settled: 1, the oldest for 5 minutes."
    assert await alerts(world) == {(world.provider().id, "unknown_stale"): told}
    world.alpha.set_profile("never")
    await world.run("UPDATE orders SET next_try_at = clock_timestamp()")
    await jobs.settle_ending(world.desk)
    assert (await world.read(card)).state == ("cancelled" if by == "cancel" else "expired")
    assert await alerts(world) == {}


async def test_a_number_that_nobody_can_cancel_alarms(world: World) -> None:
    await world.rent("nobody-1")
    await world.watch()
    world.alpha.set_profile(BROKEN)
    await world.age(timedelta(minutes=1))
    await world.watch()
    await jobs.cancel_orphans(world.desk)
    assert await alerts(world) == {}
    await world.age(T_ORPHAN)
    key = (world.provider().id, "orphan_stale")
    assert await alerts(world) == {
        key: "Numbers that no order knows and that cannot be cancelled: 1, the oldest for 11 minutes."
    }
    world.alpha.set_profile("never")
    await world.run("UPDATE orphans SET next_try_at = clock_timestamp()")
    await jobs.cancel_orphans(world.desk)
    assert await alerts(world) == {}


async def test_a_number_that_was_only_seen_before_it_was_written_is_no_orphan(world: World) -> None:
    card = await world.buy()
    await world.run(
        "INSERT INTO orphans (provider_id, upstream_id, state, first_seen_at, next_try_at)"
        " VALUES ($1, $2, 'cancelling', clock_timestamp() - interval '1 day', clock_timestamp())",
        world.provider().id,
        card.order.upstream_id,
    )
    assert await alerts(world) == {}
