"""Sell, deliver, cancel and expire activations by the protocol's rules, each change written to the record first."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from zlib import crc32

from numberdesk.providers.simulator.activations import Activation, Message, Shelf
from numberdesk.providers.simulator.catalogue import SERVICES, Offer, Offers, message_text, phone_number
from numberdesk.providers.simulator.chance import between, draws
from numberdesk.providers.simulator.profiles import Profile
from numberdesk.providers.simulator.record import Fact, Plan, Record, utc_now
from numberdesk.providers.simulator.rental_shelf import Rental, RentalShelf

Change = Literal["ready", "retry", "finish", "cancel"]

# Events worked on in one go, so that a thousand codes due at once do not hold up the answers.
_EVENTS_AT_ONCE: Final = 500
_CODE = re.compile(r"(?<!\d)(?:\d{4,8}|\d{3}[- ]\d{3})(?!\d)")


@dataclass(frozen=True, slots=True)
class Rules:
    """Hold what stays the same while a simulator runs; the time scale is already in the times."""

    name: str
    seed: int
    balance_paise: int
    min_cancel_age: timedelta
    lifetime: timedelta
    time_scale: float
    echo_order_id: bool
    max_live: int
    keep_ended: int


@dataclass(frozen=True, slots=True)
class Wish:
    """What a buyer asks for; `country` is `None` for any, the ceiling is in paise."""

    action: str
    offer: Offer
    operator: str
    ceiling_paise: int | None
    order_ref: str | None


class Shop:
    """Change the shelves, and only by facts: a fact is appended to the record, then applied.

    Nothing here waits, so each verb is one step for everybody else. `settle` must run before anybody hears its outcome.
    """

    def __init__(self, *, record: Record, offers: Offers, rules: Rules) -> None:
        self.record = record
        self.offers = offers
        self.rules = rules
        self.shelf = Shelf(
            balance_paise=rules.balance_paise,
            lifetime=rules.lifetime.total_seconds(),
            late_shown=60.0 * rules.time_scale,
            keep_ended=rules.keep_ended,
        )
        self.rentals = RentalShelf(hour=3600.0 * rules.time_scale, keep_ended=rules.keep_ended)
        self.on_message: Callable[[Activation, Message], None] | None = None
        self.on_rental_message: Callable[[Rental, Message], None] | None = None
        # The name sets simulators apart: their ids and numbers hardly ever meet.
        self.mark = crc32(f"{rules.name}:{rules.seed}".encode())
        self._first_id = (self.mark % 900 + 100) * 10_000_000
        self._replay()

    def buy(self, wish: Wish, *, profile: Profile, draw: tuple[float, ...]) -> Activation | str:
        """Sell a number, or return the wire word of the refusal."""
        word = self._objection(wish, profile)
        if word is not None:
            self.refuse(action=wish.action, reason=word, wish=wish, profile=profile)
            return word
        twin = self.shelf.last_waiting(wish.offer.service.code, wish.offer.country.number)
        if twin is not None and not twin.is_duplicated and profile.duplicate == "activation":
            return self._hand_out_again(twin, wish, profile)
        activation_id = max(self.shelf.highest_id + 1, self._first_id)
        phone = (
            twin.phone
            if twin is not None and profile.duplicate == "number"
            else phone_number(wish.offer.country, sale=activation_id - self._first_id, start=self.mark)
        )
        operators = wish.offer.country.operators
        fact = Fact(
            at=utc_now(),
            n=self.record.count + 1,
            fact="sold",
            activation_id=activation_id,
            phone=phone,
            service=wish.offer.service.code,
            country=wish.offer.country.number,
            operator=wish.operator if wish.operator in operators else operators[activation_id % len(operators)],
            cost_paise=_asked_price(wish, profile),
            order_ref=wish.order_ref,
            profile=profile.name,
            plan=plan_of(profile, draw, self.rules.time_scale),
        )
        self.write(fact)
        sold = self.shelf.live[activation_id]
        if sold.plan.code_after == 0:
            self.run_due()
        return sold

    def refuse(
        self,
        *,
        action: str,
        reason: str,
        wish: Wish | None = None,
        profile: Profile | None = None,
        activation_id: int | None = None,
    ) -> None:
        """Write down that a request was turned away, or that a fault swallowed it before it took effect."""
        self.write(
            Fact(
                at=utc_now(),
                n=self.record.count + 1,
                fact="refused",
                activation_id=activation_id,
                service=wish.offer.service.code if wish else None,
                country=wish.offer.country.number if wish else None,
                order_ref=wish.order_ref if wish else None,
                action=action,
                reason=reason,
                profile=profile.name if profile else None,
            )
        )

    def change(self, activation: Activation, change: Change) -> str:
        """Carry out a `setStatus` and return its wire word; a repeat of an ending answers like the first time.

        Source: the SMS-Activate API page, `setStatus`.
        """
        state = activation.state
        match change:
            case "ready" if activation.is_live:
                return "ACCESS_READY"
            case "retry" if state in ("received", "retry"):
                if state == "received":
                    self.write(self._fact("retry", activation))
                    if activation.plan.retry_code_after == 0:
                        self.run_due()
                return "ACCESS_RETRY_GET"
            case "finish" if state in ("received", "retry", "finished"):
                if state != "finished":
                    self.write(self._fact("finished", activation))
                return "ACCESS_ACTIVATION"
            case "cancel" if state in ("cancelled", "expired"):
                return "ACCESS_CANCEL"
            case "cancel" if state == "waiting":
                if time.monotonic() - activation.sold_clock < self.rules.min_cancel_age.total_seconds():
                    return self._turn_away(activation, "EARLY_CANCEL_DENIED")
                self.write(self._fact("cancelled", activation, cost_paise=activation.cost_paise))
                return "ACCESS_CANCEL"
            case _:
                return self._turn_away(activation, "BAD_STATUS")

    def deliver(self, activation: Activation, text: str, code: str | None = None) -> None:
        """Let an SMS arrive; for an activation that has ended it is a late one and changes nothing but the record.

        The code is found in the text when it is not given.
        """
        code = code_of(text) if code is None else code
        fact = Fact(
            at=utc_now(),
            n=self.record.count + 1,
            fact="delivered",
            activation_id=activation.id,
            phone=activation.phone,
            service=activation.service,
            country=activation.country,
            code=code,
            text=text,
            message=len(activation.messages) + 1,
            late=not activation.is_live,
        )
        self.write(fact)
        if self.on_message is not None:
            self.on_message(activation, activation.messages[-1])

    def note_redirect(self, action: str) -> None:
        """Write down that a client followed a redirect, which none should."""
        self.write(Fact(at=utc_now(), n=self.record.count + 1, fact="redirect_followed", action=action))

    def run_due(self) -> None:
        """Carry out what is due by now: codes, cancellations of the provider's own, ends of lifetimes."""
        clock = time.monotonic()
        for _ in range(_EVENTS_AT_ONCE):
            due = self.shelf.take_due(clock)
            if due is None:
                return
            activation = due.activation
            match due.event:
                case "message":
                    seed = activation.id * 100 + len(activation.messages)
                    draw = draws(self.rules.seed, seed, purpose="message")[0]
                    code, text = message_text(SERVICES[activation.service], draw)
                    self.deliver(activation, text, code)
                case "self-cancel":
                    self.write(self._fact("self_cancelled", activation, cost_paise=activation.cost_paise))
                case "end" if activation.state == "waiting":
                    self.write(self._fact("expired", activation, cost_paise=activation.cost_paise, automatic=True))
                case "end":
                    self.write(self._fact("finished", activation, automatic=True))

    def write(self, fact: Fact) -> None:
        """Append a fact to the record, and let it take effect."""
        self.record.append(fact)
        self._apply(fact, time.monotonic())

    def next_clock(self) -> float | None:
        """Say when something is due next, `None` if nothing is."""
        clocks = (self.shelf.next_clock(), self.rentals.next_clock())
        return min((clock for clock in clocks if clock is not None), default=None)

    def settle(self) -> None:
        """Hand every fact so far to the operating system; only then may an answer leave."""
        self.record.flush()

    def _objection(self, wish: Wish, profile: Profile) -> str | None:
        shelf = self.shelf
        if wish.order_ref is not None and wish.order_ref in shelf.order_refs:
            return "ORDER_ALREADY_EXISTS"
        if wish.operator not in ("", "any") and wish.operator not in wish.offer.country.operators:
            return "WRONG_OPERATOR"
        if profile.out_of_stock or wish.offer.count == 0:
            return "NO_NUMBERS"
        price = wish.offer.cost_paise
        if wish.ceiling_paise is not None and wish.ceiling_paise < price and not profile.over_price_percent:
            return f"WRONG_MAX_PRICE:{price // 100}.{price % 100:02d}"
        if _asked_price(wish, profile) > shelf.balance_paise:
            return "NO_BALANCE"
        return "CHANNELS_LIMIT" if len(shelf.live) >= self.rules.max_live else None

    def _hand_out_again(self, twin: Activation, wish: Wish, profile: Profile) -> Activation:
        fact = Fact(
            at=utc_now(),
            n=self.record.count + 1,
            fact="sold",
            activation_id=twin.id,
            phone=twin.phone,
            service=twin.service,
            country=twin.country,
            cost_paise=0,
            order_ref=wish.order_ref,
            profile=profile.name,
            duplicate=True,
        )
        self.write(fact)
        return twin

    def _turn_away(self, activation: Activation, word: str) -> str:
        self.refuse(action="setStatus", reason=word, activation_id=activation.id)
        return word

    def _fact(
        self,
        name: Literal["retry", "finished", "cancelled", "self_cancelled", "expired"],
        activation: Activation,
        *,
        cost_paise: int | None = None,
        automatic: bool = False,
    ) -> Fact:
        return Fact(
            at=utc_now(),
            n=self.record.count + 1,
            fact=name,
            activation_id=activation.id,
            phone=activation.phone,
            service=activation.service,
            country=activation.country,
            cost_paise=cost_paise,
            automatic=automatic,
        )

    def _replay(self) -> None:
        now, clock = utc_now(), time.monotonic()
        for fact in self.record.replay():
            self._apply(fact, clock - _seconds_between(fact.at, now))

    def _apply(self, fact: Fact, clock: float) -> None:
        if fact.rental_id is None:
            self.shelf.apply(fact, clock)
        else:
            self.shelf.balance_paise += self.rentals.apply(fact, clock)


