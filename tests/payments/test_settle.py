"""The one verb by which money comes in: once for ever, to whom it belongs, and never dropped."""

import asyncio
import random
from dataclasses import replace
from datetime import timedelta

import pytest

from numberdesk.base import clock
from numberdesk.base.money import Paise
from numberdesk.conduct import service as conduct
from numberdesk.payments import jobs
from numberdesk.payments import service as payments
from numberdesk.payments.model import Proof, RechargeId
from tests.payments.stage import UTR, Stage
from tests.payments.test_claims import claim

pytestmark = pytest.mark.anyio


async def test_a_proof_credits_what_came_with_receipt_mail_and_time_line(stage: Stage) -> None:
    recharge = await stage.begin(250)
    (settled,) = await stage.settle(stage.proof(recharge, utr=UTR))
    assert (settled.outcome, settled.account_id, settled.amount_paise) == (
        "credited", stage.asha, recharge.payable_paise,
    )  # fmt: skip
    now = await stage.again(recharge)
    assert (now.status, now.credited_paise) == ("completed", recharge.payable_paise)
    assert await stage.balance() == recharge.payable_paise
    assert await stage.events(recharge) == [("created", ""), ("credited", "")]
    (receipt,) = await payments.list_receipts(stage.db, account_id=stage.asha)
    assert receipt.number.startswith("R/")
    assert receipt.number.endswith("/000001")
    assert receipt.amount_paise == recharge.payable_paise
    assert await stage.list("SELECT template, account_id FROM outbox") == [("recharge_credited", stage.asha)]


async def test_the_same_proof_again_by_whomever_changes_nothing(stage: Stage) -> None:
    recharge = await stage.begin()
    proof = stage.proof(recharge)
    await stage.settle(proof)
    version = (await stage.again(recharge)).version
    for kind in ("statement", "alert", "staff", "gateway"):
        (settled,) = await stage.settle(replace(proof, kind=kind))
        assert (settled.outcome, settled.account_id) == ("known", stage.asha)
    assert await stage.balance() == recharge.payable_paise
    assert (await stage.again(recharge)).version == version
    assert await stage.ask("SELECT count(*) FROM outbox") == 1


async def test_a_payment_that_is_known_is_not_credited_to_who_names_it_later(stage: Stage) -> None:
    mine, other = await stage.begin(), await stage.begin(account=stage.bela)
    await stage.settle(stage.proof(mine, utr=UTR))
    (settled,) = await stage.settle(stage.proof(other, utr=UTR))
    assert settled.outcome == "known"
    assert (await stage.balance(stage.asha), await stage.balance(stage.bela)) == (mine.payable_paise, 0)


async def test_fifty_proofs_of_one_payment_at_once_credit_it_once(stage: Stage) -> None:
    recharge = await stage.begin()
    proof = stage.proof(recharge)
    found = await asyncio.gather(*(stage.settle(proof) for _ in range(50)))
    assert sorted(item.outcome for (item,) in found) == ["credited"] + ["known"] * 49
    assert await stage.balance() == recharge.payable_paise


async def test_proofs_of_many_payments_in_any_order_and_company_are_each_credited_once(stage: Stage) -> None:
    till = stage.ruled(open_max=100)
    recharges = [await stage.begin(100 + place, till=till) for place in range(9)]
    proofs = [stage.proof(recharge) for recharge in recharges] * 3
    random.Random(7).shuffle(proofs)
    parts = [proofs[start : start + 4] for start in range(0, len(proofs), 4)]
    await asyncio.gather(*(stage.settle(*part) for part in parts))
    assert await stage.balance() == sum(recharge.payable_paise for recharge in recharges)
    assert await stage.ask("SELECT count(*) FROM receipts") == 9
    assert await stage.list("SELECT serial FROM receipts ORDER BY serial") == [(n,) for n in range(1, 10)]


async def test_less_and_more_than_asked_for_is_credited_as_it_came(stage: Stage) -> None:
    short, over = await stage.begin(100), await stage.begin(200)
    await stage.settle(
        stage.proof(short, amount_paise=Paise(short.payable_paise - 50_00)),
        stage.proof(over, amount_paise=Paise(over.payable_paise + 1_00)),
    )
    assert await stage.balance() == short.payable_paise + over.payable_paise - 49_00
    assert (await stage.events(short))[-1] == ("credited", "50.00 less than asked for")
    assert (await stage.events(over))[-1] == ("credited", "1.00 more than asked for")


