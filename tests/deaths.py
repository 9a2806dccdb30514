"""A process that dies between any two of its statements: before it is sent, or when it was carried out.

What is told apart is what the database and the outside know at that moment. So every place is tried: a COMMIT that was
not sent, one whose answer nobody read, and an upstream call between two transactions.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest

VICTIM = "second"
"""The name by which the connections of the process that is to die are known."""
_SENDERS = ("execute", "fetch", "fetchrow", "fetchval")
PLACES_MAX = 200


class Killed(BaseException):
    """The process is gone."""


@dataclass
class Countdown:
    """How many places are left until the process dies; none of its statements reaches the database after that."""

    left: int
    died: asyncio.Event = field(default_factory=asyncio.Event)

    def pass_by(self, connection: Any) -> None:
        """Come to a place between two statements."""
        if connection._params.server_settings.get("application_name") != VICTIM:
            return
        if self.left > 0:
            self.left -= 1
            return
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(_take_notice)
        self.died.set()
        connection.terminate()
        raise Killed


@contextmanager
def counted(countdown: Countdown) -> Iterator[None]:
    """Let every statement of the victim pass by the countdown, before and after it."""

    def passing(sender: Any) -> Any:
        async def send(connection: Any, *args: Any, **options: Any) -> Any:
            countdown.pass_by(connection)
            answer = await sender(connection, *args, **options)
            countdown.pass_by(connection)
            return answer

        return send

    with pytest.MonkeyPatch.context() as patch:
        for name in _SENDERS:
            patch.setattr(asyncpg.Connection, name, passing(getattr(asyncpg.Connection, name)))
        yield


async def survived(verb: Callable[[], Awaitable[Any]], place: int) -> bool:
    """Carry a verb out in a process that dies at some place; True when it came to its end before. Errors are ends."""
    countdown = Countdown(place)
    with counted(countdown):
        work = asyncio.ensure_future(_ending(verb))
        death = asyncio.ensure_future(countdown.died.wait())
        await asyncio.wait({work, death}, return_when=asyncio.FIRST_COMPLETED)
        # What it had begun elsewhere in the process dies with it.
        for task in (work, death):
            task.cancel()
        await asyncio.wait({work, death})
    return not countdown.died.is_set()


def _take_notice(task: "asyncio.Task[Any]") -> None:
    """Know how a task ended; what nobody knows of is told when it is collected, amid anything."""
    if not task.cancelled():
        task.exception()


async def _ending(verb: Callable[[], Awaitable[Any]]) -> None:
    try:
        await verb()
    except Killed:
        await asyncio.Event().wait()
    except Exception:
        pass
