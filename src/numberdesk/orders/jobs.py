"""Passes of the orders slice: watching providers, ending what is due, and cleaning up at providers."""

import asyncio
import math
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from numberdesk.base import clock
from numberdesk.base.log import about
from numberdesk.orders import sql
from numberdesk.orders.model import Card, Closing, Delivery, EndState, Order
from numberdesk.orders.service import Desk, settle_cancel
from numberdesk.orders.service._close import RENTAL_WINDOW, proof_of
from numberdesk.orders.service._reconcile import SETTLE_MARGIN as SETTLE_MARGIN
from numberdesk.orders.service._reconcile import Seen, reconcile, settle_after
from numberdesk.orders.service._revoked import note_ended, note_going_on
from numberdesk.orders.sql import Turn
from numberdesk.providers import service as providers
from numberdesk.providers.model import (
    Activation,
    CodeWon,
    Done,
    Ended,
    Provider,
    ProviderId,
    Refused,
    TooLate,
    Unknown,
    Waiting,
    is_rental,
)
from numberdesk.wallet import service as wallet

log = structlog.get_logger()

LOOK_AT_ONCE = 20
LOOKS_MAX = 200
"""Where there is no list, every waiting order is looked at singly."""
LOOK_EVERY_SECONDS = 2
LEASE_SECONDS = 90
"""Longer than the longest deadline of a provider, so that nobody asks again while an answer is on its way."""
GIVE_UP_AFTER = timedelta(minutes=10)
"""After an order's time a silent provider no longer holds up its refund: the number has died there too. For a rental
it is the time in which it could be cancelled: it was asked to in time, and nobody knows that it was not."""
ORPHAN_TRIES_MAX = 60
SIGHTINGS_KEPT = timedelta(days=2)
"""Longer than any number lives, so that none is taken for new."""


PUSHED_LATELY = timedelta(minutes=5)
PUSHED_PAUSE, PUSHED_SLOWER = 15.0, 5
"""Where messages are posted to us the list is a floor: asked for so many seconds apart, or so many times slower."""
RELEASE_SECONDS, RELEASE_SECONDS_MAX = 5, 600
RELEASE_TRIES_MAX = 200
"""More than a day, at the longest pause between two tries."""


async def watch(desk: Desk, provider: Provider, *, is_idle_turn: bool) -> int:
    """Read one provider's list of live activations: deliver codes, notice its cancels, resolve unknown purchases.

    One upstream call serves all open orders of the provider. Orders that a list does not name are looked at singly,
    at growing intervals.

    Args:
        is_idle_turn: also ask when no order is open, for numbers that nobody here knows of.

    Returns:
        How many open orders there are.
    """
    can, patience = providers.capabilities(provider), settle_after(provider)
    async with desk.db.statement() as tx:
        turn = await sql.read_turn(tx, provider.id, lately=PUSHED_LATELY)
    if turn.rentals and can.has_look:
        await _look_at_rentals(desk, provider)
    if not turn.waiting and not (is_idle_turn and can.has_list):
        return turn.rentals
    if can.has_list and _may_wait(desk, provider, turn):
        return turn.waiting + turn.rentals
    # A rental that nobody knows must be found before the purchase of another one is in doubt and takes it for its own.
    with_rentals = turn.rentals_in_doubt > 0 or is_idle_turn
    listed = await providers.active(desk.lines, provider.id, with_rentals=with_rentals) if can.has_list else None
    if listed is None or isinstance(listed, Unknown):
        if can.has_look:
            await _look_singly(desk, provider, [], turn.now)
        await reconcile(desk, provider, None, patience)
        return turn.waiting + turn.rentals
    desk.listed_at[provider.id] = clock.seconds()
    found = {activation.upstream_id: activation for activation in listed.activations}
    await _deliver(desk, provider.id, found)
    if can.has_look:
        await _look_singly(desk, provider, [name for name, item in found.items() if _is_told(item)], turn.now)
    await reconcile(desk, provider, Seen(found, listed.is_whole, listed.has_rentals), patience)
    return turn.waiting + turn.rentals


def _may_wait(desk: Desk, provider: Provider, turn: Turn) -> bool:
    """Tell whether the list can be asked for later, because messages come by themselves and no purchase is in doubt."""
    if not turn.is_pushing or turn.in_doubt or not providers.capabilities(provider).pushes:
        return False
    pause = max(PUSHED_PAUSE, PUSHED_SLOWER * provider.poll_ms / 1000)
    return clock.seconds() < desk.listed_at.get(provider.id, -math.inf) + pause


def _is_told(activation: Activation) -> bool:
    return (activation.is_live or bool(activation.messages)) and not is_rental(activation.upstream_id)


