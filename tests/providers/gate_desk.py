"""Open processes on one database with a simulated provider, and move the database's clock for its health."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg

from numberdesk.base.crypto import Vault, new_key
from numberdesk.base.db import Database
from numberdesk.providers import service as providers
from numberdesk.providers import simulator
from numberdesk.providers.model import Provider, ProviderId, Refused, RentAnswer
from numberdesk.providers.service import Health, Lines
from numberdesk.providers.simulator import Simulator
from tests.providers.line_desk import KEY, wanted

DEADLINE_MS = 200
SHUT = Refused("breaker_open", "")


@dataclass
class Gated:
    """A provider and the processes that reach it, the first of which is `lines`."""

    db: Database
    backstage: Any
    upstream: Simulator
    provider: Provider
    processes: list[Lines]
    bought: int = 0

    @property
    def lines(self) -> Lines:
        return self.processes[0]

    @property
    def id(self) -> ProviderId:
        return self.provider.id

    async def buy(self, process: int = 0) -> RentAnswer:
        self.bought += 1
        return await providers.rent(self.processes[process], self.id, wanted(reference=f"{self.bought}-1"))

    async def fail(self, profile: Any = "http-500", *, times: int = 5) -> list[RentAnswer]:
        """Buy while the provider fails, and let it be well again."""
        self.upstream.set_profile(profile)
        answers = [await self.buy() for _ in range(times)]
        self.upstream.set_profile("never")
        return answers

    async def spread(self) -> None:
        """Do what the passes of each process do within a second."""
        for lines in self.processes:
            await providers.flush(lines)
        for lines in self.processes:
            await providers.refresh(lines)

    async def pass_time(self, seconds: float) -> None:
        """Let time pass by the database's clock for the health of providers."""
        await self.backstage.execute(
            "UPDATE provider_health SET probe_at = probe_at - $1::interval, changed_at = changed_at - $1::interval,"
            " open_until = open_until - $1::interval",
            timedelta(seconds=seconds),
        )

    async def probe(self, process: int = 0) -> int:
        """Let a worker probe what is due, and everybody see it."""
        asked = await providers.probe_due(self.processes[process])
        await self.spread()
        return asked

    async def row(self) -> Health:
        return (await providers.list_health(self.db))[0]

    def states(self) -> list[str]:
        return [providers.health(lines, self.id).state for lines in self.processes]

    async def alerts(self) -> list[tuple[str, str]]:
        return [(alert.kind, alert.detail) for alert in await providers.list_alerts(self.db)]


@asynccontextmanager
async def gated(
    db: Database, admin_url: str, *, processes: int = 1, profile: Any = "never", **options: Any
) -> AsyncIterator[Gated]:
    """Open so many processes with one provider."""
    vault, opened = Vault([new_key()]), []
    backstage = await asyncpg.connect(admin_url)
    async with await simulator.start(profile=profile, api_key=KEY, record_path=None) as upstream:
        given = {"deadline_ms": DEADLINE_MS, "calls_per_second": 1000, "cancel_after_ms": 0} | options
        provider = await providers.add(
            db, vault, name="upstream", kind="sms-activate", url=upstream.base_url, api_key=KEY, **given
        )
        try:
            for _ in range(processes):
                opened.append(await providers.open_lines(db, vault))
            yield Gated(db, backstage, upstream, provider, opened)
        finally:
            for lines in opened:
                await providers.close(lines)
            await backstage.close()
