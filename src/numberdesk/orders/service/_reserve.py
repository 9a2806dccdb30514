"""Reserving: the order and the hold of its price, in one transaction, before anybody asks a provider."""

from collections.abc import Mapping, Sequence

from numberdesk.base.db import Tx
from numberdesk.base.errors import AppError
from numberdesk.conduct import service as conduct
from numberdesk.conduct.model import Purchase, PurchaseRules, Spent
from numberdesk.maintenance import service as maintenance
from numberdesk.maintenance.model import Intent
from numberdesk.maintenance.service import Switches
from numberdesk.orders import sql
from numberdesk.orders.model import HELD_FOR, Card, Order, Reservation
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import HoldWanted


def purpose(attempt: int) -> str:
    """Name the hold of one attempt; each attempt has its own, since the next offer may cost something else."""
    return f"number:{attempt}"


async def reserve(
    tx: Tx, items: Sequence[Reservation], *, switches: Switches, limits: PurchaseRules | None = None
) -> list[Card | AppError]:
    """Write orders in state `requested` with their money held; a request seen before gives its order again.

    Each item that is closed, above a limit of its account, or cannot be paid is refused alone and leaves no order.
    """
    known = {_key(order): order for order in await sql.list_requested(tx, items)}
    fresh: dict[tuple[int, str, int], Reservation] = {}
    for item in items:
        if _key(item) not in known:
            fresh.setdefault(_key(item), item)
    refusals = await _closed(tx, fresh, switches) if fresh else {}
    fresh = {key: item for key, item in fresh.items() if key not in refusals}
    refusals |= await _limited(tx, fresh, limits) if fresh else {}
    fresh = {key: item for key, item in fresh.items() if key not in refusals}
    if fresh:
        order_ids = await sql.next_order_ids(tx, len(fresh))
        answers = await wallet.hold(
            tx,
            [
                HoldWanted(item.account_id, order_id, purpose(1), item.offer.price_paise)
                for order_id, item in zip(order_ids, fresh.values(), strict=True)
            ],
        )
        unpaid = {key: answer for key, answer in zip(fresh, answers, strict=True) if answer is not None}
        if unpaid:
            # The wallet may have been empty because another process was just buying for the same request.
            for order in await sql.list_requested(tx, [fresh[key] for key in unpaid]):
                known[_key(order)] = order
                del unpaid[_key(order)]
        if unpaid and limits is not None:
            await conduct.take_back(tx, [Spent(fresh[key].account_id, fresh[key].ip) for key in unpaid])
        refusals |= unpaid
        paid = [
            (order_id, item)
            for order_id, item in zip(order_ids, fresh.values(), strict=True)
            if _key(item) not in refusals and _key(item) not in known
        ]
        if paid:
            orders = await sql.insert_orders(tx, [order_id for order_id, _ in paid], [item for _, item in paid])
            known.update((_key(order), order) for order in orders)
            notes = [(item.account_id, item.request_key, item.note) for _, item in paid if item.note is not None]
            if notes:
                await sql.insert_held(tx, notes, held_for=HELD_FOR)
    return [refusals[_key(item)] if _key(item) in refusals else Card(known[_key(item)]) for item in items]


_Refusals = dict[tuple[int, str, int], AppError]


async def _closed(tx: Tx, fresh: Mapping[tuple[int, str, int], Reservation], switches: Switches) -> _Refusals:
    intents = [
        Intent("buy", item.account_id, item.offer.provider_id, item.offer.service, item.offer.country)
        for item in fresh.values()
    ]
    answers = await maintenance.find_closed(tx, switches, intents)
    return {key: answer for key, answer in zip(fresh, answers, strict=True) if answer is not None}


async def _limited(
    tx: Tx, fresh: Mapping[tuple[int, str, int], Reservation], limits: PurchaseRules | None
) -> _Refusals:
    wanted = [Purchase(item.account_id, item.offer.country, item.ip) for item in fresh.values()]
    answers = await conduct.admit(tx, limits, wanted)
    return {key: answer for key, answer in zip(fresh, answers, strict=True) if answer is not None}


async def uncount(tx: Tx, failing: Sequence[Order]) -> None:
    """Take purchases that fail out of what is counted by network and payer, before wallets are locked."""
    places = [(order, None if order.ip is None else str(order.ip)) for order in failing]
    await conduct.take_back(tx, [Spent(order.account_id, ip, order.created_at) for order, ip in places])


def _key(item: Reservation | Order) -> tuple[int, str, int]:
    return item.account_id, item.request_key, item.request_item
