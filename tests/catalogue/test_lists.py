"""The shelf and the lists that customers see."""

import msgspec
import pytest

from numberdesk.base.db import value
from numberdesk.catalogue import service as catalogue
from tests.catalogue.market import INDIA, Market, long_list, switch_country, switch_service, upstream

pytestmark = pytest.mark.anyio


async def test_nothing_changed_means_nothing_is_read(market: Market) -> None:
    contents = market.shelf.contents
    assert await catalogue.refresh(market.db, market.shelf) is False
    assert market.shelf.contents is contents


async def test_a_change_of_an_older_moment_that_commits_later_is_noticed(market: Market) -> None:
    await market.change("UPDATE providers SET changed_at = clock_timestamp() WHERE name = 'alpha'")
    contents = market.shelf.contents
    await market.change(
        "UPDATE providers SET is_on = false, changed_at = clock_timestamp() - interval '1 second' WHERE name = 'beta'"
    )
    assert market.shelf.contents is not contents
    assert [offer.provider_name for offer in market.offers()] == ["alpha"]


async def test_a_long_list_is_read_whole(market: Market) -> None:
    offers = long_list(market, 4_500)
    await market.sync(market.beta, *offers)
    on_shelf = {
        (offer.service, offer.country, offer.cost_paise)
        for of_pair in market.shelf.contents.offers.values()
        for offer in of_pair
        if offer.provider_id == market.beta and offer.stock > 0
    }
    assert on_shelf == {(offer.service, int(offer.country), offer.cost_paise) for offer in offers}


async def test_a_list_refuses_words_that_it_does_not_know(market: Market) -> None:
    with pytest.raises(catalogue.UnknownService):
        catalogue.list_offers(market.shelf, account_id=None, service="nothing")
    with pytest.raises(catalogue.UnknownCountry):
        catalogue.list_offers(market.shelf, account_id=None, country="XX")


async def test_blocked_and_switched_off_things_are_in_no_list(market: Market) -> None:
    async with market.db.statement() as tx:
        bank = await value(tx, "SELECT code FROM services WHERE category = 'bank' ORDER BY code LIMIT 1")
    await market.sync(
        market.alpha,
        upstream(bank, INDIA, 100),
        upstream("tg", INDIA, 100),
        upstream("wa", 6, 100),
        upstream("go", 0, 1),
    )
    await switch_service(market.db, "go", is_on=False)
    await switch_country(market.db, 6, is_on=False)
    await market.change("UPDATE providers SET is_on = false, changed_at = clock_timestamp() WHERE name = 'beta'")
    found = catalogue.list_offers(market.shelf, account_id=None)
    assert {(offer.service, offer.country, offer.provider_name) for offer in found} == {
        ("tg", INDIA, "alpha"),
        ("wa", INDIA, "alpha"),
    }
    table = catalogue.price_table(market.shelf, None)
    assert {(country, service) for country, of_country in table.prices.items() for service in of_country} == {
        (INDIA, "tg"),
        (INDIA, "wa"),
    }
    assert catalogue.list_offers(market.shelf, account_id=None, service=bank) == []


@pytest.mark.parametrize(
    ("service", "country", "q", "expected"),
    [
        (None, None, None, ["go", "tg", "tg", "tg", "wa"]),
        ("tg", None, None, ["tg", "tg", "tg"]),
        (None, "ru", None, ["go"]),
        ("tg", 0, None, []),
        (None, None, "TELE", ["tg", "tg", "tg"]),
        (None, None, "india whats", ["wa"]),
        (None, None, "russia telegram", []),
        (None, None, "  ", ["go", "tg", "tg", "tg", "wa"]),
    ],
)
async def test_a_list_may_be_narrowed(
    market: Market, service: str | None, country: str | int | None, q: str | None, expected: list[str]
) -> None:
    found = catalogue.list_offers(market.shelf, account_id=None, service=service, country=country, q=q)
    assert [offer.service for offer in found] == expected


async def test_the_price_table_has_the_lowest_price_in_stock_and_all_stock(market: Market) -> None:
    await market.sync(
        market.beta,
        upstream("tg", INDIA, 800, stock=0),
        upstream("tg", INDIA, 900, stock=3, operator="airtel"),
        upstream("wa", INDIA, 1_900, stock=10),
        upstream("wa", INDIA, 1_950, stock=4, operator="airtel"),
    )
    prices = msgspec.to_builtins(catalogue.price_table(market.shelf, None).prices, str_keys=True)
    assert prices == {
        "0": {"go": ("6.00", 0)},
        "22": {"tg": ("10.80", 8), "wa": ("22.80", 15)},
    }


async def test_the_etag_changes_with_the_content_and_only_then(market: Market) -> None:
    before = catalogue.price_table(market.shelf, None).etag
    await switch_service(market.db, "vi", is_on=False)
    assert await catalogue.refresh(market.db, market.shelf)
    assert catalogue.price_table(market.shelf, 5).etag == before
    assert catalogue.price_table(await catalogue.open_shelf(market.db), None).etag == before
    seen = {before}
    for cost, stock in ((800, 5), (800, 6)):
        await market.sync(market.alpha, upstream("tg", INDIA, cost, stock), upstream("wa", INDIA, 2_000))
        seen.add(catalogue.price_table(market.shelf, None).etag)
    await catalogue.set_price_rule(market.db, service="wa", margin_percent=21)
    await catalogue.refresh(market.db, market.shelf)
    seen.add(catalogue.price_table(market.shelf, None).etag)
    assert len(seen) == 4
    assert before.startswith('"')
    assert before.endswith('"')
