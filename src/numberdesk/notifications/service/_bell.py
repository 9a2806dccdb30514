"""The bell: what sending by Telegram works with in one process; and where the staff's events go."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from aiohttp import ClientSession

from numberdesk.base.db import Database, Tx
from numberdesk.notifications import sql
from numberdesk.notifications.channels.pace import Pace
from numberdesk.notifications.channels.relay import Relay
from numberdesk.notifications.channels.telegram import Telegram
from numberdesk.notifications.model import StaffChannel, StaffKind, TelegramSettings, Trouble


@dataclass(eq=False)
class Bell:
    """Everything that notices besides mail need in one process."""

    telegram: Telegram | None = None
    relay: Relay | None = None
    kinds: tuple[StaffKind, ...] = ()
    pace: Pace = field(default_factory=Pace)
    owner: str = field(default_factory=lambda: secrets.token_hex(6))
    is_stopped: bool = False
    """Telegram does not know the token: nothing is tried until the next start."""
    bot_name: str | None = None
    """Once it is known."""
    is_proven: bool = False
    """Telegram took a message since the start."""


def open_bell(session: ClientSession, settings: TelegramSettings, *, relay_urls: Sequence[str] = ()) -> Bell:
    """Return the ways besides mail.

    Raises:
        BadTelegram: what is set of Telegram cannot be used.
        RelayMissing: relays are set, and what speaks with them is not installed.
    """
    telegram = None if settings.token is None else Telegram(session, settings)
    relay = Relay(relay_urls) if relay_urls else None
    return Bell(telegram, relay, settings.kinds)


async def settle_targets(db: Database, bell: Bell) -> None:
    """Have the staff's events go where the settings of this process say; those that were switched off are on again."""
    settings = None if bell.telegram is None else bell.telegram.settings
    async with db.transaction() as tx:
        if settings is None or settings.chat_id is None:
            await sql.delete_target(tx, "telegram")
        else:
            await sql.set_target(
                tx, "telegram", kinds=bell.kinds, chat_id=settings.chat_id, thread_id=settings.thread_id
            )
        if settings is None or not settings.is_for_customers:
            await sql.set_bot(tx, name=None)  # customers' chats are written to no more
        if bell.relay is None:
            await sql.delete_target(tx, "apprise")
        else:
            await sql.set_target(tx, "apprise", kinds=bell.kinds, chat_id=None, thread_id=None)


async def switch_on(db: Database, channel: StaffChannel) -> bool:
    """Have events go to a chat again that was switched off; False when it was on, or is none."""
    async with db.statement() as tx:
        return await sql.set_target_on(tx, channel)


async def take_trouble(tx: Tx) -> list[Trouble]:
    """Return the ways to the staff that stopped working, each once: noted as told with this transaction."""
    return await sql.lease_trouble(tx)


async def give_back(db: Database, bell: Bell) -> None:
    """Let another process speak with Telegram at once."""
    if bell.telegram is not None:
        async with db.statement() as tx:
            await sql.lease_channel(tx, owner=bell.owner, seconds=0)
