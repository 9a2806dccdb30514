"""Answering a report from the rollups: one short statement a page, however long the past is."""

import math
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, timedelta, timezone
from typing import Any, get_args

from numberdesk.base import clock
from numberdesk.base.db import Database, Tx
from numberdesk.base.errors import InvalidFields
from numberdesk.base.money import format_rupees
from numberdesk.catalogue.service import rate, seconds_within, wilson
from numberdesk.reports import sql
from numberdesk.reports.model import (
    Cell,
    Closing,
    Freshness,
    Group,
    Liabilities,
    OrderTotal,
    Page,
    Question,
    TaxTotal,
    TopUpTotal,
    Zone,
)
from numberdesk.reports.sql import Days

PAGE_MAX = 500
CSV_PAGE = 2000
DAYS_MAX = 366 * 3
"""A report covers three years at most."""
_ZONES: dict[Zone, tuple[str, timezone]] = {
    "ist": ("Asia/Kolkata", timezone(timedelta(hours=5, minutes=30))),
    "utc": ("UTC", timezone(timedelta(0))),
}
_CURSOR = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(\|[A-Za-z0-9_.:-]*)*", re.ASCII)
_METHODS = {"trx": "trx", "usdt": "usdt", "": "staff"}
"""What customers call the rails; all others are UPI."""


@dataclass(frozen=True, slots=True)
class _Names:
    """What codes and ids are called."""

    services: dict[str, str]
    countries: dict[int, str]
    providers: dict[int, str]


def today(zone: Zone) -> date:
    """Return the running day of a time zone."""
    return clock.now().astimezone(_ZONES[zone][1]).date()


async def freshness(db: Database) -> Freshness:
    """Return how new the rollups are."""
    async with db.statement() as tx:
        return await sql.get_freshness(tx)


async def liabilities(db: Database, *, until: date | None = None, zone: Zone = "ist") -> Liabilities:
    """Return what we owe now, or what we owed when a day ended."""
    async with db.statement() as tx:
        return await read_liabilities(tx, until=until, zone=zone)


async def read_liabilities(tx: Tx, *, until: date | None = None, zone: Zone = "ist") -> Liabilities:
    """Return what we owe, as `liabilities` does."""
    if until is None:
        return await sql.get_liabilities(tx)
    return await sql.get_balances_before(tx, zone, _midnight(until + timedelta(days=1), zone))


async def read(db: Database, question: Question, *, cursor: str | None = None, limit: int = 100) -> Page:
    """Return one page of a report.

    Raises:
        InvalidFields: the days are in the wrong order or too many, or the cursor is none of ours.
    """
    async with db.statement() as tx:
        return await read_page(tx, question, cursor=cursor, limit=limit)


async def lines(db: Database, question: Question) -> AsyncIterator[dict[str, Cell]]:
    """Yield every line of a report. No connection is held while the reader takes its time.

    Raises:
        InvalidFields: as `read`.
    """
    cursor: str | None = None
    while True:
        page = await read(db, question, cursor=cursor, limit=CSV_PAGE)
        for line in page.lines:
            yield line
        if page.following is None:
            return
        cursor = page.following


def _days(question: Question) -> Days:
    count = (question.last - question.first).days
    if count < 0:
        raise InvalidFields({"to": "must not be before from"})
    if count >= DAYS_MAX:
        raise InvalidFields({"to": f"must be within {DAYS_MAX} days of from"})
    name, _ = _ZONES[question.zone]
    end = _midnight(question.last + timedelta(days=1), question.zone)
    return Days(question.zone, _midnight(question.first, question.zone), end, question.period, name, question.first)


def _midnight(day: date, zone: Zone) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=_ZONES[zone][1])


async def read_page(tx: Tx, question: Question, *, cursor: str | None = None, limit: int = 100) -> Page:
    """Return one page of a report, as `read` does."""
    days, limit = _days(question), min(limit, CSV_PAGE)
    match question.kind:
        case "revenue" | "delivery":
            return await _orders_page(tx, question, days, cursor, limit)
        case "topups":
            after = _text_key(cursor)
            found = await sql.list_top_up_totals(tx, days, after=after, limit=limit)
            return _paged([_top_up_line(item) for item in found], [(item.period, item.rail) for item in found], limit)
        case "taxes":
            after = _text_key(cursor)
            notes = await sql.list_tax_totals(tx, days, after=after, limit=limit)
            return _paged([_tax_line(item) for item in notes], [(item.period, item.kind) for item in notes], limit)
        case "liabilities":
            return await _liabilities_page(tx, days, cursor, limit)


