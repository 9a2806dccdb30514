"""Statements on recharges, their time line, the operator's UPI addresses and claims of customers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from numberdesk.base.db import Tx, columns, many, maybe, one, rows, run, value
from numberdesk.base.money import Paise
from numberdesk.payments.model import (
    Event,
    Method,
    NewRecharge,
    Recharge,
    RechargeEvent,
    RechargeId,
    RechargeStatus,
    VpaId,
)
from numberdesk.wallet.model import AccountId


@dataclass(frozen=True, slots=True)
class Credited:
    """What one recharge got in a transaction."""

    recharge_id: RechargeId
    paise: Paise


async def count_open(tx: Tx, account_id: AccountId, method: Method) -> int:
    """Count an account's open recharges of a method."""
    found: int = await value(
        tx,
        """
        SELECT count(*) FROM recharges WHERE account_id = $1 AND method = $2
        AND status IN ('created', 'awaiting_payment', 'submitted', 'detected')
        """,
        account_id,
        method,
    )
    return found


async def find_by_key(tx: Tx, account_id: AccountId, request_key: str) -> Recharge | None:
    """Return the recharge that an Idempotency-Key made."""
    return await maybe(
        tx, Recharge, "SELECT * FROM recharges WHERE account_id = $1 AND request_key = $2", account_id, request_key
    )


async def insert_recharge(tx: Tx, new: NewRecharge) -> Recharge:
    """Write a recharge without an amount of its own."""
    return await one(
        tx,
        Recharge,
        """
        INSERT INTO recharges (ref, account_id, request_key, method, rail, requested_paise, payable_paise, status,
                               vpa_id, address_id, quote_id, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, clock_timestamp() + $12)
        RETURNING *
        """,
        new.ref,
        new.account_id,
        new.request_key,
        new.method,
        new.rail,
        new.requested_paise,
        new.payable_paise,
        new.status,
        new.vpa_id,
        new.address_id,
        new.quote_id,
        new.lifetime,
    )


async def insert_with_slot(tx: Tx, new: NewRecharge, *, vpa_ids: Sequence[VpaId], paise_more: int) -> Recharge | None:
    """Write a recharge with an amount that no other holds at that address; None when all of these are taken.

    Args:
        paise_more: the payable amount is the requested one and 0 to this many paise more.
    """
    # Two that pick the same free amount at once meet at the unique index: the second is told None and tries again.
    return await maybe(
        tx,
        Recharge,
        """
        INSERT INTO recharges (ref, account_id, request_key, method, rail, requested_paise, payable_paise, status,
                               vpa_id, holds_slot, expires_at)
        SELECT $1, $2, $3, $4, $5, $6, free.payable, $7, free.vpa_id, true, clock_timestamp() + $8
        FROM (
            SELECT vpa.id AS vpa_id, $6 + step.more AS payable
            FROM unnest($9::bigint[]) AS vpa (id), generate_series(0, $10::int) AS step (more)
            WHERE NOT EXISTS (
                SELECT FROM recharges AS other
                WHERE other.holds_slot AND other.vpa_id = vpa.id AND other.payable_paise = $6 + step.more)
            ORDER BY random() LIMIT 1
        ) AS free
        ON CONFLICT (vpa_id, payable_paise) WHERE holds_slot DO NOTHING
        RETURNING *
        """,
        new.ref,
        new.account_id,
        new.request_key,
        new.method,
        new.rail,
        new.requested_paise,
        new.status,
        new.lifetime,
        vpa_ids,
        paise_more,
    )


async def insert_event(
    tx: Tx, recharge_id: RechargeId, event: RechargeEvent, *, amount_paise: Paise | None = None, detail: str = ""
) -> None:
    """Write one step of a recharge."""
    await run(
        tx,
        "INSERT INTO recharge_events (recharge_id, event, amount_paise, detail) VALUES ($1, $2, $3, $4)",
        recharge_id,
        event,
        amount_paise,
        detail,
    )


