"""Every statement on the table `providers`."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime

from numberdesk.base.db import Tx, columns, many, maybe, one, rows, run
from numberdesk.providers.model import Provider, ProviderId, WordKind, WordSource


@dataclass(frozen=True, slots=True)
class Stored(Provider):
    """A whole row: the provider with its sealed key and the instant of its last change."""

    api_key_sealed: bytes = field(repr=False)
    changed_at: datetime

    def provider(self) -> Provider:
        """Return what everybody may see of the row."""
        return Provider(*(getattr(self, name) for name in _SEEN))


_SEEN = tuple(item.name for item in fields(Provider))


@dataclass(frozen=True, slots=True)
class Word:
    """A row of `provider_words`; `code` is a country's number as text."""

    provider_id: ProviderId
    kind: WordKind
    word: str
    code: str
    source: WordSource


async def list_words(tx: Tx, provider_ids: Sequence[ProviderId]) -> list[Word]:
    """Return the words of some providers."""
    query = "SELECT * FROM provider_words WHERE provider_id = ANY($1::smallint[]) ORDER BY provider_id, kind, word"
    return await many(tx, Word, query, provider_ids)


async def upsert_words(tx: Tx, words: Sequence[Word]) -> None:
    """Write words; one that a person gave is replaced by a person's only, and another word of the same code goes."""
    given = columns(words, "provider_id", "kind", "word", "code", "source")
    await run(
        tx,
        """
        DELETE FROM provider_words AS old
        USING unnest($1::smallint[], $2::text[], $3::text[], $4::text[], $5::text[])
              AS new (provider_id, kind, word, code, source)
        WHERE (old.provider_id, old.kind, old.code) = (new.provider_id, new.kind, new.code) AND old.word <> new.word
          AND (old.source <> 'staff' OR new.source = 'staff')
        """,
        *given,
    )
    await run(
        tx,
        """
        INSERT INTO provider_words AS old (provider_id, kind, word, code, source)
        SELECT * FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[], $5::text[])
        ON CONFLICT (provider_id, kind, word) DO UPDATE SET code = excluded.code, source = excluded.source
        WHERE old.source <> 'staff' OR excluded.source = 'staff'
        """,
        *given,
    )


async def delete_words(tx: Tx, words: Sequence[Word]) -> None:
    """Delete words that still have this source."""
    await run(
        tx,
        """
        DELETE FROM provider_words AS old
        USING unnest($1::smallint[], $2::text[], $3::text[], $4::text[]) AS gone (provider_id, kind, word, source)
        WHERE (old.provider_id, old.kind, old.word, old.source)
              = (gone.provider_id, gone.kind, gone.word, gone.source)
        """,
        *columns(words, "provider_id", "kind", "word", "source"),
    )


async def set_changed(tx: Tx, *, provider_id: ProviderId) -> None:
    """Have every process read what belongs to a provider again."""
    await run(tx, "UPDATE providers SET changed_at = clock_timestamp() WHERE id = $1", provider_id)


async def list_all(tx: Tx, *, limit: int) -> list[Stored]:
    """Return the providers by id."""
    return await many(tx, Stored, "SELECT * FROM providers ORDER BY id LIMIT $1", limit)


async def find_by_name(tx: Tx, *, name: str) -> Provider | None:
    """Return the provider of that name, or None."""
    return await maybe(tx, Provider, "SELECT * FROM providers WHERE name = $1", name)


async def lock(tx: Tx, *, provider_id: ProviderId) -> Provider | None:
    """Return a provider that nobody else changes until the transaction ends, or None."""
    return await maybe(tx, Provider, "SELECT * FROM providers WHERE id = $1 FOR NO KEY UPDATE", provider_id)


async def insert(tx: Tx, *, name: str, kind: str, dialect: str, url: str, api_key_sealed: bytes) -> Provider | None:
    """Insert a provider with the table's defaults; None when the name is taken."""
    return await maybe(
        tx,
        Provider,
        """
        INSERT INTO providers (name, kind, dialect, url, api_key_sealed) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT ON CONSTRAINT providers_name DO NOTHING
        RETURNING *
        """,
        name,
        kind,
        dialect,
        url,
        api_key_sealed,
    )


async def set_options(tx: Tx, *, provider: Provider) -> Provider:
    """Write all that an operator may change, except the key."""
    return await one(
        tx,
        Provider,
        """
        UPDATE providers
        SET url = $2, is_on = $3, paise_per_unit = $4, parallel_max = $5, calls_per_second = $6, deadline_ms = $7,
            poll_ms = $8, cancel_after_ms = $9, lifetime_ms = $10, extend_paise_per_minute = $11,
            dialect = $12, weight_percent = $13, open_max = $14, spend_max_paise = $15, balance_alert_paise = $16,
            sync_every_ms = $17, agent_pay_paise = $18, changed_at = clock_timestamp()
        WHERE id = $1
        RETURNING *
        """,
        provider.id,
        provider.url,
        provider.is_on,
        provider.paise_per_unit,
        provider.parallel_max,
        provider.calls_per_second,
        provider.deadline_ms,
        provider.poll_ms,
        provider.cancel_after_ms,
        provider.lifetime_ms,
        provider.extend_paise_per_minute,
        provider.dialect,
        provider.weight_percent,
        provider.open_max,
        provider.spend_max_paise,
        provider.balance_alert_paise,
        provider.sync_every_ms,
        provider.agent_pay_paise,
    )


async def set_api_key(tx: Tx, *, provider_id: ProviderId, api_key_sealed: bytes) -> bool:
    """Replace the key; False if there is no such provider, or it is the sandbox, which has none."""
    statement = """
        UPDATE providers SET api_key_sealed = $2, changed_at = clock_timestamp() WHERE id = $1 AND kind <> 'sandbox'
        """
    return await run(tx, statement, provider_id, api_key_sealed) == 1


async def set_synced(tx: Tx, *, provider_id: ProviderId) -> None:
    """Write down that the provider's offers were read just now."""
    await run(tx, "UPDATE providers SET synced_at = clock_timestamp() WHERE id = $1", provider_id)


async def lease_watch(tx: Tx, *, provider_id: ProviderId, owner: str, seconds: float) -> bool:
    """Take or renew the watch over a provider; False while another owner has it."""
    statement = """
        UPDATE providers
        SET watched_by = $2, watched_until = clock_timestamp() + make_interval(secs => $3)
        WHERE id = $1 AND (watched_by = $2 OR watched_until IS NULL OR watched_until <= clock_timestamp())
        """
    return await run(tx, statement, provider_id, owner, seconds) == 1


async def list_sealed_keys(tx: Tx) -> list[tuple[ProviderId, bytes]]:
    """Return every provider's sealed key, and lock the rows; the sandbox has none."""
    query = "SELECT id, api_key_sealed FROM providers WHERE kind <> 'sandbox' ORDER BY id FOR NO KEY UPDATE"
    found = await rows(tx, query)
    return [(ProviderId(row[0]), row[1]) for row in found]
