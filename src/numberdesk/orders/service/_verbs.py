"""What a customer does with an order: read it, wait for its code, cancel, finish, ask for one more code, extend."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from numberdesk.base import clock
from numberdesk.base.errors import AppError, NotFound
from numberdesk.orders import sql
from numberdesk.orders.model import (
    CancelWanted,
    Card,
    Closing,
    Delivery,
    EndState,
    Exchange,
    Order,
    OrderId,
    OrderState,
    Status,
)
from numberdesk.orders.service._board import read_cards
from numberdesk.orders.service._close import (
    BeingProlonged,
    CancelTooEarly,
    NotPossibleNow,
    keep,
    not_cancellable,
    proof_of,
    told_status,
)
from numberdesk.orders.service._desk import Desk
from numberdesk.providers import service as providers
from numberdesk.providers.model import CodeWon, Done, Ended, TooEarly, TooLate, Unknown
from numberdesk.wallet.model import AccountId

LIST_MAX = 100
COUNT_MAX = 10_000
WAIT_MAX = 25.0
CANCEL_WAIT = 5.0
RETRY_CANCEL_SECONDS = 15


@dataclass(eq=False)
class NoMoreCodes(AppError):
    """The provider gives one code per number here."""

    status = 409
    code = "no_more_codes"
    category = "provider"
    message = "This number receives one code only."


@dataclass(eq=False)
class ProviderSilent(AppError):
    """The provider did not give a clear answer; nothing was changed here."""

    status = 503
    code = "provider_unavailable"
    category = "provider"
    message = "The provider does not answer at the moment. Nothing was changed."
    retry_after = 5


async def get(desk: Desk, *, account_id: AccountId, order_id: OrderId) -> Card:
    """Return an order of this account.

    Raises:
        NotFound: no such order, or somebody else's.
    """
    card = desk.board.find(order_id)
    if card is None:
        async with desk.db.statement() as tx:
            order = await sql.find_order(tx, order_id)
            if order is not None and order.account_id == account_id:
                card = (await read_cards(tx, [order]))[0]
                desk.board.put(card)
        # A newer one may have been put up meanwhile; waiting for a change of this one would sleep through it.
        card = desk.board.find(order_id) or card
    if card is None or card.order.account_id != account_id:
        raise NotFound(what="order")
    return card


def is_waiting(card: Card) -> bool:
    """Tell whether something may still come that its buyer waits for."""
    order = card.order
    if order.state == "received":
        return order.codes_wanted > len(card.messages)
    return order.ended_at is None


async def check(desk: Desk, *, account_id: AccountId, order_id: OrderId, wait: float) -> Card:
    """Return an order, at once or when the awaited code or its end came, at most `wait` seconds later.

    Answers from the board: no poll of a customer causes a query or an upstream call.

    Raises:
        NotFound: as in `get`.
    """
    card = await get(desk, account_id=account_id, order_id=order_id)
    until = clock.seconds() + min(wait, WAIT_MAX)
    while is_waiting(card):
        left = until - clock.seconds()
        if left <= 0 or not await desk.board.changed(order_id, timeout=left):
            break
        card = await get(desk, account_id=account_id, order_id=order_id)
    return card


async def list_orders(
    desk: Desk, *, account_id: AccountId, states: Sequence[OrderState] | None, cursor: int | None, limit: int
) -> list[Card]:
    """Return an account's orders, newest first, at most `limit` (up to `LIST_MAX`).

    Args:
        cursor: the id of the last order seen.
    """
    async with desk.db.statement() as tx:
        orders = await sql.list_account_orders(
            tx, account_id=account_id, states=states, before=cursor, limit=min(limit, LIST_MAX)
        )
        cards = {card.order.id: card for card in await read_cards(tx, orders)}
    return [cards[order.id] for order in orders]


async def list_page(
    desk: Desk,
    *,
    account_id: AccountId,
    limit: int,
    offset: int = 0,
    since: datetime | None = None,
    until: datetime | None = None,
    is_oldest_first: bool = False,
) -> tuple[list[Card], int]:
    """Return a part of an account's orders by its place in the list, and how many there are in all, up to a bound.

    For protocols that page so; our own lists go on from the last order seen.
    """
    async with desk.db.statement() as tx:
        orders = await sql.list_account_page(
            tx, account_id=account_id, since=since, until=until, is_oldest_first=is_oldest_first, offset=offset,
            limit=min(limit, LIST_MAX),
        )  # fmt: skip
        total = await sql.count_orders(tx, account_id, is_open=False, most=COUNT_MAX)
        cards = {card.order.id: card for card in await read_cards(tx, orders)}
    return [cards[order.id] for order in orders], total


async def count_open(desk: Desk, *, account_id: AccountId) -> int:
    """Return how many orders of an account go on, up to a bound."""
    async with desk.db.statement() as tx:
        return await sql.count_orders(tx, account_id, is_open=True, most=COUNT_MAX)


async def history(desk: Desk, card: Card) -> tuple[list[Exchange], str | None]:
    """Return what was asked of providers for an order, and as JSON how its offers were ranked."""
    async with desk.db.statement() as tx:
        exchanges = await sql.list_exchanges(tx, card.order.id, card.order.created_at)
        return exchanges, await sql.read_route(tx, card.order.id)


async def cancel(desk: Desk, *, account_id: AccountId, order_id: OrderId) -> Card:
    """Cancel an order and give its money back, unless a code wins.

    A repeat answers like the first time. While the provider gives no clear answer the order stays open as
    `cancelling`, and the worker goes on asking.

    Raises:
        NotFound: no such order, or somebody else's.
        CancelTooEarly: younger than allowed; says when.
        NotCancellable: a code came, or the order is over.
        RentalKept: the time in which this rental could be cancelled is over.
        BeingProlonged: more hours are being bought for it.
    """
    card = await desk.begin_cancel.call(CancelWanted(account_id, order_id))
    if card.order.state == "cancelling":
        known = desk.board.find(order_id)
        is_ours = known is None or known.order.changed_at < card.order.changed_at
        if is_ours:
            desk.show([card])
            card = await desk.db.to_the_end(settle_cancel(desk, card.order))
        else:
            if known is not None and known.order.changed_at == card.order.changed_at:
                await desk.board.changed(order_id, timeout=CANCEL_WAIT)
            card = await get(desk, account_id=account_id, order_id=order_id)
    else:
        desk.board.put(card)
    if card.order.state in ("received", "completed"):
        raise not_cancellable(card.order)
    if card.order.state == "active" and card.order.cancel_allowed_at is not None:
        raise CancelTooEarly(allowed_at=card.order.cancel_allowed_at, wait_seconds=RETRY_CANCEL_SECONDS)
    return card


async def settle_cancel(desk: Desk, order: Order) -> Card:
    """Ask the provider to cancel an order in state `cancelling` or `expiring`, and do what it answers."""
    assert order.upstream_id is not None
    answer = await providers.cancel(desk.lines, order.provider_id, order.upstream_id)
    match answer:
        case Done() | Ended():
            expected: frozenset[OrderState] = frozenset({"cancelling", "expiring"})
            state: EndState = "expired" if order.state == "expiring" else "cancelled"
            card = await desk.close.call(Closing(order.id, expected, state, proof=proof_of(answer)))
        case CodeWon():
            card = await _take_code(desk, order)
        case TooEarly() if order.state == "cancelling":
            async with desk.db.transaction() as tx:
                refused = await sql.set_cancel_refused(tx, order.id, wait_seconds=RETRY_CANCEL_SECONDS)
            card = Card(refused or order)
        case TooLate() if order.hours is not None:
            async with desk.db.transaction() as tx:
                card = await keep(tx, order.id)
        case TooEarly() | TooLate() | Unknown():
            card = Card(order)
    desk.show([card])
    return card


async def _take_code(desk: Desk, order: Order) -> Card:
    assert order.upstream_id is not None
    seen = await providers.look(desk.lines, order.provider_id, order.upstream_id)
    if isinstance(seen, tuple):
        card = await desk.receive.call(Delivery(order.provider_id, order.upstream_id, seen))
        if card is not None and seen and order.hours is not None and card.order.state == "cancelling":
            # All that came is withheld. Its provider does not take the rental back all the same.
            async with desk.db.transaction() as tx:
                return await keep(tx, order.id)
        if card is not None:
            return card
    return Card(order)


async def finish(desk: Desk, *, account_id: AccountId, order_id: OrderId) -> Card:
    """Finish an order that has its code; the provider is told in the background. A repeat answers like the first.

    Raises:
        NotFound: no such order, or somebody else's.
        NotPossibleNow: no code came yet, or the order ended without one.
        BeingProlonged: more hours are being bought for this rental.
    """
    await get(desk, account_id=account_id, order_id=order_id)
    card = await desk.complete.call(order_id)
    if card.order.state == "received" and card.order.is_prolonging:
        raise BeingProlonged
    if card.order.state != "completed":
        raise NotPossibleNow(order_status=told_status(card.order.state), wanted="finished")
    desk.show([card])
    return card


async def next_code(desk: Desk, *, account_id: AccountId, order_id: OrderId) -> Card:
    """Ask for one more code on the same number, free of charge.

    A rental receives all that comes, so its provider is not asked; it is only looked at more often for a while.

    Raises:
        NotFound: no such order, or somebody else's.
        NotPossibleNow: no first code yet, or the order is over.
        NoMoreCodes: the provider does not offer it.
        ProviderSilent: no clear answer.
    """
    card = await get(desk, account_id=account_id, order_id=order_id)
    order = card.order
    if order.state != "received":
        raise NotPossibleNow(order_status=told_status(order.state), wanted="asked for one more code")
    if is_waiting(card):
        return card
    line = desk.lines.by_id.get(order.provider_id)
    if order.hours is None:
        has_one = line is not None and not providers.capabilities(line.provider).has_next_code
        if not order.can_get_next or order.upstream_id is None or has_one:
            raise NoMoreCodes
        answer = await providers.another_code(desk.lines, order.provider_id, order.upstream_id)
        if isinstance(answer, Unknown):
            raise ProviderSilent
        if not isinstance(answer, Done):
            raise NoMoreCodes
    async with desk.db.transaction() as tx:
        changed = await sql.set_code_wanted(tx, order_id)
        if changed is None:
            raise NotPossibleNow(order_status="completed", wanted="asked for one more code")
        card = (await read_cards(tx, [changed]))[0]
    desk.show([card])
    return card


def shown_status(state: OrderState, *, has_code: bool = True) -> Status:
    """Return the word that customers see: what is still being settled is shown as what it was before.

    Args:
        has_code: a rental that is paid and received nothing yet has none, and is shown as active.
    """
    match state:
        case "cancelling" | "expiring":
            return "active"
        case "requested" | "unknown":
            return "pending"
        case "received" if not has_code:
            return "active"
        case _:
            return state
