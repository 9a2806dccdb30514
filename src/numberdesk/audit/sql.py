"""Every statement on the table of the audit slice."""

from collections.abc import Sequence

import msgspec

from numberdesk.audit.model import Event, Recorded
from numberdesk.base.db import Tx, columns, many, run


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


async def list_events(
    tx: Tx, *, account_id: int | None, action: str | None, before: int | None, limit: int
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
        ORDER BY id DESC LIMIT $4
        """,
        account_id,
        action,
        before,
        limit,
    )
