"""`category`: blocking a category of services, and selling it."""

from collections.abc import Callable

import pytest
from anyio.from_thread import BlockingPortal

from tests.cli.conftest import Installation, asked


@pytest.fixture
def ask(installation: Installation, portal: BlockingPortal) -> Callable[[str], list[str]]:
    return lambda query: [str(item) for item in asked(portal, installation.app_url, query)]


def line_of(shown: str, word: str) -> str:
    """Return the line of a table that is about a category."""
    return next(line for line in shown.splitlines() if f" {word} " in line)


def test_a_category_is_blocked_shown_and_sold_again(
    installation: Installation, ask: Callable[[str], list[str]]
) -> None:
    shell = installation.shell
    assert " yes " in line_of(shell.succeed("category", "list"), "bank")
    assert " no " in line_of(shell.succeed("category", "list"), "messenger")
    told = shell.succeed("category", "block", "messenger", "--reason", "too many [complaints]")
    assert told.startswith("messenger is blocked: its ")
    assert "Open orders go on." in told
    line = line_of(shell.succeed("category", "list"), "messenger")
    assert " yes " in line
    assert "does not sell this category" in line
    assert shell.succeed("category", "unblock", "messenger", "--reason", "they stopped").startswith("messenger is not")
    assert " no " in line_of(shell.succeed("category", "list"), "messenger")
    query = "SELECT concat_ws(' ', details ->> 'is_blocked_before', details ->> 'is_blocked', details ->> 'reason')"
    assert ask(f"{query} FROM audit_log WHERE action = 'category_changed' AND actor_kind = 'shell' ORDER BY id") == [
        "false true too many [complaints]", "true false they stopped",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing", "--reason", "because"], "There is no such category"),
        (["sandbox", "--reason", "because"], "There is no such category"),
        (["messenger", "--reason", " x "], "reason must be 3 to 200 characters"),
        (["messenger", "--reason", "x" * 201], "reason must be 3 to 200 characters"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(installation: Installation, words: list[str], said: str) -> None:
    for command in ("block", "unblock"):
        assert said in installation.shell.run("category", command, *words).sentence
