"""A fake PhonePe v2: tokens that expire, orders, refunds, and webhooks in the shapes of its documents."""

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from aiohttp import web

from numberdesk.base import clock
from tests.payments.fakes.gateway_ledger import Handler, Ledger, Order, Payment, Refund, Webhook, serving, wire
from tests.payments.fakes.gateway_ledger import answer as told


@dataclass
class FakePhonePe(Ledger):
    """Give the adapter `url` as its base and `token_url` as the address of tokens."""

    client_id: str = "PP-FAKE-CLIENT"
    client_secret: str = "fake-client-secret-91"
    client_version: str = "1"
    webhook_user: str = "username"
    webhook_password: str = "password"
    token_seconds: int = 3600
    tokens: list[str] = field(default_factory=list)
    """Every token that was given; only the last is taken, and none that is in `revoked`."""
    revoked: set[str] = field(default_factory=set)
    is_name_told: bool = False
    """Whether an order's status holds our own name of it, which the documented answer leaves out."""

    @property
    def token_url(self) -> str:
        """Where tokens are given."""
        return f"{self.url}/v1/oauth/token"

    def revoke(self) -> None:
        """Take back every token that was given."""
        self.revoked |= set(self.tokens)

    def webhook(
        self, ref: str, event: str | None = None, *, secret: str | None = None, event_id: str | None = None
    ) -> Webhook:
        """Write an event about a reference: by default the state of its order.

        Args:
            event: such as `checkout.order.completed` or `pg.refund.completed`.
            secret: `user:password`, if not today's.
            event_id: makes the body differ, since the event's name is made of the body.
        """
        order = self.orders[ref]
        ends = {"open": "checkout.transaction.attempt.failed", "paid": "checkout.order.completed"}
        kind = event or ends.get(order.state, "checkout.order.failed")
        payload = (
            self.refund_entity(order, order.refunds[-1])
            if kind.startswith("pg.refund.")
            else {"merchantId": "FAKEMID", "merchantOrderId": ref, **self.order_entity(order)}
        )
        body = {"event": kind, "type": kind.upper().replace(".", "_"), "payload": payload}
        if event_id is not None:
            body["note"] = event_id
        return self.sign(wire(body), secret=secret)

    def sign(self, raw: bytes, *, secret: str | None = None) -> Webhook:
        """Put the header to any body: it is the same for all."""
        login = f"{self.webhook_user}:{self.webhook_password}" if secret is None else secret
        return Webhook({"authorization": hashlib.sha256(login.encode()).hexdigest()}, raw)

    def order_entity(self, order: Order) -> dict[str, Any]:
        """Render an order with its tries."""
        return {
            "orderId": order.gateway_id,
            "state": {"open": "PENDING", "paid": "COMPLETED", "expired": "FAILED"}[order.state],
            "amount": order.amount_paise,
            "expireAt": int(order.expires_at.timestamp()) * 1000,
            "metaInfo": {"udf1": order.account},
            "paymentDetails": [self.detail(one) for one in order.payments],
            **({"currency": order.payments[-1].currency} if _has_other_currency(order) else {}),
            **({"errorCode": "TXN_EXPIRED"} if order.state == "expired" else {}),
        }

    def detail(self, payment: Payment) -> dict[str, Any]:
        """Render a try to pay."""
        return {
            "transactionId": payment.id,
            "paymentMode": "UPI_INTENT",
            "timestamp": int(payment.at.timestamp()) * 1000,
            "amount": payment.amount_paise,
            "feeAmount": payment.fee_paise or None,
            "payableAmount": payment.amount_paise + payment.fee_paise,
            "state": {"paid": "COMPLETED", "pending": "PENDING", "failed": "FAILED"}[payment.state],
            "rail": {"type": "UPI", "utr": payment.rrn, "upiTransactionId": f"YBL{payment.rrn}", "vpa": payment.vpa},
            "instrument": {"type": "ACCOUNT", "maskedAccountNumber": "XXXXXX1234", "accountType": "SAVINGS"},
        }

    def refund_entity(self, order: Order, refund: Refund) -> dict[str, Any]:
        """Render a refund."""
        return {
            "merchantRefundId": refund.key,
            "originalMerchantOrderId": order.ref,
            "refundId": refund.id,
            "amount": refund.amount_paise,
            "state": {"pending": "PENDING", "processed": "COMPLETED", "failed": "FAILED"}[refund.state],
            "paymentDetails": [
                {
                    "transactionId": refund.id,
                    "amount": refund.amount_paise,
                    "splitInstruments": [{"rail": {"type": "UPI", "utr": refund.bank_reference}}],
                }
            ],
        }

    def _id(self, kind: str) -> str:
        names = {"order": "OMO", "pay": "OM", "rfnd": "OMR"}
        return super()._id(kind).replace(f"{kind}_", names.get(kind, kind))

    def _guarded(self, handler: Handler) -> Handler:
        async def guard(request: web.Request) -> web.StreamResponse:
            shown = request.headers.get("Authorization", "").removeprefix("O-Bearer ")
            if shown not in self.tokens or shown in self.revoked:
                return _refusal("AUTHORIZATION_FAILED", "Authorization failed", status=401)
            return await handler(request)

        return guard

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        wanted = {
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "client_version": self.client_version,
            "grant_type": "client_credentials",
        }
        if dict(form) != wanted:
            return _refusal("INVALID_CLIENT", "Bad credentials", status=401)
        self.tokens.append(f"fake-token-{next(self._numbers)}")
        now = int(clock.now().timestamp())
        return told(
            {
                "access_token": self.tokens[-1],
                "token_type": "O-Bearer",
                "issued_at": now,
                "expires_at": now + self.token_seconds,
                "session_expires_at": now + self.token_seconds,
            }
        )

    async def _pay(self, request: web.Request) -> web.Response:
        asked = json.loads(raw := await request.read())
        if not 300 <= asked["expireAfter"] <= 3600 or asked["amount"] < 100:
            return _refusal("BAD_REQUEST", "Please check the inputs")
        there = self.orders.get(asked["merchantOrderId"])
        if there is not None and there.amount_paise != asked["amount"]:
            return _refusal("INVALID_REQUEST", "the order was made with another amount")
        if there is None:
            there = Order(
                ref=asked["merchantOrderId"],
                gateway_id=self._id("order"),
                amount_paise=asked["amount"],
                currency="INR",
                account=asked["metaInfo"]["udf1"],
                expires_at=clock.now().replace(microsecond=0) + timedelta(seconds=asked["expireAfter"]),
                url="",
                body=raw,
            )
            there.url = f"https://mercury.example/transact/v3?token={there.gateway_id}"
            self.orders[there.ref] = there
        expires_at = int(there.expires_at.timestamp()) * 1000
        return told({"orderId": there.gateway_id, "state": "PENDING", "expireAt": expires_at, "redirectUrl": there.url})

    async def _status(self, request: web.Request) -> web.Response:
        found = self.orders.get(request.match_info["ref"])
        if found is None:
            return _refusal("ORDER_NOT_FOUND", "No order found")
        body = self.order_entity(found)
        if request.query.get("details") != "true":
            body["paymentDetails"] = body["paymentDetails"][-1:]
        return told({"merchantOrderId": found.ref, **body} if self.is_name_told else body)

    async def _begin_refund(self, request: web.Request) -> web.Response:
        asked = json.loads(raw := await request.read())
        if any(one.key == asked["merchantRefundId"] for order in self.orders.values() for one in order.refunds):
            return _refusal("DUPLICATE_REQUEST", "a refund of this name is there")
        found = self.orders.get(asked["originalMerchantOrderId"])
        if found is None:
            return _refusal("ORDER_NOT_FOUND", "No order found")
        paid = [one for one in found.payments if one.state == "paid"]
        left = sum(one.amount_paise for one in paid) - sum(one.amount_paise for one in found.refunds)
        if not 0 < asked["amount"] <= left:
            return _refusal("INVALID_AMOUNT", "more than what is left")
        made = self.begin_refund(
            found.ref, paid[0].id, key=asked["merchantRefundId"], amount_paise=asked["amount"], body=raw
        )
        return told({"refundId": made.id, "amount": made.amount_paise, "state": "PENDING"})

    async def _refund(self, request: web.Request) -> web.Response:
        for order in self.orders.values():
            for one in order.refunds:
                if one.key == request.match_info["key"]:
                    return told(self.refund_entity(order, one))
        return _refusal("REFUND_NOT_FOUND", "No refund found", status=404)


@asynccontextmanager
async def phonepe_fake(**options: Any) -> AsyncIterator[FakePhonePe]:
    """Run a fake PhonePe; options are fields of `FakePhonePe`."""
    fake = FakePhonePe(**options)
    routes = [
        web.post("/v1/oauth/token", fake._token),
        web.post("/checkout/v2/pay", fake._guarded(fake._pay)),
        web.get("/checkout/v2/order/{ref}/status", fake._guarded(fake._status)),
        web.post("/payments/v2/refund", fake._guarded(fake._begin_refund)),
        web.get("/payments/v2/refund/{key}/status", fake._guarded(fake._refund)),
    ]
    async with serving(fake, routes):
        yield fake


def _has_other_currency(order: Order) -> bool:
    return bool(order.payments) and order.payments[-1].currency != "INR"


def _refusal(code: str, message: str, *, status: int = 400) -> web.Response:
    return told({"success": False, "code": code, "message": message, "data": {}}, status=status)
