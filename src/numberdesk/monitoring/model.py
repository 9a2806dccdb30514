"""Nouns of monitoring."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

PROBE_PATH = "/system/probe"
PROBE_PROOF = "X-Numberdesk-Probe"
PROBE_PAUSE = 1.0
"""Seconds between the two events of the probe's stream: a proxy that holds answers back lets them come together."""


@dataclass(frozen=True, slots=True)
class Check:
    """What came of one check. `wrong` names the rows, and at its end how many more there are."""

    invariant: str
    name: str
    ok: bool
    counted: int
    """Rows the check is about."""
    wrong: list[str]
    wrong_count: int = 0
    """How many rows are wrong, also those that are not named."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether this process can work, part by part."""

    database: bool
    migrations: str
    """`ok`, or the sentence that says what is missing."""
    overdue_seconds: int
    """How long the oldest due work has been waiting for a worker."""
    workers: int = 0
    """Worker processes that were heard of lately."""
    notices_overdue_seconds: int = 0
    """How long the oldest due notice has been waiting."""
    webhooks_overdue_seconds: int = 0
    """How long the oldest due webhook has been waiting, of customers or of gateways."""


@dataclass(frozen=True, slots=True)
class Count:
    """What one counter grew by. `labels` as they stand behind its name in Prometheus' text."""

    sample: str
    labels: str
    value: float


@dataclass(frozen=True, slots=True)
class Pulse:
    """How a process is."""

    id: str
    has_web: bool
    has_worker: bool
    version: str
    lag_ms: int
    """How late its event loop was at the most since it last told."""
    pool_open: int
    pool_busy: int
    pool_max: int
    memory_bytes: int


LedgerScope = Literal["recent", "whole", "audit"]
"""What was posted since the last look, or everything; or the chain of the audit log."""
PartState = Literal["ok", "degraded", "down"]


@dataclass(frozen=True, slots=True)
class LedgerRun:
    """A check that is due: postings above `checked_to` are new to it; of the audit log so many rows were seen."""

    scope: LedgerScope
    checked_to: int


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the service as its customers see it."""

    part: str
    state: PartState
    since: datetime
    looked_at: datetime


@dataclass(frozen=True, slots=True)
class Day:
    """The minutes of one day, by how a part was."""

    part: str
    day: date
    ok: int
    degraded: int
    down: int


@dataclass(frozen=True, slots=True)
class Server:
    """How the database server is set up, and who we are there."""

    version: str
    version_number: int
    encoding: str
    collation: str
    connections_max: int
    connections: int
    bytes: int
    is_archiving: bool
    """It keeps its WAL elsewhere, for a restore to any moment."""
    archived_at: datetime | None
    archive_failed_at: datetime | None
    login: str
    is_superuser: bool
    owns_ledger: bool
    """The login that serves could change the ledger's rows by itself."""
    is_member: bool
    """It may act as the application's role."""
    now: datetime
    """Its clock."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """How a request arrived at the server."""

    ip: str
    """Whom it counts for."""
    peer: str
    """Who was connected: the nearest proxy, or the caller himself."""
    forwarded: str
    """All X-Forwarded-For lines."""
    host: str
