"""Statements on endpoints. Whoever reads for a customer names the account: what is another's is not there."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from numberdesk.base.db import Tx, columns, many, maybe, one, run, value
from numberdesk.wallet.model import AccountId
from numberdesk.webhooks.model import Endpoint, EndpointId, EndpointState, Format


@dataclass(frozen=True, slots=True)
class Change:
    """What an owner wants an endpoint to be."""

    url: str
    events: Sequence[str]
    format: Format
    state: EndpointState


async def lock_account(tx: Tx, account_id: AccountId) -> None:
    """Let one change of an account's list of endpoints wait for the other, until the end of the transaction."""
    await value(tx, "SELECT pg_advisory_xact_lock(hashtextextended('webhook_endpoints', $1))", account_id)


async def count_endpoints(tx: Tx, account_id: AccountId) -> int:
    """Return how many endpoints an account has."""
    query = "SELECT count(*) FROM webhook_endpoints WHERE account_id = $1 AND state <> 'deleted'"
    return int(await value(tx, query, account_id))


async def next_endpoint_id(tx: Tx) -> EndpointId:
    """Take the id of a new endpoint: its secret is sealed to it."""
    return EndpointId(await value(tx, "SELECT nextval(pg_get_serial_sequence('webhook_endpoints', 'id'))"))


async def insert_endpoint(
    tx: Tx, endpoint_id: EndpointId, account_id: AccountId, wanted: Change, secret: bytes
) -> Endpoint:
    """Write an endpoint that starts at the end of the account's log."""
    return await one(
        tx,
        Endpoint,
        """
        INSERT INTO webhook_endpoints (id, account_id, url, events, format, state, secret, cursor_seq)
        OVERRIDING SYSTEM VALUE
        VALUES ($1, $2, $3, $4, $5, $6, $7,
                coalesce((SELECT last_seq FROM event_counters WHERE account_id = $2), 0))
        RETURNING *
        """,
        endpoint_id,
        account_id,
        wanted.url,
        wanted.events,
        wanted.format,
        wanted.state,
        secret,
    )


async def list_endpoints(tx: Tx, account_id: AccountId, *, limit: int) -> list[Endpoint]:
    """Return an account's endpoints, the oldest first."""
    query = "SELECT * FROM webhook_endpoints WHERE account_id = $1 AND state <> 'deleted' ORDER BY id LIMIT $2"
    return await many(tx, Endpoint, query, account_id, limit)


async def find_endpoint(tx: Tx, account_id: AccountId, endpoint_id: EndpointId, *, lock: bool) -> Endpoint | None:
    """Return an endpoint of this account, locked until the end of the transaction if that is wanted."""
    if lock:
        query = "SELECT * FROM webhook_endpoints WHERE id = $1 AND account_id = $2 AND state <> 'deleted' FOR UPDATE"
        return await maybe(tx, Endpoint, query, endpoint_id, account_id)
    query = "SELECT * FROM webhook_endpoints WHERE id = $1 AND account_id = $2 AND state <> 'deleted'"
    return await maybe(tx, Endpoint, query, endpoint_id, account_id)


async def set_changed(tx: Tx, endpoint_id: EndpointId, wanted: Change) -> Endpoint:
    """Write what its owner wants, on a row that is locked. Out of `disabled` it goes on at the end of the log."""
    return await one(
        tx,
        Endpoint,
        """
        UPDATE webhook_endpoints AS endpoint
        SET url = $2, events = $3, format = $4, state = $5, version = version + 1,
            failing_since = CASE WHEN url = $2 AND state <> 'disabled' THEN failing_since END,
            disabled_at = CASE WHEN $5 = 'disabled' THEN disabled_at END,
            cursor_seq = CASE WHEN state = 'disabled' AND $5 <> 'disabled' THEN greatest(cursor_seq, coalesce(
                (SELECT last_seq FROM event_counters WHERE account_id = endpoint.account_id), 0)) ELSE cursor_seq END
        WHERE id = $1
        RETURNING *
        """,
        endpoint_id,
        wanted.url,
        wanted.events,
        wanted.format,
        wanted.state,
    )


