"""Nouns of the catalogue."""

from dataclasses import dataclass
from datetime import datetime
from typing import NewType

from msgspec import Struct

from numberdesk.base.money import Paise
from numberdesk.providers.model import ProviderId

ServiceCode = NewType("ServiceCode", str)
"""SMS-Activate's code of a service: `tg`, `wa`, `go`."""
CountryCode = NewType("CountryCode", int)
"""SMS-Activate's number of a country: 22 is India. It is not a calling code."""
OfferId = NewType("OfferId", int)

ANY_OPERATOR = "any"
"""The operator of an offer that leaves the choice to the provider."""


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
class Server:
    """What the catalogue knows of a provider. Customers call it by its name or by its number, which is the id."""

    id: ProviderId
    name: str
    is_on: bool
    lifetime_ms: int
    cancel_after_ms: int
    extend_paise_per_minute: int | None


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


class PricedOffer(Struct, frozen=True, gc=False):
    """An offer at the price of one customer. `server` is the number that customers call the provider by."""

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
class OfferChanges:
    """How many offers a sync touched."""

    added: int
    changed: int
    gone: int


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync did. The two lists name what the provider sells and our lists do not know, so nobody can buy it.

    `unusable` counts offers with a cost, stock or operator that cannot be meant.
    """

    added: int
    changed: int
    gone: int
    unmapped_services: tuple[str, ...]
    unmapped_countries: tuple[int, ...]
    unusable: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """How many rows the data files hold, and how many of them were new or different in the database."""

    countries: int
    services: int
    blocked_categories: int
    changed: int
