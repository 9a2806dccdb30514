"""The ledger in the background: what is new is checked at once, what is found wrong stays told until all is checked."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from numberdesk.accounts import service as accounts
from numberdesk.audit import service as audit
from numberdesk.audit.model import Event
from numberdesk.base.crypto import Vault, new_key
from numberdesk.base.db import Database, rows, run
from numberdesk.base.money import Paise
from numberdesk.base.passes import each
from numberdesk.monitoring import jobs, service
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import AccountId, Credit
from tests import postgres
from tests.monitoring.scene import set_scene

pytestmark = pytest.mark.anyio

AN_HOUR = 3600.0
VAULT = Vault([new_key()])


async def results(db: Database, scope: str) -> dict[str, int]:
    async with db.statement() as tx:
        found = await rows(tx, "SELECT name, wrong FROM ledger_results WHERE scope = $1", scope)
    return dict(found)


async def make_due(db: Database) -> None:
    """Have everything due, and what was posted be old enough to be final."""
    async with db.transaction() as tx:
        await run(tx, "UPDATE ledger_runs SET due_at = clock_timestamp()")


async def credited(db: Database, account_id: AccountId, cause: str) -> None:
    async with db.transaction() as tx:
        await wallet.credit(tx, [Credit(account_id, Paise(100), "admin_credit", cause)])


@pytest.fixture
async def owner(admin_url: str) -> AsyncIterator[Any]:
    """The superuser, whom neither triggers nor foreign keys stop."""
    connection = await postgres.connect_cleaner(admin_url)
    yield connection
    await connection.close()


async def aged(owner: Any) -> None:
    await owner.execute("UPDATE postings SET at = at - interval '5 minutes'")


async def test_new_postings_are_checked_once_and_nothing_is_wrong_in_a_ledger_that_was_lived_in(
    db: Database, owner: Any
) -> None:
    assert await service.check_recent(db, VAULT) == 0
    await set_scene(db)
    await aged(owner)
    await make_due(db)
    assert await service.check_recent(db, VAULT) > 20
    assert set((await results(db, "recent")).values()) == {0}
    await make_due(db)
    assert await service.check_recent(db, VAULT) == 0, "they were checked already"
    assert await service.check_recent(db, VAULT) == 0, "it is not due"


@pytest.mark.parametrize(
    ("statement", "check"),
    [
        ("UPDATE entries SET amount_paise = amount_paise + 5 WHERE bucket = 'adjustments'", "new postings have"),
        ("UPDATE wallets SET available_paise = available_paise + 1", "wallets are what"),
        ("UPDATE wallets SET version = version + 1", "wallets are what"),
        (
            "UPDATE entries SET balance_after_paise = balance_after_paise + 3"
            " WHERE account_id IS NOT NULL AND posting_id = (SELECT max(id) FROM postings)",
            "each new",
        ),
        ("UPDATE wallets SET held_paise = held_paise + 7", "held money is"),
    ],
)
async def test_a_fault_among_the_new_ones_is_found_and_told_until_the_whole_ledger_is_right(
    db: Database, owner: Any, statement: str, check: str
) -> None:
    scene = await set_scene(db)
    await service.check_recent(db, VAULT)
    await credited(db, scene.bob, "new")
    await aged(owner)
    await owner.execute(statement)
    await make_due(db)
    await service.check_recent(db, VAULT)
    wrong = [name for name, count in (await results(db, "recent")).items() if count]
    assert [name for name in wrong if name.startswith(check)], wrong
    await make_due(db)
    await service.check_recent(db, VAULT)
    assert [name for name, count in (await results(db, "recent")).items() if count] == wrong, "it stays told"


async def test_the_whole_ledger_is_checked_when_due_by_one_of_several_workers(db: Database, owner: Any) -> None:
    assert not await jobs.check_whole(db, VAULT, None)
    assert not await service.check_whole(db, VAULT, every_seconds=AN_HOUR), "not right after the start"
    await set_scene(db)
    await owner.execute("INSERT INTO ledger_results VALUES ('recent', 'I1', 'x', 1, '{}', now())")
    await make_due(db)
    done: list[bool] = []

    async def check(_: int) -> None:
        done.append(await service.check_whole(db, VAULT, every_seconds=AN_HOUR))

    await each(range(4), check, at_once=4)
    assert sorted(done) == [False, False, False, True]
    whole = await results(db, "whole")
    assert len(whole) > 15
    assert set(whole.values()) == {0}
    assert await results(db, "recent") == {}, "what was wrong before is judged anew"
    await owner.execute("UPDATE wallets SET version = version + 1")
    await make_due(db)
    assert await service.check_whole(db, VAULT, every_seconds=AN_HOUR)
    assert any((await results(db, "whole")).values())


async def told(db: Database) -> list[tuple[str, int | None]]:
    """Return what staff were told, as (template, person); in the chat it is nobody's."""
    async with db.statement() as tx:
        return await rows(tx, "SELECT template, account_id FROM outbox ORDER BY id")


