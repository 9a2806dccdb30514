"""Price rules as staff change them: many at once, all or none, and what they would do before they do it."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from numberdesk.base.db import Database, Tx
from numberdesk.base.errors import InvalidFields
from numberdesk.base.money import AMOUNT_MAX, Paise, format_rupees
from numberdesk.catalogue import sql
from numberdesk.catalogue.model import Offer, PriceRule
from numberdesk.catalogue.service._prices import BASIS_POINTS, PriceBook, Scope, basis_points, price
from numberdesk.catalogue.service._shelf import Contents, Shelf

EXAMPLES_MAX: Final = 20
THIN_BASIS_POINTS: Final = 500
"""Below five percent on the cost a refund or a fee eats the margin."""
JUMP_BASIS_POINTS: Final = 5_000
"""A price that changes by more than half is mostly a slip."""
PAYERS_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class RuleWanted:
    """A rule as staff write it, by the names they use. Gone: the rule for just these names is taken away."""

    service: str | None
    country: str | None
    provider: str | None
    account_id: int | None
    margin_percent: Decimal
    floor_paise: Paise
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class RuleChange:
    """What becomes of one rule; None is that there is none."""

    before: PriceRule | None
    after: PriceRule | None


@dataclass(frozen=True, slots=True)
class PriceExample:
    """What one offer would cost: for everybody, or for one account."""

    offer: Offer
    account_id: int | None
    before_paise: Paise
    after_paise: Paise


@dataclass(frozen=True, slots=True)
class PricePreview:
    """What changed rules would do to the prices of all offers."""

    rules: Sequence[RuleChange]
    offers: int
    changed: int
    dearer: int
    cheaper: int
    below_cost: int
    thin: int
    floored: int
    jumps: int
    examples: Sequence[PriceExample]
    """The largest changes first."""

    @property
    def warnings(self) -> list[str]:
        """What somebody should look at twice."""
        said = (
            (self.below_cost, "would be sold below cost"),
            (self.thin, "would be sold at less than 5 percent above cost"),
            (self.jumps, "would change by more than half"),
            (self.floored, "would cost their floor instead of their margin"),
        )
        found = [f"{count} of {self.changed} changed prices {words}." for count, words in said if count]
        return found if self.changed or not self.rules else ["No price changes by this."]


async def list_rules(db: Database) -> list[PriceRule]:
    """Return all rules, the most general first."""
    async with db.statement() as tx:
        return sorted(await sql.list_price_rules(tx), key=_order)


def _order(rule: PriceRule) -> tuple[int, int, str, int, int]:
    named = (rule.account_id, rule.service, rule.country, rule.provider_id)
    return (
        sum(name is not None for name in named), rule.account_id or 0, rule.service or "", rule.country or -1,
        rule.provider_id or 0,
    )  # fmt: skip


async def read_wanted(
    db: Database, shelf: Shelf, wanted: Sequence[RuleWanted], *, replaces_all: bool, places: Sequence[str]
) -> list[RuleChange]:
    """Find out what rules mean and what they would change; nothing is written.

    Args:
        replaces_all: rules that are not named go.
        places: how each of them is called where something is wrong with it, such as `line 3`; empty is the body itself.

    Raises:
        InvalidFields: names every rule and field that is wrong.
    """
    problems: dict[str, str] = {}
    rules: dict[Scope, PriceRule | None] = {}
    accounts = {item.account_id for item in wanted if item.account_id is not None}
    async with db.statement() as tx:
        stored = {scope_of(rule): rule for rule in await sql.list_price_rules(tx)}
        known = await sql.list_known_accounts(tx, sorted(accounts)) if accounts else set()
    for item, place in zip(wanted, places, strict=True):
        found: dict[str, str] = {}
        rule = _rule(shelf.contents, item, known, found)
        if not found and scope_of(rule) in rules:
            found["service"] = "stands there with the same country, provider and account already"
        problems.update({f"{place}: {name}" if place else name: said for name, said in found.items()})
        rules[scope_of(rule)] = None if item.is_gone else rule
    if problems:
        raise InvalidFields(problems)
    if replaces_all:
        rules.update((scope, None) for scope in stored if scope not in rules)
    return [RuleChange(stored.get(scope), rule) for scope, rule in rules.items() if stored.get(scope) != rule]


def scope_of(rule: PriceRule) -> Scope:
    """Return what a rule is for; of two with the same scope only one can be stored."""
    return rule.account_id, rule.service, rule.country, rule.provider_id


def _rule(contents: Contents, item: RuleWanted, known: set[int], problems: dict[str, str]) -> PriceRule:
    service = None if item.service is None else contents.services.get(item.service)
    country = None if item.country is None else contents.countries_by_name.get(item.country.upper())
    server = None if item.provider is None else contents.servers_by_name.get(item.provider)
    if item.service is not None and service is None:
        problems["service"] = "is not the code of a service we know"
    if item.country is not None and country is None:
        problems["country"] = "is not the number or the two letters of a country we know"
    if item.provider is not None and server is None:
        problems["provider"] = "is not the name or number of a provider"
    if item.account_id is not None and item.account_id not in known:
        problems["accountId"] = "is not the id of an account"
    margin = 0 if item.is_gone else basis_points(item.margin_percent, problems)
    if not 1 <= item.floor_paise <= AMOUNT_MAX:
        problems["floor"] = "must be more than zero and not above ten crore rupees"
    return PriceRule(
        item.account_id, service.code if service else None, country.code if country else None,
        server.id if server else None, margin, item.floor_paise,
    )  # fmt: skip


def told(change: RuleChange) -> str:
    """Say a change in words for the audit log."""
    rule = change.after or change.before
    assert rule is not None, "a change is of something"
    named = (rule.account_id, rule.service, rule.country, rule.provider_id)
    scope = "/".join("*" if name is None else str(name) for name in named)
    return f"{scope}: {_words(change.before)} -> {_words(change.after)}"


def _words(rule: PriceRule | None) -> str:
    if rule is None:
        return "none"
    return f"{Decimal(rule.margin_basis_points) / 100:.2f}% from {format_rupees(rule.floor_paise)}"


async def write_rules(tx: Tx, changes: Sequence[RuleChange]) -> None:
    """Store what `read_wanted` found, all of it or nothing.

    Raises:
        InvalidFields: somebody changed one of these rules meanwhile.
    """
    await sql.lock_price_rules(tx)
    stored = {scope_of(rule): rule for rule in await sql.list_price_rules(tx)}
    for change in changes:
        rule = change.after or change.before
        assert rule is not None, "a change is of something"
        if stored.get(scope_of(rule)) != change.before:
            raise InvalidFields({"rules": "were changed by somebody else meanwhile; look at them again"})
        if change.after is None:
            await sql.delete_price_rule(tx, rule)
        else:
            await sql.upsert_price_rule(tx, change.after)
    if changes:
        await sql.set_version(tx)


async def preview(shelf: Shelf, changes: Sequence[RuleChange]) -> PricePreview:
    """Work out what changes would do to all that is offered, also to what is sold out; it is done in a thread."""
    return await asyncio.to_thread(_preview, shelf.contents, list(changes))


def _preview(contents: Contents, changes: list[RuleChange]) -> PricePreview:
    rules = dict(contents.book.rules)
    for change in changes:
        if change.after is not None:
            rules[scope_of(change.after)] = change.after
        elif change.before is not None:
            rules.pop(scope_of(change.before), None)
    new = PriceBook.of(list(rules.values()))
    named = {rule.account_id for change in changes for rule in (change.before, change.after) if rule is not None}
    payers: list[int | None] = [None, *sorted(account for account in named if account is not None)[:PAYERS_MAX]]
    counts = dict.fromkeys(("changed", "dearer", "cheaper", "below_cost", "thin", "floored", "jumps"), 0)
    examples: list[PriceExample] = []
    for payer in payers:
        for offer in _offers(contents):
            before = _price(contents.book, offer, payer)[0]
            after, rule = _price(new, offer, payer)
            if before == after:
                continue
            example = PriceExample(offer, payer, before, after)
            for name in _kinds(example, rule):
                counts[name] += 1
            examples.append(example)
    examples.sort(key=lambda item: -abs(item.after_paise - item.before_paise) * BASIS_POINTS // item.before_paise)
    return PricePreview(changes, sum(1 for _ in _offers(contents)), examples=examples[:EXAMPLES_MAX], **counts)


def _offers(contents: Contents) -> Iterator[Offer]:
    return (offer for offers in contents.offers.values() for offer in offers)


def _price(book: PriceBook, offer: Offer, payer: int | None) -> tuple[Paise, PriceRule]:
    rule = book.rule_for(account_id=payer, service=offer.service, country=offer.country, provider_id=offer.provider_id)
    return price(offer.cost_paise, rule), rule


def _kinds(item: PriceExample, rule: PriceRule) -> Iterator[str]:
    cost, before, after = item.offer.cost_paise, item.before_paise, item.after_paise
    yield "changed"
    yield "dearer" if after > before else "cheaper"
    if after < cost:
        yield "below_cost"
    elif (after - cost) * BASIS_POINTS < cost * THIN_BASIS_POINTS:
        yield "thin"
    if after == rule.floor_paise and rule.floor_paise > 1:
        yield "floored"
    if abs(after - before) * BASIS_POINTS > before * JUMP_BASIS_POINTS:
        yield "jumps"
