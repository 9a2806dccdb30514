"""What the documents name exists: files, tasks, commands and their options; and what no file may name."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import numberdesk
from numberdesk.cli import app
from tests.architecture.sources import ROOT, files, listed

DOCUMENTS = [path for path in files() if path.suffix == ".md"]
EXPECTED = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "docs/architecture.md")

_FENCE = re.compile(r"^(```|~~~).*?^\1", re.M | re.S)
_LINK = re.compile(r"\[[^\]]*\]\(<?([^)\s>]+)")
_TASK = re.compile(r"(?:^|[\s;&|(])make ([a-z][a-z-]*)")
_COMMAND = re.compile(r"(?:^|[\s;&|(]|/bin/)numberdesk((?: +[^\s;&|#)]+)*)")

PLACES = re.compile(
    "|".join((
        r"/tm" r"p/", r"/wor" r"k/", r"\bpyp" r"i\.org", r"pythonh" r"osted\.", r"\bnpmj" r"s\.", r"\byarnp" r"kg\.",
        r"\bcrate" r"s\.io", r"\brubyg" r"ems\.org", r"\bjsdel" r"ivr\.", r"\bunp" r"kg\.com", r"\bcdnj" r"s\.",
        r"\b(deb|security|archive)\.(debi" r"an\.org|ubun" r"tu\.com)",
    ))
)  # fmt: skip
"""Hosts that packages are downloaded from, and folders of one machine. In two pieces, so that this file passes."""


def test_the_documents_that_everybody_looks_for_are_there() -> None:
    missing = [name for name in EXPECTED if not (ROOT / name).read_text(encoding="utf-8").strip()]
    assert not missing, listed(missing, "Write the document.")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_document_names_only_what_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    wrong = [
        *(f"link to {target}" for target in broken_links(text, path.parent)),
        *(f"`make {task}`: no such task in the Makefile" for task in unknown_tasks(text)),
        *unknown_commands(text),
    ]
    assert not wrong, listed(wrong, f"{path.relative_to(ROOT)} names what does not exist. Correct the document.")


def broken_links(text: str, folder: Path) -> list[str]:
    """Find links to local files that are not there."""
    targets = _LINK.findall(re.sub(r"`[^`\n]+`", "", _FENCE.sub("", text)))
    local = [target.partition("#")[0] for target in targets if not re.match(r"[a-z]+:|#", target)]
    return [target for target in local if not (folder / target).exists()]


def unknown_tasks(text: str) -> list[str]:
    """Find `make …` of tasks that the Makefile does not have."""
    tasks = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    return [task for line in code_lines(text) for task in _TASK.findall(line) if task not in tasks]


def unknown_commands(text: str) -> list[str]:
    """Find `numberdesk …` of commands and options that the program does not have."""
    found = []
    for words in (words for line in code_lines(text) for words in _COMMAND.findall(line)):
        command, rest = _command(words.split())
        known = {"--help", *(option for item in command.params for option in (*item.opts, *item.secondary_opts))}
        if hasattr(command, "commands") and rest and re.fullmatch(r"[a-z][a-z-]*", rest[0]):
            found.append(f"`numberdesk{words}`: no command `{rest[0]}`")
        options = re.findall(r"--[a-z][a-z-]*", " ".join(rest))
        found += [f"`numberdesk{words}`: no option `{option}`" for option in options if option not in known]
    return found


def _command(words: list[str]) -> tuple[Any, list[str]]:
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands") and words and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    return command, words


def code_lines(text: str) -> Iterator[str]:
    """Yield every line of code: in fences, without comments, and between backticks in prose."""
    for fence in _FENCE.finditer(text):
        yield from (re.sub(r"(^|\s)#.*", "", line) for line in fence.group().splitlines()[1:-1])
    for code in re.findall(r"`([^`]+)`", _FENCE.sub("", text)):
        yield " ".join(code.split())


def test_the_first_version_of_the_changelog_is_the_packages() -> None:
    first = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert first, "CHANGELOG.md has no heading with a version."
    assert first[1] == numberdesk.__version__, (
        "The package was installed before CHANGELOG.md got its newest heading: `make test` installs it again."
    )


def test_no_file_names_a_registry_or_a_folder_of_one_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {place.group()}"
        for path in files()
        for number, line in enumerate(path.read_bytes().decode(errors="replace").splitlines(), 1)
        if (place := PLACES.search(line))
    ]
    assert not found, listed(found, "Say it without the host, and use tempfile or a path below the repository.")


@pytest.mark.parametrize(
    "line",
    [
        "look at [the map](docs/nowhere.md#top)",
        "run `make coffee` first",
        "```sh\n$ make run && numberdesk lend\n```",
        "`numberdesk provider lend NAME`",
        "`numberdesk demo --colour red`",
    ],
)
def test_the_rule_about_documents_bites(line: str) -> None:
    assert len(broken_links(line, ROOT) + unknown_tasks(line) + unknown_commands(line)) == 1


@pytest.mark.parametrize(
    "line",
    [
        "make sure that [the Makefile](Makefile) and [this](#below) and [that](https://example.com/nowhere) are there",
        '```sh\nmake run ARGS="--port 3000"  # make coffee meanwhile\n.venv/bin/numberdesk demo --port 3000\n```',
        "the `numberdesk` command, `python -m numberdesk`, `src/numberdesk/` and `psql numberdesk`",
    ],
)
def test_the_rule_about_documents_lets_right_lines_pass(line: str) -> None:
    assert broken_links(line, ROOT) + unknown_tasks(line) + unknown_commands(line) == []
