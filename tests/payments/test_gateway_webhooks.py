"""Webhooks of every gateway: what is refused, what is read, and that nothing but a refusal ever comes of one."""

import random
from collections.abc import AsyncIterator
from typing import get_args

import pytest
from aiohttp import web

from numberdesk.base import clock
from numberdesk.payments.methods.gateway import BadWebhook, GatewayName
from tests.payments.fakes.gateway_ledger import Handler, Ledger, Webhook, deliver, serving
from tests.payments.fakes.gateways import OLD_SECRET, REF, Stand, stand_of

pytestmark = pytest.mark.anyio

BODIES = {
    "not JSON": b"state=paid&amount=1",
    "empty": b"",
    "no object": b"[1]",
    "a number": b"1e9999999999999999999999",
    "not UTF-8": b'{"event":"\xff\xfe"}',
    "no constant": b'{"event":NaN}',
    "deeply nested": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "a list in a list": b"[" * 100_000,
    "too many digits": b'{"event":' + b"9" * 10_000 + b"}",
    "huge": b'{"event":"a","type":"a","payload":{},"data":{},"more":"' + b"x" * (256 * 1024) + b'"}',
    "an event of a wrong type": b'{"event":5,"type":5,"payload":{},"data":{}}',
    "a payload of a wrong type": b'{"event":"a","type":"a","payload":[],"data":"x"}',
    "nothing in it": b"{}",
}


@pytest.fixture(params=get_args(GatewayName))
async def stand(request: pytest.FixtureRequest) -> AsyncIterator[Stand]:
    async with stand_of(request.param) as running:
        await running.create()
        running.fake.pay(REF)
        yield running


def signed(stand: Stand, raw: bytes) -> Webhook:
    """Sign any body as the gateway would."""
    return stand.fake.sign(raw)  # type: ignore[no-any-return]


@pytest.mark.parametrize("raw", BODIES.values(), ids=BODIES)
async def test_a_signed_body_that_is_no_event_is_refused(stand: Stand, raw: bytes) -> None:
    with pytest.raises(BadWebhook):
        stand.read(signed(stand, raw))


async def test_a_truncated_body_is_refused(stand: Stand) -> None:
    with pytest.raises(BadWebhook):
        stand.read(stand.fake.webhook(REF).truncated())
    with pytest.raises(BadWebhook):
        stand.read(signed(stand, stand.fake.webhook(REF).truncated().raw))


async def test_a_forged_signature_is_refused(stand: Stand) -> None:
    with pytest.raises(BadWebhook):
        stand.read(stand.fake.webhook(REF, secret="a-guess:of-somebody"))


@pytest.mark.parametrize("given", ["", "é", "\udcff", "0" * 64, "null"])
async def test_a_signature_of_any_text_is_refused(stand: Stand, given: str) -> None:
    good = stand.fake.webhook(REF)
    for name in ("x-razorpay-signature", "x-webhook-signature", "authorization"):
        if name in good.headers:
            with pytest.raises(BadWebhook):
                stand.read(Webhook({**good.headers, name: given}, good.raw))


async def test_a_webhook_without_headers_is_refused(stand: Stand) -> None:
    with pytest.raises(BadWebhook):
        stand.read(Webhook({}, stand.fake.webhook(REF).raw))


async def test_an_empty_secret_signs_nothing(stand: Stand) -> None:
    name = {"razorpay": "webhook_secrets", "cashfree": "old_secrets", "phonepe": "webhook_logins"}[stand.name]
    setattr(stand.gateway, name, (("", ""),) if stand.name == "phonepe" else ("",))
    # `hmac` takes an empty key, and everybody knows it.
    forged = stand.fake.webhook(REF, secret=":") if stand.name == "phonepe" else stand.fake.sign(b"{}", secret="")
    with pytest.raises(BadWebhook, match="missing or wrong"):
        stand.read(forged)


