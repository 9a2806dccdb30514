"""Choosing for a purchase: what is refused and why, and what is found."""

import pytest

from numberdesk.base.db import rows, value
from numberdesk.base.errors import AppError
from numberdesk.catalogue import service as catalogue
from tests.catalogue.market import INDIA, Market, add_provider, switch_country, switch_service, upstream

pytestmark = pytest.mark.anyio


def told(error: AppError) -> tuple[int, str, str]:
    return error.status, error.category, error.code


@pytest.mark.parametrize("word", ["nothing", "TG", "", "tg " * 100])
async def test_an_unknown_service_is_named_and_cut_short(market: Market, word: str) -> None:
    with pytest.raises(catalogue.UnknownService) as refused:
        market.offers(word)
    assert told(refused.value) == (400, "validation", "unknown_service")
    assert refused.value.service == word[:40]
    assert f'"{word[:40]}"' in refused.value.sentence()


@pytest.mark.parametrize("word", ["XX", "INDIA", "", " 22", "022", "9999", 9999, -1, "٢٢"])
async def test_an_unknown_country_is_named(market: Market, word: str | int) -> None:
    with pytest.raises(catalogue.UnknownCountry) as refused:
        market.offers("tg", word)
    assert told(refused.value) == (400, "validation", "unknown_country")
    assert refused.value.country == str(word)


@pytest.mark.parametrize("word", ["gamma", 99, "99", "", "ALPHA"])
async def test_an_unknown_server_is_named(market: Market, word: str | int) -> None:
    with pytest.raises(catalogue.UnknownServer) as refused:
        market.offers(server=word)
    assert told(refused.value) == (400, "validation", "unknown_server")
    assert refused.value.server == str(word)


async def test_a_blocked_service_is_refused_with_its_reason_even_if_somebody_sells_it(market: Market) -> None:
    async with market.db.statement() as tx:
        (code,) = (await rows(tx, "SELECT code FROM services WHERE category = 'bank' ORDER BY code LIMIT 1"))[0]
        reason = await value(tx, "SELECT reason FROM blocked_categories WHERE category = 'bank'")
    await market.sync(market.alpha, upstream(code, INDIA, 1_000))
    with pytest.raises(catalogue.ServiceBlocked) as refused:
        market.offers(code)
    assert told(refused.value) == (403, "validation", "service_blocked")
    assert (refused.value.service, refused.value.reason) == (code, reason)
    assert reason in refused.value.sentence()


async def test_a_service_that_is_switched_off_is_not_sold(market: Market) -> None:
    await switch_service(market.db, "tg", is_on=False)
    await catalogue.refresh(market.db, market.shelf)
    with pytest.raises(catalogue.ServiceOff) as refused:
        market.offers()
    assert told(refused.value) == (400, "validation", "service_off")


async def test_a_service_that_nobody_has_classified_is_not_sold(market: Market) -> None:
    await market.sync(market.alpha, upstream("brandnew", INDIA, 1_000))
    with pytest.raises(catalogue.ServiceOff) as refused:
        market.offers("brandnew")
    assert refused.value.service == "brandnew"


async def test_a_country_that_is_switched_off_is_not_sold(market: Market) -> None:
    await switch_country(market.db, "in", is_on=False)
    await catalogue.refresh(market.db, market.shelf)
    with pytest.raises(catalogue.CountryOff) as refused:
        market.offers(country="IN")
    assert told(refused.value) == (400, "validation", "country_off")
    assert refused.value.country == INDIA


async def test_a_server_that_is_switched_off_is_refused_when_pinned_and_left_out_otherwise(market: Market) -> None:
    await market.change("UPDATE providers SET is_on = false, changed_at = clock_timestamp() WHERE name = 'beta'")
    with pytest.raises(catalogue.ServerOff) as refused:
        market.offers(server="beta")
    assert told(refused.value) == (400, "validation", "server_off")
    assert [offer.provider_name for offer in market.offers()] == ["alpha"]


async def test_all_servers_off_means_no_numbers(market: Market) -> None:
    await market.change("UPDATE providers SET is_on = false, changed_at = clock_timestamp()")
    with pytest.raises(catalogue.NoStock):
        market.offers()


async def test_what_nobody_offers_is_told_apart_from_what_a_server_does_not_offer(market: Market) -> None:
    with pytest.raises(catalogue.NotOffered) as by_nobody:
        market.offers("tg", 0)
    assert told(by_nobody.value) == (400, "validation", "not_offered")
    assert by_nobody.value.server is None
    with pytest.raises(catalogue.NotOffered) as by_server:
        market.offers("wa", INDIA, server="beta")
    assert by_server.value.server == "beta"
    assert by_nobody.value.sentence() != by_server.value.sentence()


async def test_an_unknown_operator_is_told_with_those_there_are(market: Market) -> None:
    with pytest.raises(catalogue.UnknownOperator) as refused:
        market.offers(operator="vi")
    assert told(refused.value) == (400, "validation", "unknown_operator")
    assert (refused.value.operator, refused.value.known) == ("vi", ["any", "airtel", "jio"])
    assert "any, airtel, jio" in refused.value.sentence()
    with pytest.raises(catalogue.UnknownOperator) as at_alpha:
        market.offers(operator="airtel", server="alpha")
    assert at_alpha.value.known == ["any"]


