"""Passes for staff: telling them by mail what is wrong with providers, and when it is over."""

from collections.abc import Sequence
from typing import Final

import structlog

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import Role
from numberdesk.base import ids
from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database
from numberdesk.notifications import service as notifications
from numberdesk.notifications.model import Notice, Value
from numberdesk.providers import service as providers
from numberdesk.providers.model import Alert

log = structlog.get_logger()

TOLD: Final[tuple[Role, ...]] = ("finance", "ops", "owner")
"""Who can do something about a provider or its money."""
BETWEEN: Final = " • "


async def tell_staff(db: Database, vault: Vault, *, limit: int = 50) -> int:
    """Mail to staff what they do not know of yet, many alerts in one mail; returns how many alerts.

    That they are told is written with the mails: after a crash in between neither stands, and nothing is told twice.
    """
    async with db.transaction() as tx:
        news = await providers.lease_news(tx, limit=limit)
        if not news:
            return 0
        staff = await accounts.staff(tx, TOLD)
        begun = [alert for alert in news if alert.closed_at is None]
        over = [alert for alert in news if alert.closed_at is not None]
        data: dict[str, Value] = {"count": len(news), "begun": _lines(begun), "over": _lines(over)}
        key = ids.base62(16)
        notices = [
            Notice(
                "provider_alerts", person.email, {"name": person.name, **data}, f"provider_alerts:{key}:{person.id}",
                person.id,
            )
            for person in staff
        ]  # fmt: skip
        await notifications.enqueue(tx, vault, notices)
        await providers.set_told(tx, news)
    for alert in news:
        is_over = alert.closed_at is not None
        log.warning("provider_alert", provider=alert.provider, kind=alert.kind, detail=alert.detail, is_over=is_over)
    return len(news)


def _lines(alerts: Sequence[Alert]) -> str:
    return BETWEEN.join(
        f"{alert.provider}, {alert.kind.replace('_', ' ')}: {alert.detail}".replace(BETWEEN, " ") for alert in alerts
    )
