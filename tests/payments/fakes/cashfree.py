"""A fake Cashfree: orders in rupees, several tries for each, refunds, and webhooks in the shapes of its documents."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from aiohttp import web

from numberdesk.base import clock
from tests.payments.fakes.gateway_ledger import (
    Handler,
    Ledger,
    Order,
    Payment,
    Refund,
    Webhook,
    iso,
    rupees,
    serving,
    wire,
)
from tests.payments.fakes.gateway_ledger import answer as told


@dataclass
class FakeCashfree(Ledger):
    """The server's address is `url`; give the adapter `url` as its base."""

    client_id: str = "CF-FAKE-CLIENT"
    client_secret: str = "cfsk_fake_secret_42"
    has_numeric_ids: bool = False
    """Whether ids of payments and refunds are numbers, as in older versions of the API."""
    remembered: dict[str, bytes] = field(default_factory=dict)
    """The body that each idempotency key came with."""

    def webhook(
        self,
        ref: str,
        event: str | None = None,
        *,
        secret: str | None = None,
        event_id: str | None = None,
        at: datetime | None = None,
    ) -> Webhook:
        """Sign an event about a reference: by default what happened to its last payment.

        Args:
            event: such as `PAYMENT_SUCCESS_WEBHOOK` or `REFUND_STATUS_WEBHOOK`.
            secret: another one than today's.
            event_id: another one than the next.
            at: when it was sent, if not now.
        """
        order = self.orders[ref]
        kinds = {"paid": "PAYMENT_SUCCESS_WEBHOOK", "failed": "PAYMENT_FAILED_WEBHOOK"}
        kind = event or kinds.get(order.payments[-1].state, "PAYMENT_USER_DROPPED_WEBHOOK")
        raw = wire({"data": self._data(order, kind), "event_time": iso(clock.now()), "type": kind})
        return self.sign(raw, secret=secret, event_id=event_id, at=at)

    def sign(
        self, raw: bytes, *, secret: str | None = None, event_id: str | None = None, at: datetime | None = None
    ) -> Webhook:
        """Sign any body."""
        key = self.client_secret if secret is None else secret
        timestamp = str(int((at or clock.now()).timestamp()) * 1000)
        digest = hmac.new(key.encode(), timestamp.encode() + raw, hashlib.sha256).digest()
        headers = {
            "x-webhook-signature": base64.b64encode(digest).decode(),
            "x-webhook-timestamp": timestamp,
            "x-webhook-version": "2025-01-01",
            "x-webhook-attempt": "1",
            "x-idempotency-key": event_id or self._id("evt"),
        }
        return Webhook(headers, raw)

    def order_entity(self, order: Order) -> dict[str, Any]:
        """Render an order."""
        return {
            "cf_order_id": order.gateway_id,
            "order_id": order.ref,
            "entity": "order",
            "order_currency": order.currency,
            "order_amount": rupees(order.amount_paise),
            "order_status": {"open": "ACTIVE", "paid": "PAID", "expired": "EXPIRED"}[order.state],
            "payment_session_id": f"session_{order.gateway_id}_payment",
            "order_expiry_time": iso(order.expires_at),
            "created_at": iso(clock.now()),
            "customer_details": {"customer_id": order.account, "customer_phone": "9999999999"},
            "order_tags": None,
        }

    def payment_entity(self, order: Order, payment: Payment) -> dict[str, Any]:
        """Render a try to pay."""
        return {
            "cf_payment_id": self._shown(payment.id),
            "order_id": order.ref,
            "entity": "payment",
            "order_amount": rupees(order.amount_paise),
            "payment_amount": rupees(payment.amount_paise + payment.fee_paise),
            "payment_currency": payment.currency,
            "payment_status": {"paid": "SUCCESS", "pending": "PENDING", "failed": "FAILED"}[payment.state],
            "payment_time": iso(payment.at),
            "payment_completion_time": iso(payment.at),
            "payment_message": "Transaction Success",
            "bank_reference": payment.rrn,
            "payment_method": {"upi": {"channel": "link", "upi_id": payment.vpa}},
            "payment_group": "upi",
            "is_captured": payment.state == "paid",
        }

    def refund_entity(self, order: Order, refund: Refund) -> dict[str, Any]:
        """Render a refund; one that Cashfree began itself has an id of its own and says so in its type."""
        return {
            "cf_refund_id": self._shown(refund.id),
            "cf_payment_id": self._shown(refund.payment_id),
            "refund_id": refund.key or f"auto_{refund.id}",
            "order_id": order.ref,
            "entity": "refund",
            "refund_amount": rupees(refund.amount_paise),
            "refund_currency": "INR",
            "refund_status": {"pending": "PENDING", "processed": "SUCCESS", "failed": "CANCELLED"}[refund.state],
            "refund_type": "MERCHANT_INITIATED" if refund.key else "PAYMENT_AUTO_REFUND",
            "refund_arn": refund.bank_reference,
            "refund_note": "Recharge refund",
            "created_at": iso(clock.now()),
        }

    def _id(self, kind: str) -> str:
        number = super()._id(kind)
        return f"5114{int(number.removeprefix(f'{kind}_')):010}" if kind in ("pay", "rfnd") else number

    def _shown(self, number: str) -> str | int:
        return int(number) if self.has_numeric_ids else number

    def _data(self, order: Order, kind: str) -> dict[str, Any]:
        if kind == "REFUND_STATUS_WEBHOOK":
            return {"refund": self.refund_entity(order, order.refunds[-1])}
        amount = rupees(order.amount_paise)
        return {
            "order": {
                "order_id": order.ref,
                "order_amount": amount,
                "order_currency": order.currency,
                "order_tags": None,
            },
            "payment": self.payment_entity(order, order.payments[-1]),
            "customer_details": {"customer_id": order.account, "customer_phone": "9999999999"},
            "payment_gateway_details": {"gateway_name": "CASHFREE"},
        }

    def _guarded(self, handler: Handler) -> Handler:
        async def guard(request: web.Request) -> web.StreamResponse:
            keys = (request.headers.get("x-client-id"), request.headers.get("x-client-secret"))
            if keys != (self.client_id, self.client_secret):
                return _refusal("request_failed", "authentication Failed", status=401)
            if request.headers.get("x-api-version") != "2025-01-01":
                return _refusal("version_missing", "api version is missing")
            if request.method == "POST" and (key := request.headers.get("x-idempotency-key")):
                raw = await request.read()
                if self.remembered.setdefault(key, raw) != raw:
                    return _refusal("idempotency_key_mismatch", "the key came with another body")
            return await handler(request)

        return guard

    async def _create(self, request: web.Request) -> web.Response:
        asked = json.loads(raw := await request.read(), parse_float=Decimal)
        expires_at = datetime.fromisoformat(asked["order_expiry_time"])
        if expires_at < clock.now() + timedelta(minutes=15):
            return _refusal("order_expiry_time_invalid", "order_expiry_time : should be 15 minutes ahead")
        if not asked["customer_details"]["customer_phone"]:
            return _refusal("customer_details.customer_phone_missing", "phone is missing")
        if asked["order_id"] in self.orders:
            return _refusal("order_already_exists", "order with same id is already present", status=409)
        made = Order(
            ref=asked["order_id"],
            gateway_id=f"{2_149_460_000 + next(self._numbers)}",
            amount_paise=int(asked["order_amount"] * 100),
            currency=asked["order_currency"],
            account=asked["customer_details"]["customer_id"],
            expires_at=expires_at,
            url="",
            body=raw,
        )
        self.orders[made.ref] = made
        return told(self.order_entity(made))

    async def _order(self, request: web.Request) -> web.Response:
        found = self.orders.get(request.match_info["ref"])
        return told(self.order_entity(found)) if found else _no_order()

    async def _payments(self, request: web.Request) -> web.Response:
        found = self.orders.get(request.match_info["ref"])
        return told([self.payment_entity(found, one) for one in found.payments]) if found else _no_order()

    async def _refunds(self, request: web.Request) -> web.Response:
        found = self.orders.get(request.match_info["ref"])
        return told([self.refund_entity(found, one) for one in found.refunds]) if found else _no_order()

    async def _refund(self, request: web.Request) -> web.Response:
        found = self.orders.get(request.match_info["ref"])
        wanted = [one for one in found.refunds if one.key == request.match_info["key"]] if found else []
        if found is None or not wanted:
            return _refusal("refund_not_found", "refund not found", status=404)
        return told(self.refund_entity(found, wanted[0]))

    async def _begin_refund(self, request: web.Request) -> web.Response:
        found, raw = self.orders.get(request.match_info["ref"]), await request.read()
        if found is None:
            return _no_order()
        asked = json.loads(raw, parse_float=Decimal)
        for one in found.refunds:
            if one.key == asked["refund_id"]:
                return (
                    told(self.refund_entity(found, one))
                    if one.body == raw
                    else _refusal("refund_id_already_exists", "refund with same id is already present")
                )
        paid = [one for one in found.payments if one.state == "paid"]
        left = sum(one.amount_paise for one in paid) - sum(one.amount_paise for one in found.refunds)
        amount = int(asked["refund_amount"] * 100)
        if not 0 < amount <= left:
            return _refusal("refund_amount_invalid", "refund amount is more than what is left")
        made = self.begin_refund(found.ref, paid[0].id, key=asked["refund_id"], amount_paise=amount, body=raw)
        return told(self.refund_entity(found, made))


@asynccontextmanager
async def cashfree_fake(**options: Any) -> AsyncIterator[FakeCashfree]:
    """Run a fake Cashfree; options are fields of `FakeCashfree`."""
    fake = FakeCashfree(**options)
    routes = [
        web.post("/orders", fake._guarded(fake._create)),
        web.get("/orders/{ref}", fake._guarded(fake._order)),
        web.get("/orders/{ref}/payments", fake._guarded(fake._payments)),
        web.get("/orders/{ref}/refunds", fake._guarded(fake._refunds)),
        web.post("/orders/{ref}/refunds", fake._guarded(fake._begin_refund)),
        web.get("/orders/{ref}/refunds/{key}", fake._guarded(fake._refund)),
    ]
    async with serving(fake, routes):
        yield fake


def _no_order() -> web.Response:
    return _refusal("order_not_found", "Order Reference Id does not exist", status=404)


def _refusal(code: str, message: str, *, status: int = 400) -> web.Response:
    kind = "authentication_error" if status == 401 else "invalid_request_error"
    return told({"message": message, "code": code, "type": kind}, status=status)