@pytest.mark.parametrize(("service", "country", "operator"), [("go", 0, None), ("go", 0, "any"), ("tg", INDIA, "jio")])
async def test_sold_out_is_no_mistake_of_the_caller(
    market: Market, service: str, country: int, operator: str | None
) -> None:
    with pytest.raises(catalogue.NoStock) as refused:
        market.offers(service, country, operator=operator)
    assert told(refused.value) == (409, "provider", "no_numbers")


async def test_a_price_that_is_too_low_is_told_the_cheapest_one_that_is_in_stock(market: Market) -> None:
    with pytest.raises(catalogue.PriceTooLow) as refused:
        market.offers(max_price=1_079)
    assert told(refused.value) == (400, "validation", "price_too_low")
    assert refused.value.details() == {"max_price_paise": 1_079, "minimum_paise": 1_080}
    assert refused.value.sentence() == "maxPrice is below the cheapest price, which is 10.80."
    with pytest.raises(catalogue.PriceTooLow) as at_alpha:
        market.offers(max_price=1_199, server="alpha")
    assert at_alpha.value.minimum_paise == 1_200


async def test_offers_come_at_their_price_cheapest_first_without_the_sold_out(market: Market) -> None:
    first, second = market.offers()
    assert (first.provider_name, first.operator, first.cost_paise, first.price_paise) == ("beta", "airtel", 900, 1_080)
    assert (second.provider_name, second.operator, second.cost_paise, second.price_paise) == (
        "alpha",
        "any",
        1000,
        1200,
    )
    assert (first.server, first.provider_id, first.stock) == (market.beta, market.beta, 3)
    assert (first.lifetime_ms, first.cancel_after_ms, first.extend_paise_per_minute) == (1_200_000, 120_000, None)


async def test_at_one_price_the_older_provider_comes_first(market: Market) -> None:
    await market.sync(market.beta, upstream("tg", INDIA, 1_000, operator="airtel"), upstream("tg", INDIA, 1_000))
    found = [(offer.provider_id, offer.operator) for offer in market.offers()]
    assert found == [(market.alpha, "any"), (market.beta, "any"), (market.beta, "airtel")]


@pytest.mark.parametrize("country", [22, "22", "IN", "in", "In"])
async def test_a_country_may_be_a_number_or_letters(market: Market, country: str | int) -> None:
    assert len(market.offers("tg", country)) == 2


async def test_letters_that_two_countries_share_mean_the_default_one(market: Market) -> None:
    await market.sync(market.alpha, upstream("tg", 12, 700), upstream("tg", 187, 800))
    assert [offer.country for offer in market.offers("tg", "us")] == [187]
    assert [offer.country for offer in market.offers("tg", 12)] == [12]
    await market.change("UPDATE countries SET iso_default = (code = 12) WHERE iso = 'US'")
    await market.change("UPDATE catalogue_version SET version = version + 1")
    await catalogue.refresh(market.db, market.shelf)
    assert [offer.country for offer in market.offers("tg", "us")] == [12]


async def test_a_server_may_be_a_name_or_a_number(market: Market) -> None:
    for name in ("alpha", market.alpha, str(market.alpha)):
        assert [offer.provider_id for offer in market.offers(server=name)] == [market.alpha]


async def test_a_number_means_the_server_of_this_number_not_one_that_is_named_so(market: Market) -> None:
    named = await add_provider(market.db, str(market.alpha))
    await market.sync(named, upstream("tg", INDIA, 100))
    assert [offer.provider_id for offer in market.offers(server=str(market.alpha))] == [market.alpha]


async def test_operators_may_be_one_several_or_any(market: Market) -> None:
    assert [offer.operator for offer in market.offers(operator="airtel")] == ["airtel"]
    assert [offer.operator for offer in market.offers(operator="Jio, AIRTEL")] == ["airtel"]
    assert [offer.operator for offer in market.offers(operator="any")] == ["airtel", "any"]


async def test_a_ceiling_leaves_what_is_not_above_it(market: Market) -> None:
    assert [offer.price_paise for offer in market.offers(max_price=1_080)] == [1_080]
    assert [offer.price_paise for offer in market.offers(max_price=1_200)] == [1_080, 1_200]


async def test_a_customer_with_a_rule_of_its_own_pays_that_and_nobody_else_does(market: Market) -> None:
    async with market.db.statement() as tx:
        alice = int(await value(tx, "INSERT INTO accounts (email) VALUES ('alice@example.com') RETURNING id"))
    assert [offer.price_paise for offer in market.offers(account_id=alice)] == [1_080, 1_200]
    await catalogue.set_price_rule(market.db, account_id=alice, service="tg", margin_percent=5)
    await catalogue.refresh(market.db, market.shelf)
    assert [offer.price_paise for offer in market.offers(account_id=alice)] == [945, 1_050]
    assert [offer.price_paise for offer in market.offers("wa", account_id=alice)] == [2_400]
    assert [offer.price_paise for offer in market.offers(account_id=alice + 1)] == [1_080, 1_200]
    own, others = (catalogue.price_table(market.shelf, account) for account in (alice, None))
    assert own.prices[market.offers()[0].country]["tg"] == ("9.45", 8)  # type: ignore[index]
    assert own.etag != others.etag


async def test_a_caller_that_changes_its_list_does_not_change_the_shelf(market: Market) -> None:
    market.offers().clear()
    assert len(market.offers()) == 2
