"""Money that goes back through a gateway: staff send it with a fresh code, or the gateway takes it by itself."""

from collections.abc import Iterator
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.base.postgres import Cluster
from numberdesk.payments import service as payments
from tests.http.money_in import GATEWAYS, Scene, available, events, opened, status, until
from tests.http.staff import Member
from tests.http.stand import TELEGRAM, Answer, Client

REFUND = {"razorpay": "/refund", "cashfree": "/refunds", "phonepe": "/payments/v2/refund"}
RETURNED = {"razorpay": "refund.processed", "cashfree": "REFUND_STATUS_WEBHOOK"}


@pytest.fixture(scope="module", params=GATEWAYS)
def scene(request: pytest.FixtureRequest, portal: BlockingPortal, cluster: Cluster) -> Iterator[Scene]:
    """A site that is paid through one gateway, each in turn."""
    with opened(portal, cluster, request.param) as scene:
        yield scene


@pytest.fixture
def name(scene: Scene) -> str:
    return scene.stand.site.settings.upi_rail


@pytest.fixture
def asha(scene: Scene) -> Client:
    return scene.customer()


@pytest.fixture
def finance(scene: Scene) -> Member:
    return Member(scene.stand, "finance")


@pytest.fixture(autouse=True)
def _ledger_is_right(scene: Scene) -> Iterator[None]:
    """Check the ledger after every test."""
    yield
    scene.verify_ledger()


def paid(scene: Scene, client: Client, name: str) -> tuple[str, str]:
    """Have a customer recharge a hundred rupees; returns the recharge and the payment's id at the gateway."""
    ref = str(scene.begun(client)["transactionId"])
    payment_id = scene.fake.pay(ref)
    assert scene.deliver(name, scene.fake.webhook(ref)).data == {"isNew": True}
    until(lambda: available(client) == "100.00")
    return ref, payment_id


def payment_of(finance: Member, ref: str) -> dict[str, Any]:
    """Return the one payment of a recharge as staff see it."""
    (found,) = finance.client.get(f"/admin/recharges/{ref}").data["payments"]
    return dict(found)


def refund(finance: Member, ref: str, amount: str, **changes: Any) -> Answer:
    """Ask for money to be sent back, with a fresh code."""
    payment = payment_of(finance, ref)
    body = {"version": payment["version"], "amount": amount, "reason": "asked for it", "totp": finance.fresh()}
    return finance.client.post(f"/admin/payments/{payment['id']}/refund", body | changes)


def sent(scene: Scene, ref: str) -> list[int]:
    """Return the paise of each refund that the gateway has."""
    return [item.amount_paise for item in scene.fake.orders[ref].refunds]


def state_of(scene: Scene, ref: str) -> str:
    """Return the state of the only refund of a recharge."""
    found = scene.stand.ask(
        """
        SELECT refund.state FROM gateway_refunds AS refund
        JOIN external_payments AS payment ON payment.id = refund.payment_id WHERE payment.ref = $1
        """,
        ref,
    )
    return str(found)


def follow(scene: Scene) -> None:
    """Let every refund that is on its way be asked about at once."""
    scene.stand.change("UPDATE gateway_refunds SET due_at = clock_timestamp() WHERE state IN ('requested', 'pending')")
    scene.stand.portal.call(payments.follow_refunds, scene.till)


def test_without_a_fresh_code_or_for_more_than_came_nothing_goes_back(
    scene: Scene, asha: Client, name: str, finance: Member
) -> None:
    ref, _ = paid(scene, asha, name)
    assert refund(finance, ref, "40", totp="000000").refusal == (401, "totp_invalid")
    assert refund(finance, ref, "100.01").refusal == (409, "nothing_to_refund")
    assert refund(finance, ref, "40", version=77).refusal == (409, "changed_meanwhile")
    assert list(refund(finance, ref, "0").details["fields"]) == ["amount"]
    assert asha.post("/admin/payments/1/refund", {}).status == 403
    assert (sent(scene, ref), available(asha)) == ([], "100.00")
    assert events(asha, ref) == ["created", "page_made", "credited"]


