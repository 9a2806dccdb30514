"""Statements that read the rollups: days added up to periods and groups, in pages. No rows of other slices are read.

`$1` is the span of the days, `$2` and `$3` the ends of the time, `$4` the period, `$5` the name of the time zone, `$6`
the day that stands for a whole. A page goes on after the keys of the last line.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import date, datetime

from numberdesk.base.db import Tx, many, one, rows
from numberdesk.reports.model import Closing, Liabilities, OrderSpan, OrderTotal, TaxTotal, TopUpTotal

__all__ = [
    "Days", "get_balances_before", "get_liabilities", "list_closings", "list_names", "list_order_totals",
    "list_tax_totals", "list_top_up_totals",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Days:
    """Which days are read, and what they are added up to."""

    span: OrderSpan
    first: datetime
    end: datetime
    period: str
    zone: str
    whole: date


_ORDERS = """
WITH line AS NOT MATERIALIZED (
    SELECT CASE $4 WHEN 'total' THEN $6::date
                ELSE date_trunc($4, starts_at AT TIME ZONE $5)::date END AS period,
           CASE WHEN 'service' = ANY($7::text[]) THEN service ELSE '' END AS service,
           CASE WHEN 'country' = ANY($7) THEN country ELSE -1 END AS country,
           CASE WHEN 'provider' = ANY($7) THEN provider_id ELSE -1 END AS provider_id,
           made, sold, delivered, cancelled, paid, revenue_paise, cost_paise, refunded, refunded_paise, released,
           released_paise, confirmed, confirmed_paise, assumed, assumed_paise, refused, refused_paise, due, due_paise,
           CASE WHEN $16 THEN waits END AS waits
    FROM report_orders
    WHERE span = $1 AND starts_at >= $2 AND starts_at < $3
      AND ($8::text IS NULL OR service = $8) AND ($9::int IS NULL OR country = $9)
      AND ($10::smallint IS NULL OR provider_id = $10)
      AND (service <> '') = ('service' = ANY($17::text[])) AND (country <> -1) = ('country' = ANY($17))
      AND (provider_id <> -1) = ('provider' = ANY($17))
), page AS MATERIALIZED (
    SELECT period, service, country, provider_id, sum(made)::bigint AS made, sum(sold)::bigint AS sold,
           sum(delivered)::bigint AS delivered, sum(cancelled)::bigint AS cancelled, sum(paid)::bigint AS paid,
           sum(revenue_paise)::bigint AS revenue_paise, sum(cost_paise)::bigint AS cost_paise,
           sum(refunded)::bigint AS refunded, sum(refunded_paise)::bigint AS refunded_paise,
           sum(released)::bigint AS released, sum(released_paise)::bigint AS released_paise,
           sum(confirmed)::bigint AS confirmed, sum(confirmed_paise)::bigint AS confirmed_paise,
           sum(assumed)::bigint AS assumed, sum(assumed_paise)::bigint AS assumed_paise,
           sum(refused)::bigint AS refused, sum(refused_paise)::bigint AS refused_paise, sum(due)::bigint AS due,
           sum(due_paise)::bigint AS due_paise
    FROM line
    WHERE $11::date IS NULL OR (period, service, country, provider_id) > ($11, $12::text, $13::int, $14::int)
    GROUP BY period, service, country, provider_id
    ORDER BY period, service, country, provider_id LIMIT $15
), places AS MATERIALIZED (
    SELECT period, service, country, provider_id, place::int AS place, sum(count)::bigint AS count
    FROM line, unnest(waits) WITH ORDINALITY AS wait (count, place)
    WHERE count > 0 AND ($11 IS NULL OR (period, service, country, provider_id) > ($11, $12, $13, $14))
      AND (period, service, country, provider_id)
          <= (SELECT period, service, country, provider_id FROM page
              ORDER BY period DESC, service DESC, country DESC, provider_id DESC LIMIT 1)
    GROUP BY period, service, country, provider_id, place
), histograms AS MATERIALIZED (
    SELECT period, service, country, provider_id, array_agg(place) AS taken, array_agg(count) AS counts,
           max(place) AS last
    FROM places GROUP BY period, service, country, provider_id
)
SELECT page.*, ARRAY(SELECT coalesce(counts[array_position(taken, place)], 0)
                     FROM generate_series(1, last) AS place ORDER BY place) AS waits
