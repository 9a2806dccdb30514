"""Cells of a table that a spreadsheet opens: what customers wrote is text there, never a formula."""

from datetime import UTC, datetime
from decimal import Decimal

STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What makes a spreadsheet compute a cell, in both widths. Source: OWASP, CSV injection."""

Cell = str | int | Decimal | datetime | bool | None


def cell(value: Cell) -> str | int:
    """Return what is written for a value. Text that could be a formula begins with an apostrophe.

    Numbers are ours and stay numbers, negative ones too.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, Decimal):
        return f"{value:f}"
    plain = value.replace("\0", "")
    return f"'{plain}" if plain.lstrip(" ").startswith(STARTS) else plain
