"""More hours for a rental: its money is held, the provider is asked once, and its answer settles both.

An unclear answer is neither paid nor given back. What came of it is read off the provider's list: a rental that ends
later than it did, or goes on under a new id, was prolonged; one that ends when it did, or is gone after its time, was
not. Until then the rental neither ends nor can anything else be bought for it.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal, assert_never

import structlog

from numberdesk.accounts.service import KeyInFlight
from numberdesk.base import ids
from numberdesk.base.crash_points import crash_point
from numberdesk.base.db import Tx
from numberdesk.base.errors import AppError, InvalidFields, Unavailable
from numberdesk.base.money import Paise
from numberdesk.catalogue import service as catalogue
from numberdesk.catalogue.model import CountryCode, ServiceCode
from numberdesk.maintenance import service as maintenance
from numberdesk.maintenance.model import Intent
from numberdesk.orders import sql
from numberdesk.orders.model import HELD_FOR, Card, HandoverNote, Order, OrderId, Prolongation, Wish
from numberdesk.orders.service._board import read_cards
from numberdesk.orders.service._close import BeingProlonged, NotPossibleNow, keep, told_status
from numberdesk.orders.service._desk import Desk
from numberdesk.orders.service._route import list_offers
from numberdesk.orders.service._verbs import ProviderSilent, get
from numberdesk.providers import service as providers
from numberdesk.providers.model import Ended, ProlongAnswer, Prolonged, Refused, Unknown
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import PROLONGING, AccountId, HoldWanted

log = structlog.get_logger()

HOURS_MAX: Final = 8760
SETTLE_PAUSES: Final = (0.1, 0.5, 1.0)
"""Seconds between tries to write an answer down; all of them end before anybody takes the process for dead."""
NOT_TOLD: Final = frozenset({"BAD_ACTION", "NO_ACTION"})
"""Words by which a provider says that it does not tell the price."""
Why = Literal["hours", "over", "provider", "number"]
_SENTENCES: Final[dict[str, str]] = {
    "hours": "This rental cannot be prolonged by so many hours. Nothing was charged.",
    "over": "This rental is over at its provider and cannot be prolonged. Nothing was charged.",
    "provider": "The provider does not prolong this rental at the moment. Nothing was charged.",
    "number": "The provider would go on with another number, so the rental was not prolonged. Nothing was charged.",
}


@dataclass(eq=False)
class CannotProlong(AppError):
    """More hours are not to be had for this rental; nothing was charged.

    `reason` is a `Why`, and `hours_max` how many at most the provider sells, where it says so.
    """

    reason: str
    hours_max: int | None = None

    status = 409
    code = "cannot_prolong"
    category = "provider"

    def sentence(self) -> str:
        return _SENTENCES.get(self.reason, _SENTENCES["provider"])


@dataclass(frozen=True, slots=True)
class _Quote:
    cost_paise: Paise
    price_paise: Paise


async def prolong_price(desk: Desk, *, account_id: AccountId, order_id: OrderId, hours: int) -> Paise:
    """Return what so many hours more of a rental cost now. Its provider is asked; nothing is bought.

    Raises:
        NotFound: no such order, or somebody else's.
        NotPossibleNow: the order is no rental that goes on.
        CannotProlong: the provider does not sell it.
        ProviderSilent: no clear answer, and nobody names a price.
        InvalidFields: that is no time.
    """
    card = await get(desk, account_id=account_id, order_id=order_id)
    _refuse_unfit(card.order, hours)
    return (await _quote(desk, card.order, hours)).price_paise


async def prolong(
    desk: Desk,
    *,
    account_id: AccountId,
    order_id: OrderId,
    hours: int,
    request_key: str | None = None,
    max_price_paise: Paise | None = None,
    note: HandoverNote | None = None,
) -> Card:
    """Buy more hours for a rental at the price that `prolong_price` tells. Once it is prolonged it cannot be cancelled.

    While the outcome is unclear the money stays held, and the order comes back with `is_prolonging`.

    Args:
        request_key: the caller's Idempotency-Key; a repeat with it gives what the first request gave.
        max_price_paise: above it nothing is bought.
        note: is written with the intent.

    Raises:
        InsufficientBalance: nothing was bought.
        PriceTooLow: it costs more than `max_price_paise`.
        BeingProlonged: more hours are being bought already.
        KeyInFlight: another request with this key is still at it.
        and those of `prolong_price`.
    """
    order = (await get(desk, account_id=account_id, order_id=order_id)).order
    if request_key is not None:
        async with desk.db.statement() as tx:
            known = await sql.find_prolongation(tx, order_id, request_key)
        if known is not None:
            return await _answered(desk, known)
    _refuse_unfit(order, hours)
    quote = await _quote(desk, order, hours)
    if max_price_paise is not None and quote.price_paise > max_price_paise:
        raise catalogue.PriceTooLow(max_price_paise=max_price_paise, minimum_paise=quote.price_paise)
    key = request_key or ids.request_id()
    return await desk.db.to_the_end(_prolong(desk, order, hours, key, quote, note))


async def _prolong(desk: Desk, order: Order, hours: int, key: str, quote: _Quote, note: HandoverNote | None) -> Card:
    bought, card, is_new = await _begin(desk, order, hours, key, quote, note)
    if not is_new:
        return await _answered(desk, bought)
    desk.show([card])
    crash_point("prolongation_held")
    answer = await providers.prolong(
        desk.lines, bought.provider_id, bought.upstream_id, hours,
        cost_paise=bought.cost_paise, reference=_purpose(bought),
    )  # fmt: skip
    card, why = await _settled(desk, bought, answer)
    if why is not None:
        raise CannotProlong(reason=why)
    return card


async def _settled(desk: Desk, bought: Prolongation, answer: ProlongAnswer) -> tuple[Card, str | None]:
    """Settle an answer that nobody else has: where no list tells of ends, its loss is a doubt to the rental's end."""
    for pause in SETTLE_PAUSES:
        try:
            return await settle_prolongation(desk, bought, answer)
        except Unavailable:
            log.warning("prolongation_not_settled", order_id=bought.order_id)
            await asyncio.sleep(pause)
    return await settle_prolongation(desk, bought, answer)


