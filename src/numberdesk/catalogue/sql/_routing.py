"""Statements on what purchases say of offers."""

from collections.abc import Sequence
from dataclasses import dataclass

from numberdesk.base.db import Tx, columns, many, rows, run
from numberdesk.catalogue.model import OfferId
from numberdesk.providers.model import ProviderId


@dataclass(frozen=True, slots=True)
class Observation:
    """What purchases met at one offer: whether it sold, and the sure refusals since its last sale."""

    offer_id: OfferId
    has_sold: bool
    misses: int


@dataclass(frozen=True, slots=True)
class PhantomShare:
    """Of the offers of a provider that were tried lately, how many have stock that is not believed."""

    provider_id: ProviderId
    tried: int
    phantoms: int


async def list_phantoms(tx: Tx) -> frozenset[OfferId]:
    """Return the offers whose stock is not believed now."""
    found = await rows(tx, "SELECT id FROM offers WHERE phantom_until > clock_timestamp()")
    return frozenset(OfferId(row[0]) for row in found)


async def observe_offers(
    tx: Tx, observations: Sequence[Observation], *, misses_max: int, first_seconds: int, longest_seconds: int
) -> None:
    """Add what purchases met. With enough misses in a row an offer is a phantom for a while, longer each time."""
    await run(
        tx,
        """
        UPDATE offers AS old
        SET misses = least(next.misses, 1000),
            phantom_times = CASE WHEN next.is_phantom THEN least(next.times + 1, 20) ELSE next.times END,
            phantom_until = CASE WHEN next.is_phantom THEN now + make_interval(
                                      secs => least($5::int, $4::int * (1 << least(next.times, 10))))
                                 WHEN seen.has_sold THEN NULL ELSE old.phantom_until END,
            tried_at = now
        FROM unnest($1::bigint[], $2::boolean[], $3::int[]) AS seen (offer_id, has_sold, misses)
             JOIN offers AS current ON current.id = seen.offer_id
             CROSS JOIN LATERAL (
                 SELECT CASE WHEN seen.has_sold THEN 0 ELSE current.misses END + seen.misses AS misses,
                        CASE WHEN seen.has_sold THEN 0 ELSE current.phantom_times END AS times) AS sum
             CROSS JOIN LATERAL (
                 SELECT sum.misses, sum.times,
                        seen.misses > 0 AND sum.misses >= $6
                        AND (seen.has_sold OR current.phantom_until IS NULL
                             OR current.phantom_until <= clock_timestamp()) AS is_phantom) AS next,
             clock_timestamp() AS now
        WHERE old.id = seen.offer_id
        """,
        *columns(observations, "offer_id", "has_sold", "misses"),
        first_seconds,
        longest_seconds,
        misses_max,
    )


async def list_phantom_shares(tx: Tx) -> list[PhantomShare]:
    """Return for each provider how much of what was tried in the last day is a phantom."""
    return await many(
        tx,
        PhantomShare,
        """
        SELECT provider_id, count(*) AS tried, count(*) FILTER (WHERE phantom_until > clock_timestamp()) AS phantoms
        FROM offers WHERE tried_at > clock_timestamp() - interval '1 day' GROUP BY provider_id ORDER BY provider_id
        """,
    )
