"""The verbs about rentals: what they refuse here, and what the list of everything says."""

from datetime import UTC, datetime

import msgspec
import pytest

from numberdesk.base.db import Database
from numberdesk.base.money import Paise
from numberdesk.providers import service as providers
from numberdesk.providers.adapters import sms_activate_rentals_parse
from numberdesk.providers.adapters.sms_activate_dialects import TABLE
from numberdesk.providers.model import (
    RENTAL,
    ActiveList,
    Done,
    Ended,
    ProlongAnswer,
    Prolonged,
    Refused,
    RentalListing,
    Rented,
    Unknown,
    Waiting,
    Wanted,
)
from numberdesk.providers.simulator import PROFILES, catalogue, rentals
from tests.providers.gate_desk import Gated, gated
from tests.providers.line_desk import told

pytestmark = pytest.mark.anyio

COST = rentals.cost_of(catalogue.offers()["tg", 22], 24)


def telegram(reference: str = "71-1", *, service: str = "tg") -> Wanted:
    return Wanted(service, 22, "any", Paise(COST), reference, 24)


async def rented(desk: Gated, reference: str = "71-1") -> Rented:
    answer = await providers.rent(desk.lines, desk.id, telegram(reference))
    assert isinstance(answer, Rented), answer
    return answer


async def more(desk: Gated, upstream_id: str) -> ProlongAnswer:
    """Pay for a day more."""
    return await providers.prolong(desk.lines, desk.id, upstream_id, 24, cost_paise=Paise(COST), reference="prolong:1")


async def test_a_provider_without_rentals_is_not_asked(db: Database, admin_url: str) -> None:
    async with gated(db, admin_url, dialect="hero") as desk:
        none = Refused("not_allowed", "this provider has no rentals")
        assert await providers.rent(desk.lines, desk.id, telegram()) == none
        assert await more(desk, f"{RENTAL}1") == none
        assert await providers.prolong_cost(desk.lines, desk.id, f"{RENTAL}1", 24) == none
        assert desk.upstream.asked == 0


async def test_a_provider_that_is_off_rents_and_prolongs_nothing_and_answers_the_rest(
    db: Database, admin_url: str
) -> None:
    async with gated(db, admin_url) as desk:
        kept = await rented(desk)
        await providers.set_options(db, desk.id, is_on=False)
        await providers.refresh(desk.lines)
        assert await providers.rent(desk.lines, desk.id, telegram("72-1")) == Refused("switched_off", "")
        assert await more(desk, kept.upstream_id) == Refused("switched_off", "")
        assert await providers.look(desk.lines, desk.id, kept.upstream_id) == Waiting()
        assert await providers.cancel(desk.lines, desk.id, kept.upstream_id) == Done()
        assert len(desk.upstream.rented) == 1
        assert not desk.upstream.facts("prolonged")


async def test_behind_an_open_breaker_nothing_is_rented_or_prolonged(db: Database, admin_url: str) -> None:
    async with gated(db, admin_url) as desk:
        kept = await rented(desk)
        await desk.fail()
        asked = desk.upstream.asked
        assert await providers.rent(desk.lines, desk.id, telegram("72-1")) == Refused("breaker_open", "")
        assert await more(desk, kept.upstream_id) == Refused("breaker_open", "")
        assert desk.upstream.asked == asked
        assert await providers.look(desk.lines, desk.id, kept.upstream_id) == Waiting()


async def test_failed_calls_about_rentals_open_the_breaker(db: Database, admin_url: str) -> None:
    async with gated(db, admin_url) as desk:
        kept = await rented(desk)
        desk.upstream.set_profile("http-500")
        for _ in range(5):
            assert isinstance(await more(desk, kept.upstream_id), Unknown)
        assert providers.health(desk.lines, desk.id).is_shut


async def test_more_hours_cost_what_was_told_and_are_paid_once(db: Database, admin_url: str) -> None:
    async with gated(db, admin_url) as desk:
        kept = await rented(desk)
        assert await providers.prolong_cost(desk.lines, desk.id, kept.upstream_id, 24) == COST
        answer = await more(desk, kept.upstream_id)
        assert answer == Prolonged(kept.upstream_id, kept.number, None)
        assert [fact.cost_paise for fact in desk.upstream.facts("rented", "prolonged")] == [COST, COST]
        assert isinstance(await more(desk, f"{RENTAL}5"), Ended)


