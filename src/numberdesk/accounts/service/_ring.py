"""The callers this process has met, by their key or session; at most a second behind a revocation."""

import hmac
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from numberdesk.accounts import sql
from numberdesk.accounts.model import (
    CUSTOMER_SCOPES,
    SESSION_SCOPES,
    SHUT,
    STAFF_SCOPES,
    Caller,
    KeyId,
    Mode,
    Scope,
    SessionId,
)
from numberdesk.accounts.service._errors import (
    AccountBanned,
    AccountFrozen,
    AddressNotAllowed,
    BadKey,
    EmailUnverified,
    EnrolmentNeeded,
    NoCredentials,
    ScopeTooSmall,
    SessionEnded,
    TermsOwed,
    TwoCredentials,
)
from numberdesk.accounts.tokens import Access, TokenKeys, read_access
from numberdesk.base import clock, ids
from numberdesk.base.client_ip import network_of
from numberdesk.base.crypto import keyed_hash
from numberdesk.base.db import Database, Tx
from numberdesk.base.visit import Visit
from numberdesk.wallet.model import AccountId

KEY_STARTS: dict[Mode, str] = {"live": "nd_live_", "test": "nd_test_"}
"""What keys begin with; both words are as long."""
START_LENGTH = 8
PUBLIC_LENGTH = 8
SECRET_LENGTH = 32
STALE_AFTER = 1.0
"""Seconds after which what is remembered is no longer trusted without a look into the database."""
OVERLAP = timedelta(seconds=10)
"""How far back each look reaches: a change may commit later than its `changed_at`, at most a statement time-out."""
KEPT_MAX = 200_000
USES_MAX = 50_000


class Ring:
    """Who holds which key and which session.

    `refresh` must be called more often than `STALE_AFTER`. When it does not succeed, every call looks into the
    database, and fails when that is out of reach.
    """

    def __init__(self, db: Database, *, peppers: Sequence[str], tokens: TokenKeys) -> None:
        self.peppers = tuple(peppers)
        """What API keys are hashed with: the first for new ones, the others until their keys have been used."""
        self._db = db
        self._keys_of_tokens = tokens
        self._by_hash: dict[bytes, Caller] = {}
        self._hashes: dict[KeyId, bytes] = {}
        self._by_session: dict[SessionId, Caller] = {}
        self._tokens: dict[str, Access] = {}
        self._seen_at = datetime(2000, 1, 1, tzinfo=UTC)
        self._fresh_until = 0.0
        self._terms_version = -1
        self._forgotten_keys: dict[KeyId, datetime] = {}
        self._forgotten_sessions: dict[SessionId, datetime] = {}
        self._used: dict[tuple[KeyId | None, SessionId | None], tuple[Caller, str, datetime]] = {}

    async def refresh(self) -> None:
        """Forget the keys and sessions that changed, or whose accounts did; all of them when new terms came."""
        started = clock.seconds()
        async with self._db.statement() as tx:
            changes = await sql.list_changes(tx, self._seen_at - OVERLAP)
        for key_id, at in changes.keys.items():
            if self._forgotten_keys.get(key_id) != at and (secret_hash := self._hashes.pop(key_id, None)) is not None:
                self._by_hash.pop(secret_hash, None)
        for session_id, at in changes.sessions.items():
            if self._forgotten_sessions.get(session_id) != at:
                self._by_session.pop(session_id, None)
        if changes.terms_version != self._terms_version:
            self._by_hash.clear()
            self._by_session.clear()
        self._forgotten_keys, self._forgotten_sessions = dict(changes.keys), dict(changes.sessions)
        self._terms_version = changes.terms_version
        self._seen_at = changes.now
        self._fresh_until = started + STALE_AFTER

    def known(self, visit: Visit) -> Caller | None:
        """Return a caller met before, without waiting; None means that `authenticate` must look."""
        if clock.seconds() > self._fresh_until:
            return None
        if visit.key:
            if visit.token is not None:
                return None
            caller = self._by_hash.get(keyed_hash(visit.key, key=self.peppers[0]))
        elif visit.token and (access := self._tokens.get(visit.token)) is not None:
            if access.expires_at <= clock.now():
                return None
            caller = self._by_session.get(SessionId(access.session_id))
        else:
            return None
        if caller is None or caller.state in SHUT:
            return None
        if caller.expires_at is not None and caller.expires_at <= clock.now():
            return None
        if caller.networks and not is_allowed(caller, visit.ip):
            return None
        self._note(caller, visit.ip)
        return caller

    async def authenticate(self, visit: Visit) -> Caller:
        """Return who calls.

        Raises:
            NoCredentials, TwoCredentials: no key and no token, or both.
            BadKey: the key is unknown, revoked or expired.
            BadToken, TokenExpired: the token is not one of ours, or its time is over.
            SessionEnded: the token's session is over.
            AccountBanned: the account is closed.
            AddressNotAllowed: the key may not be used from there.
        """
        if visit.key and visit.token is not None:
            raise TwoCredentials
        if visit.token is not None:
            caller = await self._by_token(visit.token)
        elif visit.key:
            caller = await self._by_key(visit.key)
        else:
            raise NoCredentials
        if caller.state in SHUT:
            async with self._db.statement() as tx:
                raise await banned(tx, caller.account_id)
        if caller.networks and not is_allowed(caller, visit.ip):
            raise AddressNotAllowed
        self._note(caller, visit.ip)
        return caller

    async def _by_key(self, secret: str) -> Caller:
        if not is_well_formed(secret):
            raise BadKey
        hashes, looked_at = [keyed_hash(secret, key=pepper) for pepper in self.peppers], self._seen_at
        async with self._db.statement() as tx:
            row = await sql.find_key_caller(tx, hashes)
            if row is None or row.key_id is None:
                raise BadKey
            if row.secret_hash != hashes[0]:
                await sql.set_key_hash(tx, row.key_id, hashes[0])
        caller = _caller(row)
        # What was read while a refresh came by may be older than what that has forgotten: it is not kept.
        if self._seen_at == looked_at:
            if len(self._by_hash) >= KEPT_MAX:
                self._by_hash.clear()
                self._hashes.clear()
            self._by_hash[hashes[0]] = caller
            self._hashes[row.key_id] = hashes[0]
        return caller

    async def _by_token(self, token: str) -> Caller:
        access = read_access(self._keys_of_tokens, token, now=clock.now())
        session_id, looked_at = SessionId(access.session_id), self._seen_at
        async with self._db.statement() as tx:
            row = await sql.find_session_caller(tx, session_id)
        if row is None or row.account_id != access.account_id:
            raise SessionEnded
        caller = _caller(row)
        if self._seen_at == looked_at:
            if len(self._by_session) >= KEPT_MAX or len(self._tokens) >= KEPT_MAX:
                self._by_session.clear()
                self._tokens.clear()
            self._by_session[session_id] = caller
            self._tokens[token] = access
        return caller

    def _note(self, caller: Caller, ip: str) -> None:
        if len(self._used) < USES_MAX:
            self._used[caller.key_id, caller.session_id] = caller, ip, clock.now()

    async def write_uses(self) -> int:
        """Write down when and from where keys and sessions were used since the last time; returns how many."""
        uses, self._used = list(self._used.values()), {}
        if not uses:
            return 0
        keys = [(caller.key_id, at, ip) for caller, ip, at in uses if caller.key_id is not None]
        sessions = [(caller.session_id, at) for caller, _, at in uses if caller.session_id is not None]
        places = sorted({(caller.account_id, ip) for caller, ip, _ in uses})
        async with self._db.transaction() as tx:
            if keys:
                key_ids, times, ips = zip(*keys, strict=True)
                await sql.set_keys_used(tx, key_ids=key_ids, times=times, ips=ips)
            if sessions:
                session_ids, times = zip(*sessions, strict=True)
                await sql.set_sessions_used(tx, session_ids=session_ids, times=times)
            await sql.upsert_ips(
                tx,
                account_ids=[account_id for account_id, _ in places],
                ips=[ip for _, ip in places],
                networks=[network_of(ip) for _, ip in places],
                is_login=False,
            )
        return len(uses)


