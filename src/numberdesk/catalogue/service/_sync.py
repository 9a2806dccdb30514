"""Syncing: reading what a provider lists and making the catalogue say the same, in steps that hold up nobody."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

from numberdesk.base.db import Database, Tx, Undone
from numberdesk.base.errors import AppError, Unavailable
from numberdesk.catalogue import sql
from numberdesk.catalogue.model import Country, ListedOffer, Progress, Service, Sync, SyncReport, SyncStep, Turn
from numberdesk.catalogue.service._listing import Asked, Difference, Key, Translated, digest, is_usable
from numberdesk.catalogue.service._mapping import Meaning, Theirs, listed_words, our_countries, our_services, resolve
from numberdesk.providers import service as providers
from numberdesk.providers.model import Listing, Provider, ProviderId, Unknown, UpstreamName, UpstreamOffer
from numberdesk.providers.service import Lines, Word

T = TypeVar("T")

CHUNK: Final = 2_000
"""Offers compared or written at once: between two chunks the process answers its callers."""
LEASE_SECONDS: Final = 150
"""Longer than the longest deadline of a provider and one chunk."""
RETRY_SECONDS: Final = 30
RETRY_MAX_SECONDS: Final = 900
SHORT_PERCENT: Final = 20
SHORT_ABOVE: Final = 50
BELIEVED_AFTER_SECONDS: Final = 600
"""A list that is far shorter than what there was is believed when it is still the same after so long."""
ALERT_AFTER: Final = 3
"""Unreadable answers in a row; a list that is not believed is told at once."""
KEPT: Final = 20
OFFERS_MAX: Final = 200_000
"""Ten times what the largest provider lists: every process holds all of them in memory."""
UNMAPPED_MAX: Final = 5_000
ATTEMPTS: Final = 3
CUT_OFF: Final = "It was cut off: its process is gone."

OnProgress = Callable[[Progress], None]


@dataclass(eq=False)
class SyncFailed(AppError):
    """What a provider lists was not taken over, and what was known of it before still counts."""

    provider: str
    reason: str

    status = 503
    code = "sync_failed"
    category = "provider"
    message = "{reason}"
    retry_after = RETRY_SECONDS


@dataclass(eq=False)
class SyncRunning(AppError):
    """Somebody else syncs the provider just now."""

    provider: str

    status = 409
    code = "sync_running"
    category = "provider"
    message = "{provider} is being synced just now."


@dataclass(eq=False)
class _NotBelieved(Exception):
    """Why a list is not taken over; of one that is too short, its digest."""

    reason: str
    short_list: str | None = None


@dataclass(frozen=True, slots=True)
class _Work:
    """One sync under way. `told` are its steps as far as they were written down."""

    db: Database
    turn: Turn
    provider: Provider
    on_progress: OnProgress | None

    async def at(self, step: SyncStep, done: int, total: int) -> None:
        """Write down how far it is."""
        async with self.db.statement() as tx:
            await self.keep(tx, step, done, total)
        self.show(step, done, total)

    async def keep(self, tx: Tx, step: SyncStep, done: int, total: int) -> None:
        """Write down how far it is, and make sure that it is still ours: first in a transaction."""
        if not await sql.set_step(tx, self.turn, step, done=done, total=total, lease_seconds=LEASE_SECONDS):
            raise _NotBelieved("Another process took over.")

    def show(self, step: SyncStep, done: int, total: int) -> None:
        if self.on_progress is not None:
            self.on_progress(Progress(step, done, total))


@dataclass(frozen=True, slots=True)
class _Lists:
    """Our side at one moment: services, countries and the words that are known of the provider."""

    services: Sequence[Service]
    countries: Sequence[Country]
    words: Sequence[Word]


@dataclass(frozen=True, slots=True)
class _Found:
    """A list in our codes beside our rows, and what its words mean."""

    translated: Translated
    difference: Difference
    meanings: Sequence[Meaning] = field(default_factory=tuple)


async def sync(
    db: Database,
    lines: Lines,
    provider_id: ProviderId,
    *,
    force: bool = False,
    on_progress: OnProgress | None = None,
) -> SyncReport:
    """Read what a provider lists and make the catalogue say the same.

    Each chunk is a transaction of its own, the offers that are gone come last, and readers of the catalogue hear of
    it when all is written. After a crash the next sync begins anew and leaves the same. An offer that is no longer
    listed stays, without stock; what our lists do not know is not sold, and kept until somebody says what it is.

    Args:
        force: believe the list however short it is.
        on_progress: called in this process after each step.

    Raises:
        NotFound: this process has no line to such a provider.
        SyncRunning: somebody else does it just now.
        SyncFailed: the provider gave no readable list, or one that is far too short. Nothing was changed.
    """
    name = providers.line(lines, provider_id).provider.name
    async with db.transaction() as tx:
        await sql.lock_turns(tx)
        await sql.set_cut_off(tx, detail=CUT_OFF)
        turn = await sql.lease_one(tx, provider_id, is_forced=force, lease_seconds=LEASE_SECONDS)
    if turn is None:
        raise SyncRunning(provider=name)
    return await carry_out(db, lines, turn, on_progress=on_progress)


async def take_turns(db: Database, lines: Lines, *, limit: int) -> list[Turn]:
    """Begin the syncs that are due, of providers that this process reaches; nobody else begins them meanwhile."""
    async with db.transaction() as tx:
        await sql.lock_turns(tx)
        await sql.set_cut_off(tx, detail=CUT_OFF)
        return await sql.lease_due(
            tx,
            list(lines.by_id),
            lease_seconds=LEASE_SECONDS,
            retry_seconds=RETRY_SECONDS,
            retry_max_seconds=RETRY_MAX_SECONDS,
            limit=limit,
        )


async def carry_out(db: Database, lines: Lines, turn: Turn, *, on_progress: OnProgress | None = None) -> SyncReport:
    """Do a sync that was begun, and end it: done, or failed with a reason that staff can read.

    Raises:
        NotFound, SyncFailed: as in `sync`.
    """
    work = _Work(db, turn, providers.line(lines, turn.provider_id).provider, on_progress)
    try:
        return await _take_over(work, lines)
    except _NotBelieved as problem:
        await _fail(work, problem)
        raise SyncFailed(provider=work.provider.name, reason=problem.reason) from None
    except BaseException as problem:
        with suppress(Unavailable):
            await _fail(work, _NotBelieved(f"It was stopped by {type(problem).__name__}."))
        raise


async def ask_for_sync(tx: Tx, *, provider_id: ProviderId, force: bool) -> None:
    """Have the pass sync a provider now, also one that is off."""
    await sql.upsert_ask(tx, provider_id, is_forced=force)


async def list_syncs(db: Database, provider_id: ProviderId) -> list[Sync]:
    """Return the last syncs of a provider, the newest first; one may be running."""
    async with db.statement() as tx:
        return await sql.list_syncs(tx, provider_id, limit=KEPT)


async def _take_over(work: _Work, lines: Lines) -> SyncReport:
    work.show("reading", 0, 0)
    listing = await providers.listing(lines, work.provider.id)
    if isinstance(listing, Unknown):
        raise _NotBelieved(f"{work.provider.name} does not tell its prices: {listing.detail}. Nothing was changed.")
    if len(listing.offers) > OFFERS_MAX:
        raise _NotBelieved(f"{work.provider.name} lists {len(listing.offers)} offers; {OFFERS_MAX} are taken at most.")
    usable = [offer async for chunk in _slowly(listing.offers) for offer in chunk if is_usable(offer)]
    for _ in range(ATTEMPTS):
        found = await _compare(work, listing, usable)
        if not work.turn.is_forced:
            await _refuse_short(work, found)
        if await _write_words(work, found):
            break
    else:
        raise _NotBelieved("Its words were changed all the time.")
    added = found.difference.added()
    await _write_offers(work, added, found.difference)
    report = SyncReport(
        added=len(added),
        changed=len(found.difference.changed),
        gone=len(found.difference.gone),
        unmapped_services=tuple(sorted(found.translated.unmapped_services)),
        unmapped_countries=tuple(sorted(found.translated.unmapped_countries)),
        unusable=len(listing.offers) - len(usable),
    )
    await _end(work, listing, report)
    return report


async def _compare(work: _Work, listing: Listing, usable: Sequence[UpstreamOffer]) -> _Found:
    """Find out what the list's words mean, put it in our codes and lay it beside our rows."""
    async with work.db.transaction() as tx:
        lists = _Lists(
            await sql.list_services(tx),
            await sql.list_countries(tx),
            await providers.list_words(tx, provider_id=work.provider.id),
        )
    means_itself = providers.capabilities(work.provider).speaks_our_codes
    meanings = () if means_itself else await _meanings(work.provider, listing, usable, lists)
    words = [word for meaning in meanings for word in meaning.words] if meanings else lists.words
    translated = Translated(
        providers.words_of(words, means_itself=means_itself),
        {service.code for service in lists.services},
        {country.code for country in lists.countries},
    )
    done = 0
    await work.at("comparing", 0, len(usable))
    async for chunk in _slowly(usable):
        translated.add(chunk)
        done += len(chunk)
        work.show("comparing", done, len(usable))
    difference, last = Difference(translated.offers), 0
    while True:
        async with work.db.statement() as tx:
            page = await sql.list_provider_offers(tx, work.provider.id, after=last, limit=CHUNK)
        if not page:
            return _Found(translated, difference, meanings)
        difference.add(page)
        last = page[-1].id


