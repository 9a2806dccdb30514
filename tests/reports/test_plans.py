"""On a long past: reports read rollups only, and counting half an hour reads that half hour. The plans say so."""

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import asyncpg
import pytest
from anyio.from_thread import BlockingPortal

from bench.reports import fill, questions, today
from numberdesk.base.db import Tx, open_database
from numberdesk.base.postgres import Cluster
from numberdesk.catalogue import reference
from numberdesk.catalogue.service import WAIT_BOUNDS_MS
from numberdesk.reports import service as reports
from numberdesk.reports import sql
from tests import postgres

pytestmark = pytest.mark.anyio

ORDERS, DAYS = 30_000, 12
LONG = {"orders", "holds", "postings", "entries", "receipts", "wallets", "external_payments"}
"""Tables that grow with the past."""
Step = dict[str, Any]


@pytest.fixture(scope="module")
def busy_url(cluster: Cluster, portal: BlockingPortal) -> Iterator[str]:
    """The superuser's address of a database with a past that is counted."""
    name = f"numberdesk_{os.getpid()}_reports"
    portal.call(lambda: postgres.make_database(cluster, name, template=postgres.TEMPLATE))
    app, admin = postgres.in_database(cluster.app_url, name), postgres.in_database(cluster.admin_url, name)

    async def prepare() -> None:
        db = await open_database(app, size=2)
        await reference.load(db)
        await fill(admin, orders=ORDERS, days=DAYS, said=False)
        await reports.count(db)
        await db.close()
        connection = await asyncpg.connect(admin)
        await connection.execute("VACUUM (ANALYZE) report_orders, report_money, report_taxes")
        await connection.close()

    portal.call(prepare)
    yield admin
    portal.call(postgres.drop_database, cluster, name)


@pytest.fixture
async def busy(busy_url: str) -> AsyncIterator[Any]:
    """A superuser's connection to that database."""
    connection = await asyncpg.connect(busy_url, server_settings={"timezone": "UTC"})
    yield connection
    await connection.close()


async def steps(connection: Any, work: Callable[[Tx], Awaitable[object]]) -> list[Step]:
    """Return the steps in the plans of all statements that some work sends, which is undone."""
    sent: list[Any] = []
    transaction = connection.transaction()
    await transaction.start()
    with connection.query_logger(lambda record: sent.append((record.query, record.args))):
        await work(Tx(connection))
    await transaction.rollback()
    found: list[Step] = []
    for query, args in sent:
        transaction = connection.transaction()
        await transaction.start()
        text = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}", *args)
        await transaction.rollback()
        found += _nodes(json.loads(text)[0]["Plan"])
    assert found
    return found


def _nodes(node: Step) -> Iterator[Step]:
    yield node
    for inner in node.get("Plans", []):
        yield from _nodes(inner)


def whole_reads(found: list[Step]) -> set[str]:
    return {step["Relation Name"] for step in found if step["Node Type"] == "Seq Scan"}


async def test_reports_read_no_table_that_grows_with_the_past(busy: Any) -> None:
    for name, question in questions(today()).items():
        found = await steps(busy, partial(reports.read_page, question=question))
        tables = {step["Relation Name"] for step in found if "Relation Name" in step}
        assert tables & LONG == set(), name
        assert tables >= {"report_orders"} or tables >= {"report_money"} or tables >= {"report_taxes"}, name
    owed = await steps(busy, reports.read_liabilities)
    assert {step["Index Name"] for step in owed if "Index Name" in step} == {"holds_live"}
    assert whole_reads(owed) & LONG == set()


async def test_counting_half_an_hour_reads_that_half_hour(busy: Any) -> None:
    slot = await busy.fetchval("SELECT max(starts_at) - interval '9 days' FROM report_orders WHERE span = 'slot'")
    end = slot + timedelta(minutes=30)
    for work in (
        partial(sql.count_orders, span="slot", first=slot, end=end, bounds_ms=list(WAIT_BOUNDS_MS)),
        partial(sql.count_money, span="slot", first=slot, end=end),
        partial(sql.count_taxes, span="slot", first=slot, end=end),
    ):  # fmt: skip
        found = await steps(busy, work)
        assert whole_reads(found) & LONG == set()
        for step in found:
            if step.get("Relation Name") in LONG:
                read = step["Actual Rows"] * step["Actual Loops"] + step.get("Rows Removed by Index Recheck", 0)
                assert read < ORDERS / 4, step  # whole ranges of pages


async def test_looking_for_changes_reads_what_has_changed(busy: Any) -> None:
    now = await busy.fetchval("SELECT clock_timestamp()")
    found = await steps(busy, partial(sql.add_touched_due, since=now - timedelta(minutes=2), until=now))
    assert whole_reads(found) & LONG == set()


async def test_the_past_is_told_as_it_was_made(busy: Any, busy_url: str) -> None:
    page = await reports.read_page(Tx(busy), questions(today())["revenue: a year, all of it"])
    assert page.lines[0]["paid"] == await busy.fetchval("SELECT count(*) FROM orders WHERE received_at IS NOT NULL")
    owed = await reports.read_liabilities(Tx(busy))
    told = await reports.read_liabilities(Tx(busy), until=today() + timedelta(days=1))
    assert (owed.available_paise, owed.held_paise) == (told.available_paise, told.held_paise)
