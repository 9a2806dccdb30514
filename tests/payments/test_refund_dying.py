"""A process dies at every place of sending a payment back: it is sent once, and the wallet says the same."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import cast

import pytest

from numberdesk.accounts.model import Caller, RequestId, StaffRules
from numberdesk.base.db import open_database
from numberdesk.base.money import Paise
from numberdesk.payments import service as payments
from numberdesk.payments.methods.gateway import Gateway, GatewayName, GatewayRefund, Trouble
from numberdesk.payments.model import Payment
from numberdesk.payments.service import Till
from numberdesk.payments.sql import find_payments
from tests.deaths import PLACES_MAX, VICTIM, survived
from tests.payments.stage import VISIT, Stage

pytestmark = pytest.mark.anyio

CAME, BACK = 200_00, 60_00


@dataclass
class Bank:
    """A gateway that sends under each key once, or refuses."""

    refuses: bool
    sent: dict[str, int] = field(default_factory=dict)
    name: GatewayName = "razorpay"
    is_live = False

    async def refund(
        self, *, ref: str, payment_external_id: str, amount_paise: Paise, key: str
    ) -> GatewayRefund | Trouble:
        if self.refuses:
            return Trouble("it refuses", is_refusal=True)
        self.sent[key] = amount_paise
        return GatewayRefund(f"rfnd_{key}", key, payment_external_id, "processed", amount_paise, None, b"")


@asynccontextmanager
async def victim(till: Till) -> AsyncIterator[Till]:
    """Lend a till of a process that will be killed."""
    db = await open_database(till.db.url, size=3, name=VICTIM)
    try:
        yield replace(till, db=db)
    finally:
        for task in list(db._tasks):
            task.cancel()
        db.pool.terminate()


async def paid(stage: Stage, place: int) -> Payment:
    """Have two hundred rupees come in."""
    await stage.change("DELETE FROM limit_counters")
    recharge = await stage.begin(200)
    proof = stage.proof(recharge, rail="razorpay", external_id=f"pay_{place}", amount_paise=Paise(CAME))
    await stage.settle(replace(proof, vpa_id=None, rrn=None))
    async with stage.db.statement() as tx:
        return (await find_payments(tx, [("razorpay", f"pay_{place}")]))[0]


async def asked(till: Till, stage: Stage, staff: Caller, payment: Payment, place: int) -> RequestId:
    """Have somebody of the staff ask for the refund, and another one needed for it; returns the request."""
    found = await payments.refund(
        till, caller=staff, visit=replace(VISIT, id=f"ask-{place}"), payment_id=payment.id, version=payment.version,
        amount_paise=Paise(BACK), reason="asked for",
    )  # fmt: skip
    assert found.row is None
    return found.request.id


@pytest.mark.parametrize("refuses", [False, True], ids=["sends", "refuses"])
async def test_a_refund_that_a_second_person_agrees_to_is_sent_once(stage: Stage, refuses: bool) -> None:
    bank = Bank(refuses)
    rules = replace(stage.till.rules, staff=StaffRules(two_people_above=Paise(1), daily_cap=Paise(10**9)))
    till = replace(stage.till, rules=rules, gateways={"razorpay": cast("Gateway", bank)})
    first, second = await stage.staff(), await stage.staff()
    for place in range(PLACES_MAX):
        payment = await paid(stage, place)
        before, sent = await stage.balance(), len(bank.sent)
        request = await asked(till, stage, first, payment, place)
        async with victim(till) as dying:
            agree = partial(payments.agree_to_refund, caller=second, visit=replace(VISIT, id=f"agree-{place}"))
            has_lived = await survived(partial(agree, dying, request_id=request), place)
        await stage.change("UPDATE gateway_refunds SET due_at = clock_timestamp() WHERE state = 'requested'")
        await payments.follow_refunds(till)
        is_decided = await stage.ask("SELECT state = 'done' FROM money_requests WHERE id = $1", request)
        if not is_decided:
            assert (len(bank.sent), await stage.balance()) == (sent, before)
        found = await agree(till, request_id=request)
        assert (found.row is None) == is_decided
        await payments.follow_refunds(till)
        went = 0 if refuses else BACK
        assert (len(bank.sent) - sent, await stage.balance()) == (not refuses, before - went)
        states = await stage.list("SELECT state FROM gateway_refunds WHERE payment_id = $1", payment.id)
        assert states == [("failed" if refuses else "processed",)]
        if has_lived:
            break
    assert place >= 30
