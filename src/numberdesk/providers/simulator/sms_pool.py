"""Answer as an SMSPool server does: forms in, JSON out, errors with `success` 0.

What is not documented is chosen: what an error of a wrong service, country or pool says, that an order which ended is
told by its status for a while, and that a cancel of it is an error. Pools are the operators of a country, in order.
"""

import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from numberdesk.providers.simulator.activations import Activation
from numberdesk.providers.simulator.answers import Answer, json_answer, rupees
from numberdesk.providers.simulator.catalogue import COUNTRIES, SERVICES, Country, Offer
from numberdesk.providers.simulator.protocol import parse_rupees
from numberdesk.providers.simulator.shop import Shop, Wish
from numberdesk.providers.simulator.wire import Asked, Call, Intent

_NAMES: Final = MappingProxyType(
    {
        "tg": (907, "Telegram"),
        "wa": (1012, "WhatsApp"),
        "go": (395, "Google/Gmail"),
        "ig": (457, "Instagram"),
        "fb": (329, "Facebook"),
        "tw": (948, "Twitter / X"),
        "ds": (273, "Discord"),
        "lf": (924, "TikTok"),
        "vi": (978, "Viber"),
        "mm": (1072, "Microsoft / Microsoft Rewards / Outlook "),
        "am": (39, "Amazon / Amazon Web Services"),
        "nf": (630, "Netflix"),
        "ub": (951, "Uber / Postmates"),
        "wx": (48, "Apple"),
        "oi": (926, "Tinder"),
        "vk": (985, "VK"),
        "ok": (659, "OKru"),
        "ot": (817, "Not Listed"),
        "ts": (703, "PayPal"),
        "hw": (35, "Alipay"),
        "ew": (639, "Nike"),
        "uk": (28, "Airbnb"),
        "mt": (868, "Steam"),
        "dr": (671, "OpenAI / ChatGPT"),
        "acz": (1371, "ClaudeAI"),
    }
)
SERVICE_IDS: Final[Mapping[str, int]] = MappingProxyType({code: number for code, (number, _) in _NAMES.items()})
COUNTRY_IDS: Final[Mapping[int, int]] = MappingProxyType(
    {187: 1, 16: 2, 0: 4, 2: 7, 6: 9, 10: 11, 4: 12, 22: 15, 15: 21, 43: 24, 33: 39, 73: 68}
)

_CODES: Final = {
    word: code for code, (number, name) in _NAMES.items() for word in (str(number), name.strip().casefold())
}
_NUMBERS: Final = {word: number for number, own in COUNTRY_IDS.items() for word in (str(own), COUNTRIES[number].iso)}
_POOLS: Final = ("Alpha", "Bravo", "Charlie", "Delta", "Echo", "Foxtrot")
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ID_LENGTH: Final = 8
_FREE: Final = frozenset({"/country/retrieve_all", "/service/retrieve_all"})
_CHANGES: Final = frozenset({"/sms/cancel", "/sms/resend"})
_PURCHASE: Final = "/purchase/sms"
_SOLD_OUT: Final = "We couldn't find an available phone number for you, please try again later!"


def _error(message: str, status: int = 400, *, kind: str = "") -> Answer:
    return json_answer({"success": 0, "message": message, **({"type": kind} if kind else {})}, status=status)


def _about(param: str, message: str, status: int = 400) -> Answer:
    return json_answer({"success": 0, "errors": [{"message": message, "param": param}]}, status=status)


ERROR_WORDS: Final = (
    _error(_SOLD_OUT, 422, kind="OUT_OF_STOCK"),
    _error("Insufficient balance, the price is: 0.24 while you only have: 0.00", 200, kind="BALANCE_ERROR"),
    _error("We could not find a suitable pool below the price of: 0.01", 422, kind="PRICE_NOT_FOUND"),
    _about("service", "You are missing a required parameter for this request."),
    _error("This pool is under maintenance.", 422, kind="POOL_ERROR"),
    _error("Something went wrong, please try again.", 200),
    _error("You are being rate limited.", 429),
    json_answer({"status": "maintenance"}),
)


