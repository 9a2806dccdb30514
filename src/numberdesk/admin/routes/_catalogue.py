"""What staff call about what is sold: services, countries, and price rules with a look at what they would do."""

from dataclasses import replace
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import Meta, Struct

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import Caller
from numberdesk.accounts.service import People
from numberdesk.audit import service as audit
from numberdesk.audit.model import Detail
from numberdesk.base.calls import ID_MAX, Asked, Call
from numberdesk.base.db import Database
from numberdesk.base.errors import InvalidFields
from numberdesk.base.money import format_rupees
from numberdesk.base.visit import Visit
from numberdesk.base.web import ACCESS, Items, Ok, amount_in, encode, raw_body
from numberdesk.catalogue import service
from numberdesk.catalogue.model import Country, PriceRule, Service
from numberdesk.catalogue.service import (
    DEFAULT_FLOOR_PAISE,
    DEFAULT_RULE,
    PricePreview,
    RuleChange,
    RuleWanted,
    Shelf,
)

Name = Annotated[str, Meta(min_length=1, max_length=64)]
RULES_MAX = 500
"""In one body; a sheet may hold more."""
TOLD_MAX = 4_000
"""Characters of changes that one event of the audit log holds."""


class ChangeService(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """A service, and what is to be changed of it; what is null stays."""

    code: Name
    is_on: bool | None = None
    name: Annotated[str, Meta(min_length=1, max_length=80)] | None = None
    category: Name | None = None


class ChangeCountry(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """A country by its number or two letters, and whether it is on sale."""

    country: Name | int
    is_on: bool


class PriceRuleBody(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """A rule for what is named; what is null is everything. Gone: the rule for just these names is taken away."""

    service: Name | None = None
    country: Name | int | None = None
    provider: Name | int | None = None
    account_id: Annotated[int, Meta(ge=1, le=ID_MAX)] | None = None
    margin_percent: str | float = "0"
    floor: str | float | None = None
    is_gone: bool = False


class ChangePrices(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """Rules that are to be stored, all of them or none."""

    rules: Annotated[list[PriceRuleBody], Meta(min_length=1, max_length=RULES_MAX)]


class StaffServiceView(Struct, rename="camel", frozen=True):
    """A service as staff see it; a blocked category is not sold whatever `isOn` says."""

    code: str
    name: str
    category: str
    is_on: bool
    is_blocked: bool
    offers: int


class StaffCountryView(Struct, rename="camel", frozen=True):
    """A country as staff see it."""

    code: int
    iso: str
    name: str
    is_on: bool


class PriceRuleView(Struct, rename="camel", frozen=True):
    """How a cost becomes a price for what is named; null is everything."""

    service: str | None
    country: int | None
    provider: int | None
    account_id: int | None
    margin_percent: str
    floor: str


class RuleChangeView(Struct, rename="camel", frozen=True):
    """What becomes of one rule; null is that there is none."""

    before: PriceRuleView | None
    after: PriceRuleView | None


class PriceExampleView(Struct, rename="camel", frozen=True):
    """What one offer costs before and after, for everybody or for one account."""

    service: str
    country: int
    provider: int
    operator: str
    account_id: int | None
    cost: str
    before: str
    after: str


class PricesView(Struct, rename="camel", frozen=True):
    """What changed rules would do, or have done."""

    is_stored: bool
    rules: list[RuleChangeView]
    offers: int
    changed: int
    dearer: int
    cheaper: int
    below_cost: int
    warnings: list[str]
    examples: list[PriceExampleView]


def calls(people: Any, shelf: Any) -> list[Call[Any]]:
    """Return the calls of this part; without what they work with they can only be described."""
    return [
        Call(
            path="/admin/services", body=ChangeService, access="admin:ops", run=partial(_change_service, people, shelf),
            answer=StaffServiceView, summary="Change a service",
            description="Put a service on sale or take it off, name it, or put it into another category.",
        ),
        Call(
            path="/admin/countries", body=ChangeCountry, access="admin:ops",
            run=partial(_change_country, people, shelf), answer=StaffCountryView, summary="Change a country",
            description="Put a country on sale or take it off.",
        ),
        Call(
            path="/admin/prices/preview", body=ChangePrices, access="admin:support",
            run=partial(_preview, people, shelf),
            answer=PricesView, summary="Try price rules",
            description="Work out what rules would do to the prices of all offers; nothing is stored.",
        ),
        Call(
            path="/admin/prices", body=ChangePrices, access="admin:finance", run=partial(_change_prices, people, shelf),
            answer=PricesView, summary="Store price rules",
            description="Store rules, all of them or none; every process sells by them within a second or two.",
        ),
    ]  # fmt: skip


async def _change_service(people: People, shelf: Shelf, asked: Asked, data: ChangeService) -> bytes:
    async with people.db.transaction() as tx:
        before, after = await service.change_service(
            tx, data.code, is_on=data.is_on, name=data.name, category=data.category
        )
        event = accounts.done_by(
            asked.caller, asked.visit, "service_changed", service=after.code, is_on=after.is_on,
            is_on_before=before.is_on, name=after.name, name_before=before.name, category=after.category,
            category_before=before.category,
        )  # fmt: skip
        await audit.record(tx, event)
    await service.refresh(people.db, shelf)
    return encode(_service_view(shelf, after))


async def _change_country(people: People, shelf: Shelf, asked: Asked, data: ChangeCountry) -> bytes:
    async with people.db.transaction() as tx:
        before, after = await service.change_country(tx, data.country, is_on=data.is_on)
        event = accounts.done_by(
            asked.caller, asked.visit, "country_changed", country=after.code, is_on=after.is_on,
            is_on_before=before.is_on,
        )  # fmt: skip
        await audit.record(tx, event)
    await service.refresh(people.db, shelf)
    return encode(_country_view(after))


async def _preview(people: People, shelf: Shelf, _: Asked, data: ChangePrices) -> bytes:
    return encode(_prices_view(await _tried(people.db, shelf, data), is_stored=False))


async def _change_prices(people: People, shelf: Shelf, asked: Asked, data: ChangePrices) -> bytes:
    tried = await _tried(people.db, shelf, data)
    await _store(people.db, shelf, asked.caller, asked.visit, tried)
    return encode(_prices_view(tried, is_stored=True))


async def _tried(db: Database, shelf: Shelf, data: ChangePrices) -> PricePreview:
    wanted, places = [], []
    for number, item in enumerate(data.rules):
        place = f"rules[{number}]"
        floor = DEFAULT_FLOOR_PAISE if item.floor is None else amount_in(item.floor, field=f"{place}.floor")
        wanted.append(
            RuleWanted(
                item.service, None if item.country is None else str(item.country),
                None if item.provider is None else str(item.provider), item.account_id,
                _margin(item.margin_percent, f"{place}.marginPercent"), floor, item.is_gone,
            )
        )  # fmt: skip
        places.append(place)
    changes = await service.read_wanted(db, shelf, wanted, replaces_all=False, places=places)
    return await service.preview(shelf, changes)


def _margin(value: str | float, field: str) -> Decimal:
    try:
        margin = Decimal(str(value).strip())
    except InvalidOperation:
        margin = Decimal("NaN")
    if not margin.is_finite() or abs(margin.adjusted()) > 6:
        raise InvalidFields({field: 'must be percent on the cost, such as "20" or "12.50"'})
    return margin


async def _store(
    db: Database, shelf: Shelf, caller: Caller, visit: Visit, tried: PricePreview, **details: Detail
) -> None:
    said = "; ".join(service.told(change) for change in tried.rules)
    whole: dict[str, Detail] = {
        "rules": len(tried.rules), "changes": said[:TOLD_MAX], "prices_changed": tried.changed,
        "below_cost": tried.below_cost, **details,
    }  # fmt: skip
    async with db.transaction() as tx:
        await service.write_rules(tx, tried.rules)
        event = replace(accounts.done_by(caller, visit, "prices_changed"), details=whole)
        await audit.record(tx, event)
    await service.refresh(db, shelf)


def _service_view(shelf: Shelf, item: Service) -> StaffServiceView:
    contents = shelf.contents
    offers = sum(len(found) for pair, found in contents.offers.items() if pair[0] == item.code)
    return StaffServiceView(item.code, item.name, item.category, item.is_on, item.category in contents.blocked, offers)


def _country_view(item: Country) -> StaffCountryView:
    return StaffCountryView(item.code, item.iso, item.name, item.is_on)


def _rule_view(rule: PriceRule) -> PriceRuleView:
    return PriceRuleView(
        rule.service, rule.country, rule.provider_id, rule.account_id,
        f"{Decimal(rule.margin_basis_points) / 100:.2f}", format_rupees(rule.floor_paise),
    )  # fmt: skip


def _change_view(change: RuleChange) -> RuleChangeView:
    before, after = change.before, change.after
    return RuleChangeView(None if before is None else _rule_view(before), None if after is None else _rule_view(after))


def _prices_view(tried: PricePreview, *, is_stored: bool) -> PricesView:
    return PricesView(
        is_stored, [_change_view(change) for change in tried.rules], tried.offers, tried.changed, tried.dearer,
        tried.cheaper, tried.below_cost, tried.warnings,
        [
            PriceExampleView(
                item.offer.service, item.offer.country, item.offer.provider_id, item.offer.operator, item.account_id,
                format_rupees(item.offer.cost_paise), format_rupees(item.before_paise), format_rupees(item.after_paise),
            )
            for item in tried.examples
        ],
    )  # fmt: skip


@get("/admin/services", summary="List services", opt={ACCESS: "admin:support"})
async def list_services(shelf: NamedDependency[Shelf]) -> Ok[Items[StaffServiceView]]:
    """List all services that a provider can offer, also those that are off or blocked."""
    contents, counts = shelf.contents, dict[str, int]()
    for (code, _), offers in contents.offers.items():
        counts[code] = counts.get(code, 0) + len(offers)
    found = [
        StaffServiceView(item.code, item.name, item.category, item.is_on, item.category in contents.blocked,
                         counts.get(item.code, 0))
        for item in contents.services.values()
    ]  # fmt: skip
    return Ok(data=Items(found, None))


@get("/admin/countries", summary="List countries", opt={ACCESS: "admin:support"})
async def list_countries(shelf: NamedDependency[Shelf]) -> Ok[Items[StaffCountryView]]:
    """List all countries, also those that are off."""
    return Ok(data=Items([_country_view(item) for item in shelf.contents.countries.values()], None))


@get("/admin/prices", summary="List price rules", opt={ACCESS: "admin:support"})
async def list_prices(db: NamedDependency[Database]) -> Ok[Items[PriceRuleView]]:
    """List the rules, the most general first; the first one decides where nothing else is named."""
    return Ok(data=Items([_rule_view(rule) for rule in await _rules(db)], None))


async def _rules(db: Database) -> list[PriceRule]:
    """Return the rules that decide prices: where none is for everything, the program's own is."""
    rules = await service.list_rules(db)
    scopes = {(rule.account_id, rule.service, rule.country, rule.provider_id) for rule in rules}
    return rules if (None, None, None, None) in scopes else [DEFAULT_RULE, *rules]


@get(
    "/admin/prices/export", summary="Export price rules", opt={ACCESS: "admin:support"}, media_type="text/csv",
)  # fmt: skip
async def export_prices(db: NamedDependency[Database], shelf: NamedDependency[Shelf]) -> Response[bytes]:
    """Write the rules as a CSV file, which can be changed and imported."""
    raw = service.write_sheet(shelf, await _rules(db))
    return Response(
        raw, media_type="text/csv; charset=utf-8",
        headers={"content-disposition": 'attachment; filename="prices.csv"'},
    )  # fmt: skip


@post(
    "/admin/prices/import", summary="Import price rules", opt={ACCESS: "admin:finance"}, status_code=200,
    request_max_body_size=service.SHEET_MAX + 1,
)  # fmt: skip
async def import_prices(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    shelf: NamedDependency[Shelf],
    store: Annotated[bool, QueryParameter()] = False,
    replaces_all: Annotated[bool, QueryParameter(name="replace")] = False,
) -> Ok[PricesView]:
    """Take a CSV file as the body, all of it or nothing; errors name their lines. Without `store` it is only tried.

    With `replace` rules that are not in it go; a file without any is refused then.
    """
    wanted, places = service.read_sheet(await raw_body(request))
    changes = await service.read_wanted(db, shelf, wanted, replaces_all=replaces_all, places=places)
    if changes and not wanted:  # a file that was cut off behind its first line
        raise InvalidFields({"file": "holds no rule, so with replace it would take all away"})
    tried = await service.preview(shelf, changes)
    if store:
        visit: Visit = request.scope["state"]["visit"]
        await _store(db, shelf, caller, visit, tried, lines=len(wanted), replaces_all=replaces_all)
    return Ok(data=_prices_view(tried, is_stored=store))


HANDLERS = [list_services, list_countries, list_prices, export_prices, import_prices]
