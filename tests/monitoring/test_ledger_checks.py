"""`verify`: a ledger that was lived in is right, every planted fault is found by its row, traffic raises no alarm."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.base.clock import seconds
from numberdesk.base.db import Database, Undone, open_database, run
from numberdesk.base.postgres import Cluster
from numberdesk.monitoring.model import Check
from numberdesk.monitoring.service import verify
from numberdesk.orders.model import Closing
from numberdesk.orders.service._close import close
from numberdesk.orders.service._receive import receive
from numberdesk.wallet import jobs
from numberdesk.wallet import service as wallet
from tests import postgres
from tests.catalogue.market import open_market
from tests.monitoring.scene import delivery, rented, set_scene
from tests.wallet.customers import add_customers

pytestmark = pytest.mark.anyio

_, *FAULTS = Path(__file__).with_name("faults.sql").read_text(encoding="utf-8").split("\n\n")


@dataclass(frozen=True)
class Stage:
    """A database with the scene, to be copied, and the ids in it by name."""

    name: str
    ids: dict[str, Any]


@pytest.fixture(scope="module")
def stage(cluster: Cluster, portal: BlockingPortal) -> Iterator[Stage]:
    name = f"numberdesk_{os.getpid()}_scene"
    portal.call(lambda: postgres.make_database(cluster, name, template=postgres.TEMPLATE))
    yield Stage(name, portal.call(fill, cluster, name))
    portal.call(postgres.drop_database, cluster, name)


async def fill(cluster: Cluster, name: str) -> dict[str, Any]:
    db = await open_database(postgres.in_database(cluster.app_url, name), size=2)
    scene = await set_scene(db)
    await db.close()
    ids: dict[str, Any] = {"alice": scene.alice, "bob": scene.bob, "carol": scene.carol, **scene.orders}
    ids |= {f"recharge_{recharge}": ref for recharge, ref in scene.recharges.items()}
    ids |= {f"payment_{payment}": item.id for payment, item in scene.payments.items()}
    ids |= {f"request_{action}": request for action, request in scene.requests.items()}
    owner = await asyncpg.connect(postgres.in_database(cluster.owner_url, name))
    names = {f"{order_id}:number:1": order for order, order_id in scene.orders.items()}
    names |= {item.cause: f"of_{payment}" for payment, item in scene.payments.items()}
    for row in await owner.fetch("SELECT id, kind, cause_id FROM postings"):
        ids[f"{row['kind']}_{names.get(row['cause_id'], row['cause_id'])}"] = row["id"]
    order = await owner.fetchrow("SELECT price_paise, provider_id FROM orders WHERE id = $1", ids["active"])
    await owner.close()
    assert order is not None
    price, provider_id = order
    return ids | {"price": price, "price_and_1": price + 1, "provider": provider_id}


@pytest.fixture
def copy(cluster: Cluster, portal: BlockingPortal, stage: Stage) -> Iterator[str]:
    """A copy of the scene's database for one test."""
    name = f"numberdesk_{os.getpid()}_copy"
    portal.call(lambda: postgres.make_database(cluster, name, template=stage.name))
    yield name
    portal.call(postgres.drop_database, cluster, name)


@pytest.fixture
async def copied(cluster: Cluster, copy: str) -> AsyncIterator[Database]:
    db = await open_database(postgres.in_database(cluster.app_url, copy), size=2)
    yield db
    await db.close()


@pytest.fixture
async def saboteur(cluster: Cluster, copy: str) -> AsyncIterator[Any]:
    """The superuser, whom neither triggers nor foreign keys stop."""
    connection = await postgres.connect_cleaner(postgres.in_database(cluster.admin_url, copy))
    yield connection
    await connection.close()


def wrong(checks: list[Check]) -> list[Check]:
    return [check for check in checks if not check.ok]


async def test_an_empty_ledger_is_right(db: Database) -> None:
    checks = await verify(db)
    assert wrong(checks) == []
    assert {check.invariant for check in checks} == {"I1", "I2", "I3", "I4", "I5", "I6", "I7", "I13", "I15"}


