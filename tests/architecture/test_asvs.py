"""`docs/asvs.md` claims only what a test shows: every line names tests that exist."""

import re
from collections.abc import Callable
from functools import cache

import pytest

from tests.architecture.sources import ROOT, listed

DOCUMENT = ROOT / "docs" / "asvs.md"
_ROW = re.compile(r"^\|\s*\d+\.\d+\.\d+.*\|$", re.M)
_TEST = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
_DEFINED = re.compile(r"^(?:async )?def (test_\w+)\(", re.M)


def test_every_line_names_tests_that_exist() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert len(_ROW.findall(text)) > 30
    wrong = [*without_a_test(text), *missing(text, defined)]
    assert not wrong, listed(wrong, "Name a test that shows it, or move the row below the table.")


def test_no_row_stands_twice() -> None:
    rows = [row.split("|")[1].strip() for row in _ROW.findall(DOCUMENT.read_text(encoding="utf-8"))]
    assert len(rows) == len(set(rows))


@cache
def defined(name: str) -> frozenset[str]:
    """Return the names of the tests in a file; none where there is no such file."""
    path = ROOT / name
    return frozenset(_DEFINED.findall(path.read_text(encoding="utf-8"))) if path.is_file() else frozenset()


def without_a_test(text: str) -> list[str]:
    """Find rows that name no test in their last column, or that have not four columns."""
    rows = [(row, row.strip("|").split("|")) for row in _ROW.findall(text)]
    return [f"no test: {row}" for row, cells in rows if len(cells) != 4 or not _TEST.search(cells[3])]


def missing(text: str, tests_of: Callable[[str], frozenset[str]]) -> list[str]:
    """Find tests that are named and are not there."""
    return [f"{path}::{name}" for path, name in _TEST.findall(text) if name not in tests_of(path)]


@pytest.mark.parametrize(
    "row",
    [
        "| 6.2.1 | 1 | something | |",
        "| 6.2.1 | 1 | `tests/x.py::test_here` | nothing |",
        "| 6.2.1 | 1 | `tests/x.py::test_here` |",
        "| 6.2.1 | 1 | something | `tests/x.py::test_gone` |",
        "| 6.2.1 | 1 | something | `tests/x.py::test_here`, `tests/x.py::test_gone` |",
        "| 6.2.1 | 1 | something | `tests/y.py::test_here` |",
    ],
)
def test_the_rule_bites(row: str) -> None:
    there = {"tests/x.py": frozenset({"test_here"})}
    assert without_a_test(row) + missing(row, lambda path: there.get(path, frozenset()))


def test_the_rule_lets_a_right_row_pass_and_reads_real_files() -> None:
    here = "tests/architecture/test_asvs.py"
    row = f"| 6.2.1, 6.2.3 | 1 | something | `{here}::test_the_rule_bites` |"
    assert without_a_test(row) + missing(row, defined) == []
    made_up = row.replace("_bites", "_never_written")
    assert missing(made_up, defined) == [f"{here}::test_the_rule_never_written"]
    assert missing(row.replace("test_asvs.py", "test_nowhere.py"), defined) != []
