"""Money by hand: credits, debits and refunds of orders, and what waits for a second person."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Any, assert_never

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import Meta, Struct

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import Caller, MoneyAction, MoneyRequest, MoneyWanted, RequestId
from numberdesk.accounts.service import People
from numberdesk.audit import service as audit
from numberdesk.audit.model import Detail
from numberdesk.base.calls import Asked, Call
from numberdesk.base.db import Database, Tx
from numberdesk.base.described import QueryId
from numberdesk.base.errors import InvalidFields
from numberdesk.base.money import Paise, format_rupees
from numberdesk.base.web import ACCESS, Items, Ok, amount_in, encode, rfc3339
from numberdesk.notifications import service as notifications
from numberdesk.notifications.model import Notice, Value
from numberdesk.orders import service as orders
from numberdesk.orders.model import Card, OrderId
from numberdesk.orders.service import Desk
from numberdesk.payments import service as payments
from numberdesk.payments.service import Till
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import AccountId, Credit

AMOUNT_MAX = Paise(100_000_00)
"""What one credit or debit by hand may be at the most, in paise."""
Reason = Annotated[str, Meta(min_length=3, max_length=200)]
Totp = Annotated[str, Meta(min_length=1, max_length=64)]


@dataclass(frozen=True)
class Cashier:
    """What money by hand works with."""

    people: People
    till: Till
    desk: Desk


class CreditAccount(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """Money for an account, why, and a fresh code of the second factor."""

    amount: str | float
    reason: Reason
    totp: Totp


class DebitAccount(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """Money to take out of an account, why, and a fresh code of the second factor."""

    amount: str | float
    reason: Reason
    totp: Totp


class RefundOrder(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """Why all that was paid for an order goes back, and a fresh code of the second factor."""

    reason: Reason
    totp: Totp


class AgreeToMoney(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """A fresh code of the second factor of whoever agrees."""

    totp: Totp


class RefuseMoney(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """Why it is not done."""

    reason: Reason


class MoneyView(Struct, rename="camel", frozen=True):
    """What somebody of the staff asked for; `available` is what the account has now, if it was done."""

    request_id: int
    action: str
    state: str
    """`waiting` for a second person, `done`, `refused`, or `over` when nobody agreed in time."""
    account_id: int | None
    subject_id: int | None
    amount: str
    reason: str
    asked_by: int
    asked_at: datetime | None
    decided_by: int | None
    decided_at: datetime | None
    available: str | None = None


def calls(people: Any, till: Any, desk: Any) -> list[Call[Any]]:
    """Return the calls of this part; without what they work with they can only be described."""
    cashier = Cashier(people, till, desk)

    def call(path: str, body: type[Struct], run: Any, summary: str, description: str) -> Call[Any]:
        return Call(
            path=path, body=body, access="admin:finance", run=partial(run, cashier), answer=MoneyView,
            summary=summary, description=description, is_repeatable=True,
        )  # fmt: skip

    needs = " Needs a fresh code; above a limit it waits until somebody else agrees."
    return [
        call("/admin/users/{id}/credit", CreditAccount, _credit, "Credit an account",
             "Credit a wallet from the operator's adjustments." + needs),
        call("/admin/users/{id}/debit", DebitAccount, _debit, "Debit an account",
             "Take available money out of a wallet; never more than there is." + needs),
        call("/admin/orders/{id}/refund", RefundOrder, _refund, "Refund an order",
             "Give back all that was paid for an order whose code came, once." + needs),
        call("/admin/requests/{id}/agree", AgreeToMoney, _agree, "Agree to a request",
             "Have done what somebody else asked for. Needs a fresh code."),
        call("/admin/requests/{id}/refuse", RefuseMoney, _refuse, "Refuse a request",
             "Refuse what somebody asked for, or take the own request back; nothing moves."),
    ]  # fmt: skip


async def _credit(cashier: Cashier, asked: Asked, data: CreditAccount) -> bytes:
    return await _by_hand(cashier, asked, "credit", data.amount, data.reason, data.totp)


async def _debit(cashier: Cashier, asked: Asked, data: DebitAccount) -> bytes:
    return await _by_hand(cashier, asked, "debit", data.amount, data.reason, data.totp)


async def _by_hand(
    cashier: Cashier, asked: Asked, action: MoneyAction, amount: str | float, reason: str, totp: str
) -> bytes:
    account_id, paise = AccountId(asked.id), amount_in(amount)
    if paise > AMOUNT_MAX:
        raise InvalidFields({"amount": f"must be at most {format_rupees(AMOUNT_MAX)} rupees"})
    await accounts.refuse_above(cashier.people.db, asked.caller, account_id)
    return await _asked_for(cashier, asked, MoneyWanted(action, account_id, paise, reason), totp)


async def _refund(cashier: Cashier, asked: Asked, data: RefundOrder) -> bytes:
    order = await orders.get_any(cashier.people.db, OrderId(asked.id))
    await accounts.refuse_above(cashier.people.db, asked.caller, order.account_id)
    known = await accounts.find_asked(cashier.people.db, asked.caller, asked.visit)
    if known is not None:
        if (known.action, known.subject_id) != ("order_refund", order.id):
            raise accounts.KeyReused
        return await _told(cashier, known)
    _, paise = await orders.refundable(cashier.people.db, order.id)
    wanted = MoneyWanted("order_refund", order.account_id, paise, data.reason, order.id)
    return await _asked_for(cashier, asked, wanted, data.totp)


async def _asked_for(cashier: Cashier, asked: Asked, wanted: MoneyWanted, totp: str) -> bytes:
    people = cashier.people
    known = await accounts.find_asked(people.db, asked.caller, asked.visit)
    if known is None:  # a repeat whose answer was lost shows the code that was used then
        await accounts.prove_again(people, asked.caller, asked.visit, totp)
    return await _told(cashier, await people.db.to_the_end(_write(cashier, asked, wanted)))


async def _write(cashier: Cashier, asked: Asked, wanted: MoneyWanted) -> MoneyRequest:
    people, card = cashier.people, None
    async with people.db.transaction() as tx:
        found = await accounts.ask_money(tx, people.vault, people.rules.staff, asked.caller, asked.visit, wanted)
        if found.is_due:
            card = await _carry_out(cashier, tx, asked, found.request)
    if card is not None:
        cashier.desk.show([card])
    return found.request


async def _agree(cashier: Cashier, asked: Asked, data: AgreeToMoney) -> bytes:
    people, request_id = cashier.people, RequestId(asked.id)
    caller: Caller = asked.caller
    request = await accounts.find_money_request(people.db, request_id)
    if request.state == "done" and request.decided_by == caller.account_id:
        return await _told(cashier, request)
    if request.account_id is not None:
        await accounts.refuse_above(people.db, caller, request.account_id)
    await accounts.prove_again(people, caller, asked.visit, data.totp)
    if request.action == "payment_refund":
        agreed = await payments.agree_to_refund(cashier.till, caller=caller, visit=asked.visit, request_id=request_id)
        return await _told(cashier, agreed.request)
    return await _told(cashier, await people.db.to_the_end(_write_agreed(cashier, asked, request_id)))


async def _write_agreed(cashier: Cashier, asked: Asked, request_id: RequestId) -> MoneyRequest:
    people, card = cashier.people, None
    async with people.db.transaction() as tx:
        agreed = await accounts.agree(tx, people.rules.staff, asked.caller, asked.visit, request_id)
        if agreed.is_due:
            card = await _carry_out(cashier, tx, asked, agreed.request)
    if card is not None:
        cashier.desk.show([card])
    return agreed.request


async def _refuse(cashier: Cashier, asked: Asked, data: RefuseMoney) -> bytes:
    work = accounts.refuse_money(cashier.people.db, asked.caller, asked.visit, RequestId(asked.id), reason=data.reason)
    return await _told(cashier, await cashier.people.db.to_the_end(work))


async def _carry_out(cashier: Cashier, tx: Tx, asked: Asked, request: MoneyRequest) -> Card | None:
    """Move the money of a request in the transaction that decides it; returns the card of a refunded order."""
    assert request.account_id is not None, "this money is somebody's"
    account_id, paise = request.account_id, request.amount_paise
    card = None
    match request.action:
        case "credit":
            before = (await wallet.lock_one(tx, account_id)).available_paise
            (is_new,) = await wallet.credit(tx, [Credit(account_id, paise, "admin_credit", request.cause)])
            assert is_new, "a request was carried out before it was decided"
            action = "credited"
        case "debit":
            before = (await wallet.lock_one(tx, account_id)).available_paise
            is_new = await wallet.debit(tx, account_id, amount_paise=paise, cause=request.cause)
            assert is_new, "a request was carried out before it was decided"
            action = "debited"
        case "order_refund":
            assert request.subject_id is not None, "it is an order that is refunded"
            card, refunded = await orders.refund(tx, OrderId(request.subject_id))
            if refunded != paise:
                raise accounts.RequestOver(state="about another amount than was paid")
            before = Paise((await wallet.lock_one(tx, account_id)).available_paise - paise)
            action = "order_refunded"
            await _mail(cashier.people, tx, account_id, card, paise)
        case "payment_refund" | "review":
            raise AssertionError("the till carries this out")
        case _:
            assert_never(request.action)
    after = (await wallet.lock_one(tx, account_id)).available_paise
    details: dict[str, Detail] = {
        "paise": int(paise), "reason": request.reason, "request": int(request.id), "cause": request.cause,
        "asked_by": int(request.asked_by), "available_before": int(before), "available_after": int(after),
    }  # fmt: skip
    if request.subject_id is not None:
        details["order"] = request.subject_id
    await audit.record(tx, accounts.done_by(asked.caller, asked.visit, action, to=account_id, **details))
    return card


async def _mail(people: People, tx: Tx, account_id: AccountId, card: Card, paise: Paise) -> None:
    person = (await accounts.recipients(tx, [account_id])).get(account_id)
    if person is None:
        return
    data: dict[str, Value] = {"name": person.name, "order": int(card.order.id), "amount": format_rupees(paise)}
    notice = Notice("order_refunded", person.email, data, f"order_refunded:{card.order.id}", account_id)
    await notifications.enqueue(tx, people.vault, [notice])


async def _told(cashier: Cashier, request: MoneyRequest) -> bytes:
    available = None
    if request.state == "done" and request.account_id is not None:
        available = format_rupees((await wallet.balance(cashier.people.db, request.account_id)).available_paise)
    return encode(_view(request, available))


def _view(item: MoneyRequest, available: str | None = None) -> MoneyView:
    return MoneyView(
        item.id, item.action, "over" if item.is_over else item.state, item.account_id, item.subject_id,
        format_rupees(item.amount_paise), item.reason, item.asked_by, rfc3339(item.asked_at), item.decided_by,
        rfc3339(item.decided_at), available,
    )  # fmt: skip


@get("/admin/requests", summary="List requests about money, newest first", opt={ACCESS: "admin:support"})
async def list_requests(
    db: NamedDependency[Database],
    waiting: Annotated[bool, QueryParameter()] = True,
    account: QueryId = None,
    cursor: QueryId = None,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 50,
) -> Ok[Items[MoneyView]]:
    """List what waits for a second person; with `waiting=false` everything that staff did with money by hand."""
    found = await accounts.list_money_requests(
        db, is_waiting=waiting, account_id=None if account is None else AccountId(account), cursor=cursor,
        limit=limit + 1,
    )  # fmt: skip
    following = str(found[limit - 1].id) if len(found) > limit else None
    return Ok(data=Items([_view(item) for item in found[:limit]], following))


HANDLERS = [list_requests]