FROM page LEFT JOIN histograms USING (period, service, country, provider_id)
ORDER BY period, service, country, provider_id
"""

OrderKey = tuple[date, str, int, int]


async def list_order_totals(
    tx: Tx,
    days: Days,
    *,
    by: Sequence[str],
    of: Sequence[str],
    service: str | None,
    country: int | None,
    provider_id: int | None,
    after: OrderKey | None,
    limit: int,
    wants_waits: bool,
) -> list[OrderTotal]:
    """Return orders by period and group; what they are not grouped by is empty or -1.

    Args:
        of: what the lines that are read are by; fewer than all for the sums of days.
    """
    return await many(
        tx, OrderTotal, _ORDERS, *astuple(days), by, service, country, provider_id,
        *(after or (None, None, None, None)), limit, wants_waits, of,
    )  # fmt: skip


async def list_top_up_totals(tx: Tx, days: Days, *, after: tuple[date, str] | None, limit: int) -> list[TopUpTotal]:
    """Return what came in and went back by period and rail; the rail of money from staff is empty."""
    return await many(
        tx,
        TopUpTotal,
        """
        WITH line AS (
            SELECT CASE $4 WHEN 'total' THEN $6::date
                        ELSE date_trunc($4, starts_at AT TIME ZONE $5)::date END AS period,
                   rail, kind, bucket, lines, amount_paise
            FROM report_money
            WHERE span = $1 AND starts_at >= $2 AND starts_at < $3
              AND (bucket = 'available'
                       AND kind IN ('recharge', 'admin_credit', 'assign', 'pay_back', 'pay_back_failed')
                   OR bucket = 'suspense' AND kind = 'suspend')
        )
        SELECT period, rail,
               coalesce(sum(lines) FILTER (WHERE kind IN ('recharge', 'admin_credit')), 0)::bigint AS credited,
               coalesce(sum(amount_paise) FILTER (WHERE kind IN ('recharge', 'admin_credit')), 0)::bigint
                   AS credited_paise,
               coalesce(sum(lines) FILTER (WHERE kind = 'assign'), 0)::bigint AS assigned,
               coalesce(sum(amount_paise) FILTER (WHERE kind = 'assign'), 0)::bigint AS assigned_paise,
               coalesce(sum(lines) FILTER (WHERE kind = 'suspend'), 0)::bigint AS suspended,
               coalesce(sum(amount_paise) FILTER (WHERE kind = 'suspend'), 0)::bigint AS suspended_paise,
               coalesce(sum(lines) FILTER (WHERE kind = 'pay_back'), 0)::bigint AS returned,
               coalesce(-sum(amount_paise) FILTER (WHERE kind = 'pay_back'), 0)::bigint AS returned_paise,
               coalesce(sum(lines) FILTER (WHERE kind = 'pay_back_failed'), 0)::bigint AS put_back,
               coalesce(sum(amount_paise) FILTER (WHERE kind = 'pay_back_failed'), 0)::bigint AS put_back_paise
        FROM line
        WHERE $7::date IS NULL OR (period, rail) > ($7, $8::text)
        GROUP BY period, rail ORDER BY period, rail LIMIT $9
        """,
        *astuple(days),
        *(after or (None, None)),
        limit,
    )


async def list_tax_totals(tx: Tx, days: Days, *, after: tuple[date, str] | None, limit: int) -> list[TaxTotal]:
    """Return what receipts and refund notes say, by period."""
    return await many(
        tx,
        TaxTotal,
        """
        WITH line AS (
            SELECT CASE $4 WHEN 'total' THEN $6::date
                        ELSE date_trunc($4, starts_at AT TIME ZONE $5)::date END AS period, report_taxes.*
            FROM report_taxes WHERE span = $1 AND starts_at >= $2 AND starts_at < $3
        )
        SELECT period, kind, sum(receipts)::bigint AS receipts, sum(amount_paise)::bigint AS amount_paise,
               sum(untaxed_paise)::bigint AS untaxed_paise, sum(taxable_paise)::bigint AS taxable_paise,
               sum(cgst_paise)::bigint AS cgst_paise, sum(sgst_paise)::bigint AS sgst_paise,
               sum(igst_paise)::bigint AS igst_paise
        FROM line
        WHERE $7::date IS NULL OR (period, kind) > ($7, $8::text)
        GROUP BY period, kind ORDER BY period, kind LIMIT $9
        """,
        *astuple(days),
        *(after or (None, None)),
        limit,
    )


async def get_balances_before(tx: Tx, span: OrderSpan, moment: datetime) -> Liabilities:
    """Return what we owed at the beginning of a day."""
    return await one(
        tx,
        Liabilities,
        """
        SELECT $2::timestamptz AS at,
               coalesce(sum(amount_paise) FILTER (WHERE bucket = 'available'), 0)::bigint AS available_paise,
               coalesce(sum(amount_paise) FILTER (WHERE bucket = 'held'), 0)::bigint AS held_paise,
               coalesce(sum(amount_paise) FILTER (WHERE bucket = 'suspense'), 0)::bigint AS suspense_paise
        FROM report_money
        WHERE span = $1 AND starts_at < $2 AND bucket IN ('available', 'held', 'suspense')
        """,
        span,
        moment,
    )


async def list_closings(tx: Tx, days: Days) -> list[Closing]:
    """Return what each period added to the buckets, in their order; a period without a change is absent."""
    return await many(
        tx,
        Closing,
        """
        SELECT CASE $4 WHEN 'total' THEN $6::date
                    ELSE date_trunc($4, starts_at AT TIME ZONE $5)::date END AS period,
               coalesce(sum(amount_paise) FILTER (WHERE bucket = 'available'), 0)::bigint AS available_paise,
               coalesce(sum(amount_paise) FILTER (WHERE bucket = 'held'), 0)::bigint AS held_paise,
               coalesce(sum(amount_paise) FILTER (WHERE bucket = 'suspense'), 0)::bigint AS suspense_paise
        FROM report_money
        WHERE span = $1 AND starts_at >= $2 AND starts_at < $3 AND bucket IN ('available', 'held', 'suspense')
        GROUP BY period ORDER BY period
        """,
        *astuple(days),
    )


async def get_liabilities(tx: Tx) -> Liabilities:
    """Return what we owe now, as of one moment: no wallet and no entry is read.

    Entries sum to zero, so what customers own is what the system accounts lack; held is what live holds sum to.
    """
    return await one(
        tx,
        Liabilities,
        """
        WITH system AS (
            SELECT coalesce(sum(paise), 0)::bigint AS all_paise,
                   coalesce(sum(paise) FILTER (WHERE bucket = 'suspense'), 0)::bigint AS suspense_paise
            FROM (SELECT bucket, balance_paise AS paise FROM system_balances
                  UNION ALL SELECT bucket, amount_paise FROM system_changes) AS parts
            WHERE bucket <> 'sandbox'
        ), live AS (
            SELECT coalesce(sum(amount_paise), 0)::bigint AS held_paise
            FROM holds WHERE state = 'held' AND NOT is_sandbox(account_id)
        )
        SELECT clock_timestamp() AS at, -all_paise - held_paise AS available_paise, held_paise, suspense_paise
        FROM system, live
        """,
    )


async def list_names(tx: Tx) -> tuple[dict[str, str], dict[int, str], dict[int, str]]:
    """Return the names of services, countries and providers."""
    services = await rows(tx, "SELECT code, name FROM services")
    countries = await rows(tx, "SELECT code, name FROM countries")
    providers = await rows(tx, "SELECT id, name FROM providers")
    return dict(services), dict(countries), dict(providers)
