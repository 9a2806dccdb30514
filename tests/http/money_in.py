"""What the tests of whole recharges share: a site with a mailbox, its fake gateway or chain, and its worker."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from anyio.from_thread import BlockingPortal

from numberdesk.base import clock
from numberdesk.base.postgres import Cluster
from numberdesk.payments import service as payments
from numberdesk.payments.model import ReconciledSource
from numberdesk.payments.service import Till
from tests.http import stand as stands
from tests.http.stand import Answer, Client, Stand
from tests.notifications.mailbox import Mailbox, mailbox
from tests.payments.fakes.cashfree import cashfree_fake
from tests.payments.fakes.gateway_ledger import Webhook
from tests.payments.fakes.phonepe import phonepe_fake
from tests.payments.fakes.rates import Rates, rates
from tests.payments.fakes.razorpay import razorpay_fake
from tests.payments.fakes.trongrid import USDT, FakeTronGrid, trongrid

GATEWAYS = ("razorpay", "cashfree", "phonepe")
XPUB = "xpub6D1AabNHCupeiLM65ZR9UStMhJ1vCpyV4XbZdyhMZBiJXALQtmn9p42VTQckoHVn8WNqS7dqnJokZHAHcHGoaQgmv8D45oNUKx6DZMNZBCd"
FIRST_ADDRESS = "TUEZSdKsoDHQMeZwihtdoBiN46zxhGWYdH"
IN_TIME = 12.0


@dataclass
class Scene:
    """A site, its mails, and whoever pays in the world outside."""

    stand: Stand
    box: Mailbox
    fake: Any = None
    """The fake of the gateway that is in use."""
    chain: FakeTronGrid | None = None
    rates: Rates | None = None

    @property
    def till(self) -> Till:
        return self.stand.site.till

    def customer(self) -> Client:
        """Return a new customer with an empty wallet, who may do everything that an API key may."""
        return self.stand.customer("0")

    def begun(self, client: Client, amount: object = "100", method: str = "upi") -> dict[str, Any]:
        """Begin a recharge and return what its customer is told."""
        found: dict[str, Any] = client.post("/recharge/initiate", {"method": method, "amount": amount}).data
        return found

    def deliver(self, name: str, webhook: Webhook) -> Answer:
        """Send a webhook."""
        headers = {"Content-Type": "application/json", **webhook.headers}
        return self.stand.nobody.send("POST", f"/webhooks/{name}", body=webhook.raw, headers=headers)

    def worked_on(self) -> None:
        """Wait until every webhook was worked on."""
        until(lambda: self.stand.ask("SELECT count(*) FROM webhook_events WHERE state = 'waiting'") == 0)

    def look_now(self, ref: str) -> None:
        """Have the worker's next look come at once."""
        self.stand.change("UPDATE recharges SET due_at = clock_timestamp() WHERE ref = $1", ref)

    def scan_now(self) -> None:
        """Have the worker read all histories at once."""
        self.stand.change("UPDATE tron_addresses SET due_at = clock_timestamp()")

    def price_now(self) -> None:
        """Ask the sources at once."""
        self.stand.portal.call(payments.fetch_rates, self.till)

    def mail(self, client: Client, subject: str) -> str:
        """Wait for a mail to a customer and return its text."""
        email = self.stand.ask("SELECT email FROM accounts WHERE id = $1", client.account_id)
        message = self.stand.portal.call(lambda: self.box.next(to=email, subject_part=subject, patience=10))
        body: Any = message.get_body(("plain",))
        return str(body.get_content())

    def verify_ledger(self) -> None:
        """Check the ledger."""
        self.stand.verify_ledger()

    def is_right(self, *sources: ReconciledSource) -> None:
        """Check the ledger, and the books against the outside."""
        self.verify_ledger()
        since = clock.now() - timedelta(days=1)
        for found in self.stand.portal.call(lambda: payments.reconcile(self.till, since=since, sources=sources)):
            assert not found.differences, found.differences
            assert found.unclear == 0, found
            assert found.checked > 0

    async def compared(self, source: ReconciledSource) -> list[str]:
        """Compare with the outside, and return the differences."""
        since = clock.now() - timedelta(days=1)
        return (await payments.reconcile(self.till, since=since, sources=[source]))[0].differences


