"""The page about clients says what the tests prove, no more and no less."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT
from tests.clients.acceptance import LINES

PAGE = ROOT / "docs" / "clients.md"
LOCK = ROOT / "requirements" / "clients.txt"
MODULES = sorted(path.stem for path in Path(__file__).parent.glob("test_*.py") if path.stem != "test_page")


def proven() -> dict[str, set[int]]:
    """Return the lines of each client, as its tests carry them."""
    found: dict[str, set[int]] = {}
    for name in MODULES:
        module = importlib.import_module(f"tests.clients.{name}")
        for member, value in vars(module).items():
            if member.startswith("test_"):
                found.setdefault(module.CLIENT, set()).update(getattr(value, "lines", ()))
    return found


def rows(heading: str) -> Iterator[list[str]]:
    """Yield the cells of the table below a heading."""
    (part,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    lines = [line for line in part.splitlines() if line.startswith("|")]
    for line in lines[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


def test_every_client_stands_there_with_the_lines_that_pass() -> None:
    listed = {cells[0].strip("`"): {int(line) for line in cells[-1].split(",")} for cells in rows("What passes")}
    assert listed == proven()


def test_every_line_of_the_list_stands_there_with_the_clients_that_prove_it() -> None:
    by_line: dict[int, set[str]] = {number: set() for number in LINES}
    for client, lines in proven().items():
        for number in lines:
            by_line[number].add(client.split()[0])
    listed = {}
    for line, words, clients in rows("The list"):
        assert words == LINES[int(line)]
        listed[int(line)] = set() if clients == "nobody yet" else set(clients.split(", "))
    assert listed == by_line


def test_every_client_that_is_installed_is_tried_in_its_version() -> None:
    ours = r"^(\S+)==(\S+) \\\n(?:    --hash\S+(?: \\)?\n)+    # via numberdesk"
    pinned = re.findall(ours, LOCK.read_text(encoding="utf-8"), re.M)
    assert sorted(tuple(client.split()) for client in proven()) == sorted(pinned)


@pytest.mark.parametrize("name", MODULES)
def test_no_test_of_a_client_proves_nothing(name: str) -> None:
    module = importlib.import_module(f"tests.clients.{name}")
    assert [member for member, value in vars(module).items() if member.startswith("test_") and not value.lines] == []
