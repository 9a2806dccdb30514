"""Receipts: one for each payment that was credited, numbered without gaps in each financial year, and told by mail."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import Recipient
from numberdesk.base import clock
from numberdesk.base.db import Database, Tx
from numberdesk.base.errors import NotFound
from numberdesk.base.money import Paise, format_rupees
from numberdesk.notifications import service as notifications
from numberdesk.notifications.model import Notice
from numberdesk.payments import sql
from numberdesk.payments.methods import gst
from numberdesk.payments.model import GatewayRefundRow, Payment, Rail, Receipt, Recharge
from numberdesk.payments.service import _staff
from numberdesk.payments.service._till import Supplier, Till
from numberdesk.wallet.model import AccountId

PAID_BY: dict[Rail, str] = {
    "upi_manual": "UPI", "razorpay": "UPI (Razorpay)", "cashfree": "UPI (Cashfree)", "phonepe": "UPI (PhonePe)",
    "trx": "TRX", "usdt": "USDT (TRC-20)",
}  # fmt: skip
LIST_MAX = 100


@dataclass(frozen=True, slots=True)
class Issue:
    """A payment that is to be receipted."""

    payment: Payment
    account_id: AccountId
    amount_paise: Paise
    paise_per_unit: Decimal | None
    recharge: Recharge | None
    note: str


async def issue(till: Till, tx: Tx, items: Sequence[Issue]) -> None:
    """Write receipts and the mails that bring them, in the transaction that credits; it locks the series to its end.

    Source: CGST Rules 46 and 50: a receipt voucher for an advance, numbered through the year, at the rate that applies.
    """
    if not items:
        return
    now, supplier = clock.now(), till.supplier
    people = await accounts.recipients(tx, sorted({item.account_id for item in items}))
    year = gst.fiscal_year(now)
    first = await sql.take_serials(tx, series=supplier.series, year=year, count=len(items))
    receipts = [
        _receipt(supplier, people[item.account_id], item, serial=first + place, year=year)
        for place, item in enumerate(items)
    ]
    await sql.insert_receipts(tx, receipts, series=supplier.series, year=year, issued_at=now)
    notices = [
        _notice(people[item.account_id], item, receipt.number, now)
        for item, receipt in zip(items, receipts, strict=True)
    ]
    await notifications.enqueue(tx, till.vault, notices)
    events = [
        _staff.credited(
            item.payment.cause, people[item.account_id], item.amount_paise, PAID_BY[item.payment.rail], receipt.number,
            item.note,
        )
        for item, receipt in zip(items, receipts, strict=True)
    ]  # fmt: skip
    await _staff.tell(till, tx, events)


async def issue_refund_note(till: Till, tx: Tx, payment: Payment, refund: GatewayRefundRow) -> None:
    """Write the note that takes a receipt back, wholly or in part, with the mail that says so.

    Its tax is that of the receipt, whatever the supplier's rate is by now. The caller has locked the payment.
    """
    assert payment.account_id is not None, "money of nobody's had no receipt"
    now, supplier = clock.now(), till.supplier
    people = await accounts.recipients(tx, [payment.account_id])
    of, *notes = await sql.list_of_payment(tx, payment.id)
    assert of.kind == "receipt", "what was credited has its receipt"
    told = json.loads(of.details)
    supplier = replace(supplier, gstin=told.get("gstin"), sac=told.get("sac"), rate_bps=told.get("rateBps") or 0)
    year = gst.fiscal_year(now)
    serial = await sql.take_serials(tx, series=supplier.series, year=year, count=1)
    item = Issue(payment, payment.account_id, refund.amount_paise, payment.paise_per_unit, None, refund.reason)
    note = _receipt(
        supplier, people[payment.account_id], item, serial=serial, year=year, refund=refund, of=of.number,
        before=sum(note.amount_paise for note in notes),
    )  # fmt: skip
    await sql.insert_receipts(tx, [note], series=supplier.series, year=year, issued_at=now)
    person = people[payment.account_id]
    data = {
        "name": person.name, "amount": format_rupees(refund.amount_paise), "receipt": note.number,
        "method": PAID_BY[payment.rail], "at": local_time(now, person.timezone),
    }  # fmt: skip
    await notifications.enqueue(
        tx, till.vault, [Notice("recharge_refunded", person.email, data, f"refund_note:{refund.id}", person.id)]
    )
    event = _staff.refunded(refund.id, person, refund.amount_paise, PAID_BY[payment.rail], note.number)
    await _staff.tell(till, tx, [event])


def _receipt(
    supplier: Supplier, person: Recipient, item: Issue, *, serial: int, year: str,
    refund: GatewayRefundRow | None = None, of: str | None = None, before: int = 0,
) -> sql.NewReceipt:  # fmt: skip
    taxes = None if supplier.gstin is None else _taxes(item.amount_paise, supplier.rate_bps, before)
    payment = item.payment
    details = {
        "supplier": supplier.name,
        "supplierAddress": supplier.address,
        "gstin": supplier.gstin,
        "sac": supplier.sac,
        "rateBps": None if taxes is None else supplier.rate_bps,
        "recipient": person.name or person.email,
        "email": person.email,
        "method": PAID_BY[payment.rail],
        "reference": reference_of(payment),
        "transactionId": None if item.recharge is None else item.recharge.ref,
        "units": payment.units,
        "paisePerUnit": None if item.paise_per_unit is None else str(item.paise_per_unit),
        "quoteId": None if item.recharge is None else item.recharge.quote_id,
        "paidAt": None if payment.paid_at is None else payment.paid_at.isoformat(),
        "note": item.note,
        "receipt": of,
    }
    return sql.NewReceipt(
        number=gst.receipt_number(supplier.series, fiscal_year=year, serial=serial),
        serial=serial,
        account_id=item.account_id,
        recharge_id=payment.recharge_id if item.recharge is None else item.recharge.id,
        payment_id=payment.id,
        kind="receipt" if refund is None else "refund_note",
        refund_id=None if refund is None else refund.id,
        amount_paise=item.amount_paise,
        taxable_paise=None if taxes is None else taxes.taxable_paise,
        cgst_paise=None if taxes is None else taxes.cgst_paise,
        sgst_paise=None if taxes is None else taxes.sgst_paise,
        igst_paise=None if taxes is None else taxes.igst_paise,
        details=json.dumps(details, ensure_ascii=False),
    )


def _taxes(amount: Paise, rate_bps: int, before: int) -> gst.Taxes:
    """Return the tax in an amount; in one of several parts what is left of their sum's, so that no paisa is lost."""
    # Where the supply will be used is not known when the wallet is filled, so the tax is that between states.
    first = gst.split_inclusive(before, rate_bps=rate_bps, same_state=False)
    both = gst.split_inclusive(before + amount, rate_bps=rate_bps, same_state=False)
    return gst.Taxes(
        Paise(both.taxable_paise - first.taxable_paise), Paise(0), Paise(0), Paise(both.igst_paise - first.igst_paise)
    )


