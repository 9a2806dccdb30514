"""Verbs of the profile, and sealing its columns anew."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from numberdesk.accounts import phones, sql
from numberdesk.accounts.model import Caller, Person
from numberdesk.accounts.service._accounts import get_person
from numberdesk.accounts.service._people import People, done_by
from numberdesk.audit import service as audit
from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database, Tx
from numberdesk.base.visit import Visit
from numberdesk.wallet.model import AccountId


async def change_profile(people: People, caller: Caller, visit: Visit, changes: dict[str, Any]) -> Person:
    """Change some fields of the caller's profile, by their names in `Person`; a phone is given as plain text.

    Raises:
        InvalidFields: the phone number is none.
    """
    changes = dict(changes)
    if changes.get("phone"):
        phone = phones.parse_phone(changes["phone"])
        changes["phone"] = people.vault.seal(phone, about=_about_phone(caller.account_id))
    elif "phone" in changes:
        changes["phone"] = None
    person = await get_person(people.db, caller.account_id)
    async with people.db.transaction() as tx:
        locked = await sql.lock_person(tx, caller.account_id)
        person = replace(locked or person, **changes)
        await sql.set_profile(tx, person)
        await audit.record(tx, done_by(caller, visit, "profile_changed", fields=", ".join(sorted(changes))))
    return person


def phone_of(people: People, person: Person) -> str | None:
    """Return a person's phone number in E.164."""
    if person.phone is None:
        return None
    return people.vault.open(person.phone, about=_about_phone(person.id))


def _about_phone(account_id: AccountId) -> str:
    return f"accounts.phone:{account_id}"


Listing = Callable[..., Awaitable[list[tuple[AccountId, bytes]]]]
Writing = Callable[[Tx, AccountId, bytes], Awaitable[None]]


async def reseal(db: Database, vault: Vault, *, limit: int = 500) -> int:
    """Seal phone numbers and second factors with the newest key; returns how many were changed."""
    phones_changed = await _reseal(db, vault, sql.list_sealed_phones, sql.set_phone, "accounts.phone", limit)
    return phones_changed + await _reseal(
        db, vault, sql.list_sealed_factors, sql.set_factor_secret, "second_factors", limit
    )


async def _reseal(db: Database, vault: Vault, listing: Listing, write: Writing, place: str, limit: int) -> int:
    after, changed = 0, 0
    while True:
        async with db.transaction() as tx:
            found = await listing(tx, after=after, limit=limit)
            for account_id, sealed in found:
                if not vault.is_newest(sealed):
                    await write(tx, account_id, vault.renewed(sealed, about=f"{place}:{account_id}"))
                    changed += 1
        if len(found) < limit:
            return changed
        after = found[-1][0]
