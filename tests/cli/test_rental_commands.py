"""`rentals hours`: for how long numbers are rented."""

import pytest
from anyio.from_thread import BlockingPortal

from tests.cli.conftest import Install, Installation, asked

KNOWN = "SELECT unnest(hours) FROM rental_version"


@pytest.fixture(scope="module")
def installation(install: Install) -> Installation:
    return install()


def test_the_hours_are_shown_changed_and_written_down(installation: Installation, portal: BlockingPortal) -> None:
    shell = installation.shell
    assert shell.succeed("rentals", "hours") == "Rented for hours: 4, 24, 72, 168, 720.\n"
    assert shell.succeed("rentals", "hours", "48, 6,24,6") == "Rented for hours: 6, 24, 48.\n"
    assert asked(portal, installation.app_url, KNOWN) == [6, 24, 48]
    assert shell.succeed("rentals", "hours", "none") == "No numbers are rented by the hour.\n"
    assert shell.succeed("rentals", "hours") == "No numbers are rented by the hour.\n"
    told = (
        "SELECT actor_kind || ' ' || (details ->> 'hours') FROM audit_log WHERE action = 'rental_hours_set' ORDER BY id"
    )
    assert asked(portal, installation.app_url, told) == ["shell 6,24,48", "shell "]


@pytest.mark.parametrize(
    "hours", ["", "x", "4;24", "4,,24", "0", "8761", "1.5", "٢٤", "9" * 400, ",".join(map(str, range(1, 22)))]
)
def test_hours_that_are_no_time_are_said_in_a_sentence_and_nothing_is_written(
    installation: Installation, portal: BlockingPortal, hours: str
) -> None:
    before = asked(portal, installation.app_url, KNOWN)
    refused = installation.shell.run("rentals", "hours", hours)
    assert refused.code == 1
    assert "hours must be" in refused.sentence
    assert asked(portal, installation.app_url, KNOWN) == before
