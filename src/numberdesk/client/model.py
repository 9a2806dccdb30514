"""What the API answers. Fields that a newer server adds are ignored; amounts are rupees, times are UTC."""

from datetime import datetime
from decimal import Decimal
from typing import Generic, TypeVar

from msgspec import Struct

T = TypeVar("T")


class Message(Struct, rename="camel", frozen=True):
    """One message received. `event_id` names it on every path that tells of it."""

    code: str
    text: str
    received_at: datetime | None = None
    event_id: str | None = None


class Refund(Struct, rename="camel", frozen=True):
    """What went back to the wallet."""

    amount: Decimal
    at: datetime | None = None


class Order(Struct, rename="camel", frozen=True):
    """A rented number. `otp` is the newest code.

    With `hours` it is a rental, yours until `expires_at`. Before its first message it can be cancelled until
    `cancel_until`; while more hours are being bought for it, `is_prolonging` is true. `notice` says in a sentence
    what its buyer should know of how it ended.
    """

    order_id: int
    status: str
    service: str
    country: int
    server: int
    operator: str
    number: str | None
    price: Decimal
    otp: str | None
    messages: list[Message]
    created_at: datetime | None = None
    expires_at: datetime | None = None
    cancel_allowed_at: datetime | None = None
    can_cancel: bool = False
    can_extend: bool = False
    can_get_next: bool = False
    refund: Refund | None = None
    hours: int | None = None
    cancel_until: datetime | None = None
    is_prolonging: bool = False
    notice: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status in ("completed", "cancelled", "expired", "failed")


class Orders(Struct, rename="camel", frozen=True):
    """Several numbers bought with one call."""

    requested: int
    orders: list[Order]


class Balance(Struct, rename="camel", frozen=True):
    """What can be spent, and what is held for open orders."""

    available: Decimal
    held: Decimal
    currency: str = "INR"


class Delivery(Struct, rename="camel", frozen=True):
    """How often a number got its code: the rate, and between what it lies with 95 % certainty."""

    rate: float
    low: float
    high: float
    n: int
    window_hours: int


class Offer(Struct, rename="camel", frozen=True):
    """What can be bought, at the caller's price."""

    service: str
    service_name: str
    country: int
    country_name: str
    iso: str
    server: int
    server_name: str
    operator: str
    price: Decimal
    stock: int
    delivery: Delivery | None = None
    median_seconds: int | None = None
    p90_seconds: int | None = None
    extend_per_minute: Decimal | None = None
    can_get_next: bool = False
    hours: int | None = None


class Page(Struct, Generic[T], rename="camel", frozen=True):
    """A part of a list; `next_cursor` asks for the next one, and is None on the last."""

    items: list[T]
    next_cursor: str | None = None


class EventData(Struct, rename="camel", frozen=True):
    """The order that an event is about, as the event left it."""

    order_id: int
    status: str
    service: str
    country: int
    server: int | None = None
    operator: str | None = None
    number: str | None = None
    price: Decimal | None = None
    message: Message | None = None
    refund: Refund | None = None


class Event(Struct, rename="camel", frozen=True):
    """Something that happened to an order. The same event has the same `id` on every path."""

    id: str
    type: str
    timestamp: datetime
    data: EventData


class Events(Struct, rename="camel", frozen=True):
    """A part of the log, oldest first. With `reset` the place asked for is not known any more: the items begin with the
    oldest event kept.
    """

    items: list[Event]
    next_cursor: str
    reset: bool = False
