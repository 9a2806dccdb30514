"""What staff call about accounts: look at them, close and open them, credit them, read what happened."""

from datetime import datetime
from functools import partial
from typing import Annotated, Any

import msgspec
from litestar import Request, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from msgspec import Meta, Struct

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import Caller, Key, Note, Person, Role, SettableState
from numberdesk.accounts.service import People
from numberdesk.admin.routes._orders import StaffOrderView, order_view
from numberdesk.admin.routes._reads import note_read, refuse_odd_times, refuse_reversed
from numberdesk.audit import service as audit
from numberdesk.audit.model import Recorded
from numberdesk.base.calls import Asked, Call, number_in_path
from numberdesk.base.db import Database
from numberdesk.base.described import QueryId
from numberdesk.base.money import format_rupees
from numberdesk.base.web import ACCESS, Items, Ok, encode, page, rfc3339
from numberdesk.orders import service as orders
from numberdesk.orders.service import Wanted
from numberdesk.payments import service as payments
from numberdesk.payments.model import Line
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import AccountId

NEWEST = 20
"""So many lines and orders of an account are shown with it."""
Reason = Annotated[str, Meta(min_length=3, max_length=200)]


class ChangeState(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """What the account may do from now on, and why."""

    state: SettableState
    reason: Reason


class CloseAccount(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """Why the account is closed for good, and a fresh code of the second factor."""

    reason: Reason
    totp: Annotated[str, Meta(min_length=1, max_length=64)]


class ChangeRole(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """What the account may do as staff, and a fresh code of the second factor."""

    role: Role
    totp: Annotated[str, Meta(min_length=1, max_length=64)]


class AccountView(Struct, rename="camel", frozen=True):
    """An account as staff see it."""

    id: int
    email: str
    name: str
    state: str
    role: str
    email_verified: bool
    second_factor: bool
    created_at: datetime | None


class ChangeLimits(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """Requests a minute for this account; null is the setting's number, 0 is no limit."""

    api_per_minute: Annotated[int, Meta(ge=0, le=1_000_000)] | None


class WriteNote(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """Something that the staff should know about an account."""

    text: Annotated[str, Meta(min_length=1, max_length=2000)]


class NoteView(Struct, rename="camel", frozen=True):
    """What one of the staff wrote down; a note is never changed."""

    id: int
    author_id: int
    text: str
    at: datetime | None


class StaffKeyView(Struct, rename="camel", frozen=True):
    """A key of a customer, without its secret."""

    id: int
    name: str
    prefix: str
    scopes: list[str]
    mode: str
    created_at: datetime | None
    expires_at: datetime | None
    last_used_at: datetime | None
    last_used_ip: str | None


class StaffSessionView(Struct, rename="camel", frozen=True):
    """A device that a customer signed in with."""

    id: int
    created_at: datetime | None
    last_used_at: datetime | None
    ip: str
    user_agent: str


class UsedFromView(Struct, rename="camel", frozen=True):
    """An address that an account was used from."""

    ip: str
    first_seen_at: datetime | None
    last_seen_at: datetime | None


class StatementLineView(Struct, rename="camel", frozen=True):
    """A line of a customer's statement."""

    id: str
    type: str
    state: str
    amount: str
    balance_after: str | None
    order_id: int | None
    transaction_id: str | None
    at: datetime | None


class LimitsView(Struct, rename="camel", frozen=True):
    """What an account may do, where it is another number than everybody's."""

    api_per_minute: int | None


class AccountDetail(Struct, rename="camel", frozen=True):
    """An account with its money, what it did lately, and what the staff wrote down about it."""

    account: AccountView
    available: str
    held: str
    phone: str | None
    """Its last four digits."""
    limits: LimitsView
    statement: list[StatementLineView]
    orders: list[StaffOrderView]
    keys: list[StaffKeyView]
    sessions: list[StaffSessionView]
    used_from: list[UsedFromView]
    notes: list[NoteView]


class EventView(Struct, rename="camel", frozen=True):
    """Something that happened."""

    id: int
    at: datetime | None
    action: str
    actor_kind: str
    actor_id: int | None
    account_id: int | None
    ip: str | None
    request_id: str | None
    details: dict[str, str | int | bool | None]


def calls(people: Any) -> list[Call[Any]]:
    """Return the calls of this slice; without people they can only be described."""
    return [
        Call(
            path="/admin/users/{id}/state", body=ChangeState, access="admin:ops", run=partial(_set_state, people),
            answer=AccountView, summary="Freeze, ban or reopen an account",
            description="Change what an account may do; every process follows within a second.",
        ),
        Call(
            path="/admin/users/{id}/close", body=CloseAccount, access="admin:owner", run=partial(_close, people),
            answer=AccountView, summary="Close an account for good",
            description="Close an account in which nothing is left; no money moves, nothing opens it again. Needs a "
            "fresh code.",
        ),
        Call(
            path="/admin/users/{id}/role", body=ChangeRole, access="admin:owner", run=partial(_set_role, people),
            answer=AccountView, summary="Change a role",
            description="Change what an account may do as staff; its sessions end. Needs a fresh code.",
        ),
        Call(
            path="/admin/users/{id}/limits", body=ChangeLimits, access="admin:ops", run=partial(_set_limits, people),
            answer=LimitsView, summary="Change limits",
            description="Give an account a request limit of its own; every process follows within a second.",
        ),
        Call(
            path="/admin/users/{id}/notes", body=WriteNote, access="admin:support", run=partial(_add_note, people),
            answer=NoteView, summary="Write a note",
            description="Append a note to an account, for the staff only; it is never changed.",
        ),
    ]  # fmt: skip


async def _set_limits(people: People, asked: Asked, data: ChangeLimits) -> bytes:
    account_id = AccountId(asked.id)
    await accounts.refuse_above(people.db, asked.caller, account_id)
    await accounts.set_limits(
        people.db, account_id, api_per_minute=data.api_per_minute, by=asked.caller, visit=asked.visit
    )
    return encode(LimitsView(data.api_per_minute))


async def _add_note(people: People, asked: Asked, data: WriteNote) -> bytes:
    account_id = AccountId(asked.id)
    await accounts.refuse_above(people.db, asked.caller, account_id)
    note = await accounts.add_note(people.db, account_id, text=data.text, by=asked.caller, visit=asked.visit)
    return encode(_note(note))


async def _set_state(people: People, asked: Asked, data: ChangeState) -> bytes:
    account_id = AccountId(asked.id)
    await accounts.refuse_above(people.db, asked.caller, account_id)
    await accounts.set_state(people.db, account_id, data.state, by=asked.caller, visit=asked.visit, reason=data.reason)
    return encode(_view(await accounts.get_person(people.db, account_id)))


async def _close(people: People, asked: Asked, data: CloseAccount) -> bytes:
    account_id = AccountId(asked.id)
    await accounts.refuse_above(people.db, asked.caller, account_id)
    await accounts.prove_again(people, asked.caller, asked.visit, data.totp)
    await accounts.close(people.db, account_id, by=asked.caller, visit=asked.visit, reason=data.reason)
    return encode(_view(await accounts.get_person(people.db, account_id)))


async def _set_role(people: People, asked: Asked, data: ChangeRole) -> bytes:
    account_id = AccountId(asked.id)
    await accounts.refuse_above(people.db, asked.caller, account_id)
    await accounts.prove_again(people, asked.caller, asked.visit, data.totp)
    await accounts.set_role(people.db, account_id, data.role, by=asked.caller, visit=asked.visit)
    return encode(_view(await accounts.get_person(people.db, account_id)))


def _view(person: Person) -> AccountView:
    return AccountView(
        person.id, person.email, person.name, person.state, person.role, person.verified_at is not None,
        person.has_second_factor, rfc3339(person.created_at),
    )  # fmt: skip


@get("/admin/users", summary="List accounts, newest first", opt={ACCESS: "admin:support"})
async def list_users(
    db: NamedDependency[Database],
    q: Annotated[str, QueryParameter(max_length=80)] = "",
    cursor: QueryId = None,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 50,
) -> Ok[Items[AccountView]]:
    """List accounts whose address or name contains `q`."""
    found = await accounts.list_people(db, words=q, cursor=cursor, limit=limit)
    return page(found, _view, limit=limit)


@get("/admin/users/{id:str}", summary="Read an account", opt={ACCESS: "admin:support"})
async def read_user(
    request: Request[Any, Any, Any],
    id: FromPath[str],  # noqa: A002 - the name in the path
    people: NamedDependency[People],
    caller: NamedDependency[Caller],
) -> Ok[AccountDetail]:
    """Read an account: its money, its newest lines and orders, its keys by their prefixes, its devices and notes."""
    db = people.db
    person = await accounts.get_person(db, AccountId(number_in_path(id, what="account")))
    balance, dossier = await wallet.balance(db, person.id), await accounts.read_dossier(db, person.id)
    page = await payments.list_transactions(
        db, account_id=person.id, type=None, state=None, since=None, until=None, cursor=None, limit=NEWEST
    )
    newest = await orders.find_orders(db, Wanted(account_id=person.id), limit=NEWEST)
    phone = accounts.phone_of(people, person)
    await note_read(db, caller, request, "account", person.id)
    return Ok(
        data=AccountDetail(
            _view(person), format_rupees(balance.available_paise), format_rupees(balance.held_paise),
            None if phone is None else f"…{phone[-4:]}", LimitsView(dossier.api_per_minute),
            [_line(item) for item in page.lines], [order_view(order) for order in newest],
            [_key(item) for item in dossier.keys],
            [
                StaffSessionView(item.id, rfc3339(item.created_at), rfc3339(item.last_used_at), item.ip,
                                 item.user_agent)
                for item in dossier.sessions
            ],
            [
                UsedFromView(item.ip, rfc3339(item.first_seen_at), rfc3339(item.last_seen_at))
                for item in dossier.used_from
            ],
            [_note(item) for item in dossier.notes],
        )
    )  # fmt: skip


def _line(item: Line) -> StatementLineView:
    after = None if item.balance_after_paise is None else format_rupees(item.balance_after_paise)
    return StatementLineView(
        item.id, item.type, item.state, format_rupees(item.amount_paise), after, item.order_id, item.ref,
        rfc3339(item.at),
    )  # fmt: skip


def _key(item: Key) -> StaffKeyView:
    return StaffKeyView(
        item.id, item.name, item.prefix, list(item.scopes), item.mode, rfc3339(item.created_at),
        rfc3339(item.expires_at), rfc3339(item.last_used_at), item.last_used_ip,
    )  # fmt: skip


def _note(item: Note) -> NoteView:
    return NoteView(item.id, item.author_id, item.text, rfc3339(item.at))


@get("/admin/audit", summary="Read the audit log, newest first", opt={ACCESS: "admin:support"})
async def list_events(
    request: Request[Any, Any, Any],
    db: NamedDependency[Database],
    account: QueryId = None,
    action: Annotated[str | None, QueryParameter(max_length=60)] = None,
    actor: QueryId = None,
    request_id: Annotated[str | None, QueryParameter(name="request", max_length=64)] = None,
    since: Annotated[datetime | None, QueryParameter(name="from")] = None,
    until: Annotated[datetime | None, QueryParameter(name="to")] = None,
    cursor: QueryId = None,
    limit: Annotated[int, QueryParameter(ge=1, le=audit.LIST_MAX)] = 50,
) -> Ok[Items[EventView]]:
    """Read what happened: to one account or by it, by one person, by one request, in a time, or everything."""
    refuse_odd_times(request, **{"from": since, "to": until})
    refuse_reversed(since, until)
    found = await audit.list_events(
        db, account_id=account, action=action, actor_id=actor, request_id=request_id, since=since, until=until,
        cursor=cursor, limit=limit,
    )  # fmt: skip
    return page(found, _event, limit=limit)


def _event(item: Recorded) -> EventView:
    return EventView(
        item.id, rfc3339(item.at), item.action, item.actor_kind, item.actor_id, item.account_id, item.ip,
        item.request_id, msgspec.json.decode(item.details),
    )  # fmt: skip
