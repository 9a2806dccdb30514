"""Money that comes in is told in the staff's chat with the transaction that moves it, and never in its way."""

import json

import pytest

from numberdesk.base.db import run
from numberdesk.payments import service as payments
from tests.payments.stage import UTR, Stage

pytestmark = pytest.mark.anyio


async def told(stage: Stage) -> list[tuple[str, dict[str, object]]]:
    """Return title and facts of every event that waits for the chat."""
    found = await stage.list("SELECT dedupe_key, payload FROM outbox WHERE channel = 'telegram' ORDER BY id")
    payloads = [json.loads(stage.till.vault.open(payload, about=f"outbox:{key}")) for key, payload in found]
    return [(payload["title"], payload["facts"]) for payload in payloads]


@pytest.fixture
async def chatting(stage: Stage) -> Stage:
    async with stage.db.statement() as tx:
        await run(
            tx,
            "INSERT INTO staff_targets (channel, kinds, configured, chat_id) VALUES ('telegram', '{recharge}', -5, -5)",
        )
    return stage


async def test_a_credit_is_told_once_with_what_staff_need_and_no_whole_address(chatting: Stage) -> None:
    recharge = await chatting.begin(250)
    proof = chatting.proof(recharge, utr=UTR)
    await chatting.settle(proof, proof)
    await chatting.settle(proof)
    ((title, facts),) = await told(chatting)
    assert title == "Recharge credited"
    assert facts["Customer"] == "a…@example.com"
    assert facts["Method"] == "UPI"
    assert str(facts["Amount"]).startswith("250")
    assert UTR not in str(facts)
    assert await chatting.ask("SELECT count(*) FROM outbox WHERE channel = 'email'") == 1


async def test_a_claim_and_money_of_nobodys_are_told(chatting: Stage) -> None:
    recharge = await chatting.begin(100)
    for _ in range(2):
        await payments.claim_utr(chatting.till, account_id=chatting.asha, ref=recharge.ref, utr=UTR, payer_vpa=None)
    await chatting.settle(chatting.proof(None))
    (claimed, facts), (suspended, owner) = await told(chatting)
    assert (claimed, facts["UTR"], facts["Transaction"]) == ("Recharge waits for review", f"…{UTR[-4:]}", recharge.ref)
    assert (suspended, owner["Amount"], owner["Why"]) == ("Payment in suspense", "77.00 rupees", "unknown reference")


async def test_a_credit_that_does_not_take_place_is_not_told(chatting: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    recharge = await chatting.begin(100)

    def fail(name: str) -> None:
        if name == "settle.before_commit":
            raise ZeroDivisionError

    monkeypatch.setattr("numberdesk.base.crash_points.reached", fail)
    (settled,) = await chatting.settle(chatting.proof(recharge))
    assert settled.outcome == "failed"
    assert await told(chatting) == []


async def test_without_a_chat_nothing_is_written_for_it(stage: Stage) -> None:
    await stage.settle(stage.proof(await stage.begin(100)))
    assert await told(stage) == []
