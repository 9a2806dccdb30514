"""The breaker's rules alone: when it opens, for how long, how it closes by itself, and that it is never stuck."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numberdesk.providers.model import BreakerState
from numberdesk.providers.service._breaker import (
    OPEN_SECONDS,
    OPEN_SECONDS_MAX,
    RESTED_SECONDS,
    STREAK,
    WINDOW,
    WINDOW_SECONDS,
    Breaker,
    Event,
    Row,
    Verdict,
    Window,
    move,
)


@dataclass
class Shared:
    """The row as the database keeps it, with a clock to turn."""

    state: BreakerState = "closed"
    openings: int = 0
    generation: int = 0
    probe_at: float = 0.0
    changed_at: float = 0.0
    now: float = 0.0

    def tell(self, event: Event, generation: int) -> bool:
        if generation not in (-1, self.generation):
            return False
        is_rested = self.state == "closed" and self.now - self.changed_at >= RESTED_SECONDS
        step = move(Row(self.state, self.openings, None, is_rested), event)
        if step is None:
            return False
        self.state, self.openings, self.generation = step.state, step.openings, self.generation + 1
        self.probe_at, self.changed_at = self.now + step.seconds, self.now
        return True

    def probe(self, event: Event) -> bool:
        is_due = self.state != "closed" and self.probe_at <= self.now
        return is_due and self.tell(event, self.generation)


@dataclass
class Desk:
    """Two processes and their row; calls may end in another order than they began."""

    row: Shared = field(default_factory=Shared)
    processes: list[Breaker] = field(default_factory=lambda: [Breaker(), Breaker()])
    begun: list[tuple[int, tuple[int, bool]]] = field(default_factory=list)

    def begin(self, which: int, *, is_purchase: bool) -> None:
        breaker = self.processes[which]
        if not (is_purchase and breaker.is_shut()):
            self.begun.append((which, breaker.begin(is_purchase=is_purchase)))

    def end(self, verdict: Verdict, place: int = 0) -> None:
        if self.begun:
            which, begun = self.begun.pop(place % len(self.begun))
            self.processes[which].end(begun, verdict, at=self.row.now)

    def flush(self, which: int) -> None:
        breaker = self.processes[which]
        if breaker.waiting is not None:
            if not self.row.tell(breaker.waiting, breaker.generation):
                breaker.give_up(breaker.waiting)
            self.refresh(which)

    def refresh(self, which: int) -> None:
        self.processes[which].adopt(self.row.state, None, "", self.row.generation)

    def call(self, which: int, verdict: Verdict) -> None:
        """Buy once, from beginning to end, if a purchase may leave."""
        if not self.processes[which].is_shut():
            self.begin(which, is_purchase=True)
            self.end(verdict, len(self.begun) - 1)

    def pass_time(self, seconds: float) -> None:
        self.row.now += seconds

    def settle(self) -> None:
        for which in range(len(self.processes)):
            self.flush(which)
        for which in range(len(self.processes)):
            self.refresh(which)


WHICH = st.integers(0, 1)
VERDICTS = st.sampled_from(("good", "bad", "bad", "none"))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), WHICH, st.booleans()),
        st.tuples(st.just("end"), VERDICTS, st.integers(0, 30)),
        st.tuples(st.just("flush"), WHICH),
        st.tuples(st.just("refresh"), WHICH),
        st.tuples(st.just("time"), st.floats(0, 400)),
        st.tuples(st.just("probe"), st.sampled_from(("probe_good", "probe_bad"))),
        st.tuples(st.just("calls"), WHICH, VERDICTS, st.integers(1, 8)),
    ),
    max_size=60,
)


def play(steps: list[Any]) -> Desk:
    desk = Desk()
    for step in steps:
        match step:
            case ("begin", which, is_purchase):
                desk.begin(which, is_purchase=is_purchase)
            case ("end", verdict, place):
                desk.end(verdict, place)
            case ("flush", which):
                desk.flush(which)
            case ("refresh", which):
                desk.refresh(which)
            case ("time", seconds):
                desk.pass_time(seconds)
            case ("probe", event):
                desk.row.probe(event)
            case ("calls", which, verdict, times):
                for _ in range(times):
                    desk.call(which, verdict)
    return desk


@given(STEPS)
def test_whatever_happened_a_provider_that_is_well_again_sells_again_without_a_purchase(steps: list[Any]) -> None:
    desk = play(steps)
    while desk.begun:
        desk.end("none")
    for _ in range(3):
        desk.settle()
        desk.pass_time(OPEN_SECONDS_MAX)
        desk.row.probe("probe_good")
    desk.settle()
    assert desk.row.state == "closed"
    assert [(breaker.state, breaker.is_shut(), breaker.waiting) for breaker in desk.processes] == [
        ("closed", False, None)
    ] * 2


@given(STEPS)
def test_whatever_happened_a_provider_that_fails_is_soon_shut_everywhere(steps: list[Any]) -> None:
    desk = play(steps)
    while desk.begun:
        desk.end("none")
    desk.settle()
    for _ in range(STREAK):
        desk.call(0, "bad")
    desk.settle()
    assert desk.row.state == "open"
    assert all(breaker.is_shut() for breaker in desk.processes)
    assert desk.row.probe_at - desk.row.now <= OPEN_SECONDS_MAX


@given(STEPS)
def test_a_process_never_tries_with_two_purchases_at_once(steps: list[Any]) -> None:
    desk = play(steps)
    for which, breaker in enumerate(desk.processes):
        trials = [begun for place, begun in desk.begun if place == which and begun == (breaker.turns, True)]
        assert len(trials) <= 1
        if breaker.state == "half_open" and trials:
            assert breaker.is_shut()


@pytest.mark.parametrize("verdict", ["good", "none"])
def test_what_is_no_failure_never_opens(verdict: Verdict) -> None:
    desk = Desk()
    for _ in range(10 * WINDOW):
        desk.call(0, verdict)
    assert desk.processes[0].state == "closed"


def test_the_fifth_failure_in_a_row_opens_at_once_and_the_row_follows() -> None:
    desk = Desk()
    for _ in range(STREAK - 1):
        desk.call(0, "bad")
    assert not desk.processes[0].is_shut()
    desk.call(0, "bad")
    assert desk.processes[0].is_shut()
    assert (desk.row.state, desk.processes[1].is_shut()) == ("closed", False)
    desk.settle()
    assert (desk.row.state, desk.row.openings, desk.processes[1].is_shut()) == ("open", 1, True)


def test_half_of_a_whole_window_opens_and_less_does_not() -> None:
    window = Window()
    found = [window.note(is_bad=number % 2 == 0, at=1.0) for number in range(WINDOW + 1)]
    assert [place for place, reason in enumerate(found) if reason] == [WINDOW]
    window = Window()
    assert not any(window.note(is_bad=number % 3 == 0, at=1.0) for number in range(10 * WINDOW))


def test_failures_of_long_ago_are_no_part_of_the_window() -> None:
    window = Window()
    for number in range(WINDOW - 1):
        assert window.note(is_bad=number % 2 == 0, at=1.0) is None
    assert window.note(is_bad=False, at=2.0) is None
    assert window.note(is_bad=True, at=2.0 + WINDOW_SECONDS) is None
    assert window.failed == 1


def test_each_opening_in_a_row_lasts_twice_as_long_up_to_five_minutes_and_rest_begins_anew() -> None:
    row, lasted = Shared(), []
    row.tell("failing", 0)
    for _ in range(9):
        lasted.append(row.probe_at - row.now)
        row.now = row.probe_at
        assert row.probe("probe_bad")
    assert lasted == [OPEN_SECONDS * 2**power for power in range(6)] + [OPEN_SECONDS_MAX] * 3
    row.now = row.probe_at
    assert row.probe("probe_good")
    assert row.tell("trial_good", row.generation)
    assert row.state == "closed"
    row.now += RESTED_SECONDS - 1
    row.tell("failing", row.generation)
    assert row.probe_at - row.now == OPEN_SECONDS_MAX
    row.now = row.probe_at
    row.probe("probe_good")
    row.tell("trial_good", row.generation)
    row.now += RESTED_SECONDS
    row.tell("failing", row.generation)
    assert (row.probe_at - row.now, row.openings) == (OPEN_SECONDS, 1)


def test_what_began_before_the_breaker_moved_says_nothing_of_now() -> None:
    desk = Desk()
    for _ in range(2 * STREAK):
        desk.begin(0, is_purchase=True)
    for _ in range(STREAK):
        desk.end("bad")
    desk.settle()
    desk.pass_time(OPEN_SECONDS)
    desk.row.probe("probe_good")
    desk.settle()
    assert [breaker.state for breaker in desk.processes] == ["half_open"] * 2
    for _ in range(STREAK):
        desk.end("bad")
    assert [breaker.state for breaker in desk.processes] == ["half_open"] * 2
    assert not desk.processes[0].is_shut()
    desk.call(0, "good")
    assert [breaker.state for breaker in desk.processes] == ["closed", "half_open"]


def test_a_trial_that_says_nothing_lets_the_next_one_through() -> None:
    breaker = Breaker("half_open")
    first = breaker.begin(is_purchase=True)
    assert breaker.is_shut()
    breaker.end(first, "none", at=1.0)
    assert (breaker.state, breaker.is_shut()) == ("half_open", False)
    breaker.end(breaker.begin(is_purchase=True), "bad", at=2.0)
    assert (breaker.state, breaker.waiting) == ("open", "trial_bad")


@pytest.mark.parametrize("state", ["closed", "open", "half_open"])
@pytest.mark.parametrize("forced", ["open", "closed"])
def test_what_staff_decided_holds_against_everything(state: Any, forced: Any) -> None:
    for event in ("failing", "trial_good", "trial_bad", "probe_good", "probe_bad"):
        assert move(Row(state, 1, forced, is_rested=False), event) is None
    breaker = Breaker()
    breaker.adopt(state, forced, "because", 7)
    for verdict in ("bad", "good", "none"):
        for _ in range(WINDOW):
            breaker.end(breaker.begin(is_purchase=True), verdict, at=1.0)
            assert breaker.is_shut() is (forced == "open")
    assert breaker.waiting is None


def test_a_row_that_is_older_than_what_is_known_changes_nothing() -> None:
    breaker = Breaker()
    breaker.adopt("open", None, "new", 3)
    breaker.adopt("closed", None, "", 2)
    assert (breaker.state, breaker.reason, breaker.generation) == ("open", "new", 3)
