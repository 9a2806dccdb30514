"""What finance reads: revenue, delivery, top-ups, taxes and liabilities, as pages of JSON or as one CSV."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import date, datetime, timedelta
from typing import Annotated, get_args

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream
from msgspec import Struct

from numberdesk.admin.routes._reads import country_of, provider_of
from numberdesk.base.db import Database
from numberdesk.base.errors import InvalidFields, NotFound
from numberdesk.base.money import format_rupees
from numberdesk.base.web import ACCESS, Ok, rfc3339
from numberdesk.catalogue.service import Shelf
from numberdesk.reports import service
from numberdesk.reports.model import Group, Kind, Liabilities, Period, Question, Zone

DEFAULT_DAYS = 30
_CSV = ".csv"


class ReportView(Struct, rename="camel", frozen=True):
    """One page of a report. Days are those of the time zone; both are inclusive.

    `countedAt` is up to when changes are in the figures, but for the half hours and days that are `waiting`. What the
    values of a line mean is told in docs/reports.md. Rupees are text.
    """

    kind: Kind
    zone: Zone
    period: Period
    first: date
    last: date
    counted_at: datetime | None
    waiting: int
    items: list[dict[str, str | int | float | None]]
    next_cursor: str | None


class LiabilitiesView(Struct, rename="camel", frozen=True):
    """What we owe: customers own `available` and `held`; nobody knows yet whose `suspense` is."""

    at: datetime | None
    available: str
    held: str
    suspense: str
    total: str


@get("/admin/liabilities", summary="Read what we owe", opt={ACCESS: "admin:finance"})
async def read_liabilities(
    db: NamedDependency[Database],
    day: Annotated[date | None, QueryParameter()] = None,
    zone: Annotated[Zone, QueryParameter()] = "ist",
) -> Ok[LiabilitiesView]:
    """Read what we owe now, or what we owed at the end of a day."""
    _refuse_far(day=day)
    return Ok(data=_liabilities_view(await service.liabilities(db, until=day, zone=zone)))


def _liabilities_view(found: Liabilities) -> LiabilitiesView:
    return LiabilitiesView(
        rfc3339(found.at), format_rupees(found.available_paise), format_rupees(found.held_paise),
        format_rupees(found.suspense_paise), format_rupees(found.total_paise),
    )  # fmt: skip


@get(
    "/admin/reports/{kind:str}",
    summary="Read a report",
    opt={ACCESS: "admin:finance"},
    responses={200: ResponseSpec(Ok[ReportView], generate_examples=False, description="One page, or all as CSV")},
)
async def read_report(
    kind: FromPath[str],
    db: NamedDependency[Database],
    shelf: NamedDependency[Shelf],
    first: Annotated[date | None, QueryParameter(name="from")] = None,
    last: Annotated[date | None, QueryParameter(name="to")] = None,
    zone: Annotated[Zone, QueryParameter()] = "ist",
    period: Annotated[Period, QueryParameter()] = "day",
    by: Annotated[str, QueryParameter(max_length=40)] = "service,country,provider",
    wanted: Annotated[str | None, QueryParameter(name="service", max_length=40)] = None,
    country: Annotated[str | None, QueryParameter(max_length=40)] = None,
    provider: Annotated[str | None, QueryParameter(max_length=40)] = None,
    cursor: Annotated[str | None, QueryParameter(max_length=120)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=service.PAGE_MAX)] = 100,
) -> Response[Ok[ReportView]] | Stream:
    """Read `revenue`, `delivery`, `topups`, `taxes` or `liabilities`; with `.csv` behind the kind, all of it as CSV.

    Without `from` and `to`, the last thirty days. `by` names what lines are grouped by, with commas between; `none`
    gives one line a period.
    """
    name = kind.removesuffix(_CSV)
    known: Kind | None = next((item for item in get_args(Kind) if item == name), None)
    if known is None:
        raise NotFound(what="report")
    _refuse_far(**{"from": first, "to": last})
    last = last or service.today(zone)
    first = first or last - timedelta(days=DEFAULT_DAYS - 1)
    question = Question(
        known,
        first,
        last,
        zone,
        period,
        _groups(by),
        wanted,
        country_of(shelf, country),
        await provider_of(db, provider),
    )
    if kind.endswith(_CSV):
        text = service.csv_lines(db, question)
        # The first lines are read before the answer begins, so that trouble can still be told.
        start = await anext(text)
        headers = {"Content-Disposition": f'attachment; filename="{name}-{first}-{last}.csv"'}
        return Stream(_rest(start, text), media_type="text/csv; charset=utf-8", headers=headers)
    page = await service.read(db, question, cursor=cursor, limit=limit)
    fresh = await service.freshness(db)
    return Response(
        Ok(
            data=ReportView(
                known, zone, period, first, last, rfc3339(fresh.counted_at), fresh.waiting, page.lines, page.following
            )
        )
    )


async def _rest(start: str, text: AsyncGenerator[str]) -> AsyncIterator[str]:
    async with aclosing(text):
        yield start
        async for part in text:
            yield part


def _refuse_far(**days: date | None) -> None:
    bad = {name: "is out of range" for name, day in days.items() if day is not None and not 2000 <= day.year < 2200}
    if bad:
        raise InvalidFields(bad)


def _groups(by: str) -> tuple[Group, ...]:
    wanted = set() if by == "none" else set(by.split(","))
    if not wanted <= set(get_args(Group)):
        raise InvalidFields({"by": f"must be none, or some of {', '.join(get_args(Group))}"})
    return tuple(item for item in get_args(Group) if item in wanted)
