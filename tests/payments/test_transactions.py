"""A customer's statement: recharges that wait, what moved in the wallet, and what failed when it is asked for."""

import pytest

from numberdesk.payments import service as payments
from numberdesk.payments.model import Page
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import Credit
from tests.payments.stage import UTR, Stage

pytestmark = pytest.mark.anyio


async def page(stage: Stage, *, limit: int = 50, cursor: str | None = None, **filters: object) -> Page:
    wanted = {"type": None, "state": None, "since": None, "until": None} | filters
    return await payments.list_transactions(
        stage.db, account_id=stage.asha, limit=limit, cursor=cursor, **wanted  # type: ignore[arg-type]
    )  # fmt: skip


async def test_a_recharge_is_pending_then_completed_and_names_how_it_was_paid(stage: Stage) -> None:
    recharge = await stage.begin()
    (line,) = (await page(stage)).lines
    assert (line.id, line.type, line.state, line.method, line.balance_after_paise) == (
        recharge.ref, "recharge", "pending", "upi", None,
    )  # fmt: skip
    await stage.settle(stage.proof(recharge, utr=UTR))
    (line,) = (await page(stage)).lines
    assert (line.type, line.state, line.ref, line.method, line.balance_after_paise) == (
        "recharge", "completed", recharge.ref, "upi", recharge.payable_paise,
    )  # fmt: skip


async def test_what_failed_moved_nothing_and_is_listed_when_asked_for(stage: Stage) -> None:
    recharge = await stage.begin()
    await stage.change("UPDATE recharges SET status = 'expired'")
    assert (await page(stage)).lines == []
    (line,) = (await page(stage, state="failed")).lines
    assert (line.ref, line.state) == (recharge.ref, "failed")
    assert (await page(stage, state="failed", type="admin_credit")).lines == []
    await stage.settle(stage.proof(recharge))
    assert (await page(stage, state="failed")).lines == []


async def test_pages_go_from_what_waits_to_what_moved_without_a_gap_or_a_repeat(stage: Stage) -> None:
    waiting = [await stage.begin() for _ in range(3)]
    async with stage.db.transaction() as tx:
        from_staff = [Credit(stage.asha, recharge.payable_paise, "admin_credit", recharge.ref) for recharge in waiting]
        await wallet.credit(tx, from_staff)
    for limit in (1, 2, 3, 4, 5, 6, 7):
        found, cursor = [], None
        while True:
            part = await page(stage, limit=limit, cursor=cursor)
            assert len(part.lines) <= limit
            found += [line.id for line in part.lines]
            cursor = part.following
            if cursor is None:
                break
        assert found == [*(item.ref for item in reversed(waiting)), "3", "2", "1"]


async def test_nobody_sees_anybody_elses(stage: Stage) -> None:
    await stage.begin(account=stage.bela)
    await stage.settle(stage.proof(await stage.begin(account=stage.bela)))
    assert (await page(stage)).lines == []
