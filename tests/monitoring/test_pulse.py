"""What a process counted reaches the totals once: later when the database is away, and never twice."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from numberdesk.base import metrics
from numberdesk.base.db import Database, open_database, rows, run, value
from numberdesk.base.errors import Unavailable
from numberdesk.monitoring.service import Heart, beat, servers, stop_beating
from tests.base.proxy import proxied

pytestmark = pytest.mark.anyio

ROUTE = "/counted/by/the/tests"
LABELS = f'{{method="GET",route="{ROUTE}",status="200"}}'


async def told(db: Database) -> float:
    async with db.statement() as tx:
        found = await rows(
            tx, "SELECT value FROM metric_totals WHERE sample = 'numberdesk_requests_total' AND labels = $1", LABELS
        )
    return float(found[0][0]) if found else 0.0


async def test_counts_are_told_once_however_many_tell_them(db: Database) -> None:
    heart = Heart(db)
    for _ in range(7):
        metrics.REQUESTS.count("GET", ROUTE, 200, 0.02)
    await asyncio.gather(*(beat(heart) for _ in range(4)))
    assert await told(db) == 7
    metrics.REQUESTS.count("GET", ROUTE, 200, 40.0)
    await stop_beating(heart)
    assert await told(db) == 8
    async with db.statement() as tx:
        assert await rows(tx, "SELECT * FROM processes WHERE id = $1", heart.id) == []
        slow = await rows(
            tx,
            "SELECT labels, value FROM metric_totals"
            " WHERE sample = 'numberdesk_request_seconds_bucket' AND labels LIKE $1",
            f"%{ROUTE}%",
        )
    places = {labels.rpartition('le="')[2].rstrip('"}'): value for labels, value in slow}
    assert (places["0.01"], places["0.025"], places["30.0"], places["+Inf"]) == (0.0, 7.0, 7.0, 8.0)


async def test_what_the_database_does_not_take_is_told_later(database_url: str, db: Database, run_folder: Path) -> None:
    before = await told(db)
    async with proxied(database_url, run_folder) as proxy:
        away = await open_database(proxy.url, size=2)
        heart = Heart(away)
        await beat(heart)
        before = await told(db)
        metrics.REQUESTS.count("GET", ROUTE, 200, 0.02)
        proxy.refuse_next = 1000
        for writer in list(proxy.writers):
            writer.transport.abort()
        for _ in range(3):
            with pytest.raises(Unavailable):
                await beat(heart)
        proxy.refuse_next = 0
        await beat(heart)
        assert await told(db) == before + 1
        with suppress(Unavailable):
            await away.close()


def test_methods_that_callers_make_up_are_one() -> None:
    for number in range(50):
        metrics.REQUESTS.count(f"MADE{number}", ROUTE, 405, 0.0)
    methods = {
        sample.labels["method"]
        for family in metrics.families()
        for sample in family.samples
        if sample.labels.get("route") == ROUTE
    }
    assert methods <= {"GET", "OTHER"}


async def test_a_process_is_as_old_as_it_says_however_new_its_connections_are(database_url: str, db: Database) -> None:
    server = await open_database(database_url, size=2, name="numberdesk")
    heart = Heart(server)
    await beat(heart)
    async with db.transaction() as tx:
        await run(tx, "UPDATE processes SET started_at = started_at - interval '1 hour' WHERE id = $1", heart.id)
        hour_ago = await value(tx, "SELECT started_at FROM processes WHERE id = $1", heart.id)
    count, since = await servers(db)
    assert count > 0
    assert since is not None
    assert since <= hour_ago
    await stop_beating(heart)
    await server.close()
