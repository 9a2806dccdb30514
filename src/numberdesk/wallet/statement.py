"""Reading a customer's statement."""

from datetime import datetime

from numberdesk.base.db import Database, Tx
from numberdesk.wallet import sql
from numberdesk.wallet.model import AccountId, HoldTrace, Transaction, TransactionState, TransactionType

LIST_MAX = 100

_KINDS: dict[TransactionType, list[str]] = {
    "recharge": ["recharge", "assign", "pay_back", "pay_back_failed"],
    "service_purchase": ["hold"],
    "refund": ["void", "refund"],
    "admin_credit": ["admin_credit", "play_money"],
    "admin_debit": ["admin_debit"],
}


async def list_transactions(
    db: Database,
    *,
    account_id: AccountId,
    type: TransactionType | None,  # noqa: A002 - the contract's word
    state: TransactionState | None,
    since: datetime | None,
    until: datetime | None,
    cursor: int | None,
    limit: int,
    offset: int = 0,
) -> list[Transaction]:
    """Return a customer's statement, newest first, at most `limit` (up to `LIST_MAX`) lines.

    Args:
        cursor: the `version` of the last line seen.
        offset: lines to leave out, for callers that count pages; a cursor is quicker.
    """
    kinds = None if type is None else _KINDS[type]
    async with db.statement() as tx:
        return await sql.list_transactions(
            tx,
            account_id=account_id,
            before=cursor,
            kinds=kinds,
            state=state,
            since=since,
            until=until,
            limit=min(limit, LIST_MAX),
            offset=offset,
        )


async def count_transactions(db: Database, *, account_id: AccountId) -> int:
    """Return how many lines a customer's statement has, for callers that count pages."""
    async with db.statement() as tx:
        return await sql.count_transactions(tx, account_id=account_id)


async def trace(tx: Tx, order_id: int) -> list[HoldTrace]:
    """Return the holds of an order, each with what happened to it."""
    holds = await sql.list_holds(tx, [order_id])
    causes = [f"{order_id}:{item.purpose}" for item in holds]
    found = await sql.list_order_postings(tx, causes) if causes else []
    return [
        HoldTrace(
            item.purpose, item.amount_paise, item.state,
            tuple((kind, number, at) for cause, kind, number, at in found if cause == f"{order_id}:{item.purpose}"),
        )
        for item in sorted(holds, key=lambda hold: hold.purpose)
    ]  # fmt: skip
