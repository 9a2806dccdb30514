"""A server on loopback that speaks as Telegram's does, keeps what it gets, and misbehaves when told to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

TOKEN = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw0"
STAFF_CHAT = -1001234
CUSTOMER_CHAT = 7770001


@dataclass
class FakeTelegram:
    """What arrived, and knobs that may be turned at any time."""

    url: str = ""
    sent: list[dict[str, Any]] = field(default_factory=list)
    """Every message that was accepted, oldest first."""
    tries: int = 0
    """How many messages began to come, whatever became of them."""
    answers: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    """Given to the next messages, one each, instead of taking them."""
    gone: dict[int, str] = field(default_factory=dict)
    """Chats to which nothing can be sent, with what Telegram says of it."""
    moved: dict[int, int] = field(default_factory=dict)
    """Groups that became supergroups."""
    refuses_html: bool = False
    """Say of all markup that it cannot be parsed."""
    drops: int = 0
    """Accept so many messages and cut the connection instead of answering."""
    hangs: bool = False
    """Never answer a message."""
    holds: bool = False
    """Accept messages, and never say so."""
    token: str = TOKEN
    updates: list[dict[str, Any]] = field(default_factory=list)
    """What people wrote to the bot and nobody has read yet."""
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    def write(self, text: str, *, chat_id: int = CUSTOMER_CHAT, kind: str = "private") -> None:
        """Have somebody write to the bot."""
        number = 1 + max((update["update_id"] for update in self.updates), default=900)
        message = {"message_id": number, "date": 0, "text": text, "chat": {"id": chat_id, "type": kind}}
        self.updates.append({"update_id": number, "message": message})
        self._came.set()

    def texts(self, chat_id: int | None = None) -> list[str]:
        """Return what was sent to a chat, or to all."""
        return [str(item["text"]) for item in self.sent if chat_id is None or item["chat_id"] == chat_id]

    async def wait_for(self, count: int, *, patience: float = 10.0) -> None:
        """Wait until so many messages have come."""
        async with asyncio.timeout(patience):
            while len(self.sent) < count:  # noqa: ASYNC110 - several tests look at several things
                await asyncio.sleep(0.02)

    async def send_message(self, body: dict[str, Any], request: web.Request) -> web.StreamResponse:
        self.tries += 1
        if self.answers:
            status, answer = self.answers.pop(0)
            return web.json_response(answer, status=status)
        chat_id = body["chat_id"]
        if chat_id in self.moved:
            parameters = {"migrate_to_chat_id": self.moved[chat_id]}
            return refused(400, "Bad Request: group chat was upgraded to a supergroup chat", **parameters)
        if chat_id in self.gone:
            return refused(403 if "Forbidden" in self.gone[chat_id] else 400, self.gone[chat_id])
        if self.refuses_html and "parse_mode" in body:
            return refused(400, "Bad Request: can't parse entities: Unsupported start tag at byte offset 3")
        if self.hangs:
            await asyncio.Event().wait()
        self.sent.append(body)
        if self.holds:
            await asyncio.Event().wait()
        if self.drops:
            self.drops -= 1
            assert request.transport is not None
            request.transport.abort()
            await asyncio.Event().wait()
        return web.json_response({"ok": True, "result": {"message_id": len(self.sent)}})

    async def get_updates(self, body: dict[str, Any], _request: web.Request) -> web.StreamResponse:
        self.updates = [update for update in self.updates if update["update_id"] >= body["offset"]]
        if not self.updates:
            self._came.clear()
            try:
                async with asyncio.timeout(min(body["timeout"], 1)):
                    await self._came.wait()
            except TimeoutError:
                pass
        return web.json_response({"ok": True, "result": self.updates})

    async def get_me(self, _body: dict[str, Any], _request: web.Request) -> web.StreamResponse:
        return web.json_response({"ok": True, "result": {"id": 1, "is_bot": True, "username": "numbers_bot"}})


def refused(status: int, description: str, **parameters: int) -> web.Response:
    """Return a refusal as Telegram words it."""
    answer: dict[str, Any] = {"ok": False, "error_code": status, "description": description}
    return web.json_response(answer | ({"parameters": parameters} if parameters else {}), status=status)


def too_many(seconds: int) -> tuple[int, dict[str, Any]]:
    """Return what a bot that sends too fast is told."""
    description = f"Too Many Requests: retry after {seconds}"
    return 429, {"ok": False, "error_code": 429, "description": description, "parameters": {"retry_after": seconds}}


@asynccontextmanager
async def telegram() -> AsyncIterator[FakeTelegram]:
    """Run the server for as long as the block lasts."""
    fake = FakeTelegram()
    methods: dict[str, Callable[[dict[str, Any], web.Request], Awaitable[web.StreamResponse]]] = {
        "sendMessage": fake.send_message,
        "getUpdates": fake.get_updates,
        "getMe": fake.get_me,
    }

    async def answer(request: web.Request) -> web.StreamResponse:
        token, _, method = request.path.removeprefix("/bot").partition("/")
        if token != fake.token:
            return refused(401, "Unauthorized")
        return await methods[method](await request.json(), request)

    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    fake.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[attr-defined]
    try:
        yield fake
    finally:
        await runner.cleanup()
