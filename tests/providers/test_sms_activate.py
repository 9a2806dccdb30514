"""The SMS-Activate adapter against the simulator and small servers: one request for a purchase, and honest answers."""

from datetime import timedelta
from typing import Any

import pytest
from aiolimiter import AsyncLimiter

from numberdesk.base import clock
from numberdesk.base.money import Paise
from numberdesk.providers.adapters import ADAPTERS, sms_activate
from numberdesk.providers.line import ORDER_BODY_MAX, Line
from numberdesk.providers.model import (
    ActiveList,
    CodeWon,
    Done,
    Ended,
    Listing,
    Received,
    Refused,
    Rented,
    TooEarly,
    Unknown,
    Waiting,
)
from numberdesk.providers.simulator import catalogue
from tests.providers.line_desk import COST, FAULTS, KEY, line_to, simulated, soon, told, wanted

pytestmark = pytest.mark.anyio

SALE = b'{"activationId":635468024,"phoneNumber":"79584000000","activationCost":12.50,"canGetAnotherSms":"1"}'


async def bought(line: Line, reference: str = "55-1") -> str:
    answer = await sms_activate.rent(line, wanted(reference=reference), until=soon())
    assert isinstance(answer, Rented)
    return answer.upstream_id


# What surely was not sent.


async def test_an_unreachable_provider_refuses() -> None:
    async with line_to("http://127.0.0.1:1") as line:
        answer = await sms_activate.rent(line, wanted(), until=soon())
        assert answer == Refused("unreachable", "it cannot be reached (ClientConnectorError)")
        assert await sms_activate.look(line, "7", until=soon()) == Unknown(
            "it cannot be reached (ClientConnectorError)"
        )
        assert await sms_activate.cancel(line, "7", until=soon()) == Unknown(
            "it cannot be reached (ClientConnectorError)"
        )


async def test_without_a_free_place_nothing_is_sent() -> None:
    async with told(SALE) as server, line_to(server.url, places=1) as line:
        async with line.places:
            answer = await sms_activate.rent(line, wanted(), until=soon(0.1))
            assert answer == Refused("busy", "no free place before the deadline")
            assert await sms_activate.look(line, "7", until=soon(0.1)) == Unknown("no free place before the deadline")
        assert not server.queries
        assert isinstance(await sms_activate.rent(line, wanted(), until=soon()), Rented)


async def test_beyond_the_pace_nothing_is_sent() -> None:
    async with told(SALE) as server, line_to(server.url, pace=AsyncLimiter(2, 30)) as line:
        for _ in range(2):
            assert isinstance(await sms_activate.rent(line, wanted(), until=soon()), Rented)
        answer = await sms_activate.rent(line, wanted(), until=soon(0.1))
        assert isinstance(answer, Refused)
        assert answer.reason == "busy"
        assert len(server.queries) == 2
        assert not line.places.locked()


@pytest.mark.parametrize(("ceiling", "per_unit"), [(0, 100), (-5, 100), (1, 100_000), (1, 20_000)])
async def test_a_ceiling_of_nothing_is_never_sent(ceiling: int, per_unit: int) -> None:
    async with told(SALE) as server, line_to(server.url, paise_per_unit=per_unit) as line:
        answer = await sms_activate.rent(line, wanted(ceiling=ceiling), until=soon())
        assert isinstance(answer, Refused)
        assert answer.reason == "price_changed"
        assert not server.queries


# What was sent, and how.


async def test_a_purchase_is_one_request_with_our_reference_and_ceiling() -> None:
    async with told(SALE) as server, line_to(server.url) as line:
        await sms_activate.rent(line, wanted(ceiling=1775), until=soon())
        await sms_activate.rent(line, wanted(ceiling=100000, operator="airtel", reference="56-2"), until=soon())
    purchase = {"api_key": KEY, "action": "getNumberV2", "service": "tg", "country": "22"}
    assert server.queries == [
        purchase | {"maxPrice": "17.75", "orderId": "55-1"},
        purchase | {"maxPrice": "1000.00", "orderId": "56-2", "operator": "airtel"},
    ]


