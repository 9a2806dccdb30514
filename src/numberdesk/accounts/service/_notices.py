"""What a customer is told and where: switches, the balance below which it wants to know, and its own chat."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numberdesk.accounts import sql
from numberdesk.accounts.model import Caller
from numberdesk.accounts.service._people import People, done_by, now_text, told
from numberdesk.audit import service as audit
from numberdesk.audit.model import Event
from numberdesk.base.db import Database, Tx
from numberdesk.base.errors import NotFound
from numberdesk.base.money import Paise, format_rupees
from numberdesk.base.visit import Visit
from numberdesk.notifications import service as notifications
from numberdesk.notifications.model import Choices, LinkState, Notice, NoticeEvent, Start
from numberdesk.notifications.service import Bell
from numberdesk.wallet.model import AccountId


@dataclass(frozen=True, slots=True)
class Told:
    """What an account is told, and its chat."""

    choices: Choices
    link: LinkState


async def read_notices(db: Database, caller: Caller) -> Told:
    """Return what the caller is told, and where."""
    async with db.statement() as tx:
        return await _read(tx, caller)


async def _read(tx: Tx, caller: Caller) -> Told:
    choices = await notifications.read_choices(tx, caller.account_id)
    return Told(choices, await notifications.find_link(tx, caller.account_id))


async def change_notices(
    db: Database,
    caller: Caller,
    visit: Visit,
    *,
    switches: Mapping[tuple[str, NoticeEvent], bool],
    sets_low_balance: bool,
    low_balance: Paise | None,
) -> Told:
    """Change switches by (channel, event), and the balance below which the caller is told; what is left out stays."""
    async with db.transaction() as tx:
        await notifications.set_switches(tx, caller.account_id, switches)
        if sets_low_balance:
            await notifications.set_low_balance(tx, caller.account_id, low_balance)
        words = ", ".join(f"{channel} {event} {'on' if on else 'off'}" for (channel, event), on in switches.items())
        changes: dict[str, Any] = {"switches": words} | ({"low_balance_paise": low_balance} if sets_low_balance else {})
        await audit.record(tx, done_by(caller, visit, "notices_changed", **changes))
        return await _read(tx, caller)


async def begin_link(db: Database, caller: Caller, visit: Visit) -> tuple[str, str]:
    """Return a code that links the caller's chat, shown this once, and the address that sends it to the bot.

    Raises:
        NoTelegram: there is no bot.
    """
    async with db.transaction() as tx:
        made = await notifications.new_link_code(tx, caller.account_id)
        await audit.record(tx, done_by(caller, visit, "telegram_code_made"))
    return made


async def unlink(people: People, caller: Caller, visit: Visit) -> None:
    """Have nothing of the caller's go by Telegram any more, and its code be worth nothing.

    Raises:
        NotFound: it had neither a chat nor a code.
    """
    async with people.db.transaction() as tx:
        if not await notifications.unlink(tx, caller.account_id):
            raise NotFound(what="linked chat")
        await audit.record(tx, done_by(caller, visit, "telegram_unlinked"))
        await _tell_unlinked(people, tx, caller.account_id, ip=visit.ip)


async def link_chats(people: People, bell: Bell) -> int:
    """Link the chats of those who sent the bot their code; returns how many codes were looked at.

    What was read is noted in the transaction of what became of it: after a crash in between it is read again, and a
    code that is used up by then links nothing twice.
    """
    starts, next_update = await notifications.read_starts(people.db, bell)
    if next_update == 0:
        return 0
    async with people.db.transaction() as tx:
        for start in starts:
            await _link(people, tx, start)
        await notifications.set_read(tx, next_update)
    return len(starts)


async def _link(people: People, tx: Tx, start: Start) -> None:
    found = await notifications.link(tx, start)
    if found is None:
        return
    account_id, losers = AccountId(found[0]), [AccountId(loser) for loser in found[1]]
    for loser in losers:
        await audit.record(tx, Event("telegram_unlinked", loser))
        await _tell_unlinked(people, tx, loser, ip=None)
    await audit.record(tx, Event("telegram_linked", account_id, "person", account_id))
    await sql.set_notified_by_telegram(tx, account_id)
    for person in await sql.list_recipients(tx, [account_id]):
        notice = told("telegram_linked", to=person.email, account_id=account_id, name=person.name, at=now_text())
        await notifications.enqueue(tx, people.vault, [notice])


async def _tell_unlinked(people: People, tx: Tx, account_id: AccountId, *, ip: str | None) -> None:
    for person in await sql.list_recipients(tx, [account_id]):
        notice = told(
            "telegram_unlinked", to=person.email, account_id=account_id, name=person.name, at=now_text(), ip=ip
        )
        await notifications.enqueue(tx, people.vault, [notice])


async def tell_low_balances(people: People, *, limit: int = 200) -> int:
    """Tell those whose balance fell below what they set, once for each fall; returns how many."""
    async with people.db.transaction() as tx:
        low = {AccountId(item.account_id): item for item in await notifications.take_low(tx, limit=limit)}
        notices = [
            Notice(
                "low_balance", person.email,
                {
                    "name": person.name, "balance": format_rupees(Paise(low[person.id].available_paise)),
                    "threshold": format_rupees(Paise(low[person.id].low_balance_paise)),
                },
                f"low_balance:{person.id}:{low[person.id].low_count}", person.id,
            )
            for person in (await sql.list_recipients(tx, sorted(low)) if low else [])
        ]  # fmt: skip
        await notifications.enqueue(tx, people.vault, notices)
    return len(low)
