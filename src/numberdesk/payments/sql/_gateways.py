"""Statements on webhooks, on looks at gateways that are due, and on money that goes back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from numberdesk.base.db import Tx, many, maybe, one, run
from numberdesk.base.money import Paise
from numberdesk.payments.methods.gateway import GatewayName, Hint
from numberdesk.payments.model import (
    BegunBy,
    GatewayRefundRow,
    Payment,
    PaymentId,
    Recharge,
    RechargeId,
    RefundId,
    RefundState,
    WebhookState,
)
from numberdesk.wallet.model import AccountId


@dataclass(frozen=True, slots=True)
class WebhookRow:
    """A webhook that waits."""

    id: int
    gateway: GatewayName
    ref: str | None
    gateway_id: str | None
    payment_id: str | None
    attempts: int


async def insert_webhook(tx: Tx, gateway: GatewayName, hint: Hint, *, body_sha256: bytes, raw: bytes) -> bool:
    """Store a webhook; False when its event, or its very body, was stored before.

    The event's id is no part of what is signed. So a known id with another body is another event, and is stored too.
    """
    written = await run(
        tx,
        """
        INSERT INTO webhook_events (gateway, event_id, kind, ref, gateway_id, payment_id, body_sha256, raw)
        SELECT $1, CASE WHEN known.body_sha256 IS DISTINCT FROM $7 AND known.id IS NOT NULL
                        THEN $2 || '/' || encode($7, 'hex') ELSE $2 END, $3, $4, $5, $6, $7, $8
        FROM (SELECT 1) AS always
        LEFT JOIN webhook_events AS known ON known.gateway = $1 AND known.event_id = $2
        ON CONFLICT DO NOTHING
        """,
        gateway,
        hint.event_id,
        hint.kind,
        hint.ref,
        hint.gateway_id,
        hint.payment_id,
        body_sha256,
        raw,
    )
    return written == 1


async def lease_webhooks(tx: Tx, *, lease: timedelta, limit: int) -> list[WebhookRow]:
    """Take webhooks that are due."""
    return await many(
        tx,
        WebhookRow,
        """
        UPDATE webhook_events SET due_at = clock_timestamp() + $1::interval, attempts = attempts + 1
        WHERE id = ANY(ARRAY(
            SELECT id FROM webhook_events WHERE state = 'waiting' AND due_at <= clock_timestamp()
            ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED))
        RETURNING *
        """,
        lease,
        limit,
    )


async def set_webhook_ended(tx: Tx, webhook_id: int, state: WebhookState, *, problem: str | None = None) -> None:
    """waiting -> done, foreign or failed."""
    await run(
        tx,
        """
        UPDATE webhook_events SET state = $2, problem = $3, ended_at = clock_timestamp()
        WHERE id = $1 AND state = 'waiting'
        """,
        webhook_id,
        state,
        problem,
    )


async def set_webhook_retry(tx: Tx, webhook_id: int, *, after: timedelta, problem: str) -> None:
    """Let a webhook wait for another try."""
    await run(
        tx,
        """
        UPDATE webhook_events SET due_at = clock_timestamp() + $2::interval, problem = $3
        WHERE id = $1 AND state = 'waiting'
        """,
        webhook_id,
        after,
        problem,
    )


async def forget_bodies(tx: Tx, *, keep: timedelta, limit: int) -> int:
    """Delete webhooks that ended long ago: gateways do not repeat them any more."""
    return await run(
        tx,
        """
        DELETE FROM webhook_events WHERE id = ANY(ARRAY(
            SELECT id FROM webhook_events WHERE ended_at < clock_timestamp() - $1::interval
            ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED))
        """,
        keep,
        limit,
    )


async def lease_looks(tx: Tx, *, rails: Sequence[str], lease: timedelta, limit: int) -> list[Recharge]:
    """Take recharges at gateways that are due to be looked at."""
    return await many(
        tx,
        Recharge,
        """
        UPDATE recharges SET due_at = clock_timestamp() + $2::interval, looks = looks + 1
        WHERE id = ANY(ARRAY(
            SELECT id FROM recharges WHERE due_at <= clock_timestamp() AND rail = ANY($1::text[])
            ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED))
        RETURNING *
        """,
        rails,
        lease,
        limit,
    )


async def find_by_gateway_id(tx: Tx, rail: GatewayName, gateway_id: str) -> Recharge | None:
    """Return the recharge of a gateway's page."""
    return await maybe(tx, Recharge, "SELECT * FROM recharges WHERE rail = $1 AND gateway_id = $2", rail, gateway_id)


