"""Sending mails that wait, and forgetting letters that ended."""

import asyncio
import random
from datetime import timedelta

import jinja2
import structlog

from numberdesk.base import clock
from numberdesk.base.crypto import Vault, WrongKey
from numberdesk.base.db import Database
from numberdesk.notifications import sql
from numberdesk.notifications.channels import Mailer
from numberdesk.notifications.model import EPHEMERAL, Failed, Outcome, Sent
from numberdesk.notifications.service import unseal

log = structlog.get_logger()

AT_ONCE = 5
LEASE = timedelta(seconds=60)
START_WITHIN = 30.0
"""Seconds of a lease in which a mail may be begun, so that it has ended when the lease does."""
ATTEMPTS_MAX = 24
LONGEST_PAUSE = timedelta(hours=1)
ENDED_KEPT = timedelta(days=30)


async def deliver(db: Database, vault: Vault, mailer: Mailer | None, *, limit: int = 50) -> int:
    """Send mails that are due, a few at once.

    They are leased in one transaction, sent outside of any, and settled one by one. A crash loses the lease only; what
    was sent and not settled is sent again, under the same Message-ID. Without a mailer all mails keep waiting.

    Returns:
        How many mails were tried; what there was no time for is given back.
    """
    if mailer is None:
        return 0
    ends = clock.seconds() + START_WITHIN
    async with db.transaction() as tx:
        letters = await sql.lease_due(tx, "email", lease=LEASE, limit=limit)
    places = asyncio.Semaphore(AT_ONCE)
    left: list[sql.Letter] = []

    async def take_turn(letter: sql.Letter) -> None:
        async with places:
            if clock.seconds() > ends:
                left.append(letter)
            else:
                await _settle(db, letter, await _send(vault, mailer, letter))

    results = await asyncio.gather(*(take_turn(letter) for letter in letters), return_exceptions=True)
    for letter, result in zip(letters, results, strict=True):
        if isinstance(result, BaseException):
            log.warning("mail_not_settled", letter_id=letter.id, problem=type(result).__name__)
    if left:
        async with db.statement() as tx:
            await sql.set_returned(tx, left)
    return len(letters) - len(left)


async def _send(vault: Vault, mailer: Mailer, letter: sql.Letter) -> Outcome:
    if letter.attempts > ATTEMPTS_MAX:
        return Failed(permanent=True, reason="every attempt was cut off")
    try:
        mail = unseal(vault, letter)
    except WrongKey:
        # Not at once for good: while keys are changed, one process may still lack the key that another sealed with.
        return Failed(permanent=False, reason="it cannot be read with ENCRYPTION_KEYS")
    except jinja2.TemplateError as problem:
        return Failed(permanent=False, reason=f"it cannot be put into words ({type(problem).__name__})")
    return await mailer.send(mail)


async def _settle(db: Database, letter: sql.Letter, outcome: Outcome) -> None:
    async with db.statement() as tx:
        if isinstance(outcome, Sent):
            await sql.set_sent(tx, letter.id)
            return
        is_over = outcome.permanent or letter.attempts >= ATTEMPTS_MAX
        if is_over:
            await sql.set_failed(tx, letter, problem=outcome.reason, keeps_payload=letter.template not in EPHEMERAL)
        else:
            await sql.set_retry(tx, letter, after=pause(letter.attempts), problem=outcome.reason)
    say = log.error if is_over else log.warning
    say(
        "mail_given_up" if is_over else "mail_waits",
        letter_id=letter.id,
        template=letter.template,
        attempts=letter.attempts,
        problem=outcome.reason,
    )


def pause(attempts: int) -> timedelta:
    """Return how long to wait after so many attempts: twice as long each time, about."""
    wanted = timedelta(seconds=2**attempts) * random.uniform(0.75, 1.25)  # noqa: S311 - jitter, no secret
    return min(wanted, LONGEST_PAUSE)


async def forget_ended(db: Database, *, limit: int = 1000) -> int:
    """Delete what was sent or given up a month ago; from then on its key may be used again."""
    async with db.statement() as tx:
        return await sql.delete_ended(tx, keep=ENDED_KEPT, limit=limit)
