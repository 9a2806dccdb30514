"""What staff do with letters that failed: look, send again, let go."""

from dataclasses import dataclass

from numberdesk.base.db import Database, Tx
from numberdesk.base.errors import AppError, NotFound
from numberdesk.notifications import sql
from numberdesk.notifications.model import Channel, DeadLetter, OutboxState

LIST_MAX = 200


@dataclass(eq=False)
class NoticeOver(AppError):
    """The notice was sent, dropped, or waits already: there is nothing to do with it."""

    state: OutboxState

    status = 409
    code = "notice_over"
    category = "transaction"
    message = "This notice is {state} already."


@dataclass(eq=False)
class NoticeGone(AppError):
    """The notice held a link or a code that is worth nothing any more."""

    status = 409
    code = "notice_gone"
    category = "transaction"
    message = "This notice held a link or a code, and was forgotten. Whoever needs it asks for a new one."


async def list_notices(
    db: Database,
    *,
    state: OutboxState = "failed",
    channel: Channel | None = None,
    cursor: int | None = None,
    limit: int = 50,
) -> list[DeadLetter]:
    """Return notices in a state, newest first, before the id `cursor`; never what they say."""
    async with db.statement() as tx:
        return await sql.list_letters(tx, state=state, channel=channel, before=cursor, limit=min(limit, LIST_MAX + 1))


async def retry(tx: Tx, notice_id: int) -> DeadLetter:
    """Send a notice that failed again, with all attempts; returns it as it was.

    Raises:
        NotFound, NoticeOver, NoticeGone.
    """
    found = await _locked(tx, notice_id)
    if found.state != "failed":
        raise NoticeOver(state=found.state)
    if not await sql.set_again(tx, notice_id):
        raise NoticeGone
    return found


async def drop(tx: Tx, notice_id: int) -> DeadLetter:
    """Let a notice go that failed or waits, and forget what it says; returns it as it was.

    Raises:
        NotFound, NoticeOver.
    """
    found = await _locked(tx, notice_id)
    if not await sql.set_dropped(tx, notice_id):
        raise NoticeOver(state=found.state)
    return found


async def get_notice(tx: Tx, notice_id: int) -> DeadLetter:
    """Return a notice as it is now, and hold it.

    Raises:
        NotFound: there is none.
    """
    return await _locked(tx, notice_id)


async def retry_all(tx: Tx, *, channel: Channel | None = None) -> int:
    """Send again every notice that failed and can be read yet; returns how many."""
    return await sql.set_all_again(tx, channel)


async def _locked(tx: Tx, notice_id: int) -> DeadLetter:
    found = await sql.find_letter(tx, notice_id)
    if found is None:
        raise NotFound(what="notice")
    return found
