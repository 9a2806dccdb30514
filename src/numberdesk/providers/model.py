"""Nouns of the providers slice: a provider, and the answers an adapter may give."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NewType

from numberdesk.base.money import Paise

ProviderId = NewType("ProviderId", int)
Kind = Literal["sms-activate"]

RefusalReason = Literal[
    "no_numbers",
    "no_balance",
    "price_changed",
    "bad_service",
    "bad_country",
    "bad_operator",
    "bad_key",
    "account_blocked",
    "not_allowed",
    "unreachable",
    "busy",
    "switched_off",
]
"""Why a provider surely did nothing. Every word outside an adapter's list is `Unknown` instead.

The last three are ours: the request never left, because the provider could not be reached, had no free place in time,
or is switched off. `not_allowed`: the provider does not have this step, or the activation's state does not allow it.
"""


@dataclass(frozen=True, slots=True)
class Provider:
    """A row of `providers`, without its key. Costs are in the provider's currency times `paise_per_unit`."""

    id: ProviderId
    name: str
    kind: Kind
    url: str
    is_on: bool
    paise_per_unit: int
    parallel_max: int
    calls_per_second: int
    deadline_ms: int
    poll_ms: int
    cancel_after_ms: int
    lifetime_ms: int
    extend_paise_per_minute: int | None
    synced_at: datetime | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """One number to rent. `ceiling_paise` is the cost above which the provider must not sell.

    `reference` is our own id of the attempt, for providers that take one.
    """

    service: str
    country: int
    operator: str
    ceiling_paise: Paise
    reference: str


@dataclass(frozen=True, slots=True)
class Rented:
    """Sold: a well-formed id and number, at a cost not above the ceiling when the provider tells it."""

    upstream_id: str
    number: str
    cost_paise: Paise | None
    can_get_next: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """Surely not done, for a listed reason."""

    reason: RefusalReason
    detail: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may or may not have happened: time-out, cut connection, 5xx, unlisted word, unreadable body."""

    detail: str


@dataclass(frozen=True, slots=True)
class Received:
    """One message. `text` may be empty when the provider passes the code only."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """The activation lives and no (further) message came."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The provider says the activation is over or not known: cancelled, expired, finished."""

    detail: str


@dataclass(frozen=True, slots=True)
class Done:
    """The provider did what was asked, or had done it before."""


@dataclass(frozen=True, slots=True)
class TooEarly:
    """The provider does not cancel yet."""


@dataclass(frozen=True, slots=True)
class CodeWon:
    """The provider does not cancel because a code came first."""


@dataclass(frozen=True, slots=True)
class Activation:
    """One line of a provider's list of activations.

    `reference` is our own id of the attempt, where the provider repeats it. `is_live` is false for those that some
    providers still list for a while after their end, so that a late message is seen.
    """

    upstream_id: str
    service: str
    country: int | None
    number: str
    messages: tuple[Received, ...]
    cost_paise: Paise | None
    reference: str | None = None
    is_live: bool = True


@dataclass(frozen=True, slots=True)
class ActiveList:
    """Everything the provider says is live now. `is_whole` is false when the provider cut the list."""

    activations: tuple[Activation, ...]
    is_whole: bool


@dataclass(frozen=True, slots=True)
class UpstreamOffer:
    """What a provider sells, in canonical codes."""

    service: str
    country: int
    operator: str
    cost_paise: Paise
    stock: int


RentAnswer = Rented | Refused | Unknown
LookAnswer = Waiting | tuple[Received, ...] | Ended | Unknown
CancelAnswer = Done | TooEarly | CodeWon | Ended | Unknown
DoneAnswer = Done | Refused | Ended | Unknown