async def set_rotated(tx: Tx, endpoint_id: EndpointId, secret: bytes, old: bytes, *, overlap: timedelta) -> Endpoint:
    """Put a new secret into force, on a row that is locked; the old one signs too for a while."""
    return await one(
        tx,
        Endpoint,
        """
        UPDATE webhook_endpoints
        SET secret = $2, old_secret = $3, old_secret_until = clock_timestamp() + $4::interval, version = version + 1
        WHERE id = $1
        RETURNING *
        """,
        endpoint_id,
        secret,
        old,
        overlap,
    )


async def set_deleted(tx: Tx, endpoint_id: EndpointId) -> None:
    """anything -> deleted, on a row that is locked."""
    query = "UPDATE webhook_endpoints SET state = 'deleted', disabled_at = NULL, version = version + 1 WHERE id = $1"
    await run(tx, query, endpoint_id)


async def set_working(tx: Tx, endpoint_id: EndpointId) -> None:
    """Forget that it failed."""
    query = "UPDATE webhook_endpoints SET failing_since = NULL WHERE id = $1 AND failing_since IS NOT NULL"
    await run(tx, query, endpoint_id)


async def set_failing(tx: Tx, endpoint_id: EndpointId, *, url: str) -> timedelta | None:
    """Note a failure at this address; returns how long it has been failing, None when it is not on or moved away."""
    found: timedelta | None = await value(
        tx,
        """
        UPDATE webhook_endpoints SET failing_since = coalesce(failing_since, clock_timestamp())
        WHERE id = $1 AND state = 'on' AND url = $2
        RETURNING clock_timestamp() - failing_since
        """,
        endpoint_id,
        url,
    )
    return found


async def set_disabled(tx: Tx, endpoint_id: EndpointId, *, url: str) -> Endpoint | None:
    """on -> disabled; None when it was not on, or leads elsewhere by now."""
    return await maybe(
        tx,
        Endpoint,
        """
        UPDATE webhook_endpoints SET state = 'disabled', disabled_at = clock_timestamp(), version = version + 1
        WHERE id = $1 AND state = 'on' AND url = $2
        RETURNING *
        """,
        endpoint_id,
        url,
    )


async def delete_endpoints(tx: Tx, *, limit: int) -> int:
    """Remove deleted endpoints with their deliveries, step by step; returns how many rows went."""
    deliveries = await run(
        tx,
        """
        DELETE FROM webhook_deliveries WHERE id IN (
            SELECT delivery.id FROM webhook_deliveries AS delivery
            JOIN webhook_endpoints AS endpoint ON endpoint.id = delivery.endpoint_id AND endpoint.state = 'deleted'
            LIMIT $1)
        """,
        limit,
    )
    endpoints = await run(
        tx,
        """
        DELETE FROM webhook_endpoints WHERE id IN (
            SELECT id FROM webhook_endpoints WHERE state = 'deleted' ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)
        AND NOT EXISTS (SELECT FROM webhook_deliveries WHERE endpoint_id = webhook_endpoints.id)
        """,
        limit,
    )
    return deliveries + endpoints


async def list_secrets(tx: Tx, *, after_id: int, limit: int) -> list[Endpoint]:
    """Return endpoints by id, locked, for a change of keys."""
    return await many(
        tx, Endpoint, "SELECT * FROM webhook_endpoints WHERE id > $1 ORDER BY id LIMIT $2 FOR UPDATE", after_id, limit
    )


async def set_secrets(tx: Tx, endpoints: Sequence[Endpoint]) -> int:
    """Write secrets that were sealed anew."""
    return await run(
        tx,
        """
        UPDATE webhook_endpoints AS endpoint SET secret = resealed.secret, old_secret = resealed.old_secret
        FROM unnest($1::bigint[], $2::bytea[], $3::bytea[]) AS resealed (id, secret, old_secret)
        WHERE endpoint.id = resealed.id
        """,
        *columns(endpoints, "id", "secret", "old_secret"),
    )
