"""Writing down what is to be told, reading it again, and sealing it anew."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog

from numberdesk.base.crypto import Vault, WrongKey
from numberdesk.base.db import Database, Tx
from numberdesk.notifications import sql
from numberdesk.notifications.channels import Mailer
from numberdesk.notifications.channels.email import SmtpMailer
from numberdesk.notifications.model import FIELDS, Mail, MailSettings, Notice, Outcome, StaffEvent
from numberdesk.notifications.service._choices import addressed
from numberdesk.notifications.service._words import render

log = structlog.get_logger()


def open_mailer(settings: MailSettings) -> Mailer | None:
    """Return the way to the mail server; None when there is none, and then mails wait.

    Raises:
        BadSender: the sender is not one address.
    """
    mailer = SmtpMailer(settings)  # a wrong sender is told even while there is no server
    return None if settings.host is None else mailer


async def probe_mail(settings: MailSettings) -> Outcome:
    """Tell whether the mail server lets us in, without sending anything."""
    return await SmtpMailer(settings).probe()


async def enqueue(tx: Tx, vault: Vault, notices: Sequence[Notice]) -> None:
    """Write down what is to be told, in the transaction of what it tells of; a pass sends it once that is committed.

    It goes by mail and to the chat of its account, as the account chose (`EVENTS`). A notice whose `dedupe_key` was
    written before is left out. Address and data are sealed, each to its own row.
    """
    for notice in notices:
        assert notice.data.keys() == FIELDS[notice.template], f"{notice.template} is told {sorted(notice.data)}"
    mails, messages = await addressed(tx, notices)
    letters = [
        sql.NewLetter(notice.template, notice.dedupe_key, notice.account_id, _sealed_notice(vault, notice))
        for notice in mails
    ]
    letters += [
        sql.NewLetter(notice.template, notice.dedupe_key, notice.account_id, _sealed_notice(vault, notice), "telegram")
        for notice in messages
    ]
    if letters:
        await sql.insert_letters(tx, letters)


async def tell(tx: Tx, vault: Vault, events: Sequence[StaffEvent]) -> None:
    """Write down events for the staff's chats, in the transaction of what they tell of.

    Nothing is written while there is no such chat, or while it is not told of this kind.
    """
    if not events:
        return
    targets = await sql.list_wanted(tx, sorted({event.kind for event in events}))
    letters = []
    for target in targets:
        for event in events:
            if event.kind in target.kinds:
                key = f"{target.channel}:{event.dedupe_key}"
                payload = {"title": event.title, "facts": dict(event.facts)}
                letters.append(
                    sql.NewLetter(f"staff_{event.kind}", key, None, _seal(vault, key, payload), target.channel)
                )
    if letters:
        await sql.insert_letters(tx, letters)


def _about(dedupe_key: str) -> str:
    return f"outbox:{dedupe_key}"


def _sealed_notice(vault: Vault, notice: Notice) -> bytes:
    return _seal(vault, notice.dedupe_key, {"to": notice.to, "data": dict(notice.data)})


def _seal(vault: Vault, dedupe_key: str, payload: Mapping[str, object]) -> bytes:
    return vault.seal(json.dumps(payload, ensure_ascii=False), about=_about(dedupe_key))


def unseal(vault: Vault, letter: sql.Letter) -> Mail:
    """Return what a letter says, in words.

    Raises:
        WrongKey: the payload was sealed with a key that is not at hand, or for another row.
        jinja2.TemplateError: it was written for other templates than ours.
    """
    payload = contents(vault, letter)
    subject, text, html = render(letter.template, payload["data"])  # type: ignore[arg-type]
    return Mail(to=payload["to"], subject=subject, text=text, html=html, dedupe_key=letter.dedupe_key)


def contents(vault: Vault, letter: sql.Letter) -> dict[str, Any]:
    """Return what was sealed into a letter.

    Raises:
        WrongKey: it was sealed with a key that is not at hand, or for another row.
    """
    found: dict[str, Any] = json.loads(vault.open(letter.payload, about=_about(letter.dedupe_key)))
    return found


async def reseal(db: Database, vault: Vault, *, limit: int = 500) -> int:
    """Seal again, with the newest key, what may be sent yet and was sealed with another; returns how many letters.

    Afterwards the older keys can be put away. What cannot be read is left as it is, and logged. It walks by id, `limit`
    letters a transaction, and may be repeated.
    """
    resealed, after_id = 0, 0
    while True:
        async with db.transaction() as tx:
            letters = await sql.list_sealed(tx, after_id=after_id, limit=limit)
            if not letters:
                return resealed
            older = [letter for letter in letters if not vault.is_newest(letter.payload)]
            renewed = [letter for letter in (_resealed(vault, letter) for letter in older) if letter is not None]
            resealed += await sql.set_payloads(tx, renewed, [letter.payload for letter in renewed])
        after_id = letters[-1].id


def _resealed(vault: Vault, letter: sql.Letter) -> sql.Letter | None:
    try:
        return replace(letter, payload=vault.renewed(letter.payload, about=_about(letter.dedupe_key)))
    except WrongKey:
        log.error("letter_unreadable", letter_id=letter.id, template=letter.template)
        return None
