"""Messages that providers post to us: written down first, then taken in by the verb that serves the polls too.

A message may come before the purchase it belongs to is committed here. It waits, parked, and is tried again until its
number cannot be alive any more. Some protocols name only the number, which may be live for several services at once.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from numberdesk.base.crash_points import crash_point
from numberdesk.base.db import Database
from numberdesk.base.errors import InvalidFields, NotFound, Unavailable
from numberdesk.orders import sql
from numberdesk.orders.model import Card, Delivery, Inbound
from numberdesk.orders.service._desk import Desk
from numberdesk.orders.sql import Holder, Settled, Stray
from numberdesk.providers import service as providers
from numberdesk.providers.model import ProviderId, Received

log = structlog.get_logger()

FIRST_WAIT = 1.0
"""Seconds after which the pass may take a new message, should whoever took it in be gone."""
GRACE = timedelta(minutes=5)
KEPT = timedelta(days=14)
TOLD_FOR = timedelta(days=1)
STRAYS_MAX = 100
GIVEN_BACK = frozenset({"cancelled", "expired", "failed"})


@dataclass(frozen=True, slots=True)
class Taken:
    """What to answer to a provider, and the messages that were new."""

    answer: bytes
    fresh: tuple[Inbound, ...]


async def take_push(desk: Desk, *, name: str, token: str, body: bytes) -> Taken:
    """Write down what a provider posts. A repeat changes nothing and is answered alike.

    Raises:
        NotFound: no provider posts under this name and token.
        InvalidFields: the body is no message of its protocol, or has a wrong key in it.
    """
    provider = await providers.find_hook(desk.db, name=name, token=token)
    if provider is None:
        raise NotFound("page")
    found = providers.read_push(desk.lines, provider, body)
    if found is None:
        log.warning("push_unreadable", provider=provider.name, size=len(body))
        raise InvalidFields({"body": "is no message of this provider's protocol"})
    fresh: list[Inbound] = []
    if found:
        async with desk.db.statement() as tx:
            fresh = await sql.insert_inbound(tx, provider_id=provider.id, items=found, wait_seconds=FIRST_WAIT)
        crash_point("push_written")
    return Taken(providers.push_taken(provider), tuple(fresh))


async def deliver_inbound(desk: Desk, items: Sequence[Inbound], *, hopeless: frozenset[int] = frozenset()) -> int:
    """Take messages in for the orders they belong to; returns how many found theirs.

    Args:
        hopeless: ids of those that are tried for the last time: what is late for an order whose money went back is
            sealed there, and the rest is nobody's.
    """
    targets = await _targets(desk, items, hopeless)
    aimed = [item for item in items if item.id in targets]
    results = await asyncio.gather(
        *(
            desk.receive.call(
                Delivery(item.provider_id, targets[item.id], (Received(item.code, item.text, item.sender),))
            )
            for item in aimed
        ),
        return_exceptions=True,
    )
    settled: list[Settled] = []
    failed: set[int] = set()
    for item, result in zip(aimed, results, strict=True):
        if isinstance(result, Card):
            order = result.order
            settled.append(Settled(item.id, "refused" if order.is_given_back else "delivered", order.id))
        elif result is not None:
            failed.add(item.id)
            log.warning("delivery_failed", problem=type(result).__name__)
    found = {item.inbound_id for item in settled}
    lost = [item for item in items if item.id in hopeless and item.id not in found and item.id not in failed]
    if lost:
        log.warning("messages_unowned", count=len(lost), provider_ids=sorted({item.provider_id for item in lost}))
    # The message is its order's before it is no longer parked: a death in between only delivers it again.
    desk.show([result for result in results if isinstance(result, Card)])
    crash_point("push_received")
    settled.extend(Settled(item.id, "unowned") for item in lost)
    if settled:
        async with desk.db.statement() as tx:
            await sql.set_inbound(tx, settled)
    return len(found)


async def deliver_fresh(desk: Desk, items: Sequence[Inbound]) -> None:
    """Take messages in after their provider was answered; what cannot be written now is left to the pass."""
    try:
        await deliver_inbound(desk, items)
    except Unavailable:
        log.warning("messages_wait_for_database", count=len(items))


async def deliver_parked(desk: Desk, *, limit: int = 200) -> int:
    """Try parked messages that are due again; returns how many were taken up."""
    async with desk.db.transaction() as tx:
        due = await sql.lease_inbound(tx, limit=limit)
        hopeless = await sql.list_hopeless(tx, due, grace=GRACE) if due else set()
    if due:
        await deliver_inbound(desk, due, hopeless=frozenset(hopeless))
    return len(due)


async def forget_inbound(desk: Desk, *, limit: int = 1000) -> int:
    """Delete messages that were settled long ago."""
    async with desk.db.statement() as tx:
        return await sql.delete_old_inbound(tx, keep=KEPT, limit=limit)


async def tell_unowned(desk: Desk) -> int:
    """Open an alert where messages turned out to be nobody's, and close it after a day without; returns how many."""
    opened = 0
    async with desk.db.transaction() as tx:
        for provider_id, count in (await sql.count_unowned(tx, within=TOLD_FOR)).items():
            if count:
                detail = f"Messages that belong to no order of ours, in a day: {count}."
                opened += await providers.open_alert(tx, provider_id=provider_id, kind="unowned_message", detail=detail)
            else:
                await providers.close_alert(tx, provider_id=provider_id, kind="unowned_message")
    return opened


async def list_strays(db: Database, provider_id: ProviderId) -> list[Stray]:
    """Return a provider's messages that have no order, newest first, for staff."""
    async with db.statement() as tx:
        return await sql.list_strays(tx, provider_id, limit=STRAYS_MAX)


async def _targets(desk: Desk, items: Sequence[Inbound], hopeless: frozenset[int]) -> dict[int, str]:
    """Return the activation that each message is for, where that is known."""
    found = {item.id: item.upstream_id for item in items if item.upstream_id is not None}
    # Who posts by the number posts all that comes to it, adverts too: only a code is worth a customer's money.
    numbered = [item for item in items if item.upstream_id is None and item.code]
    if not numbered:
        return found
    async with desk.db.statement() as tx:
        holders: dict[int, list[Holder]] = defaultdict(list)
        for holder in await sql.list_holders(tx, numbered):
            holders[holder.inbound_id].append(holder)
    for item in numbered:
        live = [holder for holder in holders[item.id] if not holder.is_over]
        chosen = live if len(live) < 2 else [holder for holder in live if _is_named(desk, holder.service, item)]
        if not live and item.id in hopeless:
            # Not before: the same number may just have been sold again, and its purchase be on its way here.
            chosen = [holder for holder in holders[item.id] if holder.state in GIVEN_BACK]
        if len(chosen) == 1:
            found[item.id] = chosen[0].upstream_id
        elif len(live) > 1:
            log.warning("message_for_several_orders", provider_id=item.provider_id, orders=len(live))
    return found


def _is_named(desk: Desk, service: str, item: Inbound) -> bool:
    """Tell whether a message says that it is of a service: one of its names, or the code as the sender.

    Codes are not looked for in the text: "go" is Google's, and a word.
    """
    if item.sender.strip().casefold() == service:
        return True
    known = desk.shelf.contents.services.get(service)
    said = f"{item.sender}\n{item.text}".casefold()
    return any(
        re.search(rf"(?<!\w){re.escape(name)}(?!\w)", said)
        for name in (part.strip().casefold() for part in re.split(r"[,/]", known.name if known is not None else ""))
        if name
    )
