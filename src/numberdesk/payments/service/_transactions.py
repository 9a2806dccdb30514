"""A customer's statement: the wallet's lines, with the recharges that wait before them, and those that failed apart."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from numberdesk.base.db import Database
from numberdesk.payments import sql
from numberdesk.payments.model import OPEN, Line, Method, Page, Payment, Rail, Recharge, RechargeStatus
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import AccountId, Transaction, TransactionState, TransactionType

LIST_MAX = wallet.LIST_MAX

FAILED: tuple[RechargeStatus, ...] = ("expired", "rejected", "failed")
RECHARGE = "r"
"""What the cursor of a recharge begins with; the wallet's own lines are counted by their version."""
METHODS: Mapping[Rail, Method] = {
    "upi_manual": "upi", "razorpay": "upi", "cashfree": "upi", "phonepe": "upi", "trx": "trx", "usdt": "usdt",
}  # fmt: skip


async def list_transactions(
    db: Database,
    *,
    account_id: AccountId,
    type: TransactionType | None,  # noqa: A002 - the contract's word
    state: TransactionState | None,
    since: datetime | None,
    until: datetime | None,
    cursor: str | None,
    limit: int,
) -> Page:
    """Return a part of a customer's statement, at most `limit` (up to `LIST_MAX`) lines.

    Recharges that wait for their payment come first, newest first; then what moved in the wallet, newest first. What
    failed moved nothing, and is listed when it is asked for.

    Args:
        cursor: where the part before ended.
    """
    limit = min(limit, LIST_MAX)
    lines: list[Line] = []
    if type in (None, "recharge") and state in (None, "pending", "failed") and not (cursor or RECHARGE).isdigit():
        before = None if cursor is None else int(cursor.removeprefix(RECHARGE))
        async with db.statement() as tx:
            found = await sql.list_uncredited(
                tx, account_id=account_id, statuses=FAILED if state == "failed" else OPEN, since=since, until=until,
                before=before, limit=limit,
            )  # fmt: skip
        lines = [_waiting(item) for item in found]
        if len(found) == limit:
            return Page(lines, f"{RECHARGE}{found[-1].id}")
    if state == "failed" and (type in (None, "recharge")):
        return Page(lines, None)
    moved = await wallet.list_transactions(
        db, account_id=account_id, type=type, state=state, since=since, until=until,
        cursor=int(cursor) if cursor is not None and cursor.isdigit() else None, limit=limit - len(lines),
    )  # fmt: skip
    payments = await _payments(db, moved)
    following = str(moved[-1].version) if len(lines) + len(moved) == limit and moved else None
    return Page([*lines, *(_moved(item, payments) for item in moved)], following)


async def _payments(db: Database, moved: Sequence[Transaction]) -> dict[str, Payment]:
    keys: list[tuple[Rail, str]] = []
    for item in moved:
        rail, _, external_id = (item.cause or "").partition(":")
        if rail in METHODS:
            keys.append((rail, external_id))  # type: ignore[arg-type]
    if not keys:
        return {}
    async with db.statement() as tx:
        return {item.cause: item for item in await sql.find_payments(tx, keys)}


def _moved(item: Transaction, payments: Mapping[str, Payment]) -> Line:
    payment = payments.get(item.cause or "")
    return Line(
        str(item.version), item.type, item.state, item.amount_paise, item.balance_after_paise, item.order_id,
        None if payment is None else payment.ref, None if payment is None else METHODS[payment.rail], item.at,
    )  # fmt: skip


def _waiting(item: Recharge) -> Line:
    state: TransactionState = "failed" if item.status in FAILED else "pending"
    return Line(item.ref, "recharge", state, item.payable_paise, None, None, item.ref, item.method, item.created_at)
