"""Answer as a 5sim v1 server does: words in the path, JSON for what worked, bare texts for what did not.

What is not documented is chosen: 404 for an order nobody knows, 400 for the other errors, and an order that was
cancelled answers a repeated cancel like the first time. A banned number is a cancelled one afterwards. The number of
a live order is told as RECEIVED although no message came, because real servers do that and clients trip over it.
"""

import hmac
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

import msgspec

from numberdesk.providers.simulator.activations import Activation, Message
from numberdesk.providers.simulator.answers import Answer, json_answer, rupees
from numberdesk.providers.simulator.catalogue import COUNTRIES, SERVICES, Country, Offer
from numberdesk.providers.simulator.protocol import parse_rupees
from numberdesk.providers.simulator.shop import Shop, Wish
from numberdesk.providers.simulator.wire import Asked, Call, Intent, integer

_PRODUCTS = (
    "tg=telegram wa=whatsapp go=google ig=instagram fb=facebook tw=twitter ds=discord lf=tiktok vi=viber "
    "mm=microsoft am=amazon nf=netflix ub=uber wx=apple oi=tinder vk=vkontakte ok=odnoklassniki ot=other "
    "ts=paypal hw=alipay ew=nike uk=airbnb mt=steam dr=openai acz=claude "
)
PRODUCTS: Final[Mapping[str, str]] = MappingProxyType(dict(pair.split("=", 1) for pair in _PRODUCTS.split()))
PLACES: Final[Mapping[int, tuple[str, str]]] = MappingProxyType(
    {
        22: ("india", "+91"),
        6: ("indonesia", "+62"),
        16: ("england", "+44"),
        187: ("usa", "+1"),
        0: ("russia", "+7"),
        2: ("kazakhstan", "+7"),
        4: ("philippines", "+63"),
        10: ("vietnam", "+84"),
        15: ("poland", "+48"),
        43: ("germany", "+49"),
        73: ("brazil", "+55"),
        33: ("colombia", "+57"),
    }
)
"""What a country is called, and how its numbers begin."""

_CODES: Final = {product: code for code, product in PRODUCTS.items()}
_NUMBERS: Final = {name: number for number, (name, _) in PLACES.items()}
_SENTENCES: Final = MappingProxyType(
    {
        "NO_BALANCE": "not enough user balance",
        "WRONG_OPERATOR": "bad operator",
        "BAD_COUNTRY": "country is incorrect",
        "BAD_SERVICE": "product is incorrect",
        "CHANNELS_LIMIT": "not enough rating",
    }
)
_ENDED: Final = MappingProxyType({"finished": "FINISHED", "cancelled": "CANCELED", "expired": "TIMEOUT"})
_LIMIT_USUAL: Final = 100
_NOTHING: Final = Answer(b"404 page not found", status=404)
_UNKNOWN_ORDER: Final = Answer(b"order not found", status=404)
_NO_PHONES: Final = Answer(b"no free phones")


def _error(text: str, status: int = 400) -> Answer:
    return Answer(text.encode(), status=status)


ERROR_WORDS: Final = (
    _NO_PHONES,
    _error("not enough user balance"),
    _error("not enough rating"),
    _error("api limit is 100 requests per second", 429),
    _error("ip address limit is 100 requests per second", 503),
    _error("server offline"),
    _error("internal error", 500),
    _error("too many requests", 429),
    _error("maintenance", 200),
)


@dataclass(frozen=True, slots=True)
class FiveSim:
    """The 5sim protocol, version 1, as its server."""

    @property
    def path(self) -> str:
        """The version, which stands before every call."""
        return "/v1"

    @property
    def error_words(self) -> tuple[Answer, ...]:
        """Refusals of the protocol, and texts that stand in no list."""
        return ERROR_WORDS

    def stranger(self, asked: Asked, api_key: bytes) -> Answer | None:
        """Refuse by status 401; what guests may read needs no key."""
        if asked.path.startswith("/v1/guest/"):
            return None
        given = asked.headers.get("authorization", "")
        is_known = hmac.compare_digest(given.encode(), b"Bearer " + api_key)
        return None if is_known else _error("unauthorized", 401)

    def intent(self, asked: Asked) -> Intent:
        """Say what a call is about."""
        match _segments(asked):
            case ["user", "buy", *_]:
                return "buy"
            case ["user", "finish" | "cancel" | "ban", _]:
                return "change"
            case _:
                return "read"

    def answer(self, call: Call) -> Answer:
        """Carry out the call that the path names."""
        match _segments(call.asked):
            case ["guest", *rest]:
                return _for_guests(call, rest)
            case ["user", "profile"]:
                return _profile(call)
            case ["user", "orders"]:
                return _orders(call)
            case ["user", "buy", "activation", _, _, _]:
                return _buy(call)
            case ["user", "sms", "inbox", upstream_id]:
                return _with_order(call, upstream_id, _inbox)
            case ["user", "check", upstream_id]:
                return _with_order(call, upstream_id, _told)
            case ["user", "finish", upstream_id]:
                return _with_order(call, upstream_id, _finish)
            case ["user", "cancel", upstream_id]:
                return _with_order(call, upstream_id, _cancel)
            case ["user", "ban", upstream_id]:
                return _with_order(call, upstream_id, _ban)
            case _:
                return _NOTHING

    def swallow(self, call: Call, reason: str) -> None:
        """Write down what a fault kept from taking effect."""
        action = "/".join(_segments(call.asked)[:2])
        match self.intent(call.asked):
            case "buy":
                wish = wish_of(call)
                found = None if isinstance(wish, str) else wish
                call.shop.refuse(action=action, reason=reason, wish=found, profile=call.profile)
            case "change":
                order = call.shop.shelf.find(integer(_segments(call.asked)[-1]))
                activation_id = order.id if order is not None else None
                call.shop.refuse(action=action, reason=reason, activation_id=activation_id, profile=call.profile)
            case "read":
                pass


