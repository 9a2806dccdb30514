"""Codes to the chats of customers who want them there; everybody else reads them where they rented the number."""

from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database
from numberdesk.notifications import service as notifications
from numberdesk.notifications.model import Notice
from numberdesk.orders import sql

CODES_AT_ONCE = 50
"""Of one account; more of them come with the next turn."""


async def tell_codes(db: Database, vault: Vault, *, limit: int = 100) -> int:
    """Write codes down for the chats of accounts that want them; returns how many accounts had news.

    How far an account was told is written with its messages: after a crash in between neither stands.
    """
    async with db.transaction() as tx:
        readers = await notifications.take_code_readers(tx, limit=limit)
        if not readers:
            return 0
        news = await sql.list_code_news(tx, {item.account_id: item.seq for item in readers}, limit=CODES_AT_ONCE)
        notices = [
            Notice(
                "order_code", "",
                {"name": "", "order": int(item.order_id), "number": item.number, "code": item.code},
                f"order_code:{item.order_id}:{item.ordinal}", item.account_id,
            )
            for item in news
        ]  # fmt: skip
        await notifications.enqueue(tx, vault, notices)
        told = []
        for reader in readers:
            seen = [item.seq for item in news if item.account_id == reader.account_id]
            is_all = len(seen) < CODES_AT_ONCE
            told.append((reader.account_id, max([*seen, reader.last_seq]) if is_all else seen[-1]))
        await notifications.set_codes_told(tx, told)
    return len(readers)