@pytest.mark.parametrize(
    ("ceiling", "per_unit", "sent"),
    [(5, 100, "0.05"), (1850, 8350, "0.2215"), (1849, 8350, "0.2214"), (30, 8350, "0.0035"), (1999, 90, "22.21")],
)
async def test_a_ceiling_in_another_currency_is_rounded_down(ceiling: int, per_unit: int, sent: str) -> None:
    async with told(SALE) as server, line_to(server.url, paise_per_unit=per_unit) as line:
        await sms_activate.rent(line, wanted(ceiling=ceiling), until=soon())
    assert server.queries[0]["maxPrice"] == sent


@pytest.mark.parametrize("lost", [None, 500, 503])
async def test_a_purchase_is_never_repeated(lost: Any) -> None:
    async with told(SALE, lost, SALE) as server, line_to(server.url) as line:
        assert isinstance(await sms_activate.rent(line, wanted(), until=soon()), Rented)
        assert isinstance(await sms_activate.rent(line, wanted(), until=soon()), Unknown)
    assert len(server.queries) == 2


@pytest.mark.parametrize("lost", [None, 500])
@pytest.mark.parametrize("step", [sms_activate.cancel, sms_activate.finish, sms_activate.another_code])
async def test_a_change_of_status_is_never_repeated(lost: Any, step: Any) -> None:
    async with told(lost, b"ACCESS_CANCEL") as server, line_to(server.url) as line:
        assert isinstance(await step(line, "7", until=soon()), Unknown)
    assert len(server.queries) == 1


@pytest.mark.parametrize("lost", [None, 500])
async def test_a_read_is_repeated_once(lost: Any) -> None:
    async with told(lost, b"STATUS_OK:4821") as server, line_to(server.url) as line:
        assert await sms_activate.look(line, "7", until=soon()) == (Received("4821", ""),)
    assert server.queries == [{"api_key": KEY, "action": "getStatus", "id": "7"}] * 2
    async with told(lost) as server, line_to(server.url) as line:
        assert isinstance(await sms_activate.look(line, "7", until=soon()), Unknown)
    assert len(server.queries) == 2


async def test_a_body_above_the_cap_of_one_order_is_unknown() -> None:
    padded = SALE[:-1] + b" " * ORDER_BODY_MAX + b"}"
    async with told(padded) as server, line_to(server.url) as line:
        assert await sms_activate.rent(line, wanted(), until=soon()) == Unknown("the body is above its cap")


@pytest.mark.parametrize(
    ("url", "called"),
    [
        ("https://sms.test", "https://sms.test/stubs/handler_api.php"),
        ("https://sms.test/", "https://sms.test/stubs/handler_api.php"),
        ("https://sms.test:8080/hero", "https://sms.test:8080/hero/stubs/handler_api.php"),
        ("https://sms.test/stubs/handler_api.php", "https://sms.test/stubs/handler_api.php"),
        ("https://sms.test/stubs/handler_api", "https://sms.test/stubs/handler_api"),
        ("https://sms.test/api.php", "https://sms.test/api.php"),
    ],
)
def test_an_address_may_be_a_root_or_full(url: str, called: str) -> None:
    assert str(ADAPTERS["sms-activate"].endpoint(url)) == called


# The simulator's faults.


@pytest.mark.parametrize(("profile", "sold"), FAULTS)
async def test_a_fault_of_the_provider_is_unknown(profile: str, sold: int) -> None:
    async with simulated(profile) as (upstream, line):
        answer = await sms_activate.rent(line, wanted(), until=soon())
        assert isinstance(answer, Unknown), answer
        assert KEY not in answer.detail
        assert len(upstream.sold) == sold
        assert len(upstream.refused) == 1 - sold
        assert not upstream.facts("redirect_followed")


@pytest.mark.parametrize(("profile", "sold"), [("slow", 1), ("late-sale", 0), ("drip", 1)])
async def test_a_slow_provider_is_unknown_within_the_deadline(profile: str, sold: int) -> None:
    async with simulated(profile) as (upstream, line):
        began = clock.seconds()
        answer = await sms_activate.rent(line, wanted(), until=soon(0.3))
        assert clock.seconds() - began < 1
        assert answer == Unknown("no answer before the deadline")
        assert len(upstream.sold) == sold


