"""Verbs of the accounts slice: accounts, API keys, and requests that are safe to repeat."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from numberdesk.accounts import sql
from numberdesk.accounts.model import SCOPES, AccountState, Answer, Caller, KeyId, NewKey, Scope
from numberdesk.base import clock, ids
from numberdesk.base.crypto import keyed_hash
from numberdesk.base.db import Database, Tx
from numberdesk.base.errors import AppError, NotFound
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import AccountId

KEY_START = "nd_live_"
PUBLIC_LENGTH = 8
SECRET_LENGTH = 32
STALE_AFTER = 1.0
"""Seconds after which the key table is no longer trusted without a look into the database."""
OVERLAP = timedelta(seconds=10)
"""How far back each look reaches: a change may commit later than its `changed_at`, at most a statement time-out."""
KEYS_MAX = 200_000
IN_FLIGHT_SECONDS = 30


@dataclass(eq=False)
class NoCredentials(AppError):
    """The request names no caller."""

    status = 401
    code = "credentials_missing"
    category = "authentication"
    message = "Send your API key in the X-API-Key header."


@dataclass(eq=False)
class BadKey(AppError):
    """The key is unknown, revoked or expired: the answer is the same."""

    status = 401
    code = "bad_api_key"
    category = "authentication"
    message = "This API key is not valid."


@dataclass(eq=False)
class AccountBanned(AppError):
    """The account is closed for all calls."""

    status = 403
    code = "account_banned"
    category = "authentication"
    message = "This account is closed. Write to support."


@dataclass(eq=False)
class AccountFrozen(AppError):
    """The account may look but not spend."""

    status = 403
    code = "account_frozen"
    category = "authentication"
    message = "This account cannot buy at the moment. Write to support."


@dataclass(eq=False)
class ScopeTooSmall(AppError):
    """The key is not allowed to do this."""

    scope: Scope

    status = 403
    code = "scope_too_small"
    category = "authentication"
    message = "This API key lacks the scope '{scope}'."


@dataclass(eq=False)
class KeyInFlight(AppError):
    """The first request with this Idempotency-Key is still running."""

    status = 409
    code = "idempotency_key_in_flight"
    category = "transaction"
    message = "The first request with this Idempotency-Key is still running. Repeat in a second."
    retry_after = 1


@dataclass(eq=False)
class KeyReused(AppError):
    """The Idempotency-Key was used for another request."""

    status = 409
    code = "idempotency_key_reused"
    category = "transaction"
    message = "This Idempotency-Key was used for another request. Nothing was done."


async def create(tx: Tx, *, emails: Sequence[str], names: Sequence[str]) -> list[AccountId]:
    """Open accounts with empty wallets, in the order given."""
    account_ids = await sql.insert_accounts(tx, emails, names)
    await wallet.open_wallets(tx, account_ids)
    return account_ids


async def find_by_email(db: Database, email: str) -> AccountId | None:
    """Return the account with this address, or None."""
    async with db.statement() as tx:
        return await sql.find_account_id(tx, email)


async def set_state(db: Database, account_id: AccountId, state: AccountState) -> None:
    """Freeze, ban or reopen an account; every process follows within a second.

    Raises:
        NotFound: no such account.
    """
    async with db.statement() as tx:
        if not await sql.set_account_state(tx, account_id, state):
            raise NotFound(what="account")


async def issue_keys(
    tx: Tx, *, account_ids: Sequence[AccountId], name: str, pepper: str, scopes: Sequence[Scope] = SCOPES
) -> list[NewKey]:
    """Make one API key for each account. The secrets are returned once and stored as keyed hashes."""
    secrets = [_new_secret() for _ in account_ids]
    key_ids = await sql.insert_keys(
        tx,
        account_ids=account_ids,
        name=name,
        prefixes=[secret[: len(KEY_START) + PUBLIC_LENGTH] for secret in secrets],
        hashes=[keyed_hash(secret, key=pepper) for secret in secrets],
        scopes=scopes,
    )
    return [
        NewKey(key_id, account_id, secret)
        for key_id, account_id, secret in zip(key_ids, account_ids, secrets, strict=True)
    ]


async def revoke_key(db: Database, key_id: KeyId) -> None:
    """End a key; every process follows within a second.

    Raises:
        NotFound: no such live key.
    """
    async with db.statement() as tx:
        if not await sql.set_key_revoked(tx, key_id):
            raise NotFound(what="API key")


def _new_secret() -> str:
    body = f"{KEY_START}{ids.base62(PUBLIC_LENGTH)}_{ids.base62(SECRET_LENGTH)}"
    return body + ids.checksum(body)


class KeyRing:
    """The keys this process has met, by their hash; at most a second behind a revocation.

    `refresh` must be called more often than `STALE_AFTER`. When it does not succeed, every call looks into the
    database, and fails when that is out of reach.
    """

    def __init__(self, db: Database, *, pepper: str) -> None:
        self._db = db
        self._pepper = pepper
        self._callers: dict[bytes, Caller] = {}
        self._seen_at = datetime(2000, 1, 1, tzinfo=UTC)
        self._fresh_until = 0.0
        self._forgotten: dict[bytes, datetime] = {}

    async def refresh(self) -> None:
        """Forget the keys that changed, or whose account did."""
        started = clock.seconds()
        async with self._db.statement() as tx:
            now, changed = await sql.list_changed_keys(tx, self._seen_at - OVERLAP)
        for secret_hash, at in changed.items():
            if self._forgotten.get(secret_hash) != at:
                self._callers.pop(secret_hash, None)
        self._forgotten = changed
        self._seen_at = now
        self._fresh_until = started + STALE_AFTER

    def known(self, secret: str) -> Caller | None:
        """Return the caller of a key met before, without waiting; None means that `authenticate` must look."""
        if clock.seconds() > self._fresh_until:
            return None
        caller = self._callers.get(keyed_hash(secret, key=self._pepper))
        if caller is None or caller.state == "banned":
            return None
        if caller.expires_at is not None and caller.expires_at <= clock.now():
            return None
        return caller

    async def authenticate(self, secret: str | None) -> Caller:
        """Return who calls with this key.

        Raises:
            NoCredentials: no key.
            BadKey: unknown, revoked or expired.
            AccountBanned: the account is closed.
        """
        if not secret:
            raise NoCredentials
        caller = self.known(secret)
        if caller is None:
            if not _is_well_formed(secret):
                raise BadKey
            secret_hash, looked_at = keyed_hash(secret, key=self._pepper), self._seen_at
            async with self._db.statement() as tx:
                caller = await sql.find_caller(tx, secret_hash)
            if caller is None:
                raise BadKey
            # What was read while a refresh came by may be older than what that has forgotten: it is not kept.
            if self._seen_at == looked_at:
                if len(self._callers) >= KEYS_MAX:
                    self._callers.clear()
                self._callers[secret_hash] = caller
        if caller.state == "banned":
            raise AccountBanned
        return caller


def require(caller: Caller, scope: Scope) -> None:
    """Refuse a caller whose key lacks a scope.

    Raises:
        ScopeTooSmall: the key lacks it.
    """
    if scope not in caller.scopes:
        raise ScopeTooSmall(scope=scope)


def refuse_frozen(caller: Caller) -> None:
    """Refuse to spend from a frozen account; its open orders go on by the normal rules.

    Raises:
        AccountFrozen: the account is frozen.
    """
    if caller.state == "frozen":
        raise AccountFrozen


def _is_well_formed(secret: str) -> bool:
    body, check = secret[:-6], secret[-6:]
    return (
        len(secret) == len(KEY_START) + PUBLIC_LENGTH + 1 + SECRET_LENGTH + 6
        and secret.isascii()
        and hmac.compare_digest(ids.checksum(body), check)
    )


async def claim(db: Database, *, account_id: AccountId, key: str, operation: str, body: bytes) -> Answer | None:
    """Claim an Idempotency-Key for one request.

    Returns:
        None: carry the request out, then call `keep_answer` or `release`. Or the first answer, to be given again.

    Raises:
        KeyInFlight: the first request is still running.
        KeyReused: it was another request.
    """
    body_hash = hashlib.sha256(body).digest()
    async with db.statement() as tx:
        if await sql.insert_key_use(
            tx, account_id=account_id, key=key, operation=operation, body_hash=body_hash,
            lock_seconds=IN_FLIGHT_SECONDS,
        ):  # fmt: skip
            return None
        use = await sql.find_key_use(tx, account_id=account_id, key=key)
    if use is None:
        raise KeyInFlight
    if use.operation != operation or use.body_hash != body_hash:
        raise KeyReused
    if use.status is None or use.body is None:
        raise KeyInFlight
    return Answer(use.status, use.body)


async def keep_answer(db: Database, *, account_id: AccountId, key: str, answer: Answer) -> None:
    """Store the first answer of a claimed key."""
    async with db.statement() as tx:
        await sql.set_key_answered(tx, account_id=account_id, key=key, status=answer.status, body=answer.body)


async def release(db: Database, *, account_id: AccountId, key: str) -> None:
    """Give a claimed key back after a request that changed nothing."""
    async with db.statement() as tx:
        await sql.delete_key_use(tx, account_id=account_id, key=key)
