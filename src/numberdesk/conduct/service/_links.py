"""Who belongs together, and what happened by month: for people to look at. Nothing is decided by it."""

from collections.abc import Sequence
from datetime import timedelta

from numberdesk.base import clock
from numberdesk.base.db import Database, Tx
from numberdesk.conduct import sql
from numberdesk.conduct.model import Link, MonthCounts
from numberdesk.wallet.model import AccountId

LINKS_MAX = 200
"""Of each kind."""
LATELY = timedelta(days=90)
MONTHS_MAX = 36


async def list_links(db: Database, account_id: AccountId) -> list[Link]:
    """Return accounts that share a payer, a network of the last 90 days, or the pattern of the mail address.

    A shared network or pattern is a reason to look, never one to punish: households, offices and common names share
    them, and `others` says how large the crowd is.
    """
    async with db.statement() as tx:
        return [
            *await sql.list_payer_links(tx, account_id, limit=LINKS_MAX),
            *await sql.list_network_links(tx, account_id, within=LATELY, limit=LINKS_MAX),
            *await sql.list_mail_links(tx, account_id, limit=LINKS_MAX),
        ]


async def note_payers(tx: Tx, payment_ids: Sequence[int]) -> None:
    """Write down whom payers paid for, in the transaction that credits payments or learns who paid them."""
    if payment_ids:
        await sql.upsert_payers(tx, payment_ids)


async def count_months(db: Database, *, months: int) -> list[MonthCounts]:
    """Return what was withheld, closed and asked for by authorities, by month (UTC), the latest first.

    Args:
        months: this one and those before it, up to `MONTHS_MAX`. A month in which nothing happened is left out.
    """
    now = clock.now()
    first = now.year * 12 + now.month - 1 - (min(months, MONTHS_MAX) - 1)
    since = now.replace(year=first // 12, month=first % 12 + 1, day=1, hour=0, minute=0, second=0, microsecond=0)
    async with db.statement() as tx:
        return await sql.count_months(tx, since=since)
