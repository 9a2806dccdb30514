"""The provider that a command names."""

import typer

from numberdesk.base.db import Database
from numberdesk.base.errors import NotFound
from numberdesk.providers import service as providers
from numberdesk.providers.model import Provider

NAME = typer.Argument(help="The provider's name.")


async def named(db: Database, name: str) -> Provider:
    """Return the provider of that name.

    Raises:
        NotFound: there is none.
    """
    provider = await providers.find_by_name(db, name)
    if provider is None:
        raise NotFound(what=f"provider '{name}'")
    return provider
