"""What staff call about notices: look at those that failed or wait, send them again, let them go."""

from datetime import datetime
from functools import partial
from typing import Annotated, Any

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import Struct

from numberdesk.accounts import service as accounts
from numberdesk.accounts.service import People
from numberdesk.audit import service as audit
from numberdesk.base.calls import Asked, Call
from numberdesk.base.db import Database, Tx
from numberdesk.base.described import QueryId
from numberdesk.base.web import ACCESS, Items, NoFields, Ok, encode, rfc3339
from numberdesk.notifications import service as notifications
from numberdesk.notifications.model import Channel, DeadLetter, OutboxState
from numberdesk.wallet.model import AccountId

LIST_MAX = 200


class NoticeView(Struct, rename="camel", frozen=True):
    """A notice as staff see it: what became of it, and nothing of what it says.

    `canRetry` is false once its words were forgotten: it was sent, dropped, or held a link or a code.
    """

    id: int
    channel: str
    template: str
    account_id: int | None
    state: str
    attempts: int
    problem: str | None
    can_retry: bool
    created_at: datetime | None
    due_at: datetime | None
    ended_at: datetime | None


def calls(people: Any) -> list[Call[Any]]:
    """Return the calls of this part; without what they work with they can only be described."""
    return [
        Call(
            path="/admin/notices/{id}/retry", body=NoFields, access="admin:ops", run=partial(_retry, people),
            answer=NoticeView, summary="Send a notice again",
            description="Send a notice that failed again, with all its attempts.",
        ),
        Call(
            path="/admin/notices/{id}/drop", body=NoFields, access="admin:ops", run=partial(_drop, people),
            answer=NoticeView, summary="Let a notice go",
            description="Send a notice that failed or waits no more, and forget what it says.",
        ),
    ]  # fmt: skip


async def _retry(people: People, asked: Asked, _data: NoFields) -> bytes:
    async with people.db.transaction() as tx:
        before = await notifications.retry(tx, asked.id)
        await _record(tx, asked, "notice_retried", before)
        return encode(_view(await notifications.get_notice(tx, asked.id)))


async def _drop(people: People, asked: Asked, _data: NoFields) -> bytes:
    async with people.db.transaction() as tx:
        before = await notifications.drop(tx, asked.id)
        await _record(tx, asked, "notice_dropped", before)
        return encode(_view(await notifications.get_notice(tx, asked.id)))


async def _record(tx: Tx, asked: Asked, action: str, before: DeadLetter) -> None:
    details = {"notice": before.id, "channel": before.channel, "template": before.template, "state": before.state}
    owner = None if before.account_id is None else AccountId(before.account_id)
    await audit.record(tx, accounts.done_by(asked.caller, asked.visit, action, to=owner, **details))


def _view(item: DeadLetter) -> NoticeView:
    return NoticeView(
        item.id, item.channel, item.template, item.account_id, item.state, item.attempts, item.last_problem,
        item.can_retry, rfc3339(item.created_at), rfc3339(item.due_at), rfc3339(item.ended_at),
    )  # fmt: skip


@get("/admin/notices", summary="List notices", opt={ACCESS: "admin:ops"})
async def list_notices(
    db: NamedDependency[Database],
    in_state: Annotated[OutboxState, QueryParameter(name="state")] = "failed",
    channel: Annotated[Channel | None, QueryParameter()] = None,
    cursor: QueryId = None,
    limit: Annotated[int, QueryParameter(ge=1, le=LIST_MAX)] = 50,
) -> Ok[Items[NoticeView]]:
    """List notices of a state, those that failed if none is named, newest first."""
    found = await notifications.list_notices(db, state=in_state, channel=channel, cursor=cursor, limit=limit + 1)
    next_cursor = str(found[limit - 1].id) if len(found) > limit else None
    return Ok(data=Items([_view(item) for item in found[:limit]], next_cursor))
