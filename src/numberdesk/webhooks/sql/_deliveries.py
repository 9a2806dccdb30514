"""Statements on deliveries: written from the event log, leased, settled, and forgotten."""

from collections.abc import Sequence
from datetime import timedelta

from numberdesk.base.db import Tx, columns, many, maybe, one, rows, run, value
from numberdesk.wallet.model import AccountId
from numberdesk.webhooks.model import Delivery, DeliveryId, DeliveryState, Endpoint, EndpointId, Leased, Result


async def look(tx: Tx) -> tuple[bool, bool]:
    """Tell whether an endpoint is behind its account's log, and whether a delivery is due. Most of the time neither."""
    ((is_behind, is_due),) = await rows(
        tx,
        """
        SELECT EXISTS (SELECT FROM webhook_endpoints AS endpoint JOIN event_counters AS counter USING (account_id)
                       WHERE endpoint.state = 'on' AND endpoint.cursor_seq < counter.last_seq),
               EXISTS (SELECT FROM webhook_deliveries
                       WHERE state = 'waiting' AND next_try_at <= (SELECT clock_timestamp()))
        """,
    )
    return is_behind, is_due


async def insert_due(tx: Tx, *, endpoints: int, events: int, oldest: timedelta) -> tuple[int, list[AccountId]]:
    """Make deliveries of what the log has for endpoints that are behind, and move them on, in one statement.

    Every number of the log up to a counter's is there when the counter is, so nothing is passed over. What is older
    than `oldest` is nobody's news any more: it is passed over.

    Args:
        endpoints: so many at most; others are taken next time, also those that somebody else has just locked.
        events: numbers of the log that each moves on by, at most.

    Returns:
        How many endpoints moved on, and the accounts that got deliveries.
    """
    ((moved, account_ids),) = await rows(
        tx,
        """
        WITH behind AS MATERIALIZED (
            SELECT endpoint.id, endpoint.account_id, endpoint.events, endpoint.cursor_seq AS after,
                   least(counter.last_seq, endpoint.cursor_seq + $2) AS until
            FROM webhook_endpoints AS endpoint JOIN event_counters AS counter USING (account_id)
            WHERE endpoint.state = 'on' AND endpoint.cursor_seq < counter.last_seq
            ORDER BY endpoint.id LIMIT $1 FOR UPDATE OF endpoint SKIP LOCKED
        ), written AS (
            INSERT INTO webhook_deliveries (endpoint_id, account_id, event_id, seq, type)
            SELECT behind.id, behind.account_id, concat_ws('_', 'evt', event.order_id, event.type, event.ordinal),
                   event.seq, event.type
            FROM behind JOIN order_events AS event ON event.account_id = behind.account_id
                                                  AND event.seq > behind.after AND event.seq <= behind.until
            WHERE event.type = ANY(behind.events) AND event.at > clock_timestamp() - $3::interval
            ORDER BY behind.account_id, event.seq, behind.id
            ON CONFLICT ON CONSTRAINT webhook_deliveries_event DO NOTHING
            RETURNING account_id
        ), moved AS (
            UPDATE webhook_endpoints AS endpoint SET cursor_seq = behind.until
            FROM behind WHERE endpoint.id = behind.id
            RETURNING endpoint.id
        )
        SELECT (SELECT count(*) FROM moved), ARRAY(SELECT DISTINCT account_id FROM written)
        """,
        endpoints,
        events,
        oldest,
    )
    return moved, account_ids


async def set_overflow_failed(tx: Tx, account_ids: Sequence[AccountId], *, most: int, problem: str) -> int:
    """waiting -> failed, for all but the newest of each account; what is being sent just now may still be taken."""
    return await run(
        tx,
        """
        UPDATE webhook_deliveries
        SET state = 'failed', next_try_at = NULL, leased_until = NULL, problem = $3, ended_at = clock_timestamp()
        WHERE state = 'waiting' AND id IN (
            SELECT delivery.id FROM unnest($1::bigint[]) AS full_account (account_id)
            CROSS JOIN LATERAL (
                SELECT id FROM webhook_deliveries AS waiting
                WHERE waiting.account_id = full_account.account_id AND waiting.state = 'waiting'
                ORDER BY id DESC OFFSET $2) AS delivery)
        """,
        account_ids,
        most,
        problem,
    )


async def try_lease_lock(tx: Tx) -> bool:
    """Take the right to lease until the end of the transaction: two workers together keep to the bounds of one."""
    return bool(await value(tx, "SELECT pg_try_advisory_xact_lock(hashtextextended('webhook_deliveries', 0))"))


