"""Recharges through a gateway on the wire: its page, its webhooks, and browsers that come back from it."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.base.postgres import Cluster
from tests.http.recharging import BEGIN, EMPTY, NOT_THERE, UPI, begun, paid_by_upi
from tests.http.stand import SECURITY, Answer, Client, Stand
from tests.payments.fakes.gateway_ledger import Webhook
from tests.payments.fakes.razorpay import FakeRazorpay, razorpay_fake

PATH = "/webhooks/razorpay"
OLD_SECRET = "signed-until-last-week"
WEBHOOK_MAX = 256 * 1024
IN_TIME = 10.0


@pytest.fixture(scope="module")
def gateway(portal: BlockingPortal) -> Iterator[FakeRazorpay]:
    """A gateway on loopback."""
    with portal.wrap_async_context_manager(razorpay_fake()) as fake:
        yield fake


@pytest.fixture(scope="module")
def stand(portal: BlockingPortal, cluster: Cluster, gateway: FakeRazorpay) -> Iterator[Stand]:
    """A site that is paid by UPI through that gateway."""
    with paid_by_upi(
        portal, cluster, upi_rail="razorpay", razorpay_key_id=gateway.key_id, razorpay_key_secret=gateway.key_secret,
        razorpay_webhook_secrets=f"{gateway.webhook_secret},{OLD_SECRET}", razorpay_url=gateway.url,
    ) as stand:  # fmt: skip
        yield stand


@pytest.fixture
def alice(stand: Stand) -> Client:
    """A new customer with an empty wallet."""
    return stand.customer("0")


def sent(stand: Stand, webhook: Webhook, path: str = PATH) -> Answer:
    """Deliver a webhook."""
    headers = {"Content-Type": "application/json", **webhook.headers}
    return stand.nobody.send("POST", path, body=webhook.raw, headers=headers)


def kept(stand: Stand) -> int:
    """Return how many webhooks are stored."""
    return int(stand.ask("SELECT count(*) FROM webhook_events"))


def status_of(client: Client, ref: str) -> str:
    return str(client.get(f"/recharge/status/{ref}").data["recharge"]["status"])


def until(is_so: Callable[[], bool]) -> None:
    """Wait for the worker."""
    deadline = time.monotonic() + IN_TIME
    while not is_so():
        assert time.monotonic() < deadline, "the worker did not get there in time"
        time.sleep(0.05)


def worked_on(stand: Stand) -> None:
    """Wait until every webhook was worked on."""
    until(lambda: stand.ask("SELECT count(*) FROM webhook_events WHERE state = 'waiting'") == 0)


@pytest.mark.parametrize("name", ["stripe", "cashfree", "phonepe", "RAZORPAY", "razorpay%00", "%00", "bank", "..", "1"])
def test_a_webhook_of_no_gateway_of_ours_is_not_found(stand: Stand, gateway: FakeRazorpay, name: str) -> None:
    answer = sent(stand, gateway.sign(b"{}"), f"/webhooks/{name}")
    assert answer.refusal == (404, "not_found")


def forged(gateway: FakeRazorpay, ref: str) -> Mapping[str, Webhook]:
    """Return webhooks that this gateway has not sent."""
    gateway.pay(ref)
    good = gateway.webhook(ref)
    header = "x-razorpay-signature"
    return {
        "another secret": gateway.webhook(ref, secret="a guess"),
        "the API's secret": gateway.webhook(ref, secret=gateway.key_secret),
        "an empty secret": gateway.webhook(ref, secret=""),
        "no signature": Webhook({}, good.raw),
        "an empty signature": Webhook({header: ""}, good.raw),
        "a signature in capitals": Webhook({header: good.headers[header].upper()}, good.raw),
        "another body": Webhook(good.headers, good.raw.replace(ref.encode(), NOT_THERE.encode())),
        "a body with one more space": Webhook(good.headers, good.raw + b" "),
        "a truncated body": good.truncated(),
        "a truncated body, signed": gateway.sign(good.truncated().raw),
        "no body": Webhook(good.headers, b""),
        "no event, signed": gateway.sign(b"[]"),
    }


def test_forged_and_truncated_webhooks_are_refused_without_saying_why(
    stand: Stand, gateway: FakeRazorpay, alice: Client
) -> None:
    ref, before = begun(alice), kept(stand)
    for name, webhook in forged(gateway, ref).items():
        answer = sent(stand, webhook)
        assert answer.refusal == (401, "bad_signature"), name
        assert answer.json["error"] == "The signature is not valid."
        assert set(answer.details) == {"code", "category", "requestId"}
    assert kept(stand) == before
    assert status_of(alice, ref) == "pending"
    assert alice.get("/user/balance").data == EMPTY


def test_a_webhook_over_256_kilobytes_is_refused_however_it_is_sent(stand: Stand, gateway: FakeRazorpay) -> None:
    before = kept(stand)
    webhook = gateway.sign(b'{"event":"a","payload":{},"more":"'.ljust(WEBHOOK_MAX - 1, b"x") + b'"}')
    assert len(webhook.raw) == WEBHOOK_MAX + 1
    assert sent(stand, webhook).refusal == (413, "body_too_large")
    parts = (webhook.raw[start : start + 65_536] for start in range(0, len(webhook.raw), 65_536))
    headers = {"Content-Type": "application/json", **webhook.headers}
    assert stand.nobody.send("POST", PATH, body=parts, headers=headers).refusal == (413, "body_too_large")
    assert kept(stand) == before


def test_a_webhook_larger_than_our_own_calls_is_taken(stand: Stand, gateway: FakeRazorpay) -> None:
    webhook = gateway.sign(b'{"event":"a","payload":{},"more":"'.ljust(WEBHOOK_MAX - 2, b"x") + b'"}')
    assert len(webhook.raw) == WEBHOOK_MAX
    assert sent(stand, webhook).data == {"isNew": True}
    worked_on(stand)


def test_a_webhook_credits_nothing_that_the_gateway_does_not_confirm(
    stand: Stand, gateway: FakeRazorpay, alice: Client
) -> None:
    ref = begun(alice)
    gateway.pay(ref)
    webhook = gateway.webhook(ref, "payment_link.paid")
    order = gateway.orders[ref]
    order.payments.clear()
    order.state = "open"
    assert sent(stand, webhook).data == {"isNew": True}
    worked_on(stand)
    assert status_of(alice, ref) == "pending"
    assert alice.get("/user/balance").data == EMPTY


def test_without_its_gateway_a_page_is_promised_and_the_same_key_gets_it_later(
    gateway: FakeRazorpay, alice: Client
) -> None:
    body = {"method": "upi", "amount": "100"}
    gateway.trouble("500", "500", "500", "500", only="/payment_links")
    answer = alice.post(BEGIN, body, Idempotency_Key="once")
    gateway._troubles.clear()
    assert answer.refusal == (503, "gateway_unavailable")
    assert answer.details["category"] == "provider"
    assert int(answer.headers["retry-after"]) > 0
    (waiting,) = alice.get("/recharge/history").data["items"]
    assert waiting["transactionId"] == answer.details["transactionId"]
    again = alice.post(BEGIN, body, Idempotency_Key="once").data
    assert (again["transactionId"], again["pay"]["kind"]) == (waiting["transactionId"], "page")
    assert len(alice.get("/recharge/history").data["items"]) == 1


def test_a_recharge_is_paid_on_the_gateway_s_page_and_credited_once_for_many_webhooks(
    stand: Stand, gateway: FakeRazorpay, alice: Client
) -> None:
    (upi, *_) = alice.get("/payment/methods").data
    assert (upi["via"], upi["isOpen"]) == ("razorpay", True)
    begin = alice.post(BEGIN, {"method": "upi", "amount": "250.37"}).data
    ref, pay = begin["transactionId"], begin["pay"]
    assert (pay["kind"], pay["payTo"], pay["amount"], pay["session"]) == ("page", "razorpay", "250.37", None)
    assert pay["url"] == gateway.orders[ref].url
    assert "<svg" in pay["qrSvg"]
    assert alice.post(UPI, {"transactionId": ref}).data == pay
    gateway.pay(ref)
    events = [gateway.webhook(ref, secret=OLD_SECRET), gateway.webhook(ref, "payment.captured")]
    assert [sent(stand, webhook).data["isNew"] for webhook in events * 3] == [True, True, False, False, False, False]
    until(lambda: status_of(alice, ref) == "completed")
    worked_on(stand)
    assert alice.get("/user/balance").data == EMPTY | {"available": "250.37"}
    (receipt,) = alice.get("/recharge/receipts").data["items"]
    assert (receipt["method"], receipt["transactionId"]) == ("UPI (Razorpay)", ref)
    timeline = alice.get(f"/recharge/status/{ref}").data["timeline"]
    assert [step["event"] for step in timeline] == ["created", "page_made", "credited"]


def test_reading_moves_nothing_and_asks_for_a_look_once_in_ten_seconds(
    stand: Stand, gateway: FakeRazorpay, alice: Client
) -> None:
    ref = begun(alice)
    gateway.pay(ref)  # and its webhook is lost
    first, *later = [alice.get(f"/recharge/verify/{ref}").data for _ in range(4)]
    assert first["isBeingChecked"] is True
    assert (first["recharge"]["status"], first["recharge"]["credited"]) == ("pending", "0.00")
    assert [seen["isBeingChecked"] for seen in later] == [False] * 3
    until(lambda: status_of(alice, ref) == "completed")
    assert alice.get(f"/recharge/verify/{ref}").data["recharge"]["checkedAt"] is not None
    assert alice.get("/user/balance").data == EMPTY | {"available": "100.00"}


def returned(client: Client, ref: str, query: str = "") -> Answer:
    return client.get(f"/recharge/return/{ref}{query}")


def test_who_comes_back_sees_one_page_whoever_and_whatever_it_is(stand: Stand, alice: Client) -> None:
    ref = begun(alice)
    known = returned(stand.nobody, ref)
    assert known.status == 200
    assert known.headers["content-type"].startswith("text/html")
    assert {name: known.headers[name] for name in SECURITY} == SECURITY
    assert not re.search(rb"<script|src=|href=|style=|url\(|https?:|RC[0-9A-Z]{26}", known.body)
    for given in (NOT_THERE, "1", "%00", f"{ref}%00", ref.lower(), "%3Cscript%3E", "R" * 5000):
        other = returned(stand.nobody, given)
        assert (other.status, other.body) == (200, known.body), given


def test_what_a_browser_says_when_it_comes_back_is_not_believed(
    stand: Stand, gateway: FakeRazorpay, alice: Client
) -> None:
    ref = begun(alice)
    said: Any = {"razorpay_payment_link_status": "paid", "razorpay_payment_id": "pay_x", "razorpay_signature": "0" * 64}
    query = "?" + "&".join(f"{name}={text}" for name, text in said.items())
    assert returned(stand.nobody, ref, query).status == 200
    until(lambda: alice.get(f"/recharge/status/{ref}").data["recharge"]["checkedAt"] is not None)
    assert status_of(alice, ref) == "pending"
    assert alice.get("/user/balance").data == EMPTY


def test_who_comes_back_after_paying_is_credited_though_the_webhook_is_lost(
    stand: Stand, gateway: FakeRazorpay, alice: Client
) -> None:
    ref = begun(alice)
    gateway.pay(ref)
    assert returned(stand.nobody, ref).status == 200
    until(lambda: status_of(alice, ref) == "completed")
    assert alice.get("/user/balance").data == EMPTY | {"available": "100.00"}


def test_a_webhook_that_names_the_page_only_finds_its_recharge(
    stand: Stand, gateway: FakeRazorpay, alice: Client
) -> None:
    ref = begun(alice)
    gateway.pay(ref)
    webhook = gateway.webhook(ref, "payment.captured")
    assert ref.encode() not in webhook.raw
    assert sent(stand, webhook).data == {"isNew": True}
    until(lambda: status_of(alice, ref) == "completed")
