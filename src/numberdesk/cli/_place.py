"""Where a command works: its settings, its home folder, its database and its secrets."""

import asyncio
import json
import os
import re
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import typer
import uvloop
from pydantic import SecretStr
from rich.console import Console

from numberdesk import __version__
from numberdesk.base import crypto, log, postgres, telemetry
from numberdesk.base.db import Database, open_database
from numberdesk.base.errors import Unavailable
from numberdesk.base.migrate import folder, refuse_unready
from numberdesk.settings import BadSettings, Settings, load

T = TypeVar("T")

HOME = typer.Option(
    None, "--home", help="Folder of the embedded database and its secrets. Default: NUMBERDESK_HOME, or .numberdesk"
)
DEFAULT_HOME = Path(".numberdesk")
SECRETS = "secrets.json"
UNFINISHED = "restoring"
"""A file that stands in a home while it is filled from a backup."""

STORED: dict[str, Callable[[], str]] = {
    "api_key_salt": partial(secrets.token_urlsafe, 32),
    "encryption_keys": crypto.new_key,
    "jwt_secret": partial(secrets.token_urlsafe, 48),
}
"""The secrets that a home keeps in `secrets.json`, and how each is made."""

console = Console(highlight=False)


def sentence_of(problem: Exception) -> str:
    """Return what to tell of an expected failure; of a database out of reach why, which no caller of the API hears."""
    cause = problem.__cause__
    if not isinstance(problem, Unavailable) or cause is None:
        return str(problem)
    words = " ".join(str(cause).split()) or type(cause).__name__
    return f"The database is out of reach: {re.sub(r'^.Errno -?[0-9]+. ', '', words).rstrip('.')}."


class CommandFailed(RuntimeError):
    """A command cannot go on; `str()` is the sentence shown."""


@dataclass(frozen=True)
class Place:
    """A place to work: settings complete with database addresses and secrets."""

    settings: Settings
    home: Path

    @property
    def owner_url(self) -> str:
        """The address that may change the schema."""
        assert self.settings.database_owner_url is not None
        return self.settings.database_owner_url.get_secret_value()

    @property
    def app_url(self) -> str:
        """The address that web and worker use."""
        assert self.settings.database_url is not None
        return self.settings.database_url.get_secret_value()


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work on the fast event loop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


@asynccontextmanager
async def opened(
    home: Path | None, *, is_service: bool = False, is_restoring: bool = False, **overrides: Any
) -> AsyncIterator[Place]:
    """Open the place a command works at; starts the embedded database when DATABASE_URL is not set.

    Args:
        is_service: a long-running process: its log is worth reading, others show warnings only; and it starts a killed
            database again, as the demo does.
        is_restoring: the home is being filled from a backup.

    Raises:
        CommandFailed: the home was filled from a backup, and not to the end.
        BadSettings: the environment is not usable.
        PostgresUnavailable: the embedded database cannot be had.
    """
    settings = load(**overrides)
    is_wished = is_service or "log_level" in settings.model_fields_set
    log.configure(
        level=settings.log_level if is_wished else "warning",
        form=settings.log_form,
        access=settings.access_log if is_service else "off",
    )
    if is_service or settings.app_env == "demo":
        _open_telemetry(settings)
    where = (home or settings.numberdesk_home or DEFAULT_HOME).absolute()
    if _is_unfinished(where) and not is_restoring:
        raise CommandFailed(f"{where} was not restored to its end: remove it, and restore the backup again.")
    if settings.database_url is not None:
        owner = settings.database_owner_url or settings.database_url
        yield Place(_complete(settings, where, owner, settings.database_url), where)
        return
    async with AsyncExitStack() as stack:
        is_kept = is_service or settings.app_env == "demo"
        cluster = await stack.enter_async_context(postgres.running(where, pg_bin=settings.pg_bin, is_kept=is_kept))
        owner, app = SecretStr(cluster.owner_url), SecretStr(cluster.app_url)
        yield Place(_complete(settings, where, owner, app), where)


def _is_unfinished(home: Path) -> bool:
    return os.path.exists(home / UNFINISHED)  # false where nobody may look: what comes next says so


def _open_telemetry(settings: Settings) -> None:
    dsn = settings.secret("sentry_dsn")
    try:
        if dsn is not None:
            telemetry.open_sentry(dsn, environment=settings.app_env, release=__version__)
        if settings.otel_exporter_otlp_endpoint is not None:
            telemetry.open_tracing(service=settings.otel_service_name, version=__version__)
    except telemetry.ExtraMissing as problem:
        raise BadSettings(str(problem)) from None


@asynccontextmanager
async def opened_database(home: Path | None) -> AsyncIterator[tuple[Place, Database]]:
    """Open the place and its database, which must be migrated."""
    async with opened(home) as place:
        db = await open_database(place.app_url, size=4, name="numberdesk command")
        try:
            await refuse_unready(db, folder=folder())
            yield place, db
        finally:
            await db.close()


def _complete(settings: Settings, home: Path, owner: SecretStr, app: SecretStr) -> Settings:
    found = settings.model_copy(update={"database_owner_url": owner, "database_url": app})
    if all(getattr(settings, name) is not None for name in STORED):
        return found
    stored = _stored_secrets(home, may_make=settings.database_url is None)
    return found.model_copy(update={name: getattr(settings, name) or stored.get(name) for name in STORED})


def _stored_secrets(home: Path, *, may_make: bool) -> dict[str, SecretStr]:
    """Read the secrets of a home; only an embedded database gets new ones, and never twice.

    A lost secret makes stored keys unreadable, so one that should be there is never made again silently.
    """
    known = read_secrets(home)
    if may_make:
        # A home of an earlier version lacks the secret that tokens are signed with; nothing was signed there yet.
        lacking = STORED if not known else ("jwt_secret",)
        made = {name: make() for name, make in STORED.items() if name in lacking and name not in known}
        if made:
            known |= made
            write_secrets(home, known)
    return {name: SecretStr(value) for name, value in known.items()}


def read_secrets(home: Path) -> dict[str, str]:
    """Return the secrets that a home keeps; none when it keeps none.

    Raises:
        CommandFailed: their file is damaged, or belongs to somebody else.
    """
    path = home / SECRETS
    try:
        return {str(name): str(value) for name, value in json.loads(path.read_text()).items()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as problem:
        raise CommandFailed(
            f"{path} cannot be read: {problem.strerror}. Run the command as the user to whom the home belongs."
        ) from problem
    except (ValueError, AttributeError):
        raise CommandFailed(f"{path} is damaged: put its backup back, as stored keys need its secrets.") from None


def write_secrets(home: Path, known: Mapping[str, str]) -> None:
    """Keep secrets in a home, which is made if it does not exist.

    Raises:
        CommandFailed: the folder cannot be written.
    """
    with suppress(OSError):  # the next line says what is wrong with it
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(home / SECRETS, json.dumps(dict(known)))


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all.

    Raises:
        CommandFailed: the folder cannot be written.
    """
    partial = path.parent / f".{path.name}.{os.getpid()}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        partial.replace(path)
    except OSError as problem:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise CommandFailed(f"{path} cannot be written: {problem.strerror}.") from problem


def secret(value: SecretStr | None, name: str) -> str:
    """Return a secret that a command needs.

    Raises:
        BadSettings: it is not set.
    """
    if value is None:
        raise BadSettings(f"{name}: must be set.")
    return value.get_secret_value()
