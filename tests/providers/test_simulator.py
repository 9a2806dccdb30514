"""Check the simulated provider over real HTTP: each action of the protocol and each profile."""

import asyncio
import itertools
import re
import time
import zlib
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from typing import Any

import aiohttp
import pytest

from numberdesk.providers import simulator
from numberdesk.providers.simulator import PROFILES
from tests.providers.simulator_desk import KEY, PRICE, TELEGRAM, WrongStatus, ids, opened

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize(
    ("parameters", "word"),
    [
        ({"action": "getBalance", "key": None}, "NO_KEY"),
        ({"action": "getBalance", "key": "wrong"}, "BAD_KEY"),
        ({"action": None}, "NO_ACTION"),
        ({"action": "getMoon"}, "BAD_ACTION"),
        ({"action": "getNumber", "country": 22}, "BAD_SERVICE"),
        ({"action": "getNumber", "service": "nope", "country": 22}, "BAD_SERVICE"),
        ({"action": "getNumberV2", "service": "tg", "country": 999}, "BAD_COUNTRY"),
        ({"action": "getNumber", "service": "tg", "country": "india"}, "BAD_COUNTRY"),
        ({"action": "getNumber", **TELEGRAM, "maxPrice": "17.74"}, "WRONG_MAX_PRICE:17.75"),
        ({"action": "getNumber", **TELEGRAM, "maxPrice": "cheap"}, "WRONG_MAX_PRICE:17.75"),
        ({"action": "getNumber", **TELEGRAM, "operator": "mts"}, "WRONG_OPERATOR"),
        ({"action": "getStatus", "id": 12345}, "NO_ACTIVATION"),
        ({"action": "getStatusV2", "id": "x"}, "NO_ACTIVATION"),
        ({"action": "setStatus", "id": "x", "status": 8}, "WRONG_ACTIVATION_ID"),
        ({"action": "setStatus", "id": 12345, "status": 8}, "NO_ACTIVATION"),
        ({"action": "getActiveActivations"}, "NO_ACTIVATIONS"),
        ({"action": "getOperators", "country": 999}, "OPERATORS_NOT_FOUND"),
    ],
)
async def test_a_refusal_is_one_word_with_status_200_and_sells_nothing(parameters: dict[str, Any], word: str) -> None:
    async with opened() as desk:
        body, kind = await desk.raw(**parameters)
        assert (body.decode(), kind) == (word, "text/plain")
        assert desk.provider.sold == []


async def test_purchases_stop_at_the_balance_the_channel_limit_and_a_used_order_id() -> None:
    async with opened(balance="40.00", max_live=2) as desk:
        await desk.buy(orderId="a")
        assert await desk.ask("getNumberV2", **TELEGRAM, orderId="a") == "ORDER_ALREADY_EXISTS"
        await desk.buy(orderId="b")
        assert await desk.ask("getNumber", **TELEGRAM) == "NO_BALANCE"
        assert await desk.ask("getNumber", service="fb", country=10) == "NO_BALANCE"
    async with opened(max_live=1) as desk:
        await desk.buy()
        assert await desk.ask("getNumber", **TELEGRAM) == "CHANNELS_LIMIT"
        assert [fact.reason for fact in desk.provider.refused] == ["CHANNELS_LIMIT"]


NO = "BAD_STATUS"
STATES = {  # state: getStatus, then the answers to 1, 3, 6, 8, -1
    "young": ("STATUS_WAIT_CODE", "ACCESS_READY", NO, NO, "EARLY_CANCEL_DENIED", "EARLY_CANCEL_DENIED"),
    "waiting": ("STATUS_WAIT_CODE", "ACCESS_READY", NO, NO, "ACCESS_CANCEL", "ACCESS_CANCEL"),
    "received": ("STATUS_OK:48213", "ACCESS_READY", "ACCESS_RETRY_GET", "ACCESS_ACTIVATION", NO, NO),
    "retry": ("STATUS_WAIT_RETRY:48213", "ACCESS_READY", "ACCESS_RETRY_GET", "ACCESS_ACTIVATION", NO, NO),
    "finished": ("STATUS_CANCEL", NO, NO, "ACCESS_ACTIVATION", NO, NO),
    "cancelled": ("STATUS_CANCEL", NO, NO, NO, "ACCESS_CANCEL", "ACCESS_CANCEL"),
    "expired": ("STATUS_CANCEL", NO, NO, NO, "ACCESS_CANCEL", "ACCESS_CANCEL"),
}


