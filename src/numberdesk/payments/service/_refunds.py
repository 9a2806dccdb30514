"""Money that goes back to who paid it, through the gateway that it came by: begun by staff, or by the gateway itself.

The wallet gives the money first, then the gateway is asked; a sure no puts it back, and an unknown answer is asked
again under the same key until it is known.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import Caller, MoneyRequest, MoneyWanted, RequestId
from numberdesk.accounts.service import MoneyAsked
from numberdesk.audit import service as audit
from numberdesk.audit.model import Event
from numberdesk.base import clock, ids
from numberdesk.base.db import Tx
from numberdesk.base.errors import NotFound
from numberdesk.base.money import Paise
from numberdesk.base.passes import each
from numberdesk.base.visit import Visit
from numberdesk.payments import sql
from numberdesk.payments.methods.gateway import Gateway, GatewayName, GatewayRefund, Look, Trouble
from numberdesk.payments.model import GatewayRefundRow, Payment, PaymentId, RechargeEvent, RefundId
from numberdesk.payments.service._errors import ChangedMeanwhile, NothingToRefund, OwnPayment
from numberdesk.payments.service._receipts import issue_refund_note
from numberdesk.payments.service._till import Till
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import Credit

log = structlog.get_logger()

AT_ONCE = 10
LEASE = timedelta(seconds=60)
AGAIN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class RefundAsked:
    """What became of a wish to refund: `row` is None while a second person must agree to the request."""

    request: MoneyRequest
    row: GatewayRefundRow | None


async def refund(
    till: Till, *, caller: Caller, visit: Visit, payment_id: PaymentId, version: int, amount_paise: Paise, reason: str
) -> RefundAsked:
    """Take a payment's money out of its wallet, or out of suspense, and send it back through its gateway.

    Above a limit nothing moves before a second person agrees, by `agree_to_refund`.

    Returns:
        The refund as it stands after the gateway was asked once; a pass follows it to its end.

    Raises:
        NotFound: there is no such payment.
        OwnPayment: it is the caller's own.
        ChangedMeanwhile: it is not of this version any more.
        NothingToRefund: less is left of it, or it came by no gateway that is set up.
        InsufficientBalance: the money is spent or held.
        AskedTwice, DailyCapReached, KeyReused, ScopeTooSmall: as in `accounts.service.ask_money`.
    """
    async with till.db.statement() as tx:
        found = await sql.find_payment(tx, payment_id)
    if found is None:
        raise NotFound(what="payment")
    if found.account_id == caller.account_id:
        raise OwnPayment
    wanted = MoneyWanted("payment_refund", found.account_id, amount_paise, reason, payment_id, version)

    async def ask(tx: Tx) -> MoneyAsked:
        return await accounts.ask_money(tx, till.vault, till.rules.staff, caller, visit, wanted)

    return await _sent(till, caller, visit, payment_id, ask)


async def agree_to_refund(till: Till, *, caller: Caller, visit: Visit, request_id: RequestId) -> RefundAsked:
    """Agree to a refund that somebody else asked for, and send it.

    Raises:
        NotFound, RequestOver, AnotherPersonNeeded, OwnAccount, ScopeTooSmall, DailyCapReached: as in
            `accounts.service.agree`.
        ChangedMeanwhile, NothingToRefund, InsufficientBalance: as in `refund`.
    """

    request = await accounts.find_money_request(till.db, request_id)
    if request.action != "payment_refund" or request.subject_id is None:
        raise NotFound(what="request")

    async def agree(tx: Tx) -> MoneyAsked:
        return await accounts.agree(tx, till.rules.staff, caller, visit, request_id)

    return await _sent(till, caller, visit, PaymentId(request.subject_id), agree)


Decide = Callable[[Tx], Awaitable[MoneyAsked]]


async def _sent(till: Till, caller: Caller, visit: Visit, payment_id: PaymentId, decide: Decide) -> RefundAsked:
    begun = await till.db.to_the_end(_begin(till, caller, visit, payment_id, decide))
    if begun.row is None:
        return begun
    await till.db.to_the_end(_send(till, begun.row))
    async with till.db.statement() as tx:
        return RefundAsked(begun.request, await sql.get_refund(tx, begun.row.id))


async def _begin(till: Till, caller: Caller, visit: Visit, payment_id: PaymentId, decide: Decide) -> RefundAsked:
    async with till.db.transaction() as tx:
        # Recharge and payment first, then who decides, as where a payment is approved.
        payment = await _lock(tx, payment_id)
        asked = await decide(tx)
        request, amount_paise = asked.request, asked.request.amount_paise
        version = request.subject_version
        if not asked.is_new:
            return RefundAsked(request, None)
        if payment.version != version:
            raise ChangedMeanwhile
        if payment.account_id == caller.account_id:
            raise OwnPayment
        left = payment.amount_paise - payment.refunded_paise
        if payment.rail not in till.gateways or payment.state not in ("credited", "suspense") or amount_paise > left:
            raise NothingToRefund(left_paise=Paise(left if payment.rail in till.gateways else 0))
        if not asked.is_due:
            return RefundAsked(request, None)
        row = await sql.insert_refund(
            tx, payment, key=f"rf-{ids.ulid(clock.now())}", amount_paise=amount_paise, state="requested",
            begun_by="staff", by_account=request.asked_by, reason=request.reason, gateway_id=None,
        )  # fmt: skip
        assert row is not None, "a new key is new"
        await _take(till, tx, payment, row, may_fall_short=False)
        await audit.record(
            tx, accounts.done_by(caller, visit, "payment_refund_begun", to=payment.account_id, payment=payment_id,
                                 paise=amount_paise, reason=request.reason, request=request.id,
                                 refunded_before=payment.refunded_paise,
                                 refunded_after=payment.refunded_paise + amount_paise),
        )  # fmt: skip
        await _tell(tx, payment, "refund_begun", amount_paise)
    return RefundAsked(request, row)


async def _lock(tx: Tx, payment_id: PaymentId) -> Payment:
    """Lock a payment, its recharge first as everywhere."""
    found = await sql.find_payment(tx, payment_id)
    if found is None:
        raise NotFound(what="payment")
    if found.recharge_id is not None:
        await sql.lock_recharges(tx, [found.recharge_id])
    return await sql.lock_payment(tx, payment_id)


async def _take(till: Till, tx: Tx, payment: Payment, row: GatewayRefundRow, *, may_fall_short: bool) -> Paise:
    """Move the money of a refund; returns what the wallet lacked."""
    is_within = await sql.add_refunded(tx, payment.id, row.amount_paise)
    assert is_within, "more goes back than came"
    is_owned = payment.state == "credited"
    short = await wallet.pay_back(
        tx, payment.account_id if is_owned else None, amount_paise=row.amount_paise, cause=_cause(row),
        may_fall_short=may_fall_short,
    )  # fmt: skip
    if not is_owned:
        await sql.set_returned(tx, payment.id)
        return Paise(0)
    if payment.recharge_id is not None:
        await sql.add_recharge_refunded(tx, payment.recharge_id, row.amount_paise)
    return short


def _cause(row: GatewayRefundRow) -> str:
    return f"refund:{row.id}"


async def _send(till: Till, row: GatewayRefundRow) -> None:
    async with till.db.statement() as tx:
        payment = await sql.get_payment(tx, row.payment_id)
    ref = payment.ref or ""
    gateway = till.gateways.get(payment.rail)
    if gateway is None:
        return
    if row.state == "requested":
        answer = await gateway.refund(
            ref=ref, payment_external_id=payment.external_id, amount_paise=row.amount_paise, key=row.key
        )
    else:
        answer = await gateway.look_at_refund(
            ref=ref, payment_external_id=payment.external_id, key=row.key, gateway_id=row.gateway_id
        )
    if isinstance(answer, Trouble) and not (answer.is_refusal and row.state == "requested"):
        log.warning("refund_waits", refund_id=row.id, gateway=gateway.name, problem=answer.reason)
        return  # the lease ends, and the same key is asked again
    await _settle(till, row.id, payment.id, answer)


async def _settle(till: Till, refund_id: RefundId, payment_id: PaymentId, answer: GatewayRefund | Trouble) -> None:
    async with till.db.transaction() as tx:
        payment = await _lock(tx, payment_id)
        row = await sql.lock_refund(tx, refund_id)
        if isinstance(answer, Trouble) and row.state != "requested":
            return  # a twin of this call was told that it is on its way
        state = "failed" if isinstance(answer, Trouble) else answer.state
        told = None if isinstance(answer, Trouble) else answer
        if not await sql.set_refund_state(
            tx, row, state, gateway_id=None if told is None else told.gateway_id,
            bank_reference=None if told is None else told.bank_reference, after=AGAIN,
        ):  # fmt: skip
            return
        if state == "failed":
            await _put_back(tx, payment, row)
        elif state == "processed" and payment.state == "credited":
            await issue_refund_note(till, tx, payment, row)
        if state != "pending":
            await _tell(tx, payment, "refunded" if state == "processed" else "refund_failed", row.amount_paise)


async def _put_back(tx: Tx, payment: Payment, row: GatewayRefundRow) -> None:
    """Give the money of a refund that failed back to where it was taken from."""
    await sql.add_refunded(tx, payment.id, -row.amount_paise)
    if payment.state != "credited" or payment.account_id is None:
        await wallet.return_to_suspense(tx, amount_paise=row.amount_paise, cause=_cause(row))
        await sql.set_suspense_again(tx, payment.id)
        return
    taken = Paise(row.amount_paise - row.short_paise)
    if taken:
        await wallet.credit(tx, [Credit(payment.account_id, taken, "pay_back_failed", _cause(row))])
    if row.short_paise:
        await wallet.return_to_suspense(tx, amount_paise=row.short_paise, cause=f"{_cause(row)}:short")
        await sql.set_refund_short(tx, row.id, 0)
    if payment.recharge_id is not None:
        await sql.add_recharge_refunded(tx, payment.recharge_id, -row.amount_paise)


async def follow_refunds(till: Till, *, limit: int = 50) -> int:
    """Send refunds that were not surely sent, and look at those that are on their way.

    Returns:
        How many were asked about.
    """
    async with till.db.transaction() as tx:
        taken = await sql.lease_refunds(tx, lease=LEASE, limit=limit)
    await each(taken, lambda row: till.db.to_the_end(_send(till, row)), at_once=AT_ONCE)
    return len(taken)


async def notice_refunds(till: Till, gateway: Gateway, answer: Look) -> None:
    """Follow the gateway where it gave money back by itself: the wallet gives what it has, and the rest is owed to us.

    Who owes us money is frozen until a person has looked. What fails on its way back is put back. A refund under a key
    of ours that these books do not know is taken alike: it was written before it was sent, so they were restored.
    """
    for item in answer.refunds:
        await till.db.to_the_end(_follow(till, gateway.name, item))


async def _follow(till: Till, name: GatewayName, item: GatewayRefund) -> None:
    async with till.db.transaction() as tx:
        if item.key is not None and await sql.find_refund(tx, item.key) is not None:
            return  # we began it, and follow it ourselves
        known = await sql.find_payments(tx, [(name, item.payment_external_id)])
        if not known:
            return  # a payment that we never credited
        payment = await _lock(tx, known[0].id)
        row = await sql.find_refund(tx, f"{name}:{item.gateway_id}")
        if row is None:
            await _follow_new(till, tx, payment, name, item)
        elif (
            row.state == "pending"
            and item.state != "pending"
            and await sql.set_refund_state(
                tx, row, item.state, gateway_id=item.gateway_id, bank_reference=item.bank_reference, after=AGAIN
            )
        ):
            if item.state == "failed":
                await _put_back(tx, payment, row)
                await _tell(tx, payment, "refund_failed", row.amount_paise)
            elif payment.state == "credited":
                await issue_refund_note(till, tx, payment, row)


async def _follow_new(till: Till, tx: Tx, payment: Payment, name: GatewayName, item: GatewayRefund) -> None:
    left = payment.amount_paise - payment.refunded_paise
    if item.state == "failed" or payment.state not in ("credited", "suspense") or left <= 0:
        return
    amount = Paise(min(item.amount_paise, left))
    row = await sql.insert_refund(
        tx, payment, key=f"{name}:{item.gateway_id}", amount_paise=amount, state=item.state, begun_by="gateway",
        by_account=None, reason="the gateway returned it", gateway_id=item.gateway_id,
    )  # fmt: skip
    assert row is not None, "the payment is locked, and its refund was not there"
    short = await _take(till, tx, payment, row, may_fall_short=True)
    details = {"payment": int(payment.id), "paise": int(amount), "short": int(short), "gateway": name}
    await audit.record(tx, Event("payment_taken_back", payment.account_id, details=details))
    await _tell(tx, payment, "taken_back", amount)
    if short and payment.account_id is not None:
        await sql.set_refund_short(tx, row.id, short)
        await accounts.freeze(tx, payment.account_id, reason="a payment was taken back after it was spent")
    if payment.state == "credited" and item.state == "processed":
        await issue_refund_note(till, tx, payment, row)
    log.warning("payment_taken_back", payment_id=payment.id, gateway=name, short_paise=short)


async def _tell(tx: Tx, payment: Payment, event: RechargeEvent, amount_paise: Paise) -> None:
    if payment.recharge_id is not None:
        await sql.insert_event(tx, payment.recharge_id, event, amount_paise=amount_paise)
