"""Reports as CSV, line by line, with nothing in it that a spreadsheet would take for a formula."""

import csv
from collections.abc import AsyncIterator, Iterable
from io import StringIO

from numberdesk.base.db import Database
from numberdesk.reports.model import Cell, Question
from numberdesk.reports.service._read import columns, lines

CHUNK = 200
"""Lines that leave together."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How a cell begins that a spreadsheet may run; the last ones are their full-width forms."""
_NUMBER = frozenset("0123456789.")


async def csv_lines(db: Database, question: Question) -> AsyncIterator[str]:
    """Yield a report as CSV, its header first, a few lines at a time.

    Raises:
        InvalidFields: as `read`, before anything is yielded.
    """
    names = columns(question)
    text = _written([names])
    count = 0
    async for line in lines(db, question):
        text += _written([[line[name] for name in names]])
        count += 1
        if count % CHUNK == 0:
            yield text
            text = ""
    if text:
        yield text


def harmless(cell: Cell) -> Cell:
    """Return a cell that no spreadsheet runs: text that begins like a formula gets an apostrophe in front.

    Numbers of ours stay numbers, also negative ones.
    """
    if not isinstance(cell, str):
        return "" if cell is None else cell
    is_number = set(cell.removeprefix("-")) <= _NUMBER
    if cell.lstrip(" ").startswith(_FORMULA) and not is_number:
        return f"'{cell}"
    return cell


def _written(rows: Iterable[Iterable[Cell]]) -> str:
    text = StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([harmless(cell) for cell in row] for row in rows)
    return text.getvalue()
