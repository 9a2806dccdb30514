"""What the tests of the commands may ask for: databases of their own, a provider, and shells that know them."""

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.base import crypto
from numberdesk.base.migrate import folder, migrate
from numberdesk.base.postgres import Cluster
from numberdesk.providers import simulator
from numberdesk.providers.simulator import Simulator
from tests import postgres
from tests.cli.shell import Forge, Shell, forged

SALT = "salt-of-the-tests-of-commands"
JWT_SECRET = "signs the tokens of the tests of commands: 0123456789"
PROVIDER_KEY = "key-at-the-simulator"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Installation:
    """A database and a shell whose environment leads to it."""

    shell: Shell
    app_url: str
    owner_url: str
    admin_url: str
    encryption_key: str

    @property
    def secrets(self) -> set[str]:
        """What no command may write unless asked for it."""
        passwords = {url.partition("@")[0].rpartition(":")[2] for url in (self.app_url, self.owner_url)}
        return {SALT, JWT_SECRET, PROVIDER_KEY, self.encryption_key, *passwords}


Install = Callable[..., Installation]


def asked(portal: BlockingPortal, url: str, query: str) -> Any:
    """Return the first column of a query's rows."""

    async def work() -> Any:
        connection = await asyncpg.connect(url)
        found = [row[0] for row in await connection.fetch(query)]
        await connection.close()
        return found

    return portal.call(work)


@pytest.fixture(scope="session")
def forge() -> Iterator[Forge]:
    """What makes processes of the command."""
    with forged() as forge:
        yield forge


@pytest.fixture(scope="module")
def install(portal: BlockingPortal, cluster: Cluster, run_folder: Path, forge: Forge) -> Iterator[Install]:
    """Make databases, each with a shell: migrated, or empty when asked for."""
    made: list[str] = []

    def make(*, is_migrated: bool = True) -> Installation:
        name = f"numberdesk_{os.getpid()}_cli_{next(_numbers)}"
        portal.call(lambda: postgres.make_database(cluster, name, template="template0"))
        made.append(name)
        app, owner, admin = (
            postgres.in_database(url, name) for url in (cluster.app_url, cluster.owner_url, cluster.admin_url)
        )
        if is_migrated:
            portal.call(lambda: migrate(owner, folder=folder()))
        place = run_folder / name
        place.mkdir()
        key = crypto.new_key()
        environment = {
            "DATABASE_URL": app, "DATABASE_OWNER_URL": owner, "API_KEY_SALT": SALT, "JWT_SECRET": JWT_SECRET,
            "ENCRYPTION_KEYS": key,
        }  # fmt: skip
        return Installation(Shell(forge, place, environment), app, owner, admin, key)

    yield make
    for name in made:
        portal.call(postgres.drop_database, cluster, name)


@pytest.fixture(scope="module")
def provider(portal: BlockingPortal) -> Iterator[Simulator]:
    """A simulated provider."""
    running = portal.call(
        lambda: simulator.start(
            api_key=PROVIDER_KEY, record_path=None, profile="never", min_cancel_age=timedelta(), balance="123.45"
        )
    )
    yield running
    portal.call(running.stop)


@pytest.fixture(scope="module")
def installation(install: Install, provider: Simulator) -> Installation:
    """A database with one provider."""
    found = install()
    found.shell.succeed("provider", "add", "alpha", "--url", provider.url, "--api-key", PROVIDER_KEY)
    return found


@pytest.fixture
def tamper(portal: BlockingPortal) -> Callable[[str, str], None]:
    """Change rows behind the back of all rules."""

    async def work(url: str, query: str) -> None:
        connection = await asyncpg.connect(url, server_settings={"session_replication_role": "replica"})
        await connection.execute(query)
        await connection.close()

    return lambda url, query: portal.call(work, url, query)
