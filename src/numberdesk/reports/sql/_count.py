"""Statements that count: half hours from the rows of other slices, days from half hours. Over again gives the same.

Each returns the beginnings of what is different now. They write only rows that differ. A statement is for both kinds of
span, because what it writes is the same: of its two sources one is switched off. What is joined is materialized: on a
table that nobody has analyzed yet, a join might make it over and over.
"""

from collections.abc import Sequence
from datetime import datetime

from numberdesk.base.db import Tx, rows
from numberdesk.reports.model import OrderSpan, Span

__all__ = ["count_money", "count_orders", "count_taxes"]

# $1 and $2 are the ends of the time, $3 the span of the rows that are written, $4 the ends of the histogram's places.

_ORDERS = """
WITH made AS MATERIALIZED (
    SELECT date_bin('30 minutes', created_at, '2000-01-01Z') AS starts_at, service, country, provider_id,
           activated_at IS NOT NULL AND (received_at IS NOT NULL OR ended_at IS NOT NULL) AS is_sold,
           activated_at IS NOT NULL AND received_at IS NOT NULL AS is_delivered,
           activated_at IS NOT NULL AND received_at IS NULL AND state = 'cancelled'
               AND failure IS NULL AS is_cancelled,
           CASE WHEN activated_at IS NOT NULL AND received_at IS NOT NULL THEN
               width_bucket(greatest(0, extract(epoch FROM received_at - activated_at) * 1000)::bigint,
                            $4::bigint[]) END AS place
    FROM orders
    WHERE $3 = 'slot' AND created_at >= $1 AND created_at < $2 AND NOT is_sandbox(account_id)
), posted AS MATERIALIZED (
    SELECT date_bin('30 minutes', at, '2000-01-01Z') AS starts_at, kind,
           split_part(cause_id, ':', 1)::bigint AS order_id, substr(cause_id, strpos(cause_id, ':') + 1) AS purpose
    FROM postings
    WHERE $3 = 'slot' AND at >= $1 AND at < $2 AND cause_type = 'order' AND kind IN ('capture', 'void', 'refund')
), moved AS MATERIALIZED (
    SELECT starts_at, kind, service, country, orders.provider_id, amount_paise,
           purpose = 'number:' || attempt AS is_number,
           CASE WHEN purpose = 'number:' || attempt THEN coalesce(charged_paise, orders.cost_paise)
                ELSE coalesce(longer.cost_paise, 0) END AS cost_paise,
           CASE upstream_refund WHEN 'none' THEN 'due' ELSE upstream_refund END AS proof
    FROM posted
    JOIN holds USING (order_id, purpose)
    JOIN orders ON orders.id = order_id
    LEFT JOIN prolongations AS longer ON longer.order_id = orders.id AND 'prolong:' || longer.id = purpose
    WHERE NOT is_sandbox(holds.account_id)
      AND (kind <> 'void'
           OR received_at IS NULL AND (activated_at IS NOT NULL OR upstream_refund <> 'none')
              AND (purpose = 'number:' || attempt OR starts_with(purpose, 'extend:')))
), of_orders AS (
    SELECT starts_at, service, country, provider_id, count(*) AS made,
           count(*) FILTER (WHERE is_sold) AS sold, count(*) FILTER (WHERE is_delivered) AS delivered,
           count(*) FILTER (WHERE is_cancelled) AS cancelled,
           array_agg(place) FILTER (WHERE place IS NOT NULL) AS places
    FROM made GROUP BY starts_at, service, country, provider_id
), of_money AS (
    SELECT starts_at, service, country, provider_id,
           count(*) FILTER (WHERE kind = 'capture' AND is_number) AS paid,
           coalesce(sum(amount_paise) FILTER (WHERE kind = 'capture'), 0) AS revenue_paise,
           coalesce(sum(cost_paise) FILTER (WHERE kind = 'capture'), 0) AS cost_paise,
           count(*) FILTER (WHERE kind = 'refund') AS refunded,
           coalesce(sum(amount_paise) FILTER (WHERE kind = 'refund'), 0) AS refunded_paise,
           count(*) FILTER (WHERE kind = 'void' AND is_number) AS released,
           coalesce(sum(amount_paise) FILTER (WHERE kind = 'void'), 0) AS released_paise,
           count(*) FILTER (WHERE kind = 'void' AND is_number AND proof = 'confirmed') AS confirmed,
           coalesce(sum(cost_paise) FILTER (WHERE kind = 'void' AND is_number AND proof = 'confirmed'), 0)
               AS confirmed_paise,
           count(*) FILTER (WHERE kind = 'void' AND is_number AND proof = 'assumed') AS assumed,
           coalesce(sum(cost_paise) FILTER (WHERE kind = 'void' AND is_number AND proof = 'assumed'), 0)
               AS assumed_paise,
           count(*) FILTER (WHERE kind = 'void' AND is_number AND proof = 'refused') AS refused,
           coalesce(sum(cost_paise) FILTER (WHERE kind = 'void' AND is_number AND proof = 'refused'), 0)
               AS refused_paise,
           count(*) FILTER (WHERE kind = 'void' AND is_number AND proof = 'due') AS due,
           coalesce(sum(cost_paise) FILTER (WHERE kind = 'void' AND is_number AND proof = 'due'), 0) AS due_paise
    FROM moved GROUP BY starts_at, service, country, provider_id
), recounted AS (
    SELECT starts_at, service, country, provider_id, coalesce(made, 0) AS made, coalesce(sold, 0) AS sold,
           coalesce(delivered, 0) AS delivered, coalesce(cancelled, 0) AS cancelled,
           ARRAY(SELECT count(found)::int
                 FROM generate_series(0, (SELECT max(last) FROM unnest(places) AS last)) AS place
                 LEFT JOIN unnest(places) AS found ON found = place
                 GROUP BY place ORDER BY place) AS waits,
           coalesce(paid, 0) AS paid, coalesce(revenue_paise, 0) AS revenue_paise,
           coalesce(cost_paise, 0) AS cost_paise, coalesce(refunded, 0) AS refunded,
           coalesce(refunded_paise, 0) AS refunded_paise, coalesce(released, 0) AS released,
           coalesce(released_paise, 0) AS released_paise, coalesce(confirmed, 0) AS confirmed,
           coalesce(confirmed_paise, 0) AS confirmed_paise, coalesce(assumed, 0) AS assumed,
           coalesce(assumed_paise, 0) AS assumed_paise, coalesce(refused, 0) AS refused,
           coalesce(refused_paise, 0) AS refused_paise, coalesce(due, 0) AS due, coalesce(due_paise, 0) AS due_paise
    FROM of_orders FULL JOIN of_money USING (starts_at, service, country, provider_id)
), line AS MATERIALIZED (
    SELECT CASE WHEN by_service THEN service ELSE '' END AS service, CASE WHEN by_country THEN country ELSE -1 END
               AS country, CASE WHEN by_provider THEN provider_id ELSE -1 END AS provider_id,
           made, sold, delivered, cancelled, waits, paid, revenue_paise, cost_paise, refunded, refunded_paise,
           released, released_paise, confirmed, confirmed_paise, assumed, assumed_paise, refused, refused_paise, due,
           due_paise
    FROM report_orders
    JOIN (VALUES (false, true, true, true), (true, true, false, false), (true, false, true, false),
                 (true, false, false, true), (true, false, false, false))
         AS kept (are_sums, by_service, by_country, by_provider) ON are_sums = ($3 IN ('utc_sums', 'ist_sums'))
    WHERE $3 <> 'slot' AND span = CASE $3 WHEN 'utc_sums' THEN 'utc' WHEN 'ist_sums' THEN 'ist' ELSE 'slot' END
      AND starts_at >= $1 AND starts_at < $2
), sums AS (
    SELECT service, country, provider_id, sum(made) AS made, sum(sold) AS sold, sum(delivered) AS delivered,
           sum(cancelled) AS cancelled, sum(paid) AS paid, sum(revenue_paise) AS revenue_paise,
           sum(cost_paise) AS cost_paise, sum(refunded) AS refunded, sum(refunded_paise) AS refunded_paise,
           sum(released) AS released, sum(released_paise) AS released_paise, sum(confirmed) AS confirmed,
           sum(confirmed_paise) AS confirmed_paise, sum(assumed) AS assumed, sum(assumed_paise) AS assumed_paise,
           sum(refused) AS refused, sum(refused_paise) AS refused_paise, sum(due) AS due, sum(due_paise) AS due_paise
    FROM line GROUP BY service, country, provider_id
), places AS MATERIALIZED (
    SELECT service, country, provider_id, place::int AS place, sum(count)::int AS count
    FROM line, unnest(waits) WITH ORDINALITY AS wait (count, place)
    WHERE count > 0
    GROUP BY service, country, provider_id, place
), histograms AS MATERIALIZED (
    SELECT service, country, provider_id, array_agg(place) AS taken, array_agg(count) AS counts, max(place) AS last
    FROM places GROUP BY service, country, provider_id
), added_up AS (
    SELECT $1::timestamptz AS starts_at, sums.*,
           ARRAY(SELECT coalesce(counts[array_position(taken, place)], 0)
                 FROM generate_series(1, last) AS place ORDER BY place) AS waits
    FROM sums LEFT JOIN histograms USING (service, country, provider_id)
), counted AS MATERIALIZED (
    SELECT starts_at, service, country, provider_id, made, sold, delivered, cancelled, waits, paid, revenue_paise,
           cost_paise, refunded, refunded_paise, released, released_paise, confirmed, confirmed_paise, assumed,
           assumed_paise, refused, refused_paise, due, due_paise
    FROM recounted
    UNION ALL
    SELECT starts_at, service, country, provider_id, made, sold, delivered, cancelled, waits, paid, revenue_paise,
           cost_paise, refunded, refunded_paise, released, released_paise, confirmed, confirmed_paise, assumed,
           assumed_paise, refused, refused_paise, due, due_paise
    FROM added_up
), gone AS (
    DELETE FROM report_orders AS old
    WHERE span = $3 AND starts_at >= $1 AND starts_at < $2
      AND NOT EXISTS (SELECT FROM counted AS new
                      WHERE (new.starts_at, new.service, new.country, new.provider_id)
                            = (old.starts_at, old.service, old.country, old.provider_id))
    RETURNING starts_at
), written AS (
    INSERT INTO report_orders AS old (
        span, starts_at, service, country, provider_id, made, sold, delivered, cancelled, waits, paid, revenue_paise,
        cost_paise, refunded, refunded_paise, released, released_paise, confirmed, confirmed_paise, assumed,
        assumed_paise, refused, refused_paise, due, due_paise)
    SELECT $3, starts_at, service, country, provider_id, made, sold, delivered, cancelled, waits, paid, revenue_paise,
           cost_paise, refunded, refunded_paise, released, released_paise, confirmed, confirmed_paise, assumed,
           assumed_paise, refused, refused_paise, due, due_paise
    FROM counted
    ON CONFLICT (span, starts_at, service, country, provider_id) DO UPDATE SET
        made = excluded.made, sold = excluded.sold, delivered = excluded.delivered, cancelled = excluded.cancelled,
        waits = excluded.waits, paid = excluded.paid, revenue_paise = excluded.revenue_paise,
        cost_paise = excluded.cost_paise, refunded = excluded.refunded, refunded_paise = excluded.refunded_paise,
        released = excluded.released, released_paise = excluded.released_paise, confirmed = excluded.confirmed,
        confirmed_paise = excluded.confirmed_paise, assumed = excluded.assumed,
        assumed_paise = excluded.assumed_paise, refused = excluded.refused, refused_paise = excluded.refused_paise,
        due = excluded.due, due_paise = excluded.due_paise
    WHERE (old.*) IS DISTINCT FROM (excluded.*)
    RETURNING starts_at
)
SELECT DISTINCT starts_at FROM (SELECT starts_at FROM gone UNION ALL SELECT starts_at FROM written) AS different
"""