async def _orders_page(tx: Tx, question: Question, days: Days, cursor: str | None, limit: int) -> Page:
    after = _order_key(cursor)
    if after is not None:  # earlier days were told
        days = replace(days, first=max(days.first, _midnight(after[0], question.zone)))
    of = _kept(question)
    if len(of) < len(get_args(Group)):
        days = replace(days, span="ist_sums" if question.zone == "ist" else "utc_sums")
    found: list[OrderTotal] = []
    # Lines are in the order of time: what fills the page is read, not all that comes after it.
    while days.first < days.end and len(found) < limit:
        part = replace(days, end=min(days.end, _part_end(days)))
        found += await sql.list_order_totals(
            tx, part, by=question.by, of=of, service=question.service, country=question.country,
            provider_id=question.provider_id, after=after, limit=limit - len(found),
            wants_waits=question.kind == "delivery",
        )  # fmt: skip
        days = replace(days, first=part.end)
    names = _Names(*await sql.list_names(tx))
    shape = _revenue_line if question.kind == "revenue" else _delivery_line
    keys = [(item.period, item.service, item.country, item.provider_id) for item in found]
    return _paged([_group(question, item, names) | shape(item) for item in found], keys, limit)


def _kept(question: Question) -> tuple[Group, ...]:
    """Return what the lines to be read must be by: all, or the one for which days have sums."""
    filters = {"service": question.service, "country": question.country, "provider": question.provider_id}
    wanted = {*question.by, *(group for group, value in filters.items() if value is not None)}
    return tuple(group for group in get_args(Group) if group in wanted or len(wanted) > 1)


