"""Keeping the catalogue true: what providers list, and what the operator switches."""

from collections.abc import Sequence
from dataclasses import replace

from numberdesk.base.db import Database
from numberdesk.base.errors import NotFound
from numberdesk.base.money import AMOUNT_MAX
from numberdesk.catalogue import sql
from numberdesk.catalogue.model import SyncReport
from numberdesk.catalogue.service._refusals import UnknownCountry, UnknownService
from numberdesk.providers.model import ProviderId, UpstreamOffer

STOCK_MAX = 2**31 - 1
"""The end of the column; a larger count means "plenty" just as well."""
WORD_MAX = 64
BLOCKED_BY_OPERATOR = "The operator of this site does not sell this category."


async def sync_offers(db: Database, *, provider_id: ProviderId, offers: Sequence[UpstreamOffer]) -> SyncReport:
    """Make the catalogue say what the provider lists now, in one transaction.

    An offer that is no longer listed stays, without stock. A service or country that our lists do not know is not
    sold: the codes of such services are kept until somebody classifies them. Two syncs of one provider run one after
    the other.

    Raises:
        NotFound: there is no such provider.
    """
    usable = [_within_column(offer) for offer in offers if _is_usable(offer)]
    async with db.transaction() as tx:
        if not await sql.lock_provider(tx, provider_id):
            raise NotFound("provider")
        services = set(await sql.list_service_codes(tx))
        countries = set(await sql.list_country_codes(tx))
        unmapped_services = sorted({offer.service for offer in usable} - services)
        unmapped_countries = sorted({offer.country for offer in usable} - countries)
        mapped = [offer for offer in usable if offer.service in services and offer.country in countries]
        changes = await sql.set_offers(tx, provider_id, mapped)
        unmapped = await sql.set_unmapped(tx, provider_id, unmapped_services)
        if changes.added or changes.changed or changes.gone or unmapped:
            await sql.set_version(tx)
    return SyncReport(
        added=changes.added,
        changed=changes.changed,
        gone=changes.gone,
        unmapped_services=tuple(unmapped_services),
        unmapped_countries=tuple(unmapped_countries),
        unusable=len(offers) - len(usable),
    )


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


def _is_usable(offer: UpstreamOffer) -> bool:
    return (
        0 < offer.cost_paise <= AMOUNT_MAX
        and offer.stock >= 0
        and all(0 < len(word) <= WORD_MAX and word.isprintable() for word in (offer.service, offer.operator))
    )


def _within_column(offer: UpstreamOffer) -> UpstreamOffer:
    return offer if offer.stock <= STOCK_MAX else replace(offer, stock=STOCK_MAX)
