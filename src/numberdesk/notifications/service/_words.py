"""Putting notices into words: mails by templates, and messages for chats."""

import re
from collections.abc import Mapping
from html import escape
from pathlib import Path

import jinja2

from numberdesk.notifications.model import Template, Value

LONGEST = {"name": 60, "device": 120, "key_name": 60}
"""Characters of what people chose themselves; the rest is ours."""

# Line ends, other control characters, and those that turn the direction of writing.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_LOOKS_LIKE_A_LINK = re.compile(r"://|www\.|@|\w\.\w{2,}", re.I)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent.parent / "templates"),
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

TEXT_MAX = 3500
"""Characters of a message to a chat: Telegram takes 4,096."""
FACT_MAX = 200
REPEATED = "(Sent again: nobody knows whether the first one arrived.)"


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


def chat_words(template: Template, data: Mapping[str, Value]) -> tuple[str, str]:
    """Return a notice as a message to a chat: as HTML, in which nothing but its first line is markup, and as text.

    Raises:
        jinja2.TemplateError: the data lacks something.
    """
    subject, text, _ = render(template, data)
    # The greeting and the last lines are a letter's.
    body = text.partition("\n\n")[2].rpartition("\n\nNumberdesk\n")[0]
    return _titled(subject, re.sub(r"(?<=[^\n:])\n(?=[a-z])", " ", body))


def event_words(title: str, facts: Mapping[str, Value]) -> tuple[str, str]:
    """Return an event for the staff as a message, as HTML and as text."""
    lines = [f"{name}: {_on_one_line(value, FACT_MAX)}" for name, value in facts.items() if value is not None]
    return _titled(title, "\n".join(lines))


def digest_words(events: Mapping[str, list[str]], shown: int) -> tuple[str, str]:
    """Return many events as one message: of each title so many, and how many more there are.

    Args:
        events: what each event of a title tells, on one line, oldest first.
    """
    total = sum(map(len, events.values()))
    lines = []
    for title, told in events.items():
        lines.append(f"{title}: {len(told)}")
        lines += [f"• {line}" for line in told[:shown] if line]
        if len(told) > shown:
            lines.append(f"• {len(told) - shown} more like this")
    return _titled(f"{total} events at once", "\n".join(lines))


def short_line(facts: Mapping[str, Value]) -> str:
    """Return what an event tells on one line."""
    return ", ".join(str(_on_one_line(value, 60)) for value in facts.values() if value is not None)


def _titled(title: str, body: str) -> tuple[str, str]:
    # Shortened before it is escaped: the other way round, a cut could fall into an entity or a tag.
    title = str(_on_one_line(title, FACT_MAX))
    body = body if len(body) <= TEXT_MAX else body[: TEXT_MAX - 1] + "…"
    plain = f"{title}\n{body}".strip()
    return f"<b>{escape(title, quote=False)}</b>\n{escape(body, quote=False)}".strip(), plain


def masked_email(email: str) -> str:
    """Return an address by which the staff recognise it and nobody else learns it."""
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}…@{domain}"
