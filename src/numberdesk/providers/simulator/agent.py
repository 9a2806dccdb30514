"""Answer and post as the owner of a SIM bank does by the agent protocol: JSON in, JSON out, messages until SUCCESS.

What is not documented is chosen: the sentences of errors, and that a number with a message is not given back. Money is
counted as the shop counts it, although an agent is owed nothing before a number is finished.
"""

import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import repeat
from types import MappingProxyType
from typing import Any, Final

import msgspec

from numberdesk.providers.simulator.activations import Activation, Message
from numberdesk.providers.simulator.answers import Answer, json_answer
from numberdesk.providers.simulator.catalogue import COUNTRIES, SERVICES, Offers
from numberdesk.providers.simulator.shop import Change, Wish
from numberdesk.providers.simulator.wire import Asked, Call, Intent

_NAMED: Final = {12: "usa", 16: "england", 187: "usaphysical"}
COUNTRY_WORDS: Final[Mapping[int, str]] = MappingProxyType(
    {number: _NAMED.get(number) or re.sub("[^a-z]", "", place.name.lower()) for number, place in COUNTRIES.items()}
)
_NUMBERS: Final = {word: number for number, word in COUNTRY_WORDS.items()}
_CHANGES: Final[Mapping[int, Change]] = MappingProxyType({1: "cancel", 3: "finish", 4: "cancel", 5: "cancel"})
_DONE: Final = frozenset({"ACCESS_ACTIVATION", "ACCESS_CANCEL"})
_SOLD_OUT: Final = frozenset({"NO_NUMBERS", "WRONG_MAX_PRICE", "WRONG_OPERATOR", "CHANNELS_LIMIT", "NO_BALANCE"})
REPEAT_SECONDS: Final = 10.0
REPEATS_MAX: Final = 1000


def _error(sentence: str) -> Answer:
    return json_answer({"status": "ERROR", "error": sentence})


ERROR_WORDS: Final = (
    json_answer({"status": "NO_NUMBERS"}),
    _error("No active modems"),
    _error("Internal Server Error"),
    json_answer({"status": "MAINTENANCE"}),
    json_answer({"state": "busy"}),
)


class _Body(msgspec.Struct, rename="camel"):
    action: str = ""
    key: str = ""
    country: str = ""
    operator: str = ""
    service: str = ""
    sum: Decimal = Decimal(0)
    activation_id: int = 0
    status: int = 0


_BODY = msgspec.json.Decoder(_Body)


@dataclass(frozen=True, slots=True)
class Agent:
    """The agent protocol as its server: the side that has the numbers."""

    @property
    def path(self) -> str:
        """Nothing: an agent's address is its own."""
        return ""

    @property
    def error_words(self) -> tuple[Answer, ...]:
        """Refusals of the protocol, and answers that nobody has listed."""
        return ERROR_WORDS

    def stranger(self, asked: Asked, api_key: bytes) -> Answer | None:
        """Refuse by a sentence: the key stands in the body."""
        given = _read(asked).key
        return None if hmac.compare_digest(given.encode(), api_key) else _error("Invalid API key")

    def intent(self, asked: Asked) -> Intent:
        """Say what an action is about."""
        action = _read(asked).action
        return "buy" if action == "GET_NUMBER" else "change" if action == "FINISH_ACTIVATION" else "read"

    def answer(self, call: Call) -> Answer:
        """Carry out the action that the body names."""
        body = _read(call.asked)
        match body.action:
            case "GET_SERVICES":
                return _services(call.shop.offers, is_empty=call.shows_no_stock)
            case "GET_NUMBER":
                return _sell(call, body)
            case "FINISH_ACTIVATION":
                return _finish(call, body)
            case _:
                return _error("Unknown action")

    def swallow(self, call: Call, reason: str) -> None:
        """Write down what a fault kept from taking effect."""
        body = _read(call.asked)
        if body.action == "GET_NUMBER":
            wish = _wish_of(call, body)
            found = None if isinstance(wish, str) else wish
            call.shop.refuse(action=body.action, reason=reason, wish=found, profile=call.profile)
        elif body.action == "FINISH_ACTIVATION":
            activation = call.shop.shelf.find(body.activation_id)
            activation_id = activation.id if activation is not None else None
            call.shop.refuse(action=body.action, reason=reason, activation_id=activation_id, profile=call.profile)

    def push(self, activation: Activation, message: Message, api_key: str) -> bytes:
        """Write a PUSH_SMS; it names the number and not the activation."""
        return msgspec.json.encode(
            {
                "action": "PUSH_SMS",
                "key": api_key,
                "smsId": activation.id * 100 + activation.messages.index(message) + 1,
                "phone": int(activation.phone),
                "phoneFrom": SERVICES[activation.service].name,
                "text": message.text,
            }
        )

    def is_taken(self, status: int, body: bytes) -> bool:
        """Tell whether the shop has taken a message: by its word alone."""
        try:
            return status == 200 and msgspec.json.decode(body, type=dict[str, Any]).get("status") == "SUCCESS"
        except ValueError:
            return False

    def pauses(self, time_scale: float) -> Iterable[float]:
        """Return the seconds between one try and the next."""
        return repeat(REPEAT_SECONDS * time_scale, REPEATS_MAX)


def _read(asked: Asked) -> _Body:
    try:
        return _BODY.decode(asked.body)
    except (ValueError, ArithmeticError):
        return _Body()


def _services(offers: Offers, *, is_empty: bool) -> Answer:
    listed: dict[str, dict[str, dict[str, int]]] = {}
    for offer in offers.values():
        operators = offer.country.operators
        shares = listed.setdefault(COUNTRY_WORDS[offer.country.number], {})
        for place, operator in enumerate(operators):
            count = (offer.count + len(operators) - 1 - place) // len(operators)
            shares.setdefault(operator, {})[offer.service.code] = 0 if is_empty else count
    countries = [{"country": word, "operatorMap": shares} for word, shares in listed.items()]
    return json_answer({"status": "SUCCESS", "countryList": countries})


def _wish_of(call: Call, body: _Body) -> Wish | str:
    """Read what is wanted, or return what is wrong with it."""
    number = _NUMBERS.get(body.country)
    if number is None:
        return "Unknown country"
    offer = call.shop.offers.get((body.service, number))
    if offer is None:
        return "Unknown service"
    ceiling = int(body.sum * 100) if body.sum.is_finite() and 0 < body.sum < 10**9 else 0
    return Wish(action=body.action, offer=offer, operator=body.operator, ceiling_paise=ceiling, order_ref=None)


def _sell(call: Call, body: _Body) -> Answer:
    wish = _wish_of(call, body)
    if isinstance(wish, str):
        call.shop.refuse(action=body.action, reason=wish, profile=call.profile)
        return _error(wish)
    bought = call.shop.buy(wish, profile=call.profile, draw=call.draw)
    if isinstance(bought, str):
        is_sold_out = bought.partition(":")[0] in _SOLD_OUT
        return json_answer({"status": "NO_NUMBERS"}) if is_sold_out else _error(bought)
    return json_answer({"status": "SUCCESS", "number": int(bought.phone), "activationId": bought.id})


def _finish(call: Call, body: _Body) -> Answer:
    change, activation = _CHANGES.get(body.status), call.shop.shelf.find(body.activation_id)
    if change is None:
        return _error("Invalid status")
    if activation is None:
        return _error("Activation not found")
    told = call.shop.change(activation, change)
    return json_answer({"status": "SUCCESS"}) if told in _DONE else _error("The activation is in another state")
