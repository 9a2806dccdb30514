"""The gate before purchases: breakers in memory, and what calls leave behind, gathered and written by a pass.

Nothing on the path of a call waits for the database. What gathers is bounded: when the database is away, counts and
transcripts are lost, and never a purchase.
"""

from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field
from typing import Final

import structlog
from prometheus_client import Counter

from numberdesk.base import clock
from numberdesk.base.db import Database, Tx
from numberdesk.base.errors import Unavailable
from numberdesk.base.http_client import NoAnswer
from numberdesk.providers import sql
from numberdesk.providers.adapters.reading import excerpt
from numberdesk.providers.line import Heard, Line
from numberdesk.providers.model import BreakerState, Forced, ProviderId, Unknown
from numberdesk.providers.service._alerts import close_alert, open_alert
from numberdesk.providers.service._breaker import RESTED_SECONDS, Breaker, Event, Row, move
from numberdesk.providers.service._transcripts import KEPT_ACTIONS, NEVER_ASKED, said_of
from numberdesk.providers.service._verdicts import Finding
from numberdesk.providers.sql import Health, Said

log = structlog.get_logger()

SAID_MAX: Final = 10_000
FAILED_READS_MAX: Final = 100
"""Transcripts of reads between two writings: a provider that fails says the same again and again."""
COUNTS_MAX: Final = 10_000
WORDS_MAX: Final = 20
REASON_MAX: Final = 200

DROPPED: Final = Counter("numberdesk_transcripts_dropped", "Transcripts that were not kept, because too many waited.")
LOST: Final = Counter("numberdesk_gate_lost", "Counts and transcripts that the database did not take.")


@dataclass(frozen=True, slots=True)
class Standing:
    """How a provider stands in this process. While `forced` is set, it counts in place of `state`."""

    state: BreakerState
    forced: Forced | None
    reason: str
    is_shut: bool


@dataclass(slots=True)
class Gate:
    """The breakers of this process, and what waits to be written."""

    breakers: dict[ProviderId, Breaker] = field(default_factory=dict)
    counts: dict[tuple[ProviderId, str, str], list[int]] = field(default_factory=dict)
    said: list[Said] = field(default_factory=list, repr=False)
    failed_reads: int = 0
    words: dict[tuple[ProviderId, str], tuple[str, int]] = field(default_factory=dict)

    def breaker(self, provider_id: ProviderId) -> Breaker:
        """Return the breaker of a provider."""
        found = self.breakers.get(provider_id)
        if found is None:
            found = self.breakers[provider_id] = Breaker()
        return found

    def count(self, provider_id: ProviderId, action: str, outcome: str, took_ms: int) -> None:
        """Count what came of a call."""
        counted = self.counts.get((provider_id, action, outcome))
        if counted is not None:
            counted[0] += 1
            counted[1] += took_ms
        elif len(self.counts) < COUNTS_MAX:
            self.counts[provider_id, action, outcome] = [1, took_ms]

    def keep(self, line: Line, action: str, answer: object, heard: list[Heard], finding: Finding) -> None:
        """Keep what was said, and a word that nobody knows."""
        if isinstance(answer, Unknown) and answer.word:
            self._note_word(line.provider.id, answer.word, action)
        if action not in KEPT_ACTIONS:
            if finding.verdict != "bad" and not isinstance(answer, Unknown):
                return
            heard = heard[-1:]
            self.failed_reads += len(heard)
            if self.failed_reads > FAILED_READS_MAX:
                DROPPED.inc(len(heard))
                return
        now = clock.seconds()
        for item in heard:
            if isinstance(item.answer, NoAnswer) and item.answer in NEVER_ASKED:
                continue
            if len(self.said) >= SAID_MAX:
                DROPPED.inc()
            else:
                self.said.append(said_of(line.provider.id, line.api_key, item, at=now))

    def adopt(self, rows: Iterable[Health]) -> None:
        """Take over what the rows say that are newer than what is known."""
        for row in rows:
            breaker = self.breaker(row.provider_id)
            breaker.adopt(row.state, row.forced, row.forced_reason or row.reason, row.generation)

    def standing(self, provider_id: ProviderId) -> Standing:
        """Return how a provider stands here."""
        breaker = self.breaker(provider_id)
        return Standing(breaker.state, breaker.forced, breaker.reason, breaker.is_shut())

    def _note_word(self, provider_id: ProviderId, word: str, action: str) -> None:
        shown = excerpt(word.encode())
        times = self.words.get((provider_id, shown), (action, 0))[1]
        if times or len(self.words) < WORDS_MAX:
            self.words[provider_id, shown] = (action, times + 1)


