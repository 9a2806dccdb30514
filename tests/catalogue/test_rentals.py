"""Numbers for hours or days in the catalogue: read list by list, believed with care, and sold at our prices."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from numberdesk.base.db import Database
from numberdesk.base.errors import AppError, InvalidFields
from numberdesk.base.money import Paise
from numberdesk.catalogue import service as catalogue
from numberdesk.catalogue.model import CountryCode, PricedOffer, ServiceCode
from numberdesk.providers import service as providers
from numberdesk.providers import simulator
from numberdesk.providers.simulator import catalogue as theirs
from numberdesk.providers.simulator import rentals
from numberdesk.wallet.model import SANDBOX_OFFSET
from tests.catalogue.market import block_category, switch_country, switch_service
from tests.catalogue.rental_lister import RentalScene, opened

pytestmark = pytest.mark.anyio

INDIA = 22
ENGLAND = 16
HOURS = [4, 24, 72, 168, 720]
SANDBOX = """
    INSERT INTO providers (id, name, kind, dialect, url, api_key_sealed) OVERRIDING SYSTEM VALUE
    VALUES (9999, 'sandbox', 'sandbox', 'sandbox', 'http://sandbox.invalid/', '');
    INSERT INTO services (code, name, category)
    VALUES ('testcode', 'A code', 'sandbox'), ('testtwo', 'Two codes', 'sandbox');
    UPDATE catalogue_version SET version = version + 1
