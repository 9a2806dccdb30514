"""Cashfree: orders in decimal rupees, several tries to pay for each, refunds that it may begin by itself.

The page is opened by Cashfree's script with the session that `create` returns; there is no address to send people to.
"""

import base64
import hashlib
import hmac
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Literal

from aiohttp import ClientSession

from numberdesk.base import clock, http_client
from numberdesk.base.money import Paise, format_rupees
from numberdesk.payments.methods import gateway_answers as answers
from numberdesk.payments.methods.gateway import (
    BadWebhook,
    Checkout,
    CheckoutWanted,
    GatewayName,
    GatewayPayment,
    GatewayRefund,
    Hint,
    Look,
    Trouble,
)
from numberdesk.payments.methods.gateway_answers import Told, at

API_VERSION: Final = "2025-01-01"
EXPIRY_MIN: Final = timedelta(minutes=16)
WEBHOOK_AGE_MAX: Final = timedelta(hours=24, minutes=5)
"""Its own tries end long before; an operator may send one again by hand within the day."""
WEBHOOK_AHEAD_MAX: Final = timedelta(minutes=5)
SESSION_MAX: Final = 1000
KEYS: Final = uuid.UUID("0b8f8f0e-5d2c-4c53-9a3e-5a3f0f2f7f61")
"""Under which references become idempotency keys: the same reference, the same key, in every process."""

ORDER_STATES: Final[Mapping[str, Literal["open", "paid", "expired"]]] = MappingProxyType(
    {
        "ACTIVE": "open",
        "PAID": "paid",
        "EXPIRED": "expired",
        "TERMINATED": "expired",
        "TERMINATION_REQUESTED": "expired",
    }
)
FAILED: Final = frozenset({"FAILED", "USER_DROPPED", "VOID", "CANCELLED"})
REFUND_STATES: Final[Mapping[str, Literal["pending", "processed", "failed"]]] = MappingProxyType(
    {"PENDING": "pending", "ONHOLD": "pending", "SUCCESS": "processed", "FAILED": "failed", "CANCELLED": "failed"}
)

_TIMESTAMP = re.compile(r"[0-9]{13}")


