"""The parsers of TRON's answers: whatever comes, they return, and nothing but a whole transaction credits."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numberdesk.payments.methods import trongrid_parse as parse
from numberdesk.payments.methods.tron_transfers import transfers_to
from numberdesk.payments.methods.trongrid_parse import Info, Missing, SolidTransaction, Transaction, Unreadable
from tests.payments.fakes.trongrid import GARBAGE, USDT, FakeTronGrid

OURS = "TUEZSdKsoDHQMeZwihtdoBiN46zxhGWYdH"
PARSERS: dict[str, Callable[[bytes], Any]] = {
    "transaction": parse.transaction,
    "info": parse.info,
    "page": parse.page,
    "balance": lambda body: parse.balance(body, address=OURS),
    "token_balance": lambda body: parse.token_balance(body, address=OURS, contract=USDT),
    "block_at": parse.block_at,
    "genesis": parse.genesis,
}
FAKE = FakeTronGrid()
TXIDS = [FAKE.pay(OURS, 5, memo="hi"), FAKE.pay_token(OURS, 6), FAKE.pay_internal(OURS, 7)]
PARTS = [(FAKE.chain[txid].transaction, FAKE.chain[txid].info) for txid in TXIDS]

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from(["", OURS, USDT, "ab" * 32, "SUCCESS", "TransferContract", "{", "\ud800", "T" * 34])
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def credited(body: bytes, outcome: bytes) -> list[int]:
    """Return what a pair of answers credits."""
    transaction, info = parse.transaction(body), parse.info(outcome)
    if not isinstance(transaction, Transaction) or not isinstance(info, Info):
        return []
    solid = SolidTransaction(transaction.txid, transaction, info)
    found = transfers_to(solid, ours={OURS}.__contains__, usdt_contract=USDT, with_internal=True)
    return [item.units for item in found]


def paths_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return where every part of a value stands, the whole itself aside."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, part in inside for place in [(*path, key), *paths_in(part, (*path, key))]]


def changed(value: Any, path: tuple[Any, ...], to: Any) -> Any:
    """Return a copy with one part replaced."""
    copy = json.loads(json.dumps(value))
    at = copy
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = to
    return copy


@pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS)
@pytest.mark.parametrize("body", GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_unreadable(parser: Callable[[bytes], Any], body: bytes) -> None:
    assert isinstance(parser(body), Unreadable)


@pytest.mark.parametrize("name", PARSERS)
def test_an_empty_object_is_an_answer_only_where_the_server_means_one(name: str) -> None:
    expected = {"transaction": Missing(), "info": Missing(), "balance": 0}
    found = PARSERS[name](b"{}")
    assert found == expected[name] if name in expected else isinstance(found, Unreadable)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("page", b'{"data":[],"success":false,"meta":{}}'),
        ("page", b'{"data":[],"success":true}'),
        ("page", b'{"success":true,"meta":{}}'),
        ("page", b'{"data":[{}],"success":true,"meta":{}}'),
        ("page", b'{"data":[{"txID":"AB"}],"success":true,"meta":{}}'),
        ("page", b'{"data":[{"txID":"' + b"AB" * 32 + b'"}],"success":true,"meta":{}}'),
        ("page", b'{"data":[],"success":true,"meta":{"fingerprint":"a b"}}'),
        ("page", b'{"data":[],"success":true,"meta":{"fingerprint":7}}'),
        ("balance", b'{"balance":5}'),
        ("balance", b'{"address":"' + USDT.encode() + b'","balance":5}'),
        ("balance", b'{"address":"' + OURS.encode() + b'","balance":5.0}'),
        ("balance", b'{"address":"' + OURS.encode() + b'","balance":-5}'),
        ("token_balance", b'{"data":[{"address":"' + USDT.encode() + b'"}],"success":true}'),
        ("token_balance", b'{"data":[{"address":"%b","trc20":[{"%b":"5.0"}]}],"success":true}'),
        ("token_balance", b'{"data":[{"address":"%b","trc20":[{"%b":"-5"}]}],"success":true}'),
        ("token_balance", b'{"data":[{"address":"%b","trc20":[{"%b":"\xd9\xa3"}]}],"success":true}'),
        ("token_balance", b'{"data":[{"address":"%b","trc20":[{"%b":"9999999999999999999"}]}],"success":true}'),
        ("token_balance", b'{"data":[{"address":"%b","trc20":[{"%b":5}]}],"success":true}'),
        ("block_at", b'{"block_header":{"raw_data":{"timestamp":0}}}'),
        ("block_at", b'{"block_header":{"raw_data":{"timestamp":99999999999999999}}}'),
        ("genesis", b'{"blockID":"00"}'),
    ],
)
def test_an_answer_with_one_wrong_part_is_unreadable(name: str, body: bytes) -> None:
    whole = body % (OURS.encode(), USDT.encode()) if b"%b" in body else body
    assert isinstance(PARSERS[name](whole), Unreadable)


def test_an_id_with_a_newline_is_none() -> None:
    body = json.dumps(PARTS[0][0]).replace(f'"{TXIDS[0]}"', f'"{TXIDS[0]}\\n"')
    assert isinstance(parse.transaction(body.encode()), Unreadable)


def test_two_contracts_in_one_transaction_are_unreadable() -> None:
    contract = PARTS[0][0]["raw_data"]["contract"][0]
    body = changed(PARTS[0][0], ("raw_data", "contract"), [contract, contract])
    assert isinstance(parse.transaction(json.dumps(body).encode()), Unreadable)


def test_a_page_names_each_transaction_once_whatever_form_its_entries_have() -> None:
    first, second, third = "aa" * 32, "bb" * 32, "cc" * 32
    entries = [{"txID": first}, {"internal_tx_id": "00" * 32, "tx_id": second}, {"tx_id": first}]
    entries.append({"transaction_id": third})
    body = json.dumps({"data": entries, "success": True, "meta": {"fingerprint": "next"}})
    assert parse.page(body.encode()) == parse.Page((first, second, third), "next")


def test_whole_answers_credit() -> None:
    assert [credited(*(json.dumps(part).encode() for part in parts)) for parts in PARTS] == [[5], [6], [7]]


def test_the_outcome_of_another_transaction_proves_nothing() -> None:
    assert credited(json.dumps(PARTS[0][0]).encode(), json.dumps(PARTS[1][1]).encode()) == []


@pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS)
@given(body=st.binary(max_size=300))
def test_no_bytes_make_a_parser_raise_or_find_anything(parser: Callable[[bytes], Any], body: bytes) -> None:
    found = parser(body)
    assert isinstance(found, Unreadable) or body.strip() == b"{}"


@pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS)
@given(value=JSON)
def test_no_json_makes_a_parser_raise_or_find_a_transaction(parser: Callable[[bytes], Any], value: Any) -> None:
    found = parser(json.dumps(value).encode())
    assert not isinstance(found, Transaction | Info)


@given(st.data())
def test_no_change_of_one_part_makes_a_transaction_credit_more_or_twice(data: st.DataObject) -> None:
    kind = data.draw(st.integers(0, 2))
    parts = list(PARTS[kind])
    side = data.draw(st.integers(0, 1))
    path = data.draw(st.sampled_from(paths_in(parts[side])))
    parts[side] = changed(parts[side], path, data.draw(JSON))
    found = credited(*(json.dumps(part).encode() for part in parts))
    # Only what says the amount may change it.
    says_amount = path[-1] in ("amount", "callValue", "data") or {"log", "internal_transactions", "value"} & {*path}
    assert found in ([], [5 + kind]) or says_amount
    assert len(found) <= 1
    assert all(type(units) is int and 0 < units < 2**63 for units in found)


@given(st.data())
def test_a_cut_answer_credits_nothing(data: st.DataObject) -> None:
    body, outcome = (json.dumps(part).encode() for part in data.draw(st.sampled_from(PARTS)))
    assert credited(body[: data.draw(st.integers(0, len(body) - 1))], outcome) == []
    assert credited(body, outcome[: data.draw(st.integers(0, len(outcome) - 1))]) == []
