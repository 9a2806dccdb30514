"""Keeping the catalogue true: syncing what providers list, and switching."""

import asyncio

import pytest

from numberdesk.base.db import Database, rows, value
from numberdesk.base.errors import NotFound
from numberdesk.catalogue import service as catalogue
from numberdesk.providers.model import ProviderId
from tests.catalogue.market import (
    INDIA,
    Market,
    block_category,
    long_list,
    switch_country,
    switch_service,
    take_over,
    upstream,
    version,
)

pytestmark = pytest.mark.anyio


async def stock(db: Database) -> list[tuple[object, ...]]:
    async with db.statement() as tx:
        return await rows(
            tx,
            "SELECT p.name, service, country, operator, cost_paise, stock"
            " FROM offers JOIN providers p ON p.id = provider_id WHERE stock > 0 ORDER BY 1, 2, 3, 4",
        )


async def test_an_unknown_provider_has_no_words(market: Market) -> None:
    with pytest.raises(NotFound):
        async with market.db.transaction() as tx:
            await catalogue.map_words(tx, provider_id=ProviderId(99), services={"telegram": "tg"}, countries={})


async def test_codes_that_we_do_not_know_are_told_kept_and_not_sold(market: Market) -> None:
    listed = [upstream("zznew", INDIA, 100), upstream("aanew", INDIA, 100), upstream("tg", 9_999, 100)]
    report = await take_over(market.db, market.alpha, listed)
    assert (report.unmapped_services, report.unmapped_countries) == (("aanew", "zznew"), ("9999",))
    assert (report.added, report.changed, report.gone) == (0, 0, 2)
    await take_over(market.db, market.alpha, listed[1:])
    async with market.db.statement() as tx:
        assert await rows(tx, "SELECT provider_id, upstream_code FROM unmapped_services") == [(market.alpha, "aanew")]


async def test_what_cannot_be_meant_is_counted_and_fails_nobody(market: Market) -> None:
    report = await take_over(
        market.db,
        market.beta,
        [
            upstream("tg", INDIA, 0),
            upstream("tg", INDIA, 10**12),
            upstream("tg", INDIA, 100, stock=-1),
            upstream("tg", INDIA, 100, operator="a\x00b"),
            upstream("t\x00g", INDIA, 100),
            upstream("x" * 10_000, INDIA, 100),
            upstream("wa", INDIA, 100, stock=10**12),
        ],
    )
    assert (report.unusable, report.unmapped_services) == (6, ())
    assert [row[1:] for row in await stock(market.db) if row[0] == "beta"] == [("wa", INDIA, "any", 100, 2**31 - 1)]


async def test_of_two_alike_the_cheaper_one_with_stock_counts(market: Market) -> None:
    await market.sync(
        market.beta, upstream("wa", INDIA, 300), upstream("wa", INDIA, 200), upstream("wa", INDIA, 100, stock=0)
    )
    assert [offer.cost_paise for offer in market.offers("wa")] == [200, 2_000]


async def test_what_is_no_longer_listed_keeps_its_row_and_loses_its_stock(market: Market) -> None:
    ids = {offer.operator: offer.offer_id for offer in market.offers(server="beta")}
    report = await take_over(market.db, market.beta, [])
    assert (report.added, report.changed, report.gone) == (0, 0, 1)
    assert {row[0] for row in await stock(market.db)} == {"alpha"}
    await market.sync(market.beta, upstream("tg", INDIA, 900, 3, "airtel"))
    assert {offer.operator: offer.offer_id for offer in market.offers(server="beta")} == ids


async def test_the_same_list_again_writes_nothing(market: Market) -> None:
    before = await version(market.db)
    report = await take_over(
        market.db,
        market.beta,
        [upstream("tg", INDIA, 900, 3, "airtel"), upstream("tg", INDIA, 950, 0, "jio")],
    )
    assert (report.added, report.changed, report.gone) == (0, 0, 0)
    assert await version(market.db) == before


async def test_a_code_that_only_became_known_as_unmapped_reaches_the_shelf(market: Market) -> None:
    listed = [upstream("tg", INDIA, 900, 3, "airtel"), upstream("tg", INDIA, 950, 0, "jio")]
    await market.sync(market.beta, *listed, upstream("brandnew", INDIA, 100))
    assert market.shelf.contents.unmapped == {"brandnew"}
    await market.sync(market.beta, *listed)
    assert market.shelf.contents.unmapped == set()


