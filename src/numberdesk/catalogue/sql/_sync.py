"""Statements of the syncs: whose turn it is, how far it is, the offers they write, and words that nobody knows."""

from collections.abc import Sequence
from dataclasses import dataclass

from numberdesk.base.db import Tx, columns, many, maybe, run, value
from numberdesk.catalogue.model import ListedOffer, Offer, OfferId, Sync, SyncReport, SyncStep, Turn, UnmappedWord
from numberdesk.providers.model import ProviderId, UpstreamName, WordKind

TURN_LOCK = 0x0FFE3
"""The advisory lock of whoever decides which provider is synced next."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a provider now asks for an offer that it had before, and its stock."""

    offer_id: OfferId
    cost_paise: int
    stock: int


async def lock_turns(tx: Tx) -> None:
    """Wait until nobody else decides whose turn it is."""
    await run(tx, "SELECT pg_advisory_xact_lock($1)", TURN_LOCK)


async def set_cut_off(tx: Tx, *, detail: str) -> None:
    """running -> failed, for syncs whose process is gone."""
    await run(
        tx,
        """
        UPDATE catalogue_syncs SET state = 'failed', detail = $1, ended_at = clock_timestamp()
        WHERE state = 'running' AND leased_until <= clock_timestamp()
        """,
        detail,
    )


async def lease_due(
    tx: Tx, among: Sequence[ProviderId], *, lease_seconds: int, retry_seconds: int, retry_max_seconds: int, limit: int
) -> list[Turn]:
    """Begin syncs of providers that are on and due, or that staff ask for; failures in a row double the pause."""
    return await many(
        tx,
        Turn,
        """
        WITH asked AS (
            DELETE FROM catalogue_sync_asks
            WHERE provider_id IN (
                SELECT provider_id FROM catalogue_sync_asks AS ask
                WHERE provider_id = ANY($1::smallint[])
                  AND NOT EXISTS (SELECT FROM catalogue_syncs AS sync
                                  WHERE sync.provider_id = ask.provider_id AND state = 'running')
                ORDER BY asked_at LIMIT $5)
            RETURNING provider_id, is_forced
        ), tried AS (
            SELECT provider_id, count(*) AS failures, max(ended_at) AS failed_at
            FROM catalogue_syncs AS sync
            WHERE state = 'failed'
              AND id > coalesce((SELECT max(id) FROM catalogue_syncs AS done
                                 WHERE done.provider_id = sync.provider_id AND state = 'done'), 0)
            GROUP BY provider_id
        ), due AS (
            SELECT id AS provider_id, coalesce(is_forced, false) AS is_forced
            FROM providers
                 LEFT JOIN asked ON asked.provider_id = id
                 LEFT JOIN tried ON tried.provider_id = id
            WHERE id = ANY($1::smallint[]) AND kind <> 'sandbox'
              -- One that ends just now would be done again: it is seen running here, and not yet as done.
              AND NOT EXISTS (SELECT FROM catalogue_syncs AS sync
                              WHERE sync.provider_id = providers.id AND sync.state = 'running')
              AND (asked.provider_id IS NOT NULL
                   OR (is_on
                       AND coalesce(
                               synced_at <= clock_timestamp() - make_interval(secs => sync_every_ms / 1000.0), true)
                       AND coalesce(failed_at <= clock_timestamp() - make_interval(
                               secs => least($4::int, $3::int * (1 << least(failures - 1, 20)::int))), true)))
            ORDER BY asked.provider_id IS NULL, synced_at NULLS FIRST
            LIMIT $5
        )
        INSERT INTO catalogue_syncs (provider_id, is_forced, leased_until)
        SELECT provider_id, is_forced, clock_timestamp() + make_interval(secs => $2) FROM due
        ON CONFLICT (provider_id) WHERE state = 'running' DO NOTHING
        RETURNING id AS sync_id, provider_id, is_forced
        """,
        among,
        lease_seconds,
        retry_seconds,
        retry_max_seconds,
        limit,
    )


async def lease_one(tx: Tx, provider_id: ProviderId, *, is_forced: bool, lease_seconds: int) -> Turn | None:
    """Begin a sync of one provider now; None while another one runs. What staff asked for is done with it."""
    await run(tx, "DELETE FROM catalogue_sync_asks WHERE provider_id = $1", provider_id)
    return await maybe(
        tx,
        Turn,
        """
        INSERT INTO catalogue_syncs (provider_id, is_forced, leased_until)
        VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3))
        ON CONFLICT (provider_id) WHERE state = 'running' DO NOTHING
        RETURNING id AS sync_id, provider_id, is_forced
        """,
        provider_id,
        is_forced,
        lease_seconds,
    )


