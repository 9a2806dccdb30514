"""PhonePe v2: orders behind a token that expires, and webhooks whose header proves who sent them and not what they say.

The header is the same for every webhook and does not cover the body, so whoever has seen one can write another. What a
webhook says is a reason to look and nothing more.
"""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Literal
from urllib.parse import urlencode

from aiohttp import ClientSession

from numberdesk.base import clock, http_client
from numberdesk.base.http_client import Answer, NoAnswer
from numberdesk.base.money import Paise
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

EXPIRY_MIN: Final = 300
EXPIRY_MAX: Final = 3600
"""Seconds in which a page may be paid; the API refuses less and more."""
TOKEN_LIFE_MAX: Final = 7 * 24 * 3600
AFTER_FAILED_TOKEN: Final = 5.0
"""Seconds in which the old token serves without another try, so that a slow token server delays one call only."""

ORDER_STATES: Final[Mapping[str, Literal["open", "paid", "expired"]]] = MappingProxyType(
    {"PENDING": "open", "COMPLETED": "paid", "FAILED": "expired"}
)
REFUND_STATES: Final[Mapping[str, Literal["pending", "processed", "failed"]]] = MappingProxyType(
    {
        "PENDING": "pending",
        "ACCEPTED": "pending",
        "CONFIRMED": "pending",
        "COMPLETED": "processed",
        "FAILED": "failed",
    }
)
UNKNOWN_ORDER: Final = frozenset(
    {"ORDER_NOT_FOUND", "INVALID_MERCHANT_ORDER_ID", "INVALID_TRANSACTION_ID", "TRANSACTION_NOT_FOUND"}
)


@dataclass(frozen=True, slots=True)
class _Token:
    header: str = field(repr=False)
    fresh_until: float
    ends_at: float


