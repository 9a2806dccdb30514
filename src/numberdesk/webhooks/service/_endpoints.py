"""What an owner does with endpoints and deliveries: add, change, rotate, remove, test, look, send again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal, get_args

import structlog

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import Caller
from numberdesk.audit import service as audit
from numberdesk.base import ids
from numberdesk.base.crypto import Vault, WrongKey
from numberdesk.base.db import Database, Tx
from numberdesk.base.errors import AppError, InvalidFields, NotFound
from numberdesk.base.visit import Visit
from numberdesk.notifications.model import BadWebhookAddress
from numberdesk.orders.model import EventType
from numberdesk.wallet.model import AccountId
from numberdesk.webhooks import sql
from numberdesk.webhooks.model import (
    TEST,
    Delivery,
    DeliveryId,
    DeliveryState,
    Endpoint,
    EndpointId,
    Format,
)
from numberdesk.webhooks.service._bodies import new_secret
from numberdesk.webhooks.service._courier import Courier, host_of, place, tell_owner

log = structlog.get_logger()

ENDPOINTS_MAX = 5
LIST_MAX = 100
OVERLAP = timedelta(hours=24)
"""How long an old secret signs beside the new one."""
CODES_ONLY: tuple[EventType, ...] = ("code",)


@dataclass(eq=False)
class TooManyWebhooks(AppError):
    """The account has as many webhooks as one may have."""

    most: int

    status = 409
    code = "too_many_webhooks"
    message = "You have {most} webhooks, as many as one account may have. Delete one first."


@dataclass(eq=False)
class WebhookOff(AppError):
    """Nothing is sent to a webhook that is off."""

    status = 409
    code = "webhook_off"
    message = "This webhook is off. Switch it on first."


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an owner says of an endpoint; None is what was not said."""

    url: str | None = None
    events: Sequence[EventType] | None = None
    format: Format | None = None
    state: Literal["on", "off"] | None = None


async def create(courier: Courier, caller: Caller, visit: Visit, wanted: Wanted) -> tuple[Endpoint, str]:
    """Add an endpoint that gets what happens from now on; returns it with its secret, which is shown this once.

    Raises:
        InvalidFields: an address that is not posted to, or events that the format does not have.
        EmailUnverified: the address of the account was not proven.
        TooManyWebhooks: there are as many as one account may have.
    """
    if not caller.is_verified:
        raise accounts.EmailUnverified
    url = wanted.url or ""
    form = wanted.format or "standard"
    change = sql.Change(url, _events(wanted.events, form, None), form, wanted.state or "on")
    await _check(courier, url)
    secret = new_secret()
    async with courier.db.transaction() as tx:
        await sql.lock_account(tx, caller.account_id)
        if await sql.count_endpoints(tx, caller.account_id) >= ENDPOINTS_MAX:
            raise TooManyWebhooks(most=ENDPOINTS_MAX)
        endpoint_id = await sql.next_endpoint_id(tx)
        sealed = courier.vault.seal(secret, about=place(endpoint_id))
        endpoint = await sql.insert_endpoint(tx, endpoint_id, caller.account_id, change, sealed)
        await _record(tx, caller, visit, "webhook_made", endpoint)
        await _warn(courier, tx, visit, endpoint, is_new=True)
    return endpoint, secret


async def change(courier: Courier, caller: Caller, visit: Visit, endpoint_id: EndpointId, wanted: Wanted) -> Endpoint:
    """Change what is said. One that was off goes on where it stopped; one that was disabled goes on from now.

    Raises:
        NotFound: no such endpoint of the caller's.
        InvalidFields: as in `create`.
    """
    await get(courier.db, caller.account_id, endpoint_id)
    if wanted.url is not None:
        await _check(courier, wanted.url)
    async with courier.db.transaction() as tx:
        old = await _locked(tx, caller.account_id, endpoint_id)
        form = wanted.format or old.format
        endpoint = await sql.set_changed(
            tx,
            endpoint_id,
            sql.Change(
                wanted.url or old.url, _events(wanted.events, form, old.events), form, wanted.state or old.state
            ),
        )
        await _record(tx, caller, visit, "webhook_changed", endpoint)
        if endpoint.url != old.url:
            await _warn(courier, tx, visit, endpoint, is_new=False)
    return endpoint


async def rotate(courier: Courier, caller: Caller, visit: Visit, endpoint_id: EndpointId) -> tuple[Endpoint, str]:
    """Give an endpoint a new secret, shown this once; the one before signs beside it for a day.

    A second rotation within that day ends the oldest at once: there are never more than two.

    Raises:
        NotFound: no such endpoint of the caller's.
    """
    secret = new_secret()
    async with courier.db.transaction() as tx:
        old = await _locked(tx, caller.account_id, endpoint_id)
        sealed = courier.vault.seal(secret, about=place(endpoint_id))
        endpoint = await sql.set_rotated(tx, endpoint_id, sealed, old.secret, overlap=OVERLAP)
        await _record(tx, caller, visit, "webhook_rotated", endpoint)
    return endpoint, secret


async def remove(courier: Courier, caller: Caller, visit: Visit, endpoint_id: EndpointId) -> None:
    """Delete an endpoint with its deliveries. What is being posted to it just now still arrives.

    Raises:
        NotFound: no such endpoint of the caller's.
    """
    async with courier.db.transaction() as tx:
        endpoint = await _locked(tx, caller.account_id, endpoint_id)
        await sql.set_deleted(tx, endpoint_id)
        await _record(tx, caller, visit, "webhook_deleted", endpoint)


