"""The rentals of the shelf: read apart from all other offers, and after the first time only what has changed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from numberdesk.base.db import Database, Tx
from numberdesk.catalogue import sql
from numberdesk.catalogue.model import CountryCode, OfferId, RentalOffer, ServiceCode

PAGE = 2_000

Pair = tuple[ServiceCode, CountryCode]
OfPair = Mapping[OfferId, RentalOffer]


@dataclass(frozen=True, eq=False)
class Rentals:
    """What could be rented at one moment: by hours, then by service and country. `hours` are those staff allow."""

    version: int = 0
    hours: tuple[int, ...] = ()
    offers: Mapping[int, Mapping[Pair, OfPair]] = field(default_factory=dict)


async def read_rentals(db: Database, known: Rentals) -> Rentals:
    """Return what may be rented now, from what was known before; the same if nothing has changed."""
    async with db.statement() as tx:
        if await sql.get_rental_version(tx) == known.version:
            return known
    async with db.transaction() as tx:
        await sql.set_snapshot(tx)
        return await _read(tx, known)


async def _read(tx: Tx, known: Rentals) -> Rentals:
    version = await sql.get_rental_version(tx)
    hours = tuple(await sql.list_rental_hours(tx))
    offers = dict(known.offers)
    touched: dict[tuple[int, Pair], dict[OfferId, RentalOffer]] = {}
    last = 0
    while page := await sql.list_rental_offers(tx, since=known.version, after=last, limit=PAGE):
        for offer in page:
            pair = offer.service, offer.country
            of_pair = touched.get((offer.hours, pair))
            if of_pair is None:
                of_pair = touched[offer.hours, pair] = dict(offers.get(offer.hours, {}).get(pair, {}))
            of_pair[offer.id] = offer
        last = -page[-1].id
    for time in {time for time, _ in touched}:
        changed = {pair: of_pair for (hours_, pair), of_pair in touched.items() if hours_ == time}
        offers[time] = {**offers.get(time, {}), **changed}
    return Rentals(version, hours, offers)