async def hired(db: Database) -> dict[str, int]:
    """Return the ids of one of each role, who also have a chat."""
    roles = ("support", "finance", "ops", "owner")
    async with db.transaction() as tx:
        ids = await accounts.create(tx, emails=[f"{role}@staff.example.com" for role in roles], names=["Ravi"] * 4)
        await run(tx, "INSERT INTO staff_targets (channel, kinds) VALUES ('apprise', '{system}')")
    for account_id, role in zip(ids, roles, strict=True):
        await accounts.set_role(db, account_id, role)  # type: ignore[arg-type]
    return dict(zip(roles, map(int, ids), strict=True))


async def test_what_the_background_finds_is_told_to_those_who_can_act_once_a_day_while_it_is_the_same(
    db: Database, owner: Any
) -> None:
    scene = await set_scene(db)
    await owner.execute("UPDATE accounts SET role = 'customer'")  # whoever the scene needed
    people = await hired(db)
    await service.check_recent(db, VAULT)
    await service.check_whole(db, VAULT, every_seconds=AN_HOUR)
    await owner.execute("DELETE FROM outbox")
    await credited(db, scene.bob, "new")
    await aged(owner)
    await owner.execute("UPDATE wallets SET version = version + 1")
    for _ in range(2):
        await make_due(db)
        await service.check_recent(db, VAULT)
    mailed = [("staff_news", people[role]) for role in ("finance", "ops", "owner")]
    assert sorted(await told(db), key=str) == sorted([("staff_system", None), *mailed], key=str)
    await owner.execute("DELETE FROM outbox")
    for _ in range(2):
        await make_due(db)
        await service.check_whole(db, VAULT, every_seconds=AN_HOUR)
    found = await told(db)
    assert sorted(found, key=str) == sorted([("staff_system", None), *mailed], key=str), "the whole finds the same"
    checks = await service.verify(db)
    async with db.transaction() as tx:
        await service.tell_wrong(tx, VAULT, checks)
    assert await told(db) == found, "and so does whoever looks by hand"
    await owner.execute(
        "UPDATE outbox SET dedupe_key = replace(dedupe_key, checks_day, '2020-01-01')"
        " FROM (SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS checks_day) AS today"
    )
    async with db.transaction() as tx:
        await service.tell_wrong(tx, VAULT, checks)
    assert len(await told(db)) == 2 * len(found), "the next day it is told again"


async def audited(db: Database, *actions: str) -> None:
    async with db.transaction() as tx:
        await audit.record(tx, *(Event(action, 5) for action in actions))
    await audit.seal(db)
    await make_due(db)


async def test_an_audit_log_that_was_changed_or_cut_off_is_found_and_told(db: Database, owner: Any) -> None:
    people = await hired(db)
    assert not await jobs.check_audit(db, VAULT, None)
    assert not await service.check_audit(db, VAULT, every_seconds=AN_HOUR), "not right after the start"
    await audited(db, "one", "two", "three")
    assert await service.check_audit(db, VAULT, every_seconds=AN_HOUR)
    assert not await service.check_audit(db, VAULT, every_seconds=AN_HOUR), "it is not due"
    assert set((await results(db, "audit")).values()) == {0}
    assert await told(db) == []
    # Row and seal of the newest one: nothing of what is left is wrong by itself.
    await owner.execute("DELETE FROM audit_log WHERE action = 'three'")
    await owner.execute("DELETE FROM audit_seals WHERE seq = (SELECT max(seq) FROM audit_seals)")
    await make_due(db)
    assert (await audit.check(db)).breaks == []
    assert await service.check_audit(db, VAULT, every_seconds=AN_HOUR)
    assert list((await results(db, "audit")).values()) == [1]
    mailed = [("staff_news", people[role]) for role in ("ops", "owner")]
    assert sorted(await told(db), key=str) == sorted([("staff_system", None), *mailed], key=str)
    await owner.execute("UPDATE audit_log SET action = 'other' WHERE action = 'two'")
    await make_due(db)
    await service.check_audit(db, VAULT, every_seconds=AN_HOUR)
    assert list((await results(db, "audit")).values()) == [2]
    await make_due(db)
    await service.check_whole(db, VAULT, every_seconds=AN_HOUR)
    assert list((await results(db, "audit")).values()) == [2], "the ledger's checks are others"
