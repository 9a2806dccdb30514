"""The feed: who listens to which account in this process, and how the news of the log reach them.

A change that is put up on the board says which account has news. One reader then reads the log for all such accounts
that somebody listens to, and hands each event to every listener; it never waits for one of them. A listener that is
behind, because it resumes or reads slowly, reads the log by itself until it has caught up.
"""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import dataclass

import structlog

from numberdesk.base import clock
from numberdesk.base.db import Database
from numberdesk.base.errors import AppError, Unavailable
from numberdesk.orders import sql
from numberdesk.orders.model import Card
from numberdesk.orders.service._events import START, Told, find_end, find_seq, list_newer, read_events, tell
from numberdesk.wallet.model import AccountId

log = structlog.get_logger()

STREAMS_MAX = 20
"""Streams of one account in one process."""
QUEUE_MAX = 500
"""Events that wait for one listener; above it they are left to the log, from which it reads them when it is ready."""
PAGE = 200
ACCOUNTS_MAX = 500
"""Accounts whose news are read together."""
EVENTS_MAX = 100
"""Events in one answer to a waiting call."""
LATEST = "latest"
"""Stands after every event there is now."""
LOOKS_AT_ONCE = 8


@dataclass(eq=False)
class TooManyStreams(AppError):
    """The account has as many streams open as it may."""

    most: int

    status = 429
    code = "too_many_streams"
    message = "This account has {most} streams open: close one, since each carries every event of the account."
    retry_after = 5


