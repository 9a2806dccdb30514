"""What is particular to each gateway: the vendors' own test vectors, and the traps of each API by name."""

import asyncio
import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from numberdesk.base import clock
from numberdesk.base.money import Paise
from numberdesk.payments.methods import gateway_answers as answers
from numberdesk.payments.methods.cashfree import Cashfree
from numberdesk.payments.methods.gateway import BadWebhook, Look, Trouble
from numberdesk.payments.methods.phonepe import PhonePe
from numberdesk.payments.methods.razorpay import Razorpay
from tests.payments.fakes.cashfree import FakeCashfree
from tests.payments.fakes.gateway_ledger import Webhook
from tests.payments.fakes.gateways import AMOUNT, OTHER_REF, REF, stand_of, unconnected, wanted
from tests.payments.fakes.phonepe import FakePhonePe

pytestmark = pytest.mark.anyio

BODY = b'{"data":{"order":{"order_id":"order_123","order_amount":100.00}},"type":"PAYMENT_SUCCESS_WEBHOOK"}'
KEY = "refund-0001-abcdef"
OLD = "1617695238078"
OLD_MOMENT = datetime.fromtimestamp(1617695238, UTC)


def test_the_vectors_vary_with_every_bit_of_secret_and_body() -> None:
    gateway = unconnected("razorpay").gateway
    assert isinstance(gateway, Razorpay)
    gateway.webhook_secrets = ("test_secret",)
    right = "4096c0c28a480c4b3229bcc909ff2c715b75d5ea2edc51ea5359252f58d86822"
    with pytest.raises(BadWebhook, match="signature"):
        gateway.read_webhook({"x-razorpay-signature": right}, BODY + b" ", now=clock.now())
    with pytest.raises(BadWebhook, match="no event"):  # the signature holds; the body is another gateway's
        gateway.read_webhook({"x-razorpay-signature": right}, BODY, now=clock.now())


# Razorpay


async def test_razorpay_makes_no_upi_link_with_test_keys_and_one_with_live_keys() -> None:
    for is_live in (False, True):
        async with stand_of("razorpay", is_live=is_live) as stand:
            await stand.create()
            assert json.loads(stand.fake.orders[REF].body).get("upi_link") is (True if is_live else None)


async def test_razorpay_takes_no_part_payments_and_sends_no_mail_of_its_own() -> None:
    async with stand_of("razorpay") as stand:
        await stand.create()
        asked = json.loads(stand.fake.orders[REF].body)
        assert asked["accept_partial"] is False
        assert asked["notify"] == {"sms": False, "email": False}
        assert asked["reminder_enable"] is False
        assert asked["amount"] == AMOUNT


async def test_razorpay_tells_an_existing_reference_by_refusing_and_the_link_is_fetched() -> None:
    async with stand_of("razorpay") as stand:
        first = await stand.create()
        stand.fake.requests.clear()
        assert await stand.create() == first
        assert [one.method for one in stand.fake.requests] == ["POST", "GET"]


async def test_razorpay_lists_that_ignore_the_reference_say_nothing_about_it() -> None:
    async with stand_of("razorpay") as stand:
        await stand.create(OTHER_REF)
        listed = json.dumps({"payment_links": [stand.fake.link(stand.fake.orders[OTHER_REF])]}).encode()
        stand.fake.change = lambda path, _body: listed
        assert isinstance(await stand.gateway.look(ref=REF, gateway_id=None), Trouble)


async def test_razorpay_authorized_is_not_captured() -> None:
    async with stand_of("razorpay") as stand:
        await stand.create()
        stand.fake.pay(REF)
        stand.fake.change = lambda _path, body: body.replace(b'"captured"', b'"authorized"')
        (one,) = (await stand.look()).payments
        assert (one.state, one.paid_at) == ("pending", None)


async def test_razorpay_a_payment_of_another_link_is_not_taken() -> None:
    async with stand_of("razorpay") as stand:
        made = await stand.create()
        stand.fake.pay(REF)
        bare = made.gateway_id.removeprefix("plink_").encode()
        stand.fake.change = lambda path, body: body.replace(b"#" + bare, b"#Other") if "/payments/" in path else body
        assert (await stand.look()).payments == ()
        noted = json.dumps({"recharge": OTHER_REF}).encode()
        stand.fake.change = lambda path, body: body.replace(b'"notes": []', b'"notes": ' + noted)
        assert (await stand.look()).payments == ()


