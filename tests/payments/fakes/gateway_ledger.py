"""What the three fake gateways share: their books, the customer who pays, troubles on order, and delivered webhooks.

A fake is a real server on loopback. Its books are plain objects that a test may read and change. `pay`, `fail`, `hold`
and `expire` are what happens at the gateway; nobody is told of it until the test delivers a `webhook`.
"""

import asyncio
import itertools
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from aiohttp import ClientSession, web

from numberdesk.base import clock

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
TroubleKind = Literal[
    "500", "502", "429", "401", "timeout", "lost", "garbage", "truncated", "empty", "html", "shape", "list", "deep",
    "huge", "redirect",
]  # fmt: skip
"""`lost` does what was asked and cuts the line, `truncated` sends half of the answer; the others do nothing."""

CUSTOMER = "asha@okaxis"


@dataclass
class Payment:
    """One try of a customer to pay."""

    id: str
    amount_paise: int
    state: Literal["paid", "pending", "failed"]
    rrn: str
    vpa: str
    at: datetime
    currency: str = "INR"
    fee_paise: int = 0
    """What the gateway took from the customer on top."""


@dataclass
class Refund:
    """Money on its way back. `key` is empty when the gateway began it."""

    id: str
    key: str
    payment_id: str
    amount_paise: int
    state: Literal["pending", "processed", "failed"] = "pending"
    bank_reference: str | None = None
    body: bytes = b""


@dataclass
class Order:
    """A page for one reference."""

    ref: str
    gateway_id: str
    amount_paise: int
    currency: str
    account: str
    expires_at: datetime
    url: str
    body: bytes
    state: Literal["open", "paid", "expired"] = "open"
    payments: list[Payment] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)


