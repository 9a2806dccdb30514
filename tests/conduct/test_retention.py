"""What is taken out after its time, and what stays; and that the document names every table."""

import re
from datetime import timedelta

import pytest

from numberdesk.accounts import jobs as accounts_jobs
from numberdesk.conduct import sql as conduct_sql
from numberdesk.orders import service as orders
from numberdesk.settings import Settings
from tests.architecture.sources import ROOT
from tests.orders.conftest import play, world
from tests.orders.test_quarantine import BANK, OURS, deliver
from tests.orders.world import MONEY, PRICE, World

pytestmark = pytest.mark.anyio
__all__ = ["play", "world"]

KEEP = timedelta(days=180)
YEAR = timedelta(days=365)


async def age_all(world: World, time: timedelta) -> None:
    """Let time pass for what ended, its money included."""
    await world.age(time)
    for table, moments in {
        "orders": ("ended_at", "received_at", "changed_at"),
        "holds": ("created_at", "ended_at"),
        "messages": ("received_at",),
        "withheld_messages": ("withheld_at",),
    }.items():
        for moment in moments:
            await world.backstage.execute(f"UPDATE {table} SET {moment} = {moment} - $1::interval", time)


async def test_numbers_go_after_their_time_and_nobody_is_found_by_them_any_more(world: World) -> None:
    old = await deliver(world, await world.buy(), OURS)
    old = await orders.finish(world.desk, account_id=world.alice, order_id=old.order.id)
    await deliver(world, await world.buy(), BANK)
    assert old.order.number is not None
    assert await orders.forget_numbers(world.db, keep=KEEP) == 0
    await age_all(world, KEEP - timedelta(hours=1))
    assert await orders.forget_numbers(world.db, keep=KEEP) == 0
    await age_all(world, timedelta(hours=2))
    young = await world.buy()
    assert await orders.forget_numbers(world.db, keep=KEEP, limit=1) == 1
    assert await orders.forget_numbers(world.db, keep=KEEP) == 1
    assert await orders.forget_numbers(world.db, keep=KEEP) == 0
    assert [order.number for order in await world.all_orders()] == ["00000", "00000", young.order.number]
    assert await orders.list_withheld(world.db, state=None) == []
    async with world.db.statement() as tx:
        assert not await conduct_sql.list_holders(tx, old.order.number, starts_at=None, ends_at=None, limit=5)
    assert await world.money() == (MONEY - 2 * PRICE, PRICE)


async def test_posted_messages_lose_their_text_when_they_are_settled_and_old(world: World) -> None:
    provider_id = world.provider().id
    for name, state, hours in (("old", "delivered", 73), ("new", "delivered", 71), ("waits", "parked", 73)):
        await world.backstage.execute(
            "INSERT INTO inbound_messages (provider_id, event_id, number, sender, code, text, state, next_try_at,"
            " settled_at) VALUES ($1, $2, '919812345678', 'TG', '4829', 'code 4829', $3::text,"
            " CASE WHEN $3 = 'parked' THEN clock_timestamp() END,"
            " CASE WHEN $3 <> 'parked' THEN clock_timestamp() - make_interval(hours => $4) END)",
            provider_id,
            name,
            state,
            hours,
        )
    assert await orders.purge_inbound(world.desk, keep=timedelta(hours=72)) == 1
    assert await orders.purge_inbound(world.desk, keep=timedelta(hours=72)) == 0
    found = await world.backstage.fetch("SELECT event_id, code, text, number FROM inbound_messages ORDER BY id")
    assert [tuple(row) for row in found] == [
        ("old", "", "[purged]", ""), ("new", "4829", "code 4829", "919812345678"),
        ("waits", "4829", "code 4829", "919812345678"),
    ]  # fmt: skip


async def test_addresses_that_were_not_used_for_long_are_forgotten(world: World) -> None:
    for ip, days in (("192.0.2.1", 181), ("192.0.2.2", 179)):
        await world.backstage.execute(
            "INSERT INTO account_ips (account_id, ip, network, last_seen_at)"
            " VALUES ($1, $2::text::inet, $2::text::inet, clock_timestamp() - make_interval(days => $3))",
            world.alice,
            ip,
            days,
        )
    assert await accounts_jobs.forget_addresses(world.db, keep=KEEP) == 1
    assert [row[0] for row in await world.backstage.fetch("SELECT host(ip) FROM account_ips")] == ["192.0.2.2"]


def test_bodies_live_for_one_to_three_days_and_records_for_half_a_year_at_least() -> None:
    settings = Settings()
    assert timedelta(hours=24) <= settings.message_keep <= timedelta(hours=72)
    assert settings.metadata_keep >= KEEP
    for name, value in (("message_retention", 23), ("message_retention", 73), ("metadata_retention", 179)):
        with pytest.raises(ValueError, match=name):
            Settings(**{name: value})  # type: ignore[arg-type]


async def test_the_document_says_of_every_table_when_its_rows_end(world: World) -> None:
    told = (ROOT / "docs/retention.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+)`", told))
    found = await world.backstage.fetch(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
        " AND relnamespace = 'public'::regnamespace"
    )
    assert sorted({row[0] for row in found} - named) == []
