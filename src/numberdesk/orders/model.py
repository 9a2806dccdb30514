"""Nouns of the orders slice."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Literal, NewType

from numberdesk.base.money import Paise
from numberdesk.catalogue.model import PricedOffer, Route
from numberdesk.conduct.model import Kind
from numberdesk.providers.model import ProviderId, Received, RentAnswer
from numberdesk.wallet.model import AccountId

OrderId = NewType("OrderId", int)

OrderState = Literal[
    "requested",
    "unknown",
    "active",
    "received",
    "cancelling",
    "expiring",
    "completed",
    "cancelled",
    "expired",
    "failed",
]
Failure = Literal["no_numbers", "provider_refused", "never_sold", "provider_cancelled", "withheld"]
WithheldState = Literal["held", "released", "confirmed"]
"""What staff decided about a withheld message."""
OrphanState = Literal["seen", "linked", "cancelling", "cancelled", "lost"]
ProlongationState = Literal["requested", "unknown", "done", "refused"]
InboundState = Literal["parked", "delivered", "unowned", "refused"]
"""What became of a message that was posted to us.

parked: its order is not found yet. delivered: it is its order's. refused: it came after its order's money went back,
and is sealed there. unowned: it belongs to nothing that we know.
"""
Action = Literal["rent", "cancel", "finish", "another_code", "look"]
EndState = Literal["cancelled", "expired", "failed"]
Status = Literal["pending", "active", "received", "completed", "cancelled", "expired", "failed"]
"""What customers see of a state."""

EventType = Literal["active", "code", "extended", "completed", "cancelled", "expired", "failed", "refunded"]
"""What can happen to an order that its buyer is told of. `code` and `extended` happen several times."""
UpstreamRefund = Literal["none", "due", "assumed", "confirmed", "refused"]
"""What proves that the provider took a number without a code back; told apart from the customer's refund.

none: there is nothing to take back, as a code came or nothing was sold. due: not settled yet. confirmed: it
acknowledged our cancel. assumed: it ended the number by itself, or says that it is over, and nobody said that the
money is back. refused: it kept the money, or stayed silent until we gave up.
"""

LISTENING: frozenset[OrderState] = frozenset({"active", "cancelling", "expiring"})
"""States in which a first code turns the order into `received` and captures its hold."""


@dataclass(frozen=True, slots=True)
class OrderRules:
    """How long orders live; the provider's own limits can only narrow these."""

    cancel_after: timedelta
    lifetime: timedelta
    route: Route = "cheapest"


@dataclass(frozen=True, slots=True)
class Order:
    """A row of `orders`. Times are decided by the database's clock."""

    id: OrderId
    account_id: AccountId
    service: str
    country: int
    operator: str
    provider_id: ProviderId
    attempt: int
    price_paise: Paise
    cost_paise: Paise
    state: OrderState
    failure: Failure | None
    request_key: str
    request_item: int
    request_token: int
    upstream_id: str | None
    number: str | None
    can_get_next: bool
    codes_wanted: int
    codes_received: int
    extensions: int
    created_at: datetime
    sent_at: datetime
    activated_at: datetime | None
    cancel_allowed_at: datetime | None
    expires_at: datetime | None
    last_expiry_at: datetime | None
    received_at: datetime | None
    ended_at: datetime | None
    changed_at: datetime
    upstream_refund: UpstreamRefund
    hours: int | None = None
    """For how long it was rented at first; None for a number for a code."""
    is_prolonging: bool = False
    """More hours are being bought for it."""
    refunded_at: datetime | None = None
    """When what was paid for it was given back; the order stays what it was."""
    ip: IPv4Address | IPv6Address | None = None
    """The address that it was bought from."""
    revoked_at: datetime | None = None
    """When its provider said first that a paid rental is over before its time."""

    @property
    def is_given_back(self) -> bool:
        """Whether its money went back: what still comes is not its buyer's."""
        return self.refunded_at is not None or self.state in ("cancelled", "expired", "failed")


@dataclass(frozen=True, slots=True)
class Message:
    """One SMS that its buyer may read."""

    order_id: OrderId
    ordinal: int
    code: str
    text: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Withheld:
    """A message that its buyer does not get, as staff see it."""

    order_id: OrderId
    ordinal: int
    account_id: AccountId
    service: str
    country: int
    kind: Kind
    signs: str
    state: WithheldState
    withheld_at: datetime
    decided_at: datetime | None
    decided_by: AccountId | None
    reason: str | None
    text: str
    received_at: datetime
    purged_at: datetime | None