async def banned(tx: Tx, account_id: AccountId) -> AccountBanned:
    """Return the refusal of an account that is closed, with what was written down about it."""
    found = await sql.find_standing(tx, account_id)
    return AccountBanned() if found is None else AccountBanned(found.reason, found.decided_by, found.decided_at)


def _caller(row: sql.CallerRow) -> Caller:
    scopes: tuple[Scope, ...]
    staff = STAFF_SCOPES[row.role]
    if row.key_id is not None:
        # What a role lost, its keys lost too; and a staff key works only beside a second factor.
        mine = (*CUSTOMER_SCOPES, *staff) if row.has_second_factor else CUSTOMER_SCOPES
        scopes = tuple(scope for scope in row.scopes if scope in mine)
    elif staff and not row.has_second_factor:
        scopes = ("enrol",)
    else:
        scopes = (*CUSTOMER_SCOPES, *SESSION_SCOPES, *staff)
    found = Caller(
        row.account_id, row.key_id, row.session_id, scopes, row.state, row.role, row.expires_at, row.is_verified,
        row.owes_terms, row.api_per_minute,
    )  # fmt: skip
    return replace(found, networks=tuple(row.allowed_ips), dialect=row.dialect)


def is_allowed(caller: Caller, ip: str) -> bool:
    """Tell whether a key may be used from an address."""
    address = ip_address(ip)
    return any(address in _network(text) for text in caller.networks)


@lru_cache(maxsize=10_000)
def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text)


def require(caller: Caller, scope: Scope) -> None:
    """Refuse a caller who lacks a scope.

    Raises:
        EnrolmentNeeded: the caller would have it with a second factor.
        ScopeTooSmall: the caller lacks it.
    """
    if scope in caller.scopes:
        return
    if caller.scopes == ("enrol",):
        raise EnrolmentNeeded
    raise ScopeTooSmall(scope=scope)


def refuse_spending(caller: Caller) -> None:
    """Refuse a caller whose account may not spend now; its open orders go on by the normal rules.

    Raises:
        AccountFrozen: the account is frozen.
        EmailUnverified: its address was not proven yet.
        TermsOwed: newer terms were published than it accepted.
    """
    if caller.state == "frozen":
        raise AccountFrozen
    if not caller.is_verified:
        raise EmailUnverified
    if caller.owes_terms:
        raise TermsOwed


def new_secret(mode: Mode = "live") -> str:
    """Return a new API key."""
    body = f"{KEY_STARTS[mode]}{ids.base62(PUBLIC_LENGTH)}_{ids.base62(SECRET_LENGTH)}"
    return body + ids.checksum(body)


def prefix_of(secret: str) -> str:
    """Return the part of an API key that may be shown."""
    return secret[: START_LENGTH + PUBLIC_LENGTH]


def is_well_formed(secret: str) -> bool:
    """Tell an API key from a typing error, without asking anybody."""
    body, check = secret[:-6], secret[-6:]
    return (
        len(secret) == START_LENGTH + PUBLIC_LENGTH + 1 + SECRET_LENGTH + 6
        and secret.startswith(tuple(KEY_STARTS.values()))
        and secret.isascii()
        and hmac.compare_digest(ids.checksum(body), check)
    )
