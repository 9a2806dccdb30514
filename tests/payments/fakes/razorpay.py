"""A fake Razorpay: payment links, payments, refunds, and webhooks in the shapes of its documents."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
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
    from_unix,
    serving,
    wire,
)
from tests.payments.fakes.gateway_ledger import answer as told


@dataclass
class FakeRazorpay(Ledger):
    """The server's address is `url`; give the adapter `url` as its base."""

    key_id: str = "rzp_test_FakeKey0000001"
    key_secret: str = "fake-key-secret-7f31"
    webhook_secret: str = "fake-webhook-secret-1"
    in_flight: set[str] = field(default_factory=set)
    """Idempotency keys of refunds that are answered with 409 once more."""

    def webhook(
        self, ref: str, event: str | None = None, *, secret: str | None = None, event_id: str | None = None
    ) -> Webhook:
        """Sign an event about a reference: by default what happened last to it.

        Args:
            event: such as `payment_link.paid`, `payment.captured`, `refund.processed`.
            secret: another one than today's.
            event_id: another one than the next.
        """
        order = self.orders[ref]
        ends = {"open": "payment_link.created", "paid": "payment_link.paid", "expired": "payment_link.expired"}
        return self.sign(wire(self._event(order, event or ends[order.state])), secret=secret, event_id=event_id)

    def sign(self, raw: bytes, *, secret: str | None = None, event_id: str | None = None) -> Webhook:
        """Sign any body."""
        key = self.webhook_secret if secret is None else secret
        signature = hmac.new(key.encode(), raw, hashlib.sha256).hexdigest()
        return Webhook({"x-razorpay-signature": signature, "x-razorpay-event-id": event_id or self._id("evt")}, raw)

    def link(self, order: Order) -> dict[str, Any]:
        """Render a link. Only captured payments are in it, and none is `null`."""
        listed = [
            {
                "amount": one.amount_paise + one.fee_paise,
                "created_at": int(one.at.timestamp()),
                "method": "upi",
                "payment_id": one.id,
                "plink_id": order.gateway_id,
                "status": "captured",
                "updated_at": int(one.at.timestamp()),
            }
            for one in order.payments
            if one.state == "paid"
        ]
        return {
            "accept_partial": False,
            "amount": order.amount_paise,
            "amount_paid": order.amount_paise if listed else 0,
            "created_at": int(clock.now().timestamp()),
            "currency": order.currency,
            "expire_by": int(order.expires_at.timestamp()),
            "expired_at": int(order.expires_at.timestamp()) if order.state == "expired" else 0,
            "id": order.gateway_id,
            "notes": {"recharge": order.ref, "account": order.account},
            "payments": listed or None,
            "reference_id": order.ref,
            "short_url": order.url,
            "status": {"open": "created", "paid": "paid", "expired": "expired"}[order.state],
            "upi_link": self.key_id.startswith("rzp_live_"),
            "user_id": "",
        }

    def payment_entity(self, order: Order, payment: Payment) -> dict[str, Any]:
        """Render a payment. Its notes are empty: a payment does not get those of its link."""
        gone_back = sum(one.amount_paise for one in self._refunds_of(payment.id) if one.state != "failed")
        states = {"paid": "captured", "pending": "authorized", "failed": "failed"}
        return {
            "id": payment.id,
            "entity": "payment",
            "amount": payment.amount_paise + payment.fee_paise,
            "currency": payment.currency,
            "status": "refunded" if gone_back == payment.amount_paise else states[payment.state],
            "order_id": f"order_{order.gateway_id.removeprefix('plink_')}",
            "method": "upi",
            "amount_refunded": gone_back,
            "refund_status": ("full" if gone_back == payment.amount_paise else "partial") if gone_back else None,
            "captured": payment.state == "paid",
            "description": f"#{order.gateway_id.removeprefix('plink_')}",
            "vpa": payment.vpa,
            "notes": [],
            "fee": payment.fee_paise or 590,
            "fee_bearer": "customer" if payment.fee_paise else "platform",
            "tax": 90,
            "error_code": "BAD_REQUEST_ERROR" if payment.state == "failed" else None,
            "acquirer_data": {"rrn": payment.rrn, "upi_transaction_id": f"AXB{payment.rrn}"},
            "created_at": int(payment.at.timestamp()),
        }

    def refund_entity(self, refund: Refund) -> dict[str, Any]:
        """Render a refund."""
        return {
            "id": refund.id,
            "entity": "refund",
            "amount": refund.amount_paise,
            "receipt": refund.key or None,
            "currency": "INR",
            "payment_id": refund.payment_id,
            "notes": [],
            "acquirer_data": {"rrn": refund.bank_reference},
            "created_at": int(clock.now().timestamp()),
            "status": refund.state,
            "speed_processed": "normal",
            "speed_requested": "normal",
        }

    def _event(self, order: Order, event: str) -> dict[str, Any]:
        payload: dict[str, Any] = {}
        last = order.payments[-1] if order.payments else None
        if event.startswith("payment_link."):
            payload["payment_link"] = {"entity": self.link(order)}
        if event.startswith("payment_link.") and last is not None:
            # The order's id is without `order_` here, as in the vendor's own sample.
            bare = order.gateway_id.removeprefix("plink_")
            payload["order"] = {"entity": {"id": bare, "entity": "order", "amount": order.amount_paise}}
        if last is not None:
            payload["payment"] = {"entity": self.payment_entity(order, last)}
        if event.startswith("refund."):
            payload["refund"] = {"entity": self.refund_entity(order.refunds[-1])}
        return {
            "entity": "event",
            "account_id": "acc_FakeAccount001",
            "event": event,
            "contains": list(payload),
            "payload": payload,
            "created_at": int(clock.now().timestamp()),
        }

    def _refunds_of(self, payment_id: str) -> list[Refund]:
        return [one for order in self.orders.values() for one in order.refunds if one.payment_id == payment_id]

    def _guarded(self, handler: Handler) -> Handler:
        async def guard(request: web.Request) -> web.StreamResponse:
            keys = base64.b64encode(f"{self.key_id}:{self.key_secret}".encode()).decode()
            if request.headers.get("Authorization") != f"Basic {keys}":
                return _refusal("The api key provided is invalid", status=401)
            return await handler(request)

        return guard

    async def _create(self, request: web.Request) -> web.Response:
        asked = json.loads(raw := await request.read())
        if asked["amount"] < 100:
            return _refusal("The amount must be at least INR 1.00.")
        if asked["expire_by"] < (clock.now() + timedelta(minutes=15)).timestamp():
            return _refusal("timestamp must be atleast 15 minutes in future")
        if asked.get("upi_link") and not self.key_id.startswith("rzp_live_"):
            return _refusal("UPI Payment Links is not supported in Test Mode.")
        if asked["reference_id"] in self.orders:
            return _refusal(
                f"payment link with given reference_id ({asked['reference_id']}) already exists. Please use another"
            )
        made = Order(
            ref=asked["reference_id"],
            gateway_id=self._id("plink"),
            amount_paise=asked["amount"],
            currency=asked["currency"],
            account=asked["notes"]["account"],
            expires_at=from_unix(asked["expire_by"]),
            url="",
            body=raw,
        )
        made.url = f"https://rzp.io/i/{made.gateway_id.removeprefix('plink_')}"
        self.orders[made.ref] = made
        return told(self.link(made))

    async def _list(self, request: web.Request) -> web.Response:
        ref = request.query.get("reference_id")
        return told({"payment_links": [self.link(one) for one in self.orders.values() if ref in (None, one.ref)]})

    async def _link(self, request: web.Request) -> web.Response:
        found = [one for one in self.orders.values() if one.gateway_id == request.match_info["id"]]
        return told(self.link(found[0])) if found else _refusal("The id provided does not exist")

    async def _payment(self, request: web.Request) -> web.Response:
        found = self._find_payment(request.match_info["id"])
        return told(self.payment_entity(*found)) if found else _refusal("The id provided does not exist")

    async def _refunds(self, request: web.Request) -> web.Response:
        items = [self.refund_entity(one) for one in self._refunds_of(request.match_info["id"])]
        return told({"entity": "collection", "count": len(items), "items": items})

    async def _refund(self, request: web.Request) -> web.Response:
        found, raw = self._find_payment(request.match_info["id"]), await request.read()
        key = request.headers.get("X-Refund-Idempotency", "")
        if found is None:
            return _refusal("The id provided does not exist")
        if len(key) < 10:
            return _refusal("The idempotency key must be at least 10 characters long.")
        if key in self.in_flight:
            self.in_flight.remove(key)
            return _refusal("Another request with the same idempotency key is still in progress.", status=409)
        order, payment = found
        for one in self._refunds_of(payment.id):
            if one.key == key and one.body == raw:
                return told(self.refund_entity(one))
            if one.key == key:
                return _refusal("Different request with the same idempotency key has already been processed.")
        asked = json.loads(raw)
        gone = sum(one.amount_paise for one in self._refunds_of(payment.id) if one.state != "failed")
        if payment.state != "paid" or asked["amount"] > payment.amount_paise - gone:
            return _refusal("The refund amount provided is greater than amount captured")
        made = self.begin_refund(order.ref, payment.id, key=key, amount_paise=asked["amount"], body=raw)
        return told(self.refund_entity(made))

    def _find_payment(self, payment_id: str) -> tuple[Order, Payment] | None:
        found = [(order, one) for order in self.orders.values() for one in order.payments if one.id == payment_id]
        return found[0] if found else None


@asynccontextmanager
async def razorpay_fake(**options: Any) -> AsyncIterator[FakeRazorpay]:
    """Run a fake Razorpay; options are fields of `FakeRazorpay`, such as `key_id="rzp_live_…"`."""
    fake = FakeRazorpay(**options)
    routes = [
        web.post("/payment_links/", fake._guarded(fake._create)),
        web.get("/payment_links", fake._guarded(fake._list)),
        web.get("/payment_links/{id}", fake._guarded(fake._link)),
        web.get("/payments/{id}", fake._guarded(fake._payment)),
        web.get("/payments/{id}/refunds", fake._guarded(fake._refunds)),
        web.post("/payments/{id}/refund", fake._guarded(fake._refund)),
    ]
    async with serving(fake, routes):
        yield fake


def _refusal(description: str, *, status: int = 400) -> web.Response:
    error = {"code": "BAD_REQUEST_ERROR", "description": description, "source": "business", "reason": "NA"}
    return told({"error": error}, status=status)
