"""Passes of the accounts slice."""

from datetime import timedelta

from numberdesk.accounts import sql
from numberdesk.accounts.service import People, answer_mail_requests
from numberdesk.base.db import Database

KEPT_HOURS = 48
ENDED_DAYS = 180
"""How long an ended session is kept: whoever asks what happened to an account needs it."""
LINK_DAYS = 7


async def answer_requests(people: People, *, limit: int = 100) -> int:
    """Write the mails that were asked for; returns how many requests were looked at."""
    return await answer_mail_requests(people, limit=limit)


async def forget_old_answers(db: Database, *, limit: int = 1000) -> int:
    """Delete answers to Idempotency-Keys after 48 hours; returns how many went."""
    async with db.statement() as tx:
        return await sql.delete_old_key_uses(tx, hours=KEPT_HOURS, limit=limit)


async def forget_old_visits(db: Database, *, limit: int = 1000) -> int:
    """Delete sessions that ended long ago, and links that went out long ago; returns how many went."""
    async with db.statement() as tx:
        sessions = await sql.delete_old_sessions(tx, days=ENDED_DAYS, limit=limit)
        return max(sessions, await sql.delete_old_tokens(tx, days=LINK_DAYS, limit=limit))


async def forget_closed(db: Database, *, keep: timedelta, limit: int = 100) -> int:
    """Take mail address and name out of accounts that were closed long ago; returns of how many."""
    async with db.statement() as tx:
        return await sql.forget_closed(tx, keep=keep, limit=limit)


async def forget_addresses(db: Database, *, keep: timedelta, limit: int = 1000) -> int:
    """Delete addresses that accounts were not used from for long; returns how many went."""
    async with db.statement() as tx:
        return await sql.delete_old_ips(tx, keep=keep, limit=limit)
