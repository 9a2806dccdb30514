"""The SMSPool adapter against the simulator and small servers: one request for a purchase, and honest answers."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from numberdesk.base import http_client
from numberdesk.base.money import Paise
from numberdesk.providers.adapters import ADAPTERS, sms_pool
from numberdesk.providers.adapters.sms_pool_lists import STOCK_UNTOLD
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
    UpstreamName,
    Waiting,
)
from numberdesk.providers.simulator import catalogue
from numberdesk.providers.simulator.sms_pool import COUNTRY_IDS, SERVICE_IDS, number_of, order_code
from tests.providers.line_desk import COST, FAULTS, KEY, soon, wanted
from tests.providers.sms_pool_desk import WORDS, Came, simulated, sms_pool_line, told
from tests.providers.test_sms_pool_parse import recorded, row

pytestmark = pytest.mark.anyio

UNREACHABLE = "it cannot be reached (ClientConnectorError)"
CHEAP = msgspec.json.encode(msgspec.json.decode(recorded("purchase")) | {"cost": "17.75"})


async def bought(line: Line) -> str:
    answer = await sms_pool.rent(line, wanted(), until=soon())
    assert isinstance(answer, Rented)
    return answer.upstream_id


async def listed(line: Line) -> ActiveList:
    found = await sms_pool.active(line, until=soon(5))
    assert isinstance(found, ActiveList)
    return found


# What surely was not sent.


async def test_an_unreachable_provider_refuses() -> None:
    async with sms_pool_line("http://127.0.0.1:1") as line:
        assert await sms_pool.rent(line, wanted(), until=soon()) == Refused("unreachable", UNREACHABLE)
        assert await sms_pool.look(line, "ABCDEFGH", until=soon()) == Unknown(UNREACHABLE)
        assert await sms_pool.active(line, until=soon()) == Unknown(UNREACHABLE)
        assert await sms_pool.listing(line, until=soon()) == Unknown(UNREACHABLE)


async def test_without_a_word_nothing_is_sent() -> None:
    async with told(CHEAP) as server, sms_pool_line(server.url) as line:
        answers = [
            await sms_pool.rent(line, replace(wanted(), service="unheard"), until=soon()),
            await sms_pool.rent(line, wanted(country=12), until=soon()),
            await sms_pool.rent(line, wanted(operator="nobody"), until=soon()),
            await sms_pool.rent(line, wanted(operator=""), until=soon()),
            await sms_pool.rent(line, wanted(ceiling=0), until=soon()),
        ]
        assert [answer.reason for answer in answers if isinstance(answer, Refused)] == [
            "bad_service",
            "bad_country",
            "bad_operator",
            "bad_operator",
            "price_changed",
        ]
        assert not server.came


# What was sent, and how.


async def test_a_purchase_is_one_form_and_the_key_stands_in_no_address() -> None:
    async with told(CHEAP) as server, sms_pool_line(server.url) as line:
        assert isinstance(await sms_pool.rent(line, wanted(ceiling=2100), until=soon()), Rented)
        await sms_pool.rent(line, wanted(ceiling=2100, operator="7"), until=soon())
    form = {
        "key": KEY,
        "country": "IN",
        "service": "907",
        "max_price": "21.00",
        "pricing_option": "0",
        "quantity": "1",
    }
    assert server.came == [
        Came("POST", "/purchase/sms", f"Bearer {KEY}", form),
        Came("POST", "/purchase/sms", f"Bearer {KEY}", form | {"pool": "7"}),
    ]


async def test_a_ceiling_is_written_in_the_providers_money_and_rounded_down() -> None:
    async with told(CHEAP) as server, sms_pool_line(server.url, paise_per_unit=8350) as line:
        assert await sms_pool.rent(line, wanted(ceiling=2100), until=soon()) == Unknown("price above the ceiling")
    assert server.came[0].form["max_price"] == "0.2514"


async def test_no_word_can_leave_its_field() -> None:
    async with told(CHEAP) as server, sms_pool_line(server.url) as line:
        sly = replace(WORDS, service_words={"tg": "907&max_price=999&quantity=5"})
        await sms_pool.rent(replace(line, words=sly), wanted(ceiling=2100), until=soon())
        await sms_pool.look(line, "A&key=x", until=soon())
    purchase, look = server.came
    assert (purchase.form["service"], purchase.form["max_price"]) == ("907&max_price=999&quantity=5", "21.00")
    assert look.form == {"key": KEY, "orderid": "A&key=x"}


@pytest.mark.parametrize("lost", [None, (500, b""), (503, b"busy"), (429, b"busy")])
async def test_a_purchase_is_never_repeated(lost: Any) -> None:
    async with told(lost, CHEAP) as server, sms_pool_line(server.url) as line:
        assert isinstance(await sms_pool.rent(line, wanted(), until=soon()), Unknown)
    assert len(server.came) == 1


@pytest.mark.parametrize("lost", [None, (500, b"")])
async def test_a_change_is_never_repeated(lost: Any) -> None:
    async with told(lost, recorded("cancel")) as server, sms_pool_line(server.url) as line:
        assert isinstance(await sms_pool.cancel(line, "ABCDEFGH", until=soon()), Unknown)
    assert [came.target for came in server.came] == ["/sms/cancel"]
    async with told(recorded("check_resend"), lost, recorded("resend")) as server, sms_pool_line(server.url) as line:
        assert isinstance(await sms_pool.another_code(line, "QRXWQWZK", until=soon()), Unknown)
    assert [came.target for came in server.came] == ["/sms/check_resend", "/sms/resend"]


@pytest.mark.parametrize("lost", [None, (500, b"")])
async def test_a_read_is_repeated_once(lost: Any) -> None:
    async with told(lost, recorded("check-pending")) as server, sms_pool_line(server.url) as line:
        assert await sms_pool.look(line, "ABCDEFGH", until=soon()) == Waiting()
    assert [came.target for came in server.came] == ["/sms/check"] * 2


async def test_a_finish_needs_no_question_and_nothing_is_posted_to_us() -> None:
    async with told(CHEAP) as server, sms_pool_line(server.url) as line:
        assert await sms_pool.finish(line, "ABCDEFGH", until=soon()) == Done()
        assert not server.came
    assert sms_pool.pushed(b"{}") is None


async def test_one_more_code_that_would_cost_extra_is_not_asked_for() -> None:
    dear = msgspec.json.encode(msgspec.json.decode(recorded("check_resend")) | {"resendCost": "0.10"})
    async with told(dear, recorded("resend")) as server, sms_pool_line(server.url) as line:
        answer = await sms_pool.another_code(line, "QRXWQWZK", until=soon())
        assert answer == Refused("not_allowed", "one more message would cost extra")
    assert [came.target for came in server.came] == ["/sms/check_resend"]


async def test_a_body_above_the_cap_of_one_order_is_unknown() -> None:
    async with told(CHEAP + b" " * ORDER_BODY_MAX) as server, sms_pool_line(server.url) as line:
        assert await sms_pool.rent(line, wanted(), until=soon()) == Unknown("the body is above its cap")


def test_an_address_is_a_root() -> None:
    endpoint = ADAPTERS["sms-pool"].endpoint
    assert str(endpoint("https://pool.test")) == "https://pool.test"
    assert str(endpoint("https://pool.test:8080/some/")) == "https://pool.test:8080/some"


# Names.


def with_names(*rows: dict[str, Any], services: bytes = recorded("services")) -> Any:
    def answer(came: Came) -> bytes:
        return services if came.target == "/service/retrieve_all" else msgspec.json.encode(list(rows))

    return answer


async def test_names_are_read_once_and_without_the_key() -> None:
    async with told(with_names(row())) as server, sms_pool_line(server.url) as line:
        for _ in range(3):
            assert [item.service for item in (await listed(line)).activations] == ["tg"]
        targets = [came.target for came in server.came]
        assert targets == ["/request/active", "/service/retrieve_all", "/request/active", "/request/active"]
        assert (server.came[1].authorization, server.came[1].form) == (None, {})
        # Another process has another session and knows nothing yet.
        async with http_client.session() as session:
            await listed(replace(line, session=session))
    assert [came.target for came in server.came].count("/service/retrieve_all") == 2


async def test_a_name_that_no_list_has_is_looked_for_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    async with told(with_names(row(service="Brand new"))) as server, sms_pool_line(server.url) as line:
        for _ in range(3):
            assert not (await listed(line)).is_whole
        assert [came.target for came in server.came].count("/service/retrieve_all") == 1
        monkeypatch.setattr(sms_pool, "NAMES_KEPT", 0.0)
        assert not (await listed(line)).is_whole
        assert [came.target for came in server.came].count("/service/retrieve_all") == 2


async def test_without_names_nothing_is_said_of_the_orders() -> None:
    async with told(with_names(row(), services=b"[]")) as server, sms_pool_line(server.url) as line:
        assert isinstance(await sms_pool.active(line, until=soon()), Unknown)
    async with told(with_names()) as server, sms_pool_line(server.url) as line:
        assert await listed(line) == ActiveList((), is_whole=True)
        assert len(server.came) == 1


# Prices.


async def test_prices_are_read_country_by_country_all_or_none() -> None:
    def prices(came: Came) -> bytes:
        if came.target == "/country/retrieve_all":
            return recorded("countries")
        return recorded("pricing") if came.form["country"] == "20" else b"[]"

    async with told(prices) as server, sms_pool_line(server.url) as line:
        found = await sms_pool.listing(line, until=soon())
        assert isinstance(found, Listing)
        assert {(offer.service, offer.country, offer.operator) for offer in found.offers} == {
            ("846", "MY", "any"),
            ("846", "MY", "3"),
        }
        assert found.services == (UpstreamName("846", "Snapchat"),)
        assert UpstreamName("GB", "United Kingdom", "GB") in found.countries
    assert {came.form.get("country") for came in server.came} == {None, "1", "2", "20"}

    def broken(came: Came) -> bytes:
        return b"{}" if came.form.get("country") == "2" else prices(came)

    async with told(broken) as server, sms_pool_line(server.url) as line:
        assert isinstance(await sms_pool.listing(line, until=soon()), Unknown)


async def test_two_countries_of_one_short_name_have_the_lower_price() -> None:
    entry = msgspec.json.decode(recorded("pricing"))[0]
    places = [{"ID": number, "name": "Malaysia", "short_name": "MY"} for number in (20, 21, 22)]

    def answer(came: Came) -> bytes:
        if came.target == "/country/retrieve_all":
            return msgspec.json.encode(places)
        price = {"20": "0.03", "21": "0.02", "22": "0.04"}[came.form["country"]]
        return msgspec.json.encode([entry | {"price": price}])

    async with told(answer) as server, sms_pool_line(server.url) as line:
        found = await sms_pool.listing(line, until=soon())
    assert isinstance(found, Listing)
    assert [(offer.operator, offer.cost_paise) for offer in found.offers] == [("any", 2), ("3", 2)]
    assert len(found.countries) == 1


# The simulator's faults.


@pytest.mark.parametrize(("profile", "sold"), FAULTS)
async def test_a_fault_of_the_provider_is_unknown(profile: str, sold: int) -> None:
    async with simulated(profile) as (upstream, line):
        answer = await sms_pool.rent(line, wanted(), until=soon())
        assert isinstance(answer, Unknown), answer
        assert KEY not in answer.detail
        assert len(upstream.sold) == sold
        assert [fact.action for fact in upstream.refused] == ["purchase/sms"] * (1 - sold)
        assert not upstream.facts("redirect_followed")


async def test_an_error_is_a_refusal_only_when_it_is_listed() -> None:
    reasons = {"OUT_OF_STOCK": "no_numbers", "BALANCE_ERROR": "no_balance", "PRICE_NOT_FOUND": "price_changed"}
    met = set()
    async with simulated("error-word") as (upstream, line):
        for _ in range(80):
            answer = await sms_pool.rent(line, wanted(), until=soon())
            said = msgspec.json.decode(str(upstream.refused[-1].reason))
            met.add(said.get("type", said.get("message", "")))
            if said.get("type") in reasons:
                assert answer == Refused(reasons[said["type"]], said["type"])  # type: ignore[arg-type]
            elif "errors" in said:
                assert isinstance(answer, Refused)
                assert answer.reason == "bad_service"
            else:
                assert isinstance(answer, Unknown), answer
        assert not upstream.sold
    assert met >= {*reasons, "POOL_ERROR", "You are being rate limited.", ""}


async def test_errors_of_the_simulator_are_refusals() -> None:
    async with simulated("no-stock") as (upstream, line):
        assert await sms_pool.rent(line, wanted(), until=soon()) == Refused("no_numbers", "OUT_OF_STOCK")
    async with simulated(balance="1.00") as (upstream, line):
        assert await sms_pool.rent(line, wanted(), until=soon()) == Refused("no_balance", "BALANCE_ERROR")
        answer = await sms_pool.rent(line, wanted(ceiling=COST - 1), until=soon())
        assert answer == Refused("price_changed", "PRICE_NOT_FOUND")
        strange = replace(WORDS, country_words={22: "ZZ"})
        reasons = [
            await sms_pool.rent(line, wanted(operator="99"), until=soon()),
            await sms_pool.rent(line, replace(wanted(), service="bw"), until=soon()),
            await sms_pool.rent(replace(line, words=strange), wanted(), until=soon()),
            await sms_pool.rent(replace(line, api_key="another"), wanted(), until=soon()),
        ]
        assert [answer.reason for answer in reasons if isinstance(answer, Refused)] == [
            "bad_operator",
            "bad_service",
            "bad_country",
            "bad_key",
        ]
        assert not upstream.sold


# What works.


async def test_a_lost_sale_is_found_among_the_orders() -> None:
    async with simulated("sold-then-dropped") as (upstream, line):
        assert isinstance(await sms_pool.rent(line, wanted(), until=soon()), Unknown)
        found = await listed(line)
        assert found.is_whole
        (activation,) = found.activations
        sale = upstream.sold[0]
        assert (activation.upstream_id, activation.number) == (order_code(sale.activation_id or 0), sale.phone)
        assert (activation.service, activation.country, activation.cost_paise) == ("tg", 22, COST)
        assert activation.is_live


async def test_an_order_from_its_sale_to_its_end() -> None:
    async with simulated() as (upstream, line):
        answer = await sms_pool.rent(line, wanted(operator="2"), until=soon())
        sale = upstream.sold[0]
        upstream_id = order_code(sale.activation_id or 0)
        assert answer == Rented(upstream_id, str(sale.phone), Paise(COST), can_get_next=True)
        assert sale.operator == "jio"
        assert await sms_pool.look(line, upstream_id, until=soon()) == Waiting()
        assert isinstance(await sms_pool.another_code(line, upstream_id, until=soon()), Refused)
        upstream.deliver(number_of(upstream_id), "Telegram code 48213.")
        first = Received("48213", "Telegram code 48213.")
        assert await sms_pool.look(line, upstream_id, until=soon()) == (first,)
        assert (await listed(line)).activations[0].messages == (first,)
        assert await sms_pool.cancel(line, upstream_id, until=soon()) == CodeWon()
        assert await sms_pool.another_code(line, upstream_id, until=soon()) == Done()
        assert await sms_pool.look(line, upstream_id, until=soon()) == Waiting()
        assert await sms_pool.cancel(line, upstream_id, until=soon()) == CodeWon()
        assert (await listed(line)).activations[0].messages == ()
        upstream.deliver(number_of(upstream_id), "Telegram code 99999.")
        second = Received("99999", "Telegram code 99999.")
        assert await sms_pool.look(line, upstream_id, until=soon()) == (second,)
        assert len(upstream.retries) == 1


async def test_a_cancel_is_early_then_done_and_done_again() -> None:
    async with simulated() as (upstream, line):
        assert await sms_pool.cancel(line, await bought(line), until=soon()) == TooEarly()
    async with simulated(min_cancel_age=timedelta(0)) as (upstream, line):
        upstream_id = await bought(line)
        assert await sms_pool.cancel(line, upstream_id, until=soon()) == Done()
        assert await sms_pool.cancel(line, upstream_id, until=soon()) == Done()
        assert len(upstream.cancelled) == 1
        assert upstream.balance_paise == 10_000_000
        assert await sms_pool.look(line, upstream_id, until=soon()) == Ended("refunded")
        for absent in ("ZZZZZZZZ", "12345", "?"):
            for step in (sms_pool.look, sms_pool.cancel, sms_pool.another_code):
                answer = await step(line, absent, until=soon())
                assert isinstance(answer, Ended) or (step is sms_pool.another_code and isinstance(answer, Refused))


async def test_an_expired_order_is_over_and_a_late_message_is_seen() -> None:
    async with simulated(lifetime=timedelta(milliseconds=50)) as (upstream, line):
        upstream_id = await bought(line)
        for _ in range(300):
            await asyncio.sleep(0 if upstream.expired else 0.01)
        assert await sms_pool.look(line, upstream_id, until=soon()) == Ended("expired")
        assert await sms_pool.cancel(line, upstream_id, until=soon()) == Ended("expired")
        assert await listed(line) == ActiveList((), is_whole=True)
        upstream.deliver(number_of(upstream_id), "Telegram code 48213.")
        (late,) = (await listed(line)).activations
        assert (late.upstream_id, late.is_live, late.messages[0].code) == (upstream_id, False, "48213")


async def test_prices_names_and_balance_are_the_simulators() -> None:
    async with simulated() as (upstream, line):
        found = await sms_pool.listing(line, until=soon(5))
        assert isinstance(found, Listing)
        codes = {str(number): code for code, number in SERVICE_IDS.items()}
        assert {
            (codes[offer.service], WORDS.countries[offer.country]): offer.cost_paise
            for offer in found.offers
            if offer.operator == "any"
        } == {key: offer.cost_paise for key, offer in catalogue.offers().items()}
        assert {offer.stock for offer in found.offers} == {STOCK_UNTOLD}
        assert {offer.operator for offer in found.offers if offer.country == "IN"} == {"any", "1", "2", "3"}
        assert UpstreamName("GB", "England", "GB") in found.countries
        assert UpstreamName("395", "Google/Gmail") in found.services
        assert {name.word for name in found.services} == set(codes)
        assert len(found.countries) == len(COUNTRY_IDS)
        await bought(line)
        assert await sms_pool.balance(line, until=soon()) == upstream.balance_paise == 10_000_000 - COST
