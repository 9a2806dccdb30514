"""`simulator`: a provider of our own, for trying things out."""

from pathlib import Path

import typer
from rich.markup import escape

from numberdesk.base import ids
from numberdesk.cli._place import CommandFailed, console, run
from numberdesk.cli._serve import stopped
from numberdesk.providers import simulator as simulators


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(simulator)


def simulator(
    port: int = typer.Option(4000, "--port", min=0, max=65535),
    profile: str = typer.Option("realistic", "--profile", help="How it behaves; `list` shows all."),
    api_key: str = typer.Option(None, "--api-key", help="Default: a new one, shown at the start."),
    balance: str = typer.Option("100000.00", "--balance", help="Rupees that we have there."),
    record: Path = typer.Option(None, "--record", help="File of what was sold, delivered and cancelled."),
    home: Path = typer.Option(
        None, "--home", help="Folder of the record, simulator.jsonl, when --record is not given."
    ),
) -> None:
    """Run a simulated provider that speaks the SMS-Activate protocol."""
    if profile == "list":
        for name in simulators.PROFILES:
            console.print(name)
        return
    if record is None and home is not None:
        record = home / "simulator.jsonl"
    run(_simulate(port=port, profile=profile, api_key=api_key or ids.base62(24), balance=balance, record=record))


async def _simulate(*, port: int, profile: str, api_key: str, balance: str, record: Path | None) -> None:
    try:
        running = await simulators.start(
            port=port, profile=profile, api_key=api_key, balance=balance, record_path=record
        )
    except ValueError as problem:
        raise CommandFailed(f"The simulator cannot start: {str(problem).rstrip('.')}.") from None
    except OSError as problem:
        raise CommandFailed(f"The simulator cannot start: {problem.strerror}.") from None
    console.print(f"Simulated provider at [bold]{running.url}[/], key {escape(api_key)}, profile {profile}.")
    console.print("[dim]numberdesk provider add NAME --kind sms-activate --url URL --api-key KEY[/]")
    await stopped()
    await running.stop()
