"""Every statement on balances of ours at providers, what orders moved there, and whether it adds up.

What orders moved is read from `orders` and `prolongations`. A sale is booked at its `activated_at`, more hours at their
`settled_at`, and what was taken back at `ended_at`, so the books of two moments differ by what was booked in between.
Those of orders are never later than `changed_at`, whose index bounds each read to what is new.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from numberdesk.base.db import Tx, many, maybe, one, rows, run, value
from numberdesk.providers.model import MoneyCheck, ProviderId, ProviderMoney, TopUpKind


@dataclass(frozen=True, slots=True)
class Booked:
    """What orders moved at one provider in a time."""

    sold_paise: int
    refunded_paise: int
    count: int


@dataclass(frozen=True, slots=True)
class InFlight:
    """What may, or may not, be in a balance read in a time, apart from what is booked: `low_paise` is not above 0."""

    low_paise: int
    high_paise: int
    count: int
    orphans: int


@dataclass(frozen=True, slots=True)
class Drift:
    """Charges against list prices of a day at one provider."""

    sales: int
    told: int
    above: int
    listed_paise: int
    charged_paise: int
    overruns: int


async def now(tx: Tx) -> datetime:
    """Return the database's clock."""
    moment: datetime = await value(tx, "SELECT clock_timestamp()")
    return moment


async def insert_money_rows(tx: Tx) -> None:
    """Give every provider its row."""
    await run(
        tx,
        """
        INSERT INTO provider_money (provider_id)
        SELECT id FROM providers
        WHERE kind <> 'sandbox' AND NOT EXISTS (SELECT FROM provider_money WHERE provider_id = id)
        ON CONFLICT DO NOTHING
        """,
    )


async def lease_balances(tx: Tx, *, every: timedelta) -> list[ProviderId]:
    """Take the providers whose balance is due; nobody else asks them until the next time."""
    found = await rows(
        tx,
        """
        UPDATE provider_money SET balance_due_at = clock_timestamp() + $1::interval
        WHERE provider_id IN (SELECT provider_id FROM provider_money WHERE balance_due_at <= clock_timestamp()
                              FOR NO KEY UPDATE SKIP LOCKED)
        RETURNING provider_id
        """,
        every,
    )
    return [ProviderId(row[0]) for row in found]


async def lease_checks(tx: Tx, *, every: timedelta) -> list[ProviderId]:
    """Take the providers whose money is due to be compared."""
    found = await rows(
        tx,
        """
        UPDATE provider_money SET check_due_at = clock_timestamp() + $1::interval
        WHERE provider_id IN (SELECT provider_id FROM provider_money WHERE check_due_at <= clock_timestamp()
                              FOR NO KEY UPDATE SKIP LOCKED)
        RETURNING provider_id
        """,
        every,
    )
    return [ProviderId(row[0]) for row in found]


async def set_check_due(tx: Tx, *, provider_id: ProviderId, within: timedelta) -> None:
    """Have a provider's money compared again soon."""
    statement = "UPDATE provider_money SET check_due_at = clock_timestamp() + $2::interval WHERE provider_id = $1"
    await run(tx, statement, provider_id, within)


async def lock_money(tx: Tx, *, provider_id: ProviderId) -> ProviderMoney:
    """Return a provider's row that nobody else changes until the transaction ends; it is made when there is none."""
    await run(tx, "INSERT INTO provider_money (provider_id) VALUES ($1) ON CONFLICT DO NOTHING", provider_id)
    query = "SELECT * FROM provider_money WHERE provider_id = $1 FOR NO KEY UPDATE"
    return await one(tx, ProviderMoney, query, provider_id)


async def list_money(tx: Tx) -> list[ProviderMoney]:
    """Return what is known of our money, by provider."""
    return await many(tx, ProviderMoney, "SELECT * FROM provider_money ORDER BY provider_id")


async def sum_booked(tx: Tx, *, provider_id: ProviderId, since: datetime, until: datetime) -> Booked:
    """Return what was booked after one moment and not after another."""
    return await one(
        tx,
        Booked,
        """
        SELECT coalesce(sum(cost) FILTER (WHERE is_sale), 0)::bigint AS sold_paise,
               coalesce(sum(cost) FILTER (WHERE is_back), 0)::bigint AS refunded_paise,
               (count(*) FILTER (WHERE is_sale) + count(*) FILTER (WHERE is_back))::bigint AS count
        FROM (
            SELECT coalesce(charged_paise, cost_paise) AS cost,
                   activated_at > $2 AND activated_at <= $3 AS is_sale,
                   activated_at IS NOT NULL
                       AND (state IN ('cancelled', 'expired', 'failed') OR failure = 'provider_cancelled')
                       AND upstream_refund IN ('confirmed', 'assumed') AND ended_at > $2 AND ended_at <= $3 AS is_back
            FROM orders WHERE changed_at > $2 AND provider_id = $1
            UNION ALL
            SELECT cost_paise, settled_at > $2 AND settled_at <= $3, false
            FROM prolongations WHERE provider_id = $1 AND state = 'done' AND settled_at > $2
        ) AS moved
        """,
        provider_id,
        since,
        until,
    )


