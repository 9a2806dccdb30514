"""The 5sim adapter against the simulator and small servers: one request for a purchase, and honest answers."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from aiohttp import web

from numberdesk.base.money import Paise
from numberdesk.providers.adapters import ADAPTERS, five_sim
from numberdesk.providers.line import LIST_BODY_MAX, ORDER_BODY_MAX, Line
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
from numberdesk.providers.simulator.five_sim import PLACES, PRODUCTS
from tests.providers.five_sim_desk import WORDS, five_sim_line, simulated, told
from tests.providers.line_desk import COST, FAULTS, KEY, soon, wanted
from tests.providers.test_five_sim_lists import page, row
from tests.providers.test_five_sim_parse import recorded

pytestmark = pytest.mark.anyio

SALE = recorded("buy")
BOUGHT = "/v1/user/buy/activation/india/any/telegram"
UNREACHABLE = "it cannot be reached (ClientConnectorError)"


async def bought(line: Line) -> str:
    answer = await five_sim.rent(line, wanted(), until=soon())
    assert isinstance(answer, Rented)
    return answer.upstream_id


async def listed(line: Line) -> ActiveList:
    found = await five_sim.active(line, until=soon(5))
    assert isinstance(found, ActiveList)
    return found


# What surely was not sent.


async def test_an_unreachable_provider_refuses() -> None:
    async with five_sim_line("http://127.0.0.1:1") as line:
        assert await five_sim.rent(line, wanted(), until=soon()) == Refused("unreachable", UNREACHABLE)
        assert await five_sim.look(line, "7", until=soon()) == Unknown(UNREACHABLE)
        assert await five_sim.active(line, until=soon()) == Unknown(UNREACHABLE)
        assert await five_sim.listing(line, until=soon()) == Unknown(UNREACHABLE)


async def test_without_a_word_nothing_is_sent() -> None:
    async with told(SALE) as server, five_sim_line(server.url) as line:
        strange = replace(wanted(), service="unheard")
        assert await five_sim.rent(line, strange, until=soon()) == Refused(
            "bad_service", "the provider has no word for it"
        )
        answers = [
            await five_sim.rent(line, wanted(country=12), until=soon()),
            await five_sim.rent(line, wanted(operator=".."), until=soon()),
            await five_sim.rent(line, wanted(operator=""), until=soon()),
            await five_sim.rent(line, wanted(ceiling=0), until=soon()),
        ]
        assert [answer.reason for answer in answers if isinstance(answer, Refused)] == [
            "bad_country",
            "bad_operator",
            "bad_operator",
            "price_changed",
        ]
        assert not server.came


# What was sent, and how.


async def test_a_purchase_is_one_request_whose_key_stands_in_no_address() -> None:
    async with told(SALE) as server, five_sim_line(server.url) as line:
        await five_sim.rent(line, wanted(ceiling=2100), until=soon())
    (came,) = server.came
    assert (came.method, came.target, came.authorization) == ("GET", BOUGHT + "?maxPrice=21.00", f"Bearer {KEY}")


async def test_a_named_operator_has_no_ceiling_and_its_price_is_looked_at() -> None:
    async with told(SALE) as server, five_sim_line(server.url) as line:
        answer = await five_sim.rent(line, wanted(ceiling=2100, operator="airtel"), until=soon())
        assert isinstance(answer, Rented)
        answer = await five_sim.rent(line, wanted(ceiling=2099, operator="airtel"), until=soon())
        assert answer == Unknown("price above the ceiling")
    assert [came.target for came in server.came] == ["/v1/user/buy/activation/india/airtel/telegram"] * 2


async def test_no_word_can_leave_its_place_in_the_path() -> None:
    async with told(SALE) as server, five_sim_line(server.url) as line:
        sly = replace(WORDS, service_words={"tg": "../../cancel/7?x=1#y"})
        await five_sim.rent(replace(line, words=sly), wanted(operator="a b/ü%2F"), until=soon())
    assert server.came[0].target == (
        "/v1/user/buy/activation/india/a%20b%2F%C3%BC%252F/..%2F..%2Fcancel%2F7%3Fx%3D1%23y"
    )


@pytest.mark.parametrize("lost", [None, (500, b""), (503, b"busy"), (429, b"busy")])
async def test_a_purchase_is_never_repeated(lost: Any) -> None:
    async with told(lost, SALE) as server, five_sim_line(server.url) as line:
        assert isinstance(await five_sim.rent(line, wanted(), until=soon()), Unknown)
    assert len(server.came) == 1


@pytest.mark.parametrize("lost", [None, (500, b"")])
@pytest.mark.parametrize("step", [five_sim.cancel, five_sim.finish])
async def test_a_change_is_never_repeated(lost: Any, step: Any) -> None:
    async with told(lost, SALE) as server, five_sim_line(server.url) as line:
        assert isinstance(await step(line, "7", until=soon()), Unknown)
    assert len(server.came) == 1


@pytest.mark.parametrize("lost", [None, (500, b"")])
async def test_a_read_is_repeated_once(lost: Any) -> None:
    async with told(lost, recorded("check-waiting")) as server, five_sim_line(server.url) as line:
        assert await five_sim.look(line, "11631253", until=soon()) == Waiting()
    assert [came.target for came in server.came] == ["/v1/user/check/11631253"] * 2


async def test_one_more_code_needs_no_question() -> None:
    async with told(SALE) as server, five_sim_line(server.url) as line:
        assert await five_sim.another_code(line, "7", until=soon()) == Done()
        assert not server.came
    assert five_sim.pushed(b"{}") is None


async def test_a_body_above_the_cap_of_one_order_is_unknown() -> None:
    async with told(SALE + b" " * ORDER_BODY_MAX) as server, five_sim_line(server.url) as line:
        assert await five_sim.rent(line, wanted(), until=soon()) == Unknown("the body is above its cap")


@pytest.mark.parametrize(
    ("url", "called"),
    [
        ("https://five.test", "https://five.test/v1"),
        ("https://five.test/v1/", "https://five.test/v1"),
        ("https://five.test:8080/some", "https://five.test:8080/some/v1"),
        ("https://five.test/some/v1", "https://five.test/some/v1"),
    ],
)
def test_an_address_may_be_a_root_or_have_the_version(url: str, called: str) -> None:
    assert str(ADAPTERS["five-sim"].endpoint(url)) == called


# The list of orders, page by page.


def history(rows: list[dict[str, Any]], *, total: int | None = None, cap: int = 1000, newest_first: bool = True) -> Any:
    """Return an answerer that pages through rows, which are given newest first."""
    ordered = rows if newest_first else rows[::-1]

    def answer(request: web.BaseRequest) -> web.Response:
        start, limit = int(request.query["offset"]), min(int(request.query["limit"]), cap)
        shown = ordered[start : start + limit]
        return web.Response(body=page(*shown, total=len(rows) if total is None else total))

    return answer


def many(count: int, *, minutes_apart: int = 0, **changes: Any) -> list[dict[str, Any]]:
    """Return orders, newest first, each 15 minutes long."""
    rows = []
    for number in range(count, 0, -1):
        start = number * minutes_apart
        day, end = 60 * 24, start + 15
        rows.append(
            row(
                number,
                created_at=f"2020-06-{1 + start // day:02}T{start % day // 60:02}:{start % 60:02}:00.123456789Z",
                expires=f"2020-06-{1 + end // day:02}T{end % day // 60:02}:{end % 60:02}:00Z",
                **changes,
            )
        )
    return rows


@pytest.mark.parametrize("cap", [1000, 37])
@pytest.mark.parametrize("newest_first", [True, False])
async def test_all_pages_of_live_orders_are_read(cap: int, newest_first: bool) -> None:
    answer = history(many(250), cap=cap, newest_first=newest_first)
    async with told(answer) as server, five_sim_line(server.url) as line:
        found = await listed(line)
    assert found.is_whole
    assert {int(item.upstream_id) for item in found.activations} == set(range(1, 251))
    assert server.came[0].target == "/v1/user/orders?category=activation&limit=100&offset=0&order=id&reverse=true"


@pytest.mark.parametrize(("newest_first", "pages"), [(True, 1), (False, 2)])
async def test_what_must_have_ended_long_ago_is_left_alone(newest_first: bool, pages: int) -> None:
    rows = many(1000, minutes_apart=10, status="CANCELED")
    rows[1] |= {"status": "PENDING"}
    async with told(history(rows, newest_first=newest_first)) as server, five_sim_line(server.url) as line:
        found = await listed(line)
    assert [item.upstream_id for item in found.activations] == ["999"]
    assert found.is_whole
    assert len(server.came) == pages


async def test_a_list_that_ends_before_its_total_is_not_whole() -> None:
    for answers in ([history(many(150), total=300)], [history(many(150)), (500, b"")]):
        async with told(*answers) as server, five_sim_line(server.url) as line:
            found = await listed(line)
            assert not found.is_whole
            assert len(found.activations) >= 100
    async with told((500, b"")) as server, five_sim_line(server.url) as line:
        assert isinstance(await five_sim.active(line, until=soon()), Unknown)


async def test_orders_bought_meanwhile_do_not_hide_others() -> None:
    rows = many(200)

    def moving(request: web.BaseRequest) -> web.Response:
        shown: web.Response = history(rows)(request)
        rows.insert(0, row(len(rows) + 1))
        return shown

    async with told(moving) as server, five_sim_line(server.url) as line:
        found = await listed(line)
    assert {int(item.upstream_id) for item in found.activations} >= set(range(1, 201))
    assert found.is_whole


# The price list.


async def test_a_price_list_that_is_too_long_is_read_by_country() -> None:
    def answer(request: web.BaseRequest) -> web.Response:
        if request.path.endswith("/countries"):
            return web.Response(body=recorded("countries"))
        country = request.query.get("country")
        if country is None:
            return web.Response(body=b"{" + b" " * LIST_BODY_MAX + b"}")
        offers = {"telegram": {"virtual4": {"cost": 12.5, "count": 3}}}
        return web.Response(body=msgspec.json.encode({country: offers} if country != "usa" else None))

    async with told(answer) as server, five_sim_line(server.url) as line:
        found = await five_sim.listing(line, until=soon(10))
    assert isinstance(found, Listing)
    assert {(offer.country, offer.operator) for offer in found.offers} == {
        (country, operator) for country in ("england", "russia") for operator in ("any", "virtual4")
    }
    assert all(came.authorization is None for came in server.came)


async def test_a_price_list_without_names_is_one_too() -> None:
    async with told((404, b""), recorded("prices-of-product")) as server, five_sim_line(server.url) as line:
        found = await five_sim.listing(line, until=soon())
    assert isinstance(found, Listing)
    assert {offer.country for offer in found.offers} == {"england", "russia"}
    assert (found.countries, found.services) == ((), (UpstreamName("telegram", "telegram"),))


# The simulator's faults.


@pytest.mark.parametrize(("profile", "sold"), FAULTS)
async def test_a_fault_of_the_provider_is_unknown(profile: str, sold: int) -> None:
    async with simulated(profile) as (upstream, line):
        answer = await five_sim.rent(line, wanted(), until=soon())
        assert isinstance(answer, Unknown), answer
        assert KEY not in answer.detail
        assert len(upstream.sold) == sold
        assert [fact.action for fact in upstream.refused] == ["user/buy"] * (1 - sold)
        assert not upstream.facts("redirect_followed")


@pytest.mark.parametrize(("profile", "sold"), [("slow", 1), ("late-sale", 0), ("drip", 1)])
async def test_a_slow_provider_is_unknown_within_the_deadline(profile: str, sold: int) -> None:
    async with simulated(profile) as (upstream, line):
        answer = await five_sim.rent(line, wanted(), until=soon(0.3))
        assert answer == Unknown("no answer before the deadline")
        assert len(upstream.sold) == sold


async def test_every_kind_of_garbage_is_unknown() -> None:
    async with simulated("garbage") as (upstream, line):
        for _ in range(30):
            answer = await five_sim.rent(line, wanted(), until=soon())
            assert isinstance(answer, Unknown), answer
            assert isinstance(await five_sim.look(line, "7", until=soon()), Unknown | Ended)
            assert isinstance(await five_sim.active(line, until=soon()), Unknown)
            assert isinstance(await five_sim.balance(line, until=soon()), Unknown)
        assert len(upstream.sold) + len([fact for fact in upstream.refused if fact.action == "user/buy"]) == 30
        assert upstream.sold


async def test_an_error_text_is_a_refusal_only_when_it_is_listed() -> None:
    reasons = {
        "no free phones": "no_numbers",
        "not enough user balance": "no_balance",
        "not enough rating": "account_blocked",
        "api limit is 100 requests per second": "busy",
        "ip address limit is 100 requests per second": "busy",
    }
    met = set()
    async with simulated("error-word") as (upstream, line):
        for _ in range(80):
            answer = await five_sim.rent(line, wanted(), until=soon())
            word = str(upstream.refused[-1].reason)
            met.add(word)
            if word in reasons:
                assert answer == Refused(reasons[word], word)  # type: ignore[arg-type]
            else:
                assert isinstance(answer, Unknown), answer
    assert met >= {*reasons, "server offline", "internal error", "too many requests", "maintenance"}


async def test_texts_of_the_simulator_are_refusals() -> None:
    async with simulated("no-stock") as (upstream, line):
        assert await five_sim.rent(line, wanted(), until=soon()) == Refused("no_numbers", "no free phones")
    async with simulated(balance="1.00") as (upstream, line):
        assert await five_sim.rent(line, wanted(), until=soon()) == Refused("no_balance", "not enough user balance")
        answer = await five_sim.rent(line, wanted(ceiling=COST - 1), until=soon())
        assert answer == Refused("no_numbers", "no free phones")
        answer = await five_sim.rent(line, wanted(operator="nobody"), until=soon())
        assert answer == Refused("bad_operator", "bad operator")
        answer = await five_sim.rent(line, wanted(country=74), until=soon())
        assert answer == Refused("bad_country", "country is incorrect")
        answer = await five_sim.rent(line, replace(wanted(), service="sh"), until=soon())
        assert answer == Refused("bad_service", "product is incorrect")
        stranger = replace(line, api_key="another")
        assert await five_sim.rent(stranger, wanted(), until=soon()) == Refused("bad_key", "HTTP 401")
        assert isinstance(await five_sim.balance(stranger, until=soon()), Unknown)
        assert not upstream.sold


# What works.


async def test_a_lost_sale_is_found_among_the_orders() -> None:
    async with simulated("sold-then-dropped") as (upstream, line):
        assert isinstance(await five_sim.rent(line, wanted(), until=soon()), Unknown)
        found = await listed(line)
        assert found.is_whole
        (activation,) = found.activations
        sale = upstream.sold[0]
        assert (activation.upstream_id, activation.number) == (str(sale.activation_id), sale.phone)
        assert (activation.service, activation.country, activation.cost_paise) == ("tg", 22, COST)
        assert activation.is_live


async def test_an_order_from_its_sale_to_its_end() -> None:
    async with simulated() as (upstream, line):
        answer = await five_sim.rent(line, wanted(), until=soon())
        sale = upstream.sold[0]
        upstream_id = str(sale.activation_id)
        assert answer == Rented(upstream_id, str(sale.phone), Paise(COST), can_get_next=True)
        assert await five_sim.look(line, upstream_id, until=soon()) == Waiting()
        assert await five_sim.finish(line, upstream_id, until=soon()) == Refused("not_allowed", "order no sms")
        upstream.deliver(int(upstream_id), "Telegram code 48213.")
        first = Received("48213", "Telegram code 48213.")
        assert await five_sim.look(line, upstream_id, until=soon()) == (first,)
        assert (await listed(line)).activations[0].messages == (first,)
        assert await five_sim.cancel(line, upstream_id, until=soon()) == CodeWon()
        upstream.deliver(int(upstream_id), "Telegram code 99999.")
        both = (first, Received("99999", "Telegram code 99999."))
        assert await five_sim.look(line, upstream_id, until=soon()) == both
        assert await five_sim.finish(line, upstream_id, until=soon()) == Done()
        assert await five_sim.finish(line, upstream_id, until=soon()) == Done()
        assert await five_sim.look(line, upstream_id, until=soon()) == both
        assert await five_sim.cancel(line, upstream_id, until=soon()) == CodeWon()
        (ended,) = (await listed(line)).activations
        assert (ended.is_live, ended.messages) == (False, both)


async def test_a_cancel_is_early_then_done_and_done_again() -> None:
    async with simulated() as (upstream, line):
        assert await five_sim.cancel(line, await bought(line), until=soon()) == TooEarly()
    async with simulated(min_cancel_age=timedelta(0)) as (upstream, line):
        upstream_id = await bought(line)
        assert await five_sim.cancel(line, upstream_id, until=soon()) == Done()
        assert await five_sim.cancel(line, upstream_id, until=soon()) == Done()
        assert len(upstream.cancelled) == 1
        assert upstream.balance_paise == 10_000_000
        assert await five_sim.look(line, upstream_id, until=soon()) == Ended("CANCELED")
        assert await five_sim.finish(line, upstream_id, until=soon()) == Ended("order not found")
        for step in (five_sim.look, five_sim.cancel, five_sim.finish):
            assert await step(line, "12345", until=soon()) == Ended("order not found")


async def test_a_cancel_whose_answer_is_lost_is_unknown_and_may_be_repeated() -> None:
    async with simulated(min_cancel_age=timedelta(0)) as (upstream, line):
        upstream_id = await bought(line)
        upstream.set_profile("status-then-dropped")
        assert isinstance(await five_sim.cancel(line, upstream_id, until=soon()), Unknown)
        assert len(upstream.cancelled) == 1
        upstream.set_profile("never")
        assert await five_sim.cancel(line, upstream_id, until=soon()) == Done()


async def test_an_expired_order_is_over_and_a_late_message_is_seen() -> None:
    async with simulated(lifetime=timedelta(milliseconds=50)) as (upstream, line):
        upstream_id = await bought(line)
        for _ in range(300):
            await asyncio.sleep(0 if upstream.expired else 0.01)
        assert await five_sim.look(line, upstream_id, until=soon()) == Ended("TIMEOUT")
        assert await five_sim.cancel(line, upstream_id, until=soon()) == Ended("TIMEOUT")
        assert (await listed(line)) == ActiveList((), is_whole=True)
        upstream.deliver(int(upstream_id), "Telegram code 48213.")
        (late,) = (await listed(line)).activations
        assert (late.upstream_id, late.is_live, late.messages[0].code) == (upstream_id, False, "48213")


async def test_prices_names_and_balance_are_the_simulators() -> None:
    async with simulated() as (upstream, line):
        found = await five_sim.listing(line, until=soon())
        assert isinstance(found, Listing)
        codes = {word: code for code, word in PRODUCTS.items()}
        numbers = {word: number for number, (word, _) in PLACES.items()}
        assert {
            (codes[offer.service], numbers[offer.country]): (offer.cost_paise, offer.stock)
            for offer in found.offers
            if offer.operator == "any"
        } == {key: (offer.cost_paise, offer.count) for key, offer in catalogue.offers().items()}
        assert {offer.operator for offer in found.offers if offer.country == "india"} == {"any", "airtel", "jio", "vi"}
        assert UpstreamName("england", "England", "GB") in found.countries
        assert {name.word for name in found.services} == set(codes)
        await bought(line)
        assert await five_sim.balance(line, until=soon()) == upstream.balance_paise == 10_000_000 - COST


async def test_a_long_list_is_read_whole() -> None:
    async with simulated(balance="9999999.00") as (upstream, line):
        for _ in range(350):
            await bought(line)
        found = await listed(line)
        assert found.is_whole
        assert {int(item.upstream_id) for item in found.activations} == upstream.live_ids
