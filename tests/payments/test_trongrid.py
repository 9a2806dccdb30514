"""TRON's servers as the client sees them: the eleven traps, and keys, nodes, pace and garbage."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from numberdesk.payments.methods import trongrid
from numberdesk.payments.methods.gateway import Trouble
from numberdesk.payments.methods.tron_address import base58check_encode, to_hex
from numberdesk.payments.methods.tron_transfers import Detected, Transfer, detected_in, transfers_to
from numberdesk.payments.methods.trongrid import Balances, TronGrid
from numberdesk.payments.methods.trongrid_parse import HeadTransaction, Missing, SolidTransaction
from tests.payments.fakes.trongrid import (
    BLOCK_MS,
    FIRST_BLOCK_AT,
    GARBAGE,
    SENDER,
    USDT,
    FakeTronGrid,
    internal,
    log,
)
from tests.payments.fakes.trongrid import trongrid as fake_trongrid
from tests.payments.tron_desk import OURS, THEIRS, client_of, listed

pytestmark = pytest.mark.anyio

FAKE_USDT = base58check_encode(b"\x41" + b"\x66" * 20)


@pytest.fixture
async def fake() -> AsyncIterator[FakeTronGrid]:
    async with fake_trongrid() as fake:
        yield fake


@pytest.fixture
async def client(fake: FakeTronGrid) -> AsyncIterator[TronGrid]:
    async with client_of(fake) as client:
        yield client


async def credits_of(client: TronGrid, txid: str, *, with_internal: bool = True) -> list[Transfer]:
    """Ask for a solid transaction and return what it credits."""
    solid = await trongrid.solid_transaction(client, txid)
    assert isinstance(solid, SolidTransaction), solid
    return transfers_to(solid, ours={OURS}.__contains__, usdt_contract=USDT, with_internal=with_internal)


# The traps, by their number in the specification.


async def test_trap_01_a_trc10_token_named_trx_is_not_trx(fake: FakeTronGrid, client: TronGrid) -> None:
    named_so = fake.pay_trc10(OURS, 99_000_000)
    two_words = fake.pay(OURS, 99_000_000)
    contract = fake.chain[two_words].transaction["raw_data"]["contract"][0]
    contract["parameter"]["type_url"] = "type.googleapis.com/protocol.TransferAssetContract"
    assert await listed(client) == [named_so, two_words]
    assert await credits_of(client, named_so) == []
    assert await credits_of(client, two_words) == []


async def test_trap_01_both_forms_of_an_address_are_one(fake: FakeTronGrid, client: TronGrid) -> None:
    txid = fake.pay(OURS, 5)
    value = fake.chain[txid].transaction["raw_data"]["contract"][0]["parameter"]["value"]
    assert value["to_address"] == to_hex(OURS)
    (first,) = await credits_of(client, txid)
    value["to_address"] = OURS
    assert [replace(item, raw=b"") for item in await credits_of(client, txid)] == [replace(first, raw=b"")]
    assert first.to_address == OURS


@pytest.mark.parametrize("result", ["REVERT", "OUT_OF_ENERGY", "OUT_OF_TIME", "FAILED", ""])
async def test_trap_02_a_failed_call_credits_nothing(fake: FakeTronGrid, client: TronGrid, result: str) -> None:
    for txid in (
        fake.pay(OURS, 5, result=result),
        fake.pay_token(OURS, 5, result=result),
        fake.pay_internal(OURS, 5, result=result),
    ):
        assert await credits_of(client, txid) == []


@pytest.mark.parametrize("place", ["ret", "receipt", "result"])
async def test_trap_02_one_verdict_of_failure_is_enough(fake: FakeTronGrid, client: TronGrid, place: str) -> None:
    for txid in (fake.pay(OURS, 5), fake.pay_token(OURS, 5), fake.pay_internal(OURS, 5)):
        assert await credits_of(client, txid)
        chained = fake.chain[txid]
        if place == "ret":
            chained.transaction["ret"] = [{}]
        elif place == "receipt":
            chained.info["receipt"]["result"] = "REVERT"
        else:
            chained.info["result"] = "FAILED"
        assert await credits_of(client, txid) == []


async def test_trap_03_only_the_contract_makes_a_token_usdt(fake: FakeTronGrid, client: TronGrid) -> None:
    refused = [
        fake.pay_token(OURS, 5_000_000, contract=FAKE_USDT),
        fake.pay_token(OURS, 0),
        fake.approve(OURS, 5_000_000),
        fake.pay_token(THEIRS, 5_000_000),
    ]
    for txid in refused:
        assert await credits_of(client, txid) == []
    padded = fake.pay_token(OURS, 5_000_000)
    topics = fake.chain[padded].info["log"][0]["topics"]
    topics[2] = "f" * 24 + topics[2][24:]
    assert await credits_of(client, padded) == []


async def test_trap_03_no_token_counts_when_no_contract_is_set(fake: FakeTronGrid, client: TronGrid) -> None:
    solid = await trongrid.solid_transaction(client, fake.pay_token(OURS, 5))
    assert isinstance(solid, SolidTransaction)
    assert transfers_to(solid, ours={OURS}.__contains__, usdt_contract=None, with_internal=True) == []


async def test_trap_03_every_transfer_of_a_call_is_one_credit(fake: FakeTronGrid, client: TronGrid) -> None:
    txid = fake.call([log(THEIRS, 1), log(OURS, 2), log(OURS, 3, contract=FAKE_USDT), log(OURS, 4)], to=OURS)
    found = [(item.external_id, item.units) for item in await credits_of(client, txid)]
    assert found == [(f"trc20:{txid}:1", 2), (f"trc20:{txid}:3", 4)]


async def test_trap_04_a_transaction_of_the_head_may_vanish(fake: FakeTronGrid, client: TronGrid) -> None:
    stays, goes = fake.pay(OURS, 5, is_solid=False), fake.pay(OURS, 7, is_solid=False)
    for txid, sun in ((stays, 5), (goes, 7)):
        assert await trongrid.solid_transaction(client, txid) == Missing()
        head = await trongrid.head_transaction(client, txid)
        assert isinstance(head, HeadTransaction)
        seen = detected_in(head, ours={OURS}.__contains__, usdt_contract=USDT, with_internal=True)
        assert seen == [Detected(txid, "trx", OURS, sun)]
    assert await listed(client) == []
    fake.vanish(goes)
    fake.solidify(stays)
    assert await trongrid.head_transaction(client, goes) == Missing()
    assert await trongrid.solid_transaction(client, goes) == Missing()
    assert [item.units for item in await credits_of(client, stays)] == [5]


async def test_trap_05_a_transaction_lost_from_the_listing_is_found_by_id(fake: FakeTronGrid, client: TronGrid) -> None:
    txid = fake.pay(OURS, 5, is_listed=False)
    assert await listed(client) == []
    (typed,) = await credits_of(client, txid.upper())
    assert typed.external_id == f"trx:{txid}", "one payment has one name, however its id was typed"


@pytest.mark.parametrize("body", GARBAGE.values(), ids=GARBAGE)
async def test_trap_06_garbage_with_status_200_is_no_answer(fake: FakeTronGrid, body: bytes) -> None:
    txid = fake.pay(OURS, 5)
    fake.says = (200, body)
    async with client_of(fake, failures_max=100) as client:
        assert isinstance(await listed(client), Trouble)
        assert isinstance(await trongrid.solid_transaction(client, txid), Trouble)
        assert isinstance(await trongrid.head_transaction(client, txid), Trouble)
        assert isinstance(await trongrid.balances(client, OURS, usdt_contract=USDT), Trouble)
        assert isinstance(await trongrid.head_age(client, now=datetime(2026, 1, 1, tzinfo=UTC)), Trouble)
        fake.says = None
        assert await listed(client) == [txid]


async def test_trap_06_an_empty_object_is_an_unknown_transaction(fake: FakeTronGrid, client: TronGrid) -> None:
    fake.says = (200, b"{}")
    assert await trongrid.solid_transaction(client, "ab" * 32) == Missing()
    assert isinstance(await listed(client), Trouble), "but no history is ever empty in this way"


async def test_trap_07_dust_is_reported_as_it_is(fake: FakeTronGrid, client: TronGrid) -> None:
    assert await credits_of(client, fake.pay(OURS, 0)) == []
    (dust,) = await credits_of(client, fake.pay(OURS, 1, memo='Claim <a href="https://x.example">1000 USDT</a>'))
    assert dust.units == 1
    assert dust.memo == 'Claim <a href="https://x.example">1000 USDT</a>'


async def test_trap_07_a_memo_that_is_no_text_is_still_one(fake: FakeTronGrid, client: TronGrid) -> None:
    txid = fake.pay(OURS, 1)
    for raw, memo in ((b"a\x00\xffb", "a\ufffd\ufffdb"), (b"x" * 9000, "x" * 2000), (b"", None)):
        fake.chain[txid].transaction["raw_data"]["data"] = raw.hex()
        assert [item.memo for item in await credits_of(client, txid)] == [memo]


async def test_trap_08_amounts_are_exact_to_the_last_sun(fake: FakeTronGrid, client: TronGrid) -> None:
    for sun in (2**53 + 1, 2**63 - 1):
        for txid in (fake.pay(OURS, sun), fake.pay_token(OURS, sun), fake.pay_internal(OURS, sun)):
            assert [item.units for item in await credits_of(client, txid)] == [sun]


@pytest.mark.parametrize("amount", [2**63, -1, 5.0, 1e6, "5", True, None, [5]])
async def test_trap_08_what_is_no_amount_is_no_answer(fake: FakeTronGrid, client: TronGrid, amount: Any) -> None:
    txid = fake.pay(OURS, 5)
    fake.chain[txid].transaction["raw_data"]["contract"][0]["parameter"]["value"]["amount"] = amount
    assert isinstance(await trongrid.solid_transaction(client, txid), Trouble)


async def test_trap_08_more_tokens_than_fit_are_not_credited(fake: FakeTronGrid, client: TronGrid) -> None:
    assert await credits_of(client, fake.pay_token(OURS, 2**63)) == []
    assert await credits_of(client, fake.pay_token(OURS, 2**256 - 1)) == []


async def test_trap_09_an_address_that_was_never_used_holds_nothing(fake: FakeTronGrid, client: TronGrid) -> None:
    assert await trongrid.balances(client, OURS, usdt_contract=USDT) == Balances(0, 0)
    assert await trongrid.balances(client, OURS, usdt_contract=None) == (0, None)
    fake.tokens[OURS] = {FAKE_USDT: "9", USDT: "7"}
    assert await trongrid.balances(client, OURS, usdt_contract=USDT) == Balances(0, 7)
    fake.balances[OURS] = 0
    assert await trongrid.balances(client, OURS, usdt_contract=USDT) == Balances(0, 7)
    fake.balances[OURS] = 2**53 + 1
    assert await trongrid.balances(client, OURS, usdt_contract=USDT) == Balances(2**53 + 1, 7)


@pytest.mark.parametrize(
    "odd",
    [
        {"rejected": True},
        {"token": "1000001"},
        {"note": "delegateResourceOfEnergy"},
        {"note": "freezeForBandwidth"},
        {"note": "create"},
        {"note": ""},
    ],
    ids=str,
)
async def test_trap_10_not_every_internal_transaction_moves_trx(
    fake: FakeTronGrid, client: TronGrid, odd: dict[str, Any]
) -> None:
    assert await credits_of(client, fake.pay_internal(OURS, 5, **odd)) == []


async def test_trap_10_a_contract_may_pay_several_of_us(fake: FakeTronGrid, client: TronGrid) -> None:
    paid = [internal(OURS, 5, number=1), internal(THEIRS, 6, number=2), internal(OURS, 7, number=3)]
    txid = fake.call([], [*paid, internal(OURS, 8, note="suicide", number=4)], to=OURS)
    assert await listed(client) == [txid]
    found = await credits_of(client, txid)
    assert [item.units for item in found] == [5, 7, 8]
    assert found[0].external_id == f"trxint:{txid}:{paid[0]['hash']}"
    assert {item.kind for item in found} == {"internal"}
    assert await credits_of(client, txid, with_internal=False) == []


async def test_trap_10_one_hash_cannot_stand_for_two_payments(fake: FakeTronGrid, client: TronGrid) -> None:
    txid = fake.call([], [internal(OURS, 5), internal(OURS, 5)], to=OURS)
    assert isinstance(await trongrid.solid_transaction(client, txid), Trouble)


async def test_trap_11_the_time_is_the_blocks(fake: FakeTronGrid, client: TronGrid) -> None:
    (transfer,) = await credits_of(client, fake.pay(OURS, 5, sender_at=1))
    assert transfer.block_at == datetime.fromtimestamp(FIRST_BLOCK_AT // 1000, UTC)
    for at in (None, 0, -1, 2**62, "1777437762000", 1777437762000.0):
        fake.chain[transfer.txid].info["blockTimeStamp"] = at
        assert isinstance(await trongrid.solid_transaction(client, transfer.txid), Trouble)


# What else a transaction must be.


async def test_a_payment_to_others_is_not_ours(fake: FakeTronGrid, client: TronGrid) -> None:
    assert await credits_of(client, fake.pay(THEIRS, 5)) == []
    assert await credits_of(client, fake.pay_internal(THEIRS, 5)) == []


async def test_an_answer_about_another_transaction_is_no_answer(fake: FakeTronGrid, client: TronGrid) -> None:
    asked, other = fake.pay(OURS, 5), fake.pay(OURS, 5_000_000)
    fake.chain[asked].transaction = fake.chain[other].transaction
    assert isinstance(await trongrid.solid_transaction(client, asked), Trouble)
    fake.chain[asked].info = fake.chain[other].info
    assert isinstance(await trongrid.solid_transaction(client, asked), Trouble)


async def test_a_body_without_its_outcome_is_not_there_yet(fake: FakeTronGrid, client: TronGrid) -> None:
    txid = fake.pay(OURS, 5)
    fake.chain[txid].info = {}
    assert await trongrid.solid_transaction(client, txid) == Missing()


@pytest.mark.parametrize("text", ["", "ab", "0x" + "ab" * 31, "zz" * 32, "ab" * 33, "ab" * 32 + "\n", "../" * 22])
async def test_what_is_no_id_is_not_asked_for(fake: FakeTronGrid, client: TronGrid, text: str) -> None:
    found = await trongrid.solid_transaction(client, text)
    assert isinstance(found, Trouble)
    assert found.is_refusal
    assert fake.requests == []


async def test_a_payment_is_told_whole(fake: FakeTronGrid, client: TronGrid) -> None:
    txid = fake.pay(OURS, 5_000_000, memo="thanks")
    (found,) = await credits_of(client, txid)
    at = datetime.fromtimestamp(FIRST_BLOCK_AT // 1000, UTC)
    expected = Transfer(
        txid, "trx", "transfer", f"trx:{txid}", OURS, 5_000_000, at, "thanks", found.raw, from_address=SENDER
    )
    assert found == expected
    assert found.raw.count(b"\n") == 1
    assert "raw" not in repr(found)
    (token,) = await credits_of(client, fake.pay_token(OURS, 7))
    assert (token.asset, token.kind, token.units, token.from_address) == ("usdt", "token", 7, SENDER)


# Histories.


async def test_a_history_is_followed_over_its_pages(fake: FakeTronGrid, client: TronGrid) -> None:
    fake.page_size = 3
    txids = [fake.pay(OURS, 1) for _ in range(8)]
    assert await listed(client) == txids
    assert await listed(client, since_ms=FIRST_BLOCK_AT + 5 * BLOCK_MS) == txids[5:]
    first, second = (request.query for request in fake.requests[1:3])
    assert second == {**first, "fingerprint": "page1"}, "all other parameters stay as they were"
    assert first["only_confirmed"] == first["only_to"] == "true"


async def test_a_history_with_the_head_names_what_may_still_vanish(fake: FakeTronGrid, client: TronGrid) -> None:
    solid, fresh = fake.pay(OURS, 1), fake.pay(OURS, 1, is_solid=False)
    assert await listed(client) == [solid]
    found = await trongrid.history(client, OURS, since_ms=0, asset="trx", with_head=True)
    assert found == trongrid.History([solid, fresh], is_cut=False)


async def test_a_history_of_tokens_is_that_of_one_contract(fake: FakeTronGrid, client: TronGrid) -> None:
    fake.pay(OURS, 1)
    token = fake.pay_token(OURS, 1)
    assert await listed(client, asset="usdt") == [token]
    assert fake.requests[-1].path.endswith("/transactions/trc20")
    assert fake.requests[-1].query["contract_address"] == USDT
    assert isinstance(await listed(replace(client, usdt_contract=None), asset="usdt"), Trouble)


async def test_an_endless_history_ends(fake: FakeTronGrid, client: TronGrid) -> None:
    fake.page_size = 1
    txids = [fake.pay(OURS, 1) for _ in range(trongrid.PAGES_MAX + 2)]
    with capture_logs() as logs:
        assert await listed(client) == txids[: trongrid.PAGES_MAX]
    assert [entry["event"] for entry in logs] == ["tron_history_cut"]
    fake.says = (200, b'{"data":[],"success":true,"meta":{"fingerprint":"again"}}')
    assert await listed(client) == Trouble("the history goes in a circle")


# The newest block.


async def test_the_age_of_the_newest_block_is_told(fake: FakeTronGrid, client: TronGrid) -> None:
    now = datetime.fromtimestamp(FIRST_BLOCK_AT // 1000, UTC) + timedelta(seconds=75)
    assert await trongrid.head_age(client, now=now) == 75.0
