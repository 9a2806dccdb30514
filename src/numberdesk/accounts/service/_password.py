"""Verbs of passwords: change, reset by mail, set from the shell."""

from numberdesk.accounts import sql
from numberdesk.accounts.model import Caller, Person, Role
from numberdesk.accounts.passwords import refuse_weak
from numberdesk.accounts.service._accounts import create
from numberdesk.accounts.service._errors import BadCredentials, LinkInvalid
from numberdesk.accounts.service._login import note_login
from numberdesk.accounts.service._people import People, done_by, happened, now_text, told
from numberdesk.accounts.service._register import forget_tries, link_hash
from numberdesk.audit import service as audit
from numberdesk.audit.model import Event
from numberdesk.base.client_ip import network_of
from numberdesk.base.db import Tx
from numberdesk.base.errors import NotFound
from numberdesk.base.visit import Visit
from numberdesk.notifications import service as notifications
from numberdesk.wallet.model import AccountId


async def change_password(people: People, caller: Caller, visit: Visit, *, current: str, new: str) -> None:
    """Replace the caller's password; all other sessions end.

    Raises:
        TooMany: the password was asked too often.
        BadCredentials: the current password is wrong.
        InvalidFields: the new one is weak.
    """
    await people.limiter.admit("password", str(caller.account_id))
    async with people.db.statement() as tx:
        person = await sql.find_person(tx, caller.account_id)
    if person is None:
        raise NotFound(what="account")
    if not (await people.hasher.verify(person.password_hash, current)).is_right:
        async with people.db.statement() as tx:
            await audit.record(tx, done_by(caller, visit, "password_change_failed"))
        raise BadCredentials
    _refuse_weak(people, person, new)
    password_hash = await people.hasher.hash(new)
    async with people.db.transaction() as tx:
        await sql.set_password(tx, person.id, password_hash)
        await sql.set_sessions_ended(tx, person.id, "password", but=caller.session_id)
        await sql.set_tokens_ended(tx, person.id, "reset")
        await audit.record(tx, done_by(caller, visit, "password_changed"))
        await _tell(people, tx, visit, person)
    await people.limiter.forget("password", str(caller.account_id))


async def reset_password(people: People, visit: Visit, *, token: str, new: str) -> None:
    """Set a new password by the link that was sent; every session ends, the second factor stays.

    Raises:
        LinkInvalid: it was used, is too old, or was never sent.
        InvalidFields: the new password is weak; the link can be used again.
    """
    async with people.db.statement() as tx:
        account_id = await sql.is_link_live(tx, purpose="reset", link_hash=link_hash(token))
        person = None if account_id is None else await sql.find_person(tx, account_id)
    if person is None or person.is_shut:
        raise LinkInvalid
    _refuse_weak(people, person, new)
    password_hash = await people.hasher.hash(new)
    async with people.db.transaction() as tx:
        if await sql.set_link_used(tx, purpose="reset", link_hash=link_hash(token)) is None:
            raise LinkInvalid
        await sql.set_password(tx, person.id, password_hash)
        await sql.set_verified(tx, person.id)
        await sql.set_sessions_ended(tx, person.id, "password")
        await note_login(tx, visit, person)
        await audit.record(tx, happened(visit, "password_reset", person.id))
        await _tell(people, tx, visit, person)
    await forget_tries(people, person, network_of(visit.ip))


async def set_password_from_shell(people: People, account_id: AccountId, new: str) -> None:
    """Set a password as the operator; every session ends.

    Raises:
        NotFound: no such account.
        InvalidFields: the password is weak.
    """
    async with people.db.statement() as tx:
        person = await sql.find_person(tx, account_id)
    if person is None:
        raise NotFound(what="account")
    _refuse_weak(people, person, new)
    password_hash = await people.hasher.hash(new)
    async with people.db.transaction() as tx:
        await sql.set_password(tx, account_id, password_hash)
        await sql.set_sessions_ended(tx, account_id, "staff")
        await audit.record(tx, Event("password_set", account_id, "shell"))


async def create_staff(people: People, *, email: str, name: str, role: Role, password: str) -> AccountId:
    """Make an account of the staff, whose second factor is set up at its first login.

    Raises:
        Duplicate: the address is known.
        InvalidFields: the password is weak.
    """
    refuse_weak(password, rules=people.rules.passwords, context=[email, name])
    password_hash = await people.hasher.hash(password)
    async with people.db.transaction() as tx:
        (account_id,) = await create(tx, emails=[email], names=[name])
        await sql.set_password(tx, account_id, password_hash)
        await sql.set_role(tx, account_id, role)
        await audit.record(tx, Event("staff_made", account_id, "shell", details={"role": role}))
    return account_id


async def reset_second_factor(people: People, account_id: AccountId) -> bool:
    """Remove a second factor whose owner lost it, as the operator; every session ends. False when there was none."""
    async with people.db.transaction() as tx:
        had_one = await sql.delete_factor(tx, account_id)
        await sql.set_sessions_ended(tx, account_id, "second_factor")
        await audit.record(tx, Event("second_factor_reset", account_id, "shell"))
    return had_one


def _refuse_weak(people: People, person: Person, new: str) -> None:
    refuse_weak(new, rules=people.rules.passwords, context=[person.email, person.name], field="newPassword")


async def _tell(people: People, tx: Tx, visit: Visit, person: Person) -> None:
    notice = told(
        "password_changed", to=person.email, account_id=person.id, name=person.name, at=now_text(), ip=visit.ip
    )
    await notifications.enqueue(tx, people.vault, [notice])
