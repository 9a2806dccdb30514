"""Which folders of migrations are refused before anything is run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import numberdesk
from numberdesk.base.migrate import MigrationRefused, folder, read_folder


def write(place: Path, *names: str, sql: str = "SELECT 1;") -> Path:
    for name in names:
        (place / name).write_text(sql, encoding="utf-8")
    return place


@pytest.mark.parametrize(
    "name", ["0002_Fees.sql", "002_fees.sql", "0002-fees.sql", "0002_fees.sq", "0002_fees.SQL", "0002_.sql", "notes.md"]
)
def test_a_name_that_is_not_a_migrations_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(MigrationRefused, match=name.replace(".", r"\.")):
        read_folder(write(tmp_path, "0001_first.sql", name))


@pytest.mark.parametrize(
    ("names", "culprit"),
    [
        (("0002_second.sql",), "0002_second.sql"),
        (("0001_first.sql", "0003_third.sql"), "0003_third.sql"),
        (("0001_first.sql", "0002_one.sql", "0002_two.sql"), "0002_two.sql"),
        (("0000_zero.sql", "0001_first.sql"), "0000_zero.sql"),
    ],
)
def test_a_gap_or_a_number_used_twice_is_refused(tmp_path: Path, names: tuple[str, ...], culprit: str) -> None:
    with pytest.raises(MigrationRefused, match=culprit):
        read_folder(write(tmp_path, *names))


def test_no_folder_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MigrationRefused, match="no folder"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(MigrationRefused, match="no migrations"):
        read_folder(tmp_path)


@pytest.mark.parametrize("statement", ["BEGIN;", "  commit ;", "ROLLBACK;", "START TRANSACTION;", "COMMIT WORK;"])
def test_a_file_that_handles_transactions_itself_is_refused(tmp_path: Path, statement: str) -> None:
    with pytest.raises(MigrationRefused, match=r"0001_first\.sql begins or ends a transaction"):
        read_folder(write(tmp_path, "0001_first.sql", sql=f"SELECT 1;\n{statement}\nSELECT 2;"))


def test_an_index_built_without_a_transaction_must_be_repeatable(tmp_path: Path) -> None:
    sql = "-- no transaction\nCREATE UNIQUE INDEX CONCURRENTLY words_id ON words (id);"
    with pytest.raises(MigrationRefused, match="IF NOT EXISTS words_id"):
        read_folder(write(tmp_path, "0001_first.sql", sql=sql))


def test_line_ends_do_not_change_the_checksum(tmp_path: Path) -> None:
    (tmp_path / "0001_first.sql").write_bytes(b"SELECT 1;\nSELECT 2;\n")
    (before,) = read_folder(tmp_path)
    (tmp_path / "0001_first.sql").write_bytes(b"SELECT 1;\r\nSELECT 2;\r\n")
    (after,) = read_folder(tmp_path)
    assert after.checksum == before.checksum


def test_our_own_folder_is_in_order_and_hidden_files_do_not_count(tmp_path: Path) -> None:
    assert read_folder(folder())[0].file == "0001_accounts.sql"
    assert [item.file for item in read_folder(write(tmp_path, "0001_first.sql", ".0001_first.sql.swp"))] == [
        "0001_first.sql"
    ]


def test_an_installed_package_brings_its_migrations(tmp_path: Path) -> None:
    package = Path(numberdesk.__file__).parent
    shutil.copytree(package / "base", tmp_path / "numberdesk" / "base", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "numberdesk" / "__init__.py").touch()
    shutil.copytree(folder(), tmp_path / "numberdesk" / "migrations")
    answer = subprocess.run(
        [sys.executable, "-c", "from numberdesk.base.migrate import folder; print(folder())"],
        env={"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert answer.stdout.strip() == str(tmp_path / "numberdesk" / "migrations")
