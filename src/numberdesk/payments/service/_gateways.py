"""Gateways: webhooks are kept and say where to look; what counts is what the gateway's own API says."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial

import structlog

from numberdesk.base.errors import NotFound
from numberdesk.base.passes import each
from numberdesk.payments import sql
from numberdesk.payments.methods.gateway import BadWebhook, Gateway, GatewayPayment, Look, Trouble
from numberdesk.payments.model import REF, Proof, Recharge, RechargeId
from numberdesk.payments.service._errors import BadSignature
from numberdesk.payments.service._refunds import notice_refunds
from numberdesk.payments.service._settle import settle
from numberdesk.payments.service._till import Till

log = structlog.get_logger()

AT_ONCE = 10
LEASE = timedelta(seconds=60)
LONGEST_PAUSE = timedelta(hours=1)
ATTEMPTS_MAX = 40
"""With pauses up to an hour this is more than the three days in which gateways still make up their mind."""
ENDED_KEPT = timedelta(days=30)


async def take_webhook(till: Till, name: str, headers: Mapping[str, str], raw: bytes, *, now: datetime) -> bool:
    """Check and store a webhook, once; a pass works on it.

    Returns:
        Whether it is new.

    Raises:
        NotFound: this gateway is not set up.
        BadSignature: it is not the gateway's, too old, or not readable.
    """
    gateway = till.gateways.get(name)
    if gateway is None:
        raise NotFound(what="gateway")
    try:
        hint = gateway.read_webhook(headers, raw, now=now)
    except BadWebhook as problem:
        log.warning("webhook_refused", gateway=name, problem=str(problem))
        raise BadSignature from None
    digest = hashlib.sha256(raw).digest()
    sealed = till.vault.seal(raw.decode("utf-8", "replace"), about=f"webhook:{name}:{digest.hex()}")
    async with till.db.statement() as tx:
        return await sql.insert_webhook(tx, gateway.name, hint, body_sha256=digest, raw=sealed)


async def work_on_webhooks(till: Till, *, limit: int = 50) -> int:
    """Look where webhooks point to. One whose gateway gives no answer waits, longer each time.

    Returns:
        How many were worked on.
    """
    async with till.db.transaction() as tx:
        taken = await sql.lease_webhooks(tx, lease=LEASE, limit=limit)
    await each(taken, partial(_work_on, till), at_once=AT_ONCE)
    return len(taken)


async def _work_on(till: Till, item: sql.WebhookRow) -> None:
    try:
        problem = await _work(till, item)
    except Exception as trouble:
        log.exception("webhook_failed", gateway=item.gateway, webhook_id=item.id)
        problem = type(trouble).__name__
    if problem is None:
        return
    async with till.db.statement() as tx:
        if item.attempts >= ATTEMPTS_MAX:
            await sql.set_webhook_ended(tx, item.id, "failed", problem=problem)
            log.error("webhook_given_up", gateway=item.gateway, webhook_id=item.id, problem=problem)
        else:
            after = min(timedelta(seconds=2 ** min(item.attempts, 12)), LONGEST_PAUSE)
            await sql.set_webhook_retry(tx, item.id, after=after, problem=problem)


async def _work(till: Till, item: sql.WebhookRow) -> str | None:
    """Work on one webhook; returns what is in the way, if anything."""
    gateway = till.gateways.get(item.gateway)
    if gateway is None:
        return "its gateway is not set up any more"
    ref = await _ref_of(till, item)
    if ref is None or not REF.fullmatch(ref):
        # The operator's account at the gateway may serve other shops of his; that money is not ours to keep.
        async with till.db.statement() as tx:
            await sql.set_webhook_ended(tx, item.id, "foreign")
        return None
    async with till.db.statement() as tx:
        recharge = await sql.find_recharge(tx, ref, account_id=None)
    if recharge is not None and recharge.rail == item.gateway:
        answer = await look(till, gateway, recharge)
    else:
        answer = await gateway.look(ref=ref, gateway_id=item.gateway_id)
        if isinstance(answer, Look):
            answer = await _settle_seen(till, gateway, ref, None, answer)
    if isinstance(answer, Trouble):
        return answer.reason
    async with till.db.statement() as tx:
        await sql.set_webhook_ended(tx, item.id, "done")
    return None


async def _ref_of(till: Till, item: sql.WebhookRow) -> str | None:
    """Return the reference that a webhook is about; it may name only the gateway's page, or only its payment."""
    if item.ref is not None:
        return item.ref
    async with till.db.statement() as tx:
        if item.gateway_id is not None:
            recharge = await sql.find_by_gateway_id(tx, item.gateway, item.gateway_id)
            if recharge is not None:
                return recharge.ref
        if item.payment_id is None:
            return None
        known = await sql.find_payments(tx, [(item.gateway, item.payment_id)])
    return known[0].ref if known else None


