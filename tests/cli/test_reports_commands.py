"""`reports show` and `reports rebuild`: figures in a table or as CSV, and counting all of it again."""

import csv
import io

import pytest

from tests.cli.conftest import Install, Installation
from tests.cli.test_statistics_commands import lines


@pytest.fixture(scope="module")
def installation(install: Install, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """A database with a customer who has 50 rupees."""
    found = install()
    keys = tmp_path_factory.mktemp("keys") / "keys"
    found.shell.succeed("seed", "--users", "1", "--balance", "50", "--keys-file", str(keys))
    return found


def test_reports_are_shown_once_they_are_counted(installation: Installation) -> None:
    run = installation.shell.succeed
    told = run("reports", "show", "topups")
    assert "Nothing was counted in these days." in told
    assert "Nothing was counted yet" in told
    assert "Now: 50.00, of which held: 0.00." in run("reports", "show", "liabilities")
    assert "Counted again:" in run("reports", "rebuild")
    told = run("reports", "show", "topups", "--period", "total", "--zone", "utc")
    assert lines(told)[1][1:5] == ["staff", "", "1", "50.00"]
    assert "Counted until" in told
    assert "Nothing was counted in these days." in run("reports", "show", "revenue", "--by", "provider")


def test_csv_goes_to_the_standard_output(installation: Installation) -> None:
    installation.shell.succeed("reports", "rebuild")
    text = installation.shell.succeed("reports", "show", "liabilities", "--from", "2026-01-01", "--csv")
    rows = [*csv.DictReader(io.StringIO(text))]
    assert rows[0] == {"period": "2026-01-01", "available": "0.00", "held": "0.00", "suspense": "0.00", "total": "0.00"}
    assert rows[-1]["total"] == "50.00"
    installation.shell.succeed("reports", "show", "revenue", "--by", "none", "--csv")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--from", "today"), "--from: 'today' is no day"),
        (("--to", "2026-02-30"), "--to: '2026-02-30' is no day"),
        (("--by", "customer"), "--by: 'customer' is none of"),
        (("--provider", "nobody"), "provider 'nobody'"),
        (("--from", "2026-02-02", "--to", "2026-02-01"), "must not be before from"),
    ],
)
def test_bad_questions_end_with_a_sentence(
    installation: Installation, arguments: tuple[str, ...], sentence: str
) -> None:
    assert sentence in installation.shell.run("reports", "show", "revenue", *arguments).sentence


def test_a_report_that_does_not_exist_is_told(installation: Installation) -> None:
    assert installation.shell.run("reports", "show", "profit").code == 2
