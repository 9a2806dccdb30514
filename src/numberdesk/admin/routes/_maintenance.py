"""What staff call about maintenance: close, change, open again."""

from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import Meta, Struct

from numberdesk.accounts import service as accounts
from numberdesk.accounts.service import People
from numberdesk.audit import service as audit
from numberdesk.audit.model import Detail, Event
from numberdesk.base.calls import ID_MAX, Asked, Call
from numberdesk.base.db import Database
from numberdesk.base.described import QueryId
from numberdesk.base.errors import InvalidFields
from numberdesk.base.web import ACCESS, Items, Ok, encode, rfc3339
from numberdesk.catalogue import service as catalogue
from numberdesk.catalogue.service import Shelf
from numberdesk.maintenance import service as maintenance
from numberdesk.maintenance.model import (
    ALLOWED_MAX,
    MESSAGE_MAX,
    TARGETED,
    Area,
    Change,
    NewWindow,
    Window,
    WindowId,
    WindowKind,
)

LIST_MAX = 200
Message = Annotated[str, Meta(min_length=1, max_length=MESSAGE_MAX)]
Moment = Annotated[datetime, Meta(tz=True)]
Accounts = Annotated[list[Annotated[int, Meta(ge=1, le=ID_MAX)]], Meta(max_length=ALLOWED_MAX)]


class OpenWindow(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """What is to be closed, from when to when, and what customers read.

    `target` is a server's or country's name or number, or a service's code. Without `startsAt` it is closed now; an
    emergency without `endsAt` lasts until somebody ends it. `allowed` are accounts for which it stays open.
    """

    area: Area
    message: Message
    target: Annotated[str, Meta(min_length=1, max_length=64)] | int | None = None
    kind: WindowKind = "emergency"
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    allowed: Accounts = []


class ChangeWindow(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """What a window is to be, all of it, and the version that was seen."""

    version: Annotated[int, Meta(ge=1)]
    message: Message
    ends_at: Moment | None = None
    allowed: Accounts = []


class EndWindow(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """The version that was seen."""

    version: Annotated[int, Meta(ge=1)]


class WindowDetail(Struct, rename="camel", frozen=True):
    """A window as staff see it."""

    id: int
    area: str
    target: str | None
    kind: str
    starts_at: datetime | None
    ends_at: datetime | None
    cancelled_at: datetime | None
    allowed: list[int]
    message: str
    version: int
    made_at: datetime | None


def calls(people: Any, shelf: Any) -> list[Call[Any]]:
    """Return the calls of this part; without what they work with they can only be described."""
    return [
        Call(
            path="/admin/maintenance", body=OpenWindow, access="admin:ops", run=partial(_open, people, shelf),
            answer=WindowDetail, summary="Close something for a while",
            description="Refuse what would begin something new in an area, now or at a time; all else goes on.",
        ),
        Call(
            path="/admin/maintenance/{id}", body=ChangeWindow, access="admin:ops", run=partial(_change, people),
            answer=WindowDetail, summary="Change a window",
            description="Change message, end and list of a window that is not over.",
        ),
        Call(
            path="/admin/maintenance/{id}/end", body=EndWindow, access="admin:ops", run=partial(_end, people),
            answer=WindowDetail, summary="Open again",
            description="End a window now, or call it off before it begins.",
        ),
    ]  # fmt: skip


async def _open(people: People, shelf: Shelf, asked: Asked, data: OpenWindow) -> bytes:
    target = None if data.target is None else _target(shelf, data.area, data.target)
    new = NewWindow(data.area, data.message, target, data.kind, data.starts_at, data.ends_at, tuple(data.allowed))
    async with people.db.transaction() as tx:
        window = await maintenance.open_window(tx, new)
        await audit.record(tx, _event(asked, "maintenance_opened", window))
    await maintenance.refresh(people.db, people.switches)  # here at once; elsewhere within half a second
    return encode(_detail(window))


def _target(shelf: Shelf, area: Area, name: str | int) -> str:
    if area not in TARGETED:
        return str(name)  # refused below, together with what else is wrong
    found = catalogue.find_target(shelf, area, name)
    if found is None:
        raise InvalidFields({"target": f"is no {area} that is known here"})
    return found


async def _change(people: People, asked: Asked, data: ChangeWindow) -> bytes:
    change = Change(data.message, data.ends_at, tuple(data.allowed))
    async with people.db.transaction() as tx:
        before, window = await maintenance.change_window(tx, WindowId(asked.id), change, version=data.version)
        await audit.record(tx, _event(asked, "maintenance_changed", window, before))
    await maintenance.refresh(people.db, people.switches)  # here at once; elsewhere within half a second
    return encode(_detail(window))


async def _end(people: People, asked: Asked, data: EndWindow) -> bytes:
    async with people.db.transaction() as tx:
        before, window = await maintenance.end_window(tx, WindowId(asked.id), version=data.version)
        await audit.record(tx, _event(asked, "maintenance_ended", window, before))
    await maintenance.refresh(people.db, people.switches)  # here at once; elsewhere within half a second
    return encode(_detail(window))


def _event(asked: Asked, action: str, window: Window, before: Window | None = None) -> Event:
    details: dict[str, Detail] = {
        "window": window.id, "area": window.area, "target": window.target, "kind": window.kind,
        "starts_at": _told(window.starts_at), "ends_at": _told(window.ends_at), "message": window.message,
        "allowed": ",".join(map(str, window.allowed)),
    }  # fmt: skip
    if before is not None:
        details |= {
            "ends_at_before": _told(before.ends_at), "message_before": before.message,
            "allowed_before": ",".join(map(str, before.allowed)),
        }  # fmt: skip
    return replace(accounts.done_by(asked.caller, asked.visit, action), details=details)


def _told(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds")


def _detail(window: Window) -> WindowDetail:
    return WindowDetail(
        window.id, window.area, window.target, window.kind, rfc3339(window.starts_at), rfc3339(window.ends_at),
        rfc3339(window.cancelled_at), window.allowed, window.message, window.version, rfc3339(window.made_at),
    )  # fmt: skip


@get("/admin/maintenance", summary="List windows", opt={ACCESS: "admin:support"})
async def list_windows(
    db: NamedDependency[Database],
    cursor: QueryId = None,
    limit: Annotated[int, QueryParameter(ge=1, le=LIST_MAX)] = 50,
) -> Ok[Items[WindowDetail]]:
    """List what is, will be and was closed, newest first."""
    windows = await maintenance.list_windows(db, cursor=cursor, limit=limit + 1)
    next_cursor = str(windows[limit - 1].id) if len(windows) > limit else None
    return Ok(data=Items([_detail(window) for window in windows[:limit]], next_cursor))
