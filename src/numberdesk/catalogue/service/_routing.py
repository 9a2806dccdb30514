"""Ranking offers: by price, or by what a code that comes is expected to cost. Pure, but for what purchases met.

`best` divides the price by the success rate, since what brings no code is given back and costs its buyer time only.
A rate that rests on few numbers is drawn towards what others deliver for the same service and country, so that a new
provider gets its chance and three lucky codes win nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from numberdesk.base.db import Database
from numberdesk.base.money import format_rupees
from numberdesk.catalogue import sql
from numberdesk.catalogue.model import Delivery, DeliveryKey, OfferId, PricedOffer, Route, Server
from numberdesk.catalogue.service._shelf import Shelf
from numberdesk.catalogue.sql import Observation
from numberdesk.providers import service as providers
from numberdesk.providers.model import ProviderId

WHOLE: Final = 1_000_000
"""Rates and scores are counted in millionths."""
PRIOR_NUMBERS: Final = 10
"""How many numbers of others' rate are mixed into an offer's own."""
PRIOR_RATE: Final = 700_000
"""What is expected of a service and country that nobody has a number of yet."""
MISSES_MAX: Final = 3
PHANTOM_SECONDS: Final = 600
PHANTOM_SECONDS_MAX: Final = 6 * 3600
PHANTOMS_MIN: Final = 5
PHANTOM_SHARE_PERCENT: Final = 20
EXPLAINED_MAX: Final = 5


def rank(
    offers: Sequence[PricedOffer],
    *,
    route: Route,
    servers: Mapping[ProviderId, Server],
    deliveries: Mapping[DeliveryKey, Delivery],
) -> tuple[PricedOffer, ...]:
    """Return the offers of one service and country in the order in which they are tried.

    The staff's weight of a provider counts for `best`, and between equal prices.
    """
    if route == "cheapest":
        return tuple(sorted(offers, key=lambda item: (item.price_paise, -servers[item.provider_id].weight_percent)))
    prior = prior_of(offers, deliveries)
    return tuple(
        sorted(
            offers,
            key=lambda item: score(
                item.price_paise,
                rate=rate_of(deliveries.get(_key(item)), prior=prior),
                weight_percent=servers[item.provider_id].weight_percent,
            ),
        )
    )


def prior_of(offers: Sequence[PricedOffer], deliveries: Mapping[DeliveryKey, Delivery]) -> int:
    """Return what is expected of an offer without a history, in millionths: the rate of all these offers together."""
    known = [found for item in offers if (found := deliveries.get(_key(item))) is not None]
    numbers = sum(item.n for item in known)
    delivered = sum(item.delivered for item in known)
    return (delivered * WHOLE + PRIOR_NUMBERS * PRIOR_RATE) // (numbers + PRIOR_NUMBERS)


def rate_of(delivery: Delivery | None, *, prior: int) -> int:
    """Return the expected success rate in millionths, never 0."""
    n, delivered = (0, 0) if delivery is None else (delivery.n, delivery.delivered)
    return max(1, (delivered * WHOLE + PRIOR_NUMBERS * prior) // (n + PRIOR_NUMBERS))


def score(price_paise: int, *, rate: int, weight_percent: int) -> int:
    """Return the expected price of a delivered code in millionths of a paisa, less with more weight."""
    return price_paise * WHOLE * WHOLE * 100 // (rate * weight_percent)


def explain(
    shelf: Shelf, ranked: Sequence[PricedOffer], *, route: Route | None, passed_over: Mapping[ProviderId, str]
) -> str:
    """Write down a choice as JSON: how it was made, the first offers with what they rest on, and who was passed over.

    Args:
        route: None for a server that the buyer insisted on.
        passed_over: why, by provider.
    """
    told: dict[str, Any] = {
        "route": route or "pinned",
        "offers": [
            {
                "server": item.server, "operator": item.operator, "price": format_rupees(item.price_paise),
                "n": 0 if (found := shelf.deliveries.get(_key(item))) is None else found.n,
                "delivered": 0 if found is None else found.delivered,
            }
            for item in ranked[:EXPLAINED_MAX]
        ],
    }  # fmt: skip
    if passed_over:
        told["passedOver"] = [{"server": server, "why": why} for server, why in sorted(passed_over.items())]
    return msgspec.json.encode(told).decode()


def observe(shelf: Shelf, offer_id: OfferId, *, has_sold: bool) -> None:
    """Remember what a purchase met at an offer that lists stock; `flush_observations` writes it.

    What a sandbox meets is left out: its offers are no rows.
    """
    if offer_id < 0:
        return
    before = shelf.observed.get(offer_id)
    if has_sold:
        shelf.observed[offer_id] = Observation(offer_id, True, 0)
    else:
        has_sold_before = before is not None and before.has_sold
        shelf.observed[offer_id] = Observation(offer_id, has_sold_before, (before.misses if before else 0) + 1)


async def flush_observations(db: Database, shelf: Shelf) -> None:
    """Write what purchases met since the last time, and learn which stock is not believed now."""
    seen, shelf.observed = shelf.observed, {}
    async with db.transaction() as tx:
        if seen:
            await sql.observe_offers(
                tx,
                [seen[offer_id] for offer_id in sorted(seen)],
                misses_max=MISSES_MAX,
                first_seconds=PHANTOM_SECONDS,
                longest_seconds=PHANTOM_SECONDS_MAX,
            )
        shelf.phantoms = await sql.list_phantoms(tx)


async def watch_phantoms(db: Database) -> int:
    """Tell staff of providers much of whose stock is not there; returns how many these are."""
    told = 0
    async with db.transaction() as tx:
        for share in await sql.list_phantom_shares(tx):
            if share.phantoms >= PHANTOMS_MIN and share.phantoms * 100 > share.tried * PHANTOM_SHARE_PERCENT:
                detail = f"{share.phantoms} of {share.tried} offers that were tried today list stock that is not there."
                await providers.open_alert(tx, provider_id=share.provider_id, kind="phantom_stock", detail=detail)
                told += 1
            else:
                await providers.close_alert(tx, provider_id=share.provider_id, kind="phantom_stock")
    return told


def _key(offer: PricedOffer) -> DeliveryKey:
    return offer.service, offer.country, offer.provider_id, offer.operator