def wish_of(call: Call) -> Wish | str:
    """Read what a purchase asks for, or return the shop's word for what is wrong with it.

    A ceiling counts for any operator only; for a named one it is ignored.
    """
    segments = _segments(call.asked)
    if len(segments) != 6:
        return "BAD_ACTION"
    country, operator, product = segments[3:]
    number, code = _NUMBERS.get(country), _CODES.get(product)
    if number is None:
        return "BAD_COUNTRY"
    offer = call.shop.offers.get((code or "", number))
    if offer is None:
        return "BAD_SERVICE"
    ceiling = call.get("maxPrice") if operator == "any" else ""
    return Wish(
        action="user/buy",
        offer=offer,
        operator=operator,
        # A ceiling that is no number admits no price: it must not turn into "any price".
        ceiling_paise=(parse_rupees(ceiling) or 0) if ceiling else None,
        order_ref=None,
    )


def _buy(call: Call) -> Answer:
    wish = wish_of(call)
    if isinstance(wish, str):
        call.shop.refuse(action="user/buy", reason=wish, profile=call.profile)
        return _error(_SENTENCES.get(wish, "bad request"))
    bought = call.shop.buy(wish, profile=call.profile, draw=call.draw)
    if isinstance(bought, str):
        # Nothing is left at a price below the ceiling: it is the same as nothing being left.
        word = bought.partition(":")[0]
        return _NO_PHONES if word in ("NO_NUMBERS", "WRONG_MAX_PRICE") else _error(_SENTENCES.get(word, word.lower()))
    return json_answer(_order(call.shop, bought, waiting="PENDING"))


def _told(call: Call, order: Activation) -> Answer:
    return json_answer(_order(call.shop, order) | ({} if order.messages else {"sms": []}))


def _finish(call: Call, order: Activation) -> Answer:
    if call.shop.change(order, "finish") == "ACCESS_ACTIVATION":
        return json_answer(_order(call.shop, order))
    return _error("order no sms") if order.is_live else _not_live(order)


def _cancel(call: Call, order: Activation) -> Answer:
    if order.state == "expired":
        return _not_live(order)
    match call.shop.change(order, "cancel"):
        case "ACCESS_CANCEL":
            return json_answer(_order(call.shop, order))
        case "EARLY_CANCEL_DENIED":
            return _error("you need to wait time")
        case _:
            return _error("order has sms")


def _ban(call: Call, order: Activation) -> Answer:
    answer = _cancel(call, order)
    return json_answer(_order(call.shop, order) | {"status": "BANNED"}) if answer.is_json else answer


def _not_live(order: Activation) -> Answer:
    return _error("order expired") if order.state == "expired" else _UNKNOWN_ORDER


def _with_order(call: Call, upstream_id: str, step: Callable[[Call, Activation], Answer]) -> Answer:
    order = call.shop.shelf.find(integer(upstream_id))
    return step(call, order) if order is not None else _UNKNOWN_ORDER


def _inbox(call: Call, order: Activation) -> Answer:
    listed = [
        {"ID": number, **_sms(order, number, message), "is_wave": False, "wave_uuid": ""}
        for number, message in enumerate(order.messages, 1)
    ]
    return json_answer({"Data": listed, "Total": len(listed)})


def _orders(call: Call) -> Answer:
    shelf = call.shop.shelf
    is_asked = call.get("category") == "activation"
    ids = sorted((*shelf.live, *shelf.ended), reverse=call.get("reverse") == "true") if is_asked else []
    start, limit = max(0, integer(call.get("offset"))), integer(call.get("limit"))
    page = ids[start : start + (limit if limit > 0 else _LIMIT_USUAL)]
    listed = [_order(call.shop, order) for number in page if (order := shelf.find(number)) is not None]
    return json_answer({"Data": listed, "ProductNames": [], "Statuses": [], "Total": len(ids)})


