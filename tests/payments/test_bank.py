"""What the bank says: statements read in parts with bad rows named, and messages that devices forward."""

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from numberdesk.base import clock
from numberdesk.base.crypto import Vault, new_key
from numberdesk.base.errors import InvalidFields
from numberdesk.payments import service as payments
from numberdesk.payments.model import BankCredit, Recharge, Statement
from tests.payments.stage import UTR, Stage
from tests.payments.test_claims import claim, row

pytestmark = pytest.mark.anyio


async def take(stage: Stage, *rows: str, header: str = "date,utr,amount") -> tuple[Statement, bool]:
    raw = "\n".join([header, *rows]).encode()
    return await payments.take_statement(stage.till, vpa=stage.vpa, raw=raw, name="x.csv", profile=None, by=None)


async def read(stage: Stage, statement: Statement) -> Statement:
    while await payments.read_statements(stage.till):
        pass
    return await payments.read_statement(stage.till, statement.id)


@pytest.mark.parametrize("raw", [b"", b"\x00\xff" * 100, b"PK\x03\x04abc", b"no,header,here\n1,2,3", b"%PDF-1.7"])
async def test_what_is_no_statement_is_refused(stage: Stage, raw: bytes) -> None:
    with pytest.raises(InvalidFields):
        await payments.take_statement(stage.till, vpa=stage.vpa, raw=raw, name="x", profile=None, by=None)
    assert await stage.ask("SELECT count(*) FROM statements") == 0


async def test_an_unknown_profile_or_address_is_named_with_those_that_are_known(stage: Stage) -> None:
    with pytest.raises(InvalidFields) as refused:
        await payments.take_statement(stage.till, vpa=stage.vpa, raw=b"a", name="x", profile="nobank", by=None)
    assert "generic" in refused.value.fields["profile"]
    with pytest.raises(InvalidFields) as refused:
        await payments.find_vpa(stage.till, "other@okbank")
    assert "numbers@okbank" in refused.value.fields["vpa"]


async def test_a_bad_row_is_named_and_the_others_load(stage: Stage) -> None:
    first, second = await stage.begin(), await stage.begin()
    await claim(stage, first, "633112345601")
    await claim(stage, second, "633112345602")
    statement, is_new = await take(
        stage, row(first, "633112345601"), "26/11/2026,63311234560,5.00", "26/11/2026,633112345603,5.005",
        "31/02/2026,633112345604,5.00", row(second, "633112345602"), row(second, "633112345602"),
    )  # fmt: skip
    assert is_new
    done = await read(stage, statement)
    assert (done.state, done.rows_total, done.rows_read, done.credits, done.settled, done.bad) == (
        "done",
        6,
        6,
        2,
        2,
        4,
    )
    assert [item["line"] for item in json.loads(done.problems)] == [3, 4, 5, 7]
    assert await stage.balance() == first.payable_paise + second.payable_paise


async def test_the_same_file_is_taken_once_and_an_overlapping_one_brings_what_is_new(stage: Stage) -> None:
    recharge = await stage.begin()
    await claim(stage, recharge)
    statement, _ = await take(stage, row(recharge))
    await read(stage, statement)
    again, is_new = await take(stage, row(recharge))
    assert (again.id, is_new) == (statement.id, False)
    longer, _ = await take(stage, row(recharge), row(recharge, "633112345602", paise=9_00))
    done = await read(stage, longer)
    assert (done.credits, done.known, done.settled) == (1, 1, 0)
    assert await stage.balance() == recharge.payable_paise


async def test_a_long_file_is_read_in_parts_with_progress_and_goes_on_after_a_crash(stage: Stage) -> None:
    rows = [f"26/11/2026 10:00,{700_000_000_000 + number},5.00" for number in range(4800)]
    statement, _ = await take(stage, *rows)
    assert await payments.read_statements(stage.till) == 2000
    half = await payments.read_statement(stage.till, statement.id)
    assert (half.state, half.rows_read) == ("waiting", 2000)
    await stage.change("UPDATE statements SET rows_read = 0, credits = 0")  # as if its process had died before this
    done = await read(stage, statement)
    assert (done.state, done.rows_read, done.credits, done.known) == ("done", 4800, 2800, 2000)
    assert await stage.ask("SELECT count(*) FROM bank_credits") == 4800
    assert await stage.ask("SELECT content FROM statements") is None


