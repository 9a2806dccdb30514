"""Cells of a table that a spreadsheet opens: what people wrote is text there, never a formula."""

import csv
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO

STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What makes a spreadsheet compute a cell, in both widths. Source: OWASP, CSV injection."""
_NUMBER = frozenset("0123456789.")

Cell = str | int | float | Decimal | datetime | bool | None


def cell(value: Cell) -> str | int | float:
    """Return what is written for a value. Text that could be a formula begins with an apostrophe.

    Numbers stay numbers, negative ones and those in text too.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, Decimal):
        return f"{value:f}"
    plain = value.replace("\0", "")
    is_number = set(plain.removeprefix("-")) <= _NUMBER
    return f"'{plain}" if plain.lstrip(" ").startswith(STARTS) and not is_number else plain


def csv_text(lines: Iterable[Iterable[Cell]]) -> str:
    """Return lines as comma-separated values."""
    text = StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(map(cell, line) for line in lines)
    return text.getvalue()
