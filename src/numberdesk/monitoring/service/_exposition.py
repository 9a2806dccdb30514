"""The page that Prometheus reads: about the whole installation, the same whichever process answers.

Counters are totals of all processes from the database, gauges are facts of the database. While the database is out of
reach the page says only that, and the series have a gap instead of values that jump.
"""

import platform
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import structlog

from numberdesk import __version__
from numberdesk.accounts import service as accounts
from numberdesk.base import clock, metrics
from numberdesk.base.db import Database, Tx, Undone
from numberdesk.base.errors import Unavailable
from numberdesk.catalogue import service as catalogue
from numberdesk.monitoring import sql
from numberdesk.monitoring.service._pulse import ALIVE_SECONDS

log = structlog.get_logger()

SOON, LATER, SELDOM = 2.0, 5.0, 30.0
"""Seconds for which gauges are kept, by what they cost to read."""
DELIVERY_HOURS: Final = 24
WAIT_HOURS: Final = 2
_LE: Final = re.compile(r'le="([^"]+)"')

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Fact:
    """Gauges that one statement reads: its rows are texts for `labels`, then a number for each gauge."""

    labels: tuple[str, ...]
    gauges: tuple[tuple[str, str], ...]
    """Name and meaning of each."""
    read: Callable[[Tx], Awaitable[Rows]]
    kept: float = SOON


async def _deliveries(tx: Tx) -> Rows:
    """Shape waits as the times within which half and nine tenths of the codes came."""
    found = await sql.list_deliveries(tx, hours=DELIVERY_HOURS, wait_hours=WAIT_HOURS)
    return [
        (name, sold, delivered, cancelled, *(catalogue.seconds_within(waits or (), percent) for percent in (50, 90)))
        for name, sold, delivered, cancelled, waits in found
    ]


async def _database(tx: Tx) -> Rows:
    before = clock.timestamp()
    size, used, allowed, there = (await sql.list_database(tx))[0]
    after = clock.timestamp()
    # The clocks differ by nothing as long as theirs lies between our two.
    skew = max(before - there, there - after, 0.0)
    return [(size, used, allowed, skew)]


async def _overdue(tx: Tx) -> Rows:
    return [(await sql.get_overdue_seconds(tx),)]


FACTS: Final = (
    Fact(
        ("state",),
        (
            ("orders_open", "Orders that have not ended, by state."),
            ("orders_open_oldest_seconds", "Age of the oldest open order of the state."),
        ),
        sql.list_open_orders,
        LATER,
    ),
    Fact(("type",), (("orders_recent_events", "Events of orders in the last ten minutes."),), sql.list_recent_events),
    Fact(
        ("provider",),
        (
            ("delivery_settled", "Numbers of the last 24 hours that got a code or ended without one."),
            ("delivery_delivered", "Of these, numbers that got a code."),
            ("delivery_cancelled", "Of these, numbers that their customer gave up."),
            ("delivery_median_seconds", "Half of the codes of the last hours came within this."),
            ("delivery_p90_seconds", "Nine of ten codes of the last hours came within this."),
        ),
        _deliveries,
        SELDOM,
    ),
    Fact(
        ("provider",),
        (
            ("provider_on", "1 when the provider is switched on."),
            ("provider_shut", "1 while no purchase may leave to the provider."),
            ("provider_forced", "1 while staff hold its breaker open or closed."),
            ("provider_balance_paise", "What is left of our money there."),
            ("provider_balance_age_seconds", "How long ago the balance was read."),
            ("provider_catalogue_age_seconds", "How long ago its catalogue was read."),
            ("provider_orders_open", "Open orders there."),
        ),
        sql.list_providers,
        LATER,
    ),
    Fact(
        ("provider", "kind"),
        (("provider_alert", "1 for each alert about a provider that is open."),),
        sql.list_alerts,
    ),
    Fact(
        ("channel",),
        (
            ("outbox_waiting", "Notices that are not sent yet."),
            ("outbox_overdue_seconds", "How long the oldest due notice has been waiting."),
            ("outbox_failed", "Notices that were given up in the last day."),
        ),
        sql.list_outbox,
    ),
    Fact(
        ("queue",),
        (
            ("queue_waiting", "Work that waits, by queue."),
            ("queue_overdue_seconds", "How long the oldest due work of the queue has been waiting."),
        ),
        sql.list_queues,
    ),
    Fact((), (("work_overdue_seconds", "How long the oldest due work of all kinds waits for a worker."),), _overdue),
    Fact(
        ("what",),
        (
            ("payments_waiting", "Payments that wait: claimed, for a match, in suspense, or as a line of the bank."),
            ("payments_waiting_paise", "How much that is."),
            ("payments_waiting_oldest_seconds", "Age of the oldest."),
        ),
        sql.list_payments,
    ),
    Fact(("asset",), (("rate_age_seconds", "Age of the newest price of a coin."),), sql.list_rates),
    Fact(
        ("source",),
        (
            ("reconciliation_age_seconds", "How long ago payments were last compared with their source."),
            ("reconciliation_differences", "Differences that the last comparison found."),
        ),
        sql.list_reconciliations,
    ),
    Fact(
        ("scope", "invariant", "check"),
        (("ledger_wrong", "Rows of the ledger that break a promise, by check."),),
        sql.list_ledger,
    ),
    Fact(
        ("scope",),
        (
            ("ledger_age_seconds", "How long ago the ledger was last checked."),
            ("ledger_check_seconds", "How long that check took."),
        ),
        sql.list_ledger_runs,
    ),
    Fact(
        (),
        (
            ("audit_breaks", "Where the chain of the audit log is broken, as far as that was counted."),
            ("audit_age_seconds", "How long ago it was last checked."),
            ("audit_rows", "Rows that were sealed then."),
        ),
        sql.list_audit,
    ),
    Fact(
        ("what",),
        (
            ("decisions_waiting", "What waits for the decision of a person, or of a second one."),
            ("decisions_waiting_oldest_seconds", "Age of the oldest."),
        ),
        partial(sql.list_decisions, money_open_for=accounts.OPEN_FOR),
        LATER,
    ),
    Fact(
        ("state",),
        (
            ("tickets", "Tickets that have not ended, by state."),
            ("tickets_oldest_seconds", "How long the one waits of which least was heard."),
        ),
        sql.list_tickets,
        LATER,
    ),
    Fact(
        (),
        (
            ("reports_age_seconds", "Up to how long ago reports are counted."),
            ("reports_waiting", "Half hours and days that are to be counted again."),
        ),
        sql.list_reports,
    ),
    Fact(
        (),
        (
            ("webhooks_failed", "Events for customers' webhooks that were given up in the last day."),
            ("webhook_endpoints_disabled", "Endpoints of customers that were switched off because they failed."),
        ),
        sql.list_endpoints,
        SELDOM,
    ),
    Fact(
        ("kind",),
        (
            ("processes", "Processes heard of in the last 30 seconds."),
            ("loop_lag_seconds", "The largest delay of an event loop in the last seconds."),
            ("pool_open", "Connections to the database that the pools hold."),
            ("pool_busy", "Of these, connections at work."),
            ("pool_max", "Connections that the pools may hold."),
            ("memory_max_bytes", "The largest memory that one of the processes has ever taken."),
        ),
        partial(sql.list_processes, seconds=ALIVE_SECONDS),
    ),
    Fact(
        (),
        (
            ("database_bytes", "Size of the database."),
            ("database_connections", "Connections that the database serves."),
            ("database_connections_max", "Connections that it allows."),
            ("clock_skew_seconds", "By how much the clocks of this machine and of the database differ."),
        ),
        _database,
    ),
)  # fmt: skip


