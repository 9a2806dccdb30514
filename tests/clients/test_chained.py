"""smsbower, unmodified, where our server sells what it buys from another one of ours: what we speak we also read."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.base.postgres import Cluster
from numberdesk.catalogue import service as catalogue
from numberdesk.cli._providers import sync_provider
from numberdesk.providers import service as providers
from tests.clients.acceptance import proves
from tests.clients.stage import Seen, play
from tests.http import stand as stands
from tests.http.stand import HOST, Client, Stand

CLIENT = "smsbower 0.1.0"
PRICE = 25.56
"""21.30 at the farther site, and a fifth more at the nearer one."""


@dataclass(frozen=True)
class Chain:
    """The nearer site has no numbers but those of the farther one, where it is `buyer`."""

    near: Stand
    far: Stand
    buyer: Client

    def deliver(self, order_id: int, code: str) -> None:
        self.far.deliver(self._far_order(order_id), code)

    def ripen(self, order_id: int) -> None:
        self.far.ripen(self._far_order(order_id))
        self.near.ripen(order_id)

    def _far_order(self, order_id: int) -> int:
        return int(self.near.ask("SELECT upstream_id FROM orders WHERE id = $1", order_id))


@pytest.fixture(scope="module")
def chain(portal: BlockingPortal, cluster: Cluster) -> Iterator[Chain]:
    with (
        stands.opened(portal, cluster, rate_limit_protocol="off") as far,
        stands.opened(portal, cluster, rate_limit_protocol="off") as near,
    ):
        chain = Chain(near, far, far.customer("5000"))
        portal.call(_sell_only_from_far, chain)
        yield chain


async def _sell_only_from_far(chain: Chain) -> None:
    site = chain.near.site
    for line in list(site.lines.by_id.values()):
        await providers.set_options(site.db, line.provider.id, is_on=False)
    far = await providers.add(
        site.db, site.vault, name="far", kind="sms-activate", dialect="numberdesk",
        url=f"http://{HOST}:{chain.far.port}", api_key=chain.buyer.key or "", poll_ms=100, calls_per_second=1000,
        cancel_after_ms=0,
    )  # fmt: skip
    await providers.refresh(site.lines)
    await sync_provider(site.db, site.lines, far)
    await catalogue.refresh(site.db, site.shelf)


@pytest.fixture(scope="module")
def seen(chain: Chain) -> Seen:
    return play(chain.near, "smsbower_0_1_0", scenery=chain)


@proves(22)
def test_the_client_sees_the_same_as_without_a_chain(seen: Seen) -> None:
    assert (seen["balance"], seen["balance after"]) == (1000.0, pytest.approx(1000 - PRICE))
    for name, word in (
        ("wrong key", "BAD_KEY"), ("poor", "NO_BALANCE"), ("no service", "BAD_SERVICE"), ("no numbers", "NO_NUMBERS"),
        ("early", "EARLY_CANCEL_DENIED"), ("foreign", "NO_ACTIVATION"),
    ):  # fmt: skip
        assert seen[name].endswith(f" {word}")
    assert (seen["code"], seen["second code"]) == (["STATUS_OK", "12345"], ["STATUS_OK", "67890"])
    assert seen["retry"] == ["STATUS_WAIT_RETRY", "12345"]
    assert (seen["finish"], seen["cancel"]) == (["ACCESS_ACTIVATION"] * 2, ["ACCESS_CANCEL"] * 2)
    assert seen["number v2"]["activationCost"] == PRICE
    assert seen["top"]["price"] == PRICE


@proves(22)
def test_each_site_took_its_price_once(chain: Chain, seen: Seen) -> None:
    assert seen.alice is not None
    shown = chain.buyer.get("/user/balance").data
    assert (shown["available"], shown["held"]) == ("4978.70", "0.00")
    assert chain.far.ask("SELECT count(*) FROM orders") == 2
    assert chain.far.ask("SELECT count(*) FROM orders WHERE state = 'cancelled'") == 1
