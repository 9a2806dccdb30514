"""What the tests of recharges on the wire share: a site that is paid at a UPI address, and its bank."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from anyio.from_thread import BlockingPortal

from numberdesk.base import clock
from numberdesk.base.postgres import Cluster
from numberdesk.payments import service as payments
from numberdesk.payments.model import Proof
from tests.http import stand as stands
from tests.http.stand import Client, Stand

BEGIN = "/recharge/initiate"
UPI, TRON = "/payment/upi", "/payment/tron"
CLAIM_UPI, CLAIM_TRON = "/payment/verify-upi", "/payment/verify-tron"
VPA, PAYEE = "numbers@okbank", "Acme Numbers"
NOT_THERE = "RC01JDMZ9K7Q4W8X2Y6T5N3B1V0H"
EMPTY = {"available": "0.00", "held": "0.00", "currency": "INR"}
OPEN_MAX, AN_HOUR = 3, 10
"""How many recharges of one method may wait for their payment, and how many may be begun in an hour."""

_numbers = count(644_000_000_001)


@contextmanager
def paid_by_upi(portal: BlockingPortal, cluster: Cluster, **changes: Any) -> Iterator[Stand]:
    """Run a site that is paid at one UPI address, which is no merchant's; `changes` are settings."""
    with stands.opened(portal, cluster, **changes) as stand:
        portal.call(lambda: payments.open_vpa(stand.site.db, address=VPA, payee_name=PAYEE, kind="personal"))
        yield stand


def new_utr() -> str:
    """Return the number of a payment that nobody has made yet."""
    return f"{next(_numbers)}"


def begun(client: Client, amount: object = "100") -> str:
    """Begin a recharge by UPI and return its id."""
    return str(client.post(BEGIN, {"method": "upi", "amount": amount}).data["transactionId"])


def paid(stand: Stand, ref: str, utr: str | None = None) -> str:
    """Have the bank's statement show that a recharge was paid; returns the payment's UTR."""
    rrn = utr or new_utr()

    async def work() -> None:
        till = stand.site.till
        recharge = await payments.find(till.db, account_id=None, ref=ref)
        proof = Proof(
            "upi_manual", f"{recharge.vpa_id}:{rrn}", "statement", clock.now(), rrn=rrn,
            amount_paise=recharge.payable_paise, recharge_id=recharge.id, vpa_id=recharge.vpa_id,
        )  # fmt: skip
        (settled,) = await payments.settle(till, [proof])
        assert settled.outcome == "credited"

    stand.portal.call(work)
    return rrn


def recharged(stand: Stand, client: Client) -> str:
    """Have a customer recharge by UPI, as the bank's statement proves it; returns the recharge's id."""
    stand.portal.call(lambda: payments.open_vpa(stand.site.db, address=VPA, payee_name=PAYEE, kind="merchant"))
    ref = begun(client)
    paid(stand, ref)
    return ref
