"""Statements on rentals: for how long numbers are rented, what that costs, and the reading of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from numberdesk.base.db import Tx, columns, many, one, run, value
from numberdesk.catalogue.model import CountryCode, ListedOffer, RentalOffer
from numberdesk.providers.model import ProviderId


@dataclass(frozen=True, slots=True)
class RentalTurn:
    """The reading of a provider's rentals, begun here. `knows_countries` is false when they are to be asked for."""

    provider_id: ProviderId
    knows_countries: bool


@dataclass(frozen=True, slots=True)
class RentalList:
    """One list that is to be read: a country for so many hours."""

    country: CountryCode
    hours: int


@dataclass(frozen=True, slots=True)
class KnownRentals:
    """What is known of one list: how many offers have stock, and whether this digest was refused long enough ago."""

    in_stock: int
    was_refused_before: bool


async def get_rental_version(tx: Tx) -> int:
    """Return the number of the last change."""
    found: int = await value(tx, "SELECT version FROM rental_version")
    return found


async def take_rental_version(tx: Tx) -> int:
    """Count one more change and return its number. First in its transaction: so numbers are committed in order."""
    found: int = await value(tx, "UPDATE rental_version SET version = version + 1 RETURNING version")
    return found


async def return_rental_version(tx: Tx) -> None:
    """Give the number back in whose name nothing was written: nobody has seen it before the transaction ends."""
    await run(tx, "UPDATE rental_version SET version = version - 1")


async def list_rental_hours(tx: Tx) -> list[int]:
    """Return the hours for which staff let numbers be rented, in order."""
    return sorted(await value(tx, "SELECT hours FROM rental_version"))


async def set_rental_hours(tx: Tx, hours: Sequence[int]) -> None:
    """Make the hours these, which is a change."""
    await run(tx, "UPDATE rental_version SET version = version + 1, hours = $1::smallint[]", hours)


async def forget_rental_countries(tx: Tx) -> None:
    """Have every provider asked for its countries at once, so that its lists fit the hours."""
    await run(tx, "UPDATE rental_readings SET countries_at = NULL, due_at = clock_timestamp()")


async def list_rental_offers(tx: Tx, *, since: int, after: int, limit: int) -> list[RentalOffer]:
    """Return the next offers that changed after a version, by id, those without stock too.

    Outside of the table their ids are below 0: so none is also the id of an offer of one code, and what purchases say
    of the one never falls on the other.
    """
    return await many(
        tx,
        RentalOffer,
        """
        SELECT -id AS id, service, country, provider_id, operator, hours, cost_paise, stock
        FROM rental_offers WHERE version > $1 AND id > $2 ORDER BY rental_offers.id LIMIT $3
        """,
        since,
        after,
        limit,
    )


async def set_rental_offers(
    tx: Tx,
    provider_id: ProviderId,
    country: CountryCode,
    hours: int,
    offers: Sequence[ListedOffer],
    *,
    version: int,
) -> int:
    """Make one list of a provider's rentals what it says now; what it no longer names stays, without stock.

    Returns:
        How many rows it touched.
    """
    found: int = await value(
        tx,
        """
        WITH listed AS MATERIALIZED (
            SELECT * FROM unnest($4::text[], $5::text[], $6::bigint[], $7::int[])
                          AS list (service, operator, cost_paise, stock)
        ), gone AS (
            UPDATE rental_offers AS old
            SET stock = 0, observed_at = clock_timestamp(), version = $8
            WHERE provider_id = $1 AND country = $2 AND hours = $3 AND stock > 0
              AND NOT EXISTS (SELECT FROM listed AS new
                              WHERE new.service = old.service AND new.operator = old.operator)
            RETURNING 1
        ), changed AS (
            UPDATE rental_offers AS old
            SET cost_paise = new.cost_paise, stock = new.stock, observed_at = clock_timestamp(), version = $8
            FROM listed AS new
            WHERE old.provider_id = $1 AND old.country = $2 AND old.hours = $3 AND new.service = old.service
              AND new.operator = old.operator
              AND (old.cost_paise, old.stock) IS DISTINCT FROM (new.cost_paise, new.stock)
            RETURNING 1
        ), added AS (
            INSERT INTO rental_offers (service, country, provider_id, operator, hours, cost_paise, stock, version)
            SELECT service, $2, $1, operator, $3, cost_paise, stock, $8
            FROM listed AS new
            WHERE NOT EXISTS (SELECT FROM rental_offers AS old
                              WHERE old.provider_id = $1 AND old.country = $2 AND old.hours = $3
                                AND new.service = old.service AND new.operator = old.operator)
            RETURNING 1
        )
        SELECT (SELECT count(*) FROM added) + (SELECT count(*) FROM changed) + (SELECT count(*) FROM gone)
        """,
        provider_id,
        country,
        hours,
        *columns(offers, "service", "operator", "cost_paise", "stock"),
        version,
    )
    return found


