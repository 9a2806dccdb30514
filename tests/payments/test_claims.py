"""Claims: what a customer says never credits; it finds what the bank says, and nobody learns of anybody else by it."""

import asyncio
from datetime import timedelta

import pytest

from numberdesk.base.errors import InvalidFields, NotFound
from numberdesk.base.limits import TooMany
from numberdesk.payments import service as payments
from numberdesk.payments import sql
from numberdesk.payments.model import Recharge
from numberdesk.payments.service import Claimed
from tests.payments.stage import UTR, VISIT, Stage

pytestmark = pytest.mark.anyio


async def claim(stage: Stage, recharge: Recharge, utr: str = UTR, *, payer: str | None = None) -> Claimed:
    return await payments.claim_utr(
        stage.till, account_id=recharge.account_id, ref=recharge.ref, utr=utr, payer_vpa=payer
    )


async def statement(stage: Stage, *rows: str) -> None:
    """Import a statement with rows such as `26/11/2026 10:00,412345678901,100.37`."""
    raw = "date,utr,amount\n" + "\n".join(rows)
    await payments.take_statement(stage.till, vpa=stage.vpa, raw=raw.encode(), name="x.csv", profile="generic", by=None)
    while await payments.read_statements(stage.till):
        pass


def row(recharge: Recharge, utr: str = UTR, *, paise: int | None = None, later: timedelta = timedelta()) -> str:
    amount = recharge.payable_paise if paise is None else paise
    at = (recharge.created_at + later).isoformat(timespec="seconds")
    return f"{at},{utr},{amount // 100}.{amount % 100:02}"


@pytest.mark.parametrize(
    "utr", ["63311234567", "6331123456789", "HDFCN52026112612345678", "T2611261234567890123456", "0"]
)
async def test_what_is_no_utr_is_refused_before_anything_is_written(stage: Stage, utr: str) -> None:
    recharge = await stage.begin()
    with pytest.raises(InvalidFields) as refused:
        await claim(stage, recharge, utr)
    assert set(refused.value.fields) == {"utr"}
    assert await stage.ask("SELECT count(*) FROM utr_claims") == 0
    assert (await stage.again(recharge)).status == "awaiting_payment"


async def test_both_wrong_fields_are_named(stage: Stage) -> None:
    recharge = await stage.begin()
    with pytest.raises(InvalidFields) as refused:
        await claim(stage, recharge, "12", payer="asha@example.com")
    assert set(refused.value.fields) == {"utr", "payerVpa"}


async def test_somebody_elses_recharge_is_not_there(stage: Stage) -> None:
    recharge = await stage.begin()
    with pytest.raises(NotFound):
        await payments.claim_utr(stage.till, account_id=stage.bela, ref=recharge.ref, utr=UTR, payer_vpa=None)


async def test_a_claim_alone_credits_nothing_and_waits_for_a_person(stage: Stage) -> None:
    recharge = await stage.begin()
    claimed = await claim(stage, recharge, "6331-1234 5678", payer="Asha@YBL")
    assert claimed.outcome == "waiting"
    assert (await stage.again(recharge)).status == "submitted"
    assert await stage.balance() == 0
    (waiting,) = (await payments.queue(stage.till)).waiting
    assert [item.rrn for item in waiting.claims] == [UTR]
    assert b"asha@ybl" not in await stage.ask("SELECT payer FROM utr_claims")


async def test_a_claim_is_credited_when_the_statement_comes(stage: Stage) -> None:
    recharge = await stage.begin()
    await claim(stage, recharge)
    await statement(stage, row(recharge))
    assert await stage.balance() == recharge.payable_paise
    assert [event for event, _ in await stage.events(recharge)] == ["created", "claimed", "credited"]
    assert await stage.list("SELECT state FROM utr_claims") == [("credited",)]
    assert await stage.list("SELECT state, settled FROM statements, (SELECT 1) AS x") == [("done", 1)]


async def test_a_claim_is_credited_at_once_when_the_statement_was_there_before(stage: Stage) -> None:
    recharge = await stage.begin()
    await statement(stage, row(recharge))
    assert await stage.balance() == 0
    assert (await claim(stage, recharge)).outcome == "credited"
    assert await stage.balance() == recharge.payable_paise


async def test_two_accounts_claim_one_utr_and_the_one_whose_amount_it_is_gets_it(stage: Stage) -> None:
    mine, thief = await stage.begin(100), await stage.begin(100, account=stage.bela)
    assert mine.payable_paise != thief.payable_paise
    await claim(stage, thief)
    await claim(stage, mine)
    await statement(stage, row(mine))
    assert (await stage.balance(stage.asha), await stage.balance(stage.bela)) == (mine.payable_paise, 0)


async def test_two_accounts_claim_one_utr_at_once_and_one_is_credited(stage: Stage) -> None:
    mine, thief = await stage.begin(100), await stage.begin(100, account=stage.bela)
    await statement(stage, row(mine))
    outcomes = await asyncio.gather(
        *(claim(stage, recharge) for recharge in (thief, mine) for _ in range(4)), return_exceptions=True
    )
    credited = [item for item in outcomes if isinstance(item, Claimed) and item.outcome == "credited"]
    assert {item.recharge.id for item in credited} == {mine.id}
    assert (await stage.balance(stage.asha), await stage.balance(stage.bela)) == (mine.payable_paise, 0)


