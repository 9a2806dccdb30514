"""From cost to price: the arithmetic, which rule decides, and setting rules."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numberdesk.base.db import Database, rows, run, value
from numberdesk.base.errors import InvalidFields
from numberdesk.base.money import AMOUNT_MAX, Paise
from numberdesk.catalogue import reference
from numberdesk.catalogue import service as catalogue
from numberdesk.catalogue.model import CountryCode, PriceRule, ServiceCode
from numberdesk.catalogue.service import DEFAULT_RULE, price
from numberdesk.catalogue.service._prices import PriceBook
from numberdesk.providers.model import ProviderId

pytestmark = pytest.mark.anyio

ALICE = 7
TG, INDIA, ALPHA = ServiceCode("tg"), CountryCode(22), ProviderId(1)

COSTS = st.integers(1, AMOUNT_MAX).map(Paise)
RULES = st.builds(
    PriceRule,
    account_id=st.none(),
    service=st.none(),
    country=st.none(),
    provider_id=st.none(),
    margin_basis_points=st.integers(-9_999, 1_000_000),
    floor_paise=st.integers(1, AMOUNT_MAX).map(Paise) | st.integers(1, 500).map(Paise),
)


def rule(
    *,
    account_id: int | None = None,
    service: ServiceCode | None = None,
    country: CountryCode | None = None,
    provider_id: ProviderId | None = None,
    margin: int = 0,
    floor: int = 1,
) -> PriceRule:
    return PriceRule(account_id, service, country, provider_id, margin_basis_points=margin, floor_paise=Paise(floor))


@given(COSTS, RULES)
def test_a_price_is_never_below_cost_and_margin_nor_the_floor_and_never_a_paisa_more(
    cost: Paise, decisive: PriceRule
) -> None:
    found = price(cost, decisive)
    with_margin = cost * (10_000 + decisive.margin_basis_points)
    assert found * 10_000 >= with_margin
    assert found >= decisive.floor_paise
    assert found == decisive.floor_paise or (found - 1) * 10_000 < with_margin


@given(COSTS, COSTS, RULES)
def test_what_costs_more_is_never_cheaper(one: Paise, other: Paise, decisive: PriceRule) -> None:
    low, high = sorted((one, other))
    assert price(low, decisive) <= price(high, decisive)


@pytest.mark.parametrize(
    ("cost", "margin", "floor", "expected"),
    [
        (1_000, 2_000, 100, 1_200),
        (1_001, 2_000, 100, 1_202),
        (1, 1, 1, 2),
        (50, 2_000, 100, 100),
        (1_000, -9_999, 1, 1),
        (1_000, 0, 1, 1_000),
        (AMOUNT_MAX, 1_000_000, 1, AMOUNT_MAX * 101),
    ],
)
def test_prices_worked_out_by_hand(cost: int, margin: int, floor: int, expected: int) -> None:
    assert price(Paise(cost), rule(margin=margin, floor=floor)) == expected


def decisive(rules: Sequence[PriceRule], *, account_id: int | None = ALICE) -> PriceRule:
    return PriceBook.of(rules).rule_for(account_id=account_id, service=TG, country=INDIA, provider_id=ALPHA)


def test_a_rule_for_something_else_does_not_fit() -> None:
    strangers = [
        rule(account_id=8),
        rule(service=ServiceCode("wa")),
        rule(country=CountryCode(0)),
        rule(provider_id=ProviderId(2)),
        rule(account_id=ALICE, service=TG, country=CountryCode(0)),
    ]
    assert decisive(strangers) is DEFAULT_RULE


def test_who_has_no_account_pays_no_accounts_price() -> None:
    general, own = rule(margin=1), rule(account_id=ALICE, margin=2)
    of_service = rule(service=TG, margin=3)
    assert decisive([general, own, of_service], account_id=None) is of_service
    assert decisive([general, own], account_id=None) is general


def test_without_a_rule_twenty_percent_is_added_and_nothing_costs_less_than_a_rupee() -> None:
    assert decisive([]) is DEFAULT_RULE
    assert price(Paise(1_000), DEFAULT_RULE) == 1_200
    assert price(Paise(10), DEFAULT_RULE) == 100


def test_account_weighs_more_than_service_more_than_country_more_than_provider() -> None:
    every = [
        rule(
            account_id=ALICE if by_account else None,
            service=TG if by_service else None,
            country=INDIA if by_country else None,
            provider_id=ALPHA if by_provider else None,
        )
        for by_account, by_service, by_country, by_provider in product((True, False), repeat=4)
    ]
    assert len(every) == 16
    # From the most specific to the most general: each one decides once all before it are gone, in any order stored.
    for gone in range(16):
        assert decisive(every[gone:]) is every[gone]
        assert decisive([*every[:gone:-1], every[gone]]) is every[gone]
    for stronger, weaker in pairwise(every):
        assert decisive([weaker, stronger]) is stronger


@pytest.fixture
async def stocked(db: Database) -> Database:
    """A database with the lists, the provider `alpha` and one account."""
    await reference.load(db)
    async with db.transaction() as tx:
        await value(
            tx,
            "INSERT INTO providers (name, kind, url, api_key_sealed)"
            " VALUES ('alpha', 'sms-activate', 'http://127.0.0.1', '') RETURNING id",
        )
        await value(tx, "INSERT INTO accounts (email) VALUES ('alice@example.com') RETURNING id")
    return db


async def stored(db: Database) -> list[tuple[object, ...]]:
    async with db.statement() as tx:
        return await rows(
            tx,
            "SELECT account_id, service, country, provider_id, margin_basis_points, floor_paise"
            " FROM price_rules ORDER BY id",
        )


async def test_every_unknown_name_is_told_at_once_and_nothing_is_stored(stocked: Database) -> None:
    with pytest.raises(InvalidFields) as refused:
        await catalogue.set_price_rule(
            stocked,
            service="nothing",
            country="XX",
            provider="nobody",
            account_id=999,
            margin_percent=-100,
            floor_paise=Paise(0),
        )
    assert set(refused.value.fields) == {"service", "country", "provider", "accountId", "marginPercent", "floor"}
    assert await stored(stocked) == []


@pytest.mark.parametrize(
    "margin", [Decimal("-100"), Decimal("10000.01"), 10_001, Decimal("NaN"), Decimal("Infinity"), Decimal("1.005")]
)
async def test_a_silly_margin_is_refused(stocked: Database, margin: Decimal | int) -> None:
    with pytest.raises(InvalidFields) as refused:
        await catalogue.set_price_rule(stocked, margin_percent=margin)
    assert set(refused.value.fields) == {"marginPercent"}
    assert await stored(stocked) == []


@pytest.mark.parametrize(
    ("margin", "points"), [(Decimal("-99.99"), -9_999), (10_000, 1_000_000), (Decimal("1.25"), 125)]
)
async def test_margins_up_to_the_limits_are_stored(stocked: Database, margin: Decimal | int, points: int) -> None:
    assert (await catalogue.set_price_rule(stocked, margin_percent=margin)).margin_basis_points == points
    assert await stored(stocked) == [(None, None, None, None, points, 100)]


async def test_a_second_rule_for_the_same_combination_replaces_the_first(stocked: Database) -> None:
    await catalogue.set_price_rule(stocked, margin_percent=10)
    await catalogue.set_price_rule(stocked, margin_percent=20, floor_paise=Paise(250))
    assert await stored(stocked) == [(None, None, None, None, 2_000, 250)]


async def test_a_rule_is_found_by_every_way_to_write_its_names(stocked: Database) -> None:
    async with stocked.statement() as tx:
        provider = int(await value(tx, "SELECT id FROM providers"))
        account = int(await value(tx, "SELECT id FROM accounts"))
    for country, server in (("in", "alpha"), ("IN", provider), ("22", str(provider)), (22, "alpha")):
        await catalogue.set_price_rule(
            stocked, service="tg", country=country, provider=server, account_id=account, margin_percent=5
        )
    assert await stored(stocked) == [(account, "tg", 22, provider, 500, 100)]


async def test_a_number_means_the_provider_of_this_number_not_one_that_is_named_so(stocked: Database) -> None:
    async with stocked.statement() as tx:
        first = int(await value(tx, "SELECT id FROM providers"))
        for name in (str(first + 2), str(first)):
            await run(
                tx,
                "INSERT INTO providers (name, kind, url, api_key_sealed)"
                " VALUES ($1, 'sms-activate', 'http://127.0.0.1', '')",
                name,
            )
    for number in (first, first + 2):
        await catalogue.set_price_rule(stocked, provider=str(number), margin_percent=5)
    assert [row[3] for row in await stored(stocked)] == [first, first + 2]


async def test_a_new_rule_reaches_an_open_shelf(stocked: Database) -> None:
    shelf = await catalogue.open_shelf(stocked)
    await catalogue.set_price_rule(stocked, margin_percent=50)
    assert await catalogue.refresh(stocked, shelf)
    assert shelf.contents.book.rule_for(account_id=None, service=TG, country=INDIA, provider_id=ALPHA) == rule(
        margin=5_000, floor=100
    )
