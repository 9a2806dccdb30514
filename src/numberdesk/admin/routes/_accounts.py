"""What staff call about accounts: look at them, close and open them, credit them, read what happened."""

from datetime import datetime
from functools import partial
from typing import Annotated, Any

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from msgspec import Meta, Struct

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import AccountState, Caller, Person, Role
from numberdesk.accounts.service import People
from numberdesk.audit import service as audit
from numberdesk.audit.model import Recorded
from numberdesk.base.calls import ID_MAX, Asked, Call, number_in_path
from numberdesk.base.db import Database
from numberdesk.base.errors import InvalidFields
from numberdesk.base.money import Paise, format_rupees
from numberdesk.base.web import ACCESS, Items, Ok, amount_in, encode, rfc3339
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import AccountId, Credit

CREDIT_MAX = Paise(100_000_00)
"""What one credit by hand may be at the most, in paise."""
Reason = Annotated[str, Meta(min_length=3, max_length=200)]
Cursor = Annotated[int | None, QueryParameter(ge=1, le=ID_MAX)]


class ChangeState(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """What the account may do from now on, and why."""

    state: AccountState
    reason: Reason


class ChangeRole(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """What the account may do as staff, and a fresh code of the second factor."""

    role: Role
    totp: Annotated[str, Meta(min_length=1, max_length=64)]


class CreditAccount(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """Money for an account, why, and a fresh code of the second factor."""

    amount: str | float
    reason: Reason
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


class AccountDetail(Struct, rename="camel", frozen=True):
    """An account with its money."""

    account: AccountView
    available: str
    held: str


class CreditedView(Struct, rename="camel", frozen=True):
    """What an account has after a credit."""

    credited: str
    available: str


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
            path="/admin/users/{id}/role", body=ChangeRole, access="admin:owner", run=partial(_set_role, people),
            answer=AccountView, summary="Change a role",
            description="Change what an account may do as staff; its sessions end. Needs a fresh code.",
        ),
        Call(
            path="/admin/users/{id}/credit", body=CreditAccount, access="admin:finance", is_repeatable=True,
            run=partial(_credit, people), answer=CreditedView, summary="Credit an account",
            description="Credit a wallet from the operator's adjustments. Needs a fresh code of the second factor.",
        ),
    ]  # fmt: skip


async def _set_state(people: People, asked: Asked, data: ChangeState) -> bytes:
    account_id = AccountId(asked.id)
    await accounts.refuse_above(people.db, asked.caller, account_id)
    await accounts.set_state(people.db, account_id, data.state, by=asked.caller, visit=asked.visit, reason=data.reason)
    return encode(_view(await accounts.get_person(people.db, account_id)))


async def _set_role(people: People, asked: Asked, data: ChangeRole) -> bytes:
    account_id = AccountId(asked.id)
    await accounts.refuse_above(people.db, asked.caller, account_id)
    await accounts.prove_again(people, asked.caller, asked.visit, data.totp)
    await accounts.set_role(people.db, account_id, data.role, by=asked.caller, visit=asked.visit)
    return encode(_view(await accounts.get_person(people.db, account_id)))


async def _credit(people: People, asked: Asked, data: CreditAccount) -> bytes:
    account_id = AccountId(asked.id)
    paise = amount_in(data.amount)
    if paise > CREDIT_MAX:
        raise InvalidFields({"amount": f"must be at most {format_rupees(CREDIT_MAX)} rupees"})
    await accounts.refuse_above(people.db, asked.caller, account_id)
    await accounts.prove_again(people, asked.caller, asked.visit, data.totp)
    await people.db.to_the_end(_write_credit(people, asked, account_id, paise, data.reason))
    balance = await wallet.balance(people.db, account_id)
    return encode(CreditedView(format_rupees(paise), format_rupees(balance.available_paise)))


async def _write_credit(people: People, asked: Asked, account_id: AccountId, paise: Paise, reason: str) -> None:
    caller: Caller = asked.caller
    # One effect for one Idempotency-Key; without one, a code of the second factor is good for one credit only.
    cause = f"staff:{caller.account_id}:{asked.once or asked.visit.id}"
    async with people.db.transaction() as tx:
        if (await wallet.credit(tx, [Credit(account_id, paise, "admin_credit", cause)]))[0]:
            event = accounts.done_by(
                caller, asked.visit, "credited", to=account_id, paise=paise, reason=reason, cause=cause
            )
            await audit.record(tx, event)


def _view(person: Person) -> AccountView:
    return AccountView(
        person.id, person.email, person.name, person.state, person.role, person.verified_at is not None,
        person.has_second_factor, rfc3339(person.created_at),
    )  # fmt: skip


@get("/admin/users", summary="List accounts, newest first", opt={ACCESS: "admin:support"})
async def list_users(
    db: NamedDependency[Database],
    q: Annotated[str, QueryParameter(max_length=80)] = "",
    cursor: Cursor = None,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 50,
) -> Ok[Items[AccountView]]:
    """List accounts whose address or name contains `q`."""
    found = await accounts.list_people(db, words=q, cursor=cursor, limit=limit)
    return Ok(data=Items([_view(person) for person in found], str(found[-1].id) if len(found) == limit else None))


@get("/admin/users/{id:str}", summary="Read an account", opt={ACCESS: "admin:support"})
async def read_user(
    id: FromPath[str],  # noqa: A002 - the name in the path
    db: NamedDependency[Database],
) -> Ok[AccountDetail]:
    """Read an account with its money."""
    person = await accounts.get_person(db, AccountId(number_in_path(id, what="account")))
    balance = await wallet.balance(db, person.id)
    return Ok(
        data=AccountDetail(_view(person), format_rupees(balance.available_paise), format_rupees(balance.held_paise))
    )


@get("/admin/audit", summary="Read the audit log, newest first", opt={ACCESS: "admin:support"})
async def list_events(
    db: NamedDependency[Database],
    account: Cursor = None,
    action: Annotated[str | None, QueryParameter(max_length=60)] = None,
    cursor: Cursor = None,
    limit: Annotated[int, QueryParameter(ge=1, le=audit.LIST_MAX)] = 50,
) -> Ok[Items[EventView]]:
    """Read what happened: to one account or by it, or everything."""
    found = await audit.list_events(db, account_id=account, action=action, cursor=cursor, limit=limit)
    return Ok(data=Items([_event(item) for item in found], str(found[-1].id) if len(found) == limit else None))


def _event(item: Recorded) -> EventView:
    return EventView(
        item.id, rfc3339(item.at), item.action, item.actor_kind, item.actor_id, item.account_id, item.ip,
        item.request_id, msgspec.json.decode(item.details),
    )  # fmt: skip
