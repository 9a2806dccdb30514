"""Verbs on API keys."""

from collections.abc import Sequence
from datetime import datetime
from ipaddress import ip_network

from numberdesk.accounts import sql
from numberdesk.accounts.model import CUSTOMER_SCOPES, STAFF_SCOPES, Caller, Dialect, Key, KeyId, Mode, NewKey, Scope
from numberdesk.accounts.service._accounts import open_sandboxes
from numberdesk.accounts.service._errors import EmailUnverified, KeyReplaced, TooManyKeys
from numberdesk.accounts.service._people import People, done_by, now_text, told
from numberdesk.accounts.service._ring import new_secret, prefix_of
from numberdesk.audit import service as audit
from numberdesk.base import clock
from numberdesk.base.crypto import keyed_hash
from numberdesk.base.db import Database, Tx
from numberdesk.base.errors import InvalidFields, NotFound
from numberdesk.base.visit import Visit
from numberdesk.notifications import service as notifications
from numberdesk.wallet.model import AccountId, is_sandbox

KEYS_MAX = 20
IPS_MAX = 50
OVERLAP_HOURS_MAX = 168


async def count_keys_unused(db: Database, *, since: datetime) -> int:
    """Return how many keys of before a moment are still good and were not used after it."""
    async with db.statement() as tx:
        return await sql.count_keys_unused(tx, since=since)


async def issue_keys(
    tx: Tx, *, account_ids: Sequence[AccountId], name: str, pepper: str, scopes: Sequence[Scope] = CUSTOMER_SCOPES,
    expires_at: datetime | None = None, allowed_ips: Sequence[str] = (), dialect: Dialect | None = None,
) -> list[NewKey]:  # fmt: skip
    """Make one API key for each account, a test key for a sandbox.

    The secrets are returned once and stored as keyed hashes.
    """
    secrets = [new_secret("test" if is_sandbox(account_id) else "live") for account_id in account_ids]
    key_ids = await sql.insert_keys(
        tx,
        account_ids=account_ids,
        name=name,
        prefixes=[prefix_of(secret) for secret in secrets],
        hashes=[keyed_hash(secret, key=pepper) for secret in secrets],
        scopes=scopes,
        expires_at=expires_at,
        allowed_ips=allowed_ips,
        dialect=dialect,
    )
    return [
        NewKey(key_id, account_id, secret)
        for key_id, account_id, secret in zip(key_ids, account_ids, secrets, strict=True)
    ]


async def list_keys(db: Database, caller: Caller) -> list[Key]:
    """Return the caller's keys that were not revoked, the newest first."""
    async with db.statement() as tx:
        return await sql.list_keys(tx, caller.account_id, limit=KEYS_MAX * 5)


async def create_key(
    people: People, caller: Caller, visit: Visit, *, name: str, scopes: Sequence[Scope], expires_at: datetime | None,
    allowed_ips: Sequence[str], mode: Mode = "live", dialect: Dialect | None = None,
) -> NewKey:  # fmt: skip
    """Make a key for the caller's own account, or for its sandbox, which is made with its first key.

    Raises:
        InvalidFields: a scope that the caller may not give away, a time that is over, or an address that is none.
        EmailUnverified: the address was not proven: whoever registered it may not be its owner.
        TooManyKeys: there are as many as one account may have.
    """
    if not caller.is_verified:
        raise EmailUnverified
    mine = (*CUSTOMER_SCOPES, *(STAFF_SCOPES[caller.role] if mode == "live" else ()))
    if not scopes or not set(scopes) <= set(mine):
        raise InvalidFields({"scopes": f"must be some of: {', '.join(mine)}"})
    if expires_at is not None and (expires_at.tzinfo is None or expires_at <= clock.now()):
        raise InvalidFields({"expiresAt": "must be a time to come, with its offset from UTC"})
    networks = _networks(allowed_ips)
    async with people.db.transaction() as tx:
        person = await sql.lock_person(tx, caller.account_id)
        if person is None or await sql.count_live_keys(tx, caller.account_id) >= KEYS_MAX:
            raise TooManyKeys
        holder = caller.account_id
        if mode == "test":
            (holder,) = await open_sandboxes(tx, [holder])
        (key,) = await issue_keys(
            tx, account_ids=[holder], name=name, pepper=people.ring.peppers[0], scopes=scopes,
            expires_at=expires_at, allowed_ips=networks, dialect=dialect,
        )  # fmt: skip
        await _tell(people, tx, caller, visit, key, name=name, to=person.email, action="api_key_made")
    return key


