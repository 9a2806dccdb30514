"""How the parts are judged, how their minutes are counted, and what the public page says of them."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from numberdesk.base.db import Database, rows, run
from numberdesk.monitoring import sql
from numberdesk.monitoring.model import Day, Part
from numberdesk.monitoring.service import Heart, Judge, Signs, beat, judge, status_of
from tests.catalogue.market import open_market

pytestmark = pytest.mark.anyio

WELL = Signs(
    servers=(("alpha", True, False), ("beta", True, False), ("spare", False, True)),
    web_processes=2, answered=1000, failed=1, overdue_seconds=1, notices_overdue=5, webhooks_overdue=5,
    payments_overdue=5, now=(100, 80), before=(10_000, 8_500),
)  # fmt: skip
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def test_a_service_that_is_well_is_ok_in_all_its_parts() -> None:
    assert dict(judge(WELL)) == dict.fromkeys(
        ("api", "numbers", "codes", "payments", "notices", "webhooks", "server:alpha", "server:beta"), "ok"
    )


@pytest.mark.parametrize(
    ("change", "part", "state"),
    [
        ({"web_processes": 0}, "api", "down"),
        ({"failed": 51}, "api", "degraded"),
        ({"answered": 10, "failed": 10}, "api", "ok"),
        ({"servers": (("alpha", True, True), ("beta", True, False))}, "numbers", "degraded"),
        ({"servers": (("alpha", True, True), ("beta", True, False))}, "server:alpha", "down"),
        ({"servers": (("alpha", True, True), ("beta", True, True), ("c", False, False))}, "numbers", "down"),
        ({"servers": ()}, "numbers", "ok"),
        ({"now": (100, 42)}, "codes", "degraded"),
        ({"now": (100, 43)}, "codes", "ok"),
        ({"now": (100, 0)}, "codes", "down"),
        ({"now": (19, 0)}, "codes", "ok"),
        ({"now": (100, 1), "before": (0, 0)}, "codes", "ok"),
        ({"overdue_seconds": 121}, "codes", "degraded"),
        ({"payments_overdue": 121}, "payments", "degraded"),
        ({"notices_overdue": 601}, "notices", "degraded"),
        ({"webhooks_overdue": 121}, "webhooks", "degraded"),
    ],
)
def test_each_part_is_judged_by_its_signs(change: dict[str, Any], part: str, state: str) -> None:
    assert dict(judge(replace(WELL, **change)))[part] == state


async def move_mark(db: Database, back: timedelta) -> None:
    async with db.transaction() as tx:
        await run(tx, "UPDATE status_mark SET counted_until = counted_until - $1::interval", back)


async def days(db: Database, part: str) -> list[tuple[Any, ...]]:
    async with db.statement() as tx:
        return await rows(tx, "SELECT ok, degraded, down FROM status_days WHERE part = $1 ORDER BY day", part)


async def test_each_minute_is_counted_once_and_minutes_that_nobody_saw_are_down(db: Database) -> None:
    await open_market(db)
    heart = Heart(db)
    heart.has_web = True
    await beat(heart)
    judges = Judge(db), Judge(db)
    await judges[0].look()
    assert await days(db, "api") == []
    await move_mark(db, timedelta(minutes=3))
    for judge_ in judges * 2:
        await judge_.look()
    counted = [sum(column) for column in zip(*await days(db, "api"), strict=True)]
    assert counted in ([3, 0, 0], [4, 0, 0]), "a minute may have passed meanwhile"
    await move_mark(db, timedelta(minutes=60))
    await judges[1].look()
    after = [sum(column) for column in zip(*await days(db, "api"), strict=True)]
    assert 54 <= after[2] <= 56
    assert after[0] + after[2] - counted[0] in (60, 61)
    async with db.statement() as tx:
        assert {part.part: part.state for part in await sql.list_parts(tx)}["api"] == "ok"
        assert not [part for part in await sql.list_parts(tx) if part.part == "server:sandbox"]


async def test_a_state_keeps_the_moment_in_which_it_began(db: Database) -> None:
    looks = Judge(db, grace_seconds=0)
    await looks.look()
    async with db.statement() as tx:
        first = {part.part: part for part in await sql.list_parts(tx)}
    assert first["api"].state == "down", "no web process told of itself"
    await looks.look()
    heart = Heart(db)
    heart.has_web = True
    async with db.statement() as tx:
        again = {part.part: part for part in await sql.list_parts(tx)}
    assert again["api"].since == first["api"].since
    await beat(heart)
    await looks.look()
    async with db.statement() as tx:
        last = {part.part: part for part in await sql.list_parts(tx)}
    assert (last["api"].state, last["api"].since > first["api"].since) == ("ok", True)
    assert last["codes"].since == first["codes"].since


def test_the_page_says_the_worst_of_the_parts_and_down_when_nobody_looks() -> None:
    parts = [
        Part("server:alpha", "down", NOW, NOW), Part("codes", "ok", NOW, NOW), Part("numbers", "degraded", NOW, NOW)
    ]  # fmt: skip
    seen = [Day("codes", date(2026, 4, 30), 1400, 30, 10), Day("codes", date(2026, 5, 1), 720, 0, 0)]
    view = status_of(parts, seen, {}, now=NOW)
    assert view.status == "degraded"
    assert [part.name for part in view.parts] == ["codes", "numbers", "server:alpha"]
    assert [(day.day, day.ok, day.degraded, day.down) for day in view.parts[0].days] == [
        ("2026-04-30", 1400, 30, 10), ("2026-05-01", 720, 0, 0)
    ]  # fmt: skip
    assert view.parts[0].delivery is None
    assert status_of(parts, seen, {}, now=NOW + timedelta(minutes=4)).status == "down"
    sold = {"alpha": (100, 80), "beta": (100, 40)}
    rates = {part.name: part.delivery for part in status_of(parts, seen, sold, now=NOW).parts}
    assert [found and (found.rate, found.n) for found in rates.values()] == [(0.6, 200), None, (0.8, 100)]
    few = status_of(parts, seen, {"alpha": (4, 4)}, now=NOW).parts
    assert [part.delivery for part in few] == [None, None, None], "too few say nothing"
    assert status_of([], [], {}, now=NOW).status == "unknown"
