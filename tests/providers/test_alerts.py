"""Alerts: each open once, told once, and closed by whoever opened it."""

import pytest

from numberdesk.base.crypto import Vault, new_key
from numberdesk.base.db import Database
from numberdesk.providers import service as providers
from numberdesk.providers.model import ProviderId

pytestmark = pytest.mark.anyio


@pytest.fixture
async def provider_id(db: Database) -> ProviderId:
    vault = Vault([new_key()])
    return (await providers.add(db, vault, name="one", kind="sms-activate", url="http://one.test", api_key="k")).id


async def test_an_alert_opens_once_and_a_repeat_refreshes_its_detail(db: Database, provider_id: ProviderId) -> None:
    async with db.transaction() as tx:
        assert await providers.open_alert(tx, provider_id=provider_id, kind="breaker", detail="5 errors")
        assert not await providers.open_alert(tx, provider_id=provider_id, kind="breaker", detail="6 errors")
        assert await providers.open_alert(tx, provider_id=provider_id, kind="balance", detail="low")
    found = await providers.list_alerts(db, provider_id=provider_id)
    assert [(alert.kind, alert.detail, alert.provider) for alert in found] == [
        ("balance", "low", "one"),
        ("breaker", "6 errors", "one"),
    ]
    assert found[1].seen_at > found[1].opened_at


async def test_a_closed_alert_opens_anew_as_another_one(db: Database, provider_id: ProviderId) -> None:
    async with db.transaction() as tx:
        assert not await providers.close_alert(tx, provider_id=provider_id, kind="breaker")
        await providers.open_alert(tx, provider_id=provider_id, kind="breaker", detail="first")
        assert await providers.close_alert(tx, provider_id=provider_id, kind="breaker")
        assert await providers.open_alert(tx, provider_id=provider_id, kind="breaker", detail="second")
    assert [alert.detail for alert in await providers.list_alerts(db)] == ["second"]
    assert [alert.detail for alert in await providers.list_alerts(db, open_only=False)] == ["second", "first"]