async def rotate_key(people: People, caller: Caller, visit: Visit, key_id: KeyId, *, overlap_hours: int) -> NewKey:
    """Make a key of the same mode that takes another's place; the old one works for some hours more.

    Raises:
        NotFound: no such working key of the caller's.
        KeyReplaced: it was rotated before.
    """
    async with people.db.transaction() as tx:
        person = await sql.lock_person(tx, caller.account_id)
        old = await sql.lock_key(tx, caller.account_id, key_id)
        if person is None or old is None:
            raise NotFound(what="API key")
        if old.replaced_by is not None:
            raise KeyReplaced
        (key,) = await issue_keys(
            tx, account_ids=[old.account_id], name=old.name, pepper=people.ring.peppers[0], scopes=old.scopes,
            expires_at=old.expires_at, allowed_ips=old.allowed_ips, dialect=old.dialect,
        )  # fmt: skip
        if not await sql.set_key_replaced(tx, key_id, by=key.id, hours=overlap_hours):
            raise KeyReplaced
        await _tell(people, tx, caller, visit, key, name=old.name, to=person.email, action="api_key_rotated")
    return key


async def set_dialect(db: Database, caller: Caller, visit: Visit, key_id: KeyId, *, dialect: Dialect | None) -> Key:
    """Have the protocol be spoken otherwise to a key of the caller's; every process follows within a second.

    Raises:
        NotFound: no such live key of the caller's.
    """
    async with db.transaction() as tx:
        key = await sql.set_key_dialect(tx, key_id, caller.account_id, dialect)
        if key is None:
            raise NotFound(what="API key")
        await audit.record(tx, done_by(caller, visit, "api_key_dialect_set", key_id=key_id, dialect=dialect or ""))
    return key


async def revoke_own_key(db: Database, caller: Caller, visit: Visit, key_id: KeyId) -> None:
    """End a key of the caller's; every process follows within a second.

    Raises:
        NotFound: no such live key of the caller's.
    """
    async with db.transaction() as tx:
        if not await sql.set_key_revoked(tx, key_id, caller.account_id):
            raise NotFound(what="API key")
        await audit.record(tx, done_by(caller, visit, "api_key_revoked", key_id=key_id))


async def revoke_key(db: Database, key_id: KeyId) -> None:
    """End any key; every process follows within a second.

    Raises:
        NotFound: no such live key.
    """
    async with db.statement() as tx:
        if not await sql.set_key_revoked(tx, key_id, None):
            raise NotFound(what="API key")


async def _tell(
    people: People, tx: Tx, caller: Caller, visit: Visit, key: NewKey, *, name: str, to: str, action: str
) -> None:
    shown = prefix_of(key.secret)
    await audit.record(tx, done_by(caller, visit, action, key_id=key.id, prefix=shown))
    notice = told(
        "api_key_made", to=to, account_id=caller.account_id, name="", key_name=name, prefix=shown,
        at=now_text(), ip=visit.ip,
    )  # fmt: skip
    await notifications.enqueue(tx, people.vault, [notice])


def _networks(texts: Sequence[str]) -> list[str]:
    if len(texts) > IPS_MAX:
        raise InvalidFields({"allowedIps": f"must be {IPS_MAX} addresses at most"})
    try:
        return [str(ip_network(text.strip(), strict=False)) for text in texts]
    except ValueError:
        raise InvalidFields(
            {"allowedIps": 'must be addresses or networks such as "203.0.113.7" or "10.0.0.0/8"'}
        ) from None
