"""What people decide: claims that no statement proves, money of nobody's, and what the bank says nobody has claimed.

Nobody decides about the own account; above a limit two people must say the same; a decision holds only for the version
that was looked at. An approval ends in `settle` like every other proof.
"""

import json
from dataclasses import dataclass
from typing import Literal

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import Caller, MoneyWanted
from numberdesk.audit import service as audit
from numberdesk.base import ids
from numberdesk.base.db import Database, Tx
from numberdesk.base.errors import InvalidFields, NotFound
from numberdesk.base.money import Paise, format_rupees
from numberdesk.base.visit import Visit
from numberdesk.notifications import service as notifications
from numberdesk.notifications.model import Notice, Template
from numberdesk.payments import sql
from numberdesk.payments.methods import upi
from numberdesk.payments.model import (
    BankCredit,
    Claim,
    Payment,
    Proof,
    Recharge,
    RechargeStatus,
    Settled,
    Subject,
    VpaId,
)
from numberdesk.payments.service import _staff
from numberdesk.payments.service._bank import bank_id
from numberdesk.payments.service._errors import ChangedMeanwhile, OwnPayment, SecondPersonNeeded, UtrAlreadyUsed
from numberdesk.payments.service._settle import settle
from numberdesk.payments.service._till import Till
from numberdesk.wallet.model import AccountId