@dataclass(eq=False)
class Cashfree:
    """One account at Cashfree. Test and live are told apart by address and keys, so `is_live` is a setting."""

    session: ClientSession = field(repr=False)
    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    is_live: bool
    business_phone: str = field(repr=False)
    """An order needs a phone number of the customer; we ask customers for none, so it is the operator's."""
    base_url: str
    old_secrets: tuple[str, ...] = field(default=(), repr=False)
    """Client secrets of before, which webhooks may still be signed with."""
    notify_url: str | None = None
    deadline: float = answers.DEADLINE
    name: GatewayName = field(default="cashfree", init=False)

    async def create(self, wanted: CheckoutWanted) -> Checkout | Trouble:
        """Make the order of a reference, or fetch the one that is there."""
        said = await self._send("POST", "/orders", body=self._order_body(wanted), once=f"order:{wanted.ref}")
        if isinstance(said, Trouble):
            return said
        if said.is_yes:
            return _checkout(said.body, wanted)
        # An order that is there, and a second try whose expiry differs, are refused in several ways; the order decides.
        found = await self._send("GET", f"/orders/{wanted.ref}")
        if isinstance(found, Trouble):
            return found
        return _checkout(found.body, wanted) if found.is_yes else answers.refused(said)

    def read_webhook(self, headers: Mapping[str, str], raw: bytes, *, now: datetime) -> Hint:
        """Check the signature over the timestamp and the raw body, and the age; say what it is about.

        Raises:
            BadWebhook: it proves nothing.
        """
        answers.check_size(raw)
        timestamp = headers.get("x-webhook-timestamp", "")
        if not _TIMESTAMP.fullmatch(timestamp):
            raise BadWebhook("the timestamp is missing or no count of milliseconds")
        secrets = [secret for secret in (self.client_secret, *self.old_secrets) if secret]
        rights = [_signature(secret, timestamp.encode() + raw) for secret in secrets]
        if not answers.is_one_of(headers.get("x-webhook-signature", ""), rights):
            raise BadWebhook("the signature is missing or wrong")
        sent_at = answers.unix_time(int(timestamp), per_second=1000)
        if sent_at is None or not now - WEBHOOK_AGE_MAX <= sent_at <= now + WEBHOOK_AHEAD_MAX:
            raise BadWebhook("it is too old, or from the future")
        body = answers.webhook_body(raw)
        kind, data = answers.text(body.get("type")), body.get("data")
        if kind is None or not isinstance(data, dict):
            raise BadWebhook("the body is no event")
        parts = [at(data, name) for name in ("order", "payment", "refund", "auto_refund")]
        return Hint(
            event_id=answers.event_id(headers.get("x-idempotency-key"), raw),
            kind=kind,
            ref=_first(parts, "order_id"),
            gateway_id=None,
            payment_id=_first(parts, "cf_payment_id"),
        )

    async def look(self, *, ref: str, gateway_id: str | None) -> Look | Trouble:
        """Read the order and every try to pay it; refunds when something was paid."""
        said = await self._send("GET", f"/orders/{ref}")
        if isinstance(said, Trouble):
            return said
        if said.status == 404:
            return Look("unknown")
        if not said.is_yes:
            return answers.refused(said)
        state, asked = (
            ORDER_STATES.get(str(at(said.body, "order_status"))),
            answers.rupees(at(said.body, "order_amount")),
        )
        if state is None or asked is None or at(said.body, "order_id") != ref:
            return Trouble("its order has another shape than we know")
        payments = await self._payments(ref, asked)
        if isinstance(payments, Trouble):
            return payments
        if not any(one.state == "paid" for one in payments):
            # The list of payments is behind the order by moments.
            return Trouble("its order is paid and names no payment yet") if state == "paid" else Look(state, payments)
        refunds = await self._refunds(ref)
        if isinstance(refunds, Trouble):
            return refunds
        return Look(state, tuple(_less_refunds(one, refunds) for one in payments), refunds)

    async def refund(
        self, *, ref: str, payment_external_id: str, amount_paise: Paise, key: str
    ) -> GatewayRefund | Trouble:
        """Send money of an order back. Cashfree refunds orders: of two payments it takes the one it wants, and says."""
        rest = {"refund_id": key, "refund_note": "Recharge refund", "refund_speed": "STANDARD"}
        body = _with_rupees("refund_amount", amount_paise, rest)
        said = await self._send("POST", f"/orders/{ref}/refunds", body=body, once=f"refund:{key}")
        if isinstance(said, Trouble):
            return said
        if not said.is_yes:
            there = await self._send("GET", f"/orders/{ref}/refunds/{key}")
            if isinstance(there, Trouble):
                return there
            if not there.is_yes:
                return answers.refused(said)
            said = there
        found = _refund(said.body, ref, said.raw)
        if found is None or found.key != key or found.amount_paise != amount_paise:
            return Trouble("its refund is not the one that we asked for")
        return found

    async def look_at_refund(
        self, *, ref: str, payment_external_id: str, key: str, gateway_id: str | None
    ) -> GatewayRefund | Trouble:
        """Read our refund by the name that we gave it."""
        said = await self._send("GET", f"/orders/{ref}/refunds/{key}")
        if isinstance(said, Trouble):
            return said
        if not said.is_yes:
            return Trouble(f"it tells no such refund ({said.status})")
        found = _refund(said.body, ref, said.raw)
        return found if found is not None and found.key == key else Trouble("its refund has another shape than we know")

    async def _send(
        self, method: Literal["GET", "POST"], path: str, *, body: bytes | None = None, once: str | None = None
    ) -> Told | Trouble:
        headers = {
            "x-client-id": self.client_id,
            "x-client-secret": self.client_secret,
            "x-api-version": API_VERSION,
            "Content-Type": "application/json",
        }
        if once is not None:
            headers["x-idempotency-key"] = str(uuid.uuid5(KEYS, once))
        answer = await http_client.send(
            self.session,
            method,
            self.base_url + path,
            headers=headers,
            body=body,
            deadline=self.deadline,
            body_max=answers.BODY_MAX,
        )
        return answers.told(answer)

    def _order_body(self, wanted: CheckoutWanted) -> bytes:
        meta = {"return_url": wanted.return_url, "payment_methods": "upi"}
        if self.notify_url is not None:
            meta["notify_url"] = self.notify_url
        expires_at = max(wanted.expires_at, clock.now() + EXPIRY_MIN)
        rest = {
            "order_id": wanted.ref,
            "order_currency": "INR",
            "customer_details": {"customer_id": wanted.account, "customer_phone": self.business_phone},
            "order_meta": meta,
            "order_expiry_time": expires_at.astimezone(UTC).isoformat(timespec="seconds"),
            "order_note": "Wallet recharge",
        }
        return _with_rupees("order_amount", wanted.amount_paise, rest)

    async def _payments(self, ref: str, asked: Paise) -> tuple[GatewayPayment, ...] | Trouble:
        said = await self._send("GET", f"/orders/{ref}/payments")
        if isinstance(said, Trouble):
            return said
        if not said.is_yes or not isinstance(said.body, list):
            return Trouble("its list of payments has another shape than we know")
        found: list[GatewayPayment] = []
        for one in said.body:
            if at(one, "order_id") not in (None, ref):
                continue
            payment = self._payment(one, ref, asked, said.raw)
            if payment is not None:
                found.append(payment)
            elif at(one, "payment_status") == "SUCCESS":
                return Trouble("its payment has another shape than we know")
        return tuple(found)

    def _payment(self, body: Any, ref: str, asked: Paise, raw: bytes) -> GatewayPayment | None:
        payment_id, status = answers.identifier(at(body, "cf_payment_id")), at(body, "payment_status")
        amount, currency = answers.rupees(at(body, "payment_amount")), answers.currency(at(body, "payment_currency"))
        if payment_id is None or amount is None or currency is None or not isinstance(status, str):
            return None
        is_paid = status == "SUCCESS"
        return GatewayPayment(
            external_id=payment_id,
            ref=ref,
            # A status that is new to us is one that may still change: only SUCCESS is money.
            state="paid" if is_paid else "failed" if status in FAILED else "pending",
            amount_paise=min(amount, asked),
            currency=currency,
            is_live=self.is_live,
            paid_at=_paid_at(body) if is_paid else None,
            rrn=answers.rrn(at(body, "bank_reference")),
            payer=answers.text(at(body, "payment_method", "upi", "upi_id")),
            refunded_paise=Paise(0),
            raw=raw,
        )

    async def _refunds(self, ref: str) -> tuple[GatewayRefund, ...] | Trouble:
        said = await self._send("GET", f"/orders/{ref}/refunds")
        if isinstance(said, Trouble):
            return said
        if not said.is_yes or not isinstance(said.body, list):
            return Trouble("its list of refunds has another shape than we know")
        found = [_refund(one, ref, said.raw) for one in said.body]
        known = tuple(one for one in found if one is not None)
        return known if len(known) == len(found) else Trouble("its refund has another shape than we know")


