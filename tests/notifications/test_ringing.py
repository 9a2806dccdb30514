"""The begin of a worker's notices."""

import asyncio
from contextlib import AsyncExitStack

import asyncpg
import pytest

from numberdesk import settings
from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database
from numberdesk.notices import ringing

pytestmark = pytest.mark.anyio

WAITING = (
    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
    " WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


async def test_a_database_that_undoes_the_begin_of_the_notices_does_not_end_the_service(
    db: Database, vault: Vault, admin_url: str
) -> None:
    holder = await asyncpg.connect(admin_url)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(holder.close)
        lock = holder.transaction()
        await lock.start()
        await holder.execute("LOCK TABLE staff_targets IN ACCESS EXCLUSIVE MODE")
        begin = asyncio.create_task(stack.enter_async_context(ringing(db, vault, settings.load())))
        async with asyncio.timeout(20):
            while not await holder.fetchval(WAITING):  # noqa: ASYNC110 - there is nothing to wait on
                await asyncio.sleep(0.01)
        await lock.rollback()
        async with asyncio.timeout(20):
            bell = await begin
        assert bell.telegram is None
