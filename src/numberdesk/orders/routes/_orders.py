"""HTTP face of orders: read the request, call one verb, shape the answer."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import Meta, Struct

from numberdesk.accounts.model import Caller
from numberdesk.accounts.service import refuse_spending
from numberdesk.base.calls import ID_MAX, Asked, Call, number_in_path
from numberdesk.base.described import QueryId
from numberdesk.base.errors import InvalidFields
from numberdesk.base.log import note
from numberdesk.base.money import Paise, format_rupees
from numberdesk.base.web import ACCESS, Items, Ok, amount_in, encode
from numberdesk.catalogue.model import Route
from numberdesk.orders import service
from numberdesk.orders.model import Card, OrderId, OrderState, Status
from numberdesk.orders.routes._views import OrderDetail, OrdersView, OrderView, PriceView, can_cancel, timeline, view
from numberdesk.orders.service import Desk

ENCODED_MAX = 50_000
Minutes = Annotated[int, Meta(ge=1, le=1440)]
Hours = Annotated[int, Meta(ge=1, le=service.HOURS_MAX)]
PositiveId = Annotated[int, Meta(ge=1, le=ID_MAX)]
Name = Annotated[str, Meta(min_length=1, max_length=40)]


class GetNumber(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """A number to rent. Codes are SMS-Activate's; a country may also be its ISO code.

    With `hours` the number is yours for so long and receives all that comes; the times there are stand in the services.
    """

    service: Name
    country: Name | int
    server: Name | int | None = None
    operator: Name | None = None
    max_price: str | float | None = None
    route: Route | None = None
    quantity: Annotated[int, Meta(ge=1, le=service.QUANTITY_MAX)] = 1
    hours: Hours | None = None


class CheckOtp(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """An order to read; with `wait`, answered when its code comes, at most so many seconds later."""

    order_id: PositiveId
    wait: Annotated[float, Meta(ge=0, le=service.WAIT_MAX)] = 0


class OneOrder(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """An order by its id."""

    order_id: PositiveId


class ExtendNumber(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """More time for an order: `minutes` for a number that waits for its code, `hours` for a rental.

    With `maxPrice` a rental is prolonged at that price or a lower one.
    """

    order_id: PositiveId
    minutes: Minutes | None = None
    hours: Hours | None = None
    max_price: str | float | None = None


class ExtendPrice(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """What so many hours more of a rental cost."""

    order_id: PositiveId
    hours: Hours


class _Encoded:
    """Answers encoded once per card, since many polls read the same one."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._bodies: dict[int, tuple[Card, bool, bytes]] = {}

    def body(self, card: Card) -> bytes:
        """Return the encoded answer for a card."""
        may_cancel = can_cancel(card.order)
        known = self._bodies.get(card.order.id)
        if known is not None and known[0] is card and known[1] is may_cancel:
            return known[2]
        if len(self._bodies) >= ENCODED_MAX:
            self._bodies.clear()
        body = encode(view(self._desk, card))
        self._bodies[card.order.id] = card, may_cancel, body
        return body


def calls(desk: Any) -> list[Call[Any]]:
    """Return the calls of this slice; without a desk they can only be described."""
    return [
        Call(
            path="/auth/get-number", body=GetNumber, access="order", is_repeatable=True,
            run=partial(_get_number, desk), answer=OrderView | OrdersView, summary="Rent a number",
            description="Rent a number and hold its price; safe to repeat with an Idempotency-Key.",
        ),
        Call(
            path="/auth/check-otp", body=CheckOtp, access="read",
            run=partial(_check_otp, desk, _Encoded(desk).body), answer=OrderView,
            summary="Read the code, or wait for it",
            description="Read an order; with `wait`, answered when its code or its end comes.",
        ),
        Call(
            path="/auth/cancel-number", body=OneOrder, access="order", is_repeatable=True,
            run=partial(_on_one, desk, service.cancel), answer=OrderView, summary="Cancel an order",
            description="Cancel an order and give its money back, unless a code came first.",
        ),
        Call(
            path="/auth/next-otp", body=OneOrder, access="order", is_repeatable=True,
            run=partial(_on_one, desk, service.next_code), answer=OrderView, summary="Ask for one more code",
            description="Wait for one more code on the same number, free of charge.",
        ),
        Call(
            path="/auth/finish-number", body=OneOrder, access="order", is_repeatable=True,
            run=partial(_on_one, desk, service.finish), answer=OrderView, summary="Finish an order",
            description="Finish an order that has its code.",
        ),
        Call(
            path="/auth/extend-number", body=ExtendNumber, access="order", is_repeatable=True,
            run=partial(_extend_number, desk), answer=OrderView, summary="Lengthen an order",
            description="Lengthen an order at the price its server states; a rental by hours, a number by minutes.",
        ),
        Call(
            path="/auth/extend-price", body=ExtendPrice, access="read",
            run=partial(_extend_price, desk), answer=PriceView, summary="Price more hours of a rental",
            description="Say what so many hours more of a rental cost now; its provider is asked, nothing is bought.",
        ),
    ]  # fmt: skip


