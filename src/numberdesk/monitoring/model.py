"""Nouns of monitoring."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """What came of one check. `wrong` names the rows, and at its end how many more there are."""

    invariant: str
    name: str
    ok: bool
    counted: int
    """Rows the check is about."""
    wrong: list[str]


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether this process can work, part by part."""

    database: bool
    migrations: str
    """`ok`, or the sentence that says what is missing."""
    overdue_seconds: int
    """How long the oldest due work has been waiting for a worker."""
