"""How recharges look on the wire."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from msgspec import Struct

from numberdesk.base.money import format_rupees
from numberdesk.base.web import rfc3339
from numberdesk.payments.methods import upi
from numberdesk.payments.methods.rate_sources import UNITS
from numberdesk.payments.model import OPEN, SHOWN, Event, Method, Quote, Recharge, RechargeStatus, ShownStatus
from numberdesk.payments.service import Shown


class UpiView(Struct, rename="camel", frozen=True, tag_field="kind", tag="upi"):
    """How to pay by UPI: exactly this amount, to this address."""

    transaction_id: str
    pay_to: str
    payee_name: str
    amount: str
    upi_link: str
    opens_apps: bool
    """False for an address that is no merchant's: apps refuse a link to it, and take its QR code when it is scanned."""
    qr_svg: str
    expires_at: datetime | None


class PageView(Struct, rename="camel", frozen=True, tag_field="kind", tag="page"):
    """A gateway's page where the amount is paid: at `url`, or opened by its script with `session`."""

    transaction_id: str
    pay_to: str
    amount: str
    url: str | None
    session: str | None
    qr_svg: str | None
    expires_at: datetime | None


class TronView(Struct, rename="camel", frozen=True, tag_field="kind", tag="tron"):
    """How to pay on TRON: this much of the asset, to the customer's own address."""

    transaction_id: str
    address: str
    asset: Method
    trx: str
    amount: str
    rate: str
    """Rupees for one unit, good until `expires_at`."""
    quote_id: int
    qr_svg: str
    expires_at: datetime | None


PayView = UpiView | PageView | TronView


class RechargeView(Struct, rename="camel", frozen=True):
    """A recharge: what was asked for, and what came."""

    transaction_id: str
    status: ShownStatus
    stage: RechargeStatus
    method: Method
    amount: str
    payable: str
    credited: str
    refunded: str
    created_at: datetime | None
    expires_at: datetime | None
    checked_at: datetime | None


class EventView(Struct, rename="camel", frozen=True):
    """One step of a recharge."""

    at: datetime | None
    event: str
    amount: str | None
    detail: str


def recharge_view(recharge: Recharge) -> RechargeView:
    """Shape a recharge for its customer."""
    return RechargeView(
        transaction_id=recharge.ref,
        status=SHOWN[recharge.status],
        stage=recharge.status,
        method=recharge.method,
        amount=format_rupees(recharge.requested_paise),
        payable=format_rupees(recharge.payable_paise),
        credited=format_rupees(recharge.credited_paise),
        refunded=format_rupees(recharge.refunded_paise),
        created_at=rfc3339(recharge.created_at),
        expires_at=rfc3339(recharge.expires_at),
        checked_at=rfc3339(recharge.looked_at),
    )


def event_view(event: Event) -> EventView:
    """Shape one step of a time line."""
    amount = None if event.amount_paise is None else format_rupees(event.amount_paise)
    return EventView(rfc3339(event.at), event.event, amount, event.detail)


def pay_view(shown: Shown) -> PayView | None:
    """Shape what is needed to pay; None when nothing is to be paid any more."""
    recharge = shown.recharge
    if recharge.status not in OPEN:
        return None
    if shown.address is not None and shown.quote is not None:
        return _tron_view(recharge, shown.address.address, shown.quote)
    amount, expires_at = format_rupees(recharge.payable_paise), rfc3339(recharge.expires_at)
    if shown.vpa is not None:
        link = upi.payment_link(
            vpa=shown.vpa.vpa, payee_name=shown.vpa.payee_name, amount_paise=recharge.payable_paise,
            ref=recharge.ref, note=f"Wallet {recharge.ref}",
        )  # fmt: skip
        return UpiView(
            recharge.ref, shown.vpa.vpa, shown.vpa.payee_name, amount, link, shown.vpa.kind == "merchant",
            upi.qr_svg(link), expires_at,
        )  # fmt: skip
    url = recharge.checkout_url
    code = None if url is None else upi.qr_svg_of(url, title="Payment page")
    return PageView(recharge.ref, recharge.rail, amount, url, recharge.checkout_session, code, expires_at)


def _tron_view(recharge: Recharge, address: str, quote: Quote) -> TronView:
    return TronView(
        recharge.ref, address, recharge.method, units_text(quote.units), format_rupees(recharge.payable_paise),
        rate_text(quote.paise_per_unit), quote.id, upi.qr_svg_of(address, title="TRON address"),
        rfc3339(quote.expires_at),
    )  # fmt: skip


def units_text(units: int) -> str:
    """Write millionths of a unit as a decimal: 8123456 is `8.123456`."""
    return f"{units // UNITS}.{units % UNITS:06}"


def rate_text(paise_per_unit: Decimal) -> str:
    """Write a rate as rupees for one unit, with every digit that counts."""
    return f"{(paise_per_unit / 100).normalize():f}"


def receipt_fields(details: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what a receipt tells beside its amounts, as labels and texts."""
    labels = (
        ("Paid by", "method"), ("Reference", "reference"), ("Recharge", "transactionId"), ("Paid at", "paidAt"),
        ("Takes back receipt", "receipt"), ("Note", "note"),
    )  # fmt: skip
    found = [(label, str(details[key])) for label, key in labels if details.get(key)]
    if details.get("units"):
        rate = Decimal(details["paisePerUnit"])
        found.append(("Quantity", f"{units_text(details['units'])} at {rate_text(rate)} rupees each"))
    return found