async def _meanings(
    provider: Provider, listing: Listing, usable: Sequence[UpstreamOffer], lists: _Lists
) -> tuple[Meaning, ...]:
    services: Counter[str] = Counter()
    countries: Counter[str] = Counter()
    async for chunk in _slowly(usable):
        for offer in chunk:
            services[offer.service] += offer.stock
            countries[offer.country] += offer.stock
    listed = listed_words(provider.kind)
    return tuple(
        resolve(
            provider.id,
            ours,
            Theirs(stock, names),
            listed=listed[ours.kind],
            stored=[word for word in lists.words if word.kind == ours.kind],
        )
        for ours, stock, names in (
            (our_services(lists.services), services, listing.services),
            (our_countries(lists.countries), countries, listing.countries),
        )
    )


async def _refuse_short(work: _Work, found: _Found) -> None:
    """Refuse a list that lost nearly everything: an empty answer by mistake must not take all off sale."""
    before, now = found.difference.in_stock, found.difference.listed_in_stock()
    if before <= SHORT_ABOVE or now * 100 >= before * SHORT_PERCENT:
        return
    short_list = digest(found.translated.offers)
    async with work.db.statement() as tx:
        if await sql.was_seen_before(tx, work.provider.id, short_list, seconds=BELIEVED_AFTER_SECONDS):
            return
    raise _NotBelieved(
        f"{work.provider.name} lists {now} offers in stock that we know, where it had {before}. Nothing was changed. "
        f"The same list is believed after {BELIEVED_AFTER_SECONDS // 60} minutes, or at once when it is forced.",
        short_list,
    )


