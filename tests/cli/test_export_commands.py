"""`export`: everything of one moment, in files that a spreadsheet cannot be tricked by, and no secret in them."""

import csv
import json
import stat
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.base.db import open_database
from numberdesk.monitoring import service as monitoring
from numberdesk.monitoring.service import EXPORTS
from tests.cli.conftest import Install, Installation, asked

NAMES = [
    '=HYPERLINK("http://x")',
    "+1",
    "-1+1",
    "@sum",
    "\tx",
    "  =1+1",
    "Asha, the first",
    'a "quoted" one',
    "अशा",
    "line\nend",
]
"""Names that customers gave themselves."""


@pytest.fixture(scope="module")
def installation(install: Install, portal: BlockingPortal) -> Installation:
    """A database with customers of odd names, money, an order and a message."""
    made = install()
    made.shell.succeed("seed", "--users", str(len(NAMES)), "--balance", "100", "--keys-file", "keys")
    quoted = ", ".join(f"($n${name}$n$, {number})" for number, name in enumerate(NAMES, start=1))
    change = f"UPDATE accounts SET name = n FROM (VALUES {quoted}) AS odd (n, i) WHERE id = i RETURNING 1"
    assert len(asked(portal, made.owner_url, change)) == len(NAMES)
    return made


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_table_is_written_whole_and_formulas_are_text(installation: Installation, portal: BlockingPortal) -> None:
    told = installation.shell.succeed("export", "all")
    folder = installation.shell.folder / "all"
    assert {path.name for path in folder.iterdir()} == {f"{name}.csv" for name in EXPORTS}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    accounts = read(folder / "accounts.csv")
    assert [row["name"] for row in accounts] == [f"'{name}" for name in NAMES[:6]] + NAMES[6:]
    assert {row["available_paise"] for row in accounts} == {"10000"}
    ledger = read(folder / "ledger.csv")
    assert sum(int(row["amount_paise"]) for row in ledger) == 0
    assert len(ledger) == 2 * len(NAMES)
    assert f"{len(ledger)} rows" in told
    for name in EXPORTS:
        head = (folder / f"{name}.csv").read_bytes().split(b"\r\n")[0].decode()
        assert head == ",".join(EXPORTS[name].columns)


def test_lines_of_json_hold_the_same_as_they_are(installation: Installation) -> None:
    installation.shell.succeed("export", "lines", "--format", "jsonl", "--what", "accounts", "--what", "ledger")
    folder = installation.shell.folder / "lines"
    assert {path.name for path in folder.iterdir()} == {"accounts.jsonl", "ledger.jsonl"}
    found = [json.loads(line) for line in (folder / "accounts.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["name"] for row in found] == NAMES
    assert all(isinstance(row["available_paise"], int) for row in found)


def test_no_secret_and_no_message_is_in_any_column(installation: Installation, portal: BlockingPortal) -> None:
    columns = {name for item in EXPORTS.values() for name in item.columns}
    assert not columns & {"password_hash", "phone", "secret_hash", "telegram_chat_id", "raw", "body", "code", "text"}
    installation.shell.succeed("export", "again")
    written = "".join(path.read_text() for path in (installation.shell.folder / "again").iterdir())
    keys = (installation.shell.folder / "keys").read_text().split()
    hashes = asked(portal, installation.owner_url, "SELECT encode(secret_hash, 'hex') FROM api_keys")
    assert not [secret for secret in {*installation.secrets, *keys, *hashes} if secret in written]


@pytest.mark.parametrize("page_size", [1, 3, 1000])
def test_pages_of_any_size_give_each_row_once(
    installation: Installation, portal: BlockingPortal, page_size: int
) -> None:
    async def work() -> dict[str, list[tuple[object, ...]]]:
        db = await open_database(installation.app_url, size=2)
        try:
            async with db.snapshot() as tx:
                return {
                    name: [row async for page in monitoring.export(tx, name, page_size=page_size) for row in page]
                    for name in EXPORTS
                }
        finally:
            await db.close()

    found = portal.call(work)
    assert len(found["accounts"]) == len(set(found["accounts"])) == len(NAMES)
    assert len(found["ledger"]) == len(set(found["ledger"])) == 2 * len(NAMES)
    assert all(len(row) == len(EXPORTS[name].columns) for name in EXPORTS for row in found[name])


def test_what_cannot_be_exported_is_refused(installation: Installation) -> None:
    run = installation.shell.run
    (installation.shell.folder / "full").mkdir(exist_ok=True)
    (installation.shell.folder / "full" / "x").write_text("precious")
    assert "full is not empty" in run("export", "full").sentence
    assert "keys cannot be used: File exists" in run("export", "keys").sentence
    assert "--what must be one of" in run("export", "new", "--what", "secrets").sentence
    assert run("export", "new", "--format", "xml").sentence == "--format must be csv or jsonl."
    assert not (installation.shell.folder / "new").exists()
