"""Keeping the catalogue true: what providers list, and what the operator switches."""

from collections.abc import Sequence

from numberdesk.base.db import Database
from numberdesk.base.errors import NotFound
from numberdesk.catalogue import sql
from numberdesk.catalogue.model import ListedOffer, SyncReport
from numberdesk.catalogue.service._listing import Translated, is_usable
from numberdesk.catalogue.service._refusals import UnknownCountry, UnknownService
from numberdesk.providers.model import ProviderId, UpstreamOffer, Words

CODES = Words()
GONE_DAYS = 30
BLOCKED_BY_OPERATOR = "The operator of this site does not sell this category."


async def sync_offers(
    db: Database, *, provider_id: ProviderId, offers: Sequence[UpstreamOffer], words: Words = CODES
) -> SyncReport:
    """Make the catalogue say what is listed, in one transaction: for a short list that is at hand; see `sync`.

    An offer that is no longer listed stays, without stock. A service or country that our lists do not know is not
    sold: the codes of such services are kept until somebody classifies them. Two syncs of one provider run one after
    the other.

    Raises:
        NotFound: there is no such provider.
    """
    usable = [offer for offer in offers if is_usable(offer)]
    async with db.transaction() as tx:
        if not await sql.lock_provider(tx, provider_id):
            raise NotFound("provider")
        services, countries = await sql.list_service_codes(tx), await sql.list_country_codes(tx)
        translated = Translated(words, set(services), set(countries))
        translated.add(usable)
        mapped = [ListedOffer(*key, *asked) for key, asked in translated.offers.items()]
        changes = await sql.set_offers(tx, provider_id, mapped)
        unmapped = await sql.set_unmapped(tx, provider_id, sorted(translated.unmapped_services))
        if changes.added or changes.changed or changes.gone or unmapped:
            await sql.set_version(tx)
    return SyncReport(
        added=changes.added,
        changed=changes.changed,
        gone=changes.gone,
        unmapped_services=tuple(sorted(translated.unmapped_services)),
        unmapped_countries=tuple(sorted(translated.unmapped_countries)),
        unusable=len(offers) - len(usable),
    )


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
