"""What every gateway must do alike, each against its own fake: pages, looks, refunds, and every kind of bad answer."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, get_args

import pytest

from numberdesk.base import clock
from numberdesk.base.money import Paise
from numberdesk.payments.methods.gateway import Checkout, GatewayName, GatewayRefund, Trouble
from tests.payments.fakes.gateway_ledger import CUSTOMER, TroubleKind
from tests.payments.fakes.gateways import AMOUNT, DEADLINE, OTHER_REF, REF, Stand, stand_of, wanted

pytestmark = pytest.mark.anyio

KEY = "refund-0001-abcdef"
QUICK_TROUBLES: tuple[TroubleKind, ...] = (
    "500", "502", "lost", "garbage", "truncated", "empty", "html", "shape", "list", "deep", "huge", "redirect",
)  # fmt: skip


@pytest.fixture(params=get_args(GatewayName))
async def stand(request: pytest.FixtureRequest) -> AsyncIterator[Stand]:
    async with stand_of(request.param) as running:
        yield running


@pytest.fixture
async def paid(stand: Stand) -> tuple[Stand, str]:
    """A reference that one customer has paid, and the payment's id."""
    await stand.create()
    return stand, stand.fake.pay(REF)


def secrets_of(stand: Stand) -> list[str]:
    names = ("key_secret", "webhook_secret", "client_secret", "webhook_password")
    return [value for name in names if len(value := getattr(stand.fake, name, "")) > 8]


# Pages


@pytest.mark.parametrize("kind", QUICK_TROUBLES)
async def test_no_page_is_made_of_a_bad_answer(stand: Stand, kind: TroubleKind) -> None:
    stand.fake.trouble(kind, only="pay" if stand.name != "cashfree" else "orders")
    made = await stand.gateway.create(wanted())
    assert isinstance(made, Trouble)
    assert not made.is_refusal


async def test_a_refused_page_is_a_refusal(stand: Stand) -> None:
    bad = wanted(amount_paise=Paise(1)) if stand.name != "cashfree" else wanted()
    if stand.name == "cashfree":
        stand.gateway.business_phone = ""  # type: ignore[attr-defined]
    made = await stand.gateway.create(bad)
    assert isinstance(made, Trouble)
    assert made.is_refusal


async def test_a_page_of_another_amount_is_not_returned_for_the_same_reference(stand: Stand) -> None:
    await stand.create()
    made = await stand.gateway.create(wanted(amount_paise=Paise(AMOUNT + 1)))
    assert isinstance(made, Trouble)
    assert made.is_refusal
    assert len(stand.fake.orders) == 1


async def test_a_page_is_made_with_the_exact_amount(stand: Stand) -> None:
    made = await stand.create()
    order = stand.fake.orders[REF]
    assert (made.gateway_id, order.amount_paise, order.currency) == (order.gateway_id, AMOUNT, "INR")
    assert order.account == "u_42"
    assert (made.url is None) is (made.session is not None)


async def test_a_page_asked_for_twice_is_the_same_page(stand: Stand) -> None:
    assert await stand.create() == await stand.create()
    assert len(stand.fake.orders) == 1


async def test_a_page_whose_answer_was_lost_is_found_by_asking_again(stand: Stand) -> None:
    stand.fake.trouble("lost", only="pay" if stand.name != "cashfree" else "orders")
    assert isinstance(await stand.gateway.create(wanted()), Trouble)
    made = await stand.create()
    assert made.gateway_id == stand.fake.orders[REF].gateway_id
    assert len(stand.fake.orders) == 1


async def test_an_expiry_that_the_gateway_would_refuse_is_moved_and_told(stand: Stand) -> None:
    soon = clock.now() + timedelta(seconds=10)
    made = await stand.create(expires_at=soon)
    assert made.expires_at > soon + timedelta(minutes=4)
    assert abs(made.expires_at - stand.fake.orders[REF].expires_at) < timedelta(seconds=1)


# Looks


