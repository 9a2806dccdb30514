"""Claims: a customer says which UTR paid a recharge. It says where to look, and never credits by itself."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from numberdesk.base.errors import InvalidFields, NotFound
from numberdesk.payments import sql
from numberdesk.payments.methods import upi
from numberdesk.payments.model import Recharge, RechargeEvent
from numberdesk.payments.service import _staff
from numberdesk.payments.service._bank import bank_id, match
from numberdesk.payments.service._errors import ClaimsLocked, UtrAlreadyUsed, WrongMethod
from numberdesk.payments.service._till import Till
from numberdesk.wallet.model import AccountId

REFUSED_MAX = 3
REFUSED_WITHIN = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Claimed:
    """What became of a claim at once."""

    recharge: Recharge
    outcome: Literal["credited", "waiting"]


async def claim_utr(till: Till, *, account_id: AccountId, ref: str, utr: str, payer_vpa: str | None) -> Claimed:
    """Write down which UTR paid a recharge, and credit it when the bank has said so already.

    Several may claim one UTR, since it can be mistyped or seen on a screen: none of them is believed for it.

    Raises:
        InvalidFields: it is no UTR (and what it is instead), or the payer's address is none.
        NotFound: there is no such recharge of this account.
        WrongMethod: it is not paid to one of our UPI addresses.
        TooMany: too many claims in an hour.
        ClaimsLocked: too many of its UTRs had been used.
        UtrAlreadyUsed: it was credited, to another recharge; to whose is not said.
    """
    rrn, payer = _read(utr, payer_vpa)
    async with till.db.statement() as tx:
        recharge = await sql.find_recharge(tx, ref, account_id=account_id)
        if recharge is None:
            raise NotFound(what="recharge")
        if recharge.vpa_id is None:
            raise WrongMethod(method=recharge.rail)
        refused = await sql.count_refused_claims(tx, account_id, since=REFUSED_WITHIN)
    if refused >= REFUSED_MAX:
        raise ClaimsLocked
    await till.limiter.admit("claim", str(account_id))
    await till.db.to_the_end(_write(till, recharge, rrn, payer))
    await match(till, vpa_id=recharge.vpa_id, rrn=rrn)
    async with till.db.statement() as tx:
        now = await sql.get_recharge(tx, recharge.id)
        known = await sql.find_payments(tx, [("upi_manual", bank_id(recharge.vpa_id, rrn))])
        # Money that nobody had claimed in time waits for a person, who now finds this claim beside it.
        if known and known[0].recharge_id != recharge.id and known[0].state != "suspense":
            await sql.set_claim_refused(tx, recharge.id, rrn)
            raise UtrAlreadyUsed
    return Claimed(now, "credited" if known and known[0].state == "credited" else "waiting")


def _read(utr: str, payer_vpa: str | None) -> tuple[str, str | None]:
    problems = {}
    rrn = payer = None
    try:
        rrn = upi.read_utr(utr)
    except upi.NotAUtr as problem:
        problems["utr"] = str(problem)
    try:
        payer = None if payer_vpa is None else upi.read_vpa(payer_vpa)
    except upi.BadVpa as problem:
        problems["payerVpa"] = str(problem)
    if rrn is None or problems:
        raise InvalidFields(problems)
    return rrn, payer


async def _write(till: Till, recharge: Recharge, rrn: str, payer: str | None) -> None:
    sealed = None if payer is None else till.vault.seal(payer, about=f"claim:{recharge.id}:{rrn}")
    async with till.db.transaction() as tx:
        (locked,) = await sql.lock_recharges(tx, [recharge.id])
        if not await sql.insert_claim(tx, locked, rrn=rrn, payer=sealed):
            return  # said before
        event: RechargeEvent = "claimed" if locked.asked_at is None else "answered"
        await sql.insert_event(tx, locked.id, event, detail=f"UTR …{rrn[-4:]}")
        if locked.status in ("awaiting_payment", "expired", "submitted"):
            await sql.set_submitted(tx, locked)
            told = _staff.claimed(locked.ref, rrn, locked.payable_paise, locked.account_id)
            await _staff.tell(till, tx, [told])