async def _begin(
    desk: Desk, order: Order, hours: int, key: str, quote: _Quote, note: HandoverNote | None
) -> tuple[Prolongation, Card, bool]:
    """Write down what is about to be bought, and hold its money; False for what another request began."""
    async with desk.db.transaction() as tx:
        locked = (await sql.lock_orders(tx, [order.id]))[0]
        known = await sql.find_prolongation(tx, order.id, key)
        if known is not None:
            return known, Card(locked), False
        _refuse_unfit(locked, hours)
        if locked.is_prolonging:
            raise BeingProlonged
        assert locked.expires_at is not None
        if await sql.is_past(tx, locked.expires_at, timedelta(0)):
            raise CannotProlong(reason="over")
        intent = Intent("extend", order.account_id, order.provider_id, order.service, order.country)
        await maintenance.refuse_in(tx, desk.switches, intent)
        bought = await sql.insert_prolongation(
            tx, locked, request_key=key, hours=hours, price_paise=quote.price_paise, cost_paise=quote.cost_paise
        )
        wanted = HoldWanted(order.account_id, order.id, _purpose(bought), quote.price_paise)
        refusal = (await wallet.hold(tx, [wanted]))[0]
        if refusal is not None:
            raise refusal
        if note is not None:
            await sql.insert_held(tx, [(order.account_id, key, note)], held_for=HELD_FOR)
        changed = await sql.set_prolonging(tx, order.id)
        return bought, (await read_cards(tx, [changed]))[0], True


async def settle_prolongation(desk: Desk, bought: Prolongation, answer: ProlongAnswer) -> tuple[Card, str | None]:
    """Do what an answer says, and return the order with why it was not prolonged, if it was not.

    What was settled before stays as it is.
    """
    async with desk.db.transaction() as tx:
        order = (await sql.lock_orders(tx, [bought.order_id]))[0]
        now = await sql.lock_prolongation(tx, bought.id)
        if now.state not in ("requested", "unknown"):
            level = log.error if now.state == "refused" and isinstance(answer, Prolonged) else log.info
            level("prolongation_settled_before", order_id=order.id, state=now.state)
            return (await read_cards(tx, [order]))[0], now.refusal or None
        match answer:
            case Prolonged():
                why = await _take_over(tx, order, bought, answer)
            case Refused(reason=reason):
                why = "hours" if reason == "not_allowed" else "provider"
            case Ended():
                why = "over"
            case Unknown():
                await sql.set_prolongation_unknown(tx, bought.id)
                return (await read_cards(tx, [order]))[0], None
            case _:
                assert_never(answer)
        if why is not None:
            await wallet.void(tx, [order.id], purpose=_purpose(bought))
            await sql.set_prolongation_settled(tx, bought.id, state="refused", refusal=why)
            order = await sql.set_not_prolonging(tx, order.id)
        elif isinstance(answer, Prolonged):
            order = await _take_effect(tx, order, bought, answer)
        card = (await read_cards(tx, [order]))[0]
    desk.show([card])
    return card, why


