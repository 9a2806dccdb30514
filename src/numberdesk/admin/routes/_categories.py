"""What staff call about categories of services: which are blocked, and blocking one or selling it."""

from functools import partial
from typing import Annotated, Any

from litestar import get
from litestar.di import NamedDependency
from msgspec import Meta, Struct

from numberdesk.accounts import service as accounts
from numberdesk.accounts.service import People
from numberdesk.audit import service as audit
from numberdesk.base.calls import Asked, Call
from numberdesk.base.db import Database
from numberdesk.base.web import ACCESS, Items, Ok, encode
from numberdesk.catalogue import service
from numberdesk.catalogue.model import Category
from numberdesk.catalogue.service import Shelf


class ChangeCategory(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """Whether a category is blocked, and why this is decided: for the audit log, not for customers."""

    is_blocked: bool
    reason: Annotated[str, Meta(min_length=3, max_length=200)]


class CategoryView(Struct, rename="camel", frozen=True):
    """A category of services. `reason` is what customers read while it is blocked."""

    category: str
    is_blocked: bool
    reason: str
    services: int


def calls(people: Any, shelf: Any) -> list[Call[Any]]:
    """Return the calls of this part; without what they work with they can only be described."""
    return [
        Call(
            path="/admin/categories/{word}", body=ChangeCategory, access="admin:ops",
            run=partial(_change, people, shelf), answer=CategoryView, summary="Block a category, or sell it",
            description="Nothing of a blocked category is sold, whatever `isOn` of its services says. Orders that are "
            "open go on.",
        ),
    ]  # fmt: skip


async def _change(people: People, shelf: Shelf, asked: Asked, data: ChangeCategory) -> bytes:
    async with people.db.transaction() as tx:
        before, after = await service.change_category(tx, asked.word, is_blocked=data.is_blocked)
        event = accounts.done_by(
            asked.caller, asked.visit, "category_changed", category=after.word, is_blocked=after.is_blocked,
            is_blocked_before=before.is_blocked, reason=data.reason,
        )  # fmt: skip
        await audit.record(tx, event)
    await service.refresh(people.db, shelf)
    return encode(_view(after))


def _view(item: Category) -> CategoryView:
    return CategoryView(item.word, item.is_blocked, item.reason, item.services)


@get("/admin/categories", summary="List categories of services", opt={ACCESS: "admin:support"})
async def list_categories(db: NamedDependency[Database]) -> Ok[Items[CategoryView]]:
    """List all categories of services, blocked or not."""
    return Ok(data=Items([_view(item) for item in await service.list_categories(db)], None))
