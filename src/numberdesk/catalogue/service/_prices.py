"""From cost to price: rules, which of them decides, and setting one."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from numberdesk.audit import service as audit
from numberdesk.audit.model import Event
from numberdesk.base.db import Database, Tx
from numberdesk.base.errors import InvalidFields
from numberdesk.base.money import AMOUNT_MAX, Paise
from numberdesk.catalogue import sql
from numberdesk.catalogue.model import CountryCode, PriceRule, ServiceCode
from numberdesk.providers.model import ProviderId

BASIS_POINTS: Final = 10_000
"""One hundred percent."""
DEFAULT_MARGIN_BASIS_POINTS: Final = 2_000
DEFAULT_FLOOR_PAISE: Final = Paise(1_00)
DEFAULT_RULE: Final = PriceRule(
    account_id=None,
    service=None,
    country=None,
    provider_id=None,
    margin_basis_points=DEFAULT_MARGIN_BASIS_POINTS,
    floor_paise=DEFAULT_FLOOR_PAISE,
)
"""Decides where no stored rule fits: 20 % on the cost, and never below one rupee."""
MARGIN_BASIS_POINTS_MIN: Final = -9_999
MARGIN_BASIS_POINTS_MAX: Final = 1_000_000

Scope = tuple[int | None, ServiceCode | None, CountryCode | None, ProviderId | None]
"""What a rule is for: account, service, country, provider; None is all of them."""
Shape = tuple[bool, bool, bool, bool]
"""Which parts of a scope are named."""


def price(cost_paise: Paise, rule: PriceRule) -> Paise:
    """Return the cost with the margin, rounded up to a whole paisa, and at least the floor."""
    with_margin = -(-cost_paise * (BASIS_POINTS + rule.margin_basis_points) // BASIS_POINTS)
    return Paise(max(with_margin, rule.floor_paise))


@dataclass(frozen=True, slots=True)
class PriceBook:
    """The stored rules, ready to be asked.

    Of the rules that fit, the most specific decides: one for the account before one for the service, that before
    one for the country, that before one for the provider, each weighing more than all that follow it together. Two
    rules that fit can never weigh the same: they would name the same things, and a table holds one rule for these.
    """

    rules: dict[Scope, PriceRule]
    shapes: tuple[Shape, ...]
    accounts: frozenset[int]

    @classmethod
    def of(cls, rules: Sequence[PriceRule]) -> "PriceBook":
        """Put the rules in order."""
        by_scope: dict[Scope, PriceRule] = {
            (rule.account_id, rule.service, rule.country, rule.provider_id): rule for rule in rules
        }
        # Booleans sort like the weights 8, 4, 2, 1.
        shapes: set[Shape] = {
            (account is not None, service is not None, country is not None, provider is not None)
            for account, service, country, provider in by_scope
        }
        accounts = frozenset(rule.account_id for rule in rules if rule.account_id is not None)
        return cls(rules=by_scope, shapes=tuple(sorted(shapes, reverse=True)), accounts=accounts)

    def rule_for(
        self, *, account_id: int | None, service: ServiceCode, country: CountryCode, provider_id: ProviderId
    ) -> PriceRule:
        """Return the rule that decides; without an account only rules for all accounts fit."""
        for by_account, by_service, by_country, by_provider in self.shapes:
            if by_account and account_id is None:
                continue
            found = self.rules.get(
                (
                    account_id if by_account else None,
                    service if by_service else None,
                    country if by_country else None,
                    provider_id if by_provider else None,
                )
            )
            if found is not None:
                return found
        return DEFAULT_RULE


async def set_price_rule(
    db: Database,
    *,
    service: str | None = None,
    country: str | int | None = None,
    provider: str | int | None = None,
    account_id: int | None = None,
    margin_percent: Decimal | int,
    floor_paise: Paise = DEFAULT_FLOOR_PAISE,
) -> PriceRule:
    """Store the one rule for this combination, in place of an older one, from the shell; what is None fits all.

    Args:
        country: its number, or two letters in any case.
        provider: its name or number.
        margin_percent: from -99.99 to 10000, at most two decimals; 20 sells at 1.2 times the cost.

    Raises:
        InvalidFields: names every argument that is unknown or out of range.
    """
    problems: dict[str, str] = {}
    margin_basis_points = basis_points(margin_percent, problems)
    if not 1 <= floor_paise <= AMOUNT_MAX:
        problems["floor"] = "must be more than zero and not above ten crore rupees"
    async with db.transaction() as tx:
        scope = await _find_scope(
            tx, service=service, country=country, provider=provider, account_id=account_id, problems=problems
        )
        if problems:
            raise InvalidFields(problems)
        rule = PriceRule(*scope, margin_basis_points=margin_basis_points, floor_paise=floor_paise)
        await sql.upsert_price_rule(tx, rule)
        details = {
            "account": rule.account_id, "service": rule.service, "country": rule.country,
            "provider": rule.provider_id, "margin_basis_points": margin_basis_points, "floor": int(floor_paise),
        }  # fmt: skip
        await audit.record(tx, Event("price_rule", None, "shell", details=details))
        await sql.set_version(tx)
    return rule


def basis_points(margin_percent: Decimal | int, problems: dict[str, str]) -> int:
    """Return a margin in hundredths of a percent; what is wrong with it goes into `problems`."""
    points = Decimal(margin_percent) * 100
    if not points.is_finite() or not MARGIN_BASIS_POINTS_MIN <= points <= MARGIN_BASIS_POINTS_MAX:
        problems["marginPercent"] = "must be from -99.99 to 10000"
        return 0
    if points != points.to_integral_value():
        problems["marginPercent"] = "must have at most two decimals"
        return 0
    return int(points)


async def _find_scope(
    tx: Tx,
    *,
    service: str | None,
    country: str | int | None,
    provider: str | int | None,
    account_id: int | None,
    problems: dict[str, str],
) -> Scope:
    known_service = None if service is None else await sql.find_service(tx, service)
    known_country = None if country is None else await sql.find_country(tx, str(country))
    known_server = None if provider is None else await sql.find_server(tx, str(provider))
    if service is not None and known_service is None:
        problems["service"] = "is not the code of a service we know"
    if country is not None and known_country is None:
        problems["country"] = "is not the number or the two letters of a country we know"
    if provider is not None and known_server is None:
        problems["provider"] = "is not the name or number of a provider"
    if account_id is not None and not await sql.has_account(tx, account_id):
        problems["accountId"] = "is not the id of an account"
    return (
        account_id,
        known_service.code if known_service else None,
        known_country.code if known_country else None,
        known_server.id if known_server else None,
    )