@pytest.mark.parametrize("state", STATES)
async def test_the_state_table_of_the_protocol_holds(state: str) -> None:
    min_cancel_age = timedelta(minutes=2 if state == "young" else 0)
    lifetime = timedelta(seconds=0.03 if state == "expired" else 60)
    async with opened(min_cancel_age=min_cancel_age, lifetime=lifetime) as desk:
        answers, bought_ids = [], []
        for asked in (0, 1, 3, 6, 8, -1):
            bought_ids.append(bought := await desk.buy())
            if state in ("received", "retry", "finished"):
                desk.provider.deliver(bought, "Telegram code 48213")
            if state in ("retry", "finished", "cancelled"):
                await desk.set(bought, {"retry": 3, "finished": 6, "cancelled": 8}[state])
            if state == "expired":
                await desk.until(bought, "STATUS_CANCEL")
            answers.append(await (desk.set(bought, asked) if asked else desk.status(bought)))
        assert tuple(answers) == STATES[state]
        assert await desk.ask("setStatus", id=bought, status=5) == NO
        if STATES[state][0] == "STATUS_CANCEL":
            assert await desk.ask("getStatusV2", id=bought_ids[0]) == "STATUS_CANCEL"
        else:
            sms = (await desk.json("getStatusV2", id=bought_ids[0]))["sms"]
            has_code = state in ("received", "retry")
            assert (sms and (sms["code"], sms["text"])) == (("48213", "Telegram code 48213") if has_code else None)


async def test_a_cancel_and_an_expiry_give_the_price_back_once() -> None:
    async with opened(balance="100.00", min_cancel_age=timedelta(0), lifetime=timedelta(seconds=0.3)) as desk:
        cancelled, expired, kept = await desk.buy(), await desk.buy(), await desk.buy()
        assert await desk.ask("getBalance") == "ACCESS_BALANCE:46.75"
        for _ in range(2):
            assert await desk.set(cancelled, 8) == "ACCESS_CANCEL"
        assert await desk.ask("getBalance") == "ACCESS_BALANCE:64.50"
        desk.provider.deliver(kept, "Your code: 1234")
        await desk.until(expired, "STATUS_CANCEL")
        assert await desk.ask("getBalance") == "ACCESS_BALANCE:82.25"
        await desk.until(kept, "STATUS_CANCEL")
        assert ids(desk.provider.cancelled) == [cancelled]
        assert [(fact.activation_id, fact.cost_paise) for fact in desk.provider.expired] == [(expired, PRICE)]
        assert [(fact.activation_id, fact.automatic) for fact in desk.provider.finished] == [(kept, True)]
        assert desk.provider.balance_paise == 10_000 - PRICE


async def test_the_catalogue_is_complete_and_follows_the_price_factor() -> None:
    async with opened() as desk, opened(price_factor=Fraction(9, 10), name="cheap") as cheap:
        prices = await desk.json("getPrices")
        assert (len(prices), {len(row) for row in prices.values()}) == (12, {25})
        costs = [price["cost"] for row in prices.values() for price in row.values()]
        assert 3.5 <= min(costs) < 5
        assert 30 < max(costs) <= 45
        assert (await cheap.json("getPrices", **TELEGRAM))["22"]["tg"]["cost"] == 15.98
        assert await desk.json("getPrices", service="tg", country=999) == {}
        extended = (await desk.json("getPricesExtended", **TELEGRAM))["22"]["tg"]
        assert extended["freePriceMap"] == {"17.75": extended["count"]}
        assert (await desk.json("getCountries"))["187"]["eng"] == "USA"
        services = (await desk.json("getServicesList"))["services"]
        assert {"code": "wa", "name": "WhatsApp"} in services
        assert (await desk.json("getOperators", country=22))["countryOperators"]["22"][0] == "any"
        assert (await desk.json("getNumbersStatus", country=22)).keys() == {service["code"] for service in services}


