"""Syncing: what is listed is taken over in steps, a list that lost nearly all is not believed, and one does it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from numberdesk.base.db import Database
from numberdesk.base.errors import NotFound
from numberdesk.catalogue import jobs
from numberdesk.catalogue import service as catalogue
from numberdesk.catalogue.model import Progress, Sync
from numberdesk.providers import service as providers
from numberdesk.providers.model import ProviderId
from tests.catalogue.lister import Listed, Scene, opened

pytestmark = pytest.mark.anyio


@pytest.fixture
async def scene(db: Database, admin_url: str) -> AsyncIterator[Scene]:
    async with opened(db, admin_url) as scene:
        yield scene


async def syncs(scene: Scene) -> list[Sync]:
    return await catalogue.list_syncs(scene.db, scene.provider_id)


async def refused(scene: Scene, listed: Listed | None = None) -> str:
    with pytest.raises(catalogue.SyncFailed) as failed:
        await scene.sync(listed)
    return str(failed.value)


async def test_what_is_listed_is_taken_over_and_written_down(scene: Scene) -> None:
    listed = scene.many(4_500)
    report = await scene.sync(listed)
    assert (report.added, report.changed, report.gone) == (4_500, 0, 0)
    assert await scene.rows() == listed
    others = scene.many(4_400, stock=0) | scene.many(3_000) | scene.many(2_500, paise=999)
    version = await scene.version()
    report = await scene.sync(others)
    assert (report.added, report.changed, report.gone) == (0, 3_900, 100)
    assert await scene.rows() == dict.fromkeys(listed, (1_000, 0)) | others
    assert await scene.version() == version + 1
    last, first = await syncs(scene)
    assert (last.state, last.step, last.done, last.total) == ("done", "done", 4_000, 4_000)
    assert (last.added, last.changed, last.gone, last.detail) == (0, 3_900, 100, "")
    assert (first.state, first.added) == ("done", 4_500)
    assert await scene.backstage.fetchval("SELECT synced_at > started_at FROM providers, catalogue_syncs") is True


async def test_the_same_list_again_writes_no_offer_and_wakes_nobody(scene: Scene) -> None:
    await scene.sync(scene.many(100))
    query = "SELECT max(observed_at), (SELECT version FROM catalogue_version) FROM offers"
    before = tuple(await scene.backstage.fetchrow(query))
    report = await scene.sync()
    assert (report.added, report.changed, report.gone) == (0, 0, 0)
    assert tuple(await scene.backstage.fetchrow(query)) == before


async def test_progress_is_told_and_stands_in_the_row(scene: Scene) -> None:
    scene.lister.list(scene.many(4_500))
    told: list[Progress] = []
    await catalogue.sync(scene.db, scene.lines, scene.provider_id, on_progress=told.append)
    assert [(item.step, item.done, item.total) for item in told] == [
        ("reading", 0, 0),
        *(("comparing", done, 4_500) for done in (0, 2_000, 4_000, 4_500)),
        *(("writing", done, 4_500) for done in (0, 2_000, 4_000, 4_500)),
        ("done", 1, 1),
    ]
    seen: list[tuple[str, str, int]] = []
    scene.lister.list(scene.many(4_500, paise=2_000))

    def look(progress: Progress) -> None:
        if progress.step == "writing":
            looks.append(asyncio.ensure_future(read()))

    async def read() -> None:
        seen.extend((row.state, row.step, row.done) for row in (await syncs(scene))[:1])

    looks: list[asyncio.Future[None]] = []
    await catalogue.sync(scene.db, scene.lines, scene.provider_id, on_progress=look)
    await asyncio.gather(*looks)
    assert ("running", "writing", 2_000) in seen


async def test_only_the_last_twenty_are_kept(scene: Scene) -> None:
    for count in range(25):
        await scene.sync(scene.many(count + 1))
    found = await syncs(scene)
    assert [item.added for item in found] == [1] * 20
    assert await scene.backstage.fetchval("SELECT count(*) FROM catalogue_syncs") == 20


async def test_a_provider_without_a_line_is_not_found_and_leaves_no_row(scene: Scene) -> None:
    with pytest.raises(NotFound):
        await catalogue.sync(scene.db, scene.lines, ProviderId(99))
    assert await scene.backstage.fetchval("SELECT count(*) FROM catalogue_syncs") == 0


async def test_what_our_lists_do_not_know_is_kept_and_not_sold(scene: Scene) -> None:
    known = scene.many(3)
    report = await scene.sync(known | {("zznew", 22): (100, 1), ("tg", 99_999): (100, 1)})
    assert (report.unmapped_services, report.unmapped_countries) == (("zznew",), ("99999",))
    assert await scene.rows() == known
    found = await catalogue.list_words(scene.db, scene.provider_id)
    assert [(item.kind, item.word) for item in found.unmapped] == [("country", "99999"), ("service", "zznew")]
    (last,) = await syncs(scene)
    assert (last.unmapped_services, last.unmapped_countries) == (1, 1)
    await scene.sync(known)
    assert (await catalogue.list_words(scene.db, scene.provider_id)).unmapped == []


@pytest.mark.parametrize("few", [0, 3, 19])
async def test_a_list_that_lost_nearly_all_is_refused_told_and_later_believed(scene: Scene, few: int) -> None:
    listed = scene.many(100)
    await scene.sync(listed)
    reason = await refused(scene, scene.many(few))
    assert f"lists {few} offers in stock that we know, where it had 100. Nothing was changed." in reason
    assert await scene.rows() == listed
    assert await scene.alerts() == [reason]
    (last, _) = await syncs(scene)
    assert (last.state, last.detail) == ("failed", reason)
    await scene.age(590)
    await refused(scene)
    await scene.age(20)
    report = await scene.sync()
    assert report.gone == 100 - few
    assert await scene.stocked() == scene.many(few)
    assert await scene.alerts() == []


async def test_another_short_list_later_is_not_believed_for_the_first_one(scene: Scene) -> None:
    await scene.sync(scene.many(100))
    await refused(scene, scene.many(3))
    await scene.age(3_600)
    await refused(scene, scene.many(2))
    assert len(await scene.stocked()) == 100


async def test_a_good_list_in_between_begins_anew(scene: Scene) -> None:
    await scene.sync(scene.many(100))
    await refused(scene, scene.many(3))
    await scene.sync(scene.many(99))
    assert await scene.alerts() == []
    await scene.age(3_600)
    await refused(scene, scene.many(3))
    assert len(await scene.stocked()) == 99


async def test_a_fifth_of_what_there_was_and_a_small_catalogue_are_believed(scene: Scene) -> None:
    await scene.sync(scene.many(100))
    await scene.sync(scene.many(50) | dict.fromkeys(scene.pairs[20:100], (1000, 0)) | scene.many(20))
    assert len(await scene.stocked()) == 20
    await scene.sync(scene.many(50))
    await scene.sync({})
    assert await scene.stocked() == {}


async def test_force_believes_a_short_list_at_once(scene: Scene) -> None:
    await scene.sync(scene.many(100))
    await refused(scene, {})
    await scene.sync(force=True)
    assert await scene.stocked() == {}
    assert await scene.alerts() == []
    assert [item.is_forced for item in await syncs(scene)] == [True, False, False]


async def test_an_unreadable_answer_changes_nothing_and_is_told_when_it_lasts(scene: Scene) -> None:
    listed = scene.many(10)
    await scene.sync(listed)
    scene.lister.body = b"<html>"
    for alerts in (0, 0, 1):
        reason = await refused(scene)
        assert reason.startswith("lister does not tell its prices: ")
        assert len(await scene.alerts()) == alerts
    assert await scene.rows() == listed
    await scene.sync(listed)
    assert await scene.alerts() == []


@pytest.mark.parametrize("at", [2_000, 4_000])
@pytest.mark.parametrize("step", ["comparing", "writing"])
async def test_cancelled_between_two_chunks_and_run_again_it_leaves_the_same(scene: Scene, step: str, at: int) -> None:
    await scene.sync(scene.many(6_000))
    listed = scene.many(5_000, paise=1_234)
    scene.lister.list(listed)
    version = await scene.version()

    def stop(progress: Progress) -> None:
        if (progress.step, progress.done) == (step, at):
            task.cancel()

    task = asyncio.ensure_future(catalogue.sync(scene.db, scene.lines, scene.provider_id, on_progress=stop))
    with pytest.raises(asyncio.CancelledError):
        await task
    half = sum(asked == (1_234, 5) for asked in (await scene.rows()).values())
    assert half == (0 if step == "comparing" else at)
    assert len(await scene.stocked()) == 6_000
    assert await scene.version() == version
    (last, _) = await syncs(scene)
    assert (last.state, last.detail) == ("failed", "It was stopped by CancelledError.")
    report = await scene.sync()
    assert (report.changed, report.gone) == (5_000 - half, 1_000)
    assert await scene.stocked() == listed


async def test_a_process_that_is_gone_is_followed_by_the_next_when_its_lease_is_over(scene: Scene) -> None:
    scene.lister.list(scene.many(10))
    (turn,) = await catalogue.take_turns(scene.db, scene.lines, limit=4)
    assert await catalogue.take_turns(scene.db, scene.lines, limit=4) == []
    with pytest.raises(catalogue.SyncRunning):
        await scene.sync()
    await scene.age(200)
    await scene.sync()
    assert [(item.state, item.detail) for item in await syncs(scene)] == [
        ("done", ""),
        ("failed", "It was cut off: its process is gone."),
    ]
    # It was only slow: what it would write now is not its to write any more.
    scene.lister.list(scene.many(5))
    with pytest.raises(catalogue.SyncFailed, match="Another process took over"):
        await catalogue.carry_out(scene.db, scene.lines, turn)
    assert len(await scene.stocked()) == 10


async def test_of_syncs_at_the_same_time_one_is_done_and_the_others_are_refused(scene: Scene) -> None:
    listed = scene.many(100)
    scene.lister.list(listed)
    # The one that began goes on when the others have their answer.
    scene.lister.gate.clear()
    begun = [asyncio.ensure_future(scene.sync()) for _ in range(4)]
    while sum(sync.done() for sync in begun) < 3:
        await asyncio.wait([sync for sync in begun if not sync.done()], return_when=asyncio.FIRST_COMPLETED)
    scene.lister.gate.set()
    results = await asyncio.gather(*begun, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["SyncReport", *["SyncRunning"] * 3]
    assert (await scene.rows(), scene.lister.asked) == (listed, 1)


async def test_of_many_workers_one_syncs_a_provider(scene: Scene) -> None:
    scene.lister.list(scene.many(10))
    others = [await providers.open_lines(scene.db, scene.vault) for _ in range(3)]
    try:
        done = await asyncio.gather(*(jobs.sync_due(scene.db, lines) for lines in [scene.lines, *others]))
    finally:
        await asyncio.gather(*map(providers.close, others))
    assert sorted(done) == [0, 0, 0, 1]
    assert (scene.lister.asked, len(await syncs(scene))) == (1, 1)


async def test_a_provider_is_due_again_after_its_interval_and_one_that_is_off_never(scene: Scene) -> None:
    await providers.set_options(scene.db, scene.provider_id, sync_every_ms=60_000)
    scene.lister.list(scene.many(10))
    assert await jobs.sync_due(scene.db, scene.lines) == 1
    assert await jobs.sync_due(scene.db, scene.lines) == 0
    await scene.age(55)
    assert await jobs.sync_due(scene.db, scene.lines) == 0
    await scene.age(10)
    assert await jobs.sync_due(scene.db, scene.lines) == 1
    await providers.set_options(scene.db, scene.provider_id, is_on=False)
    await scene.age(3_600)
    assert await jobs.sync_due(scene.db, scene.lines) == 0


async def test_after_failures_each_try_comes_later_up_to_a_quarter_of_an_hour(scene: Scene) -> None:
    await providers.set_options(scene.db, scene.provider_id, sync_every_ms=10_000)
    scene.lister.body = b"<html>"
    assert await jobs.sync_due(scene.db, scene.lines) == 1
    for pause in (30, 60, 120, 240, 480, 900, 900):
        await scene.age(pause - 5)
        assert await jobs.sync_due(scene.db, scene.lines) == 0
        await scene.age(10)
        assert await jobs.sync_due(scene.db, scene.lines) == 1
    scene.lister.list(scene.many(10))
    await scene.age(910)
    await jobs.sync_due(scene.db, scene.lines)
    await scene.age(11)
    assert await jobs.sync_due(scene.db, scene.lines) == 1


async def test_what_staff_ask_for_is_done_once_and_at_once_even_when_it_is_off(scene: Scene) -> None:
    await scene.sync(scene.many(100))
    await providers.set_options(scene.db, scene.provider_id, is_on=False)
    scene.lister.list({})
    for force in (False, True, False):
        async with scene.db.transaction() as tx:
            await catalogue.ask_for_sync(tx, provider_id=scene.provider_id, force=force)
    assert await jobs.sync_due(scene.db, scene.lines) == 1
    assert await jobs.sync_due(scene.db, scene.lines) == 0
    (last, _) = await syncs(scene)
    assert (last.state, last.is_forced) == ("done", True)
    assert await scene.stocked() == {}
