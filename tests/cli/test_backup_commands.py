"""`backup` and `restore`: what comes back is what was there, and what cannot be used is refused with a sentence."""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.base import crypto, postgres_process
from numberdesk.base.backup_file import SUMS
from numberdesk.base.migrate import folder, migrate
from numberdesk.settings import child_environment
from tests.cli.conftest import Install, Installation, asked
from tests.cli.shell import FIXED, Ended, mode_of

PASSPHRASE = "a passphrase of these tests"
IN_ORDER = "SELECT balance_after_paise FROM entries WHERE account_id IS NOT NULL ORDER BY account_id, version"


@pytest.fixture(scope="module")
def source(install: Install) -> Installation:
    """An installation with customers and money; its key has sealed a provider's."""
    made = install()
    made.shell.succeed("seed", "--users", "30", "--balance", "12.50", "--keys-file", "keys")
    made.shell.succeed(
        *["provider", "add", "alpha", "--url", "http://127.0.0.1:9", "--api-key", "key-at-the-simulator"]
    )
    (made.shell.folder / "passphrase").write_text(f"{PASSPHRASE}\n")
    return made


@pytest.fixture(scope="module")
def plain(source: Installation) -> Path:
    """A backup without a passphrase."""
    source.shell.succeed("backup", "plain.backup")
    return source.shell.folder / "plain.backup"


@pytest.fixture(scope="module")
def sealed(source: Installation) -> Path:
    """A backup whose secrets a passphrase seals."""
    source.shell.succeed("backup", "sealed.backup", "--passphrase-file", "passphrase")
    return source.shell.folder / "sealed.backup"


@pytest.fixture
def home(source: Installation, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The path of a home that does not exist; what runs in it is stopped."""
    path = source.shell.folder / f"home-{abs(hash(request.node.name))}"
    yield path
    if (path / "pg").exists():
        postgres_process.stop(path / "pg")


def rewritten(path: Path, to: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Copy a backup with another manifest, its sums made anew: only the manifest tells what is wrong with it."""
    with tarfile.open(path) as archive:
        parts = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    manifest = json.loads(parts["manifest.json"])
    change(manifest)
    parts["manifest.json"] = json.dumps(manifest).encode()
    return packed(parts, to)


def packed(parts: dict[str, bytes], to: Path) -> Path:
    """Write parts as a backup whose sums are right."""
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in parts.items() if name != SUMS}
    parts[SUMS] = "".join(f"{value}  {name}\n" for name, value in sums.items()).encode()
    with tarfile.open(to, "w") as archive:
        for name, content in parts.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return to


def restored(source: Installation, path: Path, home: Path, *words: str, **settings: str) -> Ended:
    """Restore into a home with a database of its own."""
    cleared = dict.fromkeys(("DATABASE_URL", "DATABASE_OWNER_URL", "API_KEY_SALT", "JWT_SECRET", "ENCRYPTION_KEYS"), "")
    return source.shell.run("restore", str(path), "--home", str(home), *words, **(cleared | settings))


def refused(source: Installation, path: Path, home: Path, *words: str, **settings: str) -> str:
    """Restore what cannot be restored; returns the sentence, and sees that nothing was made."""
    done = restored(source, path, home, *words, **settings)
    assert done.code == 1, done
    assert done.err.startswith("numberdesk: ")
    assert done.err.count("\n") == 1, done
    assert not home.exists()
    return done.err