async def _deliver(desk: Desk, provider_id: ProviderId, found: dict[str, Activation]) -> None:
    """Deliver what the list says and was not delivered before, also late and unasked messages.

    Remembering what was told only saves work: a repeat is recognised where it is received. What could not be written
    is told again, and so is an activation without an order, since its purchase may just be on its way.
    """
    told = desk.told.get(provider_id, {})
    deliveries = [
        Delivery(provider_id, upstream_id, activation.messages)
        for upstream_id, activation in found.items()
        if activation.messages and told.get(upstream_id) != activation.messages
    ]
    written = {card.order.upstream_id for card in await _receive(desk, deliveries)}
    desk.told[provider_id] = {
        upstream_id: activation.messages
        for upstream_id, activation in found.items()
        if upstream_id in written or told.get(upstream_id) == activation.messages
    }


async def _receive(desk: Desk, deliveries: Sequence[Delivery]) -> list[Card]:
    results = await asyncio.gather(*(desk.receive.call(item) for item in deliveries), return_exceptions=True)
    cards = [card for card in results if isinstance(card, Card)]
    desk.show(cards)
    for result in results:
        if isinstance(result, BaseException):
            log.warning("delivery_failed", problem=type(result).__name__)
    return cards


async def _look_singly(desk: Desk, provider: Provider, told: Sequence[str], asked_at: datetime) -> None:
    """Look at waiting orders that a list asked for at that time did not tell of; where there is no list, at all."""
    async with desk.db.statement() as tx:
        due = await sql.list_unlisted(tx, provider.id, told, before=asked_at, limit=_looks_max(provider))
        if due:
            await sql.set_looked(tx, [order.id for order in due], wait_seconds=LOOK_EVERY_SECONDS)
    await _look_at(desk, provider.id, due)


async def _look_at_rentals(desk: Desk, provider: Provider) -> None:
    """Look at rentals that are due: no list brings their messages."""
    async with desk.db.statement() as tx:
        due = await sql.list_rentals_due(tx, provider.id, limit=_looks_max(provider))
        if due:
            await sql.set_looked(tx, [order.id for order in due], wait_seconds=LOOK_EVERY_SECONDS)
    await _look_at(desk, provider.id, due)


def _looks_max(provider: Provider) -> int:
    # More than it takes in a second would wait for a turn, and be refused one in the end.
    return LOOK_AT_ONCE if providers.capabilities(provider).has_list else min(provider.calls_per_second, LOOKS_MAX)


async def _look_at(desk: Desk, provider_id: ProviderId, due: Sequence[Order]) -> None:
    if not due:
        return
    answers = await asyncio.gather(*(providers.look(desk.lines, provider_id, order.upstream_id or "") for order in due))
    deliveries, closings, ended, going_on = [], [], [], []
    for order, answer in zip(due, answers, strict=True):
        if order.revoked_at is not None and isinstance(answer, tuple | Waiting):
            going_on.append(order)
        if isinstance(answer, tuple):
            deliveries.append(Delivery(provider_id, order.upstream_id or "", answer))
        elif isinstance(answer, Ended) and order.is_prolonging:
            continue  # it may just go on under a new id
        elif isinstance(answer, Ended) and order.state == "received" and order.hours is not None:
            ended.append((order, answer))
        elif isinstance(answer, Ended) and order.state == "active":
            closings.append(
                Closing(order.id, frozenset({"active"}), "cancelled", "provider_cancelled", proof_of(answer))
            )
    await _receive(desk, deliveries)
    desk.show(await asyncio.gather(*(desk.close.call(item) for item in closings)))
    if going_on:
        await note_going_on(desk, going_on)
    if ended:
        await note_ended(desk, ended)


async def keep_rentals(desk: Desk, *, limit: int = 200) -> int:
    """Take the money of rentals whose time for cancelling is over, whether or not a message came."""
    async with desk.db.transaction() as tx:
        kept = await sql.set_due_kept(tx, window=RENTAL_WINDOW, limit=limit)
        captured = await wallet.capture(tx, [order.id for order in kept])
        assert captured.keys() == {order.id for order in kept}, "a rental that is not paid has no live hold"
    _read_again(desk, kept)
    return len(kept)


async def end_due(desk: Desk, *, limit: int = 200) -> int:
    """Move orders whose time is over: waiting ones to `expiring`, received ones to `completed`."""
    async with desk.db.transaction() as tx:
        expiring = await sql.set_due_expiring(tx, limit=limit)
        completed = await sql.set_due_completed(tx, limit=limit)
        await sql.insert_events(tx, [sql.NewEvent(order.account_id, order.id, "completed") for order in completed])
    desk.show([Card(order) for order in expiring])
    _read_again(desk, completed)
    return len(expiring) + len(completed)


