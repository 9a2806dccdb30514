"""A recharge to one of our own UPI addresses, from the first call to the receipt in the mailbox."""

from collections.abc import Iterator

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.base.postgres import Cluster
from tests.http.money_in import Scene, available, opened, status, until
from tests.http.stand import Client

UTR, OTHER = "633112345678", "633112345679"


@pytest.fixture(scope="module")
def scene(portal: BlockingPortal, cluster: Cluster) -> Iterator[Scene]:
    """A site that is paid at its own UPI address."""
    with opened(portal, cluster, "upi_manual") as scene:
        yield scene


@pytest.fixture(scope="module")
def finance(scene: Scene) -> Client:
    """Somebody of the staff who imports statements."""
    found = scene.stand.signed_in("chitra@example.com", role="finance").client
    scene.stand.change(
        "UPDATE sessions SET second_factor_at = now(), changed_at = clock_timestamp() WHERE account_id = $1",
        found.account_id,
    )
    return found


def test_a_customer_recharges_from_the_api_alone_and_gets_the_receipt_by_mail(scene: Scene, finance: Client) -> None:
    asha, bela = scene.customer(), scene.customer()
    begun = scene.begun(asha, "250")
    ref, pay = begun["transactionId"], begun["pay"]
    assert (pay["kind"], pay["payTo"], pay["opensApps"]) == ("upi", "numbers@okbank", False)
    assert f"am={pay['amount']}" in pay["upiLink"]
    assert pay["qrSvg"].startswith("<svg ")
    theirs = scene.begun(bela, "250")
    for client, claimed in ((bela, theirs["transactionId"]), (asha, ref)):
        claim = {"transactionId": claimed, "utr": UTR, "payerVpa": "asha@ybl"}
        assert client.post("/payment/verify-upi", claim).data["outcome"] == "waiting"
    assert (available(asha), available(bela)) == ("0.00", "0.00")
    at = scene.stand.ask(
        'SELECT to_char(created_at, \'YYYY-MM-DD"T"HH24:MI:SS"Z"\') FROM recharges WHERE ref = $1', ref
    )
    rows = ["date,utr,amount", f"{at},{UTR},{pay['amount']}", f"{at},{OTHER},1.005"]
    taken = finance.send("POST", "/admin/statements?profile=generic", body="\n".join(rows).encode()).data
    until(lambda: available(asha) == pay["amount"])
    until(lambda: finance.get(f"/admin/statements/{taken['id']}").data["state"] == "done")
    done = finance.get(f"/admin/statements/{taken['id']}").data
    assert (done["settled"], done["bad"], done["problems"][0]["line"]) == (1, 1, 3)
    assert available(bela) == "0.00"
    assert [item["event"] for item in status(asha, ref)["timeline"]] == ["created", "claimed", "credited"]
    (receipt,) = asha.get("/recharge/receipts").data["items"]
    assert (receipt["amount"], receipt["method"], receipt["reference"]) == (pay["amount"], "UPI", UTR)
    text = scene.mail(asha, receipt["number"])
    assert f"Amount: {pay['amount']} rupees" in text
    assert UTR not in text
    page = asha.get(f"/recharge/receipts/{receipt['id']}", Accept="text/html")
    assert receipt["number"].encode() in page.body
    scene.is_right("bank")
