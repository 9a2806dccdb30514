"""Statements that write orders, activations, messages and exchanges, set-based: lists in, rows out.

`changed_at` grows with every change of an order, so that of two rows the newer one can be told. A statement reads the
clock before it waits for a lock, so the clock alone does not say that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from numberdesk.base.db import Tx, columns, many, one, rows, run
from numberdesk.orders.model import Exchange, Order, OrderId, OrderRules, Reservation, UpstreamRefund
from numberdesk.providers.model import ProviderId


@dataclass(frozen=True, slots=True)
class Sale:
    """An order that a provider sold a number for."""

    order_id: OrderId
    provider_id: ProviderId
    upstream_id: str
    number: str
    can_get_next: bool
    cancel_after_ms: int
    lifetime_ms: int
    charged_paise: int | None = None
    """What the provider says it took."""
    ends_at: datetime | None = None
    """When a rental ends, where the provider says it."""


@dataclass(frozen=True, slots=True)
class Retry:
    """An order that goes on to another offer."""

    order_id: OrderId
    provider_id: ProviderId
    operator: str
    price_paise: int
    cost_paise: int


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to be written."""

    order_id: OrderId
    ordinal: int
    code: str
    text: str
    is_sealed: bool


async def insert_orders(tx: Tx, order_ids: Sequence[int], items: Sequence[Reservation]) -> list[Order]:
    """Write new orders in state `requested`."""
    return await many(
        tx,
        Order,
        """
        INSERT INTO orders (id, account_id, service, country, operator, provider_id, price_paise, cost_paise,
                            request_key, request_item, request_token, route, hours, ip, created_at, sent_at,
                            changed_at)
        OVERRIDING SYSTEM VALUE
        SELECT item.*, now, now, now
        FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::int[], $5::text[], $6::smallint[], $7::bigint[],
                    $8::bigint[], $9::text[], $10::smallint[], $11::bigint[], $12::text[], $13::smallint[],
                    $14::text[]::inet[]) AS item,
             clock_timestamp() AS now
        RETURNING *
        """,
        order_ids,
        *columns(
            items, "account_id", "offer.service", "offer.country", "offer.operator", "offer.provider_id",
            "offer.price_paise", "offer.cost_paise", "request_key", "request_item", "request_token",
            "route", "offer.hours", "ip",
        ),
    )  # fmt: skip


async def insert_activations(tx: Tx, sales: Sequence[Sale]) -> set[OrderId]:
    """Write what was sold; returns the orders whose activation is theirs, now or from before."""
    found = await rows(
        tx,
        """
        WITH sale AS (
            SELECT * FROM unnest($1::smallint[], $2::text[], $3::bigint[]) AS sale (provider_id, upstream_id, order_id)
        ), added AS (
            INSERT INTO activations (provider_id, upstream_id, order_id) SELECT * FROM sale
            ON CONFLICT DO NOTHING RETURNING order_id
        )
        SELECT order_id FROM added
        UNION
        SELECT order_id FROM activations JOIN sale USING (provider_id, upstream_id, order_id)
        """,
        *columns(sales, "provider_id", "upstream_id", "order_id"),
    )
    return {row[0] for row in found}


