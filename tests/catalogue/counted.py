"""Orders for the tests of statistics, written past every verb, and the plain way to count them."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from numberdesk.accounts import service as accounts
from numberdesk.base.db import Database
from numberdesk.catalogue.service import WAIT_BOUNDS_MS

NUMBERS = ("provider_id", "service", "country", "operator")
ENDS = ("completed", "received", "cancelled", "gave_up", "expired", "active", "requested", "failed", "died")
"""How an order of these tests stands: `gave_up` was cancelled by its provider, `died` was never seen."""
_STATES = {"gave_up": "cancelled", "died": "failed"}


@dataclass(frozen=True)
class Past:
    """One order as it stands; `wait` is seconds from its number to its first code."""

    id: int
    created_at: datetime
    provider_id: int
    service: str
    country: int
    operator: str
    end: str
    wait: float
    proof: str
    price: int
    cost: int

    @property
    def is_delivered(self) -> bool:
        return self.end in ("completed", "received")

    @property
    def is_sold(self) -> bool:
        return self.is_delivered or self.end in ("cancelled", "gave_up", "expired")

    @property
    def is_refund(self) -> bool:
        return self.end in ("cancelled", "gave_up", "expired", "died")

    @property
    def hour(self) -> datetime:
        return self.created_at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def drawn(seed: int, count: int, now: datetime, providers: Sequence[int], *, days: float, first: int = 1) -> list[Past]:
    """Draw orders of the last days."""
    draw = random.Random(seed)
    return [_drawn(draw, number, now, providers, days) for number in range(first, first + count)]


def _drawn(draw: random.Random, number: int, now: datetime, providers: Sequence[int], days: float) -> Past:
    end = draw.choice(ENDS)
    proof = "none"
    if end in ("cancelled", "gave_up", "expired"):
        proof = draw.choice(("confirmed", "assumed", "refused", "due"))
    elif end == "died":
        proof = "assumed"
    elif end in ("active", "requested"):
        proof = "due"
    cost = draw.randint(100, 900)
    return Past(
        number, now - timedelta(seconds=draw.uniform(1, days * 86_400)), draw.choice(providers),
        draw.choice(("tg", "wa")), draw.choice((0, 22)), draw.choice(("any", "airtel")), end,
        draw.choice((0.0, 0.4, 1.0, 7.0, 2 ** draw.uniform(0, 17))), proof, cost + 100, cost,
    )  # fmt: skip


async def open_account(db: Database) -> int:
    async with db.transaction() as tx:
        return (await accounts.create(tx, emails=["counted@example.com"], names=["Counted"]))[0]


async def write(connection: Any, account_id: int, orders: Iterable[Past]) -> None:
    """Write orders as they stand; one that is there already changes, as if just now."""
    for order in orders:
        state = _STATES.get(order.end, order.end)
        has_number = order.end not in ("requested", "failed", "died")
        activated = order.created_at + timedelta(seconds=2) if has_number else None
        received = None
        if order.is_delivered and activated is not None:
            received = activated + timedelta(seconds=order.wait)
        ended = order.created_at + timedelta(hours=1) if state not in ("received", "active", "requested") else None
        failure = {"gave_up": "provider_cancelled", "failed": "no_numbers", "died": "never_sold"}.get(order.end)
        await connection.execute(
            """
            INSERT INTO orders (id, account_id, service, country, operator, provider_id, price_paise, cost_paise, state,
                                failure, request_key, request_item, request_token, upstream_id, number, created_at,
                                sent_at, activated_at, expires_at, received_at, ended_at, changed_at, upstream_refund)
            OVERRIDING SYSTEM VALUE
            VALUES ($1::bigint, $2, $3, $4, $5, $6, $7, $8, $9, $10, $1::text, 0, 0, $11, $12, $13, $13, $14, $15, $16,
                    $17, clock_timestamp(), $18)
            ON CONFLICT (id) DO UPDATE SET
                state = excluded.state, failure = excluded.failure, upstream_id = excluded.upstream_id,
                number = excluded.number, activated_at = excluded.activated_at, expires_at = excluded.expires_at,
                received_at = excluded.received_at, ended_at = excluded.ended_at, changed_at = clock_timestamp(),
                upstream_refund = excluded.upstream_refund
            """,
            order.id, account_id, order.service, order.country, order.operator, order.provider_id, order.price,
            order.cost, state, failure, str(order.id) if has_number else None,
            f"91{order.id:010}" if has_number else None, order.created_at, activated,
            order.created_at + timedelta(hours=1) if has_number else None, received, ended, order.proof,
        )  # fmt: skip


def settled(order: Past, end: str, proof: str, wait: float = 9.0) -> Past:
    return replace(order, end=end, proof=proof, wait=wait)


def counted(orders: Iterable[Past]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Count the plain way, by hour, provider, service, country and operator."""
    groups: dict[tuple[Any, ...], list[Past]] = defaultdict(list)
    for order in orders:
        if order.is_sold or order.is_refund:
            key = (order.hour, order.provider_id, order.service, order.country, order.operator)
            groups[key].append(order)
    return {key: totals(group) for key, group in groups.items()}


def totals(orders: Sequence[Past]) -> dict[str, Any]:
    """Count one group."""
    back = [order for order in orders if order.is_refund]
    found: dict[str, Any] = {
        "sold": sum(order.is_sold for order in orders),
        "delivered": sum(order.is_delivered for order in orders),
        "cancelled": sum(order.end == "cancelled" for order in orders),
        "refunds": len(back),
        "refunds_paise": sum(order.price for order in back),
        "gap_paise": sum(order.price for order in back if order.proof != "confirmed"),
        "waits": histogram(order.wait for order in orders if order.is_delivered),
    }
    for proof in ("confirmed", "assumed", "refused", "due"):
        of_it = [order for order in back if order.proof == proof]
        found |= {proof: len(of_it), f"{proof}_paise": sum(order.cost for order in of_it)}
    return found


def histogram(waits: Iterable[float]) -> list[int]:
    places = Counter(sum(1000 * wait >= bound for bound in WAIT_BOUNDS_MS) for wait in waits)
    return [places[place] for place in range(max(places, default=-1) + 1)]


async def stored(connection: asyncpg.Connection) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return the counts as they stand in the table."""
    found = {}
    for row in await connection.fetch("SELECT * FROM delivery_stats"):
        numbers = dict(row)
        key = (numbers.pop("hour"), *(numbers.pop(name) for name in NUMBERS))
        found[key] = numbers
    return found
