"""A provider that rents what a test says, one list for each country and time, and sells nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import msgspec
from aiohttp import web

from numberdesk.base.crypto import Vault, new_key
from numberdesk.base.db import Database
from numberdesk.catalogue import reference
from numberdesk.catalogue import service as catalogue
from numberdesk.catalogue.model import PricedOffer
from numberdesk.catalogue.service import Shelf
from numberdesk.providers import service as providers
from numberdesk.providers.model import ProviderId
from numberdesk.providers.service import Lines
from tests.providers.line_desk import serving

Rented = dict[str, tuple[int, int]]
"""What is asked in paise, and the stock, by service."""

TABLES = {
    "rental_lists": "read_at short_at",
    "rental_readings": "countries_at due_at leased_until",
    "rental_offers": "observed_at",
}
ROUNDS_MAX = 100


@dataclass
class RentalLister:
    """The provider's server: its lists by country and hours, and what it was asked for.

    A list that is None is answered by what nobody can read. Without `countries` it names those that have lists.
    """

    url: str = ""
    lists: dict[tuple[int, int], Rented | None] = field(default_factory=dict)
    countries: list[int] | None = None
    is_broken: bool = False
    asked: list[tuple[str, int]] = field(default_factory=list)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        assert request.query["action"] == "getRentServicesAndCountries"
        country, hours = request.query.get("country", ""), int(request.query["rent_time"])
        self.asked.append((country, hours))
        listed = self.lists.get((int(country or -1), hours), {})
        if self.is_broken or listed is None:
            return web.Response(body=b"<html>")
        countries = self.countries
        if countries is None:
            countries = sorted({code for (code, time), rented in self.lists.items() if time == hours})
        services = {
            service: {"cost": f"{paise // 100}.{paise % 100:02}", "quant": stock}
            for service, (paise, stock) in listed.items()
        }
        told: dict[str, Any] = {"countries": dict(enumerate(countries)), "services": services, "currency": 356}
        return web.Response(body=msgspec.json.encode(told))


@dataclass
class RentalScene:
    """One process with a line to the lister and a shelf, and a door behind the scenes to move clocks."""

    db: Database
    backstage: Any
    lister: RentalLister
    lines: Lines
    shelf: Shelf
    provider_id: ProviderId
    services: list[str]
    """Services that we know and may sell."""

    def many(self, count: int, *, paise: int = 10_000, stock: int = 5) -> Rented:
        return dict.fromkeys(self.services[:count], (paise, stock))

    async def read(self, lists: dict[tuple[int, int], Rented | None] | None = None) -> int:
        """Take one turn after the other until nothing is due, and refresh; returns how many lists were read."""
        if lists is not None:
            self.lister.lists = lists
        whole = 0
        for _ in range(ROUNDS_MAX):
            await self.due()
            count = await catalogue.read_rental_lists(self.db, self.lines)
            whole += count
            if not count:
                await catalogue.refresh(self.db, self.shelf)
                return whole
        raise AssertionError("There is always something to read.")

    async def due(self) -> None:
        await self.backstage.execute("UPDATE rental_readings SET due_at = clock_timestamp()")

    async def age(self, seconds: int) -> None:
        """Let time pass by the database's clock for everything about rentals."""
        for table, columns in TABLES.items():
            moved = ", ".join(f"{name} = {name} - make_interval(secs => {seconds})" for name in columns.split())
            await self.backstage.execute(f"UPDATE {table} SET {moved}")

    async def version(self) -> int:
        return int(await self.backstage.fetchval("SELECT version FROM rental_version"))

    def offers(self, hours: int = 24, **wanted: Any) -> list[PricedOffer]:
        return catalogue.list_rentals(self.shelf, account_id=1, hours=hours, **wanted)

    def told(self, hours: int = 24, **wanted: Any) -> dict[tuple[str, int], tuple[int, int]]:
        """Return price and stock by service and country."""
        return {
            (offer.service, offer.country): (offer.price_paise, offer.stock) for offer in self.offers(hours, **wanted)
        }

    def stocked(self, hours: int = 24) -> int:
        """Return how many rentals have stock."""
        return sum(offer.stock > 0 for offer in self.offers(hours))


@asynccontextmanager
async def opened(db: Database, admin_url: str) -> AsyncIterator[RentalScene]:
    """Load the lists, add the provider and open a line to it."""
    await reference.load(db)
    vault, lister = Vault([new_key()]), RentalLister()
    backstage = await asyncpg.connect(admin_url)
    async with serving(lister.serve) as lister.url:
        provider = await providers.add(
            db, vault, name="lister", kind="sms-activate", url=lister.url, api_key="key-of-the-lister",
            calls_per_second=1000, deadline_ms=5_000,
        )  # fmt: skip
        lines = await providers.open_lines(db, vault)
        shelf = await catalogue.open_shelf(db)
        services = [
            service.code
            for service in shelf.contents.services.values()
            if service.is_on and service.category not in shelf.contents.blocked
        ]
        try:
            yield RentalScene(db, backstage, lister, lines, shelf, provider.id, sorted(services))
        finally:
            await providers.close(lines)
            await backstage.close()