@dataclass(frozen=True, slots=True)
class SmsPool:
    """The SMSPool protocol as its server."""

    @property
    def path(self) -> str:
        """Nothing: an address of this family is a root."""
        return ""

    @property
    def error_words(self) -> tuple[Answer, ...]:
        """Refusals of the protocol, and errors that stand in no list."""
        return ERROR_WORDS

    def stranger(self, asked: Asked, api_key: bytes) -> Answer | None:
        """Refuse by status 403; the names of countries and services need no key."""
        if asked.path in _FREE:
            return None
        given = asked.parameters.get("key") or asked.headers.get("authorization", "").removeprefix("Bearer ")
        if not given:
            return _about("key", "You are missing a required parameter for this request.")
        return None if hmac.compare_digest(given.encode(), api_key) else _about("key", "Invalid API key", 403)

    def intent(self, asked: Asked) -> Intent:
        """Say what a call is about."""
        return "buy" if asked.path == _PURCHASE else "change" if asked.path in _CHANGES else "read"

    def answer(self, call: Call) -> Answer:
        """Carry out the call that the path names."""
        known = _CALLS.get(call.asked.path)
        return known(call) if known is not None else _error("There is nothing here.", 404)

    def swallow(self, call: Call, reason: str) -> None:
        """Write down what a fault kept from taking effect."""
        action = call.asked.path.removeprefix("/")
        match self.intent(call.asked):
            case "buy":
                wish = wish_of(call)
                found = None if isinstance(wish, str) else wish
                call.shop.refuse(action=action, reason=reason, wish=found, profile=call.profile)
            case "change":
                order = call.shop.shelf.find(number_of(call.get("orderid")))
                activation_id = order.id if order is not None else None
                call.shop.refuse(action=action, reason=reason, activation_id=activation_id, profile=call.profile)
            case "read":
                pass


def order_code(number: int) -> str:
    """Write the number of an activation as the eight letters and digits of an order."""
    letters = ""
    while number:
        number, rest = divmod(number, len(_ALPHABET))
        letters = _ALPHABET[rest] + letters
    return letters.rjust(_ID_LENGTH, _ALPHABET[0])


def number_of(code: str) -> int:
    """Read the code of an order as the number of an activation, anything else as -1, which names nothing."""
    is_code = len(code) == _ID_LENGTH and all(letter in _ALPHABET for letter in code)
    return int(code, len(_ALPHABET)) if is_code else -1


def wish_of(call: Call) -> Wish | str:
    """Read what a purchase asks for, or return the name of the parameter that is wrong."""
    code = _CODES.get(call.get("service").strip().casefold())
    number = _NUMBERS.get(call.get("country").strip().upper())
    if number is None:
        return "country"
    offer = call.shop.offers.get((code or "", number))
    if offer is None:
        return "service"
    operator, pool = "any", call.get("pool")
    if pool:
        operators = offer.country.operators
        place = int(pool) if pool.isascii() and pool.isdecimal() and len(pool) < 3 else 0
        if not 0 < place <= len(operators):
            return "pool"
        operator = operators[place - 1]
    ceiling = call.get("max_price")
    return Wish(
        action="purchase/sms",
        offer=offer,
        operator=operator,
        # A ceiling that is no number admits no price: it must not turn into "any price".
        ceiling_paise=(parse_rupees(ceiling) or 0) if ceiling else None,
        order_ref=None,
    )


