"""One search over everything that a customer or a bank may name."""

import re
from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import Struct

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import Caller, Person
from numberdesk.accounts.service import KEY_STARTS, prefix_of
from numberdesk.admin.routes._reads import note_read
from numberdesk.audit import service as audit
from numberdesk.base.calls import ID_MAX
from numberdesk.base.db import Database
from numberdesk.base.errors import NotFound
from numberdesk.base.money import format_rupees
from numberdesk.base.web import ACCESS, REQUEST_ID, Ok
from numberdesk.orders import service as orders
from numberdesk.orders.model import Order, OrderId
from numberdesk.orders.service import Wanted
from numberdesk.payments import service as payments
from numberdesk.support import service as support
from numberdesk.support.model import TicketId
from numberdesk.support.service import HelpDesk
from numberdesk.support.service import Wanted as Wish
from numberdesk.wallet.model import SANDBOX_OFFSET, AccountId, is_sandbox

HITS_MAX = 20
"""Of each kind."""
SEES_STAFF = "admin:owner"
"""Who finds accounts and keys of the staff by their addresses and prefixes."""
_NUMBER = re.compile(r"\+?[0-9]{5,15}", re.ASCII)
_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)


class HitView(Struct, rename="camel", frozen=True):
    """Something that was found: what it is, by what it is called, and where it can be read."""

    type: str
    id: str
    account_id: int | None
    label: str
    path: str


class FoundView(Struct, rename="camel", frozen=True):
    """What was found, and for what."""

    q: str
    hits: list[HitView]


@get("/admin/search", summary="Search everything", opt={ACCESS: "admin:support"})
async def search(
    request: Request[Any, Any, Any],
    db: NamedDependency[Database],
    caller: NamedDependency[Caller],
    help_desk: NamedDependency[HelpDesk],
    q: Annotated[str, QueryParameter(max_length=120)] = "",
) -> Ok[FoundView]:
    """Find accounts by mail or name, orders by id or number, tickets by id, order, reference or mail, keys by prefix,
    and what a reference, UTR, transaction of a chain, gateway's id or request id names. Each search is recorded. Staff
    are found by owners only.
    """
    word = q.strip()
    if word.startswith(tuple(KEY_STARTS.values())):
        word = prefix_of(word)  # a whole key is a secret: nothing behind its prefix is looked for or kept
    hits: list[HitView] = []
    if word:
        hits += await _accounts(db, caller, word)
        hits += await _orders(db, word)
        hits += await _tickets(help_desk, word, hits)
        hits += await _keys(db, caller, word)
        hits += await _payments(db, word)
        hits += await _requests(db, word)
        await note_read(db, caller, request, "search", None, q=word, hits=len(hits))
    return Ok(data=FoundView(word, hits))


async def _accounts(db: Database, caller: Caller, word: str) -> list[HitView]:
    found: dict[int, Person] = {}
    if _ID.fullmatch(word) and int(word) <= ID_MAX:
        try:
            person = await accounts.get_person(db, AccountId(int(word)))
            found[person.id] = person
        except NotFound:
            pass
    elif "@" in word or not word[0].isdigit():
        exact = await accounts.find_by_email(db, word)
        if exact is not None:
            found[exact] = await accounts.get_person(db, exact)
        for person in await accounts.list_people(db, words=word, cursor=None, limit=HITS_MAX):
            found.setdefault(person.id, person)
    return [
        HitView("account", str(person.id), person.id, f"{person.email} ({person.state})", f"/admin/users/{person.id}")
        for person in found.values()
        if _may_see(caller, person)
    ]


def _may_see(caller: Caller, person: Person) -> bool:
    return not person.is_staff or SEES_STAFF in caller.scopes or person.id == caller.account_id


async def _orders(db: Database, word: str) -> list[HitView]:
    found: dict[int, Order] = {}
    if _ID.fullmatch(word) and int(word) <= ID_MAX:
        try:
            order = await orders.get_any(db, OrderId(int(word)))
            found[order.id] = order
        except NotFound:
            pass
    if _NUMBER.fullmatch(word):
        for order in await orders.find_orders(db, Wanted(number=word.lstrip("+")), limit=HITS_MAX):
            found[order.id] = order
    return [
        HitView(
            "order", str(order.id), order.account_id,
            f"{order.service} {order.country}, {'+' + order.number if order.number else 'no number'}, {order.state}",
            f"/admin/orders/{order.id}",
        )
        for order in found.values()
    ]  # fmt: skip


async def _tickets(desk: HelpDesk, word: str, so_far: Sequence[HitView]) -> list[HitView]:
    """Find tickets by their id, by the order or recharge they are about, and by the whole address of their customer."""
    wanted: list[Wish] = []
    if _ID.fullmatch(word) and int(word) <= ID_MAX:
        wanted = [Wish(ticket_id=TicketId(int(word))), Wish(order_id=int(word))]
    elif "@" in word:
        exact = await accounts.find_by_email(desk.db, word)
        wanted = [Wish(account_id=exact)] if exact in {hit.account_id for hit in so_far} else []
    elif word.startswith("RC"):
        wanted = [Wish(recharge_ref=word)]
    found = {
        item.ticket.id: item
        for wish in wanted
        for item in await support.list_all(desk, wish, cursor=None, limit=HITS_MAX)
    }
    return [
        HitView(
            "ticket", str(item.ticket.id), item.ticket.account_id,
            f"{item.subject or 'words purged'} ({item.ticket.state})", f"/admin/tickets/{item.ticket.id}",
        )
        for item in found.values()
    ]  # fmt: skip


async def _keys(db: Database, caller: Caller, word: str) -> list[HitView]:
    if not word.startswith(tuple(KEY_STARTS.values())):
        return []
    hits = []
    for owner, name, prefix in await accounts.find_by_prefix(db, word):
        account_id = AccountId(owner - SANDBOX_OFFSET) if is_sandbox(owner) else owner
        if _may_see(caller, await accounts.get_person(db, account_id)):
            hits.append(HitView("api_key", prefix, account_id, name, f"/admin/users/{account_id}"))
    return hits


async def _payments(db: Database, word: str) -> list[HitView]:
    found = await payments.find_named(db, word)
    hits = [
        HitView("recharge", item.ref, item.account_id,
                f"{item.method}, {format_rupees(item.payable_paise)}, {item.status}", f"/admin/recharges/{item.ref}")
        for item in found.recharges
    ]  # fmt: skip
    hits += [
        HitView("payment", str(item.id), item.account_id,
                f"{item.rail}, {format_rupees(item.amount_paise)}, {item.state}",
                f"/admin/recharges/{item.ref}" if item.ref else f"/admin/payments?q={item.rrn or item.external_id}")
        for item in found.payments
    ]  # fmt: skip
    hits += [
        HitView("utr_claim", item.rrn, item.account_id, f"claimed for {item.ref}, {item.state}",
                f"/admin/recharges/{item.ref}")
        for item in found.claims
    ]  # fmt: skip
    return hits + [
        HitView("bank_credit", str(item.id), None, f"{format_rupees(item.amount_paise)}, {item.state}", "/admin/review")
        for item in found.bank
    ]


async def _requests(db: Database, word: str) -> list[HitView]:
    if not REQUEST_ID.fullmatch(word):
        return []
    return [
        HitView("event", str(item.id), item.account_id, item.action, f"/admin/audit?request={word}")
        for item in await audit.list_events(db, request_id=word, limit=HITS_MAX)
    ]


HANDLERS = [search]
