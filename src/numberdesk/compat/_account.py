"""What a key has: its balance, what goes on, and what was."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from numberdesk.base import clock
from numberdesk.base.money import format_rupees
from numberdesk.compat._activations import as_item, status_number, told_code, told_time
from numberdesk.compat._asked import INR, Asked
from numberdesk.compat._wire import Reply, json_reply, text_reply
from numberdesk.compat._words import Refusal
from numberdesk.orders import service as orders
from numberdesk.orders.model import Card
from numberdesk.wallet import service as wallet

HISTORY_RANGE = timedelta(days=30)
HISTORY_PAGE, HISTORY_MAX, OFFSET_MAX = 50, 100, 1_000_000
SECONDS_MAX, EARLIEST_YEAR = 10**11, 1970


async def get_balance(asked: Asked) -> Reply:
    """Say what can be spent now, with two decimals."""
    purse = await wallet.balance(asked.desk.db, asked.account_id)
    return text_reply(f"ACCESS_BALANCE:{format_rupees(purse.available_paise)}")


async def get_active_activations(asked: Asked) -> Reply:
    """List what goes on and has a number, all of it unless a part is asked for."""
    open_ = asked.desk.board.open_of(asked.account_id)
    # Rentals have a list of their own: who reads both must not find one of them in this one.
    cards = [card for card in open_ if card.order.number is not None and card.order.hours is None]
    start, limit = asked.parameters.whole("start"), asked.parameters.whole("limit")
    cards = cards[start or 0 :][:limit]
    listed = [_item(asked, card) for card in cards]
    if asked.dialect == "grizzly":
        return json_reply(listed)
    if asked.dialect == "hero":
        return json_reply({"status": "success", "data": listed})
    if not listed:
        return text_reply("NO_ACTIVATIONS")
    # Some readers know the one name, some the other.
    return json_reply({"status": "success", "activeActivations": listed, "data": listed})


def _item(asked: Asked, card: Card) -> dict[str, Any]:
    order = card.order
    codes = [told_code(message) for message in card.messages]
    last = card.messages[-1] if card.messages else None
    country = asked.desk.shelf.contents_of(asked.account_id).countries.get(order.country)  # type: ignore[call-overload]
    more: dict[str, Any] = {
        "activationCost": msgspec.Raw(format_rupees(order.price_paise).encode()),
        "smsCode": (codes[-1] if codes else None) if asked.dialect == "hero" else (codes or None),
        "smsText": None if last is None else last.text,
        "discount": "0.00",
        "repeated": "0",
        "countryName": str(order.country) if country is None else country.name,
        "currency": INR,
    }
    reference = orders.reference_of(order)
    return as_item(card, **(more if reference is None else more | {"orderId": reference}))


async def get_history(asked: Asked) -> Reply:
    """List the orders of at most 30 days, newest first."""
    now = clock.now()
    until = _moment(asked, "end", usual=now)
    since = _moment(asked, "start", usual=until - HISTORY_RANGE)
    if since > until or until - since > HISTORY_RANGE:
        raise Refusal("WRONG_DATE")
    limit = asked.parameters.whole("limit", "size")
    cards, _ = await orders.list_page(
        asked.desk,
        account_id=asked.account_id,
        since=since,
        until=until,
        offset=min(asked.parameters.whole("offset") or 0, OFFSET_MAX),
        limit=max(1, min(HISTORY_PAGE if limit is None else limit, HISTORY_MAX)),
    )
    listed = [_past(card) for card in cards]
    if asked.dialect == "grizzly":
        return json_reply(listed)
    # The official form is the bare list, and the only client that asks for it in the classic dialect breaks on that.
    return json_reply({"status": "success", "data": listed})


def _past(card: Card) -> dict[str, Any]:
    order = card.order
    is_paid = order.state in ("received", "completed") and order.refunded_at is None
    return {
        "id": str(order.id),
        "date": told_time(order.created_at),
        "phone": order.number or "",
        "sms": card.messages[-1].text or told_code(card.messages[-1]) if card.messages else None,
        "code": told_code(card.messages[-1]) if card.messages else None,
        "cost": msgspec.Raw(format_rupees(order.price_paise).encode() if is_paid else b"0.00"),
        "status": status_number(card),
        "currency": INR,
        "service": order.service,
        "operator": order.operator,
        "country": order.country,
    }


def _moment(asked: Asked, name: str, *, usual: datetime) -> datetime:
    """Read a time: seconds since 1970, or a date with a time, which is UTC unless it says otherwise."""
    text = asked.parameters.word(name)
    if text is None:
        return usual
    seconds = asked.parameters.whole(name)
    try:
        if seconds is not None:
            if seconds > SECONDS_MAX:
                raise ValueError
            return datetime.fromtimestamp(seconds, UTC)
        found = datetime.fromisoformat(text)
        if found.year < EARLIEST_YEAR:
            raise ValueError
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        raise Refusal("WRONG_DATE") from None