async def test_money_for_an_expired_recharge_is_credited_and_said_to_be_late(stage: Stage) -> None:
    recharge = await stage.begin()
    await stage.change("UPDATE recharges SET expires_at = clock_timestamp() - interval '1 day'")
    assert await jobs.expire_due(stage.till) == 1
    assert (await stage.again(recharge)).status == "expired"
    await stage.settle(stage.proof(recharge))
    assert (await stage.again(recharge)).status == "completed"
    assert await stage.events(recharge) == [("created", ""), ("expired", ""), ("credited", "it came late")]
    assert await stage.balance() == recharge.payable_paise


async def test_a_second_payment_for_one_recharge_is_credited_too(stage: Stage) -> None:
    recharge = await stage.begin()
    await stage.settle(stage.proof(recharge))
    await stage.settle(stage.proof(recharge))
    assert await stage.balance() == 2 * recharge.payable_paise
    assert (await stage.events(recharge))[-1] == ("credited", "a second payment for one recharge")


@pytest.mark.parametrize("at_once", [False, True])
async def test_a_second_payment_waits_for_a_person_where_the_operator_wants_that(stage: Stage, at_once: bool) -> None:
    till = stage.ruled(credits_doubles=False)
    recharge = await stage.begin()
    proofs = [stage.proof(recharge), stage.proof(recharge)]
    parts = [proofs] if at_once else [proofs[:1], proofs[1:]]
    outcomes = [item.outcome for part in parts for item in await stage.settle(*part, till=till)]
    assert outcomes == ["credited", "suspense"]
    assert (await stage.balance(), await stage.bucket("suspense")) == (recharge.payable_paise, recharge.payable_paise)
    assert await stage.list("SELECT why FROM external_payments WHERE state = 'suspense'") == [("doubled",)]
    assert (await stage.events(recharge))[-1] == ("in_review", "doubled")


async def test_money_that_names_nobody_goes_to_suspense_and_to_a_person(stage: Stage) -> None:
    (settled,) = await stage.settle(stage.proof(None, amount_paise=Paise(77_00)))
    assert (settled.outcome, settled.account_id) == ("suspense", None)
    assert (await stage.bucket("suspense"), await stage.bucket("clearing")) == (77_00, -77_00)
    queue = await payments.queue(stage.till)
    assert [(item.why, item.amount_paise) for item in queue.suspense] == [("unknown_reference", 77_00)]


async def test_a_recharge_that_is_not_there_does_not_lose_its_payment(stage: Stage) -> None:
    (settled,) = await stage.settle(stage.proof(None, recharge_id=RechargeId(987654)))
    assert settled.outcome == "suspense"


async def test_far_more_than_any_recharge_is_looked_at_by_a_person_first(stage: Stage) -> None:
    recharge = await stage.begin()
    (settled,) = await stage.settle(stage.proof(recharge, amount_paise=Paise(3 * 10_000_00 + 1)))
    assert settled.outcome == "suspense"
    assert await stage.balance() == 0
    (settled,) = await stage.settle(stage.proof(recharge, amount_paise=Paise(3 * 10_000_00)))
    assert settled.outcome == "credited"


async def test_a_proof_that_cannot_be_written_fails_alone(stage: Stage) -> None:
    recharge = await stage.begin()
    broken = stage.proof(None, rrn="not a number")
    outcomes = [item.outcome for item in await stage.settle(broken, stage.proof(recharge))]
    assert outcomes == ["failed", "credited"]
    assert await stage.balance() == recharge.payable_paise


async def test_a_word_on_an_older_version_of_a_recharge_counts_no_more(stage: Stage) -> None:
    recharge = await stage.begin()
    await stage.settle(stage.proof(recharge))
    (settled,) = await stage.settle(stage.proof(recharge, version=recharge.version, kind="staff"))
    assert settled.outcome == "stale"
    assert await stage.balance() == recharge.payable_paise


async def test_money_for_a_frozen_account_is_credited(stage: Stage) -> None:
    recharge = await stage.begin()
    await stage.change("UPDATE accounts SET state = 'frozen' WHERE id = $1", stage.asha)
    await stage.settle(stage.proof(recharge))
    assert await stage.balance() == recharge.payable_paise


async def test_what_the_outside_said_is_stored_sealed(stage: Stage) -> None:
    recharge = await stage.begin()
    proof = stage.proof(recharge, utr=UTR, raw='{"payer": "bela@ybl"}')
    await stage.settle(proof)
    sealed = await stage.ask("SELECT raw FROM external_payments")
    assert b"bela@ybl" not in sealed
    assert stage.till.vault.open(sealed, about=f"payment:upi_manual:{stage.vpa.id}:{UTR}") == '{"payer": "bela@ybl"}'


