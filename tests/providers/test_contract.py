"""What every adapter must keep, whatever it speaks: the same cases for each family, over real HTTP."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

import pytest
from yarl import URL

from numberdesk.base import clock
from numberdesk.providers.adapters import Adapter, agent
from numberdesk.providers.line import Line
from numberdesk.providers.model import (
    ActiveList,
    CodeWon,
    Done,
    Ended,
    Listing,
    Refused,
    Rented,
    TooEarly,
    Unknown,
    Waiting,
)
from numberdesk.providers.simulator import PROFILES, FactName, Profile, Simulator, catalogue
from tests.providers.families import FAMILIES, Family, opened, sale, telegram
from tests.providers.line_desk import KEY, soon

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)]

T = TypeVar("T")

DEADLINE = 0.25
"""Short, because each slow fault waits for its end."""
SPARE = 1.5
"""How far beyond its deadline a step may end on a busy machine."""
ROUNDS = {"garbage": 15, "error-word": 24}
"""How often a profile is met that has several ways to go wrong."""


def last_id(upstream: Simulator) -> int:
    activation_id = upstream.sold[-1].activation_id
    assert activation_id is not None
    return activation_id


# Catalogue and money.


async def test_the_listing_is_what_the_simulator_sells(family: Family) -> None:
    async with opened(family) as (_, line, adapter):
        listed = await adapter.listing(line, until=soon(5))
        assert isinstance(listed, Listing), listed
    cheapest: dict[tuple[str, int], tuple[int, int]] = {}
    for offer in listed.offers:
        service, country = line.words.service(offer.service), line.words.country(offer.country)
        assert service is not None, offer
        assert country is not None, offer
        if offer.operator == "any" or (service, country) not in cheapest:
            cheapest[service, country] = (offer.cost_paise, offer.stock)
    sold = {key: (offer.cost_paise, offer.count) for key, offer in catalogue.offers().items()}
    if not family.sells_everywhere:
        sold = {key: value for key, value in sold.items() if key[1] == family.country}
    empty = {key for key, (_, count) in sold.items() if not count}
    assert sold.keys() - cheapest.keys() <= empty
    if family.tells_stock:
        assert cheapest == {key: sold[key] for key in cheapest}
    elif family.can.sells_at_finish:
        # The price is ours to say.
        assert {cost for cost, _ in cheapest.values()} == {agent.PAY}
    else:
        assert {key: cost for key, (cost, _) in cheapest.items()} == {key: sold[key][0] for key in cheapest}


async def test_the_balance_is_what_the_simulator_has_left(family: Family) -> None:
    async with opened(family) as (upstream, line, adapter):
        await sale(line, adapter, family)
        # Who is paid afterwards holds no money of ours.
        left = 0 if family.can.sells_at_finish else upstream.balance_paise
        assert await adapter.balance(line, until=soon()) == left


# Purchases.


async def test_a_number_is_sold_once_with_a_well_formed_id_and_number(family: Family) -> None:
    async with opened(family) as (upstream, line, adapter):
        rented = await sale(line, adapter, family)
        (fact,) = upstream.sold
        assert rented.upstream_id
        assert re.fullmatch(r"[0-9]{5,15}", rented.number)
        assert rented.number == fact.phone
        assert (fact.service, fact.country) == ("tg", family.country)
        assert rented.cost_paise == (family.cost if family.can.tells_cost else None)


async def test_a_ceiling_below_the_price_buys_nothing(family: Family) -> None:
    family.needs("has_ceiling")
    async with opened(family) as (upstream, line, adapter):
        answer = await adapter.rent(line, telegram(family, ceiling=family.cost - 1), until=soon())
        assert isinstance(answer, Refused), answer
        assert answer.reason in ("price_changed", "no_numbers")
        assert not upstream.sold
        answer = await adapter.rent(line, telegram(family, ceiling=0), until=soon())
        assert isinstance(answer, Refused), answer
        assert not upstream.sold


async def test_what_the_provider_does_not_have_is_refused(family: Family) -> None:
    async with opened(family) as (upstream, line, adapter):
        answer = await adapter.rent(line, telegram(family, service="nosuch"), until=soon())
        assert isinstance(answer, Refused), answer
        assert answer.reason == "bad_service"
        answer = await adapter.rent(line, telegram(family, country=9999), until=soon())
        assert isinstance(answer, Refused), answer
        assert answer.reason == "bad_country"
        assert not upstream.sold


async def test_an_operator_that_does_not_exist_is_refused(family: Family) -> None:
    family.needs("has_operators")
    async with opened(family) as (upstream, line, adapter):
        answer = await adapter.rent(line, telegram(family, operator="nobody"), until=soon())
        assert isinstance(answer, Refused), answer
        assert answer.reason in ("bad_operator", "no_numbers")
        assert not upstream.sold


async def test_a_wrong_key_is_told_as_such_and_says_nothing_of_an_activation(family: Family) -> None:
    async with opened(family) as (upstream, line, adapter):
        rented = await sale(line, adapter, family)
        stranger = replace(line, api_key="wrong-key-0000")
        answer = await adapter.rent(stranger, telegram(family, reference="56-1"), until=soon())
        assert isinstance(answer, Refused), answer
        assert answer.reason == "bad_key"
        assert len(upstream.sold) == 1
        assert isinstance(await adapter.cancel(stranger, rented.upstream_id, until=soon()), Unknown)
        if not family.can.sells_at_finish:
            assert isinstance(await adapter.balance(stranger, until=soon()), Unknown)
        assert not upstream.cancelled
        if family.can.has_look:
            assert isinstance(await adapter.look(stranger, rented.upstream_id, until=soon()), Unknown)
        if family.can.has_list:
            assert isinstance(await adapter.active(stranger, until=soon()), Unknown)


async def test_without_stock_and_without_money_nothing_is_sold(family: Family) -> None:
    async with opened(family, "no-stock") as (upstream, line, adapter):
        answer = await adapter.rent(line, telegram(family), until=soon())
        assert isinstance(answer, Refused), answer
        assert answer.reason == "no_numbers"
        assert not upstream.sold
    if family.can.sells_at_finish:
        return
    async with opened(family, balance="1.00") as (upstream, line, adapter):
        answer = await adapter.rent(line, telegram(family), until=soon())
        assert isinstance(answer, Refused), answer
        assert answer.reason == "no_balance"
        assert not upstream.sold


async def test_a_purchase_that_cannot_leave_is_refused(family: Family) -> None:
    async with opened(family) as (upstream, line, adapter):
        nowhere = replace(line, endpoint=adapter.endpoint(str(URL(upstream.url).with_port(1))))
        answer = await adapter.rent(nowhere, telegram(family), until=soon())
        assert isinstance(answer, Refused), answer
        assert answer.reason == "unreachable"
        full = replace(line, places=asyncio.Semaphore(0))
        answer = await adapter.rent(full, telegram(family), until=soon(0.1))
        assert isinstance(answer, Refused), answer
        assert answer.reason == "busy"
        assert not upstream.asked


async def test_a_reference_that_was_used_sells_nothing_again(family: Family) -> None:
    family.needs("is_idempotent")
    async with opened(family, echo_order_id=True) as (upstream, line, adapter):
        first = await sale(line, adapter, family)
        again = await adapter.rent(line, telegram(family), until=soon())
        assert isinstance(again, Rented | Unknown), again
        assert isinstance(again, Unknown) or again.upstream_id == first.upstream_id
        assert len({fact.activation_id for fact in upstream.sold}) == 1


# The life of an activation.


async def test_an_activation_waits_and_then_has_its_code(family: Family) -> None:
    family.needs("has_look")
    async with opened(family) as (upstream, line, adapter):
        rented = await sale(line, adapter, family)
        assert await adapter.look(line, rented.upstream_id, until=soon()) == Waiting()
        upstream.deliver(last_id(upstream), "Telegram code 48213.")
        messages = await adapter.look(line, rented.upstream_id, until=soon())
        assert isinstance(messages, tuple), messages
        assert [(message.code, message.text) for message in messages] in (
            [("48213", "")],
            [("48213", "Telegram code 48213.")],
        )


async def test_an_id_that_nobody_sold_is_ended(family: Family) -> None:
    async with opened(family) as (upstream, line, adapter):
        assert isinstance(await adapter.cancel(line, family.absent_id, until=soon()), Ended | Unknown)
        asked = upstream.asked
        finished = await adapter.finish(line, family.absent_id, until=soon())
        # A family that has no such step asks nothing.
        assert upstream.asked == asked or isinstance(finished, Ended | Refused | Unknown)
        if family.can.has_look:
            assert isinstance(await adapter.look(line, family.absent_id, until=soon()), Ended)


async def test_a_cancel_is_too_early_then_done_and_stays_done(family: Family) -> None:
    if family.can.cancel_after_ms:
        async with opened(family, min_cancel_age=timedelta(minutes=2)) as (upstream, line, adapter):
            rented = await sale(line, adapter, family)
            assert await adapter.cancel(line, rented.upstream_id, until=soon()) == TooEarly()
            assert not upstream.cancelled
    async with opened(family) as (upstream, line, adapter):
        rented = await sale(line, adapter, family)
        assert await adapter.cancel(line, rented.upstream_id, until=soon()) == Done()
        assert isinstance(await adapter.cancel(line, rented.upstream_id, until=soon()), Done | Ended)
        assert [fact.activation_id for fact in upstream.cancelled] == [last_id(upstream)]
        assert not upstream.live_ids
        if family.can.has_look:
            assert isinstance(await adapter.look(line, rented.upstream_id, until=soon()), Ended)


async def test_a_code_wins_against_a_cancel(family: Family) -> None:
    async with opened(family) as (upstream, line, adapter):
        rented = await sale(line, adapter, family)
        upstream.deliver(last_id(upstream), "Telegram code 48213.")
        answer = await adapter.cancel(line, rented.upstream_id, until=soon())
        # An agent does not say it: the message that it posts does.
        assert isinstance(answer, Unknown if family.can.sells_at_finish else CodeWon), answer
        assert not upstream.cancelled


async def test_an_activation_with_its_code_is_finished(family: Family) -> None:
    async with opened(family) as (upstream, line, adapter):
        rented = await sale(line, adapter, family)
        upstream.deliver(last_id(upstream), "Telegram code 48213.")
        asked = upstream.asked
        assert await adapter.finish(line, rented.upstream_id, until=soon()) == Done()
        assert isinstance(await adapter.finish(line, rented.upstream_id, until=soon()), Done | Ended)
        if upstream.asked == asked:
            return
        assert [fact.activation_id for fact in upstream.finished] == [last_id(upstream)]
        if family.can.has_look:
            # What was paid for may go on being told, so that no code is lost that came just before.
            assert isinstance(await adapter.look(line, rented.upstream_id, until=soon()), Ended | tuple)


async def test_one_more_code_comes_on_the_same_number(family: Family) -> None:
    family.needs("has_next_code")
    async with opened(family) as (upstream, line, adapter):
        rented = await sale(line, adapter, family)
        upstream.deliver(last_id(upstream), "Telegram code 48213.")
        assert await adapter.another_code(line, rented.upstream_id, until=soon()) == Done()
        upstream.deliver(last_id(upstream), "Telegram code 99001.")
        if family.can.has_look:
            messages = await adapter.look(line, rented.upstream_id, until=soon())
            assert isinstance(messages, tuple), messages
            assert messages[-1].code == "99001"
        answer = await adapter.cancel(line, rented.upstream_id, until=soon())
        assert isinstance(answer, Unknown if family.can.sells_at_finish else CodeWon), answer


async def test_the_list_names_what_lives_in_our_own_codes(family: Family) -> None:
    family.needs("has_list")
    async with opened(family, echo_order_id=True) as (upstream, line, adapter):
        assert await adapter.active(line, until=soon()) == ActiveList((), is_whole=True)
        first = await sale(line, adapter, family, "77-1")
        upstream.deliver(last_id(upstream), "Telegram code 48213.")
        second = await sale(line, adapter, family, "77-2")
        third = await sale(line, adapter, family, "77-3")
        assert await adapter.cancel(line, third.upstream_id, until=soon()) == Done()
        listed = await adapter.active(line, until=soon())
        assert isinstance(listed, ActiveList), listed
        assert listed.is_whole
        found = {activation.upstream_id: activation for activation in listed.activations if activation.is_live}
        assert found.keys() == {first.upstream_id, second.upstream_id}
        for rented, reference in ((first, "77-1"), (second, "77-2")):
            activation = found[rented.upstream_id]
            assert (activation.number, activation.service, activation.country) == (rented.number, "tg", family.country)
            assert activation.cost_paise in ((family.cost,) if family.can.tells_cost else (family.cost, None))
            assert activation.reference == (reference if family.can.repeats_reference else activation.reference)
        assert [message.code for message in found[first.upstream_id].messages] == ["48213"]
        assert found[second.upstream_id].messages == ()


async def test_a_long_list_is_read_to_its_end(family: Family) -> None:
    family.needs("has_list")
    async with opened(family, balance="9999999.00") as (upstream, line, adapter):
        for number in range(230):
            await sale(line, adapter, family, f"{number}-1")
        listed = await adapter.active(line, until=soon(10))
        assert isinstance(listed, ActiveList), listed
        assert listed.is_whole
        assert {activation.number for activation in listed.activations} == {fact.phone for fact in upstream.sold}


# Faults.


def fault_profiles() -> list[Profile]:
    """Return the profiles that go wrong, made impatient: what they delay ends soon after the deadline."""
    found = []
    for profile in PROFILES.values():
        delay = DEADLINE + 0.15 if profile.answer_delay else 0.0
        if profile.fault != "none" or delay or profile.duplicate != "no" or profile.over_price_percent:
            found.append(replace(profile, answer_delay=delay, drip_interval=0.1, code_after=None))
    return found


@dataclass(frozen=True)
class Laid:
    """Activations for the steps to act on, each with its id in the record; the last two have a code."""

    waiting: tuple[Rented, int]
    cancelled: tuple[Rented, int]
    finished: tuple[Rented, int]
    asked_again: tuple[Rented, int]


@pytest.mark.parametrize("profile", fault_profiles(), ids=lambda profile: profile.name)
async def test_no_fault_makes_an_adapter_raise_or_say_what_is_not_so(family: Family, profile: Profile) -> None:
    is_slow = profile.answer_delay > 0 or profile.fault == "drip"
    rounds = 1 if is_slow else ROUNDS.get(profile.name, 2)
    async with opened(family) as (upstream, line, adapter):
        laid = [await _laid_out(upstream, line, adapter, family, number) for number in range(rounds)]
        upstream.set_profile(profile)
        for number in range(rounds):
            await _meet_purchase(upstream, line, adapter, family, f"9{number}-1")
        for ids in laid:
            await _meet_reads(upstream, line, adapter, family, ids)
        if family.is_thorough:
            await asyncio.gather(*(_meet_changes(upstream, line, adapter, ids) for ids in laid))
        assert not upstream.facts("redirect_followed")


@pytest.mark.parametrize("profile", ["big-body", "gzip-bomb"])
async def test_a_body_beyond_its_cap_is_not_read(family: Family, profile: str) -> None:
    async with opened(family, profile) as (upstream, line, adapter):
        assert await adapter.rent(line, telegram(family), until=soon()) == Unknown("the body is above its cap")
        if family.can.has_look:
            answer = await adapter.look(line, family.absent_id, until=soon())
            assert answer == Unknown("the body is above its cap")
        assert not upstream.sold


async def _laid_out(upstream: Simulator, line: Line, adapter: Adapter, family: Family, number: int) -> Laid:
    sold = []
    for place in range(4):
        rented = await sale(line, adapter, family, f"{number}-{place + 1}")
        sold.append((rented, last_id(upstream)))
        if place > 1:
            upstream.deliver(last_id(upstream), "Telegram code 48213.")
    return Laid(*sold)


async def _timed(step: Awaitable[T]) -> T:
    began = clock.seconds()
    answer = await step
    assert clock.seconds() - began < DEADLINE + SPARE
    return answer


async def _meet_purchase(upstream: Simulator, line: Line, adapter: Adapter, family: Family, reference: str) -> None:
    before = upstream.facts("sold", "refused")
    answer = await _timed(adapter.rent(line, telegram(family, reference=reference), until=soon(DEADLINE)))
    for _ in range(100):
        facts = upstream.facts("sold", "refused")[len(before) :]
        if facts or isinstance(answer, Refused):
            break
        # A sale that comes after the deadline.
        await asyncio.sleep(0.02)
    assert len(facts) == 1, facts
    is_sold = facts[0].fact == "sold"
    assert not (is_sold and isinstance(answer, Refused)), (facts, answer)
    assert is_sold or not isinstance(answer, Rented), (facts, answer)
    if isinstance(answer, Rented):
        assert answer.number == facts[0].phone
        assert answer.cost_paise is None or answer.cost_paise <= family.cost
        assert family.can.tells_cost == (answer.cost_paise is not None)
    else:
        assert KEY not in answer.detail


async def _meet_reads(upstream: Simulator, line: Line, adapter: Adapter, family: Family, laid: Laid) -> None:
    rented, _ = laid.waiting
    looked, listed, prices, balance = await asyncio.gather(
        _timed(adapter.look(line, rented.upstream_id, until=soon(DEADLINE))),
        _timed(adapter.active(line, until=soon(DEADLINE))),
        _timed(adapter.listing(line, until=soon(DEADLINE))),
        _timed(adapter.balance(line, until=soon(DEADLINE))),
    )
    if family.can.has_look:
        assert isinstance(looked, Waiting | Unknown), looked
    if family.can.has_list and isinstance(listed, ActiveList) and listed.is_whole:
        assert len([activation for activation in listed.activations if activation.is_live]) == len(upstream.live_ids)
    assert isinstance(prices, Listing | Unknown)
    assert not isinstance(prices, Listing) or prices.offers
    assert isinstance(balance, Unknown) or balance == (0 if family.can.sells_at_finish else upstream.balance_paise)


async def _meet_changes(upstream: Simulator, line: Line, adapter: Adapter, laid: Laid) -> None:
    await _meet_change(upstream, line, adapter.cancel, laid.cancelled, "cancelled")
    await _meet_change(upstream, line, adapter.finish, laid.finished, "finished")
    await _meet_change(upstream, line, adapter.another_code, laid.asked_again, "retry")


async def _meet_change(
    upstream: Simulator, line: Line, step: Callable[..., Awaitable[object]], sold: tuple[Rented, int], name: FactName
) -> None:
    rented, activation_id = sold
    answer = await _timed(step(line, rented.upstream_id, until=soon(DEADLINE)))
    facts = [
        fact for fact in upstream.facts() if fact.activation_id == activation_id and fact.fact in (name, "refused")
    ]
    assert len(facts) <= 1, facts
    if facts:
        # The change reached the provider: its answer may be lost, but never turned round.
        is_done = facts[0].fact == name
        assert isinstance(answer, (Done | Unknown) if is_done else (Refused | Unknown)), (facts, answer)
    else:
        assert isinstance(answer, Done | Refused | Unknown), answer
