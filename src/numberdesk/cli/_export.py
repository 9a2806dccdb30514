"""`export`: accounts, orders, ledger, recharges and payments as files that any program reads."""

import csv
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from numberdesk.base.cells import cell
from numberdesk.cli._place import HOME, CommandFailed, console, opened_database, run
from numberdesk.monitoring import service as monitoring
from numberdesk.monitoring.service import EXPORTS

WHAT = typer.Option(sorted(EXPORTS), "--what", help=f"May be given several times: {', '.join(sorted(EXPORTS))}.")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(export)


def export(
    folder: Path = typer.Argument(help="A new folder, which gets one file for each table."),
    what: list[str] = WHAT,
    form: str = typer.Option("csv", "--format", help="csv, or jsonl: one JSON object a line."),
    home: Path = HOME,
) -> None:
    """Write accounts, orders, the ledger, recharges and payments of one moment, without secrets and messages."""
    if unknown := sorted(set(what) - EXPORTS.keys()):
        raise CommandFailed(f"--what must be one of: {', '.join(sorted(EXPORTS))}; {unknown[0]} is none.")
    if form not in ("csv", "jsonl"):
        raise CommandFailed("--format must be csv or jsonl.")
    _make(folder)
    written = run(_export(home, folder, sorted(set(what)), form))
    for path, count in written:
        console.print(f"{count:>12,} rows  {escape(str(path))}", soft_wrap=True)
    console.print("[green]Exported:[/] amounts are in paise, times in UTC. The files are personal data of customers.")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise CommandFailed(f"{folder} is not empty: name a new folder.")
    except OSError as problem:
        raise CommandFailed(f"{folder} cannot be used: {problem.strerror}.") from problem


async def _export(home: Path | None, folder: Path, what: Sequence[str], form: str) -> list[tuple[Path, int]]:
    written = []
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,}"), TimeElapsedColumn())
    async with opened_database(home) as (_, db), db.snapshot() as tx:
        with Progress(*columns, console=console) as progress:
            for name in what:
                task = progress.add_task(name, total=None)
                path = folder / f"{name}.{form}"
                with _Table(path, EXPORTS[name].columns, form) as table:
                    async for page in monitoring.export(tx, name):
                        table.write(page)
                        progress.advance(task, len(page))
                progress.update(task, total=table.count or 1, completed=table.count or 1)
                written.append((path, table.count))
    return written


class _Table:
    """One file, which gets its name when it is whole."""

    def __init__(self, path: Path, columns: Sequence[str], form: str) -> None:
        self.path, self.columns, self.form, self.count = path, columns, form, 0
        self._draft = path.with_name(f".{path.name}.part")
        self._file: TextIO
        self._write: Callable[[Sequence[Any]], Any]

    def __enter__(self) -> "_Table":
        try:
            descriptor = os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as problem:
            raise self._failed(problem) from problem
        self._file = os.fdopen(descriptor, "w", encoding="utf-8", newline="")
        if self.form == "csv":
            self._write = csv.writer(self._file, lineterminator="\r\n").writerow
            self._write(self.columns)
        else:
            self._write = self._write_object
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._file.close()
            if kind is None:
                self._draft.replace(self.path)
        except OSError as problem:
            raise self._failed(problem) from problem
        finally:
            self._draft.unlink(missing_ok=True)

    def write(self, page: Sequence[Sequence[Any]]) -> None:
        """Write rows."""
        try:
            for row in page:
                self._write([cell(value) for value in row] if self.form == "csv" else row)
        except OSError as problem:
            raise self._failed(problem) from problem
        self.count += len(page)

    def _write_object(self, row: Sequence[Any]) -> None:
        plain = (value if value is None or isinstance(value, str | int) else cell(value) for value in row)
        self._file.write(json.dumps(dict(zip(self.columns, plain, strict=True)), ensure_ascii=False) + "\n")

    def _failed(self, problem: OSError) -> CommandFailed:
        return CommandFailed(f"{self.path} cannot be written: {problem.strerror}.")
