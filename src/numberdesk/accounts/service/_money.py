"""Money by hand: what one of the staff may decide alone, what needs a second person, and how much in a day.

Each is asked for in the transaction that carries it out, or leaves it waiting. The row of whoever acts is locked before
anything is counted: amounts of one person are counted one after the other, and who was demoted a moment ago is refused.
"""

from dataclasses import dataclass
from datetime import timedelta

from numberdesk.accounts import sql
from numberdesk.accounts.model import (
    STAFF_SCOPES,
    Caller,
    MoneyRequest,
    MoneyWanted,
    RequestId,
    Role,
    StaffNews,
    StaffRules,
)
from numberdesk.accounts.service._errors import OwnAccount, ScopeTooSmall
from numberdesk.accounts.service._people import done_by
from numberdesk.accounts.service._repeats import KeyReused
from numberdesk.accounts.service._staff_news import tell_staff
from numberdesk.audit import service as audit
from numberdesk.base import ids
from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database, Tx
from numberdesk.base.errors import AppError, NotFound
from numberdesk.base.money import Paise, format_rupees
from numberdesk.base.visit import Visit
from numberdesk.wallet.model import AccountId

DAY = timedelta(hours=24)
OPEN_FOR = timedelta(hours=24)
"""After so long nobody can agree to a request any more: what it was asked for may have changed."""
TWIN_WITHIN = timedelta(minutes=5)
"""The same words again without a key of their own are the same form, sent twice."""
LIST_MAX = 200


@dataclass(eq=False)
class DailyCapReached(AppError):
    """One person has moved as much as one may in 24 hours."""

    left_paise: Paise

    status = 409
    code = "daily_cap_reached"
    category = "transaction"
    message = "This is more than you may still move within 24 hours. Another member of the staff can do it."


@dataclass(eq=False)
class AskedTwice(AppError):
    """The same was asked for a moment ago."""

    request: int

    status = 409
    code = "asked_twice"
    category = "transaction"
    message = "You did just the same a moment ago. If it is meant, send it with an Idempotency-Key of its own."


@dataclass(eq=False)
class AnotherPersonNeeded(AppError):
    """Nobody agrees to what he asked for himself."""

    status = 403
    code = "another_person_needed"
    category = "authentication"
    message = "You asked for this yourself: another member of the staff must agree."


@dataclass(eq=False)
class AskerGone(AppError):
    """Whoever asked lost the right to move money: two people with it are needed."""

    status = 409
    code = "asker_gone"
    category = "transaction"
    message = "Whoever asked for this may not move money any more. Refuse it, and ask for it anew if it is right."


@dataclass(eq=False)
class RequestOver(AppError):
    """It was decided, or nobody agreed in time."""

    state: str

    status = 409
    code = "request_over"
    category = "transaction"
    message = "This request is {state}: nothing can be decided about it any more."


@dataclass(frozen=True, slots=True)
class MoneyAsked:
    """A request, and whether this very call made or decided it: only then it is carried out."""

    request: MoneyRequest
    is_new: bool

    @property
    def is_due(self) -> bool:
        """Whether the caller of this verb must move the money now."""
        return self.is_new and self.request.state == "done"


async def find_asked(db: Database, caller: Caller, visit: Visit) -> MoneyRequest | None:
    """Return what the caller asked for under this Idempotency-Key, so that a repeat needs no code of its own."""
    if visit.once is None:
        return None
    async with db.statement() as tx:
        return await sql.find_money_request_by_key(tx, caller.account_id, visit.once, open_for=OPEN_FOR)


async def ask_money(
    tx: Tx, vault: Vault, rules: StaffRules, caller: Caller, visit: Visit, wanted: MoneyWanted
) -> MoneyAsked:
    """Ask for something to be done with money: it is due at once, or waits for a second person, and they are told.

    To be called before anything else of the transaction is locked, except what the request is about.

    Raises:
        OwnAccount: it is the caller's own money.
        ScopeTooSmall: the caller lost the right to do this.
        KeyReused: the key was used for something else.
        AskedTwice: it is the same form again.
        DailyCapReached: the caller moved too much within 24 hours.
    """
    if wanted.account_id == caller.account_id:
        raise OwnAccount
    await _lock_member(tx, caller)
    # The name of the visit will not do: a caller may give all his requests the same one.
    key = visit.once or f"visit:{ids.request_id()}"
    known = await sql.find_money_request_by_key(tx, caller.account_id, key, open_for=OPEN_FOR)
    if known is not None:
        _refuse_other(known, wanted)
        return MoneyAsked(known, False)
    if visit.once is None:
        twin = await sql.find_twin(tx, wanted, asked_by=caller.account_id, within=TWIN_WITHIN)
        if twin is not None:
            raise AskedTwice(request=twin)
    await _refuse_above_cap(tx, rules, caller, wanted.amount_paise)
    state = "waiting" if wanted.amount_paise > rules.two_people_above else "done"
    request = await sql.insert_money_request(tx, wanted, asked_by=caller.account_id, key=key, state=state)
    if state == "waiting":
        await audit.record(tx, done_by(caller, visit, "money_asked", to=wanted.account_id, **_told(request)))
        await tell_staff(tx, vault, _waits(request))
    return MoneyAsked(request, True)


