"""`provider key`: a key that was changed at a provider, typed where nobody sees it and tried before it is stored."""

import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.base import crypto
from numberdesk.providers import simulator
from numberdesk.providers.simulator import Simulator
from tests.cli.conftest import PROVIDER_KEY, Install, Installation, asked

OLD_KEY, WRONG_KEY = "key-that-was-taken-away", "key-with-a-typing-error"
CHANGED = "SELECT details::text FROM audit_log WHERE action = 'provider_key_changed' ORDER BY id"
SEALED = "SELECT encode(api_key_sealed, 'hex') FROM providers ORDER BY id"


@pytest.fixture(scope="module")
def agent(portal: BlockingPortal) -> Iterator[Simulator]:
    """An owner of SIM cards, who holds no money of ours and so tells no balance."""
    running = portal.call(
        lambda: simulator.start(api_key=PROVIDER_KEY, record_path=None, profile="never", family="agent")
    )
    yield running
    portal.call(running.stop)


@pytest.fixture
def installation(install: Install, provider: Simulator) -> Installation:
    """A database with a provider that has changed our key."""
    found = install()
    found.shell.succeed("provider", "add", "alpha", "--url", provider.url, "--api-key", OLD_KEY)
    return found


@pytest.fixture
def ask(installation: Installation, portal: BlockingPortal) -> Callable[[str], list[str]]:
    return lambda query: [str(item) for item in asked(portal, installation.app_url, query)]


def test_a_refused_key_is_replaced_by_one_that_the_provider_takes(
    installation: Installation, ask: Callable[[str], list[str]]
) -> None:
    shell = installation.shell
    assert "BAD_KEY" in shell.run("provider", "test", "alpha").sentence
    told = shell.succeed("provider", "key", "alpha", "--key-stdin", typed=f"{PROVIDER_KEY}\n")
    assert told == "alpha has a new key, which answers to it. Open orders go on with it.\n"
    assert "alpha answers: balance 123.45" in shell.succeed("provider", "test", "alpha")
    assert ask(CHANGED) == ['{"is_tried": true, "provider": "alpha"}']


def test_a_key_that_the_provider_refuses_changes_nothing_unless_it_is_forced(
    installation: Installation, ask: Callable[[str], list[str]]
) -> None:
    shell, before = installation.shell, ask(SEALED)
    refused = shell.run("provider", "key", "alpha", "--key-stdin", typed=WRONG_KEY).sentence
    assert refused.startswith("alpha does not answer to this key: "), refused
    assert "BAD_KEY" in refused
    assert "--force" in refused
    assert WRONG_KEY not in refused
    assert (ask(SEALED), ask(CHANGED)) == (before, [])
    told = shell.succeed("provider", "key", "alpha", "--key-stdin", "--force", typed=WRONG_KEY)
    assert WRONG_KEY not in told
    assert "without asking" in told
    assert ask(SEALED) != before
    assert ask(CHANGED) == ['{"is_tried": false, "provider": "alpha"}']
    written = ask("SELECT transcripts::text FROM transcripts")
    assert written, "what was refused is kept"
    assert not [line for line in written if WRONG_KEY in line], "but without keys"


def test_a_provider_that_is_away_gets_a_new_key_by_force_only(installation: Installation) -> None:
    shell = installation.shell
    shell.succeed("provider", "set", "alpha", "--url", "http://127.0.0.1:1")
    assert "--force" in shell.run("provider", "key", "alpha", "--key-stdin", typed=PROVIDER_KEY).sentence
    shell.succeed("provider", "key", "alpha", "--key-stdin", "--force", typed=PROVIDER_KEY)


def test_a_key_that_can_no_longer_be_opened_is_replaced_by_force(installation: Installation) -> None:
    """The old key of ENCRYPTION_KEYS is lost, so nothing that was sealed with it can be asked with."""
    from_now_on = {"ENCRYPTION_KEYS": crypto.new_key()}
    shell = installation.shell
    assert "ENCRYPTION_KEYS" in shell.run("provider", "test", "alpha", **from_now_on).sentence
    shell.succeed("provider", "key", "alpha", "--key-stdin", "--force", typed=PROVIDER_KEY, **from_now_on)
    assert "alpha answers" in shell.succeed("provider", "test", "alpha", **from_now_on)


def test_who_tells_no_balance_is_asked_for_the_offers(installation: Installation, agent: Simulator) -> None:
    shell = installation.shell
    shell.succeed("provider", "add", "sim-cards", "--kind", "agent", "--url", agent.url, "--api-key", OLD_KEY)
    assert "does not answer to this key" in shell.run(
        "provider", "key", "sim-cards", "--key-stdin", typed=WRONG_KEY
    ).sentence  # fmt: skip
    shell.succeed("provider", "key", "sim-cards", "--key-stdin", typed=PROVIDER_KEY)


@pytest.mark.parametrize(
    ("name", "typed", "said"),
    [
        ("alpha", "\n", "key is empty: write it to standard input"),
        ("alpha", "two words\n", "api_key must be 1 to 500 plain characters without blanks"),
        ("alpha", "x" * 501, "api_key must be 1 to 500 plain characters without blanks"),
        ("nobody", "a-key\n", "There is no such provider 'nobody'"),
        ("sandbox", "a-key\n", "There is no such provider"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(
    installation: Installation, ask: Callable[[str], list[str]], name: str, typed: str, said: str
) -> None:
    before = ask(SEALED)
    for force in ([], ["--force"]):
        assert said in installation.shell.run("provider", "key", name, "--key-stdin", *force, typed=typed).sentence
    assert (ask(SEALED), ask(CHANGED)) == (before, [])


def test_without_a_terminal_nothing_is_asked(installation: Installation) -> None:
    assert "--key-stdin" in installation.shell.run("provider", "key", "alpha").sentence


def test_a_key_is_typed_at_a_terminal_and_not_shown(
    installation: Installation, ask: Callable[[str], list[str]]
) -> None:
    ours, theirs = pty.openpty()
    shell = installation.shell
    popen = subprocess.Popen(
        [sys.executable, "-m", "numberdesk", "provider", "key", "alpha"], env=shell.environment({}), cwd=shell.folder,
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    shown = read_until(ours, b"not shown: ")
    os.write(ours, f"{PROVIDER_KEY}\n".encode())
    shown += read_until(ours, None)
    os.close(ours)
    assert popen.wait(timeout=30) == 0, shown
    assert b"alpha has a new key" in shown
    assert PROVIDER_KEY.encode() not in shown
    assert ask(CHANGED) == ['{"is_tried": true, "provider": "alpha"}']


def read_until(terminal: int, wanted: bytes | None) -> bytes:
    """Read what a terminal shows, up to some words or to its end."""
    shown = b""
    while wanted is None or wanted not in shown:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # nobody writes to it any more
            part = b""
        if not part:
            assert wanted is None, shown
            break
        shown += part
    return shown
