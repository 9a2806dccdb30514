"""What customers read of their orders."""

from datetime import datetime

from msgspec import Struct

from numberdesk.base import clock
from numberdesk.base.money import format_rupees
from numberdesk.base.web import rfc3339
from numberdesk.orders import service
from numberdesk.orders.model import Card, Exchange, Message, Order, Prolongation, Status, event_id
from numberdesk.orders.service import Desk

WITHHELD = (
    "A message came that looks like one of a bank, a payment service or an authority. Numbers here are not for those: "
    "it is withheld, the price is back in your wallet, and a person looks at it. If it is a mistake, write to support."
)

REVOKED = "The provider took this number back before its end. If you should not pay for it, write to support."
REVOKED_REFUNDED = "The provider took this number back before its end. What you paid is back in your wallet."


class PriceView(Struct, rename="camel", frozen=True):
    """A price as it is now; nothing is reserved at it."""

    order_id: int
    hours: int
    price: str


class MessageView(Struct, rename="camel", frozen=True):
    """One message received. `event_id` is the name of its event, in streams and webhooks too."""

    event_id: str
    code: str
    text: str
    received_at: datetime | None


class RefundView(Struct, rename="camel", frozen=True):
    """What went back to the wallet."""

    amount: str
    at: datetime | None


class OrderView(Struct, rename="camel", frozen=True):
    """An order as its buyer sees it.

    A rental has `hours`: it ends at `expiresAt`, and before its first message it can be cancelled until `cancelUntil`.
    While more hours are being bought for it, `isProlonging` is true.
    """

    order_id: int
    status: Status
    service: str
    country: int
    server: int
    operator: str
    number: str | None
    price: str
    otp: str | None
    messages: list[MessageView]
    created_at: datetime | None
    expires_at: datetime | None
    cancel_allowed_at: datetime | None
    can_cancel: bool
    can_extend: bool
    can_get_next: bool
    refund: RefundView | None
    hours: int | None
    cancel_until: datetime | None
    is_prolonging: bool
    notice: str | None
    """What the buyer should know of how it ended, in a sentence."""


class OrdersView(Struct, rename="camel", frozen=True):
    """Several numbers rented with one call."""

    requested: int
    orders: list[OrderView]


class EventView(Struct, rename="camel", frozen=True):
    """One step of an order."""

    at: datetime | None
    event: str
    detail: str


class OrderDetail(Struct, rename="camel", frozen=True):
    """An order with its time line."""

    order: OrderView
    timeline: list[EventView]


def view(desk: Desk, card: Card) -> OrderView:
    """Shape a card for its buyer."""
    order = card.order
    return OrderView(
        order_id=order.id,
        status=service.shown_status(order.state, has_code=order.codes_received > 0),
        service=order.service,
        country=order.country,
        server=order.provider_id,
        operator=order.operator,
        number=f"+{order.number}" if order.number else None,
        price=format_rupees(order.price_paise),
        otp=card.messages[-1].code or None if card.messages else None,
        messages=[_message(order, item) for item in card.messages],
        created_at=rfc3339(order.created_at),
        expires_at=rfc3339(order.expires_at),
        cancel_allowed_at=rfc3339(order.cancel_allowed_at),
        can_cancel=can_cancel(order),
        can_extend=_can_extend(desk, order),
        can_get_next=order.state == "received" and order.can_get_next and not service.is_waiting(card),
        refund=RefundView(format_rupees(card.refund.amount_paise), rfc3339(card.refund.at)) if card.refund else None,
        hours=order.hours,
        cancel_until=rfc3339(_cancel_until(order)),
        is_prolonging=order.is_prolonging,
        notice=_notice(order),
    )


def _notice(order: Order) -> str | None:
    if order.failure == "withheld":
        return WITHHELD
    if order.state == "completed" and order.failure == "provider_cancelled":
        return REVOKED if order.refunded_at is None else REVOKED_REFUNDED
    return None


def _message(order: Order, item: Message) -> MessageView:
    return MessageView(event_id(order.id, "code", item.ordinal), item.code, item.text, rfc3339(item.received_at))


def can_cancel(order: Order) -> bool:
    """Tell whether an order can be cancelled now, as far as this process' clock knows."""
    if order.state != "active" or order.cancel_allowed_at is None or order.is_prolonging:
        return False
    until = _cancel_until(order)
    return order.cancel_allowed_at <= clock.now() and (until is None or clock.now() < until)


def _cancel_until(order: Order) -> datetime | None:
    if order.hours is None or order.activated_at is None:
        return None
    return order.sent_at + service.RENTAL_WINDOW


def _can_extend(desk: Desk, order: Order) -> bool:
    if order.state not in ("active", "received") or order.is_prolonging:
        return False
    if order.hours is not None:
        return order.expires_at is not None and clock.now() < order.expires_at
    server = desk.shelf.contents_of(order.account_id).servers.get(order.provider_id)
    return (
        server is not None and server.extend_paise_per_minute is not None
        and order.last_expiry_at is not None and order.expires_at is not None
        and order.last_expiry_at > order.expires_at
    )  # fmt: skip


def timeline(
    card: Card, exchanges: list[Exchange], route: str | None, prolongations: list[Prolongation]
) -> list[EventView]:
    """Return what happened to an order, step by step."""
    order = card.order
    steps: list[tuple[datetime | None, str, str]] = [(order.created_at, "requested", "price held")]
    if route is not None:
        steps.append((order.created_at, "routed", service.told_route(route)))
    steps.extend(
        (item.at, "refused" if item.outcome != "unknown" else "unclear answer", f"server {item.provider_id}")
        for item in exchanges
        if item.action == "rent" and item.outcome != "rented"
    )
    steps.append((order.activated_at, "active", f"server {order.provider_id}"))
    steps.extend((item.received_at, "code received", f"message {item.ordinal}") for item in card.messages)
    for item in prolongations:
        told = f"{item.hours} hours for {format_rupees(item.price_paise)}"
        steps.append((item.sent_at, "more hours wanted", told))
        steps.append((item.settled_at, "prolonged" if item.state == "done" else "not prolonged", told))
    steps.append((order.ended_at, order.state, order.failure or ""))
    if card.refund:
        steps.append((card.refund.at, "refunded", format_rupees(card.refund.amount_paise)))
    known = [(at, event, detail) for at, event, detail in steps if at is not None]
    return [EventView(rfc3339(at), event, detail) for at, event, detail in sorted(known, key=lambda step: step[0])]
