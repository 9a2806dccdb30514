"""Price rules as a sheet of comma-separated values: nothing in it is ever taken for a formula."""

import csv
import io
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Final

from numberdesk.base.cells import STARTS, Cell, csv_text
from numberdesk.base.errors import InvalidFields
from numberdesk.base.money import NotAnAmount, Paise, format_rupees, parse_rupees
from numberdesk.catalogue.model import PriceRule
from numberdesk.catalogue.service._prices import DEFAULT_FLOOR_PAISE
from numberdesk.catalogue.service._rules import RuleWanted
from numberdesk.catalogue.service._shelf import Shelf

COLUMNS: Final = ("account", "service", "country", "provider", "margin_percent", "floor")
SHEET_MAX: Final = 1_000_000
"""Bytes."""
LINES_MAX: Final = 10_000
PROBLEMS_MAX: Final = 50


def write_sheet(shelf: Shelf, rules: Sequence[PriceRule]) -> bytes:
    """Return rules as a sheet; an empty cell is everything."""
    lines: list[Sequence[Cell]] = [COLUMNS]
    for rule in rules:
        server = None if rule.provider_id is None else shelf.contents.servers.get(rule.provider_id)
        provider = "" if rule.provider_id is None else server.name if server is not None else str(rule.provider_id)
        margin = Decimal(rule.margin_basis_points) / 100
        lines.append(
            (rule.account_id, rule.service, rule.country, provider, f"{margin:.2f}", format_rupees(rule.floor_paise))
        )
    return csv_text(lines).encode()


def read_sheet(raw: bytes) -> tuple[list[RuleWanted], list[str]]:
    """Read a sheet; returns its rules, and how each is called where something is wrong with it.

    Raises:
        InvalidFields: names every line and column that is wrong, up to `PROBLEMS_MAX`.
    """
    if len(raw) > SHEET_MAX:
        raise InvalidFields({"file": f"must not be larger than {SHEET_MAX} bytes"})
    try:
        text = raw.decode("utf-8-sig")
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except UnicodeDecodeError:
        raise InvalidFields({"file": "must be UTF-8"}) from None
    except csv.Error as problem:
        raise InvalidFields({"file": f"is no table of comma-separated values: {problem}"}) from None
    if not lines or tuple(cell.strip() for cell in lines[0]) != COLUMNS:
        raise InvalidFields({"line 1": f"must be {','.join(COLUMNS)}"})
    if len(lines) > LINES_MAX + 1:
        raise InvalidFields({"file": f"must not have more than {LINES_MAX} lines"})
    problems: dict[str, str] = {}
    rules, places = [], []
    for number, cells in enumerate(lines[1:], 2):
        if not any(cell.strip() for cell in cells):
            continue
        place, found = f"line {number}", dict[str, str]()
        rule = _read_line(cells, found)
        problems.update({f"{place}: {name}" if name else place: said for name, said in found.items()})
        if rule is not None and not found:
            rules.append(rule)
            places.append(place)
        if len(problems) >= PROBLEMS_MAX:
            break
    if problems:
        raise InvalidFields(problems)
    return rules, places


def _read_line(cells: Sequence[str], problems: dict[str, str]) -> RuleWanted | None:
    if len(cells) != len(COLUMNS):
        problems[""] = f"must have {len(COLUMNS)} cells, and has {len(cells)}"
        return None
    for name, cell in zip(COLUMNS, cells, strict=True):
        if cell.startswith(STARTS) and not (name == "margin_percent" and _is_number(cell)):
            problems[name] = "begins like a formula"
    named = {name: cell.strip() for name, cell in zip(COLUMNS, cells, strict=True)}
    account, margin, floor = named["account"], named["margin_percent"], named["floor"]
    if account and not (account.isascii() and account.isdigit() and len(account) < 19 and int(account) > 0):
        problems.setdefault("account", "must be the id of an account, or empty")
    if not _is_number(margin):
        problems.setdefault("margin_percent", "must be a number such as 20 or 12.50")
    floor_paise = DEFAULT_FLOOR_PAISE
    try:
        floor_paise = parse_rupees(floor) if floor else DEFAULT_FLOOR_PAISE
    except NotAnAmount as problem:
        problems.setdefault("floor", str(problem))
    if problems:
        return None
    return RuleWanted(
        named["service"] or None, named["country"] or None, named["provider"] or None,
        int(account) if account else None, Decimal(margin), Paise(floor_paise),
    )  # fmt: skip


def _is_number(text: str) -> bool:
    digits = text.strip().removeprefix("-").replace(".", "", 1)
    if not (digits.isascii() and digits.isdigit() and len(digits) < 12):
        return False
    try:
        return Decimal(text.strip()).is_finite()
    except InvalidOperation:
        return False
