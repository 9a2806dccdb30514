"""Answer the actions of the SMS-Activate protocol: parameters in, a word or JSON out."""

import hmac
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from types import MappingProxyType
from typing import Final

from numberdesk.providers.simulator import answers, rental_actions
from numberdesk.providers.simulator.activations import Activation
from numberdesk.providers.simulator.answers import Answer, json_answer, word
from numberdesk.providers.simulator.catalogue import SERVICES, Offer
from numberdesk.providers.simulator.shop import Change, Shop, Wish
from numberdesk.providers.simulator.wire import Asked, Call, Intent, integer

_DECIMAL = re.compile(r"(\d{1,9})(?:\.(\d{1,9}))?", re.ASCII)
ERROR_WORDS: Final = (
    "NO_BALANCE",
    "BANNED:'2030-01-01 00-00-00'",
    "ERROR_SQL",
    "CHANNELS_LIMIT",
    "ACCOUNT_INACTIVE",
    "MAINTENANCE_IN_PROGRESS",
    "TEMPORARY_ERROR:17",
    "Too many connections",
)
_CHANGES: Final[Mapping[str, Change]] = MappingProxyType(
    {"1": "ready", "3": "retry", "6": "finish", "8": "cancel", "-1": "cancel"}
)


PURCHASES: Final = frozenset({"getNumber", "getNumberV2"})
Action = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How one server of the family differs from the others.

    Attributes:
        actions: what it knows how to do.
        changes: those actions that change an activation, and as which `status` of setStatus; empty: it is asked.
        fixed: parameters that stand fast, whatever is asked; an empty one is taken no notice of.
        spelling: its own words for those of the protocol.
        statuses: the HTTP statuses of its words; 200 for the rest.
        json_kind: the type that every answer is labelled with where errors are JSON; empty where they are words.
        takes_header: the key may come as `Authorization: ApiKey`.
    """

    actions: Mapping[str, Action]
    changes: Mapping[str, str] = field(default_factory=lambda: {"setStatus": ""})
    fixed: Mapping[str, str] = field(default_factory=dict)
    spelling: Mapping[str, str] = field(default_factory=dict)
    statuses: Mapping[str, int] = field(default_factory=dict)
    json_kind: str = ""
    takes_header: bool = False


@dataclass(frozen=True, slots=True)
class SmsActivate:
    """The SMS-Activate protocol as its server, with the manners of one."""

    manners: Manners

    @property
    def path(self) -> str:
        """The one path of the protocol."""
        return "/stubs/handler_api.php"

    @property
    def error_words(self) -> tuple[Answer, ...]:
        """Refusals of the protocol, and words that stand in no list."""
        return tuple(self._say(word(text)) for text in ERROR_WORDS)

    def stranger(self, asked: Asked, api_key: bytes) -> Answer | None:
        """Refuse by the protocol's two words for keys."""
        key = asked.parameters.get("api_key", "")
        if not key and self.manners.takes_header:
            key = asked.headers.get("authorization", "").removeprefix("ApiKey ")
        if not key:
            return self._say(word("NO_KEY"))
        return None if hmac.compare_digest(key.encode(), api_key) else self._say(word("BAD_KEY"))

    def intent(self, asked: Asked) -> Intent:
        """Say what an action is about."""
        action = asked.parameters.get("action", "")
        if action in PURCHASES or action in rental_actions.PURCHASES:
            return "buy"
        return "change" if action in self.manners.changes or action == rental_actions.CHANGE else "read"

    def answer(self, call: Call) -> Answer:
        """Carry out the action that the parameters name."""
        call = self._as_heard(call)
        action = call.get("action")
        known = self.manners.actions.get(action)
        if call.asked.path != self.path:
            return Answer(b"There is nothing here.", status=404)
        if known is None:
            return self._say(word("BAD_ACTION" if action else "NO_ACTION"))
        return self._say(known(call))

    def swallow(self, call: Call, reason: str) -> None:
        """Write down what a fault kept from taking effect."""
        call = self._as_heard(call)
        action = call.get("action")
        if action in PURCHASES:
            wish = wish_of(call)
            call.shop.refuse(
                action=action, reason=reason, wish=None if isinstance(wish, str) else wish, profile=call.profile
            )
        elif action in rental_actions.PURCHASES or action == rental_actions.CHANGE:
            rental_actions.swallow(call, action, reason)
        elif action in self.manners.changes:
            found = _activation(call)
            activation_id = found.id if found else None
            call.shop.refuse(action=action, reason=reason, activation_id=activation_id, profile=call.profile)

    def _as_heard(self, call: Call) -> Call:
        status = self.manners.changes.get(call.get("action"), "")
        fixed = self.manners.fixed if not status else {**self.manners.fixed, "status": status}
        if not fixed:
            return call
        return replace(call, asked=replace(call.asked, parameters={**call.asked.parameters, **fixed}))

    def _say(self, answer: Answer) -> Answer:
        """Say a word as this server does; JSON and what has a status already stays, but for its label."""
        kind = self.manners.json_kind
        if answer.is_json or answer.status != 200:
            return replace(answer, kind=kind)
        heard, colon, detail = answer.body.decode().partition(":")
        told = self.manners.spelling.get(heard, heard)
        if told != heard:
            colon = detail = ""
        status = self.manners.statuses.get(told, 200)
        if not kind or status == 200:
            return Answer(f"{told}{colon}{detail}".encode(), status=status, kind=kind)
        info = {"min": detail} if told == "WRONG_MAX_PRICE" else {}
        problem = {"title": told, "details": told.replace("_", " ").capitalize(), "info": info}
        return replace(json_answer(problem, status=status), kind=kind)