async def test_a_ledger_that_was_lived_in_is_right_and_nothing_is_counted_as_nothing(copied: Database) -> None:
    told: list[Check] = []
    checks = await verify(copied, on_check=told.append)
    assert wrong(checks) == []
    assert told == checks
    assert all(check.counted > 0 for check in checks)


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.partition("\n")[0] for fault in FAULTS])
async def test_a_planted_fault_is_found_and_its_row_is_named(
    copied: Database, saboteur: Any, stage: Stage, fault: str
) -> None:
    title, _, statements = fault.format(**stage.ids).partition("\n")
    await saboteur.execute(statements)
    found = [f"-- {check.invariant}: {line}" for check in wrong(await verify(copied)) for line in check.wrong]
    assert any(is_about(title, line) for line in found), found


def is_about(title: str, line: str) -> bool:
    """Compare a sentence with the one expected, in which … stands for anything."""
    return re.fullmatch(".*".join(map(re.escape, title.split("…"))), line) is not None


async def test_twenty_rows_are_named_and_the_rest_is_counted(copied: Database, saboteur: Any) -> None:
    await saboteur.execute(
        "INSERT INTO entries (posting_id, at, bucket, amount_paise)"
        " SELECT 5000 + n, now(), 'fx', 1 FROM generate_series(1, 1030) AS n"
    )
    (check,) = (check for check in await verify(copied) if check.name.startswith("every entry has its posting"))
    assert len(check.wrong) == 21
    assert check.wrong[0] == "an entry of 1 in fx names posting 5001, which does not exist"
    assert check.wrong[19] == "an entry of 1 in fx names posting 5020, which does not exist"
    assert check.wrong[20] == "and 1,011 more"


async def test_all_checks_see_the_ledger_at_one_moment(
    copied: Database, cluster: Cluster, copy: str, portal: BlockingPortal
) -> None:
    async def spoil() -> None:
        connection = await postgres.connect_cleaner(postgres.in_database(cluster.admin_url, copy))
        await connection.execute("UPDATE wallets SET version = 99; DELETE FROM holds")
        await connection.close()

    told: list[Check] = []

    def on_check(check: Check) -> None:
        if not told:
            portal.call(spoil)
        told.append(check)

    assert wrong(await verify(copied, on_check=on_check)) == []
    assert len(wrong(await verify(copied))) > 3


async def test_traffic_during_the_checks_raises_no_alarm(db: Database) -> None:
    market = await open_market(db)
    account_ids = await add_customers(db, *[1_000_000] * 4)
    offer = market.offers()[0]
    stop_at = seconds() + 2.0
    done = 0

    async def trade(place: int) -> None:
        nonlocal done
        while seconds() < stop_at:
            name = f"{place}-{done}"
            async with db.transaction() as tx:
                order = await rented(tx, account_ids[place], offer, name)
            async with db.transaction() as tx:
                await receive(tx, [delivery(order)])
            async with db.transaction() as tx:
                second = await rented(tx, account_ids[place], offer, f"{name}-cancelled")
            async with db.transaction() as tx:
                await close(tx, [Closing(second.id, frozenset({"active"}), "cancelled")])
                await wallet.refund(tx, order_id=order.id, purpose="number:1")
            await jobs.roll_up(db, limit=10)
            done += 1

    async def check() -> list[list[Check]]:
        return [await verify(db) for _ in range(8)]

    results = asyncio.create_task(check())
    await asyncio.gather(*(trade(place) for place in range(4)))
    assert done > 20
    assert [wrong(checks) for checks in await results] == [[]] * 8
    first, *_, last = await results
    assert first[0].counted < last[0].counted


async def test_what_is_not_committed_is_not_seen_and_not_waited_for(db: Database) -> None:
    (account_id,) = await add_customers(db, 1000)
    async with db.transaction() as tx:
        await run(tx, "UPDATE wallets SET held_paise = 5 WHERE account_id = $1", account_id)
        assert wrong(await verify(db)) == []
        await run(tx, "UPDATE wallets SET held_paise = 0 WHERE account_id = $1", account_id)


async def test_a_ledger_that_cannot_be_read_is_not_called_right(db: Database, admin_url: str) -> None:
    blocker = await asyncpg.connect(admin_url)
    async with blocker.transaction():
        await blocker.execute("LOCK TABLE postings IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(Undone):
            await verify(db)
    await blocker.close()
