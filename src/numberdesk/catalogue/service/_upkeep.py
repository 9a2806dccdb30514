"""Keeping the catalogue true: what nobody lists any more, and what the operator switches."""

from numberdesk.base.db import Database
from numberdesk.base.errors import NotFound
from numberdesk.catalogue import sql
from numberdesk.catalogue.service._refusals import UnknownCountry, UnknownService

GONE_DAYS = 30
BLOCKED_BY_OPERATOR = "The operator of this site does not sell this category."


async def forget_gone(db: Database, *, limit: int = 1000) -> int:
    """Delete offers that nobody has listed for a month; names of operators may change every day."""
    async with db.transaction() as tx:
        gone = await sql.delete_gone_offers(tx, keep_days=GONE_DAYS, limit=limit)
        if gone:
            await sql.set_version(tx)
    return gone


async def set_service(db: Database, *, code: str, is_on: bool) -> None:
    """Put a service on sale or take it off.

    Raises:
        UnknownService: no service has this code.
    """
    async with db.transaction() as tx:
        if not await sql.set_service(tx, code, is_on=is_on):
            raise UnknownService(service=code)
        await sql.set_version(tx)


async def set_country(db: Database, *, country: str | int, is_on: bool) -> None:
    """Put a country on sale or take it off.

    Raises:
        UnknownCountry: no country has this number or these two letters.
    """
    async with db.transaction() as tx:
        found = await sql.find_country(tx, str(country))
        if found is None:
            raise UnknownCountry(country=str(country))
        await sql.set_country(tx, found.code, is_on=is_on)
        await sql.set_version(tx)


async def set_category_block(db: Database, *, category: str, is_on: bool) -> None:
    """Block a category of services, or sell it.

    Raises:
        NotFound: no service is of this category.
    """
    async with db.transaction() as tx:
        if not await sql.set_blocked_category(tx, category, is_on=is_on, reason=BLOCKED_BY_OPERATOR):
            raise NotFound("category")
        await sql.set_version(tx)
