"""Verbs of the ledger: what is refused, what moves, and what moves only once."""

import asyncio
from datetime import datetime, timedelta

import pytest

from numberdesk.base import clock
from numberdesk.base.db import Database, Duplicate, open_database, rows, value
from numberdesk.base.errors import NotFound
from numberdesk.base.money import Paise
from numberdesk.wallet import jobs, sql
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import AccountId, Credit, Transaction, TransactionState, TransactionType
from tests.wallet.customers import add_customers, balances, capture, hold, refund, void, wanted

pytestmark = pytest.mark.anyio


async def credit(db: Database, *items: Credit) -> list[bool]:
    async with db.transaction() as tx:
        return await wallet.credit(tx, items)


async def postings(db: Database) -> int:
    async with db.statement() as tx:
        return int(await value(tx, "SELECT count(*) FROM postings"))


async def test_an_account_without_a_wallet_has_no_balance_and_gets_no_credit(db: Database) -> None:
    with pytest.raises(NotFound):
        await wallet.balance(db, AccountId(99))
    with pytest.raises(NotFound):
        await credit(db, Credit(AccountId(99), Paise(100), "recharge", "RC99"))
    assert (await hold(db, wanted(AccountId(99), 1, 100)))[0] is not None
    assert await postings(db) == 0


async def test_a_hold_beyond_the_balance_is_refused_and_says_what_is_missing(db: Database) -> None:
    (account_id,) = await add_customers(db, 100)
    (refusal,) = await hold(db, wanted(account_id, 1, 101))
    assert refusal is not None
    assert refusal.details() == {"needed_paise": 101, "available_paise": 100}
    assert refusal.sentence() == "Your balance of 1.00 is too low: 1.01 is needed."
    assert await balances(db, account_id) == (100, 0)


async def test_a_list_of_holds_is_served_in_order_and_what_does_not_fit_is_refused_alone(db: Database) -> None:
    (account_id,) = await add_customers(db, 100)
    answers = await hold(db, *(wanted(account_id, order, paise) for order, paise in [(1, 80), (2, 50), (3, 20)]))
    assert [answer is None for answer in answers] == [True, False, True]
    assert await balances(db, account_id) == (0, 100)


async def test_one_list_moves_the_money_of_many_accounts_many_times(db: Database) -> None:
    account_ids = await add_customers(db, 1000, 5, 1000)
    items = [wanted(account_ids[place % 3], place, 10) for place in range(30)]
    answers = await hold(db, *reversed(items))
    assert sum(answer is None for answer in answers) == 20
    assert [await balances(db, account_id) for account_id in account_ids] == [(900, 100), (5, 0), (900, 100)]
    assert (await wallet.balance(db, account_ids[0])).version == 1 + 10 * 2


async def test_a_second_hold_of_the_same_purpose_fails_and_moves_nothing(db: Database) -> None:
    (account_id,) = await add_customers(db, 1000)
    await hold(db, wanted(account_id, 1, 100))
    for items in ([wanted(account_id, 1, 200)], [wanted(account_id, 2, 1), wanted(account_id, 2, 1)]):
        with pytest.raises(Duplicate):
            await hold(db, *items)
    assert await balances(db, account_id) == (900, 100)


async def test_capturing_what_was_never_held_moves_nothing(db: Database) -> None:
    (account_id,) = await add_customers(db, 1000)
    assert await capture(db, 1, 2) == {}
    assert await void(db) == {}
    assert await balances(db, account_id) == (1000, 0)


async def test_a_captured_hold_is_paid_once_and_cannot_be_voided(db: Database) -> None:
    (account_id,) = await add_customers(db, 1000)
    await hold(db, wanted(account_id, 1, 300))
    assert await capture(db, 1, 1) == {1: 300}
    assert await capture(db, 1) == {}
    assert await void(db, 1) == {}
    assert await balances(db, account_id) == (700, 0)


async def test_a_voided_hold_is_given_back_once_and_cannot_be_captured(db: Database) -> None:
    (account_id,) = await add_customers(db, 1000)
    await hold(db, wanted(account_id, 1, 300))
    assert await void(db, 1) == {1: 300}
    assert await void(db, 1) == {}
    assert await capture(db, 1) == {}
    assert await balances(db, account_id) == (1000, 0)


