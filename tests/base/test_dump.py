"""Dumps by PostgreSQL's programs: no password where others see it, and a failure is told in few of their words."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from numberdesk.base.dump import DumpFailed, dump, find_programs, restore
from numberdesk.base.postgres_place import PostgresUnavailable

URL = "postgresql://owner:s%40cret@db.test:5433/desk?sslmode=disable"
IN_QUERY = "postgresql://owner@/desk?host=%2Frun&password=s%40cret"
OLD, NEW = 150_018, 180_006
TIMEOUT = (
    'pg_restore: error: could not execute query: ERROR:  unrecognized configuration parameter "transaction_timeout"'
)
OTHER = "pg_restore: error: could not execute query: ERROR:  relation exists\nDETAIL: asha@example.com"
WARNING = "pg_restore: warning: errors ignored on restore: 1"

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make a folder of programs that write down how they were called, and end as told."""

    def make(*, says: str = "", code: int = 0) -> Path:
        for name in ("pg_dump", "pg_restore"):
            lines = ["#!/bin/sh", f'echo "$@" "|" "$PGPASSWORD" > {tmp_path}/called', f"cat <<'END' >&2\n{says}\nEND"]
            lines += ["cat > /dev/null", "echo content"] if name == "pg_restore" else ["echo content"]
            (tmp_path / name).write_text("\n".join([*lines, f"exit {code}"]))
            (tmp_path / name).chmod(0o700)
        return tmp_path

    return make


def dumped(programs: Path, url: str = URL) -> bytes:
    async def work() -> bytes:
        chunks = dump(programs, url, snapshot="00000003-1", environment={"PATH": "/usr/bin:/bin"})
        return b"".join([chunk async for chunk in chunks])

    return asyncio.run(work())


def restored(programs: Path, server: int) -> None:
    environment = {"PATH": "/usr/bin:/bin"}
    asyncio.run(restore(programs, URL, [b"x" * 100_000] * 20, server=server, environment=environment))


@pytest.mark.parametrize("url", [URL, IN_QUERY])
def test_the_password_is_never_an_argument(make: Make, url: str) -> None:
    programs = make()
    assert dumped(programs, url) == b"content\n"
    arguments, _, password = (programs / "called").read_text().strip().partition(" | ")
    assert password == "s@cret"
    assert "cret" not in arguments
    assert "--snapshot=00000003-1" in arguments
    place = "db.test:5433/desk?sslmode=disable" if url == URL else "/desk?host=%2Frun"
    assert f"--dbname=postgresql://owner@{place}" in arguments


def test_a_new_server_gets_everything_or_nothing(make: Make) -> None:
    programs = make()
    restored(programs, NEW)
    assert "--single-transaction --exit-on-error" in (programs / "called").read_text()
    with pytest.raises(DumpFailed, match=r"ERROR:  relation exists\. Nothing of it was kept"):
        restored(make(says=OTHER, code=1), NEW)


def test_an_old_server_is_forgiven_the_one_setting_that_it_does_not_know(make: Make) -> None:
    restored(make(says=f"{TIMEOUT}\n{WARNING}", code=1), OLD)
    for says in (f"{TIMEOUT}\n{OTHER}\n{WARNING}", OTHER):
        with pytest.raises(DumpFailed, match="Part of it is there: empty the database again"):
            restored(make(says=says, code=1), OLD)
    with pytest.raises(DumpFailed):
        restored(make(says=TIMEOUT, code=1), NEW)


def test_a_program_that_fails_is_heard_without_what_may_be_a_row(make: Make) -> None:
    with pytest.raises(DumpFailed) as found:
        dumped(make(says="pg_dump: error: no room\npg_dump: detail: COPY accounts asha@example.com", code=1))
    assert str(found.value) == "The database could not be dumped. pg_dump says: no room."


def test_programs_are_found_where_they_are_named_and_nowhere_else(make: Make, tmp_path: Path) -> None:
    assert find_programs(make()) == tmp_path
    (tmp_path / "pg_restore").unlink()
    with pytest.raises(PostgresUnavailable, match="does not hold pg_dump and pg_restore"):
        find_programs(tmp_path)
