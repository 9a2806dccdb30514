"""Buying: reserve, ask the provider, settle; after a sure refusal the next offer."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from numberdesk.accounts.service import KeyInFlight
from numberdesk.base import clock, ids
from numberdesk.base.errors import AppError, Unavailable
from numberdesk.base.log import about
from numberdesk.catalogue import service as catalogue
from numberdesk.catalogue.model import PricedOffer
from numberdesk.orders import sql
from numberdesk.orders.model import Card, Failure, HandoverNote, Order, Reservation, Settlement, Wish
from numberdesk.orders.service._board import read_cards
from numberdesk.orders.service._desk import Desk
from numberdesk.orders.service._route import choose, intent_of, is_full
from numberdesk.providers import service as providers
from numberdesk.providers.model import ProviderId, RefusalReason, Refused, Rented, Wanted
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


async def buy(
    desk: Desk, *, account_id: AccountId, wish: Wish, quantity: int = 1, request_key: str | None = None,
    ip: str | None = None, note: HandoverNote | None = None,
) -> list[Card]:  # fmt: skip
    """Rent numbers and hold their price.

    No transaction is open while a provider is asked. A crash in between leaves the order `requested`, and the
    reconciler finds out whether it was sold. An unknown answer is returned as an order in state `unknown`.

    Args:
        quantity: 1 to `QUANTITY_MAX`; those that cannot be had are left out when at least one can.
        request_key: the caller's Idempotency-Key; a repeat gives the first orders again.
        ip: where the caller is; what one network buys has a limit.
        note: is written with the order, for a wire that may break; of a single number only.

    Raises:
        InsufficientBalance, NoNumbers, ProviderUnavailable: nothing was bought, nothing is held.
        KeyInFlight: another request with this key is still at it.
        and those of `_route.choose`.
    """
    choices, shortage = _choose_several(desk, account_id, wish, quantity)
    if shortage is not None and request_key is not None:
        for choice in choices:
            choice.leave()
        # Its own orders may be what fills the providers: a repeat must not hear that there is no number.
        known = await _bought_before(desk, account_id, request_key)
        if known:
            return _cards(known)
        choices, shortage = _choose_several(desk, account_id, wish, quantity)
    if not choices:
        assert shortage is not None
        raise shortage
    key = request_key or ids.request_id()
    if quantity == 1:
        return [await desk.db.to_the_end(_buy_one(desk, account_id, choices[0], key, 0, ip, note))]
    return _cards(await desk.db.to_the_end(_buy_several(desk, account_id, choices, key, ip)))


@dataclass(frozen=True, slots=True)
class _Choice:
    """Where one number is bought. Its place at the first provider counts until `leave`, so that caps hold at once."""

    offers: Sequence[PricedOffer]
    told: str
    leave: Callable[[], None]


def _choose_several(
    desk: Desk, account_id: AccountId, wish: Wish, quantity: int
) -> tuple[list[_Choice], AppError | None]:
    """Choose for each number in turn, and say why there are fewer than wanted."""
    choices: list[_Choice] = []
    for _ in range(quantity):
        try:
            offers, told = choose(desk, account_id=account_id, wish=wish)
        except AppError as shortage:
            return choices, shortage
        choices.append(_Choice(offers[:ATTEMPTS_MAX], told, desk.board.expect(offers[0].provider_id)))
    return choices, None


async def _bought_before(desk: Desk, account_id: AccountId, request_key: str) -> list[Card | BaseException]:
    async with desk.db.statement() as tx:
        cards = await read_cards(tx, await sql.list_orders_of_request(tx, account_id, request_key))
    return [_as_answered(card) for card in cards]


def _cards(results: Sequence[Card | BaseException]) -> list[Card]:
    """Return what was bought; when nothing was, the first reason is raised."""
    cards = [result for result in results if isinstance(result, Card)]
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, AppError):
            log.error("purchase_failed", exc_info=result)
    if cards:
        return cards
    raise next(result for result in results if isinstance(result, BaseException))


async def _buy_several(
    desk: Desk, account_id: AccountId, choices: Sequence[_Choice], key: str, ip: str | None
) -> list[Card | BaseException]:
    purchases = [_buy_one(desk, account_id, choice, key, item, ip) for item, choice in enumerate(choices)]
    return await asyncio.gather(*purchases, return_exceptions=True)


async def _buy_one(
    desk: Desk, account_id: AccountId, choice: _Choice, key: str, item: int, ip: str | None,
    note: HandoverNote | None = None,
) -> Card:  # fmt: skip
    token = secrets.randbits(62)
    wanted = Reservation(account_id, key, item, token, choice.offers[0], choice.told, ip, note)
    try:
        card = await desk.reserve.call(wanted)
    except BaseException:
        choice.leave()
        raise
    choice.leave()
    if card.order.request_token != token:
        return await _repeated(desk, card)
    desk.board.put(card)
    try:
        with about(order_id=card.order.id):
            card = await _ask_in_turn(desk, card, choice.offers)
    except Unavailable:
        # The provider may have sold: the order goes on as pending, and a 503 would only make the caller buy again.
        log.warning("purchase_not_settled", order_id=card.order.id)
    desk.show([card])
    if card.order.state == "failed":
        raise _refusal(card)
    return card


async def _ask_in_turn(desk: Desk, card: Card, offers: Sequence[PricedOffer]) -> Card:
    """Ask for each offer until one is sold or its outcome is unknown, settling each answer."""
    reasons: list[RefusalReason] = []
    left = list(offers)
    next_offer: PricedOffer | None = left.pop(0)
    while next_offer is not None:
        offer = next_offer
        started = clock.seconds()
        order = card.order
        wanted = Wanted(
            offer.service, offer.country, offer.operator, offer.cost_paise, f"{order.id}-{order.attempt}", offer.hours
        )
        answer = await providers.rent(desk.lines, offer.provider_id, wanted)
        took_ms = int((clock.seconds() - started) * 1000)
        if isinstance(answer, Refused):
            reasons.append(answer.reason)
        if isinstance(answer, Rented) or (isinstance(answer, Refused) and answer.reason in _SOLD_OUT):
            catalogue.observe(desk.shelf, offer.offer_id, has_sold=isinstance(answer, Rented))
        next_offer = _next(desk, order, left, offer.provider_id) if isinstance(answer, Refused) else None
        settlement = Settlement(
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
        card = await _settled(desk, settlement, next_offer)
        if card.order.state != "requested":
            break
    return card


def _next(desk: Desk, order: Order, left: list[PricedOffer], provider_id: ProviderId) -> PricedOffer | None:
    """Take the next offer from the list; providers that were filled or closed meanwhile are left out, the former not
    by this order.
    """
    while left:
        offer = left.pop(0)
        if desk.switches.closing(intent_of(order.account_id, offer)) is not None:
            continue
        if offer.provider_id == provider_id or not is_full(desk, offer.provider_id):
            return offer
    return None


async def _settled(desk: Desk, settlement: Settlement, next_offer: PricedOffer | None) -> Card:
    """Settle; an order that goes on counts at its next provider from now on."""
    if next_offer is None:
        return await desk.settle.call(settlement)
    leave = desk.board.expect(next_offer.provider_id)
    try:
        card = await desk.settle.call(settlement)
    finally:
        leave()
    desk.board.put(card)
    return card


def _failure(reasons: list[RefusalReason]) -> Failure:
    return "no_numbers" if any(reason in _SOLD_OUT for reason in reasons) else "provider_refused"


def _refusal(card: Card) -> AppError:
    if card.order.failure == "no_numbers":
        return NoNumbers(order_id=card.order.id)
    return ProviderUnavailable(order_id=card.order.id)


async def _repeated(desk: Desk, card: Card) -> Card:
    async with desk.db.statement() as tx:
        answer = _as_answered((await read_cards(tx, [card.order]))[0])
    if isinstance(answer, AppError):
        raise answer
    return answer


def _as_answered(card: Card) -> Card | AppError:
    """Return what the first request was told of this order, or will be."""
    if card.order.state == "requested":
        return KeyInFlight()
    return _refusal(card) if card.order.state == "failed" else card