async def set_looked(tx: Tx, recharge_id: RechargeId, *, is_answered: bool) -> None:
    """Plan the next look, ever later: 20 s, 20 s, 20 s, each minute to the end, 5 min for an hour, hourly to 72 h."""
    await run(
        tx,
        """
        UPDATE recharges
        SET looked_at = CASE WHEN $2 THEN clock_timestamp() ELSE looked_at END,
            due_at = CASE
                WHEN clock_timestamp() > created_at + interval '72 hours' THEN NULL
                WHEN clock_timestamp() > expires_at + interval '1 hour' THEN clock_timestamp() + interval '1 hour'
                WHEN clock_timestamp() > expires_at THEN clock_timestamp() + interval '5 minutes'
                WHEN looks >= 3 THEN clock_timestamp() + interval '1 minute'
                ELSE clock_timestamp() + interval '20 seconds' END
        WHERE id = $1
        """,
        recharge_id,
        is_answered,
    )


async def ask_for_look(tx: Tx, recharge_id: RechargeId, *, every: timedelta) -> bool:
    """Have a recharge looked at at once, unless it was so lately; tells whether it will be."""
    return (
        await run(
            tx,
            """
            UPDATE recharges SET due_at = CASE WHEN address_id IS NULL THEN clock_timestamp() END,
                                 looked_at = clock_timestamp()
            WHERE id = $1 AND (looked_at IS NULL OR looked_at < clock_timestamp() - $2::interval)
            """,
            recharge_id,
            every,
        )
        == 1
    )


async def insert_refund(
    tx: Tx, payment: Payment, *, key: str, amount_paise: Paise, state: RefundState, begun_by: BegunBy,
    by_account: AccountId | None, reason: str, gateway_id: str | None,
) -> GatewayRefundRow | None:  # fmt: skip
    """Write a refund; None when its key is known."""
    return await maybe(
        tx,
        GatewayRefundRow,
        """
        INSERT INTO gateway_refunds (payment_id, key, amount_paise, state, begun_by, by_account, reason, gateway_id,
                                     due_at, ended_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8,
                CASE WHEN $4 = 'requested' THEN clock_timestamp() + interval '1 minute' END,
                CASE WHEN $4 IN ('processed', 'failed') THEN clock_timestamp() END)
        ON CONFLICT (key) DO NOTHING RETURNING *
        """,
        payment.id,
        key,
        amount_paise,
        state,
        begun_by,
        by_account,
        reason,
        gateway_id,
    )


async def add_refunded(tx: Tx, payment_id: PaymentId, paise: int) -> bool:
    """Add to, or take from, what of a payment goes back; False when that is more than came or less than nothing."""
    return (
        await run(
            tx,
            """
            UPDATE external_payments
            SET refunded_paise = refunded_paise + $2, version = version + 1
            WHERE id = $1 AND refunded_paise + $2 BETWEEN 0 AND amount_paise
            """,
            payment_id,
            paise,
        )
        == 1
    )


async def set_returned(tx: Tx, payment_id: PaymentId) -> None:
    """suspense -> returned, when all of it went back."""
    await run(
        tx,
        """
        UPDATE external_payments SET state = 'returned', version = version + 1
        WHERE id = $1 AND state = 'suspense' AND refunded_paise = amount_paise
        """,
        payment_id,
    )


async def set_suspense_again(tx: Tx, payment_id: PaymentId) -> None:
    """returned -> suspense, when the way back failed."""
    await run(
        tx,
        """
        UPDATE external_payments SET state = 'suspense', version = version + 1
        WHERE id = $1 AND state = 'returned' AND refunded_paise < amount_paise
        """,
        payment_id,
    )


