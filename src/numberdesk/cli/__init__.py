"""The `numberdesk` command: everything an operator does from the shell."""

import sys

import typer
from rich.console import Console
from rich.markup import escape

from numberdesk import __version__
from numberdesk.base.backup_file import BadBackup
from numberdesk.base.crypto import WrongKey
from numberdesk.base.db import DatabaseRefused, UnsafeDatabase
from numberdesk.base.dump import DumpFailed
from numberdesk.base.errors import AppError
from numberdesk.base.migrate import MigrationFailed, MigrationRefused, SchemaUnready
from numberdesk.base.postgres import PostgresUnavailable
from numberdesk.cli import (
    _audit,
    _backup,
    _categories,
    _config,
    _database,
    _demo,
    _doctor,
    _export,
    _keys,
    _ledger,
    _maintenance,
    _notify,
    _orders,
    _payments,
    _people,
    _providers,
    _rentals,
    _reports,
    _seed,
    _serve,
    _simulator,
)
from numberdesk.cli._place import CommandFailed, sentence_of
from numberdesk.settings import BadSettings

EXPECTED = (
    AppError, BadBackup, BadSettings, CommandFailed, DatabaseRefused, DumpFailed, MigrationFailed, MigrationRefused,
    PostgresUnavailable, SchemaUnready, UnsafeDatabase, WrongKey,
)  # fmt: skip
"""What ends a command with a sentence; anything else is a bug and shows where it is."""

app = typer.Typer(
    name="numberdesk",
    help="Numberdesk: rent numbers, receive their codes, pay only if they came.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
for module in (
    _demo, _serve, _database, _seed, _people, _config, _doctor, _keys, _backup, _export, _ledger, _audit, _maintenance,
    _notify, _orders, _payments, _reports, _simulator,
):  # fmt: skip
    module.register(app)
_providers.register(app)
_categories.register(app)
_rentals.register(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(__version__)  # noqa: T201 - the answer of the command
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Show the version."),
) -> None:
    pass


def main() -> None:
    """Run the command; an expected failure is one clear sentence and exit code 1."""
    try:
        app()
    except EXPECTED as problem:
        words = escape(sentence_of(problem))
        Console(stderr=True).print(f"[bold red]numberdesk:[/] {words}", highlight=False, soft_wrap=True)
        sys.exit(1)
