"""Verbs of the ledger. They take lists, so that many callers share one transaction; one refusal never fails another.

Locks are taken in the order of the whole program: order rows (by the caller), hold rows, wallet rows, each ascending.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from numberdesk.base.db import Database, Tx
from numberdesk.base.errors import AppError, NotFound
from numberdesk.base.money import Paise, format_rupees
from numberdesk.wallet import sql
from numberdesk.wallet.book import Book, open_book
from numberdesk.wallet.by_hand import TooLittleToTake as TooLittleToTake
from numberdesk.wallet.by_hand import debit as debit
from numberdesk.wallet.model import (
    AccountId,
    Bucket,
    CauseType,
    Credit,
    Hold,
    HoldState,
    HoldWanted,
    Unowned,
    Wallet,
    is_sandbox,
)
from numberdesk.wallet.statement import LIST_MAX as LIST_MAX
from numberdesk.wallet.statement import count_transactions as count_transactions
from numberdesk.wallet.statement import list_transactions as list_transactions
from numberdesk.wallet.statement import trace as trace

SANDBOX_PAISE = Paise(1_000_00)
"""The play money of a sandbox, when it is made and whenever it was filled up."""
SANDBOX_LOW_PAISE = Paise(100_00)
"""A sandbox that is to set money aside and has less is filled up first."""
SANDBOX_HELD_MAX = Paise(10_000_00)
"""A sandbox that holds so much for open orders is not filled up: play money, too, bounds how many can be open."""


@dataclass(eq=False)
class InsufficientBalance(AppError):
    """The wallet's available money is below what is needed."""

    needed_paise: Paise
    available_paise: Paise

    code = "insufficient_balance"
    category = "transaction"

    def sentence(self) -> str:
        return (
            f"Your balance of {format_rupees(self.available_paise)} is too low: "
            f"{format_rupees(self.needed_paise)} is needed."
        )


@dataclass(eq=False)
class NothingToRefund(AppError):
    """Only a captured hold can be refunded, and only once."""

    order_id: int

    status = 409
    code = "nothing_to_refund"
    category = "transaction"
    message = "Order {order_id} has no captured payment that could be refunded."


async def open_wallets(tx: Tx, account_ids: Sequence[AccountId]) -> None:
    """Give new accounts their empty wallets."""
    await sql.insert_wallets(tx, account_ids)


async def open_sandboxes(tx: Tx, account_ids: Sequence[AccountId]) -> None:
    """Give new sandbox accounts their wallets, filled with play money."""
    await sql.insert_wallets(tx, account_ids)
    book = await open_book(tx, account_ids)
    for account_id in account_ids:
        _fill(book, account_id)
    await book.write(tx)


def _fill(book: Book, account_id: AccountId) -> None:
    """Fill the wallet of a sandbox up with play money, if there is little of it and not too much is held."""
    purse = book.purses[account_id]
    if purse.available < SANDBOX_LOW_PAISE and purse.held < SANDBOX_HELD_MAX:
        missing = SANDBOX_PAISE - purse.available
        book.post(
            "play_money", "credit", f"sandbox:{account_id}:{purse.version}",
            (None, "sandbox", -missing), (account_id, "available", missing),
        )  # fmt: skip


async def lock(tx: Tx, account_ids: Iterable[AccountId]) -> None:
    """Lock wallets before several verbs of one transaction touch them, so that the order of locks stays ascending."""
    await sql.lock_wallets(tx, sorted(set(account_ids)))


async def balance(db: Database, account_id: AccountId) -> Wallet:
    """Return the account's wallet.

    Raises:
        NotFound: the account has none.
    """
    async with db.statement() as tx:
        wallet = await sql.find_wallet(tx, account_id)
    if wallet is None:
        raise NotFound(what="wallet")
    return wallet


async def lock_one(tx: Tx, account_id: AccountId) -> Wallet:
    """Lock a wallet and return it, so that what is decided by its balance stays true.

    Raises:
        NotFound: the account has none.
    """
    found = await sql.lock_wallets(tx, [account_id])
    if not found:
        raise NotFound(what="wallet")
    return found[0]


