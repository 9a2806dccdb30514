"""A process is killed between any two steps of settling a payment: nothing is lost, and nothing is credited twice."""

import re
import signal

import pytest

from numberdesk.base import crypto
from numberdesk.base.db import Database, rows, value
from numberdesk.monitoring import service as monitoring
from tests.architecture.sources import sources
from tests.races import settler
from tests.races.settler import Work
from tests.races.test_receipts import begun

pytestmark = pytest.mark.anyio

POINTS = sorted(
    name for source in sources("src") for name in re.findall(r'crash_point\("(settle\.[a-z_]+)"\)', source.text)
)
"""Every place in the code that is named for this."""
AFTER_COMMIT = "settle.committed"


def test_there_is_a_point_between_any_two_steps() -> None:
    assert POINTS == [
        "settle.before_commit", "settle.begun", AFTER_COMMIT, "settle.payments_decided", "settle.payments_written",
        "settle.posted", "settle.receipts_written", "settle.recharges_locked", "settle.recharges_written",
    ]  # fmt: skip


@pytest.mark.parametrize("point", POINTS)
async def test_a_death_there_loses_and_doubles_nothing(db: Database, database_url: str, point: str) -> None:
    payments = await begun(db, 5)
    key = crypto.new_key()
    status, _ = await settler.run(Work(database_url, key, payments, at_once=5, killed_at=point))
    assert status == -signal.SIGKILL
    is_done = point == AFTER_COMMIT
    assert await standing(db) == ((5, 5, 5, 5) if is_done else (0, 0, 0, 0))
    status, outcomes = await settler.run(Work(database_url, key, payments, at_once=5))
    assert (status, outcomes) == (0, {"known": 5} if is_done else {"credited": 5})
    assert await standing(db) == (5, 5, 5, 5)
    async with db.statement() as tx:
        sums = await rows(tx, "SELECT sum(credited_paise), sum(payable_paise) FROM recharges")
        wallets = await value(tx, "SELECT sum(available_paise) FROM wallets")
    assert sums == [(wallets, wallets)]
    assert [check.name for check in await monitoring.verify(db) if not check.ok] == []


async def standing(db: Database) -> tuple[int, int, int, int]:
    """Count payments, postings, receipts and mails."""
    async with db.statement() as tx:
        (found,) = await rows(
            tx,
            "SELECT (SELECT count(*) FROM external_payments), (SELECT count(*) FROM postings),"
            " (SELECT count(*) FROM receipts), (SELECT count(*) FROM outbox)",
        )
    return found
