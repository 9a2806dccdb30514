"""Statements on receipts and their yearly numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from numberdesk.base.db import Tx, columns, many, maybe, run, value
from numberdesk.base.money import Paise
from numberdesk.payments.model import PaymentId, Receipt, ReceiptKind, RechargeId, RefundId
from numberdesk.wallet.model import AccountId


@dataclass(frozen=True, slots=True)
class NewReceipt:
    """A receipt to be written."""

    number: str
    serial: int
    account_id: AccountId
    recharge_id: RechargeId | None
    payment_id: PaymentId
    kind: ReceiptKind
    refund_id: RefundId | None
    amount_paise: Paise
    taxable_paise: int | None
    cgst_paise: int | None
    sgst_paise: int | None
    igst_paise: int | None
    details: str


async def take_serials(tx: Tx, *, series: str, year: str, count: int) -> int:
    """Take the next numbers of a year and return the first. Held until the transaction ends, so there are no gaps."""
    last: int = await value(
        tx,
        """
        INSERT INTO receipt_series (series, year, last_serial) VALUES ($1, $2, $3)
        ON CONFLICT (series, year) DO UPDATE SET last_serial = receipt_series.last_serial + excluded.last_serial
        RETURNING last_serial
        """,
        series,
        year,
        count,
    )
    return last - count + 1


async def insert_receipts(
    tx: Tx, receipts: Sequence[NewReceipt], *, series: str, year: str, issued_at: datetime
) -> None:
    """Write receipts; a second one for a payment breaks `receipts_payment`."""
    await run(
        tx,
        """
        INSERT INTO receipts (number, series, year, serial, account_id, recharge_id, payment_id, kind, refund_id,
                              amount_paise, taxable_paise, cgst_paise, sgst_paise, igst_paise, details, issued_at)
        SELECT number, $14, $15, serial, account_id, recharge_id, payment_id, kind, refund_id, paise, taxable, cgst,
               sgst, igst, details::jsonb, $16
        FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::bigint[],
                    $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::text[])
             AS new (number, serial, account_id, recharge_id, payment_id, kind, refund_id, paise, taxable, cgst, sgst,
                     igst, details)
        """,
        *columns(
            receipts, "number", "serial", "account_id", "recharge_id", "payment_id", "kind", "refund_id",
            "amount_paise", "taxable_paise", "cgst_paise", "sgst_paise", "igst_paise", "details",
        ),
        series,
        year,
        issued_at,
    )  # fmt: skip


async def find_receipt(tx: Tx, *, account_id: AccountId, receipt_id: int) -> Receipt | None:
    """Return a receipt of an account."""
    return await maybe(tx, Receipt, "SELECT * FROM receipts WHERE id = $1 AND account_id = $2", receipt_id, account_id)


async def list_receipts(
    tx: Tx, *, account_id: AccountId, recharge_id: RechargeId | None, before: int | None, limit: int
) -> list[Receipt]:
    """Return an account's receipts, newest first."""
    return await many(
        tx,
        Receipt,
        """
        SELECT * FROM receipts
        WHERE account_id = $1 AND ($2::bigint IS NULL OR recharge_id = $2) AND ($3::bigint IS NULL OR id < $3)
        ORDER BY id DESC LIMIT $4
        """,
        account_id,
        recharge_id,
        before,
        limit,
    )


async def list_of_payment(tx: Tx, payment_id: PaymentId) -> list[Receipt]:
    """Return the receipt of a payment, then its notes, in the order in which they were written."""
    return await many(tx, Receipt, "SELECT * FROM receipts WHERE payment_id = $1 ORDER BY id", payment_id)