async def hold(tx: Tx, wanted: Sequence[HoldWanted]) -> list[InsufficientBalance | None]:
    """Set money aside, in the order given; each item that cannot be paid is refused alone.

    A sandbox with little play money is filled up before.

    Returns:
        For each item None, or its refusal.
    """
    book = await open_book(tx, (item.account_id for item in wanted))
    answers: list[InsufficientBalance | None] = []
    held: list[HoldWanted] = []
    for item in wanted:
        purse = book.purses.get(item.account_id)
        if purse is not None and is_sandbox(item.account_id):
            _fill(book, item.account_id)
        available = purse.available if purse else 0
        if available < item.amount_paise:
            answers.append(InsufficientBalance(needed_paise=item.amount_paise, available_paise=Paise(available)))
            continue
        book.post(
            "hold", "order", _cause(item.order_id, item.purpose),
            (item.account_id, "available", -item.amount_paise), (item.account_id, "held", item.amount_paise),
        )  # fmt: skip
        held.append(item)
        answers.append(None)
    if held:
        await sql.insert_holds(tx, held)
        await book.write(tx)
    return answers


async def has_hold(tx: Tx, *, order_id: int, purpose: str) -> bool:
    """Tell whether money was ever set aside for this, whatever became of it. The caller has locked the order."""
    return await sql.lock_hold(tx, order_id, purpose) is not None


async def capture(tx: Tx, order_ids: Iterable[int], *, purpose: str | None = None) -> Mapping[int, Paise]:
    """Take the money of all live holds of some orders as revenue; play money goes back to where it came from.

    Args:
        purpose: only that hold; without one all but those that end by themselves, see `PROLONGING`.

    Returns:
        Paise captured by order; an order whose holds had ended before is absent.
    """
    return await _end(tx, order_ids, "captured", purpose)


async def void(tx: Tx, order_ids: Iterable[int], *, purpose: str | None = None) -> Mapping[int, Paise]:
    """Give the money of all live holds of some orders back.

    Args:
        purpose: as in `capture`.

    Returns:
        Paise given back by order; an order whose holds had ended before is absent.
    """
    return await _end(tx, order_ids, "voided", purpose)


async def _end(tx: Tx, order_ids: Iterable[int], state: HoldState, purpose: str | None) -> Mapping[int, Paise]:
    holds = await sql.lock_live_holds(tx, sorted(set(order_ids)), purpose=purpose)
    if not holds:
        return {}
    book = await open_book(tx, (item.account_id for item in holds))
    ended: dict[int, Paise] = {}
    for item in holds:
        cause = _cause(item.order_id, item.purpose)
        give_back: tuple[AccountId | None, Bucket, int] = (item.account_id, "available", item.amount_paise)
        earn: tuple[AccountId | None, Bucket, int] = (None, _earned_by(item.account_id), item.amount_paise)
        book.post(
            "capture" if state == "captured" else "void", "order", cause,
            (item.account_id, "held", -item.amount_paise), earn if state == "captured" else give_back,
        )  # fmt: skip
        ended[item.order_id] = Paise(ended.get(item.order_id, 0) + item.amount_paise)
    moved = await sql.set_holds_ended(tx, holds, state)
    assert moved == len(holds), "a locked live hold did not end"
    await book.write(tx)
    return ended


def _earned_by(account_id: AccountId) -> Bucket:
    return "sandbox" if is_sandbox(account_id) else "revenue"


async def credit(tx: Tx, items: Sequence[Credit]) -> list[bool]:
    """Put money into wallets, once per cause for ever.

    Returns:
        For each item True, or False when its cause had its effect before.

    Raises:
        NotFound: an account has no wallet, or none for money of this kind; nothing was written.
    """
    book = await open_book(tx, (item.account_id for item in items))
    known = await sql.list_known_causes(tx, list({item.kind for item in items}), [item.cause for item in items])
    answers = []
    for item in items:
        if item.account_id not in book.purses or is_sandbox(item.account_id) != (item.kind == "play_money"):
            raise NotFound(what="wallet")
        is_new = (item.kind, item.cause) not in known
        if is_new:
            known.add((item.kind, item.cause))
            cause_type: CauseType = "credit" if item.kind in ("admin_credit", "play_money") else "recharge"
            book.post(
                item.kind, cause_type, item.cause,
                (None, _source(item), -item.amount_paise), (item.account_id, "available", item.amount_paise),
            )  # fmt: skip
        answers.append(is_new)
    await book.write(tx)
    return answers


def _source(item: Credit) -> Bucket:
    match item.kind:
        case "admin_credit":
            return "adjustments"
        case "assign":
            return "suspense"
        case "play_money":
            return "sandbox"
        case "recharge" | "pay_back_failed":
            return item.through


async def suspend(tx: Tx, items: Sequence[Unowned]) -> list[bool]:
    """Write down money that came in and belongs to nobody yet, once per cause for ever.

    Returns:
        For each item True, or False when its cause had its effect before.
    """
    book = Book({})
    known = await sql.list_known_causes(tx, ["suspend"], [item.cause for item in items])
    answers = []
    for item in items:
        is_new = ("suspend", item.cause) not in known
        if is_new:
            known.add(("suspend", item.cause))
            book.post(
                "suspend", "recharge", item.cause,
                (None, item.through, -item.amount_paise), (None, "suspense", item.amount_paise),
            )  # fmt: skip
        answers.append(is_new)
    await book.write(tx)
    return answers


