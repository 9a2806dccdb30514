"""What the tests of the client may ask for: a running site, and the client in both its forms."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from numberdesk.client import AsyncClient, Client
from tests.http.conftest import alice, stand
from tests.http.stand import HOST, Stand
from tests.http.stand import Client as Customer

__all__ = ["alice", "stand"]


class Awaited:
    """The asynchronous client, each verb run to its end."""

    def __init__(self, url: str, key: str, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        try:
            self._client = self._loop.run_until_complete(self._make(url, key, options))
        except ValueError:
            self._loop.close()
            raise

    async def _make(self, url: str, key: str, options: dict[str, Any]) -> AsyncClient:
        return AsyncClient(url, key, **options)

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        return lambda *args, **named: self._loop.run_until_complete(getattr(self._client, verb)(*args, **named))

    def stream(self, **named: Any) -> Iterator[Any]:
        """Yield what the stream yields."""
        events = self._client.stream(**named)
        try:
            while True:
                yield self._loop.run_until_complete(anext(events))
        finally:
            self._loop.run_until_complete(events.aclose())  # type: ignore[attr-defined]

    def close(self) -> None:
        """Close the connections and the loop."""
        with suppress(RuntimeError):
            self._loop.run_until_complete(self._client.close())
        self._loop.close()


FORMS: list[Any] = [Client, Awaited]


@pytest.fixture(params=FORMS, ids=["waiting", "awaited"])
def opens(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Open clients of one form, and close them in the end."""
    opened: list[Any] = []

    def open_one(url: str, key: str | None, **options: Any) -> Any:
        opened.append(request.param(url, key, **options))
        return opened[-1]

    yield open_one
    for client in opened:
        client.close()


@pytest.fixture
def desk(stand: Stand, alice: Customer, opens: Callable[..., Any]) -> Any:
    """The client of one who has a thousand rupees, in each form."""
    return opens(f"http://{HOST}:{stand.port}", alice.key)