async def look(till: Till, gateway: Gateway, recharge: Recharge) -> Look | Trouble:
    """Ask a gateway what became of a recharge, and settle what it says: payments first, then what went back."""
    answer = await gateway.look(ref=recharge.ref, gateway_id=recharge.gateway_id)
    if isinstance(answer, Trouble):
        log.warning("gateway_look_failed", gateway=gateway.name, ref=recharge.ref, problem=answer.reason)
    else:
        answer = await _settle_seen(till, gateway, recharge.ref, recharge.id, answer)
    async with till.db.statement() as tx:
        await sql.set_looked(tx, recharge.id, is_answered=isinstance(answer, Look))
    return answer


async def _settle_seen(
    till: Till, gateway: Gateway, ref: str, recharge_id: RechargeId | None, answer: Look
) -> Look | Trouble:
    usable = _usable(gateway, ref, answer)
    settled = await settle(till, [proof_of(gateway, payment, recharge_id) for payment in usable])
    if any(item.outcome == "failed" for item in settled):
        return Trouble("a payment could not be settled")
    await notice_refunds(till, gateway, answer)
    return answer


def _usable(gateway: Gateway, ref: str, answer: Look) -> list[GatewayPayment]:
    found = []
    for payment in answer.payments:
        if payment.state != "paid":
            continue
        if payment.ref != ref or payment.currency != "INR" or payment.is_live != gateway.is_live:
            log.error(
                "gateway_payment_odd", gateway=gateway.name, ref=ref, payment=payment.external_id,
                currency=payment.currency, is_live=payment.is_live,
            )  # fmt: skip
            continue
        found.append(payment)
    return found


def proof_of(gateway: Gateway, payment: GatewayPayment, recharge_id: RechargeId | None) -> Proof:
    """Return what a payment that the gateway's API confirms proves."""
    return Proof(
        rail=gateway.name,
        external_id=payment.external_id,
        ref=payment.ref,
        kind="gateway",
        paid_at=payment.paid_at,
        amount_paise=payment.amount_paise,
        recharge_id=recharge_id,
        rrn=payment.rrn,
        raw=payment.raw.decode("utf-8", "replace"),
        payer=payment.payer,
    )


async def look_due(till: Till, *, limit: int = 50) -> int:
    """Look at recharges whose turn it is: soon after they began, then ever more seldom for three days.

    Returns:
        How many were looked at.
    """
    rails = sorted(till.gateways)
    if not rails:
        return 0
    async with till.db.transaction() as tx:
        taken = await sql.lease_looks(tx, rails=rails, lease=LEASE, limit=limit)
    await each(taken, lambda recharge: look(till, till.gateways[recharge.rail], recharge), at_once=AT_ONCE)
    return len(taken)


async def forget_webhooks(till: Till, *, limit: int = 1000) -> int:
    """Delete webhooks that ended long ago."""
    async with till.db.statement() as tx:
        return await sql.forget_bodies(tx, keep=ENDED_KEPT, limit=limit)
