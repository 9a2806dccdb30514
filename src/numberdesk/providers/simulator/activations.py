"""Rebuild, fact by fact, what the simulated provider holds: live activations, recent ones and the balance."""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from heapq import heapify, heappop, heappush
from typing import Final, Literal

from numberdesk.providers.simulator.record import Fact, Plan

State = Literal["waiting", "received", "retry", "finished", "cancelled", "expired"]

_MOST_MESSAGES: Final = 20


@dataclass(frozen=True, slots=True)
class Message:
    """An SMS that arrived; the code is empty when the text holds none."""

    code: str
    text: str
    at: datetime


@dataclass(slots=True)
class Activation:
    """A number that was sold, as it stands after the facts so far; changed by `Shelf.apply` alone.

    `sold_clock` is on the monotonic clock, and may be negative when a restart found the sale in the record.
    """

    id: int
    phone: str
    service: str
    country: int
    operator: str
    cost_paise: int
    order_refs: tuple[str, ...]
    plan: Plan
    sold_at: datetime
    sold_clock: float
    state: State = "waiting"
    messages: list[Message] = field(default_factory=list)
    is_duplicated: bool = False
    # The row of the active list as JSON, kept until the next change.
    row: bytes | None = None

    @property
    def is_live(self) -> bool:
        """Say whether the activation can still receive a code."""
        return self.state in ("waiting", "received", "retry")


@dataclass(frozen=True, slots=True)
class Due:
    """An event whose time has come: an SMS, the provider's own cancellation, or the end of the lifetime."""

    activation: Activation
    event: Literal["message", "self-cancel", "end"]


