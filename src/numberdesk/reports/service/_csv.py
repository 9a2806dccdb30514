"""Reports as CSV, line by line."""

from collections.abc import AsyncGenerator

from numberdesk.base.cells import csv_text
from numberdesk.base.db import Database
from numberdesk.reports.model import Question
from numberdesk.reports.service._read import columns, lines

CHUNK = 200
"""Lines that leave together."""


async def csv_lines(db: Database, question: Question) -> AsyncGenerator[str]:
    """Yield a report as CSV, its header first, a few lines at a time.

    Raises:
        InvalidFields: as `read`, before anything is yielded.
    """
    names = columns(question)
    text = csv_text([names])
    count = 0
    async for line in lines(db, question):
        text += csv_text([[line[name] for name in names]])
        count += 1
        if count % CHUNK == 0:
            yield text
            text = ""
    if text:
        yield text
