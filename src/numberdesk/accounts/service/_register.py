"""Verbs of registration: sign up, prove the address, accept terms. Answers do not tell whether an address is known."""

from contextlib import suppress
from datetime import timedelta

from numberdesk.accounts import addresses, sql
from numberdesk.accounts.addresses import Address
from numberdesk.accounts.model import Caller, Person, RequestPurpose
from numberdesk.accounts.passwords import refuse_weak
from numberdesk.accounts.service._errors import LinkInvalid
from numberdesk.accounts.service._login import note_login
from numberdesk.accounts.service._people import People, done_by, happened, told
from numberdesk.accounts.tokens import new_code, new_link_token
from numberdesk.audit import service as audit
from numberdesk.base.client_ip import network_of
from numberdesk.base.crypto import keyed_hash
from numberdesk.base.db import Database, Tx
from numberdesk.base.errors import InvalidFields, Unavailable
from numberdesk.base.limits import TooMany
from numberdesk.base.visit import Visit, harmless_agent
from numberdesk.maintenance import service as maintenance
from numberdesk.maintenance.model import Intent
from numberdesk.notifications import service as notifications
from numberdesk.notifications.model import Notice, StaffEvent, Value
from numberdesk.wallet import service as wallet

VERIFY_LIVES = timedelta(hours=24)
RESET_LIVES = timedelta(minutes=30)
CODE_LIVES = timedelta(minutes=10)
CODE_TRIES = 5
LINK_KEY = "links in mails"
"""Links have 256 bits: the key only keeps their hashes apart from others."""


async def register(people: People, visit: Visit, *, email: str, password: str, name: str, accept_terms: bool) -> None:
    """Sign up. What comes next is a mail, to the new customer or to the one who has this address already.

    An address that was never proven may be registered again: the new password counts, and sessions of the old end.

    Raises:
        InvalidFields: the address is malformed or of a disposable domain, the password weak, or the terms not accepted.
        TooMany: this network registered too often.
        Closed: registration is under maintenance.
    """
    maintenance.refuse(people.switches, Intent("register"))
    address = _checked(people, email=email, password=password, name=name, accept_terms=accept_terms)
    await _refuse_disposable(people.db, address)
    await people.limiter.admit("register", network_of(visit.ip))
    wants_mail = True
    try:
        await people.limiter.admit("mail_address", address.key)
    except TooMany:
        wants_mail = False  # what was sent within the hour is enough; the answer stays the same
    password_hash = await people.hasher.hash(password)
    await people.db.to_the_end(_sign_up(people, visit, address, name, password_hash, wants_mail=wants_mail))


def _checked(people: People, *, email: str, password: str, name: str, accept_terms: bool) -> Address:
    problems: dict[str, str] = {}
    address = None
    try:
        address = addresses.parse(email, allow_test=people.rules.allows_test_addresses)
    except InvalidFields as problem:
        problems |= problem.fields
    try:
        refuse_weak(password, rules=people.rules.passwords, context=[email, name])
    except InvalidFields as problem:
        problems |= problem.fields
    if not accept_terms:
        problems["acceptTerms"] = "must be true: read the terms at /terms"
    if problems or address is None:
        raise InvalidFields(problems)
    return address


async def _refuse_disposable(db: Database, address: Address) -> None:
    async with db.statement() as tx:
        found = await sql.list_verdicts(tx, addresses.parents(address.domain))
    allowed = {domain for domain, verdict in found if verdict == "allow"}
    denied = {domain for domain, verdict in found if verdict == "deny"}
    if addresses.is_disposable(address.domain, allowed=allowed, denied=denied):
        raise InvalidFields({"email": "is of a provider of throw-away addresses: use a lasting one"})


async def _sign_up(
    people: People, visit: Visit, address: Address, name: str, password_hash: str, *, wants_mail: bool
) -> None:
    async with people.db.transaction() as tx:
        await maintenance.refuse_in(tx, people.switches, Intent("register"))
        terms = await sql.find_terms(tx)
        version = 0 if terms is None else terms.version
        found = await sql.register(
            tx, email=address.shown, email_key=address.key, name=name, password_hash=password_hash,
            terms_version=version,
        )  # fmt: skip
        if found is not None:
            account_id, is_new = found
            if is_new:
                await wallet.open_wallets(tx, [account_id])
            else:
                await sql.set_sessions_ended(tx, account_id, "registered_again")
            if terms is not None:
                await sql.insert_acceptance(
                    tx, account_id, version=version, ip=visit.ip, user_agent=harmless_agent(visit.user_agent)
                )
            await audit.record(tx, happened(visit, "registered", account_id, is_new=is_new))
            if is_new:
                facts: dict[str, Value] = {"Account": account_id, "Customer": notifications.masked_email(address.shown)}
                event = StaffEvent("registration", "New registration", facts, f"registered:{account_id}")
                await notifications.tell(tx, people.vault, [event])
        if wants_mail:
            await sql.insert_mail_request(tx, purpose="register", email_key=address.key, ip=visit.ip)


async def ask_for_mail(people: People, visit: Visit, *, email: str, purpose: RequestPurpose) -> None:
    """Ask for a mail with a link, to prove an address or to choose a new password; a pass sends it.

    Raises:
        InvalidFields: it is no address at all.
        TooMany: this network, or anybody for this address, asked too often.
    """
    key = addresses.key_of(email)
    if key is None:
        raise InvalidFields({"email": "is not an e-mail address"})
    network = network_of(visit.ip)
    await people.limiter.admit("mail", key, network)
    await people.limiter.admit("mail_network", network)
    await people.limiter.admit("mail_address", key)
    async with people.db.statement() as tx:
        await sql.insert_mail_request(tx, purpose=purpose, email_key=key, ip=visit.ip)


