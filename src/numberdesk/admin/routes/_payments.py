"""What staff call about money coming in: the review queue, suspense, refunds, statements, rates and reports."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from functools import partial
from typing import Annotated, Any, Literal

from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from msgspec import Meta, Struct

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import Caller
from numberdesk.accounts.service import People
from numberdesk.admin.routes._payment_views import (
    ComparisonView,
    PaymentView,
    QueueView,
    RechargeDetail,
    RefundView,
    StatementView,
    TotalView,
    comparison_view,
    payment_view,
    queue_view,
    recharge_detail,
    refund_view,
    statement_view,
    total_view,
)
from numberdesk.admin.routes._reads import note_read
from numberdesk.base import clock
from numberdesk.base.calls import ID_MAX, Asked, Call, number_in_path
from numberdesk.base.described import QueryId
from numberdesk.base.errors import InvalidFields
from numberdesk.base.money import format_rupees
from numberdesk.base.visit import Visit
from numberdesk.base.web import ACCESS, Items, Ok, amount_in, encode, page, raw_body
from numberdesk.payments import service
from numberdesk.payments.model import BankCreditId, PaymentId, PaymentState, Recharge, RechargeStatus
from numberdesk.payments.service import Till
from numberdesk.wallet.model import AccountId

Note = Annotated[str, Meta(min_length=3, max_length=200)]
Totp = Annotated[str, Meta(min_length=1, max_length=64)]
Ref = Annotated[str, Meta(pattern="^RC[0-9A-Z]{26}$")]
Version = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Id = Annotated[int, Meta(ge=1, le=ID_MAX)]
PLACES = Decimal("0.00000001")


class Approve(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """That a recharge was paid: how much, by which UTR, and a fresh code of the second factor."""

    transaction_id: Ref
    version: Version
    amount: str | float
    note: Note
    totp: Totp
    utr: str | None = None


class Reject(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """That a claim is not proven, and why."""

    transaction_id: Ref
    version: Version
    reason: service.RejectReason
    note: Note


class Ask(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """A question to the customer."""

    transaction_id: Ref
    version: Version
    question: Annotated[str, Meta(min_length=3, max_length=500)]


class Assign(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """Whose money it is: an account, or a recharge of one."""

    payment_id: Id
    version: Version
    note: Note
    totp: Totp
    account_id: Id | None = None
    transaction_id: Ref | None = None


class Attach(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """Which recharge a credit of the bank was paid for."""

    credit_id: Id
    version: Version
    transaction_id: Ref
    note: Note
    totp: Totp


class Ignore(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """That a credit of the bank is no money of this service."""

    credit_id: Id
    version: Version
    note: Note


class Refund(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """How much of a payment goes back through its gateway, and why."""

    version: Version
    amount: str | float
    reason: Note
    totp: Totp


class FixRate(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """What a unit is worth when no source says; null takes it back."""

    asset: Literal["trx", "usdt"]
    rupees_per_unit: str | None
    hours: Annotated[int, Meta(ge=1, le=168)]
    totp: Totp


class DecisionView(Struct, rename="camel", frozen=True):
    """What a decision led to; `one_more_person` waits for somebody else's."""

    outcome: str
    amount: str
    transaction_id: str | None
    version: int | None


class RateView(Struct, rename="camel", frozen=True):
    """A rate that was fixed, or taken back."""

    asset: str
    rupees_per_unit: str | None


class ReportView(Struct, rename="camel", frozen=True):
    """What came in, and how it compares with what gateways, bank and chain say."""

    totals: list[TotalView]
    comparisons: list[ComparisonView]


MOVES_MONEY = (Approve, Assign, Attach, Refund)
PaidVerb = Callable[..., Awaitable[service.Decision]]
"""`approve` or `park`: both say that money came in."""


def calls(people: Any, till: Any) -> list[Call[Any]]:
    """Return the calls of staff about payments; without what they work with they can only be described."""

    def call(path: str, body: type[Struct], run: Any, answer: Any, summary: str, description: str) -> Call[Any]:
        return Call(
            path=path, body=body, access="admin:finance", run=partial(run, people, till), answer=answer,
            summary=summary, description=description, is_repeatable=body in MOVES_MONEY,
        )  # fmt: skip

    review, needs = "/admin/review/", " Needs a fresh code; above a limit two people must say the same."
    return [
        call(f"{review}approve", Approve, partial(_say_paid, service.approve), DecisionView, "Approve a payment",
             "Say that a recharge was paid, as the bank's own records show." + needs),
        call(f"{review}reject", Reject, _reject, DecisionView, "Reject a claim",
             "Say that a claim is not proven. Money that is proven later is credited all the same."),
        call(f"{review}ask", Ask, _ask, DecisionView, "Ask a customer", "Ask about a claim, by mail."),
        call(f"{review}suspense", Approve, partial(_say_paid, service.park), DecisionView,
             "Put a payment into suspense", "Say that money came in but is not this recharge's. Needs a fresh code."),
        call(f"{review}assign", Assign, _assign, DecisionView, "Assign money of nobody's",
             "Give money in suspense to whom it belongs." + needs),
        call(f"{review}attach", Attach, _attach, DecisionView, "Attach a bank credit",
             "Say which recharge a credit on the bank's statement was paid for." + needs),
        call(f"{review}ignore", Ignore, _ignore, DecisionView, "Ignore a bank credit",
             "Say that a credit on the bank's statement is no money of this service."),
        call("/admin/payments/{id}/refund", Refund, _refund, RefundView, "Refund a payment",
             "Send money back to its payer through its gateway. Needs a fresh code; above a limit it waits until"
             " somebody else agrees."),
        call("/admin/rates", FixRate, _fix_rate, RateView, "Fix a rate",
             "Fix what TRX or USDT is worth when no source says. Needs a fresh code."),
    ]  # fmt: skip