@dataclass
class Shelf:
    """Fold facts into the present state; one fold serves a sale now and a restart from the record.

    All that is planned stands in one heap of (clock, activation, step). A step is the number of a coming message,
    negative if it comes after the end, 0 for the provider's own cancellation. A step that no longer makes sense when
    its time comes is passed over, so nothing need be taken out of the heap when an activation changes.
    Lifetimes need no entry: they are equal for all, so the oldest live activation is always the next to expire.
    """

    balance_paise: int
    lifetime: float
    late_shown: float
    keep_ended: int
    live: OrderedDict[int, Activation] = field(default_factory=OrderedDict)
    ended: OrderedDict[int, Activation] = field(default_factory=OrderedDict)
    order_refs: set[str] = field(default_factory=set)
    last_sold: dict[tuple[str, int], int] = field(default_factory=dict)
    highest_id: int = 0
    # Ended activations that got a code too late, and until when the active list still shows them.
    _late: OrderedDict[int, float] = field(default_factory=OrderedDict)
    _steps: list[tuple[float, int, int]] = field(default_factory=list)

    def find(self, activation_id: int) -> Activation | None:
        """Find a live or recently ended activation."""
        return self.live.get(activation_id) or self.ended.get(activation_id)

    def last_waiting(self, service: str, country: int) -> Activation | None:
        """Find the last activation sold of an offer, if it still waits for its code."""
        found = self.live.get(self.last_sold.get((service, country), 0))
        return found if found is not None and found.state == "waiting" else None

    def apply(self, fact: Fact, clock: float) -> None:
        """Take one fact; `clock` is the monotonic time at which it happened."""
        if fact.fact == "sold" and not fact.duplicate:
            self._put_on_shelf(fact, clock)
            return
        activation = self.find(fact.activation_id or 0)
        if activation is None:
            return
        activation.row = None
        match fact.fact:
            case "sold":
                activation.is_duplicated = True
                activation.order_refs += (fact.order_ref,) if fact.order_ref else ()
                self.order_refs.update(activation.order_refs)
            case "delivered":
                self._take_message(activation, fact, clock)
            case "retry":
                activation.state = "retry"
                self._plan_step(activation, activation.plan.retry_code_after, clock, len(activation.messages) + 1)
            case "finished":
                self._end(activation, "finished")
            case "cancelled" | "self_cancelled" | "expired":
                self._end(activation, "expired" if fact.fact == "expired" else "cancelled")
                self.balance_paise += fact.cost_paise or 0
                self._plan_step(activation, activation.plan.late_code_after, clock, -len(activation.messages) - 1)
            case "refused" | "redirect_followed":
                pass

    def next_clock(self) -> float | None:
        """Say when something is due next, `None` if nothing is."""
        clocks = [self._steps[0][0]] if self._steps else []
        if self.live:
            clocks.append(next(iter(self.live.values())).sold_clock + self.lifetime)
        return min(clocks, default=None)

    def take_due(self, clock: float) -> Due | None:
        """Take the earliest event that is due and still makes sense, in the order of their times."""
        while True:
            oldest = next(iter(self.live.values()), None)
            end = oldest.sold_clock + self.lifetime if oldest is not None else clock
            if self._steps and self._steps[0][0] <= min(clock, end):
                _, activation_id, step = heappop(self._steps)
                activation = self.find(activation_id)
                if activation is not None and _makes_sense(activation, step):
                    return Due(activation, "message" if step else "self-cancel")
            elif oldest is not None and end <= clock:
                return Due(oldest, "end")
            else:
                return None

    def shown_late(self, clock: float) -> list[Activation]:
        """Return the ended activations whose late code the active list still shows."""
        while self._late and next(iter(self._late.values())) <= clock:
            self._late.popitem(last=False)
        return [self.ended[activation_id] for activation_id in self._late if activation_id in self.ended]

    def _put_on_shelf(self, fact: Fact, clock: float) -> None:
        if not fact.activation_id or not fact.phone or not fact.service or fact.country is None:
            raise ValueError(f"Fact {fact.n} is a sale without its activation, phone, service or country.")
        plan = fact.plan or Plan()
        activation = Activation(
            id=fact.activation_id,
            phone=fact.phone,
            service=fact.service,
            country=fact.country,
            operator=fact.operator or "any",
            cost_paise=fact.cost_paise or 0,
            order_refs=(fact.order_ref,) if fact.order_ref else (),
            plan=plan,
            sold_at=fact.at,
            sold_clock=clock,
        )
        self.live[activation.id] = activation
        self.last_sold[activation.service, activation.country] = activation.id
        self.highest_id = max(self.highest_id, activation.id)
        self.balance_paise -= activation.cost_paise
        self.order_refs.update(activation.order_refs)
        self._plan_step(activation, plan.code_after, clock, 1)
        self._plan_step(activation, plan.self_cancel_after, clock, 0)

    def _take_message(self, activation: Activation, fact: Fact, clock: float) -> None:
        activation.messages.append(Message(fact.code or "", fact.text or "", fact.at))
        if fact.late:
            self._late[activation.id] = clock + self.late_shown
            self._late.move_to_end(activation.id)
            return
        activation.state = "received"
        if len(activation.messages) == 1:
            self._plan_step(activation, activation.plan.unasked_code_after, clock, 2)

    def _end(self, activation: Activation, state: State) -> None:
        activation.state = state
        self.live.pop(activation.id, None)
        self.ended[activation.id] = activation
        while len(self.ended) > self.keep_ended:
            _, forgotten = self.ended.popitem(last=False)
            self._late.pop(forgotten.id, None)
            self.order_refs.difference_update(forgotten.order_refs)

    def _plan_step(self, activation: Activation, after: float | None, clock: float, step: int) -> None:
        if after is None or len(activation.messages) >= _MOST_MESSAGES:
            return
        if len(self._steps) > 3 * len(self.live) + self.keep_ended + 10_000:
            self._steps = [entry for entry in self._steps if self._is_open(entry)]
            heapify(self._steps)
        heappush(self._steps, (clock + after, activation.id, step))

    def _is_open(self, entry: tuple[float, int, int]) -> bool:
        activation = self.find(entry[1])
        return activation is not None and _makes_sense(activation, entry[2])


def _makes_sense(activation: Activation, step: int) -> bool:
    if step == 0:
        return activation.state == "waiting"
    if step > 0:
        return activation.is_live and len(activation.messages) == step - 1
    return activation.state in ("cancelled", "expired") and len(activation.messages) == -step - 1
