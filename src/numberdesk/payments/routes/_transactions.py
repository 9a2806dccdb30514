"""A customer's statement: what moved in the wallet, and the recharges that may still come."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromQuery, QueryParameter
from litestar.response import Stream
from msgspec import Struct

from numberdesk.base.cells import csv_text
from numberdesk.base.db import Database
from numberdesk.base.errors import InvalidFields
from numberdesk.base.money import format_rupees
from numberdesk.base.web import ACCESS, Items, Ok, moment_in, rfc3339
from numberdesk.payments import service
from numberdesk.payments.model import Line, Method, Page
from numberdesk.wallet.model import AccountId, TransactionState, TransactionType

CSV_PAGE = 100
CSV_LINES_MAX = 100_000
CURSOR = "^r?[1-9][0-9]{0,17}$"


class TransactionView(Struct, rename="camel", frozen=True):
    """One line of the statement; `balanceAfter` is null while nothing has moved."""

    id: str
    type: TransactionType
    state: TransactionState
    amount: str
    balance_after: str | None
    order_id: int | None
    at: datetime | None
    transaction_id: str | None
    method: Method | None


def _view(item: Line) -> TransactionView:
    return TransactionView(
        item.id,
        item.type,
        item.state,
        format_rupees(item.amount_paise),
        None if item.balance_after_paise is None else format_rupees(item.balance_after_paise),
        item.order_id,
        rfc3339(item.at),
        item.ref,
        item.method,
    )


@get(
    "/user/transactions",
    summary="List transactions, newest first",
    opt={ACCESS: "read"},
    responses={200: ResponseSpec(Ok[Items[TransactionView]], generate_examples=False, description="One page")},
)
async def transactions(
    request: Request[Any, Any, Any],
    reader: NamedDependency[AccountId],
    db: NamedDependency[Database],
    type: FromQuery[TransactionType | None] = None,  # noqa: A002 - the contract's word
    in_state: Annotated[TransactionState | None, QueryParameter(name="state")] = None,
    since: Annotated[datetime | None, QueryParameter(name="from")] = None,
    until: Annotated[datetime | None, QueryParameter(name="to")] = None,
    cursor: Annotated[str | None, QueryParameter(pattern=CURSOR)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=service.LIST_MAX)] = 50,
) -> Response[Ok[Items[TransactionView]]] | Stream:
    """List recharges that wait for their payment, then the lines of the wallet, newest first.

    `state=failed` lists recharges that nothing was paid for. `Accept: text/csv` streams all of it.
    """
    since, until = _aware(moment_in(request, "from", since)), _aware(moment_in(request, "to", until))
    if since is not None and until is not None and since > until:
        raise InvalidFields({"from": "must not be after to"})

    async def page(after: str | None, size: int) -> Page:
        return await service.list_transactions(
            db, account_id=reader, type=type, state=in_state, since=since, until=until,
            cursor=after, limit=size,
        )  # fmt: skip

    if "text/csv" in request.headers.get("accept", ""):
        # The first page is read before the answer begins, so that trouble can still be told.
        return Stream(_csv(await page(None, CSV_PAGE), page), media_type="text/csv")
    found = await page(cursor, limit)
    return Response(Ok(data=Items([_view(item) for item in found.lines], found.following)))


async def _csv(found: Page, page: Callable[[str | None, int], Awaitable[Page]]) -> AsyncIterator[str]:
    columns = ("id", "type", "state", "amount", "balanceAfter", "orderId", "at", "transactionId", "method")
    yield csv_text([columns])
    written = 0
    while True:
        for item in found.lines:
            shown = _view(item)
            moment = shown.at.isoformat().replace("+00:00", "Z") if shown.at else ""
            yield csv_text(
                [(shown.id, shown.type, shown.state, shown.amount, shown.balance_after, shown.order_id, moment,
                  shown.transaction_id, shown.method)]
            )  # fmt: skip
        written += len(found.lines)
        if found.following is None or written >= CSV_LINES_MAX:
            return
        found = await page(found.following, CSV_PAGE)


def _aware(moment: datetime | None) -> datetime | None:
    """Return a moment with its zone: one without an offset is taken for UTC."""
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