@pytest.mark.parametrize("kind", QUICK_TROUBLES)
async def test_nothing_is_known_after_a_bad_answer(paid: tuple[Stand, str], kind: TroubleKind) -> None:
    stand, _ = paid
    stand.fake.trouble(kind)
    assert isinstance(await stand.gateway.look(ref=REF, gateway_id=None), Trouble)
    assert (await stand.look()).state == "paid"


@pytest.mark.parametrize("call", ["create", "look", "refund", "look_at_refund"])
async def test_a_silent_gateway_ends_with_the_deadline(paid: tuple[Stand, str], call: str) -> None:
    stand, payment_id = paid
    stand.fake.trouble("timeout")
    began = clock.seconds()
    assert isinstance(await _call(stand, call, payment_id), Trouble)
    assert clock.seconds() - began < DEADLINE + 1


@pytest.mark.parametrize("call", ["create", "look", "refund", "look_at_refund"])
async def test_a_gateway_that_is_asked_too_often_says_when_to_ask_again(paid: tuple[Stand, str], call: str) -> None:
    stand, payment_id = paid
    stand.fake.trouble("429")
    said = await _call(stand, call, payment_id)
    assert isinstance(said, Trouble)
    assert said.retry_after
    assert not said.is_refusal


@pytest.mark.parametrize("call", ["create", "look", "refund", "look_at_refund"])
async def test_an_absent_gateway_is_trouble(paid: tuple[Stand, str], call: str) -> None:
    stand, payment_id = paid
    stand.gateway.base_url = "http://127.0.0.1:1"  # type: ignore[attr-defined]
    said = await _call(stand, call, payment_id)
    assert isinstance(said, Trouble)
    assert not said.is_refusal


@pytest.mark.parametrize("call", ["create", "look", "refund", "look_at_refund"])
async def test_wrong_keys_are_trouble_that_passes_when_they_are_put_right(paid: tuple[Stand, str], call: str) -> None:
    stand, payment_id = paid
    if stand.name == "phonepe":
        stand.fake.revoke()
    name = "key_secret" if stand.name == "razorpay" else "client_secret"
    setattr(stand.gateway, name, "wrong")
    said = await _call(stand, call, payment_id)
    assert isinstance(said, Trouble)
    assert not said.is_refusal


async def test_no_reason_and_no_repr_holds_a_secret(paid: tuple[Stand, str]) -> None:
    stand, payment_id = paid
    said: list[Any] = [stand.gateway]
    for kind in (*QUICK_TROUBLES, "401", "429"):
        stand.fake.trouble(kind)
        said += [await _call(stand, call, payment_id) for call in ("create", "look", "refund")]
    assert not [secret for secret in secrets_of(stand) if secret in f"{said}"]
    assert not [one for one in stand.fake.requests for secret in secrets_of(stand) if secret in one.path]


async def test_a_reference_that_was_never_asked_for_is_unknown(stand: Stand) -> None:
    await stand.create()
    assert (await stand.look(OTHER_REF)).state == "unknown"
    assert (await stand.look(OTHER_REF)).payments == ()


async def test_the_page_of_another_reference_is_not_taken(stand: Stand) -> None:
    other = await stand.create(OTHER_REF)
    stand.fake.pay(OTHER_REF)
    mine = await stand.gateway.look(ref=REF, gateway_id=other.gateway_id)
    assert isinstance(mine, Trouble) or mine.payments == ()


async def test_a_payment_in_another_currency_says_so(stand: Stand) -> None:
    await stand.create()
    stand.fake.pay(REF, currency="USD")
    assert [one.currency for one in (await stand.look()).payments] == ["USD"]


async def test_a_payment_that_is_still_at_the_bank_is_not_paid(stand: Stand) -> None:
    made = await stand.create()
    stand.fake.hold(REF)
    seen = await stand.look(gateway_id=made.gateway_id)
    assert seen.state == "open"
    assert {one.state for one in seen.payments} <= {"pending"}


async def test_a_failed_try_is_not_paid_and_the_page_stays_open(stand: Stand) -> None:
    await stand.create()
    stand.fake.fail(REF)
    seen = await stand.look()
    assert seen.state == "open"
    assert {one.state for one in seen.payments} <= {"failed"}


