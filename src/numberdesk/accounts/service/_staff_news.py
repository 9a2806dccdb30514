"""Telling the staff that something waits for them or needs a look: in their chat, and by mail to whoever can act.

Nothing of it holds a code, a message, a key, a number or a whole address: what it is about stands where it leads.
"""

from numberdesk.accounts import sql
from numberdesk.accounts.model import StaffNews
from numberdesk.base.crypto import Vault
from numberdesk.base.db import Tx
from numberdesk.notifications import service as notifications
from numberdesk.notifications.model import Notice, StaffEvent

BETWEEN = " • "


async def tell_staff(tx: Tx, vault: Vault, *news: StaffNews) -> None:
    """Write down what the staff are told, in the transaction in which it happens. The same `key` is told once."""
    if not news:
        return
    events, notices = [], []
    for item in news:
        events.append(StaffEvent(item.kind, item.title, {**item.facts, "See": item.path}, item.key))
        lines = [f"{name}: {fact}" for name, fact in item.facts.items() if fact is not None]
        facts = BETWEEN.join(line.replace(BETWEEN, " ") for line in lines)
        notices += [
            Notice(
                "staff_news", person.email,
                {"name": person.name, "title": item.title, "facts": facts, "path": item.path, "note": item.note},
                f"staff_news:{item.mail_key or item.key}:{person.id}", person.id,
            )
            for person in await sql.list_staff(tx, item.roles)
            if person.id not in item.but_not
        ]  # fmt: skip
    await notifications.enqueue(tx, vault, notices)
    await notifications.tell(tx, vault, events)