@dataclass(eq=False)
class PhonePe:
    """One account at PhonePe. Test and live are told apart by address and keys, so `is_live` is a setting."""

    session: ClientSession = field(repr=False)
    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    client_version: str
    is_live: bool
    webhook_logins: tuple[tuple[str, str], ...] = field(repr=False)
    """User and password of the webhook, as set in its dashboard: the newest and older ones."""
    base_url: str
    token_url: str
    deadline: float = answers.DEADLINE
    name: GatewayName = field(default="phonepe", init=False)
    _token: _Token | None = field(default=None, init=False, repr=False)
    _refreshing: asyncio.Lock = field(default_factory=asyncio.Lock, init=False, repr=False)

    async def create(self, wanted: CheckoutWanted) -> Checkout | Trouble:
        """Make the page of a reference. PhonePe tells its address once: a page whose answer was lost stays lost."""
        seconds = (wanted.expires_at - clock.now()) // timedelta(seconds=1)
        body = {
            "merchantOrderId": wanted.ref,
            "amount": wanted.amount_paise,
            "expireAfter": min(max(seconds, EXPIRY_MIN), EXPIRY_MAX),
            "metaInfo": {"udf1": wanted.account},
            "paymentFlow": {"type": "PG_CHECKOUT", "merchantUrls": {"redirectUrl": wanted.return_url}},
        }
        said = await self._send("POST", "/checkout/v2/pay", body=body)
        if isinstance(said, Trouble):
            return said
        if not said.is_yes:
            return answers.refused(said)
        gateway_id, url = (
            answers.identifier(at(said.body, "orderId")),
            answers.web_address(at(said.body, "redirectUrl")),
        )
        expires_at = answers.unix_time(at(said.body, "expireAt"), per_second=1000)
        if gateway_id is None or url is None or expires_at is None:
            return Trouble("its order has another shape than we know")
        return Checkout(gateway_id, url, None, expires_at)

    def read_webhook(self, headers: Mapping[str, str], raw: bytes, *, now: datetime) -> Hint:
        """Check the header, which says nothing about the body, and say which order it may be about.

        Raises:
            BadWebhook: it proves nothing.
        """
        answers.check_size(raw)
        logins = [(user, password) for user, password in self.webhook_logins if user and password]
        rights = [hashlib.sha256(f"{user}:{password}".encode()).hexdigest() for user, password in logins]
        if not answers.is_one_of(headers.get("authorization", "").lower(), rights):
            raise BadWebhook("the authorization is missing or wrong")
        body = answers.webhook_body(raw)
        kind, payload = answers.text(body.get("event")), body.get("payload")
        if kind is None or not isinstance(payload, dict):
            raise BadWebhook("the body is no event")
        ref = answers.identifier(payload.get("merchantOrderId"))
        details = payload.get("paymentDetails")
        completed = [one for one in details if _is_completed(one)] if isinstance(details, list) else []
        return Hint(
            event_id=answers.event_id(None, raw),
            kind=kind,
            ref=ref or answers.identifier(payload.get("originalMerchantOrderId")),
            gateway_id=answers.identifier(payload.get("orderId")),
            payment_id=answers.identifier(at(completed[0], "transactionId")) if completed else None,
        )

    async def look(self, *, ref: str, gateway_id: str | None) -> Look | Trouble:
        """Read the order. Its own state decides; the state of a single try never does."""
        said = await self._send("GET", f"/checkout/v2/order/{ref}/status", params={"details": "true"})
        if isinstance(said, Trouble):
            return said
        if _is_unknown(said):
            return Look("unknown")
        if not said.is_yes:
            return answers.refused(said)
        state, amount = ORDER_STATES.get(str(at(said.body, "state"))), answers.paise(at(said.body, "amount"))
        details = at(said.body, "paymentDetails") or []
        if state is None or not amount or not isinstance(details, list):
            return Trouble("its order has another shape than we know")
        # The documented answer leaves our own name of the order out; when it is there, it must be ours.
        if at(said.body, "merchantOrderId") not in (None, ref):
            return Trouble("its order is of another reference")
        if gateway_id is not None and at(said.body, "orderId") not in (None, gateway_id):
            return Trouble("its order is of another reference")
        payments = self._payments(said, ref, amount, is_paid=state == "paid")
        return payments if isinstance(payments, Trouble) else Look(state, payments)

    async def refund(
        self, *, ref: str, payment_external_id: str, amount_paise: Paise, key: str
    ) -> GatewayRefund | Trouble:
        """Send money of an order back, under our name of the refund."""
        body = {"merchantRefundId": key, "originalMerchantOrderId": ref, "amount": amount_paise}
        said = await self._send("POST", "/payments/v2/refund", body=body)
        if isinstance(said, Trouble):
            return said
        if not said.is_yes:
            # A name that is taken is refused; the refund that has it tells whether it is this one.
            there = await self._send("GET", f"/payments/v2/refund/{key}/status")
            if isinstance(there, Trouble):
                return there
            if not there.is_yes:
                return answers.refused(said)
            said = there
        found = _refund(said, ref, payment_external_id, key)
        if found is None or found.amount_paise != amount_paise:
            return Trouble("its refund is not the one that we asked for")
        return found

    async def look_at_refund(
        self, *, ref: str, payment_external_id: str, key: str, gateway_id: str | None
    ) -> GatewayRefund | Trouble:
        """Read our refund by the name that we gave it."""
        said = await self._send("GET", f"/payments/v2/refund/{key}/status")
        if isinstance(said, Trouble):
            return said
        if not said.is_yes:
            return Trouble(f"it tells no such refund ({said.status})")
        return _refund(said, ref, payment_external_id, key) or Trouble("its refund has another shape than we know")

    def _payments(self, said: Told, ref: str, amount: Paise, *, is_paid: bool) -> tuple[GatewayPayment, ...] | Trouble:
        details: list[Any] = at(said.body, "paymentDetails") or []
        completed = [one for one in details if _is_completed(one)]
        if is_paid and not completed:
            # The order's id could stand for the payment; but once the try is told, the same money would have two ids.
            return Trouble("its order is paid and names no payment yet")
        found: list[GatewayPayment] = []
        for one in details:
            is_money = is_paid and _is_completed(one)
            payment_id, own = answers.identifier(at(one, "transactionId")), answers.paise(at(one, "amount"))
            # One try pays the order's amount. Several are a payment in parts, or paid twice: each counts for itself.
            counted = amount if is_money and len(completed) == 1 else own
            if payment_id is None or not counted:
                if is_money:
                    return Trouble("its payment has another shape than we know")
                continue
            state: Literal["paid", "pending", "failed"] = "failed" if at(one, "state") == "FAILED" else "pending"
            rails = _rails(one)
            found.append(
                GatewayPayment(
                    external_id=payment_id,
                    ref=ref,
                    state="paid" if is_money else state,
                    amount_paise=counted,
                    currency=answers.currency(at(said.body, "currency")) or "INR",
                    is_live=self.is_live,
                    paid_at=answers.unix_time(at(one, "timestamp"), per_second=1000) if is_money else None,
                    rrn=next((number for rail in rails if (number := answers.rrn(at(rail, "utr")))), None),
                    payer=next((vpa for rail in rails if (vpa := answers.text(at(rail, "vpa")))), None),
                    refunded_paise=Paise(0),
                    raw=said.raw,
                )
            )
        return tuple(found)

    async def _send(
        self,
        method: Literal["GET", "POST"],
        path: str,
        *,
        params: Mapping[str, str] = http_client.NOTHING,
        body: Mapping[str, object] | None = None,
    ) -> Told | Trouble:
        """Ask with the token; once more with a new one when this one is no longer taken."""
        until = clock.seconds() + self.deadline
        raw = None if body is None else json.dumps(body).encode()
        refused_header: str | None = None
        while True:
            header = await self._authorization(refused=refused_header, until=until)
            if isinstance(header, Trouble):
                return header
            answer = await http_client.send(
                self.session,
                method,
                self.base_url + path,
                params=params,
                headers={"Authorization": header, "Content-Type": "application/json"},
                body=raw,
                deadline=until - clock.seconds(),
                body_max=answers.BODY_MAX,
            )
            is_refused = isinstance(answer, Answer) and answer.status == 401
            if not is_refused or refused_header is not None:
                return answers.told(answer)
            refused_header = header

    async def _authorization(self, *, refused: str | None, until: float) -> str | Trouble:
        """Return the token to send: a fresh one, or the old one when no fresh one is to be had.

        Args:
            refused: a token that was not taken; it is not returned again.
            until: on the clock of `clock.seconds`.
        """
        token = self._usable(refused)
        if token is not None and (clock.seconds() < token.fresh_until or self._refreshing.locked()):
            return token.header
        async with self._refreshing:
            token = self._usable(refused)
            if token is not None and clock.seconds() < token.fresh_until:
                return token.header
            fetched = await self._fetch_token(until - clock.seconds())
            if not isinstance(fetched, Trouble):
                self._token = fetched
                return fetched.header
            if token is None:
                return fetched
            self._token = _Token(token.header, clock.seconds() + AFTER_FAILED_TOKEN, token.ends_at)
            return token.header

    def _usable(self, refused: str | None) -> _Token | None:
        token = self._token
        return token if token is not None and token.header != refused and clock.seconds() < token.ends_at else None

    async def _fetch_token(self, seconds: float) -> _Token | Trouble:
        form = {
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "client_version": self.client_version,
            "grant_type": "client_credentials",
        }
        answer: Answer | NoAnswer = await http_client.send(
            self.session,
            "POST",
            self.token_url,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode(form).encode(),
            deadline=seconds,
            body_max=answers.BODY_MAX,
        )
        said = answers.told(answer)
        if isinstance(said, Trouble):
            return Trouble(f"no token: {said.reason}", retry_after=said.retry_after)
        token, life = answers.text(at(said.body, "access_token"), longest=4096), _life(said.body)
        if not said.is_yes or token is None or life is None:
            return Trouble("no token: its answer has another shape than we know")
        now = clock.seconds()
        return _Token(f"O-Bearer {token}", now + life / 2, now + life)