def _buy(call: Call) -> Answer:
    wish = wish_of(call)
    if isinstance(wish, str):
        call.shop.refuse(action="purchase/sms", reason=wish, profile=call.profile)
        missing = "You are missing a required parameter for this request."
        return _about(wish, f"Invalid {wish}" if call.get(wish) else missing)
    bought = call.shop.buy(wish, profile=call.profile, draw=call.draw)
    if isinstance(bought, str):
        return _refused(call, wish, bought.partition(":")[0])
    country, (_, name) = wish.offer.country, _NAMES[bought.service]
    cc = _calling_code(country)
    pool = country.operators.index(bought.operator)
    price = rupees(bought.cost_paise)
    return json_answer(
        {
            "success": 1,
            "number": int(bought.phone),
            "cc": cc,
            "phonenumber": bought.phone.removeprefix(cc),
            "order_id": order_code(bought.id),
            "country": country.name,
            "service": name,
            "pool": pool + 1,
            "expires_in": _seconds_left(call.shop, bought),
            "expiration": _expiration(call.shop, bought),
            "message": f"You have succesfully ordered a {name} number from pool: {_POOLS[pool]} for {price}.",
            "cost": price,
            "cost_in_cents": bought.cost_paise,
        }
    )


def _refused(call: Call, wish: Wish, word: str) -> Answer:
    match word:
        case "NO_NUMBERS":
            return _error(f"<p>Pool <b>{_POOLS[0]}</b>: <p>{_SOLD_OUT}</p></p>", 422, kind="OUT_OF_STOCK")
        case "WRONG_MAX_PRICE":
            below = f"We could not find a suitable pool below the price of: {call.get('max_price')}"
            return _error(below, 422, kind="PRICE_NOT_FOUND")
        case "NO_BALANCE":
            has, needs = rupees(call.shop.shelf.balance_paise), rupees(wish.offer.cost_paise)
            text = f"Insufficient balance, the price is: {needs} while you only have: {has}"
            return _error(f"<p>Pool <b>{_POOLS[0]}</b>: {text}</p>", 422, kind="BALANCE_ERROR")
        case _:
            return _error("You have too many open orders.", 422)


def _check(call: Call, order: Activation) -> Answer:
    told: dict[str, object] = {"expiration": _expiration(call.shop, order)}
    if order.messages and order.state in ("received", "finished"):
        last = order.messages[-1]
        return json_answer({"status": 3, "sms": last.code, "full_sms": last.text, **told})
    told |= {"resend": int(order.state == "retry"), "time_left": _seconds_left(call.shop, order)}
    match order.state:
        case "cancelled":
            return json_answer({"status": 6, "message": "This order has been refunded", **told})
        case "expired" | "finished":
            return json_answer({"status": 2, "message": "This order has expired", **told})
        case "retry":
            return json_answer({"status": 4, **told})
        case _:
            return json_answer({"status": 1, **told})


def _cancel(call: Call, order: Activation) -> Answer:
    if not order.is_live:
        return _error("This order cannot be refunded anymore.")
    match call.shop.change(order, "cancel"):
        case "ACCESS_CANCEL":
            price = rupees(order.cost_paise)
            message = f"The order has been cancelled, and you have been refunded {price} dollars."
            return json_answer({"success": 1, "message": message})
        case "EARLY_CANCEL_DENIED":
            return _error("Your order cannot be cancelled yet, please try again later.")
        case _:
            return _error("This order was already completed, you cannot refund this number.")


def _may_resend(call: Call, order: Activation) -> Answer:
    if order.state not in ("received", "retry"):
        return _error("This number cannot be resent at the moment, please try again later.")
    message = "This phonenumber is available for resend!"
    return json_answer({"success": 1, "message": message, "resends": 0, "resendCost": 0, "expires_in_hour": 0})


def _resend(call: Call, order: Activation) -> Answer:
    if call.shop.change(order, "retry") != "ACCESS_RETRY_GET":
        return _error("You can only re-send to a phonenumber that has received a SMS")
    message = "Your number has been requested again!"
    return json_answer({"success": 1, "message": message, "order_id": order_code(order.id), "charge": 0})