async def _get_number(desk: Desk, asked: Asked, data: GetNumber) -> bytes:
    caller: Caller = asked.caller
    refuse_spending(caller)
    wish = service.Wish(
        data.service, data.country, data.server, data.operator, _ceiling(data.max_price), data.route, data.hours
    )
    cards = await service.buy(
        desk,
        account_id=caller.account_id,
        wish=wish,
        quantity=data.quantity,
        request_key=asked.once,
        ip=asked.visit.ip,
    )
    note(order_id=cards[0].order.id)
    if data.quantity == 1:
        return encode(view(desk, cards[0]))
    return encode(OrdersView(data.quantity, [view(desk, card) for card in cards]))


def _ceiling(value: str | float | None) -> Paise | None:
    return None if value is None else amount_in(value, field="maxPrice")


async def _check_otp(desk: Desk, encoded: Callable[[Card], bytes], asked: Asked, data: CheckOtp) -> bytes:
    order_id, account_id = OrderId(data.order_id), asked.caller.account_id
    if data.wait == 0:
        card = desk.board.find(order_id)
        if card is not None and card.order.account_id == account_id:
            return encoded(card)
    return encoded(await service.check(desk, account_id=account_id, order_id=order_id, wait=data.wait))


async def _on_one(desk: Desk, verb: Any, asked: Asked, data: OneOrder) -> bytes:
    return encode(view(desk, await verb(desk, account_id=asked.caller.account_id, order_id=OrderId(data.order_id))))


async def _extend_number(desk: Desk, asked: Asked, data: ExtendNumber) -> bytes:
    caller: Caller = asked.caller
    refuse_spending(caller)
    order_id = OrderId(data.order_id)
    if data.hours is not None and data.minutes is None:
        card = await service.prolong(
            desk, account_id=caller.account_id, order_id=order_id, hours=data.hours, request_key=asked.once,
            max_price_paise=_ceiling(data.max_price),
        )  # fmt: skip
        return encode(view(desk, card))
    if data.minutes is None or data.hours is not None:
        raise InvalidFields({"minutes": "exactly one of minutes and hours must be there"})
    if data.max_price is not None:
        raise InvalidFields({"maxPrice": "is for hours; the price of minutes is fixed"})
    card = await service.extend(
        desk, account_id=caller.account_id, order_id=order_id, minutes=data.minutes, request_key=asked.once
    )
    return encode(view(desk, card))


async def _extend_price(desk: Desk, asked: Asked, data: ExtendPrice) -> bytes:
    price = await service.prolong_price(
        desk, account_id=asked.caller.account_id, order_id=OrderId(data.order_id), hours=data.hours
    )
    return encode(PriceView(data.order_id, data.hours, format_rupees(price)))


@get("/auth/number-status/{order_id:str}", summary="Read an order", opt={ACCESS: "read"})
async def number_status(
    order_id: FromPath[str], caller: NamedDependency[Caller], desk: NamedDependency[Desk]
) -> Ok[OrderView]:
    """Read an order as it is now."""
    return Ok(data=view(desk, await service.get(desk, account_id=caller.account_id, order_id=_order_id(order_id))))


_STATES: dict[Status, tuple[OrderState, ...]] = {
    "pending": ("requested", "unknown"), "active": ("active", "cancelling", "expiring"), "received": ("received",),
    "completed": ("completed",), "cancelled": ("cancelled",), "expired": ("expired",), "failed": ("failed",),
}  # fmt: skip


@get("/orders", summary="List orders, newest first", opt={ACCESS: "read"})
async def list_orders(
    caller: NamedDependency[Caller],
    desk: NamedDependency[Desk],
    status: FromQuery[Status | None] = None,
    cursor: QueryId = None,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 50,
) -> Ok[Items[OrderView]]:
    """List the caller's orders, newest first; `cursor` is `nextCursor` of the page before."""
    states = None if status is None else _STATES[status]
    cards = await service.list_orders(desk, account_id=caller.account_id, states=states, cursor=cursor, limit=limit)
    following = str(cards[-1].order.id) if len(cards) == limit else None
    return Ok(data=Items([view(desk, card) for card in cards], following))


@get("/orders/{order_id:str}", summary="Read an order with its time line", opt={ACCESS: "read"})
async def order_detail(
    order_id: FromPath[str], caller: NamedDependency[Caller], desk: NamedDependency[Desk]
) -> Ok[OrderDetail]:
    """Read an order and what happened to it, step by step."""
    card = await service.get(desk, account_id=caller.account_id, order_id=_order_id(order_id))
    exchanges, route = await service.history(desk, card)
    more = await service.list_prolongations(desk, card)
    return Ok(data=OrderDetail(view(desk, card), timeline(card, exchanges, route, more)))


def _order_id(text: str) -> OrderId:
    order_id = OrderId(number_in_path(text, what="order"))
    note(order_id=order_id)
    return order_id
