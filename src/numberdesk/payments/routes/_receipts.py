"""Receipts, as data and as a page to print."""

import base64
import hashlib
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import jinja2
import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, QueryParameter
from msgspec import Struct

from numberdesk.base.calls import number_in_path
from numberdesk.base.db import Database
from numberdesk.base.described import QueryId
from numberdesk.base.money import format_rupees
from numberdesk.base.web import ACCESS, Items, Ok, page, rfc3339
from numberdesk.payments import service
from numberdesk.payments.model import Receipt, ReceiptKind
from numberdesk.payments.routes._views import receipt_fields
from numberdesk.wallet.model import AccountId

PAGES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent.parent / "pages"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    auto_reload=False,
)
STYLE = (Path(__file__).parent.parent / "pages" / "receipt.css").read_text(encoding="utf-8")
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
# The one style sheet stands in the page; nothing else is loaded, and nothing runs.
PAGE_HEADERS = {
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; frame-ancestors 'none'; "
    "base-uri 'none'",
}


class TaxView(Struct, rename="camel", frozen=True):
    """The tax that is in an amount."""

    taxable: str
    cgst: str
    sgst: str
    igst: str
    rate_percent: str
    gstin: str
    sac: str


class ReceiptView(Struct, rename="camel", frozen=True):
    """A receipt, or the note that takes one back."""

    id: int
    number: str
    kind: ReceiptKind
    amount: str
    method: str
    reference: str
    transaction_id: str | None
    supplier: str
    recipient: str
    note: str
    tax: TaxView | None
    issued_at: datetime | None


def receipt_view(item: Receipt) -> ReceiptView:
    """Shape a receipt."""
    details = msgspec.json.decode(item.details)
    return ReceiptView(
        item.id, item.number, item.kind, format_rupees(item.amount_paise), details["method"], details["reference"],
        details["transactionId"], details["supplier"], details["recipient"], details["note"], _tax(item, details),
        rfc3339(item.issued_at),
    )  # fmt: skip


def _tax(item: Receipt, details: dict[str, Any]) -> TaxView | None:
    if item.taxable_paise is None:
        return None
    rate = f"{details['rateBps'] // 100}.{details['rateBps'] % 100:02}".rstrip("0").rstrip(".")
    return TaxView(
        format_rupees(item.taxable_paise), format_rupees(item.cgst_paise or 0), format_rupees(item.sgst_paise or 0),
        format_rupees(item.igst_paise or 0), rate, details["gstin"], details["sac"],
    )  # fmt: skip


@get("/recharge/receipts", summary="List receipts, newest first", opt={ACCESS: "read"})
async def list_receipts(
    reader: NamedDependency[AccountId],
    db: NamedDependency[Database],
    transaction_id: Annotated[str | None, QueryParameter(name="transactionId", max_length=40)] = None,
    cursor: QueryId = None,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 50,
) -> Ok[Items[ReceiptView]]:
    """List the caller's receipts, of one recharge or of all."""
    found = await service.list_receipts(db, account_id=reader, ref=transaction_id, cursor=cursor, limit=limit)
    return page(found, receipt_view, limit=limit)


@get(
    "/recharge/receipts/{id:str}",
    summary="Read a receipt",
    opt={ACCESS: "read"},
    responses={200: ResponseSpec(Ok[ReceiptView], generate_examples=False, description="The receipt")},
)
async def read_receipt(
    id: FromPath[str],  # noqa: A002 - the name in the path
    request: Request[Any, Any, Any],
    reader: NamedDependency[AccountId],
    db: NamedDependency[Database],
) -> Response[Ok[ReceiptView]] | Response[str]:
    """Read one of the caller's receipts; `Accept: text/html` gives a page to print."""
    item = await service.get_receipt(db, account_id=reader, receipt_id=number_in_path(id, what="receipt"))
    if "text/html" not in request.headers.get("accept", ""):
        return Response(Ok(data=receipt_view(item)))
    details = msgspec.json.decode(item.details)
    page = PAGES.get_template("receipt.html").render(
        receipt=receipt_view(item), details=details, fields=receipt_fields(details),
        issued=item.issued_at.strftime("%d %b %Y, %H:%M UTC"), style=STYLE,
    )  # fmt: skip
    return Response(page, media_type="text/html", headers=PAGE_HEADERS)