def until(is_so: Callable[[], bool]) -> None:
    """Wait for the worker."""
    deadline = time.monotonic() + IN_TIME
    while not is_so():
        assert time.monotonic() < deadline, "the worker did not get there in time"
        time.sleep(0.05)


def available(client: Client) -> str:
    """Return what a customer can spend."""
    return str(client.get("/user/balance").data["available"])


def status(client: Client, ref: str) -> dict[str, Any]:
    """Return a recharge as its customer sees it."""
    found: dict[str, Any] = client.get(f"/recharge/status/{ref}").data
    return found


def events(client: Client, ref: str) -> list[str]:
    """Return the steps of a recharge."""
    return [item["event"] for item in status(client, ref)["timeline"]]


@contextmanager
def opened(portal: BlockingPortal, cluster: Cluster, kind: str, **changes: Any) -> Iterator[Scene]:
    """Run a site that takes one kind of payment: `upi_manual`, a gateway's name, or `tron`."""
    with ExitStack() as stack:
        box = stack.enter_context(portal.wrap_async_context_manager(mailbox()))
        settings: dict[str, Any] = {
            "smtp_host": "127.0.0.1", "smtp_port": box.port, "smtp_security": "none",
            "mail_from": "Numberdesk <desk@example.com>",
        }  # fmt: skip
        fake = chain = prices = None
        if kind in GATEWAYS:
            runs = {"razorpay": razorpay_fake, "cashfree": cashfree_fake, "phonepe": phonepe_fake}
            fake = stack.enter_context(portal.wrap_async_context_manager(runs[kind]()))
            settings |= {"upi_rail": kind} | _gateway_settings(kind, fake)
        elif kind == "tron":
            chain = stack.enter_context(portal.wrap_async_context_manager(trongrid()))
            prices = stack.enter_context(portal.wrap_async_context_manager(rates()))
            chain.first_block_at = chain.head_at = int(clock.now().timestamp() * 1000)
            settings |= {
                "tron_xpub": XPUB, "tron_first_address": FIRST_ADDRESS, "tron_url": chain.url, "usdt_contract": USDT,
                "tron_calls_per_second": 1000, "crypto_spread": 0, "coingecko_url": f"{prices.url}/coingecko",
                "coindcx_url": f"{prices.url}/coindcx", "wazirx_url": f"{prices.url}/wazirx",
            }  # fmt: skip
        stand = stack.enter_context(stands.opened(portal, cluster, **(settings | changes)))
        portal.call(
            lambda: payments.open_vpa(stand.site.db, address="numbers@okbank", payee_name="Acme", kind="personal")
        )
        scene = Scene(stand, box, fake, chain, prices)
        if kind == "tron":
            scene.price_now()
        yield scene


def _gateway_settings(kind: str, fake: Any) -> dict[str, Any]:
    if kind == "razorpay":
        return {
            "razorpay_key_id": fake.key_id, "razorpay_key_secret": fake.key_secret, "razorpay_url": fake.url,
            "razorpay_webhook_secrets": fake.webhook_secret,
        }  # fmt: skip
    if kind == "cashfree":
        return {
            "cashfree_client_id": fake.client_id, "cashfree_client_secrets": fake.client_secret,
            "cashfree_url": fake.url,
        }  # fmt: skip
    return {
        "phonepe_client_id": fake.client_id, "phonepe_client_secret": fake.client_secret,
        "phonepe_client_version": fake.client_version, "phonepe_url": fake.url, "phonepe_token_url": fake.token_url,
        "phonepe_webhook_logins": f"{fake.webhook_user}:{fake.webhook_password}",
    }  # fmt: skip
