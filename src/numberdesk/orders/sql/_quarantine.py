"""Statements on messages that are withheld, and on bodies that are purged."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from numberdesk.base.db import Tx, many, maybe, rows, run, value
from numberdesk.orders.model import Order, OrderId, Withheld, WithheldNews, WithheldState
from numberdesk.wallet.model import AccountId

LOOK_BACK = 50_000
"""Orders."""
PURGED = "[purged]"
"""What stands in the place of a text that was taken out."""


async def insert_withheld(tx: Tx, items: Sequence[tuple[OrderId, int, AccountId, str, str]]) -> None:
    """Write down (order, ordinal, account, kind, signs) of messages that are withheld."""
    await run(
        tx,
        """
        INSERT INTO withheld_messages (order_id, ordinal, account_id, kind, signs)
        SELECT * FROM unnest($1::bigint[], $2::smallint[], $3::bigint[], $4::text[], $5::text[])
        """,
        *(list(column) for column in zip(*items, strict=True)),
    )


async def take_withheld_news(tx: Tx, *, limit: int) -> list[WithheldNews]:
    """Return messages that the staff were not told of, oldest first, and note that they are told now."""
    return await many(
        tx,
        WithheldNews,
        """
        WITH due AS (
            SELECT order_id, ordinal FROM withheld_messages
            WHERE told_at IS NULL ORDER BY withheld_at LIMIT $1 FOR UPDATE SKIP LOCKED
        ), told AS (
            UPDATE withheld_messages AS item SET told_at = clock_timestamp()
            FROM due WHERE item.order_id = due.order_id AND item.ordinal = due.ordinal
            RETURNING item.order_id, item.ordinal, item.account_id, item.kind, item.withheld_at
        )
        SELECT * FROM told ORDER BY withheld_at, order_id, ordinal
        """,
        limit,
    )


async def set_withheld(tx: Tx, order_ids: Sequence[int]) -> list[Order]:
    """active, cancelling or expiring -> cancelled; its provider, which gave a message and keeps the money, is told."""
    return await many(
        tx,
        Order,
        """
        UPDATE orders SET state = 'cancelled', failure = 'withheld', ended_at = now, next_try_at = NULL,
                          release_due = true, upstream_refund = 'refused',
                          changed_at = greatest(now, orders.changed_at + interval '1 microsecond')
        FROM clock_timestamp() AS now
        WHERE id = ANY($1::bigint[]) AND state IN ('active', 'cancelling', 'expiring')
        RETURNING orders.*
        """,
        order_ids,
    )


async def list_withheld(
    tx: Tx, *, state: WithheldState | None, account_id: int | None, before: datetime | None, limit: int
) -> list[Withheld]:
    """Return withheld messages, newest first, with their texts."""
    return await many(
        tx,
        Withheld,
        """
        SELECT withheld.*, orders.service, orders.country, message.text, message.received_at, message.purged_at
        FROM withheld_messages AS withheld JOIN orders ON orders.id = withheld.order_id
        JOIN messages AS message ON message.order_id = withheld.order_id AND message.ordinal = withheld.ordinal
        WHERE ($1::text IS NULL OR withheld.state = $1) AND ($2::bigint IS NULL OR withheld.account_id = $2)
          AND ($3::timestamptz IS NULL OR withheld_at < $3)
        ORDER BY withheld_at DESC LIMIT $4
        """,
        state,
        account_id,
        before,
        limit,
    )


async def find_withheld(tx: Tx, order_id: OrderId, ordinal: int) -> Withheld | None:
    """Return one withheld message and lock its decision."""
    return await maybe(
        tx,
        Withheld,
        """
        SELECT withheld.*, orders.service, orders.country, message.text, message.received_at, message.purged_at
        FROM withheld_messages AS withheld JOIN orders ON orders.id = withheld.order_id
        JOIN messages AS message ON message.order_id = withheld.order_id AND message.ordinal = withheld.ordinal
        WHERE withheld.order_id = $1 AND withheld.ordinal = $2 FOR UPDATE OF withheld
        """,
        order_id,
        ordinal,
    )


async def get_account_state(tx: Tx, account_id: AccountId) -> str:
    """Return what an account may do, and let nobody change that until the transaction ends."""
    found: str = await value(tx, "SELECT state FROM accounts WHERE id = $1 FOR SHARE", account_id)
    return found


async def set_decided(
    tx: Tx, order_id: OrderId, ordinal: int, *, state: WithheldState, by: AccountId, reason: str
) -> bool:
    """held -> released or confirmed."""
    return (
        await run(
            tx,
            """
            UPDATE withheld_messages SET state = $3, decided_by = $4, decided_at = clock_timestamp(), reason = $5
            WHERE order_id = $1 AND ordinal = $2 AND state = 'held'
            """,
            order_id,
            ordinal,
            state,
            by,
            reason,
        )
        > 0
    )


async def set_unsealed(tx: Tx, order_id: OrderId, ordinal: int) -> None:
    """Make a message readable for its buyer."""
    await run(
        tx,
        "UPDATE messages SET is_sealed = false WHERE order_id = $1 AND ordinal = $2 AND purged_at IS NULL",
        order_id,
        ordinal,
    )


async def set_released_after_all(tx: Tx, order_id: OrderId) -> Order | None:
    """cancelled for a withheld message -> completed, paid by one more attempt's hold."""
    return await maybe(
        tx,
        Order,
        """
        UPDATE orders SET state = 'completed', failure = NULL, attempt = attempt + 1,
                          received_at = now, ended_at = now, codes_received = codes_received + 1,
                          upstream_refund = 'none',
                          changed_at = greatest(now, orders.changed_at + interval '1 microsecond')
        FROM clock_timestamp() AS now
        WHERE id = $1 AND state = 'cancelled' AND failure = 'withheld'
        RETURNING orders.*
        """,
        order_id,
    )