async def test_another_amount_for_a_known_utr_is_named_and_changes_nothing(stage: Stage) -> None:
    recharge = await stage.begin()
    await read(stage, (await take(stage, row(recharge, paise=5_00)))[0])
    done = await read(stage, (await take(stage, row(recharge, paise=500_00)))[0])
    assert json.loads(done.problems) == [{"line": 2, "problem": "has another amount than an earlier statement said"}]
    assert await stage.list("SELECT amount_paise FROM bank_credits") == [(5_00,)]


async def test_names_of_payers_are_stored_sealed(stage: Stage) -> None:
    statement, _ = await take(
        stage, f"26/11/2026,{UTR},5.00,asha@ybl,from Asha", header="date,utr,amount,payer,narration"
    )
    await read(stage, statement)
    sealed = await stage.ask("SELECT details FROM bank_credits")
    assert json.loads(stage.till.vault.open(sealed, about=f"bank:{stage.vpa.id}:{UTR}")) == {
        "payer": "asha@ybl", "narration": "from Asha",
    }  # fmt: skip


def signed(text: str, *, key: str = "secret-of-the-phone", age: int = 0) -> dict[str, object]:
    raw = json.dumps({"text": text}).encode()
    timestamp = str(int(clock.now().timestamp()) - age)
    signature = hmac.new(key.encode(), timestamp.encode() + b"." + raw, hashlib.sha256).hexdigest()
    return {"device": "phone", "timestamp": timestamp, "signature": signature, "raw": raw}


def said(recharge: Recharge, utr: str = UTR) -> str:
    rupees = f"{recharge.payable_paise // 100}.{recharge.payable_paise % 100:02}"
    return f"Dear Customer, Rs.{rupees} credited to A/c XX1234 by UPI asha@ybl. UPI Ref {utr}. Bal Rs.9,000.00 -Bank"


async def alert(stage: Stage, fields: dict[str, object], **rules: object) -> BankCredit | None:
    return await payments.take_alert(stage.ruled(**rules), now=clock.now(), **fields)  # type: ignore[arg-type]


async def test_a_forged_a_stale_and_an_unknown_devices_message_are_refused(stage: Stage) -> None:
    recharge = await stage.begin()
    wrong = [
        signed(said(recharge), key="another"),
        signed(said(recharge), age=301),
        signed(said(recharge), age=-301),
        signed(said(recharge)) | {"device": "tablet"},
        signed(said(recharge)) | {"signature": ""},
        signed(said(recharge)) | {"raw": b'{"text": "other"}'},
    ]
    for fields in wrong:
        with pytest.raises(payments.BadSignature):
            await alert(stage, fields)
    assert await stage.ask("SELECT count(*) FROM bank_credits") == 0


async def test_a_message_suggests_and_does_not_credit_until_the_statement_comes(stage: Stage) -> None:
    recharge = await stage.begin()
    await claim(stage, recharge)
    taken = await alert(stage, signed(said(recharge)))
    assert taken is not None
    assert taken.source == "alert"
    assert await stage.balance() == 0
    ((item, suggestion),) = (await payments.queue(stage.till)).unclaimed
    assert suggestion is not None
    assert (item.rrn, suggestion.id) == (UTR, recharge.id)
    await read(stage, (await take(stage, row(recharge)))[0])
    assert await stage.balance() == recharge.payable_paise
    assert await stage.list("SELECT source, state FROM bank_credits") == [("statement", "settled")]


async def test_a_message_is_taken_once(stage: Stage) -> None:
    recharge = await stage.begin()
    assert await alert(stage, signed(said(recharge))) is not None
    assert await alert(stage, signed(said(recharge))) is None


async def test_where_the_operator_trusts_messages_one_credits_a_claim(stage: Stage) -> None:
    recharge = await stage.begin()
    await claim(stage, recharge)
    await alert(stage, signed(said(recharge)), alerts_prove=True)
    assert await stage.balance() == recharge.payable_paise


async def test_a_debit_and_a_code_are_no_credit(stage: Stage) -> None:
    for text in ("Rs.50.00 debited from A/c XX1234. UPI Ref 633112345678", "123456 is your OTP for Rs.50.00 credited"):
        assert await alert(stage, signed(text)) is None


async def test_money_that_only_a_message_tells_of_never_goes_to_suspense_by_itself(stage: Stage) -> None:
    recharge = await stage.begin()
    await alert(stage, signed(said(recharge)))
    await stage.change("UPDATE bank_credits SET created_at = created_at - $1::interval", timedelta(days=9))
    assert await payments.suspend_unclaimed(stage.till) == 0