async def insert_events(tx: Tx, event: RechargeEvent, items: Sequence[tuple[RechargeId, Paise | None, str]]) -> None:
    """Write one step of many recharges: (recharge, paise, detail)."""
    await run(
        tx,
        """
        INSERT INTO recharge_events (recharge_id, event, amount_paise, detail)
        SELECT recharge, $2, paise, detail
        FROM unnest($1::bigint[], $3::bigint[], $4::text[]) AS item (recharge, paise, detail)
        """,
        [item[0] for item in items],
        event,
        [item[1] for item in items],
        [item[2] for item in items],
    )


async def find_recharge(tx: Tx, ref: str, *, account_id: AccountId | None) -> Recharge | None:
    """Return a recharge of an account, or of anybody."""
    return await maybe(
        tx, Recharge, "SELECT * FROM recharges WHERE ref = $1 AND ($2::bigint IS NULL OR account_id = $2)",
        ref, account_id,
    )  # fmt: skip


async def get_recharge(tx: Tx, recharge_id: RechargeId) -> Recharge:
    """Return a recharge."""
    return await one(tx, Recharge, "SELECT * FROM recharges WHERE id = $1", recharge_id)


async def list_recharges(
    tx: Tx, *, account_id: AccountId | None, statuses: Sequence[RechargeStatus] | None, before: int | None, limit: int
) -> list[Recharge]:
    """Return recharges, newest first."""
    return await many(
        tx,
        Recharge,
        """
        SELECT * FROM recharges
        WHERE ($1::bigint IS NULL OR account_id = $1) AND ($2::text[] IS NULL OR status = ANY($2))
          AND ($3::bigint IS NULL OR id < $3)
        ORDER BY id DESC LIMIT $4
        """,
        account_id,
        statuses,
        before,
        limit,
    )


async def list_events(tx: Tx, recharge_id: RechargeId) -> list[Event]:
    """Return the time line, oldest first."""
    return await many(tx, Event, "SELECT * FROM recharge_events WHERE recharge_id = $1 ORDER BY id", recharge_id)


async def lock_recharges(tx: Tx, recharge_ids: Sequence[int]) -> list[Recharge]:
    """Lock recharges in ascending order of their ids."""
    return await many(
        tx, Recharge, "SELECT * FROM recharges WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE", recharge_ids
    )


async def set_status(tx: Tx, recharge: Recharge, status: RechargeStatus) -> bool:
    """Any state -> another, of the version that was read; False when somebody else was faster."""
    return (
        await run(
            tx,
            """
            UPDATE recharges SET status = $3, version = version + 1, changed_at = clock_timestamp()
            WHERE id = $1 AND version = $2
            """,
            recharge.id,
            recharge.version,
            status,
        )
        == 1
    )


async def set_checkout(
    tx: Tx, recharge_id: RechargeId, *, gateway_id: str, url: str | None, session: str | None, expires_at: datetime
) -> bool:
    """created -> awaiting_payment, with the gateway's page."""
    return (
        await run(
            tx,
            """
            UPDATE recharges
            SET status = 'awaiting_payment', gateway_id = $2, checkout_url = $3, checkout_session = $4,
                expires_at = GREATEST(expires_at, $5), version = version + 1, changed_at = clock_timestamp()
            WHERE id = $1 AND status = 'created'
            """,
            recharge_id,
            gateway_id,
            url,
            session,
            expires_at,
        )
        == 1
    )


async def set_due(tx: Tx, recharge_id: RechargeId, *, after: timedelta) -> None:
    """Have a recharge looked at after so long, or sooner when that was planned."""
    await run(
        tx,
        "UPDATE recharges SET due_at = LEAST(due_at, clock_timestamp() + $2) WHERE id = $1",
        recharge_id,
        after,
    )


async def set_submitted(tx: Tx, recharge: Recharge) -> None:
    """awaiting_payment, expired, submitted -> submitted: its customer says that it is paid. The caller has a lock."""
    await run(
        tx,
        """
        UPDATE recharges SET status = 'submitted', asked_at = NULL, version = version + 1,
                             changed_at = clock_timestamp()
        WHERE id = $1 AND status IN ('awaiting_payment', 'expired', 'submitted')
        """,
        recharge.id,
    )