def test_money_that_was_spent_is_not_sent_back(scene: Scene, asha: Client, name: str, finance: Member) -> None:
    ref, _ = paid(scene, asha, name)
    asha.buy()
    assert refund(finance, ref, "100").refusal == (400, "insufficient_balance")
    assert sent(scene, ref) == []
    assert refund(finance, ref, "78.70").data["state"] in ("pending", "requested")
    assert (sent(scene, ref), available(asha)) == ([78_70], "0.00")


def test_a_sure_refusal_of_the_gateway_puts_the_money_back(
    scene: Scene, asha: Client, name: str, finance: Member
) -> None:
    ref, payment_id = paid(scene, asha, name)
    scene.fake.payment(ref, payment_id).state = "failed"
    assert refund(finance, ref, "40").data["state"] == "failed"
    assert (available(asha), sent(scene, ref)) == ("100.00", [])
    assert events(asha, ref)[-2:] == ["refund_begun", "refund_failed"]
    scene.fake.payment(ref, payment_id).state = "paid"
    assert refund(finance, ref, "100").data["state"] == "pending"
    assert available(asha) == "0.00"


@pytest.mark.parametrize("answer", ["lost", "truncated", "500", "garbage"])
def test_an_unknown_answer_is_asked_for_again_and_one_refund_is_sent(
    scene: Scene, asha: Client, name: str, finance: Member, answer: Any
) -> None:
    ref, _ = paid(scene, asha, name)
    scene.fake.trouble(answer, only=REFUND[name])
    assert refund(finance, ref, "40").data["state"] in ("requested", "pending")
    assert available(asha) == "60.00"
    follow(scene)
    until(lambda: state_of(scene, ref) == "pending")
    assert sent(scene, ref) == [40_00]
    scene.fake.finish_refund(ref, scene.fake.orders[ref].refunds[0].id)
    follow(scene)
    until(lambda: state_of(scene, ref) == "processed")
    assert (sent(scene, ref), available(asha)) == ([40_00], "60.00")


def test_a_refusal_of_the_second_try_does_not_undo_the_first(
    scene: Scene, asha: Client, name: str, finance: Member
) -> None:
    ref, _ = paid(scene, asha, name)
    scene.fake.trouble("lost", only=REFUND[name])
    assert refund(finance, ref, "100").data["state"] == "requested"
    scene.fake.orders[ref].refunds[0].body = b"a key that was forgotten, or is compared in another way than we think"
    follow(scene)
    until(lambda: state_of(scene, ref) == "pending")
    assert (sent(scene, ref), available(asha)) == ([100_00], "0.00")


def test_what_staff_send_back_is_told_to_the_customer_everywhere(
    scene: Scene, asha: Client, name: str, finance: Member
) -> None:
    ref, _ = paid(scene, asha, name)
    assert refund(finance, ref, "100").data["amount"] == "100.00"
    scene.fake.finish_refund(ref, scene.fake.orders[ref].refunds[0].id)
    follow(scene)
    until(lambda: state_of(scene, ref) == "processed")
    assert events(asha, ref)[-2:] == ["refund_begun", "refunded"]
    recharge = status(asha, ref)["recharge"]
    assert (recharge["status"], recharge["credited"], recharge["refunded"]) == ("refunded", "100.00", "100.00")
    note, receipt = asha.get("/recharge/receipts").data["items"]
    assert [(item["kind"], item["amount"]) for item in (note, receipt)] == [
        ("refund_note", "100.00"), ("receipt", "100.00"),
    ]  # fmt: skip
    assert "100.00 rupees" in scene.mail(asha, note["number"])
    line = asha.get("/user/transactions").data["items"][0]
    assert (line["state"], line["amount"]) == ("refunded", "-100.00")
    found = finance.client.get(f"/admin/audit?account={asha.account_id}&action=payment_refund_begun").data["items"]
    assert [item["details"]["paise"] for item in found] == [100_00]
    scene.is_right("gateway")


