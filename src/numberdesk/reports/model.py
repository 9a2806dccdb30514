"""Nouns of reports."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

Kind = Literal["revenue", "delivery", "topups", "taxes", "liabilities"]
Zone = Literal["ist", "utc"]
Period = Literal["day", "week", "month", "total"]
Group = Literal["service", "country", "provider"]
Span = Literal["slot", "utc", "ist"]
"""What a row of a rollup is about: half an hour, or a day of one of the two time zones."""

OrderSpan = Literal["slot", "utc", "ist", "utc_sums", "ist_sums"]
"""The same, and the sums of a day: by service, by country, by provider and of all."""

Cell = str | int | float | None
"""A value of a report: text, a count, a rate; rupees are text."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: days are whole ones of the zone, both inclusive."""

    kind: Kind
    first: date
    last: date
    zone: Zone = "ist"
    period: Period = "day"
    by: tuple[Group, ...] = ("service", "country", "provider")
    service: str | None = None
    country: int | None = None
    provider_id: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Lines of a report, in the order of periods and of what they are grouped by."""

    lines: list[dict[str, Cell]]
    following: str | None
    """What to ask with for the next page; None on the last one."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """How new the rollups are: what happened before `counted_at` is in them, but for what is `waiting`."""

    counted_at: datetime | None
    waiting: int
    """Half hours and days that are still to be counted again."""


@dataclass(frozen=True, slots=True)
class Liabilities:
    """What we owe at a moment, in paise. Customers own `available` and `held`; nobody knows yet whose `suspense` is."""

    at: datetime
    available_paise: int
    held_paise: int
    suspense_paise: int

    @property
    def total_paise(self) -> int:
        """All of it."""
        return self.available_paise + self.held_paise + self.suspense_paise


@dataclass(frozen=True, slots=True)
class OrderTotal:
    """Orders of one group in one period: see docs/reports.md for what each figure counts."""

    period: date
    service: str
    country: int
    provider_id: int
    made: int
    sold: int
    delivered: int
    cancelled: int
    paid: int
    revenue_paise: int
    cost_paise: int
    refunded: int
    refunded_paise: int
    released: int
    released_paise: int
    confirmed: int
    confirmed_paise: int
    assumed: int
    assumed_paise: int
    refused: int
    refused_paise: int
    due: int
    due_paise: int
    waits: tuple[int, ...]

    @property
    def margin_paise(self) -> int:
        """What is left: revenue without refunds, less the cost of numbers with a code and of those that are kept."""
        return self.revenue_paise - self.refunded_paise - self.cost_paise - self.refused_paise


@dataclass(frozen=True, slots=True)
class TopUpTotal:
    """What came in and went back by one rail in one period."""

    period: date
    rail: str
    credited: int
    credited_paise: int
    assigned: int
    assigned_paise: int
    suspended: int
    suspended_paise: int
    returned: int
    returned_paise: int
    put_back: int
    put_back_paise: int


@dataclass(frozen=True, slots=True)
class TaxTotal:
    """What receipts, or notes that take receipts back, say in one period."""

    period: date
    kind: str
    receipts: int
    amount_paise: int
    untaxed_paise: int
    taxable_paise: int
    cgst_paise: int
    sgst_paise: int
    igst_paise: int


@dataclass(frozen=True, slots=True)
class Closing:
    """What the buckets of the ledger held at the end of one period."""

    period: date
    available_paise: int
    held_paise: int
    suspense_paise: int
