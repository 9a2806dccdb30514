"""The line to one provider: what an adapter asks through, within the provider's places, pace and deadline."""

import asyncio
from dataclasses import dataclass, field

from aiohttp import ClientSession
from aiolimiter import AsyncLimiter
from yarl import URL

from numberdesk.base import http_client
from numberdesk.base.http_client import Answer, NoAnswer
from numberdesk.providers.model import Provider

BUSY = NoAnswer("no free place before the deadline", sent=False)


@dataclass(frozen=True, slots=True)
class Line:
    """A provider as this process reaches it.

    `places` bounds the calls in flight, so that a slow provider holds up nobody but itself. `pace` is None for a
    provider that takes any number of calls a second.
    """

    provider: Provider
    api_key: str = field(repr=False)
    endpoint: URL
    session: ClientSession = field(repr=False)
    places: asyncio.Semaphore = field(repr=False)
    pace: AsyncLimiter | None = field(repr=False)


async def ask(line: Line, params: dict[str, str], *, until: float, body_max: int) -> Answer | NoAnswer:
    """Send one GET when there is a place for it; the wait counts against the deadline.

    Args:
        until: the deadline on the event loop's clock.
        body_max: bytes of the body after decompression.

    Returns:
        `BUSY` when no place or turn came in time; nothing was sent then.
    """
    loop = asyncio.get_running_loop()
    if not await _in_time(line.places, until):
        return BUSY
    try:
        if line.pace is not None and not await _in_time(line.pace, until):
            return BUSY
        return await http_client.get(
            line.session, line.endpoint, params=params, deadline=until - loop.time(), body_max=body_max
        )
    finally:
        line.places.release()


async def _in_time(gate: asyncio.Semaphore | AsyncLimiter, until: float) -> bool:
    if not gate.locked() if isinstance(gate, asyncio.Semaphore) else gate.has_capacity():
        await gate.acquire()
        return True
    try:
        async with asyncio.timeout_at(until):
            await gate.acquire()
    except TimeoutError:
        return False
    return True