def test_a_refund_that_fails_at_the_bank_comes_back_to_the_wallet(
    scene: Scene, asha: Client, name: str, finance: Member
) -> None:
    ref, _ = paid(scene, asha, name)
    assert refund(finance, ref, "40").data["state"] == "pending"
    scene.fake.finish_refund(ref, scene.fake.orders[ref].refunds[0].id, "failed")
    follow(scene)
    until(lambda: state_of(scene, ref) == "failed")
    assert available(asha) == "100.00"
    assert status(asha, ref)["recharge"]["refunded"] == "0.00"


def returned(scene: Scene, name: str, ref: str, payment_id: str) -> None:
    """Have the gateway send a payment back by itself, and tell us."""
    item = scene.fake.refund_by_gateway(ref, payment_id)
    scene.fake.finish_refund(ref, item.id)
    scene.stand.change("UPDATE recharges SET due_at = NULL WHERE ref = $1", ref)
    webhook = scene.fake.webhook(ref, RETURNED[name])
    for _ in range(3):
        assert scene.deliver(name, webhook).status == 200
    scene.worked_on()


def test_money_that_a_gateway_returned_leaves_the_wallet_when_its_webhook_comes(
    scene: Scene, asha: Client, name: str
) -> None:
    if name == "phonepe":
        pytest.skip("its API lists no refunds of an order")
    ref, payment_id = paid(scene, asha, name)
    returned(scene, name, ref, payment_id)
    assert (available(asha), status(asha, ref)["recharge"]["status"]) == ("0.00", "refunded")
    assert events(asha, ref)[-1] == "taken_back"
    scene.is_right("gateway")


def test_a_wallet_that_has_less_than_a_gateway_returned_gives_it_and_is_frozen(
    scene: Scene, asha: Client, name: str
) -> None:
    if name == "phonepe":
        pytest.skip("its API lists no refunds of an order")
    ref, payment_id = paid(scene, asha, name)
    scene.stand.received(asha)
    returned(scene, name, ref, payment_id)
    assert available(asha) == "0.00"
    until(lambda: asha.post("/auth/get-number", TELEGRAM).refusal == (403, "account_frozen"))
    short = "SELECT max(short_paise) FROM gateway_refunds WHERE begun_by = 'gateway'"
    assert scene.stand.ask(short) == 21_30


def test_a_refund_of_ours_that_a_restored_database_does_not_know_leaves_the_wallet(
    scene: Scene, asha: Client, name: str
) -> None:
    if name == "phonepe":
        pytest.skip("its API lists no refunds of an order")
    ref, payment_id = paid(scene, asha, name)
    scene.fake.begin_refund(ref, payment_id, key="rf-01JDMX0000000000000000", amount_paise=30_00, body=b"")
    for _ in range(2):
        scene.look_now(ref)
        until(lambda: events(asha, ref)[-1] == "taken_back")
        assert (available(asha), status(asha, ref)["recharge"]["refunded"]) == ("70.00", "30.00")
    scene.is_right("gateway")


@pytest.mark.parametrize("is_spent", [False, True])
def test_money_that_a_gateway_could_not_return_comes_back(
    scene: Scene, asha: Client, name: str, is_spent: bool
) -> None:
    if name == "phonepe":
        pytest.skip("its API lists no refunds of an order")
    ref, payment_id = paid(scene, asha, name)
    if is_spent:
        scene.stand.received(asha)
    before = available(asha)
    refund = scene.fake.refund_by_gateway(ref, payment_id)
    scene.look_now(ref)
    until(lambda: events(asha, ref)[-1] == "taken_back")
    assert available(asha) == "0.00"
    scene.fake.finish_refund(ref, refund.id, "failed")
    scene.look_now(ref)
    until(lambda: events(asha, ref)[-1] == "refund_failed")
    assert available(asha) == before
    assert status(asha, ref)["recharge"]["refunded"] == "0.00"
    scene.is_right("gateway")
