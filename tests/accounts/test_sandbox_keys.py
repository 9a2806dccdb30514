"""Test keys and the sandbox accounts that they belong to."""

import asyncio

import pytest

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import CUSTOMER_SCOPES, NewKey
from numberdesk.accounts.service import AccountBanned, AccountFrozen, BadKey, EmailUnverified, Ring, TermsOwed
from numberdesk.base import ids
from numberdesk.base.db import Database, rows, value
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import SANDBOX_OFFSET, AccountId
from tests.accounts.test_service import PEPPER, change, grow_old, issued, ring_of, shown

pytestmark = pytest.mark.anyio


async def sandbox_key(db: Database, owner: AccountId) -> NewKey:
    async with db.transaction() as tx:
        sandboxes = await accounts.open_sandboxes(tx, [owner])
        return (await accounts.issue_keys(tx, account_ids=sandboxes, name="test", pepper=PEPPER))[0]


async def met(db: Database, key: NewKey) -> Ring:
    """Return a process that has met the holder of a key, and whose last look was after all changes so far."""
    await grow_old(db)
    ring = await ring_of(db)
    await ring.authenticate(shown(key.secret))
    assert ring.known(shown(key.secret)) is not None
    return ring


async def states(db: Database) -> list[str]:
    """Return the states of all accounts, those of sandboxes last."""
    async with db.statement() as tx:
        return [row[0] for row in await rows(tx, "SELECT state FROM accounts ORDER BY id")]


async def test_an_account_has_one_sandbox_however_often_it_is_asked_for(db: Database) -> None:
    owner = (await issued(db)).account_id
    first, *others = await asyncio.gather(*(sandbox_key(db, owner) for _ in range(5)))
    assert {key.account_id for key in (first, *others)} == {owner + SANDBOX_OFFSET}
    async with db.statement() as tx:
        found = await rows(tx, "SELECT sandbox_of, password_hash, role FROM accounts WHERE is_sandbox(id)")
    assert [tuple(row) for row in found] == [(owner, None, "customer")]
    assert (await wallet.balance(db, first.account_id)).available_paise == wallet.SANDBOX_PAISE
    assert (await wallet.balance(db, owner)).available_paise == 0


async def test_several_sandboxes_are_returned_in_the_order_of_their_owners(db: Database) -> None:
    async with db.transaction() as tx:
        owners = await accounts.create(tx, emails=["a@example.com", "b@example.com"], names=["", ""])
        await accounts.open_sandboxes(tx, owners[:1])
        found = await accounts.open_sandboxes(tx, owners[::-1])
    assert found == [owner + SANDBOX_OFFSET for owner in owners[::-1]]


async def test_a_test_key_is_told_by_its_beginning(db: Database) -> None:
    key = await sandbox_key(db, (await issued(db)).account_id)
    assert (key.secret[:8], len(key.secret)) == ("nd_test_", 55)
    async with db.statement() as tx:
        assert await value(tx, "SELECT prefix FROM api_keys WHERE id = $1", key.id) == key.secret[:16]
    caller = await (await ring_of(db)).authenticate(shown(key.secret))
    assert (caller.account_id, caller.scopes, caller.role) == (key.account_id, CUSTOMER_SCOPES, "customer")


async def test_a_key_that_begins_with_another_word_is_none(db: Database) -> None:
    ring = await ring_of(db)
    body = f"nd_fake_{ids.base62(8)}_{ids.base62(32)}"
    with pytest.raises(BadKey):
        await ring.authenticate(shown(body + ids.checksum(body)))
    good = (await sandbox_key(db, (await issued(db)).account_id)).secret
    with pytest.raises(BadKey):
        await ring.authenticate(shown(good.replace("nd_test_", "nd_live_")))


async def test_staff_have_no_staff_scopes_in_their_sandbox(db: Database) -> None:
    owner = (await issued(db)).account_id
    await accounts.set_role(db, owner, "owner")
    key = await sandbox_key(db, owner)
    await change(db, "UPDATE api_keys SET scopes = scopes || '{admin:owner,account}' WHERE id = $1", key.id)
    caller = await (await ring_of(db)).authenticate(shown(key.secret))
    assert caller.scopes == CUSTOMER_SCOPES


async def test_what_happens_to_the_owner_happens_to_the_sandbox_within_a_refresh(db: Database) -> None:
    owner = (await issued(db)).account_id
    key = await sandbox_key(db, owner)
    ring = await met(db, key)
    await accounts.set_state(db, owner, "frozen")
    await ring.refresh()
    assert ring.known(shown(key.secret)) is None
    caller = await ring.authenticate(shown(key.secret))
    with pytest.raises(AccountFrozen):
        accounts.refuse_spending(caller)
    assert await states(db) == ["frozen", "frozen"]
    await accounts.set_state(db, owner, "banned")
    await ring.refresh()
    with pytest.raises(AccountBanned):
        await ring.authenticate(shown(key.secret))
    assert await states(db) == ["banned", "banned"]
    await accounts.set_state(db, owner, "active")
    await ring.refresh()
    accounts.refuse_spending(await ring.authenticate(shown(key.secret)))


async def test_terms_and_a_proven_address_are_the_owners(db: Database) -> None:
    owner = (await issued(db)).account_id
    key = await sandbox_key(db, owner)
    first = await accounts.publish_terms(db, "The first terms.")
    await change(db, "UPDATE accounts SET terms_version = $2 WHERE id = $1", owner, first)
    ring = await ring_of(db)
    accounts.refuse_spending(await ring.authenticate(shown(key.secret)))
    second = await accounts.publish_terms(db, "The second terms.")
    await ring.refresh()
    with pytest.raises(TermsOwed):
        accounts.refuse_spending(await ring.authenticate(shown(key.secret)))
    await change(db, "UPDATE accounts SET verified_at = NULL, terms_version = $2 WHERE id = $1", owner, second)
    with pytest.raises(EmailUnverified):
        accounts.refuse_spending(await (await ring_of(db)).authenticate(shown(key.secret)))


async def test_the_request_limit_is_the_owners(db: Database) -> None:
    owner = (await issued(db)).account_id
    key = await sandbox_key(db, owner)
    async with db.transaction() as tx:
        await accounts.lift_limit(tx, [owner])
    assert (await (await ring_of(db)).authenticate(shown(key.secret))).api_per_minute == 0


async def test_nobody_signs_in_to_a_sandbox_and_no_mail_goes_there(db: Database) -> None:
    owner = (await issued(db)).account_id
    sandbox = (await sandbox_key(db, owner)).account_id
    assert await accounts.find_by_email(db, f"sandbox-{owner}@sandbox.invalid") is None
    assert [person.id for person in await accounts.list_people(db, words="", cursor=None, limit=10)] == [owner]
    async with db.statement() as tx:
        assert list(await accounts.recipients(tx, [owner, sandbox])) == [owner]


async def test_what_freezes_an_account_by_itself_freezes_its_sandbox_which_may_be_made_later(db: Database) -> None:
    first, second = (await issued(db)).account_id, (await issued(db, "bob@example.com")).account_id
    await sandbox_key(db, first)
    async with db.transaction() as tx:
        await accounts.freeze(tx, first, reason="a payment was taken back")
        await accounts.freeze(tx, second, reason="a payment was taken back")
    await sandbox_key(db, second)
    assert await states(db) == ["frozen"] * 4