async def agree(tx: Tx, rules: StaffRules, caller: Caller, visit: Visit, request_id: RequestId) -> MoneyAsked:
    """Agree to what somebody else asked for: it is due with this transaction. A repeat is answered as it is.

    Raises:
        NotFound: there is no such request.
        RequestOver: it was decided by somebody else, or waited for more than a day.
        AnotherPersonNeeded: the caller asked for it.
        AskerGone: whoever asked may not move money any more.
        OwnAccount, ScopeTooSmall, DailyCapReached: as in `ask_money`.
    """
    request = await _lock(tx, request_id)
    if request.state == "done" and request.decided_by == caller.account_id:
        return MoneyAsked(request, False)
    _refuse_decided(request)
    if request.asked_by == caller.account_id:
        raise AnotherPersonNeeded
    if request.account_id == caller.account_id:
        raise OwnAccount
    await _lock_member(tx, caller)
    if not await may_move_money(tx, request.asked_by):
        raise AskerGone
    await _refuse_above_cap(tx, rules, caller, request.amount_paise)
    decided = await sql.set_money_request_decided(tx, request_id, state="done", by=caller.account_id)
    assert decided is not None, "a locked request was decided meanwhile"
    await audit.record(tx, done_by(caller, visit, "money_agreed", to=request.account_id, **_told(request)))
    return MoneyAsked(decided, True)


async def count_money(tx: Tx, rules: StaffRules, caller: Caller, visit: Visit, wanted: MoneyWanted) -> None:
    """Count money that the caller moves by rules of another slice, which asks for a second person itself.

    Raises:
        OwnAccount, ScopeTooSmall, DailyCapReached: as in `ask_money`.
    """
    if wanted.account_id == caller.account_id:
        raise OwnAccount
    await _lock_member(tx, caller)
    await _refuse_above_cap(tx, rules, caller, wanted.amount_paise)
    key = f"review:{visit.id}:{wanted.subject_id}:{wanted.subject_version}"
    if await sql.find_money_request_by_key(tx, caller.account_id, key, open_for=OPEN_FOR) is None:
        await sql.insert_money_request(tx, wanted, asked_by=caller.account_id, key=key, state="done")


async def refuse_money(
    db: Database, caller: Caller, visit: Visit, request_id: RequestId, *, reason: str
) -> MoneyRequest:
    """Refuse what somebody asked for, or take the own request back; nothing moves.

    Raises:
        NotFound, RequestOver: as in `agree`.
    """
    async with db.transaction() as tx:
        request = await _lock(tx, request_id)
        if request.state == "refused" and request.decided_by == caller.account_id:
            return request
        _refuse_decided(request)
        decided = await sql.set_money_request_decided(tx, request_id, state="refused", by=caller.account_id)
        assert decided is not None, "a locked request was decided meanwhile"
        event = done_by(caller, visit, "money_refused", to=request.account_id, why=reason, **_told(request))
        await audit.record(tx, event)
    return decided


async def find_money_request(db: Database, request_id: RequestId) -> MoneyRequest:
    """Return a request.

    Raises:
        NotFound: there is none.
    """
    async with db.transaction() as tx:
        return await _lock(tx, request_id)


async def list_money_requests(
    db: Database, *, is_waiting: bool, account_id: AccountId | None = None, cursor: int | None = None, limit: int = 50
) -> list[MoneyRequest]:
    """Return requests, newest first: those that somebody still can agree to, or all of them."""
    async with db.statement() as tx:
        return await sql.list_money_requests(
            tx, is_waiting=is_waiting, account_id=account_id, open_for=OPEN_FOR, before=cursor,
            limit=min(limit, LIST_MAX),
        )  # fmt: skip


async def _lock(tx: Tx, request_id: RequestId) -> MoneyRequest:
    request = await sql.lock_money_request(tx, request_id, open_for=OPEN_FOR)
    if request is None:
        raise NotFound(what="request")
    return request


async def _lock_member(tx: Tx, caller: Caller) -> None:
    if not _may_move_money(await sql.lock_member(tx, caller.account_id)):
        raise ScopeTooSmall(scope="admin:finance")


async def may_move_money(tx: Tx, account_id: AccountId) -> bool:
    """Tell whether somebody is of the staff who move money, now."""
    return _may_move_money(await sql.find_member(tx, account_id))


def _may_move_money(member: tuple[Role, str] | None) -> bool:
    return member is not None and member[1] == "active" and "admin:finance" in STAFF_SCOPES[member[0]]


async def _refuse_above_cap(tx: Tx, rules: StaffRules, caller: Caller, amount_paise: Paise) -> None:
    moved = await sql.sum_moved(tx, caller.account_id, within=DAY)
    if moved + amount_paise > rules.daily_cap:
        raise DailyCapReached(left_paise=Paise(max(rules.daily_cap - moved, 0)))


def _refuse_decided(request: MoneyRequest) -> None:
    if request.state != "waiting" or request.is_over:
        raise RequestOver(state="over" if request.state == "waiting" else request.state)


def _refuse_other(known: MoneyRequest, wanted: MoneyWanted) -> None:
    asked = (known.action, known.account_id, known.subject_id, known.amount_paise)
    if asked != (wanted.action, wanted.account_id, wanted.subject_id, wanted.amount_paise):
        raise KeyReused


def _waits(request: MoneyRequest) -> StaffNews:
    return StaffNews(
        "Money waits for a second person",
        {
            "Request": request.id, "What": request.action.replace("_", " "),
            "Amount": f"{format_rupees(request.amount_paise)} rupees", "Account": request.account_id,
            "Asked by": f"staff {request.asked_by}",
        },
        "/admin/requests", ("finance", "owner"), f"money:{request.id}",
        but_not=frozenset({request.asked_by, request.account_id}),
        note=f"Nobody can agree any more after {OPEN_FOR.total_seconds() / 3600:.0f} hours.",
    )  # fmt: skip


def _told(request: MoneyRequest) -> dict[str, str | int | bool | None]:
    return {
        "request": int(request.id), "money_action": request.action, "subject": request.subject_id,
        "paise": int(request.amount_paise), "reason": request.reason, "asked_by": int(request.asked_by),
    }  # fmt: skip