async def test_receipts_run_through_the_financial_year_without_a_gap_though_a_settle_fails(stage: Stage) -> None:
    first, second = await stage.begin(), await stage.begin()
    await stage.settle(stage.proof(first))
    await stage.settle(stage.proof(None, rrn="x"))
    await stage.settle(stage.proof(second))
    assert await stage.list("SELECT serial FROM receipts ORDER BY id") == [(1,), (2,)]


async def test_a_receipt_shows_the_tax_that_is_in_the_amount_when_the_operator_owes_it(stage: Stage) -> None:
    supplier = replace(stage.till.supplier, gstin="27AAPFU0939F1ZV", sac="998429")
    recharge = await stage.begin(100)
    await stage.settle(stage.proof(recharge, amount_paise=Paise(118_00)), till=replace(stage.till, supplier=supplier))
    (receipt,) = await payments.list_receipts(stage.db, account_id=stage.asha)
    assert (receipt.taxable_paise, receipt.cgst_paise, receipt.sgst_paise, receipt.igst_paise) == (100_00, 0, 0, 18_00)


def _on_chain(stage: Stage, txid: str, units: int, address_id: int, minutes: int = 0) -> Proof:
    return Proof(
        rail="trx", external_id=f"trx:{txid}", kind="chain", paid_at=clock.now() + timedelta(minutes=minutes),
        units=units, account_id=stage.asha, address_id=address_id,  # type: ignore[arg-type]
    )  # fmt: skip


async def test_money_of_a_chain_waits_for_a_price_and_is_credited_then(stage: Stage) -> None:
    address_id = await _address(stage)
    (settled,) = await stage.settle(_on_chain(stage, "a", 10_000_000, address_id))
    assert settled.outcome == "waiting"
    assert await payments.settle_waiting(stage.till) == 0
    await _price(stage, "28.40")
    assert await payments.settle_waiting(stage.till) == 1
    assert await stage.balance() == 284_00
    assert (await stage.bucket("fx"), await payments.settle_waiting(stage.till)) == (-284_00, 0)


async def test_dust_waits_until_its_sum_is_worth_it(stage: Stage) -> None:
    address_id = await _address(stage)
    await _price(stage, "28.40")
    for txid in ("a", "b", "c"):
        (settled,) = await stage.settle(_on_chain(stage, txid, 300_000, address_id))
        assert settled.outcome == "waiting"
    assert await stage.balance() == 0
    (settled,) = await stage.settle(_on_chain(stage, "d", 300_000, address_id))
    assert settled.outcome == "credited"
    assert await stage.balance() == 4 * 8_52
    assert await stage.ask("SELECT count(*) FROM external_payments WHERE state = 'waiting'") == 0


async def test_dust_of_one_address_does_not_hold_up_what_waits_for_a_price_at_another(stage: Stage) -> None:
    dusty = await _address(stage)
    await stage.settle(*(_on_chain(stage, f"dust-{number}", 1, dusty) for number in range(250)))
    await stage.settle(_on_chain(stage, "z", 10_000_000, dusty))
    await stage.change("UPDATE external_payments SET why = 'dust' WHERE units = 1")
    await _price(stage, "28.40")
    assert await payments.settle_waiting(stage.till) == 1
    assert await stage.balance() == 284_00


async def test_what_the_operator_sends_himself_is_written_down_and_credited_to_nobody(stage: Stage) -> None:
    address_id = await _address(stage)
    await _price(stage, "28.40")
    (settled,) = await stage.settle(replace(_on_chain(stage, "a", 30_000_000, address_id), why="own_move"))
    assert settled.outcome == "ignored"
    (settled,) = await stage.settle(_on_chain(stage, "b", 500_000, address_id))
    assert settled.outcome == "waiting", "it is no part of the sum that makes dust worth something"
    assert await stage.balance() == 0


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_promised_rate_is_given_once(stage: Stage, at_once: bool) -> None:
    address_id = await _address(stage)
    await _price(stage, "20.00")
    await _quoted(stage, address_id, "30.00")
    proofs = [_on_chain(stage, "a", 10_000_000, address_id), _on_chain(stage, "b", 10_000_000, address_id)]
    if at_once:
        await asyncio.gather(*(stage.settle(proof) for proof in proofs))
    else:
        await stage.settle(*proofs)
    assert await stage.balance() == 300_00 + 200_00