def _life(body: Any) -> int | None:
    """Return the seconds that a token lives, by the sender's own clock."""
    issued, ends = answers.unix_time(at(body, "issued_at")), answers.unix_time(at(body, "expires_at"))
    if issued is None:
        issued = clock.now().astimezone(UTC)
    if ends is None or ends <= issued:
        return None
    return min(int((ends - issued).total_seconds()), TOKEN_LIFE_MAX)


def _is_completed(detail: Any) -> bool:
    return bool(at(detail, "state") == "COMPLETED")


def _is_unknown(said: Told) -> bool:
    return said.status == 404 or (not said.is_yes and at(said.body, "code") in UNKNOWN_ORDER)


def _rails(detail: Any) -> list[Any]:
    """Return what carried a try: one rail, or one of each part of a payment in parts."""
    parts = at(detail, "splitInstruments")
    return [at(detail, "rail"), *(at(part, "rail") for part in (parts if isinstance(parts, list) else []))]


def _refund(said: Told, ref: str, payment_id: str, key: str) -> GatewayRefund | None:
    gateway_id, state = answers.identifier(at(said.body, "refundId")), REFUND_STATES.get(str(at(said.body, "state")))
    amount, details = answers.paise(at(said.body, "amount")), at(said.body, "paymentDetails")
    if state is None or not amount:
        return None
    if at(said.body, "originalMerchantOrderId") not in (None, ref) or at(said.body, "merchantRefundId") not in (
        None,
        key,
    ):
        return None
    carried = [said.body, *(details if isinstance(details, list) else [])]
    rails = [rail for one in carried for rail in _rails(one)]
    return GatewayRefund(
        gateway_id=gateway_id or key,
        key=key,
        payment_external_id=payment_id,
        state=state,
        amount_paise=amount,
        bank_reference=next((number for rail in rails if (number := answers.identifier(at(rail, "utr")))), None),
        raw=said.raw,
    )