async def pay_back(
    tx: Tx, account_id: AccountId | None, *, amount_paise: Paise, cause: str, may_fall_short: bool = False
) -> Paise:
    """Take money that goes back to its payer out of a wallet, or out of suspense when it was nobody's.

    Args:
        cause: names the way back, once for ever.
        may_fall_short: the money is gone already, so what the wallet lacks is written to suspense as owed to us.

    Returns:
        Paise that the wallet lacked.

    Raises:
        InsufficientBalance: the wallet has less and `may_fall_short` is false; nothing was written.
    """
    if await sql.list_known_causes(tx, ["pay_back"], [cause]):
        return Paise(0)
    book = await open_book(tx, [] if account_id is None else [account_id])
    available = 0 if account_id is None else book.purses[account_id].available
    taken = min(available, amount_paise)
    missing = Paise(amount_paise - taken)
    if account_id is not None and missing and not may_fall_short:
        raise InsufficientBalance(needed_paise=amount_paise, available_paise=Paise(available))
    moves: list[tuple[AccountId | None, Bucket, int]] = [(None, "clearing", amount_paise)]
    moves += [(account_id, "available", -taken)] if taken else []
    moves += [(None, "suspense", -missing)] if missing else []
    book.post("pay_back", "recharge", cause, *moves)
    await book.write(tx)
    return Paise(0) if account_id is None else missing


async def return_to_suspense(tx: Tx, *, amount_paise: Paise, cause: str) -> None:
    """Put money of nobody's, which could not go back to its payer, into suspense again, once per cause for ever."""
    if await sql.list_known_causes(tx, ["pay_back_failed"], [cause]):
        return
    book = Book({})
    book.post("pay_back_failed", "recharge", cause, (None, "clearing", -amount_paise), (None, "suspense", amount_paise))
    await book.write(tx)


async def refund(tx: Tx, *, order_id: int, purpose: str) -> Hold:
    """Give a captured payment back. The amount is the hold's, never the caller's.

    Raises:
        NothingToRefund: no such hold, not captured, or refunded before.
    """
    item = await sql.lock_hold(tx, order_id, purpose)
    if item is None or item.state != "captured":
        raise NothingToRefund(order_id=order_id)
    book = await open_book(tx, [item.account_id])
    cause = _cause(order_id, purpose)
    if await sql.list_known_causes(tx, ["refund"], [cause]):
        raise NothingToRefund(order_id=order_id)
    book.post(
        "refund", "order", cause,
        (None, _earned_by(item.account_id), -item.amount_paise), (item.account_id, "available", item.amount_paise),
    )  # fmt: skip
    await book.write(tx)
    return item


async def refund_order(tx: Tx, order_id: int) -> Paise:
    """Give all captured payments of an order back, those for more time included; returns paise.

    The caller has locked the order.

    Raises:
        NothingToRefund: nothing was captured, or all of it was refunded before.
    """
    captured = [item for item in await sql.list_holds(tx, [order_id]) if item.state == "captured"]
    causes = [_cause(order_id, item.purpose) for item in captured]
    known = {cause for _, cause in await sql.list_known_causes(tx, ["refund"], causes)}
    fresh = [item for item in captured if _cause(order_id, item.purpose) not in known]
    if not fresh:
        raise NothingToRefund(order_id=order_id)
    total = 0
    for item in sorted(fresh, key=lambda hold: hold.purpose):
        total += (await refund(tx, order_id=order_id, purpose=item.purpose)).amount_paise
    return Paise(total)


async def given_back(tx: Tx, order_ids: Sequence[int]) -> dict[int, dict[str, Paise]]:
    """Return what voided holds gave back, by order and purpose."""
    return await _of_state(tx, order_ids, "voided")


async def captured(tx: Tx, order_ids: Sequence[int]) -> dict[int, dict[str, Paise]]:
    """Return what captured holds took, by order and purpose, whether or not it was refunded later."""
    return await _of_state(tx, order_ids, "captured")


async def _of_state(tx: Tx, order_ids: Sequence[int], state: HoldState) -> dict[int, dict[str, Paise]]:
    found: dict[int, dict[str, Paise]] = defaultdict(dict)
    for item in await sql.list_holds(tx, order_ids):
        if item.state == state:
            found[item.order_id][item.purpose] = item.amount_paise
    return found


def _cause(order_id: int, purpose: str) -> str:
    return f"{order_id}:{purpose}"
