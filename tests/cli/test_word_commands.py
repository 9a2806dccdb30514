"""`provider sync`, `map` and `words`: taking over what a provider lists, and saying what its words mean."""

from collections.abc import Callable, Iterator

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.providers import simulator
from numberdesk.providers.simulator import Simulator
from tests.cli.conftest import PROVIDER_KEY, Install, Installation, asked

SOLD = "SELECT count(*) FROM offers WHERE service = 'tg' AND country = 22 AND stock > 0"


@pytest.fixture(scope="module")
def pool(portal: BlockingPortal) -> Iterator[Simulator]:
    """A provider that calls services by numbers."""
    running = portal.call(
        lambda: simulator.start(api_key=PROVIDER_KEY, record_path=None, profile="never", family="sms-pool")
    )
    yield running
    portal.call(running.stop)


@pytest.fixture(scope="module")
def installation(install: Install, pool: Simulator) -> Installation:
    """A database with that provider, which lacks its words for Telegram and India."""
    found = install()
    shell = found.shell
    shell.succeed("provider", "add", "pool", "--kind", "sms-pool", "--url", pool.url, "--api-key", PROVIDER_KEY)
    return found


@pytest.fixture
def ask(installation: Installation, portal: BlockingPortal) -> Callable[[str], list[str]]:
    return lambda query: [str(item) for item in asked(portal, installation.app_url, query)]


def test_a_word_that_nobody_knows_is_shown_mapped_and_sold(
    installation: Installation, ask: Callable[[str], list[str]]
) -> None:
    shell = installation.shell
    ask("WITH gone AS (DELETE FROM services WHERE code = 'tg' RETURNING 1) SELECT * FROM gone")
    ask("UPDATE countries SET iso = 'Q' || iso, name = 'Q' || name WHERE code = 22 RETURNING 1")
    told = shell.succeed("provider", "sync", "pool")
    assert "Comparing offers (" in told
    assert "Writing changes (" in told
    assert "Not sold, since nobody has classified them: 907" in told
    assert "Unknown countries: IN" in told
    assert "numberdesk provider words pool" in told
    shown = shell.succeed("provider", "words", "pool")
    assert "  country IN (India)\n  service 907 (Telegram)\n" in shown
    assert "2 words are unknown" in shown
    ask("INSERT INTO services (code, name, category) VALUES ('tg', 'Paper plane', 'messenger') RETURNING 1")
    # Our list knows it again, and staff mean the same.
    told = shell.succeed(*["provider", "map", "pool", "--service", "907=tg", "--country", "IN=22"])
    assert told.splitlines()[0] == "pool: 2 words mean something now."
    shown = shell.succeed("provider", "words", "pool")
    assert "said by staff" in shown
    assert "No word is unknown." in shown
    assert "1012" not in shown
    assert "1012" in shell.succeed("provider", "words", "pool", "--all")
    assert ask(SOLD) == ["0"]
    assert "offers new" in shell.succeed("provider", "sync", "pool")
    assert ask(SOLD) != ["0"]
    assert ask("SELECT actor_kind || (details ->> 'service 907') FROM audit_log WHERE action = 'provider_words'") == [
        "shelltg"
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--service 907=nothing", "service 'nothing' is none of our codes (for the word '907')"),
        ("--country IN=99999", "country '99999' is none of our codes"),
        ("--country IN=XX", "country 'XX' is none of our codes"),
        ("--service 907", "service must be WORD=CODE"),
        ("--service =tg", "service must be WORD=CODE"),
        ("--service 907=tg --service 907=wa", "service must not give the word '907' two codes"),
        ("--service 907=wa --service 908=wa", "service must not give one code to two words"),
        ("--country " + "x" * 65 + "=22", "country must have a word of 1 to 64 printable characters"),
        ("", "service or --country must be given"),
    ],
)
def test_a_word_that_cannot_be_mapped_is_said_in_a_sentence_and_nothing_is_written(
    installation: Installation, ask: Callable[[str], list[str]], words: str, said: str
) -> None:
    query = "SELECT word || code || source FROM provider_words ORDER BY 1"
    before = ask(query)
    assert said in installation.shell.run("provider", "map", "pool", *words.split()).sentence
    assert ask(query) == before


@pytest.mark.parametrize("command", ["map nobody --service a=tg", "words nobody", "sync nobody"])
def test_a_provider_that_is_not_there_is_named(installation: Installation, command: str) -> None:
    assert "There is no such provider 'nobody'" in installation.shell.run("provider", *command.split()).sentence


def test_a_short_list_is_refused_and_believed_when_forced(
    installation: Installation, ask: Callable[[str], list[str]]
) -> None:
    shell = installation.shell
    shell.succeed("provider", "sync", "pool")
    ask(
        "WITH more AS (INSERT INTO offers (service, country, provider_id, cost_paise, stock, operator)"
        " SELECT code, 63, 1, 100, 1, 'more' || n FROM services, generate_series(1, 10) AS n RETURNING 1)"
        " SELECT count(*) FROM more"
    )
    refused = shell.run("provider", "sync", "pool")
    assert (refused.code, "Nothing was changed." in refused.err) == (1, True)
    assert "pool, sync_failed: " in shell.succeed("provider", "alerts")
    assert "gone." in shell.succeed("provider", "sync", "pool", "--force")
    assert ask("SELECT count(*) FROM offers WHERE operator LIKE 'more%' AND stock > 0") == ["0"]
    assert "Nothing is wrong" in shell.succeed("provider", "alerts")
