"""Verbs of the second factor: set up, prove, disable."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from numberdesk.accounts import sql, totp
from numberdesk.accounts.model import Caller, Person
from numberdesk.accounts.service._errors import (
    BadSecondFactor,
    EmailUnverified,
    FreshLoginNeeded,
    NoSecondFactor,
    SecondFactorExists,
    SecondFactorObligatory,
)
from numberdesk.accounts.service._people import People, done_by, happened, now_text, told
from numberdesk.audit import service as audit
from numberdesk.base.db import Tx
from numberdesk.base.errors import NotFound
from numberdesk.base.visit import Visit
from numberdesk.notifications import service as notifications
from numberdesk.wallet.model import AccountId

FRESH = timedelta(minutes=15)
"""How old the proof of the password may be when a second factor is set up."""


@dataclass(frozen=True, slots=True)
class SetUp:
    """What an authenticator app needs; it counts only when it was confirmed."""

    secret: str
    otpauth_uri: str


async def set_up(people: People, caller: Caller) -> SetUp:
    """Make a new secret for the caller, to be confirmed with its first code.

    Raises:
        FreshLoginNeeded: the password was not proven lately in this session.
        EmailUnverified: the address was not proven.
        SecondFactorExists: there is one already.
    """
    if not caller.is_verified:
        raise EmailUnverified
    secret = totp.new_secret()
    async with people.db.transaction() as tx:
        assert caller.session_id is not None, "no key has the scope enrol"
        if not await sql.is_fresh(tx, caller.session_id, within=FRESH):
            raise FreshLoginNeeded
        person = await _person(tx, caller.account_id)
        if not await sql.upsert_factor(tx, caller.account_id, secret=seal_secret(people, caller.account_id, secret)):
            raise SecondFactorExists
    return SetUp(secret, totp.otpauth_uri(secret, account=person.email))


async def confirm(people: People, caller: Caller, visit: Visit, *, code: str) -> list[str]:
    """Put a second factor into force with its first code; returns the recovery codes, which are shown once.

    The session counts as proven; all others of the account end.

    Raises:
        TooMany: too many codes were tried.
        NoSecondFactor, SecondFactorExists: there is none to confirm.
        BadSecondFactor: the code is wrong.
    """
    await _use_code(people, caller.account_id, code, is_confirmed=False)
    codes = totp.new_recovery_codes()
    async with people.db.transaction() as tx:
        person = await _person(tx, caller.account_id)
        if not await sql.set_factor_confirmed(tx, caller.account_id):
            raise SecondFactorExists
        await sql.replace_recovery_codes(tx, caller.account_id, _hashes(caller.account_id, codes))
        assert caller.session_id is not None, "no key has the scope enrol"
        await sql.set_second_factor_proven(tx, caller.session_id)
        await sql.set_sessions_ended(tx, caller.account_id, "second_factor", but=caller.session_id)
        await audit.record(tx, done_by(caller, visit, "second_factor_on"))
        await _tell(people, tx, visit, person, "second_factor_on")
    return codes


async def disable(people: People, caller: Caller, visit: Visit, *, code: str) -> None:
    """Remove the caller's second factor, which must be proven for that.

    Raises:
        SecondFactorObligatory: the caller is staff.
        NoSecondFactor, BadSecondFactor, TooMany: as in `prove`.
    """
    if caller.role != "customer":
        raise SecondFactorObligatory
    async with people.db.statement() as tx:
        person = await _person(tx, caller.account_id)
    await prove(people, visit, person, code)
    async with people.db.transaction() as tx:
        await sql.delete_factor(tx, caller.account_id)
        await audit.record(tx, done_by(caller, visit, "second_factor_off"))
        await _tell(people, tx, visit, person, "second_factor_off")


async def renew_recovery_codes(people: People, caller: Caller, visit: Visit, *, code: str) -> list[str]:
    """Make new recovery codes, shown once; the old ones end.

    Raises:
        NoSecondFactor, BadSecondFactor, TooMany: as in `prove`.
    """
    async with people.db.statement() as tx:
        person = await _person(tx, caller.account_id)
    await prove(people, visit, person, code)
    codes = totp.new_recovery_codes()
    async with people.db.transaction() as tx:
        await sql.replace_recovery_codes(tx, caller.account_id, _hashes(caller.account_id, codes))
        await audit.record(tx, done_by(caller, visit, "recovery_codes_renewed"))
    return codes


async def prove_again(people: People, caller: Caller, visit: Visit, code: str) -> None:
    """Prove the caller's second factor anew, for what one proof at login is not enough for: money by hand.

    Raises:
        NoSecondFactor, BadSecondFactor, TooMany: as in `prove`.
    """
    async with people.db.statement() as tx:
        person = await _person(tx, caller.account_id)
    await prove(people, visit, person, code)


async def prove(people: People, visit: Visit, person: Person, code: str) -> None:
    """Use up one code of a person's authenticator, or one recovery code. No code is good twice.

    Raises:
        TooMany: too many codes were tried; the try is counted before the code is looked at.
        NoSecondFactor: there is none in force.
        BadSecondFactor: the code is wrong or was used.
    """
    if totp.is_totp_shape(code):
        await _use_code(people, person.id, code, is_confirmed=True)
        return
    await people.limiter.admit("otp", "second factor", str(person.id))
    plain = totp.normal_recovery_code(code)
    async with people.db.transaction() as tx:
        if plain is None or not await sql.set_recovery_code_used(tx, person.id, _hashes(person.id, [plain])[0]):
            raise BadSecondFactor
        left = await sql.count_recovery_codes(tx, person.id)
        await audit.record(tx, happened(visit, "recovery_code_used", person.id, left=left))
        await _tell(people, tx, visit, person, "recovery_code_used", left=left)
    await people.limiter.forget("otp", "second factor", str(person.id))


async def _use_code(people: People, account_id: AccountId, code: str, *, is_confirmed: bool) -> None:
    await people.limiter.admit("otp", "second factor", str(account_id))
    async with people.db.statement() as tx:
        factor = await sql.find_factor(tx, account_id)
        if factor is None:
            raise NoSecondFactor
        if is_confirmed is not (factor.confirmed_at is not None):
            raise NoSecondFactor if is_confirmed else SecondFactorExists
        secret = people.vault.open(factor.secret, about=f"second_factors:{account_id}")
        step = totp.matching_step(secret, code, at=factor.now)
        if step is None or not await sql.set_step_used(tx, account_id, step):
            raise BadSecondFactor
    await people.limiter.forget("otp", "second factor", str(account_id))


def seal_secret(people: People, account_id: AccountId, secret: str) -> bytes:
    """Seal a secret for the row of its account."""
    return people.vault.seal(secret, about=f"second_factors:{account_id}")


async def enrol(people: People, account_id: AccountId, secret: str) -> None:
    """Put a known secret into force: for demonstrations, whose secret stands in their credentials file."""
    async with people.db.transaction() as tx:
        await sql.delete_factor(tx, account_id)
        await sql.upsert_factor(tx, account_id, secret=seal_secret(people, account_id, secret))
        await sql.set_factor_confirmed(tx, account_id)


async def _person(tx: Tx, account_id: AccountId) -> Person:
    person = await sql.find_person(tx, account_id)
    if person is None:
        raise NotFound(what="account")
    return person


def _hashes(account_id: AccountId, codes: Sequence[str]) -> list[bytes]:
    """Hash recovery codes: at 120 bits a fast hash is right. Source: ASVS 5.0, 6.5.2."""
    return [hashlib.sha256(f"{account_id}:{totp.normal_recovery_code(code)}".encode()).digest() for code in codes]


async def _tell(
    people: People, tx: Tx, visit: Visit, person: Person, template: str, *, left: int | None = None
) -> None:
    more = {} if left is None else {"left": left}
    notice = told(
        template, to=person.email, account_id=person.id, name=person.name,  # type: ignore[arg-type]
        at=now_text(), ip=visit.ip, **more,
    )  # fmt: skip
    await notifications.enqueue(tx, people.vault, [notice])
