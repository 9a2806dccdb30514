"""Answer the actions of the SMS-Activate protocol: parameters in, a word or JSON out."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from types import MappingProxyType
from typing import Final

from numberdesk.providers.simulator import answers
from numberdesk.providers.simulator.activations import Activation
from numberdesk.providers.simulator.answers import Answer, word
from numberdesk.providers.simulator.catalogue import SERVICES, Offer
from numberdesk.providers.simulator.profiles import PURCHASES, STATUS_CHANGES, Profile
from numberdesk.providers.simulator.shop import Change, Shop, Wish

_DECIMAL = re.compile(r"(\d{1,9})(?:\.(\d{1,9}))?", re.ASCII)
_CHANGES: Final[Mapping[str, Change]] = MappingProxyType(
    {"1": "ready", "3": "retry", "6": "finish", "8": "cancel", "-1": "cancel"}
)


@dataclass(frozen=True, slots=True)
class Call:
    """Hold one request: its parameters, the profile that rules it and its draws of chance."""

    shop: Shop
    parameters: Mapping[str, str]
    profile: Profile
    draw: tuple[float, ...]
    # Every profile in force is without stock, so the price list shows none either.
    shows_no_stock: bool

    def get(self, name: str) -> str:
        """Return a parameter, empty if it was not sent."""
        return self.parameters.get(name, "")


def answer(call: Call) -> Answer:
    """Carry out the action that the parameters name; the caller has checked the key."""
    action = call.get("action")
    known = ACTIONS.get(action)
    if known is None:
        return word("BAD_ACTION" if action else "NO_ACTION")
    return known(call)


def swallow(call: Call, reason: str) -> None:
    """Write down that a fault kept a purchase or a change of status from taking effect."""
    action = call.get("action")
    if action in PURCHASES:
        wish = wish_of(call)
        call.shop.refuse(
            action=action, reason=reason, wish=None if isinstance(wish, str) else wish, profile=call.profile
        )
    elif action in STATUS_CHANGES:
        found = _activation(call)
        call.shop.refuse(action=action, reason=reason, activation_id=found.id if found else None, profile=call.profile)


def wish_of(call: Call) -> Wish | str:
    """Read what a purchase asks for, or return the wire word for what is wrong with it."""
    service = call.get("service")
    if service not in SERVICES:
        return "BAD_SERVICE"
    country = call.get("country")
    is_any = country in ("", "any")
    offer = _cheapest(call.shop, service) if is_any else call.shop.offers.get((service, _integer(country)))
    if offer is None:
        return "BAD_COUNTRY"
    ceiling = call.get("maxPrice") or call.get("max_price")
    return Wish(
        action=call.get("action"),
        offer=offer,
        operator=call.get("operator"),
        # A ceiling that is no number admits no price: it must not turn into "any price".
        ceiling_paise=(parse_rupees(ceiling) or 0) if ceiling else None,
        order_ref=call.get("orderId") or None,
    )


def parse_rupees(text: str) -> int | None:
    """Read rupees as paise, digits after the second decimal dropped; `None` if the text is no plain decimal."""
    found = _DECIMAL.fullmatch(text)
    return int(found[1]) * 100 + int(((found[2] or "") + "00")[:2]) if found else None


def _get_number(call: Call) -> Answer:
    bought = _buy(call)
    return word(bought if isinstance(bought, str) else f"ACCESS_NUMBER:{bought.id}:{bought.phone}")


def _get_number_v2(call: Call) -> Answer:
    bought = _buy(call)
    if isinstance(bought, str):
        return word(bought)
    return answers.bought_v2(bought, lifetime_end=bought.sold_at + call.shop.rules.lifetime)


def _get_status(call: Call) -> Answer:
    found = _activation(call)
    return word(answers.status(found) if found is not None else "NO_ACTIVATION")


def _get_status_v2(call: Call) -> Answer:
    found = _activation(call)
    return answers.status_v2(found) if found is not None else word("NO_ACTIVATION")


def _set_status(call: Call) -> Answer:
    if _integer(call.get("id")) <= 0:
        return word("WRONG_ACTIVATION_ID")
    found = _activation(call)
    if found is None:
        return word("NO_ACTIVATION")
    change = _CHANGES.get(call.get("status"))
    return word(call.shop.change(found, change) if change is not None else "BAD_STATUS")


def _get_active_activations(call: Call) -> Answer:
    shelf = call.shop.shelf
    start, limit = max(0, _integer(call.get("start"))), _integer(call.get("limit"))
    everything = chain(shelf.live.values(), shelf.shown_late(time.monotonic()))
    listed = list(islice(everything, start, start + limit if limit > 0 else None))
    if not listed:
        return word("NO_ACTIVATIONS")
    return answers.active_list(listed, echo_order_id=call.shop.rules.echo_order_id)


def _get_prices(call: Call) -> Answer:
    return answers.prices(
        call.shop.offers,
        service=call.get("service"),
        country=call.get("country"),
        is_empty=call.shows_no_stock,
        is_extended=call.get("action") == "getPricesExtended",
    )


ACTIONS: Final[Mapping[str, Callable[[Call], Answer]]] = MappingProxyType(
    {
        "getBalance": lambda call: word(f"ACCESS_BALANCE:{answers.rupees(call.shop.shelf.balance_paise)}"),
        "getNumber": _get_number,
        "getNumberV2": _get_number_v2,
        "getStatus": _get_status,
        "getStatusV2": _get_status_v2,
        "setStatus": _set_status,
        "getActiveActivations": _get_active_activations,
        "getPrices": _get_prices,
        "getPricesExtended": _get_prices,
        "getCountries": lambda call: answers.countries(),
        "getServicesList": lambda call: answers.services(),
        "getOperators": lambda call: answers.operators(call.get("country")),
        "getNumbersStatus": lambda call: answers.stock(
            call.shop.offers, country=call.get("country"), is_empty=call.shows_no_stock
        ),
    }
)


def _buy(call: Call) -> Activation | str:
    wish = wish_of(call)
    if isinstance(wish, str):
        call.shop.refuse(action=call.get("action"), reason=wish, profile=call.profile)
        return wish
    return call.shop.buy(wish, profile=call.profile, draw=call.draw)


def _activation(call: Call) -> Activation | None:
    return call.shop.shelf.find(_integer(call.get("id")))


def _cheapest(shop: Shop, service: str) -> Offer | None:
    stocked = [offer for (code, _), offer in shop.offers.items() if code == service and offer.count]
    return min(stocked, key=lambda offer: offer.cost_paise, default=None)


def _integer(text: str) -> int:
    """Read digits as a number, anything else as -1, which names nothing."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else -1
