"""`keys`: the secrets of an installation, renewed without losing what they sealed or signed."""

import json
from collections.abc import Callable
from pathlib import Path

import typer

from numberdesk.accounts import service as accounts
from numberdesk.cli._place import HOME, STORED, CommandFailed, console, opened, opened_database, run, write_private
from numberdesk.main import secrets_of
from numberdesk.notifications import service as notifications
from numberdesk.payments import service as payments
from numberdesk.providers import service as providers
from numberdesk.support import service as support
from numberdesk.webhooks import service as webhooks


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Secrets: encryption keys, the pepper of API keys, the secret of tokens.", no_args_is_help=True
    )
    group.command("new")(new)
    group.command("add")(add)
    group.command("rotate")(rotate)
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
    run(_add(home, name=name))


async def _add(home: Path | None, *, name: str) -> None:
    value = _maker(name)()
    async with opened(home) as place:
        path = place.home / "secrets.json"
    if not path.exists():
        raise CommandFailed(f"{path} does not exist: put the new value in front of {name.upper()} yourself.")
    known = json.loads(path.read_text())
    known[name.lower()] = f"{value},{known[name.lower()]}"
    write_private(path, json.dumps(known))
    console.print(f"{name.upper()} has a newer value. Start the processes of this home anew.")


def rotate(home: Path = HOME) -> None:
    """Seal everything in the database again with the newest encryption key; the older ones can go then."""
    run(_rotate(home))


async def _rotate(home: Path | None) -> None:
    async with opened_database(home) as (place, db):
        vault = secrets_of(place.settings).vault
        changed = await providers.reseal(db, vault) + await providers.reseal_hooks(db, vault)
        console.print(f"providers      {changed:>6} sealed anew")
        console.print(f"accounts       {await accounts.reseal(db, vault):>6} sealed anew")
        console.print(f"notifications  {await notifications.reseal(db, vault):>6} sealed anew")
        console.print(f"payments       {await payments.reseal(db, vault):>6} sealed anew")
        console.print(f"webhooks       {await webhooks.reseal(db, vault):>6} sealed anew")
        console.print(f"support        {await support.reseal(db, vault):>6} sealed anew")
    console.print("[green]Everything is sealed with the newest key.[/] The older ones in ENCRYPTION_KEYS can go.")
