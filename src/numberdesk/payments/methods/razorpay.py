"""Razorpay: payment links, their payments and refunds, and webhooks signed over the whole body.

A payment of a link does not carry the link's notes: its own notes are empty, and `description` is `#` with the link's
id without `plink_`. So a payment is tied to a reference by the link that lists it.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Literal

from aiohttp import ClientSession

from numberdesk.base import clock, http_client
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

LIVE_KEY: Final = "rzp_live_"
EXPIRY_MIN: Final = timedelta(minutes=16)
"""The API refuses less than 15 minutes ahead; the rest is for the way there and clocks that differ."""
REFUND_IN_FLIGHT: Final = 5.0
PAYMENTS_MAX: Final = 20
"""A link without partial payments has one payment, two when customers race; more is no answer we understand."""

LINK_STATES: Final[Mapping[str, Literal["open", "paid", "expired"]]] = MappingProxyType(
    {"created": "open", "partially_paid": "open", "paid": "paid", "expired": "expired", "cancelled": "expired"}
)
PAYMENT_STATES: Final[Mapping[str, Literal["paid", "pending", "failed"]]] = MappingProxyType(
    {"created": "pending", "authorized": "pending", "captured": "paid", "refunded": "paid", "failed": "failed"}
)
"""`refunded` is a captured payment whose whole amount went back; `refunded_paise` says so."""
REFUND_STATES: Final[Mapping[str, Literal["pending", "processed", "failed"]]] = MappingProxyType(
    {"created": "pending", "pending": "pending", "processed": "processed", "failed": "failed"}
)


@dataclass(eq=False)
class Razorpay:
    """One account at Razorpay, reached with one pair of keys; test keys reach a world of their own."""

    session: ClientSession = field(repr=False)
    key_id: str = field(repr=False)
    key_secret: str = field(repr=False)
    webhook_secrets: tuple[str, ...] = field(repr=False)
    """The newest and older ones: deliveries that are tried again keep the signature of their first try."""
    base_url: str
    deadline: float = answers.DEADLINE
    name: GatewayName = field(default="razorpay", init=False)
    is_live: bool = field(init=False)

    def __post_init__(self) -> None:
        self.is_live = self.key_id.startswith(LIVE_KEY)

    async def create(self, wanted: CheckoutWanted) -> Checkout | Trouble:
        """Make the payment link of a reference, or find the one that is there."""
        said = await self._send("POST", "/payment_links/", body=_link_body(wanted, is_live=self.is_live))
        if isinstance(said, Trouble):
            return said
        if said.is_yes:
            return _checkout(said.body, wanted)
        # A link that is already there is told by a sentence, which may be worded anew; so every refusal is looked into.
        found = await self._find(wanted.ref)
        if isinstance(found, Trouble):
            return found
        return answers.refused(said) if found is None else _checkout(found, wanted)

    def read_webhook(self, headers: Mapping[str, str], raw: bytes, *, now: datetime) -> Hint:
        """Check the signature over the raw body, and say which link or payment it is about.

        Raises:
            BadWebhook: it proves nothing.
        """
        answers.check_size(raw)
        rights = [_signature(secret, raw) for secret in self.webhook_secrets if secret]
        if not answers.is_one_of(headers.get("x-razorpay-signature", ""), rights):
            raise BadWebhook("the signature is missing or wrong")
        body = answers.webhook_body(raw)
        kind, payload = answers.text(body.get("event")), body.get("payload")
        if kind is None or not isinstance(payload, dict):
            raise BadWebhook("the body is no event")
        link, payment = at(payload, "payment_link", "entity"), at(payload, "payment", "entity")
        ref = answers.identifier(at(link, "reference_id")) or answers.identifier(at(payment, "notes", "recharge"))
        payment_id = at(payment, "id") or at(payload, "refund", "entity", "payment_id")
        return Hint(
            event_id=answers.event_id(headers.get("x-razorpay-event-id"), raw),
            kind=kind,
            ref=ref or answers.identifier(at(payload, "refund", "entity", "notes", "recharge")),
            gateway_id=answers.identifier(at(link, "id")) or _link_of(payment),
            payment_id=answers.identifier(payment_id),
        )

    async def look(self, *, ref: str, gateway_id: str | None) -> Look | Trouble:
        """Read the link, then every payment that it lists, each by itself."""
        link = await self._link(ref, gateway_id)
        if isinstance(link, Trouble):
            return link
        if link is None:
            return Look("unknown")
        state = LINK_STATES.get(str(link.get("status")))
        listed = _payments_of(link)
        if state is None or listed is None:
            return Trouble("its link has another shape than we know")
        if state == "paid" and not listed:
            return Trouble("its link is paid and names no payment yet")
        payments: list[GatewayPayment] = []
        refunds: list[GatewayRefund] = []
        for payment_id in listed:
            found = await self._payment(payment_id, ref=ref, link=link)
            if isinstance(found, Trouble):
                return found
            if found is None:
                continue
            payments.append(found)
            # Also when nothing seems to have gone back: a refund that failed no longer counts there.
            if found.state == "paid":
                gone_back = await self._refunds(payment_id)
                if isinstance(gone_back, Trouble):
                    return gone_back
                refunds += gone_back
        return Look(state, tuple(payments), tuple(refunds))

    async def refund(
        self, *, ref: str, payment_external_id: str, amount_paise: Paise, key: str
    ) -> GatewayRefund | Trouble:
        """Send money back. The key travels as idempotency key and as receipt, by which it is found again."""
        # The same key with another body is refused, so nothing here may differ between two tries.
        body = {"amount": amount_paise, "speed": "normal", "receipt": key, "notes": {"recharge": ref}}
        said = await self._send(
            "POST", f"/payments/{payment_external_id}/refund", body=body, headers={"X-Refund-Idempotency": key}
        )
        if isinstance(said, Trouble):
            return said
        if said.status == 409:
            return Trouble("the same refund is on its way (409)", retry_after=REFUND_IN_FLIGHT)
        if not said.is_yes:
            # Keys are not kept for ever: an earlier try, whose answer was lost, is found in the list.
            listed = await self._refunds(payment_external_id)
            if isinstance(listed, Trouble):
                return listed
            found = next((one for one in listed if one.key == key), None)
            if found is None:
                return answers.refused(said)
        else:
            found = _refund(said.body, payment_external_id, said.raw)
        if found is None or found.key != key or found.amount_paise != amount_paise:
            return Trouble("its refund is not the one that we asked for")
        return found

    async def look_at_refund(
        self, *, ref: str, payment_external_id: str, key: str, gateway_id: str | None
    ) -> GatewayRefund | Trouble:
        """Find our refund among those of its payment, by the receipt."""
        found = await self._refunds(payment_external_id)
        if isinstance(found, Trouble):
            return found
        return next((one for one in found if one.key == key), Trouble("it lists no such refund"))

    async def _send(
        self,
        method: Literal["GET", "POST"],
        path: str,
        *,
        params: Mapping[str, str] = http_client.NOTHING,
        headers: Mapping[str, str] = http_client.NOTHING,
        body: Mapping[str, object] | None = None,
    ) -> Told | Trouble:
        keys = base64.b64encode(f"{self.key_id}:{self.key_secret}".encode()).decode()
        answer = await http_client.send(
            self.session,
            method,
            self.base_url + path,
            params=params,
            headers={"Authorization": f"Basic {keys}", "Content-Type": "application/json", **headers},
            body=None if body is None else json.dumps(body).encode(),
            deadline=self.deadline,
            body_max=answers.BODY_MAX,
        )
        return answers.told(answer)

    async def _link(self, ref: str, gateway_id: str | None) -> dict[str, Any] | Trouble | None:
        if gateway_id is not None:
            said = await self._send("GET", f"/payment_links/{gateway_id}")
            if isinstance(said, Trouble):
                return said
            if said.is_yes:
                is_ours = isinstance(said.body, dict) and said.body.get("reference_id") == ref
                return said.body if is_ours else Trouble("its link is of another reference")
        return await self._find(ref)

    async def _find(self, ref: str) -> dict[str, Any] | Trouble | None:
        said = await self._send("GET", "/payment_links", params={"reference_id": ref})
        if isinstance(said, Trouble):
            return said
        listed = at(said.body, "payment_links")
        if not said.is_yes or not isinstance(listed, list):
            return Trouble("its list of links has another shape than we know")
        if not listed:
            return None
        # A list without ours was not narrowed by the reference, so it says nothing about it.
        ours = [one for one in listed if isinstance(one, dict) and one.get("reference_id") == ref]
        return ours[0] if ours else Trouble("its list of links is of other references")

    async def _payment(self, payment_id: str, *, ref: str, link: Mapping[str, Any]) -> GatewayPayment | Trouble | None:
        said = await self._send("GET", f"/payments/{payment_id}")
        if isinstance(said, Trouble):
            return said
        if not said.is_yes or at(said.body, "id") != payment_id:
            return Trouble("it lists a payment that it does not tell")
        noted, described = answers.identifier(at(said.body, "notes", "recharge")), _link_of(said.body)
        if (noted is not None and noted != ref) or (described is not None and described != link.get("id")):
            return None
        state = PAYMENT_STATES.get(str(at(said.body, "status")))
        amount, refunded = answers.paise(at(said.body, "amount")), answers.paise(at(said.body, "amount_refunded") or 0)
        currency, asked = answers.currency(at(said.body, "currency")), answers.paise(link.get("amount"))
        if state is None or not amount or refunded is None or currency is None or not asked:
            return Trouble("its payment has another shape than we know")
        is_fee_on_top = at(said.body, "fee_bearer") == "customer"
        return GatewayPayment(
            external_id=payment_id,
            ref=ref,
            state=state,
            amount_paise=min(amount, asked) if is_fee_on_top else amount,
            currency=currency,
            is_live=self.is_live,
            paid_at=answers.unix_time(at(said.body, "created_at")) if state == "paid" else None,
            rrn=answers.rrn(at(said.body, "acquirer_data", "rrn")),
            payer=answers.text(at(said.body, "vpa")),
            refunded_paise=refunded,
            raw=said.raw,
        )

    async def _refunds(self, payment_id: str) -> list[GatewayRefund] | Trouble:
        said = await self._send("GET", f"/payments/{payment_id}/refunds", params={"count": "100"})
        if isinstance(said, Trouble):
            return said
        listed = at(said.body, "items")
        if not said.is_yes or not isinstance(listed, list):
            return Trouble("its list of refunds has another shape than we know")
        found = [_refund(one, payment_id, said.raw) for one in listed]
        known = [one for one in found if one is not None]
        return known if len(known) == len(found) else Trouble("its refund has another shape than we know")


def _link_body(wanted: CheckoutWanted, *, is_live: bool) -> dict[str, object]:
    expires_at = max(wanted.expires_at, clock.now() + EXPIRY_MIN)
    body: dict[str, object] = {
        "amount": wanted.amount_paise,
        "currency": "INR",
        "accept_partial": False,
        "reference_id": wanted.ref,
        "description": "Wallet recharge",
        "expire_by": int(expires_at.timestamp()),
        "notify": {"sms": False, "email": False},
        "reminder_enable": False,
        "notes": {"recharge": wanted.ref, "account": wanted.account},
        "callback_url": wanted.return_url,
        "callback_method": "get",
    }
    if is_live:
        # Links for UPI alone do not exist with test keys: the API refuses them.
        body["upi_link"] = True
    return body


def _checkout(link: Any, wanted: CheckoutWanted) -> Checkout | Trouble:
    gateway_id, url = answers.identifier(at(link, "id")), answers.web_address(at(link, "short_url"))
    expires_at = answers.unix_time(at(link, "expire_by"))
    if gateway_id is None or url is None or expires_at is None or at(link, "reference_id") != wanted.ref:
        return Trouble("its link has another shape than we know")
    if (at(link, "amount"), at(link, "currency")) != (wanted.amount_paise, "INR"):
        return Trouble("its link is of another amount", is_refusal=True)
    return Checkout(gateway_id, url, None, expires_at)


def _payments_of(link: Mapping[str, Any]) -> list[str] | None:
    """Return the ids of the payments that a link lists: `null` or nothing before the first is captured."""
    listed = link.get("payments")
    listed = [listed] if isinstance(listed, dict) else listed or []
    if not isinstance(listed, list) or len(listed) > PAYMENTS_MAX:
        return None
    if any(at(one, "plink_id") not in (None, link.get("id")) for one in listed):
        return None
    found = [answers.identifier(at(one, "payment_id")) for one in listed]
    known = [one for one in found if one is not None]
    return list(dict.fromkeys(known)) if len(known) == len(found) else None


def _link_of(payment: Any) -> str | None:
    description = at(payment, "description")
    if not isinstance(description, str) or not description.startswith("#"):
        return None
    found = answers.identifier(description.removeprefix("#"))
    return None if found is None else f"plink_{found}"


def _refund(body: Any, payment_id: str, raw: bytes) -> GatewayRefund | None:
    gateway_id, state = answers.identifier(at(body, "id")), REFUND_STATES.get(str(at(body, "status")))
    amount = answers.paise(at(body, "amount"))
    if gateway_id is None or state is None or not amount or at(body, "payment_id") != payment_id:
        return None
    numbers = [answers.identifier(at(body, "acquirer_data", name)) for name in ("rrn", "utr", "arn")]
    return GatewayRefund(
        gateway_id=gateway_id,
        key=answers.identifier(at(body, "receipt")),
        payment_external_id=payment_id,
        state=state,
        amount_paise=amount,
        bank_reference=next((one for one in numbers if one is not None), None),
        raw=raw,
    )


def _signature(secret: str, signed: bytes) -> str:
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
