"""Numbers for hours or days in the words of the protocol.

Their refusals are JSON in every dialect but hero's, as the protocol has it. An id is an order's, as with numbers for a
code; what is asked here of one of those is refused as that of nobody's.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from hashlib import sha256
from typing import Any

import msgspec

from numberdesk.accounts import service as accounts
from numberdesk.base.calls import ID_MAX
from numberdesk.base.errors import NotFound
from numberdesk.base.money import format_rupees
from numberdesk.catalogue import service as catalogue
from numberdesk.catalogue.model import PricedOffer, ServiceCode
from numberdesk.compat._activations import told_code, told_time
from numberdesk.compat._asked import INR, Asked, Delivery, Handler
from numberdesk.compat._catalogue import number
from numberdesk.compat._purchase import ANYWHERE, YES, bought_reply, buy, read_wish
from numberdesk.compat._wire import Reply, json_reply
from numberdesk.compat._words import INTERNAL, Refusal
from numberdesk.orders import service as orders
from numberdesk.orders.model import Card, OrderId
from numberdesk.orders.service import HoursTrade
from numberdesk.providers.model import ANY_OPERATOR

HOURS_MIN, HOURS_MAX, HERO_HOURS_MAX = 2, 1344, 4320
USUAL = 4
"""Hours of a request that names none, as the protocol has it."""
FINISH, CANCEL = "1", "2"
PAGE, PAGE_MAX = 10, 100
NUMBER_MAX = 10**6


async def list_offers(asked: Asked) -> Reply:
    """Tell for how much numbers are rented for so many hours: in a country, or wherever it is cheapest."""
    hours, country = _hours(asked), _country(asked)
    everywhere = _offers(asked, hours)
    offers = everywhere if country is None else _offers(asked, hours, country=country)
    operators = frozenset(word.strip().casefold() for word in (asked.parameters.word("operator") or "").split(","))
    if operators - {""} and ANY_OPERATOR not in operators:
        offers = [offer for offer in offers if offer.operator.casefold() in operators]
    offers = [offer for offer in offers if offer.stock]
    if not offers:
        raise Refusal("OUT_OF_STOCK")
    names = [ANY_OPERATOR, *sorted({offer.operator.lower() for offer in offers} - {ANY_OPERATOR})]
    return json_reply(
        {
            "countries": _counted(sorted({offer.country for offer in everywhere if offer.stock})),
            "operators": _counted(names),
            "services": dict(sorted(_services(offers).items())),
            "currency": INR,
        }
    )


async def count_offers(asked: Asked) -> Reply:
    """Tell what a service costs by country and hours, as hero has it."""
    service, country = _service(asked), _country(asked)
    found: dict[int, dict[int, Any]] = {}
    for hours in catalogue.rental_hours(asked.desk.shelf, account_id=asked.account_id, service=service):
        for place, offers in _by(_offers(asked, hours, country=country, service=service), "country").items():
            found.setdefault(place, {})[hours] = _priced(offers)
    return json_reply(found)


async def rent(asked: Asked) -> Delivery:
    """Rent a number for some hours, and answer in both shapes that there are."""
    accounts.refuse_spending(asked.caller)
    _service(asked)
    return await buy(asked, read_wish(asked, hours=_hours(asked)), wants_object=True)


async def list_rented(asked: Asked) -> Reply:
    """List the rentals that go on, all of them unless a part is asked for."""
    open_ = asked.desk.board.open_of(asked.account_id)
    cards = [card for card in open_ if card.order.number is not None and card.order.hours is not None]
    if asked.parameters.word("length", "size") is not None:
        cards = _page(asked, cards, asked.parameters.whole("length", "size"))
    if not cards:
        raise Refusal("NO_NUMBERS")
    return json_reply({"status": "success", "values": _counted(map(_row, cards))})


async def get_status(asked: Asked) -> Reply:
    """Tell the messages of a rental, the newest first."""
    card = await _card(asked)
    if card.order.ended_at is not None:
        is_revoked = card.order.failure == "provider_cancelled"
        is_paid = card.order.state == "completed"
        raise Refusal("STATUS_REVOKE" if is_revoked else "STATUS_FINISH" if is_paid else "STATUS_CANCEL")
    if not card.messages:
        # No refusal: hero has it with status 200, too.
        word = "STATUS_WAIT_CODE"
        return json_reply({"status": "error", "message": word, "error": word, "info": {}})
    shown = _page(asked, list(reversed(card.messages)), asked.parameters.whole("size"))
    values = [
        {
            "phoneFrom": "", "text": message.text or told_code(message), "service": card.order.service,
            "date": told_time(message.received_at), "code": message.code,
        }
        for message in shown
    ]  # fmt: skip
    return json_reply({"status": "success", "quantity": str(len(card.messages)), "values": _counted(values)})


async def set_status(asked: Asked) -> Reply:
    """Finish a rental, or give it back."""
    card, status = await _card(asked), asked.parameters.word("status")
    if status not in (FINISH, CANCEL):
        raise Refusal("INCORECT_STATUS")
    if card.order.state == "completed":
        raise Refusal("ALREADY_FINISH")
    if card.order.ended_at is not None:
        raise Refusal("ALREADY_CANCEL")
    if status == CANCEL:
        await _cancel(asked, card.order.id)
    else:
        try:
            await orders.finish(asked.desk, account_id=asked.account_id, order_id=card.order.id)
        except (orders.NotPossibleNow, orders.BeingProlonged):
            # What received nothing yet and may still be given back is not thrown away.
            raise Refusal("INCORECT_STATUS") from None
    return json_reply({"status": "success"})


async def prolong(asked: Asked) -> Delivery:
    """Buy more hours for a rental; a client that hung up gets them with its next try."""
    accounts.refuse_spending(asked.caller)
    card, hours = await _card(asked), _hours(asked)
    if card.order.ended_at is not None:
        raise Refusal("RENT_DIE")
    told = msgspec.json.encode([asked.caller.key_id, "hours", card.order.id, hours])
    trade = HoursTrade(asked.account_id, card.order.id, hours, sha256(told).digest()[:16])
    bought = await orders.trade_hours(asked.desk, trade, gone=asked.leaving.watch())

    return Delivery(
        asked.account_id,
        bought_reply(asked, bought),
        told=partial(orders.note_hours_delivered, asked.desk, trade, bought.request_key),
        lost=partial(orders.note_hours_undelivered, asked.desk, trade, bought.request_key),
    )


async def tell_price(asked: Asked) -> Reply:
    """Tell what more hours of a rental cost now."""
    card, hours = await _card(asked), _hours(asked)
    if card.order.ended_at is not None:
        raise Refusal("RENT_DIE")
    paise = await orders.prolong_price(asked.desk, account_id=asked.account_id, order_id=card.order.id, hours=hours)
    told: dict[str, Any] = {"status": "success", "price": number(paise), "currency": INR, "hours": hours, "history": {}}
    if (asked.parameters.word("needHistory") or "").casefold() in YES:
        bought = await orders.list_prolongations(asked.desk, card)
        told["history"] = _counted(
            {"hours": item.hours, "price": number(item.price_paise), "date": told_time(item.settled_at)}
            for item in bought
            if item.state == "done"
        )
    return json_reply(told)


async def _cancel(asked: Asked, order_id: OrderId) -> None:
    try:
        card = await orders.cancel(asked.desk, account_id=asked.account_id, order_id=order_id)
    except orders.RentalKept:
        raise Refusal("CANT_CANCEL", hero="FREE_CANCELLATION_EXPIRED") from None
    except orders.NotCancellable as problem:
        raise Refusal("CANT_CANCEL", hero="OTP_RECEIVED" if problem.order_status == "received" else None) from None
    except orders.BeingProlonged:
        raise Refusal("CANT_CANCEL") from None
    if card.order.state == "cancelling":
        # The provider is silent. We go on asking it, and nothing is promised before.
        raise Refusal(INTERNAL, hero="TOO_EARLY", headers=((b"retry-after", b"5"),))


async def _card(asked: Asked) -> Card:
    """Return the rental that the request names."""
    known_as = asked.parameters.whole("id", "activationId")
    if known_as is None:
        raise Refusal("NO_ID_RENT")
    try:
        if not 0 < known_as <= ID_MAX:
            raise NotFound(what="order")
        card = await orders.get(asked.desk, account_id=asked.account_id, order_id=OrderId(known_as))
        if card.order.hours is None or card.order.number is None:
            raise NotFound(what="order")
    except NotFound:
        raise Refusal("INVALID_PHONE") from None
    return card


def _hours(asked: Asked) -> int:
    names = ("rent_time", "time", "duration", "hours")
    if asked.parameters.keys().isdisjoint(names):
        return USUAL  # one that is there and empty is no time: who sends it did not mean to buy so many hours
    hours, most = asked.parameters.whole(*names), HERO_HOURS_MAX if asked.dialect == "hero" else HOURS_MAX
    if hours is None or hours < HOURS_MIN:
        raise Refusal("INVALID_TIME", hero="BAD_DURATION")
    if hours > most:
        raise Refusal("MAX_HOURS_EXCEED", info={"max": most}, hero="BAD_DURATION")
    return hours


def _service(asked: Asked) -> ServiceCode:
    try:
        seen = catalogue.assortment(asked.desk.shelf, asked.account_id)
        return seen.service(asked.parameters.word("service") or "")
    except (catalogue.UnknownService, catalogue.ServiceBlocked, catalogue.ServiceOff):
        raise Refusal("BAD_SERVICE") from None


def _country(asked: Asked) -> str | None:
    word = asked.parameters.word("country")
    return None if word is None or word.casefold() in ANYWHERE else word


def _offers(asked: Asked, hours: int, *, country: str | None = None, service: str | None = None) -> list[PricedOffer]:
    try:
        return catalogue.list_rentals(
            asked.desk.shelf, account_id=asked.account_id, hours=hours, country=country, service=service
        )
    except catalogue.UnknownHours:
        return []


def _services(offers: list[PricedOffer]) -> dict[str, Any]:
    return {service: _priced(its) for service, its in _by(offers, "service").items()}


def _priced(offers: list[PricedOffer]) -> dict[str, Any]:
    """Return price and stock by the names of both dialects."""
    cost = number(min((not offer.stock, offer.price_paise) for offer in offers)[1])
    stock = sum(offer.stock for offer in offers)
    return {"cost": cost, "quant": stock, "price": cost, "retail_price": cost, "quantity": stock, "count": stock}


def _by(offers: Iterable[PricedOffer], name: str) -> dict[Any, list[PricedOffer]]:
    found: dict[Any, list[PricedOffer]] = {}
    for offer in offers:
        found.setdefault(getattr(offer, name), []).append(offer)
    return found


def _counted(items: Iterable[Any]) -> dict[str, Any]:
    """Return a list as the protocol writes it: an object with places as its keys."""
    return {str(place): item for place, item in enumerate(items)}


def _page(asked: Asked, items: list[Any], size: int | None) -> list[Any]:
    length = min(max(size or PAGE, 1), PAGE_MAX)
    page = min(max(asked.parameters.whole("page") or 1, 1), NUMBER_MAX)
    return items[(page - 1) * length : page * length]


def _row(card: Card) -> dict[str, Any]:
    """Return id and number, which all servers tell, and what else is known of a rental."""
    order = card.order
    row: dict[str, Any] = {
        "id": str(order.id), "phone": order.number, "service": order.service, "country": order.country,
        "cost": format_rupees(order.price_paise),
        "endDate": None if order.expires_at is None else order.expires_at.replace(microsecond=0),
    }  # fmt: skip
    reference = orders.reference_of(order)
    return row if reference is None else row | {"orderId": reference}


HANDLERS: Mapping[str, Handler] = {
    "getRentServicesAndCountries": list_offers,
    "getRentPrices": list_offers,
    "serviceCountRent": count_offers,
    "getRentNumber": rent,
    "getRentList": list_rented,
    "getRentStatus": get_status,
    "setRentStatus": set_status,
    "continueRentNumber": prolong,
    "continueRentInfo": tell_price,
    "getContinueRentPriceNumber": tell_price,
}
"""By the names of the protocol."""