_MONEY = """
WITH line AS MATERIALIZED (
    SELECT date_bin('30 minutes', entry.at, '2000-01-01Z') AS starts_at, kind, bucket, amount_paise,
           CASE WHEN cause_type <> 'recharge' THEN ''
                WHEN cause_id ~ '^refund:[0-9]+' THEN
                    coalesce((SELECT rail FROM gateway_refunds
                              JOIN external_payments AS payment ON payment.id = payment_id
                              WHERE gateway_refunds.id = split_part(cause_id, ':', 2)::bigint), '')
                WHEN strpos(cause_id, ':') > 0 THEN split_part(cause_id, ':', 1)
                ELSE '' END AS rail
    FROM entries AS entry JOIN postings AS posting ON posting.id = posting_id
    WHERE $3 = 'slot' AND entry.at >= $1 AND entry.at < $2 AND bucket <> 'sandbox'
      AND (account_id IS NULL OR NOT is_sandbox(account_id))
), counted AS MATERIALIZED (
    SELECT starts_at, kind, bucket, rail, count(*) AS lines, sum(amount_paise) AS amount_paise
    FROM line GROUP BY starts_at, kind, bucket, rail
    UNION ALL
    SELECT $1, kind, bucket, rail, sum(lines), sum(amount_paise)
    FROM report_money WHERE $3 <> 'slot' AND span = 'slot' AND starts_at >= $1 AND starts_at < $2
    GROUP BY kind, bucket, rail
), gone AS (
    DELETE FROM report_money AS old
    WHERE span = $3 AND starts_at >= $1 AND starts_at < $2
      AND NOT EXISTS (SELECT FROM counted AS new
                      WHERE (new.starts_at, new.kind, new.bucket, new.rail)
                            = (old.starts_at, old.kind, old.bucket, old.rail))
    RETURNING starts_at
), written AS (
    INSERT INTO report_money AS old (span, starts_at, kind, bucket, rail, lines, amount_paise)
    SELECT $3, starts_at, kind, bucket, rail, lines, amount_paise FROM counted
    ON CONFLICT (span, starts_at, kind, bucket, rail) DO UPDATE SET
        lines = excluded.lines, amount_paise = excluded.amount_paise
    WHERE (old.*) IS DISTINCT FROM (excluded.*)
    RETURNING starts_at
)
SELECT DISTINCT starts_at FROM (SELECT starts_at FROM gone UNION ALL SELECT starts_at FROM written) AS different
"""

