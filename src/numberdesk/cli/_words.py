"""More of `provider`: what its words for services and countries mean."""

from collections.abc import Sequence
from pathlib import Path

import typer
from rich.markup import escape
from rich.table import Table

from numberdesk.audit import service as audit
from numberdesk.audit.model import Detail, Event
from numberdesk.base.errors import InvalidFields
from numberdesk.catalogue import service as catalogue
from numberdesk.cli._named import NAME, named
from numberdesk.cli._place import HOME, console, opened_database, run

SHOWN_MAX = 200
SOURCES = {"list": "our list", "iso": "its two letters", "name": "the same name", "staff": "said by staff"}


def register(group: typer.Typer) -> None:
    """Add the commands to `provider`."""
    group.command("map")(map_words)
    group.command("words")(words)


def map_words(
    name: str = NAME,
    service: list[str] = typer.Option([], "--service", metavar="WORD=CODE", help="May be given several times."),
    country: list[str] = typer.Option([], "--country", metavar="WORD=CODE", help="A number, or two letters."),
    home: Path = HOME,
) -> None:
    """Say what a provider's words mean; the next sync sells by it."""
    services, countries = _pairs(service, "service"), _pairs(country, "country")
    if not services and not countries:
        raise InvalidFields({"service": "or --country must be given"})

    async def work() -> None:
        async with opened_database(home) as (_, db):
            provider = await named(db, name)
            async with db.transaction() as tx:
                done = await catalogue.map_words(tx, provider_id=provider.id, services=services, countries=countries)
                told: dict[str, Detail] = {f"{word.kind} {word.word}": word.code for word in done}
                event = Event("provider_words", actor_kind="shell", details={"provider": provider.name, **told})
                await audit.record(tx, event)

    run(work())
    console.print(f"{name}: {len(services) + len(countries)} words mean something now.")
    console.print(f"Next: numberdesk provider sync {name}")


def words(
    name: str = NAME,
    every: bool = typer.Option(False, "--all", help="Also the words that are known."),
    home: Path = HOME,
) -> None:
    """Show what a provider's words mean, and those that nobody knows."""

    async def work() -> catalogue.WordList:
        async with opened_database(home) as (_, db):
            return await catalogue.list_words(db, (await named(db, name)).id)

    found = run(work())
    shown = [word for word in found.known if every or word.source == "staff"]
    table = Table("kind", "word", "our code", "by")
    for known in shown:
        table.add_row(known.kind, escape(known.word), escape(known.code), SOURCES[known.source])
    if shown:
        console.print(table)
    counts = ", ".join(
        f"{sum(word.source == source for word in found.known)} by {SOURCES[source]}" for source in SOURCES
    )
    console.print(f"{len(found.known)} words are known: {counts}.")
    if not found.unmapped:
        console.print("No word is unknown.")
        return
    console.print(f"{len(found.unmapped)} words are unknown, and not sold:")
    for word in found.unmapped[:SHOWN_MAX]:
        called = f" ({word.name})" if word.name and word.name != word.word else ""
        console.print(escape(f"  {word.kind} {word.word}{called}"), soft_wrap=True)
    if len(found.unmapped) > SHOWN_MAX:
        console.print(f"  and {len(found.unmapped) - SHOWN_MAX} more")


def _pairs(given: Sequence[str], option: str) -> dict[str, str]:
    """Split WORD=CODE at the last sign, since a word may hold one too."""
    found: dict[str, str] = {}
    for text in given:
        word, sign, code = text.rpartition("=")
        if not (sign and word.strip() and code.strip()):
            raise InvalidFields({option: "must be WORD=CODE"})
        if found.setdefault(word.strip(), code.strip()) != code.strip():
            raise InvalidFields({option: f"must not give the word '{word.strip()}' two codes"})
    return found
