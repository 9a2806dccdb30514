"""The common shape of all checks: sentences about wrong rows, the first few of them, and how many there are."""

from dataclasses import dataclass
from typing import LiteralString

from numberdesk.base.db import Tx, rows

__all__ = ["NAMED_MAX", "Found"]

NAMED_MAX = 20


@dataclass(frozen=True, slots=True)
class Found:
    """Wrong rows: how many, and sentences about the first `NAMED_MAX`."""

    count: int
    sentences: list[str]


async def find(tx: Tx, query: LiteralString, *args: object) -> Found:
    """Run a query that returns (sentence, number of all sentences) and ends with LIMIT $1."""
    found = await rows(tx, query, NAMED_MAX, *args)
    return Found(found[0][1] if found else 0, [sentence for sentence, _ in found])