async def test_form_parameters_and_blanks_around_names_are_read() -> None:
    async with opened() as desk:
        form = {"action": "getNumber", "service ": "tg", "country ": "22"}
        async with desk.session.post(desk.provider.url, params={"api_key": KEY}, data=form) as answer:
            assert (await answer.text()).startswith("ACCESS_NUMBER:")


async def test_get_number_v2_has_the_shape_that_all_clients_read() -> None:
    async with opened() as desk:
        bought = await desk.json("getNumberV2", service="wa", country=15, operator="play")
        assert re.fullmatch(r"48\d{9}", bought["phoneNumber"])
        assert isinstance(bought["activationId"], int)
        assert (bought["countryCode"], bought["canGetAnotherSms"]) == ("15", "1")
        assert (bought["activationOperator"], bought["currency"]) == ("play", 356)
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", bought["activationTime"])
        anywhere = await desk.json("getNumberV2", service="wa")
        prices = await desk.json("getPrices", service="wa")
        assert anywhere["activationCost"] == min(row["wa"]["cost"] for row in prices.values() if row["wa"]["count"])


async def test_the_active_list_shows_codes_pages_and_order_ids_only_if_told_to() -> None:
    async with opened(echo_order_id=True) as desk, opened() as plain:
        bought = [await desk.buy(orderId=f"order-{number}") for number in range(5)]
        assert {row["smsCode"] for row in await desk.active()} == {None}
        desk.provider.deliver(bought[1], "Your WhatsApp code: 123-456")
        rows = await desk.active()
        assert [int(row["activationId"]) for row in rows] == bought
        assert [row["smsCode"] for row in rows[:2]] == [None, ["123456"]]
        assert [row["activationStatus"] for row in rows[:2]] == ["4", "2"]
        assert (rows[0]["activationCost"], rows[0]["countryCode"], rows[4]["orderId"]) == (17.75, "22", "order-4")
        assert await desk.active(start=3, limit=10) == rows[3:]
        assert await desk.active(start=1, limit=1) == rows[1:2]
        await plain.buy(orderId="mine")
        assert "orderId" not in (await plain.active())[0]


async def test_every_service_sends_a_code_without_a_colon_that_stands_in_its_text() -> None:
    async with opened("instant") as desk:
        for service in await desk.json("getNumbersStatus"):
            assert await desk.status(await desk.buy(service=service)) != "STATUS_WAIT_CODE"
        assert len(desk.provider.delivered) == 25
        for sms in desk.provider.delivered:
            assert re.fullmatch(r"\d{4,6}", sms.code or "")
            assert (sms.code or "") in re.sub(r"(\d)[ -](\d)", r"\1\2", sms.text or "")


async def test_realistic_codes_come_after_3_to_40_seconds_for_about_70_percent_and_repeat_by_seed() -> None:
    async def plans(seed: int) -> list[float | None]:
        async with opened("realistic", seed=seed) as desk:
            await asyncio.gather(*(desk.buy() for _ in range(300)))
            return [sale.plan.code_after for sale in desk.provider.sold if sale.plan]

    first, other = await plans(7), await plans(8)
    coming = [delay for delay in first if delay is not None]
    assert 0.62 < len(coming) / 300 < 0.78
    assert 3 <= min(coming) < 5
    assert 30 < max(coming) <= 40
    assert first == await plans(7)
    assert first != other


async def test_no_stock_refuses_and_shows_empty_shelves() -> None:
    async with opened("no-stock") as desk:
        assert await desk.ask("getNumber", **TELEGRAM) == "NO_NUMBERS"
        assert (await desk.json("getPrices", **TELEGRAM))["22"]["tg"]["count"] == 0
        assert [fact.reason for fact in desk.provider.refused] == ["NO_NUMBERS"]


