"""What clients may do without it counting against their limit: poll their orders, and ask for what they are owed."""

from numberdesk.base import clock
from numberdesk.base.windows import Windows

INTERVAL = 1.0
AT_ONCE = 3.0
"""Seconds of polls that may be early: clients count their second from an answer or from a question."""
RETRY_SECONDS = 60.0
RETRIES_PER_SECOND = 40
KEPT_MAX = 200_000


class PollAllowance:
    """One free poll a second for each order, in the memory of this process."""

    def __init__(self) -> None:
        self._next_at: dict[int, float] = {}

    def admits(self, order_id: int) -> bool:
        """Count a poll of an open order; False when it came too soon, and then it counts as any request does."""
        now = clock.seconds()
        due = max(self._next_at.get(order_id, 0.0), now)
        if due > now + AT_ONCE - INTERVAL:
            return False
        if len(self._next_at) >= KEPT_MAX:
            self._next_at = {known: at for known, at in self._next_at.items() if at > now}
        self._next_at[order_id] = due + INTERVAL
        return True


class RetryAllowance:
    """One free try for each purchase that its client hung up on: it is the same purchase, and was counted before."""

    def __init__(self) -> None:
        self._owed: dict[int, tuple[int, float]] = {}
        self._used = Windows(1)

    def left(self, account_id: int) -> None:
        """Note that a client of an account hung up."""
        now = clock.seconds()
        count, _ = self._owed.get(account_id, (0, 0.0))
        if len(self._owed) >= KEPT_MAX:
            self._owed = {known: owed for known, owed in self._owed.items() if owed[1] > now}
        self._owed[account_id] = count + 1, now + RETRY_SECONDS

    def admits(self, account_id: int) -> bool:
        """Count a purchase as a try of one that was hung up on; False when there is none."""
        now = clock.seconds()
        count, until = self._owed.pop(account_id, (0, 0.0))
        if not count or until < now:
            return False
        if count > 1:
            self._owed[account_id] = count - 1, until
        # Whoever only asks and hangs up, faster than any client that waits, is counted after all.
        return self._used.hit(account_id, now).hits <= RETRIES_PER_SECOND