async def settle_ending(desk: Desk, *, limit: int = 100) -> int:
    """Settle orders that are cancelling or expiring: ask the provider, then give the money back or take the code."""
    async with desk.db.transaction() as tx:
        leased = await sql.lease_ending(tx, lease_seconds=LEASE_SECONDS, limit=limit)
    results = await asyncio.gather(*(_settle_ending(desk, order) for order in leased), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            log.warning("ending_not_settled", problem=type(result).__name__)
    return len(leased)


async def _settle_ending(desk: Desk, order: Order) -> None:
    with about(order_id=order.id):
        card = await settle_cancel(desk, order)
    if card.order.ended_at is not None or card.order.state == "received" or order.expires_at is None:
        return
    async with desk.db.statement() as tx:
        limit = order.expires_at if order.hours is None else order.sent_at + RENTAL_WINDOW
        is_hopeless = await sql.is_past(tx, limit, GIVE_UP_AFTER)
    if is_hopeless:
        log.error("refunded_without_provider", order_id=order.id, provider_id=order.provider_id)
        state: EndState = "expired" if order.state == "expiring" else "cancelled"
        closing = Closing(order.id, frozenset({"cancelling", "expiring"}), state, proof="refused")
        desk.show([await desk.close.call(closing)])


async def doubt_stale(desk: Desk, *, limit: int = 200) -> int:
    """Move purchases whose process died to `unknown`, for the watch to resolve."""
    doubted: list[Order] = []
    for line in list(desk.lines.by_id.values()):
        provider = line.provider
        async with desk.db.transaction() as tx:
            doubted += await sql.set_stale_unknown(tx, provider.id, settle_after(provider), limit=limit)
    desk.show([Card(order) for order in doubted])
    return len(doubted)


async def cancel_orphans(desk: Desk, *, limit: int = 50) -> int:
    """Cancel activations at providers that no order of ours knows, so that nobody pays for them."""
    async with desk.db.transaction() as tx:
        leased = await sql.lease_orphans(tx, lease_seconds=LEASE_SECONDS, limit=limit)
    results = await asyncio.gather(*(_cancel_orphan(desk, *orphan) for orphan in leased), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            log.warning("orphan_not_cancelled", problem=type(result).__name__)
    return len(leased)


async def _cancel_orphan(desk: Desk, provider_id: ProviderId, upstream_id: str, tries: int) -> None:
    answer = await providers.cancel(desk.lines, provider_id, upstream_id)
    state = None
    if isinstance(answer, Done | Ended):
        state = "cancelled"
    elif isinstance(answer, CodeWon | TooLate) or tries >= ORPHAN_TRIES_MAX:
        log.error("orphan_lost", provider_id=provider_id, upstream_id=upstream_id)
        state = "lost"
    if state is not None:
        async with desk.db.statement() as tx:
            await sql.set_orphan(tx, provider_id, upstream_id, state)


async def forget_orphans(desk: Desk, *, limit: int = 1000) -> int:
    """Delete sightings that were settled long ago; most are of purchases that were seen before they were written."""
    async with desk.db.statement() as tx:
        return await sql.delete_old_orphans(tx, keep=SIGHTINGS_KEPT, limit=limit)


async def release_finished(desk: Desk, *, limit: int = 100) -> int:
    """Tell providers that orders are finished.

    Most end them by themselves, and a notice that is lost is no loss. Where a sale is made by this notice, it is given
    again until the provider answers.
    """
    may_miss = [
        line.provider.id
        for line in list(desk.lines.by_id.values())
        if not providers.capabilities(line.provider).sells_at_finish
    ]
    async with desk.db.transaction() as tx:
        finished = await sql.lease_releases(tx, may_miss=may_miss, lease_seconds=LEASE_SECONDS, limit=limit)
    answers = await asyncio.gather(
        *(providers.finish(desk.lines, item.provider_id, item.upstream_id) for item in finished),
        return_exceptions=True,
    )
    heard, later = [], []
    for item, answer in zip(finished, answers, strict=True):
        if item.provider_id in may_miss:
            continue
        if not isinstance(answer, Done | Ended | Refused) and item.release_tries < RELEASE_TRIES_MAX:
            later.append(item.id)
            continue
        if not isinstance(answer, Done):
            log.error("finish_not_taken", order_id=item.id, provider_id=item.provider_id, tries=item.release_tries)
        heard.append(item.id)
    if heard or later:
        async with desk.db.transaction() as tx:
            await sql.set_released(tx, heard)
            await sql.set_release_later(tx, later, wait_seconds=RELEASE_SECONDS, wait_max=RELEASE_SECONDS_MAX)
    return len(finished)


def _read_again(desk: Desk, orders: Sequence[Order]) -> None:
    order_ids = [order.id for order in orders]
    desk.board.read_soon(order_ids)
    desk.publisher.publish(order_ids)
