"""Nouns of the catalogue."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NewType

from msgspec import Struct

from numberdesk.base.money import Paise
from numberdesk.providers.model import Kind, ProviderId, WordKind

ServiceCode = NewType("ServiceCode", str)
"""SMS-Activate's code of a service: `tg`, `wa`, `go`."""
CountryCode = NewType("CountryCode", int)
"""SMS-Activate's number of a country: 22 is India. It is not a calling code."""
OfferId = NewType("OfferId", int)

Route = Literal["cheapest", "best"]
"""How a purchase chooses among offers: by price, or by the expected price of a code that comes."""


@dataclass(frozen=True, slots=True)
class Service:
    """Something that sends codes. Its category may be blocked as a whole."""

    code: ServiceCode
    name: str
    category: str
    is_on: bool


@dataclass(frozen=True, slots=True)
class Country:
    """A country numbers are rented in. Of two with one `iso`, the text means the one with `iso_default`."""

    code: CountryCode
    iso: str
    name: str
    calling_code: str
    iso_default: bool
    is_on: bool


@dataclass(frozen=True, slots=True)
class BlockedCategory:
    """A category of services that is not sold while `is_on`, and why."""

    category: str
    reason: str
    is_on: bool


@dataclass(frozen=True, slots=True)
class Category:
    """A category of services, and whether all of them are blocked."""

    word: str
    is_blocked: bool
    reason: str
    """What customers read while it is blocked; empty if it never was."""
    services: int
    """How many services are of it."""


@dataclass(frozen=True, slots=True)
class Server:
    """What the catalogue knows of a provider. Customers call it by its name or by its number, which is the id."""

    id: ProviderId
    name: str
    is_on: bool
    lifetime_ms: int
    cancel_after_ms: int
    extend_paise_per_minute: int | None
    weight_percent: int
    open_max: int | None
    kind: Kind
    dialect: str


@dataclass(frozen=True, slots=True)
class Offer:
    """What one provider asks for a number; stock is 0 when it no longer lists the offer."""

    id: OfferId
    service: ServiceCode
    country: CountryCode
    provider_id: ProviderId
    operator: str
    cost_paise: Paise
    stock: int


@dataclass(frozen=True, slots=True)
class PriceRule:
    """How a cost becomes a price, for everything that its named fields fit; None fits all."""

    account_id: int | None
    service: ServiceCode | None
    country: CountryCode | None
    provider_id: ProviderId | None
    margin_basis_points: int
    floor_paise: Paise


@dataclass(frozen=True, slots=True)
class RentalOffer:
    """What one provider asks for a number for so many hours. Its id is below 0, and that of no other offer."""

    id: OfferId
    service: ServiceCode
    country: CountryCode
    provider_id: ProviderId
    operator: str
    hours: int
    cost_paise: Paise
    stock: int


class PricedOffer(Struct, frozen=True, gc=False):
    """An offer at the price of one customer. `server` is the number that customers call the provider by.

    With `hours` it is a rental; its lifetime is those hours.
    """

    offer_id: OfferId
    service: ServiceCode
    country: CountryCode
    provider_id: ProviderId
    provider_name: str
    server: int
    operator: str
    cost_paise: Paise
    price_paise: Paise
    stock: int
    lifetime_ms: int
    cancel_after_ms: int
    extend_paise_per_minute: int | None
    hours: int | None = None


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Every price of one customer: country -> service -> (lowest price in rupees, stock), and the ETag of it."""

    prices: dict[CountryCode, dict[ServiceCode, tuple[str, int]]]
    etag: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Two equal marks mean that nothing a price depends on has changed between them."""

    version: int
    providers_changed_at: list[datetime]


@dataclass(frozen=True, slots=True)
class ListedOffer:
    """What one provider lists now, in our codes."""

    service: ServiceCode
    country: CountryCode
    operator: str
    cost_paise: Paise
    stock: int


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync did. The two lists name what the provider sells and our lists do not know, so nobody can buy it.

    `unusable` counts offers with a cost, stock or operator that cannot be meant.
    """

    added: int
    changed: int
    gone: int
    unmapped_services: tuple[str, ...]
    unmapped_countries: tuple[str, ...]
    unusable: int


SyncState = Literal["running", "done", "failed"]
SyncStep = Literal["reading", "comparing", "writing", "done"]
"""What a sync is at: the provider's answer, what differs, or our own rows."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sync is: so many of the offers that are to be compared, or of the rows that are to be written."""

    step: SyncStep
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Turn:
    """A sync that was begun here; nobody else syncs the provider while its lease holds. Forced: any list counts."""

    sync_id: int
    provider_id: ProviderId
    is_forced: bool


@dataclass(frozen=True, slots=True)
class Sync:
    """A sync as it stands in the books: what it is at or has done, or in `detail` why it failed."""

    id: int
    provider_id: ProviderId
    state: SyncState
    is_forced: bool
    step: SyncStep
    done: int
    total: int
    added: int
    changed: int
    gone: int
    unmapped_services: int
    unmapped_countries: int
    unusable: int
    detail: str
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class UnmappedWord:
    """A word of a provider that means nothing to us, what the provider calls it, and since when it is known."""

    kind: WordKind
    word: str
    name: str
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Loaded:
    """How many rows the data files hold, and how many of them were new or different in the database."""

    countries: int
    services: int
    blocked_categories: int
    changed: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """How often a number got its first code, and how fast, counted over the last `window_hours`.

    `n` counts sold numbers that got a code or ended without one; those still waiting do not count. `low` and `high`
    are the 95 % Wilson interval of `delivered / n`. The seconds are None when nothing was delivered.
    """

    n: int
    delivered: int
    window_hours: int
    low: float
    high: float
    median_seconds: int | None
    p90_seconds: int | None


DeliveryKey = tuple[ServiceCode, CountryCode, ProviderId, str]
"""Service, country, provider and operator, as offers have them."""


@dataclass(frozen=True, slots=True)
class DeliveryTotal:
    """What was counted of one service, country, provider and operator in a window of hours.

    `cancelled` are those of `sold` that their customer gave up before a code; they count as not delivered.
    `refunds` are numbers whose money went back to the customer, extensions included. What came back from the
    provider is told apart by what proves it; `confirmed`, `assumed`, `refused` and `due` sum to `refunds`, and their
    paise are what the provider charged. `gap_paise` is what customers got back where the provider did not confirm.
    """

    service: ServiceCode
    country: CountryCode
    provider_id: ProviderId
    operator: str
    sold: int
    delivered: int
    cancelled: int
    refunds: int
    refunds_paise: Paise
    confirmed: int
    confirmed_paise: Paise
    assumed: int
    assumed_paise: Paise
    refused: int
    refused_paise: Paise
    due: int
    due_paise: Paise
    gap_paise: Paise
    waits: Sequence[int]
    """First codes by the time they took; see `service.WAIT_BOUNDS_MS`."""
