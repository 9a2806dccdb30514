"""What reads of staff have in common: what filters mean, and that one read what is a customer's is written down."""

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
from numberdesk.base.web import moment_in
from numberdesk.catalogue.service import Shelf
from numberdesk.providers import service as providers
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


def refuse_odd_times(request: Request[Any, Any, Any], **named: datetime | None) -> None:
    """Refuse times of the query that are none, or that have no zone: nobody can tell which moment they mean.

    Raises:
        InvalidFields: names the parameter.
    """
    for name, at in named.items():
        moment = moment_in(request, name, at)
        if moment is not None and moment.tzinfo is None:
            raise InvalidFields({name: 'must be a time such as "2026-01-31T12:00:00Z"'})


def refuse_reversed(since: datetime | None, until: datetime | None) -> None:
    """Refuse a span in which nothing can be, of times that have a zone.

    Raises:
        InvalidFields: names `to`.
    """
    if since is not None and until is not None and until <= since:
        raise InvalidFields({"to": "must be later than from"})


def country_of(shelf: Shelf, wanted: str | None) -> int | None:
    """Return the country that a filter names by its number or its two letters.

    Raises:
        InvalidFields: we know none of that name.
    """
    if wanted is None:
        return None
    found = shelf.contents.countries_by_name.get(wanted.upper())
    if found is None:
        raise InvalidFields({"country": "is not the number or the two letters of a country we know"})
    return found.code


async def provider_of(db: Database, wanted: str | None) -> int | None:
    """Return the provider that a filter names by its name or its number.

    Raises:
        InvalidFields: there is none.
    """
    if wanted is None:
        return None
    for found in await providers.list_all(db):
        if wanted in (found.name, str(found.id)):
            return int(found.id)
    raise InvalidFields({"provider": "is not the name or number of a provider"})
