"""`orders watch`: what happens to one's orders, as it happens, from any machine that reaches the API."""

import json
from pathlib import Path

import typer
from rich.markup import escape

from numberdesk.cli._place import DEFAULT_HOME, HOME, CommandFailed, console
from numberdesk.client import ApiError, Client, Event

URL = typer.Option(None, "--url", help="Where Numberdesk answers. Default: the demo of the home folder.")
KEY = typer.Option(
    None, "--key", envvar="NUMBERDESK_API_KEY", show_default=False,
    help="An API key. Better in the environment: other users of the machine see a command line. Default: the demo's.",
)  # fmt: skip
AFTER = typer.Option(None, "--after", help="The id of the last event seen: go on after it.")


def register(app: typer.Typer) -> None:
    """Add the group `orders` to the command."""
    group = typer.Typer(help="Orders, through the API.", no_args_is_help=True)
    group.callback()(_group)
    group.command("watch")(watch)
    app.add_typer(group, name="orders")


def _group() -> None:
    """Orders, through the API."""


def watch(url: str = URL, key: str = KEY, after: str | None = AFTER, home: Path = HOME) -> None:
    """Show events as they happen, until it is interrupted; a restart of the server loses none."""
    if url is None or key is None:
        demo_url, demo_key = _demo_of(home or DEFAULT_HOME)
        url, key = url or demo_url, key or demo_key
    console.print(f"Watching the orders at {escape(url)}. Ctrl-C ends it.", highlight=False)
    try:
        client = Client(url, key.strip())
    except ValueError as problem:
        raise CommandFailed(str(problem)) from None
    with client as desk:
        try:
            for event in desk.stream(after=after):
                console.print(escape(_line(event)), highlight=False, soft_wrap=True)
        except ApiError as problem:
            raise CommandFailed(str(problem)) from None
        except KeyboardInterrupt:
            raise typer.Exit from None


def _demo_of(home: Path) -> tuple[str, str]:
    """Return address and key of the demo's customer."""
    try:
        told = json.loads((home / "credentials.json").read_text(encoding="utf-8"))
        return str(told["url"]), str(told["customer"]["api_key"])
    except (OSError, ValueError, KeyError, TypeError):
        raise CommandFailed(
            f"No demo was started in {home}: name the server with --url, and a key with NUMBERDESK_API_KEY."
        ) from None


def _line(event: Event) -> str:
    data = event.data
    said = f"{event.timestamp:%Y-%m-%d %H:%M:%S}  {event.type:<16} order {data.order_id}  {data.service}  {data.number}"
    if data.message is not None:
        said += f"  code {data.message.code or '-'}"
    if data.refund is not None:
        said += f"  {data.refund.amount} back"
    return f"{said}  ({event.id})"
