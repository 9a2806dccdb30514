"""Rebuild, fact by fact, which numbers the simulated provider has rented out for hours or days."""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import Final, Literal

from numberdesk.providers.simulator.activations import Message
from numberdesk.providers.simulator.record import Fact, Plan

RentalState = Literal["active", "finished", "cancelled", "revoked", "expired"]

PLANNED_MESSAGES: Final = 3
"""That many come by themselves, where the profile lets any come; `deliver_rental` brings more."""
_END: Final = -1
_REVOKE: Final = 0


@dataclass(slots=True)
class Rental:
    """A number that was rented, as it stands after the facts so far; changed by `RentalShelf.apply` alone.

    `cost_paise` is all that was paid for it. Clocks are monotonic, as those of an activation.
    """

    id: int
    phone: str
    service: str
    country: int
    hours: int
    cost_paise: int
    order_ref: str | None
    plan: Plan
    sold_clock: float
    ends_clock: float
    ends_at: datetime
    state: RentalState = "active"
    messages: list[Message] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RentalDue:
    """An event of a rental whose time has come."""

    rental: Rental
    event: Literal["message", "revoke", "end"]


@dataclass
class RentalShelf:
    """Fold facts about rentals into the present state. Their ids are counted apart from those of activations.

    Attributes:
        hour: how many seconds an hour has by the simulator's time.
    """

    hour: float
    keep_ended: int
    live: dict[int, Rental] = field(default_factory=dict)
    ended: OrderedDict[int, Rental] = field(default_factory=OrderedDict)
    order_refs: set[str] = field(default_factory=set)
    highest_id: int = 0
    # (clock, rental, step): a step is the number of a coming message, or one of the two above.
    _steps: list[tuple[float, int, int]] = field(default_factory=list)

    def find(self, rental_id: int) -> Rental | None:
        """Find a live or recently ended rental."""
        return self.live.get(rental_id) or self.ended.get(rental_id)

    def apply(self, fact: Fact, clock: float) -> int:
        """Take one fact that happened at `clock`, and return what it does to the buyer's balance, in paise."""
        if fact.fact == "rented":
            self._put_on_shelf(fact, clock)
            return -(fact.cost_paise or 0)
        rental = self.find(fact.rental_id or 0)
        if rental is None:
            return 0
        match fact.fact:
            case "prolonged":
                rental.hours += fact.hours or 0
                rental.cost_paise += fact.cost_paise or 0
                rental.ends_clock += self.hour * (fact.hours or 0)
                rental.ends_at += timedelta(seconds=self.hour * (fact.hours or 0))
                heappush(self._steps, (rental.ends_clock, rental.id, _END))
                return -(fact.cost_paise or 0)
            case "delivered":
                rental.messages.append(Message(fact.code or "", fact.text or "", fact.at))
                if len(rental.messages) < PLANNED_MESSAGES:
                    self._plan_step(rental, rental.plan.retry_code_after, clock, len(rental.messages) + 1)
            case "finished":
                self._end(rental, "finished")
            case "expired":
                self._end(rental, "expired")
            case "cancelled" | "self_cancelled":
                self._end(rental, "cancelled" if fact.fact == "cancelled" else "revoked")
                return fact.cost_paise or 0
        return 0

    def next_clock(self) -> float | None:
        """Say when something is due next, `None` if nothing is."""
        return self._steps[0][0] if self._steps else None

    def take_due(self, clock: float) -> RentalDue | None:
        """Take the earliest event that is due and still makes sense."""
        while self._steps and self._steps[0][0] <= clock:
            at, rental_id, step = heappop(self._steps)
            rental = self.live.get(rental_id)
            if rental is None:
                continue
            if step == _END and rental.ends_clock <= at:
                return RentalDue(rental, "end")
            if step == _REVOKE and not rental.messages:
                return RentalDue(rental, "revoke")
            if step > 0 and len(rental.messages) == step - 1:
                return RentalDue(rental, "message")
        return None

    def _put_on_shelf(self, fact: Fact, clock: float) -> None:
        if not fact.rental_id or not fact.phone or not fact.service or fact.country is None or not fact.hours:
            raise ValueError(f"Fact {fact.n} is a rental without its id, phone, service, country or hours.")
        lasts = self.hour * fact.hours
        rental = Rental(
            id=fact.rental_id,
            phone=fact.phone,
            service=fact.service,
            country=fact.country,
            hours=fact.hours,
            cost_paise=fact.cost_paise or 0,
            order_ref=fact.order_ref,
            plan=fact.plan or Plan(),
            sold_clock=clock,
            ends_clock=clock + lasts,
            ends_at=fact.at + timedelta(seconds=lasts),
        )
        self.live[rental.id] = rental
        self.highest_id = max(self.highest_id, rental.id)
        if fact.order_ref:
            self.order_refs.add(fact.order_ref)
        heappush(self._steps, (rental.ends_clock, rental.id, _END))
        self._plan_step(rental, rental.plan.code_after, clock, 1)
        self._plan_step(rental, rental.plan.self_cancel_after, clock, _REVOKE)

    def _plan_step(self, rental: Rental, after: float | None, clock: float, step: int) -> None:
        if after is not None:
            heappush(self._steps, (clock + after, rental.id, step))

    def _end(self, rental: Rental, state: RentalState) -> None:
        rental.state = state
        self.live.pop(rental.id, None)
        self.ended[rental.id] = rental
        while len(self.ended) > self.keep_ended:
            _, forgotten = self.ended.popitem(last=False)
            self.order_refs.discard(forgotten.order_ref or "")
