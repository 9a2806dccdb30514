"""The public status, ready to be sent: read every few seconds, answered from memory."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct

from numberdesk.base import clock
from numberdesk.base.db import Database
from numberdesk.base.rendered import Rendered
from numberdesk.base.web import encode, rfc3339
from numberdesk.catalogue import service as catalogue
from numberdesk.catalogue.model import Delivery
from numberdesk.catalogue.service import Shelf
from numberdesk.monitoring import sql
from numberdesk.monitoring.model import Day, Part
from numberdesk.monitoring.service._parts import SERVER, SHOWN_DAYS

STALE: Final = timedelta(minutes=3)
"""After so long without a look nobody looks any more, and the service is not well."""
READ_EVERY: Final = 5.0


class DayView(Struct, frozen=True):
    """One day in UTC: its minutes by how the part was. Minutes that are missing were not measured."""

    day: str
    ok: int
    degraded: int
    down: int


class RateView(Struct, rename="camel", frozen=True):
    """How often a number got its first code: the rate and between what it lies with 95 % certainty."""

    rate: float
    low: float
    high: float
    n: int
    window_hours: int


class PartView(Struct, rename="camel", frozen=True):
    """One part: api, numbers, codes, payments, notices, webhooks, or `server:` and the name of a server.

    `status` is ok, degraded or down, `since` when that began; `days` are the last 30, oldest first.
    """

    name: str
    status: str
    since: datetime | None
    delivery: RateView | None
    """Of the server, or of all for the part `codes`; null while fewer than 5 numbers were sold."""
    days: list[DayView]


class StatusView(Struct, rename="camel", frozen=True):
    """How the service is: the worst of its parts but the servers, of which another one may do.

    `unknown` until the parts were judged for the first time, a moment after the first start.
    """

    status: str
    looked_at: datetime | None
    """When the parts were last judged; null before the first time."""
    parts: list[PartView]


class StatusBoard:
    """The answer of `/system/status`, made again when something has changed."""

    def __init__(self, db: Database, shelf: Shelf) -> None:
        self._db = db
        self._shelf = shelf
        self.rendered = Rendered(encode(StatusView("unknown", None, [])))

    async def refresh(self) -> None:
        """Read the parts; meant for every few seconds."""
        async with self._db.statement() as tx:
            parts = await sql.list_parts(tx)
            days = await sql.list_days(tx, days=SHOWN_DAYS)
            names = await sql.list_provider_names(tx)
        body = encode(status_of(parts, days, _sold(self._shelf, names), now=clock.now()))
        if body != self.rendered.body:
            self.rendered = Rendered(body)


Sold = dict[str, tuple[int, int]]
"""Numbers settled and delivered by each server, by its name."""


def _sold(shelf: Shelf, names: dict[int, str]) -> Sold:
    found: Sold = {}
    for (_, _, provider_id, _), delivery in shelf.deliveries.items():
        name = names.get(provider_id)
        if name is not None:
            n, delivered = found.get(name, (0, 0))
            found[name] = n + delivery.n, delivered + delivery.delivered
    return found


def status_of(parts: list[Part], days: list[Day], sold: Sold, *, now: datetime) -> StatusView:
    """Shape the status."""
    by_part: dict[str, list[DayView]] = defaultdict(list)
    for item in days:
        by_part[item.part].append(DayView(item.day.isoformat(), item.ok, item.degraded, item.down))
    looked_at = max((part.looked_at for part in parts), default=None)
    states = {part.state for part in parts if not part.part.startswith(SERVER)}
    if looked_at is None:
        status = "unknown"
    elif now - looked_at > STALE:
        status = "down"
    else:
        status = next((state for state in ("down", "degraded") if state in states), "ok")
    views = [
        PartView(part.part, part.state, rfc3339(part.since), _rate(part.part, sold), by_part[part.part])
        for part in sorted(parts, key=lambda part: (part.part.startswith(SERVER), part.part))
    ]
    shown = None if looked_at is None else looked_at.astimezone(UTC).replace(second=0, microsecond=0)
    return StatusView(status, shown, views)


def _rate(part: str, sold: Sold) -> RateView | None:
    if part == "codes":
        n, delivered = (sum(numbers) for numbers in zip(*sold.values(), strict=True)) if sold else (0, 0)
    else:
        n, delivered = sold.get(part.removeprefix(SERVER), (0, 0)) if part.startswith(SERVER) else (0, 0)
    between = catalogue.wilson(delivered, n)
    if between is None or n < catalogue.SHOWN_MIN:
        return None
    hours = catalogue.WINDOW_HOURS
    rate, low, high = catalogue.shown_rates(Delivery(n, delivered, hours, *between, None, None))
    return RateView(rate, low, high, n, hours)
