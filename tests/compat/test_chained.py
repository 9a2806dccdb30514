"""Our server as the provider of another one of ours: what it speaks is what it reads."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.base.money import Paise
from numberdesk.base.postgres import Cluster
from numberdesk.catalogue import service as catalogue
from numberdesk.cli._providers import sync_provider
from numberdesk.providers import service as providers
from numberdesk.providers.model import ActiveList, Listing, Provider, Rented, Wanted
from numberdesk.providers.simulator import PROFILES
from tests.compat.bot import Bot, money, wait_for_code
from tests.http import stand as stands
from tests.http.stand import HOST, Client, Stand

DEADLINE_MS = 1500


@dataclass(frozen=True)
class Chain:
    """Two sites: `near` sells what it buys at `far`, which is known to it as a provider."""

    near: Stand
    far: Stand
    buyer: Client
    """Who `near` is at `far`."""
    provider: Provider

    def far_order(self, order_id: int) -> int:
        return int(self.near.ask("SELECT upstream_id FROM orders WHERE id = $1", order_id))

    def wish(self) -> dict[str, Any]:
        return {"service": "tg", "country": "22", "providerIds": str(self.provider.id)}


@pytest.fixture(scope="module")
def chain(portal: BlockingPortal, cluster: Cluster) -> Iterator[Chain]:
    with (
        stands.opened(portal, cluster, rate_limit_protocol="off") as far,
        stands.opened(portal, cluster, rate_limit_protocol="off") as near,
    ):
        buyer = far.customer("5000")
        yield Chain(near, far, buyer, portal.call(_add, near, far, buyer))


async def _add(near: Stand, far: Stand, buyer: Client) -> Provider:
    site = near.site
    provider = await providers.add(
        site.db, site.vault, name="chain", kind="sms-activate", dialect="numberdesk", url=f"http://{HOST}:{far.port}",
        api_key=buyer.key or "", poll_ms=100, calls_per_second=1000, cancel_after_ms=0, deadline_ms=DEADLINE_MS,
    )  # fmt: skip
    await providers.refresh(site.lines)
    await sync_provider(site.db, site.lines, provider)
    await catalogue.refresh(site.db, site.shelf)
    return provider


@pytest.fixture
def alice(chain: Chain) -> Bot:
    """A customer of the nearer site."""
    return Bot(chain.near.customer())


def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    for _ in range(200):
        if is_so():
            return
        time.sleep(0.05)
    raise AssertionError("it never came to be")


def test_prices_pass_through_with_the_margin_on_top(chain: Chain, alice: Bot) -> None:
    far = Decimal(str(Bot(chain.buyer).json("getPrices", service="tg", country="22")["22"]["tg"]["cost"]))
    line = chain.near.site.lines.by_id[chain.provider.id]
    listed = chain.near.portal.call(providers.listing, chain.near.site.lines, line.provider.id)
    assert isinstance(listed, Listing)
    (offer,) = [item for item in listed.offers if (item.service, item.country) == ("tg", "22")]
    assert offer.cost_paise == far * 100
    near = alice.json("getPricesV3", service="tg", country="22")["22"]["tg"][str(chain.provider.id)]["price"]
    assert Decimal(str(near)) == Decimal("25.56")  # 21.30 and a fifth more


def test_a_number_of_the_chain_gets_its_codes_and_is_paid_once_at_each_site(chain: Chain, alice: Bot) -> None:
    before = Decimal(money(Bot(chain.buyer))[0])
    order_id = alice.buy(**chain.wish())
    far_id = chain.far_order(order_id)
    assert Bot(chain.buyer).text("getStatus", id=far_id) == "STATUS_WAIT_CODE"
    (item,) = [
        each for each in Bot(chain.buyer).json("getActiveActivations")["data"] if each["activationId"] == str(far_id)
    ]
    assert item["orderId"] == f"{order_id}-1"
    chain.far.deliver(far_id, "12345")
    wait_for_code(alice, order_id, "12345")
    assert alice.text("setStatus", id=order_id, status=3) == "ACCESS_RETRY_GET"
    until(lambda: Bot(chain.buyer).text("getStatus", id=far_id) == "STATUS_WAIT_RETRY:12345")
    chain.far.deliver(far_id, "67890")
    wait_for_code(alice, order_id, "67890")
    assert alice.text("setStatus", id=order_id, status=6) == "ACCESS_ACTIVATION"
    until(lambda: Bot(chain.buyer).text("getStatus", id=far_id) == "STATUS_CANCEL")
    assert chain.far.ask("SELECT state FROM orders WHERE id = $1", far_id) == "completed"
    assert before - Decimal(money(Bot(chain.buyer))[0]) == Decimal("21.30")
    assert money(alice) == ("974.44", "0.00")


def test_a_cancel_gives_the_money_back_at_both_sites(chain: Chain, alice: Bot) -> None:
    before = money(Bot(chain.buyer))
    order_id = alice.buy(**chain.wish())
    far_id = chain.far_order(order_id)
    chain.near.ripen(order_id)
    assert alice.text("setStatus", id=order_id, status=8) == "EARLY_CANCEL_DENIED"  # the farther site says so
    chain.far.ripen(far_id)
    chain.near.ripen(order_id)
    assert alice.text("setStatus", id=order_id, status=8) == "ACCESS_CANCEL"
    assert (money(Bot(chain.buyer)), money(alice)) == (before, ("1000.00", "0.00"))
    assert chain.near.ask("SELECT upstream_refund FROM orders WHERE id = $1", order_id) == "confirmed"


def test_a_code_at_the_farther_site_wins_against_the_cancel(chain: Chain, alice: Bot) -> None:
    order_id = alice.buy(**chain.wish())
    far_id = chain.far_order(order_id)
    chain.near.ripen(order_id)
    chain.far.ripen(far_id)
    chain.far.deliver(far_id, "11111")
    until(lambda: Bot(chain.buyer).text("getStatus", id=far_id) == "STATUS_OK:11111")
    assert alice.text("setStatus", id=order_id, status=8) == "BAD_STATUS"
    assert alice.text("getStatus", id=order_id) == "STATUS_OK:11111"


def test_a_repeated_reference_is_the_same_number(chain: Chain) -> None:
    wanted = Wanted("tg", 22, "any", Paise(2130), "reference-1")
    answers = [
        chain.near.portal.call(providers.rent, chain.near.site.lines, chain.provider.id, wanted) for _ in range(2)
    ]
    assert isinstance(answers[0], Rented)
    assert answers[0] == answers[1]
    listed = chain.near.portal.call(providers.active, chain.near.site.lines, chain.provider.id)
    assert isinstance(listed, ActiveList)
    assert [item.reference for item in listed.activations if item.upstream_id == answers[0].upstream_id] == [
        "reference-1"
    ]


def test_a_purchase_that_takes_too_long_is_found_by_its_reference(chain: Chain, alice: Bot) -> None:
    sold = int(chain.far.ask("SELECT count(*) FROM orders"))
    slow = replace(PROFILES["slow"], answer_delay=DEADLINE_MS / 1000 + 0.7, fault_on="purchases", code_after=None)
    chain.far.portal.call(lambda: chain.far.provider.set_profile(slow))
    try:
        answer = alice.send("getNumberV2", **chain.wish())
    finally:
        chain.far.portal.call(lambda: chain.far.provider.set_profile("never"))
    assert answer.json["phoneNumber"].isdigit()
    order_id = answer.json["activationId"]
    until(lambda: chain.near.ask("SELECT upstream_id FROM orders WHERE id = $1", order_id) is not None)
    assert chain.far.ask("SELECT count(*) FROM orders") == sold + 1
    assert (
        chain.far.ask("SELECT request_key FROM orders WHERE id = $1", chain.far_order(order_id))
        == f"ref:1:{order_id}-1"
    )


def rented_out(chain: Chain) -> dict[str, Any]:
    """Let the nearer site know what the farther one rents out for four hours, and return the wish for it."""
    buyer, asked = Bot(chain.buyer), {"rent_time": "4", "country": "22"}
    until(lambda: "tg" in buyer.json("getRentServicesAndCountries", **asked).get("services", {}))
    chain.near.change(
        """
        WITH next AS (UPDATE rental_version SET version = version + 1 RETURNING version)
        INSERT INTO rental_offers (service, country, provider_id, hours, cost_paise, stock, version)
        SELECT 'tg', 22, $1, 4, 4260, 5, version FROM next
        ON CONFLICT (provider_id, country, hours, service, operator) DO NOTHING
        """,
        chain.provider.id,
    )
    wanted = chain.wish() | {"rent_time": "4"}
    chain.near.portal.call(catalogue.refresh, chain.near.site.db, chain.near.site.shelf)
    return wanted


def far_rental(chain: Chain, order_id: int) -> int:
    upstream_id = str(chain.near.ask("SELECT upstream_id FROM orders WHERE id = $1", order_id))
    assert upstream_id.startswith("rent:")
    return int(upstream_id.removeprefix("rent:"))


def test_a_rental_of_the_chain_is_read_prolonged_and_finished(chain: Chain, alice: Bot) -> None:
    wanted, buyer = rented_out(chain), Bot(chain.buyer)
    before = Decimal(money(buyer)[0])
    order_id = int(alice.json("getRentNumber", **wanted)["phone"]["id"])
    far_id = far_rental(chain, order_id)
    assert buyer.json("getRentList")["values"]["0"]["orderId"] == f"{order_id}-1"
    for code in ("11111", "22222"):
        chain.far.deliver(far_id, code)
        until(partial(has_message, alice, order_id, code))
    told = chain.near.ask("SELECT expires_at FROM orders WHERE id = $1", order_id)
    assert alice.json("continueRentInfo", id=order_id, hours="4")["price"] == 51.12  # 42.60 and a fifth more
    assert alice.json("continueRentNumber", id=order_id, rent_time="4")["status"] == "success"
    assert (chain.near.ask("SELECT expires_at FROM orders WHERE id = $1", order_id) - told).total_seconds() == 14_400
    assert alice.json("setRentStatus", id=order_id, status="1") == {"status": "success"}
    until(lambda: chain.far.ask("SELECT state FROM orders WHERE id = $1", far_id) == "completed")
    assert before - Decimal(money(buyer)[0]) == 2 * Decimal("42.60")
    assert money(alice) == ("897.76", "0.00")


def has_message(bot: Bot, order_id: int, code: str) -> bool:
    return code in str(bot.json("getRentStatus", id=order_id))


def test_a_rental_that_takes_too_long_is_found_by_its_reference(chain: Chain, alice: Bot) -> None:
    wanted = rented_out(chain)
    sold = int(chain.far.ask("SELECT count(*) FROM orders"))
    slow = replace(PROFILES["slow"], answer_delay=DEADLINE_MS / 1000 + 0.7, fault_on="purchases", code_after=None)
    chain.far.portal.call(lambda: chain.far.provider.set_profile(slow))
    try:
        answer = alice.json("getRentNumber", **wanted, orderId="late")
    finally:
        chain.far.portal.call(lambda: chain.far.provider.set_profile("never"))
    order_id = answer["phone"]["id"]
    assert chain.far.ask("SELECT count(*) FROM orders") == sold + 1
    assert chain.far.ask("SELECT request_key FROM orders WHERE id = $1", far_rental(chain, order_id)) == (
        f"ref:1:{order_id}-1"
    )
    assert money(alice) == ("948.88", "51.12")
    assert alice.json("setRentStatus", id=order_id, status="2") == {"status": "success"}
    assert money(alice) == ("1000.00", "0.00")
