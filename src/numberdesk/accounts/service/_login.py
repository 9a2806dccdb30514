"""Verbs of sessions: log in, renew, list, end."""

import secrets as random
from datetime import timedelta

from numberdesk.accounts import addresses, sql
from numberdesk.accounts.model import Caller, Person, Session, SessionId, Tokens
from numberdesk.accounts.service._errors import (
    BadCredentials,
    BadRefreshToken,
    SecondFactorNeeded,
)
from numberdesk.accounts.service._people import People, done_by, happened, told
from numberdesk.accounts.service._ring import banned
from numberdesk.accounts.service._second_factor import prove
from numberdesk.accounts.tokens import is_genuine, issue_access, read_refresh, refresh_token
from numberdesk.audit import service as audit
from numberdesk.base import clock
from numberdesk.base.client_ip import network_of
from numberdesk.base.db import Database, Tx
from numberdesk.base.errors import NotFound
from numberdesk.base.visit import Visit, harmless_agent
from numberdesk.maintenance import service as maintenance
from numberdesk.maintenance.model import Intent
from numberdesk.notifications import service as notifications

SESSIONS_MAX = 50
"""Devices signed in at once; one more ends the one that was not used for longest."""
RENEWAL_GRACE = timedelta(seconds=10)
"""How long the token before the newest still gives the newest: its answer may have been lost."""


async def login(people: People, visit: Visit, *, email: str, password: str, totp: str | None) -> tuple[Tokens, Person]:
    """Open a session for whoever knows address, password and, where there is one, the second factor.

    Tries are counted before anything is compared, and an address that nobody has costs the same time as one with a
    wrong password. Staff who have no second factor yet get a session that can only set one up.

    Raises:
        TooMany: from this network too often for this account or at all, or this account from too many new networks.
        BadCredentials: address or password is wrong.
        SecondFactorNeeded, BadSecondFactor: the password was right.
        AccountBanned: the password was right, and the account is closed.
        Closed: the password was right, and signing in is under maintenance.
        Busy: too many passwords are being checked.
    """
    network, key = network_of(visit.ip), addresses.key_of(email) or email.casefold()
    await people.limiter.admit("login", key, network)
    await people.limiter.admit("login_network", network)
    async with people.db.statement() as tx:
        person = await sql.find_person_by_key(tx, key)
        is_known = person is not None and await sql.knows_network(tx, person.id, network)
    if not is_known:
        await people.limiter.admit("login_strangers", key)
    verdict = await people.hasher.verify(person.password_hash if person else None, password)
    if person is None or not verdict.is_right:
        await _record(people.db, visit, "login_failed", person)
        raise BadCredentials
    if person.is_shut:
        await _record(people.db, visit, "login_refused", person)
        async with people.db.statement() as tx:
            raise await banned(tx, person.id)
    if person.role == "customer":  # staff are never locked out
        maintenance.refuse(people.switches, Intent("login", person.id))
    if person.has_second_factor:
        if not totp:
            raise SecondFactorNeeded
        await prove(people, visit, person, totp)
    if verdict.needs_rehash and person.password_hash is not None:
        new = await people.hasher.hash(password)
        async with people.db.statement() as tx:
            await sql.set_rehashed(tx, person.id, old=person.password_hash, new=new)
    return await people.db.to_the_end(_open_session(people, visit, person, is_known=is_known)), person


async def _open_session(people: People, visit: Visit, person: Person, *, is_known: bool) -> Tokens:
    seed, agent, rules = random.token_bytes(32), harmless_agent(visit.user_agent), people.rules
    async with people.db.transaction() as tx:
        if person.role == "customer":
            await maintenance.refuse_in(tx, people.switches, Intent("login", person.id))
        session = await sql.insert_session(
            tx, person.id, seed=seed, has_second_factor=person.has_second_factor, idle=rules.session_idle,
            lifetime=rules.session_lifetime, ip=visit.ip, user_agent=agent,
        )  # fmt: skip
        await sql.end_surplus(tx, person.id, most=SESSIONS_MAX)
        is_first = not await sql.list_ips(tx, person.id, limit=1)
        await note_login(tx, visit, person)
        await audit.record(tx, happened(visit, "login", person.id, session_id=session.id))
        if not is_known and not is_first:
            notice = told(
                "new_sign_in", to=person.email, account_id=person.id, name=person.name,
                at=session.at.isoformat(timespec="seconds"), ip=visit.ip, device=agent or "unknown",
            )  # fmt: skip
            await notifications.enqueue(tx, people.vault, [notice])
    return _tokens(people, person.id, session.id, 1, seed)


