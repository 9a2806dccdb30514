"""Verbs of notifications: writing down what is to be told, putting it into words, and the way out."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import jinja2
import structlog

from numberdesk.base.crypto import Vault, WrongKey
from numberdesk.base.db import Database, Tx
from numberdesk.notifications import sql
from numberdesk.notifications.channels import Mailer
from numberdesk.notifications.channels.email import ConsoleMailer, SmtpMailer
from numberdesk.notifications.channels.webhook import URL_MAX as WEBHOOK_URL_MAX
from numberdesk.notifications.channels.webhook import Poster
from numberdesk.notifications.model import FIELDS, Mail, MailSettings, Notice, Outcome, Template, Value

__all__ = [
    "WEBHOOK_URL_MAX",
    "ConsoleMailer",
    "Mailer",
    "Poster",
    "enqueue",
    "oldest_waiting",
    "open_mailer",
    "probe_mail",
    "render",
    "reseal",
    "unseal",
]

log = structlog.get_logger()

LONGEST = {"name": 60, "device": 120, "key_name": 60}
"""Characters of what people chose themselves; the rest is ours."""

# Line ends, other control characters, and those that turn the direction of writing.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_LOOKS_LIKE_A_LINK = re.compile(r"://|www\.|@|\w\.\w{2,}", re.I)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=jinja2.select_autoescape(["html"], default=False, default_for_string=True),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    environment.filters["counted"] = _counted
    return environment


ENVIRONMENT = _environment()


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

    A notice whose `dedupe_key` was written before is left out. Address and data are sealed, each to its own row.
    """
    for notice in notices:
        assert notice.data.keys() == FIELDS[notice.template], f"{notice.template} is told {sorted(notice.data)}"
    letters = [
        sql.NewLetter(notice.template, notice.dedupe_key, notice.account_id, _seal(vault, notice)) for notice in notices
    ]
    if letters:
        await sql.insert_letters(tx, letters)


def _about(dedupe_key: str) -> str:
    return f"outbox:{dedupe_key}"


def _seal(vault: Vault, notice: Notice) -> bytes:
    payload = json.dumps({"to": notice.to, "data": dict(notice.data)}, ensure_ascii=False)
    return vault.seal(payload, about=_about(notice.dedupe_key))


def unseal(vault: Vault, letter: sql.Letter) -> Mail:
    """Return what a letter says, in words.

    Raises:
        WrongKey: the payload was sealed with a key that is not at hand, or for another row.
        jinja2.TemplateError: it was written for other templates than ours.
    """
    payload = json.loads(vault.open(letter.payload, about=_about(letter.dedupe_key)))
    subject, text, html = render(letter.template, payload["data"])
    return Mail(to=payload["to"], subject=subject, text=text, html=html, dedupe_key=letter.dedupe_key)


def render(template: Template, data: Mapping[str, Value]) -> tuple[str, str, str]:
    """Return subject, text and HTML of a notice.

    The subject is the first line of the text's template. What people chose is put on one line; a name that would be
    shown as a link is left out, or our mails would carry strangers' advertisements to addresses they registered.

    Raises:
        jinja2.TemplateError: the data lacks something.
    """
    shown = {field: _on_one_line(value, LONGEST.get(field)) for field, value in data.items()}
    if _LOOKS_LIKE_A_LINK.search(str(shown.get("name", ""))):
        shown["name"] = ""
    subject, _, text = ENVIRONMENT.get_template(f"{template}.txt").render(shown).partition("\n")
    html = ENVIRONMENT.get_template(f"{template}.html").render(shown, subject=subject)
    # Facts that are not known leave empty lines behind.
    return subject.strip(), re.sub(r"\n{3,}", "\n\n", text).strip() + "\n", html


def _on_one_line(value: Value, longest: int | None) -> Value:
    if not isinstance(value, str):
        return value
    line = " ".join(_UNPRINTABLE.sub(" ", value).split())
    return line if longest is None or len(line) <= longest else line[: longest - 1] + "…"


async def reseal(db: Database, vault: Vault, *, limit: int = 500) -> int:
    """Seal again, with the newest key, what waits and was sealed with another; returns how many letters.

    Afterwards the older keys can be put away. What cannot be read is left as it is, and logged. It walks by id, `limit`
    letters a transaction, and may be repeated.
    """
    resealed, after_id = 0, 0
    while True:
        async with db.transaction() as tx:
            letters = await sql.list_waiting(tx, after_id=after_id, limit=limit)
            if not letters:
                return resealed
            older = [letter for letter in letters if not vault.is_newest(letter.payload)]
            renewed = [letter for letter in (_resealed(vault, letter) for letter in older) if letter is not None]
            resealed += await sql.set_payloads(tx, renewed, [letter.payload for letter in renewed])
        after_id = letters[-1].id


def _resealed(vault: Vault, letter: sql.Letter) -> sql.Letter | None:
    about = _about(letter.dedupe_key)
    try:
        return replace(letter, payload=vault.seal(vault.open(letter.payload, about=about), about=about))
    except WrongKey:
        log.error("letter_unreadable", letter_id=letter.id, template=letter.template)
        return None


async def oldest_waiting(db: Database) -> timedelta | None:
    """Return the age of the oldest mail that was not sent yet; None when there is none."""
    async with db.statement() as tx:
        return await sql.find_oldest_waiting(tx)
