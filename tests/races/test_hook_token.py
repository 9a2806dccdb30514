"""A token for a provider's messages is made while something that refers to the provider is being written."""

import asyncio

import asyncpg
import pytest

from numberdesk.base.crypto import Vault, new_key
from numberdesk.base.db import Database
from numberdesk.providers import service as providers

pytestmark = pytest.mark.anyio


async def test_a_token_waits_for_a_sync_and_neither_is_undone(db: Database, admin_url: str) -> None:
    vault = Vault([new_key()])
    provider = await providers.add(
        db, vault, name="upstream", kind="sms-activate", url="http://127.0.0.1:9", api_key="key"
    )
    sync = await asyncpg.connect(admin_url)
    try:
        transaction = sync.transaction()
        await transaction.start()
        await sync.execute("INSERT INTO unmapped_services (provider_id, upstream_code) VALUES ($1, 'zz')", provider.id)
        making = asyncio.create_task(providers.hook_path(db, vault, provider))
        await asyncio.sleep(0.3)
        assert not making.done()
        await sync.execute("UPDATE providers SET synced_at = clock_timestamp() WHERE id = $1", provider.id)
        await transaction.commit()
        path = await making
    finally:
        await sync.close()
    assert await providers.hook_path(db, vault, provider) == path
