"""The chain of hashes over the audit log: who changes, removes, adds or reorders a row is seen."""

import asyncio
from typing import Any, LiteralString

import asyncpg
import pytest

from numberdesk.audit import service as audit
from numberdesk.audit.model import ChainCheck, Event
from numberdesk.base.db import Database, DatabaseRefused, run
from tests.postgres import connect_cleaner

pytestmark = pytest.mark.anyio


async def record(db: Database, *actions: str) -> None:
    async with db.transaction() as tx:
        await audit.record(tx, *(Event(action, 5, "person", 6, "203.0.113.9", "r", {"n": 1}) for action in actions))


async def as_owner(admin_url: str, *statements: LiteralString) -> None:
    """Do what only somebody with the whole database in his hands can."""
    connection: Any = await connect_cleaner(admin_url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def written(db: Database) -> ChainCheck:
    await record(db, "one", "two", "three")
    await record(db, "four")
    while await audit.seal(db, limit=2):
        pass
    return await audit.check(db)


async def test_what_is_as_it_was_written_is_whole(db: Database) -> None:
    found = await written(db)
    assert (found.counted, found.breaks, len(found.head)) == (4, [], 64)
    await record(db, "five")
    assert await audit.seal(db) == 1
    later = await audit.check(db, head=found.head)
    assert (later.counted, later.breaks) == (5, [])
    assert later.head != found.head


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("UPDATE audit_log SET action = 'other' WHERE action = 'two'", "row 2 was changed"),
        ("UPDATE audit_log SET details = '{\"n\": 2}' WHERE action = 'two'", "row 2 was changed"),
        ("UPDATE audit_log SET at = at + interval '1 microsecond' WHERE action = 'two'", "row 2 was changed"),
        ("UPDATE audit_log SET actor_id = 7 WHERE action = 'two'", "row 2 was changed"),
        ("UPDATE audit_log SET ip = NULL WHERE action = 'two'", "row 2 was changed"),
        ("DELETE FROM audit_log WHERE action = 'two'", "row 2 is gone"),
        ("DELETE FROM audit_seals WHERE seq = 2", "seals 2 to 2 are gone"),
        ("UPDATE audit_seals SET hash = sha256('x') WHERE seq = 2", "row 2 was changed"),
    ],
)
async def test_any_change_is_named(db: Database, admin_url: str, change: LiteralString, sentence: str) -> None:
    await written(db)
    await as_owner(admin_url, change)
    assert sentence in (await audit.check(db)).breaks


async def test_two_rows_that_change_places_are_seen(db: Database, admin_url: str) -> None:
    await written(db)
    swap: LiteralString = "UPDATE audit_seals SET audit_id = CASE audit_id WHEN 1 THEN 2 ELSE 1 END WHERE audit_id < 3"
    await as_owner(
        admin_url, "ALTER TABLE audit_seals DROP CONSTRAINT audit_seals_once", swap,
        "ALTER TABLE audit_seals ADD CONSTRAINT audit_seals_once UNIQUE (audit_id)",
    )  # fmt: skip
    assert (await audit.check(db)).breaks == ["row 2 was changed", "row 1 was changed"]


async def test_an_end_that_was_cut_off_is_seen_by_a_hash_that_was_noted(db: Database, admin_url: str) -> None:
    found = await written(db)
    await as_owner(admin_url, "DELETE FROM audit_seals WHERE seq = 4", "DELETE FROM audit_log WHERE action = 'four'")
    assert (await audit.check(db)).breaks == []
    (sentence,) = (await audit.check(db, head=found.head)).breaks
    assert found.head in sentence


async def test_a_row_that_never_got_a_seal_is_named_after_a_while(db: Database, admin_url: str) -> None:
    await written(db)
    await record(db, "five")
    assert (await audit.check(db)).breaks == []
    await as_owner(admin_url, "UPDATE audit_log SET at = at - interval '11 minutes' WHERE action = 'five'")
    assert (await audit.check(db)).breaks == ["row 5 has no seal"]


async def test_many_who_seal_at_once_make_one_chain(db: Database) -> None:
    await record(db, *(f"event-{number}" for number in range(40)))
    counts = await asyncio.gather(*(audit.seal(db, limit=10) for _ in range(8)))
    assert sum(counts) == 40
    found = await audit.check(db)
    assert (found.counted, found.breaks) == (40, [])


async def test_a_row_that_is_committed_late_comes_later_in_the_chain(db: Database) -> None:
    async with db.transaction() as late:
        await audit.record(late, Event("late"))
        await record(db, "early")
        assert await audit.seal(db) == 1
    assert await audit.seal(db) == 1
    assert (await audit.check(db)).breaks == []


@pytest.mark.parametrize("table", ["audit_log", "audit_seals"])
async def test_the_application_can_change_nothing_of_it(db: Database, table: str) -> None:
    await written(db)
    for change in ("DELETE FROM audit_log", "DELETE FROM audit_seals", "UPDATE audit_seals SET seq = 9"):
        if table in change:
            with pytest.raises((DatabaseRefused, asyncpg.PostgresError)):
                async with db.statement() as tx:
                    await run(tx, change)