@pytest.mark.parametrize("stand", ["razorpay", "cashfree"], indirect=True)  # PhonePe's header covers no body
async def test_a_changed_body_is_refused(stand: Stand) -> None:
    good = stand.fake.webhook(REF)
    for place in random.Random(7).sample(range(len(good.raw)), 50):
        with pytest.raises(BadWebhook):
            stand.read(good.corrupted(place))


async def test_a_refusal_tells_nothing_of_secrets_or_of_the_body(stand: Stand) -> None:
    with pytest.raises(BadWebhook) as refusal:
        stand.read(stand.fake.webhook(REF, secret="a-guess:of-somebody"))
    assert REF not in str(refusal.value)
    assert "guess" not in str(refusal.value)


async def test_a_good_webhook_says_where_to_look(stand: Stand) -> None:
    hint = stand.read(stand.fake.webhook(REF))
    order = stand.fake.orders[REF]
    assert hint.ref == REF
    assert hint.payment_id == order.payments[0].id
    assert hint.gateway_id == (None if stand.name == "cashfree" else order.gateway_id)
    kinds = {
        "razorpay": "payment_link.paid",
        "cashfree": "PAYMENT_SUCCESS_WEBHOOK",
        "phonepe": "checkout.order.completed",
    }
    assert hint.kind == kinds[stand.name]


async def test_a_webhook_about_a_refund_says_where_to_look(stand: Stand) -> None:
    payment_id = stand.fake.orders[REF].payments[0].id
    refund = stand.fake.refund_by_gateway(REF, payment_id)
    kinds = {"razorpay": "refund.processed", "cashfree": "REFUND_STATUS_WEBHOOK", "phonepe": "pg.refund.completed"}
    hint = stand.read(stand.fake.webhook(REF, kinds[stand.name]))
    assert hint.kind == kinds[stand.name]
    # Razorpay names the payment, PhonePe the order, Cashfree both.
    assert hint.ref == (None if stand.name == "razorpay" else REF)
    assert hint.payment_id == (None if stand.name == "phonepe" else refund.payment_id)


async def test_a_webhook_signed_with_an_older_secret_is_taken(stand: Stand) -> None:
    assert stand.read(stand.fake.webhook(REF, secret=OLD_SECRET)).ref == REF


async def test_a_replayed_webhook_has_the_same_name(stand: Stand) -> None:
    once = stand.fake.webhook(REF)
    assert stand.read(once).event_id == stand.read(once).event_id


async def test_the_same_event_under_another_name_is_about_the_same_payment(stand: Stand) -> None:
    one = stand.read(stand.fake.webhook(REF, event_id="evt_one"))
    other = stand.read(stand.fake.webhook(REF, event_id="evt_other"))
    assert one.event_id != other.event_id
    assert (one.ref, one.payment_id) == (other.ref, other.payment_id)


async def test_without_the_header_an_event_is_named_by_its_bytes(stand: Stand) -> None:
    bare = stand.fake.webhook(REF).without("x-razorpay-event-id", "x-idempotency-key")
    hint = stand.read(bare)
    assert len(hint.event_id) == 64
    assert hint.event_id == stand.read(bare).event_id


async def test_webhooks_arrive_at_an_address_in_the_order_that_a_test_chose(stand: Stand) -> None:
    received: list[str] = []

    async def take(request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            hint = stand.gateway.read_webhook(headers, await request.read(), now=clock.now())
        except BadWebhook:
            return web.Response(status=401)
        received.append(hint.event_id)
        return web.Response()

    handler: Handler = take
    first, second = stand.fake.webhook(REF, event_id="evt_first"), stand.fake.webhook(REF, event_id="evt_second")
    endpoint = Ledger()
    async with serving(endpoint, [web.post("/webhooks", handler)]):
        statuses = await deliver(f"{endpoint.url}/webhooks", second, first, first, first.truncated(), pause=0.01)
    assert statuses == [200, 200, 200, 401]
    assert received == [stand.read(one).event_id for one in (second, first, first)]
