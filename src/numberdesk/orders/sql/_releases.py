"""Statements that tell which finished orders their providers still have to hear of."""

from collections.abc import Sequence
from dataclasses import dataclass

from numberdesk.base.db import Tx, many, run
from numberdesk.orders.model import OrderId
from numberdesk.providers.model import ProviderId


@dataclass(frozen=True, slots=True)
class Release:
    """A finished order that its provider has to be told of, for the so-manieth time."""

    id: OrderId
    provider_id: ProviderId
    upstream_id: str
    release_tries: int


async def lease_releases(tx: Tx, *, may_miss: Sequence[ProviderId], lease_seconds: int, limit: int) -> list[Release]:
    """Take finished orders that their provider was not told about.

    Args:
        may_miss: providers for which a lost notice is no loss; the others are told until they answer.
    """
    return await many(
        tx,
        Release,
        """
        UPDATE orders SET release_due = provider_id <> ALL($1::smallint[]), release_tries = release_tries + 1,
                          release_at = clock_timestamp() + make_interval(secs => $2)
        WHERE id = ANY(ARRAY(SELECT id FROM orders
                     WHERE release_due AND coalesce(release_at <= clock_timestamp(), true)
                     ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED))
        RETURNING *
        """,
        may_miss,
        lease_seconds,
        limit,
    )


async def set_released(tx: Tx, order_ids: Sequence[int]) -> None:
    """Note that providers know of finished orders, or will not be told any more."""
    await run(tx, "UPDATE orders SET release_due = false WHERE id = ANY($1::bigint[])", order_ids)


async def set_release_later(tx: Tx, order_ids: Sequence[int], *, wait_seconds: int, wait_max: int) -> None:
    """Tell providers again, after a wait that doubles every time."""
    await run(
        tx,
        """
        UPDATE orders SET release_at = clock_timestamp()
            + make_interval(secs => least($2 * 2 ^ least(release_tries - 1, 20), $3))
        WHERE id = ANY($1::bigint[]) AND release_due
        """,
        order_ids,
        wait_seconds,
        wait_max,
    )