async def upsert_ask(tx: Tx, provider_id: ProviderId, *, is_forced: bool) -> None:
    """Have the next pass sync a provider; asked twice, it is done once."""
    await run(
        tx,
        """
        INSERT INTO catalogue_sync_asks AS old (provider_id, is_forced) VALUES ($1, $2)
        ON CONFLICT (provider_id) DO UPDATE SET is_forced = old.is_forced OR excluded.is_forced
        """,
        provider_id,
        is_forced,
    )


async def set_step(tx: Tx, turn: Turn, step: SyncStep, *, done: int, total: int, lease_seconds: int) -> bool:
    """Tell how far a sync is and keep its lease; False if it is no longer running."""
    statement = """
        UPDATE catalogue_syncs
        SET step = $2, done = $3, total = $4, leased_until = clock_timestamp() + make_interval(secs => $5)
        WHERE id = $1 AND state = 'running'
        """
    return await run(tx, statement, turn.sync_id, step, done, total, lease_seconds) == 1


async def set_done(tx: Tx, turn: Turn, report: SyncReport) -> bool:
    """running -> done; False if it is no longer running."""
    statement = """
        UPDATE catalogue_syncs
        SET state = 'done', step = 'done', done = total, added = $2, changed = $3, gone = $4, unmapped_services = $5,
            unmapped_countries = $6, unusable = $7, ended_at = clock_timestamp()
        WHERE id = $1 AND state = 'running'
        """
    return (
        await run(
            tx,
            statement,
            turn.sync_id,
            report.added,
            report.changed,
            report.gone,
            len(report.unmapped_services),
            len(report.unmapped_countries),
            report.unusable,
        )
        == 1
    )


async def set_failed(tx: Tx, turn: Turn, *, detail: str, short_list: str | None) -> bool:
    """running -> failed; False if it is no longer running."""
    statement = """
        UPDATE catalogue_syncs SET state = 'failed', detail = $2, short_list = $3, ended_at = clock_timestamp()
        WHERE id = $1 AND state = 'running'
        """
    return await run(tx, statement, turn.sync_id, detail, short_list) == 1


async def count_failures(tx: Tx, provider_id: ProviderId) -> int:
    """Return how many syncs of a provider failed since one was done."""
    found: int = await value(
        tx,
        """
        SELECT count(*) FROM catalogue_syncs
        WHERE provider_id = $1 AND state = 'failed'
          AND id > coalesce((SELECT max(id) FROM catalogue_syncs WHERE provider_id = $1 AND state = 'done'), 0)
        """,
        provider_id,
    )
    return found


async def was_seen_before(tx: Tx, provider_id: ProviderId, short_list: str, *, seconds: int) -> bool:
    """Whether this very list was refused so long ago, and no other list was taken over since."""
    return bool(
        await value(
            tx,
            """
            SELECT EXISTS (
                SELECT FROM catalogue_syncs
                WHERE provider_id = $1 AND short_list = $2
                  AND started_at <= clock_timestamp() - make_interval(secs => $3)
                  AND id > coalesce((SELECT max(id) FROM catalogue_syncs WHERE provider_id = $1 AND state = 'done'), 0))
            """,
            provider_id,
            short_list,
            seconds,
        )
    )


async def delete_old_syncs(tx: Tx, provider_id: ProviderId, *, keep: int) -> None:
    """Keep the newest syncs of a provider."""
    await run(
        tx,
        """
        DELETE FROM catalogue_syncs
        WHERE provider_id = $1
          AND id <= (SELECT id FROM catalogue_syncs WHERE provider_id = $1 ORDER BY id DESC OFFSET $2 LIMIT 1)
        """,
        provider_id,
        keep,
    )


async def list_syncs(tx: Tx, provider_id: ProviderId, *, limit: int) -> list[Sync]:
    """Return syncs of a provider, the newest first."""
    query = "SELECT * FROM catalogue_syncs WHERE provider_id = $1 ORDER BY id DESC LIMIT $2"
    return await many(tx, Sync, query, provider_id, limit)


async def list_provider_offers(tx: Tx, provider_id: ProviderId, *, after: int, limit: int) -> list[Offer]:
    """The next offers of a provider by id, those without stock too."""
    query = "SELECT * FROM offers WHERE provider_id = $1 AND id > $2 ORDER BY id LIMIT $3"
    return await many(tx, Offer, query, provider_id, after, limit)


