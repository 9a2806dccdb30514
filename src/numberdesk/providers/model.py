"""Nouns of the providers slice: a provider, and the answers an adapter may give."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, NewType

from numberdesk.base.money import Paise
from numberdesk.providers.words import Words as Words

ProviderId = NewType("ProviderId", int)
Kind = Literal["sms-activate", "five-sim", "sms-pool", "agent", "sandbox"]
"""The last one is ours alone: one row that a migration made, with scripted services for sandbox accounts."""
ANY_OPERATOR: Final = "any"
"""The operator that leaves the choice to the provider."""
WordKind = Literal["service", "country"]
WordSource = Literal["list", "iso", "name", "staff"]
"""How a provider's word came to mean our code: a list of ours, a country's two letters, the same name, or a person."""

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
    "breaker_open",
    "spend_limit",
]
"""Why a provider surely did nothing. Every word outside an adapter's list is `Unknown` instead.

The last five are ours: the request never left, because the provider could not be reached, had no free place in time,
is switched off, was failing just now, or has had all the money that may be spent with it in a day. A provider that
turns us away for asking too often is `busy` too. `not_allowed`: the
provider does not have this step, or the activation's state does not allow it.
"""

AlertKind = Literal[
    "breaker",
    "balance",
    "forecast",
    "spend_limit",
    "price_drift",
    "money_gap",
    "unknown_word",
    "sync_failed",
    "unknown_stale",
    "orphan_stale",
    "phantom_stock",
    "unowned_message",
    "rental_revoked",
    "balance_silent",
]
"""What staff are told about a provider."""
TopUpKind = Literal["top_up", "settled_gap"]
BreakerState = Literal["closed", "open", "half_open"]
"""Closed lets purchases through, open none, half open one at a time to try."""
Forced = Literal["open", "closed"]


@dataclass(frozen=True, slots=True)
class Alert:
    """A trouble with a provider, from `opened_at` until `closed_at`, last noticed at `seen_at`."""

    id: int
    provider_id: ProviderId
    provider: str
    kind: AlertKind
    detail: str
    opened_at: datetime
    seen_at: datetime
    closed_at: datetime | None
    told_at: datetime | None
    over_told_at: datetime | None


@dataclass(frozen=True, slots=True)
class ProviderMoney:
    """What is known of our money with a provider. `minutes_left` is None when the forecast knows of no end.

    Its books begin at `anchored_at`. At `booked_until` they stood between `booked_low` and `booked_high`, which are as
    far apart as what was in flight when they began; `booked_count` bookings were added since.
    """

    provider_id: ProviderId
    balance_paise: int | None
    balance_at: datetime | None
    counted_until: datetime | None
    minutes_left: int | None
    anchored_at: datetime | None
    booked_until: datetime | None
    booked_low: int | None
    booked_high: int | None
    booked_count: int
    paise_per_unit: int | None


@dataclass(frozen=True, slots=True)
class MoneyCheck:
    """A balance beside what our books expected. A negative gap is money that is missing, zero is none."""

    provider_id: ProviderId
    at: datetime | None
    balance_paise: int
    expected_low: int
    expected_high: int
    gap_paise: int
    explained: str


@dataclass(frozen=True, slots=True)
class Provider:
    """A row of `providers`, without its key. Costs are in the provider's currency times `paise_per_unit`.

    `open_max` caps its open orders and `spend_max_paise` what is spent with it in a day of UTC; None: no cap.
    `agent_pay_paise` is what an agent gets for a number with its code; None: the adapter's amount. Others name prices.
    """

    id: ProviderId
    name: str
    kind: Kind
    dialect: str
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
    weight_percent: int
    open_max: int | None
    spend_max_paise: int | None
    balance_alert_paise: int | None
    sync_every_ms: int
    agent_pay_paise: int | None
    synced_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a dialect can do, declared by its adapter; the times are what its servers keep, and defaults of the row.

    Attributes:
        has_ceiling: a purchase names the highest cost, and nothing above it is sold.
        has_operators: a purchase can name an operator.
        has_next_code: a number can receive more than one code.
        has_look: one activation can be asked for.
        has_list: all open activations can be asked for with one call.
        repeats_reference: the list names our own id of the attempt.
        is_idempotent: a purchase with a reference that was used before sells nothing.
        tells_cost: the answer to a purchase names its cost.
        pushes: messages can be posted to us.
        sells_at_finish: nothing is owed until we say that a code came, so an unanswered purchase costs nothing.
        has_balance: it keeps a balance of ours, which can be asked for.
        has_rentals: numbers are also rented for hours or days.
        speaks_our_codes: services and countries need no translation.
    """

    cancel_after_ms: int = 120_000
    lifetime_ms: int = 1_200_000
    has_ceiling: bool = True
    has_operators: bool = True
    has_next_code: bool = True
    has_look: bool = True
    has_list: bool = True
    repeats_reference: bool = False
    is_idempotent: bool = False
    tells_cost: bool = True
    pushes: bool = False
    sells_at_finish: bool = False
    has_balance: bool = True
    has_rentals: bool = False
    speaks_our_codes: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """One number to rent. `ceiling_paise` is the cost above which the provider must not sell.

    `reference` is our own id of the attempt, for providers that take one. With `hours` the number is a rental: ours for
    so long, whatever it receives. In most protocols a rental has no ceiling, and its answer tells no cost.
    """

    service: str
    country: int
    operator: str
    ceiling_paise: Paise
    reference: str
    hours: int | None = None


