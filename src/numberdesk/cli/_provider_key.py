"""`provider key`: the key with which we call a provider, after it was changed there."""

import sys
from pathlib import Path

import typer

from numberdesk.audit import service as audit
from numberdesk.audit.model import Detail, Event
from numberdesk.base.errors import InvalidFields
from numberdesk.cli._named import NAME, named
from numberdesk.cli._place import HOME, CommandFailed, console, opened_database, run
from numberdesk.main import secrets_of
from numberdesk.providers import service as providers


def register(group: typer.Typer) -> None:
    """Add the command to `provider`."""
    group.command("key")(set_key)


def set_key(
    name: str = NAME,
    key_stdin: bool = typer.Option(False, "--key-stdin", help="Read the key from standard input; else it is asked."),
    force: bool = typer.Option(False, "--force", help="Store it without asking the provider whether it is good."),
    home: Path = HOME,
) -> None:
    """Replace the key of a provider, if the provider takes it; every process follows within a second or two."""
    run(_set_key(home, name, _key(from_stdin=key_stdin), force=force))
    tried = "without asking" if force else "which answers to it"
    console.print(f"{name} has a new key, {tried}. Open orders go on with it.")


def _key(*, from_stdin: bool) -> str:
    """Return the key: never from an argument, which other users of the machine and the shell's history can see."""
    if not from_stdin:
        if not sys.stdin.isatty():
            raise CommandFailed("There is no terminal to ask for the key: write it to standard input with --key-stdin.")
        return str(typer.prompt("The new key, which is not shown", hide_input=True))
    key = sys.stdin.readline().rstrip("\r\n")
    if not key:
        raise InvalidFields({"key": "is empty: write it to standard input"})
    return key


async def _set_key(home: Path | None, name: str, api_key: str, *, force: bool) -> None:
    async with opened_database(home) as (place, db):
        provider, vault = await named(db, name), secrets_of(place.settings).vault
        if not force:
            # Lines are opened only to ask: they need every stored key to be readable, which a forced change does not.
            lines = await providers.open_lines(db, vault)
            try:
                refusal = await providers.try_key(lines, provider.id, api_key=api_key)
            finally:
                await providers.close(lines)
            if refusal is not None:
                told = f"{name} does not answer to this key: {refusal.detail}".rstrip(".")
                raise CommandFailed(f"{told}. Nothing was changed; --force stores it all the same.")
        async with db.transaction() as tx:
            await providers.set_api_key(tx, vault, provider.id, api_key=api_key)
            details: dict[str, Detail] = {"provider": provider.name, "is_tried": not force}
            await audit.record(tx, Event("provider_key_changed", actor_kind="shell", details=details))
