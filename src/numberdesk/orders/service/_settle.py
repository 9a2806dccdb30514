"""Settling: what a provider's answer does to an order and its money, in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import assert_never

import structlog

from numberdesk.base import clock
from numberdesk.base.db import Tx
from numberdesk.base.errors import AppError
from numberdesk.maintenance import service as maintenance
from numberdesk.maintenance.model import Intent
from numberdesk.maintenance.service import Switches
from numberdesk.orders import sql
from numberdesk.orders.model import Card, Exchange, Order, OrderRules, Settlement
from numberdesk.orders.service._board import read_cards, refund_of
from numberdesk.orders.service._reserve import purpose, uncount
from numberdesk.providers.model import Refused, Rented, Unknown
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import HoldWanted

log = structlog.get_logger()


@dataclass
class _Sorted:
    sold: list[Settlement] = field(default_factory=list)
    late: list[Settlement] = field(default_factory=list)
    refused: list[Settlement] = field(default_factory=list)
    unknown: list[Settlement] = field(default_factory=list)


async def settle(
    tx: Tx, items: Sequence[Settlement], *, rules: OrderRules, switches: Switches
) -> list[Card | AppError]:
    """Apply answers to orders: sold, refused (next offer, or money back), or unknown (nothing moves).

    Where the next offer was closed meanwhile the order ends.
    An answer of an attempt that is over changes nothing; a number sold on one is cancelled at the provider.
    """
    orders: dict[int, Order] = {
        order.id: order for order in await sql.lock_orders(tx, sorted({item.order_id for item in items}))
    }
    sorted_ = _sort(items, orders)
    cards: dict[int, Card] = {card.order.id: card for card in await read_cards(tx, list(orders.values()))}
    if sorted_.refused:
        await uncount(tx, [orders[item.order_id] for item in sorted_.refused if item.next_offer is None])
        await wallet.lock(tx, {orders[item.order_id].account_id for item in sorted_.refused})
    doubtful = [item.order_id for item in sorted_.unknown] + await _activate(tx, sorted_.sold, cards, rules)
    await _go_on_or_fail(tx, sorted_.refused, cards, switches)
    if doubtful:
        for order in await sql.set_unknown(tx, doubtful):
            cards[order.id] = Card(order)
    await _disown(tx, sorted_.late)
    await sql.insert_exchanges(tx, [_exchange(item) for item in items])
    await sql.insert_events(tx, _events(orders, cards))
    return [cards[item.order_id] for item in items]


def _sort(items: Sequence[Settlement], orders: dict[int, Order]) -> _Sorted:
    found = _Sorted()
    for item in items:
        order = orders[item.order_id]
        is_open = order.attempt == item.attempt and order.state in ("requested", "unknown")
        match item.answer:
            case Rented(upstream_id=upstream_id):
                if is_open:
                    found.sold.append(item)
                elif order.upstream_id != upstream_id:
                    found.late.append(item)
            case Refused():
                if is_open:
                    found.refused.append(item)
            case Unknown():
                if is_open:
                    found.unknown.append(item)
            case _:
                assert_never(item.answer)
    return found


async def _activate(tx: Tx, items: Sequence[Settlement], cards: dict[int, Card], rules: OrderRules) -> list[int]:
    """Link what was sold; returns the orders whose number or activation belongs to somebody else already."""
    if not items:
        return []
    taken = await sql.list_live_numbers(tx, [_rented(item).number for item in items])
    sales: list[sql.Sale] = []
    doubtful: list[int] = []
    for item in items:
        rented, order = _rented(item), cards[item.order_id].order
        if (rented.number, order.service) in taken:
            doubtful.append(order.id)
            continue
        taken.add((rented.number, order.service))
        sales.append(
            sql.Sale(
                order.id, order.provider_id, rented.upstream_id, rented.number, rented.can_get_next,
                item.cancel_after_ms, item.lifetime_ms, rented.cost_paise, rented.ends_at,
            )
        )  # fmt: skip
    linked = await sql.insert_activations(tx, sales)
    for order in await sql.set_active(tx, [sale for sale in sales if sale.order_id in linked], rules):
        cards[order.id] = Card(order)
    doubtful.extend(sale.order_id for sale in sales if sale.order_id not in linked)
    for order_id in doubtful:
        # Showing the number would show another buyer's codes.
        log.error("number_sold_twice", order_id=order_id, provider_id=cards[order_id].order.provider_id)
    return doubtful


async def _go_on_or_fail(tx: Tx, items: Sequence[Settlement], cards: dict[int, Card], switches: Switches) -> None:
    """Void the attempt's hold; hold the next offer's price, or end the order."""
    if not items:
        return
    voided = await wallet.void(tx, [item.order_id for item in items])
    going_on = await _open(tx, [item for item in items if item.next_offer is not None], cards, switches)
    goes_on = {item.order_id for item in going_on}
    ending = [item for item in items if item.order_id not in goes_on]
    wanted = []
    for item in going_on:
        assert item.next_offer is not None
        order = cards[item.order_id].order
        wanted.append(HoldWanted(order.account_id, order.id, purpose(order.attempt + 1), item.next_offer.price_paise))
    refusals = await wallet.hold(tx, wanted) if wanted else []
    retries = []
    for item, refusal in zip(going_on, refusals, strict=True):
        offer = item.next_offer
        if refusal is None and offer is not None:
            retries.append(
                sql.Retry(item.order_id, offer.provider_id, offer.operator, offer.price_paise, offer.cost_paise)
            )
        else:
            ending.append(item)
    if retries:
        for order in await sql.set_next_attempt(tx, retries):
            cards[order.id] = Card(order)
    if ending:
        ended = await sql.set_ended(
            tx,
            [item.order_id for item in ending],
            ["failed"] * len(ending),
            [item.failure for item in ending],
            ["none"] * len(ending),
        )
        for order in ended:
            cards[order.id] = Card(order, (), refund_of(order, {purpose(order.attempt): voided[order.id]}))


async def _open(tx: Tx, items: Sequence[Settlement], cards: dict[int, Card], switches: Switches) -> list[Settlement]:
    """Return those whose next offer is not closed: it is a new intent, though its buyer asks only once."""
    intents = [
        Intent("buy", cards[item.order_id].order.account_id, offer.provider_id, offer.service, offer.country)
        for item in items
        if (offer := item.next_offer) is not None
    ]
    answers = await maintenance.find_closed(tx, switches, intents) if intents else []
    return [item for item, answer in zip(items, answers, strict=True) if answer is None]


async def _disown(tx: Tx, items: Sequence[Settlement]) -> None:
    """Have numbers cancelled that were sold to orders which had ended meanwhile."""
    for item in items:
        log.warning("sold_too_late", order_id=item.order_id, provider_id=item.provider_id)
        await sql.set_orphans_cancelling(tx, item.provider_id, [_rented(item).upstream_id])


def _events(before: dict[int, Order], cards: dict[int, Card]) -> list[sql.NewEvent]:
    """Return what is news to buyers: that a number is there, or that there is none."""
    return [
        sql.NewEvent(order.account_id, order.id, "active" if order.state == "active" else "failed")
        for order in (card.order for card in cards.values())
        if order.state in ("active", "failed") and before[order.id].state != order.state
    ]


def _rented(item: Settlement) -> Rented:
    assert isinstance(item.answer, Rented)
    return item.answer


def _exchange(item: Settlement) -> Exchange:
    match item.answer:
        case Rented():
            outcome, detail = "rented", ""
        case Refused(reason=reason, detail=detail):
            outcome = reason
        case Unknown(detail=detail):
            outcome = "unknown"
        case _:
            assert_never(item.answer)
    return Exchange(item.order_id, item.provider_id, item.attempt, "rent", outcome, detail, clock.now(), item.took_ms)