async def delete_gone_rentals(tx: Tx, *, keep_days: int, limit: int) -> int:
    """Forget rentals that have not been listed for so long. Shelves keep them, without stock, until they start anew."""
    return await run(
        tx,
        """
        DELETE FROM rental_offers WHERE id = ANY(ARRAY(
            SELECT id FROM rental_offers
            WHERE stock = 0 AND observed_at < (SELECT clock_timestamp() - make_interval(days => $1)) LIMIT $2))
        """,
        keep_days,
        limit,
    )


# Whose turn it is.


async def lease_rental_turns(
    tx: Tx, among: Sequence[ProviderId], *, lease_seconds: int, countries_seconds: int, limit: int
) -> list[RentalTurn]:
    """Begin to read the rentals of providers that are on and due; nobody else does until the lease is over.

    Args:
        among: providers that have rentals.
    """
    await run(
        tx,
        """
        INSERT INTO rental_readings (provider_id)
        SELECT id FROM providers WHERE id = ANY($1::smallint[]) AND is_on
        ON CONFLICT DO NOTHING
        """,
        among,
    )
    return await many(
        tx,
        RentalTurn,
        """
        UPDATE rental_readings AS reading SET leased_until = clock_timestamp() + make_interval(secs => $2)
        WHERE provider_id IN (
            SELECT provider_id FROM rental_readings JOIN providers ON providers.id = provider_id
            WHERE provider_id = ANY($1::smallint[]) AND is_on AND due_at <= clock_timestamp()
              AND coalesce(leased_until <= clock_timestamp(), true)
            ORDER BY due_at LIMIT $4
            FOR UPDATE OF rental_readings SKIP LOCKED)
        RETURNING provider_id,
                  coalesce(countries_at > clock_timestamp() - make_interval(secs => $3), false) AS knows_countries
        """,
        among,
        lease_seconds,
        countries_seconds,
        limit,
    )


async def set_rental_countries(
    tx: Tx, provider_id: ProviderId, countries: Sequence[CountryCode], hours: Sequence[int]
) -> None:
    """Make the lists of a provider one for each of these countries and times; those that are gone are forgotten."""
    await run(
        tx,
        "DELETE FROM rental_lists WHERE provider_id = $1 AND NOT (country = ANY($2::int[]) AND hours = ANY($3::int[]))",
        provider_id,
        countries,
        hours,
    )
    await run(
        tx,
        """
        INSERT INTO rental_lists (provider_id, country, hours)
        SELECT $1, country, hours FROM unnest($2::int[]) AS country CROSS JOIN unnest($3::int[]) AS hours
        ON CONFLICT DO NOTHING
        """,
        provider_id,
        countries,
        hours,
    )
    await run(tx, "UPDATE rental_readings SET countries_at = clock_timestamp() WHERE provider_id = $1", provider_id)


async def list_rented_countries(tx: Tx, provider_id: ProviderId) -> list[CountryCode]:
    """Return the countries in which we know something of a provider that is in stock."""
    query = """
        SELECT coalesce(array_agg(DISTINCT country), '{}') FROM rental_offers WHERE provider_id = $1 AND stock > 0
    """
    return [CountryCode(country) for country in await value(tx, query, provider_id)]