async def test_every_kind_of_garbage_is_unknown() -> None:
    async with simulated("garbage") as (upstream, line):
        for number in range(30):
            answer = await sms_activate.rent(line, wanted(reference=str(number)), until=soon())
            assert isinstance(answer, Unknown), answer
            assert isinstance(await sms_activate.look(line, "7", until=soon()), Unknown | Ended)
            assert isinstance(await sms_activate.active(line, until=soon()), Unknown)
            assert isinstance(await sms_activate.balance(line, until=soon()), Unknown)
        kinds = {fact.reason for fact in upstream.refused if fact.action == "getNumberV2"}
        assert {"garbage: html", "garbage: binary", "garbage: empty"} <= kinds
        assert len(upstream.sold) + len([fact for fact in upstream.refused if fact.action == "getNumberV2"]) == 30


async def test_an_error_word_is_a_refusal_only_when_it_is_listed() -> None:
    reasons = {
        "NO_BALANCE": "no_balance",
        "BANNED:'2030-01-01 00-00-00'": "account_blocked",
        "CHANNELS_LIMIT": "account_blocked",
        "ACCOUNT_INACTIVE": "account_blocked",
    }
    met = set()
    async with simulated("error-word") as (upstream, line):
        for number in range(60):
            answer = await sms_activate.rent(line, wanted(reference=str(number)), until=soon())
            word = upstream.refused[-1].reason
            met.add(word)
            if word in reasons:
                assert answer == Refused(reasons[word], word)  # type: ignore[arg-type]
            else:
                assert isinstance(answer, Unknown), answer
    assert met >= set(reasons) | {"ERROR_SQL", "MAINTENANCE_IN_PROGRESS", "TEMPORARY_ERROR:17", "Too many connections"}


async def test_words_of_the_simulator_are_refusals() -> None:
    async with simulated("no-stock") as (upstream, line):
        assert await sms_activate.rent(line, wanted(), until=soon()) == Refused("no_numbers", "NO_NUMBERS")
    async with simulated(balance="1.00") as (upstream, line):
        assert await sms_activate.rent(line, wanted(), until=soon()) == Refused("no_balance", "NO_BALANCE")
        answer = await sms_activate.rent(line, wanted(ceiling=COST - 1), until=soon())
        assert answer == Refused("price_changed", "WRONG_MAX_PRICE:17.75")
        answer = await sms_activate.rent(line, wanted(operator="nobody"), until=soon())
        assert answer == Refused("bad_operator", "WRONG_OPERATOR")
        answer = await sms_activate.rent(line, wanted(country=9999), until=soon())
        assert isinstance(answer, Refused)
        assert answer.reason == "bad_country"
        assert not upstream.sold


async def test_a_reference_used_before_is_unknown() -> None:
    async with simulated() as (upstream, line):
        await bought(line, "55-1")
        assert await sms_activate.rent(line, wanted(), until=soon()) == Unknown("ORDER_ALREADY_EXISTS")
        assert len(upstream.sold) == 1


# What works.


async def test_a_lost_sale_is_found_in_the_active_list_by_its_reference() -> None:
    async with simulated("sold-then-dropped", echo_order_id=True) as (upstream, line):
        assert isinstance(await sms_activate.rent(line, wanted(reference="77-1"), until=soon()), Unknown)
        listed = await sms_activate.active(line, until=soon())
        assert isinstance(listed, ActiveList)
        assert listed.is_whole
        (activation,) = listed.activations
        sale = upstream.sold[0]
        assert (activation.upstream_id, activation.number) == (str(sale.activation_id), sale.phone)
        assert (activation.reference, activation.cost_paise, activation.country) == ("77-1", COST, 22)