"""
READ_AGAIN = 901
"""Seconds after which a list is read again."""


@pytest.fixture
async def scene(db: Database, admin_url: str) -> AsyncIterator[RentalScene]:
    async with opened(db, admin_url) as scene:
        yield scene


def wanted(scene: RentalScene, **wanted: Any) -> list[PricedOffer]:
    options: dict[str, Any] = {"service": "tg", "country": INDIA, "hours": 24} | wanted
    return catalogue.rentals_for(scene.shelf, account_id=1, **options)


def refused(scene: RentalScene, **options: Any) -> AppError:
    with pytest.raises(AppError) as problem:
        wanted(scene, **options)
    return problem.value


# Reading.


async def test_what_is_listed_is_read_and_sold_with_our_margin(scene: RentalScene) -> None:
    await scene.read({(INDIA, 24): {"tg": (10_000, 7), "wa": (20_000, 0)}, (ENGLAND, 24): {"tg": (15_001, 3)}})
    assert scene.told() == {("tg", INDIA): (12_000, 7), ("wa", INDIA): (24_000, 0), ("tg", ENGLAND): (18_002, 3)}
    assert [(offer.service, offer.country) for offer in scene.offers()] == [
        ("tg", INDIA), ("tg", ENGLAND), ("wa", INDIA),
    ]  # fmt: skip
    (offer,) = wanted(scene)
    assert (offer.hours, offer.lifetime_ms, offer.cancel_after_ms) == (24, 24 * 3_600_000, 0)
    assert (offer.cost_paise, offer.price_paise, offer.extend_paise_per_minute) == (10_000, 12_000, None)
    assert offer.offer_id < 0
    assert catalogue.rental_hours(scene.shelf, account_id=1) == [24]
    assert catalogue.rental_hours(scene.shelf, account_id=1, service=ServiceCode("wa"), country=CountryCode(16)) == []


async def test_a_rental_is_never_among_numbers_for_one_code(scene: RentalScene) -> None:
    await scene.read({(INDIA, 24): {"tg": (10_000, 7)}})
    assert catalogue.list_offers(scene.shelf, account_id=1) == []
    assert catalogue.price_table(scene.shelf, 1).prices == {}
    with pytest.raises(catalogue.NotOffered):
        catalogue.offers_for(scene.shelf, account_id=1, service="tg", country=INDIA)


async def test_every_list_is_read_once_a_few_at_each_turn_and_again_when_its_time_is_over(scene: RentalScene) -> None:
    lists = {(country, hours): {"tg": (10_000, 1)} for country in (INDIA, ENGLAND, 6) for hours in HOURS}
    scene.lister.lists = dict(lists)
    await catalogue.read_rental_lists(scene.db, scene.lines)
    assert [country for country, _ in scene.lister.asked[:5]] == [""] * 5
    assert len(scene.lister.asked) == 10
    assert await scene.read() == 10
    assert sorted(scene.lister.asked[5:]) == sorted((str(country), hours) for country, hours in lists)
    del scene.lister.asked[:]
    await scene.age(800)
    assert await scene.read() == 0
    await scene.age(101)
    assert await scene.read() == 15
    assert "" not in dict(scene.lister.asked)
    await scene.age(6 * 3600)
    await scene.read()
    assert [country for country, _ in scene.lister.asked].count("") == 5


async def test_the_same_again_changes_no_version_and_other_prices_and_stock_are_taken_over(scene: RentalScene) -> None:
    await scene.read({(INDIA, 24): {"tg": (10_000, 7), "wa": (20_000, 2)}})
    before, known = await scene.version(), scene.shelf.rentals
    await scene.age(READ_AGAIN)
    assert await scene.read() > 0
    assert await scene.version() == before
    assert scene.shelf.rentals is known
    await scene.age(READ_AGAIN)
    await scene.read({(INDIA, 24): {"tg": (11_000, 6)}})
    assert await scene.version() == before + 1
    assert scene.told() == {("tg", INDIA): (13_200, 6), ("wa", INDIA): (24_000, 0)}
    await scene.age(READ_AGAIN)
    await scene.read({(INDIA, 24): {"tg": (11_000, 6), "wa": (30_000, 1)}})
    assert scene.told()["wa", INDIA] == (36_000, 1)


async def test_a_turn_is_taken_by_one_worker(scene: RentalScene) -> None:
    scene.lister.lists = {(INDIA, hours): {"tg": (10_000, 7)} for hours in HOURS}
    counts = await asyncio.gather(*(catalogue.read_rental_lists(scene.db, scene.lines) for _ in range(4)))
    assert sorted(counts)[-1] == 5
    assert len(set(scene.lister.asked)) == len(scene.lister.asked) == 10


@pytest.mark.parametrize("few", [0, 3])
async def test_a_list_that_lost_nearly_all_is_believed_only_when_it_lasts(scene: RentalScene, few: int) -> None:
    await scene.read({(INDIA, 24): scene.many(20), (INDIA, 4): scene.many(20)})
    await scene.age(READ_AGAIN)
    await scene.read({(INDIA, 24): scene.many(few), (INDIA, 4): scene.many(20)})
    assert (scene.stocked(), scene.stocked(4)) == (20, 20)
    await scene.backstage.execute("UPDATE rental_lists SET read_at = read_at - interval '901 seconds'")
    await scene.read()
    assert scene.stocked() == 20
    await scene.age(READ_AGAIN)
    await scene.read()
    assert (scene.stocked(), scene.stocked(4)) == (few, 20)


async def test_another_short_list_or_a_good_one_in_between_begins_anew(scene: RentalScene) -> None:
    await scene.read({(INDIA, 24): scene.many(20)})
    for count in (3, 2, 20, 3):
        await scene.age(READ_AGAIN)
        await scene.read({(INDIA, 24): scene.many(count)})
        assert scene.stocked() == 20


async def test_a_short_list_is_not_believed_sooner_because_it_could_not_be_read_in_between(scene: RentalScene) -> None:
    await scene.read({(INDIA, 24): scene.many(20)})
    await scene.age(READ_AGAIN)
    await scene.read({(INDIA, 24): scene.many(3)})
    await scene.age(READ_AGAIN)
    await scene.read({(INDIA, 24): None})
    assert scene.stocked() == 20
    await scene.age(READ_AGAIN)
    await scene.read({(INDIA, 24): scene.many(3)})
    assert scene.stocked() == 3


async def test_what_cannot_be_read_changes_nothing_and_others_are_read_later(scene: RentalScene) -> None:
    whole = {(INDIA, hours): {"tg": (10_000, 7)} for hours in HOURS}
    await scene.read(dict(whole))
    await scene.age(READ_AGAIN)
    scene.lister.lists = {key: {"tg": (20_000, 7)} for key in whole} | {(INDIA, 4): None}
    await scene.due()
    assert await catalogue.read_rental_lists(scene.db, scene.lines) == 0
    waits = await scene.backstage.fetchval(
        "SELECT extract(epoch FROM due_at - clock_timestamp()) FROM rental_readings WHERE failures = 1"
    )
    assert 20 < waits <= 30
    await scene.read()
    assert [scene.told(hours)["tg", INDIA][0] for hours in HOURS] == [12_000, 24_000, 24_000, 24_000, 24_000]
    assert await scene.backstage.fetchval("SELECT failures FROM rental_readings") == 0


async def test_a_provider_that_tells_no_countries_is_asked_again_and_nothing_ends(scene: RentalScene) -> None:
    await scene.read({(INDIA, 24): {"tg": (10_000, 7)}})
    await scene.age(7 * 3600)
    scene.lister.is_broken = True
    await scene.read()
    assert scene.told() == {("tg", INDIA): (12_000, 7)}
    scene.lister.is_broken = False
    await scene.age(901)
    await scene.read({(INDIA, 24): {"tg": (10_000, 6)}})
    assert scene.told() == {("tg", INDIA): (12_000, 6)}


async def test_a_country_that_is_no_longer_named_ends_by_its_own_list(scene: RentalScene) -> None:
    await scene.read({(INDIA, 24): {"tg": (10_000, 7)}, (ENGLAND, 24): {"tg": (10_000, 7)}})
    scene.lister.countries = [INDIA]
    await scene.age(7 * 3600)
    await scene.read()
    assert scene.told() == {("tg", INDIA): (12_000, 7), ("tg", ENGLAND): (12_000, 7)}
    await scene.age(READ_AGAIN)
    await scene.read({(INDIA, 24): {"tg": (10_000, 7)}})
    assert scene.told() == {("tg", INDIA): (12_000, 7), ("tg", ENGLAND): (12_000, 0)}
    await scene.age(7 * 3600)
    await scene.read()
    countries = await scene.backstage.fetch("SELECT DISTINCT country FROM rental_lists")
    assert [row[0] for row in countries] == [INDIA]


async def test_what_our_lists_do_not_know_or_cannot_be_meant_is_not_sold(scene: RentalScene) -> None:
    odd = {"tg": (10_000, 7), "nosuch1": (10_000, 7), "full": (10_000, 7), "wa": (0, 7), "go": (10_000, 10**11)}
    scene.lister.countries = [INDIA, 99_999]
    await scene.read({(INDIA, 24): odd, (99_999, 24): {"tg": (10_000, 7)}})
    assert scene.told() == {("tg", INDIA): (12_000, 7), ("go", INDIA): (12_000, 2**31 - 1)}


async def test_a_provider_that_is_off_is_neither_read_nor_sold(scene: RentalScene) -> None:
    await scene.read({(INDIA, 24): {"tg": (10_000, 7)}})
    del scene.lister.asked[:]
    await providers.set_options(scene.db, scene.provider_id, is_on=False)
    await providers.refresh(scene.lines)
    await scene.age(READ_AGAIN)
    assert await scene.read() == 0
    assert not scene.lister.asked
    assert scene.offers() == []
    assert isinstance(refused(scene), catalogue.NotOffered)
    assert catalogue.rental_hours(scene.shelf, account_id=1) == []


async def test_the_pass_reads_what_a_simulated_provider_rents(scene: RentalScene) -> None:
    async with await simulator.start(api_key="key-of-the-lister", record_path=None, profile="never") as upstream:
        await providers.set_options(scene.db, scene.provider_id, url=upstream.url)
        await providers.refresh(scene.lines)
        await catalogue.set_rental_hours(scene.db, [24, 720])
        await scene.read()
    for hours in (24, 720):
        assert scene.told(hours) == {
            (service, country): (-(-rentals.cost_of(offer, hours) * 12 // 10), rentals.stock_of(offer))
            for (service, country), offer in theirs.offers().items()
            if country in rentals.COUNTRIES and service in scene.services
        }


# Hours.


async def test_staff_say_for_how_many_hours_numbers_are_rented(scene: RentalScene) -> None:
    whole = {(INDIA, hours): {"tg": (10_000, 7)} for hours in (12, 24, 72)}
    await scene.read(dict(whole))
    assert await catalogue.allowed_hours(scene.db) == HOURS
    assert catalogue.rental_hours(scene.shelf, account_id=1) == [24, 72]
    assert await catalogue.set_rental_hours(scene.db, [24, 12, 24]) == [12, 24]
    await catalogue.refresh(scene.db, scene.shelf)
    assert catalogue.rental_hours(scene.shelf, account_id=1) == [24]
    await scene.read()
    assert catalogue.rental_hours(scene.shelf, account_id=1) == [12, 24]
    assert await scene.backstage.fetchval("SELECT count(*) FROM rental_lists WHERE hours <> ALL ('{12,24}')") == 0
    assert await scene.backstage.fetchval("SELECT sum(stock) FROM rental_offers WHERE hours = 72") == 0
    assert await catalogue.set_rental_hours(scene.db, []) == []
    await scene.read()
    with pytest.raises(catalogue.UnknownHours) as problem:
        scene.offers()
    assert problem.value.sentence() == "Nothing of this is rented by the hour at the moment."


@pytest.mark.parametrize("hours", [[0], [-1], [8761], [24, 100_000], list(range(1, 22))])
async def test_hours_that_are_no_time_or_too_many_are_refused(db: Database, hours: list[int]) -> None:
    with pytest.raises(InvalidFields) as problem:
        await catalogue.set_rental_hours(db, hours)
    assert list(problem.value.fields) == ["hours"]
    assert await catalogue.allowed_hours(db) == HOURS


# Choosing.


async def test_what_cannot_be_rented_is_refused_by_its_name(scene: RentalScene) -> None:
    await scene.read({(INDIA, 24): {"tg": (10_000, 7), "wa": (10_000, 0)}, (INDIA, 72): {"tg": (30_000, 7)}})
    assert isinstance(refused(scene, service="nothing"), catalogue.UnknownService)
    assert isinstance(refused(scene, country="ZZ"), catalogue.UnknownCountry)
    assert isinstance(refused(scene, server="gamma"), catalogue.UnknownServer)
    assert isinstance(refused(scene, country=ENGLAND), catalogue.NotOffered)
    assert isinstance(refused(scene, service="go"), catalogue.NotOffered)
    assert isinstance(refused(scene, service="wa"), catalogue.NoStock)
    assert isinstance(refused(scene, operator="jio"), catalogue.UnknownOperator)
    unknown = refused(scene, hours=48)
    assert isinstance(unknown, catalogue.UnknownHours)
    assert (unknown.status, unknown.code, unknown.known) == (400, "unknown_hours", [24, 72])
    assert unknown.sentence() == "Nobody rents this for 48 hours. The times there are, in hours: 24, 72."
    low = refused(scene, max_price_paise=Paise(11_999))
    assert isinstance(low, catalogue.PriceTooLow)
    assert low.minimum_paise == 12_000
    assert [offer.price_paise for offer in wanted(scene, max_price_paise=Paise(12_000))] == [12_000]
    with pytest.raises(catalogue.UnknownHours) as problem:
        scene.offers(5)
    assert problem.value.known == [24, 72]


async def test_what_staff_took_off_sale_is_not_rented(scene: RentalScene) -> None:
    await scene.read({(INDIA, 24): {"tg": (10_000, 7), "wa": (10_000, 7)}, (ENGLAND, 24): {"tg": (10_000, 7)}})
    await switch_service(scene.db, "wa", is_on=False)
    await switch_country(scene.db, ENGLAND, is_on=False)
    await catalogue.refresh(scene.db, scene.shelf)
    assert scene.told().keys() == {("tg", INDIA)}
    assert isinstance(refused(scene, service="wa"), catalogue.ServiceOff)
    assert isinstance(refused(scene, country=ENGLAND), catalogue.CountryOff)
    category = scene.shelf.contents.services[ServiceCode("tg")].category
    await block_category(scene.db, category, is_blocked=True)
    await catalogue.refresh(scene.db, scene.shelf)
    assert isinstance(refused(scene), catalogue.ServiceBlocked)
    with pytest.raises(catalogue.UnknownHours):
        scene.offers()


async def test_rentals_are_found_by_service_country_and_words(scene: RentalScene) -> None:
    await scene.read({(INDIA, 24): {"tg": (10_000, 7), "wa": (10_000, 7)}, (ENGLAND, 24): {"tg": (10_000, 7)}})
    assert scene.told(service="tg").keys() == {("tg", INDIA), ("tg", ENGLAND)}
    assert scene.told(country="gb").keys() == {("tg", ENGLAND)}
    assert scene.told(q="telegram india").keys() == {("tg", INDIA)}
    assert scene.told(q="telegram", service="wa").keys() == set()
    with pytest.raises(catalogue.UnknownService):
        scene.offers(service="nope")
    with pytest.raises(catalogue.UnknownCountry):
        scene.offers(country="ZZ")


async def test_a_price_rule_holds_for_rentals_and_for_what_prolongs_them(scene: RentalScene) -> None:
    await scene.read({(INDIA, 24): {"tg": (10_000, 7)}})
    await catalogue.set_price_rule(
        scene.db, service="tg", country=None, provider="lister", account_id=None,
        margin_percent=Decimal(50), floor_paise=Paise(100),
    )  # fmt: skip
    await catalogue.refresh(scene.db, scene.shelf)
    assert scene.told() == {("tg", INDIA): (15_000, 7)}
    for service, price in (("tg", 1_500), ("wa", 1_200)):
        assert price == catalogue.price_of_cost(
            scene.shelf, account_id=1, service=ServiceCode(service), country=CountryCode(INDIA),
            provider_id=scene.provider_id, cost_paise=Paise(1_000),
        )  # fmt: skip


async def test_a_long_catalogue_of_rentals_is_read_whole(scene: RentalScene) -> None:
    await scene.backstage.execute(
        """
        INSERT INTO rental_offers (service, country, provider_id, hours, cost_paise, stock, version)
        SELECT s.code, c.code, $1, hours, 1000, 1, 2
        FROM unnest($2::text[]) AS s (code) CROSS JOIN (SELECT code FROM countries ORDER BY code LIMIT 40) AS c
             CROSS JOIN unnest('{4,24}'::int[]) AS hours
        """,
        scene.provider_id,
        scene.services[:80],
    )
    await scene.backstage.execute("UPDATE rental_version SET version = 2")
    await catalogue.refresh(scene.db, scene.shelf)
    assert [len(scene.offers(hours)) for hours in (4, 24)] == [3_200, 3_200]
    assert {offer.offer_id for hours in (4, 24) for offer in scene.offers(hours)} == {
        -row[0] for row in await scene.backstage.fetch("SELECT id FROM rental_offers")
    }


async def test_a_new_shelf_and_one_that_followed_know_the_same(scene: RentalScene) -> None:
    await scene.read({(INDIA, 24): scene.many(5), (INDIA, 4): {"tg": (1_000, 1)}})
    await scene.age(READ_AGAIN)
    await scene.read({(INDIA, 24): scene.many(4, paise=9_000), (INDIA, 4): {}})
    fresh = await catalogue.open_shelf(scene.db)
    for hours in (4, 24):
        assert catalogue.list_rentals(fresh, account_id=1, hours=hours) == scene.offers(hours)


async def test_sandboxes_rent_their_scripts_and_nothing_else(scene: RentalScene) -> None:
    await scene.read({(INDIA, 24): {"tg": (10_000, 7)}})
    await scene.backstage.execute(SANDBOX)
    await catalogue.refresh(scene.db, scene.shelf)
    tester = SANDBOX_OFFSET + 1
    found = catalogue.list_rentals(scene.shelf, account_id=tester, hours=72, country=INDIA)
    assert {offer.service: offer.price_paise for offer in found} == {"testcode": 3_000, "testtwo": 3_000}
    assert {offer.hours for offer in found} == {72}
    assert catalogue.rental_hours(scene.shelf, account_id=tester) == HOURS
    (offer,) = catalogue.rentals_for(scene.shelf, account_id=tester, service="testtwo", country=INDIA, hours=24)
    assert offer.provider_name == "sandbox"
    with pytest.raises(catalogue.UnknownService):
        catalogue.rentals_for(scene.shelf, account_id=tester, service="tg", country=INDIA, hours=24)
    with pytest.raises(catalogue.UnknownHours):
        catalogue.rentals_for(scene.shelf, account_id=tester, service="testtwo", country=INDIA, hours=5)


async def test_what_nobody_listed_for_a_month_is_forgotten(scene: RentalScene) -> None:
    await scene.read({(INDIA, 24): {"tg": (10_000, 7), "wa": (10_000, 0)}})
    await scene.age(29 * 86_400)
    assert await catalogue.forget_gone_rentals(scene.db) == 0
    await scene.age(2 * 86_400)
    assert await catalogue.forget_gone_rentals(scene.db) == 1
    assert await scene.backstage.fetchval("SELECT string_agg(service, ',') FROM rental_offers") == "tg"
