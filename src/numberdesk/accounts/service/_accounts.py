"""Verbs on accounts as the operator and the staff see them."""

import hashlib
from collections.abc import Sequence

from numberdesk.accounts import addresses, sql
from numberdesk.accounts.model import Caller, Person, Recipient, Role, SettableState, Standing, Terms, Verdict
from numberdesk.accounts.service._errors import ClosedForGood, NotClosable, OwnAccount
from numberdesk.accounts.service._people import done_by
from numberdesk.accounts.service._ring import require
from numberdesk.audit import service as audit
from numberdesk.audit.model import Event
from numberdesk.base.db import Database, Tx
from numberdesk.base.errors import InvalidFields, NotFound
from numberdesk.base.visit import Visit
from numberdesk.notifications import service as notifications
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import SANDBOX_OFFSET, AccountId, is_sandbox

DOMAINS_MAX = 10_000


async def create(tx: Tx, *, emails: Sequence[str], names: Sequence[str]) -> list[AccountId]:
    """Open accounts that the operator makes, with empty wallets, in the order given; addresses count as proven."""
    keys = [addresses.key_of(email) or email.casefold() for email in emails]
    account_ids = await sql.insert_accounts(tx, emails=emails, keys=keys, names=names)
    await wallet.open_wallets(tx, account_ids)
    return account_ids


async def open_sandboxes(tx: Tx, account_ids: Sequence[AccountId]) -> list[AccountId]:
    """Return the sandboxes of accounts, in the order given; those that are not there are made, with play money."""
    new = await sql.insert_sandboxes(tx, account_ids)
    if new:
        await wallet.open_sandboxes(tx, new)
    return [AccountId(account_id + SANDBOX_OFFSET) for account_id in account_ids]


async def lift_limit(tx: Tx, account_ids: Sequence[AccountId]) -> None:
    """Let accounts send any number of requests."""
    await sql.set_api_limit(tx, account_ids, 0)


async def find_by_email(db: Database, email: str) -> AccountId | None:
    """Return the account with this address, or None."""
    key = addresses.key_of(email)
    if key is None:
        return None
    async with db.statement() as tx:
        person = await sql.find_person_by_key(tx, key)
    return None if person is None else person.id


async def get_person(db: Database, account_id: AccountId) -> Person:
    """Return an account.

    Raises:
        NotFound: no such account.
    """
    async with db.statement() as tx:
        person = await sql.find_person(tx, account_id)
    if person is None:
        raise NotFound(what="account")
    return person


async def staff(tx: Tx, roles: Sequence[Role]) -> list[Recipient]:
    """Return where mails to active staff of these roles go."""
    return await sql.list_staff(tx, roles)


async def recipients(tx: Tx, account_ids: Sequence[AccountId]) -> dict[AccountId, Recipient]:
    """Return where mails to accounts go; sandboxes are left out, they get none."""
    return {found.id: found for found in await sql.list_recipients(tx, account_ids)}


async def freeze(tx: Tx, account_id: AccountId, *, reason: str) -> None:
    """Freeze an active account in the transaction of what makes it necessary."""
    if await sql.set_account_frozen(tx, account_id, reason=reason):
        await audit.record(tx, Event("account_state", account_id, details={"state": "frozen", "reason": reason}))


async def list_people(db: Database, *, words: str, cursor: int | None, limit: int) -> list[Person]:
    """Return the newest accounts whose address or name contains some words, before the id `cursor`."""
    async with db.statement() as tx:
        return await sql.list_people(tx, words=words, before=cursor, limit=limit)


async def refuse_above(db: Database, caller: Caller, account_id: AccountId) -> None:
    """Refuse a member of the staff who wants to decide about himself, or about others of the staff without being owner.

    Raises:
        NotFound: no such account, or a sandbox, which stands as its owner does.
        OwnAccount: it is the caller's.
        ScopeTooSmall: it is of the staff, and the caller is no owner.
    """
    if account_id == caller.account_id:
        raise OwnAccount
    if is_sandbox(account_id):
        raise NotFound(what="account")
    person = await get_person(db, account_id)
    if person.is_staff:
        require(caller, "admin:owner")


async def set_state(
    db: Database, account_id: AccountId, state: SettableState, *, by: Caller | None = None, visit: Visit | None = None,
    reason: str = "",
) -> None:  # fmt: skip
    """Freeze, ban or reopen an account; every process follows within a second. A ban ends its sessions.

    Raises:
        NotFound: no such account.
        ClosedForGood: it was closed.
    """
    async with db.transaction() as tx:
        before = await sql.lock_person(tx, account_id)
        if before is None:
            raise NotFound(what="account")
        if before.state == "closed":
            raise ClosedForGood
        who = "the operator" if by is None else f"staff {by.account_id}"
        await sql.set_account_state(tx, account_id, state, by=who, reason=reason)
        if state == "banned":
            await sql.set_sessions_ended(tx, account_id, "staff")
        event = _decided("account_state", account_id, by, visit, state=state, before=before.state, reason=reason)
        await audit.record(tx, event)