def _notice(person: Recipient, item: Issue, number: str, now: datetime) -> Notice:
    data = {
        "name": person.name,
        "amount": format_rupees(item.amount_paise),
        "receipt": number,
        "method": PAID_BY[item.payment.rail],
        "reference": masked(reference_of(item.payment)),
        "at": local_time(now, person.timezone),
        "note": item.note or None,
    }
    return Notice("recharge_credited", person.email, data, f"receipt:{item.payment.cause}", person.id)


def reference_of(payment: Payment) -> str:
    """Return what the payer's bank or the chain knows a payment by."""
    if payment.rrn is not None:
        return payment.rrn
    return payment.external_id.split(":")[1] if payment.units is not None else payment.external_id


def masked(reference: str) -> str:
    """Return the end of a reference, which is enough to recognise it in a mail."""
    return f"…{reference[-4:]}"


def local_time(moment: datetime, timezone: str) -> str:
    """Write a time for people, in their own time zone."""
    return moment.astimezone(ZoneInfo(timezone)).strftime("%d %b %Y, %H:%M %Z")


async def list_receipts(
    db: Database, *, account_id: AccountId, ref: str | None = None, cursor: int | None = None, limit: int = 50
) -> list[Receipt]:
    """Return an account's receipts, newest first, of one recharge or of all.

    Raises:
        NotFound: there is no such recharge of this account.
    """
    async with db.statement() as tx:
        recharge = None if ref is None else await sql.find_recharge(tx, ref, account_id=account_id)
        if ref is not None and recharge is None:
            raise NotFound(what="recharge")
        return await sql.list_receipts(
            tx, account_id=account_id, recharge_id=None if recharge is None else recharge.id, before=cursor,
            limit=min(limit, LIST_MAX),
        )  # fmt: skip


async def get_receipt(db: Database, *, account_id: AccountId, receipt_id: int) -> Receipt:
    """Return a receipt of an account.

    Raises:
        NotFound: it has no such receipt.
    """
    async with db.statement() as tx:
        found = await sql.find_receipt(tx, account_id=account_id, receipt_id=receipt_id)
    if found is None:
        raise NotFound(what="receipt")
    return found