async def add_recharge_refunded(tx: Tx, recharge_id: RechargeId, paise: int) -> None:
    """Add to, or take from, what of a recharge went back; completed -> refunded when it is all, and the reverse."""
    await run(
        tx,
        """
        UPDATE recharges
        SET refunded_paise = refunded_paise + $2, version = version + 1, changed_at = clock_timestamp(),
            status = CASE WHEN refunded_paise + $2 >= credited_paise THEN 'refunded'
                          WHEN status = 'refunded' THEN 'completed' ELSE status END
        WHERE id = $1
        """,
        recharge_id,
        paise,
    )


async def set_refund_short(tx: Tx, refund_id: RefundId, paise: int) -> None:
    """Write down what the wallet lacked."""
    await run(tx, "UPDATE gateway_refunds SET short_paise = $2 WHERE id = $1", refund_id, paise)


async def lock_payment(tx: Tx, payment_id: PaymentId) -> Payment:
    """Lock a payment, whatever its state; its recharge is locked before."""
    return await one(tx, Payment, "SELECT * FROM external_payments WHERE id = $1 FOR UPDATE", payment_id)


async def get_refund(tx: Tx, refund_id: RefundId) -> GatewayRefundRow:
    """Return a refund."""
    return await one(tx, GatewayRefundRow, "SELECT * FROM gateway_refunds WHERE id = $1", refund_id)


async def find_refund(tx: Tx, key: str) -> GatewayRefundRow | None:
    """Return a refund by its key."""
    return await maybe(tx, GatewayRefundRow, "SELECT * FROM gateway_refunds WHERE key = $1", key)


async def lock_refund(tx: Tx, refund_id: RefundId) -> GatewayRefundRow:
    """Lock a refund."""
    return await one(tx, GatewayRefundRow, "SELECT * FROM gateway_refunds WHERE id = $1 FOR UPDATE", refund_id)


async def lease_refunds(tx: Tx, *, lease: timedelta, limit: int) -> list[GatewayRefundRow]:
    """Take refunds that are due to be sent or looked at."""
    return await many(
        tx,
        GatewayRefundRow,
        """
        UPDATE gateway_refunds SET due_at = clock_timestamp() + $1::interval, tries = tries + 1
        WHERE id = ANY(ARRAY(
            SELECT id FROM gateway_refunds WHERE due_at <= clock_timestamp()
            ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED))
        RETURNING *
        """,
        lease,
        limit,
    )


async def set_refund_state(
    tx: Tx, refund: GatewayRefundRow, state: RefundState, *, gateway_id: str | None, bank_reference: str | None,
    after: timedelta,
) -> bool:  # fmt: skip
    """requested, pending -> what the gateway says; False when it was ended before."""
    return (
        await run(
            tx,
            """
            UPDATE gateway_refunds
            SET state = $2, gateway_id = COALESCE($3, gateway_id), bank_reference = COALESCE($4, bank_reference),
                due_at = CASE WHEN $2 = 'pending' THEN clock_timestamp() + $5::interval END,
                ended_at = CASE WHEN $2 IN ('processed', 'failed') THEN clock_timestamp() END
            WHERE id = $1 AND state IN ('requested', 'pending')
            """,
            refund.id,
            state,
            gateway_id,
            bank_reference,
            after,
        )
        == 1
    )


async def list_at_gateways(tx: Tx, *, rails: Sequence[str], since: datetime, after: int, limit: int) -> list[Recharge]:
    """Return recharges at gateways that were begun since a moment, ascending by id from `after`.

    Those whose page we know nothing of are among them: after a crash or a restore the gateway may know it.
    """
    return await many(
        tx,
        Recharge,
        """
        SELECT * FROM recharges WHERE rail = ANY($1::text[]) AND created_at >= $2 AND id > $3
        ORDER BY id LIMIT $4
        """,
        rails,
        since,
        after,
        limit,
    )
