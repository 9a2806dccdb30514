"""The catalogue in the words of the protocol: shapes, prices, and what is never listed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from numberdesk.accounts.model import Dialect
from numberdesk.base.db import Database, value
from numberdesk.base.rendered import Rendered
from numberdesk.catalogue import service as catalogue
from numberdesk.catalogue.model import CountryCode, Delivery, ServiceCode
from numberdesk.compat._catalogue import Question
from numberdesk.compat._lists import ACTIONS
from numberdesk.compat._words import Refusal
from numberdesk.wallet.model import AccountId
from tests.catalogue.market import INDIA, Market, open_market, switch_country, switch_service, upstream

pytestmark = pytest.mark.anyio

DIALECTS: tuple[Dialect, ...] = ("classic", "hero", "grizzly")
TOPS = ("getTopCountriesByService", "getTopCountriesByServiceRank")
BANK = "ts"
"""PayPal, which is of a blocked category."""
RUSSIA, KAZAKHSTAN, UKRAINE = 0, 2, 1


@pytest.fixture
async def market(db: Database) -> Market:
    """Two providers with a few offers, and a shelf that knows them."""
    return await open_market(db)


async def text(
    market: Market,
    action: str,
    given: Mapping[str, str] | None = None,
    *,
    dialect: Dialect = "classic",
    account: int = 1,
    **more: str,
) -> bytes:
    body = await ACTIONS[action](Question(market.shelf, AccountId(account), dialect, {**(given or {}), **more}))
    return body.body if isinstance(body, Rendered) else body


async def ask(
    market: Market,
    action: str,
    given: Mapping[str, str] | None = None,
    *,
    dialect: Dialect = "classic",
    account: int = 1,
    **more: str,
) -> Any:
    """Ask, and read numbers as they are written."""
    body = await text(market, action, given, dialect=dialect, account=account, **more)
    return json.loads(body, parse_float=Decimal)


async def word(market: Market, action: str, *, dialect: Dialect = "classic", **asked: str) -> tuple[str, bool]:
    with pytest.raises(Refusal) as refused:
        await text(market, action, asked, dialect=dialect)
    return refused.value.word, refused.value.is_text


def counted(market: Market, *counts: tuple[str, int, int, int]) -> None:
    """Let so much have been sold and delivered: service, country, sold, delivered."""
    market.shelf.deliveries = {
        (ServiceCode(service), CountryCode(country), market.alpha, "any"): Delivery(n, delivered, 168, 0, 1, 5, 9)
        for service, country, n, delivered in counts
    }


async def test_prices_are_by_country_and_service_with_json_numbers(market: Market) -> None:
    whole = {
        "0": {"go": {"cost": Decimal("6.00"), "count": 0, "physicalCount": 0}},
        "22": {
            "tg": {"cost": Decimal("10.80"), "count": 8, "physicalCount": 8},
            "wa": {"cost": Decimal("24.00"), "count": 5, "physicalCount": 5},
        },
    }
    assert await ask(market, "getPrices") == whole
    assert b'"cost":10.80,' in await text(market, "getPrices")
    assert await ask(market, "getPrices", country="22") == {"22": whole["22"]}
    assert await ask(market, "getPrices", country="in", service="") == {"22": whole["22"]}
    assert await ask(market, "getPrices", service="go", country="any") == {"0": whole["0"]}
    assert await ask(market, "getPrices", service="wa", country="22") == {"22": {"wa": whole["22"]["wa"]}}
    assert await ask(market, "getPrices", service="go", country="22") == {}
    assert await ask(market, "getPrices", service="vi") == {}


async def test_every_paisa_of_a_price_is_told(market: Market) -> None:
    offers = [upstream(code, INDIA, cost) for code, cost in (("tg", 1_775), ("wa", 833), ("go", 1_000_01))]
    await market.sync(market.alpha, *offers)
    await market.sync(market.beta)
    await catalogue.set_price_rule(market.db, margin_percent=0)
    await catalogue.refresh(market.db, market.shelf)
    for service, price in (("tg", "17.75"), ("wa", "8.33"), ("go", "1000.01")):
        assert f'"{service}":{{"cost":{price},'.encode() in await text(market, "getPrices")


async def test_the_extended_form_adds_the_stock_at_each_price(market: Market) -> None:
    found = await ask(market, "getPricesExtended", freePrice="True")
    assert found["22"]["tg"] == {
        "cost": Decimal("10.80"), "count": 8, "physicalCount": 8, "freePriceMap": {"10.80": 3, "12.00": 5},
    }  # fmt: skip
    assert found["0"]["go"]["freePriceMap"] == {"6.00": 0}


async def test_the_second_form_has_prices_and_the_third_servers(market: Market) -> None:
    assert await ask(market, "getPricesV2", service="tg") == {"22": {"tg": {"10.80": 3, "12.00": 5}}}
    alpha, beta = market.alpha, market.beta
    assert await ask(market, "getPricesV3", service="tg") == {
        "22": {
            "tg": {
                str(alpha): {"price": Decimal("12.00"), "count": 5, "provider_id": alpha},
                str(beta): {"price": Decimal("10.80"), "count": 3, "provider_id": beta},
            }
        }
    }


async def test_prices_of_verification_have_the_service_first_and_the_price_as_text(market: Market) -> None:
    assert await ask(market, "getPricesVerification") == {
        "go": {"0": {"count": 0, "price": "6.00"}},
        "tg": {"22": {"count": 8, "price": "10.80"}},
        "wa": {"22": {"count": 5, "price": "24.00"}},
    }
    assert (await ask(market, "getPricesVerification", service="tg")).keys() == {"tg"}


async def test_operators_are_not_counted_twice_and_all_forms_agree(market: Market) -> None:
    await market.sync(
        market.alpha,
        upstream("tg", INDIA, 1_000, 10), upstream("tg", INDIA, 900, 4, "jio"), upstream("tg", INDIA, 1_100, 3, "vi"),
        upstream("wa", INDIA, 1_000, 2), upstream("wa", INDIA, 900, 4, "jio"),
    )  # fmt: skip
    await market.sync(market.beta)
    (prices, extended, second, third) = [
        (await ask(market, f"getPrices{form}"))["22"] for form in ("", "Extended", "V2", "V3")
    ]
    assert second == {"tg": {"10.80": 4, "12.00": 3, "13.20": 3}, "wa": {"10.80": 4}}
    for service in ("tg", "wa"):
        cost, count = prices[service]["cost"], prices[service]["count"]
        assert extended[service]["freePriceMap"] == second[service]
        assert (Decimal(next(iter(second[service]))), sum(second[service].values())) == (cost, count)
        assert [(row["price"], row["count"]) for row in third[service].values()] == [(cost, count)]
        assert (await ask(market, "getNumbersStatus"))[service] == count
    assert await ask(market, "getNumbersStatus", operator="jio") == {"tg": 4, "wa": 4}
    assert await ask(market, "getNumbersStatus", operator="JIO, vi", country="22") == {"tg": 7, "wa": 4}
    assert await ask(market, "getNumbersStatus", operator="jio,any", country="22") == {"tg": 10, "wa": 4}
    assert await ask(market, "getNumbersStatus", operator="jio", country="0") == {}
    assert await ask(market, "getNumbersStatus", operator="nobody") == {}


async def test_stock_may_be_asked_for_in_the_older_form(market: Market) -> None:
    assert await ask(market, "getNumbersStatus") == {"go": 0, "tg": 8, "wa": 5}
    assert await ask(market, "getNumbersStatus", country="22") == {"tg": 8, "wa": 5}
    older = await ask(market, "getNumbersStatus", country="22", suffix="1")
    assert (older["tg_0"], older["tg_1"], older["wa_0"], older["vk_0"], older["vk_1"]) == (8, 0, 5, 0, 0)
    assert f"{BANK}_0" not in older
    assert all(older[f"{code}_{forward}"] == 0 for code in ("av", "ot", "ya", "ym") for forward in (0, 1))
    assert await ask(market, "getNumbersStatus", country="0", suffix="true") == dict.fromkeys(older, 0)


async def test_each_country_has_its_names_and_what_its_numbers_can(market: Market) -> None:
    found = await ask(market, "getCountries")
    assert found["22"] == {
        "id": 22, "rus": "India", "eng": "India", "chn": "India", "visible": 1, "retry": 1, "rent": 0,
        "multiService": 0,
    }  # fmt: skip
    assert (found["2"]["visible"], found["2"]["retry"]) == (0, 0)
    assert all(int(key) == row["id"] for key, row in found.items())


async def test_services_are_listed_as_each_dialect_can_read_them(market: Market) -> None:
    services = [
        {"code": "go", "name": market.shelf.contents.services[ServiceCode("go")].name},
        {"code": "tg", "name": "Telegram"},
        {"code": "wa", "name": "WhatsApp"},
    ]
    wrapped = {"status": "success", "services": services}
    assert [await ask(market, "getServicesList", dialect=each, lang="en") for each in DIALECTS] == [
        wrapped, services, wrapped,
    ]  # fmt: skip
    assert await ask(market, "getServicesList", dialect="hero", country="22") == services[1:]


async def test_operators_are_told_in_small_letters_so_that_none_is_taken_for_an_error(market: Market) -> None:
    await market.sync(market.beta, upstream("tg", INDIA, 900, 3, "NO_NUMBERS"), upstream("tg", RUSSIA, 900, 3, "mts"))
    whole = {"status": "success", "countryOperators": {"0": ["mts"], "22": ["any", "no_numbers"]}}
    assert await ask(market, "getOperators") == whole
    assert (await ask(market, "getOperators", country="22"))["countryOperators"] == {"22": ["any", "no_numbers"]}
    assert [offer.operator for offer in market.offers(operator="no_numbers")] == ["NO_NUMBERS"]
    for dialect in DIALECTS:
        for country in ("2", "999", "²", "'"):
            assert await word(market, "getOperators", dialect=dialect, country=country) == ("OPERATORS_NOT_FOUND", True)


async def _four_countries(market: Market) -> None:
    await market.sync(
        market.alpha,
        upstream("tg", INDIA, 1_000, 5), upstream("tg", RUSSIA, 800, 9), upstream("tg", KAZAKHSTAN, 700, 0),
        upstream("tg", UKRAINE, 900, 9),
    )  # fmt: skip
    await market.sync(market.beta)


@pytest.mark.parametrize("action", TOPS)
async def test_top_countries_are_keyed_by_country_in_the_order_of_their_rank(market: Market, action: str) -> None:
    await _four_countries(market)
    assert list(await ask(market, action, service="tg")) == ["0", "1", "22", "2"]
    counted(market, ("tg", INDIA, 40, 30), ("tg", UKRAINE, 10, 10), ("tg", KAZAKHSTAN, 90, 80), ("wa", RUSSIA, 99, 9))
    found = await ask(market, action, service="tg", freePrice="true")
    assert list(found) == ["22", "1", "0", "2"]
    assert found["22"] == {
        "country": 22, "count": 5, "price": Decimal("12.00"), "retail_price": Decimal("12.00"),
        "freePriceMap": {"12.00": 5},
    }  # fmt: skip
    assert found["2"]["count"] == 0
    assert "freePriceMap" not in (await ask(market, action, service="tg", freePrice="False"))["22"]


async def test_shares_and_rates_come_from_what_was_sold(market: Market) -> None:
    await _four_countries(market)
    assert await ask(market, "getListOfTopCountriesByService", service="tg") == {"status": "success", "data": []}
    counted(market, ("tg", INDIA, 60, 42), ("tg", RUSSIA, 36, 12), ("tg", UKRAINE, 4, 4), ("wa", INDIA, 500, 1))
    listed = [{"country": 22, "share": 60, "rate": 70}, {"country": 0, "share": 36, "rate": 33}]
    action = "getListOfTopCountriesByService"
    for dialect in DIALECTS[:2]:
        assert (await ask(market, action, service="tg", dialect=dialect))["data"] == listed
    assert await ask(market, action, service="tg", dialect="grizzly") == listed
    for length, page, expected in (
        ("1", "1", listed[:1]), ("1", "2", listed[1:]), ("1", "3", []), ("0", "0", listed), ("-1", "x", listed),
        ("9" * 5_000, "", listed), ("²", "٣", listed), ("2", "9" * 5_000, []), ("01", "01", listed[:1]),
    ):  # fmt: skip
        asked = {"service": "tg", "length": length, "page": page}
        assert await ask(market, action, asked, dialect="grizzly") == expected, (length[:9], page[:9])


async def test_an_account_is_told_its_own_prices_and_what_others_pay(market: Market) -> None:
    async with market.db.statement() as tx:
        alice = int(await value(tx, "INSERT INTO accounts (email) VALUES ('alice@example.com') RETURNING id"))
    await catalogue.set_price_rule(market.db, account_id=alice, service="tg", margin_percent=5)
    await catalogue.refresh(market.db, market.shelf)
    for account, price in ((alice, "9.45"), (alice + 1, "10.80")):
        assert (await ask(market, "getPrices", account=account))["22"]["tg"]["cost"] == Decimal(price)
        assert next(iter((await ask(market, "getPricesV2", account=account))["22"]["tg"])) == price
        top = (await ask(market, "getTopCountriesByService", account=account, service="tg"))["22"]
        assert (top["price"], top["retail_price"]) == (Decimal(price), Decimal("10.80"))
        assert market.offers(account_id=account)[0].price_paise == Decimal(price) * 100


async def test_stock_that_was_not_there_is_not_offered(market: Market) -> None:
    before = await text(market, "getPrices")
    cheapest = market.offers()[0]
    for _ in range(3):
        catalogue.observe(market.shelf, cheapest.offer_id, has_sold=False)
    await catalogue.flush_observations(market.db, market.shelf)
    first = {"cost": Decimal("12.00"), "count": 5, "physicalCount": 5}
    assert (await ask(market, "getPrices"))["22"]["tg"] == first
    assert (await ask(market, "getPrices", service="tg", country="22"))["22"]["tg"] == first
    assert (await ask(market, "getPricesV2"))["22"]["tg"] == {"12.00": 5}
    assert (await ask(market, "getPricesV3"))["22"]["tg"].keys() == {str(market.alpha)}
    assert (await ask(market, "getNumbersStatus"))["tg"] == 5
    assert await ask(market, "getNumbersStatus", operator="airtel") == {"tg": 0}
    assert market.offers()[0].price_paise == 1_200
    catalogue.observe(market.shelf, cheapest.offer_id, has_sold=True)
    await catalogue.flush_observations(market.db, market.shelf)
    assert await text(market, "getPrices") == before


WHOLE: Sequence[tuple[str, Mapping[str, str]]] = [
    (action, {"service": "tg"} if "Top" in action else {}) for action in ACTIONS
]


async def test_what_is_blocked_or_switched_off_is_listed_nowhere(market: Market) -> None:
    await market.sync(
        market.alpha, upstream("tg", INDIA, 1_000), upstream(BANK, INDIA, 5), upstream("vi", INDIA, 5),
        upstream("tg", KAZAKHSTAN, 5), upstream("go", RUSSIA, 5),
    )  # fmt: skip
    await switch_service(market.db, "vi", is_on=False)
    await switch_country(market.db, KAZAKHSTAN, is_on=False)
    await market.change("UPDATE providers SET is_on = false, changed_at = clock_timestamp() WHERE name = 'beta'")
    counted(market, ("tg", KAZAKHSTAN, 90, 80), ("tg", INDIA, 10, 5), (BANK, INDIA, 90, 80))
    for action, asked in WHOLE:
        body = await text(market, action, asked)
        for hidden in (f'"{BANK}"', '"vi"', '"2"', '"country":2,', "airtel", "Kazakhstan", "PayPal"):
            assert hidden.encode() not in body, (action, hidden)
    shown = await ask(market, "getPrices")
    assert {country: list(services) for country, services in shown.items()} == {"0": ["go"], "22": ["tg", "wa"]}
    assert shown["22"]["tg"] == {"cost": Decimal("12.00"), "count": 5, "physicalCount": 5}
    for action in ("getPrices", "getPricesV2", "getPricesV3", "getPricesExtended", "getPricesVerification"):
        for asked in ({"service": BANK}, {"service": "vi"}, {"country": "2"}, {"service": BANK, "country": "22"}):
            assert await ask(market, action, asked) == {}
    for action in TOPS:
        assert await word(market, action, service=BANK) == ("BAD_SERVICE", False)
    assert await word(market, "getListOfTopCountriesByService", service="vi") == ("WRONG_SERVICE", False)


@pytest.mark.parametrize("service", ["zz9", "t g", "tg\0", "TG", "' OR 1=1 --", "x" * 5_000, "²", "{}", "\ud800"])
async def test_an_unknown_service_gets_the_word_of_its_dialect(market: Market, service: str) -> None:
    for action in ("getPrices", "getPricesV2", "getPricesV3", "getPricesExtended", "getPricesVerification"):
        assert await ask(market, action, service=service) == {}
        assert await ask(market, action, service=service, dialect="hero") == {
            "status": "false", "msg": "service is incorrect",
        }  # fmt: skip
        assert await word(market, action, service=service, dialect="grizzly") == ("BAD_SERVICE", False)
    for dialect in DIALECTS:
        for action in TOPS:
            assert await word(market, action, service=service, dialect=dialect) == ("BAD_SERVICE", False)
        assert await word(market, "getListOfTopCountriesByService", service=service, dialect=dialect) == (
            "WRONG_SERVICE", False,
        )  # fmt: skip


@pytest.mark.parametrize("country", ["99999", "-1", "1e3", "22.0", "+22", "٢٢", "zz", "India", "9" * 5_000, "\0", "²"])
async def test_an_unknown_country_gets_the_word_of_its_dialect(market: Market, country: str) -> None:
    assert await ask(market, "getPrices", country=country) == {}
    assert await ask(market, "getPrices", country=country, service="tg", dialect="hero") == {
        "status": "false", "msg": "country is incorrect",
    }  # fmt: skip
    for dialect in DIALECTS[:2]:
        assert await ask(market, "getNumbersStatus", country=country, dialect=dialect) == {}
    assert await ask(market, "getServicesList", country=country) == {"status": "success", "services": []}
    assert await ask(market, "getServicesList", country=country, dialect="hero") == []
    for action in ("getPrices", "getNumbersStatus", "getServicesList"):
        assert await word(market, action, country=country, dialect="grizzly") == ("BAD_COUNTRY", False)


@pytest.mark.parametrize("action", [*TOPS, "getListOfTopCountriesByService"])
async def test_a_top_list_needs_its_service(market: Market, action: str) -> None:
    expected = "WRONG_SERVICE" if "ListOf" in action else "BAD_SERVICE"
    assert await word(market, action) == await word(market, action, service="") == (expected, False)


async def test_an_empty_catalogue_has_empty_lists(market: Market) -> None:
    market.shelf.contents = replace(market.shelf.contents, offers={}, priced={}, tables={})
    for action in ("getPrices", "getPricesV2", "getPricesV3", "getPricesExtended", "getPricesVerification"):
        assert await text(market, action) == b"{}"
    assert await ask(market, "getNumbersStatus") == {}
    assert await ask(market, "getServicesList", dialect="hero") == []
    assert await ask(market, "getOperators") == {"status": "success", "countryOperators": {}}
    assert await ask(market, "getTopCountriesByService", service="tg") == {}
