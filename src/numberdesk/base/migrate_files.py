"""The files of the migrations: where they are, how they are named, and what must not stand in them."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

_FILE = re.compile(r"(?P<number>\d{4})_(?P<name>[a-z0-9]+(_[a-z0-9]+)*)\.sql")
_OWN_TRANSACTION = re.compile(r"^\s*(BEGIN|START|COMMIT|ROLLBACK)(\s+(TRANSACTION|WORK))?\s*;", re.I | re.M)
BUILT_CONCURRENTLY = re.compile(
    r"^\s*CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?P<safe>IF\s+NOT\s+EXISTS\s+)?(?P<index>\w+)", re.I | re.M
)


class MigrationRefused(RuntimeError):
    """Nothing was run: the files, or what the database remembers of them, are not in order; `str()` says which."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """What every migration has, wherever it stands."""

    number: int
    name: str

    @property
    def file(self) -> str:
        return f"{self.number:04}_{self.name}.sql"


@dataclass(frozen=True, slots=True)
class Migration(Numbered):
    """A file as it was read."""

    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def is_transaction(self) -> bool:
        return self.sql.partition("\n")[0].strip().lower() != "-- no transaction"


def folder() -> Path:
    """Return the folder of our migrations: inside the package once installed, else at the repository's root."""
    packaged = Path(__file__).resolve().parents[1] / "migrations"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[3] / "migrations"


def read_folder(folder: Path) -> list[Migration]:
    """Read all migrations in order.

    Raises:
        MigrationRefused: a name is not of the form `0001_words_of_it.sql`, a number is missing or used twice, or a
            file holds what could leave it half applied.
    """
    if not folder.is_dir():
        raise MigrationRefused(f"There is no folder of migrations {folder}.")
    files: list[Migration] = []
    for path in sorted(item for item in folder.iterdir() if not item.name.startswith(".")):
        found = _FILE.fullmatch(path.name)
        if found is None:
            raise MigrationRefused(f"{path.name} in {folder} is not named like a migration, such as 0001_accounts.sql.")
        # Line ends are read as \n, so that a checkout that changes them does not change the checksum.
        files.append(Migration(int(found["number"]), found["name"], path.read_text(encoding="utf-8")))
    if not files:
        raise MigrationRefused(f"There are no migrations in {folder}.")
    for expected, migration in enumerate(files, start=1):
        if migration.number != expected:
            raise MigrationRefused(
                f"{migration.file} in {folder} stands where number {expected:04} belongs: "
                "migrations are numbered from 0001 without gaps, and no number is used twice."
            )
        _refuse_unsafe(migration)
    return files


def _refuse_unsafe(migration: Migration) -> None:
    if migration.is_transaction and _OWN_TRANSACTION.search(migration.sql):
        raise MigrationRefused(
            f"{migration.file} begins or ends a transaction: a file is one transaction already, and must stay one."
        )
    built = BUILT_CONCURRENTLY.search(migration.sql)
    if not migration.is_transaction and built and not built["safe"]:
        raise MigrationRefused(
            f"{migration.file} may have to run twice, as no transaction protects it: "
            f"write CREATE INDEX CONCURRENTLY IF NOT EXISTS {built['index']}."
        )