@dataclass(frozen=True, slots=True)
class WithheldNews:
    """That a message was withheld, as staff are told of it: nothing that it says."""

    order_id: OrderId
    ordinal: int
    account_id: AccountId
    kind: Kind
    withheld_at: datetime


@dataclass(frozen=True, slots=True)
class Refund:
    """What went back to the wallet, and when."""

    amount_paise: Paise
    at: datetime


@dataclass(frozen=True, slots=True)
class Card:
    """An order as its buyer sees it: the row, its readable messages and its refund."""

    order: Order
    messages: tuple[Message, ...] = ()
    refund: Refund | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question to a provider about an order, and its outcome."""

    order_id: OrderId
    provider_id: ProviderId
    attempt: int
    action: Action
    outcome: str
    detail: str
    at: datetime
    took_ms: int


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to an order. `seq` counts an account's events without gaps, in their order.

    `id` is its name wherever it is told: in waiting calls, streams and webhooks.
    """

    account_id: AccountId
    seq: int
    order_id: OrderId
    type: EventType
    ordinal: int
    at: datetime

    @property
    def id(self) -> str:
        return event_id(self.order_id, self.type, self.ordinal)


def event_id(order_id: OrderId, type: EventType, ordinal: int = 1) -> str:  # noqa: A002 - the field's word
    """Return the name of an event, which needs no look into the log.

    Args:
        ordinal: of a `code`, its message's; of an `extended`, the so-manieth; else 1.
    """
    return f"evt_{order_id}_{type}_{ordinal}"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a customer wants to rent; see `catalogue.service.offers_for` for the fields.

    `route`: None for the site's own. `hours`: a number to rent for so long, which receives all that comes.
    """

    service: str
    country: str | int
    server: str | int | None = None
    operator: str | None = None
    max_price_paise: Paise | None = None
    route: Route | None = None
    hours: int | None = None


@dataclass(frozen=True, slots=True)
class HandoverNote:
    """What is written down of a purchase whose client may never hear of it, so that the next one alike finds it.

    `fingerprint` is what makes two alike, and `holder` the name of the process that is at it.
    """

    fingerprint: bytes
    wants_object: bool
    holder: str


HELD_FOR = timedelta(seconds=30)
"""Every purchase is answered before. A note that is still held then was left by a process of which nothing is known."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """One number to reserve money for. `request_token` tells a repeat of ours from somebody else's request.

    `route` says as JSON why this offer is tried first.
    """

    account_id: AccountId
    request_key: str
    request_item: int
    request_token: int
    offer: PricedOffer
    route: str | None = None
    ip: str | None = None
    """Where it is asked for."""
    note: HandoverNote | None = None


@dataclass(frozen=True, slots=True)
class Settlement:
    """A provider's answer to one attempt, and the offer to try next if it refused."""

    order_id: OrderId
    attempt: int
    provider_id: ProviderId
    cancel_after_ms: int
    lifetime_ms: int
    answer: RentAnswer
    next_offer: PricedOffer | None = None
    failure: Failure = "provider_refused"
    took_ms: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """Messages that a provider has for one activation."""

    provider_id: ProviderId
    upstream_id: str
    messages: tuple[Received, ...]


@dataclass(frozen=True, slots=True)
class Inbound:
    """A message that a provider posted, waiting for its order. It names the activation, or only the number."""

    id: int
    provider_id: ProviderId
    upstream_id: str | None
    number: str | None
    sender: str
    code: str
    text: str
    tries: int
    received_at: datetime


@dataclass(frozen=True, slots=True)
class CancelWanted:
    """A customer's wish to cancel."""

    account_id: AccountId
    order_id: OrderId


@dataclass(frozen=True, slots=True)
class Closing:
    """An order to end without payment, if it still is in one of the states named.

    `proof` is what shows that the provider takes the number back; without any it is only assumed.
    """

    order_id: OrderId
    expected: frozenset[OrderState]
    state: EndState
    failure: Failure | None = None
    proof: UpstreamRefund = "assumed"


@dataclass(frozen=True, slots=True)
class Prolongation:
    """More hours for a rental: a row of `prolongations`. `ended_before` is when it would have ended without them."""

    id: int
    order_id: OrderId
    request_key: str
    hours: int
    price_paise: Paise
    cost_paise: Paise
    state: ProlongationState
    provider_id: ProviderId
    upstream_id: str
    ended_before: datetime
    refusal: str
    sent_at: datetime
    settled_at: datetime | None
    next_try_at: datetime | None
    tries: int
