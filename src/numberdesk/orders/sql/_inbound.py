"""Statements on messages that providers post to us."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from numberdesk.base.db import Tx, columns, many, rows, run
from numberdesk.orders.model import Inbound, InboundState, OrderId, OrderState
from numberdesk.providers.model import ProviderId, Pushed


@dataclass(frozen=True, slots=True)
class Holder:
    """An order that has, or had, a number of a provider when a message for it came."""

    inbound_id: int
    upstream_id: str
    service: str
    state: OrderState
    is_over: bool


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a message."""

    inbound_id: int
    state: InboundState
    order_id: OrderId | None = None


@dataclass(frozen=True, slots=True)
class Stray:
    """A message without an order, as staff see it."""

    upstream_id: str | None
    number: str | None
    sender: str
    code: str
    text: str
    state: InboundState
    received_at: datetime


async def insert_inbound(
    tx: Tx, *, provider_id: ProviderId, items: Sequence[Pushed], wait_seconds: float
) -> list[Inbound]:
    """Write messages down, parked, and return those that are new."""
    return await many(
        tx,
        Inbound,
        """
        INSERT INTO inbound_messages (provider_id, event_id, upstream_id, number, sender, code, text, next_try_at)
        SELECT $1, item.*, clock_timestamp() + make_interval(secs => $2)
        FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[]) AS item
        ON CONFLICT ON CONSTRAINT inbound_messages_event DO NOTHING
        RETURNING *
        """,
        provider_id,
        wait_seconds,
        *columns(items, "event_id", "upstream_id", "number", "sender", "message.code", "message.text"),
    )


async def lease_inbound(tx: Tx, *, limit: int) -> list[Inbound]:
    """Take parked messages that are due; each waits longer every time."""
    return await many(
        tx,
        Inbound,
        """
        UPDATE inbound_messages SET tries = least(tries + 1, 1000),
            next_try_at = clock_timestamp()
                          + make_interval(secs => (array[1, 2, 3, 5, 8, 13, 20, 30])[least(tries, 7) + 1])
        WHERE id = ANY(ARRAY(SELECT id FROM inbound_messages WHERE next_try_at <= clock_timestamp()
                     ORDER BY next_try_at LIMIT $1 FOR UPDATE SKIP LOCKED))
        RETURNING *
        """,
        limit,
    )


async def list_holders(tx: Tx, items: Sequence[Inbound]) -> list[Holder]:
    """Return for each message that names only a number the provider's orders that may have it.

    The purchase was sent before the message came: what came earlier was for somebody else. Of those that have ended
    only the last one counts.
    """
    return await many(
        tx,
        Holder,
        """
        SELECT item.id AS inbound_id, found.upstream_id, found.service, found.state,
               found.ended_at IS NOT NULL AS is_over
        FROM unnest($1::bigint[], $2::smallint[], $3::text[], $4::timestamptz[]) AS item (id, provider_id, number, at)
        CROSS JOIN LATERAL (
            (SELECT upstream_id, service, state, ended_at FROM orders
             WHERE orders.number = item.number AND orders.provider_id = item.provider_id AND ended_at IS NULL
               AND sent_at <= item.at)
            UNION ALL
            (SELECT upstream_id, service, state, ended_at FROM orders
             WHERE orders.number = item.number AND orders.provider_id = item.provider_id AND sent_at <= item.at
               AND ended_at IS NOT NULL AND created_at > item.at - interval '2 hours'
             ORDER BY ended_at DESC LIMIT 1)
        ) AS found
        """,
        *columns(items, "id", "provider_id", "number", "received_at"),
    )


async def set_inbound(tx: Tx, settled: Sequence[Settled]) -> None:
    """parked -> delivered, refused or unowned; what an order has keeps no text here."""
    await run(
        tx,
        """
        UPDATE inbound_messages AS message SET
            state = item.state, order_id = item.order_id, next_try_at = NULL, settled_at = clock_timestamp(),
            code = CASE WHEN item.state = 'unowned' THEN message.code ELSE '' END,
            text = CASE WHEN item.state = 'unowned' THEN message.text ELSE '' END
        FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS item (id, state, order_id)
        WHERE message.id = item.id AND message.state = 'parked'
        """,
        *columns(settled, "inbound_id", "state", "order_id"),
    )


async def list_hopeless(tx: Tx, items: Sequence[Inbound], *, grace: timedelta) -> set[int]:
    """Return those whose number cannot be alive any more, whoever has it."""
    found = await rows(
        tx,
        """
        SELECT message.id FROM inbound_messages AS message JOIN providers ON providers.id = message.provider_id
        WHERE message.id = ANY($1::bigint[])
          AND received_at + lifetime_ms * interval '1 millisecond' + $2::interval < clock_timestamp()
        """,
        [item.id for item in items],
        grace,
    )
    return {row[0] for row in found}


async def list_strays(tx: Tx, provider_id: ProviderId, *, limit: int) -> list[Stray]:
    """Return a provider's messages without an order, newest first."""
    return await many(
        tx,
        Stray,
        """
        SELECT * FROM inbound_messages WHERE provider_id = $1 AND state IN ('parked', 'unowned')
        ORDER BY received_at DESC LIMIT $2
        """,
        provider_id,
        limit,
    )


async def count_unowned(tx: Tx, *, within: timedelta) -> dict[ProviderId, int]:
    """Return for every provider how many messages turned out to be nobody's lately, also where none did."""
    found = await rows(
        tx,
        """
        SELECT providers.id, count(message.id)
        FROM providers LEFT JOIN inbound_messages AS message
             ON message.provider_id = providers.id AND message.state IN ('parked', 'unowned')
                AND message.state = 'unowned' AND settled_at > (SELECT clock_timestamp() - $1::interval)
        GROUP BY providers.id
        """,
        within,
    )
    return {ProviderId(row[0]): row[1] for row in found}


async def delete_old_inbound(tx: Tx, *, keep: timedelta, limit: int) -> int:
    """Forget messages that were settled long ago."""
    return await run(
        tx,
        """
        DELETE FROM inbound_messages WHERE id = ANY(ARRAY(
            SELECT id FROM inbound_messages
            WHERE settled_at < (SELECT clock_timestamp() - $1::interval) LIMIT $2))
        """,
        keep,
        limit,
    )