async def test_razorpay_a_paid_link_without_its_payment_is_asked_again() -> None:
    async with stand_of("razorpay") as stand:
        await stand.create()
        stand.fake.orders[REF].state = "paid"
        assert isinstance(await stand.gateway.look(ref=REF, gateway_id=None), Trouble)


async def test_razorpay_a_fee_on_top_is_not_credited() -> None:
    async with stand_of("razorpay") as stand:
        await stand.create()
        stand.fake.pay(REF, fee_paise=5_90)
        assert [one.amount_paise for one in (await stand.look()).payments] == [AMOUNT]


async def test_razorpay_a_payment_that_went_back_whole_was_paid() -> None:
    async with stand_of("razorpay") as stand:
        await stand.create()
        stand.fake.refund_by_gateway(REF, stand.fake.pay(REF))
        (one,) = (await stand.look()).payments
        assert b'"refunded"' in one.raw
        assert (one.state, one.amount_paise, one.refunded_paise) == ("paid", AMOUNT, AMOUNT)


async def test_razorpay_a_refund_in_flight_is_no_refusal() -> None:
    async with stand_of("razorpay") as stand:
        await stand.create()
        payment_id = stand.fake.pay(REF)
        stand.fake.in_flight.add(KEY)
        ask: dict[str, Any] = {"ref": REF, "payment_external_id": payment_id, "amount_paise": AMOUNT, "key": KEY}
        said = await stand.gateway.refund(**ask)
        assert isinstance(said, Trouble)
        assert (said.is_refusal, bool(said.retry_after)) == (False, True)
        assert not isinstance(await stand.gateway.refund(**ask), Trouble)
        sent = [(one.headers["X-Refund-Idempotency"], one.body) for one in stand.fake.asked("POST", "/refund")]
        assert sent[0] == sent[1]
        assert sent[0][0] == json.loads(sent[0][1])["receipt"] == KEY


async def test_razorpay_an_order_without_its_prefix_does_not_matter() -> None:
    async with stand_of("razorpay") as stand:
        made = await stand.create()
        payment_id = stand.fake.pay(REF)
        webhook = stand.fake.webhook(REF)
        assert not json.loads(webhook.raw)["payload"]["order"]["entity"]["id"].startswith("order_")
        hint = stand.read(webhook)
        assert (hint.ref, hint.gateway_id, hint.payment_id) == (REF, made.gateway_id, payment_id)


async def test_razorpay_a_payment_alone_names_its_link_in_its_description() -> None:
    async with stand_of("razorpay") as stand:
        made = await stand.create()
        stand.fake.pay(REF)
        hint = stand.read(stand.fake.webhook(REF, "payment.captured"))
        assert (hint.ref, hint.gateway_id) == (None, made.gateway_id)


# Cashfree


def read_old(signed: bytes, *, now: datetime = OLD_MOMENT, secret: str = "test_secret") -> Any:
    gateway = unconnected("cashfree").gateway
    assert isinstance(gateway, Cashfree)
    gateway.client_secret = "test_secret"
    right = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
    headers = {"x-webhook-signature": right, "x-webhook-timestamp": OLD}
    return gateway.read_webhook(headers, BODY, now=now)


def test_cashfree_a_dot_between_timestamp_and_body_is_refused() -> None:
    with pytest.raises(BadWebhook, match="signature"):
        read_old(OLD.encode() + b"." + BODY)


def test_cashfree_signs_the_plain_concatenation_of_timestamp_and_body() -> None:
    assert read_old(OLD.encode() + BODY).ref == "order_123"
    gateway = unconnected("cashfree").gateway
    assert isinstance(gateway, Cashfree)
    gateway.client_secret = "test_secret"
    vector = {
        "x-webhook-signature": "mR1FLgZRRDIwOXKZ41gZhTNU3hZugZWISAGSzxXBBoY=",
        "x-webhook-timestamp": OLD,
    }
    assert gateway.read_webhook(vector, BODY, now=OLD_MOMENT).ref == "order_123"