async def set_gone_rentals(
    tx: Tx, provider_id: ProviderId, countries: Sequence[CountryCode], hours: Sequence[int], *, version: int
) -> int:
    """Take the stock of rentals in other countries and for other times than these."""
    return await run(
        tx,
        """
        UPDATE rental_offers SET stock = 0, observed_at = clock_timestamp(), version = $4
        WHERE provider_id = $1 AND stock > 0 AND NOT (country = ANY($2::int[]) AND hours = ANY($3::int[]))
        """,
        provider_id,
        countries,
        hours,
        version,
    )


async def list_due_rentals(tx: Tx, provider_id: ProviderId, *, every_seconds: int, limit: int) -> list[RentalList]:
    """Return the lists of a provider that are to be read now, the longest unread ones first."""
    return await many(
        tx,
        RentalList,
        """
        SELECT country, hours FROM rental_lists
        WHERE provider_id = $1
          AND coalesce(read_at <= (SELECT clock_timestamp() - make_interval(secs => $2)), true)
        ORDER BY read_at NULLS FIRST, country, hours LIMIT $3
        """,
        provider_id,
        every_seconds,
        limit,
    )


async def set_rental_read(
    tx: Tx, provider_id: ProviderId, country: CountryCode, hours: int, *, short_list: str | None
) -> None:
    """Remember that a list was read, and of one that was not believed its digest and since when it is like that."""
    await run(
        tx,
        """
        UPDATE rental_lists
        SET read_at = clock_timestamp(), short_list = $4,
            short_at = CASE WHEN $4::text IS NULL THEN NULL WHEN short_list = $4 THEN short_at
                            ELSE clock_timestamp() END
        WHERE provider_id = $1 AND country = $2 AND hours = $3
        """,
        provider_id,
        country,
        hours,
        short_list,
    )


async def set_rental_tried(tx: Tx, provider_id: ProviderId, country: CountryCode, hours: int) -> None:
    """Remember that a list was asked for without an answer, so that others come first the next time."""
    await run(
        tx,
        """
        UPDATE rental_lists SET read_at = clock_timestamp() WHERE provider_id = $1 AND country = $2 AND hours = $3
        """,
        provider_id,
        country,
        hours,
    )


async def find_known_rentals(
    tx: Tx, provider_id: ProviderId, country: CountryCode, hours: int, *, short_list: str, seconds: int
) -> KnownRentals:
    """Return what is known of one list of a provider."""
    return await one(
        tx,
        KnownRentals,
        """
        SELECT (SELECT count(*) FROM rental_offers
                WHERE provider_id = $1 AND country = $2 AND hours = $3 AND stock > 0) AS in_stock,
               EXISTS (SELECT FROM rental_lists
                       WHERE provider_id = $1 AND country = $2 AND hours = $3 AND short_list = $4
                         AND short_at <= clock_timestamp() - make_interval(secs => $5)) AS was_refused_before
        """,
        provider_id,
        country,
        hours,
        short_list,
        seconds,
    )


async def end_rental_turn(
    tx: Tx, provider_id: ProviderId, *, has_failed: bool, wait_seconds: int, retry_seconds: int, retry_max_seconds: int
) -> None:
    """Give the turn back; after failures in a row the next one comes later each time."""
    await run(
        tx,
        """
        UPDATE rental_readings
        SET leased_until = NULL, failures = CASE WHEN $2 THEN least(failures + 1, 1000) ELSE 0 END,
            due_at = clock_timestamp() + make_interval(
                secs => CASE WHEN $2 THEN least($5::int, $4::int * (1 << least(failures, 10))) ELSE $3::int END)
        WHERE provider_id = $1
        """,
        provider_id,
        has_failed,
        wait_seconds,
        retry_seconds,
        retry_max_seconds,
    )
