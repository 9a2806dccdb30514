"""Rent numbers out for hours or days, prolong them and end them; every change is a fact of the record.

What the protocol's pages leave open is chosen: in which countries there is something, what it costs, and that a rental
which ran out goes on under a new id while one that was ended does not.
"""

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from numberdesk.providers.simulator.catalogue import SERVICES, Offer, message_text, phone_number
from numberdesk.providers.simulator.chance import draws
from numberdesk.providers.simulator.profiles import Profile
from numberdesk.providers.simulator.record import Fact, FactName, utc_now
from numberdesk.providers.simulator.rental_shelf import Rental
from numberdesk.providers.simulator.shop import Shop, code_of, plan_of

COUNTRIES: Final = frozenset({22, 6, 16, 187, 0, 2})
HOURS_MIN: Final = 2
HOURS_MAX: Final = 1344
WINDOW: Final = timedelta(minutes=20)
"""Until when a rental without a message is taken back."""
DONE: Final = "success"
TOO_LONG: Final = "MAX_HOURS_EXCEED"

_EVENTS_AT_ONCE: Final = 500
_NUMBERS_APART: Final = 4_567_891
"""How far the numbers of rentals begin from those of activations."""


@dataclass(frozen=True, slots=True)
class RentalWish:
    """What a buyer asks for."""

    action: str
    offer: Offer
    hours: int
    order_ref: str | None