@pytest.mark.parametrize(
    ("age", "is_taken"),
    [
        (timedelta(hours=24, minutes=5, seconds=2), False),
        (timedelta(minutes=-5, seconds=-2), False),
        (timedelta(hours=24, minutes=4), True),
        (timedelta(minutes=-4), True),
        (timedelta(0), True),
    ],
)
def test_cashfree_takes_a_day_and_a_little_and_nothing_from_the_future(age: timedelta, is_taken: bool) -> None:
    if is_taken:
        assert read_old(OLD.encode() + BODY, now=OLD_MOMENT + age)
    else:
        with pytest.raises(BadWebhook, match="too old"):
            read_old(OLD.encode() + BODY, now=OLD_MOMENT + age)


@pytest.mark.parametrize("timestamp", ["", "1617695238", "-161769523807", "16176952380780", "²617695238078", "now"])
def test_cashfree_a_timestamp_that_is_no_milliseconds_is_refused(timestamp: str) -> None:
    stand = unconnected("cashfree")
    headers = {**stand.fake.sign(BODY).headers, "x-webhook-timestamp": timestamp}
    with pytest.raises(BadWebhook, match="timestamp"):
        stand.read(Webhook(headers, BODY))


@pytest.mark.parametrize(("paise", "text"), [(1_00, "1.00"), (250_37, "250.37"), (10_000_00, "10000.00")])
async def test_cashfree_amounts_travel_as_numbers_with_two_decimals(paise: int, text: str) -> None:
    async with stand_of("cashfree") as stand:
        await stand.create(amount_paise=Paise(paise))
        raw = stand.fake.orders[REF].body
        assert f'"order_amount":{text},'.encode() in raw
        assert json.loads(raw, parse_float=Decimal)["order_amount"] == Decimal(text)


async def test_cashfree_an_order_that_exists_is_fetched() -> None:
    async with stand_of("cashfree") as stand:
        first = await stand.create()
        stand.fake.remembered.clear()
        assert await stand.create() == first
        assert len(stand.fake.asked("GET", f"/orders/{REF}")) == 1


async def test_cashfree_the_same_reference_has_the_same_key_in_every_process() -> None:
    async with stand_of("cashfree") as stand, stand_of("cashfree") as other:
        await stand.create()
        await other.create()
        keys = {one.headers["x-idempotency-key"] for one in (*stand.fake.requests, *other.fake.requests)}
        assert len(keys) == 1
        assert REF not in keys.pop()


async def test_cashfree_a_fee_on_top_is_not_credited() -> None:
    async with stand_of("cashfree") as stand:
        await stand.create()
        stand.fake.pay(REF, fee_paise=5_90)
        assert [one.amount_paise for one in (await stand.look()).payments] == [AMOUNT]


async def test_cashfree_less_than_the_order_is_credited_as_what_it_is() -> None:
    async with stand_of("cashfree") as stand:
        await stand.create()
        stand.fake.pay(REF, amount_paise=100_00)
        assert [one.amount_paise for one in (await stand.look()).payments] == [100_00]


async def test_cashfree_failed_may_become_pending_and_then_paid() -> None:
    async with stand_of("cashfree") as stand:
        await stand.create()
        payment_id, seen = stand.fake.fail(REF), []
        for state in ("failed", "pending", "paid"):
            stand.fake.payment(REF, payment_id).state = state
            seen += [(one.external_id, one.state) for one in (await stand.look()).payments]
        assert seen == [(payment_id, "failed"), (payment_id, "pending"), (payment_id, "paid")]


@pytest.mark.parametrize("has_numeric_ids", [False, True])
async def test_cashfree_ids_are_text_whether_they_came_as_number_or_string(has_numeric_ids: bool) -> None:
    async with stand_of("cashfree") as stand:
        fake: FakeCashfree = stand.fake
        fake.has_numeric_ids = has_numeric_ids
        await stand.create()
        payment_id = fake.pay(REF)
        refund = fake.refund_by_gateway(REF, payment_id)
        seen = await stand.look()
        assert [one.external_id for one in seen.payments] == [payment_id]
        assert [(one.gateway_id, one.payment_external_id) for one in seen.refunds] == [(refund.id, payment_id)]
        assert stand.read(fake.webhook(REF)).payment_id == payment_id


