"""Statements that run often, or clean up, find their rows by an index on time: the plan says so, not the clock.

A condition on the clock itself is not looked up in an index, since the clock goes on while the statement runs.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from numberdesk.base.db import Tx
from numberdesk.orders import sql as orders_sql
from numberdesk.providers import sql
from numberdesk.providers.model import ProviderId

pytestmark = pytest.mark.anyio
THE_PROVIDER = ProviderId(1)


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for inner in node.get("Plans", []):
        yield from _nodes(inner)


async def conditions(url: str, table: str, work: Callable[[Tx], Awaitable[object]]) -> list[str]:
    """Return what is looked up in indexes of a table, or of its partitions, where a scan of the whole costs a lot."""
    connection = await asyncpg.connect(url)
    sent: list[Any] = []
    try:
        await connection.execute("SET enable_seqscan = off")
        with connection.query_logger(sent.append):
            await work(Tx(connection))
            await asyncio.sleep(0)
        (record,) = sent
        found = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) {record.query}", *record.args))
    finally:
        await connection.close()
    steps = [node for node in _nodes(found[0]["Plan"]) if "Index Cond" in node]
    return [step["Index Cond"] for step in steps if step["Index Name"].startswith(table)]


async def test_old_transcripts_are_found_without_reading_the_others(admin_url: str) -> None:
    found = await conditions(admin_url, "transcripts", lambda tx: sql.delete_old_transcripts(tx, days=30, limit=1000))
    assert any("at <" in condition and "InitPlan" in condition for condition in found), found


async def test_a_turn_looks_at_the_newest_messages_only(admin_url: str) -> None:
    lately = timedelta(minutes=5)
    found = await conditions(
        admin_url, "inbound_messages", lambda tx: orders_sql.read_turn(tx, THE_PROVIDER, lately=lately)
    )
    assert [("settled_at >" in condition) for condition in found] == [True], found


async def test_what_was_spent_today_is_found_without_reading_every_order(admin_url: str) -> None:
    found = await conditions(admin_url, "orders", lambda tx: sql.list_today(tx))
    assert any("changed_at >=" in condition for condition in found), found
