"""What people decide: nobody about the own account, one version, two people above a limit, and nothing twice."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from numberdesk.accounts.model import Caller
from numberdesk.base.errors import InvalidFields, NotFound
from numberdesk.base.money import Paise
from numberdesk.payments import service as payments
from numberdesk.payments.model import BankCreditId, PaymentId, Recharge
from numberdesk.payments.service import Decision
from tests.payments.stage import UTR, VISIT, Stage
from tests.payments.test_claims import claim, row, statement

pytestmark = pytest.mark.anyio

DAY = timedelta(days=1)


async def approve(stage: Stage, by: Caller, recharge: Recharge, **changes: Any) -> Decision:
    said: dict[str, Any] = {
        "ref": recharge.ref, "version": recharge.version, "amount_paise": recharge.payable_paise, "utr": None,
        "note": "seen in the bank's app",
    }  # fmt: skip
    return await payments.approve(stage.till, caller=by, visit=VISIT, **(said | changes))


async def claimed(stage: Stage, rupees: int = 100, utr: str = UTR) -> Recharge:
    recharge = await stage.begin(rupees)
    await claim(stage, recharge, utr)
    return await stage.again(recharge)


async def test_nobody_approves_the_own_payment(stage: Stage) -> None:
    recharge = await claimed(stage)
    own = replace(await stage.staff(), account_id=stage.asha)
    with pytest.raises(payments.OwnPayment):
        await approve(stage, own, recharge)
    assert await stage.balance() == 0


async def test_an_approval_needs_a_utr_and_takes_the_claimed_one(stage: Stage) -> None:
    staff = await stage.staff()
    unclaimed = await stage.begin()
    with pytest.raises(InvalidFields) as refused:
        await approve(stage, staff, unclaimed)
    assert set(refused.value.fields) == {"utr"}
    recharge = await claimed(stage)
    decision = await approve(stage, staff, recharge)
    assert decision.outcome == "credited"
    assert await stage.balance() == recharge.payable_paise
    assert await stage.list("SELECT proof, rrn FROM external_payments") == [("staff", UTR)]
    assert await stage.ask("SELECT count(*) FROM audit_log WHERE action = 'recharge_approved'") == 1


async def test_what_really_came_is_approved_and_not_what_was_asked_for(stage: Stage) -> None:
    recharge = await claimed(stage)
    await approve(stage, await stage.staff(), recharge, amount_paise=Paise(60_00))
    assert await stage.balance() == 60_00


async def test_two_who_approve_one_version_at_once_credit_once(stage: Stage) -> None:
    recharge = await claimed(stage)
    first, second = await stage.staff(), await stage.staff()
    outcomes = await asyncio.gather(
        approve(stage, first, recharge), approve(stage, second, recharge, utr="633112345600"), return_exceptions=True
    )
    assert sum(isinstance(item, Decision) for item in outcomes) == 1
    assert sum(isinstance(item, payments.ChangedMeanwhile) for item in outcomes) == 1
    assert await stage.balance() == recharge.payable_paise


async def test_an_approval_of_an_older_version_is_refused(stage: Stage) -> None:
    recharge = await claimed(stage)
    await claim(stage, recharge, "633112345600")
    with pytest.raises(payments.ChangedMeanwhile):
        await approve(stage, await stage.staff(), recharge)


async def test_a_used_utr_cannot_be_approved_again(stage: Stage) -> None:
    first, second = await claimed(stage), await stage.begin()
    staff = await stage.staff()
    await approve(stage, staff, first)
    with pytest.raises(payments.UtrAlreadyUsed):
        await approve(stage, staff, second, utr=UTR)


async def test_the_statement_that_comes_later_finds_the_approved_payment_known(stage: Stage) -> None:
    recharge = await claimed(stage)
    await approve(stage, await stage.staff(), recharge)
    await statement(stage, row(recharge))
    assert await payments.match(stage.till) == 0
    assert (await payments.queue(stage.till)).unclaimed == []
    assert await stage.list("SELECT state FROM bank_credits") == [("settled",)]
    assert await stage.balance() == recharge.payable_paise


async def test_an_approval_cannot_say_another_amount_than_the_statement(stage: Stage) -> None:
    recharge = await stage.begin()
    await statement(stage, row(recharge, paise=55_00))
    with pytest.raises(InvalidFields) as refused:
        await approve(stage, await stage.staff(), recharge, utr=UTR)
    assert refused.value.fields == {"amount": "is not what the bank's statement says: 55.00 rupees"}


async def test_above_the_limit_two_people_must_say_the_same(stage: Stage) -> None:
    recharge = await claimed(stage, 6000)
    first, second = await stage.staff(), await stage.staff()
    assert (await approve(stage, first, recharge)).outcome == "one_more_person"
    with pytest.raises(payments.SecondPersonNeeded):
        await approve(stage, first, recharge)
    other = await approve(stage, second, recharge, amount_paise=Paise(6500_00))
    assert other.outcome == "one_more_person"
    assert await stage.balance() == 0
    assert (await approve(stage, second, recharge)).outcome == "credited"
    assert await stage.balance() == recharge.payable_paise


async def test_the_first_of_two_approvals_is_told_to_those_who_can_be_the_second(stage: Stage) -> None:
    recharge = await claimed(stage, 6000)
    first, second, owner = await stage.staff(), await stage.staff(), await stage.staff("owner")
    for role in ("support", "ops"):
        await stage.staff(role)
    await approve(stage, first, recharge)
    told = await stage.list("SELECT account_id FROM outbox WHERE template = 'staff_news' ORDER BY account_id")
    assert told == [(second.account_id,), (owner.account_id,)]
    await approve(stage, second, recharge)
    assert await stage.list("SELECT count(*) FROM outbox WHERE template = 'staff_news'") == [(2,)], "it is done"


async def test_who_may_not_move_money_any_more_is_no_first_person(stage: Stage) -> None:
    recharge = await claimed(stage, 6000)
    first, second, third = await stage.staff(), await stage.staff(), await stage.staff()
    assert (await approve(stage, first, recharge)).outcome == "one_more_person"
    await stage.change("UPDATE accounts SET role = 'support' WHERE id = $1", first.account_id)
    assert (await approve(stage, second, recharge)).outcome == "one_more_person"
    assert await stage.balance() == 0
    assert (await approve(stage, third, recharge)).outcome == "credited"


async def test_an_approval_of_before_a_change_is_none(stage: Stage) -> None:
    recharge = await claimed(stage, 6000)
    assert (await approve(stage, await stage.staff(), recharge)).outcome == "one_more_person"
    await claim(stage, recharge, "633112345600")
    changed = await stage.again(recharge)
    assert (await approve(stage, await stage.staff(), changed, utr=UTR)).outcome == "one_more_person"
    assert await stage.balance() == 0


async def test_a_rejected_claim_is_told_by_mail_and_money_that_comes_is_credited(stage: Stage) -> None:
    recharge = await claimed(stage)
    staff = await stage.staff()
    decision = await payments.reject(
        stage.till, caller=staff, visit=VISIT, ref=recharge.ref, version=recharge.version, reason="not_found", note="no"
    )
    assert decision.recharge is not None
    assert decision.recharge.status == "rejected"
    assert await stage.list("SELECT template FROM outbox") == [("recharge_rejected",)]
    await statement(stage, row(recharge))
    assert await stage.balance() == recharge.payable_paise
    assert (await stage.again(recharge)).status == "completed"


async def test_a_question_is_sent_by_mail_and_a_new_claim_is_the_answer(stage: Stage) -> None:
    recharge = await claimed(stage)
    staff = await stage.staff()
    await payments.ask(
        stage.till, caller=staff, visit=VISIT, ref=recharge.ref, version=recharge.version, question="Which bank?"
    )
    assert await stage.list("SELECT template FROM outbox") == [("recharge_question",)]
    await claim(stage, recharge, "633112345600")
    assert [event for event, _ in await stage.events(recharge)] == ["created", "claimed", "asked", "answered"]
    assert (await stage.again(recharge)).asked_at is None


async def test_a_payment_that_is_somebody_elses_is_parked_and_given_to_its_owner(stage: Stage) -> None:
    recharge = await claimed(stage)
    staff = await stage.staff()
    parked = await payments.park(
        stage.till, caller=staff, visit=VISIT, ref=recharge.ref, version=recharge.version, amount_paise=Paise(80_00),
        utr=None, note="another name",
    )  # fmt: skip
    assert parked.outcome == "suspense"
    assert await stage.bucket("suspense") == 80_00
    (payment,) = (await payments.queue(stage.till)).suspense
    given = await payments.assign(
        stage.till, caller=staff, visit=VISIT, payment_id=payment.id, version=payment.version, account_id=stage.bela,
        ref=None, note="she showed it",
    )  # fmt: skip
    assert given.outcome == "credited"
    assert (await stage.balance(stage.bela), await stage.balance(), await stage.bucket("suspense")) == (80_00, 0, 0)
    with pytest.raises(payments.ChangedMeanwhile):
        await payments.assign(
            stage.till, caller=staff, visit=VISIT, payment_id=payment.id, version=payment.version,
            account_id=stage.asha, ref=None, note="again",
        )  # fmt: skip
    (receipt,) = await payments.list_receipts(stage.db, account_id=stage.bela)
    assert receipt.amount_paise == 80_00


async def test_money_of_nobodys_is_assigned_once_by_two_at_once(stage: Stage) -> None:
    await stage.settle(stage.proof(None))
    (payment,) = (await payments.queue(stage.till)).suspense

    async def assign(account: int) -> Decision:
        return await payments.assign(
            stage.till, caller=await stage.staff(), visit=VISIT, payment_id=payment.id, version=payment.version,
            account_id=account, ref=None, note="whose it is",  # type: ignore[arg-type]
        )  # fmt: skip

    outcomes = await asyncio.gather(assign(stage.asha), assign(stage.bela), return_exceptions=True)
    assert sum(isinstance(item, Decision) for item in outcomes) == 1
    assert await stage.balance(stage.asha) + await stage.balance(stage.bela) == 77_00
    with pytest.raises(NotFound):
        await payments.assign(
            stage.till, caller=await stage.staff(), visit=VISIT, payment_id=PaymentId(999), version=1,
            account_id=stage.asha, ref=None, note="none",
        )  # fmt: skip


async def test_what_the_bank_shows_and_nobody_claimed_is_attached_or_ignored_or_ends_in_suspense(stage: Stage) -> None:
    first, second = await stage.begin(), await stage.begin()
    rows = [row(first, "633112345601"), row(second, "633112345602"), row(first, "633112345603", paise=5_00)]
    await statement(stage, *rows)
    staff = await stage.staff()
    found = {item.rrn: (item, suggestion) for item, suggestion in (await payments.queue(stage.till)).unclaimed}
    item, suggestion = found["633112345601"]
    assert suggestion is not None
    assert suggestion.id == first.id
    attached = await payments.attach(
        stage.till, caller=staff, visit=VISIT, credit_id=item.id, version=item.version, ref=first.ref, note="amount"
    )
    assert attached.outcome == "credited"
    other, _ = found["633112345602"]
    await payments.ignore(
        stage.till, caller=staff, visit=VISIT, credit_id=other.id, version=other.version, note="the operator's own"
    )
    with pytest.raises(payments.ChangedMeanwhile):
        await payments.ignore(
            stage.till, caller=staff, visit=VISIT, credit_id=BankCreditId(other.id), version=other.version, note="again"
        )
    await stage.change("UPDATE bank_credits SET created_at = created_at - interval '3 days'")
    assert await payments.suspend_unclaimed(stage.till) == 1
    assert (await stage.balance(), await stage.bucket("suspense")) == (first.payable_paise, 5_00)


async def test_money_of_nobodys_is_assigned_in_the_version_that_was_looked_at(stage: Stage) -> None:
    await stage.settle(stage.proof(None))
    (payment,) = (await payments.queue(stage.till)).suspense
    with pytest.raises(payments.ChangedMeanwhile):
        await payments.assign(
            stage.till, caller=await stage.staff(), visit=VISIT, payment_id=payment.id, version=payment.version + 1,
            account_id=stage.asha, ref=None, note="whose it is",
        )  # fmt: skip
    assert await stage.bucket("suspense") == 77_00


async def test_what_is_parked_cannot_be_another_amount_than_the_statement_says(stage: Stage) -> None:
    recharge = await stage.begin()
    await statement(stage, row(recharge, paise=5_00))
    with pytest.raises(InvalidFields):
        await payments.park(
            stage.till, caller=await stage.staff(), visit=VISIT, ref=recharge.ref, version=recharge.version,
            amount_paise=Paise(4000_00), utr=UTR, note="too much",
        )  # fmt: skip
    assert await stage.bucket("suspense") == 0


async def test_a_statement_that_differs_from_what_was_approved_waits_for_nobody_and_is_a_difference(
    stage: Stage,
) -> None:
    recharge = await claimed(stage)
    await approve(stage, await stage.staff(), recharge, amount_paise=Paise(90_00))
    await statement(stage, row(recharge))
    await stage.change("UPDATE bank_credits SET created_at = created_at - interval '3 days'")
    assert [await payments.suspend_unclaimed(stage.till) for _ in range(2)] == [1, 0]
    (found,) = await payments.reconcile(stage.till, since=recharge.created_at - DAY, sources=["bank"])
    assert len(found.differences) == 1
    assert "our books say 90.00" in found.differences[0]


async def test_one_row_of_a_bank_account_with_two_addresses_is_one_payment(stage: Stage) -> None:
    recharge = await claimed(stage)
    await statement(stage, row(recharge))
    assert await stage.balance() == recharge.payable_paise
    other = await payments.open_vpa(stage.db, address="second@okbank", payee_name="Acme", kind="merchant")
    twin = await stage.begin(account=stage.bela)
    await stage.change("UPDATE recharges SET vpa_id = $1 WHERE id = $2", other.id, twin.id)
    with pytest.raises(payments.UtrAlreadyUsed):
        await approve(stage, await stage.staff(), await stage.again(twin), utr=UTR)
    assert await stage.balance(stage.bela) == 0