def _profile(call: Call) -> Answer:
    shelf = call.shop.shelf
    frozen = sum(order.cost_paise for order in shelf.live.values() if order.state == "waiting")
    return json_answer(
        {
            "id": 1,
            "email": "buyer@example.com",
            "vendor": "",
            "default_forwarding_number": "",
            "balance": _number(shelf.balance_paise),
            "frozen_balance": _number(frozen),
            "rating": 96,
            "default_country": {"name": "india", "iso": "in", "prefix": "+91"},
            "default_operator": {"name": ""},
            "last_order": "india:telegram:any:1:18.5",
            "last_top_orders": "[india:telegram:any:1:18.5]",
            "last_top_idx": 0,
            "did_order": True,
            "total_active_orders": len(shelf.live),
        }
    )


def _for_guests(call: Call, rest: list[str]) -> Answer:
    match rest:
        case ["countries"]:
            return json_answer({PLACES[country.number][0]: _country(country) for country in COUNTRIES.values()})
        case ["products", country, _]:
            offers = [offer for offer in call.shop.offers.values() if country in ("any", _place(offer))]
            return json_answer(_products(offers, is_empty=call.shows_no_stock))
        case ["prices"]:
            return _prices(call, country=call.get("country"), product=call.get("product"))
        case _:
            return _NOTHING


def _prices(call: Call, *, country: str, product: str) -> Answer:
    """List prices by country, product and operator; a product asked for alone comes first."""
    listed: dict[str, dict[str, object]] = defaultdict(dict)
    for offer in call.shop.offers.values():
        place, name = _place(offer), PRODUCTS[offer.service.code]
        if country in ("", place) and product in ("", name):
            outer, inner = (name, place) if product and not country else (place, name)
            listed[outer][inner] = _by_operator(offer, is_empty=call.shows_no_stock)
    return json_answer(listed or None)


def _by_operator(offer: Offer, *, is_empty: bool) -> dict[str, object]:
    """Share the stock of an offer among the operators of its country, the first of which has the odd ones."""
    operators = offer.country.operators
    share, odd = divmod(0 if is_empty else offer.count, len(operators))
    first: dict[str, object] = {
        "cost": _number(offer.cost_paise),
        "count": share + odd,
        "rate": 54.3,
        "rate24": 51.72,
        "rate720": 60,
    }
    # Too few orders: no rate is told.
    others = {name: {"cost": _number(offer.cost_paise), "count": share} for name in operators[1:]}
    return {operators[0]: first, **others}


def _products(offers: Iterable[Offer], *, is_empty: bool) -> dict[str, object]:
    listed: dict[str, dict[str, object]] = {}
    for offer in sorted(offers, key=lambda offer: -offer.cost_paise):
        count = 0 if is_empty else offer.count
        name = PRODUCTS[offer.service.code]
        listed[name] = {"Category": "activation", "Qty": count, "Price": _number(offer.cost_paise)}
    return dict(listed)


def _country(country: Country) -> dict[str, object]:
    # Clients take the first four as they are, and all after them for operators.
    return {
        "iso": {country.iso.lower(): 1},
        "prefix": {PLACES[country.number][1]: 1},
        "text_en": country.name,
        "text_ru": country.name,
        **{operator: {"activation": 1} for operator in country.operators},
    }


def _order(shop: Shop, order: Activation, *, waiting: str = "RECEIVED") -> dict[str, object]:
    return {
        "id": order.id,
        "phone": f"+{order.phone}",
        "operator": order.operator,
        "product": PRODUCTS[SERVICES[order.service].code],
        "price": _number(order.cost_paise),
        "status": _ENDED.get(order.state, "RECEIVED" if order.messages else waiting),
        "expires": _time(order.sold_at + shop.rules.lifetime),
        "sms": [_sms(order, number, message) for number, message in enumerate(order.messages, 1)] or None,
        "created_at": _time(order.sold_at),
        "forwarding": False,
        "forwarding_number": "",
        "country": PLACES[order.country][0],
    }


def _sms(order: Activation, number: int, message: Message) -> dict[str, object]:
    at = _time(message.at)
    return {
        "id": order.id * 100 + number,
        "created_at": at,
        "date": at,
        "sender": SERVICES[order.service].name,
        "text": message.text,
        "code": message.code,
    }


def _place(offer: Offer) -> str:
    return PLACES[offer.country.number][0]


def _time(at: datetime) -> str:
    """Write a time in UTC with the nine digits of the real server, the last three of them made up."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f") + "469Z"


def _number(paise: int) -> msgspec.Raw:
    return msgspec.Raw(rupees(paise).encode())


def _segments(asked: Asked) -> list[str]:
    return asked.path.removeprefix("/v1/").split("/") if asked.path.startswith("/v1/") else []
