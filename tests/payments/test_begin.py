"""Beginning recharges: bounds, limits, amounts that tell who paid, and repeats that begin nothing twice."""

import asyncio
from dataclasses import replace

import pytest

from numberdesk.accounts.service import KeyReused
from numberdesk.base.errors import NotFound
from numberdesk.base.limits import TooMany
from numberdesk.base.money import Paise
from numberdesk.payments import service as payments
from numberdesk.payments.service import TooManyOpen
from tests.payments.stage import Stage

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("paise", [1, 49_99, 10_000_01])
async def test_an_amount_out_of_bounds_begins_nothing(stage: Stage, paise: int) -> None:
    with pytest.raises(payments.AmountOutOfBounds):
        await payments.begin(stage.till, account_id=stage.asha, method="upi", amount_paise=Paise(paise))
    assert await stage.ask("SELECT count(*) FROM recharges") == 0


async def test_a_method_that_is_not_set_up_says_why_it_is_closed(stage: Stage) -> None:
    for method in ("trx", "usdt"):
        with pytest.raises(payments.MethodClosed) as refused:
            await payments.begin(stage.till, account_id=stage.asha, method=method, amount_paise=Paise(100_00))
        assert "not offered here" in refused.value.reason
    await payments.close_vpa(stage.db, stage.vpa.vpa)
    with pytest.raises(payments.MethodClosed):
        await stage.begin()
    offered = {item.method: item.reason for item in await payments.methods(stage.till)}
    assert offered == {"upi": "no UPI address of ours is open", "trx": "it is not offered here"}


async def test_three_wait_for_their_payment_and_the_fourth_is_refused(stage: Stage) -> None:
    for _ in range(3):
        await stage.begin()
    with pytest.raises(TooManyOpen):
        await stage.begin()
    await stage.begin(account=stage.bela)


async def test_thirty_at_once_leave_three_open(stage: Stage) -> None:
    till = replace(stage.till, limiter=stage.till.limiter)
    outcomes = await asyncio.gather(*(stage.begin(till=till) for _ in range(10)), return_exceptions=True)
    assert sum(isinstance(item, TooManyOpen) for item in outcomes) == 7
    assert await stage.ask("SELECT count(*) FROM recharges") == 3


async def test_ten_an_hour_are_begun_and_the_eleventh_is_refused(stage: Stage) -> None:
    for _ in range(10):
        await stage.settle(stage.proof(await stage.begin()))
    with pytest.raises(TooMany):
        await stage.begin()


async def test_a_hundred_customers_with_one_amount_get_a_hundred_amounts_and_no_more(stage: Stage) -> None:
    till = stage.ruled(open_max=1000)
    await stage.change("DELETE FROM limit_counters")
    seen = set()
    for number in range(100):
        if number % 10 == 0:
            await stage.change("DELETE FROM limit_counters")
        seen.add((await stage.begin(till=till)).payable_paise)
    assert seen == set(range(100_00, 101_00))
    await stage.change("DELETE FROM limit_counters")
    with pytest.raises(payments.AmountsTaken):
        await stage.begin(till=till)
    other = await payments.open_vpa(stage.db, address="second@okbank", payee_name="Acme", kind="merchant")
    assert (await stage.begin(till=till)).vpa_id == other.id


async def test_the_same_key_gives_the_same_recharge_also_at_once(stage: Stage) -> None:
    async def begin() -> str:
        shown = await payments.begin(
            stage.till, account_id=stage.asha, method="upi", amount_paise=Paise(100_00), request_key="one"
        )
        return shown.recharge.ref

    refs = await asyncio.gather(*(begin() for _ in range(8)))
    assert len(set(refs)) == 1
    assert await stage.ask("SELECT count(*) FROM recharges") == 1


async def test_a_page_is_shown_again_to_its_owner_only(stage: Stage) -> None:
    recharge = await stage.begin()
    shown = await payments.pay_page(stage.till, account_id=stage.asha, ref=recharge.ref, method="upi")
    assert (shown.recharge, shown.vpa) == (recharge, stage.vpa)
    with pytest.raises(payments.WrongMethod):
        await payments.pay_page(stage.till, account_id=stage.asha, ref=recharge.ref, method="trx")
    with pytest.raises(NotFound):
        await payments.pay_page(stage.till, account_id=stage.bela, ref=recharge.ref, method="upi")
    await stage.settle(stage.proof(recharge))
    with pytest.raises(payments.RechargeOver):
        await payments.pay_page(stage.till, account_id=stage.asha, ref=recharge.ref, method="upi")


async def test_a_key_that_began_another_recharge_is_refused(stage: Stage) -> None:
    async def begin(paise: int) -> None:
        await payments.begin(
            stage.till, account_id=stage.asha, method="upi", amount_paise=Paise(paise), request_key="one"
        )

    await begin(100_00)
    with pytest.raises(KeyReused):
        await begin(200_00)
    assert await stage.ask("SELECT count(*) FROM recharges") == 1
