"""Who had a number when: exact also where staff decided later about what came on it."""

from datetime import datetime, timedelta

import pytest

from numberdesk.conduct import sql
from tests.orders.conftest import play, world
from tests.orders.test_quarantine import BANK, OURS, deliver, release
from tests.orders.world import Play, World

pytestmark = pytest.mark.anyio
__all__ = ["play", "world"]

HOUR = timedelta(hours=1)


async def holders_at(world: World, number: str, at: datetime) -> list[int]:
    async with world.db.statement() as tx:
        found = await sql.list_holders(tx, number, starts_at=at, ends_at=at, limit=5)
    return [item.account_id for item in found]


@pytest.mark.parametrize("with_code", [False, True])
async def test_who_gets_a_withheld_message_later_did_not_have_the_number_until_then(
    play: Play, with_code: bool
) -> None:
    world = await play()
    card = await deliver(world, await world.buy(), *([OURS, BANK] if with_code else [BANK]))
    number, start, end = card.order.number, card.order.activated_at, card.order.ended_at
    assert number is not None
    assert start is not None
    assert end is not None
    await world.age(HOUR)
    for table, moments in {"orders": ("ended_at",), "withheld_messages": ("withheld_at",),
                           "holds": ("created_at", "ended_at")}.items():  # fmt: skip
        for moment in moments:
            await world.backstage.execute(f"UPDATE {table} SET {moment} = {moment} - $1::interval", HOUR)
    await release(world, card, 2 if with_code else 1)
    last = end - HOUR
    assert await holders_at(world, number, start - HOUR) == [world.alice]
    for later in (last + timedelta(seconds=1), last + HOUR / 2, last + HOUR - timedelta(seconds=1)):
        assert await holders_at(world, number, later) == []