async def test_cashfree_more_than_two_decimals_are_no_amount() -> None:
    async with stand_of("cashfree") as stand:
        await stand.create()
        stand.fake.pay(REF)
        stand.fake.change = lambda _path, body: body.replace(b"250.37", b"250.371")
        assert isinstance(await stand.gateway.look(ref=REF, gateway_id=None), Trouble)


async def test_cashfree_a_malformed_failed_try_does_not_hide_a_good_payment() -> None:
    async with stand_of("cashfree") as stand:
        await stand.create()
        failed, payment_id = stand.fake.fail(REF), stand.fake.pay(REF)
        stand.fake.change = lambda _path, body: body.replace(failed.encode(), b"?")
        assert [one.external_id for one in (await stand.look()).payments] == [payment_id]


# PhonePe


def test_phonepe_the_header_is_the_hash_of_user_and_password_and_covers_no_body() -> None:
    stand = unconnected("phonepe")
    vector = "bc842c31a9e54efe320d30d948be61291f3ceee4766e36ab25fa65243cd76e0e"
    for ref in (REF, OTHER_REF):
        body = {"event": "checkout.order.completed", "payload": {"merchantOrderId": ref, "state": "COMPLETED"}}
        assert stand.read(Webhook({"authorization": vector}, json.dumps(body).encode())).ref == ref


async def test_phonepe_a_forged_completion_changes_nothing_that_a_look_says() -> None:
    async with stand_of("phonepe") as stand:
        await stand.create()
        stand.read(stand.fake.webhook(REF, "checkout.order.completed"))
        assert (await stand.look()).state == "open"


async def test_phonepe_the_event_counts_and_not_the_type() -> None:
    stand = unconnected("phonepe")
    body = {"event": "pg.refund.failed", "type": "CHECKOUT_ORDER_COMPLETED", "payload": {}}
    assert stand.read(stand.fake.sign(json.dumps(body).encode())).kind == "pg.refund.failed"


async def test_phonepe_a_failed_attempt_leaves_the_order_open() -> None:
    async with stand_of("phonepe") as stand:
        await stand.create()
        stand.fake.fail(REF)
        hint = stand.read(stand.fake.webhook(REF))
        assert (hint.kind, hint.ref, hint.payment_id) == ("checkout.transaction.attempt.failed", REF, None)
        assert (await stand.look()).state == "open"


async def test_phonepe_a_completed_try_of_an_order_that_is_not_is_no_money() -> None:
    async with stand_of("phonepe") as stand:
        await stand.create()
        stand.fake.pay(REF)
        for state, look_state in (("open", "open"), ("expired", "expired")):
            stand.fake.orders[REF].state = state
            seen = await stand.look()
            assert (seen.state, [one.state for one in seen.payments]) == (look_state, ["pending"])


async def test_phonepe_a_completed_order_without_its_try_is_asked_again() -> None:
    async with stand_of("phonepe") as stand:
        await stand.create()
        stand.fake.orders[REF].state = "paid"
        assert isinstance(await stand.gateway.look(ref=REF, gateway_id=None), Trouble)


async def test_phonepe_an_order_under_another_name_is_not_taken() -> None:
    async with stand_of("phonepe") as stand:
        stand.fake.is_name_told = True
        await stand.create()
        stand.fake.pay(REF)
        assert (await stand.look()).state == "paid"
        stand.fake.change = lambda _path, body: body.replace(REF.encode(), OTHER_REF.encode())
        assert isinstance(await stand.gateway.look(ref=REF, gateway_id=None), Trouble)


async def test_phonepe_an_order_without_an_amount_is_not_taken() -> None:
    async with stand_of("phonepe") as stand:
        await stand.create()
        stand.fake.pay(REF)
        stand.fake.change = lambda path, body: body.replace(b'"amount"', b'"sum"') if "status" in path else body
        assert isinstance(await stand.gateway.look(ref=REF, gateway_id=None), Trouble)


async def test_phonepe_a_payment_in_parts_tells_the_number_of_the_part_on_upi() -> None:
    async with stand_of("phonepe") as stand:
        await stand.create()
        payment_id = stand.fake.pay(REF)
        rrn = stand.fake.payment(REF, payment_id).rrn

        def in_parts(_path: str, body: bytes) -> bytes:
            order = json.loads(body)
            for one in order.get("paymentDetails", []):
                one["splitInstruments"] = [{"rail": {"type": "PPI_EGV"}}, {"rail": one.pop("rail")}]
            return json.dumps(order).encode()

        stand.fake.change = in_parts
        assert [(one.rrn, one.amount_paise) for one in (await stand.look()).payments] == [(rrn, AMOUNT)]


