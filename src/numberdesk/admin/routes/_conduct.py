"""What staff call about responsible use: withheld messages, limits of one account, who belongs together."""

from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import Meta, Struct

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import Caller
from numberdesk.accounts.service import People
from numberdesk.admin.routes._reads import note_read, refuse_odd_times
from numberdesk.audit import service as audit
from numberdesk.base.calls import Asked, Call, number_in_path
from numberdesk.base.db import Database
from numberdesk.base.described import QueryId
from numberdesk.base.web import ACCESS, Items, Ok, encode, rfc3339
from numberdesk.conduct import service as conduct
from numberdesk.conduct.model import Holder, OwnLimits
from numberdesk.orders import service as orders
from numberdesk.orders.model import OrderId, Withheld, WithheldState
from numberdesk.orders.service import Desk
from numberdesk.wallet.model import AccountId

Reason = Annotated[str, Meta(min_length=3, max_length=200)]
Number = Annotated[int, Meta(ge=0, le=10_000_000)]


class Decide(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """Which message of the order, and why."""

    reason: Reason
    ordinal: Annotated[int, Meta(ge=1, le=32767)] = 1


class SetLimits(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """What an account may do instead of the settings; null is the setting's. All null and false: nothing own."""

    reason: Reason
    is_free: bool = False
    may_cancel: bool = False
    per_hour: Number | None = None
    per_day: Number | None = None
    countries: Number | None = None
    open_orders: Number | None = None


class LookUp(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """A number that somebody complains about, and why it is looked up."""

    number: Annotated[str, Meta(min_length=5, max_length=24)]
    reason: Reason


class WithheldView(Struct, rename="camel", frozen=True):
    """A message that its buyer does not get. In `text` stands a dot for every digit."""

    order_id: int
    ordinal: int
    account_id: int
    service: str
    country: int
    kind: str
    signs: str
    state: str
    text: str
    received_at: datetime | None
    withheld_at: datetime | None
    decided_at: datetime | None
    decided_by: int | None
    reason: str | None


class LimitsView(Struct, rename="camel", frozen=True):
    """What an account may do instead of the settings."""

    is_own: bool
    is_free: bool
    may_cancel: bool
    per_hour: int | None
    per_day: int | None
    countries: int | None
    open_orders: int | None
    reason: str | None


class LinkView(Struct, rename="camel", frozen=True):
    """Another account that shares something; `others` is how many share the most common of it: a crowd says little."""

    kind: str
    account_id: int
    state: str
    shared: int
    others: int
    last_at: datetime | None


class HolderView(Struct, rename="camel", frozen=True):
    """Who had a number: from `heldFrom` on, and before `heldUntil`; `ip` is where it was bought from."""

    order_id: int
    account_id: int
    email: str
    service: str
    country: int
    state: str
    held_from: datetime | None
    held_until: datetime | None
    messages: int
    ip: str | None


class MonthView(Struct, rename="camel", frozen=True):
    """What happened in a month (UTC)."""

    month: str
    withheld: int
    released: int
    confirmed: int
    frozen: int
    banned: int
    lawful_asked: int
    lawful_approved: int
    lawful_refused: int
    lawful_exports: int


def calls(people: Any, desk: Any) -> list[Call[Any]]:
    """Return the calls of this part; without what they work with they can only be described."""
    return [
        Call(
            path="/admin/quarantine/{id}/release", body=Decide, access="admin:ops", run=partial(_release, people, desk),
            answer=WithheldView, summary="Release a withheld message",
            description="Give a message of the order in the path to its buyer, who pays the order's price for it.",
        ),
        Call(
            path="/admin/quarantine/{id}/confirm", body=Decide, access="admin:ops", run=partial(_confirm, people),
            answer=WithheldView, summary="Confirm that a message is withheld",
            description="Keep a message of the order in the path sealed for ever; it flags its account.",
        ),
        Call(
            path="/admin/users/{id}/purchase-limits", body=SetLimits, access="admin:ops",
            run=partial(_set_limits, people),
            answer=LimitsView, summary="Allow an account more or less",
            description="Set what an account may buy instead of the settings.",
        ),
        Call(
            path="/admin/numbers", body=LookUp, access="admin:support", run=partial(_look_up, people),
            answer=Items[HolderView], summary="Look up who had a number",
            description="Find the newest orders of a number that somebody complains about. Every look is written down.",
        ),
    ]  # fmt: skip


async def _release(people: People, desk: Desk, asked: Asked, data: Decide) -> bytes:
    order_id = OrderId(asked.id)
    owner = await orders.find_owner(people.db, order_id=order_id, ordinal=data.ordinal)
    await accounts.refuse_above(people.db, asked.caller, owner)
    event = accounts.done_by(
        asked.caller,
        asked.visit,
        "message_released",
        to=owner,
        order=asked.id,
        ordinal=data.ordinal,
        reason=data.reason,
    )
    item, _ = await orders.release(
        desk, order_id=order_id, ordinal=data.ordinal, by=asked.caller.account_id, reason=data.reason, event=event
    )
    return encode(_withheld(item))


async def _confirm(people: People, asked: Asked, data: Decide) -> bytes:
    order_id = OrderId(asked.id)
    owner = await orders.find_owner(people.db, order_id=order_id, ordinal=data.ordinal)
    await accounts.refuse_above(people.db, asked.caller, owner)
    event = accounts.done_by(
        asked.caller, asked.visit, "message_confirmed", to=owner, order=asked.id, ordinal=data.ordinal,
        reason=data.reason,
    )  # fmt: skip
    item = await orders.confirm(
        people.db, order_id=order_id, ordinal=data.ordinal, by=asked.caller.account_id, reason=data.reason, event=event
    )
    return encode(_withheld(item))


async def _set_limits(people: People, asked: Asked, data: SetLimits) -> bytes:
    account_id = AccountId(asked.id)
    await accounts.refuse_above(people.db, asked.caller, account_id)
    own = OwnLimits(
        account_id, data.is_free, data.per_hour, data.per_day, data.countries, data.open_orders, data.may_cancel,
        data.reason,
    )  # fmt: skip
    numbers = (data.per_hour, data.per_day, data.countries, data.open_orders)
    is_own = data.is_free or data.may_cancel or any(number is not None for number in numbers)
    before = await conduct.find_own_limits(people.db, account_id)
    event = accounts.done_by(
        asked.caller, asked.visit, "purchase_limits", to=account_id, reason=data.reason, is_free=data.is_free,
        may_cancel=data.may_cancel, per_hour=data.per_hour, per_day=data.per_day, countries=data.countries,
        open_orders=data.open_orders, before=None if before is None else str(_numbers(before)),
    )  # fmt: skip
    async with people.db.transaction() as tx:
        if is_own:
            await conduct.set_own_limits(tx, own)
        else:
            await conduct.clear_own_limits(tx, account_id)
        await audit.record(tx, event)
    return encode(_limits(own if is_own else None))


def _numbers(own: OwnLimits) -> dict[str, object]:
    return {name: value for name, value in asdict(own).items() if name not in ("account_id", "reason") and value}


async def _look_up(people: People, asked: Asked, data: LookUp) -> bytes:
    event = accounts.done_by(
        asked.caller, asked.visit, "number_looked_up", number=conduct.read_number(data.number), reason=data.reason
    )
    found = await conduct.look_up(people.db, data.number, event=event)
    return encode(Items([holder_view(item) for item in found], None))


def holder_view(item: Holder) -> HolderView:
    """Shape who had a number."""
    return HolderView(
        item.order_id, item.account_id, item.email, item.service, item.country, item.state, rfc3339(item.held_from),
        rfc3339(item.held_until), item.messages, item.ip,
    )  # fmt: skip


def _withheld(item: Withheld) -> WithheldView:
    return WithheldView(
        item.order_id, item.ordinal, item.account_id, item.service, item.country, item.kind, item.signs, item.state,
        item.text, rfc3339(item.received_at), rfc3339(item.withheld_at), rfc3339(item.decided_at), item.decided_by,
        item.reason,
    )  # fmt: skip


def _limits(own: OwnLimits | None) -> LimitsView:
    if own is None:
        return LimitsView(False, False, False, None, None, None, None, None)
    return LimitsView(
        True, own.is_free, own.may_cancel, own.per_hour, own.per_day, own.countries, own.open_orders, own.reason
    )


@get("/admin/quarantine", summary="List withheld messages, newest first", opt={ACCESS: "admin:ops"})
async def list_quarantine(
    request: Request[Any, Any, Any],
    db: NamedDependency[Database],
    caller: NamedDependency[Caller],
    decided: Annotated[WithheldState | None, QueryParameter(name="state")] = None,
    account: QueryId = None,
    cursor: FromQuery[datetime | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 50,
) -> Ok[Items[WithheldView]]:
    """List messages that look like those of banks, payment services or authorities."""
    refuse_odd_times(request, cursor=cursor)
    found = await orders.list_withheld(db, state=decided, account_id=account, before=cursor, limit=limit)
    shown = len({item.account_id for item in found})
    whose = None if account is None else AccountId(account)
    await note_read(db, caller, request, "quarantine", whose, messages=len(found), accounts=shown)
    following = f"{found[-1].withheld_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}" if len(found) == limit else None
    return Ok(data=Items([_withheld(item) for item in found], following))


@get("/admin/users/{id:str}/purchase-limits", summary="Read the limits of an account", opt={ACCESS: "admin:support"})
async def read_limits(
    id: FromPath[str],  # noqa: A002 - the name in the path
    db: NamedDependency[Database],
) -> Ok[LimitsView]:
    """Read what an account may buy instead of the settings."""
    person = await accounts.get_person(db, AccountId(number_in_path(id, what="account")))
    return Ok(data=_limits(await conduct.find_own_limits(db, person.id)))


@get("/admin/users/{id:str}/links", summary="List who shares something with an account", opt={ACCESS: "admin:support"})
async def list_links(
    id: FromPath[str],  # noqa: A002 - the name in the path
    db: NamedDependency[Database],
) -> Ok[Items[LinkView]]:
    """List accounts with the same payer, network or pattern of mail address: a reason to look, never one to punish."""
    person = await accounts.get_person(db, AccountId(number_in_path(id, what="account")))
    found = await conduct.list_links(db, person.id)
    views = [
        LinkView(item.kind, item.account_id, item.state, item.shared, item.others, rfc3339(item.last_at))
        for item in found
    ]
    return Ok(data=Items(views, None))


@get("/admin/transparency", summary="Count by month", opt={ACCESS: "admin:support"})
async def read_transparency(
    db: NamedDependency[Database], months: Annotated[int, QueryParameter(ge=1, le=conduct.MONTHS_MAX)] = 12
) -> Ok[Items[MonthView]]:
    """Count what was withheld, who was closed out and what authorities asked, by month (UTC)."""
    found = await conduct.count_months(db, months=months)
    views = [
        MonthView(
            f"{item.month:%Y-%m}", item.withheld, item.released, item.confirmed, item.frozen, item.banned,
            item.lawful_asked, item.lawful_approved, item.lawful_refused, item.lawful_exports,
        )
        for item in found
    ]  # fmt: skip
    return Ok(data=Items(views, None))


HANDLERS = (list_quarantine, read_limits, list_links, read_transparency)
