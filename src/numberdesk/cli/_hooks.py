"""`provider hook` and `provider strays`: where a provider posts its messages, and those that found no order."""

from pathlib import Path

import typer
from rich.markup import escape
from rich.table import Table

from numberdesk.audit import service as audit
from numberdesk.audit.model import Event
from numberdesk.cli._named import NAME, named
from numberdesk.cli._place import HOME, console, opened_database, run
from numberdesk.main import secrets_of
from numberdesk.orders import service as orders
from numberdesk.orders.service import Stray
from numberdesk.providers import service as providers


def register(group: typer.Typer) -> None:
    """Add the commands to `provider`."""
    group.command("hook")(hook)
    group.command("strays")(strays)


def hook(
    name: str = NAME,
    renew: bool = typer.Option(False, "--renew", help="Make a new token; the address so far ends at once."),
    home: Path = HOME,
) -> None:
    """Show where a provider posts its messages. Whoever knows the address can post as this provider."""
    path, url = run(_hook(home, name, renew))
    print(path)  # noqa: T201 - for other programs, without decoration
    if url is not None:
        print(url)  # noqa: T201
    else:
        console.print("Set PUBLIC_BASE_URL to see the whole address.")


def strays(name: str = NAME, home: Path = HOME) -> None:
    """Show messages that a provider posted and that belong to no order, or to one that is not found yet."""
    found = run(_strays(home, name))
    if not found:
        console.print(f"{escape(name)}: every message has its order.")
        return
    table = Table("received", "number or id", "from", "state", "text")
    for item in found:
        whose = item.number or item.upstream_id or ""
        received = f"{item.received_at:%Y-%m-%d %H:%M:%S} UTC"
        table.add_row(received, whose, escape(item.sender), item.state, escape(item.text or item.code))
    console.print(table)


async def _strays(home: Path | None, name: str) -> list[Stray]:
    async with opened_database(home) as (_, db):
        return await orders.list_strays(db, (await named(db, name)).id)


async def _hook(home: Path | None, name: str, renew: bool) -> tuple[str, str | None]:
    async with opened_database(home) as (place, db):
        provider = await named(db, name)
        path = await providers.hook_path(db, secrets_of(place.settings).vault, provider, is_new=renew)
        async with db.transaction() as tx:
            action = "provider_hook_renewed" if renew else "provider_hook_shown"
            await audit.record(tx, Event(action, actor_kind="shell", details={"provider": provider.name}))
        base = place.settings.public_base_url
    return path, f"{base.rstrip('/')}{path}" if base else None
