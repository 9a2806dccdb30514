"""What staff read about delivery and refunds: counted numbers with how sure they are."""

from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import Struct

from numberdesk.admin.routes._reads import country_of, provider_of
from numberdesk.base.db import Database
from numberdesk.base.money import format_rupees
from numberdesk.base.web import ACCESS, Items, Ok
from numberdesk.catalogue import service
from numberdesk.catalogue.model import DeliveryTotal
from numberdesk.catalogue.service import Grouping, Shelf
from numberdesk.providers import service as providers

PAGE_MAX = 500


class AmountView(Struct, rename="camel", frozen=True):
    """How many numbers, and how many rupees of them."""

    count: int
    amount: str


class RefundsView(Struct, rename="camel", frozen=True):
    """What went back for numbers without a code, on both sides. Amounts of providers are what they charged.

    `gap` is what customers got back for numbers whose provider did not confirm that it gives the cost back.
    """

    customers: AmountView
    confirmed: AmountView
    assumed: AmountView
    refused: AmountView
    due: AmountView
    gap: AmountView


class StatisticsView(Struct, rename="camel", frozen=True):
    """One line: numbers sold and settled in the window, the rate of first codes with its 95 % interval, and refunds.

    What the lines are not grouped by is null. `n` counts numbers that got a code or ended without one; `cancelled`
    are those of them that their customer gave up. Without any there is no rate, rather than one of 0.
    """

    provider: str
    service: str | None
    country: int | None
    operator: str | None
    window_hours: int
    n: int
    delivered: int
    cancelled: int
    rate: float | None
    low: float | None
    high: float | None
    median_seconds: int | None
    p90_seconds: int | None
    refunds: RefundsView


@get("/admin/statistics", summary="Read delivery and refunds", opt={ACCESS: "admin:support"})
async def read_statistics(
    db: NamedDependency[Database],
    shelf: NamedDependency[Shelf],
    wanted: Annotated[str | None, QueryParameter(name="service", max_length=40)] = None,
    country: Annotated[str | None, QueryParameter(max_length=40)] = None,
    provider: Annotated[str | None, QueryParameter(max_length=40)] = None,
    window_hours: Annotated[
        int, QueryParameter(name="windowHours", ge=1, le=service.WINDOW_MAX)
    ] = service.WINDOW_HOURS,
    by: Annotated[Grouping, QueryParameter()] = "operator",
    cursor: Annotated[int, QueryParameter(ge=0)] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=PAGE_MAX)] = 100,
) -> Ok[Items[StatisticsView]]:
    """Read how many numbers got their codes, how fast, and what went back on both sides; most sold first."""
    names = {int(found.id): found.name for found in await providers.list_all(db)}
    totals = await service.list_delivery_totals(
        db,
        window_hours=window_hours,
        service=wanted,
        country=country_of(shelf, country),
        provider_id=await provider_of(db, provider),
    )
    lines = service.grouped(totals, by)
    page = lines[cursor : cursor + limit]
    following = str(cursor + limit) if cursor + limit < len(lines) else None
    return Ok(data=Items([_view(total, names, window_hours, by) for total in page], following))


def _view(total: DeliveryTotal, names: dict[int, str], window_hours: int, by: Grouping) -> StatisticsView:
    delivery = service.delivery_of(total, window_hours)
    rate, low, high = (None, None, None) if delivery is None else service.shown_rates(delivery)
    return StatisticsView(
        provider=names.get(total.provider_id, str(total.provider_id)),
        service=None if by == "provider" else total.service,
        country=None if by == "provider" else total.country,
        operator=total.operator if by == "operator" else None,
        window_hours=window_hours,
        n=total.sold,
        delivered=total.delivered,
        cancelled=total.cancelled,
        rate=rate,
        low=low,
        high=high,
        median_seconds=None if delivery is None else delivery.median_seconds,
        p90_seconds=None if delivery is None else delivery.p90_seconds,
        refunds=RefundsView(
            customers=AmountView(total.refunds, format_rupees(total.refunds_paise)),
            confirmed=AmountView(total.confirmed, format_rupees(total.confirmed_paise)),
            assumed=AmountView(total.assumed, format_rupees(total.assumed_paise)),
            refused=AmountView(total.refused, format_rupees(total.refused_paise)),
            due=AmountView(total.due, format_rupees(total.due_paise)),
            gap=AmountView(total.refunds - total.confirmed, format_rupees(total.gap_paise)),
        ),
    )