async def _say_paid(verb: PaidVerb, people: People, till: Till, asked: Asked, data: Approve) -> bytes:
    amount = amount_in(data.amount)
    await accounts.prove_again(people, asked.caller, asked.visit, data.totp)
    return _told(
        await verb(
            till, caller=asked.caller, visit=asked.visit, ref=data.transaction_id, version=data.version,
            amount_paise=amount, utr=data.utr, note=data.note,
        )
    )  # fmt: skip


async def _reject(_people: People, till: Till, asked: Asked, data: Reject) -> bytes:
    return _told(
        await service.reject(
            till, caller=asked.caller, visit=asked.visit, ref=data.transaction_id, version=data.version,
            reason=data.reason, note=data.note,
        )
    )  # fmt: skip


async def _ask(_people: People, till: Till, asked: Asked, data: Ask) -> bytes:
    return _told(
        await service.ask(
            till, caller=asked.caller, visit=asked.visit, ref=data.transaction_id, version=data.version,
            question=data.question,
        )
    )  # fmt: skip


async def _assign(people: People, till: Till, asked: Asked, data: Assign) -> bytes:
    if (data.account_id is None) == (data.transaction_id is None):
        raise InvalidFields({"accountId": "or transactionId must be given, and not both"})
    await accounts.prove_again(people, asked.caller, asked.visit, data.totp)
    return _told(
        await service.assign(
            till, caller=asked.caller, visit=asked.visit, payment_id=PaymentId(data.payment_id), version=data.version,
            account_id=None if data.account_id is None else AccountId(data.account_id), ref=data.transaction_id,
            note=data.note,
        )
    )  # fmt: skip


async def _attach(people: People, till: Till, asked: Asked, data: Attach) -> bytes:
    await accounts.prove_again(people, asked.caller, asked.visit, data.totp)
    return _told(
        await service.attach(
            till, caller=asked.caller, visit=asked.visit, credit_id=BankCreditId(data.credit_id),
            version=data.version, ref=data.transaction_id, note=data.note,
        )
    )  # fmt: skip


async def _ignore(_people: People, till: Till, asked: Asked, data: Ignore) -> bytes:
    return _told(
        await service.ignore(
            till, caller=asked.caller, visit=asked.visit, credit_id=BankCreditId(data.credit_id),
            version=data.version, note=data.note,
        )
    )  # fmt: skip


def _told(decision: service.Decision) -> bytes:
    recharge: Recharge | None = decision.recharge
    return encode(
        DecisionView(
            decision.outcome, format_rupees(decision.amount_paise), None if recharge is None else recharge.ref,
            None if recharge is None else recharge.version,
        )
    )  # fmt: skip


async def _refund(people: People, till: Till, asked: Asked, data: Refund) -> bytes:
    amount = amount_in(data.amount)
    await accounts.prove_again(people, asked.caller, asked.visit, data.totp)
    row = await service.refund(
        till, caller=asked.caller, visit=asked.visit, payment_id=PaymentId(asked.id), version=data.version,
        amount_paise=amount, reason=data.reason,
    )  # fmt: skip
    return encode(refund_view(row))


async def _fix_rate(people: People, till: Till, asked: Asked, data: FixRate) -> bytes:
    rate = None if data.rupees_per_unit is None else _rate(data.rupees_per_unit)
    caller: Caller = asked.caller
    visit: Visit = asked.visit
    await accounts.prove_again(people, caller, visit, data.totp)
    await service.fix_rate(
        till, data.asset, paise_per_unit=rate, lasting=timedelta(hours=data.hours), caller=caller, visit=visit
    )
    return encode(RateView(data.asset, data.rupees_per_unit))


