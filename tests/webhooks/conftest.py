"""The stage of the webhook tests: a world with a courier, which is allowed to post to this machine."""

from collections.abc import AsyncIterator

import pytest

from numberdesk.base.db import Database
from tests.orders.world import World, opened
from tests.webhooks.office import Office, office_in


@pytest.fixture
async def world(db: Database, admin_url: str) -> AsyncIterator[World]:
    """Alice with money and Bob without, and a provider that sends no code by itself."""
    async with opened(db, admin_url) as world:
        yield world


@pytest.fixture
async def office(world: World) -> AsyncIterator[Office]:
    """A courier in that world, whose work is done when a test says so."""
    async with office_in(world) as office:
        yield office