async def set_asked(tx: Tx, recharge: Recharge) -> bool:
    """A submitted recharge waits for an answer of its customer; False when somebody else was faster."""
    return (
        await run(
            tx,
            """
            UPDATE recharges SET asked_at = clock_timestamp(), version = version + 1, changed_at = clock_timestamp()
            WHERE id = $1 AND version = $2 AND status = 'submitted'
            """,
            recharge.id,
            recharge.version,
        )
        == 1
    )


async def expire(tx: Tx, *, limit: int) -> list[RechargeId]:
    """created, awaiting_payment -> expired, where the time is over. Money that comes later is credited all the same."""
    found = await rows(
        tx,
        """
        UPDATE recharges SET status = 'expired', version = version + 1, changed_at = clock_timestamp()
        WHERE id = ANY(ARRAY(
            SELECT id FROM recharges
            WHERE status IN ('created', 'awaiting_payment') AND expires_at < clock_timestamp()
            ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED))
        RETURNING id
        """,
        limit,
    )
    return [recharge_id for (recharge_id,) in found]


async def free_slots(tx: Tx, *, keep: timedelta, limit: int) -> int:
    """Let amounts be given out again that nobody is likely to pay late any more."""
    return await run(
        tx,
        """
        UPDATE recharges SET holds_slot = false
        WHERE id = ANY(ARRAY(
            SELECT id FROM recharges
            WHERE holds_slot AND expires_at < clock_timestamp() - $1::interval AND status <> 'submitted'
            ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))
        """,
        keep,
        limit,
    )


async def apply_credits(tx: Tx, items: Sequence[Credited]) -> None:
    """Any state but refunded -> completed, and add what came; the caller has locked the recharges."""
    await run(
        tx,
        """
        UPDATE recharges
        SET credited_paise = credited_paise + credited.paise, version = version + 1, changed_at = clock_timestamp(),
            status = CASE WHEN status = 'refunded' THEN status ELSE 'completed' END
        FROM unnest($1::bigint[], $2::bigint[]) AS credited (id, paise) WHERE recharges.id = credited.id
        """,
        *columns(items, "recharge_id", "paise"),
    )


async def set_detected(tx: Tx, recharge_id: RechargeId) -> bool:
    """awaiting_payment, expired -> detected: a transfer is on its way that may still vanish."""
    return (
        await run(
            tx,
            """
            UPDATE recharges SET status = 'detected', version = version + 1, changed_at = clock_timestamp()
            WHERE id = $1 AND status IN ('awaiting_payment', 'expired')
            """,
            recharge_id,
        )
        == 1
    )


async def set_vanished(tx: Tx, recharge_id: RechargeId) -> bool:
    """detected -> awaiting_payment: the transfer is gone. Its time may be over by now, and then it expires."""
    return (
        await run(
            tx,
            """
            UPDATE recharges SET status = 'awaiting_payment', version = version + 1, changed_at = clock_timestamp()
            WHERE id = $1 AND status = 'detected'
            """,
            recharge_id,
        )
        == 1
    )


async def list_uncredited(
    tx: Tx, *, account_id: AccountId, statuses: Sequence[RechargeStatus], since: datetime | None,
    until: datetime | None, before: int | None, limit: int,
) -> list[Recharge]:  # fmt: skip
    """Return an account's recharges of some states that nothing was credited for, newest first."""
    return await many(
        tx,
        Recharge,
        """
        SELECT * FROM recharges
        WHERE account_id = $1 AND status = ANY($2::text[]) AND credited_paise = 0
          AND ($3::timestamptz IS NULL OR created_at >= $3) AND ($4::timestamptz IS NULL OR created_at < $4)
          AND ($5::bigint IS NULL OR id < $5)
        ORDER BY id DESC LIMIT $6
        """,
        account_id,
        statuses,
        since,
        until,
        before,
        limit,
    )