async def note_login(tx: Tx, visit: Visit, person: Person) -> None:
    """Remember that a person proved itself from this address: its network is known from now on."""
    await sql.upsert_ips(tx, account_ids=[person.id], ips=[visit.ip], networks=[network_of(visit.ip)], is_login=True)


def _tokens(people: People, account_id: int, session_id: SessionId, generation: int, seed: bytes) -> Tokens:
    lifetime = people.rules.access_lifetime
    return Tokens(
        issue_access(people.tokens, account_id=account_id, session_id=session_id, now=clock.now(), lifetime=lifetime),
        refresh_token(people.tokens, session_id=session_id, generation=generation, seed=seed),
        int(lifetime.total_seconds()),
    )


async def renew(people: People, visit: Visit, *, refresh: str) -> Tokens:
    """Exchange a refresh token for its one successor.

    Using a token twice at once, or again within ten seconds, gives the same successor: the first answer may have been
    lost. Using an older one ends the session, since somebody has a copy.

    Raises:
        BadRefreshToken: it is not one of ours, used up, or its session is over.
    """
    claim = read_refresh(refresh)
    if claim is None:
        raise BadRefreshToken
    session_id = SessionId(claim.session_id)
    for _ in range(3):
        async with people.db.statement() as tx:
            session = await sql.find_renewable(tx, session_id, grace=RENEWAL_GRACE)
            if session is None or not is_genuine(people.tokens, claim, session.seed) or not session.is_live:
                raise BadRefreshToken
            if claim.generation == session.generation:
                if not await sql.set_rotated(
                    tx, session_id, generation=session.generation, idle=people.rules.session_idle, ip=visit.ip,
                    user_agent=harmless_agent(visit.user_agent),
                ):  # fmt: skip
                    continue  # somebody was first: look again
                return _tokens(people, session.account_id, session_id, session.generation + 1, session.seed)
        if claim.generation == session.generation - 1 and session.is_just_rotated:
            return _tokens(people, session.account_id, session_id, session.generation, session.seed)
        await _end_copied(people, visit, session)
        break
    raise BadRefreshToken


async def _end_copied(people: People, visit: Visit, session: sql.Renewable) -> None:
    async with people.db.transaction() as tx:
        if not await sql.set_session_ended(tx, session.account_id, session.id, "reuse"):
            return
        person = await sql.find_person(tx, session.account_id)
        await audit.record(tx, happened(visit, "refresh_reused", session.account_id, session_id=session.id))
        if person is not None:
            notice = told(
                "sessions_ended", to=person.email, account_id=person.id, name=person.name,
                at=session.at.isoformat(timespec="seconds"),
            )  # fmt: skip
            await notifications.enqueue(tx, people.vault, [notice])


async def logout(people: People, visit: Visit, *, refresh: str) -> None:
    """End the session of a refresh token; the answer is the same when there is nothing to end."""
    claim = read_refresh(refresh)
    if claim is None:
        return
    session_id = SessionId(claim.session_id)
    async with people.db.transaction() as tx:
        session = await sql.find_renewable(tx, session_id, grace=RENEWAL_GRACE)
        if session is None or not is_genuine(people.tokens, claim, session.seed):
            return
        if await sql.set_session_ended(tx, session.account_id, session_id, "logout"):
            await audit.record(tx, happened(visit, "logout", session.account_id, session_id=session_id))


async def list_sessions(db: Database, caller: Caller) -> list[Session]:
    """Return the caller's devices, the latest used first."""
    async with db.statement() as tx:
        return await sql.list_sessions(tx, caller.account_id, limit=SESSIONS_MAX)


async def list_ips(db: Database, caller: Caller) -> list[sql.UsedFrom]:
    """Return the addresses the caller's account was used from, the latest first."""
    async with db.statement() as tx:
        return await sql.list_ips(tx, caller.account_id, limit=SESSIONS_MAX)


async def end_session(db: Database, caller: Caller, visit: Visit, session_id: SessionId) -> None:
    """End one device of the caller's; every process follows within a second.

    Raises:
        NotFound: no such live session of the caller's.
    """
    async with db.transaction() as tx:
        if not await sql.set_session_ended(tx, caller.account_id, session_id, "revoked"):
            raise NotFound(what="session")
        await audit.record(tx, done_by(caller, visit, "session_ended", session_id=session_id))


async def end_all_sessions(db: Database, caller: Caller, visit: Visit) -> int:
    """End every device of the caller's, this one too; returns how many."""
    async with db.transaction() as tx:
        count = await sql.set_sessions_ended(tx, caller.account_id, "all_devices")
        await audit.record(tx, done_by(caller, visit, "sessions_ended", count=count))
    return count


async def _record(db: Database, visit: Visit, action: str, person: Person | None) -> None:
    async with db.statement() as tx:
        await audit.record(tx, happened(visit, action, person.id if person else None))
