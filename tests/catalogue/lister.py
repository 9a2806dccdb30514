"""A provider that lists what a test says, however much it is, and sells nothing."""

import asyncio
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
from numberdesk.catalogue.model import SyncReport
from numberdesk.providers import service as providers
from numberdesk.providers.model import ProviderId
from numberdesk.providers.service import Lines
from tests.providers.line_desk import serving

Listed = dict[tuple[str, int], tuple[int, int]]
"""What is asked in paise, and the stock, by service and country."""


@dataclass
class Lister:
    """The provider's server: what it lists, how often it was asked, and a gate that it answers through."""

    url: str = ""
    body: bytes = b"{}"
    asked: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def list(self, listed: Listed) -> None:
        table: dict[str, dict[str, Any]] = {}
        for (service, country), (paise, stock) in listed.items():
            table.setdefault(str(country), {})[service] = {"cost": f"{paise // 100}.{paise % 100:02}", "count": stock}
        self.body = msgspec.json.encode(table)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked += 1
        await self.gate.wait()
        return web.Response(body=self.body)


@asynccontextmanager
async def listing() -> AsyncIterator[Lister]:
    """Run the server; its gate is open."""
    found = Lister()
    found.gate.set()
    async with serving(found.serve) as found.url:
        try:
            yield found
        finally:
            found.gate.set()


@dataclass
class Scene:
    """One process with a line to the lister, and a door behind the scenes to move clocks."""

    db: Database
    backstage: Any
    vault: Vault
    lister: Lister
    lines: Lines
    provider_id: ProviderId
    pairs: list[tuple[str, int]]
    """Services and countries that we know."""

    def many(self, count: int, *, paise: int = 1_000, stock: int = 5) -> Listed:
        return dict.fromkeys(self.pairs[:count], (paise, stock))

    async def sync(self, listed: Listed | None = None, *, force: bool = False) -> SyncReport:
        if listed is not None:
            self.lister.list(listed)
        return await catalogue.sync(self.db, self.lines, self.provider_id, force=force)

    async def rows(self) -> Listed:
        """Return what the catalogue says of this provider."""
        query = "SELECT service, country, cost_paise, stock FROM offers WHERE provider_id = $1 AND operator = 'any'"
        found = await self.backstage.fetch(query, self.provider_id)
        return {(row["service"], row["country"]): (row["cost_paise"], row["stock"]) for row in found}

    async def stocked(self) -> Listed:
        return {pair: asked for pair, asked in (await self.rows()).items() if asked[1]}

    async def version(self) -> int:
        return int(await self.backstage.fetchval("SELECT version FROM catalogue_version"))

    async def age(self, seconds: int) -> None:
        """Let time pass by the database's clock for everything about syncs."""
        for table, columns in (("catalogue_syncs", "started_at ended_at leased_until"), ("providers", "synced_at")):
            moved = ", ".join(f"{name} = {name} - make_interval(secs => {seconds})" for name in columns.split())
            await self.backstage.execute(f"UPDATE {table} SET {moved}")

    async def alerts(self) -> list[str]:
        """Return the details of the open alerts on syncs."""
        found = await providers.list_alerts(self.db, provider_id=self.provider_id)
        return [alert.detail for alert in found if alert.kind == "sync_failed"]


@asynccontextmanager
async def opened(db: Database, admin_url: str) -> AsyncIterator[Scene]:
    """Load the lists, add the provider and open a line to it."""
    await reference.load(db)
    vault = Vault([new_key()])
    backstage = await asyncpg.connect(admin_url)
    async with listing() as lister:
        provider = await providers.add(
            db, vault, name="lister", kind="sms-activate", url=lister.url, api_key="key-of-the-lister",
            calls_per_second=1000, deadline_ms=30_000,
        )  # fmt: skip
        lines = await providers.open_lines(db, vault)
        pairs = await backstage.fetch(
            "SELECT s.code, c.code FROM services s CROSS JOIN countries c WHERE s.code <> 'tg' ORDER BY 2, 1"
        )
        try:
            yield Scene(db, backstage, vault, lister, lines, provider.id, [(row[0], row[1]) for row in pairs])
        finally:
            await providers.close(lines)
            await backstage.close()