async def test_a_page_that_nobody_paid_is_open_and_then_expired(stand: Stand) -> None:
    made = await stand.create()
    assert (await stand.look(gateway_id=made.gateway_id)).state == "open"
    stand.fake.expire(REF)
    seen = await stand.look(gateway_id=made.gateway_id)
    assert (seen.state, seen.payments) == ("expired", ())


async def test_a_payment_is_told_with_all_that_is_known_of_it(paid: tuple[Stand, str]) -> None:
    stand, payment_id = paid
    seen = await stand.look(gateway_id=stand.fake.orders[REF].gateway_id)
    (one,) = seen.payments
    there = stand.fake.payment(REF, payment_id)
    assert (seen.state, one.state, one.external_id, one.ref) == ("paid", "paid", payment_id, REF)
    assert (one.amount_paise, one.currency, one.rrn, one.payer) == (AMOUNT, "INR", there.rrn, CUSTOMER)
    assert one.paid_at is not None
    assert abs(one.paid_at - there.at) < timedelta(seconds=2)
    assert (one.refunded_paise, seen.refunds) == (0, ())
    assert payment_id.encode() in one.raw


@pytest.mark.parametrize("name", get_args(GatewayName))
@pytest.mark.parametrize("is_live", [False, True])
async def test_test_money_is_told_from_real_money(name: GatewayName, is_live: bool) -> None:
    async with stand_of(name, is_live=is_live) as stand:
        await stand.create()
        stand.fake.pay(REF)
        assert stand.gateway.is_live is is_live
        assert [one.is_live for one in (await stand.look()).payments] == [is_live]


async def test_two_payments_for_one_page_are_two(stand: Stand) -> None:
    await stand.create()
    twice = {stand.fake.pay(REF), stand.fake.pay(REF)}
    seen = await stand.look()
    assert {one.external_id for one in seen.payments} == twice
    assert [(one.state, one.amount_paise) for one in seen.payments] == [("paid", AMOUNT)] * 2


async def test_the_first_of_two_payments_keeps_its_name_and_amount(stand: Stand) -> None:
    await stand.create()
    stand.fake.pay(REF)
    (first,) = (await stand.look()).payments
    stand.fake.pay(REF)
    again = (await stand.look()).payments[0]
    assert replace(again, raw=b"") == replace(first, raw=b"")


async def test_a_payment_after_a_failed_one_is_the_one_that_counts(stand: Stand) -> None:
    await stand.create()
    stand.fake.fail(REF)
    payment_id = stand.fake.pay(REF)
    assert [one.external_id for one in (await stand.look()).payments if one.state == "paid"] == [payment_id]


async def test_a_payment_after_the_end_of_the_page_is_seen(stand: Stand) -> None:
    await stand.create()
    stand.fake.expire(REF)
    payment_id = stand.fake.pay(REF)
    seen = await stand.look()
    assert [(one.external_id, one.state) for one in seen.payments] == [(payment_id, "paid")]


# Refunds


@pytest.mark.parametrize("kind", [one for one in QUICK_TROUBLES if one not in ("lost", "truncated")])
async def test_no_refund_is_known_after_a_bad_answer_and_none_is_made(
    paid: tuple[Stand, str], kind: TroubleKind
) -> None:
    stand, payment_id = paid
    stand.fake.trouble(kind, only="refund")
    said = await _call(stand, "refund", payment_id)
    assert isinstance(said, Trouble)
    assert not said.is_refusal
    assert stand.fake.orders[REF].refunds == []


async def test_more_than_was_paid_is_not_sent_back(paid: tuple[Stand, str]) -> None:
    stand, payment_id = paid
    said = await stand.gateway.refund(ref=REF, payment_external_id=payment_id, amount_paise=Paise(AMOUNT + 1), key=KEY)
    assert isinstance(said, Trouble)
    assert said.is_refusal