@pytest.mark.parametrize(
    ("profile", "sold"),
    [("sold-then-dropped", 1), ("sold-then-500", 1), ("dropped-not-sold", 0), ("http-500", 0)],
)
async def test_a_purchase_without_an_answer_is_in_the_record_if_it_happened(profile: str, sold: int) -> None:
    async with opened(profile) as desk:
        with pytest.raises((aiohttp.ServerDisconnectedError, WrongStatus)):
            await desk.ask("getNumber", **TELEGRAM, orderId="lost")
        assert [fact.order_ref for fact in desk.provider.facts("sold", "refused")] == ["lost"]
        assert len(desk.provider.sold) == sold
        assert len(desk.provider.live_ids) == sold
        if profile != "http-500":
            assert (await desk.ask("getBalance")).startswith("ACCESS_BALANCE:")


async def test_a_change_of_status_can_lose_its_answer_too() -> None:
    async with opened(replace(PROFILES["status-then-dropped"], code_after=None), min_cancel_age=timedelta(0)) as desk:
        bought = await desk.buy()
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await desk.set(bought, 8)
        assert ids(desk.provider.cancelled) == [bought]
        assert await desk.status(bought) == "STATUS_CANCEL"


@pytest.mark.parametrize("name", ["slow", "late-sale"])
async def test_a_slow_answer_is_sold_before_or_after_its_delay(name: str) -> None:
    assert PROFILES[name].answer_delay == 8.0
    async with opened(replace(PROFILES[name], answer_delay=0.3)) as desk:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await desk.buy()
        assert len(desk.provider.sold) == (1 if name == "slow" else 0)
        await asyncio.sleep(0.4)
        assert len(desk.provider.sold) == 1


async def test_garbage_comes_in_five_kinds_and_only_spoiled_answers_were_sold() -> None:
    kinds = set()
    async with opened("garbage") as desk:
        for count in itertools.count(1):
            try:
                body = (await desk.raw("getNumberV2", **TELEGRAM))[0]
                kind = (
                    "empty" if not body else "html" if b"<html" in body else "binary" if b"\0" in body else "truncated"
                )
            except aiohttp.ClientPayloadError:
                kind = "cut"
            assert len(desk.provider.sold) + len(desk.provider.refused) == count
            assert desk.provider.facts()[-1].fact == ("sold" if kind in ("cut", "truncated") else "refused")
            kinds.add(kind)
            if len(kinds) == 5:
                return


async def test_error_words_come_with_status_200_known_and_unknown() -> None:
    async with opened("error-word") as desk:
        words = {await desk.ask("getNumber", **TELEGRAM) for _ in range(60)}
        assert {"NO_BALANCE", "BANNED:'2030-01-01 00-00-00'", "ERROR_SQL", "MAINTENANCE_IN_PROGRESS"} <= words
        assert {fact.reason for fact in desk.provider.refused} == words
        assert desk.provider.sold == []


async def test_a_number_is_handed_out_twice_or_reused_under_a_new_id() -> None:
    async with opened("duplicate-number") as desk:
        bought = [await desk.buy() for _ in range(3)]
        assert bought[0] == bought[1] != bought[2]
        assert [sale.duplicate for sale in desk.provider.sold] == [False, True, False]
        assert desk.provider.balance_paise == 10_000_000 - 2 * PRICE
        desk.provider.set_profile("reused-number")
        await desk.buy()
        first, second = desk.provider.sold[-2:]
        assert (first.phone, first.activation_id) == (second.phone, (second.activation_id or 0) - 1)


async def test_over_price_sells_above_the_ceiling_and_says_so() -> None:
    async with opened("over-price") as desk:
        assert (await desk.json("getNumberV2", **TELEGRAM, maxPrice="18.00"))["activationCost"] == 27
        await desk.buy(maxPrice="10")
        assert [row["activationCost"] for row in await desk.active()] == [27, 26.62]
        assert desk.provider.balance_paise == 10_000_000 - 2700 - 2662


