"""Buying a number in the words of the protocol, and giving it to whom it is still owed."""

from functools import partial
from typing import Any

import msgspec

from numberdesk.accounts import service as accounts
from numberdesk.base.log import note
from numberdesk.base.money import Paise, format_rupees
from numberdesk.catalogue import service as catalogue
from numberdesk.compat._activations import told_flag, told_time
from numberdesk.compat._asked import INR, Asked, Delivery
from numberdesk.compat._choice import CHOICES_MAX, Wanted, ceiling_of, cheapest, fingerprint
from numberdesk.compat._wire import Parameters, Reply, json_reply, text_reply
from numberdesk.compat._words import Refusal
from numberdesk.orders import service as orders
from numberdesk.orders.model import Card
from numberdesk.orders.service import Bought, Trade
from numberdesk.providers.model import ANY_OPERATOR

YES = ("1", "true")
ANYWHERE = ("any", "")
CHOSEN = ("number", "areas")
"""A number of one's choice, or of some areas: relatives of the protocol sell that. A `duration` is for rentals."""
REPLAYED = (b"idempotent-replayed", b"true")


async def get_number(asked: Asked) -> Delivery:
    """Buy a number and answer with its id and digits."""
    return await _buy(asked, wants_object=False)


async def get_number_v2(asked: Asked) -> Delivery:
    """Buy a number and answer with all that is known of it."""
    return await _buy(asked, wants_object=True)


async def get_multi_service_number(asked: Asked) -> Reply:
    """Refuse one number for several services, once it is sure that all of them are known: it is not sold here."""
    words = [word.strip() for word in (asked.parameters.word("multiService", "service") or "").split(",")]
    seen = catalogue.assortment(asked.desk.shelf, asked.account_id)
    if not all(words):
        raise Refusal("BAD_SERVICE")
    for word in words[:CHOICES_MAX]:
        seen.service(word)
    raise Refusal("NOT_AVAILABLE")


async def _buy(asked: Asked, *, wants_object: bool) -> Delivery:
    accounts.refuse_spending(asked.caller)
    return await buy(asked, read_wish(asked), wants_object=wants_object)


async def buy(asked: Asked, wanted: Wanted, *, wants_object: bool) -> Delivery:
    """Buy what is wanted, where it costs least."""
    _refuse_what_nobody_sells(asked.parameters, is_rental=wanted.hours is not None)
    trade = Trade(
        asked.account_id, wanted.service, lambda: cheapest(asked.desk, asked.account_id, wanted),
        fingerprint(asked.caller, wanted), wants_object, _reference(asked.parameters),
        asked.ip,
    )  # fmt: skip
    return await carry_out(asked, trade)


async def carry_out(asked: Asked, trade: Trade) -> Delivery:
    """Buy, and answer so that a client that is gone gets it the next time."""
    bought = await orders.trade(asked.desk, trade, gone=asked.leaving.watch())

    return Delivery(
        asked.account_id,
        bought_reply(asked, bought),
        told=partial(orders.note_delivered, asked.desk, trade, bought),
        lost=partial(orders.note_undelivered, asked.desk, trade, bought),
    )


def bought_reply(asked: Asked, bought: Bought) -> Reply:
    """Return what a purchase is answered with."""
    order = bought.card.order
    note(order_id=order.id)
    headers = (REPLAYED,) if bought.is_replayed else ()
    if order.hours is not None:
        reply = json_reply(rental_object(asked, bought.card))
    elif bought.wants_object:
        reply = json_reply(number_object(asked, bought.card))
    else:
        reply = text_reply(f"ACCESS_NUMBER:{order.id}:{order.number}")
    return Reply(reply.body, reply.status, reply.is_json, headers)


def number_object(asked: Asked, card: Card) -> dict[str, Any]:
    """Return the one shape that all readers understand; each of them minds other fields of it."""
    order = card.order
    began = order.activated_at or order.created_at
    shown: dict[str, Any] = {
        "activationId": order.id,
        "phoneNumber": order.number or "",
        "activationCost": msgspec.Raw(format_rupees(order.price_paise).encode()),
        "currency": INR,
        "countryCode": str(order.country),
        "canGetAnotherSms": told_flag(order.can_get_next),
        "activationTime": told_time(began),
        "activationOperator": order.operator or ANY_OPERATOR,
        "serviceCode": order.service,
        "activationEndTime": None if order.expires_at is None else order.expires_at.replace(microsecond=0),
        "activationCancel": told_time(order.cancel_allowed_at),
        "activationEnd": told_time(order.expires_at),
    }
    reference = orders.reference_of(order)
    return shown if reference is None else shown | {"orderId": reference}


def rental_object(asked: Asked, card: Card) -> dict[str, Any]:
    """Return a rental in its own shape and in that of a number side by side: readers of either understand it."""
    order = card.order
    ends = None if order.expires_at is None else order.expires_at.strftime("%Y-%m-%dT%H:%M:%S")
    phone = {"id": order.id, "endDate": ends, "number": order.number or ""}
    return {"status": "success", "phone": phone} | number_object(asked, card) | {"subtype": 2}


def read_wish(asked: Asked, *, hours: int | None = None) -> Wanted:
    """Read what is wanted; with `hours`, of a rental."""
    parameters = asked.parameters
    service = parameters.word("service")
    if service is None:
        raise Refusal("BAD_SERVICE")
    country = parameters.word("country")
    operators = _several(parameters.word("operator", "carriers"))
    servers = _several(parameters.word("providerIds"))
    return Wanted(
        service,
        None if country is None or country.casefold() in ANYWHERE else country,
        () if any(word.casefold() == ANY_OPERATOR for word in operators) else operators,
        servers,
        _ceiling(parameters),
        _left_out(parameters.word("exceptProviderIds")),
        hours,
    )


def _several(text: str | None) -> tuple[str, ...]:
    words = dict.fromkeys(word.strip() for word in (text or "").split(","))
    return tuple(word for word in words if word)[:CHOICES_MAX]


def _left_out(text: str | None) -> tuple[str, ...]:
    """Return all of the words: of what is not wanted none may be passed over."""
    if text == "?":
        raise Refusal("BAD_DATA", info={"field": "exceptProviderIds"})
    return tuple({word.strip() for word in (text or "").split(",")} - {""})


def _ceiling(parameters: Parameters) -> Paise | None:
    """Return the highest price; one that is no amount is refused as one below all prices: it must not become any."""
    text = parameters.word("maxPrice", "max_price")
    if text is None:
        return None
    ceiling = ceiling_of(text)
    return Paise(0) if ceiling is None else ceiling


def _refuse_what_nobody_sells(parameters: Parameters, *, is_rental: bool) -> None:
    """Refuse wishes that would cost money and could not be met."""
    if parameters.word("phoneException") is not None:
        raise Refusal("WRONG_EXCEPTION_PHONE")
    if any(parameters.word(name) is not None for name in CHOSEN):
        raise Refusal("NO_NUMBERS")
    if not is_rental and parameters.word("duration") is not None:
        raise Refusal("NO_NUMBERS")
    is_call = (parameters.word("activationType") or "0") != "0"
    named = ("forward", "verification", "incomingCall")
    if is_call or any((parameters.word(name) or "").casefold() in YES for name in named):
        raise Refusal("NO_NUMBERS")


def _reference(parameters: Parameters) -> str | None:
    text = parameters.word("orderId")
    if text is None:
        return None
    if len(text) > orders.REFERENCE_MAX or not (text.isascii() and text.isprintable()) or text == "?":
        raise Refusal("BAD_DATA", info={"field": "orderId"})
    return text