def wish_of(call: Call) -> Wish | str:
    """Read what a purchase asks for, or return the wire word for what is wrong with it."""
    service = call.get("service")
    if service not in SERVICES:
        return "BAD_SERVICE"
    country = call.get("country")
    is_any = country in ("", "any")
    offer = _cheapest(call.shop, service) if is_any else call.shop.offers.get((service, integer(country)))
    if offer is None:
        return "BAD_COUNTRY"
    ceiling = call.get("maxPrice") or call.get("max_price")
    return Wish(
        action=call.get("action"),
        offer=offer,
        operator=call.get("operator") or call.get("carriers"),
        # A ceiling that is no number admits no price: it must not turn into "any price".
        ceiling_paise=(parse_rupees(ceiling) or 0) if ceiling else None,
        order_ref=call.get("orderId") or None,
    )


def parse_rupees(text: str) -> int | None:
    """Read rupees as paise, digits after the second decimal dropped; `None` if the text is no plain decimal."""
    found = _DECIMAL.fullmatch(text)
    return int(found[1]) * 100 + int(((found[2] or "") + "00")[:2]) if found else None


def _get_number(call: Call) -> Answer:
    bought = buy(call)
    return word(bought if isinstance(bought, str) else f"ACCESS_NUMBER:{bought.id}:{bought.phone}")


def _get_number_v2(call: Call) -> Answer:
    bought = buy(call)
    if isinstance(bought, str):
        return word(bought)
    return answers.bought_v2(bought, lifetime_end=bought.sold_at + call.shop.rules.lifetime)


def _get_status(call: Call) -> Answer:
    found = _activation(call)
    return word(answers.status(found) if found is not None else "NO_ACTIVATION")


def _get_status_v2(call: Call) -> Answer:
    found = _activation(call)
    return answers.status_v2(found) if found is not None else word("NO_ACTIVATION")


def set_status(call: Call) -> Answer:
    """Change an activation."""
    if integer(call.get("id")) <= 0:
        return word("WRONG_ACTIVATION_ID")
    found = _activation(call)
    if found is None:
        return word("NO_ACTIVATION")
    change = _CHANGES.get(call.get("status"))
    return word(call.shop.change(found, change) if change is not None else "BAD_STATUS")


def listed(call: Call, *, most: int = 0) -> list[Activation]:
    """Return what lives and what ended but is still shown, from `start` on, `limit` of them, but never above `most`."""
    shelf = call.shop.shelf
    start, limit = max(0, integer(call.get("start"))), integer(call.get("limit"))
    limit = min((part for part in (limit, most) if part > 0), default=0)
    everything = chain(shelf.live.values(), shelf.shown_late(time.monotonic()))
    return list(islice(everything, start, start + limit if limit else None))


def classic_list(call: Call, *, repeats_reference: bool) -> Answer:
    """List as SMS-Activate does."""
    found = listed(call)
    return answers.active_list(found, echo_order_id=repeats_reference) if found else word("NO_ACTIVATIONS")


def _get_prices(call: Call) -> Answer:
    return answers.prices(
        call.shop.offers,
        service=call.get("service"),
        country=call.get("country"),
        is_empty=call.shows_no_stock,
        is_extended=call.get("action") == "getPricesExtended",
    )


ACTIONS: Final[Mapping[str, Action]] = MappingProxyType(
    {
        "getBalance": lambda call: word(f"ACCESS_BALANCE:{answers.rupees(call.shop.shelf.balance_paise)}"),
        "getNumber": _get_number,
        "getNumberV2": _get_number_v2,
        "getStatus": _get_status,
        "getStatusV2": _get_status_v2,
        "setStatus": set_status,
        "getActiveActivations": lambda call: classic_list(call, repeats_reference=call.shop.rules.echo_order_id),
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


def buy(call: Call) -> Activation | str:
    """Sell what is asked for, or return the wire word of the refusal."""
    wish = wish_of(call)
    if isinstance(wish, str):
        call.shop.refuse(action=call.get("action"), reason=wish, profile=call.profile)
        return wish
    return call.shop.buy(wish, profile=call.profile, draw=call.draw)


def _activation(call: Call) -> Activation | None:
    return call.shop.shelf.find(integer(call.get("id")))


def _cheapest(shop: Shop, service: str) -> Offer | None:
    stocked = [offer for (code, _), offer in shop.offers.items() if code == service and offer.count]
    return min(stocked, key=lambda offer: offer.cost_paise, default=None)
