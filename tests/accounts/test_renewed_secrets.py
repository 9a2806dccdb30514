"""Secrets of an installation are renewed without losing what older ones hashed and sealed."""

import pyotp
import pytest

from numberdesk.accounts import service as accounts
from numberdesk.accounts.service import BadKey, Ring, TokenKeys
from numberdesk.base import crypto
from numberdesk.base.crypto import Vault, WrongKey
from numberdesk.base.db import Database, run, value
from numberdesk.base.visit import Visit
from numberdesk.providers import service as providers
from numberdesk.wallet.model import AccountId

pytestmark = pytest.mark.anyio

TOKENS = TokenKeys(["signs the tokens of these tests: 0123456789"])
OLD, NEW = "pepper-of-last-year", "pepper-of-this-year"


async def account(db: Database) -> AccountId:
    async with db.transaction() as tx:
        return (await accounts.create(tx, emails=["asha@example.com"], names=["Asha"]))[0]


async def test_a_key_that_is_used_goes_over_to_the_newer_pepper(db: Database) -> None:
    asha = await account(db)
    async with db.transaction() as tx:
        used, unused = await accounts.issue_keys(tx, account_ids=[asha, asha], name="bot", pepper=OLD)
    visits = {key.id: Visit("request-1", "127.0.0.1", key=key.secret) for key in (used, unused)}
    with pytest.raises(BadKey):
        await Ring(db, peppers=[NEW], tokens=TOKENS).authenticate(visits[used.id])
    both = Ring(db, peppers=[NEW, OLD], tokens=TOKENS)
    await both.refresh()
    assert (await both.authenticate(visits[used.id])).key_id == used.id
    assert both.known(visits[used.id]) is not None
    alone = Ring(db, peppers=[NEW], tokens=TOKENS)
    assert (await alone.authenticate(visits[used.id])).key_id == used.id
    with pytest.raises(BadKey):
        await alone.authenticate(visits[unused.id])


async def test_what_was_sealed_with_an_older_key_is_sealed_anew(db: Database) -> None:
    asha = await account(db)
    old, new = crypto.new_key(), crypto.new_key()
    before, during, after = Vault([old]), Vault([new, old]), Vault([new])
    async with db.transaction() as tx:
        phone = before.seal("+919876543210", about=f"accounts.phone:{asha}")
        await run(tx, "UPDATE accounts SET phone = $2 WHERE id = $1", asha, phone)
        secret = before.seal(pyotp.random_base32(), about=f"second_factors:{asha}")
        await run(tx, "INSERT INTO second_factors (account_id, secret) VALUES ($1, $2)", asha, secret)
    alpha = await providers.add(
        db, before, name="alpha", kind="sms-activate", url="http://127.0.0.1:1", api_key="its-key"
    )
    path = await providers.hook_path(db, before, alpha)
    assert await accounts.reseal(db, during, limit=1) == 2
    assert await providers.reseal(db, during) == 1
    assert await providers.reseal_hooks(db, during) == 1
    assert await accounts.reseal(db, during) == await providers.reseal(db, during) == 0
    assert await providers.reseal_hooks(db, during) == 0
    async with db.statement() as tx:
        phone = await value(tx, "SELECT phone FROM accounts")
        key = await value(tx, "SELECT api_key_sealed FROM providers")
    assert after.open(phone, about=f"accounts.phone:{asha}") == "+919876543210"
    assert after.open(key) == "its-key"
    assert await providers.hook_path(db, after, alpha) == path
    assert await providers.find_hook(db, name="alpha", token=path.rpartition("/")[2]) == alpha
    with pytest.raises(WrongKey):
        before.open(phone, about=f"accounts.phone:{asha}")


def test_what_is_sealed_for_one_row_does_not_open_in_another() -> None:
    vault = Vault([crypto.new_key()])
    sealed = vault.seal("+919876543210", about="accounts.phone:1")
    for place in ("accounts.phone:2", "second_factors:1", "accounts.phone:11"):
        with pytest.raises(WrongKey):
            vault.open(sealed, about=place)