async def test_a_used_utr_is_refused_without_a_word_about_whose_it_is(stage: Stage) -> None:
    mine, other = await stage.begin(), await stage.begin(account=stage.bela)
    await stage.settle(stage.proof(mine, utr=UTR))
    with pytest.raises(payments.UtrAlreadyUsed) as refused:
        await claim(stage, other)
    assert refused.value.details() == {}
    assert mine.ref not in str(refused.value)
    assert (await claim(stage, mine)).outcome == "credited"


async def test_the_utr_of_the_own_second_recharge_is_refused_too(stage: Stage) -> None:
    first, second = await stage.begin(), await stage.begin()
    await stage.settle(stage.proof(first, utr=UTR))
    with pytest.raises(payments.UtrAlreadyUsed):
        await claim(stage, second)
    assert await stage.balance() == first.payable_paise


async def test_after_three_used_utrs_claims_are_closed_for_a_day_and_money_still_comes(stage: Stage) -> None:
    mine, other = await stage.begin(), await stage.begin(account=stage.bela)
    for number in range(3):
        utr = f"63311234560{number}"
        await stage.settle(stage.proof(mine, utr=utr))
        with pytest.raises(payments.UtrAlreadyUsed):
            await claim(stage, other, utr)
    with pytest.raises(payments.ClaimsLocked):
        await claim(stage, other, "633112345699")
    await stage.settle(stage.proof(other, utr="633112345699"))
    assert await stage.balance(stage.bela) == other.payable_paise
    await stage.change("UPDATE utr_claims SET created_at = created_at - interval '25 hours'")
    third = await stage.begin(account=stage.bela)
    assert (await claim(stage, third, "633112345700")).outcome == "waiting"


async def test_an_account_may_claim_ten_times_an_hour(stage: Stage) -> None:
    recharge = await stage.begin()
    for number in range(10):
        await claim(stage, recharge, f"6331123456{number:02}")
    with pytest.raises(TooMany):
        await claim(stage, recharge, "633112345699")


@pytest.mark.parametrize(
    ("paise_more", "later"),
    [(1, timedelta()), (-1, timedelta()), (0, -timedelta(minutes=6)), (0, timedelta(minutes=30, hours=49))],
)
async def test_another_amount_or_time_is_for_a_person(stage: Stage, paise_more: int, later: timedelta) -> None:
    recharge = await stage.begin()
    await claim(stage, recharge)
    await statement(stage, row(recharge, paise=recharge.payable_paise + paise_more, later=later))
    assert await stage.balance() == 0
    assert len((await payments.queue(stage.till)).unclaimed) == 1


async def test_a_statement_that_tells_the_day_only_matches_within_that_day(stage: Stage) -> None:
    recharge = await stage.begin()
    await claim(stage, recharge)
    amount = f"{recharge.payable_paise // 100}.{recharge.payable_paise % 100:02}"
    india = await stage.ask("SELECT (now() AT TIME ZONE 'Asia/Kolkata')::date")
    await statement(stage, f"{india:%d/%m/%Y},{UTR},{amount}")
    assert await stage.balance() == recharge.payable_paise


async def test_an_amount_is_kept_for_two_hours_after_its_end_for_late_payers(stage: Stage) -> None:
    recharge = await stage.begin()
    for hours, is_kept in ((1, True), (3, False)):
        await stage.change(
            "UPDATE recharges SET status = 'expired', expires_at = clock_timestamp() - make_interval(hours => $1)",
            hours,
        )
        await jobs_free(stage)
        assert await stage.ask("SELECT holds_slot FROM recharges WHERE id = $1", recharge.id) is is_kept


async def jobs_free(stage: Stage) -> None:
    async with stage.db.statement() as tx:
        await sql.free_slots(tx, keep=timedelta(hours=2), limit=10)


async def test_a_utr_that_two_recharges_of_one_amount_claim_is_for_a_person(stage: Stage) -> None:
    mine, other = await stage.begin(100), await stage.begin(100, account=stage.bela)
    await stage.change("UPDATE recharges SET holds_slot = false, payable_paise = 10037")
    first, second = await stage.again(mine), await stage.again(other)
    await claim(stage, first)
    await claim(stage, second)
    await statement(stage, row(first))
    assert (await stage.balance(stage.asha), await stage.balance(stage.bela)) == (0, 0)
    waiting = (await payments.queue(stage.till)).waiting
    assert [item.others for item in waiting] == [1, 1]


async def test_who_claims_after_two_days_is_not_told_that_it_was_used_and_a_person_finds_both(stage: Stage) -> None:
    recharge = await stage.begin()
    await statement(stage, row(recharge))
    await stage.change("UPDATE bank_credits SET created_at = created_at - interval '3 days'")
    assert await payments.suspend_unclaimed(stage.till) == 1
    assert (await claim(stage, recharge)).outcome == "waiting"
    queue = await payments.queue(stage.till)
    (payment,), (waiting,) = queue.suspense, queue.waiting
    assert (payment.rrn, [item.rrn for item in waiting.claims]) == (UTR, [UTR])
    await payments.assign(
        stage.till, caller=await stage.staff(), visit=VISIT, payment_id=payment.id, version=payment.version,
        account_id=None, ref=recharge.ref, note="she claimed it late",
    )  # fmt: skip
    assert await stage.balance() == recharge.payable_paise
    assert (await payments.queue(stage.till)).waiting == []
    assert await stage.list("SELECT state FROM utr_claims") == [("credited",)]