@dataclass(slots=True)
class Exposition:
    """The page. Counters are read anew each time, so that they never go back from one process to the next."""

    db: Database
    _kept: dict[Fact, tuple[float, list[str]]] = field(default_factory=dict)
    """Until when, and what."""

    async def page(self) -> str:
        """Return everything in Prometheus' text form."""
        build = {"version": __version__, "python": platform.python_version()}
        lines = _gauge("build_info", "1, with what runs.", [(build, 1)])
        try:
            facts = [line for fact in FACTS for line in await self._lines(fact)]
            async with self.db.statement() as tx:
                totals = _counters(await sql.list_totals(tx))
        except Unavailable as problem:
            log.warning("metrics_without_database", problem=type(problem).__name__)
            return "\n".join([*lines, *_up(0)]) + "\n"
        return "\n".join([*lines, *_up(1), *facts, *totals]) + "\n"

    async def _lines(self, fact: Fact) -> list[str]:
        until, lines = self._kept.get(fact, (0.0, []))
        if clock.seconds() >= until:
            lines = await _told(self.db, fact)
            self._kept[fact] = clock.seconds() + fact.kept, lines
        return lines


def _up(value: int) -> list[str]:
    return _gauge("database_up", "1 when the database answers.", [({}, value)])


async def _told(db: Database, fact: Fact) -> list[str]:
    """Return the lines of a fact; one whose statement takes too long is left out, and the others are told."""
    try:
        async with db.statement() as tx:
            rows = await fact.read(tx)
    except Undone:
        rows = []
        log.warning("fact_too_slow", fact=fact.gauges[0][0])
    width = len(fact.labels)
    lines: list[str] = []
    for place, (name, meaning) in enumerate(fact.gauges, width):
        known = [
            (dict(zip(fact.labels, row[:width], strict=True)), row[place]) for row in rows if row[place] is not None
        ]
        lines += _gauge(name, meaning, known)
    return lines


def _gauge(name: str, meaning: str, values: Iterable[tuple[dict[str, str], Any]]) -> list[str]:
    full = metrics.PREFIX + name
    head = [f"# HELP {full} {meaning}", f"# TYPE {full} gauge"]
    return head + [f"{full}{metrics.labels_of(labels)} {value}" for labels, value in values]


def _counters(totals: list[tuple[str, str, float]]) -> list[str]:
    by_sample: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for sample, labels, value in totals:
        by_sample[sample].append((labels, value))
    lines: list[str] = []
    for family in metrics.families():
        is_counter = family.type == "counter"
        full = f"{family.name}_total" if is_counter else family.name
        lines += [f"# HELP {full} {family.documentation}", f"# TYPE {full} {family.type}"]
        for suffix in ("_total",) if is_counter else ("_bucket", "_sum", "_count"):
            sample = family.name + suffix
            for labels, value in sorted(by_sample[sample], key=_place):
                lines.append(f"{sample}{labels} {value:.10g}")
    return lines


def _place(line: tuple[str, float]) -> tuple[str, float]:
    """Sort places of a histogram by their ends."""
    found = _LE.search(line[0])
    return (_LE.sub("", line[0]), float(found[1])) if found else (line[0], 0.0)
