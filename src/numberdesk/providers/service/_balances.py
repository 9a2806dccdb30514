"""Watching balances: what is left at each provider, how long it lasts, and charges above the list price."""

import asyncio
from datetime import timedelta
from typing import Final

import structlog

from numberdesk.base.db import Database, Tx
from numberdesk.base.money import Paise, format_rupees
from numberdesk.providers import sql
from numberdesk.providers.adapters import capabilities
from numberdesk.providers.line import Line
from numberdesk.providers.model import Provider, ProviderId, ProviderMoney, Unknown
from numberdesk.providers.service._alerts import close_alert, open_alert
from numberdesk.providers.service._calls import balance
from numberdesk.providers.service._lines import Lines
from numberdesk.providers.sql import Drift, Today

log = structlog.get_logger()

ASK_EVERY: Final = timedelta(minutes=1)
SILENT_AFTER: Final = timedelta(minutes=10)
KEPT: Final = timedelta(days=30)
DAY: Final = timedelta(days=1)
COMMITTED_AFTER: Final = timedelta(seconds=30)
FORECAST_MINUTES: Final = 6 * 60
FORECAST_OVER_MINUTES: Final = 9 * 60
"""An alert ends only when there is clearly more than what it began with, or it would come and go."""
OVER_PERCENT: Final = 110
CHARGES_ABOVE: Final = 5
OVERRUNS: Final = 2


async def watch_balances(lines: Lines, *, every: timedelta = ASK_EVERY) -> int:
    """Ask the providers whose turn it is for our balance, all at once; returns how many answered.

    Balance and forecast below their limits open alerts, which close by themselves when there is clearly more.
    """
    async with lines.db.transaction() as tx:
        await sql.insert_money_rows(tx)
        due = await sql.lease_balances(tx, every=every)
    found = [line for line in map(lines.by_id.get, due) if line is not None]
    asked = [line for line in found if capabilities(line.provider).has_balance]
    return sum(await asyncio.gather(*(_ask(lines, line) for line in asked)))


async def _ask(lines: Lines, line: Line) -> int:
    answer = await balance(lines, line.provider.id)
    if isinstance(answer, Unknown):
        log.warning("balance_not_told", provider=line.provider.name, detail=answer.detail)
        async with lines.db.transaction() as tx:
            await _judge_silence(tx, line.provider, answer)
        return 0
    async with lines.db.transaction() as tx:
        await _take(tx, line.provider, answer)
    return 1


async def _judge_silence(tx: Tx, provider: Provider, answer: Unknown) -> None:
    """Tell the staff of a balance that is not told for long: mostly the key is refused, and nothing is bought there."""
    told_at = (await sql.lock_money(tx, provider_id=provider.id)).balance_at
    if told_at is not None and await sql.now(tx) - told_at < SILENT_AFTER:
        return
    since = "never" if told_at is None else f"not since {told_at:%Y-%m-%d %H:%M} UTC"
    detail = f"Our balance was told {since}; the last answer: {answer.detail}."
    await open_alert(tx, provider_id=provider.id, kind="balance_silent", detail=detail)


async def _take(tx: Tx, provider: Provider, left: Paise) -> None:
    money = await sql.lock_money(tx, provider_id=provider.id)
    now = await sql.now(tx)
    until = now - COMMITTED_AFTER
    since = max(money.counted_until or until - DAY, until - DAY)
    booked = await sql.sum_booked(tx, provider_id=provider.id, since=since, until=until)
    await sql.insert_balance(tx, provider_id=provider.id, balance_paise=left, booked=booked, until=until)
    spent = await sql.sum_spent(tx, provider_id=provider.id, since=until - DAY)
    minutes = minutes_left(left, spent)
    await sql.set_forecast(tx, provider_id=provider.id, minutes_left=minutes)
    await close_alert(tx, provider_id=provider.id, kind="balance_silent")
    await _judge_balance(tx, provider, left)
    await _judge_forecast(tx, provider, left, minutes)


def minutes_left(left_paise: int, spent_paise: int) -> int | None:
    """Return for how many minutes a balance lasts, by what was spent in the last day; None: for ever."""
    if spent_paise <= 0:
        return None
    return min(max(left_paise, 0) * 24 * 60 // spent_paise, 2_000_000_000)


async def _judge_balance(tx: Tx, provider: Provider, left: Paise) -> None:
    limit = provider.balance_alert_paise
    if limit is not None and left < limit:
        detail = f"{format_rupees(left)} rupees are left, less than {format_rupees(limit)}."
        await open_alert(tx, provider_id=provider.id, kind="balance", detail=detail)
    elif limit is None or left * 100 >= limit * OVER_PERCENT:
        await close_alert(tx, provider_id=provider.id, kind="balance")


async def _judge_forecast(tx: Tx, provider: Provider, left: Paise, minutes: int | None) -> None:
    if minutes is not None and minutes < FORECAST_MINUTES:
        hours = f"{minutes // 60} hours {minutes % 60} minutes"
        detail = f"{format_rupees(left)} rupees last for {hours} if as much is bought as in the last day."
        await open_alert(tx, provider_id=provider.id, kind="forecast", detail=detail)
    elif minutes is None or minutes >= FORECAST_OVER_MINUTES:
        await close_alert(tx, provider_id=provider.id, kind="forecast")


async def watch_prices(db: Database) -> int:
    """Open and close alerts on charges above the list price; returns how many are open.

    One is raised by five charges in a day of more than a percent above the offer at their time, or by two sales above
    a ceiling. Alerts on spending close here too, when their day is over.
    """
    wrong = 0
    async with db.transaction() as tx:
        await sql.close_day_alerts(tx)
        for provider_id, above, overruns in await sql.count_above(tx):
            if above >= CHARGES_ABOVE or overruns >= OVERRUNS:
                detail = f"In the last day {above} charges were above their list price, {overruns} above our ceiling."
                await open_alert(tx, provider_id=provider_id, kind="price_drift", detail=detail)
                wrong += 1
            else:
                await close_alert(tx, provider_id=provider_id, kind="price_drift")
    return wrong


async def read_drift(db: Database, provider_id: ProviderId) -> Drift:
    """Return what a provider charged in the last day, beside its list prices."""
    async with db.statement() as tx:
        return await sql.read_drift(tx, provider_id=provider_id)


async def list_money(db: Database) -> dict[ProviderId, ProviderMoney]:
    """Return what is known of our money, by provider."""
    async with db.statement() as tx:
        return {row.provider_id: row for row in await sql.list_money(tx)}


async def list_today(db: Database) -> dict[ProviderId, Today]:
    """Return what was bought since midnight of UTC and what is open, by provider."""
    async with db.statement() as tx:
        return {row.provider_id: row for row in await sql.list_today(tx)}


async def forget_lines(db: Database, *, limit: int = 1000) -> int:
    """Delete balances and comparisons older than a month."""
    async with db.statement() as tx:
        gone = await sql.delete_old_balances(tx, keep=KEPT, limit=limit)
        await sql.delete_old_checks(tx, keep=KEPT, limit=limit)
        await sql.delete_old_overruns(tx, keep=KEPT, limit=limit)
    return gone
