"""Sending: the event log becomes deliveries, due ones are leased and posted, and each outcome is settled.

A delivery is sent until it is taken, so at least once: after a crash between the POST and its mark it goes out again,
under the same id. Every POST has a task of its own, so nothing waits for a receiver but what is for its own account.
"""

import asyncio
import random
from contextlib import suppress
from datetime import timedelta
from typing import Final

import structlog

from numberdesk.base import clock
from numberdesk.base.crypto import WrongKey
from numberdesk.base.db import Tx
from numberdesk.base.errors import Unavailable
from numberdesk.notifications.model import Posted
from numberdesk.orders import service as orders
from numberdesk.webhooks import sql
from numberdesk.webhooks.model import TEST, Leased, Result
from numberdesk.webhooks.service._bodies import body_of, headers_of, test_body
from numberdesk.webhooks.service._courier import Courier, place, tell_owner
from numberdesk.webhooks.service._endpoints import CODES_ONLY

log = structlog.get_logger()

PLACES, FAILING_PLACES = 200, 100
"""POSTs under way in one process, and how many of them may go to endpoints that fail: others always find a place."""
PER_ACCOUNT, PER_FAILING = 2, 1
"""POSTs under way for one account, and for one endpoint that fails: an account's other endpoints go on beside it."""
LEASE = timedelta(seconds=20)
"""Longer than a POST and the settling after it can take."""
BACKLOG_MAX = 1000
"""Deliveries that wait for one account; the oldest give way, since a code is soon worth nothing."""
GATHER_SECONDS = 0.01
ENDPOINTS_A_TURN, EVENTS_A_TURN = 50, 200
PAUSES: Final = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 30, 120, 600, 1800, 2 * 3600, 5 * 3600, 10 * 3600, 20 * 3600, 24 * 3600)
)
"""Between two tries of one delivery: together about two and a half days."""
JITTER = 0.2
OLDEST = timedelta(days=3)
"""After a pause nothing older is made a delivery."""
DISABLE_AFTER, DISABLE_TRIES = timedelta(days=3), 5
"""An endpoint is disabled when it has taken nothing for so long, and a delivery has failed so often: one that had
nothing to take for a week, and is down for a moment, is not."""
GONE: Final = 410

NO_ROOM = "too many deliveries were waiting"
SWITCHED_OFF = "the webhook was disabled"
NOT_KEPT = "the event is no longer kept"
NOT_IN_FORMAT = "the format of the webhook has no such event"
FOR_GOOD = (NOT_KEPT, NOT_IN_FORMAT)
"""What no other try would mend."""
NOT_TAKEN = "the receiver answered with another status than 200 to 299"
NOT_FOLLOWED = "the receiver answered with a redirect, and none is followed"


async def fan_out(courier: Courier) -> int:
    """Make deliveries of what happened since; returns how many endpoints moved on."""
    async with courier.db.transaction() as tx:
        moved, account_ids = await sql.insert_due(tx, endpoints=ENDPOINTS_A_TURN, events=EVENTS_A_TURN, oldest=OLDEST)
        if account_ids:
            dropped = await sql.set_overflow_failed(tx, account_ids, most=BACKLOG_MAX, problem=NO_ROOM)
            if dropped:
                log.warning("webhook_backlog_full", account_ids=account_ids, dropped=dropped)
    return moved


async def send_due(courier: Courier) -> int:
    """Begin to send what is due, as far as there are places; returns how many. It does not wait for any of them."""
    running = courier.under_way.values()
    limit, failing = PLACES - len(running), FAILING_PLACES - sum(item.is_failing for item in running)
    if limit <= 0:
        return 0
    async with courier.db.transaction() as tx:
        if not await sql.try_lease_lock(tx):
            return 0
        leased = await sql.lease_due(
            tx, lease=LEASE, limit=limit, failing=max(0, failing), per_account=PER_ACCOUNT, per_failing=PER_FAILING
        )
    for item in leased:
        task = asyncio.create_task(_send(courier, item))
        courier.under_way[task] = item
        task.add_done_callback(lambda ended: _free(courier, ended))
    return len(leased)


def _free(courier: Courier, task: "asyncio.Task[None]") -> None:
    courier.under_way.pop(task, None)
    courier.freed.set()