async def test(courier: Courier, account_id: AccountId, endpoint_id: EndpointId) -> Delivery:
    """Have a test event sent at once, also to an endpoint that is off; it is tried once, and its outcome changes
    nothing else.

    Raises:
        NotFound: no such endpoint of the account.
    """
    async with courier.db.transaction() as tx:
        endpoint = await _locked(tx, account_id, endpoint_id)
        return await sql.insert_test(tx, endpoint, f"evt_test_{ids.base62(20)}", type=TEST)


async def resend(courier: Courier, account_id: AccountId, delivery_id: DeliveryId) -> Delivery:
    """Have a delivery sent at once, whatever became of it, under the id that it has.

    Raises:
        NotFound: no such delivery of the account.
        WebhookOff: its endpoint is not on.
    """
    async with courier.db.transaction() as tx:
        found = await sql.find_delivery(tx, account_id, delivery_id)
        if found is None:
            raise NotFound(what="delivery")
        delivery, endpoint_id = found
        endpoint = await _locked(tx, account_id, endpoint_id)
        if endpoint.state != "on" and delivery.seq is not None:
            raise WebhookOff
        return await sql.set_due(tx, delivery_id)


async def get(db: Database, account_id: AccountId, endpoint_id: EndpointId) -> Endpoint:
    """Return an endpoint.

    Raises:
        NotFound: no such endpoint of the account.
    """
    async with db.statement() as tx:
        endpoint = await sql.find_endpoint(tx, account_id, endpoint_id, lock=False)
    if endpoint is None:
        raise NotFound(what="webhook")
    return endpoint


async def list_endpoints(db: Database, account_id: AccountId) -> list[Endpoint]:
    """Return the account's endpoints, the oldest first."""
    async with db.statement() as tx:
        return await sql.list_endpoints(tx, account_id, limit=LIST_MAX)


async def list_deliveries(
    db: Database,
    account_id: AccountId,
    endpoint_id: EndpointId,
    *,
    state: DeliveryState | None = None,
    cursor: int | None = None,
    limit: int = LIST_MAX,
) -> list[Delivery]:
    """Return deliveries of an endpoint, the newest first, at most `limit` (up to `LIST_MAX`).

    Args:
        cursor: the id of the last one seen.

    Raises:
        NotFound: no such endpoint of the account.
    """
    await get(db, account_id, endpoint_id)
    async with db.statement() as tx:
        return await sql.list_deliveries(tx, endpoint_id, state=state, before=cursor, limit=min(limit, LIST_MAX))


async def reseal(db: Database, vault: Vault, *, limit: int = 500) -> int:
    """Seal again, with the newest key, the secrets that were sealed with another; returns of how many endpoints.

    What cannot be read is left as it is, and logged. It may be repeated.
    """
    resealed, after_id = 0, 0
    while True:
        async with db.transaction() as tx:
            found = await sql.list_secrets(tx, after_id=after_id, limit=limit)
            if not found:
                return resealed
            renewed = [item for item in (_resealed(vault, endpoint) for endpoint in found) if item is not None]
            resealed += await sql.set_secrets(tx, renewed)
        after_id = found[-1].id


def _resealed(vault: Vault, endpoint: Endpoint) -> Endpoint | None:
    """Return an endpoint sealed anew; None when that is not needed, or not possible."""
    about = place(endpoint.id)
    if all(sealed is None or vault.is_newest(sealed) for sealed in (endpoint.secret, endpoint.old_secret)):
        return None
    try:
        old = endpoint.old_secret and vault.renewed(endpoint.old_secret, about=about)
        return replace(endpoint, secret=vault.renewed(endpoint.secret, about=about), old_secret=old)
    except WrongKey:
        log.error("webhook_secret_unreadable", endpoint_id=endpoint.id)
        return None


async def _locked(tx: Tx, account_id: AccountId, endpoint_id: EndpointId) -> Endpoint:
    endpoint = await sql.find_endpoint(tx, account_id, endpoint_id, lock=True)
    if endpoint is None:
        raise NotFound(what="webhook")
    return endpoint


async def _check(courier: Courier, url: str) -> None:
    try:
        await courier.poster.check(url)
    except BadWebhookAddress as problem:
        raise InvalidFields({"url": str(problem)}) from None


def _events(wanted: Sequence[EventType] | None, form: Format, known: Sequence[EventType] | None) -> Sequence[EventType]:
    """Return the events that an endpoint gets, in the order in which they happen.

    Raises:
        InvalidFields: the format has no word for one of them.
    """
    if form != "standard":
        if wanted is not None and set(wanted) != set(CODES_ONLY):
            raise InvalidFields({"events": f"must be order.code alone, since the format {form} has no others"})
        return CODES_ONLY
    chosen = wanted if wanted is not None else known
    return [name for name in get_args(EventType) if chosen is None or name in chosen]


async def _warn(courier: Courier, tx: Tx, visit: Visit, endpoint: Endpoint, *, is_new: bool) -> None:
    """Tell the owner by mail: whoever got hold of a key could have all codes sent elsewhere."""
    await tell_owner(courier, tx, "webhook_made", endpoint, is_new=is_new, ip=visit.ip)


async def _record(tx: Tx, caller: Caller, visit: Visit, action: str, endpoint: Endpoint) -> None:
    told = accounts.done_by(
        caller, visit, action, endpoint_id=int(endpoint.id), host=host_of(endpoint), state=endpoint.state
    )
    await audit.record(tx, told)
