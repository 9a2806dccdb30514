"""Buying: reserve, ask the provider, settle; after a sure refusal the next offer."""

import asyncio
import secrets
from dataclasses import dataclass

import structlog

from numberdesk.accounts.service import KeyInFlight
from numberdesk.base import clock, ids
from numberdesk.base.errors import AppError, Unavailable
from numberdesk.base.money import Paise
from numberdesk.catalogue import service as catalogue
from numberdesk.catalogue.model import PricedOffer
from numberdesk.orders.model import Card, Failure, Reservation, Settlement
from numberdesk.orders.service._board import read_cards
from numberdesk.orders.service._desk import Desk
from numberdesk.providers import service as providers
from numberdesk.providers.model import RefusalReason, Refused, Wanted
from numberdesk.wallet.model import AccountId

log = structlog.get_logger()

ATTEMPTS_MAX = 5
QUANTITY_MAX = 10
_SOLD_OUT: frozenset[RefusalReason] = frozenset({"no_numbers", "price_changed"})


@dataclass(eq=False)
class NoNumbers(AppError):
    """No provider has a number for this now; nothing was charged."""

    order_id: int

    status = 409
    code = "no_numbers"
    category = "provider"
    message = "No number is free for this at the moment. Nothing was charged."


@dataclass(eq=False)
class ProviderUnavailable(AppError):
    """No provider could be reached, or none takes orders from us now; nothing was charged."""

    order_id: int

    status = 503
    code = "provider_unavailable"
    category = "provider"
    message = "The provider cannot sell a number at the moment. Nothing was charged."
    retry_after = 10


@dataclass(frozen=True, slots=True)
class Wish:
    """What a customer wants to rent; see `catalogue.service.offers_for` for the fields."""

    service: str
    country: str | int
    server: str | int | None = None
    operator: str | None = None
    max_price_paise: Paise | None = None


async def buy(
    desk: Desk, *, account_id: AccountId, wish: Wish, quantity: int = 1, request_key: str | None = None
) -> list[Card]:
    """Rent numbers and hold their price.

    No transaction is open while a provider is asked. A crash in between leaves the order `requested`, and the
    reconciler finds out whether it was sold. An unknown answer is returned as an order in state `unknown`.

    Args:
        quantity: 1 to `QUANTITY_MAX`; those that cannot be had are left out when at least one can.
        request_key: the caller's Idempotency-Key; a repeat gives the first orders again.

    Raises:
        InsufficientBalance, NoNumbers, ProviderUnavailable: nothing was bought, nothing is held.
        KeyInFlight: another request with this key is still at it.
        and those of `catalogue.service.offers_for`.
    """
    offers = catalogue.offers_for(
        desk.shelf,
        account_id=account_id,
        service=wish.service,
        country=wish.country,
        server=wish.server,
        operator=wish.operator,
        max_price_paise=wish.max_price_paise,
    )[:ATTEMPTS_MAX]
    key = request_key or ids.request_id()
    if quantity == 1:
        return [await desk.db.to_the_end(_buy_one(desk, account_id, offers, key, 0))]
    results = await desk.db.to_the_end(_buy_several(desk, account_id, offers, key, quantity))
    cards = [result for result in results if isinstance(result, Card)]
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, AppError):
            log.error("purchase_failed", exc_info=result)
    if cards:
        return cards
    raise next(result for result in results if isinstance(result, BaseException))


async def _buy_several(
    desk: Desk, account_id: AccountId, offers: list[PricedOffer], key: str, quantity: int
) -> list[Card | BaseException]:
    purchases = [_buy_one(desk, account_id, offers, key, item) for item in range(quantity)]
    return await asyncio.gather(*purchases, return_exceptions=True)


async def _buy_one(desk: Desk, account_id: AccountId, offers: list[PricedOffer], key: str, item: int) -> Card:
    token = secrets.randbits(62)
    card = await desk.reserve.call(Reservation(account_id, key, item, token, offers[0]))
    if card.order.request_token != token:
        return await _repeated(desk, card)
    desk.board.put(card)
    try:
        card = await _ask_in_turn(desk, card, offers)
    except Unavailable:
        # The provider may have sold: the order goes on as pending, and a 503 would only make the caller buy again.
        log.warning("purchase_not_settled", order_id=card.order.id)
    desk.show([card])
    if card.order.state == "failed":
        raise _refusal(card)
    return card


async def _ask_in_turn(desk: Desk, card: Card, offers: list[PricedOffer]) -> Card:
    """Ask for each offer until one is sold or its outcome is unknown, settling each answer."""
    reasons: list[RefusalReason] = []
    for place, offer in enumerate(offers):
        started = clock.seconds()
        order = card.order
        wanted = Wanted(offer.service, offer.country, offer.operator, offer.cost_paise, f"{order.id}-{order.attempt}")
        answer = await providers.rent(desk.lines, offer.provider_id, wanted)
        took_ms = int((clock.seconds() - started) * 1000)
        if isinstance(answer, Refused):
            reasons.append(answer.reason)
        next_offer = offers[place + 1] if place + 1 < len(offers) else None
        card = await desk.settle.call(
            Settlement(
                order.id,
                order.attempt,
                offer.provider_id,
                offer.cancel_after_ms,
                offer.lifetime_ms,
                answer,
                next_offer,
                _failure(reasons),
                took_ms,
            )
        )
        if card.order.state != "requested":
            break
    return card


def _failure(reasons: list[RefusalReason]) -> Failure:
    return "no_numbers" if any(reason in _SOLD_OUT for reason in reasons) else "provider_refused"


def _refusal(card: Card) -> AppError:
    if card.order.failure == "no_numbers":
        return NoNumbers(order_id=card.order.id)
    return ProviderUnavailable(order_id=card.order.id)


async def _repeated(desk: Desk, card: Card) -> Card:
    if card.order.state == "requested":
        raise KeyInFlight
    if card.order.state == "failed":
        raise _refusal(card)
    async with desk.db.statement() as tx:
        return (await read_cards(tx, [card.order]))[0]