async def lease_unpurged(tx: Tx, *, keep: timedelta, limit: int) -> list[tuple[OrderId, int]]:
    """Return (order, ordinal) of messages that are to be purged: old ones of orders that are over.

    As long as an order goes on its messages are needed to tell a repeat from a new one.
    """
    found = await rows(
        tx,
        """
        SELECT message.order_id, message.ordinal
        FROM messages AS message JOIN orders ON orders.id = message.order_id
        WHERE message.purged_at IS NULL AND message.received_at < (SELECT clock_timestamp() - $1::interval)
          AND orders.ended_at < (SELECT clock_timestamp() - interval '1 day')
        ORDER BY message.received_at LIMIT $2
        FOR UPDATE OF orders SKIP LOCKED
        """,
        keep,
        limit,
    )
    return [(order_id, ordinal) for order_id, ordinal in found]


async def set_purged(tx: Tx, items: Sequence[tuple[OrderId, int]]) -> None:
    """Take text and code out of messages; who reads them is told so."""
    await run(
        tx,
        """
        UPDATE messages SET code = '', text = $3, purged_at = clock_timestamp()
        FROM unnest($1::bigint[], $2::smallint[]) AS old (order_id, ordinal)
        WHERE messages.order_id = old.order_id AND messages.ordinal = old.ordinal AND purged_at IS NULL
        """,
        [order_id for order_id, _ in items],
        [ordinal for _, ordinal in items],
        PURGED,
    )


async def set_changed(tx: Tx, order_ids: Sequence[int]) -> None:
    """Have every process read orders again whose messages changed."""
    await run(
        tx,
        """
        UPDATE orders SET changed_at = greatest(clock_timestamp(), changed_at + interval '1 microsecond')
        WHERE id = ANY($1::bigint[])
        """,
        order_ids,
    )


async def purge_inbound(tx: Tx, *, keep: timedelta, limit: int) -> int:
    """Take text and code out of messages that were posted to us and are settled; their numbers too."""
    return await run(
        tx,
        """
        UPDATE inbound_messages SET code = '', text = $3, sender = '',
               number = CASE WHEN upstream_id IS NULL THEN '' END, purged_at = clock_timestamp()
        WHERE id = ANY(ARRAY(
            SELECT id FROM inbound_messages
            WHERE settled_at < (SELECT clock_timestamp() - $1::interval) AND purged_at IS NULL
            ORDER BY settled_at LIMIT $2 FOR UPDATE SKIP LOCKED))
        """,
        keep,
        limit,
        PURGED,
    )


async def forget_numbers(tx: Tx, *, keep: timedelta, limit: int) -> int:
    """Take the phone numbers out of orders that ended long ago, and where they were bought.

    It goes on from the newest order without a number, and looks back as far as an order may outlive its neighbours:
    no index on all ends is kept for this.
    """
    return await run(
        tx,
        """
        UPDATE orders SET number = CASE WHEN number IS NOT NULL THEN '00000' END, ip = NULL
        WHERE id = ANY(ARRAY(
            SELECT id FROM (
                SELECT id, ended_at, number, ip FROM orders
                WHERE id > (SELECT coalesce(max(id), 0) FROM orders WHERE number = '00000') - $3
                ORDER BY id LIMIT 2 * $3
            ) AS near
            WHERE ended_at < (SELECT clock_timestamp() - $1::interval) AND (number > '00000' OR ip IS NOT NULL)
            ORDER BY id LIMIT $2))
          AND ended_at IS NOT NULL
        """,
        keep,
        limit,
        LOOK_BACK,
    )


async def delete_old_withheld(tx: Tx, *, keep: timedelta, limit: int) -> int:
    """Forget that messages were withheld, long after their texts went."""
    return await run(
        tx,
        """
        DELETE FROM withheld_messages USING (
            SELECT order_id, ordinal FROM withheld_messages
            WHERE withheld_at < (SELECT clock_timestamp() - $1::interval) ORDER BY withheld_at LIMIT $2
        ) AS old
        WHERE withheld_messages.order_id = old.order_id AND withheld_messages.ordinal = old.ordinal
        """,
        keep,
        limit,
    )