async def update_offers(tx: Tx, changes: Sequence[Change]) -> None:
    """Write other costs and stocks; `observed_at` is when they were first seen like this."""
    await run(
        tx,
        """
        UPDATE offers AS old
        SET cost_paise = new.cost_paise, stock = new.stock, observed_at = clock_timestamp()
        FROM unnest($1::bigint[], $2::bigint[], $3::int[]) AS new (id, cost_paise, stock)
        WHERE old.id = new.id
        """,
        *columns(changes, "offer_id", "cost_paise", "stock"),
    )


async def insert_offers(tx: Tx, provider_id: ProviderId, offers: Sequence[ListedOffer]) -> None:
    """Write offers that the provider did not have before."""
    await run(
        tx,
        """
        INSERT INTO offers AS old (service, country, provider_id, operator, cost_paise, stock)
        SELECT service, country, $1, operator, cost_paise, stock
        FROM unnest($2::text[], $3::int[], $4::text[], $5::bigint[], $6::int[])
             AS new (service, country, operator, cost_paise, stock)
        ON CONFLICT ON CONSTRAINT offers_one DO UPDATE
        SET cost_paise = excluded.cost_paise, stock = excluded.stock, observed_at = clock_timestamp()
        """,
        provider_id,
        *columns(offers, "service", "country", "operator", "cost_paise", "stock"),
    )


async def set_gone(tx: Tx, offer_ids: Sequence[OfferId]) -> None:
    """Take the stock of offers that are no longer listed."""
    await run(
        tx,
        "UPDATE offers SET stock = 0, observed_at = clock_timestamp() WHERE id = ANY($1::bigint[]) AND stock > 0",
        offer_ids,
    )


async def set_unmapped_services(tx: Tx, provider_id: ProviderId, names: Sequence[UpstreamName]) -> int:
    """Make the provider's words for services that mean nothing this list; returns how many came, went or changed."""
    gone = await run(
        tx,
        "DELETE FROM unmapped_services WHERE provider_id = $1 AND upstream_code <> ALL ($2::text[])",
        provider_id,
        [item.word for item in names],
    )
    return gone + await run(
        tx,
        """
        INSERT INTO unmapped_services AS old (provider_id, upstream_code, name)
        SELECT $1, word, name FROM unnest($2::text[], $3::text[]) AS new (word, name)
        ON CONFLICT (provider_id, upstream_code) DO UPDATE SET name = excluded.name
        WHERE old.name <> excluded.name AND excluded.name <> ''
        """,
        provider_id,
        *columns(names, "word", "name"),
    )


async def set_unmapped_countries(tx: Tx, provider_id: ProviderId, names: Sequence[UpstreamName]) -> None:
    """Make the provider's words for countries that mean nothing this list."""
    await run(
        tx,
        "DELETE FROM unmapped_countries WHERE provider_id = $1 AND word <> ALL ($2::text[])",
        provider_id,
        [item.word for item in names],
    )
    await run(
        tx,
        """
        INSERT INTO unmapped_countries AS old (provider_id, word, name)
        SELECT $1, word, name FROM unnest($2::text[], $3::text[]) AS new (word, name)
        ON CONFLICT (provider_id, word) DO UPDATE SET name = excluded.name
        WHERE old.name <> excluded.name AND excluded.name <> ''
        """,
        provider_id,
        *columns(names, "word", "name"),
    )


async def list_unmapped_words(tx: Tx, provider_id: ProviderId) -> list[UnmappedWord]:
    """Return a provider's words that mean nothing to us, countries first, then by word."""
    return await many(
        tx,
        UnmappedWord,
        """
        SELECT 'country' AS kind, word, name, seen_at FROM unmapped_countries WHERE provider_id = $1
        UNION ALL
        SELECT 'service', upstream_code, name, seen_at FROM unmapped_services WHERE provider_id = $1
        ORDER BY kind, word
        """,
        provider_id,
    )


async def delete_unmapped(tx: Tx, provider_id: ProviderId, kind: WordKind, words: Sequence[str]) -> None:
    """Forget words that mean something now."""
    if kind == "service":
        statement = "DELETE FROM unmapped_services WHERE provider_id = $1 AND upstream_code = ANY($2::text[])"
    else:
        statement = "DELETE FROM unmapped_countries WHERE provider_id = $1 AND word = ANY($2::text[])"
    await run(tx, statement, provider_id, words)
