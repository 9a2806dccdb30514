"""`keys`: the secrets of an installation, renewed without losing what they sealed or signed."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import typer
from rich.table import Table

from numberdesk.accounts import service as accounts
from numberdesk.audit import service as audit
from numberdesk.audit.model import Event
from numberdesk.base import clock
from numberdesk.base.db import Database
from numberdesk.cli._backup_parts import fingerprints
from numberdesk.cli._place import (
    HOME,
    SECRETS,
    STORED,
    CommandFailed,
    Place,
    console,
    opened_database,
    read_secrets,
    run,
    write_secrets,
)
from numberdesk.main import secrets_of
from numberdesk.monitoring import service as monitoring
from numberdesk.notifications import service as notifications
from numberdesk.payments import service as payments
from numberdesk.providers import service as providers
from numberdesk.support import service as support
from numberdesk.webhooks import service as webhooks

RENEWED, DROPPED = "secret_renewed", "secret_dropped"
"""What the audit log calls them."""
IGNORANT = "A process that runs does not know the newer value yet: start it anew first."
DROP = typer.Argument(help="Which secret keeps its newest value only.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Secrets: encryption keys, the pepper of API keys, the secret of tokens.", no_args_is_help=True
    )
    group.command("new")(new)
    group.command("add")(add)
    group.command("list")(list_secrets)
    group.command("rotate")(rotate)
    group.command("drop")(drop)
    app.add_typer(group, name="keys")


def _maker(name: str) -> Callable[[], str]:
    maker = STORED.get(name.lower())
    if maker is None:
        raise CommandFailed(f"There is no secret {name}: {', '.join(known.upper() for known in STORED)}.")
    return maker


def new(name: str = typer.Argument("ENCRYPTION_KEYS", help="Which secret it is for."), home: Path = HOME) -> None:
    """Print a new value, to be put in front of the ones in use, with a comma between. No home is touched."""
    print(_maker(name)())  # noqa: T201 - for other programs, without decoration


def add(
    name: str = typer.Argument("ENCRYPTION_KEYS", help="Which secret gets a newer value."), home: Path = HOME
) -> None:
    """Put a new value in front of those that a home keeps. Start its processes anew, then run `keys rotate`."""
    run(_add(home, name))
    console.print(f"{name.upper()} has a newer value. Start the processes of this home anew.")


def list_secrets(home: Path = HOME) -> None:
    """Show how many values each secret has, a fingerprint of each, newest first, and when it was renewed."""
    run(_list(home))


def rotate(
    name: str = typer.Argument(None, help="Make a new value for this secret first; the one in use is kept as second."),
    home: Path = HOME,
) -> None:
    """Seal everything in the database again with the newest encryption key; the older ones can go then."""
    run(_rotate(home, name))


def drop(
    name: str = DROP,
    yes: bool = typer.Option(False, "--yes", help="Even if API keys or logins end by it."),
    home: Path = HOME,
) -> None:
    """Remove the older values of a secret that a home keeps, once nothing needs them."""
    run(_drop(home, name, is_sure=yes))


async def _add(home: Path | None, name: str) -> None:
    value = _maker(name)()
    async with opened_database(home) as (place, db):
        _put_in_front(place, name, value)
        await _note(db, RENEWED, name)


def _put_in_front(place: Place, name: str, value: str) -> None:
    known = _kept(place, name)
    write_secrets(place.home, known | {name.lower(): f"{value},{known[name.lower()]}"})


def _kept(place: Place, name: str) -> dict[str, str]:
    """Return the secrets that a home keeps; what the environment says instead is for whoever set it to change.

    Raises:
        CommandFailed: this one comes from the environment.
    """
    known, used = read_secrets(place.home), getattr(place.settings, name.lower())
    if name.lower() not in known or used is None or used.get_secret_value() != known[name.lower()]:
        raise CommandFailed(f"{name.upper()} comes from the environment, not from this home: change it there yourself.")
    return known


async def _list(home: Path | None) -> None:
    async with opened_database(home) as (place, db):
        known = {name: value.get_secret_value() for name in STORED if (value := getattr(place.settings, name))}
        kept = read_secrets(place.home)
        table = Table("secret", "values", "fingerprints, newest first", "kept in", "renewed")
        for name, marks in fingerprints(known).items():
            where = SECRETS if kept.get(name) == known[name] else "the environment"
            at = await _renewed_at(db, name)
            renewed = "-" if at is None else f"{at:%Y-%m-%d %H:%M} UTC"
            table.add_row(name.upper(), str(len(marks)), ", ".join(marks), where, renewed)
    console.print(table)


async def _rotate(home: Path | None, name: str | None) -> None:
    if name is not None:
        value = _maker(name)()
        async with opened_database(home) as (place, db):
            _put_in_front(place, name, value)
            await _note(db, RENEWED, name)
            servers, _ = await monitoring.servers(db)
        console.print(f"{name.upper()} has a newer value; the one in use until now is kept behind it.")
        if servers:
            console.print("Processes of this home run: start them anew, since they do not know the new value yet.")
        if name.lower() != "encryption_keys":
            console.print(_when(name, place))
            return
        if servers:
            console.print("Then run `keys rotate`, which seals everything with the new key.")
            return
    async with opened_database(home) as (place, db):
        await _refuse_ignorance(db, "encryption_keys")
        await _reseal(place, db)
    console.print("[green]Everything is sealed with the newest key.[/] The older ones in ENCRYPTION_KEYS can go.")


def _when(name: str, place: Place) -> str:
    if name.lower() == "jwt_secret":
        end = clock.now() + timedelta(milliseconds=place.settings.session_idle_timeout)
        return f"Logins go over as they are used; the old value may go on {end:%Y-%m-%d} (`keys drop JWT_SECRET`)."
    return "Each API key goes over when it is used next; `keys drop API_KEY_SALT` says how many have not."


async def _reseal(place: Place, db: Database) -> None:
    vault = secrets_of(place.settings).vault
    changed = await providers.reseal(db, vault) + await providers.reseal_hooks(db, vault)
    console.print(f"providers      {changed:>6} sealed anew")
    console.print(f"accounts       {await accounts.reseal(db, vault):>6} sealed anew")
    console.print(f"notifications  {await notifications.reseal(db, vault):>6} sealed anew")
    console.print(f"payments       {await payments.reseal(db, vault):>6} sealed anew")
    console.print(f"webhooks       {await webhooks.reseal(db, vault):>6} sealed anew")
    console.print(f"support        {await support.reseal(db, vault):>6} sealed anew")


async def _drop(home: Path | None, name: str, *, is_sure: bool) -> None:
    _maker(name)
    async with opened_database(home) as (place, db):
        known = _kept(place, name)
        newest, comma, _ = known[name.lower()].partition(",")
        if not comma:
            raise CommandFailed(f"{name.upper()} has one value only: nothing can go.")
        if name.lower() == "encryption_keys":
            await _refuse_ignorance(db, name)
            await _reseal(place, db)
        elif not is_sure and (reason := await _still_needed(db, place, name)):
            raise CommandFailed(f"{reason} With --yes it goes all the same.")
        write_secrets(place.home, known | {name.lower(): newest})
        await _note(db, DROPPED, name)
    console.print(f"[green]{name.upper()} has its newest value only.[/] Start the processes of this home anew.")


async def _refuse_ignorance(db: Database, name: str) -> None:
    """Refuse while a process runs that was started before a secret was renewed: it could not read what is sealed anew.

    Raises:
        CommandFailed: one runs.
    """
    at = await _renewed_at(db, name)
    _, started_at = await monitoring.servers(db)
    if at is not None and started_at is not None and started_at < at:
        raise CommandFailed(IGNORANT)


async def _still_needed(db: Database, place: Place, name: str) -> str | None:
    """Return why an older value must stay for now."""
    at = await _renewed_at(db, name)
    if at is None:
        return f"When {name.upper()} was renewed is not known."
    if name.lower() == "jwt_secret":
        end = at + timedelta(milliseconds=place.settings.session_idle_timeout)
        if end < clock.now():
            return None
        return f"Logins of before {at:%Y-%m-%d %H:%M} UTC live until {end:%Y-%m-%d %H:%M} UTC."
    _, started_at = await monitoring.servers(db)
    if started_at is not None:
        if started_at < at:
            return IGNORANT
        at = started_at  # before that, keys were still looked up with the old value
    left = await accounts.count_keys_unused(db, since=at)
    return f"{left:,} API keys were not used since {at:%Y-%m-%d %H:%M} UTC and would end." if left else None


async def _renewed_at(db: Database, name: str) -> datetime | None:
    for event in await audit.list_events(db, action=RENEWED, limit=audit.LIST_MAX):
        if f'"{name.upper()}"' in event.details:
            return event.at
    return None


async def _note(db: Database, action: str, name: str) -> None:
    async with db.transaction() as tx:
        await audit.record(tx, Event(action, actor_kind="shell", details={"secret": name.upper()}))
