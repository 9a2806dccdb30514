"""`audit verify`: whether the audit log is as it was written."""

from pathlib import Path

import typer
from rich.markup import escape

from numberdesk.audit import service as audit
from numberdesk.audit.model import ChainCheck
from numberdesk.cli._place import HOME, CommandFailed, console, opened_database, run


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="What happened, and who did it.", no_args_is_help=True)
    group.command("verify")(verify)
    app.add_typer(group, name="audit")


def verify(
    head: str = typer.Option("", "--head", help="A hash that an earlier run showed: it must still be in the chain."),
    home: Path = HOME,
) -> None:
    """Go through the chain of hashes; exit 0 only if no row was changed, added or removed."""
    found = run(_verify(home, head.strip().lower() or None))
    for sentence in found.breaks:
        console.print(f"[red]{escape(sentence)}[/]", soft_wrap=True)
    if found.breaks:
        raise CommandFailed("The audit log is not what was written: the breaks are named above.")
    console.print(f"[green]The audit log is whole:[/] {found.counted:,} rows.", soft_wrap=True)
    if found.counted:
        console.print(f"Note this hash elsewhere, for --head next time: {found.head}", soft_wrap=True)


async def _verify(home: Path | None, head: str | None) -> ChainCheck:
    async with opened_database(home) as (_, db):
        while await audit.seal(db):  # as a worker does within a second: while none runs, nothing is wrong with the rest
            pass
        return await audit.check(db, head=head)