async def test_what_was_sent_before_a_promise_does_not_get_its_rate(stage: Stage) -> None:
    address_id = await _address(stage)
    await _price(stage, "20.00")
    await _quoted(stage, address_id, "30.00")
    await stage.settle(_on_chain(stage, "a", 10_000_000, address_id, minutes=-6))
    assert await stage.balance() == 200_00


async def _quoted(stage: Stage, address_id: int, rupees: str) -> None:
    await stage.change(
        """
        WITH quote AS (
            INSERT INTO quotes (asset, paise_per_unit, spread_bps, basis, samples, units, expires_at)
            VALUES ('trx', $3::text::numeric * 100, 0, 'market', '[]', 10000000, now() + interval '15 minutes')
            RETURNING id
        )
        INSERT INTO recharges (ref, account_id, method, rail, requested_paise, payable_paise, status, address_id,
                               quote_id, expires_at)
        SELECT 'RC' || repeat('0', 26), $1, 'trx', 'trx', 30000, 30000, 'awaiting_payment', $2, id,
               now() + interval '15 minutes' FROM quote
        """,
        stage.asha,
        address_id,
        rupees,
    )


async def _address(stage: Stage) -> int:
    await stage.change("INSERT INTO tron_wallets (fingerprint) VALUES ('f')")
    return int(
        await stage.ask(
            "INSERT INTO tron_addresses (address, fingerprint, index, account_id)"
            " VALUES ('TSeJkUh4Qv67VNFwY8LaAxERygNdy6NQZK', 'f', 1, $1) RETURNING id",
            stage.asha,
        )
    )


async def _price(stage: Stage, rupees: str) -> None:
    for source in ("coindcx", "wazirx"):
        await stage.change(
            "INSERT INTO rate_samples (asset, source, paise_per_unit, observed_at)"
            " VALUES ('trx', $1, $2::text::numeric * 100, clock_timestamp())",
            source,
            rupees,
        )


async def test_money_that_comes_after_its_account_was_closed_is_credited_like_any_other(stage: Stage) -> None:
    recharge = await stage.begin()
    await stage.change("UPDATE accounts SET state = 'closed' WHERE id = $1", stage.asha)
    assert [item.outcome for item in await stage.settle(stage.proof(recharge))] == ["credited"]
    assert await stage.balance() == recharge.payable_paise


async def test_accounts_with_one_payer_are_found_however_the_payer_was_told(stage: Stage) -> None:
    of_asha, of_bela = await stage.begin(100), await stage.begin(101, account=stage.bela)
    await stage.settle(stage.proof(of_asha, payer="Ravi@YBL"), stage.proof(of_bela, payer="somebody@ybl"))
    assert await conduct.list_links(stage.db, stage.asha) == []
    more = await stage.begin(102, account=stage.bela)
    await claim(stage, more, UTR)
    line = f"{clock.now():%d/%m/%Y},{UTR},{more.payable_paise / 100:.2f},ravi@ybl"
    raw = f"date,utr,amount,payer\n{line}\n".encode()
    await payments.take_statement(stage.till, vpa=stage.vpa, raw=raw, name="x.csv", profile=None, by=None)
    while await payments.read_statements(stage.till):
        pass
    assert (await stage.again(more)).status == "completed"
    (link,) = await conduct.list_links(stage.db, stage.asha)
    assert (link.kind, link.account_id, link.shared, link.others) == ("payer", stage.bela, 1, 2)
    assert [item.account_id for item in await conduct.list_links(stage.db, stage.bela)] == [stage.asha]
    assert b"ybl" not in await stage.ask("SELECT string_agg(payer_hash, '') FROM external_payments")


async def test_a_payer_is_known_when_the_statement_comes_after_a_person_approved(stage: Stage) -> None:
    of_asha, of_bela = await stage.begin(100), await stage.begin(101, account=stage.bela)
    await stage.settle(stage.proof(of_asha, payer="ravi@ybl"), stage.proof(of_bela, utr=UTR))
    assert await conduct.list_links(stage.db, stage.asha) == []
    line = f"{clock.now():%d/%m/%Y},{UTR},{of_bela.payable_paise / 100:.2f},ravi@ybl"
    raw = f"date,utr,amount,payer\n{line}\n".encode()
    await payments.take_statement(stage.till, vpa=stage.vpa, raw=raw, name="x.csv", profile=None, by=None)
    while await payments.read_statements(stage.till):
        pass
    assert [item.account_id for item in await conduct.list_links(stage.db, stage.asha)] == [stage.bela]
