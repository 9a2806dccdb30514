"""The breaker as pure rules: what this process knows of a provider, and how the row that all share moves.

Nothing here waits, asks or reads a clock. A process opens its own breaker at once and says so to the row later; the
row has the last word. Every state but closed has a way out that needs no purchase: the next probe.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final, Literal

from numberdesk.providers.model import BreakerState, Forced

Verdict = Literal["good", "bad", "none"]
"""What a call says of the provider's health: a sure answer, a hard failure, or nothing either way."""
Event = Literal["failing", "trial_good", "trial_bad", "probe_good", "probe_bad"]
"""What a process has to say to the row."""

STREAK: Final = 5
"""Hard failures in a row that open."""
WINDOW: Final = 20
WINDOW_SECONDS: Final = 30.0
FAILED_SHARE: Final = 0.5
"""Part of a whole window that opens."""
OPEN_SECONDS: Final = 5.0
OPEN_SECONDS_MAX: Final = 300.0
OPENINGS_MAX: Final = 100
RESTED_SECONDS: Final = 600.0
"""After so long closed the time it stays open begins anew."""
SECOND_PROBE_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Row:
    """What the rules need of the shared row. `is_rested`: it has been closed for `RESTED_SECONDS`."""

    state: BreakerState
    openings: int
    forced: Forced | None
    is_rested: bool


@dataclass(frozen=True, slots=True)
class Move:
    """The row's next state; after `seconds` the provider is probed."""

    state: BreakerState
    openings: int
    seconds: float


def move(row: Row, event: Event) -> Move | None:
    """Return where an event takes the row; None: it stays."""
    if row.forced is not None:
        return None
    is_good = event in ("trial_good", "probe_good")
    match row.state:
        case "closed":
            return _open(0 if row.is_rested else row.openings) if event == "failing" else None
        case "open" if event == "probe_good":
            return Move("half_open", row.openings, SECOND_PROBE_SECONDS)
        case "open":
            return _open(row.openings) if event == "probe_bad" else None
        case "half_open":
            return Move("closed", row.openings, 0.0) if is_good else _open(row.openings)


def _open(openings: int) -> Move:
    openings = min(openings + 1, OPENINGS_MAX)
    # The power is bounded before it is taken: nobody needs 2 to the 99.
    seconds = OPEN_SECONDS * 2 ** min(openings - 1, 10)
    return Move("open", openings, min(seconds, OPEN_SECONDS_MAX))


@dataclass(slots=True)
class Window:
    """The last outcomes that say something of a provider's health."""

    outcomes: deque[tuple[float, bool]] = field(default_factory=lambda: deque(maxlen=WINDOW))
    streak: int = 0
    failed: int = 0

    def note(self, *, is_bad: bool, at: float) -> str | None:
        """Add an outcome; returns why to open, or None."""
        outcomes = self.outcomes
        if len(outcomes) == WINDOW:
            self.failed -= outcomes[0][1]
        outcomes.append((at, is_bad))
        if not is_bad:
            self.streak = 0
            return None
        self.streak += 1
        self.failed += 1
        if self.streak >= STREAK:
            return f"{STREAK} calls in a row failed"
        while outcomes[0][0] < at - WINDOW_SECONDS:
            self.failed -= outcomes.popleft()[1]
        if len(outcomes) == WINDOW and self.failed >= WINDOW * FAILED_SHARE:
            return f"{self.failed} of the last {WINDOW} calls failed"
        return None


@dataclass(slots=True)
class Breaker:
    """One provider in one process. `waiting` is what the row was not told yet, for `generation` and no later one."""

    state: BreakerState = "closed"
    forced: Forced | None = None
    reason: str = ""
    generation: int = -1
    waiting: Event | None = None
    turns: int = 0
    """How often the state changed here: a call that began before the last change says nothing of what is now."""
    has_trial: bool = False
    window: Window = field(default_factory=Window)

    def is_shut(self) -> bool:
        """Tell whether no purchase may leave now."""
        if self.forced is not None:
            return self.forced == "open"
        return self.state == "open" or (self.state == "half_open" and self.has_trial)

    def begin(self, *, is_purchase: bool) -> tuple[int, bool]:
        """Let a call begin; returns what `end` wants back."""
        is_trial = is_purchase and self.state == "half_open" and self.forced is None and not self.has_trial
        if is_trial:
            self.has_trial = True
        return self.turns, is_trial

    def end(self, begun: tuple[int, bool], verdict: Verdict, *, at: float, what: str = "") -> None:
        """Take over what came of a call.

        Args:
            what: the failure in a word, for the reason.
        """
        turns, is_trial = begun
        if turns != self.turns:
            return
        if is_trial:
            self.has_trial = False
        if verdict == "none" or self.forced is not None:
            return
        if self.state == "closed":
            tripped = self.window.note(is_bad=verdict == "bad", at=at)
            if tripped is not None:
                self._turn("open", "failing", f"{tripped}, the last one: {what}" if what else tripped)
        elif is_trial:
            if verdict == "good":
                self._turn("closed", "trial_good", "")
            else:
                self._turn("open", "trial_bad", f"the trial purchase failed: {what}" if what else "the trial failed")

    def adopt(self, state: BreakerState, forced: Forced | None, reason: str, generation: int) -> None:
        """Take over the row if it is newer than what is known; what was not told yet is void then."""
        if generation <= self.generation:
            return
        is_other = (state, forced) != (self.state, self.forced)
        self.state, self.forced, self.reason = state, forced, reason
        self.generation, self.waiting = generation, None
        if is_other:
            self._renew()

    def give_up(self, event: Event) -> None:
        """Forget what the row did not take, and go by the row again at the next `adopt`, whatever it says."""
        if self.waiting == event:
            self.waiting, self.generation = None, -1

    def _turn(self, state: BreakerState, event: Event, reason: str) -> None:
        self.state, self.reason, self.waiting = state, reason, event
        self._renew()

    def _renew(self) -> None:
        self.turns += 1
        self.has_trial = False
        self.window = Window()