_TAXES = """
WITH counted AS MATERIALIZED (
    SELECT date_bin('30 minutes', issued_at, '2000-01-01Z') AS starts_at, kind, count(*) AS receipts,
           sum(amount_paise) AS amount_paise,
           coalesce(sum(amount_paise) FILTER (WHERE taxable_paise IS NULL), 0) AS untaxed_paise,
           coalesce(sum(taxable_paise), 0) AS taxable_paise, coalesce(sum(cgst_paise), 0) AS cgst_paise,
           coalesce(sum(sgst_paise), 0) AS sgst_paise, coalesce(sum(igst_paise), 0) AS igst_paise
    FROM receipts WHERE $3 = 'slot' AND issued_at >= $1 AND issued_at < $2 AND NOT is_sandbox(account_id)
    GROUP BY 1, kind
    UNION ALL
    SELECT $1, kind, sum(receipts), sum(amount_paise), sum(untaxed_paise), sum(taxable_paise), sum(cgst_paise),
           sum(sgst_paise), sum(igst_paise)
    FROM report_taxes WHERE $3 <> 'slot' AND span = 'slot' AND starts_at >= $1 AND starts_at < $2
    GROUP BY kind
), gone AS (
    DELETE FROM report_taxes AS old
    WHERE span = $3 AND starts_at >= $1 AND starts_at < $2
      AND NOT EXISTS (SELECT FROM counted AS new WHERE (new.starts_at, new.kind) = (old.starts_at, old.kind))
    RETURNING starts_at
), written AS (
    INSERT INTO report_taxes AS old (span, starts_at, kind, receipts, amount_paise, untaxed_paise, taxable_paise,
                                     cgst_paise, sgst_paise, igst_paise)
    SELECT $3, starts_at, kind, receipts, amount_paise, untaxed_paise, taxable_paise, cgst_paise, sgst_paise,
           igst_paise
    FROM counted
    ON CONFLICT (span, starts_at, kind) DO UPDATE SET
        receipts = excluded.receipts, amount_paise = excluded.amount_paise, untaxed_paise = excluded.untaxed_paise,
        taxable_paise = excluded.taxable_paise, cgst_paise = excluded.cgst_paise, sgst_paise = excluded.sgst_paise,
        igst_paise = excluded.igst_paise
    WHERE (old.*) IS DISTINCT FROM (excluded.*)
    RETURNING starts_at
)
SELECT DISTINCT starts_at FROM (SELECT starts_at FROM gone UNION ALL SELECT starts_at FROM written) AS different
"""


async def count_orders(
    tx: Tx, span: OrderSpan, first: datetime, end: datetime, bounds_ms: Sequence[int]
) -> set[datetime]:
    """Make the half hours of [first, end) what orders, holds and postings say now, or a day what its half hours
    sum to, or the sums of a day what its lines sum to.

    Args:
        bounds_ms: a wait belongs to the place whose number is how many of these it has reached.
    """
    return {row[0] for row in await rows(tx, _ORDERS, first, end, span, bounds_ms)}


async def count_money(tx: Tx, span: Span, first: datetime, end: datetime) -> set[datetime]:
    """Make the half hours of [first, end) what the ledger says now, or a day what its half hours sum to."""
    return {row[0] for row in await rows(tx, _MONEY, first, end, span)}


async def count_taxes(tx: Tx, span: Span, first: datetime, end: datetime) -> set[datetime]:
    """Make the half hours of [first, end) what receipts say now, or a day what its half hours sum to."""
    return {row[0] for row in await rows(tx, _TAXES, first, end, span)}