def _with_order(step: Callable[[Call, Activation], Answer]) -> Callable[[Call], Answer]:
    def carried_out(call: Call) -> Answer:
        if not call.get("orderid"):
            return _about("orderid", "You are missing a required parameter for this request.")
        order = call.shop.shelf.find(number_of(call.get("orderid")))
        return step(call, order) if order is not None else _error("This order could not be found.", 404)

    return carried_out


def _active(call: Call) -> Answer:
    shelf = call.shop.shelf
    return json_answer(
        [_row(call.shop, order) for order in (*shelf.live.values(), *shelf.shown_late(time.monotonic()))]
    )


def _row(shop: Shop, order: Activation) -> dict[str, object]:
    last = order.messages[-1] if order.messages and order.state != "retry" else None
    return {
        "cost": rupees(order.cost_paise),
        "order_code": order_code(order.id),
        "phonenumber": order.phone,
        "code": last.code if last is not None else "0",
        "full_code": last.text if last is not None else "",
        "short_name": COUNTRIES[order.country].iso,
        "service": _NAMES[order.service][1],
        "status": "refunded" if not order.is_live else "completed" if last is not None else "pending",
        "timestamp": order.sold_at.strftime("%Y-%m-%d %H:%M:%S"),
        "expiry": _expiration(shop, order),
        "time_left": _seconds_left(shop, order),
    }


def _pricing(call: Call) -> Answer:
    """List the prices of every pool; what is sold out is listed too."""
    country, service = call.get("country").strip().upper(), call.get("service").strip().casefold()
    listed = [
        entry
        for offer in call.shop.offers.values()
        if country in ("", offer.country.iso, str(COUNTRY_IDS[offer.country.number]))
        and _CODES.get(service, offer.service.code) == offer.service.code
        for entry in _by_pool(offer)
    ]
    return json_answer(listed)


def _by_pool(offer: Offer) -> list[dict[str, object]]:
    number, name = _NAMES[offer.service.code]
    return [
        {
            "country": COUNTRY_IDS[offer.country.number],
            "country_name": offer.country.name,
            "pool": pool,
            "price": rupees(offer.cost_paise),
            "service": number,
            "service_name": name,
            "short_name": offer.country.iso,
        }
        for pool in range(1, len(offer.country.operators) + 1)
    ]


def _countries(call: Call) -> Answer:
    listed = [
        {"ID": COUNTRY_IDS[number], "name": country.name, "region": "World", "short_name": country.iso}
        for number, country in COUNTRIES.items()
    ]
    return json_answer(listed)


def _services(call: Call) -> Answer:
    return json_answer([{"ID": _NAMES[code][0], "name": _NAMES[code][1], "favourite": 0} for code in SERVICES])


_CALLS: Final[Mapping[str, Callable[[Call], Answer]]] = MappingProxyType(
    {
        _PURCHASE: _buy,
        "/sms/check": _with_order(_check),
        "/sms/cancel": _with_order(_cancel),
        "/sms/check_resend": _with_order(_may_resend),
        "/sms/resend": _with_order(_resend),
        "/request/active": _active,
        "/request/balance": lambda call: json_answer({"balance": rupees(call.shop.shelf.balance_paise)}),
        "/request/pricing": _pricing,
        "/country/retrieve_all": _countries,
        "/service/retrieve_all": _services,
    }
)


def _calling_code(country: Country) -> str:
    """Return what all the numbers of a country begin with, as far as it is a calling code."""
    first = country.prefixes[0]
    return first[:1] if first[0] in "17" else first[:2]


def _end(shop: Shop, order: Activation) -> datetime:
    return order.sold_at + shop.rules.lifetime


def _expiration(shop: Shop, order: Activation) -> int:
    return int(_end(shop, order).timestamp())


def _seconds_left(shop: Shop, order: Activation) -> int:
    return max(0, int(order.sold_clock + shop.rules.lifetime.total_seconds() - time.monotonic()))