async def test_the_same_key_with_another_amount_sends_nothing_more(paid: tuple[Stand, str]) -> None:
    stand, payment_id = paid
    await stand.gateway.refund(ref=REF, payment_external_id=payment_id, amount_paise=Paise(100_00), key=KEY)
    said = await stand.gateway.refund(ref=REF, payment_external_id=payment_id, amount_paise=Paise(50_00), key=KEY)
    assert isinstance(said, Trouble)
    assert len(stand.fake.orders[REF].refunds) == 1


async def test_a_refund_that_was_never_begun_is_not_there(paid: tuple[Stand, str]) -> None:
    stand, payment_id = paid
    said = await _call(stand, "look_at_refund", payment_id)
    assert isinstance(said, Trouble)
    assert not said.is_refusal


@pytest.mark.parametrize("kind", ["lost", "truncated"])
async def test_a_refund_whose_answer_was_lost_is_sent_once(paid: tuple[Stand, str], kind: TroubleKind) -> None:
    stand, payment_id = paid
    stand.fake.trouble(kind, only="refund")
    assert isinstance(await _call(stand, "refund", payment_id), Trouble)
    again = await _call(stand, "refund", payment_id)
    assert isinstance(again, GatewayRefund)
    assert [one.id for one in stand.fake.orders[REF].refunds] == [again.gateway_id]


async def test_the_same_refund_asked_for_twice_is_sent_once(paid: tuple[Stand, str]) -> None:
    stand, payment_id = paid
    first, second = await _call(stand, "refund", payment_id), await _call(stand, "refund", payment_id)
    assert isinstance(first, GatewayRefund)
    assert replace(first, raw=b"") == replace(second, raw=b"")
    assert (first.key, first.payment_external_id, first.amount_paise) == (KEY, payment_id, AMOUNT)
    assert len(stand.fake.orders[REF].refunds) == 1


@pytest.mark.parametrize(("end", "state"), [("processed", "processed"), ("failed", "failed")])
async def test_a_refund_is_followed_to_its_end(paid: tuple[Stand, str], end: str, state: str) -> None:
    stand, payment_id = paid
    begun = await _call(stand, "refund", payment_id)
    assert begun.state == "pending"
    stand.fake.finish_refund(REF, KEY, end)
    seen = await _call(stand, "look_at_refund", payment_id)
    assert (seen.state, seen.key, seen.gateway_id) == (state, KEY, begun.gateway_id)
    assert (seen.bank_reference is not None) is (end == "processed")


@pytest.mark.parametrize("stand", ["razorpay", "cashfree"], indirect=True)  # PhonePe lists no refunds of an order
async def test_our_refund_shows_in_the_look(paid: tuple[Stand, str]) -> None:
    stand, payment_id = paid
    await stand.gateway.refund(ref=REF, payment_external_id=payment_id, amount_paise=Paise(50_00), key=KEY)
    seen = await stand.look()
    assert [(one.key, one.amount_paise) for one in seen.refunds] == [(KEY, 50_00)]
    assert [(one.state, one.refunded_paise) for one in seen.payments] == [("paid", 50_00)]


@pytest.mark.parametrize("stand", ["razorpay", "cashfree"], indirect=True)  # PhonePe lists no refunds of an order
async def test_a_refund_that_we_did_not_begin_has_no_key(paid: tuple[Stand, str]) -> None:
    stand, payment_id = paid
    stand.fake.refund_by_gateway(REF, payment_id)
    seen = await stand.look()
    assert [(one.key, one.payment_external_id, one.amount_paise) for one in seen.refunds] == [
        (None, payment_id, AMOUNT)
    ]
    assert [(one.state, one.amount_paise, one.refunded_paise) for one in seen.payments] == [("paid", AMOUNT, AMOUNT)]


async def _call(stand: Stand, call: str, payment_id: str) -> Any:
    if call == "create":
        made = await stand.gateway.create(wanted())
        assert isinstance(made, Checkout | Trouble)
        return made
    if call == "look":
        return await stand.gateway.look(ref=REF, gateway_id=None)
    if call == "refund":
        return await stand.gateway.refund(ref=REF, payment_external_id=payment_id, amount_paise=AMOUNT, key=KEY)
    return await stand.gateway.look_at_refund(ref=REF, payment_external_id=payment_id, key=KEY, gateway_id=None)