def _with_rupees(name: str, amount: Paise, rest: Mapping[str, object]) -> bytes:
    """Write a JSON object with one amount as a number of two decimals, made of integers alone."""
    return f'{{"{name}":{format_rupees(amount)},{json.dumps(rest)[1:]}'.encode()


def _checkout(order: Any, wanted: CheckoutWanted) -> Checkout | Trouble:
    gateway_id, expires_at = (
        answers.identifier(at(order, "cf_order_id")),
        answers.iso_time(at(order, "order_expiry_time")),
    )
    session = answers.text(at(order, "payment_session_id"), longest=SESSION_MAX)
    if gateway_id is None or session is None or expires_at is None or at(order, "order_id") != wanted.ref:
        return Trouble("its order has another shape than we know")
    if (answers.rupees(at(order, "order_amount")), at(order, "order_currency")) != (wanted.amount_paise, "INR"):
        return Trouble("its order is of another amount", is_refusal=True)
    return Checkout(gateway_id, None, session, expires_at)


def _paid_at(body: Any) -> datetime | None:
    return answers.iso_time(at(body, "payment_completion_time")) or answers.iso_time(at(body, "payment_time"))


def _less_refunds(payment: GatewayPayment, refunds: tuple[GatewayRefund, ...]) -> GatewayPayment:
    going_back = [
        one.amount_paise for one in refunds if one.payment_external_id == payment.external_id and one.state != "failed"
    ]
    return replace(payment, refunded_paise=Paise(sum(going_back)))


def _refund(body: Any, ref: str, raw: bytes) -> GatewayRefund | None:
    gateway_id, payment_id = answers.identifier(at(body, "cf_refund_id")), answers.identifier(at(body, "cf_payment_id"))
    amount, status = answers.rupees(at(body, "refund_amount")), at(body, "refund_status")
    if gateway_id is None or payment_id is None or amount is None or not isinstance(status, str):
        return None
    if at(body, "order_id") not in (None, ref):
        return None
    is_begun_here = at(body, "refund_type") in (None, "MERCHANT_INITIATED")
    return GatewayRefund(
        gateway_id=gateway_id,
        key=answers.identifier(at(body, "refund_id")) if is_begun_here else None,
        payment_external_id=payment_id,
        state=REFUND_STATES.get(status, "pending"),
        amount_paise=amount,
        bank_reference=answers.identifier(at(body, "refund_arn")),
        raw=raw,
    )


def _first(parts: list[Any], name: str) -> str | None:
    found = [answers.identifier(at(part, name)) for part in parts]
    return next((one for one in found if one is not None), None)


def _signature(secret: str, signed: bytes) -> str:
    return base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
