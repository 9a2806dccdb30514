"""Accounts, their keys, and what each Idempotency-Key was used for."""

import asyncio
from collections.abc import Sequence
from typing import LiteralString

import pytest

from numberdesk.accounts import jobs
from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import CUSTOMER_SCOPES, Answer, NewKey, Scope
from numberdesk.accounts.service import (
    AccountBanned,
    AccountFrozen,
    BadKey,
    KeyInFlight,
    KeyReused,
    NoCredentials,
    Ring,
    ScopeTooSmall,
    TokenKeys,
)
from numberdesk.base import ids
from numberdesk.base.db import Database, Duplicate, open_database, rows, run, value
from numberdesk.base.errors import NotFound, Unavailable
from numberdesk.base.visit import Visit
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import AccountId

pytestmark = pytest.mark.anyio

PEPPER = "pepper-of-the-tests-of-accounts"
TOKENS = TokenKeys(["signs the tokens of these tests: 0123456789"])
BODY = b'{"service":"tg","country":"IN"}'
BUY = "/auth/get-number"


async def issued(
    db: Database, email: str = "alice@example.com", *, scopes: Sequence[Scope] = CUSTOMER_SCOPES
) -> NewKey:
    """Open an account with one key."""
    async with db.transaction() as tx:
        account_ids = await accounts.create(tx, emails=[email], names=["Alice"])
        return (await accounts.issue_keys(tx, account_ids=account_ids, name="test", pepper=PEPPER, scopes=scopes))[0]


def shown(secret: str | None) -> Visit:
    """Return a request that shows a key."""
    return Visit("request-1", "127.0.0.1", key=secret)


async def change(db: Database, query: LiteralString, *args: object) -> None:
    async with db.statement() as tx:
        await run(tx, query, *args)


async def grow_old(db: Database) -> None:
    """Move the last change of every account and key into the past."""
    await change(db, "UPDATE api_keys SET changed_at = changed_at - interval '1 hour'")
    await change(db, "UPDATE accounts SET changed_at = changed_at - interval '1 hour'")


async def ring_of(db: Database, *, pepper: str = PEPPER) -> Ring:
    """Return the key table of a process that has just started."""
    ring = Ring(db, peppers=[pepper], tokens=TOKENS)
    await ring.refresh()
    return ring


@pytest.fixture
async def closed(database_url: str) -> Database:
    """A database that cannot be reached."""
    db = await open_database(database_url, size=2)
    await db.close()
    return db


async def test_an_address_has_one_account_whatever_its_case(db: Database) -> None:
    key = await issued(db, "Alice@Example.com")
    with pytest.raises(Duplicate):
        await issued(db, "alice@example.COM")
    assert await accounts.find_by_email(db, "ALICE@example.com") == key.account_id
    assert await accounts.find_by_email(db, "bob@example.com") is None


async def test_accounts_are_opened_in_order_with_empty_wallets(db: Database) -> None:
    emails = [f"customer-{number}@example.com" for number in range(5)]
    async with db.transaction() as tx:
        made = await accounts.create(tx, emails=emails, names=[""] * 5)
    assert [await accounts.find_by_email(db, email) for email in emails] == made
    assert (await wallet.balance(db, made[0])).available_paise == 0


async def test_only_a_hash_of_a_key_is_stored(db: Database) -> None:
    key = await issued(db)
    body, check = key.secret[:-6], key.secret[-6:]
    assert (key.secret[:8], len(key.secret), check) == ("nd_live_", 55, ids.checksum(body))
    async with db.statement() as tx:
        ((stored, prefix),) = await rows(tx, "SELECT api_keys::text, prefix FROM api_keys")
    assert prefix == key.secret[:16]
    assert key.secret[17:] not in stored
    assert key.secret.encode().hex() not in stored


async def test_no_two_keys_are_alike(db: Database) -> None:
    async with db.transaction() as tx:
        made = await accounts.create(tx, emails=[f"c{number}@example.com" for number in range(200)], names=[""] * 200)
        keys = await accounts.issue_keys(tx, account_ids=made, name="test", pepper=PEPPER)
    assert len({key.secret for key in keys}) == 200
    assert [key.account_id for key in keys] == made


@pytest.mark.parametrize("secret", [None, ""])
async def test_no_key_is_no_caller(db: Database, secret: str | None) -> None:
    ring = await ring_of(db)
    with pytest.raises(NoCredentials):
        await ring.authenticate(shown(secret))


async def test_a_malformed_key_is_refused_without_asking_the_database(db: Database, closed: Database) -> None:
    good = (await issued(db)).secret
    ring = Ring(closed, peppers=[PEPPER], tokens=TOKENS)
    wrong = ("A" if good[20] != "A" else "B").join([good[:20], good[21:]])
    for secret in (
        "x",
        good[:-1],
        good + "a",
        wrong,
        good[:-1] + "é",
        good.upper(),
        " " + good,
        "\0" * 55,
        "x" * 10**6,
    ):
        with pytest.raises(BadKey):
            await ring.authenticate(shown(secret))
    with pytest.raises(Unavailable):
        await ring.authenticate(shown(good))