@dataclass(frozen=True, slots=True)
class Rented:
    """Sold: a well-formed id and number, at a cost not above the ceiling when the provider tells it.

    `ends_at` is when a rental ends, where the provider says it beyond doubt: many write a time without its zone.
    """

    upstream_id: str
    number: str
    cost_paise: Paise | None
    can_get_next: bool
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Prolonged:
    """A rental goes on, paid for so many hours more; `ends_at` as in `Rented`.

    A provider may go on under a new id, which is `upstream_id` then: under the old one it knows nothing any more.
    Whoever keeps the rental takes the id over, and compares the number: with another one it is not the same rental.
    """

    upstream_id: str
    number: str
    ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class Refused:
    """Surely not done, for a listed reason."""

    reason: RefusalReason
    detail: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may or may not have happened: time-out, cut connection, 5xx, unlisted word, unreadable body.

    `word` is the answer's word when it is a well-formed one that stands in no list of ours: somebody should look.
    """

    detail: str
    word: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Received:
    """One message. `text` may be empty when the provider passes the code only; most pass no sender on."""

    code: str
    text: str
    sender: str = ""


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
class TooLate:
    """The provider does not take a rental back any more: it stays ours, and paid for."""


@dataclass(frozen=True, slots=True)
class CodeWon:
    """The provider does not cancel because a code came first."""


@dataclass(frozen=True, slots=True)
class Activation:
    """One line of a provider's list of activations.

    `reference` is our own id of the attempt, where the provider repeats it. `is_live` is false for those that some
    providers still list for a while after their end, so that a late message is seen. A rental may come without
    service and country, and without its messages, which only a look brings.
    """

    upstream_id: str
    service: str
    country: int | None
    number: str
    messages: tuple[Received, ...]
    cost_paise: Paise | None
    reference: str | None = None
    is_live: bool = True
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ActiveList:
    """Everything the provider says is live now. `is_whole` is false when the provider cut the list.

    Rentals are in it when they were asked for, by ids with `RENTAL` before them. `has_rentals` is true when all of them
    are; `is_whole` tells nothing of them, except of a list that has only rentals.
    """

    activations: tuple[Activation, ...]
    is_whole: bool
    has_rentals: bool = False


@dataclass(frozen=True, slots=True)
class UpstreamOffer:
    """What a provider sells, in the provider's own words; `any` is the operator that leaves the choice to it."""

    service: str
    country: str
    operator: str
    cost_paise: Paise
    stock: int


@dataclass(frozen=True, slots=True)
class UpstreamName:
    """What a provider says of one of its words: the name people read, and a country's two letters where it tells."""

    word: str
    name: str
    iso: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """A provider's whole catalogue as it lists it now. Names help to find out what its words mean."""

    offers: tuple[UpstreamOffer, ...]
    services: tuple[UpstreamName, ...] = ()
    countries: tuple[UpstreamName, ...] = ()


@dataclass(frozen=True, slots=True)
class RentalListing:
    """What a provider rents in one country for so many hours, in its own words.

    `countries` are those in which it rents, all of them; None where it does not tell.
    """

    offers: tuple[UpstreamOffer, ...]
    countries: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Pushed:
    """A message that a provider posted to us; it names the activation, or only the number.

    `event_id` is the provider's own id of the message, or a digest of what was posted: the same message posted again
    has the same one. `sender` is whom the message is from, and `key` the key that stands in it, where the protocol has
    them; the key must be the provider's.
    """

    event_id: str
    upstream_id: str | None
    number: str | None
    message: Received
    sender: str = ""
    key: str | None = field(default=None, repr=False)


RentAnswer = Rented | Refused | Unknown
LookAnswer = Waiting | tuple[Received, ...] | Ended | Unknown
CancelAnswer = Done | TooEarly | TooLate | CodeWon | Ended | Unknown
DoneAnswer = Done | Refused | Ended | Unknown
ProlongAnswer = Prolonged | Refused | Ended | Unknown
"""Refused and ended are sure: nothing was prolonged, and nothing is owed for it."""

RENTAL: Final = "rent:"
"""Stands before the ids of rentals in `upstream_id`, since providers number rentals and activations apart."""


def is_rental(upstream_id: str) -> bool:
    """Tell the id of a rental from that of an activation."""
    return upstream_id.startswith(RENTAL)