async def test_an_activation_from_its_sale_to_its_end() -> None:
    async with simulated() as (upstream, line):
        answer = await sms_activate.rent(line, wanted(), until=soon())
        sale = upstream.sold[0]
        upstream_id = str(sale.activation_id)
        assert answer == Rented(upstream_id, str(sale.phone), Paise(COST), can_get_next=True)
        assert await sms_activate.look(line, upstream_id, until=soon()) == Waiting()
        assert await sms_activate.finish(line, upstream_id, until=soon()) == Refused("not_allowed", "BAD_STATUS")
        assert await sms_activate.another_code(line, upstream_id, until=soon()) == Refused("not_allowed", "BAD_STATUS")
        upstream.deliver(int(upstream_id), "Telegram code 48213.")
        assert await sms_activate.look(line, upstream_id, until=soon()) == (Received("48213", ""),)
        listed = await sms_activate.active(line, until=soon())
        assert isinstance(listed, ActiveList)
        assert listed.activations[0].messages == (Received("48213", "Telegram code 48213."),)
        assert await sms_activate.cancel(line, upstream_id, until=soon()) == CodeWon()
        assert await sms_activate.another_code(line, upstream_id, until=soon()) == Done()
        assert await sms_activate.look(line, upstream_id, until=soon()) == Waiting()
        assert await sms_activate.cancel(line, upstream_id, until=soon()) == CodeWon()
        upstream.deliver(int(upstream_id), "Telegram code 99999.")
        assert await sms_activate.look(line, upstream_id, until=soon()) == (Received("99999", ""),)
        assert await sms_activate.finish(line, upstream_id, until=soon()) == Done()
        assert await sms_activate.finish(line, upstream_id, until=soon()) == Done()
        assert await sms_activate.look(line, upstream_id, until=soon()) == Ended("STATUS_CANCEL")
        assert await sms_activate.cancel(line, upstream_id, until=soon()) == Ended("STATUS_CANCEL")


async def test_a_cancel_is_early_then_done_and_done_again() -> None:
    async with simulated() as (upstream, line):
        upstream_id = await bought(line)
        assert await sms_activate.cancel(line, upstream_id, until=soon()) == TooEarly()
    async with simulated(min_cancel_age=timedelta(0)) as (upstream, line):
        upstream_id = await bought(line)
        assert await sms_activate.cancel(line, upstream_id, until=soon()) == Done()
        assert await sms_activate.cancel(line, upstream_id, until=soon()) == Done()
        assert await sms_activate.cancel(line, "12345", until=soon()) == Ended("NO_ACTIVATION")
        assert len(upstream.cancelled) == 1
        assert await sms_activate.look(line, "12345", until=soon()) == Ended("NO_ACTIVATION")


async def test_a_cancel_whose_answer_is_lost_is_unknown_and_may_be_repeated() -> None:
    async with simulated(min_cancel_age=timedelta(0)) as (upstream, line):
        upstream_id = await bought(line)
        upstream.set_profile("status-then-dropped")
        assert isinstance(await sms_activate.cancel(line, upstream_id, until=soon()), Unknown)
        assert len(upstream.cancelled) == 1
        upstream.set_profile("never")
        assert await sms_activate.cancel(line, upstream_id, until=soon()) == Done()


async def test_an_ended_activation_with_a_late_code_is_listed_as_not_live() -> None:
    async with simulated(min_cancel_age=timedelta(0)) as (upstream, line):
        upstream_id = await bought(line)
        await sms_activate.cancel(line, upstream_id, until=soon())
        upstream.deliver(int(upstream_id), "Telegram code 48213.")
        listed = await sms_activate.active(line, until=soon())
        assert isinstance(listed, ActiveList)
        (late,) = listed.activations
        assert (late.upstream_id, late.is_live, late.messages[0].code) == (upstream_id, False, "48213")


async def test_an_empty_shelf_is_an_empty_whole_list() -> None:
    async with simulated() as (_, line):
        assert await sms_activate.active(line, until=soon()) == ActiveList((), is_whole=True)


async def test_prices_and_balance_are_the_simulators() -> None:
    async with simulated() as (upstream, line):
        listed = await sms_activate.listing(line, until=soon())
        assert isinstance(listed, Listing)
        assert {(offer.service, int(offer.country)): (offer.cost_paise, offer.stock) for offer in listed.offers} == {
            key: (offer.cost_paise, offer.count) for key, offer in catalogue.offers().items()
        }
        (telegram,) = (offer for offer in listed.offers if (offer.service, offer.country) == ("tg", "22"))
        assert (telegram.cost_paise, telegram.operator) == (COST, "any")
        assert telegram.stock > 0
        await bought(line)
        assert await sms_activate.balance(line, until=soon()) == upstream.balance_paise == 10_000_000 - COST


async def test_a_long_list_is_read_whole() -> None:
    async with simulated(balance="9999999.00") as (upstream, line):
        for number in range(1500):
            await bought(line, str(number))
        listed = await sms_activate.active(line, until=soon())
        assert isinstance(listed, ActiveList)
        assert listed.is_whole
        assert {int(item.upstream_id) for item in listed.activations} == upstream.live_ids
