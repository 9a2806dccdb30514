"""Passes for staff: telling them what is wrong with providers, what is closed, what was withheld, and what is over."""

from collections.abc import Sequence
from datetime import UTC
from typing import Final

import structlog

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import Role, StaffNews
from numberdesk.base import ids
from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database
from numberdesk.maintenance import service as maintenance
from numberdesk.maintenance.model import News, Window
from numberdesk.notifications import service as notifications
from numberdesk.notifications.model import Notice, StaffEvent, Value
from numberdesk.orders import service as orders
from numberdesk.orders.model import WithheldNews
from numberdesk.providers import service as providers
from numberdesk.providers.model import Alert

log = structlog.get_logger()

TOLD: Final[tuple[Role, ...]] = ("finance", "ops", "owner")
"""Who can do something about a provider or its money."""
TOLD_OF_MAINTENANCE: Final[tuple[Role, ...]] = ("support", "finance", "ops", "owner")
TOLD_OF_CHANNELS: Final[tuple[Role, ...]] = ("ops", "owner")
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
        await notifications.tell(tx, vault, [_alert_event(alert) for alert in news])
        await providers.set_told(tx, news)
    for alert in news:
        is_over = alert.closed_at is not None
        log.warning("provider_alert", provider=alert.provider, kind=alert.kind, detail=alert.detail, is_over=is_over)
    return len(news)


async def tell_maintenance(db: Database, vault: Vault) -> int:
    """Mail to staff what was closed and what is open again, each once; returns how many windows."""
    async with db.transaction() as tx:
        news = await maintenance.take_news(tx)
        if not news:
            return 0
        data: dict[str, Value] = {
            "begun": BETWEEN.join(_about(item.window) for item in news if not item.is_over),
            "over": BETWEEN.join(_about(item.window) for item in news if item.is_over),
        }
        key = ids.base62(16)
        notices = [
            Notice(
                "maintenance_news", person.email, {"name": person.name, **data}, f"maintenance_news:{key}:{person.id}",
                person.id,
            )
            for person in await accounts.staff(tx, TOLD_OF_MAINTENANCE)
        ]  # fmt: skip
        await notifications.enqueue(tx, vault, notices)
        await notifications.tell(tx, vault, [_maintenance_event(item) for item in news])
    for item in news:
        log.warning("maintenance", window=item.window.id, area=item.window.area, target=item.window.target,
                    is_over=item.is_over)  # fmt: skip
    return len(news)


async def tell_withheld(db: Database, vault: Vault, *, limit: int = 200) -> int:
    """Tell the staff of messages that were withheld, each once, by mail once an hour; returns how many."""
    async with db.transaction() as tx:
        news = await orders.take_withheld_news(tx, limit=limit)
        await accounts.tell_staff(tx, vault, *map(_withheld_news, news))
    return len(news)


async def tell_trouble(db: Database, vault: Vault) -> int:
    """Mail to staff which way to them stopped working, each once; returns how many."""
    async with db.transaction() as tx:
        troubles = await notifications.take_trouble(tx)
        if not troubles:
            return 0
        staff = await accounts.staff(tx, TOLD_OF_CHANNELS)
        key = ids.base62(16)
        notices = [
            Notice(
                "channel_off", person.email,
                {
                    "name": person.name, "channel": trouble.channel.title(), "problem": trouble.problem,
                    "at": trouble.at.isoformat(timespec="seconds"),
                },
                f"channel_off:{key}:{place}:{person.id}", person.id,
            )
            for place, trouble in enumerate(troubles) for person in staff
        ]  # fmt: skip
        await notifications.enqueue(tx, vault, notices)
    return len(troubles)


def _withheld_news(item: WithheldNews) -> StaffNews:
    hour = item.withheld_at.astimezone(UTC).strftime("%Y-%m-%dT%H")
    return StaffNews(
        "A message was withheld",
        {"Order": item.order_id, "Account": item.account_id, "Looks like one of": item.kind},
        "/admin/quarantine", ("ops", "owner"), f"withheld:{item.order_id}:{item.ordinal}",
        mail_key=f"withheld:{hour}", note="No more mails about withheld messages are sent before the next hour.",
    )  # fmt: skip


def _alert_event(alert: Alert) -> StaffEvent:
    is_over = alert.closed_at is not None
    facts: dict[str, Value] = {
        "Provider": alert.provider, "Alert": alert.kind.replace("_", " "), "Detail": alert.detail,
    }  # fmt: skip
    title = "Provider alert is over" if is_over else "Provider alert"
    return StaffEvent("service", title, facts, f"alert:{alert.id}:{is_over}")


def _maintenance_event(item: News) -> StaffEvent:
    title = "Maintenance is over" if item.is_over else "Maintenance has begun"
    facts: dict[str, Value] = {"What": _about(item.window)}
    return StaffEvent("system", title, facts, f"maintenance:{item.window.id}:{item.is_over}")


def _about(window: Window) -> str:
    place = window.area if window.target is None else f"{window.area} {window.target}"
    end = "" if window.ends_at is None else f", until {window.ends_at:%Y-%m-%d %H:%M} UTC"
    return f"{place}: {window.message}{end}".replace(BETWEEN, " ")


def _lines(alerts: Sequence[Alert]) -> str:
    return BETWEEN.join(
        f"{alert.provider}, {alert.kind.replace('_', ' ')}: {alert.detail}".replace(BETWEEN, " ") for alert in alerts
    )