def _rate(text: str) -> Decimal:
    cleaned = text.strip()
    is_plain = len(cleaned) <= 20 and cleaned.replace(".", "", 1).isdigit() and cleaned.isascii()
    rate = (Decimal(cleaned) * 100).quantize(PLACES, ROUND_DOWN) if is_plain else Decimal(0)
    if not 0 < rate < Decimal(10) ** 9:
        raise InvalidFields({"rupeesPerUnit": 'must be rupees for one unit, such as "28.41"'})
    return rate


@get("/admin/review", summary="Read the review queue", opt={ACCESS: "admin:support"})
async def read_queue(till: NamedDependency[Till]) -> Ok[QueueView]:
    """Read everything that waits for a person, longest waiting first."""
    return Ok(data=queue_view(await service.queue(till), now=clock.now()))


@get("/admin/recharges", summary="List recharges, newest first", opt={ACCESS: "admin:support"})
async def list_recharges(
    till: NamedDependency[Till],
    account: QueryId = None,
    in_status: Annotated[RechargeStatus | None, QueryParameter(name="status")] = None,
    cursor: QueryId = None,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 50,
) -> Ok[Items[RechargeDetail]]:
    """List recharges of everybody, or of one account."""
    found = await service.list_recharges(
        till.db,
        account_id=None if account is None else AccountId(account),
        status=in_status,
        cursor=cursor,
        limit=limit,
    )
    following = str(found[-1].id) if len(found) == limit else None
    return Ok(data=Items([recharge_detail(item, [], []) for item in found], following))


@get("/admin/recharges/{transaction_id:str}", summary="Read a recharge", opt={ACCESS: "admin:support"})
async def read_recharge(
    request: Request[Any, Any, Any],
    transaction_id: FromPath[str],
    till: NamedDependency[Till],
    caller: NamedDependency[Caller],
) -> Ok[RechargeDetail]:
    """Read a recharge with its time line and its payments."""
    recharge = await service.find(till.db, account_id=None, ref=transaction_id)
    await note_read(till.db, caller, request, "recharge", recharge.account_id, transaction=recharge.ref)
    events = await service.time_line(till.db, recharge)
    return Ok(data=recharge_detail(recharge, events, await service.payments_of(till.db, recharge)))


@get("/admin/payments", summary="List payments from outside, newest first", opt={ACCESS: "admin:support"})
async def list_payments(
    till: NamedDependency[Till],
    q: Annotated[str | None, QueryParameter(max_length=80)] = None,
    account: QueryId = None,
    in_state: Annotated[PaymentState | None, QueryParameter(name="state")] = None,
    cursor: QueryId = None,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 50,
) -> Ok[Items[PaymentView]]:
    """List payments; `q` is a UTR, a transaction's id at its gateway or on its chain, or a recharge."""
    found = await service.list_payments(
        till.db, state=in_state, account_id=None if account is None else AccountId(account), words=q, cursor=cursor,
        limit=limit,
    )  # fmt: skip
    return page(found, payment_view, limit=limit)


@post(
    "/admin/statements", summary="Import a bank's statement", opt={ACCESS: "admin:finance"}, status_code=200,
    request_max_body_size=service.STATEMENT_MAX + 1,
)  # fmt: skip
async def import_statement(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    till: NamedDependency[Till],
    vpa: Annotated[str | None, QueryParameter(max_length=255)] = None,
    profile: Annotated[str | None, QueryParameter(max_length=40)] = None,
    name: Annotated[str, QueryParameter(max_length=80)] = "statement.csv",
) -> Ok[StatementView]:
    """Take a CSV file as the body. A pass reads it; its progress is told by its id. The same file is taken once."""
    address = await service.find_vpa(till, vpa)
    found, _ = await service.take_statement(
        till, vpa=address, raw=await raw_body(request), name=name, profile=profile, by=caller.account_id
    )
    return Ok(data=statement_view(found))


@get("/admin/statements/{id:str}", summary="Read an import", opt={ACCESS: "admin:support"})
async def read_statement(
    id: FromPath[str],  # noqa: A002 - the name in the path
    till: NamedDependency[Till],
) -> Ok[StatementView]:
    """Read how far a statement was read, and which of its rows could not be."""
    return Ok(data=statement_view(await service.read_statement(till, number_in_path(id, what="statement"))))


@get("/admin/payments/report", summary="Compare with gateway, bank and chain", opt={ACCESS: "admin:support"})
async def report(
    till: NamedDependency[Till], days: Annotated[int, QueryParameter(ge=1, le=400)] = 30
) -> Ok[ReportView]:
    """Read what came in by day, rail and state, and the newest comparisons with the outside."""
    now: datetime = clock.now()
    totals = await service.totals(till.db, since=now - timedelta(days=days), until=now)
    found = await service.comparisons(till.db)
    return Ok(data=ReportView([total_view(item) for item in totals], [comparison_view(item) for item in found]))


HANDLERS = [
    read_queue, list_recharges, read_recharge, list_payments, import_statement, read_statement, report,
]  # fmt: skip
