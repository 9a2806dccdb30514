"""What every test may ask for: a migrated PostgreSQL with empty tables; and what none may do: leave this machine."""

import ipaddress
import os
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from numberdesk.base.db import LOST, Database, open_database
from numberdesk.base.postgres import Cluster, running
from numberdesk.settings import Settings
from tests import postgres

# The database driver and PostgreSQL's programs read these.
DRIVER = ("HOST", "PORT", "USER", "PASSWORD", "PASSFILE", "DATABASE", "OPTIONS", "SERVICE", "SSLMODE", "APPNAME", "TZ")

_folder = pytest.StashKey[Path]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--receipts", type=int, default=2000, help="payments in the proof that each is credited once")
    parser.addoption(
        "--unknown", type=int, default=300, help="purchases in the proof that none is lost or bought twice"
    )


# One folder per run. With xdist the processes share it, and with it one cluster.


def pytest_configure(config: pytest.Config) -> None:
    given = getattr(config, "workerinput", {}).get("folder")
    config.stash[_folder] = Path(given) if given else postgres.make_folder()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["folder"] = str(node.config.stash[_folder])


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and _folder in config.stash:
        shutil.rmtree(config.stash[_folder], ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def _clear_environment() -> Iterator[None]:
    """Keep the settings of whoever runs the tests out of them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in Settings.model_fields:
            for spelling in (name, name.upper(), f"{name.upper()}_FILE"):
                patch.delenv(spelling, raising=False)
        for name in DRIVER:
            patch.delenv(f"PG{name}", raising=False)
        yield


@pytest.fixture(autouse=True)
def outside() -> Iterator[list[str]]:
    """Refuse every way out of this machine, and fail the test that tried, even if it swallowed the refusal.

    Yields the refused addresses, which a test of this very fixture may clear.
    """
    refused: list[str] = []

    def guarded(original: Callable[..., Any]) -> Callable[..., Any]:
        def guard(sock: socket.socket, *args: Any) -> Any:
            address = args[-1]
            if sock.family in (socket.AF_INET, socket.AF_INET6) and not _is_here(address[0]):
                refused.append(str(address))
                raise PermissionError(f"a test may not reach {address[0]}")
            return original(sock, *args)

        return guard

    def look_up(host: str | bytes | None, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name and not _is_address(name) and name != "localhost":
            refused.append(name)
            raise socket.gaierror(socket.EAI_NONAME, f"a test may not look up {name}")
        return original_look_up(host, *args, **kwargs)

    original_look_up = socket.getaddrinfo
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex", "sendto"):
            patch.setattr(socket.socket, name, guarded(getattr(socket.socket, name)))
        patch.setattr(socket, "getaddrinfo", look_up)
        yield refused
    assert not refused, f"the test tried to reach {', '.join(refused)}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_here(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host) in _HERE)


_HERE = (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    """An event loop in a thread of its own, for what lives longer than one test."""
    with start_blocking_portal("asyncio") as portal:
        yield portal


@pytest.fixture(scope="session")
def run_folder(request: pytest.FixtureRequest) -> Path:
    """The folder of this run, removed at its end; the server's user may pass it."""
    return request.config.stash[_folder]


@pytest.fixture(scope="session")
def cluster(portal: BlockingPortal, run_folder: Path) -> Iterator[Cluster]:
    """The PostgreSQL of this run; its own database is migrated and serves as template: never write to it."""
    postgres.remove_abandoned(run_folder)
    with portal.wrap_async_context_manager(running(run_folder / "home")) as cluster:
        portal.call(postgres.migrate_template, cluster)
        yield cluster


@pytest.fixture(scope="session")
def _database(cluster: Cluster, portal: BlockingPortal) -> Iterator[str]:
    """The name of this process's database."""
    name = f"numberdesk_{os.getpid()}"
    portal.call(lambda: postgres.make_database(cluster, name, template=postgres.TEMPLATE))
    yield name
    portal.call(postgres.drop_database, cluster, name)


@pytest.fixture(scope="session")
def _clean(cluster: Cluster, portal: BlockingPortal, _database: str) -> Iterator[Callable[[], None]]:
    url = postgres.in_database(cluster.admin_url, _database)
    connection = portal.call(postgres.connect_cleaner, url)
    statements = portal.call(postgres.write_cleaning, connection)

    def clean() -> None:
        nonlocal connection
        try:
            portal.call(connection.execute, statements)
        except (asyncpg.InternalClientError, *LOST):  # the test before ended every session
            connection = portal.call(postgres.connect_cleaner, url)
            portal.call(connection.execute, statements)

    yield clean
    portal.call(connection.close)


@pytest.fixture
def database_url(cluster: Cluster, _database: str, _clean: Callable[[], None]) -> str:
    """The address that web and worker use, of a migrated database with empty tables."""
    _clean()
    return postgres.in_database(cluster.app_url, _database)


@pytest.fixture
def owner_url(cluster: Cluster, _database: str, database_url: str) -> str:
    """The address of the owner of the same database: for migrations."""
    return postgres.in_database(cluster.owner_url, _database)


@pytest.fixture
def admin_url(cluster: Cluster, _database: str, database_url: str) -> str:
    """The address of the superuser in the same database: to end sessions and to look behind privileges."""
    return postgres.in_database(cluster.admin_url, _database)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """A pool on the same database, in the application's role."""
    db = await open_database(database_url, size=10, name="test")
    yield db
    await db.close()


@pytest.fixture
def new_owner_url(cluster: Cluster, portal: BlockingPortal, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of the owner of a database of this test alone, without any table."""
    name = f"numberdesk_{os.getpid()}_new"
    portal.call(lambda: postgres.make_database(cluster, name, template="template0"))
    yield postgres.in_database(cluster.owner_url, name)
    portal.call(postgres.drop_database, cluster, name)