def _seconds_between(earlier: datetime, later: datetime) -> float:
    return max(0.0, (later - earlier).total_seconds())


def _asked_price(wish: Wish, profile: Profile) -> int:
    price = wish.offer.cost_paise
    if profile.over_price_percent:
        return max(price, wish.ceiling_paise or 0) * profile.over_price_percent // 100
    return price


def code_of(text: str) -> str:
    """Return the code that stands in a text, empty if none does."""
    found = _CODE.search(text)
    return re.sub(r"\D", "", found.group()) if found else ""


def plan_of(profile: Profile, draw: tuple[float, ...], scale: float) -> Plan:
    """Draw what will become of an activation, in seconds of the simulator's own time."""
    code_after = profile.code_after if draw[1] * 100 < profile.code_percent else None
    return Plan(
        code_after=_delay(code_after, draw[2] ** 2 if profile.early_codes else draw[2], scale),
        retry_code_after=_delay(profile.retry_code_after, draw[3], scale),
        unasked_code_after=_delay(profile.unasked_code_after, draw[4], scale),
        late_code_after=_delay(profile.late_code_after, draw[5], scale),
        self_cancel_after=_delay(profile.self_cancel_after, draw[6], scale),
    )


def _delay(bounds: tuple[float, float] | None, draw: float, scale: float) -> float | None:
    return None if bounds is None else round(between(bounds, draw) * scale, 4)