@pytest.mark.parametrize("profile", ["sold-then-dropped", "sold-then-500", "late-sale"])
async def test_a_lost_answer_is_unknown_and_asked_for_once(db: Database, admin_url: str, profile: str) -> None:
    async with gated(db, admin_url) as desk:
        kept = await rented(desk)
        desk.upstream.set_profile(profile)
        asked = desk.upstream.asked
        assert isinstance(await providers.rent(desk.lines, desk.id, telegram("72-1")), Unknown)
        assert isinstance(await more(desk, kept.upstream_id), Unknown)
        assert desk.upstream.asked == asked + 2


async def test_the_list_has_rentals_when_they_are_asked_for(db: Database, admin_url: str) -> None:
    async with gated(db, admin_url) as desk:
        number, kept = await desk.buy(), await rented(desk)
        assert isinstance(number, Rented)
        plain = await providers.active(desk.lines, desk.id)
        assert isinstance(plain, ActiveList)
        assert [item.upstream_id for item in plain.activations] == [number.upstream_id]
        both = await providers.active(desk.lines, desk.id, with_rentals=True)
        assert isinstance(both, ActiveList)
        assert both.is_whole
        assert both.has_rentals
        assert not plain.has_rentals
        assert [(item.upstream_id, item.number) for item in both.activations] == [
            (number.upstream_id, number.number),
            (kept.upstream_id, kept.number),
        ]


async def test_a_list_of_rentals_that_cannot_be_read_takes_nothing_from_the_other_one(
    db: Database, admin_url: str
) -> None:
    rows = b'{"status":"success","activeActivations":[]}'
    async with gated(db, admin_url) as desk, told(rows, b"ERROR_SQL") as server:
        await providers.set_options(db, desk.id, url=server.url)
        await providers.refresh(desk.lines)
        assert await providers.active(desk.lines, desk.id, with_rentals=True) == ActiveList((), is_whole=True)
        assert [query["action"] for query in server.queries] == ["getActiveActivations", "getRentList"]
        assert isinstance(await providers.active(desk.lines, desk.id, with_rentals=True), Unknown)


async def test_the_older_action_tells_the_cost_where_the_newer_one_is_not_known(db: Database, admin_url: str) -> None:
    older = b'{"status":"success","price":6.33,"currency":840}'
    async with gated(db, admin_url, paise_per_unit=8_000) as desk, told(b"BAD_ACTION", older) as server:
        await providers.set_options(db, desk.id, url=server.url)
        await providers.refresh(desk.lines)
        assert await providers.prolong_cost(desk.lines, desk.id, f"{RENTAL}55", 24) == 50_640
        first, second = server.queries
        assert (first["action"], first["id"], first["hours"]) == ("continueRentInfo", "55", "24")
        assert (second["action"], second["id"], second["rent_time"]) == ("getContinueRentPriceNumber", "55", "24")


async def test_what_a_country_rents_is_told_in_the_providers_words(db: Database, admin_url: str) -> None:
    async with gated(db, admin_url) as desk:
        found = await providers.rental_listing(desk.lines, desk.id, country="22", hours=24)
        assert isinstance(found, RentalListing)
        assert ("tg", "22", COST) in {(offer.service, offer.country, offer.cost_paise) for offer in found.offers}
        desk.upstream.set_profile(PROFILES["http-500"])
        assert isinstance(await providers.rental_listing(desk.lines, desk.id, country="22", hours=24), Unknown)


async def test_what_purchases_of_rentals_said_on_the_wire_is_kept(db: Database, admin_url: str) -> None:
    async with gated(db, admin_url) as desk:
        kept = await rented(desk)
        await more(desk, kept.upstream_id)
        await providers.flush(desk.lines)
        actions = await desk.backstage.fetch("SELECT action FROM transcripts ORDER BY at")
        assert [row[0] for row in actions] == ["rent", "prolong"]


@pytest.mark.parametrize(
    ("end", "other", "told"),
    [
        ("2026-11-30T12:01:52", "2026-11-30T12:01:52+00:00", datetime(2026, 11, 30, 12, 1, 52, tzinfo=UTC)),
        ("2026-11-30T15:01:52+03:00", None, datetime(2026, 11, 30, 12, 1, 52, tzinfo=UTC)),
        ("2026-11-30T12:01:52", "2026-11-30 12:01:52", None),
    ],
)
def test_of_two_ends_the_one_with_a_zone_counts(end: str, other: str | None, told: datetime | None) -> None:
    phone = {"id": 1050, "endDate": end, "number": "919812345678"}
    body = {"status": "success", "phone": phone, "activationId": "1050", "activationEndTime": other}
    answer = sms_activate_rentals_parse.rent(
        msgspec.json.encode(body), 200, ceiling_paise=Paise(1), paise_per_unit=100, dialect=TABLE["classic"]
    )
    assert isinstance(answer, Rented)
    assert answer.ends_at == told
