"""Each payment is delivered three times, in any order, through two processes, and credited once.

`make proof-receipts` does it with 100,000 payments, `make test` with 2,000.
"""

import asyncio
import random
import time
from collections import Counter

import pytest

from numberdesk.accounts import service as accounts
from numberdesk.base import crypto
from numberdesk.base.db import Database, rows, run, value
from numberdesk.monitoring import service as monitoring
from tests.races import settler
from tests.races.settler import Work

pytestmark = pytest.mark.anyio

ACCOUNTS = 50
DELIVERIES = 3
AT_ONCE = 40


@pytest.fixture
def receipts(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--receipts"))


async def test_each_payment_is_credited_once_however_often_it_is_delivered(
    db: Database, database_url: str, receipts: int
) -> None:
    deliveries = await begun(db, receipts) * DELIVERIES
    random.Random(20261126).shuffle(deliveries)
    key, started = crypto.new_key(), time.monotonic()
    found = await asyncio.gather(
        *(settler.run(Work(database_url, key, deliveries[half::2], AT_ONCE)) for half in range(2))
    )
    took = time.monotonic() - started
    assert [status for status, _ in found] == [0, 0]
    outcomes: Counter[str] = sum((outcome for _, outcome in found), Counter())
    async with db.statement() as tx:
        # A batch may hold the same payment twice: both are told that it is credited, and it is, once.
        credited = await value(tx, "SELECT count(*) FROM postings WHERE kind = 'recharge'")
        paid = await rows(tx, "SELECT count(*), sum(credited_paise), sum(payable_paise) FROM recharges")
        serials = await rows(tx, "SELECT count(*), min(serial), max(serial) FROM receipts")
        wallets = await value(tx, "SELECT sum(available_paise) FROM wallets")
    assert credited == receipts
    assert set(outcomes) == {"credited", "known"}
    assert outcomes["credited"] >= receipts
    assert paid[0][0] == receipts
    assert paid[0][1] == paid[0][2] == wallets
    assert serials == [(receipts, 1, receipts)]
    wrong = [(check.name, check.wrong) for check in await monitoring.verify(db) if not check.ok]
    assert not wrong
    print(f"{receipts} payments, {len(deliveries)} deliveries, {len(deliveries) / took:.0f} a second")  # noqa: T201


async def begun(db: Database, count: int) -> list[tuple[str, int, int]]:
    """Write recharges that wait for their payment, of fifty accounts."""
    async with db.transaction() as tx:
        emails = [f"c{number}@example.com" for number in range(ACCOUNTS)]
        account_ids = await accounts.create(tx, emails=emails, names=["Asha"] * ACCOUNTS)
    async with db.transaction() as tx:
        await run(
            tx,
            """
            INSERT INTO recharges (ref, account_id, method, rail, requested_paise, payable_paise, status, expires_at)
            SELECT 'RC' || lpad(number::text, 26, '0'), ($2::bigint[])[1 + number % $3::int], 'upi', 'razorpay',
                   5000 + number % 1000, 5000 + number % 1000, 'awaiting_payment', now() + interval '1 hour'
            FROM generate_series(1, $1::int) AS number
            """,
            count,
            account_ids,
            ACCOUNTS,
        )
        found = await rows(tx, "SELECT id, payable_paise FROM recharges ORDER BY id")
    return [(f"pay_{recharge_id:014}", recharge_id, paise) for recharge_id, paise in found]