@dataclass(frozen=True, slots=True)
class Heard:
    """An event as listeners get it; `type` is the word on the wire."""

    seq: int
    id: str
    type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Place:
    """A place in an account's log. `is_reset`: the one that was asked for is not known any more."""

    seq: int
    id: str
    is_reset: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Events that follow a place, and the id of the last one, after which the next page begins."""

    items: list[Heard]
    next_id: str
    is_reset: bool


class Listener:
    """One reader of an account's log, which gets each event after its place once and in order."""

    def __init__(self, feed: "Feed", account_id: AccountId, after: int) -> None:
        self.account_id = account_id
        self.seq = after
        """The number of the last event given out."""
        self.is_over = False
        self._feed = feed
        self._queue: deque[Heard] = deque()
        self._is_behind = True
        self._has_lost = False
        self._waiter: asyncio.Future[None] | None = None

    async def take(self, *, limit: int, timeout: float) -> list[Heard]:
        """Return the next events, at least one unless the time is over or the process stops.

        Raises:
            Unavailable: the log has to be read, and cannot be.
        """
        until = clock.seconds() + timeout
        while not self.is_over:
            found = await self._read(limit) if self._is_behind else self._take_queued(limit)
            if found:
                self.seq = found[-1].seq
                return found
            if self._is_behind or self._queue:
                continue
            left = until - clock.seconds()
            if left <= 0 or not await self._woken(left):
                break
        return []

    def offer(self, heard: Iterable[Heard]) -> None:
        """Queue events for it; never waits."""
        self._queue.extend(heard)
        if len(self._queue) > QUEUE_MAX:
            self._queue.clear()
            self._is_behind = self._has_lost = True
        self._wake()

    def end(self) -> None:
        """Let it get nothing more, because the process stops."""
        self.is_over = True
        self._wake()

    async def _read(self, limit: int) -> list[Heard]:
        """Read the log, and count as caught up when it says no more and nothing went past meanwhile."""
        self._has_lost = False
        found = await read_events(self._feed.db, account_id=self.account_id, after=self.seq, limit=limit)
        if len(found) < limit and not self._has_lost:
            self._is_behind = False
            self._feed.caught_up(self.account_id, found[-1].event.seq if found else self.seq)
        return [_heard(item) for item in found]

    def _take_queued(self, limit: int) -> list[Heard]:
        found: list[Heard] = []
        while self._queue and len(found) < limit:
            heard = self._queue.popleft()
            if heard.seq > self.seq:  # the others were read from the log while they waited here
                found.append(heard)
        return found

    async def _woken(self, seconds: float) -> bool:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await self._waiter
        except TimeoutError:
            return False
        finally:
            self._waiter = None
        return True

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Feed:
    """The listeners of one process by account. Accounts without one cost no query."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.heartbeat = 15.0
        """Seconds of silence after which a stream shows that it lives."""
        self.patience = 20.0
        """Seconds after which a reader that takes nothing is cut off; it resumes by the id of its last event."""
        self.looks = asyncio.Semaphore(LOOKS_AT_ONCE)
        """For streams that must ask the database whether their owner may still read."""
        self._listeners: defaultdict[AccountId, set[Listener]] = defaultdict(set)
        self._heads: dict[AccountId, int] = {}
        """Up to where listeners who have caught up were told."""
        self._news: set[AccountId] = set()
        self._streams: Counter[AccountId] = Counter()
        self._reader: asyncio.Task[None] | None = None
        self.closed = asyncio.Event()
        """Set when the process stops."""

    def notice(self, card: Card) -> None:
        """Look for news of a card's account soon, if somebody listens; never waits."""
        if card.order.account_id in self._listeners and card.order.state not in ("requested", "unknown"):
            self._news.add(card.order.account_id)
            self._read_soon()

    @asynccontextmanager
    async def listening(self, account_id: AccountId, *, after: int) -> AsyncIterator[Listener]:
        """Lend a listener to what follows a number of an account's log."""
        listener = Listener(self, account_id, after)
        listener.is_over = self.closed.is_set()
        self._listeners[account_id].add(listener)
        try:
            yield listener
        finally:
            self._listeners[account_id].discard(listener)
            if not self._listeners[account_id]:
                del self._listeners[account_id]
                self._heads.pop(account_id, None)
                self._news.discard(account_id)

    def begin_stream(self, account_id: AccountId) -> None:
        """Count a stream of an account; `end_stream` must follow.

        Raises:
            TooManyStreams: it has `STREAMS_MAX`.
            Unavailable: the process stops.
        """
        if self.closed.is_set():
            raise Unavailable
        if self._streams[account_id] >= STREAMS_MAX:
            raise TooManyStreams(most=STREAMS_MAX)
        self._streams[account_id] += 1

    def end_stream(self, account_id: AccountId) -> None:
        """Count a stream of an account no more."""
        self._streams[account_id] -= 1
        if not self._streams[account_id]:
            del self._streams[account_id]

    def caught_up(self, account_id: AccountId, seq: int) -> None:
        """Tell the feed that a listener has read the log to its end: from there on it is told."""
        self._heads.setdefault(account_id, seq)
        self._read_soon()

    async def sweep(self) -> None:
        """Find news that nobody told of: the floor when messages are lost."""
        if not self._heads:
            return
        async with self.db.statement() as tx:
            found = await sql.list_behind(tx, self._heads)
        self._news.update(found & self._heads.keys())  # without those that left meanwhile
        self._read_soon()

    def close(self) -> None:
        """End all listening, because the process stops."""
        self.closed.set()
        for listeners in list(self._listeners.values()):
            for listener in listeners:
                listener.end()

    async def drain(self) -> None:
        """Wait for what is being read."""
        if self._reader is not None:
            await asyncio.wait([self._reader])

    def _read_soon(self) -> None:
        if self._news & self._heads.keys() and (self._reader is None or self._reader.done()):
            self._reader = asyncio.create_task(self._read(), context=Context())

    async def _read(self) -> None:
        while (ready := list(self._news & self._heads.keys())[:ACCOUNTS_MAX]) and not self.closed.is_set():
            self._news.difference_update(ready)
            try:
                newer = await list_newer(self.db, {account_id: self._heads[account_id] for account_id in ready}, PAGE)
            except Unavailable:
                log.warning("feed_not_read", accounts=len(ready))  # the next sweep finds them again
                return
            except Exception:
                log.exception("feed_not_read")
                return
            for account_id, found in newer.items():
                if len(found) == PAGE:
                    self._news.add(account_id)
                self._hand_out(account_id, found)

    def _hand_out(self, account_id: AccountId, found: list[Told]) -> None:
        """Give events to all listeners of an account, unless they left meanwhile."""
        head = self._heads.get(account_id)
        fresh = [] if head is None else [_heard(item) for item in found if item.event.seq > head]
        if fresh:
            self._heads[account_id] = fresh[-1].seq
            for listener in self._listeners[account_id]:
                listener.offer(fresh)


def _heard(told: Told) -> Heard:
    return Heard(told.event.seq, told.event.id, f"order.{told.event.type}", tell(told))


async def find_place(db: Database, account_id: AccountId, event_id: str | None) -> Place:
    """Return where an account's log goes on after an event.

    An id that is unknown, forgotten or of somebody else leads to the oldest event kept: whoever reads on from there
    misses nothing that can still be read, and knows repeats by their ids.

    Args:
        event_id: `LATEST` or None for the end of the log, `START` for the oldest event kept.
    """
    if event_id is None or event_id == LATEST:
        return Place(*await find_end(db, account_id))
    seq = await find_seq(db, account_id, event_id)
    return Place(0, START, is_reset=True) if seq is None else Place(seq, event_id)


async def poll(feed: Feed, *, account_id: AccountId, after: str, wait: float, limit: int) -> Page:
    """Return the events that follow one, at once if there are any, else as soon as one comes.

    Args:
        after: an event's id; see `find_place`.
        wait: seconds; 0 answers at once.
        limit: up to `EVENTS_MAX`.
    """
    place = await find_place(feed.db, account_id, after)
    async with feed.listening(account_id, after=place.seq) as listener:
        items = await listener.take(limit=min(limit, EVENTS_MAX), timeout=wait)
    return Page(items, items[-1].id if items else place.id, place.is_reset)
