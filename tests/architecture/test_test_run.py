"""What `tests/conftest.py` promises to every test."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from numberdesk.base import clock
from numberdesk.base.db import Database, run, value
from numberdesk.settings import Settings, load
from tests import postgres
from tests.architecture.sources import sources

pytestmark = pytest.mark.anyio

FAR_AWAY = "192.0.2.1"
"""Source: RFC 5737, an address for documents that nobody has."""


def test_a_connection_out_of_this_machine_is_refused_and_noted(outside: list[str]) -> None:
    with socket.socket() as stream, pytest.raises(PermissionError, match=FAR_AWAY):
        stream.connect((FAR_AWAY, 80))
    with socket.socket(type=socket.SOCK_DGRAM) as datagram, pytest.raises(PermissionError):
        datagram.sendto(b"", (FAR_AWAY, 53))
    with socket.socket(socket.AF_INET6) as stream, pytest.raises(PermissionError):
        stream.connect_ex(("2001:db8::1", 80))
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("example.com", 80)
    assert [str(address).count(FAR_AWAY) for address in outside] == [1, 1, 0, 0]
    outside.clear()


async def test_our_http_client_is_refused_too(outside: list[str]) -> None:
    async with aiohttp.ClientSession() as session:
        for address in (f"http://{FAR_AWAY}/", "http://example.com/"):
            with pytest.raises((aiohttp.ClientError, PermissionError)):
                await session.get(address)
    assert len(outside) == 2
    outside.clear()


def test_nobodys_settings_reach_a_test() -> None:
    assert load() == Settings.model_construct()


def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path: Path) -> None:
    killed = subprocess.Popen([sys.executable, "-c", ""])
    killed.wait()
    left, mine, other = (
        tmp_path / name for name in (f"numberdesk-tests-{killed.pid}-a", f"numberdesk-tests-{os.getpid()}-b", "other")
    )
    for folder in (left, mine, other):
        (folder / "home" / "pg" / "data").mkdir(parents=True)
    postgres.remove_abandoned(mine)
    assert [folder.exists() for folder in (left, mine, other)] == [False, True, True]


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_this_machine_may_be_reached(family: socket.AddressFamily) -> None:
    host = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}[family]
    try:
        server = socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip(f"this machine has no {host}")
    with server, socket.create_connection(server.getsockname()[:2], timeout=5):
        pass


@pytest.mark.parametrize("time", ["first", "second"])
async def test_every_test_finds_empty_tables_and_first_numbers(db: Database, time: str) -> None:
    async with db.transaction() as tx:
        for table in ("postings", "entries", "accounts"):
            assert await value(tx, f"SELECT count(*) FROM {table}") == 0
        assert await value(tx, "SELECT version FROM catalogue_version") == 1
        posting = "INSERT INTO postings (kind, cause_type, cause_id) VALUES ('hold', 'order', $1) RETURNING id"
        assert await value(tx, posting, time) == 1
        entry = "INSERT INTO entries (posting_id, at, bucket, amount_paise) VALUES (1, $1, 'revenue', 1)"
        await run(tx, entry, clock.now())
        await run(tx, "INSERT INTO accounts (email, name) VALUES ('alice@example.com', 'Alice')")
        await run(tx, "UPDATE catalogue_version SET version = 7")


async def test_a_test_may_end_every_session(db: Database, admin_url: str) -> None:
    connection = await asyncpg.connect(admin_url)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await connection.close()


async def test_the_test_after_it_has_its_database_again(db: Database) -> None:
    async with db.statement() as tx:
        assert await value(tx, "SELECT current_user") == "numberdesk_app"


def test_no_test_ends_sessions_of_others() -> None:
    """Processes of one run share the server, so who ends sessions must say of which database."""
    wrong = [
        source.name
        for source in sources("tests")
        if re.search("pg_(terminate|cancel)_backend", source.text) and "datname = current_database()" not in source.text
    ]
    assert not wrong
