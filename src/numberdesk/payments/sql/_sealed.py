"""Statements on sealed columns, for a change of keys, and on payments as staff look for them."""

from dataclasses import dataclass, field

from numberdesk.base.db import Tx, many, run
from numberdesk.payments.model import Payment, PaymentState
from numberdesk.wallet.model import AccountId


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed column and the place that it was sealed for."""

    id: int
    place: str
    sealed: bytes = field(repr=False)


async def list_sealed(tx: Tx, table: str, *, after: int, limit: int) -> list[Sealed]:
    """Return sealed columns of a table, locked, ascending by id."""
    match table:
        case "payments":
            return await many(
                tx,
                Sealed,
                """
                SELECT id, rail || ':' || external_id AS place, raw AS sealed FROM external_payments
                WHERE id > $1 AND raw IS NOT NULL ORDER BY id LIMIT $2 FOR UPDATE
                """,
                after,
                limit,
            )
        case "credits":
            return await many(
                tx,
                Sealed,
                """
                SELECT id, vpa_id || ':' || reference AS place, details AS sealed FROM bank_credits
                WHERE id > $1 ORDER BY id LIMIT $2 FOR UPDATE
                """,
                after,
                limit,
            )
        case "webhooks":
            return await many(
                tx,
                Sealed,
                """
                SELECT id, gateway || ':' || encode(body_sha256, 'hex') AS place, raw AS sealed FROM webhook_events
                WHERE id > $1 AND raw IS NOT NULL ORDER BY id LIMIT $2 FOR UPDATE
                """,
                after,
                limit,
            )
        case "statements":
            return await many(
                tx,
                Sealed,
                """
                SELECT id, encode(sha256, 'hex') AS place, content AS sealed FROM statements
                WHERE id > $1 AND content IS NOT NULL ORDER BY id LIMIT $2 FOR UPDATE
                """,
                after,
                limit,
            )
        case _:
            return await many(
                tx,
                Sealed,
                """
                SELECT id, recharge_id || ':' || rrn AS place, payer AS sealed FROM utr_claims
                WHERE id > $1 AND payer IS NOT NULL ORDER BY id LIMIT $2 FOR UPDATE
                """,
                after,
                limit,
            )


async def set_sealed(tx: Tx, table: str, row_id: int, sealed: bytes) -> None:
    """Write a column that was sealed anew."""
    match table:
        case "payments":
            await run(tx, "UPDATE external_payments SET raw = $2 WHERE id = $1", row_id, sealed)
        case "credits":
            await run(tx, "UPDATE bank_credits SET details = $2 WHERE id = $1", row_id, sealed)
        case "webhooks":
            await run(tx, "UPDATE webhook_events SET raw = $2 WHERE id = $1", row_id, sealed)
        case "statements":
            await run(tx, "UPDATE statements SET content = $2 WHERE id = $1", row_id, sealed)
        case _:
            await run(tx, "UPDATE utr_claims SET payer = $2 WHERE id = $1", row_id, sealed)


async def list_payments(
    tx: Tx,
    *,
    state: PaymentState | None,
    account_id: AccountId | None,
    words: str | None,
    before: int | None,
    limit: int,
) -> list[Payment]:
    """Return payments, newest first."""
    return await many(
        tx,
        Payment,
        """
        SELECT * FROM external_payments AS payment
        WHERE ($1::text IS NULL OR state = $1) AND ($2::bigint IS NULL OR account_id = $2)
          AND ($3::text IS NULL OR rrn = $3 OR external_id = $3 OR ref = $3
               OR (units IS NOT NULL AND split_part(external_id, ':', 2) = $3))
          AND ($4::bigint IS NULL OR id < $4)
        ORDER BY id DESC LIMIT $5
        """,
        state,
        account_id,
        words,
        before,
        limit,
    )
