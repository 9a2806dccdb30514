"""Telling other processes that rows changed, after the commit and outside of it.

NOTIFY takes a database-wide lock when its transaction commits, so it never travels inside a money transaction: ids
gather here and leave as one statement of their own. A message is a hint; listeners read the rows, and a sweep is
the floor when one is lost.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from contextvars import Context

import asyncpg
import structlog

from numberdesk.base.db import APP_ROLE, LOST, Database, run
from numberdesk.base.errors import Unavailable

log = structlog.get_logger()

PAYLOAD_IDS_MAX = 390
"""PostgreSQL takes payloads below 8,000 bytes; an id has at most 19 digits and a comma, and the sender goes first."""
PING_EVERY = 15.0
RECONNECT_PAUSE = 0.5


class Publisher:
    """Sends the ids given to it on one channel, many per statement, marked with the sender's name."""

    def __init__(self, db: Database, channel: str, *, sender: str) -> None:
        self._db = db
        self._channel = channel
        self._sender = sender
        self._ids: set[int] = set()
        self._task: asyncio.Task[None] | None = None

    def publish(self, ids: Iterable[int]) -> None:
        """Send ids soon; never waits and never fails."""
        self._ids.update(ids)
        if self._ids and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._send(), context=Context())

    async def drain(self) -> None:
        """Wait until everything given has been sent."""
        if self._task is not None:
            await self._task

    async def _send(self) -> None:
        while self._ids:
            taken = [self._ids.pop() for _ in range(min(PAYLOAD_IDS_MAX, len(self._ids)))]
            try:
                async with self._db.statement() as tx:
                    payload = f"{self._sender} {','.join(map(str, taken))}"
                    await run(tx, "SELECT pg_notify($1, $2)", self._channel, payload)
            except Unavailable:
                log.warning("wake_lost", channel=self._channel, ids=len(taken))


async def listen(
    db: Database,
    channel: str,
    *,
    sender: str,
    on_ids: Callable[[list[int]], None],
    on_connect: Callable[[], Awaitable[None]],
) -> None:
    """Listen for ever on a connection of its own; reconnect when it breaks.

    The connection holds the advisory lock of the sender's name, so that others can tell when the process has died.

    Args:
        sender: the name this process publishes under; its own messages are left out.
        on_ids: called with the ids of each message.
        on_connect: awaited after each (re)connection, when messages may have been missed: read everything held.
    """

    def heard(_connection: object, _pid: int, _channel: str, payload: object) -> None:
        name, _, ids = str(payload).partition(" ")
        if name != sender:
            on_ids([int(part) for part in ids.split(",")])

    while True:
        try:
            connection = await asyncpg.connect(db.url, timeout=10, server_settings={"role": APP_ROLE})
            try:
                is_named = await _take_name(connection, sender)
                await connection.add_listener(channel, heard)
                lost = asyncio.Event()
                connection.add_termination_listener(lambda _, lost=lost: lost.set())
                await on_connect()
                while True:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(lost.wait(), PING_EVERY)
                    await connection.execute("SELECT 1", timeout=5)
                    # The last connection may have kept it for a while after it was lost.
                    is_named = is_named or await _take_name(connection, sender)
            finally:
                connection.terminate()
        except (Unavailable, TimeoutError, *LOST) as problem:
            log.warning("listener_reconnects", channel=channel, problem=type(problem).__name__)
            await asyncio.sleep(RECONNECT_PAUSE)


async def _take_name(connection: "asyncpg.Connection[asyncpg.Record]", sender: str) -> bool:
    query = "SELECT pg_try_advisory_lock(hashtextextended($1, 0))"
    return bool(await connection.fetchval(query, sender, timeout=5))
