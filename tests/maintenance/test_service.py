"""Windows: what may be planned, who is first, what a window covers, and that each is told once."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from numberdesk.base import clock
from numberdesk.base.db import Database, run, value
from numberdesk.base.errors import InvalidFields, NotFound
from numberdesk.maintenance import service as maintenance
from numberdesk.maintenance.model import CLOSES, Change, Intent, NewWindow, Window, WindowId
from numberdesk.maintenance.service import Closed, Overlaps, Switches, WindowChanged, WindowOver

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)


async def opened(db: Database, area: Any = "recharge", **more: Any) -> Window:
    async with db.transaction() as tx:
        return await maintenance.open_window(tx, NewWindow(area, "We work on it.", **more))


async def ended(db: Database, window: Window, version: int | None = None) -> Window:
    async with db.transaction() as tx:
        return (await maintenance.end_window(tx, window.id, version=version or window.version))[1]


async def is_closed(db: Database, intent: Intent, switches: Switches | None = None) -> bool:
    async with db.transaction() as tx:
        return (await maintenance.find_closed(tx, switches or Switches(), [intent]))[0] is not None


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"kind": "scheduled"}, "endsAt"),
        ({"ends_at": -HOUR}, "endsAt"),
        ({"starts_at": HOUR, "ends_at": HOUR}, "endsAt"),
        ({"starts_at": 2 * HOUR, "ends_at": HOUR}, "endsAt"),
        ({"starts_at": -HOUR, "ends_at": HOUR, "kind": "scheduled"}, "startsAt"),
        ({"starts_at": HOUR, "ends_at": 800 * HOUR, "kind": "scheduled"}, "endsAt"),
        ({"target": "tg"}, "target"),
        ({"area": "service"}, "target"),
        ({"allowed": tuple(range(1, 200))}, "allowed"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_field(db: Database, wanted: dict[str, Any], field: str) -> None:
    now = clock.now()
    wanted = {name: now + item if isinstance(item, timedelta) else item for name, item in wanted.items()}
    with pytest.raises(InvalidFields) as problem:
        await opened(db, **wanted)
    assert list(problem.value.fields) == [field]
    assert await maintenance.list_current(db) == []


@pytest.mark.parametrize("message", ["", "  ", "x" * 501])
async def test_customers_are_told_why(db: Database, message: str) -> None:
    async with db.transaction() as tx:
        with pytest.raises(InvalidFields, match="customers read it"):
            await maintenance.open_window(tx, NewWindow("master", message))


async def test_windows_of_one_kind_and_place_never_overlap_and_may_touch(db: Database) -> None:
    start = clock.now() + HOUR
    first = await opened(db, "service", target="tg", kind="scheduled", starts_at=start, ends_at=start + HOUR)
    for shift in (timedelta(0), HOUR / 2, -HOUR / 2):
        with pytest.raises(Overlaps) as problem:
            await opened(
                db, "service", target="tg", kind="scheduled", starts_at=start + shift, ends_at=start + shift + HOUR
            )
        assert problem.value.window == first.id
    await opened(db, "service", target="tg", kind="scheduled", starts_at=start + HOUR, ends_at=start + 2 * HOUR)
    await opened(db, "service", target="wa", kind="scheduled", starts_at=start, ends_at=start + HOUR)
    emergency = await opened(db, "service", target="tg")
    with pytest.raises(Overlaps):
        await opened(db, "service", target="tg")
    await ended(db, emergency)
    await opened(db, "service", target="tg")


async def test_of_many_who_close_the_same_at_once_one_does(db: Database) -> None:
    answers = await asyncio.gather(*(opened(db, "master") for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(answer, Window) for answer in answers) == 1
    assert sum(isinstance(answer, Overlaps) for answer in answers) == 7


async def test_of_two_who_change_a_window_at_once_the_second_is_told(db: Database) -> None:
    window = await opened(db)
    change = Change("Longer than we thought.", None, ())

    async def changed() -> Window:
        async with db.transaction() as tx:
            return (await maintenance.change_window(tx, window.id, change, version=window.version))[1]

    answers = await asyncio.gather(changed(), changed(), ended(db, window), return_exceptions=True)
    assert sum(isinstance(answer, Window) for answer in answers) == 1
    assert sum(isinstance(answer, WindowChanged | WindowOver) for answer in answers) == 2


async def test_what_is_over_or_unknown_is_not_changed(db: Database) -> None:
    window = await ended(db, await opened(db))
    with pytest.raises(WindowOver):
        await ended(db, window)
    with pytest.raises(NotFound):
        await ended(db, Window(**{**_fields(window), "id": WindowId(999)}))


def _fields(window: Window) -> dict[str, Any]:
    return {name: getattr(window, name) for name in Window.__slots__}


async def test_a_planned_window_is_called_off_and_never_closes(db: Database) -> None:
    start = clock.now() + HOUR
    window = await opened(db, kind="scheduled", starts_at=start, ends_at=start + HOUR)
    after = await ended(db, window)
    assert (after.cancelled_at is not None, after.ends_at) == (True, window.ends_at)
    assert await maintenance.list_current(db) == []
    async with db.transaction() as tx:
        assert await maintenance.take_news(tx) == []


async def test_a_window_is_half_open(db: Database) -> None:
    start = clock.now() + HOUR
    window = await opened(db, kind="scheduled", starts_at=start, ends_at=start + HOUR)
    moment = timedelta(microseconds=1)
    assert [window.is_running(at) for at in (start - moment, start, start + HOUR - moment, start + HOUR)] == [
        False,
        True,
        True,
        False,
    ]


PLACES = [
    ("master", None), ("auth", None), ("recharge", None), ("support", None),
    ("server", "3"), ("server", "4"), ("service", "tg"), ("service", "wa"), ("country", "22"), ("country", "6"),
]  # fmt: skip


@pytest.mark.parametrize(("area", "target"), PLACES)
@pytest.mark.parametrize("doing", ["buy", "extend", "recharge", "register", "login", "ask"])
async def test_an_area_closes_its_own_and_nothing_else(db: Database, area: Any, target: str | None, doing: Any) -> None:
    await opened(db, area, target=target, allowed=(7,))
    closes = doing in CLOSES[area] and target in (None, "3", "tg", "22")
    assert await is_closed(db, Intent(doing, 5, 3, "tg", 22)) is closes
    assert not await is_closed(db, Intent(doing, 7, 3, "tg", 22)), "it is on the list"


async def test_the_door_learns_within_a_look_and_the_transaction_at_once(db: Database) -> None:
    switches = Switches()
    await maintenance.refresh(db, switches)
    window, intent = await opened(db), Intent("recharge", 5)
    maintenance.refuse(switches, intent)  # not known here yet
    assert await is_closed(db, intent, switches)
    await maintenance.refresh(db, switches)
    with pytest.raises(Closed) as problem:
        maintenance.refuse(switches, intent)
    assert (problem.value.area, problem.value.retry_seconds()) == ("recharge", 60)
    await ended(db, window)
    assert not await is_closed(db, intent, switches)
    await maintenance.refresh(db, switches)
    assert switches.windows == ()


async def test_nothing_is_closed_between_the_look_and_the_commit(db: Database) -> None:
    async with db.transaction() as tx:
        await maintenance.refuse_in(tx, Switches(), Intent("recharge", 5))
        closing = asyncio.create_task(opened(db))
        await asyncio.sleep(0.2)
        assert not closing.done(), "it waits for those who looked"
    assert (await closing).area == "recharge"


async def test_start_and_end_are_told_once(db: Database) -> None:
    window = await opened(db)

    async def news() -> list[tuple[int, bool]]:
        async with db.transaction() as tx:
            return [(item.window.id, item.is_over) for item in await maintenance.take_news(tx)]

    assert await news() == [(window.id, False)]
    assert await news() == []
    await ended(db, window)
    seen = await asyncio.gather(*(news() for _ in range(4)))
    assert sorted(item for part in seen for item in part) == [(window.id, True)]
    assert await news() == []


async def test_what_was_not_told_because_the_transaction_failed_is_told_later(db: Database) -> None:
    window = await opened(db)

    async def cut_off() -> None:
        async with db.transaction() as tx:
            assert len(await maintenance.take_news(tx)) == 1
            raise RuntimeError("cut off")

    with pytest.raises(RuntimeError, match="cut off"):
        await cut_off()
    async with db.transaction() as tx:
        assert [item.window.id for item in await maintenance.take_news(tx)] == [window.id]


async def test_a_client_is_told_when_to_come_back(db: Database) -> None:
    window = await opened(db, ends_at=clock.now() + timedelta(minutes=10))
    async with db.transaction() as tx:
        (closed,) = await maintenance.find_closed(tx, Switches(), [Intent("recharge")])
    assert closed is not None
    assert 590 <= closed.retry_seconds() <= 601
    assert closed.details() == {"area": "recharge", "target": None, "ends_at": window.ends_at}
    async with db.statement() as tx:
        await run(tx, "UPDATE maintenance_windows SET ends_at = clock_timestamp() + interval '3 days'")
        assert await value(tx, "SELECT count(*) FROM maintenance_windows") == 1
    async with db.transaction() as tx:
        (closed,) = await maintenance.find_closed(tx, Switches(), [Intent("recharge")])
    assert closed is not None
    assert closed.retry_seconds() == 3600