async def close(db: Database, account_id: AccountId, *, by: Caller, visit: Visit, reason: str) -> None:
    """Close an empty account for good: sessions and keys end, password, second factor, phone and chat are forgotten.

    No money is moved: what is in the wallet is first spent, paid back to who paid, or taken out by hand. A purchase
    that is just being made is either seen here or finds the account closed and its wallet empty.

    Raises:
        NotFound: no such account.
        NotClosable: something is left in it, it is frozen, banned or closed, or it is of the staff.
    """
    async with db.transaction() as tx:
        before = await sql.lock_person(tx, account_id)
        if before is None:
            raise NotFound(what="account")
        await wallet.lock(tx, [account_id])
        left = await sql.find_remains(tx, account_id)
        if left or before.state not in ("active", "limited") or before.is_staff:
            raise NotClosable(
                before.state, before.role, left.available_paise, left.held_paise, left.open_orders,
                left.open_recharges, left.waiting_requests,
            )  # fmt: skip
        await sql.set_account_closed(tx, account_id, by=f"staff {by.account_id}", reason=reason)
        await sql.set_sessions_ended(tx, account_id, "staff")
        keys = await sql.set_keys_revoked(tx, account_id)
        await sql.delete_factor(tx, account_id)
        for purpose in ("verify", "reset"):
            await sql.set_tokens_ended(tx, account_id, purpose)
        await notifications.unlink(tx, account_id)
        event = done_by(by, visit, "account_closed", to=account_id, before=before.state, keys=keys, reason=reason)
        await audit.record(tx, event)


async def find_standing(db: Database, account_id: AccountId) -> Standing | None:
    """Return why an account is in its state, or None when there is no such account."""
    async with db.statement() as tx:
        return await sql.find_standing(tx, account_id)


async def set_role(
    db: Database, account_id: AccountId, role: Role, *, by: Caller | None = None, visit: Visit | None = None
) -> None:
    """Change what an account may do as staff; its sessions end, and every process follows within a second.

    Raises:
        NotFound: no such account.
        ClosedForGood: it was closed.
    """
    async with db.transaction() as tx:
        before = await sql.lock_person(tx, account_id)
        if before is None:
            raise NotFound(what="account")
        if before.state == "closed":
            raise ClosedForGood
        await sql.set_role(tx, account_id, role)
        await sql.set_sessions_ended(tx, account_id, "staff")
        await audit.record(tx, _decided("account_role", account_id, by, visit, role=role, before=before.role))


def _decided(action: str, account_id: AccountId, by: Caller | None, visit: Visit | None, **details: str) -> Event:
    if by is None or visit is None:
        return Event(action, account_id, "shell", details=details)
    return done_by(by, visit, action, to=account_id, **details)


async def terms(db: Database) -> Terms:
    """Return the terms in force.

    Raises:
        NotFound: none were published.
    """
    async with db.statement() as tx:
        found = await sql.find_terms(tx)
    if found is None:
        raise NotFound(what="text")
    return found


async def publish_terms(db: Database, text: str) -> int | None:
    """Publish new terms; every customer must accept them before the next purchase. None when nothing changed."""
    async with db.transaction() as tx:
        version = await sql.insert_terms(tx, text=text, text_hash=hashlib.sha256(text.encode()).digest())
        if version is not None:
            await audit.record(tx, Event("terms_published", None, "shell", details={"version": version}))
    return version


async def judge_domain(db: Database, domain: str, verdict: Verdict | None) -> bool:
    """Allow or deny registrations from a mail domain and all below it, or take that word back; False when none stood.

    Raises:
        InvalidFields: it is no domain.
    """
    key = addresses.key_of(f"someone@{domain}")
    if key is None:
        raise InvalidFields({"domain": "is not a mail domain"})
    name = key.partition("@")[2]
    async with db.transaction() as tx:
        if verdict is None:
            is_done = await sql.delete_email_domain(tx, name)
        else:
            await sql.upsert_email_domain(tx, name, verdict)
            is_done = True
        await audit.record(
            tx, Event("email_domain", None, "shell", details={"domain": name, "verdict": verdict or "none"})
        )
    return is_done


async def list_domains(db: Database) -> list[tuple[str, str]]:
    """Return the operator's words on mail domains."""
    async with db.statement() as tx:
        return await sql.list_email_domains(tx, limit=DOMAINS_MAX)
