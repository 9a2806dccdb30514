"""The desk: what the verbs of this slice work with in one process."""

import asyncio
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from numberdesk.base.batch import Batch
from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database, Tx
from numberdesk.base.wake import Publisher
from numberdesk.catalogue import service as catalogue
from numberdesk.conduct.model import PurchaseRules
from numberdesk.maintenance.service import Switches
from numberdesk.orders import sql
from numberdesk.orders.model import (
    CancelWanted,
    Card,
    Closing,
    Delivery,
    OrderId,
    OrderRules,
    Reservation,
    Settlement,
)
from numberdesk.orders.service._board import Board
from numberdesk.orders.service._close import begin_cancel, close, complete
from numberdesk.orders.service._feed import Feed
from numberdesk.orders.service._receive import receive
from numberdesk.orders.service._reserve import reserve
from numberdesk.orders.service._settle import settle
from numberdesk.orders.service._withhold import guard_by
from numberdesk.providers import service as providers
from numberdesk.providers.model import ProviderId, Received
from numberdesk.wallet.model import AccountId

CHANNEL = "orders"


@dataclass(frozen=True)
class Desk:
    """One process' door to orders: the hot verbs as batches, the board, and the slices below."""

    db: Database
    lines: providers.Lines
    shelf: catalogue.Shelf
    rules: OrderRules
    board: Board
    feed: Feed
    switches: Switches
    publisher: Publisher
    sender: str
    reserve: Batch[Reservation, Card]
    settle: Batch[Settlement, Card]
    receive: Batch[Delivery, Card | None]
    begin_cancel: Batch[CancelWanted, Card]
    complete: Batch[OrderId, Card]
    close: Batch[Closing, Card]
    delivered: Batch[tuple[AccountId, str], None]
    """Purchases, by account and request, whose clients were told."""
    told: dict[ProviderId, dict[str, tuple[Received, ...]]] = field(default_factory=dict)
    """What the watch of each provider has delivered, by activation, for as long as the list names it."""
    trades: set[asyncio.Future[Any]] = field(default_factory=set)
    """Purchases that go on though nobody may be waiting for them any more."""
    late_notes: set[asyncio.Future[None]] = field(default_factory=set)
    """Notes of purchases without an answer that wait for the database to come back."""
    patience: dict[bytes, float] = field(default_factory=dict)
    """How many seconds those clients waited lately that hung up on a purchase, by its kind."""
    vault: Vault | None = None
    """Seals what customers are told; without one they are not told by mail."""
    listed_at: dict[ProviderId, float] = field(default_factory=dict)
    """When the watch of each provider last asked for its list, on the process' clock."""

    def show(self, cards: Iterable[Card]) -> None:
        """Put committed changes up on the board here and tell the other processes."""
        cards = list(cards)
        for card in cards:
            self.board.put(card)
        self.publisher.publish(card.order.id for card in cards)

    async def load(self) -> None:
        """Read all that is held here: at the start, and after messages may have been missed."""
        await self.board.load()
        await self.feed.sweep()

    def end_waits(self) -> None:
        """End waiting calls and streams, because the process stops."""
        self.board.close()
        self.feed.close()


def open_desk(
    db: Database,
    *,
    lines: providers.Lines,
    shelf: catalogue.Shelf,
    rules: OrderRules,
    switches: Switches | None = None,
    limits: PurchaseRules | None = None,
    withholds: bool = True,
    vault: Vault | None = None,
) -> Desk:
    """Set up the desk of this process. `Desk.load` comes after the listener is there.

    Args:
        limits: how fast an account may buy; None is as fast as it can.
        withholds: whether messages are withheld that look like a bank's on an order for something else.
    """
    switches = switches or Switches()
    sender = secrets.token_hex(6)
    board, feed = Board(db), Feed(db)
    board.on_change.append(feed.notice)
    return Desk(
        db=db,
        lines=lines,
        shelf=shelf,
        rules=rules,
        board=board,
        feed=feed,
        switches=switches,
        publisher=Publisher(db, CHANNEL, sender=sender),
        sender=sender,
        reserve=Batch(db, partial(reserve, switches=switches, limits=limits)),
        settle=Batch(db, partial(settle, rules=rules, switches=switches)),
        receive=Batch(db, partial(receive, guard=guard_by(shelf) if withholds else None)),
        begin_cancel=Batch(db, begin_cancel),
        complete=Batch(db, complete),
        close=Batch(db, close),
        delivered=Batch(db, _forget_delivered),
        vault=vault,
    )


async def _forget_delivered(tx: Tx, items: Sequence[tuple[AccountId, str]]) -> list[None]:
    await sql.delete_delivered(tx, items)
    return [None] * len(items)


async def drain(desk: Desk) -> None:
    """Wait until everything sent has been committed and published."""
    for batch in (
        desk.reserve,
        desk.settle,
        desk.receive,
        desk.begin_cancel,
        desk.complete,
        desk.close,
        desk.delivered,
    ):
        await batch.drain()
    await desk.publisher.drain()
    await desk.feed.drain()
