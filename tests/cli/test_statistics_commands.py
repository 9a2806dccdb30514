"""`provider statistics` and `provider refunds`: counts with how sure they are, and both sides of what went back."""

import re
from collections.abc import Callable

import pytest

from numberdesk.providers.simulator import Simulator
from tests.cli.conftest import PROVIDER_KEY, Install, Installation

# Ten numbers of Telegram in this hour, and two of WhatsApp three days ago.
COUNTED = """
INSERT INTO delivery_stats (hour, provider_id, service, country, operator, sold, delivered, cancelled, refunds,
                            refunds_paise, confirmed, confirmed_paise, assumed, assumed_paise, refused, refused_paise,
                            due, due_paise, gap_paise, waits)
SELECT date_trunc('hour', clock_timestamp(), 'UTC') - age, 1, service, 22, 'any', sold, delivered, 1, 2,
       4260, 1, 1775, 0, 0, 1, 1775, 0, 0, 2130, waits
FROM (VALUES (interval '0', 'tg', 10, 8, '{0,0,0,0,0,7,0,0,0,1}'::int[]), ('3 days', 'wa', 2, 0, '{}'))
     AS hour (age, service, sold, delivered, waits)
"""


@pytest.fixture(scope="module")
def installation(install: Install, provider: Simulator) -> Installation:
    """A database with two providers."""
    found = install()
    for name in ("alpha", "idle"):
        found.shell.succeed("provider", "add", name, "--url", provider.url, "--api-key", PROVIDER_KEY)
    return found


def lines(text: str) -> list[list[str]]:
    """Return the cells of a table."""
    return [
        [cell.strip() for cell in re.split("[│┃]", line)[1:-1]] for line in text.splitlines() if re.match("[│┃]", line)
    ]


def test_delivery_and_refunds_are_shown(installation: Installation, tamper: Callable[[str, str], None]) -> None:
    run = installation.shell.succeed
    assert run("provider", "statistics", "alpha") == "alpha has sold nothing that is settled in the last 168 hours.\n"
    assert run("provider", "refunds", "alpha") == "alpha: nothing went back in the last 168 hours.\n"
    tamper(installation.admin_url, COUNTED)

    told = run("provider", "statistics", "alpha")
    assert lines(told)[1:] == [
        ["tg", "22", "any", "10", "8", "1", "0.800", "0.490-0.944", "3 s", "5 s"],
        ["wa", "22", "any", "2", "0", "1", "0.000", "0.000-0.658", "-", "-"],
    ]
    assert "Of the last 168 hours." in told
    assert [line[0] for line in lines(run("provider", "statistics", "alpha", "--window", "24"))[1:]] == ["tg"]

    told = run("provider", "refunds", "alpha")
    assert lines(told)[1:] == [
        ["tg", "22", "2: 42.60", "1: 17.75", "0: 0.00", "1: 17.75", "0: 0.00", "1: 21.30"],
        ["wa", "22", "2: 42.60", "1: 17.75", "0: 0.00", "1: 17.75", "0: 0.00", "1: 21.30"],
        ["all", "", "4: 85.20", "2: 35.50", "0: 0.00", "2: 35.50", "0: 0.00", "2: 42.60"],
    ]
    assert run("provider", "refunds", "idle", "--window", "720") == "idle: nothing went back in the last 720 hours.\n"


@pytest.mark.parametrize("command", ["statistics", "refunds"])
def test_an_unknown_provider_is_told(installation: Installation, command: str) -> None:
    assert "provider 'nobody'" in installation.shell.run("provider", command, "nobody").sentence
    assert installation.shell.run("provider", command, "alpha", "--window", "721").code == 2
