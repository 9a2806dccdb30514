"""What customers call: beginning a recharge, proving it, reading what became of it."""

from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from msgspec import Meta, Struct

from numberdesk.accounts.service import refuse_spending
from numberdesk.base.calls import Asked, Call
from numberdesk.base.db import Database
from numberdesk.base.described import QueryId
from numberdesk.base.errors import InvalidFields
from numberdesk.base.money import format_rupees
from numberdesk.base.web import ACCESS, Items, Ok, amount_in, encode, page
from numberdesk.payments import service
from numberdesk.payments.model import Method, ShownStatus
from numberdesk.payments.routes._views import (
    EventView,
    PageView,
    PayView,
    RechargeView,
    TronView,
    UpiView,
    event_view,
    pay_view,
    recharge_view,
)
from numberdesk.payments.service import Till
from numberdesk.wallet.model import AccountId

Ref = Annotated[str, Meta(pattern="^RC[0-9A-Z]{26}$")]
Typed = Annotated[str, Meta(min_length=1, max_length=200)]


class Initiate(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """A recharge to begin: rupees, as text or as a number with at most two decimals."""

    method: Method
    amount: str | float


class PayByUpi(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """An open recharge to pay, or an amount to begin one with."""

    transaction_id: Ref | None = None
    amount: str | float | None = None


class PayOnTron(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """An open recharge to pay, or an amount to begin one with."""

    transaction_id: Ref | None = None
    amount: str | float | None = None
    asset: Literal["trx", "usdt"] = "trx"


class VerifyUpi(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """The bank's number of a payment: the UTR, 12 digits."""

    transaction_id: Ref
    utr: Typed
    payer_vpa: Typed | None = None


class VerifyTron(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """The id (hash) of a transaction on TRON."""

    transaction_id: Ref
    txid: Typed


class InitiatedView(Struct, rename="camel", frozen=True):
    """A recharge that was begun, and how to pay it."""

    transaction_id: str
    status: ShownStatus
    method: Method
    amount: str
    expires_at: datetime | None
    pay: PayView | None


class ClaimedView(Struct, rename="camel", frozen=True):
    """What became of a claim at once. By itself it never credits."""

    outcome: str
    recharge: RechargeView


class StatusView(Struct, rename="camel", frozen=True):
    """A recharge with its time line."""

    recharge: RechargeView
    timeline: list[EventView]
    pay: PayView | None


class VerifiedView(Struct, rename="camel", frozen=True):
    """A recharge as it was last verified."""

    recharge: RechargeView
    is_being_checked: bool
    """Whether a fresh look at gateway or chain was asked for just now."""


class MethodView(Struct, rename="camel", frozen=True):
    """A way to pay."""

    method: Method
    via: str
    is_open: bool
    reason: str | None
    minimum: str
    maximum: str
    currency: Literal["INR"] = "INR"


def calls(till: Any) -> list[Call[Any]]:
    """Return the calls of this slice; without a till they can only be described."""
    return [
        Call(
            path="/recharge/initiate", body=Initiate, access="recharge", is_repeatable=True,
            run=partial(_initiate, till), answer=InitiatedView, summary="Begin a recharge",
            description="Begin a recharge and learn how to pay it. Pay exactly `pay.amount`: it tells who paid.",
        ),
        Call(
            path="/payment/upi", body=PayByUpi, access="recharge", is_repeatable=True, run=partial(_pay_upi, till),
            answer=UpiView | PageView, summary="Pay by UPI",
            description="Show how an open recharge is paid by UPI, or begin one.",
        ),
        Call(
            path="/payment/tron", body=PayOnTron, access="recharge", is_repeatable=True, run=partial(_pay_tron, till),
            answer=TronView, summary="Pay by TRX or USDT",
            description="Show how an open recharge is paid on TRON, or begin one. The rate holds until it expires.",
        ),
        Call(
            path="/payment/verify-upi", body=VerifyUpi, access="recharge", run=partial(_verify_upi, till),
            answer=ClaimedView, summary="Claim a UPI payment",
            description="Say which UTR paid a recharge. It is credited when the bank's own records show it.",
        ),
        Call(
            path="/payment/verify-tron", body=VerifyTron, access="recharge", run=partial(_verify_tron, till),
            answer=ClaimedView, summary="Claim a payment on TRON",
            description="Ask for a look at a transaction. It is credited when it is final and came to your address.",
        ),
    ]  # fmt: skip


async def _initiate(till: Till, asked: Asked, data: Initiate) -> bytes:
    refuse_spending(asked.caller)
    shown = await service.begin(
        till, account_id=asked.caller.account_id, method=data.method, amount_paise=amount_in(data.amount),
        request_key=asked.once,
    )  # fmt: skip
    recharge = recharge_view(shown.recharge)
    return encode(
        InitiatedView(
            recharge.transaction_id, recharge.status, recharge.method, recharge.amount, recharge.expires_at,
            pay_view(shown),
        )
    )  # fmt: skip


async def _pay_upi(till: Till, asked: Asked, data: PayByUpi) -> bytes:
    return encode(pay_view(await _page(till, asked, "upi", data.transaction_id, data.amount)))


async def _pay_tron(till: Till, asked: Asked, data: PayOnTron) -> bytes:
    return encode(pay_view(await _page(till, asked, data.asset, data.transaction_id, data.amount)))


async def _page(till: Till, asked: Asked, method: Method, ref: str | None, amount: str | float | None) -> service.Shown:
    account_id: AccountId = asked.caller.account_id
    if (ref is None) == (amount is None):
        raise InvalidFields({"transactionId": "or amount must be given, and not both"})
    if ref is not None:
        return await service.pay_page(till, account_id=account_id, ref=ref, method=method)
    refuse_spending(asked.caller)
    assert amount is not None
    return await service.begin(
        till, account_id=account_id, method=method, amount_paise=amount_in(amount), request_key=asked.once
    )


async def _verify_upi(till: Till, asked: Asked, data: VerifyUpi) -> bytes:
    claimed = await service.claim_utr(
        till, account_id=asked.caller.account_id, ref=data.transaction_id, utr=data.utr, payer_vpa=data.payer_vpa
    )
    return encode(ClaimedView(claimed.outcome, recharge_view(claimed.recharge)))


async def _verify_tron(till: Till, asked: Asked, data: VerifyTron) -> bytes:
    recharge, seen = await service.claim_txid(
        till, account_id=asked.caller.account_id, ref=data.transaction_id, txid=data.txid
    )
    return encode(ClaimedView(seen, recharge_view(recharge)))


@get("/payment/methods", summary="List ways to pay", opt={ACCESS: "read"})
async def methods(till: NamedDependency[Till]) -> Ok[list[MethodView]]:
    """List ways to pay with their limits: open, or closed and why."""
    low, high = format_rupees(till.rules.min_paise), format_rupees(till.rules.max_paise)
    return Ok(
        data=[
            MethodView(item.method, item.via, item.reason is None, item.reason, low, high)
            for item in await service.methods(till)
        ]
    )


@get("/recharge/history", summary="List recharges, newest first", opt={ACCESS: "read"})
async def recharge_history(
    reader: NamedDependency[AccountId],
    db: NamedDependency[Database],
    in_status: Annotated[ShownStatus | None, QueryParameter(name="status")] = None,
    cursor: QueryId = None,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 50,
) -> Ok[Items[RechargeView]]:
    """List the caller's recharges, newest first."""
    found = await service.history(db, account_id=reader, status=in_status, cursor=cursor, limit=limit)
    return page(found, recharge_view, limit=limit)


@get("/recharge/verify/{transaction_id:str}", summary="Read a recharge as last verified", opt={ACCESS: "read"})
async def verify(
    transaction_id: FromPath[str], reader: NamedDependency[AccountId], till: NamedDependency[Till]
) -> Ok[VerifiedView]:
    """Read a recharge; moves no money. The worker is asked for a fresh look, at most every ten seconds."""
    recharge = await service.find(till.db, account_id=reader, ref=transaction_id)
    is_checked = await service.ask_for_look(till, recharge)
    return Ok(data=VerifiedView(recharge_view(recharge), is_checked))


@get("/recharge/status/{transaction_id:str}", summary="Read a recharge with its time line", opt={ACCESS: "read"})
async def status(
    transaction_id: FromPath[str], reader: NamedDependency[AccountId], till: NamedDependency[Till]
) -> Ok[StatusView]:
    """Read every step of a recharge, and how to pay it while it is open."""
    recharge = await service.find(till.db, account_id=reader, ref=transaction_id)
    events = await service.time_line(till.db, recharge)
    pay = None if recharge.status == "created" else pay_view(await service.show(till, recharge))
    return Ok(data=StatusView(recharge_view(recharge), [event_view(item) for item in events], pay))
