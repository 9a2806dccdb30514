"""Verbs of reports: counting the rollups, and answering from them."""

from numberdesk.reports.service._count import count, rebuild
from numberdesk.reports.service._csv import csv_lines
from numberdesk.reports.service._read import (
    DAYS_MAX,
    PAGE_MAX,
    freshness,
    liabilities,
    lines,
    read,
    read_liabilities,
    read_page,
    today,
)

__all__ = [
    "DAYS_MAX",
    "PAGE_MAX",
    "count",
    "csv_lines",
    "freshness",
    "liabilities",
    "lines",
    "read",
    "read_liabilities",
    "read_page",
    "rebuild",
    "today",
]
