"""What a customer does: profile, purchases, orders, their messages, and payments."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import Caller
from numberdesk.base.errors import InvalidFields
from numberdesk.base.log import note
from numberdesk.base.money import Paise, format_rupees
from numberdesk.compat._asked import Delivery, Leaving
from numberdesk.compat._choice import Wanted, ceiling_of, cheapest, fingerprint
from numberdesk.compat._purchase import REPLAYED, YES
from numberdesk.compat._wire import Parameters, Reply, json_reply
from numberdesk.compat.five_sim._wire import (
    NO_PHONES,
    ORDER_NOT_FOUND,
    WAIT,
    amount,
    error,
    order_id_of,
    whole,
)
from numberdesk.compat.five_sim._words import Names
from numberdesk.orders import service as orders
from numberdesk.orders.model import Card, Message, OrderState
from numberdesk.orders.service import Desk, Trade
from numberdesk.providers.model import ANY_OPERATOR
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import SANDBOX_OFFSET, AccountId, is_sandbox

PAGE_USUAL, PAGE_MAX, OFFSET_MAX = 15, 100, 100_000
ANYWHERE = "any"
RATING = 96
"""The best there is at 5sim. Nobody is rated here, and clients want a number."""
NO_ORDER = ":::0:0"
"""The last order of somebody who has none: clients count its parts."""
_STATUS: Mapping[OrderState, str] = {
    "requested": "PENDING", "unknown": "PENDING", "active": "PENDING", "cancelling": "PENDING", "expiring": "PENDING",
    "received": "RECEIVED", "completed": "FINISHED", "cancelled": "CANCELED", "expired": "TIMEOUT",
    "failed": "CANCELED",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Customer:
    """Who calls, and what answers."""

    desk: Desk
    caller: Caller
    names: Names
    query: Parameters
    leaving: Leaving
    ip: str


async def profile(customer: Customer) -> Reply:
    """Read the profile with the money."""
    account_id = customer.caller.account_id
    # A sandbox's own address is under a name that clients refuse.
    owner_id = AccountId(account_id - SANDBOX_OFFSET) if is_sandbox(account_id) else account_id
    person = await accounts.get_person(customer.desk.db, owner_id)
    purse = await wallet.balance(customer.desk.db, account_id)
    newest, total = await orders.list_page(customer.desk, account_id=account_id, limit=1)
    last = _last_order(customer.names, newest[0]) if newest else NO_ORDER
    return json_reply(
        {
            "id": account_id,
            "email": person.email,
            "vendor": "",
            "default_forwarding_number": "",
            "balance": amount(purse.available_paise),
            "frozen_balance": amount(purse.held_paise),
            "rating": RATING,
            "default_country": {"name": "india", "iso": "in", "prefix": "+91"},
            "default_operator": {"name": ""},
            # Not documented, and clients read them.
            "last_order": last,
            "last_top_orders": f"[{last}]",
            "last_top_idx": 0,
            "did_order": total > 0,
            "total_active_orders": await orders.count_open(customer.desk, account_id=account_id),
        }
    )


def _last_order(names: Names, card: Card) -> str:
    order = card.order
    price = format_rupees(order.price_paise)
    return ":".join((_place(names, card), _product(names, card), order.operator or ANY_OPERATOR, str(order.id), price))


async def buy(customer: Customer, country: str, operator: str, product: str) -> Reply | Delivery:
    """Buy a number. A ceiling counts for every operator; 5sim forgets it when one is named.

    A client that hangs up gets it with its next purchase alike, and so does one that was told `internal error`.
    """
    accounts.refuse_spending(customer.caller)
    desk, caller, names, query = customer.desk, customer.caller, customer.names, customer.query
    wanted = Wanted(
        names.service(product),
        None if country.casefold() == ANYWHERE else names.country(country),
        () if operator.casefold() == ANY_OPERATOR else (operator,),
        ceiling=_ceiling(query.word("maxPrice")),
    )
    if any((query.word(name) or "").casefold() in YES for name in ("forwarding", "voice")):
        return NO_PHONES  # calls would cost money, and none could come
    trade = Trade(
        caller.account_id,
        wanted.service,
        lambda: cheapest(desk, caller.account_id, wanted),
        fingerprint(caller, wanted),
        ip=customer.ip,
    )
    bought = await orders.trade(desk, trade, gone=customer.leaving.watch())
    note(order_id=bought.card.order.id)
    reply = json_reply(_order(names, bought.card))
    headers = (REPLAYED,) if bought.is_replayed else ()
    return Delivery(
        caller.account_id,
        replace(reply, headers=headers),
        told=partial(orders.note_delivered, desk, trade, bought),
        lost=partial(orders.note_undelivered, desk, trade, bought),
    )


def _ceiling(text: str | None) -> Paise | None:
    if text is None:
        return None
    ceiling = ceiling_of(text)
    if ceiling is None:
        # It must not turn into "any price".
        raise InvalidFields({"maxPrice": "It is no amount of rupees."})
    return ceiling


async def check(customer: Customer, number: str) -> Reply:
    """Read an order."""
    order_id = order_id_of(number)
    if order_id is None:
        return ORDER_NOT_FOUND
    card = await orders.get(customer.desk, account_id=customer.caller.account_id, order_id=order_id)
    return json_reply(_order(customer.names, card))


async def finish(customer: Customer, number: str) -> Reply:
    """Finish an order that has its message."""
    return await _change(customer, number, orders.finish, "order no sms")


async def cancel(customer: Customer, number: str) -> Reply:
    """Cancel an order and get its money back."""
    return await _change(customer, number, orders.cancel, "order has sms")


async def ban(customer: Customer, number: str) -> Reply:
    """Give a number back because it was of no use; it is a cancel that says so."""
    return await _change(customer, number, orders.cancel, "order has sms", status="BANNED")


async def _change(customer: Customer, number: str, verb: Any, otherwise: str, *, status: str | None = None) -> Reply:
    order_id = order_id_of(number)
    if order_id is None:
        return ORDER_NOT_FOUND
    try:
        card = await verb(customer.desk, account_id=customer.caller.account_id, order_id=order_id)
    except (orders.NotCancellable, orders.NotPossibleNow) as problem:
        if problem.order_status in ("expired", "failed"):
            return error("order expired")
        return WAIT if verb is orders.cancel and problem.order_status == "pending" else error(otherwise)
    if card.order.state == "cancelling":
        # The provider is silent. We go on asking it, and a code may still win: nothing is promised before.
        return WAIT
    shown = _order(customer.names, card)
    return json_reply(shown if status is None else shown | {"status": status})


VERBS: Mapping[str, Callable[[Customer, str], Awaitable[Reply]]] = {
    "check": check,
    "finish": finish,
    "cancel": cancel,
    "ban": ban,
}
"""What is done with one order, by the words of the protocol."""


async def inbox(customer: Customer, number: str) -> Reply:
    """Read the messages of an order."""
    order_id = order_id_of(number)
    if order_id is None:
        return ORDER_NOT_FOUND
    card = await orders.get(customer.desk, account_id=customer.caller.account_id, order_id=order_id)
    listed = [
        {"ID": item["id"], **item, "is_wave": False, "wave_uuid": ""}
        for item in (_sms(customer.names, card, message) for message in card.messages)
    ]
    return json_reply({"Data": listed, "Total": len(listed)})


async def list_orders(customer: Customer) -> Reply:
    """List orders, newest first; `reverse=false` as some clients always send it means the same."""
    query = customer.query
    if (query.word("category") or "activation").casefold() != "activation":
        return json_reply({"Data": [], "ProductNames": [], "Statuses": [], "Total": 0})
    cards, total = await orders.list_page(
        customer.desk,
        account_id=customer.caller.account_id,
        limit=whole(query.get("limit"), usual=PAGE_USUAL, most=PAGE_MAX),
        offset=whole(query.get("offset"), usual=0, most=OFFSET_MAX),
        is_oldest_first=query.get("reverse") == "true",
    )
    listed = [_order(customer.names, card) for card in cards]
    return json_reply({"Data": listed, "ProductNames": [], "Statuses": [], "Total": total})


async def list_payments(customer: Customer) -> Reply:
    """List what changed the balance, newest first: the lines of the statement."""
    query = customer.query
    limit = whole(query.get("limit"), usual=PAGE_USUAL, most=PAGE_MAX)
    db, account_id = customer.desk.db, customer.caller.account_id
    total, page = await asyncio.gather(
        wallet.count_transactions(db, account_id=account_id),
        wallet.list_transactions(
            db, account_id=account_id, type=None, state=None, since=None, until=None,
            cursor=None, limit=limit, offset=whole(query.get("offset"), usual=0, most=OFFSET_MAX),
        ),
    )  # fmt: skip
    listed = [
        {
            "ID": line.version, "TypeName": line.type, "ProviderName": "numberdesk",
            "Amount": amount(line.amount_paise), "Balance": amount(line.balance_after_paise),
            "CreatedAt": _time(line.at),
        }
        for line in page
    ]  # fmt: skip
    kinds = [{"Name": name} for name in sorted({line.type for line in page})]
    return json_reply(
        {"Data": listed, "PaymentTypes": kinds, "PaymentProviders": [{"Name": "numberdesk"}], "Total": total}
    )


def reuse() -> Reply:
    """Refuse to sell a number again: no provider of ours promises that."""
    return error("reuse not possible")


def hosting() -> Reply:
    """Refuse hosting: numbers are rented for a named service here, and 5sim's are for all."""
    return NO_PHONES


def _order(names: Names, card: Card) -> dict[str, Any]:
    order = card.order
    return {
        "id": order.id,
        "phone": f"+{order.number}" if order.number else "",
        "operator": order.operator or ANY_OPERATOR,
        "product": _product(names, card),
        "price": amount(order.price_paise),
        "status": _STATUS[order.state],
        "expires": _time(order.expires_at or order.ended_at or order.created_at),
        "sms": [_sms(names, card, message) for message in card.messages] or None,
        "created_at": _time(order.created_at),
        "forwarding": False,
        "forwarding_number": "",
        "country": _place(names, card),
    }


def _sms(names: Names, card: Card, message: Message) -> dict[str, Any]:
    at = _time(message.received_at)
    return {
        "id": card.order.id * 100 + message.ordinal,
        "created_at": at,
        "date": at,
        "sender": _product(names, card),
        "text": message.text or message.code,
        "code": message.code,
    }


def _product(names: Names, card: Card) -> str:
    return names.products.get(card.order.service, card.order.service)  # type: ignore[call-overload, no-any-return]


def _place(names: Names, card: Card) -> str:
    return names.places.get(card.order.country, str(card.order.country))  # type: ignore[call-overload, no-any-return]


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
