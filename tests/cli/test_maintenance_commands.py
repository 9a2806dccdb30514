"""`maintenance on`, `off` and `list`."""

import pytest

from tests.cli.conftest import Installation


def test_a_part_is_closed_shown_and_opened_again(installation: Installation) -> None:
    shell = installation.shell
    assert "Nothing is closed" in shell.succeed("maintenance", "list")
    assert "recharge is closed now, until you open it again." in shell.succeed(
        "maintenance", "on", "recharge", "--message", "The bank is away."
    )
    planned = shell.succeed("maintenance", "on", "server:alpha", "--from", "2090-01-31T22:00", "--until", "2h")
    assert "from 2090-01-31 22:00 UTC, until 2090-02-01 00:00 UTC" in planned
    assert "server:1" in shell.succeed("maintenance", "on", "server:1", "--until", "30m")
    shown = shell.succeed("maintenance", "list")
    assert "The bank is away." in shown
    assert "scheduled" in shown
    assert "recharge is open again" in shell.succeed("maintenance", "off", "recharge")
    off = shell.succeed("maintenance", "off", "server:alpha")
    assert "is called off" in off
    assert "is open again" in off
    assert "Nothing is closed" in shell.succeed("maintenance", "list")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("on", "moon"), "no such area"),
        (("on", "server"), "Write it as server:NAME"),
        (("on", "master:tg"), "Write it as master"),
        (("on", "service:nothing"), "There is no service 'nothing'"),
        (("on", "master", "--until", "soon"), "write the time as"),
        (("on", "master", "--from", "tomorrow"), "write the time as"),
        (("on", "master", "--allow", "nobody@example.com"), "There is no such account"),
        (("on", "master", "--from", "2090-01-31T22:00"), "is needed for a scheduled window"),
        (("off", "master"), "is not closed"),
    ],
)
def test_a_wrong_word_is_a_sentence_and_closes_nothing(
    installation: Installation, words: tuple[str, ...], sentence: str
) -> None:
    assert sentence in installation.shell.run("maintenance", *words).sentence
    assert "Nothing is closed" in installation.shell.succeed("maintenance", "list")
