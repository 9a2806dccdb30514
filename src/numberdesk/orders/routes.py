"""HTTP face of orders: read the request, call one verb, shape the answer."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter
from msgspec import Meta, Struct

from numberdesk.accounts.model import Caller
from numberdesk.accounts.service import refuse_frozen, require
from numberdesk.base import clock
from numberdesk.base.calls import Call
from numberdesk.base.errors import InvalidFields, NotFound
from numberdesk.base.money import NotAnAmount, Paise, format_rupees, parse_rupees
from numberdesk.base.web import Items, Ok, encode, rfc3339
from numberdesk.orders import service
from numberdesk.orders.model import Card, Exchange, Order, OrderId, OrderState
from numberdesk.orders.service import Desk

ENCODED_MAX = 50_000
ID_MAX = 2**63 - 1
Minutes = Annotated[int, Meta(ge=1, le=1440)]
PositiveId = Annotated[int, Meta(ge=1, le=ID_MAX)]
Name = Annotated[str, Meta(min_length=1, max_length=40)]
RepeatKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key", max_length=255, description="A repeat with the same key gives the first answer again."
    ),
]


class GetNumber(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """A number to rent. Codes are SMS-Activate's; a country may also be its ISO code."""

    service: Name
    country: Name | int
    server: Name | int | None = None
    operator: Name | None = None
    max_price: str | float | None = None
    quantity: Annotated[int, Meta(ge=1, le=service.QUANTITY_MAX)] = 1


