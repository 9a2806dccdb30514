"""Statements of the event log: numbered by account, written last in the transaction that makes the events happen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from numberdesk.base.db import Tx, columns, many, rows, run, value
from numberdesk.orders.model import Event, EventType, Message, OrderId
from numberdesk.wallet.model import AccountId


@dataclass(frozen=True, slots=True)
class NewEvent:
    """Something that happens to an order with this transaction."""

    account_id: AccountId
    order_id: OrderId
    type: EventType
    ordinal: int = 1


async def insert_events(tx: Tx, events: Sequence[NewEvent]) -> None:
    """Write events in the order given. Locks the counters of their accounts until the end, ascending: nothing may
    be locked after this.
    """
    if not events:
        return
    await run(
        tx,
        """
        WITH event AS (
            SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::smallint[])
                          WITH ORDINALITY AS event (account_id, order_id, type, ordinal, place)
        ), counted AS (
            INSERT INTO event_counters AS counter (account_id, last_seq)
            SELECT account_id, count(*) FROM event GROUP BY account_id ORDER BY account_id
            ON CONFLICT (account_id) DO UPDATE SET last_seq = counter.last_seq + excluded.last_seq
            RETURNING account_id, last_seq
        )
        INSERT INTO order_events (account_id, seq, order_id, type, ordinal, at)
        SELECT account_id,
               last_seq - count(*) OVER (PARTITION BY account_id)
                   + row_number() OVER (PARTITION BY account_id ORDER BY place),
               order_id, type, ordinal, clock_timestamp()
        FROM event JOIN counted USING (account_id)
        """,
        *columns(events, "account_id", "order_id", "type", "ordinal"),
    )


async def list_events(tx: Tx, cursors: Mapping[AccountId, int], *, limit: int) -> list[Event]:
    """Return what follows a number of each account's log, in its order, at most `limit` of each account."""
    return await many(
        tx,
        Event,
        """
        SELECT event.* FROM unnest($1::bigint[], $2::bigint[]) AS reader (account_id, seq),
        LATERAL (
            SELECT * FROM order_events
            WHERE order_events.account_id = reader.account_id AND order_events.seq > reader.seq ORDER BY seq LIMIT $3
        ) AS event
        ORDER BY event.account_id, event.seq
        """,
        list(cursors),
        list(cursors.values()),
        limit,
    )


async def list_event_messages(tx: Tx, events: Sequence[Event], *, since: datetime, margin: timedelta) -> list[Message]:
    """Return the messages that events of type `code` tell of.

    Args:
        since: when the first of their orders was made. One that was withheld is told of long after it came.
        margin: how long before that or after its event a message may have been written, by a clock that may be set.
    """
    return await many(
        tx,
        Message,
        """
        SELECT messages.* FROM messages JOIN unnest($1::bigint[], $2::smallint[]) AS event (order_id, ordinal)
             USING (order_id, ordinal)
        WHERE messages.received_at BETWEEN $3 AND $4 AND NOT messages.is_sealed
        """,
        *columns(events, "order_id", "ordinal"),
        since - margin,
        max(event.at for event in events) + margin,
    )


async def find_event_seq(
    tx: Tx,
    account_id: AccountId,
    *,
    order_id: int,
    type: str,  # noqa: A002 - the column's name
    ordinal: int,
) -> int | None:
    """Return the number of an event in the log of its account."""
    found: int | None = await value(
        tx,
        "SELECT seq FROM order_events WHERE order_id = $1 AND type = $2 AND ordinal = $3 AND account_id = $4",
        order_id,
        type,
        ordinal,
        account_id,
    )
    return found


async def find_last_seq(tx: Tx, account_id: AccountId) -> int | None:
    """Return the last number given out of an account; what is numbered so far can be read."""
    found: int | None = await value(tx, "SELECT last_seq FROM event_counters WHERE account_id = $1", account_id)
    return found


async def list_behind(tx: Tx, cursors: Mapping[AccountId, int]) -> set[AccountId]:
    """Return the accounts of which more is in the log than these numbers say."""
    found = await rows(
        tx,
        """
        SELECT account_id FROM event_counters
        JOIN unnest($1::bigint[], $2::bigint[]) AS reader (account_id, seq) USING (account_id)
        WHERE last_seq > reader.seq
        """,
        list(cursors),
        list(cursors.values()),
    )
    return {row[0] for row in found}


async def delete_old_events(tx: Tx, *, keep: timedelta, limit: int) -> int:
    """Delete events that are older, the oldest first; numbers are never given out again."""
    return await run(
        tx,
        """
        DELETE FROM order_events USING (
            SELECT account_id, seq FROM order_events
            WHERE at < (SELECT clock_timestamp() - $1::interval) ORDER BY at LIMIT $2
        ) AS old
        WHERE order_events.account_id = old.account_id AND order_events.seq = old.seq
        """,
        keep,
        limit,
    )


@dataclass(frozen=True, slots=True)
class CodeNews:
    """A code that an account has not been told of elsewhere."""

    account_id: AccountId
    seq: int
    order_id: OrderId
    ordinal: int
    number: str
    code: str


async def list_code_news(tx: Tx, after: Mapping[int, int], *, limit: int) -> list[CodeNews]:
    """Return readable codes that follow a number of each account's log, in its order, at most `limit` of each."""
    return await many(
        tx,
        CodeNews,
        """
        SELECT event.account_id, event.seq, event.order_id, event.ordinal, owned.number, message.code
        FROM unnest($1::bigint[], $2::bigint[]) AS reader (account_id, seq),
        LATERAL (
            SELECT * FROM order_events AS event
            WHERE event.account_id = reader.account_id AND event.seq > reader.seq AND event.type = 'code'
            ORDER BY event.seq LIMIT $3
        ) AS event
        JOIN orders AS owned ON owned.id = event.order_id
        JOIN messages AS message
            ON message.order_id = event.order_id AND message.ordinal = event.ordinal AND NOT message.is_sealed
        ORDER BY event.account_id, event.seq
        """,
        list(after.keys()),
        list(after.values()),
        limit,
    )
