"""Numbers for hours or days at providers that rent them: bought, read, prolonged and ended over real HTTP."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from yarl import URL

from numberdesk.base import clock
from numberdesk.base.money import Paise
from numberdesk.providers.adapters import Adapter, Rentals, rentals_of
from numberdesk.providers.line import Line
from numberdesk.providers.model import (
    RENTAL,
    ActiveList,
    CodeWon,
    Done,
    Ended,
    Prolonged,
    Refused,
    RentalListing,
    Rented,
    TooLate,
    Unknown,
    Waiting,
    Wanted,
)
from numberdesk.providers.simulator import PROFILES, Profile, Simulator, catalogue, rentals
from tests.providers.families import FAMILIES, Family, opened
from tests.providers.line_desk import KEY, soon

RENTING = [family for family in FAMILIES if family.can.has_rentals]

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("family", RENTING, ids=lambda family: family.name)]

OFFER = catalogue.offers()["tg", 22]
COST = rentals.cost_of(OFFER, 24)
DEADLINE = 0.25
ABSENT = RENTAL + "987654321"


@asynccontextmanager
async def renting(
    family: Family, profile: Any = "never", **options: Any
) -> AsyncIterator[tuple[Simulator, Line, Adapter, Rentals]]:
    async with opened(family, profile, **options) as (upstream, line, adapter):
        yield upstream, line, adapter, rentals_of(line)


def telegram(
    *, hours: int = 24, reference: str = "55-1", service: str = "tg", country: int = 22, ceiling: int = COST
) -> Wanted:
    return Wanted(service, country, "any", Paise(ceiling), reference, hours)


async def rental(line: Line, adapter: Adapter, **wanted: Any) -> Rented:
    answer = await adapter.rent(line, telegram(**wanted), until=soon(5))
    assert isinstance(answer, Rented), answer
    return answer


def id_of(rented: Rented | Prolonged) -> int:
    """Return the id by which the simulator knows a rental."""
    return int(rented.upstream_id.removeprefix(RENTAL))


# What there is.


async def test_the_listing_of_a_country_is_what_the_simulator_rents_there(family: Family) -> None:
    async with renting(family) as (_, line, _, also):
        nowhere = await also.rental_listing(line, country=None, hours=24, until=soon())
        assert isinstance(nowhere, RentalListing), nowhere
        assert nowhere.offers == ()
        assert set(nowhere.countries or ()) == {str(country) for country in rentals.COUNTRIES}
        for hours in (4, 720):
            listed = await also.rental_listing(line, country="22", hours=hours, until=soon())
            assert isinstance(listed, RentalListing), listed
            assert {(offer.service, offer.country, offer.cost_paise, offer.stock) for offer in listed.offers} == {
                (service, "22", rentals.cost_of(offer, hours), rentals.stock_of(offer))
                for (service, country), offer in catalogue.offers().items()
                if country == 22
            }
        elsewhere = await also.rental_listing(line, country="73", hours=24, until=soon())
        assert isinstance(elsewhere, RentalListing), elsewhere
        assert elsewhere.offers == ()
    async with renting(family, "no-stock") as (_, line, _, also):
        assert await also.rental_listing(line, country="22", hours=24, until=soon()) == RentalListing(())


# Purchases.


async def test_a_rental_is_sold_once_with_an_id_of_its_own_kind(family: Family) -> None:
    async with renting(family) as (upstream, line, adapter, _):
        before = upstream.balance_paise
        rented = await rental(line, adapter)
        (fact,) = upstream.rented
        assert rented.upstream_id == f"{RENTAL}{fact.rental_id}"
        assert re.fullmatch(r"[0-9]{5,15}", rented.number)
        assert rented.number == fact.phone
        assert (fact.service, fact.country, fact.hours, fact.cost_paise) == ("tg", 22, 24, COST)
        assert before - upstream.balance_paise == COST
        assert not upstream.sold
        if family.name == "classic":
            # It writes the end without its zone, and tells no cost.
            assert (rented.ends_at, rented.cost_paise) == (None, None)
        else:
            assert rented.ends_at is not None
            assert abs(rented.ends_at - clock.now() - timedelta(hours=24)) < timedelta(minutes=1)
            assert rented.cost_paise == COST


async def test_what_is_not_rented_is_refused_for_sure(family: Family) -> None:
    wishes = {
        "bad_service": telegram(service="nosuch"),
        "bad_country": telegram(country=9999),
        "not_allowed": telegram(hours=1),
        "no_numbers": telegram(country=73),
        "price_changed": telegram(ceiling=0),
    }
    async with renting(family) as (upstream, line, adapter, _):
        for reason, wish in wishes.items():
            answer = await adapter.rent(line, wish, until=soon())
            assert isinstance(answer, Refused), answer
            assert answer.reason == reason
        stranger = replace(line, api_key="wrong-key-0000")
        answer = await adapter.rent(stranger, telegram(), until=soon())
        assert isinstance(answer, Refused), answer
        assert answer.reason == "bad_key"
        assert not upstream.rented
    async with renting(family, balance="1.00") as (upstream, line, adapter, _):
        answer = await adapter.rent(line, telegram(), until=soon())
        assert isinstance(answer, Refused), answer
        assert answer.reason == "no_balance"
        assert not upstream.rented


async def test_a_rental_that_cannot_be_asked_for_is_refused(family: Family) -> None:
    async with renting(family) as (upstream, line, adapter, also):
        nowhere = replace(line, endpoint=adapter.endpoint(str(URL(upstream.url).with_port(1))))
        full = replace(line, places=asyncio.Semaphore(0))
        for wrong, reason in ((nowhere, "unreachable"), (full, "busy")):
            for step in (
                adapter.rent(wrong, telegram(), until=soon(0.1)),
                also.prolong(wrong, ABSENT, 24, until=soon(0.1)),
            ):
                answer = await step
                assert isinstance(answer, Refused), answer
                assert answer.reason == reason
        assert not upstream.asked


async def test_a_rental_that_cost_more_than_its_ceiling_is_in_doubt(family: Family) -> None:
    async with renting(family, "over-price") as (upstream, line, adapter, _):
        answer = await adapter.rent(line, telegram(), until=soon())
        assert len(upstream.rented) == 1
        assert isinstance(answer, Rented if family.name == "classic" else Unknown), answer


async def test_a_reference_that_was_used_rents_nothing_again(family: Family) -> None:
    async with renting(family) as (upstream, line, adapter, _):
        await rental(line, adapter)
        assert isinstance(await adapter.rent(line, telegram(), until=soon()), Unknown)
        assert len(upstream.rented) == 1


def faults() -> list[Profile]:
    """Return the profiles that go wrong, made impatient."""
    return [
        replace(
            profile, answer_delay=DEADLINE + 0.1 if profile.answer_delay else 0.0, drip_interval=0.1, code_after=None
        )
        for profile in PROFILES.values()
        if profile.fault != "none" or profile.answer_delay
    ]


@pytest.mark.parametrize("profile", faults(), ids=lambda profile: profile.name)
async def test_no_fault_makes_it_rent_or_prolong_twice_or_say_what_is_not_so(family: Family, profile: Profile) -> None:
    async with renting(family) as (upstream, line, adapter, also):
        kept = await rental(line, adapter, reference="1-1")
        upstream.set_profile(profile)
        for number in range(6 if profile.name in ("garbage", "error-word") else 1):
            step = adapter.rent(line, telegram(reference=f"9{number}-1"), until=soon(DEADLINE))
            await _met(upstream, step, "getRentNumber", sold="rented")
            step_on = also.prolong(line, kept.upstream_id, 4, until=soon(DEADLINE))
            await _met(upstream, step_on, "continueRentNumber", sold="prolonged")
        upstream.set_profile("never")
        looked = await adapter.look(line, kept.upstream_id, until=soon())
        assert looked == Waiting()
        assert not upstream.facts("redirect_followed")


async def _met(upstream: Simulator, step: Awaitable[object], action: str, *, sold: str) -> None:
    before = len(upstream.facts())
    answer = await step
    for _ in range(100):
        facts = [fact for fact in upstream.facts()[before:] if fact.fact in ("rented", "prolonged", "refused")]
        if facts or isinstance(answer, Refused):
            break
        await asyncio.sleep(0.02)
    assert len(facts) == 1, facts
    is_sold = facts[0].fact == sold
    assert is_sold or (facts[0].fact, facts[0].action) == ("refused", action)
    assert not (is_sold and isinstance(answer, Refused | Ended)), (facts, answer)
    assert is_sold or isinstance(answer, Refused | Unknown), (facts, answer)
    if isinstance(answer, Rented | Prolonged):
        assert answer.number == facts[0].phone
    else:
        assert KEY not in str(answer)


# Messages.


async def test_every_message_of_a_rental_is_read_in_the_order_in_which_it_came(family: Family) -> None:
    async with renting(family) as (upstream, line, adapter, _):
        rented = await rental(line, adapter)
        assert await adapter.look(line, rented.upstream_id, until=soon()) == Waiting()
        upstream.deliver_rental(id_of(rented), "Telegram code 48213.")
        # Their dates have seconds only.
        await asyncio.sleep(1.1)
        upstream.deliver_rental(id_of(rented), "Nothing to see here")
        found = await adapter.look(line, rented.upstream_id, until=soon())
        assert isinstance(found, tuple), found
        assert [(message.code, message.text) for message in found] == [
            ("48213", "Telegram code 48213."),
            ("", "Nothing to see here"),
        ]


@pytest.mark.parametrize("count", [49, 50, 51, 100, 130])
async def test_messages_beyond_the_first_page_are_read_too(family: Family, count: int) -> None:
    async with renting(family) as (upstream, line, adapter, _):
        rented = await rental(line, adapter)
        for number in range(count):
            upstream.deliver_rental(id_of(rented), f"Your code: {100_000 + number}")
        found = await adapter.look(line, rented.upstream_id, until=soon())
        assert isinstance(found, tuple), found
        assert {message.code for message in found} == {str(100_000 + number) for number in range(count)}
        assert len(found) == count


async def test_a_rental_that_is_over_or_was_never_sold_is_ended(family: Family) -> None:
    async with renting(family, time_scale=0.00001) as (_, line, adapter, also):
        rented = await rental(line, adapter, hours=2)
        await asyncio.sleep(0.2)
        assert isinstance(await adapter.look(line, rented.upstream_id, until=soon()), Ended)
    async with renting(family) as (_, line, adapter, also):
        assert isinstance(await adapter.look(line, ABSENT, until=soon()), Ended)
        assert isinstance(await adapter.cancel(line, ABSENT, until=soon()), Ended)
        assert isinstance(await adapter.finish(line, ABSENT, until=soon()), Ended)
        assert isinstance(await also.prolong(line, ABSENT, 4, until=soon()), Ended)
        assert isinstance(await also.prolong_cost(line, ABSENT, 4, until=soon()), Ended)


async def test_a_rental_that_the_provider_takes_back_is_ended_and_paid_back(family: Family) -> None:
    gone = replace(PROFILES["self-cancel"], self_cancel_after=(0.0, 0.0))
    async with renting(family, gone) as (upstream, line, adapter, _):
        before = upstream.balance_paise
        rented = await rental(line, adapter)
        await asyncio.sleep(0.1)
        assert await adapter.look(line, rented.upstream_id, until=soon()) == Ended("STATUS_REVOKE")
        assert upstream.balance_paise == before


# Ends.


async def test_within_its_window_a_rental_without_a_message_is_cancelled_and_paid_back(family: Family) -> None:
    async with renting(family) as (upstream, line, adapter, _):
        before = upstream.balance_paise
        rented = await rental(line, adapter)
        assert await adapter.cancel(line, rented.upstream_id, until=soon()) == Done()
        assert await adapter.cancel(line, rented.upstream_id, until=soon()) == Done()
        assert [fact.rental_id for fact in upstream.cancelled] == [id_of(rented)]
        assert upstream.balance_paise == before
        assert isinstance(await adapter.look(line, rented.upstream_id, until=soon()), Ended)


async def test_after_its_window_it_is_too_late_to_cancel(family: Family) -> None:
    async with renting(family, time_scale=0.0001) as (upstream, line, adapter, _):
        rented = await rental(line, adapter, hours=720, ceiling=COST * 100)
        await asyncio.sleep(0.3)
        assert await adapter.cancel(line, rented.upstream_id, until=soon()) == TooLate()
        assert not upstream.cancelled


async def test_a_message_wins_against_a_cancel_of_a_rental(family: Family) -> None:
    async with renting(family) as (upstream, line, adapter, _):
        rented = await rental(line, adapter)
        upstream.deliver_rental(id_of(rented), "Telegram code 48213.")
        assert await adapter.cancel(line, rented.upstream_id, until=soon()) == CodeWon()
        assert not upstream.cancelled


@pytest.mark.parametrize("profile", ["status-then-dropped", "http-500"])
async def test_a_cancel_without_an_answer_is_in_doubt_and_not_repeated(family: Family, profile: str) -> None:
    async with renting(family) as (upstream, line, adapter, _):
        rented = await rental(line, adapter)
        upstream.set_profile(profile)
        asked = upstream.asked
        assert isinstance(await adapter.cancel(line, rented.upstream_id, until=soon()), Unknown)
        assert upstream.asked == asked + 1
        assert len(upstream.facts("cancelled", "refused")) == 1


async def test_a_rental_is_finished_before_its_time_and_stays_paid(family: Family) -> None:
    async with renting(family) as (upstream, line, adapter, _):
        rented = await rental(line, adapter)
        left = upstream.balance_paise
        assert await adapter.finish(line, rented.upstream_id, until=soon()) == Done()
        assert await adapter.finish(line, rented.upstream_id, until=soon()) == Done()
        assert [fact.rental_id for fact in upstream.finished] == [id_of(rented)]
        assert upstream.balance_paise == left


async def test_a_rental_need_not_be_asked_for_one_more_code(family: Family) -> None:
    async with renting(family) as (upstream, line, adapter, _):
        rented = await rental(line, adapter)
        asked = upstream.asked
        assert await adapter.another_code(line, rented.upstream_id, until=soon()) == Done()
        assert upstream.asked == asked


# More hours.


async def test_a_live_rental_goes_on_under_its_id_at_the_cost_that_was_told(family: Family) -> None:
    async with renting(family) as (upstream, line, adapter, also):
        rented = await rental(line, adapter)
        cost = await also.prolong_cost(line, rented.upstream_id, 48, until=soon())
        assert cost == rentals.cost_of(OFFER, 48)
        before = upstream.balance_paise
        found = await also.prolong(line, rented.upstream_id, 48, until=soon())
        assert isinstance(found, Prolonged), found
        assert (found.upstream_id, found.number) == (rented.upstream_id, rented.number)
        assert before - upstream.balance_paise == cost
        assert [fact.hours for fact in upstream.facts("prolonged")] == [48]
        if family.name != "classic":
            assert rented.ends_at is not None
            assert found.ends_at == rented.ends_at + timedelta(hours=48)


async def test_a_rental_that_ran_out_goes_on_under_a_new_id(family: Family) -> None:
    async with renting(family, time_scale=0.00001) as (upstream, line, adapter, also):
        rented = await rental(line, adapter, hours=2)
        await asyncio.sleep(0.2)
        found = await also.prolong(line, rented.upstream_id, 1000, until=soon())
        assert isinstance(found, Prolonged), found
        assert found.upstream_id != rented.upstream_id
        assert found.upstream_id == f"{RENTAL}{upstream.rented[-1].rental_id}"
        assert found.number == rented.number
        assert len(upstream.rented) == 2
        assert await adapter.look(line, found.upstream_id, until=soon()) == Waiting()


async def test_a_rental_that_was_ended_does_not_go_on(family: Family) -> None:
    async with renting(family) as (upstream, line, adapter, also):
        rented = await rental(line, adapter)
        assert await adapter.cancel(line, rented.upstream_id, until=soon()) == Done()
        assert await also.prolong(line, rented.upstream_id, 4, until=soon()) == Ended("RENT_DIE")
        assert await also.prolong_cost(line, rented.upstream_id, 4, until=soon()) == Ended("RENT_DIE")
        assert not upstream.facts("prolonged")


async def test_too_many_or_too_few_hours_are_refused_and_the_most_is_told(family: Family) -> None:
    async with renting(family, balance="99999999.00") as (upstream, line, adapter, also):
        rented = await rental(line, adapter, hours=1000, ceiling=COST * 1000)
        for hours, detail in ((344 + 2, "MAX_HOURS_EXCEED:345"), (1, "INVALID_TIME")):
            for step in (
                also.prolong(line, rented.upstream_id, hours, until=soon()),
                also.prolong_cost(line, rented.upstream_id, hours, until=soon()),
            ):
                assert await step == Refused("not_allowed", detail)
        assert not upstream.facts("prolonged")


async def test_more_hours_without_money_are_refused(family: Family) -> None:
    async with renting(family, balance=f"{COST // 100 + 1}.00") as (upstream, line, adapter, also):
        rented = await rental(line, adapter)
        assert await also.prolong(line, rented.upstream_id, 24, until=soon()) == Refused("no_balance", "NO_BALANCE")
        assert not upstream.facts("prolonged")


# The list.


@pytest.mark.parametrize("count", [0, 1, 9, 10, 100, 130])
async def test_the_list_of_rentals_is_read_to_its_end(family: Family, count: int) -> None:
    async with renting(family, balance="9999999.00") as (upstream, line, adapter, also):
        for number in range(count):
            await rental(line, adapter, reference=f"{number}-1")
        listed = await also.active_rentals(line, until=soon(5))
        assert isinstance(listed, ActiveList), listed
        assert listed.is_whole
        assert {(item.upstream_id, item.number) for item in listed.activations} == {
            (f"{RENTAL}{fact.rental_id}", fact.phone) for fact in upstream.rented
        }
        for item in listed.activations if family.can.repeats_reference else ():
            (fact,) = (fact for fact in upstream.rented if item.upstream_id == f"{RENTAL}{fact.rental_id}")
            assert (item.reference, item.service, item.country) == (fact.order_ref, "tg", 22)
            assert item.cost_paise == COST


async def test_a_list_of_rentals_that_cannot_be_read_is_not_an_empty_one(family: Family) -> None:
    async with renting(family) as (upstream, line, adapter, also):
        await rental(line, adapter)
        for profile in ("http-500", "dropped-not-sold", "garbage"):
            upstream.set_profile(replace(PROFILES[profile], fault_on="everything"))
            listed = await also.active_rentals(line, until=soon(DEADLINE))
            assert isinstance(listed, Unknown) or listed.activations, (profile, listed)