async def set_active(tx: Tx, sales: Sequence[Sale], rules: OrderRules) -> list[Order]:
    """requested or unknown -> active.

    A rental may be cancelled at once, and lives for its hours since it was asked for, or as its provider says, unless
    that is less than what was bought: then it is a mistake, of a time zone perhaps.
    """
    return await many(
        tx,
        Order,
        """
        UPDATE orders SET
            state = 'active', upstream_id = sale.upstream_id, number = sale.number, can_get_next = sale.can_get_next,
            charged_paise = sale.charged_paise, activated_at = now,
            cancel_allowed_at = CASE WHEN hours IS NULL
                THEN now + greatest($8::interval, sale.cancel_after_ms * interval '1 millisecond') ELSE now END,
            expires_at = CASE WHEN hours IS NULL
                THEN least(now + $9::interval, sent_at + sale.lifetime_ms * interval '1 millisecond')
                WHEN sale.ends_at > sent_at + make_interval(hours => hours) - interval '30 minutes' THEN sale.ends_at
                ELSE sent_at + make_interval(hours => hours) END,
            last_expiry_at = CASE WHEN hours IS NULL THEN sent_at + sale.lifetime_ms * interval '1 millisecond'
                WHEN sale.ends_at > sent_at + make_interval(hours => hours) - interval '30 minutes' THEN sale.ends_at
                ELSE sent_at + make_interval(hours => hours) END,
            next_try_at = NULL, tries = 0,
            changed_at = greatest(now, orders.changed_at + interval '1 microsecond')
        FROM unnest($1::bigint[], $2::text[], $3::text[], $4::boolean[], $5::int[], $6::bigint[], $7::bigint[],
                    $10::timestamptz[])
             AS sale (order_id, upstream_id, number, can_get_next, cancel_after_ms, lifetime_ms, charged_paise,
                      ends_at),
             clock_timestamp() AS now
        WHERE orders.id = sale.order_id AND orders.state IN ('requested', 'unknown')
        RETURNING orders.*
        """,
        *columns(
            sales,
            "order_id",
            "upstream_id",
            "number",
            "can_get_next",
            "cancel_after_ms",
            "lifetime_ms",
            "charged_paise",
        ),
        rules.cancel_after,
        rules.lifetime,
        [sale.ends_at for sale in sales],
    )


async def set_unknown(tx: Tx, order_ids: Sequence[int]) -> list[Order]:
    """requested -> unknown; a reconciler takes it from here."""
    return await many(
        tx,
        Order,
        """
        UPDATE orders SET state = 'unknown', next_try_at = now,
                          changed_at = greatest(now, orders.changed_at + interval '1 microsecond')
        FROM clock_timestamp() AS now
        WHERE id = ANY($1::bigint[]) AND state = 'requested' RETURNING orders.*
        """,
        order_ids,
    )


async def set_next_attempt(tx: Tx, retries: Sequence[Retry]) -> list[Order]:
    """requested, or unknown when its answer came late -> requested, of another provider."""
    return await many(
        tx,
        Order,
        """
        UPDATE orders SET state = 'requested', provider_id = retry.provider_id, operator = retry.operator,
                          attempt = attempt + 1, price_paise = retry.price_paise, cost_paise = retry.cost_paise,
                          sent_at = now, next_try_at = NULL, tries = 0,
                          changed_at = greatest(now, orders.changed_at + interval '1 microsecond')
        FROM unnest($1::bigint[], $2::smallint[], $3::text[], $4::bigint[], $5::bigint[])
             AS retry (order_id, provider_id, operator, price_paise, cost_paise), clock_timestamp() AS now
        WHERE orders.id = retry.order_id AND orders.state IN ('requested', 'unknown')
        RETURNING orders.*
        """,
        *columns(retries, "order_id", "provider_id", "operator", "price_paise", "cost_paise"),
    )


async def set_ended(
    tx: Tx,
    order_ids: Sequence[int],
    states: Sequence[str],
    failures: Sequence[str | None],
    proofs: Sequence[UpstreamRefund],
) -> list[Order]:
    """Any state without an end -> the end named for each order, and what proves the provider's refund."""
    return await many(
        tx,
        Order,
        """
        UPDATE orders SET state = ending.state, failure = coalesce(ending.failure, orders.failure), ended_at = now,
                          next_try_at = NULL, upstream_refund = ending.proof,
                          changed_at = greatest(now, orders.changed_at + interval '1 microsecond')
        FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[]) AS ending (order_id, state, failure, proof),
             clock_timestamp() AS now
        WHERE orders.id = ending.order_id AND orders.ended_at IS NULL
        RETURNING orders.*
        """,
        order_ids,
        states,
        failures,
        proofs,
    )


async def set_received(tx: Tx, counts: Sequence[tuple[int, int]]) -> list[Order]:
    """active, cancelling or expiring -> received; of orders received or completed before, only the count grows.

    Of those whose money went back nothing changes.
    """
    return await many(
        tx,
        Order,
        """
        UPDATE orders SET
            state = CASE WHEN state IN ('active', 'cancelling', 'expiring') THEN 'received' ELSE state END,
            received_at = coalesce(received_at, now), codes_received = codes_received + delivery.messages,
            upstream_refund = 'none', next_try_at = NULL, tries = 0,
            changed_at = greatest(now, orders.changed_at + interval '1 microsecond')
        FROM unnest($1::bigint[], $2::int[]) AS delivery (order_id, messages), clock_timestamp() AS now
        WHERE orders.id = delivery.order_id
          AND orders.state IN ('active', 'cancelling', 'expiring', 'received', 'completed')
          AND orders.refunded_at IS NULL
        RETURNING orders.*
        """,
        [order_id for order_id, _ in counts],
        [count for _, count in counts],
    )


