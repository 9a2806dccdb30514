"""The one place that reads the clock of this machine.

Business deadlines are decided by the database's clock inside the statement that decides them. What is read here
serves log lines, waiting and durations.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime


def now() -> datetime:
    """Return the aware UTC instant of this machine."""
    return datetime.now(UTC)


seconds: Callable[[], float] = time.monotonic
"""Return a monotonic count of seconds, for durations only."""


def timestamp() -> float:
    """Return the seconds since 1970 on this machine: for log lines that are written later."""
    return time.time()


def iso(timestamp: float) -> str:
    """Return a moment, given in seconds since 1970, as logs write it."""
    return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
