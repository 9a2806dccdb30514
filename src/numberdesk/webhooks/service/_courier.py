"""The courier: what the verbs of this slice work with in one process, and what it has under way."""

import asyncio
from dataclasses import dataclass, field

from yarl import URL

from numberdesk.accounts import service as accounts
from numberdesk.base import clock
from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database, Tx
from numberdesk.notifications import service as notifications
from numberdesk.notifications.model import Notice, Template, Value
from numberdesk.notifications.service import Poster
from numberdesk.webhooks import sql
from numberdesk.webhooks.model import Endpoint, EndpointId, Leased

STOP_SECONDS = 2.0
"""For what is under way when the process stops. A POST that is cut off then is sent again by the next one."""


@dataclass(frozen=True, eq=False)
class Courier:
    """Everything that webhooks need in one process."""

    db: Database
    vault: Vault
    poster: Poster
    under_way: dict[asyncio.Task[None], Leased] = field(default_factory=dict)
    freed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when something under way has ended: there may be a place for the next."""


def open_courier(db: Database, vault: Vault, *, allows_loopback: bool = False, poster: Poster | None = None) -> Courier:
    """Set up the courier of this process; `close` ends it. Must be called inside a running event loop."""
    return Courier(db, vault, poster or Poster(allows_loopback=allows_loopback))


async def stop(courier: Courier) -> None:
    """Wait a little for what is under way, and give the rest back, so that another worker goes on at once."""
    if not courier.under_way:
        return
    await asyncio.wait(set(courier.under_way), timeout=STOP_SECONDS)
    left = dict(courier.under_way)
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    if left:
        async with courier.db.statement() as tx:
            await sql.set_returned(tx, list(left.values()))


async def close(courier: Courier) -> None:
    """Close what the courier has open."""
    await courier.poster.close()


async def tell_owner(courier: Courier, tx: Tx, template: Template, endpoint: Endpoint, **more: Value) -> None:
    """Tell the owner of an endpoint by mail, once for each of its versions."""
    at = clock.now().isoformat(timespec="seconds")
    notices = [
        Notice(
            template, person.email,
            {"name": person.name, "endpoint": int(endpoint.id), "host": host_of(endpoint), "at": at, **more},
            f"{template}:{endpoint.id}:{endpoint.version}", person.id,
        )
        for person in (await accounts.recipients(tx, [endpoint.account_id])).values()
    ]  # fmt: skip
    await notifications.enqueue(tx, courier.vault, notices)


def host_of(endpoint: Endpoint) -> str:
    """Return what may be told of an address: the rest of it may hold a secret of its owner's."""
    return URL(endpoint.url).host or ""


def place(endpoint_id: EndpointId) -> str:
    """Return what a secret is sealed to."""
    return f"webhook_endpoints.secret:{endpoint_id}"