async def _take_over(tx: Tx, order: Order, bought: Prolongation, answer: Prolonged) -> Why | None:
    """Take over the id under which a rental goes on; or say why it is not the same rental, and have it cancelled."""
    is_new = answer.upstream_id != bought.upstream_id
    if answer.number == order.number and (not is_new or await sql.add_activation(tx, order, answer.upstream_id)):
        return None
    log.error("prolonged_with_another_number", order_id=order.id, provider_id=order.provider_id)
    if is_new:
        await sql.set_orphans_cancelling(tx, order.provider_id, [answer.upstream_id])
    return "number"


async def _take_effect(tx: Tx, order: Order, bought: Prolongation, answer: Prolonged) -> Order:
    if order.state == "active":
        await keep(tx, order.id)
    captured = await wallet.capture(tx, [order.id], purpose=_purpose(bought))
    assert captured.keys() == {order.id}, "a prolongation that is open has no live hold"
    await sql.set_prolongation_settled(tx, bought.id, state="done", refusal="")
    prolonged = await sql.set_prolonged(
        tx, order.id, upstream_id=answer.upstream_id, ends_at=answer.ends_at, hours=bought.hours
    )
    await sql.insert_events(tx, [sql.NewEvent(order.account_id, order.id, "extended", prolonged.extensions)])
    return prolonged


async def doubt_prolongation(desk: Desk, bought: Prolongation) -> None:
    """requested -> unknown for one whose process is gone."""
    desk.show([(await settle_prolongation(desk, bought, Unknown("its process is gone")))[0]])


async def list_prolongations(desk: Desk, card: Card) -> list[Prolongation]:
    """Return what was asked for after an order was rented, oldest first."""
    if card.order.hours is None:
        return []
    async with desk.db.statement() as tx:
        return await sql.list_prolongations(tx, card.order.id)


def _purpose(bought: Prolongation) -> str:
    return f"{PROLONGING}{bought.id}"


async def _answered(desk: Desk, bought: Prolongation) -> Card:
    """Return what the first request was told, or will be."""
    if bought.state == "requested":
        raise KeyInFlight
    if bought.state == "refused":
        raise CannotProlong(reason=bought.refusal)
    async with desk.db.statement() as tx:
        return (await read_cards(tx, await sql.list_orders_by_id(tx, [bought.order_id])))[0]


def _refuse_unfit(order: Order, hours: int) -> None:
    if order.hours is None:
        raise InvalidFields({"hours": "only rentals are prolonged by hours; this number takes minutes"})
    if not 1 <= hours <= HOURS_MAX:
        raise InvalidFields({"hours": f"must be a whole number from 1 to {HOURS_MAX}"})
    if order.state not in ("active", "received") or order.upstream_id is None:
        raise NotPossibleNow(order_status=told_status(order.state), wanted="prolonged")


async def _quote(desk: Desk, order: Order, hours: int) -> _Quote:
    """Return what so many hours more cost us and its buyer: as its provider says now, or else as it lists new ones."""
    assert order.upstream_id is not None
    cost = await providers.prolong_cost(desk.lines, order.provider_id, order.upstream_id, hours)
    match cost:
        case Ended():
            raise CannotProlong(reason="over")
        case Refused(reason="not_allowed", detail=detail) if detail not in NOT_TOLD:
            most = detail.partition(":")[2]
            raise CannotProlong(reason="hours", hours_max=int(most) if most.isdecimal() else None)
        case Refused() | Unknown():
            return _listed(desk, order, hours, cost)
        case paise:
            price = catalogue.price_of_cost(
                desk.shelf, account_id=order.account_id, service=ServiceCode(order.service),
                country=CountryCode(order.country), provider_id=order.provider_id, cost_paise=paise,
            )  # fmt: skip
            return _Quote(paise, price)


def _listed(desk: Desk, order: Order, hours: int, answer: Refused | Unknown) -> _Quote:
    wish = Wish(order.service, order.country, order.provider_id, hours=hours)
    try:
        offers = list_offers(desk, account_id=order.account_id, wish=wish)
    except AppError:
        if isinstance(answer, Unknown):
            raise ProviderSilent from None
        raise CannotProlong(reason="provider") from None
    offer = next((item for item in offers if item.operator == order.operator), offers[0])
    return _Quote(offer.cost_paise, offer.price_paise)
