"""Keeping the catalogue true: what nobody lists any more, and what the operator switches."""

from dataclasses import replace

from numberdesk.base.db import Database, Tx
from numberdesk.base.errors import InvalidFields, NotFound
from numberdesk.catalogue import sql
from numberdesk.catalogue.model import Category, Country, Service
from numberdesk.catalogue.service._refusals import UnknownCountry, UnknownService

GONE_DAYS = 30
SANDBOX = "sandbox"
"""The category of what only sandboxes buy: nothing of it is changed."""
BLOCKED_BY_OPERATOR = "The operator of this site does not sell this category."


async def forget_gone(db: Database, *, limit: int = 1000) -> int:
    """Delete offers that nobody has listed for a month; names of operators may change every day."""
    async with db.transaction() as tx:
        gone = await sql.delete_gone_offers(tx, keep_days=GONE_DAYS, limit=limit)
        if gone:
            await sql.set_version(tx)
    return gone


async def change_service(
    tx: Tx, code: str, *, is_on: bool | None = None, name: str | None = None, category: str | None = None
) -> tuple[Service, Service]:
    """Change a service; None leaves it. What staff call it stays when the list that we ship is read again.

    Returns:
        What it was, and what it is now.

    Raises:
        UnknownService: no service has this code.
        InvalidFields: nothing is of this category.
    """
    before = await sql.lock_service(tx, code)
    if before is None or before.category == SANDBOX:
        raise UnknownService(service=code)
    if category is not None and (category == SANDBOX or not await sql.has_category(tx, category)):
        raise InvalidFields({"category": "is not one that any service or rule is of"})
    after = replace(
        before,
        is_on=before.is_on if is_on is None else is_on,
        name=before.name if name is None else name,
        category=before.category if category is None else category,
    )
    if after != before:
        await sql.set_service_row(tx, after, is_ours=(after.name, after.category) != (before.name, before.category))
        await sql.set_version(tx)
    return before, after


async def change_country(tx: Tx, country: str | int, *, is_on: bool) -> tuple[Country, Country]:
    """Put a country on sale or take it off; returns what it was, and what it is now.

    Raises:
        UnknownCountry: no country has this number or these two letters.
    """
    before = await sql.find_country(tx, str(country))
    if before is None:
        raise UnknownCountry(country=str(country))
    if before.is_on != is_on:
        await sql.set_country(tx, before.code, is_on=is_on)
        await sql.set_version(tx)
    return before, replace(before, is_on=is_on)


async def list_categories(db: Database) -> list[Category]:
    """Return all categories of services, blocked or not, by their words."""
    async with db.statement() as tx:
        return await sql.list_categories(tx)


async def change_category(tx: Tx, word: str, *, is_blocked: bool) -> tuple[Category, Category]:
    """Block a category of services, or sell it; returns what it was, and what it is now.

    Nothing of a blocked category is sold, in no way; orders that are open go on, and so do rentals.

    Raises:
        NotFound: no service is of this category.
    """
    await sql.lock_categories(tx)
    before = next((item for item in await sql.list_categories(tx) if item.word == word), None)
    if before is None:
        raise NotFound("category")
    after = replace(before, is_blocked=is_blocked, reason=before.reason or BLOCKED_BY_OPERATOR * is_blocked)
    if after != before:
        await sql.set_category(tx, after)
        await sql.set_version(tx)
    return before, after