class CheckOtp(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """An order to read; with `wait`, answered when its code comes, at most so many seconds later."""

    order_id: PositiveId
    wait: Annotated[float, Meta(ge=0, le=service.WAIT_MAX)] = 0


class OneOrder(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """An order by its id."""

    order_id: PositiveId


class ExtendNumber(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """More time for an order."""

    order_id: PositiveId
    minutes: Minutes


class MessageView(Struct, rename="camel", frozen=True):
    """One message received."""

    code: str
    text: str
    received_at: datetime | None


class RefundView(Struct, rename="camel", frozen=True):
    """What went back to the wallet."""

    amount: str
    at: datetime | None


class OrderView(Struct, rename="camel", frozen=True):
    """An order as its buyer sees it."""

    order_id: int
    status: str
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
    server = desk.shelf.contents.servers.get(order.provider_id)
    is_live = order.state in ("active", "received")
    can_extend = (
        is_live and server is not None and server.extend_paise_per_minute is not None
        and order.last_expiry_at is not None and order.expires_at is not None
        and order.last_expiry_at > order.expires_at
    )  # fmt: skip
    return OrderView(
        order_id=order.id,
        status=service.shown_status(order.state),
        service=order.service,
        country=order.country,
        server=order.provider_id,
        operator=order.operator,
        number=f"+{order.number}" if order.number else None,
        price=format_rupees(order.price_paise),
        otp=card.messages[-1].code or None if card.messages else None,
        messages=[MessageView(item.code, item.text, rfc3339(item.received_at)) for item in card.messages],
        created_at=rfc3339(order.created_at),
        expires_at=rfc3339(order.expires_at),
        cancel_allowed_at=rfc3339(order.cancel_allowed_at),
        can_cancel=_can_cancel(order),
        can_extend=can_extend,
        can_get_next=order.state == "received" and order.can_get_next and not service.is_waiting(card),
        refund=RefundView(format_rupees(card.refund.amount_paise), rfc3339(card.refund.at)) if card.refund else None,
    )


def _can_cancel(order: Order) -> bool:
    return order.state == "active" and order.cancel_allowed_at is not None and order.cancel_allowed_at <= clock.now()


class _Encoded:
    """Answers encoded once per card, since many polls read the same one."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._bodies: dict[int, tuple[Card, bool, bytes]] = {}

    def body(self, card: Card) -> bytes:
        """Return the encoded answer for a card."""
        can_cancel = _can_cancel(card.order)
        known = self._bodies.get(card.order.id)
        if known is not None and known[0] is card and known[1] is can_cancel:
            return known[2]
        if len(self._bodies) >= ENCODED_MAX:
            self._bodies.clear()
        body = encode(view(self._desk, card))
        self._bodies[card.order.id] = card, can_cancel, body
        return body


def calls(desk: Desk) -> list[Call[Any]]:
    """Return the POST calls of this slice."""
    encoded = _Encoded(desk)
    return [
        Call("/auth/get-number", GetNumber, "order", partial(_get_number, desk)),
        Call("/auth/check-otp", CheckOtp, "read", partial(_check_otp, desk, encoded.body), is_repeatable=False),
        Call("/auth/cancel-number", OneOrder, "order", partial(_on_one, desk, service.cancel)),
        Call("/auth/next-otp", OneOrder, "order", partial(_on_one, desk, service.next_code)),
        Call("/auth/finish-number", OneOrder, "order", partial(_on_one, desk, service.finish)),
        Call("/auth/extend-number", ExtendNumber, "order", partial(_extend_number, desk)),
    ]


async def _get_number(desk: Desk, caller: Caller, data: GetNumber, key: str | None) -> bytes:
    refuse_frozen(caller)
    wish = service.Wish(data.service, data.country, data.server, data.operator, _ceiling(data.max_price))
    cards = await service.buy(desk, account_id=caller.account_id, wish=wish, quantity=data.quantity, request_key=key)
    if data.quantity == 1:
        return encode(view(desk, cards[0]))
    return encode(OrdersView(data.quantity, [view(desk, card) for card in cards]))


def _ceiling(value: str | float | None) -> Paise | None:
    if value is None:
        return None
    try:
        return parse_rupees(value)
    except NotAnAmount as problem:
        raise InvalidFields({"maxPrice": str(problem)}) from None


async def _check_otp(
    desk: Desk, encoded: Callable[[Card], bytes], caller: Caller, data: CheckOtp, _key: str | None
) -> bytes:
    order_id = OrderId(data.order_id)
    if data.wait == 0:
        card = desk.board.find(order_id)
        if card is not None and card.order.account_id == caller.account_id:
            return encoded(card)
    return encoded(await service.check(desk, account_id=caller.account_id, order_id=order_id, wait=data.wait))


async def _on_one(desk: Desk, verb: Any, caller: Caller, data: OneOrder, _key: str | None) -> bytes:
    return encode(view(desk, await verb(desk, account_id=caller.account_id, order_id=OrderId(data.order_id))))


async def _extend_number(desk: Desk, caller: Caller, data: ExtendNumber, key: str | None) -> bytes:
    refuse_frozen(caller)
    card = await service.extend(
        desk, account_id=caller.account_id, order_id=OrderId(data.order_id), minutes=data.minutes, request_key=key
    )
    return encode(view(desk, card))


@get("/auth/number-status/{order_id:str}", summary="Read an order")
async def number_status(
    order_id: FromPath[str], caller: NamedDependency[Caller], desk: NamedDependency[Desk]
) -> Ok[OrderView]:
    """Read an order as it is now."""
    require(caller, "read")
    return Ok(data=view(desk, await service.get(desk, account_id=caller.account_id, order_id=_order_id(order_id))))


Status = Literal["pending", "active", "received", "completed", "cancelled", "expired", "failed"]
_STATES: dict[Status, tuple[OrderState, ...]] = {
    "pending": ("requested", "unknown"), "active": ("active", "cancelling", "expiring"), "received": ("received",),
    "completed": ("completed",), "cancelled": ("cancelled",), "expired": ("expired",), "failed": ("failed",),
}  # fmt: skip


@get("/orders", summary="List orders, newest first")
async def list_orders(
    caller: NamedDependency[Caller],
    desk: NamedDependency[Desk],
    status: FromQuery[Status | None] = None,
    cursor: Annotated[int | None, QueryParameter(ge=1, le=ID_MAX)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 50,
) -> Ok[Items[OrderView]]:
    """List the caller's orders, newest first; `cursor` is `nextCursor` of the page before."""
    require(caller, "read")
    states = None if status is None else _STATES[status]
    cards = await service.list_orders(desk, account_id=caller.account_id, states=states, cursor=cursor, limit=limit)
    following = str(cards[-1].order.id) if len(cards) == limit else None
    return Ok(data=Items([view(desk, card) for card in cards], following))


@get("/orders/{order_id:str}", summary="Read an order with its time line")
async def order_detail(
    order_id: FromPath[str], caller: NamedDependency[Caller], desk: NamedDependency[Desk]
) -> Ok[OrderDetail]:
    """Read an order and what happened to it, step by step."""
    require(caller, "read")
    card = await service.get(desk, account_id=caller.account_id, order_id=_order_id(order_id))
    return Ok(data=OrderDetail(view(desk, card), _timeline(card, await service.exchanges(desk, card))))


def _timeline(card: Card, exchanges: list[Exchange]) -> list[EventView]:
    order = card.order
    steps: list[tuple[datetime | None, str, str]] = [(order.created_at, "requested", "price held")]
    steps.extend(
        (item.at, "refused" if item.outcome != "unknown" else "unclear answer", f"server {item.provider_id}")
        for item in exchanges
        if item.action == "rent" and item.outcome != "rented"
    )
    steps.append((order.activated_at, "active", f"server {order.provider_id}"))
    steps.extend((item.received_at, "code received", f"message {item.ordinal}") for item in card.messages)
    steps.append((order.ended_at, order.state, order.failure or ""))
    if card.refund:
        steps.append((card.refund.at, "refunded", format_rupees(card.refund.amount_paise)))
    known = [(at, event, detail) for at, event, detail in steps if at is not None]
    return [EventView(rfc3339(at), event, detail) for at, event, detail in sorted(known, key=lambda step: step[0])]


def _order_id(text: str) -> OrderId:
    if not (text.isascii() and text.isdigit() and len(text) < 20 and 0 < int(text) <= ID_MAX):
        raise NotFound(what="order")
    return OrderId(int(text))


@post("/auth/get-number", status_code=200, summary="Rent a number", tags=["orders"])
async def get_number(data: JSONBody[GetNumber], key: RepeatKey = None) -> Ok[OrderView] | Ok[OrdersView]:
    """Rent a number and hold its price; safe to repeat with an Idempotency-Key."""
    raise NotFoundException


@post("/auth/check-otp", status_code=200, summary="Read the code, or wait for it", tags=["orders"])
async def check_otp(data: JSONBody[CheckOtp]) -> Ok[OrderView]:
    """Read an order; with `wait`, answered when its code or its end comes."""
    raise NotFoundException


@post("/auth/cancel-number", status_code=200, summary="Cancel an order", tags=["orders"])
async def cancel_number(data: JSONBody[OneOrder], key: RepeatKey = None) -> Ok[OrderView]:
    """Cancel an order and give its money back, unless a code came first."""
    raise NotFoundException


@post("/auth/next-otp", status_code=200, summary="Ask for one more code", tags=["orders"])
async def next_otp(data: JSONBody[OneOrder], key: RepeatKey = None) -> Ok[OrderView]:
    """Wait for one more code on the same number, free of charge."""
    raise NotFoundException


@post("/auth/finish-number", status_code=200, summary="Finish an order", tags=["orders"])
async def finish_number(data: JSONBody[OneOrder], key: RepeatKey = None) -> Ok[OrderView]:
    """Finish an order that has its code."""
    raise NotFoundException


@post("/auth/extend-number", status_code=200, summary="Lengthen an order", tags=["orders"])
async def extend_number(data: JSONBody[ExtendNumber], key: RepeatKey = None) -> Ok[OrderView]:
    """Lengthen an order at the price its server states."""
    raise NotFoundException


DOCUMENTED = (get_number, check_otp, cancel_number, next_otp, finish_number, extend_number)
"""What the framework documents of `calls`, which answers these before it."""

router = Router(path="/", route_handlers=[number_status, list_orders, order_detail, *DOCUMENTED], tags=["orders"])
