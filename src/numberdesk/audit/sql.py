"""Every statement on the table of the audit slice."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from numberdesk.audit.model import Event, Recorded, Seal
from numberdesk.base.db import Tx, columns, many, maybe, rows, run, value

LATE_MAX = 100_000
"""How many ids back a row may be committed late: no transaction is open for as many others."""


async def insert_events(tx: Tx, events: Sequence[Event]) -> None:
    """Append events in the order given."""
    await run(
        tx,
        """
        INSERT INTO audit_log (action, actor_kind, actor_id, account_id, ip, request_id, details)
        SELECT action, actor_kind, actor_id, account_id, ip::inet, request_id, details::jsonb
        FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[])
            AS new (action, actor_kind, actor_id, account_id, ip, request_id, details)
        """,
        *columns(events, "action", "actor_kind", "actor_id", "account_id", "ip", "request_id"),
        [msgspec.json.encode(event.details).decode() for event in events],
    )


async def plan_for_values(tx: Tx) -> None:
    """Have statements of this transaction planned for the values they get, so that a filter can use its index."""
    await run(tx, "SET LOCAL plan_cache_mode = force_custom_plan")


async def list_events_of_request(tx: Tx, request_id: str, *, limit: int) -> list[Recorded]:
    """Return what one request made happen, newest first."""
    return await many(
        tx,
        Recorded,
        """
        SELECT id, at, action, actor_kind, actor_id, account_id, host(ip) AS ip, request_id, details::text AS details
        FROM audit_log WHERE request_id = $1 ORDER BY id DESC LIMIT $2
        """,
        request_id,
        limit,
    )


async def list_events(
    tx: Tx,
    *,
    account_id: int | None,
    action: str | None,
    actor_id: int | None,
    since: datetime | None,
    until: datetime | None,
    before: int | None,
    limit: int,
) -> list[Recorded]:
    """Return the newest events before an id: of one account, as its subject or as who acted, or of all."""
    return await many(
        tx,
        Recorded,
        """
        SELECT id, at, action, actor_kind, actor_id, account_id, host(ip) AS ip, request_id, details::text AS details
        FROM audit_log
        WHERE ($1::bigint IS NULL OR account_id = $1 OR (actor_kind = 'person' AND actor_id = $1))
          AND ($2::text IS NULL OR action = $2) AND ($3::bigint IS NULL OR id < $3)
          AND ($5::bigint IS NULL OR (actor_kind = 'person' AND actor_id = $5))
          AND ($6::timestamptz IS NULL OR at >= $6) AND ($7::timestamptz IS NULL OR at < $7)
        ORDER BY id DESC LIMIT $4
        """,
        account_id,
        action,
        before,
        limit,
        actor_id,
        since,
        until,
    )


async def lock_chain(tx: Tx) -> None:
    """Let nobody else seal until the end of the transaction."""
    await value(tx, "SELECT pg_advisory_xact_lock(hashtextextended('audit_seals', 0))")


async def find_head(tx: Tx) -> Seal | None:
    """Return the newest seal, or None."""
    return await maybe(tx, Seal, "SELECT seq, audit_id, hash FROM audit_seals ORDER BY seq DESC LIMIT 1")


async def list_unsealed(tx: Tx, *, limit: int) -> list[Recorded]:
    """Return rows that have no seal yet. Ids are not in the order of commits, so one that came late comes later."""
    return await many(
        tx,
        Recorded,
        """
        SELECT id, at, action, actor_kind, actor_id, account_id, host(ip) AS ip, request_id, details::text AS details
        FROM audit_log
        WHERE id > (SELECT coalesce(max(audit_id), 0) FROM audit_seals) - $2
          AND NOT EXISTS (SELECT FROM audit_seals WHERE audit_id = audit_log.id)
        ORDER BY id LIMIT $1
        """,
        limit,
        LATE_MAX,
    )


async def insert_seals(tx: Tx, seals: Sequence[Seal]) -> None:
    """Append seals."""
    await run(
        tx,
        "INSERT INTO audit_seals (seq, audit_id, hash) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[])",
        *columns(seals, "seq", "audit_id", "hash"),
    )


async def list_sealed(tx: Tx, *, after: int, limit: int) -> list[tuple[Seal, Recorded | None]]:
    """Return seals after one, each with its row; None where the row is gone."""
    found = await rows(
        tx,
        """
        SELECT seq, audit_id, hash,
               id, at, action, actor_kind, actor_id, account_id, host(ip), request_id, details::text
        FROM audit_seals LEFT JOIN audit_log ON audit_log.id = audit_id
        WHERE seq > $1 ORDER BY seq LIMIT $2
        """,
        after,
        limit,
    )
    return [(Seal(*row[:3]), None if row[3] is None else Recorded(*row[3:])) for row in found]


async def list_strays(tx: Tx, *, older_than: timedelta, limit: int) -> list[int]:
    """Return the ids of rows that should have been sealed by now and are not."""
    query = """
        SELECT id FROM audit_log WHERE at < clock_timestamp() - $1::interval
          AND NOT EXISTS (SELECT FROM audit_seals WHERE audit_id = audit_log.id)
        ORDER BY id LIMIT $2
        """
    return [row[0] for row in await rows(tx, query, older_than, limit)]