_LEASE_DUE = """
    WITH RECURSIVE waiting (endpoint_id) AS (
        (SELECT endpoint_id FROM webhook_deliveries WHERE state = 'waiting' ORDER BY endpoint_id LIMIT 1)
        UNION ALL
        SELECT (SELECT next.endpoint_id FROM webhook_deliveries AS next
                WHERE next.state = 'waiting' AND next.endpoint_id > waiting.endpoint_id
                ORDER BY next.endpoint_id LIMIT 1)
        FROM waiting WHERE waiting.endpoint_id IS NOT NULL
    ), moment AS MATERIALIZED (
        SELECT clock_timestamp() AS now
    ), under_way AS MATERIALIZED (
        SELECT account_id, endpoint_id FROM webhook_deliveries
        WHERE leased_until IS NOT NULL AND leased_until > (SELECT now FROM moment)
    ), candidate AS (
        SELECT due.id, due.next_try_at, endpoint.account_id, endpoint.failing_since IS NOT NULL AS is_failing,
               row_number() OVER (PARTITION BY endpoint.account_id
                                  ORDER BY endpoint.failing_since IS NOT NULL, due.next_try_at, due.id) AS place
        FROM waiting JOIN webhook_endpoints AS endpoint ON endpoint.id = waiting.endpoint_id
        JOIN accounts ON accounts.id = endpoint.account_id AND accounts.state NOT IN ('banned', 'closed')
        CROSS JOIN LATERAL (
            SELECT id, next_try_at FROM webhook_deliveries AS delivery
            WHERE delivery.endpoint_id = endpoint.id AND delivery.state = 'waiting'
              AND delivery.next_try_at <= (SELECT now FROM moment)
              AND (delivery.leased_until IS NULL OR delivery.leased_until <= (SELECT now FROM moment))
              AND (endpoint.state = 'on' OR (delivery.seq IS NULL AND endpoint.state <> 'deleted'))
            ORDER BY delivery.next_try_at, delivery.id
            LIMIT CASE WHEN endpoint.failing_since IS NULL THEN $4 ELSE greatest(0, $5 - (
                SELECT count(*) FROM under_way WHERE under_way.endpoint_id = endpoint.id)) END) AS due
    ), admitted AS (
        SELECT id, next_try_at, is_failing,
               row_number() OVER (PARTITION BY is_failing ORDER BY next_try_at, id) AS place
        FROM candidate
        WHERE place <= $4 - (SELECT count(*) FROM under_way WHERE under_way.account_id = candidate.account_id)
    ), chosen AS (
        SELECT id FROM admitted WHERE NOT is_failing OR place <= $3 ORDER BY is_failing, next_try_at, id LIMIT $2
    ), leased AS (
        UPDATE webhook_deliveries
        SET leased_until = clock_timestamp() + $1::interval, attempts = attempts + 1, tries = tries + 1
        WHERE id = ANY(ARRAY(SELECT id FROM webhook_deliveries WHERE id IN (SELECT id FROM chosen)
                             AND state = 'waiting' FOR UPDATE SKIP LOCKED))
        RETURNING *
    )
    SELECT leased.*, endpoint.url, endpoint.format, endpoint.secret,
           CASE WHEN endpoint.old_secret_until > clock_timestamp() THEN endpoint.old_secret END AS old_secret,
           endpoint.failing_since IS NOT NULL AS is_failing
    FROM leased JOIN webhook_endpoints AS endpoint ON endpoint.id = leased.endpoint_id
    ORDER BY leased.id
"""


async def lease_due(
    tx: Tx, *, lease: timedelta, limit: int, failing: int, per_account: int, per_failing: int
) -> list[Leased]:
    """Take deliveries that are due, and keep others from them until the lease ends.

    Args:
        limit: so many at most, those of endpoints that work first.
        failing: of these, so many at most for endpoints that fail.
        per_account: under way for one account, together with those leased before.
        per_failing: under way for one endpoint that fails.

    The lock of `try_lease_lock` is held, and this is a later statement: it sees every lease that was given before.
    """
    return await many(tx, Leased, _LEASE_DUE, lease, limit, failing, per_account, per_failing)


async def set_delivered(tx: Tx, leased: Leased, result: Result) -> None:
    """anything -> delivered: what was taken is taken, whoever has the lease by now."""
    await run(
        tx,
        """
        UPDATE webhook_deliveries
        SET state = 'delivered', next_try_at = NULL, leased_until = NULL, last_status = $2, problem = NULL,
            took_ms = $3, tried_at = clock_timestamp(), ended_at = clock_timestamp()
        WHERE id = $1 AND state <> 'delivered'
        """,
        leased.id,
        result.status,
        result.took_ms,
    )


async def set_waiting_later(tx: Tx, leased: Leased, result: Result, *, after: timedelta) -> None:
    """waiting -> waiting, due later, unless somebody else has the lease by now."""
    await run(
        tx,
        """
        UPDATE webhook_deliveries
        SET next_try_at = clock_timestamp() + $3::interval, leased_until = NULL, last_status = $4, problem = $5,
            took_ms = $6, tried_at = clock_timestamp()
        WHERE id = $1 AND state = 'waiting' AND attempts = $2
        """,
        leased.id,
        leased.attempts,
        after,
        result.status,
        result.problem,
        result.took_ms,
    )


