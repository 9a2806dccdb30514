"""The gate before purchases: a provider that fails is left alone by every process, and tried again by itself."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from numberdesk.base.db import Database, open_database
from numberdesk.base.errors import InvalidFields, NotFound
from numberdesk.providers import service as providers
from numberdesk.providers.model import ActiveList, ProviderId, Refused, Rented, Unknown, Waiting
from numberdesk.providers.simulator import PROFILES
from tests.breakers import force_breaker
from tests.providers.gate_desk import DEADLINE_MS, SHUT, gated
from tests.providers.line_desk import told, wanted

pytestmark = pytest.mark.anyio

HUNG = replace(PROFILES["slow"], answer_delay=DEADLINE_MS / 1000 * 3, fault_on="purchases")
CUT = PROFILES["dropped-not-sold"]
PURCHASES_500 = replace(PROFILES["http-500"], fault_on="purchases")


@pytest.mark.parametrize(
    "profile", [HUNG, PURCHASES_500, CUT, "redirect", "big-body"], ids=lambda profile: getattr(profile, "name", profile)
)
async def test_after_five_failures_the_next_purchase_is_refused_and_nothing_leaves(
    db: Database, admin_url: str, profile: Any
) -> None:
    async with gated(db, admin_url) as desk:
        answers = await desk.fail(profile)
        assert {type(answer) for answer in answers} == {Unknown}
        asked = desk.upstream.asked
        with capture_logs() as logged:
            assert [await desk.buy() for _ in range(20)] == [SHUT] * 20
        assert (desk.upstream.asked, logged) == (asked, [])
        assert providers.health(desk.lines, desk.id).is_shut


async def test_a_provider_that_cannot_be_reached_is_shut_too(db: Database, admin_url: str) -> None:
    async with gated(db, admin_url) as desk:
        await providers.set_options(db, desk.id, url="http://127.0.0.1:1")
        await desk.spread()
        answers = [await desk.buy() for _ in range(6)]
        reasons = [answer.reason for answer in answers if isinstance(answer, Refused)]
        assert reasons == ["unreachable"] * 5 + ["breaker_open"]


async def test_words_whether_known_or_not_are_no_failure(db: Database, admin_url: str) -> None:
    async with gated(db, admin_url) as desk:
        for profile, kind in (("no-stock", Refused), ("error-word", Unknown)):
            desk.upstream.set_profile(profile)
            assert kind in {type(await desk.buy()) for _ in range(30)}
        assert providers.health(desk.lines, desk.id).state == "closed"
        desk.upstream.set_profile("never")
        assert isinstance(await desk.buy(), Rented)


@pytest.mark.parametrize("body", [b"BAD_KEY", b"WAIT_A_LITTLE_PLEASE", b'{"message": "come back tomorrow"}', b"Sorry."])
async def test_an_answer_in_whatever_words_is_no_failure(db: Database, admin_url: str, body: bytes) -> None:
    async with gated(db, admin_url) as desk, told(body) as server:
        await providers.set_options(db, desk.id, url=server.url)
        await desk.spread()
        for _ in range(12):
            await desk.buy()
        assert len(server.queries) == 12
        assert not providers.health(desk.lines, desk.id).is_shut


@pytest.mark.parametrize(
    "body", [b"", b"<html>Just a moment...</html>", b'{"activationId": 7', b"\xff\xfe\x00", b"a" * 999]
)
async def test_an_answer_that_cannot_be_read_is_a_failure(db: Database, admin_url: str, body: bytes) -> None:
    async with gated(db, admin_url) as desk, told(body) as server:
        await providers.set_options(db, desk.id, url=server.url)
        await desk.spread()
        assert [type(await desk.buy()) for _ in range(6)] == [Unknown] * 5 + [Refused]
        assert len(server.queries) == 5


async def test_while_it_is_shut_everything_but_buying_goes_on(db: Database, admin_url: str) -> None:
    async with gated(db, admin_url) as desk:
        sold = await desk.buy()
        assert isinstance(sold, Rented)
        await desk.fail()
        assert await desk.buy() == SHUT
        assert await providers.look(desk.lines, desk.id, sold.upstream_id) == Waiting()
        assert isinstance(await providers.active(desk.lines, desk.id), ActiveList)
        assert isinstance(await providers.balance(desk.lines, desk.id), int)
        for step in (providers.another_code, providers.cancel, providers.finish):
            assert not isinstance(await step(desk.lines, desk.id, sold.upstream_id), Unknown)
        assert await desk.buy() == SHUT


async def test_another_process_follows_and_staff_are_told_once(db: Database, admin_url: str) -> None:
    async with gated(db, admin_url, processes=2) as desk:
        await desk.fail()
        assert desk.states() == ["open", "closed"]
        assert await desk.alerts() == []
        await desk.spread()
        assert desk.states() == ["open", "open"]
        assert await desk.buy(1) == SHUT
        row = await desk.row()
        assert (row.state, row.openings, row.forced) == ("open", 1, None)
        assert "5 calls in a row failed" in row.reason
        assert "HTTP 500" in row.reason
        (alert,) = await desk.alerts()
        assert alert == ("breaker", f"Purchases are refused: {row.reason}. It is tried again after 5 seconds.")


async def test_it_closes_by_itself_after_one_good_probe_and_one_good_purchase(db: Database, admin_url: str) -> None:
    async with gated(db, admin_url, processes=2) as desk:
        await desk.fail()
        await desk.spread()
        assert await desk.probe() == 0
        await desk.pass_time(5.1)
        assert await desk.probe(1) == 1
        assert desk.states() == ["half_open", "half_open"]
        assert isinstance(await desk.buy(), Rented)
        assert desk.states() == ["closed", "half_open"]
        await desk.spread()
        assert desk.states() == ["closed", "closed"]
        assert await desk.alerts() == []
        assert [type(await desk.buy(process)) for process in (0, 1)] == [Rented, Rented]


async def test_without_purchases_a_second_good_probe_closes(db: Database, admin_url: str) -> None:
    async with gated(db, admin_url) as desk:
        await desk.fail()
        await desk.spread()
        await desk.pass_time(5.1)
        assert (await desk.probe(), desk.states()) == (1, ["half_open"])
        assert (await desk.probe(), desk.states()) == (0, ["half_open"])
        await desk.pass_time(3.1)
        assert (await desk.probe(), desk.states()) == (1, ["closed"])
        assert await desk.alerts() == []


async def test_half_open_lets_one_purchase_through_at_a_time(db: Database, admin_url: str) -> None:
    async with gated(db, admin_url) as desk:
        await desk.fail()
        await desk.spread()
        await desk.pass_time(5.1)
        await desk.probe()
        desk.upstream.set_profile(replace(PROFILES["never"], answer_delay=DEADLINE_MS / 3000))
        sold = len(desk.upstream.sold)
        answers = await asyncio.gather(*(desk.buy() for _ in range(10)))
        assert [type(answer) for answer in answers].count(Rented) == 1
        assert answers.count(SHUT) == 9
        assert len(desk.upstream.sold) == sold + 1
        assert desk.states() == ["closed"]


async def test_a_failed_trial_and_a_failed_probe_each_double_the_time(db: Database, admin_url: str) -> None:
    async with gated(db, admin_url) as desk:
        await desk.fail()
        await desk.spread()
        await desk.pass_time(5.1)
        await desk.probe()
        await desk.fail(PURCHASES_500, times=1)
        assert await desk.buy() == SHUT
        await desk.spread()
        row = await desk.row()
        assert (row.state, row.openings) == ("open", 2)
        await desk.pass_time(5.1)
        assert await desk.probe() == 0
        await desk.pass_time(5.0)
        desk.upstream.set_profile("http-500")
        assert await desk.probe() == 1
        row = await desk.row()
        assert (row.state, row.openings, desk.states()) == ("open", 3, ["open"])
        assert row.open_until is not None
        assert row.opened_at is not None
        assert 19 < (row.open_until - row.changed_at).total_seconds() < 21
        assert "tried again after 20 seconds" in (await desk.alerts())[0][1]


async def test_of_two_workers_one_probes(db: Database, admin_url: str) -> None:
    async with gated(db, admin_url, processes=2) as desk:
        await desk.fail()
        await desk.spread()
        await desk.pass_time(5.1)
        asked = desk.upstream.asked
        taken = await asyncio.gather(*(providers.probe_due(lines) for lines in desk.processes * 5))
        assert sorted(taken) == [0] * 9 + [1]
        assert desk.upstream.asked == asked + 1


async def test_a_worker_that_dies_amid_its_probe_is_followed_by_another(db: Database, admin_url: str) -> None:
    async with gated(db, admin_url, processes=2) as desk:
        await desk.fail()
        await desk.spread()
        await desk.pass_time(5.1)
        desk.upstream.set_profile(replace(PROFILES["never"], answer_delay=60.0))
        dying = asyncio.create_task(providers.probe_due(desk.lines))
        await asyncio.sleep(DEADLINE_MS / 4000)
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
        desk.upstream.set_profile("never")
        assert await desk.probe(1) == 0
        await desk.pass_time(DEADLINE_MS / 1000 + 5.1)
        assert (await desk.probe(1), desk.states()) == (1, ["half_open", "half_open"])


async def test_what_staff_force_holds_until_they_take_it_back(db: Database, admin_url: str) -> None:
    async with gated(db, admin_url, processes=2) as desk:
        forced = await force_breaker(db, desk.id, "open", "maintenance over there")
        assert (forced.forced, forced.forced_reason, forced.state) == ("open", "maintenance over there", "closed")
        await desk.spread()
        assert [await desk.buy(process) for process in (0, 1)] == [SHUT, SHUT]
        assert providers.health(desk.lines, desk.id).reason == "maintenance over there"
        await desk.pass_time(3600)
        assert await desk.probe() == 0
        await force_breaker(db, desk.id, None, "")
        await desk.spread()
        assert isinstance(await desk.buy(), Rented)

        await force_breaker(db, desk.id, "closed", "we need the numbers")
        await desk.spread()
        answers = await desk.fail(times=12)
        assert {type(answer) for answer in answers} == {Unknown}
        await desk.spread()
        assert (await desk.row()).state == "closed"
        assert isinstance(await desk.buy(), Rented)
        await force_breaker(db, desk.id, None, "")
        await desk.spread()
        await desk.fail()
        assert await desk.buy() == SHUT


async def test_forcing_it_closed_ends_the_alert_and_what_had_opened_it(db: Database, admin_url: str) -> None:
    async with gated(db, admin_url, processes=2) as desk:
        await desk.fail()
        await desk.spread()
        assert len(await desk.alerts()) == 1
        await force_breaker(db, desk.id, "closed", "it is fine")
        await desk.spread()
        assert await desk.alerts() == []
        assert isinstance(await desk.buy(1), Rented)
        await force_breaker(db, desk.id, None, "")
        await desk.spread()
        assert desk.states() == ["closed", "closed"]


async def test_forcing_needs_a_reason_and_a_provider(db: Database, admin_url: str) -> None:
    async with gated(db, admin_url) as desk:
        for reason in ("", "  ", "x" * 201):
            with pytest.raises(InvalidFields):
                await force_breaker(db, desk.id, "open", reason)
        with pytest.raises(NotFound):
            await force_breaker(db, ProviderId(99), "open", "because")
        assert (await desk.row()).forced is None


async def test_a_decision_of_staff_wins_over_an_opening_that_was_not_told_yet(db: Database, admin_url: str) -> None:
    async with gated(db, admin_url) as desk:
        await desk.fail()
        await force_breaker(db, desk.id, "closed", "it is fine")
        await desk.spread()
        assert (await desk.row()).state == "closed"
        assert isinstance(await desk.buy(), Rented)


async def test_a_database_that_is_away_costs_counts_and_never_a_purchase(
    db: Database, admin_url: str, database_url: str
) -> None:
    async with gated(db, admin_url) as desk:
        other = await open_database(database_url, size=2, name="lost")
        lines = replace(desk.lines, db=other)
        await other.close()
        assert isinstance(await providers.rent(lines, desk.id, wanted(reference="a-1")), Rented)
        await providers.flush(lines)
        assert await providers.list_calls(db) == []
        desk.upstream.set_profile("http-500")
        for number in range(5):
            await providers.rent(lines, desk.id, wanted(reference=f"b{number}-1"))
        await providers.flush(lines)
        assert providers.health(lines, desk.id).is_shut
        assert (await desk.row()).state == "closed"
        # The gate is the same one, with its database back.
        await providers.flush(desk.lines)
        assert (await desk.row()).state == "open"


async def test_a_slow_provider_holds_up_nobody_else(db: Database, admin_url: str) -> None:
    async with (
        gated(db, admin_url, parallel_max=3, deadline_ms=2000) as slow,
        told(b"ACCESS_NUMBER:7:919800000001") as server,
    ):
        vault = slow.lines.vault
        other = await providers.add(db, vault, name="other", kind="sms-activate", url=server.url, api_key="k-7")
        await slow.spread()
        slow.upstream.set_profile(replace(PROFILES["never"], answer_delay=60.0))
        hung = [asyncio.create_task(slow.buy()) for _ in range(9)]
        await asyncio.sleep(0.05)
        began = asyncio.get_running_loop().time()
        answers = [await providers.rent(slow.lines, other.id, wanted(reference=f"o{number}-1")) for number in range(20)]
        assert asyncio.get_running_loop().time() - began < 1.5
        assert {type(answer) for answer in answers} == {Rented}
        assert not any(task.done() for task in hung)
        results = await asyncio.gather(*hung)
        # A place that is given back at the deadline itself is still taken at times, with no time left to ask.
        asked = [type(answer) for answer in results].count(Unknown)
        refused = [answer.reason for answer in results if isinstance(answer, Refused)]
        assert asked >= 3
        assert asked + len(refused) == 9
        assert set(refused) <= {"busy", "unreachable"}


async def test_calls_that_found_no_free_place_or_turn_say_nothing_of_the_provider(db: Database, admin_url: str) -> None:
    async with gated(db, admin_url, parallel_max=1, calls_per_second=1) as desk:
        async with desk.lines.by_id[desk.id].places:
            answers = await asyncio.gather(*(desk.buy() for _ in range(12)))
        assert isinstance(await desk.buy(), Rented)
        answers += await asyncio.gather(*(desk.buy() for _ in range(12)))
        assert {answer.reason for answer in answers if isinstance(answer, Refused)} == {"busy"}
        assert len([answer for answer in answers if isinstance(answer, Refused)]) >= 23
        assert providers.health(desk.lines, desk.id).state == "closed"


async def test_hung_calls_keep_their_places_no_longer_than_the_deadline_and_then_nobody_waits(
    db: Database, admin_url: str
) -> None:
    async with gated(db, admin_url, parallel_max=5) as desk:
        desk.upstream.set_profile(HUNG)
        first = await asyncio.gather(*(desk.buy() for _ in range(5)))
        assert {type(answer) for answer in first} == {Unknown}
        began = asyncio.get_running_loop().time()
        assert await asyncio.gather(*(desk.buy() for _ in range(200))) == [SHUT] * 200
        assert asyncio.get_running_loop().time() - began < DEADLINE_MS / 1000