def cost_of(offer: Offer, hours: int) -> int:
    """Return what a number costs for so many hours, in paise."""
    return offer.cost_paise * (2 + hours // 12)


def stock_of(offer: Offer) -> int:
    """Return how many numbers there are to rent."""
    return (offer.count + 9) // 10 if offer.country.number in COUNTRIES else 0


def rent(shop: Shop, wish: RentalWish, *, profile: Profile, draw: tuple[float, ...]) -> Rental | str:
    """Rent a number out, or return the wire word of the refusal."""
    price = _asked_price(cost_of(wish.offer, wish.hours), profile)
    word = None
    if wish.order_ref is not None and wish.order_ref in shop.rentals.order_refs:
        word = "ORDER_ALREADY_EXISTS"
    elif not HOURS_MIN <= wish.hours <= HOURS_MAX:
        word = "INVALID_TIME"
    elif profile.out_of_stock or not stock_of(wish.offer):
        word = "OUT_OF_STOCK"
    elif price > shop.shelf.balance_paise:
        word = "NO_BALANCE"
    elif len(shop.rentals.live) >= shop.rules.max_live:
        word = "CHANNELS_LIMIT"
    if word is not None:
        refuse(shop, action=wish.action, reason=word, wish=wish, profile=profile)
        return word
    rental_id = _next_id(shop)
    number = phone_number(wish.offer.country, sale=rental_id, start=shop.mark + _NUMBERS_APART)
    return _put_out(shop, wish, rental_id, number, price=price, profile=profile, draw=draw)


def prolong(
    shop: Shop, rental: Rental, hours: int, *, action: str, profile: Profile, draw: tuple[float, ...]
) -> Rental | str:
    """Let a rental go on for so many hours more; one that ran out goes on under a new id."""
    word = objection(shop, rental, hours)
    offer = shop.offers[rental.service, rental.country]
    price = _asked_price(cost_of(offer, hours), profile)
    if word is None and price > shop.shelf.balance_paise:
        word = "NO_BALANCE"
    if word is not None:
        refuse(shop, action=action, reason=word, rental=rental, profile=profile)
        return word
    if rental.state == "active":
        shop.write(_fact(shop, "prolonged", rental, cost_paise=price, hours=hours, profile=profile))
        return rental
    wish = RentalWish(action, offer, hours, None)
    return _put_out(shop, wish, _next_id(shop), rental.phone, price=price, profile=profile, draw=draw)


def objection(shop: Shop, rental: Rental, hours: int) -> str | None:
    """Return the wire word for why a rental cannot go on for so long, None if it can."""
    if rental.state not in ("active", "expired"):
        return "RENT_DIE"
    if not HOURS_MIN <= hours <= HOURS_MAX:
        return "INVALID_TIME"
    return TOO_LONG if hours > hours_left(shop, rental) else None


def hours_left(shop: Shop, rental: Rental) -> int:
    """Return by how many hours a rental may be prolonged at most."""
    coming = max(0.0, rental.ends_clock - time.monotonic()) / shop.rentals.hour
    return HOURS_MAX - int(coming)


def change(shop: Shop, rental: Rental, wanted: Literal["finish", "cancel"]) -> str:
    """End a rental, and return `DONE` or the wire word of the refusal."""
    match rental.state:
        case "finished":
            word = "ALREADY_FINISH"
        case "cancelled" | "revoked":
            word = "ALREADY_CANCEL"
        case "expired":
            word = "RENT_DIE"
        case "active" if wanted == "finish":
            shop.write(_fact(shop, "finished", rental))
            return DONE
        case "active":
            age = time.monotonic() - rental.sold_clock
            if not rental.messages and age <= WINDOW.total_seconds() * shop.rules.time_scale:
                shop.write(_fact(shop, "cancelled", rental, cost_paise=rental.cost_paise))
                return DONE
            word = "CANT_CANCEL"
    refuse(shop, action="setRentStatus", reason=word, rental=rental)
    return word


def deliver(shop: Shop, rental: Rental, text: str, code: str | None = None) -> None:
    """Let an SMS arrive; for a rental that is over it is lost. The code is found in the text when it is not given."""
    if rental.state != "active":
        return
    fact = _fact(shop, "delivered", rental, code=code_of(text) if code is None else code, text=text)
    shop.write(fact)
    if shop.on_rental_message is not None:
        shop.on_rental_message(rental, rental.messages[-1])


def run_due(shop: Shop) -> None:
    """Carry out what is due by now, of activations too: messages, rentals that the provider takes back, ends."""
    shop.run_due()
    clock = time.monotonic()
    for _ in range(_EVENTS_AT_ONCE):
        due = shop.rentals.take_due(clock)
        if due is None:
            return
        rental = due.rental
        match due.event:
            case "message":
                draw = draws(shop.rules.seed, rental.id * 100 + len(rental.messages), purpose="rental-message")[0]
                code, text = message_text(SERVICES[rental.service], draw)
                deliver(shop, rental, text, code)
            case "revoke":
                shop.write(_fact(shop, "self_cancelled", rental, cost_paise=rental.cost_paise))
            case "end":
                shop.write(_fact(shop, "expired", rental, automatic=True))


def refuse(
    shop: Shop,
    *,
    action: str,
    reason: str,
    wish: RentalWish | None = None,
    rental: Rental | None = None,
    profile: Profile | None = None,
) -> None:
    """Write down that a request was turned away, or that a fault swallowed it before it took effect."""
    fact = Fact(
        at=utc_now(),
        n=shop.record.count + 1,
        fact="refused",
        rental_id=rental.id if rental else None,
        service=wish.offer.service.code if wish else None,
        country=wish.offer.country.number if wish else None,
        hours=wish.hours if wish else None,
        order_ref=wish.order_ref if wish else None,
        action=action,
        reason=reason,
        profile=profile.name if profile else None,
    )
    shop.write(fact)


def _put_out(
    shop: Shop,
    wish: RentalWish,
    rental_id: int,
    number: str,
    *,
    price: int,
    profile: Profile,
    draw: tuple[float, ...],
) -> Rental:
    fact = Fact(
        at=utc_now(),
        n=shop.record.count + 1,
        fact="rented",
        rental_id=rental_id,
        phone=number,
        service=wish.offer.service.code,
        country=wish.offer.country.number,
        hours=wish.hours,
        cost_paise=price,
        order_ref=wish.order_ref,
        action=wish.action,
        profile=profile.name,
        plan=plan_of(profile, draw, shop.rules.time_scale),
    )
    shop.write(fact)
    rental = shop.rentals.live[rental_id]
    if rental.plan.code_after == 0:
        run_due(shop)
    return rental


def _fact(
    shop: Shop,
    name: FactName,
    rental: Rental,
    *,
    cost_paise: int | None = None,
    hours: int | None = None,
    code: str | None = None,
    text: str | None = None,
    profile: Profile | None = None,
    automatic: bool = False,
) -> Fact:
    return Fact(
        at=utc_now(),
        n=shop.record.count + 1,
        fact=name,
        rental_id=rental.id,
        phone=rental.phone,
        service=rental.service,
        country=rental.country,
        cost_paise=cost_paise,
        hours=hours,
        code=code,
        text=text,
        message=None if text is None else len(rental.messages) + 1,
        profile=profile.name if profile else None,
        automatic=automatic,
    )


def _next_id(shop: Shop) -> int:
    return max(shop.rentals.highest_id + 1, (shop.mark % 900 + 100) * 10_000)


def _asked_price(price: int, profile: Profile) -> int:
    return price * profile.over_price_percent // 100 if profile.over_price_percent else price