async def set_failed(tx: Tx, leased: Leased, result: Result) -> None:
    """waiting -> failed, unless somebody else has the lease by now."""
    await run(
        tx,
        """
        UPDATE webhook_deliveries
        SET state = 'failed', next_try_at = NULL, leased_until = NULL, last_status = $3, problem = $4,
            took_ms = $5, tried_at = clock_timestamp(), ended_at = clock_timestamp()
        WHERE id = $1 AND state = 'waiting' AND attempts = $2
        """,
        leased.id,
        leased.attempts,
        result.status,
        result.problem,
        result.took_ms,
    )


async def set_waiting_failed(tx: Tx, endpoint_id: EndpointId, *, problem: str) -> None:
    """waiting -> failed, for all that waits at an endpoint."""
    await run(
        tx,
        """
        UPDATE webhook_deliveries
        SET state = 'failed', next_try_at = NULL, leased_until = NULL, problem = coalesce(problem, $2),
            ended_at = clock_timestamp()
        WHERE endpoint_id = $1 AND state = 'waiting'
        """,
        endpoint_id,
        problem,
    )


async def set_returned(tx: Tx, leased: Sequence[Leased]) -> None:
    """waiting -> waiting, as if never leased: what there was no time to send."""
    await run(
        tx,
        """
        UPDATE webhook_deliveries AS delivery
        SET leased_until = NULL, attempts = delivery.attempts - 1, tries = delivery.tries - 1
        FROM unnest($1::bigint[], $2::int[]) AS left_over (id, attempts)
        WHERE delivery.id = left_over.id AND delivery.state = 'waiting' AND delivery.attempts = left_over.attempts
          AND delivery.leased_until IS NOT NULL
        """,
        *columns(leased, "id", "attempts"),
    )


async def find_delivery(tx: Tx, account_id: AccountId, delivery_id: DeliveryId) -> tuple[Delivery, EndpointId] | None:
    """Return a delivery of this account, locked after its endpoint."""
    endpoint_id = await value(
        tx,
        """
        SELECT endpoint.id FROM webhook_endpoints AS endpoint
        JOIN webhook_deliveries AS delivery ON delivery.endpoint_id = endpoint.id
        WHERE delivery.id = $1 AND endpoint.account_id = $2 AND endpoint.state <> 'deleted'
        FOR UPDATE OF endpoint
        """,
        delivery_id,
        account_id,
    )
    if endpoint_id is None:
        return None
    query = "SELECT * FROM webhook_deliveries WHERE id = $1 FOR UPDATE"
    delivery = await maybe(tx, Delivery, query, delivery_id)
    return None if delivery is None else (delivery, EndpointId(endpoint_id))


async def set_due(tx: Tx, delivery_id: DeliveryId) -> Delivery:
    """anything -> waiting, due at once, on a row that is locked; what was over has all its tries again."""
    return await one(
        tx,
        Delivery,
        """
        UPDATE webhook_deliveries
        SET state = 'waiting', next_try_at = clock_timestamp(), ended_at = NULL,
            tries = CASE WHEN state = 'waiting' THEN tries ELSE 0 END
        WHERE id = $1
        RETURNING *
        """,
        delivery_id,
    )


async def insert_test(tx: Tx, endpoint: Endpoint, event_id: str, *, type: str) -> Delivery:  # noqa: A002 - a column
    """Write a delivery that no event of the log is behind."""
    return await one(
        tx,
        Delivery,
        """
        INSERT INTO webhook_deliveries (endpoint_id, account_id, event_id, type)
        VALUES ($1, $2, $3, $4) RETURNING *
        """,
        endpoint.id,
        endpoint.account_id,
        event_id,
        type,
    )


async def list_deliveries(
    tx: Tx, endpoint_id: EndpointId, *, state: DeliveryState | None, before: int | None, limit: int
) -> list[Delivery]:
    """Return the deliveries of an endpoint, the newest first."""
    return await many(
        tx,
        Delivery,
        """
        SELECT * FROM webhook_deliveries
        WHERE endpoint_id = $1 AND ($2::text IS NULL OR state = $2) AND ($3::bigint IS NULL OR id < $3)
        ORDER BY id DESC LIMIT $4
        """,
        endpoint_id,
        state,
        before,
        limit,
    )


async def delete_old_deliveries(tx: Tx, *, keep: timedelta, limit: int) -> int:
    """Forget deliveries that ended long ago."""
    return await run(
        tx,
        """
        DELETE FROM webhook_deliveries WHERE id IN (
            SELECT id FROM webhook_deliveries WHERE ended_at < (SELECT clock_timestamp() - $1::interval)
            ORDER BY ended_at LIMIT $2)
        """,
        keep,
        limit,
    )