async def test_two_rows_that_look_alike_without_a_number_are_two_payments_also_in_the_next_file(stage: Stage) -> None:
    rows = ["26/11/2026 10:00,,5.00", "26/11/2026 10:00,,5.00", "26/11/2026 11:00,,5.00"]
    await read(stage, (await take(stage, *rows))[0])
    assert await stage.ask("SELECT count(*) FROM bank_credits") == 3
    done = await read(stage, (await take(stage, *rows, "26/11/2026 12:00,,5.00"))[0])
    assert (done.credits, done.known) == (1, 3)


async def test_a_payment_that_a_message_proved_is_confirmed_by_the_statement(stage: Stage) -> None:
    recharge = await stage.begin()
    await claim(stage, recharge)
    await alert(stage, signed(said(recharge)), alerts_prove=True)
    await read(stage, (await take(stage, row(recharge)))[0])
    assert await stage.list("SELECT source, state FROM bank_credits") == [("statement", "settled")]
    (found,) = await payments.reconcile(stage.till, since=recharge.created_at - timedelta(days=1), sources=["bank"])
    assert (found.checked, found.differences) == (1, [])


async def test_a_message_that_comes_after_the_approval_waits_for_nobody(stage: Stage) -> None:
    recharge = await stage.begin()
    await stage.settle(stage.proof(recharge, utr=UTR, kind="staff"))
    await alert(stage, signed(said(recharge)))
    assert (await payments.queue(stage.till)).unclaimed == []


async def test_a_statement_that_staff_brought_credits_neither_himself_nor_what_needs_two(stage: Stage) -> None:
    staff = (await stage.staff()).account_id
    own, small, large = await stage.begin(account=staff), await stage.begin(), await stage.begin(6000)
    utrs = {own.id: "633112345601", small.id: "633112345602", large.id: "633112345603"}
    for recharge in (own, small, large):
        await claim(stage, recharge, utrs[recharge.id])
    raw = "\n".join(["date,utr,amount", *(row(item, utrs[item.id]) for item in (own, small, large))]).encode()
    await payments.take_statement(stage.till, vpa=stage.vpa, raw=raw, name="x.csv", profile=None, by=staff)
    while await payments.read_statements(stage.till):
        pass
    assert (await stage.balance(staff), await stage.balance()) == (0, small.payable_paise)
    assert len((await payments.queue(stage.till)).unclaimed) == 2
    assert await stage.ask("SELECT count(*) FROM audit_log WHERE action = 'statement_imported'") == 1


async def test_a_message_that_was_cut_inside_a_sign_is_taken(stage: Stage) -> None:
    recharge = await stage.begin()
    assert await alert(stage, signed(said(recharge) + "\ud83d")) is not None


async def test_a_file_that_could_not_be_opened_can_be_brought_again(stage: Stage) -> None:
    recharge = await stage.begin()
    await claim(stage, recharge, UTR)
    lost = replace(stage.till, vault=Vault([new_key()]))
    raw = "\n".join(["date,utr,amount", row(recharge, UTR)]).encode()
    await payments.take_statement(lost, vpa=stage.vpa, raw=raw, name="x.csv", profile=None, by=None)
    while await payments.read_statements(stage.till):
        pass
    assert await stage.ask("SELECT state FROM statements") == "failed"
    statement, is_new = await take(stage, row(recharge, UTR))
    assert is_new
    done = await read(stage, statement)
    assert (done.state, done.settled, done.bad, json.loads(done.problems)) == ("done", 1, 0, [])
    assert (await take(stage, row(recharge, UTR)))[1] is False
    assert await stage.balance() == recharge.payable_paise


async def test_what_payments_sealed_is_sealed_anew_also_a_file_that_waits(stage: Stage) -> None:
    old, new = new_key(), new_key()
    before = replace(stage, till=replace(stage.till, vault=Vault([old])))
    recharge = await before.begin()
    await claim(before, recharge, UTR)
    await read(before, (await take(before, row(recharge, UTR)))[0])
    waiting, _ = await take(before, row(recharge, "633112345699"))
    during = Vault([new, old])
    assert await payments.reseal(stage.db, during) == 2, "the credit and the file"
    assert await payments.reseal(stage.db, during) == 0
    after = replace(stage, till=replace(stage.till, vault=Vault([new])))
    assert (await read(after, waiting)).state == "done"
