"""What customers call about notices: their switches, the balance below which they are told, and their chat."""

from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

from litestar import Request, delete, get
from litestar.di import NamedDependency
from msgspec import UNSET, Meta, Struct, UnsetType

from numberdesk.accounts import service
from numberdesk.accounts.model import Caller
from numberdesk.accounts.service import People, Told
from numberdesk.base import clock
from numberdesk.base.calls import Asked, Call
from numberdesk.base.db import Database
from numberdesk.base.errors import InvalidFields
from numberdesk.base.money import NotAnAmount, Paise, format_rupees, parse_rupees
from numberdesk.base.web import ACCESS, Done, NoFields, Ok, encode, rfc3339
from numberdesk.notifications import service as notifications
from numberdesk.notifications.model import NoticeEvent


class ChangeSwitch(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """Whether an event is told by mail and by Telegram; what is left out stays."""

    event: NoticeEvent
    email: bool | UnsetType = UNSET
    telegram: bool | UnsetType = UNSET


class ChangeNotices(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """What is to change; `lowBalance` is in rupees, null tells nothing of it."""

    events: Annotated[list[ChangeSwitch], Meta(max_length=20)] = []
    low_balance: str | float | UnsetType | None = UNSET


class SwitchView(Struct, rename="camel", frozen=True):
    """A switch; a locked mail cannot be switched: security always goes by mail, codes never."""

    event: str
    email: bool
    telegram: bool
    email_locked: bool


class ChatView(Struct, rename="camel", frozen=True):
    """The caller's chat. `off`: the bot cannot write there, and why; linking it again mends that."""

    available: bool
    bot: str | None
    state: Literal["none", "on", "off"]
    problem: str | None
    linked_at: datetime | None


class NoticesView(Struct, rename="camel", frozen=True):
    """What the caller is told, and where."""

    events: list[SwitchView]
    low_balance: str | None
    telegram: ChatView


class LinkView(Struct, rename="camel", frozen=True):
    """How a chat is linked: open the address and press Start, or send the bot `/start` and the code."""

    code: str
    link: str
    expires_at: datetime | None


def calls(people: Any) -> list[Call[Any]]:
    """Return the calls of this part; without people they can only be described."""
    return [
        Call(
            path="/user/notifications", method="PUT", body=ChangeNotices, access="account",
            run=partial(_change, people), answer=NoticesView, summary="Change what is told, and where",
            description="Change switches and the balance below which you are told; mails about security stay on.",
        ),
        Call(
            path="/user/notifications/telegram", body=NoFields, access="account", run=partial(_begin_link, people),
            answer=LinkView, summary="Link a Telegram chat",
            description="Make a code that links your own chat with the bot within 15 minutes, once.",
        ),
    ]  # fmt: skip


async def _change(people: People, asked: Asked, data: ChangeNotices) -> bytes:
    switches: dict[tuple[str, NoticeEvent], bool] = {}
    for item in data.events:
        for channel, wanted in (("email", item.email), ("telegram", item.telegram)):
            if wanted is not UNSET:
                switches[channel, item.event] = wanted
    changed = await service.change_notices(
        people.db, asked.caller, asked.visit, switches=switches,
        sets_low_balance=data.low_balance is not UNSET, low_balance=_amount(data.low_balance),
    )  # fmt: skip
    return encode(_view(changed))


def _amount(given: str | float | UnsetType | None) -> Paise | None:
    if given is None or given is UNSET:
        return None
    try:
        return parse_rupees(given)
    except NotAnAmount as problem:
        raise InvalidFields({"lowBalance": str(problem)}) from None


async def _begin_link(people: People, asked: Asked, _data: NoFields) -> bytes:
    code, link = await service.begin_link(people.db, asked.caller, asked.visit)
    return encode(LinkView(code, link, rfc3339(clock.now() + notifications.link_code_lives())))


def _view(told: Told) -> NoticesView:
    choices, link = told.choices, told.link
    return NoticesView(
        [SwitchView(item.event, item.email, item.telegram, item.is_locked) for item in notifications.switches(choices)],
        None if choices.low_balance_paise is None else format_rupees(Paise(choices.low_balance_paise)),
        ChatView(link.bot_name is not None, link.bot_name, link.state or "none", link.problem, rfc3339(link.linked_at)),
    )


@get("/user/notifications", summary="Read what is told, and where", opt={ACCESS: "account"})
async def read_notices(caller: NamedDependency[Caller], db: NamedDependency[Database]) -> Ok[NoticesView]:
    """Read the caller's switches, the balance below which it is told, and its chat."""
    return Ok(data=_view(await service.read_notices(db, caller)))


@delete("/user/notifications/telegram", status_code=200, summary="Unlink the Telegram chat", opt={ACCESS: "account"})
async def unlink_chat(
    request: Request[Any, Any, Any], caller: NamedDependency[Caller], people: NamedDependency[People]
) -> Ok[Done]:
    """Send nothing of the caller's by Telegram any more; codes that were not used are worth nothing."""
    await service.unlink(people, caller, request.scope["state"]["visit"])
    return Ok(data=Done())


HANDLERS = [read_notices, unlink_chat]
