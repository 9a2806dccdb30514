"""The one place that reads the clock of this machine.

Business deadlines are decided by the database's clock inside the statement that decides them. What is read here
serves log lines, waiting and durations.
"""

import time
from datetime import UTC, datetime


def now() -> datetime:
    """Return the aware UTC instant of this machine."""
    return datetime.now(UTC)


def seconds() -> float:
    """Return a monotonic count of seconds, for durations only."""
    return time.monotonic()
