"""Holding breakers, for tests that want failures or none."""

from numberdesk.base.db import Database
from numberdesk.providers import service as providers
from numberdesk.providers.model import Forced, ProviderId
from numberdesk.providers.service import Health


async def force_breaker(db: Database, provider_id: ProviderId, forced: Forced | None, reason: str) -> Health:
    """Hold a breaker open or closed, or give it back with None, as staff do."""
    async with db.transaction() as tx:
        return (await providers.change_forced(tx, provider_id, forced, reason))[1]
