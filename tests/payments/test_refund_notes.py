"""Notes take back the tax that a receipt charged: all of it in the end, and at the rate of then."""

from dataclasses import replace
from typing import Any, cast

import msgspec
import pytest

from numberdesk.base.money import Paise
from numberdesk.payments import service as payments
from numberdesk.payments.methods.gateway import Gateway
from numberdesk.payments.service import Till
from numberdesk.payments.sql import find_payments
from tests.payments.stage import VISIT, Stage
from tests.payments.test_gst import VALID
from tests.payments.test_refund_dying import Bank

pytestmark = pytest.mark.anyio

PARTS = (33_33, 33_33, 33_34, 99_99, 1)


def supplied(stage: Stage, **supplier: Any) -> Till:
    """Return the till of a supplier, with a gateway that sends everything back at once."""
    found = replace(stage.till.supplier, **supplier)
    return replace(stage.till, supplier=found, gateways={"razorpay": cast("Gateway", Bank(refuses=False))})


async def came(stage: Stage, till: Till) -> None:
    recharge = await stage.begin(200, till=till)
    proof = stage.proof(recharge, rail="razorpay", external_id="pay_1", amount_paise=Paise(sum(PARTS)))
    await stage.settle(replace(proof, vpa_id=None, rrn=None), till=till)


async def goes_back(stage: Stage, till: Till, *parts: int) -> None:
    staff = await stage.staff()
    for place, part in enumerate(parts):
        async with stage.db.statement() as tx:
            (payment,) = await find_payments(tx, [("razorpay", "pay_1")])
        await payments.refund(
            till, caller=staff, visit=replace(VISIT, id=f"part-{staff.account_id}-{place}"), payment_id=payment.id,
            version=payment.version, amount_paise=Paise(part), reason=f"part {place}",
        )  # fmt: skip


async def taxed(stage: Stage, kind: str) -> tuple[int | None, int | None, int | None]:
    """Return amount, taxable and tax of all receipts or notes together."""
    (found,) = await stage.list(
        "SELECT sum(amount_paise)::bigint, sum(taxable_paise)::bigint, sum(igst_paise)::bigint FROM receipts"
        " WHERE kind = $1", kind,
    )  # fmt: skip
    return cast("tuple[int | None, int | None, int | None]", found)


async def test_what_goes_back_in_parts_takes_back_just_the_tax_that_was_charged(stage: Stage) -> None:
    till = supplied(stage, gstin=VALID[0])
    await came(stage, till)
    await goes_back(stage, till, *PARTS)
    assert await taxed(stage, "refund_note") == await taxed(stage, "receipt") == (200_00, 169_49, 30_51)
    lines = await stage.list("SELECT amount_paise, taxable_paise + igst_paise FROM receipts")
    assert all(amount == sum_ for amount, sum_ in lines)


async def test_another_rate_of_today_changes_nothing_about_a_receipt_of_then(stage: Stage) -> None:
    await came(stage, supplied(stage, gstin=VALID[0], rate_bps=1800))
    await goes_back(stage, supplied(stage, gstin=VALID[0], rate_bps=2800), 200_00)
    assert await taxed(stage, "refund_note") == await taxed(stage, "receipt")
    ((details,),) = await stage.list("SELECT details::text FROM receipts WHERE kind = 'refund_note'")
    assert msgspec.json.decode(details)["rateBps"] == 1800


@pytest.mark.parametrize(("then", "now"), [(None, VALID[0]), (VALID[0], None)])
async def test_a_note_has_tax_if_its_receipt_had(stage: Stage, then: str | None, now: str | None) -> None:
    await came(stage, supplied(stage, gstin=then))
    await goes_back(stage, supplied(stage, gstin=now), 200_00)
    assert await taxed(stage, "refund_note") == await taxed(stage, "receipt")
    ((details,),) = await stage.list("SELECT details::text FROM receipts WHERE kind = 'refund_note'")
    assert msgspec.json.decode(details)["gstin"] == then