async def sum_ended_upstream(tx: Tx, *, provider_id: ProviderId, after: datetime) -> int:
    """Return the cost of numbers sold before a moment that their provider ended, as we learned after it."""
    found: int = await value(
        tx,
        """
        SELECT coalesce(sum(coalesce(charged_paise, cost_paise)), 0)::bigint FROM orders
        WHERE changed_at > $2 AND ended_at > $2 AND activated_at <= $2 AND provider_id = $1
          AND failure = 'provider_cancelled' AND upstream_refund IN ('confirmed', 'assumed')
        """,
        provider_id,
        after,
    )
    return found


async def sum_in_flight(tx: Tx, *, provider_id: ProviderId, asked: datetime, told: datetime) -> InFlight:
    """Return what may be in a balance or not, that was asked for and told at these moments.

    A purchase is in flight from `sent_at` until it is booked, a number's end from the moment it is wanted until it is
    booked. An activation without an order may have cost up to the dearest offer.
    """
    return await one(
        tx,
        InFlight,
        """
        WITH item AS (
            SELECT coalesce(charged_paise, cost_paise) AS cost,
                   CASE
                       WHEN state IN ('requested', 'unknown') AND sent_at <= $3 THEN 'sale_may_be'
                       WHEN activated_at >= $2 THEN CASE WHEN sent_at > $3 THEN 'sale_is_not' ELSE 'sale_may_not' END
                   END AS sale,
                   CASE
                       WHEN state IN ('cancelling', 'expiring')
                            OR state = 'active' AND last_expiry_at < $3 + interval '1 minute' THEN 'back_may_be'
                       WHEN ended_at >= $2 AND activated_at IS NOT NULL
                            AND upstream_refund IN ('confirmed', 'assumed') THEN 'back_may_not'
                   END AS back
            FROM orders WHERE provider_id = $1 AND (ended_at IS NULL OR changed_at >= $2)
            UNION ALL
            SELECT cost_paise,
                   CASE
                       WHEN state IN ('requested', 'unknown') AND sent_at <= $3 THEN 'sale_may_be'
                       WHEN settled_at >= $2 THEN CASE WHEN sent_at > $3 THEN 'sale_is_not' ELSE 'sale_may_not' END
                   END,
                   NULL
            FROM prolongations
            WHERE provider_id = $1 AND (state IN ('requested', 'unknown') OR state = 'done' AND settled_at >= $2)
        ), nobodys AS (
            SELECT count(*) AS count FROM orphans
            WHERE provider_id = $1 AND state IN ('seen', 'cancelling')
              AND NOT EXISTS (SELECT FROM activations AS owned WHERE (owned.provider_id, owned.upstream_id)
                                                                     = (orphans.provider_id, orphans.upstream_id))
        ), dearest AS (
            SELECT coalesce(max(cost_paise), 0) AS cost FROM offers WHERE provider_id = $1
        )
        SELECT (-coalesce(sum(cost) FILTER (WHERE sale = 'sale_may_be'), 0)
                - coalesce(sum(cost) FILTER (WHERE back = 'back_may_not'), 0)
                + coalesce(sum(cost) FILTER (WHERE sale = 'sale_is_not'), 0)
                - (SELECT nobodys.count * dearest.cost FROM nobodys, dearest))::bigint AS low_paise,
               (coalesce(sum(cost) FILTER (WHERE sale IN ('sale_may_not', 'sale_is_not')), 0)
                + coalesce(sum(cost) FILTER (WHERE back = 'back_may_be'), 0))::bigint AS high_paise,
               count(*) FILTER (WHERE sale IS NOT NULL OR back IS NOT NULL) AS count,
               (SELECT count FROM nobodys) AS orphans
        FROM item
        """,
        provider_id,
        asked,
        told,
    )


async def insert_balance(
    tx: Tx, *, provider_id: ProviderId, balance_paise: int, booked: Booked, until: datetime
) -> None:
    """Write down a balance and what was booked until then."""
    await run(
        tx,
        """
        WITH line AS (
            INSERT INTO provider_balances (provider_id, at, balance_paise, sold_paise, refunded_paise)
            VALUES ($1, $5, $2, $3, $4) ON CONFLICT DO NOTHING
        )
        UPDATE provider_money SET balance_paise = $2, balance_at = clock_timestamp(), counted_until = $5
        WHERE provider_id = $1
        """,
        provider_id,
        balance_paise,
        booked.sold_paise,
        booked.refunded_paise,
        until,
    )


async def sum_spent(tx: Tx, *, provider_id: ProviderId, since: datetime) -> int:
    """Return what was spent net of what came back, by the lines since then."""
    query = """
        SELECT coalesce(sum(sold_paise - refunded_paise), 0)::bigint FROM provider_balances
        WHERE provider_id = $1 AND at > $2
        """
    spent: int = await value(tx, query, provider_id, since)
    return spent