QUEUE_MAX = 200
RejectReason = Literal["not_found", "wrong_amount", "not_yours", "other"]
REASONS: dict[RejectReason, str] = {
    "not_found": "no payment with this UTR reached us",
    "wrong_amount": "the payment has another amount than this recharge",
    "not_yours": "the payment was made for somebody else",
    "other": "the payment could not be confirmed",
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """A recharge whose customer says that it is paid."""

    recharge: Recharge
    claims: tuple[Claim, ...]
    others: int
    """Claims of the same UTRs by other accounts."""
    plausibility: str
    """Whether the newest UTR looks like one of that time; it proves nothing either way."""


@dataclass(frozen=True, slots=True)
class Queue:
    """Everything that waits for a person."""

    waiting: list[Waiting]
    suspense: list[Payment]
    unclaimed: list[tuple[BankCredit, Recharge | None]]
    """With the recharge that the amount is kept for, if there is one: a suggestion."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person's word led to."""

    outcome: Literal["credited", "one_more_person", "rejected", "asked", "suspense", "ignored"]
    recharge: Recharge | None
    amount_paise: Paise


async def queue(till: Till) -> Queue:
    """Return what waits for a person, longest waiting first."""
    async with till.db.statement() as tx:
        submitted = await sql.list_submitted(tx, limit=QUEUE_MAX)
        suspense = await sql.list_suspense(tx, limit=QUEUE_MAX)
        open_credits = await sql.list_unclaimed(tx, limit=QUEUE_MAX)
        claims = await sql.list_claims_of(tx, [item.id for item in submitted])
        waiting = [await _waiting(tx, item, [claim for claim in claims if claim.recharge_id == item.id])
                   for item in submitted]  # fmt: skip
        unclaimed = [(item, await _suggested(tx, item)) for item in open_credits]
    return Queue(waiting, suspense, unclaimed)


async def _waiting(tx: Tx, recharge: Recharge, claims: list[Claim]) -> Waiting:
    others, plausible = 0, "unclear"
    if claims and recharge.vpa_id is not None:
        same = await sql.list_claims(tx, vpa_id=recharge.vpa_id, rrns=[claim.rrn for claim in claims])
        others = sum(claim.account_id != recharge.account_id for claim in same)
        plausible = upi.plausibility(claims[-1].rrn, at=recharge.created_at)
    return Waiting(recharge, tuple(claims), others, plausible)


async def _suggested(tx: Tx, credit: BankCredit) -> Recharge | None:
    found = await sql.list_slots(tx, vpa_id=credit.vpa_id, amounts=[credit.amount_paise])
    return found[0] if len(found) == 1 else None


async def approve(
    till: Till, *, caller: Caller, visit: Visit, ref: str, version: int, amount_paise: Paise, utr: str | None, note: str
) -> Decision:
    """Say that a recharge to one of our UPI addresses was paid, as seen in the bank's own records.

    Args:
        amount_paise: what really came in.
        utr: the bank's number; None takes the one that the customer claimed, if it is the only one.

    Raises:
        NotFound: there is no such recharge.
        OwnPayment: it is the approver's own.
        ChangedMeanwhile: it is not of this version any more.
        InvalidFields: no UTR, no UTR of ours, or the bank's statement says another amount.
        UtrAlreadyUsed: the UTR was credited before.
        SecondPersonNeeded: this person approved it already, and the amount needs two.
    """
    async with till.db.transaction() as tx:
        recharge = await _lock(tx, caller, ref, version)
        rrn = await _rrn(tx, recharge, utr)
        assert recharge.vpa_id is not None
        known = await _said_by_bank(tx, recharge.vpa_id, rrn, amount_paise)
        await record(tx, caller, visit, "recharge_approved", recharge, paise=amount_paise, utr=rrn, note=note)
        if not await is_enough(
            till, tx, caller, visit, "recharge", recharge.id, recharge.version, recharge.account_id, amount_paise, rrn
        ):
            await sql.insert_event(tx, recharge.id, "approved_once", amount_paise=amount_paise)
            return Decision("one_more_person", recharge, amount_paise)
    proof = Proof(
        rail="upi_manual", external_id=bank_id(recharge.vpa_id, rrn), kind="staff", paid_at=None,
        amount_paise=amount_paise, recharge_id=recharge.id, vpa_id=recharge.vpa_id, rrn=rrn,
        bank_credit_id=None if known is None else known.id, version=version,
        raw=json.dumps({"by": caller.account_id, "note": note}),
    )  # fmt: skip
    return await settled(till, proof, ref)


async def _said_by_bank(tx: Tx, vpa_id: VpaId, rrn: str, amount_paise: Paise) -> BankCredit | None:
    """Return what the bank said of a UTR that was not used yet, once it is sure that it says nothing else."""
    if await sql.has_rrn(tx, rrn):
        raise UtrAlreadyUsed
    known = await sql.list_bank_credits(tx, vpa_id=vpa_id, references=[rrn])
    if known and known[0].source == "statement" and known[0].amount_paise != amount_paise:
        said = format_rupees(known[0].amount_paise)
        raise InvalidFields({"amount": f"is not what the bank's statement says: {said} rupees"})
    return known[0] if known else None


async def reject(
    till: Till, *, caller: Caller, visit: Visit, ref: str, version: int, reason: RejectReason, note: str
) -> Decision:
    """Say that a claim is not proven. Money that is proven later is credited all the same.

    Raises:
        NotFound, OwnPayment, ChangedMeanwhile: as in `approve`.
    """
    async with till.db.transaction() as tx:
        recharge = await _lock(tx, caller, ref, version)
        if not await sql.set_status(tx, recharge, "rejected"):
            raise ChangedMeanwhile
        await sql.insert_event(tx, recharge.id, "rejected", detail=REASONS[reason])
        await record(tx, caller, visit, "recharge_rejected", recharge, reason=reason, note=note)
        await _tell(till, tx, "recharge_rejected", recharge, reason=REASONS[reason])
    return Decision("rejected", await _again(till.db, ref), Paise(0))


async def ask(till: Till, *, caller: Caller, visit: Visit, ref: str, version: int, question: str) -> Decision:
    """Ask a customer about a claim, by mail; a new claim is the answer.

    Raises:
        NotFound, OwnPayment, ChangedMeanwhile: as in `approve`.
    """
    async with till.db.transaction() as tx:
        recharge = await _lock(tx, caller, ref, version)
        if not await sql.set_asked(tx, recharge):
            raise ChangedMeanwhile
        await sql.insert_event(tx, recharge.id, "asked", detail=question)
        await record(tx, caller, visit, "recharge_asked", recharge, question=question)
        await _tell(till, tx, "recharge_question", recharge, question=question)
    return Decision("asked", await _again(till.db, ref), Paise(0))


async def park(
    till: Till, *, caller: Caller, visit: Visit, ref: str, version: int, amount_paise: Paise, utr: str | None, note: str
) -> Decision:
    """Say that a payment came in but is not this recharge's: it goes to suspense until somebody finds its owner.

    Raises:
        NotFound, OwnPayment, ChangedMeanwhile, InvalidFields, UtrAlreadyUsed: as in `approve`.
    """
    async with till.db.transaction() as tx:
        recharge = await _lock(tx, caller, ref, version)
        rrn = await _rrn(tx, recharge, utr)
        assert recharge.vpa_id is not None
        known = await _said_by_bank(tx, recharge.vpa_id, rrn, amount_paise)
        await record(tx, caller, visit, "recharge_parked", recharge, paise=amount_paise, utr=rrn, note=note)
    proof = Proof(
        rail="upi_manual", external_id=bank_id(recharge.vpa_id, rrn), kind="staff", paid_at=None,
        amount_paise=amount_paise, recharge_id=recharge.id, vpa_id=recharge.vpa_id, rrn=rrn,
        bank_credit_id=None if known is None else known.id, version=version, why="staff",
        raw=json.dumps({"by": caller.account_id, "note": note}),
    )  # fmt: skip
    return await settled(till, proof, ref)


async def _lock(tx: Tx, caller: Caller, ref: str, version: int) -> Recharge:
    found = await sql.find_recharge(tx, ref, account_id=None)
    if found is None:
        raise NotFound(what="recharge")
    (recharge,) = await sql.lock_recharges(tx, [found.id])
    refuse_own(caller, recharge.account_id)
    decidable: tuple[RechargeStatus, ...] = ("submitted", "awaiting_payment", "expired", "rejected")
    if recharge.vpa_id is None:
        raise InvalidFields({"transactionId": "is not paid to an address of ours: its gateway or chain decides"})
    if recharge.version != version or recharge.status not in decidable:
        raise ChangedMeanwhile
    return recharge


def refuse_own(caller: Caller, account_id: AccountId) -> None:
    """Refuse who would decide about the own account.

    Raises:
        OwnPayment: it is.
    """
    if caller.account_id == account_id:
        raise OwnPayment


async def _rrn(tx: Tx, recharge: Recharge, utr: str | None) -> str:
    if utr is not None:
        try:
            return upi.read_utr(utr)
        except upi.NotAUtr as problem:
            raise InvalidFields({"utr": str(problem)}) from None
    claimed = {claim.rrn for claim in await sql.list_claims_of(tx, [recharge.id]) if claim.state == "waiting"}
    if len(claimed) != 1:
        raise InvalidFields({"utr": "is required: its customer claimed none, or several"})
    return claimed.pop()


async def is_enough(
    till: Till, tx: Tx, caller: Caller, visit: Visit, subject: Subject, subject_id: int, version: int,
    account_id: AccountId, amount_paise: Paise, rrn: str | None,
) -> bool:  # fmt: skip
    """Tell whether an amount needs no second person, or has had its first one say just the same.

    Raises:
        SecondPersonNeeded: this person was the first one.
        DailyCapReached: the caller moved too much by hand within 24 hours.
    """
    wanted = MoneyWanted("review", account_id, amount_paise, subject, subject_id, version)
    await accounts.count_money(tx, till.rules.staff, caller, visit, wanted)
    if amount_paise <= till.rules.two_people_above:
        return True
    before = await sql.list_approvals(tx, subject=subject, subject_id=subject_id, version=version)
    said = (account_id, amount_paise, rrn)
    same = [item for item in before if (item.account_id, item.amount_paise, item.rrn) == said]
    others = [item.approver_id for item in same if item.approver_id != caller.account_id]
    for other in others:
        if await accounts.may_move_money(tx, other):
            return True
    if len(same) > len(others):
        raise SecondPersonNeeded
    await sql.insert_approval(
        tx, subject=subject, subject_id=subject_id, version=version, approver_id=caller.account_id,
        account_id=account_id, amount_paise=amount_paise, rrn=rrn,
    )  # fmt: skip
    waits = _staff.approved_once(subject, subject_id, version, account_id, amount_paise, by=caller.account_id)
    await accounts.tell_staff(tx, till.vault, waits)
    return False


async def settled(till: Till, proof: Proof, ref: str) -> Decision:
    """Settle what a person said, and tell what became of it.

    Raises:
        UtrAlreadyUsed: the payment was known.
        ChangedMeanwhile: the recharge is not of that version any more.
    """
    (found,) = await settle(till, [proof])
    return Decision(_word(found), await _again(till.db, ref), found.amount_paise)


def _word(found: Settled) -> Literal["credited", "suspense"]:
    match found.outcome:
        case "credited" | "suspense":
            return found.outcome
        case "known":
            raise UtrAlreadyUsed
        case "stale" | "waiting" | "ignored" | "failed":
            raise ChangedMeanwhile


async def _again(db: Database, ref: str) -> Recharge | None:
    async with db.statement() as tx:
        return await sql.find_recharge(tx, ref, account_id=None)


async def record(
    tx: Tx, caller: Caller, visit: Visit, action: str, recharge: Recharge, **details: str | int | None
) -> None:
    """Record what a person decided about a recharge."""
    event = accounts.done_by(
        caller, visit, action, to=recharge.account_id, transaction=recharge.ref, before=recharge.status, **details
    )
    await audit.record(tx, event)


async def _tell(till: Till, tx: Tx, template: Template, recharge: Recharge, **data: str) -> None:
    person = (await accounts.recipients(tx, [recharge.account_id]))[recharge.account_id]
    words: dict[str, str | int | None] = {
        "name": person.name,
        "amount": format_rupees(recharge.payable_paise),
        "transaction": recharge.ref,
        **data,
    }
    notice = Notice(template, person.email, words, f"{template}:{ids.base62(16)}", person.id)
    await notifications.enqueue(tx, till.vault, [notice])
