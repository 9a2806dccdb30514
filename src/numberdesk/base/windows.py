"""Fixed windows of tries, counted in the memory of one process."""

from typing import NamedTuple


class Count(NamedTuple):
    """How often something was tried in its window, this time included, and the seconds until the window ends."""

    hits: int
    seconds_left: float


class Windows:
    """Fixed windows of one length in this process, by subject.

    Not the library's `MemoryStorage`: it looks through all keys after each hit, 650 µs with 10,000 keys (measured).
    """

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        self._open: dict[int | str, tuple[int, float]] = {}
        self._sweep_at = 0.0

    def hit(self, who: int | str, now: float) -> Count:
        hits, ends_at = self._open.get(who, (0, 0.0))
        if ends_at <= now:
            hits, ends_at = 0, now + self.seconds
            self._sweep(now)
        self._open[who] = (hits + 1, ends_at)
        return Count(hits + 1, ends_at - now)

    def find(self, who: int | str, now: float) -> Count | None:
        hits, ends_at = self._open.get(who, (0, 0.0))
        return Count(hits, ends_at - now) if ends_at > now else None

    def note(self, who: int | str, count: Count, now: float) -> Count:
        self._sweep(now)
        self._open[who] = (count.hits, now + count.seconds_left)
        return count

    def _sweep(self, now: float) -> None:
        if now >= self._sweep_at:
            self._sweep_at = now + self.seconds
            self._open = {who: window for who, window in self._open.items() if window[1] > now}