async def wait(courier: Courier, *, seconds: float) -> None:
    """Wait until something under way has ended since `freed` was cleared, at most so long.

    Others may end a moment later: looking once for several of them is enough.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await courier.freed.wait()
            await asyncio.sleep(GATHER_SECONDS)


async def _send(courier: Courier, leased: Leased) -> None:
    try:
        await _settle(courier, leased, await _try(courier, leased))
    except Unavailable:
        # What was taken and could not be marked is sent again when the lease ends.
        log.warning("webhook_not_settled", delivery_id=leased.id)
    except Exception:
        log.exception("webhook_not_settled", delivery_id=leased.id)


async def _try(courier: Courier, leased: Leased) -> Result:
    if leased.format != "standard" and leased.type not in (*CODES_ONLY, TEST):
        return Result(None, NOT_IN_FORMAT, 0)  # it waited while the format became another one
    body = await _body(courier, leased)
    return Result(None, NOT_KEPT, 0) if body is None else await _post(courier, leased, body)


async def _body(courier: Courier, leased: Leased) -> bytes | None:
    """Return what is to be posted; None when the log has forgotten the event."""
    if leased.seq is None:
        return test_body(leased)
    told = await orders.read_events(courier.db, account_id=leased.account_id, after=leased.seq - 1, limit=1)
    if not told or told[0].event.id != leased.event_id:
        return None
    return body_of(told[0], leased.format)


async def _post(courier: Courier, leased: Leased, body: bytes) -> Result:
    sealed = [leased.secret] if leased.old_secret is None else [leased.secret, leased.old_secret]
    try:
        keys = [courier.vault.open(item, about=place(leased.endpoint_id)) for item in sealed]
    except WrongKey:
        # Not for good: while keys are changed, one process may still lack the key that another sealed with.
        log.error("webhook_secret_unreadable", endpoint_id=leased.endpoint_id)
        return Result(None, "its secret cannot be read here at the moment", 0)
    headers = headers_of(leased, body, secrets_in_force=keys, at=int(clock.now().timestamp()))
    answer = await courier.poster.post(leased.url, headers=headers, body=body)
    if not isinstance(answer, Posted):
        return Result(None, answer.reason, answer.took_ms)
    result = Result(answer.status, None, answer.took_ms)
    if result.is_taken:
        return result
    return Result(answer.status, NOT_FOLLOWED if 300 <= answer.status < 400 else NOT_TAKEN, answer.took_ms)


async def _settle(courier: Courier, leased: Leased, result: Result) -> None:
    """Write down what an attempt came to. The endpoint's row is always locked before the delivery's."""
    is_test = leased.type == TEST
    async with courier.db.transaction() as tx:
        if result.is_taken:
            if not is_test:
                await sql.set_working(tx, leased.endpoint_id)
            await sql.set_delivered(tx, leased, result)
            return
        if is_test or result.problem in FOR_GOOD:
            await sql.set_failed(tx, leased, result)
            return
        failing_for = await sql.set_failing(tx, leased.endpoint_id, url=leased.url)
        if leased.tries > len(PAUSES):
            await sql.set_failed(tx, leased, result)
        else:
            await sql.set_waiting_later(tx, leased, result, after=pause(leased.tries))
        if result.status == GONE:
            await _disable(courier, tx, leased, reason="its receiver says that it is gone (410)")
        elif failing_for is not None and failing_for >= DISABLE_AFTER and leased.tries >= DISABLE_TRIES:
            reason = f"it has not taken an event for {failing_for.days} days"
            await _disable(courier, tx, leased, reason=reason)


def pause(tries: int) -> timedelta:
    """Return how long to wait after so many tries; from 1 to the number of pauses."""
    return PAUSES[tries - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - jitter, no secret


async def _disable(courier: Courier, tx: Tx, leased: Leased, *, reason: str) -> None:
    """Send nothing there any more, and tell the owner, once."""
    endpoint = await sql.set_disabled(tx, leased.endpoint_id, url=leased.url)
    if endpoint is None:
        return
    await sql.set_waiting_failed(tx, endpoint.id, problem=SWITCHED_OFF)
    log.warning("webhook_disabled", endpoint_id=endpoint.id, account_id=endpoint.account_id, reason=reason)
    await tell_owner(courier, tx, "webhook_disabled", endpoint, reason=reason)


async def drain(courier: Courier) -> None:
    """Wait until nothing is under way."""
    while courier.under_way:
        await asyncio.wait(set(courier.under_way))
