"""Every statement on the tables of the catalogue."""

from collections.abc import Sequence

from numberdesk.base.db import Tx, columns, many, maybe, one, rows, run, value
from numberdesk.catalogue.model import (
    BlockedCategory,
    Category,
    Country,
    CountryCode,
    Mark,
    Offer,
    PriceRule,
    Server,
    Service,
)
from numberdesk.providers.model import ProviderId

WORDS_LOCK = 0x0FFE2
"""First half of the advisory lock on a provider's words; the provider is the second."""


async def set_snapshot(tx: Tx) -> None:
    """Let every statement of this transaction see one moment; must come first."""
    await run(tx, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


async def get_mark(tx: Tx) -> Mark:
    """Read the mark of now.

    Every provider's instant counts, not the latest only: changes may commit in another order than they were made.
    """
    return await one(
        tx,
        Mark,
        """
        SELECT version,
               ARRAY(SELECT changed_at FROM providers ORDER BY id) AS providers_changed_at
        FROM catalogue_version
        """,
    )


async def set_version(tx: Tx) -> None:
    """Count one more change; last in its transaction, because every other writer waits for it."""
    await run(tx, "UPDATE catalogue_version SET version = version + 1")


async def list_services(tx: Tx) -> list[Service]:
    """All services that a provider can offer, by code; the scripted ones are not among them."""
    return await many(tx, Service, "SELECT * FROM services WHERE category <> 'sandbox' ORDER BY code")


async def list_scripted(tx: Tx) -> list[Service]:
    """The services of the sandbox, by code."""
    return await many(tx, Service, "SELECT * FROM services WHERE category = 'sandbox' ORDER BY code")


async def list_countries(tx: Tx) -> list[Country]:
    """All countries, by number."""
    return await many(tx, Country, "SELECT * FROM countries ORDER BY code")


async def list_blocked_categories(tx: Tx) -> list[BlockedCategory]:
    """All categories that are or were blocked."""
    return await many(tx, BlockedCategory, "SELECT * FROM blocked_categories ORDER BY category")


async def list_servers(tx: Tx) -> list[Server]:
    """All providers, as far as the catalogue cares."""
    return await many(
        tx,
        Server,
        """
        SELECT id, name, is_on, lifetime_ms, cancel_after_ms, extend_paise_per_minute, weight_percent, open_max,
               kind, dialect
        FROM providers
        ORDER BY id
        """,
    )


async def list_offers(tx: Tx, *, after: int, limit: int) -> list[Offer]:
    """The next offers by id, those without stock too."""
    return await many(tx, Offer, "SELECT * FROM offers WHERE id > $1 ORDER BY id LIMIT $2", after, limit)


async def list_price_rules(tx: Tx) -> list[PriceRule]:
    """All price rules."""
    return await many(tx, PriceRule, "SELECT * FROM price_rules")


async def list_unmapped_codes(tx: Tx) -> list[str]:
    """The service codes that providers sell and our list does not know."""
    return [code for (code,) in await rows(tx, "SELECT DISTINCT upstream_code FROM unmapped_services")]


async def upsert_countries(tx: Tx, countries: Sequence[Country]) -> int:
    """Write what the list says and leave `is_on` of known rows; returns how many rows are new or different."""
    return await run(
        tx,
        """
        INSERT INTO countries AS old (code, iso, name, calling_code, iso_default, is_on)
        SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::bool[], $6::bool[])
        ON CONFLICT (code) DO UPDATE
        SET iso = excluded.iso, name = excluded.name,
            calling_code = excluded.calling_code, iso_default = excluded.iso_default
        WHERE (old.iso, old.name, old.calling_code, old.iso_default)
              IS DISTINCT FROM (excluded.iso, excluded.name, excluded.calling_code, excluded.iso_default)
        """,
        *columns(countries, "code", "iso", "name", "calling_code", "iso_default", "is_on"),
    )


async def upsert_services(tx: Tx, services: Sequence[Service]) -> int:
    """Write what the list says and leave `is_on` of known rows; returns how many rows are new or different."""
    return await run(
        tx,
        """
        INSERT INTO services AS old (code, name, category, is_on)
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bool[])
        ON CONFLICT (code) DO UPDATE
        SET name = excluded.name, category = excluded.category
        WHERE (old.name, old.category) IS DISTINCT FROM (excluded.name, excluded.category) AND NOT old.is_ours
        """,
        *columns(services, "code", "name", "category", "is_on"),
    )


async def upsert_blocked_categories(tx: Tx, categories: Sequence[BlockedCategory]) -> int:
    """Write what the list says and leave `is_on` of known rows; returns how many rows are new or different."""
    return await run(
        tx,
        """
        INSERT INTO blocked_categories AS old (category, reason, is_on)
        SELECT * FROM unnest($1::text[], $2::text[], $3::bool[])
        ON CONFLICT (category) DO UPDATE
        SET reason = excluded.reason
        WHERE old.reason IS DISTINCT FROM excluded.reason
        """,
        *columns(categories, "category", "reason", "is_on"),
    )


async def delete_mapped(tx: Tx) -> int:
    """Forget unmapped codes that the list of services now knows."""
    return await run(tx, "DELETE FROM unmapped_services USING services WHERE code = upstream_code")


async def lock_provider(tx: Tx, provider_id: ProviderId) -> bool:
    """Wait until nobody else writes words of this provider; False if there is no such provider."""
    query = "SELECT pg_advisory_xact_lock($1::int, id::int) FROM providers WHERE id = $2"
    return bool(await rows(tx, query, WORDS_LOCK, provider_id))


async def list_service_codes(tx: Tx) -> list[str]:
    """The codes of all services that a provider can offer; the scripted ones are not among them."""
    return [code for (code,) in await rows(tx, "SELECT code FROM services WHERE category <> 'sandbox'")]


async def delete_gone_offers(tx: Tx, *, keep_days: int, limit: int) -> int:
    """Forget offers that have not been listed for so long; orders name what they bought themselves."""
    return await run(
        tx,
        """
        DELETE FROM offers WHERE id = ANY(ARRAY(
            SELECT id FROM offers
            WHERE stock = 0 AND observed_at < (SELECT clock_timestamp() - make_interval(days => $1)) LIMIT $2))
        """,
        keep_days,
        limit,
    )


async def find_service(tx: Tx, code: str) -> Service | None:
    """The service of this code."""
    return await maybe(tx, Service, "SELECT * FROM services WHERE code = $1", code)


async def find_country(tx: Tx, name: str) -> Country | None:
    """The country of this number or ISO code in any case."""
    query = "SELECT * FROM countries WHERE code::text = $1 OR (iso = upper($1) AND iso_default)"
    return await maybe(tx, Country, query, name)


async def find_server(tx: Tx, name: str) -> Server | None:
    """The provider of this number or name; the number comes first."""
    query = "SELECT * FROM providers WHERE id::text = $1 OR name = $1 ORDER BY id::text = $1 DESC LIMIT 1"
    return await maybe(tx, Server, query, name)


async def has_account(tx: Tx, account_id: int) -> bool:
    """Whether there is such an account."""
    return bool(await value(tx, "SELECT EXISTS (SELECT FROM accounts WHERE id = $1)", account_id))


async def upsert_price_rule(tx: Tx, rule: PriceRule) -> None:
    """Write the one rule for this combination."""
    await run(
        tx,
        """
        INSERT INTO price_rules (account_id, service, country, provider_id, margin_basis_points, floor_paise)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT ON CONSTRAINT price_rules_one DO UPDATE
        SET margin_basis_points = excluded.margin_basis_points, floor_paise = excluded.floor_paise
        """,
        rule.account_id,
        rule.service,
        rule.country,
        rule.provider_id,
        rule.margin_basis_points,
        rule.floor_paise,
    )


async def lock_service(tx: Tx, code: str) -> Service | None:
    """The service of this code, which nobody else changes until the transaction ends."""
    return await maybe(tx, Service, "SELECT * FROM services WHERE code = $1 FOR NO KEY UPDATE", code)


async def has_category(tx: Tx, category: str) -> bool:
    """Whether a service is of this category, or it is or was blocked."""
    query = """
        SELECT EXISTS (SELECT FROM services WHERE category = $1)
            OR EXISTS (SELECT FROM blocked_categories WHERE category = $1)
        """
    return bool(await value(tx, query, category))


async def set_service_row(tx: Tx, service: Service, *, is_ours: bool) -> None:
    """Write a service; ours: its name and category are not taken from the list any more."""
    await run(
        tx,
        "UPDATE services SET is_on = $2, name = $3, category = $4, is_ours = is_ours OR $5 WHERE code = $1",
        service.code,
        service.is_on,
        service.name,
        service.category,
        is_ours,
    )


async def list_known_accounts(tx: Tx, account_ids: Sequence[int]) -> set[int]:
    """Which of these accounts there are."""
    query = "SELECT id FROM accounts WHERE id = ANY($1::bigint[])"
    return {account_id for (account_id,) in await rows(tx, query, account_ids)}


async def lock_price_rules(tx: Tx) -> None:
    """Let nobody else change price rules until the end of the transaction."""
    await run(tx, "LOCK TABLE price_rules IN SHARE ROW EXCLUSIVE MODE")


async def delete_price_rule(tx: Tx, rule: PriceRule) -> None:
    """Take away the one rule for this combination."""
    await run(
        tx,
        """
        DELETE FROM price_rules
        WHERE account_id IS NOT DISTINCT FROM $1 AND service IS NOT DISTINCT FROM $2
          AND country IS NOT DISTINCT FROM $3 AND provider_id IS NOT DISTINCT FROM $4
        """,
        rule.account_id,
        rule.service,
        rule.country,
        rule.provider_id,
    )


async def set_country(tx: Tx, code: CountryCode, *, is_on: bool) -> bool:
    """On <-> off; False if there is no such country."""
    return bool(await run(tx, "UPDATE countries SET is_on = $2 WHERE code = $1", code, is_on))


async def list_categories(tx: Tx) -> list[Category]:
    """All categories that a service is of, or that are or were blocked, by their words; not that of the sandbox."""
    return await many(
        tx,
        Category,
        """
        SELECT category AS word, coalesce(is_on, false) AS is_blocked, coalesce(reason, '') AS reason,
               coalesce(services, 0)::int AS services
        FROM (SELECT category, count(*) AS services FROM services GROUP BY category) AS used
        FULL JOIN blocked_categories USING (category)
        WHERE category <> 'sandbox'
        ORDER BY category
        """,
    )


async def lock_categories(tx: Tx) -> None:
    """Let nobody else block or unblock a category until the end of the transaction."""
    await run(tx, "LOCK TABLE blocked_categories IN SHARE ROW EXCLUSIVE MODE")


async def set_category(tx: Tx, category: Category) -> None:
    """Blocked <-> sold; the reason is for a category that had none."""
    await run(
        tx,
        """
        INSERT INTO blocked_categories (category, reason, is_on) VALUES ($1, $2, $3)
        ON CONFLICT (category) DO UPDATE SET is_on = excluded.is_on
        """,
        category.word,
        category.reason,
        category.is_blocked,
    )
