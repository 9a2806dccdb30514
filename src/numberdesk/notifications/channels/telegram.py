"""Telegram: one method to send by, one to read by, and what their answers mean.

The token stands in the address of every call. So no address, and no exception of the client, ever leaves this module.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import msgspec
from aiohttp import ClientSession
from msgspec import Struct
from yarl import URL

from numberdesk.base import http_client
from numberdesk.base.crypto import keyed_hash
from numberdesk.base.http_client import Answer, NoAnswer
from numberdesk.notifications.model import (
    BadTelegram,
    BadToken,
    Doubtful,
    Failed,
    Gone,
    Later,
    Message,
    Moved,
    Sent,
    TelegramOutcome,
    TelegramSettings,
)

T = TypeVar("T")

TEXT_MAX = 4096
"""Characters of a message after its markup was read."""
LATER_MAX = 24 * 3600
BODY_MAX = 1024 * 1024
POLL_SECONDS = 20
_TOKEN = re.compile(r"[0-9]{3,20}:[A-Za-z0-9_-]{20,100}")
_GONE = re.compile(r"chat not found|user is deactivated|group chat was deactivated|not enough rights", re.I)
_NOT_UNDERSTOOD = re.compile(r"can't parse entities|can't parse message", re.I)
_OK = 200


class _Parameters(Struct):
    retry_after: int | None = None
    migrate_to_chat_id: int | None = None


class _Told(Struct):
    """An answer of Telegram's: https://core.telegram.org/bots/api#making-requests."""

    ok: bool
    description: str = ""
    parameters: _Parameters | None = None


class Chat(Struct):
    """Where somebody wrote."""

    id: int
    type: str


class Written(Struct):
    """A message to the bot; of its words only a command counts."""

    chat: Chat
    text: str = ""


class Update(Struct):
    """Something that happened to the bot."""

    update_id: int
    message: Written | None = None


class _Updates(Struct):
    result: list[Update]


class Bot(Struct):
    """Who the bot is."""

    username: str


class _Me(Struct):
    result: Bot


@dataclass(frozen=True)
class Telegram:
    """The bot of an installation. Nothing of it raises for what the other side does: whatever happens is an outcome."""

    session: ClientSession
    settings: TelegramSettings

    def __post_init__(self) -> None:
        if not _TOKEN.fullmatch(self.settings.token or ""):
            raise BadTelegram("TELEGRAM_BOT_TOKEN: must be as @BotFather gave it, such as 123456789:AAF…")
        if not self.settings.url.startswith(("https://", "http://")):
            raise BadTelegram("TELEGRAM_URL: must begin with https:// (or http:// on one machine)")

    @property
    def token_mark(self) -> str:
        """Tell tokens apart without telling the token."""
        return keyed_hash(self.settings.token or "", key="telegram").hex()[:16]

    async def send(self, message: Message) -> TelegramOutcome:
        """Send one message; once more as plain text when its markup was not understood."""
        outcome = await self._send(message, message.html, is_html=True)
        if outcome is None:
            outcome = await self._send(message, message.plain, is_html=False)
        return outcome or Failed(True, "Telegram does not take the text")

    async def _send(self, message: Message, text: str, *, is_html: bool) -> TelegramOutcome | None:
        body: dict[str, object] = {
            "chat_id": message.chat_id,
            "text": text,
            "disable_notification": message.is_silent,
            "link_preview_options": {"is_disabled": True},
        }
        if is_html:
            body["parse_mode"] = "HTML"
        if message.thread_id is not None:
            body["message_thread_id"] = message.thread_id
        answer = await self._call("sendMessage", body, seconds=self.settings.timeout)
        return _meaning(answer, is_html=is_html)

    async def read(self, *, since: int) -> list[Update] | TelegramOutcome:
        """Wait for what people write to the bot, 20 seconds at the most."""
        body = {"offset": since, "timeout": POLL_SECONDS, "limit": 100, "allowed_updates": ["message"]}
        answer = await self._call("getUpdates", body, seconds=POLL_SECONDS + self.settings.timeout)
        found = _result(answer, _Updates)
        return found.result if isinstance(found, _Updates) else found

    async def who(self) -> Bot | TelegramOutcome:
        """Ask for the bot's name, which also proves the token."""
        found = _result(await self._call("getMe", {}, seconds=self.settings.timeout), _Me)
        return found.result if isinstance(found, _Me) else found

    async def _call(self, method: str, body: Mapping[str, object], *, seconds: float) -> Answer | NoAnswer:
        return await http_client.send(
            self.session,
            "POST",
            URL(f"{self.settings.url.rstrip('/')}/bot{self.settings.token}/{method}", encoded=True),
            headers={"Content-Type": "application/json"},
            body=json.dumps(body).encode(),
            deadline=seconds,
            body_max=BODY_MAX,
        )


def _result(answer: Answer | NoAnswer, form: type[T]) -> T | TelegramOutcome:
    if isinstance(answer, Answer) and answer.status == _OK:
        found = _read(answer.body, form)
        return found if found is not None else Failed(False, "Telegram's answer is not what it documents")
    return _meaning(answer, is_html=False) or Failed(False, "Telegram refused")


def _read(body: bytes, form: type[T]) -> T | None:
    try:
        return msgspec.json.decode(body, type=form)
    except msgspec.DecodeError:
        return None


def _meaning(answer: Answer | NoAnswer, *, is_html: bool) -> TelegramOutcome | None:
    """Return what an answer means; None: the markup was not understood. Of Telegram's words none is passed on."""
    if isinstance(answer, NoAnswer):
        reason = f"no answer of Telegram ({answer.reason})"
        return Doubtful(reason) if answer.sent else Failed(False, reason)
    told = _read(answer.body, _Told)
    if told is None:
        # Not Telegram's words: a proxy's, or an answer that was cut off.
        reason = f"Telegram answered {answer.status} in other words than it documents"
        return Doubtful(reason) if answer.status in (_OK, 502, 504) else Failed(False, reason)
    parameters = told.parameters or _Parameters()
    if answer.status == _OK and told.ok:
        return Sent()
    if parameters.migrate_to_chat_id is not None:
        return Moved(parameters.migrate_to_chat_id)
    match answer.status:
        case 429:
            return Later(min(max(parameters.retry_after or 1, 1), LATER_MAX))
        case 401 | 404:
            return BadToken()
        case 403:
            return Gone("the bot was blocked there, or removed")
        case 400 if _NOT_UNDERSTOOD.search(told.description):
            return None if is_html else Failed(True, "Telegram does not take the text")
        case 400 if _GONE.search(told.description):
            return Gone("there is no such chat, or the bot may not write to it")
        case 400:
            return Failed(True, "Telegram refused the message (400)")
        case status:
            return Failed(False, f"Telegram answered {status}")
