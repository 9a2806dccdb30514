"""Verbs of maintenance: closing and opening, and refusing what is closed, at the door and in the transaction.

The door refuses by what this process knows, which is a second old at the most. What counts is asked again in the
transaction that makes the intent: it holds the version of the windows shared until its commit, so that a change is
either seen by it or comes after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from numberdesk.base import clock
from numberdesk.base.db import Database, Tx
from numberdesk.base.errors import AppError, InvalidFields, NotFound
from numberdesk.maintenance import sql
from numberdesk.maintenance.model import (
    ALLOWED_MAX,
    MESSAGE_MAX,
    TARGETED,
    Area,
    Change,
    Intent,
    News,
    NewWindow,
    Window,
    WindowId,
)

RETRY_USUAL, RETRY_MAX = 60, 3600
"""Seconds after which a client shall come back: when no end is known, and at the most."""
LONGEST = timedelta(days=30)
"""Of a scheduled window; what is closed for longer is switched off, not maintained."""
NEWS_MAX = 50


@dataclass(eq=False)
class Closed(AppError):
    """What is wanted is closed for a while; nothing was begun."""

    area: Area
    target: str | None
    ends_at: datetime | None
    reason: str
    seconds: int = field(default=RETRY_USUAL, repr=False)

    status = 503
    code = "maintenance"
    category = "system"
    retry_after = RETRY_USUAL

    def retry_seconds(self) -> int:
        return self.seconds

    def sentence(self) -> str:
        end = "" if self.ends_at is None else f" Planned to end at {self.ends_at:%Y-%m-%d %H:%M} UTC."
        return f"{self.reason}{end}"

    def details(self) -> dict[str, object]:
        return {"area": self.area, "target": self.target, "ends_at": self.ends_at}


@dataclass(eq=False)
class Overlaps(AppError):
    """There is a window of the same kind for the same place at that time."""

    window: int

    status = 409
    code = "window_overlaps"
    category = "transaction"
    message = "Window {window} closes the same at that time. Change or end that one."


@dataclass(eq=False)
class WindowChanged(AppError):
    """Somebody else changed the window first."""

    version: int

    status = 409
    code = "window_changed"
    category = "transaction"
    message = "The window was changed meanwhile: it is version {version} now. Look at it again."


@dataclass(eq=False)
class WindowOver(AppError):
    """The window is over or called off; nothing of it can be changed."""

    status = 409
    code = "window_over"
    category = "transaction"
    message = "This window is over."


@dataclass
class Switches:
    """What one process knows of the windows. Until `refresh` it knows nothing, and the door lets everything in."""

    version: int = 0
    windows: tuple[Window, ...] = ()
    ahead: timedelta = timedelta(0)
    """How much later it is by the database's clock than by this machine's."""

    def now(self) -> datetime:
        """Return the time of the database, about."""
        return clock.now() + self.ahead

    def closing(self, intent: Intent) -> Window | None:
        """Return a window that closes an intent now, or None."""
        return _closing(self.windows, intent, self.now()) if self.windows else None


async def refresh(db: Database, switches: Switches) -> None:
    """Learn of changes. If the database is away, what was known last stays."""
    async with db.transaction() as tx:
        stand = await sql.get_stand(tx)
        switches.ahead = stand.now - clock.now()
        if stand.version != switches.version:
            switches.windows = tuple(await sql.list_current(tx))
            switches.version = stand.version
            return
    if any(window.is_over(stand.now) for window in switches.windows):
        switches.windows = tuple(window for window in switches.windows if not window.is_over(stand.now))


def refuse(switches: Switches, intent: Intent) -> None:
    """Refuse at the door what is closed, by what this process knows.

    Raises:
        Closed: it is.
    """
    window = switches.closing(intent)
    if window is not None:
        raise _closed(window, switches.now())


async def find_closed(tx: Tx, switches: Switches, intents: Sequence[Intent]) -> list[Closed | None]:
    """Return for each intent why it is closed, or None; until the commit no change can come in between.

    It is one short statement: the windows are read only when they differ from what this process knows.
    """
    stand = await sql.share_stand(tx)
    windows = switches.windows if stand.version == switches.version else tuple(await sql.list_current(tx))
    found = [_closing(windows, intent, stand.now) for intent in intents]
    return [None if window is None else _closed(window, stand.now) for window in found]


async def refuse_in(tx: Tx, switches: Switches, intent: Intent) -> None:
    """Refuse in the transaction that makes an intent what is closed; see `find_closed`.

    Raises:
        Closed: it is.
    """
    (closed,) = await find_closed(tx, switches, [intent])
    if closed is not None:
        raise closed


def _closing(windows: Sequence[Window], intent: Intent, now: datetime) -> Window | None:
    for window in windows:
        if window.is_running(now) and window.covers(intent):
            return window
    return None


def _closed(window: Window, now: datetime) -> Closed:
    seconds = RETRY_USUAL if window.ends_at is None else int((window.ends_at - now).total_seconds()) + 1
    return Closed(window.area, window.target, window.ends_at, window.message, max(1, min(seconds, RETRY_MAX)))


async def open_window(tx: Tx, new: NewWindow) -> Window:
    """Close an area, now or later; every process follows within a second, and what begins after the commit at once.

    Raises:
        InvalidFields: the times are reversed or past, the target or the message is missing.
        Overlaps: there is one like it at that time.
    """
    stand = await sql.take_stand(tx)
    starts_at = stand.now if new.starts_at is None else new.starts_at
    _check(new, starts_at, stand.now)
    await _refuse_overlap(tx, new, starts_at, new.ends_at)
    return await sql.insert_window(tx, new, starts_at=starts_at)


def _check(new: NewWindow, starts_at: datetime, now: datetime) -> None:
    problems = _problems(new.message, starts_at, new.ends_at, new.allowed, now)
    if (new.area in TARGETED) != (new.target is not None):
        problems["target"] = (
            f"must name the {new.area}" if new.area in TARGETED else f"must be left out: there is one {new.area}"
        )
    if new.starts_at is not None and new.starts_at < now - timedelta(minutes=1):
        problems["startsAt"] = "is past"
    if new.kind == "scheduled":
        if new.ends_at is None:
            problems["endsAt"] = "is needed for a scheduled window"
        elif new.ends_at - starts_at > LONGEST:
            problems["endsAt"] = (
                f"must be within {LONGEST.days} days of the start: switch off what is closed for longer"
            )
    if problems:
        raise InvalidFields(problems)


def _problems(
    message: str, starts_at: datetime, ends_at: datetime | None, allowed: Sequence[int], now: datetime
) -> dict[str, str]:
    problems: dict[str, str] = {}
    if not message.strip() or len(message) > MESSAGE_MAX:
        problems["message"] = f"must have 1 to {MESSAGE_MAX} characters: customers read it"
    if ends_at is not None and ends_at <= starts_at:
        problems["endsAt"] = "must be later than the start"
    elif ends_at is not None and ends_at <= now:
        problems["endsAt"] = "is past"
    if len(allowed) > ALLOWED_MAX:
        problems["allowed"] = f"may hold {ALLOWED_MAX} accounts"
    return problems


async def _refuse_overlap(
    tx: Tx, like: NewWindow | Window, starts_at: datetime, ends_at: datetime | None, other_than: WindowId | None = None
) -> None:
    found = await sql.find_overlapping(tx, like, starts_at=starts_at, ends_at=ends_at, other_than=other_than)
    if found is not None:
        raise Overlaps(window=found.id)


async def change_window(tx: Tx, window_id: WindowId, change: Change, *, version: int) -> tuple[Window, Window]:
    """Change message, end and list of a window that is not over; returns it as it was and as it is.

    Raises:
        NotFound, WindowChanged, WindowOver, Overlaps.
        InvalidFields: the end is past or before the start, or missing where it is needed.
    """
    before, now = await _take(tx, window_id, version)
    problems = _problems(change.message, before.starts_at, change.ends_at, change.allowed, now)
    if before.kind == "scheduled" and change.ends_at is None:
        problems["endsAt"] = "is needed for a scheduled window"
    if problems:
        raise InvalidFields(problems)
    await _refuse_overlap(tx, before, before.starts_at, change.ends_at, window_id)
    return before, await sql.set_changed(tx, window_id, change)


async def end_window(tx: Tx, window_id: WindowId, *, version: int) -> tuple[Window, Window]:
    """Open again what a window closes, or call it off before it begins; returns it as it was and as it is.

    Raises:
        NotFound, WindowChanged, WindowOver.
    """
    before, now = await _take(tx, window_id, version)
    return before, await sql.set_ended(tx, window_id, at=now)


async def _take(tx: Tx, window_id: WindowId, version: int) -> tuple[Window, datetime]:
    stand = await sql.take_stand(tx)
    window = await sql.lock_window(tx, window_id)
    if window is None:
        raise NotFound(what="window")
    if window.version != version:
        raise WindowChanged(version=window.version)
    if window.is_over(stand.now):
        raise WindowOver
    return window, stand.now


async def list_current(db: Database) -> list[Window]:
    """Return the windows that run or are still to come."""
    async with db.statement() as tx:
        return await sql.list_current(tx)


async def list_windows(db: Database, *, cursor: int | None = None, limit: int = 50) -> list[Window]:
    """Return the newest windows, also those that are over, before the id `cursor`."""
    async with db.statement() as tx:
        return await sql.list_windows(tx, before=cursor, limit=limit)


async def take_news(tx: Tx) -> list[News]:
    """Return what has begun or is over since it was last asked, each once: noted as told with this transaction."""
    begun = await sql.lease_begun(tx, limit=NEWS_MAX)
    over = await sql.lease_over(tx, limit=NEWS_MAX)
    await sql.set_start_told(tx, [window.id for window in begun])
    await sql.set_end_told(tx, [window.id for window in over])
    return [News(window, is_over=False) for window in begun] + [News(window, is_over=True) for window in over]
