"""Counts of what came of calls, by hour and kind, and words that no list knows."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from numberdesk.base.db import Database
from numberdesk.providers import service as providers
from numberdesk.providers.model import Refused, Rented, Unknown
from numberdesk.providers.service._verdicts import UNLISTED
from numberdesk.providers.simulator import PROFILES
from tests.breakers import force_breaker
from tests.providers.gate_desk import DEADLINE_MS, Gated, gated
from tests.providers.line_desk import COST, told, wanted

pytestmark = pytest.mark.anyio


async def counted(desk: Gated) -> dict[tuple[str, str], int]:
    """Write what gathered in all processes, and read the counts of the last day."""
    await desk.spread()
    found: dict[tuple[str, str], int] = {}
    for item in await providers.list_calls(desk.db, provider_id=desk.id):
        found[item.action, item.outcome] = found.get((item.action, item.outcome), 0) + item.calls
    return found


async def test_counts_of_all_processes_add_up_to_the_calls_that_were_made(db: Database, admin_url: str) -> None:
    async with gated(db, admin_url, processes=2) as desk:
        for process in (0, 1, 1):
            sold = await desk.buy(process)
            assert isinstance(sold, Rented)
            await providers.look(desk.processes[process], desk.id, sold.upstream_id)
        dear = wanted(ceiling=COST - 1, reference="9-1")
        assert isinstance(await providers.rent(desk.lines, desk.id, dear), Refused)
        first = {("rent", "rented"): 3, ("look", "waiting"): 3, ("rent", "refused_price_changed"): 1}
        assert await counted(desk) == first
        await desk.buy()
        await providers.balance(desk.lines, desk.id)
        assert await counted(desk) == first | {("rent", "rented"): 4, ("balance", "told"): 1}
        assert await counted(desk) == first | {("rent", "rented"): 4, ("balance", "told"): 1}


async def test_flushes_at_the_same_moment_lose_no_count(db: Database, admin_url: str) -> None:
    async with gated(db, admin_url, processes=4) as desk:
        for _ in range(5):
            await asyncio.gather(*(desk.buy(process) for process in range(4)))
            await asyncio.gather(*(providers.flush(lines) for lines in desk.processes for _ in range(2)))
        assert await counted(desk) == {("rent", "rented"): 20}


async def test_an_unknown_outcome_is_counted_by_its_kind_and_a_refusal_of_ours_too(
    db: Database, admin_url: str
) -> None:
    async with gated(db, admin_url) as desk:
        hung = replace(PROFILES["never"], answer_delay=DEADLINE_MS / 1000 * 3)
        for profile in (hung, "http-500", "dropped-not-sold", "redirect"):
            await desk.fail(profile, times=1)
        async with told(b"SOMETHING_STRANGE") as server:
            await providers.set_options(db, desk.id, url=server.url)
            await desk.spread()
            assert isinstance(await desk.buy(), Unknown)
        await providers.set_options(db, desk.id, url="http://127.0.0.1:1")
        await desk.spread()
        await desk.buy()
        await force_breaker(db, desk.id, "open", "enough")
        await desk.spread()
        await desk.buy()
        assert await counted(desk) == {
            ("rent", f"unknown_{kind}"): 1 for kind in ("late", "http_5xx", "cut", "unreadable", "unlisted")
        } | {("rent", "refused_unreachable"): 1, ("rent", "refused_breaker_open"): 1}


async def test_counts_know_how_long_calls_took_and_which_hour_it_was(db: Database, admin_url: str) -> None:
    async with gated(db, admin_url) as desk:
        desk.upstream.set_profile(replace(PROFILES["never"], answer_delay=0.05))
        await desk.buy()
        await desk.spread()
        (row,) = await providers.list_calls(db)
        assert 50 <= row.took_ms < 10 * DEADLINE_MS
        assert (row.hour.minute, row.hour.second) == (0, 0)
        await desk.backstage.execute("UPDATE provider_calls SET hour = hour - interval '3 hours'")
        assert await providers.list_calls(db, back=timedelta(hours=1)) == []
        assert len(await providers.list_calls(db)) == 1


async def test_a_word_that_no_list_knows_is_told_to_staff_once_a_day(db: Database, admin_url: str) -> None:
    async with gated(db, admin_url, processes=2) as desk, told(b"NEW_WORD_FOR_IT") as server:
        await providers.set_options(db, desk.id, url=server.url)
        await desk.spread()
        for process in (0, 0, 1):
            assert isinstance(await desk.buy(process), Unknown)
        await desk.spread()
        (alert,) = await providers.list_alerts(db)
        assert alert.kind == "unknown_word"
        assert alert.detail == 'The answer to "rent" was a word that no list knows: NEW_WORD_FOR_IT'
        await desk.buy()
        await desk.spread()
        assert (await providers.list_alerts(db))[0].seen_at == alert.seen_at
        assert await desk.backstage.fetchval("SELECT times FROM provider_unknown_words") == 4
        await desk.backstage.execute("UPDATE provider_unknown_words SET told_at = told_at - interval '1 day'")
        await desk.buy()
        await desk.spread()
        assert (await providers.list_alerts(db))[0].seen_at > alert.seen_at


async def test_an_alert_on_words_ends_when_nobody_said_one_for_a_day(db: Database, admin_url: str) -> None:
    async with gated(db, admin_url) as desk, told(b"NEW_WORD_FOR_IT") as server:
        await providers.set_options(db, desk.id, url=server.url)
        await desk.spread()
        await desk.buy()
        await desk.spread()
        await providers.forget_calls(db)
        assert len(await providers.list_alerts(db)) == 1
        await desk.backstage.execute("UPDATE provider_unknown_words SET seen_at = seen_at - interval '1 day'")
        await providers.forget_calls(db)
        assert await providers.list_alerts(db) == []


async def test_new_words_without_end_are_bounded(db: Database, admin_url: str) -> None:
    async with gated(db, admin_url) as desk:
        line = desk.lines.by_id[desk.id]
        for number in range(1000):
            word = "WORD_" + "".join(chr(65 + int(digit)) for digit in str(number))
            desk.lines.gate.keep(line, "rent", Unknown("", word), [], UNLISTED)
        await desk.spread()
        assert await desk.backstage.fetchval("SELECT count(*) FROM provider_unknown_words") == 20
