"""Give the simulator's tests a client that asks in the protocol's words."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from numberdesk.providers import simulator
from numberdesk.providers.simulator import Fact, Simulator

KEY = "simulator-key"
TELEGRAM = {"service": "tg", "country": "22"}
# What a Telegram number from India costs at every simulator without a price factor.
PRICE = 1775


@dataclass(frozen=True)
class Desk:
    """A client of one simulator; what has an effect is posted, because aiohttp sends a GET twice when it is dropped."""

    provider: Simulator
    session: aiohttp.ClientSession

    async def raw(self, action: str | None, *, key: str | None = KEY, **parameters: Any) -> tuple[bytes, str]:
        given = {"api_key": key, "action": action, **parameters}
        query = {name: str(value) for name, value in given.items() if value is not None}
        method = "POST" if action in ("getNumber", "getNumberV2", "setStatus") else "GET"
        async with self.session.request(method, self.provider.url, params=query, allow_redirects=False) as answer:
            body = await answer.read()
            if answer.status != 200:
                raise WrongStatus(answer.status, body[:100])
            return body, answer.content_type

    async def ask(self, action: str | None, **parameters: Any) -> str:
        return (await self.raw(action, **parameters))[0].decode()

    async def json(self, action: str, **parameters: Any) -> Any:
        body, kind = await self.raw(action, **parameters)
        assert kind == "application/json", body
        return msgspec.json.decode(body)

    async def active(self, **parameters: Any) -> list[dict[str, Any]]:
        body = await self.ask("getActiveActivations", **parameters)
        listed: list[dict[str, Any]] = (
            [] if body == "NO_ACTIVATIONS" else msgspec.json.decode(body)["activeActivations"]
        )
        return listed

    async def buy(self, **parameters: Any) -> int:
        body = await self.ask("getNumber", **(TELEGRAM | parameters))
        assert re.fullmatch(r"ACCESS_NUMBER:\d+:\d+", body), body
        return int(body.split(":")[1])

    async def status(self, activation_id: int) -> str:
        return await self.ask("getStatus", id=activation_id)

    async def set(self, activation_id: int, status: int) -> str:
        return await self.ask("setStatus", id=activation_id, status=status)

    async def until(self, activation_id: int, pattern: str) -> str:
        """Ask for the status until it matches; gives up after some three seconds."""
        body = ""
        for _ in range(300):
            body = await self.status(activation_id)
            if re.fullmatch(pattern, body):
                return body
            await asyncio.sleep(0.01)
        raise AssertionError(f"{body} never became {pattern}")


class WrongStatus(Exception):
    """The simulator answered with another HTTP status than 200."""


@asynccontextmanager
async def opened(profile: Any = "never", record_path: Path | None = None, **options: Any) -> AsyncIterator[Desk]:
    """Run a simulator and a client of it."""
    provider = await simulator.start(profile=profile, api_key=KEY, record_path=record_path, **options)
    try:
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            yield Desk(provider, session)
    finally:
        await provider.stop()


def ids(facts: list[Fact]) -> list[int | None]:
    """Name the activations of facts."""
    return [fact.activation_id for fact in facts]
