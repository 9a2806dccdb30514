"""The board: every open order as its buyer sees it, held in memory, so that polls cost no query.

The process that commits a change puts the new card up itself; other processes hear the id and read the row. A sweep
reads again what changed lately, so a lost message delays a code by seconds and never loses it.
"""

import asyncio
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import Context
from datetime import datetime, timedelta

import structlog

from numberdesk.base.db import Database, Tx
from numberdesk.base.errors import Unavailable
from numberdesk.base.money import Paise
from numberdesk.orders import sql
from numberdesk.orders.model import Card, Message, Order, OrderId, Refund
from numberdesk.orders.service._reserve import purpose
from numberdesk.providers.model import ProviderId
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import AccountId

log = structlog.get_logger()

ENDED_MAX = 20_000
"""Ended orders that stay readable without a query, for the polls that come right after the end."""
OVERLAP = timedelta(seconds=10)
"""How far back each sweep reaches: longer than any transaction may take."""
READ_MAX = 1000


class Board:
    """Cards by order id, and who waits for a change of which."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._open: dict[int, Card] = {}
        self._open_of: dict[AccountId, dict[int, Card]] = {}
        self._open_at: Counter[ProviderId] = Counter()
        self._expected_at: Counter[ProviderId] = Counter()
        self._ended: OrderedDict[int, Card] = OrderedDict()
        self._waiters: dict[int, set[asyncio.Future[None]]] = defaultdict(set)
        self._wanted: set[int] = set()
        self._reader: asyncio.Task[None] | None = None
        self._swept_at: datetime | None = None
        self.is_closing = False
        """Whether the process stops: nobody waits any more."""
        self.on_change: list[Callable[[Card], None]] = []
        """Called with every card that is put up."""

    def find(self, order_id: int) -> Card | None:
        """Return a card without waiting; None does not mean that the order does not exist."""
        return self._open.get(order_id) or self._ended.get(order_id)

    def put(self, card: Card) -> None:
        """Put a card up, unless a newer one hangs there, and wake who waits for it."""
        order = card.order
        known = self.find(order.id)
        if known is not None and known.order.changed_at >= order.changed_at:
            return
        replaced = self._open.pop(order.id, None)
        if replaced is not None:
            self._open_at[replaced.order.provider_id] -= 1
            self._take_down(replaced.order)
        if order.ended_at is None:
            self._open[order.id] = card
            self._open_of.setdefault(order.account_id, {})[order.id] = card
            self._open_at[order.provider_id] += 1
        else:
            self._ended[order.id] = card
            if len(self._ended) > ENDED_MAX:
                self._ended.popitem(last=False)
        for waiter in self._waiters.pop(order.id, ()):
            if not waiter.done():
                waiter.set_result(None)
        for heard in self.on_change:
            heard(card)

    async def changed(self, order_id: int, *, timeout: float) -> bool:
        """Wait until a newer card is put up; False when the time is over or the process stops."""
        if self.is_closing:
            return False
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[order_id].add(waiter)
        try:
            async with asyncio.timeout(timeout):
                await waiter
        except TimeoutError:
            return False
        finally:
            waiters = self._waiters.get(order_id)
            if waiters is not None:
                waiters.discard(waiter)
                if not waiters:
                    del self._waiters[order_id]
        return True

    def open_of(self, account_id: AccountId) -> list[Card]:
        """Return the open orders of an account, the oldest first."""
        return sorted(self._open_of.get(account_id, {}).values(), key=lambda card: card.order.id)

    def _take_down(self, order: Order) -> None:
        its = self._open_of[order.account_id]
        del its[order.id]
        if not its:
            del self._open_of[order.account_id]

    def open_at(self, provider_id: ProviderId) -> int:
        """Return how many open orders are or will be with a provider, as far as this process knows."""
        return self._open_at[provider_id] + self._expected_at[provider_id]

    def expect(self, provider_id: ProviderId) -> Callable[[], None]:
        """Count an order that is on its way here; what is returned ends that, and a second call does nothing."""
        self._expected_at[provider_id] += 1
        is_expected = True

        def end() -> None:
            nonlocal is_expected
            self._expected_at[provider_id] -= is_expected
            is_expected = False

        return end

    def open_count(self) -> int:
        """Return how many open orders hang here."""
        return len(self._open)

    def close(self) -> None:
        """End all waits, because the process stops."""
        self.is_closing = True
        for waiters in list(self._waiters.values()):
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    def read_soon(self, order_ids: Iterable[int]) -> None:
        """Read orders again, many with one query; never waits."""
        self._wanted.update(order_ids)
        if self._wanted and (self._reader is None or self._reader.done()):
            self._reader = asyncio.create_task(self._read_wanted(), context=Context())

    async def _read_wanted(self) -> None:
        while self._wanted:
            taken = [self._wanted.pop() for _ in range(min(READ_MAX, len(self._wanted)))]
            try:
                async with self._db.statement() as tx:
                    for card in await read_cards(tx, await sql.list_orders_by_id(tx, taken)):
                        self.put(card)
            except Unavailable:
                log.warning("board_not_read", orders=len(taken))  # the next sweep finds them again

    async def load(self) -> None:
        """Read every open order: at the start, and after messages may have been missed."""
        async with self._db.statement() as tx:
            now = await sql.get_clock(tx)
            orders = await sql.list_open_orders(tx)
            live = {order.id for order in orders}
            gone = [order_id for order_id in self._open if order_id not in live]
            for start in range(0, len(orders), READ_MAX):
                for card in await read_cards(tx, orders[start : start + READ_MAX]):
                    self.put(card)
        if self._swept_at is None:
            self._swept_at = now
        self.read_soon(gone)

    async def sweep(self) -> None:
        """Read what changed since the last sweep and does not hang here as it is; the first one is a `load`."""
        if self._swept_at is None:
            await self.load()
            return
        async with self._db.statement() as tx:
            changed = await sql.list_changed_ids(tx, self._swept_at - OVERLAP)
        stale = []
        for order_id, changed_at in changed:
            known = self.find(order_id)
            if known is None or known.order.changed_at < changed_at:
                stale.append(order_id)
            self._swept_at = max(self._swept_at, changed_at)
        self.read_soon(stale)


async def read_cards(tx: Tx, orders: Sequence[Order]) -> list[Card]:
    """Complete rows of `orders` to cards."""
    with_codes = [order for order in orders if order.codes_received]
    messages: dict[OrderId, list[Message]] = defaultdict(list)
    if with_codes:
        since = min(order.created_at for order in with_codes)
        for message in await sql.list_messages(tx, [order.id for order in with_codes], since):
            messages[message.order_id].append(message)
    voided = [order.id for order in orders if order.state in ("cancelled", "expired", "failed")]
    given_back = await wallet.given_back(tx, voided) if voided else {}
    refunded = [order.id for order in orders if order.refunded_at is not None]
    paid = await wallet.captured(tx, refunded) if refunded else {}
    return [
        Card(
            order,
            tuple(messages[order.id]),
            refund_of(order, given_back.get(order.id, {})) or _refund_by_staff(order, paid.get(order.id, {})),
        )
        for order in orders
    ]


def _refund_by_staff(order: Order, paid: Mapping[str, Paise]) -> Refund | None:
    if order.refunded_at is None:
        return None
    return Refund(Paise(sum(paid.values())), order.refunded_at)


def refund_of(order: Order, voided: Mapping[str, Paise]) -> Refund | None:
    """Return what went back when the order ended; None when it was paid or goes on.

    Args:
        voided: paise by purpose. Holds of earlier attempts were given back when those were refused.
    """
    amount = sum(
        paise for name, paise in voided.items() if name == purpose(order.attempt) or name.startswith("extend:")
    )
    return Refund(Paise(amount), order.ended_at) if amount and order.ended_at is not None else None
