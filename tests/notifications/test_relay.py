"""Events by apprise, of which a stand-in is installed here: it has the two calls that we use."""

import sys
from dataclasses import dataclass, field
from types import ModuleType

import pytest

from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database
from numberdesk.notifications import jobs
from numberdesk.notifications import service as notifications
from numberdesk.notifications.service import Bell, Relay, RelayMissing
from tests.notifications.bells import ALL, event, tell
from tests.notifications.outbox import count, make_due, row

pytestmark = pytest.mark.anyio

ADDRESS = "json://user:secret-of-a-relay@relay.example/"


@dataclass
class StandIn:
    """What `apprise.Apprise()` returns."""

    sent: list[tuple[str, str]] = field(default_factory=list)
    is_broken: bool = False

    def add(self, url: str) -> bool:
        return url.startswith("json://")

    async def async_notify(self, *, title: str, body: str, body_format: str) -> bool:
        assert body_format == "text"
        if self.is_broken:
            raise OSError(ADDRESS)
        self.sent.append((title, body))
        return True


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    stand_in, module = StandIn(), ModuleType("apprise")
    module.Apprise = lambda: stand_in  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "apprise", module)
    return stand_in


def test_without_apprise_the_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(RelayMissing, match=r"pip install 'numberdesk\[notify\]'") as caught:
        Relay([ADDRESS])
    assert "secret" not in str(caught.value)


def test_an_address_that_is_none_is_told_by_its_place(installed: StandIn) -> None:
    with pytest.raises(RelayMissing, match=r"the 2\. address") as caught:
        Relay([ADDRESS, "nonsense://secret"])
    assert "secret" not in str(caught.value)


async def test_events_go_there_and_come_again_after_trouble(db: Database, vault: Vault, installed: StandIn) -> None:
    bell = Bell(relay=Relay([ADDRESS]), kinds=ALL)
    await notifications.settle_targets(db, bell)
    installed.is_broken = True
    await tell(db, vault, event(Name="a <b> & c"))
    assert await jobs.deliver_by_relay(db, vault, bell) == 1
    assert (await row(db, "apprise:test:1")).last_problem == "the relay failed (OSError)"
    installed.is_broken = False
    for _ in range(3):
        await make_due(db)
        await jobs.deliver_by_relay(db, vault, bell)
    assert installed.sent == [("It happened", "Name: a <b> & c")]
    await notifications.settle_targets(db, Bell())
    await tell(db, vault, event(2))
    assert await count(db) == 1
