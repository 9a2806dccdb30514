"""What tests do with Telegram: a bell that leads to the fake one, events for the staff, and passes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from numberdesk.base import http_client
from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database
from numberdesk.notifications import jobs
from numberdesk.notifications import service as notifications
from numberdesk.notifications.model import StaffEvent, StaffKind, TelegramSettings
from numberdesk.notifications.service import Bell
from tests.notifications.outbox import make_due
from tests.notifications.telegram import STAFF_CHAT, TOKEN, FakeTelegram

ALL: tuple[StaffKind, ...] = ("registration", "recharge", "service", "system", "error", "work")


@asynccontextmanager
async def bell_to(fake: FakeTelegram, **changes: Any) -> AsyncIterator[Bell]:
    """Lend a bell; its pace knows no group, so that tests need not wait."""
    usual = TelegramSettings(token=TOKEN, chat_id=STAFF_CHAT, url=fake.url, kinds=ALL, timeout=2.0)
    async with http_client.session() as session:
        yield notifications.open_bell(session, replace(usual, **changes))


def event(number: int = 1, *, kind: StaffKind = "system", title: str = "It happened", **facts: str) -> StaffEvent:
    return StaffEvent(kind, title, facts or {"Number": number}, f"test:{number}")


async def tell(db: Database, vault: Vault, *events: StaffEvent) -> None:
    async with db.transaction() as tx:
        await notifications.tell(tx, vault, events)


async def ring(db: Database, vault: Vault, bell: Bell, *, turns: int = 1) -> None:
    """Let the pass run, each time as if every wait were over."""
    for _ in range(turns):
        bell.pace.chats.clear()
        await make_due(db)
        await jobs.deliver_by_telegram(db, vault, bell)