async def test_an_unknown_key_of_the_right_form_is_refused(db: Database) -> None:
    body = f"nd_live_{ids.base62(8)}_{ids.base62(32)}"
    ring = await ring_of(db)
    for _ in range(2):
        with pytest.raises(BadKey):
            await ring.authenticate(shown(body + ids.checksum(body)))


async def test_a_key_fits_its_own_pepper_only(db: Database) -> None:
    key = await issued(db)
    with pytest.raises(BadKey):
        await (await ring_of(db, pepper="another-pepper-of-16")).authenticate(shown(key.secret))


async def test_a_good_key_tells_who_calls(db: Database) -> None:
    key = await issued(db)
    ring = await ring_of(db)
    assert ring.known(shown(key.secret)) is None
    caller = await ring.authenticate(shown(key.secret))
    assert (caller.account_id, caller.key_id, caller.scopes) == (key.account_id, key.id, CUSTOMER_SCOPES)
    assert ring.known(shown(key.secret)) is caller


async def test_a_revoked_key_is_refused_by_every_process_at_its_next_look(db: Database) -> None:
    key = await issued(db)
    here, there = await ring_of(db), await ring_of(db)
    for ring in (here, there):
        await ring.authenticate(shown(key.secret))
    await accounts.revoke_key(db, key.id)
    for ring in (here, there):
        await ring.refresh()
        assert ring.known(shown(key.secret)) is None
        with pytest.raises(BadKey):
            await ring.authenticate(shown(key.secret))
    with pytest.raises(NotFound):
        await accounts.revoke_key(db, key.id)


async def test_a_process_that_cannot_look_trusts_its_table_for_one_second_only(db: Database) -> None:
    key = await issued(db)
    ring = await ring_of(db)
    await ring.authenticate(shown(key.secret))
    await accounts.revoke_key(db, key.id)
    assert ring.known(shown(key.secret)) is not None
    await asyncio.sleep(accounts.STALE_AFTER + 0.05)
    assert ring.known(shown(key.secret)) is None
    with pytest.raises(BadKey):
        await ring.authenticate(shown(key.secret))


async def test_a_change_that_commits_late_is_seen_all_the_same(db: Database) -> None:
    key = await issued(db)
    await grow_old(db)
    ring = await ring_of(db)
    await ring.authenticate(shown(key.secret))
    async with db.transaction() as tx:
        await run(tx, "UPDATE api_keys SET revoked_at = clock_timestamp(), changed_at = clock_timestamp()")
        await asyncio.sleep(0.05)
        await ring.refresh()
        assert ring.known(shown(key.secret)) is not None
    await ring.refresh()
    assert ring.known(shown(key.secret)) is None


async def test_an_expired_key_is_refused_from_its_moment_on(db: Database) -> None:
    key = await issued(db)
    ring = await ring_of(db)
    await change(db, "UPDATE api_keys SET expires_at = clock_timestamp() + interval '0.2 s'")
    assert (await ring.authenticate(shown(key.secret))).expires_at is not None
    assert ring.known(shown(key.secret)) is not None
    await asyncio.sleep(0.25)
    assert ring.known(shown(key.secret)) is None
    with pytest.raises(BadKey):
        await ring.authenticate(shown(key.secret))


async def test_a_banned_account_is_refused_every_time_until_it_is_opened_again(db: Database) -> None:
    key = await issued(db)
    ring = await ring_of(db)
    await ring.authenticate(shown(key.secret))
    await accounts.set_state(db, key.account_id, "banned")
    await ring.refresh()
    for _ in range(3):
        assert ring.known(shown(key.secret)) is None
        with pytest.raises(AccountBanned):
            await ring.authenticate(shown(key.secret))
    await accounts.set_state(db, key.account_id, "active")
    await ring.refresh()
    assert (await ring.authenticate(shown(key.secret))).state == "active"


async def test_a_frozen_account_may_look_but_not_spend(db: Database) -> None:
    key = await issued(db)
    ring = await ring_of(db)
    await accounts.set_state(db, key.account_id, "frozen")
    caller = await ring.authenticate(shown(key.secret))
    accounts.require(caller, "read")
    accounts.require(caller, "order")
    with pytest.raises(AccountFrozen):
        accounts.refuse_spending(caller)


async def test_a_state_is_set_on_accounts_that_exist(db: Database) -> None:
    with pytest.raises(NotFound):
        await accounts.set_state(db, AccountId(99), "banned")


async def test_a_key_reaches_as_far_as_its_scopes(db: Database) -> None:
    key = await issued(db, scopes=["read"])
    caller = await (await ring_of(db)).authenticate(shown(key.secret))
    accounts.require(caller, "read")
    with pytest.raises(ScopeTooSmall):
        accounts.require(caller, "order")


async def test_keys_that_did_not_change_stay_known(db: Database) -> None:
    first, second = await issued(db), await issued(db, "bob@example.com")
    await grow_old(db)
    ring = await ring_of(db)
    for key in (first, second):
        await ring.authenticate(shown(key.secret))
    await accounts.revoke_key(db, first.id)
    await ring.refresh()
    assert ring.known(shown(first.secret)) is None
    assert ring.known(shown(second.secret)) is not None


