"""Lawful requests: who had a number in a time, told after two people of the staff agreed, and written down."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from numberdesk.audit import service as audit
from numberdesk.audit.model import Event
from numberdesk.base.db import Database, Tx
from numberdesk.base.errors import AppError, InvalidFields, NotFound
from numberdesk.conduct import sql
from numberdesk.conduct.model import Address, Holder, LawfulId, LawfulRequest, LawfulState
from numberdesk.wallet.model import AccountId

LIST_MAX = 100
EXPORT_MAX = 1_000
"""Orders in one export: a request names a number and a time, not a number for ever."""
SPAN_MAX = timedelta(days=366)
_NUMBER = re.compile(r"\+?([0-9]{5,15})")


@dataclass(eq=False)
class RequestKnown(AppError):
    """The same number and time stand in this case already."""

    case_number: str

    status = 409
    code = "request_known"
    category = "transaction"
    message = "Case {case_number} asks for this number and time already."


@dataclass(eq=False)
class SecondPersonNeeded(AppError):
    """Who asked cannot approve; nor can anybody decide twice."""

    status = 403
    code = "second_person_needed"
    category = "authentication"
    message = "You wrote this request down: another person must decide about it."


@dataclass(eq=False)
class NotApproved(AppError):
    """Nothing may be told, or nothing is left to be decided."""

    state: LawfulState
    wanted: str

    status = 409
    code = "not_approved"
    category = "transaction"
    message = "This request is {state}: it cannot be {wanted}."


@dataclass(frozen=True, slots=True)
class Export:
    """What is told: the orders that match, and where their accounts were used from around that time. No messages."""

    request: LawfulRequest
    holders: Sequence[Holder]
    addresses: Sequence[Address]
    is_cut: bool
    """More orders match than one export tells."""


def read_number(text: str) -> str:
    """Return the digits of a phone number.

    Raises:
        InvalidFields: it is none.
    """
    found = _NUMBER.fullmatch(re.sub(r"[ ()-]", "", text))
    if found is None:
        raise InvalidFields({"number": "must be a phone number with its country code"})
    return found[1]


async def ask(
    tx: Tx, *, case_number: str, authority: str, number: str, starts_at: datetime, ends_at: datetime, reason: str,
    by: AccountId,
) -> LawfulRequest:  # fmt: skip
    """Write a lawful request down; somebody else decides about it.

    Args:
        starts_at, ends_at: aware; the end does not belong to the time. Equal ones mean that moment.

    Raises:
        InvalidFields: no number, or a time that is reversed or longer than a year.
        RequestKnown: the case has it already.
    """
    if ends_at < starts_at:
        raise InvalidFields({"endsAt": "must not be before startsAt"})
    if ends_at - starts_at > SPAN_MAX:
        raise InvalidFields({"endsAt": f"must be within {SPAN_MAX.days} days of startsAt"})
    found = await sql.insert_request(
        tx, case_number=case_number.strip(), authority=authority.strip(), number=read_number(number),
        starts_at=starts_at, ends_at=ends_at, reason=reason, asked_by=by,
    )  # fmt: skip
    if found is None:
        raise RequestKnown(case_number=case_number.strip())
    return found


async def decide(tx: Tx, request_id: LawfulId, *, approve: bool, by: AccountId, decision: str) -> LawfulRequest:
    """Approve or refuse a request that somebody else wrote down.

    Raises:
        NotFound: no such request.
        SecondPersonNeeded: it is one's own.
        NotApproved: it was decided before.
    """
    known = await _locked(tx, request_id)
    if known.state != "asked":
        raise NotApproved(state=known.state, wanted="decided again")
    if known.asked_by == by:
        raise SecondPersonNeeded
    found = await sql.set_decided(tx, request_id, state="approved" if approve else "refused", by=by, decision=decision)
    assert found is not None, "a locked request changed"
    return found


async def export(db: Database, request_id: LawfulId, *, event: Event) -> Export:
    """Tell what an approved request asks for, and write down that it was told; both or neither.

    Raises:
        NotFound: no such request.
        NotApproved: nobody approved it.
    """
    async with db.transaction() as tx:
        request = await _locked(tx, request_id)
        if request.state != "approved":
            raise NotApproved(state=request.state, wanted="exported")
        holders = await sql.list_holders(
            tx, request.number, starts_at=request.starts_at, ends_at=request.ends_at, limit=EXPORT_MAX + 1
        )
        account_ids = sorted({holder.account_id for holder in holders})
        addresses = await sql.list_addresses(tx, account_ids, starts_at=request.starts_at, ends_at=request.ends_at)
        await sql.count_export(tx, request_id)
        await audit.record(tx, event)
    return Export(request, holders[:EXPORT_MAX], addresses, len(holders) > EXPORT_MAX)


async def list_requests(db: Database, *, cursor: int | None, limit: int) -> list[LawfulRequest]:
    """Return requests, newest first, before the id `cursor`."""
    async with db.statement() as tx:
        return await sql.list_requests(tx, before=cursor, limit=min(limit, LIST_MAX))


async def look_up(db: Database, number: str, *, event: Event) -> list[Holder]:
    """Return the newest orders of a number, for whoever answers complaints; the look is written down.

    Raises:
        InvalidFields: it is no number.
    """
    digits = read_number(number)
    async with db.transaction() as tx:
        found = await sql.list_holders(tx, digits, starts_at=None, ends_at=None, limit=LIST_MAX)
        await audit.record(tx, event)
    return found


async def _locked(tx: Tx, request_id: LawfulId) -> LawfulRequest:
    found = await sql.lock_request(tx, request_id)
    if found is None:
        raise NotFound(what="request")
    return found
