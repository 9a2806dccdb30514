"""The dialects of the SMS-Activate family: what each is asked, and what only its own servers say."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from aiohttp import web

from numberdesk.base.money import Paise
from numberdesk.providers.adapters import sms_activate
from numberdesk.providers.adapters import sms_activate_lists as lists
from numberdesk.providers.adapters import sms_activate_parse as parse
from numberdesk.providers.adapters.sms_activate_dialects import CLASSIC, KNOWN_WORDS, TABLE
from numberdesk.providers.adapters.sms_activate_lists import Page
from numberdesk.providers.model import (
    Activation,
    ActiveList,
    CodeWon,
    Done,
    Ended,
    Pushed,
    Received,
    Refused,
    Rented,
    TooEarly,
    Unknown,
)
from numberdesk.providers.simulator import Plan, answers
from numberdesk.providers.simulator import activations as bought
from numberdesk.providers.simulator.activations import Message
from numberdesk.providers.simulator.dialects import MANNERS
from tests.providers.families import FAMILIES, opened
from tests.providers.line_desk import KEY, line_to, soon, told, wanted
from tests.providers.test_sms_activate_lists import OFFERS, one, prices, recorded

HERO = TABLE["hero"]


def empty(status: int) -> Any:
    async def answer() -> web.Response:
        return web.Response(status=status, body=b"")

    return answer


# The table.


def test_each_dialect_has_a_simulator_and_stands_under_the_contract() -> None:
    assert next(iter(sms_activate.DIALECTS)) == "classic"
    assert set(TABLE) - {"classic"} == set(MANNERS) - {"sms-activate"}
    assert {family.dialect for family in FAMILIES if family.kind == "sms-activate"} == set(TABLE)


def test_a_word_that_tells_nothing_is_in_no_list_of_refusals() -> None:
    for dialect in TABLE.values():
        assert "ORDER_ALREADY_EXISTS" not in dialect.refusals
        assert "BAD_STATUS" not in dialect.refusals
        assert not dialect.ended & dialect.refusals.keys()
        assert dialect.refusals.keys() <= KNOWN_WORDS


def test_only_an_own_server_is_trusted_to_sell_nothing_twice() -> None:
    assert [name for name, can in sms_activate.DIALECTS.items() if can.is_idempotent] == ["numberdesk"]
    assert [name for name, can in sms_activate.DIALECTS.items() if can.repeats_reference] == ["numberdesk"]
    assert sms_activate.DIALECTS["text-status"].cancel_after_ms == 60_000
    assert not sms_activate.DIALECTS["daisysms"].has_list


# What is asked.


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("dialect", "asked"),
    [
        ("classic", {"api_key": KEY, "action": "getNumberV2", "maxPrice": "17.75", "orderId": "55-1"}),
        ("numberdesk", {"api_key": KEY, "action": "getNumberV2", "maxPrice": "17.75", "orderId": "55-1"}),
        ("hero", {"action": "getNumberV2", "maxPrice": "17.75"}),
        ("text-status", {"api_key": KEY, "action": "getNumberV2", "maxPrice": "17.75"}),
        ("grizzly", {"api_key": KEY, "action": "getNumberV2", "maxPrice": "17.75"}),
        ("smsbower", {"api_key": KEY, "action": "getNumberV2", "maxPrice": "17.75"}),
        ("smshub", {"api_key": KEY, "action": "getNumber", "maxPrice": "17.75"}),
    ],
)
async def test_a_purchase_is_asked_in_the_words_of_the_dialect(dialect: str, asked: dict[str, str]) -> None:
    async with told(b"NO_NUMBERS") as server, line_to(server.url, dialect=dialect) as line:
        assert await sms_activate.rent(line, wanted(), until=soon()) == Refused("no_numbers", "NO_NUMBERS")
        await sms_activate.rent(line, wanted(operator="airtel"), until=soon())
    place = {"service": "tg", "country": "22"}
    assert server.queries == [asked | place, asked | place | {"operator": "airtel"}]


@pytest.mark.anyio
async def test_daisysms_is_asked_for_its_own_country_only() -> None:
    async with told(b"ACCESS_NUMBER:999999:13476711222") as server, line_to(server.url, dialect="daisysms") as line:
        answer = await sms_activate.rent(line, wanted(country=22), until=soon())
        assert answer == Refused("bad_country", "the provider does not sell in this country")
        assert not server.queries
        answer = await sms_activate.rent(line, wanted(country=187, operator="tmo"), until=soon())
        assert answer == Rented("999999", "13476711222", None, can_get_next=False)
        assert isinstance(await sms_activate.active(line, until=soon()), Unknown)
        assert await sms_activate.another_code(line, "999999", until=soon()) == Refused(
            "not_allowed", "this provider sends one code"
        )
    assert server.queries == [
        {
            "api_key": KEY,
            "action": "getNumber",
            "service": "tg",
            "country": "187",
            "max_price": "17.75",
            "carriers": "tmo",
        }
    ]


@pytest.mark.anyio
async def test_hero_is_given_the_key_in_a_header_and_its_changes_have_actions_of_their_own() -> None:
    async with told(empty(204)) as server, line_to(server.url, dialect="hero") as line:
        assert await sms_activate.cancel(line, "7", until=soon()) == Done()
        assert await sms_activate.finish(line, "7", until=soon()) == Done()
        assert isinstance(await sms_activate.another_code(line, "7", until=soon()), Unknown)
        assert isinstance(await sms_activate.look(line, "7", until=soon()), Unknown)
    assert server.queries == [
        {"action": "cancelActivation", "id": "7"},
        {"action": "finishActivation", "id": "7"},
        {"action": "setStatus", "id": "7", "status": "3"},
        {"action": "getStatus", "id": "7"},
    ]
    assert {headers["Authorization"] for headers in server.headers} == {f"ApiKey {KEY}"}


@pytest.mark.anyio
async def test_elsewhere_an_empty_answer_is_no_success() -> None:
    async with told(empty(204)) as server, line_to(server.url, dialect="classic") as line:
        assert isinstance(await sms_activate.cancel(line, "7", until=soon()), Unknown)
        assert isinstance(await sms_activate.finish(line, "7", until=soon()), Unknown)
    async with told(empty(200)) as server, line_to(server.url, dialect="hero") as line:
        assert isinstance(await sms_activate.cancel(line, "7", until=soon()), Unknown)


# What is answered.


@pytest.mark.parametrize(
    ("title", "status", "expected"),
    [
        ("RATE_LIMIT", 429, Refused("busy", "RATE_LIMIT")),
        ("UNPROCESSABLE_ENTITY", 422, Refused("not_allowed", "UNPROCESSABLE_ENTITY")),
        ("NO_NUMBERS", 404, Refused("no_numbers", "NO_NUMBERS")),
        ("SERVER_ERROR", 500, Unknown('HTTP 500: {"title":"SERVER_ERROR"}')),
        ("NOT_FOUND", 404, Unknown('HTTP 404: {"title":"NOT_FOUND"}')),
    ],
)
def test_hero_says_by_json_what_surely_did_not_happen(title: str, status: int, expected: Any) -> None:
    body = msgspec.json.encode({"title": title})
    assert parse.rent(body, status, ceiling_paise=Paise(1250), paise_per_unit=100, dialect=HERO) == expected


def test_the_same_words_are_unknown_where_nobody_listed_them() -> None:
    body = b'{"title":"RATE_LIMIT"}'
    assert isinstance(parse.rent(body, 429, ceiling_paise=Paise(1250), paise_per_unit=100), Unknown)
    assert isinstance(parse.look(b'{"title":"NOT_FOUND"}', 404), Unknown)
    assert parse.look(b'{"title":"NOT_FOUND"}', 404, HERO) == Ended("NOT_FOUND")


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("EARLY_CANCEL_DENIED", TooEarly()),
        ("TOO_EARLY", TooEarly()),
        ("OTP_RECEIVED", parse.LookAgain()),
        ("NEW_OTP_RECEIVED", parse.LookAgain()),
        ("ACTIVATION_NOT_ACTIVE", Ended("ACTIVATION_NOT_ACTIVE")),
        ("FREE_CANCELLATION_EXPIRED", Unknown('HTTP 409: {"title":"FREE_CANCELLATION_EXPIRED"}')),
    ],
)
def test_hero_says_by_json_why_it_does_not_cancel(title: str, expected: Any) -> None:
    assert parse.cancel(msgspec.json.encode({"title": title}), 409, HERO) == expected


def test_a_finish_that_meets_a_message_nobody_read_is_not_done() -> None:
    body = recorded("error-hero-code-came")
    assert parse.finish(body, 409, HERO) == Refused("not_allowed", "OTP_RECEIVED")


def test_daisysms_does_not_cancel_a_number_that_is_ready() -> None:
    assert parse.cancel(b"ACCESS_READY", 200, TABLE["daisysms"]) == parse.LookAgain()
    assert parse.cancel(b"ACCESS_READY", 200, CLASSIC) == Unknown("ACCESS_READY")


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        (b"MAINTENANCE_IN_PROGRESS", 200, "MAINTENANCE_IN_PROGRESS"),
        (b"TEMPORARY_ERROR:17", 200, "TEMPORARY_ERROR"),
        (b"NUMBER_BLOCKED", 403, "NUMBER_BLOCKED"),
        (b'{"title":"KYC_REQUIRED","details":"..."}', 403, "KYC_REQUIRED"),
        (b'{"status":"error","message":"KYC_REQUIRED"}', 200, "KYC_REQUIRED"),
        (b"MAINTENANCE_IN_PROGRESS", 503, ""),
        (b"ORDER_ALREADY_EXISTS", 200, ""),
        (b"ERROR_SQL", 200, ""),
        (b"STATUS_OK:4821", 404, ""),
        (b"Too many connections", 200, ""),
        (b"<html>", 200, ""),
        (b"", 200, ""),
    ],
)
def test_a_word_that_was_never_seen_is_told_beside_the_unknown(body: bytes, status: int, word: str) -> None:
    answer = parse.rent(body, status, ceiling_paise=Paise(1250), paise_per_unit=100)
    assert isinstance(answer, Unknown)
    assert answer.word == word
    answers = [parse.look(body, status), parse.cancel(body, status), parse.balance(body, status, paise_per_unit=100)]
    listed = lists.prices(body, status, paise_per_unit=100)
    for other in (*answers, listed):
        if isinstance(other, Unknown):
            assert other.word == word


@pytest.mark.parametrize(
    "name", ["getPricesV3-grizzly", "getPricesV3-smsbower", "getPricesVerification-daisysms", "getPrices-v2"]
)
def test_prices_of_many_providers_are_the_cheapest_in_stock(name: str) -> None:
    answer = prices(recorded(name))
    assert isinstance(answer, tuple)
    assert set(answer) == OFFERS


def test_the_list_of_smshub_is_read() -> None:
    waiting = one("635468022", service="tg", number="79585859334", messages=(), cost_paise=Paise(700))
    answer = lists.active(recorded("getCurrentActivations-smshub"), 200, paise_per_unit=100)
    assert answer == ActiveList((one(), waiting), is_whole=True)


# Pages.


def page(*ids: int, unread: int = 0) -> Page:
    rows = tuple(Activation(str(number), "tg", 22, "79585859333", (), None) for number in ids)
    return Page(rows, len(rows) + unread)


@pytest.mark.parametrize(
    ("pages", "ids", "is_whole"),
    [
        ([page()], [], True),
        ([page(1, 2)], [1, 2], True),
        ([page(1, 2, 3), page(3)], [1, 2, 3], True),
        ([page(1, 2, 3), page(3, 4, 5), page(5, 6)], [1, 2, 3, 4, 5, 6], True),
        ([page(1, 2, unread=1), page(2)], [1, 2], False),
        ([page(1, 2, 3), page(4, 5)], [1, 2, 3, 4, 5], False),
        ([page(1, 2, 3), page()], [1, 2, 3], False),
        ([page(1, 2, 3), page(3, 4, 5)], [1, 2, 3, 4, 5], False),
        ([page(1, 2, 3), page(1, 2, 3)], [1, 2, 3], False),
        ([page(1, 2, 3, 4, 5)], [1, 2, 3, 4, 5], True),
    ],
)
def test_pages_that_share_a_row_are_one_list(pages: list[Page], ids: list[int], is_whole: bool) -> None:
    answer = lists.joined(pages, page_size=3)
    assert [int(activation.upstream_id) for activation in answer.activations] == ids
    assert answer.is_whole is is_whole


@pytest.mark.anyio
async def test_a_server_that_takes_no_notice_of_pages_is_not_asked_for_ever() -> None:
    rows = [{"activationId": number, "phoneNumber": "79585859333"} for number in range(1, 101)]
    body = msgspec.json.encode({"status": "success", "data": rows})
    async with told(body) as server, line_to(server.url, dialect="hero") as line:
        answer = await sms_activate.active(line, until=soon())
    assert isinstance(answer, ActiveList)
    assert not answer.is_whole
    assert [query["start"] for query in server.queries] == ["0", "90"]


@pytest.mark.anyio
async def test_a_page_that_is_lost_makes_the_whole_list_unknown() -> None:
    rows = [{"activationId": number, "phoneNumber": "79585859333"} for number in range(1, 101)]
    body = msgspec.json.encode({"status": "success", "data": rows})
    async with told(body, 500) as server, line_to(server.url, dialect="hero") as line:
        assert isinstance(await sms_activate.active(line, until=soon()), Unknown)


# What is posted to us.


def test_a_posted_message_names_its_activation() -> None:
    (event,) = sms_activate.pushed(recorded("webhook-classic")) or ()
    assert event.upstream_id == "123456"
    assert event.number is None
    assert event.message == Received("12345", "Sms text: 12345")
    assert len(event.event_id) == 32
    (event,) = sms_activate.pushed(recorded("webhook-hero")) or ()
    assert event == Pushed(event.event_id, "123456", None, Received("", "G-12345 is your code"))


def test_the_same_message_has_the_same_event_and_another_one_has_another() -> None:
    body = msgspec.json.decode(recorded("webhook-classic"))
    events = []
    changes: list[dict[str, object]] = [{}, {"country": 3}, {"code": "9"}, {"text": "x"}, {"receivedAt": "y"}]
    for change in [*changes, {"activationId": 7}]:
        (event,) = sms_activate.pushed(msgspec.json.encode(body | change)) or ()
        events.append(event.event_id)
    assert events[0] == events[1]
    assert len(set(events)) == len(events) - 1


def test_an_id_that_a_server_gives_twice_hides_no_second_message() -> None:
    body = msgspec.json.decode(recorded("webhook-hero"))
    events = [sms_activate.pushed(msgspec.json.encode(body | change)) for change in ({}, {}, {"text": "Another 4821"})]
    first, again, other = ((found or ())[0].event_id for found in events)
    assert first == again != other


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"activationId":123456}',
        b'{"activationId":123456,"code":null,"text":null}',
        b'{"activationId":123456,"code":"","text":" "}',
        b'{"activationId":0,"code":"1"}',
        b'{"activationId":"a","code":"1"}',
        b'{"activationId":null,"code":"1"}',
        b'{"activationId":123456,"code":{"a":1}}',
        b'{"rentId":"26251422","sms":{"phoneFrom":"x","text":" "}}',
        b"\xff\xfe",
        b"[" * 50_000,
    ],
    ids=lambda body: repr(body)[:40],
)
def test_what_is_no_message_is_none(body: bytes) -> None:
    assert sms_activate.pushed(body) is None


def test_what_a_simulator_posts_is_read() -> None:
    message = Message("48213", "Telegram code 48213.", datetime(2026, 1, 31, 17, 30, 57, tzinfo=UTC))
    sold = bought.Activation(7, "919812345678", "tg", 22, "jio", 1775, (), Plan(), message.at, 0.0, messages=[message])
    (event,) = sms_activate.pushed(answers.webhook_body(sold, message)) or ()
    assert (event.upstream_id, event.message) == ("7", Received("48213", "Telegram code 48213."))


# The simulators speak as their models do.


@pytest.mark.anyio
async def test_the_simulated_hero_says_no_by_json_with_a_status_labelled_as_a_page() -> None:
    family = next(family for family in FAMILIES if family.name == "hero")
    async with opened(family) as (upstream, line, _):
        async with line.session.get(upstream.url, params={"action": "getBalance"}) as answer:
            assert answer.status == 422
            assert msgspec.json.decode(await answer.read())["title"] == "UNPROCESSABLE_ENTITY"
        params = {"api_key": KEY, "action": "getNumberV2", "service": "tg", "country": "22", "maxPrice": "1"}
        async with line.session.get(upstream.url, params=params) as answer:
            assert (answer.status, answer.content_type) == (400, "text/html")
            problem = msgspec.json.decode(await answer.read())
            assert (problem["title"], problem["info"]) == ("WRONG_MAX_PRICE", {"min": "17.75"})
        async with line.session.get(upstream.url, params=params | {"maxPrice": "99"}) as answer:
            assert (answer.status, answer.content_type) == (200, "text/html")
            sale = msgspec.json.decode(await answer.read())
            assert isinstance(sale["activationId"], str)
            assert sale["canGetAnotherSms"] is True
        upstream.deliver(int(sale["activationId"]), "Telegram code 48213.")
        assert await sms_activate.cancel(line, sale["activationId"], until=soon()) == CodeWon()


@pytest.mark.anyio
async def test_the_simulated_privatesms_says_words_with_a_status() -> None:
    family = next(family for family in FAMILIES if family.name == "text-status")
    async with opened(family) as (upstream, line, _):
        for params, status, body in (
            ({"api_key": "wrong", "action": "getBalance"}, 401, b"BAD_KEY"),
            ({"api_key": KEY, "action": "getStatus", "id": "7"}, 404, b"NO_ACTIVATION"),
            ({"api_key": KEY, "action": "nonsense"}, 400, b"BAD_ACTION"),
        ):
            async with line.session.get(upstream.url, params=params) as answer:
                assert (answer.status, await answer.read()) == (status, body)
