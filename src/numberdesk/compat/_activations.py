"""What is done with an activation: read it, ask for one more code, finish it, give it back."""

from datetime import datetime
from typing import Any

from numberdesk.base.calls import ID_MAX
from numberdesk.compat._asked import TIME, Asked
from numberdesk.compat._wire import NO_CONTENT, Reply, json_reply, text_reply
from numberdesk.compat._words import INTERNAL, Refusal
from numberdesk.orders import service as orders
from numberdesk.orders.model import Card, Message, OrderId

READY, AGAIN, FINISH, CANCEL, PLAIN_CANCEL = "1", "3", "6", "8", "-1"
END_SECONDS = 5.0
"""How long a cancel waits for an order that is just expiring: the code may win, and then nothing is given back."""


async def get_status(asked: Asked) -> Reply:
    """Say where an activation stands, with its last code."""
    card = await _card(asked, "NO_ACTIVATION")
    if card.order.ended_at is not None:
        return text_reply("STATUS_CANCEL")
    if not card.messages:
        return text_reply("STATUS_WAIT_CODE")
    word = "STATUS_WAIT_RETRY" if orders.is_waiting(card) else "STATUS_OK"
    return text_reply(f"{word}:{told_code(card.messages[-1])}")


async def get_status_v2(asked: Asked) -> Reply:
    """Say the same with the message; while none is there it is null, which all readers understand."""
    card = await _card(asked, "NO_ACTIVATION")
    if card.order.ended_at is not None:
        raise Refusal("STATUS_CANCEL")
    sms = None
    if card.messages:
        last = card.messages[-1]
        sms = {"dateTime": told_time(last.received_at), "code": bare_code(last), "text": last.text}
    return json_reply({"verificationType": 0, "sms": sms, "call": None})


async def get_full_sms(asked: Asked) -> Reply:
    """Return the text of the last message."""
    card = await _card(asked, "NO_ACTIVATION")
    if card.order.ended_at is not None:
        return text_reply("STATUS_CANCEL")
    if not card.messages:
        return text_reply("STATUS_WAIT_CODE")
    last = card.messages[-1]
    return text_reply(f"FULL_SMS:{last.text or last.code}")


async def get_all_sms(asked: Asked) -> Reply:
    """List the messages of an activation that goes on."""
    card = await _card(asked, "WRONG_ACTIVATION_ID")
    if card.order.ended_at is not None:
        raise Refusal("ACTIVATION_NOT_ACTIVE")
    size = min(asked.parameters.whole("size", "limit") or 100, 100)
    page = max(asked.parameters.whole("page") or 1, 1)
    shown = card.messages[(page - 1) * size : page * size]
    listed = [
        {
            "id": f"{card.order.id}-{message.ordinal}", "phoneFrom": "", "code": bare_code(message),
            "text": message.text, "service": card.order.service, "date": told_time(message.received_at), "type": "sms",
        }
        for message in shown
    ]  # fmt: skip
    meta = {"page": min(page, 10**6), "size": size, "total": len(card.messages)}
    return json_reply({"data": listed, "meta": meta})


async def set_status(asked: Asked) -> Reply:
    """Change an activation as its status number says."""
    card = await _card(asked, "WRONG_ACTIVATION_ID")
    status = asked.parameters.word("status")
    if status == READY:
        if card.order.ended_at is not None:
            raise Refusal("BAD_STATUS")
        return text_reply("ACCESS_READY")
    if status == AGAIN:
        await orders.next_code(asked.desk, account_id=asked.account_id, order_id=card.order.id)
        return text_reply("ACCESS_RETRY_GET")
    if status == FINISH:
        await orders.finish(asked.desk, account_id=asked.account_id, order_id=card.order.id)
        return text_reply("ACCESS_ACTIVATION")
    if status in (CANCEL, PLAIN_CANCEL):
        await _cancel(asked, card)
        return text_reply("ACCESS_CANCEL")
    raise Refusal("BAD_STATUS")


async def finish_activation(asked: Asked) -> Reply:
    """Finish; hero answers with nothing."""
    card = await _card(asked, "WRONG_ACTIVATION_ID")
    await orders.finish(asked.desk, account_id=asked.account_id, order_id=card.order.id)
    return _done(asked, "ACCESS_ACTIVATION")


async def cancel_activation(asked: Asked) -> Reply:
    """Cancel; hero answers with nothing."""
    await _cancel(asked, await _card(asked, "WRONG_ACTIVATION_ID"))
    return _done(asked, "ACCESS_CANCEL")


