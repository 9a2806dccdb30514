"""Cells of tables: what people wrote is never a formula, and numbers stay numbers."""

from decimal import Decimal

import pytest

from numberdesk.base.cells import Cell, cell, csv_text

CELLS: list[tuple[Cell, str | float]] = [
    (None, ""), (-5, -5), (0.5, 0.5), (True, "true"), (Decimal("1E+2"), "100"), ("-12.50", "-12.50"),
    ("-5+1", "'-5+1"), ("+91", "'+91"), ("=1", "'=1"), ("a=1", "a=1"), ("  =1", "'  =1"), ("past-1", "past-1"),
    ("\uff1d1", "'\uff1d1"), ("x\0y", "xy"), ("\r=1", "'\r=1"), ("2026-01-31", "2026-01-31"), ("", ""),
]  # fmt: skip


@pytest.mark.parametrize(("value", "wanted"), CELLS)
def test_a_cell_is_what_it_says(value: Cell, wanted: str | float) -> None:
    assert cell(value) == wanted


def test_a_table_quotes_what_would_break_its_lines() -> None:
    assert csv_text([("a", "b"), ('say "x", y', None), ("two\nlines", -1)]) == (
        'a,b\r\n"say ""x"", y",\r\n"two\nlines",-1\r\n'
    )
