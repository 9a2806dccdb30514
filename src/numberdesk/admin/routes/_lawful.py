"""What staff call about lawful requests: write one down, decide about another's, read what may be told."""

from datetime import datetime
from functools import partial
from typing import Annotated, Any

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import Meta, Struct

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import StaffNews
from numberdesk.accounts.service import People
from numberdesk.admin.routes._conduct import HolderView, Reason, holder_view
from numberdesk.audit import service as audit
from numberdesk.base.calls import Asked, Call
from numberdesk.base.db import Database
from numberdesk.base.described import QueryId
from numberdesk.base.web import ACCESS, Items, Ok, encode, page, rfc3339
from numberdesk.conduct import service as conduct
from numberdesk.conduct.model import LawfulId, LawfulRequest

Moment = Annotated[datetime, Meta(tz=True)]
Text = Annotated[str, Meta(min_length=2, max_length=120)]


class AskLawfully(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """Who asks in which case, for which number in which time: without its end; equal ends are a moment."""

    case_number: Text
    authority: Text
    number: Annotated[str, Meta(min_length=5, max_length=24)]
    starts_at: Moment
    ends_at: Moment
    reason: Reason


class DecideLawfully(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """Yes or no, why, and a fresh code of the second factor."""

    approve: bool
    reason: Reason
    totp: Annotated[str, Meta(min_length=1, max_length=64)]


class ExportLawfully(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """What the export is for, and a fresh code of the second factor."""

    reason: Reason
    totp: Annotated[str, Meta(min_length=1, max_length=64)]


class LawfulView(Struct, rename="camel", frozen=True):
    """A lawful request and what became of it."""

    id: int
    case_number: str
    authority: str
    number: str
    starts_at: datetime | None
    ends_at: datetime | None
    reason: str
    state: str
    asked_by: int
    asked_at: datetime | None
    decided_by: int | None
    decided_at: datetime | None
    decision: str | None
    exports: int


class AddressView(Struct, rename="camel", frozen=True):
    """An address that an account was used from around the time asked for."""

    account_id: int
    ip: str
    first_seen_at: datetime | None
    last_seen_at: datetime | None
    last_login_at: datetime | None


class ExportView(Struct, rename="camel", frozen=True):
    """What is told. `isCut`: more orders match."""

    request: LawfulView
    holders: list[HolderView]
    addresses: list[AddressView]
    is_cut: bool


def calls(people: Any) -> list[Call[Any]]:
    """Return the calls of this part; without people they can only be described."""
    return [
        Call(
            path="/admin/lawful-requests", body=AskLawfully, access="admin:ops", run=partial(_ask, people),
            answer=LawfulView, summary="Write a lawful request down",
            description="Write down what an authority asks; another person decides about it.",
        ),
        Call(
            path="/admin/lawful-requests/{id}/decide", body=DecideLawfully, access="admin:owner",
            run=partial(_decide, people), answer=LawfulView, summary="Decide about a lawful request",
            description="Approve or refuse what somebody else wrote down. Needs a fresh code.",
        ),
        Call(
            path="/admin/lawful-requests/{id}/export", body=ExportLawfully, access="admin:ops",
            run=partial(_export, people), answer=ExportView, summary="Export what a lawful request asks for",
            description="Read who had the number in that time: orders and addresses, no messages. Needs a fresh code.",
        ),
    ]  # fmt: skip


async def _ask(people: People, asked: Asked, data: AskLawfully) -> bytes:
    async with people.db.transaction() as tx:
        found = await conduct.ask(
            tx, case_number=data.case_number, authority=data.authority, number=data.number, starts_at=data.starts_at,
            ends_at=data.ends_at, reason=data.reason, by=asked.caller.account_id,
        )  # fmt: skip
        event = accounts.done_by(
            asked.caller, asked.visit, "lawful_asked", request=found.id, case=found.case_number, number=found.number
        )
        await audit.record(tx, event)
        news = StaffNews(
            "A lawful request waits for a second person",
            {"Request": found.id, "Asked by": f"staff {found.asked_by}"},
            "/admin/lawful-requests", ("owner",), f"lawful:{found.id}", but_not=frozenset({found.asked_by}),
        )  # fmt: skip
        await accounts.tell_staff(tx, people.vault, news)
    return encode(_view(found))


async def _decide(people: People, asked: Asked, data: DecideLawfully) -> bytes:
    await accounts.prove_again(people, asked.caller, asked.visit, data.totp)
    async with people.db.transaction() as tx:
        found = await conduct.decide(
            tx, LawfulId(asked.id), approve=data.approve, by=asked.caller.account_id, decision=data.reason
        )
        event = accounts.done_by(
            asked.caller, asked.visit, f"lawful_{found.state}", request=found.id, case=found.case_number,
            reason=data.reason,
        )  # fmt: skip
        await audit.record(tx, event)
    return encode(_view(found))


async def _export(people: People, asked: Asked, data: ExportLawfully) -> bytes:
    await accounts.prove_again(people, asked.caller, asked.visit, data.totp)
    event = accounts.done_by(asked.caller, asked.visit, "lawful_exported", request=asked.id, reason=data.reason)
    found = await conduct.export(people.db, LawfulId(asked.id), event=event)
    addresses = [
        AddressView(
            item.account_id, item.ip, rfc3339(item.first_seen_at), rfc3339(item.last_seen_at),
            rfc3339(item.last_login_at),
        )
        for item in found.addresses
    ]  # fmt: skip
    holders = [holder_view(item) for item in found.holders]
    return encode(ExportView(_view(found.request), holders, addresses, found.is_cut))


def _view(item: LawfulRequest) -> LawfulView:
    return LawfulView(
        item.id, item.case_number, item.authority, item.number, rfc3339(item.starts_at), rfc3339(item.ends_at),
        item.reason, item.state, item.asked_by, rfc3339(item.asked_at), item.decided_by, rfc3339(item.decided_at),
        item.decision, item.exports,
    )  # fmt: skip


@get("/admin/lawful-requests", summary="List lawful requests, newest first", opt={ACCESS: "admin:ops"})
async def list_requests(
    db: NamedDependency[Database],
    cursor: QueryId = None,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 50,
) -> Ok[Items[LawfulView]]:
    """List what authorities asked, who decided, and how often it was exported."""
    found = await conduct.list_requests(db, cursor=cursor, limit=limit)
    return page(found, _view, limit=limit)


HANDLERS = (list_requests,)
