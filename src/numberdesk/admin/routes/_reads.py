"""What reads of staff have in common: that one read what is one customer's is written down, too."""

from datetime import datetime
from typing import Any

from litestar import Request

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import Caller
from numberdesk.audit import service as audit
from numberdesk.audit.model import Detail
from numberdesk.base.db import Database
from numberdesk.base.errors import InvalidFields
from numberdesk.base.visit import Visit
from numberdesk.wallet.model import AccountId


async def note_read(
    db: Database, caller: Caller, request: Request[Any, Any, Any], what: str, account_id: AccountId | None,
    **details: Detail,
) -> None:  # fmt: skip
    """Record that a member of the staff read something; without an account it is of nobody or of many."""
    visit: Visit = request.scope["state"]["visit"]
    event = accounts.done_by(caller, visit, "staff_read", to=account_id, what=what, **details)
    async with db.transaction() as tx:
        await audit.record(tx, event)


def refuse_local_times(*named: tuple[str, datetime | None]) -> None:
    """Refuse times without a zone: nobody can tell which moment they mean.

    Raises:
        InvalidFields: names the parameter.
    """
    for name, at in named:
        if at is not None and at.tzinfo is None:
            raise InvalidFields({name: 'must be a time such as "2026-01-31T12:00:00Z"'})