async def not_renewed(asked: Asked) -> Reply:
    """Refuse to sell a number once more: no provider of ours promises that."""
    await _card(asked, "WRONG_ACTIVATION_ID")
    raise Refusal("RENEW_ACTIVATION_NOT_AVAILABLE")


async def no_second_service(asked: Asked) -> Reply:
    """Refuse a second service on the same number."""
    await _card(asked, "WRONG_ACTIVATION_ID")
    raise Refusal("WRONG_ADDITIONAL_SERVICE")


async def not_incoming(asked: Asked) -> Reply:
    """Refuse to tell of calls: these numbers receive messages."""
    await _card(asked, "INVALID_ACTIVATION_ID")
    raise Refusal("NOT_INCOMING")


async def no_call(asked: Asked) -> Reply:
    """Refuse to work on a call that there cannot be."""
    await _card(asked, "INVALID_ACTIVATION_ID")
    raise Refusal("NO_CALL")


async def _cancel(asked: Asked, card: Card) -> None:
    desk, order_id = asked.desk, card.order.id
    if card.order.state == "expiring":
        await desk.board.changed(order_id, timeout=END_SECONDS)
        card = await orders.get(desk, account_id=asked.account_id, order_id=order_id)
    if card.order.state in ("cancelled", "expired", "failed"):
        return  # its money is back, and a repeat moves none
    try:
        card = await orders.cancel(desk, account_id=asked.account_id, order_id=order_id)
    except orders.NotCancellable as problem:
        if problem.order_status in ("expired", "failed") and await _has_ended_unpaid(asked, order_id):
            return
        raise Refusal("BAD_STATUS", hero="OTP_RECEIVED" if problem.order_status == "received" else None) from None
    if card.order.state == "cancelling":
        # The provider is silent. We go on asking it, and a code may still win: nothing is promised before.
        raise Refusal(INTERNAL, hero="TOO_EARLY", headers=((b"retry-after", b"5"),))


async def _has_ended_unpaid(asked: Asked, order_id: OrderId) -> bool:
    card = await orders.get(asked.desk, account_id=asked.account_id, order_id=order_id)
    return card.order.state in ("cancelled", "expired", "failed")


async def _card(asked: Asked, otherwise: str) -> Card:
    """Return the activation that the request names; `otherwise` is the word for what is no id."""
    number = asked.parameters.whole("id", "activationId")
    if number is None or not 0 < number <= ID_MAX:
        raise Refusal(otherwise, info={"field": "id"})
    return await orders.get(asked.desk, account_id=asked.account_id, order_id=OrderId(number))


def _done(asked: Asked, word: str) -> Reply:
    return Reply(b"", NO_CONTENT) if asked.dialect == "hero" else text_reply(word)


def told_code(message: Message) -> str:
    """Return a code as the protocol can carry it: without colons, which clients split at, and never with a word of the
    protocol in it, which some look for anywhere. A message without a code is told by its text.
    """
    return bare_code(message) or " ".join(message.text.replace("_", " ").replace(":", " ").split())


def bare_code(message: Message) -> str:
    """Return a code beside its text: empty when the message has none, which all readers understand."""
    return " ".join(message.code.replace(":", " ").split())


def told_time(at: datetime | None) -> str:
    """Write a time as clients read it."""
    return "" if at is None else at.strftime(TIME)


def told_flag(flag: bool) -> str:
    """Write yes or no as clients read it."""
    return "1" if flag else "0"


def status_number(card: Card) -> str:
    """Return the protocol's number of a state: 4 waiting, 2 has a message, 6 finished, 8 cancelled, 10 refunded."""
    if card.order.refunded_at is not None:
        return "10"
    numbers: dict[str, str] = {"received": "2", "completed": "6", "cancelled": "8", "expired": "10", "failed": "10"}
    if card.order.state == "received" and not card.messages:
        return "4"
    return numbers.get(card.order.state, "4")


def as_item(card: Card, **more: Any) -> dict[str, Any]:
    """Return what every list has of an activation."""
    order = card.order
    return {
        "activationId": str(order.id),
        "serviceCode": order.service,
        "phoneNumber": order.number or "",
        "activationStatus": status_number(card),
        "activationTime": told_time(order.activated_at or order.created_at),
        "countryCode": str(order.country),
        "canGetAnotherSms": told_flag(order.can_get_next),
    } | more
