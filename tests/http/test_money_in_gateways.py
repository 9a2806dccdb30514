"""Money that comes in through each gateway: from the first call to the receipt, and every way it may go odd."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.base.postgres import Cluster
from tests.http.money_in import GATEWAYS, Scene, available, events, opened, status, until
from tests.http.stand import Client


@pytest.fixture(scope="module", params=GATEWAYS)
def scene(request: pytest.FixtureRequest, portal: BlockingPortal, cluster: Cluster) -> Iterator[Scene]:
    """A site that is paid through one gateway."""
    with opened(portal, cluster, request.param) as scene:
        yield scene


@pytest.fixture(scope="module")
def name(scene: Scene) -> str:
    return scene.stand.site.settings.upi_rail


@pytest.fixture
def asha(scene: Scene) -> Client:
    return scene.customer()


def paid(scene: Scene, client: Client, name: str, amount: object = "100", **more: Any) -> tuple[str, str]:
    """Begin a recharge, pay it, and have the webhook worked on; returns the recharge and the payment."""
    ref = scene.begun(client, amount)["transactionId"]
    payment_id = scene.fake.pay(ref, **more)
    assert scene.deliver(name, scene.fake.webhook(ref)).status == 200
    scene.worked_on()
    return ref, payment_id


def forgotten(scene: Scene, ref: str) -> None:
    """Leave a recharge out of later comparisons: it was made to differ."""
    scene.stand.change("UPDATE recharges SET due_at = NULL, created_at = 'epoch' WHERE ref = $1", ref)


def test_a_customer_recharges_from_the_api_alone_and_gets_the_receipt_by_mail(
    scene: Scene, asha: Client, name: str
) -> None:
    begun = scene.begun(asha, "250.37")
    assert begun["pay"]["kind"] == "page"
    assert begun["pay"]["payTo"] == name
    assert begun["pay"]["url"] or begun["pay"]["session"]
    ref = begun["transactionId"]
    scene.fake.pay(ref)
    assert scene.deliver(name, scene.fake.webhook(ref)).data == {"isNew": True}
    until(lambda: available(asha) == "250.37")
    seen = status(asha, ref)
    assert (seen["recharge"]["status"], seen["recharge"]["credited"]) == ("completed", "250.37")
    assert [item["event"] for item in seen["timeline"]] == ["created", "page_made", "credited"]
    (receipt,) = asha.get("/recharge/receipts").data["items"]
    assert (receipt["amount"], receipt["transactionId"]) == ("250.37", ref)
    assert "Amount: 250.37 rupees" in scene.mail(asha, receipt["number"])
    (line,) = asha.get("/user/transactions").data["items"]
    assert (line["type"], line["state"], line["amount"], line["method"]) == ("recharge", "completed", "250.37", "upi")
    scene.is_right("gateway")


def test_webhook_three_times_poll_and_question_are_one_credit(scene: Scene, asha: Client, name: str) -> None:
    ref = scene.begun(asha)["transactionId"]
    scene.fake.pay(ref)
    webhook = scene.fake.webhook(ref)
    for _ in range(3):
        assert scene.deliver(name, webhook).status == 200
        assert asha.get(f"/recharge/verify/{ref}").status == 200
        scene.look_now(ref)
    until(lambda: available(asha) == "100.00")
    scene.look_now(ref)
    scene.worked_on()
    until(lambda: scene.stand.ask("SELECT due_at > clock_timestamp() FROM recharges WHERE ref = $1", ref))
    assert available(asha) == "100.00"
    assert events(asha, ref).count("credited") == 1
    scene.is_right("gateway")


def test_a_payment_whose_webhook_was_lost_is_found_by_looking(scene: Scene, asha: Client) -> None:
    ref = scene.begun(asha)["transactionId"]
    scene.fake.pay(ref)
    scene.look_now(ref)
    until(lambda: available(asha) == "100.00")


def test_a_payment_a_day_after_the_end_is_credited_and_said_to_be_late(scene: Scene, asha: Client, name: str) -> None:
    ref = scene.begun(asha)["transactionId"]
    scene.stand.change("UPDATE recharges SET expires_at = clock_timestamp() - interval '23 hours' WHERE ref = $1", ref)
    until(lambda: status(asha, ref)["recharge"]["stage"] == "expired")
    scene.fake.pay(ref)
    scene.deliver(name, scene.fake.webhook(ref))
    until(lambda: available(asha) == "100.00")
    last = status(asha, ref)["timeline"][-1]
    assert (last["event"], last["detail"]) == ("credited", "it came late")


def test_a_page_that_is_paid_twice_credits_both(scene: Scene, asha: Client, name: str) -> None:
    ref, _ = paid(scene, asha, name)
    scene.fake.pay(ref)
    scene.look_now(ref)
    until(lambda: available(asha) == "200.00")
    assert events(asha, ref).count("credited") == 2


def test_forged_changed_and_truncated_webhooks_prove_nothing(scene: Scene, asha: Client, name: str) -> None:
    ref = scene.begun(asha)["transactionId"]
    scene.fake.fail(ref)
    good = scene.fake.webhook(ref)
    if name != "phonepe":  # its header covers no body, so a changed one is only a hint
        assert scene.deliver(name, good.corrupted()).refusal == (401, "bad_signature")
    assert scene.deliver(name, good.truncated()).refusal == (401, "bad_signature")
    assert scene.deliver(name, replace(good, headers={})).refusal == (401, "bad_signature")
    assert scene.deliver(name, scene.fake.webhook(ref, secret="another:secret")).refusal == (401, "bad_signature")
    assert available(asha) == "0.00"


def test_a_webhook_that_says_paid_of_what_is_not_credits_nothing(scene: Scene, asha: Client, name: str) -> None:
    ref = scene.begun(asha)["transactionId"]
    payment_id = scene.fake.pay(ref)
    webhook = scene.fake.webhook(ref)
    scene.fake.payment(ref, payment_id).state = "failed"
    scene.fake.orders[ref].state = "open"
    scene.deliver(name, webhook)
    scene.worked_on()
    assert available(asha) == "0.00"


def test_a_webhook_waits_while_the_gateway_is_down(scene: Scene, asha: Client, name: str) -> None:
    ref = scene.begun(asha)["transactionId"]
    scene.fake.pay(ref)
    scene.fake.trouble("500", "500")
    scene.deliver(name, scene.fake.webhook(ref))
    until(lambda: available(asha) == "100.00")
    scene.fake._troubles.clear()


def test_another_currency_is_not_credited(scene: Scene, asha: Client, name: str) -> None:
    if name == "phonepe":
        pytest.skip("it knows no other currency")
    ref, _ = paid(scene, asha, name, currency="USD")
    assert available(asha) == "0.00"
    differences = scene.stand.portal.call(scene.compared, "gateway")
    assert differences == [f"{ref}: {name} says 100.00 paid, our books say 0.00"]
    forgotten(scene, ref)


def test_a_reference_of_ours_that_we_do_not_know_goes_to_suspense(scene: Scene, asha: Client, name: str) -> None:
    ref = scene.begun(asha)["transactionId"]
    scene.fake.pay(ref)
    scene.stand.change("UPDATE recharges SET ref = 'RC' || md5(ref) WHERE ref = $1", ref)
    scene.deliver(name, scene.fake.webhook(ref))
    scene.worked_on()
    found = scene.stand.ask("SELECT state || ' ' || why FROM external_payments WHERE ref = $1", ref)
    assert found == "suspense unknown_reference"
    assert available(asha) == "0.00"
    forgotten(scene, scene.stand.ask("SELECT ref FROM recharges WHERE length(ref) > 28"))