async def _write_words(work: _Work, found: _Found) -> bool:
    """Write what words mean; False when somebody changed them since they were read."""
    if not found.meanings:
        return True
    provider_id = work.provider.id
    wanted = {word for meaning in found.meanings for word in meaning.words}
    async with work.db.transaction() as tx:
        await sql.lock_provider(tx, provider_id)
        stored = set(await providers.list_words(tx, provider_id=provider_id))
        gone = [word for meaning in found.meanings for word in meaning.gone]
        if {word for word in stored if word.source == "staff"} != {word for word in wanted if word.source == "staff"}:
            return False
        await providers.forget_words(tx, gone, provider_id=provider_id)
        new = sorted(wanted - stored, key=lambda word: (word.kind, word.word))
        await providers.set_words(tx, new, provider_id=provider_id)
    return True


async def _write_offers(work: _Work, added: Sequence[Key], difference: Difference) -> None:
    """Write what is new or other, a chunk in each transaction, and last what is gone."""
    changed, gone = sorted(difference.changed, key=lambda change: change.offer_id), sorted(difference.gone)
    done, total = 0, len(added) + len(changed) + len(gone)
    await work.at("writing", 0, total)
    steps = (
        *(
            partial(_insert, provider_id=work.provider.id, keys=chunk, listed=difference.listed)
            for chunk in _chunks(added)
        ),
        *(partial(sql.update_offers, changes=chunk) for chunk in _chunks(changed)),
        *(partial(sql.set_gone, offer_ids=chunk) for chunk in _chunks(gone)),
    )
    for step in steps:
        done = min(done + CHUNK, total)
        await _write(work, step, done, total)


async def _write(work: _Work, step: Callable[[Tx], Awaitable[None]], done: int, total: int) -> None:
    """Write one chunk; what a purchase's own news of the same offers undid is written again."""
    for attempt in range(ATTEMPTS):
        try:
            async with work.db.transaction() as tx:
                await work.keep(tx, "writing", done, total)
                await step(tx)
        except Undone:
            if attempt == ATTEMPTS - 1:
                raise
        else:
            break
    work.show("writing", done, total)


async def _insert(tx: Tx, *, provider_id: ProviderId, keys: Sequence[Key], listed: Mapping[Key, Asked]) -> None:
    await sql.insert_offers(tx, provider_id, [ListedOffer(*key, *listed[key]) for key in keys])


async def _end(work: _Work, listing: Listing, report: SyncReport) -> None:
    provider_id = work.provider.id
    services = _named(report.unmapped_services, listing.services)
    countries = _named(report.unmapped_countries, listing.countries)
    async with work.db.transaction() as tx:
        if not await sql.set_done(tx, work.turn, report):
            raise _NotBelieved("Another process took over.")
        unmapped = await sql.set_unmapped_services(tx, provider_id, services)
        await sql.set_unmapped_countries(tx, provider_id, countries)
        await providers.set_synced(tx, provider_id=provider_id)
        await providers.close_alert(tx, provider_id=provider_id, kind="sync_failed")
        await sql.delete_old_syncs(tx, provider_id, keep=KEPT)
        if report.added or report.changed or report.gone or unmapped:
            await sql.set_version(tx)
    work.show("done", 1, 1)


async def _fail(work: _Work, problem: _NotBelieved) -> None:
    async with work.db.transaction() as tx:
        is_ours = await sql.set_failed(tx, work.turn, detail=problem.reason, short_list=problem.short_list)
        if not is_ours:
            return
        if problem.short_list is not None or await sql.count_failures(tx, work.provider.id) >= ALERT_AFTER:
            await providers.open_alert(tx, provider_id=work.provider.id, kind="sync_failed", detail=problem.reason)
        await sql.delete_old_syncs(tx, work.provider.id, keep=KEPT)


def _named(words: Sequence[str], names: Sequence[UpstreamName]) -> list[UpstreamName]:
    known = {item.word: item.name for item in names}
    return [UpstreamName(word, known.get(word, "")) for word in words[:UNMAPPED_MAX]]


def _chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))


async def _slowly(items: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    """Go through items in chunks, with a turn for everybody else between two of them."""
    for chunk in _chunks(items):
        yield chunk
        await asyncio.sleep(0)
