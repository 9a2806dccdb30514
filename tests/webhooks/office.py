"""A courier in a world of orders: endpoints, events, and what the tables hold."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from standardwebhooks import Webhook

from numberdesk.accounts.model import CUSTOMER_SCOPES, Caller
from numberdesk.base import clock
from numberdesk.base.visit import Visit
from numberdesk.notifications.service import Poster
from numberdesk.orders.model import EventType
from numberdesk.orders.sql import NewEvent, insert_events
from numberdesk.wallet.model import AccountId
from numberdesk.webhooks import jobs, service
from numberdesk.webhooks.model import DeliveryId, Endpoint, EndpointId, Format
from numberdesk.webhooks.service import Courier, Wanted
from tests.orders.world import World
from tests.webhooks.receivers import Got, Receiver

VISIT = Visit("a-request-of-the-tests", "127.0.0.1", "tests")


def caller(account_id: AccountId, **changes: Any) -> Caller:
    """Return a caller with the key of an account."""
    given: dict[str, Any] = {
        "account_id": account_id, "key_id": None, "session_id": None, "scopes": CUSTOMER_SCOPES, "state": "active",
        "role": "customer", "expires_at": None, "is_verified": True, "owes_terms": False, "api_per_minute": None,
    }  # fmt: skip
    return Caller(**given | changes)


@dataclass
class Office:
    """What the tests work with."""

    world: World
    courier: Courier
    secrets: dict[EndpointId, str] = field(default_factory=dict)

    async def hook(
        self,
        url: str,
        *,
        account: AccountId | None = None,
        events: Sequence[EventType] | None = None,
        format: Format = "standard",  # noqa: A002 - the field's name
    ) -> Endpoint:
        """Add an endpoint, for Alice unless somebody else is named."""
        who = caller(account or self.world.alice)
        endpoint, secret = await service.create(self.courier, who, VISIT, Wanted(url, events, format))
        self.secrets[endpoint.id] = secret
        return endpoint

    async def happen(self, order_id: int, type: EventType, *ordinals: int, account: AccountId | None = None) -> None:  # noqa: A002
        """Let something happen to an order, in the log only."""
        async with self.world.db.transaction() as tx:
            events = [
                NewEvent(account or self.world.alice, order_id, type, ordinal)  # type: ignore[arg-type]
                for ordinal in ordinals or (1,)
            ]
            await insert_events(tx, events)

    async def turn(self) -> None:
        """Let the pass run until there is nothing that it would begin, and wait for what it began."""
        while await jobs.deliver(self.courier):
            pass
        await service.drain(self.courier)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Run the pass as the worker does, for as long as the block lasts."""

        async def work() -> None:
            while True:
                if not await jobs.deliver(self.courier):
                    await asyncio.sleep(0.05)

        task = asyncio.create_task(work())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def rows(self, endpoint: Endpoint) -> list[dict[str, Any]]:
        """Return the deliveries of an endpoint as they stand in the table, the oldest first."""
        found = await self.world.backstage.fetch(
            "SELECT * FROM webhook_deliveries WHERE endpoint_id = $1 ORDER BY id", endpoint.id
        )
        return [dict(row) for row in found]

    async def row(self, endpoint: Endpoint) -> dict[str, Any]:
        (row,) = await self.rows(endpoint)
        return row

    async def state(self, endpoint: Endpoint) -> dict[str, Any]:
        return dict(await self.world.backstage.fetchrow("SELECT * FROM webhook_endpoints WHERE id = $1", endpoint.id))

    async def age(self, time: timedelta, *, log: bool = False) -> None:
        """Let time pass by the database's clock: everything about webhooks moves into the past, the log if wanted."""
        tables: dict[str, tuple[str, ...]] = {
            "webhook_endpoints": ("old_secret_until", "failing_since", "disabled_at", "created_at"),
            "webhook_deliveries": ("next_try_at", "leased_until", "created_at", "tried_at", "ended_at"),
        } | ({"order_events": ("at",)} if log else {})
        for table, names in tables.items():
            moved = ", ".join(f"{name} = {name} - $1::interval" for name in names)
            await self.world.backstage.execute(f"UPDATE {table} SET {moved}", time)

    async def resend(self, delivery_id: int, *, account: AccountId | None = None) -> None:
        await service.resend(self.courier, account or self.world.alice, DeliveryId(delivery_id))

    async def letters(self) -> list[tuple[str, int]]:
        """Return template and account of every mail, without those that an endpoint was added."""
        found = await self.world.backstage.fetch(
            "SELECT template, account_id FROM outbox WHERE template <> 'webhook_made' ORDER BY id"
        )
        return [(row[0], row[1]) for row in found]


def verified(secret: str, got: Got) -> Any:
    """Verify a POST as a customer does, with the library of Standard Webhooks; returns its body."""
    return Webhook(secret).verify(got.body, got.headers)


@asynccontextmanager
async def office_in(world: World, *, poster: Poster | None = None) -> AsyncIterator[Office]:
    """Open a courier in a world."""
    courier = service.open_courier(world.db, world.vault, poster=poster or Poster(allows_loopback=True))
    try:
        yield Office(world, courier)
    finally:
        await service.stop(courier)
        await service.close(courier)


async def taken(receiver: Receiver, count: int, *, seconds: float = 10.0) -> None:
    """Wait until a receiver got so many."""
    until = clock.seconds() + seconds
    while len(receiver.got) < count:
        assert clock.seconds() < until, f"{len(receiver.got)} of {count} came"
        await asyncio.sleep(0.01)
