"""Anything at all as a webhook or an answer: no exception but the refusal, and never more money than was paid."""

import json
import random
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numberdesk.base.money import AMOUNT_MAX
from numberdesk.payments.methods.gateway import BadWebhook, Checkout, GatewayName, GatewayRefund, Look, Trouble
from tests.payments.fakes.gateway_ledger import Webhook
from tests.payments.fakes.gateways import AMOUNT, REF, Stand, stand_of, unconnected, wanted

EVERY = pytest.mark.parametrize("name", get_args(GatewayName))
KEY = "refund-0001-abcdef"
NAMES = [
    "event",
    "type",
    "payload",
    "data",
    "payment_link",
    "payment",
    "entity",
    "refund",
    "auto_refund",
    "order",
    "id",
    "reference_id",
    "notes",
    "recharge",
    "description",
    "order_id",
    "cf_payment_id",
    "merchantOrderId",
    "paymentDetails",
    "state",
    "transactionId",
    "orderId",
    "payment_id",
    "originalMerchantOrderId",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=15,
)
EVENTS = st.fixed_dictionaries(
    {"event": st.text(max_size=9), "type": st.text(max_size=9), "payload": JSON, "data": JSON}
)

ODD: tuple[str, ...] = (
    "null", "true", "0", "-1", "1", "25036", "9" * 40, "1e400", "250.370", "250.371", "1e9999999999999999999", "NaN",
    '""', '"x"', '"\\u0000"', '"\\ud800"', '"captured"', '"SUCCESS"', '"COMPLETED"', '"2026-01-01T00:00:00"',
    '"9999-12-31T23:59:59-23:59"', '"../../x"', "[]", "{}", "[null]", "[[]]", '{"a":1}', "[" * 3000 + "]" * 3000,
)  # fmt: skip
"""JSON values to put in the place of any other."""


@EVERY
@given(raw=st.binary(max_size=200), headers=st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3))
@settings(max_examples=100, deadline=None)
def test_any_bytes_with_any_headers_are_refused_or_read(name: GatewayName, raw: bytes, headers: dict[str, str]) -> None:
    stand = unconnected(name)
    for webhook in (Webhook(headers, raw), Webhook({**stand.fake.sign(raw).headers, **headers}, raw)):
        try:
            stand.read(webhook)
        except BadWebhook:
            continue


@EVERY
@given(body=EVENTS)
@settings(max_examples=200, deadline=None)
def test_any_signed_event_is_refused_or_gives_plain_names(name: GatewayName, body: dict[str, object]) -> None:
    stand = unconnected(name)
    try:
        hint = stand.read(stand.fake.sign(json.dumps(body).encode()))
    except BadWebhook:
        return
    assert all(one is None or one.isascii() for one in (hint.ref, hint.gateway_id, hint.payment_id))
    assert hint.kind.isprintable()


@pytest.mark.anyio
@EVERY
async def test_an_answer_with_any_field_replaced_is_understood_or_trouble(name: GatewayName) -> None:
    async with stand_of(name) as stand:
        await stand.create()
        payment_id = stand.fake.pay(REF)
        stand.fake.begin_refund(REF, payment_id, key=KEY, amount_paise=100_00)
        chance = random.Random(name)
        stand.fake.change = lambda path, body: body if "oauth" in path else with_one_odd_value(body, chance)
        for _ in range(150):
            check_look(await stand.gateway.look(ref=REF, gateway_id=None))
            assert isinstance(await stand.gateway.create(wanted()), Checkout | Trouble)
            check_refund(await _look_at_refund(stand, payment_id))


@pytest.mark.anyio
async def test_a_token_with_any_field_replaced_is_used_or_trouble() -> None:
    async with stand_of("phonepe") as stand:
        await stand.create()
        chance = random.Random(3)
        stand.fake.change = lambda path, body: with_one_odd_value(body, chance) if "oauth" in path else body
        for _ in range(150):
            stand.fake.revoke()
            seen = await stand.gateway.look(ref=REF, gateway_id=None)
            assert isinstance(seen, Trouble) or seen.state == "open"


def with_one_odd_value(body: bytes, chance: random.Random) -> bytes:
    """Put an odd value in the place of one value of a JSON text, or take one away."""
    tree = json.loads(body)
    places = list(_places(tree))
    if not places or chance.random() < 0.1:
        return chance.choice(ODD).encode()
    holder, key = chance.choice(places)
    if isinstance(holder, dict) and chance.random() < 0.2:
        del holder[key]
        return json.dumps(tree).encode()
    holder[key] = "~here~"
    return json.dumps(tree).replace('"~here~"', chance.choice(ODD)).encode()


def _places(tree: Any) -> Any:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield tree, key
        yield from _places(value)


def check_look(seen: Look | Trouble) -> None:
    """Check what may be believed whatever is sent."""
    assert isinstance(seen, Look | Trouble)
    for one in seen.payments if isinstance(seen, Look) else ():
        assert type(one.amount_paise) is int
        assert 0 < one.amount_paise <= AMOUNT_MAX
        assert one.ref == REF
        assert one.state != "paid" or one.paid_at is None or one.paid_at.tzinfo is not None
        assert all(text is None or text.isprintable() for text in (one.rrn, one.payer, one.external_id, one.currency))


def check_refund(seen: GatewayRefund | Trouble) -> None:
    """Check what may be believed of a refund whatever is sent."""
    assert isinstance(seen, GatewayRefund | Trouble)
    if isinstance(seen, GatewayRefund):
        assert seen.key == KEY
        assert 0 < seen.amount_paise <= AMOUNT_MAX


async def _look_at_refund(stand: Stand, payment_id: str) -> GatewayRefund | Trouble:
    return await stand.gateway.look_at_refund(ref=REF, payment_external_id=payment_id, key=KEY, gateway_id=None)


def test_the_odd_values_hold_one_that_is_nearly_right() -> None:
    assert f"{AMOUNT - 1}" in ODD
