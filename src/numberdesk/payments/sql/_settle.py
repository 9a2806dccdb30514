"""Statements by which a payment from outside has its effect, once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from numberdesk.base.db import Tx, columns, many, maybe, one, rows, run, value
from numberdesk.base.money import Paise
from numberdesk.payments.model import (
    AddressId,
    BankCreditId,
    Payment,
    PaymentId,
    PaymentState,
    ProofKind,
    Rail,
    RechargeId,
    VpaId,
    Why,
)
from numberdesk.wallet.model import AccountId


@dataclass(frozen=True, slots=True)
class NewPayment:
    """A payment from outside, to be written. It waits until it is decided, in the same transaction."""

    rail: Rail
    external_id: str
    ref: str | None
    proof: ProofKind
    amount_paise: Paise
    units: int | None
    vpa_id: VpaId | None
    address_id: AddressId | None
    rrn: str | None
    recharge_id: RechargeId | None
    account_id: AccountId | None
    paid_at: datetime | None
    raw: bytes | None
    payer_hash: bytes | None


@dataclass(frozen=True, slots=True)
class Decided:
    """What a waiting payment becomes."""

    id: PaymentId
    state: PaymentState
    why: Why | None
    amount_paise: Paise
    paise_per_unit: Decimal | None
    quote_id: int | None
    recharge_id: RechargeId | None


@dataclass(frozen=True, slots=True)
class AtAddress:
    """The recharge that money at an address is for."""

    id: RechargeId
    address_id: AddressId
    rail: Rail


async def insert_payments(tx: Tx, payments: Sequence[NewPayment]) -> list[Payment]:
    """Write payments that were not known, in the order given, which is ascending for all; returns the new ones.

    Where another transaction is just writing the same payment, this waits for its end.
    """
    return await many(
        tx,
        Payment,
        """
        INSERT INTO external_payments (rail, external_id, ref, proof, state, amount_paise, units, vpa_id, address_id,
                                       rrn, recharge_id, account_id, paid_at, raw, payer_hash)
        SELECT rail, external_id, ref, proof, 'waiting', paise, units, vpa_id, address_id, rrn, recharge_id,
               account_id, paid_at, raw, payer_hash
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[],
                    $8::bigint[], $9::text[], $10::bigint[], $11::bigint[], $12::timestamptz[], $13::bytea[],
                    $14::bytea[])
             WITH ORDINALITY
             AS new (rail, external_id, ref, proof, paise, units, vpa_id, address_id, rrn, recharge_id, account_id,
                     paid_at, raw, payer_hash, place)
        ORDER BY place
        ON CONFLICT (rail, external_id) DO NOTHING
        RETURNING *
        """,
        *columns(
            payments, "rail", "external_id", "ref", "proof", "amount_paise", "units", "vpa_id", "address_id", "rrn",
            "recharge_id", "account_id", "paid_at", "raw", "payer_hash",
        ),
    )  # fmt: skip


async def find_payments(tx: Tx, keys: Sequence[tuple[Rail, str]]) -> list[Payment]:
    """Return payments by (rail, external id)."""
    return await many(
        tx,
        Payment,
        """
        SELECT payment.* FROM external_payments AS payment
        JOIN unnest($1::text[], $2::text[]) AS known (rail, external_id) USING (rail, external_id)
        """,
        [rail for rail, _ in keys],
        [external_id for _, external_id in keys],
    )


async def lock_payments(tx: Tx, payment_ids: Sequence[PaymentId], *, state: PaymentState) -> list[Payment]:
    """Lock payments that are in a state, in ascending order of their ids."""
    return await many(
        tx,
        Payment,
        """
        SELECT * FROM external_payments WHERE id = ANY($1::bigint[]) AND state = $2 ORDER BY id FOR UPDATE
        """,
        payment_ids,
        state,
    )


async def get_payment(tx: Tx, payment_id: PaymentId) -> Payment:
    """Return a payment."""
    return await one(tx, Payment, "SELECT * FROM external_payments WHERE id = $1", payment_id)


async def find_payment(tx: Tx, payment_id: PaymentId) -> Payment | None:
    """Return a payment by its id."""
    return await maybe(tx, Payment, "SELECT * FROM external_payments WHERE id = $1", payment_id)


async def list_waiting(tx: Tx, *, limit: int) -> list[Payment]:
    """Return payments that wait for a price, oldest first. Dust is decided again when more comes."""
    return await many(
        tx,
        Payment,
        "SELECT * FROM external_payments WHERE state = 'waiting' AND why = 'no_rate' ORDER BY id LIMIT $1",
        limit,
    )


async def list_waiting_at(tx: Tx, address_ids: Sequence[AddressId]) -> list[Payment]:
    """Lock all payments that wait at some addresses, in ascending order of their ids."""
    return await many(
        tx,
        Payment,
        """
        SELECT * FROM external_payments WHERE state = 'waiting' AND address_id = ANY($1::bigint[])
        ORDER BY id FOR UPDATE
        """,
        address_ids,
    )


async def set_decided(tx: Tx, decided: Sequence[Decided]) -> int:
    """waiting -> what was decided; returns how many moved."""
    return await run(
        tx,
        """
        UPDATE external_payments AS payment
        SET state = decided.state, why = decided.why, amount_paise = decided.paise,
            paise_per_unit = decided.rate, quote_id = decided.quote_id, recharge_id = decided.recharge_id,
            version = version + 1,
            settled_at = CASE WHEN decided.state = 'credited' THEN clock_timestamp() END
        FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::numeric[], $6::bigint[], $7::bigint[])
             AS decided (id, state, why, paise, rate, quote_id, recharge_id)
        WHERE payment.id = decided.id AND payment.state = 'waiting'
        """,
        *columns(decided, "id", "state", "why", "amount_paise", "paise_per_unit", "quote_id", "recharge_id"),
    )


async def set_assigned(tx: Tx, payment: Payment, *, account_id: AccountId, recharge_id: RechargeId | None) -> bool:
    """suspense -> credited to an account, of the version that was read; False when somebody else was faster."""
    return (
        await run(
            tx,
            """
            UPDATE external_payments SET state = 'credited', account_id = $3, recharge_id = $4, version = version + 1,
                                         settled_at = clock_timestamp()
            WHERE id = $1 AND version = $2 AND state = 'suspense' AND refunded_paise = 0
            """,
            payment.id,
            payment.version,
            account_id,
            recharge_id,
        )
        == 1
    )


async def set_bank_credits_settled(tx: Tx, items: Sequence[tuple[BankCreditId, PaymentId, PaymentState]]) -> None:
    """open -> settled or suspense, with the payment that it became."""
    await run(
        tx,
        """
        UPDATE bank_credits SET state = CASE WHEN item.state = 'suspense' THEN 'suspense' ELSE 'settled' END,
                                payment_id = item.payment_id, version = version + 1
        FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS item (id, payment_id, state)
        WHERE bank_credits.id = item.id AND bank_credits.state = 'open'
        """,
        [item[0] for item in items],
        [item[1] for item in items],
        [item[2] for item in items],
    )


async def link_known_credits(tx: Tx, *, vpa_id: VpaId, references: Sequence[str]) -> list[PaymentId]:
    """open -> settled or suspense, for what the bank shows and our books have as just that; returns the payments."""
    found = await rows(
        tx,
        """
        UPDATE bank_credits AS credit
        SET state = CASE WHEN payment.state = 'suspense' THEN 'suspense' ELSE 'settled' END, payment_id = payment.id,
            version = credit.version + 1
        FROM external_payments AS payment
        WHERE credit.vpa_id = $1 AND credit.reference = ANY($2::text[]) AND credit.state = 'open'
          AND payment.rail = 'upi_manual' AND payment.external_id = credit.vpa_id || ':' || credit.reference
          AND payment.amount_paise = credit.amount_paise
        RETURNING payment.id
        """,
        vpa_id,
        references,
    )
    return [PaymentId(row[0]) for row in found]


async def has_rrn(tx: Tx, rrn: str) -> bool:
    """Tell whether a UTR had its effect, at whichever of our addresses: two may be of one bank account."""
    found: bool = await value(
        tx,
        "SELECT EXISTS (SELECT FROM external_payments WHERE rail = 'upi_manual' AND rrn = $1)",
        rrn,
    )
    return found


async def list_open_at(tx: Tx, address_ids: Sequence[AddressId], *, late: timedelta) -> list[AtAddress]:
    """Return for each address and rail the newest recharge that money there is for: open, or just expired."""
    return await many(
        tx,
        AtAddress,
        """
        SELECT DISTINCT ON (address_id, rail) id, address_id, rail FROM recharges
        WHERE address_id = ANY($1::bigint[]) AND credited_paise = 0
          AND (status IN ('awaiting_payment', 'detected') OR expires_at > clock_timestamp() - $2::interval)
        ORDER BY address_id, rail, status IN ('awaiting_payment', 'detected') DESC, id DESC
        """,
        address_ids,
        late,
    )


async def list_known_txids(tx: Tx, txids: Sequence[str]) -> set[str]:
    """Return those transactions of a chain that some payment of ours is of."""
    found = await rows(
        tx,
        """
        SELECT DISTINCT split_part(external_id, ':', 2) FROM external_payments
        WHERE units IS NOT NULL AND split_part(external_id, ':', 2) = ANY($1::text[])
        """,
        txids,
    )
    return {txid for (txid,) in found}


async def list_payments_of(tx: Tx, recharge_id: RechargeId) -> list[Payment]:
    """Return the payments for a recharge."""
    return await many(tx, Payment, "SELECT * FROM external_payments WHERE recharge_id = $1 ORDER BY id", recharge_id)
