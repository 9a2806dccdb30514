"""Nouns of the webhooks slice: endpoints, deliveries, and what an attempt came to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NewType, get_args

from numberdesk.orders.model import EventType
from numberdesk.wallet.model import AccountId

EndpointId = NewType("EndpointId", int)
DeliveryId = NewType("DeliveryId", int)

Format = Literal["standard", "classic", "hero"]
"""What a body looks like. standard: ours, of every event. classic and hero: those of SMS-Activate and HeroSMS, of codes
only."""
EndpointState = Literal["on", "off", "disabled", "deleted"]
"""off: paused by its owner. disabled: by us, as it failed for days or said that it is gone. deleted: nobody sees it any
more, and it is about to be removed."""
DeliveryState = Literal["waiting", "delivered", "failed"]

EVENTS: Mapping[str, EventType] = {f"order.{name}": name for name in get_args(EventType)}
"""The types of events as they are called outside."""
TEST = "test"
"""The type of an event that a customer asks for to try an endpoint."""


def shown_type(name: str) -> str:
    """Return what a type is called outside."""
    return name if name == TEST else f"order.{name}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A row of `webhook_endpoints`. The secrets are sealed."""

    id: EndpointId
    account_id: AccountId
    url: str
    events: list[EventType]
    format: Format
    state: EndpointState
    secret: bytes = field(repr=False)
    old_secret: bytes | None = field(repr=False)
    old_secret_until: datetime | None
    cursor_seq: int
    failing_since: datetime | None
    disabled_at: datetime | None
    version: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """A row of `webhook_deliveries`: one event for one endpoint, as its owner sees it."""

    id: DeliveryId
    endpoint_id: EndpointId
    event_id: str
    seq: int | None
    type: str
    state: DeliveryState
    attempts: int
    next_try_at: datetime | None
    last_status: int | None
    problem: str | None
    took_ms: int | None
    created_at: datetime
    tried_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Leased:
    """A delivery to be sent now, with what is needed of its endpoint. `attempts` and `tries` count this one."""

    id: DeliveryId
    endpoint_id: EndpointId
    account_id: AccountId
    event_id: str
    seq: int | None
    type: str
    attempts: int
    tries: int
    created_at: datetime
    url: str
    format: Format
    secret: bytes = field(repr=False)
    old_secret: bytes | None = field(repr=False)
    """None when there is none, or its time is over."""
    is_failing: bool


@dataclass(frozen=True, slots=True)
class Result:
    """What one attempt came to. Of the answer there is only the status."""

    status: int | None
    problem: str | None
    """In our words; None when it was taken."""
    took_ms: int

    @property
    def is_taken(self) -> bool:
        """A receiver says that it has an event with any status of 200 to 299."""
        return self.status is not None and 200 <= self.status < 300
