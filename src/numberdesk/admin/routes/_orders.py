"""What staff call about orders: find them, read all about one, ask its provider, cancel it."""

from datetime import datetime
from functools import partial
from typing import Annotated, Any

import msgspec
from litestar import Request, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from msgspec import Meta, Struct

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import Caller
from numberdesk.accounts.service import People
from numberdesk.admin.routes._provider_views import TranscriptView, transcript_view
from numberdesk.admin.routes._reads import country_of, note_read, provider_of, refuse_odd_times, refuse_reversed
from numberdesk.audit import service as audit
from numberdesk.base.calls import Asked, Call, number_in_path
from numberdesk.base.db import Database
from numberdesk.base.described import QueryId
from numberdesk.base.money import format_rupees
from numberdesk.base.web import ACCESS, Items, NoFields, Ok, encode, rfc3339
from numberdesk.catalogue.service import Shelf
from numberdesk.orders import service
from numberdesk.orders.model import Order, OrderId, OrderState
from numberdesk.orders.service import Desk, OrderFile, Wanted

Reason = Annotated[str, Meta(min_length=3, max_length=200)]
Name = Annotated[str | None, QueryParameter(max_length=40)]
READS_MESSAGES = "admin:ops"
"""Who may read what customers received. Support and finance see that something came, and when."""


class StaffOrderView(Struct, rename="camel", frozen=True):
    """An order as staff see it: its real state, and what it cost us."""

    id: int
    account_id: int
    state: str
    service: str
    country: int
    operator: str
    provider_id: int
    hours: int | None
    """How long a rental was rented for; null for a number that gets a code."""
    attempt: int
    number: str | None
    price: str
    cost: str
    upstream_id: str | None
    upstream_refund: str
    failure: str | None
    codes_received: int
    created_at: datetime | None
    activated_at: datetime | None
    cancel_allowed_at: datetime | None
    expires_at: datetime | None
    received_at: datetime | None
    ended_at: datetime | None
    refunded_at: datetime | None
    revoked_at: datetime | None


class OrderMessageView(Struct, rename="camel", frozen=True):
    """A message that came for an order. `code` and `text` are null for who may not read them, and when sealed."""

    ordinal: int
    received_at: datetime | None
    is_sealed: bool
    code: str | None
    text: str | None


class OrderStepView(Struct, rename="camel", frozen=True):
    """One thing that happened: to the order (`event`), at a provider (`asked`), on the wire, or with money."""

    at: datetime | None
    kind: str
    what: str
    detail: str


class OrderHoldView(Struct, rename="camel", frozen=True):
    """Money that was set aside for an order, and the postings about it."""

    purpose: str
    amount: str
    state: str
    postings: list[int]


class RankedView(Struct, rename="camel", frozen=True):
    """An offer as it stood in the ranking: how many numbers of it were sold and got their codes."""

    server: int
    operator: str
    price: str
    n: int
    delivered: int


class PassedOverView(Struct, rename="camel", frozen=True):
    """A provider that was not asked, and why."""

    server: int
    why: str


class OrderRouteView(Struct, rename="camel", frozen=True):
    """How the offers of an order were ranked, best first, as far as that was written down."""

    route: str
    """`cheapest`, `best`, or `pinned` to the server that its buyer named."""
    offers: list[RankedView]
    passed_over: list[PassedOverView] = []


class OrderFileView(Struct, rename="camel", frozen=True):
    """Everything about an order."""

    order: StaffOrderView
    timeline: list[OrderStepView]
    wire: list[TranscriptView]
    holds: list[OrderHoldView]
    messages: list[OrderMessageView]
    route: OrderRouteView | None


