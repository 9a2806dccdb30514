"""A state of before the payments is restored: the bank's statement and the chain bring each payment back, once."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString

import pytest
from anyio.from_thread import BlockingPortal
from pydantic import SecretStr

from numberdesk.base import clock, http_client
from numberdesk.base.db import open_database, rows, value
from numberdesk.base.limits import Limiter
from numberdesk.base.postgres import Cluster
from numberdesk.main import secrets_of
from numberdesk.monitoring import service as monitoring
from numberdesk.payments import service as payments
from numberdesk.payments.service import Till
from numberdesk.settings import Settings
from numberdesk.till import open_till
from tests import postgres
from tests.cli.conftest import Install, Installation
from tests.http.money_in import Scene, available, opened, until
from tests.http.stand import Client

UTRS = ("633112345601", "633112345602", "633112345603")
TRX = 1_000_000


@dataclass(frozen=True)
class Restored:
    """An installation whose database is that of a backup."""

    portal: BlockingPortal
    settings: Settings

    @contextmanager
    def till(self) -> Iterator[Till]:
        """Open what its payments work with."""
        with self.portal.wrap_async_context_manager(_till(self.settings)) as till:
            yield till

    def wallets(self, till: Till) -> dict[int, int]:
        """Return what each account can spend, in paise."""

        async def work() -> dict[int, int]:
            async with till.db.statement() as tx:
                return dict(await rows(tx, "SELECT account_id, available_paise FROM wallets"))

        return self.portal.call(work)

    def ask(self, till: Till, query: LiteralString) -> Any:
        async def work() -> Any:
            async with till.db.statement() as tx:
                return await value(tx, query)

        return self.portal.call(work)

    def is_right(self, till: Till) -> None:
        checks = self.portal.call(monitoring.verify, till.db)
        assert [(check.name, check.wrong) for check in checks if not check.ok] == []


@asynccontextmanager
async def _till(settings: Settings) -> AsyncIterator[Till]:
    assert settings.database_url is not None
    db = await open_database(settings.database_url.get_secret_value(), size=4)
    try:
        async with http_client.session() as session:
            limiter = Limiter(db, numbers=settings.limits)
            yield await open_till(db, settings, vault=secrets_of(settings).vault, limiter=limiter, session=session)
    finally:
        await db.close()


def environment_of(scene: Scene, cluster: Cluster) -> dict[str, str]:
    """Return the environment in which commands work on the scene's database."""
    settings = scene.stand.site.settings
    found = {
        name.upper(): getattr(settings, name).get_secret_value()
        for name in ("database_url", "api_key_salt", "jwt_secret", "encryption_keys")
    }
    name = scene.stand.admin_url.partition("?")[0].rpartition("/")[2]
    return found | {"DATABASE_OWNER_URL": postgres.in_database(cluster.owner_url, name)}


def restored(scene: Scene, empty: Installation, portal: BlockingPortal) -> Restored:
    """Put the backup into an empty database."""
    settings = scene.stand.site.settings
    secrets = {
        name.upper(): getattr(settings, name).get_secret_value()
        for name in ("api_key_salt", "jwt_secret", "encryption_keys")
    }
    told = empty.shell.run("restore", "early.backup", "--home", "restored", **secrets)
    assert told.code == 0, told
    assert "the ledger is right" in told.out
    url = SecretStr(empty.app_url)
    return Restored(portal, settings.model_copy(update={"database_url": url}))


def since() -> datetime:
    """Return a moment before everything."""
    return clock.now() - timedelta(days=1)


def wallets_of(scene: Scene, people: list[Client]) -> dict[int, int]:
    """Return what the people of a scene can spend, in paise."""
    return {
        client.account_id: scene.stand.ask(
            "SELECT available_paise FROM wallets WHERE account_id = $1", client.account_id
        )
        for client in people
    }


def came(scene: Scene, client: Client) -> None:
    """Wait until a payment on the chain is credited."""

    def is_there() -> bool:
        scene.scan_now()
        return available(client) == "284.10"

    until(is_there)


def statement(scene: Scene, begun: list[dict[str, Any]], *, paid: int) -> bytes:
    """Import a statement in which the first recharges are paid; returns it."""
    at = f"{clock.now():%Y-%m-%dT%H:%M:%SZ}"
    lines = [f"{at},{utr},{shown['pay']['amount']}" for utr, shown in zip(UTRS, begun, strict=True)]
    raw = "\n".join(["date,utr,amount", *lines[:paid]]).encode()
    scene.stand.portal.call(take, scene.till, raw)
    return raw


