"""Counting an hour reads that hour's orders, however many there were before it: the plan says so, not the clock."""

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import datetime
from typing import Any

import asyncpg
import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.base.db import Tx, open_database, run
from numberdesk.base.postgres import Cluster
from numberdesk.catalogue import reference, sql
from numberdesk.catalogue import service as catalogue
from numberdesk.catalogue.service import WAIT_BOUNDS_MS
from tests import postgres
from tests.catalogue.market import add_provider

pytestmark = pytest.mark.anyio

ORDERS = 1_000_000
"""In the last thirty days: about 1,400 an hour."""


@pytest.fixture(scope="module")
def busy_urls(cluster: Cluster, portal: BlockingPortal) -> Iterator[tuple[str, str]]:
    """The addresses, for the program and for the superuser, of a database with a million past orders."""
    name = f"numberdesk_{os.getpid()}_busy"
    portal.call(lambda: postgres.make_database(cluster, name, template=postgres.TEMPLATE))
    app, admin = postgres.in_database(cluster.app_url, name), postgres.in_database(cluster.admin_url, name)
    portal.call(_fill, app, admin)
    yield app, admin
    portal.call(postgres.drop_database, cluster, name)


async def _fill(app: str, admin: str) -> None:
    db = await open_database(app, size=2)
    await reference.load(db)
    provider_id = await add_provider(db, "alpha")
    await db.close()
    connection = await postgres.connect_cleaner(admin)
    # Rows do not lie exactly by their time: purchases overtake each other, and every seventh is written again.
    await connection.execute(
        """
        INSERT INTO orders (account_id, service, country, operator, provider_id, price_paise, cost_paise, state,
                            request_key, request_item, request_token, upstream_id, number, created_at, sent_at,
                            activated_at, expires_at, received_at, ended_at, changed_at, upstream_refund)
        SELECT 1, 'tg', 22, 'any', $1, 900, 700, 'completed', number::text, 0, 0, number::text, '919812345678', made,
               made, made, made, made + interval '9 seconds', made + interval '1 minute', made + interval '1 minute',
               'none'
        FROM generate_series(1, $2::int) AS number,
             LATERAL (SELECT clock_timestamp() - interval '30 days' * (1 - number / $2::float8)
                             - interval '10 minutes' * random() AS made) AS past
        """,
        provider_id,
        ORDERS,
    )
    await connection.execute("UPDATE orders SET tries = 1 WHERE id % 7 = 0")
    await connection.execute("VACUUM (ANALYZE) orders")
    await connection.close()


@pytest.fixture
async def busy(busy_urls: tuple[str, str]) -> AsyncIterator[Any]:
    """A superuser's connection to that database."""
    connection = await asyncpg.connect(busy_urls[1])
    yield connection
    await connection.close()


async def plan(connection: Any, query: str, *args: object) -> list[dict[str, Any]]:
    """Run a statement and return the steps of its plan that read orders, with what they touched."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        found = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}", *args)
    finally:
        await transaction.rollback()
    return [node for node in _nodes(json.loads(found)[0]["Plan"]) if node.get("Relation Name") == "orders"]


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for inner in node.get("Plans", []):
        yield from _nodes(inner)


def index_of(node: dict[str, Any]) -> set[str]:
    return {item["Index Name"] for item in _nodes(node) if "Index Name" in item}


async def sent(connection: Any, work: Callable[..., Awaitable[object]], *args: object) -> str:
    """Return the statement that a function of the catalogue sends."""
    texts: list[str] = []
    with connection.query_logger(lambda record: texts.append(record.query)):
        transaction = connection.transaction()
        await transaction.start()
        await work(Tx(connection), *args)
        await transaction.rollback()
    return next(text for text in texts if "orders" in text)


async def test_an_hour_is_counted_by_the_index_on_its_time(busy: Any) -> None:
    hour = await busy.fetchval("SELECT date_trunc('hour', clock_timestamp() - interval '9 days', 'UTC')")
    query = await sent(busy, sql.recount_hour, hour, WAIT_BOUNDS_MS)
    steps = await plan(busy, query, hour, list(WAIT_BOUNDS_MS))
    assert steps
    for step in steps:
        assert step["Node Type"] != "Seq Scan"
        assert "orders_created_at" in index_of(step)
        read = step["Actual Rows"] + step.get("Rows Removed by Index Recheck", 0)
        assert step["Actual Rows"] > 1000
        assert read < 30_000, read
        assert step["Shared Hit Blocks"] + step["Shared Read Blocks"] < 2_000


async def test_touched_hours_are_found_by_the_index_on_changes(busy: Any) -> None:
    since: datetime = await busy.fetchval("SELECT clock_timestamp() - interval '80 seconds'")
    keep = await busy.fetchval("SELECT interval '31 days'")
    query = await sent(busy, sql.list_touched_hours, since, keep)
    steps = await plan(busy, query, since, keep)
    assert steps
    for step in steps:
        assert index_of(step) == {"orders_changed_at"}
        assert step["Actual Rows"] + step.get("Rows Removed by Filter", 0) < 1000


async def test_a_million_orders_are_counted_in_bounded_steps(busy: Any, busy_urls: tuple[str, str]) -> None:
    db = await open_database(busy_urls[0], size=2)
    try:
        async with db.statement() as tx:
            await run(tx, "DELETE FROM delivery_stats")
        assert await catalogue.count_deliveries(db) > 700
        assert await busy.fetchval("SELECT sum(sold) FROM delivery_stats") == await busy.fetchval(
            "SELECT count(*) FROM orders WHERE created_at >= (SELECT min(hour) FROM delivery_stats)"
        )
        assert await catalogue.count_deliveries(db) == 0
    finally:
        await db.close()
