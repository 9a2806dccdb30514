"""Sending events for the staff by apprise."""

from datetime import timedelta

from numberdesk.base.crypto import Vault, WrongKey
from numberdesk.base.db import Database
from numberdesk.notifications import sql
from numberdesk.notifications.jobs._mails import ATTEMPTS_MAX, pause
from numberdesk.notifications.model import Failed, Outcome, Sent
from numberdesk.notifications.service import Bell, contents, event_words

LEASE = timedelta(seconds=120)


async def deliver_by_relay(db: Database, vault: Vault, bell: Bell, *, limit: int = 5) -> int:
    """Send events that are due, one after the other; returns how many were tried."""
    if bell.relay is None:
        return 0
    async with db.transaction() as tx:
        letters = await sql.lease_due(tx, "apprise", lease=LEASE, limit=limit)
    for letter in letters:
        try:
            payload = contents(vault, letter)
        except WrongKey:
            outcome: Outcome = Failed(False, "it cannot be read with ENCRYPTION_KEYS")
        else:
            title, _, text = event_words(payload["title"], payload["facts"])[1].partition("\n")
            outcome = await bell.relay.send(title, text or title)
        async with db.statement() as tx:
            if isinstance(outcome, Sent):
                await sql.set_sent(tx, letter.id)
            elif letter.attempts >= ATTEMPTS_MAX:
                await sql.set_failed(tx, letter, problem=outcome.reason, keeps_payload=True)
            else:
                await sql.set_retry(tx, letter, after=pause(letter.attempts), problem=outcome.reason)
    return len(letters)
