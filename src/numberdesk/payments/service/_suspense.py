"""What people decide about money of nobody's: whose it is, or that it is no money of this service."""

import json

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import Caller
from numberdesk.audit import service as audit
from numberdesk.base.db import Tx
from numberdesk.base.errors import InvalidFields, NotFound
from numberdesk.base.visit import Visit
from numberdesk.conduct import service as conduct
from numberdesk.payments import sql
from numberdesk.payments.model import BankCredit, BankCreditId, PaymentId, Proof
from numberdesk.payments.service._bank import bank_id
from numberdesk.payments.service._errors import ChangedMeanwhile
from numberdesk.payments.service._receipts import Issue, issue
from numberdesk.payments.service._review import Decision, is_enough, record, refuse_own, settled
from numberdesk.payments.service._till import Till
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import AccountId, Credit


async def assign(
    till: Till, *, caller: Caller, visit: Visit, payment_id: PaymentId, version: int, account_id: AccountId | None,
    ref: str | None, note: str,
) -> Decision:  # fmt: skip
    """Give money of nobody's to whom it belongs: an account, or a recharge of one.

    Raises:
        NotFound: there is no such payment, account or recharge.
        OwnPayment, SecondPersonNeeded: as in `approve`.
        ChangedMeanwhile: it is not in suspense, or not of this version, any more.
    """
    work = _assign(
        till,
        caller=caller,
        visit=visit,
        payment_id=payment_id,
        version=version,
        account_id=account_id,
        ref=ref,
        note=note,
    )
    return await till.db.to_the_end(work)


async def _assign(
    till: Till, *, caller: Caller, visit: Visit, payment_id: PaymentId, version: int, account_id: AccountId | None,
    ref: str | None, note: str,
) -> Decision:  # fmt: skip
    async with till.db.transaction() as tx:
        recharge = None
        if ref is not None:
            named = await sql.find_recharge(tx, ref, account_id=None)
            if named is None:
                raise NotFound(what="recharge")
            (recharge,) = await sql.lock_recharges(tx, [named.id])
        owner = recharge.account_id if recharge is not None else account_id
        if owner is None or not await accounts.recipients(tx, [owner]):
            raise NotFound(what="account")
        locked = await sql.lock_payments(tx, [payment_id], state="suspense")
        if not locked:
            raise NotFound(what="payment") if await sql.find_payment(tx, payment_id) is None else ChangedMeanwhile
        payment = locked[0]
        if payment.version != version or payment.refunded_paise:
            raise ChangedMeanwhile
        refuse_own(caller, owner)
        await audit.record(
            tx, accounts.done_by(caller, visit, "payment_assigned", to=owner, payment=payment_id,
                                 paise=payment.amount_paise, note=note),
        )  # fmt: skip
        if not await is_enough(
            till, tx, caller, visit, "payment", payment.id, version, owner, payment.amount_paise, None
        ):
            return Decision("one_more_person", recharge, payment.amount_paise)
        if not await sql.set_assigned(
            tx, payment, account_id=owner, recharge_id=None if recharge is None else recharge.id
        ):
            raise ChangedMeanwhile
        (is_new,) = await wallet.credit(tx, [Credit(owner, payment.amount_paise, "assign", payment.cause)])
        assert is_new, "money in suspense was assigned before"
        if recharge is not None:
            await sql.apply_credits(tx, [sql.Credited(recharge.id, payment.amount_paise)])
            await sql.insert_event(tx, recharge.id, "credited", amount_paise=payment.amount_paise, detail="by a person")
            if payment.rrn is not None:
                await sql.set_claims_credited(tx, [(recharge.id, payment.rrn)])
        await issue(till, tx, [Issue(payment, owner, payment.amount_paise, payment.paise_per_unit, recharge, "")])
        await conduct.note_payers(tx, [payment.id])
    return Decision("credited", recharge, payment.amount_paise)


async def attach(
    till: Till, *, caller: Caller, visit: Visit, credit_id: BankCreditId, version: int, ref: str, note: str
) -> Decision:
    """Say that what the bank's statement shows was paid for this recharge, whatever UTR its customer named.

    Raises:
        NotFound: there is no such credit or recharge.
        OwnPayment, ChangedMeanwhile, SecondPersonNeeded: as in `approve`.
        InvalidFields: only an alert says that it came in, or it came in at another address.
    """
    async with till.db.transaction() as tx:
        credit = await _open_credit(tx, credit_id, version)
        recharge = await sql.find_recharge(tx, ref, account_id=None)
        if recharge is None:
            raise NotFound(what="recharge")
        if recharge.vpa_id != credit.vpa_id:
            raise InvalidFields({"transactionId": "is paid to another address than this money came to"})
        if credit.source == "alert":
            raise InvalidFields(
                {"creditId": "is an alert: approve the recharge with its UTR once the bank shows the payment"}
            )
        refuse_own(caller, recharge.account_id)
        await record(tx, caller, visit, "bank_credit_attached", recharge, credit=credit.id, note=note)
        if not await is_enough(
            till, tx, caller, visit, "recharge", recharge.id, recharge.version, recharge.account_id,
            credit.amount_paise, credit.reference,
        ):  # fmt: skip
            await sql.insert_event(tx, recharge.id, "approved_once", amount_paise=credit.amount_paise)
            return Decision("one_more_person", recharge, credit.amount_paise)
    proof = Proof(
        rail="upi_manual", external_id=bank_id(credit.vpa_id, credit.reference), kind="statement",
        paid_at=credit.paid_at, amount_paise=credit.amount_paise, recharge_id=recharge.id, vpa_id=credit.vpa_id,
        rrn=credit.rrn, bank_credit_id=credit.id, version=recharge.version,
        raw=json.dumps({"by": caller.account_id, "note": note}),
    )  # fmt: skip
    return await settled(till, proof, ref)


async def ignore(
    till: Till, *, caller: Caller, visit: Visit, credit_id: BankCreditId, version: int, note: str
) -> Decision:
    """Say that what the bank shows is no money of this service, such as the operator's own.

    Raises:
        NotFound: there is no such credit.
        ChangedMeanwhile: it is not open, or not of this version, any more.
    """
    async with till.db.transaction() as tx:
        credit = await _open_credit(tx, credit_id, version)
        if not await sql.set_ignored(tx, credit):
            raise ChangedMeanwhile
        await audit.record(
            tx, accounts.done_by(caller, visit, "bank_credit_ignored", credit=credit.id, paise=credit.amount_paise,
                                 note=note),
        )  # fmt: skip
    return Decision("ignored", None, credit.amount_paise)


async def _open_credit(tx: Tx, credit_id: BankCreditId, version: int) -> BankCredit:
    credit = await sql.find_bank_credit(tx, credit_id)
    if credit is None:
        raise NotFound(what="bank credit")
    if credit.state != "open" or credit.version != version:
        raise ChangedMeanwhile
    return credit