def test_a_backup_comes_back_in_a_new_home_with_everything_and_its_ids_go_on_later(
    source: Installation, plain: Path, home: Path, portal: BlockingPortal
) -> None:
    assert mode_of(plain) == 0o600
    done = restored(source, plain, home)
    assert (done.code, done.err) == (0, ""), done
    assert "The backup is restored" in done.out
    assert "the ledger is right" in done.out
    assert mode_of(home / "secrets.json") == 0o600
    before = asked(portal, source.owner_url, IN_ORDER)
    alone = {"DATABASE_URL": "", "DATABASE_OWNER_URL": "", "API_KEY_SALT": "", "ENCRYPTION_KEYS": "", "JWT_SECRET": ""}
    with source.shell.started("worker", "--home", str(home), **alone) as worker:
        worker.says("The worker runs")
        url = source.shell.succeed("db", "uri", "--owner", "--home", str(home), **alone).strip()
        assert asked(portal, url, IN_ORDER) == before
        assert len(before) == 30
        (newest,) = asked(portal, url, "SELECT max(id) FROM accounts")
        source.shell.succeed("seed", "--users", "1", "--balance", "1", "--keys-file", "k", "--home", str(home), **alone)
        (after,) = asked(portal, url, "SELECT max(id) FROM accounts")
        assert after > newest + 1_000_000
        assert asked(portal, url, "SELECT count(*) FROM audit_log WHERE action = 'backup_restored'") == [1]
    assert "is not empty" in restored(source, plain, home).err


def test_a_backup_comes_back_in_a_given_database_that_is_empty_and_in_no_other(
    source: Installation, plain: Path, home: Path, install: Install, portal: BlockingPortal
) -> None:
    empty = install(is_migrated=False)
    urls = {"DATABASE_URL": empty.app_url, "DATABASE_OWNER_URL": empty.owner_url}
    done = restored(source, plain, home, "--exact", **urls)
    assert (done.code, done.err) == (0, ""), done
    assert "left out" not in done.out
    assert [path.name for path in home.iterdir()] == ["secrets.json"]
    assert asked(portal, empty.owner_url, IN_ORDER) == asked(portal, source.owner_url, IN_ORDER)
    counters = "SELECT coalesce(last_value, 0) FROM pg_sequences WHERE sequencename <> 'audit_log_id_seq' ORDER BY 1"
    assert asked(portal, empty.owner_url, counters) == asked(portal, source.owner_url, counters)
    other = home.with_name(f"{home.name}-other")
    assert "is not empty" in refused(source, plain, other, **urls)


def test_a_passphrase_seals_the_secrets_and_only_it_opens_them(
    source: Installation, sealed: Path, home: Path, portal: BlockingPortal, install: Install
) -> None:
    content = sealed.read_bytes()
    assert not [secret for secret in source.secrets | {PASSPHRASE} if secret.encode() in content]
    assert "name their passphrase with --passphrase-file" in refused(source, sealed, home)
    (source.shell.folder / "wrong").write_text("another passphrase")
    (source.shell.folder / "short").write_text("short")
    assert "The passphrase is wrong" in refused(source, sealed, home, "--passphrase-file", "wrong")
    assert "at least 12 characters" in refused(source, sealed, home, "--passphrase-file", "short")
    assert "No such file" in refused(source, sealed, home, "--passphrase-file", "missing")
    empty = install(is_migrated=False)
    urls = {"DATABASE_URL": empty.app_url, "DATABASE_OWNER_URL": empty.owner_url}
    done = restored(source, sealed, home, "--passphrase-file", "passphrase", **urls)
    assert done.code == 0, done
    assert json.loads((home / "secrets.json").read_text())["encryption_keys"] == source.encryption_key


def test_another_database_cannot_be_put_under_sealed_secrets(
    source: Installation, plain: Path, sealed: Path, home: Path
) -> None:
    source.shell.succeed("backup", "later.backup")
    with tarfile.open(source.shell.folder / "later.backup") as archive:
        other = archive.extractfile("database.dump").read()  # type: ignore[union-attr]
    with tarfile.open(sealed) as archive:
        parts = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    parts["database.dump"] = other
    manifest = json.loads(parts["manifest.json"])
    manifest["sha256"]["database.dump"] = hashlib.sha256(other).hexdigest()
    parts["manifest.json"] = json.dumps(manifest).encode()
    swapped = packed(parts, source.shell.folder / "swapped.backup")
    assert "was changed" in refused(source, swapped, home, "--passphrase-file", "passphrase")