async def take(till: Till, raw: bytes) -> None:
    """Import a statement."""
    (vpa,) = await payments.list_vpas(till.db)
    await payments.take_statement(till, vpa=vpa, raw=raw, name="bank.csv", profile="generic", by=None)


async def read(till: Till, raw: bytes) -> None:
    """Import a statement and read it to its end."""
    await take(till, raw)
    while await payments.read_statements(till):
        pass


async def claim(till: Till, client: Client, ref: str) -> None:
    """Claim the last payment."""
    with suppress(payments.UtrAlreadyUsed):
        await payments.claim_utr(till, account_id=client.account_id, ref=ref, utr=UTRS[2], payer_vpa=None)


@pytest.fixture
def empty(install: Install) -> Installation:
    """A database without tables."""
    return install(is_migrated=False)


def test_a_statement_that_is_imported_again_credits_what_the_backup_does_not_know(
    portal: BlockingPortal, cluster: Cluster, empty: Installation
) -> None:
    with opened(portal, cluster, "upi_manual") as scene:
        people = [scene.customer() for _ in UTRS]
        begun = [scene.begun(client, "250") for client in people]
        claims = list(zip(people, [shown["transactionId"] for shown in begun], UTRS, strict=True))
        for client, ref, utr in claims[:2]:
            assert client.post("/payment/verify-upi", {"transactionId": ref, "utr": utr}).data["outcome"] == "waiting"
        statement(scene, begun, paid=1)
        until(lambda: available(people[0]) == begun[0]["pay"]["amount"])
        empty.shell.succeed("backup", "early.backup", **environment_of(scene, cluster))
        client, ref, utr = claims[2]
        client.post("/payment/verify-upi", {"transactionId": ref, "utr": utr})
        whole = statement(scene, begun, paid=3)
        until(lambda: all(available(a) == b["pay"]["amount"] for a, b in zip(people, begun, strict=True)))
        before = wallets_of(scene, people)
        new = restored(scene, empty, portal)
        with new.till() as till:
            assert {wallet: new.wallets(till)[wallet] for wallet in before} != before
            for _ in range(2):
                portal.call(read, till, whole)
                # The third claim was lost with the rest; its customer, who has no money yet, claims once more.
                portal.call(claim, till, client, ref)
                assert {wallet: new.wallets(till)[wallet] for wallet in before} == before
            (compared,) = portal.call(lambda: payments.reconcile(till, since=since(), sources=["bank"]))
            assert (compared.checked, compared.differences, compared.unclear) == (3, [], 0)
            new.is_right(till)


def test_the_chain_gives_back_what_the_backup_does_not_know_and_addresses_are_left_out(
    portal: BlockingPortal, cluster: Cluster, empty: Installation
) -> None:
    with opened(portal, cluster, "tron") as scene:
        assert scene.chain is not None
        people = [scene.customer() for _ in range(3)]
        places = [scene.begun(client, "284.10", "trx")["pay"]["address"] for client in people]
        scene.chain.pay(places[0], 10 * TRX)
        scene.chain.balances[places[0]] = 10 * TRX
        came(scene, people[0])
        empty.shell.succeed("backup", "early.backup", **environment_of(scene, cluster))
        for client, place in zip(people[1:], places[1:], strict=True):
            scene.chain.pay(place, 10 * TRX)
            scene.chain.balances[place] = 10 * TRX
            came(scene, client)
        scene.begun(scene.customer(), "284.10", "trx")
        before = wallets_of(scene, people)
        new = restored(scene, empty, portal)
        with new.till() as till:
            assert {wallet: new.wallets(till)[wallet] for wallet in before} != before
            for wanted in (2, 0):
                (compared,) = portal.call(lambda: payments.reconcile(till, since=since(), sources=["chain"]))
                assert len(compared.differences) == wanted
                while portal.call(payments.scan_due, till):
                    pass
                assert {wallet: new.wallets(till)[wallet] for wallet in before} == before
            new.is_right(till)
            # The next customer's address is none that somebody was told in the lost time.
            given = scene.stand.ask("SELECT max(index) FROM tron_addresses")
            assert new.ask(till, "SELECT next_index FROM tron_wallets") > given + 50