async def test_all_holds_of_an_order_share_its_fate(db: Database) -> None:
    first, second = await add_customers(db, 1000, 1000)
    await hold(
        db, wanted(first, 1, 300), wanted(first, 1, 20, purpose="extend:1"), wanted(first, 2, 5), wanted(second, 3, 7)
    )
    assert await capture(db, 3, 1) == {1: 320, 3: 7}
    assert await void(db, 1, 2, 3) == {2: 5}
    assert await balances(db, first) == (680, 0)
    assert await balances(db, second) == (993, 0)


async def test_of_a_capture_and_a_void_at_once_one_wins(db: Database) -> None:
    (account_id,) = await add_customers(db, 1000)
    for order_id in range(1, 11):
        await hold(db, wanted(account_id, order_id, 10))
        results = await asyncio.gather(capture(db, order_id), void(db, order_id), capture(db, order_id))
        assert sorted(map(len, results)) == [0, 0, 1]
    available, held = await balances(db, account_id)
    async with db.statement() as tx:
        captured = await value(tx, "SELECT count(*) FROM holds WHERE state = 'captured'")
    assert (available, held) == (1000 - 10 * captured, 0)


async def test_holds_on_twenty_connections_never_overdraw(db: Database, database_url: str) -> None:
    (account_id,) = await add_customers(db, 1000)
    wide = await open_database(database_url, size=20)
    answers = await asyncio.gather(*(hold(wide, wanted(account_id, order_id, 100)) for order_id in range(20)))
    await wide.close()
    assert sum(answer == [None] for answer in answers) == 10
    assert await balances(db, account_id) == (0, 1000)


async def test_a_credit_has_its_effect_once_for_ever(db: Database) -> None:
    first, second = await add_customers(db, 0, 0)
    item = Credit(first, Paise(500), "recharge", "RC01J9ZK")
    assert await credit(db, item, item) == [True, False]
    assert await credit(db, Credit(second, Paise(500), "recharge", "RC01J9ZK")) == [False]
    assert await balances(db, first) == (500, 0)
    assert await balances(db, second) == (0, 0)


async def test_credits_of_two_kinds_may_have_one_name(db: Database) -> None:
    (account_id,) = await add_customers(db, 0)
    answers = await credit(
        db, Credit(account_id, Paise(500), "recharge", "7"), Credit(account_id, Paise(50), "admin_credit", "7")
    )
    assert answers == [True, True]
    async with db.statement() as tx:
        assert await sql.list_system_balances(tx) == [("adjustments", -50), ("clearing", -500)]


async def test_the_same_credit_ten_times_at_once_counts_once(db: Database) -> None:
    (account_id,) = await add_customers(db, 0)
    answers = await asyncio.gather(*(credit(db, Credit(account_id, Paise(5), "recharge", "X")) for _ in range(10)))
    assert answers.count([True]) == 1
    assert await balances(db, account_id) == (5, 0)


async def test_only_a_captured_hold_can_be_refunded(db: Database) -> None:
    (account_id,) = await add_customers(db, 1000)
    await hold(db, wanted(account_id, 1, 100), wanted(account_id, 2, 100), wanted(account_id, 3, 100))
    await void(db, 2)
    await capture(db, 3)
    for order_id, purpose in ((1, "number:1"), (2, "number:1"), (3, "extend:1"), (4, "number:1")):
        with pytest.raises(wallet.NothingToRefund):
            await refund(db, order_id, purpose=purpose)
    assert await balances(db, account_id) == (800, 100)


async def test_a_refund_gives_back_what_was_captured_once(db: Database) -> None:
    (account_id,) = await add_customers(db, 1000)
    await hold(db, wanted(account_id, 1, 300))
    await capture(db, 1)
    results = await asyncio.gather(*(refund(db, 1) for _ in range(5)), return_exceptions=True)
    assert [result for result in results if not isinstance(result, wallet.NothingToRefund)] == [300]
    assert await balances(db, account_id) == (1000, 0)
    async with db.statement() as tx:
        assert await sql.list_system_balances(tx) == [("clearing", -1000), ("revenue", 0)]


