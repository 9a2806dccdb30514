"""A small catalogue for tests: two providers and a few offers."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString

from numberdesk.base.db import Database, run, value
from numberdesk.base.money import Paise
from numberdesk.catalogue import reference, sql
from numberdesk.catalogue import service as catalogue
from numberdesk.catalogue.model import ListedOffer, PricedOffer, SyncReport
from numberdesk.catalogue.service import Shelf
from numberdesk.catalogue.service._listing import Difference, Translated, is_usable
from numberdesk.providers.model import ProviderId, UpstreamName, UpstreamOffer, Words

INDIA = 22
EVERYTHING = 1_000_000


def upstream(service: str, country: int, cost: int, stock: int = 5, operator: str = "any") -> UpstreamOffer:
    return UpstreamOffer(service=service, country=str(country), operator=operator, cost_paise=Paise(cost), stock=stock)


@dataclass(frozen=True)
class Market:
    """Two providers: `alpha` sells Telegram of India for 10 rupees, `beta` for 9 with named operators."""

    db: Database
    shelf: Shelf
    alpha: ProviderId
    beta: ProviderId

    async def sync(self, provider_id: ProviderId, *offers: UpstreamOffer) -> None:
        await take_over(self.db, provider_id, offers)
        await catalogue.refresh(self.db, self.shelf)

    async def change(self, query: LiteralString, *args: object) -> None:
        async with self.db.transaction() as tx:
            await run(tx, query, *args)
        await catalogue.refresh(self.db, self.shelf)

    def offers(
        self,
        service: str = "tg",
        country: str | int = INDIA,
        *,
        account_id: int | None = 1,
        server: str | int | None = None,
        operator: str | None = None,
        max_price: int | None = None,
    ) -> list[PricedOffer]:
        return catalogue.offers_for(
            self.shelf,
            account_id=account_id,
            service=service,
            country=country,
            server=server,
            operator=operator,
            max_price_paise=None if max_price is None else Paise(max_price),
        )


async def take_over(db: Database, provider_id: ProviderId, offers: Sequence[UpstreamOffer]) -> SyncReport:
    """Make the catalogue say what is listed in our own codes: the steps of a sync, in one transaction."""
    usable = [offer for offer in offers if is_usable(offer)]
    async with db.transaction() as tx:
        assert await sql.lock_provider(tx, provider_id)
        services, countries = await sql.list_services(tx), await sql.list_countries(tx)
        translated = Translated(Words(), {item.code for item in services}, {item.code for item in countries})
        translated.add(usable)
        difference = Difference(translated.offers)
        difference.add(await sql.list_provider_offers(tx, provider_id, after=0, limit=EVERYTHING))
        added = [ListedOffer(*key, *translated.offers[key]) for key in difference.added()]
        await sql.insert_offers(tx, provider_id, added)
        await sql.update_offers(tx, difference.changed)
        await sql.set_gone(tx, difference.gone)
        unmapped = [UpstreamName(word, "") for word in sorted(translated.unmapped_services)]
        changed = len(difference.changed) + await sql.set_unmapped_services(tx, provider_id, unmapped)
        if added or changed or difference.gone:
            await sql.set_version(tx)
    return SyncReport(
        added=len(added),
        changed=len(difference.changed),
        gone=len(difference.gone),
        unmapped_services=tuple(sorted(translated.unmapped_services)),
        unmapped_countries=tuple(sorted(translated.unmapped_countries)),
        unusable=len(offers) - len(usable),
    )


async def add_provider(db: Database, name: str) -> ProviderId:
    async with db.statement() as tx:
        return ProviderId(
            await value(
                tx,
                "INSERT INTO providers (name, kind, url, api_key_sealed)"
                " VALUES ($1, 'sms-activate', 'http://127.0.0.1', '') RETURNING id",
                name,
            )
        )


async def open_market(db: Database) -> Market:
    """Load the lists, add the providers and sync what they sell."""
    await reference.load(db)
    alpha, beta = await add_provider(db, "alpha"), await add_provider(db, "beta")
    market = Market(db=db, shelf=await catalogue.open_shelf(db), alpha=alpha, beta=beta)
    await market.sync(
        alpha, upstream("tg", INDIA, 1_000), upstream("wa", INDIA, 2_000), upstream("go", 0, 500, stock=0)
    )
    await market.sync(beta, upstream("tg", INDIA, 900, 3, "airtel"), upstream("tg", INDIA, 950, 0, "jio"))
    return market


async def switch_service(db: Database, code: str, *, is_on: bool) -> None:
    """Put a service on sale or take it off."""
    async with db.transaction() as tx:
        await catalogue.change_service(tx, code, is_on=is_on)


async def switch_country(db: Database, country: str | int, *, is_on: bool) -> None:
    """Put a country on sale or take it off."""
    async with db.transaction() as tx:
        await catalogue.change_country(tx, country, is_on=is_on)


async def block_category(db: Database, word: str, *, is_blocked: bool) -> None:
    """Block a category of services, or sell it."""
    async with db.transaction() as tx:
        await catalogue.change_category(tx, word, is_blocked=is_blocked)


def long_list(market: Market, count: int) -> Sequence[UpstreamOffer]:
    contents = market.shelf.contents
    pairs = itertools.islice(itertools.product(contents.services, contents.countries), count)
    return [upstream(service, country, 100 + place % 900) for place, (service, country) in enumerate(pairs)]


async def version(db: Database) -> int:
    async with db.statement() as tx:
        return int(await value(tx, "SELECT version FROM catalogue_version"))
