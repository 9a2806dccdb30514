"""A worker is killed again and again while it sends: no receipt is lost, none is another one, and repeats say so."""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from numberdesk.base import crypto
from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database, run, value
from numberdesk.notifications import service as notifications
from numberdesk.notifications.model import StaffEvent
from tests.notifications import letters, outbox
from tests.notifications.mailbox import mailbox
from tests.notifications.telegram import TOKEN, telegram
from tests.processes import commands

pytestmark = pytest.mark.anyio

RECEIPTS = 24
EVENTS = 5
CHAT = 4711
"""A person's chat: its pace is a second, a group's would be minutes."""


async def until(is_so: Callable[[], bool], *, patience: float = 30.0) -> None:
    async with asyncio.timeout(patience):
        while not is_so():  # noqa: ASYNC110 - looks at two servers
            await asyncio.sleep(0.02)


async def let_time_pass(db: Database) -> None:
    """Let the leases of whoever was killed be over."""
    await outbox.make_due(db)
    async with db.statement() as tx:
        await run(tx, "UPDATE telegram_channel SET leased_until = clock_timestamp() - interval '1 second'")


async def test_what_a_killed_worker_had_under_way_arrives_all_the_same(
    db: Database, database_url: str, owner_url: str, run_folder: Path
) -> None:
    key = crypto.new_key()
    vault = Vault([key])
    async with (
        mailbox() as box,
        telegram() as chat,
        commands(
            run_folder / "killed-notices", DATABASE_URL=database_url, DATABASE_OWNER_URL=owner_url,
            ENCRYPTION_KEYS=key, API_KEY_SALT="salt-of-the-tests-of-notices",
            JWT_SECRET="signs the tokens of the tests of notices 0123456789",
            SMTP_HOST="127.0.0.1", SMTP_PORT=str(box.port), SMTP_SECURITY="none",
            TELEGRAM_BOT_TOKEN=TOKEN, TELEGRAM_CHAT_ID=str(CHAT), TELEGRAM_URL=chat.url,
        ) as shell,
    ):  # fmt: skip
        box.holds = chat.holds = True
        worker = shell.start("worker")
        await worker.says("The worker runs")
        receipts = [
            letters.notice(
                "recharge_credited", key=f"receipt:{number}", to=f"c{number}@example.com", receipt=f"R/{number}"
            )
            for number in range(RECEIPTS)
        ]
        await outbox.write(db, vault, *receipts)
        async with db.transaction() as tx:
            events = [StaffEvent("recharge", f"Event {number}", {}, f"event:{number}") for number in range(EVENTS)]
            await notifications.tell(tx, vault, events)
        for turn in range(3):
            await until(lambda: len(box.messages) > 3 * turn and len(chat.sent) > turn)  # noqa: B023 - at once
            worker.kill()
            await let_time_pass(db)
            worker = shell.start("worker")
            await worker.says("The worker runs")
        box.holds = chat.holds = False
        worker.kill()
        await let_time_pass(db)
        worker = shell.start("worker")
        async with asyncio.timeout(40):
            while await waiting(db):
                await let_time_pass(db)
                await asyncio.sleep(0.2)
        await worker.stop()
        assert await outbox.count(db, "failed") == 0
        # Every receipt came; one that came again is the same mail to every mail program.
        named = Counter((str(mail["To"]), str(mail["Subject"]), str(mail["Message-ID"])) for mail in box.messages)
        assert {to for to, _, _ in named} == {f"c{number}@example.com" for number in range(RECEIPTS)}
        assert len(named) == RECEIPTS
        assert len(box.messages) > RECEIPTS
        texts = chat.texts(CHAT)
        first = [text for text in texts if notifications.REPEATED not in text]
        assert len(set(first)) == len(first)
        assert {text.split("</b>")[0] for text in texts} >= {f"<b>Event {number}" for number in range(EVENTS)}
        assert len(texts) > len(first), "nothing was repeated: nobody was killed in time"
        assert TOKEN not in "".join(running.log for running in shell.started)


async def waiting(db: Database) -> int:
    async with db.statement() as tx:
        return int(await value(tx, "SELECT count(*) FROM outbox WHERE state = 'waiting'"))