async def test_changes_of_system_accounts_are_rolled_up_in_parts_and_by_many_without_loss(db: Database) -> None:
    (account_id,) = await add_customers(db, 1000)
    for order_id in range(12):
        await hold(db, wanted(account_id, order_id, 7))
        await capture(db, order_id)
    assert await jobs.roll_up(db, limit=3) == 3
    taken = await asyncio.gather(*(jobs.roll_up(db, limit=4) for _ in range(5)))
    assert sum(taken) + await jobs.roll_up(db) == 10
    assert await jobs.roll_up(db) == 0
    async with db.statement() as tx:
        assert await rows(tx, "SELECT bucket, balance_paise FROM system_balances ORDER BY 1") == [
            ("clearing", -1000), ("revenue", 84),
        ]  # fmt: skip


async def statement(
    db: Database,
    account_id: AccountId,
    *,
    kind: TransactionType | None = None,
    state: TransactionState | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    cursor: int | None = None,
    limit: int = 100,
) -> list[Transaction]:
    return await wallet.list_transactions(
        db, account_id=account_id, type=kind, state=state, since=since, until=until, cursor=cursor, limit=limit
    )


async def lived_in(db: Database) -> AccountId:
    """Make a wallet with a line of every type: orders 1 pending, 2 paid, 3 given back, 4 paid and refunded."""
    account_id, neighbour = await add_customers(db, 10_000, 10_000)
    await credit(db, Credit(account_id, Paise(50), "admin_credit", "sorry-for-the-wait"))
    for order_id in range(1, 5):
        await hold(db, wanted(account_id, order_id, order_id * 100), wanted(neighbour, order_id + 10, 1))
    await capture(db, 2, 4)
    await void(db, 3)
    await refund(db, 4)
    return account_id


async def test_the_statement_of_an_empty_wallet_is_empty(db: Database) -> None:
    (account_id,) = await add_customers(db, 0)
    assert await statement(db, account_id) == []


async def test_the_statement_shows_what_changed_the_available_money_newest_first(db: Database) -> None:
    account_id = await lived_in(db)
    lines = [
        (line.type, line.state, line.order_id, line.amount_paise, line.balance_after_paise)
        for line in await statement(db, account_id)
    ]
    assert lines == [
        ("refund", "completed", 4, 400, 9_750),
        ("refund", "completed", 3, 300, 9_350),
        ("service_purchase", "refunded", 4, -400, 9_050),
        ("service_purchase", "refunded", 3, -300, 9_450),
        ("service_purchase", "completed", 2, -200, 9_750),
        ("service_purchase", "pending", 1, -100, 9_950),
        ("admin_credit", "completed", None, 50, 10_050),
        ("recharge", "completed", None, 10_000, 10_000),
    ]


@pytest.mark.parametrize(
    ("kind", "state", "orders"),
    [
        ("recharge", None, [None]),
        ("admin_credit", "completed", [None]),
        ("service_purchase", None, [4, 3, 2, 1]),
        ("service_purchase", "completed", [2]),
        ("service_purchase", "pending", [1]),
        ("refund", None, [4, 3]),
        ("refund", "pending", []),
        (None, "refunded", [4, 3]),
        (None, "pending", [1]),
        (None, "failed", []),
        (None, "completed", [4, 3, 2, None, None]),
    ],
)
async def test_the_statement_is_filtered_by_type_and_state(
    db: Database, kind: TransactionType | None, state: TransactionState | None, orders: list[int | None]
) -> None:
    account_id = await lived_in(db)
    assert [line.order_id for line in await statement(db, account_id, kind=kind, state=state)] == orders


async def test_the_statement_is_read_page_by_page(db: Database) -> None:
    account_id = await lived_in(db)
    whole = await statement(db, account_id)
    lines: list[Transaction] = []
    sizes = []
    for _ in range(4):
        page = await statement(db, account_id, cursor=lines[-1].version if lines else None, limit=3)
        lines += page
        sizes.append(len(page))
    assert sizes == [3, 3, 2, 0]
    assert lines == whole


async def test_the_statement_is_filtered_by_time_from_inclusive_to_exclusive(db: Database) -> None:
    account_id = await lived_in(db)
    whole = await statement(db, account_id)
    assert await statement(db, account_id, since=whole[4].at, until=whole[1].at) == whole[2:5]
    assert await statement(db, account_id, until=whole[-1].at) == []
    assert await statement(db, account_id, since=clock.now() + timedelta(hours=1)) == []
