"""`docs/payments.md` claims only what a test shows: every line of its table names tests that exist."""

import re

from tests.architecture.sources import ROOT, listed
from tests.architecture.test_asvs import defined, missing

DOCUMENT = ROOT / "docs" / "payments.md"
HEADING = "## What goes wrong elsewhere, and the test that holds it here"
TRAPS = 11


def rows() -> list[str]:
    table = DOCUMENT.read_text(encoding="utf-8").partition(HEADING)[2]
    return [line for line in table.splitlines() if (line.startswith("| ") and "::" in line) or line.count("|") == 3][2:]


def test_every_line_names_tests_that_exist() -> None:
    found = rows()
    assert len(found) > 25
    without = [row for row in found if not re.search(r"`tests/\w+/\w+\.py::test_\w+`", row)]
    assert not without, listed(without, "Name a test that shows it.")
    gone = missing("\n".join(found), defined)
    assert not gone, listed(gone, "The test is not there any more: name the one that shows it now.")


def test_every_trap_of_the_chain_has_a_test_by_its_number() -> None:
    named = defined("tests/payments/test_trongrid.py")
    assert [n for n in range(1, TRAPS + 1) if not any(f"trap_{n:02}_" in name for name in named)] == []
