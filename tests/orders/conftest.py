"""The stage of the orders tests: worlds that are opened on demand and checked and closed at the end."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from numberdesk.base.db import Database
from tests.orders.world import Play, World, opened


@pytest.fixture
async def play(db: Database, admin_url: str) -> AsyncIterator[Play]:
    """Open a world with providers of chosen behaviour; see `tests.orders.world.opened`."""
    async with AsyncExitStack() as stack:

        async def start(**chosen: Any) -> World:
            return await stack.enter_async_context(opened(db, admin_url, **chosen))

        yield start


@pytest.fixture
async def world(play: Play) -> World:
    """A world with one provider that sells at once, never sends a code by itself and allows everything."""
    return await play()