def _newer(manifest: dict[str, Any]) -> None:
    manifest["migrations"]["9999_future.sql"] = "0" * 64
    manifest["numberdesk"] = "99.0.0"


def _other(manifest: dict[str, Any]) -> None:
    manifest["migrations"]["0002_wallet.sql"] = "0" * 64


WRONG: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "newer version": (_newer, "version 99.0.0, which is newer than this one"),
    "newer form": (lambda manifest: manifest.update(form=2), "was made by a newer version"),
    "other migration": (_other, "another 0002_wallet.sql"),
    "no fields": (lambda manifest: manifest.pop("rows"), "its manifest.json cannot be read"),
    "other sums": (lambda manifest: manifest["sha256"].update({"database.dump": "0"}), "names other parts"),
    "other secrets": (lambda manifest: manifest["fingerprints"].update({"jwt_secret": ["0"]}), "its secrets are not"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_manifest_that_does_not_fit_is_refused(source: Installation, plain: Path, home: Path, name: str) -> None:
    change, words = WRONG[name]
    assert words in refused(source, rewritten(plain, source.shell.folder / "changed.backup", change), home)


def test_a_damaged_file_is_refused_before_anything_is_made(source: Installation, plain: Path, home: Path) -> None:
    content = plain.read_bytes()
    damaged = source.shell.folder / "damaged.backup"
    damaged.write_bytes(content[: len(content) // 2])
    assert "is not whole: its end is missing" in refused(source, damaged, home)
    damaged.write_bytes(content[:5000] + bytes([content[5000] ^ 1]) + content[5001:])
    assert "is damaged: database.dump is not what was written" in refused(source, damaged, home)
    assert "is damaged" in source.shell.run("restore", str(damaged), "--check").err


def test_a_file_can_be_checked_alone(source: Installation, sealed: Path) -> None:
    told = source.shell.succeed("restore", str(sealed), "--check", "--passphrase-file", "passphrase")
    assert "is whole: the state of 20" in told


def test_an_environment_with_other_secrets_is_refused(source: Installation, plain: Path, home: Path) -> None:
    key = crypto.new_key()
    assert "ENCRYPTION_KEYS is set to another value" in refused(source, plain, home, ENCRYPTION_KEYS=key)
    assert "Name a new home" in source.shell.run("restore", str(plain)).err


def test_counts_that_differ_are_told_and_the_command_fails(
    source: Installation, plain: Path, home: Path, install: Install
) -> None:
    def change(manifest: dict[str, Any]) -> None:
        manifest["rows"]["postings"] += 1

    empty = install(is_migrated=False)
    fewer = rewritten(plain, source.shell.folder / "fewer.backup", change)
    urls = {"DATABASE_URL": empty.app_url, "DATABASE_OWNER_URL": empty.owner_url}
    done = restored(source, fewer, home, **urls)
    assert done.code == 1
    assert "WRONG postings: 30 rows, but the backup had 31" in done.out
    assert "but 1 checks failed" in done.err


def test_a_backup_is_made_into_a_folder_and_never_over_a_file(source: Installation, plain: Path) -> None:
    many = source.shell.folder / "many"
    many.mkdir()
    assert "readable by whoever has the file" in source.shell.succeed("backup", "many")
    (made,) = many.iterdir()
    assert made.name.startswith("numberdesk-20")
    assert "exists already" in source.shell.run("backup", str(plain)).sentence
    assert "No such file or directory" in source.shell.run("backup", "nowhere/x.backup").sentence
    assert "ENCRYPTION_KEYS must be set" in source.shell.run("backup", "x.backup", ENCRYPTION_KEYS="").sentence
    assert not list(source.shell.folder.glob(".*.part"))


def test_a_dump_that_fails_half_way_is_told_in_its_own_words_and_leaves_nothing(source: Installation) -> None:
    programs = source.shell.folder / "programs"
    programs.mkdir()
    assert "does not hold pg_dump" in source.shell.run("backup", "x.backup", PG_BIN="programs").sentence
    words = "pg_dump: error: the server went away\npg_dump: detail: COPY accounts (asha@example.com)"
    for name in ("pg_dump", "pg_restore"):
        (programs / name).write_text(f"#!/bin/sh\necho half\necho '{words}' >&2\nexit 1\n")
        (programs / name).chmod(0o700)
    done = source.shell.run("backup", "x.backup", PG_BIN="programs")
    assert done.code == 1
    assert done.err.endswith("pg_dump says: the server went away.\n")
    assert not list(source.shell.folder.glob("*x.backup*"))


def test_a_restore_that_was_cut_off_leaves_a_home_that_nothing_works_on(
    source: Installation, plain: Path, home: Path, install: Install
) -> None:
    empty = install(is_migrated=False)
    programs = source.shell.folder / "broken"
    programs.mkdir()
    for name in ("pg_dump", "pg_restore"):
        (programs / name).write_text("#!/bin/sh\nexec false\n")
        (programs / name).chmod(0o700)
    urls = {"DATABASE_URL": empty.app_url, "DATABASE_OWNER_URL": empty.owner_url}
    done = restored(source, plain, home, **urls, PG_BIN=str(programs))
    assert done.code == 1
    assert "could not be restored" in done.err
    assert "is not usable: remove it before the next try" in done.out
    for command in (["ledger", "verify"], ["serve", "--port", "0"], ["migrate"]):
        refusal = source.shell.run(*command, "--home", str(home), **urls).sentence
        assert "was not restored to its end: remove it, and restore the backup again" in refusal


def test_a_full_disk_ends_it_with_a_sentence_and_leaves_nothing(source: Installation) -> None:
    command = f"ulimit -f 16; exec {sys.executable} -m numberdesk backup full.backup"
    environment = child_environment(**{**FIXED, **source.shell.settings})
    done = subprocess.run(
        ["sh", "-c", command], cwd=source.shell.folder, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.endswith("full.backup cannot be written: File too large. Nothing was kept of it.\n"), done
    assert not list(source.shell.folder.glob("*full.backup*"))


def test_a_database_of_an_older_version_is_backed_up_as_it_is_and_migrated_when_it_is_restored(
    install: Install, source: Installation, home: Path, portal: BlockingPortal, tmp_path: Path
) -> None:
    old, empty = install(is_migrated=False), install(is_migrated=False)
    *files, newest = sorted(folder().glob("*.sql"))
    for path in files:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    portal.call(lambda: migrate(old.owner_url, folder=tmp_path))
    old.shell.succeed("backup", "old.backup")
    urls = {"DATABASE_URL": empty.app_url, "DATABASE_OWNER_URL": empty.owner_url}
    done = restored(source, old.shell.folder / "old.backup", home, **urls)
    assert (done.code, done.err) == (0, ""), done
    assert f"{newest.name} applied in " in done.out
    asked(portal, old.owner_url, "INSERT INTO schema_migrations VALUES (9999, 'future', 'x', now(), 1) RETURNING 1")
    assert "was migrated by another version, as 9999_future.sql shows" in old.shell.run("backup", "x.backup").sentence


def test_ids_are_left_out_after_a_restore_by_other_means(install: Install, portal: BlockingPortal) -> None:
    made = install()
    made.shell.succeed("seed", "--users", "1", "--balance", "1", "--keys-file", "keys")
    assert "1,000,000 ids are left out" in made.shell.succeed("db", "skip")
    made.shell.succeed("seed", "--users", "1", "--balance", "1", "--keys-file", "keys")
    first, second = asked(portal, made.owner_url, "SELECT id FROM accounts WHERE sandbox_of IS NULL ORDER BY id")
    assert second > first + 1_000_000
