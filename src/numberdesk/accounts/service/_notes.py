"""What staff write down about accounts, the limits they set for them, and how they find them."""

from collections.abc import Sequence
from dataclasses import dataclass

from numberdesk.accounts import sql
from numberdesk.accounts.model import Caller, Key, Note, Session
from numberdesk.accounts.service._people import done_by
from numberdesk.audit import service as audit
from numberdesk.base.db import Database
from numberdesk.base.errors import NotFound
from numberdesk.base.visit import Visit
from numberdesk.wallet.model import AccountId

NOTES_MAX = 200
FOUND_MAX = 20


@dataclass(frozen=True, slots=True)
class Dossier:
    """What staff see of an account besides who it is and what it has."""

    api_per_minute: int | None
    keys: Sequence[Key]
    sessions: Sequence[Session]
    used_from: Sequence[sql.UsedFrom]
    notes: Sequence[Note]


async def read_dossier(db: Database, account_id: AccountId) -> Dossier:
    """Return the limits of an account, its keys without their secrets, its devices and addresses, and its notes."""
    async with db.statement() as tx:
        return Dossier(
            await sql.get_api_limit(tx, account_id),
            await sql.list_keys(tx, account_id, limit=NOTES_MAX),
            await sql.list_sessions(tx, account_id, limit=NOTES_MAX),
            await sql.list_ips(tx, account_id, limit=NOTES_MAX),
            await sql.list_notes(tx, account_id, limit=NOTES_MAX),
        )


async def add_note(db: Database, account_id: AccountId, *, text: str, by: Caller, visit: Visit) -> Note:
    """Append a note to an account; it is never changed, and its customer never sees it.

    Raises:
        NotFound: no such account.
    """
    async with db.transaction() as tx:
        if await sql.find_person(tx, account_id) is None:
            raise NotFound(what="account")
        note = await sql.insert_note(tx, account_id, author_id=by.account_id, text=text)
        await audit.record(tx, done_by(by, visit, "account_note", to=account_id, note=note.id))
    return note


async def set_limits(
    db: Database, account_id: AccountId, *, api_per_minute: int | None, by: Caller, visit: Visit
) -> None:
    """Give an account a request limit of its own; None is the setting's, 0 is no limit.

    Raises:
        NotFound: no such account.
    """
    async with db.transaction() as tx:
        if await sql.lock_person(tx, account_id) is None:
            raise NotFound(what="account")
        before = await sql.get_api_limit(tx, account_id)
        await sql.set_api_limit(tx, [account_id], api_per_minute)
        event = done_by(
            by, visit, "account_limits", to=account_id, api_per_minute=api_per_minute, api_per_minute_before=before
        )
        await audit.record(tx, event)


async def find_by_prefix(db: Database, prefix: str) -> list[tuple[AccountId, str, str]]:
    """Return (account, name, prefix) of API keys that begin so, revoked ones too, newest first."""
    async with db.statement() as tx:
        return await sql.list_accounts_by_prefix(tx, prefix, limit=FOUND_MAX)