async def insert_messages(tx: Tx, messages: Sequence[NewMessage]) -> None:
    """Write messages, readable or sealed."""
    await run(
        tx,
        """
        INSERT INTO messages (order_id, ordinal, code, text, received_at, is_sealed)
        SELECT order_id, ordinal, code, text, clock_timestamp(), is_sealed
        FROM unnest($1::bigint[], $2::smallint[], $3::text[], $4::text[], $5::boolean[])
             AS message (order_id, ordinal, code, text, is_sealed)
        """,
        *columns(messages, "order_id", "ordinal", "code", "text", "is_sealed"),
    )


async def set_cancelling(tx: Tx, order_ids: Sequence[int], *, patience_seconds: int) -> list[Order]:
    """active -> cancelling; the worker takes over when nobody settles it in time."""
    return await many(
        tx,
        Order,
        """
        UPDATE orders SET state = 'cancelling', next_try_at = now + make_interval(secs => $2), tries = 0,
                          changed_at = greatest(now, orders.changed_at + interval '1 microsecond')
        FROM clock_timestamp() AS now
        WHERE id = ANY($1::bigint[]) AND state = 'active' AND NOT is_prolonging RETURNING orders.*
        """,
        order_ids,
        patience_seconds,
    )


async def set_cancel_refused(tx: Tx, order_id: OrderId, *, wait_seconds: int) -> Order | None:
    """cancelling -> active: the provider does not cancel yet."""
    found = await many(
        tx,
        Order,
        """
        UPDATE orders SET state = 'active', next_try_at = NULL,
                          changed_at = greatest(now, orders.changed_at + interval '1 microsecond'),
                          cancel_allowed_at = now + make_interval(secs => $2)
        FROM clock_timestamp() AS now
        WHERE id = $1 AND state = 'cancelling' RETURNING orders.*
        """,
        order_id,
        wait_seconds,
    )
    return found[0] if found else None


async def set_completed(tx: Tx, order_ids: Sequence[int]) -> list[Order]:
    """received -> completed; the provider is told later."""
    return await many(
        tx,
        Order,
        """
        UPDATE orders SET state = 'completed', ended_at = now, next_try_at = NULL, release_due = true,
                          changed_at = greatest(now, orders.changed_at + interval '1 microsecond')
        FROM clock_timestamp() AS now
        WHERE id = ANY($1::bigint[]) AND state = 'received' AND NOT is_prolonging RETURNING orders.*
        """,
        order_ids,
    )


async def set_code_wanted(tx: Tx, order_id: OrderId) -> Order | None:
    """received -> received, waiting for one more code."""
    found = await many(
        tx,
        Order,
        """
        UPDATE orders SET codes_wanted = codes_received + 1, next_try_at = NULL, changed_at = clock_timestamp(),
                          tries = CASE WHEN hours IS NULL THEN tries ELSE 0 END
        WHERE id = $1 AND state = 'received' RETURNING *
        """,
        order_id,
    )
    return found[0] if found else None


async def set_extended(tx: Tx, order_id: OrderId, *, until: datetime) -> Order:
    """A later `expires_at` for an order that is locked and open."""
    return await one(
        tx,
        Order,
        """
        UPDATE orders SET expires_at = $2, extensions = extensions + 1, changed_at = clock_timestamp()
        WHERE id = $1 RETURNING *
        """,
        order_id,
        until,
    )


async def insert_exchanges(tx: Tx, exchanges: Sequence[Exchange]) -> None:
    """Write what was asked of providers and what came back."""
    await run(
        tx,
        """
        INSERT INTO exchanges (order_id, provider_id, attempt, action, outcome, detail, took_ms, at)
        SELECT item.*, clock_timestamp()
        FROM unnest($1::bigint[], $2::smallint[], $3::smallint[], $4::text[], $5::text[], $6::text[], $7::int[]) AS item
        """,
        *columns(exchanges, "order_id", "provider_id", "attempt", "action", "outcome", "detail", "took_ms"),
    )
