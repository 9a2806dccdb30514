"""Sending by Telegram what waits: by one process at a time, within the pace, and many events as one message."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import jinja2
import structlog

from numberdesk.base import clock
from numberdesk.base.crypto import Vault, WrongKey
from numberdesk.base.db import Database
from numberdesk.notifications import sql
from numberdesk.notifications.channels.telegram import Telegram
from numberdesk.notifications.jobs._mails import ATTEMPTS_MAX, pause
from numberdesk.notifications.model import (
    EPHEMERAL,
    BadToken,
    Doubtful,
    Failed,
    Gone,
    Later,
    Message,
    Moved,
    Sent,
    TelegramOutcome,
)
from numberdesk.notifications.service import (
    REPEATED,
    Bell,
    chat_words,
    contents,
    digest_words,
    event_words,
    short_line,
)

log = structlog.get_logger()

CHANNEL_SECONDS = 30
"""How long a process has the word; one that was killed keeps the others waiting for so long."""
LEASE = timedelta(seconds=40)
START_WITHIN = 10.0
AT_ONCE = 10
DIGEST_ABOVE = 20
"""Events for the staff that wait at once, and from which on they go as one message."""
DIGEST_MAX = 500
DIGEST_SHOWN = 3
CUSTOMERS_AT_ONCE = 100

Parcel = tuple[Message, list[sql.Letter]]
"""One message, and the letters that it tells of."""


async def deliver_by_telegram(db: Database, vault: Vault, bell: Bell) -> int:
    """Send what is due by Telegram; returns how many letters ended or will be tried again.

    What the pace has no place for is given back and due a little later. A crash loses the lease only: what was handed
    over and not settled is sent again, and then says that it is a repeat.
    """
    telegram = bell.telegram
    if telegram is None or bell.is_stopped:
        return 0
    ends = clock.seconds() + START_WITHIN
    async with db.transaction() as tx:
        if not await sql.is_due(tx, "telegram"):
            return 0
        if await sql.lease_channel(tx, owner=bell.owner, seconds=CHANNEL_SECONDS) is None:
            return 0
        target = await sql.find_target(tx, "telegram")
        for_staff = await sql.lease_due(tx, "telegram", lease=LEASE, limit=DIGEST_MAX, is_for_staff=True)
        for_people = await sql.lease_due(tx, "telegram", lease=LEASE, limit=CUSTOMERS_AT_ONCE, is_for_staff=False)
        accounts = sorted({letter.account_id for letter in for_people if letter.account_id is not None})
        links = {link.account_id: link for link in await sql.list_links(tx, accounts)} if accounts else {}
    parcels = await _for_staff(db, vault, for_staff, target)
    for letter in for_people:
        link = links.get(letter.account_id or 0)
        if link is None or link.state == "off":
            await _end(db, [letter], "the customer's chat is not linked" if link is None else link.problem or "")
        else:
            parcels += await _written(db, vault, [letter], Message(link.chat_id, "", ""))
    await _send_all(db, bell, telegram, parcels, ends)
    return len(for_staff) + len(for_people)


async def _for_staff(
    db: Database, vault: Vault, letters: Sequence[sql.Letter], target: sql.StaffTarget | None
) -> list[Parcel]:
    if target is None or target.chat_id is None or target.state == "off":
        await _end(db, letters, "the staff have no chat" if target is None else target.problem or "")
        return []
    to = Message(target.chat_id, "", "", target.thread_id)
    if len(letters) > DIGEST_ABOVE:
        return await _written(db, vault, letters, to)
    return [parcel for letter in letters for parcel in await _written(db, vault, [letter], to)]


async def _written(db: Database, vault: Vault, letters: Sequence[sql.Letter], to: Message) -> list[Parcel]:
    """Put letters into words, as one message; those that cannot be read are tried again later."""
    events: dict[str, list[str]] = {}
    written: list[sql.Letter] = []
    words = ("", "")
    for letter in letters:
        try:
            if letter.attempts > ATTEMPTS_MAX:
                await _end(db, [letter], "every attempt was cut off")
                continue
            payload = contents(vault, letter)
            if "title" in payload:
                words = event_words(payload["title"], payload["facts"])
                events.setdefault(payload["title"], []).append(short_line(payload["facts"]))
            else:
                words = chat_words(letter.template, payload["data"])  # type: ignore[arg-type]
        except (WrongKey, jinja2.TemplateError) as problem:
            await _again(db, [letter], f"it cannot be read ({type(problem).__name__})")
            continue
        written.append(letter)
    if not written:
        return []
    if len(written) > 1:
        words = digest_words(events, DIGEST_SHOWN)
    html, plain = words
    if any(letter.under_way for letter in written):
        html, plain = f"{html}\n<i>{REPEATED}</i>", f"{plain}\n{REPEATED}"
    # A flood is told without a sound.
    return [(replace(to, html=html, plain=plain, is_silent=len(written) > 1), written)]


async def _send_all(db: Database, bell: Bell, telegram: Telegram, parcels: Sequence[Parcel], ends: float) -> None:
    places = asyncio.Semaphore(AT_ONCE)

    async def take_turn(parcel: Parcel) -> None:
        message, letters = parcel
        async with places:
            is_late = bell.is_stopped or clock.seconds() > ends
            wait = 1.0 if is_late else bell.pace.wait(message.chat_id)
            if wait > 0:
                await _give_back(db, letters, wait)
            else:
                await _settle(db, bell, telegram, parcel, await telegram.send(message))

    results = await asyncio.gather(*map(take_turn, parcels), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            log.warning("telegram_not_settled", problem=type(result).__name__)


async def _settle(db: Database, bell: Bell, telegram: Telegram, parcel: Parcel, outcome: TelegramOutcome) -> None:
    message, letters = parcel
    match outcome:
        case Sent():
            async with db.transaction() as tx:
                await sql.set_all_sent(tx, letters)
                if not bell.is_proven:
                    await sql.set_working(tx)
            bell.is_proven = True
        case Later(seconds):
            # One more than it says: its seconds are rounded.
            bell.pace.pause(message.chat_id, seconds + 1)
            await _give_back(db, letters, seconds + 1)
            log.warning("telegram_asks_to_wait", seconds=seconds, letters=len(letters))
        case Moved(chat_id):
            async with db.transaction() as tx:
                await sql.set_moved(tx, chat_id=message.chat_id, to=chat_id)
                await sql.set_returned(tx, letters)
            log.warning("telegram_chat_moved", is_for_staff=letters[0].account_id is None)
        case Gone(reason):
            async with db.transaction() as tx:
                if letters[0].account_id is None:
                    await sql.set_target_off(tx, "telegram", chat_id=message.chat_id, problem=reason)
                else:
                    await sql.set_link_off(tx, chat_id=message.chat_id, problem=reason)
            await _end(db, letters, reason)
        case BadToken():
            if not bell.is_stopped:
                bell.is_stopped = True
                log.error(
                    "telegram_stopped",
                    problem="Telegram does not know TELEGRAM_BOT_TOKEN. Messages wait: set the right one and restart.",
                )
            async with db.transaction() as tx:
                await sql.set_stopped(tx, token_mark=telegram.token_mark)
                await sql.set_returned(tx, letters, after=timedelta(seconds=1))
        case Doubtful(reason):
            await _again(db, letters, reason, in_doubt=True)
        case Failed(permanent, reason):
            await (_end if permanent else _again)(db, letters, reason)


async def _give_back(db: Database, letters: Sequence[sql.Letter], seconds: float) -> None:
    async with db.statement() as tx:
        await sql.set_returned(tx, letters, after=timedelta(seconds=seconds))


async def _again(db: Database, letters: Sequence[sql.Letter], problem: str, *, in_doubt: bool = False) -> None:
    """Have letters tried again, unless that was their last attempt."""
    over = [letter for letter in letters if letter.attempts >= ATTEMPTS_MAX]
    await _end(db, over, problem, in_doubt=in_doubt)
    async with db.transaction() as tx:
        for letter in letters:
            if letter.attempts < ATTEMPTS_MAX:
                await sql.set_retry(tx, letter, after=pause(letter.attempts), problem=problem, in_doubt=in_doubt)
    if len(over) < len(letters):
        log.warning("notice_waits", channel="telegram", letters=len(letters) - len(over), problem=problem)


async def _end(db: Database, letters: Sequence[sql.Letter], problem: str, *, in_doubt: bool = False) -> None:
    """Give letters up; what they say is kept, for whoever sends them again."""
    if not letters:
        return
    async with db.transaction() as tx:
        for letter in letters:
            keeps = letter.template not in EPHEMERAL
            await sql.set_failed(tx, letter, problem=problem, keeps_payload=keeps, in_doubt=in_doubt)
    log.error("notices_given_up", channel="telegram", letters=len(letters), problem=problem)
