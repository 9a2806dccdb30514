"""Push each SMS to the buyer as SMS-Activate's webhook does: bounded in number, tried again a few times."""

import asyncio
from typing import Final

import aiohttp
import structlog

_log = structlog.get_logger()

_SENDERS: Final = 8
_MOST_WAITING: Final = 10_000
_PAUSES: Final = (0.5, 1.0, 2.0)
_DEADLINE: Final = aiohttp.ClientTimeout(total=3.0)


class Webhooks:
    """Send bodies to one address; what does not fit in the queue is counted and dropped, as the poll brings it too."""

    def __init__(self, url: str) -> None:
        self.sent = 0
        self.failed = 0
        self.dropped = 0
        self._url = url
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(_MOST_WAITING)
        self._session = aiohttp.ClientSession(timeout=_DEADLINE, connector=aiohttp.TCPConnector(limit=_SENDERS))
        self._senders = [asyncio.create_task(self._send_all()) for _ in range(_SENDERS)]

    def push(self, body: bytes) -> None:
        """Queue a body."""
        try:
            self._waiting.put_nowait(body)
        except asyncio.QueueFull:
            self.dropped += 1

    async def stop(self) -> None:
        """Give up what is still waiting."""
        for sender in self._senders:
            sender.cancel()
        await asyncio.gather(*self._senders, return_exceptions=True)
        await self._session.close()

    async def _send_all(self) -> None:
        while True:
            body = await self._waiting.get()
            for pause in (*_PAUSES, None):
                if await self._is_taken(body):
                    self.sent += 1
                    break
                if pause is None:
                    self.failed += 1
                    _log.warning("simulator_webhook_given_up", url=self._url)
                else:
                    await asyncio.sleep(pause)

    async def _is_taken(self, body: bytes) -> bool:
        try:
            headers = {"Content-Type": "application/json"}
            async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False