async def test_the_provider_cancels_on_its_own_and_gives_the_price_back() -> None:
    async with opened("self-cancel", time_scale=0.05) as desk:
        bought = await desk.buy()
        assert await desk.status(bought) == "STATUS_WAIT_CODE"
        await desk.until(bought, "STATUS_CANCEL")
        assert (ids(desk.provider.self_cancelled), desk.provider.cancelled) == ([bought], [])
        assert desk.provider.balance_paise == 10_000_000
        assert await desk.ask("getActiveActivations") == "NO_ACTIVATIONS"


async def test_a_second_code_comes_unasked_and_on_request() -> None:
    async with opened("second-code", time_scale=0.05) as desk:
        bought = await desk.buy()
        first = await desk.until(bought, r"STATUS_OK:\d{5}")
        await desk.until(bought, rf"(?!{first})STATUS_OK:\d{{5}}")
        assert await desk.set(bought, 3) == "ACCESS_RETRY_GET"
        await desk.until(bought, r"STATUS_OK:\d{5}")
        codes = [sms.code for sms in desk.provider.delivered]
        assert (await desk.active())[0]["smsCode"] == codes
        assert (len(codes), ids(desk.provider.retries)) == (3, [bought])


async def test_a_late_code_is_listed_but_the_activation_stays_cancelled() -> None:
    async with opened("late-code", time_scale=0.02, min_cancel_age=timedelta(0)) as desk:
        bought = await desk.buy()
        assert await desk.set(bought, 8) == "ACCESS_CANCEL"
        await asyncio.sleep(0.06)
        (row,) = await desk.active()
        assert (row["activationStatus"], row["smsCode"]) == ("8", [desk.provider.delivered[0].code])
        assert (desk.provider.delivered[0].late, await desk.status(bought)) == (True, "STATUS_CANCEL")
        assert desk.provider.balance_paise == 10_000_000


async def test_a_big_body_a_bomb_and_a_redirect_are_what_they_say() -> None:
    async with opened("big-body") as desk:
        assert len(await desk.ask("getNumber", **TELEGRAM)) == 10_000_000
        desk.provider.set_profile("gzip-bomb")
        packed, _ = await desk.raw("getNumber", **TELEGRAM)
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
        assert len(unpacker.decompress(packed, 30_000_000)) == 30_000_000
        desk.provider.set_profile("redirect")
        query = {"api_key": KEY, "action": "getNumber", **TELEGRAM}
        async with desk.session.get(desk.provider.url, params=query, allow_redirects=False) as answer:
            assert answer.status == 302
        assert (desk.provider.sold, desk.provider.facts("redirect_followed")) == ([], [])
        async with desk.session.get(desk.provider.url, params=query, allow_redirects=True) as answer:
            assert (await answer.text()).startswith("ACCESS_NUMBER:")
        assert len(desk.provider.facts("redirect_followed")) == 1


async def test_a_drip_sends_the_true_answer_byte_by_byte() -> None:
    async with opened(replace(PROFILES["drip"], drip_interval=0.02)) as desk:
        started = time.monotonic()
        assert await desk.ask("getBalance") == "ACCESS_BALANCE:100000.00"
        assert time.monotonic() - started > 0.02 * 24


async def test_a_mixture_meets_each_part_by_its_weight_and_unknown_names_are_refused() -> None:
    for wrong in ("mix:nope=1", "mix:fast=0", "mix:fast", "nope"):
        with pytest.raises(ValueError, match=r"nope|weight|float"):
            await simulator.start(profile=wrong, api_key=KEY, record_path=None)
    async with opened("mix:dropped-not-sold=0.2,never=0.8") as desk:
        answers = await asyncio.gather(*(desk.ask("getNumber", **TELEGRAM) for _ in range(200)), return_exceptions=True)
        dropped = [answer for answer in answers if isinstance(answer, aiohttp.ServerDisconnectedError)]
        assert 20 < len(dropped) < 65
        assert [fact.profile for fact in desk.provider.refused] == ["dropped-not-sold"] * len(dropped)
        assert len(desk.provider.sold) == 200 - len(dropped)
