"""What a check of an installation finds: one line each, with what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from rich.markup import escape

from numberdesk.cli._place import CommandFailed, console

Level = Literal["ok", "warning", "wrong"]
MARKS = {"ok": "[green]ok[/]     ", "warning": "[yellow]warning[/]", "wrong": "[red]WRONG[/]  "}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: how it stands, what was looked at, and the sentence; `fix` says what to do."""

    level: Level
    what: str
    words: str
    fix: str = ""


def ok(what: str, words: str) -> Finding:
    """Return that something is as it should be."""
    return Finding("ok", what, words)


def warning(what: str, words: str, fix: str = "") -> Finding:
    """Return that something works and should be otherwise."""
    return Finding("warning", what, words, fix)


def wrong(what: str, words: str, fix: str = "") -> Finding:
    """Return that something does not work."""
    return Finding("wrong", what, words, fix)


def show(finding: Finding) -> None:
    """Show one line, and what to do in a second one."""
    console.print(f"{MARKS[finding.level]} {finding.what:<15}  {escape(finding.words)}", soft_wrap=True)
    if finding.fix:
        console.print(f"        {'':<16} [bold]{escape(finding.fix)}[/]", soft_wrap=True)


def conclude(findings: Iterable[Finding]) -> None:
    """End the command: with a sentence, and exit code 1 if anything is wrong.

    Raises:
        CommandFailed: something is wrong.
    """
    levels = [finding.level for finding in findings]
    warnings, errors = levels.count("warning"), levels.count("wrong")
    checks = f"{len(levels)} check{'' if len(levels) == 1 else 's'}"
    warn = f"{warnings} warn{'s' if warnings == 1 else ''}"
    if errors:
        are = "is" if errors == 1 else "are"
        raise CommandFailed(f"Of {checks} {errors} {are} wrong, and {warn}: the fixes stand above.")
    if warnings:
        console.print(f"[yellow]Nothing is wrong; of {checks} {warn}.[/]")
    else:
        console.print(f"[green]Everything is right:[/] {checks}.")
