"""Ranking: prices, success rates that rest on little, weights of staff, and stock that is not there."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numberdesk.base.db import rows
from numberdesk.catalogue import service as catalogue
from numberdesk.catalogue.model import CountryCode, Delivery, PricedOffer, ServiceCode
from numberdesk.catalogue.service import _routing as routing
from tests.catalogue.market import INDIA, Market, upstream

pytestmark = pytest.mark.anyio

DAY = 24


def delivery(delivered: int, n: int) -> Delivery:
    return Delivery(n, delivered, DAY, 0.0, 1.0, 10, 20)


def counted(market: Market, **found: tuple[int, int]) -> None:
    """Let the shelf know what Telegram numbers of each provider brought, as (delivered, n)."""
    market.shelf.deliveries = {
        (offer.service, offer.country, offer.provider_id, offer.operator): delivery(*found[offer.provider_name])
        for offer in market.offers()
        if offer.provider_name in found
    }


def best(market: Market, **wanted: object) -> list[str]:
    found = catalogue.offers_for(market.shelf, account_id=1, service="tg", country=INDIA, route="best", **wanted)  # type: ignore[arg-type]
    return [offer.provider_name for offer in found]


@pytest.mark.parametrize(
    ("found", "prior", "rate"),
    [
        (None, 700_000, 700_000),
        ((0, 0), 700_000, 700_000),
        ((10, 10), 700_000, 850_000),
        ((0, 10), 700_000, 350_000),
        ((900, 990), 700_000, 907_000),
        ((0, 1_000_000), 0, 1),
    ],
)
def test_a_rate_is_drawn_towards_what_others_deliver_by_ten_numbers(
    found: tuple[int, int] | None, prior: int, rate: int
) -> None:
    assert routing.rate_of(None if found is None else delivery(*found), prior=prior) == rate


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 1_000_000))
def test_a_rate_is_between_nothing_and_all_and_grows_with_what_was_delivered(n: int, failed: int, prior: int) -> None:
    less, more = delivery(n, n + failed + 1), delivery(n + 1, n + failed + 1)
    assert 0 < routing.rate_of(less, prior=prior) <= routing.rate_of(more, prior=prior) <= routing.WHOLE


@given(st.integers(1, 10_000_000), st.integers(1, 1_000_000), st.integers(1, 999))
def test_a_score_falls_with_the_rate_and_with_the_weight(price: int, rate: int, weight: int) -> None:
    of = routing.score(price, rate=rate, weight_percent=weight)
    assert routing.score(price, rate=rate, weight_percent=weight + 1) <= of
    assert routing.score(price, rate=min(rate + 1, 1_000_000), weight_percent=weight) <= of
    assert routing.score(price + 1, rate=rate, weight_percent=weight) >= of


async def test_best_takes_the_dearer_server_that_delivers(market: Market) -> None:
    assert next(offer.provider_name for offer in market.offers()) == "beta"
    counted(market, alpha=(95, 100), beta=(30, 100))
    assert best(market)[0] == "alpha"
    assert next(offer.provider_name for offer in market.offers()) == "beta", "cheapest goes by the price alone"


async def test_three_lucky_codes_win_nothing(market: Market) -> None:
    counted(market, alpha=(3, 3), beta=(90, 100))
    assert best(market)[0] == "beta"


async def test_without_any_history_best_is_cheapest(market: Market) -> None:
    assert best(market) == [offer.provider_name for offer in market.offers()]


async def test_a_weight_of_staff_makes_a_server_attractive_and_decides_between_equal_prices(market: Market) -> None:
    await market.change(
        "UPDATE providers SET weight_percent = 150, changed_at = clock_timestamp() WHERE name = 'alpha'"
    )
    assert best(market)[0] == "alpha"
    assert market.offers()[0].provider_name == "beta"
    await market.sync(market.beta, upstream("tg", INDIA, 1000))
    assert market.offers()[0].provider_name == "alpha"


async def test_new_statistics_and_new_prices_are_ranked_anew(market: Market) -> None:
    counted(market, alpha=(95, 100), beta=(30, 100))
    assert best(market)[0] == "alpha"
    counted(market, alpha=(30, 100), beta=(95, 100))
    assert best(market)[0] == "beta"
    await market.sync(market.beta, upstream("tg", INDIA, 9_000))
    assert best(market)[0] == "alpha"


async def test_a_ceiling_keeps_the_order_and_names_the_lowest_price(market: Market) -> None:
    counted(market, alpha=(95, 100), beta=(30, 100))
    prices = {offer.provider_name: offer.price_paise for offer in reversed(market.offers())}
    assert best(market, max_price_paise=prices["beta"]) == ["beta"] * len(best(market, max_price_paise=prices["beta"]))
    with pytest.raises(catalogue.PriceTooLow) as refused:
        best(market, max_price_paise=prices["beta"] - 1)
    assert refused.value.minimum_paise == prices["beta"]


# Stock that is not there.


def first(market: Market) -> PricedOffer:
    return market.offers()[0]


async def miss(market: Market, offer: PricedOffer, times: int = 1) -> None:
    for _ in range(times):
        catalogue.observe(market.shelf, offer.offer_id, has_sold=False)
    await catalogue.flush_observations(market.db, market.shelf)


async def until(market: Market, offer: PricedOffer) -> int | None:
    """Return for how many minutes more the stock of an offer is not believed."""
    async with market.db.statement() as tx:
        ((left,),) = await rows(
            tx,
            "SELECT round(extract(epoch FROM phantom_until - clock_timestamp()) / 60)::int FROM offers WHERE id = $1",
            offer.offer_id,
        )
    return None if left is None else int(left)


async def test_three_refusals_in_a_row_make_stock_a_phantom_that_is_tried_last(market: Market) -> None:
    offer = first(market)
    await miss(market, offer, 2)
    assert (await until(market, offer), first(market)) == (None, offer)
    await miss(market, offer)
    assert await until(market, offer) == 10
    assert first(market) != offer
    assert market.offers()[-1] == offer, "it is still there for who finds nothing else"


async def test_the_price_table_counts_no_stock_that_is_not_there(market: Market) -> None:
    await market.sync(market.alpha, upstream("tg", INDIA, 1_000), upstream("wa", INDIA, 2_000))
    before, cheapest = catalogue.price_table(market.shelf, None), first(market)
    await miss(market, cheapest, 3)
    after = catalogue.price_table(market.shelf, None)
    (tg, wa) = (after.prices[CountryCode(INDIA)][ServiceCode(code)] for code in ("tg", "wa"))
    assert before.prices[CountryCode(INDIA)][ServiceCode("tg")] == ("10.80", 8)
    assert (tg, wa) == (("12.00", 5), before.prices[CountryCode(INDIA)][ServiceCode("wa")])
    assert after.etag != before.etag
    assert catalogue.price_table(market.shelf, None) is after, "worked out once"
    other = await catalogue.open_shelf(market.db)
    await catalogue.flush_observations(market.db, other)
    assert catalogue.price_table(other, None).etag == after.etag
    catalogue.observe(market.shelf, cheapest.offer_id, has_sold=True)
    await catalogue.flush_observations(market.db, market.shelf)
    assert catalogue.price_table(market.shelf, None) is before


async def test_a_sale_in_between_starts_the_count_anew(market: Market) -> None:
    offer = first(market)
    await miss(market, offer, 2)
    catalogue.observe(market.shelf, offer.offer_id, has_sold=True)
    await miss(market, offer, 2)
    assert await until(market, offer) is None
    await miss(market, offer)
    assert await until(market, offer) == 10
    catalogue.observe(market.shelf, offer.offer_id, has_sold=True)
    await catalogue.flush_observations(market.db, market.shelf)
    assert (await until(market, offer), first(market)) == (None, offer)


async def test_each_time_it_is_longer_and_never_more_than_six_hours(market: Market) -> None:
    offer, found = first(market), []
    await miss(market, offer, 3)
    for _ in range(7):
        found.append(await until(market, offer))
        await miss(market, offer)
        assert await until(market, offer) == found[-1], "a miss while it is not believed says nothing new"
        await market.change("UPDATE offers SET phantom_until = clock_timestamp() WHERE phantom_until IS NOT NULL")
        await catalogue.flush_observations(market.db, market.shelf)
        assert not market.shelf.phantoms
        await miss(market, offer)
    assert found == [10, 20, 40, 80, 160, 320, 360]


async def test_staff_are_told_when_much_of_a_servers_stock_is_not_there(market: Market) -> None:
    await market.sync(market.alpha, *(upstream(code, INDIA, 500) for code in ("tg", "wa", "go", "ig", "fb", "ds")))
    assert await catalogue.watch_phantoms(market.db) == 0
    offers = [offer for offer in catalogue.list_offers(market.shelf, account_id=None) if offer.server == market.alpha]
    for offer in offers[:5]:
        await miss(market, offer, 3)
    assert await catalogue.watch_phantoms(market.db) == 1
    async with market.db.statement() as tx:
        assert await rows(tx, "SELECT provider_id, kind FROM provider_alerts WHERE closed_at IS NULL") == [
            (market.alpha, "phantom_stock")
        ]
    for offer in offers[:5]:
        catalogue.observe(market.shelf, offer.offer_id, has_sold=True)
    await catalogue.flush_observations(market.db, market.shelf)
    assert await catalogue.watch_phantoms(market.db) == 0


async def test_a_choice_is_explained_with_what_it_rests_on(market: Market) -> None:
    counted(market, alpha=(95, 100), beta=(30, 100))
    ranked = catalogue.offers_for(market.shelf, account_id=1, service="tg", country=INDIA, route="best")
    told = msgspec.json.decode(catalogue.explain(market.shelf, ranked, route="best", passed_over={market.beta: "full"}))
    assert told["route"] == "best"
    assert told["offers"][0] == {
        "server": market.alpha, "operator": "any", "price": "12.00", "n": 100, "delivered": 95,
    }  # fmt: skip
    assert told["passedOver"] == [{"server": market.beta, "why": "full"}]
    assert "cost" not in str(told)