async def claimed(db: Database, account_id: AccountId, *, body: bytes = BODY, operation: str = BUY) -> Answer | None:
    return await accounts.claim(db, account_id=account_id, key="once", operation=operation, body=body)


async def answer(db: Database, account_id: AccountId, body: bytes, *, status: int = 200) -> None:
    await accounts.keep_answer(db, account_id=account_id, key="once", answer=Answer(status, body))


async def end_lock(db: Database) -> None:
    await change(db, "UPDATE idempotency_keys SET locked_until = clock_timestamp() - interval '1 ms'")


async def test_a_key_in_flight_is_refused_to_everybody_else(db: Database) -> None:
    alice = (await issued(db)).account_id
    assert await claimed(db, alice) is None
    with pytest.raises(KeyInFlight):
        await claimed(db, alice)


async def test_of_many_at_once_one_gets_the_key(db: Database) -> None:
    alice = (await issued(db)).account_id
    seen = await asyncio.gather(*(claimed(db, alice) for _ in range(20)), return_exceptions=True)
    assert seen.count(None) == 1
    assert sum(isinstance(item, KeyInFlight) for item in seen) == 19


@pytest.mark.parametrize("is_answered", [False, True])
async def test_a_key_is_of_one_request_only(db: Database, is_answered: bool) -> None:
    alice = (await issued(db)).account_id
    await claimed(db, alice)
    if is_answered:
        await answer(db, alice, b"{}")
    for body, operation in ((BODY + b" ", BUY), (b"", BUY), (BODY, "/auth/cancel-number")):
        with pytest.raises(KeyReused):
            await claimed(db, alice, body=body, operation=operation)


async def test_the_first_answer_is_given_again_byte_for_byte(db: Database) -> None:
    alice = (await issued(db)).account_id
    await claimed(db, alice)
    raw = bytes(range(256)) * 300
    await answer(db, alice, raw, status=409)
    for _ in range(2):
        assert await claimed(db, alice) == Answer(409, raw)


async def test_a_key_that_was_given_back_is_free(db: Database) -> None:
    alice = (await issued(db)).account_id
    await claimed(db, alice)
    await accounts.release(db, account_id=alice, key="once")
    assert await claimed(db, alice, body=b"another") is None


async def test_an_answered_key_is_never_given_back(db: Database) -> None:
    alice = (await issued(db)).account_id
    await claimed(db, alice)
    await answer(db, alice, b"done")
    await accounts.release(db, account_id=alice, key="once")
    assert await claimed(db, alice) == Answer(200, b"done")


async def test_a_request_that_died_is_taken_over_by_the_same_request_only(db: Database) -> None:
    alice = (await issued(db)).account_id
    await claimed(db, alice)
    await end_lock(db)
    with pytest.raises(KeyReused):
        await claimed(db, alice, body=b"another")
    assert await claimed(db, alice) is None
    with pytest.raises(KeyInFlight):
        await claimed(db, alice)


async def test_a_claim_is_held_for_longer_than_any_call_takes(db: Database) -> None:
    alice = (await issued(db)).account_id
    await claimed(db, alice)
    async with db.statement() as tx:
        left = await value(
            tx, "SELECT extract(epoch FROM locked_until - clock_timestamp())::float8 FROM idempotency_keys"
        )
    assert accounts.IN_FLIGHT_SECONDS - 5 < left <= accounts.IN_FLIGHT_SECONDS


async def test_an_answered_key_is_not_taken_over(db: Database) -> None:
    alice = (await issued(db)).account_id
    await claimed(db, alice)
    await answer(db, alice, b"done")
    await end_lock(db)
    assert await claimed(db, alice) == Answer(200, b"done")


async def test_the_first_answer_to_be_stored_stays(db: Database) -> None:
    alice = (await issued(db)).account_id
    await claimed(db, alice)
    await answer(db, alice, b"first")
    await answer(db, alice, b"second")
    assert await claimed(db, alice) == Answer(200, b"first")


async def test_two_customers_may_use_the_same_key(db: Database) -> None:
    alice, bob = (await issued(db)).account_id, (await issued(db, "bob@example.com")).account_id
    await claimed(db, alice)
    await answer(db, alice, b"of alice")
    assert await claimed(db, bob, body=b"another") is None


async def test_old_answers_are_forgotten_a_bounded_number_at_a_time(db: Database) -> None:
    alice = (await issued(db)).account_id
    for number in range(5):
        await accounts.claim(db, account_id=alice, key=f"old-{number}", operation=BUY, body=BODY)
    await change(db, "UPDATE idempotency_keys SET created_at = created_at - make_interval(hours => 49)")
    await accounts.claim(db, account_id=alice, key="new", operation=BUY, body=BODY)
    assert [await jobs.forget_old_answers(db, limit=3) for _ in range(3)] == [3, 2, 0]
    async with db.statement() as tx:
        assert await rows(tx, "SELECT key FROM idempotency_keys") == [("new",)]
