"""Opens the ways by which notices go besides mail, as the settings say."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import get_args

import structlog

from numberdesk import __version__
from numberdesk.base import http_client
from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database
from numberdesk.base.errors import Unavailable
from numberdesk.notifications import service as notifications
from numberdesk.notifications.model import BadTelegram, StaffEvent, StaffKind, TelegramSettings
from numberdesk.notifications.service import Bell, RelayMissing
from numberdesk.settings import BadSettings, Settings

log = structlog.get_logger()

AGAIN_SECONDS = 0.5


def telegram_settings(settings: Settings) -> TelegramSettings:
    """Return how Telegram is reached."""
    token = settings.telegram_bot_token
    words = [word.strip() for word in settings.staff_events.split(",")]
    kinds: tuple[StaffKind, ...] = tuple(kind for kind in get_args(StaffKind) if kind in words)
    return TelegramSettings(
        token=None if token is None else token.get_secret_value().strip(),
        chat_id=settings.telegram_chat_id,
        thread_id=settings.telegram_topic_id,
        url=settings.telegram_url,
        kinds=kinds,
        is_for_customers=settings.telegram_customers,
    )


@asynccontextmanager
async def opened_bell(settings: Settings) -> AsyncIterator[Bell]:
    """Open the ways besides mail, and close them in the end.

    Raises:
        BadSettings: one of them is set and cannot be used.
    """
    relays = [] if settings.apprise_urls is None else settings.apprise_urls.get_secret_value().split()
    async with http_client.session() as session:
        try:
            yield notifications.open_bell(session, telegram_settings(settings), relay_urls=relays)
        except (BadTelegram, RelayMissing) as problem:
            raise BadSettings(f"{problem}.") from None


@asynccontextmanager
async def ringing(db: Database, vault: Vault, settings: Settings) -> AsyncIterator[Bell]:
    """Open the ways for a worker: the staff's events go there from now on, beginning with the start of a version."""
    async with opened_bell(settings) as bell:
        await _begin(db, vault, settings, bell)
        try:
            yield bell
        finally:
            try:
                await notifications.give_back(db, bell)
            except Unavailable:
                log.warning("telegram_not_given_back")


async def _begin(db: Database, vault: Vault, settings: Settings, bell: Bell) -> None:
    facts = {"Version": __version__, "Installation": settings.app_env}
    start = StaffEvent("system", "Numberdesk runs in a version that is new here", facts, f"start:{__version__}")
    while True:
        try:
            await notifications.settle_targets(db, bell)
            async with db.transaction() as tx:
                await notifications.tell(tx, vault, [start])
        except Unavailable:
            # The service answers by now: it must not end because the database is away for a moment.
            log.warning("notices_wait_for_database")
            await asyncio.sleep(AGAIN_SECONDS)
        else:
            return