async def answer_mail_requests(people: People, *, limit: int) -> int:
    """Write the mails that were asked for; returns how many requests were looked at."""
    async with people.db.transaction() as tx:
        requests = await sql.take_mail_requests(tx, limit=limit)
        for request in requests:
            person = await sql.find_person_by_key(tx, request.email_key)
            if person is not None and not person.is_shut:
                notice = await _answer(people, tx, person, request)
                if notice is not None:
                    await notifications.enqueue(tx, people.vault, [notice])
    return len(requests)


async def _answer(people: People, tx: Tx, person: Person, request: sql.MailRequest) -> Notice | None:
    to = person.email
    if request.purpose == "reset":
        link = await _new_link(people, tx, person, request.email_key, purpose="reset", code=None)
        return told(
            "reset_password", to=to, account_id=person.id, name=person.name, link=link, ip=request.ip,
            minutes=int(RESET_LIVES.total_seconds()) // 60,
        )  # fmt: skip
    if person.verified_at is not None:
        if request.purpose == "verify":
            return None
        return told(
            "already_registered", to=to, account_id=person.id, name=person.name,
            link=f"{people.rules.public_url}/reset-password",
        )  # fmt: skip
    code = new_code()
    link = await _new_link(people, tx, person, request.email_key, purpose="verify", code=code)
    return told(
        "verify_email", to=to, account_id=person.id, name=person.name, link=link, code=code,
        hours=int(VERIFY_LIVES.total_seconds()) // 3600, minutes=int(CODE_LIVES.total_seconds()) // 60,
    )  # fmt: skip


async def _new_link(people: People, tx: Tx, person: Person, email_key: str, *, purpose: str, code: str | None) -> str:
    token, is_verify = new_link_token(), purpose == "verify"
    await sql.set_tokens_ended(tx, person.id, "verify" if is_verify else "reset")
    await sql.insert_mail_token(
        tx,
        person.id,
        purpose="verify" if is_verify else "reset",
        email_key=email_key,
        link_hash=link_hash(token),
        code_hash=None if code is None else _code_hash(people, email_key, code),
        lives=VERIFY_LIVES if is_verify else RESET_LIVES,
        code_lives=CODE_LIVES,
    )
    # Behind the # it never reaches a server, so no log of a proxy or of ours has it.
    return f"{people.rules.public_url}/{'verify-email' if is_verify else 'reset-password'}#token={token}"


def link_hash(token: str) -> bytes:
    """Return what is stored of a link."""
    return keyed_hash(token, key=LINK_KEY)


def _code_hash(people: People, email_key: str, code: str) -> bytes:
    return keyed_hash(f"{email_key}:{code}", key=people.ring.peppers[0])


async def verify_by_link(people: People, visit: Visit, *, token: str) -> None:
    """Count an address as proven, by the link that was sent to it; a link works once.

    Raises:
        LinkInvalid: it was used, is too old, or was never sent.
    """
    async with people.db.transaction() as tx:
        used = await sql.set_link_used(tx, purpose="verify", link_hash=link_hash(token))
        await _finish(tx, visit, used)


async def verify_by_code(people: People, visit: Visit, *, email: str, code: str) -> None:
    """Count an address as proven, by the six digits that were sent to it.

    Raises:
        TooMany: this network tried too often for this address.
        LinkInvalid: the code is wrong, used, too old or tried too often; the link of the same mail still works.
    """
    key = addresses.key_of(email) or email.casefold()
    await people.limiter.admit("otp", key, network_of(visit.ip))
    async with people.db.statement() as tx:
        if not await sql.count_code_try(tx, purpose="verify", email_key=key, most=CODE_TRIES):
            raise LinkInvalid
    async with people.db.transaction() as tx:
        used = await sql.set_code_used(tx, purpose="verify", email_key=key, code_hash=_code_hash(people, key, code))
        await _finish(tx, visit, used)


async def _finish(tx: Tx, visit: Visit, used: sql.UsedToken | None) -> None:
    person = None if used is None else await sql.find_person(tx, used.account_id)
    if person is None or person.is_shut:
        raise LinkInvalid
    await sql.set_verified(tx, person.id)
    await sql.set_tokens_ended(tx, person.id, "verify")
    await note_login(tx, visit, person)
    await audit.record(tx, happened(visit, "email_verified", person.id))


async def accept_terms(db: Database, caller: Caller, visit: Visit, *, version: int) -> None:
    """Record that the caller accepts the terms in force.

    Raises:
        InvalidFields: another version is in force.
    """
    async with db.transaction() as tx:
        terms = await sql.find_terms(tx)
        if terms is None or terms.version != version:
            raise InvalidFields({"version": "is not the one in force: read it at /terms"})
        await sql.insert_acceptance(
            tx, caller.account_id, version=version, ip=visit.ip, user_agent=harmless_agent(visit.user_agent)
        )
        await sql.set_terms_version(tx, caller.account_id, version)
        await audit.record(tx, done_by(caller, visit, "terms_accepted", version=version))


async def forget_tries(people: People, person: Person, network: str) -> None:
    """Begin the counts of failed logins anew, for somebody who has proven the mailbox."""
    with suppress(Unavailable):  # the mailbox is proven all the same
        await people.limiter.forget("login", person.email_key, network)
        await people.limiter.forget("login_strangers", person.email_key)