async def test_phonepe_completed_tries_of_less_than_the_order_add_up_to_it() -> None:
    async with stand_of("phonepe") as stand:
        await stand.create()
        for part in (100_00, AMOUNT - 100_00):
            stand.fake.pay(REF, amount_paise=part)
        assert sum(one.amount_paise for one in (await stand.look()).payments) == AMOUNT


async def test_phonepe_many_calls_at_once_fetch_one_token() -> None:
    async with stand_of("phonepe") as stand:
        seen = await asyncio.gather(*(stand.gateway.look(ref=REF, gateway_id=None) for _ in range(20)))
        assert {type(one) for one in seen} == {Look}
        assert len(stand.fake.tokens) == 1


async def test_phonepe_without_any_token_nothing_is_asked() -> None:
    async with stand_of("phonepe") as stand:
        stand.fake.trouble("500", only="oauth")
        said = await stand.gateway.create(wanted())
        assert isinstance(said, Trouble)
        assert "token" in said.reason
        assert stand.fake.asked("POST", "/pay") == []


async def test_phonepe_at_half_of_its_life_a_token_is_renewed_and_kept_when_that_fails() -> None:
    async with stand_of("phonepe") as stand:
        fake: FakePhonePe = stand.fake
        await stand.create()
        grow_old(stand.gateway)
        fake.trouble("500", only="oauth")
        assert (await stand.look()).state == "open"
        assert len(fake.tokens) == 1
        assert (await stand.look()).state == "open"
        assert len(fake.asked("POST", "oauth")) == 2  # for a while the old token serves without another try
        grow_old(stand.gateway)
        assert (await stand.look()).state == "open"
        assert len(fake.tokens) == 2


async def test_phonepe_a_new_token_is_fetched_before_the_old_one_ends() -> None:
    async with stand_of("phonepe") as stand:
        stand.fake.token_seconds = 2
        await stand.create()
        await asyncio.sleep(1.1)
        await stand.look()
        assert len(stand.fake.tokens) == 2


async def test_phonepe_a_token_that_is_not_taken_is_renewed_once() -> None:
    async with stand_of("phonepe") as stand:
        await stand.create()
        stand.fake.revoke()
        assert (await stand.look()).state == "open"
        assert len(stand.fake.tokens) == 2
        stand.fake.trouble("401", "401", only="status")
        assert isinstance(await stand.gateway.look(ref=REF, gateway_id=None), Trouble)
        assert len(stand.fake.tokens) == 3


def grow_old(gateway: Any) -> None:
    """Let half of the life of a token be over."""
    assert isinstance(gateway, PhonePe)
    assert gateway._token is not None
    gateway._token = replace(gateway._token, fresh_until=0.0)


# What all three read alike


@pytest.mark.parametrize(
    "value", [None, True, "", "0", 0, -1, Decimal("1.001"), "1e3", [], {}, Decimal("NaN"), "9" * 30]
)
def test_what_is_no_amount_of_rupees_is_none(value: object) -> None:
    assert answers.rupees(value) is None


@pytest.mark.parametrize("value", [None, True, "1", Decimal(1), -1, 10**12, []])
def test_what_is_no_amount_of_paise_is_none(value: object) -> None:
    assert answers.paise(value) is None


@pytest.mark.parametrize("value", ["", "a/b", "..", "é", "a b", "x" * 65, True, -1, 10**30, None, {}])
def test_what_could_not_stand_in_an_address_is_no_identifier(value: object) -> None:
    assert answers.identifier(value) is None


@pytest.mark.parametrize("value", ["9999-12-31T23:59:59-23:59", "2026-11-26T12:00:00", "now", "", 7, None])
def test_what_is_no_instant_is_none(value: object) -> None:
    assert answers.iso_time(value) is None


@pytest.mark.parametrize("value", ["javascript:alert(1)", "http://shop.example/", "https://a\nb", "", None, 7])
def test_customers_are_sent_to_https_only(value: object) -> None:
    assert answers.web_address(value) is None
