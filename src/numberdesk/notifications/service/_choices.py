"""What customers are told and where: switches, the balance below which they want to know, and their own chat."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import get_args

import structlog

from numberdesk.base import ids
from numberdesk.base.crypto import keyed_hash
from numberdesk.base.db import Database, Tx
from numberdesk.base.errors import AppError
from numberdesk.notifications import sql
from numberdesk.notifications.channels.telegram import Bot, Update
from numberdesk.notifications.model import (
    ALWAYS_MAILED,
    EVENTS,
    NEVER_MAILED,
    BadToken,
    Choices,
    CodeReader,
    LinkState,
    Low,
    Notice,
    NoticeEvent,
    Start,
    Switch,
)
from numberdesk.notifications.service._bell import Bell

log = structlog.get_logger()

CODES = "telegram:code"
CODE_LENGTH = 32
CODE_MINUTES = 15
LINK_SECONDS = 45
"""How long a process has the word with Telegram while it waits for what people write."""
_START = re.compile(r"/start ([A-Za-z0-9]{32})")


@dataclass(eq=False)
class NoTelegram(AppError):
    """This installation has no bot that customers could link a chat with."""

    status = 409
    code = "telegram_unavailable"
    category = "system"
    message = "Messages by Telegram are not available here."


async def read_choices(tx: Tx, account_id: int) -> Choices:
    """Return what an account wants to be told."""
    (found,) = await sql.list_choices(tx, [account_id])
    return found


def switches(choices: Choices) -> list[Switch]:
    """Return every switch of an account."""
    return [
        Switch(
            event,
            choices.wants("email", event),
            choices.wants("telegram", event),
            event in ALWAYS_MAILED | NEVER_MAILED,
        )
        for event in get_args(NoticeEvent)
    ]


async def set_switches(tx: Tx, account_id: int, wanted: Mapping[tuple[str, NoticeEvent], bool]) -> None:
    """Set switches by (channel, event). Those of security mails stay on, and codes go by no mail, whatever is said."""
    fixed = {("email", event) for event in ALWAYS_MAILED | NEVER_MAILED}
    words = {f"{channel}:{event}": is_on for (channel, event), is_on in wanted.items() if (channel, event) not in fixed}
    on = sorted(word for word, is_on in words.items() if is_on)
    off = sorted(word for word, is_on in words.items() if not is_on)
    if not words:
        return
    before = await read_choices(tx, account_id)
    await sql.set_switches(tx, account_id, on=on, off=off)
    if CODES in on and CODES not in before.switched_on:
        await sql.set_codes_from_now(tx, account_id)


async def set_low_balance(tx: Tx, account_id: int, paise: int | None) -> None:
    """Set the balance below which an account is told, once for each fall; None tells it never."""
    await sql.set_low_balance(tx, account_id, paise)


async def take_low(tx: Tx, *, limit: int) -> list[Low]:
    """Return accounts whose balance fell below what they set, each once for each fall."""
    await sql.set_not_low(tx, limit=limit)
    return await sql.lease_low(tx, limit=limit)


async def take_code_readers(tx: Tx, *, limit: int) -> list[CodeReader]:
    """Return accounts that want their codes by Telegram and have news; nobody else takes them until the commit."""
    return await sql.lease_code_readers(tx, limit=limit)


async def set_codes_told(tx: Tx, told: Sequence[tuple[int, int]]) -> None:
    """Note up to which event each account was told."""
    await sql.set_codes_told(tx, told)


async def addressed(tx: Tx, notices: Sequence[Notice]) -> tuple[list[Notice], list[Notice]]:
    """Return which notices go by mail and which by Telegram, as their accounts chose; those have keys of their own."""
    switched = {notice.account_id for notice in notices if notice.template in EVENTS}
    known = sorted(number for number in switched if number is not None)
    choices = {item.account_id: item for item in await sql.list_choices(tx, known)} if known else {}
    mails, messages = [], []
    for notice in notices:
        event, choice = EVENTS.get(notice.template), choices.get(notice.account_id or 0)
        if event is None or choice is None:
            mails.append(notice)
            continue
        if choice.wants("email", event):
            mails.append(notice)
        if choice.is_linked and choice.wants("telegram", event):
            messages.append(replace(notice, to="", dedupe_key=f"telegram:{notice.dedupe_key}"))
    return mails, messages


async def find_link(tx: Tx, account_id: int) -> LinkState:
    """Return what an account reads of its chat."""
    return await sql.find_link_state(tx, account_id)


async def new_link_code(tx: Tx, account_id: int) -> tuple[str, str]:
    """Return a code that links a chat within 15 minutes, and the address that sends it to the bot.

    Raises:
        NoTelegram: there is no bot.
    """
    state = await sql.find_link_state(tx, account_id)
    if state.bot_name is None:
        raise NoTelegram
    code = ids.base62(CODE_LENGTH)
    await sql.upsert_code(tx, account_id, _hash(code), minutes=CODE_MINUTES)
    return code, f"https://t.me/{state.bot_name}?start={code}"


def link_code_lives() -> timedelta:
    """Return how long a code is good for."""
    return timedelta(minutes=CODE_MINUTES)


def _hash(code: str) -> bytes:
    return keyed_hash(code, key="codes of telegram")


async def link(tx: Tx, start: Start) -> tuple[int, list[int]] | None:
    """Make a chat the own one of the account whose code it sent; returns that account and those that lose the chat.

    None: the code is none, used up or too old.
    """
    account_id = await sql.delete_code(tx, _hash(start.code))
    if account_id is None:
        return None
    return account_id, await sql.set_linked(tx, account_id, start.chat_id)


async def unlink(tx: Tx, account_id: int) -> bool:
    """Send an account nothing by Telegram any more; False when it has neither chat nor code."""
    return await sql.delete_link(tx, account_id)


async def read_starts(db: Database, bell: Bell) -> tuple[list[Start], int]:
    """Wait for codes that people send to the bot, while there is anybody who may; one process at a time.

    Returns:
        What they sent, and the number up to which the bot was read: `set_read` notes it with what became of them.
    """
    telegram = bell.telegram
    if telegram is None or bell.is_stopped or not telegram.settings.is_for_customers:
        return [], 0
    if bell.bot_name is None:
        await _introduce(db, bell)
        return [], 0
    async with db.transaction() as tx:
        if not await sql.has_codes(tx):
            return [], 0
        state = await sql.lease_channel(tx, owner=bell.owner, seconds=LINK_SECONDS)
    if state is None:
        return [], 0
    found = await telegram.read(since=state.next_update)
    if not isinstance(found, list):
        log.warning("telegram_not_read", problem=type(found).__name__)
        return [], 0
    starts = [start for update in found if (start := _start(update)) is not None]
    return starts, max((update.update_id for update in found), default=-1) + 1


async def _introduce(db: Database, bell: Bell) -> None:
    """Learn the bot's name, which customers need."""
    assert bell.telegram is not None
    found = await bell.telegram.who()
    if isinstance(found, Bot):
        bell.bot_name = found.username
        async with db.transaction() as tx:
            if await sql.lease_channel(tx, owner=bell.owner, seconds=LINK_SECONDS) is not None:
                await sql.set_bot(tx, name=found.username)
    elif isinstance(found, BadToken):
        log.warning("telegram_bot_unknown")


def _start(update: Update) -> Start | None:
    """Return the code that a person sent; whatever else is written, and all that is said in groups, is not for us."""
    message = update.message
    if message is None or message.chat.type != "private":
        return None
    found = _START.fullmatch(message.text.strip())
    return None if found is None else Start(message.chat.id, found[1])


async def set_read(tx: Tx, next_update: int) -> None:
    """Note up to where the bot was read, in the transaction of what became of it; and forget codes that are too old."""
    await sql.set_read(tx, next_update=next_update)
    await sql.delete_old_codes(tx)