async def set_forecast(tx: Tx, *, provider_id: ProviderId, minutes_left: int | None) -> None:
    """Write down how long our money lasts."""
    statement = "UPDATE provider_money SET minutes_left = $2 WHERE provider_id = $1"
    await run(tx, statement, provider_id, minutes_left)


async def delete_old_balances(tx: Tx, *, keep: timedelta, limit: int) -> int:
    """Forget balances of long ago."""
    statement = """
        DELETE FROM provider_balances WHERE ctid = ANY(ARRAY(
            SELECT ctid FROM provider_balances WHERE at < clock_timestamp() - $1::interval LIMIT $2))
        """
    return await run(tx, statement, keep, limit)


async def delete_old_checks(tx: Tx, *, keep: timedelta, limit: int) -> int:
    """Forget comparisons of long ago."""
    statement = """
        DELETE FROM provider_money_checks WHERE ctid = ANY(ARRAY(
            SELECT ctid FROM provider_money_checks WHERE at < clock_timestamp() - $1::interval LIMIT $2))
        """
    return await run(tx, statement, keep, limit)


async def delete_old_overruns(tx: Tx, *, keep: timedelta, limit: int) -> int:
    """Forget sales above a ceiling of long ago."""
    statement = """
        DELETE FROM price_overruns WHERE ctid = ANY(ARRAY(
            SELECT ctid FROM price_overruns WHERE at < clock_timestamp() - $1::interval LIMIT $2))
        """
    return await run(tx, statement, keep, limit)


async def set_anchor(tx: Tx, *, money: ProviderMoney) -> None:
    """Write where a provider's books begin, or how far they were carried on."""
    await run(
        tx,
        """
        UPDATE provider_money SET anchored_at = $2, booked_until = $3, booked_low = $4, booked_high = $5,
                                  booked_count = $6, paise_per_unit = $7
        WHERE provider_id = $1
        """,
        money.provider_id,
        money.anchored_at,
        money.booked_until,
        money.booked_low,
        money.booked_high,
        money.booked_count,
        money.paise_per_unit,
    )


async def insert_check(tx: Tx, *, check: MoneyCheck) -> None:
    """Write down a comparison."""
    await run(
        tx,
        """
        INSERT INTO provider_money_checks
            (provider_id, balance_paise, expected_low, expected_high, gap_paise, explained)
        VALUES ($1, $2, $3, $4, $5, $6)
        """,
        check.provider_id,
        check.balance_paise,
        check.expected_low,
        check.expected_high,
        check.gap_paise,
        check.explained,
    )


async def find_last_check(tx: Tx, *, provider_id: ProviderId) -> MoneyCheck | None:
    """Return the newest comparison."""
    query = "SELECT * FROM provider_money_checks WHERE provider_id = $1 ORDER BY id DESC LIMIT 1"
    return await maybe(tx, MoneyCheck, query, provider_id)


async def insert_top_up(tx: Tx, *, provider_id: ProviderId, kind: TopUpKind, amount_paise: int, note: str) -> None:
    """Write down what staff say of our money."""
    statement = "INSERT INTO provider_top_ups (provider_id, kind, amount_paise, note) VALUES ($1, $2, $3, $4)"
    await run(tx, statement, provider_id, kind, amount_paise, note)


async def insert_overrun(tx: Tx, *, provider_id: ProviderId, reference: str) -> None:
    """Write down a sale above its ceiling."""
    statement = "INSERT INTO price_overruns (provider_id, reference) VALUES ($1, $2)"
    await run(tx, statement, provider_id, reference)


async def count_above(tx: Tx) -> list[tuple[ProviderId, int, int]]:
    """Return for each provider the charges above list price, and the sales above a ceiling, of the last day."""
    found = await rows(
        tx,
        """
        SELECT id,
               (SELECT count(*) FROM orders WHERE provider_id = providers.id AND charged_paise * 100 > cost_paise * 101
                                              AND activated_at > now - interval '1 day'),
               (SELECT count(*) FROM price_overruns WHERE provider_id = providers.id AND at > now - interval '1 day')
        FROM providers, clock_timestamp() AS now WHERE kind <> 'sandbox' ORDER BY id
        """,
    )
    return [(ProviderId(row[0]), row[1], row[2]) for row in found]


async def read_drift(tx: Tx, *, provider_id: ProviderId) -> Drift:
    """Return charges against list prices of the last day."""
    return await one(
        tx,
        Drift,
        """
        SELECT count(*) AS sales, count(charged_paise) AS told,
               count(*) FILTER (WHERE charged_paise * 100 > cost_paise * 101) AS above,
               coalesce(sum(cost_paise) FILTER (WHERE charged_paise IS NOT NULL), 0)::bigint AS listed_paise,
               coalesce(sum(charged_paise), 0)::bigint AS charged_paise,
               (SELECT count(*) FROM price_overruns
                WHERE provider_id = $1 AND at > clock_timestamp() - interval '1 day') AS overruns
        FROM orders, (SELECT clock_timestamp() - interval '1 day' AS since) AS day
        WHERE changed_at > since AND activated_at > since AND provider_id = $1
        """,
        provider_id,
    )
