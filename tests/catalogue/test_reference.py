"""Loading the lists that come with the program."""

import pytest

from numberdesk.base.db import Database, rows, run, value
from numberdesk.catalogue import reference

pytestmark = pytest.mark.anyio


async def version(db: Database) -> int:
    async with db.statement() as tx:
        return int(await value(tx, "SELECT version FROM catalogue_version"))


async def test_a_repeat_changes_nothing_and_tells_nobody_to_read_again(db: Database) -> None:
    await reference.load(db)
    before = await version(db)
    again = await reference.load(db)
    assert again.changed == 0
    assert await version(db) == before


async def test_what_the_operator_switched_stays_when_the_lists_are_newer(db: Database) -> None:
    await reference.load(db)
    async with db.transaction() as tx:
        await run(tx, "UPDATE services SET is_on = false, name = 'An older name' WHERE code = 'tg'")
        await run(tx, "UPDATE countries SET is_on = false, name = 'An older name' WHERE code = 22")
        await run(tx, "UPDATE blocked_categories SET is_on = false, reason = 'Older.' WHERE category = 'bank'")
    assert (await reference.load(db)).changed == 3
    async with db.statement() as tx:
        assert await rows(tx, "SELECT name, is_on FROM services WHERE code = 'tg'") == [("Telegram", False)]
        assert await rows(tx, "SELECT name, is_on FROM countries WHERE code = 22") == [("India", False)]
        assert await rows(tx, "SELECT is_on FROM blocked_categories WHERE reason = 'Older.'") == []
        assert await value(tx, "SELECT is_on FROM blocked_categories WHERE category = 'bank'") is False


async def test_a_code_that_a_newer_list_knows_is_unmapped_no_more(db: Database) -> None:
    await reference.load(db)
    before = await version(db)
    async with db.transaction() as tx:
        await run(
            tx,
            """
            WITH provider AS (
                INSERT INTO providers (name, kind, url, api_key_sealed)
                VALUES ('alpha', 'sms-activate', 'http://127.0.0.1', '') RETURNING id
            )
            INSERT INTO unmapped_services (provider_id, upstream_code)
            SELECT id, unnest(ARRAY['tg', 'nobody-knows']) FROM provider
            """,
        )
    await reference.load(db)
    async with db.statement() as tx:
        assert await rows(tx, "SELECT upstream_code FROM unmapped_services") == [("nobody-knows",)]
    assert await version(db) > before


async def test_everything_in_the_files_arrives_and_is_on(db: Database) -> None:
    before = await version(db)
    loaded = await reference.load(db)
    assert loaded.changed == loaded.services + loaded.countries + loaded.blocked_categories
    assert min(loaded.services, loaded.countries, loaded.blocked_categories) > 0
    async with db.statement() as tx:
        assert await value(tx, "SELECT count(*) FROM services WHERE is_on") == loaded.services
        assert await value(tx, "SELECT count(*) FROM countries WHERE is_on") == loaded.countries
        assert await value(tx, "SELECT count(*) FROM blocked_categories WHERE is_on") == loaded.blocked_categories
    assert await version(db) == before + 1


async def test_of_two_countries_with_one_code_one_is_meant(db: Database) -> None:
    await reference.load(db)
    async with db.statement() as tx:
        wrong = await rows(tx, "SELECT iso FROM countries GROUP BY iso HAVING count(*) FILTER (WHERE iso_default) <> 1")
        assert await value(tx, "SELECT code FROM countries WHERE iso = 'US' AND iso_default") == 187
        assert await value(tx, "SELECT iso_default FROM countries WHERE code = 12") is False
    assert wrong == []
