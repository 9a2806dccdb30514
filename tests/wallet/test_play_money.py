"""Play money: it comes from a bucket of its own, goes back there, and never meets any other money."""

import pytest

from numberdesk.accounts import service as accounts
from numberdesk.base.db import Database, rows
from numberdesk.base.errors import NotFound
from numberdesk.base.money import Paise
from numberdesk.monitoring.service import verify
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import SANDBOX_OFFSET, AccountId, Credit, is_sandbox
from tests.wallet.customers import add_customers, balances, capture, hold, refund, void, wanted

pytestmark = pytest.mark.anyio

FULL = wallet.SANDBOX_PAISE


async def sandboxes(db: Database, owners: list[AccountId]) -> list[AccountId]:
    async with db.transaction() as tx:
        return await accounts.open_sandboxes(tx, owners)


async def buckets(db: Database) -> dict[str, int]:
    async with db.statement() as tx:
        found = await rows(tx, "SELECT bucket, sum(amount_paise) FROM entries WHERE account_id IS NULL GROUP BY bucket")
    return {bucket: int(paise) for bucket, paise in found}


def test_the_id_of_an_account_tells_a_sandbox() -> None:
    assert [is_sandbox(item) for item in (None, 1, SANDBOX_OFFSET - 1, SANDBOX_OFFSET + 1)] == [False] * 3 + [True]


async def test_a_new_sandbox_is_full(db: Database) -> None:
    found = await sandboxes(db, await add_customers(db, 0, 0))
    assert [await balances(db, account_id) for account_id in found] == [(FULL, 0)] * 2
    assert await buckets(db) == {"sandbox": -2 * FULL}


async def test_captured_play_money_is_no_revenue_beside_money_that_is(db: Database) -> None:
    (customer,) = await add_customers(db, 5_000)
    (sandbox,) = await sandboxes(db, [customer])
    assert await hold(db, wanted(sandbox, 1, 700), wanted(customer, 2, 300)) == [None, None]
    await capture(db, 1, 2)
    assert await buckets(db) == {"clearing": -5_000, "revenue": 300, "sandbox": 700 - FULL}
    await refund(db, 1)
    assert await buckets(db) == {"clearing": -5_000, "revenue": 300, "sandbox": -FULL}
    assert await balances(db, sandbox) == (FULL, 0)


async def test_a_voided_hold_gives_play_money_back(db: Database) -> None:
    (sandbox,) = await sandboxes(db, await add_customers(db, 0))
    await hold(db, wanted(sandbox, 1, 700))
    await void(db, 1)
    assert await balances(db, sandbox) == (FULL, 0)
    assert await buckets(db) == {"sandbox": -FULL}


async def test_a_sandbox_that_runs_low_is_filled_up_and_one_that_does_not_is_left_alone(db: Database) -> None:
    (sandbox,) = await sandboxes(db, await add_customers(db, 0))
    nearly_all = FULL - wallet.SANDBOX_LOW_PAISE
    await hold(db, wanted(sandbox, 1, nearly_all))
    assert await balances(db, sandbox) == (wallet.SANDBOX_LOW_PAISE, nearly_all)
    await hold(db, wanted(sandbox, 2, 1))
    assert await balances(db, sandbox) == (wallet.SANDBOX_LOW_PAISE - 1, nearly_all + 1)
    await hold(db, wanted(sandbox, 3, 1), wanted(sandbox, 4, 1))
    assert await balances(db, sandbox) == (FULL - 2, nearly_all + 3)


async def test_play_money_bounds_how_much_is_open(db: Database) -> None:
    (sandbox,) = await sandboxes(db, await add_customers(db, 0))
    price = wallet.SANDBOX_LOW_PAISE
    most = (wallet.SANDBOX_HELD_MAX + FULL) // price
    answers = [(await hold(db, wanted(sandbox, order_id, price)))[0] for order_id in range(1, most + 2)]
    assert sum(answer is None for answer in answers) <= most
    assert answers[-1] is not None
    for order_id in range(1, 20):
        await void(db, order_id)
    assert await hold(db, wanted(sandbox, most + 2, price)) == [None]


async def test_a_price_above_the_full_amount_is_refused_and_nothing_is_written(db: Database) -> None:
    (sandbox,) = await sandboxes(db, await add_customers(db, 0))
    await hold(db, wanted(sandbox, 1, FULL))
    (refusal,) = await hold(db, wanted(sandbox, 2, FULL + 1))
    assert refusal is not None
    assert refusal.details() == {"needed_paise": FULL + 1, "available_paise": FULL}
    assert await balances(db, sandbox) == (0, FULL)


async def test_no_other_money_goes_into_a_sandbox_and_no_play_money_elsewhere(db: Database) -> None:
    (customer,) = await add_customers(db, 0)
    (sandbox,) = await sandboxes(db, [customer])
    for item in (
        Credit(sandbox, Paise(5), "recharge", "RC1"),
        Credit(sandbox, Paise(5), "admin_credit", "c1"),
        Credit(sandbox, Paise(5), "assign", "a1"),
        Credit(customer, Paise(5), "play_money", "p1"),
    ):
        with pytest.raises(NotFound):
            async with db.transaction() as tx:
                await wallet.credit(tx, [item])
    assert await buckets(db) == {"sandbox": -FULL}


async def test_a_ledger_with_play_money_is_right(db: Database) -> None:
    (customer,) = await add_customers(db, 5_000)
    (sandbox,) = await sandboxes(db, [customer])
    for order_id in range(1, 30):
        await hold(db, wanted(sandbox, order_id, 90_00), wanted(customer, 100 + order_id, 1))
        await (capture if order_id % 2 else void)(db, order_id, 100 + order_id)
    about_orders = "the holds of every order fit its state"
    wrong = [check for check in await verify(db) if not check.ok and check.name != about_orders]
    assert wrong == []


async def test_the_statement_shows_play_money_as_a_credit(db: Database) -> None:
    (sandbox,) = await sandboxes(db, await add_customers(db, 0))
    lines = await wallet.list_transactions(
        db, account_id=sandbox, type="admin_credit", state=None, since=None, until=None, cursor=None, limit=10
    )
    assert [(line.type, line.state, line.amount_paise) for line in lines] == [("admin_credit", "completed", FULL)]