async def test_a_report_counts_what_came_changed_and_went(market: Market) -> None:
    before = await version(market.db)
    report = await take_over(
        market.db,
        market.beta,
        [upstream("tg", INDIA, 901, 3, "airtel"), upstream("tg", INDIA, 950, 7, "jio"), upstream("go", 0, 10)],
    )
    assert (report.added, report.changed, report.gone) == (1, 2, 0)
    assert await version(market.db) == before + 1
    assert [row[1:] for row in await stock(market.db) if row[0] == "beta"] == [
        ("go", 0, "any", 10, 5),
        ("tg", INDIA, "airtel", 901, 3),
        ("tg", INDIA, "jio", 950, 7),
    ]


async def test_syncs_of_one_provider_at_the_same_time_leave_one_of_the_lists(market: Market) -> None:
    everything = long_list(market, 2_000)
    lists = [everything[:1_200], everything[800:], everything[400:1_600], []]
    await asyncio.gather(
        *(take_over(market.db, market.beta, offers) for offers in lists),
        take_over(market.db, market.alpha, everything),
    )
    left = {(row[1], row[2]) for row in await stock(market.db) if row[0] == "beta"}
    assert left in [{(offer.service, int(offer.country)) for offer in offers} for offers in lists]
    assert sum(row[0] == "alpha" for row in await stock(market.db)) == 2_000


async def test_a_switch_of_something_unknown_is_refused(market: Market) -> None:
    before = await version(market.db)
    with pytest.raises(catalogue.UnknownService):
        await switch_service(market.db, "nothing", is_on=True)
    with pytest.raises(catalogue.UnknownCountry):
        await switch_country(market.db, "XX", is_on=True)
    with pytest.raises(NotFound):
        await block_category(market.db, "nothing", is_blocked=True)
    assert await version(market.db) == before


async def test_switches_work_both_ways_and_reach_the_shelf(market: Market) -> None:
    for is_on in (False, True):
        await switch_service(market.db, "tg", is_on=is_on)
        await switch_country(market.db, str(INDIA), is_on=is_on)
        assert await catalogue.refresh(market.db, market.shelf)
        assert market.shelf.contents.services["tg"].is_on is is_on
        assert market.shelf.contents.countries_by_name["IN"].is_on is is_on
    assert len(market.offers()) == 2


async def test_a_switch_by_letters_that_two_countries_share_means_the_default_one(market: Market) -> None:
    await switch_country(market.db, "us", is_on=False)
    await catalogue.refresh(market.db, market.shelf)
    assert {country.code for country in market.shelf.contents.countries.values() if not country.is_on} == {187}


async def test_a_category_may_be_blocked_that_was_not_on_the_list(market: Market) -> None:
    assert len(market.offers()) == 2
    await block_category(market.db, "messenger", is_blocked=True)
    await catalogue.refresh(market.db, market.shelf)
    with pytest.raises(catalogue.ServiceBlocked):
        market.offers()
    await block_category(market.db, "messenger", is_blocked=False)
    await catalogue.refresh(market.db, market.shelf)
    assert len(market.offers()) == 2


async def test_a_blocked_category_may_be_sold_and_keeps_its_reason(market: Market) -> None:
    async with market.db.statement() as tx:
        bank = await value(tx, "SELECT code FROM services WHERE category = 'bank' ORDER BY code LIMIT 1")
        reason = await value(tx, "SELECT reason FROM blocked_categories WHERE category = 'bank'")
    await market.sync(market.alpha, upstream(bank, INDIA, 1_000))
    await block_category(market.db, "bank", is_blocked=False)
    await catalogue.refresh(market.db, market.shelf)
    assert [offer.price_paise for offer in market.offers(bank)] == [1_200]
    await block_category(market.db, "bank", is_blocked=True)
    await catalogue.refresh(market.db, market.shelf)
    with pytest.raises(catalogue.ServiceBlocked) as refused:
        market.offers(bank)
    assert refused.value.reason == reason
