"""Where a purchase goes: the catalogue's ranking, less the providers that cannot or may not sell just now."""

import msgspec

from numberdesk.base.money import Paise
from numberdesk.catalogue import service as catalogue
from numberdesk.catalogue.model import PricedOffer
from numberdesk.maintenance import service as maintenance
from numberdesk.maintenance.model import Intent
from numberdesk.orders.model import Wish
from numberdesk.orders.service._desk import Desk
from numberdesk.providers import service as providers
from numberdesk.providers.model import ProviderId
from numberdesk.wallet.model import AccountId

FULL = "full"
MAINTENANCE = "maintenance"
WHY_NOT = {
    FULL: "full",
    MAINTENANCE: "under maintenance",
    "breaker_open": "not answering",
    "stalled": "not answering",
    "spend_limit": "paused",
}
"""What a customer reads about a server that was passed over."""


def choose(desk: Desk, *, account_id: AccountId, wish: Wish) -> tuple[list[PricedOffer], str]:
    """Return the offers to try, best first, and the choice as JSON for the order.

    A provider whose breaker is open, which seems to hang, or whose money for the day is spent is passed over while
    another one is left; one that holds as many open orders as it may, or is under maintenance, is not asked in any
    case.

    Raises:
        Closed: what is wanted is under maintenance.
        those of `list_offers`; NoStock also when all that fits is full.
    """
    route = wish.route or desk.rules.route
    offers = list_offers(desk, account_id=account_id, wish=wish)
    passed_over: dict[ProviderId, str] = {}
    for offer in offers:
        if offer.provider_id in passed_over:
            continue
        if desk.switches.closing(intent_of(account_id, offer)) is not None:
            obstacle: str | None = MAINTENANCE
        else:
            obstacle = _obstacle(desk, offer.provider_id, offer.cost_paise)
        if obstacle is not None:
            passed_over[offer.provider_id] = obstacle
    fitting = offers
    if passed_over:
        fitting = [offer for offer in offers if offer.provider_id not in passed_over]
        if not fitting:
            fitting = [offer for offer in offers if passed_over[offer.provider_id] not in (FULL, MAINTENANCE)]
        if not fitting:
            for offer in offers:
                maintenance.refuse(desk.switches, intent_of(account_id, offer))
            raise catalogue.NoStock(service=offers[0].service, country=offers[0].country)
    pinned_or = None if wish.server is not None else route
    return fitting, catalogue.explain(desk.shelf, fitting, route=pinned_or, passed_over=passed_over)


def list_offers(desk: Desk, *, account_id: AccountId, wish: Wish) -> list[PricedOffer]:
    """Return what fits a wish, in the order in which the catalogue would try it.

    Raises:
        those of `catalogue.service.offers_for`, or of `rentals_for`.
    """
    route = wish.route or desk.rules.route
    if wish.hours is not None:
        return catalogue.rentals_for(
            desk.shelf, account_id=account_id, service=wish.service, country=wish.country, hours=wish.hours,
            server=wish.server, operator=wish.operator, max_price_paise=wish.max_price_paise, route=route,
        )  # fmt: skip
    return catalogue.offers_for(
        desk.shelf, account_id=account_id, service=wish.service, country=wish.country,
        server=wish.server, operator=wish.operator, max_price_paise=wish.max_price_paise, route=route,
    )  # fmt: skip


def intent_of(account_id: AccountId, offer: PricedOffer) -> Intent:
    """Return what buying at an offer means to maintenance."""
    return Intent("buy", account_id, offer.provider_id, offer.service, offer.country)


def told_route(route: str) -> str:
    """Return for the buyer how the offers of an order were ranked, without what staff alone may know."""
    told = msgspec.json.decode(route, type=_Told)
    servers = list(dict.fromkeys(str(offer.server) for offer in told.offers))
    sentence = f"{told.route}: server {', then '.join(servers)}"
    if told.passed_over:
        sentence += "; not " + ", ".join(f"{item.server} ({WHY_NOT.get(item.why, 'off')})" for item in told.passed_over)
    return sentence


class _Ranked(msgspec.Struct):
    server: int


class _PassedOver(msgspec.Struct):
    server: int
    why: str


class _Told(msgspec.Struct, rename="camel"):
    route: str
    offers: list[_Ranked]
    passed_over: list[_PassedOver] = []


def is_full(desk: Desk, provider_id: ProviderId) -> bool:
    """Tell whether a provider holds as many open orders as staff allow."""
    line = desk.lines.by_id.get(provider_id)
    most = None if line is None else line.provider.open_max
    return most is not None and desk.board.open_at(provider_id) >= most


def _obstacle(desk: Desk, provider_id: ProviderId, cost_paise: Paise) -> str | None:
    line = desk.lines.by_id.get(provider_id)
    if line is None:
        return None
    provider = line.provider
    if is_full(desk, provider_id):
        return FULL
    if providers.health(desk.lines, provider_id).is_shut:
        return "breaker_open"
    if desk.lines.stalls.is_stalled(provider_id):
        return "stalled"
    if provider.spend_max_paise is not None:
        spent = providers.spent_today(desk.lines.spending, provider_id)
        if spent + cost_paise > provider.spend_max_paise:
            return "spend_limit"
    return None
