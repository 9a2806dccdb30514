"""Whether a process can work: the database, the schema, and work that waits for a worker."""

from pathlib import Path
from typing import LiteralString

import pytest

from numberdesk.base import migrate
from numberdesk.base.db import Database, open_database, run
from numberdesk.monitoring.service import readiness
from tests.monitoring.scene import set_scene

pytestmark = pytest.mark.anyio

NOT_YET = "next_try_at = now() + interval '1 hour', expires_at = now() + interval '1 hour', sent_at = now()"


async def change(db: Database, statement: LiteralString) -> None:
    async with db.transaction() as tx:
        await run(tx, statement)


async def overdue(db: Database) -> int:
    return (await readiness(db)).overdue_seconds


@pytest.fixture
async def busy(db: Database) -> Database:
    """A database with an order of each kind, of which nothing is due."""
    await set_scene(db)
    await change(db, f"UPDATE orders SET {NOT_YET} WHERE ended_at IS NULL")
    await change(db, "UPDATE orphans SET next_try_at = NULL")
    await change(db, "UPDATE providers SET watched_until = now() + interval '1 hour'")
    return db


async def test_without_a_database_nothing_is_ready(database_url: str) -> None:
    db = await open_database(database_url, size=1)
    await db.close()
    found = await readiness(db)
    assert (found.database, found.migrations) == (False, "unknown")


async def test_a_schema_of_another_version_is_told(db: Database, tmp_path: Path) -> None:
    for path in migrate.folder().glob("*.sql"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "9999_later.sql").write_text("SELECT 1;\n", encoding="utf-8")
    found = await readiness(db, folder=tmp_path)
    assert found.database
    assert "9999_later" in found.migrations


async def test_an_empty_database_is_ready_and_nothing_is_due(db: Database) -> None:
    found = await readiness(db)
    assert (found.database, found.migrations, found.overdue_seconds) == (True, "ok", 0)


async def test_work_that_is_not_due_yet_is_not_overdue(busy: Database) -> None:
    assert await overdue(busy) == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE orders SET next_try_at = now() - interval '90 s' WHERE state = 'cancelling'",
        "UPDATE orders SET state = 'expiring', next_try_at = now() - interval '90 s' WHERE state = 'cancelling'",
        "UPDATE orders SET expires_at = now() - interval '90 s' WHERE state = 'active'",
        "UPDATE orders SET expires_at = now() - interval '90 s' WHERE state = 'received'",
        "INSERT INTO orphans (provider_id, upstream_id, next_try_at)"
        " SELECT id, 'lost', now() - interval '90 s' FROM providers LIMIT 1",
        "UPDATE orders SET sent_at = now() - interval '1 day' WHERE ended_at IS NULL;"
        "UPDATE providers SET watched_until = now() - interval '90 s'",
        "UPDATE orders SET sent_at = now() - interval '90 s' WHERE state = 'requested';"
        "UPDATE providers SET watched_until = NULL",
        "UPDATE orders SET sent_at = now() - interval '90 s' WHERE state = 'requested';"
        "UPDATE providers SET watched_until = now() - interval '1 day'",
        "INSERT INTO recharges (ref, account_id, method, rail, requested_paise, payable_paise, status, expires_at)"
        " SELECT 'RCnew', id, 'upi', 'razorpay', 1, 1, 'awaiting_payment', now() - interval '90 s'"
        " FROM accounts LIMIT 1",
        "INSERT INTO webhook_events (gateway, event_id, kind, body_sha256, due_at)"
        " VALUES ('razorpay', 'e', 'k', '', now() - interval '90 s')",
        "INSERT INTO vpas (vpa, payee_name, kind) VALUES ('late@okbank', 'A', 'personal');"
        "INSERT INTO statements (vpa_id, profile, name, sha256, rows_total, due_at)"
        " SELECT max(id), 'generic', 'x', '', 1, now() - interval '90 s' FROM vpas",
    ],
)
async def test_the_oldest_due_work_shows_that_no_worker_does_it(busy: Database, statement: LiteralString) -> None:
    await change(busy, statement)
    assert 90 <= await overdue(busy) < 100


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE orders SET next_try_at = now() - interval '90 s' WHERE state IN ('active', 'received', 'unknown')",
        "UPDATE orders SET expires_at = now() - interval '90 s' WHERE state IN ('completed', 'cancelled', 'expired')",
        "UPDATE orders SET ended_at = now(), state = 'failed' WHERE ended_at IS NULL;"
        "UPDATE providers SET watched_until = NULL",
    ],
)
async def test_what_a_worker_has_no_part_in_is_not_overdue(busy: Database, statement: LiteralString) -> None:
    await change(busy, statement)
    assert await overdue(busy) == 0