class CancelOrder(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """Why it is cancelled for its buyer."""

    reason: Reason


def calls(people: Any, desk: Any) -> list[Call[Any]]:
    """Return the calls of this part; without what they work with they can only be described."""
    return [
        Call(
            path="/admin/orders/{id}/poll", body=NoFields, access="admin:ops", run=partial(_poll, people, desk),
            answer=StaffOrderView, summary="Ask the provider now",
            description="Ask the provider of an order at once, and do what it answers.",
        ),
        Call(
            path="/admin/orders/{id}/cancel", body=CancelOrder, access="admin:ops", run=partial(_cancel, people, desk),
            answer=StaffOrderView, summary="Cancel an order",
            description="Cancel an order for its buyer, by the rules that hold for buyers.",
        ),
    ]  # fmt: skip


async def _poll(people: People, desk: Desk, asked: Asked, _: NoFields) -> bytes:
    before = await service.get_any(desk.db, OrderId(asked.id))
    await accounts.refuse_above(people.db, asked.caller, before.account_id)
    after = await service.ask_provider(desk, before.id)
    await _record(people, asked, "order_polled", before, after)
    return encode(order_view(after))


async def _cancel(people: People, desk: Desk, asked: Asked, data: CancelOrder) -> bytes:
    before = await service.get_any(desk.db, OrderId(asked.id))
    await accounts.refuse_above(people.db, asked.caller, before.account_id)
    after = (await service.cancel(desk, account_id=before.account_id, order_id=before.id)).order
    await _record(people, asked, "order_cancelled", before, after, reason=data.reason)
    return encode(order_view(after))


async def _record(
    people: People, asked: Asked, action: str, before: Order, after: Order, *, reason: str | None = None
) -> None:
    event = accounts.done_by(
        asked.caller, asked.visit, action, to=before.account_id, order=int(before.id), before=before.state,
        after=after.state, reason=reason,
    )  # fmt: skip
    async with people.db.transaction() as tx:
        await audit.record(tx, event)


def order_view(order: Order) -> StaffOrderView:
    """Shape an order for staff."""
    return StaffOrderView(
        order.id, order.account_id, order.state, order.service, order.country, order.operator, order.provider_id,
        order.hours, order.attempt, f"+{order.number}" if order.number else None, format_rupees(order.price_paise),
        format_rupees(order.cost_paise), order.upstream_id, order.upstream_refund, order.failure,
        order.codes_received, rfc3339(order.created_at), rfc3339(order.activated_at),
        rfc3339(order.cancel_allowed_at), rfc3339(order.expires_at), rfc3339(order.received_at),
        rfc3339(order.ended_at), rfc3339(order.refunded_at), rfc3339(order.revoked_at),
    )  # fmt: skip


def _file_view(file: OrderFile, *, reads_messages: bool) -> OrderFileView:
    return OrderFileView(
        order_view(file.order),
        _timeline(file),
        [transcript_view(item) for item in file.said],
        [
            OrderHoldView(
                hold.purpose, format_rupees(hold.amount_paise), hold.state, [number for _, number, _ in hold.postings]
            )
            for hold in file.holds
        ],
        [
            OrderMessageView(
                item.ordinal, rfc3339(item.received_at), item.is_sealed,
                item.code if reads_messages and not item.is_sealed else None,
                item.text if reads_messages and not item.is_sealed else None,
            )
            for item in file.messages
        ],
        None if file.route is None else msgspec.json.decode(file.route, type=OrderRouteView),
    )  # fmt: skip


def _timeline(file: OrderFile) -> list[OrderStepView]:
    order = file.order
    steps = [(order.created_at, "order", "created", f"request {order.request_key}")]
    steps += [(item.at, "order", item.type, "" if item.ordinal == 1 else str(item.ordinal)) for item in file.events]
    steps += [
        (item.at, "provider", item.action,
         f"{item.provider_id}, attempt {item.attempt}: {item.outcome} {item.detail}".strip())
        for item in file.exchanges
    ]  # fmt: skip
    steps += [
        (at, "money", kind, f"{hold.purpose}: {format_rupees(hold.amount_paise)}, posting {number}")
        for hold in file.holds
        for kind, number, at in hold.postings
    ]
    steps += [
        (item.received_at, "message", "sealed" if item.is_sealed else "received", str(item.ordinal))
        for item in file.messages
    ]
    return [OrderStepView(rfc3339(at), kind, what, detail) for at, kind, what, detail in sorted(steps)]


@get("/admin/orders", summary="List orders, newest first", opt={ACCESS: "admin:support"})
async def list_orders(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    shelf: NamedDependency[Shelf],
    in_state: Annotated[list[OrderState] | None, QueryParameter(name="state", max_items=10)] = None,
    account: QueryId = None,
    service_code: Annotated[str | None, QueryParameter(name="service", max_length=40)] = None,
    country: Name = None,
    provider: Name = None,
    number: Annotated[str | None, QueryParameter(pattern=r"^\+?[0-9]{5,15}$")] = None,
    since: Annotated[datetime | None, QueryParameter(name="from")] = None,
    until: Annotated[datetime | None, QueryParameter(name="to")] = None,
    is_revoked: Annotated[bool | None, QueryParameter(name="revoked")] = None,
    cursor: QueryId = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> Ok[Items[StaffOrderView]]:
    """List orders of everybody: by state, account, service, country, provider, number, and when they were made.

    A country is its number or its two letters, a provider its number or its name. `revoked=true` are paid rentals that
    their provider ended before their time, and that were not refunded.
    """
    refuse_odd_times(request, **{"from": since, "to": until})
    refuse_reversed(since, until)
    wanted = Wanted(
        in_state, account, service_code, country_of(shelf, country), await provider_of(db, provider),
        None if number is None else number.lstrip("+"), since, until, is_revoked,
    )  # fmt: skip
    found = await service.find_orders(db, wanted, cursor=cursor, limit=limit + 1)
    if account is not None or number is not None:
        owner = found[0].account_id if found else None
        await note_read(db, caller, request, "orders", owner, account=account, number=number, found=len(found))
    following = str(found[limit - 1].id) if len(found) > limit else None
    return Ok(data=Items([order_view(order) for order in found[:limit]], following))


@get("/admin/orders/{id:str}", summary="Read an order", opt={ACCESS: "admin:support"})
async def read_order(
    request: Request[Any, Any, Any],
    id: FromPath[str],  # noqa: A002 - the name in the path
    db: NamedDependency[Database],
    caller: NamedDependency[Caller],
) -> Ok[OrderFileView]:
    """Read everything about an order. What its buyer received is shown to `admin:ops` only, and never when sealed."""
    file = await service.read_file(db, OrderId(number_in_path(id, what="order")))
    reads_messages = READS_MESSAGES in caller.scopes
    shown = [item.ordinal for item in file.messages if not item.is_sealed] if reads_messages else []
    await note_read(db, caller, request, "order", file.order.account_id, order=int(file.order.id), messages=len(shown))
    return Ok(data=_file_view(file, reads_messages=reads_messages))


HANDLERS = [list_orders, read_order]
