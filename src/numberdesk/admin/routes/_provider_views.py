"""How providers look to staff. Their keys are in none of it."""

from dataclasses import fields
from datetime import datetime
from typing import Any

from msgspec import Struct, structs

from numberdesk.base.money import format_rupees
from numberdesk.base.web import rfc3339
from numberdesk.catalogue.model import Sync
from numberdesk.providers import service
from numberdesk.providers.model import Alert, MoneyCheck, Provider, ProviderMoney
from numberdesk.providers.service import Calls, Drift, Health, Today, Transcript


class AlertView(Struct, rename="camel", frozen=True):
    """A trouble with a provider; it is open while `closedAt` is null."""

    id: int
    provider: str
    kind: str
    detail: str
    opened_at: datetime | None
    seen_at: datetime | None
    closed_at: datetime | None


class OptionsView(Struct, rename="camel", frozen=True):
    """What may be changed of a provider. Null: no cap, no alert, no extending."""

    is_on: bool
    dialect: str
    paise_per_unit: int
    parallel_max: int
    calls_per_second: int
    deadline_ms: int
    poll_ms: int
    cancel_after_ms: int
    lifetime_ms: int
    sync_every_ms: int
    extend_paise_per_minute: int | None
    weight_percent: int
    open_max: int | None
    spend_max: str | None
    balance_alert: str | None


class CapabilitiesView(Struct, rename="camel", frozen=True):
    """What the provider's dialect can do."""

    has_ceiling: bool
    has_operators: bool
    has_next_code: bool
    has_look: bool
    has_list: bool
    repeats_reference: bool
    is_idempotent: bool
    tells_cost: bool
    pushes: bool
    sells_at_finish: bool
    speaks_our_codes: bool


class HealthView(Struct, rename="camel", frozen=True):
    """The breaker: closed lets purchases through, open none, half open one at a time. `forced` is what staff said."""

    state: str
    forced: str | None
    reason: str


class ProviderView(Struct, rename="camel", frozen=True):
    """A provider with what is known of our money there."""

    id: int
    name: str
    kind: str
    url: str
    options: OptionsView
    capabilities: CapabilitiesView
    health: HealthView
    synced_at: datetime | None
    balance: str | None
    balance_at: datetime | None
    minutes_left: int | None
    """How long the balance lasts if as much is bought as in the last day; null when nothing was."""
    spent_today: str
    open_orders: int
    alerts: list[AlertView]


class CheckView(Struct, rename="camel", frozen=True):
    """A balance beside what our books expected; a negative gap is money that is missing."""

    at: datetime | None
    balance: str
    expected_low: str
    expected_high: str
    gap: str
    explained: str


class TranscriptView(Struct, rename="camel", frozen=True):
    """What was said with a provider once, without keys and codes."""

    at: datetime | None
    action: str
    subject: str
    asked: str
    status: int | None
    answer: str
    took_ms: int


class CallsView(Struct, rename="camel", frozen=True):
    """What came of calls to a provider within an hour."""

    hour: datetime | None
    action: str
    outcome: str
    calls: int
    took_ms: int


class SyncView(Struct, rename="camel", frozen=True):
    """A reading of a provider's list: how far it is while it runs, what it changed, or why it failed."""

    id: int
    state: str
    step: str
    done: int
    total: int
    added: int
    changed: int
    gone: int
    unmapped_services: int
    unmapped_countries: int
    unusable: int
    is_forced: bool
    detail: str
    started_at: datetime | None
    ended_at: datetime | None


class DriftView(Struct, rename="camel", frozen=True):
    """Charges of the last day beside the list prices: of those sales whose provider told what it charged."""

    sales: int
    told: int
    above: int
    above_ceiling: int
    listed: str
    charged: str


class ProviderDetail(Struct, rename="camel", frozen=True):
    """A provider with its newest comparison of money, and what it charged."""

    provider: ProviderView
    check: CheckView | None
    prices: DriftView


def alert_view(item: Alert) -> AlertView:
    """Show an alert."""
    return AlertView(
        item.id, item.provider, item.kind, item.detail, rfc3339(item.opened_at), rfc3339(item.seen_at),
        rfc3339(item.closed_at),
    )  # fmt: skip


def options_view(provider: Provider) -> OptionsView:
    """Show what may be changed."""
    plain = {item.name for item in fields(Provider)} & set(OptionsView.__struct_fields__)
    return OptionsView(
        **{name: getattr(provider, name) for name in plain},
        spend_max=_rupees(provider.spend_max_paise),
        balance_alert=_rupees(provider.balance_alert_paise),
    )


def provider_view(
    provider: Provider, money: ProviderMoney | None, today: Today | None, health: Health | None, alerts: list[Alert]
) -> ProviderView:
    """Show a provider; `alerts` may hold those of others."""
    can = service.capabilities(provider)
    return ProviderView(
        id=provider.id,
        name=provider.name,
        kind=provider.kind,
        url=provider.url,
        options=options_view(provider),
        capabilities=CapabilitiesView(
            **{item.name: getattr(can, item.name) for item in structs.fields(CapabilitiesView)}
        ),
        health=health_view(health),
        synced_at=rfc3339(provider.synced_at),
        balance=None if money is None else _rupees(money.balance_paise),
        balance_at=None if money is None else rfc3339(money.balance_at),
        minutes_left=None if money is None else money.minutes_left,
        spent_today=format_rupees(0 if today is None else today.spent_paise),
        open_orders=0 if today is None else today.open_orders,
        alerts=[alert_view(item) for item in alerts if item.provider_id == provider.id],
    )


def health_view(health: Health | None) -> HealthView:
    """Show a breaker; one that never had anything to do is closed."""
    if health is None:
        return HealthView("closed", None, "")
    return HealthView(health.state, health.forced, health.forced_reason or health.reason)


def transcript_view(item: Transcript) -> TranscriptView:
    """Show what was said."""
    return TranscriptView(
        rfc3339(item.at), item.action, item.subject, item.asked, item.status, item.answer, item.took_ms
    )


def calls_view(item: Calls) -> CallsView:
    """Show what came of calls."""
    return CallsView(rfc3339(item.hour), item.action, item.outcome, item.calls, item.took_ms)


def check_view(check: MoneyCheck) -> CheckView:
    """Show a comparison."""
    return CheckView(
        rfc3339(check.at), format_rupees(check.balance_paise), format_rupees(check.expected_low),
        format_rupees(check.expected_high), format_rupees(check.gap_paise), check.explained,
    )  # fmt: skip


def sync_view(item: Sync) -> SyncView:
    """Show a sync."""
    plain = set(SyncView.__struct_fields__) - {"started_at", "ended_at"}
    return SyncView(
        **{name: getattr(item, name) for name in plain},
        started_at=rfc3339(item.started_at),
        ended_at=rfc3339(item.ended_at),
    )


def drift_view(drift: Drift) -> DriftView:
    """Show charges beside list prices."""
    return DriftView(
        drift.sales, drift.told, drift.above, drift.overruns, format_rupees(drift.listed_paise),
        format_rupees(drift.charged_paise),
    )  # fmt: skip


def changes_of(before: Provider, after: Provider) -> dict[str, Any]:
    """Return what differs, as the audit log keeps it: before and after in one line for each option."""
    return {
        name: f"{getattr(before, name)} -> {getattr(after, name)}"
        for name in (item.name for item in fields(Provider))
        if getattr(before, name) != getattr(after, name)
    }


def _rupees(paise: int | None) -> str | None:
    return None if paise is None else format_rupees(paise)
