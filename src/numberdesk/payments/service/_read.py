"""Reading recharges: one with its time line, an account's history, and a fresh look on demand."""

from datetime import timedelta

from numberdesk.base.db import Database
from numberdesk.base.errors import NotFound
from numberdesk.payments import sql
from numberdesk.payments.model import REF, SHOWN, Event, Payment, Recharge, RechargeStatus, ShownStatus
from numberdesk.payments.service._till import Till
from numberdesk.wallet.model import AccountId

LIST_MAX = 100
LOOK_EVERY = timedelta(seconds=10)
"""A customer's question causes at most so many looks at gateway or chain."""


async def history(
    db: Database, *, account_id: AccountId, status: ShownStatus | None, cursor: int | None, limit: int
) -> list[Recharge]:
    """Return an account's recharges, newest first, before the id `cursor`."""
    wanted: list[RechargeStatus] | None = None
    if status is not None:
        wanted = [inner for inner, shown in SHOWN.items() if shown == status]
    async with db.statement() as tx:
        return await sql.list_recharges(
            tx, account_id=account_id, statuses=wanted, before=cursor, limit=min(limit, LIST_MAX)
        )


async def list_recharges(
    db: Database, *, account_id: AccountId | None, status: RechargeStatus | None, cursor: int | None, limit: int
) -> list[Recharge]:
    """Return recharges of everybody or of one account, newest first, before the id `cursor`: for staff."""
    async with db.statement() as tx:
        return await sql.list_recharges(
            tx, account_id=account_id, statuses=None if status is None else [status], before=cursor,
            limit=min(limit, LIST_MAX),
        )  # fmt: skip


async def payments_of(db: Database, recharge: Recharge) -> list[Payment]:
    """Return what was paid for a recharge."""
    async with db.statement() as tx:
        return await sql.list_payments_of(tx, recharge.id)


async def find(db: Database, *, account_id: AccountId | None, ref: str) -> Recharge:
    """Return a recharge of an account, or of anybody for staff.

    Raises:
        NotFound: there is no such recharge, or it is another account's.
    """
    if not REF.fullmatch(ref):
        raise NotFound(what="recharge")
    async with db.statement() as tx:
        recharge = await sql.find_recharge(tx, ref, account_id=account_id)
    if recharge is None:
        raise NotFound(what="recharge")
    return recharge


async def time_line(db: Database, recharge: Recharge) -> list[Event]:
    """Return every step of a recharge, oldest first."""
    async with db.statement() as tx:
        return await sql.list_events(tx, recharge.id)


async def ask_for_look(till: Till, recharge: Recharge) -> bool:
    """Have the worker look at gateway or chain soon; False when it did so lately, or has nothing to look at."""
    async with till.db.statement() as tx:
        if recharge.rail == "upi_manual" or not await sql.ask_for_look(tx, recharge.id, every=LOOK_EVERY):
            return False
        if recharge.address_id is not None:
            await sql.set_hot(tx, recharge.address_id, lasting=timedelta(minutes=5))
    return True