@dataclass(frozen=True)
class Webhook:
    """One delivery, signed and ready. Deliver it twice to replay it, later to delay it."""

    headers: dict[str, str]
    raw: bytes

    def corrupted(self, place: int = -5) -> "Webhook":
        """Return it with one bit of the body flipped, under the old signature."""
        changed = bytearray(self.raw)
        changed[place] ^= 1
        return replace(self, raw=bytes(changed))

    def truncated(self) -> "Webhook":
        """Return it with half of its body."""
        return replace(self, raw=self.raw[: len(self.raw) // 2])

    def without(self, *names: str) -> "Webhook":
        """Return it without some headers."""
        return replace(self, headers={name: value for name, value in self.headers.items() if name not in names})


@dataclass(frozen=True)
class Asked:
    """A request that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Ledger:
    """The books of a fake gateway, and what makes it misbehave. Each gateway is a subclass that renders them."""

    url: str = ""
    orders: dict[str, Order] = field(default_factory=dict)
    requests: list[Asked] = field(default_factory=list)
    change: Callable[[str, bytes], bytes] | None = None
    """Changes the body of every answer before it leaves; it is told the path."""
    _troubles: deque[tuple[TroubleKind, str]] = field(default_factory=deque)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def pay(
        self,
        ref: str,
        *,
        amount_paise: int | None = None,
        currency: str = "INR",
        fee_paise: int = 0,
        vpa: str = CUSTOMER,
        at: datetime | None = None,
    ) -> str:
        """Let a customer pay: also twice, also after the end, also another amount. Return the payment's id."""
        order = self.orders[ref]
        payment = self._try(order, "paid", amount_paise, vpa=vpa, currency=currency, fee_paise=fee_paise, at=at)
        order.state = "paid"
        return payment.id

    def fail(self, ref: str) -> str:
        """Let a customer try and fail; the page stays open."""
        return self._try(self.orders[ref], "failed").id

    def hold(self, ref: str) -> str:
        """Let the bank take its time: a payment that is neither made nor failed."""
        return self._try(self.orders[ref], "pending").id

    def settle(self, ref: str, payment_id: str) -> None:
        """Let a payment that was held or had failed become paid."""
        order = self.orders[ref]
        self.payment(ref, payment_id).state, order.state = "paid", "paid"

    def expire(self, ref: str) -> None:
        """Let the time of a page be over."""
        self.orders[ref].state = "expired"

    def refund_by_gateway(self, ref: str, payment_id: str, amount_paise: int | None = None) -> Refund:
        """Let the gateway send money back by itself."""
        paid = self.payment(ref, payment_id)
        return self.begin_refund(ref, payment_id, key="", amount_paise=amount_paise or paid.amount_paise)

    def finish_refund(self, ref: str, refund_id: str, state: Literal["processed", "failed"] = "processed") -> None:
        """Let a refund, named by our key or by its own id, come to its end."""
        for refund in self.orders[ref].refunds:
            if refund_id in (refund.id, refund.key):
                refund.state = state
                refund.bank_reference = f"{next(self._numbers):012}" if state == "processed" else None

    def payment(self, ref: str, payment_id: str) -> Payment:
        """Return a payment of a reference."""
        return next(one for one in self.orders[ref].payments if one.id == payment_id)

    def begin_refund(self, ref: str, payment_id: str, *, key: str, amount_paise: int, body: bytes = b"") -> Refund:
        """Write a refund into the books."""
        refund = Refund(self._id("rfnd"), key, payment_id, amount_paise, body=body)
        self.orders[ref].refunds.append(refund)
        return refund

    def trouble(self, *kinds: TroubleKind, only: str = "") -> None:
        """Let the next requests, or those whose path holds `only`, end in these ways, one each."""
        self._troubles.extend((kind, only) for kind in kinds)

    def asked(self, method: str, part: str) -> list[Asked]:
        """Return the requests of a method whose path holds a part."""
        return [one for one in self.requests if one.method == method and part in one.path]

    def _try(
        self,
        order: Order,
        state: Literal["paid", "pending", "failed"],
        amount_paise: int | None = None,
        *,
        vpa: str = CUSTOMER,
        currency: str = "INR",
        fee_paise: int = 0,
        at: datetime | None = None,
    ) -> Payment:
        payment = Payment(
            id=self._id("pay"),
            amount_paise=order.amount_paise if amount_paise is None else amount_paise,
            state=state,
            rrn=f"6330{next(self._numbers):08}",
            vpa=vpa,
            at=at or clock.now(),
            currency=currency,
            fee_paise=fee_paise,
        )
        order.payments.append(payment)
        return payment

    def _id(self, kind: str) -> str:
        return f"{kind}_{next(self._numbers):014}"

    def _take_trouble(self, path: str) -> TroubleKind | None:
        for place, (kind, only) in enumerate(self._troubles):
            if only in path:
                del self._troubles[place]
                return kind
        return None


@asynccontextmanager
async def serving(ledger: Ledger, routes: Sequence[web.RouteDef]) -> AsyncIterator[None]:
    """Run a fake's server; its address stands in `ledger.url` meanwhile."""

    @web.middleware
    async def with_troubles(request: web.Request, handler: Handler) -> web.StreamResponse:
        body = await request.read()
        ledger.requests.append(Asked(request.method, request.path_qs, dict(request.headers), body))
        kind = ledger._take_trouble(request.path_qs)
        if kind is not None:
            return await _misbehave(kind, request, handler)
        given = await handler(request)
        if ledger.change is None or not isinstance(given, web.Response) or not isinstance(given.body, bytes):
            return given
        changed = ledger.change(request.path, given.body)
        return web.Response(status=given.status, body=changed, content_type="application/json")

    app = web.Application(middlewares=[with_troubles])
    app.add_routes(routes)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        ledger.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield
    finally:
        await runner.cleanup()


async def deliver(url: str, *webhooks: Webhook, pause: float = 0.0) -> list[int]:
    """Send webhooks to an address, one after the other, and return the statuses. Their order is the caller's."""
    statuses: list[int] = []
    async with ClientSession() as session:
        for webhook in webhooks:
            headers = {"Content-Type": "application/json", **webhook.headers}
            async with session.post(url, data=webhook.raw, headers=headers) as answer:
                statuses.append(answer.status)
            await asyncio.sleep(pause)
    return statuses


def wire(body: object) -> bytes:
    """Write JSON as gateways do. A `Rupees` becomes a number with two decimals."""
    text = json.dumps(body)
    return text.replace(f'"{MARK}', "").replace(f'{MARK}"', "").encode()


def rupees(paise: int) -> str:
    """Return what `wire` writes as a number of rupees with two decimals, made without a float."""
    return f"{MARK}{paise // 100}.{paise % 100:02}{MARK}"


def answer(body: object, *, status: int = 200) -> web.Response:
    """Return a JSON answer."""
    return web.Response(status=status, body=wire(body), content_type="application/json")


def iso(moment: datetime) -> str:
    """Write an instant as Indian gateways do."""
    return (moment + timedelta(hours=5, minutes=30)).replace(tzinfo=None).isoformat(timespec="seconds") + "+05:30"


def from_unix(seconds: Any) -> datetime:
    """Read an instant."""
    return datetime.fromtimestamp(int(seconds), UTC)


async def _misbehave(kind: TroubleKind, request: web.Request, handler: Handler) -> web.StreamResponse:
    if kind in ("lost", "truncated"):
        done = await handler(request)
        assert isinstance(done, web.Response)
        if kind == "lost":
            assert request.transport is not None
            request.transport.abort()
            return done
        whole = done.body
        assert isinstance(whole, bytes)
        return web.Response(status=done.status, body=whole[: len(whole) // 2], content_type="application/json")
    if kind == "timeout":
        await asyncio.sleep(30)
    if kind in ("500", "502", "429", "401"):
        return answer({"code": "trouble", "message": "try later"}, status=int(kind))
    if kind == "redirect":
        return web.Response(status=302, headers={"Location": "/elsewhere"})
    bodies = {
        "garbage": b"\x00\xff{{{",
        "html": b"<html><body>We will be back soon</body></html>",
        "shape": b'{"id":7,"orderId":[],"order_id":{},"status":null,"payment_links":7,"items":{"a":1},"state":3}',
        "list": b"[]",
        "deep": b"[" * 100_000,
        "huge": b'{"a":"' + b"x" * 300_000 + b'"}',
    }
    return web.Response(body=bodies.get(kind, b""), content_type="text/html" if kind == "html" else "application/json")


MARK = "~rupees~"
