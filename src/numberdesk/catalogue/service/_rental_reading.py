"""Reading what providers rent: a few lists at each turn, for nobody has one of all countries and times.

A list that lost nearly everything is not believed at first, as with syncs. Which countries there are is asked for a few
times a day; one that is no longer named keeps its lists until they are empty themselves.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import structlog

from numberdesk.base.db import Database
from numberdesk.base.errors import Unavailable
from numberdesk.catalogue import sql
from numberdesk.catalogue.model import CountryCode, ListedOffer
from numberdesk.catalogue.service._listing import Translated, digest, is_usable
from numberdesk.catalogue.sql import RentalList, RentalTurn
from numberdesk.providers import service as providers
from numberdesk.providers.model import RentalListing, Unknown
from numberdesk.providers.service import Lines

log = structlog.get_logger()

TURNS_AT_ONCE: Final = 4
LISTS_AT_ONCE: Final = 5
"""Lists read in one turn, one after the other: purchases at the provider go by the same places."""
LEASE_SECONDS: Final = 300
WAIT_SECONDS: Final = 10
"""Between two turns of a provider with nothing more to read; while nothing is due, a turn is a few short queries."""
RETRY_SECONDS: Final = 30
RETRY_MAX_SECONDS: Final = 900
COUNTRIES_SECONDS: Final = 6 * 3600
SHORT_PERCENT: Final = 20
SHORT_ABOVE: Final = 10
"""Of one country and time; a list that was no longer than this may end from one reading to the next."""
BELIEVED_AFTER_SECONDS: Final = 600
GONE_DAYS: Final = 30


async def read_rental_lists(db: Database, lines: Lines, *, limit: int = TURNS_AT_ONCE) -> int:
    """Take the turns that are due at providers that rent, and read some lists of each; returns how many lists.

    Each list is read every `sync_every_ms` of its provider. A list is a transaction of its own: after a crash the next
    turn goes on with the rest. Several workers may run this: a provider's turn is taken by one of them.
    """
    among = [
        provider_id
        for provider_id, line in lines.by_id.items()
        if line.provider.kind != "sandbox" and providers.capabilities(line.provider).has_rentals
    ]
    if not among:
        return 0
    async with db.transaction() as tx:
        turns = await sql.lease_rental_turns(
            tx, among, lease_seconds=LEASE_SECONDS, countries_seconds=COUNTRIES_SECONDS, limit=limit
        )
    found = await asyncio.gather(*(_take_turn(db, lines, turn) for turn in turns), return_exceptions=True)
    for problem in found:
        if isinstance(problem, BaseException):
            raise problem
    return sum(count for count in found if isinstance(count, int))


async def forget_gone_rentals(db: Database, *, limit: int = 1000) -> int:
    """Delete rentals that nobody has listed for a month."""
    async with db.transaction() as tx:
        return await sql.delete_gone_rentals(tx, keep_days=GONE_DAYS, limit=limit)


async def _take_turn(db: Database, lines: Lines, turn: RentalTurn) -> int:
    has_failed, count = True, 0
    try:
        if turn.knows_countries or await _read_countries(db, lines, turn):
            has_failed, count = await _read_due(db, lines, turn)
    finally:
        with suppress(Unavailable):
            async with db.statement() as tx:
                await sql.end_rental_turn(
                    tx,
                    turn.provider_id,
                    has_failed=has_failed,
                    wait_seconds=0 if count == LISTS_AT_ONCE else WAIT_SECONDS,
                    retry_seconds=RETRY_SECONDS,
                    retry_max_seconds=RETRY_MAX_SECONDS,
                )
    return count


async def _read_countries(db: Database, lines: Lines, turn: RentalTurn) -> bool:
    """Ask for each time in which countries there is something, and make the lists fit; False without an answer."""
    provider_id = turn.provider_id
    async with db.statement() as tx:
        hours = await sql.list_rental_hours(tx)
        ours = {country.code for country in await sql.list_countries(tx)}
    words = providers.line(lines, provider_id).words
    told: set[CountryCode] = set()
    for time in hours:
        found = await providers.rental_listing(lines, provider_id, country=None, hours=time)
        if isinstance(found, Unknown):
            _note(lines, turn, found.detail)
            return False
        for word in found.countries or ():
            code = words.country(word)
            if code is not None and code in ours and words.country_word(code) == word:
                told.add(CountryCode(code))
    async with db.transaction() as tx:
        version = await sql.take_rental_version(tx)
        # The hours may be others by now: whoever changed them has every provider asked again.
        countries = sorted(told | set(await sql.list_rented_countries(tx, provider_id)))
        await sql.set_rental_countries(tx, provider_id, countries, hours)
        if not await sql.set_gone_rentals(tx, provider_id, countries, hours, version=version):
            await sql.return_rental_version(tx)
    return True


async def _read_due(db: Database, lines: Lines, turn: RentalTurn) -> tuple[bool, int]:
    """Read the lists that waited longest; returns whether one gave no answer, and how many were read."""
    provider = providers.line(lines, turn.provider_id).provider
    async with db.statement() as tx:
        due = await sql.list_due_rentals(
            tx, provider.id, every_seconds=provider.sync_every_ms // 1000, limit=LISTS_AT_ONCE
        )
        services = {service.code for service in await sql.list_services(tx)} if due else set()
    for count, wanted in enumerate(due):
        line = providers.line(lines, provider.id)
        word = line.words.country_word(wanted.country)
        found = (
            RentalListing(())
            if word is None
            else await providers.rental_listing(lines, provider.id, country=word, hours=wanted.hours)
        )
        if isinstance(found, Unknown):
            async with db.statement() as tx:
                await sql.set_rental_tried(tx, provider.id, wanted.country, wanted.hours)
            _note(lines, turn, found.detail)
            return True, count
        translated = Translated(line.words, services, {wanted.country})
        translated.add(offer for offer in found.offers if is_usable(offer))
        offers = [ListedOffer(*key, *asked) for key, asked in translated.offers.items()]
        await _write(db, lines, turn, wanted, offers, digest(translated.offers))
    return False, len(due)


async def _write(
    db: Database, lines: Lines, turn: RentalTurn, wanted: RentalList, offers: Sequence[ListedOffer], told: str
) -> None:
    """Make one list ours, unless it is too short to be believed yet."""
    key = turn.provider_id, wanted.country, wanted.hours
    now = sum(offer.stock > 0 for offer in offers)
    async with db.transaction() as tx:
        version = await sql.take_rental_version(tx)
        known = await sql.find_known_rentals(tx, *key, short_list=told, seconds=BELIEVED_AFTER_SECONDS)
        is_short = known.in_stock > SHORT_ABOVE and now * 100 < known.in_stock * SHORT_PERCENT
        is_refused = is_short and not known.was_refused_before
        await sql.set_rental_read(tx, *key, short_list=told if is_refused else None)
        if is_refused or not await sql.set_rental_offers(tx, *key, offers, version=version):
            await sql.return_rental_version(tx)
    if is_refused:
        _note(lines, turn, f"{now} rentals in country {wanted.country} where there were {known.in_stock}")


def _note(lines: Lines, turn: RentalTurn, reason: str) -> None:
    log.warning("rentals_not_read", provider=providers.line(lines, turn.provider_id).provider.name, reason=reason)