async def flush_gate(db: Database, gate: Gate) -> None:
    """Write what gathered; what the database does not take is lost, but for the state of breakers."""
    for provider_id, breaker in list(gate.breakers.items()):
        if breaker.waiting is not None:
            await _or_later("breaker", _tell(db, gate, provider_id, breaker, breaker.waiting))
    counts, gate.counts = gate.counts, {}
    if counts:
        rows = [(*key, counted[0], counted[1]) for key, counted in counts.items()]
        await _or_lost("counts", sum(row[3] for row in rows), _write_counts(db, rows))
    words, gate.words = gate.words, {}
    for (provider_id, word), (action, times) in words.items():
        await _or_lost("word", 1, _write_word(db, provider_id, word, action, times))
    gate.failed_reads = 0
    said, gate.said = gate.said, []
    if said:
        await _or_lost("transcripts", len(said), _write_said(db, said))


async def move_row(
    db: Database, provider_id: ProviderId, event: Event, *, generation: int, reason: str
) -> tuple[Health | None, bool]:
    """Say something to the row, which takes it if it is still of that generation (-1: any); alerts go with it.

    Returns:
        The row as it stands then, and whether it moved.
    """
    async with db.transaction() as tx:
        found = await sql.lock_health(tx, provider_id=provider_id, rested_seconds=RESTED_SECONDS)
        if found is None:
            await sql.insert_health(tx, provider_id=provider_id)
            found = await sql.lock_health(tx, provider_id=provider_id, rested_seconds=RESTED_SECONDS)
        if found is None or generation not in (-1, found.generation):
            return found, False
        moved = await _moved(tx, found, event, reason)
    if moved is None:
        return found, False
    log.info("breaker_moved", provider=moved.provider, state=moved.state, openings=moved.openings)
    return moved, True


async def _moved(tx: Tx, found: Health, event: Event, reason: str) -> Health | None:
    step = move(Row(found.state, found.openings, found.forced, found.is_rested), event)
    if step is None:
        return None
    moved = await sql.set_health(
        tx,
        provider_id=found.provider_id,
        generation=found.generation,
        state=step.state,
        openings=step.openings,
        reason=(reason or found.reason)[:REASON_MAX] if step.state != "closed" else "",
        seconds=step.seconds,
        rested_seconds=RESTED_SECONDS,
    )
    assert moved is not None, "the row was locked"
    await _tell_staff(tx, moved, seconds=step.seconds)
    return moved


async def _tell_staff(tx: Tx, row: Health, *, seconds: float) -> None:
    if row.state == "open":
        detail = f"Purchases are refused: {row.reason}. It is tried again after {seconds:.0f} seconds."
        await open_alert(tx, provider_id=row.provider_id, kind="breaker", detail=detail)
    elif row.state == "closed":
        await close_alert(tx, provider_id=row.provider_id, kind="breaker")


async def _tell(db: Database, gate: Gate, provider_id: ProviderId, breaker: Breaker, event: Event) -> None:
    row, has_moved = await move_row(db, provider_id, event, generation=breaker.generation, reason=breaker.reason)
    if row is None:
        gate.breakers.pop(provider_id, None)
    elif breaker.waiting != event:
        # Something else happened here meanwhile; it is for the row as it stands now.
        breaker.generation = row.generation
    else:
        if not has_moved:
            breaker.give_up(event)
        gate.adopt([row])


async def _write_counts(db: Database, rows: list[tuple[ProviderId, str, str, int, int]]) -> None:
    async with db.statement() as tx:
        await sql.add_calls(tx, rows)


async def _write_word(db: Database, provider_id: ProviderId, word: str, action: str, times: int) -> None:
    async with db.transaction() as tx:
        if await sql.note_word(tx, provider_id=provider_id, word=word, action=action, times=times):
            detail = f'The answer to "{action}" was a word that no list knows: {word}'
            await open_alert(tx, provider_id=provider_id, kind="unknown_word", detail=detail)


async def _write_said(db: Database, said: list[Said]) -> None:
    async with db.statement() as tx:
        await sql.insert_transcripts(tx, said, now=clock.seconds())


async def _or_later(what: str, work: Awaitable[None]) -> None:
    try:
        await work
    except Unavailable:
        log.warning("gate_waits_for_database", what=what)
    except Exception:
        log.exception("gate_failed", what=what)


async def _or_lost(what: str, count: int, work: Awaitable[None]) -> None:
    try:
        await work
    except Unavailable:
        LOST.inc(count)
        log.warning("gate_lost", what=what, count=count)
    except Exception:
        LOST.inc(count)
        log.exception("gate_failed", what=what)