def _part_end(days: Days) -> datetime:
    """Return the end of what is read by one statement: whole periods, and all of it where lines are few."""
    if days.period == "total" or days.span in ("ist_sums", "utc_sums"):
        return days.end
    if days.period == "day":
        return days.first + timedelta(days=7)
    if days.period == "week":
        return days.first + timedelta(days=28 - days.first.weekday())
    return days.first.replace(day=1, month=days.first.month % 12 + 1, year=days.first.year + days.first.month // 12)


async def _liabilities_page(tx: Tx, days: Days, cursor: str | None, limit: int) -> Page:
    after = None if cursor is None else _text_key(f"{cursor}|")
    balance = await sql.get_balances_before(tx, days.span, days.first)
    changes = {item.period: item for item in await sql.list_closings(tx, days)}
    sums = [balance.available_paise, balance.held_paise, balance.suspense_paise]
    found: list[dict[str, Cell]] = []
    for period in _periods(days):
        change = changes.get(period, Closing(period, 0, 0, 0))
        for place, paise in enumerate((change.available_paise, change.held_paise, change.suspense_paise)):
            sums[place] += paise
        if after is None or period > after[0]:
            found.append(_closing_line(period, sums))
    page = found[:limit]
    return Page(page, str(page[-1]["period"]) if len(found) > limit else None)


def _periods(days: Days) -> list[date]:
    """Return the first day of each period; the first one may be before the days that are asked for."""
    if days.period == "total":
        return [days.whole]
    found: list[date] = []
    day, end = days.whole, (days.end - timedelta(days=1)).date()
    while day <= end:
        period = {"day": day, "week": day - timedelta(days=day.weekday()), "month": day.replace(day=1)}[days.period]
        if not found or found[-1] != period:
            found.append(period)
        day += timedelta(days=1)
    return found


def _paged(shown: list[dict[str, Cell]], keys: list[Any], limit: int) -> Page:
    return Page(shown, "|".join(map(str, keys[-1])) if len(shown) == limit else None)


def _order_key(cursor: str | None) -> tuple[date, str, int, int] | None:
    if cursor is None:
        return None
    try:
        period, service, country, provider = _parts(cursor)
        return date.fromisoformat(period), service, _small(country), _small(provider)
    except ValueError:
        raise InvalidFields({"cursor": "is none of ours"}) from None


def _text_key(cursor: str | None) -> tuple[date, str] | None:
    if cursor is None:
        return None
    try:
        period, name = _parts(cursor)
        return date.fromisoformat(period), name
    except ValueError:
        raise InvalidFields({"cursor": "is none of ours"}) from None


def _parts(cursor: str) -> list[str]:
    if _CURSOR.fullmatch(cursor) is None:
        raise ValueError(cursor)
    return cursor.split("|")


def _small(text: str) -> int:
    number = int(text)
    if not -1 <= number < 2**31:
        raise ValueError(text)
    return number


def _group(question: Question, item: OrderTotal, names: _Names) -> dict[str, Cell]:
    """Name what a line is about; what lines are not grouped by is left out."""
    shown: dict[str, Cell] = {"period": item.period.isoformat()}
    if "service" in question.by:
        shown |= {"service": item.service, "serviceName": names.services.get(item.service, item.service)}
    if "country" in question.by:
        shown |= {"country": item.country, "countryName": names.countries.get(item.country, str(item.country))}
    if "provider" in question.by:
        shown |= {"provider": names.providers.get(item.provider_id, str(item.provider_id))}
    return shown


def _revenue_line(item: OrderTotal) -> dict[str, Cell]:
    return {
        "paid": item.paid,
        "revenue": format_rupees(item.revenue_paise),
        "refunded": item.refunded,
        "refundedAmount": format_rupees(item.refunded_paise),
        "cost": format_rupees(item.cost_paise),
        "released": item.released,
        "releasedAmount": format_rupees(item.released_paise),
        "upstreamConfirmed": item.confirmed,
        "upstreamConfirmedAmount": format_rupees(item.confirmed_paise),
        "upstreamAssumed": item.assumed,
        "upstreamAssumedAmount": format_rupees(item.assumed_paise),
        "upstreamRefused": item.refused,
        "upstreamRefusedAmount": format_rupees(item.refused_paise),
        "upstreamDue": item.due,
        "upstreamDueAmount": format_rupees(item.due_paise),
        "margin": format_rupees(item.margin_paise),
    }


def _delivery_line(item: OrderTotal) -> dict[str, Cell]:
    share, interval = rate(item.delivered, item.sold), wilson(item.delivered, item.sold)
    return {
        "orders": item.made,
        "sold": item.sold,
        "delivered": item.delivered,
        "cancelled": item.cancelled,
        "rate": None if share is None else round(share, 3),
        "low": None if interval is None else math.floor(interval[0] * 1000) / 1000,
        "high": None if interval is None else math.ceil(interval[1] * 1000) / 1000,
        "medianSeconds": seconds_within(item.waits, 50),
        "p90Seconds": seconds_within(item.waits, 90),
    }


def _top_up_line(item: TopUpTotal) -> dict[str, Cell]:
    net = item.credited_paise + item.assigned_paise - item.returned_paise + item.put_back_paise
    return {
        "period": item.period.isoformat(),
        "method": _METHODS.get(item.rail, "upi"),
        "gateway": item.rail,
        "credited": item.credited,
        "creditedAmount": format_rupees(item.credited_paise),
        "assigned": item.assigned,
        "assignedAmount": format_rupees(item.assigned_paise),
        "suspended": item.suspended,
        "suspendedAmount": format_rupees(item.suspended_paise),
        "returned": item.returned,
        "returnedAmount": format_rupees(item.returned_paise),
        "putBack": item.put_back,
        "putBackAmount": format_rupees(item.put_back_paise),
        "net": format_rupees(net),
    }


def _tax_line(item: TaxTotal) -> dict[str, Cell]:
    return {
        "period": item.period.isoformat(),
        "kind": item.kind,
        "receipts": item.receipts,
        "amount": format_rupees(item.amount_paise),
        "untaxed": format_rupees(item.untaxed_paise),
        "taxable": format_rupees(item.taxable_paise),
        "cgst": format_rupees(item.cgst_paise),
        "sgst": format_rupees(item.sgst_paise),
        "igst": format_rupees(item.igst_paise),
    }


def _closing_line(period: date, sums: list[int]) -> dict[str, Cell]:
    available, held, suspense = sums
    return {
        "period": period.isoformat(),
        "available": format_rupees(available),
        "held": format_rupees(held),
        "suspense": format_rupees(suspense),
        "total": format_rupees(sum(sums)),
    }


def columns(question: Question) -> list[str]:
    """Return the names of the values of each line, in their order."""
    zero = question.first
    match question.kind:
        case "revenue" | "delivery":
            nothing: dict[str, Any] = {field.name: 0 for field in fields(OrderTotal)}
            item = OrderTotal(**(nothing | {"period": zero, "service": "", "waits": ()}))
            shape = _revenue_line if question.kind == "revenue" else _delivery_line
            return list(_group(question, item, _Names({}, {}, {})) | shape(item))
        case "topups":
            return list(_top_up_line(TopUpTotal(zero, "", *([0] * 10))))
        case "taxes":
            return list(_tax_line(TaxTotal(zero, "", *([0] * 7))))
        case "liabilities":
            return list(_closing_line(zero, [0, 0, 0]))
